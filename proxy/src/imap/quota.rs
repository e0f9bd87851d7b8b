//! Quotas (RFC 9208): GETQUOTAROOT at the mailbox's backend, GETQUOTA and SETQUOTA at the one that has all of a
//! quota root's mailboxes. A quota root doesn't span servers (the concept).

use std::collections::BTreeSet;
use std::rc::Rc;

use ravenry_core::mailboxes::Name;
use ravenry_core::proto::imap::Command;

use super::mailbox::{name_argument, request};
use super::route::Place;
use super::session::Session;
use crate::failure::Failure;

/// GETQUOTAROOT mailbox.
pub(crate) async fn get_root(session: &mut Session, command: &Command<'_>) -> Result<(), Failure> {
    let given = name_argument(command)?;
    let name = session.internal(&given)?;
    let server = session.server_of(&name).await?;
    pass(session, command, (&given, b""), (&name, &server)).await
}

/// GETQUOTA root, SETQUOTA root (resource limit …).
pub(crate) async fn quota(session: &mut Session, command: &Command<'_>) -> Result<(), Failure> {
    let mut args = command.args;
    args.sp()?;
    let given = args.astring()?.into_owned();
    let rest = args.rest().to_vec();
    let (name, server) = root(session, &given).await?;
    pass(session, command, (&given, &rest), (&name, &server)).await
}

async fn pass(
    session: &mut Session,
    command: &Command<'_>,
    (given, rest): (&[u8], &[u8]),
    (name, server): (&Name, &Rc<str>),
) -> Result<(), Failure> {
    session.refer(server, name)?;
    let index = session.upstream(server, name).await?;
    let request = request(&session.upstreams[index], command, &[given], rest)?;
    let reply = session
        .forward_named(index, &request, command.tag, name)
        .await?;
    session.client.push(&reply);
    Ok(())
}

/// The server of a quota root: that of the mailbox of this name, and of all below it.
async fn root(session: &mut Session, given: &[u8]) -> Result<(Name, Rc<str>), Failure> {
    let name = session.internal(given)?;
    let above = match session.place(&name).await? {
        Place::At(server) => Some(server),
        Place::Reserved => return Err(Failure::coded("INUSE", "Mailbox is currently reserved")),
        Place::Nowhere => None,
    };
    let below = session.servers_below(&name).await?;
    let mut all: BTreeSet<Rc<str>> = below
        .iter()
        .map(|server| session.fe.server(server))
        .collect();
    all.extend(above);
    let mut all = all.into_iter();
    match (all.next(), all.next()) {
        (Some(server), None) => Ok((name, server)),
        (None, _) => Err(Failure::coded("NONEXISTENT", "Quota root does not exist")),
        (Some(_), Some(_)) => Err(Failure::coded(
            "CANNOT",
            "This mailbox hierarchy does not exist on a single backend server",
        )),
    }
}
