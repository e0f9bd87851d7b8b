//! Settling: names about which backend and master may disagree are made to agree, at once or when the master is there
//! again.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::future::poll_fn;
use std::ops::Bound;
use std::rc::Rc;
use std::task::{Poll, Waker};
use std::time::Duration;

use ravenry_core::mailboxes::Name;
use ravenry_core::rt::{self, Instant};
use ravenry_mupdate::Ask;

use super::claims::Claim;
use super::coordinator::Coordinator;
use super::counters::Counters;
use super::effects::{Facts, Present};
use super::settle::{Action, decide};
use crate::store::Refused;

/// Names that wait to be settled; what is more is found by the next comparison.
const PENDING_MAX: usize = 100_000;
/// How long names that are claimed are waited for.
const CLAIM_WAIT: Duration = Duration::from_secs(30);
/// How long it waits for the master before it tries by itself.
const TRY_AGAIN: Duration = Duration::from_secs(30);

/// How long after a name was settled it is looked at once more.
const SECOND_LOOK: Duration = Duration::from_secs(60);

/// Names that are to be settled, each twice: a command that was given up with its connection may reach the master behind
/// what the next connection asks.
#[derive(Default)]
pub(super) struct Pending {
    /// Those to be settled now.
    names: RefCell<BTreeMap<Name, Look>>,
    /// Those to be looked at once more, and when.
    again: RefCell<VecDeque<(Instant, Name)>>,
    counters: Counters,
    waker: RefCell<Option<Waker>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Look {
    First,
    Second,
}

impl Pending {
    pub(super) fn new(counters: Counters) -> Self {
        Self {
            counters,
            ..Self::default()
        }
    }

    fn add(&self, names: Vec<Name>) {
        let mut all = self.names.borrow_mut();
        for name in names {
            if all.len() >= PENDING_MAX {
                tracing::warn!(
                    "too many names wait to be settled: the next comparison finds the rest"
                );
                break;
            }
            all.insert(name, Look::First);
        }
        self.counters.unsettled(all.len());
        if let Some(waker) = self.waker.borrow_mut().take() {
            waker.wake();
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.names.borrow().is_empty()
    }

    pub(super) fn all(&self) -> BTreeSet<Name> {
        self.names.borrow().keys().cloned().collect()
    }

    /// The next behind `last`, or the first, when there is one; it stays.
    async fn next(&self, last: Option<&Name>) -> Name {
        loop {
            self.take_due();
            let due = self.again.borrow().front().map(|(at, _)| *at);
            let Some(at) = due else {
                return self.next_now(last).await;
            };
            if let Ok(name) = rt::timeout_at(at, self.next_now(last)).await {
                return name;
            }
        }
    }

    async fn next_now(&self, last: Option<&Name>) -> Name {
        let next = || {
            let names = self.names.borrow();
            let from = last.map_or(Bound::Unbounded, Bound::Excluded);
            let mut behind = names.range((from, Bound::Unbounded));
            let next = behind.next().or_else(|| names.first_key_value());
            next.map(|(name, _)| name.clone())
        };
        poll_fn(|context| match next() {
            Some(name) => Poll::Ready(name),
            None => {
                *self.waker.borrow_mut() = Some(context.waker().clone());
                Poll::Pending
            }
        })
        .await
    }

    /// A name is settled; after its first time it is looked at once more in a while.
    fn settled(&self, name: Name, in_a_while: Duration) {
        let mut names = self.names.borrow_mut();
        let look = names.remove(&name);
        self.counters.unsettled(names.len());
        let mut again = self.again.borrow_mut();
        if look == Some(Look::First) && again.len() < PENDING_MAX {
            again.push_back((rt::now() + in_a_while, name));
        }
    }

    fn take_due(&self) {
        let (now, mut again) = (rt::now(), self.again.borrow_mut());
        while again.front().is_some_and(|(at, _)| *at <= now) {
            if let Some((_, name)) = again.pop_front() {
                self.names.borrow_mut().entry(name).or_insert(Look::Second);
            }
        }
    }
}

/// Why a name isn't settled.
pub(crate) enum Unsettled {
    /// Another try is worth it when the master is there.
    Later,
    /// An operation has the name for long.
    Claimed,
    /// The store or the master refuses.
    Refused(Refused),
}

impl Coordinator {
    /// Has names settled when the master is there again.
    pub(super) fn later(&self, names: Vec<Name>) {
        tracing::info!(
            names = names.len(),
            first = names.first().map(tracing::field::display),
            "to be settled with the MUPDATE master"
        );
        self.pending.add(names);
    }

    /// Settles names that the caller has claimed; those that can't be settled now are settled later.
    pub(super) async fn settle(&self, names: Vec<Name>) {
        if names.is_empty() {
            return;
        }
        if let Err(why) = self.settle_claimed(&names).await {
            if let Unsettled::Refused(refused) = why {
                tracing::warn!("names can't be settled with the MUPDATE master: {refused:?}");
            }
            self.later(names);
        }
    }

