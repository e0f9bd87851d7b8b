"""ENABLE, CONDSTORE, QRESYNC and [CLOSED] over two backends: what a session has turned on holds at both."""

from imap_client import message
from marks import ours


def two(world):
    """A user with one message in INBOX at backend1 and one in a shared mailbox at backend2."""
    user, there = world.user("backend1"), world.shared("backend2")
    session = world.client(user)
    for box in ("INBOX", there):
        session.append(box, message(f"in {box}")).ok()
    return user, there, session


def enabled(answer):
    got = answer.ok().of("ENABLED")
    assert len(got) == 1, [r.raw for r in answer.untagged]
    return set(got[0].text.decode().upper().split()[1:])


def items(response):
    return [item.upper() for item in response.tree()[2] if isinstance(item, bytes)]


@ours  # without an extension it knows Cyrus' frontend says no ENABLED
def test_enable_says_what_is_new(world):
    _, _, session = two(world)
    assert {"ENABLE", "CONDSTORE", "QRESYNC"} <= session.capabilities()
    assert enabled(session.command("ENABLE X-NONSENSE")) == set()
    assert "CONDSTORE" in enabled(session.command("ENABLE CONDSTORE X-NONSENSE"))
    session.command("ENABLE").bad()
    session.command("ENABLE (CONDSTORE)").bad()
    session.in_step()


@ours
def test_enable_twice_is_nothing_new(world):
    _, _, session = two(world)
    assert enabled(session.command("ENABLE condstore")) == {"CONDSTORE"}
    assert enabled(session.command("ENABLE CONDSTORE QRESYNC")) == {"QRESYNC"}
    assert enabled(session.command("ENABLE QRESYNC")) == set()


def test_condstore_enabled_before_any_backend_holds_at_both(world):
    _, there, session = two(world)
    enabled(session.command("ENABLE CONDSTORE"))
    for box in ("INBOX", there, "INBOX"):
        session.select(box).ok()
        got = session.command("STORE 1 +FLAGS (\\Flagged)").ok().of("FETCH")
        got = got or session.command("STORE 1 -FLAGS (\\Flagged)").ok().of("FETCH")
        assert b"MODSEQ" in items(got[0]), got[0].raw


@ours  # Cyrus' frontend doesn't tell a backend whose connection is open already
def test_condstore_enabled_later_holds_at_open_connections(world):
    _, there, session = two(world)
    for box in ("INBOX", there):
        session.command(f"STATUS {box} (MESSAGES)").ok()
    session.select("INBOX").ok()
    enabled(session.command("ENABLE CONDSTORE"))
    for box in ("INBOX", there):
        session.select(box).ok()
        got = session.command("STORE 1 +FLAGS (\\Flagged)").ok().of("FETCH")
        assert b"MODSEQ" in items(got[0]), got[0].raw


@ours  # nor does it pass the parameter of SELECT on
def test_a_command_that_turns_condstore_on_does_so_everywhere(world):
    for number, command in enumerate(["SELECT INBOX (CONDSTORE)", "STATUS INBOX (HIGHESTMODSEQ)", "FETCH 1 (MODSEQ)"]):
        _, there, session = two(world)
        session.select(there).ok()
        if command.startswith("FETCH"):
            session.select("INBOX").ok()
        session.command(command).ok()
        session.select(there).ok()
        got = session.command(f"STORE 1 +FLAGS (f{number})").ok().of("FETCH")
        assert b"MODSEQ" in items(got[0]), (command, got[0].raw)


def test_select_condstore_gives_highestmodseq(world):
    _, there, session = two(world)
    for box in ("INBOX", there):
        answer = session.command(f"SELECT {box} (CONDSTORE)").ok()
        assert any(b"HIGHESTMODSEQ" in r.raw for r in answer.untagged), [r.raw for r in answer.untagged]


def modseq(answer):
    for response in answer.untagged:
        if b"[HIGHESTMODSEQ " in response.raw:
            return int(response.raw.split(b"[HIGHESTMODSEQ ")[1].split(b"]")[0])
    raise AssertionError([r.raw for r in answer.untagged])


def validity(answer):
    found = [r.raw for r in answer.untagged if b"[UIDVALIDITY " in r.raw]
    return int(found[0].split(b"[UIDVALIDITY ")[1].split(b"]")[0])


def test_qresync_parameters_and_vanished(world):
    user, there, session = two(world)
    enabled(session.command("ENABLE QRESYNC"))
    for box in ("INBOX", there):
        for n in range(3):
            session.append(box, message(f"more {n}")).ok()
        answer = session.select(box).ok()
        known, then = validity(answer), modseq(answer)
        other = world.client(user)
        other.select(box).ok()
        other.command("STORE 2 +FLAGS (\\Deleted)").ok()
        other.command("STORE 4 +FLAGS (\\Answered)").ok()
        other.command("EXPUNGE").ok()
        session.command("UNSELECT").ok()
        answer = session.command(f"SELECT {box} (QRESYNC ({known} {then} 1:4))").ok()
        vanished = answer.of("VANISHED")
        assert len(vanished) == 1 and b"(EARLIER) 2" in vanished[0].raw, [r.raw for r in answer.untagged]
        changed = answer.of("FETCH")
        assert len(changed) == 1 and b"UID 4" in changed[0].raw and b"\\Answered" in changed[0].raw, changed
        session.command("STORE 1 +FLAGS (\\Deleted)").ok()
        assert b"VANISHED 1" in session.command("EXPUNGE").ok().of("VANISHED")[0].raw


def test_qresync_without_enable_is_refused(world):
    _, _, session = two(world)
    session.command("SELECT INBOX (QRESYNC (1 1))").bad()
    session.in_step()


def closed(answer):
    return [n for n, r in enumerate(answer.untagged) if b"[CLOSED]" in r.raw]


@ours  # Cyrus' frontend gives none where the next mailbox is at another backend
def test_closed_where_the_server_changes(world):
    _, there, session = two(world)
    enabled(session.command("ENABLE QRESYNC"))
    assert not closed(session.select("INBOX").ok())
    for box in (there, "INBOX", "INBOX"):
        answer = session.select(box).ok()
        assert closed(answer) == [0], (box, [r.raw for r in answer.untagged])
    assert len(closed(session.select("nosuch").no())) == 1, "the old mailbox is closed all the same"
    session.command("FETCH 1 FLAGS").must("BAD", "NO")
    assert not closed(session.select("INBOX").ok()), "nothing was selected"
    session.command("UNSELECT").ok()
    assert not closed(session.select(there).ok()), "the client let go itself"


def test_no_closed_for_who_has_not_enabled_qresync(world):
    _, there, session = two(world)
    for box in ("INBOX", there, "INBOX"):
        assert not closed(session.select(box).ok())


@ours
def test_news_of_the_selected_mailbox_survive_enable(world):
    user, there, session = two(world)
    session.command(f"STATUS {there} (MESSAGES)").ok()
    session.select("INBOX").ok()
    other = world.client(user)
    other.append("INBOX", message("new")).ok()
    answer = session.command("ENABLE CONDSTORE")
    assert enabled(answer) == {"CONDSTORE"}
    later = session.command("NOOP").ok()
    assert answer.of("EXISTS") or later.of("EXISTS"), "the new message was kept from the client"


@ours
def test_suppressed_capabilities(world):
    user = world.user()
    frontend = world.another(proxy='suppress_capabilities = ["condstore", "MOVE"]').start()
    session = world.client(user, frontend)
    assert not session.capabilities() & {"CONDSTORE", "MOVE"}
    assert enabled(session.command("ENABLE CONDSTORE QRESYNC")) == {"QRESYNC"}
