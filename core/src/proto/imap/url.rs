//! IMAP URLs that name a message or a part of one (RFC 5092), as CATENATE has them (RFC 4469).
//!
//! Absolute ones (`imap://alice@host/INBOX;UIDVALIDITY=3/;UID=7/;SECTION=1.2`), those that leave out the server, and those that begin at
//! the selected mailbox (`;UID=7`). URLs of mailboxes and of searches, and those with URLAUTH (RFC 4467), are refused.

use super::cursor::ParseError;
use super::section::Section;

/// A URL of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageUrl {
    /// `None`: this one.
    pub server: Option<UrlServer>,
    /// The mailbox' name in UTF-8; `None`: the selected one.
    pub mailbox: Option<Vec<u8>>,
    /// The mailbox has to have this one.
    pub uidvalidity: Option<u32>,
    /// The message.
    pub uid: u32,
    /// What of it.
    pub section: Section,
}

/// Where a URL's mailbox is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UrlServer {
    /// Who has the mailbox.
    pub user: Option<Vec<u8>>,
    /// The server's name.
    pub host: Vec<u8>,
    /// Its port.
    pub port: Option<u16>,
}

/// Longer ones are cut in a response code.
const CODE_BYTES_MAX: usize = 1024;

impl MessageUrl {
    /// Reads a URL.
    ///
    /// # Errors
    /// If it is none, or names no message.
    pub fn parse(url: &[u8]) -> Result<Self, ParseError> {
        let mut rest = url;
        let is_network = take(&mut rest, b"imap://") || take(&mut rest, b"//");
        let server = is_network.then(|| server(&mut rest)).transpose()?;
        let is_absolute = take(&mut rest, b"/");
        if server.is_some() && !is_absolute {
            return Err(MESSAGE);
        }
        let name = until(&mut rest, b';');
        let uidvalidity = parameter(&mut rest, b";UIDVALIDITY=")?;
        // The slash before `;UID=` is the mailbox' last byte, if nothing stands between them.
        let name = match uidvalidity {
            Some(_) => take(&mut rest, b"/").then_some(name),
            None if is_absolute => name.strip_suffix(b"/"),
            None => Some(name),
        };
        let name = name.filter(|name| name.is_empty() != is_absolute);
        let name = name.ok_or(MESSAGE)?;
        let uid = parameter(&mut rest, b";UID=")?.ok_or(MESSAGE)?;
        let section = match take(&mut rest, b"/;SECTION=") {
            true => decoded(until_next(&mut rest))?,
            false => Vec::new(),
        };
        let partial = match take(&mut rest, b"/;PARTIAL=") {
            true => Some(partial(&mut rest)?),
            false => None,
        };
        if !rest.is_empty() {
            return Err(MESSAGE);
        }
        Ok(Self {
            server,
            mailbox: is_absolute.then(|| decoded(name)).transpose()?,
            uidvalidity,
            uid,
            section: Section::in_url(&section, partial)?,
        })
    }
}

const MESSAGE: ParseError = ParseError::Expected("the URL of a message");

/// A URL as the code BADURL has it (RFC 4469 section 5, `url-resp-text`): what can't stand there is given in percent, and so it
/// is still the URL.
#[must_use]
pub fn url_in_code(url: &[u8]) -> String {
    let mut text = String::from("\"");
    for byte in url.iter().take(CODE_BYTES_MAX) {
        match byte {
            b'"' | b'\\' | b'[' | b']' | b'{' | b'}' => text.push_str(&format!("%{byte:02X}")),
            b'!'..=b'~' => text.push(char::from(*byte)),
            _ => text.push_str(&format!("%{byte:02X}")),
        }
    }
    text.push('"');
    text
}

/// Takes `word`, in any case, if it comes next.
fn take(rest: &mut &[u8], word: &[u8]) -> bool {
    let Some((begins, behind)) = rest.split_at_checked(word.len()) else {
        return false;
    };
    let found = begins.eq_ignore_ascii_case(word);
    if found {
        *rest = behind;
    }
    found
}

/// Takes what stands before `byte`.
fn until<'a>(rest: &mut &'a [u8], byte: u8) -> &'a [u8] {
    let end = memchr::memchr(byte, rest).unwrap_or(rest.len());
    let (taken, behind) = rest.split_at(end);
    *rest = behind;
    taken
}

