//! A message on its way to its recipients: received once for each partition, stored in each mailbox.
//!
//! What goes wrong with a message is kept until its end has come: then each recipient has a reply. A recipient whose
//! order failed is no hindrance to the others. Two recipients who mean the same mailbox get one copy.

use std::collections::BTreeMap;
use std::io;

use ravenry_core::limits;
use ravenry_core::log::printable;
use ravenry_core::proto::imap::DateTime;
use ravenry_core::proto::lmtp::Reply;

use super::envelope::Envelope;
use super::session::Session;
use super::trace::{self, HEAD_BYTES_MAX};
use crate::delivery::{self, NotStored};
use crate::store::{Incoming, Mailbox, MailboxId, Order, Outcome, Ready, Refused, StoreError};

pub(super) const TOO_LARGE: Reply = Reply::new(552, "5.3.4", "The message is too large");
const HAS_NUL: Reply = Reply::new(554, "5.6.0", "The message has a NUL in it");
const NO_ROOM: Reply = Reply::new(452, "4.3.1", "There is no room for the message");
const NOT_NOW: Reply = Reply::new(451, "4.3.0", "The message can't be stored at the moment");
const OVER_QUOTA: Reply = Reply::new(552, "5.2.2", "The mailbox is over its quota");
const GONE: Reply = Reply::new(550, "5.1.1", "User unknown");

/// A message that is coming.
pub(super) struct Delivery {
    /// For each partition that a recipient is in.
    copies: Vec<Copy>,
    date: DateTime,
    /// Bytes that came, and how many may.
    received: u64,
    most: u64,
    /// The first bytes.
    head: Vec<u8>,
}

struct Copy {
    partition: String,
    message: Result<delivery::Message, Reply>,
}

impl Delivery {
    /// Begins one, with what is put before it.
    pub(super) async fn begin(session: &Session, envelope: &Envelope) -> Self {
        let parts = &session.backend.parts;
        let mut partitions: Vec<&str> = Vec::new();
        for mailbox in &envelope.recipients {
            if !partitions.contains(&&*mailbox.partition) {
                partitions.push(&mailbox.partition);
            }
        }
        let date = delivery::now();
        let fields = trace::fields(session, &envelope.from, date);
        let most = parts.backend.message_size;
        let copies = partitions.into_iter().map(|partition| Copy {
            partition: partition.to_owned(),
            message: Ok(delivery::Message::begin(parts, partition)),
        });
        let mut delivery = Self {
            copies: copies.collect(),
            date,
            received: 0,
            // With what is put before it, it is a message of the store's like any other.
            most: most.min(limits::MESSAGE_BYTES_MOST - fields.len() as u64),
            head: Vec::new(),
        };
        delivery.write(fields).await;
        delivery
    }

    /// Adds what came of the message.
    pub(super) async fn take(&mut self, bytes: Vec<u8>) {
        self.received += bytes.len() as u64;
        if self.received > self.most {
            for copy in &mut self.copies {
                copy.message = Err(TOO_LARGE);
            }
            return;
        }
        let wanted = HEAD_BYTES_MAX - self.head.len();
        self.head
            .extend_from_slice(&bytes[..bytes.len().min(wanted)]);
        self.write(bytes).await;
    }

    /// It is larger than it may be.
    pub(super) fn is_too_large(&self) -> bool {
        self.received > self.most
    }

    /// Bytes that came.
    pub(super) fn received(&self) -> u64 {
        self.received
    }

    async fn write(&mut self, bytes: Vec<u8>) {
        let Some((last, others)) = self.copies.split_last_mut() else {
            return;
        };
        for copy in others {
            copy.write(bytes.clone()).await;
        }
        last.write(bytes).await;
    }

