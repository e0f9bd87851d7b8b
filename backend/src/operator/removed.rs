//! What was deleted, expunged or put into quarantine, and can still be brought back.

use ravenry_core::mailboxes::Name;
use ravenry_core::proto::imap::{DateTime, Uids};

use super::answer::Answer;
use super::lists::found;
use super::{Done, Operator, parsed, refused, shown, unread};
use crate::member::Kind;
use crate::store::{MailboxId, Order, Outcome, Quarantined, Refused, Rests, Store};

/// A row for every mailbox without a name: those in quarantine, too, since who misses one looks here.
pub(super) fn mailboxes(store: &Store) -> Done {
    let columns = ["id", "name", "messages:n", "bytes:n", "deleted", "why"];
    let mut answer = Answer::table(&columns);
    for removed in store.removed().map_err(unread)? {
        let mailbox = removed.mailbox;
        let why = removed.quarantined.map_or_else(
            || "deleted".to_owned(),
            |it| format!("in quarantine: {}", it.why),
        );
        answer.row(&[
            &mailbox.id.to_string(),
            &shown(&mailbox.name),
            &mailbox.exists.to_string(),
            &mailbox.bytes.to_string(),
            &time(removed.at),
            &why,
        ]);
    }
    Ok(answer)
}

/// A row for every mailbox in quarantine.
pub(super) fn quarantine(store: &Store) -> Done {
    let columns = [
        "id",
        "name",
        "messages:n",
        "bytes:n",
        "since",
        "kept until",
        "why",
    ];
    let mut answer = Answer::table(&columns);
    for removed in store.removed().map_err(unread)? {
        let Some(Quarantined { until, why }) = removed.quarantined else {
            continue;
        };
        let mailbox = removed.mailbox;
        answer.row(&[
            &mailbox.id.to_string(),
            &shown(&mailbox.name),
            &mailbox.exists.to_string(),
            &mailbox.bytes.to_string(),
            &time(removed.at),
            &time(until),
            &why,
        ]);
    }
    Ok(answer)
}

/// A row for every expunged message of a mailbox.
pub(super) fn messages(store: &Store, name: &Name) -> Done {
    let mailbox = found(store, name)?;
    let mut answer = Answer::table(&["uid:n", "bytes:n", "date", "expunged", "can return"]);
    for expunged in store.expunged(mailbox.id).map_err(unread)? {
        let can_return = match expunged.rest {
            Rests::File => "yes",
            Rests::Returned => "it has",
            Rests::Missing => "no file",
        };
        answer.row(&[
            &expunged.message.uid.to_string(),
            &expunged.message.size.to_string(),
            &expunged.message.date.to_string(),
            &time(expunged.at),
            can_return,
        ]);
    }
    Ok(answer)
}

pub(super) fn time(seconds: i64) -> String {
    DateTime { seconds, zone: 0 }.to_string()
}

impl Operator {
    pub(super) async fn undelete(&self, id: &str, name: &str) -> Done {
        let unknown = || {
            format!(
                "no deleted mailbox has the id {id}; `ravenry ctl backend mailbox removed` has them"
            )
        };
        let mailbox = MailboxId::parse(id).ok_or_else(unknown)?;
        let name = parsed(name)?;
        let of = name.clone();
        let make = move |_: &Store| {
            let name = of.clone();
            Ok(vec![Order::Undelete { mailbox, name }])
        };
        match self.parts.member.carry_out(Kind::Create, make).await {
            Ok(_) => {
                tracing::info!(mailbox = shown(&name), id, "ctl: undeleted");
                Ok(Answer::said(&format!("{} is back", shown(&name))))
            }
            Err(Refused::NoMailbox) => Err(unknown()),
            Err(why) => Err(refused(&name, why)),
        }
    }

    /// Has a mailbox in quarantine be one that was deleted.
    pub(super) async fn release(&self, id: &str) -> Done {
        let unknown = || {
            format!(
                "no mailbox in quarantine has the id {id}; `ravenry ctl backend quarantine list` has them"
            )
        };
        let mailbox = MailboxId::parse(id).ok_or_else(unknown)?;
        match self.order(Order::Release { mailbox }).await {
            Ok(_) => {
                tracing::info!(id, "ctl: released from quarantine");
                let text = format!(
                    "{id} counts as deleted from now on: it goes after keep_removed, or with \
                     `ravenry ctl backend purge`"
                );
                Ok(Answer::said(&text))
            }
            Err(Refused::NoMailbox) => Err(unknown()),
            Err(why) => Err(format!("{id}: {why:?}")),
        }
    }

    pub(super) async fn unexpunge(&self, name: &str, uids: &str) -> Done {
        let wrong = || format!("{uids:?} are no UIDs: it wants 7,10:20");
        let uids = Uids::parse(uids.as_bytes()).ok_or_else(wrong)?;
        let name = parsed(name)?;
        let of = name.clone();
        let mailbox = self.read(move |store| found(store, &of)).await?;
        let order = Order::Unexpunge {
            mailbox: mailbox.id,
            uids,
        };
        match self.order(order).await {
            Ok(Outcome::Copied { from, .. }) if from.is_empty() => Err(format!(
                "none of these can come back; `ravenry ctl backend mailbox expunged {}` says which can",
                shown(&name)
            )),
            Ok(Outcome::Copied { from, to }) => {
                let text = format!("{} {from} are back as {}", shown(&name), to.uids);
                tracing::info!("ctl: {text}");
                Ok(Answer::said(&text))
            }
            Ok(_) => Err("the store gave no answer".to_owned()),
            Err(why) => Err(refused(&name, why)),
        }
    }
}
