//! What clients do: log in, send commands of all kinds, some before the replies to others have come,
//! and leave, or vanish, or stop in the middle.

use std::rc::Rc;
use std::time::Duration;

use ravenry_core::rt::{self, Address, Stream};

use crate::client::{Client, Over, What};
use crate::dice::{below, one_of, percent, time};
use crate::leg::Leg;
use crate::site::{Message, Site};

pub(crate) const MISDEEDS: [&str; 7] = [
    "client: vanishes",
    "client: vanishes within a literal",
    "client: stops within a literal",
    "client: stops reading",
    "client: never logs in",
    "client: is silent for ever",
    "client: a few bytes at a time",
];

/// The longest any client waits for anything.
const PATIENCE: Duration = Duration::from_secs(400);
const PENDING_MAX: usize = 6;

/// The passwords: the hash of the first two has to be computed on a pool, the others' not.
pub(crate) fn password(user: &str) -> &'static str {
    if ["u0", "u1"].contains(&user) {
        "Hello world!"
    } else {
        "pw"
    }
}

pub(crate) async fn play(site: Rc<Site>, address: Address, number: u64) {
    let user = format!("u{}", below(crate::site::USERS));
    let Ok(stream) = Stream::connect(&address, Duration::from_secs(30)).await else {
        return;
    };
    let mut leg = Leg::new(stream, PATIENCE);
    let err = percent(site.clients_err);
    if percent(10) {
        leg.pace = (one_of(&[1000, 3000]), Duration::from_millis(below(40)));
    }
    if err && percent(20) {
        site.world.count(MISDEEDS[6]);
        leg.pace = (one_of(&[3, 17, 40]), Duration::from_millis(2));
    }
    let mut client = Client::new(Rc::clone(&site), leg, format!("client {number}"), user);
    if greeted(&mut client).await.is_ok() && converse(&mut client, err).await.is_ok() {
        client.note("is done");
    }
}

pub(crate) async fn greeted(client: &mut Client) -> Result<(), Over> {
    let greeting = client.response().await?;
    if greeting.text.starts_with("* OK ") {
        return Ok(());
    }
    if !greeting
        .text
        .starts_with("* BYE [UNAVAILABLE] The mailbox list isn't complete")
    {
        client.fail(&format!("was greeted {}", greeting.text));
    }
    Err(Over)
}

async fn converse(client: &mut Client, err: bool) -> Result<(), Over> {
    if err && percent(10) {
        client.site.world.count(MISDEEDS[4]);
        return outlast(client).await;
    }
    login(client).await?;
    let steps = 3 + below(25);
    let errs_at = if err { below(steps) } else { steps };
    for step in 0..steps {
        if step == errs_at && !misbehave(client).await? {
            return Ok(());
        }
        if client.pending.len() >= PENDING_MAX || percent(50) {
            client.settle().await?;
        }
        if percent(15) {
            // Who reads nothing for so long is given up.
            client.settle().await?;
            rt::sleep(time(Duration::from_secs(20))).await;
        }
        step_once(client).await?;
    }
    client.settle().await?;
    if percent(20) {
        return Ok(());
    }
    client.command(What::Logout, b"LOGOUT\r\n").await?;
    client.settle().await?;
    client.leg.until_closed().await;
    Ok(())
}

pub(crate) async fn login(client: &mut Client) -> Result<(), Over> {
    let (user, password) = (client.user.clone(), password(&client.user));
    match below(4) {
        0 => {
            let text = format!("LOGIN {user} \"{password}\"\r\n");
            client.command(What::Login, text.as_bytes()).await?;
        }
        1 => {
            let size = password.len();
            let text = format!("LOGIN {user} {{{size}+}}\r\n{password}\r\n");
            client.command(What::Login, text.as_bytes()).await?;
        }
        2 => {
            let text = format!("LOGIN {user} {{{}}}\r\n", password.len());
            client.command(What::Login, text.as_bytes()).await?;
            if client.go_ahead().await? {
                client.send(format!("{password}\r\n").as_bytes()).await?;
            }
        }
        _ => sasl(client, &user, password).await?,
    }
    client.settle().await?;
    // Where a login can't be checked at the moment, this client goes.
    if client.logged_in { Ok(()) } else { Err(Over) }
}

async fn sasl(client: &mut Client, user: &str, password: &str) -> Result<(), Over> {
    let plain = ravenry_core::proto::sasl::Plain {
        authzid: Vec::new(),
        authcid: user.into(),
        password: ravenry_core::proto::sasl::Secret::new(password.into()),
    };
    let response = plain.encode().expect("no NUL");
    if percent(50) {
        let text = [b"AUTHENTICATE PLAIN ", response.expose(), b"\r\n"].concat();
        return client.command(What::Login, &text).await;
    }
    client
        .command(What::Login, b"AUTHENTICATE PLAIN\r\n")
        .await?;
    if client.go_ahead().await? {
        client.send(&[response.expose(), b"\r\n"].concat()).await?;
    }
    Ok(())
}

