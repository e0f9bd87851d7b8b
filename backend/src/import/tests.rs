//! Maildirs as they are and as somebody who hates us makes them.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use ravenry_core::mailboxes::UserId;

use super::maildir::{date, flags, folders, subscriptions};
use super::wire::each_piece;
use super::*;
use crate::message;
use crate::store::{Flags, Message, Settings, Writer};

struct World {
    directory: tempfile::TempDir,
    writer: Writer,
    store: Store,
    job: Import,
}

impl World {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let maildir = directory.path().join("Maildir");
        for part in ["cur", "new", "tmp"] {
            fs::create_dir_all(maildir.join(part)).unwrap();
        }
        let settings = Settings {
            directory: directory.path().join("state"),
            partitions: [("p".to_owned(), directory.path().join("p"))].into(),
            index_size: 64 << 20,
        };
        let (writer, store, _) = Store::open(&settings).unwrap();
        let job = Import {
            maildir,
            user: UserId::parse(b"alice").unwrap(),
            into: None,
            partition: "p".to_owned(),
            message_size: 10_000,
        };
        Self {
            directory,
            writer,
            store,
            job,
        }
    }

    fn put(&self, path: &str, text: impl AsRef<[u8]>) {
        let path = self.job.maildir.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// What it says, and why it stopped.
    fn import(&mut self) -> (String, Done<()>) {
        let mut said = String::new();
        let done = self
            .job
            .carry_out(&mut self.writer, &self.store, &mut |line| said += line);
        (said, done)
    }

    fn messages(&self, name: &str) -> Vec<(Message, Vec<u8>)> {
        let mailbox = self.mailbox(name).unwrap();
        let mut found = Vec::new();
        let each = |message: Message| {
            let bytes = fs::read(self.store.path(&mailbox, message.uid)).unwrap();
            let mut records = self
                .store
                .structures(&mailbox, std::slice::from_ref(&message));
            let made = message::record(&bytes);
            assert_eq!(records.get(&message), Some(&made[..]));
            found.push((message, bytes));
            true
        };
        self.store
            .each_message(mailbox.id, (1, u32::MAX), each)
            .unwrap();
        found
    }

    fn mailbox(&self, name: &str) -> Option<Mailbox> {
        let name = Name::parse(name.as_bytes()).unwrap();
        self.store.mailbox(&name).unwrap()
    }
}

#[test]
fn messages_come_with_flags_dates_keywords_and_folders() {
    let mut world = World::new();
    world.put("cur/200.a:2,FSab", "A: 1\n\nlate\n");
    world.put("cur/100.b:2,RT", "A: 1\r\n\nearly\r\n");
    world.put("new/300.c", "A: 1\n\nnew");
    world.put("dovecot-keywords", "0 Work\n1 bad(word\nnonsense\n99 Far\n");
    world.put(".Sent.2020/cur/1.x:2,S", "A: 1\n\nsent\n");
    world.put(".Entw&APw-rfe/cur/1.x:2,D", "A: 1\n\ndraft\n");
    world.put(".Müll/cur/1.x:2,", "A: 1\n\ntrash\n");
    world.put(".notafolder/other/1", "x");
    world.put("subscriptions", "V\t2\n\nSent\t2020\nINBOX\nEntw&APw-rfe\n");
    let (said, done) = world.import();
    assert_eq!(done, Ok(()), "{said}");
    assert!(said.ends_with(
        " imported 6 messages (84 bytes) into 4 mailboxes, 0 were there already, 0 were passed over; 3 subscriptions\n"
    ), "{said}");
    let inbox = world.messages("user.alice");
    let texts: Vec<&[u8]> = inbox.iter().map(|(_, bytes)| &**bytes).collect();
    assert_eq!(
        texts,
        [
            &b"A: 1\r\n\r\nearly\r\n"[..],
            b"A: 1\r\n\r\nlate\r\n",
            b"A: 1\r\n\r\nnew"
        ]
    );
    let dates: Vec<i64> = inbox
        .iter()
        .map(|(message, _)| message.date.seconds)
        .collect();
    assert_eq!(dates, [100, 200, 300]);
    let flags: Vec<Flags> = inbox.iter().map(|(message, _)| message.flags).collect();
    assert_eq!(
        (flags[0].system, flags[1].system, flags[2].system),
        (0b101, 0b1010, 0)
    );
    let keywords: Vec<u128> = flags.iter().map(|flags| flags.keywords).collect();
    assert_eq!(keywords, [0, 1, 0]);
    assert_eq!(world.mailbox("user.alice").unwrap().keywords, ["Work"]);
    assert_eq!(world.messages("user.alice.Sent.2020").len(), 1);
    assert_eq!(
        world.messages("user.alice.Entw&APw-rfe")[0].0.flags.system,
        0b1_0000
    );
    assert_eq!(world.messages("user.alice.M&APw-ll").len(), 1);
    assert_eq!(world.store.subscriptions(&world.job.user).unwrap().len(), 3);
}

