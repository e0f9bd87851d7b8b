//! A plain model: the keys as the RFCs say them, one after the other, with all of the message at hand.

use proptest::prelude::*;
use ravenry_core::proto::imap::{DateOf, DateTime, SequenceSet, When};

use super::*;
use crate::collation::folded;

/// A mailbox of one message, as the model sees it.
#[derive(Clone, Debug)]
struct Case {
    number: u32,
    exists: u32,
    highest_uid: u32,
    saved: Vec<u32>,
    keywords: Vec<String>,
    recent: bool,
    message: Message,
    letter: Letter,
}

fn in_set(set: &SequenceSet, number: u32, max: u32) -> bool {
    let text = set.to_string();
    let end = |text: &str| {
        if text == "*" {
            max
        } else {
            text.parse().unwrap()
        }
    };
    (max > 0 || !text.contains('*'))
        && text.split(',').any(|range| {
            let (a, b) = range.split_once(':').unwrap_or((range, range));
            let (a, b) = (end(a), end(b));
            (a.min(b)..=a.max(b)).contains(&number)
        })
}

fn has(text: &str, part: &[u8]) -> bool {
    let part = folded(std::str::from_utf8(part).unwrap());
    let text = folded(text);
    part.is_empty() || text.windows(part.len()).any(|here| here == part)
}

fn naive(key: &SearchKey, case: &Case) -> bool {
    let (message, letter) = (&case.message, &case.letter);
    match key {
        SearchKey::All | SearchKey::SaveDateSupported => true,
        SearchKey::And(keys) => keys.iter().all(|key| naive(key, case)),
        SearchKey::Or(keys) => keys.iter().any(|key| naive(key, case)),
        SearchKey::Not(key) => !naive(key, case),
        SearchKey::Numbers(SequenceSet::Saved) | SearchKey::Uids(SequenceSet::Saved) => {
            case.saved.contains(&message.uid)
        }
        SearchKey::Numbers(set) => in_set(set, case.number, case.exists),
        SearchKey::Uids(set) => in_set(set, message.uid, case.highest_uid),
        SearchKey::System { bit, set } => (message.flags.system & bit > 0) == *set,
        SearchKey::Keyword { name, set } => {
            let known = case.keywords.iter().map(|keyword| keyword.to_lowercase());
            let at = known
                .into_iter()
                .position(|keyword| keyword == name.to_lowercase());
            at.is_some_and(|at| message.flags.keywords >> at & 1 == 1) == *set
        }
        SearchKey::Recent(recent) => case.recent == *recent,
        SearchKey::Date { of, when, day } => {
            let day_of = |seconds: i64, zone| DateTime { seconds, zone }.day();
            let dated = match of {
                DateOf::Internal => Some(day_of(message.date.seconds, message.date.zone)),
                DateOf::Saved => Some(day_of(message.saved, 0)),
                DateOf::Sent => letter.sent,
            };
            dated.is_some_and(|dated| match when {
                When::Before => dated.0 < day.0,
                When::On => dated.0 == day.0,
                When::Since => dated.0 >= day.0,
            })
        }
        SearchKey::Larger(size) => message.size > *size,
        SearchKey::Smaller(size) => message.size < *size,
        SearchKey::Older(seconds) => NOW - message.date.seconds >= i64::from(*seconds),
        SearchKey::Younger(seconds) => NOW - message.date.seconds <= i64::from(*seconds),
        SearchKey::ModSeq(modseq) => message.modseq >= *modseq,
        SearchKey::EmailId(id) => email_id(&message.digest).as_bytes() == id,
        SearchKey::ThreadId(_) => false,
        SearchKey::Header { name, value } => {
            let name = String::from_utf8(name.clone()).unwrap().to_lowercase();
            let fields = by_name(letter);
            let values = fields.get(&name).cloned().unwrap_or_default();
            values.iter().any(|text| has(text, value))
        }
        SearchKey::Body(text) => text.is_empty() || letter.body.iter().any(|body| has(body, text)),
        SearchKey::Text(text) => {
            let mut fields = letter.fields.iter();
            let in_header = fields.any(|(name, value)| has(&format!("{name}: {value}"), text));
            text.is_empty() || in_header || letter.body.iter().any(|body| has(body, text))
        }
    }
}

