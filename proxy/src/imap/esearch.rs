//! ESEARCH, a search of many mailboxes (RFC 7377, with the mailbox filters of RFC 5465 section 6).
//!
//! The mailboxes come from the list, what is subscribed from the inbox's backend. Every backend that has one
//! of them is asked at once, each over a connection of its own that is closed afterwards, so that the selected
//! mailbox stays as it is: EXAMINE and UID SEARCH, mailbox by mailbox. Mailboxes that the user may not read or
//! that are gone are passed over, as the RFC has it; what couldn't be searched for another reason is said,
//! and so is a backend that can't be asked.

use std::collections::BTreeMap;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::time::Duration;

use ravenry_core::client::PROGRESS_EVERY;
use ravenry_core::log::printable;
use ravenry_core::mailboxes::{Name, Rights};
use ravenry_core::proto::imap::encode::Request;
use ravenry_core::proto::imap::{Command, Cursor, ListCommand, Literals, encode, status};
use ravenry_core::rt;

use super::enable::{enable_on, has_word};
use super::gather::is_kind;
use super::is_ok;
use super::list::{Asked, each_mailbox};
use super::list_facts::subscriptions;
use super::session::Session;
use super::stale::is_denial;
use crate::failure::{BackendFault, Failure};
use crate::upstream::{ANSWER_BYTES_MAX, Upstream};

/// More mailboxes aren't searched at once.
const MAILBOXES_MAX: usize = 10_000;

/// Mailboxes by server.
type Places = BTreeMap<Rc<str>, BTreeMap<Name, Searched>>;

/// A mailbox to be searched.
struct Searched {
    /// Its name as the client sees it.
    shown: Vec<u8>,
    /// The list says that the user may read it: its server's refusal isn't about that.
    may_read: bool,
}

/// What one backend has found.
struct Found {
    server: Rc<str>,
    lines: Vec<Vec<u8>>,
    /// Its tagged NO or BAD to the search itself.
    refusal: Option<Vec<u8>>,
    /// Mailboxes that it couldn't open, and the first time why.
    closed: Option<(usize, String)>,
    fault: Option<BackendFault>,
}

/// What is searched for, as the client wrote it.
#[derive(Clone, Copy)]
struct Wanted<'a> {
    /// `(MIN COUNT)`, or nothing.
    returns: &'a [u8],
    criteria: &'a [u8],
    tag: &'a [u8],
    within: Duration,
}

/// `ESEARCH [IN (sources)] [RETURN (…)] criteria`.
pub(crate) async fn esearch(session: &mut Session, command: &Command<'_>) -> Result<(), Failure> {
    let mut args = command.args;
    args.sp()?;
    let sources = taken(&mut args, b"IN")?;
    let returns = taken(&mut args, b"RETURN")?.unwrap_or_default();
    if args.is_done() {
        return Err(Failure::bad("Missing search criteria"));
    }
    if has_word(returns, &["SAVE"]) {
        // A saved result is the selected mailbox's (RFC 7377).
        return Err(Failure::bad("SAVE isn't for a search of many mailboxes"));
    }
    let places = match sources {
        Some(sources) => places(session, sources).await?,
        None => selected(session)?,
    };
    let wanted = Wanted {
        returns,
        criteria: args.rest(),
        tag: command.tag,
        within: session.fe.desk.parts.limits.merged,
    };
    let found = search(session, &places, wanted).await?;
    let mut refusal = None;
    for each in found {
        for line in each.lines {
            session.client.push(&line);
            session.client.flush_if_large().await?;
        }
        if let Some(fault) = each.fault {
            tracing::warn!(session = %session.id, "backend {fault}");
            session.tell_missing(&each.server, "its mailboxes couldn't be searched");
        }
        if let Some((count, why)) = each.closed {
            tracing::warn!(session = %session.id, server = %each.server, count, "mailboxes couldn't be searched: {why}");
            let what = format!("{count} of its mailboxes couldn't be searched");
            session.tell_missing(&each.server, &what);
        }
        refusal = refusal.or(each.refusal);
    }
    match refusal {
        Some(refusal) => {
            session.client.push_reply(command.tag, &refusal);
        }
        None => session.client.push_tagged(command.tag, "OK Completed"),
    }
    Ok(())
}

