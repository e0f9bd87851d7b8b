//! ACLs as an operator writes them: `anyone lrs`, and rights that are added with `+` or taken with `-`.

use ravenry_core::mailboxes::{Acl, AclChange};

use super::{Done, Operator};

/// What cyradm calls sets of rights.
const SETS: [(&str, &str); 6] = [
    ("none", ""),
    ("read", "lrs"),
    ("post", "lrsp"),
    ("append", "lrsip"),
    ("write", "lrswipkxte"),
    ("all", "lrswipkxtea"),
];

/// `acl` with other rights for an identifier, as [`Operator::identifier`] gives it: none of them take its entry away.
pub(super) fn with(acl: &Acl, identifier: &str, rights: &str) -> Done<Acl> {
    let at = usize::from(rights.starts_with(['+', '-']));
    let (sign, letters) = rights.split_at(at);
    let set = SETS.iter().find(|(name, _)| *name == letters);
    let letters = set.map_or(letters, |(_, letters)| letters);
    let change = AclChange::parse(format!("{sign}{letters}").as_bytes());
    let change = change.ok_or_else(|| {
        let names = SETS.map(|(name, _)| name).join(", ");
        format!("{rights:?} are no rights: they are letters of lrswipkxtea, or one of {names}")
    })?;
    Ok(acl.changed(identifier.as_bytes(), change))
}

impl Operator {
    /// Whom an ACL's entry is for, as ACLs have it.
    pub(super) fn identifier(&self, text: &str) -> Done<String> {
        let (sign, name) = match text.strip_prefix('-') {
            Some(name) => ("-", name),
            None => ("", text),
        };
        if ["anyone", "anonymous"].contains(&name) {
            return Ok(text.to_owned());
        }
        if let Some(group) = name.strip_prefix("group:") {
            let plain = |byte: u8| (0x21..=0x7e).contains(&byte);
            return match !group.is_empty() && group.bytes().all(plain) {
                true => Ok(text.to_owned()),
                false => Err(format!("{group:?} is no name of a group")),
            };
        }
        let user = self.user(name).map_err(|why| {
            format!("{why}; an ACL has users, group:NAME, anyone, anonymous, a - before them to take rights away")
        })?;
        Ok(format!("{sign}{user}"))
    }
}

/// `anyone lrs`
pub(super) fn split(text: &str) -> Done<(&str, &str)> {
    let split = text.trim().split_once([' ', '\t']);
    let (identifier, rights) = split.ok_or_else(|| {
        format!("{text:?} is no ACL: it wants an identifier and rights, as \"anyone lrs\"")
    })?;
    Ok((identifier, rights.trim()))
}

/// On one line.
pub(super) fn shown(acl: &Acl) -> String {
    let entries = acl.entries().map(|(identifier, rights)| {
        let (identifier, rights) = (
            String::from_utf8_lossy(identifier),
            String::from_utf8_lossy(rights),
        );
        format!("{identifier} {rights}")
    });
    entries.collect::<Vec<_>>().join(", ")
}
