//! Who may have one more connection, and how long a failed login waits for its answer: the limits
//! of `[limits]` on connections in total, by address and by user.
//!
//! [`Admission`] is made once and cloned to each shard; what is counted is counted for the whole
//! process, in tables of words that are changed atomically (`counts`, `failures`; decision 0008). A place is a
//! [`Place`]: dropping it gives it back. An address is a whole IPv4 address or the /64 of an
//! IPv6 one, which is what one customer has at the least; unix sockets have none. Keys are hashed with
//! a secret, so that nobody can choose to collide.

mod counts;
mod failures;

use std::hash::{DefaultHasher, Hasher};
use std::io::{self, Read};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::config::{Limits, Network};
use crate::mailboxes::UserId;
use crate::rt::{self, Address, Instant};
use counts::{Counts, Entered};
use failures::Failures;

/// What keeps count. Clones are the same.
#[derive(Clone, Debug)]
pub struct Admission(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    limits: Limits,
    open: AtomicU64,
    addresses: Counts,
    users: Counts,
    failures: Failures,
    began: Instant,
    secret: [u8; 16],
}

/// Which limit stands against one more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// `connections`.
    Total,
    /// `connections_per_address`.
    Address,
    /// `connections_per_user`.
    User,
}

/// A connection's or a login's place, held until it is dropped.
#[derive(Debug)]
pub struct Place {
    admission: Admission,
    held: Held,
}

#[derive(Debug)]
enum Held {
    Connection { slot: Option<usize> },
    User { slot: usize },
    Nothing,
}

impl Admission {
    /// # Errors
    /// If the system has no random bytes.
    pub fn new(limits: &Limits) -> io::Result<Self> {
        let mut secret = [0; 16];
        std::fs::File::open("/dev/urandom")?.read_exact(&mut secret)?;
        let most = usize::try_from(limits.connections).unwrap_or(usize::MAX);
        let counts = |limit| Counts::new(if limit == 0 { 0 } else { most });
        Ok(Self(Arc::new(Inner {
            open: AtomicU64::new(0),
            addresses: counts(limits.connections_per_address),
            users: counts(limits.connections_per_user),
            failures: Failures::new(),
            began: rt::now(),
            secret,
            limits: limits.clone(),
        })))
    }

    /// Connections that have a place.
    #[must_use]
    pub fn open(&self) -> u64 {
        self.0.open.load(Ordering::Relaxed)
    }

    /// A place for one more connection.
    ///
    /// # Errors
    /// The limit that stands against it.
    pub fn connection(&self, peer: &Address) -> Result<Place, Refused> {
        let limits = &self.0.limits;
        if self.0.open.fetch_add(1, Ordering::Relaxed) >= limits.connections {
            self.0.open.fetch_sub(1, Ordering::Relaxed);
            return Err(Refused::Total);
        }
        // From here on dropping it gives the place in the total back.
        let mut place = self.place(Held::Connection { slot: None });
        let most = limits.connections_per_address;
        let address = self.counted_address(peer);
        if let (Some(hash), 1..) = (address, most) {
            match self.0.addresses.enter(hash, most) {
                Entered::In(slot) => place.held = Held::Connection { slot: Some(slot) },
                Entered::Full => return Err(Refused::Address),
                Entered::Uncounted => {}
            }
        }
        Ok(place)
    }

    /// A place for one more login of this user.
    ///
    /// # Errors
    /// If the user has as many as may be.
    pub fn user(&self, user: &UserId) -> Result<Place, Refused> {
        let most = self.0.limits.connections_per_user;
        if most == 0 {
            return Ok(self.place(Held::Nothing));
        }
        match self
            .0
            .users
            .enter(self.hash(user.as_str().as_bytes()), most)
        {
            Entered::In(slot) => Ok(self.place(Held::User { slot })),
            Entered::Full => Err(Refused::User),
            Entered::Uncounted => Ok(self.place(Held::Nothing)),
        }
    }

    /// A login has failed, the `in_session`th on this connection: how long its answer is held back.
    /// It doubles with each failure of the connection or of its address, whichever has more.
    #[must_use]
    pub fn login_failed(&self, peer: &Address, in_session: u32) -> Duration {
        let address = self.counted_address(peer);
        let since = rt::now().saturating_duration_since(self.0.began);
        let by_address = address.map_or(0, |hash| self.0.failures.add(hash, since));
        let doublings = in_session.max(by_address).saturating_sub(1);
        let limits = &self.0.limits;
        let factor = 1u32.checked_shl(doublings).unwrap_or(u32::MAX);
        limits
            .login_delay
            .saturating_mul(factor)
            .min(limits.login_delay_max)
    }

