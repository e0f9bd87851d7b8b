//! Programs against messages: known answers, what is read and what isn't, and a plain model.

mod model;

use std::collections::BTreeMap;

use ravenry_core::proto::imap::{Cursor, DateTime, SearchCommand, SearchKey};

use super::*;
use crate::objectid::email_id;
use crate::store::Flags;

/// A message's content, and how often it was asked for.
#[derive(Clone, Debug, Default)]
struct Letter {
    fields: Vec<(String, String)>,
    sent: Option<Day>,
    body: Vec<String>,
    headers_read: usize,
    texts_read: usize,
}

impl Content for Letter {
    type Error = std::convert::Infallible;

    fn field(
        &mut self,
        name: &[u8],
        take: &mut dyn FnMut(Text<'_>) -> bool,
    ) -> Result<(), Self::Error> {
        self.headers_read += 1;
        let named = |field: &&(String, String)| field.0.as_bytes().eq_ignore_ascii_case(name);
        let mut values = self.fields.iter().filter(named);
        values.all(|(_, value)| take(Text::Plain(value)));
        Ok(())
    }

    fn sent(&mut self) -> Result<Option<Day>, Self::Error> {
        self.headers_read += 1;
        Ok(self.sent)
    }

    fn texts(&mut self, take: &mut dyn FnMut(Place, &str) -> bool) -> Result<(), Self::Error> {
        self.texts_read += 1;
        for (name, value) in &self.fields {
            if !take(Place::Header, &format!("{name}: {value}")) {
                return Ok(());
            }
        }
        for text in &self.body {
            if !take(Place::Body, text) {
                return Ok(());
            }
        }
        Ok(())
    }
}

/// A file that must not be opened.
struct Closed;

impl Content for Closed {
    type Error = &'static str;

