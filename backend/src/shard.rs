//! What the sessions of one shard share: settings, the store, and what is told of mailboxes that are open.
//!
//! A session that has a mailbox open holds a [`Watch`] on it. Whatever changes marks messages there as *dirty*; the session
//! looks at these, and at these alone, in the store, when it may speak. So what is told may come twice, or be more than has
//! changed, and the answer stays right. A change that this shard asked for is passed on before whoever asked goes on, and
//! with it all that was committed before: so a modseq that was heard stands for all changes up to it.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::poll_fn;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::task::{Poll, Waker};
use std::time::Duration;

use ravenry_core::client::Desk;
use ravenry_core::config;
use ravenry_core::proto::imap::Uids;
use ravenry_core::rt::{self, Either, Pool, PoolError};

use crate::committer::{Answer, Heard, News, Orders};
use crate::imap::Numberings;
use crate::member::{Kind, Member};
use crate::store::{MailboxId, Order, Outcome, Refused, Store};

/// What a backend's shards are made from, beside their desks; each gets a clone.
#[derive(Clone)]
pub struct Parts {
    /// The `[backend]` table.
    pub backend: Arc<config::Backend>,
    /// The store, to be read.
    pub store: Store,
    /// Where changes go.
    pub orders: Orders,
    /// Where changes of names and ACLs go.
    pub member: Member,
    /// Threads that read and write messages.
    pub disk: Pool,
    /// The few that may hold a large message in memory as a whole: as many of them are there at once, whatever is asked.
    pub whole: Pool,
}

/// Bytes of messages that are read together: of several, or of a large one in a piece.
pub(crate) const PIECE_BYTES: u64 = 256 * 1024;
/// How long a job on a large message may take, with its waiting for a thread.
const WHOLE_WAIT: Duration = Duration::from_secs(60);

impl Parts {
    /// Runs what reads messages as a whole, none of them larger than `largest`, on a thread that may wait for the disk.
    pub(crate) async fn read_whole<T: Send + 'static>(
        &self,
        largest: u64,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, PoolError> {
        if largest <= PIECE_BYTES {
            return self.disk.run(job).await;
        }
        let read = rt::timeout(WHOLE_WAIT, self.whole.run(job)).await;
        read.unwrap_or(Err(PoolError::Full))
    }
}

/// What the sessions of a shard share.
pub(crate) struct Backend {
    pub(crate) desk: Rc<Desk>,
    pub(crate) parts: Parts,
    pub(crate) numberings: Numberings,
    open: RefCell<BTreeMap<MailboxId, Vec<Weak<Watch>>>>,
    /// There once the shard listens.
    news: RefCell<Option<News>>,
}

/// What has happened to a mailbox that a session has open, since it last looked.
#[derive(Default)]
pub(crate) struct Watch {
    dirty: RefCell<Uids>,
    any: Cell<bool>,
    /// All changes up to this modseq have marked what they changed.
    heard: Cell<u64>,
    waker: RefCell<Option<Waker>>,
}

/// Past so many ranges it is less work to look at all.
const DIRTY_RANGES_MAX: usize = 1000;

impl Watch {
    /// Messages that have to be looked at.
    pub(crate) fn mark(&self, uids: &Uids) {
        let mut dirty = self.dirty.borrow_mut();
        dirty.append(uids);
        if dirty.ranges() > DIRTY_RANGES_MAX {
            *dirty = everything();
        }
        self.wake();
    }

    fn wake(&self) {
        self.any.set(true);
        if let Some(waker) = self.waker.borrow_mut().take() {
            waker.wake();
        }
    }

    /// All changes up to this modseq have marked what they changed.
    pub(crate) fn heard(&self) -> u64 {
        self.heard.get()
    }

    /// Takes what has to be looked at, in order.
    pub(crate) fn take(&self) -> Uids {
        self.any.set(false);
        std::mem::take(&mut self.dirty.borrow_mut())
    }

    /// Whether there is something to look at.
    pub(crate) fn is_dirty(&self) -> bool {
        self.any.get()
    }

    /// Resolves when there is.
    pub(crate) async fn changed(&self) {
        poll_fn(|context| {
            if self.any.get() {
                return Poll::Ready(());
            }
            *self.waker.borrow_mut() = Some(context.waker().clone());
            Poll::Pending
        })
        .await;
    }
}

fn everything() -> Uids {
    Uids::parse(b"1:4294967295").expect("invariant: a set")
}