    fn place(&self, held: Held) -> Place {
        Place {
            admission: self.clone(),
            held,
        }
    }

    /// The hash of the address that is to blame; none for those that are trusted.
    fn counted_address(&self, peer: &Address) -> Option<u64> {
        let Address::Tcp(socket) = peer else {
            return None;
        };
        let ip = socket.ip().to_canonical();
        let trusted = |network: &Network| network.contains(ip);
        if self.0.limits.trusted.iter().any(trusted) {
            return None;
        }
        Some(match ip {
            IpAddr::V4(v4) => self.hash(&v4.octets()),
            IpAddr::V6(v6) => self.hash(&v6.octets()[..8]),
        })
    }

    fn hash(&self, key: &[u8]) -> u64 {
        let mut hasher = DefaultHasher::new();
        hasher.write(&self.0.secret);
        hasher.write(key);
        hasher.write_usize(key.len());
        hasher.finish()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let inner = &self.admission.0;
        match self.held {
            Held::Connection { slot } => {
                if let Some(slot) = slot {
                    inner.addresses.leave(slot);
                }
                inner.open.fetch_sub(1, Ordering::Relaxed);
            }
            Held::User { slot } => inner.users.leave(slot),
            Held::Nothing => {}
        }
    }
}

impl Refused {
    /// The limit's name, as metrics and the log have it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Total => "total",
            Self::Address => "address",
            Self::User => "user",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(ip: &str) -> Address {
        Address::Tcp((ip.parse::<IpAddr>().unwrap(), 4711).into())
    }

    fn admission(connections: u64, per_address: u64, per_user: u64) -> Admission {
        Admission::new(&Limits {
            connections,
            connections_per_address: per_address,
            connections_per_user: per_user,
            ..Limits::default()
        })
        .unwrap()
    }

    #[test]
    fn addresses_are_what_one_customer_has() {
        let admission = admission(100, 1, 0);
        let open = |ip| admission.connection(&peer(ip));
        let one = open("192.0.2.1").unwrap();
        assert_eq!(open("192.0.2.1").unwrap_err(), Refused::Address);
        assert_eq!(open("::ffff:192.0.2.1").unwrap_err(), Refused::Address);
        let _two = open("192.0.2.2").unwrap();
        let _six = open("2001:db8:1:2::3").unwrap();
        assert_eq!(open("2001:db8:1:2:ffff::").unwrap_err(), Refused::Address);
        let _next = open("2001:db8:1:3::3").unwrap();
        assert_eq!(admission.open(), 4);
        drop(one);
        assert!(open("192.0.2.1").is_ok());
        assert_eq!(admission.open(), 3, "it was dropped at once");
    }

    #[test]
    fn the_trusted_have_the_total_alone() {
        let admission = admission(3, 1, 0);
        let places: Vec<_> = ["127.0.0.1", "127.0.0.1", "::1"]
            .map(|ip| admission.connection(&peer(ip)).unwrap())
            .into();
        let unix = Address::Unix("".into());
        assert_eq!(admission.connection(&unix).unwrap_err(), Refused::Total);
        drop(places);
        assert_eq!(admission.open(), 0);
        let _unix = [(); 3].map(|()| admission.connection(&unix).unwrap());
    }

    #[test]
    fn users_have_places_of_their_own() {
        let admission = admission(100, 0, 2);
        let user = |name: &str| admission.user(&UserId::parse(name.as_bytes()).unwrap());
        let first = user("alice").unwrap();
        let _second = user("alice").unwrap();
        assert_eq!(user("alice").unwrap_err(), Refused::User);
        assert!(user("bob").is_ok());
        drop(first);
        assert!(user("alice").is_ok());
    }

    #[test]
    fn delays_double_up_to_a_limit() {
        let admission = admission(100, 0, 0);
        let (eve, bob, home) = (peer("192.0.2.66"), peer("192.0.2.67"), peer("127.0.0.1"));
        let seconds = |peer: &Address, failures| admission.login_failed(peer, failures).as_secs();
        assert_eq!([1, 2, 3, 4, 5].map(|n| seconds(&home, n)), [1, 2, 4, 8, 15]);
        // Each a connection of its own.
        assert_eq!([1; 5].map(|n| seconds(&eve, n)), [1, 2, 4, 8, 15]);
        assert_eq!(seconds(&bob, 1), 1, "others don't wait for her");
        assert_eq!(seconds(&home, 1), 1, "nor do the trusted for one another");
        assert_eq!((0..300).map(|_| seconds(&eve, 1)).max(), Some(15));
        assert_eq!(seconds(&home, u32::MAX), 15);
    }
}
