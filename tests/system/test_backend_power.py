"""Losing power: a backend is recorded under load, its index and its messages laid out as a disk may hold them after a
cut at many moments, and a real server started on each: all that was answered is there, of what was under way all or
nothing, and no UID is given twice.

RAVENRY_BACKEND_POWER_POINTS: how many moments (200). SEED: of the load and the moments.
"""

import os
import random
import shutil
import tempfile
import time

from backend_load import BOXES, Namer, Worker, at_once, difference, explains, look, names, of_worker
from imap_client import Broken, Conversation, message
from marks import needs, ours
from power_loss import Record
from test_mupdate_power import lines

POINTS = int(os.environ.get("RAVENRY_BACKEND_POWER_POINTS", "200"))
SEED = int(os.environ.get("SEED") or random.SystemRandom().randrange(1 << 32))
STEPS = 60
MEMORY = "/dev/shm"
# what a start makes anew; the name of a mailbox beside its messages is for those who look at the files
IGNORE = ("lock.mdb", "owner.lock", "ctl.sock", "name")


class Recorded:
    """A backend under load, from its start to its end, and what it had said by when. It starts with nothing, or with what
    `prepare` lays out."""

    def __init__(self, world, seed, prepare=None):
        backend = a_backend(world)
        if prepare:
            prepare(backend.data)
        self.record = Record(backend.data, IGNORE).begin_with_what_is_there()
        output = backend.directory / "strace"
        backend.under = Record.command(output)
        backend.start()
        with Conversation(backend.address, deadline=60) as session:
            session.finish(session.start("LOGIN alice alicepw", tag=b"made0")).ok()
            for n, box in enumerate(() if prepare else BOXES[1:], 1):
                session.finish(session.start(f"CREATE {box}", tag=b"made%d" % n)).ok()
            found, there = look(session), names(session)
        self.validity = {box: seen.uidvalidity for box, seen in found.items()}
        self.workers = [Worker(f"w{n}", random.Random(f"{seed} {n}")) for n in range(5)]
        self.namer = Namer("t0", random.Random(f"{seed} names"))
        self.first = {worker: of_worker(worker.name, found) for worker in self.workers} | {self.namer: there}
        self.load(world, backend, started_with=1000 if prepare else 0)
        backend.end_under_strace()
        self.log = backend.log.read_text()
        self.record.read(output)
        output.unlink()
        self.heard = {tag: when[0] for tag, when in lines(self.record.received, rb"^((?:[wt]\d+n|made)\d+) ").items()}
        self.said = {tag: when[0] for tag, when in lines(self.record.sent, rb"^((?:[wt]\d+n|made)\d+) OK").items()}
        if prepare:
            self.said |= {b"made%d" % n: -1 for n in range(len(BOXES))}

    def load(self, world, backend, started_with):
        for worker, state in self.first.items():
            worker.state, worker.count = state, started_with
        sessions = [world.at(backend, "alice") for _ in self.first]
        given = at_once([lambda worker=worker, session=session: worker.run(session, lambda worker: len(worker.steps) == STEPS)
                         for worker, session in zip(self.first, sessions)])
        assert given == [None] * len(sessions), given

    def points(self, dice, count):
        """Moments at which something was written, synced or said, the first start among them."""
        return sorted(dice.sample(sorted(self.record.moments), min(count, len(self.record.moments))))

    def may_be(self, worker, point, early):
        """What a worker's messages may be after a cut: behind what was answered, or one command further."""
        states, answered = [self.first[worker]] + [step.state for step in worker.steps], 0
        for step in worker.steps:
            if self.said[step.tag.encode()] - early >= point:
                break
            answered += 1
        begun = answered < len(worker.steps) and self.heard[worker.steps[answered].tag.encode()] < point
        return states[answered:answered + 1 + begun], [uid for step in worker.steps[:answered] for uid in step.uids]

    def check(self, found, there, point, early=0):
        states, _ = self.may_be(self.namer, point, early)
        assert there in states, f"names: {set(there) ^ states[-1]}"
        for n, box in enumerate(BOXES):
            if self.said[b"made%d" % n] - early < point:
                assert box in found, f"{box} was made, and is away"
                assert found[box].uidvalidity == self.validity[box], f"{box} has another UIDVALIDITY"
        for worker in self.workers:
            states, uids = self.may_be(worker, point, early)
            mine = of_worker(worker.name, found)
            assert any(explains(state, mine) for state in states), f"{worker.name}: {difference(states[-1], mine)}"
            for box, uid in uids:
                assert uid < found[box].uidnext, f"UIDNEXT of {box} is {found[box].uidnext}, {uid} was given"


