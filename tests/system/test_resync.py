"""A backend's comparison with the MUPDATE master (docs/protocols/resync.md): with our master and with Cyrus'."""

import json
import re
import shutil
import threading
import time
from contextlib import contextmanager

from crooked import DOWN, UP, Crooked
from marks import ours
from mupdate_client import Mupdate
from murder import MUPDATE, logged, poll
from test_backend_operator import ctl, rows

OTHER = "backend2.murder.test!default"
MESSAGE = b"From: a@x.example\r\nSubject: one\r\n\r\nHello, world\r\n"
TOP = """
[mupdate.client]
server = "{host}:{port}"
authname = "backend1"
password = "mupdatepw"
"""
ANY_SERVER = {"backend1": '"mupdatepw"'}


class Site:
    """A backend of ours and its master, which is asked by an account that may do anything."""

    def __init__(self, world, cyrus=False, through=None, more='compare_every = "0"', **master):
        """`through`: a forwarder between the two, made from an address and the master's; `master`: of ours."""
        self.world = world
        self.master = None if cyrus else world.mupdate_server(users=ANY_SERVER, **master)
        self.master_address = world.murder.address("mupdate") if cyrus else self.master.address
        self.line = through and through((f"{world.murder.net}.206", MUPDATE), self.master_address)
        address = self.line.address if self.line else self.master_address
        self.backend = world.a_backend(start=False, top=TOP.format(host=address[0], port=address[1]), more=more)
        self.own = f"{self.backend.name}.ravenry.test"
        self.place = f"{self.own}!default"
        # a connection to the master may be there or not
        self.backend.start().idle = None
        self.cyrus, self.moved = cyrus, set()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        """A Cyrus master is the world's: other tests find nothing of this."""
        if self.cyrus:
            self.backend.stop()
            with self.asks() as master:
                for name in {*self.held(), *self.moved}:
                    if master.find(name):
                        master.say("DELETE", name).ok()

    def to_another(self, *names):
        """The master has them at another server, whatever it had."""
        with self.asks() as master:
            for name in names:
                if master.find(name):  # Cyrus' master dies of a DELETE of what isn't there
                    master.say("DELETE", name).ok()
                master.activate(name, OTHER, "alice\tlrs\t")
        self.moved.update(names)

    def asks(self):
        return Mupdate(self.master_address, "backend1")

    def held(self):
        """What the master has of this backend: names, with ACLs of the active ones."""
        with self.asks() as session:
            found = session.say("LIST", f"{self.own}!").ok().records
            return {record.name: record.acl if record.kind == "MAILBOX" else None for record in found}

    def here(self):
        return {line.split("\t")[0] for line in ctl(self.backend, "mailbox", "list").splitlines()}

    def make(self, *names):
        for name in names:
            ctl(self.backend, "mailbox", "create", name, "--acl", "alice lrswipkxtea")

    def mail(self, name, *texts):
        with self.world.at(self.backend, "alice") as session:
            for text in texts:
                session.append(name, MESSAGE + text).ok()

    def facts(self, *command):
        """What `resync` says, once nothing is under way."""
        def at_rest():
            said = json.loads(ctl(self.backend, "resync", *command, "--json"))
            return said if said["under way"] == "nothing" and said["last compared"] != "not yet" else None
        return poll("a comparison", 20, at_rest)

    def restart(self):
        self.backend.stop()
        self.backend.start().idle = None

    def ghosts(self, count, place=None):
        """Names that only the master has."""
        with self.asks() as session:
            for number in range(count):
                session.activate(f"ghost.m{number:03}", place or self.place)

    def is_at_rest(self):
        """The master has the same as a moment ago."""
        before = self.held()
        time.sleep(0.7)
        return self.held() == before

    def agree(self):
        """Both have the same names."""
        poll("both to agree", 20, lambda: set(self.held()) == self.here())


