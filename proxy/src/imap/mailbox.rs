//! STATUS and DELETE (RFC 3501 section 6.3), and what all changes of the mailbox list have in common.
//!
//! They are done by the backend, with the MUPDATE master as lock manager. After the backend's OK
//! the barrier brings the list up to date before the client has its tagged OK, so that the next
//! command of the session sees what this one did.

use std::rc::Rc;

use ravenry_core::mailboxes::Name;
use ravenry_core::proto::imap::encode::Request;
use ravenry_core::proto::imap::{Command, ParseError};

use super::is_ok;
use super::session::Session;
use super::upstreams::{Steps, literals_beside};
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
    session.refer(&server, &name)?;
    session.note_condstore(command);
    let index = session.upstream(&server, &name).await?;
    let request = request(&session.upstreams[index], command, &[&given], &items)?;
    let reply = session
        .forward_named(index, &request, command.tag, &name)
        .await?;
    session.client.push(&reply);
    Ok(())
}

/// DELETE mailbox.
pub(crate) async fn delete(session: &mut Session, command: &Command<'_>) -> Result<(), Failure> {
    let given = name_argument(command)?;
    let name = session.internal(&given)?;
    let server = session.server_of(&name).await?;
    let index = session.upstream(&server, &name).await?;
    let request = request(&session.upstreams[index], command, &[&given], b"")?;
    let asked = (index, &request, Steps::DELETE);
    change(session, asked, command.tag, Some(&name), None).await
}

/// Forwards a change of the list, and settles it before the client is told OK. `gone` is the mailbox
/// that there won't be any more; `made` the one that there will be, and where.
pub(crate) async fn change(
    session: &mut Session,
    (index, request, steps): (usize, &Request, Steps),
    tag: &[u8],
    gone: Option<&Name>,
    made: Option<(Name, Rc<str>)>,
) -> Result<(), Failure> {
    let reply = session.forward_change(index, request, tag, steps).await?;
    if let Some(name) = gone {
        let server = Rc::clone(&session.upstreams[index].server);
        session.confirm(&reply, name, &server).await?;
    }
    if is_ok(&reply) {
        session.settle(gone, made).await?;
    }
    session.client.push(&reply);
    Ok(())
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
    // Right behind a string, `rest` would become a part of it: of another name than was looked up.
    if !rest.is_empty() && !rest.starts_with(b" ") {
        return Err(ParseError::Extra.into());
    }
    let mut request = Request::new(literals_beside(up, rest));
    request.raw(command.tag).raw(" ").raw(command.verb.name());
    for string in strings {
        request.raw(" ").astring(string)?;
    }
    request.verbatim(rest).end();
    Ok(request)
}
