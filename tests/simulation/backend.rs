//! A backend: connections, logins, framing of commands, and what it does wrong on purpose. What the
//! commands answer is in `commands`.

use std::rc::Rc;
use std::time::Duration;

use ravenry_core::proto::sasl;
use ravenry_core::rt::{self, Address, Instant, Listener};

use crate::dice;
use crate::hostile::{self, Lie};
use crate::leg::{Gone, Leg, literal};
use crate::messages::{OWN_TAG, Opened};
use crate::others;
use crate::site::Site;

pub(crate) const MISDEEDS: [&str; 13] = [
    "backend: down for a while",
    "backend: BYE for a greeting",
    "backend: no greeting",
    "backend: refuses the login",
    "backend: no answer to the login",
    "backend: BYE unasked",
    "backend: closes before a reply",
    "backend: hangs before a reply",
    "backend: closes within a response",
    "backend: hangs within a response",
    "backend: refuses a command",
    "backend: BYE for a reply",
    "backend: refuses a message",
];
pub(crate) const RESTARTS: &str = "backend: restarts";
pub(crate) const REFUSES_REMOVAL: &str = "backend: refuses to remove messages";
const IDLE: &str = "backend: ends an idle connection";
const IDLE_SLOW: &str = "backend: ends an idle connection, on a slow network";
const IDLE_WITHIN: Duration = Duration::from_secs(25);
/// How long a backend is down at most.
const DOWN: [Duration; 2] = [Duration::from_secs(4), Duration::from_secs(30)];
const PATIENCE: Duration = Duration::from_secs(600);

/// What this backend can do.
#[derive(Clone, Copy)]
pub(crate) struct Able {
    literals: bool,
    initial_response: bool,
    announces: bool,
    unselect: bool,
    idle: bool,
    pub(crate) multiappend: bool,
    pub(crate) uidplus: bool,
    pub(crate) condstore: bool,
    /// The UID stands before a body.
    pub(crate) uid_first: bool,
    /// ENABLE, CONDSTORE and QRESYNC: all backends or none.
    pub(crate) qresync: bool,
    /// What it lies about, if it does.
    pub(crate) lie: Option<Lie>,
}

impl Able {
    pub(crate) fn any() -> Self {
        Self {
            literals: dice::percent(70),
            initial_response: dice::percent(70),
            announces: dice::percent(70),
            unselect: dice::percent(80),
            idle: dice::percent(90),
            multiappend: dice::percent(60),
            uidplus: dice::percent(90),
            condstore: dice::percent(50),
            uid_first: dice::percent(70),
            qresync: false,
            lie: None,
        }
    }

    pub(crate) fn lies(&mut self, lie: Lie) {
        self.lie = Some(lie);
        // Only who is asked for leave can answer too soon.
        self.literals &= lie != Lie::OkTooSoon;
    }

    fn list(self) -> String {
        let mut list = "CAPABILITY IMAP4rev1 AUTH=PLAIN".to_owned();
        for (able, name) in [
            (self.literals, " LITERAL+"),
            (self.initial_response, " SASL-IR"),
            (self.unselect, " UNSELECT"),
            (self.idle, " IDLE"),
            (self.multiappend, " MULTIAPPEND"),
            (self.uidplus, " UIDPLUS"),
            (self.condstore, " CONDSTORE"),
            (self.qresync, " ENABLE QRESYNC"),
        ] {
            if able {
                list.push_str(name);
            }
        }
        list
    }
}

pub(crate) struct Connection {
    pub(crate) site: Rc<Site>,
    pub(crate) number: usize,
    leg: Leg,
    pub(crate) user: String,
    pub(crate) selected: Option<Opened>,
    /// What has gone is told by VANISHED (RFC 7162).
    pub(crate) vanishes: bool,
    /// What goes wrong, and how many commands later.
    fate: Option<(usize, u64)>,
}

