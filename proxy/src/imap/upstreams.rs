//! A session's backend connections: opened when first needed, one a server, closed after five
//! idle minutes; and the forwarding of commands to them.

use std::rc::Rc;
use std::time::Duration;

use ravenry_core::client::Client;
use ravenry_core::config::AdminActions;
use ravenry_core::faultpoint;
use ravenry_core::mailboxes::Name;
use ravenry_core::proto::imap::encode::Request;
use ravenry_core::proto::imap::{Command, Literals};
use ravenry_core::proto::sasl::Plain;
use ravenry_core::rt::{self, Address, Instant};

use super::relay::{self, Relayed};
use super::route::Place;
use super::session::Session;
use crate::failure::Failure;
use crate::referral;
use crate::upstream::Upstream;

/// The mailbox that is left has no say in how long the next one's SELECT takes.
const UNSELECT_WITHIN: Duration = Duration::from_secs(3);

/// The fault points of a change of the mailbox list.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Steps {
    /// The backend has been sent the command.
    forwarded: &'static str,
    /// Its answer is here, and the client has none yet.
    answered: &'static str,
}

impl Steps {
    pub(crate) const CREATE: Self = Self {
        forwarded: "frontend.create.forwarded",
        answered: "frontend.create.answered",
    };
    pub(crate) const DELETE: Self = Self {
        forwarded: "frontend.delete.forwarded",
        answered: "frontend.delete.answered",
    };
    pub(crate) const RENAME: Self = Self {
        forwarded: "frontend.rename.forwarded",
        answered: "frontend.rename.answered",
    };
    /// SETACL and DELETEACL.
    pub(crate) const SETACL: Self = Self {
        forwarded: "frontend.setacl.forwarded",
        answered: "frontend.setacl.answered",
    };
}

impl Session {
    /// The server of the selected mailbox.
    pub(crate) fn selected_server(&self) -> Option<&Rc<str>> {
        self.selected.as_ref().map(|selected| &selected.server)
    }

    /// The connection to the server of the selected mailbox.
    pub(crate) fn selected_index(&self) -> Option<usize> {
        let server = self.selected_server()?;
        self.upstreams.iter().position(|up| up.server == *server)
    }

    /// The connection to `server`; opened where there is none that stands. `mailbox` is the name
    /// that the command is about, for the referral that an admin gets instead.
    pub(crate) async fn upstream(
        &mut self,
        server: &Rc<str>,
        mailbox: &Name,
    ) -> Result<usize, Failure> {
        let login = self.may_ask(Some(server), mailbox)?;
        let selected = self.selected_server() == Some(server);
        if let Some(index) = self.upstreams.iter().position(|up| up.server == *server) {
            let up = &mut self.upstreams[index];
            if selected || up.stands() {
                up.last_used = rt::now();
                self.enable_at(index).await?;
                return Ok(index);
            }
            self.upstreams.swap_remove(index);
        }
        self.client.flush().await?;
        let client = self.told_of_client();
        let up = Upstream::open(&self.fe, server, &login, client.as_deref())
            .await
            .map_err(Failure::Backend)?;
        if !self.backends.contains(server) {
            self.backends.push(Rc::clone(server));
        }
        self.upstreams.push(up);
        let index = self.upstreams.len() - 1;
        self.enable_at(index).await?;
        Ok(index)
    }

    /// As whom a backend is asked. The proxy account never acts for an admin, unless it is
    /// configured to: the admin's own password does, or the admin goes there instead.
    pub(crate) fn may_ask(
        &self,
        server: Option<&Rc<str>>,
        mailbox: &Name,
    ) -> Result<Plain, Failure> {
        let user = self.logged_in()?;
        let proxied = self.fe.proxied(user.user.as_str().as_bytes());
        let Some(server) = server.filter(|_| user.admin) else {
            return Ok(proxied);
        };
        match (self.fe.parts.proxy.admin_actions, &self.own_login) {
            (AdminActions::Proxy, _) => Ok(proxied),
            (AdminActions::Own, Some(own)) => Ok((**own).clone()),
            (AdminActions::Own | AdminActions::Refer, _) => Err(self.refer_admin(server, mailbox)),
        }
    }

    /// What backends are told of the client, for their logs: arguments of ID.
    pub(crate) fn told_of_client(&self) -> Option<String> {
        let Address::Tcp(peer) = &self.client.peer else {
            return None;
        };
        let (ip, port, id) = (peer.ip(), peer.port(), &self.id);
        self.fe.parts.proxy.upstream.forward_client.then(|| {
            format!(
                "(\"name\" \"Ravenry\" \"x-originating-ip\" \"{ip}\" \
                 \"x-originating-port\" \"{port}\" \"x-session-id\" \"{id}\")"
            )
        })
    }

    /// NO that names the backend, by a referral (RFC 2193) where there are any.
    fn refer_admin(&self, server: &str, mailbox: &Name) -> Failure {
        let code = if self.fe.parts.proxy.referrals {
            self.referral(server, mailbox)
        } else {
            "NOPERM".to_owned()
        };
        let text = format!("Admin actions go directly to the backend: {server}");
        Failure::coded(code, text)
    }

    /// The code that refers the client to a mailbox at its backend.
    fn referral(&self, server: &str, mailbox: &Name) -> String {
        let user = self.user.as_ref().map_or("", |user| user.user.as_str());
        let url = referral::url(user, server, &self.external(mailbox));
        format!("REFERRAL {url}")
    }

    /// Where the user's inbox is, as a login referral (RFC 2221 section 4.1): the user may go there, or stay.
    pub(crate) fn login_referral(&self) -> Option<String> {
        let inbox = self.internal(b"INBOX").ok()?;
        let user = self.user.as_ref()?.user.as_str();
        match self.place_now(&inbox) {
            Ok(Place::At(server)) => {
                Some(format!("REFERRAL {}", referral::server_url(user, &server)))
            }
            _ => None,
        }
    }

