//! What orders do to the set of names and to ACLs: all that the master has to know of them.
//!
//! Pure: the orders are followed in their sequence, over what is there before. Who looks twice and finds the same effects
//! may do what the master has been told of.

use std::collections::BTreeMap;

use ravenry_core::mailboxes::{Acl, Name};

use crate::store::{Mailbox, MailboxId, Order, Refused};

/// What the master is told of a mailbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Facts {
    /// Where its messages are.
    pub(crate) partition: String,
    /// Who may do what.
    pub(crate) acl: Acl,
}

impl Facts {
    pub(crate) fn of(mailbox: &Mailbox) -> Self {
        Self {
            partition: mailbox.partition.clone(),
            acl: mailbox.acl.clone(),
        }
    }
}

/// What becomes of a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Effect {
    pub(crate) name: Name,
    /// `None`: there is no such mailbox.
    pub(crate) before: Option<Facts>,
    /// `None`: there will be none.
    pub(crate) after: Option<Facts>,
}

impl Effect {
    /// A mailbox gets this name.
    pub(crate) fn is_made(&self) -> bool {
        self.before.is_none() && self.after.is_some()
    }

    /// The name is nobody's any more.
    pub(crate) fn is_gone(&self) -> bool {
        self.after.is_none()
    }
}

/// The mailboxes that orders are about.
pub(crate) trait Present {
    /// The mailbox of this name.
    fn named(&self, name: &Name) -> Result<Option<Facts>, Refused>;
    /// One that has been taken away and is kept.
    fn removed(&self, mailbox: MailboxId) -> Result<Option<Facts>, Refused>;
}

/// The effects of `orders`, those above before those below. What the store would refuse for its names is refused here, before
/// the master hears of it.
pub(crate) fn effects(orders: &[Order], present: &impl Present) -> Result<Vec<Effect>, Refused> {
    let mut following = Following {
        present,
        names: BTreeMap::new(),
    };
    for order in orders {
        following.order(order)?;
    }
    let effects = following
        .names
        .into_iter()
        .map(|(name, (before, after))| Effect {
            name,
            before,
            after,
        });
    Ok(effects
        .filter(|effect| effect.before != effect.after)
        .collect())
}

/// What was, and what is after the orders so far.
struct Following<'a, P> {
    present: &'a P,
    names: BTreeMap<Name, (Option<Facts>, Option<Facts>)>,
}

