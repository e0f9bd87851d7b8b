//! A letter as a message: header fields (RFC 5322), encoded words (RFC 2047), MIME parts (RFC 2045, RFC 2046).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::Person;
use crate::demo::calendar::Moment;

/// What a message is made from.
pub(super) struct Letter {
    pub(super) from: Person,
    pub(super) to: Person,
    pub(super) subject: String,
    pub(super) sent: Moment,
    pub(super) id: String,
    /// The ids of what it answers, the last one directly.
    pub(super) references: Vec<String>,
    pub(super) part: Part,
}

/// Its body; lines end with LF alone here.
pub(super) enum Part {
    Text(String),
    /// The same as text and as HTML.
    Alternative(String, String),
    /// A text, and a calendar's request.
    Invitation(String, String),
    /// A text and a file: its type, its name, its bytes.
    Attached(String, &'static str, String, Vec<u8>),
}

impl Part {
    pub(super) fn text(text: &str) -> Self {
        Self::Text(text.to_owned())
    }

    pub(super) fn attached(text: &str, kind: &'static str, name: &str, bytes: &[u8]) -> Self {
        Self::Attached(text.to_owned(), kind, name.to_owned(), bytes.to_vec())
    }

    /// What is read where nothing but text can be shown.
    pub(super) fn plain(&self) -> &str {
        match self {
            Self::Text(text)
            | Self::Alternative(text, _)
            | Self::Invitation(text, _)
            | Self::Attached(text, ..) => text,
        }
    }
}

impl Letter {
    /// The message; `boundary` is between its parts.
    pub(super) fn text(&self, boundary: u64) -> String {
        let mut lines = vec![
            format!("From: {}", mailbox(self.from)),
            format!("To: {}", mailbox(self.to)),
            format!("Subject: {}", words(&self.subject)),
            format!("Date: {}", self.sent.date()),
            format!("Message-ID: <{}>", self.id),
        ];
        if let Some(answered) = self.references.last() {
            lines.push(format!("In-Reply-To: <{answered}>"));
            let references = self.references.iter().map(|id| format!("<{id}>"));
            let references: Vec<_> = references.collect();
            lines.push(format!("References: {}", references.join("\r\n ")));
        }
        lines.push("MIME-Version: 1.0".to_owned());
        lines.join("\r\n") + "\r\n" + &self.body(&format!("=_{boundary:016x}"))
    }

    /// The fields about the content, and the content.
    fn body(&self, boundary: &str) -> String {
        match &self.part {
            Part::Text(text) => encoded("text/plain", text),
            Part::Alternative(text, html) => several(
                "alternative",
                boundary,
                &[encoded("text/plain", text), encoded("text/html", html)],
            ),
            Part::Invitation(text, event) => {
                let event = encoded("text/calendar; method=REQUEST", event);
                several("mixed", boundary, &[encoded("text/plain", text), event])
            }
            Part::Attached(text, kind, name, bytes) => {
                let file = attachment(kind, name, bytes);
                several("mixed", boundary, &[encoded("text/plain", text), file])
            }
        }
    }
}

fn several(kind: &str, boundary: &str, parts: &[String]) -> String {
    let head = format!("Content-Type: multipart/{kind}; boundary=\"{boundary}\"\r\n");
    let parts = parts
        .iter()
        .map(|part| format!("\r\n--{boundary}\r\n{part}"));
    head + &parts.collect::<String>() + &format!("\r\n--{boundary}--\r\n")
}

/// Text: as it is, where that can be; otherwise quoted-printable.
fn encoded(kind: &str, text: &str) -> String {
    if text.is_ascii() {
        let head = format!("Content-Type: {kind}; charset=us-ascii\r\n\r\n");
        return head + &text.replace('\n', "\r\n");
    }
    let lines: String = text.lines().map(quoted_printable).collect();
    format!(
        "Content-Type: {kind}; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n{lines}"
    )
}

/// A line of it (RFC 2045 section 6.7).
fn quoted_printable(line: &str) -> String {
    let (mut out, mut column) = (String::new(), 0);
    let last = line.len().saturating_sub(1);
    for (at, byte) in line.bytes().enumerate() {
        let plain = (byte.is_ascii_graphic() && byte != b'=') || (byte == b' ' && at != last);
        let piece = match plain {
            true => char::from(byte).to_string(),
            false => format!("={byte:02X}"),
        };
        if column + piece.len() > 75 {
            out += "=\r\n";
            column = 0;
        }
        column += piece.len();
        out += &piece;
    }
    out + "\r\n"
}

fn attachment(kind: &str, name: &str, bytes: &[u8]) -> String {
    let text = STANDARD.encode(bytes);
    let lines = text.as_bytes().chunks(76).map(String::from_utf8_lossy);
    let lines: Vec<_> = lines.collect();
    format!(
        "Content-Type: {kind}; name=\"{name}\"\r\nContent-Disposition: attachment; filename=\"{name}\"\r\n\
         Content-Transfer-Encoding: base64\r\n\r\n{}\r\n",
        lines.join("\r\n")
    )
}

fn mailbox(person: Person) -> String {
    format!("{} <{}>", words(person.name), person.address)
}

/// A text in a field, as an encoded word where it has to be one; those of the demo are short enough for one.
fn words(text: &str) -> String {
    match text.is_ascii() {
        true => text.to_owned(),
        false => format!("=?utf-8?B?{}?=", STANDARD.encode(text)),
    }
}

/// A picture as Windows' bitmaps have it: a header, and rows of three bytes a pixel.
pub(super) fn bitmap(side: u8, pixels: &[u8]) -> Vec<u8> {
    const HEAD: u32 = 54;
    let size = u32::try_from(pixels.len()).expect("invariant: a picture is small");
    let mut bytes = b"BM".to_vec();
    for number in [size + HEAD, 0, HEAD, 40, u32::from(side), u32::from(side)] {
        bytes.extend_from_slice(&number.to_le_bytes());
    }
    // One plane of 24 bits a pixel.
    bytes.extend_from_slice(&[1, 0, 24, 0]);
    for number in [0, size, 2835, 2835, 0, 0] {
        bytes.extend_from_slice(&number.to_le_bytes());
    }
    bytes.extend_from_slice(pixels);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_ascii_is_encoded() {
        assert_eq!(words("Zoë"), "=?utf-8?B?Wm/Dqw==?=");
        assert_eq!(quoted_printable("a=ë "), "a=3D=C3=AB=20\r\n");
        let long = quoted_printable(&"ë".repeat(40));
        assert!(long.split("\r\n").all(|line| line.len() <= 76), "{long}");
    }

    #[test]
    fn a_bitmap_is_as_long_as_it_says() {
        let bitmap = bitmap(2, &[7; 16]);
        assert_eq!(bitmap.len(), 54 + 16);
        assert_eq!(bitmap[2..6], 70_u32.to_le_bytes());
    }
}
