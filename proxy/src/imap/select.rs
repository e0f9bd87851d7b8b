//! SELECT and EXAMINE (RFC 3501 section 6.3.1): the concept's five steps, the list first.

use std::rc::Rc;

use ravenry_core::mailboxes::Name;
use ravenry_core::proto::imap::Command;

use super::mailbox::request;
use super::session::Session;
use super::{is_bad, is_ok};
use crate::failure::Failure;

/// Selects a mailbox at its backend.
pub(crate) async fn select(session: &mut Session, command: &Command<'_>) -> Result<(), Failure> {
    let mut args = command.args;
    args.sp()?;
    let given = args.astring()?;
    let parameters = args.rest();
    // Whatever comes of it, the mailbox that was selected isn't any more.
    let (name, server) = match find(session, &given).await {
        Ok(found) => found,
        Err(failure) => {
            session.unselect().await;
            return Err(failure);
        }
    };
    if session.selected.as_ref() != Some(&server) {
        session.unselect().await;
    }
    let index = session.upstream(&server, &name).await?;
    let request = request(&session.upstreams[index], command, &[&given], parameters)?;
    let reply = session.forward(index, &request, command.tag).await?;
    session.selected = is_ok(&reply).then(|| Rc::clone(&server));
    if is_bad(&reply) {
        // A server may have kept the old mailbox: let it go there too.
        session.selected = Some(server);
        session.unselect().await;
    }
    session.client.push(&reply);
    Ok(())
}

async fn find(session: &mut Session, given: &[u8]) -> Result<(Name, Rc<str>), Failure> {
    let name = session.internal(given)?;
    let server = session.server_of(&name).await?;
    Ok((name, server))
}
