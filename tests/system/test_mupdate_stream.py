"""UPDATE at our master: the list, then every change in order and at once; NOOP is a barrier; the slow are cut and
others don't notice."""

import random
import socket
import threading
import time

from imap_client import Broken
from marks import ours
from mupdate_client import Record
from murder import poll

ONE, TWO = "backend1.murder.test!default", "backend2.murder.test!default"


@ours
def test_mupdate_stream_has_every_change(world):
    """Each change once, in the order of the answers, as it was then."""
    with world.mupdate_server().session() as writer, writer_of(world).session("frontend") as reader:
        writer.activate("before", ONE, "old\tlrs\t")
        assert {name: record.acl for name, record in reader.update().items()} == {"before": "old\tlrs\t"}
        expected = []
        for n in range(100):
            name = f"s{n % 5}"
            writer.reserve(name, ONE)
            writer.activate(name, ONE, f"u{n}\tlrs\t")
            writer.say("DEACTIVATE", name, ONE).ok()
            writer.say("DELETE", name).ok()
            expected += [Record("RESERVE", name, ONE), Record("MAILBOX", name, ONE, f"u{n}\tlrs\t"),
                         Record("RESERVE", name, ONE), Record("DELETE", name)]
        assert reader.barrier() == expected
        writer.say("RESERVE", "before", TWO).no()
        assert reader.barrier() == []


def writer_of(world):
    return world.extra[-1]


@ours
def test_mupdate_stream_is_immediate(world):
    """A change is there within milliseconds, with no NOOP and no timer."""
    server = world.mupdate_server()
    with server.session() as writer, server.session("frontend") as reader:
        reader.update()
        waits = []
        for n in range(50):
            writer.activate(f"at.once{n}", ONE)
            start = time.monotonic()
            assert reader.event().name == f"at.once{n}"
            waits.append(time.monotonic() - start)
        assert sorted(waits)[45] < 0.1, sorted(waits)
        reader.silent(0.3)


@ours
def test_mupdate_stream_of_some_servers(world):
    """PARTIAL-UPDATE: the names of the servers asked for; of one that goes elsewhere its new place is told, as Cyrus does."""
    server = world.mupdate_server()
    with server.session() as writer, server.session("frontend") as reader:
        writer.activate("here", ONE)
        writer.activate("there", TWO)
        assert set(reader.update("backend1.murder.test", "backend3.murder.test")) == {"here"}
        writer.activate("new.there", TWO)
        writer.activate("new.here", ONE)
        writer.say("DEACTIVATE", "here", ONE).ok()
        writer.activate("here", TWO)
        told = [(record.kind, record.name, record.location) for record in reader.barrier()]
        assert told == [("MAILBOX", "new.here", ONE), ("RESERVE", "here", ONE), ("MAILBOX", "here", TWO)], told
        writer.activate("here", TWO, "other\tlrs\t")
        writer.say("DELETE", "here").ok()
        assert reader.barrier() == []


@ours
def test_mupdate_stream_while_the_list_changes(world):
    """A snapshot of many names while they change: no state older than one that was told, and in the end the list."""
    server = world.mupdate_server(server="[mupdate.server.guard]\nnames = 1000000")
    count, over = 20_000, threading.Event()
    with server.session() as writer:
        pipeline(writer, [("ACTIVATE", f"big{n}", ONE, "v0\tlrs\t") for n in range(count)])

    def change():
        dice, version = random.Random(1), 0
        with server.session() as session:
            while not over.is_set():
                version += 1
                pipeline(session, [("ACTIVATE", f"big{dice.randrange(count)}", ONE, f"v{version}\tlrs\t") for _ in range(50)])
    thread = threading.Thread(target=change, daemon=True)
    thread.start()
    try:
        for _ in range(3):
            with server.session("frontend") as reader:
                told = {}
                for record in [*reader.update().values(), *reader.barrier(), *reader.barrier()]:
                    version = int(record.acl.split("\t")[0][1:])
                    assert version >= told.get(record.name, -1), f"{record} after v{told[record.name]}"
                    told[record.name] = version
                assert len(told) == count
    finally:
        over.set()
        thread.join(30)
    with server.session("frontend") as reader, server.session("frontend") as other:
        told = reader.update()
        for record in reader.barrier():
            told[record.name] = record
        assert told == other.say("LIST").names


def pipeline(session, commands, depth=200):
    for n, strings in enumerate(commands):
        session.send(strings[0], *(f' "{string}"' for string in strings[1:]))
        if len(session.waiting) >= depth:
            session.answer().ok()
    while session.waiting:
        session.answer().ok()


@ours
def test_mupdate_stream_noop_is_a_barrier(world):
    """What was answered to anybody before NOOP was sent is in the stream before NOOP's answer."""
    server = world.mupdate_server()
    writers = [server.session() for _ in range(4)]
    with server.session("frontend") as reader:
        reader.update()
        for n in range(100):
            for w, writer in enumerate(writers):
                writer.send("ACTIVATE", f' "w{w}" "{ONE}" "n{n}\tlrs\t"')
            for writer in writers:
                writer.answer().ok()
            last = {record.name: record.acl for record in reader.barrier()}
            assert last == {f"w{w}": f"n{n}\tlrs\t" for w in range(4)}, (n, last)
    for writer in writers:
        writer.close()


@ours
def test_mupdate_stream_cuts_who_is_slow(world):
    """One reads nothing: it is held within the bound and closed; another in the same time has all of it at once."""
    server = world.mupdate_server(server='backlog = "64 KiB"')
    with server.session() as writer, server.session("frontend") as reader, server.session("frontend", deadline=60) as slow:
        slow.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        slow.update()
        reader.update()
        before = memory(server)
        acl = "".join(f"user{n}\tlrswipkxtecda\t" for n in range(200))
        waits = []
        for n in range(3000):
            start = time.monotonic()
            writer.activate(f"s{n % 50}", ONE, f"v{n}\tlrs\t{acl}")
            while reader.event().acl.split("\t")[0] != f"v{n}":
                pass
            waits.append(time.monotonic() - start)
        assert max(waits) < 2, max(waits)
        grown = memory(server) - before
        assert grown < 16 << 20, f"{grown >> 20} MiB more"
        poll("the slow one to be cut", 30, lambda: "too far behind" in server.log.read_text())
        # reads what the kernels held, with a window that doesn't make it wait
        slow.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        told = 0
        try:
            while slow.event():
                told += 1
        except (Broken, OSError):
            pass
        assert told < 3000
    with server.session("frontend") as again:
        assert len(again.update()) == 50


def memory(server):
    status = (server.directory / f"/proc/{server.process.pid}/status").read_text()
    return int(status.split("RssAnon:")[1].split()[0]) << 10
