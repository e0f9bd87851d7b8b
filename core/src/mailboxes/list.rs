//! LIST: the names that match, as a client sees them, a bounded piece at a time.
//!
//! The order is the identity's own mailboxes, other users', shared ones; in each a mailbox comes
//! before what is below it. So whether a name has children shows at the next name, which is
//! why one name is always held back; and a level at which no mailbox is (or none
//! that the identity sees) shows when the first name below it comes by.
//!
//! Where no name can match that begins like the one at hand, the walk goes on behind all of them.
//! A name that an admin sees with its domain stands for itself: nothing is below it.

use smallvec::SmallVec;

use super::name::key_of;
use super::namespace::{OTHERS, Prefix};
use super::pattern::Run;
use super::reader::ListReader;
use super::tables::successor;
use super::utf7::{utf7_pattern, utf8_of};
use super::visible::{Part, Visible};
use super::walk::Walk;
use super::{
    Identity, ListError, Location, Name, NameError, Namespace, Pattern, PatternTooLong, Rights,
};

/// What a client asked for, for one identity.
#[derive(Clone, Debug)]
pub struct ListQuery {
    identity: Identity,
    namespace: Namespace,
    patterns: Vec<Pattern>,
    /// The same in UTF-8, where `patterns` match more than was asked for.
    exact: Vec<Pattern>,
    /// What every match begins with.
    prefix: Vec<u8>,
    /// What the internal names of all matches begin with: a domain, where an admin named one.
    domain: Option<Vec<u8>>,
}

/// How far a LIST has come. It holds no transaction: changes in between may show or not.
#[derive(Clone, Debug)]
pub struct ListCursor<M = ListedMailbox> {
    part: usize,
    from: Vec<u8>,
    last: Vec<u8>,
    pending: Option<Listed<M>>,
    /// Whether `user` has been answered to somebody who sees domains.
    told_users: bool,
}

impl<M> Default for ListCursor<M> {
    fn default() -> Self {
        Self {
            part: 0,
            from: Vec::new(),
            last: Vec::new(),
            pending: None,
            told_users: false,
        }
    }
}

/// A line of LIST's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed<M = ListedMailbox> {
    /// The name as the client sees it, not yet encoded for the wire.
    pub name: Vec<u8>,
    /// \HasChildren or \HasNoChildren: whether the identity sees a mailbox below it.
    pub has_children: bool,
    /// The mailbox; `None` for a level without one: \Noselect.
    pub mailbox: Option<M>,
}

/// The mailbox behind a line, as the mailbox list has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedMailbox {
    /// Its internal name.
    pub name: Name,
    /// Where it lives.
    pub location: Location,
    /// What the identity may do with it.
    pub rights: Rights,
}

/// Whether a LIST is through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// There may be more: call again with the same cursor.
    More,
    /// That was all.
    Done,
}

