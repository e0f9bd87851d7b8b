//! Messages with NULs in them, as BINARY lets them come (RFC 3516 section 4.4).
//!
//! No literal of FETCH BODY may have a NUL, so no file of ours has one: a part in the encoding "binary" that has one becomes base64, which
//! BINARY undoes again. All else stays as it is, byte for byte.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use memchr::memchr;

use super::header::Fields;
use super::tree::parts;

/// Bytes of a line of base64 before they are encoded: 76 characters.
const LINE_BYTES: usize = 57;

/// The message without NULs. `None`: there are some that stand in no part of the encoding "binary".
#[must_use]
pub fn without_nuls(message: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(message.len() / 2 * 3);
    let mut at = 0;
    for node in parts(message) {
        let body = &message[node.body.clone()];
        let binary = node.content.encoding.as_deref() == Some(b"BINARY");
        if node.has_parts() || !binary || memchr(0, body).is_none() {
            continue;
        }
        out.extend_from_slice(&message[at..node.header.start]);
        header(&mut out, &message[node.header.clone()]);
        for line in body.chunks(LINE_BYTES) {
            out.extend_from_slice(STANDARD.encode(line).as_bytes());
            out.extend_from_slice(b"\r\n");
        }
        // The line end before a delimiter is the delimiter's.
        if node.body.end < message.len() {
            out.truncate(out.len() - b"\r\n".len());
        }
        at = node.body.end;
    }
    out.extend_from_slice(&message[at..]);
    memchr(0, &out).is_none().then_some(out)
}

/// Appends a part's header, with the other encoding in it.
fn header(out: &mut Vec<u8>, header: &[u8]) {
    let mut at = 0;
    for field in Fields::new(header) {
        at += field.bytes.len();
        if field.is("Content-Transfer-Encoding") {
            out.extend_from_slice(b"Content-Transfer-Encoding: base64\r\n");
        } else {
            out.extend_from_slice(field.bytes);
        }
    }
    out.extend_from_slice(&header[at..]);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::{Decoder, Part, Structure, transfer_encoding};
    use super::*;

    /// A part of a message, its encoding undone.
    fn decoded(message: &[u8], path: &[u32]) -> Vec<u8> {
        let structure = Structure::of(message);
        let at = |what| {
            let range = structure.locate(path, what).expect("it is there");
            usize::try_from(range.start).unwrap()..usize::try_from(range.end).unwrap()
        };
        let encoding = transfer_encoding(&message[at(Part::Mime)]);
        let mut decoder = Decoder::of(&encoding).expect("it is known");
        let mut out = Vec::new();
        decoder.push(&message[at(Part::Whole)], &mut out);
        decoder.finish(&mut out);
        out
    }

    #[test]
    fn parts_with_nuls_become_base64_and_all_else_stays() {
        let alone =
            b"Subject: x\r\ncontent-transfer-encoding:\r\n binary\r\nMIME-Version: 1.0\r\n\r\na\0b";
        let expected =
            b"Subject: x\r\nContent-Transfer-Encoding: base64\r\nMIME-Version: 1.0\r\n\r\nYQBi\r\n";
        assert_eq!(without_nuls(alone).as_deref(), Some(&expected[..]));
        let mixed = [
            &b"Content-Type: multipart/mixed; boundary=cut\r\nContent-Transfer-Encoding: binary\r\n\r\npreface\r\n--cut\r\n\r\ntext\r\n"[..],
            b"--cut\r\nContent-Transfer-Encoding: binary\r\n\r\n\0\xff\0\r\n\0\r\n",
            b"--cut\r\nContent-Transfer-Encoding: binary\r\n\r\nno NUL \xff\r\n--cut--\r\n",
        ]
        .concat();
        let made = without_nuls(&mixed).expect("it can be");
        let (before, behind) = (
            mixed.iter().position(|byte| *byte == 0).unwrap(),
            b"--cut\r\nContent-Transfer-Encoding: binary\r\n\r\nno NUL",
        );
        assert_eq!(made[..before - 37], mixed[..before - 37]);
        assert!(memchr::memmem::find(&made, behind).is_some());
        assert_eq!(decoded(&made, &[2]), b"\0\xff\0\r\n\0");
        assert_eq!(
            (decoded(&made, &[1]), decoded(&made, &[3])),
            (b"text".to_vec(), b"no NUL \xff".to_vec())
        );
    }

    #[test]
    fn a_nul_anywhere_else_is_none_that_may_come() {
        for message in [
            &b"Subject: a\0b\r\n\r\nx"[..],
            b"Subject: x\r\n\r\na\0",
            b"Content-Transfer-Encoding: 8bit\r\n\r\na\0",
            b"Content-Transfer-Encoding: base64\r\n\r\na\0",
            b"Content-Type: multipart/mixed; boundary=c\r\nContent-Transfer-Encoding: binary\r\n\r\n\0\r\n--c\r\n\r\nx\r\n--c--\r\n",
            b"\0",
        ] {
            assert_eq!(without_nuls(message), None);
        }
        assert_eq!(without_nuls(b"x").as_deref(), Some(&b"x"[..]));
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded_the_same(body in prop::collection::vec(any::<u8>(), 1..400)) {
            let message = [&b"Content-Transfer-Encoding: binary\r\n\r\n"[..], &body].concat();
            let made = without_nuls(&message).expect("it can be");
            prop_assert_eq!(decoded(&made, &[1]), body);
        }

        #[test]
        fn any_bytes_are_taken_or_not(message in prop::collection::vec(prop::sample::select(b"\0\r\n:- abB".as_slice()), 0..200)) {
            if let Some(made) = without_nuls(&message) {
                prop_assert!(memchr(0, &made).is_none());
            }
        }
    }
}
