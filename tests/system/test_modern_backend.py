"""What no Debian server can do yet, and the frontend passes on where all backends can: UTF8=ACCEPT, IMAP4rev2, UIDONLY, REPLACE.

The backends are Cyrus behind forwarders that announce these, note what they are told, and say the parts that
Cyrus doesn't know in older words: names in UTF-8 become modified UTF-7, REPLACE an APPEND, APPEND with UTF8 one
without; UIDONLY is QRESYNC, where message numbers are refused and FETCH responses become UIDFETCH (RFC 9586).
"""

import re
from contextlib import contextmanager

from crooked import DOWN, UP, Overheard
from imap_client import Literal, message
from marks import ours
from murder import IMAP
from test_across import copyuid, count

ANNOUNCED = b"UTF8=ACCEPT IMAP4rev2 UIDONLY REPLACE"
NAME, STORED = "Entwürfe", b"Entw&APw-rfe"
NUMBERED = rb"^(\S+) (?:FETCH|STORE|SEARCH|SORT|THREAD|COPY|MOVE|REPLACE) "
REFUSED = b"BAD [UIDREQUIRED] Message numbers are not allowed after UIDONLY is enabled"


class Modern(Overheard):
    def __init__(self, address, target):
        super().__init__(address, target)
        self.said = b""  # what the frontend was told
        self.edits = {UP: self.up, DOWN: self.down}
        self.utf8 = self.uidonly = False

    def up(self, data):
        self.listen_in(data)
        name = NAME.encode()
        if b" UTF8 (" in data:
            self.utf8, data = True, data.replace(b" UTF8 (", b" ")
        if self.utf8 and data.endswith(b")\r\n"):
            self.utf8, data = False, data[:-3] + b"\r\n"
        if re.search(rb"RVN ENABLE [^\r]*UIDONLY", data):
            self.uidonly, data = True, data.replace(b"UIDONLY", b"QRESYNC")
        if self.uidonly:
            data = re.sub(NUMBERED, rb"\1 UIDREQUIRED ", data, flags=re.M)
        data = re.sub(rb"\{%d\+?\}\r\n([A-Z.]*)%s" % (len(b"INBOX." + name), re.escape(name)),
                      lambda found: b'"' + found.group(1) + STORED + b'"', data)
        return re.sub(rb"REPLACE \d+ ", b"APPEND ", data.replace(b" UID REPLACE", b" REPLACE"))

    def down(self, data):
        if self.uidonly:
            data = data.replace(b"BAD Unrecognized command", REFUSED)
            data = re.sub(rb"^\* \d+ FETCH \(([^\r]*)", uidfetch, data, flags=re.M)
        self.said += data
        return data.replace(b" IMAP4rev1 ", b" IMAP4rev1 " + ANNOUNCED + b" ").replace(
            b"[CAPABILITY IMAP4rev1 ", b"[CAPABILITY IMAP4rev1 " + ANNOUNCED + b" ")


def uidfetch(found):
    """A FETCH response with its UID as one of UIDONLY."""
    items = found.group(1)
    uid = re.search(rb"\bUID (\d+) ?", items)
    return b"* " + uid.group(1) + b" UIDFETCH (" + (items[:uid.start()] + items[uid.end():]).replace(b" )", b")")


@contextmanager
def modern(world):
    """A frontend of ours whose backends both go through such forwarders, and these."""
    net = world.murder.net
    with Modern((f"{net}.202", IMAP), world.murder.address("backend1")) as one, \
            Modern((f"{net}.203", IMAP), world.murder.address("backend2")) as two:
        yield world.another(backend1=f"{net}.202", backend2=f"{net}.203").start(), one, two


def enable(session, *names):
    got = session.command("ENABLE ", " ".join(names)).ok().of("ENABLED")
    assert set(got[0].text.decode().split()[1:]) == set(names), got[0].raw


