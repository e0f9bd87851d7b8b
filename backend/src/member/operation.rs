//! One change, from the claims on its names to the answer.
//!
//! The order of the steps follows from one rule: at no moment is a name active at the master that isn't here, except where
//! RENAME would otherwise have it nowhere; and nothing is changed here before the master has agreed. What the master has
//! agreed to is compared with what the orders do once more between two commits, where nothing else can happen. Whatever
//! stops in the middle ends with its names settled, now or when the master is there again.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ravenry_core::faultpoint;
use ravenry_core::mailboxes::{Name, State};
use ravenry_mupdate::{Answer, Ask, Held};

use super::claims::{Claim, Claimed, is_at_or_below};
use super::coordinator::Coordinator;
use super::effects::{Effect, Facts, Present, effects};
use super::master::{Trouble, found};
use super::{Carried, Kind, Make};
use crate::renaming::unread;
use crate::store::{MailboxId, Order, Outcome, Refused, Store};

/// How long an operation waits for those before it that are about the same names.
const CLAIM_WAIT: Duration = Duration::from_secs(30);
/// How often a change is tried whose names others have changed meanwhile.
const ATTEMPTS: usize = 3;

impl Present for Store {
    fn named(&self, name: &Name) -> Result<Option<Facts>, Refused> {
        let mailbox = self.mailbox(name).map_err(unread)?;
        Ok(mailbox.as_ref().map(Facts::of))
    }

    fn removed(&self, mailbox: MailboxId) -> Result<Option<Facts>, Refused> {
        let mailbox = self.mailbox_by_id(mailbox).map_err(unread)?;
        Ok(mailbox.as_ref().map(Facts::of))
    }
}

/// Why a change has come to no end.
enum Stopped {
    Refused(Refused),
    /// What the master has agreed to isn't what the orders would do by now.
    Changed,
}

impl From<Refused> for Stopped {
    fn from(refused: Refused) -> Self {
        Self::Refused(refused)
    }
}

/// A change in view of the store.
struct Looked {
    orders: Vec<Order>,
    effects: Vec<Effect>,
}

impl Looked {
    fn at(make: &Make, store: &Store) -> Result<Self, Refused> {
        let orders = make(store)?;
        let effects = effects(&orders, store)?;
        Ok(Self { orders, effects })
    }
}

impl Kind {
    /// The fault points behind its steps.
    fn points(self) -> &'static [&'static str] {
        match self {
            Self::Create => &[
                "backend.create.begun",
                "backend.create.reserved",
                "backend.create.committed",
                "backend.create.activated",
            ],
            Self::Delete => &[
                "backend.delete.begun",
                "backend.delete.deleted",
                "backend.delete.committed",
            ],
            Self::Rename => &[
                "backend.rename.begun",
                "backend.rename.reserved",
                "backend.rename.activated",
                "backend.rename.committed",
                "backend.rename.deleted",
            ],
            Self::SetAcl => &[
                "backend.setacl.begun",
                "backend.setacl.activated",
                "backend.setacl.committed",
            ],
        }
    }

    /// A step of this kind is done.
    fn reached(self, step: &str) {
        let is_of = |point: &&&str| point.ends_with(step);
        if let Some(point) = self.points().iter().find(is_of) {
            faultpoint::reached(point);
        }
    }
}

impl Coordinator {
    /// Carries a change out, here and at the master.
    pub(super) async fn carry_out(&self, kind: Kind, make: &Make) -> Carried {
        for _ in 0..ATTEMPTS {
            match self.attempt(kind, make).await {
                Ok(outcomes) => return Ok(outcomes),
                Err(Stopped::Refused(refused)) => return Err(refused),
                Err(Stopped::Changed) => {}
            }
        }
        Err(Refused::Busy)
    }

    async fn attempt(&self, kind: Kind, make: &Make) -> Result<Vec<Outcome>, Stopped> {
        let (looked, _claimed) = self.begin(kind, make).await?;
        kind.reached("begun");
        if kind != Kind::Rename || looked.effects.is_empty() {
            return self.steps(kind, make, looked).await;
        }
        let note = self.note(names(&looked.effects)).await?;
        let done = self.steps(kind, make, looked).await;
        self.ended(note).await;
        done
    }

