//! A session's wait for its client: the next command, or a line within one; meanwhile what the
//! selected mailbox's backend says unasked is passed on, idle connections are closed, and a shard
//! that drains is noticed.
//!
//! Invariant: a session that waits here holds no buffer and one timer.

use ravenry_core::client::{Here, Input, is_foreign};
use ravenry_core::rt::{self, Either, Instant};

use super::relay;
use super::session::Session;
use crate::failure::{End, Failure};
use crate::upstream::Upstream;

/// What woke a waiting session.
enum Woken {
    Client,
    Backend(usize),
    Draining,
}

impl Session {
    /// Waits for the next command, and meanwhile passes on what the selected mailbox's backend
    /// says.
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
        let desk = &self.fe.desk;
        desk.input_deadline(self.user.is_some(), self.started)
    }

    /// Waits until client bytes have come.
    async fn wait(&mut self, deadline: Instant) -> Result<(), Failure> {
        if let Some(index) = self.selected_index() {
            // What came with an answer and isn't part of it.
            let up = &mut self.upstreams[index];
            let passed = relay::unsolicited_here(&mut self.client, up).await;
            self.or_recover(passed).await?;
        }
        self.client.flush().await?;
        self.client.release();
        self.upstreams.iter_mut().for_each(Upstream::release);
        loop {
            self.drop_idle_upstreams();
            self.client.stream.rest();
            let due = [self.next_idle_upstream(), self.client.stream.rests_at()];
            let until = due.into_iter().flatten().fold(deadline, Instant::min);
            match rt::timeout_at(until, self.readable()).await {
                Ok(Woken::Client) => {
                    if self.client.read_now().await? {
                        return Ok(());
                    }
                }
                Ok(Woken::Backend(index)) => {
                    let passed = self.unsolicited(index).await;
                    self.or_recover(passed).await?;
                    self.client.flush().await?;
                }
                Ok(Woken::Draining) => return Err(Failure::Ended(End::Draining)),
                Err(_elapsed) if rt::now() < deadline => {}
                Err(_elapsed) => return Err(Failure::Ended(self.timed_out().await)),
            }
        }
    }

    /// Passes on what the selected mailbox's backend says unasked. Between two whole responses it
    /// has as long as a stalled transfer has.
    async fn unsolicited(&mut self, index: usize) -> Result<(), Failure> {
        let (client, up) = (&mut self.client, &mut self.upstreams[index]);
        let within = self.fe.desk.parts.limits.stall;
        match rt::timeout(within, relay::unsolicited(client, up)).await {
            Ok(passed) => passed,
            Err(_elapsed) => {
                let fault = self.upstreams[index].fault("never ends what it says unasked");
                Err(Failure::Torn(fault))
            }
        }
    }

    async fn or_recover(&mut self, passed: Result<(), Failure>) -> Result<(), Failure> {
        match passed {
            Err(Failure::Backend(lost)) => Box::pin(self.recover(lost)).await,
            other => other,
        }
    }

    async fn readable(&self) -> Woken {
        let client = async {
            match rt::select(self.fe.desk.departure(&self.leaves), self.client.readable()).await {
                Either::Left(()) => Woken::Draining,
                Either::Right(_) => Woken::Client,
            }
        };
        let Some(index) = self.selected_index() else {
            return client.await;
        };
        match rt::select(client, self.upstreams[index].readable()).await {
            Either::Left(woken) => woken,
            Either::Right(_) => Woken::Backend(index),
        }
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