    /// Refers a client that has shown that it knows referrals. For commands that the client may as
    /// well give to the backend; it doesn't stay there, so what changes the list goes through here.
    /// Where a mailbox is isn't told to who may not know that it is there: its server answers them.
    pub(crate) fn refer(&self, server: &str, mailbox: &Name) -> Result<(), Failure> {
        if !self.knows_referrals || !self.fe.parts.proxy.referrals {
            return Ok(());
        }
        let identity = self.logged_in()?;
        let entry = self.entry(mailbox)?;
        if entry.is_some_and(|entry| !entry.acl.rights_on(mailbox, identity).may_know()) {
            return Ok(());
        }
        let code = self.referral(server, mailbox);
        Err(Failure::coded(code, "Remote mailbox"))
    }

    /// Sends a command to a connection and passes the responses on; gives the tagged reply, which
    /// the client has not had yet.
    pub(crate) async fn forward(
        &mut self,
        index: usize,
        request: &Request,
        tag: &[u8],
    ) -> Result<Vec<u8>, Failure> {
        self.fe.desk.metrics.commands_forwarded.add(1);
        let (client, up) = (&mut self.client, &mut self.upstreams[index]);
        if let Some(early) = send(client, up, request, tag).await? {
            return Ok(early);
        }
        relay::relay_to_end(client, up, tag).await
    }

    /// The same for a change of the mailbox list, past the points at which a test has the frontend die.
    pub(crate) async fn forward_change(
        &mut self,
        index: usize,
        request: &Request,
        tag: &[u8],
        steps: Steps,
    ) -> Result<Vec<u8>, Failure> {
        self.fe.desk.metrics.commands_forwarded.add(1);
        let (client, up) = (&mut self.client, &mut self.upstreams[index]);
        let reply = match send(client, up, request, tag).await? {
            Some(early) => early,
            None => {
                faultpoint::reached(steps.forwarded);
                relay::relay_to_end(client, up, tag).await?
            }
        };
        faultpoint::reached(steps.answered);
        Ok(reply)
    }

    /// [`Session::forward`] for a command as the client sent it, byte for byte. Only the form of its literals
    /// is ours: the server is asked for each, since what we take for a literal it may take for the
    /// end of a malformed command, and what follows for the next one.
    pub(crate) async fn forward_untouched(
        &mut self,
        index: usize,
        command: &Command<'_>,
    ) -> Result<Vec<u8>, Failure> {
        let raw = command.raw;
        if memchr::memchr(b'\n', raw) != Some(raw.len() - 1) {
            let mut request = Request::new(Literals::Sync);
            request
                .verbatim(raw.strip_suffix(b"\r\n").unwrap_or(raw))
                .end();
            return self.forward(index, &request, command.tag).await;
        }
        self.fe.desk.metrics.commands_forwarded.add(1);
        let (client, up) = (&mut self.client, &mut self.upstreams[index]);
        up.write(raw).await.map_err(Failure::Backend)?;
        relay::relay_to_end(client, up, command.tag).await
    }

    /// Lets go of the selected mailbox, so that another one can be selected.
    pub(crate) async fn unselect(&mut self) {
        let selected = self.selected_index();
        self.selected = None;
        let Some(index) = selected else { return };
        let up = &mut self.upstreams[index];
        // CLOSE would expunge. Where there is no UNSELECT, and on any fault, the connection goes.
        if up.capabilities.has("UNSELECT") {
            match rt::timeout(UNSELECT_WITHIN, up.own_command(b"UNSELECT")).await {
                Ok(Ok(_reply)) => {
                    up.view = None;
                    up.last_used = rt::now();
                    return;
                }
                Ok(Err(fault)) => tracing::warn!(session = %self.id, "backend {fault}"),
                Err(_elapsed) => {
                    let fault = up.fault("no answer to UNSELECT");
                    tracing::warn!(session = %self.id, "backend {fault}");
                }
            }
        }
        self.upstreams.swap_remove(index);
    }

    /// Closes connections that have been idle too long.
    pub(crate) fn drop_idle_upstreams(&mut self) {
        let (now, idle) = (rt::now(), self.fe.desk.parts.limits.upstream_idle);
        let selected = self.selected_server().cloned();
        self.upstreams
            .retain(|up| selected.as_ref() == Some(&up.server) || up.last_used + idle > now);
    }

    /// When the next connection will have been idle too long.
    pub(crate) fn next_idle_upstream(&self) -> Option<Instant> {
        let others = self
            .upstreams
            .iter()
            .filter(|up| self.selected_server() != Some(&up.server));
        others
            .map(|up| up.last_used + self.fe.desk.parts.limits.upstream_idle)
            .min()
    }
}

/// How literals are sent beside what the client wrote itself, which may end otherwise than we
/// think: then the server is asked first.
pub(crate) fn literals_beside(up: &Upstream, written: &[u8]) -> Literals {
    match memchr::memchr(b'\n', written) {
        None => up.literals,
        Some(_) => Literals::Sync,
    }
}

/// Sends a command. A server that has to be asked for each literal is; if it refuses, its tagged
/// reply is given.
pub(crate) async fn send(
    client: &mut Client,
    up: &mut Upstream,
    request: &Request,
    tag: &[u8],
) -> Result<Option<Vec<u8>>, Failure> {
    for (number, chunk) in request.chunks().enumerate() {
        if number > 0
            && let Relayed::Tagged(refusal) = relay::relay(client, up, tag).await?
        {
            return Ok(Some(refusal));
        }
        up.write(chunk).await.map_err(Failure::Backend)?;
    }
    Ok(None)
}
