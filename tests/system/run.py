#!/usr/bin/env python3
"""The system tests: Ravenry before a real Cyrus murder.

usage: run.py [--only TEXT] [--list] [--jobs N] [--limit SECONDS] [--frontend cyrus] [--logs DIR]

A test is a function `test_NAME(world)` in a file `test_*.py` beside this one. Each job has a world of its
own (a murder, and our frontend before it) and takes the next test when it is free. The last line is
`N passed, N failed, N skipped`; what failed has its log under --logs (default target/system-tests).
`--frontend cyrus` runs the same tests through Cyrus' own frontend: the oracle of what they expect.
"""

import argparse
import importlib
import inspect
import queue
import shutil
import signal
import sys
import threading
import time
from pathlib import Path

import marks
from murder import BINARY, ROOT
from report import Report
from world import World

def tests(only):
    """Every test, in the order of the files and of their lines."""
    found = []
    for file in sorted(Path(__file__).parent.glob("test_*.py")):
        module = importlib.import_module(file.stem)
        for name, test in inspect.getmembers(module, inspect.isfunction):
            if name.startswith("test_") and test.__module__ == file.stem:
                found.append((name.removeprefix("test_"), test))
    found.sort(key=lambda item: inspect.getsourcefile(item[1]) + f"{item[1].__code__.co_firstlineno:06}")
    return [(name, test) for name, test in found if not only or any(part in name for part in only)]


def logs_of(world):
    files = [world.murder.syslog()] + ([world.frontend.log] if world.frontend else [])
    return [(file, file.stat().st_size if file.exists() else 0) for file in files]


def run_test(world, name, test, report):
    start, logs = time.monotonic(), logs_of(world)
    report.running.append(name)
    try:
        marks.check(test, world)
        try:
            test(world)
        finally:
            logs += [(frontend.log, 0) for frontend in world.extra]
            world.end_of_test()
    except marks.Skip as why:
        report.result("SKIP", name, time.monotonic() - start, str(why))
    except Exception as error:  # a test may fail in any way
        report.failure(name, time.monotonic() - start, error, logs)
        world.revive()
    else:
        report.result("ok", name, time.monotonic() - start)
    finally:
        report.running.remove(name)


def work(todo, frontend, report, worlds):
    """One job: tests until none is left, in one world after the other, for each has only so many addresses."""
    number = 1
    while live(todo, frontend, report, worlds, f"{threading.current_thread().name}_{number}"):
        number += 1


def live(todo, frontend, report, worlds, name):
    """A world, its tests, and its end as a test of its own; true: there are more tests."""
    start, more = time.monotonic(), True
    try:
        world = World(frontend)
        worlds.append(world)
    except Exception as error:
        report.failure(f"world_comes_up_{name}", time.monotonic() - start, error, [])
        return False
    try:
        while not world.is_full():
            run_test(world, *todo.get_nowait(), report)
    except queue.Empty:
        more = False
    start, logs = time.monotonic(), logs_of(world)
    name = f"frontend_is_well_at_the_end_{name}"
    try:
        world.finish()
    except Exception as error:
        report.failure(name, time.monotonic() - start, error, logs)
    else:
        if world.frontend:
            report.result("ok", name, time.monotonic() - start)
    finally:
        worlds.remove(world)
        world.close()
    return more


def main():
    usage = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    usage.add_argument("--only", action="append", metavar="TEXT", help="tests whose name has TEXT in it (repeatable)")
    usage.add_argument("--list", action="store_true", help="name the tests and run none")
    usage.add_argument("--jobs", type=int, default=2, metavar="N", help="worlds side by side (default 2)")
    usage.add_argument("--limit", type=float, default=1800, metavar="SECONDS", help="for all of it (default 1800)")
    usage.add_argument("--frontend", choices=["ravenry", "cyrus"], default="ravenry")
    usage.add_argument("--logs", type=Path, default=ROOT / "target/system-tests", metavar="DIR")
    options = usage.parse_args()
    chosen = tests(options.only)
    if options.list:
        print("\n".join(name for name, _ in chosen))
        return 0
    if options.frontend == "ravenry" and not BINARY.exists():
        sys.exit(f"{BINARY} isn't there: cargo build")
    shutil.rmtree(options.logs, ignore_errors=True)
    options.logs.mkdir(parents=True)
    todo = queue.Queue()
    for item in chosen:
        todo.put(item)
    report = Report(options.logs)
    worlds = []
    jobs = [threading.Thread(target=work, name=str(n), args=(todo, options.frontend, report, worlds), daemon=True)
            for n in range(min(options.jobs, len(chosen)))]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        for job in jobs:
            job.start()
        until = time.monotonic() + options.limit
        for job in jobs:
            job.join(max(0, until - time.monotonic()))
        for name in report.running:
            report.failure(name, options.limit, TimeoutError(f"not done after {options.limit:.0f} s of all tests"), [])
    finally:
        for world in worlds:  # some are left where a signal ends all
            world.close()
    return report.close()


if __name__ == "__main__":
    sys.exit(main())
