//! `ravenry demo --check`: a scripted client goes through the demo. A line a step; each step is made so that it can be the only
//! one that fails.

use std::time::Duration;

use ravenry_core::rt;
use ravenry_core::rt::signals::{self, Signal};

use super::calendar::Moment;
use super::dialogue::Dialogue;
use super::fill::{FOLDERS, Folder};
use super::home::Home;
use super::imap::{Imap, exists};
use super::mail::{Message, Writer};
use super::murder::{ADMIN, Murder};
use super::ports::Ports;
use super::{lmtp, show};

/// What a step says where it failed.
type Done = Result<(), String>;
type Step = (&'static str, fn(&Client) -> Done);

const STEPS: [Step; 17] = [
    ("LOGIN: who has the password, nobody else", Client::login),
    ("LIST: one tree of both backends", Client::list),
    (
        "SELECT and FETCH on both backends, each mailbox",
        Client::select,
    ),
    ("SEARCH and THREAD, each at its backend", Client::search),
    ("APPEND, and what was appended comes back", Client::append),
    ("COPY from one backend to the other", Client::copy_across),
    ("MOVE from one backend to the other", Client::move_across),
    ("CREATE, then SELECT at once", Client::create),
    ("RENAME: there by the new name alone", Client::rename),
    ("SUBSCRIBE, also to what is elsewhere", Client::subscribe),
    ("IDLE: news from another session", Client::idle),
    (
        "SETACL: another user sees the mailbox, and then no more",
        Client::setacl,
    ),
    ("DELETE: gone, and can be made again", Client::delete),
    ("LMTP: mail that is delivered is there", Client::deliver),
    ("IMAPS, with the certificate checked", Client::imaps),
    (
        "the admin, through the frontend: CREATE, SETACL, DELETE",
        Client::admin,
    ),
    (
        "a name that is at one backend can't be made at the other",
        Client::one_place,
    ),
];

/// Goes through it; whether all steps passed.
pub(super) fn run(murder: &Murder, home: &Home, started_in: Duration) -> Result<bool, String> {
    let client = Client {
        ports: murder.ports,
        trusted: murder.trusted.clone(),
    };
    show::line(&format!("started in {:.1} s", started_in.as_secs_f64()));
    let (mut passed, mut failed) = (0, 0);
    for (name, step) in STEPS {
        if signals::wait(Duration::ZERO) == Some(Signal::Terminate) {
            return Err("told to end".to_owned());
        }
        let began = rt::now();
        let done = step(&client);
        let took = began.elapsed().as_secs_f64();
        match done {
            Ok(()) => {
                passed += 1;
                show::line(&format!("ok   {name} ({took:.2} s)"));
            }
            Err(why) => {
                failed += 1;
                show::line(&format!("FAIL {name} ({took:.2} s): {why}"));
            }
        }
    }
    if failed > 0 {
        show::line(&format!("the log stays: {}", home.log_path().display()));
    }
    show::line(&format!("{passed} passed, {failed} failed"));
    Ok(failed == 0)
}

struct Client {
    ports: Ports,
    /// The frontend's certificate.
    trusted: Vec<u8>,
}

impl Client {
    /// A session at the frontend.
    fn session(&self, user: &str) -> Result<Imap, String> {
        Imap::login(self.ports.imap, user)
    }

    fn login(&self) -> Done {
        let mut session = Imap::over(Dialogue::connect(self.ports.imap)?)?;
        session.no("LOGIN alice bobpw")?;
        session.log_in("alice")?;
        session.ok("NOOP")?;
        let answer = session.ok("LOGOUT")?;
        wanted("a BYE", answer.of("BYE").len(), 1)
    }

    fn list(&self) -> Done {
        for user in ["alice", "bob"] {
            let mut session = self.session(user)?;
            let answer = session.ok("LIST \"\" *")?;
            let names: Vec<&str> = answer.of("LIST").into_iter().filter_map(name_of).collect();
            for folder in FOLDERS {
                let listed = names.iter().filter(|name| **name == folder.name).count();
                let mut same_name = FOLDERS.iter().filter(|f| f.name == folder.name);
                let sees = same_name.any(|f| f.user == user || is_shared(f));
                let what = format!("{} for {user}", folder.name);
                wanted(&what, listed, usize::from(sees))?;
            }
        }
        Ok(())
    }

    fn select(&self) -> Done {
        for user in ["alice", "bob"] {
            let mut session = self.session(user)?;
            for folder in FOLDERS.iter().filter(|f| f.user == user) {
                has_at_least(&mut session, folder)?;
                let text = session.message(folder.messages / 2)?;
                has(&text, "\r\nMessage-ID: <")?;
            }
            // In the same session: what lives at the other backend.
            for folder in shared().filter(|f| f.user != user) {
                has_at_least(&mut session, folder)?;
            }
        }
        Ok(())
    }

    fn search(&self) -> Done {
        let mut session = self.session("alice")?;
        for folder in ["shared.one", "shared.two"] {
            session.select(folder)?;
            let answer = session.ok("SEARCH HEADER In-Reply-To demo.test")?;
            let found = answer.of("SEARCH");
            let count = found.first().map_or(0, |found| found.split(' ').count());
            at_least(&format!("answers in {folder}"), count, 10)?;
            let answer = session.ok("UID THREAD REFERENCES US-ASCII ALL")?;
            let threads = answer.of("THREAD").concat();
            at_least("threads", threads.matches('(').count(), 10)?;
        }
        Ok(())
    }

    fn append(&self) -> Done {
        let (mut session, note) = (self.session("alice")?, note("A note, appended"));
        let last = append(&mut session, "INBOX", &note)?;
        same(&session.message(last)?, &note.text)
    }

    fn copy_across(&self) -> Done {
        let (mut session, note) = (self.session("alice")?, note("A note, copied"));
        let there = session.select("shared.two")?;
        let last = append(&mut session, "INBOX", &note)?;
        let answer = session.ok(&format!("COPY {last} shared.two"))?;
        has(&answer.status, "[COPYUID ")?;
        same(&session.message(last)?, &note.text)?;
        wanted("messages there", session.select("shared.two")?, there + 1)?;
        same(&session.message(there + 1)?, &note.text)
    }

    fn move_across(&self) -> Done {
        let (mut session, note) = (self.session("alice")?, note("A note, moved"));
        let there = session.select("shared.two")?;
        let last = append(&mut session, "INBOX", &note)?;
        session.ok(&format!("MOVE {last} shared.two"))?;
        wanted("messages that stay", session.select("INBOX")?, last - 1)?;
        wanted("messages there", session.select("shared.two")?, there + 1)?;
        same(&session.message(there + 1)?, &note.text)
    }

    fn create(&self) -> Done {
        let mut session = self.session("bob")?;
        session.ok("CREATE INBOX.Made.Deep")?;
        for name in ["INBOX.Made.Deep", "INBOX.Made"] {
            wanted("messages in it", session.select(name)?, 0)?;
        }
        session.no("CREATE INBOX.Made.Deep")?;
        session.ok("DELETE INBOX.Made.Deep")?;
        session.ok("DELETE INBOX.Made")?;
        Ok(())
    }

    fn rename(&self) -> Done {
        let (mut session, note) = (self.session("bob")?, note("A note, renamed"));
        session.ok("CREATE INBOX.Old")?;
        append(&mut session, "INBOX.Old", &note)?;
        session.ok("UNSELECT")?;
        session.ok("RENAME INBOX.Old INBOX.New")?;
        session.no("SELECT INBOX.Old")?;
        wanted("messages in it", session.select("INBOX.New")?, 1)?;
        same(&session.message(1)?, &note.text)?;
        session.ok("UNSELECT")?;
        session.ok("DELETE INBOX.New")?;
        Ok(())
    }

    fn subscribe(&self) -> Done {
        let mut session = self.session("alice")?;
        for name in ["INBOX.Archive", "shared.two"] {
            session.ok(&format!("SUBSCRIBE {name}"))?;
            let answer = session.ok("LSUB \"\" *")?;
            let subscribed = answer.of("LSUB").into_iter().filter_map(name_of);
            wanted(name, subscribed.filter(|found| *found == name).count(), 1)?;
        }
        session.ok("UNSUBSCRIBE shared.two")?;
        let answer = session.ok("LSUB \"\" *")?;
        let subscribed = answer.of("LSUB").into_iter().filter_map(name_of);
        let left = subscribed.filter(|found| *found == "shared.two").count();
        wanted("shared.two, unsubscribed", left, 0)
    }

    fn idle(&self) -> Done {
        let (mut waits, mut writes) = (self.session("alice")?, self.session("bob")?);
        let before = waits.select("shared.two")?;
        waits.idle()?;
        writes.append("shared.two", &[note("A note, while one waits")])?;
        waits.news(|line| exists(line) == Some(before + 1))?;
        waits.done()?;
        has(&waits.message(before + 1)?, "while one waits")
    }

    fn setacl(&self) -> Done {
        let (mut owner, mut other) = (self.session("alice")?, self.session("bob")?);
        let theirs = "user.alice.Lent";
        owner.ok("CREATE INBOX.Lent")?;
        append(&mut owner, "INBOX.Lent", &note("A note, lent"))?;
        other.no(&format!("SELECT {theirs}"))?;
        owner.ok("SETACL INBOX.Lent bob lrs")?;
        wanted("messages in it", other.select(theirs)?, 1)?;
        let answer = other.ok(&format!("LIST \"\" {theirs}"))?;
        wanted("names listed", answer.of("LIST").len(), 1)?;
        other.no(&format!("APPEND {theirs} {{1+}}\r\nx"))?;
        owner.ok("DELETEACL INBOX.Lent bob")?;
        other.ok("UNSELECT")?;
        other.no(&format!("SELECT {theirs}"))?;
        owner.ok("UNSELECT")?;
        owner.ok("DELETE INBOX.Lent")?;
        Ok(())
    }

    fn delete(&self) -> Done {
        let mut session = self.session("alice")?;
        for _ in 0..2 {
            session.ok("CREATE INBOX.Gone")?;
            append(&mut session, "INBOX.Gone", &note("A note, thrown away"))?;
            session.ok("UNSELECT")?;
            session.ok("DELETE INBOX.Gone")?;
            session.no("SELECT INBOX.Gone")?;
            let answer = session.ok("LIST \"\" INBOX.Gone")?;
            wanted("names listed", answer.of("LIST").len(), 0)?;
        }
        Ok(())
    }

    fn deliver(&self) -> Done {
        for (user, port) in ["alice", "bob"].into_iter().zip(self.ports.lmtp) {
            let (mut session, note) = (self.session(user)?, note("A note, delivered"));
            let before = session.select("INBOX")?;
            session.idle()?;
            lmtp::deliver(port, user, &note.text)?;
            session.news(|line| exists(line) == Some(before + 1))?;
            session.done()?;
            let text = session.message(before + 1)?;
            has(&text, "Return-Path: <rook@demo.test>\r\n")?;
            has(&text, &note.text)?;
        }
        Ok(())
    }

    fn imaps(&self) -> Done {
        let port = self.ports.imaps;
        let mut session = Imap::over(Dialogue::connect_tls(port, &self.trusted)?)?;
        session.log_in("bob")?;
        for folder in shared() {
            has_at_least(&mut session, folder)?;
            session.message(1)?;
        }
        Ok(())
    }

    fn admin(&self) -> Done {
        let mut admin = self.session(ADMIN)?;
        admin.ok("CREATE shared.three backend2.test")?;
        admin.ok("SETACL shared.three alice lrsip")?;
        let mut session = self.session("alice")?;
        session.append("shared.three", &[note("A note, shared")])?;
        wanted("messages in it", session.select("shared.three")?, 1)?;
        session.ok("UNSELECT")?;
        admin.ok(&format!("SETACL shared.three {ADMIN} lrswipkxtecda"))?;
        admin.ok("DELETE shared.three")?;
        session.no("SELECT shared.three")?;
        Ok(())
    }

    fn one_place(&self) -> Done {
        for (folder, other) in [("shared.one", 1), ("shared.two", 0)] {
            let mut admin = Imap::login(self.ports.backends[other], ADMIN)?;
            admin.no(&format!("CREATE {folder}"))?;
            admin.no(&format!("SELECT {folder}"))?;
        }
        Ok(())
    }
}

fn note(subject: &str) -> Message {
    Writer::new(Moment::of(rt::wall_clock())).note("bob", "alice", subject)
}

/// Appends it and opens the mailbox; gives its number.
fn append(session: &mut Imap, mailbox: &str, note: &Message) -> Result<usize, String> {
    let before = session.select(mailbox)?;
    session.append(mailbox, std::slice::from_ref(note))?;
    let after = session.select(mailbox)?;
    wanted(&format!("messages in {mailbox}"), after, before + 1)?;
    Ok(after)
}

/// The mailbox's name in what LIST or LSUB says of it.
fn name_of(listed: &str) -> Option<&str> {
    let (_, name) = listed.rsplit_once(' ')?;
    Some(name.trim_matches('"'))
}

fn shared() -> impl Iterator<Item = &'static Folder> {
    FOLDERS.iter().filter(|folder| is_shared(folder))
}

fn is_shared(folder: &Folder) -> bool {
    folder.name.starts_with("shared.")
}

/// It opens, with what was put into it.
fn has_at_least(session: &mut Imap, folder: &Folder) -> Done {
    let count = session.select(folder.name)?;
    at_least(
        &format!("messages in {}", folder.name),
        count,
        folder.messages,
    )
}

fn at_least(what: &str, count: usize, least: usize) -> Done {
    match count >= least {
        true => Ok(()),
        false => Err(format!("{what}: {count}, {least} at least are right")),
    }
}

fn wanted(what: &str, count: usize, right: usize) -> Done {
    match count == right {
        true => Ok(()),
        false => Err(format!("{what}: {count}, {right} is right")),
    }
}

fn has(text: &str, piece: &str) -> Done {
    match text.contains(piece) {
        true => Ok(()),
        false => Err(format!("there is no {piece:?} in {text:?}")),
    }
}

fn same(text: &str, right: &str) -> Done {
    match text == right {
        true => Ok(()),
        false => Err(format!(
            "the message is another one: {text:?}, not {right:?}"
        )),
    }
}