fn a_key() -> impl Strategy<Value = SearchKey> {
    let set = "([1-9]|\\*)(:[1-9])?(,[1-9]:\\*)?|\\$";
    let set = set.prop_map(|set| SequenceSet::parse(set.as_bytes()).expect("a set"));
    let text = || "[aAbB\u{c4}\u{e4}]{0,2}".prop_map(String::into_bytes);
    let of = prop_oneof![
        Just(DateOf::Internal),
        Just(DateOf::Sent),
        Just(DateOf::Saved)
    ];
    let when = prop_oneof![Just(When::Before), Just(When::On), Just(When::Since)];
    let day = (11_570_i64..11_576).prop_map(Day);
    let id = (0_u8..3).prop_map(|byte| email_id(&[byte; 32]).into_bytes());
    let name = "[xXyY]".prop_map(String::into_bytes);
    let leaf = prop_oneof![
        Just(SearchKey::All),
        set.clone().prop_map(SearchKey::Numbers),
        set.prop_map(SearchKey::Uids),
        (0_u8..5, any::<bool>()).prop_map(|(bit, set)| SearchKey::System { bit: 1 << bit, set }),
        ("[abAB]", any::<bool>()).prop_map(|(name, set)| SearchKey::Keyword { name, set }),
        any::<bool>().prop_map(SearchKey::Recent),
        (of, when, day).prop_map(|(of, when, day)| SearchKey::Date { of, when, day }),
        (0_u64..5).prop_map(SearchKey::Larger),
        (0_u64..5).prop_map(SearchKey::Smaller),
        (1_u32..5).prop_map(SearchKey::Older),
        (1_u32..5).prop_map(SearchKey::Younger),
        (0_u64..5).prop_map(SearchKey::ModSeq),
        id.prop_map(SearchKey::EmailId),
        text().prop_map(SearchKey::ThreadId),
        (name, text()).prop_map(|(name, value)| SearchKey::Header { name, value }),
        text().prop_map(SearchKey::Body),
        text().prop_map(SearchKey::Text),
    ];
    leaf.prop_recursive(5, 40, 4, |key| {
        prop_oneof![
            proptest::collection::vec(key.clone(), 1..5).prop_map(SearchKey::And),
            proptest::collection::vec(key.clone(), 1..5).prop_map(SearchKey::Or),
            key.prop_map(|key| SearchKey::Not(Box::new(key))),
        ]
    })
}

fn a_message() -> impl Strategy<Value = Message> {
    let near = || prop_oneof![NOW - 5..NOW + 1, NOW - 200_000..NOW + 200_000];
    let flags = (0_u8..32, 0_u128..4);
    let date = (near(), -720_i16..720);
    (1_u32..9, 0_u64..5, date, near(), 0_u64..5, flags, 0_u8..3).prop_map(
        |(uid, modseq, (seconds, zone), saved, size, (system, keywords), byte)| Message {
            uid,
            modseq,
            date: DateTime { seconds, zone },
            saved,
            size,
            header_size: 0,
            flags: Flags { system, keywords },
            digest: [byte; 32],
            structure: crate::store::Place::default(),
        },
    )
}

fn a_case() -> impl Strategy<Value = Case> {
    let text = || "[aAbB\u{c4}\u{e4} ]{0,5}";
    let fields = proptest::collection::vec(("[xXyY]", text()), 0..4);
    let sent = proptest::option::of((11_570_i64..11_576).prop_map(Day));
    let body = proptest::collection::vec(text(), 0..3);
    let letter = (fields, sent, body).prop_map(|(fields, sent, body)| Letter {
        fields,
        sent,
        body,
        ..Letter::default()
    });
    let saved = proptest::collection::vec(1_u32..9, 0..4);
    let keywords = prop_oneof![
        Just(vec![]),
        Just(vec!["A".to_owned()]),
        Just(vec!["b".to_owned(), "A".to_owned()]),
    ];
    let places = (1_u32..9, 0_u32..9, 0_u32..9);
    (places, saved, keywords, any::<bool>(), a_message(), letter).prop_map(
        |((number, exists, highest_uid), saved, keywords, recent, message, letter)| Case {
            number,
            exists,
            highest_uid,
            saved,
            keywords,
            recent,
            message,
            letter,
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn programs_say_what_a_plain_model_says(key in a_key(), case in a_case()) {
        let saved: Uids = case.saved.iter().copied().collect();
        let context = Context {
            exists: case.exists,
            highest_uid: case.highest_uid,
            saved: &saved,
            keywords: &case.keywords,
            now: NOW,
        };
        let wanted = naive(&key, &case);
        let program = Program::new(key, &context).expect("few strings");
        let candidate = Candidate {
            number: case.number,
            message: &case.message,
            recent: case.recent,
        };
        let mut letter = case.letter.clone();
        prop_assert_eq!(program.matches(&candidate, &mut letter), Ok(wanted));
        prop_assert!(letter.texts_read <= 1);
        prop_assert!(letter.texts_read == 0 || program.needs() == Needs::Whole);
        prop_assert!(letter.headers_read == 0 || program.needs() >= Needs::Header);
        // Where nothing was asked for, a file that can't be read does no harm.
        if letter.headers_read + letter.texts_read == 0 {
            prop_assert_eq!(program.matches(&candidate, &mut Closed), Ok(wanted));
        }
    }
}
