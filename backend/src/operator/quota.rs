//! Quota roots as an operator sees and sets them (RFC 9208's resources, storage in bytes).

use ravenry_core::mailboxes::Name;

use super::answer::Answer;
use super::changes::together;
use super::{Done, Operator, parsed, shown, unread};
use crate::store::{Limits, Order, Quota, Store};

/// A row for every root.
pub(super) fn list(store: &Store) -> Done {
    let columns = [
        "root",
        "storage used:n",
        "storage limit:n",
        "messages used:n",
        "messages limit:n",
        "mailboxes used:n",
        "mailboxes limit:n",
    ];
    let mut answer = Answer::table(&columns);
    let read = store.each_quota(|quota| {
        let [storage, messages, mailboxes] = resources(&quota).map(|(used, limit)| [used, limit]);
        let fields = [
            [shown(&quota.root)].as_slice(),
            &storage,
            &messages,
            &mailboxes,
        ]
        .concat();
        let fields: Vec<&str> = fields.iter().map(String::as_str).collect();
        answer.row(&fields);
    });
    read.map_err(unread)?;
    Ok(answer)
}

/// One root.
pub(super) fn facts(store: &Store, root: &Name) -> Done {
    let quota = found(store, root)?;
    let mut answer = Answer::default();
    answer.fact("root", shown(&quota.root));
    let names = ["storage", "messages", "mailboxes"];
    for (name, (used, limit)) in names.into_iter().zip(resources(&quota)) {
        answer.fact(&format!("{name} used:n"), used);
        answer.fact(&format!("{name} limit:n"), limit);
    }
    Ok(answer)
}

fn found(store: &Store, root: &Name) -> Done<Quota> {
    let quota = store.quota(root).map_err(unread)?;
    quota.ok_or_else(|| {
        let root = shown(root);
        format!("{root} is no quota root; `ravenry ctl backend quota list` has them")
    })
}

/// Used and limit of each resource; no limit is empty.
fn resources(quota: &Quota) -> [(String, String); 3] {
    let shown = |used: u64, limit: Option<u64>| {
        let limit = limit.map_or_else(String::new, |limit| limit.to_string());
        (used.to_string(), limit)
    };
    let (usage, limits) = (quota.usage, quota.limits);
    [
        shown(usage.storage, limits.storage),
        shown(usage.messages, limits.messages),
        shown(usage.mailboxes, limits.mailboxes),
    ]
}

impl Operator {
    /// Sets some limits, `storage=2GiB`, and leaves the others.
    pub(super) async fn set_quota(&self, root: &str, given: &[&str]) -> Done {
        let root = parsed(root)?;
        let given: Done<Vec<Change>> = given.iter().map(|text| change(text)).collect();
        let given = given?;
        self.alone(move |writer, store| {
            let order = store.quota(&root).map_err(unread).map(|old| {
                let mut limits = old.map(|old| old.limits).unwrap_or_default();
                for (resource, limit) in given {
                    *resource(&mut limits) = limit;
                }
                let text = format!("quota of {} set", shown(&root));
                let (root, limits) = (root.clone(), Some(limits));
                vec![(Order::SetQuota { root, limits }, text)]
            });
            together(writer, &root, order)
        })
        .await
    }

    /// Makes it a root no longer.
    pub(super) async fn remove_quota(&self, root: &str) -> Done {
        let root = parsed(root)?;
        self.alone(move |writer, store| {
            let order = found(store, &root).map(|quota| {
                let text = format!("quota of {} removed", shown(&quota.root));
                let (root, limits) = (quota.root, None);
                vec![(Order::SetQuota { root, limits }, text)]
            });
            together(writer, &root, order)
        })
        .await
    }
}

type Change = (fn(&mut Limits) -> &mut Option<u64>, Option<u64>);

fn change(text: &str) -> Done<Change> {
    let wants = || format!("{text:?}: it wants storage=SIZE, message=NUMBER or mailbox=NUMBER");
    let (name, value) = text.split_once('=').ok_or_else(wants)?;
    let limit = |read: fn(&str) -> Option<u64>| match value {
        "none" => Ok(None),
        _ => read(value).map(Some).ok_or_else(wants),
    };
    let number = |text: &str| text.parse().ok();
    match name {
        "storage" => Ok((|limits| &mut limits.storage, limit(size)?)),
        "message" | "messages" => Ok((|limits| &mut limits.messages, limit(number)?)),
        "mailbox" | "mailboxes" => Ok((|limits| &mut limits.mailboxes, limit(number)?)),
        _ => Err(wants()),
    }
}

/// Bytes, or so many KiB, MiB, GiB, TiB.
fn size(text: &str) -> Option<u64> {
    let end = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(end);
    let shift = match unit.trim() {
        "" | "B" => 0,
        "K" | "KiB" => 10,
        "M" | "MiB" => 20,
        "G" | "GiB" => 30,
        "T" | "TiB" => 40,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(1 << shift)
}
