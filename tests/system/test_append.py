"""APPEND in all its forms, to mailboxes of both backends, and refused without losing step."""

import imaplib
import re
import time

from crooked import DOWN, UP, Crooked
from imap_client import Literal, message, quoted
from marks import ours
from murder import IMAP


def two(world):
    """A session, and a mailbox of each backend."""
    user = world.user("backend1")
    return world.client(user), "INBOX", world.shared("backend2")


def items(session, number, what="FLAGS INTERNALDATE"):
    return session.command(f"FETCH {number} ({what})").ok().of("FETCH")[0].raw


def date(session, number):
    return time.mktime(imaplib.Internaldate2tuple(items(session, number)))


def test_append_with_each_literal(world):
    session, *boxes = two(world)
    for box in boxes:
        for plus in (False, True):
            assert session.append(box, message("plain"), plus=plus).ok().code.startswith("APPENDUID ")
            session.append(box, message("flags"), flags="(\\Seen \\Draft $Label)", plus=plus).ok()
            session.command("APPEND ", box, ' (\\Flagged) " 7-Feb-2021 12:34:56 +0100" ',
                            Literal(message("dated"), plus)).ok()
            session.command("APPEND ", box, ' "17-Feb-2021 12:34:56 +0100" ', Literal(message("date"), plus)).ok()
        assert session.exists(session.select(box).ok()) == 8
        assert session.body(1) == message("plain")
        assert b"\\Seen" in items(session, 2) and b"$Label" in items(session, 2)
        assert b"\\Flagged" in items(session, 3) and b"$Label" not in items(session, 3)
        assert date(session, 8) - date(session, 3) == 10 * 86400
    session.in_step()


def test_append_to_a_name_given_as_literal(world):
    session, *boxes = two(world)
    for box in boxes:
        for plus in (False, True):
            for message_plus in (False, True):
                session.command("APPEND ", Literal(box.encode(), plus), " (\\Seen) ",
                                Literal(message("x"), message_plus)).ok()
        assert session.exists(session.select(box).ok()) == 4
    session.in_step()


def test_multiappend(world):
    session, *boxes = two(world)
    for box in boxes:
        for plus in (False, True):
            answer = session.command("APPEND ", box, " (\\Seen) ", Literal(message("m1"), plus),
                                     ' " 7-Feb-2021 12:34:56 +0100" ', Literal(message("m2"), plus),
                                     " (\\Flagged) ", Literal(message("m3"), plus))
            answer.ok()
        assert session.exists(session.select(box).ok()) == 6
        assert session.body(6) == message("m3")
        assert b"\\Flagged" in items(session, 6)
    session.in_step()


def test_append_to_the_selected_mailbox_shows_it(world):
    session, inbox, box = two(world)
    session.select(inbox).ok()
    answer = session.append(inbox, message("one")).ok()
    news = answer.of("EXISTS") + session.command("NOOP").ok().of("EXISTS")
    assert news[-1].text == b"1 EXISTS"
    session.append(box, message("other")).ok()
    assert not session.command("NOOP").ok().of("EXISTS")
    assert session.body(1) == message("one")


def test_append_to_a_missing_mailbox(world):
    session, *_ = two(world)
    for box in ("INBOX.nosuch", "nosuch", quoted("no such")):
        for plus in (False, True):
            code = "TRYCREATE" if not world.oracle_only else None
            session.command("APPEND ", box, " ", Literal(message("lost"), plus)).no(code)
            session.command("APPEND ", box, " (\\Seen) ", Literal(message("lost", 200_000), plus)).no(code)
            session.in_step()
    session.command("APPEND nosuch ", Literal(message("m1"), True), " (\\Seen) ", Literal(message("m2"), True)).no()
    session.append("INBOX", message("kept")).ok()
    session.in_step()


