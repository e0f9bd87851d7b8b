//! The master's list, and what is decided with it: many commands, one commit.
//!
//! Runs on a thread that may wait for the disk. A batch is decided in order, each command on what
//! those before it left; nothing is answered before the commit, and with an error nothing has been
//! changed and everybody is told so.

use std::sync::Arc;

use ravenry_core::config::Conflicts;
use ravenry_core::mailboxes::{Edit, ListError, ListWriter, Made};

use super::rules::{self, Account, Answer, Ask};

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
    conflicts: Conflicts,
}

impl Store {
    pub(crate) fn new(writer: ListWriter, conflicts: Conflicts) -> Self {
        Self { writer, conflicts }
    }

    /// The list, for what isn't a command.
    pub(crate) fn writer(&mut self) -> &mut ListWriter {
        &mut self.writer
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
        committed
    }

    fn try_commit(&mut self, orders: &[Order], to: &mut Committed) -> Result<(), ListError> {
        let conflicts = self.conflicts;
        let mut edit = self.writer.edit()?;
        for (number, order) in orders.iter().enumerate() {
            let answer = decide(&mut edit, order, conflicts, number, to)?;
            to.answers.push(answer);
        }
        edit.commit().map(drop)
    }
}

fn decide(
    edit: &mut Edit<'_>,
    order: &Order,
    conflicts: Conflicts,
    number: usize,
    to: &mut Committed,
) -> Result<Answer, ListError> {
    if !edit.standing().is_master() {
        return Ok(Answer::Superseded);
    }
    let held = edit.lookup(order.ask.name())?;
    let verdict = rules::decide(held.as_ref(), &order.account, &order.ask, conflicts);
    if let Some(change) = &verdict.change {
        edit.apply(change)?;
    }
    if let Some(owner) = verdict.against {
        to.conflicts.push(Conflict {
            order: number,
            owner,
        });
    }
    Ok(verdict.answer)
}
