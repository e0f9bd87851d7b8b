//! The follower: keeps a connection to the master and the list in step with it.
//!
//! All that is decided here is when to read, to wait and to commit; what the bytes mean is
//! [`crate::machine`]'s. One task on the mupdate core, and by type the only writer of the list.
//! It never leaves the core busy for longer than one batch: between batches other tasks run, and
//! requests are taken.

use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use ravenry_core::mailboxes::{ListReader, ListWriter, Made, Removed, SyncToken};
use ravenry_core::proto::mupdate::Place;
use ravenry_core::rt::{self, Either, Instant, channel};
use ravenry_core::tls::Leg;

use crate::barrier::{self, Barrier, BarrierError, Reply, Request, told};
use crate::batch::BatchLimits;
use crate::config::FollowerConfig;
use crate::fault::Fault;
use crate::machine::{Answer, Machine, Settings, Step};
use crate::status::{AwayReason, FollowerState, Published};
use crate::way::Way;

/// Changes in one transaction: some milliseconds of the mupdate core.
const BATCH_COUNT_MAX: usize = 1000;
/// … and their bytes, for lists with very long ACLs.
const BATCH_BYTES_MAX: usize = 1024 * 1024;
/// Barriers that may wait at once, over all shards.
const BARRIERS_MAX: usize = 65_536;
/// How long after a stream's end barriers wait for the next one: a master that is started anew is
/// back by then. Later, from the next attempt that fails, they fail at once.
const HOPE: Duration = Duration::from_secs(1);
/// Requests taken before the stream is looked at again.
const REQUESTS_AT_ONCE_MAX: usize = 4096;

/// The follower; [`Follower::run`] it on the mupdate core.
pub struct Follower {
    way: Way,
    writer: ListWriter,
    reader: ListReader,
    machine: Machine<Reply>,
    requests: channel::Receiver<Request>,
    /// Who is told of commits.
    watchers: Vec<channel::Sender<()>>,
    /// Who is told what was changed, and whether something of it was dropped.
    tell: Option<channel::Sender<Made>>,
    dropped: bool,
    resign: Option<channel::Receiver<channel::OneSender<Resigned>>>,
    at_end: AtEnd,
    /// Keeps the channel of requests open when no shard has a handle.
    handle: Barrier,
    published: Arc<Published>,
    /// When the present stream began.
    synced_at: Option<Instant>,
    /// When the last one ended.
    away_since: Instant,
}

/// A follower that writes what the master says through `writer`, and the handle by which shards
/// ask it. Nothing happens before the follower runs.
pub fn follower(
    config: FollowerConfig,
    writer: ListWriter,
    reader: ListReader,
) -> (Follower, Barrier) {
    let config = config.sensible();
    // If the list can't be read, the first sync will say so.
    let sequence = reader.sequence().unwrap_or_default();
    let published = Arc::new(Published::new(reader.count().unwrap_or_default(), sequence));
    let (handle, requests) = barrier::pair(Arc::clone(&published));
    let hello = config.hello();
    let settings = Settings {
        noop_every: config.noop_every,
        answer_within: config.answer_within,
        batch: BatchLimits {
            count_max: BATCH_COUNT_MAX,
            bytes_max: BATCH_BYTES_MAX,
        },
        barriers_max: BARRIERS_MAX,
    };
    let follower = Follower {
        way: Way::new(&config, "no MUPDATE master"),
        writer,
        reader,
        machine: Machine::new(settings, hello, sequence, rt::now()),
        requests,
        watchers: Vec::new(),
        tell: config.tell,
        dropped: false,
        resign: None,
        at_end: AtEnd(Some(Arc::clone(&published))),
        handle: handle.clone(),
        published,
        synced_at: None,
        away_since: rt::now(),
    };
    (follower, handle)
}

impl Follower {
    /// The handle by which it is asked.
    #[must_use]
    pub fn barrier(&self) -> Barrier {
        self.handle.clone()
    }

    /// Where it is asked to resign, while it runs.
    pub(crate) fn resign(&mut self) -> Resign {
        let (ask, asked) = channel::channel(1);
        self.resign = Some(asked);
        ask
    }

    /// Follows the master until the shard drains, or it is asked to resign. Barriers that wait then fail
    /// as unavailable.
    pub async fn run(mut self) {
        let resign = self.resign.take();
        let asked = async move {
            match resign {
                Some(mut asked) => match asked.recv().await {
                    Some(reply) => reply,
                    None => std::future::pending().await,
                },
                None => std::future::pending().await,
            }
        };
        match rt::select(rt::draining(), rt::select(self.follow(), asked)).await {
            Either::Left(()) => tracing::debug!("the follower ends"),
            Either::Right(Either::Left(never)) => match never {},
            Either::Right(Either::Right(reply)) => self.hand_over(reply),
        }
    }

