//! Mailbox names in internal form, and user names.
//!
//! Internal form: components with '.' between them, `user.NAME` for a user's inbox, a dot inside
//! a component written '^'. A name that a client gives is checked strictly; one that comes by
//! MUPDATE is taken if it can be stored, since a name that we refuse would be missing.
//! With virtual domains a name begins with its domain, unless it is in the default one:
//! `example.org!user.bob.Sent`, of the user `bob@example.org`.
//! RFC 3501 section 5.1 (names), 5.1.3 (modified UTF-7).

use std::fmt;

use super::utf7::is_utf7;

/// The longest mailbox name, in bytes (as in Cyrus).
pub const NAME_BYTES_MAX: usize = 490;
/// The longest user name, in bytes.
pub const USER_BYTES_MAX: usize = 200;

/// A mailbox name in internal form: `user.alice.Sent`.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Name(Box<[u8]>);

/// Why a mailbox name or a user name was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameError {
    /// Nothing in it.
    Empty,
    /// Over [`NAME_BYTES_MAX`] or [`USER_BYTES_MAX`].
    TooLong,
    /// A byte that may not be in a name.
    BadByte(u8),
    /// Two separators in a row, or one at the start or the end.
    EmptyComponent,
    /// Modified UTF-7 that isn't well formed.
    BadUtf7,
    /// UTF-8 that isn't well formed.
    BadUtf8,
    /// A name that stands for something else: a namespace's prefix, `anyone`.
    Reserved,
    /// What follows the `@` is no domain.
    BadDomain,
    /// A domain that isn't the admin's own.
    OtherDomain,
}

impl Name {
    /// A name in internal form that a client gave (after [`super::Namespace`]'s translation).
    pub fn parse(name: &[u8]) -> Result<Self, NameError> {
        check_length(name, NAME_BYTES_MAX)?;
        if let Some(bad) = name.iter().copied().find(|byte| !is_name_byte(*byte)) {
            return Err(NameError::BadByte(bad));
        }
        if name.split(|byte| *byte == b'.').any(<[u8]>::is_empty) {
            return Err(NameError::EmptyComponent);
        }
        if !is_utf7(name) {
            return Err(NameError::BadUtf7);
        }
        Ok(Self(name.into()))
    }

    /// The same in a domain, which may be the default one: "".
    pub(super) fn parse_in(domain: &[u8], local: &[u8]) -> Result<Self, NameError> {
        let mut name = Self::parse(local)?;
        if !domain.is_empty() {
            name.0 = [domain, b"!", local].concat().into();
            check_length(&name.0, NAME_BYTES_MAX)?;
        }
        Ok(name)
    }

    /// A name that came by MUPDATE: anything that can be stored.
    pub fn from_mupdate(name: &[u8]) -> Result<Self, NameError> {
        check_length(name, NAME_BYTES_MAX)?;
        if name.contains(&0) {
            return Err(NameError::BadByte(0));
        }
        Ok(Self(name.into()))
    }

    /// The bytes of the internal form.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The domain it is in; "": the default one, or there are none.
    pub fn domain(&self) -> &[u8] {
        &self.0[..local_at(&self.0).saturating_sub(1)]
    }

    /// The name within its domain.
    pub(super) fn local(&self) -> &[u8] {
        &self.0[local_at(&self.0)..]
    }

    /// The mailbox above this one, whether it exists or not.
    pub fn parent(&self) -> Option<Self> {
        let start = local_at(&self.0);
        let end = start + self.0[start..].iter().rposition(|byte| *byte == b'.')?;
        (end > 0).then(|| Self(self.0[..end].into()))
    }

    /// Whether this is `user`'s inbox or below it.
    pub fn is_owned_by(&self, user: &UserId) -> bool {
        let local = match user.domain() {
            None => Some(&self.0[..]),
            Some(domain) => {
                let rest = self.0.strip_prefix(domain.as_bytes());
                rest.and_then(|rest| rest.strip_prefix(b"!"))
            }
        };
        let Some(rest) = local.and_then(|local| local.strip_prefix(b"user.")) else {
            return false;
        };
        let len = user.local_len;
        rest.len() >= len
            && user.component().eq(rest[..len].iter().copied())
            && matches!(rest.get(len), None | Some(b'.'))
    }

    /// The user whose inbox this is, or is above it. `None`: there is none, or nobody can be called so.
    #[must_use]
    pub fn owner(&self) -> Option<UserId> {
        let rest = self.local().strip_prefix(b"user.")?;
        let component = rest.split(|byte| *byte == b'.').next()?;
        let dot = |byte: &u8| if *byte == b'^' { b'.' } else { *byte };
        let text: Vec<u8> = component.iter().map(dot).collect();
        let mut owner = UserId::parse(&text).ok()?;
        if !self.domain().is_empty() {
            let domain = std::str::from_utf8(self.domain()).ok()?;
            owner.text = format!("{}@{domain}", owner.text).into();
        }
        // Upper case, say: the name would be another one's.
        self.is_owned_by(&owner).then_some(owner)
    }

    /// Whether this is some user's inbox: `user.NAME` and nothing below.
    pub fn is_inbox(&self) -> bool {
        self.local()
            .strip_prefix(b"user.")
            .is_some_and(|rest| !rest.is_empty() && !rest.contains(&b'.'))
    }

    /// Whether this is what a deleted mailbox became: `DELETED.NAME.TIME`.
    pub fn is_deleted(&self) -> bool {
        self.local().starts_with(b"DELETED.")
    }

    /// The name as a key: children come right behind their parent.
    #[must_use]
    pub fn to_key(&self) -> Vec<u8> {
        key_of(&self.0)
    }

