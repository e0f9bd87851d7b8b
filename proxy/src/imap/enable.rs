//! ENABLE (RFC 5161), and what else turns an extension on for a session: the commands that turn
//! on CONDSTORE (RFC 7162 section 3.1).
//!
//! An extension that the client has turned on holds at every backend: each connection is told
//! before it is used. Invariant: a command that goes out on a connection finds there what the
//! session has enabled.

use ravenry_core::log::printable;
use ravenry_core::proto::imap::encode::Request;
use ravenry_core::proto::imap::{Command, Literals, Verb};

use super::is_ok;
use super::session::Session;
use crate::failure::{BackendFault, Failure};
use crate::upstream::Upstream;

/// Extensions that change what a server says, and so have to be asked for.
const EXTENSIONS: [&str; 5] = [
    "CONDSTORE",
    "QRESYNC",
    "UTF8=ACCEPT",
    "IMAP4rev2",
    "UIDONLY",
];
const CONDSTORE: Enabled = Enabled(1);
const QRESYNC: Enabled = Enabled(1 << 1);
const UTF8: Enabled = Enabled(1 << 2);
const IMAP4REV2: Enabled = Enabled(1 << 3);
const UIDONLY: Enabled = Enabled(1 << 4);

/// A set of [`EXTENSIONS`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Enabled(u8);

impl Enabled {
    fn of(name: &[u8]) -> Option<Self> {
        let known = |extension: &&str| extension.as_bytes().eq_ignore_ascii_case(name);
        EXTENSIONS.iter().position(known).map(|bit| Self(1 << bit))
    }

    fn names(self) -> impl Iterator<Item = &'static str> {
        let set = move |(bit, _): &(usize, &&str)| self.0 >> bit & 1 == 1;
        EXTENSIONS
            .iter()
            .enumerate()
            .filter(set)
            .map(|(_, name)| *name)
    }

    fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    fn meets(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// Whether names are in UTF-8, and messages may have UTF-8 headers (RFC 6855 section 3, RFC 9051
    /// appendix A).
    pub(crate) fn has_utf8(self) -> bool {
        self.meets(UTF8.with(IMAP4REV2))
    }

    /// Whether message numbers aren't said any more (RFC 9586).
    pub(crate) fn wants_uids(self) -> bool {
        self.meets(UIDONLY)
    }

    /// Whether the client is to be told when one mailbox is closed for another (RFC 7162
    /// section 3.2.11, RFC 9051 section 7.1).
    pub(crate) fn tells_closed(self) -> bool {
        self.meets(QRESYNC.with(IMAP4REV2))
    }
}

/// ENABLE extension …: what isn't known, or not to every backend, is passed over.
pub(crate) async fn enable(session: &mut Session, command: &Command<'_>) -> Result<(), Failure> {
    let mut args = command.args;
    let mut asked = Enabled::default();
    loop {
        args.sp()?;
        let known = Enabled::of(args.atom()?);
        asked = asked.with(known.unwrap_or_default());
        if args.is_done() {
            break;
        }
    }
    let capabilities = &session.fe.capabilities;
    let missing = asked.names().filter(|name| !capabilities.announces(name));
    let missing = missing.filter_map(|name| Enabled::of(name.as_bytes()));
    let asked = missing.fold(asked, Enabled::without);
    let new = asked.without(session.enabled);
    session.enabled = session.enabled.with(asked);
    session.enable_everywhere().await?;
    let mut line = String::from("* ENABLED");
    new.names().for_each(|name| line.extend([" ", name]));
    session.client.push_line(&line);
    session.client.push_tagged(command.tag, "OK Completed");
    Ok(())
}

impl Session {
    /// Brings all connections that are open in step with what is enabled.
    async fn enable_everywhere(&mut self) -> Result<(), Failure> {
        let mut index = 0;
        while index < self.upstreams.len() {
            let selected = self.selected_index() == Some(index);
            match self.enable_at(index).await {
                // Another connection is opened when it is needed.
                Err(Failure::Backend(fault)) if !selected => {
                    tracing::warn!(session = %self.id, "backend {fault}");
                    self.upstreams.swap_remove(index);
                }
                done => {
                    done?;
                    index += 1;
                }
            }
        }
        Ok(())
    }

    /// Tells a connection's backend what the session has enabled and it hasn't been told yet. What
    /// the selected mailbox's backend has to say besides goes to the client.
    pub(crate) async fn enable_at(&mut self, index: usize) -> Result<(), Failure> {
        let passes = self.selected_index() == Some(index);
        let told = enable_on(&mut self.upstreams[index], self.enabled).await;
        let news = told.map_err(Failure::Backend)?;
        for response in news.iter().filter(|_| passes) {
            self.client.push(response);
        }
        Ok(())
    }

    /// Notes that a search's result is kept in the backend's connection.
    pub(crate) fn note_saved(&mut self, command: &Command<'_>) {
        let search = matches!(command.verb, Verb::Search | Verb::Sort | Verb::Thread);
        self.saved_search |= search && has_word(command.args.rest(), &["SAVE"]);
    }

