//! MUPDATE commands as a server reads them (RFC 3656 section 4).
//!
//! A command was gathered by [`crate::wire::mupdate`]; [`request`] reads it. What can't be read is
//! answered with BAD and a text of [`Unreadable`], which are Cyrus' texts.

use std::fmt;

use super::{Place, Text};
use crate::proto::imap::Cursor;

/// Servers that one UPDATE may name, as in Cyrus.
const SERVERS_MAX: usize = 30;

/// A command and its tag.
#[derive(PartialEq, Eq)]
pub struct Request<'a> {
    /// What its answers begin with.
    pub tag: &'a [u8],
    /// What is asked.
    pub verb: Verb<'a>,
}

/// A command that can't be read, and its tag: empty if even that can't be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadRequest<'a> {
    /// What the answer begins with; empty: `*`.
    pub tag: &'a [u8],
    /// Why.
    pub why: Unreadable,
}

/// Why a command can't be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unreadable {
    /// No tag, or no command behind it.
    Null,
    /// No such command.
    Unrecognized,
    /// Fewer arguments than it takes.
    Missing,
    /// More than it takes.
    Extra,
    /// One that is no string, or not one that can be meant.
    Malformed,
}

/// What is asked.
#[derive(PartialEq, Eq)]
pub enum Verb<'a> {
    /// ACTIVATE (section 4.1)
    Activate {
        /// The mailbox.
        name: Text<'a>,
        /// `server!partition`
        location: Text<'a>,
        /// As Cyrus writes it.
        acl: Text<'a>,
    },
    /// AUTHENTICATE (section 4.2)
    Authenticate {
        /// PLAIN, LOGIN.
        mechanism: Text<'a>,
        /// In base64.
        initial: Option<Text<'a>>,
    },
    /// DEACTIVATE (section 4.3)
    Deactivate {
        /// The mailbox.
        name: Text<'a>,
        /// `server!partition`
        location: Text<'a>,
    },
    /// DELETE (section 4.4)
    Delete {
        /// The mailbox.
        name: Text<'a>,
    },
    /// FIND (section 4.5)
    Find {
        /// The mailbox.
        name: Text<'a>,
    },
    /// LIST (section 4.6)
    List {
        /// What the locations begin with.
        prefix: Option<Text<'a>>,
    },
    /// LOGOUT (section 4.7)
    Logout,
    /// NOOP (section 4.8)
    Noop,
    /// RESERVE (section 4.9)
    Reserve {
        /// The mailbox.
        name: Text<'a>,
        /// `server!partition`
        location: Text<'a>,
    },
    /// STARTTLS (section 4.10)
    StartTls,
    /// UPDATE (section 4.11), for these servers alone (PARTIAL-UPDATE), or for all.
    Update {
        /// None: all.
        servers: Vec<Text<'a>>,
    },
    /// X-UPDATE, a Ravenry's: what has changed since it was there, then every change.
    UpdateSince(Place),
}

impl Unreadable {
    /// The text of the BAD.
    #[must_use]
    pub fn text(self) -> &'static str {
        match self {
            Self::Null => "Null command",
            Self::Unrecognized => "Unrecognized command",
            Self::Missing => "Missing arguments",
            Self::Extra => "Extra arguments",
            Self::Malformed => "Badly formed arguments",
        }
    }
}

/// Never the arguments: one may be a password.
impl fmt::Debug for Request<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request").finish_non_exhaustive()
    }
}

/// Reads a whole command, with or without the CRLF that ends it.
///
/// # Errors
/// If it is none: what to answer.
pub fn request(bytes: &[u8]) -> Result<Request<'_>, BadRequest<'_>> {
    let mut cursor = Cursor::new(bytes.strip_suffix(b"\r\n").unwrap_or(bytes));
    let bad = |tag, why| BadRequest { tag, why };
    let tag = cursor.tag().map_err(|_| bad(&[], Unreadable::Null))?;
    let verb = cursor.sp().and_then(|()| cursor.atom());
    let verb = verb.map_err(|_| bad(tag, Unreadable::Null))?;
    match read(verb, Arguments { cursor }) {
        Ok(verb) => Ok(Request { tag, verb }),
        Err(why) => Err(bad(tag, why)),
    }
}

fn read<'a>(verb: &[u8], mut arguments: Arguments<'a>) -> Result<Verb<'a>, Unreadable> {
    let is = |known: &str| verb.eq_ignore_ascii_case(known.as_bytes());
    let verb = if is("ACTIVATE") {
        Verb::Activate {
            name: arguments.next()?,
            location: arguments.next()?,
            acl: arguments.next()?,
        }
    } else if is("AUTHENTICATE") {
        Verb::Authenticate {
            mechanism: arguments.next()?,
            initial: arguments.optional()?,
        }
    } else if is("DEACTIVATE") {
        Verb::Deactivate {
            name: arguments.next()?,
            location: arguments.next()?,
        }
    } else if is("DELETE") {
        Verb::Delete {
            name: arguments.next()?,
        }
    } else if is("FIND") {
        Verb::Find {
            name: arguments.next()?,
        }
    } else if is("LIST") {
        Verb::List {
            prefix: arguments.optional()?,
        }
    } else if is("LOGOUT") {
        Verb::Logout
    } else if is("NOOP") {
        Verb::Noop
    } else if is("RESERVE") {
        Verb::Reserve {
            name: arguments.next()?,
            location: arguments.next()?,
        }
    } else if is("STARTTLS") {
        Verb::StartTls
    } else if is("UPDATE") {
        Verb::Update {
            servers: arguments.rest(SERVERS_MAX)?,
        }
    } else if is("X-UPDATE") {
        let [identity, epoch, sequence] = [arguments.next()?, arguments.next()?, arguments.next()?];
        let place = Place::parse(&identity, &epoch, &sequence);
        Verb::UpdateSince(place.ok_or(Unreadable::Malformed)?)
    } else {
        return Err(Unreadable::Unrecognized);
    };
    arguments.end()?;
    Ok(verb)
}

