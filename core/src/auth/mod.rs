//! Who may log in: the passwd file, then saslauthd.
//!
//! [`Users`] reads the file, and reads it again; [`Authenticator`] is what each shard asks. Hashing runs on a pool, never on a
//! shard; saslauthd is spoken to over the shard's own stream. "No" and "can't tell" differ:
//! [`AuthError::Denied`] and [`AuthError::Unavailable`].

mod authenticator;
mod passwd;
mod passwd_edit;
mod saslauthd;
mod scheme;

pub use self::authenticator::{AuthError, Authenticator, Users};
pub use self::passwd::{Passwd, PasswdError};
pub use self::passwd_edit::PasswdEdit;
pub use self::scheme::hash_argon2id;
