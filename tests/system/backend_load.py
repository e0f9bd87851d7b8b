"""Load for a backend that is killed or loses its power, and what must be there afterwards.

Each worker changes messages of its own in mailboxes that all share: it appends (one or several), flags, copies, moves
and expunges. Another changes names of mailboxes. So what must be found is known: all that was answered, and of a command
that was under way all or nothing.
"""

import re
import threading
import zlib
from collections import Counter
from dataclasses import dataclass

from imap_client import Broken, Literal, message

BOXES = ("INBOX", "INBOX.a", "INBOX.b")
FLAGS = ("\\Seen", "\\Answered", "\\Flagged", "\\Draft", "$one", "$two")


def text(name):
    return message(name, zlib.crc32(name.encode()) % 9000)


@dataclass
class Step:
    """A command that was answered OK, and what the worker's messages were behind it."""

    tag: str
    state: dict
    uids: list  # pairs of a mailbox and a UID that it was told


class Changer:
    """Changes what is its own, a command at a time: `choose` gives one, and what it makes of `state` with the code of its answer."""

    def __init__(self, name, dice, state):
        self.name, self.dice = name, dice
        self.state, self.flying, self.steps = state, None, []
        self.count, self.told = 0, []

    def run(self, session, until):
        """Works until `until()`, or the connection is lost; a command that wasn't answered then is `flying`."""
        self.begin()
        try:
            while not until(self):
                self.step(session)
        except (Broken, OSError) as lost:
            return lost
        return None

    def step(self, session):
        self.prepare(session)
        command, effect = self.choose()
        self.count += 1
        tag = f"{self.name}n{self.count}"
        self.flying = effect(None)
        answer = session.finish(session.start(*command, tag=tag.encode()))
        assert answer.status == "OK", f"{command[0]}: {answer.text}"
        codes = [answer.text] + [r.text.decode("latin-1") for r in answer.of("OK")]
        code = next((found.group(1) for c in codes if (found := re.search(r"\[((?:APPEND|COPY)UID [^\]]*)\]", c))), "")
        self.told = []
        self.state, self.flying = effect(code), None
        self.steps.append(Step(tag, self.state, self.told))

    def begin(self):
        pass

    def prepare(self, session):
        pass


class Namer(Changer):
    """Makes, renames (with what is below) and deletes mailboxes. `state`: their names."""

    def __init__(self, name, dice):
        super().__init__(name, dice, frozenset())

    def choose(self):
        names, fresh = sorted(self.state), f"INBOX.t{self.count}"
        what = self.dice.choices(("create", "rename", "delete"), (5, 3, 2 + len(names) / 4))[0] if names else "create"
        if what == "create":
            parent = self.dice.choice(names + ["INBOX"])
            name = f"{parent}.t{self.count}" if parent.count(".") < 5 else fresh
            return [f"CREATE {name}"], lambda _: self.state | {name}
        old = self.dice.choice(names)
        below = {name for name in names if name.startswith(old + ".")}
        if what == "rename":
            renamed = {fresh + name[len(old):] for name in below | {old}}
            return [f"RENAME {old} {fresh}"], lambda _: (self.state - below - {old}) | renamed
        leaf = max(below | {old}, key=len)
        return [f"DELETE {leaf}"], lambda _: self.state - {leaf}


