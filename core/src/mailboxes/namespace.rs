//! A client's view of names: separator, INBOX, alt_namespace (RFC 2342, RFC 3501 section 5.1).
//!
//! | internal          | standard        | alt_namespace            |
//! |-------------------|-----------------|--------------------------|
//! | `user.me`         | `INBOX`         | `INBOX`                  |
//! | `user.me.Sent`    | `INBOX.Sent`    | `Sent`                   |
//! | `user.you.Sent`   | `user.you.Sent` | `Other Users.you.Sent`   |
//! | `shared`          | `shared`        | `Shared Folders.shared`  |
//!
//! With '/' as separator each '.' of the internal form is '/', and '^' is '.'. An admin's view is
//! the internal form, whatever alt_namespace says; INBOX is the admin's own inbox there too.

use super::visible::Part;
use super::{Identity, Name, NameError};

/// How a site shows names to clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Namespace {
    /// `b'/'`, or `b'.'` (which any other byte means, too).
    pub separator: u8,
    /// Personal mailboxes beside INBOX instead of below it.
    pub alt: bool,
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

    /// The internal form of a name that a client gave.
    pub fn internal(&self, client: &[u8], who: &Identity) -> Result<Name, NameError> {
        let name = self.untranslated(client)?;
        let (first, rest) = match memchr::memchr(b'.', &name) {
            Some(at) => (&name[..at], &name[at..]),
            None => (&name[..], &name[..0]),
        };
        let alt = self.is_alt_for(who);
        let own = |rest: &[u8]| [who.user.inbox().as_bytes(), rest].concat();
        let internal = if first.eq_ignore_ascii_case(INBOX) && (rest.is_empty() || !alt) {
            own(rest)
        } else if !alt {
            name
        } else if first == OTHERS_ALT {
            [OTHERS, rest].concat()
        } else if first == SHARED_ALT {
            rest.strip_prefix(b".").unwrap_or_default().to_vec()
        } else if first.eq_ignore_ascii_case(INBOX) {
            return Err(NameError::Reserved);
        } else {
            own(&[b".", &name[..]].concat())
        };
        if internal == OTHERS || (internal.is_empty() && alt) {
            return Err(NameError::Reserved);
        }
        Name::parse(&internal)
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

    /// Where an internal name belongs in `who`'s view.
    pub(super) fn view(&self, name: &[u8], who: &Identity) -> Option<View> {
        let alt = self.is_alt_for(who);
        let inbox = who.user.inbox();
        let inbox = inbox.as_bytes();
        let under = |prefix: &[u8]| name.strip_prefix(prefix).filter(|rest| starts_level(rest));
        if let Some(rest) = under(inbox).filter(|_| !who.admin) {
            return Some(match (alt, rest.is_empty()) {
                (true, false) => View {
                    cut: inbox.len() + 1,
                    prefix: Vec::new(),
                },
                _ => View {
                    cut: inbox.len(),
                    prefix: INBOX.to_vec(),
                },
            });
        }
        if under(OTHERS).is_some() {
            let prefix = if alt { OTHERS_ALT } else { OTHERS };
            return (name.len() > OTHERS.len()).then(|| View {
                cut: OTHERS.len(),
                prefix: prefix.to_vec(),
            });
        }
        if alt {
            return Some(View {
                cut: 0,
                prefix: [SHARED_ALT, &[self.delimiter()]].concat(),
            });
        }
        let first = name.split(|byte| *byte == b'.').next().unwrap_or_default();
        (!first.eq_ignore_ascii_case(INBOX)).then(|| View {
            cut: 0,
            prefix: Vec::new(),
        })
    }

    /// What internal names of `part` begin with whose external names begin with `prefix`.
    pub(super) fn internal_prefix(&self, part: Part, prefix: &[u8], who: &Identity) -> Prefix {
        let alt = self.is_alt_for(who);
        let shared_alt = [SHARED_ALT, &[self.delimiter()]].concat();
        let inbox = who.user.inbox();
        let (cut, shown) = match (part, alt) {
            (Part::Own, true) => return Prefix::All,
            (Part::Own, false) => (inbox.as_bytes(), INBOX),
            (Part::Others, true) => (OTHERS, OTHERS_ALT),
            (Part::Others, false) => (OTHERS, OTHERS),
            (Part::SharedBefore | Part::SharedAfter, true) => (&[][..], &shared_alt[..]),
            (Part::SharedBefore | Part::SharedAfter, false) => (&[][..], &[][..]),
        };
        if let Some(rest) = prefix.strip_prefix(shown) {
            let rest = rest.iter().map(|byte| self.to_internal(*byte));
            return Prefix::Only(cut.iter().copied().chain(rest).collect());
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

    fn untranslated(&self, client: &[u8]) -> Result<Vec<u8>, NameError> {
        if self.delimiter() == b'.' {
            return Ok(client.to_vec());
        }
        if client.contains(&b'^') {
            return Err(NameError::BadByte(b'^'));
        }
        Ok(client.iter().map(|byte| self.to_internal(*byte)).collect())
    }

    fn to_internal(self, byte: u8) -> u8 {
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
/// replaced by `prefix`, the rest is translated byte by byte.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct View {
    pub(super) cut: usize,
    pub(super) prefix: Vec<u8>,
}

impl View {
    /// Appends the external name; `false` if there is none.
    pub(super) fn write(&self, namespace: &Namespace, name: &[u8], into: &mut Vec<u8>) -> bool {
        into.extend_from_slice(&self.prefix);
        let start = into.len();
        for byte in &name[self.cut..] {
            match namespace.to_external(*byte) {
                Some(byte) => into.push(byte),
                None => return false,
            }
        }
        if self.prefix.is_empty() && self.cut > 0 {
            // alt_namespace: what stands for INBOX or for a prefix can't stand for a mailbox.
            let rest = &into[start..];
            let first = rest.split(|byte| *byte == namespace.delimiter()).next();
            let first = first.unwrap_or_default();
            return !(first.eq_ignore_ascii_case(INBOX)
                || first == OTHERS_ALT
                || first == SHARED_ALT);
        }
        true
    }
}

/// Which names of a part may have an external name that begins so.
pub(super) enum Prefix {
    All,
    Nothing,
    /// Those that begin with this.
    Only(Vec<u8>),
}

fn starts_level(rest: &[u8]) -> bool {
    rest.first().is_none_or(|byte| *byte == b'.')
}

const INBOX: &[u8] = b"INBOX";
const OTHERS: &[u8] = b"user";
const OTHERS_ALT: &[u8] = b"Other Users";
const SHARED_ALT: &[u8] = b"Shared Folders";
