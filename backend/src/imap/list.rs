//! LIST (RFC 3501 section 6.3.8), CHILDREN (RFC 3348), LIST-EXTENDED (RFC 5258), LIST-STATUS (RFC 5819), SPECIAL-USE
//! (RFC 6154), LIST-MYRIGHTS (RFC 8440), LIST-METADATA (RFC 9590); XLIST, an elder of SPECIAL-USE, which Cyrus' frontends announce
//! and pass on.
//!
//! Names come from the store piece by piece, each in a read transaction of its own, and what a piece says is sent before
//! the next is read. A subscribed name that is hidden is told as one that isn't there.

use std::collections::BTreeSet;

use ravenry_core::mailboxes::{ListCursor, ListQuery, Listed, Name, Progress, Rights};
use ravenry_core::proto::imap::{Command, GetMetadata, ListCommand, StatusItem, Verb};
use ravenry_core::rt;

use super::acl;
use super::failure::Failure;
use super::metadata;
use super::session::{COMPLETED, Reply, Session};
use super::status;
use crate::store::{Mailbox, Visible};

/// Lines of an answer that are made before the shard turns to others.
const LINES_AT_ONCE: usize = 256;

/// LIST.
pub(super) async fn list(session: &mut Session, command: &Command<'_>) -> Reply {
    let mut list = ListCommand::parse(command.args)?;
    let word = command.verb.name();
    list.returns.special_use |= command.verb == Verb::Xlist;
    if !list.is_extended && list.patterns.iter().all(|pattern| pattern.is_empty()) {
        push(session, word, b"", "\\Noselect")?;
        return COMPLETED;
    }
    let metadata = list
        .returns
        .metadata
        .map(GetMetadata::in_list)
        .transpose()?;
    let patterns: Vec<&[u8]> = list.patterns.iter().map(|pattern| &**pattern).collect();
    let status = list
        .returns
        .status
        .map(StatusItem::parse_list)
        .transpose()?;
    let mut answer = Answer {
        word,
        metadata,
        query: session.query(&list.reference, &patterns)?,
        status: status.unwrap_or_default(),
        subscribed: None,
        above: BTreeSet::new(),
        told: BTreeSet::new(),
        list,
    };
    if answer.list.select.subscribed || answer.list.returns.subscribed {
        let names = session
            .backend
            .parts
            .store
            .subscriptions(&session.who()?.user)?;
        answer.subscribed = Some(names.into_iter().collect());
    }
    if answer.list.select.recursive {
        answer.find_above(session).await?;
    }
    answer.run(session).await?;
    answer.unlisted(session).await?;
    COMPLETED
}

/// The next piece of a LIST.
fn piece(
    session: &Session,
    query: &ListQuery,
    cursor: &mut ListCursor<Visible>,
) -> Result<(Vec<Listed<Visible>>, bool), Failure> {
    let mut lines = Vec::new();
    let (store, who) = (&session.backend.parts.store, session.who()?);
    let take = |line| lines.push(line);
    let progress = store.list_chunk((query, who), cursor, LINES_AT_ONCE, take)?;
    Ok((lines, progress == Progress::Done))
}

/// An answer to LIST, line by line.
struct Answer<'a> {
    /// LIST or XLIST.
    word: &'static str,
    /// What of the mailboxes' annotations is to be told.
    metadata: Option<GetMetadata<'a>>,
    list: ListCommand<'a>,
    query: ListQuery,
    status: Vec<StatusItem>,
    /// There if they are asked for.
    subscribed: Option<BTreeSet<Name>>,
    /// Names as the client sees them that match, and have something selected below them that doesn't (RFC 5258 section
    /// 3.5).
    above: BTreeSet<Vec<u8>>,
    /// Names that have been told, where some come from elsewhere than the store's names.
    told: BTreeSet<Vec<u8>>,
}

