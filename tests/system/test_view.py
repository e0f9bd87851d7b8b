"""One client's view: what a session has done it sees, at another frontend as at its own, though what the other is
told comes late."""

import time
from concurrent.futures import ThreadPoolExecutor

from delayed import behind
from imap_client import Conversation, message, quoted
from marks import ours
from test_mupdate_cyrus import on_our_master
from test_stalled_stream import Forwarder, behind as stalled

# Debian's master lets about one in thirty of its clients wait for 5 s: the thousand go to ours.
ROUNDS = 1000
AT_ONCE = 4


@ours
def test_view_a_thousand_times_made_here_and_selected_there(world):
    with on_our_master(world) as site, behind(site, 0.02, account="frontend2") as there:
        here = site.frontend
        users = [next(world.users) for _ in range(AT_ONCE)]
        with site.admin("backend1") as admin:
            for user in users:
                admin.command(f"CREATE user.{user}").ok()

        def rounds(user):
            with Conversation(here.address) as maker, Conversation(there.address) as other:
                for session in (maker, other):
                    session.login(user, user + "pw").ok()
                for n in range(ROUNDS // AT_ONCE):
                    maker.command(f"CREATE INBOX.n{n}").ok()
                    other.select(f"INBOX.n{n}").ok()
        with ThreadPoolExecutor(AT_ONCE) as pool:
            list(pool.map(rounds, users))


def rights(session, box):
    return session.command("MYRIGHTS ", quoted(box)).ok().of("MYRIGHTS")[0].tree()[2].decode()


def listed(session, pattern="INBOX*"):
    return set(session.listed(session.command('LIST "" ', quoted(pattern)).ok()))


@ours
def test_view_changes_here_are_seen_there(world):
    """CREATE, DELETE, RENAME, SETACL and SUBSCRIBE, each at once followed by what shows it at another frontend."""
    with behind(world) as there:
        user = world.user("backend2")
        maker, other = world.client(user), world.client(user, there)
        friend = world.user("backend1")
        friends = world.client(friend, there)
        for n in range(5):
            box, new = f"INBOX.box{n}", f"INBOX.new{n}"
            maker.command(f"CREATE {box}").ok()
            assert box in listed(other), "CREATE"
            maker.command(f"SETACL {box} {friend} lrs").ok()
            assert rights(friends, f"user.{user}{box[5:]}") == "lrs", "SETACL"
            maker.command(f"DELETEACL {box} {friend}").ok()
            friends.command(f"MYRIGHTS user.{user}{box[5:]}").no("NONEXISTENT")
            maker.command(f"SUBSCRIBE {box}").ok()
            assert box in other.listed(other.command('LSUB "" "*"').ok(), "LSUB"), "SUBSCRIBE"
            maker.command(f"RENAME {box} {new}").ok()
            names = listed(other)
            assert new in names and box not in names, "RENAME"
            other.select(box).no("NONEXISTENT")
            other.select(new).ok()
            maker.command(f"DELETE {new}").ok()
            other.select(new).no("NONEXISTENT")
            assert new not in listed(other), "DELETE"
        other.in_step()


@ours
def test_view_lists_wait_together(world):
    """Many LISTs at the same time cost the master few NOOPs; each sees what was made before it."""
    with behind(world, 0.2, 'list_barrier = "2s"') as there:
        user = world.user("backend1")
        maker = world.client(user)
        sessions = [world.client(user, there) for _ in range(30)]
        listed(sessions[0])
        noops = there.stat("mupdate_noops_total")
        maker.command("CREATE INBOX.made").ok()
        begin = time.monotonic()
        with ThreadPoolExecutor(len(sessions)) as pool:
            answers = list(pool.map(listed, sessions))
        took = time.monotonic() - begin
        assert all("INBOX.made" in names for names in answers)
        assert 0.2 <= took < 1, f"{took:.2f} s"
        assert 1 <= there.stat("mupdate_noops_total") - noops <= 3


@ours
def test_view_list_when_the_master_says_nothing(world):
    """One LIST waits for its short deadline, the next don't; when the master is back they are up to date again."""
    user = world.user("backend1")
    forwarder = Forwarder(world.murder.net)
    try:
        session, maker = world.client(user, stalled(world, forwarder)), world.client(user)
        listed(session)
        forwarder.still.set()
        maker.command("CREATE INBOX.late").ok()
        time.sleep(0.05)
        begin = time.monotonic()
        assert listed(session) == {"INBOX"}
        first = time.monotonic() - begin
        for _ in range(20):
            assert listed(session) == {"INBOX"}
        others = time.monotonic() - begin - first
        assert 0.2 <= first < 1 and others < 0.2, f"{first:.2f} s, {others:.2f} s"
        forwarder.still.clear()
        time.sleep(0.5)
        assert listed(session) == {"INBOX", "INBOX.late"}
    finally:
        forwarder.close()
    with world.without("mupdate"):
        session = world.client(user)
        time.sleep(0.2)
        begin = time.monotonic()
        for _ in range(20):
            assert "INBOX" in listed(session)
        assert time.monotonic() - begin < 0.5, "no LIST waits for a master that is away"
