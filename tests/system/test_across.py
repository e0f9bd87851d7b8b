"""COPY and MOVE between mailboxes of two backends: all or none, nothing lost, and the client told what is where."""

import re
from contextlib import contextmanager

from crooked import DOWN, Crooked
from imap_client import Literal, message, quoted
from marks import ours
from murder import IMAP

DATE = '" 7-Feb-2021 12:34:56 +0100"'


def fill(session, box, count=3, size=0):
    """Messages with flags, keywords and a date; UIDs with a gap, since the first is expunged."""
    session.append(box, message("gone")).ok()
    for n in range(count):
        flags = f"(\\Seen $n{n})" if n % 2 else f"(\\Flagged \\Answered n{n})"
        session.command("APPEND ", quoted(box), f" {flags} {DATE} ", Literal(message(f"m{n}", size), True)).ok()
    session.select(box).ok()
    session.command("STORE 1 +FLAGS (\\Deleted)").ok()
    session.command("EXPUNGE").ok()


def two(world, count=3, size=0):
    """A session with messages in INBOX at backend1 selected, and a mailbox at backend2."""
    user, there = world.user("backend1"), world.shared("backend2")
    session = world.client(user)
    fill(session, "INBOX", count, size)
    return session, there


def facts(session, number, uid=False):
    got = session.command("UID " if uid else "", f"FETCH {number} (UID FLAGS INTERNALDATE)").ok().of("FETCH")
    items = got[0].tree()[2]
    named = {items[n]: items[n + 1] for n in range(0, len(items), 2)}
    flags = {flag for flag in named[b"FLAGS"] if flag.lower() != b"\\recent"}
    return int(named[b"UID"]), flags, named[b"INTERNALDATE"]


def copyuid(text):
    found = re.search(rb"\[COPYUID (\d+) ([\d:,]+) ([\d:,]+)\]", text)
    assert found, text
    return int(found[1]), found[2].decode(), found[3].decode()


def count(session, box):
    return int(re.search(rb"MESSAGES (\d+)", session.command("STATUS ", quoted(box), " (MESSAGES)").ok().of("STATUS")[0].raw)[1])


@ours  # Cyrus' COPYUID lacks the source's UIDs
def test_copy_across_backends(world):
    session, there = two(world, 5)
    before = [facts(session, n) for n in range(1, 6)]
    answer = session.command("COPY 1:3,5 ", quoted(there)).ok()
    validity, source, target = copyuid(answer.tagged.raw)
    assert (source, target) == ("2:4,6", "1:4")
    assert [facts(session, n) for n in range(1, 6)] == before, "the source is as it was"
    bodies = [session.body(n) for n in (1, 2, 3, 5)]
    answer = session.select(there).ok()
    assert any(b"[UIDVALIDITY %d]" % validity in r.raw for r in answer.untagged)
    assert session.exists(answer) == 4
    for n, original in enumerate((before[0], before[1], before[2], before[4])):
        assert facts(session, n + 1)[1:] == original[1:]
        assert session.body(n + 1) == bodies[n]
    session.in_step()


@ours
def test_uid_copy_and_back_with_every_kind_of_set(world):
    session, there = two(world, 4)
    assert copyuid(session.command("UID COPY 3,* ", quoted(there)).ok().tagged.raw)[1:] == ("3,5", "1:2")
    assert copyuid(session.command("COPY * ", quoted(there)).ok().tagged.raw)[1:] == ("5", "3")
    assert copyuid(session.command("UID COPY 99,4:3 ", quoted(there)).ok().tagged.raw)[1:] == ("3:4", "4:5")
    assert b"COPYUID" not in session.command("UID COPY 77:99 ", quoted(there)).ok().tagged.raw
    session.select(there).ok()
    assert copyuid(session.command("UID COPY 1:* INBOX").ok().tagged.raw)[1:] == ("1:5", "6:10")
    assert (count(session, there), count(session, "INBOX")) == (5, 9)
    session.in_step()


@ours
def test_copy_across_of_what_is_not_there_is_answered_as_within(world):
    session, there = two(world)
    session.command("CREATE INBOX.near").ok()
    for command in ("COPY 9", "COPY 0", "COPY x", "UID COPY 99", "COPY 1:9"):
        near, far = (session.command(f"{command} ", quoted(box)) for box in ("INBOX.near", there))
        assert near.status == far.status, (command, near.text, far.text)
    session.in_step()