@contextmanager
def through(world, **options):
    """A site whose backend reaches its master over a forwarder."""
    with Site(world, through=Crooked, **options) as site, site.line:
        yield site
        site.backend.stop()


def number(facts, *names):
    return tuple(int(facts[name]) for name in names)


def resync_of_all_differences(site):
    """As in a trace of ctl_mboxlist -m: one of each kind."""
    site.make("user.alice", "user.alice.Sent", "user.alice.Old", "user.alice.Same", "shared")
    site.mail("INBOX.Old", b"1", b"2")
    assert set(site.held()) == site.here() and site.held()["shared"]
    acl = site.held()["shared"]
    site.backend.stop()
    with site.asks() as master:
        master.activate("ghost", site.place)
        master.reserve("half", site.place)
        master.say("DELETE", "user.alice.Sent").ok()
        master.activate("shared", site.place, "anyone\tl\t")
    site.to_another("user.alice.Old", "foreign")
    site.backend.start().idle = None
    facts = site.facts()
    assert number(facts, "differences found", "pushed", "out of MUPDATE", "into quarantine", "waiting") == (5, 2, 2, 1, 0), facts
    assert set(site.held()) == {"user.alice", "user.alice.Sent", "user.alice.Same", "shared"} == site.here()
    assert site.held()["shared"] == acl == site.held()["user.alice.Sent"]
    with site.asks() as master:
        assert master.find("user.alice.Old").location == OTHER and master.find("foreign").location == OTHER
    plan = {line[2]: [line[0], line[1], line[3]] for line in rows(site.backend, "resync", "plan")}
    assert plan == {
        "ghost": ["at once", "out of MUPDATE", "it isn't here"],
        "half": ["at once", "out of MUPDATE", "it was reserved for this server and never made"],
        "shared": ["at once", "activate", "the master has another ACL"],
        "user.alice.Old": ["at once", "into quarantine", "it lives on backend2.murder.test"],
        "user.alice.Sent": ["at once", "push", "the master doesn't know it"],
    }, plan
    kept = (site.backend.directory / "state/resync-plan").read_text()
    assert [line.split("\t")[2] for line in kept.splitlines() if line[0] != "#"] == sorted(plan), kept
    for name, wanted in (("pushed", 2), ("removed", 2), ("quarantined", 1)):
        assert site.backend.stat(f"mupdate_resync_{name}_total") == wanted, name
    comes_back_from_quarantine(site)
    site.restart()
    facts = site.facts()
    assert number(facts, "mailboxes here", "at the master", "differences found") == (5, 5, 0), facts


def comes_back_from_quarantine(site):
    """No protocol has it, no purge takes it, and it comes back whole, under a name that nobody has."""
    session = site.world.at(site.backend, "alice")
    session.command("SELECT INBOX.Old").no()
    assert "INBOX.Old" not in session.listed(session.command('LIST "" "*"').ok())
    ctl(site.backend, "purge", "--older-than", "0")
    [[gone, name, messages, _, _, _, why]] = rows(site.backend, "quarantine", "list")
    assert (name, messages, why) == ("user.alice.Old", "2", "it lives on backend2.murder.test")
    assert [line[5] for line in rows(site.backend, "mailbox", "removed")] == ["in quarantine: it lives on backend2.murder.test"]
    ctl(site.backend, "quarantine", "restore", gone, "user.alice.Old", code=1)
    ctl(site.backend, "quarantine", "restore", gone, "user.alice.Old2")
    assert rows(site.backend, "quarantine", "list") == []
    assert session.exists(session.select("INBOX.Old2").ok()) == 2
    assert "user.alice.Old2" in site.held()
    session.close()


@ours
def test_resync_of_all_differences(world):
    with Site(world) as site:
        resync_of_all_differences(site)


@ours
def test_resync_of_all_differences_with_a_cyrus_master(world):
    with Site(world, cyrus=True) as site:
        resync_of_all_differences(site)


