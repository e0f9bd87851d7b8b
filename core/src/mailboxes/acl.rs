//! Rights and access control lists as Cyrus writes them (RFC 4314).
//!
//! An ACL is `identifier TAB rights TAB identifier TAB rights TAB …`. `-identifier` takes rights
//! away, whatever else grants them. Identifiers are user names, `anyone`, `anonymous` and
//! `group:NAME`. What an owner or an admin may do besides is added last and can't be taken away.

use std::fmt;

use super::{Groups, Name, UserId};

/// A set of rights: `lrswipkxtea`, `n` (annotations) and Cyrus' user rights `0` to `9`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Rights(u32);

impl Rights {
    /// No right.
    pub const NONE: Self = Self(0);
    /// `l`: the mailbox is visible to LIST.
    pub const LOOKUP: Self = Self::of('l');
    /// `r`: SELECT and STATUS.
    pub const READ: Self = Self::of('r');
    /// `s`: keep \Seen.
    pub const SEEN: Self = Self::of('s');
    /// `w`: other flags.
    pub const WRITE: Self = Self::of('w');
    /// `i`: APPEND and COPY into it.
    pub const INSERT: Self = Self::of('i');
    /// `p`: mail sent to it is accepted.
    pub const POST: Self = Self::of('p');
    /// `k`: CREATE below it.
    pub const CREATE: Self = Self::of('k');
    /// `x`: DELETE it.
    pub const DELETE_MAILBOX: Self = Self::of('x');
    /// `t`: set \Deleted.
    pub const DELETE_MESSAGES: Self = Self::of('t');
    /// `e`: EXPUNGE.
    pub const EXPUNGE: Self = Self::of('e');
    /// `a`: SETACL, GETACL, LISTRIGHTS.
    pub const ADMINISTER: Self = Self::of('a');
    /// What an owner has whatever the ACL says (Cyrus' implicit_owner_rights).
    pub const OWNER: Self = Self(
        Self::LOOKUP.0
            | Self::CREATE.0
            | Self::DELETE_MAILBOX.0
            | Self::ADMINISTER.0
            | Self::of('n').0,
    );
    /// What an admin has whatever the ACL says.
    pub const ADMIN: Self = Self(Self::LOOKUP.0 | Self::ADMINISTER.0);

    /// Cyrus' order, the legacy `c` and `d` among them.
    pub(super) const SHOWN: &'static str = "lrswipkxtecdan0123456789";
    const LETTERS: &'static str = "lrswipkxtean0123456789";

    const fn of(letter: char) -> Self {
        let letters = Self::LETTERS.as_bytes();
        let mut at = 0;
        while at < letters.len() {
            if letters[at] as char == letter {
                return Self(1 << at);
            }
            at += 1;
        }
        Self(0)
    }

    /// Reads a rights string; letters that mean nothing are passed over, as Cyrus does. The
    /// legacy `c` is `kx` and `d` is `te` (RFC 4314 section 2.1.1) where none of the two is named:
    /// beside one of them it is only how Cyrus shows that one to old clients.
    pub fn parse(text: &[u8]) -> Self {
        let (mut rights, mut legacy) = (Self::NONE, Self::NONE);
        for letter in text {
            match letter {
                b'c' => legacy = legacy | Self::CREATE | Self::DELETE_MAILBOX,
                b'd' => legacy = legacy | Self::DELETE_MESSAGES | Self::EXPUNGE,
                letter => rights = rights | Self::of(char::from(*letter)),
            }
        }
        if legacy == Self::NONE {
            return rights;
        }
        let pairs = [
            Self::CREATE | Self::DELETE_MAILBOX,
            Self::DELETE_MESSAGES | Self::EXPUNGE,
        ];
        let meant = pairs
            .into_iter()
            .filter(|pair| legacy.contains(*pair) && !rights.intersects(*pair));
        meant.fold(rights, |rights, pair| rights | pair)
    }

    /// Whether every right of `rights` is in here.
    pub fn contains(self, rights: Self) -> bool {
        self.0 & rights.0 == rights.0
    }

    /// Whether some right of `rights` is in here.
    pub fn intersects(self, rights: Self) -> bool {
        self.0 & rights.0 != 0
    }

    /// These rights without those.
    #[must_use]
    pub fn without(self, rights: Self) -> Self {
        Self(self.0 & !rights.0)
    }

    /// LISTRIGHTS (RFC 4314 section 3.7): what an identifier always has on `name`, which may be
    /// nothing, and the rights that may be given besides, one by one. `user` is whom the identifier
    /// means ([`super::Namespace::named_user`]).
    pub fn listed_for(
        name: &Name,
        user: Option<&UserId>,
    ) -> (Self, impl Iterator<Item = char> + use<>) {
        let always = if user.is_some_and(|user| name.is_owned_by(user)) {
            Self::OWNER
        } else if name.is_inbox() {
            Self::POST
        } else {
            Self::NONE
        };
        let shown = always.to_string();
        (
            always,
            Self::SHOWN
                .chars()
                .filter(move |letter| !shown.contains(*letter)),
        )
    }

