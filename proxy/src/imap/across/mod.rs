//! COPY and MOVE to a mailbox at another server (RFC 3501 section 6.4.7, RFC 6851), and REPLACE
//! (RFC 8508) where one server can't do it: fetched from the selected mailbox's backend, appended at the other, bodies from socket to socket.
//!
//! Invariants: no message is removed before the other server has said that it has it; what is
//! held of the messages is a window of them and their UIDs, whatever their size; a copy takes all
//! or none, and where that can't be had the client is told. COPYUID (RFC 4315 section 3) has the UIDs of both
//! sides where both are known.

mod source;
mod target;

use std::collections::BTreeSet;
use std::rc::Rc;

use ravenry_core::mailboxes::{Name, Rights};
use ravenry_core::proto::imap::encode::Request;
use ravenry_core::proto::imap::{Command, Uids, Verb, status};

use super::selected;
use super::session::{Selected, Session};
use crate::failure::Failure;
use crate::upstream::Upstream;
use source::{Message, Progress, Source};
use target::{ASKED_BYTES, Outcome, Target};

/// Messages of which more than the UID is known at a time.
const WINDOW: usize = 64;
/// Bodies that are asked for together.
const TOGETHER_BYTES: u64 = ASKED_BYTES;

/// COPY or MOVE of `set` to `name`, which the client calls `given`, at `server`.
pub(crate) async fn copy(
    session: &mut Session,
    command: &Command<'_>,
    set: &[u8],
    (given, name, server): (&[u8], &Name, &Rc<str>),
) -> Result<(), Failure> {
    let moves = command.verb == Verb::Move;
    if moves {
        // Where the master can't be asked, what is known of the rights has to do.
        let _ = session.barrier().await;
        may_remove(session)?;
    }
    let uids = {
        let (mut source, _) = ends(session, None);
        match source.uids(command, set).await? {
            Ok(uids) => uids,
            Err(refusal) => {
                session.client.push_reply(command.tag, &refusal);
                return Ok(());
            }
        }
    };
    if uids.is_empty() {
        session.client.push_tagged(command.tag, "OK Completed");
        return Ok(());
    }
    let copied = match copied(session, command.tag, &uids, (given, name, server)).await {
        Err(Failure::Moved) => return copy_again(session, command, &uids, (given, name)).await,
        copied => copied?,
    };
    finish(session, command, copied).await
}

/// The same where the list was behind. The messages are those that the command named when it came: by
/// now its numbers may be others'.
async fn copy_again(
    session: &mut Session,
    command: &Command<'_>,
    uids: &Uids,
    (given, name): (&[u8], &Name),
) -> Result<(), Failure> {
    let server = session.target(name).await?;
    if session.selected_server() != Some(&server) {
        let copied = copied(session, command.tag, uids, (given, name, &server)).await;
        return finish(session, command, copied.map_err(Failure::final_word)?).await;
    }
    let index = selected::selected(session)?;
    let mut request = Request::new(session.upstreams[index].literals);
    let verb = command.verb.name();
    request.raw(command.tag).raw(format!(" UID {verb} {uids} "));
    request.astring(given)?.end();
    let reply = session.forward(index, &request, command.tag).await?;
    session.client.push(&reply);
    Ok(())
}

/// Answers; a MOVE's messages go.
async fn finish(
    session: &mut Session,
    command: &Command<'_>,
    copied: Copied,
) -> Result<(), Failure> {
    let done = match copied {
        Copied::Refused(refusal) => {
            session.client.push_reply(command.tag, &refusal);
            return Ok(());
        }
        Copied::Done(done) => done,
    };
    let code = done.copyuid();
    if command.verb != Verb::Move {
        session
            .client
            .push_tagged(command.tag, &format!("OK {code}Completed"));
        return Ok(());
    }
    // Before the first EXPUNGE, and so that the client knows where they are whatever happens. One that
    // is gone meanwhile wanted them moved, too.
    session
        .client
        .push_line(&format!("* OK {code}Copied to the other server"));
    let told = session.client.flush().await;
    removed(session, command.tag, &done.from, &done.deleted).await?;
    Ok(told?)
}

/// The message that a REPLACE puts another one in the place of.
pub(crate) struct Replaced {
    uid: Uids,
    deleted: Uids,
}

/// Finds the message that a REPLACE names: one, which the user can remove.
pub(crate) async fn replaced(
    session: &mut Session,
    command: &Command<'_>,
    set: &[u8],
) -> Result<Replaced, Failure> {
    if session.enabled.wants_uids() && !command.uid {
        return Err(Failure::State(
            "[UIDREQUIRED] Message numbers are not allowed in REPLACE after UIDONLY is enabled",
        ));
    }
    may_remove(session)?;
    let (mut source, _) = ends(session, None);
    let uid = match source.uids(command, set).await? {
        Ok(uids) => uids,
        Err(refusal) => return Err(Failure::coded("CANNOT", said(&refusal))),
    };
    if uid.len() != 1 {
        return Err(Failure::coded(
            "CANNOT",
            "REPLACE takes the place of one message",
        ));
    }
    let messages = source.messages(&uid).await?;
    let deleted = messages.iter().filter(|message| message.is_deleted());
    let deleted = deleted.map(|message| message.uid).collect();
    Ok(Replaced { uid, deleted })
}

