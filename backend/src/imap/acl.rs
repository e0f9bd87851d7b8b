//! ACL commands (RFC 4314): MYRIGHTS, GETACL, LISTRIGHTS, SETACL, DELETEACL.

use ravenry_core::mailboxes::{AclChange, Name, Rights};
use ravenry_core::proto::imap::{Command, Verb, encode};

use super::failure::Failure;
use super::naming::unread;
use super::session::{COMPLETED, Reply, Session};
use crate::member::Kind;
use crate::store::{Mailbox, Order, Refused};

/// A longer ACL isn't made: it is read whenever its mailbox is.
const ACL_BYTES_MAX: usize = 16 << 10;

/// MYRIGHTS mailbox.
pub(super) async fn myrights(session: &mut Session, command: &Command<'_>) -> Reply {
    let mut args = command.args;
    args.sp()?;
    let given = args.astring()?;
    args.end()?;
    let (_, rights) = session.mailbox(&given)?;
    let line = rights_line(session, &given, rights)?;
    tell(session, line)
}

/// The MYRIGHTS response of a mailbox that the client calls `name`, without its end.
pub(super) fn rights_line(
    session: &Session,
    name: &[u8],
    rights: Rights,
) -> Result<Vec<u8>, Failure> {
    let mut line = b"* MYRIGHTS ".to_vec();
    session.write_name(&mut line, name)?;
    line.push(b' ');
    encode::astring(&mut line, rights.to_string().as_bytes())?;
    Ok(line)
}

/// GETACL mailbox.
pub(super) async fn getacl(session: &mut Session, command: &Command<'_>) -> Reply {
    let mut args = command.args;
    args.sp()?;
    let given = args.astring()?;
    args.end()?;
    let mailbox = administered(session, &given)?;
    let mut line = b"* ACL ".to_vec();
    session.write_name(&mut line, &given)?;
    for (identifier, rights) in mailbox.acl.entries() {
        line.push(b' ');
        encode::astring(&mut line, identifier)?;
        line.push(b' ');
        encode::astring(&mut line, rights)?;
    }
    tell(session, line)
}

/// LISTRIGHTS mailbox identifier.
pub(super) async fn listrights(session: &mut Session, command: &Command<'_>) -> Reply {
    let mut args = command.args;
    args.sp()?;
    let given = args.astring()?;
    args.sp()?;
    let identifier = args.astring()?;
    args.end()?;
    let mailbox = administered(session, &given)?;
    let namespace = session.backend.desk.parts.namespace;
    let user = namespace.named_user(&identifier, session.who()?);
    let mut line = b"* LISTRIGHTS ".to_vec();
    session.write_name(&mut line, &given)?;
    line.push(b' ');
    encode::astring(&mut line, &identifier)?;
    let (always, each) = Rights::listed_for(&mailbox.name, user.as_ref());
    line.push(b' ');
    encode::astring(&mut line, always.to_string().as_bytes())?;
    for right in each {
        line.extend_from_slice(format!(" {right}").as_bytes());
    }
    tell(session, line)
}

/// SETACL mailbox identifier rights, DELETEACL mailbox identifier.
pub(super) async fn change(session: &Session, command: &Command<'_>) -> Reply {
    let mut args = command.args;
    args.sp()?;
    let given = args.astring()?;
    args.sp()?;
    let identifier = args.astring()?;
    let change = if command.verb == Verb::SetAcl {
        args.sp()?;
        AclChange::parse(&args.astring()?)
    } else {
        Some(AclChange::Replace(Rights::NONE))
    };
    args.end()?;
    // RFC 4314 section 3.1: a right that isn't known is an error of the command.
    let change = change.ok_or_else(|| Failure::bad("There is no such right"))?;
    let name = administered(session, &given)?.name;
    let namespace = session.backend.desk.parts.namespace;
    let identifier = namespace.identifier(&identifier, session.who()?);
    let identifier =
        identifier.ok_or_else(|| Failure::coded("CANNOT", "There can't be such an identifier"))?;
    set(session, name, identifier, change).await
}

/// Between two commits, so that no other change is lost.
async fn set(session: &Session, name: Name, identifier: Vec<u8>, change: AclChange) -> Reply {
    let done = session.backend.change(Kind::SetAcl, move |store| {
        let mailbox = store.mailbox(&name).map_err(unread)?;
        let mailbox = mailbox.ok_or(Refused::NoMailbox)?;
        let acl = mailbox.acl.changed(&identifier, change);
        let (before, after) = (mailbox.acl.as_bytes().len(), acl.as_bytes().len());
        if after > ACL_BYTES_MAX.max(before) {
            return Err(Refused::TooLong);
        }
        let name = name.clone();
        Ok(vec![Order::SetAcl { name, acl }])
    });
    done.await?;
    COMPLETED
}

/// A mailbox that the user may administer.
fn administered(session: &Session, given: &[u8]) -> Result<Mailbox, Failure> {
    let (mailbox, rights) = session.mailbox(given)?;
    if rights.contains(Rights::ADMINISTER) {
        Ok(mailbox)
    } else {
        Err(Failure::noperm())
    }
}

fn tell(session: &mut Session, mut line: Vec<u8>) -> Reply {
    line.extend_from_slice(b"\r\n");
    session.client.push(&line);
    COMPLETED
}
