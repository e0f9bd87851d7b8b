//! SETACL and DELETEACL (RFC 4314 section 3): an ACL with one entry changed.

use super::acl::Acl;
use super::{Identity, Namespace, Rights};

/// What becomes of an identifier's rights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AclChange {
    /// They are these; none at all: the entry goes.
    Replace(Rights),
    /// `+`: these come to them.
    Add(Rights),
    /// `-`: these go.
    Remove(Rights),
}

impl AclChange {
    /// Reads SETACL's rights. `None`: a letter means no right.
    #[must_use]
    pub fn parse(text: &[u8]) -> Option<Self> {
        let (change, letters): (fn(Rights) -> Self, _) = match text.split_first() {
            Some((b'+', letters)) => (Self::Add, letters),
            Some((b'-', letters)) => (Self::Remove, letters),
            _ => (Self::Replace, text),
        };
        let known = letters
            .iter()
            .all(|letter| Rights::SHOWN.as_bytes().contains(letter));
        known.then(|| change(Rights::parse(letters)))
    }

    fn of(self, rights: Rights) -> Rights {
        match self {
            Self::Replace(given) => given,
            Self::Add(given) => rights | given,
            Self::Remove(given) => rights.without(given),
        }
    }
}

impl Acl {
    /// This ACL with the rights of `identifier` changed; it is one of [`Namespace::identifier`]'s. The other entries stay
    /// as they are, in their order.
    #[must_use]
    pub fn changed(&self, identifier: &[u8], change: AclChange) -> Self {
        let is_it = |(of, _): &(&[u8], &[u8])| *of == identifier;
        let before = self.entries().filter(is_it);
        let before = before.fold(Rights::NONE, |sum, (_, rights)| sum | Rights::parse(rights));
        let after = change.of(before);
        let shown = after.to_string();
        let mut acl = Vec::new();
        let mut put = |of: &[u8], rights: &[u8]| {
            acl.extend_from_slice(of);
            acl.push(b'\t');
            acl.extend_from_slice(rights);
            acl.push(b'\t');
        };
        let mut told = after == Rights::NONE;
        for (of, rights) in self.entries() {
            if of != identifier {
                put(of, rights);
            } else if !std::mem::replace(&mut told, true) {
                put(of, shown.as_bytes());
            }
        }
        if !told {
            put(identifier, shown.as_bytes());
        }
        Self::new(&acl)
    }
}

impl Namespace {
    /// An ACL's identifier as ACLs have it: `anyone`, `anonymous`, `group:NAME`, or a user as
    /// [`Self::named_user`] names them, each with `-` before it for rights that are taken away. `None`: it is none.
    #[must_use]
    pub fn identifier(&self, given: &[u8], who: &Identity) -> Option<Vec<u8>> {
        let (sign, name) = match given.strip_prefix(b"-") {
            Some(name) => (&given[..1], name),
            None => (&given[..0], given),
        };
        let name = if [&b"anyone"[..], b"anonymous"].contains(&name) {
            name.to_vec()
        } else if let Some(group) = name.strip_prefix(b"group:") {
            let fits = !group.is_empty() && group.len() <= super::USER_BYTES_MAX;
            let plain = group.iter().all(|byte| matches!(byte, 0x21..=0x7e));
            (fits && plain).then(|| name.to_vec())?
        } else {
            self.named_user(name, who)?.as_str().as_bytes().to_vec()
        };
        Some([sign, &name].concat())
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Groups, UserId};
    use super::*;

    fn changed(acl: &str, identifier: &str, rights: &str) -> String {
        let change = AclChange::parse(rights.as_bytes()).unwrap();
        let acl = Acl::new(acl.as_bytes()).changed(identifier.as_bytes(), change);
        String::from_utf8(acl.as_bytes().to_vec()).unwrap()
    }

    #[test]
    fn one_entry_changes() {
        let acl = "alice\tlrswipkxtecdan\tbob\tlrs\t";
        assert_eq!(
            changed(acl, "bob", "lr"),
            "alice\tlrswipkxtecdan\tbob\tlr\t"
        );
        assert_eq!(
            changed(acl, "bob", "+wi"),
            "alice\tlrswipkxtecdan\tbob\tlrswi\t"
        );
        assert_eq!(
            changed(acl, "alice", "-axc"),
            "alice\tlrswipktecdn\tbob\tlrs\t"
        );
        assert_eq!(changed(acl, "bob", "-lrs"), "alice\tlrswipkxtecdan\t");
        assert_eq!(changed(acl, "bob", ""), "alice\tlrswipkxtecdan\t");
        assert_eq!(changed(acl, "carol", ""), acl);
        assert_eq!(changed(acl, "-bob", "s"), format!("{acl}-bob\ts\t"));
        assert_eq!(changed("", "anyone", "+lr"), "anyone\tlr\t");
        assert_eq!(
            changed("bob\tl\tx\tr\tbob\tr\t", "bob", "+s"),
            "bob\tlrs\tx\tr\t",
            "one entry is left of two"
        );
    }

    #[test]
    fn letters_that_mean_nothing_are_refused() {
        for text in ["L", "lrz", "+lr+s", "l r", "--l", "l\tr"] {
            assert_eq!(AclChange::parse(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn identifiers_are_written_one_way() {
        let namespace = Namespace {
            separator: b'.',
            alt: false,
            default_domain: Some("example.com"),
        };
        let user = UserId::in_domains(b"bob@example.org", "example.com").unwrap();
        let who = Identity::new(user, false, &Groups::default());
        let written = |given: &[u8]| {
            let written = namespace.identifier(given, &who);
            written.map(|name| String::from_utf8(name).unwrap())
        };
        assert_eq!(written(b"Carol").as_deref(), Some("carol@example.org"));
        assert_eq!(
            written(b"-Carol@example.com").as_deref(),
            Some("-carol"),
            "the default domain isn't named"
        );
        assert_eq!(written(b"-anyone").as_deref(), Some("-anyone"));
        assert_eq!(written(b"group:Staff").as_deref(), Some("group:Staff"));
        for bad in [&b""[..], b"-", b"a\tb", b"group:", b"group:a\tb", b"a b"] {
            assert_eq!(written(bad), None);
        }
    }
}