def test_move_to_nonexistent(world):
    """Nor COPY: to a name that nobody has, and to one that has just been deleted."""
    session = world.client(world.user("backend1"))
    fill(session, "INBOX")
    session.command("CREATE INBOX.gone").ok()
    session.command("DELETE INBOX.gone").ok()
    for target in ("nosuch", "INBOX.nosuch", "INBOX.gone"):
        for command in ("MOVE", "COPY", "UID MOVE", "UID COPY"):
            session.command(f"{command} 2:3 {target}").no(None if world.oracle_only else "TRYCREATE")
    assert session.exists(session.select("INBOX").ok()) == 3
    session.in_step()


def test_move_without_right_to_the_target(world):
    session, closed = two(world)[0], world.shared("backend2", "lr")
    session.command("COPY 1:2 ", quoted(closed)).no()
    session.command("MOVE 1:2 ", quoted(closed)).no()
    assert session.exists(session.select("INBOX").ok()) == 3
    session.in_step()


@ours  # Cyrus 3.6.1 leaves the source where it was
def test_move_across_backends(world):
    session, there = two(world, 4)
    session.command("STORE 1 +FLAGS (\\Deleted)").ok()  # deleted, and not to be expunged by the way
    before, body = facts(session, 3), session.body(3)
    answer = session.command("MOVE 2:3 ", quoted(there)).ok()
    told = [r for r in answer.untagged if b"COPYUID" in r.raw]
    assert copyuid(told[0].raw)[1:] == ("3:4", "1:2")
    gone = [r.raw.split()[1] for r in answer.of("EXPUNGE")]
    assert len(gone) == 2 and answer.untagged.index(told[0]) < answer.untagged.index(answer.of("EXPUNGE")[0])
    assert count(session, "INBOX") == 2
    assert facts(session, 1)[1] >= {b"\\Deleted"}
    session.select(there).ok()
    assert facts(session, 2)[1:] == before[1:] and session.body(2) == body
    assert b"\\Deleted" not in facts(session, 1)[1]
    session.command("UID MOVE 1:* INBOX").ok()
    assert (count(session, there), count(session, "INBOX")) == (0, 4)
    session.in_step()


@ours
def test_move_across_tells_vanished_under_qresync(world):
    session, there = two(world, 3)
    session.command("ENABLE QRESYNC").ok()
    answer = session.command("UID MOVE 2:3 ", quoted(there)).ok()
    assert b"VANISHED 2:3" in answer.of("VANISHED")[0].raw, [r.raw for r in answer.untagged]
    assert not answer.of("EXPUNGE")


@ours
def test_move_no_expunge_acl(world):
    user, there = world.user("backend1"), world.shared("backend2")
    world.admin("backend1").command(f"SETACL user.{user} {user} lrswipkxt").ok()
    source = world.shared("backend1", "lrswipt")
    session = world.client(user)
    session.append(source, message("stays")).ok()
    session.select(source).ok()
    session.command("MOVE 1 ", quoted(there)).no("NOPERM")
    assert (count(session, source), count(session, there)) == (1, 0)
    assert b"\\Deleted" not in facts(session, 1)[1]
    session.command("COPY 1 ", quoted(there)).ok()
    session.in_step()


@ours
def test_copy_across_over_quota(world):
    user, other = world.user("backend1"), world.user("backend2")
    target = f"user.{other}"
    admin = world.admin("backend2")
    admin.command(f"SETACL {target} {user} lrswipte").ok()
    world.await_name(target)
    admin.command(f"SETQUOTA {target} (STORAGE 30)").ok()
    session = world.client(user)
    fill(session, "INBOX", 4, 12_000)
    for command in ("COPY 1:4 ", "MOVE 1:4 "):
        answer = session.command(command, quoted(target)).no()
        assert "quota" in answer.text, answer.text
        assert count(session, target) == 0, "all or none"
        assert count(session, "INBOX") == 4
    session.command("COPY 1:2 ", quoted(target)).ok()
    session.in_step()


@contextmanager
def without(world, *names):
    """A frontend of ours before a backend2 that doesn't announce these capabilities."""
    host = f"{world.murder.net}.204"
    with Crooked((host, IMAP), world.murder.address("backend2")) as forwarder:
        def hide(data):
            for name in names:
                data = data.replace(b" " + name.encode() + b" ", b" ")
            return data
        forwarder.edits[DOWN] = hide
        yield world.another(backend2=host).start()


