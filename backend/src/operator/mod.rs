//! What an operator asks of a running backend (`ravenry ctl backend`): users' mailboxes, ACLs, room.
//!
//! A question is words with TABs between them. Whatever reads the index or waits for the disk does so on the disk pool,
//! so a list of a million names keeps no session waiting; it is complete before its first byte is sent, so a reader that
//! is slow holds no transaction open. The answer is lines, [`answer::Answer`].

mod acl;
mod answer;
mod changes;
mod lists;
mod long;
mod quota;
mod removed;
mod resync;
#[cfg(test)]
mod tests;

use std::io;

use ravenry_core::mailboxes::{Name, NameError, UserId, utf7_of};
use ravenry_core::rt::Stream;

pub(crate) use self::answer::Answer;
use crate::room::watch_index;
use crate::shard::Parts;
use crate::store::{Change, Order, Outcome, Refused, Store, StoreError, Writer};

/// Answers the operator's questions. Clones ask the same backend.
#[derive(Clone)]
pub struct Operator {
    parts: Parts,
    default_domain: Option<String>,
}

/// An answer's last line: without it the server has ended in the middle.
pub const ANSWER_ENDS: &str = "$\n";

/// What came of a question, or why nothing did.
pub(crate) type Done<T = Answer> = Result<T, String>;

impl Operator {
    /// For this backend; users of `default_domain` have none in their names, `None`: there are no domains.
    #[must_use]
    pub fn new(parts: Parts, default_domain: Option<String>) -> Self {
        Self {
            parts,
            default_domain,
        }
    }

    /// Says in the log when the index gets full, until the shard drains.
    pub fn watch_index(&self) -> impl Future<Output = ()> + use<> {
        watch_index(self.parts.store.clone())
    }

    /// Answers a question.
    ///
    /// # Errors
    /// If who asked has gone.
    pub async fn answer(&self, question: &str, stream: &Stream) -> io::Result<()> {
        let words: Vec<&str> = question.split('\t').collect();
        let answer = match self.job(&words) {
            Some(Ok(job)) => {
                self.run(job, stream).await?;
                Ok(Answer::default())
            }
            Some(Err(why)) => Err(why),
            None => self.carry_out(&words).await,
        };
        let answer = answer.unwrap_or_else(|why| Answer::failed(&why));
        stream.write_all(answer.bytes()).await?;
        stream.write_all(ANSWER_ENDS.as_bytes()).await
    }

    async fn carry_out(&self, words: &[&str]) -> Done {
        match *words {
            ["users"] => self.read(lists::users).await,
            ["list"] => self.read(|store| lists::mailboxes(store, b"*")).await,
            ["list", pattern] => {
                let pattern = pattern.as_bytes().to_vec();
                self.read(move |store| lists::mailboxes(store, &pattern))
                    .await
            }
            ["info", name] => {
                let name = parsed(name)?;
                self.read(move |store| lists::facts(store, &name)).await
            }
            ["acl", name] => {
                let name = parsed(name)?;
                self.read(move |store| lists::acl(store, &name)).await
            }
            ["acl", name, identifier, rights] => self.set_acl(name, identifier, rights).await,
            ["create", name, ref options @ ..] => self.create(name, options).await,
            ["make-inbox", user, ref options @ ..] => self.make_inbox(user, options).await,
            ["delete", name] => self.delete(parsed(name)?, false).await,
            ["delete", name, "all"] => self.delete(parsed(name)?, true).await,
            ["remove-user", user] => {
                let inbox = self.user(user)?.inbox();
                self.delete(inbox, true).await
            }
            ["rename", from, to] => self.rename(parsed(from)?, parsed(to)?).await,
            ["removed"] => self.read(removed::mailboxes).await,
            ["quarantine"] => self.read(removed::quarantine).await,
            ["release", id] => self.release(id).await,
            ["resync"] => self.resync().await,
            ["resync", "plan"] => self.resync_plan().await,
            ["resync", "now"] => self.resync_now().await,
            ["resync", "apply"] => self.resync_apply().await,
            ["undelete", id, name] => self.undelete(id, name).await,
            ["expunged", name] => {
                let name = parsed(name)?;
                self.read(move |store| removed::messages(store, &name))
                    .await
            }
            ["unexpunge", name, uids] => self.unexpunge(name, uids).await,
            ["quotas"] => self.read(quota::list).await,
            ["quota", root] => {
                let root = parsed(root)?;
                self.read(move |store| quota::facts(store, &root)).await
            }
            ["set-quota", root, ref limits @ ..] => self.set_quota(root, limits).await,
            ["remove-quota", root] => self.remove_quota(root).await,
            ["reconstruct", name] => self.reconstruct(parsed(name)?).await,
            ["purge", seconds] => self.purge(seconds).await,
            _ => Err("this server doesn't know the question: is it another version?".to_owned()),
        }
    }

