//! LIST as clients may say it: RFC 3501 section 6.3.8, LIST-EXTENDED (RFC 5258), LIST-STATUS (RFC 5819),
//! SPECIAL-USE (RFC 6154), LIST-MYRIGHTS (RFC 8440), LIST-METADATA (RFC 9590).

use std::borrow::Cow;

use super::cursor::{Cursor, ParseError};

/// More patterns aren't taken.
const PATTERNS_MAX: usize = 64;

/// A LIST command's arguments.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListCommand<'a> {
    /// The reference.
    pub reference: Cow<'a, [u8]>,
    /// The patterns, one at least.
    pub patterns: Vec<Cow<'a, [u8]>>,
    /// Which names.
    pub select: Selection,
    /// What is to be told of each.
    pub returns: Returns<'a>,
    /// It says something that RFC 3501's LIST doesn't know: then levels without a mailbox are
    /// \NonExistent.
    pub is_extended: bool,
}

/// Selection options (RFC 5258 section 3.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// SUBSCRIBED: only names that are subscribed, whether they exist or not.
    pub subscribed: bool,
    /// SPECIAL-USE: only mailboxes with a special use.
    pub special_use: bool,
    /// REMOTE: the client knows referrals.
    pub remote: bool,
    /// RECURSIVEMATCH: also names above those that are selected.
    pub recursive: bool,
}

/// Return options (RFC 5258 section 3.2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Returns<'a> {
    /// SUBSCRIBED.
    pub subscribed: bool,
    /// CHILDREN.
    pub children: bool,
    /// SPECIAL-USE.
    pub special_use: bool,
    /// MYRIGHTS.
    pub myrights: bool,
    /// STATUS and its items, in parentheses.
    pub status: Option<&'a [u8]>,
    /// METADATA and what follows it: options and entries, each in parentheses.
    pub metadata: Option<&'a [u8]>,
}

impl<'a> ListCommand<'a> {
    /// Reads what follows the command's name.
    ///
    /// # Errors
    /// Where it isn't what RFC 5258 has, or an option isn't known.
    pub fn parse(mut args: Cursor<'a>) -> Result<Self, ParseError> {
        let mut list = Self::default();
        args.sp()?;
        if args.peek() == Some(b'(') {
            list.is_extended = true;
            list.select = selection(args.paren()?)?;
            args.sp()?;
        }
        list.reference = args.astring()?;
        args.sp()?;
        if args.peek() == Some(b'(') {
            list.is_extended = true;
            list.patterns = patterns(&mut args)?;
        } else {
            list.patterns.push(args.list_mailbox()?);
        }
        if !args.is_done() {
            list.is_extended = true;
            args.sp()?;
            let word = args.atom()?;
            if !word.eq_ignore_ascii_case(b"RETURN") {
                return Err(ParseError::Expected("RETURN"));
            }
            args.sp()?;
            list.returns = returns(args.paren()?)?;
        }
        args.end()?;
        Ok(list)
    }
}

fn patterns<'a>(args: &mut Cursor<'a>) -> Result<Vec<Cow<'a, [u8]>>, ParseError> {
    args.accept(b'(');
    let mut patterns = vec![args.list_mailbox()?];
    while !args.accept(b')') {
        args.sp()?;
        patterns.push(args.list_mailbox()?);
        if patterns.len() > PATTERNS_MAX {
            return Err(ParseError::Expected("at most 64 patterns"));
        }
    }
    Ok(patterns)
}

fn selection(options: &[u8]) -> Result<Selection, ParseError> {
    let mut selection = Selection::default();
    each(options, |name, _| {
        let flag = match name.to_ascii_uppercase().as_slice() {
            b"SUBSCRIBED" => &mut selection.subscribed,
            b"SPECIAL-USE" => &mut selection.special_use,
            b"REMOTE" => &mut selection.remote,
            b"RECURSIVEMATCH" => &mut selection.recursive,
            _ => return Err(ParseError::Expected("a selection option that is known")),
        };
        *flag = true;
        Ok(())
    })?;
    // RFC 5258 section 3.1: it needs something to match.
    if selection.recursive && !selection.subscribed && !selection.special_use {
        return Err(ParseError::Expected(
            "a selection option beside RECURSIVEMATCH",
        ));
    }
    Ok(selection)
}

