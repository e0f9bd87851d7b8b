"""Losing power: a master is recorded under load, its state laid out as a disk may hold it after a cut at many
moments, and a real server started on each: all that was answered is there, and one order explains it all.

RAVENRY_POWER_POINTS: how many moments (16; 200 in `./dev test full`). SEED: of the load and the moments.
"""

import os
import random
import re
import shutil
import threading
import time

import history
import mupdate_rules as rules
from imap_client import Broken
from marks import needs, ours
from mupdate_client import quoted
from mupdate_rules import Account, Command
from power_loss import Record

POINTS = int(os.environ.get("RAVENRY_POWER_POINTS", "16"))
SEED = int(os.environ.get("SEED") or random.SystemRandom().randrange(1 << 32))
GUARD = "[mupdate.server.guard]\nnames = 1000000"
ACCOUNTS = [Account("backend1", "backend1.murder.test"), Account("backend2", "backend2.murder.test"), Account("backend3")]
# what a start makes anew
IGNORE = ("lock.mdb", "owner.lock", "ctl.sock")
PIPELINE = 8


def random_command(dice, account, number):
    """Mostly what succeeds: a server's own names."""
    server = account.server or dice.choice([a.server for a in ACCOUNTS if a.server])
    location = server + dice.choice(["!default", "!"])
    verb = dice.choices(["RESERVE", "ACTIVATE", "DEACTIVATE", "DELETE"], [4, 6, 2, 3])[0]
    if verb == "DELETE":
        return Command(verb)
    return Command(verb, location, f"u{number}\tlrs\t" if verb == "ACTIVATE" else "")


class Load:
    """Commands of several connections at once, each with a tag of its own."""

    def __init__(self, server, seed, commands, names):
        self.said, self.errors = {}, []
        threads = [threading.Thread(target=self.run, args=(server, random.Random(f"{seed} {n}"), n, commands, names), daemon=True)
                   for n in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(120)
            assert not thread.is_alive(), "the load does not end"
        assert not self.errors, self.errors

    def run(self, server, dice, connection, commands, names):
        try:
            account = ACCOUNTS[connection % len(ACCOUNTS)]
            with server.session(account.name, deadline=60) as session:
                for number in range(commands):
                    tag = f"c{connection}n{number}"
                    name = f"name{dice.randrange(names)}"
                    command = random_command(dice, account, f"{connection}x{number}")
                    self.said[tag] = (name, account, command)
                    session.send(command.verb, " ", quoted(name), *(b" " + quoted(s) for s in (command.location,) if s),
                                 *(b" " + quoted(s) for s in (command.acl,) if s), tag=tag)
                    if len(session.waiting) >= PIPELINE:
                        session.answer()
                while session.waiting:
                    session.answer()
        except (OSError, AssertionError) as error:
            self.errors.append(error)


class Recorded:
    """A master under load, from its very first start to its end, and what it had said by when."""

    def __init__(self, world, seed, commands=250, names=120):
        self.server = world.mupdate_server(start=False, server=GUARD)
        output = self.server.directory / "strace"
        self.server.under = Record.command(output)
        self.server.start()
        load = Load(self.server, seed, commands, names)
        self.server.end_under_strace()
        self.record = Record(self.server.directory / "state", IGNORE).read(output)
        output.unlink()
        heard = lines(self.record.received, rb"^(c\d+n\d+) ")
        said = lines(self.record.sent, rb"^(c\d+n\d+) (OK|NO)\b")
        self.operations = []
        for tag, (name, account, command) in load.said.items():
            begin, end = heard[tag.encode()][0], said[tag.encode()]
            self.operations.append(history.Operation(name, account, command, begin, end[0], end[1] == b"OK"))
        assert len(self.operations) == 6 * commands

    def points(self, dice, count):
        """Moments at which something was written, synced or said, the first start among them."""
        return sorted(dice.sample(sorted(self.record.moments), min(count, len(self.record.moments))))

    def until(self, point, early=0):
        """The operations as they stood then: what had been heard, and what was answered (`early`: so much sooner)."""
        found = []
        for operation in self.operations:
            if operation.begin < point:
                said = operation.end - early < point
                found.append(operation if said else history.Operation(
                    operation.name, operation.account, operation.command, operation.begin))
                if said and early:
                    found[-1] = history.Operation(*[getattr(operation, field) for field in (
                        "name", "account", "command", "begin")], max(operation.begin, operation.end - early), operation.ok)
        return found


def lines(pieces, pattern):
    """Of each connection's lines that match: the first group, and when the line's last byte came with what follows it."""
    buffers, found = {}, {}
    for when, connection, data in pieces:
        *whole, rest = (buffers.pop(connection, b"") + data).split(b"\r\n")
        buffers[connection] = rest
        for line in whole:
            if match := re.match(pattern, line):
                found[match.group(1)] = (when, *match.groups()[1:])
    return found


def after_the_cut(world, recorded, spare, point, dice, mode, **more):
    """Starts a real server on what the disk may hold, and checks what it has against what was said."""
    state = spare.directory / "state"
    shutil.rmtree(state, ignore_errors=True)
    state.mkdir()
    early = more.pop("early", 0)
    recorded.record.lay_out(recorded.record.disk(point, dice, mode, **more), state)
    spare.log.write_bytes(b"")
    try:
        spare.start()
        with spare.session() as session:
            finals = {name: rules.seen(record) for name, record in session.say("LIST").ok().names.items()}
            session.reserve("and.it.works", "backend1.murder.test!default")
    finally:
        spare.kill()
    history.check(recorded.until(point, early), finals)


def sweep(world, recorded, count, dice, **more):
    """Cuts at `count` moments; the failures."""
    spare, failures = world.mupdate_server(start=False, server=GUARD), []
    for point in recorded.points(dice, count):
        mode = dice.choice(["none", "all", "pages", "sectors", "sectors"])
        try:
            after_the_cut(world, recorded, spare, point, dice, mode, **more)
        except (AssertionError, OSError, Broken) as error:
            failures.append(f"cut at {point} of {recorded.record.last}, {mode}: {error}")
    return failures


@ours
@needs("strace")
def test_mupdate_power_loss(world):
    """No cut loses anything that was answered; and the same checks fail where a sync is forgotten or an answer is early."""
    print(f"SEED={SEED}", flush=True)
    dice = random.Random(SEED)
    recorded = Recorded(world, SEED)
    started = time.monotonic()
    failures = sweep(world, recorded, POINTS, dice)
    assert not failures, f"SEED={SEED}: {len(failures)} of {POINTS} cuts\n" + "\n".join(failures)
    print(f"{POINTS} cuts in {time.monotonic() - started:.1f} s, {len(recorded.operations)} commands", flush=True)
    # the means to notice: without its syncs, and with answers given before them, the same server is caught
    late = max(8, POINTS // 10)
    assert sweep(world, recorded, late, dice, syncs=False), "a server without syncs isn't noticed"
    assert sweep(world, recorded, 2 * late, dice, early=40), "answers before the sync aren't noticed"
