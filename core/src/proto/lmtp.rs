//! LMTP (RFC 2033): what a client says. Its commands are those of SMTP (RFC 5321), with LHLO for EHLO.
//!
//! A line comes without its CRLF. What is refused is refused with the reply that SMTP has for it; see [`Reply`].

mod path;
mod reply;

pub use self::path::{Address, Path};
pub use self::reply::Reply;

/// A command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command<'a> {
    /// LHLO: who the client says it is.
    Lhlo(&'a str),
    /// MAIL FROM: a message begins.
    Mail(Mail),
    /// RCPT TO: who is to have it.
    Rcpt(Path),
    /// DATA: the message follows.
    Data,
    /// BDAT: a piece of the message follows (RFC 3030).
    Bdat {
        /// Its bytes.
        size: u64,
        /// There are no more.
        last: bool,
    },
    /// RSET: the message is forgotten.
    Rset,
    /// NOOP
    Noop,
    /// VRFY
    Vrfy,
    /// QUIT
    Quit,
    /// STARTTLS (RFC 3207)
    StartTls,
    /// AUTH (RFC 4954)
    Auth {
        /// PLAIN, LOGIN.
        mechanism: &'a [u8],
        /// The initial response, in base64.
        initial: Option<&'a [u8]>,
    },
}

/// MAIL (RFC 5321 section 4.1.1.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mail {
    /// Who sends it.
    pub from: Path,
    /// Its size, where the client says it (RFC 1870).
    pub size: Option<u64>,
}

/// A size has so many digits at most (RFC 1870 section 5).
const SIZE_DIGITS_MAX: usize = 20;
/// What a client may call itself (RFC 5321 section 4.5.3.1.2).
const NAME_BYTES_MAX: usize = 255;

/// Reads a line.
///
/// # Errors
/// The reply to one that is no command, or a wrong one.
pub fn command(line: &[u8]) -> Result<Command<'_>, Reply> {
    let (verb, rest) = match memchr::memchr(b' ', line) {
        Some(at) => (&line[..at], line[at + 1..].trim_ascii()),
        None => (line, &line[..0]),
    };
    let is = |known: &str| verb.eq_ignore_ascii_case(known.as_bytes());
    let alone = |command| {
        if rest.is_empty() {
            Ok(command)
        } else {
            Err(NO_ARGUMENTS)
        }
    };
    if is("LHLO") {
        lhlo(rest)
    } else if is("MAIL") {
        mail(rest).map(Command::Mail)
    } else if is("RCPT") {
        rcpt(rest).map(Command::Rcpt)
    } else if is("DATA") {
        alone(Command::Data)
    } else if is("BDAT") {
        bdat(rest)
    } else if is("RSET") {
        alone(Command::Rset)
    } else if is("NOOP") {
        Ok(Command::Noop)
    } else if is("VRFY") {
        Ok(Command::Vrfy)
    } else if is("QUIT") {
        alone(Command::Quit)
    } else if is("STARTTLS") {
        alone(Command::StartTls)
    } else if is("AUTH") {
        auth(rest)
    } else if is("HELO") || is("EHLO") {
        // RFC 2033 section 4.1: never a positive reply.
        Err(Reply::new(500, "5.5.1", "This is LMTP: use LHLO"))
    } else {
        Err(Reply::new(500, "5.5.2", "Unknown command"))
    }
}

const NO_ARGUMENTS: Reply = Reply::new(501, "5.5.4", "No arguments are allowed");
const NO_NAME: Reply = Reply::new(501, "5.5.4", "LHLO wants the client's name");
const NO_FROM: Reply = Reply::new(501, "5.5.2", "MAIL FROM:<address> is wanted");
const NO_TO: Reply = Reply::new(501, "5.5.2", "RCPT TO:<address> is wanted");
const BAD_SENDER: Reply = Reply::new(501, "5.1.7", "Bad sender address");
const BAD_RECIPIENT: Reply = Reply::new(501, "5.1.3", "Bad recipient address");
const BAD_SIZE: Reply = Reply::new(501, "5.5.4", "Bad SIZE");
const BAD_BODY: Reply = Reply::new(501, "5.5.4", "BODY is 7BIT or 8BITMIME");
const UNKNOWN_PARAMETER: Reply = Reply::new(555, "5.5.4", "Unsupported parameter");
const NO_PIECE: Reply = Reply::new(501, "5.5.4", "BDAT size [LAST] is wanted");
const NO_MECHANISM: Reply = Reply::new(501, "5.5.4", "AUTH mechanism [initial-response] is wanted");

