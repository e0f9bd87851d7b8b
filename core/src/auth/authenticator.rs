//! The question itself: may this user in with this password?

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::{Passwd, PasswdError, saslauthd};
use crate::config;
use crate::limits;
use crate::mailboxes::UserId;
use crate::proto::sasl::Secret;
use crate::rt::{Pool, PoolError};

const ASK_WITHIN: Duration = limits::SASLAUTHD_ANSWER_WITHIN;

/// Why a login failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AuthError {
    /// The user isn't known, or the password is wrong: which of them is nobody's business.
    Denied,
    /// It can't be told; the text is for the log, not for the client.
    Unavailable(String),
}

/// Checks user names and passwords. Clones share the users and the pool.
#[derive(Clone)]
pub struct Authenticator {
    passwd: Option<Arc<Passwd>>,
    saslauthd: Option<PathBuf>,
    pool: Pool,
}

impl Authenticator {
    /// Reads the passwd file, if the configuration names one. saslauthd is not asked yet: it may
    /// start later than we do.
    pub fn open(auth: &config::Auth, pool: Pool) -> Result<Self, PasswdError> {
        let passwd = auth
            .passwd_file
            .as_deref()
            .map(Passwd::load)
            .transpose()?
            .map(Arc::new);
        Ok(Self {
            passwd,
            saslauthd: auth.saslauthd.clone(),
            pool,
        })
    }

    /// Whether this user has this password. The passwd file is asked first, saslauthd about users
    /// whom the file doesn't know.
    pub async fn verify(&self, user: &[u8], password: &Secret) -> Result<(), AuthError> {
        if UserId::parse(user).is_err() || !is_password(password) {
            return Err(AuthError::Denied);
        }
        match (&self.passwd, &self.saslauthd) {
            (Some(passwd), Some(socket)) if !passwd.knows(user) => {
                saslauthd::verify(socket, user, password, ASK_WITHIN).await
            }
            (Some(passwd), _) => self.verify_passwd(passwd, user, password).await,
            (None, Some(socket)) => saslauthd::verify(socket, user, password, ASK_WITHIN).await,
            (None, None) => Err(AuthError::Denied),
        }
    }

    async fn verify_passwd(
        &self,
        passwd: &Arc<Passwd>,
        user: &[u8],
        password: &Secret,
    ) -> Result<(), AuthError> {
        let right = if passwd.is_cheap(user) {
            passwd.verify(user, password)
        } else {
            let (passwd, user, password) = (Arc::clone(passwd), user.to_vec(), password.clone());
            let hashed = self.pool.run(move || passwd.verify(&user, &password)).await;
            hashed.map_err(|error| match error {
                PoolError::Full => AuthError::Unavailable("too many logins wait".to_owned()),
                PoolError::Panicked => AuthError::Unavailable("the hashing panicked".to_owned()),
            })?
        };
        if right {
            Ok(())
        } else {
            Err(AuthError::Denied)
        }
    }
}

/// Refused without a question: an empty password makes an LDAP bind behind saslauthd anonymous,
/// and so a success; a NUL ends a string there, and what follows it would not count.
fn is_password(password: &Secret) -> bool {
    let bytes = password.expose();
    (1..=limits::PASSWORD_BYTES_MAX).contains(&bytes.len()) && !bytes.contains(&0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rt::{ShardConfig, block_on};

    const SHA512: &str = "{SHA512-CRYPT}$6$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl/O817G3uBnIFNjnQJuesI68u4OTLiBFdcbYEdFCoEOfaS35inz1";

    fn authenticator(users: &str, saslauthd: Option<&str>) -> Authenticator {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), users).unwrap();
        let auth = config::Auth {
            passwd_file: Some(file.path().to_path_buf()),
            saslauthd: saslauthd.map(PathBuf::from),
            groups_file: None,
        };
        Authenticator::open(&auth, Pool::new("hash", 1, 4).unwrap()).unwrap()
    }

    fn verify(auth: &Authenticator, user: &str, password: &[u8]) -> Result<(), AuthError> {
        let password = Secret::new(password.to_vec());
        block_on(
            ShardConfig::default(),
            auth.verify(user.as_bytes(), &password),
        )
        .unwrap()
    }

    #[test]
    fn users_of_the_file() {
        let auth = authenticator(&format!("alice:{{PLAIN}}pw\nbob:{SHA512}\n"), None);
        assert_eq!(verify(&auth, "alice", b"pw"), Ok(()));
        assert_eq!(verify(&auth, "bob", b"Hello world!"), Ok(()));
        for (user, password) in [
            ("alice", b"Hello world!".as_slice()),
            ("bob", b"pw"),
            ("bob", b"Hello world!\0"),
            ("carol", b"pw"),
            ("carol", b"Hello world!"),
            ("alice", b""),
            ("", b"pw"),
            ("ali ce", b"pw"),
            ("alice", &[b'x'; 2000]),
        ] {
            assert_eq!(
                verify(&auth, user, password),
                Err(AuthError::Denied),
                "{user}"
            );
        }
    }

    #[test]
    fn saslauthd_is_asked_about_the_others_alone() {
        let auth = authenticator("alice:{PLAIN}pw\n", Some("/nowhere/mux"));
        assert_eq!(verify(&auth, "alice", b"pw"), Ok(()));
        assert_eq!(verify(&auth, "alice", b"wrong"), Err(AuthError::Denied));
        assert!(matches!(
            verify(&auth, "carol", b"pw"),
            Err(AuthError::Unavailable(_))
        ));
        assert_eq!(
            verify(&auth, "carol", b""),
            Err(AuthError::Denied),
            "not even asked"
        );
    }
}
