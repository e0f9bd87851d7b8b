"""METADATA at the backend (RFC 5464, and RFC 6154 section 5.4), by the RFCs' examples."""

from imap_client import Literal, message, quoted
from marks import ours

COMMENT, OWN = "/shared/comment", "/private/comment"


def entries(answer):
    """{mailbox: {entry: value}} of METADATA responses; None: NIL."""
    found = {}
    for response in answer.ok().of("METADATA"):
        _, mailbox, items = response.tree()
        pairs = {items[n].decode(): items[n + 1] for n in range(0, len(items), 2)}
        found.setdefault(mailbox.decode(), {}).update(pairs)
    return found


def put(session, mailbox, **values):
    """`shared_a="x"`, one after the other."""
    for name, value in values.items():
        session.command(f'SETMETADATA "{mailbox}" (/{name.replace("_", "/")} ', quoted(value), ")").ok()


@ours
def test_backend_metadata_by_the_examples(world):
    """Sections 4.2 and 4.3."""
    session = world.at(world.a_backend(), "alice")
    assert "METADATA" in session.capabilities()
    assert entries(session.command("GETMETADATA INBOX /private/comment")) == {"INBOX": {OWN: None}}
    session.command("SETMETADATA INBOX (/private/comment ", Literal(b"My new comment across\r\ntwo lines.\r\n", False), ")").ok()
    assert entries(session.command("GETMETADATA INBOX /private/comment")) == {"INBOX": {OWN: b"My new comment across\r\ntwo lines.\r\n"}}
    session.command("SETMETADATA INBOX (/private/comment NIL)").ok()
    session.command("SETMETADATA INBOX (/private/comment NIL)").ok()
    assert entries(session.command("GETMETADATA INBOX /private/comment")) == {"INBOX": {OWN: None}}
    session.command('SETMETADATA INBOX (/private/comment "My new comment" /shared/comment "This one is for you!")').ok()
    both = {"INBOX": {OWN: b"My new comment", COMMENT: b"This one is for you!"}}
    assert entries(session.command("GETMETADATA INBOX (/shared/comment /PRIVATE/Comment)")) == both
    # 4.2.1: before the mailbox, as the syntax has it, or behind it, as the examples have it
    long = "x" * 2199
    put(session, "INBOX", shared_comment=long)
    for command in ("GETMETADATA (MAXSIZE 1024) INBOX (/shared/comment /private/comment)",
                    "GETMETADATA INBOX (MAXSIZE 1024) (/shared/comment /private/comment)"):
        answer = session.command(command)
        assert entries(answer) == {"INBOX": {OWN: b"My new comment"}} and answer.code == "METADATA LONGENTRIES 2199", answer.untagged
    answer = session.command("GETMETADATA (MAXSIZE 2199) INBOX /shared/comment")
    assert entries(answer) == {"INBOX": {COMMENT: long.encode()}} and answer.code == "", answer.text
    # 4.2.2
    put(session, "INBOX", private_filters_values_small="SMALLER 5000", private_filters_values_boss='FROM "boss@example.com"',
        private_filters_values_boss_old="x")
    values = "/private/filters/values"
    below = {f"{values}/small": b"SMALLER 5000", f"{values}/boss": b'FROM "boss@example.com"'}
    assert entries(session.command(f'GETMETADATA "INBOX" (DEPTH 1) ({values})')) == {"INBOX": below}
    assert entries(session.command(f"GETMETADATA (DEPTH 0) INBOX {values}")) == {"INBOX": {values: None}}
    whole = {**below, f"{values}/boss/old": b"x"}
    assert entries(session.command(f"GETMETADATA (DEPTH infinity) INBOX {values}")) == {"INBOX": whole}
    assert entries(session.command("GETMETADATA (DEPTH infinity) INBOX /private")) == {"INBOX": {**whole, OWN: b"My new comment"}}
    assert entries(session.command("GETMETADATA (DEPTH 1) INBOX /private/none")) == {}
    session.in_step()


