//! IMAP at the frontend: a session, and a file for each family of commands.

mod acl;
mod append;
mod basic;
mod client;
mod dispatch;
mod idle;
mod list;
mod login;
mod mailbox;
mod relay;
mod route;
mod select;
mod selected;
mod session;
mod starttls;
mod subscribe;
mod upstreams;

pub(crate) use session::serve;

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
