//! Whether what a client was told of its messages is true: where they have come, where they have gone, and
//! which UIDs they have there.

use std::collections::BTreeMap;

use crate::client::{Client, Over};
use crate::ledger::{End, Kind};
use crate::site::{Held, Site};
use crate::view::expand;

/// What comes of the commands.
const OUTCOMES: [(Kind, End, &str); 20] = [
    (Kind::Append, End::Done, "APPEND: done"),
    (Kind::Append, End::Refused, "APPEND: refused"),
    (Kind::Append, End::Unknown, "APPEND: nobody can know"),
    (Kind::Append, End::Unheard, "APPEND: cut off"),
    (Kind::Copy, End::Done, "COPY: done"),
    (Kind::Copy, End::Refused, "COPY: refused"),
    (Kind::Copy, End::Stays, "COPY: refused, messages stay"),
    (Kind::Copy, End::Unknown, "COPY: nobody can know"),
    (Kind::Copy, End::Unheard, "COPY: cut off"),
    (Kind::Move, End::Done, "MOVE: done"),
    (Kind::Move, End::Refused, "MOVE: refused"),
    (Kind::Move, End::Brought, "MOVE: copied, may be in both"),
    (Kind::Move, End::Unknown, "MOVE: nobody can know"),
    (Kind::Move, End::Stays, "MOVE: refused, messages stay"),
    (Kind::Move, End::Unheard, "MOVE: cut off"),
    (Kind::Replace, End::Done, "REPLACE: done"),
    (Kind::Replace, End::Refused, "REPLACE: refused"),
    (
        Kind::Replace,
        End::Brought,
        "REPLACE: appended, may be in both",
    ),
    (Kind::Replace, End::Unknown, "REPLACE: nobody can know"),
    (Kind::Replace, End::Unheard, "REPLACE: cut off"),
];
pub(crate) const KNOWS: &str = "view: as the mailbox is";
pub(crate) const GIVEN_UP: &str = "view: given up, with BYE";

/// The command is over: was what its client has heard true?
pub(crate) fn judge(client: &Client, number: usize, heard: Result<(), Over>) -> Result<(), Over> {
    let reply = client.reply.clone().unwrap_or_default();
    let told = |what: &str| client.told.iter().any(|text| text.contains(what));
    let end = if client.replied("OK") {
        End::Done
    } else if reply.contains("in both mailboxes") || told("Copied to") || told("[APPENDUID ") {
        End::Brought
    } else if told(" stay in the target mailbox") {
        End::Stays
    } else if reply.contains("[UNAVAILABLE]") || client.bye.is_some() {
        End::Unknown
    } else if heard.is_ok() {
        End::Refused
    } else {
        End::Unheard
    };
    let order = format!("{:?}", client.site.ledger.borrow().orders[number]);
    client.site.ledger.borrow_mut().orders[number].end = end;
    heard?;
    let wrong = wrong_refusal(client, number)
        .or_else(|| wrong_there(client, number))
        .or_else(|| wrong_here(client, number))
        .or_else(|| wrong_uids(client, number, &reply));
    if let Some(wrong) = wrong {
        client.fail(&format!("{order} was answered {reply}: {wrong}"));
    }
    Ok(())
}

/// Where nothing has gone wrong, and nobody else was there, only what can't be done is refused.
fn wrong_refusal(client: &Client, number: usize) -> Option<String> {
    let site = &client.site;
    let ledger = site.ledger.borrow();
    let order = &ledger.orders[number];
    let name = client.selected.as_ref();
    let server = name.map(|name| site.mailboxes.borrow()[name].server);
    let removes = server.is_some_and(|server| site.able[server].uidplus && !client.examined);
    let can_be = order.takes.is_empty() || removes;
    let calm = site.is_calm() && site.others_did.get() == 0;
    (order.end != End::Done && can_be && calm).then(|| "nothing is wrong".to_owned())
}