pub(crate) async fn serve(site: Rc<Site>, number: usize, address: Address) {
    loop {
        let listener = Listener::bind(&address).unwrap();
        // Where it goes down, its connections go with it or stay.
        let down =
            dice::percent(site.backends_err).then(|| rt::now() + dice::time(site.up_at_most));
        let restarts = down.filter(|_| site.keeps_ledger() || dice::percent(50));
        let accepting = async {
            loop {
                if let Ok((stream, _)) = listener.accept().await {
                    let leg = Leg::new(stream, PATIENCE);
                    let connection = Connection::new(Rc::clone(&site), number, leg);
                    rt::spawn(connection.run(restarts));
                }
            }
        };
        let Some(down) = down else {
            return accepting.await;
        };
        let _ = rt::timeout_at(down, accepting).await;
        drop(listener);
        site.misdeed(MISDEEDS[0]);
        if restarts.is_some() {
            site.misdeed(RESTARTS);
            others::while_down(&site, number);
        }
        rt::sleep(dice::time(dice::one_of(&DOWN))).await;
    }
}

impl Connection {
    fn new(site: Rc<Site>, number: usize, mut leg: Leg) -> Self {
        let fate = dice::percent(site.backends_err).then(|| {
            // The last two need more luck to come to pass.
            let which = usize::try_from(1 + dice::below(14)).expect("small");
            let which = if which > 12 {
                12 - 7 * (which - 13)
            } else {
                which
            };
            (which, dice::below(8))
        });
        if dice::percent(10) {
            leg.pace = (
                dice::one_of(&[700, 9000]),
                Duration::from_millis(dice::below(8)),
            );
        }
        Self {
            site,
            number,
            leg,
            user: String::new(),
            selected: None,
            vanishes: false,
            fate,
        }
    }

    /// Until the backend goes down, if it does.
    async fn run(mut self, down: Option<Instant>) {
        let Some(down) = down else {
            let _ = self.converse().await;
            return;
        };
        let _ = rt::timeout_at(down, self.converse()).await;
    }

    pub(crate) fn able(&self) -> Able {
        self.site.able[self.number]
    }

    /// What it lies about in this answer, if it does.
    pub(crate) fn hostility(&self, about: &str) -> Option<Lie> {
        self.able().lie.filter(|lie| hostile::concerns(*lie, about))
    }

    /// Whether it goes wrong now in this way.
    fn errs(&mut self, which: usize) -> bool {
        let now = self.fate.is_some_and(|(fate, after)| {
            fate == which && (after == 0 || which <= 5 || which == 12)
        });
        if now {
            self.fate = None;
            self.site.misdeed(MISDEEDS[which]);
        }
        now
    }

    async fn converse(&mut self) -> Result<(), Gone> {
        if self.errs(1) {
            return self.leg.send(b"* BYE too many\r\n").await;
        }
        if self.errs(2) {
            self.leg.until_closed().await;
            return Ok(());
        }
        let announced = if self.able().announces {
            format!("[{}] ", self.able().list())
        } else {
            String::new()
        };
        let greeting = format!("* OK {announced}backend ready\r\n");
        self.leg.send(greeting.as_bytes()).await?;
        loop {
            let Some((tag, words)) = self.next_command().await? else {
                return Ok(());
            };
            if let Some((_, after)) = &mut self.fate {
                *after = after.saturating_sub(1);
            }
            let (mut answer, ends) = self.carry_out(&tag, &words).await?;
            if self.errs(5 + 1) {
                return Ok(());
            }
            if self.errs(7) {
                self.leg.until_closed().await;
                return Ok(());
            }
            if self.errs(8) || self.errs_late(9) {
                let part = dice::below(answer.len() as u64);
                answer.truncate(usize::try_from(part).expect("small"));
                self.leg.send(&answer).await?;
                if self.fate.take().is_some() {
                    self.leg.until_closed().await;
                }
                return Ok(());
            }
            if self.errs(11) {
                return self.leg.send(b"* BYE going down\r\n").await;
            }
            self.leg.send(&answer).await?;
            if ends {
                return Ok(());
            }
        }
    }

    /// Like `errs`, for what goes on after the answer's first part.
    fn errs_late(&mut self, which: usize) -> bool {
        let now = self.errs(which);
        if now {
            self.fate = Some((which, u64::MAX));
        }
        now
    }

