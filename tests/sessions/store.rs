//! STORE, and STORE UNCHANGEDSINCE against what the client knows and the store has (RFC 7162 section 3.1.3).

use std::collections::BTreeMap;
use std::rc::Rc;

use ravenry_core::proto::imap::Uids;

use crate::client::{Client, Reply};
use crate::dice;
use crate::leg::Gone;
use crate::model;
use crate::script::{named, refused, some};
use crate::view::View;

/// The client's own keyword, which nobody else touches; sometimes only where nobody has changed anything since.
pub(crate) async fn store(client: &mut Client) -> Result<(), Gone> {
    let Some((uids, by_uid, set)) = some(client) else {
        return Ok(());
    };
    let (number, shared) = (client.number, Rc::clone(&client.shared));
    let view = client.view.as_ref().expect("selected");
    let (mailbox, known) = (view.mailbox.clone(), modseqs(view));
    let since = dice::percent(40).then(|| since(&known));
    let modifier = since.map_or_else(String::new, |since| format!(" (UNCHANGEDSINCE {since})"));
    let add = dice::percent(60);
    let sign = if add { '+' } else { '-' };
    let silent = if dice::percent(40) { ".SILENT" } else { "" };
    let before = |uid: &u32| shared.model.borrow().keyword_of(&mailbox, *uid, number);
    let before: Vec<Option<bool>> = uids.iter().map(before).collect();
    let note = |uids: &[u32], set| {
        let mut model = shared.model.borrow_mut();
        model.keyword(&mailbox, uids, number, set);
    };
    note(&uids, None);
    let command = format!("STORE {set}{modifier} {sign}FLAGS{silent} ($c{number})");
    let reply = client.command(&[named(by_uid, command)], by_uid).await?;
    if !reply.is_ok() {
        refused(client, "STORE", &reply);
        // Whatever it was before it is still; that isn't known here any more.
        return Ok(());
    }
    let left = left_alone(client, &reply, by_uid);
    if let Some(since) = since {
        check_left(client, (&uids, &left), (&known, since));
    }
    for (uid, before) in uids.iter().zip(before) {
        let now = if left.contains(uid) {
            before
        } else {
            Some(add)
        };
        note(&[*uid], now);
    }
    if !silent.is_empty() {
        // It isn't told what it did itself.
        let view = client.view.as_mut().expect("selected");
        for seen in &mut view.messages {
            if let (Some(uid), Some(flags)) = (seen.uid, &mut seen.flags)
                && uids.contains(&uid)
                && !left.contains(&uid)
            {
                flags.retain(|flag| *flag != format!("$c{number}"));
                if add {
                    flags.push(format!("$c{number}"));
                    flags.sort_unstable();
                }
            }
        }
    }
    Ok(())
}

/// What the client knows of the modseqs of its messages.
fn modseqs(view: &View) -> BTreeMap<u32, u64> {
    let known = view.messages.iter();
    known.filter_map(|seen| seen.uid.zip(seen.modseq)).collect()
}

/// One of them: others of the messages have changed later.
fn since(known: &BTreeMap<u32, u64>) -> u64 {
    let at = usize::try_from(dice::below(known.len() as u64 + 1)).expect("few");
    known
        .values()
        .nth(at)
        .copied()
        .unwrap_or_else(|| dice::below(20))
}

/// The UIDs of what MODIFIED names.
fn left_alone(client: &Client, reply: &Reply, by_uid: bool) -> Vec<u32> {
    let ["MODIFIED", set] = reply.code()[..] else {
        return Vec::new();
    };
    client
        .shared
        .world
        .add("done: changes that came too late", 1);
    let set = Uids::parse(set.as_bytes()).expect("a set");
    match &client.view {
        Some(view) if !by_uid => view.uids_of(&set),
        _ => set.iter().collect(),
    }
}

/// What has changed since is left alone, as far as it is still there, and nothing else.
fn check_left(
    client: &Client,
    (uids, left): (&[u32], &[u32]),
    (known, since): (&BTreeMap<u32, u64>, u64),
) {
    let (shared, view) = (&client.shared, client.view.as_ref().expect("selected"));
    let store = shared.store.borrow();
    let Some(store) = &*store else { return };
    let there = model::messages(store, &model::mailbox(store, &view.mailbox));
    let now = |uid: u32| there.iter().find(|message| message.uid == uid);
    for uid in left {
        if !uids.contains(uid) || now(*uid).is_some_and(|message| message.modseq <= since) {
            let mailbox = &view.mailbox;
            shared.fail(format!(
                "{mailbox} UID {uid} is MODIFIED, not since {since}"
            ));
        }
    }
    for uid in uids {
        let modseq = known.get(uid).copied().unwrap_or(0);
        if modseq > since && now(*uid).is_some() && !left.contains(uid) {
            let mailbox = &view.mailbox;
            shared.fail(format!(
                "{mailbox} UID {uid} was changed by {modseq}, after {since}"
            ));
        }
    }
}