impl Answer<'_> {
    async fn run(&mut self, session: &mut Session) -> Result<(), Failure> {
        let mut cursor = ListCursor::default();
        loop {
            let (lines, done) = piece(session, &self.query, &mut cursor)?;
            for line in lines {
                self.line(session, line).await?;
                session.client.flush_if_large().await?;
            }
            if done {
                return Ok(());
            }
            rt::yield_now().await;
        }
    }

    /// A mailbox, or a level above one.
    async fn line(&mut self, session: &mut Session, line: Listed<Visible>) -> Result<(), Failure> {
        let above = self.above.contains(&line.name);
        let mut attributes = Vec::new();
        let Some((mailbox, rights)) = line.mailbox else {
            let select = self.list.select;
            if above || (!select.subscribed && !select.special_use) {
                let extended = self.list.is_extended;
                attributes.push(if extended {
                    "\\NonExistent"
                } else {
                    "\\Noselect"
                });
                attributes.push(children(line.has_children));
                self.push(session, line.name, &attributes, above)?;
            }
            return Ok(());
        };
        let subscribed = self.is_subscribed(&mailbox.name);
        if !above && !self.selects(&mailbox) {
            return Ok(());
        }
        if subscribed {
            attributes.push("\\Subscribed");
        }
        attributes.push(children(line.has_children));
        if !self.status.is_empty() && !rights.contains(Rights::READ) {
            // Why there is no STATUS (RFC 5819 section 2).
            attributes.push("\\NoSelect");
        }
        if self.list.returns.special_use || self.list.select.special_use {
            attributes.extend(mailbox.special_use.attributes());
        }
        if self.word == "XLIST" && line.name == b"INBOX" {
            attributes.push("\\Inbox");
        }
        let shown = session.shown(&line.name);
        self.push(session, line.name, &attributes, above)?;
        // One that is only above what is selected has LIST alone (RFC 5819 section 2, RFC 8440 section 4).
        if !self.selects(&mailbox) {
            return Ok(());
        }
        self.along(session, (mailbox, rights), &shown).await
    }

    /// What is told of a mailbox beside its name.
    async fn along(
        &self,
        session: &mut Session,
        (mailbox, rights): (Mailbox, Rights),
        shown: &[u8],
    ) -> Result<(), Failure> {
        if !self.status.is_empty() && rights.contains(Rights::READ) {
            let line = status::response(session, shown, &mailbox, &self.status)?;
            session.client.push(&line);
        }
        if self.list.returns.myrights {
            let mut line = acl::rights_line(session, shown, rights)?;
            line.extend_from_slice(b"\r\n");
            session.client.push(&line);
        }
        if let Some(asked) = &self.metadata {
            metadata::along(session, (mailbox, rights), asked, shown).await?;
        }
        Ok(())
    }

    /// Whether the selection options take a mailbox.
    fn selects(&self, mailbox: &Mailbox) -> bool {
        let select = self.list.select;
        (!select.subscribed || self.is_subscribed(&mailbox.name))
            && (!select.special_use || !mailbox.special_use.is_none())
    }

    fn is_subscribed(&self, name: &Name) -> bool {
        let subscribed = self.subscribed.as_ref();
        subscribed.is_some_and(|names| names.contains(name))
    }

    /// Finds the names above those that are selected and don't match themselves.
    async fn find_above(&mut self, session: &Session) -> Result<(), Failure> {
        let mut selected: Vec<Vec<u8>> = Vec::new();
        if self.list.select.special_use {
            // They may be anywhere.
            let all = session.query(b"", &[b"*"])?;
            let mut cursor = ListCursor::default();
            loop {
                let (lines, done) = piece(session, &all, &mut cursor)?;
                for line in lines {
                    if let Some((mailbox, _)) = &line.mailbox
                        && self.selects(mailbox)
                    {
                        selected.push(line.name);
                    }
                }
                if done {
                    break;
                }
                rt::yield_now().await;
            }
        } else {
            selected = self.subscribed_shown(session)?;
        }
        let delimiter = session.backend.desk.parts.namespace.delimiter();
        for external in selected.iter().filter(|name| !self.query.matches(name)) {
            let levels = external.iter().enumerate();
            let levels = levels.filter(|(_, byte)| **byte == delimiter);
            let levels = levels.map(|(at, _)| &external[..at]);
            let matching = levels.filter(|level| self.query.matches(level));
            self.above.extend(matching.map(<[u8]>::to_vec));
        }
        Ok(())
    }

    /// What the user is subscribed to, as they see it.
    fn subscribed_shown(&self, session: &Session) -> Result<Vec<Vec<u8>>, Failure> {
        let (namespace, who) = (session.backend.desk.parts.namespace, session.who()?);
        let names = self.subscribed.iter().flatten();
        Ok(names
            .filter_map(|name| namespace.external(name, who))
            .collect())
    }

    /// What is subscribed, or above what is selected, and has not been told: no mailbox that the user sees has these names.
    async fn unlisted(&mut self, session: &mut Session) -> Result<(), Failure> {
        let mut names = std::mem::take(&mut self.above);
        let above = names.clone();
        if self.list.select.subscribed && !self.list.select.special_use {
            let shown = self.subscribed_shown(session)?.into_iter();
            names.extend(shown.filter(|name| self.query.matches(name)));
        }
        for external in names.difference(&std::mem::take(&mut self.told)) {
            let subscribed = session
                .internal_of(external)
                .is_ok_and(|name| self.is_subscribed(&name));
            let mut attributes = vec!["\\NonExistent"];
            if subscribed {
                attributes.push("\\Subscribed");
            }
            attributes.push(children(has_children(session, external).await?));
            let childinfo = above.contains(external);
            self.push(session, external.clone(), &attributes, childinfo)?;
            session.client.flush_if_large().await?;
        }
        Ok(())
    }

    fn push(
        &mut self,
        session: &mut Session,
        name: Vec<u8>,
        attributes: &[&str],
        childinfo: bool,
    ) -> Result<(), Failure> {
        let mut line = response(session, self.word, &name, &attributes.join(" "))?;
        if childinfo {
            let criterion = if self.list.select.subscribed {
                "SUBSCRIBED"
            } else {
                "SPECIAL-USE"
            };
            line.extend_from_slice(format!(" (\"CHILDINFO\" (\"{criterion}\"))").as_bytes());
        }
        line.extend_from_slice(b"\r\n");
        session.client.push(&line);
        if self.list.select.subscribed || self.list.select.recursive {
            self.told.insert(name);
        }
        Ok(())
    }
}

