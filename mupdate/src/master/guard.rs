//! The guard against a wipe: how many names of a server one account has taken away in the last hour.
//!
//! Counted are DELETEs of active names, and takeovers where the rules allow them. What moves, what
//! stands below `DELETED.`, and a DELETE that the account follows by a RESERVE within a minute (a rename)
//! don't count. Past the limit it is refused until the operator allows it. Pure: time comes in, in seconds.

use std::collections::{BTreeMap, VecDeque};

use ravenry_core::config;

/// How long what was taken counts, and how long an allowance holds.
const HOUR: u64 = 3600;
/// Within this a RESERVE makes a rename of a DELETE.
const RENAME_WITHIN: u64 = 60;
/// Servers that are counted for one account; what it does to more of them counts as one's.
const SERVERS_MAX: usize = 1000;

/// What is counted.
#[derive(Debug, Default)]
pub(crate) struct Guard {
    limit: config::Guard,
    accounts: BTreeMap<String, Taken>,
}

/// By one account.
#[derive(Debug, Default)]
struct Taken {
    servers: BTreeMap<String, VecDeque<Minute>>,
    /// DELETEs that may yet prove to be renames: when, and whose the name was.
    deleted: VecDeque<(u64, String)>,
    allowed_until: u64,
}

#[derive(Debug)]
struct Minute {
    began: u64,
    count: u64,
}

impl Guard {
    pub(crate) fn new(limit: config::Guard) -> Self {
        Self {
            limit,
            accounts: BTreeMap::new(),
        }
    }

    /// Whether `account` may take one more name of `server`, which has `names` now; counts it.
    pub(crate) fn may_take(
        &mut self,
        account: &str,
        server: &str,
        names: u64,
        by_delete: bool,
        now: u64,
    ) -> bool {
        let taken = self.accounts.entry(account.to_owned()).or_default();
        let server = server.to_ascii_lowercase();
        let count = taken.count(&server, now);
        if count >= self.limit.most(names.saturating_add(count)) && now >= taken.allowed_until {
            return false;
        }
        taken.add(&server, now);
        if by_delete {
            taken.deleted.push_back((now, server));
        }
        true
    }

    /// `account` has reserved a name: its oldest DELETE of the last minute was a rename.
    pub(crate) fn has_reserved(&mut self, account: &str, now: u64) {
        let Some(taken) = self.accounts.get_mut(account) else {
            return;
        };
        taken.forget_deleted(now);
        if let Some((_, server)) = taken.deleted.pop_front()
            && let Some(last) = taken.servers.get_mut(&server).and_then(VecDeque::back_mut)
        {
            last.count = last.count.saturating_sub(1);
        }
    }

    /// For an hour `account` may take what it wants.
    pub(crate) fn allow(&mut self, account: &str, now: u64) {
        let taken = self.accounts.entry(account.to_owned()).or_default();
        taken.servers.clear();
        taken.allowed_until = now + HOUR;
    }
}

impl Taken {
    fn count(&mut self, server: &str, now: u64) -> u64 {
        self.forget_deleted(now);
        let Some(minutes) = self.servers.get_mut(server) else {
            return 0;
        };
        while minutes
            .front()
            .is_some_and(|minute| minute.began + HOUR <= now)
        {
            minutes.pop_front();
        }
        minutes.iter().map(|minute| minute.count).sum()
    }

    fn add(&mut self, server: &str, now: u64) {
        let full = self.servers.len() >= SERVERS_MAX && !self.servers.contains_key(server);
        let server = if full { "" } else { server };
        let minutes = self.servers.entry(server.to_owned()).or_default();
        match minutes.back_mut() {
            Some(minute) if now < minute.began + 60 => minute.count += 1,
            _ => minutes.push_back(Minute {
                began: now,
                count: 1,
            }),
        }
    }

    fn forget_deleted(&mut self, now: u64) {
        while self
            .deleted
            .front()
            .is_some_and(|(at, _)| at + RENAME_WITHIN < now)
        {
            self.deleted.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use ravenry_core::config;

    use super::Guard;

    fn guard(names: u64, percent: u64) -> Guard {
        Guard::new(config::Guard { names, percent })
    }

    #[test]
    fn past_the_least_and_the_share_it_is_refused() {
        let mut guard = guard(10, 5);
        let take = |guard: &mut Guard, names| guard.may_take("a", "b1", names, true, 1000);
        let taken = (0..50).filter(|n| take(&mut guard, 100 - n)).count();
        assert_eq!(taken, 10);
        assert!(
            guard.may_take("a", "b2", 100, true, 1000),
            "another server's"
        );
        assert!(guard.may_take("c", "b1", 90, true, 1000), "another account");
        let mut large = super::tests::guard(10, 5);
        let taken = (0..1000).filter(|n| take(&mut large, 2000 - n)).count();
        assert_eq!(taken, 100, "five in a hundred of what it had");
    }

    #[test]
    fn after_an_hour_or_when_allowed_it_goes_on() {
        let mut guard = guard(2, 0);
        let take = |guard: &mut Guard, now| guard.may_take("a", "b1", 9, true, now);
        assert_eq!(
            [0, 1, 2].map(|now| take(&mut guard, now)),
            [true, true, false]
        );
        assert!(!take(&mut guard, 3599));
        assert!(take(&mut guard, 3601));
        assert!(take(&mut guard, 3602));
        assert!(!take(&mut guard, 3603));
        guard.allow("a", 4000);
        assert!((0..100).all(|_| take(&mut guard, 4001)));
        assert!(!take(&mut guard, 4000 + 3600));
    }

    #[test]
    fn a_rename_does_not_count() {
        let mut guard = guard(3, 0);
        for now in 0..100 {
            assert!(guard.may_take("a", "b1", 9, true, now), "{now}");
            guard.has_reserved("a", now + 1);
        }
        // Two at once, from two connections.
        assert!(guard.may_take("a", "b1", 9, true, 200));
        assert!(guard.may_take("a", "b1", 9, true, 200));
        guard.has_reserved("a", 201);
        guard.has_reserved("a", 201);
        // A RESERVE much later is another matter.
        assert!((0..3).all(|_| guard.may_take("a", "b1", 9, true, 300)));
        guard.has_reserved("a", 400);
        assert!(!guard.may_take("a", "b1", 9, true, 401));
    }
}