def limit(site):
    """25 ghosts of 26 names wait; what is pushed isn't; what has changed when it is applied is left alone."""
    site.make("shared")
    site.backend.stop()
    site.ghosts(25)
    with site.asks() as master:
        master.say("DELETE", "shared").ok()
    site.backend.start().idle = None
    facts = site.facts()
    assert number(facts, "pushed", "out of MUPDATE", "waiting") == (1, 0, 25), facts
    assert "resync apply" in facts["to have it done"] and "servername" in facts["check first"], facts
    assert len(site.held()) == 26 and site.backend.stat("mupdate_resync_waiting") == 25
    logged(site.backend, "nothing is deleted: 25 of 26 mailboxes would go")
    kept = (site.backend.directory / "state/resync-plan").read_text()
    assert len(re.findall(r"^waits\tout of MUPDATE\tghost\.m\d{3}\tit isn't here$", kept, re.M)) == 25, kept
    # Two of them have an owner by now, and one is here.
    site.to_another("ghost.m003", "ghost.m004")
    with site.asks() as master:
        master.say("DELETE", "ghost.m007").ok()
    site.make("ghost.m007")
    said = ctl(site.backend, "resync", "apply")
    assert said.startswith("22 names are out of MUPDATE, 0 mailboxes in quarantine") and "3 are left alone" in said, said
    assert set(site.held()) == {"shared", "ghost.m007"} == site.here()
    with site.asks() as master:
        assert master.find("ghost.m003").location == OTHER
    assert number(site.facts(), "differences found", "waiting") == (0, 0)
    assert site.backend.stat("mupdate_resync_waiting") == 0
    assert "nothing waits" in ctl(site.backend, "resync", "apply", code=1)


@ours
def test_resync_more_deletions_than_the_limit_wait(world):
    with Site(world) as site:
        limit(site)


@ours
def test_resync_more_deletions_than_the_limit_wait_with_a_cyrus_master(world):
    with Site(world, cyrus=True) as site:
        limit(site)


@ours
def test_resync_another_servername_wipes_nothing(world):
    """The master has all by the old name: all wait, all are served; when the master has the new name there is nothing to do."""
    # More than the master shows a Cyrus backend.
    site = Site(world, server="[mupdate.server.guard]\nnames = 10\npercent = 5")
    site.make("user.alice", "user.alice.a", *(f"shared{number}" for number in range(23)))
    site.mail("INBOX.a", b"1")
    site.backend.stop()
    config = site.backend.config
    config.write_text(config.read_text().replace(site.own, "renamed.ravenry.test"))
    site.backend.start().idle = None
    facts = site.facts()
    assert number(facts, "into quarantine", "waiting") == (0, 25) and facts["why it waits"].startswith("25 of 25 mailboxes would go"), facts
    assert "rename-server" in facts["check first"] and "renamed.ravenry.test" in facts["check first"], facts
    session = world.at(site.backend, "alice")
    assert session.exists(session.select("INBOX.a").ok()) == 1
    site.master.ctl("mupdate", "rename-server", site.own, "renamed.ravenry.test")
    facts = site.facts("now")
    assert number(facts, "mailboxes here", "at the master", "differences found") == (25, 25, 0), facts


@ours
def test_resync_an_empty_directory_takes_nothing_out_of_mupdate(world):
    site = Site(world)
    site.make("user.alice", "user.alice.a", "shared")
    site.backend.stop()
    state, aside = site.backend.directory / "state", site.backend.directory / "aside"
    state.rename(aside)
    state.mkdir()
    site.backend.start().idle = None
    facts = site.facts()
    assert number(facts, "out of MUPDATE", "waiting") == (0, 3) and "state_dir" in facts["check first"], facts
    assert len(site.held()) == 3
    site.backend.stop()
    shutil.rmtree(state)
    aside.rename(state)
    site.backend.start().idle = None
    assert number(site.facts(), "differences found", "waiting") == (0, 0)


