//! Measures the mailbox list as a frontend has it: `list DIRECTORY NAMES`, one line of JSON.
//!
//! A full sync, a resync that changes nothing, lookups of random names, LIST "" "*" of a user who sees twenty
//! (a random user each time, an ACL changed in between), of readers who see more, and of an admin. The list is
//! opened as `ravenry serve` opens it: the same flags, a file on disk.

#![expect(clippy::print_stdout, reason = "a program that prints its results")]

use std::path::Path;
use std::time::Duration;

use ravenry_bench::site::{PER_USER, Site, query};
use ravenry_bench::{micros, percentiles, rss_anon_kib, timed};
use ravenry_core::mailboxes::{
    Acl, Change, ListCursor, ListFile, ListQuery, ListReader, ListWriter, Location, Progress,
};
use serde_json::{Value, json};

const LOOKUPS: u64 = 200_000;
const LISTS: u64 = 20_000;
/// Names that a reader's LISTs go over in all.
const READ: u64 = 1_000_000;
/// Lines that the frontend takes at once.
const LINES_AT_ONCE: usize = 256;
const MAP_BYTES: usize = 16 << 30;
/// What the follower commits at once.
const BATCH: u64 = 1000;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [directory, names] = &arguments[..] else {
        println!("usage: list DIRECTORY NAMES");
        std::process::exit(2);
    };
    let names = names.parse().expect("a number");
    println!("{}", measure(Path::new(directory), Site { names }));
}

fn measure(directory: &Path, site: Site) -> Value {
    let held = tempfile::tempdir_in(directory).expect("a directory");
    let (mut writer, reader, _) = ListFile::open(held.path(), MAP_BYTES).expect("a list");
    let (synced, ()) = timed(|| sync(&mut writer, site));
    let (again, ()) = timed(|| sync(&mut writer, site));
    let lookup = lookups(&reader, site);
    let (seen, list) = lists(&mut writer, &reader, site);
    let data = held.path().join("mailboxes/data.mdb");
    json!({
        "names": site.names,
        "sync_s": synced.as_secs_f64(),
        "resync_s": again.as_secs_f64(),
        "lookup": lookup,
        "list_sees": seen,
        "list": list,
        "readers": readers(&reader, site),
        "admin": admin(&reader),
        "file_mib": data.metadata().map_or(0, |data| data.len() >> 20),
        "rss_anon_kib": rss_anon_kib(),
    })
}

fn sync(writer: &mut ListWriter, site: Site) {
    let mut token = writer.begin_sync().expect("a sync");
    for from in (0..site.names).step_by(usize::try_from(BATCH).expect("small")) {
        let batch: Vec<Change> = (from..site.names.min(from + BATCH))
            .map(|number| site.change(number))
            .collect();
        writer.apply(&batch, Some(&mut token)).expect("applied");
    }
    writer.end_sync(token).expect("ended");
}

fn lookups(reader: &ListReader, site: Site) -> Value {
    let mut random = fastrand::Rng::with_seed(1);
    let times = (0..LOOKUPS).map(|_| {
        let name = site.parsed(random.u64(..site.names));
        timed(|| reader.lookup(&name).expect("an answer").expect("there")).0
    });
    percentiles(times.collect())
}

/// How many names a user saw on the average, and how long it took.
fn lists(writer: &mut ListWriter, reader: &ListReader, site: Site) -> (f64, Value) {
    let mut random = fastrand::Rng::with_seed(2);
    let mut seen = 0;
    let times: Vec<Duration> = (0..LISTS)
        .map(|turn| {
            let query = query(&site.user(random.u64(..site.users())), false, b"*");
            change_an_acl(writer, site, random.u64(..site.users()), turn);
            let (took, lines) = timed(|| list(reader, &query));
            seen += lines;
            took
        })
        .collect();
    (seen as f64 / times.len() as f64, percentiles(times))
}

/// An inbox gets one reader more, another one each time: a commit, and pages that no reader has seen.
fn change_an_acl(writer: &mut ListWriter, site: Site, user: u64, turn: u64) {
    let acl = format!("cyrus\tlrs\tx{turn}\tlrs\t");
    let change = Change::Active {
        name: site.parsed(user * PER_USER),
        location: Location::parse(site.location(user).as_bytes()),
        acl: Acl::new(acl.as_bytes()),
    };
    writer.apply(&[change], None).expect("applied");
}

fn readers(reader: &ListReader, site: Site) -> Vec<Value> {
    let measured = site.readers().map(|sees| {
        let query = query(&format!("reader{sees}"), false, b"*");
        let (mut times, mut seen) = (Vec::new(), 0);
        for _ in 0..(READ / sees).max(10) {
            let (took, lines) = timed(|| list(reader, &query));
            times.push(took);
            seen = lines;
        }
        json!({ "sees": seen, "list": percentiles(times) })
    });
    measured.collect()
}

fn admin(reader: &ListReader) -> Value {
    let query = query("cyrus", true, b"*");
    let (took, lines) = timed(|| list(reader, &query));
    json!({ "sees": lines, "list_us": micros(took) })
}

fn list(reader: &ListReader, query: &ListQuery) -> u64 {
    let (mut cursor, mut lines) = (ListCursor::default(), 0);
    while reader
        .list_chunk(query, &mut cursor, LINES_AT_ONCE, |_| lines += 1)
        .expect("an answer")
        == Progress::More
    {}
    lines
}
