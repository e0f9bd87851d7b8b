//! Small pieces of work that are measured over and over: by time (benches/parts.rs) and by instructions
//! (bin/counted.rs). Each is what a session does, on input as clients and backends send it.

use std::path::Path;

use ravenry_core::mailboxes::{
    Acl, Groups, Identity, ListCursor, ListFile, ListQuery, ListReader, ListWriter, Name, Progress,
    Rights, UserId,
};
use ravenry_core::proto::imap;
use ravenry_core::wire::imap::{
    CommandEvent, CommandFramer, CommandLimits, ResponseEvent, ResponseScanner,
};

use crate::site::{Site, query};

/// Ten commands of a client, with literals as some of them send names.
pub const COMMANDS: &[u8] = b"a1 NOOP\r\n\
    a2 SELECT INBOX\r\n\
    a3 UID FETCH 1:* (FLAGS)\r\n\
    a4 UID FETCH 4711 (UID RFC822.SIZE BODY.PEEK[HEADER.FIELDS (DATE FROM SUBJECT TO CC MESSAGE-ID)])\r\n\
    a5 STATUS {13+}\r\nINBOX.Archive (MESSAGES UNSEEN UIDNEXT)\r\n\
    a6 UID STORE 4711 +FLAGS.SILENT (\\Seen)\r\n\
    a7 LIST \"\" \"*\"\r\n\
    a8 UID SEARCH RETURN (ALL) UNSEEN SINCE 1-Jan-2026\r\n\
    a9 UID COPY 4711 \"INBOX.Archive.2026\"\r\n\
    a10 IDLE\r\n";

/// Ten responses of a backend, one with a literal.
pub const RESPONSES: &[u8] = b"* FLAGS (\\Answered \\Flagged \\Draft \\Deleted \\Seen)\r\n\
    * OK [PERMANENTFLAGS (\\Answered \\Flagged \\Draft \\Deleted \\Seen \\*)] Ok\r\n\
    * 172 EXISTS\r\n\
    * 1 RECENT\r\n\
    * OK [UIDVALIDITY 1764110000] Ok\r\n\
    * 12 FETCH (FLAGS (\\Seen) UID 4711)\r\n\
    * 13 FETCH (UID 4712 RFC822.SIZE 20480 BODY[HEADER.FIELDS (SUBJECT)] {26}\r\nSubject: Minutes again\r\n\r\n)\r\n\
    * SEARCH 1 2 3 5 8 13 21 34 55 89 144\r\n\
    * STATUS INBOX.Archive (MESSAGES 17 UNSEEN 2 UIDNEXT 4713)\r\n\
    a1 OK [READ-WRITE] Completed\r\n";
/// How many there are in each.
pub const EACH: u64 = 10;

/// Frames and parses commands: how many.
pub fn commands(mut buffer: &[u8]) -> u64 {
    let mut framer = CommandFramer::new(CommandLimits {
        line_bytes_max: 64 << 10,
        command_bytes_max: 1 << 20,
        discard_bytes_max: 1 << 20,
    });
    let mut count = 0;
    while let CommandEvent::Complete { len, .. } = framer.next(buffer) {
        let command = imap::command(&buffer[..len]);
        std::hint::black_box(command.expect("a command"));
        buffer = &buffer[len..];
        count += 1;
    }
    assert!(buffer.is_empty(), "all of them are framed");
    count
}

/// Scans responses: how many.
pub fn responses(mut buffer: &[u8]) -> u64 {
    let mut scanner = ResponseScanner::new(8 << 10);
    let mut count = 0;
    while let ResponseEvent::Line(line) = scanner.next(buffer) {
        buffer = &buffer[line.len..];
        match line.literal {
            Some(literal) => {
                buffer = &buffer[usize::try_from(literal.size).expect("small")..];
                scanner.literal_done();
            }
            None => count += 1,
        }
    }
    assert!(buffer.is_empty(), "all of them are scanned");
    count
}

/// A list in a directory of its own, whole.
pub fn list(directory: &Path, site: Site) -> (ListWriter, ListReader) {
    let (mut writer, reader, _) = ListFile::open(directory, 1 << 30).expect("a list");
    let mut token = writer.begin_sync().expect("a sync");
    let changes: Vec<_> = (0..site.names).map(|number| site.change(number)).collect();
    for batch in changes.chunks(1000) {
        writer.apply(batch, Some(&mut token)).expect("applied");
    }
    writer.end_sync(token).expect("ended");
    (writer, reader)
}

/// A hundred names from all over the site.
pub fn names(site: Site) -> Vec<Name> {
    // A prime apart.
    (0..100)
        .map(|turn| site.parsed(turn * 7919 % site.names))
        .collect()
}

/// Looks up a name that is there.
pub fn lookup(reader: &ListReader, name: &Name) {
    std::hint::black_box(reader.lookup(name).expect("an answer").expect("there"));
}

/// LIST "" "*" of a user of the site: how many lines.
pub fn list_all(reader: &ListReader, site: Site, user: u64) -> u64 {
    let query = query(&site.user(user % site.users()), false, b"*");
    lines(reader, &query)
}

/// The lines of a LIST.
pub fn lines(reader: &ListReader, query: &ListQuery) -> u64 {
    let (mut cursor, mut lines) = (ListCursor::default(), 0);
    while reader
        .list_chunk(query, &mut cursor, 256, |_| lines += 1)
        .expect("an answer")
        == Progress::More
    {}
    lines
}

/// An ACL of fifteen entries, and somebody whom the last two name.
pub fn acl() -> (Acl, Identity) {
    let site = Site { names: 1000 };
    let acl = site.acl(5) + "group:staff\tlr\t-u0000007\tx\tu0000007\tlrswi\t";
    let user = UserId::parse(b"u0000007").expect("a user");
    (
        Acl::new(acl.as_bytes()),
        Identity::new(user, false, &Groups::default()),
    )
}

/// What the identity may do.
pub fn rights(acl: &Acl, identity: &Identity) -> Rights {
    acl.rights(std::hint::black_box(identity))
}