@ours
def test_modern_extensions_are_enabled_at_every_backend(world):
    user, there = world.user("backend1"), world.shared("backend2")
    with modern(world) as (frontend, one, two):
        session = world.client(user, frontend)
        assert set(ANNOUNCED.decode().upper().split()) <= session.capabilities()
        session.command("STATUS INBOX (MESSAGES)").ok()
        enable(session, "UTF8=ACCEPT", "UIDONLY", "IMAP4rev2")
        session.command(f"STATUS {there} (MESSAGES)").ok()
        for backend in (one, two):
            asked = re.findall(rb"RVN ENABLE ([^\r]*)\r\n", backend.heard)
            assert [set(line.split()) for line in asked] == [{b"UTF8=ACCEPT", b"UIDONLY", b"IMAP4rev2"}], asked
        assert two.heard.index(b"ENABLE") < two.heard.index(b"STATUS")
        session.command("LOGOUT").ok()


@ours
def test_modern_names_in_utf8(world):
    user = world.user("backend1")
    with modern(world) as (frontend, one, _):
        session = world.client(user, frontend)
        name = f"INBOX.{NAME}".encode()
        quoted = b'"' + name + b'"'
        session.command("CREATE ", quoted).no("CANNOT")  # 8 bits aren't modified UTF-7
        enable(session, "UTF8=ACCEPT")
        session.command("CREATE ", quoted).ok()
        assert name in one.heard, one.heard[-200:]
        assert session.listed_names('LIST "" INBOX*') == {b"INBOX", name}
        for pattern in (name, "INBOX.Entwü*".encode(), "INBOX.%ürfe".encode(), "%.Entw%fe".encode(), "INBOX.*ü*".encode()):
            assert session.listed_names(b'LIST "" "' + pattern + b'"') == {name}, pattern
        assert session.listed_names('LIST "" "INBOX.ü*"'.encode()) == set()
        session.command("MYRIGHTS ", quoted).ok()
        session.command("STATUS ", Literal(name, True), " (MESSAGES)").ok()
        session.command("SELECT ", quoted).ok()
        session.command(b'CREATE "INBOX.\xff"').no("CANNOT")
        old = world.client(user, frontend)
        assert old.listed_names('LIST "" INBOX*') == {b"INBOX", b"INBOX." + STORED}
        session.command("LOGOUT").ok()


@ours
def test_modern_replace_is_streamed(world):
    user, there = world.user("backend1"), world.shared("backend2")
    with modern(world) as (frontend, one, _):
        session = world.client(user, frontend)
        session.append("INBOX", message("old")).ok()
        session.command("REPLACE 1 INBOX ", Literal(b"x", True)).must("BAD", "NO")  # nothing is selected
        session.select("INBOX").ok()
        for number, (uid, plus) in enumerate([("", True), ("", False), ("UID ", True), ("UID ", False)]):
            new = message(f"new {number}", 200_000)
            session.command(f"{uid}REPLACE 1 INBOX (\\Seen) ", Literal(new, plus)).ok()
            assert session.body(2 + number) == new
            assert f"{uid}REPLACE 1 INBOX (\\Seen) {{".encode() in one.heard
        session.command("REPLACE 1 nosuch ", Literal(b"x LOGOUT\r\n", True)).no("TRYCREATE")
        session.in_step()
        session.command("LOGOUT").ok()


@ours
def test_modern_closed_under_imap4rev2(world):
    user, there = world.user("backend1"), world.shared("backend2")
    with modern(world) as (frontend, _, _):
        session = world.client(user, frontend)
        enable(session, "IMAP4rev2")
        session.select("INBOX").ok()
        answer = session.select(there).ok()
        assert b"[CLOSED]" in answer.untagged[0].raw
        session.command("LOGOUT").ok()


@ours
def test_append_utf8(world):
    """A message with a header in UTF-8 goes as it came, with its UTF8, and only once that is enabled."""
    user, there = world.user("backend1"), world.shared("backend2")
    text = "From: a@example.test\r\nSubject: you are a ☀\r\n\r\nHello\r\n".encode()
    with modern(world) as (frontend, *forwarders):
        session = world.client(user, frontend)
        for box, forwarder in zip(("INBOX", there), forwarders):
            session.command(f"STATUS {box} (MESSAGES)").ok()
            if box == "INBOX":
                session.command(f"APPEND {box} UTF8 (~", Literal(text, True), ")").bad()
                assert b"UTF8" not in forwarder.heard
                enable(session, "UTF8=ACCEPT")
            for tilde in ("~", ""):
                for plus in (True, False):
                    session.command(f"APPEND {box} (\\Seen) UTF8 ({tilde}", Literal(text, plus), ")").ok()
            sent = b"APPEND %s (\\Seen) UTF8 (~{%d}\r\n%s)\r\n" % (box.encode(), len(text), text)
            assert forwarder.heard.count(sent) == 2, forwarder.heard[-600:]
            assert forwarder.heard.count(sent.replace(b"~", b"")) == 2
            session.select(box).ok()
            kept = text.replace("☀".encode(), b"XXX")  # Cyrus 3.6.1 keeps no 8 bits in a header
            assert [session.body(n) for n in (1, 2, 3, 4)] == [kept] * 4
        session.in_step()
        session.command("LOGOUT").ok()