    /// All steps but the first.
    async fn steps(
        &self,
        kind: Kind,
        make: &Make,
        looked: Looked,
    ) -> Result<Vec<Outcome>, Stopped> {
        let (orders, effects) = (looked.orders, Arc::new(looked.effects));
        let gone = self.before(kind, &effects).await?;
        let outcomes = match self.commit(make, orders, &effects).await {
            Ok(outcomes) => outcomes,
            Err(stopped) => {
                self.settle(names(&effects)).await;
                return Err(stopped);
            }
        };
        kind.reached("committed");
        self.behind(kind, &effects, &gone).await?;
        Ok(outcomes)
    }

    /// What the change does, with its names claimed.
    async fn begin(&self, kind: Kind, make: &Make) -> Result<(Looked, Claimed), Refused> {
        let look = || {
            let make = Arc::clone(make);
            self.look(move |store| Looked::at(&make, store))
        };
        let mut ended = self.claims.ended();
        let mut found = look().await?;
        for _ in 0..ATTEMPTS {
            let wanted = claims(kind, &found.effects);
            let claimed = self.claims.claim(wanted.clone(), CLAIM_WAIT).await;
            let claimed = claimed.ok_or(Refused::Busy)?;
            if !claimed.waited && self.claims.ended() == ended {
                return Ok((found, claimed));
            }
            // Others have ended meanwhile: what they changed may be what this is about.
            ended = self.claims.ended();
            found = look().await?;
            if claims(kind, &found.effects) == wanted {
                return Ok((found, claimed));
            }
        }
        Err(Refused::Busy)
    }

    /// What the master has to agree to before the commit. Gives what it holds of the names that go.
    async fn before(&self, kind: Kind, effects: &[Effect]) -> Result<Vec<Held>, Refused> {
        let first = effects.iter().map(|effect| match &effect.after {
            Some(facts) if effect.is_made() => self.reserve(effect, facts),
            _ => self.find_one(effect),
        });
        let answers = match self.master.ask(first.collect()).await {
            Ok(answers) => answers,
            Err(trouble @ Trouble::Unreachable(_)) => return Err(trouble.into()),
            Err(trouble) => {
                self.later(names(effects));
                return Err(trouble.into());
            }
        };
        let reserved = effects
            .iter()
            .zip(&answers)
            .filter(|(effect, answer)| effect.is_made() && **answer == Answer::Done);
        let reserved: Vec<Name> = reserved.map(|(effect, _)| effect.name.clone()).collect();
        let gone = match self.judged(effects, answers).await {
            Ok(gone) => gone,
            Err(refused) => {
                // Nothing else has been asked for yet.
                self.settle(reserved).await;
                return Err(refused);
            }
        };
        if matches!(kind, Kind::Create | Kind::Rename) {
            kind.reached("reserved");
        }
        self.agreed(kind, effects, &gone).await?;
        Ok(gone)
    }

    /// What has come of RESERVE and FIND: the names that go, as the master holds them.
    async fn judged(&self, effects: &[Effect], answers: Vec<Answer>) -> Result<Vec<Held>, Refused> {
        let mut gone = Vec::new();
        for (effect, answer) in effects.iter().zip(answers) {
            if effect.is_made() {
                if let Answer::Refused(why) = answer
                    && let Some(refused) = self.taken(&effect.name, why).await?
                {
                    return Err(refused);
                }
                continue;
            }
            let Some(held) = found(answer)? else {
                // The master has never heard of it: then it needn't forget it.
                continue;
            };
            if !self.master.is_ours(&held) {
                return Err(match held.state {
                    State::Active => Refused::Elsewhere(held.location.server),
                    State::Reserved | State::Moving => Refused::Busy,
                });
            }
            if effect.is_gone() {
                gone.push(held);
            }
        }
        Ok(gone)
    }

    /// Why a name can't be had; `None`: it is this server's, whatever the master said.
    async fn taken(&self, name: &Name, why: String) -> Result<Option<Refused>, Refused> {
        let held = self.master.find(std::slice::from_ref(name)).await?.pop();
        Ok(match held.flatten() {
            Some(held) if self.master.is_ours(&held) => None,
            Some(held) => Some(Refused::ExistsAt(held.location.server)),
            None => Some(Refused::Master(why)),
        })
    }

