//! UPDATE (RFC 3656 section 4.11): the list, then every change in order and at once.
//!
//! The list is read in pieces, none of them held while it is sent, so names change meanwhile. The
//! stream remembers the sequence S from before the first piece; behind the last it tells what has
//! changed since S, from the list's own index, up to a sequence E at which nothing was left; from there
//! on it is at a place in the journal. A name told a second time is as it is now, so nobody ever
//! sees a state older than one that they had. UPDATE tells what has changed since S behind its OK,
//! because a Cyrus slave gives up on a DELETE before it; X-UPDATE before it, so that who has its OK has
//! the list as it was at one moment.
//!
//! A stream that falls behind the journal while it is waiting for its peer is cut. One that is behind
//! for another reason (the list was filled at one blow) catches up from the index again.

use std::rc::Rc;
use std::sync::Arc;

use ravenry_core::limits::MUPDATE_IDLE_MAX;
use ravenry_core::mailboxes::{About, After, ListError, Piece, Told};
use ravenry_core::proto::mupdate::{Place, Request, Verb, reply, request};
use ravenry_core::rt::{self, Either, channel};

use super::counters::Counters;
use super::journal::Gone;
use super::peer::{End, OUTPUT_BYTES_MAX};
use super::session::{Session, tell_to};
use crate::master::same;

const STARTS: &str = "streaming starts";

/// A stream that is open.
struct Streaming {
    tag: Vec<u8>,
    /// Whose names are told; empty: all.
    servers: Vec<String>,
    /// What is sent next.
    place: u64,
    /// The commit that was told last.
    sequence: u64,
    /// To a Ravenry, which is told how far it has come.
    ravenry: bool,
    /// Who decided here when it began.
    reign: u64,
    news: channel::Receiver<()>,
}

impl Streaming {
    /// Tells a Ravenry that it has all up to here.
    fn tell_sequence(&self, out: &mut Vec<u8>) {
        if self.ravenry {
            out.extend_from_slice(&self.tag);
            reply::quoted("X-SEQUENCE", &[&self.sequence.to_string()], out);
        }
    }
}

impl Session {
    /// UPDATE: until the connection ends.
    pub(crate) async fn update(&mut self, tag: &[u8], servers: &[String]) -> Result<(), End> {
        let Some(about) = self.about_whole(tag) else {
            return Ok(());
        };
        let mut stream = self.streaming(tag, servers, about.sequence, false);
        self.tell_list(&stream).await?;
        self.answer(tag, "OK", STARTS);
        self.catch_up(&mut stream).await?;
        self.follow(stream).await
    }

    /// X-UPDATE: what has changed since `place`, if that can be told; otherwise the whole list. Who knows a
    /// newer epoch is told nothing: another is the master now.
    pub(crate) async fn update_since(&mut self, tag: &[u8], place: Place) -> Result<(), End> {
        let Some(about) = self.about_whole(tag) else {
            return Ok(());
        };
        if place.epoch > about.standing.epoch {
            if about.standing.superseded_by < place.epoch {
                let authority = self.shared.authority();
                authority.superseded_by(place.epoch).await;
            }
            let why = format!("there is a newer master, of epoch {}", place.epoch);
            self.answer(tag, "NO", &why);
            return Ok(());
        }
        let can_tell = about
            .changes_from
            .is_some_and(|from| (from..=about.sequence).contains(&place.sequence));
        if place.identity == about.identity && can_tell {
            let mut stream = self.streaming(tag, &[], place.sequence, true);
            self.shared.counters.deltas_sent.add(1);
            let out = self.peer.output();
            out.extend_from_slice(tag);
            out.extend_from_slice(b" X-SINCE\r\n");
            self.catch_up(&mut stream).await?;
            self.answer(tag, "OK", STARTS);
            return self.follow(stream).await;
        }
        let mut stream = self.streaming(tag, &[], about.sequence, true);
        self.tell_list(&stream).await?;
        self.catch_up(&mut stream).await?;
        self.answer(tag, "OK", STARTS);
        self.follow(stream).await
    }

    /// What the list says of itself, if it is whole; otherwise the command is answered.
    fn about_whole(&mut self, tag: &[u8]) -> Option<About> {
        self.shared.counters.streams.add(1);
        match self.shared.list.about() {
            Ok(about) if about.complete => return Some(about),
            Ok(_) => self.unreadable(tag, &ListError::Incomplete),
            Err(error) => self.unreadable(tag, &error),
        }
        None
    }

    fn streaming(&self, tag: &[u8], servers: &[String], sequence: u64, ravenry: bool) -> Streaming {
        Streaming {
            tag: tag.to_vec(),
            servers: servers.to_vec(),
            place: 0,
            sequence,
            ravenry,
            reign: self.shared.reigns.get(),
            news: self.shared.journal.watch(),
        }
    }

