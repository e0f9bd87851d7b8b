//! What takes long: it runs on the disk pool and says how far it is; who asked reads that as it comes.
//!
//! Lines about progress are dropped where they aren't read fast enough, results never. When who asked has gone, the job
//! ends at its next line.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use ravenry_core::rt::channel::{self, SendError};
use ravenry_core::rt::{self, Stream};

use super::{Answer, Done, Operator};
use crate::import::{Import, import};
use crate::store::{Order, Progress, Store};

/// Lines that who asked hasn't read.
const LINES_MAX: usize = 1024;

/// How often it is said how far it is.
const SAY_EVERY: Duration = Duration::from_secs(1);

/// What there is to do on a thread.
pub(super) type Job = Box<dyn FnOnce(&Store, &mut Lines) -> Done<()> + Send>;

/// Where a job's lines go.
pub(super) struct Lines {
    out: channel::Sender<String>,
    /// Results that had no room.
    late: String,
}

impl Lines {
    /// Sends lines; false: nobody wants them any more.
    pub(super) fn say(&mut self, answer: Answer, may_be_dropped: bool) -> bool {
        let text = std::mem::take(&mut self.late);
        let text = if may_be_dropped && !text.is_empty() {
            text
        } else {
            text + &answer.into_string()
        };
        match self.out.try_send(text) {
            Ok(()) => true,
            Err(SendError::Full(text)) => {
                if !may_be_dropped || self.late_before(&text) {
                    self.late = text;
                }
                true
            }
            Err(SendError::Closed(_)) => false,
        }
    }

    /// Whether there is more than progress in it.
    fn late_before(&self, text: &str) -> bool {
        text.lines().any(|line| !line.starts_with('.'))
    }
}

impl Operator {
    /// The job that a question asks for; `None`: it is none of those that take long.
    pub(super) fn job(&self, words: &[&str]) -> Option<Done<Job>> {
        match *words {
            ["import", maildir, user, ref into @ ..] => {
                Some(self.import_job(maildir, user, into.first().copied()))
            }
            ["check"] => Some(Ok(check_job(false))),
            ["check", "deep"] => Some(Ok(check_job(true))),
            ["backup", directory] => Some(Ok(backup_job(PathBuf::from(directory)))),
            _ => None,
        }
    }

    fn import_job(&self, maildir: &str, user: &str, into: Option<&str>) -> Done<Job> {
        let job = Import {
            maildir: PathBuf::from(maildir),
            user: self.user(user)?,
            into: into.map(str::to_owned),
            partition: self.parts.backend.default_partition.clone(),
            message_size: self.parts.backend.message_size,
        };
        let (orders, member) = (self.parts.orders.clone(), self.parts.member.clone());
        Ok(Box::new(move |store, lines| {
            import(
                store,
                &job,
                &mut |all| match <[Order; 1]>::try_from(all) {
                    Ok(
                        [
                            Order::Create {
                                name,
                                partition,
                                acl,
                                special_use,
                            },
                        ],
                    ) => {
                        let create = move || Order::Create {
                            name: name.clone(),
                            partition: partition.clone(),
                            acl: acl.clone(),
                            special_use,
                        };
                        member.create_here(create).map(|answer| vec![answer])
                    }
                    Ok(other) => orders.carry_out_here(other.into()),
                    Err(all) => orders.carry_out_here(all),
                },
                &mut |answer, may_be_dropped| lines.say(answer, may_be_dropped),
            )
        }))
    }

    /// Runs a job, and passes on what it says.
    pub(super) async fn run(&self, job: Job, stream: &Stream) -> io::Result<()> {
        let (out, mut coming) = channel::channel(LINES_MAX);
        let (tell, told) = channel::oneshot();
        let (store, disk) = (self.parts.store.clone(), self.parts.disk.clone());
        rt::spawn(async move {
            let done = disk.run(move || {
                let late = String::new();
                let mut lines = Lines { out, late };
                let done = job(&store, &mut lines);
                (done, lines.late)
            });
            // Who asked may have gone.
            drop(tell.send(done.await));
        });
        while let Some(lines) = coming.recv().await {
            stream.write_all(lines.as_bytes()).await?;
        }
        let (done, late) = match told.await {
            Ok(Ok(ended)) => ended,
            Ok(Err(error)) => (Err(format!("it can't be done now: {error}")), String::new()),
            Err(_ended) => (Err("the server is stopping".to_owned()), String::new()),
        };
        stream.write_all(late.as_bytes()).await?;
        match done {
            Ok(()) => Ok(()),
            Err(why) => stream.write_all(Answer::failed(&why).bytes()).await,
        }
    }
}

fn backup_job(directory: PathBuf) -> Job {
    Box::new(move |store, lines| {
        // What has begun ends: a backup that stands half made is worth nothing.
        let done = store.backup(&directory, progress(lines));
        let shown = directory.display();
        let done = done.map_err(|error| format!("no backup was made: {error}"))?;
        tracing::info!(directory = %shown, mailboxes = done.mailboxes, "ctl: a backup was made");
        for path in &done.missing {
            let why = format!("a message's file isn't in the store: {}", path.display());
            lines.say(Answer::failed(&why), false);
        }
        lines.say(
            Answer::said(&format!(
                "{shown}: {} mailboxes, {} files linked, {} copied",
                done.mailboxes, done.linked, done.copied
            )),
            false,
        );
        Ok(())
    })
}

/// Says how far it is, now and then.
fn progress(lines: &mut Lines) -> impl FnMut(Progress) {
    let mut say = rt::now() + SAY_EVERY;
    move |progress| {
        if rt::now() < say {
            return;
        }
        say = rt::now() + SAY_EVERY;
        let mut answer = Answer::default();
        answer.progress(&format!("{} of {} messages", progress.done, progress.all));
        lines.say(answer, true);
    }
}

fn check_job(deep: bool) -> Job {
    Box::new(move |store, lines| {
        let report = store.check(deep, progress(lines));
        let report = report.map_err(|error| format!("the check came to no end: {error}"))?;
        for finding in &report.findings {
            lines.say(Answer::failed(&finding.to_string()), false);
        }
        if report.more > 0 {
            lines.say(Answer::failed(&format!("and {} more", report.more)), false);
        }
        let (mailboxes, messages) = (report.mailboxes, report.messages);
        let wrong = report.findings.len() as u64 + report.more;
        let text = format!("{mailboxes} mailboxes and {messages} messages: {wrong} findings");
        lines.say(Answer::said(&text), false);
        Ok(())
    })
}
