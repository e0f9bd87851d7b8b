//! What clients do: rounds of random commands, and between them a moment where all are still and each compares its
//! view with the store.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use ravenry_core::proto::imap::Uids;
use ravenry_core::rt;

use crate::client::{Client, Piece, Reply, Shared};
use crate::dice;
use crate::leg::Gone;
use crate::model::{self, NAMES, ROAMS, key_of, message};
use crate::replace::replace;
use crate::resync;
use crate::run::Meeting;
use crate::store;
use crate::view::{Cache, View};

/// What a client does, round by round.
pub(crate) async fn play(shared: Rc<Shared>, number: u64, rounds: u64, meeting: Rc<Meeting>) {
    let mut client = None;
    let mut caches = BTreeMap::new();
    for _ in 0..rounds {
        for _ in 0..3 + dice::below(12) {
            if client.is_none() {
                client = again(&shared, number, &mut caches).await;
            }
            let Some(one) = &mut client else { break };
            if let Err(gone) = step(one).await {
                lost(&shared, gone);
                one.keep(None);
                caches = std::mem::take(&mut one.caches);
                client = None;
            }
        }
        meeting.wait().await;
        if let Some(one) = &mut client
            && let Err(gone) = compare(one).await
        {
            lost(&shared, gone);
            one.keep(None);
            caches = std::mem::take(&mut one.caches);
            client = None;
        }
        meeting.wait().await;
    }
    if let Some(mut client) = client {
        let _ = client.command(&[text("LOGOUT")], true).await;
    }
}

fn lost(shared: &Shared, gone: Gone) {
    shared.world.add("done: connections lost", 1);
    if shared.peace && gone != Gone::Closed {
        shared.fail(format!("a connection is {gone:?}, and nothing went wrong"));
    }
    if gone == Gone::Late && shared.peace {
        shared.fail("an answer never came".to_owned());
    }
}

/// A new connection, with a mailbox selected.
async fn again(
    shared: &Rc<Shared>,
    number: u64,
    caches: &mut BTreeMap<String, Cache>,
) -> Option<Client> {
    for _ in 0..50 {
        if let Ok(mut client) = Client::login(shared, number, caches.clone()).await {
            if select(&mut client).await.is_ok() {
                return Some(client);
            }
            *caches = std::mem::take(&mut client.caches);
        }
        rt::sleep(dice::time(Duration::from_secs(2))).await;
    }
    shared.fail(format!("client {number} can't connect"));
    None
}

fn text(text: impl Into<String>) -> Piece {
    Piece::Text(text.into())
}

async fn select(client: &mut Client) -> Result<(), Gone> {
    let mailbox = a_mailbox(client);
    let read_only = dice::percent(15);
    let verb = if read_only { "EXAMINE" } else { "SELECT" };
    let shared = Rc::clone(&client.shared);
    let number = shared.selections.get() + 1;
    shared.selections.set(number);
    client.keep(None);
    client.view = Some(View::new(&mailbox, read_only, number));
    let from_before = resync::from_before(client, &mailbox);
    let name = shared.name_of(&mailbox);
    let command = text(format!("{verb} {name}{from_before}"));
    let reply = match client.command(&[command], true).await {
        Ok(reply) => reply,
        Err(gone) => {
            // Half of it says nothing: it comes back with what it had.
            client.view = None;
            return Err(gone);
        }
    };
    if !reply.is_ok() {
        refused_at(client, &mailbox, "SELECT", &reply);
        client.view = None;
        return Ok(());
    }
    if client.resyncs {
        resync::remember(client, &mailbox, &reply);
    }
    learn(client).await
}

/// One of those that the client uses.
pub(crate) fn a_mailbox(client: &Client) -> String {
    match dice::below(5) {
        0 | 1 => format!("user.u{}", client.number % 2),
        2 | 3 => "shared".to_owned(),
        _ => ROAMS.to_owned(),
    }
}

