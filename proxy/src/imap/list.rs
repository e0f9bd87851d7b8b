//! LIST and NAMESPACE (RFC 3501 section 6.3.8, RFC 2342), from the mailbox list alone. What has
//! options goes on in `list_extended`.

use std::collections::BTreeSet;
use std::rc::Rc;

use ravenry_core::mailboxes::{
    ListCursor, ListQuery, Listed, ListedMailbox, Name, NameError, PatternTooLong, Progress,
};
use ravenry_core::proto::imap::{Command, ListCommand, Verb, encode};
use ravenry_core::rt;

use super::list_extended::extended;
use super::session::Session;
use crate::failure::Failure;

/// Lines of an answer that are made before the shard turns to others.
pub(super) const LINES_AT_ONCE: usize = 256;

/// LIST and XLIST: from the mailbox list alone, or with options.
pub(crate) async fn list(session: &mut Session, command: &Command<'_>) -> Result<(), Failure> {
    let mut list = ListCommand::parse(command.args)?;
    if command.verb == Verb::Rlist || list.select.remote {
        session.knows_referrals = true;
    }
    let xlist = command.verb == Verb::Xlist;
    if xlist {
        list.returns.children = true;
        list.returns.special_use = true;
    }
    if !list.is_extended && list.patterns.iter().all(|pattern| pattern.is_empty()) {
        push(session, "LIST", b"", "\\Noselect")?;
        session.client.push_tagged(command.tag, "OK Completed");
        return Ok(());
    }
    let asked = Asked::new(session, &list)?;
    session.refresh().await?;
    if xlist {
        return extended(session, command, &asked, "XLIST").await;
    }
    if list.is_extended {
        return extended(session, command, &asked, "LIST").await;
    }
    matching(session, &asked).await?;
    session.client.push_tagged(command.tag, "OK Completed");
    Ok(())
}

/// A LIST, and its patterns ready to be matched.
pub(super) struct Asked<'a> {
    pub(super) list: &'a ListCommand<'a>,
    pub(super) query: ListQuery,
}

impl<'a> Asked<'a> {
    pub(super) fn new(session: &Session, list: &'a ListCommand<'a>) -> Result<Self, Failure> {
        let patterns: Vec<&[u8]> = list.patterns.iter().map(|pattern| &**pattern).collect();
        let query = query(session, &list.reference, &patterns)?;
        Ok(Self { list, query })
    }

    /// The query for these patterns, with the command's reference.
    pub(super) fn query_of(
        &self,
        session: &Session,
        patterns: &[&[u8]],
    ) -> Result<ListQuery, Failure> {
        query(session, &self.list.reference, patterns)
    }
}

fn query(session: &Session, reference: &[u8], patterns: &[&[u8]]) -> Result<ListQuery, Failure> {
    let identity = session.logged_in()?.clone();
    let namespace = session.fe.desk.parts.namespace;
    if session.enabled.has_utf8() {
        return ListQuery::in_utf8(identity, namespace, reference, patterns).map_err(no_name);
    }
    ListQuery::new(identity, namespace, reference, patterns).map_err(too_long)
}

fn too_long(_: PatternTooLong) -> Failure {
    Failure::bad("Pattern too long")
}

fn no_name(error: NameError) -> Failure {
    Failure::bad(error.to_string())
}

/// Lists what matches and the user may see, piece by piece.
async fn matching(session: &mut Session, asked: &Asked<'_>) -> Result<(), Failure> {
    let mut cursor = ListCursor::default();
    loop {
        let mut lines: Vec<Listed> = Vec::new();
        let list = &session.fe.parts.list;
        let query = &asked.query;
        let progress = list.list_chunk(query, &mut cursor, LINES_AT_ONCE, |line| lines.push(line));
        let progress = progress.map_err(|error| session.unreadable(&error))?;
        for line in lines {
            let children = if line.has_children {
                "\\HasChildren"
            } else {
                "\\HasNoChildren"
            };
            let shown = session.shown(line.name);
            match line.mailbox {
                Some(_) => push(session, "LIST", &shown, children)?,
                None => push(session, "LIST", &shown, &format!("\\Noselect {children}"))?,
            }
        }
        if progress == Progress::Done {
            return unannounced(session, asked, "LIST");
        }
        session.client.flush_if_large().await?;
        rt::yield_now().await;
    }
}

/// The servers that have a match which the user sees, and the first of the names.
pub(super) async fn servers_of(
    session: &Session,
    query: &ListQuery,
) -> Result<(BTreeSet<Rc<str>>, Option<Name>), Failure> {
    let (mut servers, mut first) = (BTreeSet::new(), None);
    each_mailbox(session, query, |_, mailbox| {
        servers.insert(session.fe.server(&mailbox.location.server));
        first.get_or_insert(mailbox.name);
    })
    .await?;
    Ok((servers, first))
}

/// Gives each mailbox that matches and the user sees, with its name as the client sees it.
pub(super) async fn each_mailbox(
    session: &Session,
    query: &ListQuery,
    mut take: impl FnMut(Vec<u8>, ListedMailbox),
) -> Result<(), Failure> {
    let mut cursor = ListCursor::default();
    loop {
        let list = &session.fe.parts.list;
        let progress = list.list_chunk(query, &mut cursor, LINES_AT_ONCE, |line| {
            if let Some(mailbox) = line.mailbox {
                take(line.name, mailbox);
            }
        });
        if progress.map_err(|error| session.unreadable(&error))? == Progress::Done {
            return Ok(());
        }
        rt::yield_now().await;
    }
}

/// Lists what this session has made and the list doesn't have yet.
pub(super) fn unannounced(
    session: &mut Session,
    asked: &Asked<'_>,
    word: &str,
) -> Result<(), Failure> {
    let names: Vec<Name> = session
        .remembered
        .iter()
        .map(|made| made.name.clone())
        .collect();
    for name in names {
        if session.entry(&name)?.is_none()
            && let Some(external) = asked.query.matching(&name)
        {
            let shown = session.shown(external);
            push(session, word, &shown, "\\HasNoChildren")?;
        }
    }
    Ok(())
}

fn push(session: &mut Session, word: &str, name: &[u8], attributes: &str) -> Result<(), Failure> {
    let delimiter = char::from(session.fe.desk.parts.namespace.delimiter());
    let mut line = format!("* {word} ({attributes}) \"{delimiter}\" ").into_bytes();
    encode::astring(&mut line, name)?;
    line.extend_from_slice(b"\r\n");
    session.client.push(&line);
    Ok(())
}

/// NAMESPACE.
pub(crate) fn namespace(session: &mut Session, command: &Command<'_>) -> Result<(), Failure> {
    command.no_args()?;
    let namespace = session.fe.desk.parts.namespace;
    let response = namespace.response(session.logged_in()?);
    session.client.push_line(&response);
    session.client.push_tagged(command.tag, "OK Completed");
    Ok(())
}
