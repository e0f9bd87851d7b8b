//! What SEARCH asks of a message beyond its record in the index: of what is kept of its header, or of its file.

use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;

use ravenry_core::proto::imap::Day;

use crate::message::{self, Source, Summary, Value};
use crate::search::{Content, Place, Text};
use crate::store::{Message, Records};

/// A message's file: its header, and all of it, each read when it is first needed.
pub(super) struct Letter {
    pub(super) path: PathBuf,
    header_size: u64,
    /// What has been read, from the first byte on.
    bytes: Vec<u8>,
    /// Whether that is all of it.
    whole: bool,
}

impl Letter {
    pub(super) fn new(path: PathBuf, header_size: u32) -> Self {
        Self {
            path,
            header_size: header_size.into(),
            bytes: Vec::new(),
            whole: false,
        }
    }

    pub(super) fn header(&mut self) -> io::Result<&[u8]> {
        if self.bytes.is_empty() && self.header_size > 0 {
            File::open(&self.path)?
                .take(self.header_size)
                .read_to_end(&mut self.bytes)?;
        }
        let size = usize::try_from(self.header_size).unwrap_or(usize::MAX);
        Ok(&self.bytes[..size.min(self.bytes.len())])
    }

    fn all(&mut self) -> io::Result<&[u8]> {
        if !self.whole {
            self.bytes.clear();
            File::open(&self.path)?.read_to_end(&mut self.bytes)?;
            self.whole = true;
        }
        Ok(&self.bytes)
    }
}

impl Content for Letter {
    type Error = io::Error;

    fn field(&mut self, name: &[u8], take: &mut dyn FnMut(Text<'_>) -> bool) -> io::Result<()> {
        if let Ok(name) = std::str::from_utf8(name) {
            message::decoded(self.header()?, name).all(|value| take(Text::Plain(&value)));
        }
        Ok(())
    }

    fn sent(&mut self) -> io::Result<Option<Day>> {
        Ok(message::sent(self.header()?).map(|sent| sent.day))
    }

    fn texts(&mut self, take: &mut dyn FnMut(Place, &str) -> bool) -> io::Result<()> {
        message::texts(self.all()?, |source, text| {
            let place = match source {
                Source::Header => Place::Header,
                Source::Body => Place::Body,
            };
            take(place, text)
        });
        Ok(())
    }
}

/// A message's file has to be read.
#[derive(Debug)]
pub(in crate::imap) struct Needed;

/// What is kept of a message's header, read when it is first needed.
pub(super) enum Kept<'a> {
    /// Nothing may be read now.
    Unread,
    /// Not yet.
    Closed(&'a mut Records, &'a Message),
    /// `None`: nothing is kept.
    Open(Option<Summary<'a>>),
}

impl<'a> Kept<'a> {
    /// What is kept, if anything is.
    pub(super) fn summary(&mut self) -> Option<Summary<'a>> {
        let summary = match std::mem::replace(self, Self::Unread) {
            Self::Unread => None,
            Self::Closed(records, message) => records.get(message).and_then(Summary::of),
            Self::Open(summary) => summary,
        };
        *self = Self::Open(summary);
        summary
    }
}

