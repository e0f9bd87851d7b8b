//! A client's view of names: separator, INBOX, alt_namespace (RFC 2342, RFC 3501 section 5.1).
//!
//! | internal          | standard        | alt_namespace            |
//! |-------------------|-----------------|--------------------------|
//! | `user.me`         | `INBOX`         | `INBOX`                  |
//! | `user.me.Sent`    | `INBOX.Sent`    | `Sent`                   |
//! | `user.me.INBOX.x` | `INBOX.INBOX.x` | `INBOX.x`                |
//! | `user.me.inbox`   | `INBOX.inbox`   | `Alt Folders.inbox`      |
//! | `user.you.Sent`   | `user.you.Sent` | `Other Users.you.Sent`   |
//! | `shared`          | `shared`        | `Shared Folders.shared`  |
//!
//! `Alt Folders` holds the user's own mailboxes whose names mean something else beside INBOX:
//! `inbox`, `Other Users`, `Shared Folders`, `Alt Folders`.
//! With '/' as separator each '.' of the internal form is '/', and '^' is '.'. An admin's view is
//! the internal form, whatever alt_namespace says; INBOX is the admin's own inbox there too.
//!
//! With virtual domains a user sees the names of their own domain, without it, and no other's. An
//! admin sees `example.org!user.bob.Sent` as `user.bob.Sent@example.org` (`domains` goes on).

use super::name::{key_of, local_at};
use super::visible::Part;
use super::{Identity, Name, NameError, UserId};

/// How a site shows names to clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Namespace {
    /// `b'/'`, or `b'.'` (which any other byte means, too).
    pub separator: u8,
    /// Personal mailboxes beside INBOX instead of below it.
    pub alt: bool,
    /// Where there are virtual domains: the one whose users and mailboxes have none in their names.
    pub default_domain: Option<&'static str>,
}

/// The prefixes that NAMESPACE answers, separator at the end; `None` is NIL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prefixes {
    /// The user's own mailboxes. An admin's aren't set apart.
    pub personal: Option<Vec<u8>>,
    /// Other users' mailboxes.
    pub others: Vec<u8>,
    /// Shared mailboxes.
    pub shared: Vec<u8>,
}

impl Namespace {
    /// The separator that clients see.
    pub fn delimiter(&self) -> u8 {
        if self.separator == b'/' { b'/' } else { b'.' }
    }

    /// Who a user's name means at a login; with virtual domains `bob@example.org` is in a domain.
    pub fn user(&self, given: &[u8]) -> Result<UserId, NameError> {
        match self.default_domain {
            None => UserId::parse(given),
            Some(default) => UserId::in_domains(given, default),
        }
    }

    /// The user that an identifier of `who`'s means: one of the same domain, where none is given.
    pub fn named_user(&self, identifier: &[u8], who: &Identity) -> Option<UserId> {
        let user = self.user(identifier).ok()?;
        match who.user.domain() {
            Some(domain) if !identifier.contains(&b'@') => {
                self.user(format!("{user}@{domain}").as_bytes()).ok()
            }
            _ => Some(user),
        }
    }

    /// The internal form of a name that a client gave.
    pub fn internal(&self, client: &[u8], who: &Identity) -> Result<Name, NameError> {
        let client = match client.split_last() {
            // RFC 3501 section 6.3.3: a separator at the end says that there will be children.
            Some((last, rest)) if *last == self.delimiter() && !rest.is_empty() => rest,
            _ => client,
        };
        if self.shows_domains_to(who) {
            return self.internal_of_admin(client, who);
        }
        let name = self.untranslated(client)?;
        let domain = who.user.domain().unwrap_or_default().as_bytes();
        let (first, rest) = match memchr::memchr(b'.', &name) {
            Some(at) => (&name[..at], &name[at..]),
            None => (&name[..], &name[..0]),
        };
        let alt = self.is_alt_for(who);
        let own = |parts: &[&[u8]]| [who.user.inbox().local(), &parts.concat()].concat();
        let is_inbox = first.eq_ignore_ascii_case(INBOX);
        let internal = match (alt, first) {
            _ if is_inbox && (rest.is_empty() || !alt) => own(&[rest]),
            (false, _) => name,
            (true, _) if is_inbox => own(&[b".", INBOX, rest]),
            (true, OTHERS_ALT) => [OTHERS, rest].concat(),
            (true, SHARED_ALT) => rest.strip_prefix(b".").unwrap_or_default().to_vec(),
            (true, ALTERNATE) if rest.is_empty() => return Err(NameError::Reserved),
            (true, ALTERNATE) => own(&[rest]),
            (true, _) => own(&[b".", &name]),
        };
        if internal == OTHERS || (internal.is_empty() && alt) {
            return Err(NameError::Reserved);
        }
        Name::parse_in(domain, &internal)
    }