    fn hand_over(mut self, reply: channel::OneSender<Resigned>) {
        self.machine.disconnected();
        self.machine.give_up();
        self.deliver();
        self.at_end.0 = None;
        let resigned = Resigned {
            writer: self.writer,
            list: self.reader,
            requests: self.requests,
            published: self.published,
            watchers: self.watchers,
        };
        if let Err(unheard) = reply.send(resigned) {
            // Whoever asked has gone: nobody keeps the list.
            let ended = FollowerState::Away(AwayReason::NotRunning);
            unheard.published.set_state(ended);
        }
    }

    async fn follow(&mut self) -> Infallible {
        self.published.set_state(FollowerState::Connecting);
        loop {
            let fault = match self.converse().await {
                Err(fault) => fault,
                Ok(never) => match never {},
            };
            let wait = self.broken(&fault);
            self.meanwhile(rt::sleep(wait)).await;
            self.published.reconnects.fetch_add(1, Relaxed);
        }
    }

    /// A connection is over, or there was none: how long until the next attempt.
    fn broken(&mut self, fault: &Fault) -> Duration {
        self.machine.disconnected();
        let stood = self.synced_at.take().map(|since| rt::now() - since);
        if stood.is_some() {
            self.away_since = rt::now();
        }
        self.published
            .set_state(FollowerState::Away(fault.reason()));
        if fault.lasts() || rt::now() >= self.away_since + HOPE {
            self.machine.give_up();
        }
        self.way.failed(fault, stood)
    }

    /// One connection, from connect to its end.
    async fn converse(&mut self) -> Result<Infallible, Fault> {
        let connecting = self.way.connect();
        let mut stream = self.meanwhile(connecting).await?;
        let mut sync = Some(self.writer.begin_sync().map_err(Fault::List)?);
        let about = self.reader.about().map_err(Fault::List)?;
        let known = Place {
            identity: about.upstream.identity,
            epoch: about.standing.epoch,
            sequence: about.upstream.sequence,
        };
        self.machine.connected(known, rt::now());
        loop {
            let step = self.machine.next(rt::now())?;
            self.machine.tick(rt::now());
            self.deliver();
            self.send(&stream).await?;
            match step {
                Step::StartTls => {
                    let shaking = self.way.handshake(&mut stream);
                    self.meanwhile(shaking).await?;
                    self.machine.secured(rt::now());
                }
                Step::Apply => self.apply(sync.as_mut())?,
                Step::EndSync => self.end_sync(sync.take())?,
                Step::Hungry => {
                    if !self.read(&stream, sync.as_mut())? {
                        let until = self.machine.quiet(rt::now())?;
                        self.wait(&stream, until).await?;
                        continue;
                    }
                }
            }
            self.breathe().await;
        }
    }

    /// Reads what is there; with nothing there, commits what waits to be. False: nothing to do.
    fn read(&mut self, stream: &Leg, sync: Option<&mut SyncToken>) -> Result<bool, Fault> {
        match self.way.read(stream)? {
            Some([]) => {
                self.apply(sync)?;
                Err(Fault::Closed)
            }
            Some(bytes) => {
                self.machine.receive(bytes);
                self.published.contact(rt::wall_clock());
                Ok(true)
            }
            None => {
                let apply = self.machine.should_apply();
                if apply {
                    self.apply(sync)?;
                }
                Ok(apply)
            }
        }
    }

    fn apply(&mut self, sync: Option<&mut SyncToken>) -> Result<(), Fault> {
        let changes = self.machine.batch().changes();
        let count = u64::try_from(changes.len()).unwrap_or(u64::MAX);
        let applied = match self.machine.reached() {
            Some(place) if sync.is_none() || self.machine.is_delta() => {
                self.writer.apply_up_to(changes, place)
            }
            _ => self.writer.apply(changes, sync),
        };
        let sequence = applied.map_err(Fault::List)?;
        self.published.changes.fetch_add(count, Relaxed);
        self.machine.applied(sequence, rt::now());
        self.publish_list(sequence)
    }

    fn end_sync(&mut self, sync: Option<SyncToken>) -> Result<(), Fault> {
        let sync = sync.expect("invariant: a connection has one sync, and it ends once");
        let (removed, sequence) = if self.machine.is_delta() {
            (0, self.reader.sequence().map_err(Fault::List)?)
        } else {
            let Removed { names, sequence } = self.writer.end_sync(sync).map_err(Fault::List)?;
            (names, sequence)
        };
        // None: it has no place that could be asked from, and another upstream's is none of its.
        let place = self.machine.reached();
        if place.is_some() || !self.machine.is_delta() {
            let place = place.unwrap_or_default();
            self.writer.set_reached(place).map_err(Fault::List)?;
        }
        self.machine.synced(sequence, rt::now());
        self.synced_at = Some(rt::now());
        self.way.is_up();
        self.published.resyncs.fetch_add(1, Relaxed);
        self.publish_list(sequence)?;
        let names = self.published.names.load(Relaxed);
        tracing::info!(
            names,
            removed,
            sequence,
            "the mailbox list is in step with the master"
        );
        Ok(())
    }

