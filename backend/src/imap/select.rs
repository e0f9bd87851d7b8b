//! SELECT, EXAMINE (RFC 3501 section 6.3.1; parameters: RFC 7162), CLOSE, UNSELECT (RFC 3691).

use std::rc::Rc;

use ravenry_core::mailboxes::{Identity, Name, Rights};
use ravenry_core::proto::imap::{Command, SelectCommand, SequenceSet, Uids, Verb};

use super::condstore::highest;
use super::failure::Failure;
use super::flags::needs;
use super::list;
use super::numbers::Numbers;
use super::session::{COMPLETED, Reply, Session, ok};
use crate::shard::{Backend, Watch};
use crate::store::{Flags, Mailbox, Order, Outcome, SYSTEM_FLAGS};

/// The selected mailbox, as this session sees it.
pub(crate) struct Selected {
    /// As it was when the session last looked.
    pub(crate) mailbox: Mailbox,
    /// What the user may do there, as it was then.
    pub(crate) rights: Rights,
    /// By EXAMINE, or without a right that changes anything.
    pub(crate) read_only: bool,
    pub(crate) numbers: Numbers,
    /// Whatever changed up to this modseq has been told.
    pub(crate) modseq: u64,
    /// Messages from this UID on haven't been told of.
    pub(crate) uidnext: u32,
    /// Messages that are \Recent in this session.
    pub(crate) recent: Uids,
    /// Messages that are gone, and whose numbers the client still has.
    pub(crate) gone: Uids,
    /// `$` (RFC 5182): always among `numbers`.
    pub(crate) saved: Uids,
    pub(crate) watch: Rc<Watch>,
}

/// Rights without any of which a mailbox is read only.
fn that_change() -> Rights {
    Rights::SEEN | Rights::WRITE | Rights::DELETE_MESSAGES | Rights::EXPUNGE
}

/// SELECT mailbox and EXAMINE mailbox.
pub(super) async fn select(session: &mut Session, command: &Command<'_>) -> Reply {
    let given = SelectCommand::parse(command.args)?;
    if given.qresync.is_some() && !session.qresync {
        return Err(Failure::bad("ENABLE QRESYNC comes first"));
    }
    if session.selected.take().is_some() {
        session.client.push_line("* OK [CLOSED] Ok");
    }
    let (mailbox, rights) = session.mailbox(&given.mailbox)?;
    if !rights.contains(Rights::READ) {
        return Err(Failure::noperm());
    }
    let read_only = command.verb == Verb::Examine || !rights.intersects(that_change());
    let (mut selected, unseen) = open(&session.backend, mailbox, rights, read_only)?;
    claim_recent(session, &mut selected).await;
    if session.rev2 {
        tell_listed(session, &given.mailbox, &selected.mailbox.name).await?;
    }
    describe(session, &selected, unseen);
    session.condstore |= given.condstore;
    if let Some(resync) = &given.qresync {
        session.resync(&selected, resync).await?;
    }
    let mode = if read_only { "READ-ONLY" } else { "READ-WRITE" };
    session.selected = Some(Box::new(selected));
    ok(format!("OK [{mode}] Completed"))
}

/// The session's view of a mailbox, and the number of the first message without \Seen.
fn open(
    backend: &Backend,
    mailbox: Mailbox,
    rights: Rights,
    read_only: bool,
) -> Result<(Selected, Option<u32>), Failure> {
    // First: what changes from here on will be looked at.
    let watch = backend.watch(mailbox.id);
    let numbered = backend
        .numberings
        .of(&backend.parts.store, mailbox.id)?
        .ok_or_else(Failure::nonexistent)?;
    let (mailbox, numbers) = (numbered.mailbox, numbered.numbers);
    let selected = Selected {
        rights,
        read_only,
        modseq: mailbox.highestmodseq,
        uidnext: mailbox.uidnext.max(numbers.last_uid() + 1),
        numbers,
        recent: Uids::default(),
        gone: Uids::default(),
        saved: Uids::default(),
        watch,
        mailbox,
    };
    Ok((selected, numbered.unseen))
}

