//! What each response means in each phase of the conversation.

use ravenry_core::proto::mupdate::{self, Command, Completion, Place, Response};
use ravenry_core::rt::Instant;

use super::{
    BANNER_LINES_MAX, Due, LOGIN_TAG, Machine, Offers, Phase, STARTTLS_TAG, UPDATE_TAG, noop_tag,
};
use crate::fault::{Fault, excerpt};

impl<R> Machine<R> {
    /// Takes one response out of the input and acts on it; false if none is whole.
    pub(super) fn take_response(&mut self, now: Instant) -> Result<bool, Fault> {
        let framed = self.framer.next(&self.input[self.taken..]);
        let Some(len) = framed.map_err(|error| Fault::Protocol(error.to_string()))? else {
            return Ok(false);
        };
        // The input is lent to the response while the rest of the machine acts on it.
        let input = std::mem::take(&mut self.input);
        let response = mupdate::response(&input[self.taken..self.taken + len]);
        let acted = match &response {
            Ok(response) => self.act(response),
            Err(error) => Err(Fault::Protocol(error.to_string())),
        };
        self.input = input;
        self.taken += len;
        self.heard = now;
        acted.map(|()| true)
    }

    fn act(&mut self, response: &Response<'_>) -> Result<(), Fault> {
        if let Response::Bye(text) = response {
            return Err(Fault::Bye(excerpt(text)));
        }
        match self.phase {
            Phase::Away => Ok(()),
            Phase::Greeting { lines, offers } => self.greeting(response, lines, offers),
            Phase::StartTls => self.starttls(response),
            Phase::Login { delta } => self.login(response, delta),
            Phase::Listing => self.listing(response),
            Phase::Streaming => self.streaming(response),
        }
    }

    /// The banner (section 3.8): what the master can do, then its name.
    fn greeting(
        &mut self,
        response: &Response<'_>,
        lines: u32,
        mut offers: Offers,
    ) -> Result<(), Fault> {
        let lines = lines + 1;
        if lines > BANNER_LINES_MAX {
            return Err(Fault::Protocol("the banner does not end".into()));
        }
        self.phase = match response {
            Response::Auth(mechanisms) => {
                offers.plain = mechanisms
                    .iter()
                    .any(|name| name.eq_ignore_ascii_case(b"PLAIN"));
                Phase::Greeting { lines, offers }
            }
            Response::StartTls => {
                offers.starttls = true;
                Phase::Greeting { lines, offers }
            }
            Response::Delta(place) => {
                offers.delta = Some(*place);
                Phase::Greeting { lines, offers }
            }
            Response::Compress(_) | Response::PartialUpdate | Response::Other(_) => {
                Phase::Greeting { lines, offers }
            }
            Response::Banner(_) if self.settings.starttls && !self.secured => {
                if !offers.starttls {
                    return Err(Fault::Tls("the master does not offer STARTTLS".into()));
                }
                Command::StartTls.encode(STARTTLS_TAG, &mut self.output);
                Phase::StartTls
            }
            Response::Banner(_) if !offers.plain => return Err(Fault::NoPlain),
            Response::Banner(_) => {
                let initial = self.settings.login.encode().map_err(Fault::Credentials)?;
                let login = Command::Authenticate {
                    mechanism: "PLAIN",
                    initial: &initial,
                };
                login.encode(LOGIN_TAG, &mut self.output);
                Phase::Login {
                    delta: offers.delta,
                }
            }
            other => return Err(self.unexpected(other)),
        };
        Ok(())
    }

    /// The answer to STARTTLS (section 4.10). What was said before the handshake counts for
    /// nothing: the banner comes again.
    fn starttls(&mut self, response: &Response<'_>) -> Result<(), Fault> {
        match response {
            Response::Ok(done) if is(done, STARTTLS_TAG) => {
                self.due = Due::StartTls;
                Ok(())
            }
            Response::No(done) | Response::Bad(done) if is(done, STARTTLS_TAG) => Err(Fault::Tls(
                format!("the master refuses STARTTLS: {}", excerpt(&done.text)),
            )),
            other => Err(self.unexpected(other)),
        }
    }