def uids_only(world, frontend):
    """A session with UIDONLY at INBOX, which has the UIDs 2 to 5."""
    session = world.client(world.user("backend1"), frontend)
    for n in range(1, 6):
        session.append("INBOX", message(f"m{n}")).ok()
    session.select("INBOX").ok()
    session.command("STORE 1 +FLAGS (\\Deleted)").ok()
    session.command("EXPUNGE").ok()
    enable(session, "UIDONLY")
    return session


@ours
def test_uidonly(world):
    """The backend hears that it is enabled before anything else, and its answers pass as they are."""
    there = world.shared("backend2")
    with modern(world) as (frontend, one, two):
        session = uids_only(world, frontend)
        assert b"RVN ENABLE UIDONLY\r\n" in one.heard
        for command in ("FETCH 1:* (UID FLAGS)", "STORE 1 +FLAGS (\\Seen)", "SEARCH ALL", "COPY 1 INBOX", "MOVE 1 INBOX"):
            answer = session.command(command).bad()
            assert answer.tagged.raw == answer.tagged.tag + b" " + REFUSED + b"\r\n", answer.text
            assert answer.tagged.tag + b" " + command.encode() + b"\r\n" in one.heard, "untouched"
        answer = session.command("UID FETCH 1:* (FLAGS)").ok()
        assert [(r.word, int(r.raw.split()[1])) for r in answer.untagged] == [(b"UIDFETCH", uid) for uid in (2, 3, 4, 5)]
        answer = session.command("UID STORE 3 +FLAGS (\\Deleted)").ok()
        assert answer.of("UIDFETCH")[0].raw.startswith(b"* 3 UIDFETCH (")
        answer.untagged += session.command("EXPUNGE").ok().untagged
        assert b"VANISHED 3" in answer.of("VANISHED")[0].raw and not answer.of("EXPUNGE")
        for response in answer.untagged:
            assert response.raw in one.said
        session.select(there).ok()
        session.command("FETCH 1 FLAGS").bad()
        assert two.heard.index(b"ENABLE UIDONLY") < two.heard.index(b"SELECT")
        session.in_step()
        session.command("LOGOUT").ok()


@ours
def test_uidonly_across_backends(world):
    """COPY, MOVE and REPLACE to another backend read what a backend says then, and take no message numbers."""
    there = world.shared("backend2")
    with modern(world) as (frontend, one, _):
        session = uids_only(world, frontend)
        for command in (f"COPY 1 {there}", f"MOVE 1 {there}"):
            assert session.command(command).bad().code == "UIDREQUIRED", command
        answer = session.command(f"REPLACE 1 {there} ", Literal(b"x", True)).bad()
        assert answer.code == "UIDREQUIRED", answer.text
        assert count(session, there) == 0
        assert copyuid(session.command(f"UID COPY 2:3 {there}").ok().tagged.raw)[1:] == ("2:3", "1:2")
        answer = session.command(f"UID MOVE 3,5 {there}").ok()
        told = next(r.raw for r in answer.untagged if b"COPYUID" in r.raw)
        assert copyuid(told)[1:] == ("3,5", "3:4") and b"VANISHED 3,5" in answer.of("VANISHED")[0].raw
        new = message("new")
        answer = session.command(f"UID REPLACE 4 {there} ", Literal(new, True)).ok()
        assert b"VANISHED 4" in answer.of("VANISHED")[0].raw
        assert (count(session, "INBOX"), count(session, there)) == (1, 5)
        session.select(there).ok()
        got = session.command("UID FETCH 5 (BODY.PEEK[])").ok().of("UIDFETCH")
        assert len(got) == 1 and new in got[0].raw
        session.in_step()
        session.command("LOGOUT").ok()
