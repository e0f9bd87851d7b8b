//! A session's wait for its client: the next line; idle clients are sent away, and a shard that drains is noticed.

use ravenry_core::client::is_foreign;
use ravenry_core::proto::lmtp::Reply;
use ravenry_core::rt::{self, Either, Instant};
use ravenry_core::wire::imap::Scanned;

use super::session::{End, Over, Session};

const IDLE: Reply = Reply::new(421, "4.4.2", "Idle for too long");
const NO_LOGIN: Reply = Reply::new(421, "4.4.2", "No login in time");
const FOREIGN: Reply = Reply::new(421, "4.7.0", "This is an LMTP server");

impl Session {
    /// Waits for the next line; what is wrong with it, where it can't be taken.
    pub(super) async fn next_line(&mut self) -> Result<Result<Vec<u8>, String>, Over> {
        let deadline = self.input_deadline();
        if self.leaves.get().is_some_and(|at| at <= rt::now()) {
            return Err(Over::Silent(End::Draining));
        }
        let mut why = None;
        loop {
            if self.commands == 0 && is_foreign(self.client.pending()) {
                return Err(Over::Bye(End::BadClient, FOREIGN));
            }
            match self.lines.next_plain(self.client.pending()) {
                Scanned::Line(line) => {
                    let mut taken = self.client.take(line.len);
                    taken.truncate(line.text);
                    return Ok(Ok(taken));
                }
                Scanned::Bad(bad) => {
                    let taken = self.client.take(bad.consume);
                    why = Some(bad.why.to_string());
                    if taken.ends_with(b"\n") {
                        return Ok(Err(why.unwrap_or_default()));
                    }
                }
                Scanned::Discard(discard) => {
                    self.client.take(discard.consume);
                    if discard.ended {
                        return Ok(Err(why.unwrap_or_default()));
                    }
                }
                Scanned::NeedMore => self.wait(deadline).await?,
            }
        }
    }

    /// When a client that sends nothing is given up. Who has to log in first has no more time than for that.
    pub(super) fn input_deadline(&self) -> Instant {
        let desk = &self.backend.desk;
        desk.input_deadline(self.may_deliver(), self.started)
    }

    async fn wait(&mut self, deadline: Instant) -> Result<(), Over> {
        self.client.flush().await?;
        self.client.release();
        loop {
            match rt::timeout_at(deadline, self.woken()).await {
                Ok(Either::Left(())) => return Err(Over::Silent(End::Draining)),
                Ok(Either::Right(())) => {
                    if self.client.read_now().await? {
                        return Ok(());
                    }
                }
                Err(_elapsed) if self.may_deliver() => return Err(Over::Bye(End::Idle, IDLE)),
                Err(_elapsed) => return Err(Over::Bye(End::LoginTimeout, NO_LOGIN)),
            }
        }
    }

    /// The shard drains, or the client has sent something.
    async fn woken(&self) -> Either<(), ()> {
        let desk = &self.backend.desk;
        rt::select(desk.departure(&self.leaves), self.client.readable()).await
    }
}
