//! What an operator does to the master's list, between two commits of its clients.
//!
//! Long changes go in commits of a thousand names: who reads meanwhile sees some of them. After a crash
//! in the middle the same command does the rest.

use std::collections::BTreeMap;

use ravenry_core::mailboxes::{After, Change, ListError, Location, Name, State};

use super::dump;
use super::rules::{Answer, same};
use super::store::{Store, unix_seconds};

/// Names in one commit.
const COMMIT_NAMES_MAX: usize = 1000;

impl Store {
    /// For an hour `account` may take away what it wants.
    pub(crate) fn allow(&mut self, account: &str) {
        self.guard.allow(account, unix_seconds());
    }

    /// Makes the list what `text` says, a dump: names that aren't in it go. Without `force` no more go, or
    /// change their server, than the guard lets an account take, and the dump must have its end.
    ///
    /// # Errors
    /// In words; then nothing was changed, unless the store failed in the middle.
    pub(crate) fn restore(&mut self, text: &str, force: bool) -> Result<String, String> {
        if text.starts_with(dump::HEAD) && !text.ends_with(dump::END) && !force {
            return Err(
                "the dump is cut short: its last line isn't `# end`. Nothing was changed; with \
                 --force it is done"
                    .to_owned(),
            );
        }
        let wanted = parse(text)?;
        let (changes, lost) = self.against(&wanted).map_err(|error| error.to_string())?;
        let most = self
            .limit
            .most(self.list.count().map_err(|error| error.to_string())?);
        if lost > most && !force {
            return Err(format!(
                "{lost} active names would go or change their server, more than {most}: nothing was \
                 changed; with --force it is done"
            ));
        }
        let count = changes.len();
        self.make(&changes)?;
        Ok(format!("{} names, {count} changes\n", wanted.len()))
    }

    /// What has to change, and how many active names go or get another server.
    fn against(&self, wanted: &BTreeMap<Name, Change>) -> Result<(Vec<Change>, u64), ListError> {
        let (mut gone, mut lost, mut after) = (Vec::new(), 0, Some(After::nothing()));
        while let Some(from) = after {
            let piece = self.list.tell_names(&from, |told| {
                let (Ok(name), Some(held)) = (Name::from_mupdate(told.name), told.held) else {
                    return true;
                };
                let new = wanted.get(&name);
                let stays = new.is_some_and(|new| same(server_of(new), held.server));
                lost += u64::from(held.state == State::Active && !stays);
                if new.is_none() {
                    gone.push(Change::Deleted { name });
                }
                true
            })?;
            after = piece.next;
        }
        gone.extend(wanted.values().cloned());
        Ok((gone, lost))
    }

    /// Gives a server another name in every location.
    ///
    /// # Errors
    /// In words; a part of it may have been done.
    pub(crate) fn rename_server(&mut self, old: &str, new: &str) -> Result<String, String> {
        let mut changes = Vec::new();
        let mut after = Some(After::nothing());
        while let Some(from) = after {
            let piece = self.list.tell_names(&from, |told| {
                if let Some(held) = told.held.filter(|held| same(held.server, old))
                    && let Ok(name) = Name::from_mupdate(told.name)
                {
                    let location = Location {
                        server: new.to_owned(),
                        partition: held.partition.to_owned(),
                    };
                    changes.push(match held.state {
                        State::Active => Change::Active {
                            name,
                            location,
                            acl: ravenry_core::mailboxes::Acl::new(held.acl),
                        },
                        State::Reserved => Change::Reserved { name, location },
                        State::Moving => Change::Moving { name, location },
                    });
                }
                true
            });
            after = piece.map_err(|error| error.to_string())?.next;
        }
        let count = changes.len();
        self.make(&changes)?;
        Ok(format!("{count} names of {old} are {new}'s now\n"))
    }

    fn make(&mut self, changes: &[Change]) -> Result<(), String> {
        for chunk in changes.chunks(COMMIT_NAMES_MAX) {
            self.commit_all(chunk)?;
        }
        Ok(())
    }

    fn commit_all(&mut self, changes: &[Change]) -> Result<(), String> {
        let said = |error: ListError| error.to_string();
        let mut edit = self.writer().edit().map_err(said)?;
        if !edit.standing().is_master() {
            return Err(Answer::Superseded.text().to_owned());
        }
        for change in changes {
            edit.apply(change).map_err(said)?;
        }
        edit.commit().map(drop).map_err(said)
    }
}

fn parse(text: &str) -> Result<BTreeMap<Name, Change>, String> {
    let mut wanted = BTreeMap::new();
    for (number, line) in text.lines().enumerate() {
        let wrong = |why: String| format!("line {}: {why}", number + 1);
        let Some(change) = dump::read(line).map_err(wrong)? else {
            continue;
        };
        let name = name_of(&change).clone();
        if wanted.insert(name, change).is_some() {
            return Err(wrong("this name has a line already".to_owned()));
        }
    }
    if wanted.is_empty() {
        return Err("there is no name in it: nothing was changed".to_owned());
    }
    Ok(wanted)
}

fn name_of(change: &Change) -> &Name {
    match change {
        Change::Active { name, .. }
        | Change::Reserved { name, .. }
        | Change::Moving { name, .. }
        | Change::Deleted { name } => name,
    }
}

fn server_of(change: &Change) -> &str {
    match change {
        Change::Active { location, .. }
        | Change::Reserved { location, .. }
        | Change::Moving { location, .. } => &location.server,
        Change::Deleted { .. } => "",
    }
}
