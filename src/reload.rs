//! SIGHUP and `ravenry ctl reload`: certificates, users and groups are read again.
//!
//! Each is taken or left by itself: a file that can't be used leaves what was there, and says so.
//! What is open stays as it is: sessions keep their TLS and their rights. It is done on the main
//! thread, where it keeps nobody waiting.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc;

use ravenry_core::auth::Users;
use ravenry_core::config::Config;
use ravenry_core::current::Writer;
use ravenry_core::mailboxes::Groups;
use ravenry_core::rt::channel::OneSender;
use ravenry_core::tls::Certificates;

/// A question of `ravenry ctl reload`, which waits for the outcome.
pub(crate) type Asked = mpsc::Receiver<OneSender<String>>;

/// What can be read again.
pub(crate) struct Reloaded {
    pub(crate) certificates: Option<Certificates>,
    pub(crate) users: Users,
    pub(crate) groups: Writer<Arc<Groups>>,
    groups_file: Option<PathBuf>,
}

impl Reloaded {
    /// Reads all of it for the first time: every mistake is an error.
    pub(crate) fn open(config: &Config) -> Result<Self, String> {
        let certificates = Certificates::open(&config.tls.certificates);
        let groups_file = config.auth.groups_file.clone();
        Ok(Self {
            certificates: certificates.map_err(|error| error.to_string())?,
            users: Users::open(&config.auth).map_err(|error| error.to_string())?,
            groups: Writer::new(groups(groups_file.as_ref())?),
            groups_file,
        })
    }

    /// Reads what there is again, logs the outcome, and gives it: a line for each part, those that
    /// failed with `error: ` before them.
    pub(crate) fn again(&mut self) -> String {
        let mut outcome = Outcome::default();
        if let Some(certificates) = &mut self.certificates {
            let done = certificates.reload().map_err(|error| error.to_string());
            outcome.add("certificates", done.map(|()| String::new()));
        }
        match self.users.reload() {
            Ok(None) => {}
            Ok(Some(count)) => outcome.add("users", Ok(format!(" ({count})"))),
            Err(error) => outcome.add("users", Err(error.to_string())),
        }
        if self.groups_file.is_some() {
            let read = groups(self.groups_file.as_ref());
            let done = read.map(|groups| self.groups.replace(groups));
            outcome.add("groups", done.map(|()| String::new()));
        }
        outcome.end()
    }
}

fn groups(file: Option<&PathBuf>) -> Result<Arc<Groups>, String> {
    let Some(file) = file else {
        return Ok(Arc::default());
    };
    let groups = Groups::load(file).map_err(|error| format!("{}: {error}", file.display()));
    groups.map(Arc::new)
}

#[derive(Default)]
struct Outcome(String);

impl Outcome {
    fn add(&mut self, what: &str, done: Result<String, String>) {
        match done {
            Ok(more) => {
                tracing::info!("the {what} have been read again{more}");
                self.0 += &format!("{what}: read again{more}\n");
            }
            Err(why) => {
                tracing::error!("the old {what} stay: {why}");
                let why = why.replace('\n', "\n  ");
                self.0 += &format!("error: the old {what} stay: {why}\n");
            }
        }
    }

    fn end(mut self) -> String {
        if self.0.is_empty() {
            tracing::warn!(
                "there is nothing to read again: no certificates, no passwd or groups file"
            );
            self.0 += "there is nothing to read again\n";
        }
        self.0
    }
}
