"""What the backend's sessions cost: RssAnon over 2,000 idle ones, and while many read large messages."""

import threading

from imap_client import Conversation, message
from marks import ours

SESSIONS = 2000
# a session that waits holds no buffer: far more than this is a buffer that stayed
BOUND = 12 << 10
READERS = 12
LARGE = 34 << 20  # more than the allocator ever keeps
# two threads, each with a message and what is made of its texts
WHOLE_BOUND = 5


def anonymous(pid):
    with open(f"/proc/{pid}/status") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("RssAnon"))


@ours
def test_backend_idle_sessions_cost_little(world):
    users = [f"user{n}" for n in range(20)]
    limits = "[limits]\nconnections_per_user = 0\n"
    backend = world.a_backend(users=users, top=limits)
    for user in users:
        session = world.at(backend, user)
        for n in range(20):
            session.append("INBOX", message(f"m{n}")).ok()
    world.at(backend, users[0]).select("INBOX").ok()
    before, opened = anonymous(backend.process.pid), []
    try:
        for n in range(SESSIONS):
            session = Conversation(backend.address)
            opened.append(session)
            user = users[n % len(users)]
            session.login(user, user + "pw").ok()
            session.select("INBOX").ok()
            tag = session.start("IDLE")
            assert session.go_ahead(tag)
        cost = (anonymous(backend.process.pid) - before) / SESSIONS
        print(f"an idle session costs {cost / 1024:.2f} KiB of RssAnon ({SESSIONS} in IDLE)", flush=True)
        assert cost < BOUND, f"{cost:.0f} bytes for a session in IDLE"
        # and each of them hears
        world.at(backend, users[7]).append("INBOX", message("new")).ok()
        for session in opened[7::len(users)]:
            assert session.untagged("EXISTS", 10).raw == b"* 21 EXISTS\r\n"
    finally:
        for session in opened:
            session.close()


def large():
    """So many parts that the structure isn't kept, and then a large one."""
    small = b"--b\r\nContent-Type: text/plain; charset=us-ascii\r\n\r\nsmall\r\n" * 1000
    big = b"--b\r\n\r\n" + (b"x" * 70 + b"\r\n") * (LARGE // 72) + b"--b--\r\n"
    return b"Subject: large\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n" + small + big


@ours
def test_backend_large_messages_are_in_memory_two_at_a_time(world):
    """Twelve sessions at once ask for what takes a whole message; each is answered, and memory doesn't grow with them."""
    backend = world.a_backend()
    session = world.at(backend, "alice")
    session.append("INBOX", large()).ok()
    before = anonymous(backend.process.pid)
    for command, word, wanted in [
            ("FETCH 1 BODYSTRUCTURE", "FETCH", b'"MIXED"'),
            ("FETCH 1 BODY.PEEK[1000]", "FETCH", b"{5}\r\nsmall"),
            ("SEARCH BODY nosuchword", "SEARCH", b"* SEARCH\r\n")]:
        most, over = [before], threading.Event()

        def watch():
            while not over.wait(0.01):
                most.append(anonymous(backend.process.pid))

        watcher = threading.Thread(target=watch)
        watcher.start()
        try:
            readers = [world.at(backend, "alice") for _ in range(READERS)]
            for reader in readers:
                reader.select("INBOX").ok()
            tags = [reader.start(command) for reader in readers]
            for reader, tag in zip(readers, tags):
                reader.deadline = 60
                (answer,) = reader.finish(tag).ok().of(word)
                assert wanted in answer.raw, answer.raw[:200]
        finally:
            over.set()
            watcher.join()
        growth = (max(most) - before) / LARGE
        print(f"{command}: {READERS} sessions, RssAnon grows by {growth:.2f} times the message", flush=True)
        assert growth < WHOLE_BOUND, command
        for reader in readers:
            reader.close()