    async fn tell_list(&mut self, stream: &Streaming) -> Result<(), End> {
        let shared = Rc::clone(&self.shared);
        let wanted = |told: &Told<'_>| {
            let named = |server: &str| stream.servers.iter().any(|wanted| same(wanted, server));
            stream.servers.is_empty() || told.held.is_some_and(|held| named(held.server))
        };
        let mut after = Some(After::nothing());
        while let Some(from) = after {
            let out = self.peer.output();
            let piece = shared.list.tell_names(&from, |told| {
                if wanted(&told) {
                    tell_to(&stream.tag, &told, stream.ravenry, out);
                }
                out.len() < OUTPUT_BYTES_MAX
            });
            after = self.piece(piece)?.next;
            if self.peer.is_full() {
                self.peer.flush().await?;
            }
            rt::yield_now().await;
        }
        shared.counters.lists_sent.add(1);
        Ok(())
    }

    /// Tells what has changed since the stream's sequence, whosever it is: where a name was before
    /// isn't known here.
    async fn catch_up(&mut self, stream: &mut Streaming) -> Result<(), End> {
        let shared = Rc::clone(&self.shared);
        loop {
            let mut after = After::sequence(stream.sequence);
            loop {
                let out = self.peer.output();
                let piece = shared.list.tell_changes(&after, |told| {
                    tell_to(&stream.tag, &told, stream.ravenry, out);
                    out.len() < OUTPUT_BYTES_MAX
                });
                let piece = self.piece(piece)?;
                match piece.next {
                    Some(next) => after = next,
                    None => {
                        stream.sequence = piece.sequence;
                        stream.tell_sequence(self.peer.output());
                        break;
                    }
                }
                self.peer.flush().await?;
                rt::yield_now().await;
            }
            // No wait since the last piece: what comes after it is in the journal, or yet to come.
            if let Some(place) = shared.journal.place_after(stream.sequence) {
                stream.place = place;
                return Ok(());
            }
            rt::yield_now().await;
        }
    }

    fn piece(&self, piece: Result<Piece, ListError>) -> Result<Piece, End> {
        piece.map_err(|error| {
            tracing::error!("mailbox list: {error}");
            End::Refused("the mailbox list can't be read")
        })
    }

    async fn follow(&mut self, mut stream: Streaming) -> Result<(), End> {
        let _open = Open::new(&self.shared.counters);
        let mut idle_at = rt::now() + MUPDATE_IDLE_MAX;
        loop {
            if stream.ravenry && stream.reign != self.shared.reigns.get() {
                return Err(End::Refused(
                    "this is the master now: the banner has its epoch",
                ));
            }
            self.tell_news(&mut stream).await?;
            while let Some(command) = self.peer.next()? {
                self.shared.counters.commands.add(1);
                idle_at = rt::now() + MUPDATE_IDLE_MAX;
                self.obey_streaming(&mut stream, &command).await?;
            }
            self.flush_stream(&mut stream).await?;
            if !matches!(self.shared.journal.at(stream.place), Ok(None)) {
                continue;
            }
            let waiting = rt::select(self.peer.read(), stream.news.recv());
            let waiting = rt::select(rt::draining(), rt::timeout_at(idle_at, waiting));
            match waiting.await {
                Either::Left(()) | Either::Right(Ok(Either::Right(None))) => {
                    return Err(End::Stopping);
                }
                Either::Right(Ok(Either::Left(read))) => read?,
                Either::Right(Ok(Either::Right(Some(())))) => {}
                Either::Right(Err(_elapsed)) => return Err(End::Silent("idle")),
            }
        }
    }

    /// Sends what has been committed since.
    async fn tell_news(&mut self, stream: &mut Streaming) -> Result<(), End> {
        let shared = Rc::clone(&self.shared);
        loop {
            match shared.journal.at(stream.place) {
                Ok(Some(event)) => {
                    if event.concerns(&stream.servers) {
                        event.tell(&stream.tag, stream.ravenry, self.peer.output());
                    }
                    stream.place += 1;
                    stream.sequence = event.sequence;
                    let next = shared.journal.at(stream.place);
                    if !matches!(next, Ok(Some(next)) if next.sequence == event.sequence) {
                        stream.tell_sequence(self.peer.output());
                    }
                }
                Ok(None) => return Ok(()),
                Err(Gone) => {
                    shared.counters.streams_caught_up.add(1);
                    // The commit of the last event may have had more of them.
                    stream.sequence = stream.sequence.saturating_sub(1);
                    self.catch_up(stream).await?;
                }
            }
            if self.peer.is_full() {
                self.flush_stream(stream).await?;
            }
        }
    }

    async fn flush_stream(&mut self, stream: &mut Streaming) -> Result<(), End> {
        let (journal, place) = (Rc::clone(&self.shared), stream.place);
        let keeps_up = || journal.journal.has(place);
        self.peer.flush_while(&mut stream.news, keeps_up).await
    }

    /// Within a stream: NOOP and LOGOUT.
    async fn obey_streaming(&mut self, stream: &mut Streaming, command: &[u8]) -> Result<(), End> {
        match request(command) {
            Ok(Request {
                tag,
                verb: Verb::Noop,
            }) => {
                let within = self.shared.limits.barrier;
                let passed = self.shared.authority().barrier(within).await;
                // What the barrier has waited for comes before its answer.
                self.tell_news(stream).await?;
                match passed {
                    Ok(()) => self.answer(tag, "OK", "Noop done"),
                    Err(why) => self.answer(tag, "NO", &why),
                }
                Ok(())
            }
            Ok(Request {
                tag,
                verb: Verb::Logout,
            }) => {
                self.answer(tag, "OK", "bye-bye");
                Err(End::Logout)
            }
            Ok(Request { tag, .. }) => self.bad(tag, "not legal when streaming"),
            Err(bad) => self.bad(bad.tag, bad.why.text()),
        }
    }
}

/// Counted as open until it is dropped.
struct Open(Arc<Counters>);

impl Open {
    fn new(counters: &Arc<Counters>) -> Self {
        counters.streams_open.add(1);
        Self(Arc::clone(counters))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.streams_open.sub(1);
    }
}