#[test]
fn run_again_it_adds_what_is_new_alone() {
    let mut world = World::new();
    for number in 0..200 {
        world.put(&format!("cur/{number}.a:2,"), format!("A: {number}\n\nx\n"));
    }
    // The same message twice is two messages.
    world.put("cur/500.twice:2,", "A: twice\n\nx\n");
    world.put("cur/501.twice:2,", "A: twice\n\nx\n");
    // It is interrupted after a commit or two.
    let mut commits = 0;
    let stopped = import(
        &world.store,
        &world.job,
        &mut |orders| {
            commits += 1;
            (commits < 4).then(|| world.writer.carry_out(&orders).outcomes)
        },
        &mut |_, _| true,
    );
    assert!(stopped.unwrap_err().contains("run it again"));
    assert_eq!(world.messages("user.alice").len(), 128);
    let (said, done) = world.import();
    assert_eq!(done, Ok(()));
    assert!(
        said.contains("user.alice: 74 imported, 128 there already, 0 passed over"),
        "{said}"
    );
    world.put("new/600.new", "A: new\n\nx\n");
    let other = maildir::lock(&world.job.maildir).unwrap().unwrap();
    assert!(world.import().1.unwrap_err().contains("already"));
    drop(other);
    let (said, _) = world.import();
    assert!(
        said.contains("user.alice: 1 imported, 202 there already"),
        "{said}"
    );
    assert_eq!(world.messages("user.alice").len(), 203);
    let staging = world.directory.path().join("p/staging");
    assert_eq!(fs::read_dir(staging).unwrap().count(), 0);
}

#[test]
fn what_cannot_be_taken_is_said_and_nothing_is_read_that_is_not_the_users() {
    let mut world = World::new();
    let secret = world.directory.path().join("secret");
    fs::write(&secret, "root:x\n").unwrap();
    let cur = world.job.maildir.join("cur");
    symlink(&secret, cur.join("1.link:2,")).unwrap();
    symlink(world.directory.path(), world.job.maildir.join(".Link")).unwrap();
    let fifo = Command::new("mkfifo")
        .arg(cur.join("2.fifo:2,"))
        .status()
        .unwrap();
    assert!(fifo.success());
    fs::create_dir(cur.join("3.directory:2,")).unwrap();
    world.put("cur/4.nul:2,", "A: 1\n\n\0\n");
    world.put("cur/5.empty:2,", "");
    world.put("cur/6.large:2,", vec![b'\n'; 5_001]);
    world.put("cur/7.fits:2,", vec![b'\n'; 5_000]);
    world.put(".a..b/cur/1.x:2,", "A: 1\n\nx\n");
    let (said, done) = world.import();
    assert_eq!(done, Ok(()), "{said}");
    let wrong: Vec<&str> = said.lines().filter(|line| line.starts_with('!')).collect();
    assert_eq!(wrong.len(), 7, "{said}");
    for (part, why) in [
        ("1.link", "no plain file"),
        ("2.fifo", "no plain file"),
        ("3.directory", "no plain file"),
        ("4.nul", "NUL"),
        ("5.empty", "empty"),
        ("6.large", "message_size"),
        (".a..b", "no mailbox name"),
    ] {
        let is_it = |line: &&str| line.contains(part) && line.contains(why);
        assert!(wrong.iter().any(is_it), "{part}: {said}");
    }
    assert_eq!(world.messages("user.alice").len(), 1);
    assert!(said.contains("7 were passed over"), "{said}");
}

