//! SORT and THREAD: what a client looks for, and in which order (RFC 5256 sections 3 and 5). RETURN: RFC 5267 section 3.1, the keys
//! DISPLAYFROM and DISPLAYTO: RFC 5957.

use super::cursor::{Cursor, ParseError};
use super::search::{
    Charset, SearchError, SearchKey, SearchReturns, all_of, charset, returns, word,
};

/// A SORT's arguments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SortCommand {
    /// `RETURN (…)`: the answer is an ESEARCH.
    pub returns: Option<SearchReturns>,
    /// What decides first, what decides where that doesn't, and so on: each key once, since a second time it decides nothing.
    pub criteria: Vec<SortCriterion>,
    /// What the strings are in.
    pub charset: Charset,
    /// Which messages.
    pub key: SearchKey,
}

/// A key, and its direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SortCriterion {
    /// `REVERSE`: the largest is first.
    pub reverse: bool,
    /// By what.
    pub key: SortKey,
}

/// What messages are put in order by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SortKey {
    /// INTERNALDATE
    Arrival,
    /// The mailbox of the first address in Cc
    Cc,
    /// When it was sent
    Date,
    /// What is shown of the first address in From
    DisplayFrom,
    /// What is shown of the first address in To
    DisplayTo,
    /// The mailbox of the first address in From
    From,
    /// RFC822.SIZE
    Size,
    /// The base subject
    Subject,
    /// The mailbox of the first address in To
    To,
}

/// A THREAD's arguments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ThreadCommand {
    /// How threads are made.
    pub algorithm: ThreadAlgorithm,
    /// What the strings are in.
    pub charset: Charset,
    /// Which messages.
    pub key: SearchKey,
}

/// How threads are made (RFC 5256 section 3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ThreadAlgorithm {
    /// By base subject and date
    OrderedSubject,
    /// By what each message says it refers to
    References,
}

impl SortCommand {
    /// Reads what follows the command's name.
    ///
    /// # Errors
    /// Where it isn't what the RFCs have, or strings are in an unknown charset.
    pub fn parse(mut args: Cursor<'_>) -> Result<Self, SearchError> {
        args.sp()?;
        let returns = if word(&mut args, b"RETURN") {
            Some(returns(&mut args)?)
        } else {
            None
        };
        let criteria = criteria(&mut args)?;
        args.sp()?;
        let saves = returns.is_some_and(|returns| returns.save);
        let (charset, key) = criterion_of_search(args, saves)?;
        Ok(Self {
            returns,
            criteria,
            charset,
            key,
        })
    }
}

impl ThreadCommand {
    /// Reads what follows the command's name.
    ///
    /// # Errors
    /// Where it isn't what RFC 5256 has, the algorithm isn't known, or strings are in an unknown charset.
    pub fn parse(mut args: Cursor<'_>) -> Result<Self, SearchError> {
        args.sp()?;
        let algorithm = match args.atom()?.to_ascii_uppercase().as_slice() {
            b"ORDEREDSUBJECT" => ThreadAlgorithm::OrderedSubject,
            b"REFERENCES" => ThreadAlgorithm::References,
            _ => return Err(ParseError::Expected("ORDEREDSUBJECT or REFERENCES").into()),
        };
        args.sp()?;
        let (charset, key) = criterion_of_search(args, false)?;
        Ok(Self {
            algorithm,
            charset,
            key,
        })
    }
}

/// `UTF-8 ALL`, to the end.
fn criterion_of_search(
    mut args: Cursor<'_>,
    saves: bool,
) -> Result<(Charset, SearchKey), SearchError> {
    let charset = charset(&mut args)?.ok_or(SearchError::Charset { saves })?;
    let key = all_of(&mut args, 0)?;
    args.end()?;
    Ok((charset, key))
}

