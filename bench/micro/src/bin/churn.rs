//! Writes the list as the follower does, for somebody else to read meanwhile: `churn STATE_DIR NAMES SECONDS DUMP`.
//!
//! Every turn changes all mailboxes of some users, each user's in one transaction: the turn's number is their
//! partition and an identifier in their ACL. It prints a line when the list is whole; at the end it writes DUMP, a line
//! a mailbox.

#![expect(clippy::print_stdout, reason = "a program that prints its results")]

use std::path::Path;
use std::time::Duration;

use ravenry_bench::site::{PER_USER, Site};
use ravenry_core::mailboxes::{Acl, Change, ListFile, ListReader, ListWriter, Location};
use ravenry_core::rt;

const MAP_BYTES: usize = 1 << 30;
/// Users whose mailboxes one transaction changes.
const USERS: u64 = 20;
/// Between transactions: a walk over all of it takes less, and sees one commit at most.
const PAUSE: Duration = Duration::from_millis(20);

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [directory, names, seconds, dump] = &arguments[..] else {
        println!("usage: churn STATE_DIR NAMES SECONDS DUMP");
        std::process::exit(2);
    };
    let names = names.parse().expect("a number");
    let seconds = Duration::from_secs(seconds.parse().expect("a number"));
    let (mut writer, reader, _) = ListFile::open(Path::new(directory), MAP_BYTES).expect("a list");
    let site = Site { names };
    sync(&mut writer, site);
    println!("{{\"names\": {names}}}");
    let turns = churn(&mut writer, site, seconds);
    println!("{{\"transactions\": {turns}}}");
    write_dump(&reader, site, Path::new(dump));
    // Whoever reads still has the file mapped; this process stays its owner until its input ends.
    let _ = std::io::read_to_string(std::io::stdin());
}

fn sync(writer: &mut ListWriter, site: Site) {
    let mut token = writer.begin_sync().expect("a sync");
    let users: Vec<u64> = (0..site.users()).collect();
    for some in users.chunks(100) {
        let changes: Vec<_> = some
            .iter()
            .flat_map(|user| changed(site, *user, 0))
            .collect();
        writer.apply(&changes, Some(&mut token)).expect("applied");
    }
    writer.end_sync(token).expect("ended");
}

fn churn(writer: &mut ListWriter, site: Site, within: Duration) -> u64 {
    let mut random = fastrand::Rng::with_seed(4);
    let (end, mut turn) = (rt::now() + within, 0);
    while rt::now() < end {
        turn += 1;
        let users = (0..USERS).map(|_| random.u64(..site.users()));
        let changes: Vec<_> = users.flat_map(|user| changed(site, user, turn)).collect();
        writer.apply(&changes, None).expect("applied");
        pause();
    }
    turn
}

#[expect(clippy::disallowed_methods, reason = "outside any shard")]
fn pause() {
    std::thread::sleep(PAUSE);
}

fn changed(site: Site, user: u64, turn: u64) -> Vec<Change> {
    let turn = format!("turn{turn:08}");
    let mailboxes = user * PER_USER..(user + 1) * PER_USER;
    let mailboxes = mailboxes.map(|number| Change::Active {
        name: site.parsed(number),
        location: Location::parse(format!("backend.murder.test!{turn}").as_bytes()),
        // Its length changes as well.
        acl: Acl::new(
            format!("{}\t{turn}\tlrs\t", site.acl(number))
                .replace("\t\t", "\t")
                .as_bytes(),
        ),
    });
    mailboxes.collect()
}

fn write_dump(reader: &ListReader, site: Site, path: &Path) {
    let mut names: Vec<_> = (0..site.names).map(|number| site.parsed(number)).collect();
    names.sort_by_key(|name| {
        name.as_bytes()
            .iter()
            .map(|byte| if *byte == b'.' { 0 } else { *byte })
            .collect::<Vec<_>>()
    });
    let lines = names.iter().map(|name| {
        let entry = reader.lookup(name).expect("an answer").expect("there");
        let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
        let (name, acl) = (text(name.as_bytes()), text(entry.acl.as_bytes()));
        format!(
            "{name} {} {}\n",
            entry.location.partition,
            acl.escape_debug()
        )
    });
    let whole: String = lines.collect();
    // At once: whoever waits for it finds all of it.
    let new = path.with_extension("new");
    std::fs::write(&new, whole).expect("written");
    std::fs::rename(&new, path).expect("renamed");
}
