//! What the client has been told of the selected mailbox, as far as it proves after a lost
//! connection that nothing has happened which the client doesn't know of.
//!
//! The proof: a mailbox's UIDs only grow (RFC 3501 section 2.3.1.1), so that UIDNEXT says how many
//! messages can have come at most. If it has grown by no more than the client was told of, these are all
//! that came; and if there are as many messages as the client thinks, none of them has gone that it
//! doesn't know of.

use ravenry_core::proto::imap::{Cursor, Uids, status};
use ravenry_core::wire::imap::{Kind, Status};

/// The selected mailbox as the client has been told it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct View {
    validity: Option<u64>,
    next: Option<u64>,
    /// HIGHESTMODSEQ (RFC 7162) when it was selected.
    modseq: Option<u64>,
    exists: u64,
    /// Messages that have come since UIDNEXT was told.
    arrived: u64,
    /// Messages that have gone, however many times a mailbox was selected.
    gone: u64,
}

impl View {
    /// Takes note of a response's first line that goes to the client.
    pub(crate) fn note(&mut self, line: &[u8], kind: &Kind) {
        let Kind::Untagged { status, name } = kind else {
            return;
        };
        match (status, line.get(name.clone()).unwrap_or_default()) {
            (Some(Status::Ok), _) => self.note_code(line),
            (None, word) if word.eq_ignore_ascii_case(b"EXISTS") => {
                let now = number(&line[2..]).unwrap_or_default();
                let more = now.saturating_sub(self.exists);
                self.arrived = self.arrived.saturating_add(more);
                self.exists = now;
            }
            (None, word) if word.eq_ignore_ascii_case(b"EXPUNGE") => self.gone(1),
            (None, word) if word.eq_ignore_ascii_case(b"VANISHED") => {
                // With (EARLIER) they are none of those that the mailbox was selected with.
                let set = line[name.end..].trim_ascii();
                self.gone(Uids::parse(set).map_or(0, |uids| uids.len()));
            }
            _ => {}
        }
    }

    fn note_code(&mut self, line: &[u8]) {
        let Some(code) = status(line.trim_ascii_end()).and_then(|status| status.code) else {
            return;
        };
        let (name, value) = match memchr::memchr(b' ', code) {
            Some(at) => (&code[..at], number(&code[at + 1..])),
            None => (code, None),
        };
        let is = |known: &str| name.eq_ignore_ascii_case(known.as_bytes());
        if is("CLOSED") {
            *self = Self {
                gone: self.gone,
                ..Self::default()
            };
        } else if is("UIDVALIDITY") {
            self.validity = value;
        } else if is("UIDNEXT") {
            self.next = value;
            self.arrived = 0;
        } else if is("HIGHESTMODSEQ") {
            self.modseq = value;
        } else if is("UIDNOTSTICKY") {
            self.validity = None;
        }
    }

    /// Takes note of the beginning of a response that is too long to be told what it says: where that
    /// may be messages that are gone, nothing can be proven any more.
    pub(crate) fn note_long(&mut self, piece: &[u8], kind: &Kind) {
        if let Kind::Untagged { status: None, name } = kind
            && piece[name.clone()].eq_ignore_ascii_case(b"VANISHED")
        {
            self.validity = None;
            self.gone += 1;
        }
    }

    fn gone(&mut self, count: u64) {
        self.exists = self.exists.saturating_sub(count);
        self.gone = self.gone.saturating_add(count);
    }

    /// How many messages have gone: while it stays the same numbers mean what they meant.
    pub(crate) fn expunged(&self) -> u64 {
        self.gone
    }

    /// SELECT is over: what there is now is what the client begins with.
    pub(crate) fn opened(&mut self) {
        self.arrived = 0;
    }

    /// How many messages the client thinks there are.
    pub(crate) fn exists(&self) -> u64 {
        self.exists
    }

