//! Numberings of mailboxes that were selected lately: SELECT needs one, and to count a million messages takes time.
//!
//! A shard keeps a few. Invariant: one that is kept is the mailbox' at the modseq that is kept with it. At a later modseq it
//! still holds for the messages that it counts, if with those that have come the mailbox has as many as it says; otherwise
//! some are gone, and all is counted anew.

use std::cell::RefCell;
use std::rc::Rc;

use super::failure::Failure;
use super::numbers::Numbers;
use crate::store::{Mailbox, MailboxId, Store};

/// Numberings with more runs take too much memory (12 bytes each).
const RUNS_MAX: usize = 64 * 1024;
/// What was used longest ago goes when there would be more.
const KEPT_MAX: usize = 16;

/// A mailbox as SELECT tells it.
#[derive(Clone)]
pub(super) struct Numbered {
    pub(super) mailbox: Mailbox,
    pub(super) numbers: Numbers,
    /// The number of the first message without \Seen.
    pub(super) unseen: Option<u32>,
}

/// What a shard keeps: the one that was used last is the last.
#[derive(Default)]
pub(crate) struct Numberings {
    kept: RefCell<Vec<Rc<Numbered>>>,
}

impl Numberings {
    /// A mailbox' record and its numbering, of one moment. `None`: it isn't there any more.
    pub(super) fn of(&self, store: &Store, id: MailboxId) -> Result<Option<Numbered>, Failure> {
        let kept = self.take(id);
        let Some((numbered, is_new)) = count(store, id, kept.as_deref())? else {
            return Ok(None);
        };
        match kept {
            Some(kept) if !is_new => self.keep(kept),
            _ if numbered.numbers.runs() <= RUNS_MAX => self.keep(Rc::new(numbered.clone())),
            _ => {}
        }
        Ok(Some(numbered))
    }

    fn take(&self, id: MailboxId) -> Option<Rc<Numbered>> {
        let mut kept = self.kept.borrow_mut();
        let at = kept.iter().position(|kept| kept.mailbox.id == id)?;
        Some(kept.remove(at))
    }

    fn keep(&self, numbered: Rc<Numbered>) {
        let mut kept = self.kept.borrow_mut();
        if kept.len() == KEPT_MAX {
            kept.remove(0);
        }
        kept.push(numbered);
    }
}

/// Counts a mailbox' messages, from where `kept` leaves off if that still holds; whether it isn't what was kept.
fn count(
    store: &Store,
    id: MailboxId,
    kept: Option<&Numbered>,
) -> Result<Option<(Numbered, bool)>, Failure> {
    let reading = store.snapshot()?;
    let Some(mailbox) = reading.mailbox(id)? else {
        return Ok(None);
    };
    if let Some(kept) = kept
        && kept.mailbox.highestmodseq == mailbox.highestmodseq
    {
        let numbered = Numbered {
            mailbox,
            ..kept.clone()
        };
        return Ok(Some((numbered, false)));
    }
    let mut numbers = kept.map_or_else(Numbers::default, |kept| kept.numbers.clone());
    reading.each_uid(id, numbers.last_uid().saturating_add(1), |uid, _seen| {
        numbers.push(uid);
        true
    })?;
    if numbers.count() != mailbox.exists {
        numbers = Numbers::default();
        reading.each_uid(id, 1, |uid, _seen| {
            numbers.push(uid);
            true
        })?;
    }
    let mut unseen = None;
    if mailbox.unseen > 0 {
        reading.each_uid(id, 1, |uid, seen| {
            if !seen {
                unseen = numbers.number(uid);
            }
            seen
        })?;
    }
    let numbered = Numbered {
        mailbox,
        numbers,
        unseen,
    };
    Ok(Some((numbered, true)))
}
