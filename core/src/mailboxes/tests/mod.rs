//! Tests of the list as a whole.

use std::path::Path;

use super::{
    Acl, Change, Groups, Identity, ListCursor, ListError, ListFile, ListQuery, ListReader,
    ListWriter, Listed, Location, Name, Namespace, Opened, Progress, UserId,
};

mod answers;
mod damage;
mod durable;
mod model;
mod names;
mod store;

const MAP_BYTES: usize = 64 << 20;

fn open(directory: &Path) -> (ListWriter, ListReader, Opened) {
    once_free(|| ListFile::open(directory, MAP_BYTES))
}

/// A process that another test starts holds our locks from its fork to its exec.
fn once_free<T>(open: impl Fn() -> Result<T, ListError>) -> T {
    for _ in 0..100_000 {
        match open() {
            Err(ListError::InUse { .. }) => std::thread::yield_now(),
            opened => return opened.unwrap(),
        }
    }
    open().unwrap()
}

fn name(text: &str) -> Name {
    Name::from_mupdate(text.as_bytes()).unwrap()
}

/// `acl` has blanks for tabs.
fn active(text: &str, acl: &str) -> Change {
    Change::Active {
        name: name(text),
        location: Location::parse(b"backend1.murder.test!default"),
        acl: Acl::new(acl.replace(' ', "\t").as_bytes()),
    }
}

fn reserved(text: &str) -> Change {
    Change::Reserved {
        name: name(text),
        location: Location::parse(b"backend2.murder.test!"),
    }
}

/// A full sync that sees just these.
fn sync(writer: &mut ListWriter, changes: &[Change]) -> u64 {
    let mut token = writer.begin_sync().unwrap();
    writer.apply(changes, Some(&mut token)).unwrap();
    writer.end_sync(token).unwrap().sequence
}

fn user(text: &str) -> Identity {
    let groups = Groups::parse("staff: bob, carol").unwrap();
    Identity::new(UserId::parse(text.as_bytes()).unwrap(), false, &groups)
}

fn admin() -> Identity {
    Identity {
        admin: true,
        ..user("cyrus")
    }
}

const STANDARD: Namespace = Namespace {
    separator: b'.',
    alt: false,
    default_domain: None,
};
const ALT_SLASH: Namespace = Namespace {
    separator: b'/',
    alt: true,
    default_domain: None,
};

const DOMAINS: Namespace = Namespace {
    default_domain: Some("example.com"),
    ..STANDARD
};
const DOMAINS_ALT_SLASH: Namespace = Namespace {
    default_domain: Some("example.com"),
    ..ALT_SLASH
};

/// The same user or admin where there are virtual domains.
fn in_domains(who: &Identity) -> Identity {
    let user = DOMAINS.user(who.user.as_str().as_bytes()).unwrap();
    Identity {
        user,
        ..who.clone()
    }
}

fn query(who: &Identity, namespace: Namespace, reference: &str, pattern: &str) -> ListQuery {
    let patterns = [pattern.as_bytes()];
    ListQuery::new(who.clone(), namespace, reference.as_bytes(), &patterns).unwrap()
}

fn listed(reader: &ListReader, query: &ListQuery, lines_max: usize) -> Vec<Listed> {
    let (mut cursor, mut lines) = (ListCursor::default(), Vec::new());
    while let Progress::More = reader
        .list_chunk(query, &mut cursor, lines_max, |line| lines.push(line))
        .unwrap()
    {}
    lines
}

/// Lines as `name`, with `+` for \HasChildren, `-` for \Noselect.
fn shown(lines: &[Listed]) -> String {
    let shown = |line: &Listed| {
        let children = if line.has_children { "+" } else { "" };
        let noselect = if line.mailbox.is_none() { "-" } else { "" };
        format!("{noselect}{}{children}", line.name.escape_ascii())
    };
    lines.iter().map(shown).collect::<Vec<_>>().join(" ")
}
