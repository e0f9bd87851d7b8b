//! The walk over a mailbox' messages that SEARCH, SORT and THREAD share: which of them match, and what is wanted of each.
//!
//! Messages are judged by their records in the index, and by what is kept of their headers, thousands at once on each of several threads
//! that may wait for the disk. Those whose files have to be read come behind, a few at a time. Where the index says all, the shard
//! judges by itself, slice by slice.

use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;

use ravenry_core::client::PROGRESS_EVERY;
use ravenry_core::proto::imap::Uids;
use ravenry_core::rt::{self, Instant};

use super::letter::{Kept, Letter, Needed};
use crate::imap::failure::Failure;
use crate::imap::numbers::Numbers;
use crate::imap::select::Selected;
use crate::imap::session::Session;
use crate::message::{self, Summary};
use crate::search::{Candidate, Needs, Program};
use crate::shard::PIECE_BYTES;
use crate::store::{Mailbox, Message, Store, StoreError};

/// Messages judged on the shard before others have their turn.
const SLICE_MESSAGES: u32 = 1024;
/// Messages that a thread judges in a row, and such rows at a time.
const ROW_MESSAGES: u32 = 2048;
const ROWS: u32 = 4;
/// Files that a thread reads in a row, and such rows at a time.
const BATCH_FILES: usize = 64;
const BATCHES: usize = 4;

/// What is wanted of each message that is found.
pub(in crate::imap) trait Want: Send + Sync + 'static {
    /// What that is.
    type Item: Send + 'static;

    /// Whether it is in headers.
    fn needs_header(&self) -> bool;

    /// Takes it from a message, and what is kept of its header.
    ///
    /// # Errors
    /// If that isn't enough.
    fn take(&self, message: &Message, kept: Option<Summary<'_>>) -> Result<Self::Item, Needed>;
}

/// A message that matches.
pub(in crate::imap) struct Found<T> {
    pub(in crate::imap) uid: u32,
    pub(in crate::imap) modseq: u64,
    pub(in crate::imap) item: T,
}

/// A walk under way.
pub(in crate::imap) struct Walk<W: Want> {
    judge: Arc<Judge<W>>,
    tag: Vec<u8>,
    /// The number of the message that is next.
    next: u32,
    /// Messages that have been judged.
    there: u64,
    tell_at: Instant,
}

/// What messages are judged by.
struct Judge<W> {
    store: Store,
    mailbox: Mailbox,
    program: Program,
    want: W,
    numbers: Numbers,
    recent: Uids,
}

/// A message that is to be judged by its file.
struct Judged {
    number: u32,
    recent: bool,
    message: Message,
}

/// What came of a row of messages.
struct Row<T> {
    found: Vec<Found<T>>,
    /// Their files have to be read.
    unclear: Vec<Judged>,
    there: u64,
}

impl<W: Want> Walk<W> {
    pub(in crate::imap) fn new(
        (session, selected): (&Session, &Selected),
        tag: &[u8],
        program: Program,
        want: W,
    ) -> Self {
        let judge = Judge {
            store: session.backend.parts.store.clone(),
            mailbox: selected.mailbox.clone(),
            program,
            want,
            numbers: selected.numbers.clone(),
            recent: selected.recent.clone(),
        };
        Self {
            judge: Arc::new(judge),
            tag: tag.to_vec(),
            next: 1,
            there: 0,
            tell_at: rt::now() + PROGRESS_EVERY,
        }
    }

    /// Whether messages were missing that the client still counts.
    pub(in crate::imap) fn missed(&self) -> bool {
        self.there < u64::from(self.judge.numbers.count())
    }

