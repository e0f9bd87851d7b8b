//! The one writer: what it is given together is committed together.
//!
//! Blocks for the disk, so it has a thread of its own. If a group fails (a full disk, an I/O error), nothing of it has
//! happened, and its orders are tried one by one: who asked for what can't be done is told so, and
//! nobody else pays for it.

use std::path::PathBuf;

use super::order::{Change, Order, Outcome, Refused};
use super::transaction::Transaction;
use super::{Store, StoreError};

/// The store, to be written: there is one.
pub struct Writer {
    pub(super) store: Store,
    /// There while it is open.
    pub(super) mark: PathBuf,
}

/// What became of a group's orders.
#[derive(Debug, Default)]
pub struct Group {
    /// An answer for each order, in their order.
    pub outcomes: Vec<Result<Outcome, Refused>>,
    /// What has changed, at most one for each mailbox.
    pub changes: Vec<Change>,
}

/// What became of orders that are carried out all or none.
pub type Whole = Result<(Vec<Outcome>, Vec<Change>), Refused>;

impl Writer {
    /// Carries out orders. When it returns, what is answered with an [`Outcome`] is on the disk.
    pub fn carry_out(&mut self, orders: &[Order]) -> Group {
        match self.together(orders) {
            Ok(group) => group,
            Err(error) if orders.len() < 2 => {
                let refused = refused(error);
                Group {
                    outcomes: orders.iter().map(|_| Err(refused.clone())).collect(),
                    changes: Vec::new(),
                }
            }
            Err(error) => {
                tracing::warn!(
                    "{} orders can't be carried out together: {error}",
                    orders.len()
                );
                let mut all = Group::default();
                for order in orders {
                    let one = self.carry_out(std::slice::from_ref(order));
                    all.outcomes.extend(one.outcomes);
                    all.changes.extend(one.changes);
                }
                all
            }
        }
    }

    /// Carries out what `make` asks for in view of the store as it is, all of it or nothing: the first refusal is the
    /// answer.
    ///
    /// # Errors
    /// What `make` says, or why an order is refused.
    pub fn all_or_nothing(
        &mut self,
        make: impl FnOnce(&Store) -> Result<Vec<Order>, Refused>,
    ) -> Whole {
        let orders = make(&self.store)?;
        let done = self.one_group(&orders);
        done.unwrap_or_else(|error| Err(refused(error)))
    }

    /// The inner error: an order was refused. Either way nothing of it has happened.
    fn one_group(&self, orders: &[Order]) -> Result<Whole, StoreError> {
        let mut transaction = Transaction::begin(&self.store.shared)?;
        let mut outcomes = Vec::with_capacity(orders.len());
        for order in orders {
            match transaction.carry_out(order)? {
                Ok(outcome) => outcomes.push(outcome),
                Err(refused) => return Ok(Err(refused)),
            }
        }
        Ok(Ok((outcomes, transaction.commit()?)))
    }

    fn together(&self, orders: &[Order]) -> Result<Group, StoreError> {
        let mut transaction = Transaction::begin(&self.store.shared)?;
        let mut outcomes = Vec::with_capacity(orders.len());
        for order in orders {
            outcomes.push(transaction.carry_out(order)?);
        }
        let changes = transaction.commit()?;
        Ok(Group { outcomes, changes })
    }
}

/// What the disk or the index refuses, as an answer.
fn refused(error: StoreError) -> Refused {
    match error {
        StoreError::Full => Refused::Full,
        error => {
            tracing::error!("{error}");
            Refused::Failed(error.to_string())
        }
    }
}
