//! What a backend's commands answer, from what is true in the site.

use std::fmt::Write;

use crate::backend::Connection;
use crate::dice;
use crate::site::{Message, internal};

type Words = [Vec<u8>];

fn text(word: &[u8]) -> String {
    String::from_utf8_lossy(word).into_owned()
}

impl Connection {
    pub(crate) fn answer(&mut self, tag: &str, verb: &str, words: &Words) -> Vec<u8> {
        let (mut untagged, status) = match verb {
            "UID" => {
                let verb = text(&words[1]).to_ascii_uppercase();
                self.message_command(&verb, &words[2..], true)
            }
            "FETCH" | "STORE" | "SEARCH" | "EXPUNGE" | "CHECK" => {
                self.message_command(verb, &words[1..], false)
            }
            "NOOP" => (Vec::new(), "OK done"),
            "CLOSE" => {
                self.selected = None;
                (Vec::new(), "OK done")
            }
            "APPEND" => self.append(&words[1..]),
            "LSUB" => self.lsub(),
            _ => match words.get(1) {
                Some(given) => self.mailbox_command(verb, &text(given), words),
                None => self.unknown(words),
            },
        };
        untagged.extend_from_slice(format!("{tag} {status}\r\n").as_bytes());
        untagged
    }

    fn unknown(&self, words: &Words) -> (Vec<u8>, &'static str) {
        let said = words.join(&b' ').escape_ascii().to_string();
        self.site.world.fail(format!("a backend was sent {said}"));
        (Vec::new(), "BAD unknown")
    }

    /// Whether this backend has a mailbox.
    fn has(&self, name: &str) -> bool {
        let mailboxes = self.site.mailboxes.borrow();
        mailboxes
            .get(name)
            .is_some_and(|mailbox| mailbox.server == self.number)
    }

    fn mailbox_command(
        &mut self,
        verb: &str,
        given: &str,
        words: &Words,
    ) -> (Vec<u8>, &'static str) {
        let name = internal(&self.user, given);
        let subscription = (self.user.clone(), given.to_owned());
        let mut out = String::new();
        let here = self.has(&name);
        match verb {
            "SUBSCRIBE" => {
                self.site.subscribed.borrow_mut().insert(subscription);
            }
            "UNSUBSCRIBE" => {
                self.site.subscribed.borrow_mut().remove(&subscription);
            }
            "CREATE" if here => return (Vec::new(), "NO Mailbox already exists"),
            "CREATE" => self.site.put(&name, self.number),
            "SELECT" | "EXAMINE" => {
                self.selected = None;
                if !here {
                    return (Vec::new(), "NO Mailbox does not exist");
                }
                let mailboxes = self.site.mailboxes.borrow();
                let mailbox = &mailboxes[&name];
                let (count, next) = (mailbox.messages.len(), mailbox.uid_next);
                let _ = write!(
                    out,
                    "* {count} EXISTS\r\n* 0 RECENT\r\n* FLAGS (\\Seen \\Deleted)\r\n\
                     * OK [UIDVALIDITY 7] Ok\r\n* OK [UIDNEXT {next}] Ok\r\n"
                );
                self.selected = Some(name);
                return (out.into_bytes(), "OK [READ-WRITE] done");
            }
            _ if !here => return (Vec::new(), "NO Mailbox does not exist"),
            "STATUS" => {
                let count = self.site.mailboxes.borrow()[&name].messages.len();
                let _ = write!(out, "* STATUS {given} (MESSAGES {count})\r\n");
            }
            "DELETE" => {
                self.site.remove(&name);
            }
            _ => return self.unknown(words),
        }
        (out.into_bytes(), "OK done")
    }

    /// One message or more: options and messages in turn.
    fn append(&self, words: &Words) -> (Vec<u8>, &'static str) {
        let name = internal(&self.user, &text(&words[0]));
        let mut read = Vec::new();
        for word in words[1..].iter().filter(|word| word.first() != Some(&b'(')) {
            match Message::read(word) {
                Some(message) => read.push(message),
                None => {
                    let bytes = word[..word.len().min(60)].escape_ascii().to_string();
                    self.site
                        .world
                        .fail(format!("a backend was given the message {bytes}"));
                }
            }
        }
        if read.is_empty() {
            return self.unknown(words);
        }
        if !self.has(&name) {
            return (Vec::new(), "NO [TRYCREATE] Mailbox does not exist");
        }
        for message in read {
            self.site.append(&name, message);
        }
        (Vec::new(), "OK [APPENDUID 7 1] done")
    }

    fn lsub(&self) -> (Vec<u8>, &'static str) {
        let subscribed = self.site.subscribed.borrow();
        let own = subscribed.iter().filter(|(user, _)| *user == self.user);
        let lines = own.map(|(_, name)| format!("* LSUB () \".\" {name}\r\n"));
        (lines.collect::<String>().into_bytes(), "OK done")
    }

    fn message_command(&self, verb: &str, words: &Words, by_uid: bool) -> (Vec<u8>, &'static str) {
        let Some(name) = &self.selected else {
            return (Vec::new(), "BAD nothing is selected");
        };
        let mailboxes = self.site.mailboxes.borrow();
        let Some(mailbox) = mailboxes.get(name) else {
            return (Vec::new(), "NO Mailbox has been deleted");
        };
        let mut out = Vec::new();
        let set = words.first().map(|set| text(set)).unwrap_or_default();
        let body = words
            .get(1)
            .is_some_and(|items| text(items).contains("BODY"));
        let chosen = mailbox
            .messages
            .iter()
            .zip(1..)
            .filter(|((uid, _), sequence)| contains(&set, if by_uid { **uid } else { *sequence }));
        match verb {
            "FETCH" | "STORE" => {
                for ((uid, message), sequence) in chosen {
                    if body {
                        fetched(&mut out, sequence, *uid, *message);
                    } else {
                        let line = format!("* {sequence} FETCH (UID {uid} FLAGS (\\Seen))\r\n");
                        out.extend_from_slice(line.as_bytes());
                    }
                }
            }
            "SEARCH" => {
                out.extend_from_slice(b"* SEARCH");
                for uid in mailbox.messages.keys() {
                    out.extend_from_slice(format!(" {uid}").as_bytes());
                }
                out.extend_from_slice(b"\r\n");
            }
            "EXPUNGE" | "CHECK" => {}
            _ => return self.unknown(words),
        }
        (out, "OK done")
    }
}

/// A FETCH response with the body, in one of the forms that servers use.
fn fetched(out: &mut Vec<u8>, sequence: u32, uid: u32, message: Message) {
    let bytes = message.bytes();
    let size = bytes.len();
    let (before, after) = if dice::percent(50) {
        (format!("UID {uid} "), " FLAGS (\\Seen)".to_owned())
    } else {
        ("FLAGS (\\Seen) ".to_owned(), format!(" UID {uid}"))
    };
    out.extend_from_slice(format!("* {sequence} FETCH ({before}BODY[] {{{size}}}\r\n").as_bytes());
    out.extend_from_slice(&bytes);
    out.extend_from_slice(format!("{after})\r\n").as_bytes());
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