/// A list in parentheses behind `word`, and the space behind it, if the word comes next.
fn taken<'a>(args: &mut Cursor<'a>, word: &[u8]) -> Result<Option<&'a [u8]>, Failure> {
    let mut ahead = *args;
    let named = ahead
        .atom()
        .is_ok_and(|found| found.eq_ignore_ascii_case(word));
    if !named || !ahead.accept(b' ') || ahead.peek() != Some(b'(') {
        return Ok(None);
    }
    let list = ahead.paren()?;
    ahead.sp()?;
    *args = ahead;
    Ok(Some(list))
}

fn selected(session: &Session) -> Result<Places, Failure> {
    let Some(selected) = &session.selected else {
        return Err(Failure::State("Please select a mailbox first"));
    };
    let one = Searched {
        shown: session.external(&selected.name),
        may_read: true,
    };
    let one = BTreeMap::from([(selected.name.clone(), one)]);
    Ok(Places::from([(Rc::clone(&selected.server), one)]))
}

/// The mailboxes that the sources name.
async fn places(session: &mut Session, sources: &[u8]) -> Result<Places, Failure> {
    session.refresh().await?;
    let inner = sources
        .strip_prefix(b"(")
        .and_then(|list| list.strip_suffix(b")"));
    let mut rest = Cursor::new(inner.unwrap_or_default());
    let mut places = Places::new();
    loop {
        let word = rest.atom()?.to_ascii_lowercase();
        match word.as_slice() {
            b"selected" => merge(&mut places, selected(session)?),
            b"inboxes" => add(session, &mut places, &[b"INBOX".to_vec()], |_| true).await?,
            b"personal" => {
                let user = session.logged_in()?.user.clone();
                let mine = move |name: &Name| name.is_owned_by(&user);
                add(session, &mut places, &[b"*".to_vec()], mine).await?;
            }
            b"subscribed" => {
                let names = subscriptions(session, true).await?.unwrap_or_default();
                add(session, &mut places, &[b"*".to_vec()], move |name| {
                    names.contains(name)
                })
                .await?;
            }
            b"mailboxes" | b"subtree" | b"subtree-one" => {
                let patterns = patterns(session, &mut rest, &word)?;
                add(session, &mut places, &patterns, |_| true).await?;
            }
            _ => return Err(Failure::bad("Unknown source of mailboxes")),
        }
        if rest.is_done() {
            break;
        }
        rest.sp()?;
        if rest.peek() == Some(b'(') {
            return Err(Failure::bad("No scope options are known"));
        }
    }
    Ok(places)
}

fn too_many() -> Failure {
    Failure::coded(
        "LIMIT",
        format!("More than {MAILBOXES_MAX} mailboxes to search"),
    )
}

fn merge(places: &mut Places, more: Places) {
    for (server, names) in more {
        places.entry(server).or_default().extend(names);
    }
}

/// One mailbox's name, or several in parentheses, as LIST patterns.
fn patterns(
    session: &Session,
    rest: &mut Cursor<'_>,
    word: &[u8],
) -> Result<Vec<Vec<u8>>, Failure> {
    rest.sp()?;
    let mut names = Vec::new();
    if rest.accept(b'(') {
        loop {
            names.push(rest.astring()?.into_owned());
            if rest.accept(b')') {
                break;
            }
            rest.sp()?;
        }
    } else {
        names.push(rest.astring()?.into_owned());
    }
    // No mailbox has a wildcard in its name.
    names.retain(|name| !name.iter().any(|byte| b"*%".contains(byte)));
    let delimiter = session.fe.desk.parts.namespace.delimiter();
    let below: &[u8] = match word {
        b"subtree" => b"*",
        b"subtree-one" => b"%",
        _ => return Ok(names),
    };
    let children = names
        .iter()
        .map(|name| [name, &[delimiter][..], below].concat());
    let children: Vec<_> = children.collect();
    names.extend(children);
    Ok(names)
}

