//! A session's wait for its client: the next command, or a line within one; idle clients are sent away, and a shard that
//! drains is noticed.
//!
//! Invariant: a session that waits here holds no buffer and one timer.

use ravenry_core::client::{Here, Input, is_foreign};
use ravenry_core::rt::{self, Either, Instant};

use super::failure::{End, Failure};
use super::session::Session;

impl Session {
    /// Waits for the next command.
    pub(super) async fn next_input(&mut self) -> Result<Input, Failure> {
        let deadline = self.input_deadline();
        if self.leaves.get().is_some_and(|at| at <= rt::now()) {
            return Err(Failure::Ended(End::Draining));
        }
        loop {
            if self.commands == 0 && is_foreign(self.client.pending()) {
                return Err(Failure::Fatal("This is an IMAP server"));
            }
            match self.client.command_here() {
                Here::Whole(input) => return Ok(input),
                Here::Discard(bytes) => self.discard(bytes).await?,
                Here::More => self.wait(deadline).await?,
            }
        }
    }

    /// A line from the client that is no command: a SASL response, DONE.
    pub(crate) async fn line(&mut self) -> Result<Vec<u8>, Failure> {
        let deadline = self.input_deadline();
        let mut why = None;
        loop {
            match self.client.line_here(&mut why) {
                Here::Whole(line) => return line.map_err(Failure::bad),
                Here::Discard(bytes) => self.discard(bytes).await?,
                Here::More => self.wait(deadline).await?,
            }
        }
    }

    /// Drops what nobody asked for. Before login that has no more time than the login itself.
    pub(crate) async fn discard(&mut self, bytes: u64) -> Result<(), Failure> {
        if self.user.is_some() {
            return Ok(self.client.discard(bytes).await?);
        }
        let deadline = self.input_deadline();
        match rt::timeout_at(deadline, self.client.discard(bytes)).await {
            Ok(done) => Ok(done?),
            Err(_elapsed) => Err(Failure::Ended(self.timed_out().await)),
        }
    }

    /// When a client that sends nothing is given up.
    pub(crate) fn input_deadline(&self) -> Instant {
        let desk = &self.backend.desk;
        desk.input_deadline(self.user.is_some(), self.started)
    }

    /// Waits until client bytes have come.
    pub(crate) async fn wait(&mut self, deadline: Instant) -> Result<(), Failure> {
        self.client.flush().await?;
        self.client.release();
        loop {
            match rt::timeout_at(self.rest_until(deadline), self.woken()).await {
                Ok(Either::Left(())) => return Err(Failure::Ended(End::Draining)),
                Ok(Either::Right(())) => {
                    if self.client.read_now().await? {
                        return Ok(());
                    }
                }
                Err(_elapsed) if rt::now() < deadline => {}
                Err(_elapsed) => return Err(Failure::Ended(self.timed_out().await)),
            }
        }
    }

    /// Gives back what a leg at rest doesn't need; until when one may wait before more of it can go.
    pub(super) fn rest_until(&self, deadline: Instant) -> Instant {
        let leg = &self.client.stream;
        leg.rest();
        leg.rests_at().map_or(deadline, |at| at.min(deadline))
    }

    /// The shard drains, or the client has sent something.
    pub(super) async fn woken(&self) -> Either<(), ()> {
        let desk = &self.backend.desk;
        rt::select(desk.departure(&self.leaves), self.client.readable()).await
    }

    pub(crate) async fn timed_out(&mut self) -> End {
        if self.user.is_some() {
            self.bye(End::Autologout, "Autologout; idle for too long")
                .await
        } else {
            self.bye(End::LoginTimeout, "No login in time").await
        }
    }
}
