//! Passing a backend's responses on to the client, up to the reply with the client's tag.
//!
//! Nothing is parsed beyond the bounds of lines and literals. Lines go from the backend leg's
//! buffer to the client in one piece; literals of 64 KiB and more go by `tls::relay_exact`,
//! which splices where neither leg has TLS. Invariant: when a function here returns `Ok`, the
//! client has had whole responses only; when it fails inside one, the failure is `Torn`.

use std::io;
use std::time::Duration;

use ravenry_core::client::Client;
use ravenry_core::log::printable;
use ravenry_core::rt::{self, Either, RelayError};
use ravenry_core::tls;
use ravenry_core::wire::imap::{Kind, ResponseEvent, ResponseLine, Status};

use crate::failure::{BackendFault, Failure};
use crate::upstream::Upstream;

/// How long a backend is silent before a look is taken whether the client is still there: long
/// enough that commands which are answered at once cost nothing more.
const CLIENT_LOOK: Duration = Duration::from_secs(1);

/// What ended a relay.
#[derive(Debug)]
pub(crate) enum Relayed {
    /// The tagged reply, which the client has not had yet.
    Tagged(Vec<u8>),
    /// A continuation request, which the client has not had either.
    Continuation(Vec<u8>),
}

/// What `forward_buffered` stopped at.
enum Stop {
    /// All that was here is passed on.
    NeedMore,
    At(Relayed),
}

/// Passes responses on until the reply tagged `tag`, or a continuation request.
pub(crate) async fn relay(
    client: &mut Client,
    up: &mut Upstream,
    tag: &[u8],
) -> Result<Relayed, Failure> {
    let mut begun = false;
    loop {
        if let Stop::At(end) = forward_buffered(client, up, Some(tag)).await? {
            up.last_used = rt::now();
            return Ok(end);
        }
        // What the client is owed already doesn't wait for the backend.
        client.flush().await?;
        if begun {
            up.stream.acknowledge();
        }
        read_for(client, up).await?;
        begun = true;
    }
}

/// Passes responses on until the reply tagged `tag`; a continuation request is a fault.
pub(crate) async fn relay_to_end(
    client: &mut Client,
    up: &mut Upstream,
    tag: &[u8],
) -> Result<Vec<u8>, Failure> {
    match relay(client, up, tag).await? {
        Relayed::Tagged(line) => Ok(line),
        Relayed::Continuation(line) => Err(Failure::Backend(
            up.fault(format_args!("unexpected {}", printable(&line))),
        )),
    }
}

/// Passes on what the backend of the selected mailbox says unasked, whole responses at a time.
pub(crate) async fn unsolicited(client: &mut Client, up: &mut Upstream) -> Result<(), Failure> {
    if up.stream.is_quiet() {
        // Readiness is only a hint.
        return Ok(());
    }
    up.works();
    loop {
        read(up).await?;
        unsolicited_here(client, up).await?;
        if up.scanner.is_between_responses() {
            return Ok(());
        }
    }
}

/// The same for what has been read already, behind an answer.
pub(crate) async fn unsolicited_here(
    client: &mut Client,
    up: &mut Upstream,
) -> Result<(), Failure> {
    match forward_buffered(client, up, None).await? {
        Stop::NeedMore => Ok(()),
        Stop::At(_) => Err(Failure::Backend(up.fault("answered what nobody asked"))),
    }
}

async fn read(up: &mut Upstream) -> Result<(), Failure> {
    let between = up.scanner.is_between_responses();
    up.read()
        .await
        .map_err(|fault| torn_or_lost(between, fault))
}

/// The same in a command of the client's, and no longer than there is a client.
async fn read_for(client: &Client, up: &mut Upstream) -> Result<(), Failure> {
    let between = up.scanner.is_between_responses();
    let faulty = |fault| torn_or_lost(between, fault);
    let until = up.patience();
    let look = until.min(rt::now() + CLIENT_LOOK);
    if up.read_until(look).await.map_err(faulty)? {
        return Ok(());
    }
    match rt::select(up.read_until(until), client.stream.hung_up()).await {
        Either::Left(Ok(true)) => Ok(()),
        Either::Left(Ok(false)) => Err(faulty(up.late())),
        Either::Left(Err(fault)) => Err(faulty(fault)),
        Either::Right(()) => Err(Failure::Client(io::ErrorKind::ConnectionReset.into())),
    }
}

fn torn_or_lost(between_responses: bool, fault: BackendFault) -> Failure {
    if between_responses {
        Failure::Backend(fault)
    } else {
        Failure::Torn(fault)
    }
}