fn returns(options: &[u8]) -> Result<Returns<'_>, ParseError> {
    let mut returns = Returns::default();
    each(options, |name, rest| {
        match name.to_ascii_uppercase().as_slice() {
            b"SUBSCRIBED" => returns.subscribed = true,
            b"CHILDREN" => returns.children = true,
            b"SPECIAL-USE" => returns.special_use = true,
            b"MYRIGHTS" => returns.myrights = true,
            b"STATUS" => {
                rest.sp()?;
                returns.status = Some(rest.paren()?);
            }
            b"METADATA" => returns.metadata = Some(metadata(rest)?),
            _ => return Err(ParseError::Expected("a return option that is known")),
        }
        Ok(())
    })?;
    Ok(returns)
}

/// One or two lists in parentheses: options and entries.
fn metadata<'a>(rest: &mut Cursor<'a>) -> Result<&'a [u8], ParseError> {
    rest.sp()?;
    let from = rest.rest();
    rest.paren()?;
    let mut ahead = *rest;
    if ahead.accept(b' ') && ahead.peek() == Some(b'(') {
        ahead.paren()?;
        *rest = ahead;
    }
    Ok(&from[..from.len() - rest.rest().len()])
}

/// Calls `take` for each word of a list in parentheses; it may read on behind the word.
fn each<'a>(
    list: &'a [u8],
    mut take: impl FnMut(&[u8], &mut Cursor<'a>) -> Result<(), ParseError>,
) -> Result<(), ParseError> {
    let inner = list
        .strip_prefix(b"(")
        .and_then(|list| list.strip_suffix(b")"));
    let mut rest = Cursor::new(inner.unwrap_or_default());
    while !rest.is_done() {
        let name = rest.atom()?;
        take(name, &mut rest)?;
        if !rest.is_done() {
            rest.sp()?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<ListCommand<'_>, ParseError> {
        ListCommand::parse(Cursor::new(text.as_bytes()))
    }

    #[test]
    fn plain_lists_are_not_extended() {
        let list = parse(" \"\" INBOX.%").unwrap();
        assert!(!list.is_extended && list.reference.is_empty());
        assert_eq!(list.patterns, [&b"INBOX.%"[..]]);
    }

    #[test]
    fn options_are_read() {
        let list = parse(
            " (subscribed RECURSIVEMATCH) \"\" (a* \"b c\" {1+}\r\nd) RETURN (CHILDREN STATUS (MESSAGES UIDNEXT) \
             METADATA (DEPTH 1) (/shared/comment \"/private/x y\") MYRIGHTS)",
        )
        .unwrap();
        assert!(list.is_extended && list.select.subscribed && list.select.recursive);
        assert_eq!(list.patterns, [&b"a*"[..], b"b c", b"d"]);
        assert_eq!(list.returns.status, Some(&b"(MESSAGES UIDNEXT)"[..]));
        assert_eq!(
            list.returns.metadata,
            Some(&b"(DEPTH 1) (/shared/comment \"/private/x y\")"[..])
        );
        assert!(list.returns.children && list.returns.myrights && !list.returns.subscribed);
        let list = parse(" () \"\" () RETURN ()");
        assert!(list.is_err(), "no pattern");
        let list = parse(" () \"\" % RETURN ()").unwrap();
        assert!(list.is_extended && list.select == Selection::default());
        let list = parse(" \"\" % RETURN (METADATA (/shared/comment) SPECIAL-USE)").unwrap();
        assert_eq!(list.returns.metadata, Some(&b"(/shared/comment)"[..]));
        assert!(list.returns.special_use);
    }

    #[test]
    fn what_is_wrong_is_refused() {
        for text in [
            "",
            " \"\"",
            " \"\" a b",
            " \"\" a RETURN",
            " \"\" a RETURN CHILDREN",
            " \"\" a RETURN (CHILDREN",
            " \"\" a RETURN (X)",
            " \"\" a RETURN (STATUS)",
            " \"\" a RETURN (STATUS MESSAGES)",
            " \"\" a RETURN (METADATA)",
            " (X) \"\" a",
            " (RECURSIVEMATCH) \"\" a",
            " (SUBSCRIBED)\"\" a",
            " \"\" (a b",
            " \"\" a RETURN () x",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
