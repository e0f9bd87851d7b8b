//! A client's session (RFC 3501), as far as the demo needs one.

use super::dialogue::Dialogue;
use super::mail::Message;
use super::murder::password;

/// The session.
pub(super) struct Imap {
    dialogue: Dialogue,
    tag: u32,
}

/// What a command was answered.
pub(super) struct Answer {
    /// `OK`, `NO` or `BAD`, with what stands behind it.
    pub(super) status: String,
    /// The lines before that, without `* `; literals stand in them.
    pub(super) untagged: Vec<String>,
}

impl Answer {
    pub(super) fn is_ok(&self) -> bool {
        self.status.starts_with("OK")
    }

    /// What stands behind a word in the lines that begin with it.
    pub(super) fn of(&self, word: &str) -> Vec<&str> {
        let lines = self.untagged.iter();
        lines
            .filter_map(|line| line.strip_prefix(word)?.strip_prefix(' '))
            .collect()
    }
}

impl Imap {
    /// Reads the greeting.
    pub(super) fn over(dialogue: Dialogue) -> Result<Self, String> {
        let mut session = Self { dialogue, tag: 0 };
        let greeting = session.dialogue.line()?;
        match greeting.starts_with("* OK") {
            true => Ok(session),
            false => Err(format!("no greeting: {greeting}")),
        }
    }

    /// A session of a user's.
    pub(super) fn login(port: u16, user: &str) -> Result<Self, String> {
        let mut session = Self::over(Dialogue::connect(port)?)?;
        session.log_in(user)?;
        Ok(session)
    }

    pub(super) fn log_in(&mut self, user: &str) -> Result<(), String> {
        self.ok(&format!("LOGIN {user} {}", password(user)))?;
        Ok(())
    }

    /// Gives a command, and takes its answer.
    pub(super) fn ask(&mut self, command: &str) -> Result<Answer, String> {
        self.give(command.as_bytes())?;
        self.answer()
    }

    /// A command that has to be done.
    pub(super) fn ok(&mut self, command: &str) -> Result<Answer, String> {
        let answer = self.ask(command)?;
        match answer.is_ok() {
            true => Ok(answer),
            false => Err(format!("{command}: {}", answer.status)),
        }
    }

    /// A command that has to be refused.
    pub(super) fn no(&mut self, command: &str) -> Result<Answer, String> {
        let answer = self.ask(command)?;
        match answer.status.starts_with("NO") {
            true => Ok(answer),
            false => Err(format!("{command}: {}", answer.status)),
        }
    }

    /// Opens a mailbox; gives how many messages it has.
    pub(super) fn select(&mut self, mailbox: &str) -> Result<usize, String> {
        let answer = self.ok(&format!("SELECT {mailbox}"))?;
        let exists = answer.untagged.iter().find_map(|line| exists(line));
        exists.ok_or_else(|| format!("SELECT {mailbox}: no EXISTS"))
    }

    /// A message as it is stored.
    pub(super) fn message(&mut self, number: usize) -> Result<String, String> {
        let answer = self.ok(&format!("FETCH {number} BODY.PEEK[]"))?;
        let fetched = answer.of(&format!("{number} FETCH"));
        let literal = fetched.iter().find_map(|line| {
            let (before, rest) = line.split_once("\r\n")?;
            rest.get(..literal(before)?)
        });
        let literal = literal.ok_or_else(|| format!("FETCH {number}: there is no text in it"))?;
        Ok(literal.to_owned())
    }

    /// Adds messages, all or none (MULTIAPPEND, RFC 3502; LITERAL+, RFC 7888).
    pub(super) fn append(&mut self, mailbox: &str, messages: &[Message]) -> Result<(), String> {
        let mut command = format!("APPEND {mailbox}").into_bytes();
        for message in messages {
            let (flags, date, length) =
                (message.flags, message.internal_date(), message.text.len());
            let head = format!(" ({flags}) \"{date}\" {{{length}+}}\r\n");
            command.extend_from_slice(head.as_bytes());
            command.extend_from_slice(message.text.as_bytes());
        }
        self.give(&command)?;
        let answer = self.answer()?;
        match answer.is_ok() {
            true => Ok(()),
            false => Err(format!("APPEND {mailbox}: {}", answer.status)),
        }
    }

    /// Begins to wait for news (RFC 2177).
    pub(super) fn idle(&mut self) -> Result<(), String> {
        self.give(b"IDLE")?;
        let line = self.dialogue.line()?;
        match line.starts_with('+') {
            true => Ok(()),
            false => Err(format!("IDLE: {line}")),
        }
    }

    /// Waits for such a line of news.
    pub(super) fn news(&mut self, wanted: impl Fn(&str) -> bool) -> Result<(), String> {
        loop {
            let line = self.dialogue.line()?;
            match line.strip_prefix("* ") {
                Some(news) if wanted(news) => return Ok(()),
                Some(_) => {}
                None => return Err(format!("IDLE: {line}")),
            }
        }
    }

    /// Ends the wait.
    pub(super) fn done(&mut self) -> Result<(), String> {
        self.dialogue.send(b"DONE\r\n")?;
        let answer = self.answer()?;
        match answer.is_ok() {
            true => Ok(()),
            false => Err(format!("DONE: {}", answer.status)),
        }
    }

    fn give(&mut self, command: &[u8]) -> Result<(), String> {
        self.tag += 1;
        let tag = format!("a{} ", self.tag);
        self.dialogue
            .send(&[tag.as_bytes(), command, b"\r\n"].concat())
    }

    fn answer(&mut self) -> Result<Answer, String> {
        let tag = format!("a{} ", self.tag);
        let mut untagged = Vec::new();
        loop {
            let line = self.response()?;
            if let Some(status) = line.strip_prefix(&tag) {
                let status = status.to_owned();
                return Ok(Answer { status, untagged });
            }
            match line.strip_prefix("* ") {
                Some(line) => untagged.push(line.to_owned()),
                None => return Err(format!("no response: {line}")),
            }
        }
    }

    /// A line with the literals in it.
    fn response(&mut self) -> Result<String, String> {
        let mut response = self.dialogue.line()?;
        while let Some(count) = literal(&response) {
            response += "\r\n";
            response += &self.dialogue.literal(count)?;
            response += &self.dialogue.line()?;
        }
        Ok(response)
    }
}

/// How long the literal is that a line announces at its end.
fn literal(line: &str) -> Option<usize> {
    let (_, count) = line.strip_suffix('}')?.rsplit_once('{')?;
    count.parse().ok()
}

/// How many messages there are, if a line says so.
pub(super) fn exists(line: &str) -> Option<usize> {
    line.strip_suffix(" EXISTS")?.parse().ok()
}
