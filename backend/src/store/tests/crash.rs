//! A process that is killed at any moment: what it was told is done is there, what it wasn't told of does no harm.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use super::{Order, Outcome, body, created, incoming, messages, name, one, open, uids};
use crate::store::{FlagChange, Flags, Mailbox, Mode, Store};

/// Set where this test's program is the one that is to be killed.
const ROOT: &str = "RAVENRY_TEST_STORE";

/// Appends, flags and expunges without end, and says what is done.
fn work(root: &str) -> ! {
    let (mut writer, store, _) = open(root.as_ref());
    let inbox = match store.mailbox(&name("user.alice")).unwrap() {
        Some(mailbox) => mailbox.id,
        None => created(&mut writer, "user.alice"),
    };
    let mut out = std::io::stdout();
    let mut last: Option<u32> = None;
    loop {
        let uidnext = store.mailbox_by_id(inbox).unwrap().unwrap().uidnext;
        let three: Vec<Order> = (0..3)
            .map(|place| Order::Append {
                mailbox: inbox,
                messages: vec![incoming(&store, &text(uidnext + place), 0, &[])],
            })
            .collect();
        let group = writer.carry_out(&three);
        assert!(group.outcomes.iter().all(Result::is_ok), "{group:?}");
        writeln!(out, "appended {}", uidnext + 2).unwrap();
        if let Some(last) = last.replace(uidnext) {
            let change = FlagChange {
                mode: Mode::Add,
                system: Flags::DELETED,
                keywords: Vec::new(),
                unchanged_since: None,
            };
            let set = uids(&last.to_string());
            one(
                &mut writer,
                Order::Flags {
                    mailbox: inbox,
                    uids: set.clone(),
                    change,
                },
            )
            .unwrap();
            one(
                &mut writer,
                Order::Expunge {
                    mailbox: inbox,
                    uids: Some(set),
                },
            )
            .unwrap();
            writeln!(out, "expunged {last}").unwrap();
        }
    }
}

/// What the killed processes had said was done.
#[derive(Default)]
struct Told {
    /// The highest UID that was appended.
    appended: u32,
    expunged: BTreeSet<u32>,
}

impl Told {
    fn note(&mut self, line: &str) {
        let mut words = line.split_whitespace();
        match (words.next(), words.next().and_then(|uid| uid.parse().ok())) {
            (Some("appended"), Some(uid)) => self.appended = uid,
            (Some("expunged"), Some(uid)) => drop(self.expunged.insert(uid)),
            _ => {}
        }
    }

    /// Runs one until it has done something, and kills it some time later.
    fn run_and_kill(&mut self, root: &Path, after: Duration) {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "store::tests::crash::killed_at_any_moment",
                "--nocapture",
            ])
            .env(ROOT, root)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut lines = lines.map_while(Result::ok);
        let begun = lines.by_ref().find(|line| line.starts_with("appended"));
        self.note(&begun.expect("it works"));
        #[expect(
            clippy::disallowed_methods,
            reason = "a process is waited for, no shard"
        )]
        std::thread::sleep(after);
        child.kill().unwrap();
        lines.for_each(|line| self.note(&line));
        child.wait().unwrap();
    }

    /// All that was told is so; `rounds`: how many expunges may have been done and not told.
    fn check(&self, store: &Store, mailbox: &Mailbox, rounds: usize) {
        assert!(
            mailbox.uidnext > self.appended,
            "{} of {}",
            mailbox.uidnext,
            self.appended
        );
        let there = messages(store, mailbox.id);
        assert_eq!(mailbox.exists as usize, there.len());
        let kept: BTreeSet<u32> = there.iter().map(|message| message.uid).collect();
        assert!(kept.is_disjoint(&self.expunged), "what is gone stays gone");
        let missing =
            (1..=self.appended).filter(|uid| !kept.contains(uid) && !self.expunged.contains(uid));
        assert!(
            missing.count() <= rounds,
            "a message that was acknowledged is away"
        );
        for uid in kept {
            assert_eq!(body(store, mailbox.id, uid), text(uid), "{uid}");
        }
    }
}

fn text(uid: u32) -> Vec<u8> {
    format!("Subject: {uid}\r\n\r\n").into_bytes()
}

#[test]
fn killed_at_any_moment() {
    if let Ok(root) = std::env::var(ROOT) {
        work(&root);
    }
    let root = tempfile::tempdir().unwrap();
    let mut told = Told::default();
    for round in 0..8_usize {
        // As long as it takes for some groups, and not the same each time.
        told.run_and_kill(root.path(), Duration::from_millis(20 + round as u64 * 7));
        let (mut writer, store, found) = open(root.path());
        assert!(found.crashed && found.missing.is_empty(), "{found:?}");
        let mailbox = store.mailbox(&name("user.alice")).unwrap().unwrap();
        told.check(&store, &mailbox, round + 1);
        // No UID twice: a file that was found without a record is away, and the next one is new.
        let message = incoming(&store, &text(mailbox.uidnext), 0, &[]);
        let next = Order::Append {
            mailbox: mailbox.id,
            messages: vec![message],
        };
        assert!(matches!(one(&mut writer, next), Ok(Outcome::Appended(_))));
        told.appended = told.appended.max(mailbox.uidnext);
    }
    assert!(
        told.appended > 24,
        "it came to something: {}",
        told.appended
    );
}
