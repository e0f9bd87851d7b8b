"""Our MUPDATE master in Cyrus' place: Debian's backends and frontend use it without a change at them, ours beside."""

from contextlib import contextmanager

from imap_client import Conversation, message, quoted
from marks import ours
from mupdate_client import Mupdate
from mupdate_server import MupdateServer
from murder import Frontend, Murder, poll


class Site:
    """Two Cyrus backends, a Cyrus frontend and one of ours, on our master."""

    def __init__(self):
        self.murder = Murder(nodes="backend1,backend2,frontend", before=self.start_master)
        users = [f"{name}:{{PLAIN}}{name}pw" for name in ("alice", "bob")]
        for name, backend in (("alice", "backend1"), ("bob", "backend2")):
            self.murder.run("user", name, name + "pw", backend)
        self.frontend = Frontend(self.murder, users).start()
        self.open = []

    def start_master(self, murder):
        """At the address where Cyrus' own would be."""
        self.master = MupdateServer(murder.net, murder.directory, last=11).start()
        self.master.idle = None  # the followers stay connected

    def keep(self, session):
        self.open.append(session)
        return session

    def session(self, node, user):
        """A user's session at our frontend ("ours"), or at a Cyrus node."""
        if node == "ours":
            session = self.keep(Conversation(self.frontend.address))
            session.login(user, user + "pw").ok()
            return session
        session = self.keep(Conversation(self.murder.address(node)))
        session.login(user, "cyruspw" if user == "cyrus" else user + "pw").ok()
        return session

    def entry(self, name):
        """State, location and ACL of a name, as the master has it."""
        return self.names().get(name)

    def names(self):
        """All names, by the dump."""
        lines = self.master.ctl("mupdate", "dump").splitlines()
        return {line.split("\t")[0]: line.split("\t")[1:] for line in lines if line and not line.startswith("#")}

    def close(self):
        for session in self.open:
            session.close()
        try:
            self.frontend.stop()
            self.master.stop()
        finally:
            self.frontend.kill()
            self.master.kill()
            self.murder.close()


@contextmanager
def site():
    made = Site()
    try:
        yield made
    finally:
        made.close()


def at(entry, state, server):
    assert entry and entry[0] == state and entry[1].split("!")[0] == f"{server}.murder.test", entry


@ours
def test_changes_on_our_master(_world):
    """CREATE, a deep CREATE, SETACL, RENAME and DELETE, at backends and through both kinds of frontend."""
    with site() as s:
        at(s.entry("user.alice"), "active", "backend1")
        for node in ("ours", "frontend"):
            session = s.session(node, "alice")
            session.command(f"CREATE INBOX.{node}").ok()
            session.command(f"CREATE INBOX.{node}.deep.er").ok()
            session.select(f"INBOX.{node}.deep.er").ok()
            for name in (f"user.alice.{node}", f"user.alice.{node}.deep.er"):
                at(s.entry(name), "active", "backend1")
            session.command(f"SETACL INBOX.{node} bob lrs").ok()
            assert r"bob\tlrs\t" in s.entry(f"user.alice.{node}")[2]
            session.command(f"RENAME INBOX.{node} INBOX.{node}2").ok()
            assert s.entry(f"user.alice.{node}") is None
            at(s.entry(f"user.alice.{node}2"), "active", "backend1")
            session.append(f"INBOX.{node}2", message("x")).ok()
            for other in ("ours", "frontend"):
                bob = s.session(other, "bob")
                poll("the other user to see it", 10, lambda: bob.command('LIST "" "user.*"').ok().of("LIST"))
                bob.select(f"user.alice.{node}2").ok()
            session.command(f"DELETE INBOX.{node}2.deep.er").ok()
            assert s.entry(f"user.alice.{node}2.deep.er") is None
            session.in_step()
        assert all(entry[0] == "active" for entry in s.names().values()), s.names()


@ours
def test_a_backend_resyncs_with_our_master(world):
    """At a backend's start: what only it has is pushed, what it hasn't got goes, what it has is left alone."""
    with site() as s:
        s.session("ours", "alice").command("CREATE INBOX.kept").ok()
        s.murder.down("backend1")
        with Mupdate(s.master.address, "backend3") as admin:  # bound to no server
            admin.say("DELETE", "user.alice.kept").ok()
            admin.reserve("user.alice.phantom", "backend1.murder.test!default")
            admin.activate("user.alice.phantom", "backend1.murder.test!default", "alice\tlrs\t")
        before = s.names()
        s.murder.up("backend1")
        poll("the backend to have pushed", 20, lambda: s.entry("user.alice.kept"))
        poll("the phantom to be gone", 20, lambda: s.entry("user.alice.phantom") is None)
        at(s.entry("user.alice.kept"), "active", "backend1")
        assert s.names()["user.bob"] == before["user.bob"]
        s.session("ours", "alice").select("INBOX.kept").ok()


@ours
def test_a_user_moves_on_our_master_and_back(world):
    """Cyrus' XFER: DEACTIVATE at the source, ACTIVATE from the destination."""
    with site() as s:
        alice = s.session("ours", "alice")
        alice.command("CREATE INBOX.sub").ok()
        alice.append("INBOX.sub", message("moved")).ok()
        for source, target in (("backend1", "backend2"), ("backend2", "backend1")):
            admin = s.session(source, "cyrus")
            admin.command(f"XFER user.alice {target}.murder.test").ok()
            for name in ("user.alice", "user.alice.sub"):
                poll("it to be active there", 20, lambda: s.entry(name) and s.entry(name)[0] == "active")
                at(s.entry(name), "active", target)
            for node in ("ours", "frontend"):
                session = s.session(node, "alice")
                poll("the frontend to know", 20, lambda: session.select("INBOX.sub").status == "OK")
                assert b"moved" in session.body(1)


@ours
def test_our_master_is_killed_and_comes_back(world):
    """What was answered is there; frontends and backends go on by themselves."""
    with site() as s:
        alice = s.session("ours", "alice")
        for number in range(10):
            alice.command(f"CREATE INBOX.n{number}").ok()
        before = s.names()
        s.master.kill()
        alice.select("INBOX.n3").ok()
        alice.command("CREATE INBOX.refused").no()
        s.master.start()
        s.master.idle = None
        assert s.names() == before
        poll("changes to go again", 30, lambda: alice.command("CREATE INBOX.again").status == "OK")
        at(s.entry("user.alice.again"), "active", "backend1")
        cyrus = s.session("frontend", "alice")
        poll("Cyrus' frontend to follow again", 30, lambda: cyrus.command('LIST "" ', quoted("INBOX.again")).ok().of("LIST"))
