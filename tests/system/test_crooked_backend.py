"""A backend that refuses, hangs at any point, drips, or dies: each time one clear answer within its limit, nothing
left behind, and others undisturbed."""

import os
import signal
import socket
import time
from contextlib import contextmanager

from crooked import DOWN, UP, Beside, Crooked, Footprint, FullQueue, at_once, within
from imap_client import Broken, message
from marks import ours
from murder import IMAP, logged, poll
from test_faults import descendants

LIMITS = """
[limits]
connect = "500ms"
upstream_login = "1s"
upstream_answer = "3s"
upstream_command = "5s"
stall = "3s"
"""
CONNECT, LOGIN, ANSWER, COMMAND, STALL = 0.5, 1, 3, 5, 3
HOST = 33


@contextmanager
def crooked(world, limits=LIMITS, **options):
    """A frontend that finds backend2 behind a crooked forwarder; nothing may be left of the fault."""
    host = f"{world.murder.net}.{HOST}"
    with Crooked((host, IMAP), world.murder.address("backend2")) as forwarder:
        frontend = world.another(account="frontend3", top=limits, backend2=host, **options).start()
        yield frontend, forwarder


@contextmanager
def undisturbed(world, frontend):
    """What happens inside leaves nothing behind, and a session at another backend doesn't feel it."""
    with Beside(world.client(world.user("backend1"), frontend)):
        before = Footprint(frontend)
        yield
        before.assert_restored()


def opened(world, user, frontend, select=True):
    session = world.client(user, frontend)
    if select:
        session.select("INBOX").ok()
    return session


def unavailable(session, limit):
    """Every way to a backend that can't be had: NO, within the limit, and the session goes on."""
    within(limit, lambda: session.select("INBOX").no("UNAVAILABLE"))
    within(limit, lambda: session.command("STATUS INBOX (MESSAGES)").no("UNAVAILABLE"))
    within(limit, lambda: session.append("INBOX", message("x", 200_000)).no("UNAVAILABLE"))
    within(limit, lambda: session.append("INBOX", message("x"), plus=False).no("UNAVAILABLE"))
    within(limit, lambda: session.command('LSUB "" "*"').no("UNAVAILABLE"))
    session.in_step()


@ours
def test_backend_refuses_or_hangs_before_it_is_logged_in(world):
    user = world.user("backend2")
    with crooked(world) as (frontend, backend):
        session = opened(world, user, frontend, select=False)
        backend.refuse()
        with undisturbed(world, frontend):
            unavailable(session, 0)
        with undisturbed(world, frontend), FullQueue(backend.address):
            unavailable(session, CONNECT)
        backend.listen()
        for direction in (DOWN, UP):  # no greeting; no answer to the login
            with undisturbed(world, frontend):
                backend.stop(direction)
                unavailable(session, LOGIN)
                backend.free()
        with undisturbed(world, frontend):
            backend.stop(DOWN, after=30)  # within the greeting
            unavailable(session, LOGIN)
            backend.free()
            backend.reset_all()
        session.select("INBOX").ok()


@ours
def test_backend_hangs_within_a_fetch(world):
    """Between responses the loss of the selected mailbox's backend is BYE; within one it's the end."""
    user = world.user("backend2")
    with crooked(world) as (frontend, backend):
        session = opened(world, user, frontend)
        session.append("INBOX", message("big", 2 << 20)).ok()
        session.append("INBOX", message("small")).ok()
        session.close()
        for after, limit, end in ((0, ANSWER, "bye"), (1 << 20, STALL, "cut"), (10, ANSWER, "cut")):
            with undisturbed(world, frontend):
                session = opened(world, user, frontend)
                backend.stop(DOWN, after)
                session.start("FETCH 1 BODY.PEEK[]")
                if end == "bye":
                    within(limit, lambda: session.expect_bye("UNAVAILABLE"))
                else:
                    within(limit, session.expect_end)
                backend.free()
        assert opened(world, user, frontend).body(2) == message("small")


@ours
def test_backend_hangs_within_an_append(world):
    """The client has its NO, though it is in the middle of its message, and stays in step."""
    user = world.user("backend2")
    big = message("big", 16 << 20)
    with crooked(world) as (frontend, backend):
        for after in (0, 1 << 20):
            for select in (False, True):
                with undisturbed(world, frontend):
                    session = opened(world, user, frontend, select)
                    session.command("STATUS INBOX (MESSAGES)").ok()
                    backend.stop(UP, after)
                    if select:
                        start, tag = time.monotonic(), session.tag()
                        session.waiting.append(tag)
                        session.send(tag + b" APPEND INBOX {%d+}\r\n" % len(big) + big + b"\r\n")
                        session.expect_bye("UNAVAILABLE")
                        assert time.monotonic() - start < 2 * STALL + 4
                    else:
                        within(STALL, lambda: session.append("INBOX", big).no("UNAVAILABLE"))
                        session.in_step()
                        session.close()
                    backend.free()
        assert opened(world, user, frontend).command("STATUS INBOX (MESSAGES)").ok().of("STATUS")[0].raw.endswith(
            b"(MESSAGES 0)\r\n")