/// Takes what stands before the next parameter.
fn until_next<'a>(rest: &mut &'a [u8]) -> &'a [u8] {
    let end = memchr::memmem::find(rest, b"/;").unwrap_or(rest.len());
    let (taken, behind) = rest.split_at(end);
    *rest = behind;
    taken
}

/// A number that isn't 0, behind this name; `None` if something else comes next.
fn parameter(rest: &mut &[u8], name: &[u8]) -> Result<Option<u32>, ParseError> {
    if !take(rest, name) {
        return Ok(None);
    }
    match number(rest)? {
        0 => Err(MESSAGE),
        number => Ok(Some(number)),
    }
}

fn number(rest: &mut &[u8]) -> Result<u32, ParseError> {
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (digits, behind) = rest.split_at(digits);
    *rest = behind;
    let text = std::str::from_utf8(digits).unwrap_or_default();
    text.parse().map_err(|_| MESSAGE)
}

/// `1024.512`, or `1024`: all from there on.
fn partial(rest: &mut &[u8]) -> Result<(u32, u32), ParseError> {
    let offset = number(rest)?;
    if !take(rest, b".") {
        return Ok((offset, u32::MAX));
    }
    match number(rest)? {
        0 => Err(MESSAGE),
        length => Ok((offset, length)),
    }
}

/// `alice;AUTH=*@host:143`, up to its slash.
fn server(rest: &mut &[u8]) -> Result<UrlServer, ParseError> {
    let given = until(rest, b'/');
    let (user, place) = match memchr::memrchr(b'@', given) {
        Some(at) => (Some(&given[..at]), &given[at + 1..]),
        None => (None, given),
    };
    let user = user.map(|mut user| decoded(until(&mut user, b';')));
    // An address of IPv6 stands in brackets.
    let colon = memchr::memrchr(b':', place).filter(|colon| !place[*colon..].contains(&b']'));
    let (host, port) = match colon {
        Some(at) => (&place[..at], Some(&place[at + 1..])),
        None => (place, None),
    };
    let port = port.map(|port| {
        let text = std::str::from_utf8(port).unwrap_or_default();
        text.parse().map_err(|_| MESSAGE)
    });
    if host.is_empty() {
        return Err(MESSAGE);
    }
    Ok(UrlServer {
        user: user.transpose()?,
        host: decoded(host)?,
        port: port.transpose()?,
    })
}

