"""Random commands of several accounts at once, while the master is killed and started again: one order of them
explains every answer, everything that the stream told, and what is there at the end.

SEED repeats a run's commands; MODEL_ROUNDS says how many runs (2).
"""

import os
import random
import threading
import time

import history
import mupdate_rules as rules
from imap_client import Broken
from marks import ours
from mupdate_rules import Account, Command
from test_mupdate_power import GUARD, SEED, random_command

ROUNDS = int(os.environ.get("MODEL_ROUNDS", "2"))
ACCOUNTS = [Account("backend1", "backend1.murder.test"), Account("backend2", "backend2.murder.test"), Account("backend3"),
            Account("backend1", "backend1.murder.test"), Account("frontend", write=False)]
NAMES, SECONDS, CRASHES = 60, 4.0, 4
FIND = Command("FIND")


class Client(threading.Thread):
    """One connection after another; an answer that never came is one that nobody has."""

    def __init__(self, server, account, seed, number, until, conflicts):
        super().__init__(daemon=True)
        self.server, self.account, self.dice, self.number, self.until = server, account, random.Random(seed), number, until
        self.operations, self.error = [], None

    def run(self):
        try:
            while time.monotonic() < self.until:
                try:
                    with self.server.session(self.account.name, deadline=15) as session:
                        while time.monotonic() < self.until:
                            self.one(session)
                except (OSError, Broken):
                    time.sleep(0.02)  # the master is away
        except AssertionError as error:
            self.error = error

    def one(self, session):
        name = f"m{self.dice.randrange(NAMES)}"
        number = len(self.operations)
        command = FIND if self.dice.random() < 0.25 else random_command(self.dice, self.account, f"{self.number}x{number}")
        operation = history.Operation(name, self.account, command, time.monotonic())
        self.operations.append(operation)
        strings = [name] + [s for s in (command.location, command.acl) if s]
        answer = session.say(command.verb, *strings)
        operation.ok, operation.end = answer.word == "OK", time.monotonic()
        if command is FIND:
            operation.seen = rules.seen(answer.records[0]) if answer.records else None


class Follower(threading.Thread):
    """A stream of each life of the master: what it told, name by name; a snapshot stands for a state each."""

    def __init__(self, server):
        super().__init__(daemon=True)
        self.server, self.told, self.over, self.error = server, {}, threading.Event(), None

    def run(self):
        while not self.over.is_set():
            try:
                with self.server.session("frontend", deadline=15) as session:
                    snapshot = session.update()
                    for name in self.told.keys() | snapshot.keys():
                        self.tell(name, rules.seen(snapshot.get(name)))
                    while not self.over.is_set():
                        for record in session.barrier():
                            self.tell(record.name, None if record.kind == "DELETE" else rules.seen(record))
                        time.sleep(0.005)
                    for record in session.barrier():
                        self.tell(record.name, None if record.kind == "DELETE" else rules.seen(record))
            except (OSError, Broken):
                time.sleep(0.02)

    def tell(self, name, state):
        told = self.told.setdefault(name, [])
        if (told[-1] if told else None) != state:
            told.append(state)


def run_model(world, seed, conflicts):
    server = world.mupdate_server(server=f'conflicts = "{conflicts}"\n{GUARD}')
    until = time.monotonic() + SECONDS
    clients = [Client(server, account, f"{seed} {n}", n, until, conflicts) for n, account in enumerate(ACCOUNTS)]
    follower = Follower(server)
    for thread in [*clients, follower]:
        thread.start()
    dice = random.Random(seed)
    for _ in range(CRASHES):
        time.sleep(SECONDS / (CRASHES + 1) * dice.uniform(0.5, 1.2))
        server.kill()
        server.start()
    for client in clients:
        client.join(30)
        assert not client.is_alive() and not client.error, client.error
    follower.over.set()
    follower.join(30)
    assert not follower.is_alive() and not follower.error, follower.error
    with server.session() as session:
        finals = {name: rules.seen(record) for name, record in session.say("LIST").ok().names.items()}
    operations = [operation for client in clients for operation in client.operations]
    lost = sum(operation.end is None for operation in operations)
    history.check(operations, finals, follower.told, conflicts)
    print(f"SEED={seed} {conflicts}: {len(operations)} commands, {lost} without an answer, "
          f"{sum(map(len, follower.told.values()))} told, {CRASHES} crashes", flush=True)
    assert len(operations) > 500 and follower.told
    never_two_at_once(operations)