    /// Whether a holder may learn that the mailbox exists (RFC 4314 section 6): without any of
    /// `lrikxa`, MYRIGHTS answers as for a name that isn't there.
    pub fn may_know(self) -> bool {
        let telling = Self::LOOKUP
            | Self::READ
            | Self::INSERT
            | Self::CREATE
            | Self::DELETE_MAILBOX
            | Self::ADMINISTER;
        self.intersects(telling)
    }
}

impl std::ops::BitOr for Rights {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// As Cyrus prints them: `lrswipkxtecdan`, the legacy `c` and `d` wherever half of theirs is.
impl fmt::Display for Rights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for letter in Self::SHOWN.chars() {
            let shown = match letter {
                'c' => self.intersects(Self::CREATE | Self::DELETE_MAILBOX),
                'd' => self.intersects(Self::DELETE_MESSAGES | Self::EXPUNGE),
                letter => self.contains(Self::of(letter)),
            };
            if shown {
                write!(f, "{letter}")?;
            }
        }
        Ok(())
    }
}

/// An access control list, kept as MUPDATE carries it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Acl(Box<[u8]>);

impl Acl {
    /// Takes an ACL as it is; what can't be read in it grants nothing.
    pub fn new(acl: &[u8]) -> Self {
        Self(acl.into())
    }

    /// The bytes as they came.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Identifier (with its `-`, if it takes away) and rights string of each entry, as GETACL
    /// gives them. An entry without its closing tab doesn't count.
    pub fn entries(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        entries(&self.0)
    }

    /// What the ACL alone gives to `identity`.
    pub fn rights(&self, identity: &Identity) -> Rights {
        rights_in(&self.0, identity)
    }

    /// What `identity` may do with the mailbox `name` that has this ACL.
    pub fn rights_on(&self, name: &Name, identity: &Identity) -> Rights {
        self.rights(identity) | identity.implicit_rights(name)
    }
}

/// Who asks: a user, with the groups and the admin status found at login.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The user.
    pub user: UserId,
    /// Whether the user is one of the site's admins.
    pub admin: bool,
    /// The groups the user is in, without `group:`.
    pub groups: Vec<String>,
}

impl Identity {
    /// A user with what the groups file says of them.
    pub fn new(user: UserId, admin: bool, groups: &Groups) -> Self {
        let groups = groups.of(&user);
        Self {
            user,
            admin,
            groups,
        }
    }

    /// Whether this is an admin, and of this name.
    #[must_use]
    pub fn administers(&self, name: &Name) -> bool {
        self.admin && self.reaches(name)
    }

    /// What `identity` may do with `name` whatever its ACL says.
    pub fn implicit_rights(&self, name: &Name) -> Rights {
        match (self.admin, name.is_owned_by(&self.user)) {
            (true, _) if self.reaches(name) => Rights::ADMIN,
            (false, true) => Rights::OWNER,
            (_, _) => Rights::NONE,
        }
    }

    /// Whether an admin is one of this name's: of all names, or of those in the admin's domain.
    fn reaches(&self, name: &Name) -> bool {
        let domain = self.user.domain().map(str::as_bytes);
        domain.is_none_or(|domain| domain == name.domain())
    }

    /// Whether an ACL's identifier (without `-`) means this identity, among others.
    fn is_meant_by(&self, identifier: &[u8]) -> bool {
        identifier == self.user.as_str().as_bytes()
            || identifier == b"anyone"
            || identifier
                .strip_prefix(b"group:")
                .is_some_and(|group| self.groups.iter().any(|mine| mine.as_bytes() == group))
    }

    /// Every identifier that means this identity.
    pub(super) fn identifiers(&self) -> impl Iterator<Item = Vec<u8>> {
        let own = [self.user.as_str().as_bytes().to_vec(), b"anyone".to_vec()];
        own.into_iter().chain(
            self.groups
                .iter()
                .map(|group| format!("group:{group}").into_bytes()),
        )
    }
}

pub(super) fn entries(acl: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    let mut fields = acl.split(|byte| *byte == b'\t');
    let mut identifier = fields.next();
    let mut rights = fields.next();
    std::iter::from_fn(move || {
        // A field counts if a tab follows it: so there is always one more after it.
        let next = fields.next()?;
        let entry = (identifier?, rights?);
        (identifier, rights) = (Some(next), fields.next());
        Some(entry)
    })
}

pub(super) fn rights_in(acl: &[u8], identity: &Identity) -> Rights {
    let (mut granted, mut taken) = (Rights::NONE, Rights::NONE);
    for (identifier, rights) in entries(acl) {
        match identifier.strip_prefix(b"-") {
            Some(identifier) if identity.is_meant_by(identifier) => {
                taken = taken | Rights::parse(rights);
            }
            None if identity.is_meant_by(identifier) => granted = granted | Rights::parse(rights),
            _ => {}
        }
    }
    granted.without(taken)
}
