//! STATUS, and the operations on the mailbox list: CREATE, DELETE, RENAME (RFC 3501 section 6.3).
//!
//! They are done by the backend, with the MUPDATE master as lock manager. After the backend's OK
//! the barrier brings the list up to date before the client has its tagged OK, so that the next
//! command of the session sees what this one did.

use std::rc::Rc;

use ravenry_core::mailboxes::Name;
use ravenry_core::proto::imap::encode::Request;
use ravenry_core::proto::imap::{Command, Literals};

use super::is_ok;
use super::route::Place;
use super::session::Session;
use crate::failure::Failure;
use crate::upstream::Upstream;

/// STATUS mailbox (items).
pub(crate) async fn status(session: &mut Session, command: &Command<'_>) -> Result<(), Failure> {
    let mut args = command.args;
    args.sp()?;
    let given = args.astring()?.into_owned();
    let items = args.rest().to_vec();
    let name = session.internal(&given)?;
    let server = session.server_of(&name).await?;
    let index = session.upstream(&server, &name).await?;
    let request = request(&session.upstreams[index], command, &[&given], &items)?;
    let reply = session.forward(index, &request, command.tag).await?;
    session.client.push(&reply);
    Ok(())
}

/// CREATE mailbox: at the server of the nearest parent there is.
pub(crate) async fn create(session: &mut Session, command: &Command<'_>) -> Result<(), Failure> {
    let mut args = command.args;
    args.sp()?;
    let mut given = args.astring()?.into_owned();
    if !args.is_done() {
        return Err(Failure::coded(
            "CANNOT",
            "CREATE with parameters isn't built yet",
        ));
    }
    // RFC 3501 section 6.3.3: a trailing separator only announces children.
    if given.last() == Some(&session.fe.parts.namespace.delimiter()) {
        given.pop();
    }
    let name = session.internal(&given)?;
    session.barrier().await?;
    if !matches!(session.place_now(&name)?, Place::Nowhere) {
        return Err(Failure::coded("ALREADYEXISTS", "Mailbox already exists"));
    }
    let server = parent_server(session, &name)?;
    let index = session.upstream(&server, &name).await?;
    let request = request(&session.upstreams[index], command, &[&given], b"")?;
    let made = Some((name, server));
    change(session, (index, &request), command.tag, None, made).await
}

/// DELETE mailbox.
pub(crate) async fn delete(session: &mut Session, command: &Command<'_>) -> Result<(), Failure> {
    let given = name_argument(command)?;
    let name = session.internal(&given)?;
    let server = session.server_of(&name).await?;
    let index = session.upstream(&server, &name).await?;
    let request = request(&session.upstreams[index], command, &[&given], b"")?;
    change(session, (index, &request), command.tag, Some(&name), None).await
}

/// RENAME old new: at the server of the old name.
pub(crate) async fn rename(session: &mut Session, command: &Command<'_>) -> Result<(), Failure> {
    let mut args = command.args;
    args.sp()?;
    let old_given = args.astring()?.into_owned();
    args.sp()?;
    let new_given = args.astring()?.into_owned();
    if !args.is_done() {
        return Err(Failure::coded(
            "CANNOT",
            "RENAME to a server or partition isn't built yet",
        ));
    }
    let (old, new) = (session.internal(&old_given)?, session.internal(&new_given)?);
    let server = session.server_of(&old).await?;
    if !matches!(session.place(&new).await?, Place::Nowhere) {
        return Err(Failure::coded("ALREADYEXISTS", "Mailbox already exists"));
    }
    let index = session.upstream(&server, &old).await?;
    let request = request(
        &session.upstreams[index],
        command,
        &[&old_given, &new_given],
        b"",
    )?;
    let made = Some((new, server));
    change(session, (index, &request), command.tag, Some(&old), made).await
}

/// Forwards a change of the list, and settles it before the client is told OK. `made` is the
/// mailbox that there will be, and where; `gone` the one that there won't be.
pub(crate) async fn change(
    session: &mut Session,
    (index, request): (usize, &Request),
    tag: &[u8],
    gone: Option<&Name>,
    made: Option<(Name, Rc<str>)>,
) -> Result<(), Failure> {
    let reply = session.forward(index, request, tag).await?;
    if is_ok(&reply) {
        session.settle(gone, made).await;
    }
    session.client.push(&reply);
    Ok(())
}

/// The server of the nearest ancestor that exists; the list is up to date already.
fn parent_server(session: &Session, name: &Name) -> Result<Rc<str>, Failure> {
    let mut ancestor = name.parent();
    while let Some(parent) = ancestor {
        match session.place_now(&parent)? {
            Place::At(server) => return Ok(server),
            // It moves: whoever made the child now might make it at the wrong server.
            Place::Reserved => {
                return Err(Failure::coded(
                    "INUSE",
                    "Parent mailbox is currently reserved",
                ));
            }
            Place::Nowhere => ancestor = parent.parent(),
        }
    }
    Err(Failure::coded(
        "CANNOT",
        "There is no parent mailbox, so no server to create it on; an admin creates it at a backend",
    ))
}

/// The mailbox's name of a command that has no other argument.
pub(crate) fn name_argument(command: &Command<'_>) -> Result<Vec<u8>, Failure> {
    let mut args = command.args;
    args.sp()?;
    let given = args.astring()?.into_owned();
    args.end()?;
    Ok(given)
}

/// A command with its strings encoded anew for a backend, and `rest` as the client sent it.
pub(crate) fn request(
    up: &Upstream,
    command: &Command<'_>,
    strings: &[&[u8]],
    rest: &[u8],
) -> Result<Request, Failure> {
    // What the client wrote may end otherwise than we think: then the server is asked first.
    let ours_alone = memchr::memchr(b'\n', rest).is_none();
    let literals = if ours_alone {
        up.literals
    } else {
        Literals::Sync
    };
    let mut request = Request::new(literals);
    request.raw(command.tag).raw(" ").raw(command.verb.name());
    for string in strings {
        request.raw(" ").astring(string)?;
    }
    request.verbatim(rest).end();
    Ok(request)
}
