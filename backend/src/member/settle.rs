//! What is to be done about a name where backend and master disagree: a decision, and nothing else.
//!
//! Undo, repair and the comparison at the start are this one thing: whatever has happened before, what is here and what
//! the master holds say what is missing. So an operation that has stopped in the middle needs no journal. Deciding twice
//! does no harm: when the action has been carried out, the next decision is [`Action::Nothing`].

use ravenry_core::mailboxes::{Location, State};
use ravenry_mupdate::Held;

use super::Facts;

/// What makes backend and master agree on a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// They agree, or it isn't for this backend to say.
    Nothing,
    /// It is here, and the master knows of no such name: RESERVE and ACTIVATE.
    Push,
    /// It is here and this server's, but with another ACL or partition, or not active: ACTIVATE.
    Activate,
    /// It is this server's, but not here: DELETE.
    Remove,
    /// It is here, and active at another server: away with what is here, into the quarantine.
    Away,
}

/// Decides about one name, on the server called `own`.
pub(crate) fn decide(local: Option<&Facts>, held: Option<&Held>, own: &str) -> Action {
    match (local, held) {
        (Some(_), None) => Action::Push,
        (Some(local), Some(held)) if is_at(&held.location, own) => {
            let same = held.state == State::Active && held.location.partition == local.partition;
            #[cfg(not(bug_19))] // Else nobody looks whether the master has the same ACL.
            let same = same && held.acl == local.acl;
            if same {
                Action::Nothing
            } else {
                Action::Activate
            }
        }
        (None, Some(held)) if is_at(&held.location, own) => Action::Remove,
        (None, _) => Action::Nothing,
        // Where it is only reserved, another backend is about to make it, or has failed to: mail isn't put away for that.
        (Some(_), Some(held)) => match held.state {
            State::Active => Action::Away,
            State::Reserved | State::Moving => Action::Nothing,
        },
    }
}

/// Whether a location is on this server: host names don't differ by case (RFC 1035 section 2.3.3).
pub(crate) fn is_at(location: &Location, own: &str) -> bool {
    location.server.eq_ignore_ascii_case(own)
}

#[cfg(test)]
mod tests {
    use ravenry_core::mailboxes::{Acl, Name};

    use super::*;

    const OWN: &str = "backend1.murder.test";

    fn local(partition: &str, acl: &[u8]) -> Facts {
        Facts {
            partition: partition.to_owned(),
            acl: Acl::new(acl),
        }
    }

    fn held(state: State, location: &[u8], acl: &[u8]) -> Held {
        Held {
            name: Name::parse(b"user.alice").unwrap(),
            state,
            location: Location::parse(location),
            acl: Acl::new(acl),
        }
    }

    #[test]
    fn each_pair_has_its_action() {
        use State::{Active, Moving, Reserved};
        let (ours, upper, other) = (
            &b"backend1.murder.test!default"[..],
            &b"Backend1.MURDER.test!default"[..],
            &b"backend2.murder.test!default"[..],
        );
        let (fast, none) = (
            &b"backend1.murder.test!fast"[..],
            &b"backend1.murder.test!"[..],
        );
        let (acl, more) = (&b"alice\tlr\t"[..], &b"alice\tlr\tbob\tl\t"[..]);
        let here = Some(local("default", acl));
        for (local, held, want) in [
            (None, None, Action::Nothing),
            (here.clone(), None, Action::Push),
            (here.clone(), Some(held(Active, ours, acl)), Action::Nothing),
            (
                here.clone(),
                Some(held(Active, upper, acl)),
                Action::Nothing,
            ),
            (
                here.clone(),
                Some(held(Active, ours, more)),
                Action::Activate,
            ),
            (
                here.clone(),
                Some(held(Active, ours, b"")),
                Action::Activate,
            ),
            (
                here.clone(),
                Some(held(Active, fast, acl)),
                Action::Activate,
            ),
            (
                here.clone(),
                Some(held(Active, none, acl)),
                Action::Activate,
            ),
            (
                here.clone(),
                Some(held(Reserved, ours, acl)),
                Action::Activate,
            ),
            (
                here.clone(),
                Some(held(Moving, ours, acl)),
                Action::Activate,
            ),
            (here.clone(), Some(held(Active, other, acl)), Action::Away),
            (
                here.clone(),
                Some(held(Reserved, other, b"")),
                Action::Nothing,
            ),
            (here, Some(held(Moving, other, acl)), Action::Nothing),
            (None, Some(held(Active, ours, acl)), Action::Remove),
            (None, Some(held(Reserved, ours, b"")), Action::Remove),
            (None, Some(held(Moving, fast, acl)), Action::Remove),
            (None, Some(held(Active, other, acl)), Action::Nothing),
            (None, Some(held(Reserved, other, b"")), Action::Nothing),
        ] {
            let action = decide(local.as_ref(), held.as_ref(), OWN);
            assert_eq!(action, want, "{local:?} {held:?}");
        }
    }

    /// What the master and the store are after an action.
    fn after(
        action: Action,
        local: Option<Facts>,
        was: Option<Held>,
    ) -> (Option<Facts>, Option<Held>) {
        match (action, &local) {
            (Action::Nothing, _) => (local, was),
            (Action::Push | Action::Activate, Some(facts)) => {
                let location = format!("{OWN}!{}", facts.partition);
                let now = held(State::Active, location.as_bytes(), facts.acl.as_bytes());
                (local, Some(now))
            }
            (Action::Remove, _) => (local, None),
            (Action::Away, _) => (None, was),
            (action, None) => panic!("{action:?} of what isn't here"),
        }
    }

    #[test]
    fn what_was_settled_stays_so() {
        let facts = [
            None,
            Some(local("default", b"a\tl\t")),
            Some(local("fast", b"")),
        ];
        let mut masters = vec![None];
        for state in [State::Active, State::Reserved, State::Moving] {
            for location in [
                &b"backend1.murder.test!default"[..],
                b"backend1.murder.test!",
                b"backend2.murder.test!x",
                b"odd",
            ] {
                masters.push(Some(held(state, location, b"a\tl\t")));
            }
        }
        for local in &facts {
            for master in &masters {
                let action = decide(local.as_ref(), master.as_ref(), OWN);
                let (local, master) = after(action, local.clone(), master.clone());
                let again = decide(local.as_ref(), master.as_ref(), OWN);
                assert_eq!(again, Action::Nothing, "{local:?} {master:?}");
            }
        }
    }
}
