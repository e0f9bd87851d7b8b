//! MUPDATE (RFC 3656): what a client reads and sends; a server's side is in [`request()`] and [`reply`].
//!
//! A response was gathered by [`crate::wire::mupdate`]; [`response`] reads it. Strings are quoted
//! or literals; Cyrus sends literals alone, and leaves the texts of some errors bare, which is taken.

mod place;
pub mod reply;
mod request;

use std::borrow::Cow;
use std::fmt;

pub use self::place::Place;
pub use self::request::{BadRequest, Request, Unreadable, Verb, request};
use super::imap::{Cursor, ParseError};
use super::sasl::Secret;

/// A string of a response, borrowed where it came without escapes.
pub type Text<'a> = Cow<'a, [u8]>;

/// A response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Response<'a> {
    /// `* AUTH`: the mechanisms on offer.
    Auth(Vec<Text<'a>>),
    /// `* STARTTLS`
    StartTls,
    /// `* COMPRESS`: the algorithms on offer.
    Compress(Vec<Text<'a>>),
    /// `* PARTIAL-UPDATE`
    PartialUpdate,
    /// `* OK MUPDATE …`: the end of the banner.
    Banner(Banner<'a>),
    /// `* X-DELTA`, a Ravenry's: which list it has, and where it is.
    Delta(Place),
    /// `* BYE`: the server closes the connection.
    Bye(Text<'a>),
    /// An untagged response of another name: a capability not known here.
    Other(&'a [u8]),
    /// A command is done.
    Ok(Completion<'a>),
    /// A command was refused.
    No(Completion<'a>),
    /// A command wasn't understood, or not allowed now.
    Bad(Completion<'a>),
    /// A mailbox is active.
    Mailbox {
        /// Of the command that asked for it.
        tag: &'a [u8],
        /// The mailbox.
        name: Text<'a>,
        /// `server!partition`
        location: Text<'a>,
        /// As Cyrus writes it: identifier TAB rights TAB …
        acl: Text<'a>,
    },
    /// A mailbox is reserved.
    Reserve {
        /// Of the command that asked for it.
        tag: &'a [u8],
        /// The mailbox.
        name: Text<'a>,
        /// `server!partition`
        location: Text<'a>,
    },
    /// A mailbox is reserved, and another server may activate it: from a Ravenry alone.
    Deactivate {
        /// Of the command that asked for it.
        tag: &'a [u8],
        /// The mailbox.
        name: Text<'a>,
        /// `server!partition`
        location: Text<'a>,
    },
    /// X-SINCE, a Ravenry's: what follows is what has changed since.
    Since {
        /// Of the command that asked for it.
        tag: &'a [u8],
    },
    /// X-SEQUENCE, a Ravenry's: with what came before this, the list is as it was at that commit.
    Sequence {
        /// Of the command that asked for it.
        tag: &'a [u8],
        /// The commit.
        sequence: u64,
    },
    /// A mailbox is gone.
    Delete {
        /// Of the command that asked for it.
        tag: &'a [u8],
        /// The mailbox.
        name: Text<'a>,
    },
}

/// Who the server is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Banner<'a> {
    /// Its host name.
    pub host: Text<'a>,
    /// The implementation's name.
    pub software: Text<'a>,
    /// The implementation's version.
    pub version: Text<'a>,
    /// `(master)`, or the master's URL where this is a replica.
    pub master: Text<'a>,
}

impl Banner<'_> {
    /// Changes can be made here.
    #[must_use]
    pub fn is_master(&self) -> bool {
        *self.master == *b"(master)"
    }
}

/// The end of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Completion<'a> {
    /// The command's tag; `*` if the response is untagged.
    pub tag: &'a [u8],
    /// A text for people.
    pub text: Text<'a>,
}

/// Reads a whole response, with or without the CRLF that ends it.
///
/// # Errors
/// If it isn't MUPDATE.
pub fn response(bytes: &[u8]) -> Result<Response<'_>, ParseError> {
    let mut cursor = Cursor::new(bytes.strip_suffix(b"\r\n").unwrap_or(bytes));
    if cursor.accept(b'*') {
        cursor.sp()?;
        return untagged(cursor);
    }
    let tag = cursor.tag()?;
    cursor.sp()?;
    let name = cursor.atom()?;
    let is = |known: &str| name.eq_ignore_ascii_case(known.as_bytes());
    let response = if is("OK") {
        Response::Ok(Completion {
            tag,
            text: text(&mut cursor)?,
        })
    } else if is("NO") {
        Response::No(Completion {
            tag,
            text: text(&mut cursor)?,
        })
    } else if is("BAD") {
        Response::Bad(Completion {
            tag,
            text: text(&mut cursor)?,
        })
    } else if is("MAILBOX") {
        let (name, location) = (string(&mut cursor)?, string(&mut cursor)?);
        Response::Mailbox {
            tag,
            name,
            location,
            acl: string(&mut cursor)?,
        }
    } else if is("RESERVE") {
        Response::Reserve {
            tag,
            name: string(&mut cursor)?,
            location: string(&mut cursor)?,
        }
    } else if is("DELETE") {
        Response::Delete {
            tag,
            name: string(&mut cursor)?,
        }
    } else {
        extended(tag, name, &mut cursor)?
    };
    cursor.end()?;
    Ok(response)
}

/// What one Ravenry says to another.
fn extended<'a>(
    tag: &'a [u8],
    name: &[u8],
    cursor: &mut Cursor<'a>,
) -> Result<Response<'a>, ParseError> {
    let is = |known: &str| name.eq_ignore_ascii_case(known.as_bytes());
    if is("DEACTIVATE") {
        return Ok(Response::Deactivate {
            tag,
            name: string(cursor)?,
            location: string(cursor)?,
        });
    }
    if is("X-SINCE") {
        return Ok(Response::Since { tag });
    }
    if is("X-SEQUENCE") {
        let sequence = Place::number(&string(cursor)?).ok_or(ParseError::Number)?;
        return Ok(Response::Sequence { tag, sequence });
    }
    Err(ParseError::Expected("a MUPDATE response"))
}

fn untagged(mut cursor: Cursor<'_>) -> Result<Response<'_>, ParseError> {
    let name = cursor.atom()?;
    let is = |known: &str| name.eq_ignore_ascii_case(known.as_bytes());
    let response = if is("AUTH") {
        Response::Auth(strings(&mut cursor)?)
    } else if is("COMPRESS") {
        Response::Compress(strings(&mut cursor)?)
    } else if is("STARTTLS") {
        Response::StartTls
    } else if is("PARTIAL-UPDATE") {
        Response::PartialUpdate
    } else if is("X-DELTA") {
        let strings = strings(&mut cursor)?;
        let place = match &strings[..] {
            [identity, epoch, sequence] => Place::parse(identity, epoch, sequence),
            _ => None,
        };
        Response::Delta(place.ok_or(ParseError::Expected("a list's place"))?)
    } else if is("BYE") {
        Response::Bye(text(&mut cursor)?)
    } else if is("OK") {
        return ok_or_banner(cursor);
    } else if is("NO") {
        Response::No(Completion {
            tag: b"*",
            text: text(&mut cursor)?,
        })
    } else if is("BAD") {
        Response::Bad(Completion {
            tag: b"*",
            text: text(&mut cursor)?,
        })
    } else {
        return Ok(Response::Other(name));
    };
    cursor.end()?;
    Ok(response)
}

/// `* OK MUPDATE "host" "software" "version" "master"` is the banner's end (RFC 3656 section 3.8).
fn ok_or_banner(mut cursor: Cursor<'_>) -> Result<Response<'_>, ParseError> {
    let mut ahead = cursor;
    let name = ahead.sp().and_then(|()| ahead.atom()).unwrap_or_default();
    if !name.eq_ignore_ascii_case(b"MUPDATE") {
        return Ok(Response::Ok(Completion {
            tag: b"*",
            text: text(&mut cursor)?,
        }));
    }
    let banner = Banner {
        host: string(&mut ahead)?,
        software: string(&mut ahead)?,
        version: string(&mut ahead)?,
        master: string(&mut ahead)?,
    };
    ahead.end()?;
    Ok(Response::Banner(banner))
}

/// A space and a string.
fn string<'a>(cursor: &mut Cursor<'a>) -> Result<Text<'a>, ParseError> {
    cursor.sp()?;
    cursor.string()
}

fn strings<'a>(cursor: &mut Cursor<'a>) -> Result<Vec<Text<'a>>, ParseError> {
    let mut strings = Vec::new();
    while !cursor.is_done() {
        strings.push(string(cursor)?);
    }
    Ok(strings)
}

