"""COPY, MOVE and REPLACE to another backend, either backend killed at each step: what the client is told, and where
the messages are then. Each row has to be one that the table of docs/protocols/copy-across.md allows.
"""

import re
import subprocess
import threading

from crooked import DOWN, UP, Crooked
from imap_client import Broken, Literal, message, quoted
from marks import needs, ours
from murder import IMAP, ROOT

TABLE = ROOT / "docs/protocols/copy-across.md"
MESSAGES = [message("first", 3000), message("second", 3000)]
NEW = message("new", 3000)

# what the frontend says to the source, and to the target, in the order of the steps
SOURCE = [("asks for the UIDs", rb"FETCH [\d:,]+ \(UID RFC822"),
          ("asks for flags and dates", rb"UID FETCH [\d:,]+ \(UID FLAGS INTERNALDATE"),
          ("asks for the bodies", rb"BODY\.PEEK\[\]")]
TARGET = [("begins APPEND", rb"APPEND [^\r]*\{\d+\+?\}\r\n"),
          ("is within the last message", rb"Subject: %s\r\n"),
          ("ends APPEND", rb"body of %s\r\n[0-9x \r\n]*\r\n\r\n$")]
REMOVAL = [("sets \\Deleted", rb"UID STORE [\d:,]+ \+FLAGS"), ("asks for EXPUNGE", rb"UID EXPUNGE ")]


def steps():
    for command, last in (("COPY", b"second"), ("MOVE", b"second"), ("REPLACE", b"new")):
        source = [step for step in SOURCE if command != "REPLACE" or "bodies" not in step[0]]
        removal = REMOVAL if command != "COPY" else []
        for who, named in (("source", source), ("target", TARGET), ("source", removal)):
            for what, pattern in named:
                for when in ("before", "after"):
                    yield command, who, what, when, pattern.replace(b"%s", last)


class Trap(Crooked):
    """Passes all until the frontend has said what `pattern` is; what the backend says after that is lost."""

    def __init__(self, address, target):
        super().__init__(address, target)
        self.pattern, self.when, self.heard = None, None, b""
        self.sprung = threading.Event()
        self.edits = {UP: self.up, DOWN: lambda data: b"" if self.sprung.is_set() else data}

    def arm(self, pattern, when):
        self.pattern, self.when, self.heard = re.compile(pattern), when, b""
        self.sprung.clear()

    def up(self, data):
        if self.sprung.is_set():
            return b""
        self.heard += data
        found = self.pattern and self.pattern.search(self.heard)
        if not found:
            return data
        self.sprung.set()
        behind = len(self.heard) - found.end()
        return data[:len(data) - behind] if self.when == "after" else b""


class Site:
    """A frontend whose backends both stand behind traps."""

    def __init__(self, world):
        self.world = world
        net = world.murder.net
        self.traps = {}
        for n, backend in ((206, "backend1"), (207, "backend2")):
            self.traps[backend] = Trap((f"{net}.{n}", IMAP), world.murder.address(backend))
        self.frontend = world.another(backend1=f"{net}.206", backend2=f"{net}.207",
                                      top="[limits]\nreselect = 0\n").start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for trap in self.traps.values():
            trap.__exit__()

    def kill(self, backend, user):
        """SIGKILL to the imapd that serves the user there; its master starts another."""
        log = self.world.murder.syslog().read_text()
        served = re.findall(rf"{backend}/imap\[(\d+)\]: login: .* {user} PLAIN", log)
        subprocess.run(["kill", "-9", served[-1]], check=True)
        self.traps[backend].reset_all()


def bodies(world, backend, user, box):
    """The messages of a mailbox as its backend has them, \\Deleted ones marked."""
    with world.at_backend(backend, user) as session:
        exists = session.exists(session.select(box, "EXAMINE").ok())
        found = []
        for n in range(1, exists + 1):
            flags = session.command(f"FETCH {n} (FLAGS)").ok().of("FETCH")[0].raw
            found.append((session.body(n), b"\\Deleted" in flags))
        return found


NAMES = {MESSAGES[0]: "1", MESSAGES[1]: "2", NEW: "new"}


def shown(found):
    return " ".join(NAMES[body] + (" (\\Deleted)" if deleted else "") for body, deleted in found) or "–"


def row(site, command, who, what, when, pattern):
    """Carries a command out with the kill in it, and says what came of it."""
    world = site.world
    user, there = world.user("backend1"), world.shared("backend2")
    session = world.client(user, site.frontend)
    kept = MESSAGES if command != "REPLACE" else MESSAGES[:1]
    for each in kept:
        session.append("INBOX", each).ok()
    session.select("INBOX").ok()
    session.command("STATUS ", quoted(there), " (MESSAGES)").ok()
    backend = "backend1" if who == "source" else "backend2"
    trap = site.traps[backend]
    trap.arm(pattern, when)
    if command == "REPLACE":
        tag = session.start("REPLACE 1 ", quoted(there), " ", Literal(NEW, True))
    else:
        tag = session.start(f"{command} 1:2 ", quoted(there))
    assert trap.sprung.wait(10), f"{command}: {who} {what} never came: {trap.heard[-300:]!r}"
    site.kill(backend, user)
    told = outcome(session, tag)
    trap.arm(b"(?!)", "after")
    source, target = bodies(world, "backend1", user, "INBOX"), bodies(world, "backend2", user, there)
    everything = [body for body, _ in source + target]
    for each in kept:
        assert each in everything or (command == "REPLACE" and NEW in everything), f"{command} {what} {when}: a message is lost"
    if "BYE" not in told and "closed" not in told:
        session.in_step()
    world.end_of_test_but(site.frontend)
    return f"| {command} | {who} | {when} the frontend {what} | {told} | {shown(source)} | {shown(target)} |"


def outcome(session, tag):
    """The reply in a few words; what came before it counts where it says that messages are copied."""
    before = ""
    try:
        while True:
            got = session.response()
            if b"[COPYUID" in got.raw or b"[APPENDUID" in got.raw and got.tag == b"*":
                before = "`* OK [COPYUID …]`, " if b"COPYUID" in got.raw else "`* OK [APPENDUID …]`, "
            if got.word == b"BYE" or got.tag == tag:
                code = re.search(rb"\[[A-Z]+", got.raw)
                return f"{before}`{got.word.decode()}{' ' + code[0].decode() + ']' if code else ''}`"
    except Broken as lost:
        return before + f"closed ({lost})"


@ours
@needs("kill")
def test_killed_at_each_step(world):
    with Site(world) as site:
        rows = [row(site, *step) for step in steps()]
    allowed = {tuple(cells[:3]): cells[3:] for cells in map(cells_of, TABLE.read_text().splitlines()) if len(cells) == 6}
    strange = [cells for cells in map(cells_of, rows) if not fits(cells[3:], allowed.get(tuple(cells[:3])))]
    assert not strange, "not in the table of docs/protocols/copy-across.md:\n" + "\n".join(" | ".join(row) for row in strange)


def cells_of(line):
    return [cell.strip() for cell in line.strip().strip("|").split("|")]


def fits(seen, allowed):
    """A cell of the table may say what else there may be: `– or 1 2`."""
    return allowed and all(cell in choices.split(" or ") for cell, choices in zip(seen, allowed))
