//! The store as a plain model: what a step does, as slowly and as plainly as it can be said.

use std::collections::{BTreeMap, BTreeSet};

use ravenry_core::mailboxes::UserId;

use super::Refused;
use crate::store::{Flags, Limits, SpecialUse, Usage};

pub(super) const NAMES: [&str; 4] = ["user.alice", "user.alice.a", "user.bob", "shared.x"];

/// What may be a quota root.
pub(super) const ROOTS: [&str; 4] = ["user", "user.alice", "user.alice.a", "shared.x"];

#[derive(Clone, Debug)]
pub(super) enum Step {
    Create(usize),
    Delete(usize),
    Rename(usize, usize),
    Append(usize, Vec<(u8, Option<u8>)>),
    Flags(usize, Vec<u32>, u8, u8, Option<u8>, Option<u64>),
    Expunge(usize, Option<Vec<u32>>),
    Copy(usize, Vec<u32>, usize, bool),
    Replace(usize, u32, usize, u8),
    SpecialUse(usize, u8),
    Subscribe(usize, bool),
    /// Shared or alice's own, with a value or none.
    Annotate(usize, bool, Option<u8>),
    Quota(usize, Option<Limits>),
    Unexpunge(usize, Vec<u32>),
    Purge,
}

/// Modseq, flags, keywords, the bytes.
pub(super) type Message = (u64, u8, Vec<String>, Vec<u8>);

#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Box {
    pub(super) uidnext: u32,
    pub(super) modseq: u64,
    pub(super) special_use: SpecialUse,
    /// As alice finds them.
    pub(super) annotations: BTreeMap<&'static str, Vec<u8>>,
    /// By UID.
    pub(super) messages: BTreeMap<u32, Message>,
    /// What was expunged and can come back, as it was.
    pub(super) gone: BTreeMap<u32, Message>,
}

impl Box {
    fn unexpunge(&mut self, set: &[u32]) {
        let back = self.gone.extract_if(.., |uid, _| set.contains(uid));
        let back: Vec<_> = back.collect();
        self.modseq += u64::from(!back.is_empty());
        for (_, (_, flags, keywords, bytes)) in back {
            let message = (self.modseq, flags & !Flags::DELETED, keywords, bytes);
            self.messages.insert(self.uidnext, message);
            self.uidnext += 1;
        }
    }

    /// Takes out what is `wanted`; it may come back.
    fn remove(&mut self, wanted: impl Fn(u32, &Message) -> bool) {
        let gone: Vec<_> = self
            .messages
            .extract_if(.., |uid, message| wanted(*uid, message))
            .collect();
        self.modseq += u64::from(!gone.is_empty());
        self.gone.extend(gone);
    }

    fn bytes(&self) -> u64 {
        let sizes = self.messages.values().map(|message| message.3.len() as u64);
        sizes.sum()
    }

    /// STORE, as slowly as it can be done.
    fn flag(&mut self, set: &[u32], mode: usize, given: (u8, &[String]), since: Option<u64>) {
        let (next, mut any) = (self.modseq + 1, false);
        for (_, message) in self
            .messages
            .iter_mut()
            .filter(|(uid, _)| set.contains(uid))
        {
            if since.is_some_and(|since| message.0 > since) {
                continue;
            }
            let (old, new) = (message.2.iter(), given.1.iter());
            let mut keywords: Vec<String> = match mode {
                0 => given.1.to_vec(),
                1 => old
                    .chain(new.filter(|it| !message.2.contains(it)))
                    .cloned()
                    .collect(),
                _ => old.filter(|it| !given.1.contains(it)).cloned().collect(),
            };
            keywords.sort();
            let system = [given.0, message.1 | given.0, message.1 & !given.0][mode];
            if (system, &keywords) != (message.1, &message.2) {
                (message.0, message.1, message.2) = (next, system, keywords);
                any = true;
            }
        }
        self.modseq += u64::from(any);
    }
}

fn copy(model: &mut Model, from: &str, set: &[u32], to: &str, moves: bool) -> Result<(), Refused> {
    let all = model.boxes[from]
        .messages
        .iter()
        .filter(|(uid, _)| set.contains(uid));
    let copied: Vec<_> = all.map(|(uid, message)| (*uid, message.clone())).collect();
    if !moves || model.root_of(from) != model.root_of(to) {
        let bytes = copied.iter().map(|(_, it)| it.3.len() as u64).sum();
        model.room(to, (bytes, copied.len(), 0))?;
    }
    let target = model.boxes.get_mut(to).expect("it is there");
    target.modseq += u64::from(!copied.is_empty());
    for (_, (_, flags, keywords, bytes)) in copied.clone() {
        target
            .messages
            .insert(target.uidnext, (target.modseq, flags, keywords, bytes));
        target.uidnext += 1;
    }
    let source = model.boxes.get_mut(from).expect("it is there");
    if moves {
        source.remove(|uid, _| copied.iter().any(|(gone, _)| *gone == uid));
    }
    Ok(())
}