/// Asks for what it doesn't know of its messages yet.
async fn learn(client: &mut Client) -> Result<(), Gone> {
    let unknown = |view: &View| view.messages.iter().any(|seen| seen.uid.is_none());
    for _ in 0..3 {
        if !client.view.as_ref().is_some_and(unknown) {
            break;
        }
        // One that comes back is told what has changed of what it had.
        let unknown = |view: &View| view.messages.iter().position(|seen| seen.uid.is_none());
        let first = client.view.as_ref().and_then(unknown).unwrap_or(0);
        let first = if client.resyncs { first + 1 } else { 1 };
        client
            .command(&[text(format!("FETCH {first}:* (UID FLAGS)"))], false)
            .await?;
        client.command(&[text("NOOP")], true).await?;
    }
    note_recent(client);
    Ok(())
}

/// One session alone has a message as \Recent, those who only look aside.
fn note_recent(client: &mut Client) {
    let Some(view) = &mut client.view else { return };
    for uid in std::mem::take(&mut view.recent) {
        if view.read_only {
            continue;
        }
        let mut model = client.shared.model.borrow_mut();
        let at = (view.mailbox.clone(), uid);
        let first = *model.recent.entry(at.clone()).or_insert(view.number);
        if first != view.number {
            client
                .shared
                .fail(format!("{at:?} is \\Recent in two sessions"));
        }
    }
}

/// A refusal where nothing is wrong.
pub(crate) fn refused(client: &Client, what: &str, reply: &Reply) {
    let expected = ["READ-ONLY", "UNAVAILABLE"];
    let text = &reply.text;
    if !expected.iter().any(|code| text.contains(code))
        || client.shared.peace && text.contains("UNAVAILABLE")
    {
        client.shared.fail(format!(
            "client {}: {what} is answered {} {text}",
            client.number, reply.status
        ));
    }
}

/// A refusal by a mailbox that may have another name by now.
pub(crate) fn refused_at(client: &Client, mailbox: &str, what: &str, reply: &Reply) {
    let codes = ["NONEXISTENT", "TRYCREATE", "ALREADYEXISTS"];
    if mailbox != ROAMS || !codes.contains(&reply.code()[0]) {
        refused(client, what, reply);
    }
}

async fn step(client: &mut Client) -> Result<(), Gone> {
    client.shared.world.add("done: commands", 1);
    if client.view.is_none() {
        return select(client).await;
    }
    match dice::below(100) {
        0..16 => append(client).await?,
        16..20 => replace(client).await?,
        20..40 => store::store(client).await?,
        40..48 => delete(client).await?,
        48..56 => expunge(client).await?,
        56..66 => copy(client).await?,
        66..74 => fetch_body(client).await?,
        74..80 => search(client).await?,
        80..86 => drop(client.idle(dice::time(Duration::from_secs(30))).await?),
        86..90 => resync::noop(client).await?,
        90..92 => drop(client.command(&[text("CHECK")], true).await?),
        92..94 => rename(client).await?,
        94..97 => select(client).await?,
        _ => leave(client).await?,
    }
    learn(client).await
}

async fn leave(client: &mut Client) -> Result<(), Gone> {
    client.keep(None);
    let close = dice::percent(50);
    let reply = client
        .command(&[text(if close { "CLOSE" } else { "UNSELECT" })], true)
        .await?;
    if reply.is_ok() {
        client.view = None;
    } else {
        refused(client, "CLOSE", &reply);
    }
    Ok(())
}

/// Gives the mailbox that has several names another one, under whatever sessions have it open.
async fn rename(client: &mut Client) -> Result<(), Gone> {
    let shared = Rc::clone(&client.shared);
    let (from, to) = (shared.name_of(ROAMS), dice::one_of(&NAMES));
    if from == to {
        return Ok(());
    }
    let command = text(format!("RENAME {from} {to}"));
    let reply = client.command(&[command], true).await?;
    if reply.is_ok() {
        shared.name.set(to);
        shared.world.add("done: mailboxes renamed", 1);
    } else {
        refused_at(client, ROAMS, "RENAME", &reply);
    }
    Ok(())
}

