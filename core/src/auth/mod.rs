//! Who may log in: the passwd file, then saslauthd.
//!
//! [`Authenticator`] is made once and cloned to each shard. Hashing runs on a pool, never on a
//! shard; saslauthd is spoken to over the shard's own stream. "No" and "can't tell" differ:
//! [`AuthError::Denied`] and [`AuthError::Unavailable`].

mod authenticator;
mod passwd;
mod saslauthd;
mod scheme;

pub use self::authenticator::{AuthError, Authenticator};
pub use self::passwd::{Passwd, PasswdError};
pub use self::scheme::hash_argon2id;
use crate::limits;

/// Whether this can be a user's name: it becomes part of mailbox names and ACLs, of SASL messages
/// and of log lines.
pub fn check_user_name(name: &[u8]) -> Result<(), &'static str> {
    if name.is_empty() {
        return Err("it is empty");
    }
    if name.len() > limits::USER_BYTES_MAX {
        return Err("it is longer than 200 bytes");
    }
    // A leading '-' makes an ACL entry negative, ':' ends a name in the passwd file, the others
    // have a meaning in mailbox names, locations and LIST patterns.
    if name[0] == b'-' {
        return Err("it begins with '-'");
    }
    if name
        .iter()
        .any(|b| !b.is_ascii_graphic() || b"/!%*:\"\\".contains(b))
    {
        return Err("it has a space, a control, an 8-bit or one of / ! % * : \" \\ in it");
    }
    Ok(())
}
