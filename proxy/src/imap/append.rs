//! APPEND (RFC 3501 section 6.3.11, RFC 3502 MULTIAPPEND, RFC 3516 literal8), streamed.
//!
//! The command is handed over as soon as a message is announced. From there on two things are
//! kept: the client is told to go on only when the backend has said so, and a client that doesn't
//! wait to be asked is read to the end of its command whatever happens, so that it stays in step
//! and gets its one reply. Messages go from socket to socket.

use ravenry_core::proto::imap::encode::Request;
use ravenry_core::proto::imap::{self, AppendHead, Command, Literals, is_append_options};
use ravenry_core::rt::{self, RelayError};
use ravenry_core::tls;
use ravenry_core::wire::imap::{CommandEvent, Literal};

use super::client::Client;
use super::relay::{self, Relayed};
use super::session::Session;
use super::upstreams::send;
use crate::failure::{End, Failure};
use crate::upstream::Upstream;

/// An APPEND that announced no message: there is nothing to append.
pub(crate) fn without_message(command: &Command<'_>) -> Result<(), Failure> {
    AppendHead::parse(command)?;
    Err(Failure::bad("Missing message literal in APPEND"))
}

/// What is left of the command on the client's side.
enum Left {
    /// A literal that has been announced.
    Literal(Literal),
    /// The client is inside a literal: this many bytes are to come.
    Bytes(u64),
    /// Nothing: the command has been read to its end.
    Nothing,
}

/// What a backend is told where the client's line behind a message can't be taken: no APPEND ends
/// so, and the backend's refusal is the client's.
const MALFORMED: &[u8] = b" )";

/// Carries out an APPEND whose first message `head` has just announced.
pub(crate) async fn run(session: &mut Session, head: &[u8], literal: Literal) -> Result<(), End> {
    session.fe.metrics.commands_append.add(1);
    session.commands += 1;
    let mut left = Left::Literal(literal);
    let command = match imap::command(head) {
        Ok(command) => command,
        Err(bad) => {
            let tag = bad.tag.unwrap_or(b"*");
            return refuse(session, tag, Failure::bad(bad.text), left).await;
        }
    };
    match append(session, &command, &mut left).await {
        Ok(()) => session.command_done().await,
        Err(failure) => refuse(session, command.tag, failure, left).await,
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
        _ if session.user.is_some() => drain(&mut session.client, left).await,
        _ => drain_stranger(session, left).await,
    };
    session
        .conclude(tag, drained.err().unwrap_or(failure))
        .await
}

/// The same before login, which it doesn't prolong.
async fn drain_stranger(session: &mut Session, left: Left) -> Result<(), Failure> {
    let deadline = session.input_deadline();
    match rt::timeout_at(deadline, drain(&mut session.client, left)).await {
        Ok(drained) => drained,
        Err(_elapsed) => Err(Failure::Ended(session.timed_out().await)),
    }
}

async fn append(
    session: &mut Session,
    command: &Command<'_>,
    left: &mut Left,
) -> Result<(), Failure> {
    session.logged_in()?;
    let head = AppendHead::parse(command)?;
    if !is_append_options(head.options) {
        return Err(Failure::bad("Invalid flags or date in APPEND"));
    }
    let name = session.internal(&head.mailbox)?;
    let server = session.target(&name).await?;
    let index = session.upstream(&server, &name).await?;
    session.fe.metrics.commands_forwarded.add(1);
    let (client, up) = (&mut session.client, &mut session.upstreams[index]);
    let mut request = Request::new(literals(up, left));
    request
        .raw(command.tag)
        .raw(" APPEND ")
        .astring(&head.mailbox)?
        .raw(" ")
        .raw(head.options);
    let reply = transfer(client, up, request, command.tag, left).await?;
    session.client.push(&reply);
    Ok(())
}

/// How the next literal is announced: where the client waits for leave, the backend is asked
/// first, since it may refuse (quota, size).
fn literals(up: &Upstream, left: &Left) -> Literals {
    match left {
        Left::Literal(literal) if literal.non_sync => up.literals,
        _ => Literals::Sync,
    }
}

/// Sends the command message by message, and gives the backend's tagged reply. `request` is what
/// the backend is to be sent next, up to the marker of the literal that has been announced.
async fn transfer(
    client: &mut Client,
    up: &mut Upstream,
    mut request: Request,
    tag: &[u8],
    left: &mut Left,
) -> Result<Vec<u8>, Failure> {
    while let Left::Literal(literal) = *left {
        let asked = request.stream(literal.size, literal.binary);
        let mut refusal = send(client, up, &request, tag).await?;
        if asked && refusal.is_none() {
            refusal = match relay::relay(client, up, tag).await? {
                Relayed::Tagged(refusal) => Some(refusal),
                Relayed::Continuation(_) => None,
            };
        }
        if let Some(refusal) = refusal {
            drain(client, std::mem::replace(left, Left::Nothing)).await?;
            return Ok(refusal);
        }
        if !literal.non_sync {
            client.push_line("+ go ahead");
            client.flush().await?;
        }
        message(client, up, literal.size, left).await?;
        let rest = rest_of_line(client, left).await?;
        request = Request::new(literals(up, left));
        // A further message (RFC 3502) begins with a space, and then as the first one does.
        let further = rest.strip_prefix(b" ").is_some_and(is_append_options);
        if matches!(left, Left::Literal(_)) && !further {
            request.raw(MALFORMED);
            break;
        }
        request.raw(&rest);
    }
    send(client, up, request.end(), tag).await?;
    let reply = relay::relay_to_end(client, up, tag).await?;
    drain(client, std::mem::replace(left, Left::Nothing)).await?;
    Ok(reply)
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

/// Reads on behind a message, up to the next one's announcement or to the command's end: gives the
/// text, and notes what is left.
async fn rest_of_line(client: &mut Client, left: &mut Left) -> Result<Vec<u8>, Failure> {
    loop {
        match client.next_event() {
            CommandEvent::Complete { len } => {
                *left = Left::Nothing;
                let mut text = client.take(len);
                text.truncate(len - 2);
                return Ok(text);
            }
            CommandEvent::Stream {
                len,
                marker,
                literal,
            } => {
                *left = Left::Literal(literal);
                let mut text = client.take(len);
                text.truncate(marker);
                return Ok(text);
            }
            CommandEvent::Bad(bad) if bad.fatal => return Err(Failure::Fatal("Malformed APPEND")),
            CommandEvent::Bad(bad) => {
                client.take(bad.consume);
                client.discard(bad.skip).await?;
                *left = Left::Nothing;
                return Ok(MALFORMED.to_vec());
            }
            CommandEvent::Discard { consume, skip } => {
                client.take(consume);
                client.discard(skip).await?;
            }
            CommandEvent::Continue => client.push_line("+ go ahead"),
            CommandEvent::NeedMore => {
                client.flush().await?;
                client.read().await?;
            }
        }
    }
}

/// Reads the rest of a command that has failed, and drops it.
async fn drain(client: &mut Client, mut left: Left) -> Result<(), Failure> {
    if let Left::Bytes(bytes) = left {
        client.discard(bytes).await?;
        client.literal_done();
        rest_of_line(client, &mut left).await?;
    }
    match left {
        Left::Literal(_) => client.refuse_literal().await,
        _ => Ok(()),
    }
}
