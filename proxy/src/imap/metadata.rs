//! Annotations: GETMETADATA and SETMETADATA (RFC 5464), and their forerunners GETANNOTATION and
//! SETANNOTATION (draft-daboo-imap-annotatemore).
//!
//! A mailbox's are at its backend, which answers as if it had been asked directly: its NO is the client's.
//! Those of the server (the mailbox "") are the ones of the inbox's backend. Where a mailbox lives is
//! answered here, from the list.

use std::rc::Rc;

use ravenry_core::mailboxes::Name;
use ravenry_core::proto::imap::encode::Request;
use ravenry_core::proto::imap::{Command, Cursor, Verb, encode};

use super::session::Session;
use super::upstreams::literals_beside;
use crate::failure::Failure;

/// Which server has a mailbox, as Cyrus' frontends call it.
const SERVER_ENTRY: &[u8] = b"/shared/vendor/cmu/cyrus-imapd/server";

/// `GETMETADATA [options] mailbox [options] entries`, `SETMETADATA mailbox (entry value …)`.
pub(crate) async fn metadata(session: &mut Session, command: &Command<'_>) -> Result<(), Failure> {
    let mut args = command.args;
    args.sp()?;
    let mut options: &[u8] = b"";
    if command.verb == Verb::GetMetadata && args.peek() == Some(b'(') {
        options = args.paren()?;
        args.sp()?;
    }
    let given = args.astring()?.into_owned();
    let mut rest = args;
    rest.sp()?;
    let asks_server = without_server_entry(rest).filter(|_| command.verb == Verb::GetMetadata);
    if asks_server.is_some() {
        session.refresh().await?;
    }
    let (name, server) = owner(session, &given).await?;
    let (mut tail, mut told) = (args.rest().to_vec(), Vec::new());
    if let Some(others) = asks_server
        && !given.is_empty()
    {
        told = server_entry(session, &given, &name, &server)?;
        if others.is_empty() {
            session.client.push(&told);
            session.client.push_tagged(command.tag, "OK Completed");
            return Ok(());
        }
        tail = [b" (", &others.join(&b' ')[..], b")"].concat();
    }
    let index = session.upstream(&server, &name).await?;
    let mut request = Request::new(literals_beside(&session.upstreams[index], &tail));
    request.raw(command.tag).raw(" ").raw(command.verb.name());
    if !options.is_empty() {
        request.raw(" ").verbatim(options);
    }
    request.raw(" ").string(&given)?.verbatim(&tail).end();
    let reply = session
        .forward_named(index, &request, command.tag, &name)
        .await?;
    session.client.push(&told);
    session.client.push(&reply);
    Ok(())
}

/// The server that has a mailbox's annotations; the inbox's for those of the server.
async fn owner(session: &mut Session, given: &[u8]) -> Result<(Name, Rc<str>), Failure> {
    if given.is_empty() {
        return session.inbox_server().await;
    }
    let name = session.internal(given)?;
    let server = session.server_of(&name).await?;
    session.refer(&server, &name)?;
    Ok((name, server))
}

/// The entries beside [`SERVER_ENTRY`], if that is asked for.
fn without_server_entry(mut rest: Cursor<'_>) -> Option<Vec<Vec<u8>>> {
    let mut entries = Vec::new();
    if rest.accept(b'(') {
        loop {
            entries.push(rest.astring().ok()?.into_owned());
            if rest.accept(b')') {
                break;
            }
            rest.sp().ok()?;
        }
    } else {
        entries.push(rest.astring().ok()?.into_owned());
    }
    let all = entries.len();
    entries.retain(|entry| !entry.eq_ignore_ascii_case(SERVER_ENTRY));
    let plain = entries
        .iter()
        .all(|entry| entry.iter().all(u8::is_ascii_graphic));
    (rest.is_done() && entries.len() < all && plain).then_some(entries)
}

/// The response that says which server has a mailbox.
fn server_entry(
    session: &Session,
    given: &[u8],
    name: &Name,
    server: &str,
) -> Result<Vec<u8>, Failure> {
    let identity = session.logged_in()?;
    let entry = session.entry(name)?;
    if entry.is_some_and(|entry| !entry.acl.rights_on(name, identity).may_know()) {
        return Err(Failure::coded("NONEXISTENT", "Mailbox does not exist"));
    }
    let mut line = b"* METADATA ".to_vec();
    encode::astring(&mut line, given)?;
    line.extend_from_slice(b" (");
    line.extend_from_slice(SERVER_ENTRY);
    line.push(b' ');
    encode::string(&mut line, server.as_bytes())?;
    line.extend_from_slice(b")\r\n");
    Ok(line)
}

/// GETANNOTATION mailbox entries attributes, SETANNOTATION mailbox entry (attribute value …).
pub(crate) async fn annotation(
    session: &mut Session,
    command: &Command<'_>,
) -> Result<(), Failure> {
    let mut args = command.args;
    args.sp()?;
    let given = args.list_mailbox()?.into_owned();
    let tail = args.rest();
    if given.iter().any(|byte| b"*%".contains(byte)) {
        return Err(Failure::coded(
            "CANNOT",
            "One mailbox at a time, please: no patterns",
        ));
    }
    let (name, server) = owner(session, &given).await?;
    let index = session.upstream(&server, &name).await?;
    let mut request = Request::new(literals_beside(&session.upstreams[index], tail));
    request.raw(command.tag).raw(" ").raw(command.verb.name());
    request.raw(" ").string(&given)?.verbatim(tail).end();
    let reply = session
        .forward_named(index, &request, command.tag, &name)
        .await?;
    session.client.push(&reply);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_entry_that_is_answered_here_is_taken_out() {
        let others = |text: &str| without_server_entry(Cursor::new(text.as_bytes()));
        let server = "/shared/vendor/cmu/cyrus-imapd/server";
        assert_eq!(others(server), Some(Vec::new()));
        assert_eq!(
            others(&format!("(/shared/comment \"{server}\" /private/x)")),
            Some(vec![b"/shared/comment".to_vec(), b"/private/x".to_vec()])
        );
        for text in [
            "/shared/comment",
            "(/shared/comment)",
            "",
            "(",
            &format!("({server}"),
            &format!("({server} \"a b\")"),
        ] {
            assert_eq!(others(text), None, "{text}");
        }
    }
}
