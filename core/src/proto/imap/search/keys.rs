//! The keys of a SEARCH, read one after the other.

use super::super::cursor::{Cursor, ParseError};
use super::super::date::Day;
use super::super::flags::{self, ANSWERED, DELETED, DRAFT, FLAGGED, SEEN};
use super::super::sequence::SequenceSet;
use super::{DEPTH_MAX, DateOf, SearchKey, When};

use SearchKey as Key;

type Parsed<T> = Result<T, ParseError>;

/// Keys with a space between them: all of them hold.
pub(in super::super) fn all_of(args: &mut Cursor<'_>, depth: usize) -> Parsed<Key> {
    let first = key(args, depth)?;
    if args.peek() != Some(b' ') {
        return Ok(first);
    }
    let mut keys = vec![first];
    while args.accept(b' ') {
        keys.push(key(args, depth)?);
    }
    Ok(Key::And(keys))
}

/// One key, with the NOTs before it.
fn key(args: &mut Cursor<'_>, depth: usize) -> Parsed<Key> {
    if depth > DEPTH_MAX {
        return Err(ParseError::Expected(
            "search keys that aren't nested so deep",
        ));
    }
    let mut negated = false;
    let key = loop {
        match args.peek() {
            Some(b'(') => break group(args, depth)?,
            Some(b'0'..=b'9' | b'*' | b'$') => break Key::Numbers(SequenceSet::read(args)?),
            _ => {}
        }
        let name = args.run(|byte| byte.is_ascii_alphabetic(), "a search key")?;
        let name = name.to_ascii_uppercase();
        match name.as_slice() {
            b"NOT" => {
                args.sp()?;
                negated = !negated;
            }
            b"OR" => break or(args, depth)?,
            name => break named(name, args)?,
        }
    };
    Ok(if negated {
        Key::Not(Box::new(key))
    } else {
        key
    })
}

fn group(args: &mut Cursor<'_>, depth: usize) -> Parsed<Key> {
    args.accept(b'(');
    let keys = all_of(args, depth + 1)?;
    if args.accept(b')') {
        Ok(keys)
    } else {
        Err(ParseError::Parenthesis)
    }
}

/// Behind OR. Where its second operand is an OR again, it goes on here.
fn or(args: &mut Cursor<'_>, depth: usize) -> Parsed<Key> {
    let mut keys = Vec::new();
    loop {
        args.sp()?;
        keys.push(key(args, depth + 1)?);
        args.sp()?;
        let mut ahead = *args;
        let next = ahead.run(|byte| byte.is_ascii_alphabetic(), "a search key");
        if !next.is_ok_and(|name| name.eq_ignore_ascii_case(b"OR")) {
            keys.push(key(args, depth + 1)?);
            return Ok(Key::Or(keys));
        }
        *args = ahead;
    }
}

fn named(name: &[u8], args: &mut Cursor<'_>) -> Parsed<Key> {
    if let Some(key) = flag(name).or_else(|| plain(name)) {
        return Ok(key);
    }
    if let Some(field) = field(name) {
        let name = field.to_vec();
        return Ok(Key::Header {
            name,
            value: string(args)?,
        });
    }
    if let Some((of, when)) = date(name) {
        args.sp()?;
        return Ok(Key::Date {
            of,
            when,
            day: Day::read(args)?,
        });
    }
    Ok(match name {
        b"UID" => {
            args.sp()?;
            Key::Uids(SequenceSet::read(args)?)
        }
        b"KEYWORD" => keyword(args, true)?,
        b"UNKEYWORD" => keyword(args, false)?,
        b"LARGER" => Key::Larger(number(args)?),
        b"SMALLER" => Key::Smaller(number(args)?),
        b"OLDER" => Key::Older(interval(args)?),
        b"YOUNGER" => Key::Younger(interval(args)?),
        b"MODSEQ" => Key::ModSeq(modseq(args)?),
        b"EMAILID" => Key::EmailId(string(args)?),
        b"THREADID" => Key::ThreadId(string(args)?),
        b"HEADER" => Key::Header {
            name: string(args)?,
            value: string(args)?,
        },
        b"BODY" => Key::Body(string(args)?),
        b"TEXT" => Key::Text(string(args)?),
        _ => return Err(ParseError::Expected("a search key that is known")),
    })
}

fn flag(name: &[u8]) -> Option<Key> {
    let (name, set) = match name.strip_prefix(b"UN") {
        Some(name) => (name, false),
        None => (name, true),
    };
    let bit = match name {
        b"ANSWERED" => ANSWERED,
        b"DELETED" => DELETED,
        b"DRAFT" => DRAFT,
        b"FLAGGED" => FLAGGED,
        b"SEEN" => SEEN,
        _ => return None,
    };
    Some(Key::System { bit, set })
}

fn plain(name: &[u8]) -> Option<Key> {
    let unseen = Key::System {
        bit: SEEN,
        set: false,
    };
    Some(match name {
        b"ALL" => Key::All,
        b"RECENT" => Key::Recent(true),
        b"OLD" => Key::Recent(false),
        b"NEW" => Key::And(vec![Key::Recent(true), unseen]),
        b"SAVEDATESUPPORTED" => Key::SaveDateSupported,
        _ => return None,
    })
}

/// Keys that are a header field's name.
fn field(name: &[u8]) -> Option<&'static [u8]> {
    Some(match name {
        b"BCC" => b"Bcc",
        b"CC" => b"Cc",
        b"FROM" => b"From",
        b"SUBJECT" => b"Subject",
        b"TO" => b"To",
        _ => return None,
    })
}

fn date(name: &[u8]) -> Option<(DateOf, When)> {
    let (of, name) = if let Some(name) = name.strip_prefix(b"SENT") {
        (DateOf::Sent, name)
    } else if let Some(name) = name.strip_prefix(b"SAVED") {
        (DateOf::Saved, name)
    } else {
        (DateOf::Internal, name)
    };
    let when = match name {
        b"BEFORE" => When::Before,
        b"ON" => When::On,
        b"SINCE" => When::Since,
        _ => return None,
    };
    Some((of, when))
}

fn keyword(args: &mut Cursor<'_>, set: bool) -> Parsed<Key> {
    args.sp()?;
    Ok(Key::Keyword {
        name: flags::keyword(args)?,
        set,
    })
}

fn string(args: &mut Cursor<'_>) -> Parsed<Vec<u8>> {
    args.sp()?;
    args.astring().map(std::borrow::Cow::into_owned)
}

fn number(args: &mut Cursor<'_>) -> Parsed<u64> {
    args.sp()?;
    args.number()
}

/// RFC 5032 section 3.
fn interval(args: &mut Cursor<'_>) -> Parsed<u32> {
    args.sp()?;
    match args.number32()? {
        0 => Err(ParseError::Expected("seconds that aren't 0")),
        seconds => Ok(seconds),
    }
}

/// RFC 7162 section 3.1.5: `MODSEQ "/flags/\\draft" all 620162338`, or the number alone.
fn modseq(args: &mut Cursor<'_>) -> Parsed<u64> {
    args.sp()?;
    if args.peek() == Some(b'"') {
        args.string()?;
        args.sp()?;
        let kind = args.atom()?;
        let known = ["priv", "shared", "all"];
        if !known
            .iter()
            .any(|known| kind.eq_ignore_ascii_case(known.as_bytes()))
        {
            return Err(ParseError::Expected("priv, shared or all"));
        }
        args.sp()?;
    }
    args.modseq()
}