    /// The answer to AUTHENTICATE (section 4.2); then the list is asked for.
    fn login(&mut self, response: &Response<'_>, delta: Option<Place>) -> Result<(), Fault> {
        match response {
            Response::Ok(done) if is(done, LOGIN_TAG) => {
                self.upstream = delta;
                let update = match delta {
                    Some(_) => Command::UpdateSince(self.known),
                    None => Command::Update,
                };
                update.encode(UPDATE_TAG, &mut self.output);
                self.phase = Phase::Listing;
                Ok(())
            }
            Response::No(done) | Response::Bad(done) if is(done, LOGIN_TAG) => {
                Err(Fault::LoginRefused(excerpt(&done.text)))
            }
            other => Err(self.unexpected(other)),
        }
    }

    /// The list (section 4.11), up to the OK after which the stream starts.
    fn listing(&mut self, response: &Response<'_>) -> Result<(), Fault> {
        match response {
            Response::Ok(done) if is(done, UPDATE_TAG) => {
                self.due = Due::EndSync;
                Ok(())
            }
            Response::Since { tag } if *tag == UPDATE_TAG.as_bytes() && self.batch.is_empty() => {
                self.delta = self.upstream.is_some();
                Ok(())
            }
            Response::No(done) | Response::Bad(done) if is(done, UPDATE_TAG) => Err(
                Fault::Protocol(format!("UPDATE is refused: {}", excerpt(&done.text))),
            ),
            other => self.change(other),
        }
    }

    /// Changes, and the answer to the NOOP in flight (section 4.8).
    fn streaming(&mut self, response: &Response<'_>) -> Result<(), Fault> {
        match response {
            Response::Ok(done) if self.noop.is_some_and(|noop| is(done, &noop_tag(noop))) => {
                self.due = Due::AnswerBarriers;
                Ok(())
            }
            // A replica that can't reach its own master; its stream goes on.
            Response::No(done) if self.noop.is_some_and(|noop| is(done, &noop_tag(noop))) => {
                self.due = Due::RefuseBarriers;
                Ok(())
            }
            other => self.change(other),
        }
    }

    fn change(&mut self, response: &Response<'_>) -> Result<(), Fault> {
        if let (Response::Sequence { tag, sequence }, Some(_)) = (response, self.upstream)
            && *tag == UPDATE_TAG.as_bytes()
        {
            self.reached = Some(*sequence);
            return Ok(());
        }
        if self.batch.push(response, UPDATE_TAG.as_bytes()) {
            Ok(())
        } else {
            Err(self.unexpected(response))
        }
    }

    fn unexpected(&self, response: &Response<'_>) -> Fault {
        let (what, tag) = match response {
            Response::Auth(_) => ("AUTH", None),
            Response::StartTls => ("STARTTLS", None),
            Response::Compress(_) => ("COMPRESS", None),
            Response::PartialUpdate => ("PARTIAL-UPDATE", None),
            Response::Banner(_) => ("a banner", None),
            Response::Bye(_) => ("BYE", None),
            Response::Other(name) => ("an untagged response", Some(*name)),
            Response::Ok(done) => ("OK", Some(done.tag)),
            Response::No(done) => ("NO", Some(done.tag)),
            Response::Bad(done) => ("BAD", Some(done.tag)),
            Response::Mailbox { tag, .. } => ("MAILBOX", Some(*tag)),
            Response::Reserve { tag, .. } => ("RESERVE", Some(*tag)),
            Response::Delete { tag, .. } => ("DELETE", Some(*tag)),
            Response::Delta(_) => ("X-DELTA", None),
            Response::Deactivate { tag, .. } => ("DEACTIVATE", Some(*tag)),
            Response::Since { tag } => ("X-SINCE", Some(*tag)),
            Response::Sequence { tag, .. } => ("X-SEQUENCE", Some(*tag)),
        };
        let tag = tag.map_or_else(String::new, |tag| format!(" ({})", excerpt(tag)));
        Fault::Protocol(format!("{what}{tag} came instead of {}", self.awaited()))
    }
}

fn is(done: &Completion<'_>, tag: &str) -> bool {
    done.tag == tag.as_bytes()
}
