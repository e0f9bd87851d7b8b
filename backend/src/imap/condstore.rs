//! CONDSTORE and QRESYNC (RFC 7162): when a client hears of modseqs, and what it is told of a mailbox that it knows from
//! before.
//!
//! VANISHED (EARLIER) names whatever isn't there of what the client may have, and doesn't ask when it went. A client may have
//! seen a modseq before it could be told of an older EXPUNGE (FETCH by numbers, RFC 3501 section 7.4.1), so its modseq
//! doesn't say what it knows to be gone. Nor does the answer hang on how long records of what is gone are kept. UIDs in a row are
//! one range: there are never more ranges than messages, and one.

use ravenry_core::proto::imap::{Resync, Uids};

use super::failure::Failure;
use super::flags;
use super::news::Silent;
use super::numbers::Numbers;
use super::select::Selected;
use super::session::{COMPLETED, Reply, Session, ok};
use crate::store::Message;

impl Session {
    /// A command that turns CONDSTORE on (RFC 7162 section 3.1): from the first one on, modseqs are told.
    pub(super) fn hears_modseqs(&mut self, selected: Option<&Selected>) {
        if !self.condstore {
            self.condstore = true;
            if let Some(selected) = selected {
                let line = highest(selected);
                self.client.push_line(&line);
            }
        }
    }

    /// `* 7 FETCH (…)`: a message's flags, and what goes with them in this session.
    pub(super) fn flags_line(
        &self,
        selected: &Selected,
        (number, message): (u32, &Message),
        (flags, uid): (bool, bool),
    ) -> String {
        let mut items = Vec::new();
        if flags {
            items.push(format!("FLAGS {}", flags::list(selected, message)));
        }
        if uid || self.qresync {
            items.push(format!("UID {}", message.uid));
        }
        if self.condstore {
            items.push(format!("MODSEQ ({})", message.modseq));
        }
        format!("* {number} FETCH ({})", items.join(" "))
    }

    /// The reply to what may have expunged messages: with QRESYNC it says up to which modseq all has been told
    /// (RFC 7162 sections 3.2.7 and 3.2.9).
    pub(super) async fn completed_at(&mut self, selected: &mut Selected) -> Reply {
        if !self.qresync {
            return COMPLETED;
        }
        let before = selected.modseq;
        self.tell(selected, true, &Silent::default()).await?;
        if selected.modseq == before {
            return COMPLETED;
        }
        ok(format!("OK [HIGHESTMODSEQ {}] Completed", selected.modseq))
    }

    /// `* VANISHED (EARLIER) …`: these UIDs are gone.
    pub(super) async fn tell_vanished(&mut self, gone: &Uids) -> Result<(), Failure> {
        if !gone.is_empty() {
            let line = format!("* VANISHED (EARLIER) {gone}\r\n");
            self.client.send(line.as_bytes()).await?;
        }
        Ok(())
    }

    /// SELECT's QRESYNC parameter: what has gone and changed since (RFC 7162 section 3.2.5.1).
    pub(super) async fn resync(
        &mut self,
        selected: &Selected,
        resync: &Resync,
    ) -> Result<(), Failure> {
        if resync.uidvalidity != selected.mailbox.uidvalidity {
            return Ok(());
        }
        let all = Uids::all();
        let known = selected.given(resync.known.as_ref().unwrap_or(&all));
        let gone = known.without(&selected.numbers.all());
        let matched = matched(&selected.numbers, resync);
        self.tell_vanished(&gone.without(&matched)).await?;
        let known = selected.numbers.among(&known);
        let mut since = Uids::default();
        let store = self.backend.parts.store.clone();
        for (first, last) in known.in_order() {
            store.each_message(selected.mailbox.id, (first, last), |message| {
                if message.modseq > resync.modseq {
                    since.push(message.uid);
                }
                true
            })?;
        }
        self.tell_flags(selected, &since, (true, true)).await
    }

    /// The flags of messages, or their modseqs alone, as they are now.
    pub(super) async fn tell_flags(
        &mut self,
        selected: &Selected,
        uids: &Uids,
        items: (bool, bool),
    ) -> Result<(), Failure> {
        let store = self.backend.parts.store.clone();
        for (first, last) in uids.in_order() {
            let mut lines = Vec::new();
            store.each_message(selected.mailbox.id, (first, last), |message| {
                if let Some(number) = selected.numbers.number(message.uid) {
                    lines.push(self.flags_line(selected, (number, &message), items));
                }
                true
            })?;
            for line in lines {
                self.client.push_line(&line);
                self.client.flush_if_large().await?;
            }
        }
        Ok(())
    }
}

/// `* OK [HIGHESTMODSEQ …]`: whatever changed up to it has been told.
pub(super) fn highest(selected: &Selected) -> String {
    format!("* OK [HIGHESTMODSEQ {}] Ok", selected.modseq)
}

/// UIDs of which the client is known to have what there is: a message that has the number it had then has as many before
/// it, and none can have come there (RFC 7162 section 3.2.5.2).
fn matched(numbers: &Numbers, resync: &Resync) -> Uids {
    let mut same = Uids::default();
    if let Some((given, uids)) = &resync.numbers {
        let pairs = given.iter().zip(uids.iter()).take(PAIRS_MAX);
        #[cfg(not(bug_16))]
        let last = pairs.filter(|(number, uid)| numbers.number(*uid) == Some(*number));
        #[cfg(bug_16)] // It is there, whatever its number is.
        let last = pairs.filter(|(_, uid)| numbers.number(*uid).is_some());
        same.push_range(1, last.last().map_or(0, |(_, uid)| uid));
    }
    same
}

/// More pairs of a number and a UID aren't looked at.
const PAIRS_MAX: usize = 10_000;