@ours
def test_resync_after_an_outage_all_is_pushed(world):
    """The master comes back without its list: the backend brings it, and nobody has to ask for it."""
    site = Site(world)
    names = ["user.alice", *(f"user.alice.m{number}" for number in range(250))]
    site.make(*names[:3])
    session = world.at(site.backend, "alice")
    for name in names[3:]:
        session.command("CREATE INBOX.", name.rsplit(".", 1)[1]).ok()
    before = site.held()
    assert set(before) == set(names)
    site.master.kill()
    session.command("CREATE INBOX.late").no()
    shutil.rmtree(site.master.directory / "state")
    site.master.start()
    poll("the list to be there again", 30, lambda: site.held() == before)
    session.command("CREATE INBOX.later").ok()
    site.agree()


def outage(site):
    """While the backend doesn't hear of it the master loses and gets names; afterwards both agree by themselves."""
    site.make("user.alice", "user.alice.a", "user.alice.b")
    site.mail("INBOX.b", b"1")
    before = site.held()
    site.facts("now")
    site.line.refuse()
    site.line.reset_all()
    with site.asks() as master:
        master.say("DELETE", "user.alice.a").ok()
        master.activate("user.alice.ghost", site.place)
    site.to_another("user.alice.b")
    site.line.listen()
    del before["user.alice.b"]
    poll("both to agree", 30, lambda: site.held() == before and site.here() == set(before))
    assert [line[1] for line in rows(site.backend, "quarantine", "list")] == ["user.alice.b"]


@ours
def test_resync_after_an_outage(world):
    with through(world) as site:
        outage(site)


@ours
def test_resync_after_an_outage_with_a_cyrus_master(world):
    with through(world, cyrus=True) as site:
        outage(site)


@ours
def test_resync_killed_while_what_waited_is_carried_out(world):
    """Part of it is done; the next start plans the rest, which waits again, and then both agree."""
    with through(world) as site:
        away = [f"away.m{number:02}" for number in range(30)]
        site.make("user.alice", *away)
        for name in away[::10]:
            site.mail(name, b"1")
        site.backend.stop()
        site.to_another(*away)
        site.ghosts(250)
        site.backend.start().idle = None
        assert number(site.facts(), "waiting") == (280,)
        # Enough for the first hundred names, and for a part of the next.
        site.line.stop(UP, after=12_000)
        applying = in_background(site)
        poll("some to be gone", 20, lambda: len(site.held()) < 251)
        site.backend.kill()
        applying.join(20)
        site.line.free()
        # What the dead process had sent may be carried out yet.
        poll("the master to be at rest", 20, site.is_at_rest)
        site.backend.start().idle = None
        facts, ghosts, twice = site.facts(), len(site.held()) - 1, len(site.here()) - 1
        assert 20 < ghosts < 250 and number(facts, "waiting") == (ghosts + twice,), (facts, ghosts, twice)
        # Our master has a guard of its own against a wipe.
        said = ctl(site.backend, "resync", "apply", code=1)
        assert "too many mailboxes taken away: the operator has to allow it" in said and "they wait" in said, said
        site.master.ctl("mupdate", "allow", "backend1")
        ctl(site.backend, "resync", "apply")
        assert set(site.held()) == {"user.alice"} == site.here()
        put_away = rows(site.backend, "quarantine", "list")
        assert sorted(line[1] for line in put_away) == away
        assert sum(int(line[2]) for line in put_away) == 3
        assert number(site.facts("now"), "differences found") == (0,)


def in_background(site):
    """`resync apply`, whose server will be killed."""
    thread = threading.Thread(target=lambda: ctl(site.backend, "resync", "apply", code=1))
    thread.start()
    return thread


