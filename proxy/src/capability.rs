//! What CAPABILITY says: what this frontend does, and every backend it knows can do too.
//!
//! A shard keeps what each backend last announced after a login (a probe as the proxy itself at
//! start, then every session's own connection). A backend that couldn't be asked yet is left out
//! of the intersection until it can.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Poll, Waker};
use std::time::Duration;

use ravenry_core::proto::imap::Capabilities;
use ravenry_core::rt;

/// Before login, in any case.
const BEFORE_LOGIN: &str = "IMAP4rev1 LITERAL+ ID";
/// Who has to be able to do what a capability promises.
#[derive(Clone, Copy, PartialEq, Eq)]
enum By {
    /// The frontend alone.
    Frontend,
    /// Every backend: the frontend passes it on.
    Backends,
    /// The frontend, with what every backend has under another name.
    BackendsWith(&'static str),
}

/// After login, in this order: what the frontend's handlers can do.
const AFTER_LOGIN: &[(&str, By)] = &[
    ("IMAP4rev1", By::Frontend),
    ("LITERAL+", By::Frontend),
    ("ID", By::Frontend),
    ("NAMESPACE", By::Frontend),
    ("CHILDREN", By::Frontend),
    ("LIST-EXTENDED", By::Frontend),
    ("LIST-MYRIGHTS", By::Frontend),
    ("MAILBOX-REFERRALS", By::Frontend),
    ("UNAUTHENTICATE", By::Frontend),
    ("COMPRESS=DEFLATE", By::Frontend),
    ("LIST-METADATA", By::BackendsWith("METADATA")),
    ("LIST-STATUS", By::Frontend),
    ("SPECIAL-USE", By::Backends),
    ("XLIST", By::BackendsWith("SPECIAL-USE")),
    ("ENABLE", By::Backends),
    ("IMAP4rev2", By::Backends),
    ("CONDSTORE", By::Backends),
    ("QRESYNC", By::Backends),
    ("UIDONLY", By::Backends),
    ("UTF8=ACCEPT", By::Backends),
    ("ACL", By::Backends),
    ("RIGHTS=kxten", By::Backends),
    ("ANNOTATE-EXPERIMENT-1", By::Backends),
    ("BINARY", By::Backends),
    ("CATENATE", By::Backends),
    ("ESEARCH", By::Backends),
    ("ESORT", By::Backends),
    ("CREATE-SPECIAL-USE", By::Backends),
    ("IDLE", By::Backends),
    ("METADATA", By::Backends),
    ("MOVE", By::Backends),
    ("MULTIAPPEND", By::Backends),
    ("MULTISEARCH", By::BackendsWith("ESEARCH")),
    ("OBJECTID", By::Backends),
    ("PARTIAL", By::Backends),
    ("PREVIEW", By::Backends),
    ("QUOTA", By::Backends),
    ("QUOTASET", By::Backends),
    ("QUOTA=RES-STORAGE", By::Backends),
    ("QUOTA=RES-MESSAGE", By::Backends),
    ("QUOTA=RES-MAILBOX", By::Backends),
    ("QUOTA=RES-ANNOTATION-STORAGE", By::Backends),
    ("X-QUOTA=STORAGE", By::Backends),
    ("X-QUOTA=MESSAGE", By::Backends),
    ("X-QUOTA=X-ANNOTATION-STORAGE", By::Backends),
    ("X-QUOTA=X-NUM-FOLDERS", By::Backends),
    ("REPLACE", By::BackendsWith("UIDPLUS")),
    ("SAVEDATE", By::Backends),
    ("SEARCH=FUZZY", By::Backends),
    ("SEARCHRES", By::Backends),
    ("SORT", By::Backends),
    ("SORT=DISPLAY", By::Backends),
    ("SORT=MODSEQ", By::Backends),
    ("SORT=UID", By::Backends),
    ("STATUS=SIZE", By::Backends),
    ("THREAD=ORDEREDSUBJECT", By::Backends),
    ("THREAD=REFERENCES", By::Backends),
    ("THREAD=REFS", By::Backends),
    ("UIDPLUS", By::Backends),
    ("UNSELECT", By::Backends),
    ("WITHIN", By::Backends),
];

/// The list before login: with what a login can be done, or that TLS has to come first.
pub(crate) fn before_login(starttls: bool, logins: bool, referrals: bool) -> String {
    let starttls = if starttls { " STARTTLS" } else { "" };
    let logins = if logins {
        " AUTH=PLAIN AUTH=LOGIN SASL-IR"
    } else {
        " LOGINDISABLED"
    };
    let referrals = if referrals { " LOGIN-REFERRALS" } else { "" };
    [BEFORE_LOGIN, starttls, logins, referrals].concat()
}

/// What the backends announced, by server.
#[derive(Default)]
pub(crate) struct CapabilityCache {
    /// In capitals: never announced, whoever has it.
    suppressed: Vec<String>,
    servers: RefCell<BTreeMap<Rc<str>, Rc<Capabilities>>>,
    asked: RefCell<BTreeSet<Rc<str>>>,
    /// Those who wait until more servers have been asked.
    waiting: RefCell<Vec<Waker>>,
}

impl CapabilityCache {
    /// An empty one that never announces what is `suppressed`.
    pub(crate) fn new(suppressed: &[String]) -> Self {
        Self {
            suppressed: suppressed
                .iter()
                .map(|name| name.to_ascii_uppercase())
                .collect(),
            ..Self::default()
        }
    }