    /// The next command: its tag, and its words. None: the connection is over.
    async fn next_command(&mut self) -> Result<Option<(String, Vec<Vec<u8>>)>, Gone> {
        loop {
            if self.selected.is_none() {
                if self.has_been_idle().await? {
                    return Ok(None);
                }
                break;
            }
            let quiet = dice::time(Duration::from_secs(4));
            if !self.leg.input.is_empty()
                || rt::timeout(quiet, self.leg.stream.readable()).await.is_ok()
            {
                break;
            }
            if self.errs(5) {
                self.leg.send(b"* BYE idle\r\n").await?;
                return Ok(None);
            }
            self.tell_news(false).await?;
        }
        let mut line = self.leg.line().await?;
        let (mut words, mut text) = (Vec::new(), Vec::new());
        loop {
            let announced = literal(&line);
            let end = announced.map_or(line.len() - 2, |_| {
                line.iter().rposition(|byte| *byte == b'{').unwrap_or(0)
            });
            text.extend_from_slice(&line[..end]);
            split(&mut words, &text);
            text.clear();
            let Some((size, sync)) = announced else { break };
            if sync {
                if self.refuses_message(&words) {
                    let tag = String::from_utf8_lossy(&words[0]).into_owned();
                    self.leg
                        .send(format!("{tag} NO [OVERQUOTA] too large\r\n").as_bytes())
                        .await?;
                    return Box::pin(self.next_command()).await;
                }
                if let Some(lie) = self.lies_in_append(&words) {
                    hostile::told(&self.site, lie);
                    let tag = String::from_utf8_lossy(&words[0]).into_owned();
                    let reply = format!("{tag} OK [APPENDUID 7 1] done\r\n");
                    self.leg.send(reply.as_bytes()).await?;
                    return Box::pin(self.next_command()).await;
                }
                self.leg.send(b"+ go ahead\r\n").await?;
            }
            words.push(self.leg.exact(size).await?);
            line = self.leg.line().await?;
        }
        if words.len() < 2 {
            let said = words.concat().escape_ascii().to_string();
            self.site.world.fail(format!("a backend was sent {said}"));
            return Err(Gone::Broken);
        }
        let tag = String::from_utf8_lossy(&words.remove(0)).into_owned();
        Ok(Some((tag, words)))
    }

    fn lies_in_append(&self, words: &[Vec<u8>]) -> Option<Lie> {
        let verb = words.get(1)?;
        verb.eq_ignore_ascii_case(b"APPEND").then_some(())?;
        self.hostility("APPEND")
    }

    /// Nothing is selected, and nothing comes: servers end such connections. Nobody should notice,
    /// unless the end is under way for long.
    async fn has_been_idle(&mut self) -> Result<bool, Gone> {
        let quiet = self.leg.input.is_empty() && !self.user.is_empty();
        if !quiet
            || rt::timeout(IDLE_WITHIN, self.leg.stream.readable())
                .await
                .is_ok()
        {
            return Ok(false);
        }
        self.site.world.count(IDLE);
        if !self.site.prompt {
            self.site.misdeed(IDLE_SLOW);
        }
        if dice::percent(50) {
            self.leg.send(b"* BYE idle for too long\r\n").await?;
        }
        Ok(true)
    }

    fn refuses_message(&mut self, words: &[Vec<u8>]) -> bool {
        words
            .get(1)
            .is_some_and(|verb| verb.eq_ignore_ascii_case(b"APPEND"))
            && self.errs(12)
    }

    /// A removal of the frontend's own is refused; that a mark is taken off again is not.
    fn refuses_removal(&self, tag: &str, words: &[Vec<u8>]) -> bool {
        let text = words.join(&b' ');
        let removes = [&b"UID EXPUNGE"[..], b"+FLAGS.SILENT (\\Deleted)"]
            .iter()
            .any(|part| text.windows(part.len()).any(|window| window == *part));
        let refuses = tag == OWN_TAG && removes && self.site.backends_err > 0 && dice::percent(5);
        if refuses {
            self.site.misdeed(REFUSES_REMOVAL);
        }
        refuses
    }

    /// Says something unasked; `idles`: in IDLE, where all may be told.
    async fn tell_news(&mut self, idles: bool) -> Result<(), Gone> {
        let Some(opened) = &mut self.selected else {
            return Ok(());
        };
        // Over a connection that is dead in the other direction the kernel would soon give up; here
        // the news would go on for ever, and each renews the frontend's patience.
        if self.site.world.harm(&self.leg.stream).is_some() {
            return Ok(());
        }
        let mut news = Vec::new();
        opened.tell(&self.site, idles.then_some(self.vanishes), &mut news);
        if news.is_empty() {
            let held = self.site.first_flags(opened);
            match held.filter(|_| dice::percent(50)) {
                Some((number, uid, flags)) => {
                    // With QRESYNC each FETCH response has the UID.
                    let uid = if self.vanishes {
                        format!("UID {uid} ")
                    } else {
                        String::new()
                    };
                    news = format!("* {number} FETCH ({uid}FLAGS {flags})\r\n").into_bytes();
                }
                None => news = b"* OK [ALERT] still here\r\n".to_vec(),
            }
        }
        self.leg.send(&news).await
    }