/// Passes on what lies in the backend leg's buffer.
async fn forward_buffered(
    client: &mut Client,
    up: &mut Upstream,
    tag: Option<&[u8]>,
) -> Result<Stop, Failure> {
    let mut ready = 0;
    loop {
        let between = up.scanner.is_between_responses();
        match up.scanner.next(&up.input.here()[ready..]) {
            ResponseEvent::NeedMore => {
                pass(client, up, ready).await?;
                return Ok(Stop::NeedMore);
            }
            ResponseEvent::Partial { len, start } => {
                up.note_long(ready, len, start.as_ref());
                ready += len;
            }
            ResponseEvent::Line(line) => {
                up.note(ready, &line);
                if up.owes_id() && line.start.is_some() {
                    let text = up.input.here()[ready..ready + line.len].to_vec();
                    if up.is_about_id(&text) {
                        pass(client, up, ready).await?;
                        ready = 0;
                        drop_response(up, &line).await?;
                        continue;
                    }
                }
                let text = &up.input.here()[ready..ready + line.len];
                if let Some(held) = held(text, line.start.as_ref(), tag) {
                    pass(client, up, ready).await?;
                    ready = 0;
                    if let Some(stop) = stop_at(up, held, &line).await? {
                        return Ok(stop);
                    }
                    continue;
                }
                ready += line.len;
                if let Some(literal) = line.literal {
                    ready = pass_literal(client, up, ready, literal.size).await?;
                    up.scanner.literal_done();
                }
            }
            ResponseEvent::Bad(why) => {
                let fault = up.fault(format_args!("malformed response: {why}"));
                pass(client, up, ready).await?;
                return Err(torn_or_lost(between, fault));
            }
        }
    }
}

/// Why a line isn't passed on.
#[derive(Clone, Copy)]
enum Held {
    /// An empty line: some servers send one before an error, and no client should see it.
    Nothing,
    Tagged,
    Continuation,
    /// A good-bye, or the reply to a command that isn't under way.
    Unwanted,
}

fn held(line: &[u8], start: Option<&Kind>, tag: Option<&[u8]>) -> Option<Held> {
    match start? {
        Kind::Continuation => Some(Held::Continuation),
        Kind::Tagged { tag: theirs, .. } if tag == Some(&line[theirs.clone()]) => {
            Some(Held::Tagged)
        }
        Kind::Tagged { .. }
        | Kind::Untagged {
            status: Some(Status::Bye | Status::Preauth),
            ..
        } => Some(Held::Unwanted),
        Kind::Empty => Some(Held::Nothing),
        Kind::Untagged { .. } => None,
    }
}

/// Drops the response that begins with `line`.
async fn drop_response(up: &mut Upstream, line: &ResponseLine) -> Result<(), Failure> {
    up.input.skip(line.len);
    if let Some(literal) = line.literal {
        let rest = up.rest_of_response(literal.size).await;
        rest.map_err(Failure::Backend)?;
    }
    Ok(())
}

async fn stop_at(
    up: &mut Upstream,
    held: Held,
    line: &ResponseLine,
) -> Result<Option<Stop>, Failure> {
    let mut text = up.input.take(line.len);
    if let Some(literal) = line.literal {
        // A response code may hold one (RFC 4469 BADURL): the reply is gathered whole.
        text.extend(
            up.rest_of_response(literal.size)
                .await
                .map_err(Failure::Backend)?,
        );
    }
    match held {
        Held::Nothing => {
            rt::yield_now().await;
            Ok(None)
        }
        Held::Tagged => Ok(Some(Stop::At(Relayed::Tagged(text)))),
        Held::Continuation => Ok(Some(Stop::At(Relayed::Continuation(text)))),
        Held::Unwanted => Err(Failure::Backend(
            up.fault(format_args!("said {}", printable(&text))),
        )),
    }
}

/// Sends the first `len` bytes of the backend leg's buffer to the client.
async fn pass(client: &mut Client, up: &mut Upstream, len: usize) -> Result<(), Failure> {
    if len > 0 {
        client.send(&up.input.here()[..len]).await?;
        up.input.skip(len);
    }
    Ok(())
}

/// Passes on a literal that begins at `start` of the buffer, and how far the buffer is ready to be
/// passed on then. One that has been read whole goes with what surrounds it.
async fn pass_literal(
    client: &mut Client,
    up: &mut Upstream,
    start: usize,
    size: u64,
) -> Result<usize, Failure> {
    let here = up.input.here().len() - start;
    match usize::try_from(size) {
        Ok(size) if size <= here => return Ok(start + size),
        _ => {}
    }
    pass(client, up, start + here).await?;
    client.flush().await?;
    let rest = size - here as u64;
    match tls::relay_exact(&up.stream, &client.stream, rest, client.stall()).await {
        Ok(relayed) => client.count_relayed(&relayed),
        Err(RelayError::From(error)) => return Err(Failure::Torn(up.fault(error))),
        Err(RelayError::To { error, .. }) => return Err(Failure::Client(error)),
    }
    up.works();
    Ok(0)
}
