//! A client that moves its messages about: COPY, MOVE, REPLACE and APPEND between mailboxes at different
//! servers, and what it may be told of each. It also checks what it knows of the selected mailbox, after
//! waits in which the mailbox's server may have been lost.

use std::rc::Rc;
use std::time::Duration;

use ravenry_core::rt::{self, Address, Stream};

use crate::client::{Client, Over, What};
use crate::dice::{below, one_of, percent, time};
use crate::ledger::Kind;
use crate::leg::Leg;
use crate::script;
use crate::site::{Held, Message, Site, internal};
use crate::verdict::{GIVEN_UP, KNOWS, judge};
use crate::view::View;

/// What each client has: two mailboxes at each server.
pub(crate) const MAILBOXES: [&str; 4] = ["INBOX", "INBOX.near", "INBOX.work", "INBOX.far"];
const PATIENCE: Duration = Duration::from_secs(400);
const SESSIONS: u64 = 3;
/// More than the frontend asks for together.
const LARGE: usize = 1_100_000;

/// The password of the first takes no time to check.
fn user(number: u64) -> String {
    format!("u{}", crate::site::USERS - 2 - number)
}

pub(crate) async fn play(site: Rc<Site>, address: Address, number: u64) {
    for session in 0..=below(SESSIONS) {
        let Ok(stream) = Stream::connect(&address, Duration::from_secs(30)).await else {
            continue;
        };
        let mut leg = Leg::new(stream, PATIENCE);
        if percent(10) {
            leg.pace = (one_of(&[1000, 3000]), Duration::from_millis(below(40)));
        }
        let name = format!("mover {number}.{session}");
        let mut client = Client::new(Rc::clone(&site), leg, name, user(number));
        if script::greeted(&mut client).await.is_ok() && converse(&mut client).await.is_ok() {
            client.note("is done");
        }
        let lost = client
            .bye
            .as_ref()
            .is_some_and(|text| text.contains("connection"));
        if lost && client.view.is_some() {
            site.world.count(GIVEN_UP);
        }
        rt::sleep(time(Duration::from_secs(5))).await;
    }
}

async fn converse(client: &mut Client) -> Result<(), Over> {
    script::login(client).await?;
    if client.site.able[0].qresync && percent(70) {
        ask(client, What::Plain, "ENABLE QRESYNC").await?;
    }
    for _ in 0..=below(3) {
        select(client).await?;
        for _ in 0..below(9) {
            step(client).await?;
        }
    }
    client.command(What::Logout, b"LOGOUT\r\n").await?;
    client.settle().await?;
    client.leg.until_closed().await;
    Ok(())
}

/// Sends a command and waits for its reply.
async fn ask(client: &mut Client, what: What, text: &str) -> Result<(), Over> {
    client
        .command(what, format!("{text}\r\n").as_bytes())
        .await?;
    client.settle().await
}

async fn select(client: &mut Client) -> Result<(), Over> {
    let given = one_of(&MAILBOXES);
    let name = client.internal(given);
    let verb = if percent(92) { "SELECT" } else { "EXAMINE" };
    client.view = Some(View::default());
    client.selected = Some(name.clone());
    client.examined = verb == "EXAMINE";
    ask(client, What::Known(name), &format!("{verb} {given}")).await?;
    if !client.replied("OK") {
        client.view = None;
        client.selected = None;
        return Ok(());
    }
    look(client).await
}

/// Asks for what the client doesn't know yet of the selected mailbox.
async fn look(client: &mut Client) -> Result<(), Over> {
    if client
        .view
        .as_ref()
        .is_some_and(|view| !view.rows.is_empty())
    {
        ask(client, What::Plain, "UID FETCH 1:* (FLAGS)").await?;
    }
    Ok(())
}