    fn publish_list(&mut self, sequence: u64) -> Result<(), Fault> {
        self.tell_made();
        let names = self.reader.count().map_err(Fault::List)?;
        self.published.names.store(names, Relaxed);
        self.published.sequence.store(sequence, Relaxed);
        self.published
            .changes_refused
            .store(self.machine.batch().refused(), Relaxed);
        self.watchers.retain(told);
        Ok(())
    }

    /// Hands on what was changed, before any barrier is answered.
    fn tell_made(&mut self) {
        let mut made = self.writer.take_made();
        let Some(tell) = self.tell.as_ref().filter(|_| !made.changes.is_empty()) else {
            return;
        };
        made.whole &= !std::mem::take(&mut self.dropped);
        self.dropped = tell.try_send(made).is_err();
    }

    /// Sends what the machine has to say.
    async fn send(&mut self, stream: &Leg) -> Result<(), Fault> {
        if let Some(state) = self.machine.state() {
            self.published.set_state(state);
        }
        let (noops, shared) = self.machine.counts();
        self.published.noops.store(noops, Relaxed);
        self.published.barriers_shared.store(shared, Relaxed);
        let output = std::mem::take(self.machine.output());
        self.way.send(stream, output).await
    }

    fn deliver(&mut self) {
        if let Some(at) = self.machine.take_confirmed() {
            self.published.confirmed.set(at);
        }
        for (reply, answer) in self.machine.take_answers() {
            // Whoever asked may have gone.
            let _ = reply.send(match answer {
                Answer::UpToDate(sequence) => Ok(sequence),
                Answer::Late => Err(BarrierError::late(self.published.state())),
                Answer::Refused => Err(BarrierError::REFUSED),
                Answer::Crowded => Err(BarrierError::CROWDED),
            });
        }
    }
}

impl Follower {
    /// Nothing to read: waits for bytes, requests or `until`.
    async fn wait(&mut self, stream: &Leg, until: Option<Instant>) -> Result<(), Fault> {
        let bytes = rt::select(stream.readable(), sleep_until(until));
        let woken = rt::select(bytes, self.requests.recv()).await;
        match woken {
            Either::Left(Either::Left(readable)) => readable.map_err(Fault::Broken)?,
            Either::Left(Either::Right(())) => {}
            Either::Right(request) => {
                self.ask(request);
                self.breathe().await; // Those who come together share a NOOP.
            }
        }
        Ok(())
    }

    /// Lets the other tasks of this core run, and takes the requests that have come.
    async fn breathe(&mut self) {
        rt::yield_now().await;
        for _ in 0..REQUESTS_AT_ONCE_MAX {
            match self.requests.try_recv() {
                None => return,
                request => self.ask(request),
            }
        }
    }

    /// Does `work` while there is no connection: requests wait, and fail when their time is over.
    async fn meanwhile<F: Future>(&mut self, work: F) -> F::Output {
        let mut work = pin!(work);
        loop {
            self.machine.tick(rt::now());
            self.deliver();
            let late = sleep_until(self.machine.next_deadline());
            let other = rt::select(self.requests.recv(), late);
            match rt::select(work.as_mut(), other).await {
                Either::Left(output) => return output,
                Either::Right(Either::Left(request)) => self.ask(request),
                Either::Right(Either::Right(())) => {}
            }
        }
    }

    fn ask(&mut self, request: Option<Request>) {
        match request {
            Some(Request::UpToDate { deadline, reply }) => self.machine.ask(reply, deadline),
            Some(Request::Watch(watcher)) if told(&watcher) => self.watchers.push(watcher),
            // None cannot be: this follower holds a sender itself.
            Some(Request::Watch(_)) | None => {}
        }
    }
}

/// Says that the follower doesn't run, when it is dropped: also where the task panics, so that what
/// shards read then is true. Nobody's: another has taken over what it published.
struct AtEnd(Option<Arc<Published>>);

impl Drop for AtEnd {
    fn drop(&mut self) {
        if let Some(published) = &self.0 {
            published.set_state(FollowerState::Away(AwayReason::NotRunning));
        }
    }
}

/// What a follower that has resigned leaves: the list, and those who ask about it.
pub(crate) struct Resigned {
    pub(crate) writer: ListWriter,
    pub(crate) list: ListReader,
    pub(crate) requests: channel::Receiver<Request>,
    pub(crate) published: Arc<Published>,
    pub(crate) watchers: Vec<channel::Sender<()>>,
}

/// Where a follower is asked to resign.
pub(crate) type Resign = channel::Sender<channel::OneSender<Resigned>>;

async fn sleep_until(until: Option<Instant>) {
    match until {
        Some(until) => rt::sleep_until(until).await,
        None => std::future::pending().await,
    }
}
