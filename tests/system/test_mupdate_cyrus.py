"""Debian's Cyrus on our MUPDATE master: its backends, its frontend and ours beside it, on one list."""

from contextlib import contextmanager

from imap_client import Conversation, quoted
from marks import ours
from mupdate_client import Mupdate
from mupdate_server import MupdateServer
from murder import Frontend, Murder, poll

USER_RIGHTS = "lrswipkxtecdan"
PLACE = {"backend1": "backend1.murder.test!default", "backend2": "backend2.murder.test!default"}


class OnOurMaster:
    """Cyrus backends and a Cyrus frontend that know nothing but our master, and a frontend of ours."""

    def __init__(self, world, *options, **settings):
        self.world, self.master, self.others = world, None, []

        def master(murder):
            self.master = MupdateServer(murder.net, murder.directory, 11, **settings).start()
        self.murder = Murder(*options, nodes="backend1,backend2,frontend", before=master)
        self.frontend = Frontend(self.murder, world.passwd())
        self.frontend.start()

    def close(self):
        try:
            for frontend in (*self.others, self.frontend):
                frontend.stop()
            self.murder.run("down")
            self.master.stop()
        finally:
            for server in (*self.others, self.frontend, self.master):
                server.kill()
            self.murder.close()

    def another(self, **options):
        """One more of our frontends, not started yet."""
        frontend = Frontend(self.murder, self.world.passwd(), 43, **options)
        self.others.append(frontend)
        return frontend

    @contextmanager
    def admin(self, node):
        with Conversation(self.frontend.address if node == "ours" else self.murder.address(node)) as session:
            session.login("cyrus", "cyruspw").ok()
            yield session

    def seen(self, node, pattern):
        with self.admin(node) as session:
            session.command("STATUS nosuch (MESSAGES)").no()  # a Cyrus frontend then asks the master
            return {name for name in session.listed(session.command('LIST "" ', quoted(pattern)).ok())}

    def everywhere(self, pattern, *names):
        """Both frontends and the master have just these names."""
        for node in ("frontend", "ours"):
            poll(f"{node} to list {names}", 10, lambda: self.seen(node, pattern) == set(names))

    def at(self, name):
        """Where the master has it, with its state."""
        with self.master.session() as session:
            record = session.find(name)
            return record and (record.kind, record.location)


@contextmanager
def on_our_master(world, *options, **settings):
    site = OnOurMaster(world, *options, **settings)
    try:
        yield site
    finally:
        site.close()


@ours
def test_mupdate_cyrus_on_our_master(world):
    """As in traces of a Cyrus murder: CREATE, deep CREATE, SETACL, RENAME, a taken name, DELETE; then moves; then a resync."""
    with on_our_master(world) as site:
        changes(site)
        moves(site)
        resync(site)


def changes(site):
    with site.admin("backend1") as one, site.admin("backend2") as two:
        one.command("CREATE top1").ok()
        assert site.at("top1") == ("MAILBOX", PLACE["backend1"])
        one.command("SETACL top1 cyrus lrswipkxtecda").ok()
        one.command("CREATE top1.a.b").ok()
        site.everywhere("top1*", "top1", "top1.a", "top1.a.b")
        one.command("SETACL top1 alice lrs").ok()
        with site.master.session() as session:
            assert "alice\tlrs\t" in session.find("top1").acl
        one.command("DELETEACL top1 alice").ok()
        with site.master.session() as session:
            assert "alice" not in session.find("top1").acl
        one.command("RENAME top1.a.b top1.c").ok()
        site.everywhere("top1*", "top1", "top1.a", "top1.c")
        one.command("RENAME top1 top2").ok()
        site.everywhere("top*", "top2", "top2.a", "top2.c")
        # taken by the other
        two.command("CREATE taken").ok()
        assert "unable to reserve" in one.command("CREATE taken").no().text
        one.command("CREATE taken.x").no()
        assert site.at("taken") == ("MAILBOX", PLACE["backend2"]) and site.at("taken.x") is None
        for name in ("top2.c", "top2.a", "top2"):
            one.command("DELETE ", name).ok()
        site.everywhere("top*")
        assert site.at("top2") is None
        with site.master.session() as session:
            assert sum(name.startswith("DELETED.") for name in session.say("LIST").names) == 3


