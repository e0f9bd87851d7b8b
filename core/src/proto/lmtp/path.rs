//! Paths: `<local@domain>` (RFC 5321 section 4.1.2).
//!
//! A source route is read and ignored (section 4.1.1.3). A quoted local part means what is in its quotes. ASCII alone:
//! SMTPUTF8 isn't announced. No domain has to be there: an MTA that serves one domain may leave it out.

use std::fmt;

/// Who a message comes from or goes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Path {
    /// `<>`: nobody, so that nobody is told of a message that can't be delivered.
    Null,
    /// An address.
    Address(Address),
}

/// `local@domain`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// What stands before the `@`, without quotes.
    pub local: Vec<u8>,
    /// What stands behind it.
    pub domain: Option<Vec<u8>>,
}

/// The longest local part and domain: more than RFC 5321 section 4.5.3.1 asks for, since a folder may be named in one.
const LOCAL_BYTES_MAX: usize = 700;
const DOMAIN_BYTES_MAX: usize = 255;

impl Path {
    /// Reads a path at the beginning of `text`; what follows it comes back.
    pub(super) fn read(text: &[u8]) -> Option<(Self, &[u8])> {
        let mut rest = text.strip_prefix(b"<")?;
        if let Some(behind) = rest.strip_prefix(b">") {
            return Some((Self::Null, behind));
        }
        if rest.first() == Some(&b'@') {
            rest = behind_route(rest)?;
        }
        let (local, rest) = match rest.strip_prefix(b"\"") {
            Some(quoted) => unquoted(quoted)?,
            None => word(rest, is_local)?,
        };
        if local.is_empty() || local.len() > LOCAL_BYTES_MAX {
            return None;
        }
        let (domain, rest) = match rest.strip_prefix(b"@") {
            None => (None, rest),
            Some(rest) => {
                let (domain, rest) = word(rest, is_domain)?;
                let good = (1..=DOMAIN_BYTES_MAX).contains(&domain.len());
                (Some(good.then_some(domain)?), rest)
            }
        };
        let behind = rest.strip_prefix(b">")?;
        Some((Self::Address(Address { local, domain }), behind))
    }
}

fn word(text: &[u8], is_good: fn(u8) -> bool) -> Option<(Vec<u8>, &[u8])> {
    let end = text.iter().position(|byte| !is_good(*byte))?;
    Some((text[..end].to_vec(), &text[end..]))
}

/// Any that isn't special, and those that people use although they may not.
fn is_local(byte: u8) -> bool {
    byte.is_ascii_graphic() && !b"<>@\"\\(),:;".contains(&byte)
}

/// A host's name, or an address in brackets.
fn is_domain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._[]:".contains(&byte)
}

/// `@one,@two:`
fn behind_route(text: &[u8]) -> Option<&[u8]> {
    let end = memchr::memchr2(b':', b'>', text)?;
    let good = |byte: &u8| is_domain(*byte) || b"@,".contains(byte);
    (text[end] == b':' && text[..end].iter().all(good)).then(|| &text[end + 1..])
}

/// What is in quotes, up to the closing one.
fn unquoted(text: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let (mut local, mut at) = (Vec::new(), 0);
    loop {
        let byte = match *text.get(at)? {
            b'"' => return Some((local, &text[at + 1..])),
            b'\\' => {
                at += 1;
                *text.get(at)?
            }
            byte => byte,
        };
        if !(0x20..=0x7e).contains(&byte) {
            return None;
        }
        local.push(byte);
        at += 1;
    }
}

/// As it stands between the angle brackets, with quotes where it needs them.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plain = self.local.iter().all(|byte| is_local(*byte));
        if !plain {
            f.write_str("\"")?;
        }
        for byte in &self.local {
            if b"\"\\".contains(byte) {
                f.write_str("\\")?;
            }
            write!(f, "{}", char::from(*byte))?;
        }
        if !plain {
            f.write_str("\"")?;
        }
        match &self.domain {
            None => Ok(()),
            Some(domain) => write!(f, "@{}", domain.escape_ascii()),
        }
    }
}

/// With the angle brackets.
impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("<>"),
            Self::Address(address) => write!(f, "<{address}>"),
        }
    }
}
