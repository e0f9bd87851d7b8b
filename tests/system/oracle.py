"""The oracle: one script played through Cyrus' own frontend and through the one under test, on the same murder,
and every answer compared.

A script is a list of steps; a step is what a client sends, with these in it:

  `{user}` `{other}`    the side's users: the INBOX at backend1, and at backend2
  `{box1}` `{box2}`     its shared mailboxes, at backend1 and backend2
  `<m1>` `<m1+>`        a small message as a literal, synchronizing or not; `<m1~+>` as a literal8
  `<=text>` `<=text+>`  a text as a literal
  ` >> `                what is behind it is sent when the server has asked for it (`+`)
  ` >> [STEP]`          a step of another session meanwhile; then what comes of it is awaited
  `{v}`                 the UIDVALIDITY that this side was told last
  `SESSION> `           in front: which session (see `Side.open`); without it, the user's first

Each side has users and mailboxes of its own, with names of the same lengths. The answers are compared response
for response, text included. What `Normaliser` replaces is all that may differ from run to run; every other
difference has to be in `oracle_differences.py`, as the exact lines of both, and has to be there when looked for.
"""

import difflib
import re
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, timezone

from imap_client import Broken, Literal, message
from murder import DOMAIN

NO_MASTER = "no connection to server"  # a backend's words when the MUPDATE master doesn't answer
QUIET = 0.5  # nothing more comes of a step when nothing came for so long
ARGUMENT = re.compile(r"<(=[^>]*?|m\d+)(~?\+?)>")
LITERAL = re.compile(rb"~?\{(\d+)\}\r\n")
MONTHS = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()
FRONTENDS = [f"frontend{n}.{DOMAIN}" for n in ("", 2)]


class Side:
    """One frontend, and what is played through it: users, mailboxes, sessions."""

    def __init__(self, world, through_cyrus, number):
        self.world, self.through_cyrus = world, through_cyrus
        user, other = world.user("backend1"), world.user("backend2")
        self.names = {"{user}": user, "{other}": other}
        for n, backend in ((1, "backend1"), (2, "backend2")):
            name = self.names["{box%d}" % n] = f"orc{number:04}box{n}"
            self.insist(backend, "CREATE ", name)
            for who in (user, other):
                self.insist(backend, "SETACL ", name, f" {who} lrswipkxtecda")
            self.insist(backend, "DELETEACL ", name, " anyone")  # the other side's users don't see it
            world.await_name(name)
        self.sessions = {}
        self.normalise = Normaliser(self.names)

    def insist(self, backend, *command):
        """Done by the backend's admin. Debian's master lets about one connection in thirty hang."""
        for _ in range(3):
            answer = self.world.admin(backend).command(*command)
            if answer.status == "OK" or NO_MASTER not in answer.text:
                break
        answer.ok()

    def open(self, name):
        """A session of the script's own name for it."""
        world, user, other = self.world, self.names["{user}"], self.names["{other}"]
        at = world.oracle if self.through_cyrus else world.client
        match name:
            case "" | "second" | "third":
                return at(user)
            case "other":
                return at(other)
            case "admin":
                return at("cyrus")
            case "new" | "another":
                world.murder.run("user", user, user + "pw", "-")  # a password at Cyrus' frontend, too
                world.oracle_sees()
                return world.connect_to_oracle() if self.through_cyrus else world.connect()
            case "direct":
                return world.at_backend("backend1", user)
        raise ValueError(name)

    def session(self, name):
        if name not in self.sessions:
            self.sessions[name] = self.open(name)
        return self.sessions[name]

    def play(self, steps):
        """The script's answers, a list of lines for each step."""
        return [self.step(step) for step in steps]

    def step(self, step):
        for placeholder, name in self.names.items():
            step = step.replace(placeholder, name)
        step = step.replace("{v}", self.normalise.validity)
        session, command = re.fullmatch(r"(?:(\w+)> )?(.*)", step, re.DOTALL).groups(default="")
        first, *later = command.split(" >> ")
        got = []
        try:
            self.converse(self.session(session), first, later, got)
        except Broken as broken:
            got.append(f"closed: {broken}" if "closed" not in str(broken) else "closed")
            self.sessions.pop(session).close()
        return got

    def converse(self, session, first, later, got):
        tag = session.start(*arguments(first))
        for response in getattr(session, "before", []):  # a literal was refused, or waited for
            got.append(self.normalise.line(response, tag))
        refused = bool(getattr(session, "before", []) and session.before[-1].tag == tag)
        session.before = []
        while tag in session.waiting and not refused:
            response = session.response()
            got.append(self.normalise.line(response, tag))
            if response.tag == b"+" and later:
                self.later(session, later, got)
        if any(line.startswith("* BYE") for line in got):
            session.expect_end()
            raise Broken("closed")

    def later(self, session, later, got):
        piece = later.pop(0)
        while piece.startswith("["):
            self.step(piece[1:-1])
            wait = 5
            try:
                while True:
                    got.append(self.normalise.line(session.response(wait), b""))
                    wait = QUIET
            except Broken as nothing:
                if "no answer" not in str(nothing):
                    raise
            piece = later.pop(0)
        session.send(piece.encode("latin-1") + b"\r\n")


