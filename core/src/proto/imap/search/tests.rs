//! SEARCH programs: the RFCs' examples, depth and length, what is refused, and round trips.

use proptest::prelude::*;

use super::super::flags::{ANSWERED, DELETED, SEEN};
use super::*;

fn read(text: &str) -> Result<SearchCommand, SearchError> {
    SearchCommand::parse(Cursor::new(text.as_bytes()))
}

fn key(text: &str) -> SearchKey {
    read(&format!(" {text}")).expect(text).key
}

/// The key as a command has it.
fn written(key: &SearchKey) -> String {
    let quoted = |text: &[u8]| {
        let text = String::from_utf8(text.to_vec()).unwrap();
        format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
    };
    match key {
        SearchKey::All => "ALL".to_owned(),
        SearchKey::And(keys) => {
            let keys: Vec<String> = keys.iter().map(written).collect();
            format!("({})", keys.join(" "))
        }
        SearchKey::Or(keys) => {
            let (last, keys) = keys.split_last().unwrap();
            let keys: String = keys
                .iter()
                .map(|key| format!("OR {} ", written(key)))
                .collect();
            keys + &written(last)
        }
        SearchKey::Not(key) => format!("NOT {}", written(key)),
        SearchKey::Numbers(set) => set.to_string(),
        SearchKey::Uids(set) => format!("UID {set}"),
        SearchKey::System { bit, set } => {
            let flag = super::super::SYSTEM_FLAGS[bit.trailing_zeros() as usize];
            format!("{}{}", if *set { "" } else { "un" }, &flag[1..])
        }
        SearchKey::Keyword { name, set } => {
            format!("{} {name}", if *set { "KEYWORD" } else { "UNKEYWORD" })
        }
        SearchKey::Recent(recent) => if *recent { "RECENT" } else { "OLD" }.to_owned(),
        SearchKey::Date { of, when, day } => {
            let of = match of {
                DateOf::Internal => "",
                DateOf::Sent => "SENT",
                DateOf::Saved => "SAVED",
            };
            format!("{of}{when:?} {day}")
        }
        SearchKey::SaveDateSupported => "SAVEDATESUPPORTED".to_owned(),
        SearchKey::Larger(size) => format!("LARGER {size}"),
        SearchKey::Smaller(size) => format!("SMALLER {size}"),
        SearchKey::Older(seconds) => format!("OLDER {seconds}"),
        SearchKey::Younger(seconds) => format!("YOUNGER {seconds}"),
        SearchKey::ModSeq(modseq) => format!("MODSEQ {modseq}"),
        SearchKey::EmailId(id) => format!("EMAILID {}", quoted(id)),
        SearchKey::ThreadId(id) => format!("THREADID {}", quoted(id)),
        SearchKey::Header { name, value } => format!("HEADER {} {}", quoted(name), quoted(value)),
        SearchKey::Body(text) => format!("BODY {}", quoted(text)),
        SearchKey::Text(text) => format!("TEXT {}", quoted(text)),
    }
}

#[test]
fn examples_are_read() {
    let since = Day::of(1994, 2, 1).unwrap();
    let from = SearchKey::Header {
        name: b"From".to_vec(),
        value: b"Smith".to_vec(),
    };
    assert_eq!(
        key("DELETED FROM \"Smith\" SINCE 1-Feb-1994"),
        SearchKey::And(vec![
            SearchKey::System {
                bit: DELETED,
                set: true
            },
            from.clone(),
            SearchKey::Date {
                of: DateOf::Internal,
                when: When::Since,
                day: since
            },
        ])
    );
    let search = read(" CHARSET UTF-8 TEXT {6}\r\n\u{441}\u{43b}\u{43e}").unwrap();
    assert_eq!(search.charset, Some(Charset::Utf8));
    assert_eq!(search.key, SearchKey::Text("\u{441}\u{43b}\u{43e}".into()));
    let search = read(" RETURN (MIN COUNT) 1:* NOT FROM Smith").unwrap();
    let returns = SearchReturns {
        min: true,
        count: true,
        ..SearchReturns::default()
    };
    assert_eq!(search.returns, Some(returns));
    let SearchKey::And(keys) = search.key else {
        panic!("two keys")
    };
    assert_eq!(keys[1], SearchKey::Not(Box::new(from)));
    let all = SearchReturns {
        all: true,
        ..SearchReturns::default()
    };
    assert_eq!(
        read(" return () charset \"us-ascii\" all").unwrap().returns,
        Some(all)
    );
    let save = read(" RETURN (SAVE) $ UID $").unwrap();
    let saved = SequenceSet::Saved;
    assert!(
        save.returns
            .is_some_and(|returns| returns.save && !returns.all)
    );
    assert_eq!(
        save.key,
        SearchKey::And(vec![
            SearchKey::Numbers(saved.clone()),
            SearchKey::Uids(saved)
        ])
    );
}

