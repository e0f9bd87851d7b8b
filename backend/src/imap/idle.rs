//! IDLE (RFC 2177): what happens to the selected mailbox is told at once.

use ravenry_core::client::Here;
use ravenry_core::proto::imap::Command;
use ravenry_core::rt::{self, Either};

use super::failure::{End, Failure};
use super::session::{COMPLETED, Reply, Session};

/// IDLE, until DONE.
pub(super) async fn idle(session: &mut Session, command: &Command<'_>) -> Reply {
    command.no_args()?;
    session.client.push_line("+ idling");
    let mut why = None;
    let deadline = session.input_deadline();
    loop {
        session.tell_news(true).await?;
        match session.client.line_here(&mut why) {
            Here::Whole(Ok(line)) if line.eq_ignore_ascii_case(b"DONE") => return COMPLETED,
            Here::Whole(Ok(_)) => return Err(Failure::bad("IDLE ends with DONE")),
            Here::Whole(Err(why)) => return Err(Failure::bad(why)),
            Here::Discard(bytes) => session.discard(bytes).await?,
            Here::More => {
                session.client.flush().await?;
                session.client.release();
                match rt::timeout_at(session.rest_until(deadline), woken(session)).await {
                    Ok(Woken::Client) => drop(session.client.read_now().await?),
                    Ok(Woken::News) => {}
                    Ok(Woken::Draining) => return Err(Failure::Ended(End::Draining)),
                    Err(_elapsed) if rt::now() < deadline => {}
                    Err(_elapsed) => return Err(Failure::Ended(session.timed_out().await)),
                }
            }
        }
    }
}

enum Woken {
    Client,
    News,
    Draining,
}

async fn woken(session: &Session) -> Woken {
    let client = async {
        match session.woken().await {
            Either::Left(()) => Woken::Draining,
            Either::Right(()) => Woken::Client,
        }
    };
    let Some(selected) = &session.selected else {
        return client.await;
    };
    match rt::select(client, selected.watch.changed()).await {
        Either::Left(woken) => woken,
        Either::Right(()) => Woken::News,
    }
}