    /// The name as `who` sees it; `None` for one that no name of theirs leads to.
    pub fn external(&self, name: &Name, who: &Identity) -> Option<Vec<u8>> {
        let mut external = Vec::new();
        let view = self.view(name.as_bytes(), who)?;
        view.write(self, name.as_bytes(), &mut external)
            .then_some(external)
    }

    /// The prefixes for NAMESPACE.
    pub fn prefixes(&self, who: &Identity) -> Prefixes {
        let with_delimiter = |prefix: &[u8]| [prefix, &[self.delimiter()]].concat();
        let alt = self.is_alt_for(who);
        Prefixes {
            personal: match (who.admin, alt) {
                (true, _) => None,
                (false, true) => Some(Vec::new()),
                (false, false) => Some(with_delimiter(INBOX)),
            },
            others: with_delimiter(if alt { OTHERS_ALT } else { OTHERS }),
            shared: if alt {
                with_delimiter(SHARED_ALT)
            } else {
                Vec::new()
            },
        }
    }

    /// The NAMESPACE response (RFC 2342), without its end.
    #[must_use]
    pub fn response(&self, who: &Identity) -> String {
        let prefixes = self.prefixes(who);
        let delimiter = char::from(self.delimiter());
        let class = |prefix: &[u8]| {
            let prefix = String::from_utf8_lossy(prefix);
            format!("((\"{prefix}\" \"{delimiter}\"))")
        };
        let personal = prefixes.personal.as_deref().map(class);
        format!(
            "* NAMESPACE {} {} {}",
            personal.unwrap_or_else(|| "NIL".to_owned()),
            class(&prefixes.others),
            class(&prefixes.shared),
        )
    }

    /// Where an internal name belongs in `who`'s view.
    pub(super) fn view(&self, name: &[u8], who: &Identity) -> Option<View> {
        if self.shows_domains_to(who) {
            return self.view_of_admin(name, who);
        }
        let domain = who.user.domain_prefix();
        let local = name.strip_prefix(&domain[..])?;
        // No name that a client gives has a '!'.
        if local_at(local) > 0 {
            return None;
        }
        let mut view = self.view_in_domain(local, who)?;
        view.cut += domain.len();
        Some(view)
    }

    /// The same within the identity's domain.
    fn view_in_domain(&self, name: &[u8], who: &Identity) -> Option<View> {
        let alt = self.is_alt_for(who);
        let inbox = who.user.inbox();
        let inbox = inbox.local();
        let under = |prefix: &[u8]| name.strip_prefix(prefix).filter(|rest| starts_level(rest));
        let first = |name: &[u8]| {
            name.split(|byte| *byte == b'.')
                .next()
                .map_or(0, <[u8]>::len)
        };
        let view = |part, cut, prefix: &[u8]| View {
            part,
            cut,
            prefix: prefix.to_vec(),
            suffix: Vec::new(),
        };
        if let Some(rest) = under(inbox).filter(|_| !who.admin) {
            let (at, below) = (inbox.len(), rest.get(1..).unwrap_or_default());
            let first = &below[..first(below)];
            return Some(if !alt {
                view(Part::Own, at, INBOX)
            } else if rest.is_empty() {
                view(Part::Inbox, at, INBOX)
            } else if first == INBOX && below.len() > INBOX.len() {
                view(Part::Inbox, at + 1 + INBOX.len(), INBOX)
            } else if means_something_else(first) {
                view(Part::Alternate, at, ALTERNATE)
            } else {
                view(Part::Own, at + 1, b"")
            });
        }
        if under(OTHERS).is_some() {
            let prefix = if alt { OTHERS_ALT } else { OTHERS };
            let is_prefix_alone = name.len() == OTHERS.len();
            return (!is_prefix_alone).then(|| view(Part::Others, OTHERS.len(), prefix));
        }
        if alt {
            let prefix = [SHARED_ALT, &[self.delimiter()]].concat();
            return Some(view(Part::SharedBefore, 0, &prefix));
        }
        let is_inbox = name[..first(name)].eq_ignore_ascii_case(INBOX);
        (!is_inbox).then(|| view(Part::SharedBefore, 0, b""))
    }

    /// The internal name below which `who` sees the children of `name`; `None`: it has none.
    pub(super) fn below(&self, name: &Name, who: &Identity) -> Option<Vec<u8>> {
        if self.shows_domains_to(who) {
            let view = self.view_of_admin(name.as_bytes(), who);
            return view
                .filter(|view| view.suffix.is_empty())
                .map(|_| name.as_bytes().to_vec());
        }
        let inbox = who.user.inbox();
        let below_inbox = [inbox.as_bytes(), b".", INBOX].concat();
        if !self.is_alt_for(who) {
            Some(name.as_bytes().to_vec())
        } else if *name == inbox {
            Some(below_inbox)
        } else {
            Some(name.as_bytes().to_vec()).filter(|name| *name != below_inbox)
        }
    }

