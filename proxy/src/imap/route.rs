//! From a mailbox's name to its server: the concept's steps.
//!
//! The name is looked up in the list. Where it isn't there, or only reserved, the session waits
//! for the barrier, so that the list is no older than the question, and looks again. If it still
//! isn't there, it doesn't exist. "Not there" and "can't tell" are different answers: where the
//! barrier fails the client is told UNAVAILABLE, never that the mailbox doesn't exist.

use std::collections::BTreeSet;
use std::rc::Rc;

use ravenry_core::limits::LIST_AGE;
use ravenry_core::mailboxes::{Entry, Identity, ListError, Name, State, utf7_of, utf8_of};
use ravenry_core::rt;

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
        let user = self.logged_in()?;
        let namespace = &self.fe.desk.parts.namespace;
        let name = if self.enabled.has_utf8() {
            utf7_of(given).and_then(|given| namespace.internal(&given, user))
        } else {
            namespace.internal(given, user)
        };
        name.map_err(|error| Failure::coded("CANNOT", format!("Invalid mailbox name: {error}")))
    }

    /// A name as the client sees it.
    pub(crate) fn external(&self, name: &Name) -> Vec<u8> {
        let user = self.user.as_deref();
        let external = user.and_then(|user| self.fe.desk.parts.namespace.external(name, user));
        self.shown(external.unwrap_or_default())
    }

    /// A name of the client's view, in the encoding that the client reads.
    pub(crate) fn shown(&self, external: Vec<u8>) -> Vec<u8> {
        if self.enabled.has_utf8() {
            utf8_of(&external)
        } else {
            external
        }
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
        // A server that had it would take a subscription, and nobody would ever see it.
        self.refresh().await?;
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
            .wait(self.fe.desk.parts.limits.barrier)
            .await
        {
            Ok(_sequence) => {
                // The list has caught up with whatever this session did.
                self.remembered.clear();
                self.fe.desk.metrics.barriers.add(1);
                Ok(())
            }
            Err(error) => {
                self.fe.desk.metrics.barriers_failed.add(1);
                tracing::warn!(session = %self.id, "barrier: {error}");
                Err(Failure::unavailable(
                    "The MUPDATE master can't be asked, try again",
                ))
            }
        }
    }

    /// Before an answer that is made of the list: brings it up to date, if it isn't already and that can
    /// be had soon. Sessions that come together wait together.
    pub(crate) async fn refresh(&mut self) -> Result<(), Failure> {
        let parts = &self.fe.parts;
        if parts.barrier.is_fresh(LIST_AGE) {
            return Ok(());
        }
        self.client.flush().await?;
        if parts
            .barrier
            .refresh(self.fe.desk.parts.limits.list_barrier)
            .await
        {
            self.remembered.clear();
        }
        Ok(())
    }

    /// The backends that have mailboxes below a name, two at most ([`ListReader::servers_below`]).
    ///
    /// [`ListReader::servers_below`]: ravenry_core::mailboxes::ListReader::servers_below
    pub(crate) async fn servers_below(&self, name: &Name) -> Result<BTreeSet<String>, Failure> {
        let (mut found, mut after) = (BTreeSet::new(), None);
        loop {
            let list = &self.fe.parts.list;
            let next = list.servers_below(name, after, &mut found);
            after = next.map_err(|error| self.unreadable(&error))?;
            if after.is_none() {
                return Ok(found);
            }
            rt::yield_now().await;
        }
    }

    /// After a backend's OK to a change of the list: the list is brought up to date, and has to show
    /// what was made. Where it can't be had the change is remembered, so that this session sees what
    /// it has done.
    pub(crate) async fn settle(
        &mut self,
        gone: Option<&Name>,
        made: Option<(Name, Rc<str>)>,
    ) -> Result<(), Failure> {
        if self.barrier().await.is_ok() {
            return match made {
                Some((name, server)) => self.shows(&name, &server),
                None => Ok(()),
            };
        }
        self.remembered.retain(|known| Some(&known.name) != gone);
        if let Some((name, server)) = made {
            self.remembered.retain(|made| made.name != name);
            if self.remembered.len() == REMEMBERED_MAX {
                self.remembered.remove(0);
            }
            self.remembered.push(Remembered { name, server });
        }
        Ok(())
    }

    /// The concept: a name that has been made is unique, and there.
    fn shows(&self, name: &Name, server: &Rc<str>) -> Result<(), Failure> {
        let now = match self.place_now(name)? {
            Place::At(now) if now == *server => return Ok(()),
            Place::At(now) => format!("at {now}"),
            Place::Reserved => "reserved".to_owned(),
            Place::Nowhere => "nowhere".to_owned(),
        };
        tracing::error!(session = %self.id, %name, %server, %now, "the list doesn't have a mailbox where it was made");
        Err(Failure::unavailable(format!(
            "Server {server} said OK, but the mailbox list has the mailbox {now}"
        )))
    }
}
