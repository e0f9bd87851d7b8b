//! Names that an operation has to itself: no other begins before it has ended.
//!
//! An operation claims all that it is about at once, and waits for those before it alone; so none waits for one that waits
//! for it. Who comes later doesn't overtake, however little it wants. The waiting has a deadline.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Poll, Waker};
use std::time::Duration;

use ravenry_core::mailboxes::Name;
use ravenry_core::rt;

/// What is claimed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Claim {
    /// A name.
    Name(Name),
    /// A name and all that is below it, whether it is there or not.
    Tree(Name),
}

impl Claim {
    fn name(&self) -> &Name {
        match self {
            Self::Name(name) | Self::Tree(name) => name,
        }
    }

    /// Whether it covers a name.
    pub(crate) fn covers(&self, name: &Name) -> bool {
        match self {
            Self::Name(own) => own == name,
            Self::Tree(top) => is_at_or_below(name, top),
        }
    }

    /// Whether two operations with these may not run at once.
    fn conflicts(&self, other: &Self) -> bool {
        self.covers(other.name()) || other.covers(self.name())
    }
}

/// Whether a name is `top` or below it.
pub(crate) fn is_at_or_below(name: &Name, top: &Name) -> bool {
    let rest = name.as_bytes().strip_prefix(top.as_bytes());
    rest.is_some_and(|rest| rest.is_empty() || rest[0] == b'.')
}

/// All that is claimed, and who waits, in the order in which they came.
#[derive(Default)]
pub(crate) struct Claims {
    all: RefCell<BTreeMap<u64, Entry>>,
    next: Cell<u64>,
    ended: Cell<u64>,
}

struct Entry {
    claims: Vec<Claim>,
    waker: Option<Waker>,
}

/// Claims that are held until this is dropped.
pub(crate) struct Claimed {
    book: Rc<Claims>,
    number: u64,
    /// Whether they had to be waited for: others may have changed what they are about.
    pub(crate) waited: bool,
}

impl Claims {
    /// Claims these; `None`: others kept them for longer than `within`.
    pub(crate) async fn claim(
        self: &Rc<Self>,
        claims: Vec<Claim>,
        within: Duration,
    ) -> Option<Claimed> {
        let mut claimed = self.enter(claims);
        if self.is_free(claimed.number) {
            return Some(claimed);
        }
        claimed.waited = true;
        let free = poll_fn(|context| {
            if self.is_free(claimed.number) {
                return Poll::Ready(());
            }
            if let Some(entry) = self.all.borrow_mut().get_mut(&claimed.number) {
                entry.waker = Some(context.waker().clone());
            }
            Poll::Pending
        });
        let waited = rt::timeout(within, free).await;
        waited.ok().map(|()| claimed)
    }

    /// How many have ended: where it is the same as before, nobody has changed anything in between.
    pub(crate) fn ended(&self) -> u64 {
        self.ended.get()
    }

    /// Claims a name now, if nobody has it or waits for it.
    pub(crate) fn try_claim(self: &Rc<Self>, name: &Name) -> Option<Claimed> {
        let claimed = self.enter(vec![Claim::Name(name.clone())]);
        self.is_free(claimed.number).then_some(claimed)
    }

    /// What is claimed, or waited for.
    pub(crate) fn all(&self) -> Vec<Claim> {
        let all = self.all.borrow();
        all.values()
            .flat_map(|entry| entry.claims.clone())
            .collect()
    }

    fn enter(self: &Rc<Self>, claims: Vec<Claim>) -> Claimed {
        let number = self.next.replace(self.next.get() + 1);
        let waker = None;
        self.all
            .borrow_mut()
            .insert(number, Entry { claims, waker });
        Claimed {
            book: Rc::clone(self),
            number,
            waited: false,
        }
    }

    /// Whether nothing that came before is about the same.
    fn is_free(&self, number: u64) -> bool {
        let all = self.all.borrow();
        let Some(own) = all.get(&number) else {
            return false;
        };
        let conflicts = |entry: &Entry| {
            let mut pairs = entry
                .claims
                .iter()
                .flat_map(|a| own.claims.iter().map(move |b| (a, b)));
            pairs.any(|(a, b)| a.conflicts(b))
        };
        !all.range(..number).any(|(_, entry)| conflicts(entry))
    }
}

impl Drop for Claimed {
    fn drop(&mut self) {
        self.book.ended.set(self.book.ended.get() + 1);
        let mut all = self.book.all.borrow_mut();
        all.remove(&self.number);
        let behind = all.range_mut(self.number..);
        for waker in behind.filter_map(|(_, entry)| entry.waker.take()) {
            waker.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Name {
        Name::parse(text.as_bytes()).unwrap()
    }

    fn one(text: &str) -> Claim {
        Claim::Name(name(text))
    }

    fn tree(text: &str) -> Claim {
        Claim::Tree(name(text))
    }

    /// Claims these now, if nobody has them.
    fn claim_now(book: &Rc<Claims>, claims: Vec<Claim>) -> Option<Claimed> {
        let claimed = book.enter(claims);
        book.is_free(claimed.number).then_some(claimed)
    }

    #[test]
    fn claims_conflict_where_they_share_a_name() {
        for (a, b, conflict) in [
            (one("a"), one("a"), true),
            (one("a"), one("a.b"), false),
            (one("a"), one("b"), false),
            (tree("a"), one("a"), true),
            (tree("a"), one("a.b.c"), true),
            (tree("a"), one("ab"), false),
            (tree("a.b"), one("a"), false),
            (tree("a.b"), tree("a"), true),
            (tree("a.b"), tree("a.c"), false),
        ] {
            assert_eq!(a.conflicts(&b), conflict, "{a:?} {b:?}");
            assert_eq!(b.conflicts(&a), conflict, "{b:?} {a:?}");
        }
    }

    #[test]
    fn nobody_overtakes_and_what_is_dropped_is_free() {
        let claims = Rc::new(Claims::default());
        let first = claim_now(&claims, vec![one("a"), one("b")]).unwrap();
        assert!(claim_now(&claims, vec![one("c")]).is_some());
        assert!(claim_now(&claims, vec![one("c"), one("b")]).is_none());
        // It waits for the first, and the one behind it for both.
        let second = claims.enter(vec![tree("a")]);
        let third = claims.enter(vec![one("a.x")]);
        assert!(claims.all().contains(&tree("a")));
        assert!(claims.try_claim(&name("a.y")).is_none());
        assert!(claims.try_claim(&name("b.y")).is_some());
        assert!(!claims.is_free(second.number) && !claims.is_free(third.number));
        drop(first);
        assert!(claims.is_free(second.number) && !claims.is_free(third.number));
        drop(second);
        assert!(claims.is_free(third.number));
        drop(third);
        assert!(claims.all.borrow().is_empty());
    }

    #[test]
    fn waiting_ends_with_the_claim_or_at_its_deadline() {
        let outcome = rt::block_on(rt::ShardConfig::default(), async {
            let claims = Rc::new(Claims::default());
            let held = claim_now(&claims, vec![one("a")]).unwrap();
            let late = claims
                .claim(vec![one("a")], Duration::from_millis(20))
                .await;
            assert!(late.is_none());
            let book = Rc::clone(&claims);
            rt::spawn(async move {
                rt::sleep(Duration::from_millis(20)).await;
                drop(held);
                drop(book);
            });
            let claimed = claims.claim(vec![tree("a")], Duration::from_secs(60)).await;
            claimed.map(|claimed| claimed.waited)
        });
        assert_eq!(outcome.unwrap(), Some(true));
    }
}
