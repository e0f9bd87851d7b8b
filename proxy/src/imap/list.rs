//! LIST and NAMESPACE (RFC 3501 section 6.3.8, RFC 2342), from the mailbox list alone: no backend
//! is asked.

use ravenry_core::mailboxes::{ListCursor, ListQuery, Listed, Name, Progress};
use ravenry_core::proto::imap::{Command, encode};
use ravenry_core::rt;

use super::session::Session;
use crate::failure::Failure;

/// Lines of an answer that are made before the shard turns to others.
const LINES_AT_ONCE: usize = 256;

/// LIST reference pattern.
pub(crate) async fn list(session: &mut Session, command: &Command<'_>) -> Result<(), Failure> {
    let mut args = command.args;
    args.sp()?;
    not_extended(args.peek() == Some(b'('))?;
    let reference = args.astring()?;
    args.sp()?;
    not_extended(args.peek() == Some(b'('))?;
    let pattern = args.list_mailbox()?;
    not_extended(!args.is_done())?;
    if pattern.is_empty() {
        push(session, b"", "\\Noselect")?;
    } else {
        matching(session, &reference, &pattern).await?;
    }
    session.client.push_tagged(command.tag, "OK Completed");
    Ok(())
}

/// LIST-EXTENDED (RFC 5258) isn't announced.
fn not_extended(extended: bool) -> Result<(), Failure> {
    if extended {
        Err(Failure::bad("Extended LIST isn't built yet"))
    } else {
        Ok(())
    }
}

/// Lists what matches and the user may see, piece by piece.
async fn matching(session: &mut Session, reference: &[u8], pattern: &[u8]) -> Result<(), Failure> {
    let identity = session.logged_in()?.clone();
    let query = ListQuery::new(identity, session.fe.parts.namespace, reference, &[pattern])
        .map_err(|_too_long| Failure::bad("Pattern too long"))?;
    let mut cursor = ListCursor::default();
    loop {
        let mut lines: Vec<Listed> = Vec::new();
        let list = &session.fe.parts.list;
        let progress = list.list_chunk(&query, &mut cursor, LINES_AT_ONCE, |line| lines.push(line));
        let progress = progress.map_err(|error| session.unreadable(&error))?;
        for line in lines {
            let children = if line.has_children {
                "\\HasChildren"
            } else {
                "\\HasNoChildren"
            };
            match line.mailbox {
                Some(_) => push(session, &line.name, children)?,
                None => push(session, &line.name, &format!("\\Noselect {children}"))?,
            }
        }
        if progress == Progress::Done {
            return unannounced(session, &query);
        }
        session.client.flush_if_large().await?;
        rt::yield_now().await;
    }
}

/// Lists what this session has made and the list doesn't have yet.
fn unannounced(session: &mut Session, query: &ListQuery) -> Result<(), Failure> {
    let names: Vec<Name> = session
        .remembered
        .iter()
        .map(|made| made.name.clone())
        .collect();
    for name in names {
        if session.entry(&name)?.is_none()
            && let Some(external) = query.matching(&name)
        {
            push(session, &external, "\\HasNoChildren")?;
        }
    }
    Ok(())
}

fn push(session: &mut Session, name: &[u8], attributes: &str) -> Result<(), Failure> {
    let delimiter = char::from(session.fe.parts.namespace.delimiter());
    let mut line = format!("* LIST ({attributes}) \"{delimiter}\" ").into_bytes();
    encode::astring(&mut line, name)?;
    line.extend_from_slice(b"\r\n");
    session.client.push(&line);
    Ok(())
}

/// NAMESPACE.
pub(crate) fn namespace(session: &mut Session, command: &Command<'_>) -> Result<(), Failure> {
    command.no_args()?;
    let namespace = session.fe.parts.namespace;
    let prefixes = namespace.prefixes(session.logged_in()?);
    let delimiter = char::from(namespace.delimiter());
    let class = |prefix: Option<&[u8]>| match prefix {
        None => "NIL".to_owned(),
        Some(prefix) => {
            format!(
                "((\"{}\" \"{delimiter}\"))",
                String::from_utf8_lossy(prefix)
            )
        }
    };
    session.client.push_line(&format!(
        "* NAMESPACE {} {} {}",
        class(prefixes.personal.as_deref()),
        class(Some(&prefixes.others)),
        class(Some(&prefixes.shared)),
    ));
    session.client.push_tagged(command.tag, "OK Completed");
    Ok(())
}
