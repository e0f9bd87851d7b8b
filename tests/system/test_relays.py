"""Two hundred relays of a megabyte each, stalled at the source, then at the client, then read on: what they hold
meanwhile, and that not a byte goes astray."""

import hashlib
import os
import socket
import time

from crooked import DOWN
from imap_client import message
from marks import ours
from murder import poll, readable
from test_crooked_backend import crooked, opened, undisturbed

COUNT, SIZE, PIPES = 200, 1 << 20, 16
PIPELINED = 4  # the kernel's buffers take 2.5 MiB and more for a client that doesn't read
LIMITS = '\n[limits]\nstall = "60s"\nconnections_per_user = 1000\n'


def body(number):
    """A message of about a megabyte; no line of it is in another one."""
    head = message(f"m{number}", 0)
    lines = (SIZE - len(head)) // 40
    return head + b"".join(b"%04d %010d %s\r\n" % (number, line, b"y" * 22) for line in range(lines))


def threads(frontend):
    tasks = f"/proc/{frontend.process.pid}/task"
    return sorted(open(f"{tasks}/{task}/comm").read().strip() for task in os.listdir(tasks))


def set_buffers(sessions, size):
    for session in sessions:
        session.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, size)


def read_up_to(sessions, size):
    """Reads on all of them at once until each has `size` bytes."""
    until = time.monotonic() + 60
    wanting = {session.socket: session for session in sessions if len(session.buffer) < size}
    while wanting:
        assert time.monotonic() < until, f"{len(wanting)} sessions don't get their bytes"
        for ready in readable(wanting, 5):
            session = wanting[ready]
            session.fill(until)
            if len(session.buffer) >= size:
                del wanting[ready]


def fetch(sessions, times=1):
    """Each session fetches a message of its own, so many times in a row: the tags."""
    return [[session.start(f"FETCH {number} BODY.PEEK[]") for _ in range(times)]
            for number, session in enumerate(sessions, 1)]


def check_bodies(sessions, tags, sums):
    for turn in range(len(tags[0])):
        read_up_to(sessions, SIZE - 1024)
        for number, session in enumerate(sessions, 1):
            fetched = session.finish(tags[number - 1][turn]).ok().of("FETCH")
            assert len(fetched) == 1
            items = fetched[0].tree()[2]
            data = items[items.index(b"BODY[]") + 1]
            assert hashlib.sha256(data).digest() == sums[number], f"the body of message {number} isn't what it was"
    for session in sessions:
        session.command("NOOP").ok()
        assert not session.buffer, "more came than was asked for"


def stalled_at_the_source(frontend, backend, sessions):
    """Nothing has come for a while: no relay holds a pipe."""
    backend.stop(DOWN, 300_000)
    tags = fetch(sessions)
    read_up_to(sessions, 280_000)
    poll("the pipes to be given back", 10, lambda: frontend.stat("pipes_in_use") == 0)
    assert not any(b" OK " in session.buffer[-100:] for session in sessions), "a relay was over too early"
    return tags


def stalled_at_the_client(frontend, sessions):
    """Nobody reads: the pool's bound is kept, the others copy what they have taken."""
    missed = frontend.stat("pipes_missed_total")
    tags = fetch(sessions, PIPELINED)
    poll("every pipe to be held", 30, lambda: frontend.stat("pipes_in_use") == PIPES)
    poll("all others to have found none", 30,
         lambda: frontend.stat("pipes_missed_total") >= missed + COUNT - PIPES)
    for _ in range(10):
        assert frontend.stat("pipes_open") <= PIPES and frontend.stat("pipes_in_use") <= PIPES
        time.sleep(0.02)
    return tags


@ours
def test_two_hundred_relays(world):
    user = world.user("backend2")
    with crooked(world, LIMITS, upstream=f"pipes = {PIPES}") as (frontend, backend):
        maker = opened(world, user, frontend)
        sums = {}
        for number in range(1, COUNT + 1):
            text = body(number)
            sums[number] = hashlib.sha256(text).digest()
            maker.append("INBOX", text).ok()
        with undisturbed(world, frontend):
            sessions = [world.client(user, frontend) for _ in range(COUNT)]
            set_buffers(sessions, 16 << 10)  # what isn't read has to stay at the frontend
            for chunk in range(0, COUNT, 20):
                some = sessions[chunk:chunk + 20]
                tags = [session.start("EXAMINE INBOX") for session in some]
                for session, tag in zip(some, tags):
                    session.finish(tag).ok()
            before = threads(frontend)
            assert not any("iou-wrk" in name for name in before), before
            tags = stalled_at_the_source(frontend, backend, sessions)
            assert threads(frontend) == before
            backend.free()
            check_bodies(sessions, tags, sums)
            tags = stalled_at_the_client(frontend, sessions)
            assert threads(frontend) == before
            copied = frontend.stat('relay_bytes_total{by="copy"}')
            start = time.monotonic()
            assert hashlib.sha256(maker.body(7)).digest() == sums[7]  # finds no pipe, and doesn't wait for one
            assert time.monotonic() - start < 10
            assert frontend.stat('relay_bytes_total{by="copy"}') >= copied + SIZE // 2
            set_buffers(sessions, 1 << 20)
            check_bodies(sessions, tags, sums)
            assert threads(frontend) == before
            for session in sessions:
                session.close()