/// The LIST response of IMAP4rev2 (RFC 9051 section 6.3.2); with OLDNAME, if the client has written the name otherwise
/// (`inbox`).
async fn tell_listed(session: &mut Session, given: &[u8], name: &Name) -> Result<(), Failure> {
    let namespace = session.backend.desk.parts.namespace;
    let Some(external) = namespace.external(name, session.who()?) else {
        return Ok(());
    };
    let attributes = list::children(list::has_children(session, &external).await?);
    let mut line = list::response(session, "LIST", &external, attributes)?;
    if session.shown(&external) != given {
        line.extend_from_slice(b" (\"OLDNAME\" (");
        session.write_name(&mut line, given)?;
        line.extend_from_slice(b"))");
    }
    line.extend_from_slice(b"\r\n");
    session.client.push(&line);
    Ok(())
}

/// Messages that no session has been told of are \Recent in this one, and where it may change something, in no other
/// (RFC 3501 section 2.3.2). With IMAP4rev2 there is no \Recent: then they are in none.
pub(super) async fn claim_recent(session: &Session, selected: &mut Selected) {
    let (mut before, last) = (selected.mailbox.recent, selected.numbers.last_uid());
    if last <= before {
        return;
    }
    if !selected.read_only {
        let order = Order::Recent {
            mailbox: selected.mailbox.id,
            up_to: last,
        };
        // What can't be noted now is \Recent once more.
        if let Ok(Outcome::Recent { before: noted }) = session.backend.carry_out(order).await {
            before = noted.max(before);
        }
    }
    selected.mailbox.recent = last;
    if !session.rev2 {
        let mut new = Uids::default();
        new.push_range(before.saturating_add(1), last);
        selected.recent.append(&selected.numbers.among(&new));
    }
}

/// What SELECT tells; RECENT and UNSEEN are IMAP4rev1's (RFC 9051 appendix E).
fn describe(session: &mut Session, selected: &Selected, unseen: Option<u32>) {
    let mailbox = &selected.mailbox;
    let (rev1, unseen) = (!session.rev2, unseen.filter(|_| !session.rev2));
    let client = &mut session.client;
    client.push_line(&format!("* {} EXISTS", selected.numbers.count()));
    if rev1 {
        client.push_line(&format!("* {} RECENT", selected.recent.len()));
    }
    client.push_line(&selected.flags());
    client.push_line(&selected.permanent_flags());
    if let Some(unseen) = unseen {
        client.push_line(&format!("* OK [UNSEEN {unseen}] Ok"));
    }
    client.push_line(&format!("* OK [UIDVALIDITY {}] Ok", mailbox.uidvalidity));
    client.push_line(&format!("* OK [UIDNEXT {}] Ok", selected.uidnext));
    client.push_line(&highest(selected));
    client.push_line(&format!("* OK [MAILBOXID ({})] Ok", mailbox.id));
}

impl Selected {
    /// The messages that a set names, by their UIDs or by their numbers: what isn't there is passed over among UIDs, and a
    /// mistake among numbers (RFC 3501 section 9, `seq-number`).
    pub(super) fn among(&self, set: &SequenceSet, uid: bool) -> Result<Uids, Failure> {
        if *set == SequenceSet::Saved {
            return Ok(self.saved.clone());
        }
        if uid {
            return Ok(self.numbers.among(&set.resolve(self.numbers.last_uid())));
        }
        let count = self.numbers.count();
        if set.highest_number() > count || (count == 0 && set.has_star()) {
            return Err(Failure::bad("Invalid message sequence number"));
        }
        Ok(self.numbers.uids_of(&set.resolve(count)))
    }

    /// Those of these UIDs that have been given to messages.
    pub(super) fn given(&self, uids: &Uids) -> Uids {
        let mut later = Uids::default();
        later.push_range(self.uidnext, u32::MAX);
        uids.without(&later)
    }

