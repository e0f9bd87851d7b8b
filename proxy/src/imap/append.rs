//! APPEND (RFC 3501 section 6.3.11, RFC 3502 MULTIAPPEND, RFC 3516 literal8, RFC 4469 CATENATE,
//! RFC 6855 UTF8) and REPLACE (RFC 8508), streamed.
//!
//! The command is handed over as soon as a message is announced. From there on two things are
//! kept: the client is told to go on only when the backend has said so, and a client that doesn't
//! wait to be asked is read to the end of its command whatever happens, so that it stays in step
//! and gets its one reply. Messages go from socket to socket.

use std::rc::Rc;

use ravenry_core::client::{Client, Left, MALFORMED};
use ravenry_core::mailboxes::Name;
use ravenry_core::proto::imap::encode::Request;
use ravenry_core::proto::imap::{
    self, AppendHead, Command, Follows, Literals, Part, Verb, append_follows,
};
use ravenry_core::rt::{self, RelayError};
use ravenry_core::tls;
use ravenry_core::wire::imap::Literal;

use super::enable::Enabled;
use super::relay::{self, Relayed};
use super::selected;
use super::session::Session;
use super::upstreams::send;
use super::{across, is_ok};
use crate::failure::{End, Failure};
use crate::upstream::Upstream;

/// An APPEND or REPLACE that announced no literal: a message put together of others (RFC 4469), or
/// nothing at all.
pub(crate) async fn without_literal(
    session: &mut Session,
    command: &Command<'_>,
) -> Result<(), Failure> {
    let head = AppendHead::parse(command)?;
    let Some(Follows::End(part)) = append_follows(head.options, None) else {
        return Err(Failure::bad("Missing message literal"));
    };
    let mut replaced = None;
    match at_once(session, command, (&head, part), &mut replaced).await {
        Err(Failure::Moved) => {
            let again = at_once(session, command, (&head, part), &mut replaced).await;
            again.map_err(Failure::final_word)
        }
        done => done,
    }
}

