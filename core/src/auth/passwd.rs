//! The passwd file: `user:{SCHEME}hash` lines, comments, blank lines.
//!
//! Asking about a user who isn't there costs what a wrong password costs: the question is put to
//! the entry of some other user, always the same one for the same name, so that names can't be
//! probed by the clock and the mix of schemes in the file doesn't matter.

use std::fmt;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::scheme::Scheme;
use crate::limits;
use crate::mailboxes::UserId;
use crate::proto::sasl::Secret;

/// Users and what the file has for them, sorted by name.
#[derive(Debug, Default)]
pub struct Passwd {
    entries: Vec<(Box<[u8]>, Scheme)>,
}

/// Why the file can't be used.
#[derive(Debug)]
pub struct PasswdError {
    path: PathBuf,
    problems: Vec<String>,
}

impl PasswdError {
    pub(super) fn new(path: &Path, problems: Vec<String>) -> Self {
        Self {
            path: path.to_path_buf(),
            problems,
        }
    }
}

impl Passwd {
    /// Reads the file. Any line that is wrong is an error: a user who silently can't log in is
    /// worse than a start that fails.
    pub fn load(path: &Path) -> Result<Self, PasswdError> {
        let error = |problems| PasswdError::new(path, problems);
        let bytes = read(path).map_err(|why| error(vec![why]))?;
        let bytes = Secret::new(bytes);
        Self::parse(bytes.expose()).map_err(error)
    }

    /// The error has a text for each line that is wrong, the first hundred of them.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, Vec<String>> {
        let mut entries = Vec::new();
        let mut problems = Vec::new();
        for (i, line) in bytes.split(|b| *b == b'\n').enumerate() {
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            if line.trim_ascii().is_empty() || line.starts_with(b"#") {
                continue;
            }
            match parse_line(line) {
                Ok((user, scheme)) => entries.push((user, scheme, i + 1)),
                Err(why) => problems.push((i + 1, why)),
            }
        }
        entries.sort_by(|(a, _, i), (b, _, j)| (a, i).cmp(&(b, j)));
        for pair in entries.windows(2) {
            if let [(a, _, first), (b, _, second)] = pair
                && a == b
            {
                problems.push((*second, format!("this user is on line {first} already")));
            }
        }
        if !problems.is_empty() {
            problems.sort();
            let shown = problems.iter().take(100);
            return Err(shown
                .map(|(line, why)| format!("line {line}: {why}"))
                .collect());
        }
        let entries = entries
            .into_iter()
            .map(|(user, scheme, _)| (user, scheme))
            .collect();
        Ok(Self { entries })
    }

    /// How many users there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Their names, sorted.
    pub fn names(&self) -> impl Iterator<Item = &[u8]> {
        self.entries.iter().map(|(name, _)| &**name)
    }

    /// Whether there is nobody.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(super) fn knows(&self, user: &[u8]) -> bool {
        self.find(user).is_ok()
    }

    /// Whether [`Self::verify`] of this user takes microseconds at most, and needs no pool.
    pub(super) fn is_cheap(&self, user: &[u8]) -> bool {
        self.entry(user).is_none_or(|(scheme, _)| scheme.is_cheap())
    }

    /// Whether this user has this password.
    pub(super) fn verify(&self, user: &[u8], password: &Secret) -> bool {
        self.entry(user)
            .is_some_and(|(scheme, known)| scheme.verify(password) & known)
    }

    /// The user's entry, or that of a stand-in, and whether it is the user's. `None`: an empty
    /// file.
    fn entry(&self, user: &[u8]) -> Option<(&Scheme, bool)> {
        let (index, known) = match self.find(user) {
            Ok(index) => (index, true),
            Err(_) => (stand_in(user, self.entries.len())?, false),
        };
        self.entries.get(index).map(|(_, scheme)| (scheme, known))
    }

    fn find(&self, user: &[u8]) -> Result<usize, usize> {
        self.entries
            .binary_search_by(|(name, _)| name.as_ref().cmp(user))
    }
}

/// Which entry stands in for a user who isn't there: FNV-1a over the name, its bits stirred once
/// more so that names that end alike spread.
fn stand_in(user: &[u8], entries: usize) -> Option<usize> {
    let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    let hash = user.iter().fold(0xcbf2_9ce4_8422_2325, step);
    let hash = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    usize::try_from((hash >> 33).checked_rem(entries as u64)?).ok()
}

