//! The selected mailbox's side of a copy to another server: which messages there are, what is known
//! of each, their bodies, and their removal.
//!
//! Every command is the frontend's own. Invariant: what its backend says that isn't an answer to it
//! (EXISTS, EXPUNGE, flags that others set) goes to the client.

use std::pin::pin;

use ravenry_core::client::{Client, PROGRESS_EVERY};
use ravenry_core::log::printable;
use ravenry_core::proto::imap::{Command, Fetch, StatusKind, Uids, is_body, status};
use ravenry_core::rt::{self, Instant};
use ravenry_core::tls;

use super::super::relay::{self, Relayed};
use super::super::{is_ok, is_tagged};
use crate::failure::Failure;
use crate::upstream::{OWN_TAG, Upstream, is_bye};

/// A set that falls into more ranges isn't copied to another server: each takes 8 bytes.
const RANGES_MAX: usize = 32 * 1024;
/// A set is sent in pieces of so many bytes: Cyrus dies of longer words than 128 KiB.
pub(super) const SET_BYTES_MAX: usize = 8 * 1024;
/// What is kept of a message's flags.
const FLAGS_BYTES_MAX: usize = 16 * 1024;

/// What is known of a message before its body is fetched.
pub(super) struct Message {
    pub(super) uid: u32,
    pub(super) size: u64,
    /// As APPEND takes them: `(\Seen $Label)`.
    pub(super) flags: Vec<u8>,
    /// As APPEND takes it, quotes included; empty if it isn't known.
    pub(super) date: Vec<u8>,
}

impl Message {
    pub(super) fn is_deleted(&self) -> bool {
        let flags = self.flags.strip_prefix(b"(").unwrap_or_default();
        let mut flags = flags
            .strip_suffix(b")")
            .unwrap_or_default()
            .split(|byte| *byte == b' ');
        flags.any(|flag| flag.eq_ignore_ascii_case(b"\\Deleted"))
    }
}

/// The selected mailbox's connection, and the client that its news go to.
pub(super) struct Source<'a> {
    pub(super) client: &'a mut Client,
    pub(super) up: &'a mut Upstream,
    /// It has given a body with its UID before it, so that several can be asked for at once.
    pub(super) named: bool,
    /// How far a copy has come, for a client that waits.
    pub(super) progress: Option<Progress>,
    /// Of the response that a body is in: `* 12 FETCH (`.
    begun: Vec<u8>,
}

/// Tells a client that waits how far a long copy has come.
pub(super) struct Progress {
    tag: Vec<u8>,
    total: u64,
    pub(super) done: u64,
    next: Instant,
}

impl Progress {
    pub(super) fn new(tag: &[u8], total: u64) -> Self {
        let next = rt::now() + PROGRESS_EVERY;
        Self {
            tag: tag.to_vec(),
            total,
            done: 0,
            next,
        }
    }

    async fn tell(&mut self, client: &mut Client) -> Result<(), Failure> {
        if rt::now() < self.next {
            return Ok(());
        }
        self.next = rt::now() + PROGRESS_EVERY;
        let of = Some((self.done, self.total));
        Ok(client.tell_progress(&self.tag, of, "Copying").await?)
    }
}

/// Waits for a part of a copy that may take long; between responses, so that the client can be told
/// meanwhile.
pub(super) async fn waiting<T>(
    client: &mut Client,
    progress: &mut Option<Progress>,
    part: impl Future<Output = T>,
) -> Result<T, Failure> {
    let Some(progress) = progress else {
        return Ok(part.await);
    };
    let mut part = pin!(part);
    loop {
        progress.tell(client).await?;
        if let Ok(done) = rt::timeout_at(progress.next, part.as_mut()).await {
            return Ok(done);
        }
    }
}

/// A response to one of our commands.
enum Got {
    Fetch(Vec<u8>),
    Tagged(Vec<u8>),
}

impl<'a> Source<'a> {
    pub(super) fn new(client: &'a mut Client, up: &'a mut Upstream) -> Self {
        Self {
            client,
            up,
            named: false,
            progress: None,
            begun: Vec::new(),
        }
    }