/// The whole of a command without literals.
async fn at_once(
    session: &mut Session,
    command: &Command<'_>,
    (head, part): (&AppendHead<'_>, Part),
    replaced: &mut Option<across::Replaced>,
) -> Result<(), Failure> {
    let way = way(session, command, head, replaced).await?;
    permitted(session, way.index, part)?;
    let mut request = begin(command, &way, head, Literals::Sync)?;
    request.end();
    let reply = session
        .forward_named(way.index, &request, command.tag, &way.name)
        .await?;
    answer(session, command.tag, &reply, replaced.as_ref()).await
}

/// Carries out an APPEND or REPLACE whose first message `head` has just announced.
pub(crate) async fn run(session: &mut Session, head: &[u8], literal: Literal) -> Result<(), End> {
    session.fe.desk.metrics.commands_append.add(1);
    session.commands += 1;
    let mut left = Left::Literal(literal);
    let command = match imap::command(head) {
        Ok(command) => command,
        Err(bad) => {
            let tag = bad.tag.unwrap_or(b"*");
            return refuse(session, tag, Failure::bad(bad.text), left).await;
        }
    };
    let (mut again, mut replaced) = (true, None);
    loop {
        match append(session, &command, &mut left, &mut replaced).await {
            Ok(()) => return session.command_done().await,
            // Only where the client's message hasn't been touched.
            Err(Failure::Moved) if again => again = false,
            Err(failure) => return refuse(session, command.tag, failure, left).await,
        }
    }
}

/// Reads the rest of the client's command, and answers with the failure.
async fn refuse(
    session: &mut Session,
    tag: &[u8],
    failure: Failure,
    left: Left,
) -> Result<(), End> {
    let drained = match &failure {
        Failure::Client(_) | Failure::Fatal(_) | Failure::Ended(_) | Failure::Torn(_) => Ok(()),
        _ if session.user.is_some() => session.client.drain(left).await.map_err(Failure::from),
        _ => drain_stranger(session, left).await,
    };
    session
        .conclude(tag, drained.err().unwrap_or(failure))
        .await
}

/// The same before login, which it doesn't prolong.
async fn drain_stranger(session: &mut Session, left: Left) -> Result<(), Failure> {
    let deadline = session.input_deadline();
    match rt::timeout_at(deadline, session.client.drain(left)).await {
        Ok(drained) => Ok(drained?),
        Err(_elapsed) => Err(Failure::Ended(session.timed_out().await)),
    }
}

async fn append(
    session: &mut Session,
    command: &Command<'_>,
    left: &mut Left,
    replaced: &mut Option<across::Replaced>,
) -> Result<(), Failure> {
    session.logged_in()?;
    if command.verb == Verb::LocalAppend {
        // What frontends say to backends.
        return Err(Failure::bad("Unrecognized command"));
    }
    let head = AppendHead::parse(command)?;
    let Some(Follows::Literal(part)) = append_follows(head.options, None) else {
        return Err(Failure::bad("Invalid flags, date or kind of message"));
    };
    if part == Part::Message && matches!(left, Left::Literal(literal) if literal.size == 0) {
        // RFC 3502: to be refused. Cyrus does that too, and takes the end of the line for a command.
        return Err(Failure::coded("CANNOT", "Zero-length message literal"));
    }
    let way = way(session, command, &head, replaced).await?;
    permitted(session, way.index, part)?;
    session.fe.desk.metrics.commands_forwarded.add(1);
    let literals = literals(&session.upstreams[way.index], left, part);
    let request = begin(command, &way, &head, literals)?;
    let enabled = session.enabled;
    let (client, up) = (&mut session.client, &mut session.upstreams[way.index]);
    let mut transfer = Transfer {
        up,
        tag: command.tag,
        enabled,
        part,
        taken: false,
    };
    let reply = transfer.run(client, request, left).await?;
    let taken = transfer.taken;
    let server = Rc::clone(&session.upstreams[way.index].server);
    match session.confirm(&reply, &way.name, &server).await {
        // The message is gone already.
        Err(Failure::Moved) if taken => Err(Failure::unavailable(
            "The mailbox has moved to another server, try again",
        )),
        confirmed => confirmed,
    }?;
    session
        .client
        .drain(std::mem::replace(left, Left::Nothing))
        .await?;
    answer(session, command.tag, &reply, replaced.as_ref()).await
}

/// Where a message goes, and how.
struct Way {
    index: usize,
    /// The mailbox.
    name: Name,
    /// The command to the server.
    verb: Verb,
}

/// The connection of the mailbox that the message goes to. What REPLACE puts it in the place of is
/// in the selected mailbox (RFC 8508); where the server doesn't do that by itself it is `replaced`, found
/// once: a command that begins anew means the same message, whatever its number is by now.
async fn way(
    session: &mut Session,
    command: &Command<'_>,
    head: &AppendHead<'_>,
    replaced: &mut Option<across::Replaced>,
) -> Result<Way, Failure> {
    if head.replaced.is_some() {
        selected::selected(session)?;
    }
    let name = session.internal(&head.mailbox)?;
    let server = session.target(&name).await?;
    if head.replaced.is_none() {
        session.refer(&server, &name)?;
    }
    let mut way = Way {
        index: 0,
        name,
        verb: command.verb,
    };
    if let Some(set) = head.replaced
        && (replaced.is_some() || !replaces_itself(session, &server))
    {
        if replaced.is_none() {
            *replaced = Some(across::replaced(session, command, set).await?);
        }
        way.verb = Verb::Append;
    }
    way.index = session.upstream(&server, &way.name).await?;
    Ok(way)
}

/// Whether `server` has the selected mailbox, and REPLACE.
fn replaces_itself(session: &Session, server: &Rc<str>) -> bool {
    let selected = session
        .selected_index()
        .map(|index| &session.upstreams[index]);
    selected.is_some_and(|up| up.server == *server && up.capabilities.has("REPLACE"))
}

/// Answers with the server's reply; where it has the message, what it replaces goes.
async fn answer(
    session: &mut Session,
    tag: &[u8],
    reply: &[u8],
    replaced: Option<&across::Replaced>,
) -> Result<(), Failure> {
    match replaced {
        Some(replaced) if is_ok(reply) => {
            // The same line, untagged: the message that is replaced isn't gone yet.
            session.client.push(b"*");
            session.client.push(&reply[tag.len()..]);
            let told = session.client.flush().await;
            replaced.remove(session, tag).await?;
            Ok(told?)
        }
        _ => {
            session.client.push(reply);
            Ok(())
        }
    }
}

/// Whether the server takes such a part: one that doesn't know it could read the message as
/// commands.
fn permitted(session: &Session, index: usize, part: Part) -> Result<(), Failure> {
    if takes(&session.upstreams[index], session.enabled, part) {
        return Ok(());
    }
    Err(match part {
        Part::Utf8 => Failure::bad("UTF8 isn't enabled"),
        _ => Failure::coded("CANNOT", "The server of this mailbox has no CATENATE"),
    })
}

fn takes(up: &Upstream, enabled: Enabled, part: Part) -> bool {
    match part {
        Part::Message => true,
        Part::Utf8 => enabled.has_utf8(),
        Part::Catenate => up.capabilities.has("CATENATE"),
    }
}

/// The command up to the text that stands before the first message.
fn begin(
    command: &Command<'_>,
    way: &Way,
    head: &AppendHead<'_>,
    literals: Literals,
) -> Result<Request, Failure> {
    let mut request = Request::new(literals);
    request.raw(command.tag).raw(" ");
    if let (Verb::Replace, Some(number)) = (way.verb, head.replaced) {
        let uid = if command.uid { "UID " } else { "" };
        request.raw(uid).raw("REPLACE ").raw(number).raw(" ");
    } else {
        request.raw("APPEND ");
    }
    request.astring(&head.mailbox)?.raw(" ").raw(head.options);
    Ok(request)
}

/// How the next literal is announced: where the client waits for leave, the backend is asked
/// first, since it may refuse (quota, size). It is asked for all that it may not take, too: Cyrus answers
/// BAD to such a size and reads the message as commands.
fn literals(up: &Upstream, left: &Left, part: Part) -> Literals {
    let limit = up.capabilities.append_limit().unwrap_or(UNASKED_BYTES_MAX);
    match left {
        Left::Literal(literal)
            if literal.non_sync
                && part == Part::Message
                && literal.size <= limit.min(u64::from(u32::MAX) - 1)
                && (!literal.binary || up.capabilities.has("BINARY")) =>
        {
            up.literals
        }
        _ => Literals::Sync,
    }
}

/// A server that names no limit is asked for larger messages.
const UNASKED_BYTES_MAX: u64 = 64 * 1024;

/// A command on its way to its backend.
struct Transfer<'a> {
    up: &'a mut Upstream,
    tag: &'a [u8],
    enabled: Enabled,
    /// What the literal is a part of that has been announced.
    part: Part,
    /// Something of a message has been taken from the client.
    taken: bool,
}

