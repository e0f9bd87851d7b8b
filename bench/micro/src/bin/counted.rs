//! What bench/counts counts the instructions of: `counted PART TIMES` does one piece of work so many times.
//!
//! Two runs with different TIMES differ by the work alone: what comes before and after is the same.

#![expect(clippy::print_stdout, reason = "a program that says how it is used")]

use ravenry_bench::site::Site;
use ravenry_bench::{parts, session};

const SITE: Site = Site { names: 20_000 };

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [part, times] = &arguments[..] else {
        println!("usage: counted commands|responses|lookup|list|acl|noop TIMES");
        std::process::exit(2);
    };
    let times: usize = times.parse().expect("a number");
    match part.as_str() {
        "commands" => {
            (0..times).for_each(|_| assert_eq!(parts::commands(parts::COMMANDS), parts::EACH))
        }
        "responses" => {
            (0..times).for_each(|_| assert_eq!(parts::responses(parts::RESPONSES), parts::EACH))
        }
        "lookup" => with_list(|reader| {
            let names = parts::names(SITE);
            names
                .iter()
                .cycle()
                .take(times)
                .for_each(|name| parts::lookup(reader, name));
        }),
        "list" => with_list(|reader| {
            (0..times as u64)
                .for_each(|turn| assert_eq!(parts::list_all(reader, SITE, turn * 97), 20));
        }),
        "acl" => {
            let (acl, identity) = parts::acl();
            (0..times).for_each(|_| assert!(parts::rights(&acl, &identity).may_know()));
        }
        "noop" => session::noops(times as u64),
        other => panic!("no such part: {other}"),
    }
}

fn with_list(work: impl Fn(&ravenry_core::mailboxes::ListReader)) {
    let directory = tempfile::tempdir().expect("a directory");
    let (_writer, reader) = parts::list(directory.path(), SITE);
    work(&reader);
}
