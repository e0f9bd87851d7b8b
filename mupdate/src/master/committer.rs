//! Group commit: what has come on all connections while the last commit was under way is decided and
//! committed together.
//!
//! One task on the mupdate core. The commit waits for the disk, so it is done on a thread of its
//! own. What it changed is published before anybody is answered, so that whoever has had an `OK`
//! finds the change in every stream's past. A commit that has begun ends, whatever happens here.

use std::rc::Rc;
use std::sync::Arc;

use ravenry_core::group::{self, GROUP_ORDERS_MAX, Waiting};
use ravenry_core::rt::channel::{self, OneReceiver, OneSender};
use ravenry_core::rt::{self, Either, Pool};

use super::rules::{Account, Answer, Ask};
use super::store::{Committed, Order, Store};
use crate::server::counters::Counters;
use crate::server::journal::Journal;

/// What is to be done with the store.
enum Work {
    Order(Order, OneSender<Answer>),
    /// Whatever else wants the list to itself, between two commits.
    Task(Box<dyn FnOnce(&mut Store) -> Answered + Send>),
}

/// Tells who asked: to be called when what a task changed has been published.
type Answered = Box<dyn FnOnce() + Send>;

/// Where commands go. Clones lead to one store.
#[derive(Clone)]
pub(crate) struct Master {
    work: channel::Sender<Work>,
}

impl Master {
    /// Has commands decided, in their order; returns when the changes are on the disk. `None`: the committer has
    /// ended, and nobody can tell what became of that one.
    pub(crate) async fn ask_all(
        &self,
        account: &Arc<Account>,
        asks: Vec<Ask>,
    ) -> Vec<Option<Answer>> {
        // All are on their way before the first is waited for: they share a commit.
        let sent: Vec<_> = asks
            .into_iter()
            .map(|ask| self.send(account, ask))
            .collect();
        let mut answers = Vec::with_capacity(sent.len());
        for outcome in sent {
            answers.push(match outcome {
                Some(outcome) => outcome.await.ok(),
                None => Some(Answer::Crowded),
            });
        }
        answers
    }

    /// `None`: too many wait.
    fn send(&self, account: &Arc<Account>, ask: Ask) -> Option<OneReceiver<Answer>> {
        let (answer, outcome) = channel::oneshot();
        let order = Order {
            account: Arc::clone(account),
            ask,
        };
        let sent = self.work.try_send(Work::Order(order, answer));
        sent.is_ok().then_some(outcome)
    }

    /// Does something with the store, between two commits. `None`: it can't be done now.
    pub(crate) async fn with<T: Send + 'static>(
        &self,
        task: impl FnOnce(&mut Store) -> T + Send + 'static,
    ) -> Option<T> {
        let (answer, outcome) = channel::oneshot();
        let task = move |store: &mut Store| {
            let done = task(store);
            Box::new(move || drop(answer.send(done))) as Answered
        };
        self.work.try_send(Work::Task(Box::new(task))).ok()?;
        outcome.await.ok()
    }
}

/// Where commands go, and who carries them out; [`Committer::run`] it on the mupdate core.
pub(crate) fn master(
    store: Store,
    disk: Pool,
    journal: Rc<Journal>,
    counters: Arc<Counters>,
) -> (Master, Committer) {
    let (work, waiting) = group::waiting();
    let committer = Committer {
        store: Some(store),
        disk,
        waiting,
        journal,
        counters,
    };
    (Master { work }, committer)
}

/// The task that owns the store.
pub(crate) struct Committer {
    /// Away while a commit is under way.
    store: Option<Store>,
    disk: Pool,
    waiting: Waiting<Work>,
    journal: Rc<Journal>,
    counters: Arc<Counters>,
}

impl Committer {
    /// Commits until the shard drains, or the store is lost by a panic.
    pub(crate) async fn run(mut self) {
        loop {
            if self.waiting.is_empty() {
                match rt::select(rt::draining(), self.waiting.more()).await {
                    Either::Left(()) | Either::Right(false) => return,
                    Either::Right(true) => {}
                }
                // Those whose bytes are here already come along.
                rt::yield_now().await;
            }
            self.waiting.gather().await;
            if self.turn().await.is_none() {
                tracing::error!("the MUPDATE store is lost: nothing more can be changed");
                return;
            }
        }
    }

    /// One commit, or one task. `None`: the store is lost.
    async fn turn(&mut self) -> Option<()> {
        let (mut orders, mut replies) = (Vec::new(), Vec::new());
        while orders.len() < GROUP_ORDERS_MAX {
            match self.waiting.pop() {
                Some(Work::Order(order, reply)) => {
                    orders.push(order);
                    replies.push(reply);
                }
                Some(Work::Task(task)) if orders.is_empty() => {
                    let done = self.on_disk(move |store| {
                        let answered = task(store);
                        (store.writer().take_made(), answered)
                    });
                    let (made, answered) = done.await?;
                    self.journal.publish(made);
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
        let orders = Arc::new(orders);
        let shared = Arc::clone(&orders);
        let begun = rt::now();
        let committed = self.on_disk(move |store| store.carry_out(&shared)).await?;
        let took = rt::now() - begun;
        self.waiting.committed(took, replies.len());
        self.tell(&orders, &committed);
        self.journal.publish(committed.made);
        for (reply, answer) in replies.into_iter().zip(committed.answers) {
            // Whoever asked may have gone.
            let _ = reply.send(answer);
        }
        Some(())
    }

    async fn on_disk<T: Send + 'static>(
        &mut self,
        job: impl FnOnce(&mut Store) -> T + Send + 'static,
    ) -> Option<T> {
        let mut store = self.store.take()?;
        let done = self.disk.run(move || {
            let outcome = job(&mut store);
            (store, outcome)
        });
        let (store, outcome) = done.await.ok()?;
        self.store = Some(store);
        Some(outcome)
    }

    fn guarded(&self, order: &Order, owner: &str) {
        self.counters.guarded.add(1);
        let count = self.counters.guarded.value();
        if !count.is_power_of_two() {
            return;
        }
        let account = &order.account.name;
        tracing::error!(
            account,
            mailbox = %order.ask.name(),
            server = owner,
            count,
            "too many mailboxes of one server taken away in an hour: {} refused; if it is meant: \
             ravenry ctl mupdate allow {account}",
            order.ask.verb()
        );
    }

    fn tell(&self, orders: &[Order], committed: &Committed) {
        self.counters.commits.add(1);
        self.counters
            .changes
            .add(committed.made.changes.len() as u64);
        if let Some(error) = &committed.error {
            self.counters.store_failed.add(1);
            tracing::error!("the MUPDATE store can't be written: {error}");
        }
        for conflict in &committed.conflicts {
            let Some(order) = orders.get(conflict.order) else {
                continue;
            };
            if committed.answers.get(conflict.order) == Some(&Answer::Guarded) {
                self.guarded(order, &conflict.owner);
                continue;
            }
            self.counters.conflicts.add(1);
            let refused = committed.answers.get(conflict.order) != Some(&Answer::Done);
            tracing::warn!(
                account = order.account.name,
                mailbox = %order.ask.name(),
                owner = conflict.owner,
                refused,
                "{} of a mailbox of another server",
                order.ask.verb()
            );
        }
    }
}
