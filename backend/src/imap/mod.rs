//! IMAP (RFC 3501) over the store: a file for each command or family of commands.
//!
//! `session` waits, frames and answers; `dispatch` is the table of what there is, from which CAPABILITY is made; a
//! handler gives the text of its tagged reply, so that each command has one. `view` is a session's own numbering of the
//! mailbox it has selected, and `news` brings it up to date where the RFC allows that.

mod acl;
mod append;
mod basic;
mod catenate;
mod compress;
mod condstore;
mod copy;
mod create;
mod delete;
mod dispatch;
mod expunge;
mod failure;
mod fetch;
mod flags;
mod freespace;
mod idle;
mod input;
mod list;
mod login;
mod metadata;
mod namespace;
mod naming;
mod news;
mod numbering;
mod numbers;
mod quota;
mod receive;
mod rename;
mod replace;
mod search;
mod select;
mod session;
mod sort;
mod starttls;
mod status;
mod store;
mod subscribe;
mod thread;
mod unauthenticate;
mod utf8;

pub(crate) use login::own_acl;
pub(crate) use numbering::Numberings;
pub(crate) use session::serve;
