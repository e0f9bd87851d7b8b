//! What each response means in each phase of the conversation.

use ravenry_core::proto::mupdate::{self, Command, Response};
use ravenry_core::rt::Instant;

use super::{Due, Machine, Phase, UPDATE_TAG, noop_tag};
use crate::fault::{Fault, excerpt};
use crate::hello::{Next, is, unexpected};

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
            Phase::Hello => self.hello(response),
            Phase::Listing => self.listing(response),
            Phase::Streaming => self.streaming(response),
        }
    }

    /// Banner, STARTTLS and login; then the list is asked for.
    fn hello(&mut self, response: &Response<'_>) -> Result<(), Fault> {
        match self
            .hello
            .take(response, &mut self.peer, &mut self.output)?
        {
            Next::More => {}
            Next::Handshake => self.due = Due::StartTls,
            Next::In => {
                self.upstream = self.peer.delta;
                let update = match self.upstream {
                    Some(_) => Command::UpdateSince(self.known),
                    None => Command::Update,
                };
                update.encode(UPDATE_TAG, &mut self.output);
                self.phase = Phase::Listing;
            }
        }
        Ok(())
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
            Err(unexpected(response, self.awaited()))
        }
    }
}
