//! Subscriptions: LSUB, SUBSCRIBE, UNSUBSCRIBE (RFC 3501 section 6.3), at the inbox's backend.
//!
//! That backend may have subscriptions to mailboxes that live elsewhere. So each name of its LSUB
//! is checked against the list: names that aren't active go, and a \Noselect that only says "not
//! here" is taken off. Where that backend is down the answer is NO, never an empty list.

use ravenry_core::log::printable;
use ravenry_core::mailboxes::{ListCursor, ListQuery, Name, Progress};
use ravenry_core::proto::imap::{self, Command, List, Verb, encode};
use ravenry_core::rt;

use super::mailbox::{name_argument, request};
use super::route::Place;
use super::session::Session;
use super::{is_tagged, upstreams};
use crate::failure::Failure;
use crate::upstream::is_bye;

/// LSUB reference pattern, and RLSUB (RFC 2193), from which on the client is referred.
pub(crate) async fn lsub(session: &mut Session, command: &Command<'_>) -> Result<(), Failure> {
    let mut args = command.args;
    args.sp()?;
    let reference = args.astring()?.into_owned();
    args.sp()?;
    let pattern = args.list_mailbox()?.into_owned();
    args.end()?;
    let (inbox, server) = session.inbox_server().await?;
    let index = session.upstream(&server, &inbox).await?;
    if command.verb == Verb::Rlsub {
        session.knows_referrals = true;
    }
    let mut command = *command;
    command.verb = Verb::Lsub;
    let request = request(
        &session.upstreams[index],
        &command,
        &[&reference, &pattern],
        b"",
    )?;
    let (client, up) = (&mut session.client, &mut session.upstreams[index]);
    if let Some(refusal) = upstreams::send(client, up, &request, command.tag).await? {
        session.client.push(&refusal);
        return Ok(());
    }
    session.fe.desk.metrics.commands_forwarded.add(1);
    session.client.flush().await?;
    let mut told = Ok(());
    loop {
        session.client.flush_if_large().await?;
        let response = session.upstreams[index]
            .response()
            .await
            .map_err(Failure::Backend)?;
        if is_tagged(&response, command.tag) {
            told?;
            session.client.push(&response);
            return Ok(());
        }
        rt::yield_now().await;
        if !response.starts_with(b"* ") || is_bye(&response) {
            let fault =
                session.upstreams[index].fault(format_args!("said {}", printable(&response)));
            return Err(Failure::Backend(fault));
        }
        match imap::list(response.strip_suffix(b"\r\n").unwrap_or(&response)) {
            // A failure is told at the end: the answer has to be read to its end first.
            Ok(subscribed) => told = told.and_then(|()| tell(session, &server, &subscribed)),
            // Whatever else it says unasked is news of the selected mailbox, or of no interest.
            Err(_) if session.selected_server() == Some(&server) => session.client.push(&response),
            Err(_) => {}
        }
    }
}

/// Passes one LSUB response on, as the list sees it.
fn tell(session: &mut Session, inbox_server: &str, given: &List<'_>) -> Result<(), Failure> {
    let noselect = given.has("\\Noselect");
    let keep_noselect = match session.internal(&given.mailbox) {
        Ok(name) => match session.place_now(&name)? {
            // A server that doesn't have the mailbox can't know better.
            Place::At(server) => &*server == inbox_server,
            _ if noselect && is_parent(session, &name)? => true,
            _ => return Ok(()),
        },
        Err(_no_mailbox) if noselect && is_prefix_in_use(session, &given.mailbox)? => true,
        Err(_no_mailbox) => return Ok(()),
    };
    let mut attributes: Vec<&[u8]> = given.attributes().collect();
    if !keep_noselect {
        attributes.retain(|word| !word.eq_ignore_ascii_case(b"\\Noselect"));
    }
    let delimiter = char::from(session.fe.desk.parts.namespace.delimiter());
    let mut line = b"* LSUB (".to_vec();
    line.extend_from_slice(&attributes.join(&b' '));
    line.extend_from_slice(format!(") \"{delimiter}\" ").as_bytes());
    encode::astring(&mut line, &given.mailbox)?;
    line.extend_from_slice(b"\r\n");
    session.client.push(&line);
    Ok(())
}

/// Whether something active lies below a name (RFC 3501 section 6.3.9: with `%`, LSUB gives the
/// parents of what is subscribed, as \Noselect).
fn is_parent(session: &Session, name: &Name) -> Result<bool, Failure> {
    let identity = session.logged_in()?;
    let found = session
        .fe
        .parts
        .list
        .has_children(identity, session.fe.desk.parts.namespace, name);
    found.map_err(|error| session.unreadable(&error))
}

/// The same of a namespace's prefix, such as `Shared Folders`, which is no mailbox's name.
fn is_prefix_in_use(session: &Session, name: &[u8]) -> Result<bool, Failure> {
    let identity = session.logged_in()?;
    let namespace = session.fe.desk.parts.namespace;
    let prefix = [name, &[namespace.delimiter()]].concat();
    let prefixes = namespace.prefixes(identity);
    if prefix != prefixes.others && prefix != prefixes.shared {
        return Ok(false);
    }
    let query = ListQuery::new(identity.clone(), namespace, &prefix, &[b"*"]);
    let query = query.expect("invariant: a prefix is short");
    let (mut cursor, mut found) = (ListCursor::default(), false);
    loop {
        let list = &session.fe.parts.list;
        let progress = list.list_chunk(&query, &mut cursor, 1, |_| found = true);
        if progress.map_err(|error| session.unreadable(&error))? == Progress::Done || found {
            return Ok(found);
        }
    }
}

/// SUBSCRIBE mailbox: it has to exist in the murder; the inbox's backend keeps the name.
pub(crate) async fn subscribe(session: &mut Session, command: &Command<'_>) -> Result<(), Failure> {
    let given = name_argument(command)?;
    let name = session.internal(&given)?;
    session.server_of(&name).await?;
    at_inbox(session, command, &given).await
}

/// UNSUBSCRIBE mailbox: also of a name that is gone.
pub(crate) async fn unsubscribe(
    session: &mut Session,
    command: &Command<'_>,
) -> Result<(), Failure> {
    let given = name_argument(command)?;
    at_inbox(session, command, &given).await
}

async fn at_inbox(
    session: &mut Session,
    command: &Command<'_>,
    given: &[u8],
) -> Result<(), Failure> {
    let (inbox, server) = session.inbox_server().await?;
    let index = session.upstream(&server, &inbox).await?;
    let request = request(&session.upstreams[index], command, &[given], b"")?;
    let reply = session.forward(index, &request, command.tag).await?;
    session.client.push(&reply);
    Ok(())
}
