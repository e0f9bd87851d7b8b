//! Mailbox names in internal form, and user names.
//!
//! Internal form: components with '.' between them, `user.NAME` for a user's inbox, a dot inside
//! a component written '^'. A name that a client gives is checked strictly; one that comes by
//! MUPDATE is taken if it can be stored, since a name that we refuse would be missing.
//! RFC 3501 section 5.1 (names), 5.1.3 (modified UTF-7).

use std::fmt;

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
    /// A name that stands for something else: a namespace's prefix, `anyone`.
    Reserved,
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

    /// The mailbox above this one, whether it exists or not.
    pub fn parent(&self) -> Option<Self> {
        let end = self.0.iter().rposition(|byte| *byte == b'.')?;
        (end > 0).then(|| Self(self.0[..end].into()))
    }

    /// Whether this is `user`'s inbox or below it.
    pub fn is_owned_by(&self, user: &UserId) -> bool {
        let Some(rest) = self.0.strip_prefix(b"user.") else {
            return false;
        };
        let len = user.as_str().len();
        rest.len() >= len
            && user.component().eq(rest[..len].iter().copied())
            && matches!(rest.get(len), None | Some(b'.'))
    }

    /// Whether this is some user's inbox: `user.NAME` and nothing below.
    pub fn is_inbox(&self) -> bool {
        self.0
            .strip_prefix(b"user.")
            .is_some_and(|rest| !rest.is_empty() && !rest.contains(&b'.'))
    }

    /// Whether this is what a deleted mailbox became: `DELETED.NAME.TIME`.
    pub fn is_deleted(&self) -> bool {
        self.0.starts_with(b"DELETED.")
    }

    pub(super) fn to_key(&self) -> Vec<u8> {
        key_of(&self.0)
    }

    pub(super) fn from_key(key: &[u8]) -> Self {
        Self(
            key.iter()
                .map(|byte| if *byte == 0 { b'.' } else { *byte })
                .collect(),
        )
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

/// The list's order: '.' before any other byte, so that children follow their parent directly.
impl Ord for Name {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0
            .iter()
            .map(key_byte)
            .cmp(other.0.iter().map(key_byte))
    }
}

/// A user's name as it was proved at login. Its `component` is how mailbox names carry it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UserId(Box<str>);

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
        Ok(Self(
            user.iter()
                .map(|byte| char::from(byte.to_ascii_lowercase()))
                .collect(),
        ))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The user's inbox: `user.NAME`, with a dot in NAME written '^'.
    pub fn inbox(&self) -> Name {
        Name(b"user.".iter().copied().chain(self.component()).collect())
    }

    fn component(&self) -> impl Iterator<Item = u8> {
        self.0
            .bytes()
            .map(|byte| if byte == b'.' { b'^' } else { byte })
    }
}

impl fmt::Display for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("the name is empty"),
            Self::TooLong => f.write_str("the name is too long"),
            Self::BadByte(byte) => write!(f, "the name has the byte 0x{byte:02x}"),
            Self::EmptyComponent => f.write_str("the name has an empty component"),
            Self::BadUtf7 => f.write_str("the name is not well-formed modified UTF-7"),
            Self::Reserved => f.write_str("the name is reserved"),
        }
    }
}

impl std::error::Error for NameError {}

/// A name as the tables order it: '.' is byte 0.
pub(super) fn key_of(name: &[u8]) -> Vec<u8> {
    name.iter().map(key_byte).collect()
}

fn key_byte(byte: &u8) -> u8 {
    if *byte == b'.' { 0 } else { *byte }
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

/// RFC 3501 section 5.1.3: `&` begins a run of base64 (with ',' for '/') that ends with '-',
/// holds whole UTF-16 units without ASCII, leaves no bits over and isn't followed by another run.
/// Surrogates need not be in pairs: Cyrus makes such names.
fn is_utf7(name: &[u8]) -> bool {
    let mut rest = name;
    while let Some(start) = memchr::memchr(b'&', rest) {
        let run = &rest[start + 1..];
        let Some(end) = memchr::memchr(b'-', run) else {
            return false;
        };
        if end > 0 && !is_utf7_run(&run[..end]) {
            return false;
        }
        rest = &run[end + 1..];
        // A run that goes on right after another should have been one run.
        if end > 0 && rest.first() == Some(&b'&') && rest.get(1) != Some(&b'-') {
            return false;
        }
    }
    true
}

fn is_utf7_run(run: &[u8]) -> bool {
    let (mut bits, mut held) = (0_u32, 0_u32);
    for byte in run {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b',' => 63,
            _ => return false,
        };
        bits = (bits << 6 | u32::from(value)) & 0x3f_ffff;
        held += 6;
        if held >= 16 {
            held -= 16;
            if (bits >> held) & 0xffff < 0x80 {
                return false;
            }
        }
    }
    held < 6 && bits & ((1 << held) - 1) == 0
}
