#!/usr/bin/env python3
"""Chaos: a murder of ours under load, while one of its processes is killed and started again, at random.

usage: run.py [--seconds N] [--seed N] [--sessions N] [--keep]

Two frontends, two backends and a master; sessions through both frontends, LMTP at the backends. At the end, all up and
quiet: the master's list is the union of the backends', no name is at both, and every message and mailbox that was
acknowledged is there. A line every 10 s; the last line is `N passed, N failed, N skipped`. RAVENRY_BIN: the binary.
"""

import argparse
import random
import sys
import time
from collections import Counter
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "system")]

from book import Book, Mailbox  # noqa: E402
from load import FAR, Client, Sender  # noqa: E402
from murder import poll  # noqa: E402
from murder_site import Site  # noqa: E402

SENDERS = 2
CONVERGES_WITHIN = 90
SHARED = ("shared1", "shared2")


class Chaos:
    def __init__(self, options):
        self.dice = random.Random(options.seed)
        self.options, self.book, self.kills = options, Book(), Counter()
        self.users = [f"u{n:02}" for n in range(options.sessions)]
        self.site = Site(self.users)
        self.workers = []

    # ------------------------------------------------------------- before

    def furnish(self):
        """Each user's INBOX at home, a mailbox at the other backend, and a shared one at each."""
        shared = []
        for backend, name in zip(self.site.backends, SHARED):
            with self.site.login(backend, "cyrus", 60) as admin:
                admin.command(f"CREATE {name}").ok()
                admin.command(f"SETACL {name} anyone lrswipte").ok()
            shared.append(self.book.add(Mailbox(None, name)))
        inboxes = {0: [], 1: []}
        for number, user in enumerate(self.users):
            home = number % 2
            with self.site.login(self.site.backends[home], user, 60) as session:
                session.select("INBOX").ok()
            with self.site.login(self.site.backends[1 - home], user, 60) as session:
                session.command(f"CREATE INBOX.{FAR}").ok()
            inbox = self.book.add(Mailbox(user, "INBOX"))
            inboxes[home].append((user, inbox))
            self.workers.append(Client(self.site, self.book, number, [inbox, *shared], self.dice.random()))
        for number in range(SENDERS):
            self.workers.append(Sender(self.site, self.book, number, inboxes[number % 2], self.dice.random()))

    # ------------------------------------------------------------- meanwhile

    def meanwhile(self):
        begun = time.monotonic()
        told = begun
        while (now := time.monotonic()) < begun + self.options.seconds and not self.book.wrong:
            pause = self.dice.uniform(0.5, 5)
            part, down = self.dice.choice(self.site.parts), self.dice.choice((0, 0.2, 3)) * self.dice.random()
            while time.monotonic() < now + pause:
                time.sleep(0.1)
                if time.monotonic() > told + 10:
                    told = time.monotonic()
                    self.tell(told - begun)
            assert part.process.poll() is None, f"{part.name} died: {part.log.read_text()[-2000:]}"
            part.kill()
            self.kills[part.name] += 1
            time.sleep(down)
            part.start(ready=False)

    def tell(self, seconds):
        done = self.book.done
        print(f"{seconds:5.0f} s: {done['commands']} commands, {done['messages acknowledged']} messages acknowledged, "
              f"{done['undecided answers']} undecided, {sum(self.kills.values())} kills", flush=True)

    # ------------------------------------------------------------- the end

    def end_load(self):
        for worker in self.workers:
            worker.ending.set()
        for worker in self.workers:
            worker.join(150)
            assert not worker.is_alive(), f"{worker.name} doesn't end"

    def quiet(self):
        for frontend in self.site.frontends:
            poll(f"{frontend.name} to have the list", 60, lambda: frontend.greets() == b"OK")

    def lists_agree(self):
        """Until master and backends agree, and nothing is only reserved."""
        until = time.monotonic() + CONVERGES_WITHIN
        while wrong := self.disagreements():
            assert time.monotonic() < until, "; ".join(wrong[:10])
            time.sleep(1)

    def disagreements(self):
        one, two = (self.site.at_backend(backend) for backend in self.site.backends)
        held, reserved = self.site.at_master()
        wrong = [f"{name}: it is at both backends" for name in one.keys() & two.keys()]
        wrong += [f"{name}: it is reserved, and nobody is at work" for name in reserved]
        here = {**one, **two}
        for name in sorted(here.keys() | held.keys()):
            if here.get(name) != held.get(name):
                wrong.append(f"{name}: {here.get(name)} at the backends, {held.get(name)} at the master")
        return wrong

    def mailboxes_are_there(self):
        here = {**self.site.at_backend(self.site.backends[0]), **self.site.at_backend(self.site.backends[1])}
        wrong = []
        for mailbox in self.book.mailboxes:
            names = [self.internal(mailbox, name) for name in mailbox.names]
            there = [name for name in names if name in here]
            if len(there) > 1 or not there and not mailbox.may_be_missing() or there and mailbox.gone:
                wrong.append(f"{' or '.join(names)} ({mailbox.doubt}): there are {there}")
        assert not wrong, "; ".join(wrong[:10])

    def internal(self, mailbox, name):
        return name if mailbox.owner is None else name.replace("INBOX", f"user.{mailbox.owner}", 1)

    def messages_are_there(self):
        """Read through the frontends, in turn."""
        found = set()
        for number, client in enumerate(worker for worker in self.workers if isinstance(worker, Client)):
            client.session = self.site.login(self.site.frontends[number % 2], client.user, 60)
            for mailbox in [*client.own, *client.commons]:
                for name in list(mailbox.names):
                    mailbox.names.insert(0, name)
                    if mailbox.gone or client.command(f"EXAMINE {name}").status != "OK":
                        mailbox.names.pop(0)
                        continue
                    seen = client.seen(mailbox)
                    mailbox.names.pop(0)
                    assert seen is not None, f"{name} can't be read"
                    found.update(key for _, key in seen)
            client.close()
        assert not (lost := self.book.alive - found), f"{len(lost)} acknowledged messages are lost: {sorted(lost)[:10]}"

    def nothing_was_wrong(self):
        assert not self.book.wrong, f"{len(self.book.wrong)} things, the first: {self.book.wrong[0]}"

    def enough_was_done(self):
        wanted = ["commands", "messages acknowledged", "messages by LMTP", "mailboxes made", "mailboxes renamed",
                  "mailboxes deleted", "messages copied", "messages moved", "connections lost"]
        never = [what for what in wanted if not self.book.done[what]]
        never += [part.name for part in self.site.parts if not self.kills[part.name]]
        assert not never, f"never: {', '.join(never)}"

    def parts_stop(self):
        for part in reversed(self.site.parts):
            part.idle = None
            part.stop()


