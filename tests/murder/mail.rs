//! What clients do with messages: append, read, copy, move and expunge, within a backend and between both.

use std::collections::BTreeMap;

use crate::book::key_of;
use crate::client::{Client, Reply, fetched};
use crate::dice;
use crate::leg::Gone;
use crate::script::new_message;

/// A new message into one of its own, or one that all share.
pub(crate) async fn append(client: &mut Client) -> Result<(), Gone> {
    let target = target(client);
    let (key, bytes) = new_message(client);
    let command = format!("APPEND {}", client.name_of(target));
    client.site.book.borrow_mut().came(target, key, false);
    let reply = client.with_literal(&command, Some(&bytes)).await?;
    if reply.is_ok() {
        let mut book = client.site.book.borrow_mut();
        sure(&mut book.mailboxes[target].messages, key);
        book.alive.insert(key);
        client.site.world.count("done: messages appended");
    } else {
        client.undecided(&command, &reply);
    }
    Ok(())
}

/// What may have come has come.
fn sure(messages: &mut BTreeMap<u64, (u32, u32)>, key: u64) {
    messages.entry(key).or_default().0 += 1;
}

/// A mailbox that messages may come to.
fn target(client: &Client) -> usize {
    match client.a_mailbox() {
        Some(own) if dice::percent(75) => own,
        _ => client.a_common_one(),
    }
}

/// Reads all of a mailbox: what was promised has to be there.
pub(crate) async fn read(client: &mut Client) -> Result<(), Gone> {
    let mailbox = target(client);
    seen(client, mailbox).await.map(drop)
}

/// Selects a mailbox and reads its messages; gives what it has seen, by UID.
async fn seen(client: &mut Client, mailbox: usize) -> Result<Option<BTreeMap<u32, u64>>, Gone> {
    let name = client.name_of(mailbox);
    let before = client.site.book.borrow().mailboxes[mailbox]
        .messages
        .clone();
    if client.selected == Some(mailbox) {
        // A NOOP may tell of what has changed; what FETCH can't get at is known then.
        let reply = client.command("NOOP").await?;
        if !reply.is_ok() {
            client.undecided("NOOP", &reply);
            return Ok(None);
        }
    } else {
        client.selected = None;
        let reply = client.command(&format!("SELECT {name}")).await?;
        if !reply.is_ok() {
            client.undecided(&format!("SELECT {name}"), &reply);
            return Ok(None);
        }
        client.selected = Some(mailbox);
    }
    let reply = client.command("UID FETCH 1:* (UID BODY.PEEK[])").await?;
    if !reply.is_ok() {
        client.undecided(&format!("FETCH in {name}"), &reply);
        return Ok(None);
    }
    let Some(found) = keys(client, &reply) else {
        return Ok(None);
    };
    let all: Vec<u64> = found.values().copied().collect();
    let wrong = client.site.book.borrow().mailboxes[mailbox].wrong(&before, &all);
    if let Some(wrong) = wrong {
        client
            .site
            .fail(format!("client {}: {wrong}", client.number));
    }
    client.site.world.count("done: mailboxes read");
    Ok(Some(found))
}

fn keys(client: &Client, reply: &Reply) -> Option<BTreeMap<u32, u64>> {
    let mut found = BTreeMap::new();
    for line in reply
        .untagged
        .iter()
        .filter(|line| line.windows(7).any(|w| w == b" FETCH "))
    {
        let Some((uid, body)) = fetched(line) else {
            continue;
        };
        match key_of(body) {
            Some(key) => drop(found.insert(uid, key)),
            None => {
                let number = client.number;
                client.site.fail(format!(
                    "client {number}: UID {uid}: its bytes are nobody's"
                ));
                return None;
            }
        }
    }
    Some(found)
}

/// Copies, moves or expunges a message of one of its own mailboxes.
pub(crate) async fn change(client: &mut Client) -> Result<(), Gone> {
    let Some(mailbox) = client.a_mailbox() else {
        return Ok(());
    };
    let Some(found) = seen(client, mailbox).await? else {
        return Ok(());
    };
    let messages: Vec<(u32, u64)> = found.into_iter().collect();
    if messages.is_empty() {
        return Ok(());
    }
    let (uid, key) = dice::one_of(&messages);
    match dice::below(10) {
        0..4 => copy(client, (uid, key)).await,
        4..8 => carry(client, mailbox, (uid, key)).await,
        _ => expunge(client, mailbox, (uid, key)).await,
    }
}

async fn copy(client: &mut Client, (uid, key): (u32, u64)) -> Result<(), Gone> {
    let target = target(client);
    let command = format!("UID COPY {uid} {}", client.name_of(target));
    client.site.book.borrow_mut().came(target, key, false);
    let reply = client.command(&command).await?;
    if reply.is_ok() {
        sure(
            &mut client.site.book.borrow_mut().mailboxes[target].messages,
            key,
        );
        client.site.world.count("done: messages copied");
    } else {
        client.undecided(&command, &reply);
    }
    Ok(())
}

/// MOVE.
async fn carry(client: &mut Client, source: usize, (uid, key): (u32, u64)) -> Result<(), Gone> {
    let target = target(client);
    if target == source {
        return Ok(());
    }
    let command = format!("UID MOVE {uid} {}", client.name_of(target));
    {
        let mut book = client.site.book.borrow_mut();
        book.went(source, key, false);
        book.came(target, key, false);
    }
    let reply = client.command(&command).await?;
    if reply.is_ok() {
        let mut book = client.site.book.borrow_mut();
        sure(&mut book.mailboxes[target].messages, key);
        let times = book.mailboxes[source].messages.entry(key).or_default();
        times.1 = times.1.saturating_sub(1);
        client.site.world.count("done: messages moved");
    } else {
        client.undecided(&command, &reply);
    }
    Ok(())
}

async fn expunge(client: &mut Client, mailbox: usize, (uid, key): (u32, u64)) -> Result<(), Gone> {
    client.site.book.borrow_mut().alive.remove(&key);
    client.site.book.borrow_mut().went(mailbox, key, false);
    for command in [
        format!("UID STORE {uid} +FLAGS.SILENT (\\Deleted)"),
        format!("UID EXPUNGE {uid}"),
    ] {
        let reply = client.command(&command).await?;
        if !reply.is_ok() {
            client.undecided(&command, &reply);
            return Ok(());
        }
    }
    let mut book = client.site.book.borrow_mut();
    let times = book.mailboxes[mailbox].messages.entry(key).or_default();
    times.1 = times.1.saturating_sub(1);
    client.site.world.count("done: messages expunged");
    Ok(())
}
