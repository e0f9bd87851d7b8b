//! Users, folders and mail: made as an admin and the users make them, by IMAP at the backends.

use std::time::Duration;

use ravenry_core::rt::signals::{self, Signal};
use ravenry_core::rt::{self, Instant};

use super::calendar::Moment;
use super::imap::{Answer, Imap};
use super::mail::Writer;
use super::murder::{ADMIN, Murder};

/// A mailbox.
pub(super) struct Folder {
    /// At which backend it is.
    pub(super) backend: usize,
    /// Whose it is, or who has put mail into it.
    pub(super) user: &'static str,
    /// As that user sees it.
    pub(super) name: &'static str,
    /// As its mail is addressed.
    to: &'static str,
    pub(super) messages: usize,
}

const fn folder(
    backend: usize,
    user: &'static str,
    name: &'static str,
    to: &'static str,
    messages: usize,
) -> Folder {
    Folder {
        backend,
        user,
        name,
        to,
        messages,
    }
}

/// All of them.
pub(super) const FOLDERS: [Folder; 8] = [
    folder(0, "alice", "INBOX", "alice", 110),
    folder(0, "alice", "INBOX.Archive", "alice", 40),
    folder(0, "alice", "INBOX.Projects.Rookery", "alice", 20),
    folder(0, "alice", "shared.one", "one", 45),
    folder(1, "bob", "INBOX", "bob", 80),
    folder(1, "bob", "INBOX.Archive", "bob", 25),
    folder(1, "bob", "INBOX.Trips", "bob", 15),
    folder(1, "bob", "shared.two", "two", 45),
];

/// How often it is looked whether servers have found each other.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Makes all of it.
pub(super) fn furnish(murder: &Murder, found_within: Duration) -> Result<(), String> {
    let until = rt::now() + found_within;
    let mut writer = Writer::new(Moment::of(rt::wall_clock()));
    for (number, (user, shared)) in [("alice", "shared.one"), ("bob", "shared.two")]
        .into_iter()
        .enumerate()
    {
        let port = murder.ports.backends[number];
        let mut admin = Imap::login(port, ADMIN)?;
        // The first one may come before the backend has found the master.
        let make = format!("CREATE user.{user}");
        patiently(until, || admin.ask(&make))?;
        admin.ok(&format!("CREATE {shared}"))?;
        admin.ok(&format!("SETACL {shared} anyone lrswipkxte"))?;
        let mut session = Imap::login(port, user)?;
        for folder in FOLDERS.iter().filter(|folder| folder.backend == number) {
            if folder.name.starts_with("INBOX.") {
                session.ok(&format!("CREATE {}", folder.name))?;
            }
            let messages = writer.mailbox(folder.to, folder.messages);
            session.append(folder.name, &messages)?;
        }
    }
    Ok(())
}

/// Waits until the frontend knows all of them.
pub(super) fn frontend_knows_all(murder: &Murder, found_within: Duration) -> Result<(), String> {
    let until = rt::now() + found_within;
    for user in ["alice", "bob"] {
        let mut session = Imap::over(super::dialogue::Dialogue::connect(murder.ports.imap)?)?;
        let password = super::murder::password(user);
        let login = format!("LOGIN {user} {password}");
        patiently(until, || session.ask(&login))?;
        for name in ["INBOX", "shared.one", "shared.two"] {
            let select = format!("EXAMINE {name}");
            patiently(until, || session.ask(&select))?;
        }
    }
    Ok(())
}

/// Gives a command again while it is refused, for so long.
fn patiently(
    until: Instant,
    mut ask: impl FnMut() -> Result<Answer, String>,
) -> Result<(), String> {
    loop {
        let answer = ask()?;
        if answer.is_ok() {
            return Ok(());
        }
        if rt::now() >= until {
            return Err(format!(
                "the servers don't find each other: {}",
                answer.status
            ));
        }
        if signals::wait(LOOK_EVERY) == Some(Signal::Terminate) {
            return Err("told to end".to_owned());
        }
    }
}
