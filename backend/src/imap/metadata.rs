//! GETMETADATA and SETMETADATA (RFC 5464), LIST-METADATA (RFC 9590): annotations of a mailbox, or of the server, which has the name "".
//!
//! Who has `l` and one of `r`, `s`, `w`, `i`, `p` reads all, and has private entries of their own; what is shared is set
//! with `w`, and at the server by an admin (section 3.3). What a mailbox is for is an entry, too (RFC 6154 section 4). An entry
//! without a value is told as NIL where it was asked for by its name.

use std::borrow::Cow;

use ravenry_core::mailboxes::{Identity, Name, Rights};
use ravenry_core::proto::imap::{Command, Depth, GetMetadata, MetadataEntry, SetMetadata, encode};

use super::failure::Failure;
use super::freespace;
use super::naming::unread;
use super::session::{COMPLETED, Reply, Session, ok};
use crate::store::{Annotated, Mailbox, MailboxId, Order, Refused, SpecialUse, Store};

/// The longest value.
const VALUE_BYTES_MAX: usize = 64 * 1024;
/// What a mailbox is for, as LIST has it (RFC 6154 section 4).
const SPECIAL_USE: &str = "/private/specialuse";
/// A response that is longer isn't made longer still.
const RESPONSE_BYTES_MAX: usize = 16 * 1024;

/// GETMETADATA; and GETANNOTATION with its arguments, as a Cyrus frontend passes that on.
pub(super) async fn get(session: &mut Session, command: &Command<'_>) -> Reply {
    let asked = GetMetadata::parse(command.args)?;
    let of = Target::find(session, &asked.mailbox)?;
    match tell(session, &of, &asked, &asked.mailbox).await? {
        Some(size) => ok(format!("OK [METADATA LONGENTRIES {size}] Completed")),
        None => COMPLETED,
    }
}

/// What LIST tells along of a mailbox that is called `shown` (RFC 9590); nothing to who may not see it.
pub(super) async fn along(
    session: &mut Session,
    (mailbox, rights): (Mailbox, Rights),
    asked: &GetMetadata<'_>,
    shown: &[u8],
) -> Result<(), Failure> {
    if may_look(session.who()?, &mailbox.name, rights) {
        let of = Target::Mailbox(Box::new(mailbox), rights);
        tell(session, &of, asked, shown).await?;
    }
    Ok(())
}

/// Tells the entries that are asked for; gives the size of the largest that is larger than the client wants.
async fn tell(
    session: &mut Session,
    of: &Target,
    asked: &GetMetadata<'_>,
    shown: &[u8],
) -> Result<Option<u64>, Failure> {
    let mut left = of.entries(session)?;
    let mut response = Response::new(shown);
    let mut longest = None;
    for wanted in &asked.entries {
        let is_wanted =
            |(entry, _): &mut (MetadataEntry, u64)| entry.is_within(wanted, asked.depth);
        let found: Vec<_> = left.extract_if(.., is_wanted).collect();
        if found.is_empty() && asked.depth == Depth::Zero {
            let value = of.computed(session, wanted).await;
            response.add(session, wanted, value.as_deref()).await?;
        }
        for (entry, size) in found {
            if asked.size_max.is_some_and(|max| size > max) {
                longest = longest.max(Some(size));
                continue;
            }
            let value = of.value(session, &entry)?;
            response.add(session, &entry, value.as_deref()).await?;
        }
    }
    response.end(session).await?;
    Ok(longest)
}

/// SETMETADATA: all of it or nothing.
pub(super) async fn set(session: &Session, command: &Command<'_>) -> Reply {
    let given = SetMetadata::parse(command.args)?;
    let of = Target::find(session, &given.mailbox)?;
    let (mut values, mut special_use) = (Vec::new(), None);
    for (entry, value) in given.values {
        of.may_set(session.who()?, &entry)?;
        if value
            .as_ref()
            .is_some_and(|value| value.len() > VALUE_BYTES_MAX)
        {
            return Err(Failure::coded(
                format!("METADATA MAXSIZE {VALUE_BYTES_MAX}"),
                "The value is too long",
            ));
        }
        if of.is_special_use(&entry) {
            special_use = Some(uses(value.as_deref())?);
        } else {
            values.push((entry, value.map(Cow::into_owned)));
        }
    }
    let order = of.order(session.who()?, values);
    match special_use.zip(of.id()) {
        None => drop(session.backend.carry_out(order).await?),
        Some((special_use, id)) => {
            let make = move |store: &Store| with_special_use(store, order, id, special_use);
            session.backend.all_or_nothing(make).await?;
        }
    }
    COMPLETED
}

/// The annotations come first: they are refused where the mailbox has no name any more.
fn with_special_use(
    store: &Store,
    annotate: Order,
    id: MailboxId,
    special_use: SpecialUse,
) -> Result<Vec<Order>, Refused> {
    let mailbox = store.mailbox_by_id(id).map_err(unread)?;
    let name = mailbox.ok_or(Refused::NoMailbox)?.name;
    Ok(vec![annotate, Order::SetSpecialUse { name, special_use }])
}

/// The uses that a value names, with spaces between them (RFC 6154 section 4).
fn uses(value: Option<&[u8]>) -> Result<SpecialUse, Failure> {
    let words = value.unwrap_or_default().split(|byte| *byte == b' ');
    let mut uses = SpecialUse::NONE;
    for word in words.filter(|word| !word.is_empty()) {
        let known = SpecialUse::parse(word);
        uses = uses
            .and(known.ok_or_else(|| Failure::coded("USEATTR", "There is no such special use"))?);
    }
    Ok(uses)
}

