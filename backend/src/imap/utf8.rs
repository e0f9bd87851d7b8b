//! Mailbox names as a session's client writes them: modified UTF-7 (RFC 3501 section 5.1.3), or UTF-8 once it has enabled
//! UTF8=ACCEPT (RFC 6855) or IMAP4rev2 (RFC 9051 section 5.1).
//!
//! The store and all that is within the backend have modified UTF-7. *External* names are that, too: a namespace makes
//! them of internal ones. What the client gives comes in by [`Session::internal`], what it is told goes out by
//! [`Session::shown`] and [`Session::write_name`].

use ravenry_core::mailboxes::{ListQuery, Name, is_net_unicode, utf7_of, utf8_of};
use ravenry_core::proto::imap::encode::{self, HasNul};

use super::failure::Failure;
use super::session::Session;

impl Session {
    /// The client writes names in UTF-8, and takes UTF-8 in quoted strings.
    pub(super) fn takes_utf8(&self) -> bool {
        self.utf8 || self.rev2
    }

    /// SEARCH takes no charset: a client that has enabled UTF8=ACCEPT has said it (RFC 6855 section 3). IMAP4rev2
    /// allows it to be said again.
    pub(super) fn has_one_charset(&self) -> bool {
        self.utf8 && !self.rev2
    }

    /// The internal form of a name that the client gave.
    pub(crate) fn internal(&self, given: &[u8]) -> Result<Name, Failure> {
        if !self.takes_utf8() {
            return self.internal_of(given);
        }
        self.internal_of(&utf7_of(given).map_err(not_utf8)?)
    }

    /// The internal form of an external name.
    pub(super) fn internal_of(&self, external: &[u8]) -> Result<Name, Failure> {
        let namespace = self.backend.desk.parts.namespace;
        Ok(namespace.internal(external, self.who()?)?)
    }

    /// An external name as the client is told it.
    pub(super) fn shown(&self, external: &[u8]) -> Vec<u8> {
        if self.takes_utf8() {
            utf8_of(external)
        } else {
            external.to_vec()
        }
    }

    /// Adds a name that the client gave, or one that [`Self::shown`] gives.
    pub(super) fn write_name(&self, line: &mut Vec<u8>, name: &[u8]) -> Result<(), HasNul> {
        if self.takes_utf8() {
            encode::utf8_astring(line, name)
        } else {
            encode::astring(line, name)
        }
    }

    /// What a reference and patterns ask for.
    pub(super) fn query(&self, reference: &[u8], patterns: &[&[u8]]) -> Result<ListQuery, Failure> {
        let (who, namespace) = (self.who()?.clone(), self.backend.desk.parts.namespace);
        if self.takes_utf8() {
            let query = ListQuery::in_utf8(who, namespace, reference, patterns);
            return query.map_err(|error| Failure::bad(error.to_string()));
        }
        let query = ListQuery::new(who, namespace, reference, patterns);
        query.map_err(|_too_long| Failure::bad("Pattern too long"))
    }

    /// Whether a client that writes UTF-8 may make a mailbox of this name.
    pub(super) fn may_be_called(&self, name: &Name) -> Result<(), Failure> {
        let shown = utf8_of(name.as_bytes());
        let good = std::str::from_utf8(&shown).is_ok_and(is_net_unicode);
        if self.takes_utf8() && !good {
            return Err(Failure::coded(
                "CANNOT",
                "The name is not Net-Unicode: it must be normalized (NFC), without control characters",
            ));
        }
        Ok(())
    }
}

fn not_utf8(error: impl std::fmt::Display) -> Failure {
    Failure::bad(error.to_string())
}