impl<P: Present> Following<'_, P> {
    fn order(&mut self, order: &Order) -> Result<(), Refused> {
        match order {
            Order::Create {
                name,
                partition,
                acl,
                ..
            } => {
                let (partition, acl) = (partition.clone(), acl.clone());
                self.give(name, Facts { partition, acl })
            }
            Order::Rename { from, to } => {
                let facts = self.take(from)?;
                self.give(to, facts)
            }
            Order::Delete { name } => self.take(name).map(drop),
            Order::Undelete { mailbox, name } => {
                let facts = self.present.removed(*mailbox)?;
                self.give(name, facts.ok_or(Refused::NoMailbox)?)
            }
            Order::SetAcl { name, acl } => {
                let facts = self.now(name)?.as_mut().ok_or(Refused::NoMailbox)?;
                facts.acl = acl.clone();
                Ok(())
            }
            // These have no names in them, or leave them as they are.
            _ => Ok(()),
        }
    }

    fn now(&mut self, name: &Name) -> Result<&mut Option<Facts>, Refused> {
        if !self.names.contains_key(name) {
            let before = self.present.named(name)?;
            self.names.insert(name.clone(), (before.clone(), before));
        }
        let entry = self.names.get_mut(name);
        Ok(&mut entry.expect("invariant: it was put there").1)
    }

    fn take(&mut self, name: &Name) -> Result<Facts, Refused> {
        self.now(name)?.take().ok_or(Refused::NoMailbox)
    }

    fn give(&mut self, name: &Name, facts: Facts) -> Result<(), Refused> {
        let now = self.now(name)?;
        if now.is_some() {
            return Err(Refused::Exists);
        }
        *now = Some(facts);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::SpecialUse;

    /// Mailboxes `a` and `a.b`, and a removed one with the id 7.
    struct Two;

    fn name(text: &str) -> Name {
        Name::parse(text.as_bytes()).unwrap()
    }

    fn facts(acl: &str) -> Facts {
        Facts {
            partition: "default".to_owned(),
            acl: Acl::new(acl.as_bytes()),
        }
    }

    impl Present for Two {
        fn named(&self, wanted: &Name) -> Result<Option<Facts>, Refused> {
            let there = ["a", "a.b"].iter().any(|text| name(text) == *wanted);
            Ok(there.then(|| facts(&format!("{wanted}\tl\t"))))
        }

        fn removed(&self, mailbox: MailboxId) -> Result<Option<Facts>, Refused> {
            Ok((Some(mailbox) == MailboxId::parse("r7")).then(|| facts("old\tl\t")))
        }
    }

    fn create(text: &str) -> Order {
        Order::Create {
            name: name(text),
            partition: "default".to_owned(),
            acl: Acl::new(b"x\tl\t"),
            special_use: SpecialUse::NONE,
        }
    }

    fn rename(from: &str, to: &str) -> Order {
        let (from, to) = (name(from), name(to));
        Order::Rename { from, to }
    }

    fn delete(text: &str) -> Order {
        Order::Delete { name: name(text) }
    }

    fn set_acl(text: &str, acl: &str) -> Order {
        let acl = Acl::new(acl.as_bytes());
        Order::SetAcl {
            name: name(text),
            acl,
        }
    }

    /// `name:before>after`, with ACLs' first identifiers.
    fn shown(orders: &[Order]) -> Result<String, Refused> {
        let short = |facts: &Option<Facts>| {
            let acl = facts.as_ref().map(|facts| facts.acl.as_bytes().to_vec());
            acl.map_or_else(
                || "-".to_owned(),
                |acl| {
                    let text = String::from_utf8(acl).unwrap();
                    text.split('\t').next().unwrap().to_owned()
                },
            )
        };
        let effects = effects(orders, &Two)?;
        let effects = effects.iter().map(|effect| {
            let (before, after) = (short(&effect.before), short(&effect.after));
            format!("{}:{before}>{after}", effect.name)
        });
        Ok(effects.collect::<Vec<_>>().join(" "))
    }

    #[test]
    fn orders_are_followed_in_their_sequence() {
        for (orders, want) in [
            (vec![], ""),
            (vec![create("c.d"), create("c")], "c:->x c.d:->x"),
            (vec![delete("a"), delete("a.b")], "a:a>- a.b:a.b>-"),
            (vec![rename("a", "z")], "a:a>- z:->a"),
            (
                vec![set_acl("a", "m\tl\t"), rename("a", "z")],
                "a:a>- z:->m",
            ),
            (vec![rename("a", "z"), rename("z", "a")], ""),
            (
                vec![rename("a", "z"), rename("a.b", "a")],
                "a:a>a.b a.b:a.b>- z:->a",
            ),
            (vec![create("c"), delete("c")], ""),
            (vec![set_acl("a", "a\tl\t")], ""),
            (
                vec![set_acl("a", "m\tl\t"), set_acl("a", "n\tl\t")],
                "a:a>n",
            ),
            (vec![delete("a"), create("a")], "a:a>x"),
        ] {
            assert_eq!(shown(&orders).unwrap(), want, "{orders:?}");
        }
    }

    #[test]
    fn what_the_store_would_refuse_is_refused() {
        for (order, why) in [
            (create("a"), Refused::Exists),
            (rename("a", "a.b"), Refused::Exists),
            (rename("q", "z"), Refused::NoMailbox),
            (delete("q"), Refused::NoMailbox),
            (set_acl("q", "a\tl\t"), Refused::NoMailbox),
        ] {
            let text = format!("{order:?}");
            assert_eq!(shown(&[order]), Err(why), "{text}");
        }
        assert_eq!(shown(&[create("c"), create("c")]), Err(Refused::Exists));
    }
}