/// A mailbox that is there: now and then one that this session has made, or another of this user's.
fn some_mailbox(client: &Client) -> String {
    if percent(25) {
        let user = format!("user.{}", client.user);
        let mailboxes = client.site.mailboxes.borrow();
        let mut names: Vec<&String> = mailboxes
            .keys()
            .filter(|name| name.starts_with(&user))
            .collect();
        if percent(50) && !client.made.is_empty() {
            names = client.made.iter().collect();
        }
        let index = usize::try_from(below(names.len() as u64)).expect("small");
        return names[index].replacen(&user, "INBOX", 1);
    }
    one_of(&["INBOX", "INBOX.work", "shared.a", "shared.b"]).to_owned()
}

async fn step_once(client: &mut Client) -> Result<(), Over> {
    match below(20) {
        0..3 => select(client).await,
        3..7 => fetch(client).await,
        7..9 => append(client).await,
        9 => create_or_delete(client).await,
        10 => idle(client).await,
        11..13 => {
            let given = some_mailbox(client);
            let known = What::Known(client.internal(&given));
            let text = format!("STATUS {} (MESSAGES)\r\n", quoted(&given));
            client.command(known, text.as_bytes()).await
        }
        13 => list(client).await,
        14 => {
            let verb = one_of(&["SUBSCRIBE", "UNSUBSCRIBE"]);
            let text = format!("{verb} {}\r\n", quoted(&some_mailbox(client)));
            client.command(What::Plain, text.as_bytes()).await
        }
        _ => step_small(client).await,
    }
}

/// Commands of a line.
async fn step_small(client: &mut Client) -> Result<(), Over> {
    match below(6) {
        0 => {
            client
                .command(
                    What::Gone("user.nobody".into()),
                    b"STATUS user.nobody (MESSAGES)\r\n",
                )
                .await
        }
        1 if percent(30) => client.command(What::Nonsense, b"XYZZY\r\n").await,
        2 | 3 if client.selected.is_some() => {
            let text = one_of(&[
                "UID SEARCH ALL",
                "UID STORE 1:* +FLAGS (\\Seen)",
                "EXPUNGE",
                "CHECK",
            ]);
            client
                .command(selected(client), format!("{text}\r\n").as_bytes())
                .await
        }
        4 if client.selected.is_some() => {
            let what = selected(client);
            client.selected = None;
            client.command(what, b"CLOSE\r\n").await
        }
        _ => {
            let text = one_of(&[
                "NOOP",
                "CAPABILITY",
                "NAMESPACE",
                "ID NIL",
                "LSUB \"\" *",
                "MYRIGHTS INBOX",
            ]);
            let what = if text == "NOOP" {
                selected(client)
            } else {
                What::Plain
            };
            client.command(what, format!("{text}\r\n").as_bytes()).await
        }
    }
}

async fn list(client: &mut Client) -> Result<(), Over> {
    let user = format!("user.{}", client.user);
    let made = client
        .made
        .iter()
        .map(|name| name.replacen(&user, "INBOX", 1));
    let mut names: Vec<String> = made.collect();
    names.extend(["INBOX".to_owned(), "shared.b".to_owned()]);
    client.command(What::List(names), b"LIST \"\" *\r\n").await
}

/// A command in the selected mailbox: somebody else may have deleted it.
fn selected(client: &Client) -> What {
    match &client.selected {
        Some(name) if name.contains(".n") => What::Perhaps,
        _ => What::Plain,
    }
}

/// An argument in one of its forms.
fn quoted(word: &str) -> String {
    match below(3) {
        0 => word.to_owned(),
        1 => format!("\"{word}\""),
        _ => format!("{{{}+}}\r\n{word}", word.len()),
    }
}

async fn select(client: &mut Client) -> Result<(), Over> {
    let given = some_mailbox(client);
    let name = client.internal(&given);
    client.selected = Some(name.clone());
    let verb = one_of(&["SELECT", "EXAMINE"]);
    let text = format!("{verb} {}\r\n", quoted(&given));
    client.command(What::Known(name), text.as_bytes()).await
}