    /// The UIDs of the messages that a command names, or the backend's refusal.
    pub(super) async fn uids(
        &mut self,
        command: &Command<'_>,
        set: &[u8],
    ) -> Result<Result<Uids, Vec<u8>>, Failure> {
        let uid = if command.uid { "UID " } else { "" };
        // The size tells an answer from news, which have flags: an answer may have both.
        self.send(&[uid.as_bytes(), b"FETCH ", set, b" (UID RFC822.SIZE)"])
            .await?;
        let (mut uids, mut too_many) = (Uids::default(), false);
        loop {
            match self.got().await? {
                Got::Fetch(response) => {
                    let (uid, is_news) = answer(&response);
                    if let Some(uid) = uid {
                        too_many |= uids.ranges() > RANGES_MAX;
                        if !too_many {
                            uids.push(uid);
                        }
                    }
                    if is_news {
                        self.pass(&response).await?;
                    }
                }
                Got::Tagged(reply) if is_ok(&reply) => break,
                Got::Tagged(reply) => return Ok(Err(reply)),
            }
        }
        if too_many {
            return Err(Failure::coded(
                "LIMIT",
                format!(
                    "More than {RANGES_MAX} ranges of messages can't be copied to another server at once"
                ),
            ));
        }
        Ok(Ok(uids))
    }

    /// Asks for news, which go to the client: what is asked of a message later tells its flags to us,
    /// and its server then thinks that the client knows them.
    pub(super) async fn news(&mut self) -> Result<(), Failure> {
        match self.relayed(&[b"NOOP"]).await? {
            None => Ok(()),
            Some(reply) => Err(self.faulty(&reply)),
        }
    }

    /// What is known of these messages, in their order; those that are gone are left out.
    pub(super) async fn messages(&mut self, uids: &Uids) -> Result<Vec<Message>, Failure> {
        let set = uids.to_string();
        self.send(&[
            b"UID FETCH ",
            set.as_bytes(),
            b" (UID FLAGS INTERNALDATE RFC822.SIZE)",
        ])
        .await?;
        let wanted = uids.in_order();
        let is_wanted = |uid| {
            let at = wanted.partition_point(|(_, last)| *last < uid);
            wanted.get(at).is_some_and(|(first, _)| *first <= uid)
        };
        let mut messages: Vec<Message> = Vec::new();
        loop {
            match self.got().await? {
                Got::Fetch(response) => match message(&response) {
                    // One that is told of more often than asked for is none of ours.
                    Some(message) if messages.len() as u64 == uids.len() => {
                        return Err(self.faulty(format!("UID {} again", message.uid).as_bytes()));
                    }
                    Some(message) if is_wanted(message.uid) => messages.push(message),
                    Some(_) => {}
                    None => self.pass(&response).await?,
                },
                Got::Tagged(reply) if is_ok(&reply) => break,
                Got::Tagged(reply) => return Err(self.faulty(&reply)),
            }
        }
        messages.sort_unstable_by_key(|message| message.uid);
        let find = |uid| {
            messages
                .binary_search_by_key(&uid, |message| message.uid)
                .ok()
        };
        let order: Vec<usize> = uids.iter().filter_map(find).collect();
        let mut messages: Vec<Option<Message>> = messages.into_iter().map(Some).collect();
        Ok(order
            .into_iter()
            .filter_map(|at| messages[at].take())
            .collect())
    }

    /// Asks for bodies, which then come one by one, in any order ([`Self::body`]).
    pub(super) async fn ask(&mut self, messages: &[Message]) -> Result<(), Failure> {
        let uids: Uids = messages.iter().map(|message| message.uid).collect();
        let set = uids.to_string();
        self.send(&[b"UID FETCH ", set.as_bytes(), b" (UID BODY.PEEK[])"])
            .await
    }