#[test]
fn keys_are_read_in_any_form() {
    assert_eq!(
        key("MODSEQ \"/flags/\\\\draft\" all 620162338"),
        SearchKey::ModSeq(620_162_338)
    );
    assert_eq!(key("MODSEQ 0"), SearchKey::ModSeq(0));
    assert_eq!(
        key("unanswered"),
        SearchKey::System {
            bit: ANSWERED,
            set: false
        }
    );
    let unseen = SearchKey::System {
        bit: SEEN,
        set: false,
    };
    assert_eq!(
        key("NEW"),
        SearchKey::And(vec![SearchKey::Recent(true), unseen])
    );
    assert_eq!(key("OLD"), key("NOT NOT OLD"));
    assert_eq!(key("(ALL)"), SearchKey::All);
    assert_eq!(
        key("((ALL) (ALL))"),
        SearchKey::And(vec![SearchKey::All; 2])
    );
    assert_eq!(key("SAVEDON \"1-Feb-1994\""), key("savedon 01-feb-1994"));
    assert_eq!(key("BODY {2}\r\n\u{e9}"), SearchKey::Body("\u{e9}".into()));
}

#[test]
fn a_charset_that_is_not_known_is_told_apart() {
    for charset in ["KOI8-R", "\"UTF-7\"", "{5}\r\nUTF-9", "x"] {
        assert_eq!(
            read(&format!(" CHARSET {charset} ALL")),
            Err(SearchError::Charset { saves: false })
        );
    }
    assert_eq!(
        read(" RETURN (SAVE) CHARSET X ALL"),
        Err(SearchError::Charset { saves: true })
    );
    assert!(matches!(read(" CHARSET UTF-8"), Err(SearchError::Parse(_))));
    let bytes = b" TEXT {2}\r\n\xff\xfe";
    let search = SearchCommand::parse(Cursor::new(bytes)).unwrap();
    assert_eq!(search.key, SearchKey::Text(vec![0xff, 0xfe]));
}

#[test]
fn what_is_wrong_is_refused() {
    for text in [
        "",
        " ",
        " BOGUS",
        " ALL ",
        " ALL  ALL",
        " ()",
        " (ALL",
        " ALL)",
        " (ALL ) ",
        " NOT",
        " NOT ",
        " OR ALL",
        " OR",
        " OR ALL ",
        " OR OR ALL ALL",
        " SEEN x",
        " UNRECENT",
        " UNALL",
        " SENT",
        " SAVED",
        " SENTON",
        " BEFORE 1-Feb",
        " ON 30-Feb-1994",
        " UID",
        " UID 0",
        " UID x",
        " 0",
        " 1,",
        " KEYWORD",
        " KEYWORD \\Seen",
        " KEYWORD \"a\"",
        " LARGER",
        " LARGER x",
        " LARGER -1",
        " LARGER 99999999999999999999",
        " OLDER 0",
        " OLDER 4294967296",
        " YOUNGER x",
        " MODSEQ",
        " MODSEQ x",
        " MODSEQ \"/flags/x\" 1",
        " MODSEQ \"/flags/x\" some 1",
        " EMAILID",
        " HEADER",
        " HEADER a",
        " FROM",
        " FROM (x)",
        " FROM \"x",
        " FROM {3}\r\na\0b",
        " RETURN",
        " RETURN ALL",
        " RETURN ()",
        " RETURN (BOGUS) ALL",
        " RETURN (MIN ) ALL",
        " RETURN ( MIN) ALL",
        " RETURN (MIN ALL",
        " CHARSET",
        " FUZZY ALL",
        " CHARSET UTF-8 RETURN () ALL",
        " RETURN () RETURN () ALL",
        " ALL CHARSET UTF-8",
        " NOTALL",
        " NOT(ALL)",
        " $,1",
    ] {
        assert!(matches!(read(text), Err(SearchError::Parse(_))), "{text:?}");
    }
}

