//! The master: the one place where a site's names are changed.
//!
//! A command goes from its connection to the committer, which gathers what has come, has the store
//! decide it by the rules and commit it, publishes what was changed and answers. `rules` is pure and
//! knows no store; another kind of store would use it as it is.

mod committer;
pub(crate) mod dump;
mod guard;
mod operate;
mod rules;
mod store;

pub(crate) use committer::{Committer, Master, master};
pub(crate) use rules::{Account, Answer, Ask, same};
pub(crate) use store::Store;