    fn field(&mut self, _: &[u8], _: &mut dyn FnMut(Text<'_>) -> bool) -> Result<(), Self::Error> {
        Err("field")
    }

    fn sent(&mut self) -> Result<Option<Day>, Self::Error> {
        Err("sent")
    }

    fn texts(&mut self, _: &mut dyn FnMut(Place, &str) -> bool) -> Result<(), Self::Error> {
        Err("texts")
    }
}

const NOW: i64 = 1_000_000_000;

fn message() -> Message {
    Message {
        uid: 17,
        modseq: 40,
        // 17 July 1996, 02:44:25 -0700: it is the 17th in UTC, too.
        date: DateTime {
            seconds: 837_596_665,
            zone: -420,
        },
        saved: 837_600_000,
        size: 1000,
        header_size: 100,
        flags: Flags {
            system: Flags::SEEN,
            keywords: 0b10,
        },
        digest: [0xab; 32],
        structure: crate::store::Place::default(),
    }
}

fn letter() -> Letter {
    let field = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    Letter {
        fields: vec![
            field("From", "Terry Gray <gray@cac.washington.edu>"),
            field("Subject", "IMAP4rev1 WG mtg summary and minutes"),
            field("Received", "one"),
            field("Received", "two \u{c4}"),
            field("X-Empty", ""),
        ],
        sent: Day::of(1996, 7, 16),
        body: vec!["Hello".to_owned(), "Sm\u{f6}rg\u{e5}sbord".to_owned()],
        ..Letter::default()
    }
}

fn key(text: &str) -> SearchKey {
    let command = SearchCommand::parse(Cursor::new(format!(" {text}").as_bytes()));
    command.expect(text).key
}

fn program(key: SearchKey) -> Result<Program, TooManyStrings> {
    let keywords = ["$Forwarded".to_owned(), "Junk".to_owned()];
    let saved: Uids = [30, 17].into_iter().collect();
    let context = Context {
        exists: 5,
        highest_uid: 30,
        saved: &saved,
        keywords: &keywords,
        now: NOW,
    };
    Program::new(key, &context)
}

/// Whether the message is found; how often its header and its texts were asked for.
fn search(text: &str) -> (bool, usize, usize) {
    let (message, mut letter) = (message(), letter());
    let candidate = Candidate {
        number: 3,
        message: &message,
        recent: true,
    };
    let program = program(key(text)).expect("few strings");
    let found = program.matches(&candidate, &mut letter);
    let found = found.unwrap_or_else(|never| match never {});
    (found, letter.headers_read, letter.texts_read)
}

fn assert_found(texts: &[&str], wanted: bool) {
    for text in texts {
        assert_eq!(search(text).0, wanted, "{text}");
        assert_eq!(search(&format!("NOT {text}")).0, !wanted, "NOT {text}");
    }
}

/// Keys with a semicolon between them.
const SO: &str = "ALL; 3; 2:4; 1:*; *:1; $; UID $; UID 17; UID 5:*; SEEN; UNDELETED; KEYWORD junk; \
    UNKEYWORD $forwarded; UNKEYWORD other; RECENT; UNDRAFT; ON 17-Jul-1996; \
    SINCE 17-Jul-1996; BEFORE 18-Jul-1996; SAVEDON 17-Jul-1996; SAVEDSINCE 1-Jan-1996; \
    SAVEDBEFORE 1-Jan-1997; SAVEDATESUPPORTED; LARGER 999; SMALLER 1001; OLDER 162403335; \
    OLDER 1; YOUNGER 162403335; YOUNGER 4294967295; MODSEQ 40; MODSEQ 0; OR DELETED SEEN; \
    OR DELETED OR DRAFT SEEN; (SEEN (RECENT 3))";
const NOT_SO: &str = "4; *; UID 3; UID *; UNSEEN; DELETED; UNKEYWORD JUNK; KEYWORD $forwarded; KEYWORD other; \
    OLD; NEW; ON 16-Jul-1996; SINCE 18-Jul-1996; BEFORE 17-Jul-1996; SAVEDON 18-Jul-1996; \
    LARGER 1000; SMALLER 1000; OLDER 162403336; YOUNGER 162403334; MODSEQ 41; EMAILID x; \
    THREADID x; OR DELETED DRAFT; (SEEN DELETED); OR (SEEN DELETED) 7";

#[test]
fn records_are_judged() {
    let so: Vec<&str> = SO.split("; ").collect();
    let not_so: Vec<&str> = NOT_SO.split("; ").collect();
    assert!(so.len() > 30 && not_so.len() > 20);
    assert_found(&so, true);
    assert_found(&not_so, false);
    let by_id = |byte| format!("EMAILID {}", email_id(&[byte; 32]));
    assert_found(&[&by_id(0xab)], true);
    assert_found(&[&by_id(0xac)], false);
}

#[test]
fn an_internaldates_day_is_that_of_its_zone() {
    let mut late = message();
    late.date = DateTime {
        seconds: 86_400 - 60,
        zone: 2,
    };
    let candidate = Candidate {
        number: 1,
        message: &late,
        recent: false,
    };
    let found = |text: &str| program(key(text)).unwrap().matches(&candidate, &mut Closed);
    assert_eq!(found("ON 2-Jan-1970"), Ok(true));
    assert_eq!(found("ON 1-Jan-1970"), Ok(false));
}

#[test]
fn content_is_judged() {
    assert_found(
        &[
            "FROM gray",
            "FROM \"TERRY gray <\"",
            "SUBJECT WG",
            "HEADER received TWO",
            "HEADER Received {2}\r\n\u{e4}",
            "HEADER X-Empty \"\"",
            "HEADER subject \"\"",
            "SENTON 16-Jul-1996",
            "SENTBEFORE 17-Jul-1996",
            "SENTSINCE 16-Jul-1996",
            "BODY hELLO",
            "BODY {8}\r\nG\u{c5}SBORD",
            "TEXT hello",
            "TEXT minutes",
            "TEXT \"\"",
            "BODY \"\"",
            "BODY ello TEXT gray BODY rd",
            "TEXT \"subject: imap\"",
        ],
        true,
    );
    assert_found(
        &[
            "TO gray",
            "CC \"\"",
            "BCC x",
            "HEADER X-None \"\"",
            "HEADER X-Empty x",
            "SENTON 17-Jul-1996",
            "SENTBEFORE 16-Jul-1996",
            "BODY minutes",
            "BODY \"HelloSm\"",
            "TEXT onetwo",
            "TEXT {2}\r\n\u{e6}",
        ],
        false,
    );
    let (message, mut undated) = (message(), letter());
    undated.sent = None;
    let candidate = Candidate {
        number: 1,
        message: &message,
        recent: false,
    };
    for text in [
        "SENTON 1-Jan-1970",
        "SENTBEFORE 1-Jan-2000",
        "SENTSINCE 1-Jan-1970",
    ] {
        assert_eq!(
            program(key(text))
                .unwrap()
                .matches(&candidate, &mut undated),
            Ok(false)
        );
    }
    for wrong in [
        SearchKey::Body(vec![0xff]),
        SearchKey::Header {
            name: b"From".to_vec(),
            value: vec![0xff],
        },
    ] {
        assert_eq!(
            program(wrong).unwrap().matches(&candidate, &mut undated),
            Ok(false)
        );
    }
}

#[test]
fn files_are_read_only_where_they_decide() {
    for (text, found, headers, texts) in [
        ("TEXT x DELETED", false, 0, 0),
        ("OR TEXT hello SEEN", true, 0, 0),
        ("OR (TEXT x FROM x DELETED) (BODY x 4)", false, 0, 0),
        ("OR (OR TEXT a FROM b) SEEN FROM gray", true, 1, 0),
        ("TEXT hello FROM nobody", false, 1, 0),
        ("NOT (TEXT hello FROM nobody)", true, 1, 0),
        ("OR BODY hello FROM gray", true, 1, 0),
        ("TEXT hello BODY hello NOT TEXT nothing", true, 0, 1),
        ("SENTON 16-Jul-1996 SENTSINCE 1-Jan-1990", true, 1, 0),
        ("TEXT \"\" BODY \"\"", true, 0, 0),
    ] {
        assert_eq!(search(text), (found, headers, texts), "{text}");
    }
    for (text, needs) in [
        ("SEEN UID 1:*", Needs::Record),
        ("OR SEEN NOT FROM x", Needs::Header),
        ("SENTON 1-Jan-1970", Needs::Header),
        ("(SEEN (NOT (FROM x OR TEXT x DELETED)))", Needs::Whole),
        ("TEXT \"\"", Needs::Record),
    ] {
        assert_eq!(program(key(text)).unwrap().needs(), needs, "{text}");
    }
}

#[test]
fn a_file_that_cannot_be_read_is_told() {
    let message = message();
    let candidate = Candidate {
        number: 3,
        message: &message,
        recent: true,
    };
    let found = |text: &str| program(key(text)).unwrap().matches(&candidate, &mut Closed);
    assert_eq!(found("FROM x TEXT x"), Err("field"));
    assert_eq!(found("NOT SENTON 1-Jan-1970"), Err("sent"));
    assert_eq!(found("BODY x"), Err("texts"));
    assert_eq!(found("DELETED BODY x"), Ok(false));
}

#[test]
fn so_many_strings_are_looked_for_and_no_more() {
    let many = |name: &str, count: usize| {
        let keys: Vec<String> = (0..count).map(|at| format!("{name} x{at}")).collect();
        program(key(&keys.join(" "))).is_ok()
    };
    assert!(many("BODY", 100) && !many("BODY", 101));
    assert!(many("FROM", 1000) && !many("FROM", 1001));
    assert!(program(key("TEXT x ".repeat(10_000).trim_end())).is_ok());
    assert!(many("UID 1 NOT KEYWORD", 50_000));
}

#[test]
fn deep_programs_are_judged() {
    let deep = format!(
        "{}TEXT hello{}",
        "NOT (SEEN OR DELETED ".repeat(48),
        ")".repeat(48)
    );
    assert_eq!(search(&deep), (true, 0, 1));
    let chain = "OR TEXT zz ".repeat(50_000) + "BODY SMORG";
    assert!(!search(&chain).0);
}

/// The fields by name, for the model.
fn by_name(letter: &Letter) -> BTreeMap<String, Vec<&str>> {
    let mut fields = BTreeMap::<String, Vec<&str>>::new();
    for (name, value) in &letter.fields {
        fields.entry(name.to_lowercase()).or_default().push(value);
    }
    fields
}