    /// What a command answers, and whether that was the last.
    async fn carry_out(&mut self, tag: &str, words: &[Vec<u8>]) -> Result<(Vec<u8>, bool), Gone> {
        let verb = String::from_utf8_lossy(&words[0]).to_ascii_uppercase();
        let answer = match verb.as_str() {
            "AUTHENTICATE" => self.authenticate(tag, words).await?,
            "CAPABILITY" => format!("* {}\r\n{tag} OK done\r\n", self.able().list()).into_bytes(),
            "LOGOUT" => format!("* BYE bye\r\n{tag} OK done\r\n").into_bytes(),
            _ if self.user.is_empty() => {
                self.site
                    .world
                    .fail(format!("{verb} before the login at a backend"));
                Vec::new()
            }
            "IDLE" if self.able().idle => self.idle(tag).await?,
            "UNSELECT" if self.able().unselect => {
                self.selected = None;
                format!("{tag} OK done\r\n").into_bytes()
            }
            "UID" if self.refuses_removal(tag, words) => {
                format!("{tag} NO [NOPERM] not that\r\n").into_bytes()
            }
            _ if self.errs(10) => format!("{tag} NO [SERVERBUG] not today\r\n").into_bytes(),
            _ => self.answer(tag, &verb, words),
        };
        Ok((answer, verb == "LOGOUT"))
    }

    async fn authenticate(&mut self, tag: &str, words: &[Vec<u8>]) -> Result<Vec<u8>, Gone> {
        assert!(words[1].eq_ignore_ascii_case(b"PLAIN"));
        let response = match words.get(2) {
            Some(initial) => initial.clone(),
            None => {
                self.leg.send(b"+ \r\n").await?;
                self.leg.line().await?.trim_ascii_end().to_vec()
            }
        };
        let plain = sasl::response(&response).expect("base64");
        let plain = sasl::Plain::decode(plain.expose()).expect("SASL PLAIN");
        assert_eq!(
            (plain.authcid.as_slice(), plain.password.expose()),
            (&b"mailproxy"[..], &b"proxypw"[..])
        );
        if self.errs(3) {
            return Ok(format!("{tag} NO authentication failure\r\n").into_bytes());
        }
        if self.errs(4) {
            self.leg.until_closed().await;
            return Err(Gone::Closed);
        }
        self.user = String::from_utf8(plain.authzid).expect("a user");
        let announced = if self.able().announces {
            format!("[{}] ", self.able().list())
        } else {
            String::new()
        };
        Ok(format!("{tag} OK {announced}Success\r\n").into_bytes())
    }

    async fn idle(&mut self, tag: &str) -> Result<Vec<u8>, Gone> {
        self.leg.send(b"+ idling\r\n").await?;
        loop {
            let quiet = dice::time(Duration::from_secs(5));
            match rt::timeout(quiet, self.leg.line()).await {
                Ok(line) => {
                    let line = line?;
                    if line != b"DONE\r\n" {
                        let said = line.escape_ascii().to_string();
                        self.site
                            .world
                            .fail(format!("a backend in IDLE was sent {said}"));
                    }
                    return Ok(format!("{tag} OK idle done\r\n").into_bytes());
                }
                Err(_) => self.tell_news(true).await?,
            }
        }
    }
}

/// Splits text into words: quoted strings without their quotes, lists with their parentheses.
fn split(words: &mut Vec<Vec<u8>>, text: &[u8]) {
    let (mut word, mut quoted, mut depth, mut any) = (Vec::new(), false, 0, false);
    for &byte in text {
        match byte {
            b'"' => (quoted, any) = (!quoted, true),
            b' ' if !quoted && depth == 0 => {
                if any {
                    words.push(std::mem::take(&mut word));
                }
                any = false;
            }
            _ => {
                depth += i32::from(byte == b'(' || byte == b'[')
                    - i32::from(byte == b')' || byte == b']');
                word.push(byte);
                any = true;
            }
        }
    }
    if any {
        words.push(word);
    }
}
