//! The plan of a comparison: what is here and what the master holds, name by name. Pure.
//!
//! The master's LIST says what it holds of this server; names that are here and not in it are asked for one by one. Each
//! name's action is [`decide`]'s, so a plan is what settling all names would do, seen before it is done. Whoever carries it out
//! decides each name again, under its claim: a plan may be old, and does no harm.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use ravenry_core::mailboxes::{Name, State};
use ravenry_mupdate::Held;

use super::super::Facts;
use super::super::settle::{Action, decide, is_at};

/// Deletions that are carried out without anybody being asked: so many …
pub(crate) const DELETIONS_FREE: usize = 20;
/// … or one of so many mailboxes.
pub(crate) const DELETIONS_SHARE: usize = 20;

/// By their names, in the list's order.
pub(crate) type ByName<T> = BTreeMap<Name, T>;

/// What is to be done about a name, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Planned {
    pub(crate) name: Name,
    pub(crate) action: Action,
    pub(crate) why: Cow<'static, str>,
    /// Something goes that somebody could miss.
    pub(crate) deletes: bool,
}

/// What a comparison has found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Plan {
    /// What is to be done.
    pub(crate) all: Vec<Planned>,
    /// Mailboxes here.
    pub(crate) here: usize,
    /// Names that the master holds of this server.
    pub(crate) held: usize,
    /// Names of either.
    pub(crate) names: usize,
    /// Names that an operation is under way for, here or at another server.
    pub(crate) left: usize,
}

/// Why deletions aren't carried out before the operator says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Waits {
    /// So many of so many mailboxes.
    TooMany(usize, usize),
    /// Nothing would be left here.
    AllHere,
    /// There is nothing here, and nothing of this server would be left at the master.
    AllHeld,
}

/// Names whose place only a FIND can tell.
pub(crate) fn unlisted(here: &ByName<Facts>, listed: &ByName<Held>) -> Vec<Name> {
    let unlisted = here.keys().filter(|name| !listed.contains_key(*name));
    unlisted.cloned().collect()
}

impl Plan {
    /// Compares what is here with what LIST and FIND have found, for the server called `own`.
    pub(crate) fn new(here: &ByName<Facts>, held: &ByName<Held>, own: &str) -> Self {
        let ours = |held: &&Held| is_at(&held.location, own);
        let mut plan = Self {
            here: here.len(),
            held: held.values().filter(ours).count(),
            ..Self::default()
        };
        let only_held = held.values().filter(ours).map(|held| &held.name);
        let only_held = only_held.filter(|name| !here.contains_key(*name));
        for name in here.keys().chain(only_held) {
            plan.names += 1;
            let (facts, at_master) = (here.get(name), held.get(name));
            let action = decide(facts, at_master, own);
            // Another server is about to make it, or has failed to.
            let elsewhere = facts.is_some() && action == Action::Nothing && {
                at_master.is_some_and(|held| !ours(&held))
            };
            if elsewhere {
                plan.left += 1;
            } else if action != Action::Nothing {
                plan.all.push(Planned {
                    name: name.clone(),
                    action,
                    why: why(action, facts, at_master),
                    deletes: deletes(action, at_master),
                });
            }
        }
        plan.all.sort_by(|one, other| one.name.cmp(&other.name));
        plan
    }

    /// Leaves names alone that an operation is under way for, or that are being settled.
    pub(crate) fn leave(&mut self, busy: impl Fn(&Name) -> bool) {
        let planned = self.all.len();
        self.all.retain(|planned| !busy(&planned.name));
        self.left += planned - self.all.len();
    }

    /// How many names an action is planned for.
    pub(crate) fn count(&self, action: Action) -> usize {
        let planned = self.all.iter().filter(|it| it.action == action);
        planned.count()
    }

    /// What takes something away.
    pub(crate) fn deletions(&self) -> impl Iterator<Item = &Planned> {
        self.all.iter().filter(|planned| planned.deletes)
    }

    /// Whether the deletions have to wait, all of them.
    pub(crate) fn waits(&self) -> Option<Waits> {
        let deletions = self.deletions().count();
        if deletions > DELETIONS_FREE.max(self.names / DELETIONS_SHARE) {
            return Some(Waits::TooMany(deletions, self.names));
        }
        // A small server has no more: another server name or directory looks like this. One mailbox is too few to tell.
        let away = self.count(Action::Away);
        if away > 1 && away == self.here {
            return Some(Waits::AllHere);
        }
        (self.here == 0 && deletions > 1).then_some(Waits::AllHeld)
    }
}

/// A reservation that nothing came of is nobody's loss.
fn deletes(action: Action, held: Option<&Held>) -> bool {
    match action {
        Action::Away => true,
        Action::Remove => held.is_some_and(|held| held.state != State::Reserved),
        Action::Nothing | Action::Push | Action::Activate => false,
    }
}

fn why(action: Action, facts: Option<&Facts>, held: Option<&Held>) -> Cow<'static, str> {
    match (action, held) {
        (Action::Away, Some(held)) => format!("it lives on {}", held.location.server).into(),
        (Action::Remove, Some(held)) if held.state == State::Reserved => {
            "it was reserved for this server and never made".into()
        }
        (Action::Remove, _) => "it isn't here".into(),
        (Action::Activate, Some(held)) => match (held.state, facts) {
            (State::Reserved | State::Moving, _) => "the master has it reserved only".into(),
            (_, Some(facts)) if facts.partition != held.location.partition => {
                let partition = &held.location.partition;
                format!("the master has it on the partition {partition:?}").into()
            }
            _ => "the master has another ACL".into(),
        },
        _ => "the master doesn't know it".into(),
    }
}

impl Waits {
    /// What an operator looks at before anything is deleted.
    pub(crate) fn advice(self, own: &str, master: &str) -> String {
        let directory = "state_dir is the right one and its file system is mounted";
        match self {
            Self::TooMany(..) | Self::AllHere => format!(
                "Check that servername ({own:?}) is as it was (at the master, `ravenry ctl mupdate rename-server` gives a \
                 backend another name), that {master} is the right master, and that {directory}."
            ),
            Self::AllHeld => format!(
                "Check that {directory}, and that servername ({own:?}) isn't another backend's."
            ),
        }
    }
}

/// As the operator reads it.
impl fmt::Display for Waits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooMany(deletions, mailboxes) => write!(
                f,
                "{deletions} of {mailboxes} mailboxes would go: more than {DELETIONS_FREE} and than one of {DELETIONS_SHARE}"
            ),
            Self::AllHere => f.write_str("every mailbox here would go"),
            Self::AllHeld => f.write_str(
                "there is no mailbox here, and all that the master has of this server would go",
            ),
        }
    }
}

#[cfg(test)]
#[path = "tests/plan.rs"]
mod tests;
