//! From a mailbox's name to its server: the concept's steps.
//!
//! The name is looked up in the list. Where it isn't there, or only reserved, the session waits
//! for the barrier, so that the list is no older than the question, and looks again. If it still
//! isn't there, it doesn't exist. "Not there" and "can't tell" are different answers: where the
//! barrier fails the client is told UNAVAILABLE, never that the mailbox doesn't exist.

use std::rc::Rc;

use ravenry_core::mailboxes::{Entry, Identity, ListError, Name, State};

use super::session::{Remembered, Session};
use crate::failure::Failure;

/// Mailboxes made and not yet announced that a session remembers.
const REMEMBERED_MAX: usize = 256;

/// Where a name is.
pub(crate) enum Place {
    At(Rc<str>),
    Reserved,
    Nowhere,
}

impl Session {
    /// Who is logged in.
    pub(crate) fn logged_in(&self) -> Result<&Identity, Failure> {
        self.user
            .as_deref()
            .ok_or(Failure::State("Please login first"))
    }

    /// A name as the client gave it, in its internal form.
    pub(crate) fn internal(&self, given: &[u8]) -> Result<Name, Failure> {
        let name = self.fe.parts.namespace.internal(given, self.logged_in()?);
        name.map_err(|error| Failure::coded("CANNOT", format!("Invalid mailbox name: {error}")))
    }

    /// A name as the client sees it.
    pub(crate) fn external(&self, name: &Name) -> Vec<u8> {
        let user = self.user.as_deref();
        user.and_then(|user| self.fe.parts.namespace.external(name, user))
            .unwrap_or_default()
    }

    /// The list's entry for a name.
    pub(crate) fn entry(&self, name: &Name) -> Result<Option<Entry>, Failure> {
        self.fe
            .parts
            .list
            .lookup(name)
            .map_err(|error| self.unreadable(&error))
    }

    /// "Can't tell": the list itself fails.
    pub(crate) fn unreadable(&self, error: &ListError) -> Failure {
        tracing::error!(session = %self.id, "{error}");
        Failure::unavailable("The mailbox list can't be read")
    }

    /// Where a name is by the list as it stands.
    pub(crate) fn place_now(&self, name: &Name) -> Result<Place, Failure> {
        let entry = self.entry(name)?;
        if let Some(entry) = entry.as_ref().filter(|entry| entry.state == State::Active) {
            return Ok(Place::At(self.fe.server(&entry.location.server)));
        }
        if let Some(made) = self.remembered.iter().find(|made| made.name == *name) {
            return Ok(Place::At(Rc::clone(&made.server)));
        }
        Ok(if entry.is_some() {
            Place::Reserved
        } else {
            Place::Nowhere
        })
    }

    /// Where a name is, the list brought up to date before the answer is "nowhere".
    pub(crate) async fn place(&mut self, name: &Name) -> Result<Place, Failure> {
        if let Place::At(server) = self.place_now(name)? {
            return Ok(Place::At(server));
        }
        self.barrier().await?;
        self.place_now(name)
    }

    /// The server of a mailbox that has to exist.
    pub(crate) async fn server_of(&mut self, name: &Name) -> Result<Rc<str>, Failure> {
        self.server_or(name, "NONEXISTENT").await
    }

    /// The same for a mailbox that a message is meant for (RFC 3501 section 7.1: TRYCREATE).
    pub(crate) async fn target(&mut self, name: &Name) -> Result<Rc<str>, Failure> {
        self.server_or(name, "TRYCREATE").await
    }

    async fn server_or(&mut self, name: &Name, code: &'static str) -> Result<Rc<str>, Failure> {
        match self.place(name).await? {
            Place::At(server) => Ok(server),
            Place::Reserved => Err(Failure::coded("INUSE", "Mailbox is currently reserved")),
            Place::Nowhere => Err(Failure::coded(code, "Mailbox does not exist")),
        }
    }

    /// The server of the user's INBOX, which also has the subscriptions.
    pub(crate) async fn inbox_server(&mut self) -> Result<(Name, Rc<str>), Failure> {
        let inbox = self.internal(b"INBOX")?;
        match self.place(&inbox).await? {
            Place::At(server) => Ok((inbox, server)),
            Place::Reserved => Err(Failure::coded("INUSE", "INBOX is currently reserved")),
            Place::Nowhere => Err(Failure::coded(
                "NONEXISTENT",
                "There is no INBOX to keep subscriptions in",
            )),
        }
    }

    /// Waits until the list is no older than now.
    pub(crate) async fn barrier(&mut self) -> Result<(), Failure> {
        self.client.flush().await?;
        match self
            .fe
            .parts
            .barrier
            .wait(self.fe.parts.limits.barrier)
            .await
        {
            Ok(_sequence) => {
                // The list has caught up with whatever this session did.
                self.remembered.clear();
                self.fe.metrics.barriers.add(1);
                Ok(())
            }
            Err(error) => {
                self.fe.metrics.barriers_failed.add(1);
                tracing::warn!(session = %self.id, "barrier: {error}");
                Err(Failure::unavailable(
                    "The MUPDATE master can't be asked, try again",
                ))
            }
        }
    }

    /// After a backend's OK to a change of the list: the list brought up to date, or else the
    /// change remembered, so that this session sees what it has done.
    pub(crate) async fn settle(&mut self, gone: Option<&Name>, made: Option<(Name, Rc<str>)>) {
        if self.barrier().await.is_ok() {
            return;
        }
        self.remembered.retain(|known| Some(&known.name) != gone);
        if let Some((name, server)) = made {
            self.remembered.retain(|made| made.name != name);
            if self.remembered.len() == REMEMBERED_MAX {
                self.remembered.remove(0);
            }
            self.remembered.push(Remembered { name, server });
        }
    }
}
