//! An invented site: ten mailboxes a user, in the order in which a master sends them.
//!
//! A user sees twenty: their own ten, and one of each of the ten users before them. Besides there are readers
//! who see a hundred, a thousand … mailboxes, evenly spread.

use ravenry_core::mailboxes::{
    Acl, Change, Groups, Identity, ListQuery, Location, Name, Namespace, UserId,
};

/// Mailboxes of one user.
pub const PER_USER: u64 = 10;
/// Users who see one mailbox of a user's.
const SHARED_WITH: u64 = 10;
/// The folder that others see.
const SHARED: u64 = 5;
/// The folder of which readers see some.
const FOR_READERS: u64 = 1;
/// Readers by how many mailboxes they see.
const READERS: [u64; 4] = [100, 1_000, 10_000, 100_000];
const BACKENDS: u64 = 7;

/// So many mailboxes; a multiple of ten.
#[derive(Clone, Copy, Debug)]
pub struct Site {
    /// How many.
    pub names: u64,
}

impl Site {
    /// How many users.
    #[must_use]
    pub fn users(self) -> u64 {
        self.names / PER_USER
    }

    /// A user's name.
    #[must_use]
    pub fn user(self, number: u64) -> String {
        format!("u{number:07}")
    }

    /// A mailbox's name: `user.u0000001`, `user.u0000001.folder2` …
    #[must_use]
    pub fn name(self, number: u64) -> String {
        let (user, folder) = (self.user(number / PER_USER), number % PER_USER);
        match folder {
            0 => format!("user.{user}"),
            _ => format!("user.{user}.folder{folder}"),
        }
    }

    /// The readers that there are room for, by how much they see.
    pub fn readers(self) -> impl Iterator<Item = u64> {
        READERS
            .into_iter()
            .filter(move |sees| sees * PER_USER <= self.names)
    }

    /// Where it lives.
    #[must_use]
    pub fn location(self, number: u64) -> String {
        format!(
            "backend{}.murder.test!default",
            number / PER_USER % BACKENDS + 1
        )
    }

    /// Who may do what.
    #[must_use]
    pub fn acl(self, number: u64) -> String {
        let owner = number / PER_USER;
        let mut acl = format!(
            "{}\tlrswipkxtecdan\tcyrus\tlrswipkxtecda\t",
            self.user(owner)
        );
        if number % PER_USER == SHARED {
            for other in 1..=SHARED_WITH {
                let other = self.user((owner + other) % self.users());
                acl += &format!("{other}\tlrs\t");
            }
        }
        for reader in self.readers() {
            if number % (self.names / reader) == FOR_READERS {
                acl += &format!("reader{reader}\tlrs\t");
            }
        }
        acl
    }

    /// The mailbox as the follower hands it to the list.
    #[must_use]
    pub fn change(self, number: u64) -> Change {
        Change::Active {
            name: self.parsed(number),
            location: Location::parse(self.location(number).as_bytes()),
            acl: Acl::new(self.acl(number).as_bytes()),
        }
    }

    /// The name as the list has it.
    #[must_use]
    pub fn parsed(self, number: u64) -> Name {
        Name::from_mupdate(self.name(number).as_bytes()).expect("a name")
    }

    /// A MAILBOX response as a Cyrus master writes it.
    pub fn write_mupdate(self, number: u64, into: &mut Vec<u8>) {
        let mut part = |text: &str, end: &str| {
            into.extend_from_slice(format!("{{{}+}}\r\n{text}{end}", text.len()).as_bytes());
        };
        part(&self.name(number), " ");
        part(&self.location(number), " ");
        part(&self.acl(number), "\r\n");
    }
}

/// `LIST "" pattern` of a user.
#[must_use]
pub fn query(user: &str, admin: bool, pattern: &[u8]) -> ListQuery {
    let user = UserId::parse(user.as_bytes()).expect("a user");
    let identity = Identity::new(user, admin, &Groups::default());
    let namespace = Namespace {
        separator: b'.',
        alt: false,
        default_domain: None,
    };
    ListQuery::new(identity, namespace, b"", &[pattern]).expect("a query")
}