async fn step(client: &mut Client) -> Result<(), Over> {
    match below(12) {
        0..6 => order(client).await,
        6 => append(client).await,
        7 if client.view.is_some() => mark(client).await,
        8 => {
            script::idle(client).await?;
            check(client).await
        }
        9 => {
            rt::sleep(time(Duration::from_secs(40))).await;
            check(client).await
        }
        _ => check(client).await,
    }
}

/// Whether the client knows the mailbox as it is: after NOOP it must.
async fn check(client: &mut Client) -> Result<(), Over> {
    let site = Rc::clone(&client.site);
    let (Some(name), true) = (client.selected.clone(), client.view.is_some()) else {
        return ask(client, What::Plain, "NOOP").await;
    };
    let modseq = || site.mailboxes.borrow()[&name].modseq;
    let before = modseq();
    ask(client, What::Plain, "NOOP").await?;
    if let Some(view) = client.view.as_ref().filter(|_| client.replied("OK")) {
        let differs = view.differs(&site.mailboxes.borrow()[&name]);
        match differs.filter(|_| modseq() == before) {
            Some(differs) => client.fail(&format!("doesn't know {name}: {differs}")),
            None if modseq() == before => site.world.count(KNOWS),
            None => {}
        }
    }
    look(client).await
}

/// Sets or takes off a flag of some messages.
async fn mark(client: &mut Client) -> Result<(), Over> {
    let Some(Chosen { uids, .. }) = some_of(client, 3) else {
        return Ok(());
    };
    if client.examined {
        return Ok(());
    }
    let how = one_of(&["+FLAGS", "-FLAGS"]);
    let flag = one_of(&["\\Seen", "\\Deleted", "$todo"]);
    let text = format!("UID STORE {uids} {how} ({flag})");
    ask(client, What::Plain, &text).await
}

/// Some messages: their numbers and their UIDs as sets, and their keys.
struct Chosen {
    numbers: String,
    uids: String,
    keys: Vec<u64>,
}

/// Some messages of those that the client knows.
fn some_of(client: &mut Client, most: u64) -> Option<Chosen> {
    let (view, name) = (client.view.as_ref()?, client.selected.as_ref()?);
    let known = view.known();
    let first = usize::try_from(below(known.len() as u64)).ok()?;
    let count = usize::try_from(1 + below(most)).ok()?;
    let chosen: Vec<_> = known.into_iter().skip(first).take(count).collect();
    if chosen.is_empty() {
        return None;
    }
    let join = |numbers: Vec<String>| numbers.join(",");
    let numbers = join(
        chosen
            .iter()
            .map(|(number, _)| number.to_string())
            .collect(),
    );
    let uids = join(chosen.iter().map(|(_, uid)| uid.to_string()).collect());
    let ledger = client.site.ledger.borrow();
    let keys = chosen
        .iter()
        .map(|(_, uid)| ledger.key(name, view.validity, *uid));
    let keys: Option<Vec<u64>> = keys.collect();
    drop(ledger);
    if keys.is_none() {
        client.fail(&format!("was told UIDs that there never were: {uids}"));
    }
    let mailboxes = client.site.mailboxes.borrow();
    let messages = &mailboxes.get(name)?.messages;
    let held = chosen
        .iter()
        .filter_map(|(_, uid)| Some((*uid, messages.get(uid)?.clone())));
    client.named = held.collect();
    Some(Chosen {
        numbers,
        uids,
        keys: keys?,
    })
}

fn new_message(client: &Client) -> Held {
    let message = Message {
        key: rt::random::u64(),
        size: client.site.message_size(),
    };
    let mut held = Held::new(message);
    if percent(30) {
        held.flags.insert("\\Seen".to_owned());
    }
    client.site.ledger.borrow_mut().seen_as(&held);
    held
}

