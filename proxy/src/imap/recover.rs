//! A session outlives the connection of its selected mailbox where nothing was under way: the
//! mailbox is selected again, and the session goes on if the client's [`View`] of it holds; its flags
//! are sent anew. Otherwise the client is told good-bye, with the reason.
//!
//! Invariant: a session that goes on after this has a client which knows the mailbox's messages by
//! the numbers that its backend gives them.

use std::time::Duration;

use ravenry_core::log::printable;
use ravenry_core::proto::imap::encode::Request;
use ravenry_core::proto::imap::{StatusKind, Verb, status};
use ravenry_core::rt::{self, Either};

use super::is_ok;
use super::relay::{self, Relayed};
use super::route::Place;
use super::session::Session;
use super::view::View;
use crate::failure::{BackendFault, End, Failure};
use crate::upstream::OWN_TAG;

/// The first wait before a lost connection is made anew; each further one is twice as long.
const FIRST_WAIT: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_secs(2);
/// In a mailbox with more messages than this flags aren't sent anew: the client had better
/// begin again.
const FLAGS_MAX: u64 = 20_000;

impl Session {
    /// After the loss of the selected mailbox's connection, between two responses and with no
    /// command under way but IDLE or NOOP.
    pub(crate) async fn recover(&mut self, lost: BackendFault) -> Result<(), Failure> {
        let view = self
            .selected_index()
            .and_then(|index| self.upstreams[index].view.clone());
        let within = self.fe.desk.parts.limits.reselect;
        let Some(view) = view.filter(View::can_prove) else {
            return Err(Failure::Backend(lost));
        };
        if within.is_zero() || self.saved_search {
            return Err(Failure::Backend(lost));
        }
        tracing::info!(session = %self.id, "selecting again: backend {lost}");
        self.upstreams.retain(|up| *up.server != *lost.server);
        let outcome = self.recovered(&view, &lost.server).await;
        let counter = match &outcome {
            Ok(()) => &self.fe.desk.metrics.sessions_reselected,
            Err(_) => &self.fe.desk.metrics.sessions_not_reselected,
        };
        counter.add(1);
        outcome
    }

    /// The deadline is for the proof. What the client is told then takes as long as the client takes.
    async fn recovered(&mut self, view: &View, server: &str) -> Result<(), Failure> {
        let until = rt::now() + self.fe.desk.parts.limits.reselect;
        loop {
            let attempts = async {
                match rt::select(rt::draining(), self.attempts(view)).await {
                    Either::Left(()) => Err(Failure::Ended(End::Draining)),
                    Either::Right(done) => done,
                }
            };
            let proven = Box::pin(rt::timeout_at(until, attempts)).await;
            let again = proven.unwrap_or_else(|_elapsed| {
                Err(Failure::Lost(format!(
                    "Lost the connection to the selected mailbox's server {server}"
                )))
            })?;
            match self.go_on(view, again).await {
                Err(Failure::Backend(fault)) if rt::now() < until => {
                    tracing::debug!(session = %self.id, "backend {fault}");
                    self.upstreams.retain(|up| *up.server != *fault.server);
                }
                done => return done,
            }
        }
    }

    /// Tries until the backend can be asked; what it then says counts.
    async fn attempts(&mut self, view: &View) -> Result<Again, Failure> {
        let mut wait = FIRST_WAIT;
        loop {
            // Sessions that were lost together don't come back together.
            let pause = rt::random::jitter(wait);
            if let Either::Right(()) =
                rt::select(rt::sleep(pause), self.client.stream.hung_up()).await
            {
                return Err(Failure::Client(std::io::ErrorKind::ConnectionReset.into()));
            }
            match self.select_again(view).await {
                Err(Failure::Backend(fault)) => {
                    tracing::debug!(session = %self.id, "backend {fault}");
                    self.upstreams.retain(|up| *up.server != *fault.server);
                }
                // What else there is to say isn't about a command of the client's.
                Err(Failure::No(_, text) | Failure::Bad(text)) => return Err(changed(&text)),
                done => return done,
            }
            wait = (wait * 2).min(LONGEST_WAIT);
        }
    }

