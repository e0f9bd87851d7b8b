//! A gathered command: tag, verb, and a cursor at its arguments (RFC 3501 section 9, `command`).

use std::fmt;

use super::cursor::{Cursor, ParseError};
use super::verb::Verb;

/// Tags are given back in answers and kept per command: no longer than this.
const TAG_BYTES_MAX: usize = 128;

/// A command.
#[derive(Clone, Copy)]
pub struct Command<'a> {
    /// What the answer begins with.
    pub tag: &'a [u8],
    /// What to do.
    pub verb: Verb,
    /// `UID` stood before the verb.
    pub uid: bool,
    /// Behind the verb: nothing, or a space and the arguments.
    pub args: Cursor<'a>,
    /// All of it as it came, with its CRLF.
    pub raw: &'a [u8],
}

/// Never the arguments: they may be a password.
impl fmt::Debug for Command<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Command")
            .field("tag", &String::from_utf8_lossy(self.tag))
            .field("verb", &self.verb)
            .field("uid", &self.uid)
            .field("bytes", &self.raw.len())
            .finish()
    }
}

/// A command whose beginning can't be read: the answer is `tag BAD text`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadCommand<'a> {
    /// The tag; without one the answer begins with `*`.
    pub tag: Option<&'a [u8]>,
    /// What is wrong.
    pub text: &'static str,
}

/// Splits a command as the framer found it. Names that aren't known are [`Verb::Unknown`], not an error.
///
/// # Errors
/// If there is no tag or no name.
pub fn command(raw: &[u8]) -> Result<Command<'_>, BadCommand<'_>> {
    let mut args = Cursor::new(raw.strip_suffix(b"\r\n").unwrap_or(raw));
    let bad = |tag, text| BadCommand { tag, text };
    let tag = args
        .tag()
        .map_err(|_| bad(None, "Missing or invalid tag"))?;
    if tag.len() > TAG_BYTES_MAX {
        return Err(bad(None, "Tag too long"));
    }
    if !args.is_done() && args.peek() != Some(b' ') {
        return Err(bad(None, "Invalid tag"));
    }
    let name = word(&mut args).ok_or_else(|| bad(Some(tag), "Missing command"))?;
    let mut verb = Verb::parse(name);
    let uid = name.eq_ignore_ascii_case(b"UID");
    if uid {
        let name = word(&mut args).ok_or_else(|| bad(Some(tag), "Missing command after UID"))?;
        verb = Some(Verb::parse(name))
            .filter(|verb| verb.has_uid_form())
            .unwrap_or(Verb::Unknown);
    }
    Ok(Command {
        tag,
        verb,
        uid,
        args,
        raw,
    })
}

/// A space and a name.
fn word<'a>(args: &mut Cursor<'a>) -> Option<&'a [u8]> {
    args.sp().ok()?;
    args.atom().ok()
}

/// The arguments of AUTHENTICATE.
#[derive(Clone, Copy)]
pub struct Authenticate<'a> {
    /// The mechanism's name, as it came.
    pub mechanism: &'a [u8],
    /// The initial response in base64 (RFC 4959); `=`, an empty one, is given as empty.
    pub initial: Option<&'a [u8]>,
}

/// Never the response: it holds a password.
impl fmt::Debug for Authenticate<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authenticate")
            .field("mechanism", &String::from_utf8_lossy(self.mechanism))
            .field("has_initial", &self.initial.is_some())
            .finish()
    }
}

impl<'a> Command<'a> {
    /// There are no arguments.
    ///
    /// # Errors
    /// If there are.
    pub fn no_args(&self) -> Result<(), ParseError> {
        self.args.end()
    }

    /// The arguments as an AUTHENTICATE.
    ///
    /// # Errors
    /// If they aren't a mechanism and at most one response.
    pub fn authenticate(&self) -> Result<Authenticate<'a>, ParseError> {
        let mut args = self.args;
        args.sp()?;
        let mechanism = args.atom()?;
        if args.is_done() {
            return Ok(Authenticate {
                mechanism,
                initial: None,
            });
        }
        args.sp()?;
        let initial = args.atom()?;
        args.end()?;
        let initial = Some(if initial == b"=" { &[] } else { initial });
        Ok(Authenticate { mechanism, initial })
    }
}