def arguments(text):
    """A step's text as what `Conversation.start` takes."""
    parts, at = [], 0
    for found in ARGUMENT.finditer(text):
        parts.append(text[at:found.start()])
        what, how = found.groups()
        data = what[1:].encode("latin-1") if what.startswith("=") else message(what, 100 * int(what[1:]))
        if "~" in how:
            parts[-1] += "~"
        parts.append(Literal(data, "+" in how))
        at = found.end()
    return [*parts, text[at:]]


class Normaliser:
    """Replaces what is each run's own, and nothing else, outside of literals:

    tags; UIDVALIDITY (and mailbox ids: a random number each mailbox has); dates of the last hours; host names
    and the side's own names of users and mailboxes; what a command cost, and session ids.
    """

    RULES = [
        (r"UIDVALIDITY \d+", "UIDVALIDITY <v>"),
        (r"\[(APPENDUID|COPYUID) \d+ ", r"[\1 <v> "),
        (r"MAILBOXID \([\w-]+\)", "MAILBOXID (<id>)"),
        (r"SESSIONID=<[^>]*>", "SESSIONID=<s>"),
        (r"(\(| in )\d+\.\d+ secs?( \d+ calls)?\)", r"\1<t>)"),
    ]

    def __init__(self, names):
        self.names = names
        self.validity = "0"

    def line(self, response, tag):
        """One response as one line of text."""
        if found := re.search(rb"UIDVALIDITY (\d+)", response.raw):
            self.validity = found.group(1).decode()
        out, rest = [], response.raw
        while found := LITERAL.search(rest):
            end = found.end() + int(found.group(1))
            out += [self.text(rest[:found.end()]), rest[found.end():end].decode("latin-1")]
            rest = rest[end:]
        line = "".join([*out, self.text(rest)]).removesuffix("\r\n")
        if tag and response.tag == tag:
            line = "tag" + line[len(tag):]
        return line.replace("\r\n", "\\r\\n")

    def text(self, data):
        text = data.decode("latin-1")
        for pattern, replacement in self.RULES:
            text = re.sub(pattern, replacement, text)
        for host in FRONTENDS:
            text = text.replace(host, "<frontend>")
        for placeholder, name in self.names.items():
            text = re.sub(rf"\b{name}\b", placeholder, text)
        return re.sub(r'"([ \d]\d)-(\w{3})-(\d{4}) (\d\d):(\d\d):(\d\d) ([+-]\d\d)(\d\d)"', self.date, text)

    @staticmethod
    def date(found):
        """Only one of the last hours: a date that the script gave stays."""
        day, month, year, hour, minute, second, zone, zone_minutes = found.groups()
        if month not in MONTHS:
            return found.group()
        offset = timedelta(hours=int(zone), minutes=int(zone[0] + zone_minutes))
        when = datetime(int(year), MONTHS.index(month) + 1, int(day), int(hour), int(minute), int(second),
                        tzinfo=timezone(offset))
        recent = abs(datetime.now(timezone.utc) - when) < timedelta(hours=6)
        return '"<now>"' if recent else found.group()


@dataclass
class Difference:
    """Lines that Cyrus says and lines that we say in their place; `…` stands for anything within a line."""

    why: str
    theirs: list
    ours: list
    at: str = ""  # only at steps with this in them
    until: str = ""  # Debian's version from which on Cyrus answers as we do; before it, it may not
    used: bool = field(default=False, compare=False)

    def is_it(self, step, theirs, ours):
        return self.at in step and alike(self.theirs, theirs) and alike(self.ours, ours)


def alike(patterns, lines):
    return len(patterns) == len(lines) and all(
        re.fullmatch(".*".join(re.escape(piece) for piece in pattern.split("…")), line)
        for pattern, line in zip(patterns, lines))


def chunks(theirs, ours):
    """Where two lists of lines differ: pairs of what each has there."""
    matcher = difflib.SequenceMatcher(None, theirs, ours, autojunk=False)
    return [(theirs[a:b], ours[c:d]) for kind, a, b, c, d in matcher.get_opcodes() if kind != "equal"]


def unexpected(steps, theirs, ours, listed):
    """What differs and isn't listed, as text; marks what of `listed` was met."""
    wrong = []
    for step, said, mine in zip(steps, theirs, ours, strict=True):
        for its, own in chunks(said, mine):
            known = [difference for difference in listed if difference.is_it(step, its, own)]
            for difference in known:
                difference.used = True
            if not known:
                wrong.append("\n".join([step, *(f"  Cyrus: {line}" for line in its), *(f"  ours:  {line}" for line in own)]))
    return wrong


def compare(world, steps, listed):
    """Plays a script through both frontends. Without one of ours, Cyrus' own is compared with itself: nothing
    may differ then, or the script tells nothing."""
    for _ in range(3):
        sides = []
        for through_cyrus in (True, world.oracle_only):
            world.boxes += 1
            sides.append(Side(world, through_cyrus, world.boxes))
        theirs, ours = (side.play(steps) for side in sides)
        if not any(NO_MASTER in line for answers in theirs + ours for line in answers):
            break
    listed = [] if world.oracle_only else [replace(d, used=False) for d in listed]
    wrong = unexpected(steps, theirs, ours, listed)
    gone = [f"no longer differs: {d.why} {d.theirs} {d.ours} {d.at}" for d in listed if not d.used and not d.until]
    assert not wrong + gone, f"{len(wrong)} unlisted differences, {len(gone)} listed in vain\n" + "\n".join(wrong + gone)
    return theirs, ours
