//! SELECT and EXAMINE (RFC 3501 section 6.3.1): the concept's five steps, the list first.

use std::rc::Rc;

use ravenry_core::mailboxes::Name;
use ravenry_core::proto::imap::{Command, ParseError};

use super::mailbox::request;
use super::session::{Selected, Session};
use super::view::View;
use super::{is_bad, is_ok};
use crate::failure::Failure;

/// Selects a mailbox at its backend.
pub(crate) async fn select(session: &mut Session, command: &Command<'_>) -> Result<(), Failure> {
    let mut args = command.args;
    args.sp()?;
    let given = args.astring()?;
    let parameters = args.rest();
    if !parameters.is_empty() && !parameters.starts_with(b" (") {
        return Err(ParseError::Extra.into());
    }
    // Whatever comes of it, the mailbox that was selected isn't any more.
    let (name, server) = match find(session, &given)
        .await
        .and_then(|(name, server)| session.refer(&server, &name).map(|()| (name, server)))
    {
        Ok(found) => found,
        Err(failure) => {
            session.close_for_next().await;
            return Err(failure);
        }
    };
    if session.selected_server() != Some(&server) {
        session.close_for_next().await;
    }
    session.note_condstore(command);
    let index = session.upstream(&server, &name).await?;
    let request = request(&session.upstreams[index], command, &[&given], parameters)?;
    let up = &mut session.upstreams[index];
    // What is selected there is so no more, or will be soon.
    up.view = Some(View::default());
    let reply = session.forward(index, &request, command.tag).await?;
    if let Some(view) = &mut session.upstreams[index].view {
        view.opened();
    }
    session.saved_search = false;
    session.selected = Some(Selected {
        server: Rc::clone(&server),
        name: name.clone(),
        verb: command.verb,
    });
    if is_bad(&reply) {
        // A server may have kept the old mailbox: let it go there too.
        session.unselect().await;
    } else if !is_ok(&reply) {
        session.selected = None;
        session.confirm(&reply, &name, &server).await?;
    }
    session.client.push(&reply);
    Ok(())
}

impl Session {
    /// Lets go of the selected mailbox, and says so where the client counts on it: responses
    /// before that line are the old mailbox's, those behind it the new one's.
    async fn close_for_next(&mut self) {
        if self.selected.is_none() {
            return;
        }
        self.unselect().await;
        if self.enabled.tells_closed() {
            self.client
                .push_line("* OK [CLOSED] Previous mailbox is closed");
        }
    }
}

async fn find(session: &mut Session, given: &[u8]) -> Result<(Name, Rc<str>), Failure> {
    let name = session.internal(given)?;
    let server = session.server_of(&name).await?;
    Ok((name, server))
}
