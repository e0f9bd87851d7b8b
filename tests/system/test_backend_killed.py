"""The backend killed under load, again and again: what it had said OK to is there, and nothing else but what was under way.

SEED: of the load and the moments.
"""

import os
import random
import threading

from backend_load import BOXES, Namer, Worker, at_once, difference, explains, look, names, of_worker
from imap_client import Broken
from marks import ours

KILLS = 20
SEED = int(os.environ.get("SEED") or random.SystemRandom().randrange(1 << 32))


@ours
def test_backend_is_killed_twenty_times(world):
    print(f"SEED={SEED}", flush=True)
    dice = random.Random(SEED)
    backend = world.a_backend(more='proxy_users = ["mailproxy"]')
    session = world.at(backend, "alice")
    for box in BOXES[1:]:
        session.command(f"CREATE {box}").ok()
    validity = {box: seen.uidvalidity for box, seen in look(session).items()}
    workers, steps, flown = [Worker(f"w{n}", random.Random(f"{SEED} {n}")) for n in range(5)], 0, 0
    namer = Namer("t0", random.Random(f"{SEED} names"))
    for round_ in range(KILLS):
        sessions = [world.at(backend, "alice") for _ in [*workers, namer]]
        killer = threading.Timer(dice.uniform(0.1, 0.5), backend.kill)
        killer.start()
        given = at_once([lambda worker=worker, session=session: worker.run(session, lambda _: False)
                         for worker, session in zip([*workers, namer], sessions)])
        killer.join()
        assert all(isinstance(error, (Broken, OSError)) and not str(error).startswith("expected") for error in given), given
        backend.start()
        session = world.at(backend, "alice")
        found = look(session)
        where = f"SEED={SEED}, kill {round_ + 1}"
        assert {box: seen.uidvalidity for box, seen in found.items()} == validity, where
        there = names(session)
        assert there in (namer.state, namer.flying), f"{where}: names {set(there) ^ namer.state}"
        namer.state, namer.flying = there, None
        for worker in workers:
            mine = of_worker(worker.name, found)
            done = explains(worker.state, mine)
            assert done or worker.flying is not None and explains(worker.flying, mine), \
                f"{where}, {worker.name}: {difference(worker.state, mine)}"
            flown += not done
            for step in worker.steps:
                for box, uid in step.uids:
                    assert uid < found[box].uidnext, f"{where}: UIDNEXT of {box} is {found[box].uidnext}, {uid} was given"
            steps += len(worker.steps)
            worker.state, worker.flying, worker.steps = mine, None, []
        # what was found is in the search as well, and what is left over of files is nobody's message
        assert len(backend.files()) >= sum(len(seen.messages) for seen in found.values())
        assert not list((backend.data / "spool/staging").iterdir()), where
        session.close()
    assert "file isn't there" not in backend.log.read_text(), "an acknowledged message's file is away"
    assert steps > 20 * KILLS and namer.count > KILLS, f"{steps} and {namer.count} commands in all: no load"
    print(f"{KILLS} kills, {steps} commands answered, {flown} that were under way came through", flush=True)


@ours
def test_backend_stops_under_load(world):
    """SIGTERM: what is under way is answered, each session is told BYE, and the next start finds a store that was closed."""
    backend = world.a_backend()
    session = world.at(backend, "alice")
    for box in BOXES[1:]:
        session.command(f"CREATE {box}").ok()
    workers = [Worker(f"w{n}", random.Random(n)) for n in range(5)]
    for _ in range(3):
        idle = world.at(backend, "alice")
        idle.select("INBOX").ok()
        tag = idle.start("IDLE")
        assert idle.go_ahead(tag)
        sessions = [world.at(backend, "alice") for _ in workers]
        stopper = threading.Timer(0.4, backend.process.terminate)
        stopper.start()
        given = at_once([lambda worker=worker, session=session: worker.run(session, lambda _: False)
                         for worker, session in zip(workers, sessions)])
        stopper.join()
        assert all(isinstance(error, (Broken, OSError)) and not str(error).startswith("expected") for error in given), given
        idle.expect_bye("UNAVAILABLE")
        assert backend.process.wait(20) == 0
        backend.check_log()
        backend.start()
        session = world.at(backend, "alice")
        found = look(session)
        for worker in workers:
            mine = of_worker(worker.name, found)
            assert explains(worker.state, mine) or worker.flying is not None and explains(worker.flying, mine), \
                f"{worker.name}: {difference(worker.state, mine)}"
            worker.state, worker.flying = mine, None
        session.close()
    assert "wasn't closed" not in backend.log.read_text()