def moves(site):
    """A user with a child and mail, through the Cyrus frontend to the other backend and back."""
    for name in ("mover", "stayer"):
        site.murder.run("user", name, name + "pw", "backend2" if name == "mover" else "backend1")
    with site.admin("backend2") as two:
        two.command("CREATE user.mover.work").ok()
    poll("the frontends to list it", 10, lambda: all(
        site.seen(node, "user.mover*") == {"user.mover", "user.mover.work"} for node in ("frontend", "ours")))
    for there in ("backend1", "backend2"):
        with site.admin("frontend") as session:
            session.command(f"RENAME user.mover user.mover {there}.murder.test").ok()
        for name in ("user.mover", "user.mover.work"):
            assert site.at(name) == ("MAILBOX", PLACE[there]), (name, site.at(name))
        site.everywhere("user.mover*", "user.mover", "user.mover.work")


def resync(site):
    """`ctl_mboxlist -m` at a backend's start, where it and the master disagree in four ways."""
    with site.admin("backend1") as one:
        one.command("CREATE user.stayer.lost").ok()
        one.command("CREATE user.stayer.elsewhere").ok()
    site.murder.down("backend1")
    with site.master.session() as master:
        acl = master.find("user.stayer").acl
        master.activate("ghost", PLACE["backend1"])
        master.say("DELETE", "user.stayer.lost").ok()
        master.activate("user.stayer", PLACE["backend1"], "anyone\tl\t")
        master.say("DELETE", "user.stayer.elsewhere").ok()
        master.activate("user.stayer.elsewhere", PLACE["backend2"], "stayer\tlrs\t")
        site.murder.up("backend1")
        assert master.find("ghost") is None
        assert master.find("user.stayer").acl == acl
        assert master.find("user.stayer.lost").location == PLACE["backend1"]
        assert master.find("user.stayer.elsewhere").location == PLACE["backend2"]
        reached = {record.kind for record in master.say("LIST", "backend1.murder.test!").records}
        assert reached == {"MAILBOX"}, "a name is left reserved"
    with site.admin("backend1") as one:
        assert "user.stayer.elsewhere" not in one.listed(one.command('LIST "" "user.stayer*"').ok())


@ours
def test_mupdate_cyrus_master_away_and_back(world):
    """Our master goes and comes: backends say NO meanwhile, and everybody finds back by itself."""
    with on_our_master(world) as site:
        with site.admin("backend1") as one:
            one.command("CREATE before").ok()
            site.everywhere("*e*re", "before")
            site.master.kill()
            one.command("CREATE meanwhile").no()
            site.master.start()
            poll("the backend to reach it", 10, lambda: one.command("CREATE here").status == "OK")
        poll("the frontends to follow", 30, lambda: all(
            site.seen(node, "*e*re") == {"before", "here"} for node in ("frontend", "ours")))


@ours
def test_mupdate_replica_between_cyrus(world):
    """Our replica follows Cyrus' master, a Cyrus frontend follows our replica."""
    replicas = []

    def replica(murder):
        replicas.append(MupdateServer(murder.net, murder.directory, 61, of=(f"{murder.net}.11", 3905)))
    murder = Murder(nodes="mupdate,backend1", before=replica)
    try:
        server = replicas[0].start()
        murder.run("up", "--nodes", "frontend", "--set", f"frontend:mupdate_server={server.address[0]}:3905")
        with Conversation(murder.address("backend1")) as one, Conversation(murder.address("frontend")) as frontend:
            one.login("cyrus", "cyruspw").ok()
            frontend.login("cyrus", "cyruspw").ok()
            for n in range(5):
                one.command(f"CREATE through{n}").ok()
                # its NOOP goes through our replica to Cyrus' master
                frontend.command(f"STATUS through{n} (MESSAGES)").ok()
            with server.session("frontend2") as session:
                assert set(session.say("LIST").names) == {f"through{n}" for n in range(5)}
                assert session.say("RESERVE", "x", PLACE["backend1"]).bad().text == "read-only session"
                assert session.greeting[3].startswith("mupdate://"), session.greeting
            one.command("SETACL through0 cyrus lrswipkxtecda").ok()
            one.command("DELETE through0").ok()
            frontend.command("STATUS through0 (MESSAGES)").no()
        server.idle = None  # Cyrus' frontend is still there
        server.stop()
    finally:
        replicas[0].kill()
        murder.close()


