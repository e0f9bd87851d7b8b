//! CREATE (RFC 3501 section 6.3.3) as the concept has it: what exists is refused, the parent's server
//! makes the mailbox, and afterwards the list has to show it there. With a place as second argument
//! (Cyrus) or parameters (RFC 4466, RFC 6154).

use std::rc::Rc;

use ravenry_core::config::CreateChoice;
use ravenry_core::mailboxes::Name;
use ravenry_core::proto::imap::encode::Request;
use ravenry_core::proto::imap::{Command, Cursor, Literals};

use super::gather::{Question, is_kind};
use super::mailbox::change;
use super::route::Place;
use super::session::Session;
use super::upstreams::{Steps, literals_beside};
use crate::failure::Failure;

/// How Cyrus calls a server's free space.
const FREE_SPACE: &str = "/shared/vendor/cmu/cyrus-imapd/freespace/total";

/// Where a mailbox is to be made, and what else is said of it.
#[derive(Debug, Default, PartialEq, Eq)]
struct Wanted {
    server: Option<Vec<u8>>,
    partition: Option<Vec<u8>>,
    /// Parameters for the backend: names and values as they came.
    others: Vec<(Vec<u8>, Vec<u8>)>,
    /// Something is said that only an admin may.
    admin: bool,
}

/// `CREATE mailbox [place | (parameters)]`.
pub(crate) async fn create(session: &mut Session, command: &Command<'_>) -> Result<(), Failure> {
    let mut args = command.args;
    args.sp()?;
    let mut given = args.astring()?.into_owned();
    let wanted = wanted(session, args)?;
    if wanted.admin && !session.logged_in()?.admin {
        return Err(Failure::coded(
            "NOPERM",
            "Only an admin says where a mailbox is made",
        ));
    }
    // RFC 3501 section 6.3.3: a trailing separator only announces children.
    if given.last() == Some(&session.fe.desk.parts.namespace.delimiter()) {
        given.pop();
    }
    let name = session.internal(&given)?;
    session.barrier().await?;
    if !matches!(session.place_now(&name)?, Place::Nowhere) {
        return Err(Failure::coded("ALREADYEXISTS", "Mailbox already exists"));
    }
    let server = match &wanted.server {
        Some(server) => known_server(session, server)?,
        None => parent_server(session, &name).await?,
    };
    let index = session.upstream(&server, &name).await?;
    // A place is an atom to Cyrus, which takes what follows a literal's size there for the next command.
    let literals = match wanted.partition {
        Some(_) => Literals::Sync,
        None => literals_beside(&session.upstreams[index], command.args.rest()),
    };
    let mut request = Request::new(literals);
    request.raw(command.tag).raw(" CREATE ").astring(&given)?;
    wanted.write(&mut request)?;
    request.end();
    let made = Some((name, server));
    let asked = (index, &request, Steps::CREATE);
    change(session, asked, command.tag, None, made).await
}

/// What stands behind the name.
fn wanted(session: &Session, mut args: Cursor<'_>) -> Result<Wanted, Failure> {
    let mut wanted = Wanted::default();
    if args.is_done() {
        return Ok(wanted);
    }
    args.sp()?;
    if args.peek() == Some(b'(') {
        let list = args.paren()?;
        args.end()?;
        return parameters(list);
    }
    let place = args.astring()?;
    args.end()?;
    wanted.admin = true;
    let (server, partition) = match memchr::memchr(b'!', &place) {
        Some(at) => (Some(&place[..at]), Some(&place[at + 1..])),
        None if is_server(session, &place) => (Some(&place[..]), None),
        None => (None, Some(&place[..])),
    };
    wanted.server = server.map(<[u8]>::to_vec);
    wanted.partition = partition.map(<[u8]>::to_vec);
    Ok(wanted)
}