@ours
def test_backend_metadata_any_value(world):
    """A value is any bytes; what is long comes in several responses."""
    session = world.at(world.a_backend(), "alice")
    for value in (b"", b'a "quoted" \\ {7}', b"NIL", bytes(range(1, 256)), b"a\0b", b"\0" * 65536, b"{3}\r\nabc"):
        kind = b"~" if b"\0" in value else b""
        session.command(b"SETMETADATA INBOX (/private/comment " + kind, Literal(value, True), b")").ok()
        (told,) = session.command("GETMETADATA INBOX /private/comment").ok().of("METADATA")
        assert told.tree()[2][1] == value, value[:40]
    answer = session.command("SETMETADATA INBOX (/shared/a ", quoted("y"), " /private/comment ", Literal(b"x" * 65537, True), ")").no()
    assert answer.code == "METADATA MAXSIZE 65536", answer.text
    assert entries(session.command("GETMETADATA INBOX /shared/a")) == {"INBOX": {"/shared/a": None}}, "all or nothing"
    for n in range(20):
        put(session, "INBOX", **{f"private_many_{n}": "x" * 5000})
    answer = session.command("GETMETADATA (DEPTH 1) INBOX /private/many").ok()
    assert len(answer.of("METADATA")) > 3 and len(entries(answer)["INBOX"]) == 20
    session.in_step()


@ours
def test_backend_metadata_limits_and_what_is_wrong(world):
    session = world.at(world.a_backend(), "alice")
    for n in range(100):
        put(session, "INBOX", **{f"shared_n{n}": "x"})
    assert session.command('SETMETADATA INBOX (/shared/more "x")').no().code == "METADATA TOOMANY"
    session.command('SETMETADATA INBOX (/shared/n5 "y" /private/more "x")').ok()
    session.command('SETMETADATA INBOX (/shared/more "x" /shared/n5 NIL)').ok()
    for wrong in ("GETMETADATA", "GETMETADATA INBOX", "GETMETADATA INBOX ()", "GETMETADATA INBOX /nonsense/comment", "GETMETADATA INBOX /private/a*",
                  "GETMETADATA (DEPTH 2) INBOX /private/a"):
        session.command(wrong).bad()
    session.command("NOOP").ok()  # ten in a row end a session
    for wrong in ('SETMETADATA INBOX (/nonsense/comment "x")', 'SETMETADATA INBOX (/private "x")', "SETMETADATA INBOX (/private/comment ~x)",
                  'SETMETADATA INBOX (/private//x "x")', 'SETMETADATA INBOX (/private/x/ "x")', 'SETMETADATA INBOX (/private/vendor/x "x")',
                  'SETMETADATA INBOX /private/x "x"'):
        session.command(wrong).bad()
    session.command('SETMETADATA nosuch (/private/comment "x")').no("NONEXISTENT")
    session.command("GETMETADATA nosuch /private/comment").no("NONEXISTENT")
    session.in_step()


@ours
def test_backend_metadata_rights(world):
    """Section 3.3: `l` and one of `r`, `s`, `w`, `i`, `p`; what is shared is set with `w`."""
    backend = world.a_backend()
    owner, other, admin = world.at(backend, "alice"), world.at(backend, "bob"), world.at(backend, "cyrus")
    owner.command("CREATE INBOX.a").ok()
    put(owner, "INBOX.a", shared_comment="all", private_comment="mine")
    there = "user.alice.a"
    other.command(f"GETMETADATA {there} /shared/comment").no("NONEXISTENT")
    for rights, reads, sets in (("l", False, False), ("lr", True, False), ("li", True, False), ("lrw", True, True), ("r", False, False)):
        admin.command(f"SETACL {there} bob {rights}").ok()
        asked = other.command(f"GETMETADATA {there} ({COMMENT} {OWN})")
        if reads:
            assert entries(asked)[there][OWN] in (None, b"his"), rights
            other.command(f'SETMETADATA {there} ({OWN} "his")').ok()
        else:
            asked.no("NOPERM")
            other.command(f'SETMETADATA {there} ({OWN} "his")').no("NOPERM")
        answer = other.command(f'SETMETADATA {there} ({COMMENT} "by bob")')
        answer.ok() if sets else answer.no("NOPERM")
    assert entries(owner.command(f"GETMETADATA INBOX.a ({COMMENT} {OWN})")) == {"INBOX.a": {COMMENT: b"by bob", OWN: b"mine"}}
    assert entries(admin.command(f"GETMETADATA {there} ({COMMENT} {OWN})")) == {there: {COMMENT: b"by bob", OWN: None}}
    # the server's: everybody reads, an admin sets, and each has private ones
    owner.command(f'SETMETADATA "" ({COMMENT} "x")').no("NOPERM")
    owner.command('SETMETADATA "" (/shared/admin "mailto:me@example.org")').no("NOPERM")
    admin.command(f'SETMETADATA "" ({COMMENT} "Shared comment" /shared/admin "mailto:postmaster@example.org")').ok()
    assert entries(other.command('GETMETADATA "" /shared/comment')) == {"": {COMMENT: b"Shared comment"}}
    assert entries(other.command('GETMETADATA "" (DEPTH 1) /shared'))[""]["/shared/admin"] == b"mailto:postmaster@example.org"
    owner.command('SETMETADATA "" (/private/vendor/x/y "mine")').ok()
    assert entries(other.command('GETMETADATA "" /private/vendor/x/y')) == {"": {"/private/vendor/x/y": None}}


