//! DATA (RFC 5321 section 4.1.1.4) and BDAT (RFC 3030): the message comes.
//!
//! Whatever is wrong with it, it is read to its end, and then there is a reply for each recipient (RFC 2033 section 4.2):
//! a client is in step only so. A client that never comes to an end is given up. With BDAT the last piece is a message's
//! end; a piece before it has one reply.

use ravenry_core::limits;
use ravenry_core::proto::lmtp::Reply;
use ravenry_core::wire::lmtp::Dots;

use super::delivery::{Delivery, TOO_LARGE};
use super::envelope::Envelope;
use super::session::{Done, End, Over, Session, reply};

const GIVEN_UP: Reply = Reply::new(421, "5.3.4", "The message has no end");
const NO_MESSAGE: Reply = Reply::new(503, "5.5.1", "MAIL and a valid RCPT first");

/// DATA
pub(super) async fn data(session: &mut Session) -> Done {
    let begun = |envelope: &Envelope| envelope.begun.is_some();
    if session.envelope.as_ref().is_some_and(begun) {
        return reply(503, "5.5.1", "The message comes by BDAT");
    }
    let Some(envelope) = with_recipients(session) else {
        return Ok(Some(NO_MESSAGE));
    };
    session
        .client
        .push_line("354 Go ahead, end with a dot on a line of its own");
    session.client.flush().await?;
    let mut delivery = Delivery::begin(session, &envelope).await;
    let (mut dots, mut over) = (Dots::new(), false);
    while !over {
        if session.client.pending().is_empty() {
            session.client.read().await?;
        }
        let mut text = Vec::new();
        let took = dots.next(session.client.pending(), &mut text);
        session.client.take(took.consumed);
        over = took.ended;
        delivery.take(text).await;
        given_up(session, &delivery)?;
    }
    conclude(session, delivery, &envelope).await
}

/// The message under way, if anybody is to have it; it is taken, since its end follows.
fn with_recipients(session: &mut Session) -> Option<Envelope> {
    session
        .envelope
        .take_if(|envelope| !envelope.recipients.is_empty())
}

/// BDAT size \[LAST\]
pub(super) async fn bdat(session: &mut Session, size: u64, last: bool) -> Done {
    let Some(mut envelope) = with_recipients(session) else {
        return refuse_piece(session, size, NO_MESSAGE).await;
    };
    let mut delivery = match envelope.begun.take() {
        Some(delivery) => delivery,
        None => Delivery::begin(session, &envelope).await,
    };
    let mut unread = size;
    while unread > 0 {
        let bytes = session.client.take_up_to(unread);
        if bytes.is_empty() {
            session.client.flush().await?;
            session.client.read().await?;
            continue;
        }
        unread -= bytes.len() as u64;
        delivery.take(bytes).await;
        given_up(session, &delivery)?;
    }
    if last {
        return conclude(session, delivery, &envelope).await;
    }
    if delivery.is_too_large() {
        // The message is over: what may follow of it is refused piece by piece.
        return Ok(Some(TOO_LARGE));
    }
    envelope.begun = Some(delivery);
    session.envelope = Some(envelope);
    Ok(Some(Reply {
        code: 250,
        status: "2.0.0",
        text: format!("{size} octets received").into(),
    }))
}

/// A piece that nobody waits for has to be read nevertheless: not from whom we don't know.
async fn refuse_piece(session: &mut Session, size: u64, refused: Reply) -> Done {
    let most = session.backend.parts.backend.message_size;
    if !session.may_deliver() || size > most.saturating_add(limits::DISCARD_BYTES_MAX) {
        return Err(Over::Bye(End::BadClient, refused));
    }
    session.client.discard(size).await?;
    Ok(Some(refused))
}

/// So much more than a message may have is too much to be read only to be dropped.
fn given_up(session: &Session, delivery: &Delivery) -> Result<(), Over> {
    let most = session.backend.parts.backend.message_size;
    if delivery.received() > most.saturating_add(limits::DISCARD_BYTES_MAX) {
        return Err(Over::Bye(End::BadClient, GIVEN_UP));
    }
    Ok(())
}

/// The message has come: a reply for each recipient.
async fn conclude(session: &mut Session, delivery: Delivery, envelope: &Envelope) -> Done {
    session.messages += 1;
    for reply in delivery.finish(session, envelope).await {
        session.client.push_line(&reply.to_string());
    }
    Ok(None)
}
