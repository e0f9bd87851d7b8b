//! What mailboxes are called: in the list, and by clients.

use crate::dice;

/// Where a client's mailboxes are: below the user's INBOX at home, or below one that is at the other backend.
pub(crate) const FAR: &str = "far";
pub(crate) const SHARED: [&str; 2] = ["shared0", "shared1"];

/// The internal name of a user's INBOX.
pub(crate) fn inbox(user: u64) -> String {
    format!("user.u{user}")
}

/// The internal name of a mailbox that a client makes.
pub(crate) fn own(user: u64, client: u64, number: u64, far: bool) -> String {
    let far = if far { ".far" } else { "" };
    format!("user.u{user}{far}.c{client}n{number}")
}

/// One that several want to make, each at any of the backends.
pub(crate) fn wanted(user: u64) -> String {
    format!("user.u{user}.wanted{}", dice::below(6))
}

/// How its owner calls it.
pub(crate) fn external(name: &str) -> String {
    match name.strip_prefix("user.u") {
        Some(rest) => match rest.split_once('.') {
            Some((_, below)) => format!("INBOX.{below}"),
            None => "INBOX".to_owned(),
        },
        None => name.to_owned(),
    }
}
