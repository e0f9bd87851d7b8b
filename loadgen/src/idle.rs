//! Sessions that have worked for a while and then wait: LOGIN, LIST, APPEND, SELECT, FETCH, SELECT.
//!
//! They come in stages. At each stage all of them are held for a time, in which somebody else looks
//! at what they cost the server.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use ravenry_core::rt::{self, channel};

use crate::message::message;
use crate::pace::Work;
use crate::scenario::Fetch;
use crate::{Fault, Session, Target};

/// What is asked for.
#[derive(Clone, Debug)]
pub struct Idle {
    /// How many sessions there are at each stage, more each time.
    pub stages: Vec<u32>,
    /// How long each stage is held.
    pub hold: Duration,
    /// The mailbox that is used.
    pub mailbox: String,
    /// The size of the message that each session appends and fetches.
    pub size: usize,
    /// How many sessions begin at a time.
    pub at_once: u32,
    /// Whether they append and fetch at all.
    pub append: bool,
}

/// Goes through the stages; `holding` is told of each when its time begins.
///
/// # Errors
/// If a session can't begin, or says something or is closed while it is held.
pub async fn hold(
    target: &Rc<Target>,
    idle: &Rc<Idle>,
    holding: impl Fn(u32),
) -> Result<(), Fault> {
    let mut sessions = Vec::new();
    for stage in &idle.stages {
        grow(target, idle, &mut sessions, *stage).await?;
        holding(*stage);
        rt::sleep(idle.hold).await;
        if !sessions.iter().all(Session::is_quiet) {
            return Err(Fault::Closed);
        }
    }
    for session in sessions {
        session.logout().await?;
    }
    Ok(())
}

/// Begins sessions until there are `stage` of them.
async fn grow(
    target: &Rc<Target>,
    idle: &Rc<Idle>,
    sessions: &mut Vec<Session>,
    stage: u32,
) -> Result<(), Fault> {
    let body = message("idle", idle.size);
    let next = Rc::new(Cell::new(u32::try_from(sessions.len()).unwrap_or(u32::MAX)));
    let made = Rc::<RefCell<Vec<_>>>::default();
    let (done, mut all_done) = channel::channel::<()>(1);
    for _ in 0..idle.at_once {
        let (target, idle, body) = (Rc::clone(target), Rc::clone(idle), Rc::clone(&body));
        let (next, made, done) = (Rc::clone(&next), Rc::clone(&made), done.clone());
        rt::spawn(async move {
            let _done = done;
            while next.get() < stage {
                let number = next.replace(next.get() + 1);
                let session = begin(&target, &idle, number, &body).await;
                if session.is_err() {
                    next.set(stage);
                }
                made.borrow_mut().push(session);
            }
        });
    }
    drop(done);
    while all_done.recv().await.is_some() {}
    for session in made.take() {
        sessions.push(session?);
    }
    Ok(())
}

async fn begin(
    target: &Target,
    idle: &Idle,
    number: u32,
    body: &Rc<[u8]>,
) -> Result<Session, Fault> {
    let mut session = if idle.append {
        let mut fetch = Fetch::begin(target, number, &idle.mailbox, body).await?;
        fetch.once().await?;
        fetch.into_session()
    } else {
        Session::logged_in(target, number).await?
    };
    session.command("LIST \"\" \"*\"").await?;
    session
        .command(&format!("SELECT \"{}\"", idle.mailbox))
        .await?;
    Ok(session)
}
