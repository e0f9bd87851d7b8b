//! AUTHENTICATE (RFC 3656 section 4.2) and STARTTLS (section 4.10).
//!
//! Challenges and responses are lines of bare base64, without `+ `; `*` cancels. Bytes behind
//! STARTTLS end the session before TLS begins; after the handshake the banner comes again.

use std::rc::Rc;
use std::sync::Arc;

use ravenry_core::proto::sasl::{self, Login, LoginStep, Plain, SaslError};
use ravenry_core::rt;

use super::peer::End;
use super::session::Session;

impl Session {
    /// AUTHENTICATE
    pub(crate) async fn authenticate(
        &mut self,
        tag: &[u8],
        mechanism: &[u8],
        initial: Option<&[u8]>,
    ) -> Result<(), End> {
        if self.account.is_some() {
            return self.bad(tag, "already authenticated");
        }
        if !self.peer.leg.is_tls() && !self.shared.allow_plaintext {
            self.answer(tag, "NO", "no login without TLS: STARTTLS comes first");
            return Ok(());
        }
        let plain = if mechanism.eq_ignore_ascii_case(b"PLAIN") {
            self.plain(initial).await?
        } else if mechanism.eq_ignore_ascii_case(b"LOGIN") {
            self.login(initial).await?
        } else {
            self.answer(tag, "NO", "no such mechanism; known: PLAIN, LOGIN");
            return Ok(());
        };
        match plain {
            Ok(plain) => self.check(tag, &plain).await,
            Err(why) => {
                self.answer(tag, "NO", &why.to_string());
                Ok(())
            }
        }
    }

    async fn plain(&mut self, initial: Option<&[u8]>) -> Result<Result<Plain, SaslError>, End> {
        let message = match initial {
            Some(initial) => sasl::response(initial),
            None => self.challenge("").await?,
        };
        Ok(message.and_then(|message| Plain::decode(message.expose())))
    }

    async fn login(&mut self, initial: Option<&[u8]>) -> Result<Result<Plain, SaslError>, End> {
        let mut state = Login::User;
        let mut initial = initial;
        loop {
            let response = match initial.take() {
                Some(initial) => sasl::response(initial),
                None => self.challenge(state.challenge()).await?,
            };
            match response.and_then(|response| state.answer(&response)) {
                Ok(LoginStep::Ask(next)) => state = next,
                Ok(LoginStep::Done(plain)) => return Ok(Ok(plain)),
                Err(why) => return Ok(Err(why)),
            }
        }
    }

    /// Asks for a line of base64, and reads it.
    async fn challenge(&mut self, challenge: &str) -> Result<Result<sasl::Secret, SaslError>, End> {
        let out = self.peer.output();
        out.extend_from_slice(challenge.as_bytes());
        out.extend_from_slice(b"\r\n");
        let line = self.peer.command(self.login_by(), "login").await?;
        let line = sasl::Secret::new(line);
        let text = line.expose();
        Ok(sasl::response(text.strip_suffix(b"\r\n").unwrap_or(text)))
    }

    async fn check(&mut self, tag: &[u8], plain: &Plain) -> Result<(), End> {
        let shared = Rc::clone(&self.shared);
        let for_itself = plain.authzid.is_empty() || plain.authzid == plain.authcid;
        if let (Some(account), true) = (shared.account(&plain.authcid, &plain.password), for_itself)
        {
            shared.counters.logins.add(1);
            tracing::debug!(client = %self.peer.address, account = account.name, "login");
            self.logged_in(Arc::clone(account));
            self.answer(tag, "OK", "Authenticated");
            return Ok(());
        }
        shared.counters.logins_failed.add(1);
        self.logins_failed += 1;
        let who = plain.authcid.escape_ascii();
        tracing::warn!(client = %self.peer.address, account = %who, "login failed");
        let delay = shared
            .admission
            .login_failed(&self.peer.address, self.logins_failed);
        rt::select(rt::draining(), rt::sleep(delay)).await;
        self.answer(tag, "NO", "authentication failed");
        if self.logins_failed >= shared.limits.login_failures {
            return Err(End::Refused("too many logins failed"));
        }
        Ok(())
    }

    /// STARTTLS
    pub(crate) async fn starttls(&mut self, tag: &[u8]) -> Result<(), End> {
        let shared = Rc::clone(&self.shared);
        let Some(acceptor) = &shared.acceptor else {
            return self.bad(tag, "Unrecognized command");
        };
        if self.account.is_some() {
            return self.bad(tag, "already authenticated");
        }
        if self.peer.leg.is_tls() {
            return self.bad(tag, "TLS already active");
        }
        if !self.peer.pending().is_empty() {
            return Err(End::Refused(
                "nothing may follow STARTTLS before the handshake",
            ));
        }
        self.answer(tag, "OK", "Begin TLS negotiation now");
        self.peer.flush().await?;
        let shaken = rt::timeout_at(self.login_by(), acceptor.accept(&mut self.peer.leg));
        match rt::select(rt::draining(), Box::pin(shaken)).await {
            rt::Either::Left(()) => return Err(End::Closed),
            rt::Either::Right(Ok(Ok(()))) => {}
            rt::Either::Right(Ok(Err(error))) => return Err(End::Broken(error)),
            rt::Either::Right(Err(_elapsed)) => return Err(End::Closed),
        }
        self.banner();
        Ok(())
    }
}