@ours
def test_copy_without_multiappend_takes_back_what_it_appended(world):
    user, other = world.user("backend1"), world.user("backend2")
    target = f"user.{other}"
    admin = world.admin("backend2")
    admin.command(f"SETACL {target} {user} lrswipte").ok()
    world.await_name(target)
    with without(world, "MULTIAPPEND") as frontend:
        session = world.client(user, frontend)
        fill(session, "INBOX", 4, 12_000)
        session.append(target, message("was there")).ok()
        admin.command(f"SETQUOTA {target} (STORAGE 30)").ok()
        answer = session.command("COPY 1:4 ", quoted(target)).no()
        assert "quota" in answer.text and count(session, target) == 1, answer.text
        assert copyuid(session.command("COPY 1:2 ", quoted(target)).ok().tagged.raw)[1] == "2:3"
        assert count(session, target) == 3
        # without the right to remove them the client is told that they stay
        admin.command(f"SETQUOTA {target} (STORAGE 44)").ok()
        admin.command(f"SETACL {target} {user} lrswip").ok()
        answer = session.command("COPY 1:4 ", quoted(target)).no()
        assert any(b"* NO 1 messages stay" in r.raw for r in answer.untagged), [r.raw for r in answer.untagged]
        session.in_step()
        session.command("LOGOUT").ok()


@ours
def test_move_needs_uidplus_at_the_source(world):
    user, source = world.user("backend1"), world.shared("backend2")
    with without(world, "UIDPLUS") as frontend:
        session = world.client(user, frontend)
        session.append(source, message("stays")).ok()
        session.select(source).ok()
        session.command("MOVE 1 INBOX").no("CANNOT")
        session.command("COPY 1 INBOX").ok()
        assert (count(session, source), count(session, "INBOX")) == (1, 1)
        session.command("LOGOUT").ok()


@ours
def test_news_of_the_source_come_through_a_copy(world):
    user, there = world.user("backend1"), world.shared("backend2")
    session, other = world.client(user), world.client(user)
    fill(session, "INBOX", 3)
    other.append("INBOX", message("new")).ok()
    other.select("INBOX").ok()
    other.command("STORE 1 +FLAGS (\\Draft)").ok()
    answer = session.command("COPY 1 ", quoted(there)).ok()
    answer.untagged += session.command("NOOP").ok().untagged
    assert answer.of("EXISTS") and any(b"\\Draft" in r.raw for r in answer.of("FETCH")), answer.untagged
    assert session.body(4) == message("new")
    assert count(session, there) == 1, "what has news is copied nevertheless"
    other.command("STORE 2:3 +FLAGS (\\Draft)").ok()
    answer = session.command("MOVE 1:4 ", quoted(there)).ok()
    assert (count(session, "INBOX"), count(session, there)) == (0, 5), answer.untagged
    assert sum(b"\\Draft" in r.raw for r in answer.of("FETCH")) >= 2