    /// Whether there is enough to prove anything later.
    pub(crate) fn can_prove(&self) -> bool {
        self.validity.is_some() && self.next.is_some()
    }

    /// Whether a mailbox that is `now` as it has just been selected has the messages that the client
    /// knows of, and no others.
    pub(crate) fn holds(&self, now: &Self) -> bool {
        let next = self.next.map(|next| next.saturating_add(self.arrived));
        #[cfg(bug_12)] // Another mailbox is taken for the one that was selected.
        return next == now.next && self.exists == now.exists;
        #[cfg(not(bug_12))]
        (self.can_prove()
            && self.validity == now.validity
            && next == now.next
            && self.exists == now.exists)
    }

    /// Whether no flag can have changed since the mailbox was selected.
    pub(crate) fn flags_hold(&self, now: &Self) -> bool {
        self.modseq.is_some() && self.modseq == now.modseq
    }
}

/// The number that `text` begins with.
fn number(text: &[u8]) -> Option<u64> {
    Cursor::new(text).number().ok()
}

#[cfg(test)]
mod tests {
    use ravenry_core::wire::imap::{ResponseEvent, ResponseScanner};

    use super::*;

    fn told(view: &mut View, lines: &[&str]) {
        for line in lines {
            let line = format!("* {line}\r\n");
            let mut scanner = ResponseScanner::new(1000);
            let ResponseEvent::Line(found) = scanner.next(line.as_bytes()) else {
                panic!("{line}");
            };
            view.note(line.as_bytes(), &found.start.expect("a response"));
        }
    }

    fn selected(exists: u32, next: u32) -> View {
        let mut view = View::default();
        told(
            &mut view,
            &[
                "FLAGS (\\Seen)",
                &format!("{exists} EXISTS"),
                "OK [UIDVALIDITY 7] Ok",
                &format!("OK [UIDNEXT {next}] Ok"),
                "OK [HIGHESTMODSEQ 12] Ok",
                "VANISHED (EARLIER) 1:3",
            ],
        );
        view.opened();
        view
    }

    #[test]
    fn a_mailbox_that_is_as_it_was_is_known_again() {
        assert!(selected(3, 9).holds(&selected(3, 9)));
        let mut view = selected(3, 9);
        told(
            &mut view,
            &[
                "5 EXISTS",
                "2 EXPUNGE",
                "1 FETCH (FLAGS ())",
                "VANISHED 3:4",
            ],
        );
        assert!(view.holds(&selected(2, 11)));
        assert_eq!(view.exists(), 2);
        assert!(view.flags_hold(&selected(2, 11)));
    }

    #[test]
    fn what_the_client_does_not_know_is_seen() {
        let view = selected(3, 9);
        assert!(!view.holds(&selected(4, 10)), "one has come");
        assert!(!view.holds(&selected(2, 9)), "one has gone");
        assert!(!view.holds(&selected(3, 10)), "one has come, and one gone");
        let mut other = selected(3, 9);
        told(
            &mut other,
            &["OK [UIDVALIDITY 8] Ok", "OK [HIGHESTMODSEQ 13] Ok"],
        );
        assert!(
            !view.holds(&other) && !view.flags_hold(&other),
            "another mailbox"
        );
        let mut view = selected(3, 9);
        told(&mut view, &["4 EXISTS"]);
        assert!(
            !view.holds(&selected(4, 11)),
            "two have come, and one gone, or a UID was left out"
        );
    }

    #[test]
    fn without_uidvalidity_and_uidnext_nothing_is_proven() {
        let mut view = View::default();
        told(&mut view, &["3 EXISTS"]);
        assert!(!view.can_prove() && !view.holds(&view.clone()));
        let mut view = selected(3, 9);
        told(&mut view, &["OK [UIDNOTSTICKY] x"]);
        assert!(!view.holds(&view.clone()));
        let mut view = selected(3, 9);
        told(&mut view, &["OK [CLOSED] x"]);
        assert_eq!(view, View::default());
    }
}