    pub(super) fn from_key(key: &[u8]) -> Self {
        let mut name = Vec::with_capacity(key.len());
        write_name(key, &mut name);
        Self(name.into())
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.escape_ascii().fmt(f)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

impl PartialOrd for Name {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

/// The list's order: '.' before any other byte, so that children follow their parent directly, and
/// what has a domain before all else.
impl Ord for Name {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        key_bytes(&self.0).cmp(key_bytes(&other.0))
    }
}

/// A user's name as it was proved at login. Its `component` is how mailbox names carry it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UserId {
    text: Box<str>,
    /// How much of it comes before its domain, if it has one that counts.
    local_len: usize,
}

impl UserId {
    /// Checks a user name and puts it in lower case, as Cyrus does (ACLs and mailbox names have
    /// it so): no byte that means something in a mailbox name, a pattern or an ACL,
    /// and none of the identifiers that ACLs have for others than users.
    pub fn parse(user: &[u8]) -> Result<Self, NameError> {
        check_length(user, USER_BYTES_MAX)?;
        let bad = |byte: u8| !(0x21..=0x7e).contains(&byte) || b"/!^%*\"\\".contains(&byte);
        if let Some(byte) = user.iter().copied().find(|byte| bad(*byte)) {
            return Err(NameError::BadByte(byte));
        }
        let is =
            |word: &[u8]| user.len() >= word.len() && user[..word.len()].eq_ignore_ascii_case(word);
        if user.eq_ignore_ascii_case(b"anyone") || is(b"group:") || user.starts_with(b"-") {
            return Err(NameError::Reserved);
        }
        Ok(Self {
            text: user
                .iter()
                .map(|byte| char::from(byte.to_ascii_lowercase()))
                .collect(),
            local_len: user.len(),
        })
    }

    /// The same where there are virtual domains: `bob@example.org`; users of the `default` domain
    /// have none in their name, even if one was given.
    pub fn in_domains(user: &[u8], default: &str) -> Result<Self, NameError> {
        let mut id = Self::parse(user)?;
        let Some((local, domain)) = id.text.split_once('@') else {
            return Ok(id);
        };
        if local.is_empty() {
            return Err(NameError::Empty);
        }
        if !is_domain(domain.as_bytes()) {
            return Err(NameError::BadDomain);
        }
        id.local_len = local.len();
        if domain == default {
            id.text = local.into();
        }
        Ok(id)
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The user's domain; `None`: the default one, or there are none.
    pub fn domain(&self) -> Option<&str> {
        self.text.get(self.local_len + 1..)
    }

    /// What the names of the user's domain begin with.
    pub(super) fn domain_prefix(&self) -> Vec<u8> {
        let domain = self
            .domain()
            .map(|domain| [domain.as_bytes(), b"!"].concat());
        domain.unwrap_or_default()
    }

    /// The user's inbox: `user.NAME`, with a dot in NAME written '^'.
    pub fn inbox(&self) -> Name {
        let prefix = self.domain_prefix();
        let local = b"user.".iter().copied().chain(self.component());
        Name(prefix.into_iter().chain(local).collect())
    }

    fn component(&self) -> impl Iterator<Item = u8> {
        self.text[..self.local_len]
            .bytes()
            .map(|byte| if byte == b'.' { b'^' } else { byte })
    }
}

impl fmt::Display for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.text.fmt(f)
    }
}

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("the name is empty"),
            Self::TooLong => f.write_str("the name is too long"),
            Self::BadByte(byte) => write!(f, "the name has the byte 0x{byte:02x}"),
            Self::EmptyComponent => f.write_str("the name has an empty component"),
            Self::BadUtf8 => f.write_str("the name is not well-formed UTF-8"),
            Self::BadUtf7 => f.write_str("the name is not well-formed modified UTF-7"),
            Self::Reserved => f.write_str("the name is reserved"),
            Self::BadDomain => f.write_str("what follows the @ is no domain"),
            Self::OtherDomain => f.write_str("the domain is another than yours"),
        }
    }
}

impl std::error::Error for NameError {}

/// Where a name begins within its domain.
pub(super) fn local_at(name: &[u8]) -> usize {
    memchr::memchr(b'!', name).map_or(0, |at| at + 1)
}

/// Whether this may be a domain: labels with '.' between them, none empty.
pub(super) fn is_domain(domain: &[u8]) -> bool {
    let is_label = |label: &[u8]| {
        let good = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_".contains(byte);
        !label.is_empty() && label.iter().all(good)
    };
    domain.split(|byte| *byte == b'.').all(is_label)
}

/// A name, or the beginning of some, as the tables order it: '.' is byte 0, and one more stands
/// before a domain.
pub(super) fn key_of(name: &[u8]) -> Vec<u8> {
    key_bytes(name).collect()
}

fn key_bytes(name: &[u8]) -> impl Iterator<Item = u8> {
    let domain = (local_at(name) > 0).then_some(0);
    let bytes = name
        .iter()
        .map(|byte| if *byte == b'.' { 0 } else { *byte });
    domain.into_iter().chain(bytes)
}

/// The name of a key.
pub(super) fn write_name(key: &[u8], into: &mut Vec<u8>) {
    let name = if local_at(key) > 0 { &key[1..] } else { key };
    into.clear();
    into.extend(
        name.iter()
            .map(|byte| if *byte == 0 { b'.' } else { *byte }),
    );
}

fn check_length(name: &[u8], max: usize) -> Result<(), NameError> {
    match name.len() {
        0 => Err(NameError::Empty),
        len if len > max => Err(NameError::TooLong),
        _ => Ok(()),
    }
}

fn is_name_byte(byte: u8) -> bool {
    (0x20..=0x7e).contains(&byte) && !b"!%/\"\\".contains(&byte)
}