/// What is wrong in the mailbox that messages were to come to.
fn wrong_there(client: &Client, number: usize) -> Option<String> {
    let ledger = client.site.ledger.borrow();
    let order = &ledger.orders[number];
    let mut remain = order
        .brings
        .iter()
        .filter(|key| !ledger.removed.contains(key));
    remain.find_map(|key| {
        let ((least, most), count) = (ledger.due(&order.to, *key), ledger.count(&order.to, *key));
        if count < least || count > most {
            return Some(format!(
                "{key:x} has come {count} times, not {least} to {most}"
            ));
        }
        let lacks = order.end == End::Done && !client.site.has_message(&order.to, *key);
        lacks.then(|| format!("{key:x} isn't there"))
    })
}

/// What is wrong in the selected mailbox.
fn wrong_here(client: &Client, number: usize) -> Option<String> {
    let (view, name) = (client.view.as_ref()?, client.selected.as_ref()?);
    let ledger = client.site.ledger.borrow();
    let order = &ledger.orders[number];
    let mailboxes = client.site.mailboxes.borrow();
    let mailbox = mailboxes
        .get(name)
        .filter(|mailbox| mailbox.validity == view.validity)?;
    let goes = order.end == End::Done && !order.takes.is_empty();
    let marked = |held: &Held| held.flags.contains("\\Deleted");
    let removed = |held: &Held| ledger.removed.contains(&held.message.key);
    client
        .named
        .iter()
        .find_map(|(uid, before)| match mailbox.messages.get(uid) {
            Some(_) if goes => Some(format!("{uid} is still here")),
            None if !goes && !removed(before) => Some(format!("{uid} has gone")),
            Some(now) if marked(now) && !marked(before) => Some(format!("{uid} is \\Deleted")),
            _ => None,
        })
}

/// Counts what came of all commands.
pub(crate) fn count(site: &Site) {
    for (kind, end, name) in OUTCOMES {
        let ledger = site.ledger.borrow();
        let such = ledger.orders.iter();
        let such = such.filter(|order| (order.kind, order.end) == (kind, end));
        // Few are cut off, few stay: none need be.
        match such.count() as u64 {
            0 if matches!(end, End::Unheard | End::Stays) => {}
            count => site.world.add(name, count),
        }
    }
    site.world.add(KNOWS, 0);
    site.world.add(GIVEN_UP, 0);
}

/// What is wrong with COPYUID, which the other server's UIDPLUS calls for.
fn wrong_uids(client: &Client, number: usize, reply: &str) -> Option<String> {
    let site = &client.site;
    let ledger = site.ledger.borrow();
    let order = &ledger.orders[number];
    if order.end != End::Done || order.kind == Kind::Append {
        return None;
    }
    let (from, view) = (client.selected.as_ref()?, client.view.as_ref()?);
    let told = client.told.iter().map(String::as_str).chain([reply]);
    let code = told
        .filter_map(|text| text.split("[COPYUID ").nth(1))
        .next();
    let able = site.able[site.mailboxes.borrow()[&order.to].server];
    let Some(code) = code.and_then(|code| code.split(']').next()) else {
        let mut brings = order.brings.iter();
        let any = brings.any(|key| !ledger.removed.contains(key));
        let due = any && able.uidplus && able.lie.is_none() && order.kind != Kind::Replace;
        return due.then(|| "COPYUID is missing".to_owned());
    };
    let words: Vec<&str> = code.split(' ').collect();
    let [validity, old, new] = words[..] else {
        return Some("COPYUID is malformed".to_owned());
    };
    let validity = validity.parse().ok()?;
    let (old, new) = (expand(old), expand(new));
    let mut pairs = BTreeMap::new();
    for (old, new) in old.iter().zip(&new) {
        let key = ledger.key(from, view.validity, *old);
        if key.is_none() || key != ledger.key(&order.to, validity, *new) {
            return Some(format!("COPYUID: {old} isn't {new}"));
        }
        pairs.insert(key, *new);
    }
    let missing = order
        .brings
        .iter()
        .filter(|key| !ledger.removed.contains(key));
    let missing = missing
        .filter(|key| !pairs.contains_key(&Some(**key)))
        .count();
    let right = old.len() == new.len() && missing == 0;
    (!right).then(|| "COPYUID isn't whole".to_owned())
}
