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
/// After login, by the frontend alone.
const OWN: &str = "IMAP4rev1 LITERAL+ ID NAMESPACE CHILDREN";
/// After login, where all backends have them: the frontend passes these through.
const PASSED: [&str; 22] = [
    "ACL",
    "RIGHTS=kxten",
    "BINARY",
    "ESEARCH",
    "ESORT",
    "IDLE",
    "MOVE",
    "MULTIAPPEND",
    "OBJECTID",
    "PREVIEW",
    "SAVEDATE",
    "SEARCH=FUZZY",
    "SEARCHRES",
    "SORT",
    "SORT=DISPLAY",
    "STATUS=SIZE",
    "THREAD=ORDEREDSUBJECT",
    "THREAD=REFERENCES",
    "THREAD=REFS",
    "UIDPLUS",
    "UNSELECT",
    "WITHIN",
];

/// The list before login: with what a login can be done, or that TLS has to come first.
pub(crate) fn before_login(starttls: bool, logins: bool) -> String {
    let starttls = if starttls { " STARTTLS" } else { "" };
    let logins = if logins {
        " AUTH=PLAIN AUTH=LOGIN SASL-IR"
    } else {
        " LOGINDISABLED"
    };
    [BEFORE_LOGIN, starttls, logins].concat()
}

/// What the backends announced, by server.
#[derive(Default)]
pub(crate) struct CapabilityCache {
    servers: RefCell<BTreeMap<Rc<str>, Rc<Capabilities>>>,
    asked: RefCell<BTreeSet<Rc<str>>>,
    /// Those who wait until more servers have been asked.
    waiting: RefCell<Vec<Waker>>,
}

impl CapabilityCache {
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

    /// The list after login.
    pub(crate) fn after_login(&self) -> String {
        let servers = self.servers.borrow();
        let everywhere =
            |name: &&&str| !servers.is_empty() && servers.values().all(|server| server.has(name));
        let mut list = OWN.to_owned();
        for name in PASSED.iter().filter(everywhere) {
            list.push(' ');
            list.push_str(name);
        }
        list
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn learn(cache: &CapabilityCache, server: &str, announced: &str) -> Rc<Capabilities> {
        cache.learn(&server.into(), Capabilities::parse(announced.as_bytes()))
    }

    #[test]
    fn what_one_backend_lacks_is_not_announced() {
        let cache = CapabilityCache::default();
        assert_eq!(cache.after_login(), OWN, "nobody asked: nothing promised");
        learn(&cache, "b1", "IMAP4rev1 IDLE MOVE UIDPLUS CONDSTORE");
        assert_eq!(
            cache.after_login(),
            format!("{OWN} IDLE MOVE UIDPLUS"),
            "and only what is built"
        );
        learn(&cache, "b2", "IMAP4rev1 idle UIDPLUS");
        assert_eq!(cache.after_login(), format!("{OWN} IDLE UIDPLUS"));
        assert!(
            cache.was_asked("b1") && !cache.was_asked("b3"),
            "who answers has been asked"
        );
        cache.keep_only(&["b1".into()]);
        assert_eq!(cache.after_login(), format!("{OWN} IDLE MOVE UIDPLUS"));
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
