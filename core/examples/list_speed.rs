//! Measures the mailbox list: `cargo run --release --example list_speed [NAMES [DIRECTORY]]`.
//!
//! A full sync of NAMES names (a million; half of them users' inboxes and folders in order, a
//! tenth with a second reader), a resync that changes nothing, lookups, LIST for users who see 20
//! names (a new user each time, an ACL changed in between) and LIST for an admin.

#![expect(clippy::print_stdout, reason = "a program that prints its results")]

use std::path::PathBuf;
use std::time::Duration;

use ravenry_core::mailboxes::{
    Acl, Change, Groups, Identity, ListCursor, ListFile, ListQuery, ListReader, ListWriter,
    Location, Name, Namespace, Progress, UserId,
};

fn main() {
    let mut arguments = std::env::args().skip(1);
    let names: u64 = arguments
        .next()
        .map_or(1_000_000, |n| n.parse().expect("a number"));
    let held = tempfile::tempdir().expect("a directory");
    let directory = arguments
        .next()
        .map_or_else(|| held.path().to_owned(), PathBuf::from);
    let (mut writer, reader, opened) = ListFile::open(&directory, 16 << 30).expect("a list");
    println!("opened: {opened:?}");
    for what in ["full sync", "resync without a change"] {
        let (took, ()) = timed(|| sync(&mut writer, names));
        println!("{what}: {took:.2?}, RssAnon {} KiB", rss_anon());
    }
    lookups(&reader, names);
    lists(&mut writer, &reader, names);
    admin(&reader);
    let data = directory.join("mailboxes/data.mdb");
    println!(
        "file: {} MiB",
        data.metadata().map_or(0, |data| data.len() >> 20)
    );
    drop((writer, reader));
    let (took, opened) = timed(|| ListFile::open(&directory, 16 << 30));
    println!("reopened in {took:.2?}: {:?}", opened.expect("a list").2);
}

/// Ten names a user: `user.u0000001`, `user.u0000001.folder2` …
fn change(number: u64) -> Change {
    let (user, folder) = (number / 10, number % 10);
    let name = match folder {
        0 => format!("user.u{user:07}"),
        _ => format!("user.u{user:07}.folder{folder}"),
    };
    let mut acl = format!("u{user:07}\tlrswipkxtecdan\tcyrus\tlrswipkxtecda\t");
    if folder == 5 {
        // Ten users share one name each with ten others: each sees 10 of their own and 10 more.
        for other in 0..10 {
            acl += &format!("u{:07}\tlrs\t", (user / 10) * 10 + other);
        }
    }
    Change::Active {
        name: Name::from_mupdate(name.as_bytes()).expect("a name"),
        location: Location::parse(format!("backend{}.murder.test!default", user % 7).as_bytes()),
        acl: Acl::new(acl.as_bytes()),
    }
}

fn sync(writer: &mut ListWriter, names: u64) {
    let mut token = writer.begin_sync().expect("a sync");
    let mut next = 0;
    while next < names {
        let batch: Vec<Change> = (next..names.min(next + 1000)).map(change).collect();
        writer.apply(&batch, Some(&mut token)).expect("applied");
        next += 1000;
    }
    writer.end_sync(token).expect("ended");
}

fn lookups(reader: &ListReader, names: u64) {
    let mut random = fastrand::Rng::with_seed(1);
    let times = (0..200_000).map(|_| {
        let Change::Active { name, .. } = change(random.u64(..names)) else {
            unreachable!()
        };
        timed(|| reader.lookup(&name).expect("an answer").expect("there")).0
    });
    percentiles("lookup", times.collect());
}

fn lists(writer: &mut ListWriter, reader: &ListReader, names: u64) {
    let mut random = fastrand::Rng::with_seed(2);
    let mut seen = 0;
    let times = (0..20_000_u64).map(|turn| {
        let user = format!("u{:07}", random.u64(..names / 10));
        let Change::Active { name, location, .. } = change(random.u64(..names / 10) * 10) else {
            unreachable!()
        };
        let acl = Acl::new(format!("cyrus\tlrs\tx{turn}\tlrs\t").as_bytes());
        writer
            .apply(
                &[Change::Active {
                    name,
                    location,
                    acl,
                }],
                None,
            )
            .expect("applied");
        let query = query(&user, false);
        let (took, lines) = timed(|| list(reader, &query));
        seen += lines;
        took
    });
    let times: Vec<_> = times.collect();
    println!("LIST sees {} names on average", seen / times.len() as u64);
    percentiles("LIST \"\" \"*\"", times);
}

fn admin(reader: &ListReader) {
    let query = query("cyrus", true);
    let (took, lines) = timed(|| list(reader, &query));
    println!(
        "admin's LIST of {lines}: {took:.2?}, RssAnon {} KiB",
        rss_anon()
    );
}

fn query(user: &str, admin: bool) -> ListQuery {
    let user = UserId::parse(user.as_bytes()).expect("a user");
    let identity = Identity::new(user, admin, &Groups::default());
    let namespace = Namespace {
        separator: b'.',
        alt: false,
    };
    ListQuery::new(identity, namespace, b"", &[b"*"]).expect("a query")
}

fn list(reader: &ListReader, query: &ListQuery) -> u64 {
    let (mut cursor, mut lines) = (ListCursor::default(), 0);
    while reader
        .list_chunk(query, &mut cursor, 500, |_| lines += 1)
        .expect("an answer")
        == Progress::More
    {}
    lines
}

fn percentiles(what: &str, mut times: Vec<Duration>) {
    times.sort_unstable();
    let at = |part: usize| times[times.len() * part / 1000];
    println!(
        "{what}: p50 {:.2?}, p99 {:.2?}, p99.9 {:.2?}",
        at(500),
        at(990),
        at(999)
    );
}

#[expect(
    clippy::disallowed_methods,
    reason = "a measurement, outside any shard"
)]
fn timed<T>(run: impl FnOnce() -> T) -> (Duration, T) {
    let start = std::time::Instant::now();
    let done = run();
    (start.elapsed(), done)
}

fn rss_anon() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("RssAnon:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok())
        .unwrap_or(0)
}