/// A text for people: a string; bare where Cyrus forgets the quotes; or nothing.
fn text<'a>(cursor: &mut Cursor<'a>) -> Result<Text<'a>, ParseError> {
    if cursor.is_done() {
        return Ok(Cow::Borrowed(b""));
    }
    cursor.sp()?;
    let mut ahead = *cursor;
    if let Ok(text) = ahead.string()
        && ahead.is_done()
    {
        *cursor = ahead;
        return Ok(text);
    }
    let bare = cursor.rest();
    *cursor = Cursor::new(b"");
    Ok(Cow::Borrowed(bare))
}

/// A command.
#[derive(Clone, Copy)]
pub enum Command<'a> {
    /// AUTHENTICATE with an initial response, which is given in base64.
    Authenticate {
        /// PLAIN.
        mechanism: &'a str,
        /// In base64.
        initial: &'a Secret,
    },
    /// STARTTLS
    StartTls,
    /// UPDATE: the whole list, then every change.
    Update,
    /// X-UPDATE, to a Ravenry alone: what has changed since, then every change.
    UpdateSince(Place),
    /// NOOP: answered when all changes before it are sent.
    Noop,
    /// LOGOUT
    Logout,
    /// FIND: one mailbox.
    Find {
        /// The mailbox.
        name: &'a [u8],
    },
    /// LIST: the mailboxes of a server, or all.
    List {
        /// `server!`
        prefix: Option<&'a [u8]>,
    },
    /// RESERVE
    Reserve {
        /// The mailbox.
        name: &'a [u8],
        /// `server!partition`
        location: &'a [u8],
    },
    /// ACTIVATE
    Activate {
        /// The mailbox.
        name: &'a [u8],
        /// `server!partition`
        location: &'a [u8],
        /// As Cyrus writes it.
        acl: &'a [u8],
    },
    /// DEACTIVATE
    Deactivate {
        /// The mailbox.
        name: &'a [u8],
        /// `server!partition`
        location: &'a [u8],
    },
    /// DELETE
    Delete {
        /// The mailbox.
        name: &'a [u8],
    },
}