impl Replaced {
    /// Removes it, now that the other one is there, and answers.
    pub(crate) async fn remove(&self, session: &mut Session, tag: &[u8]) -> Result<(), Failure> {
        removed(session, tag, &self.uid, &self.deleted).await
    }
}

/// The text of a backend's refusal.
fn said(refusal: &[u8]) -> String {
    let text = status(refusal.trim_ascii_end()).map(|status| status.text);
    String::from_utf8_lossy(text.unwrap_or_default()).into_owned()
}

/// What has been copied.
struct Done {
    from: Uids,
    /// Those of them that had \Deleted.
    deleted: Uids,
    to: Option<(u32, Uids)>,
}

impl Done {
    fn note(&mut self, message: &Message) {
        self.from.push(message.uid);
        if message.is_deleted() {
            self.deleted.push(message.uid);
        }
    }

    /// `[COPYUID …] `, if the other server has told where the messages are.
    fn copyuid(&self) -> String {
        match &self.to {
            Some((validity, to)) if to.len() == self.from.len() => {
                format!("[COPYUID {validity} {} {to}] ", self.from)
            }
            _ => String::new(),
        }
    }
}

enum Copied {
    Done(Done),
    Refused(Vec<u8>),
}

/// Copies messages; all of them, or none.
async fn copied(
    session: &mut Session,
    tag: &[u8],
    uids: &Uids,
    (given, name, server): (&[u8], &Name, &Rc<str>),
) -> Result<Copied, Failure> {
    let index = session.upstream(server, name).await?;
    let (mut source, up) = ends(session, Some(index));
    let up = up.expect("invariant: an index was given");
    let mut target = Target::new(up, given);
    let mut done = Done {
        from: Uids::default(),
        deleted: Uids::default(),
        to: None,
    };
    source.progress = Some(Progress::new(tag, uids.len()));
    let outcome = all(&mut source, &mut target, uids, &mut done).await;
    done.to = target.appended.take();
    let undone = match outcome {
        Ok(Outcome::Done) => return Ok(Copied::Done(done)),
        Ok(Outcome::Refused(refusal)) => Ok(Copied::Refused(refusal)),
        Err(failure) => Err(failure),
    };
    let failed = matches!(&undone, Err(Failure::Backend(fault)) if *fault.server == **server);
    let (kept, torn) = (target.kept, target.is_torn() || failed);
    if torn {
        // The command that it is in the middle of, or still owes the reply to, ends with the connection.
        session.upstreams.retain(|up| up.server != *server);
    }
    if kept > 0 {
        take_back(session, (given, name, server), kept, done.to.as_ref()).await;
    } else if let Ok(Copied::Refused(refusal)) = &undone {
        session.confirm(refusal, name, server).await?;
    }
    undone
}

/// Passes all messages on, a window at a time.
async fn all(
    source: &mut Source<'_>,
    target: &mut Target<'_>,
    uids: &Uids,
    done: &mut Done,
) -> Result<Outcome, Failure> {
    let mut left = uids.iter().peekable();
    while left.peek().is_some() {
        if !done.from.is_empty() {
            source.news().await?;
        }
        let window: Uids = left.by_ref().take(WINDOW).collect();
        let messages = source.messages(&window).await?;
        if messages.len() as u64 != window.len() {
            return Err(gone());
        }
        let mut messages = &messages[..];
        while !messages.is_empty() {
            let (together, rest) = messages.split_at(together(messages, source.named));
            if let Outcome::Refused(refusal) = some(source, target, together, done).await? {
                return Ok(Outcome::Refused(refusal));
            }
            messages = rest;
            if let Some(progress) = &mut source.progress {
                progress.done = done.from.len();
            }
        }
    }
    target.end(source).await
}

/// How many of the next messages are asked for together: one at least.
fn together(messages: &[Message], named: bool) -> usize {
    if !named {
        // Until it has shown that a body comes with its UID before it.
        return 1;
    }
    let mut bytes = 0_u64;
    let fits = |message: &&Message| {
        bytes = bytes.saturating_add(message.size);
        bytes <= TOGETHER_BYTES
    };
    messages.iter().take_while(fits).count().max(1)
}

