//! THREAD=ORDEREDSUBJECT and THREAD=REFERENCES (RFC 5256).
//!
//! The messages are found as by SEARCH; threads are made of what is kept of their headers, on threads of the pool.

use ravenry_core::proto::imap::{Command, ThreadAlgorithm, ThreadCommand};

use super::search::{Needed, Walk, Want, completed, program, refused};
use super::select::Selected;
use super::session::{Reply, Session};
use super::sort::too_large;
use crate::message::Summary;
use crate::sorting::TooLarge;
use crate::store::Message;
use crate::threading::{Entry, Threader};

/// THREAD.
pub(super) async fn thread(
    session: &mut Session,
    selected: &mut Selected,
    command: &Command<'_>,
) -> Reply {
    let given = ThreadCommand::parse(command.args).map_err(|error| refused(selected, error))?;
    let program = program(session, selected, given.key, false)?;
    let by = By(given.algorithm);
    let mut walk = Walk::new((session, selected), command.tag, program, by);
    let mut threader = Threader::new(given.algorithm);
    while let Some(found) = walk.next(session).await? {
        let push = move || {
            for found in found {
                threader.push(found.item)?;
            }
            Ok::<_, TooLarge>(threader)
        };
        let pushed = session.backend.parts.disk.run(push).await?;
        threader = pushed.map_err(too_large)?;
    }
    let numbers = (!command.uid).then(|| selected.numbers.clone());
    let finish = move || {
        let number = |uid| {
            numbers
                .as_ref()
                .map_or(Some(uid), |numbers| numbers.number(uid))
        };
        threader.finish(|uid| number(uid).unwrap_or_default())
    };
    let threads = session.backend.parts.disk.run(finish).await?;
    let answer = match threads.is_empty() {
        true => "* THREAD\r\n".to_owned(),
        false => format!("* THREAD {threads}\r\n"),
    };
    session.client.send(answer.as_bytes()).await?;
    completed(&walk)
}

/// How threads are made.
struct By(ThreadAlgorithm);

impl Want for By {
    type Item = Entry;

    fn needs_header(&self) -> bool {
        true
    }

    fn take(&self, message: &Message, kept: Option<Summary<'_>>) -> Result<Entry, Needed> {
        let entry = kept.and_then(|kept| Entry::of(self.0, message, kept));
        entry.ok_or(Needed)
    }
}
