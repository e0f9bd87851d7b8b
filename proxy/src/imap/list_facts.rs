//! What a LIST with options needs to know from backends: subscriptions from the inbox's, special uses,
//! STATUS items and annotations from all that have a match, asked at once by one LIST each, or mailbox by
//! mailbox where a backend knows no such LIST.
//!
//! Who can't be asked is told the client; where that decides which names are answered, it is a failure.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use ravenry_core::mailboxes::{ListQuery, Name};
use ravenry_core::proto::imap::encode::Request;
use ravenry_core::proto::imap::{Cursor, Literals, list};

use super::gather::{Question, is_kind};
use super::list::{Asked, each_mailbox, servers_of};
use super::route::Place;
use super::session::Session;
use crate::failure::Failure;

/// What backends have told of a mailbox.
#[derive(Default)]
pub(super) struct Facts {
    pub(super) server: Rc<str>,
    /// Its special uses (RFC 6154 section 2).
    pub(super) uses: Vec<Vec<u8>>,
    /// The items of its STATUS response, in parentheses.
    pub(super) status: Option<Vec<u8>>,
    /// What stands behind the name in its METADATA responses.
    pub(super) metadata: Vec<Vec<u8>>,
}

/// The attributes that say what a mailbox is for; others are passed over.
const USES: [&str; 10] = [
    "\\All",
    "\\Archive",
    "\\Drafts",
    "\\Flagged",
    "\\Important",
    "\\Junk",
    "\\Memos",
    "\\Scheduled",
    "\\Sent",
    "\\Trash",
];

/// The user's subscriptions, from the inbox's backend; `needed`: without them there is no answer.
pub(super) async fn subscriptions(
    session: &mut Session,
    needed: bool,
) -> Result<Option<BTreeSet<Name>>, Failure> {
    let (inbox, server) = match session.inbox_server().await {
        Ok(found) => found,
        // Without an inbox there is no place for subscriptions.
        Err(Failure::No(code, _)) if code == "NONEXISTENT" => return Ok(Some(BTreeSet::new())),
        Err(failure) if needed => return Err(failure),
        Err(_) => {
            session.tell_missing("inbox", "subscriptions can't be told");
            return Ok(None);
        }
    };
    let mut request = Request::new(Literals::Sync);
    request.raw("LSUB \"\" \"*\"").end();
    let question = Question::new(&server, request);
    let parts = session
        .gather(&inbox, vec![question], |line| is_kind(line, &["LSUB"]))
        .await?;
    let lines = parts.into_iter().next().map(|part| part.lines);
    match lines {
        Some(Ok(lines)) => {
            let names = lines
                .iter()
                .filter_map(|line| list(line.trim_ascii_end()).ok());
            let names = names.filter_map(|line| session.internal(&line.mailbox).ok());
            Ok(Some(names.collect()))
        }
        _ if needed => Err(Failure::unavailable(format!(
            "The subscriptions can't be had from server {server}"
        ))),
        _ => {
            session.tell_missing(&server, "subscriptions can't be told");
            Ok(None)
        }
    }
}

/// Asks the backends that have a match for what only they know.
pub(super) async fn facts(
    session: &mut Session,
    asked: &Asked<'_>,
) -> Result<BTreeMap<Name, Facts>, Failure> {
    let everywhere = asked.list.select.recursive && asked.list.select.special_use;
    let all = asked.query_of(session, &[b"*"])?;
    let query = if everywhere { &all } else { &asked.query };
    let (servers, first) = servers_of(session, query).await?;
    let Some(first) = first else {
        return Ok(BTreeMap::new());
    };
    let mut questions = Vec::new();
    for server in &servers {
        let question = match lacking(session, asked, server) {
            true => one_by_one(session, asked, query, server).await?,
            false => Question::new(server, question(asked, everywhere)?),
        };
        questions.push(question);
    }
    let kinds = |line: &[u8]| is_kind(line, &["LIST", "STATUS", "METADATA"]);
    let mut known = BTreeMap::new();
    let parts = session.gather(&first, questions, kinds).await?;
    if parts.iter().all(|part| part.bad) {
        return Err(Failure::bad("The servers don't know what is asked for"));
    }
    for part in parts {
        match part.lines {
            Ok(lines) => {
                for line in lines {
                    note(session, &mut known, &part.server, &line);
                }
            }
            Err(_) if asked.list.select.special_use => {
                return Err(Failure::unavailable(format!(
                    "Server {} can't be asked which mailboxes have a special use",
                    part.server
                )));
            }
            Err(_) => {
                session.tell_missing(&part.server, "what is asked of its mailboxes can't be told")
            }
        }
    }
    Ok(known)
}