impl Backend {
    pub(crate) fn new(desk: Rc<Desk>, parts: Parts) -> Self {
        Self {
            desk,
            parts,
            numberings: Numberings::default(),
            open: RefCell::default(),
            news: RefCell::new(None),
        }
    }

    /// Is told of what happens to a mailbox from now on.
    pub(crate) fn watch(&self, mailbox: MailboxId) -> Rc<Watch> {
        let watch = Rc::new(Watch::default());
        let mut open = self.open.borrow_mut();
        let watches = open.entry(mailbox).or_default();
        watches.retain(|watch| watch.strong_count() > 0);
        watches.push(Rc::downgrade(&watch));
        watch
    }

    /// Has an order carried out. What it changed has been passed on to this shard's sessions when this returns.
    pub(crate) async fn carry_out(&self, order: Order) -> Answer {
        let answer = self.parts.orders.carry_out(order).await;
        self.hear_all();
        answer
    }

    /// Has orders carried out, each by itself: see [`crate::committer::Orders::carry_out_each`].
    pub(crate) async fn carry_out_each(&self, orders: Vec<Order>) -> Vec<Answer> {
        let answers = self.parts.orders.carry_out_each(orders).await;
        self.hear_all();
        answers
    }

    /// Has orders carried out, all or none: see [`crate::committer::Orders::all_or_nothing`].
    pub(crate) async fn all_or_nothing(
        &self,
        make: impl FnOnce(&Store) -> Result<Vec<Order>, Refused> + Send + 'static,
    ) -> Result<Vec<Outcome>, Refused> {
        let answer = self.parts.orders.all_or_nothing(make).await;
        self.hear_all();
        answer
    }

    /// Has names or an ACL changed, here and at the MUPDATE master: see [`crate::member::Member::carry_out`].
    pub(crate) async fn change(
        &self,
        kind: Kind,
        make: impl Fn(&Store) -> Result<Vec<Order>, Refused> + Send + Sync + 'static,
    ) -> Result<Vec<Outcome>, Refused> {
        let answer = self.parts.member.carry_out(kind, make).await;
        self.hear_all();
        answer
    }

    /// Passes on what has come of changes.
    fn hear_all(&self) {
        loop {
            let next = self.news.borrow_mut().as_mut().and_then(News::try_next);
            let Some(heard) = next else { return };
            self.hear(&heard);
        }
    }

    fn hear(&self, heard: &Heard) {
        match heard {
            Heard::Changes(changes) => {
                for change in &**changes {
                    let mut dirty = Uids::default();
                    for uids in [&change.appended, &change.flagged, &change.expunged] {
                        dirty.append(uids);
                    }
                    #[cfg(bug_13)] // What is gone isn't told where nothing else has changed.
                    if change.appended.is_empty() && change.flagged.is_empty() {
                        continue;
                    }
                    if change.deleted {
                        dirty = everything();
                    }
                    self.tell(change.mailbox, &dirty, change.modseq);
                }
            }
            Heard::Missed => {
                let open: Vec<_> = self.open.borrow().keys().copied().collect();
                for mailbox in open {
                    // All up to here is looked at now.
                    let now = self.parts.store.mailbox_by_id(mailbox);
                    let modseq = now.ok().flatten().map_or(0, |now| now.highestmodseq);
                    self.tell(mailbox, &everything(), modseq);
                }
            }
        }
    }

    fn tell(&self, mailbox: MailboxId, uids: &Uids, modseq: u64) {
        let mut open = self.open.borrow_mut();
        let Some(watches) = open.get_mut(&mailbox) else {
            return;
        };
        watches.retain(|watch| {
            let watch = watch.upgrade();
            if let Some(watch) = &watch
                && !uids.is_empty()
            {
                watch.heard.set(watch.heard.get().max(modseq));
                watch.mark(uids);
            }
            watch.is_some()
        });
        if watches.is_empty() {
            open.remove(&mailbox);
        }
    }

    /// The task that hears of changes; it ends with the shard.
    pub(crate) async fn listen(self: Rc<Self>) {
        let Some(news) = self.parts.orders.watch() else {
            tracing::error!("this shard hears of no changes");
            return;
        };
        *self.news.borrow_mut() = Some(news);
        let next = || {
            poll_fn(|context| match self.news.borrow_mut().as_mut() {
                Some(news) => news.poll_next(context),
                None => Poll::Ready(None),
            })
        };
        while let Either::Right(Some(heard)) = rt::select(rt::draining(), next()).await {
            self.hear(&heard);
        }
    }
}
