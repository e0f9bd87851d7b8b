//! Where a recipient's copy goes.
//!
//! Mail to a user goes to the INBOX, which takes it whatever its ACL says. A folder that is named gets it if anyone may
//! post there (`p`, RFC 4314); if not, or if there is none, it goes to the INBOX. A shared mailbox where nobody may post is one
//! that isn't there to a sender, unless anyone may know of it (`l`). No INBOX is made: without a password nobody can tell
//! whether there is such a user.

use ravenry_core::mailboxes::{Acl, Addressed, Identity, Name, Rights, UserId};
use ravenry_core::proto::lmtp::{Path, Reply};

use crate::shard::Backend;
use crate::store::{Mailbox, StoreError};

const UNKNOWN: Reply = Reply::new(550, "5.1.1", "User unknown");
const NO_POST: Reply = Reply::new(550, "5.7.1", "Nobody may post to this mailbox");
const CANT_TELL: Reply = Reply::new(451, "4.3.0", "The mail store can't be read at the moment");

/// The mailbox that an address means.
pub(super) fn mailbox(backend: &Backend, path: &Path) -> Result<Mailbox, Reply> {
    let Path::Address(address) = path else {
        return Err(UNKNOWN);
    };
    let namespace = backend.desk.parts.namespace;
    let found = match namespace.addressed(&address.local, address.domain.as_deref()) {
        Err(_no_name) => return Err(UNKNOWN),
        Ok(Addressed::Shared(name)) => backend.parts.store.mailbox(&name).map(shared),
        Ok(Addressed::User { user, folder }) => {
            let found = of_user(backend, &user, folder.as_ref());
            found.map(|found| found.ok_or(UNKNOWN))
        }
    };
    found.unwrap_or_else(|error| {
        tracing::error!("store: {error}");
        Err(CANT_TELL)
    })
}

/// A shared mailbox, if it is there and anyone may post to it.
fn shared(found: Option<Mailbox>) -> Result<Mailbox, Reply> {
    let mailbox = found.ok_or(UNKNOWN)?;
    let rights = of_anyone(&mailbox.acl);
    if rights.contains(Rights::POST) {
        Ok(mailbox)
    } else if rights.contains(Rights::LOOKUP) {
        Err(NO_POST)
    } else {
        Err(UNKNOWN)
    }
}

fn of_user(
    backend: &Backend,
    user: &UserId,
    folder: Option<&Name>,
) -> Result<Option<Mailbox>, StoreError> {
    if let Some(folder) = folder
        && let Some(found) = backend.parts.store.mailbox(folder)?
        && of_anyone(&found.acl).contains(Rights::POST)
    {
        return Ok(Some(found));
    }
    backend.parts.store.mailbox(&user.inbox())
}

/// What a sender may do, who is nobody we know: `anyone` is meant, and `anonymous`.
fn of_anyone(acl: &Acl) -> Rights {
    let nobody = UserId::parse(b"anonymous").expect("invariant: it could be a user's name");
    let nobody = Identity {
        user: nobody,
        admin: false,
        groups: Vec::new(),
    };
    acl.rights(&nobody)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_may_post_is_anyone_or_anonymous() {
        for (acl, may) in [
            ("", false),
            ("bob\tlrswipkxtecdan\t", false),
            ("group:staff\tp\t", false),
            ("anyone\tp\t", true),
            ("anonymous\tp\t", true),
            ("anyone\tlrs\t", false),
            ("anyone\tp\t-anonymous\tp\t", false),
            ("anyone\tp\t-anyone\tp\t", false),
        ] {
            let rights = of_anyone(&Acl::new(acl.as_bytes()));
            assert_eq!(rights.contains(Rights::POST), may, "{acl:?}");
        }
    }
}
