//! RENAME (RFC 3501 section 6.3.5), to another name at its server, or with a place to another server or
//! partition; XRENAME and XFER are the same in other words. The source's server
//! transfers the mailbox, a user's inbox with all that is the user's, and the name is reserved meanwhile:
//! decision 0012 has why it is asked by RENAME and not by XFER.

use std::rc::Rc;

use ravenry_core::client::PROGRESS_EVERY;
use ravenry_core::log::printable;
use ravenry_core::mailboxes::Name;
use ravenry_core::proto::imap::encode::Request;
use ravenry_core::proto::imap::{Command, Literals, Verb};
use ravenry_core::rt;

use super::create::{is_server, known_server};
use super::mailbox::{change, request};
use super::route::Place;
use super::session::Session;
use super::upstreams::Steps;
use super::{is_ok, is_tagged};
use crate::failure::Failure;
use crate::upstream::{OWN_TAG, is_bye};

/// `RENAME old new [place]`.
pub(crate) async fn rename(session: &mut Session, command: &Command<'_>) -> Result<(), Failure> {
    let mut args = command.args;
    args.sp()?;
    let old_given = args.astring()?.into_owned();
    args.sp()?;
    let new_given = args.astring()?.into_owned();
    if !args.is_done() {
        args.sp()?;
        let place = args.astring()?.into_owned();
        args.end()?;
        if session.internal(&old_given)? != session.internal(&new_given)? {
            return Err(Failure::coded(
                "CANNOT",
                "A mailbox is renamed or moved, not both at once",
            ));
        }
        return transfer(session, command, &old_given, &place).await;
    }
    let (old, new) = (session.internal(&old_given)?, session.internal(&new_given)?);
    let server = session.server_of(&old).await?;
    if !matches!(session.place(&new).await?, Place::Nowhere) {
        return Err(Failure::coded("ALREADYEXISTS", "Mailbox already exists"));
    }
    in_one_place(session, &old, &server).await?;
    let index = session.upstream(&server, &old).await?;
    let names: [&[u8]; 2] = [&old_given, &new_given];
    let mut renaming = *command;
    renaming.verb = Verb::Rename;
    let request = request(&session.upstreams[index], &renaming, &names, b"")?;
    let made = Some((new, server));
    let asked = (index, &request, Steps::RENAME);
    change(session, asked, command.tag, Some(&old), made).await
}

/// Mailboxes below the old name at other servers would keep their names.
async fn in_one_place(session: &Session, name: &Name, server: &str) -> Result<(), Failure> {
    let below = session.servers_below(name).await?;
    match below.iter().find(|other| *other != server) {
        None => Ok(()),
        Some(other) => Err(Failure::coded(
            "CANNOT",
            format!("Mailboxes below it are at another server ({other}): rename them first"),
        )),
    }
}

/// `XFER mailbox server [partition]`.
pub(crate) async fn xfer(session: &mut Session, command: &Command<'_>) -> Result<(), Failure> {
    let mut args = command.args;
    args.sp()?;
    let given = args.astring()?.into_owned();
    args.sp()?;
    let mut place = args.astring()?.into_owned();
    if !args.is_done() {
        args.sp()?;
        let partition = args.astring()?;
        place = [&place[..], b"!", &partition].concat();
    }
    args.end()?;
    transfer(session, command, &given, &place).await
}

/// Moves a mailbox to `place`: `server`, `server!partition` or `partition`.
async fn transfer(
    session: &mut Session,
    command: &Command<'_>,
    given: &[u8],
    place: &[u8],
) -> Result<(), Failure> {
    if !session.logged_in()?.admin {
        return Err(Failure::coded("NOPERM", "Only an admin moves mailboxes"));
    }
    let name = session.internal(given)?;
    let source = session.server_of(&name).await?;
    let (server, partition) = match memchr::memchr(b'!', place) {
        Some(at) => (known_server(session, &place[..at])?, Some(&place[at + 1..])),
        None if is_server(session, place) => (known_server(session, place)?, None),
        None => (Rc::clone(&source), Some(place)),
    };
    let mut place = Vec::new();
    if server != source {
        place.extend_from_slice(server.as_bytes());
    }
    if let Some(partition) = partition {
        place.extend(place.last().map(|_| b'!'));
        place.extend_from_slice(partition);
    }
    if server == source && partition.is_none() {
        return Err(Failure::coded(
            "ALREADYEXISTS",
            "The mailbox is there already",
        ));
    }
    let index = session.upstream(&source, &name).await?;
    // A place is an atom to Cyrus, which takes what follows a literal's size there for the next command.
    let mut request = Request::new(Literals::Sync);
    request
        .raw(OWN_TAG)
        .raw(" RENAME ")
        .astring(given)?
        .raw(" ")
        .astring(given)?;
    request.raw(" ").astring(&place)?.end();
    let reply = carried_out(session, index, &request, command.tag).await?;
    if !is_ok(&reply) {
        session.confirm(&reply, &name, &source).await?;
    }
    arrived(session, command.tag, &name, &server, &reply).await
}

/// Waits for the end of a transfer, which takes its time, and shows the client that it goes on.
async fn carried_out(
    session: &mut Session,
    index: usize,
    request: &Request,
    tag: &[u8],
) -> Result<Vec<u8>, Failure> {
    let ends = rt::now() + session.fe.desk.parts.limits.transfer;
    session.client.flush().await?;
    for (number, chunk) in request.chunks().enumerate() {
        let up = &mut session.upstreams[index];
        if number > 0
            && let Some(refusal) = up
                .own_reply_or_continuation()
                .await
                .map_err(Failure::Backend)?
        {
            return Ok(refusal);
        }
        up.write(chunk).await.map_err(Failure::Backend)?;
    }
    loop {
        let up = &mut session.upstreams[index];
        if rt::now() >= ends {
            return Err(Failure::Backend(up.fault("didn't end a transfer in time")));
        }
        up.works();
        // Only between responses: one that has begun is read to its end.
        if up.input.here().is_empty() && rt::timeout(PROGRESS_EVERY, up.readable()).await.is_err() {
            session.client.tell_progress(tag, None, "Moving").await?;
            continue;
        }
        let response = up.response().await;
        let response = response.map_err(Failure::Backend)?;
        if is_tagged(&response, OWN_TAG) {
            return Ok(response);
        }
        if !response.starts_with(b"* ") || is_bye(&response) {
            return Err(Failure::Backend(up.fault(printable(&response))));
        }
        session.client.push(&response);
        session.client.flush_if_large().await?;
    }
}

/// The list has to show the mailbox at its new server, whatever the old one says: Cyrus 3.6.1 says OK
/// to transfers that it has refused.
async fn arrived(
    session: &mut Session,
    tag: &[u8],
    name: &Name,
    server: &Rc<str>,
    reply: &[u8],
) -> Result<(), Failure> {
    if is_ok(reply) {
        session.barrier().await?;
        match session.place_now(name)? {
            Place::At(now) if now == *server => {}
            _ => {
                tracing::error!(session = %session.id, %name, %server, "a transfer ended, and the mailbox isn't there");
                return Err(Failure::coded(
                    "CANNOT",
                    format!(
                        "The mailbox isn't at {server}: its server said OK, and the mailbox list says otherwise"
                    ),
                ));
            }
        }
    }
    session.client.push_reply(tag, reply);
    Ok(())
}
