//! Reading a Maildir++ (Courier's and Dovecot's): folders, messages, flags, keywords, subscriptions.
//!
//! The user whose Maildir it is may have written anything there, and who imports may be root: links aren't followed, and
//! nothing but plain files is opened. A folder's name is in modified UTF-7, or in UTF-8 where Dovecot was told so.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use ravenry_core::mailboxes::utf7_of;
use ravenry_core::proto::imap::{DateTime, SYSTEM_FLAGS};

/// A link is refused, a FIFO doesn't wait.
const PLAIN_FILES: i32 = libc::O_NOFOLLOW | libc::O_NONBLOCK;
/// Lists of keywords and subscriptions are read so far.
const LIST_BYTES_MAX: u64 = 4 << 20;
/// Keywords by their letters, `a` to `z`.
const LETTERS: usize = 26;

/// A folder.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Folder {
    pub(super) path: PathBuf,
    /// Its name below the INBOX, with dots; empty: the INBOX.
    pub(super) name: Vec<u8>,
}

/// A message's file, and what its name says.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) path: PathBuf,
    pub(super) date: DateTime,
    pub(super) system: u8,
    pub(super) keywords: Vec<String>,
}

/// Keeps others from importing it at the same time; `None`: another does.
pub(super) fn lock(maildir: &Path) -> io::Result<Option<File>> {
    let directory = File::open(maildir)?;
    match directory.try_lock() {
        Err(TryLockError::WouldBlock) => Ok(None),
        // Some file systems have no locks for directories: there it is the operator who takes care.
        Ok(()) | Err(TryLockError::Error(_)) => Ok(Some(directory)),
    }
}

/// The folders, the INBOX first. A directory is one if it has `cur`.
pub(super) fn folders(maildir: &Path) -> io::Result<Vec<Folder>> {
    fs::read_dir(maildir.join("cur"))?;
    let mut folders = vec![Folder {
        path: maildir.to_owned(),
        name: Vec::new(),
    }];
    for entry in fs::read_dir(maildir)? {
        let entry = entry?;
        let file_name = entry.file_name();
        let Some(name) = file_name.as_bytes().strip_prefix(b".") else {
            continue;
        };
        let is_folder =
            |path: &Path| fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_dir());
        if name.is_empty()
            || name == b"."
            || !is_folder(&entry.path())
            || !is_folder(&entry.path().join("cur"))
        {
            continue;
        }
        folders.push(Folder {
            path: entry.path(),
            name: wire_name(name),
        });
    }
    folders.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(folders)
}

fn wire_name(name: &[u8]) -> Vec<u8> {
    match name.is_ascii() {
        true => name.to_owned(),
        // What isn't UTF-8 either is refused as a name later on.
        false => utf7_of(name).unwrap_or_else(|_| name.to_owned()),
    }
}

/// A folder's messages by their dates, and the names of files that are none.
pub(super) fn messages(folder: &Path) -> io::Result<(Vec<Found>, Vec<PathBuf>)> {
    let names = keyword_names(folder);
    let (mut found, mut strange) = (Vec::new(), Vec::new());
    for part in ["cur", "new"] {
        let entries = match fs::read_dir(folder.join(part)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            entries => entries?,
        };
        for entry in entries {
            let entry = entry?;
            let name = entry.file_name();
            if name.as_bytes().starts_with(b".") {
                continue;
            }
            // Not a link's target: see above.
            let metadata = fs::symlink_metadata(entry.path());
            match metadata {
                Ok(metadata) if metadata.is_file() => {
                    let (system, keywords) = flags(name.as_bytes(), &names);
                    found.push(Found {
                        path: entry.path(),
                        date: date(name.as_bytes(), metadata.mtime()),
                        system,
                        keywords,
                    });
                }
                // Whoever uses it has moved it meanwhile.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Ok(_) | Err(_) => strange.push(entry.path()),
            }
        }
    }
    found.sort_by(|a, b| (a.date.seconds, &a.path).cmp(&(b.date.seconds, &b.path)));
    strange.sort();
    Ok((found, strange))
}

