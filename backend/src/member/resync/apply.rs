//! Carrying out what was planned, a bounded piece at a time.
//!
//! Each name is claimed, looked at again here and at the master, and decided again; where that isn't what was planned, nothing
//! is done: somebody has changed it since, and the next comparison has the new difference. Names that an operation has
//! claimed are passed over for the same reason. A name that is pushed is reserved before it is activated, so that one that
//! another backend got in between stays that one's.

use ravenry_core::mailboxes::{Location, Name};
use ravenry_core::rt;
use ravenry_mupdate::{Answer, Ask, Held};

use super::super::Facts;
use super::super::claims::Claimed;
use super::super::master::Trouble;
use super::super::settle::{Action, decide};
use super::Means;
use super::plan::{ByName, Planned};
use crate::store::{Order, Refused};

/// Names that are seen to at once: no more commands than twice that are on their way to the master.
const BATCH: usize = 100;
/// Names that are said in the log.
const LOGGED_MAX: usize = 20;

/// What came of names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Done {
    /// Made known to the master, or mended there.
    pub(crate) pushed: usize,
    /// Taken out of MUPDATE.
    pub(crate) removed: usize,
    /// Put into quarantine.
    pub(crate) quarantined: usize,
    /// Others have changed them since, or are about to.
    pub(crate) changed: usize,
    /// The master, or the store, has refused it.
    pub(crate) refused: usize,
    /// What was said to the first of those.
    pub(crate) why: Option<String>,
}

/// A name that is claimed, and what is to be done about it.
struct Taken<'p> {
    planned: &'p Planned,
    action: Action,
    /// `None`: it isn't here.
    facts: Option<Facts>,
    _claimed: Claimed,
}

/// A name and what the master said.
type Refusal<'t, 'p> = (&'t Taken<'p>, String);

impl Done {
    /// In the log, where there is something to say.
    pub(super) fn say(&self) {
        if *self == Self::default() {
            return;
        }
        tracing::info!(
            pushed = self.pushed,
            out_of_mupdate = self.removed,
            into_quarantine = self.quarantined,
            changed_meanwhile = self.changed,
            refused = self.refused,
            "resync: carried out"
        );
        if let Some(why) = &self.why {
            tracing::error!(names = self.refused, "resync: refused: {why}");
        }
    }

    fn refused(&mut self, planned: &Planned, why: String) {
        self.refused += 1;
        let name = &planned.name;
        self.why.get_or_insert_with(|| format!("{name}: {why}"));
    }

    fn carried_out(&mut self, planned: &Planned, action: Action) {
        let count = match action {
            Action::Push | Action::Activate => &mut self.pushed,
            Action::Remove => &mut self.removed,
            Action::Away => &mut self.quarantined,
            Action::Nothing => return,
        };
        *count += 1;
        if planned.deletes && *count <= LOGGED_MAX {
            let (name, what) = (&planned.name, super::word(action));
            tracing::warn!("resync: {name}: {what}: {}", planned.why);
        }
    }
}

impl Means {
    /// Carries these out, as far as they are still as they were when they were planned.
    ///
    /// # Errors
    /// If the master is away; what was done until then is in `done`.
    pub(super) async fn carry_out(
        &self,
        planned: &[&Planned],
        done: &mut Done,
    ) -> Result<(), String> {
        for batch in planned.chunks(BATCH) {
            let taken = self.take(batch, done).await?;
            let refused = self.tell_master(&taken, done).await?;
            self.look_again(refused, done).await?;
            self.put_away(&taken, done).await;
            rt::yield_now().await;
        }
        Ok(())
    }

