//! What a backend does in a selected mailbox: each connection counts the messages as it has told its peer
//! of them, and tells what has happened where that may be told (RFC 3501 section 7.4.1).

use std::fmt::Write;

use crate::backend::Connection;
use crate::hostile;
use crate::site::{Held, Site};

type Words = [Vec<u8>];

/// A mailbox that is selected over a connection.
pub(crate) struct Opened {
    pub(crate) name: String,
    /// The UIDs by the numbers that the peer knows.
    pub(crate) numbers: Vec<u32>,
    /// It was selected by the frontend itself, to take back what it has appended.
    pub(crate) back: bool,
}

/// The frontend's own commands have this tag.
pub(crate) const OWN_TAG: &str = "RVN";

fn text(word: &[u8]) -> String {
    String::from_utf8_lossy(word).into_owned()
}

/// Flags from a list, or from a single one.
pub(crate) fn flags(word: &[u8]) -> crate::site::Flags {
    let text = text(word);
    let inner = text.trim_matches(['(', ')']);
    inner.split_ascii_whitespace().map(str::to_owned).collect()
}

impl Opened {
    /// Tells what has happened: messages that have come, and, where they may be told, those that have gone:
    /// `Some(true)`: by VANISHED.
    pub(crate) fn tell(&mut self, site: &Site, gone: Option<bool>, out: &mut Vec<u8>) {
        let mailboxes = site.mailboxes.borrow();
        let Some(mailbox) = mailboxes.get(&self.name) else {
            return;
        };
        let mut lines = String::new();
        let (mut at, mut vanished) = (0, Vec::new());
        while gone.is_some() && at < self.numbers.len() {
            if mailbox.messages.contains_key(&self.numbers[at]) {
                at += 1;
                continue;
            }
            vanished.push(self.numbers.remove(at).to_string());
            if gone == Some(false) {
                let _ = write!(lines, "* {} EXPUNGE\r\n", at + 1);
            }
        }
        if gone == Some(true) && !vanished.is_empty() {
            let _ = write!(lines, "* VANISHED {}\r\n", vanished.join(","));
        }
        let last = self.numbers.last().copied().unwrap_or_default();
        let before = self.numbers.len();
        self.numbers
            .extend(mailbox.messages.range(last + 1..).map(|(uid, _)| *uid));
        if self.numbers.len() > before {
            let _ = write!(lines, "* {} EXISTS\r\n* 0 RECENT\r\n", self.numbers.len());
        }
        out.extend_from_slice(lines.as_bytes());
    }

    /// The messages of a set, with their numbers.
    fn chosen(&self, set: &str, by_uid: bool) -> Vec<(usize, u32)> {
        let numbers = self.numbers.iter().zip(1..);
        let named =
            numbers.filter(|(uid, number)| contains(set, if by_uid { **uid } else { *number }));
        named.map(|(uid, number)| (number as usize, *uid)).collect()
    }
}

impl Connection {
    /// A command in the selected mailbox.
    pub(crate) fn message_command(
        &mut self,
        tag: &str,
        verb: &str,
        words: &Words,
        by_uid: bool,
    ) -> (Vec<u8>, String) {
        let Some(mut opened) = self.selected.take() else {
            return (Vec::new(), "BAD nothing is selected".to_owned());
        };
        let answer = if self.site.has(&opened.name) {
            self.in_mailbox(&mut opened, tag, verb, words, by_uid)
        } else {
            (Vec::new(), "NO Mailbox has been deleted".to_owned())
        };
        self.selected = Some(opened);
        answer
    }

    fn in_mailbox(
        &self,
        opened: &mut Opened,
        tag: &str,
        verb: &str,
        words: &Words,
        by_uid: bool,
    ) -> (Vec<u8>, String) {
        let mut out = Vec::new();
        if by_uid {
            opened.tell(&self.site, None, &mut out);
        }
        let set = words.first().map(|set| text(set)).unwrap_or_default();
        let chosen = opened.chosen(&set, by_uid);
        match verb {
            "FETCH" => {
                let asked = text(&words[1]);
                // UID FETCH gives the UID, asked for or not.
                let uid = if by_uid && !asked.contains("UID") {
                    "UID "
                } else {
                    ""
                };
                self.fetch(
                    opened,
                    &chosen,
                    &asked.replacen('(', &format!("({uid}"), 1),
                    &mut out,
                );
            }
            "STORE" => self.store(opened, &chosen, by_uid, &words[1..], &mut out),
            "SEARCH" => {
                let uids = opened.numbers.iter().map(|uid| format!(" {uid}"));
                let line = format!("* SEARCH{}\r\n", uids.collect::<String>());
                out.extend_from_slice(line.as_bytes());
            }
            "EXPUNGE" if by_uid && !self.able().uidplus => {
                return (out, "BAD no UIDPLUS here".to_owned());
            }
            "EXPUNGE" => {
                let all: Vec<u32> = opened.numbers.clone();
                let named = chosen.iter().map(|(_, uid)| *uid).collect();
                self.remove(opened, tag, if by_uid { named } else { all });
            }
            "CHECK" => {}
            _ => return self.unknown(words),
        }
        let untold = ["FETCH", "STORE", "SEARCH"].contains(&verb) && !by_uid;
        opened.back &= ["STORE", "EXPUNGE"].contains(&verb);
        opened.tell(&self.site, (!untold).then_some(self.vanishes), &mut out);
        (out, "OK done".to_owned())
    }

