//! What a client knows of its selected mailbox, from what it has been told alone.

use crate::site::{Flags, Mailbox};

#[derive(Clone, Debug, Default)]
pub(crate) struct Row {
    pub(crate) uid: Option<u32>,
    pub(crate) flags: Option<Flags>,
}

/// The selected mailbox, message by message.
#[derive(Clone, Debug, Default)]
pub(crate) struct View {
    /// 0 until SELECT has told it: up to there the old mailbox may be spoken of.
    pub(crate) validity: u32,
    pub(crate) rows: Vec<Row>,
}

/// The numbers of a set.
pub(crate) fn expand(set: &str) -> Vec<u32> {
    let number = |text: &str| text.parse::<u32>().unwrap_or_default();
    let ranges = set
        .split(',')
        .map(|part| part.split_once(':').unwrap_or((part, part)));
    ranges
        .flat_map(|(first, last)| number(first)..=number(last))
        .collect()
}

/// What stands behind `name` in a list of items, up to its end.
fn item<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let at = text.find(name)?;
    let value = &text[at + name.len()..];
    match value.strip_prefix('(') {
        Some(list) => list.split(')').next(),
        None => value.split([' ', ')', ']']).next(),
    }
}

impl View {
    /// Takes note of an untagged response; says what is wrong with it.
    pub(crate) fn note(&mut self, text: &str) -> Option<String> {
        if let Some(validity) = item(text, "[UIDVALIDITY ") {
            self.validity = validity.parse().unwrap_or_default();
        }
        if let Some(set) = text.strip_prefix("VANISHED ") {
            return self.vanished(&expand(set));
        }
        let (number, rest) = text.split_once(' ')?;
        let number: usize = number.parse().ok()?;
        let word = rest.split(' ').next().unwrap_or_default();
        let before = self.rows.len();
        match word {
            "EXISTS" if self.validity == 0 => self.rows = vec![Row::default(); number],
            _ if self.validity == 0 => {}
            "EXISTS" if number < before => {
                return Some(format!("{number} EXISTS, of {before}"));
            }
            "EXISTS" => self.rows.resize_with(number, Row::default),
            "EXPUNGE" | "FETCH" if number == 0 || number > before => {
                return Some(format!("{word} of {number}, of {before}"));
            }
            "EXPUNGE" => drop(self.rows.remove(number - 1)),
            "FETCH" => return self.fetched(number, rest),
            _ => {}
        }
        None
    }

    /// Messages have gone; where a UID isn't known yet, one of those that it may belong to.
    fn vanished(&mut self, uids: &[u32]) -> Option<String> {
        for uid in uids {
            let after = |row: &Row| row.uid.is_some_and(|known| known >= *uid);
            let end = self.rows.iter().position(after);
            let at = match end {
                Some(at) if self.rows[at].uid == Some(*uid) => Some(at),
                end => end.unwrap_or(self.rows.len()).checked_sub(1),
            };
            let may_be = |at: &usize| self.rows[*at].uid.is_none_or(|known| known == *uid);
            let Some(at) = at.filter(may_be) else {
                return Some(format!("VANISHED {uid}, which nobody was told of"));
            };
            self.rows.remove(at);
        }
        None
    }

    fn fetched(&mut self, number: usize, rest: &str) -> Option<String> {
        let row = &mut self.rows[number - 1];
        if let Some(uid) = item(rest, "UID ") {
            let uid = uid.parse().ok();
            if row.uid.is_some() && row.uid != uid {
                return Some(format!("{number} is {uid:?}, and was {:?}", row.uid));
            }
            row.uid = uid;
        }
        if let Some(flags) = item(rest, "FLAGS ") {
            let flags = flags.split_ascii_whitespace();
            row.flags = Some(flags.map(str::to_owned).collect());
        }
        None
    }

    /// How it differs from what is true.
    pub(crate) fn differs(&self, mailbox: &Mailbox) -> Option<String> {
        let known: Vec<_> = self.rows.iter().map(|row| row.uid).collect();
        let there: Vec<u32> = mailbox.messages.keys().copied().collect();
        if self.validity != mailbox.validity {
            return Some(format!(
                "UIDVALIDITY {}, not {}",
                mailbox.validity, self.validity
            ));
        }
        let same = known.len() == there.len()
            && known
                .iter()
                .zip(&there)
                .all(|(known, uid)| known.is_none_or(|known| known == *uid));
        if !same {
            return Some(format!("it has {there:?}, not {known:?}"));
        }
        let mut rows = self.rows.iter().zip(&mailbox.messages);
        rows.find_map(|(row, (uid, held))| {
            let flags = row.flags.as_ref()?;
            (*flags != held.flags).then(|| format!("{uid} has {:?}, not {flags:?}", held.flags))
        })
    }

    /// The numbers and UIDs of the messages that it knows both of.
    pub(crate) fn known(&self) -> Vec<(usize, u32)> {
        let rows = self.rows.iter().zip(1..);
        rows.filter_map(|(row, number)| Some((number, row.uid?)))
            .collect()
    }
}