#[test]
fn it_goes_below_another_mailbox_and_a_maildir_has_to_be_one() {
    let mut world = World::new();
    world.put("cur/1.a:2,", "A: 1\n\nx\n");
    world.put(".Sent/cur/1.a:2,", "A: 1\n\nx\n");
    world.job.into = Some("Old.2020".to_owned());
    assert_eq!(world.import().1, Ok(()));
    assert_eq!(world.messages("user.alice.Old.2020").len(), 1);
    assert_eq!(world.messages("user.alice.Old.2020.Sent").len(), 1);
    assert_eq!(world.mailbox("user.alice"), None);
    world.job.maildir = world.directory.path().to_owned();
    assert!(world.import().1.unwrap_err().contains("is no Maildir"));
}

#[test]
fn names_of_files_say_flags_and_dates() {
    let names = [Some("Work".to_owned()), None, Some("work".to_owned())];
    let none: (u8, Vec<String>) = (0, Vec::new());
    for (name, wanted) in [
        ("1.a:2,S", (0b1000, vec![])),
        ("1.a:2,", none.clone()),
        ("1.a", none.clone()),
        ("1.a,S=100:2,RFTSD", (0b1_1111, vec![])),
        ("1.a:2,acz", (0, vec!["Work".to_owned()])),
        ("1.a:2,P", (0, vec!["$Forwarded".to_owned()])),
        ("1.a:2,S,extra=F", (0b1000, vec![])),
        (":2,:2,F", (0b10, vec![])),
        ("1.a:1,S", none),
    ] {
        assert_eq!(flags(name.as_bytes(), &names), wanted, "{name}");
    }
    for (name, modified, wanted) in [
        ("100.a:2,", 50, 50),
        ("100.a:2,", 150, 100),
        ("99999999999999999999.a", 7, 7),
        ("a.b", 7, 7),
        ("100", 7, 7),
        ("0.a", 7, 7),
        ("-5.a", -7, 0),
        ("", i64::MAX, i64::from(u32::MAX)),
    ] {
        assert_eq!(date(name.as_bytes(), modified).seconds, wanted, "{name}");
    }
}

#[test]
fn lines_end_as_on_the_wire_wherever_a_read_is_cut() {
    struct Cut<'a>(&'a [u8], usize);
    impl std::io::Read for Cut<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            let len = self.1.min(self.0.len()).min(buffer.len());
            let (now, later) = self.0.split_at(len);
            buffer[..len].copy_from_slice(now);
            self.0 = later;
            Ok(len)
        }
    }
    let text = b"\na\r\nb\n\r\n\n\r\r\nc\rd\r";
    for cut in 1..=text.len() {
        let mut wire = Vec::new();
        let take = |piece: &[u8]| {
            wire.extend_from_slice(piece);
            Ok(())
        };
        each_piece(Cut(text, cut), take).unwrap();
        assert_eq!(
            wire, b"\r\na\r\nb\r\n\r\n\r\n\r\r\nc\rd\r",
            "cut every {cut}"
        );
    }
}

#[test]
fn subscriptions_of_both_kinds() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    assert!(subscriptions(path).is_empty() && folders(Path::new("/nowhere")).is_err());
    fs::write(
        path.join("courierimapsubscribed"),
        "INBOX\nINBOX.Sent\nINBOX.a.b\n\n",
    )
    .unwrap();
    assert_eq!(subscriptions(path), [&b""[..], b"Sent", b"a.b"]);
}