    /// All of it has come: it is stored. A reply for each recipient, in their order.
    pub(super) async fn finish(self, session: &Session, envelope: &Envelope) -> Vec<Reply> {
        let id = trace::message_id(&self.head).unwrap_or(b"-");
        let (id, size) = (printable(id), self.received);
        let mut ready = BTreeMap::new();
        for copy in self.copies {
            ready.insert(copy.partition, finished(copy.message).await);
        }
        let became = store(session, &envelope.recipients, &ready, self.date).await;
        let stored = became.values().filter(|became| became.is_ok()).count() as u64;
        session.backend.desk.metrics.messages_delivered.add(stored);
        tracing::info!(
            session = %session.id,
            from = %envelope.from,
            message_id = id,
            recipients = envelope.recipients.len(),
            stored,
            size,
            "message"
        );
        let ok = Reply {
            code: 250,
            status: "2.1.5",
            text: format!("Ok SESSIONID=<{}>", session.id).into(),
        };
        let replies = envelope.recipients.iter().map(|mailbox| {
            let became = became.get(&mailbox.id).cloned().unwrap_or(Err(NOT_NOW));
            became.map_or_else(|refused| refused, |()| ok.clone())
        });
        replies.collect()
    }
}

/// What became of a message in each mailbox.
type Became = BTreeMap<MailboxId, Result<(), Reply>>;

/// Has the copies stored that are on the disk.
async fn store(
    session: &Session,
    recipients: &[Mailbox],
    ready: &BTreeMap<String, Result<Ready, Reply>>,
    date: DateTime,
) -> Became {
    let (mut became, mut orders) = (Became::new(), Vec::new());
    for mailbox in recipients {
        if became.contains_key(&mailbox.id) {
            continue;
        }
        let refused = match ready.get(&mailbox.partition) {
            Some(Ok(ready)) => {
                orders.push((mailbox.id, order(mailbox, ready, date)));
                NOT_NOW
            }
            Some(Err(refused)) => refused.clone(),
            None => NOT_NOW,
        };
        became.insert(mailbox.id, Err(refused));
    }
    let (ids, orders): (Vec<_>, Vec<_>) = orders.into_iter().unzip();
    let answers = session.backend.carry_out_each(orders).await;
    for (id, answer) in ids.into_iter().zip(answers) {
        let done = match answer {
            Ok(Outcome::Appended(_)) => Ok(()),
            Ok(_) => Err(NOT_NOW),
            Err(refused) => Err(why_refused(&refused)),
        };
        became.insert(id, done);
    }
    became
}

impl Copy {
    async fn write(&mut self, bytes: Vec<u8>) {
        if let Ok(message) = &mut self.message
            && let Err(failed) = message.write(bytes).await
        {
            self.message = Err(why_not(&failed));
        }
    }
}

async fn finished(message: Result<delivery::Message, Reply>) -> Result<Ready, Reply> {
    let finished = message?.finish().await;
    finished.map_err(|failed| why_not(&failed))
}

fn order(mailbox: &Mailbox, ready: &Ready, date: DateTime) -> Order {
    Order::Append {
        mailbox: mailbox.id,
        messages: vec![Incoming {
            message: ready.clone(),
            date,
            system: 0,
            keywords: Vec::new(),
        }],
    }
}

/// The disk refuses a message, or it isn't one.
fn why_not(failed: &NotStored) -> Reply {
    match failed {
        NotStored::Nul => HAS_NUL,
        NotStored::Pool(error) => {
            tracing::error!("disk: {error}");
            NOT_NOW
        }
        NotStored::Store(error) => {
            tracing::error!("store: {error}");
            match error {
                StoreError::Full => NO_ROOM,
                StoreError::Io { error, .. } if is_full(error) => NO_ROOM,
                _ => NOT_NOW,
            }
        }
    }
}

fn is_full(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
    )
}

/// The store changes nothing. What failed is in the log already.
fn why_refused(refused: &Refused) -> Reply {
    match refused {
        // It was there at RCPT.
        Refused::NoMailbox => GONE,
        Refused::Full => NO_ROOM,
        Refused::OverQuota => OVER_QUOTA,
        Refused::Exists
        | Refused::ExistsAt(_)
        | Refused::Elsewhere(_)
        | Refused::Busy
        | Refused::MasterAway
        | Refused::MasterSilent
        | Refused::Master(_)
        | Refused::NoMessage
        | Refused::TooLong
        | Refused::NoPartition
        | Refused::KeywordsFull
        | Refused::SubscriptionsFull
        | Refused::AnnotationsFull
        | Refused::UidsExhausted
        | Refused::Failed(_) => NOT_NOW,
    }
}
