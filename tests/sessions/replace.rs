//! REPLACE: what a client does, and what it may believe of the answer.

use std::rc::Rc;

use ravenry_core::proto::imap::Uids;

use crate::client::{Client, Piece, Reply};
use crate::dice;
use crate::leg::Gone;
use crate::model::message;
use crate::run::external;
use crate::script::{mailboxes, named, refused};

/// Replaces a message of the view by a new one, there or in another mailbox.
pub(crate) async fn replace(client: &mut Client) -> Result<(), Gone> {
    let Some((from, number, uid)) = one(client) else {
        return Ok(());
    };
    let shared = Rc::clone(&client.shared);
    let to = mailboxes(client)[usize::try_from(dice::below(2)).expect("small")].clone();
    let (by_uid, key) = (dice::percent(50), shared.key());
    shared.model.borrow_mut().may_vanish(&from, &[uid]);
    let which = if by_uid { uid } else { number };
    let half = !shared.peace && dice::percent(8);
    let body = match half {
        true => Piece::Half(message(key)),
        false => Piece::Literal(message(key)),
    };
    let command = named(by_uid, format!("REPLACE {which} {} ", external(&to)));
    match client.command(&[command, body], true).await {
        Ok(reply) if reply.is_ok() => {
            shared.world.add("done: messages replaced", 1);
            let Some(new) = appended(&reply) else {
                shared.fail(format!("REPLACE says no UID: {:?}", reply.untagged));
                return Ok(());
            };
            let wrong = shared.model.borrow_mut().came(&to, new, key);
            wrong.into_iter().for_each(|wrong| shared.fail(wrong));
        }
        // Somebody else was quicker.
        Ok(reply) if reply.text.contains("EXPUNGEISSUED") => {}
        Ok(reply) => refused(client, "REPLACE", &reply),
        Err(gone) => {
            // What was cut off in the middle hasn't come.
            if !half {
                shared.model.borrow_mut().may_have_come(&to, key);
            }
            return Err(gone);
        }
    }
    Ok(())
}

/// One message of the view: its mailbox, number and UID.
fn one(client: &Client) -> Option<(String, u32, u32)> {
    let view = client.view.as_ref()?;
    let count = u64::try_from(view.messages.len()).expect("few");
    let at = usize::try_from(dice::below(count.max(1))).expect("few");
    let uid = view.messages.get(at)?.uid?;
    let number = u32::try_from(at).expect("few") + 1;
    Some((view.mailbox.clone(), number, uid))
}

/// The UID that APPENDUID tells, in an untagged OK.
fn appended(reply: &Reply) -> Option<u32> {
    let mut lines = reply
        .untagged
        .iter()
        .map(|line| String::from_utf8_lossy(line));
    let line = lines.find(|line| line.contains("[APPENDUID "))?;
    let set = line.split(['[', ']']).nth(1)?.split(' ').nth(2)?;
    Uids::parse(set.as_bytes())?.iter().next()
}
