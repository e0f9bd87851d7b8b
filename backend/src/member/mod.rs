//! The backend as a member of a murder: whatever changes the set of names or an ACL goes through here.
//!
//! A change is *carried out* ([`Member::carry_out`]): shards and the operator send it to the coordinator, a task on the
//! mupdate core, where each is a task of its own (`operation`) that goes on when whoever asked has gone. It claims its
//! names (`claims`), finds out what the orders do to names (`effects`), asks the master (`master`) before and behind the
//! local commit, and where something fails it *settles* the names (`settle`, `reconcile`): what is here and what the
//! master has decide alone. docs/protocols/member.md has the steps and what each failure leaves.
//!
//! Without a `[mupdate.client]` the backend is alone, and a change is a commit of the store.

mod claims;
mod coordinator;
mod counters;
mod effects;
mod master;
mod notes;
mod operation;
mod reconcile;
pub(crate) mod resync;
mod settle;

use std::sync::{Arc, mpsc};

use ravenry_core::mailboxes::Name;
use ravenry_core::metrics::Sample;
use ravenry_core::rt::channel::{self, SendError};
use ravenry_mupdate::Held;

pub use self::coordinator::{MemberParts, MemberTask, member};
use self::counters::Counters;
pub(crate) use self::effects::Facts;
use self::resync::Resync;
use crate::committer::{Answer, Orders};
use crate::store::{Order, Outcome, Refused, Store};

/// What kind of change it is: that decides the order of its steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Names come: reserved before the commit, active behind it.
    Create,
    /// Names go: the master is the first to forget them.
    Delete,
    /// Names become others: the new are active before the old are gone.
    Rename,
    /// ACLs change: at the master first.
    SetAcl,
}

/// Makes the orders of a change in view of the store. It is asked more than once.
pub(crate) type Make = Arc<dyn Fn(&Store) -> Result<Vec<Order>, Refused> + Send + Sync>;

/// Tells who asked.
type Tell<T> = Box<dyn FnOnce(T) + Send>;

/// What comes of a change.
type Carried = Result<Vec<Outcome>, Refused>;

enum Message {
    Change(Kind, Make, Tell<Carried>),
    Elsewhere(Vec<Name>, Tell<Result<Vec<Held>, Refused>>),
}

/// Where changes of names and ACLs go. Clones lead to one store.
#[derive(Clone)]
pub struct Member {
    way: Way,
    /// `MUPDATE=…` among the capabilities.
    capability: Option<Arc<str>>,
    /// The comparison with the master.
    resync: Option<Resync>,
    counters: Option<Counters>,
}

#[derive(Clone)]
enum Way {
    Alone(Orders),
    Joined(channel::Sender<Message>),
}

impl Member {
    /// Of no murder.
    #[must_use]
    pub fn alone(orders: Orders) -> Self {
        Self {
            way: Way::Alone(orders),
            capability: None,
            resync: None,
            counters: None,
        }
    }

    /// The comparison with the master; `None`: there is no master.
    pub(crate) fn resync(&self) -> Option<&Resync> {
        self.resync.as_ref()
    }

    /// What changes and comparisons have come to; alone, nothing.
    #[must_use]
    pub fn samples(&self) -> Vec<Sample> {
        let mut samples = Vec::new();
        samples.extend(self.counters.iter().flat_map(Counters::samples));
        samples.extend(self.resync.iter().flat_map(Resync::samples));
        samples
    }

    /// The capability that says which master this backend has.
    pub(crate) fn capability(&self) -> Option<&str> {
        self.capability.as_deref()
    }

    /// Carries out a change, here and at the master, all of it or nothing.
    pub(crate) async fn carry_out(
        &self,
        kind: Kind,
        make: impl Fn(&Store) -> Result<Vec<Order>, Refused> + Send + Sync + 'static,
    ) -> Carried {
        let joined = match &self.way {
            Way::Alone(orders) => return orders.all_or_nothing(make).await,
            Way::Joined(joined) => joined,
        };
        let (answer, outcome) = channel::oneshot();
        // Who asked may have gone.
        let tell = Box::new(move |carried| drop(answer.send(carried)));
        send(joined, Message::Change(kind, Arc::new(make), tell))?;
        outcome.await.unwrap_or_else(|_ended| Err(ended()))
    }

    /// Makes a mailbox, on a thread that may wait: none of a shard.
    pub(crate) fn create_here(
        &self,
        make: impl Fn() -> Order + Send + Sync + 'static,
    ) -> Option<Answer> {
        let joined = match &self.way {
            Way::Alone(orders) => return orders.carry_out_here(vec![make()])?.pop(),
            Way::Joined(joined) => joined,
        };
        let (answer, outcome) = mpsc::sync_channel(1);
        let make = move |_: &Store| Ok(vec![make()]);
        let tell = Box::new(move |carried: Carried| drop(answer.send(carried)));
        match send(joined, Message::Change(Kind::Create, Arc::new(make), tell)) {
            Ok(()) => {}
            Err(refused) => return Some(Err(refused)),
        }
        let carried = outcome.recv().ok()?;
        Some(carried.and_then(|mut outcomes| outcomes.pop().ok_or_else(ended)))
    }

    /// Those of these names that other servers have by the master; alone, there are none.
    pub(crate) async fn elsewhere(&self, names: Vec<Name>) -> Result<Vec<Held>, Refused> {
        let joined = match &self.way {
            Way::Joined(joined) if !names.is_empty() => joined,
            _ => return Ok(Vec::new()),
        };
        let (answer, found) = channel::oneshot();
        let tell = Box::new(move |held| drop(answer.send(held)));
        send(joined, Message::Elsewhere(names, tell))?;
        found.await.unwrap_or_else(|_ended| Err(ended()))
    }
}

fn send(joined: &channel::Sender<Message>, message: Message) -> Result<(), Refused> {
    joined.try_send(message).map_err(|error| match error {
        SendError::Full(_) => Refused::Failed("too many changes of names wait".to_owned()),
        SendError::Closed(_) => ended(),
    })
}

fn ended() -> Refused {
    Refused::Failed("the server is stopping".to_owned())
}
