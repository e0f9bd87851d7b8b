//! A backend that lies: what it says of its messages and of what it was given is malformed, too much, or not
//! what it has. What it holds is true all the same, so that every message can still be accounted for.

use crate::dice;
use crate::messages::respond;
use crate::site::{Held, Site};

/// What a backend lies about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lie {
    NilBody,
    QuotedBody,
    EmptyBody,
    ShortBody,
    NoUid,
    BodiesTwice,
    BodyUnasked,
    Flood,
    ManyUids,
    ManyFacts,
    FactsTwice,
    Large,
    EarlyEnd,
    AppendedAll,
    AppendedMore,
    AppendedMany,
    AppendedNothing,
    OkTooSoon,
}

const LIES: [(Lie, &str); 18] = [
    (Lie::NilBody, "lie: NIL for a body"),
    (Lie::QuotedBody, "lie: \"\" for a body"),
    (Lie::EmptyBody, "lie: no bytes for a body"),
    (Lie::ShortBody, "lie: half of a body"),
    (Lie::NoUid, "lie: bodies without UID"),
    (Lie::BodiesTwice, "lie: each body twice"),
    (Lie::BodyUnasked, "lie: a body that nobody asked for"),
    (Lie::Flood, "lie: a flood of untagged responses"),
    (Lie::ManyUids, "lie: a flood of UIDs"),
    (Lie::ManyFacts, "lie: a flood of flags and sizes"),
    (Lie::FactsTwice, "lie: flags and sizes twice"),
    (Lie::Large, "lie: larger than it is"),
    (Lie::EarlyEnd, "lie: the last message left out"),
    (Lie::AppendedAll, "lie: APPENDUID 1:4294967295"),
    (Lie::AppendedMore, "lie: APPENDUID of one more"),
    (Lie::AppendedMany, "lie: APPENDUID of a megabyte"),
    (Lie::AppendedNothing, "lie: APPENDUID of nothing"),
    (Lie::OkTooSoon, "lie: OK to a message that hasn't been sent"),
];
pub(crate) const NAMES: [&str; LIES.len()] = {
    let mut names = [""; LIES.len()];
    let mut at = 0;
    while at < LIES.len() {
        names[at] = LIES[at].1;
        at += 1;
    }
    names
};
/// How many untagged responses a flood has: more than any buffer takes, and more than UIDs are taken.
const FLOOD: u32 = 4_000;
const FLOOD_OF_UIDS: u32 = 33_000;

/// One of them.
pub(crate) fn any() -> Lie {
    dice::one_of(&LIES).0
}

/// Whether a lie is about what is asked: the items of a FETCH, or APPENDUID.
pub(crate) fn concerns(lie: Lie, about: &str) -> bool {
    let body = about.contains("BODY");
    let uids = about == "(UID RFC822.SIZE)";
    let facts = about.contains("INTERNALDATE");
    let concerned = match lie {
        Lie::NilBody
        | Lie::QuotedBody
        | Lie::EmptyBody
        | Lie::ShortBody
        | Lie::NoUid
        | Lie::BodiesTwice
        | Lie::BodyUnasked => body,
        Lie::ManyUids => uids,
        Lie::ManyFacts | Lie::FactsTwice | Lie::Large => facts,
        Lie::Flood | Lie::EarlyEnd => body || facts,
        Lie::AppendedAll | Lie::AppendedMore | Lie::AppendedMany | Lie::AppendedNothing => {
            about == "APPENDUID"
        }
        Lie::OkTooSoon => about == "APPEND",
    };
    // A flood takes its time.
    let floods = matches!(lie, Lie::Flood | Lie::ManyUids | Lie::ManyFacts);
    concerned && dice::percent(if floods { 25 } else { 60 })
}

pub(crate) fn told(site: &Site, lie: Lie) {
    let known = LIES.iter().find(|(known, _)| *known == lie);
    site.misdeed(known.expect("each has a name").1);
}

/// A FETCH's responses, as a liar gives them.
pub(crate) fn fetched<'a>(
    site: &Site,
    lie: Lie,
    found: impl Iterator<Item = (usize, u32, &'a Held)>,
    items: &str,
    out: &mut Vec<u8>,
) {
    let mut found: Vec<_> = found.collect();
    if found.is_empty() {
        return;
    }
    told(site, lie);
    match lie {
        Lie::EarlyEnd => drop(found.pop()),
        Lie::Flood => flood(out, FLOOD, |n| {
            format!("* OK [ALERT] {n}\r\n* 0 RECENT\r\n")
        }),
        Lie::ManyUids => flood(out, FLOOD_OF_UIDS, |n| {
            format!("* 1 FETCH (UID {} RFC822.SIZE 9)\r\n", 1000 + 2 * n)
        }),
        Lie::ManyFacts => flood(out, FLOOD, |n| {
            let uid = 1000 + 2 * n;
            format!("* 1 FETCH (UID {uid} FLAGS ($f) INTERNALDATE \"x\" RFC822.SIZE 9)\r\n")
        }),
        Lie::BodyUnasked => {
            let text = "* 1 FETCH (UID 4000000000 BODY[] {9}\r\nnonsense\n)\r\n";
            out.extend_from_slice(text.as_bytes());
        }
        _ => {}
    }
    for (number, uid, held) in found {
        let (size, bytes) = (held.message.size, held.message.bytes());
        let bytes = match lie {
            Lie::EmptyBody => &bytes[..0],
            Lie::ShortBody => &bytes[..bytes.len() / 2],
            _ => &bytes[..],
        };
        match lie {
            Lie::NilBody => push(out, &format!("* {number} FETCH (UID {uid} BODY[] NIL)\r\n")),
            Lie::QuotedBody => push(
                out,
                &format!("* {number} FETCH (UID {uid} BODY[] \"\")\r\n"),
            ),
            Lie::EmptyBody | Lie::ShortBody | Lie::NoUid => {
                let uid = if lie == Lie::NoUid {
                    String::new()
                } else {
                    format!("UID {uid} ")
                };
                push(
                    out,
                    &format!("* {number} FETCH ({uid}BODY[] {{{}}}\r\n", bytes.len()),
                );
                out.extend_from_slice(bytes);
                push(out, ")\r\n");
            }
            Lie::BodiesTwice | Lie::FactsTwice => {
                respond(out, number, uid, held, (items, true));
                respond(out, number, uid, held, (items, true));
            }
            Lie::Large => {
                let line = format!(
                    "* {number} FETCH (UID {uid} FLAGS {} INTERNALDATE \"{}\" RFC822.SIZE {})\r\n",
                    held.list(),
                    held.date,
                    size + (2 << 20)
                );
                push(out, &line);
            }
            _ => respond(out, number, uid, held, (items, true)),
        }
    }
}

fn push(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(text.as_bytes());
}

fn flood(out: &mut Vec<u8>, lines: u32, line: impl Fn(u32) -> String) {
    (0..lines).for_each(|n| push(out, &line(n)));
}

/// The reply to an APPEND of messages that have these UIDs now.
pub(crate) fn appended(site: &Site, lie: Lie, validity: u32, uids: &[String]) -> String {
    told(site, lie);
    let set = uids.join(",");
    let set = match lie {
        Lie::AppendedAll => "1:4294967295".to_owned(),
        Lie::AppendedMore => format!("{set},4000000000"),
        Lie::AppendedMany => {
            (0..60_000)
                .map(|n| format!("{},", 2 * n + 1))
                .collect::<String>()
                + &set
        }
        _ => String::new(),
    };
    format!("OK [APPENDUID {validity} {set}] done")
}
