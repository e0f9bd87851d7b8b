"""The mailbox list's file damaged, cut short, unwritable, on a full disk, at the start and while it is in use: a clear
error or a new list, never a crash, never a wrong answer."""

import os
import random
import resource
import shutil
import subprocess
import time
from contextlib import contextmanager

from imap_client import Broken, Conversation, message
from marks import needs, ours
from mupdate_client import Mupdate
from murder import poll

UNLIMITED = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)


@contextmanager
def disk(frontend, kilobytes):
    """A small disk of its own for the state of a frontend."""
    state = frontend.directory / "state"
    state.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", state], check=True)
    try:
        yield state
    finally:
        frontend.kill()
        subprocess.run(["umount", "-l", state], check=True)


def fill(state, spare=0):
    """Fills the disk but for `spare` bytes."""
    room = os.statvfs(state).f_bavail * os.statvfs(state).f_frsize
    with open(state / "filler", "wb") as filler:
        filler.write(b"f" * max(0, room - spare))


def attempt(frontend):
    """Starts it: what it says where it gives up, or None where it serves. It never dies of a signal."""
    try:
        frontend.start(ready=False)
    except AssertionError:
        code = frontend.process.wait(20)
        said = frontend.log.read_text()
        assert code == 1, f"ended with {code}: {said[-500:]}"
        return said.splitlines()[-1]
    return None


def known_works(world, user, frontend, session=None):
    """What is in the list works."""
    mine, session = session is None, session or world.client(user, frontend)
    session.select("INBOX").ok()
    assert "INBOX" in session.listed(session.command('LIST "" "*"').ok())
    session.append("INBOX", message("x")).ok()
    if mine:
        session.close()


def all_is_well(world, user, frontend):
    known_works(world, user, frontend)
    session = world.client(user, frontend)

    def knows():
        return "UNAVAILABLE" not in session.select("nosuch").no().code
    poll("the list to be in step", 30, knows)
    session.close()


class Names:
    """Many names at the master, for nobody to see; they go with the block."""

    def __init__(self, world, count=300):
        self.address = world.murder.address("mupdate")
        self.names = [f"ballast.n{number}" for number in range(count)]

    def __enter__(self):
        acl = "".join(f"nobody{number}\tlrs\t" for number in range(150))
        with Mupdate(self.address) as master:
            for name in self.names:
                master.reserve(name, "backend1.murder.test!default")
                master.activate(name, "backend1.murder.test!default", acl)
        return self

    def __exit__(self, *_):
        with Mupdate(self.address) as master:
            for name in self.names:  # all of them known: an unknown one would kill Cyrus' master
                master.say("DELETE", name).ok()


@ours
@needs("mount")
def test_no_room_at_the_start(world):
    """Whatever is missing: it says so and ends, or it serves."""
    user = world.user("backend1")
    frontend = world.another(account="frontend3")
    with disk(frontend, 512) as state:
        given_up = 0
        for spare in [*range(0, 40 << 10, 4 << 10), *range(40 << 10, 320 << 10, 40 << 10)]:
            fill(state, spare)
            said = attempt(frontend)
            if said is None:
                poll("an answer", 20, lambda: frontend.greets() in (b"OK", b"BYE"))
                time.sleep(0.3)  # the first sync, and readers
                assert frontend.process.poll() is None, f"died with {frontend.process.returncode}, {spare} bytes free"
                frontend.kill()
            else:
                given_up += 1
                assert "No space left" in said or "Input/output" in said, said
                assert "state" in said or "mailbox list" in said, said
            for file in (state / "mailboxes").glob("*"):
                file.unlink()
            (state / "filler").unlink()
        assert given_up > 0
        frontend.start()
        all_is_well(world, user, frontend)


@contextmanager
def full_disk(frontend, state):
    fill(state)
    yield
    (state / "filler").unlink()