async fn fetch(client: &mut Client) -> Result<(), Over> {
    let Some(mailbox) = client.selected.clone() else {
        return select(client).await;
    };
    let uids: Vec<u32> = {
        let mailboxes = client.site.mailboxes.borrow();
        let there = mailboxes.get(&mailbox);
        there
            .map(|mailbox| mailbox.messages.keys().copied().collect())
            .unwrap_or_default()
    };
    if uids.is_empty() || mailbox.contains(".n") {
        return client.command(selected(client), b"NOOP\r\n").await;
    }
    let from = usize::try_from(below(uids.len() as u64)).expect("small");
    let to = uids
        .len()
        .min(from + usize::try_from(1 + below(3)).expect("small"));
    let uids = uids[from..to].to_vec();
    let set: Vec<String> = uids.iter().map(ToString::to_string).collect();
    let text = format!("UID FETCH {} (UID FLAGS BODY.PEEK[])\r\n", set.join(","));
    client
        .command(What::Fetch { mailbox, uids }, text.as_bytes())
        .await
}

async fn append(client: &mut Client) -> Result<(), Over> {
    let given = some_mailbox(client);
    // As CAPABILITY says.
    let many = client.site.able.iter().all(|able| able.multiappend);
    let count = if percent(15) && many { 2 } else { 1 };
    let messages: Vec<Message> = (0..count)
        .map(|_| Message {
            key: rt::random::u64(),
            size: client.site.message_size(),
        })
        .collect();
    let mailbox = client.internal(&given);
    let what = What::Append {
        mailbox,
        messages: messages.clone(),
    };
    let mut head = format!("APPEND {} ", quoted(&given));
    for (index, message) in messages.iter().enumerate() {
        let sync = percent(40);
        let (flags, mark) = (one_of(&["", "(\\Seen) "]), if sync { "" } else { "+" });
        head.push_str(&format!("{flags}{{{}{mark}}}\r\n", message.size));
        if index == 0 {
            client.command(what.clone(), head.as_bytes()).await?;
        } else {
            client.send(head.as_bytes()).await?;
        }
        if sync && !client.go_ahead().await? {
            return Ok(());
        }
        client.send(&message.bytes()).await?;
        head = " ".to_owned();
    }
    client.send(b"\r\n").await
}

async fn create_or_delete(client: &mut Client) -> Result<(), Over> {
    if client.made.is_empty() || percent(60) {
        let given = format!("INBOX.n{:x}", rt::random::u64());
        let what = What::Create(client.internal(&given));
        client
            .command(what, format!("CREATE {given}\r\n").as_bytes())
            .await?;
        client.settle().await?;
        return list(client).await;
    }
    client.settle().await?;
    let Some(name) = client.made.pop() else {
        return Ok(());
    };
    if client.selected.as_ref() == Some(&name) {
        return Ok(());
    }
    let given = name.replacen(&format!("user.{}", client.user), "INBOX", 1);
    client
        .command(
            What::Delete(name.clone()),
            format!("DELETE {given}\r\n").as_bytes(),
        )
        .await?;
    client.settle().await?;
    if client.site.has(&name) {
        return Ok(());
    }
    let text = format!("STATUS {given} (MESSAGES)\r\n");
    client.command(What::Gone(name), text.as_bytes()).await
}

pub(crate) async fn idle(client: &mut Client) -> Result<(), Over> {
    client.command(What::Perhaps, b"IDLE\r\n").await?;
    if !client.go_ahead().await? {
        return Ok(());
    }
    let until = rt::now() + time(Duration::from_secs(40));
    while !client.pending.is_empty() {
        match rt::timeout_at(until, client.judge_next()).await {
            Ok(judged) => {
                judged?;
            }
            Err(_) => {
                client.send(b"DONE\r\n").await?;
                return client.settle().await;
            }
        }
    }
    Ok(())
}

/// Waits for the frontend to give up.
async fn outlast(client: &mut Client) -> Result<(), Over> {
    client.leg.until_closed().await;
    Ok(())
}

/// Does something that clients shouldn't. True: goes on.
async fn misbehave(client: &mut Client) -> Result<bool, Over> {
    let which = usize::try_from(below(6)).expect("small");
    if which == 4 {
        return Ok(true);
    }
    client.note(MISDEEDS[which]);
    client.site.world.count(MISDEEDS[which]);
    match which {
        1 | 2 => {
            let text = format!("APPEND INBOX {{{}+}}\r\n", 100_000);
            client.command(What::Perhaps, text.as_bytes()).await?;
            let part = usize::try_from(below(90_000)).expect("small");
            client.send(&vec![b'x'; part]).await?;
            if which == 2 {
                outlast(client).await?;
            }
        }
        3 => {
            select(client).await?;
            let text = "UID FETCH 1:* (UID BODY.PEEK[])\r\n";
            for _ in 0..8 {
                client.command(What::Perhaps, text.as_bytes()).await?;
            }
            rt::sleep(Duration::from_secs(100)).await;
        }
        5 => outlast(client).await?,
        _ => {}
    }
    Ok(false)
}
