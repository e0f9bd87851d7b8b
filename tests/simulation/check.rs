//! What a client may be answered: exactly one reply a command, in step, with the right bytes, never
//! a wrong OK; and how a connection may end.

use ravenry_core::rt;

use crate::client::{Client, Over, Response, What};
use crate::leg::Gone;
use crate::site::{Message, internal};

/// What untagged responses there are.
const KNOWN: [&str; 20] = [
    "OK",
    "NO",
    "BAD",
    "BYE",
    "CAPABILITY",
    "ID",
    "NAMESPACE",
    "LIST",
    "LSUB",
    "STATUS",
    "SEARCH",
    "FLAGS",
    "ACL",
    "MYRIGHTS",
    "EXISTS",
    "EXPUNGE",
    "VANISHED",
    "ENABLED",
    "RECENT",
    "FETCH",
];

impl Client {
    /// Reads one response and judges it. True: it is a continuation request.
    pub(crate) async fn judge_next(&mut self) -> Result<bool, Over> {
        let response = self.response().await?;
        let text = response.text.trim_end().to_owned();
        self.note(&format!("S: {}", text.escape_debug()));
        if text.starts_with("+ ") || text == "+" {
            return Ok(true);
        }
        if let Some(untagged) = text.strip_prefix("* ") {
            self.untagged(untagged, &response);
            if self.view.is_some() {
                self.told.push(untagged.to_owned());
            }
            if self.bye.is_some() && !self.is_logging_out() {
                return Err(self.farewell().await);
            }
            return Ok(false);
        }
        self.tagged(&text);
        Ok(false)
    }

    fn is_logging_out(&self) -> bool {
        matches!(
            self.pending.front().map(|sent| &sent.what),
            Some(What::Logout)
        )
    }

    /// BYE has been said: the end must follow.
    async fn farewell(&mut self) -> Over {
        self.pending.clear();
        let gone = self.leg.fill().await;
        match gone {
            Ok(()) => self.fail("something came behind BYE"),
            Err(Gone::Late) if self.site.world.harm(&self.leg.stream).is_none() => {
                self.fail("BYE, and the connection stays");
            }
            Err(_) => {}
        }
        Over
    }

    fn untagged(&mut self, text: &str, response: &Response) {
        let mut words = text.split(' ');
        let first = words.next().unwrap_or_default();
        let word = if first.bytes().all(|byte| byte.is_ascii_digit()) {
            words.next().unwrap_or_default()
        } else {
            first
        };
        if !KNOWN.contains(&word) {
            return self.fail(&format!("nonsense: {}", text.escape_debug()));
        }
        if let Some(wrong) = self.view.as_mut().and_then(|view| view.note(text)) {
            self.fail(&wrong);
        }
        match word {
            "BYE" => self.say_bye(text),
            "FETCH" => self.fetched(text, &response.literals),
            "LIST" => {
                let name = text.rsplit(' ').next().unwrap_or_default().to_owned();
                if let Some(sent) = self.pending.front_mut() {
                    sent.listed.push(name);
                }
            }
            _ => {}
        }
        if word != "FETCH" && !response.literals.is_empty() {
            self.fail("a literal where none belongs");
        }
    }

    fn say_bye(&mut self, text: &str) {
        self.bye = Some(text.to_owned());
        let expected = self.is_logging_out()
            || self.site.world.harm(&self.leg.stream).is_some()
            || text.contains("UNAVAILABLE") && !self.site.is_calm()
            || text.contains("stood still") && self.is_slow()
            || text.contains("shutting down");
        if !expected {
            self.fail(&format!("was told {text}"));
        }
    }

    fn fetched(&mut self, text: &str, literals: &[Vec<u8>]) {
        let uid = text.split("UID ").nth(1).and_then(|rest| {
            let digits = rest
                .find(|c: char| !c.is_ascii_digit())
                .unwrap_or(rest.len());
            rest[..digits].parse::<u32>().ok()
        });
        for bytes in literals {
            let Some(message) = Message::read(bytes) else {
                let cut = bytes[..bytes.len().min(80)].escape_ascii().to_string();
                return self.fail(&format!("wrong bytes: {cut}"));
            };
            let mailbox = match self.pending.front().map(|sent| &sent.what) {
                Some(What::Fetch { mailbox, .. }) => mailbox.clone(),
                // Asked for by one who meant to read nothing: any message's own bytes will do.
                Some(What::Perhaps) => continue,
                _ => return self.fail("a body that nobody asked for"),
            };
            let truth = self
                .site
                .mailboxes
                .borrow()
                .get(&mailbox)
                .and_then(|mailbox| {
                    mailbox
                        .messages
                        .get(&uid.unwrap_or(0))
                        .map(|held| held.message)
                });
            if truth != Some(message) {
                return self.fail(&format!(
                    "the bytes of another message than {uid:?} in {mailbox}"
                ));
            }
            if let (Some(sent), Some(uid)) = (self.pending.front_mut(), uid) {
                sent.bodies.push(uid);
            }
        }
    }