/// Whether the user sees a mailbox below a name that they know as `external`.
pub(super) async fn has_children(session: &Session, external: &[u8]) -> Result<bool, Failure> {
    let namespace = session.backend.desk.parts.namespace;
    let query = ListQuery::below(session.who()?.clone(), namespace, external);
    let mut cursor = ListCursor::default();
    loop {
        let (lines, done) = piece(session, &query, &mut cursor)?;
        if done || !lines.is_empty() {
            return Ok(!lines.is_empty());
        }
        rt::yield_now().await;
    }
}

pub(super) fn children(has: bool) -> &'static str {
    if has {
        "\\HasChildren"
    } else {
        "\\HasNoChildren"
    }
}

/// Adds a LIST or LSUB response.
pub(super) fn push(
    session: &mut Session,
    word: &str,
    name: &[u8],
    attributes: &str,
) -> Result<(), Failure> {
    let mut line = response(session, word, name, attributes)?;
    line.extend_from_slice(b"\r\n");
    session.client.push(&line);
    Ok(())
}

/// The response without its end; the name is an external one.
pub(super) fn response(
    session: &Session,
    word: &str,
    name: &[u8],
    attributes: &str,
) -> Result<Vec<u8>, Failure> {
    let delimiter = char::from(session.backend.desk.parts.namespace.delimiter());
    let mut line = format!("* {word} ({attributes}) \"{delimiter}\" ").into_bytes();
    session.write_name(&mut line, &session.shown(name))?;
    Ok(line)
}