def never_two_at_once(operations):
    """Between OKs to ACTIVATE of two servers something was under way that may have ended the first."""
    frees = ("DELETE", "DEACTIVATE", "RESERVE")
    for name in {operation.name for operation in operations}:
        ones = [operation for operation in operations if operation.name == name]
        active = [one for one in ones if one.command.verb == "ACTIVATE" and one.ok]
        freed = [one for one in ones if one.command.verb in frees and one.ok is not False]
        for one in active:
            for other in active:
                if one.end < other.begin and one.command.server != other.command.server:
                    assert any(free.begin < other.end and (free.end is None or free.end > one.begin) for free in freed), \
                        f"{name}:\n{one}\n{other}"


@ours
def test_mupdate_model_strict(world):
    for n in range(ROUNDS):
        seed = SEED + n
        try:
            run_model(world, seed, "strict")
        except AssertionError as error:
            raise AssertionError(f"SEED={seed}: {error}") from error


@ours
def test_mupdate_model_notices(_world):
    """The checker fails at a history that no order explains."""
    one, two = ACCOUNTS[:2]
    take = Command("ACTIVATE", "backend1.murder.test!default", "a\t")
    also = Command("ACTIVATE", "backend2.murder.test!default", "b\t")
    held = rules.Name("active", take.location, "a\t")
    good = [history.Operation("x", one, take, 1, 2, True), history.Operation("x", two, also, 3, 4, False),
            history.Operation("x", two, FIND, 5, 6, True, held), history.Operation("x", one, Command("DELETE"), 7)]
    history.check(good, {"x": held}, {"x": [held]})
    history.check(good, {}, {"x": [held, None]})
    wrong = [
        ([*good[:1], history.Operation("x", two, also, 3, 4, True)], None, {}),  # active twice
        ([*good[:2], history.Operation("x", two, FIND, 5, 6, True, None)], None, {}),  # forgotten
        (good[:3], {}, {}),  # gone at the end
        (good[:3], {"x": held, "y": held}, {}),  # nobody's
        (good[:3], {"x": held}, {"x": [held, None]}),  # told what never was
        ([history.Operation("x", one, take, 1, 2, False)], None, {}),  # refused without a reason
    ]
    for operations, finals, told in wrong:
        try:
            history.check(operations, finals, told)
        except AssertionError:
            continue
        raise AssertionError(f"not noticed: {operations} {finals} {told}")


@ours
def test_mupdate_killed_under_load(world):
    """kill -9 in the middle of many changes, five times: each that was answered is there."""
    server, done = world.mupdate_server(), {}
    for life in range(5):
        with server.session() as session:
            killer = threading.Timer(0.3 + life * 0.05, server.kill)
            killer.start()
            try:
                for n in range(100_000):
                    name = f"k{life}.{n}"
                    session.activate(name, "backend1.murder.test!default", f"{name}\tlrs\t")
                    done[name] = f"{name}\tlrs\t"
            except (OSError, Broken):
                pass
            killer.join()
        server.start()
        with server.session() as session:
            there = {name: record.acl for name, record in session.say("LIST").ok().names.items()}
            missing = done.items() - there.items()
            assert not missing, f"{len(missing)} of {len(done)} are lost: {sorted(missing)[:3]}"
            # at most the one that was on its way
            assert len(there) <= len(done) + life + 1
    assert len(done) > 100