/// Whether a backend doesn't know the options by which the others are asked (RFC 5819, RFC 9590).
fn lacking(session: &Session, asked: &Asked<'_>, server: &str) -> bool {
    let (returns, capabilities) = (&asked.list.returns, &session.fe.capabilities);
    (returns.status.is_some() && capabilities.lacks(server, "LIST-STATUS"))
        || (returns.metadata.is_some() && capabilities.lacks(server, "LIST-METADATA"))
}

/// What the options ask for, in commands that every backend knows: STATUS and GETMETADATA of each mailbox.
async fn one_by_one(
    session: &Session,
    asked: &Asked<'_>,
    query: &ListQuery,
    server: &Rc<str>,
) -> Result<Question, Failure> {
    let mut names = Vec::new();
    each_mailbox(session, query, |name, mailbox| {
        if *mailbox.location.server == **server {
            names.push(name);
        }
    })
    .await?;
    let returns = &asked.list.returns;
    let mut requests = Vec::new();
    for name in names {
        let name = session.shown(name);
        let mut about = |word: &str, what: Option<&[u8]>| -> Result<(), Failure> {
            if let Some(what) = what {
                let mut request = Request::new(Literals::Sync);
                request
                    .raw(word)
                    .astring(&name)?
                    .raw(" ")
                    .verbatim(what)
                    .end();
                requests.push(request);
            }
            Ok(())
        };
        about("STATUS ", returns.status)?;
        about("GETMETADATA ", returns.metadata)?;
    }
    let uses = returns.special_use || asked.list.select.special_use;
    if uses && !session.fe.capabilities.lacks(server, "SPECIAL-USE") {
        let mut request = Request::new(Literals::Sync);
        request.raw("LIST \"\" * RETURN (SPECIAL-USE)").end();
        requests.push(request);
    }
    Ok(Question {
        server: Rc::clone(server),
        requests,
        one_by_one: true,
    })
}

/// LIST with the options that a backend has to answer.
fn question(asked: &Asked<'_>, everywhere: bool) -> Result<Request, Failure> {
    let list = asked.list;
    let mut request = Request::new(Literals::Sync);
    request.raw("LIST ");
    if everywhere {
        request.raw("\"\" *");
    } else {
        request.astring(&list.reference)?.raw(" (");
        for (number, pattern) in list.patterns.iter().enumerate() {
            request
                .raw(if number == 0 { "" } else { " " })
                .string(pattern)?;
        }
        request.raw(")");
    }
    request.raw(" RETURN (");
    let mut space = "";
    if list.returns.special_use || list.select.special_use {
        request.raw("SPECIAL-USE");
        space = " ";
    }
    if let Some(items) = list.returns.status {
        request.raw(space).raw("STATUS ").verbatim(items);
        space = " ";
    }
    if let Some(entries) = list.returns.metadata {
        request.raw(space).raw("METADATA ").verbatim(entries);
    }
    request.raw(")").end();
    Ok(request)
}

/// Takes note of a backend's response.
fn note(session: &Session, known: &mut BTreeMap<Name, Facts>, server: &Rc<str>, line: &[u8]) {
    let line = line.strip_suffix(b"\r\n").unwrap_or(line);
    let mut facts = |name: &[u8], add: &mut dyn FnMut(&mut Facts)| {
        let Ok(name) = session.internal(name) else {
            return;
        };
        // Nobody's word counts for a mailbox of others.
        if matches!(session.place_now(&name), Ok(Place::At(at)) if at == *server) {
            let facts = known.entry(name).or_default();
            facts.server = Rc::clone(server);
            add(facts);
        }
    };
    if let Ok(listed) = list(line) {
        let uses = |word: &&[u8]| {
            USES.iter()
                .any(|known| known.as_bytes().eq_ignore_ascii_case(word))
        };
        let uses: Vec<Vec<u8>> = listed
            .attributes()
            .filter(uses)
            .map(<[u8]>::to_vec)
            .collect();
        return facts(&listed.mailbox, &mut |facts| facts.uses.clone_from(&uses));
    }
    let Some((is_status, mailbox, rest)) = named(line) else {
        return;
    };
    facts(&mailbox, &mut |facts| {
        if is_status {
            facts.status = Some(rest.to_vec());
        } else {
            facts.metadata.push(rest.to_vec());
        }
    });
}

/// `* STATUS name (…)` or `* METADATA name (…)`: which, the name, and the list.
fn named(line: &[u8]) -> Option<(bool, Vec<u8>, &[u8])> {
    let mut rest = Cursor::new(line.strip_prefix(b"* ")?);
    let is_status = rest.atom().ok()?.eq_ignore_ascii_case(b"STATUS");
    rest.sp().ok()?;
    let mailbox = rest.astring().ok()?.into_owned();
    rest.sp().ok()?;
    let list = rest.paren().ok()?;
    Some((is_status, mailbox, list))
}
