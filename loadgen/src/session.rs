//! One IMAP session of the load: a command, its reply, checked; never two commands at once.

use std::io::Write;
use std::rc::Rc;
use std::time::Duration;

use ravenry_core::rt::{self, Address, Stream};

use crate::Fault;
use crate::checker::{Checker, Step, Wrong};

/// How much is read at a time.
const READ_BYTES_MAX: usize = 64 << 10;
const TAG_WIDTH: usize = 7;

/// Whom the load goes to, and as whom it logs in.
#[derive(Clone, Debug)]
pub struct Target {
    /// The server.
    pub address: Address,
    /// A user's name; `%` in it is the user's number, of four digits.
    pub user: String,
    /// How many such users there are.
    pub users: u32,
    /// The password of all of them; `%` again.
    pub password: String,
    /// How long an answer may take.
    pub within: Duration,
}

impl Target {
    /// LOGIN with its arguments, for session number `session` of any number.
    #[must_use]
    pub fn login(&self, session: u32) -> String {
        let number = format!("{:04}", session % self.users.max(1) + 1);
        let [user, password] = [&self.user, &self.password].map(|text| text.replace('%', &number));
        format!("LOGIN \"{user}\" \"{password}\"")
    }
}

/// A connection with its greeting behind it.
#[derive(Debug)]
pub struct Session {
    stream: Stream,
    input: Vec<u8>,
    checker: Checker,
    within: Duration,
    commands: u64,
    tag_width: usize,
}

impl Session {
    /// Connects and waits for the greeting.
    ///
    /// # Errors
    /// See [`Fault`].
    pub async fn connect(target: &Target) -> Result<Self, Fault> {
        let stream = Stream::connect(&target.address, target.within).await;
        let mut session = Self {
            stream: stream.map_err(Fault::Connect)?,
            input: Vec::new(),
            checker: Checker::default(),
            within: target.within,
            commands: 0,
            tag_width: TAG_WIDTH,
        };
        match rt::timeout(session.within, session.step()).await?? {
            Step::Done => Ok(session),
            _ => Err(Wrong::Continuation.into()),
        }
    }

    /// Connects and logs in as the user of session number `number`.
    ///
    /// # Errors
    /// See [`Fault`].
    pub async fn logged_in(target: &Target, number: u32) -> Result<Self, Fault> {
        let mut session = Self::connect(target).await?;
        session.command(&target.login(number)).await?;
        Ok(session)
    }

    /// Tags are `width` bytes long from now on: for commands of a certain size.
    pub fn set_tag_width(&mut self, width: usize) {
        self.tag_width = width;
    }

    /// A command that is one line, and its OK.
    ///
    /// # Errors
    /// See [`Fault`]; after one the session can't go on.
    pub async fn command(&mut self, words: &str) -> Result<(), Fault> {
        self.exchange(words, None, None).await
    }

    /// A command whose answer holds `body`, once.
    ///
    /// # Errors
    /// See [`Fault`].
    pub async fn fetch(&mut self, words: &str, body: &Rc<[u8]>) -> Result<(), Fault> {
        self.exchange(words, None, Some(body)).await
    }

    /// APPEND; the message is sent when the server asks for it.
    ///
    /// # Errors
    /// See [`Fault`].
    pub async fn append(&mut self, mailbox: &str, message: &[u8]) -> Result<(), Fault> {
        let words = format!("APPEND \"{mailbox}\" {{{}}}", message.len());
        self.exchange(&words, Some(message), None).await
    }

    /// LOGOUT, BYE, OK, and the server's end of the connection.
    ///
    /// # Errors
    /// See [`Fault`].
    pub async fn logout(mut self) -> Result<(), Fault> {
        let (tag, within) = (self.tag(), self.within);
        self.checker.expect_farewell(&tag);
        let exchange = async {
            self.stream
                .write_all(format!("{tag} LOGOUT\r\n").as_bytes())
                .await?;
            self.step().await?;
            while self
                .stream
                .read_into(&mut self.input, READ_BYTES_MAX)
                .await?
                > 0
            {}
            Ok(())
        };
        rt::timeout(within, exchange).await?
    }

    /// The lines of data in the last answer.
    #[must_use]
    pub fn data(&self) -> &[u8] {
        self.checker.data()
    }

    /// The number that stands behind `word` in the last answer, as in `* OK [UIDNEXT 4] …`.
    #[must_use]
    pub fn number_after(&self, word: &str) -> Option<u64> {
        let data = std::str::from_utf8(self.data()).ok()?;
        let (_, rest) = data.split_once(word)?;
        let rest = rest.trim_start();
        let end = rest
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(rest.len());
        rest[..end].parse().ok()
    }

    /// Whether the server has said nothing and not closed since the last answer.
    #[must_use]
    pub fn is_quiet(&self) -> bool {
        self.input.is_empty() && self.stream.is_quiet()
    }

    async fn exchange(
        &mut self,
        words: &str,
        literal: Option<&[u8]>,
        body: Option<&Rc<[u8]>>,
    ) -> Result<(), Fault> {
        let tag = self.tag();
        self.checker.expect(&tag, body);
        let within = self.within;
        let exchange = async {
            let mut line = Vec::with_capacity(tag.len() + words.len() + 3);
            // Writing into memory can't fail.
            let _ = write!(line, "{tag} {words}\r\n");
            self.stream.write_all(&line).await?;
            if let Some(literal) = literal {
                if self.step().await? != Step::Continuation {
                    return Err(Wrong::NoContinuation.into());
                }
                self.stream.write_all(literal).await?;
                self.stream.write_all(b"\r\n").await?;
            }
            match self.step().await? {
                Step::Done => Ok(()),
                _ => Err(Wrong::Continuation.into()),
            }
        };
        rt::timeout(within, exchange).await?
    }

    fn tag(&mut self) -> String {
        self.commands += 1;
        format!("a{:0>width$}", self.commands, width = self.tag_width - 1)
    }

    /// Reads until the checker has come to a step.
    async fn step(&mut self) -> Result<Step, Fault> {
        loop {
            let (taken, step) = self.checker.next(&self.input)?;
            self.input.drain(..taken);
            if step != Step::NeedMore {
                return Ok(step);
            }
            if self
                .stream
                .read_into(&mut self.input, READ_BYTES_MAX)
                .await?
                == 0
            {
                return Err(Fault::Closed);
            }
        }
    }
}
