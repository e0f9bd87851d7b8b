//! A session's numbering of its messages: sequence number to UID and back (RFC 3501 section 2.3.1.2).
//!
//! UIDs in a row are one run, so a mailbox from which nothing was ever removed takes 12 bytes, however large it is.
//! Invariants: runs are in order and don't touch; each begins with the number behind the last one's.

use ravenry_core::proto::imap::Uids;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Run {
    uid: u32,
    /// The sequence number of `uid`, from 1.
    number: u32,
    len: u32,
}

impl Run {
    fn last(self) -> u32 {
        self.uid + (self.len - 1)
    }
}

/// The messages of a mailbox, as a session counts them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Numbers {
    runs: Vec<Run>,
}

impl Numbers {
    /// What it takes: so many runs.
    pub(crate) fn runs(&self) -> usize {
        self.runs.len()
    }

    /// How many there are.
    pub(crate) fn count(&self) -> u32 {
        self.runs.last().map_or(0, |run| run.number + (run.len - 1))
    }

    /// The highest UID; 0 if there is none.
    pub(crate) fn last_uid(&self) -> u32 {
        self.runs.last().map_or(0, |run| run.last())
    }

    /// A message that has come: its UID is higher than all others.
    pub(crate) fn push(&mut self, uid: u32) {
        debug_assert!(uid > self.last_uid(), "UIDs grow");
        let number = self.count() + 1;
        match self.runs.last_mut() {
            Some(run) if run.last() + 1 == uid => run.len += 1,
            _ => self.runs.push(Run {
                uid,
                number,
                len: 1,
            }),
        }
    }

    /// The sequence number of a UID.
    pub(crate) fn number(&self, uid: u32) -> Option<u32> {
        let at = self.runs.partition_point(|run| run.uid <= uid);
        let run = self.runs.get(at.checked_sub(1)?)?;
        (uid - run.uid < run.len).then(|| run.number + (uid - run.uid))
    }

    /// The UIDs of these sequence numbers.
    pub(crate) fn uids_of(&self, numbers: &Uids) -> Uids {
        self.select(numbers, |run| (run.number, run.uid))
    }

    /// Those of these UIDs that there are.
    pub(crate) fn among(&self, uids: &Uids) -> Uids {
        self.select(uids, |run| (run.uid, run.uid))
    }

    /// What of `wanted` lies in the runs, whose beginnings `of` gives: as it is counted in `wanted`, and as a UID.
    fn select(&self, wanted: &Uids, of: impl Fn(&Run) -> (u32, u32)) -> Uids {
        let mut found = Uids::default();
        for (first, last) in wanted.in_order() {
            let end = |run: &Run| of(run).0 + (run.len - 1);
            let from = self.runs.partition_point(|run| end(run) < first);
            for run in &self.runs[from..] {
                let (begin, uid) = of(run);
                if begin > last {
                    break;
                }
                let (low, high) = (first.max(begin), last.min(end(run)));
                found.push_range(uid + (low - begin), uid + (high - begin));
            }
        }
        found
    }

    /// All UIDs.
    pub(crate) fn all(&self) -> Uids {
        let mut all = Uids::default();
        for run in &self.runs {
            all.push_range(run.uid, run.last());
        }
        all
    }

    /// Messages that are gone; gives the numbers that EXPUNGE tells, one after the other (RFC 3501 section 7.4.1): from
    /// the highest to the lowest, so that none of them moves another.
    pub(crate) fn remove(&mut self, gone: &Uids) -> Vec<u32> {
        let gone = self.among(gone);
        let mut numbers: Vec<u32> = gone.iter().filter_map(|uid| self.number(uid)).collect();
        // In the order of their numbers, each would move those behind it.
        #[cfg(not(bug_15))]
        numbers.reverse();
        let left = self.all().without(&gone);
        self.runs.clear();
        let mut number = 1;
        for (first, last) in left.in_order() {
            let len = last - first + 1;
            self.runs.push(Run {
                uid: first,
                number,
                len,
            });
            number += len;
        }
        numbers
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn uids(of: impl IntoIterator<Item = u32>) -> Uids {
        of.into_iter().collect()
    }

    proptest! {
        #[test]
        fn as_a_plain_list(
            begin in prop::collection::btree_set(1_u32..60, 0..40),
            gone in prop::collection::btree_set(1_u32..70, 0..30),
            more in prop::collection::btree_set(70_u32..90, 0..10),
            wanted in prop::collection::btree_set(1_u32..95, 0..30),
        ) {
            let mut numbers = Numbers::default();
            begin.iter().for_each(|uid| numbers.push(*uid));
            let told = numbers.remove(&uids(gone.iter().copied()));
            // As a client applies it.
            let mut plain: Vec<u32> = begin.iter().copied().collect();
            for number in told {
                plain.remove(number as usize - 1);
            }
            let left: Vec<u32> = begin.difference(&gone).copied().collect();
            prop_assert_eq!(&plain, &left);
            more.iter().for_each(|uid| numbers.push(*uid));
            plain.extend(&more);
            prop_assert_eq!(numbers.count() as usize, plain.len());
            prop_assert_eq!(numbers.all().iter().collect::<Vec<_>>(), plain.clone());
            for (at, uid) in plain.iter().enumerate() {
                let number = u32::try_from(at).unwrap() + 1;
                prop_assert_eq!(numbers.number(*uid), Some(number));
            }
            let there: BTreeSet<u32> = plain.iter().copied().collect();
            let found = numbers.among(&uids(wanted.iter().copied()));
            prop_assert_eq!(found.iter().collect::<Vec<_>>(), there.intersection(&wanted).copied().collect::<Vec<_>>());
            let by_number = numbers.uids_of(&uids(wanted.iter().copied()));
            let expected: Vec<u32> = wanted.iter().filter_map(|n| plain.get(*n as usize - 1)).copied().collect();
            prop_assert_eq!(by_number.iter().collect::<Vec<_>>(), expected);
        }
    }
}
