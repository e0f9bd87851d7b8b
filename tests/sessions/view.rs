//! A client's view of the mailbox it has selected, from what it is told and nothing else (RFC 3501 section 5.2).

use std::collections::BTreeMap;

use ravenry_core::proto::imap::Uids;

/// A message as a client knows it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    pub(crate) uid: Option<u32>,
    /// Without \Recent, in order.
    pub(crate) flags: Option<Vec<String>>,
    /// The last modseq that was told of it.
    pub(crate) modseq: Option<u64>,
}

/// A selected mailbox.
#[derive(Debug)]
pub(crate) struct View {
    /// What it is called here.
    pub(crate) mailbox: String,
    pub(crate) read_only: bool,
    /// Which selection it is, of all in the run.
    pub(crate) number: u64,
    pub(crate) messages: Vec<Seen>,
    /// UIDs that were told as \Recent.
    pub(crate) recent: Vec<u32>,
    /// What it has from before, and isn't told to be gone.
    pub(crate) cached: BTreeMap<u32, Option<Vec<String>>>,
    /// The highest modseq of a FETCH response since the last command.
    pub(crate) modseq: u64,
}

/// What a client keeps of a mailbox from one connection to the next, to come back with it (RFC 7162 section 3.2.5).
#[derive(Clone, Debug)]
pub(crate) struct Cache {
    pub(crate) uidvalidity: u32,
    /// Whatever changed up to it is known.
    pub(crate) modseq: u64,
    pub(crate) messages: BTreeMap<u32, Option<Vec<String>>>,
}

impl View {
    pub(crate) fn new(mailbox: &str, read_only: bool, number: u64) -> Self {
        Self {
            mailbox: mailbox.to_owned(),
            read_only,
            number,
            messages: Vec::new(),
            recent: Vec::new(),
            cached: BTreeMap::new(),
            modseq: 0,
        }
    }

    /// An untagged response; `expunges`: EXPUNGE may come now. Gives what is wrong with it.
    pub(crate) fn told(&mut self, line: &[u8], expunges: bool) -> Option<String> {
        let text = String::from_utf8_lossy(line);
        if let Some(told) = text.strip_prefix("* VANISHED ") {
            return self.vanished(told.trim_end(), expunges);
        }
        let mut words = text.split([' ', '\r']).skip(1);
        let number: usize = words.next()?.parse().ok()?;
        match words.next()? {
            "EXISTS" if number < self.messages.len() => {
                return Some(format!("EXISTS {number} behind {}", self.messages.len()));
            }
            "EXISTS" => self.messages.resize(number, Seen::default()),
            "EXPUNGE" if !expunges => return Some("EXPUNGE where numbers are in use".to_owned()),
            "EXPUNGE" if number == 0 || number > self.messages.len() => {
                return Some(format!("EXPUNGE {number} of {}", self.messages.len()));
            }
            "EXPUNGE" => drop(self.messages.remove(number - 1)),
            "FETCH" => return self.fetched(number, &text),
            _ => {}
        }
        None
    }

    fn vanished(&mut self, told: &str, expunges: bool) -> Option<String> {
        let set = told.strip_prefix("(EARLIER) ");
        let Some(uids) = Uids::parse(set.unwrap_or(told).as_bytes()) else {
            return Some(format!("VANISHED {told}"));
        };
        if set.is_some() {
            self.cached.retain(|uid, _| !uids.has(*uid));
            return None;
        }
        if !expunges {
            return Some("VANISHED where numbers are in use".to_owned());
        }
        for uid in uids.iter() {
            // One that it knows only to be there stands behind those of lower UIDs.
            let lower = |seen: &Seen| seen.uid.is_some_and(|known| known < uid);
            let known = self.messages.iter().position(|seen| seen.uid == Some(uid));
            let behind = || self.messages.iter().rposition(lower).map_or(0, |at| at + 1);
            let at = known.unwrap_or_else(behind);
            let found = self.messages.get(at).map(|seen| seen.uid.unwrap_or(uid));
            if found != Some(uid) {
                return Some(format!("VANISHED {uid}, which wasn't there"));
            }
            self.messages.remove(at);
        }
        None
    }

    /// What it has from before is the beginning of what there is. Gives what is wrong with that.
    pub(crate) fn recall(&mut self) -> Option<String> {
        let cached = std::mem::take(&mut self.cached);
        if cached.len() > self.messages.len() {
            return Some(format!(
                "{} messages, after {cached:?}",
                self.messages.len()
            ));
        }
        for (seen, (uid, flags)) in self.messages.iter_mut().zip(cached) {
            if seen.uid.is_some_and(|told| told != uid) {
                return Some(format!("UID {:?} where it has {uid}", seen.uid));
            }
            seen.uid = Some(uid);
            seen.flags = seen.flags.take().or(flags);
        }
        None
    }

    /// What it keeps.
    pub(crate) fn messages(&self) -> BTreeMap<u32, Option<Vec<String>>> {
        // Behind one whose UID isn't known it doesn't know how many there are.
        let known = self.messages.iter();
        known
            .map_while(|seen| Some((seen.uid?, seen.flags.clone())))
            .collect()
    }

    fn fetched(&mut self, number: usize, text: &str) -> Option<String> {
        let Some(seen) = number
            .checked_sub(1)
            .and_then(|at| self.messages.get_mut(at))
        else {
            return Some(format!("FETCH {number} of {}", self.messages.len()));
        };
        let uid = between(text, "UID ", [' ', ')']).and_then(|uid| uid.parse().ok());
        if let (Some(known), Some(uid)) = (seen.uid, uid)
            && known != uid
        {
            return Some(format!("number {number} is UID {uid}, and was {known}"));
        }
        seen.uid = uid.or(seen.uid);
        if let Some(modseq) = between(text, "MODSEQ (", [')', ')']) {
            let modseq = modseq.parse().unwrap_or(0);
            if seen.modseq.is_some_and(|known| known > modseq) {
                return Some(format!(
                    "MODSEQ {modseq} of {number}, after {:?}",
                    seen.modseq
                ));
            }
            seen.modseq = Some(modseq);
            self.modseq = self.modseq.max(modseq);
        }
        if let Some(list) = between(text, "FLAGS (", [')', ')']) {
            let mut flags: Vec<String> = list.split_whitespace().map(str::to_owned).collect();
            flags.sort_unstable();
            let recent = flags.iter().any(|flag| flag == "\\Recent");
            flags.retain(|flag| flag != "\\Recent");
            seen.flags = Some(flags);
            if let (true, Some(uid)) = (recent, seen.uid) {
                self.recent.push(uid);
            }
        }
        None
    }

    /// The UIDs of these numbers.
    pub(crate) fn uids_of(&self, numbers: &Uids) -> Vec<u32> {
        let at = |number: u32| usize::try_from(number).ok()?.checked_sub(1);
        let seen = numbers
            .iter()
            .filter_map(|number| self.messages.get(at(number)?));
        seen.filter_map(|seen| seen.uid).collect()
    }

    /// UIDs and flags, as far as they are known to be there.
    pub(crate) fn uids(&self) -> Vec<u32> {
        self.messages.iter().filter_map(|seen| seen.uid).collect()
    }
}

fn between<'t>(text: &'t str, before: &str, ends: [char; 2]) -> Option<&'t str> {
    let from = text.find(before)? + before.len();
    let len = text[from..].find(ends)?;
    Some(&text[from..from + len])
}
