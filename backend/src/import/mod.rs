//! `ravenry backend import`: a Maildir++ comes into a user's mailboxes.
//!
//! The running server does it, between the commits of its sessions; where none runs, the command opens the store itself.
//! Both are this code: who calls says how orders are carried out. An import that is run again goes on where it was: a message
//! whose bytes a mailbox has already isn't added to it, as often as the mailbox has it. Nothing in the Maildir changes.

mod folder;
mod maildir;
#[cfg(test)]
mod tests;
mod wire;

use std::path::PathBuf;

use ravenry_core::mailboxes::{Acl, Name, UserId};

use self::folder::Counts;
use self::maildir::Folder;
use crate::imap::own_acl;
use crate::operator::{Answer, Done, parsed, refused, shown, unread};
use crate::store::{Mailbox, Order, Outcome, Refused, SpecialUse, Store, Writer};

/// What is to be imported.
#[derive(Clone, Debug)]
pub struct Import {
    /// Where it is.
    pub maildir: PathBuf,
    /// Whose mailboxes it goes into.
    pub user: UserId,
    /// Below this mailbox of the user's, with dots; `None`: the INBOX.
    pub into: Option<String>,
    /// Where mailboxes are made.
    pub partition: String,
    /// Larger messages are passed over.
    pub message_size: u64,
}

impl Import {
    /// Imports into a store that this process has opened; `tell` takes the lines that a running server would send.
    ///
    /// # Errors
    /// Why it has stopped before its end.
    pub fn carry_out(
        &self,
        writer: &mut Writer,
        store: &Store,
        tell: &mut dyn FnMut(&str),
    ) -> Result<(), String> {
        import(
            store,
            self,
            &mut |orders| Some(writer.carry_out(&orders).outcomes),
            &mut |answer, _may_be_dropped| {
                tell(&answer.into_string());
                true
            },
        )
    }
}

/// Carries out orders in one commit. `None`: the store has ended.
type CarryOut<'a> = &'a mut dyn FnMut(Vec<Order>) -> Option<Vec<Result<Outcome, Refused>>>;
/// Takes lines for who asked; they may be dropped if it says so. False: nobody wants them any more.
type Tell<'a> = &'a mut dyn FnMut(Answer, bool) -> bool;

/// An import under way.
struct Run<'a> {
    store: &'a Store,
    job: &'a Import,
    carry_out: CarryOut<'a>,
    tell: Tell<'a>,
}

/// Imports; the error says why it has stopped before its end.
pub(crate) fn import(
    store: &Store,
    job: &Import,
    carry_out: CarryOut<'_>,
    tell: Tell<'_>,
) -> Done<()> {
    let unreadable = |error| format!("{} is no Maildir: {error}", job.maildir.display());
    let folders = maildir::folders(&job.maildir).map_err(unreadable)?;
    // Two at once would each add what the other is about to: also one whose command has just been interrupted.
    let Some(_alone) = maildir::lock(&job.maildir).map_err(unreadable)? else {
        return Err(format!(
            "{} is being imported already: wait for that",
            job.maildir.display()
        ));
    };
    let mut run = Run {
        store,
        job,
        carry_out,
        tell,
    };
    let (mut all, mut mailboxes) = (Counts::default(), 0);
    for folder in &folders {
        match run.name(&folder.name) {
            Ok(name) => {
                all += run.folder(folder, &name)?;
                mailboxes += 1;
            }
            Err(why) => {
                all.skipped += 1;
                run.wrong(&format!("{} is passed over: {why}", folder.path.display()))?;
            }
        }
    }
    let subscribed = run.subscribe()?;
    let Counts {
        imported,
        there,
        skipped,
        bytes,
    } = all;
    run.result(&format!(
        "imported {imported} messages ({bytes} bytes) into {mailboxes} mailboxes, {there} were there already, \
         {skipped} were passed over; {subscribed} subscriptions"
    ))
}

impl Run<'_> {
    /// The mailbox for a folder.
    fn name(&self, folder: &[u8]) -> Done<Name> {
        let inbox = self.job.user.inbox();
        let into = self.job.into.as_deref().unwrap_or_default();
        let folder = std::str::from_utf8(folder).map_err(|_| "its name isn't text")?;
        let inbox = shown(&inbox);
        let parts = [&inbox, into, folder];
        let parts = parts.into_iter().filter(|part| !part.is_empty());
        parsed(&parts.collect::<Vec<_>>().join("."))
    }

    /// The mailbox, made if it isn't there.
    fn mailbox(&mut self, name: &Name) -> Done<Mailbox> {
        if let Some(mailbox) = self.store.mailbox(name).map_err(unread)? {
            return Ok(mailbox);
        }
        let order = Order::Create {
            name: name.clone(),
            partition: self.job.partition.clone(),
            acl: self.acl(name)?,
            special_use: SpecialUse::default(),
        };
        match self.order(order)? {
            Ok(_) | Err(Refused::Exists) => {}
            Err(why) => return Err(refused(name, why)),
        }
        let made = self.store.mailbox(name).map_err(unread)?;
        made.ok_or_else(|| format!("{} has gone again", shown(name)))
    }

    /// That of the nearest mailbox above, or all for the user.
    fn acl(&self, name: &Name) -> Done<Acl> {
        let mut at = name.parent();
        while let Some(above) = at {
            if let Some(mailbox) = self.store.mailbox(&above).map_err(unread)? {
                return Ok(mailbox.acl);
            }
            at = above.parent();
        }
        Ok(own_acl(&self.job.user))
    }

    fn subscribe(&mut self) -> Done<usize> {
        let mut count = 0;
        for folder in maildir::subscriptions(&self.job.maildir) {
            let name = match self.name(&folder) {
                Ok(name) => name,
                Err(why) => {
                    self.wrong(&format!("a subscription is passed over: {why}"))?;
                    continue;
                }
            };
            let order = Order::Subscribe {
                user: self.job.user.clone(),
                name: name.clone(),
                on: true,
            };
            match self.order(order)? {
                Ok(_) => count += 1,
                Err(why) => self.wrong(&format!("no subscription: {}", refused(&name, why)))?,
            }
        }
        Ok(count)
    }

    fn order(&mut self, order: Order) -> Done<Result<Outcome, Refused>> {
        let done = (self.carry_out)(vec![order]);
        let done = done.and_then(|mut outcomes| outcomes.pop());
        done.ok_or_else(|| "the server is stopping, or too busy: run it again".to_owned())
    }

    fn wrong(&mut self, why: &str) -> Done<()> {
        let answer = Answer::failed(why);
        self.told(answer, false)
    }

    fn result(&mut self, text: &str) -> Done<()> {
        let answer = Answer::said(text);
        self.told(answer, false)
    }

    fn progress(&mut self, text: &str) -> Done<()> {
        let mut answer = Answer::default();
        answer.progress(text);
        self.told(answer, true)
    }

    fn told(&mut self, answer: Answer, may_be_dropped: bool) -> Done<()> {
        match (self.tell)(answer, may_be_dropped) {
            true => Ok(()),
            false => Err("nobody waits for it any more".to_owned()),
        }
    }
}