def check(name, job):
    """One test of the count."""
    try:
        job()
        print(f"ok   {name}", flush=True)
        return True
    except Exception as error:  # a check may fail in any way
        print(f"FAIL {name}: {type(error).__name__}: {error}", flush=True)
        return False


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    parser.add_argument("--sessions", type=int, default=16)
    parser.add_argument("--keep", action="store_true", help="leave the directories, with the logs, where something failed")
    options = parser.parse_args()
    print(f"seed {options.seed}: {options.sessions} sessions for {options.seconds:.0f} s", flush=True)
    chaos = Chaos(options)
    results = []
    try:
        chaos.site.start()
        chaos.furnish()
        for worker in chaos.workers:
            worker.start()
        results = [
            check("every part comes back", chaos.meanwhile),
            check("every session ends", chaos.end_load),
            check("every frontend has the list", chaos.quiet),
            check("the lists agree, no name is in two places", chaos.lists_agree),
            check("no mailbox is lost", chaos.mailboxes_are_there),
            check("no message is lost", chaos.messages_are_there),
            check("one right answer a command, in time", chaos.nothing_was_wrong),
            check("every part stops", chaos.parts_stop),
            check("all of it happened", chaos.enough_was_done),
        ]
        print(", ".join(f"{times} {what}" for what, times in sorted(chaos.book.done.items())))
        print("killed: " + ", ".join(f"{name} {times} times" for name, times in sorted(chaos.kills.items())))
    finally:
        kept = options.keep and not all(results)
        if kept:
            print(f"left: {chaos.site.directory}")
            for part in chaos.site.parts:
                part.kill()
        else:
            chaos.site.close()
    failed = results.count(False) + (not results)
    print(f"{results.count(True)} passed, {failed} failed, 0 skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
