//! SELECT and EXAMINE: the mailbox and the parameters (RFC 4466 section 2.3; CONDSTORE and QRESYNC: RFC 7162 sections
//! 3.1.8 and 3.2.5).

use std::borrow::Cow;

use super::cursor::{Cursor, ParseError};
use super::uids::Uids;

/// A SELECT's arguments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SelectCommand<'a> {
    /// Which mailbox.
    pub mailbox: Cow<'a, [u8]>,
    /// `CONDSTORE`: the client wants to hear of modseqs.
    pub condstore: bool,
    /// `QRESYNC`: what the client has of the mailbox from before.
    pub qresync: Option<Resync>,
}

/// What a client knows of a mailbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resync {
    /// The mailbox' UIDVALIDITY then.
    pub uidvalidity: u32,
    /// Whatever changed up to this modseq is known.
    pub modseq: u64,
    /// The messages that it has; `None`: any of lower UIDs.
    pub known: Option<Uids>,
    /// Message numbers and the UIDs that they had, pair by pair.
    pub numbers: Option<(Uids, Uids)>,
}

impl<'a> SelectCommand<'a> {
    /// Reads what follows the command's name.
    ///
    /// # Errors
    /// Where it isn't what the RFCs have; where a parameter isn't known or comes twice.
    pub fn parse(mut args: Cursor<'a>) -> Result<Self, ParseError> {
        args.sp()?;
        let mut select = Self {
            mailbox: args.astring()?,
            condstore: false,
            qresync: None,
        };
        if !args.is_done() {
            args.sp()?;
            select.parameters(&mut args)?;
        }
        args.end()?;
        Ok(select)
    }

    fn parameters(&mut self, args: &mut Cursor<'_>) -> Result<(), ParseError> {
        if !args.accept(b'(') {
            return Err(ParseError::Expected("SELECT parameters in parentheses"));
        }
        loop {
            let name = args.atom()?;
            if name.eq_ignore_ascii_case(b"CONDSTORE") && !self.condstore {
                self.condstore = true;
            } else if name.eq_ignore_ascii_case(b"QRESYNC") && self.qresync.is_none() {
                args.sp()?;
                self.qresync = Some(Resync::read(args)?);
            } else {
                return Err(ParseError::Expected(
                    "a SELECT parameter that is known, once",
                ));
            }
            if args.accept(b')') {
                return Ok(());
            }
            args.sp()?;
        }
    }
}

impl Resync {
    /// `(67890007 20050715194045000 41,43:211 (1,3,5 41,43,45))`
    fn read(args: &mut Cursor<'_>) -> Result<Self, ParseError> {
        if !args.accept(b'(') {
            return Err(ParseError::Expected("QRESYNC's arguments in parentheses"));
        }
        let uidvalidity = args.number32()?;
        args.sp()?;
        let modseq = args.modseq()?;
        if uidvalidity == 0 || modseq == 0 {
            return Err(ParseError::Expected("a number above 0"));
        }
        let mut resync = Self {
            uidvalidity,
            modseq,
            known: None,
            numbers: None,
        };
        if args.accept(b' ') && args.peek() != Some(b'(') {
            resync.known = Some(set(args)?);
            if !args.accept(b' ') {
                return closed(args).map(|()| resync);
            }
        }
        if args.accept(b'(') {
            let numbers = set(args)?;
            args.sp()?;
            let uids = set(args)?;
            closed(args)?;
            if numbers.len() != uids.len() {
                return Err(ParseError::Expected("as many UIDs as message numbers"));
            }
            resync.numbers = Some((numbers, uids));
        }
        closed(args).map(|()| resync)
    }
}

fn closed(args: &mut Cursor<'_>) -> Result<(), ParseError> {
    if args.accept(b')') {
        Ok(())
    } else {
        Err(ParseError::Parenthesis)
    }
}

/// A set without `*`, each number once.
fn set(args: &mut Cursor<'_>) -> Result<Uids, ParseError> {
    let set = Uids::parse(args.sequence_set()?);
    let set = set.ok_or(ParseError::Expected("a set of numbers"))?;
    let merged = Uids::merged(set.as_ranges().to_vec());
    if merged
        .in_order()
        .first()
        .is_some_and(|(first, _)| *first == 0)
    {
        return Err(ParseError::Expected("a number above 0"));
    }
    Ok(merged)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<SelectCommand<'_>, ParseError> {
        SelectCommand::parse(Cursor::new(text.as_bytes()))
    }

    #[test]
    fn parameters_are_read() {
        let plain = read(" INBOX").unwrap();
        assert_eq!((plain.condstore, plain.qresync), (false, None));
        assert!(read(" INBOX (condstore)").unwrap().condstore);
        let all =
            " INBOX (QRESYNC (67890007 90060115194045000 41:211,214:541 (1,3 41,43)) CONDSTORE)";
        let all = read(all).unwrap();
        assert!(all.condstore);
        let resync = all.qresync.unwrap();
        let (uidvalidity, modseq) = (67_890_007, 90_060_115_194_045_000);
        assert_eq!((resync.uidvalidity, resync.modseq), (uidvalidity, modseq));
        assert_eq!(resync.known.unwrap().to_string(), "41:211,214:541");
        let (numbers, uids) = resync.numbers.unwrap();
        assert_eq!(
            (numbers.to_string(), uids.to_string()),
            ("1,3".into(), "41,43".into())
        );
        let bare = read(" x (QRESYNC (1 2))").unwrap().qresync.unwrap();
        assert_eq!((bare.known, bare.numbers), (None, None));
        let matched = read(" x (QRESYNC (1 2 (1 7)))").unwrap().qresync.unwrap();
        assert!(matched.known.is_none() && matched.numbers.is_some());
    }

    #[test]
    fn what_is_wrong_is_refused() {
        for text in [
            "",
            " ",
            " x ",
            " x ()",
            " x CONDSTORE",
            " x (CONDSTORE CONDSTORE)",
            " x (NOSUCH)",
            " x (QRESYNC)",
            " x (QRESYNC ())",
            " x (QRESYNC (1))",
            " x (QRESYNC (0 1))",
            " x (QRESYNC (1 0))",
            " x (QRESYNC (1 2 ))",
            " x (QRESYNC (1 2 1:*))",
            " x (QRESYNC (1 2 $))",
            " x (QRESYNC (1 2 0:3))",
            " x (QRESYNC (1 2 3 (1 2,3)))",
            " x (QRESYNC (1 2 3 (1 2))",
            " x (QRESYNC (1 2 3 ))",
            " x (QRESYNC (1 9223372036854775808))",
            " x (QRESYNC (4294967296 1))",
        ] {
            assert!(read(text).is_err(), "{text:?}");
        }
    }
}