    /// Settles one name, under a claim of its own.
    pub(crate) async fn settle_one(&self, name: &Name) -> Result<Action, Unsettled> {
        let claim = vec![Claim::Name(name.clone())];
        let claimed = self.claims.claim(claim, CLAIM_WAIT).await;
        let _claimed = claimed.ok_or(Unsettled::Claimed)?;
        let actions = self.settle_claimed(std::slice::from_ref(name)).await?;
        Ok(actions.first().copied().unwrap_or(Action::Nothing))
    }

    /// Compares names with the master, and does what is to be done. What is to go from here isn't touched: that is for the
    /// comparison, which has a limit.
    async fn settle_claimed(&self, names: &[Name]) -> Result<Vec<Action>, Unsettled> {
        let wanted = names.to_vec();
        let local = self.look(move |store| {
            wanted
                .iter()
                .map(|name| store.named(name))
                .collect::<Result<Vec<_>, _>>()
        });
        let local = local.await.map_err(Unsettled::Refused)?;
        let held = self.master.find(names).await.map_err(Refused::from)?;
        let (mut reserve, mut asks, mut actions) = (Vec::new(), Vec::new(), Vec::new());
        for ((name, local), held) in names.iter().zip(local).zip(held) {
            let action = decide(local.as_ref(), held.as_ref(), &self.master.own);
            match action {
                Action::Nothing => {}
                Action::Away => tracing::warn!(
                    mailbox = %name,
                    server = held.map(|held| held.location.server),
                    "it is here, but at another server by the MUPDATE master"
                ),
                _ => tracing::info!(mailbox = %name, ?action, "settled with the MUPDATE master"),
            }
            if action == Action::Push {
                reserve.extend(self.reserve_again(name, local.as_ref()));
            }
            asks.extend(self.ask_of(name, action, local));
            actions.push(action);
        }
        // Another server that has come in between keeps its name: Cyrus' master would let it be activated away.
        self.all_done(reserve).await?;
        self.all_done(asks).await?;
        Ok(actions)
    }

    fn reserve_again(&self, name: &Name, local: Option<&Facts>) -> Option<Ask> {
        Some(Ask::Reserve {
            name: name.clone(),
            location: self.master.location(&local?.partition),
        })
    }

    /// What the master is asked for an action.
    fn ask_of(&self, name: &Name, action: Action, local: Option<Facts>) -> Option<Ask> {
        let name = name.clone();
        match action {
            Action::Push | Action::Activate => local.map(|facts| Ask::Activate {
                name,
                location: self.master.location(&facts.partition),
                acl: facts.acl,
            }),
            Action::Remove => Some(Ask::Delete { name }),
            Action::Nothing | Action::Away => None,
        }
    }

    /// The task that settles what is left; it ends with the shard.
    pub(super) async fn reconcile(self: Rc<Self>) {
        let work = async {
            let mut last = None;
            loop {
                let name = self.pending.next(last.as_ref()).await;
                last = Some(name.clone());
                let connections = self.master.client.connections();
                match self.settle_one(&name).await {
                    Err(Unsettled::Later) => {
                        let until = rt::now() + TRY_AGAIN;
                        let connected = self.master.client.connected(connections);
                        if !matches!(rt::timeout_at(until, connected).await, Ok(Some(_))) {
                            rt::sleep_until(until).await;
                        }
                        continue;
                    }
                    Err(Unsettled::Claimed) => continue,
                    Err(Unsettled::Refused(why)) => tracing::warn!(
                        mailbox = %name,
                        "it can't be settled with the MUPDATE master, the next comparison tries again: {why:?}"
                    ),
                    Ok(_) => {}
                }
                self.pending.settled(name, SECOND_LOOK);
                if self.pending.is_empty() {
                    self.drop_notes().await;
                }
            }
        };
        rt::select(rt::draining(), work).await;
    }
}

impl From<Refused> for Unsettled {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::MasterAway | Refused::MasterSilent => Self::Later,
            refused => Self::Refused(refused),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Name {
        Name::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn names_take_turns_and_are_looked_at_twice() {
        let seen = rt::block_on(rt::ShardConfig::default(), async {
            let pending = Pending::default();
            pending.add(vec![name("b"), name("a")]);
            let mut seen = Vec::new();
            let mut last = None;
            // One that can't be settled stays, and the other comes next.
            for settled in [false, true, true] {
                let next = pending.next(last.as_ref()).await;
                seen.push(next.to_string());
                if settled {
                    pending.settled(next.clone(), Duration::from_millis(20));
                }
                last = Some(next);
            }
            for _ in 0..2 {
                let next = pending.next(None).await;
                seen.push(next.to_string());
                pending.settled(next, Duration::ZERO);
            }
            let third = rt::timeout(Duration::from_millis(50), pending.next(None)).await;
            assert!(third.is_err(), "{third:?}");
            seen
        });
        let mut seen = seen.unwrap();
        seen[3..].sort();
        assert_eq!(seen, ["a", "b", "a", "a", "b"]);
    }
}