async fn append(client: &mut Client) -> Result<(), Gone> {
    let shared = Rc::clone(&client.shared);
    let to = a_mailbox(client);
    let keys: Vec<u64> = (0..1 + dice::below(3)).map(|_| shared.key()).collect();
    let mut pieces = vec![text(format!("APPEND {}", shared.name_of(&to)))];
    let half = !shared.peace && dice::percent(8);
    for (at, key) in keys.iter().enumerate() {
        pieces.push(text(if dice::percent(30) {
            " (\\Flagged) "
        } else {
            " "
        }));
        pieces.push(if half && at + 1 == keys.len() {
            Piece::Half(message(*key))
        } else {
            Piece::Literal(message(*key))
        });
    }
    let reply = client.command(&pieces, true).await;
    let mut model = shared.model.borrow_mut();
    match reply {
        Ok(reply) if reply.is_ok() => {
            shared
                .world
                .add("done: messages appended", keys.len() as u64);
            let code = reply.code();
            let uids = code.get(2).and_then(|set| Uids::parse(set.as_bytes()));
            let uids: Vec<u32> = uids.iter().flat_map(Uids::iter).collect();
            if code[0] != "APPENDUID" || uids.len() != keys.len() {
                shared.fail(format!("APPEND of {}: {}", keys.len(), reply.text));
            }
            for (uid, key) in uids.into_iter().zip(keys) {
                model
                    .came(&to, uid, key)
                    .into_iter()
                    .for_each(|wrong| shared.fail(wrong));
            }
            Ok(())
        }
        Ok(reply) => {
            drop(model);
            refused_at(client, &to, "APPEND", &reply);
            Ok(())
        }
        Err(gone) => {
            // What was cut off in the middle hasn't come.
            if !half {
                keys.into_iter()
                    .for_each(|key| model.may_have_come(&to, key));
            }
            Err(gone)
        }
    }
}

/// Some messages of the view, and how a command names them.
pub(crate) fn some(client: &Client) -> Option<(Vec<u32>, bool, String)> {
    let view = client.view.as_ref()?;
    let by_uid = dice::percent(50);
    let mut chosen = Vec::new();
    for (at, seen) in view.messages.iter().enumerate() {
        if let Some(uid) = seen.uid
            && dice::percent(30)
        {
            chosen.push((u32::try_from(at).expect("few") + 1, uid));
        }
    }
    if chosen.is_empty() {
        return None;
    }
    let set: Uids = chosen
        .iter()
        .map(|(number, uid)| if by_uid { *uid } else { *number })
        .collect();
    let uids = chosen.into_iter().map(|(_, uid)| uid).collect();
    Some((uids, by_uid, set.to_string()))
}

pub(crate) fn named(by_uid: bool, rest: String) -> Piece {
    text(if by_uid { format!("UID {rest}") } else { rest })
}

async fn delete(client: &mut Client) -> Result<(), Gone> {
    let Some((uids, by_uid, set)) = some(client) else {
        return Ok(());
    };
    let mailbox = client
        .view
        .as_ref()
        .map(|view| view.mailbox.clone())
        .unwrap_or_default();
    client.shared.model.borrow_mut().may_vanish(&mailbox, &uids);
    let command = named(by_uid, format!("STORE {set} +FLAGS (\\Deleted)"));
    let reply = client.command(&[command], by_uid).await?;
    if !reply.is_ok() {
        refused(client, "STORE", &reply);
    }
    Ok(())
}

async fn expunge(client: &mut Client) -> Result<(), Gone> {
    let command = match some(client) {
        Some((_, true, set)) => format!("UID EXPUNGE {set}"),
        _ => "EXPUNGE".to_owned(),
    };
    let reply = client.command(&[text(command)], true).await?;
    let gone = reply
        .untagged
        .iter()
        .filter(|line| line.ends_with(b"EXPUNGE\r\n") || line.starts_with(b"* VANISHED"))
        .count();
    client
        .shared
        .world
        .add("done: messages told to be gone", gone as u64);
    if !reply.is_ok() {
        refused(client, "EXPUNGE", &reply);
    }
    if let ["HIGHESTMODSEQ", modseq] = reply.code()[..] {
        client.keep(modseq.parse().ok());
    }
    Ok(())
}

