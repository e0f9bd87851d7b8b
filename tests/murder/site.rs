//! The site: which parts are up, how one is killed and started anew where it was, and what all clients share.

use std::cell::{Cell, RefCell};
use std::fs;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use ravenry_core::rt;
use ravenry_core::rt::sim::{Process, World};

use crate::book::Book;
use crate::parts::{self, Part};

/// Which part of the murder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Which {
    Master,
    Backend(usize),
    Frontend(usize),
}

impl Which {
    pub(crate) const ALL: [Self; 5] = [
        Self::Master,
        Self::Backend(0),
        Self::Backend(1),
        Self::Frontend(0),
        Self::Frontend(1),
    ];

    /// For the table of what was done.
    pub(crate) fn killed(self) -> &'static str {
        match self {
            Self::Master => "killed: the master",
            Self::Backend(_) => "killed: a backend",
            Self::Frontend(_) => "killed: a frontend",
        }
    }
}

/// A part's place: its directory, and the process that runs there now.
struct Seat {
    which: Which,
    directory: RefCell<PathBuf>,
    /// How often it has been started.
    times: Cell<u32>,
    up: RefCell<Option<(Process, Part)>>,
}

pub(crate) struct Site {
    pub(crate) world: World,
    /// What has been promised to clients.
    pub(crate) book: RefCell<Book>,
    /// Nothing goes wrong: every answer has to be OK.
    pub(crate) peace: bool,
    keys: Cell<u64>,
    seats: Vec<Seat>,
    root: PathBuf,
}

impl Site {
    pub(crate) fn new(world: World, peace: bool, root: &Path) -> Self {
        let seat = |which: Which| {
            let directory = root.join(format!("{which:?}-0"));
            fs::create_dir_all(&directory).unwrap();
            Seat {
                which,
                directory: RefCell::new(directory),
                times: Cell::new(0),
                up: RefCell::new(None),
            }
        };
        Self {
            world,
            book: RefCell::default(),
            peace,
            keys: Cell::new(0),
            seats: Which::ALL.map(seat).into(),
            root: root.to_owned(),
        }
    }

    /// A number that names a message.
    pub(crate) fn key(&self) -> u64 {
        self.keys.set(self.keys.get() + 1);
        self.keys.get()
    }

    pub(crate) fn fail(&self, what: String) {
        self.world.fail(what);
    }

    fn seat(&self, which: Which) -> &Seat {
        let seat = self.seats.iter().find(|seat| seat.which == which);
        seat.expect("every part has a seat")
    }

    pub(crate) fn is_up(&self, which: Which) -> bool {
        self.seat(which).up.borrow().is_some()
    }

    pub(crate) fn start(&self, which: Which) {
        self.world.note(&format!("starts: {which:?}"));
        let seat = self.seat(which);
        seat.times.set(seat.times.get() + 1);
        let process = self.world.process();
        let directory = seat.directory.borrow();
        let part = process.within(|| match which {
            Which::Master => parts::master(&directory),
            Which::Backend(number) => parts::backend(&directory, number),
            Which::Frontend(number) => parts::frontend(&directory, number),
        });
        *seat.up.borrow_mut() = Some((process, part));
    }

    /// Kills a part. What it has on its disk at that moment is what the next one begins with: destructors that run here
    /// would not run in a process that was killed.
    pub(crate) async fn kill(&self, which: Which) {
        self.world.note(&format!("dies: {which:?}"));
        let seat = self.seat(which);
        let Some((process, mut part)) = seat.up.borrow_mut().take() else {
            return;
        };
        (part.list, part.store) = (None, None);
        let before = seat.directory.borrow().clone();
        let after = self.root.join(format!("{which:?}-{}", seat.times.get()));
        *seat.directory.borrow_mut() = after.clone();
        let copied = Rc::new(Cell::new(false));
        let done = Rc::clone(&copied);
        process.kill(move || {
            copy(&before, &after);
            done.set(true);
        });
        while !copied.get() || !part.shards.iter().all(rt::ShardHandle::is_finished) {
            rt::sleep(Duration::from_millis(1)).await;
        }
    }

    /// Ends a part as an operator does.
    pub(crate) async fn end(&self, which: Which) {
        let Some((_, part)) = self.seat(which).up.borrow_mut().take() else {
            return;
        };
        for shard in &part.shards {
            shard.drain(Duration::from_secs(10));
            let deadline = rt::now() + Duration::from_secs(60);
            while !shard.is_finished() && rt::now() < deadline {
                rt::sleep(Duration::from_millis(100)).await;
            }
            if !shard.is_finished() {
                self.fail(format!("{which:?}: a shard doesn't end"));
            }
        }
    }

    /// Does something with a part that is up.
    pub(crate) fn with<T>(&self, which: Which, f: impl FnOnce(&Part) -> T) -> T {
        let up = self.seat(which).up.borrow();
        f(&up.as_ref().expect("it is up").1)
    }

    /// Where a part has its files.
    pub(crate) fn directory(&self, which: Which) -> PathBuf {
        self.seat(which).directory.borrow().clone()
    }
}

/// Copies a directory as it is. A message's file is written once: it is linked, as all others might be written to by
/// whoever is dropped yet.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else if to.components().any(|part| part.as_os_str() == "spool") {
            fs::hard_link(entry.path(), &target).unwrap();
        } else if entry.file_name() != "lock.mdb" {
            // That one says who holds which reader: nobody does any more.
            fs::copy(entry.path(), &target).unwrap();
        }
    }
}
