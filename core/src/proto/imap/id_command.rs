//! ID (RFC 2971): what a client says of itself.

use super::cursor::{Cursor, ParseError};

/// Reads what follows the command's name: NIL, or pairs within their limits (RFC 2971 section 3.3).
///
/// # Errors
/// Where it isn't what the RFC has.
pub fn id(mut args: Cursor<'_>) -> Result<(), ParseError> {
    args.sp()?;
    if args.peek() == Some(b'(') {
        pairs(Cursor::new(args.paren()?))?;
    } else {
        args.nstring()?;
    }
    args.end()
}

fn pairs(mut list: Cursor<'_>) -> Result<(), ParseError> {
    list.accept(b'(');
    let mut count = 0;
    while !list.accept(b')') {
        if count > 0 {
            list.sp()?;
        }
        let field = list.string()?;
        list.sp()?;
        let value = list.nstring()?.unwrap_or_default();
        count += 1;
        if count > 30 || field.len() > 30 || value.len() > 1024 {
            return Err(ParseError::Expected(
                "30 pairs at most, a field of 30 and a value of 1024 bytes",
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_client_says_has_limits() {
        let read = |text: &str| id(Cursor::new(text.as_bytes())).is_ok();
        let field = |len| format!(" (\"{}\" \"x\")", "f".repeat(len));
        let value = |len| format!(" (\"f\" \"{}\")", "v".repeat(len));
        let pairs = |count| format!(" ({})", vec!["\"f\" NIL"; count].join(" "));
        for good in [
            " NIL",
            " ()",
            " \"x\"",
            &field(30),
            &value(1024),
            &pairs(30),
        ] {
            assert!(read(good), "{good}");
        }
        for bad in [
            "",
            " ",
            " x",
            " (\"f\")",
            " (\"f\" x)",
            " NIL x",
            &field(31),
            &value(1025),
            &pairs(31),
        ] {
            assert!(!read(bad), "{bad}");
        }
    }
}