@ours
def test_backend_drips(world):
    """It says something all the time and never ends the command: the limit on the whole does."""
    user = world.user("backend2")
    with crooked(world) as (frontend, backend):
        for select in (False, True):
            with undisturbed(world, frontend):
                session = opened(world, user, frontend, select)
                session.command("STATUS INBOX (MESSAGES)").ok()
                backend.stop(UP)
                backend.drip = b"* OK still at it\r\n"
                if select:
                    session.start("FETCH 1:* FLAGS")
                    within(COMMAND, lambda: session.expect_bye("UNAVAILABLE"))
                else:
                    within(COMMAND, lambda: session.command("STATUS INBOX (MESSAGES)").no("UNAVAILABLE"))
                    within(LOGIN, lambda: session.command('LSUB "" "*"').no("UNAVAILABLE"))
                    session.close()
                backend.free()
                backend.reset_all()
        logged(frontend, "didn't end a command within 5s")


@ours
def test_a_long_answer_is_no_drip(world):
    """What takes longer than a command may, but moves on, goes on."""
    user = world.user("backend2")
    with crooked(world) as (frontend, backend):
        session = opened(world, user, frontend)
        for n in range(200):
            session.append("INBOX", message(f"m{n}", 3000)).ok()
        # 10 times the 64 KiB that count as work, with a pause before each
        tag = session.start("FETCH 1:200 BODY.PEEK[]")
        for _ in range(5):
            backend.stop(DOWN, 120_000)
            time.sleep(1.5)
        backend.free()
        assert len(session.finish(tag).ok().of("FETCH")) == 200


def imapds(world, node="backend2"):
    """The processes that serve a connection. One that waits for the next is not to be killed: Cyrus' master then counts
    it among those that are ready, and starts no other."""
    master = int((world.murder.directory / f"cyrus/nodes/{node}/master.pid").read_text())
    busy = established(world.murder.address(node)[0])
    return [pid for pid in descendants(master) if busy & sockets(pid)]


def established(host):
    """The inodes of the connections at a host's IMAP port."""
    local = "%08X:%04X" % (int.from_bytes(socket.inet_aton(host), "little"), IMAP)
    with open("/proc/net/tcp") as table:
        rows = [line.split() for line in table]
    return {row[9] for row in rows if row[1] == local and row[3] == "01"}


def sockets(pid):
    found = set()
    try:
        for entry in os.listdir(f"/proc/{pid}/fd"):
            link = os.readlink(f"/proc/{pid}/fd/{entry}")
            if link.startswith("socket:["):
                found.add(link[8:-1])
    except OSError:
        pass
    return found


def kill_imapds(world):
    for pid in imapds(world):
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass


@ours
def test_imapd_killed_with_its_mailbox_selected(world):
    here, there = world.user("backend1"), world.user("backend2")
    box = world.shared("backend2")
    frontend = world.frontend
    with Beside(world.client(here)):
        before = Footprint(frontend)
        first = opened(world, there, frontend)
        first.append("INBOX", message("big", 40 << 20)).ok()
        first.close()
        idle, idling, fetching, appending = (opened(world, there, frontend) for _ in range(4))
        beside = opened(world, here, frontend)
        beside.command("STATUS ", box, " (MESSAGES)").ok()  # a connection there, nothing selected
        idling.start("IDLE")
        assert idling.response().tag == b"+"
        fetching.start("FETCH 1 BODY.PEEK[]")
        while len(fetching.buffer) < 100_000:
            fetching.fill(time.monotonic() + 20)
        text, tag = message("big", 8 << 20), appending.tag()
        appending.waiting.append(tag)
        appending.send(tag + b" APPEND INBOX {%d+}\r\n" % len(text) + text[:1 << 20])
        assert len(imapds(world)) >= 5
        world.forget_admins()
        kill_imapds(world)
        at_once(lambda: idle.command("NOOP").ok(), 5)  # selected again: see test_recovery.py
        idling.send(b"DONE\r\n")
        at_once(lambda: idling.finish(idling.waiting[0]).ok(), 5)
        try:
            fetching.expect_end()
        except Broken as broken:
            raise AssertionError(f"the half of a FETCH should just end: {broken}") from None
        appending.send(text[1 << 20:] + b"\r\n")
        appending.expect_bye("UNAVAILABLE")
        idle.close()
        idling.close()
        # who had nothing selected there doesn't notice
        beside.command("STATUS ", box, " (MESSAGES)").ok()
        beside.select(box).ok()
        beside.close()
        before.assert_restored()
    poll("backend2 to serve on", 20, lambda: opened(world, there, frontend))
