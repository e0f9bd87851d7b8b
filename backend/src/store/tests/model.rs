//! Random orders in random groups against a plain model; after each the store is what the model is, also when it
//! is opened anew.

use std::collections::BTreeSet;

use proptest::prelude::{Just, Strategy, any, prop, prop_oneof, proptest};
use proptest::test_runner::Config;
use ravenry_core::proto::imap::Uids;

use super::plain::{
    self, Box, Model, NAMES, ROOTS, Step, alice, bytes, in_model, keyword_of, structure_of, use_of,
};
use super::{Order, Outcome, Refused, body, create, incoming, messages, name, open, structure};
use crate::store::{
    FlagChange, Flags, Limits, Mailbox, MailboxId, Message, Mode, Rests, Settable, Store,
};

/// Some that are met, some that aren't.
fn limits() -> impl Strategy<Value = Limits> {
    let limit = |max: u64| prop::option::of(0..max);
    (limit(400), limit(12), limit(4)).prop_map(|(storage, messages, mailboxes)| Limits {
        storage,
        messages,
        mailboxes,
    })
}

fn a_step() -> impl Strategy<Value = Step> {
    let at = || 0..NAMES.len();
    let set = || prop::collection::vec(1_u32..12, 1..4);
    let flags = || 0_u8..32;
    let keyword = || prop::option::of(0_u8..3);
    prop_oneof![
        4 => at().prop_map(Step::Create),
        1 => at().prop_map(Step::Delete),
        1 => (at(), at()).prop_map(|(from, to)| Step::Rename(from, to)),
        5 => (at(), prop::collection::vec((flags(), keyword()), 1..4)).prop_map(|(at, all)| Step::Append(at, all)),
        4 => (at(), set(), 0_u8..3, flags(), keyword(), prop::option::of(0_u64..9))
            .prop_map(|(at, set, mode, flags, keyword, since)| Step::Flags(at, set, mode, flags, keyword, since)),
        2 => (at(), prop::option::of(set())).prop_map(|(at, set)| Step::Expunge(at, set)),
        3 => (at(), set(), at(), any::<bool>()).prop_map(|(from, set, to, moves)| Step::Copy(from, set, to, moves)),
        1 => (at(), 0_u8..3).prop_map(|(at, number)| Step::SpecialUse(at, number)),
        1 => (at(), any::<bool>()).prop_map(|(at, on)| Step::Subscribe(at, on)),
        2 => (at(), set()).prop_map(|(at, set)| Step::Unexpunge(at, set)),
        1 => Just(Step::Purge),
        2 => (0..ROOTS.len(), prop::option::of(limits())).prop_map(|(at, limits)| Step::Quota(at, limits)),
    ]
}

/// The order that a step is, of mailboxes as they are before its group. `None`: they aren't there.
fn order(store: &Store, step: &Step, number: u32) -> Option<Order> {
    let id = |at: usize| Some(store.mailbox(&name(NAMES[at])).unwrap()?.id);
    let set = |set: &[u32]| {
        let sorted: BTreeSet<u32> = set.iter().copied().collect();
        sorted.into_iter().collect::<Uids>()
    };
    Some(match step {
        Step::Create(at) => create(NAMES[*at]),
        Step::Delete(at) => Order::Delete {
            name: name(NAMES[*at]),
        },
        Step::Rename(from, to) => Order::Rename {
            from: name(NAMES[*from]),
            to: name(NAMES[*to]),
        },
        Step::Append(at, all) => {
            let mailbox = id(*at)?;
            let messages = all.iter().enumerate().map(|(place, (flags, keyword))| {
                let keywords = keyword_of(*keyword);
                let keywords: Vec<&str> = keywords.iter().map(String::as_str).collect();
                let bytes = bytes(number, place);
                let mut message = incoming(store, &bytes, *flags, &keywords);
                message.message.structure = structure_of(&bytes).unwrap_or_default();
                message
            });
            Order::Append {
                mailbox,
                messages: messages.collect(),
            }
        }
        Step::Flags(at, which, mode, flags, keyword, since) => Order::Flags {
            mailbox: id(*at)?,
            uids: set(which),
            change: FlagChange {
                mode: [Mode::Replace, Mode::Add, Mode::Remove][usize::from(*mode)],
                system: *flags,
                keywords: keyword_of(*keyword),
                unchanged_since: *since,
            },
        },
        Step::Expunge(at, which) => Order::Expunge {
            mailbox: id(*at)?,
            uids: which.as_deref().map(set),
        },
        Step::Copy(from, which, to, moves) => Order::Copy {
            from: id(*from)?,
            uids: set(which),
            to: id(*to)?,
            moves: *moves,
            keep: Settable::ALL,
        },
        Step::SpecialUse(at, number) => Order::SetSpecialUse {
            name: name(NAMES[*at]),
            special_use: use_of(*number),
        },
        Step::Subscribe(at, on) => Order::Subscribe {
            user: alice(),
            name: name(NAMES[*at]),
            on: *on,
        },
        Step::Unexpunge(at, which) => Order::Unexpunge {
            mailbox: id(*at)?,
            uids: set(which),
        },
        Step::Purge => Order::Purge { before: i64::MAX },
        Step::Quota(at, limits) => Order::SetQuota {
            root: name(ROOTS[*at]),
            limits: *limits,
        },
    })
}