/// The strings behind a verb.
struct Arguments<'a> {
    cursor: Cursor<'a>,
}

impl<'a> Arguments<'a> {
    fn next(&mut self) -> Result<Text<'a>, Unreadable> {
        self.optional()?.ok_or(Unreadable::Missing)
    }

    fn optional(&mut self) -> Result<Option<Text<'a>>, Unreadable> {
        if self.cursor.is_done() {
            return Ok(None);
        }
        let string = self.cursor.sp().and_then(|()| self.cursor.string());
        string.map(Some).map_err(|_| Unreadable::Malformed)
    }

    fn rest(&mut self, count_max: usize) -> Result<Vec<Text<'a>>, Unreadable> {
        let mut strings = Vec::new();
        while let Some(string) = self.optional()? {
            if strings.len() == count_max {
                return Err(Unreadable::Extra);
            }
            strings.push(string);
        }
        Ok(strings)
    }

    fn end(&self) -> Result<(), Unreadable> {
        self.cursor.end().map_err(|_| Unreadable::Extra)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Text<'_> {
        Text::Borrowed(text.as_bytes())
    }

    fn verb(line: &str) -> Verb<'_> {
        request(line.as_bytes()).expect("a command").verb
    }

    fn why(line: &str) -> (&str, &'static str) {
        let bad = request(line.as_bytes()).expect_err("no command");
        (std::str::from_utf8(bad.tag).unwrap(), bad.why.text())
    }

    #[test]
    fn commands_as_cyrus_sends_them() {
        assert!(
            verb("X1 ACTIVATE {6+}\r\ntraced {10+}\r\nb!p {x} \"  {3+}\r\na\tl\r\n")
                == Verb::Activate {
                    name: text("traced"),
                    location: text("b!p {x} \" "),
                    acl: text("a\tl"),
                }
        );
        assert!(
            verb("A01 AUTHENTICATE \"PLAIN\" {4+}\r\nAGEA\r\n")
                == Verb::Authenticate {
                    mechanism: text("PLAIN"),
                    initial: Some(text("AGEA")),
                }
        );
        assert!(
            verb("q update\r\n")
                == Verb::Update {
                    servers: Vec::new()
                }
        );
        assert!(
            verb("q UPDATE \"a\" {1}\r\nb\r\n")
                == Verb::Update {
                    servers: vec![text("a"), text("b")],
                }
        );
        assert!(verb("q LIST\r\n") == Verb::List { prefix: None });
        assert!(verb("q NOOP") == Verb::Noop);
    }

    #[test]
    fn mistakes_are_told_as_cyrus_tells_them() {
        assert_eq!(why("q17 BOGUS\r\n"), ("q17", "Unrecognized command"));
        assert_eq!(why("q18 NOOP extra\r\n"), ("q18", "Extra arguments"));
        assert_eq!(why("q18 NOOP \"extra\"\r\n"), ("q18", "Extra arguments"));
        assert_eq!(why("q19 FIND\r\n"), ("q19", "Missing arguments"));
        assert_eq!(why("q20 FIND x\r\n"), ("q20", "Badly formed arguments"));
        assert_eq!(why("q20 FIND \"x\r\n"), ("q20", "Badly formed arguments"));
        assert_eq!(why("q21\r\n"), ("q21", "Null command"));
        assert_eq!(why("\r\n"), ("", "Null command"));
        let many = "q UPDATE".to_owned() + &" \"b\"".repeat(SERVERS_MAX + 1);
        assert_eq!(why(&many), ("q", "Extra arguments"));
    }

    #[test]
    fn a_password_is_not_shown() {
        let line = b"a AUTHENTICATE \"PLAIN\" \"AHgAeA==\"";
        let shown = format!("{:?}", request(line));
        assert!(!shown.contains("AHgAeA"), "{shown}");
    }

    /// Any bytes but NUL.
    fn any_string() -> impl proptest::strategy::Strategy<Value = Vec<u8>> {
        proptest::collection::vec(1..=u8::MAX, 0..100)
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_give_an_answer(bytes: Vec<u8>) {
            let _ = request(&bytes);
        }

        #[test]
        fn what_a_client_writes_is_read(name in any_string(), location in any_string(), acl in any_string()) {
            let mut bytes = Vec::new();
            let command = super::super::Command::Activate {
                name: &name,
                location: &location,
                acl: &acl,
            };
            command.encode("T1", &mut bytes);
            let read = request(&bytes).expect("a command");
            let wanted = Verb::Activate {
                name: Text::Borrowed(&name),
                location: Text::Borrowed(&location),
                acl: Text::Borrowed(&acl),
            };
            proptest::prop_assert!(read.tag == b"T1" && read.verb == wanted);
        }
    }
}
