//! FETCH (RFC 3501 section 6.4.5), with MODSEQ, CHANGEDSINCE and VANISHED (RFC 7162), EMAILID and THREADID (RFC 8474), SAVEDATE (RFC 8514),
//! BINARY (RFC 3516) and PREVIEW (RFC 8970).
//!
//! Messages are answered in slices: their records are read from the index, what lies in files on threads that may wait
//! for the disk, and the answers are put together on the shard. A large part is sent piece by piece.

mod binary;
pub(super) mod content;
pub(super) mod section;

use std::io::{self, Write};

use ravenry_core::mailboxes::Rights;
use ravenry_core::proto::imap::encode;
use ravenry_core::proto::imap::{Command, DateTime, FetchCommand, FetchItem, Uids};

use self::content::{Content, Wanted};
use super::failure::Failure;
use super::flags;
use super::news::Silent;
use super::select::Selected;
use super::session::{COMPLETED, Reply, Session, ok};
use crate::message::Structure;
use crate::objectid;
use crate::store::{FlagChange, Flags, Message, Mode, Order, Outcome, Store};

/// Messages whose records are in memory at once.
const SLICE_MESSAGES: usize = 256;

/// FETCH.
pub(super) async fn fetch(
    session: &mut Session,
    selected: &mut Selected,
    command: &Command<'_>,
) -> Reply {
    let mut given = FetchCommand::parse(command.args, command.uid)?;
    if given.vanished && !session.qresync {
        return Err(Failure::bad("ENABLE QRESYNC comes first"));
    }
    if command.uid && !given.items.contains(&FetchItem::Uid) {
        given.items.insert(0, FetchItem::Uid);
    }
    let mut uids = selected.among(&given.set, command.uid)?;
    if given.items.contains(&FetchItem::ModSeq) {
        session.hears_modseqs(Some(selected));
    }
    if given.vanished {
        let asked = selected.given(&given.set.resolve(selected.uidnext - 1));
        let gone = asked.without(&selected.numbers.all());
        session.tell_vanished(&gone).await?;
    }
    let mut all = All::There;
    if let Some(since) = given.changed_since {
        (uids, all) = changed(&session.backend.parts.store, selected, &uids, since)?;
    }
    let silent = see(session, selected, &given.items, &uids).await;
    let fetch = Fetch {
        wanted: Wanted::of(&given.items).with_rev2(session.rev2),
        names: given.items.iter().map(name).collect(),
        items: given.items,
        silent,
    };
    all = all.max(fetch.run(session, selected, &uids).await?);
    let silent = match all {
        All::There | All::Expunged => fetch.silent,
        // Some have become \Seen and had no response.
        All::UnknownEncoding | All::Unreadable => Silent::default(),
    };
    session.tell(selected, command.uid, &silent).await?;
    match all {
        All::There => COMPLETED,
        All::Expunged => ok("OK [EXPUNGEISSUED] Some of the messages are gone"),
        All::UnknownEncoding => Err(Failure::coded(
            "UNKNOWN-CTE",
            "Parts are in a transfer encoding that isn't known here",
        )),
        All::Unreadable => Err(Failure::unavailable("Some of the messages can't be read")),
    }
}

/// Whether all that was asked for has been answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum All {
    There,
    /// Messages are gone that the client doesn't know to be.
    Expunged,
    /// Parts are in an encoding that isn't known: their messages have no response.
    UnknownEncoding,
    /// Files can't be read.
    Unreadable,
}

/// Those of these messages that have changed since. Before \Seen is set: that is a change, too.
fn changed(
    store: &Store,
    selected: &Selected,
    uids: &Uids,
    since: u64,
) -> Result<(Uids, All), Failure> {
    let (mut changed, mut there) = (Uids::default(), 0);
    for (first, last) in uids.in_order() {
        store.each_message(selected.mailbox.id, (first, last), |message| {
            there += 1;
            if message.modseq > since {
                changed.push(message.uid);
            }
            true
        })?;
    }
    let all = if there < uids.len() {
        All::Expunged
    } else {
        All::There
    };
    Ok((changed, all))
}