    /// Notes that a command turns CONDSTORE on: the backend that carries it out knows by itself,
    /// the others are told when they are used.
    pub(crate) fn note_condstore(&mut self, command: &Command<'_>) {
        if self.enabled.meets(CONDSTORE) || !turns_condstore_on(command) {
            return;
        }
        if self.fe.capabilities.announces("CONDSTORE") {
            self.enabled = self.enabled.with(CONDSTORE);
        }
    }
}

/// Enables at a backend what it hasn't been told yet of `wanted`; gives what it says besides. One
/// that can't is of no use to the session.
pub(super) async fn enable_on(
    up: &mut Upstream,
    wanted: Enabled,
) -> Result<Vec<Vec<u8>>, BackendFault> {
    let missing = wanted.without(up.enabled);
    if missing == Enabled::default() {
        return Ok(Vec::new());
    }
    if let Some(lacks) = missing.names().find(|name| !up.capabilities.has(name)) {
        return Err(up.fault(format_args!("doesn't have {lacks}, which is enabled")));
    }
    let names: Vec<&str> = missing.names().collect();
    let mut request = Request::new(Literals::Sync);
    request.raw("ENABLE ").raw(names.join(" ")).end();
    let (mut news, reply) = up.ask(&request).await?;
    if !is_ok(&reply) {
        return Err(up.fault(printable(&reply)));
    }
    up.enabled = wanted;
    news.retain(|response| !is_enabled(response));
    Ok(news)
}

fn is_enabled(response: &[u8]) -> bool {
    let word = response.get(2..2 + "ENABLED".len());
    word.is_some_and(|word| word.eq_ignore_ascii_case(b"ENABLED"))
}

/// Whether a command has one of the words that turn CONDSTORE on, outside of strings.
fn turns_condstore_on(command: &Command<'_>) -> bool {
    let words: &[&str] = match command.verb {
        Verb::Select | Verb::Examine => &["CONDSTORE"],
        Verb::Status => &["HIGHESTMODSEQ"],
        Verb::Fetch => &["MODSEQ", "CHANGEDSINCE"],
        Verb::Store => &["UNCHANGEDSINCE"],
        Verb::Search | Verb::Sort | Verb::Thread => &["MODSEQ"],
        _ => return false,
    };
    has_word(command.args.rest(), words)
}

/// Whether one of these words, in capitals, stands in `text` outside of quoted strings.
pub(super) fn has_word(text: &[u8], words: &[&str]) -> bool {
    let outside = text.split(|byte| *byte == b'"').step_by(2);
    outside.into_iter().any(|part| {
        part.split(|byte| !byte.is_ascii_alphanumeric())
            .any(|word| {
                words
                    .iter()
                    .any(|known| known.as_bytes().eq_ignore_ascii_case(word))
            })
    })
}

#[cfg(test)]
mod tests {
    use ravenry_core::proto::imap;

    use super::*;

    #[test]
    fn what_turns_condstore_on_is_seen() {
        let turns_on = |text: &str| {
            let raw = format!("a1 {text}\r\n");
            turns_condstore_on(&imap::command(raw.as_bytes()).expect("a command"))
        };
        for text in [
            "SELECT INBOX (CONDSTORE)",
            "EXAMINE \"a b\" (condstore)",
            "STATUS INBOX (MESSAGES HIGHESTMODSEQ)",
            "FETCH 1:* (FLAGS MODSEQ)",
            "UID FETCH 1:* (FLAGS) (CHANGEDSINCE 7 VANISHED)",
            "UID STORE 1 (UNCHANGEDSINCE 7) +FLAGS (\\Seen)",
            "SEARCH MODSEQ 620162338",
            "UID SORT (ARRIVAL) UTF-8 OR TEXT \"x\" MODSEQ 7",
        ] {
            assert!(turns_on(text), "{text}");
        }
        for text in [
            "SELECT CONDSTORES",
            "SELECT \"CONDSTORE\"",
            "FETCH 1:* (FLAGS)",
            "SEARCH SUBJECT \"MODSEQ 7\"",
            "SEARCH SUBJECT XMODSEQ",
            "CREATE CONDSTORE",
            "NOOP",
        ] {
            assert!(!turns_on(text), "{text}");
        }
    }

    #[test]
    fn names_are_in_no_case() {
        for name in EXTENSIONS {
            let one = Enabled::of(name.to_ascii_lowercase().as_bytes()).expect("known");
            assert_eq!(one.names().collect::<Vec<_>>(), [name]);
        }
        assert_eq!(Enabled::of(b"CONDSTOR"), None);
        assert_eq!(Enabled::of(b"UIDONLY"), Some(UIDONLY));
        let both = CONDSTORE.with(QRESYNC);
        assert_eq!(both.without(CONDSTORE), QRESYNC);
        assert!(both.tells_closed() && !CONDSTORE.tells_closed());
    }
}
