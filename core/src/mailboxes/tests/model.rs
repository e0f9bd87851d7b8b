//! The list against a plain map under random changes, syncs that end early, and reopening.

use std::collections::BTreeMap;

use proptest::prelude::{Strategy, any, prop, prop_oneof, proptest};
use proptest::test_runner::Config;

use super::{
    ALT_SLASH, DOMAINS, DOMAINS_ALT_SLASH, Identity, Namespace, STANDARD, admin, in_domains,
    listed, name, open, query, sync, user,
};
use crate::mailboxes::{
    Acl, Change, ListReader, Listed, Location, Name, Pattern, Rights, SyncToken,
};

#[derive(Clone, Debug)]
enum Step {
    Apply(Vec<Change>),
    Sync { sees: Vec<Change>, ends: bool },
    Reopen,
}

type Model = BTreeMap<Name, Option<Acl>>;

fn a_name() -> impl Strategy<Value = Name> {
    let part = prop_oneof![
        Just("user"),
        Just("alice"),
        Just("bob"),
        Just("a"),
        Just("b"),
        Just("a-b"),
        Just("INBOX"),
        Just("inbox"),
        Just("x^y"),
        Just("DELETED"),
        Just("Other Users"),
        Just("\u{1}"),
        Just("zz"),
        Just("x@y"),
    ];
    let domain = prop_oneof![
        12 => Just(""), 3 => Just("a.org!"), 1 => Just("a!"), 1 => Just("user.org!"), 1 => Just("zz!"),
    ];
    let shape = prop::collection::vec(part, 1..5).prop_map(|parts| parts.join("."));
    prop_oneof![4 => shape.clone(), 3 => shape.clone().prop_map(|rest| format!("user.alice.{rest}")),
        2 => shape.prop_map(|rest| format!("user.bob.{rest}")),
        1 => Just("user.alice".to_owned()), 1 => Just("user.bob".to_owned()),
        1 => (470..490_usize).prop_map(|length| "long.".repeat(length / 5))]
    .prop_flat_map(move |text| domain.clone().prop_map(move |domain| format!("{domain}{text}")))
    .prop_map(|text| name(text[..text.len().min(490)].trim_end_matches('.')))
}

use proptest::prelude::Just;

fn an_acl() -> impl Strategy<Value = Acl> {
    let identifier = prop_oneof![
        Just("alice"),
        Just("bob"),
        Just("anyone"),
        Just("-alice"),
        Just("-anyone"),
        Just("group:staff"),
        Just("-group:staff"),
        Just("group:a-group-with-a-very-long-name"),
        Just("cyrus"),
        Just("x.y"),
        Just("alice@a.org"),
        Just("alice@y"),
        Just(""),
    ];
    let rights = prop_oneof![
        Just("lrs"),
        Just("l"),
        Just("r"),
        Just("lrswipkxtecda"),
        Just("")
    ];
    prop::collection::vec((identifier, rights), 0..4).prop_map(|entries| {
        let entry = |(identifier, rights)| format!("{identifier}\t{rights}\t");
        Acl::new(
            entries
                .into_iter()
                .map(entry)
                .collect::<String>()
                .as_bytes(),
        )
    })
}

fn a_change() -> impl Strategy<Value = Change> {
    let location = prop_oneof![Just("b1!default"), Just("b2!p"), Just("b1!"), Just("")];
    let location = location.prop_map(|text| Location::parse(text.as_bytes()));
    prop_oneof![
        6 => (a_name(), location.clone(), an_acl())
            .prop_map(|(name, location, acl)| Change::Active { name, location, acl }),
        1 => (a_name(), location).prop_map(|(name, location)| Change::Reserved { name, location }),
        2 => a_name().prop_map(|name| Change::Deleted { name }),
    ]
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let changes = || prop::collection::vec(a_change(), 0..25);
    let step = prop_oneof![
        4 => changes().prop_map(Step::Apply),
        2 => (changes(), any::<bool>()).prop_map(|(sees, ends)| Step::Sync { sees, ends }),
        1 => Just(Step::Reopen),
    ];
    prop::collection::vec(step, 1..8)
}

fn an_identity() -> impl Strategy<Value = Identity> {
    let mut grouped = user("carol");
    grouped
        .groups
        .push("a-group-with-a-very-long-name".to_owned());
    prop_oneof![
        4 => Just(user("alice")), 2 => Just(user("bob")), 2 => Just(grouped),
        1 => Just(user("x.y")), 2 => Just(admin()), 2 => Just(user("alice@a.org")),
        1 => Just(user("bob@user.org")),
        1 => Just(Identity { admin: true, ..user("cyrus@a.org") }),
    ]
}

