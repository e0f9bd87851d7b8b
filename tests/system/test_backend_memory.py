"""What an idle session of the backend costs: RssAnon over 2,000 of them, printed."""

from imap_client import Conversation, message
from marks import ours

SESSIONS = 2000
# a session that waits holds no buffer: far more than this is a buffer that stayed
BOUND = 12 << 10


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