@ours
def test_append_refused_by_the_backend(world):
    """The backend's own NO and BAD, with the message drained. (Cyrus' frontend answers twice.)"""
    user = world.user("backend1")
    session = world.client(user)
    readonly = world.shared("backend2", rights="lrs")
    for plus in (False, True):
        session.append(readonly, message("no"), plus=plus).no()
        session.append(readonly, message("no", 300_000), plus=plus).no()
        session.in_step()
        session.command('APPEND INBOX "not a date" ', Literal(message("x"), plus)).bad()
        session.command("APPEND INBOX (\\Nosuch) ", Literal(message("x"), plus)).must("BAD", "NO", "OK")
        session.in_step()


def test_append_with_wrong_arguments(world):
    session, *_ = two(world)
    session.command("APPEND").bad()
    session.command("APPEND INBOX").bad()
    session.command("APPEND INBOX ").bad()
    session.command("APPEND INBOX (\\Seen)").must("BAD", "NO")
    session.in_step()


@ours
def test_append_garbage_after_the_message(world):
    """Cyrus' frontend closes; a session that stays has to stay in step."""
    session, *_ = two(world)
    session.command("APPEND INBOX ", Literal(message("x"), plus=True), "garbage").must("BAD", "NO")
    session.command("APPEND INBOX ", Literal(message("x")), " garbage").must("BAD", "NO")
    session.in_step()
    session.append("INBOX", message("good")).ok()
    session.in_step()


def test_append_literal8(world):
    """~{n}: for a backend with BINARY; refused where that is not announced, in step either way."""
    session, inbox, _ = two(world)
    text = message("bin")
    answer = session.finish(session.start("APPEND INBOX ~{%d+}\r\n" % len(text), text))
    session.in_step()
    if "BINARY" in session.capabilities():
        answer.ok()
        session.select(inbox).ok()
        assert session.body(1) == text
    else:
        answer.must("BAD", "NO")
    session.in_step()


def test_append_of_nothing_and_of_odd_sizes(world):
    session, *boxes = two(world)
    session.append("INBOX", b"").must("NO", "OK")
    session.in_step()
    for box in boxes:
        sizes = [65_535, 65_536, 65_537, 131_072, 200_001]
        for size in sizes:
            # exactly this size: the edges of what is spliced
            data = message("edge", size - 300)
            data += b"y" * (size - len(data) - 2) + b"\r\n"
            session.append(box, data, plus=size % 2 == 0).ok()
        first = session.exists(session.select(box).ok()) - len(sizes) + 1
        for n, size in enumerate(sizes):
            assert len(session.body(first + n)) == size
    session.in_step()


