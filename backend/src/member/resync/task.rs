//! When there is a comparison, and who is answered meanwhile.

use std::collections::VecDeque;
use std::future::pending;
use std::pin::pin;
use std::time::Duration;

use ravenry_core::rt::channel::Receiver;
use ravenry_core::rt::{self, Either, Instant, random};

use super::compare::Work;
use super::counters::Counters;
use super::{Means, Question, Wanted};

/// Between two comparisons that nobody asked for, however often the connection breaks.
const PAUSE: Duration = Duration::from_secs(3);
/// Until the next attempt after one that came to no end, and then until one more.
const AGAIN: Duration = Duration::from_secs(60);
/// Questions that wait until what is under way has ended.
const LATER_MAX: usize = 16;

/// Compares until the core drains.
pub(crate) struct ResyncTask {
    work: Work,
    asked: Asked,
    every: Duration,
}

/// Questions as they come.
pub(crate) struct Asked {
    questions: Receiver<Question>,
    later: VecDeque<Question>,
    counters: Counters,
}

/// What happens next.
enum Next {
    Ended,
    /// There is a connection that nothing has been compared by.
    Connected(u64),
    Due,
    Asked(Question),
}

impl ResyncTask {
    /// `every`: between comparisons in the background; zero: there are none.
    pub(crate) fn new(means: Means, asked: Asked, every: Duration) -> Self {
        let work = Work::new(means, asked.counters.clone());
        Self { work, asked, every }
    }

    pub(crate) async fn run(mut self) {
        let (mut compared, mut not_before, mut due) = (0, rt::now(), None);
        // As far as anybody knows the process before this one has died.
        let mut had_failed = true;
        loop {
            match self.next(compared, not_before, due).await {
                Next::Ended => return,
                Next::Asked(question) => self.carry_out(question).await,
                Next::Due => self.compare().await,
                Next::Connected(connection) => {
                    compared = connection;
                    self.compare().await;
                }
            }
            not_before = rt::now() + PAUSE;
            // What was sent before may reach the master behind a comparison that then succeeds: so one more.
            let again = self.work.has_failed() || had_failed;
            had_failed = self.work.has_failed();
            due = self.due(again);
        }
    }

    /// When there is the next comparison, if nothing happens before.
    fn due(&self, again: bool) -> Option<Instant> {
        let wait = match (again, self.every.is_zero()) {
            (true, true) => AGAIN,
            (true, false) => AGAIN.min(self.every),
            (false, true) => return None,
            (false, false) => self.every,
        };
        Some(rt::now() + random::jitter(wait))
    }

    /// A connection that comes and goes doesn't keep the master busy: nothing `not_before` but what is asked for.
    async fn next(&mut self, compared: u64, not_before: Instant, due: Option<Instant>) -> Next {
        let client = self.work.client();
        let connected = async {
            rt::sleep_until(not_before).await;
            match client.connected(compared).await {
                Some(connection) => connection,
                // The client has ended, and so will this.
                None => pending().await,
            }
        };
        let due = async {
            match due {
                Some(due) => rt::sleep_until(due).await,
                None => pending().await,
            }
        };
        let by_itself = rt::select(connected, due);
        let next = rt::select(by_itself, self.asked.next(&self.work));
        match rt::select(rt::draining(), next).await {
            Either::Left(()) => Next::Ended,
            Either::Right(Either::Left(Either::Left(connection))) => Next::Connected(connection),
            Either::Right(Either::Left(Either::Right(()))) => Next::Due,
            Either::Right(Either::Right(question)) => Next::Asked(question),
        }
    }

    async fn compare(&mut self) {
        let work = &self.work;
        let job = rt::select(rt::draining(), work.compare());
        self.asked.answer_while(work, job).await;
    }

    async fn carry_out(&mut self, question: Question) {
        let work = &self.work;
        let job = async {
            match question.wanted {
                Wanted::Show => Ok(work.standing()),
                Wanted::Compare => work.compare().await.map(|()| work.standing()),
                Wanted::Apply => work.apply().await,
            }
        };
        let job = rt::select(rt::draining(), job);
        if let Either::Right(done) = self.asked.answer_while(work, job).await {
            // Who asked may have gone.
            drop(question.answer.send(done));
        }
    }
}

impl Asked {
    pub(super) fn new(questions: Receiver<Question>, counters: Counters) -> Self {
        Self {
            questions,
            later: VecDeque::new(),
            counters,
        }
    }

    /// The next question that something has to be done for.
    async fn next(&mut self, work: &Work) -> Question {
        if let Some(question) = self.later.pop_front() {
            return question;
        }
        loop {
            match self.questions.recv().await {
                // Nobody can ask any more; the comparisons go on.
                None => pending().await,
                Some(question) if question.wanted == Wanted::Show => show(work, question),
                Some(question) => return question,
            }
        }
    }

    /// Says how it stands while a job is done, and keeps other questions until then.
    async fn answer_while<T>(&mut self, work: &Work, job: impl Future<Output = T>) -> T {
        let mut job = pin!(job);
        loop {
            match rt::select(job.as_mut(), self.questions.recv()).await {
                Either::Left(done) => return done,
                Either::Right(None) => return job.await,
                Either::Right(Some(question)) if question.wanted == Wanted::Show => {
                    show(work, question);
                }
                Either::Right(Some(question)) if self.later.len() < LATER_MAX => {
                    self.later.push_back(question);
                }
                Either::Right(Some(question)) => {
                    let busy = "too many wait for a comparison: try again".to_owned();
                    drop(question.answer.send(Err(busy)));
                }
            }
        }
    }
}

fn show(work: &Work, question: Question) {
    // Who asked may have gone.
    drop(question.answer.send(Ok(work.standing())));
}