impl Command<'_> {
    /// Appends the command with `tag`, as Cyrus writes it: mechanism quoted, strings as `{n+}`.
    pub fn encode(&self, tag: impl fmt::Display, out: &mut Vec<u8>) {
        let (verb, arguments): (&str, &[&[u8]]) = match self {
            Self::Authenticate { mechanism, initial } => {
                out.extend_from_slice(format!("{tag} AUTHENTICATE \"{mechanism}\"").as_bytes());
                literal(out, initial.expose());
                out.extend_from_slice(b"\r\n");
                return;
            }
            Self::UpdateSince(place) => {
                out.extend_from_slice(tag.to_string().as_bytes());
                let [identity, epoch, sequence] = place.strings();
                return reply::quoted("X-UPDATE", &[&identity, &epoch, &sequence], out);
            }
            Self::StartTls => ("STARTTLS", &[]),
            Self::Update => ("UPDATE", &[]),
            Self::Noop => ("NOOP", &[]),
            Self::Logout => ("LOGOUT", &[]),
            Self::Find { name } => ("FIND", &[name]),
            Self::List { prefix: None } => ("LIST", &[]),
            Self::List {
                prefix: Some(prefix),
            } => ("LIST", &[prefix]),
            Self::Reserve { name, location } => ("RESERVE", &[name, location]),
            Self::Activate {
                name,
                location,
                acl,
            } => ("ACTIVATE", &[name, location, acl]),
            Self::Deactivate { name, location } => ("DEACTIVATE", &[name, location]),
            Self::Delete { name } => ("DELETE", &[name]),
        };
        out.extend_from_slice(format!("{tag} {verb}").as_bytes());
        for argument in arguments {
            literal(out, argument);
        }
        out.extend_from_slice(b"\r\n");
    }
}

/// A space and a string as a literal that isn't waited for.
fn literal(out: &mut Vec<u8>, value: &[u8]) {
    out.extend_from_slice(format!(" {{{}+}}\r\n", value.len()).as_bytes());
    out.extend_from_slice(value);
}

#[cfg(test)]
mod tests;