impl ListQuery {
    /// Prepares `LIST reference pattern` (or several patterns, RFC 5258), as the client gave
    /// them. `LIST "" ""` is none of this: it is answered with [`Namespace::delimiter`].
    pub fn new(
        identity: Identity,
        namespace: Namespace,
        reference: &[u8],
        patterns: &[&[u8]],
    ) -> Result<Self, PatternTooLong> {
        let delimiter = namespace.delimiter();
        let patterns = patterns
            .iter()
            .map(|pattern| Pattern::new(&interpreted(reference, pattern, delimiter), delimiter))
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Self::compiled(identity, namespace, patterns))
    }

    /// The same from a client that writes names in UTF-8 (RFC 6855 section 3). What is found is in modified UTF-7
    /// nevertheless, as all names are.
    ///
    /// # Errors
    /// If it isn't UTF-8, or a pattern is too long.
    pub fn in_utf8(
        identity: Identity,
        namespace: Namespace,
        reference: &[u8],
        patterns: &[&[u8]],
    ) -> Result<Self, NameError> {
        let delimiter = namespace.delimiter();
        let too_long = |_: PatternTooLong| NameError::TooLong;
        let (mut found, mut exact, mut all_exact) = (Vec::new(), Vec::new(), true);
        for pattern in patterns {
            let pattern = interpreted(reference, pattern, delimiter);
            let (utf7, is_exact) = utf7_pattern(&pattern)?;
            found.push(Pattern::new(&utf7, delimiter).map_err(too_long)?);
            exact.push(Pattern::new(&pattern, delimiter).map_err(too_long)?);
            all_exact &= is_exact;
        }
        let mut query = Self::compiled(identity, namespace, found);
        if !all_exact {
            query.exact = exact;
        }
        Ok(query)
    }

    fn compiled(identity: Identity, namespace: Namespace, patterns: Vec<Pattern>) -> Self {
        let prefix = patterns
            .iter()
            .map(Pattern::literal_prefix)
            .reduce(|a, b| a[..common(&a, &b)].to_vec())
            .unwrap_or_default();
        let mut domains = patterns
            .iter()
            .map(|pattern| namespace.domain_of(pattern, &identity));
        let first = domains.next().flatten();
        let domain = first.filter(|first| domains.all(|other| other.as_ref() == Some(first)));
        Self {
            identity,
            namespace,
            patterns,
            exact: Vec::new(),
            prefix,
            domain,
        }
    }

    /// Prepares a LIST of what is below a name, which is given as the client sees it.
    #[must_use]
    pub fn below(identity: Identity, namespace: Namespace, external: &[u8]) -> Self {
        let delimiter = namespace.delimiter();
        let prefix = [external, &[delimiter]].concat();
        Self {
            identity,
            namespace,
            patterns: vec![Pattern::beginning(&prefix, delimiter)],
            exact: Vec::new(),
            prefix,
            domain: None,
        }
    }

    /// Whether a name is asked for: it as the client sees it, if so. For a mailbox that isn't in
    /// the list yet.
    pub fn matching(&self, name: &Name) -> Option<Vec<u8>> {
        let external = self.namespace.external(name, &self.identity)?;
        self.matches(&external).then_some(external)
    }

    /// Whether a name as the client sees it is asked for.
    pub fn matches(&self, external: &[u8]) -> bool {
        let matches = |pattern: &Pattern| pattern.matches(external);
        self.patterns.iter().any(matches) && self.shows(external)
    }

    /// Whether a name that the patterns match is one that was asked for.
    fn shows(&self, external: &[u8]) -> bool {
        if self.exact.is_empty() {
            return true;
        }
        let shown = utf8_of(external);
        self.exact.iter().any(|pattern| pattern.matches(&shown))
    }
}

/// The name that a LIST means: reference and pattern put together, `INBOX` written as the list has it.
fn interpreted(reference: &[u8], pattern: &[u8], delimiter: u8) -> Vec<u8> {
    let mut both = reference.to_vec();
    if reference.last() == Some(&delimiter) && pattern.first() == Some(&delimiter) {
        both.pop();
    }
    both.extend_from_slice(pattern);
    let first = both.split_mut(|byte| *byte == delimiter).next();
    if let Some(first) = first.filter(|first| first.eq_ignore_ascii_case(b"INBOX")) {
        first.make_ascii_uppercase();
    }
    both
}

impl ListReader {
    /// [`ListQuery::chunk`] of the mailbox list.
    pub fn list_chunk(
        &self,
        query: &ListQuery,
        cursor: &mut ListCursor,
        lines_max: usize,
        sink: impl FnMut(Listed),
    ) -> Result<Progress, ListError> {
        let reading = self.store.read()?;
        if !self.meta(&reading)?.complete {
            return Err(ListError::Incomplete);
        }
        let open = |part, from: &[u8], end: Option<&[u8]>| {
            Visible::new(self, &reading, &query.identity, part, from, end)
        };
        query.chunk(cursor, lines_max, open, sink)
    }
}

