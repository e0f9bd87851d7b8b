//! A client that comes back with what it has (QRESYNC, RFC 7162 section 3.2.5), whenever and wherever it was cut off.
//!
//! It doesn't ask again for what it has: flags that changed and messages that went have to be told.

use ravenry_core::proto::imap::Uids;

use crate::client::{Client, Piece, Reply};
use crate::dice;
use crate::leg::Gone;
use crate::view::Cache;

/// SELECT's parameter: what the client has of the mailbox.
pub(crate) fn from_before(client: &mut Client, mailbox: &str) -> String {
    let (Some(view), Some(cache)) = (&mut client.view, client.caches.get(mailbox)) else {
        return String::new();
    };
    view.cached.clone_from(&cache.messages);
    let known: Uids = cache.messages.keys().copied().collect();
    let mut known = if known.is_empty() || dice::percent(30) {
        String::new()
    } else {
        format!(" {known}")
    };
    let highest = cache.messages.len();
    if highest > 0 && dice::percent(50) {
        let at = usize::try_from(dice::below(highest as u64)).expect("small");
        let uid = cache.messages.keys().nth(at).expect("there");
        known += &format!(" ({} {uid})", at + 1);
    }
    let (uidvalidity, modseq) = (cache.uidvalidity, cache.modseq);
    format!(" (QRESYNC ({uidvalidity} {modseq}{known}))")
}

/// What SELECT tells is what the client has from now on.
pub(crate) fn remember(client: &mut Client, mailbox: &str, reply: &Reply) {
    let codes = (told(reply, "[UIDVALIDITY "), told(reply, "[HIGHESTMODSEQ "));
    let (Some(uidvalidity), Some(modseq)) = codes else {
        return client.shared.fail("SELECT without its codes".to_owned());
    };
    let view = client.view.as_mut().expect("selected");
    let before = client.caches.get(mailbox);
    if before.is_some_and(|cache| u64::from(cache.uidvalidity) != uidvalidity) {
        // Under another name, too, it is the mailbox that it was.
        view.cached.clear();
        client
            .shared
            .fail(format!("{mailbox}: another UIDVALIDITY"));
    }
    let wrong = view.recall();
    let messages = view.messages();
    if let Some(wrong) = wrong {
        let number = client.number;
        client.shared.fail(format!(
            "client {number} comes back to {mailbox} and is told: {wrong}"
        ));
    }
    let before = client.caches.get(mailbox).map_or(0, |cache| cache.modseq);
    if modseq < before {
        client
            .shared
            .fail(format!("{mailbox}: modseq {modseq} after {before}"));
    }
    client.shared.world.add("done: mailboxes synchronized", 1);
    let uidvalidity = u32::try_from(uidvalidity).expect("a UIDVALIDITY");
    let cache = Cache {
        uidvalidity,
        modseq,
        messages,
    };
    client.caches.insert(mailbox.to_owned(), cache);
}

/// The number in an untagged response's code.
pub(crate) fn told(reply: &Reply, code: &str) -> Option<u64> {
    let lines = reply.untagged.iter();
    let mut lines = lines.map(|line| String::from_utf8_lossy(line).into_owned());
    lines.find_map(|line| line.split_once(code)?.1.split(']').next()?.parse().ok())
}

/// All that is told up to the reply is all there is up to the highest modseq of it.
pub(crate) async fn noop(client: &mut Client) -> Result<(), Gone> {
    if let Some(view) = &mut client.view {
        view.modseq = 0;
    }
    client
        .command(&[Piece::Text("NOOP".to_owned())], true)
        .await?;
    let modseq = client.view.as_ref().map(|view| view.modseq);
    client.keep(modseq);
    Ok(())
}
