//! Flags as FETCH shows them, and which of them rights allow to be changed.

use ravenry_core::mailboxes::Rights;
use ravenry_core::proto::imap::FlagList;

use super::select::Selected;
use crate::store::{Flags, Message, SYSTEM_FLAGS, Settable};

/// A message's flags, in parentheses.
pub(super) fn list(selected: &Selected, message: &Message) -> String {
    let mut list = String::from("(");
    let mut add = |flag: &str| {
        if list.len() > 1 {
            list.push(' ');
        }
        list.push_str(flag);
    };
    if selected.recent.has(message.uid) {
        add("\\Recent");
    }
    for (at, name) in SYSTEM_FLAGS.iter().enumerate() {
        if message.flags.has(1 << at) {
            add(name);
        }
    }
    if message.flags.keywords != 0 {
        for (at, keyword) in selected.mailbox.keywords.iter().enumerate() {
            if message.flags.keywords & (1 << at) != 0 {
                add(keyword);
            }
        }
    }
    list.push(')');
    list
}

/// Those of these flags that rights allow to be set (RFC 4314 section 4).
pub(super) fn permitted(mut flags: FlagList, rights: Rights) -> FlagList {
    flags.system &= may_change(rights);
    if !rights.contains(Rights::WRITE) {
        flags.keywords.clear();
    }
    flags
}

/// The flags that rights allow a message that comes to have.
pub(super) fn settable(rights: Rights) -> Settable {
    Settable {
        system: may_change(rights),
        keywords: rights.contains(Rights::WRITE),
    }
}

/// The system flags that rights allow to be changed.
pub(super) fn may_change(rights: Rights) -> u8 {
    let all = (0..SYSTEM_FLAGS.len()).map(|at| 1 << at);
    all.filter(|bit| rights.contains(needs(*bit)))
        .fold(0, |sum, bit| sum | bit)
}

/// The right that changes a system flag.
pub(super) fn needs(bit: u8) -> Rights {
    match bit {
        Flags::SEEN => Rights::SEEN,
        Flags::DELETED => Rights::DELETE_MESSAGES,
        _ => Rights::WRITE,
    }
}
