//! A client's view of the mailbox it has selected, from what it is told and nothing else (RFC 3501 section 5.2).

/// A message as a client knows it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    pub(crate) uid: Option<u32>,
    /// Without \Recent, in order.
    pub(crate) flags: Option<Vec<String>>,
}

/// A selected mailbox.
#[derive(Debug)]
pub(crate) struct View {
    /// Its internal name.
    pub(crate) mailbox: String,
    pub(crate) read_only: bool,
    /// Which selection it is, of all in the run.
    pub(crate) number: u64,
    pub(crate) messages: Vec<Seen>,
    /// UIDs that were told as \Recent.
    pub(crate) recent: Vec<u32>,
}

impl View {
    pub(crate) fn new(mailbox: &str, read_only: bool, number: u64) -> Self {
        Self {
            mailbox: mailbox.to_owned(),
            read_only,
            number,
            messages: Vec::new(),
            recent: Vec::new(),
        }
    }

    /// An untagged response; `expunges`: EXPUNGE may come now. Gives what is wrong with it.
    pub(crate) fn told(&mut self, line: &[u8], expunges: bool) -> Option<String> {
        let text = String::from_utf8_lossy(line);
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