/// Adds what matches, the user sees, and is wanted.
async fn add(
    session: &Session,
    places: &mut Places,
    patterns: &[Vec<u8>],
    wanted: impl Fn(&Name) -> bool,
) -> Result<(), Failure> {
    if patterns.is_empty() {
        return Ok(());
    }
    let list = ListCommand {
        patterns: patterns
            .iter()
            .map(|pattern| pattern.as_slice().into())
            .collect(),
        ..ListCommand::default()
    };
    let asked = Asked::new(session, &list)?;
    let mut count: usize = places.values().map(BTreeMap::len).sum();
    each_mailbox(session, &asked.query, |name, mailbox| {
        let shown = session.shown(name);
        if count <= MAILBOXES_MAX && wanted(&mailbox.name) {
            let server = session.fe.server(&mailbox.location.server);
            let names = places.entry(server).or_default();
            let may_read = mailbox.rights.contains(Rights::READ);
            let searched = Searched { shown, may_read };
            count += usize::from(names.insert(mailbox.name, searched).is_none());
        }
    })
    .await?;
    if count > MAILBOXES_MAX {
        return Err(too_many());
    }
    Ok(())
}

/// Asks all servers at once.
async fn search(
    session: &mut Session,
    places: &Places,
    wanted: Wanted<'_>,
) -> Result<Vec<Found>, Failure> {
    let Some((server, names)) = places.first_key_value() else {
        return Ok(Vec::new());
    };
    let Some(first) = names.keys().next() else {
        return Ok(Vec::new());
    };
    let login = session.may_ask(Some(server), first)?;
    let client = session.told_of_client();
    session.client.flush().await?;
    let (fe, enabled) = (&*session.fe, session.enabled);
    let mut calls: Vec<Pin<Box<dyn Future<Output = Found>>>> = Vec::new();
    for (server, names) in places {
        fe.desk.metrics.commands_forwarded.add(1);
        let (login, client) = (&login, client.as_deref());
        calls.push(Box::pin(async move {
            let mut found = Found {
                server: Rc::clone(server),
                lines: Vec::new(),
                refusal: None,
                closed: None,
                fault: None,
            };
            let asked = async {
                let mut up = Upstream::open(fe, server, login, client).await?;
                enable_on(&mut up, enabled).await?;
                all(&mut up, names, wanted, &mut found).await
            };
            found.fault = asked.await.err();
            found
        }));
    }
    let mut found = pin!(rt::join_all(calls));
    loop {
        match rt::timeout(PROGRESS_EVERY, found.as_mut()).await {
            Ok(found) => return Ok(found),
            // One that has hung up shows itself.
            Err(_elapsed) => {
                let progress = session.client.tell_progress(wanted.tag, None, "Searching");
                progress.await?;
            }
        }
    }
}

/// Searches a server's mailboxes one after the other.
async fn all(
    up: &mut Upstream,
    names: &BTreeMap<Name, Searched>,
    wanted: Wanted<'_>,
    found: &mut Found,
) -> Result<(), BackendFault> {
    let mut kept = 0;
    for searched in names.values() {
        let one = rt::timeout(wanted.within, one(up, searched, wanted)).await;
        let one =
            one.map_err(|_elapsed| up.fault(format_args!("no answer in {:?}", wanted.within)))?;
        match one? {
            One::Found(line) => {
                kept += line.len();
                found.lines.push(line);
            }
            One::Nothing => {}
            One::Closed(why) => found.closed.get_or_insert((0, why)).0 += 1,
            One::Refused(reply) => {
                found.refusal = Some(reply);
                return Ok(());
            }
        }
        if kept > ANSWER_BYTES_MAX {
            return Err(up.fault(format_args!(
                "an answer of more than {ANSWER_BYTES_MAX} bytes"
            )));
        }
    }
    Ok(())
}

enum One {
    Found(Vec<u8>),
    Nothing,
    /// It isn't opened, and why, for the log.
    Closed(String),
    Refused(Vec<u8>),
}

