//! IDLE (RFC 2177): the backend's own, passed through. Without a selected mailbox there is nothing
//! to tell, and the frontend only waits for DONE.

use ravenry_core::proto::imap::Command;

use super::relay::{self, Relayed};
use super::session::Session;
use crate::failure::Failure;

/// Idles until the client says DONE. What the backend says meanwhile is passed on as it always is
/// while a session waits.
pub(crate) async fn idle(session: &mut Session, command: &Command<'_>) -> Result<(), Failure> {
    command.no_args()?;
    match session.selected_index() {
        None => session.client.push_line("+ idling"),
        Some(index) => {
            if let Some(refusal) = begin(session, index, command).await? {
                session.client.push(&refusal);
                return Ok(());
            }
        }
    }
    session.idling = Some(command.tag.to_vec());
    let line = session.line().await;
    session.idling = None;
    let line = match line {
        // Whatever it was, it ends the backend's IDLE as well.
        Err(Failure::Bad(_)) => Vec::new(),
        line => line?,
    };
    let reply = match session.selected_index() {
        None => [command.tag, b" OK Completed\r\n"].concat(),
        Some(index) => match end(session, index, command.tag).await {
            // It was lost and that shows only now: nothing was asked for.
            Err(Failure::Backend(lost)) => {
                Box::pin(session.recover(lost)).await?;
                [command.tag, b" OK Completed\r\n"].concat()
            }
            reply => reply?,
        },
    };
    if !line.eq_ignore_ascii_case(b"DONE") {
        return Err(Failure::bad("Invalid Idle continuation, DONE was expected"));
    }
    session.client.push(&reply);
    Ok(())
}

/// Ends the backend's IDLE; gives its reply.
async fn end(session: &mut Session, index: usize, tag: &[u8]) -> Result<Vec<u8>, Failure> {
    let (client, up) = (&mut session.client, &mut session.upstreams[index]);
    up.write(b"DONE\r\n").await.map_err(Failure::Backend)?;
    relay::relay_to_end(client, up, tag).await
}

/// Starts the backend's IDLE and passes its continuation request on; or gives its refusal.
async fn begin(
    session: &mut Session,
    index: usize,
    command: &Command<'_>,
) -> Result<Option<Vec<u8>>, Failure> {
    session.enable_at(index).await?;
    let (client, up) = (&mut session.client, &mut session.upstreams[index]);
    if !up.capabilities.has("IDLE") {
        return Err(Failure::coded(
            "CANNOT",
            "The server of this mailbox has no IDLE",
        ));
    }
    session.fe.desk.metrics.commands_forwarded.add(1);
    up.write(command.raw).await.map_err(Failure::Backend)?;
    match relay::relay(client, up, command.tag).await? {
        Relayed::Tagged(refusal) => Ok(Some(refusal)),
        Relayed::Continuation(line) => {
            client.push(&line);
            Ok(None)
        }
    }
}