fn as_in_model(store: &Store, mailbox: &Mailbox, message: &Message) -> (u32, plain::Message) {
    let keywords = mailbox
        .keywords
        .iter()
        .enumerate()
        .filter(|(at, _)| message.flags.keywords & (1 << at) != 0);
    let mut keywords: Vec<String> = keywords.map(|(_, word)| word.clone()).collect();
    keywords.sort();
    let bytes = body(store, mailbox.id, message.uid);
    assert_eq!(message.size, bytes.len() as u64);
    let record = structure(store, mailbox.id, message.uid);
    assert_eq!(record, structure_of(&bytes));
    let message_in_model = (message.modseq, message.flags.system, keywords, bytes);
    (message.uid, message_in_model)
}

fn compare(model: &Model, store: &Store) {
    let subscribed = store.subscriptions(&alice()).unwrap();
    let expected: Vec<_> = model.subscribed.iter().map(|it| name(it)).collect();
    assert_eq!(subscribed, expected);
    let mut quotas = 0;
    let each = store.each_quota(|quota| {
        let root = String::from_utf8(quota.root.as_bytes().to_vec()).unwrap();
        assert_eq!(quota.limits, model.quotas[&*root]);
        assert_eq!(quota.usage, model.usage(&root), "{root}");
        quotas += 1;
    });
    each.unwrap();
    assert_eq!(quotas, model.quotas.len());
    let mut found = Vec::new();
    store.each_mailbox(|mailbox| found.push(mailbox)).unwrap();
    assert_eq!(found.len(), model.boxes.len());
    for mailbox in found {
        let expected = &model.boxes[&String::from_utf8(mailbox.name.as_bytes().to_vec()).unwrap()];
        let all = messages(store, mailbox.id);
        let gone = store.expunged(mailbox.id).unwrap().into_iter();
        let gone = gone.filter(|it| it.rest == Rests::File);
        let gone = gone.map(|it| as_in_model(store, &mailbox, &it.message));
        let there = Box {
            uidnext: mailbox.uidnext,
            modseq: mailbox.highestmodseq,
            special_use: mailbox.special_use,
            messages: all
                .iter()
                .map(|message| as_in_model(store, &mailbox, message))
                .collect(),
            gone: gone.collect(),
        };
        assert_eq!(&there, expected, "{}", mailbox.name);
        let count =
            |wanted: &dyn Fn(&Flags) -> bool| all.iter().filter(|it| wanted(&it.flags)).count();
        assert_eq!(mailbox.exists as usize, all.len());
        assert_eq!(
            mailbox.unseen as usize,
            count(&|flags| flags.system & Flags::SEEN == 0)
        );
        assert_eq!(
            mailbox.deleted as usize,
            count(&|flags| flags.system & Flags::DELETED != 0)
        );
        assert_eq!(mailbox.bytes, all.iter().map(|it| it.size).sum::<u64>());
    }
}

/// Steps that name mailboxes by id are put together only where their group makes, names or removes none.
fn changes_names(step: &Step) -> bool {
    matches!(step, Step::Create(_) | Step::Delete(_) | Step::Rename(..))
}

proptest! {
    #![proptest_config(Config { cases: 16, ..Config::default() })]

    #[test]
    fn the_store_is_what_was_done_to_it(
        groups in prop::collection::vec(prop::collection::vec(a_step(), 1..6), 1..14),
        reopen in any::<bool>(),
    ) {
        let root = tempfile::tempdir().unwrap();
        let (mut writer, mut store, _) = open(root.path());
        let (mut model, mut number, mut ids) = (Model::default(), 0, Vec::<MailboxId>::new());
        for group in groups {
            let named = group.iter().any(changes_names);
            for steps in group.chunks(if named { 1 } else { 9 }) {
                let (mut orders, mut expected) = (Vec::new(), Vec::new());
                for step in steps {
                    number += 1;
                    match order(&store, step, number) {
                        None => {
                            let refused = in_model(&mut model, step, number);
                            assert_eq!(refused, Err(Refused::NoMailbox));
                        }
                        Some(order) => {
                            expected.push(in_model(&mut model, step, number));
                            orders.push(order);
                        }
                    }
                }
                let answers = writer.carry_out(&orders);
                for (answer, expected) in answers.outcomes.iter().zip(&expected) {
                    assert_eq!(answer.as_ref().map(drop), expected.as_ref().map(drop));
                    if let Ok(Outcome::Created { mailbox, .. }) = answer {
                        assert!(!ids.contains(mailbox), "no id twice");
                        ids.push(*mailbox);
                    }
                }
                compare(&model, &store);
            }
            if reopen {
                drop((writer, store));
                let found;
                (writer, store, found) = open(root.path());
                assert!(!found.crashed);
            }
        }
        compare(&model, &store);
        assert_eq!(store.check(true, |_| {}).unwrap().findings, []);
    }
}