async fn one(
    up: &mut Upstream,
    searched: &Searched,
    wanted: Wanted<'_>,
) -> Result<One, BackendFault> {
    let shown = &searched.shown;
    let mut request = Request::new(Literals::Sync);
    let named = request.raw("EXAMINE ").astring(shown);
    named.map_err(|error| up.fault(error))?.end();
    let (lines, reply) = up.ask(&request).await?;
    if is_denial(&reply) && !searched.may_read {
        return Ok(One::Nothing);
    }
    if !is_ok(&reply) {
        return Ok(One::Closed(printable(&reply)));
    }
    let Some(validity) = lines.iter().find_map(|line| uidvalidity(line)) else {
        return Ok(One::Closed("no UIDVALIDITY".to_owned()));
    };
    let mut request = Request::new(Literals::Sync);
    let returns = if wanted.returns.is_empty() {
        b"()"
    } else {
        wanted.returns
    };
    request.raw("UID SEARCH RETURN ").verbatim(returns);
    request.raw(" ").verbatim(wanted.criteria).end();
    let (lines, reply) = up.ask(&request).await?;
    if !is_ok(&reply) {
        return Ok(One::Refused(reply));
    }
    let results = lines.iter().find(|line| is_kind(line, &["ESEARCH"]));
    let Some(results) = results.and_then(|line| results_of(line)) else {
        return Ok(One::Nothing);
    };
    let mut line = b"* ESEARCH (TAG ".to_vec();
    let named = encode::string(&mut line, wanted.tag).and_then(|()| {
        line.extend_from_slice(b" MAILBOX ");
        encode::astring(&mut line, shown)
    });
    named.map_err(|error| up.fault(error))?;
    line.extend_from_slice(format!(" UIDVALIDITY {validity}) UID").as_bytes());
    line.extend_from_slice(results);
    line.extend_from_slice(b"\r\n");
    Ok(One::Found(line))
}

/// What an ESEARCH response has found, with its space; `None` if that is nothing.
fn results_of(line: &[u8]) -> Option<&[u8]> {
    let mut rest = Cursor::new(line.trim_ascii_end().strip_prefix(b"* ESEARCH ")?);
    if rest.peek() == Some(b'(') {
        rest.paren().ok()?;
        rest.accept(b' ');
    }
    let mut ahead = rest;
    if ahead
        .atom()
        .is_ok_and(|word| word.eq_ignore_ascii_case(b"UID"))
    {
        rest = ahead;
    } else {
        return None;
    }
    let results = rest.rest();
    let nothing = results.is_empty() || results.eq_ignore_ascii_case(b" COUNT 0");
    (!nothing).then_some(results)
}

fn uidvalidity(line: &[u8]) -> Option<u64> {
    let code = status(line.trim_ascii_end())?.code?;
    let (name, rest) = code.split_at_checked("UIDVALIDITY ".len())?;
    name.eq_ignore_ascii_case(b"UIDVALIDITY ").then_some(())?;
    Cursor::new(rest).number().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_found_is_told_from_nothing() {
        for (line, found) in [
            (
                "* ESEARCH (TAG \"RVN\") UID ALL 4:7,9\r\n",
                Some(" ALL 4:7,9"),
            ),
            (
                "* ESEARCH (TAG \"RVN\") UID MIN 4 COUNT 2\r\n",
                Some(" MIN 4 COUNT 2"),
            ),
            ("* ESEARCH UID ALL 4\r\n", Some(" ALL 4")),
            ("* ESEARCH (TAG \"RVN\") UID\r\n", None),
            ("* ESEARCH (TAG \"RVN\") UID COUNT 0\r\n", None),
            ("* ESEARCH (TAG \"RVN\") ALL 4\r\n", None),
            ("* SEARCH 4\r\n", None),
        ] {
            assert_eq!(
                results_of(line.as_bytes()),
                found.map(str::as_bytes),
                "{line}"
            );
        }
        assert_eq!(uidvalidity(b"* OK [UIDVALIDITY 77] Ok\r\n"), Some(77));
    }

    #[test]
    fn sources_and_return_options_are_taken() {
        let mut args = Cursor::new(b"IN (mailboxes \"a\" subtree b) RETURN (MIN) UNSEEN");
        assert_eq!(
            taken(&mut args, b"in").expect("fine"),
            Some(&b"(mailboxes \"a\" subtree b)"[..])
        );
        assert_eq!(
            taken(&mut args, b"RETURN").expect("fine"),
            Some(&b"(MIN)"[..])
        );
        assert_eq!(args.rest(), b"UNSEEN");
        assert_eq!(taken(&mut args, b"RETURN").expect("fine"), None);
        assert!(
            taken(&mut Cursor::new(b"IN (a)"), b"IN").is_err(),
            "criteria have to follow"
        );
    }
}
