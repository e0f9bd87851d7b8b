//! Threads by example, beside a plain model, and of hostile messages.

mod model;

use proptest::prelude::*;
use ravenry_core::rt;

use super::*;

fn entry(uid: u32, sent: i64, subject: &str, id: &str, references: &[&str]) -> Entry {
    let bytes = |id: &str| id.as_bytes().into();
    Entry {
        uid,
        sent,
        subject: BaseSubject::of(subject.as_bytes()),
        id: (!id.is_empty()).then(|| bytes(id)),
        references: references.iter().map(|id| bytes(id)).collect(),
    }
}

fn threads(algorithm: ThreadAlgorithm, entries: &[Entry]) -> String {
    let mut threader = Threader::new(algorithm);
    for entry in entries {
        threader.push(entry.clone()).unwrap();
    }
    threader.finish(|uid| uid)
}

fn references(entries: &[Entry]) -> String {
    threads(ThreadAlgorithm::References, entries)
}

#[test]
fn subjects_are_threads_of_two_levels() {
    let entries = [
        entry(1, 5, "b", "", &[]),
        entry(2, 4, "a", "", &[]),
        entry(3, 3, "Re: b", "", &[]),
        entry(4, 6, "b (fwd)", "", &[]),
        entry(5, 4, "c", "", &[]),
        entry(6, 9, "RE: a", "", &[]),
    ];
    let by_subject = |entries| threads(ThreadAlgorithm::OrderedSubject, entries);
    assert_eq!(by_subject(&entries), "(3 (1)(4))(2 6)(5)");
    assert_eq!(by_subject(&[]), "");
}

#[test]
fn references_are_followed() {
    // The shape of the example in RFC 5256 section 4.
    let shape = [
        entry(2, 1, "x", "2", &[]),
        entry(3, 2, "y", "3", &[]),
        entry(6, 3, "y", "6", &["3"]),
        entry(4, 4, "y", "4", &["3", "6"]),
        entry(23, 5, "y", "23", &["4"]),
        entry(44, 6, "y", "44", &["6"]),
        entry(7, 7, "y", "7", &["44"]),
        entry(96, 8, "y", "96", &["44", "7"]),
    ];
    assert_eq!(references(&shape), "(2)(3 6 (4 23)(44 7 96))");
    // And of its other: the parent isn't there.
    let lost = [entry(3, 1, "a", "3", &["0"]), entry(5, 2, "b", "5", &["0"])];
    assert_eq!(references(&lost), "((3)(5))");
    assert_eq!(references(&lost[..1]), "(3)");
    assert_eq!(references(&[]), "");
}

#[test]
fn the_same_subject_is_one_thread() {
    for (entries, expected) in [
        // An original comes before replies to it, whatever the dates.
        (
            vec![entry(1, 1, "Re: a", "1", &[]), entry(2, 2, "a", "2", &[])],
            "(2 1)",
        ),
        // Two that are alike lie below a dummy.
        (
            vec![entry(1, 1, "a", "1", &[]), entry(2, 2, "a", "2", &[])],
            "((1)(2))",
        ),
        (
            vec![
                entry(1, 1, "Re: a", "1", &[]),
                entry(2, 2, "Re: a", "2", &[]),
                entry(3, 0, "re: a", "3", &[]),
            ],
            "((3)(1)(2))",
        ),
        (
            vec![entry(1, 1, "", "1", &[]), entry(2, 2, "", "2", &[])],
            "(1)(2)",
        ),
        // Dummies take what is alike.
        (
            vec![
                entry(1, 4, "a", "1", &["x"]),
                entry(2, 3, "a", "2", &["x"]),
                entry(3, 2, "a", "3", &[]),
                entry(4, 6, "a", "4", &["y"]),
                entry(5, 5, "a", "5", &["y"]),
            ],
            "((3)(2)(1)(5)(4))",
        ),
    ] {
        assert_eq!(references(&entries), expected, "{entries:?}");
    }
}

#[test]
fn odd_ids_do_no_harm() {
    for (entries, expected) in [
        // To itself, and in a ring.
        (vec![entry(1, 1, "a", "1", &["1"])], "(1)"),
        (
            vec![entry(1, 1, "a", "1", &["2"]), entry(2, 2, "b", "2", &["1"])],
            "(2 1)",
        ),
        // The second message of an ID, which others refer to.
        (
            vec![
                entry(1, 1, "a", "x", &[]),
                entry(2, 2, "b", "x", &[]),
                entry(3, 3, "c", "3", &["x"]),
            ],
            "(1 3)(2)",
        ),
        // A truncated References is set right by the message itself.
        (
            vec![
                entry(1, 3, "a", "1", &["p", "q", "r"]),
                entry(2, 2, "b", "q", &[]),
                entry(3, 1, "c", "p", &[]),
            ],
            "(3)(2 1)",
        ),
    ] {
        assert_eq!(references(&entries), expected, "{entries:?}");
    }
}

fn any_entries() -> impl Strategy<Value = Vec<Entry>> {
    let id = || prop::sample::select(vec!["a", "b", "c", "d", "e", "f", "g", "h"]);
    let subject = prop::sample::select(vec!["", "x", "y", "z", "Re: x", "re: y", "z (fwd)"]);
    let own = prop_oneof![1 => Just(""), 6 => id()];
    let one = (0_i64..5, subject, own, prop::collection::vec(id(), 0..4));
    prop::collection::vec(one, 0..10).prop_map(|all| {
        let all = (1..).zip(all);
        all.map(|(uid, (sent, subject, own, refers))| entry(uid, sent, subject, own, &refers))
            .collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    #[test]
    fn as_the_model_has_them(entries in any_entries()) {
        prop_assert_eq!(references(&entries), model::references(&entries));
        let by_subject = threads(ThreadAlgorithm::OrderedSubject, &entries);
        prop_assert_eq!(by_subject, model::by_subject(&entries));
    }
}

#[test]
fn hostile_mailboxes_are_done_in_time() {
    const ALL: u32 = 50_000;
    let begin = rt::wall_clock();
    let name = |at: u32| format!("{at}@chain");
    let make = |refers: &dyn Fn(u32) -> Vec<u32>, subject: &str| {
        let mut threader = Threader::new(ThreadAlgorithm::References);
        for at in 1..=ALL {
            let refers: Vec<String> = refers(at).into_iter().map(name).collect();
            let refers: Vec<&str> = refers.iter().map(String::as_str).collect();
            threader
                .push(entry(at, at.into(), subject, &name(at), &refers))
                .unwrap();
        }
        threader.finish(|uid| uid)
    };
    // A chain, forwards and backwards; stars; one ring; everything of one subject.
    let chain = make(&|at| vec![at - 1], "s");
    assert!(chain.starts_with("(1 2 3 ") && chain.ends_with(" 50000)"));
    let chain = make(&|at| vec![at + 1], "s");
    assert!(chain.starts_with("(50000 49999 ") && chain.ends_with(" 1)"));
    assert_eq!(make(&|at| vec![at % ALL + 1], "s").matches('(').count(), 1);
    assert!(make(&|_| vec![0], "s").starts_with("((1)(2)(3)"));
    assert!(make(&|_| vec![], "s").starts_with("((1)(2)(3)"));
    assert!(make(&|at| vec![at * 7919 % ALL, at * 31 % ALL], "").len() > 250_000);
    assert!(begin.elapsed().unwrap().as_secs() < 60);
}
