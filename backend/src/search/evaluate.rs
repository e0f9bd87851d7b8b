//! A program and one message.
//!
//! The keys are walked over once for each of [`Needs`] until they decide. A key that needs more than is allowed yet is open; so are all
//! that hang on it. So a file is opened only for a message that its record leaves open.

use ravenry_core::proto::imap::{DateTime, Day};

use super::needle::windows;
use super::program::{Key, Program};
use super::{Candidate, Content, Needs, Place, Text};
use crate::store::Message;

pub(super) struct Evaluation<'a, C> {
    program: &'a Program,
    candidate: &'a Candidate<'a>,
    content: &'a mut C,
    allowed: Needs,
    /// What the Date: field says, once it has been asked for.
    sent: Option<Option<Day>>,
    /// Which of [`Program::texts`] the message has, once it has been read.
    found: Option<Vec<bool>>,
}

impl<'a, C: Content> Evaluation<'a, C> {
    pub(super) fn new(
        program: &'a Program,
        candidate: &'a Candidate<'a>,
        content: &'a mut C,
    ) -> Self {
        Self {
            program,
            candidate,
            content,
            allowed: Needs::Record,
            sent: None,
            found: None,
        }
    }

    pub(super) fn result(mut self) -> Result<bool, C::Error> {
        for allowed in [Needs::Record, Needs::Header, Needs::Whole] {
            self.allowed = allowed;
            if let Some(decided) = self.decide(&self.program.key)? {
                return Ok(decided);
            }
        }
        // Nothing is open where all is allowed.
        Ok(false)
    }

    /// `None`: that is open.
    fn decide(&mut self, key: &Key) -> Result<Option<bool>, C::Error> {
        Ok(match key {
            Key::All(keys) => self.first(keys, false)?,
            Key::Any(keys) => self.first(keys, true)?,
            Key::Not(key) => self.decide(key)?.map(|decided| !decided),
            key if key.needs() > self.allowed => None,
            Key::Sent(when, day) => {
                let sent = self.sent()?;
                Some(sent.is_some_and(|sent| when.holds(sent, *day)))
            }
            Key::Field { name, value } => {
                let mut found = false;
                self.content.field(name, &mut |text| {
                    found |= match text {
                        Text::Plain(text) => value.is_in(text),
                        Text::Folded(text) => value.is_in_folded(text),
                    };
                    !found
                })?;
                Some(found)
            }
            Key::Text(at) => Some(self.found()?.get(*at).copied().unwrap_or(false)),
            Key::Saved => Some(self.program.saved.has(self.candidate.message.uid)),
            key => Some(of_record(key, self.candidate)),
        })
    }

    /// The first key that is as `decisive` decides; without one it is the contrary, or open.
    fn first(&mut self, keys: &[Key], decisive: bool) -> Result<Option<bool>, C::Error> {
        let mut result = Some(!decisive);
        for key in keys {
            match self.decide(key)? {
                Some(decided) if decided == decisive => return Ok(Some(decisive)),
                Some(_) => {}
                None => result = None,
            }
        }
        Ok(result)
    }

    fn sent(&mut self) -> Result<Option<Day>, C::Error> {
        if let Some(sent) = self.sent {
            return Ok(sent);
        }
        let sent = self.content.sent()?;
        self.sent = Some(sent);
        Ok(sent)
    }

    /// Looks for every string in one walk over the texts.
    fn found(&mut self) -> Result<&[bool], C::Error> {
        if self.found.is_none() {
            let texts = &self.program.texts;
            let longest = texts.iter().map(|(_, needle)| needle.folded().len()).max();
            let mut found = vec![false; texts.len()];
            self.content.texts(&mut |place, text| {
                let mut open = true;
                windows(text, longest.unwrap_or(0), |window| {
                    for ((body, needle), found) in texts.iter().zip(&mut found) {
                        let here = place == Place::Body || !body;
                        *found = *found || (here && needle.is_in_folded(window));
                    }
                    open = found.contains(&false);
                    open
                });
                open
            })?;
            self.found = Some(found);
        }
        Ok(self.found.as_deref().unwrap_or_default())
    }
}

fn of_record(key: &Key, candidate: &Candidate<'_>) -> bool {
    let message = candidate.message;
    let flags = message.flags;
    match key {
        Key::Number(numbers) => numbers.has(candidate.number),
        Key::Uid(uids) => uids.has(message.uid),
        Key::System { bit, set } => (flags.system & bit != 0) == *set,
        Key::Keyword { bit, set } => (flags.keywords & bit != 0) == *set,
        Key::Recent(recent) => candidate.recent == *recent,
        Key::Internal(when, day) => when.holds(arrived(message).day(), *day),
        Key::Came(when, day) => {
            let saved = DateTime {
                seconds: message.saved,
                zone: 0,
            };
            when.holds(saved.day(), *day)
        }
        Key::Larger(size) => message.size > *size,
        Key::Smaller(size) => message.size < *size,
        Key::Until(time) => message.date.seconds <= *time,
        Key::From(time) => message.date.seconds >= *time,
        Key::ModSeq(modseq) => message.modseq >= *modseq,
        Key::Digest(digest) => message.digest == *digest,
        Key::Is(is) => *is,
        // The others are looked at above.
        Key::Saved
        | Key::All(_)
        | Key::Any(_)
        | Key::Not(_)
        | Key::Sent(..)
        | Key::Field { .. }
        | Key::Text(_) => false,
    }
}

fn arrived(message: &Message) -> DateTime {
    DateTime {
        seconds: message.date.seconds,
        zone: message.date.zone,
    }
}