    /// The next of those that match, in order; `None` if there are no more.
    pub(in crate::imap) async fn next(
        &mut self,
        session: &mut Session,
    ) -> Result<Option<Vec<Found<W::Item>>>, Failure> {
        let all = self.judge.numbers.count();
        if self.next > all || self.next == 0 {
            return Ok(None);
        }
        let of_index =
            self.judge.program.needs() == Needs::Record && !self.judge.want.needs_header();
        let rows = if of_index {
            let uids = self.uids(SLICE_MESSAGES);
            let row = self.judge.row(uids)?;
            rt::yield_now().await;
            vec![row]
        } else {
            self.rows(session).await?
        };
        let (mut found, mut unclear) = (Vec::new(), Vec::new());
        for mut row in rows {
            self.there += row.there;
            found.append(&mut row.found);
            unclear.append(&mut row.unclear);
        }
        if !unclear.is_empty() {
            self.read(session, unclear, &mut found).await?;
            found.sort_unstable_by_key(|found| found.uid);
        }
        self.tell(session, 0).await?;
        Ok(Some(found))
    }

    /// Says how far it is, if it is time to; `left` of the messages that were taken are still to be judged.
    async fn tell(&mut self, session: &mut Session, left: usize) -> Result<(), Failure> {
        if rt::now() >= self.tell_at {
            let done = self.there.saturating_sub(left as u64);
            let of = Some((done, u64::from(self.judge.numbers.count())));
            let told = session.client.tell_progress(&self.tag, of, "Searching");
            told.await?;
            self.tell_at = rt::now() + PROGRESS_EVERY;
        }
        Ok(())
    }

    /// The first and the last UID of so many messages, which are taken.
    fn uids(&mut self, messages: u32) -> (u32, u32) {
        let (first, all) = (self.next, self.judge.numbers.count());
        let last = first.saturating_add(messages - 1).min(all);
        self.next = last.checked_add(1).unwrap_or(0);
        let uid = |number| {
            let one = Uids::from_iter([number]);
            self.judge.numbers.uids_of(&one).iter().next().unwrap_or(0)
        };
        (uid(first), uid(last))
    }

    /// Judges several rows of messages at once.
    async fn rows(&mut self, session: &Session) -> Result<Vec<Row<W::Item>>, Failure> {
        let mut jobs: Vec<Pin<Box<dyn Future<Output = _>>>> = Vec::new();
        for _ in 0..ROWS {
            if self.next == 0 || self.next > self.judge.numbers.count() {
                break;
            }
            let (judge, uids) = (Arc::clone(&self.judge), self.uids(ROW_MESSAGES));
            jobs.push(Box::pin(
                session.backend.parts.disk.run(move || judge.row(uids)),
            ));
        }
        let mut rows = Vec::new();
        for row in rt::join_all(jobs).await {
            rows.push(row??);
        }
        Ok(rows)
    }

    /// Judges messages by their files.
    async fn read(
        &mut self,
        session: &mut Session,
        mut unclear: Vec<Judged>,
        found: &mut Vec<Found<W::Item>>,
    ) -> Result<(), Failure> {
        let judge = Arc::clone(&self.judge);
        let mut left = unclear.len();
        // A large one is in memory as a whole: it goes by itself.
        let large = unclear.extract_if(.., |judged| judge.bytes(judged) > PIECE_BYTES);
        let mut batches: Vec<Vec<Judged>> = large.map(|judged| vec![judged]).collect();
        let mut rest = unclear.into_iter().peekable();
        while rest.peek().is_some() {
            batches.push(rest.by_ref().take(BATCH_FILES).collect());
        }
        let mut batches = batches.into_iter().peekable();
        while batches.peek().is_some() {
            let mut jobs: Vec<Pin<Box<dyn Future<Output = _>>>> = Vec::new();
            for batch in batches.by_ref().take(BATCHES) {
                left -= batch.len();
                let sizes = batch.iter().map(|judged| judge.bytes(judged));
                let (largest, judge) = (sizes.max().unwrap_or(0), Arc::clone(&judge));
                let read = move || judge.files(&batch);
                jobs.push(Box::pin(session.backend.parts.read_whole(largest, read)));
            }
            for more in rt::join_all(jobs).await {
                found.append(&mut more?);
            }
            self.tell(session, left).await?;
        }
        Ok(())
    }
}