    /// What internal names of `part` begin with whose external names begin with `prefix`.
    pub(super) fn internal_prefix(&self, part: Part, prefix: &[u8], who: &Identity) -> Prefix {
        let alt = self.is_alt_for(who);
        let domain = who.user.domain_prefix();
        let shared_alt = [SHARED_ALT, &[self.delimiter()]].concat();
        let inbox = who.user.inbox();
        let (cut, shown) = match (part, alt) {
            (Part::Inbox | Part::Own | Part::Alternate, true) => return Prefix::All,
            (Part::Inbox | Part::Alternate, false) => return Prefix::Nothing,
            (Part::Own, false) => (inbox.local(), INBOX),
            (Part::Others, true) => (OTHERS, OTHERS_ALT),
            (Part::Others, false) => (OTHERS, OTHERS),
            (Part::SharedBefore | Part::SharedAfter, true) => (&[][..], &shared_alt[..]),
            (Part::SharedBefore | Part::SharedAfter, false) => (&[][..], &[][..]),
        };
        if let Some(rest) = prefix.strip_prefix(shown) {
            let rest = rest.iter().map(|byte| self.to_internal(*byte));
            let start = domain.iter().chain(cut).copied();
            return Prefix::Only(start.chain(rest).collect());
        }
        if shown.starts_with(prefix) {
            Prefix::All
        } else {
            Prefix::Nothing
        }
    }

    fn is_alt_for(&self, who: &Identity) -> bool {
        self.alt && !who.admin
    }

    pub(super) fn untranslated(&self, client: &[u8]) -> Result<Vec<u8>, NameError> {
        if self.delimiter() == b'.' {
            return Ok(client.to_vec());
        }
        if client.contains(&b'^') {
            return Err(NameError::BadByte(b'^'));
        }
        Ok(client.iter().map(|byte| self.to_internal(*byte)).collect())
    }

    pub(super) fn to_internal(self, byte: u8) -> u8 {
        match (self.delimiter(), byte) {
            (b'/', b'/') => b'.',
            (b'/', b'.') => b'^',
            (_, byte) => byte,
        }
    }

    /// `None` for a byte that the client's form can't have.
    fn to_external(self, byte: u8) -> Option<u8> {
        match (self.delimiter(), byte) {
            (b'/', b'.') => Some(b'/'),
            (b'/', b'^') => Some(b'.'),
            (b'/', b'/') => None,
            (_, byte) => Some(byte),
        }
    }
}

/// How internal names of one part of the tree become external: the first `cut` bytes are
/// replaced by `prefix`, the rest is translated byte by byte, and `suffix` follows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct View {
    /// The part of LIST's answer that the name is in (`SharedBefore` for either shared one).
    pub(super) part: Part,
    pub(super) cut: usize,
    pub(super) prefix: Vec<u8>,
    /// `@` and the domain, for admins.
    pub(super) suffix: Vec<u8>,
}

impl View {
    /// Appends the external name; `false` if there is none.
    pub(super) fn write(&self, namespace: &Namespace, name: &[u8], into: &mut Vec<u8>) -> bool {
        into.extend_from_slice(&self.prefix);
        for byte in &name[self.cut..] {
            match namespace.to_external(*byte) {
                Some(byte) => into.push(byte),
                None => return false,
            }
        }
        into.extend_from_slice(&self.suffix);
        true
    }

    /// What the keys of all names begin with that are shown with the first `len` bytes of this
    /// one, and only they; `None`: there is nothing such. Empty: it is the whole part.
    pub(super) fn shared_key(&self, name: &[u8], len: usize) -> Option<Vec<u8>> {
        let Some(len @ 1..) = len.checked_sub(self.prefix.len()) else {
            return Some(Vec::new());
        };
        let key = key_of(name.get(..self.cut + len)?);
        // Names in domains begin with 0, and so does one that begins with a separator.
        (key.first() != Some(&0) || self.cut > 0).then_some(key)
    }
}

/// Which names of a part may have an external name that begins so.
pub(super) enum Prefix {
    All,
    Nothing,
    /// Those that begin with this.
    Only(Vec<u8>),
}

/// Whether a name that begins so, put beside INBOX, would be taken for another.
fn means_something_else(first: &[u8]) -> bool {
    first.eq_ignore_ascii_case(INBOX) || [OTHERS_ALT, SHARED_ALT, ALTERNATE].contains(&first)
}

pub(super) fn starts_level(rest: &[u8]) -> bool {
    rest.first().is_none_or(|byte| *byte == b'.')
}

pub(super) const INBOX: &[u8] = b"INBOX";
pub(super) const OTHERS: &[u8] = b"user";
const OTHERS_ALT: &[u8] = b"Other Users";
const SHARED_ALT: &[u8] = b"Shared Folders";
const ALTERNATE: &[u8] = b"Alt Folders";
