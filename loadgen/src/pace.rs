//! When each operation begins. Open loop: at times that are fixed beforehand, whatever the server
//! does, and latency counts from them. Closed loop: as soon as the one before has ended.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use ravenry_core::rt::{self, Instant, channel};

use crate::{Fault, Record};

/// A server that can't keep up has so long after the end to get through what has piled up.
const OVERTIME: Duration = Duration::from_secs(10);

/// How much, for how long.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// Operations a second, of all sessions together; `None`: closed loop.
    pub rate: Option<f64>,
    /// How long operations are begun.
    pub time: Duration,
}

/// What a session does again and again.
pub trait Work {
    /// Does it once, and says how many bytes of bodies moved.
    fn once(&mut self) -> impl Future<Output = Result<u64, Fault>>;

    /// Takes away what it has left at the server, and leaves.
    fn end(self) -> impl Future<Output = Result<(), Fault>>;
}

/// Lets all of them work side by side; gives back those that haven't failed, and what was
/// measured.
pub async fn drive<W: Work + 'static>(workers: Vec<W>, pace: Pace) -> (Vec<W>, Record) {
    let (record, back) = (Rc::<RefCell<Record>>::default(), Rc::default());
    let (done, mut all_done) = channel::channel::<()>(1);
    let start = rt::now();
    let count = workers.len();
    for (number, mut worker) in workers.into_iter().enumerate() {
        let mut times = Times::new(pace, start, number, count);
        let (record, done) = (Rc::clone(&record), done.clone());
        let back: Rc<RefCell<Vec<(usize, W)>>> = Rc::clone(&back);
        rt::spawn(async move {
            let _done = done;
            if run(&mut worker, &mut times, &record).await.is_ok() {
                back.borrow_mut().push((number, worker));
            }
        });
    }
    drop(done);
    while all_done.recv().await.is_some() {}
    let mut record = record.take();
    record.took = rt::now() - start;
    let mut back = back.take();
    back.sort_by_key(|(number, _)| *number);
    (back.into_iter().map(|(_, worker)| worker).collect(), record)
}

/// Works until time is up; `Err` if the session has failed.
async fn run(
    worker: &mut impl Work,
    times: &mut Times,
    record: &RefCell<Record>,
) -> Result<(), ()> {
    while let Some(intended) = times.next() {
        if rt::now() > times.end + OVERTIME {
            record.borrow_mut().unsent += 1;
            continue;
        }
        rt::sleep_until(intended).await;
        let sent = rt::now();
        match worker.once().await {
            Ok(bytes) => {
                let now = rt::now();
                record.borrow_mut().done(now - intended, now - sent, bytes);
            }
            Err(fault) => {
                record.borrow_mut().failed(fault.to_string());
                return Err(());
            }
        }
    }
    Ok(())
}

/// The intended starts of one session's operations.
struct Times {
    next: Instant,
    every: Option<Duration>,
    end: Instant,
}

impl Times {
    /// The sessions take turns, evenly.
    fn new(pace: Pace, start: Instant, number: usize, count: usize) -> Self {
        let part = |turns: usize| {
            pace.rate
                .map(|rate| Duration::from_secs(1).mul_f64(turns as f64 / rate))
        };
        Self {
            next: start + part(number).unwrap_or_default(),
            every: part(count),
            end: start + pace.time,
        }
    }

    fn next(&mut self) -> Option<Instant> {
        let intended = match self.every {
            Some(every) => {
                let intended = self.next;
                self.next += every;
                intended
            }
            None => rt::now(),
        };
        (intended < self.end).then_some(intended)
    }
}