    /// Notes what a server announced after login, and gives the one copy of it: sessions of the
    /// same server share it.
    pub(crate) fn learn(&self, server: &Rc<str>, announced: Capabilities) -> Rc<Capabilities> {
        self.asked(server);
        let mut servers = self.servers.borrow_mut();
        match servers.get(server) {
            Some(known) if **known == announced => Rc::clone(known),
            _ => {
                let new = Rc::new(announced);
                servers.insert(Rc::clone(server), Rc::clone(&new));
                new
            }
        }
    }

    /// Whether a server has announced anything yet.
    pub(crate) fn knows(&self, server: &str) -> bool {
        self.servers.borrow().contains_key(server)
    }

    /// Whether a server has announced what it can do, and not this.
    pub(crate) fn lacks(&self, server: &str, name: &str) -> bool {
        let servers = self.servers.borrow();
        servers.get(server).is_some_and(|known| !known.has(name))
    }

    /// Forgets servers that the list no longer names.
    pub(crate) fn keep_only(&self, servers: &[Rc<str>]) {
        let known = &self.servers;
        known
            .borrow_mut()
            .retain(|server, _| servers.contains(server));
        self.asked
            .borrow_mut()
            .retain(|server| servers.contains(server));
    }

    /// A server has been asked, whether it answered or not.
    pub(crate) fn asked(&self, server: &Rc<str>) {
        if self.asked.borrow_mut().insert(Rc::clone(server)) {
            self.waiting.take().into_iter().for_each(Waker::wake);
        }
    }

    /// Whether a server was ever asked.
    pub(crate) fn was_asked(&self, server: &str) -> bool {
        self.asked.borrow().contains(server)
    }

    /// Waits until all of `servers` have been asked, so that two clients aren't told different
    /// things; a backend that hangs delays the first logins by no more than `within`.
    pub(crate) async fn wait_for_probes(&self, servers: &[Rc<str>], within: Duration) {
        let all_asked = poll_fn(|context| {
            if servers.iter().all(|server| self.was_asked(server)) {
                return Poll::Ready(());
            }
            self.waiting.borrow_mut().push(context.waker().clone());
            Poll::Pending
        });
        let _ = rt::timeout(within, all_asked).await;
    }

    /// The list after login, without what is `active` already.
    pub(crate) fn after_login(&self, active: Option<&str>) -> String {
        let offered = AFTER_LOGIN.iter().filter(|(name, _)| active != Some(*name));
        let announced = offered.filter(|line| self.is_announced(line));
        let names: Vec<&str> = announced.map(|(name, _)| *name).collect();
        names.join(" ")
    }