/// Undoes the percent encoding.
fn decoded(text: &[u8]) -> Result<Vec<u8>, ParseError> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let [byte, behind @ ..] = rest {
        rest = behind;
        let byte = match (byte, behind) {
            (b'%', [high, low, behind @ ..]) => {
                rest = behind;
                let digit = |byte: &u8| char::from(*byte).to_digit(16);
                let digits = digit(high).zip(digit(low));
                let byte = digits.and_then(|(high, low)| u8::try_from(high << 4 | low).ok());
                byte.ok_or(MESSAGE)?
            }
            (b'%', _) => return Err(MESSAGE),
            _ => *byte,
        };
        if byte == 0 {
            return Err(ParseError::Nul);
        }
        bytes.push(byte);
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::section::{SectionForm, SectionText};
    use super::*;

    fn read(url: &str) -> MessageUrl {
        MessageUrl::parse(url.as_bytes()).expect(url)
    }

    fn section(path: &[u32], text: SectionText, partial: Option<(u32, u32)>) -> Section {
        Section {
            path: path.to_vec(),
            text,
            peek: true,
            partial,
            form: SectionForm::Body,
        }
    }

    fn whole() -> Section {
        section(&[], SectionText::All, None)
    }

    fn in_mailbox(name: &str, uidvalidity: Option<u32>, uid: u32, section: Section) -> MessageUrl {
        MessageUrl {
            server: None,
            mailbox: Some(name.as_bytes().to_vec()),
            uidvalidity,
            uid,
            section,
        }
    }

    #[test]
    fn urls_are_read() {
        // RFC 4469 section 3, RFC 5092 section 10 and others of their kinds.
        let header = || section(&[], SectionText::Header, None);
        assert_eq!(
            read("/Drafts;UIDVALIDITY=385759045/;UID=20/;section=HEADER"),
            in_mailbox("Drafts", Some(385_759_045), 20, header())
        );
        assert_eq!(
            read("/Drafts;UIDVALIDITY=385759045/;UID=30"),
            in_mailbox("Drafts", Some(385_759_045), 30, whole())
        );
        assert_eq!(
            read("/gray%20council/x/;UID=20/;SECTION=1.2.MIME/;PARTIAL=0.1024"),
            in_mailbox(
                "gray council/x",
                None,
                20,
                section(&[1, 2], SectionText::Mime, Some((0, 1024)))
            )
        );
        let names = vec![b"a b".to_vec(), b"C".to_vec()];
        let fields = SectionText::HeaderFields { names, not: true };
        assert_eq!(
            read("/%E5%8F%B0/;uid=1/;section=HEADER.FIELDS.NOT%20(%22a%20b%22%20C)/;partial=7"),
            in_mailbox(
                "\u{53f0}",
                None,
                1,
                section(&[], fields, Some((7, u32::MAX)))
            )
        );
        let relative = read(";UID=9/;SECTION=TEXT");
        assert_eq!(
            (relative.mailbox, relative.uid, relative.server),
            (None, 9, None)
        );
        let absolute = read("imap://al%40ice;AUTH=*@[::1]:1143/INBOX/;UID=1");
        let server = UrlServer {
            user: Some(b"al@ice".to_vec()),
            host: b"[::1]".to_vec(),
            port: Some(1143),
        };
        assert_eq!(absolute.server, Some(server));
        let short = read("IMAP://[::1]/INBOX/;UID=1")
            .server
            .expect("it has one");
        assert_eq!(
            (short.user, short.host, short.port),
            (None, b"[::1]".to_vec(), None)
        );
        assert_eq!(
            read("//host/INBOX/;UID=1").server.expect("it has one").host,
            b"host"
        );
    }

    #[test]
    fn nothing_else_is_taken() {
        for url in [
            "",
            "/",
            "x",
            "INBOX;UID=1",
            "INBOX/;UID=1",
            "/;UID=1",
            "/INBOX",
            "/INBOX/",
            "/INBOX;UID=1",
            "/INBOX;UIDVALIDITY=1",
            "/INBOX;UIDVALIDITY=1/",
            "/INBOX;UIDVALIDITY=1;UID=1",
            "/INBOX;UIDVALIDITY=0/;UID=1",
            "/INBOX;UIDVALIDITY=x/;UID=1",
            "/INBOX;UIDVALIDITY=4294967296/;UID=1",
            "/INBOX/;UID=0",
            "/INBOX/;UID=",
            "/INBOX/;UID=1x",
            "/INBOX/;UID=1:2",
            "/INBOX/;UID=*",
            "/INBOX/;UID=1/",
            "/INBOX/;UID=1/;SECTION=BOGUS",
            "/INBOX/;UID=1/;SECTION=0",
            "/INBOX/;UID=1/;SECTION=TEXT]<0.1>",
            "/INBOX/;UID=1/;SECTION=TEXT/;PARTIAL=",
            "/INBOX/;UID=1/;PARTIAL=1.0",
            "/INBOX/;UID=1/;PARTIAL=1.2.3",
            "/INBOX/;UID=1/;PARTIAL=0.1/;SECTION=TEXT",
            "/INBOX/;UID=1;EXPIRE=2030-01-01T00:00:00Z;URLAUTH=anonymous",
            "/INBOX?SUBJECT%20x",
            "/IN%BOX/;UID=1",
            "/IN%2",
            "/IN%00BOX/;UID=1",
            "imap://",
            "imap://host",
            "imap://host/",
            "imap:///INBOX/;UID=1",
            "imap://host:x/INBOX/;UID=1",
            "imap://host;UID=1",
            "http://host/INBOX/;UID=1",
        ] {
            assert!(MessageUrl::parse(url.as_bytes()).is_err(), "{url}");
        }
    }

    #[test]
    fn a_code_has_what_it_may_have() {
        assert_eq!(url_in_code(b"/a;UID=1"), "\"/a;UID=1\"");
        assert_eq!(
            url_in_code(b"]\r\n\"\\ \xff%20{"),
            "\"%5D%0D%0A%22%5C%20%FF%20%7B\""
        );
        assert!(url_in_code(&[b'x'; 9000]).len() < 2000);
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(url in "(imap://|/|;UID=|;UIDVALIDITY=|/;SECTION=|/;PARTIAL=|%|@|:|\\[|\\]|[0-9]{1,11}|[a-zA-Z.]|\u{e9}){0,16}") {
            if let Ok(read) = MessageUrl::parse(url.as_bytes()) {
                prop_assert!(read.uid > 0 && read.section.peek);
            }
        }
    }
}