fn parameters(list: &[u8]) -> Result<Wanted, Failure> {
    let mut wanted = Wanted::default();
    let inner = list
        .strip_prefix(b"(")
        .and_then(|list| list.strip_suffix(b")"));
    let mut rest = Cursor::new(inner.unwrap_or_default());
    while !rest.is_done() {
        let name = rest.atom()?.to_ascii_uppercase();
        match name.as_slice() {
            b"COMPACTIDS" => wanted.others.push((name, Vec::new())),
            _ => {
                rest.sp()?;
                let before = rest.rest();
                let value = if rest.peek() == Some(b'(') {
                    rest.paren()?;
                    None
                } else {
                    Some(rest.astring()?.into_owned())
                };
                let raw = before[..before.len() - rest.rest().len()].to_vec();
                wanted.admin |= name != b"USE";
                match (name.as_slice(), value) {
                    (b"SERVER", Some(value)) => wanted.server = Some(value),
                    (b"PARTITION", Some(value)) => wanted.partition = Some(value),
                    (b"USE" | b"MAILBOXID" | b"TYPE" | b"VERSION", _) => {
                        wanted.others.push((name, raw))
                    }
                    _ => return Err(Failure::bad("Invalid parameter in CREATE")),
                }
            }
        }
        if !rest.is_done() {
            rest.sp()?;
        }
    }
    Ok(wanted)
}

impl Wanted {
    /// For the backend, which is told all but the server.
    fn write(&self, request: &mut Request) -> Result<(), Failure> {
        if self.others.is_empty() {
            if let Some(partition) = &self.partition {
                request.raw(" ").astring(partition)?;
            }
            return Ok(());
        }
        request.raw(" (");
        let mut space = "";
        if let Some(partition) = &self.partition {
            request.raw("PARTITION ").astring(partition)?;
            space = " ";
        }
        for (name, value) in &self.others {
            request.raw(space).raw(name);
            if !value.is_empty() {
                request.raw(" ").verbatim(value);
            }
            space = " ";
        }
        request.raw(")");
        Ok(())
    }
}

/// Whether the site has a server of this name.
pub(super) fn is_server(session: &Session, name: &[u8]) -> bool {
    let known = |server: &str| server.as_bytes().eq_ignore_ascii_case(name);
    let parts = &session.fe.parts;
    session.fe.servers().iter().any(|server| known(server))
        || parts
            .proxy
            .upstream
            .hosts
            .keys()
            .any(|server| known(server))
        || parts
            .proxy
            .create_servers
            .iter()
            .any(|server| known(server))
}

/// A server that somebody has named.
pub(super) fn known_server(session: &Session, name: &[u8]) -> Result<Rc<str>, Failure> {
    let lower = String::from_utf8_lossy(name).to_ascii_lowercase();
    // As the list writes it, where it has it.
    let listed = session.fe.servers();
    if let Some(server) = listed
        .iter()
        .find(|server| server.eq_ignore_ascii_case(&lower))
    {
        return Ok(Rc::clone(server));
    }
    if is_server(session, name) {
        return Ok(session.fe.server(&lower));
    }
    Err(Failure::coded(
        "CANNOT",
        format!("There is no server {lower}"),
    ))
}

/// The server of the nearest ancestor that exists; the list is up to date already.
async fn parent_server(session: &mut Session, name: &Name) -> Result<Rc<str>, Failure> {
    let mut ancestor = name.parent();
    while let Some(parent) = ancestor {
        match session.place_now(&parent)? {
            Place::At(server) => return Ok(server),
            // It moves: whoever made the child now might make it at the wrong server.
            Place::Reserved => {
                return Err(Failure::coded(
                    "INUSE",
                    "Parent mailbox is currently reserved",
                ));
            }
            Place::Nowhere => ancestor = parent.parent(),
        }
    }
    choice(session, name).await
}

