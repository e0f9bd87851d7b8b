//! Where an address of mail leads: `bob`, `bob+folder`, `+shared.folder`, as in Cyrus.
//!
//! The first `+` sets a folder apart; it is below INBOX, whatever the namespace shows, and written as a client writes it,
//! with the site's separator. Without virtual domains a domain says nothing: whoever delivers has looked at it.

use super::name::is_domain;
use super::namespace::OTHERS;
use super::{Name, NameError, Namespace, UserId};

/// Whom or what an address means; whether that exists is another question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Addressed {
    /// A user.
    User {
        /// Who.
        user: UserId,
        /// The folder that is named, if it can be one.
        folder: Option<Name>,
    },
    /// A mailbox that is nobody's.
    Shared(Name),
}

impl Namespace {
    /// What the address `local@domain` means.
    ///
    /// # Errors
    /// If it can't be a user or a shared mailbox.
    pub fn addressed(&self, local: &[u8], domain: Option<&[u8]>) -> Result<Addressed, NameError> {
        let domain = domain.filter(|_| self.default_domain.is_some());
        let (user, folder) = match memchr::memchr(b'+', local) {
            Some(at) => (&local[..at], Some(&local[at + 1..])),
            None => (local, None),
        };
        if user.is_empty() {
            let folder = folder.ok_or(NameError::Empty)?;
            return self.shared(folder, domain).map(Addressed::Shared);
        }
        let user = match domain {
            Some(domain) => self.user(&[user, b"@", domain].concat())?,
            None => self.user(user)?,
        };
        let folder = folder.and_then(|folder| self.below_inbox(&user, folder).ok());
        Ok(Addressed::User { user, folder })
    }

    fn shared(&self, folder: &[u8], domain: Option<&[u8]>) -> Result<Name, NameError> {
        let mut domain = domain.unwrap_or_default().to_ascii_lowercase();
        if self
            .default_domain
            .is_some_and(|default| default.as_bytes() == domain)
        {
            domain.clear();
        }
        if !domain.is_empty() && !is_domain(&domain) {
            return Err(NameError::BadDomain);
        }
        let name = Name::parse_in(&domain, &self.untranslated(folder)?)?;
        // Whoever means a user's mailbox has to name the user.
        if name.local().split(|byte| *byte == b'.').next() == Some(OTHERS) {
            return Err(NameError::Reserved);
        }
        Ok(name)
    }

    fn below_inbox(&self, user: &UserId, folder: &[u8]) -> Result<Name, NameError> {
        let inbox = user.inbox();
        let local = [inbox.local(), b".", &self.untranslated(folder)?].concat();
        Name::parse_in(inbox.domain(), &local)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn site(separator: u8, default_domain: Option<&'static str>) -> Namespace {
        Namespace {
            separator,
            alt: false,
            default_domain,
        }
    }

    /// `INBOX`, `INBOX FOLDER`, `shared NAME`, or why not.
    fn meant(site: Namespace, local: &str, domain: &str) -> String {
        let domain = (!domain.is_empty()).then_some(domain.as_bytes());
        match site.addressed(local.as_bytes(), domain) {
            Ok(Addressed::User { user, folder: None }) => user.inbox().to_string(),
            Ok(Addressed::User {
                user,
                folder: Some(folder),
            }) => format!("{} {folder}", user.inbox()),
            Ok(Addressed::Shared(name)) => format!("shared {name}"),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn a_domain_says_nothing_where_there_are_none() {
        let site = site(b'.', None);
        for (local, expected) in [
            ("Bob", "user.bob"),
            ("b.ob", "user.b^ob"),
            ("bob+Sent", "user.bob user.bob.Sent"),
            ("bob+a.b+c", "user.bob user.bob.a.b+c"),
            ("bob+", "user.bob"),
            ("bob+a..b", "user.bob"),
            ("bob+a/b", "user.bob"),
            ("+shared.x", "shared shared.x"),
            ("+", "the name is empty"),
            ("+user.bob", "the name is reserved"),
            ("anyone", "the name is reserved"),
            ("a/b", "the name has the byte 0x2f"),
        ] {
            assert_eq!(meant(site, local, ""), expected, "{local}");
            assert_eq!(meant(site, local, "example.org"), expected, "{local}");
        }
    }

    #[test]
    fn folders_are_written_with_the_separator_of_clients() {
        let site = site(b'/', None);
        assert_eq!(meant(site, "bob+a/b.c", ""), "user.bob user.bob.a.b^c");
        assert_eq!(meant(site, "+a/b", ""), "shared a.b");
    }

    #[test]
    fn with_virtual_domains_they_count() {
        let site = site(b'.', Some("example.org"));
        assert_eq!(meant(site, "bob", "Example.Org"), "user.bob");
        assert_eq!(meant(site, "bob", ""), "user.bob");
        assert_eq!(
            meant(site, "bob+x", "Other.Net"),
            "other.net!user.bob other.net!user.bob.x"
        );
        assert_eq!(meant(site, "+x", "Other.net"), "shared other.net!x");
        assert_eq!(meant(site, "+x", "example.org"), "shared x");
        assert_eq!(meant(site, "+user.x", "other.net"), "the name is reserved");
        assert_eq!(
            meant(site, "bob", "[192.0.2.1]"),
            "what follows the @ is no domain"
        );
    }
}
