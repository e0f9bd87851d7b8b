//! IMAP at the frontend: a session, and a file for each family of commands.

mod acl;
mod across;
mod append;
mod basic;
mod compress;
mod create;
mod dispatch;
mod enable;
mod esearch;
mod gather;
mod idle;
mod input;
mod list;
mod list_extended;
mod list_facts;
mod login;
mod mailbox;
mod metadata;
mod quota;
mod recover;
mod relay;
mod rename;
mod route;
mod select;
mod selected;
mod session;
mod stale;
mod starttls;
mod subscribe;
mod unauthenticate;
mod upstreams;
mod view;

pub(crate) use enable::Enabled;
pub(crate) use gather::is_kind;
pub(crate) use session::serve;
pub(crate) use view::View;

/// Whether a response is the tagged reply to the command with this tag.
pub(crate) fn is_tagged(response: &[u8], tag: &[u8]) -> bool {
    response
        .strip_prefix(tag)
        .is_some_and(|rest| rest.first() == Some(&b' '))
}

/// Whether a tagged reply says OK.
fn is_ok(reply: &[u8]) -> bool {
    condition(reply).eq_ignore_ascii_case(b"OK")
}

/// Whether a tagged reply says BAD.
fn is_bad(reply: &[u8]) -> bool {
    condition(reply).eq_ignore_ascii_case(b"BAD")
}

fn condition(reply: &[u8]) -> &[u8] {
    let word = reply.split(|byte| *byte == b' ').nth(1);
    word.unwrap_or_default().trim_ascii_end()
}
