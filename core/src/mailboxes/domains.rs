//! An admin's view of names where there are virtual domains: `user.bob.Sent@example.org`.
//!
//! A name of the default domain has no suffix, unless it has an '@' of its own: then the default
//! domain is named too, so that each name leads to one mailbox (Cyrus takes it so). The domain is
//! never translated, whatever the separator. An admin who is in a domain (`cyrus@example.org`) has
//! that domain's names alone, and means them where no domain is given.
//!
//! For LIST a name with its domain has no children: none begins as it ends. Above a name in another
//! domain than the default one no level is answered but `user`, since the levels of all domains
//! would be as many as there are names, in no order.

use super::name::{is_domain, local_at};
use super::namespace::{INBOX, OTHERS, Prefix, View, starts_level};
use super::visible::Part;
use super::{Identity, Name, NameError, Namespace, Pattern};

impl Namespace {
    /// Whether names have their domain in `who`'s view.
    pub(super) fn shows_domains_to(&self, who: &Identity) -> bool {
        who.admin && self.default_domain.is_some()
    }

    pub(super) fn internal_of_admin(
        &self,
        client: &[u8],
        who: &Identity,
    ) -> Result<Name, NameError> {
        let own = who.user.domain().unwrap_or_default().as_bytes();
        let (local, domain) = match memchr::memrchr(b'@', client) {
            Some(at) => (&client[..at], self.domain_named(&client[at + 1..])?),
            None => (client, own),
        };
        if !own.is_empty() && domain != own {
            return Err(NameError::OtherDomain);
        }
        let mut name = self.untranslated(local)?;
        let first = name.split(|byte| *byte == b'.').next().unwrap_or_default();
        if domain == own && first.eq_ignore_ascii_case(INBOX) {
            name.splice(..INBOX.len(), who.user.inbox().local().iter().copied());
        }
        if name == OTHERS {
            return Err(NameError::Reserved);
        }
        Name::parse_in(domain, &name)
    }

    /// A domain as names have it: the default one is "".
    fn domain_named<'d>(&self, domain: &'d [u8]) -> Result<&'d [u8], NameError> {
        if self
            .default_domain
            .is_some_and(|default| default.as_bytes() == domain)
        {
            return Ok(b"");
        }
        if is_domain(domain) {
            Ok(domain)
        } else {
            Err(NameError::BadDomain)
        }
    }

    pub(super) fn view_of_admin(&self, name: &[u8], who: &Identity) -> Option<View> {
        let cut = local_at(name);
        let (domain, local) = (&name[..cut.saturating_sub(1)], &name[cut..]);
        if who
            .user
            .domain()
            .is_some_and(|own| own.as_bytes() != domain)
        {
            return None;
        }
        let first = local.split(|byte| *byte == b'.').next().unwrap_or_default();
        if local == OTHERS || first.eq_ignore_ascii_case(INBOX) || local_at(local) > 0 {
            return None;
        }
        let shown = if !domain.is_empty() {
            is_domain(domain).then_some(domain)?
        } else if local.contains(&b'@') {
            self.default_domain?.as_bytes()
        } else {
            b""
        };
        let is_user = local.strip_prefix(OTHERS).is_some_and(starts_level);
        Some(View {
            part: if is_user {
                Part::Others
            } else {
                Part::SharedBefore
            },
            cut,
            prefix: Vec::new(),
            suffix: match shown {
                b"" => Vec::new(),
                domain => [b"@", domain].concat(),
            },
        })
    }

    /// What internal names of `part` begin with whose external names begin with `prefix`, and are in
    /// `domain` if that is known.
    pub(super) fn internal_prefix_of_admin(
        &self,
        part: Part,
        prefix: &[u8],
        domain: Option<&[u8]>,
        who: &Identity,
    ) -> Prefix {
        let own = who.user.domain_prefix();
        let of_whole_site = own.is_empty();
        let domain = match domain {
            // All domains are in this part, and each has names that begin so.
            None if of_whole_site && part == Part::SharedBefore => return Prefix::All,
            None => &own[..],
            Some(domain) if !of_whole_site && domain != own => return Prefix::Nothing,
            Some(domain) => domain,
        };
        let local = prefix
            .split(|byte| *byte == b'@')
            .next()
            .unwrap_or_default();
        let local = local.iter().map(|byte| self.to_internal(*byte));
        Prefix::Only(domain.iter().copied().chain(local).collect())
    }

    /// What the names of the domain begin with that a pattern is about; `None`: it may be any.
    pub(super) fn domain_of(&self, pattern: &Pattern, who: &Identity) -> Option<Vec<u8>> {
        if !self.shows_domains_to(who) {
            return None;
        }
        let end = pattern.literal_suffix();
        let domain = match memchr::memrchr(b'@', &end) {
            Some(at) => self.domain_named(&end[at + 1..]).ok()?,
            // Names with a domain have an '@', and the level above them is `user`.
            None if pattern.is_literal() && end != OTHERS => b"",
            None => return None,
        };
        Some(match domain {
            b"" => Vec::new(),
            domain => [domain, b"!"].concat(),
        })
    }
}