@ours
def test_append_cut_off_by_the_client(world):
    """A client that goes away within its message leaves nothing behind."""
    user, box = world.user("backend1"), world.shared("backend2")
    for size in (1000, 1_000_000):
        session = world.client(user)
        session.send(b"a APPEND %s {%d+}\r\n" % (box.encode(), size) + message("half", size // 2))
        session.close()
    session = world.client(user)
    assert session.exists(session.select(box).ok()) == 0
    session.append(box, message("whole")).ok()
    session.in_step()


PARTS = b"From: a@example.test\r\nSubject: put together\r\n\r\n"


def catenated(session, box, *parts):
    """APPEND … CATENATE of URLs (text) and texts (bytes)."""
    pieces = ["APPEND ", quoted(box), " (\\Seen) CATENATE ("]
    for n, part in enumerate(parts):
        pieces.append(" " if n else "")
        pieces += [f'URL "{part}"'] if isinstance(part, str) else ["TEXT ", Literal(part, n % 2 == 0)]
    return session.command(*pieces, ")")


def test_catenate_at_each_backend(world):
    for backend in ("backend1", "backend2"):
        user = world.user(backend)
        session = world.client(user)
        assert "CATENATE" in session.capabilities()
        session.append("INBOX", message("first", 5000)).ok()
        session.append("INBOX", message("second", 5000)).ok()
        url = "/INBOX/;UID={}/;SECTION=TEXT"
        catenated(session, "INBOX", PARTS, url.format(1), b"between\r\n", url.format(2)).ok()
        catenated(session, "INBOX", "/INBOX/;UID=1").ok()
        session.select("INBOX").ok()
        bodies = [message(name, 5000).partition(b"\r\n\r\n")[2] for name in ("first", "second")]
        assert session.body(3) == PARTS + bodies[0] + b"between\r\n" + bodies[1]
        assert session.body(4) == message("first", 5000)
        # a URL may be relative to the mailbox that is selected
        catenated(session, "INBOX", PARTS, ";UID=2/;SECTION=TEXT", b"end\r\n").ok()
        assert session.body(5) == PARTS + bodies[1] + b"end\r\n"


def test_catenate_refused(world):
    user, there = world.user("backend1"), world.shared("backend2")
    session = world.client(user)
    session.append("INBOX", message("first")).ok()
    catenated(session, "INBOX", PARTS, "/INBOX/;UID=99").no("BADURL")
    catenated(session, "INBOX", "imap://elsewhere.test/INBOX/;UID=1").no("BADURL")
    session.command("APPEND INBOX CATENATE ()").bad()
    session.command("APPEND INBOX CATENATE (URL").bad()
    session.command("APPEND INBOX CATENATE (X ", Literal(b"a1 LOGOUT\r\n", True), ")").bad()
    session.in_step()
    session.select("INBOX").ok()
    assert session.exists(session.select("INBOX").ok()) == 1
    session.select(there).ok()
    assert session.exists(session.select(there).ok()) == 0


@ours
def test_catenate_from_another_backend_is_refused(world):
    user, there = world.user("backend1"), world.shared("backend2")
    session = world.client(user)
    session.append("INBOX", message("first")).ok()
    catenated(session, there, PARTS, "/INBOX/;UID=1").no("BADURL")
    catenated(session, "nosuch", PARTS, "/INBOX/;UID=1").no("TRYCREATE")
    session.in_step()


@ours
def test_what_no_backend_has_is_refused_before_the_message(world):
    session = world.client(world.user())
    session.append("INBOX", message("first")).ok()
    session.select("INBOX").ok()
    smuggled = Literal(b"x LOGOUT\r\n", True)
    session.command("APPEND INBOX UTF8 (", smuggled, ")").bad()
    session.command("APPEND INBOX (\\Seen) X (", smuggled, ")").bad()
    session.command("REPLACE 1 INBOX").bad()
    session.in_step()


@ours
def test_a_message_is_never_read_as_commands(world):
    """What a backend may not take it is asked for first: a message over its limit, a second one, one with NULs."""
    user, net = world.user("backend1"), world.murder.net
    smuggled = b"A: b\r\n\r\nx CREATE INBOX.smuggled\r\n" + b"c" * 300

    def hide(data):
        return data.replace(b"APPENDLIMIT=4294967295", b"APPENDLIMIT=200").replace(b" MULTIAPPEND", b"").replace(b" BINARY", b"")
    heard = []
    with Crooked((f"{net}.202", IMAP), world.murder.address("backend1")) as one:
        one.edits.update({DOWN: hide, UP: lambda data: heard.append(data) or data})
        session = world.client(user, world.another(backend1=f"{net}.202").start())
        session.command("APPEND INBOX ", Literal(smuggled, True)).ok()
        assert b"{%d}\r\n" % len(smuggled) in b"".join(heard), "asked for"
        session.command("APPEND INBOX ", Literal(message("small"), True)).ok()
        assert re.search(rb"\{\d+\+\}\r\n", b"".join(heard)), "not asked for"
        session.command("APPEND INBOX ", Literal(b"A: b\r\n\r\n", True), " ", Literal(smuggled, True)).must("BAD", "NO")
        assert b"INBOX.smuggled" not in session.listed_names('LIST "" *')
        session.in_step()
        session.command("LOGOUT").ok()
