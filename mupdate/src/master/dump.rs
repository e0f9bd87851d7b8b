//! The list as text: a line for each name, which sorts and diffs.
//!
//! `NAME TAB STATE TAB SERVER!PARTITION TAB ACL`. Bytes that aren't printable ASCII, tabs in an ACL
//! among them, and `\`, `'`, `"` are written with a backslash (`\t`, `\xff`). Lines that begin with `#` say
//! nothing.

use std::fmt::Write as _;

use ravenry_core::mailboxes::{Acl, Change, Location, Name, State, Told};

/// The first line.
pub(crate) const HEAD: &str = "# ravenry mupdate dump 1\n";

/// The last line: a dump without it was cut short.
pub(crate) const END: &str = "# end\n";

/// Adds a name's line.
pub(crate) fn write(told: &Told<'_>, out: &mut String) {
    let Some(held) = told.held else {
        return;
    };
    let state = match held.state {
        State::Active => "active",
        State::Reserved => "reserved",
        State::Moving => "moving",
    };
    let (name, acl) = (told.name.escape_ascii(), held.acl.escape_ascii());
    let (server, partition) = (
        held.server.escape_default(),
        held.partition.escape_default(),
    );
    // A String takes everything.
    let _ = writeln!(out, "{name}\t{state}\t{server}!{partition}\t{acl}");
}

/// Reads a line; `None`: it says nothing.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn read(line: &str) -> Result<Option<Change>, String> {
    if line.trim().is_empty() || line.starts_with('#') {
        return Ok(None);
    }
    let fields: Vec<&str> = line.split('\t').collect();
    let [name, state, location, acl] = fields[..] else {
        return Err("wants NAME TAB STATE TAB SERVER!PARTITION TAB ACL".to_owned());
    };
    let name = Name::from_mupdate(&unescape(name)?).map_err(|why| why.to_string())?;
    let location = Location::parse(&unescape(location)?);
    if location.server.is_empty() {
        return Err("the location names no server".to_owned());
    }
    Ok(Some(match state {
        "active" => Change::Active {
            name,
            location,
            acl: Acl::new(&unescape(acl)?),
        },
        "reserved" => Change::Reserved { name, location },
        "moving" => Change::Moving { name, location },
        other => return Err(format!("{other:?} is no state: active, reserved, moving")),
    }))
}

fn unescape(text: &str) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'\\' {
            bytes.push(byte);
            continue;
        }
        bytes.push(match rest.next() {
            Some(b't') => b'\t',
            Some(b'n') => b'\n',
            Some(b'r') => b'\r',
            Some(plain @ (b'\\' | b'\'' | b'"')) => plain,
            Some(b'x') => {
                let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
                let (high, low) = (digit(rest.next()), digit(rest.next()));
                let value = high.zip(low).map(|(high, low)| high * 16 + low);
                let value = value.and_then(|value| u8::try_from(value).ok());
                value.ok_or("two hexadecimal digits follow \\x")?
            }
            _ => return Err("a backslash that stands for nothing".to_owned()),
        });
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use ravenry_core::mailboxes::{Change, Held, State, Told};

    use super::{read, write};

    #[test]
    fn what_is_written_is_read() {
        let bytes: Vec<u8> = (1..=255).collect();
        let told = Told {
            name: &bytes,
            held: Some(Held {
                state: State::Active,
                server: "b1.test",
                partition: "",
                acl: b"a\tlrs\t\\x",
            }),
        };
        let mut text = String::new();
        write(&told, &mut text);
        assert!(text.is_ascii() && text.lines().count() == 1, "{text}");
        let Ok(Some(Change::Active {
            name,
            location,
            acl,
        })) = read(text.trim_end_matches('\n'))
        else {
            panic!("{text}")
        };
        assert_eq!(name.as_bytes(), bytes);
        assert_eq!(
            (location.server.as_str(), location.partition.as_str()),
            ("b1.test", "")
        );
        assert_eq!(acl.as_bytes(), b"a\tlrs\t\\x");
    }

    #[test]
    fn lines_that_are_wrong() {
        assert!(matches!(read("# x"), Ok(None)));
        assert!(matches!(read("  "), Ok(None)));
        for line in [
            "a",
            "a\tactive\tb!p",
            "a\tgone\tb!p\t",
            "a\tactive\t!p\t",
            "\\q\tactive\tb!\t",
        ] {
            assert!(read(line).is_err(), "{line}");
        }
    }
}
