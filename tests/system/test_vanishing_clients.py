"""Clients that vanish, stall, send a byte at a time, half-close or reset: what they held is let go of, what they are
owed they get."""

import socket
import time

from crooked import UP, Beside, Footprint, reset, within
from imap_client import Broken, Conversation, message
from marks import ours
from murder import poll
from test_crooked_backend import crooked, opened, undisturbed

LIMITS = """
[limits]
login = "3s"
stall = "2s"
upstream_answer = "30s"
"""
LOGIN, STALL = 3, 2


def appending(world, user, frontend, sent=500_000, size=8 << 20):
    """A session in the middle of its message."""
    session = opened(world, user, frontend, select=False)
    tag = session.tag()
    session.waiting.append(tag)
    session.send(tag + b" APPEND INBOX {%d+}\r\n" % size + message("half", size)[:sent])
    return session


@ours
def test_clients_vanish_or_stall_within_a_literal(world):
    user = world.user("backend1")
    frontend = world.another(account="frontend3", top=LIMITS).start()
    opened(world, user, frontend).append("INBOX", message("big", 8 << 20)).ok()
    with Beside(world.client(world.user("backend2"), frontend)):
        before = Footprint(frontend)
        for vanish in (lambda session: session.close(), lambda session: reset(session.socket)):
            vanish(appending(world, user, frontend))
            fetching = opened(world, user, frontend)
            fetching.start("FETCH 1 BODY.PEEK[]")
            fetching.fill(time.monotonic() + 20)
            vanish(fetching)
            select = opened(world, user, frontend, select=False)
            select.send(b"a SELECT {5+}\r\nINB")
            vanish(select)
            before.assert_restored()
        stalled = appending(world, user, frontend)
        within(STALL, lambda: stalled.expect_bye())
        fetching = opened(world, user, frontend)
        fetching.start("FETCH 1 BODY.PEEK[]")
        before.assert_restored(STALL + 5)  # it reads nothing: nobody can tell it anything
        try:
            fetching.expect_end()
        except Broken as broken:
            raise AssertionError(f"half a literal, and then the end: {broken}") from None
    assert opened(world, user, frontend).exists(world.client(user, frontend).select("INBOX").ok()) == 1


@ours
def test_a_byte_at_a_time(world):
    """It works, and before login it has no more time than the login."""
    user = world.user("backend1")
    frontend = world.another(account="frontend3", top=LIMITS).start()
    with Beside(world.client(world.user("backend2"), frontend)):
        before = Footprint(frontend)
        slow = world.keep(Conversation(frontend.address))
        start = time.monotonic()
        try:
            for byte in b"a LOGIN {1000+}\r\n" + b"x" * 1000:
                slow.send(bytes([byte]))
                time.sleep(0.05)
                assert time.monotonic() - start < LOGIN + 4, "a login may take for ever"
        except OSError:
            pass
        session = opened(world, user, frontend, select=False)
        text = message("slowly", 300)
        commands = b"".join([b"a SELECT INBOX\r\n", b"b APPEND INBOX {%d+}\r\n" % len(text), text, b"\r\n",
                             b"c STATUS {5+}\r\nINBOX (MESSAGES)\r\n", b"d FETCH 1 BODY.PEEK[]\r\n"])
        session.waiting += [b"a", b"b", b"c", b"d"]
        for byte in commands:
            session.send(bytes([byte]))
        for tag in (b"a", b"b", b"c"):
            session.finish(tag).ok()
        assert text in session.finish(b"d").ok().of("FETCH")[0].raw
        session.in_step()
        session.close()
        before.assert_restored()


@ours
def test_half_closed_clients_get_their_answers(world):
    user = world.user("backend2")
    with crooked(world, LIMITS) as (frontend, backend):
        with undisturbed(world, frontend):
            session = opened(world, user, frontend, select=False)
            text = message("whole", 300_000)
            session.waiting += [b"a", b"b", b"c"]
            session.send(b"a APPEND INBOX {%d+}\r\n" % len(text) + text + b"\r\nb SELECT INBOX\r\nc FETCH 1 BODY.PEEK[]\r\n")
            session.socket.shutdown(socket.SHUT_WR)
            session.finish(b"a").ok()
            session.finish(b"b").ok()
            assert text in session.finish(b"c").ok().of("FETCH")[0].raw
            session.expect_end()
        with undisturbed(world, frontend):
            session = opened(world, user, frontend)
            backend.stop(UP)  # a command that takes long
            tag = session.start("SEARCH TEXT whole")
            session.socket.shutdown(socket.SHUT_WR)
            time.sleep(3)  # longer than a look at the client takes to begin
            backend.free()
            session.finish(tag).ok()
            session.expect_end()


@ours
def test_a_reset_ends_the_command_that_the_backend_works_on(world):
    user = world.user("backend2")
    with crooked(world, LIMITS) as (frontend, backend):
        with undisturbed(world, frontend):
            sessions = [opened(world, user, frontend, select) for select in (True, False)]
            sessions[1].command("STATUS INBOX (MESSAGES)").ok()
            count = frontend.stat("sessions_open")
            backend.stop(UP)
            sessions[0].start("SEARCH TEXT x")
            sessions[1].start("STATUS INBOX (UNSEEN)")
            time.sleep(0.2)
            for session in sessions:
                reset(session.socket)
            # the backend may be silent for 30 s yet
            poll("the sessions to end", 8, lambda: frontend.stat("sessions_open") == count - 2)
            backend.free()
            backend.reset_all()
