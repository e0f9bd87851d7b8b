//! ACL commands (RFC 4314). What only reads is answered from the list; SETACL and DELETEACL are
//! done by the mailbox's backend and settled like every change of the list.

use ravenry_core::mailboxes::{Acl, Name, Rights, State};
use ravenry_core::proto::imap::{Command, Verb, encode};

use super::is_ok;
use super::mailbox::request;
use super::session::Session;
use super::upstreams::Steps;
use crate::failure::Failure;

/// MYRIGHTS mailbox.
pub(crate) async fn myrights(session: &mut Session, command: &Command<'_>) -> Result<(), Failure> {
    let mut args = command.args;
    args.sp()?;
    let given = args.astring()?;
    let name = session.internal(&given)?;
    args.end()?;
    let (_, rights) = rights(session, &name).await?;
    if !rights.may_know() {
        return Err(nonexistent());
    }
    let mut line = b"* MYRIGHTS ".to_vec();
    encode::astring(&mut line, &given)?;
    line.extend_from_slice(format!(" {rights}\r\n").as_bytes());
    finish(session, command, &line)
}

/// GETACL mailbox.
pub(crate) async fn getacl(session: &mut Session, command: &Command<'_>) -> Result<(), Failure> {
    let mut args = command.args;
    args.sp()?;
    let given = args.astring()?;
    let name = session.internal(&given)?;
    args.end()?;
    let acl = administered(session, &name).await?;
    let mut line = b"* ACL ".to_vec();
    encode::astring(&mut line, &given)?;
    for (identifier, rights) in acl.entries() {
        line.push(b' ');
        encode::astring(&mut line, identifier)?;
        line.push(b' ');
        encode::astring(&mut line, rights)?;
    }
    line.extend_from_slice(b"\r\n");
    finish(session, command, &line)
}

/// LISTRIGHTS mailbox identifier.
pub(crate) async fn listrights(
    session: &mut Session,
    command: &Command<'_>,
) -> Result<(), Failure> {
    let mut args = command.args;
    args.sp()?;
    let given = args.astring()?;
    let name = session.internal(&given)?;
    args.sp()?;
    let identifier = args.astring()?.into_owned();
    args.end()?;
    administered(session, &name).await?;
    let namespace = &session.fe.desk.parts.namespace;
    let user = namespace.named_user(&identifier, session.logged_in()?);
    let mut line = b"* LISTRIGHTS ".to_vec();
    encode::astring(&mut line, &given)?;
    line.push(b' ');
    encode::astring(&mut line, &identifier)?;
    let (always, each) = Rights::listed_for(&name, user.as_ref());
    line.push(b' ');
    encode::astring(&mut line, always.to_string().as_bytes())?;
    for right in each {
        line.extend_from_slice(format!(" {right}").as_bytes());
    }
    line.extend_from_slice(b"\r\n");
    finish(session, command, &line)
}

/// SETACL mailbox identifier rights, DELETEACL mailbox identifier.
pub(crate) async fn change_acl(
    session: &mut Session,
    command: &Command<'_>,
) -> Result<(), Failure> {
    let mut args = command.args;
    args.sp()?;
    let mut strings = vec![args.astring()?];
    let more = if command.verb == Verb::SetAcl { 2 } else { 1 };
    for _ in 0..more {
        args.sp()?;
        strings.push(args.astring()?);
    }
    args.end()?;
    let name = session.internal(&strings[0])?;
    // Cyrus changes its own list before it asks the master: where that is away, nothing is begun.
    session.barrier().await?;
    let server = session.server_of(&name).await?;
    session.refer(&server, &name)?;
    let index = session.upstream(&server, &name).await?;
    let strings: Vec<&[u8]> = strings.iter().map(|string| &**string).collect();
    let request = request(&session.upstreams[index], command, &strings, b"")?;
    let reply = session
        .forward_change(index, &request, command.tag, Steps::SETACL)
        .await?;
    session.confirm(&reply, &name, &server).await?;
    if is_ok(&reply) {
        session.settle(None, None).await?;
    }
    session.client.push(&reply);
    Ok(())
}

/// A mailbox's ACL, and what the user may do there.
async fn rights(session: &mut Session, name: &Name) -> Result<(Acl, Rights), Failure> {
    session.refresh().await?;
    session.server_of(name).await?;
    let entry = session
        .entry(name)?
        .filter(|entry| entry.state == State::Active);
    // A mailbox that only this session knows of yet has no ACL that could be told.
    let entry = entry.ok_or_else(|| Failure::unavailable("The mailbox isn't in the list yet"))?;
    let rights = entry.acl.rights_on(name, session.logged_in()?);
    Ok((entry.acl, rights))
}

/// The ACL of a mailbox that the user may administer.
async fn administered(session: &mut Session, name: &Name) -> Result<Acl, Failure> {
    let (acl, rights) = rights(session, name).await?;
    if rights.contains(Rights::ADMINISTER) {
        Ok(acl)
    } else if rights.may_know() {
        Err(Failure::coded("NOPERM", "Permission denied"))
    } else {
        Err(nonexistent())
    }
}

fn nonexistent() -> Failure {
    Failure::coded("NONEXISTENT", "Mailbox does not exist")
}

fn finish(session: &mut Session, command: &Command<'_>, line: &[u8]) -> Result<(), Failure> {
    session.client.push(line);
    session.client.push_tagged(command.tag, "OK Completed");
    Ok(())
}