impl ListQuery {
    /// Gives `sink` the next lines, about `lines_max` of them unless it is done or
    /// has looked at enough names for one turn (there may be none). Call it until
    /// [`Progress::Done`]; nothing is held in between but the cursor. `open` begins a walk over the
    /// keys of a part, from the first to before the second.
    ///
    /// # Errors
    /// If a walk can't go on.
    pub fn chunk<W: Walk>(
        &self,
        cursor: &mut ListCursor<W::Mailbox>,
        lines_max: usize,
        mut open: impl FnMut(Part, &[u8], Option<&[u8]>) -> Result<W, W::Error>,
        mut sink: impl FnMut(Listed<W::Mailbox>),
    ) -> Result<Progress, W::Error> {
        let mut sink = |line: Listed<W::Mailbox>| {
            if self.shows(&line.name) {
                sink(line);
            }
        };
        let mut looked_at = 0;
        while let Some(part) = Part::ALL.get(cursor.part) {
            let Some((from, end)) = self.range(*part) else {
                cursor.next_part();
                continue;
            };
            let from = from.max(std::mem::take(&mut cursor.from));
            let Some((from, end)) = part.between(&self.identity, &from, end.as_deref()) else {
                cursor.next_part();
                continue;
            };
            let mut names = open(*part, &from, end.as_deref())?;
            let mut lines = 0;
            let mut dead: Option<Vec<u8>> = None;
            while names.next()? {
                if lines >= lines_max || looked_at >= LOOKED_AT_MAX {
                    cursor.from = names.key().to_vec();
                    return Ok(Progress::More);
                }
                looked_at += 1;
                if let Some(dead) = dead.take().filter(|dead| names.key().starts_with(dead)) {
                    match successor(&dead) {
                        Some(next) => names.seek(&next)?,
                        None => break,
                    }
                } else if let Some(seen) = names.seen()? {
                    let mut line = |line| {
                        lines += 1;
                        sink(line);
                    };
                    dead = self.step::<W>(cursor, *part, seen, &mut line);
                }
            }
            cursor.next_part();
        }
        if let Some(last) = cursor.pending.take() {
            sink(last);
        }
        Ok(Progress::Done)
    }
}

impl ListQuery {
    /// The keys of `part` that may match; `None` if none may.
    fn range(&self, part: Part) -> Option<(Vec<u8>, Option<Vec<u8>>)> {
        let (namespace, who) = (&self.namespace, &self.identity);
        let prefix = if namespace.shows_domains_to(who) {
            let domain = self.domain.as_deref();
            namespace.internal_prefix_of_admin(part, &self.prefix, domain, who)
        } else {
            namespace.internal_prefix(part, &self.prefix, who)
        };
        let start = match prefix {
            Prefix::All => return Some((Vec::new(), None)),
            Prefix::Nothing => return None,
            Prefix::Only(start) => key_of(&start),
        };
        let end = successor(&start);
        Some((start, end))
    }