@ours
def test_sets_with_many_gaps(world):
    """COPYUID may be a line of more than 16 KiB (here the backend's is made longer); what is moved is removed in pieces."""
    user, there = world.user("backend1"), world.shared("backend2")
    net, total = world.murder.net, 1000
    long = b",".join(b"%d" % uid for uid in range(1, 9000, 2))
    with Crooked((f"{net}.202", IMAP), world.murder.address("backend1")) as one:
        one.edits[DOWN] = lambda data: re.sub(rb"(OK \[COPYUID \d+) [\d:,]+ ([\d:,]+\])", rb"\1 %s \2" % long, data)
        session = world.client(user, world.another(backend1=f"{net}.202").start())
        for box in ("INBOX.same", "INBOX.gaps"):
            session.command("CREATE ", box).ok()
        more = [part for n in range(total) for part in (Literal(b"A: b\r\n\r\n", True), " ")]
        session.command("APPEND INBOX.gaps ", *more[:-1]).ok()
        session.select("INBOX.gaps").ok()
        odd = ",".join(str(uid) for uid in range(1, total, 2))
        session.command(f"UID STORE {odd} +FLAGS.SILENT (\\Deleted)").ok()
        session.command("EXPUNGE").ok()
        assert copyuid(session.command("UID COPY 1:9 INBOX.same").ok().tagged.raw)[1].encode() == long
        answer = session.command("UID MOVE 1:* ", quoted(there)).ok()
        told = b"".join(r.raw for r in answer.untagged if b"COPYUID" in r.raw)
        assert len(copyuid(told)[1].split(",")) == len(answer.of("EXPUNGE")) == total // 2
        assert (count(session, "INBOX.gaps"), count(session, there)) == (0, total // 2)
        session.in_step()
        session.command("LOGOUT").ok()


@ours
def test_large_and_small_messages_across(world):
    session, there = two(world, 1)
    sizes = [100, 70_000, 3_000_000, 1_048_577, 1_048_000, 20, 900_000]
    for n, size in enumerate(sizes):
        session.append("INBOX", message(f"large {n}", size)).ok()
    session.command("NOOP").ok()
    session.command("COPY 2:8 ", quoted(there)).ok()
    session.select(there).ok()
    for n, size in enumerate(sizes):
        assert session.body(n + 1) == message(f"large {n}", size), size


@ours
def test_a_thousand_messages_across(world):
    session, there = two(world, 1)
    one = message("one of many", 2000)
    for _ in range(10):
        parts = [Literal(one, True) if n % 2 else " " for n in range(200)]
        session.command("APPEND INBOX", *parts).ok()
    session.command("NOOP").ok()
    assert copyuid(session.command("COPY 2:1001 ", quoted(there)).ok().tagged.raw)[1:] == ("3:1002", "1:1000")
    session.command("UID MOVE 3:1002 ", quoted(there)).ok()
    assert (count(session, "INBOX"), count(session, there)) == (1, 2000)
    session.in_step()


def replace(session, number, box, new, uid="", plus=True):
    return session.command(f"{uid}REPLACE {number} ", quoted(box), f" (\\Draft) {DATE} ", Literal(new, plus))


def replaces(world, across):
    """REPLACE and UID REPLACE of one message out of several, whose UIDs aren't their numbers."""
    session, there = two(world, 4)
    box = there if across else "INBOX"
    assert "REPLACE" in session.capabilities()
    session.command("STORE 4 +FLAGS (\\Deleted)").ok()  # not to be expunged by the way
    for step, (uid, plus) in enumerate([("", True), ("", False), ("UID ", True), ("UID ", False)]):
        session.append("INBOX", message("old")).ok()
        session.command("NOOP").ok()
        number, last = count(session, "INBOX"), facts(session, "*")[0]
        new = message(f"new {step}", 100_000)
        answer = replace(session, last if uid else number, box, new, uid, plus).ok()
        told = [r.raw for r in answer.untagged if b"[APPENDUID " in r.raw]
        assert len(told) == 1 and len(answer.of("EXPUNGE")) == 1, [r.raw for r in answer.untagged]
        there_uid = int(re.search(rb"APPENDUID \d+ (\d+)", told[0])[1])
        session.select(box).ok()
        assert session.body(there_uid, uid=True) == new
        assert b"\\Draft" in facts(session, there_uid, uid=True)[1]
        session.select("INBOX").ok()
        assert not session.command(f"UID FETCH {last} (UID)").ok().of("FETCH")
        assert b"\\Deleted" in facts(session, 4)[1]
    session.in_step()


@ours  # Cyrus 3.6.1 has no REPLACE
def test_replace_same_backend(world):
    replaces(world, across=False)


@ours
def test_replace_across_backends(world):
    replaces(world, across=True)


@ours
def test_replace_refused_leaves_the_old_message(world):
    session, there = two(world, 2)
    before = [facts(session, n) for n in (1, 2)]
    for plus in (True, False):
        for number, box in ((9, "INBOX"), ("1:2", "INBOX"), (1, "nosuch"), (9, there), (1, world.shared("backend2", "lr"))):
            replace(session, number, box, message("new"), "", plus).must("NO", "BAD")
            session.in_step()
    session.command("REPLACE 1").bad()
    session.command("REPLACE 1 INBOX").bad()
    session.command("REPLACE x INBOX ", Literal(b"x LOGOUT\r\n", True)).bad()
    session.command("EXPUNGE").ok()
    assert [facts(session, n) for n in (1, 2)] == before
    assert (count(session, "INBOX"), count(session, there)) == (2, 0)
    session.command("UNSELECT").ok()
    replace(session, 1, "INBOX", message("new")).bad()
    session.in_step()


@ours
def test_replace_needs_the_right_to_remove(world):
    session, source = two(world, 1)[0], world.shared("backend1", "lrswipt")
    session.append(source, message("stays")).ok()
    session.select(source).ok()
    replace(session, 1, "INBOX", message("new")).no("NOPERM")
    assert (count(session, source), count(session, "INBOX")) == (1, 1)