fn lhlo(name: &[u8]) -> Result<Command<'_>, Reply> {
    // It goes into a header field.
    let good = |byte: &u8| byte.is_ascii_graphic() && !b"()<>;,\\\"".contains(byte);
    if name.is_empty() || name.len() > NAME_BYTES_MAX || !name.iter().all(good) {
        return Err(NO_NAME);
    }
    std::str::from_utf8(name)
        .map(Command::Lhlo)
        .map_err(|_| NO_NAME)
}

/// Behind `FROM:` or `TO:`; a space there is common, and harmless.
fn behind<'a>(rest: &'a [u8], word: &str) -> Option<&'a [u8]> {
    let (given, rest) = rest.split_at_checked(word.len())?;
    given
        .eq_ignore_ascii_case(word.as_bytes())
        .then(|| rest.trim_ascii_start())
}

fn mail(rest: &[u8]) -> Result<Mail, Reply> {
    let rest = behind(rest, "FROM:").ok_or(NO_FROM)?;
    let (from, parameters) = Path::read(rest).ok_or(BAD_SENDER)?;
    let mut mail = Mail { from, size: None };
    for parameter in parameters_of(parameters).ok_or(BAD_SENDER)? {
        let (name, value) = match memchr::memchr(b'=', parameter) {
            Some(at) => (&parameter[..at], &parameter[at + 1..]),
            None => (parameter, &parameter[..0]),
        };
        let is = |known: &str| name.eq_ignore_ascii_case(known.as_bytes());
        if is("SIZE") {
            mail.size = Some(number(value).ok_or(BAD_SIZE)?);
        } else if is("BODY") {
            let known = [&b"7BIT"[..], b"8BITMIME"];
            if !known.iter().any(|known| value.eq_ignore_ascii_case(known)) {
                return Err(BAD_BODY);
            }
        } else if !is("AUTH") {
            // AUTH= says who sends it, to those who trust the client (RFC 4954 section 5): nothing here depends on it.
            return Err(UNKNOWN_PARAMETER);
        }
    }
    Ok(mail)
}

fn rcpt(rest: &[u8]) -> Result<Path, Reply> {
    let rest = behind(rest, "TO:").ok_or(NO_TO)?;
    let (to, parameters) = Path::read(rest).ok_or(BAD_RECIPIENT)?;
    let mut parameters = parameters_of(parameters).ok_or(BAD_RECIPIENT)?;
    if parameters.next().is_some() {
        return Err(UNKNOWN_PARAMETER);
    }
    match to {
        Path::Null => Err(BAD_RECIPIENT),
        Path::Address(_) => Ok(to),
    }
}

/// What stands behind a path: a space before each.
fn parameters_of(rest: &[u8]) -> Option<impl Iterator<Item = &[u8]>> {
    let good = rest.is_empty() || rest[0] == b' ';
    let all = rest.split(|byte| *byte == b' ');
    good.then(|| all.filter(|parameter| !parameter.is_empty()))
}

fn bdat(rest: &[u8]) -> Result<Command<'_>, Reply> {
    let mut words = rest
        .split(|byte| *byte == b' ')
        .filter(|word| !word.is_empty());
    let size = words.next().and_then(number).ok_or(NO_PIECE)?;
    let last = match words.next() {
        None => false,
        Some(word) if word.eq_ignore_ascii_case(b"LAST") => true,
        Some(_) => return Err(NO_PIECE),
    };
    match words.next() {
        None => Ok(Command::Bdat { size, last }),
        Some(_) => Err(NO_PIECE),
    }
}

fn auth(rest: &[u8]) -> Result<Command<'_>, Reply> {
    let mut words = rest.split(|byte| *byte == b' ');
    let mechanism = words.next().filter(|word| !word.is_empty());
    let (mechanism, initial) = (mechanism.ok_or(NO_MECHANISM)?, words.next());
    if words.next().is_some() {
        return Err(NO_MECHANISM);
    }
    // RFC 4954 section 4: `=` stands for an empty one.
    let initial = initial.map(|initial| {
        if initial == b"=" {
            &initial[..0]
        } else {
            initial
        }
    });
    Ok(Command::Auth { mechanism, initial })
}

fn number(digits: &[u8]) -> Option<u64> {
    let good =
        (1..=SIZE_DIGITS_MAX).contains(&digits.len()) && digits.iter().all(u8::is_ascii_digit);
    let text = std::str::from_utf8(digits).ok().filter(|_| good)?;
    text.parse().ok()
}

#[cfg(test)]
mod tests;