/// Sends a command that ends with a message.
async fn with_message(client: &mut Client, head: &str, held: &Held) -> Result<(), Over> {
    let sync = percent(40);
    let (size, mark) = (held.message.size, if sync { "" } else { "+" });
    let head = format!(
        "{head} {} \"{}\" {{{size}{mark}}}\r\n",
        held.list(),
        held.date
    );
    client.command(What::Order, head.as_bytes()).await?;
    if sync && !client.go_ahead().await? {
        return Ok(());
    }
    client.send(&held.message.bytes()).await?;
    client.send(b"\r\n").await?;
    client.settle().await
}

async fn append(client: &mut Client) -> Result<(), Over> {
    let given = one_of(&MAILBOXES);
    let held = new_message(client);
    let to = client.internal(given);
    client.named.clear();
    let number = begin(
        client,
        Kind::Append,
        &to,
        vec![held.message.key],
        Vec::new(),
    );
    let head = format!("APPEND {given}");
    let heard = with_message(client, &head, &held).await;
    judge(client, number, heard)
}

/// COPY, MOVE or REPLACE to a mailbox at the other server.
async fn order(client: &mut Client) -> Result<(), Over> {
    let kind = one_of(&[
        Kind::Copy,
        Kind::Copy,
        Kind::Move,
        Kind::Move,
        Kind::Replace,
    ]);
    let most = match kind {
        Kind::Replace => 1,
        _ if percent(10) => 100,
        _ => 5,
    };
    let Some(Chosen {
        numbers,
        uids,
        keys,
    }) = some_of(client, most)
    else {
        return select(client).await;
    };
    let by_uid = percent(50);
    let (set, uid) = if by_uid {
        (uids, "UID ")
    } else {
        (numbers, "")
    };
    let given = elsewhere(client, kind);
    let to = client.internal(given);
    if kind == Kind::Replace {
        let held = new_message(client);
        let number = begin(client, kind, &to, vec![held.message.key], keys);
        let head = format!("{uid}REPLACE {set} {given}");
        let heard = with_message(client, &head, &held).await;
        return judge(client, number, heard);
    }
    let (verb, takes) = match kind {
        Kind::Move => ("MOVE", keys.clone()),
        _ => ("COPY", Vec::new()),
    };
    let number = begin(client, kind, &to, keys, takes);
    let heard = ask(client, What::Order, &format!("{uid}{verb} {set} {given}")).await;
    judge(client, number, heard)
}

/// A mailbox at another server than the selected one; for REPLACE any.
fn elsewhere(client: &Client, kind: Kind) -> &'static str {
    let mailboxes = client.site.mailboxes.borrow();
    let server = |name: &str| mailboxes[name].server;
    let here = client.selected.as_ref().map(|name| server(name));
    let others = MAILBOXES
        .iter()
        .filter(|given| kind == Kind::Replace || Some(server(&client.internal(given))) != here);
    let others: Vec<&str> = others.copied().collect();
    one_of(&others)
}

fn begin(client: &Client, kind: Kind, to: &str, brings: Vec<u64>, takes: Vec<u64>) -> usize {
    let site = &client.site;
    let server = site.mailboxes.borrow()[to].server;
    let mut ledger = site.ledger.borrow_mut();
    let number = ledger.begin(kind, to, brings, takes);
    ledger.orders[number].at_once = site.able[server].multiappend;
    number
}

/// Every client's mailboxes, with messages.
pub(crate) fn furnish(site: &Site, users: u64) {
    for user in 0..users {
        let home = usize::try_from(user % 2).expect("small");
        for (index, given) in MAILBOXES.iter().enumerate() {
            let name = internal(&self::user(user), given);
            site.put(&name, (home + index / 2) % 2);
            let most = if percent(8) { 150 } else { 8 };
            for _ in 0..below(most) {
                let size = match most {
                    150 => Message::SIZE_MIN + 20,
                    // Those are announced before they are asked for.
                    _ if site.large && percent(4) => LARGE,
                    _ => site.message_size(),
                };
                let key = rt::random::u64();
                site.append(&name, Held::new(Message { key, size }));
            }
        }
    }
}