    /// Reads up to the next body that was asked for: the message's UID, where it stands before the
    /// body, and the body's size; `None`: there are no more, those that are missing are gone.
    pub(super) async fn body(&mut self) -> Result<Option<(Option<u32>, u64)>, Failure> {
        loop {
            let (line, literal) = self.up.first_line().await.map_err(Failure::Backend)?;
            match literal {
                Some((marker, size)) if is_body(&line[..marker]) => {
                    let line = &line[..marker];
                    self.tell_flags(line).await?;
                    return Ok(Some((uid_before(line), size)));
                }
                _ => {}
            }
            let mut response = line;
            if let Some((_, size)) = literal {
                let rest = self.up.rest_of_response(size).await;
                response.extend(rest.map_err(Failure::Backend)?);
            }
            match self.sorted(response).await? {
                // A body in another form than a literal is of no use, and not the client's.
                Some(Got::Fetch(response)) if has_body(&response) => {}
                Some(Got::Fetch(response)) => self.pass(&response).await?,
                Some(Got::Tagged(reply)) if is_ok(&reply) => return Ok(None),
                Some(Got::Tagged(reply)) => return Err(self.faulty(&reply)),
                None => {}
            }
        }
    }

    /// There are no more bodies of those that were asked for: the command is over.
    pub(super) async fn over(&mut self) -> Result<(), Failure> {
        while let Some((_, size)) = self.body().await? {
            self.drop_body(size).await?;
        }
        Ok(())
    }

    /// Drops a body of which `left` bytes are still to come.
    pub(super) async fn drop_body(&mut self, left: u64) -> Result<(), Failure> {
        let here = self.up.input.here().len();
        let here = usize::try_from(left).map_or(here, |left| left.min(here));
        self.up.input.skip(here);
        let discarded =
            tls::discard_exact(&self.up.stream, left - here as u64, self.client.stall());
        discarded
            .await
            .map_err(|error| Failure::Backend(self.up.fault(error)))?;
        self.body_done().await
    }

    /// Behind a body: the rest of its response.
    pub(super) async fn body_done(&mut self) -> Result<(), Failure> {
        self.up.scanner.literal_done();
        let rest = self.up.response().await.map_err(Failure::Backend)?;
        let rest = [&self.begun[..], rest.trim_ascii_start()].concat();
        self.pass_flags(&rest).await
    }

    /// Flags that others set may come with a body that we asked for: before it, or behind it.
    async fn tell_flags(&mut self, before: &[u8]) -> Result<(), Failure> {
        let begun = memchr::memchr(b'(', before).map_or(0, |at| at + 1);
        self.begun = before[..begun].to_vec();
        let items = before.len().saturating_sub("BODY[] ".len());
        let whole = [before[..items].trim_ascii_end(), b")\r\n"].concat();
        self.pass_flags(&whole).await
    }

    async fn pass_flags(&mut self, response: &[u8]) -> Result<(), Failure> {
        let fetch = Fetch::read(response.trim_ascii_end());
        if fetch.is_some_and(|fetch| fetch.get("FLAGS").is_some()) {
            self.pass(response).await?;
        }
        Ok(())
    }

    /// Removes messages: \Deleted, and an EXPUNGE of no others. After a refusal those that are still there
    /// have no \Deleted that they hadn't before.
    pub(super) async fn remove(
        &mut self,
        uids: &Uids,
        deleted: &Uids,
    ) -> Result<Option<Vec<u8>>, Failure> {
        let mut refusal = self
            .in_pieces("STORE", uids, " +FLAGS.SILENT (\\Deleted)")
            .await?;
        if refusal.is_none() {
            refusal = self.in_pieces("EXPUNGE", uids, "").await?;
        }
        if refusal.is_some() {
            let ours = uids.without(deleted);
            self.in_pieces("STORE", &ours, " -FLAGS.SILENT (\\Deleted)")
                .await?;
        }
        Ok(refusal)
    }

