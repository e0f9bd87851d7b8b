//! STORE (RFC 3501 section 6.4.6; UNCHANGEDSINCE: RFC 7162 section 3.1.3).

use super::cursor::{Cursor, ParseError};
use super::flags::FlagList;
use super::sequence::SequenceSet;

/// A STORE's arguments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreCommand {
    /// Which messages.
    pub set: SequenceSet,
    /// What to do with the flags.
    pub mode: StoreMode,
    /// `.SILENT`: the client doesn't want to be told of its own change.
    pub silent: bool,
    /// The flags.
    pub flags: FlagList,
    /// Messages that have changed since are to be left alone.
    pub unchanged_since: Option<u64>,
}

/// What STORE does with the flags that are given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreMode {
    /// `FLAGS`
    Replace,
    /// `+FLAGS`
    Add,
    /// `-FLAGS`
    Remove,
}

impl StoreCommand {
    /// Reads what follows the command's name.
    ///
    /// # Errors
    /// Where it isn't what the RFCs have.
    pub fn parse(mut args: Cursor<'_>) -> Result<Self, ParseError> {
        args.sp()?;
        let set = SequenceSet::read(&mut args)?;
        args.sp()?;
        let mut unchanged_since = None;
        if args.accept(b'(') {
            unchanged_since = Some(modifier(&mut args)?);
            args.sp()?;
        }
        let (mode, silent) = item(&mut args)?;
        args.sp()?;
        let flags = if args.peek() == Some(b'(') {
            FlagList::read(&mut args)?
        } else {
            FlagList::read_bare(&mut args)?
        };
        args.end()?;
        Ok(Self {
            set,
            mode,
            silent,
            flags,
            unchanged_since,
        })
    }
}

/// Behind a parenthesis: `UNCHANGEDSINCE 12)`.
fn modifier(args: &mut Cursor<'_>) -> Result<u64, ParseError> {
    if !args.atom()?.eq_ignore_ascii_case(b"UNCHANGEDSINCE") {
        return Err(ParseError::Expected("UNCHANGEDSINCE"));
    }
    args.sp()?;
    let modseq = args.modseq()?;
    if args.accept(b')') {
        Ok(modseq)
    } else {
        Err(ParseError::Parenthesis)
    }
}

fn item(args: &mut Cursor<'_>) -> Result<(StoreMode, bool), ParseError> {
    let mode = match args.peek() {
        Some(b'+') => StoreMode::Add,
        Some(b'-') => StoreMode::Remove,
        _ => StoreMode::Replace,
    };
    let name = args.atom()?;
    let name = if mode == StoreMode::Replace {
        name
    } else {
        &name[1..]
    };
    if name.eq_ignore_ascii_case(b"FLAGS") {
        Ok((mode, false))
    } else if name.eq_ignore_ascii_case(b"FLAGS.SILENT") {
        Ok((mode, true))
    } else {
        Err(ParseError::Expected("FLAGS"))
    }
}

#[cfg(test)]
mod tests {
    use super::super::flags::{DELETED, SEEN};
    use super::*;

    fn read(text: &str) -> Result<StoreCommand, ParseError> {
        StoreCommand::parse(Cursor::new(text.as_bytes()))
    }

    #[test]
    fn stores_are_read() {
        let store = read(" 2:4 +FLAGS (\\Deleted)").unwrap();
        assert_eq!((store.mode, store.silent), (StoreMode::Add, false));
        assert_eq!((store.flags.system, store.unchanged_since), (DELETED, None));
        assert_eq!(store.set.to_string(), "2:4");
        let store = read(" 7,5,9 (UNCHANGEDSINCE 320162338) +flags.silent \\Seen $A").unwrap();
        assert_eq!((store.mode, store.silent), (StoreMode::Add, true));
        assert_eq!(store.unchanged_since, Some(320_162_338));
        assert_eq!(store.flags.system, SEEN);
        assert_eq!(store.flags.keywords, ["$A"]);
        let store = read(" $ -FLAGS.SILENT ()").unwrap();
        assert_eq!(
            (store.mode, store.set),
            (StoreMode::Remove, SequenceSet::Saved)
        );
        assert_eq!(read(" 1 FLAGS x").unwrap().mode, StoreMode::Replace);
        let last = read(" 1 (UNCHANGEDSINCE 9223372036854775807) FLAGS ()");
        assert_eq!(
            last.unwrap().unchanged_since,
            Some(9_223_372_036_854_775_807)
        );
    }

    #[test]
    fn what_is_wrong_is_refused() {
        for text in [
            "",
            " ",
            " 1",
            " 1 ",
            " 1 FLAGS",
            " 1 FLAGS ",
            " 1 *FLAGS x",
            " 1 ++FLAGS x",
            " 1 FLAGS. x",
            " 1 FLAGS (x) y",
            " 1 FLAGS x (y)",
            " 1 FLAGS (\\Recent)",
            " 1 +FLAGS \\Recent",
            " 1 FLAGS x ",
            " 0 FLAGS x",
            " 1 () FLAGS x",
            " 1 (UNCHANGEDSINCE) FLAGS x",
            " 1 (UNCHANGEDSINCE 1 FLAGS x",
            " 1 (UNCHANGEDSINCE 9223372036854775808) FLAGS x",
            " 1 (CHANGEDSINCE 1) FLAGS x",
            " 1 + x",
            " 1 (UNCHANGEDSINCE -1) FLAGS x",
        ] {
            assert!(read(text).is_err(), "{text:?}");
        }
    }
}
