//! What a backend's commands answer, from what is true in the site; those in the selected mailbox
//! are in `messages`.

use std::fmt::Write;

use crate::backend::Connection;
use crate::hostile;
use crate::messages::{OWN_TAG, Opened, flags};
use crate::site::{Held, Message, internal};

type Words = [Vec<u8>];

const NAMESPACE: &[u8] = b"* NAMESPACE ((\"INBOX.\" \".\")) ((\"user.\" \".\")) ((\"\" \".\"))\r\n";

fn text(word: &[u8]) -> String {
    String::from_utf8_lossy(word).into_owned()
}

impl Connection {
    pub(crate) fn answer(&mut self, tag: &str, verb: &str, words: &Words) -> Vec<u8> {
        let (mut untagged, status) = match verb {
            "UID" => {
                let verb = text(&words[1]).to_ascii_uppercase();
                self.message_command(tag, &verb, &words[2..], true)
            }
            "FETCH" | "STORE" | "SEARCH" | "EXPUNGE" | "CHECK" => {
                self.message_command(tag, verb, &words[1..], false)
            }
            "NOOP" => (Vec::new(), "OK done".to_owned()),
            "CLOSE" => {
                self.selected = None;
                (Vec::new(), "OK done".to_owned())
            }
            "ENABLE" if self.able().qresync => {
                self.vanishes = true;
                (
                    b"* ENABLED CONDSTORE QRESYNC\r\n".to_vec(),
                    "OK done".to_owned(),
                )
            }
            "APPEND" => self.append(&words[1..]),
            "LSUB" => self.lsub(),
            "NAMESPACE" => (NAMESPACE.to_vec(), "OK done".to_owned()),
            _ => match words.get(1) {
                Some(given) => self.mailbox_command(tag, verb, &text(given), words),
                None => self.unknown(words),
            },
        };
        if let ("NOOP" | "APPEND", Some(opened)) = (verb, &mut self.selected) {
            opened.tell(&self.site, Some(self.vanishes), &mut untagged);
        }
        untagged.extend_from_slice(format!("{tag} {status}\r\n").as_bytes());
        untagged
    }

    pub(crate) fn unknown(&self, words: &Words) -> (Vec<u8>, String) {
        let said = words.join(&b' ').escape_ascii().to_string();
        self.site.world.fail(format!("a backend was sent {said}"));
        (Vec::new(), "BAD unknown".to_owned())
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
        tag: &str,
        verb: &str,
        given: &str,
        words: &Words,
    ) -> (Vec<u8>, String) {
        let no = |why: &str| (Vec::new(), format!("NO {why}"));
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
            "CREATE" if here => return no("Mailbox already exists"),
            "CREATE" => self.site.put(&name, self.number),
            "SELECT" | "EXAMINE" => {
                self.selected = None;
                if !here {
                    return no("Mailbox does not exist");
                }
                return (
                    self.select(name, tag == OWN_TAG),
                    "OK [READ-WRITE] done".to_owned(),
                );
            }
            _ if !here => return no("Mailbox does not exist"),
            "STATUS" => {
                let count = self.site.mailboxes.borrow()[&name].messages.len();
                let _ = write!(out, "* STATUS {given} (MESSAGES {count})\r\n");
            }
            "DELETE" => {
                self.site.remove(&name);
            }
            _ => return self.unknown(words),
        }
        (out.into_bytes(), "OK done".to_owned())
    }

    fn select(&mut self, name: String, back: bool) -> Vec<u8> {
        let mailboxes = self.site.mailboxes.borrow();
        let mailbox = &mailboxes[&name];
        let (count, next) = (mailbox.messages.len(), mailbox.uid_next);
        let mut out = format!(
            "* {count} EXISTS\r\n* 0 RECENT\r\n* FLAGS (\\Seen \\Deleted)\r\n\
             * OK [UIDVALIDITY {}] Ok\r\n* OK [UIDNEXT {next}] Ok\r\n",
            mailbox.validity
        );
        if self.able().condstore {
            let _ = write!(out, "* OK [HIGHESTMODSEQ {}] Ok\r\n", mailbox.modseq);
        }
        let numbers = mailbox.messages.keys().copied().collect();
        self.selected = Some(Opened {
            name,
            numbers,
            back,
        });
        out.into_bytes()
    }

    /// One message or more: options and messages in turn.
    fn append(&self, words: &Words) -> (Vec<u8>, String) {
        if words.iter().any(|word| word == b")") {
            return (Vec::new(), "BAD Invalid arguments".to_owned());
        }
        let name = internal(&self.user, &text(&words[0]));
        let (mut read, mut named, mut date) = (Vec::new(), flags(b"()"), None);
        for word in &words[1..] {
            if word.first() == Some(&b'(') {
                named = flags(word);
            } else if word.len() < Message::SIZE_MIN {
                date = Some(text(word));
            } else if let Some(message) = Message::read(word) {
                let mut held = Held::new(message);
                held.flags = std::mem::take(&mut named);
                held.date = date.take().unwrap_or(held.date);
                read.push(held);
            } else {
                let bytes = word[..word.len().min(60)].escape_ascii().to_string();
                self.site
                    .world
                    .fail(format!("a backend was given the message {bytes}"));
            }
        }
        if read.is_empty() {
            return self.unknown(words);
        }
        if !self.has(&name) {
            return (
                Vec::new(),
                "NO [TRYCREATE] Mailbox does not exist".to_owned(),
            );
        }
        let uids: Vec<String> = read
            .into_iter()
            .filter_map(|held| self.take_in(&name, held))
            .collect();
        let validity = self.site.mailboxes.borrow()[&name].validity;
        if let Some(lie) = self.hostility("APPENDUID") {
            return (
                Vec::new(),
                hostile::appended(&self.site, lie, validity, &uids),
            );
        }
        let code = format!("[APPENDUID {validity} {}] ", uids.join(","));
        let code = if self.able().uidplus {
            code
        } else {
            String::new()
        };
        (Vec::new(), format!("OK {code}done"))
    }

    /// A message comes into a mailbox; gives its UID.
    fn take_in(&self, name: &str, held: Held) -> Option<String> {
        let key = held.message.key;
        let mut ledger = self.site.ledger.borrow_mut();
        if let Some(wrong) = ledger.wrong_with(&held) {
            self.site.world.fail(wrong);
        }
        ledger.brought(name, key);
        drop(ledger);
        Some(self.site.append(name, held)?.to_string())
    }

    fn lsub(&self) -> (Vec<u8>, String) {
        let subscribed = self.site.subscribed.borrow();
        let own = subscribed.iter().filter(|(user, _)| *user == self.user);
        let lines = own.map(|(_, name)| format!("* LSUB () \".\" {name}\r\n"));
        (lines.collect::<String>().into_bytes(), "OK done".to_owned())
    }
}
