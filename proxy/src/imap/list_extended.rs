//! LIST with options (RFC 5258, 5819, 6154, 8440, 9590) and XLIST: names, levels and rights from the
//! mailbox list; what only backends know from all that have a match, asked at once; subscriptions from
//! the inbox's backend.
//!
//! Invariant: a backend's word counts for the mailboxes that the list places there. What is missing is
//! said (`* NO [UNAVAILABLE] server`); where it decides which names are answered, the answer is NO.

use std::collections::{BTreeMap, BTreeSet};

use ravenry_core::mailboxes::{ListCursor, Listed, Name, Progress};
use ravenry_core::proto::imap::{Command, ListCommand, encode};
use ravenry_core::rt;

use super::list::{Asked, LINES_AT_ONCE, unannounced};
use super::list_facts::{Facts, facts, subscriptions};
use super::session::Session;
use crate::failure::Failure;

/// What is known besides the mailbox list.
#[derive(Default)]
struct Known {
    /// Nothing: they aren't asked for, or couldn't be had.
    subscribed: Option<BTreeSet<Name>>,
    facts: BTreeMap<Name, Facts>,
    /// Names as the client sees them that have something selected below them.
    above: BTreeSet<Vec<u8>>,
}

/// Answers a LIST with options; `word` is what its responses are called.
pub(super) async fn extended(
    session: &mut Session,
    command: &Command<'_>,
    asked: &Asked<'_>,
    word: &str,
) -> Result<(), Failure> {
    let mut known = Known::default();
    let list = asked.list;
    if list.select.subscribed || list.returns.subscribed {
        known.subscribed = subscriptions(session, list.select.subscribed).await?;
    }
    if wants_facts(list) {
        known.facts = facts(session, asked).await?;
    }
    if list.select.recursive {
        known.above = above(session, asked, &known)?;
    }
    let mut answer = Answer {
        asked,
        known,
        word,
        told: BTreeSet::new(),
    };
    answer.run(session).await?;
    session.client.push_tagged(command.tag, "OK Completed");
    Ok(())
}

fn wants_facts(list: &ListCommand<'_>) -> bool {
    let returns = &list.returns;
    let data = returns.status.is_some() || returns.metadata.is_some();
    data || returns.special_use || list.select.special_use
}

/// Names above those that are selected and don't match themselves (RFC 5258 section 3.5).
fn above(
    session: &Session,
    asked: &Asked<'_>,
    known: &Known,
) -> Result<BTreeSet<Vec<u8>>, Failure> {
    let delimiter = session.fe.desk.parts.namespace.delimiter();
    let mut above = BTreeSet::new();
    for name in selected(asked, known) {
        let identity = session.logged_in()?;
        let Some(external) = session.fe.desk.parts.namespace.external(name, identity) else {
            continue;
        };
        if asked.query.matches(&external) {
            continue;
        }
        let levels = external
            .iter()
            .enumerate()
            .filter(|(_, byte)| **byte == delimiter);
        let parents = levels.map(|(at, _)| &external[..at]);
        above.extend(
            parents
                .filter(|name| asked.query.matches(name))
                .map(<[u8]>::to_vec),
        );
    }
    Ok(above)
}

/// Names that the selection options select, whether they match the patterns or not.
fn selected<'k>(asked: &Asked<'_>, known: &'k Known) -> Vec<&'k Name> {
    let select = asked.list.select;
    let used = |name: &Name| {
        known
            .facts
            .get(name)
            .is_some_and(|facts| !facts.uses.is_empty())
    };
    match &known.subscribed {
        Some(names) if select.subscribed => names
            .iter()
            .filter(|name| !select.special_use || used(name))
            .collect(),
        _ => known.facts.keys().filter(|name| used(name)).collect(),
    }
}

/// The answer, line by line.
struct Answer<'a> {
    asked: &'a Asked<'a>,
    known: Known,
    word: &'a str,
    /// Subscribed names that exist, and names above others that have been told.
    told: BTreeSet<Vec<u8>>,
}