@ours
def test_backend_metadata_goes_along(world):
    """Section 4.1: with RENAME, where INBOX keeps its own; not to the next mailbox of the name; and it is there after a kill."""
    backend = world.a_backend()
    session, admin = world.at(backend, "alice"), world.at(backend, "cyrus")
    session.command("CREATE INBOX.a").ok()
    session.append("INBOX", message("x")).ok()
    put(session, "INBOX.a", shared_comment="a's", private_comment="mine")
    put(session, "INBOX", shared_comment="inbox'")
    session.command("RENAME INBOX.a INBOX.b").ok()
    session.command("CREATE INBOX.a").ok()
    backend.kill()
    backend.start()
    session, admin = world.at(backend, "alice"), world.at(backend, "cyrus")
    asked = f"({COMMENT} {OWN})"
    assert entries(session.command(f"GETMETADATA INBOX.b {asked}")) == {"INBOX.b": {COMMENT: b"a's", OWN: b"mine"}}
    assert entries(session.command(f"GETMETADATA INBOX.a {asked}")) == {"INBOX.a": {COMMENT: None, OWN: None}}
    session.command("RENAME INBOX INBOX.old").ok()
    for box in ("INBOX", "INBOX.old"):
        assert entries(session.command(f"GETMETADATA {box} {COMMENT}")) == {box: {COMMENT: b"inbox'"}}
    session.command("DELETE INBOX.b").ok()
    session.command("CREATE INBOX.b").ok()
    assert entries(session.command(f"GETMETADATA INBOX.b {COMMENT}")) == {"INBOX.b": {COMMENT: None}}
    # a user is renamed, and goes: the next one of the name has nothing of theirs
    admin.command("CREATE shared").ok()
    admin.command("SETACL shared anyone lrs").ok()
    put(session, "shared", private_comment="mine")
    put(session, "", private_x="mine")
    admin.command("RENAME user.alice user.bob").ok()
    other = world.at(backend, "bob")
    assert entries(other.command(f"GETMETADATA shared {OWN}")) == {"shared": {OWN: b"mine"}}
    assert entries(other.command('GETMETADATA "" /private/x')) == {"": {"/private/x": b"mine"}}
    admin.command("SETACL user.bob cyrus lx").ok()
    admin.command("DELETE user.bob").ok()
    admin.command("CREATE user.bob").ok()
    for who in ("alice", "bob"):
        again = world.at(backend, who)
        assert entries(again.command(f"GETMETADATA shared {OWN}")) == {"shared": {OWN: None}}
        assert entries(again.command('GETMETADATA "" /private/x')) == {"": {"/private/x": None}}
    assert backend.ctl("backend", "check").endswith(": 0 findings\n")


@ours
def test_backend_metadata_is_what_a_mailbox_is_for(world):
    """RFC 6154 section 5.4."""
    session = world.at(world.a_backend(), "alice")
    session.command("CREATE INBOX.SavedDrafts").ok()
    box, entry = "INBOX.SavedDrafts", "/private/specialuse"
    assert entries(session.command(f"GETMETADATA {box} {entry}")) == {box: {entry: None}}
    session.command(f'SETMETADATA {box} ({entry} "\\\\Drafts")').ok()
    assert entries(session.command(f"GETMETADATA {box} {entry}")) == {box: {entry: b"\\Drafts"}}
    (line,) = session.command('LIST (SPECIAL-USE) "" "*"').ok().of("LIST")
    assert b"\\Drafts" in line.raw and b"SavedDrafts" in line.raw
    session.command(f'SETMETADATA {box} ({entry} "\\\\Sent \\\\archive" {OWN} "x")').ok()
    assert entries(session.command(f"GETMETADATA (DEPTH infinity) {box} /private")) == {box: {entry: b"\\Archive \\Sent", OWN: b"x"}}
    session.command(f'SETMETADATA {box} ({OWN} "y" {entry} "\\\\Bogus")').no("USEATTR")
    assert entries(session.command(f"GETMETADATA {box} {OWN}")) == {box: {OWN: b"x"}}
    session.command(f"SETMETADATA {box} ({entry} NIL)").ok()
    assert session.command('LIST (SPECIAL-USE) "" "*"').ok().of("LIST") == []