    /// Claims names and decides again.
    async fn take<'p>(
        &self,
        batch: &[&'p Planned],
        done: &mut Done,
    ) -> Result<Vec<Taken<'p>>, String> {
        let mut claimed = Vec::new();
        for &planned in batch {
            match self.coordinator.claims.try_claim(&planned.name) {
                Some(claim) => claimed.push((planned, claim)),
                None => done.changed += 1,
            }
        }
        let names = || claimed.iter().map(|(planned, _)| planned.name.clone());
        let mut here = self.here_of(names().collect()).await?;
        let held = self.find(&names().collect::<Vec<_>>()).await?;
        let mut taken = Vec::new();
        for (planned, claim) in claimed {
            let facts = here.remove(&planned.name);
            let action = decide(
                facts.as_ref(),
                held.get(&planned.name),
                &self.coordinator.master.own,
            );
            let pushes = |action| matches!(action, Action::Push | Action::Activate);
            if action == planned.action || (pushes(action) && pushes(planned.action)) {
                taken.push(Taken {
                    planned,
                    action,
                    facts,
                    _claimed: claim,
                });
            } else {
                done.changed += 1;
            }
        }
        Ok(taken)
    }

    /// What the master is asked for; RESERVEs have been answered before any ACTIVATE of the same name.
    async fn tell_master<'t, 'p>(
        &self,
        taken: &'t [Taken<'p>],
        done: &mut Done,
    ) -> Result<Vec<Refusal<'t, 'p>>, String> {
        let location = |facts: &Facts| self.coordinator.master.location(&facts.partition);
        let mut reserve = Vec::new();
        let (mut rest, mut refused) = (Vec::new(), Vec::new());
        for it in taken {
            let name = it.planned.name.clone();
            match (it.action, &it.facts) {
                (Action::Push, Some(facts)) => {
                    let location = location(facts);
                    reserve.push((it, Ask::Reserve { name, location }));
                }
                (Action::Activate, Some(facts)) => rest.push((it, activate(name, facts, location))),
                (Action::Remove, _) => rest.push((it, Ask::Delete { name })),
                _ => {}
            }
        }
        for it in self.ask_each(reserve, &mut refused).await? {
            if let Some(facts) = &it.facts {
                let ask = activate(it.planned.name.clone(), facts, location);
                rest.push((it, ask));
            }
        }
        for it in self.ask_each(rest, &mut refused).await? {
            done.carried_out(it.planned, it.action);
        }
        Ok(refused)
    }

    /// What the master has refused may have been done by somebody else: then there is nothing left to do.
    async fn look_again(
        &self,
        refused: Vec<Refusal<'_, '_>>,
        done: &mut Done,
    ) -> Result<(), String> {
        let names = refused.iter().map(|(it, _)| it.planned.name.clone());
        let held = self.find(&names.collect::<Vec<_>>()).await?;
        for (it, why) in refused {
            let name = &it.planned.name;
            match decide(
                it.facts.as_ref(),
                held.get(name),
                &self.coordinator.master.own,
            ) {
                Action::Nothing => done.changed += 1,
                _ => done.refused(it.planned, why),
            }
        }
        Ok(())
    }

    /// Those that the master has said yes to.
    async fn ask_each<'t, 'p>(
        &self,
        asks: Vec<(&'t Taken<'p>, Ask)>,
        refused: &mut Vec<Refusal<'t, 'p>>,
    ) -> Result<Vec<&'t Taken<'p>>, String> {
        let (of, asks): (Vec<_>, Vec<_>) = asks.into_iter().unzip();
        let mut yes = Vec::new();
        let answers = self.coordinator.master.ask(asks).await;
        for (it, answer) in of.into_iter().zip(answers.map_err(said)?) {
            match answer {
                Answer::Refused(why) => refused.push((it, why)),
                Answer::Done | Answer::Found(_) => yes.push(it),
            }
        }
        Ok(yes)
    }

    async fn put_away(&self, taken: &[Taken<'_>], done: &mut Done) {
        let away: Vec<_> = taken
            .iter()
            .filter(|it| it.action == Action::Away)
            .collect();
        let order = |it: &&Taken<'_>| Order::Quarantine {
            name: it.planned.name.clone(),
            why: it.planned.why.clone().into_owned(),
        };
        let orders = away.iter().map(order).collect();
        let answers = self.coordinator.orders.carry_out_each(orders).await;
        for (it, answer) in away.into_iter().zip(answers) {
            match answer {
                Ok(_) => done.carried_out(it.planned, it.action),
                Err(Refused::Full) => {
                    let why = "no room in the index: raise [backend] index_size and restart";
                    done.refused(it.planned, why.to_owned());
                }
                Err(why) => done.refused(it.planned, format!("{why:?}")),
            }
        }
    }

    /// What the master holds of names, whatever server they are on.
    pub(super) async fn find(&self, names: &[Name]) -> Result<ByName<Held>, String> {
        let found = self.coordinator.master.find(names).await;
        let found = found.map_err(said)?.into_iter().flatten();
        Ok(found.map(|held| (held.name.clone(), held)).collect())
    }
}

fn activate(name: Name, facts: &Facts, location: impl Fn(&Facts) -> Location) -> Ask {
    Ask::Activate {
        name,
        location: location(facts),
        acl: facts.acl.clone(),
    }
}

/// In words.
pub(super) fn said(trouble: Trouble) -> String {
    match trouble {
        Trouble::Unreachable(why) | Trouble::Unknown(why) | Trouble::Refused(why) => why,
    }
}
