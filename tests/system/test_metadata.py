"""Annotations and quotas at both backends: METADATA (RFC 5464), ANNOTATEMORE, QUOTA (RFC 9208)."""

from imap_client import Literal, message, quoted
from marks import ours
from murder import poll

SERVER = "/shared/vendor/cmu/cyrus-imapd/server"


def entries(answer, word="METADATA"):
    """{mailbox: {entry: value}} of METADATA responses."""
    found = {}
    for response in answer.ok().of(word):
        _, mailbox, items = response.tree()
        pairs = {items[n].decode(): items[n + 1] for n in range(0, len(items), 2)}
        found.setdefault(mailbox.decode(), {}).update(pairs)
    return found


def two(world):
    """A session of a user at backend1, and another user's mailbox at backend2 (Cyrus 3.6.1 crashes on annotations of
    mailboxes that are nobody's)."""
    user, other = world.user("backend1"), world.user("backend2")
    there = f"user.{other}"
    world.admin("backend2").command(f"SETACL {there} {user} lrswipkxtecda").ok()
    world.await_name(there)
    session = world.client(user)
    session.user = user
    poll("the rights to be known", 10, lambda: session.command(f"MYRIGHTS {there}").status == "OK")
    return session, there


@ours  # Cyrus' frontend says OK whatever the backend said, and loses separators
def test_metadata_at_both_backends(world):
    session, there = two(world)
    assert "METADATA" in session.capabilities()
    for box, kind in (("INBOX", "private"), (there, "shared")):
        comment = f"/{kind}/comment"
        value = b'a "quoted" \\ value {7}'
        session.command("SETMETADATA ", box, f" ({comment} ", quoted(value), f" /{kind}/vendor/x/y ",
                        Literal(b"line\r\nline", True), ")").must("OK", "NO")
        session.command("SETMETADATA ", box, f" ({comment} ", quoted(value), ")").ok()
        session.command("SETMETADATA ", box, f" (/{kind}/expire ", Literal(b"14", False), ")").must("OK", "NO")
        got = entries(session.command("GETMETADATA ", box, " (/private/comment /shared/comment)"))
        assert got[box][comment] == value, got
        assert entries(session.command("GETMETADATA ", box, f" {comment}")) == {box: {comment: value}}
        answer = session.command("GETMETADATA ", box, f" (MAXSIZE 3) {comment}").ok()
        assert value not in answer.tagged.raw and ("LONGENTRIES" in answer.text or not answer.of("METADATA"))
        session.command("GETMETADATA (DEPTH infinity) ", box, f" /{kind}").ok()
        session.command("SETMETADATA ", box, f" ({comment} NIL)").ok()
        assert entries(session.command("GETMETADATA ", box, f" {comment}")).get(box, {}).get(comment) is None
    session.in_step()


@ours
def test_metadata_refused_by_the_backend_is_refused(world):
    session, there = two(world)
    closed = world.shared("backend2", "l")
    session.command(f'SETMETADATA {closed} (/shared/comment "x")').no()
    session.command('SETMETADATA INBOX (/nonsense/comment "x")').must("NO", "BAD")
    session.command('SETMETADATA nosuch (/private/comment "x")').no("NONEXISTENT")
    session.command("GETMETADATA nosuch /private/comment").no("NONEXISTENT")
    session.command("GETMETADATA").bad()
    session.command("GETMETADATA INBOX").bad()
    with world.without("backend2"):
        session.command(f"GETMETADATA {there} /private/comment").no("UNAVAILABLE")
        session.command(f'SETMETADATA {there} (/private/comment "x")').no("UNAVAILABLE")
        session.command("GETMETADATA INBOX /private/comment").ok()
    session.in_step()


@ours
def test_metadata_names_are_encoded(world):
    """In Cyrus' frontend a name with a quote or a line end in it adds commands of its own."""
    session, _ = two(world)
    for name in (b'INBOX" (/private/comment "x")\r\nx LOGOUT', b'a"b', b"a\\b", b"x\r\ny DELETE INBOX"):
        for command in (b" /private/comment", b' (/private/comment "x")'):
            verb = b"SETMETADATA " if b"x" in command else b"GETMETADATA "
            session.command(verb, Literal(name, True), command).no()
            session.in_step()
    session.select("INBOX").ok()