fn parse_line(line: &[u8]) -> Result<(Box<[u8]>, Scheme), String> {
    let text = std::str::from_utf8(line).map_err(|_| "not UTF-8")?;
    if text.contains('\0') {
        return Err("has a NUL in it".to_owned());
    }
    let (user, entry) = text.split_once(':').ok_or("wants user:{SCHEME}hash")?;
    UserId::parse(user.as_bytes()).map_err(|why| format!("no user name: {why}"))?;
    Ok((user.as_bytes().into(), Scheme::parse(entry)?))
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    let file = std::fs::File::open(path).map_err(|e| format!("can't be opened: {e}"))?;
    read_bytes(&file)
}

pub(super) fn read_bytes(file: &std::fs::File) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let most = limits::PASSWD_FILE_BYTES_MAX;
    file.take(most + 1)
        .read_to_end(&mut bytes)
        .map_err(|e| format!("can't be read: {e}"))?;
    if bytes.len() as u64 > most {
        return Err(format!("is larger than {most} bytes"));
    }
    Ok(bytes)
}

impl fmt::Display for PasswdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, problem) in self.problems.iter().enumerate() {
            let line_end = if i > 0 { "\n" } else { "" };
            write!(f, "{line_end}{}: {problem}", self.path.display())?;
        }
        Ok(())
    }
}

impl std::error::Error for PasswdError {}

#[cfg(test)]
mod tests {
    use super::*;

    fn passwd(text: &str) -> Passwd {
        Passwd::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn lines_comments_and_blanks() {
        let users = passwd("# users\n\nbob:{PLAIN}b:c \r\n   \nalice:{PLAIN}a\n#x:{PLAIN}x");
        assert_eq!(users.len(), 2);
        let right =
            |user: &str, password: &str| users.verify(user.as_bytes(), &Secret::from(password));
        assert!(right("alice", "a") && right("bob", "b:c "));
        assert!(!right("alice", "b:c ") && !right("bob", "b:c") && !right("carol", "a"));
        assert!(!right("#x", "x") && !right("", "a") && !right("Alice", "a"));
        assert!(Passwd::parse(b"").unwrap().is_empty());
        assert!(!Passwd::default().verify(b"alice", &Secret::from("")));
    }

    #[test]
    fn bad_lines_have_their_numbers() {
        let bad: &[u8] = b"alice:{PLAIN}hunter2\n\nhunter2\n\xff:{PLAIN}x\na b:{PLAIN}hunter2\n\
            bob:hunter2\n:{PLAIN}x\nalice:{PLAIN}hunter2\nc:{SCRAM-SHA-256}x\nd:{PLAIN}a\0b";
        let problems = Passwd::parse(bad).unwrap_err();
        let lines: Vec<_> = problems
            .iter()
            .map(|p| p.split(':').next().unwrap())
            .collect();
        let wanted = [
            "line 3", "line 4", "line 5", "line 6", "line 7", "line 8", "line 9", "line 10",
        ];
        assert_eq!(lines, wanted);
        assert!(problems[5].contains("on line 1 already"));
        assert!(problems[6].contains("not built yet"));
        assert!(!problems.join("").contains("hunter2"));
    }

    #[test]
    fn an_unknown_user_asks_an_entry_of_the_file() {
        let mut text = String::new();
        for i in 0..20 {
            let entry = if i % 2 == 0 {
                "{PLAIN}x"
            } else {
                "{SHA512-CRYPT}$6$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl/O817G3uBnIFNjnQJuesI68u4OTLiBFdcbYEdFCoEOfaS35inz1"
            };
            text += &format!("user{i}:{entry}\n");
        }
        let users = passwd(&text);
        let strangers: Vec<_> = (0..1000).map(|i| format!("stranger{i}")).collect();
        let cheap = strangers
            .iter()
            .filter(|name| users.is_cheap(name.as_bytes()))
            .count();
        assert!(
            (400..600).contains(&cheap),
            "{cheap} of 1000: the mix of the file"
        );
        for name in &strangers {
            assert!(!users.knows(name.as_bytes()));
            let known = users.entry(name.as_bytes()).unwrap().1;
            assert!(!known, "a stand-in's password must not do");
        }
        let cheap = strangers
            .iter()
            .find(|name| users.is_cheap(name.as_bytes()))
            .unwrap();
        assert!(
            !users.verify(cheap.as_bytes(), &Secret::from("x")),
            "even its right password"
        );
    }

    #[test]
    fn errors_name_the_file() {
        let error = Passwd::load(Path::new("/nowhere/users"))
            .unwrap_err()
            .to_string();
        assert!(
            error.starts_with("/nowhere/users: can't be opened"),
            "{error}"
        );
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "x\ny\n").unwrap();
        let error = Passwd::load(file.path()).unwrap_err().to_string();
        assert_eq!(error.lines().count(), 2, "{error}");
    }
}
