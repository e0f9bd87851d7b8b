//! Group commit: what the sessions ask for while the last commit is under way is committed together.
//!
//! One task owns the store's [`Writer`]; the commit waits for the disk, so it is done on a thread of its own. What it
//! changed is told to every shard before anybody is answered, so that whoever has had an `OK` finds the change in what
//! other sessions of this process will hear next. A commit that has begun ends, whatever happens here.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::task::{Context, Poll};
use std::time::Duration;

use ravenry_core::group::{self, GROUP_ORDERS_MAX, Waiting};
use ravenry_core::rt::channel::{self, OneReceiver, OneSender, SendError};
use ravenry_core::rt::{self, Either, Instant, Pool};

use crate::store::{Change, Order, Outcome, Refused, Store, Writer};

/// Commits that a shard hasn't looked at; past it the shard looks at everything.
const NEWS_MAX: usize = 4096;
/// How often room is given back.
const PURGE_EVERY: Duration = Duration::from_secs(60);

/// What became of an order.
pub(crate) type Answer = Result<Outcome, Refused>;

/// What is to be done with the store.
enum Work {
    Order(Order, OneSender<Answer>),
    /// Whatever else wants the store to itself, between two commits; what it changed is told.
    Task(Task),
    Watch(Watcher),
}

type Task = Box<dyn FnOnce(&mut Writer) -> (Vec<Change>, Answered) + Send>;

/// Tells who asked: to be called when what a task changed has been told.
type Answered = Box<dyn FnOnce() + Send>;

/// Where orders go. Clones lead to one store.
#[derive(Clone)]
pub struct Orders {
    work: channel::Sender<Work>,
}

/// What has changed, for one shard.
pub(crate) struct News {
    changes: channel::Receiver<Arc<[Change]>>,
    missed: Arc<AtomicBool>,
}

struct Watcher {
    changes: channel::Sender<Arc<[Change]>>,
    missed: Arc<AtomicBool>,
}

/// What a shard hears.
pub(crate) enum Heard {
    /// These changes.
    Changes(Arc<[Change]>),
    /// More than could be kept: anything may have changed.
    Missed,
}

impl Orders {
    /// Has an order carried out; returns when it is on the disk.
    pub(crate) async fn carry_out(&self, order: Order) -> Answer {
        self.send(order)?
            .await
            .unwrap_or_else(|_ended| Err(ended()))
    }

    fn send(&self, order: Order) -> Result<OneReceiver<Answer>, Refused> {
        let (answer, outcome) = channel::oneshot();
        match self.work.try_send(Work::Order(order, answer)) {
            Ok(()) => Ok(outcome),
            Err(_full) => Err(Refused::Failed(
                "too many changes wait for the disk".to_owned(),
            )),
        }
    }

    /// Has orders carried out, all of them or none: those that `make` asks for in view of the store, between two commits.
    pub(crate) async fn all_or_nothing(
        &self,
        make: impl FnOnce(&Store) -> Result<Vec<Order>, Refused> + Send + 'static,
    ) -> Result<Vec<Outcome>, Refused> {
        let done = self.with(|writer| match writer.all_or_nothing(make) {
            Ok((outcomes, changes)) => (changes, Ok(outcomes)),
            Err(refused) => (Vec::new(), Err(refused)),
        });
        let never = || Refused::Failed("the store can't take it on".to_owned());
        done.await.unwrap_or_else(|| Err(never()))
    }

    /// Has orders carried out, each by itself: one that is refused is no hindrance to the others. They share commits. The
    /// answers come in the orders' order.
    pub(crate) async fn carry_out_each(&self, orders: Vec<Order>) -> Vec<Answer> {
        // All are on their way before the first is waited for.
        let sent: Vec<_> = orders.into_iter().map(|order| self.send(order)).collect();
        let mut answers = Vec::with_capacity(sent.len());
        for outcome in sent {
            answers.push(match outcome {
                Ok(outcome) => outcome.await.unwrap_or_else(|_ended| Err(ended())),
                Err(refused) => Err(refused),
            });
        }
        answers
    }

    /// Does something with the store, between two commits. `None`: it can't be done now.
    pub async fn with<T: Send + 'static>(
        &self,
        task: impl FnOnce(&mut Writer) -> (Vec<Change>, T) + Send + 'static,
    ) -> Option<T> {
        let (answer, outcome) = channel::oneshot();
        let task = move |writer: &mut Writer| {
            let (changes, done) = task(writer);
            (
                changes,
                Box::new(move || drop(answer.send(done))) as Answered,
            )
        };
        self.work.try_send(Work::Task(Box::new(task))).ok()?;
        outcome.await.ok()
    }

    /// Has orders carried out in one commit, on a thread that may wait: none of a shard. `None`: the store has ended, or is
    /// too busy.
    pub(crate) fn carry_out_here(&self, orders: Vec<Order>) -> Option<Vec<Answer>> {
        let (answer, outcomes) = mpsc::sync_channel(1);
        let task = move |writer: &mut Writer| {
            let group = writer.carry_out(&orders);
            // Who asked waits for it.
            let answered = move || drop(answer.send(group.outcomes));
            (group.changes, Box::new(answered) as Answered)
        };
        self.work.try_send(Work::Task(Box::new(task))).ok()?;
        outcomes.recv().ok()
    }

    /// What changes from now on. `None`: the committer has ended, or is too busy.
    pub(crate) fn watch(&self) -> Option<News> {
        let (tell, changes) = channel::channel(NEWS_MAX);
        let missed = Arc::new(AtomicBool::new(false));
        let watcher = Watcher {
            changes: tell,
            missed: Arc::clone(&missed),
        };
        self.work.try_send(Work::Watch(watcher)).ok()?;
        Some(News { changes, missed })
    }
}

