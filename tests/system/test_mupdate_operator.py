"""`ravenry ctl mupdate` at a master and at replicas: dump and restore, renames, the guard's exception, and a replica that takes over."""

import subprocess

from marks import ours
from murder import BINARY, poll

ONE, TWO = "backend1.murder.test!default", "backend2.murder.test!default"


def ctl(server, *command):
    return server.ctl("mupdate", *command)


def refused(server, *command):
    """What it says on standard output where it refuses."""
    done = subprocess.run([BINARY, "ctl", "--config", server.config, "mupdate", *command], cwd=server.directory,
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=20)
    assert done.returncode != 0, done
    return done.stdout + done.stderr


def dumped(server):
    lines = ctl(server, "dump").splitlines()
    assert lines[0].startswith("# ravenry mupdate dump") and lines[-1] == "# end", lines
    return lines[1:-1]


@ours
def test_mupdate_ctl_dump_and_restore(world):
    """A dump has every name in every state, in order; restored elsewhere it is the same list, and cut short it is refused."""
    server, other = world.mupdate_server(), world.mupdate_server()
    with server.session() as session:
        session.activate("b.active", ONE, "u1\tlrs\tu2\tl\t")
        session.reserve("a.reserved", TWO)
        session.activate("c.moving", ONE)
        session.say("DEACTIVATE", "c.moving", ONE).ok()
        session.activate("d&AOk-\\ \"quoted\"", TWO, "")
    lines = dumped(server)
    assert [line.split("\t")[:3] for line in lines[:3]] == [
        ["a.reserved", "reserved", TWO], ["b.active", "active", ONE], ["c.moving", "moving", ONE]], lines
    assert ctl(server, "find", "b.active").strip() == lines[1] == f"b.active\tactive\t{ONE}\tu1\\tlrs\\tu2\\tl\\t"
    there = ctl(server, "list", "--server", "backend2.murder.test").splitlines()
    assert there == [lines[0], lines[3]], (there, lines)
    assert ctl(server, "list").splitlines() == lines
    file = server.directory / "dump"
    file.write_text(ctl(server, "dump"))
    with other.session("frontend") as reader, other.session() as writer:
        writer.activate("goes", ONE)
        assert set(reader.update()) == {"goes"}
        ctl(other, "restore", str(file))
        assert {record.name for record in reader.barrier()} == {"goes", *(line.split("\t")[0] for line in lines[:3]), 'd&AOk-\\ "quoted"'}
    assert dumped(other) == lines
    file.write_text("\n".join(ctl(server, "dump").splitlines()[:-2]) + "\n")
    assert "# end" in refused(other, "restore", str(file)), "a dump that was cut short"
    file.write_text("b.active\tnowhere\tx!y\t\n# end\n")
    assert "line 1" in refused(other, "restore", str(file))
    assert dumped(other) == lines


@ours
def test_mupdate_ctl_renames_and_allows(world):
    """A backend gets another name in every location; an account that the guard holds is let through once the operator says so."""
    server = world.mupdate_server(server="[mupdate.server.guard]\nnames = 5\npercent = 5")
    with server.session("frontend") as reader, server.session("backend3") as session:
        for n in range(20):
            session.activate(f"r{n}", ONE)
        session.activate("stays", TWO)
        reader.update()
        ctl(server, "rename-server", "backend1.murder.test", "backend9.murder.test")
        last = {record.name: record.location for record in reader.barrier()}
        last.pop("stays", None)  # what changed while the list was sent may be told once more
        assert last == {f"r{n}": "backend9.murder.test!default" for n in range(20)}
        assert len(ctl(server, "list", "--server", "backend9.murder.test").splitlines()) == 20
        words = [session.say("DELETE", f"r{n}").word for n in range(20)]
        assert words[0] == "OK" and words[-1] == "NO", words
        file = server.directory / "few"
        file.write_text(f"stays\tactive\t{ONE}\t\n")
        assert "--force" in refused(server, "restore", str(file)), "the guard holds for restore too"
        ctl(server, "allow", "backend3")
        for n in range(words.index("NO"), 20):
            session.say("DELETE", f"r{n}").ok()
        assert "backend2.murder.test" in ctl(server, "stats")
        ctl(server, "restore", "--force", str(file))
        assert dumped(server) == [f"stays\tactive\t{ONE}\t"]
        assert refused(server, "find", "r0")


@ours
def test_mupdate_replica_takes_over(world):
    """Promoted, a replica decides in a new epoch. The old master comes back and goes on, until it hears of it: then it refuses, for good."""
    master = world.mupdate_server()
    replica = world.mupdate_server(of=master.address)
    follower = world.mupdate_server(of=replica.address)
    with master.session() as session:
        session.activate("before", ONE)
        assert session.greeting[3] == "(master)" and refused(master, "promote")
    with follower.session("frontend") as session:
        poll("the follower to have it", 10, lambda: session.say("NOOP").word == "OK" and session.find("before"))
    with replica.session() as session:
        session.say("RESERVE", "early", ONE).bad()
    master.kill()
    with replica.session("frontend") as session:
        assert session.find("before").location == ONE, "it serves what it has"
        session.say("NOOP").no()
    ctl(replica, "promote")
    with replica.session() as session, follower.session("frontend") as far:
        assert session.greeting[3] == "(master)", session.greeting
        session.activate("after", TWO)
        assert session.say("NOOP").ok() and set(session.say("LIST").names) == {"before", "after"}
        poll("the follower of the new master", 20, lambda: far.say("NOOP").word == "OK" and far.find("after"))

    follower.idle = None
    follower.stop()
    master.start()
    with master.session() as session:
        session.reserve("nobody.told.it", ONE)
    address = f'server = "{replica.address[0]}:'
    follower.config.write_text(follower.config.read_text().replace(address, f'server = "{master.address[0]}:'))
    follower.start(ready=False)

    def fenced():
        with master.session() as session:
            return session.say("RESERVE", "too.late", ONE).word == "NO"
    poll("the old master to hear of its successor", 20, fenced)
    master.kill()
    master.start()
    with master.session() as session:
        answer = session.say("ACTIVATE", "too.late", ONE, "").no()
        assert "another master has taken over" in answer.text, answer
    with follower.session("frontend") as session:
        assert session.find("after"), "the follower keeps what it has: the old master is behind"
    for server in (follower, master, replica):
        server.idle = None