async fn copy(client: &mut Client) -> Result<(), Gone> {
    let Some((uids, by_uid, set)) = some(client) else {
        return Ok(());
    };
    let shared = Rc::clone(&client.shared);
    let from = client
        .view
        .as_ref()
        .map(|view| view.mailbox.clone())
        .unwrap_or_default();
    let to = a_mailbox(client);
    let moves = dice::percent(40);
    let verb = if moves { "MOVE" } else { "COPY" };
    if moves {
        shared.model.borrow_mut().may_vanish(&from, &uids);
    }
    let command = named(by_uid, format!("{verb} {set} {}", shared.name_of(&to)));
    let reply = client.command(&[command], true).await;
    let key_at = |uid: &u32| {
        let model = shared.model.borrow();
        model.kept.get(&(from.clone(), *uid)).copied()
    };
    let reply = match reply {
        Ok(reply) => reply,
        Err(gone) => {
            let keys: Vec<Option<u64>> = uids.iter().map(key_at).collect();
            let mut model = shared.model.borrow_mut();
            keys.into_iter()
                .flatten()
                .for_each(|key| model.may_have_come(&to, key));
            return Err(gone);
        }
    };
    if !reply.is_ok() {
        refused_at(client, &to, verb, &reply);
        return Ok(());
    }
    let Some((old, new)) = copied(&reply) else {
        return Ok(());
    };
    shared.world.add("done: messages copied", new.len());
    if old.len() != new.len() || old.iter().any(|uid| !uids.contains(&uid)) {
        shared.fail(format!("{verb} says {old} became {new}"));
    }
    for (old, new) in old.iter().zip(new.iter()) {
        let Some(key) = key_at(&old) else {
            // It came by a command that was never answered.
            shared.model.borrow_mut().unknown(&to, new);
            continue;
        };
        let wrong = shared.model.borrow_mut().came(&to, new, key);
        wrong.into_iter().for_each(|wrong| shared.fail(wrong));
        // Its flags came along.
        let deleted = shared.model.borrow().doomed.contains(&(from.clone(), old));
        if deleted {
            shared.model.borrow_mut().may_vanish(&to, &[new]);
        }
    }
    Ok(())
}

/// The UIDs that COPYUID tells: the old ones and the new.
fn copied(reply: &Reply) -> Option<(Uids, Uids)> {
    let untagged = reply.untagged.iter();
    let untagged = untagged.map(|line| String::from_utf8_lossy(line).into_owned());
    let mut told = untagged.chain([format!("* OK {}", reply.text)]);
    let code = told.find_map(|line| {
        let at = line.find("[COPYUID ")?;
        line[at + 1..].split(']').next().map(str::to_owned)
    })?;
    let words: Vec<&str> = code.split(' ').collect();
    let set = |at: usize| Uids::parse(words.get(at)?.as_bytes());
    Some((set(2)?, set(3)?))
}

