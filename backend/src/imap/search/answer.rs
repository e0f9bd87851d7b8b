//! What SEARCH and SORT answer: the plain line, ESEARCH (RFC 4731, and for SORT RFC 5267 section 3), `$` (RFC 5182), MODSEQ (RFC 7162).

#[cfg(test)]
mod saved;

use std::fmt::Write as _;

use ravenry_core::proto::imap::{Command, SearchReturns, Uids};

use crate::imap::failure::Failure;
use crate::imap::numbers::Numbers;

/// A result of more ranges isn't saved: they are a megabyte.
const SAVED_RANGES_MAX: usize = 1 << 17;

/// The modseqs of messages that were found.
#[derive(Default)]
pub(in crate::imap) struct ModSeqs {
    first: u64,
    last: u64,
    highest: u64,
}

impl ModSeqs {
    pub(in crate::imap) fn push(&mut self, modseq: u64) {
        if self.highest == 0 {
            self.first = modseq;
        }
        self.last = modseq;
        self.highest = self.highest.max(modseq);
    }

    /// The highest one of what the answer names (RFC 7162 section 3.1.10); `None` where it names none.
    pub(in crate::imap) fn of(&self, returns: Option<SearchReturns>) -> Option<u64> {
        let some = returns.filter(|returns| !returns.all && !returns.count);
        let modseq = match some.map(|returns| (returns.min, returns.max)) {
            Some((true, false)) => self.first,
            Some((false, true)) => self.last,
            Some((true, true)) => self.first.max(self.last),
            _ => self.highest,
        };
        (modseq > 0).then_some(modseq)
    }
}

/// What `$` becomes: with MIN or MAX and neither ALL nor COUNT, these alone (RFC 5182 section 2.4).
pub(in crate::imap) fn to_save(returns: SearchReturns, found: &Uids) -> Result<Uids, Failure> {
    let ranges = found.as_ranges();
    if ranges.len() > SAVED_RANGES_MAX {
        return Err(Failure::coded(
            "NOTSAVED",
            "The result is too large to be saved",
        ));
    }
    let (Some((first, _)), Some((_, last))) = (ranges.first(), ranges.last()) else {
        return Ok(Uids::default());
    };
    if returns.all || returns.count || !(returns.min || returns.max) {
        return Ok(Uids::merged(ranges.to_vec()));
    }
    let ends = [(returns.min, *first), (returns.max, *last)];
    let ends = ends.into_iter().filter(|(wanted, _)| *wanted);
    Ok(Uids::merged(ends.map(|(_, uid)| (uid, uid)).collect()))
}

/// What was found as the client counts it: UIDs, or numbers.
pub(in crate::imap) fn counted(command: &Command<'_>, numbers: &Numbers, found: Uids) -> Uids {
    if command.uid {
        return found;
    }
    let counted = found.iter().filter_map(|uid| numbers.number(uid));
    counted.collect()
}

/// `* SEARCH 2 84 882`
pub(in crate::imap) fn plain(name: &str, found: &Uids, modseq: Option<u64>) -> Vec<u8> {
    let mut line = format!("* {name}");
    for number in found.iter() {
        write!(line, " {number}").expect("invariant: writing to a String can't fail");
    }
    if let Some(modseq) = modseq {
        line.push_str(&format!(" (MODSEQ {modseq})"));
    }
    line.push_str("\r\n");
    line.into_bytes()
}

/// `* ESEARCH (TAG "A285") UID MIN 7 MAX 3800`. MIN and MAX are the first and the last of what was found, in its order.
pub(in crate::imap) fn extended(
    command: &Command<'_>,
    returns: SearchReturns,
    found: &Uids,
    modseq: Option<u64>,
) -> Vec<u8> {
    let mut line = b"* ESEARCH (TAG \"".to_vec();
    line.extend_from_slice(command.tag);
    line.extend_from_slice(b"\")");
    let mut text = String::new();
    if command.uid {
        text.push_str(" UID");
    }
    let ranges = found.as_ranges();
    let mut add = |name: &str, value: String| text.push_str(&format!(" {name} {value}"));
    if let (Some((first, _)), Some((_, last))) = (ranges.first(), ranges.last()) {
        if returns.min {
            add("MIN", first.to_string());
        }
        if returns.max {
            add("MAX", last.to_string());
        }
        if returns.all {
            add("ALL", found.to_string());
        }
    }
    if returns.count {
        add("COUNT", found.len().to_string());
    }
    if let Some(modseq) = modseq {
        add("MODSEQ", modseq.to_string());
    }
    line.extend_from_slice(text.as_bytes());
    line.extend_from_slice(b"\r\n");
    line
}
