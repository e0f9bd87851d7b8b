//! The question itself: may this user in with this password?

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::{Passwd, PasswdError, saslauthd};
use crate::config;
use crate::current::{Reader, Writer};
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

/// The users of the passwd file, if there is one, and what authenticators take from it. One in a
/// process.
pub struct Users {
    file: Option<PathBuf>,
    saslauthd: Option<PathBuf>,
    current: Writer<Option<Arc<Passwd>>>,
}

impl Users {
    /// Reads the passwd file, if the configuration names one. saslauthd is not asked yet: it may
    /// start later than we do.
    pub fn open(auth: &config::Auth) -> Result<Self, PasswdError> {
        let passwd = auth.passwd_file.as_deref().map(Passwd::load).transpose()?;
        Ok(Self {
            file: auth.passwd_file.clone(),
            saslauthd: auth.saslauthd.clone(),
            current: Writer::new(passwd.map(Arc::new)),
        })
    }

    /// Reads the file again, for the logins that come from now on, and says how many users it has;
    /// `None`: there is no file. After an error the users stay as they were.
    pub fn reload(&mut self) -> Result<Option<usize>, PasswdError> {
        let Some(file) = &self.file else {
            return Ok(None);
        };
        let passwd = Passwd::load(file)?;
        let count = passwd.len();
        self.current.replace(Some(Arc::new(passwd)));
        Ok(Some(count))
    }

    /// What shards ask; hashes are computed on `pool`.
    pub fn authenticator(&self, pool: Pool) -> Authenticator {
        Authenticator {
            passwd: self.current.reader(),
            saslauthd: self.saslauthd.clone(),
            pool,
        }
    }
}

/// Checks user names and passwords, by the users as they are when a login comes. Clones share the
/// users and the pool.
#[derive(Clone)]
pub struct Authenticator {
    passwd: Reader<Option<Arc<Passwd>>>,
    saslauthd: Option<PathBuf>,
    pool: Pool,
}

impl Authenticator {
    /// Whether this user has this password. The passwd file is asked first, saslauthd about users
    /// whom the file doesn't know.
    pub async fn verify(&self, user: &[u8], password: &Secret) -> Result<(), AuthError> {
        if UserId::parse(user).is_err() || !is_password(password) {
            return Err(AuthError::Denied);
        }
        match (&self.passwd.get(), &self.saslauthd) {
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
        let users = Users::open(&auth).unwrap();
        users.authenticator(Pool::new("hash", 1, 4).unwrap())
    }

    #[test]
    fn users_are_read_again() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "alice:{PLAIN}pw\n").unwrap();
        let auth = config::Auth {
            passwd_file: Some(file.path().to_path_buf()),
            ..config::Auth::default()
        };
        let mut users = Users::open(&auth).unwrap();
        let shard = users.authenticator(Pool::new("hash", 1, 4).unwrap());
        std::fs::write(file.path(), "alice:{PLAIN}new\nbob:{PLAIN}pw\n").unwrap();
        assert_eq!(verify(&shard, "bob", b"pw"), Err(AuthError::Denied));
        assert_eq!(users.reload().unwrap(), Some(2));
        assert_eq!(verify(&shard, "bob", b"pw"), Ok(()));
        assert_eq!(verify(&shard, "alice", b"pw"), Err(AuthError::Denied));
        std::fs::write(file.path(), "bob:{PLAIN}other\nalice").unwrap();
        let why = users.reload().unwrap_err().to_string();
        assert!(why.contains("line 2"), "{why}");
        assert_eq!(verify(&shard, "bob", b"pw"), Ok(()), "the old ones stay");
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
