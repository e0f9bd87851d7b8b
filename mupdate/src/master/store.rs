//! The master's list, and what is decided with it: many commands, one commit.
//!
//! Runs on a thread that may wait for the disk. A batch is decided in order, each command on what
//! those before it left; nothing is answered before the commit, and with an error nothing has been
//! changed and everybody is told so.

use std::sync::Arc;

use ravenry_core::config::{self, Conflicts};
use ravenry_core::faultpoint;
use ravenry_core::mailboxes::{Edit, Entry, ListError, ListReader, ListWriter, Made, State};
use ravenry_core::rt;

use super::guard::Guard;
use super::rules::{self, Account, Answer, Ask, Verdict};

/// A command of somebody.
#[derive(Clone, Debug)]
pub(crate) struct Order {
    pub(crate) account: Arc<Account>,
    pub(crate) ask: Ask,
}

/// What came of a batch.
#[derive(Debug, Default)]
pub(crate) struct Committed {
    /// One for each command, in order.
    pub(crate) answers: Vec<Answer>,
    /// What was changed.
    pub(crate) made: Made,
    /// Names that one server has and another wanted, or took.
    pub(crate) conflicts: Vec<Conflict>,
    /// Why nothing could be stored.
    pub(crate) error: Option<ListError>,
}

/// A name that one server has and another wanted, or took.
#[derive(Debug)]
pub(crate) struct Conflict {
    /// Which command of the batch.
    pub(crate) order: usize,
    /// Whose the name was.
    pub(crate) owner: String,
}

/// The master's list.
pub(crate) struct Store {
    writer: ListWriter,
    pub(super) list: ListReader,
    conflicts: Conflicts,
    pub(super) guard: Guard,
    pub(super) limit: config::Guard,
}

impl Store {
    pub(crate) fn new(
        writer: ListWriter,
        list: ListReader,
        conflicts: Conflicts,
        limit: config::Guard,
    ) -> Self {
        Self {
            writer,
            list,
            conflicts,
            guard: Guard::new(limit),
            limit,
        }
    }

    /// The list, for what isn't a command.
    pub(crate) fn writer(&mut self) -> &mut ListWriter {
        &mut self.writer
    }

    /// Another master has taken over, in this epoch: no command changes anything any more.
    pub(crate) fn superseded_by(&mut self, epoch: u64) -> Result<(), ListError> {
        let mut standing = self.list.about()?.standing;
        standing.superseded_by = standing.superseded_by.max(epoch);
        self.writer.set_standing(standing)
    }

    /// Decides commands in order and commits what comes of them. Where that fails for a batch, each
    /// is tried alone: a list that is full has room for a DELETE.
    pub(crate) fn carry_out(&mut self, orders: &[Order]) -> Committed {
        let committed = self.commit(orders);
        if committed.error.is_none() || orders.len() < 2 {
            return committed;
        }
        let mut all = Committed::default();
        for (number, order) in orders.iter().enumerate() {
            let one = self.commit(std::slice::from_ref(order));
            all.answers.extend(one.answers);
            all.made.changes.extend(one.made.changes);
            all.conflicts
                .extend(one.conflicts.into_iter().map(|conflict| Conflict {
                    order: number,
                    ..conflict
                }));
            all.error = one.error.or(all.error);
        }
        all
    }

    fn commit(&mut self, orders: &[Order]) -> Committed {
        let mut committed = Committed::default();
        if let Err(error) = self.try_commit(orders, &mut committed) {
            return Committed {
                answers: vec![Answer::NotStored; orders.len()],
                error: Some(error),
                ..Committed::default()
            };
        }
        committed.made = self.writer.take_made();
        step(orders, &committed.answers, |(_, committed)| committed);
        committed
    }

    fn try_commit(&mut self, orders: &[Order], to: &mut Committed) -> Result<(), ListError> {
        let conflicts = self.conflicts;
        let now = unix_seconds();
        let mut edit = self.writer.edit()?;
        for (number, order) in orders.iter().enumerate() {
            if !edit.standing().is_master() {
                to.answers.push(Answer::Superseded);
                continue;
            }
            let held = edit.lookup(order.ask.name())?;
            let mut verdict = rules::decide(held.as_ref(), &order.account, &order.ask, conflicts);
            if let Some(held) = &held
                && !allowed(&mut self.guard, &edit, order, held, &verdict, now)?
            {
                verdict = Verdict {
                    answer: Answer::Guarded,
                    change: None,
                    against: Some(held.location.server.clone()),
                };
            }
            make(&mut edit, number, verdict, to)?;
            if let (Ask::Reserve { .. }, Some(Answer::Done)) = (&order.ask, to.answers.last()) {
                self.guard.has_reserved(&order.account.name, now);
            }
        }
        step(orders, &to.answers, |(asked, _)| asked);
        edit.commit().map(drop)
    }
}

/// The fault points of those commands that change something.
fn step(
    orders: &[Order],
    answers: &[Answer],
    which: fn((&'static str, &'static str)) -> &'static str,
) {
    for (order, answer) in orders.iter().zip(answers) {
        if *answer == Answer::Done {
            faultpoint::reached(which(points(&order.ask)));
        }
    }
}

/// The points before the commit, and behind it while nobody has been answered.
fn points(ask: &Ask) -> (&'static str, &'static str) {
    match ask {
        Ask::Reserve { .. } => ("master.reserve.asked", "master.reserve.committed"),
        Ask::Activate { .. } => ("master.activate.asked", "master.activate.committed"),
        Ask::Deactivate { .. } => ("master.deactivate.asked", "master.deactivate.committed"),
        Ask::Delete { .. } => ("master.delete.asked", "master.delete.committed"),
    }
}

/// Whether the guard lets it pass, if it takes a name away.
fn allowed(
    guard: &mut Guard,
    edit: &Edit<'_>,
    order: &Order,
    held: &Entry,
    verdict: &Verdict,
    now: u64,
) -> Result<bool, ListError> {
    let deletes = matches!(order.ask, Ask::Delete { .. });
    let takes = deletes || verdict.against.is_some();
    let counts = held.state == State::Active && !order.ask.name().is_deleted();
    if verdict.answer != Answer::Done || !takes || !counts {
        return Ok(true);
    }
    let server = &held.location.server;
    let names = edit.count_at(server)?;
    Ok(guard.may_take(&order.account.name, server, names, deletes, now))
}

fn make(
    edit: &mut Edit<'_>,
    number: usize,
    verdict: Verdict,
    to: &mut Committed,
) -> Result<(), ListError> {
    if let Some(change) = &verdict.change {
        edit.apply(change)?;
    }
    if let Some(owner) = verdict.against {
        to.conflicts.push(Conflict {
            order: number,
            owner,
        });
    }
    to.answers.push(verdict.answer);
    Ok(())
}

pub(super) fn unix_seconds() -> u64 {
    let now = rt::wall_clock().duration_since(rt::SystemTime::UNIX_EPOCH);
    now.map_or(0, |now| now.as_secs())
}