impl Transfer<'_> {
    /// Sends the command message by message, and gives the backend's tagged reply; what the client has
    /// yet to send then is in `left`. `request` is what the backend is to be sent next, up to the marker
    /// of the literal that has been announced.
    async fn run(
        &mut self,
        client: &mut Client,
        mut request: Request,
        left: &mut Left,
    ) -> Result<Vec<u8>, Failure> {
        while let Left::Literal(literal) = *left {
            if let Some(refusal) = self.announce(client, &mut request, &literal).await? {
                return Ok(refusal);
            }
            if !literal.non_sync {
                client.push_line("+ go ahead");
                client.flush().await?;
            }
            self.taken = true;
            message(client, self.up, literal.size, left).await?;
            let rest = client.rest_of_line(left).await?;
            let goes_on = matches!(left, Left::Literal(_));
            if goes_on && !self.goes_on(&rest) {
                request = Request::new(Literals::Sync);
                request.raw(MALFORMED);
                break;
            }
            request = Request::new(literals(self.up, left, self.part));
            request.raw(&rest);
        }
        send(client, self.up, request.end(), self.tag).await?;
        relay::relay_to_end(client, self.up, self.tag).await
    }

    /// Sends what stands before a literal; gives the backend's refusal, if it doesn't want it.
    async fn announce(
        &mut self,
        client: &mut Client,
        request: &mut Request,
        literal: &Literal,
    ) -> Result<Option<Vec<u8>>, Failure> {
        let asked = request.stream(literal.size, literal.binary);
        let mut refusal = send(client, self.up, request, self.tag).await?;
        if asked
            && refusal.is_none()
            && let Relayed::Tagged(reply) = relay::relay(client, self.up, self.tag).await?
        {
            refusal = Some(reply);
        }
        if refusal.as_deref().is_some_and(is_ok) {
            // The message hasn't been sent: what REPLACE puts it in the place of has to stay.
            return Err(Failure::Backend(self.up.fault("said OK to half a command")));
        }
        Ok(refusal)
    }

    /// Whether `text` behind a literal leads to a further one that the backend takes.
    fn goes_on(&mut self, text: &[u8]) -> bool {
        // Where a message is over, this is a further one (RFC 3502).
        let further = self.part != Part::Catenate;
        match append_follows(text, Some(self.part)) {
            Some(Follows::Literal(part))
                if takes(self.up, self.enabled, part)
                    && (!further || self.up.capabilities.has("MULTIAPPEND")) =>
            {
                self.part = part;
                true
            }
            _ => false,
        }
    }
}

/// Passes a message on: what has been read of it already, the rest from socket to socket.
async fn message(
    client: &mut Client,
    up: &mut Upstream,
    size: u64,
    left: &mut Left,
) -> Result<(), Failure> {
    let here = client.take_up_to(size);
    let rest = size - here.len() as u64;
    *left = Left::Bytes(rest);
    up.write(&here).await.map_err(Failure::Backend)?;
    #[cfg(bug_5)] // A literal is counted short, where the client's bytes come late.
    let rest = rest.saturating_sub(u64::from(here.is_empty()));
    if rest > 0 {
        client.flush().await?;
        match tls::relay_exact(&client.stream, &up.stream, rest, client.stall()).await {
            Ok(relayed) => client.count_received(&relayed),
            Err(RelayError::From(error)) => return Err(Failure::Client(error)),
            Err(RelayError::To {
                error,
                left: unread,
            }) => {
                *left = Left::Bytes(unread);
                return Err(Failure::Backend(up.fault(error)));
            }
        }
    }
    client.literal_done();
    Ok(())
}