/// Sets \Seen, where what is fetched does that and the session may. What can't be noted is fetched nevertheless.
async fn see(session: &Session, selected: &Selected, items: &[FetchItem], uids: &Uids) -> Silent {
    let mut silent = Silent::default();
    let sees = items.iter().any(FetchItem::sets_seen);
    if !sees || selected.read_only || !selected.rights.contains(Rights::SEEN) {
        return silent;
    }
    let order = Order::Flags {
        mailbox: selected.mailbox.id,
        uids: uids.clone(),
        change: FlagChange {
            mode: Mode::Add,
            system: Flags::SEEN,
            keywords: Vec::new(),
            unchanged_since: None,
        },
    };
    let outcome = session.backend.carry_out(order).await;
    if let Ok(Outcome::Flagged {
        changed,
        modseq: Some(modseq),
        ..
    }) = outcome
    {
        silent = Silent {
            uids: changed,
            modseq,
        };
    }
    silent
}

/// A FETCH under way.
struct Fetch {
    items: Vec<FetchItem>,
    /// Their names, as they stand before a value.
    names: Vec<Vec<u8>>,
    wanted: Wanted,
    /// Messages that became \Seen by it: their FLAGS are told along.
    silent: Silent,
}

impl Fetch {
    async fn run(
        &self,
        session: &mut Session,
        selected: &Selected,
        uids: &Uids,
    ) -> Result<All, Failure> {
        let store = session.backend.parts.store.clone();
        let (mut all, mut there) = (All::There, 0);
        for (first, last) in uids.in_order() {
            let mut next = first;
            loop {
                let mut slice: Vec<Message> = Vec::new();
                store.each_message(selected.mailbox.id, (next, last), |message| {
                    slice.push(message);
                    slice.len() < SLICE_MESSAGES
                })?;
                there += slice.len() as u64;
                let Some(end) = slice.last().map(|message| message.uid) else {
                    break;
                };
                all = all.max(self.slice(session, selected, slice).await?);
                let Some(behind) = end.checked_add(1).filter(|next| *next <= last) else {
                    break;
                };
                next = behind;
            }
        }
        Ok(if there < uids.len() {
            all.max(All::Expunged)
        } else {
            all
        })
    }

    /// Answers for some messages.
    async fn slice(
        &self,
        session: &mut Session,
        selected: &Selected,
        slice: Vec<Message>,
    ) -> Result<All, Failure> {
        let mut all = All::There;
        let mut rest = slice.as_slice();
        while !rest.is_empty() {
            let parts = session.backend.parts.clone();
            let (contents, taken) =
                content::load(&parts, &selected.mailbox, rest, self.wanted).await?;
            for (message, content) in taken.iter().zip(contents) {
                let Some(number) = selected.numbers.number(message.uid) else {
                    continue;
                };
                match content {
                    Ok(content) => {
                        let one = (number, message, &content);
                        all = all.max(self.one(session, selected, one).await?);
                    }
                    Err(error) => {
                        let path = parts.store.path(&selected.mailbox, message.uid);
                        tracing::error!(session = %session.id, "{}: {error}", path.display());
                        all = All::Unreadable;
                    }
                }
            }
            rest = &rest[taken.len()..];
        }
        Ok(all)
    }

    /// What there is to know of the items of BINARY, item by item, before a response begins, if there are such; or why there can't be
    /// a response.
    async fn parts(
        &self,
        session: &Session,
        message: &Message,
        content: &Content,
    ) -> Result<Result<Vec<binary::Found>, All>, Failure> {
        let mut parts = Vec::new();
        if !self.items.iter().any(binary::is) {
            return Ok(Ok(parts));
        }
        for item in &self.items {
            match binary::find(session, item, message, content).await {
                Ok(Some(found)) => parts.push(found),
                Ok(None) => return Ok(Err(All::UnknownEncoding)),
                Err(Failure::Torn(why)) => {
                    tracing::error!(session = %session.id, "UID {}: {why}", message.uid);
                    return Ok(Err(All::Unreadable));
                }
                Err(failure) => return Err(failure),
            }
        }
        Ok(Ok(parts))
    }