/// REPLACE, as its parts one after the other would do it.
fn replace(
    model: &mut Model,
    (from, uid): (&str, u32),
    to: &str,
    new: (u8, Vec<u8>),
) -> Result<(), Refused> {
    let old = model.boxes[from].messages.get(&uid);
    let size = old.ok_or(Refused::NoMessage)?.3.len() as u64;
    let more = match model.root_of(from) == model.root_of(to) {
        true => ((new.1.len() as u64).saturating_sub(size), 0, 0),
        false => (new.1.len() as u64, 1, 0),
    };
    model.room(to, more)?;
    let target = model.boxes.get_mut(to).expect("it is there");
    target.modseq += 1;
    let message = (target.modseq, new.0, Vec::new(), new.1);
    target.messages.insert(target.uidnext, message);
    target.uidnext += 1;
    let source = model.boxes.get_mut(from).expect("it is there");
    source.remove(|gone, _| gone == uid);
    Ok(())
}

#[derive(Default)]
pub(super) struct Model {
    pub(super) boxes: BTreeMap<String, Box>,
    /// What alice is subscribed to.
    pub(super) subscribed: BTreeSet<&'static str>,
    pub(super) quotas: BTreeMap<&'static str, Limits>,
}

impl Model {
    fn root_of(&self, name: &str) -> Option<&'static str> {
        let roots = self.quotas.keys().copied();
        let above = |root: &&str| {
            name == *root || name.starts_with(*root) && name[root.len()..].starts_with('.')
        };
        roots.filter(above).max_by_key(|root| root.len())
    }

    /// What counts for a root.
    pub(super) fn usage(&self, root: &str) -> Usage {
        let mut usage = Usage::default();
        let counted = self
            .boxes
            .iter()
            .filter(|(name, _)| self.root_of(name) == Some(root));
        for (_, mailbox) in counted {
            usage.mailboxes += 1;
            usage.messages += mailbox.messages.len() as u64;
            usage.storage += mailbox.bytes();
        }
        usage
    }

    /// Whether there may be so many more bytes, messages and mailboxes.
    fn room(
        &self,
        name: &str,
        (bytes, messages, mailboxes): (u64, usize, u64),
    ) -> Result<(), Refused> {
        let Some(root) = self.root_of(name) else {
            return Ok(());
        };
        let (limits, usage) = (self.quotas[root], self.usage(root));
        for (limit, used, more) in [
            (limits.storage, usage.storage, bytes),
            (limits.messages, usage.messages, messages as u64),
            (limits.mailboxes, usage.mailboxes, mailboxes),
        ] {
            if more > 0 && limit.is_some_and(|limit| used + more > limit) {
                return Err(Refused::OverQuota);
            }
        }
        Ok(())
    }
}

pub(super) fn alice() -> UserId {
    UserId::parse(b"alice").unwrap()
}

pub(super) fn entry_of(private: bool) -> &'static str {
    if private { "/private/a" } else { "/shared/a" }
}

pub(super) fn use_of(number: u8) -> SpecialUse {
    let attribute = ["\\Sent", "\\Trash"].get(usize::from(number));
    attribute.map_or(SpecialUse::NONE, |attribute| {
        SpecialUse::parse(attribute.as_bytes()).unwrap()
    })
}

pub(super) fn keyword_of(number: Option<u8>) -> Vec<String> {
    number
        .map(|number| format!("key{number}"))
        .into_iter()
        .collect()
}

