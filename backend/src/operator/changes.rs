//! What an operator changes: mailboxes made, taken away and renamed, ACLs, room given back.

use std::time::{Duration, UNIX_EPOCH};

use ravenry_core::mailboxes::{Acl, Name};
use ravenry_core::rt;

use super::answer::Answer;
use super::lists::{found, owner, tree};
use super::{Done, Operator, acl, parsed, refused, shown};
use crate::imap::own_acl;
use crate::renaming;
use crate::store::{Change, Order, Outcome, Reconstructed, Refused, SpecialUse, Store, Writer};

impl Operator {
    /// `partition=NAME` and `acl=IDENTIFIER RIGHTS`; without ACLs it gets its parent's, a user's INBOX all for the
    /// user.
    pub(super) async fn create(&self, name: &str, options: &[&str]) -> Done {
        let name = parsed(name)?;
        let partition = self.partition(options);
        let mut given = Acl::default();
        for text in options.iter().filter_map(|word| word.strip_prefix("acl=")) {
            let (identifier, rights) = acl::split(text)?;
            given = acl::with(&given, &self.identifier(identifier)?, rights)?;
        }
        if given == Acl::default() {
            let above = name.clone();
            given = self
                .read(move |store| inherited(store, &above))
                .await?
                .or_else(|| owner(&name).map(|user| own_acl(&user)))
                .unwrap_or_default();
        }
        self.make(name, partition, given).await
    }

    /// The INBOX of a user, as it would be made when the user logs in.
    pub(super) async fn make_inbox(&self, user: &str, options: &[&str]) -> Done {
        let user = self.user(user)?;
        let partition = self.partition(options);
        self.make(user.inbox(), partition, own_acl(&user)).await
    }

    fn partition(&self, options: &[&str]) -> String {
        let mut given = options
            .iter()
            .filter_map(|word| word.strip_prefix("partition="));
        let default = &self.parts.backend.default_partition;
        given.next().unwrap_or(default).to_owned()
    }

    async fn make(&self, name: Name, partition: String, acl: Acl) -> Done {
        let order = Order::Create {
            name: name.clone(),
            partition,
            acl,
            special_use: SpecialUse::default(),
        };
        let made = self.order(order).await;
        made.map_err(|why| refused(&name, why))?;
        tracing::info!(mailbox = shown(&name), "ctl: made");
        Ok(Answer::said(&format!("made {}", shown(&name))))
    }

    /// Takes a mailbox away, and with `all` what is below it, in one commit; says their ids, by which they can be
    /// brought back.
    pub(super) async fn delete(&self, name: Name, all: bool) -> Done {
        self.alone(move |writer, store| together(writer, &name, deletions(store, &name, all)))
            .await
    }

    /// Gives a mailbox and all below it other names, in one commit.
    pub(super) async fn rename(&self, from: Name, to: Name) -> Done {
        self.alone(move |writer, store| together(writer, &to, renames(store, &from, &to)))
            .await
    }

    /// Replaces an identifier's rights, or adds to them, or takes of them.
    pub(super) async fn set_acl(&self, name: &str, identifier: &str, rights: &str) -> Done {
        let name = parsed(name)?;
        let (identifier, rights) = (self.identifier(identifier)?, rights.to_owned());
        self.alone(move |writer, store| {
            let order = found(store, &name).and_then(|mailbox| {
                let acl = acl::with(&mailbox.acl, &identifier, &rights)?;
                let now = format!("{}: {}", shown(&name), acl::shown(&acl));
                let name = name.clone();
                Ok(vec![(Order::SetAcl { name, acl }, now)])
            });
            together(writer, &name, order)
        })
        .await
    }

    /// Puts a mailbox' record and its files together again.
    pub(super) async fn reconstruct(&self, name: Name) -> Done {
        let of = name.clone();
        let suspects = move |store: &Store| {
            let mailbox = found(store, &of)?;
            let groups = store.suspects(&mailbox);
            let groups = groups.map_err(|error| format!("{}: {error}", shown(&of)))?;
            Ok((mailbox.id, groups))
        };
        let (mailbox, groups) = self.read(suspects).await?;
        let mut done = Reconstructed::default();
        for suspects in groups {
            match self.order(Order::Reconstruct { mailbox, suspects }).await {
                Ok(Outcome::Reconstructed(more)) => done.and(more),
                Ok(_) => return Err("the store gave no answer".to_owned()),
                Err(why) => return Err(refused(&name, why)),
            }
        }
        let mut answer = Answer::default();
        if done.recounted {
            answer.text("its counts were wrong, and are right now");
        }
        for (uids, what) in [
            (&done.adopted, "files are messages now, with the UIDs"),
            (
                &done.missing,
                "messages are gone, since their files are, with the UIDs",
            ),
            (
                &done.replaced,
                "messages are gone, since their files had other bytes, with the UIDs",
            ),
        ] {
            if !uids.is_empty() {
                answer.text(&format!("{what} {uids}"));
            }
        }
        for (path, why) in &done.left {
            answer.error(&format!("{} is left as it is: {why}", path.display()));
        }
        answer.text(&format!("{} has been reconstructed", shown(&name)));
        tracing::info!(mailbox = shown(&name), "ctl: reconstructed");
        Ok(answer)
    }