@contextmanager
def file_size_limit(frontend, state):
    size = (state / "mailboxes/data.mdb").stat().st_size
    resource.prlimit(frontend.process.pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
    yield
    resource.prlimit(frontend.process.pid, resource.RLIMIT_FSIZE, UNLIMITED)


@ours
@needs("mount")
def test_no_room_while_it_runs(world):
    user = world.user("backend1")
    for no_room in (full_disk, file_size_limit):
        frontend = world.another(account="frontend3")
        with disk(frontend, 4096) as state:
            frontend.start()
            session = world.client(user, frontend)
            names = frontend.stat("mailboxes")
            with no_room(frontend, state):
                with Names(world, 900):
                    poll("the list to find no room", 20, lambda: "can't be written" in frontend.log.read_text())
                    for client in (session, world.client(user, frontend)):
                        known_works(world, user, frontend, client)
                        start = time.monotonic()
                        client.select("nosuch").no("UNAVAILABLE")
                        client.command("STATUS ballast.n899 (MESSAGES)").no()
                        assert time.monotonic() - start < 15
                        client.in_step()
                        if client is not session:
                            client.close()
                    assert "room on the disk" in frontend.log.read_text(), "what to do isn't said"
                    assert frontend.process.poll() is None
            all_is_well(world, user, frontend)
            poll("the list to be as it was", 20, lambda: frontend.stat("mailboxes") == names)
            session.close()
            frontend.stop()


def garbled(data):
    """No page of it is as it was."""
    dice = random.Random(7)
    for at in range(20, len(data), 100):
        data[at] ^= dice.randrange(1, 256)
    return data


@ours
def test_a_damaged_file_at_the_start(world):
    """It is set aside and fetched anew; until that is done nobody is told anything."""
    user = world.user("backend1")
    frontend = world.another(account="frontend3").start()
    known_works(world, user, frontend)
    damages = {"emptied": lambda data: b"", "cut": lambda data: data[:len(data) // 2],
               "cut in a page": lambda data: data[:-100], "garbled": garbled, "another's": lambda data: b"\0" * len(data)}
    file = frontend.directory / "state/mailboxes/data.mdb"
    for what, damage in damages.items():
        frontend.stop()
        file.write_bytes(damage(bytearray(file.read_bytes())))
        frontend.start()
        assert "the mailbox list is fetched anew" in frontend.log.read_text().split("mupdate core")[-2], what
        all_is_well(world, user, frontend)
    frontend.stop()
    file.write_bytes(b"")
    world.forget_admins()
    with world.without("mupdate"):
        frontend.start(ready=False)
        for _ in range(3):
            with Conversation(frontend.address) as session:
                assert session.greeting.word == b"BYE" and b"[UNAVAILABLE]" in session.greeting.raw
    poll("the list", 30, lambda: frontend.greets() == b"OK")
    all_is_well(world, user, frontend)


@ours
@needs("mount")
def test_state_that_can_not_be_written(world):
    user = world.user("backend1")
    frontend = world.another(account="frontend3")
    with disk(frontend, 4096) as state:
        frontend.start()
        known_works(world, user, frontend)
        frontend.stop()
        subprocess.run(["mount", "-o", "remount,ro", state], check=True)
        said = attempt(frontend)
        assert said and "Read-only file system" in said and "state" in said, said
        subprocess.run(["mount", "-o", "remount,rw", state], check=True)
        frontend.start()
        all_is_well(world, user, frontend)
        frontend.stop()


@ours
def test_the_file_removed_while_it_runs(world):
    """What is open goes on; the next start fetches the list anew."""
    user = world.user("backend1")
    frontend = world.another(account="frontend3").start()
    session = world.client(user, frontend)
    known_works(world, user, frontend, session)
    shutil.rmtree(frontend.directory / "state/mailboxes")
    all_is_well(world, user, frontend)
    known_works(world, user, frontend, session)
    session.command("CREATE INBOX.new").ok()
    session.select("INBOX.new").ok()
    session.close()
    frontend.stop()
    frontend.start()
    all_is_well(world, user, frontend)


@ours
def test_the_file_cut_short_while_it_runs(world):
    """Nothing that maps a file bears that: the process may end, but it never lies, and the next start mends it."""
    user = world.user("backend1")
    frontend = world.another(account="frontend3").start()
    session = world.client(user, frontend)
    os.truncate(frontend.directory / "state/mailboxes/data.mdb", 4096)
    try:
        for _ in range(5):
            status = session.select("INBOX")
            assert status.status == "OK" or "UNAVAILABLE" in status.code, status.text
            status = session.command("STATUS nosuch (MESSAGES)")
            assert status.status == "NO", status.text
    except (Broken, OSError):
        pass
    if frontend.process.poll() is None:
        frontend.kill()
    frontend.idle = None
    frontend.start()
    all_is_well(world, user, frontend)
