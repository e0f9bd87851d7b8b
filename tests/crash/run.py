#!/usr/bin/env python3
"""The crash matrix: murders of ours, in which a process dies at each step of each operation that changes names or ACLs.

usage: run.py [--only TEXT] [--short] [--list] [--jobs N] [--limit SECONDS] [--table FILE] [--logs DIR]

A case is an operation, a point at which one process dies in it, the way of the client (through the frontend, or
directly at the backend), and whether what wasn't synced is lost with the process. After its next start in the same
directory all have to agree within 20 s, each name active at one backend at most, no acknowledged message lost, the
client told at most once; and the operation can be repeated. What the crash left and how it ended is compared with
matrix.py. A point that isn't reached fails. The last line is `N passed, N failed, N skipped`.
"""

import argparse
import queue
import shutil
import signal
import sys
import threading
import time
import traceback
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "system")]

import page  # noqa: E402
from case import Case  # noqa: E402
from contest import ContestCase  # noqa: E402
from matrix import CONTESTS, OPERATIONS  # noqa: E402
from murder import BINARY, ROOT  # noqa: E402
from noticed import NOTICED  # noqa: E402
from our_murder import OurMurder  # noqa: E402
from power_loss import strace_works  # noqa: E402


def cases(only, short):
    """Every case, in the order of the table. A loss of power is the same whichever way the client came."""
    found = []
    for operation in OPERATIONS:
        for step in operation.steps:
            ways = operation.ways if step.victim != "frontend" else ("frontend",)
            found += [Case(operation, step, way, False) for way in ways]
            found.append(Case(operation, step, ways[0], True))
    if short:
        found = [case for case in found if case.operation.short and case.way == "frontend" and not case.power]
    else:
        found += [*map(ContestCase, CONTESTS), *NOTICED]
    return [case for case in found if not only or any(part in case.name for part in only)]


class Report:
    """Counts and prints results; keeps the logs of what failed."""

    def __init__(self, logs, color):
        self.logs, self.lock, self.color = logs, threading.Lock(), color
        self.count = {"ok": 0, "FAIL": 0, "SKIP": 0}
        self.results, self.failed, self.skipped, self.running = {}, [], [], []

    def say(self, word, name, seconds, note=""):
        with self.lock:
            self.count[word] += 1
            code = {"ok": 32, "FAIL": 31, "SKIP": 33}[word]
            shown = f"\033[{code}m{word:4}\033[0m" if self.color else f"{word:4}"
            print(f"{shown} {name} ({seconds:.1f} s){': ' + note if note else ''}", flush=True)

    def skip(self, case, why):
        self.skipped.append(f"{case.name}: {why}")
        self.results[case] = None
        self.say("SKIP", case.name, 0, why)

    def failure(self, name, seconds, error, murder):
        path = self.logs / (name.replace(", ", "-").replace(" ", "_") + ".log")
        with open(path, "w", errors="replace") as out:
            traceback.print_exception(error, file=out)
            for server in murder.servers.values() if murder else ():
                out.write(f"\n--- {server.name}\n{server.log.read_text(errors='replace')}")
        self.failed.append(f"{name}: {path}")
        self.say("FAIL", name, seconds, str(error).split("\n")[0][:1000] or type(error).__name__)

    def close(self):
        for title, names in (("skipped", self.skipped), ("failed, with the log of each", self.failed)):
            if names:
                print(f"{title}:")
                for line in names:
                    print(f"  {line}")
        print(f"{self.count['ok']} passed, {self.count['FAIL']} failed, {self.count['SKIP']} skipped", flush=True)
        return 1 if self.count["FAIL"] else 0


class Job:
    """Cases one after the other in one murder; behind a failure, in a new one."""

    def __init__(self, todo, report):
        self.todo, self.report, self.murder = todo, report, None
        self.thread = threading.Thread(target=self.work, daemon=True)
        self.thread.start()

    def work(self):
        try:
            while True:
                self.one(self.todo.get_nowait())
        except queue.Empty:
            pass
        if self.murder:
            self.end()

    def one(self, case):
        started = time.monotonic()
        self.report.running.append(case.name)
        try:
            self.murder = self.murder or OurMurder()
            result = case.run(self.murder)
        except Exception as error:  # a case may fail in any way
            self.report.results[case] = error
            self.report.failure(case.name, time.monotonic() - started, error, self.murder)
            self.close()
        else:
            self.report.results[case] = result
            self.report.say("ok", case.name, time.monotonic() - started,
                            f"{result['note']}, all agreed in {result['agreed']:.1f} s")
        finally:
            self.report.running.remove(case.name)

    def end(self):
        """The murder has to have come well through all of it."""
        started, name = time.monotonic(), f"the murder is well at the end, {self.thread.name}"
        try:
            self.murder.finish()
        except Exception as error:
            self.report.failure(name, time.monotonic() - started, error, self.murder)
        else:
            self.report.say("ok", name, time.monotonic() - started)
        self.close()

    def close(self):
        if self.murder:
            self.murder.close()
        self.murder = None


def main():
    usage = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    usage.add_argument("--only", action="append", metavar="TEXT", help="cases whose name has TEXT in it (repeatable)")
    usage.add_argument("--short", action="store_true", help="each point once: killed, through the frontend")
    usage.add_argument("--list", action="store_true", help="name the cases and run none")
    usage.add_argument("--jobs", type=int, default=2, metavar="N", help="murders side by side (default 2)")
    usage.add_argument("--limit", type=float, default=1800, metavar="SECONDS", help="for all of it (default 1800)")
    usage.add_argument("--table", type=Path, metavar="FILE", help="writes the page with the table")
    usage.add_argument("--logs", type=Path, default=ROOT / "target/crash", metavar="DIR")
    options = usage.parse_args()
    chosen = cases(options.only, options.short)
    if options.list:
        print("\n".join(case.name for case in chosen))
        return 0
    if not BINARY.exists():
        sys.exit(f"{BINARY} isn't there: cargo build")
    shutil.rmtree(options.logs, ignore_errors=True)
    options.logs.mkdir(parents=True)
    report, todo = Report(options.logs, sys.stdout.isatty()), queue.Queue()
    recordable = not any(case.power for case in chosen) or strace_works()
    for case in chosen:
        if case.power and not recordable:
            report.skip(case, "strace is not installed, or may not trace")
        else:
            todo.put(case)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    jobs = [Job(todo, report) for _ in range(min(options.jobs, todo.qsize()))]
    try:
        until = time.monotonic() + options.limit
        for job in jobs:
            job.thread.join(max(0, until - time.monotonic()))
        for name in list(report.running):
            report.failure(name, options.limit, TimeoutError(f"not done after {options.limit:.0f} s of all cases"), None)
        if not todo.empty():
            report.failure("all cases", options.limit, TimeoutError(f"{todo.qsize()} cases weren't begun"), None)
    finally:
        for job in jobs:
            job.close()
    print(page.table(report.results))
    if options.table:
        options.table.write_text(page.page(report.results))
    return report.close()


if __name__ == "__main__":
    sys.exit(main())
