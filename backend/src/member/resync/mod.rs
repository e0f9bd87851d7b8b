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

use ravenry_core::metrics::Sample;
use ravenry_core::rt::channel::{self, OneSender, SendError};

pub(crate) use self::apply::Done;
pub(crate) use self::compare::{Compared, Standing};
use self::counters::Counters;
pub(super) use self::kept::path;
pub(crate) use self::kept::word;
pub(crate) use self::plan::{Planned, Waits};
pub(super) use self::task::{Asked, ResyncTask};
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
    counters: Counters,
}

struct Question {
    wanted: Wanted,
    answer: OneSender<Result<Standing, String>>,
}

/// The way to a task, and what the task is made from.
pub(super) fn way() -> (Resync, Asked) {
    let (ask, questions) = channel::channel(QUESTIONS_MAX);
    let counters = Counters::default();
    let resync = Resync {
        questions: ask,
        counters: counters.clone(),
    };
    (resync, Asked::new(questions, counters))
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
        let ended = |_| Err(STOPPING.to_owned());
        standing.await.unwrap_or_else(ended)
    }

    pub(super) fn samples(&self) -> Vec<Sample> {
        self.counters.samples()
    }
}

const STOPPING: &str = "the server is stopping";