@ours
def test_resync_a_master_that_falls_silent_is_compared_with_again(world):
    """In the middle of its LIST: nothing is taken for gone, and the next connection brings the comparison to its end."""
    with through(world) as site:
        site.make("user.alice", *(f"user.alice.m{number}" for number in range(40)))
        before = site.held()
        site.line.stop(DOWN, after=1500)
        site.line.reset_all()
        poll("a comparison that came to no end", 60, lambda: site.backend.stat("mupdate_resync_failed_total"))
        assert "last attempt failed" in json.loads(ctl(site.backend, "resync", "--json"))
        site.line.free()
        site.line.reset_all()
        poll("a whole comparison", 60, lambda: "last attempt failed" not in site.facts())
        assert number(site.facts(), "mailboxes here", "at the master", "differences found") == (41, 41, 0)
        assert site.held() == before and len(site.here()) == 41


def drift(site):
    site.make("user.alice", "user.alice.a")
    before = site.held()
    with site.asks() as master:
        master.say("DELETE", "user.alice.a").ok()
        master.activate("ghost", site.place)
        master.activate("user.alice", site.place, "anyone\tl\t")
    poll("the drift to be mended", 20, lambda: site.held() == before)
    assert site.here() == set(before)


@ours
def test_resync_in_the_background_finds_what_drifted(world):
    with Site(world, more='compare_every = "1s"') as site:
        drift(site)


@ours
def test_resync_in_the_background_finds_what_drifted_from_a_cyrus_master(world):
    with Site(world, cyrus=True, more='compare_every = "1s"') as site:
        drift(site)


@ours
def test_resync_a_backend_that_was_alone_joins(world):
    """All that it has is pushed, but for the names that somebody has already."""
    site = Site(world)
    config = site.backend.config
    joined = config.read_text()
    site.backend.stop()
    config.write_text(joined[:joined.index("[mupdate.client]")] + joined[joined.index("[limits]"):])
    site.backend.start().idle = None
    assert "no member of a murder" in ctl(site.backend, "resync", code=1)
    site.make("user.alice", *(f"user.alice.m{number}" for number in range(25)), "shared")
    site.mail("INBOX.m3", b"1")
    site.to_another("shared")
    site.backend.stop()
    config.write_text(joined)
    site.backend.start().idle = None
    facts = site.facts()
    assert number(facts, "pushed", "into quarantine", "waiting") == (26, 1, 0), facts
    assert set(site.held()) == site.here() and len(site.here()) == 26
    session = world.at(site.backend, "alice")
    assert session.exists(session.select("INBOX.m3").ok()) == 1


@ours
def test_resync_names_that_operations_are_about_are_left_to_them(world):
    """Sessions make, rename and delete while one comparison follows the other: none of it is undone, and none is quarantined."""
    site = Site(world, more='compare_every = "1s"')
    site.make("user.alice", "user.bob")
    session = world.at(site.backend, "alice")
    for number_ in range(60):
        session.command(f"CREATE INBOX.a{number_}.b").ok()
        session.command(f"RENAME INBOX.a{number_} INBOX.c{number_}").ok()
        session.command(f"SETACL INBOX.c{number_}.b bob lr").ok()
        session.command(f"DELETE INBOX.c{number_}.b").ok()
        ctl(site.backend, "resync", "now")
    wanted = {"user.alice", "user.bob", *(f"user.alice.c{number_}" for number_ in range(60))}
    assert site.here() == wanted == set(site.held())
    assert rows(site.backend, "quarantine", "list") == []
    assert site.backend.stat("mupdate_resync_quarantined_total") == 0


@ours
def test_resync_of_a_backend_alone(world):
    server = world.a_backend()
    for command in ((), ("plan",), ("now",), ("apply",)):
        assert "no member of a murder" in ctl(server, "resync", *command, code=1)
    assert rows(server, "quarantine", "list") == []
    assert "no mailbox in quarantine" in ctl(server, "quarantine", "drop", "0" * 16, code=1)