    /// Whether a capability is among those of the list after login.
    pub(crate) fn announces(&self, name: &str) -> bool {
        let line = AFTER_LOGIN.iter().find(|(known, _)| *known == name);
        line.is_some_and(|line| self.is_announced(line))
    }

    fn is_announced(&self, (name, by): &(&str, By)) -> bool {
        let suppressed = |known: &String| known.eq_ignore_ascii_case(name);
        let here = match by {
            By::Frontend => true,
            By::Backends => self.everywhere(name),
            By::BackendsWith(needed) => self.everywhere(needed),
        };
        here && !self.suppressed.iter().any(suppressed)
    }

    /// Whether every backend that could be asked has a capability.
    fn everywhere(&self, name: &str) -> bool {
        let servers = self.servers.borrow();
        !servers.is_empty() && servers.values().all(|server| server.has(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn learn(cache: &CapabilityCache, server: &str, announced: &str) -> Rc<Capabilities> {
        cache.learn(&server.into(), Capabilities::parse(announced.as_bytes()))
    }

    const OWN: &str = "IMAP4rev1 LITERAL+ ID NAMESPACE CHILDREN LIST-EXTENDED LIST-MYRIGHTS MAILBOX-REFERRALS UNAUTHENTICATE COMPRESS=DEFLATE LIST-STATUS";

    #[test]
    fn what_one_backend_lacks_is_not_announced() {
        let cache = CapabilityCache::default();
        assert_eq!(
            cache.after_login(None),
            OWN,
            "nobody asked: nothing promised"
        );
        learn(&cache, "b1", "IMAP4rev1 IDLE MOVE SORT X-OTHER");
        assert_eq!(
            cache.after_login(None),
            format!("{OWN} IDLE MOVE SORT"),
            "and only what is built"
        );
        learn(&cache, "b2", "IMAP4rev1 idle SORT");
        assert_eq!(cache.after_login(None), format!("{OWN} IDLE SORT"));
        assert!(
            cache.was_asked("b1") && !cache.was_asked("b3"),
            "who answers has been asked"
        );
        assert_eq!(
            cache.after_login(Some("COMPRESS=DEFLATE")),
            format!("{OWN} IDLE SORT").replace(" COMPRESS=DEFLATE", ""),
            "what is active isn't offered again"
        );
        cache.keep_only(&["b1".into()]);
        assert_eq!(cache.after_login(None), format!("{OWN} IDLE MOVE SORT"));
    }

    #[test]
    fn what_the_frontend_makes_of_something_else_is_announced_with_it() {
        let cache = CapabilityCache::default();
        learn(&cache, "b1", "IMAP4rev1 UIDPLUS");
        assert_eq!(cache.after_login(None), format!("{OWN} REPLACE UIDPLUS"));
        learn(&cache, "b2", "IMAP4rev1 REPLACE");
        assert_eq!(cache.after_login(None), OWN);
    }

    #[test]
    fn what_the_operator_suppresses_is_not_announced() {
        let cache = CapabilityCache::new(&["idle".to_owned(), "NAMESPACE".to_owned()]);
        learn(&cache, "b1", "IMAP4rev1 IDLE MOVE");
        assert_eq!(
            cache.after_login(None),
            "IMAP4rev1 LITERAL+ ID CHILDREN LIST-EXTENDED LIST-MYRIGHTS MAILBOX-REFERRALS UNAUTHENTICATE COMPRESS=DEFLATE LIST-STATUS MOVE"
        );
        assert!(cache.announces("MOVE") && !cache.announces("IDLE"));
    }

    #[test]
    fn sessions_share_what_a_server_announced() {
        let cache = CapabilityCache::default();
        let first = learn(&cache, "b1", "IDLE MOVE");
        assert!(Rc::ptr_eq(&first, &learn(&cache, "b1", "MOVE IDLE")));
        let changed = learn(&cache, "b1", "IDLE");
        assert!(!Rc::ptr_eq(&first, &changed) && !changed.has("MOVE"));
    }
}
