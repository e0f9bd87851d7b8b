//! The task that keeps the client's connection. All that is decided here is when to read, to wait and to connect; what the
//! bytes mean is `conversation`'s.
//!
//! While a connection is in sight, asks wait for it: at the start, and for [`HOPE`] after one has ended. Later they wait
//! for one attempt, which they set off, unless the last one has only just failed.

use std::cell::Cell;
use std::convert::Infallible;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use ravenry_core::rt::{self, Either, Instant, channel};
use ravenry_core::tls::Leg;

use super::conversation::{Conversation, Step};
use super::{Client, REQUESTS_MAX, Reply, Request};
use crate::config::FollowerConfig;
use crate::fault::Fault;
use crate::way::Way;

/// How long after a connection's end asks wait for the next one: a master that is started anew is back by then.
const HOPE: Duration = Duration::from_secs(1);
/// So long after an attempt that failed nobody sets off another.
const PAUSE: Duration = Duration::from_millis(500);
/// Where the shard drains: how long after the last answer somebody may ask again.
const LINGER: Duration = Duration::from_millis(200);
/// Requests taken before the connection is looked at again.
const REQUESTS_AT_ONCE_MAX: usize = 256;

/// The task that keeps the connection; run it on the mupdate core.
pub struct ClientTask {
    way: Way,
    conversation: Conversation<Reply>,
    requests: channel::Receiver<Request>,
    connections: Arc<AtomicU64>,
    waiting: Vec<(u64, channel::OneSender<u64>)>,
    /// When the last connection ended.
    away_since: Instant,
    /// When this one came up.
    up_since: Option<Instant>,
    in_use: Rc<Use>,
}

/// A client of the master that `config` names, and the task that has to run for it.
pub fn client(config: FollowerConfig) -> (Client, ClientTask) {
    let config = config.sensible();
    let (requests, taken) = channel::channel(REQUESTS_MAX);
    let connections = Arc::new(AtomicU64::new(0));
    let client = Client {
        requests,
        connections: Arc::clone(&connections),
    };
    let waits = (config.answer_within, config.noop_every);
    let task = ClientTask {
        conversation: Conversation::new(config.hello(), waits, rt::now()),
        way: Way::new(&config, "no mailbox can be made, renamed or deleted"),
        requests: taken,
        connections,
        waiting: Vec::new(),
        away_since: rt::now(),
        up_since: None,
        in_use: Rc::new(Use {
            waiting: Cell::new(0),
            last: Cell::new(rt::now()),
        }),
    };
    (client, task)
}

/// Whether somebody waits for an answer, and since when nobody has.
struct Use {
    waiting: Cell<usize>,
    last: Cell<Instant>,
}

impl ClientTask {
    /// Keeps the connection until the shard drains and nobody has asked for a moment.
    pub async fn run(mut self) {
        let in_use = Rc::clone(&self.in_use);
        let unused = async move {
            rt::draining().await;
            // Operations that are under way may end.
            while in_use.waiting.get() > 0 || rt::now() < in_use.last.get() + LINGER {
                rt::sleep(LINGER / 4).await;
            }
        };
        rt::select(pin!(unused), pin!(self.keep())).await;
        tracing::debug!("the MUPDATE client ends");
    }

    async fn keep(&mut self) -> Infallible {
        loop {
            let fault = match self.converse().await {
                Err(fault) => fault,
                Ok(never) => match never {},
            };
            let wait = self.broken(&fault);
            self.pause(wait).await;
        }
    }

    /// A connection is over, or there was none: how long until the next attempt.
    fn broken(&mut self, fault: &Fault) -> Duration {
        let why = fault.to_string();
        self.conversation.disconnected(&why);
        let stood = self.up_since.take().map(|since| rt::now() - since);
        if stood.is_some() {
            self.away_since = rt::now();
        }
        if fault.lasts() || rt::now() >= self.away_since + HOPE {
            self.conversation.give_up(&why);
        }
        self.deliver();
        self.way.failed(fault, stood)
    }

    /// Until the next attempt: whoever asks is refused for [`PAUSE`], and then sets it off.
    async fn pause(&mut self, wait: Duration) {
        let (begun, until) = (rt::now(), rt::now() + wait);
        while rt::now() < until {
            let asked = rt::select(rt::sleep_until(until), self.requests.recv()).await;
            let Either::Right(Some(request)) = asked else {
                // None cannot be while a handle is there; without one nobody asks.
                rt::sleep_until(until).await;
                return;
            };
            self.take(request);
            if !self.conversation.has_asks() {
                continue;
            }
            if rt::now() >= begun + PAUSE || rt::now() < self.away_since + HOPE {
                return;
            }
            self.conversation
                .give_up("the last attempt has just failed");
            self.deliver();
        }
    }

