//! A comparison from its beginning to its end, and what is remembered of it.
//!
//! The master's LIST comes before what is here is looked at: a name that is made in between is here and found at the master,
//! and one that goes is decided again before anything is done. What is as long as the list of mailboxes is done on the disk
//! pool, not on the core.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use ravenry_core::mailboxes::Name;
use ravenry_core::rt;
use ravenry_mupdate::{Answer, Ask, Client, Held};

use super::super::Facts;
use super::super::settle::Action;
use super::apply::{Done, said};
use super::counters::Counters;
use super::plan::{ByName, Plan, Planned, Waits, unlisted};
use super::{Means, kept};
use crate::store::{Refused, Store, StoreError};

/// FINDs that are on their way to the master at once.
const FINDS: usize = 200;
/// Names that the log has of a plan.
const SAID_MAX: usize = 10;

/// What a comparison has found and done.
#[derive(Clone, Debug)]
pub(crate) struct Compared {
    /// When, in seconds since 1970.
    pub(crate) at: i64,
    pub(crate) plan: Arc<Plan>,
    pub(crate) done: Done,
}

/// How it stands.
#[derive(Clone, Debug, Default)]
pub(crate) struct Standing {
    /// What is under way.
    pub(crate) doing: Option<&'static str>,
    /// The last comparison that came to its end.
    pub(crate) last: Option<Compared>,
    /// When one didn't, and why, if none has since.
    pub(crate) failed: Option<(i64, String)>,
    /// What has been carried out for this question, of what waited.
    pub(crate) applied: Option<Done>,
    /// This server's name, as it is registered.
    pub(crate) own: String,
    /// Where the master is.
    pub(crate) master: String,
    /// The file of the last plan.
    pub(crate) kept: PathBuf,
}

/// What does comparisons, and remembers the last.
pub(super) struct Work {
    means: Means,
    counters: Counters,
    last: RefCell<Option<Compared>>,
    failed: RefCell<Option<(i64, String)>>,
    doing: Cell<Option<&'static str>>,
}

/// Both sides, as far as LIST tells.
struct Sides {
    here: ByName<Facts>,
    held: ByName<Held>,
    unlisted: Vec<Name>,
}

impl Work {
    pub(super) fn new(means: Means, counters: Counters) -> Self {
        Self {
            means,
            counters,
            last: RefCell::default(),
            failed: RefCell::default(),
            doing: Cell::default(),
        }
    }

    pub(super) fn client(&self) -> Client {
        self.means.coordinator.master.client.clone()
    }

    pub(super) fn standing(&self) -> Standing {
        Standing {
            doing: self.doing.get(),
            last: self.last.borrow().clone(),
            failed: self.failed.borrow().clone(),
            applied: None,
            own: self.means.own().to_owned(),
            master: self.means.master.clone(),
            kept: self.means.kept.clone(),
        }
    }

    pub(super) fn has_failed(&self) -> bool {
        self.failed.borrow().is_some()
    }

    /// Compares, and carries out what needn't wait.
    pub(super) async fn compare(&self) -> Result<(), String> {
        self.doing.set(Some("comparing"));
        let outcome = self.compare_and_mend().await;
        self.ended("the comparison with the MUPDATE master", outcome)
    }

    /// Carries out the deletions that wait, and compares again.
    pub(super) async fn apply(&self) -> Result<Standing, String> {
        let waiting = self.last.borrow().clone();
        let waiting = waiting.filter(|last| last.plan.waits().is_some());
        let Some(Compared { plan, .. }) = waiting else {
            return Err(
                "nothing waits: `ravenry ctl backend resync` says how it stands".to_owned(),
            );
        };
        self.doing.set(Some("carrying out what waited"));
        let planned: Vec<&Planned> = plan.deletions().collect();
        tracing::warn!(
            names = planned.len(),
            "resync: the operator has what waited carried out"
        );
        let mut done = Done::default();
        let carried_out = self.means.carry_out(&planned, &mut done).await;
        self.counters.done(&done);
        self.ended("carrying out what waited", carried_out)?;
        self.compare().await?;
        let applied = Some(done);
        Ok(Standing {
            applied,
            ..self.standing()
        })
    }

    fn ended(&self, what: &str, outcome: Result<(), String>) -> Result<(), String> {
        self.doing.set(None);
        if let Err(why) = &outcome {
            tracing::warn!("{what} came to no end, and is done again: {why}");
            self.counters.failed();
        }
        let failed = outcome.as_ref().err();
        *self.failed.borrow_mut() = failed.map(|why| (seconds_now(), why.clone()));
        outcome
    }

    async fn compare_and_mend(&self) -> Result<(), String> {
        let at = seconds_now();
        let plan = self.plan().await?;
        let (waits, plan) = (plan.waits(), Arc::new(plan));
        self.say(&plan, waits);
        if !plan.all.is_empty() {
            self.keep(Arc::clone(&plan), at).await;
        }
        let now = plan.all.iter().filter(|it| waits.is_none() || !it.deletes);
        let mut done = Done::default();
        let carried_out = self
            .means
            .carry_out(&now.collect::<Vec<_>>(), &mut done)
            .await;
        self.counters.done(&done);
        done.say();
        carried_out?;
        self.counters.compared();
        let waiting = waits.map_or(0, |_| plan.deletions().count());
        self.counters.waiting(waiting);
        *self.last.borrow_mut() = Some(Compared { at, plan, done });
        Ok(())
    }