    /// The second half of what comes before the commit: names are active, have other ACLs, or are gone.
    async fn agreed(&self, kind: Kind, effects: &[Effect], gone: &[Held]) -> Result<(), Refused> {
        let mut asks = Vec::new();
        for effect in effects {
            if let Some(facts) = &effect.after
                && (kind == Kind::Rename || !effect.is_made())
            {
                asks.push(self.activate(effect, facts));
            }
        }
        if kind == Kind::Delete {
            asks.extend(gone.iter().flat_map(|held| self.forget(held)));
        }
        if let Err(refused) = self.all_done(asks).await {
            match refused {
                Refused::MasterAway | Refused::MasterSilent => self.later(names(effects)),
                _ => self.settle(names(effects)).await,
            }
            return Err(refused);
        }
        match kind {
            Kind::Create => {}
            Kind::Delete => kind.reached("deleted"),
            Kind::Rename | Kind::SetAcl => kind.reached("activated"),
        }
        Ok(())
    }

    /// Has the store changed, if the orders do by now what the master has agreed to. A single order does what it says or is
    /// refused: it needs no second look, and shares its commit with others.
    async fn commit(
        &self,
        make: &Make,
        orders: Vec<Order>,
        agreed: &Arc<Vec<Effect>>,
    ) -> Result<Vec<Outcome>, Stopped> {
        if let Ok([order]) = <[Order; 1]>::try_from(orders) {
            let done = self.orders.carry_out(order).await;
            return Ok(done.map(|outcome| vec![outcome])?);
        }
        let (make, agreed) = (Arc::clone(make), Arc::clone(agreed));
        let changed = Arc::new(AtomicBool::new(false));
        let found_changed = Arc::clone(&changed);
        let make = move |store: &Store| {
            let orders = make(store)?;
            if effects(&orders, store)? != *agreed {
                found_changed.store(true, Ordering::Release);
                return Err(Refused::Busy);
            }
            Ok(orders)
        };
        let done = self.orders.all_or_nothing(make).await;
        done.map_err(|refused| match changed.load(Ordering::Acquire) {
            true => Stopped::Changed,
            false => Stopped::Refused(refused),
        })
    }

    /// What the master is told when the change is on the disk.
    async fn behind(&self, kind: Kind, effects: &[Effect], gone: &[Held]) -> Result<(), Refused> {
        match kind {
            Kind::Create => {
                let made = effects.iter().filter(|effect| effect.is_made());
                let asks = made.filter_map(|effect| {
                    let facts = effect.after.as_ref()?;
                    Some(self.activate(effect, facts))
                });
                let asks: Vec<Ask> = asks.collect();
                match self.all_done(asks).await {
                    Ok(()) => {}
                    // It is here for good; its name becomes active as soon as the master can be told.
                    Err(Refused::MasterAway | Refused::MasterSilent) => self.later(names(effects)),
                    Err(refused) => return Err(self.undo(effects, refused).await),
                }
                kind.reached("activated");
            }
            Kind::Rename => {
                let asks = gone.iter().flat_map(|held| self.forget(held));
                if self.all_done(asks.collect()).await.is_err() {
                    self.later(names(effects));
                }
                kind.reached("deleted");
            }
            Kind::Delete | Kind::SetAcl => {}
        }
        Ok(())
    }

    /// The master doesn't want names that have been made: those go again that nothing is in.
    async fn undo(&self, effects: &[Effect], refused: Refused) -> Refused {
        let made = effects.iter().filter(|effect| effect.is_made());
        let made: Vec<Name> = made.map(|effect| effect.name.clone()).collect();
        let refused = match (refused, made.last()) {
            (Refused::Master(why), Some(name)) => match self.taken(name, why.clone()).await {
                Ok(Some(taken)) => taken,
                _ => Refused::Master(why),
            },
            (refused, _) => refused,
        };
        let undone = self.orders.all_or_nothing(move |store| {
            let mut orders = Vec::new();
            for name in made.into_iter().rev() {
                let mailbox = store.mailbox(&name).map_err(unread)?;
                if mailbox.is_some_and(|mailbox| mailbox.exists == 0) {
                    orders.push(Order::Delete { name });
                }
            }
            Ok(orders)
        });
        if let Err(why) = undone.await {
            tracing::error!(
                "mailboxes that the MUPDATE master doesn't want can't be taken away: {why:?}"
            );
        }
        self.settle(names(effects)).await;
        refused
    }