impl Content for Kept<'_> {
    type Error = Needed;

    fn field(&mut self, name: &[u8], take: &mut dyn FnMut(Text<'_>) -> bool) -> Result<(), Needed> {
        let summary = self.summary().ok_or(Needed)?;
        let kept = summary.named(name, |value| match value {
            Value::Folded(text) => take(Text::Folded(text)),
            // What isn't UTF-8 wasn't written so.
            Value::Plain(text) => {
                std::str::from_utf8(text).is_ok_and(|text| take(Text::Plain(text)))
            }
        });
        kept.then_some(()).ok_or(Needed)
    }

    fn sent(&mut self) -> Result<Option<Day>, Needed> {
        let summary = self.summary().ok_or(Needed)?;
        Ok(summary.sent().map(|sent| sent.day))
    }

    fn texts(&mut self, _: &mut dyn FnMut(Place, &str) -> bool) -> Result<(), Needed> {
        Err(Needed)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use ravenry_core::proto::imap::{Cursor, DateTime, SearchCommand, Uids};

    use super::*;
    use crate::search::{Candidate, Context, Program};
    use crate::store::{self, Flags};

    fn program(keys: &str) -> Program {
        let command = SearchCommand::parse(Cursor::new(format!(" {keys}").as_bytes()));
        let context = Context {
            exists: 1,
            highest_uid: 1,
            saved: &Uids::default(),
            keywords: &[],
            now: 0,
        };
        Program::new(command.unwrap().key, &context).unwrap()
    }

    fn message(bytes: &[u8]) -> Message {
        Message {
            uid: 1,
            modseq: 1,
            date: DateTime {
                seconds: 0,
                zone: 0,
            },
            saved: 0,
            size: bytes.len() as u64,
            header_size: u32::try_from(message::header_length(bytes)).unwrap(),
            flags: Flags::default(),
            digest: [0; 32],
            structure: store::Place::default(),
        }
    }

    const KEYS: &[&str] = &[
        "FROM a",
        "TO \"\"",
        "NOT CC ab",
        "BCC \"a b\"",
        "SUBJECT {2}\r\n\u{c4}",
        "SUBJECT \"\"",
        "HEADER subject RE",
        "HEADER Message-ID <A@B",
        "HEADER In-Reply-To \"\"",
        "OR HEADER References b> FROM b",
        "SENTON 1-Jan-2000",
        "SENTSINCE 2-Jan-2000",
        "NOT SENTBEFORE 3-Feb-2001",
    ];

    fn line() -> impl Strategy<Value = String> {
        let name = prop::sample::select(vec![
            "From",
            "TO",
            "Cc",
            "bcc",
            "Subject",
            "SUBJECT ",
            "Message-ID",
            "In-Reply-To",
            "References",
            "Date",
            "X-Odd",
            "",
            " folded",
            "\tmore",
        ]);
        let value = prop_oneof![
            "[aAbB\u{c4}\u{e4} <>@\"(),;:\\\\]{0,12}",
            Just("=?utf-8?q?=C3=84b?= =?utf-8?b?YQ==?=".to_owned()),
            Just("=?iso-8859-1?q?a=E4?= x =?bad".to_owned()),
            Just("\u{0}a\r b\u{fb01}".to_owned()),
            Just("Sat, 1 Jan 2000 23:01:33 -0800".to_owned()),
            Just("a@b, ".repeat(900)),
        ];
        let end = prop::sample::select(vec!["\r\n", "\n", "\r\n\r\n", ""]);
        let colon = prop::sample::select(vec![":", ": ", ""]);
        (name, colon, value, end)
            .prop_map(|(name, colon, value, end)| format!("{name}{colon}{value}{end}"))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(300))]

        #[test]
        fn what_is_kept_decides_as_the_file_does(lines in prop::collection::vec(line(), 0..12)) {
            let bytes = lines.concat().into_bytes();
            let (message, record) = (message(&bytes), message::record(&bytes));
            let beginning = message::record_of_beginning(&bytes);
            let file = tempfile::NamedTempFile::new().unwrap();
            std::fs::write(file.path(), &bytes).unwrap();
            let candidate = Candidate { number: 1, message: &message, recent: false };
            for keys in KEYS {
                let program = program(keys);
                let mut letter = Letter::new(file.path().to_owned(), message.header_size);
                let by_file = program.matches(&candidate, &mut letter).unwrap();
                for record in [&record, &beginning] {
                    let mut kept = Kept::Open(Summary::of(record));
                    if let Ok(by_record) = program.matches(&candidate, &mut kept) {
                        prop_assert_eq!(by_record, by_file, "{}", keys);
                    }
                }
                let mut unread = Kept::Unread;
                prop_assert!(program.matches(&candidate, &mut unread).is_err(), "{}", keys);
            }
        }
    }

    #[test]
    fn usual_mail_is_decided_without_its_file() {
        let mail = b"From: Terry <gray@cac>\r\nSubject: caf\xc3\xa9\r\n\r\nbody";
        let (message, record) = (message(mail), message::record(mail));
        let candidate = Candidate {
            number: 1,
            message: &message,
            recent: false,
        };
        for (keys, expected) in [
            ("FROM TERRY", Some(true)),
            ("SUBJECT CAFE", Some(true)),
            ("TO x", Some(false)),
            ("SENTSINCE 1-Jan-1970", Some(false)),
            ("HEADER References \"\"", Some(false)),
            ("HEADER X-Other \"\"", None),
            ("BODY bod", None),
            ("FROM gray BODY bod", None),
            ("FROM nobody BODY bod", Some(false)),
        ] {
            let mut kept = Kept::Open(Summary::of(&record));
            let decided = program(keys).matches(&candidate, &mut kept);
            assert_eq!(decided.ok(), expected, "{keys}");
        }
    }
}
