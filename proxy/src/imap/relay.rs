//! Passing a backend's responses on to the client, up to the reply with the client's tag.
//!
//! Nothing is parsed beyond the bounds of lines and literals. Lines go from the backend leg's
//! buffer to the client in one piece; literals of 64 KiB and more go by `tls::relay_exact`,
//! which splices where neither leg has TLS. Invariant: when a function here returns `Ok`, the client has had whole responses only;
//! when it fails inside one, the failure is `Torn`.

use ravenry_core::rt::{self, RelayError};
use ravenry_core::tls;
use ravenry_core::wire::imap::{Kind, ResponseEvent, Status};

use super::client::Client;
use crate::failure::{BackendFault, Failure};
use crate::upstream::{Upstream, printable};

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
    loop {
        if let Stop::At(end) = forward_buffered(client, up, Some(tag)).await? {
            up.last_used = rt::now();
            return Ok(end);
        }
        read(up).await?;
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
    loop {
        read(up).await?;
        if let Stop::At(_) = forward_buffered(client, up, None).await? {
            return Err(Failure::Backend(up.fault("answered what nobody asked")));
        }
        if up.scanner.is_between_responses() {
            return Ok(());
        }
    }
}

async fn read(up: &mut Upstream) -> Result<(), Failure> {
    let between = up.scanner.is_between_responses();
    up.read()
        .await
        .map_err(|fault| torn_or_lost(between, fault))
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
        match up.scanner.next(&up.input[ready..]) {
            ResponseEvent::NeedMore => {
                pass(client, up, ready).await?;
                return Ok(Stop::NeedMore);
            }
            ResponseEvent::Partial { len, .. } => ready += len,
            ResponseEvent::Line(line) => {
                let text = &up.input[ready..ready + line.len];
                if let Some(held) = held(text, line.start.as_ref(), tag) {
                    pass(client, up, ready).await?;
                    ready = 0;
                    let text = take(up, line.len);
                    if let Some(stop) = stop_at(up, held, text)? {
                        return Ok(stop);
                    }
                    continue;
                }
                ready += line.len;
                if let Some(literal) = line.literal {
                    pass(client, up, ready).await?;
                    ready = 0;
                    pass_literal(client, up, literal.size).await?;
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
            status: Some(Status::Bye),
            ..
        } => Some(Held::Unwanted),
        Kind::Empty => Some(Held::Nothing),
        Kind::Untagged { .. } => None,
    }
}

fn stop_at(up: &Upstream, held: Held, line: Vec<u8>) -> Result<Option<Stop>, Failure> {
    match held {
        Held::Nothing => Ok(None),
        Held::Tagged => Ok(Some(Stop::At(Relayed::Tagged(line)))),
        Held::Continuation => Ok(Some(Stop::At(Relayed::Continuation(line)))),
        Held::Unwanted => Err(Failure::Backend(
            up.fault(format_args!("said {}", printable(&line))),
        )),
    }
}

fn take(up: &mut Upstream, len: usize) -> Vec<u8> {
    if len == up.input.len() {
        return std::mem::take(&mut up.input);
    }
    up.input.drain(..len).collect()
}

/// Sends the first `len` bytes of the backend leg's buffer to the client.
async fn pass(client: &mut Client, up: &mut Upstream, len: usize) -> Result<(), Failure> {
    if len == 0 {
        return Ok(());
    }
    client.send(&up.input[..len]).await?;
    if len == up.input.len() {
        up.input.clear();
    } else {
        up.input.drain(..len);
    }
    Ok(())
}

/// Passes on a literal: what is in the buffer first, the rest from socket to socket.
async fn pass_literal(client: &mut Client, up: &mut Upstream, size: u64) -> Result<(), Failure> {
    let here = usize::try_from(size)
        .unwrap_or(usize::MAX)
        .min(up.input.len());
    pass(client, up, here).await?;
    let rest = size - here as u64;
    if rest == 0 {
        return Ok(());
    }
    client.flush().await?;
    match tls::relay_exact(&up.stream, &client.stream, rest, client.stall()).await {
        Ok(relayed) => {
            client.count_relayed(&relayed);
            Ok(())
        }
        Err(RelayError::From(error)) => Err(Failure::Torn(up.fault(error))),
        Err(RelayError::To { error, .. }) => Err(Failure::Client(error)),
    }
}