/// Passes on messages that are asked for together. Whatever the target says, the source's answer is
/// read to its end.
async fn some(
    source: &mut Source<'_>,
    target: &mut Target<'_>,
    messages: &[Message],
    done: &mut Done,
) -> Result<Outcome, Failure> {
    if let [large] = messages
        && large.size > ASKED_BYTES
    {
        let outcome = target.take(source, large, None).await?;
        if matches!(outcome, Outcome::Done) {
            done.note(large);
        }
        return Ok(outcome);
    }
    source.ask(messages).await?;
    let mut outcome = Ok(Outcome::Done);
    let mut came = BTreeSet::new();
    while let Some((uid, size)) = source.body().await? {
        source.named |= uid.is_some();
        let asked = match (uid, messages) {
            (Some(uid), _) => messages.iter().find(|message| message.uid == uid),
            (None, [only]) => Some(only),
            (None, _) => None,
        };
        let asked = asked.filter(|message| came.insert(message.uid));
        let Some(message) = asked.filter(|_| matches!(outcome, Ok(Outcome::Done))) else {
            source.drop_body(size).await?;
            continue;
        };
        if size != message.size {
            source.drop_body(size).await?;
            outcome = Err(target.other_than_announced());
            continue;
        }
        outcome = target.take(source, message, Some(size)).await;
        match &outcome {
            Ok(Outcome::Done) => done.note(message),
            // The source itself: there is nothing to be read any more.
            Err(Failure::Backend(fault)) if *fault.server != *target.server() => return outcome,
            _ => {}
        }
    }
    if matches!(outcome, Ok(Outcome::Done)) && came.len() != messages.len() {
        return Err(gone());
    }
    outcome
}

/// A message that was there has no body any more, or can't be told from others.
fn gone() -> Failure {
    Failure::coded(
        "EXPUNGEISSUED",
        "Messages were expunged meanwhile, or can't be read: none is copied",
    )
}

/// Takes back what was appended one by one, over a new connection if need be.
async fn take_back(
    session: &mut Session,
    (given, name, server): (&[u8], &Name, &Rc<str>),
    kept: u64,
    to: Option<&(u32, Uids)>,
) {
    let mut done = false;
    if let Some(to) = to.filter(|(_, uids)| uids.len() == kept)
        && let Ok(index) = session.upstream(server, name).await
    {
        done = matches!(
            target::take_back(&mut session.upstreams[index], given, to).await,
            Ok(true)
        );
        session.upstreams.swap_remove(index);
    }
    if !done {
        let text =
            format!("* NO {kept} messages stay in the target mailbox: they can't be taken back");
        session.client.push_line(&text);
        tracing::warn!(session = %session.id, %server, "{kept} messages of a failed COPY can't be taken back");
    }
}

/// Removes the messages that have been copied, and answers.
async fn removed(
    session: &mut Session,
    tag: &[u8],
    uids: &Uids,
    deleted: &Uids,
) -> Result<(), Failure> {
    let (mut source, _) = ends(session, None);
    let refusal = source.remove(uids, deleted).await?;
    if let Some(refusal) = refusal {
        let said = said(&refusal);
        return Err(Failure::coded(
            "CANNOT",
            format!("The messages are in both mailboxes: they can't be removed here: {said}"),
        ));
    }
    session.client.push_tagged(tag, "OK Completed");
    Ok(())
}

/// Whether messages can be removed from the selected mailbox, one by one and by this user.
fn may_remove(session: &Session) -> Result<(), Failure> {
    let index = session.selected_index();
    let uidplus = index.is_some_and(|index| session.upstreams[index].capabilities.has("UIDPLUS"));
    if !uidplus {
        return Err(Failure::coded(
            "CANNOT",
            "The server of this mailbox can't remove single messages (UIDPLUS): COPY and delete instead",
        ));
    }
    let Some(Selected { name, verb, .. }) = &session.selected else {
        return Err(Failure::State("Please select a mailbox first"));
    };
    if *verb == Verb::Examine {
        return Err(Failure::coded(
            "CANNOT",
            "Messages can't be removed from a mailbox that is opened by EXAMINE",
        ));
    }
    let identity = session.logged_in()?;
    let entry = session.entry(name)?;
    let may = |right| {
        entry
            .as_ref()
            .is_none_or(|entry| entry.acl.rights_on(name, identity).contains(right))
    };
    if may(Rights::EXPUNGE) && may(Rights::DELETE_MESSAGES) {
        return Ok(());
    }
    Err(Failure::coded(
        "NOPERM",
        "Messages can't be removed from this mailbox: no right e or t",
    ))
}

/// The selected mailbox's connection, and another one.
fn ends(session: &mut Session, other: Option<usize>) -> (Source<'_>, Option<&mut Upstream>) {
    let selected = session
        .selected_index()
        .expect("invariant: a mailbox is selected");
    let mut up = None;
    let mut there = None;
    for (index, each) in session.upstreams.iter_mut().enumerate() {
        if index == selected {
            up = Some(each);
        } else if Some(index) == other {
            there = Some(each);
        }
    }
    let up = up.expect("invariant: the selected mailbox has a connection");
    let client = &mut session.client;
    (Source::new(client, up), there)
}