/// `(SUBJECT REVERSE DATE)`
fn criteria(args: &mut Cursor<'_>) -> Result<Vec<SortCriterion>, ParseError> {
    if !args.accept(b'(') {
        return Err(ParseError::Expected("sort keys in parentheses"));
    }
    let mut criteria: Vec<SortCriterion> = Vec::new();
    loop {
        let mut name = args.atom()?.to_ascii_uppercase();
        let reverse = name == b"REVERSE";
        if reverse {
            args.sp()?;
            name = args.atom()?.to_ascii_uppercase();
        }
        let key = match name.as_slice() {
            b"ARRIVAL" => SortKey::Arrival,
            b"CC" => SortKey::Cc,
            b"DATE" => SortKey::Date,
            b"DISPLAYFROM" => SortKey::DisplayFrom,
            b"DISPLAYTO" => SortKey::DisplayTo,
            b"FROM" => SortKey::From,
            b"SIZE" => SortKey::Size,
            b"SUBJECT" => SortKey::Subject,
            b"TO" => SortKey::To,
            _ => return Err(ParseError::Expected("a sort key that is known")),
        };
        if criteria.iter().all(|known| known.key != key) {
            criteria.push(SortCriterion { reverse, key });
        }
        if args.accept(b')') {
            return Ok(criteria);
        }
        args.sp()?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sort(text: &str) -> Result<SortCommand, SearchError> {
        SortCommand::parse(Cursor::new(text.as_bytes()))
    }

    fn by(key: SortKey, reverse: bool) -> SortCriterion {
        SortCriterion { reverse, key }
    }

    #[test]
    fn sorts_are_read() {
        // RFC 5256 section 3.
        let read = sort(" (SUBJECT REVERSE DATE) UTF-8 ALL").unwrap();
        let criteria = [by(SortKey::Subject, false), by(SortKey::Date, true)];
        assert_eq!((read.returns, read.charset), (None, Charset::Utf8));
        assert_eq!(
            (&read.criteria[..], read.key),
            (&criteria[..], SearchKey::All)
        );
        let read = sort(" return (min count) (reverse to) us-ascii ANSWERED UID 1:*").unwrap();
        let returns = read.returns.unwrap();
        assert!(returns.min && returns.count && !returns.all);
        assert_eq!(read.criteria, [by(SortKey::To, true)]);
        assert!(matches!(read.key, SearchKey::And(keys) if keys.len() == 2));
        let read = sort(" (SIZE REVERSE SIZE FROM CC SIZE) utf-8 ALL").unwrap();
        let criteria = [SortKey::Size, SortKey::From, SortKey::Cc];
        assert_eq!(read.criteria, criteria.map(|key| by(key, false)));
    }

    #[test]
    fn threads_are_read() {
        let thread = |text: &str| ThreadCommand::parse(Cursor::new(text.as_bytes()));
        let read = thread(" REFERENCES utf-8 ALL").unwrap();
        assert_eq!(read.algorithm, ThreadAlgorithm::References);
        let read = thread(" orderedsubject \"US-ASCII\" SEEN").unwrap();
        assert_eq!(
            (read.algorithm, read.charset),
            (ThreadAlgorithm::OrderedSubject, Charset::UsAscii)
        );
        for text in [
            "",
            " REFS UTF-8 ALL",
            " REFERENCES UTF-8",
            " REFERENCES ALL",
            " REFERENCES UTF-8 ALL ",
        ] {
            assert!(thread(text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_is_no_sort_is_refused() {
        for text in [
            "",
            " ",
            " SUBJECT UTF-8 ALL",
            " () UTF-8 ALL",
            " (SUBJECT DATE UTF-8 ALL",
            " (SUBJECT  DATE) UTF-8 ALL",
            " (REVERSE) UTF-8 ALL",
            " (REVERSE REVERSE DATE) UTF-8 ALL",
            " (MODSEQ) UTF-8 ALL",
            " (DATE) UTF-8",
            " (DATE)UTF-8 ALL",
            " (DATE) UTF-8 ALL x",
            " RETURN (PARTIAL 1:2) (DATE) UTF-8 ALL",
        ] {
            assert!(matches!(sort(text), Err(SearchError::Parse(_))), "{text}");
        }
        for (text, saves) in [
            ("", false),
            (" RETURN (SAVE)", true),
            (" RETURN (MIN)", false),
        ] {
            let refused = sort(&format!("{text} (DATE) KOI8-R ALL"));
            assert_eq!(refused, Err(SearchError::Charset { saves }));
        }
    }
}