    async fn plan(&self) -> Result<Plan, String> {
        let means = &self.means;
        let server = means.own().to_owned();
        // Our master cuts off who lists its own names and then finds too many at others, since a Cyrus backend would delete
        // them. This one has a limit of its own, and says so by a NOOP.
        let asks = vec![Ask::List { server }, Ask::Noop];
        let answers = means.coordinator.master.ask(asks).await.map_err(said)?;
        let listed = match answers.into_iter().next() {
            Some(Answer::Found(listed)) => listed,
            Some(Answer::Refused(why)) => return Err(format!("the master refuses LIST: {why}")),
            Some(Answer::Done) | None => Vec::new(),
        };
        let sides = means.on_disk(move |store| sides(store, listed)).await?;
        let Sides {
            here,
            mut held,
            unlisted,
        } = sides;
        for names in unlisted.chunks(FINDS) {
            held.extend(means.find(names).await?);
        }
        let own = means.own().to_owned();
        let claims = means.coordinator.claims.all();
        let waiting = means.coordinator.pending.all();
        let plan = move |_: &Store| {
            let mut plan = Plan::new(&here, &held, &own);
            plan.leave(|name| {
                waiting.contains(name) || claims.iter().any(|claim| claim.covers(name))
            });
            Ok(plan)
        };
        means.on_disk(plan).await
    }

    /// What the log has of a plan, before anything is done.
    fn say(&self, plan: &Plan, waits: Option<Waits>) {
        let (here, at_master) = (plan.here, plan.held);
        if plan.all.is_empty() {
            tracing::info!(
                here,
                at_master,
                left = plan.left,
                "resync: backend and MUPDATE master agree"
            );
            return;
        }
        let count = |action| plan.count(action);
        let first = plan.all.iter().take(SAID_MAX);
        let first: Vec<_> = first.map(|planned| planned.name.to_string()).collect();
        tracing::warn!(
            here,
            at_master,
            push = count(Action::Push),
            activate = count(Action::Activate),
            out_of_mupdate = count(Action::Remove),
            into_quarantine = count(Action::Away),
            left = plan.left,
            plan = %self.means.kept.display(),
            "resync: backend and MUPDATE master disagree about {}",
            first.join(", ")
        );
        if let Some(waits) = waits {
            tracing::error!(
                "resync: nothing is deleted: {waits}. {} Then `ravenry ctl backend resync apply`, or mend what is wrong and \
                 `ravenry ctl backend resync now`",
                waits.advice(self.means.own(), &self.means.master)
            );
        }
    }

    /// Writes the plan's file; it is for people, so that it can't be written is no reason to stop.
    async fn keep(&self, plan: Arc<Plan>, at: i64) {
        let (path, own, master) = (
            self.means.kept.clone(),
            self.means.own().to_owned(),
            self.means.master.clone(),
        );
        let write = move |_: &Store| -> Result<io::Result<()>, String> {
            let text = kept::text(&plan, at, (&own, &master));
            Ok(kept::keep(&path, &text))
        };
        let written = self.means.on_disk(write).await;
        if let Err(why) = written.and_then(|written| written.map_err(|error| error.to_string())) {
            tracing::warn!("{}: {why}", self.means.kept.display());
        }
    }
}

impl Means {
    /// This server's name, as it is registered.
    fn own(&self) -> &str {
        &self.coordinator.master.own
    }

    /// What is here of names.
    pub(super) async fn here_of(&self, names: Vec<Name>) -> Result<ByName<Facts>, String> {
        self.on_disk(move |store| {
            let mut here = BTreeMap::new();
            for name in names {
                let found = store.mailbox(&name).map_err(unread)?;
                here.extend(found.map(|mailbox| (name, Facts::of(&mailbox))));
            }
            Ok(here)
        })
        .await
    }

    /// Does on the disk pool what waits for the disk, or takes its time.
    async fn on_disk<T: Send + 'static>(
        &self,
        job: impl FnOnce(&Store) -> Result<T, String> + Send + 'static,
    ) -> Result<T, String> {
        let job = move |store: &Store| job(store).map_err(Refused::Failed);
        let done = self.coordinator.look(job).await;
        done.map_err(|why| match why {
            Refused::Failed(why) => why,
            why => format!("{why:?}"),
        })
    }
}

fn sides(store: &Store, listed: Vec<Held>) -> Result<Sides, String> {
    let mut here = BTreeMap::new();
    let each = store.each_mailbox(|mailbox| {
        here.insert(mailbox.name.clone(), Facts::of(&mailbox));
    });
    each.map_err(unread)?;
    let listed = listed.into_iter().map(|held| (held.name.clone(), held));
    let held: ByName<Held> = listed.collect();
    let unlisted = unlisted(&here, &held);
    Ok(Sides {
        here,
        held,
        unlisted,
    })
}

fn unread(error: StoreError) -> String {
    format!("the index can't be read: {error}")
}

/// The time, in seconds since 1970.
fn seconds_now() -> i64 {
    let since = rt::wall_clock().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| {
        i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
    })
}
