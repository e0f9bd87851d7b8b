//! SEARCH (RFC 3501 section 6.4.4) with RETURN (ESEARCH, RFC 4731), WITHIN (RFC 5032), SAVEDATE (RFC 8514), OBJECTID (RFC 8474),
//! MODSEQ (RFC 7162) and SAVE (RFC 5182).
//!
//! Records are judged on the shard, slice by slice; messages whose files have to be read are judged on threads that may
//! wait for the disk, a few batches at a time.

mod letter;
#[cfg(test)]
mod saved;

use std::fmt::Write as _;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;

use ravenry_core::client::PROGRESS_EVERY;
use ravenry_core::proto::imap::{Command, SearchCommand, SearchError, SearchReturns, Uids};
use ravenry_core::rt;

use self::letter::{Letter, Needed, Unread};
use super::failure::Failure;
use super::select::Selected;
use super::session::{COMPLETED, Reply, Session, ok};
use crate::delivery;
use crate::search::{Candidate, Content, Context, Program};
use crate::shard::PIECE_BYTES;
use crate::store::Message;

/// Messages judged before others have their turn.
const SLICE_MESSAGES: usize = 1024;
/// Files that a thread reads in a row, and such rows at a time.
const BATCH_FILES: usize = 64;
const BATCHES: usize = 4;

/// A result of more ranges isn't saved: they are a megabyte.
const SAVED_RANGES_MAX: usize = 1 << 17;

/// SEARCH.
pub(super) async fn search(
    session: &mut Session,
    selected: &mut Selected,
    command: &Command<'_>,
) -> Reply {
    let given = SearchCommand::parse(command.args).map_err(|error| match error {
        SearchError::Parse(error) => error.into(),
        SearchError::Charset { saves } => {
            if saves {
                selected.saved = Uids::default();
            }
            Failure::coded("BADCHARSET (US-ASCII UTF-8)", "The charset isn't known")
        }
    })?;
    let by_modseq = given.key.has_modseq();
    if by_modseq {
        session.hears_modseqs(Some(selected));
    }
    let context = Context {
        exists: selected.numbers.count(),
        highest_uid: selected.numbers.last_uid(),
        saved: &selected.saved,
        keywords: &selected.mailbox.keywords,
        now: delivery::now().seconds,
    };
    let program = Program::new(given.key, &context);
    let saving = given.returns.filter(|returns| returns.save);
    if saving.is_some() {
        // Whatever ends in NO from here on leaves `$` empty (RFC 5182 section 2.1).
        selected.saved = Uids::default();
    }
    let program = program.map_err(|error| Failure::coded("LIMIT", error.to_string()))?;
    let mut search = Search {
        program: Arc::new(program),
        tag: command.tag.to_vec(),
        found: Uids::default(),
        modseqs: ModSeqs::default(),
        there: 0,
    };
    search.run(session, selected).await?;
    if let Some(returns) = saving {
        selected.saved = to_save(returns, &search.found)?;
    }
    let found = if command.uid {
        search.found
    } else {
        let numbers = search.found.iter();
        numbers
            .filter_map(|uid| selected.numbers.number(uid))
            .collect()
    };
    let modseq = search.modseqs.of(given.returns).filter(|_| by_modseq);
    let answer = match given.returns {
        None => plain(&found, modseq),
        Some(returns) if returns.saves_only() => Vec::new(),
        Some(returns) => extended(command, returns, &found, modseq),
    };
    session.client.send(&answer).await?;
    if search.there < u64::from(selected.numbers.count()) {
        return ok("OK [EXPUNGEISSUED] Some of the messages are gone");
    }
    COMPLETED
}

/// The modseqs of messages that were found.
#[derive(Default)]
struct ModSeqs {
    first: u64,
    last: u64,
    highest: u64,
}

impl ModSeqs {
    fn push(&mut self, modseq: u64) {
        if self.highest == 0 {
            self.first = modseq;
        }
        self.last = modseq;
        self.highest = self.highest.max(modseq);
    }