fn a_pattern() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        4 => Just("*"), 4 => Just("%"), 4 => Just("/"), 1 => Just("user"), 1 => Just("alice"),
        1 => Just("a"), 1 => Just("b"), 1 => Just("INBOX"), 1 => Just("Other Users"),
        1 => Just("inbox"), 1 => Just("Shared Folders"), 1 => Just("x.y"), 1 => Just("l"),
        1 => Just("@a.org"), 1 => Just("@user.org"), 1 => Just("@"), 1 => Just("@example.com"),
    ];
    prop::collection::vec(part, 0..6).prop_map(|parts| parts.concat())
}

fn apply_to_model(model: &mut Model, changes: &[Change]) {
    for change in changes {
        match change {
            Change::Active { name, acl, .. } => model.insert(name.clone(), Some(acl.clone())),
            Change::Reserved { name, .. } => model.insert(name.clone(), None),
            Change::Deleted { name } => model.remove(name),
            Change::Moving { .. } => continue,
        };
    }
}

/// What LIST has to answer, found by looking at every name.
fn expected(model: &Model, who: &Identity, namespace: Namespace, pattern: &str) -> Vec<String> {
    let delimiter = char::from(namespace.delimiter());
    let sees = |name: &Name, acl: &Acl| {
        acl.rights_on(name, who).contains(Rights::LOOKUP) && (who.admin || !name.is_deleted())
    };
    let seen: Vec<(&Name, String)> = model
        .iter()
        .filter(|(name, acl)| acl.as_ref().is_some_and(|acl| sees(name, acl)))
        .filter_map(|(name, _)| Some((name, namespace.external(name, who)?)))
        .map(|(name, external)| (name, String::from_utf8(external).unwrap()))
        .collect();
    let shows_domains = who.admin && namespace.default_domain.is_some();
    let pattern = match pattern.split_once(delimiter).unwrap_or((pattern, "")) {
        (first, _) if first.eq_ignore_ascii_case("INBOX") => format!("INBOX{}", &pattern[5..]),
        _ => pattern.to_owned(),
    };
    let begins = |name: &str, with: &str, delimiter: char| {
        name.strip_prefix(with)
            .is_some_and(|rest| rest.starts_with(delimiter))
    };
    // What an admin sees with a domain has nothing below it; in another than the default one, no
    // level above it but `user`.
    let stands_alone = |external: &str| shows_domains && external.contains('@');
    let below = |name: &Name, external: &str| {
        let is_below = |(other, shown): &(&Name, String)| match shows_domains {
            false => begins(shown, external, delimiter),
            true => other.domain().is_empty() && begins(&other.to_string(), &name.to_string(), '.'),
        };
        !stands_alone(external) && seen.iter().any(is_below)
    };
    let mut lines: Vec<String> = Vec::new();
    for (name, external) in &seen {
        if naive(pattern.as_bytes(), external.as_bytes(), delimiter) {
            let children = if below(name, external) { "+" } else { "" };
            lines.push(format!("{external}{children}"));
        }
    }
    let levels = seen.iter().flat_map(|(name, external)| {
        let local = match external.rfind('@') {
            Some(at) if shows_domains => at,
            _ => external.len(),
        };
        let levels = external[..local].match_indices(delimiter);
        let levels = levels.map(|(at, _)| &external[..at]);
        let in_domain = shows_domains && !name.domain().is_empty();
        levels
            .filter(|level| !in_domain || *level == "user")
            .collect::<Vec<_>>()
    });
    for level in levels.filter(|_| !pattern.ends_with('*')) {
        if !seen.iter().any(|(_, external)| external == level)
            && naive(pattern.as_bytes(), level.as_bytes(), delimiter)
        {
            lines.push(format!("-{level}+"));
        }
    }
    lines.sort();
    lines.dedup();
    lines
}

/// RFC 3501's matching by a table: `ends[at]` says whether the rest of the pattern matches the
/// rest of the name. (By recursion some patterns take longer than anybody waits.)
fn naive(pattern: &[u8], name: &[u8], delimiter: char) -> bool {
    let mut ends = vec![false; name.len() + 1];
    ends[name.len()] = true;
    for item in pattern.iter().rev() {
        let next = ends.clone();
        for at in (0..=name.len()).rev() {
            let goes_on = at < name.len() && ends[at + 1];
            ends[at] = match item {
                b'*' => next[at] || goes_on,
                b'%' => next[at] || (goes_on && char::from(name[at]) != delimiter),
                byte => at < name.len() && name[at] == *byte && next[at + 1],
            };
        }
    }
    ends[0]
}

fn sorted(lines: &[Listed]) -> Vec<String> {
    let line = |line: &Listed| {
        let children = if line.has_children { "+" } else { "" };
        let noselect = if line.mailbox.is_none() { "-" } else { "" };
        format!(
            "{noselect}{}{children}",
            String::from_utf8(line.name.clone()).unwrap()
        )
    };
    let mut lines: Vec<String> = lines.iter().map(line).collect();
    let count = lines.len();
    lines.sort();
    lines.dedup();
    assert_eq!(lines.len(), count, "no line twice");
    lines
}