    /// The FLAGS response.
    pub(super) fn flags(&self) -> String {
        let system = SYSTEM_FLAGS.iter().copied();
        let keywords = self.mailbox.keywords.iter().map(String::as_str);
        let flags: Vec<&str> = system.chain(keywords).collect();
        format!("* FLAGS ({})", flags.join(" "))
    }

    /// The flags that this session may change.
    pub(super) fn permanent_flags(&self) -> String {
        let mut flags: Vec<&str> = Vec::new();
        if self.read_only {
            return "* OK [PERMANENTFLAGS ()] Ok".to_owned();
        }
        for (at, name) in SYSTEM_FLAGS.iter().enumerate() {
            if self.rights.contains(needs(1 << at)) {
                flags.push(name);
            }
        }
        if self.rights.contains(Rights::WRITE) {
            flags.extend(self.mailbox.keywords.iter().map(String::as_str));
            if self.mailbox.keywords.len() < Flags::KEYWORDS_MAX {
                flags.push("\\*");
            }
        }
        format!("* OK [PERMANENTFLAGS ({})] Ok", flags.join(" "))
    }
}

const NONE: Failure = Failure::State("Select a mailbox first");

/// CLOSE: messages with \Deleted go without a word.
pub(super) async fn close(session: &mut Session, command: &Command<'_>) -> Reply {
    command.no_args()?;
    let selected = session.selected.take().ok_or(NONE)?;
    if !selected.read_only && selected.rights.contains(Rights::EXPUNGE) {
        let order = Order::Expunge {
            mailbox: selected.mailbox.id,
            uids: None,
        };
        let known = selected.gone.is_empty() && !selected.watch.is_dirty();
        if let Outcome::Expunged {
            modseq: Some(modseq),
            ..
        } = session.backend.carry_out(order).await?
            // Only if the client has heard of all else (RFC 7162 section 3.2.8).
            && session.qresync
            && known
            && modseq == selected.modseq + 1
        {
            return ok(format!("OK [HIGHESTMODSEQ {modseq}] Completed"));
        }
    }
    COMPLETED
}

/// UNSELECT.
pub(super) async fn unselect(session: &mut Session, command: &Command<'_>) -> Reply {
    command.no_args()?;
    session.selected.take().ok_or(NONE)?;
    COMPLETED
}

impl Session {
    /// Whether this session may change something of the selected mailbox, by some of these rights, as they are now.
    pub(super) fn may(&self, selected: &mut Selected, rights: Rights) -> Result<(), Failure> {
        if selected.read_only {
            return Err(Failure::coded("READ-ONLY", "The mailbox is open read-only"));
        }
        if let Some(now) = self
            .backend
            .parts
            .store
            .mailbox_by_id(selected.mailbox.id)?
        {
            selected.rights = now.acl.rights_on(&now.name, self.who()?);
        }
        if selected.rights.intersects(rights) {
            Ok(())
        } else {
            Err(Failure::noperm())
        }
    }

    /// A mailbox that the user may know of, and the rights there.
    pub(crate) fn mailbox(&self, given: &[u8]) -> Result<(Mailbox, Rights), Failure> {
        self.mailbox_named(&self.internal(given)?)
    }

    /// The same by its internal name.
    pub(super) fn mailbox_named(&self, name: &Name) -> Result<(Mailbox, Rights), Failure> {
        let found = known(&self.backend, name, self.who()?)?;
        found.ok_or_else(Failure::nonexistent)
    }
}

/// A mailbox that `who` may know of, and the rights there.
pub(super) fn known(
    backend: &Backend,
    name: &Name,
    who: &Identity,
) -> Result<Option<(Mailbox, Rights)>, Failure> {
    let Some(mailbox) = backend.parts.store.mailbox(name)? else {
        return Ok(None);
    };
    let rights = mailbox.acl.rights_on(name, who);
    Ok(rights.may_know().then_some((mailbox, rights)))
}