def a_backend(world, data="data/"):
    backend = world.a_backend(start=False, shards=1, data=data)
    backend.data.mkdir(exist_ok=True)
    return backend


def after_the_cut(recorded, spare, point, dice, mode, syncs=True, early=0):
    """Starts a real server on what the disk may hold, and checks what it has against what was said."""
    for part in spare.data.iterdir():
        shutil.rmtree(part)
    recorded.record.lay_out(recorded.record.disk(point, dice, mode, syncs), spare.data)
    spare.log.write_bytes(b"")
    try:
        spare.start(ready=False)
        with Conversation(spare.address) as session:
            session.login("alice", "alicepw").ok()
            found, there = look(session), names(session)
            session.append("INBOX", message("it.works")).ok()
    finally:
        spare.kill()
    log = spare.log.read_text()
    assert "file isn't there" not in log, "a message's file is away"
    recorded.check(found, there, point, early)


def sweep(world, recorded, count, dice, **more):
    """Cuts at `count` moments; the failures. In memory, where a store's hundreds of directories are made at once."""
    failures = []
    with tempfile.TemporaryDirectory(dir=MEMORY if os.access(MEMORY, os.W_OK) else None, prefix="ravenry-test-") as folder:
        spare = a_backend(world, f"{folder}/")
        for point in recorded.points(dice, count):
            mode = dice.choice(["none", "all", "pages", "sectors", "sectors"])
            try:
                after_the_cut(recorded, spare, point, dice, mode, **more)
            except (AssertionError, OSError, Broken) as error:
                failures.append(f"cut at {point} of {recorded.record.last}, {mode}: {error}")
    return failures


@ours
@needs("strace")
def test_backend_power_loss(world):
    """No cut loses anything that was answered; and the same checks fail where a sync is forgotten or an answer is early."""
    print(f"SEED={SEED}", flush=True)
    dice = random.Random(SEED)
    started = time.monotonic()
    recorded = Recorded(world, SEED)
    print(f"recorded in {time.monotonic() - started:.1f} s", flush=True)
    started = time.monotonic()
    failures = sweep(world, recorded, POINTS, dice)
    assert not failures, f"SEED={SEED}: {len(failures)} of {POINTS} cuts\n" + "\n".join(failures)
    print(f"{POINTS} cuts in {time.monotonic() - started:.1f} s", flush=True)
    # the means to notice: without its syncs, and with answers given before them, the same server is caught
    late = max(8, POINTS // 20)
    unsynced, early = sweep(world, recorded, late, dice, syncs=False), sweep(world, recorded, 3 * late, dice, early=150)
    assert unsynced, "a server without syncs isn't noticed"
    assert early, "answers before the sync aren't noticed"
    print(f"noticed: {len(unsynced)} of {late} without syncs, {len(early)} of {3 * late} with early answers", flush=True)


@ours
@needs("strace")
def test_backend_power_loss_once_more(world):
    """What a cut left is put in order by the next start; power goes within that, or in the load behind it."""
    print(f"SEED={SEED}", flush=True)
    dice = random.Random(SEED)
    before = Recorded(world, SEED)
    made = max(before.said[b"made%d" % n] for n in range(len(BOXES)))
    # messages that have names, and aren't in the index yet
    linked = [name.end for name in before.record.names
              if name.begin > made and name.changes[0][0].suffix == ".eml" and name.changes[0][1] is not None]
    cut = dice.choice(linked) + 1
    recorded = Recorded(world, SEED + 1, lambda data: before.record.lay_out(before.record.disk(cut, dice, "all"), data))
    lost = recorded.log.count("nothing refers to a file")
    assert lost > 0, f"SEED={SEED}: nothing was to be put in order after {cut}"
    failures = sweep(world, recorded, POINTS // 2, dice)
    assert not failures, f"SEED={SEED}: {len(failures)} cuts behind the one at {cut}\n" + "\n".join(failures)
    print(f"{POINTS // 2} cuts behind one that left {lost} files to nobody", flush=True)
