#!/usr/bin/env python3
"""Our backend beside Dovecot and Cyrus: the same messages and commands at all three, every answer compared.

usage: run.py [--only TEXT | --scripts] [--all] [--peers ours,cyrus,dovecot]

Fails where we differ from Cyrus, or stand alone, and `differences.py` doesn't say why.
--only: messages with TEXT in their name, and no mailbox scripts; --scripts: these alone; --all: shows explained differences, too.
"""

import argparse
import sys
import time
from collections import Counter

from peers import Peers
import commands
import fetch
from corpus import corpus
from answers import first_difference, shown
from differences import EXPLAINED
from verdict import ABSENT, agreed, split, table


class Comparison:
    def __init__(self, show_all=False):
        self.counts, self.explained, self.unexplained = Counter(), Counter(), []
        self.show_all, self.messages = show_all, 0

    def one(self, where, item, values, data=b""):
        """One item's answers, by peer."""
        key = item if where.startswith("message ") else where.split(" ")[0]
        self.counts[key, split(values)] += 1
        if agreed(values):
            return
        known = [e for e in EXPLAINED if e.is_it(where, item, values, data)]
        if known:
            self.explained[known[0].key] += 1
        if not known or self.show_all:
            self.unexplained.append(self.text(where, item, values, known))

    def text(self, where, item, values, known):
        lines = [f"{'explained ' + known[0].key + ': ' if known else ''}{where}: {item}: {split(values)}"]
        if "cyrus" in values:
            path, mine, theirs = first_difference(values["ours"], values["cyrus"])
            lines.append(f"  at {'/'.join(map(str, path))}: ours {shown(mine, 200)}  Cyrus {shown(theirs, 200)}")
        lines += [f"  {name + ':':9}{shown(value)}" for name, value in values.items()]
        return "\n".join(lines)

    def messages_at(self, peers, messages):
        for name, data, said in fetch.answers(peers, messages):
            self.messages += 1
            self.one(f"message {name}", "APPEND", {peer: answer["APPEND"] for peer, answer in said.items()}, data)
            took = {peer: answer for peer, answer in said.items() if answer["APPEND"] == "OK"}
            if len(took) < 2:
                continue
            for item in filter(lambda item: comparable(item, took.values()), map(fetch.named, fetch.ITEMS)):
                self.one(f"message {name}", item, {peer: answer.get(item, ABSENT) for peer, answer in took.items()}, data)

    def scripts_at(self, peers):
        for script, step, values in commands.answers(peers):
            self.one(f"{script} script", step, values)

    def report(self):
        seen = [f"{count:6} {key}" for key, count in sorted(self.explained.items())]
        return "\n".join([f"{self.messages} messages", "", *table(self.counts), "", "explained:", *seen, "", *self.unexplained, ""])


def comparable(item, answers):
    """BINARY is compared where all agree which bytes the part has."""
    return not item.startswith("BINARY") or len({repr(answer.get("BODY" + item[item.index("["):item.index("]") + 1])) for answer in answers}) == 1


def compare(murder=None, only=None, show_all=False, names=None, scripts=False):
    comparison = Comparison(show_all)
    with Peers(murder) as peers:
        chosen = [peer for peer in peers if not names or peer.name in names]
        comparison.messages_at(chosen, [] if scripts else [pair for pair in corpus() if not only or only in pair[0]])
        if not only:
            comparison.scripts_at(chosen)
    return comparison


def main():
    usage = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    usage.add_argument("--only", metavar="TEXT")
    usage.add_argument("--scripts", action="store_true")
    usage.add_argument("--all", action="store_true")
    usage.add_argument("--peers", metavar="LIST", type=lambda text: text.split(","))
    options = usage.parse_args()
    start = time.monotonic()
    done = compare(only=options.only, show_all=options.all, names=options.peers, scripts=options.scripts)
    print(done.report())
    wrong = 0 if options.all else len(done.unexplained)
    print(f"{sum(done.counts.values())} answers of {done.messages} messages and the scripts in {time.monotonic() - start:.0f} s, "
          f"{sum(done.explained.values())} explained differences, {wrong} others")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