    /// One connection, from connect to its end.
    async fn converse(&mut self) -> Result<Infallible, Fault> {
        let connecting = self.way.connect();
        let mut stream = self.meanwhile(connecting).await?;
        self.conversation.connected(rt::now());
        loop {
            let step = self.conversation.next(rt::now())?;
            self.welcome();
            self.deliver();
            let output = std::mem::take(self.conversation.output());
            self.way.send(&stream, output).await?;
            if step == Step::StartTls {
                let shaking = self.way.handshake(&mut stream);
                self.meanwhile(shaking).await?;
                self.conversation.secured(rt::now());
            } else if !self.read(&stream)? {
                self.wait(&stream).await?;
            }
        }
    }

    /// The connection has come up just now: those are told who wait for that.
    fn welcome(&mut self) {
        if self.up_since.is_some() || !self.conversation.is_up() {
            return;
        }
        self.up_since = Some(rt::now());
        self.way.is_up();
        let count = self.connections.fetch_add(1, Ordering::AcqRel) + 1;
        tracing::info!("mailboxes can be made, renamed and deleted: the MUPDATE master is there");
        for (after, reply) in std::mem::take(&mut self.waiting) {
            self.tell_connected(after, reply, count);
        }
    }

    fn tell_connected(&mut self, after: u64, reply: channel::OneSender<u64>, count: u64) {
        if count > after && self.up_since.is_some() {
            // Whoever asked may have gone.
            let _ = reply.send(count);
        } else {
            self.waiting.retain(|(_, reply)| !reply.is_closed());
            self.waiting.push((after, reply));
        }
    }

    /// Reads what is there; false: nothing.
    fn read(&mut self, stream: &Leg) -> Result<bool, Fault> {
        match self.way.read(stream)? {
            None => Ok(false),
            Some([]) => Err(Fault::Closed),
            Some(bytes) => {
                self.conversation.receive(bytes);
                Ok(true)
            }
        }
    }

    /// Nothing to read: waits for bytes, requests or the time.
    async fn wait(&mut self, stream: &Leg) -> Result<(), Fault> {
        let now = rt::now();
        let quiet = self.conversation.quiet(now)?;
        let expires = self.conversation.expire(now);
        self.deliver();
        let until = expires.map_or(quiet, |at| at.min(quiet));
        let bytes = rt::select(stream.readable(), rt::sleep_until(until));
        match rt::select(bytes, self.requests.recv()).await {
            Either::Left(Either::Left(readable)) => readable.map_err(Fault::Broken)?,
            Either::Left(Either::Right(())) => {}
            Either::Right(request) => self.take_all(request).await,
        }
        Ok(())
    }

    /// Those who come together go together.
    async fn take_all(&mut self, first: Option<Request>) {
        let Some(first) = first else {
            // Nobody can ask any more: the process is about to end.
            return std::future::pending().await;
        };
        self.take(first);
        rt::yield_now().await;
        for _ in 0..REQUESTS_AT_ONCE_MAX {
            match self.requests.try_recv() {
                Some(request) => self.take(request),
                None => return,
            }
        }
    }

    /// Does `work` while there is no connection: asks wait.
    async fn meanwhile<F: Future>(&mut self, work: F) -> F::Output {
        let mut work = pin!(work);
        loop {
            match rt::select(work.as_mut(), self.requests.recv()).await {
                Either::Left(output) => return output,
                Either::Right(Some(request)) => self.take(request),
                Either::Right(None) => return work.await,
            }
        }
    }

    fn take(&mut self, request: Request) {
        match request {
            Request::Ask { asks, reply } => {
                self.in_use.waiting.update(|waiting| waiting + 1);
                self.conversation.ask(asks, reply, rt::now());
            }
            Request::Connected { after, reply } => {
                let count = self.connections.load(Ordering::Acquire);
                self.tell_connected(after, reply, count);
            }
        }
    }

    fn deliver(&mut self) {
        for (reply, outcomes) in self.conversation.take_done() {
            self.in_use.waiting.update(|waiting| waiting - 1);
            self.in_use.last.set(rt::now());
            // Whoever asked may have gone.
            let _ = reply.send(outcomes);
        }
    }
}
