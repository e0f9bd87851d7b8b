//! The beginning of a message's text, for a list of messages (RFC 8970).
//!
//! It is of the first text/plain or text/html part that has some text, and no attachment; the same bytes give the same preview. What is
//! looked at is the caller's to limit: the beginning of a message is enough.

use mail_parser::decoders::html::html_to_text;

use super::encoding::{decode, to_utf8};
use super::tree::{Node, parts};

/// RFC 8970 section 3.3: it should have so many characters at most.
const CHARS_MAX: usize = 200;

/// The preview of a message that begins so. It has no line ends and no control characters; empty: there is no text.
#[must_use]
pub fn preview(beginning: &[u8]) -> String {
    let texts = parts(beginning).into_iter().filter(is_shown);
    let mut previews = texts.map(|node| {
        let content = &node.content;
        let encoding = content.encoding.as_deref().unwrap_or_default();
        let bytes = decode(encoding, &beginning[node.body.clone()]);
        let text = to_utf8(content.parameter(b"CHARSET"), &bytes);
        match content.subtype == b"HTML" {
            true => shortened(&html_to_text(&text)),
            false => shortened(&text),
        }
    });
    previews.find(|text| !text.is_empty()).unwrap_or_default()
}

/// A reader sees it as text.
fn is_shown(node: &Node) -> bool {
    let content = &node.content;
    let known = content.subtype == b"PLAIN" || content.subtype == b"HTML";
    let disposition = content.disposition.as_ref();
    let attached = disposition.is_some_and(|(kind, _)| kind == b"ATTACHMENT");
    content.is_text() && known && !attached
}

/// The first characters; a space for whatever stands between words.
fn shortened(text: &str) -> String {
    let mut short = String::new();
    let (mut chars, mut gap) = (0, false);
    for char in text.chars() {
        if char.is_whitespace() || char.is_control() {
            gap = true;
            continue;
        }
        // Senders fill previews with characters that nobody sees; within a word they have a meaning.
        if is_invisible(char) && (gap || chars == 0) {
            continue;
        }
        let space = gap && chars > 0;
        chars += 1 + usize::from(space);
        if chars > CHARS_MAX {
            break;
        }
        if space {
            short.push(' ');
        }
        short.push(char);
        gap = false;
    }
    short
}

fn is_invisible(char: char) -> bool {
    matches!(
        char,
        '\u{ad}' | '\u{34f}' | '\u{200b}'..='\u{200f}' | '\u{2060}'..='\u{2064}' | '\u{feff}'
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(header: &str, body: &str) -> String {
        preview(format!("{header}\r\n\r\n{body}").as_bytes())
    }

    const HTML: &str = "Content-Type: text/html; charset=utf-8";

    #[test]
    fn previews_are_the_first_text() {
        let alternative = "Content-Type: multipart/alternative; boundary=cut";
        let attached = "--cut\r\nContent-Disposition: attachment\r\n\r\nnotes\r\n";
        for (header, body, text) in [
            ("Subject: x", "  Hello,\r\n\r\n\tworld \r\n", "Hello, world"),
            ("Subject: x", " \r\n\r\n", ""),
            ("Content-Type: application/pdf", "text", ""),
            ("Content-Type: text/calendar", "BEGIN:VCALENDAR", ""),
            (
                "Content-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: quoted-printable",
                "caf=E9=\r\n!",
                "caf\u{e9}!",
            ),
            ("Content-Transfer-Encoding: base64", "AGhpAQ==", "hi"),
            (
                HTML,
                "<head><title>no</title><style>p {}</style></head><p>One &amp; <b>two</b></p>\u{200c}&nbsp;\u{200c}&nbsp;three",
                "One & two three",
            ),
            (HTML, "<style>p { color: red }", ""),
            ("Subject: x", "\u{feff}\u{200b}a\u{200d}b", "a\u{200d}b"),
            (
                alternative,
                "--cut\r\nContent-Type: text/html\r\n\r\n<img>\r\n--cut\r\n\r\nplain\r\n--cut--",
                "plain",
            ),
            (
                alternative,
                &format!("{attached}--cut\r\n\r\nletter"),
                "letter",
            ),
            (
                alternative,
                "--cut\r\nContent-Type: message/rfc822\r\n\r\nSubject: y\r\n\r\ninner",
                "inner",
            ),
        ] {
            assert_eq!(of(header, body), text, "{header} {body}");
        }
        assert_eq!(preview(b""), "");
    }

    #[test]
    fn no_preview_is_longer_than_it_may_be() {
        for (word, count) in [("x", 200), ("\u{1f600}", 200), ("x ", 199), ("ab ", 200)] {
            let text = of("Subject: x", &word.repeat(1000));
            assert_eq!(text.chars().count(), count, "{word}");
            assert!(!text.ends_with(' '));
        }
    }

    proptest! {
        #[test]
        fn any_bytes_have_a_preview_that_can_be_sent(
            header in prop::sample::select(vec!["", HTML, "Content-Transfer-Encoding: base64", "Content-Type: text/plain; charset=utf-16"]),
            body in prop::collection::vec(any::<u8>(), 0..600),
        ) {
            let message = [header.as_bytes(), b"\r\n\r\n", &body].concat();
            let text = preview(&message);
            prop_assert!(text.chars().count() <= CHARS_MAX);
            prop_assert!(!text.chars().any(char::is_control));
            prop_assert_eq!(text.trim(), &text);
        }
    }
}
