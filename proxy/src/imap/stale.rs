//! An entry of the list that turns out to be stale heals: the backend that it names says that it has no
//! such mailbox, or refers elsewhere. The list is brought up to date, and where the mailbox is at
//! another server now, the command is carried out anew, once ([`Failure::Moved`]).
//!
//! Every command about a named mailbox goes through [`Session::forward_named`], or gives the backend's
//! reply to [`Session::confirm`]. Invariant: what has been done isn't done again, for only a refusal
//! leads here. Codes: RFC 3501 section 7.1 (TRYCREATE), RFC 5530 (NONEXISTENT), RFC 2193 (REFERRAL).

use std::rc::Rc;

use ravenry_core::mailboxes::Name;
use ravenry_core::proto::imap::encode::Request;
use ravenry_core::proto::imap::{StatusKind, status};

use super::route::Place;
use super::session::Session;
use crate::failure::Failure;

/// What Cyrus says, without a code, of a mailbox that it doesn't have or that the user may not see.
const NO_MAILBOX: &[u8] = b"Mailbox does not exist";

impl Session {
    /// [`Session::forward`] for a command about the mailbox `name`: the reply stands when it is given.
    pub(crate) async fn forward_named(
        &mut self,
        index: usize,
        request: &Request,
        tag: &[u8],
        name: &Name,
    ) -> Result<Vec<u8>, Failure> {
        let reply = self.forward(index, request, tag).await?;
        let server = Rc::clone(&self.upstreams[index].server);
        self.confirm(&reply, name, &server).await?;
        Ok(reply)
    }

    /// Makes sure that a refusal is no stale entry's: `Ok` where `reply` is something else, or the list
    /// still has the mailbox at `server` (which may well hide it from the user).
    pub(crate) async fn confirm(
        &mut self,
        reply: &[u8],
        name: &Name,
        server: &Rc<str>,
    ) -> Result<(), Failure> {
        let Some(denial) = denial(reply) else {
            return Ok(());
        };
        let refers =
            status(reply.trim_ascii_end()).is_some_and(|status| has_code(status.code, b"REFERRAL"));
        // Where the master can't be asked, nobody can tell whether it is gone or elsewhere.
        self.barrier().await?;
        match (self.place_now(name)?, denial) {
            (Place::At(now), _) if now != *server => {
                tracing::info!(session = %self.id, %name, from = %server, to = %now, "moved: asked again");
                Err(Failure::Moved)
            }
            (Place::Reserved, _) => Err(Failure::coded("INUSE", "Mailbox is currently reserved")),
            // RFC 2193: no referrals but to who has shown to know them.
            (Place::At(_), _) if refers => Err(Failure::unavailable(format!(
                "Server {server} says that the mailbox is elsewhere, and the mailbox list doesn't"
            ))),
            (Place::At(_), _) | (Place::Nowhere, Denial::TryCreate) => Ok(()),
            (Place::Nowhere, Denial::NotHere) => {
                Err(Failure::coded("NONEXISTENT", "Mailbox does not exist"))
            }
        }
    }
}

/// How a server says that it doesn't have a mailbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Denial {
    NotHere,
    /// The same of one that messages were meant for.
    TryCreate,
}

/// Whether a reply says that there is no such mailbox, or that the user may not see or read it.
pub(super) fn is_denial(reply: &[u8]) -> bool {
    let Some(status) =
        status(reply.trim_ascii_end()).filter(|status| status.kind == StatusKind::No)
    else {
        return false;
    };
    denial(reply).is_some()
        || has_code(status.code, b"NOPERM")
        || status.text.eq_ignore_ascii_case(b"Permission denied")
}

fn has_code(code: Option<&[u8]>, known: &[u8]) -> bool {
    let word = code.and_then(|code| code.split(|byte| *byte == b' ').next());
    word.is_some_and(|word| word.eq_ignore_ascii_case(known))
}

fn denial(reply: &[u8]) -> Option<Denial> {
    let status = status(reply.trim_ascii_end()).filter(|status| status.kind == StatusKind::No)?;
    let is = |known| has_code(status.code, known);
    if is(b"TRYCREATE") {
        return Some(Denial::TryCreate);
    }
    let begins = status.text.get(..NO_MAILBOX.len());
    let says = begins.is_some_and(|text| text.eq_ignore_ascii_case(NO_MAILBOX));
    (is(b"NONEXISTENT") || is(b"REFERRAL") || says).then_some(Denial::NotHere)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_hides_a_mailbox_is_told_from_what_fails() {
        for denied in [
            "NO Permission denied",
            "NO [NOPERM] No",
            "NO [NONEXISTENT] x",
            "NO Mailbox does not exist",
        ] {
            assert!(is_denial(format!("t {denied}\r\n").as_bytes()), "{denied}");
        }
        for failed in [
            "NO System I/O error",
            "NO [UNAVAILABLE] x",
            "BAD x",
            "OK Permission denied",
        ] {
            assert!(!is_denial(format!("t {failed}\r\n").as_bytes()), "{failed}");
        }
    }

    #[test]
    fn what_says_that_a_mailbox_is_not_there() {
        for (reply, expected) in [
            ("t NO Mailbox does not exist", Some(Denial::NotHere)),
            ("t NO [NONEXISTENT] No such thing", Some(Denial::NotHere)),
            (
                "t no [referral imap://;AUTH=*@b2/INBOX] Remote mailbox.",
                Some(Denial::NotHere),
            ),
            (
                "t NO [TRYCREATE] Mailbox does not exist",
                Some(Denial::TryCreate),
            ),
            ("t NO [UNAVAILABLE] Busy", None),
            ("t NO Permission denied", None),
            ("t NO Mailbox", None),
            ("t OK Mailbox does not exist", None),
            ("t BAD Mailbox does not exist", None),
            ("* NO Mailbox has changed", None),
            ("", None),
        ] {
            assert_eq!(
                denial(format!("{reply}\r\n").as_bytes()),
                expected,
                "{reply}"
            );
        }
    }
}
