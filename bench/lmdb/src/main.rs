//! Somebody else reads the list while it is written: `ravenry-bench-lmdb DIRECTORY SECONDS DUMP`.
//!
//! With lmdb-rkv's LMDB (0.9.24; heed has a later one) it goes through the whole table of names, again and
//! again, one read transaction each time, while `churn` writes. Every record has to decode, and the ten
//! mailboxes of a user, which `churn` changes in one transaction, have to show the same turn: in the partition
//! and in the ACL.
//!
//! The two LMDBs have the same data file and different lock files (`VersionMismatch`), so this one reads
//! without, and the writer doesn't know of it: pages of its snapshot are used again from the second commit
//! on. A walk during which there were two is not judged, but counted; there are few of them. Then it waits for DUMP, which `churn` writes when it is done, and the table has to be the same,
//! record by record. Its own decoding: what it has in common with Ravenry is the page
//! docs/protocols/mailbox-list.md.

#![expect(clippy::print_stdout, reason = "a program that prints its results")]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use lmdb::{Cursor, Database, Environment, EnvironmentFlags, Transaction};

const MAP_BYTES: usize = 1 << 30;
const PER_USER: usize = 10;

struct Seen {
    name: String,
    partition: String,
    acl: String,
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [directory, seconds, dump] = &arguments[..] else {
        println!("usage: lmdb DIRECTORY SECONDS DUMP");
        std::process::exit(2);
    };
    let environment = Environment::new()
        .set_flags(EnvironmentFlags::READ_ONLY | EnvironmentFlags::NO_LOCK)
        .set_map_size(MAP_BYTES)
        .set_max_dbs(8)
        .open(Path::new(directory))
        .expect("an environment");
    let names = environment
        .open_db(Some("names"))
        .expect("the table of names");
    let (walks, overtaken, states) = live(&environment, names, seconds.parse().expect("a number"));
    while !Path::new(dump).exists() {
        pause();
    }
    let records = compare(
        &environment,
        names,
        &fs::read_to_string(dump).expect("a dump"),
    );
    println!(
        "{{\"walks\": {walks}, \"overtaken\": {overtaken}, \"states_seen\": {states}, \"records_compared\": {records}}}"
    );
}

/// Walks while it is written: how often, how often in vain, and how many different states came by.
fn live(environment: &Environment, names: Database, seconds: u64) -> (u64, u64, usize) {
    let (mut walks, mut overtaken, mut states) = (0, 0, BTreeSet::new());
    let end = now() + Duration::from_secs(seconds);
    while now() < end {
        let before = commits(environment);
        let seen = walk(environment, names);
        if commits(environment) > before + 1 {
            overtaken += 1;
            continue;
        }
        let seen = seen.expect("records that read well");
        for user in seen.chunks(PER_USER) {
            let first = &user[0].partition;
            for mailbox in user {
                assert_eq!(
                    &mailbox.partition, first,
                    "torn: {} in {}",
                    first, mailbox.name
                );
                let turn = format!("\t{first}\t");
                assert!(
                    mailbox.acl.contains(&turn),
                    "torn: {} has {}",
                    mailbox.name,
                    mailbox.acl
                );
            }
        }
        let newest = seen.iter().map(|mailbox| mailbox.partition.clone()).max();
        states.insert(newest);
        walks += 1;
    }
    (walks, overtaken, states.len())
}

/// The last commit's number.
fn commits(environment: &Environment) -> usize {
    environment.info().expect("what LMDB knows").last_txnid()
}

/// The whole table; `None` if something in it can't be read.
fn walk(environment: &Environment, names: Database) -> Option<Vec<Seen>> {
    let reading = environment.begin_ro_txn().expect("a transaction");
    let mut cursor = reading.open_ro_cursor(names).expect("a cursor");
    let seen = cursor.iter_start().map(|record| {
        let (key, value) = record.ok()?;
        decode(key, value)
    });
    seen.collect()
}

/// id, sequence, state, two lengths, server, partition, ACL; in keys '.' is zero.
fn decode(key: &[u8], value: &[u8]) -> Option<Seen> {
    let name = key.iter().map(|byte| if *byte == 0 { b'.' } else { *byte });
    let (_id_sequence_state, value) = value.split_at_checked(17)?;
    let (server, value) = value.split_first_chunk()?;
    let (partition, value) = value.split_first_chunk()?;
    let (_server, value) = value.split_at_checked(u16::from_le_bytes(*server).into())?;
    let (partition, acl) = value.split_at_checked(u16::from_le_bytes(*partition).into())?;
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).ok();
    Some(Seen {
        name: text(&name.collect::<Vec<_>>())?,
        partition: text(partition)?,
        acl: text(acl)?,
    })
}

fn compare(environment: &Environment, names: Database, dump: &str) -> usize {
    let seen = walk(environment, names).expect("records that read well");
    let mut wanted = dump.lines();
    for mailbox in &seen {
        let line = format!(
            "{} {} {}",
            mailbox.name,
            mailbox.partition,
            mailbox.acl.escape_debug()
        );
        assert_eq!(
            wanted.next(),
            Some(line.as_str()),
            "a record differs from the dump"
        );
    }
    assert_eq!(wanted.next(), None, "a record is missing");
    seen.len()
}

#[expect(clippy::disallowed_methods, reason = "outside any shard")]
fn now() -> Instant {
    Instant::now()
}

#[expect(clippy::disallowed_methods, reason = "outside any shard")]
fn pause() {
    std::thread::sleep(Duration::from_millis(10));
}
