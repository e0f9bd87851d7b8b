//! What there is: users' mailboxes, mailboxes by pattern, one mailbox' facts.

use std::collections::BTreeMap;

use ravenry_core::mailboxes::{Name, Pattern, UserId};

use super::answer::Answer;
use super::{Done, acl, missing, shown, unread};
use crate::store::{Mailbox, Store};

/// A row for everybody who has mailboxes: who it is, whether there is an INBOX, and sums over all below it.
pub(super) fn users(store: &Store) -> Done {
    #[derive(Default)]
    struct Sums {
        inbox: bool,
        quota: Option<u64>,
        mailboxes: u64,
        messages: u64,
        bytes: u64,
    }
    let mut quotas: BTreeMap<Name, Option<u64>> = BTreeMap::new();
    let read = store.each_quota(|quota| {
        quotas.insert(quota.root, quota.limits.storage);
    });
    read.map_err(unread)?;
    let mut users: BTreeMap<String, Sums> = BTreeMap::new();
    let counted = store.each_mailbox(|mailbox| {
        let Some(inbox) = inbox_above(&mailbox.name) else {
            return;
        };
        let sums = users.entry(user_of(&inbox)).or_insert_with(|| Sums {
            quota: limit(&quotas, &inbox),
            ..Sums::default()
        });
        sums.inbox |= mailbox.name == inbox;
        sums.mailboxes += 1;
        sums.messages += u64::from(mailbox.exists);
        sums.bytes = sums.bytes.saturating_add(mailbox.bytes);
    });
    counted.map_err(unread)?;
    let mut answer = Answer::table(&[
        "name",
        "inbox",
        "mailboxes:n",
        "messages:n",
        "bytes:n",
        "quota:n",
    ]);
    for (name, sums) in users {
        let inbox = if sums.inbox { "yes" } else { "no" };
        answer.row(&[
            &name,
            inbox,
            &sums.mailboxes.to_string(),
            &sums.messages.to_string(),
            &sums.bytes.to_string(),
            &sums
                .quota
                .map_or_else(String::new, |limit| limit.to_string()),
        ]);
    }
    Ok(answer)
}

/// The storage limit that holds for a mailbox: the nearest root's.
fn limit(quotas: &BTreeMap<Name, Option<u64>>, name: &Name) -> Option<u64> {
    let mut at = Some(name.clone());
    while let Some(name) = at {
        if let Some(limit) = quotas.get(&name) {
            return *limit;
        }
        at = name.parent();
    }
    None
}

/// Whose INBOX this is; a name that no user can have stays as it is.
fn user_of(inbox: &Name) -> String {
    owner(inbox).map_or_else(|| shown(inbox), |user| user.to_string())
}

/// Whose INBOX this is, if it is one.
pub(super) fn owner(name: &Name) -> Option<UserId> {
    let text = std::str::from_utf8(name.as_bytes()).ok()?;
    let (domain, local) = match text.split_once('!') {
        Some((domain, local)) => (format!("@{domain}"), local),
        None => (String::new(), text),
    };
    let local = local.strip_prefix("user.")?.replace('^', ".");
    let user = format!("{local}{domain}");
    let user = UserId::in_domains(user.as_bytes(), "").ok()?;
    (user.inbox() == *name).then_some(user)
}

/// The INBOX that this is or is below of.
fn inbox_above(name: &Name) -> Option<Name> {
    let mut at = name.clone();
    while !at.is_inbox() {
        at = at.parent()?;
    }
    Some(at)
}

/// A row for every mailbox whose internal name the pattern matches.
pub(super) fn mailboxes(store: &Store, pattern: &[u8]) -> Done {
    let pattern = Pattern::new(pattern, b'.').map_err(|_too_long| "the pattern is too long")?;
    let mut answer = Answer::table(&["name", "messages:n", "unseen:n", "bytes:n", "partition"]);
    let listed = store.each_mailbox(|mailbox| {
        if pattern.matches(mailbox.name.as_bytes()) {
            answer.row(&[
                &shown(&mailbox.name),
                &mailbox.exists.to_string(),
                &mailbox.unseen.to_string(),
                &mailbox.bytes.to_string(),
                &mailbox.partition,
            ]);
        }
    });
    listed.map_err(unread)?;
    Ok(answer)
}

/// A mailbox that has to be there.
pub(super) fn found(store: &Store, name: &Name) -> Done<Mailbox> {
    let mailbox = store.mailbox(name).map_err(unread)?;
    mailbox.ok_or_else(|| missing(name))
}

/// All that is known of a mailbox.
pub(super) fn facts(store: &Store, name: &Name) -> Done {
    let mailbox = found(store, name)?;
    let directory = store.path(&mailbox, 1);
    let mut answer = Answer::default();
    answer.fact("name", shown(&mailbox.name));
    answer.fact("id", mailbox.id);
    answer.fact("uidvalidity:n", mailbox.uidvalidity);
    answer.fact("uidnext:n", mailbox.uidnext);
    answer.fact("highestmodseq:n", mailbox.highestmodseq);
    answer.fact("messages:n", mailbox.exists);
    answer.fact("unseen:n", mailbox.unseen);
    answer.fact("deleted:n", mailbox.deleted);
    answer.fact("bytes:n", mailbox.bytes);
    answer.fact("created:n", mailbox.created);
    answer.fact("acl", acl::shown(&mailbox.acl));
    answer.fact("keywords", mailbox.keywords.join(" "));
    answer.fact("partition", &mailbox.partition);
    let root = store.quota_root_of(&mailbox.name).map_err(unread)?;
    answer.fact("quota root", root.as_ref().map_or_else(String::new, shown));
    let directory = directory.parent().unwrap_or(&directory);
    answer.fact("directory", directory.display());
    Ok(answer)
}

/// A row for each entry of a mailbox' ACL.
pub(super) fn acl(store: &Store, name: &Name) -> Done {
    let mailbox = found(store, name)?;
    let mut answer = Answer::table(&["identifier", "rights"]);
    for (identifier, rights) in mailbox.acl.entries() {
        let (identifier, rights) = (
            String::from_utf8_lossy(identifier),
            String::from_utf8_lossy(rights),
        );
        answer.row(&[&identifier, &rights]);
    }
    Ok(answer)
}

/// A mailbox and all below it, parents before their children.
pub(super) fn tree(store: &Store, name: &Name) -> Done<Vec<Mailbox>> {
    let mut found = Vec::new();
    let listed = store.each_mailbox(|mailbox| {
        let rest = mailbox.name.as_bytes().strip_prefix(name.as_bytes());
        if rest.is_some_and(|rest| matches!(rest.first(), None | Some(b'.'))) {
            found.push(mailbox);
        }
    });
    listed.map_err(unread)?;
    Ok(found)
}
