//! What sessions do: round trips, bodies either way, whole short sessions.

use std::rc::Rc;

use crate::checker::Wrong;
use crate::pace::Work;
use crate::{Fault, Session, Target};

/// A command of a round trip, with tag and CRLF.
const TRIP_BYTES: usize = 64;

/// A command of 64 bytes (a NOOP, the rest is its tag) in a selected mailbox, and its reply.
#[derive(Debug)]
pub struct Trip(Session);

impl Trip {
    /// Logs in, selects the mailbox.
    ///
    /// # Errors
    /// See [`Fault`].
    pub async fn begin(target: &Target, number: u32, mailbox: &str) -> Result<Self, Fault> {
        let mut session = Session::logged_in(target, number).await?;
        session.command(&select(mailbox)).await?;
        session.set_tag_width(TRIP_BYTES - " NOOP\r\n".len());
        Ok(Self(session))
    }
}

impl Work for Trip {
    async fn once(&mut self) -> Result<u64, Fault> {
        self.0.command("NOOP").await?;
        Ok(0)
    }

    async fn end(self) -> Result<(), Fault> {
        self.0.logout().await
    }
}

/// FETCH of one message's body, which the session has brought itself.
#[derive(Debug)]
pub struct Fetch {
    session: Session,
    body: Rc<[u8]>,
    uid: u64,
}

impl Fetch {
    /// Logs in, appends the message to the mailbox and selects it.
    ///
    /// # Errors
    /// See [`Fault`].
    pub async fn begin(
        target: &Target,
        number: u32,
        mailbox: &str,
        body: &Rc<[u8]>,
    ) -> Result<Self, Fault> {
        let mut session = Session::logged_in(target, number).await?;
        let uid = append(&mut session, mailbox, body).await?;
        session.command(&select(mailbox)).await?;
        Ok(Self {
            session,
            body: Rc::clone(body),
            uid,
        })
    }

    /// The session, with its mailbox selected and the message still in it.
    #[must_use]
    pub fn into_session(self) -> Session {
        self.session
    }
}

impl Work for Fetch {
    async fn once(&mut self) -> Result<u64, Fault> {
        let words = format!("UID FETCH {} (BODY.PEEK[])", self.uid);
        self.session.fetch(&words, &self.body).await?;
        Ok(self.body.len() as u64)
    }

    async fn end(mut self) -> Result<(), Fault> {
        let uid = self.uid;
        let delete = format!("UID STORE {uid} +FLAGS.SILENT (\\Deleted)");
        self.session.command(&delete).await?;
        self.session.command(&format!("UID EXPUNGE {uid}")).await?;
        self.session.logout().await
    }
}

/// APPEND of one message, again and again.
#[derive(Debug)]
pub struct Append {
    session: Session,
    mailbox: Rc<str>,
    message: Rc<[u8]>,
    uids: Vec<u64>,
}

impl Append {
    /// Logs in.
    ///
    /// # Errors
    /// See [`Fault`].
    pub async fn begin(
        target: &Target,
        number: u32,
        mailbox: &str,
        message: &Rc<[u8]>,
    ) -> Result<Self, Fault> {
        Ok(Self {
            session: Session::logged_in(target, number).await?,
            mailbox: mailbox.into(),
            message: Rc::clone(message),
            uids: Vec::new(),
        })
    }
}

impl Work for Append {
    async fn once(&mut self) -> Result<u64, Fault> {
        let uid = append(&mut self.session, &self.mailbox, &self.message).await?;
        self.uids.push(uid);
        Ok(self.message.len() as u64)
    }

    /// What was stored is read once more: the last one, byte for byte.
    async fn end(mut self) -> Result<(), Fault> {
        self.session.command(&select(&self.mailbox)).await?;
        if let Some(last) = self.uids.last() {
            let words = format!("UID FETCH {last} (BODY.PEEK[])");
            self.session.fetch(&words, &self.message).await?;
        }
        for some in self.uids.chunks(500) {
            let set: Vec<_> = some.iter().map(u64::to_string).collect();
            let set = set.join(",");
            let delete = format!("UID STORE {set} +FLAGS.SILENT (\\Deleted)");
            self.session.command(&delete).await?;
            self.session.command(&format!("UID EXPUNGE {set}")).await?;
        }
        self.session.logout().await
    }
}

/// A whole short session: connect, LOGIN, SELECT, LOGOUT.
#[derive(Debug)]
pub struct Visit {
    target: Rc<Target>,
    number: u32,
    mailbox: Rc<str>,
}

impl Visit {
    /// Session number `number`, which comes again and again.
    #[must_use]
    pub fn new(target: &Rc<Target>, number: u32, mailbox: &str) -> Self {
        Self {
            target: Rc::clone(target),
            number,
            mailbox: mailbox.into(),
        }
    }
}

impl Work for Visit {
    async fn once(&mut self) -> Result<u64, Fault> {
        let mut session = Session::logged_in(&self.target, self.number).await?;
        session.command(&select(&self.mailbox)).await?;
        session.logout().await?;
        Ok(0)
    }

    async fn end(self) -> Result<(), Fault> {
        Ok(())
    }
}

fn select(mailbox: &str) -> String {
    format!("SELECT \"{mailbox}\"")
}

/// Appends, and gives the UID that the server says the message has got (RFC 4315).
async fn append(session: &mut Session, mailbox: &str, message: &[u8]) -> Result<u64, Fault> {
    session.append(mailbox, message).await?;
    appended(session.data()).ok_or_else(|| {
        let said = String::from_utf8_lossy(session.data()).into_owned();
        Wrong::Refused(format!("no APPENDUID in {said:?}")).into()
    })
}

fn appended(data: &[u8]) -> Option<u64> {
    let data = std::str::from_utf8(data).ok()?;
    let (_, code) = data.split_once("[APPENDUID ")?;
    let (_validity, uid) = code.split_once(']')?.0.split_once(' ')?;
    uid.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_uid_of_an_appended_message_is_read() {
        let data = b"* 3 EXISTS\na7 OK [APPENDUID 1700000000 42] done\n";
        assert_eq!(appended(data), Some(42));
        assert_eq!(appended(b"a7 OK done\n"), None);
        assert_eq!(appended(b"a7 OK [APPENDUID 1 2:3] done\n"), None);
    }
}