    /// Carries out a UID command for all messages, up to a refusal.
    async fn in_pieces(
        &mut self,
        command: &str,
        uids: &Uids,
        rest: &str,
    ) -> Result<Option<Vec<u8>>, Failure> {
        for piece in uids.pieces(SET_BYTES_MAX) {
            let line = format!("UID {command} {piece}{rest}");
            let refusal = self.relayed(&[line.as_bytes()]).await?;
            if refusal.is_some() {
                return Ok(refusal);
            }
        }
        Ok(None)
    }

    /// Carries out a command whose untagged responses are all the client's; gives a refusal.
    async fn relayed(&mut self, parts: &[&[u8]]) -> Result<Option<Vec<u8>>, Failure> {
        self.send(parts).await?;
        match relay::relay(self.client, self.up, OWN_TAG).await? {
            Relayed::Tagged(reply) => Ok(Some(reply).filter(|reply| !is_ok(reply))),
            Relayed::Continuation(line) => Err(self.faulty(&line)),
        }
    }

    async fn send(&mut self, parts: &[&[u8]]) -> Result<(), Failure> {
        let command = [&[OWN_TAG, b" "], parts, &[b"\r\n"]].concat().concat();
        self.up.write(&command).await.map_err(Failure::Backend)
    }

    /// The next response that isn't news.
    async fn got(&mut self) -> Result<Got, Failure> {
        loop {
            let response = self.up.response().await.map_err(Failure::Backend)?;
            if let Some(got) = self.sorted(response).await? {
                return Ok(got);
            }
        }
    }

    /// What a response is; news are passed on.
    async fn sorted(&mut self, response: Vec<u8>) -> Result<Option<Got>, Failure> {
        rt::yield_now().await;
        if is_tagged(&response, OWN_TAG) {
            return Ok(Some(Got::Tagged(response)));
        }
        if !response.starts_with(b"* ") || is_bye(&response) {
            return Err(self.faulty(&response));
        }
        if Fetch::read(response.trim_ascii_end()).is_some() {
            return Ok(Some(Got::Fetch(response)));
        }
        // A warning about our own command would make no sense to the client.
        let own = status(&response).is_some_and(|status| status.kind == StatusKind::No);
        if !own {
            self.pass(&response).await?;
        }
        Ok(None)
    }

    async fn pass(&mut self, response: &[u8]) -> Result<(), Failure> {
        self.client.push(response);
        Ok(self.client.flush_if_large().await?)
    }

    fn faulty(&self, response: &[u8]) -> Failure {
        Failure::Backend(self.up.fault(format_args!("said {}", printable(response))))
    }
}

fn number(response: &[u8], item: &str) -> Option<u32> {
    let number = Fetch::read(response.trim_ascii_end())?.number(item)?;
    u32::try_from(number).ok().filter(|number| *number > 0)
}

/// The UID in `* 12 FETCH (UID 7 BODY[] `, or in `* 7 UIDFETCH (BODY[] `.
fn uid_before(line: &[u8]) -> Option<u32> {
    let items = line.len().checked_sub("BODY[] ".len())?;
    let whole = [line[..items].trim_ascii_end(), b")"].concat();
    number(&whole, "UID")
}

/// Of a FETCH response to [`Source::uids`]: the UID if it is an answer, and whether it tells the client news.
fn answer(response: &[u8]) -> (Option<u32>, bool) {
    let Some(fetch) = Fetch::read(response.trim_ascii_end()) else {
        return (None, true);
    };
    let uid = fetch
        .get("RFC822.SIZE")
        .and_then(|_| number(response, "UID"));
    (uid, uid.is_none() || fetch.get("FLAGS").is_some())
}

fn has_body(response: &[u8]) -> bool {
    let fetch = Fetch::read(response.trim_ascii_end());
    fetch.is_some_and(|fetch| fetch.get("BODY[]").is_some())
}

/// The answer to [`Source::messages`]; flags that others set have no size with them.
fn message(response: &[u8]) -> Option<Message> {
    let fetch = Fetch::read(response.trim_ascii_end())?;
    Some(Message {
        uid: u32::try_from(fetch.number("UID")?).ok()?,
        size: fetch.number("RFC822.SIZE")?,
        flags: flags(fetch.get("FLAGS")?),
        date: fetch
            .get("INTERNALDATE")
            .filter(|date| is_date(date))
            .unwrap_or_default()
            .to_vec(),
    })
}