    /// Gives back the room of what was removed longer ago.
    pub(super) async fn purge(&self, seconds: &str) -> Done {
        let seconds = seconds.parse();
        let seconds = seconds.map_err(|_| "how old it is to be has to be in seconds")?;
        let at = rt::wall_clock().checked_sub(Duration::from_secs(seconds));
        let at = at.and_then(|at| at.duration_since(UNIX_EPOCH).ok());
        // What went within this second, too: 0 leaves nothing.
        let before = at.map_or(0, |at| i64::try_from(at.as_secs() + 1).unwrap_or(i64::MAX));
        let mut count = 0;
        loop {
            match self.order(Order::Purge { before }).await {
                Ok(Outcome::Purged { messages, more }) => {
                    count += messages;
                    if !more {
                        break;
                    }
                }
                Ok(_) => return Err("the store gave no answer".to_owned()),
                Err(why) => return Err(format!("{why:?}, after {count} messages")),
            }
        }
        Ok(Answer::said(&format!("purged {count} messages")))
    }
}

/// Carries out orders, all or none; each has what is said of it, if anything is.
pub(super) fn together(
    writer: &mut Writer,
    name: &Name,
    orders: Done<Vec<(Order, String)>>,
) -> (Vec<Change>, Done) {
    let (orders, texts): (Vec<Order>, Vec<String>) = match orders {
        Ok(orders) => orders.into_iter().unzip(),
        Err(why) => return (Vec::new(), Err(why)),
    };
    match writer.all_or_nothing(|_| Ok(orders)) {
        Ok((_, changes)) => {
            let mut answer = Answer::default();
            for text in texts.iter().filter(|text| !text.is_empty()) {
                tracing::info!("ctl: {text}");
                answer.text(text);
            }
            (changes, Ok(answer))
        }
        Err(why) => (Vec::new(), Err(refused(name, why))),
    }
}

fn deletions(store: &Store, name: &Name, all: bool) -> Done<Vec<(Order, String)>> {
    let mut mailboxes = tree(store, name)?;
    if mailboxes.is_empty() {
        return Err(super::missing(name));
    }
    if !all {
        let below = mailboxes.len() - usize::from(mailboxes[0].name == *name);
        let found = found(store, name)?;
        if below > 0 {
            let name = shown(name);
            return Err(format!(
                "{name} has {below} mailboxes below it: --recursive deletes them, too"
            ));
        }
        mailboxes = vec![found];
    }
    let orders = mailboxes.into_iter().rev().map(|mailbox| {
        let text = format!("deleted {} (id {})", shown(&mailbox.name), mailbox.id);
        (Order::Delete { name: mailbox.name }, text)
    });
    Ok(orders.collect())
}

/// What is said of a mailbox' new name stands for all that comes along with it.
fn renames(store: &Store, from: &Name, to: &Name) -> Done<Vec<(Order, String)>> {
    let orders = renaming::tree(store, from, to).map_err(|why| match why {
        Refused::NoMailbox => refused(from, why),
        why => refused(to, why),
    })?;
    let mut all = Vec::with_capacity(orders.len());
    for order in orders {
        let text = match &order {
            Order::Rename { from, to } => {
                if store.mailbox(to).map_err(super::unread)?.is_some() {
                    return Err(format!("{} is there already", shown(to)));
                }
                format!("renamed {} to {}", shown(from), shown(to))
            }
            _ => String::new(),
        };
        all.push((order, text));
    }
    Ok(all)
}

/// The ACL of the nearest mailbox above.
fn inherited(store: &Store, name: &Name) -> Done<Option<Acl>> {
    let mut at = name.parent();
    while let Some(name) = at {
        if let Some(above) = store.mailbox(&name).map_err(super::unread)? {
            return Ok(Some(above.acl));
        }
        at = name.parent();
    }
    Ok(None)
}
