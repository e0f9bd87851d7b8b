//! What `ravenry ctl mupdate` asks and does, on the mupdate core.

use std::rc::Rc;

use ravenry_core::mailboxes::{After, Held, ListError, Name, Told};

use super::{Authority, Shared};
use crate::master::{Store, dump, same};

/// The operator's end of a server.
#[derive(Clone)]
pub struct Operator(pub(super) Rc<Shared>);

impl Operator {
    /// A name's line of the dump.
    ///
    /// # Errors
    /// In words.
    pub fn find(&self, name: &[u8]) -> Result<String, String> {
        let name = Name::from_mupdate(name).map_err(|why| why.to_string())?;
        let found = self.0.list.lookup(&name).map_err(said)?;
        let entry = found.ok_or_else(|| format!("{name} is not there"))?;
        let mut line = String::new();
        let held = Some(Held {
            state: entry.state,
            server: &entry.location.server,
            partition: &entry.location.partition,
            acl: entry.acl.as_bytes(),
        });
        let name = name.as_bytes();
        dump::write(&Told { name, held }, &mut line);
        Ok(line)
    }

    /// A piece of the dump, of all names or one server's, and where the next begins.
    ///
    /// # Errors
    /// If the list can't be read.
    pub fn dump(
        &self,
        after: &After,
        server: Option<&str>,
    ) -> Result<(String, Option<After>), String> {
        let mut text = String::new();
        let piece = self.0.list.tell_names(after, |told| {
            let wanted = |held: Held<'_>| server.is_none_or(|server| same(server, held.server));
            if told.held.is_some_and(wanted) {
                dump::write(&told, &mut text);
            }
            text.len() < super::peer::OUTPUT_BYTES_MAX
        });
        Ok((text, piece.map_err(said)?.next))
    }

    /// What stands before the dump of all names.
    #[must_use]
    pub fn dump_head() -> &'static str {
        dump::HEAD
    }

    /// What stands behind it: a dump without it was cut short.
    #[must_use]
    pub fn dump_end() -> &'static str {
        dump::END
    }

    /// What the list is, and the server's numbers.
    ///
    /// # Errors
    /// If the list can't be read.
    pub fn stats(&self) -> Result<String, String> {
        let about = self.0.list.about().map_err(said)?;
        let standing = about.standing;
        let mut text = format!(
            "list {:016x}\nepoch {}\nsequence {}\nmaster {}\n",
            about.identity,
            standing.epoch,
            about.sequence,
            if standing.is_master() { "yes" } else { "no" },
        );
        if standing.superseded_by != 0 {
            text += &format!("superseded by epoch {}\n", standing.superseded_by);
        }
        text += &format!("names {}\n", self.0.list.count().map_err(said)?);
        for (server, names) in self.0.list.servers().map_err(said)? {
            text += &format!("names at {server} {names}\n");
        }
        for sample in self.0.counters.samples() {
            text += &format!("{} {}\n", sample.name, sample.value);
        }
        Ok(text)
    }

    /// Lets an account take away what it wants, for an hour.
    ///
    /// # Errors
    /// In words.
    pub async fn allow(&self, account: String) -> Result<String, String> {
        if !self
            .0
            .accounts
            .iter()
            .any(|(known, _)| known.name == account)
        {
            return Err(format!("there is no account {account}"));
        }
        let told = format!("for an hour {account} may take away what it wants\n");
        self.with(move |store| store.allow(&account)).await?;
        Ok(told)
    }

    /// Makes the list what a dump says.
    ///
    /// # Errors
    /// In words.
    pub async fn restore(&self, text: String, force: bool) -> Result<String, String> {
        self.with(move |store| store.restore(&text, force)).await?
    }

    /// Gives a server another name in every location.
    ///
    /// # Errors
    /// In words.
    pub async fn rename_server(&self, old: String, new: String) -> Result<String, String> {
        if new.is_empty()
            || !new
                .bytes()
                .all(|byte| byte.is_ascii_graphic() && byte != b'!')
        {
            return Err(format!("{new:?} is no server's name"));
        }
        self.with(move |store| store.rename_server(&old, &new))
            .await?
    }

    /// Makes this the master, in a new epoch.
    ///
    /// # Errors
    /// In words.
    pub async fn promote(&self) -> Result<String, String> {
        self.0.promote().await
    }

    async fn with<T: Send + 'static>(
        &self,
        task: impl FnOnce(&mut Store) -> T + Send + 'static,
    ) -> Result<T, String> {
        let Authority::Master(master) = self.0.authority() else {
            return Err("this is a replica: its master can do it".to_owned());
        };
        let done = master.with(task).await;
        done.ok_or_else(|| "the master can't do it now; see the log".to_owned())
    }
}

fn said(error: ListError) -> String {
    error.to_string()
}