/// Flags and keywords of `NAME:2,LETTERS`.
pub(super) fn flags(name: &[u8], names: &[Option<String>]) -> (u8, Vec<String>) {
    let mark = b":2,";
    let at = name.windows(mark.len()).rposition(|bytes| bytes == mark);
    let letters = at.map_or(&[][..], |at| &name[at + mark.len()..]);
    let (mut system, mut keywords) = (0, Vec::new());
    for letter in letters.iter().take_while(|letter| **letter != b',') {
        let flag = match letter {
            b'R' => "\\Answered",
            b'F' => "\\Flagged",
            b'T' => "\\Deleted",
            b'S' => "\\Seen",
            b'D' => "\\Draft",
            b'P' => "$Forwarded",
            b'a'..=b'z' => match names.get(usize::from(letter - b'a')) {
                Some(Some(name)) => name,
                _ => continue,
            },
            _ => continue,
        };
        match SYSTEM_FLAGS.iter().position(|known| *known == flag) {
            Some(at) => system |= 1 << at,
            None if keywords
                .iter()
                .any(|other: &String| other.eq_ignore_ascii_case(flag)) => {}
            None => keywords.push(flag.to_owned()),
        }
    }
    (system, keywords)
}

/// The earlier of what the file's name and its time say: Dovecot keeps the date in the time, and a copy of the file may
/// have lost it.
pub(super) fn date(name: &[u8], modified: i64) -> DateTime {
    let digits = name.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let seconds = std::str::from_utf8(&name[..digits]).ok();
    let seconds = seconds
        .filter(|_| name.get(digits) == Some(&b'.'))
        .and_then(|seconds| seconds.parse::<i64>().ok())
        .filter(|seconds| *seconds > 0)
        .map_or(modified, |seconds| seconds.min(modified));
    DateTime {
        seconds: seconds.clamp(0, i64::from(u32::MAX)),
        zone: 0,
    }
}

/// `dovecot-keywords`: a number and a name on each line; what is no keyword of IMAP is left out.
fn keyword_names(folder: &Path) -> Vec<Option<String>> {
    let mut names = vec![None; LETTERS];
    for line in lines(&folder.join("dovecot-keywords")) {
        let Some((number, name)) = line.split_once(' ') else {
            continue;
        };
        let atom = |byte: u8| (0x21..=0x7e).contains(&byte) && !b"(){%*\"\\]".contains(&byte);
        let is_keyword = !name.is_empty() && name.len() <= 128 && name.bytes().all(atom);
        let place = number
            .parse()
            .ok()
            .and_then(|number: usize| names.get_mut(number));
        if let (true, Some(place)) = (is_keyword, place) {
            *place = Some(name.to_owned());
        }
    }
    names
}

/// Names below the INBOX that are subscribed to, with dots; empty: the INBOX.
pub(super) fn subscriptions(maildir: &Path) -> Vec<Vec<u8>> {
    let mut names = Vec::new();
    for line in lines(&maildir.join("subscriptions")) {
        // Dovecot's second form begins with its version, and has TABs between levels.
        if !line.is_empty() && line != "V\t2" {
            names.push(line.replace('\t', "."));
        }
    }
    names.extend(lines(&maildir.join("courierimapsubscribed")));
    names.sort();
    names.dedup();
    let below = |name: &String| match name.split_at_checked(5) {
        Some((inbox, "")) if inbox.eq_ignore_ascii_case("INBOX") => Vec::new(),
        Some(("INBOX", rest)) if rest.starts_with('.') => wire_name(&rest.as_bytes()[1..]),
        _ => wire_name(name.as_bytes()),
    };
    names
        .iter()
        .filter(|name| !name.is_empty())
        .map(below)
        .collect()
}

/// The lines of a list; one that isn't there, or isn't text, has none.
fn lines(path: &Path) -> Vec<String> {
    let mut text = String::new();
    let read = open(path).and_then(|file| file.take(LIST_BYTES_MAX).read_to_string(&mut text));
    match read {
        Ok(_) => text.lines().map(str::to_owned).collect(),
        Err(_) => Vec::new(),
    }
}

/// Opens a plain file that is no link.
pub(super) fn open(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(PLAIN_FILES)
        .open(path)?;
    match file.metadata()?.is_file() {
        true => Ok(file),
        false => Err(io::Error::other("no plain file")),
    }
}