impl Answer<'_> {
    async fn run(&mut self, session: &mut Session) -> Result<(), Failure> {
        let mut cursor = ListCursor::default();
        loop {
            let mut lines: Vec<Listed> = Vec::new();
            let list = &session.fe.parts.list;
            let query = &self.asked.query;
            let progress =
                list.list_chunk(query, &mut cursor, LINES_AT_ONCE, |line| lines.push(line));
            let progress = progress.map_err(|error| session.unreadable(&error))?;
            for line in lines {
                self.line(session, line)?;
            }
            if progress == Progress::Done {
                break;
            }
            session.client.flush_if_large().await?;
            rt::yield_now().await;
        }
        if self.takes_all() {
            unannounced(session, self.asked, self.word)?;
        }
        self.unlisted(session)
    }

    /// A name that is in the list, or a level above one.
    fn line(&mut self, session: &mut Session, line: Listed) -> Result<(), Failure> {
        let above = self.known.above.contains(&line.name);
        let Some(mailbox) = &line.mailbox else {
            if above || self.takes_all() {
                let level = if self.word == "XLIST" {
                    "\\Noselect"
                } else {
                    "\\NonExistent"
                };
                let mut attributes = vec![level.to_owned()];
                attributes.push(children(line.has_children));
                self.push(session, line.name, &attributes, above)?;
            }
            return Ok(());
        };
        let facts = self.known.facts.get(&mailbox.name);
        let facts = facts.filter(|facts| *facts.server == *mailbox.location.server);
        let subscribed = self.is_subscribed(&mailbox.name);
        let select = self.asked.list.select;
        let selected = (!select.subscribed || subscribed)
            && (!select.special_use || facts.is_some_and(|facts| !facts.uses.is_empty()));
        if !selected && !above {
            return Ok(());
        }
        let mut attributes = Vec::new();
        if subscribed {
            attributes.push("\\Subscribed".to_owned());
        }
        attributes.push(children(line.has_children));
        if self.word == "XLIST" && line.name == b"INBOX" {
            attributes.push("\\Inbox".to_owned());
        }
        let uses = facts.map(|facts| facts.uses.as_slice()).unwrap_or_default();
        attributes.extend(
            uses.iter()
                .map(|word| String::from_utf8_lossy(word).into_owned()),
        );
        let (status, metadata) = match facts {
            Some(facts) => (facts.status.clone(), facts.metadata.clone()),
            None => (None, Vec::new()),
        };
        let rights = self
            .asked
            .list
            .returns
            .myrights
            .then(|| mailbox.rights.to_string());
        let shown = session.shown(line.name.clone());
        self.push(session, line.name, &attributes, above)?;
        if let Some(items) = status {
            push_about(session, "STATUS", &shown, &items)?;
        }
        if let Some(rights) = rights {
            push_about(session, "MYRIGHTS", &shown, rights.as_bytes())?;
        }
        for list in metadata {
            push_about(session, "METADATA", &shown, &list)?;
        }
        Ok(())
    }

    /// What is subscribed, or above what is selected, and isn't in the list.
    fn unlisted(&mut self, session: &mut Session) -> Result<(), Failure> {
        let select = self.asked.list.select;
        let mut names = std::mem::take(&mut self.known.above);
        if let Some(subscribed) = self
            .known
            .subscribed
            .as_ref()
            .filter(|_| select.subscribed && !select.special_use)
        {
            names.extend(
                subscribed
                    .iter()
                    .filter_map(|name| self.asked.query.matching(name)),
            );
        }
        for external in names {
            if self.told.contains(&external) {
                continue;
            }
            let (identity, namespace) = (session.logged_in()?, session.fe.desk.parts.namespace);
            let Ok(name) = namespace.internal(&external, identity) else {
                continue;
            };
            let below = session
                .fe
                .parts
                .list
                .has_children(identity, namespace, &name);
            let below = below.map_err(|error| session.unreadable(&error))?;
            let subscribed = self.is_subscribed(&name);
            let mut attributes = vec!["\\NonExistent".to_owned()];
            if subscribed {
                attributes.push("\\Subscribed".to_owned());
            }
            attributes.push(children(below));
            self.push(session, external, &attributes, !subscribed)?;
        }
        Ok(())
    }

    /// No selection option narrows the answer.
    fn takes_all(&self) -> bool {
        let select = self.asked.list.select;
        !select.subscribed && !select.special_use
    }

    fn is_subscribed(&self, name: &Name) -> bool {
        self.known
            .subscribed
            .as_ref()
            .is_some_and(|names| names.contains(name))
    }

    fn push(
        &mut self,
        session: &mut Session,
        name: Vec<u8>,
        attributes: &[String],
        childinfo: bool,
    ) -> Result<(), Failure> {
        let delimiter = char::from(session.fe.desk.parts.namespace.delimiter());
        let word = self.word;
        let shown = session.shown(name.clone());
        let mut line = format!("* {word} ({}) \"{delimiter}\" ", attributes.join(" ")).into_bytes();
        encode::astring(&mut line, &shown)?;
        if childinfo {
            let what = if self.asked.list.select.subscribed {
                "SUBSCRIBED"
            } else {
                "SPECIAL-USE"
            };
            line.extend_from_slice(format!(" (\"CHILDINFO\" (\"{what}\"))").as_bytes());
        }
        line.extend_from_slice(b"\r\n");
        session.client.push(&line);
        if self.asked.list.select.subscribed || self.asked.list.select.recursive {
            self.told.insert(name);
        }
        Ok(())
    }
}

fn children(has: bool) -> String {
    let attribute = if has {
        "\\HasChildren"
    } else {
        "\\HasNoChildren"
    };
    attribute.to_owned()
}

/// Adds `* WORD name rest`.
fn push_about(session: &mut Session, word: &str, name: &[u8], rest: &[u8]) -> Result<(), Failure> {
    let mut line = format!("* {word} ").into_bytes();
    encode::astring(&mut line, name)?;
    line.push(b' ');
    line.extend_from_slice(rest);
    line.extend_from_slice(b"\r\n");
    session.client.push(&line);
    Ok(())
}