/// A flag list for APPEND: \Recent is the server's own.
fn flags(list: &[u8]) -> Vec<u8> {
    let list = list
        .strip_prefix(b"(")
        .and_then(|list| list.strip_suffix(b")"));
    let plain = |byte: &u8| byte.is_ascii_graphic() && !b"(){%*\"".contains(byte);
    let kept: Vec<&[u8]> = list
        .unwrap_or_default()
        .split(|byte| *byte == b' ')
        .filter(|flag| !flag.is_empty() && flag.iter().all(plain))
        .filter(|flag| !flag.eq_ignore_ascii_case(b"\\Recent"))
        .scan(FLAGS_BYTES_MAX, |room, flag| {
            *room = room.checked_sub(flag.len() + 1)?;
            Some(flag)
        })
        .collect();
    [b"(", &kept.join(&b' ')[..], b")"].concat()
}

/// Whether it can be given to APPEND as it is.
fn is_date(date: &[u8]) -> bool {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b" :+-".contains(byte);
    let inner = date
        .strip_prefix(b"\"")
        .and_then(|date| date.strip_suffix(b"\""));
    inner.is_some_and(|inner| !inner.is_empty() && inner.iter().all(plain))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_append_takes_is_made_of_what_fetch_gives() {
        let whole = b"* 3 FETCH (UID 7 FLAGS (\\Recent \\Seen $x) INTERNALDATE \" 1-Jan-2024 00:00:00 +0000\" RFC822.SIZE 12)\r\n";
        let got = message(whole).expect("a message");
        assert_eq!(
            (got.uid, got.size, got.flags),
            (7, 12, b"(\\Seen $x)".to_vec())
        );
        assert_eq!(got.date, b"\" 1-Jan-2024 00:00:00 +0000\"");
        assert!(
            message(b"* 3 FETCH (UID 7 FLAGS (\\Seen))\r\n").is_none(),
            "news"
        );
        let odd = message(
            b"* 3 FETCH (UID 7 FLAGS (a{1 \\Deleted) INTERNALDATE \"x\\\"\" RFC822.SIZE 1)",
        )
        .expect("one");
        assert!(odd.date.is_empty() && odd.flags == b"(\\Deleted)" && odd.is_deleted());
        assert!(!got_flags("()").is_deleted() && !got_flags("(\\Deletedx)").is_deleted());
    }

    #[test]
    fn a_uid_before_a_body_is_read() {
        assert_eq!(uid_before(b"* 12 FETCH (UID 7 BODY[] "), Some(7));
        assert_eq!(
            uid_before(b"* 12 FETCH (FLAGS (\\Seen) UID 7 BODY[] "),
            Some(7)
        );
        assert_eq!(uid_before(b"* 7 UIDFETCH (BODY[] "), Some(7));
        assert_eq!(uid_before(b"* 12 FETCH (BODY[] "), None);
    }

    #[test]
    fn an_answer_may_be_news_too() {
        for (response, uid, is_news) in [
            ("* 1 FETCH (UID 7 RFC822.SIZE 9)", Some(7), false),
            (
                "* 1 FETCH (FLAGS (\\Seen) UID 7 RFC822.SIZE 9)",
                Some(7),
                true,
            ),
            ("* 1 FETCH (UID 7 MODSEQ (9))", None, true),
            ("* 1 FETCH (FLAGS ())", None, true),
            ("* 7 UIDFETCH (RFC822.SIZE 9)", Some(7), false),
        ] {
            assert_eq!(
                answer(format!("{response}\r\n").as_bytes()),
                (uid, is_news),
                "{response}"
            );
        }
    }

    fn got_flags(flags: &str) -> Message {
        Message {
            uid: 1,
            size: 1,
            flags: flags.into(),
            date: Vec::new(),
        }
    }
}