    /// Asks for these, each of which has to be done.
    pub(super) async fn all_done(&self, asks: Vec<Ask>) -> Result<(), Refused> {
        let answers = self.master.ask(asks).await?;
        let refused = answers.into_iter().find_map(|answer| match answer {
            Answer::Refused(why) => Some(Refused::Master(why)),
            Answer::Done | Answer::Found(_) => None,
        });
        refused.map_or(Ok(()), Err)
    }

    fn reserve(&self, effect: &Effect, facts: &Facts) -> Ask {
        Ask::Reserve {
            name: effect.name.clone(),
            location: self.master.location(&facts.partition),
        }
    }

    fn activate(&self, effect: &Effect, facts: &Facts) -> Ask {
        Ask::Activate {
            name: effect.name.clone(),
            location: self.master.location(&facts.partition),
            acl: facts.acl.clone(),
        }
    }

    fn find_one(&self, effect: &Effect) -> Ask {
        let name = effect.name.clone();
        Ask::Find { name }
    }

    /// DEACTIVATE, where it is active, and DELETE: what somebody has asked for, and so nothing that a master's guard against
    /// a wipe counts, as a DELETE of an active name is.
    fn forget(&self, held: &Held) -> Vec<Ask> {
        let (name, location) = (held.name.clone(), held.location.clone());
        let delete = Ask::Delete { name: name.clone() };
        match held.state {
            State::Active => vec![Ask::Deactivate { name, location }, delete],
            State::Reserved | State::Moving => vec![delete],
        }
    }
}

fn names(effects: &[Effect]) -> Vec<Name> {
    effects.iter().map(|effect| effect.name.clone()).collect()
}

/// What an operation has to have to itself.
fn claims(kind: Kind, effects: &[Effect]) -> Vec<Claim> {
    let names = || effects.iter().map(|effect| &effect.name);
    let whole = match kind {
        Kind::Create | Kind::SetAcl => false,
        // One mailbox goes from among others that stay; where more go, all below goes.
        Kind::Delete => effects.len() > 1,
        Kind::Rename => true,
    };
    if !whole {
        return names().cloned().map(Claim::Name).collect();
    }
    // In the list's order whatever is below a name comes behind it.
    let mut tops: Vec<&Name> = Vec::new();
    for name in names() {
        if !tops.iter().any(|top| is_at_or_below(name, top)) {
            tops.push(name);
        }
    }
    tops.into_iter().cloned().map(Claim::Tree).collect()
}

#[cfg(test)]
mod tests {
    use ravenry_core::mailboxes::Acl;

    use super::*;

    fn name(text: &str) -> Name {
        Name::parse(text.as_bytes()).unwrap()
    }

    fn gone(text: &str) -> Effect {
        let facts = Facts {
            partition: "default".to_owned(),
            acl: Acl::default(),
        };
        Effect {
            name: name(text),
            before: Some(facts),
            after: None,
        }
    }

    #[test]
    fn what_goes_or_moves_as_a_whole_is_claimed_as_a_whole() {
        let (tree, one) = (
            |text| Claim::Tree(name(text)),
            |text| Claim::Name(name(text)),
        );
        let few = ["a", "a.b", "ab"].map(gone);
        for (kind, effects, want) in [
            (
                Kind::Create,
                &few[..],
                vec![one("a"), one("a.b"), one("ab")],
            ),
            (Kind::Delete, &few[..1], vec![one("a")]),
            (Kind::Delete, &few[..2], vec![tree("a")]),
            (Kind::Delete, &few[..], vec![tree("a"), tree("ab")]),
            (Kind::Rename, &few[..1], vec![tree("a")]),
            (Kind::SetAcl, &few[..1], vec![one("a")]),
        ] {
            assert_eq!(claims(kind, effects), want, "{kind:?} {effects:?}");
        }
    }
}