fn ended() -> Refused {
    Refused::Failed("the store has ended".to_owned())
}

impl News {
    /// The next change, when there is one. `None`: there will be none.
    pub(crate) fn poll_next(&mut self, context: &Context<'_>) -> Poll<Option<Heard>> {
        let next = self.changes.poll_recv(context);
        next.map(|changes| changes.map(|changes| self.heard(changes)))
    }

    /// The next change, if it is there already.
    pub(crate) fn try_next(&mut self) -> Option<Heard> {
        let changes = self.changes.try_recv()?;
        Some(self.heard(changes))
    }

    fn heard(&self, changes: Arc<[Change]>) -> Heard {
        if self.missed.swap(false, Ordering::AcqRel) {
            Heard::Missed
        } else {
            Heard::Changes(changes)
        }
    }
}

impl Watcher {
    /// False: the shard has ended.
    fn tell(&self, changes: &Arc<[Change]>) -> bool {
        match self.changes.try_send(Arc::clone(changes)) {
            Ok(()) => true,
            Err(SendError::Full(_)) => {
                // There are others in its queue, so it will look.
                self.missed.store(true, Ordering::Release);
                true
            }
            Err(SendError::Closed(_)) => false,
        }
    }
}

/// Where orders go, and who carries them out; [`Committer::run`] it on a shard. What was removed is kept for `keep`.
pub fn committer(writer: Writer, disk: Pool, keep: Duration) -> (Orders, Committer) {
    let (work, waiting) = group::waiting();
    let committer = Committer {
        writer: Some(writer),
        disk,
        keep,
        waiting,
        purge_at: rt::now() + PURGE_EVERY,
        watchers: Vec::new(),
    };
    (Orders { work }, committer)
}

/// The task that owns the store's writer.
pub struct Committer {
    /// Away while a commit is under way.
    writer: Option<Writer>,
    disk: Pool,
    keep: Duration,
    waiting: Waiting<Work>,
    purge_at: Instant,
    watchers: Vec<Watcher>,
}

impl Committer {
    /// Commits until the shard drains and nothing is left to do, or the store is lost by a panic.
    pub async fn run(mut self) {
        loop {
            if self.waiting.is_empty() {
                let more = rt::timeout_at(self.purge_at, self.waiting.more());
                match rt::select(rt::draining(), more).await {
                    Either::Left(()) if !self.waiting.more_now() => return,
                    Either::Right(Ok(false)) => return,
                    _ => {}
                }
                // Those whose bytes are here already come along.
                rt::yield_now().await;
            }
            self.waiting.gather().await;
            if self.turn().await.is_none() {
                tracing::error!("the store is lost: nothing more can be changed");
                return;
            }
        }
    }

    /// One commit, or one task. `None`: the store is lost.
    async fn turn(&mut self) -> Option<()> {
        let (mut orders, mut replies) = (Vec::new(), Vec::new());
        while orders.len() < GROUP_ORDERS_MAX {
            match self.waiting.pop() {
                Some(Work::Watch(watcher)) => self.watchers.push(watcher),
                Some(Work::Order(order, reply)) => {
                    orders.push(order);
                    replies.push(reply);
                }
                Some(Work::Task(task)) if orders.is_empty() => {
                    let (changes, answered) = self.on_disk(task).await?;
                    self.tell(changes);
                    answered();
                    return Some(());
                }
                Some(task) => {
                    self.waiting.put_back(task);
                    break;
                }
                None => break,
            }
        }
        if rt::now() >= self.purge_at {
            orders.push(Order::Purge {
                before: self.purge_before(),
            });
        }
        if orders.is_empty() {
            return Some(());
        }
        let begun = rt::now();
        let group = self
            .on_disk(move |writer| writer.carry_out(&orders))
            .await?;
        let took = rt::now() - begun;
        self.waiting.committed(took, replies.len());
        if let Some(purged) = group.outcomes.get(replies.len()) {
            let more = matches!(purged, Ok(Outcome::Purged { more: true, .. }));
            self.purge_at = rt::now() + if more { Duration::ZERO } else { PURGE_EVERY };
        }
        self.tell(group.changes);
        for (reply, outcome) in replies.into_iter().zip(group.outcomes) {
            // Whoever asked may have gone.
            let _ = reply.send(outcome);
        }
        Some(())
    }

    /// What was removed before this time, in seconds since 1970, is kept no longer.
    fn purge_before(&self) -> i64 {
        let before = rt::wall_clock().checked_sub(self.keep);
        let since = before.and_then(|at| at.duration_since(std::time::UNIX_EPOCH).ok());
        since.map_or(0, |since| i64::try_from(since.as_secs()).unwrap_or(0))
    }

    async fn on_disk<T: Send + 'static>(
        &mut self,
        job: impl FnOnce(&mut Writer) -> T + Send + 'static,
    ) -> Option<T> {
        let mut writer = self.writer.take()?;
        let done = self.disk.run(move || {
            let outcome = job(&mut writer);
            (writer, outcome)
        });
        let (writer, outcome) = done.await.ok()?;
        self.writer = Some(writer);
        Some(outcome)
    }

    fn tell(&mut self, changes: Vec<Change>) {
        if changes.is_empty() {
            return;
        }
        let changes: Arc<[Change]> = changes.into();
        self.watchers.retain(|watcher| watcher.tell(&changes));
    }
}
