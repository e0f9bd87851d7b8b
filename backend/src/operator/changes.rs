//! What an operator changes: mailboxes made, taken away and renamed, ACLs, room given back.

use std::sync::mpsc;
use std::time::{Duration, UNIX_EPOCH};

use ravenry_core::mailboxes::{Acl, Name};
use ravenry_core::rt;

use super::answer::Answer;
use super::lists::{found, owner, tree};
use super::{Done, Operator, acl, parsed, refused, shown};
use crate::imap::own_acl;
use crate::member::Kind;
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
                .inherited(above)
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
        let of = name.clone();
        let make = move |_: &Store| {
            Ok(vec![Order::Create {
                name: of.clone(),
                partition: partition.clone(),
                acl: acl.clone(),
                special_use: SpecialUse::default(),
            }])
        };
        let made = self.parts.member.carry_out(Kind::Create, make).await;
        made.map_err(|why| refused(&name, why))?;
        tracing::info!(mailbox = shown(&name), "ctl: made");
        Ok(Answer::said(&format!("made {}", shown(&name))))
    }

    /// Takes a mailbox away, and with `all` what is below it, in one commit; says their ids, by which they can be
    /// brought back.
    pub(super) async fn delete(&self, name: Name, all: bool) -> Done {
        let of = name.clone();
        self.change((Kind::Delete, of), move |store| {
            deletions(store, &name, all)
        })
        .await
    }

    /// Gives a mailbox and all below it other names, in one commit.
    pub(super) async fn rename(&self, from: Name, to: Name) -> Done {
        let of = to.clone();
        self.change((Kind::Rename, of), move |store| renames(store, &from, &to))
            .await
    }

    /// Replaces an identifier's rights, or adds to them, or takes of them.
    pub(super) async fn set_acl(&self, name: &str, identifier: &str, rights: &str) -> Done {
        let name = parsed(name)?;
        let (identifier, rights) = (self.identifier(identifier)?, rights.to_owned());
        let of = name.clone();
        self.change((Kind::SetAcl, of), move |store| {
            let mailbox = found(store, &name)?;
            let acl = acl::with(&mailbox.acl, &identifier, &rights)?;
            let now = format!("{}: {}", shown(&name), acl::shown(&acl));
            let name = name.clone();
            Ok(vec![(Order::SetAcl { name, acl }, now)])
        })
        .await
    }

    /// Changes names or an ACL, here and at the MUPDATE master; each order has what is said of it, if anything is.
    async fn change(
        &self,
        (kind, name): (Kind, Name),
        make: impl Fn(&Store) -> Done<Vec<(Order, String)>> + Send + Sync + 'static,
    ) -> Done {
        // It may be asked several times: what it said last is what was done.
        let (say, said) = mpsc::channel();
        let orders = move |store: &Store| match make(store) {
            Ok(orders) => {
                let (orders, texts): (Vec<Order>, Vec<String>) = orders.into_iter().unzip();
                drop(say.send(Ok(texts)));
                Ok(orders)
            }
            Err(why) => {
                drop(say.send(Err(why.clone())));
                Err(Refused::Failed(why))
            }
        };
        let done = self.parts.member.carry_out(kind, orders).await;
        let texts = said.try_iter().last().unwrap_or_else(|| Ok(Vec::new()))?;
        done.map_err(|why| refused(&name, why))?;
        let mut answer = Answer::default();
        for text in texts.iter().filter(|text| !text.is_empty()) {
            tracing::info!("ctl: {text}");
            answer.text(text);
        }
        Ok(answer)
    }

    /// The ACL of the nearest mailbox above, wherever it is.
    async fn inherited(&self, name: Name) -> Done<Option<Acl>> {
        let levels = std::iter::successors(name.parent(), Name::parent);
        let levels: Vec<Name> = levels.collect();
        let of = levels.clone();
        let here = self.read(move |store| {
            let found = of.iter().map(|level| store.mailbox(level));
            let found: Result<Vec<_>, _> = found.collect();
            found.map_err(super::unread)
        });
        let here = here.await?;
        let missing = levels.iter().zip(&here).filter(|(_, here)| here.is_none());
        let missing = missing.map(|(level, _)| level.clone()).collect();
        let there = self.parts.member.elsewhere(missing).await;
        let there = there.map_err(|why| refused(&name, why))?;
        let nearest = levels.iter().zip(here).find_map(|(level, here)| {
            let there = there.iter().find(|held| held.name == *level);
            here.map(|mailbox| mailbox.acl)
                .or_else(|| there.map(|held| held.acl.clone()))
        });
        Ok(nearest)
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
