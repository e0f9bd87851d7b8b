"""IDLE: news arrive while it lasts, DONE ends it, with a mailbox selected and without."""

from imap_client import message
from marks import ours


def idle(session):
    tag = session.start("IDLE")
    while (got := session.response()).tag != b"+":
        assert got.tag == b"*", got.raw
    return tag


def done(session, tag):
    session.send(b"DONE\r\n")
    return session.finish(tag).ok()


def test_idle_shows_what_others_do(world):
    user, box = world.user("backend1"), world.shared("backend2")
    for name in ("INBOX", box):
        session, other = world.client(user), world.client(user)
        session.select(name).ok()
        for _ in range(2):
            tag = idle(session)
            other.append(name, message("news")).ok()
            assert session.untagged("EXISTS")
            done(session, tag)
            session.in_step()
        other.select(name).ok()
        tag = idle(session)
        other.command("STORE 1 +FLAGS (\\Deleted)").ok()
        other.command("EXPUNGE").ok()
        assert session.untagged("EXPUNGE").text == b"1 EXPUNGE"
        done(session, tag)
        assert session.body(1) == message("news")
        session.in_step()


def test_idle_with_nothing_selected(world):
    session = world.client(world.user())
    for _ in range(2):
        done(session, idle(session))
        session.in_step()
    session.select("INBOX").ok()
    session.command("UNSELECT").ok()
    done(session, idle(session))
    session.in_step()


@ours
def test_idle_done_at_once(world):
    """DONE in the same segment as IDLE, and a command behind it."""
    session = world.client(world.user())
    for select in (False, True):
        if select:
            session.select("INBOX").ok()
        session.waiting += [b"i", b"n"]
        session.send(b"i IDLE\r\nDONE\r\nn NOOP\r\n")
        while (got := session.response()).tag == b"*":
            pass
        assert got.tag == b"+", got.raw
        session.finish(b"i").ok()
        session.finish(b"n").ok()
        session.in_step()


def test_idle_ended_by_something_else(world):
    session = world.client(world.user())
    for select in (False, True):
        if select:
            session.select("INBOX").ok()
        tag = idle(session)
        session.send(b"NOT DONE\r\n")
        session.finish(tag).bad()
        session.in_step()


def test_idle_of_a_client_that_goes_away(world):
    user = world.user()
    for _ in range(10):
        session = world.client(user)
        session.select("INBOX").ok()
        idle(session)
        session.close()
    world.client(user).select("INBOX").ok()


@ours
def test_idle_on_both_backends_in_turn(world):
    user, box = world.user("backend1"), world.shared("backend2")
    session, other = world.client(user), world.client(user)
    for name in ("INBOX", box, "INBOX", box):
        session.select(name).ok()
        tag = idle(session)
        other.append(name, message("x")).ok()
        session.untagged("EXISTS")
        done(session, tag)
    session.in_step()