async fn fetch_body(client: &mut Client) -> Result<(), Gone> {
    let Some((_, by_uid, set)) = some(client) else {
        return Ok(());
    };
    let reply = client
        .command(
            &[named(by_uid, format!("FETCH {set} (UID BODY.PEEK[])"))],
            by_uid,
        )
        .await?;
    let mailbox = client
        .view
        .as_ref()
        .map(|view| view.mailbox.clone())
        .unwrap_or_default();
    for line in &reply.untagged {
        let Some(at) = line.windows(8).position(|window| window == b"BODY[] {") else {
            continue;
        };
        let digits = line[at + 8..]
            .iter()
            .take_while(|byte| byte.is_ascii_digit())
            .count();
        let size: usize = std::str::from_utf8(&line[at + 8..][..digits])
            .unwrap()
            .parse()
            .unwrap();
        let body = &line[at + 8 + digits + 3..][..size];
        let head = String::from_utf8_lossy(&line[..at]).into_owned();
        let uid = head
            .split("UID ")
            .nth(1)
            .and_then(|rest| rest.split([' ', ')']).next());
        let uid: u32 = uid.and_then(|uid| uid.parse().ok()).unwrap_or(0);
        let model = client.shared.model.borrow();
        let kept = model.kept.get(&(mailbox.clone(), uid));
        let key = key_of(body);
        if key.is_none() || kept.is_some_and(|kept| Some(*kept) != key) {
            client.shared.fail(format!(
                "{mailbox} UID {uid}: FETCH gives the bytes of {key:?}"
            ));
        }
        client.shared.world.add("done: bodies fetched", 1);
    }
    Ok(())
}

async fn search(client: &mut Client) -> Result<(), Gone> {
    let key = match dice::below(5) {
        0 => "ALL".to_owned(),
        1 => "FLAGGED NOT DELETED".to_owned(),
        2 => format!("LARGER {}", dice::below(3000)),
        3 => format!("KEYWORD $c{}", client.number),
        _ => format!("HEADER X-Key {}", dice::below(10)),
    };
    let by_uid = dice::percent(50);
    let reply = client
        .command(&[named(by_uid, format!("SEARCH {key}"))], by_uid)
        .await?;
    if !reply.is_ok() {
        refused(client, "SEARCH", &reply);
    }
    Ok(())
}

/// All are still: what the client knows after NOOP is what is there.
async fn compare(client: &mut Client) -> Result<(), Gone> {
    let shared = Rc::clone(&client.shared);
    if client.view.is_none() {
        return Ok(());
    }
    let reply = client.command(&[text("NOOP")], true).await?;
    if !reply.is_ok() {
        refused(client, "NOOP", &reply);
        return Ok(());
    }
    learn(client).await?;
    let store = shared.store.borrow().clone();
    let (Some(view), Some(store)) = (&client.view, store) else {
        return Ok(());
    };
    let mailbox = model::mailbox(&store, &view.mailbox);
    let there = model::messages(&store, &mailbox);
    let uids: Vec<u32> = there.iter().map(|message| message.uid).collect();
    if view.uids() != uids || view.messages.len() != uids.len() {
        shared.fail(format!(
            "client {} has {:?} of {}, and there is {uids:?}",
            client.number,
            view.uids(),
            view.mailbox
        ));
    }
    for (seen, message) in view.messages.iter().zip(&there) {
        let flags = model::flags(&mailbox, message);
        if seen.flags.as_ref().is_some_and(|seen| *seen != flags) {
            shared.fail(format!(
                "client {} has {:?} for UID {} of {}, which has {flags:?}",
                client.number, seen.flags, message.uid, view.mailbox
            ));
        }
    }
    shared.world.add("done: views compared", 1);
    found(client, &there).await
}

/// What SEARCH finds while all are still.
async fn found(client: &mut Client, there: &[ravenry_backend::store::Message]) -> Result<(), Gone> {
    let size = dice::below(3000);
    let reply = client
        .command(&[text(format!("UID SEARCH LARGER {size}"))], true)
        .await?;
    let expected: Vec<String> = there
        .iter()
        .filter(|message| message.size > size)
        .map(|message| message.uid.to_string())
        .collect();
    let line = reply
        .untagged
        .iter()
        .find(|line| line.starts_with(b"* SEARCH"));
    let line = String::from_utf8_lossy(line.map_or(&[][..], Vec::as_slice)).into_owned();
    let found: Vec<&str> = line.split_whitespace().skip(2).collect();
    if reply.is_ok() && found != expected {
        client.shared.fail(format!(
            "SEARCH LARGER {size} finds {found:?}, not {expected:?}"
        ));
    }
    Ok(())
}