/// What is annotated.
enum Target {
    Server,
    /// A mailbox, and what the user may do there.
    Mailbox(Box<Mailbox>, Rights),
}

impl Target {
    /// What the user may look at.
    fn find(session: &Session, given: &[u8]) -> Result<Self, Failure> {
        if given.is_empty() {
            return Ok(Self::Server);
        }
        let (mailbox, rights) = session.mailbox(given)?;
        if may_look(session.who()?, &mailbox.name, rights) {
            Ok(Self::Mailbox(Box::new(mailbox), rights))
        } else {
            Err(Failure::noperm())
        }
    }

    fn id(&self) -> Option<MailboxId> {
        match self {
            Self::Server => None,
            Self::Mailbox(mailbox, _) => Some(mailbox.id),
        }
    }

    fn may_set(&self, who: &Identity, entry: &MetadataEntry) -> Result<(), Failure> {
        let may = match self {
            Self::Mailbox(mailbox, _) if self.is_special_use(entry) => {
                mailbox.name.is_owned_by(&who.user) || who.administers(&mailbox.name)
            }
            _ if entry.is_private() => true,
            Self::Mailbox(mailbox, rights) => {
                rights.contains(Rights::WRITE) || who.administers(&mailbox.name)
            }
            Self::Server => who.admin && who.user.domain().is_none(),
        };
        if may { Ok(()) } else { Err(Failure::noperm()) }
    }

    fn is_special_use(&self, entry: &MetadataEntry) -> bool {
        matches!(self, Self::Mailbox(..)) && entry.as_str() == SPECIAL_USE
    }

    fn order(&self, who: &Identity, values: Vec<Annotated>) -> Order {
        Order::Annotate {
            of: self.id(),
            user: who.user.clone(),
            values,
        }
    }

    /// All entries that have a value, with its size.
    fn entries(&self, session: &Session) -> Result<Vec<(MetadataEntry, u64)>, Failure> {
        let store = &session.backend.parts.store;
        let mut entries = store.annotations(self.id(), &session.who()?.user)?;
        if let Self::Mailbox(mailbox, _) = self
            && !mailbox.special_use.is_none()
        {
            let entry = MetadataEntry::parse(SPECIAL_USE.as_bytes());
            let entry = entry.expect("invariant: it is an entry's name");
            entries.push((entry, attributes(mailbox).len() as u64));
            entries.sort_unstable();
        }
        Ok(entries)
    }

    /// The value of an entry that nobody sets.
    async fn computed(&self, session: &Session, entry: &MetadataEntry) -> Option<Vec<u8>> {
        let asked = matches!(self, Self::Server) && entry.as_str() == freespace::ENTRY;
        let parts = asked.then(|| session.backend.parts.clone())?;
        freespace::value(&parts).await
    }

    fn value(&self, session: &Session, entry: &MetadataEntry) -> Result<Option<Vec<u8>>, Failure> {
        match self {
            Self::Mailbox(mailbox, _) if self.is_special_use(entry) => {
                Ok(Some(attributes(mailbox).into_bytes()))
            }
            _ => {
                let user = &session.who()?.user;
                let store = &session.backend.parts.store;
                Ok(store.annotation(self.id(), user, entry)?)
            }
        }
    }
}

fn attributes(mailbox: &Mailbox) -> String {
    let attributes: Vec<&str> = mailbox.special_use.attributes().collect();
    attributes.join(" ")
}

/// Whether a mailbox' annotations are there for a user (RFC 5464 section 3.3).
fn may_look(who: &Identity, name: &Name, rights: Rights) -> bool {
    let one_of = Rights::READ | Rights::SEEN | Rights::WRITE | Rights::INSERT | Rights::POST;
    rights.contains(Rights::LOOKUP) && rights.intersects(one_of) || who.administers(name)
}

/// METADATA responses that are on their way.
struct Response<'a> {
    mailbox: &'a [u8],
    /// The one that has been begun.
    line: Vec<u8>,
}

impl<'a> Response<'a> {
    fn new(mailbox: &'a [u8]) -> Self {
        Self {
            mailbox,
            line: Vec::new(),
        }
    }

    async fn add(
        &mut self,
        session: &mut Session,
        entry: &MetadataEntry,
        value: Option<&[u8]>,
    ) -> Result<(), Failure> {
        if self.line.is_empty() {
            self.line.extend_from_slice(b"* METADATA ");
            session.write_name(&mut self.line, self.mailbox)?;
            self.line.extend_from_slice(b" (");
        } else {
            self.line.push(b' ');
        }
        encode::astring(&mut self.line, entry.as_str().as_bytes())?;
        self.line.push(b' ');
        match value {
            Some(value) => encode::string8(&mut self.line, value),
            None => self.line.extend_from_slice(b"NIL"),
        }
        if self.line.len() > RESPONSE_BYTES_MAX {
            self.end(session).await?;
        }
        Ok(())
    }

    async fn end(&mut self, session: &mut Session) -> Result<(), Failure> {
        if !self.line.is_empty() {
            self.line.extend_from_slice(b")\r\n");
            session.client.send(&self.line).await?;
            self.line.clear();
        }
        Ok(())
    }
}