    fn fetch(&self, opened: &Opened, chosen: &[(usize, u32)], items: &str, out: &mut Vec<u8>) {
        let mailboxes = self.site.mailboxes.borrow();
        let Some(mailbox) = mailboxes.get(&opened.name) else {
            return;
        };
        let found = chosen
            .iter()
            .filter_map(|(number, uid)| Some((*number, *uid, mailbox.messages.get(uid)?)));
        let lies = self.hostility(items);
        if let Some(lie) = lies {
            return hostile::fetched(&self.site, lie, found, items, out);
        }
        for (number, uid, held) in found {
            respond(out, number, uid, held, (items, self.able().uid_first));
        }
    }

    fn store(
        &self,
        opened: &Opened,
        chosen: &[(usize, u32)],
        by_uid: bool,
        words: &Words,
        out: &mut Vec<u8>,
    ) {
        let (how, named) = (text(&words[0]), flags(&words[1]));
        for (number, uid) in chosen {
            self.site.set_flags(&opened.name, *uid, |flags| {
                for flag in &named {
                    if how.starts_with('+') {
                        flags.insert(flag.clone());
                    } else {
                        flags.remove(flag);
                    }
                }
            });
            let mailboxes = self.site.mailboxes.borrow();
            let held = mailboxes.get(&opened.name);
            let held = held.and_then(|mailbox| mailbox.messages.get(uid));
            if let Some(held) = held.filter(|_| !how.ends_with(".SILENT")) {
                let items = if by_uid { "(UID FLAGS)" } else { "(FLAGS)" };
                respond(out, *number, *uid, held, (items, true));
            }
        }
    }

    /// Removes those of the messages that have \Deleted.
    fn remove(&self, opened: &Opened, tag: &str, uids: Vec<u32>) {
        for uid in uids {
            let key = {
                let mailboxes = self.site.mailboxes.borrow();
                let held = mailboxes[&opened.name].messages.get(&uid);
                let deleted = held.filter(|held| held.flags.contains("\\Deleted"));
                deleted.map(|held| held.message.key)
            };
            let Some(key) = key else { continue };
            let mut ledger = self.site.ledger.borrow_mut();
            let wrong = if tag == OWN_TAG {
                ledger.taken(&opened.name, key, opened.back)
            } else {
                ledger.removed.insert(key);
                None
            };
            drop(ledger);
            if let Some(wrong) = wrong {
                self.site.world.fail(wrong);
            }
            self.site.expunge(&opened.name, uid);
        }
    }
}

/// A FETCH response, in one of the forms that servers use: with the UID first, or last.
pub(crate) fn respond(
    out: &mut Vec<u8>,
    number: usize,
    uid: u32,
    held: &Held,
    (items, uid_first): (&str, bool),
) {
    let mut before = Vec::new();
    if items.contains("FLAGS") || items.contains("BODY") {
        before.push(format!("FLAGS {}", held.list()));
    }
    if items.contains("INTERNALDATE") {
        before.push(format!("INTERNALDATE \"{}\"", held.date));
    }
    if items.contains("RFC822.SIZE") {
        before.push(format!("RFC822.SIZE {}", held.message.size));
    }
    let (mut after, uid) = (String::new(), format!("UID {uid}"));
    if items.contains("UID") || items.contains("BODY") {
        if uid_first {
            before.insert(0, uid);
        } else if items.contains("BODY") {
            after = format!(" {uid}");
        } else {
            before.push(uid);
        }
    }
    if items.contains("BODY") {
        before.retain(|item| !item.starts_with("FLAGS") || items.contains("FLAGS"));
        let size = held.message.size;
        before.push(format!("BODY[] {{{size}}}\r\n"));
        out.extend_from_slice(format!("* {number} FETCH ({}", before.join(" ")).as_bytes());
        out.extend_from_slice(&held.message.bytes());
        out.extend_from_slice(format!("{after})\r\n").as_bytes());
        return;
    }
    out.extend_from_slice(format!("* {number} FETCH ({})\r\n", before.join(" ")).as_bytes());
}

/// Whether a set like `3`, `2:4` or `1:*` has a number.
fn contains(set: &str, number: u32) -> bool {
    set.split(',').any(|part| match part.split_once(':') {
        Some((from, "*")) => from.parse().is_ok_and(|from: u32| number >= from),
        Some((from, to)) => {
            from.parse().is_ok_and(|from: u32| number >= from)
                && to.parse().is_ok_and(|to: u32| number <= to)
        }
        None => part.parse() == Ok(number),
    })
}