    /// Asks the store, on the disk pool.
    async fn read<T: Send + 'static>(
        &self,
        job: impl FnOnce(&Store) -> Done<T> + Send + 'static,
    ) -> Done<T> {
        let store = self.parts.store.clone();
        let done = self.parts.disk.run(move || job(&store)).await;
        done.unwrap_or_else(|error| Err(format!("it can't be done now: {error}; try again")))
    }

    /// Has the store to itself between two commits.
    async fn alone<T: Send + 'static>(
        &self,
        task: impl FnOnce(&mut Writer, &Store) -> (Vec<Change>, Done<T>) + Send + 'static,
    ) -> Done<T> {
        let store = self.parts.store.clone();
        let done = self.parts.orders.with(move |writer| task(writer, &store));
        done.await
            .unwrap_or_else(|| Err("the store is stopping, or too busy: try again".to_owned()))
    }

    async fn order(&self, order: Order) -> Result<Outcome, Refused> {
        self.parts.orders.carry_out(order).await
    }

    fn user(&self, text: &str) -> Done<UserId> {
        let parsed = match &self.default_domain {
            Some(default) => UserId::in_domains(text.as_bytes(), default),
            None => UserId::parse(text.as_bytes()),
        };
        parsed.map_err(|error| format!("{text:?} is no user name: {error}"))
    }
}

/// An internal name: `user.alice.Sent`, `example.org!user.bob`.
pub(crate) fn parsed(text: &str) -> Done<Name> {
    let wrong = |error| {
        format!("{text:?} is no mailbox name: {error}; names are internal ones, as user.alice.Sent")
    };
    // As people write it; what is in modified UTF-7 already is ASCII.
    let wire;
    let text = if text.is_ascii() {
        text
    } else {
        wire = utf7_of(text.as_bytes()).map_err(wrong)?;
        std::str::from_utf8(&wire).map_err(|_| wrong(NameError::BadUtf7))?
    };
    match text.split_once('!') {
        None => Name::parse(text.as_bytes()).map_err(wrong),
        Some((domain, local)) => {
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-".contains(&byte);
            if domain.is_empty() || !domain.bytes().all(plain) {
                return Err(format!(
                    "{text:?} is no mailbox name: {domain:?} is no domain"
                ));
            }
            Name::parse(local.as_bytes()).map_err(wrong)?;
            Name::from_mupdate(text.as_bytes()).map_err(wrong)
        }
    }
}

pub(crate) fn shown(name: &Name) -> String {
    String::from_utf8_lossy(name.as_bytes()).into_owned()
}

fn missing(name: &Name) -> String {
    let name = shown(name);
    format!("there is no mailbox {name}; `ravenry ctl backend mailbox list` has the names")
}

pub(crate) fn unread(error: StoreError) -> String {
    format!("the index can't be read: {error}")
}

/// Why the store didn't do it, and what helps.
pub(crate) fn refused(name: &Name, refused: Refused) -> String {
    let what = shown(name);
    match refused {
        Refused::NoMailbox => missing(name),
        Refused::NoMessage => format!("a message of {what} isn't there any more"),
        Refused::Exists => format!("{what} is there already"),
        Refused::ExistsAt(server) => format!("{what} is there already, at {server}"),
        Refused::Elsewhere(server) => format!(
            "{what} is at {server} by the MUPDATE master, and here as well: nothing has changed"
        ),
        Refused::Busy => {
            format!(
                "{what}: another change of it is under way, here or at another server: try again"
            )
        }
        Refused::MasterAway => format!(
            "{what}: the MUPDATE master can't be reached, and nothing has changed: the log says why"
        ),
        Refused::MasterSilent => format!(
            "{what}: the MUPDATE master has not answered; what is half done is put in order as soon as it does"
        ),
        Refused::Master(why) => {
            format!("{what}: the MUPDATE master refuses it, and nothing has changed: {why}")
        }
        Refused::NoPartition => {
            "there is no such partition: [backend] partitions has their names".to_owned()
        }
        Refused::Full => format!(
            "{what}: no room: if the disk has some, raise [backend] index_size and restart; \
             `ravenry ctl backend purge` gives back what was removed"
        ),
        Refused::KeywordsFull => format!("{what} has as many keywords as it may"),
        Refused::UidsExhausted => {
            format!("{what} has used up its UIDs: move its messages to another")
        }
        Refused::TooLong => format!("{what} would be too long a name"),
        Refused::OverQuota => {
            format!("{what}: over its quota: `ravenry ctl backend quota list` has the limits")
        }
        Refused::SubscriptionsFull => "there are as many subscriptions as there may be".to_owned(),
        Refused::AnnotationsFull => format!("{what} has as many annotations as it may"),
        Refused::Failed(why) => format!("{what}: {why}"),
    }
}