    fn tagged(&mut self, text: &str) {
        let (tag, rest) = text.split_once(' ').unwrap_or((text, ""));
        let Some(sent) = self.pending.pop_front() else {
            return self.fail(&format!("a reply that nothing waits for: {text}"));
        };
        if sent.tag != tag {
            return self.fail(&format!(
                "{} waits for its reply, this came: {text}",
                sent.tag
            ));
        }
        self.reply = Some(text.to_owned());
        let took = rt::now() - sent.at;
        let status = rest.split(' ').next().unwrap_or_default();
        let absent =
            rest.contains("[NONEXISTENT]") || rest.contains("[TRYCREATE]") && status == "NO";
        let calm = self.site.is_calm();
        // A megabyte takes its time where a backend reads slowly.
        let large = matches!(sent.what, What::Order) && self.site.large;
        let slow = large || !self.site.prompt || !self.leg.pace.1.is_zero();
        let prompt = calm && sent.alone && !slow;
        let wrong = match (&sent.what, status) {
            (_, "OK" | "NO" | "BAD") if took > super::client::REPLY_WITHIN * 6 => Some("too late"),
            (What::Nonsense | What::Known(_) | What::Login | What::Create(_) | What::Order, _)
                if prompt && took > super::client::PROMPT_WITHIN =>
            {
                Some("that took too long, with nothing wrong")
            }
            (What::Nonsense, status) => (status != "BAD").then_some("nonsense is no command"),
            (What::Gone(name), "OK") if !self.site.has(name) => Some("it isn't there"),
            (What::Gone(_), _) => (calm && !absent).then_some("it should say that it isn't there"),
            (What::Fetch { uids, .. }, "OK") if sent.bodies != *uids => Some("bodies are missing"),
            (What::Append { mailbox, messages }, "OK")
                if !messages
                    .iter()
                    .all(|message| self.site.has_message(mailbox, message.key)) =>
            {
                Some("it hasn't been appended")
            }
            (What::Known(name) | What::Append { mailbox: name, .. }, "NO")
                if absent && self.site.has(name) =>
            {
                Some("it is there")
            }
            (What::Known(name) | What::Append { mailbox: name, .. }, "NO")
                if !self.site.has(name) =>
            {
                None
            }
            (What::Create(name), "OK") if !self.site.has(name) => Some("it hasn't been made"),
            (What::Delete(name), "OK") if self.site.has(name) => Some("it is still there"),
            (What::List(names), "OK") => {
                let missing = names.iter().any(|name| !sent.listed.contains(name));
                (missing && calm).then_some("the list lacks a name")
            }
            (What::Perhaps, "NO" | "BAD") | (What::Order, "NO") | (_, "OK") => None,
            (_, "NO" | "BAD") => calm.then_some("nothing is wrong"),
            _ => Some("no status"),
        };
        if let Some(why) = wrong {
            self.fail(&format!("{:?} was answered {text}: {why}", sent.what));
        }
        self.learn(sent.what, status == "OK");
    }

    /// What a reply says about mailboxes of one's own making.
    fn learn(&mut self, what: What, ok: bool) {
        match what {
            What::Login => self.logged_in = ok,
            What::Create(name) if ok => self.made.push(name),
            What::Delete(name) => self.made.retain(|made| *made != name),
            _ => {}
        }
    }

    /// The connection is over, or silent: was that right?
    pub(crate) async fn ended(&mut self, gone: Gone) -> Over {
        let harm = self.site.world.harm(&self.leg.stream);
        self.note(&format!("ended: {gone:?}, {harm:?}"));
        if harm.is_some() {
            return Over;
        }
        let mut rest = [0; 4096];
        while let Ok(count @ 1..) = self.leg.stream.try_read(&mut rest) {
            self.leg.input.extend_from_slice(&rest[..count]);
        }
        // What has come meanwhile counts: answers, and BYE.
        while let Some((response, len)) = super::client::parse(&self.leg.input) {
            self.leg.input.drain(..len);
            let text = response.text.trim_end();
            if let Some(untagged) = text.strip_prefix("* ") {
                self.untagged(untagged, &response);
            } else if !text.starts_with('+') {
                self.tagged(text);
            }
        }
        // Within a response there is nothing else to do than to end.
        let torn = !self.leg.input.is_empty() && !self.site.is_calm();
        match gone {
            Gone::Late => self.fail(&format!(
                "no answer within {:?}",
                super::client::REPLY_WITHIN
            )),
            Gone::Closed | Gone::Broken if self.bye.is_some() || torn || self.is_slow() => {}
            Gone::Closed | Gone::Broken => self.fail("the connection ended without a word"),
        }
        Over
    }

    /// So slow that it may be given up.
    fn is_slow(&self) -> bool {
        self.leg.pace.0 < 100
    }

    /// The internal name of a mailbox of this user's.
    pub(crate) fn internal(&self, given: &str) -> String {
        internal(&self.user, given)
    }
}