@ours
def test_mupdate_ours_between_ours(world):
    """Our master, a replica of it, a replica of that, our follower: changes come through the chain, NOOP is a barrier through it."""
    master = world.mupdate_server()
    first = world.mupdate_server(of=master.address)
    last = world.mupdate_server(of=first.address)
    with master.session() as writer, last.session("frontend2") as reader, last.session("frontend2") as follower:
        writer.activate("old", PLACE["backend1"])
        reader.say("NOOP").ok()
        assert reader.find("old").location == PLACE["backend1"]
        assert set(follower.update()) == {"old"}
        for n in range(50):
            writer.activate(f"chain{n}", PLACE["backend1"], f"u{n}\tlrs\t")
            reader.say("NOOP").ok()
            assert reader.find(f"chain{n}").acl == f"u{n}\tlrs\t"
        assert {record.name for record in follower.barrier()} == {f"chain{n}" for n in range(50)}
        first.kill()  # the last serves on, and can't tell whether it is up to date
        assert reader.find("chain7").acl == "u7\tlrs\t"
        assert reader.say("NOOP").word == "NO"
        writer.say("DELETE", "chain7").ok()
        first.start()
        poll("the chain to stand again", 20, lambda: reader.say("NOOP").word == "OK")
        assert reader.find("chain7") is None
        assert [record.name for record in follower.barrier()] == ["chain7"]


def test_mupdate_a_move_whose_destination_dies_on_cyrus(world):
    """Cyrus' master gives the source all of it back, the mailbox too that the destination has announced."""
    with Mupdate(world.murder.address("mupdate")) as session:
        after = broken_move(session, session, session, "dies.")
        assert after == {"work": ("OK", "backend1"), "inbox": ("OK", "backend1"), "sent": ("OK", "backend1")}, after
        for name in after:
            session.say("DELETE", "dies." + name).ok()


@ours
def test_mupdate_a_move_whose_destination_dies(world):
    """By our rules what the destination has announced stays there; the rest goes back to the source.

    The move was interrupted behind the copy of all mail, so nothing is lost. Who mends it moves the rest: the
    same move again, once the destination runs. `conflicts = "cyrus"` answers as Cyrus does."""
    server = world.mupdate_server()
    with server.session("backend1") as one, server.session("backend2") as two, server.session() as third:
        after = broken_move(one, two, third, "dies.")
        assert after == {"work": ("NO", "backend2"), "inbox": ("OK", "backend1"), "sent": ("OK", "backend1")}, after
        # the move again: the source has lost `work` by its resync
        for name in ("sent", "inbox"):
            one.say("DEACTIVATE", "dies." + name, PLACE["backend1"]).ok()
            two.activate("dies." + name, PLACE["backend2"])
        assert all(third.find("dies." + name).location == PLACE["backend2"] for name in after)
    server = world.mupdate_server(server='conflicts = "cyrus"')
    with server.session("backend1") as one, server.session("backend2") as two, server.session() as third:
        after = broken_move(one, two, third, "dies.")
        assert set(after.values()) == {("OK", "backend1")}, after


def broken_move(one, two, third, prefix):
    """backend1 moves three mailboxes to backend2, which announces the first and is gone; backend1 takes them back."""
    names = ("work", "sent", "inbox")
    for name in names:
        one.activate(prefix + name, PLACE["backend1"])
    for name in names:
        one.say("DEACTIVATE", prefix + name, PLACE["backend1"]).ok()
    two.activate(prefix + names[0], PLACE["backend2"])
    answers = {name: one.say("ACTIVATE", prefix + name, PLACE["backend1"], "anyone\tlrs\t").word for name in names}
    return {name: (answers[name], third.find(prefix + name).server.split(".")[0]) for name in names}
