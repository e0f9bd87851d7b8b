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