/// What the model does of a step, or why it doesn't; a number makes every body another one.
pub(super) fn in_model(model: &mut Model, step: &Step, number: u32) -> Result<(), Refused> {
    let missing = |at: usize, model: &Model| !model.boxes.contains_key(NAMES[at]);
    match step {
        Step::Append(at, all) => {
            if missing(*at, model) {
                return Err(Refused::NoMailbox);
            }
            let sizes = (0..all.len()).map(|place| bytes(number, place).len() as u64);
            model.room(NAMES[*at], (sizes.sum(), all.len(), 0))?;
            let mailbox = model.boxes.get_mut(NAMES[*at]).ok_or(Refused::NoMailbox)?;
            mailbox.modseq += 1;
            for (place, (flags, keyword)) in all.iter().enumerate() {
                let message = (
                    mailbox.modseq,
                    *flags,
                    keyword_of(*keyword),
                    bytes(number, place),
                );
                mailbox.messages.insert(mailbox.uidnext, message);
                mailbox.uidnext += 1;
            }
        }
        Step::Flags(at, set, mode, flags, keyword, since) => {
            let mailbox = model.boxes.get_mut(NAMES[*at]).ok_or(Refused::NoMailbox)?;
            mailbox.flag(
                set,
                usize::from(*mode),
                (*flags, &keyword_of(*keyword)),
                *since,
            );
        }
        Step::Expunge(at, set) => {
            let mailbox = model.boxes.get_mut(NAMES[*at]).ok_or(Refused::NoMailbox)?;
            let named = |uid: u32| set.as_ref().is_none_or(|set| set.contains(&uid));
            mailbox.remove(|uid, message| message.1 & Flags::DELETED != 0 && named(uid));
        }
        Step::Copy(from, set, to, moves) => {
            if missing(*from, model) || missing(*to, model) {
                return Err(Refused::NoMailbox);
            }
            copy(model, NAMES[*from], set, NAMES[*to], *moves)?;
        }
        Step::Replace(from, uid, to, flags) => {
            if missing(*from, model) || missing(*to, model) {
                return Err(Refused::NoMailbox);
            }
            let new = (*flags, bytes(number, 0));
            replace(model, (NAMES[*from], *uid), NAMES[*to], new)?;
        }
        Step::Unexpunge(at, set) => {
            let mailbox = model.boxes.get_mut(NAMES[*at]);
            mailbox.ok_or(Refused::NoMailbox)?.unexpunge(set);
        }
        named => return named_in_model(model, named),
    }
    Ok(())
}

fn named_in_model(model: &mut Model, step: &Step) -> Result<(), Refused> {
    let missing = |at: usize, model: &Model| !model.boxes.contains_key(NAMES[at]);
    match step {
        Step::Create(at) => {
            if !missing(*at, model) {
                return Err(Refused::Exists);
            }
            model.room(NAMES[*at], (0, 0, 1))?;
            model.boxes.insert(
                NAMES[*at].to_owned(),
                Box {
                    uidnext: 1,
                    modseq: 1,
                    ..Box::default()
                },
            );
        }
        Step::Delete(at) => {
            model.boxes.remove(NAMES[*at]).ok_or(Refused::NoMailbox)?;
        }
        Step::Rename(from, to) => {
            if missing(*from, model) {
                return Err(Refused::NoMailbox);
            }
            if !missing(*to, model) {
                return Err(Refused::Exists);
            }
            if model.root_of(NAMES[*from]) != model.root_of(NAMES[*to]) {
                let moved = &model.boxes[NAMES[*from]];
                model.room(NAMES[*to], (moved.bytes(), moved.messages.len(), 1))?;
            }
            let moved = model.boxes.remove(NAMES[*from]).ok_or(Refused::NoMailbox)?;
            model.boxes.insert(NAMES[*to].to_owned(), moved);
        }
        Step::SpecialUse(at, number) => {
            let mailbox = model.boxes.get_mut(NAMES[*at]);
            mailbox.ok_or(Refused::NoMailbox)?.special_use = use_of(*number);
        }
        Step::Annotate(at, private, value) => {
            let mailbox = model.boxes.get_mut(NAMES[*at]);
            let annotations = &mut mailbox.ok_or(Refused::NoMailbox)?.annotations;
            match value {
                Some(value) => drop(annotations.insert(entry_of(*private), vec![*value])),
                None => drop(annotations.remove(entry_of(*private))),
            }
        }
        Step::Subscribe(at, true) => drop(model.subscribed.insert(NAMES[*at])),
        Step::Subscribe(at, false) => drop(model.subscribed.remove(NAMES[*at])),
        Step::Quota(at, Some(limits)) => drop(model.quotas.insert(ROOTS[*at], *limits)),
        Step::Purge => {
            let all = model.boxes.values_mut();
            all.for_each(|mailbox| mailbox.gone.clear());
        }
        Step::Quota(at, None) => drop(model.quotas.remove(ROOTS[*at])),
        other => panic!("{other:?} is about messages"),
    }
    Ok(())
}

pub(super) fn bytes(number: u32, place: usize) -> Vec<u8> {
    format!("Subject: {number}.{place}\r\n\r\nbody\r\n").into_bytes()
}

/// A message's record of the header cache; not every message has one.
pub(super) fn structure_of(bytes: &[u8]) -> Option<Vec<u8>> {
    let record = bytes.iter().rev().copied().collect();
    let sum: u32 = bytes.iter().map(|byte| u32::from(*byte)).sum();
    (!sum.is_multiple_of(3)).then_some(record)
}
