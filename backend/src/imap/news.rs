//! What has happened to the selected mailbox, told when the client may be told (RFC 3501 sections 5.2 and 7.4.1;
//! VANISHED and MODSEQ: RFC 7162).
//!
//! The watch says which messages to look at; the store says how they are. What is gone stays in the session's
//! numbering until an EXPUNGE may be sent. Order: EXPUNGE, EXISTS and RECENT, FLAGS, FETCH.

use ravenry_core::proto::imap::Uids;

use super::failure::Failure;
use super::select::{Selected, claim_recent};
use super::session::Session;
use crate::store::{Flags, Mailbox, Message, Store};

/// Changes that this session made itself and doesn't want to hear of (`.SILENT`).
#[derive(Default)]
pub(crate) struct Silent {
    pub(crate) uids: Uids,
    pub(crate) modseq: u64,
}

impl Session {
    /// Tells what has happened; `expunges`: numbers may change.
    pub(crate) async fn tell_news(&mut self, expunges: bool) -> Result<(), Failure> {
        let Some(mut selected) = self.selected.take() else {
            return Ok(());
        };
        let silent = Silent::default();
        let told = Box::pin(self.tell(&mut selected, expunges, &silent)).await;
        self.selected = Some(selected);
        told
    }

    /// Tells of keywords that are new (RFC 3501 section 7.2.6): before a response has them.
    pub(super) fn tell_keywords(&mut self, selected: &mut Selected) -> Result<(), Failure> {
        let keywords = selected.mailbox.keywords.len();
        selected.refresh(&self.backend.parts.store)?;
        if selected.mailbox.keywords.len() > keywords {
            self.push_flags(selected);
        }
        Ok(())
    }

    /// FLAGS anew; and PERMANENTFLAGS, where keywords can no longer be made (RFC 3501 section 7.1).
    fn push_flags(&mut self, selected: &Selected) {
        self.client.push_line(&selected.flags());
        if selected.mailbox.keywords.len() >= Flags::KEYWORDS_MAX {
            self.client.push_line(&selected.permanent_flags());
        }
    }

    /// The same, without what this session has done in silence.
    pub(super) async fn tell(
        &mut self,
        selected: &mut Selected,
        expunges: bool,
        silent: &Silent,
    ) -> Result<(), Failure> {
        if selected.watch.is_dirty() {
            let dirty = selected.watch.take();
            let looked = selected.look(&self.backend.parts.store, &dirty);
            if looked.is_err() {
                selected.watch.mark(&dirty);
            }
            let found = looked?;
            if expunges {
                self.tell_gone(selected);
            }
            if found.came > 0 {
                claim_recent(self, selected).await;
                let count = selected.numbers.count();
                self.client.push_line(&format!("* {count} EXISTS"));
                if !self.rev2 {
                    let recent = selected.recent.len();
                    self.client.push_line(&format!("* {recent} RECENT"));
                }
            }
            if found.new_keywords {
                self.push_flags(selected);
            }
            for message in found.changed {
                if message.modseq == silent.modseq && silent.uids.has(message.uid) {
                    continue;
                }
                let Some(number) = selected.numbers.number(message.uid) else {
                    continue;
                };
                let line = self.flags_line(selected, (number, &message), (true, true));
                self.client.push_line(&line);
                self.client.flush_if_large().await?;
            }
        } else if expunges {
            self.tell_gone(selected);
        }
        Ok(())
    }

    fn tell_gone(&mut self, selected: &mut Selected) {
        let gone = std::mem::take(&mut selected.gone);
        if gone.is_empty() {
            return;
        }
        let numbers = selected.numbers.remove(&gone);
        if self.qresync {
            let gone = Uids::merged(gone.as_ranges().to_vec());
            self.client.push_line(&format!("* VANISHED {gone}"));
        } else {
            for number in numbers {
                self.client.push_line(&format!("* {number} EXPUNGE"));
            }
        }
        selected.recent = selected.recent.without(&gone);
        selected.saved = selected.saved.without(&gone);
    }
}

/// What there is to tell of a mailbox.
struct Found {
    came: u32,
    changed: Vec<Message>,
    new_keywords: bool,
}

impl Selected {
    /// Reads the mailbox' record anew; false: there is none any more.
    fn refresh(&mut self, store: &Store) -> Result<bool, Failure> {
        let Some(mailbox) = store.mailbox_by_id(self.mailbox.id)? else {
            return Ok(false);
        };
        let recent = self.mailbox.recent.max(mailbox.recent);
        self.mailbox = Mailbox { recent, ..mailbox };
        Ok(true)
    }

    /// Looks at messages in the store.
    fn look(&mut self, store: &Store, dirty: &Uids) -> Result<Found, Failure> {
        let mut found = Found {
            came: 0,
            changed: Vec::new(),
            new_keywords: false,
        };
        let keywords = self.mailbox.keywords.len();
        if !self.refresh(store)? {
            // It was deleted and its room given back: nothing of it is left.
            self.gone = self.numbers.all();
            return Ok(found);
        }
        found.new_keywords = self.mailbox.keywords.len() > keywords;
        // What is read may be newer: then its news are still to come, and it is told by them. A modseq that was told is
        // never above one that wasn't.
        let heard = self.watch.heard();
        let known = self.numbers.among(dirty);
        let mut there = Uids::default();
        for (first, last) in known.in_order() {
            store.each_message(self.mailbox.id, (first, last), |message| {
                there.push(message.uid);
                if message.modseq > self.modseq && message.modseq <= heard {
                    found.changed.push(message);
                }
                true
            })?;
        }
        let gone = known.without(&there).without(&self.gone);
        self.gone.append(&gone);
        store.each_message(self.mailbox.id, (self.uidnext, u32::MAX), |message| {
            self.numbers.push(message.uid);
            self.uidnext = message.uid + 1;
            found.came += 1;
            true
        })?;
        self.modseq = self.modseq.max(heard);
        Ok(found)
    }
}
