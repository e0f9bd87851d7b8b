//! ENVELOPE (RFC 3501 section 7.4.2). Where a field comes twice, the last counts, as at Cyrus.

use super::address::addresses;
use super::header::Fields;
use super::value::{nstring, unfolded};

const DATE: usize = 0;
const SUBJECT: usize = 1;
const FROM: usize = 2;
const CC: usize = 6;
const IN_REPLY_TO: usize = 8;

/// In the order in which they are shown.
const FIELDS: [&str; 10] = [
    "Date",
    "Subject",
    "From",
    "Sender",
    "Reply-To",
    "To",
    "Cc",
    "Bcc",
    "In-Reply-To",
    "Message-ID",
];

/// Appends the envelope of a header.
pub(super) fn envelope(out: &mut Vec<u8>, header: &[u8]) {
    let mut values: [Option<Vec<u8>>; FIELDS.len()] = [const { None }; FIELDS.len()];
    for field in Fields::new(header) {
        if let Some(at) = FIELDS.iter().position(|name| field.is(name)) {
            values[at] = Some(unfolded(field.value()));
        }
    }
    let mut from = Vec::new();
    addresses(&mut from, values[FROM].as_deref().unwrap_or_default());
    out.push(b'(');
    for (at, value) in values.iter().enumerate() {
        if at > DATE {
            out.push(b' ');
        }
        let value = value.as_deref();
        match at {
            DATE | SUBJECT | IN_REPLY_TO.. => nstring(out, value),
            FROM => out.extend_from_slice(&from),
            _ => {
                let start = out.len();
                addresses(out, value.unwrap_or_default());
                // Sender and Reply-To are From where they aren't there.
                if at < CC - 1 && &out[start..] == b"NIL" {
                    out.truncate(start);
                    out.extend_from_slice(&from);
                }
            }
        }
    }
    out.push(b')');
}