/// Where there is no parent: one of the servers that the operator has named.
async fn choice(session: &mut Session, name: &Name) -> Result<Rc<str>, Failure> {
    let fe = Rc::clone(&session.fe);
    let servers: Vec<Rc<str>> = fe
        .parts
        .proxy
        .create_servers
        .iter()
        .map(|server| fe.server(server))
        .collect();
    if servers.is_empty() {
        return Err(Failure::coded(
            "CANNOT",
            "There is no parent mailbox, so no server to create it on: name one, \
             or create it at a backend",
        ));
    }
    if fe.parts.proxy.create_choice == CreateChoice::FreeSpace
        && let Some(server) = roomiest(session, name, &servers).await?
    {
        return Ok(server);
    }
    Ok(Rc::clone(&servers[fe.turn(servers.len())]))
}

/// The server with the most free space, of those that tell theirs.
async fn roomiest(
    session: &mut Session,
    name: &Name,
    servers: &[Rc<str>],
) -> Result<Option<Rc<str>>, Failure> {
    let questions = servers.iter().map(|server| {
        let mut request = Request::new(Literals::Sync);
        request
            .raw(format!("GETMETADATA \"\" ({FREE_SPACE})"))
            .end();
        Question::new(server, request)
    });
    let questions = questions.collect();
    let wanted = |line: &[u8]| is_kind(line, &["METADATA"]);
    let parts = session.gather(name, questions, wanted).await?;
    let space = |lines: &Vec<Vec<u8>>| lines.iter().find_map(|line| free_space(line));
    let rooms = parts.iter().filter_map(|part| {
        let room = part.lines.as_ref().ok().and_then(space)?;
        Some((room, Rc::clone(&part.server)))
    });
    Ok(rooms
        .max_by_key(|(room, _)| *room)
        .map(|(_, server)| server))
}

/// The value in `* METADATA "" (entry "12345")`.
fn free_space(line: &[u8]) -> Option<u64> {
    let mut rest = Cursor::new(line.trim_ascii_end().strip_prefix(b"* METADATA ")?);
    rest.astring().ok()?;
    rest.sp().ok()?;
    rest.accept(b'(').then_some(())?;
    let entry = rest.astring().ok()?;
    rest.sp().ok()?;
    let value = rest.nstring().ok()??;
    let digits = value.split(|byte| !byte.is_ascii_digit()).next()?;
    let number = std::str::from_utf8(digits).ok()?.parse().ok();
    number.filter(|_| entry.eq_ignore_ascii_case(FREE_SPACE.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_told_from_the_server() {
        let read =
            parameters(b"(USE (\\Drafts \\Sent) SERVER \"b1.test\" PARTITION fast TYPE email)");
        let wanted = read.expect("parameters");
        assert_eq!(wanted.server.as_deref(), Some(&b"b1.test"[..]));
        assert!(wanted.admin);
        let mut request = Request::new(Literals::Plus);
        wanted.write(&mut request).expect("no NUL");
        let sent = request.chunks().next().expect("one").to_vec();
        assert_eq!(sent, b" (PARTITION fast USE (\\Drafts \\Sent) TYPE email)");
        let wanted = parameters(b"(USE (\\Drafts))").expect("parameters");
        assert!(!wanted.admin, "a user may say what it is for");
        for bad in [
            "(X 1)",
            "(SERVER)",
            "(SERVER (a))",
            "(USE)",
            "(USE (\\A) PARTITION)",
        ] {
            assert!(parameters(bad.as_bytes()).is_err(), "{bad}");
        }
    }

    #[test]
    fn free_space_is_a_number() {
        let line = format!("* METADATA \"\" ({FREE_SPACE} \"123456\")\r\n");
        assert_eq!(free_space(line.as_bytes()), Some(123_456));
        let line = format!("* METADATA \"\" ({FREE_SPACE} NIL)\r\n");
        assert_eq!(free_space(line.as_bytes()), None);
        assert_eq!(
            free_space(b"* METADATA \"\" (/shared/comment \"1\")\r\n"),
            None
        );
    }
}