    /// Takes the next name that the identity sees. Answers the keys among which no other name
    /// can match, by what they begin with.
    fn step<W: Walk>(
        &self,
        cursor: &mut ListCursor<W::Mailbox>,
        part: Part,
        (name, seen): (Name, W::Seen),
        sink: &mut impl FnMut(Listed<W::Mailbox>),
    ) -> Option<Vec<u8>> {
        let view = self.namespace.view(name.as_bytes(), &self.identity)?;
        let mut external = Vec::new();
        if part.is_own() && part != view.part {
            return None;
        }
        if !view.write(&self.namespace, name.as_bytes(), &mut external) {
            return None;
        }
        let delimiter = self.namespace.delimiter();
        let found = self.matched(&external, delimiter);
        let dead = found
            .dead_after
            .and_then(|len| view.shared_key(name.as_bytes(), len));
        let sees_domains = self.namespace.shows_domains_to(&self.identity);
        if sees_domains {
            self.tell_users(cursor, &external, sink);
        }
        let mailbox = found.whole.then(|| W::mailbox(name, seen));
        let is_below = |pending: &Listed<W::Mailbox>| {
            is_level(&external, pending.name.len(), delimiter)
                && external.starts_with(&pending.name)
                && !(sees_domains && pending.name.contains(&b'@'))
        };
        if sees_domains && view.cut > 0 {
            mailbox
                .into_iter()
                .for_each(|it| sink(Listed::leaf(external.clone(), it)));
            return dead;
        }
        if let Some(mut pending) = cursor.pending.take() {
            pending.has_children = is_below(&pending);
            sink(pending);
        }
        let known = common(&cursor.last, &external);
        let local_len = external.len() - view.suffix.len();
        for end in found.levels.into_iter().filter(|end| *end < local_len) {
            let is_new = end > known
                || (cursor.last.len() != end && !is_level(&cursor.last, end, delimiter));
            if is_new && !(sees_domains && external[..end] == *OTHERS) {
                sink(Listed::level(&external[..end]));
            }
        }
        cursor.last.clone_from(&external);
        cursor.pending = mailbox.map(|mailbox| Listed::leaf(external, mailbox));
        dead
    }

    /// Answers `user` as a level, once: it is above names in all domains.
    fn tell_users<M>(
        &self,
        cursor: &mut ListCursor<M>,
        external: &[u8],
        sink: &mut impl FnMut(Listed<M>),
    ) {
        let is_below = external.starts_with(OTHERS)
            && is_level(external, OTHERS.len(), self.namespace.delimiter());
        let wanted = |pattern: &Pattern| pattern.wants_parents() && pattern.matches(OTHERS);
        if is_below && !cursor.told_users && self.patterns.iter().any(wanted) {
            cursor.told_users = true;
            sink(Listed::level(OTHERS));
        }
    }

    fn matched(&self, external: &[u8], delimiter: u8) -> Matched {
        let mut matched = Matched {
            whole: false,
            levels: SmallVec::new(),
            dead_after: Some(0),
        };
        for pattern in &self.patterns {
            let mut run = Run::new(pattern);
            let mut dead_after = None;
            for (at, byte) in external.iter().enumerate() {
                if *byte == delimiter && pattern.wants_parents() && run.accepts() {
                    matched.levels.push(at);
                }
                if !run.feed(*byte) {
                    dead_after = Some(at + 1);
                    break;
                }
            }
            matched.whole |= dead_after.is_none() && run.accepts();
            matched.dead_after = matched.dead_after.zip(dead_after).map(|(a, b)| a.max(b));
        }
        matched.levels.sort_unstable();
        matched.levels.dedup();
        matched
    }
}

impl<M> Listed<M> {
    fn level(name: &[u8]) -> Self {
        Self {
            name: name.to_vec(),
            has_children: true,
            mailbox: None,
        }
    }

    /// A mailbox, as long as nothing is known to be below it.
    fn leaf(name: Vec<u8>, mailbox: M) -> Self {
        Self {
            name,
            has_children: false,
            mailbox: Some(mailbox),
        }
    }
}

impl<M> ListCursor<M> {
    fn next_part(&mut self) {
        self.part += 1;
        self.from.clear();
    }
}

/// How the patterns and a name met.
struct Matched {
    whole: bool,
    /// Where levels end that match themselves.
    levels: SmallVec<[usize; 8]>,
    /// How much of the name it takes to tell that nothing that begins so can match.
    dead_after: Option<usize>,
}

fn common(a: &[u8], b: &[u8]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}

/// Whether a level of `name` ends at `end`, and another follows.
fn is_level(name: &[u8], end: usize, delimiter: u8) -> bool {
    name.get(end) == Some(&delimiter)
}

/// The most names that one call looks at.
const LOOKED_AT_MAX: usize = 4000;