    async fn select_again(&mut self, view: &View) -> Result<Again, Failure> {
        let selected = self.selected.as_ref();
        let selected = selected.expect("invariant: a mailbox is selected that was lost");
        let (name, verb) = (selected.name.clone(), selected.verb);
        // As the client reads names by now.
        let given = self.external(&name);
        let Place::At(server) = self.place_now(&name)? else {
            return Err(changed("it isn't in the mailbox list any more"));
        };
        if let Some(selected) = &mut self.selected {
            selected.server = std::rc::Rc::clone(&server);
        }
        let index = self.upstream(&server, &name).await?;
        let up = &mut self.upstreams[index];
        up.view = Some(View::default());
        let mut request = Request::new(up.literals);
        request.raw(verb.name()).raw(" ").astring(&given)?.end();
        let (told, reply) = up.ask(&request).await.map_err(Failure::Backend)?;
        if !is_ok(&reply) {
            return Err(changed(&format!("its server says {}", printable(&reply))));
        }
        let now = up.view.get_or_insert_default();
        now.opened();
        if !view.holds(now) {
            return Err(changed("it has changed meanwhile"));
        }
        Ok(Again {
            index,
            flags_hold: view.flags_hold(now),
            told,
            reply,
        })
    }

    /// Tells the client what may have changed, and goes on.
    async fn go_on(&mut self, view: &View, again: Again) -> Result<(), Failure> {
        let anew = again.told.iter().filter(|line| is_about_flags(line));
        anew.for_each(|line| self.client.push(line));
        let selected = self.selected.as_ref();
        let read_only = has_code(&again.reply, "READ-ONLY");
        if read_only && selected.is_some_and(|selected| selected.verb == Verb::Select) {
            self.client.push_line("* OK [READ-ONLY] Selected again");
        }
        if !again.flags_hold {
            self.send_flags(again.index, view.exists()).await?;
        }
        self.idle_again(again.index).await
    }

    /// Tells the client every message's flags.
    async fn send_flags(&mut self, index: usize, exists: u64) -> Result<(), Failure> {
        if exists > FLAGS_MAX {
            return Err(changed(
                "its flags may have changed, and there are too many to tell",
            ));
        }
        if exists == 0 {
            return Ok(());
        }
        let (client, up) = (&mut self.client, &mut self.upstreams[index]);
        let command = [OWN_TAG, b" UID FETCH 1:* (FLAGS)\r\n"].concat();
        up.write(&command).await.map_err(Failure::Backend)?;
        match relay::relay(client, up, OWN_TAG).await? {
            Relayed::Tagged(reply) if is_ok(&reply) => Ok(()),
            Relayed::Tagged(line) | Relayed::Continuation(line) => {
                Err(Failure::Backend(up.fault(printable(&line))))
            }
        }
    }

    /// Goes on with the client's IDLE, if there is one.
    async fn idle_again(&mut self, index: usize) -> Result<(), Failure> {
        let Some(tag) = &self.idling else {
            return Ok(());
        };
        let (client, up) = (&mut self.client, &mut self.upstreams[index]);
        let command = [&tag[..], b" IDLE\r\n"].concat();
        up.write(&command).await.map_err(Failure::Backend)?;
        match relay::relay(client, up, tag).await? {
            Relayed::Continuation(_) => Ok(()),
            Relayed::Tagged(line) => Err(Failure::Backend(up.fault(printable(&line)))),
        }
    }
}

/// The client's view doesn't hold.
fn changed(why: &str) -> Failure {
    Failure::Lost(format!(
        "The connection to the mailbox's server was lost, and {why}"
    ))
}

/// The mailbox selected anew, and the client's view of it proven.
struct Again {
    index: usize,
    /// No flag can have changed.
    flags_hold: bool,
    told: Vec<Vec<u8>>,
    reply: Vec<u8>,
}

/// What the client has to be told anew of a mailbox: FLAGS, PERMANENTFLAGS.
fn is_about_flags(response: &[u8]) -> bool {
    let begins = response.get(..b"* FLAGS ".len());
    begins.is_some_and(|begins| begins.eq_ignore_ascii_case(b"* FLAGS "))
        || (response.starts_with(b"*") && has_code(response, "PERMANENTFLAGS"))
}

/// Whether an OK has this code.
fn has_code(response: &[u8], name: &str) -> bool {
    let code = status(response.trim_ascii_end()).filter(|status| status.kind == StatusKind::Ok);
    let word = code
        .and_then(|status| status.code)
        .and_then(|code| code.split(|byte| *byte == b' ').next());
    word.is_some_and(|word| word.eq_ignore_ascii_case(name.as_bytes()))
}