    /// Answers for one message.
    async fn one(
        &self,
        session: &mut Session,
        selected: &Selected,
        (number, message, content): (u32, &Message, &Content),
    ) -> Result<All, Failure> {
        let parts = match self.parts(session, message, content).await? {
            Ok(parts) => parts,
            Err(why) => return Ok(why),
        };
        let mut line = format!("* {number} FETCH (").into_bytes();
        for (at, (item, name)) in self.items.iter().zip(&self.names).enumerate() {
            if at > 0 {
                line.push(b' ');
            }
            line.extend_from_slice(name);
            match (item, parts.get(at)) {
                (FetchItem::Section(section), _) => {
                    session.client.push(&std::mem::take(&mut line));
                    let sent = section::send(session, section, message, content).await;
                    sent.map_err(torn)?;
                }
                (_, Some(binary::Found::Part(part, given))) => {
                    session.client.push(&std::mem::take(&mut line));
                    let sent = binary::send(session, part, *given, content).await;
                    sent.map_err(torn)?;
                }
                (_, Some(binary::Found::Size(size))) => line.extend(size.to_string().bytes()),
                (FetchItem::BinarySize(_), _) => line.push(b'0'),
                (FetchItem::Binary(_), _) => line.extend_from_slice(b"NIL"),
                _ => {
                    let _ = value(&mut line, item, selected, (message, content));
                }
            }
        }
        if self.silent.uids.has(message.uid) && !self.items.contains(&FetchItem::Flags) {
            let _ = write!(line, " FLAGS {}", flags::list(selected, message));
            if session.condstore && !self.items.contains(&FetchItem::ModSeq) {
                let _ = write!(line, " MODSEQ ({})", message.modseq);
            }
        }
        line.extend_from_slice(b")\r\n");
        session.client.send(&line).await?;
        session.client.flush_if_large().await?;
        Ok(All::There)
    }
}

/// Within a response nothing can be refused any more.
fn torn(failure: Failure) -> Failure {
    match failure {
        Failure::No(_, text) => Failure::Torn(text.into_owned()),
        other => other,
    }
}

/// An item's name and the space behind it.
fn name(item: &FetchItem) -> Vec<u8> {
    let mut name = Vec::new();
    item.write_name(&mut name);
    name.push(b' ');
    name
}

/// Adds the value of an item that is no section.
fn value(
    line: &mut Vec<u8>,
    item: &FetchItem,
    selected: &Selected,
    (message, content): (&Message, &Content),
) -> io::Result<()> {
    let structure = content.structure.as_ref();
    match item {
        FetchItem::Flags => write!(line, "{}", flags::list(selected, message)),
        FetchItem::InternalDate => write!(line, "\"{}\"", message.date),
        FetchItem::Rfc822Size => write!(line, "{}", message.size),
        FetchItem::Uid => write!(line, "{}", message.uid),
        FetchItem::ModSeq => write!(line, "({})", message.modseq),
        FetchItem::EmailId => write!(line, "({})", objectid::email_id(&message.digest)),
        FetchItem::Preview => {
            let written = encode::string(line, content.preview.as_bytes());
            written.expect("invariant: a preview has no control characters");
            Ok(())
        }
        FetchItem::ThreadId => line.write_all(b"NIL"),
        FetchItem::SaveDate => {
            let (seconds, zone) = (message.saved, 0);
            write!(line, "\"{}\"", DateTime { seconds, zone })
        }
        FetchItem::Envelope => line.write_all(structure.map_or(b"", Structure::envelope)),
        FetchItem::Body => line.write_all(&structure.map(Structure::body).unwrap_or_default()),
        FetchItem::BodyStructure => line.write_all(structure.map_or(b"", Structure::bodystructure)),
        FetchItem::Section(_) | FetchItem::Binary(_) | FetchItem::BinarySize(_) => Ok(()),
    }
}
