//! A replica takes over as master, in a new epoch.
//!
//! Its follower resigns and leaves the list; the new epoch is on the disk before anything else; then
//! commands are decided here. Whoever followed the old master and comes here has the new epoch from
//! then on, and an old master that such a one comes back to learns of it and changes nothing more.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use ravenry_core::mailboxes::{ListError, ListWriter, Standing};
use ravenry_core::rt::{self, channel};

use super::{Authority, Local, Shared};
use crate::follower::Resign;
use crate::master::{self, Store};

/// How long the follower may take to leave the list: a commit.
const RESIGN_WITHIN: Duration = Duration::from_secs(30);

impl Shared {
    /// Makes this the master: a replica, or a master that another had taken over from.
    ///
    /// # Errors
    /// In words; nothing has changed then.
    pub(super) async fn promote(self: &Rc<Self>) -> Result<String, String> {
        let about = self.list.about().map_err(|error| error.to_string())?;
        if !about.complete {
            return Err("the list has never been whole".to_owned());
        }
        let was = about.standing;
        let epoch = was.epoch.max(was.master_in).max(was.superseded_by) + 1;
        let next = Standing {
            epoch,
            master_in: epoch,
            superseded_by: 0,
        };
        match self.authority() {
            Authority::Master(_) if was.is_master() => {
                return Err("this is the master already".to_owned());
            }
            Authority::Master(master) => {
                let done = master
                    .with(move |store| store.writer().set_standing(next))
                    .await;
                let done = done.ok_or("the master can't do it now; see the log")?;
                done.map_err(|error| error.to_string())?;
            }
            Authority::Replica { resign, .. } => self.take_over(&resign, next).await?,
        }
        // A Ravenry that follows comes back at once, and sees the new epoch in the banner.
        self.reigns.set(self.reigns.get() + 1);
        self.journal.wake();
        tracing::warn!(epoch, "this is the MUPDATE master now");
        Ok(format!(
            "this is the master now, in epoch {epoch}. Set [mupdate.server] role = \"master\" here, and \
             point everybody's MUPDATE server at it; the old master must not take changes any more\n"
        ))
    }

    async fn take_over(self: &Rc<Self>, resign: &Resign, next: Standing) -> Result<(), String> {
        let (reply, resigned) = channel::oneshot();
        let asked = resign.try_send(reply);
        asked.map_err(|_refused| "the follower is resigning already, or has ended")?;
        let resigned = rt::timeout(RESIGN_WITHIN, resigned).await;
        let Ok(Ok(resigned)) = resigned else {
            return Err("the follower doesn't leave the list".to_owned());
        };
        let (local, mut writer) = resigned.into();
        let noted = writer.set_standing(next);
        self.become_master(writer, local);
        // Without it, the master that this is now refuses every change, and says so.
        noted.map_err(|error: ListError| error.to_string())
    }

    fn become_master(self: &Rc<Self>, writer: ListWriter, local: Local) {
        let store = Store::new(writer, self.list.clone(), self.conflicts, self.guard);
        let (journal, counters) = (Rc::clone(&self.journal), Arc::clone(&self.counters));
        let (master, committer) = master::master(store, self.disk.clone(), journal, counters);
        self.authority.replace(Authority::Master(master));
        let shared = Rc::clone(self);
        rt::spawn(async move { shared.rule(committer, local).await });
    }
}
