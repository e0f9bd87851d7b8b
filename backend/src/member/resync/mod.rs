//! The comparison of what is here with what the master holds: at the start, after every new connection to the master, and
//! slowly in the background (docs/protocols/resync.md).
//!
//! A comparison makes a plan ([`plan`]); what makes something known is done at once ([`apply`]), and so are deletions as long as
//! they are few. More of them wait, all, until the operator has looked at them. A task of the mupdate core does one thing at a
//! time: comparing, or carrying out what waited; meanwhile it says what the last comparison found.

mod apply;
mod compare;
mod counters;
mod kept;
mod plan;
mod task;

use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use ravenry_core::rt::channel::{self, OneSender, SendError};

pub(crate) use self::apply::Done;
use self::compare::Work;
pub(crate) use self::compare::{Compared, Standing};
pub use self::counters::ResyncCounters;
pub(crate) use self::kept::word;
pub(crate) use self::plan::{Planned, Waits};
pub(super) use self::task::ResyncTask;
use super::coordinator::Coordinator;

/// Questions that wait.
const QUESTIONS_MAX: usize = 16;
/// What a comparison needs.
pub(super) struct Means {
    pub(super) coordinator: Rc<Coordinator>,
    /// Where the master is.
    pub(super) master: String,
    /// The file of the last plan.
    pub(super) kept: PathBuf,
}

/// What an operator wants of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// What the last comparison found.
    Show,
    /// A comparison, now.
    Compare,
    /// What waits is to be carried out.
    Apply,
}

/// The way to the task. Clones lead to the same.
#[derive(Clone)]
pub(crate) struct Resync {
    questions: channel::Sender<Question>,
}

struct Question {
    wanted: Wanted,
    answer: OneSender<Result<Standing, String>>,
}

/// The task and the way to it. `every`: between comparisons in the background; zero: there are none.
pub(super) fn resync(
    means: Means,
    every: Duration,
    counters: ResyncCounters,
) -> (Resync, ResyncTask) {
    let (ask, questions) = channel::channel(QUESTIONS_MAX);
    let task = ResyncTask::new(Work::new(means, counters), questions, every);
    (Resync { questions: ask }, task)
}

impl Resync {
    /// Has it done, and says how it stands then.
    pub(crate) async fn ask(&self, wanted: Wanted) -> Result<Standing, String> {
        let (answer, standing) = channel::oneshot();
        match self.questions.try_send(Question { wanted, answer }) {
            Ok(()) => {}
            Err(SendError::Full(_)) => return Err("too many questions wait: try again".to_owned()),
            Err(SendError::Closed(_)) => return Err(STOPPING.to_owned()),
        }
        standing.await.unwrap_or_else(|_| Err(STOPPING.to_owned()))
    }
}

const STOPPING: &str = "the server is stopping";
