//! A session's backend connections: opened when first needed, one a server, closed after five
//! idle minutes; and the forwarding of commands to them.

use std::rc::Rc;
use std::time::Duration;

use ravenry_core::mailboxes::Name;
use ravenry_core::proto::imap::encode::Request;
use ravenry_core::proto::imap::{Command, Literals};
use ravenry_core::rt::{self, Instant};

use super::client::Client;
use super::relay::{self, Relayed};
use super::session::Session;
use crate::failure::Failure;
use crate::referral;
use crate::upstream::Upstream;

/// The mailbox that is left has no say in how long the next one's SELECT takes.
const UNSELECT_WITHIN: Duration = Duration::from_secs(3);

impl Session {
    /// The connection to the server of the selected mailbox.
    pub(crate) fn selected_index(&self) -> Option<usize> {
        let server = self.selected.as_ref()?;
        self.upstreams.iter().position(|up| up.server == *server)
    }

    /// The connection to `server`; opened where there is none that stands. `mailbox` is the name
    /// that the command is about, for the referral that an admin gets instead.
    pub(crate) async fn upstream(
        &mut self,
        server: &Rc<str>,
        mailbox: &Name,
    ) -> Result<usize, Failure> {
        let user = self.logged_in()?;
        if user.admin {
            return Err(self.refer_admin(server, mailbox));
        }
        let selected = self.selected.as_ref() == Some(server);
        if let Some(index) = self.upstreams.iter().position(|up| up.server == *server) {
            let up = &mut self.upstreams[index];
            if selected || up.stands() {
                up.last_used = rt::now();
                return Ok(index);
            }
            self.upstreams.swap_remove(index);
        }
        let user = self.logged_in()?.user.clone();
        self.client.flush().await?;
        let up = Upstream::open(&self.fe, server, user.as_str().as_bytes())
            .await
            .map_err(Failure::Backend)?;
        if !self.backends.contains(server) {
            self.backends.push(Rc::clone(server));
        }
        self.upstreams.push(up);
        Ok(self.upstreams.len() - 1)
    }

    /// The proxy account never acts for an admin (`admin_actions = "refer"`): a referral
    /// (RFC 2193) names the backend to go to.
    fn refer_admin(&self, server: &str, mailbox: &Name) -> Failure {
        let admin = self.user.as_ref().map_or("", |user| user.user.as_str());
        let url = referral::url(admin, server, &self.external(mailbox));
        Failure::coded(
            format!("REFERRAL {url}"),
            format!("Admin actions go directly to the backend: {server}"),
        )
    }

    /// Sends a command to a connection and passes the responses on; gives the tagged reply, which
    /// the client has not had yet.
    pub(crate) async fn forward(
        &mut self,
        index: usize,
        request: &Request,
        tag: &[u8],
    ) -> Result<Vec<u8>, Failure> {
        self.fe.metrics.commands_forwarded.add(1);
        let (client, up) = (&mut self.client, &mut self.upstreams[index]);
        if let Some(early) = send(client, up, request, tag).await? {
            return Ok(early);
        }
        relay::relay_to_end(client, up, tag).await
    }

    /// The same for a command as the client sent it, byte for byte. Only the form of its literals
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
        self.fe.metrics.commands_forwarded.add(1);
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
        let (now, idle) = (rt::now(), self.fe.parts.limits.upstream_idle);
        let selected = self.selected.clone();
        self.upstreams
            .retain(|up| selected.as_ref() == Some(&up.server) || up.last_used + idle > now);
    }

    /// When the next connection will have been idle too long.
    pub(crate) fn next_idle_upstream(&self) -> Option<Instant> {
        let others = self
            .upstreams
            .iter()
            .filter(|up| self.selected.as_ref() != Some(&up.server));
        others
            .map(|up| up.last_used + self.fe.parts.limits.upstream_idle)
            .min()
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