class Worker(Changer):
    """`state`: mailbox and UID of each of its messages, to its name and flags; a UID that isn't known is negative."""

    def __init__(self, name, dice):
        super().__init__(name, dice, {})
        self.unknown, self.box = 0, None

    def begin(self):
        self.box = None

    def prepare(self, session):
        if self.box is None or self.dice.random() < 0.05:
            box = self.dice.choice(BOXES)
            session.select(box).ok()
            self.box = box

    def mine(self):
        return [uid for box, uid in self.state if box == self.box and uid > 0]

    def choose(self):
        mine = self.mine()
        what = self.dice.choices(("append", "store", "copy", "move", "expunge"), (5, 4, 2, 2, 2))[0] if mine else "append"
        if what == "append":
            return self.append()
        chosen = self.dice.sample(mine, min(len(mine), self.dice.randint(1, 4)))
        if what == "store":
            return self.store(chosen)
        if what == "expunge":
            return self.expunge(chosen)
        return self.copy(chosen, what == "move")

    def append(self):
        names = [f"{self.name}m{self.count}x{n}" for n in range(self.dice.choice((1, 1, 1, 3)))]
        flags, box = frozenset(self.dice.sample(FLAGS, self.dice.randint(0, 2))), self.dice.choice(BOXES)
        command = [f"APPEND {box}"]
        for name in names:
            command += [f" ({' '.join(sorted(flags))}) ", Literal(text(name), plus=True)]
        return command, lambda code: {**self.state, **{
            (box, uid): (name, flags) for name, uid in zip(names, self.uids(box, code, -1, len(names)))}}

    def store(self, uids):
        mode, flags = self.dice.choice(("+", "-", "")), frozenset(self.dice.sample(FLAGS, self.dice.randint(1, 2)))
        change = {"+": lambda old: old | flags, "-": lambda old: old - flags, "": lambda _: flags}[mode]
        box = self.box

        def effect(_):
            return {key: (name, change(old) if key[0] == box and key[1] in uids else old)
                    for key, (name, old) in self.state.items()}
        return [f"UID STORE {joined(uids)} {mode}FLAGS.SILENT ({' '.join(flags)})"], effect

    def copy(self, uids, moves):
        source, target, uids = self.box, self.dice.choice(BOXES), sorted(uids)

        def effect(code):
            copies = {(target, new): self.state[(source, old)]
                      for old, new in zip(uids, self.uids(target, code, -1, len(uids)))}
            kept = {key: value for key, value in self.state.items() if not (moves and key[0] == source and key[1] in uids)}
            return {**kept, **copies}
        return [f"UID {'MOVE' if moves else 'COPY'} {joined(uids)} {target}"], effect

    def expunge(self, uids):
        """With \\Deleted by the one command that is sure to be its own: what is moved away and expunged is one order."""
        box = self.box
        if any("\\Deleted" in self.state[(box, uid)][1] for uid in self.mine()):
            gone = [uid for uid in self.mine() if "\\Deleted" in self.state[(box, uid)][1]]
            return [f"UID EXPUNGE {joined(gone)}"], lambda _: {
                key: value for key, value in self.state.items() if not (key[0] == box and key[1] in gone)}
        return [f"UID STORE {joined(uids)} +FLAGS.SILENT (\\Deleted)"], lambda _: {
            key: (name, old | {"\\Deleted"} if key[0] == box and key[1] in uids else old)
            for key, (name, old) in self.state.items()}

    def uids(self, box, code, at, count):
        """The UIDs that a response code tells, in order; unknown ones where there is no answer."""
        if code is None:
            self.unknown -= count
            return range(self.unknown, self.unknown + count)
        found = []
        for part in code.split()[at].split(","):
            first, _, last = part.partition(":")
            found += range(int(first), int(last or first) + 1)
        assert len(found) == count, f"{count} messages, and {code}"
        self.told += [(box, uid) for uid in found]
        return found


def joined(uids):
    return ",".join(map(str, uids))


@dataclass
class Seen:
    """What a mailbox was found to be."""

    uidvalidity: int
    uidnext: int
    messages: dict  # UID to name and flags


def names(session):
    """The names that a `Namer` may have made, each with a mailbox that answers."""
    found = {name.decode() for name in session.listed_names('LIST "" "INBOX.t*"')}
    for name in found:
        session.command(f"STATUS {name} (MESSAGES UIDNEXT)").ok()
    return frozenset(found)


def look(session):
    """What is there, each message's bytes compared; mailboxes that aren't there are left out."""
    found = {}
    for box in BOXES:
        answer = session.select(box)
        if answer.status != "OK":
            answer.no("NONEXISTENT")
            continue
        told = b" ".join(r.raw for r in answer.untagged)
        number = lambda code: int(re.search(rb"\[%s (\d+)\]" % code, told).group(1))
        seen = found[box] = Seen(number(b"UIDVALIDITY"), number(b"UIDNEXT"), {})
        fetched = session.command("FETCH 1:* (UID FLAGS RFC822.SIZE BODY.PEEK[])").ok().of("FETCH") if session.exists(answer) else []
        assert len(fetched) == session.exists(answer), f"{box}: {len(fetched)} of {session.exists(answer)} can be fetched"
        for response in fetched:
            items = response.tree()[2]
            values = dict(zip(items[::2], items[1::2]))
            data, uid = values[b"BODY[]"], int(values[b"UID"])
            name = re.search(rb"^Subject: (\S+)\r$", data, re.M).group(1).decode()
            assert data == text(name) and int(values[b"RFC822.SIZE"]) == len(data), f"{box} {uid}: not the bytes of {name}"
            assert uid not in seen.messages and uid < seen.uidnext, f"{box}: UID {uid}, UIDNEXT {seen.uidnext}"
            flags = frozenset(flag.decode() for flag in values[b"FLAGS"]) - {"\\Recent"}
            seen.messages[uid] = (name, flags)
    return found


def of_worker(name, found):
    return {(box, uid): value for box, seen in found.items() for uid, value in seen.messages.items()
            if value[0].startswith(name + "m")}


def explains(expected, found):
    """Whether this is what is there: UIDs that aren't known may be any."""
    left = dict(found)
    for key, value in expected.items():
        if key[1] > 0 and left.pop(key, None) != value:
            return False
    unknown = Counter((key[0], value) for key, value in expected.items() if key[1] < 0)
    return Counter((key[0], value) for key, value in left.items()) == unknown


def difference(expected, found):
    missing = {key: value for key, value in expected.items() if found.get(key) != value}
    extra = {key: value for key, value in found.items() if expected.get(key) != value}
    return f"missing {dict(list(missing.items())[:4])}, there {dict(list(extra.items())[:4])}"


def at_once(jobs):
    """Runs functions side by side to their ends; what they gave."""
    given = [None] * len(jobs)

    def run(n, job):
        try:
            given[n] = job()
        except AssertionError as error:
            given[n] = error
    threads = [threading.Thread(target=run, args=item, daemon=True) for item in enumerate(jobs)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
        assert not thread.is_alive(), "the load does not end"
    return given
