//! Where a recipient's copy goes.
//!
//! Mail to a user goes to the INBOX, which takes it whatever its ACL says. A folder that is named gets it if anyone may
//! post there (`p`, RFC 4314); if not, or if there is none, it goes to the INBOX. A shared mailbox that isn't there
//! and one where nobody may post are the same to a sender. No INBOX is made: without a password nobody can tell
//! whether there is such a user.

use ravenry_core::mailboxes::{Acl, Addressed, Identity, Name, Rights, UserId};
use ravenry_core::proto::lmtp::{Path, Reply};

use crate::shard::Backend;
use crate::store::{Mailbox, StoreError};

const UNKNOWN: Reply = Reply::new(550, "5.1.1", "User unknown");
const CANT_TELL: Reply = Reply::new(451, "4.3.0", "The mail store can't be read at the moment");

/// The mailbox that an address means.
pub(super) fn mailbox(backend: &Backend, path: &Path) -> Result<Mailbox, Reply> {
    let Path::Address(address) = path else {
        return Err(UNKNOWN);
    };
    let namespace = backend.desk.parts.namespace;
    let found = match namespace.addressed(&address.local, address.domain.as_deref()) {
        Err(_no_name) => Ok(None),
        Ok(Addressed::Shared(name)) => posted(backend, &name),
        Ok(Addressed::User { user, folder }) => of_user(backend, &user, folder.as_ref()),
    };
    match found {
        Ok(Some(mailbox)) => Ok(mailbox),
        Ok(None) => Err(UNKNOWN),
        Err(error) => {
            tracing::error!("store: {error}");
            Err(CANT_TELL)
        }
    }
}

fn of_user(
    backend: &Backend,
    user: &UserId,
    folder: Option<&Name>,
) -> Result<Option<Mailbox>, StoreError> {
    if let Some(folder) = folder
        && let Some(found) = posted(backend, folder)?
    {
        return Ok(Some(found));
    }
    backend.parts.store.mailbox(&user.inbox())
}

/// The mailbox, if it is there and anyone may post to it.
fn posted(backend: &Backend, name: &Name) -> Result<Option<Mailbox>, StoreError> {
    let found = backend.parts.store.mailbox(name)?;
    Ok(found.filter(|mailbox| anyone_may_post(&mailbox.acl)))
}

/// A sender is nobody we know: `anyone` is meant, and `anonymous`.
fn anyone_may_post(acl: &Acl) -> bool {
    let nobody = UserId::parse(b"anonymous").expect("invariant: it could be a user's name");
    let nobody = Identity {
        user: nobody,
        admin: false,
        groups: Vec::new(),
    };
    acl.rights(&nobody).contains(Rights::POST)
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
            assert_eq!(anyone_may_post(&Acl::new(acl.as_bytes())), may, "{acl:?}");
        }
    }
}