impl<W: Want> Judge<W> {
    /// How much of a message's file may have to be read.
    fn bytes(&self, judged: &Judged) -> u64 {
        match self.program.needs() {
            Needs::Whole => judged.message.size,
            _ => judged.message.header_size.into(),
        }
    }

    /// Judges the messages of these UIDs without their files. May wait for the disk.
    fn row(&self, (first, last): (u32, u32)) -> Result<Row<W::Item>, StoreError> {
        let mut messages = Vec::with_capacity(ROW_MESSAGES as usize);
        self.store
            .each_message(self.mailbox.id, (first, last), |message| {
                messages.push(message);
                true
            })?;
        let reads = self.program.needs() > Needs::Record || self.want.needs_header();
        let mut records = reads.then(|| self.store.structures(&self.mailbox, &messages));
        let mut row = Row {
            found: Vec::new(),
            unclear: Vec::new(),
            there: 0,
        };
        for message in &messages {
            // What the client doesn't know of yet isn't found.
            let Some(number) = self.numbers.number(message.uid) else {
                continue;
            };
            row.there += 1;
            let candidate = Candidate {
                number,
                message,
                recent: self.recent.has(message.uid),
            };
            let kept = match &mut records {
                Some(records) => Kept::Closed(records, message),
                None => Kept::Unread,
            };
            match self.one(&candidate, kept) {
                Ok(Some(item)) => row.found.push(Found::new(message, item)),
                Ok(None) => {}
                Err(Needed) => row.unclear.push(Judged {
                    number,
                    recent: candidate.recent,
                    message: message.clone(),
                }),
            }
        }
        Ok(row)
    }

    /// What is wanted of a message, if it matches.
    fn one(
        &self,
        candidate: &Candidate<'_>,
        mut kept: Kept<'_>,
    ) -> Result<Option<W::Item>, Needed> {
        if !self.program.matches(candidate, &mut kept)? {
            return Ok(None);
        }
        let summary = match self.want.needs_header() {
            true => kept.summary(),
            false => None,
        };
        self.want.take(candidate.message, summary).map(Some)
    }

    /// Judges messages by their files; one that can't be read isn't found, and the log says so.
    fn files(&self, batch: &[Judged]) -> Vec<Found<W::Item>> {
        let mut found = Vec::new();
        for judged in batch {
            let path: PathBuf = self.store.path(&self.mailbox, judged.message.uid);
            let mut letter = Letter::new(path, judged.message.header_size);
            match self.program.matches(&judged.candidate(), &mut letter) {
                Ok(true) => {}
                Ok(false) => continue,
                Err(error) => {
                    tracing::error!("{}: {error}", letter.path.display());
                    continue;
                }
            }
            match self.item_of(judged, &mut letter) {
                Ok(Some(item)) => found.push(Found::new(&judged.message, item)),
                Ok(None) => tracing::error!("{}: its header can't be read", letter.path.display()),
                Err(error) => tracing::error!("{}: {error}", letter.path.display()),
            }
        }
        found
    }

    /// What is wanted of a message whose file says all.
    fn item_of(&self, judged: &Judged, letter: &mut Letter) -> std::io::Result<Option<W::Item>> {
        if !self.want.needs_header() {
            return Ok(self.want.take(&judged.message, None).ok());
        }
        let record = message::record_of_header(letter.header()?);
        Ok(self.want.take(&judged.message, Summary::of(&record)).ok())
    }
}

impl Judged {
    fn candidate(&self) -> Candidate<'_> {
        Candidate {
            number: self.number,
            message: &self.message,
            recent: self.recent,
        }
    }
}

impl<T> Found<T> {
    fn new(message: &Message, item: T) -> Self {
        Self {
            uid: message.uid,
            modseq: message.modseq,
            item,
        }
    }
}