    /// The highest one of what the answer names (RFC 7162 section 3.1.10); `None` where it names none.
    fn of(&self, returns: Option<SearchReturns>) -> Option<u64> {
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
fn to_save(returns: SearchReturns, found: &Uids) -> Result<Uids, Failure> {
    let ranges = found.in_order();
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
        return Ok(found.clone());
    }
    let ends = [(returns.min, *first), (returns.max, *last)];
    let ends = ends.into_iter().filter(|(wanted, _)| *wanted);
    Ok(Uids::merged(ends.map(|(_, uid)| (uid, uid)).collect()))
}

/// `* SEARCH 2 84 882`
fn plain(found: &Uids, modseq: Option<u64>) -> Vec<u8> {
    let mut line = "* SEARCH".to_owned();
    for number in found.iter() {
        write!(line, " {number}").expect("invariant: writing to a String can't fail");
    }
    if let Some(modseq) = modseq {
        line.push_str(&format!(" (MODSEQ {modseq})"));
    }
    line.push_str("\r\n");
    line.into_bytes()
}

/// `* ESEARCH (TAG "A285") UID MIN 7 MAX 3800`
fn extended(
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
    let ranges = found.in_order();
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

/// A SEARCH under way.
struct Search {
    program: Arc<Program>,
    tag: Vec<u8>,
    found: Uids,
    modseqs: ModSeqs,
    /// Messages that have been judged.
    there: u64,
}

impl Search {
    async fn run(&mut self, session: &mut Session, selected: &Selected) -> Result<(), Failure> {
        let store = session.backend.parts.store.clone();
        let mut next = 1;
        let mut tell_at = rt::now() + PROGRESS_EVERY;
        loop {
            let mut slice: Vec<Message> = Vec::new();
            store.each_message(selected.mailbox.id, (next, u32::MAX), |message| {
                slice.push(message);
                slice.len() < SLICE_MESSAGES
            })?;
            let Some(end) = slice.last().map(|message| message.uid) else {
                return Ok(());
            };
            self.slice(session, selected, slice).await?;
            if rt::now() >= tell_at {
                let of = (self.there, u64::from(selected.numbers.count()));
                let told = session
                    .client
                    .tell_progress(&self.tag, Some(of), "Searching");
                told.await?;
                tell_at = rt::now() + PROGRESS_EVERY;
            }
            let Some(behind) = end.checked_add(1) else {
                return Ok(());
            };
            next = behind;
            rt::yield_now().await;
        }
    }

    async fn slice(
        &mut self,
        session: &Session,
        selected: &Selected,
        slice: Vec<Message>,
    ) -> Result<(), Failure> {
        let (mut found, mut unclear) = (Vec::new(), Vec::new());
        for message in slice {
            // What the client doesn't know of yet isn't found.
            let Some(number) = selected.numbers.number(message.uid) else {
                continue;
            };
            self.there += 1;
            let recent = selected.recent.has(message.uid);
            let judged = Judged {
                number,
                recent,
                message,
            };
            match judged.matches(&self.program, &mut Unread) {
                Ok(true) => found.push(judged.names()),
                Ok(false) => {}
                Err(Needed) => unclear.push(judged),
            }
        }
        // A large one is in memory as a whole: it goes by itself.
        let large = |judged: &mut Judged| judged.message.size > PIECE_BYTES;
        let large = unclear.extract_if(.., large);
        let mut batches: Vec<Vec<Judged>> = large.map(|judged| vec![judged]).collect();
        while !unclear.is_empty() {
            let rest = unclear.split_off(BATCH_FILES.min(unclear.len()));
            batches.push(std::mem::replace(&mut unclear, rest));
        }
        while !batches.is_empty() {
            let rest = batches.split_off(BATCHES.min(batches.len()));
            let together = std::mem::replace(&mut batches, rest);
            let mut jobs: Vec<Pin<Box<dyn Future<Output = _>>>> = Vec::new();
            for batch in together {
                jobs.push(Box::pin(self.read(session, selected, batch)));
            }
            for uids in rt::join_all(jobs).await {
                found.extend(uids?);
            }
        }
        found.sort_unstable();
        for (uid, modseq) in found {
            self.found.push(uid);
            self.modseqs.push(modseq);
        }
        Ok(())
    }

    /// Judges messages by their files, too; one that can't be read isn't found, and the log says so.
    async fn read(
        &self,
        session: &Session,
        selected: &Selected,
        batch: Vec<Judged>,
    ) -> Result<Vec<(u32, u64)>, Failure> {
        let parts = &session.backend.parts;
        let path = |judged: &Judged| parts.store.path(&selected.mailbox, judged.message.uid);
        let paths: Vec<PathBuf> = batch.iter().map(path).collect();
        let sizes = batch.iter().map(|judged| judged.message.size);
        let largest = sizes.max().unwrap_or(0);
        let program = Arc::clone(&self.program);
        let judge = move || {
            let mut found = Vec::new();
            for (judged, path) in batch.iter().zip(paths) {
                let mut letter = Letter::new(path, judged.message.header_size);
                match judged.matches(&program, &mut letter) {
                    Ok(true) => found.push(judged.names()),
                    Ok(false) => {}
                    Err(error) => tracing::error!("{}: {error}", letter.path.display()),
                }
            }
            found
        };
        Ok(parts.read_whole(largest, judge).await?)
    }
}

/// A message that is to be judged.
struct Judged {
    number: u32,
    recent: bool,
    message: Message,
}

impl Judged {
    /// Its UID and modseq.
    fn names(&self) -> (u32, u64) {
        (self.message.uid, self.message.modseq)
    }

    fn matches<C: Content>(&self, program: &Program, content: &mut C) -> Result<bool, C::Error> {
        let candidate = Candidate {
            number: self.number,
            message: &self.message,
            recent: self.recent,
        };
        program.matches(&candidate, content)
    }
}