def test_metadata_of_the_server_and_where_a_mailbox_is(world):
    session, there = two(world)
    session.command('GETMETADATA "" /shared/comment').ok()
    got = entries(session.command(f"GETMETADATA {there} {SERVER}"))
    assert got == {there: {SERVER: b"backend2.murder.test"}}, got
    got = entries(session.command(f"GETMETADATA INBOX {SERVER}"))
    assert got == {"INBOX": {SERVER: b"backend1.murder.test"}}, got


@ours
def test_where_a_mailbox_is_beside_other_entries(world):
    session, there = two(world)
    session.command(f'SETMETADATA {there} (/shared/comment "c")').ok()
    got = entries(session.command(f"GETMETADATA {there} ({SERVER} /shared/comment)"))
    assert got == {there: {SERVER: b"backend2.murder.test", "/shared/comment": b"c"}}, got


@ours
def test_annotatemore_is_the_backends(world):
    """Cyrus 3.6.1 backends refuse it; what they say is passed on."""
    session, there = two(world)
    for command in ('GETANNOTATION {} "/comment" "value.priv"', 'SETANNOTATION {} "/comment" ("value.priv" "x")'):
        for box, backend in (("INBOX", "backend1"), (there, "backend2")):
            direct = world.at_backend(backend, session.user).command(command.format(box))
            assert session.command(command.format(box)).text == direct.text
        session.command(command.format("nosuch")).no("NONEXISTENT")
    session.command('GETANNOTATION "*" "/comment" "value.priv"').no("CANNOT")
    session.in_step()


def test_getquotaroot_at_both_backends(world):
    user, there = world.user("backend1"), world.shared("backend2")
    world.admin("backend1").command(f"SETQUOTA user.{user} (STORAGE 1000)").ok()
    session = world.client(user)
    session.append("INBOX", message("x", 5000)).ok()
    answer = session.command("GETQUOTAROOT INBOX").ok()
    assert answer.of("QUOTAROOT")[0].tree()[1:] == [b"INBOX", b"INBOX"], answer.of("QUOTAROOT")
    usage = answer.of("QUOTA")[0].tree()
    assert usage[1] == b"INBOX" and usage[2][0] == b"STORAGE" and usage[2][2] == b"1000" and int(usage[2][1]) >= 4
    assert session.command(f"GETQUOTAROOT {there}").ok().of("QUOTAROOT")
    session.command("GETQUOTAROOT nosuch").no()
    session.in_step()


@ours
def test_getquota_goes_to_the_one_backend_of_the_root(world):
    user, there = world.user("backend1"), world.shared("backend2")
    session = world.client(user)
    assert {"QUOTA", "X-QUOTA=STORAGE"} <= session.capabilities()
    answer = session.command("GETQUOTA INBOX")  # the backend decides whether a user may
    assert answer.status in ("OK", "NO") and "single backend" not in answer.text
    session.command("GETQUOTA nosuch").no("NONEXISTENT")
    session.command("GETQUOTA").bad()
    world.make("backend1", f"{there}x", "lrsx")
    world.admin("backend1").command(f"RENAME {there}x {there}.elsewhere").ok()
    world.await_name(f"{there}.elsewhere")
    assert "does not exist on a single backend server" in session.command(f"GETQUOTA {there}").no("CANNOT").text
    session.in_step()


@ours
def test_what_frontends_do_not_do(world):
    """Cyrus' frontend would carry these out on its own, empty disk."""
    session, _ = two(world)
    for command in ("LOCALCREATE x", "LOCALDELETE INBOX", "DUMP INBOX", "UNDUMP INBOX", "MUPDATEPUSH INBOX", "RECONSTRUCT INBOX",
                    "SYNCGET USER x", "SYNCAPPLY x", "GETJMAPACCESS", "XAPPLEPUSHSERVICE x", "XMEID x", "XFOREVER", "GETUSERGROUP x"):
        session.command(command).must("BAD", "NO")
        session.command("NOOP").ok()
    session.command("SELECT INBOX").ok()
