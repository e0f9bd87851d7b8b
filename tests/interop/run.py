#!/usr/bin/env python3
"""Every mix of ours and Cyrus': master, frontend and backends each of either kind, and the same tests in each.

usage: run.py [--only TEXT] [--cells TEXT] [--list] [--jobs N] [--table FILE] [--oracle] [--logs DIR]

A test is a function `test_NAME(cell)` in a file `mixed_*.py` beside this one; it runs in all seven cells that aren't all Cyrus'
(`--oracle`: in the eighth, too, which isn't counted). Each job takes the next cell and goes through the tests there. The last
line is `N passed, N failed, N skipped`; what failed has its log under --logs (default target/interop).
"""

import argparse
import importlib
import inspect
import itertools
import queue
import shutil
import signal
import sys
import threading
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "system"))

from cell import Cell  # noqa: E402
from murder import BINARY, ROOT  # noqa: E402
from report import Report  # noqa: E402
from table import Table  # noqa: E402

FILES = ("mixed_reading", "mixed_messages", "mixed_mailboxes", "mixed_faults")
KINDS = ("ours", "cyrus")
ORACLE = ("cyrus", "cyrus", "cyrus")
# those with most of Cyrus' nodes take longest: first, so that two jobs end together
CELLS = sorted((mix for mix in itertools.product(KINDS, repeat=3) if mix != ORACLE), key=lambda mix: -mix.count("cyrus"))


def tests(only):
    """Every test, in the order of the files and of their lines."""
    found = []
    for file in FILES:
        here = inspect.getmembers(importlib.import_module(file), inspect.isfunction)
        own = [(test.__code__.co_firstlineno, name.removeprefix("test_"), test) for name, test in here
               if name.startswith("test_") and test.__module__ == file]
        found += [(name, test) for _, name, test in sorted(own)]
    return [(name, test) for name, test in found if not only or any(part in name for part in only)]


def run_test(cell, name, test, report, table):
    start, logs, shown = time.monotonic(), cell.logs(), f"{cell.name}.{name}"
    report.running.append(shown)
    try:
        try:
            test(cell)
        finally:
            cell.end_of_test()
    except Exception as error:  # a test may fail in any way
        report.failure(shown, time.monotonic() - start, error, logs)
        table.result(cell.name, name, False)
        cell.running()
    else:
        report.result("ok", shown, time.monotonic() - start)
        table.result(cell.name, name, True)
    finally:
        report.running.remove(shown)


def run_cell(mix, chosen, report, table, cells):
    """All tests in one cell; that our parts end well is one more."""
    start = time.monotonic()
    try:
        cell = Cell(*mix)
    except Exception as error:
        report.failure(f"{'-'.join(mix)}.comes_up", time.monotonic() - start, error, [])
        table.result("-".join(mix), "comes_up", False)
        return
    cells.append(cell)
    try:
        for name, test in chosen:
            run_test(cell, name, test, report, table)
        run_test(cell, "all_end_well", Cell.finish, report, table)
    finally:
        cells.remove(cell)
        cell.close()


def work(todo, chosen, reports, table, cells):
    """One job: the next cell, until none is left."""
    try:
        while True:
            mix = todo.get_nowait()
            run_cell(mix, chosen, reports[mix == ORACLE], table, cells)
    except queue.Empty:
        pass


def run(options, mixes, chosen, reports, table):
    """Two jobs side by side; whatever happens, no server is left."""
    todo, cells = queue.Queue(), []
    for mix in mixes:
        todo.put(mix)
    jobs = [threading.Thread(target=work, args=(todo, chosen, reports, table, cells), daemon=True)
            for _ in range(min(options.jobs, len(mixes)))]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        for job in jobs:
            job.start()
        until = time.monotonic() + options.limit
        for job in jobs:
            job.join(max(0, until - time.monotonic()))
        for name in list(reports[False].running):
            reports[False].failure(name, options.limit, TimeoutError(f"not done after {options.limit:.0f} s of all tests"), [])
    finally:
        for cell in cells:  # some are left where a signal ends all
            cell.close()


def main():
    usage = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    usage.add_argument("--only", action="append", metavar="TEXT", help="tests whose name has TEXT in it (repeatable)")
    usage.add_argument("--cells", action="append", metavar="MIX",
                       help="a cell alone, as `ours,cyrus,ours`: master, frontend, backends (repeatable)")
    usage.add_argument("--list", action="store_true", help="name the tests and run none")
    usage.add_argument("--jobs", type=int, default=2, metavar="N", help="cells side by side (default 2)")
    usage.add_argument("--limit", type=float, default=1200, metavar="SECONDS", help="for all of it (default 1200)")
    usage.add_argument("--table", type=Path, metavar="FILE", help="writes the table to a file, as Markdown")
    usage.add_argument("--oracle", action="store_true", help="the same in a murder of Cyrus' alone, not counted")
    usage.add_argument("--logs", type=Path, default=ROOT / "target/interop", metavar="DIR")
    options = usage.parse_args()
    chosen = tests(options.only)
    if options.list:
        print("\n".join(name for name, _ in chosen))
        return 0
    if not BINARY.exists():
        sys.exit(f"{BINARY} isn't there: cargo build")
    mixes = [mix for mix in CELLS if not options.cells or ",".join(mix) in options.cells]
    mixes += [ORACLE] * options.oracle
    shutil.rmtree(options.logs, ignore_errors=True)
    options.logs.mkdir(parents=True)
    reports, table = {False: Report(options.logs), True: Report(options.logs)}, Table()
    run(options, mixes, chosen, reports, table)
    print(table.text())
    if options.table:
        options.table.write_text(table.text() + "\n")
    if options.oracle:
        print("Cyrus alone, not counted:")
        reports[True].close()
    return reports[False].close()


if __name__ == "__main__":
    sys.exit(main())