fn compare(model: &Model, reader: &ListReader, who: &Identity, pattern: &str) {
    for namespace in [
        STANDARD,
        ALT_SLASH,
        Namespace {
            alt: false,
            ..ALT_SLASH
        },
        DOMAINS,
        DOMAINS_ALT_SLASH,
    ] {
        let who = &match namespace.default_domain {
            Some(_) => in_domains(who),
            None => who.clone(),
        };
        let pattern = pattern.replace('/', &char::from(namespace.delimiter()).to_string());
        let query = query(who, namespace, "", &pattern);
        let lines = listed(reader, &query, 3);
        assert_eq!(
            sorted(&lines),
            expected(model, who, namespace, &pattern),
            "{namespace:?}"
        );
        for line in lines.iter().filter(|line| line.mailbox.is_some()) {
            let mailbox = line.mailbox.as_ref().unwrap();
            let children = reader.has_children(who, namespace, &mailbox.name).unwrap();
            assert_eq!(children, line.has_children, "{mailbox:?}");
            let acl = model[&mailbox.name].as_ref().unwrap();
            assert_eq!(acl.rights_on(&mailbox.name, who), mailbox.rights);
        }
    }
    assert_eq!(reader.count().unwrap(), model.len() as u64);
    for (name, acl) in model {
        let entry = reader.lookup(name).unwrap().unwrap();
        assert_eq!(entry.acl, acl.clone().unwrap_or_default());
    }
}

proptest! {
    #![proptest_config(Config { cases: 150, ..Config::default() })]

    #[test]
    fn a_list_is_what_was_put_into_it(
        steps in steps(),
        questions in prop::collection::vec((an_identity(), a_pattern()), 8),
    ) {
        let directory = tempfile::tempdir().unwrap();
        let (mut writer, mut reader, _) = open(directory.path());
        sync(&mut writer, &[]);
        let mut model = Model::new();
        let mut sequence = reader.sequence().unwrap();
        for step in steps {
            match step {
                Step::Apply(changes) => {
                    writer.apply(&changes, None).unwrap();
                    apply_to_model(&mut model, &changes);
                }
                Step::Sync { sees, ends } => {
                    let mut token: SyncToken = writer.begin_sync().unwrap();
                    for part in sees.chunks(7) {
                        writer.apply(part, Some(&mut token)).unwrap();
                    }
                    if ends {
                        writer.end_sync(token).unwrap();
                        model.clear();
                    }
                    apply_to_model(&mut model, &sees);
                }
                Step::Reopen => {
                    drop((writer, reader));
                    let opened;
                    (writer, reader, opened) = open(directory.path());
                    assert!(!opened.fresh, "{:?}", opened.why);
                }
            }
            assert!(reader.sequence().unwrap() >= sequence, "never goes back");
            sequence = reader.sequence().unwrap();
        }
        for (who, pattern) in &questions {
            compare(&model, &reader, who, pattern);
        }
    }

    #[test]
    fn a_pattern_matches_what_a_naive_one_does(
        pattern in "[ab.*%]{0,12}",
        names in prop::collection::vec("[ab.]{0,14}", 30),
    ) {
        let compiled = Pattern::new(pattern.as_bytes(), b'.').unwrap();
        for name in names {
            let expected = naive(pattern.as_bytes(), name.as_bytes(), '.');
            assert_eq!(compiled.matches(name.as_bytes()), expected, "{pattern:?} {name:?}");
        }
    }

    #[test]
    fn names_round_trip(name in a_name(), who in an_identity()) {
        for namespace in [STANDARD, ALT_SLASH, Namespace { alt: true, ..STANDARD }, DOMAINS, DOMAINS_ALT_SLASH] {
            let who = if namespace.default_domain.is_some() { in_domains(&who) } else { who.clone() };
            if let Some(external) = namespace.external(&name, &who)
                && let Ok(internal) = namespace.internal(&external, &who)
            {
                assert_eq!(internal, name, "{namespace:?} {}", external.escape_ascii());
            }
        }
    }
}

#[test]
fn many_wildcards_take_no_longer() {
    let name = [b'a'; 480];
    for pattern in ["*a*a*a*a*a*a*a*a*b", "%a%a%a%a%a%a%a%b"] {
        assert!(
            !Pattern::new(pattern.as_bytes(), b'.')
                .unwrap()
                .matches(&name)
        );
    }
    let pattern = "*a".repeat(500);
    assert!(
        !Pattern::new(pattern.as_bytes(), b'.')
            .unwrap()
            .matches(&name)
    );
    let pattern = "*a".repeat(480);
    assert!(
        Pattern::new(pattern.as_bytes(), b'.')
            .unwrap()
            .matches(&name)
    );
    assert!(Pattern::new(&[b'a'; 1025], b'.').is_err());
}