#[test]
fn depth_is_limited_and_length_is_not() {
    let nested = |depth: usize| format!(" {}ALL{}", "(".repeat(depth), ")".repeat(depth));
    assert_eq!(read(&nested(DEPTH_MAX)).unwrap().key, SearchKey::All);
    assert!(read(&nested(DEPTH_MAX + 1)).is_err());
    let left = |depth: usize| format!(" {}ALL{}", "OR ".repeat(depth), " SEEN".repeat(depth));
    assert!(read(&left(DEPTH_MAX)).is_ok());
    for deep in [
        nested(500_000),
        left(100_000),
        " OR (NOT ".repeat(100_000),
        " OR (OR ".repeat(100_000),
    ] {
        assert!(matches!(read(&deep), Err(SearchError::Parse(_))));
    }
    let SearchKey::Or(keys) = key(&("OR SEEN ".repeat(100_000) + "ALL")) else {
        panic!("a chain of OR is one")
    };
    assert_eq!(keys.len(), 100_001);
    let not = "NOT ".repeat(250_001) + "ALL";
    assert_eq!(key(&not), SearchKey::Not(Box::new(SearchKey::All)));
    let SearchKey::And(keys) = key(&("ALL ".repeat(250_000) + "ALL")) else {
        panic!("many keys")
    };
    assert_eq!(keys.len(), 250_001);
}

fn a_key() -> impl Strategy<Value = SearchKey> {
    let set = "([1-9][0-9]{0,3}|\\*)(:[1-9])?(,[1-9]:\\*){0,2}|\\$";
    let set = set.prop_map(|set| SequenceSet::parse(set.as_bytes()).expect("a set"));
    let text = || "[a-zA-Z \"\\\\(){}\u{e9}-]{0,6}".prop_map(String::into_bytes);
    let of = prop_oneof![
        Just(DateOf::Internal),
        Just(DateOf::Sent),
        Just(DateOf::Saved)
    ];
    let when = prop_oneof![Just(When::Before), Just(When::On), Just(When::Since)];
    let day = (-700_000_i64..2_900_000).prop_map(Day);
    let leaf = prop_oneof![
        Just(SearchKey::All),
        Just(SearchKey::SaveDateSupported),
        set.clone().prop_map(SearchKey::Numbers),
        set.prop_map(SearchKey::Uids),
        (0_u8..5, any::<bool>()).prop_map(|(bit, set)| SearchKey::System { bit: 1 << bit, set }),
        ("[a-z$]{1,4}", any::<bool>()).prop_map(|(name, set)| SearchKey::Keyword { name, set }),
        any::<bool>().prop_map(SearchKey::Recent),
        (of, when, day).prop_map(|(of, when, day)| SearchKey::Date { of, when, day }),
        any::<u64>().prop_map(SearchKey::Larger),
        any::<u64>().prop_map(SearchKey::Smaller),
        (1_u32..).prop_map(SearchKey::Older),
        (1_u32..).prop_map(SearchKey::Younger),
        (0_u64..1 << 63).prop_map(SearchKey::ModSeq),
        text().prop_map(SearchKey::EmailId),
        text().prop_map(SearchKey::ThreadId),
        (text(), text()).prop_map(|(name, value)| SearchKey::Header { name, value }),
        text().prop_map(SearchKey::Body),
        text().prop_map(SearchKey::Text),
    ];
    leaf.prop_recursive(4, 24, 4, |key| {
        prop_oneof![
            proptest::collection::vec(key.clone(), 2..5).prop_map(SearchKey::And),
            proptest::collection::vec(key.clone(), 2..5).prop_map(or),
            key.prop_map(not),
        ]
    })
}

/// As the parser makes them: no NOT in a NOT, no OR at the end of an OR.
fn not(key: SearchKey) -> SearchKey {
    match key {
        SearchKey::Not(key) => *key,
        key => SearchKey::Not(Box::new(key)),
    }
}

fn or(mut keys: Vec<SearchKey>) -> SearchKey {
    match keys.pop() {
        Some(SearchKey::Or(more)) => keys.extend(more),
        last => keys.extend(last),
    }
    SearchKey::Or(keys)
}

proptest! {
    #[test]
    fn what_is_written_is_read_the_same(wanted in a_key()) {
        let text = written(&wanted);
        prop_assert_eq!(key(&text), wanted, "{}", text);
    }

    #[test]
    fn no_text_makes_it_panic(
        text in "( |\\(|\\)|NOT |OR |ALL|UID |1:\\*|\\$|FROM |\"|x|\\{1\\}\r\n|RETURN \\(|CHARSET |MODSEQ |ON |1-Feb-1994){0,24}",
    ) {
        let _ = read(&format!(" {text}"));
    }
}
