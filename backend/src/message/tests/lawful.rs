//! A strict reader of what FETCH answers (RFC 3501 section 9): lists, strings, numbers, NIL, and their shapes.

#[derive(Debug, PartialEq)]
pub(super) enum Value {
    Nil,
    Number,
    Text(Vec<u8>),
    List(Vec<Self>),
}

use Value::{List, Nil, Number, Text};

/// Reads one value that is all of `bytes`.
pub(super) fn read(bytes: &[u8]) -> Value {
    assert!(!bytes.contains(&0), "a NUL");
    let mut open: Vec<Vec<Value>> = vec![Vec::new()];
    let mut rest = bytes;
    // Whether a space stands before what comes, and whether none may.
    let mut spaced = true;
    while let [first, behind @ ..] = rest {
        let value = match first {
            b'(' => {
                let after_list = matches!(open.last().unwrap().last(), Some(List(_)));
                assert!(spaced || after_list, "no space before (");
                open.push(Vec::new());
                rest = behind;
                spaced = true;
                continue;
            }
            b' ' => {
                assert!(!spaced && !behind.is_empty(), "a space too many");
                spaced = true;
                rest = behind;
                continue;
            }
            b')' => {
                let list = open.pop().unwrap();
                assert!(!list.is_empty(), "an empty list");
                assert!(!spaced, "a space before )");
                rest = behind;
                List(list)
            }
            _ => {
                assert!(spaced, "no space before a word");
                word(&mut rest)
            }
        };
        spaced = false;
        open.last_mut().expect("a list is open").push(value);
    }
    assert_eq!(open.len(), 1, "a list isn't closed");
    let mut values = open.pop().unwrap();
    assert_eq!(values.len(), 1);
    values.pop().unwrap()
}

fn word(rest: &mut &[u8]) -> Value {
    if let Some(behind) = rest.strip_prefix(b"NIL") {
        *rest = behind;
        return Nil;
    }
    if let Some(behind) = rest.strip_prefix(b"{") {
        let end = behind.iter().position(|byte| *byte == b'}').unwrap();
        let length: usize = std::str::from_utf8(&behind[..end])
            .unwrap()
            .parse()
            .unwrap();
        let behind = behind[end + 1..].strip_prefix(b"\r\n").unwrap();
        let (text, behind) = behind.split_at(length);
        *rest = behind;
        return Text(text.to_vec());
    }
    if let Some(mut behind) = rest.strip_prefix(b"\"") {
        let mut text = Vec::new();
        loop {
            let (byte, next) = behind.split_first().expect("a quoted string ends");
            behind = next;
            match byte {
                b'"' => break,
                b'\\' => {
                    assert!(b"\"\\".contains(&behind[0]), "an escape");
                    text.push(behind[0]);
                    behind = &behind[1..];
                }
                _ => {
                    assert!(byte.is_ascii() && !b"\r\n".contains(byte), "{byte} quoted");
                    text.push(*byte);
                }
            }
        }
        *rest = behind;
        return Text(text);
    }
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    assert!(digits > 0, "neither string nor number");
    *rest = &rest[digits..];
    Number
}

fn list(value: &Value) -> &[Value] {
    match value {
        List(values) => values,
        other => panic!("not a list: {other:?}"),
    }
}

fn nstring(value: &Value) {
    assert!(matches!(value, Nil | Text(_)), "not a string: {value:?}");
}

pub(super) fn envelope(value: &Value) {
    let fields = list(value);
    assert_eq!(fields.len(), 10);
    [0, 1, 8, 9].iter().for_each(|at| nstring(&fields[*at]));
    for addresses in &fields[2..8] {
        if *addresses == Nil {
            continue;
        }
        let mut in_group = false;
        for address in list(addresses) {
            let parts = list(address);
            assert_eq!(parts.len(), 4);
            parts.iter().for_each(nstring);
            if parts[3] == Nil {
                assert_eq!(parts[2] == Nil, in_group, "a group in a group");
                in_group = !in_group;
            }
        }
        assert!(!in_group, "a group without an end");
    }
}

fn pairs(value: &Value) {
    if *value != Nil {
        let values = list(value);
        assert_eq!(values.len() % 2, 0);
        assert!(values.iter().all(|value| matches!(value, Text(_))));
    }
}

fn extension(values: &[Value], multipart: bool) {
    assert_eq!(values.len(), 4);
    match multipart {
        true => pairs(&values[0]),
        false => nstring(&values[0]),
    }
    if values[1] != Nil {
        let disposition = list(&values[1]);
        assert!(disposition.len() == 2 && matches!(disposition[0], Text(_)));
        pairs(&disposition[1]);
    }
    if values[2] != Nil {
        assert!(list(&values[2]).iter().all(|tag| matches!(tag, Text(_))));
    }
    nstring(&values[3]);
}

/// BODYSTRUCTURE, or BODY (without extension data); in IMAP4rev2, or before it.
pub(super) fn body(value: &Value, extended: bool, rev2: bool) {
    let mut open = vec![value];
    while let Some(value) = open.pop() {
        let values = list(value);
        let parts = values.iter().take_while(|part| matches!(part, List(_)));
        let parts = parts.count();
        let length = if parts > 0 {
            open.extend(&values[..parts]);
            assert!(matches!(values[parts], Text(_)));
            parts + 1
        } else {
            let (Text(kind), Text(subtype)) = (&values[0], &values[1]) else {
                panic!("a part without a type")
            };
            pairs(&values[2]);
            nstring(&values[3]);
            nstring(&values[4]);
            assert!(matches!(values[5], Text(_)) && values[6] == Number);
            if kind == b"TEXT" {
                assert_eq!(values[7], Number);
                8
            } else if kind == b"MESSAGE" && (subtype == b"RFC822" || (rev2 && subtype == b"GLOBAL"))
            {
                envelope(&values[7]);
                open.push(&values[8]);
                assert_eq!(values[9], Number);
                10
            } else {
                assert_ne!(kind, b"MULTIPART");
                7
            }
        };
        match extended {
            true => extension(&values[length..], parts > 0),
            false => assert_eq!(values.len(), length),
        }
    }
}
