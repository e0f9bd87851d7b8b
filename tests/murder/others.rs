//! What clients do about mailboxes that aren't theirs alone: they look at others' while these are changed, and want the
//! same names at once, at both backends.

use std::rc::Rc;

use crate::book::{Doubt, Mailbox};
use crate::client::Client;
use crate::dice;
use crate::leg::Gone;
use crate::names::{external, wanted};
use crate::parts::BACKENDS_AT;

/// Looks at another client's mailbox of the same user: one that is there for sure, or that is being renamed, is found.
pub(crate) async fn peek(client: &mut Client) -> Result<(), Gone> {
    let prefix = format!("user.u{}.", client.user());
    let found: Vec<(usize, Vec<String>, u64)> = {
        let book = client.site.book.borrow();
        let renamed = |one: &Mailbox| matches!(one.doubt, Some((Doubt::Renamed, _)));
        let all = book.mailboxes.iter().enumerate();
        all.filter(|(_, one)| one.names[0].starts_with(&prefix))
            .filter(|(_, one)| one.is_sure() || renamed(one))
            .map(|(at, one)| (at, one.names.clone(), one.begun))
            .collect()
    };
    if found.is_empty() {
        return Ok(());
    }
    // Best one that is being renamed.
    let under_way = found.iter().position(|(_, names, _)| names.len() > 1);
    let any = usize::try_from(dice::below(found.len() as u64)).expect("small");
    let at = under_way.filter(|_| dice::percent(70)).unwrap_or(any);
    let (at, names, begun) = &found[at];
    client.selected = None;
    client
        .site
        .world
        .count("done: mailboxes of others looked at");
    for name in names {
        let reply = client
            .command(&format!("EXAMINE {}", external(name)))
            .await?;
        if reply.code() != "NONEXISTENT" {
            if !reply.is_ok() {
                client.undecided(&format!("EXAMINE {name}"), &reply);
            }
            return Ok(());
        }
    }
    let site = Rc::clone(&client.site);
    // From the old name to the new: nobody goes the other way, unless a renaming is undone.
    if site.book.borrow().mailboxes[*at].begun == *begun && (site.peace || names.len() == 1) {
        let number = client.number;
        site.fail(format!("client {number}: {names:?}: it is nowhere"));
    }
    Ok(())
}

/// Makes a mailbox at any of the backends that others want, too: one may have it.
pub(crate) async fn want(client: &Client) {
    let (site, number) = (&client.site, client.number);
    let name = wanted(client.user());
    let at = {
        let mut book = site.book.borrow_mut();
        let known = book.mailboxes.iter().position(|one| one.names[0] == name);
        known.unwrap_or_else(|| {
            let mut new = Mailbox::new(None, name.clone());
            new.doubts(Doubt::Made);
            book.mailboxes.push(new);
            book.mailboxes.len() - 1
        })
    };
    let user = format!("u{}", client.user());
    let backend = dice::one_of(&BACKENDS_AT);
    let Ok(mut direct) = Client::login(site, 100 + number, (backend, &user)).await else {
        return;
    };
    let Ok(reply) = direct.command(&format!("CREATE {}", external(&name))).await else {
        return;
    };
    site.world.count("done: names wanted by several");
    if reply.is_ok() {
        let mut book = site.book.borrow_mut();
        if book.mailboxes[at].is_sure() {
            site.fail(format!("{name}: two were told that they have made it"));
        }
        book.mailboxes[at].doubt = None;
    } else if reply.code() != "ALREADYEXISTS" && !reply.is_undecided() {
        site.fail(format!("CREATE {name} at {backend}: {}", reply.text));
    }
}
