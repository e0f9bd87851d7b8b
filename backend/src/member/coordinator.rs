//! The coordinator: the one task to which all changes of names come, on the mupdate core.
//!
//! Each change is a task of its own, so one that waits for its names or for the master is in nobody's way. As many of
//! them are under way at once as may be; more are refused at once.

use std::cell::Cell;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use ravenry_core::mailboxes::Name;
use ravenry_core::rt::channel::{self, Receiver};
use ravenry_core::rt::{self, Either, Pool};
use ravenry_mupdate::{Client, Held};

use super::claims::Claims;
use super::counters::Counters;
use super::master::Master;
use super::notes::Notes;
use super::reconcile::Pending;
use super::resync::{self, Means, ResyncTask};
use super::{Member, Message, Way};
use crate::committer::Orders;
use crate::store::{Refused, Store};

/// Changes that wait for the coordinator to look at them.
const MESSAGES_MAX: usize = 1024;
/// Changes under way at once.
const OPERATIONS_MAX: usize = 512;
/// How long a look at the store may take, with its waiting for a thread.
const LOOK_WAIT: Duration = Duration::from_secs(30);

/// What a member is made from.
pub struct MemberParts {
    /// This server's name, as the mailbox list has it.
    pub servername: String,
    /// Where the master is, as the capability MUPDATE says it: HOST:PORT.
    pub master: String,
    /// The store, to be read.
    pub store: Store,
    /// Where changes of the store go.
    pub orders: Orders,
    /// Threads that may wait for the disk.
    pub disk: Pool,
    /// Where the plan of the last comparison is kept, and the notes of RENAMEs.
    pub state_dir: PathBuf,
    /// How often what is here is compared with what the master holds; zero: only when a connection comes up.
    pub compare_every: Duration,
}

/// Where changes go, and who carries them out; [`MemberTask::run`] it on a shard.
#[must_use]
pub fn member(parts: MemberParts) -> (Member, MemberTask) {
    let (send, messages) = channel::channel(MESSAGES_MAX);
    let (resync, asked) = resync::way();
    let counters = Counters::default();
    let capability = format!("MUPDATE=mupdate://{}/", parts.master);
    let member = Member {
        way: Way::Joined(send),
        capability: Some(Arc::from(capability)),
        resync: Some(resync),
        counters: Some(counters.clone()),
    };
    let task = MemberTask {
        parts,
        messages,
        asked,
        counters,
    };
    (member, task)
}

/// The task that carries changes out.
pub struct MemberTask {
    parts: MemberParts,
    messages: Receiver<Message>,
    asked: resync::Asked,
    counters: Counters,
}

impl MemberTask {
    /// Takes changes until the shard drains, or nobody is there to ask for any; `client` is the way to the master.
    pub async fn run(mut self, client: Client) {
        let (every, master) = (self.parts.compare_every, self.parts.master.clone());
        let kept = resync::path(&self.parts.state_dir);
        let coordinator = Rc::new(Coordinator::new(self.parts, client, self.counters));
        coordinator.take_up_notes().await;
        rt::spawn(Rc::clone(&coordinator).reconcile());
        let means = Means {
            coordinator: Rc::clone(&coordinator),
            master,
            kept,
        };
        #[cfg(not(bug_20))] // Else nobody compares what is here with what the master holds.
        rt::spawn(ResyncTask::new(means, self.asked, every).run());
        while let Either::Right(Some(message)) =
            rt::select(rt::draining(), self.messages.recv()).await
        {
            coordinator.take(message);
        }
    }
}

/// What the operations share.
pub(crate) struct Coordinator {
    pub(super) store: Store,
    pub(super) orders: Orders,
    pub(super) master: Master,
    pub(super) claims: Rc<Claims>,
    /// Names that are to be settled.
    pub(super) pending: Pending,
    pub(super) counters: Counters,
    /// What the next start has to settle, should this process die.
    pub(super) notes: Notes,
    disk: Pool,
    under_way: Cell<usize>,
}

impl Coordinator {
    fn new(parts: MemberParts, client: Client, counters: Counters) -> Self {
        Self {
            store: parts.store,
            orders: parts.orders,
            master: Master::new(client, parts.servername, counters.clone()),
            claims: Rc::default(),
            pending: Pending::new(counters.clone()),
            counters,
            notes: Notes::new(&parts.state_dir),
            disk: parts.disk,
            under_way: Cell::new(0),
        }
    }

    fn take(self: &Rc<Self>, message: Message) {
        let crowded = self.under_way.get() >= OPERATIONS_MAX;
        let many = || Refused::Failed("too many changes of names are under way".to_owned());
        let place = UnderWay::new(self);
        match message {
            Message::Change(_, _, tell) if crowded => tell(Err(many())),
            Message::Elsewhere(_, tell) if crowded => tell(Err(many())),
            Message::Change(kind, make, tell) => {
                rt::spawn(async move {
                    let carried = place.0.carry_out(kind, &make).await;
                    place.0.counters.change(carried.is_err());
                    tell(carried);
                });
            }
            Message::Elsewhere(names, tell) => {
                rt::spawn(async move { tell(place.0.elsewhere(&names).await) });
            }
        }
    }

    async fn elsewhere(&self, names: &[Name]) -> Result<Vec<Held>, Refused> {
        let held = self.master.find(names).await?.into_iter().flatten();
        Ok(held.filter(|held| !self.master.is_ours(held)).collect())
    }

    /// Looks at the store, on a thread that may wait for the disk.
    pub(super) async fn look<T: Send + 'static>(
        &self,
        job: impl FnOnce(&Store) -> Result<T, Refused> + Send + 'static,
    ) -> Result<T, Refused> {
        let store = self.store.clone();
        let done = rt::timeout(LOOK_WAIT, self.disk.run(move || job(&store))).await;
        match done {
            Ok(Ok(looked)) => looked,
            Ok(Err(error)) => Err(Refused::Failed(error.to_string())),
            Err(_late) => Err(Refused::Failed("too much waits for the disk".to_owned())),
        }
    }
}

/// One of those under way, until it is dropped.
struct UnderWay(Rc<Coordinator>);

impl UnderWay {
    fn new(coordinator: &Rc<Coordinator>) -> Self {
        coordinator.under_way.set(coordinator.under_way.get() + 1);
        Self(Rc::clone(coordinator))
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.under_way.set(self.0.under_way.get() - 1);
    }
}
