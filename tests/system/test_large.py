"""Messages of 25 MiB: through, unchanged, and at least 95 % of the bytes spliced (counter, and strace once)."""

import hashlib
import re
import signal
import subprocess
import time

from imap_client import Literal, message
from marks import needs, ours

SIZE = 25 << 20
LEAST = SIZE * 95 // 100


def big():
    return message("big", SIZE)


def same(one, other):
    assert len(one) == len(other), f"{len(one)} bytes, expected {len(other)}"
    assert hashlib.sha256(one).digest() == hashlib.sha256(other).digest(), "the same length, other bytes"


def test_large_messages_come_through(world):
    text, box = big(), world.shared("backend2")
    session = world.client(world.user("backend1"))
    for name, plus in (("INBOX", True), (box, False)):
        session.append(name, text, plus=plus).ok()
        session.select(name).ok()
        same(session.body(1), text)
        same(session.command("FETCH 1 BODY.PEEK[]<1000000.10000000>").ok().of("FETCH")[0].tree()[2][-1],
             text[1000000:11000000])
        session.in_step()


@ours
def test_large_messages_are_spliced(world):
    text, session = big(), world.client(world.user("backend1"))
    count = lambda: world.frontend.stat('relay_bytes_total{by="splice"}')
    for plus in (True, False):
        before = count()
        session.append("INBOX", text, plus=plus).ok()
        spliced = count() - before
        assert LEAST <= spliced <= len(text), f"APPEND: {spliced} of {len(text)} bytes spliced"
    session.select("INBOX").ok()
    for number in (1, 2):
        before = count()
        same(session.body(number), text)
        spliced = count() - before
        assert LEAST <= spliced <= len(text), f"FETCH: {spliced} of {len(text)} bytes spliced"


@ours
@needs("strace")
def test_splice_seen_by_strace(world):
    """The kernel's word for it: bytes that splice moved into a pipe, and out of it again."""
    session = world.client(world.user("backend2"))
    session.append("INBOX", big()).ok()
    session.select("INBOX").ok()
    trace = world.frontend.directory / "strace"
    tracer = subprocess.Popen(["strace", "-f", "-q", "-e", "trace=splice", "-o", trace, "-p",
                               str(world.frontend.process.pid)], stdin=subprocess.DEVNULL,
                              stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        time.sleep(1)
        assert tracer.poll() is None, f"strace: {tracer.stderr.read().decode()}"
        same(session.body(1), big())
    finally:
        if tracer.poll() is None:
            tracer.send_signal(signal.SIGINT)
        tracer.communicate(timeout=20)
    moved = sum(int(n) for n in re.findall(r"\bsplice\(?.*\) = (\d+)$", trace.read_text(), re.M))
    assert moved >= 2 * LEAST, f"{moved} bytes moved by splice, expected {2 * LEAST} at least"


def test_many_large_sessions_at_once(world):
    """More large literals than there are pipes: some are copied, all are right."""
    text, user = message("two", 2 << 20), world.user("backend1")
    session = world.client(user)
    session.append("INBOX", text).ok()
    sessions = [world.client(user) for _ in range(20)]
    for one in sessions:
        one.select("INBOX").ok()
    tags = [one.start("FETCH 1 BODY.PEEK[]") for one in sessions]
    for one, tag in zip(sessions, tags):
        same(one.finish(tag).ok().of("FETCH")[0].tree()[2][-1], text)
        one.in_step()


@ours
def test_a_large_append_that_the_client_breaks_off(world):
    user, text = world.user("backend1"), big()
    for part in (10, 1000, len(text) // 2, len(text) - 1):
        session = world.client(user)
        session.send(b"a APPEND INBOX {%d+}\r\n" % len(text))
        session.send(text[:part])
        session.close()
    session = world.client(user)
    assert session.exists(session.select("INBOX").ok()) == 0


@ours
def test_a_large_fetch_that_the_client_breaks_off(world):
    user = world.user("backend2")
    session = world.client(user)
    session.append("INBOX", big()).ok()
    for part in (10, 1_000_000):
        session = world.client(user)
        session.select("INBOX").ok()
        session.send(b"a FETCH 1 BODY.PEEK[]\r\n")
        while len(session.buffer) < part:
            session.fill(time.monotonic() + 20)
        session.close()
    session = world.client(user)
    session.select("INBOX").ok()
    same(session.body(1), big())


@ours
def test_a_large_append_to_nowhere_is_drained(world):
    session, text = world.client(world.user()), big()
    session.command("APPEND INBOX.nosuch ", Literal(text, plus=True)).no("TRYCREATE")
    session.in_step()
    session.command("APPEND INBOX.nosuch ", Literal(text)).no("TRYCREATE")
    session.in_step()
