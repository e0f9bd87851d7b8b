//! Messages of any size, each line different, so that bytes that are lost or moved show.

use std::fmt::Write;
use std::rc::Rc;

const LINE: usize = 78;

/// A message of exactly `size` bytes (at least 200), with `name` in its headers.
#[must_use]
pub fn message(name: &str, size: usize) -> Rc<[u8]> {
    let mut text = format!(
        "From: load@example.test\r\nTo: load@example.test\r\nSubject: {name}\r\n\
         Date: Mon, 1 Jan 2024 00:00:00 +0000\r\nMessage-ID: <{name}@example.test>\r\n\r\n"
    );
    let mut number = 0_u64;
    while text.len() + 2 * LINE + 4 < size {
        number += 1;
        let mixed = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let end = text.len() + LINE;
        while text.len() + 17 <= end {
            // Writing into a string can't fail.
            let _ = write!(text, "{mixed:016x} ");
        }
        let _ = write!(text, "{number:0>width$}\r\n", width = end - text.len());
    }
    let rest = size.saturating_sub(text.len() + 2);
    text.extend(std::iter::repeat_n('x', rest));
    text.push_str("\r\n");
    text.into_bytes().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_has_the_size_asked_for_and_no_line_is_too_long() {
        for size in [200, 201, 333, 1000, 65_536, 1 << 20] {
            let message = message("m1", size);
            assert_eq!(message.len(), size);
            assert!(message.ends_with(b"\r\n"));
            let text = std::str::from_utf8(&message).unwrap();
            assert!(text.split("\r\n").all(|line| line.len() <= 998));
            assert!(!text.replace("\r\n", "").contains(['\r', '\n', '\0']));
        }
    }
}
