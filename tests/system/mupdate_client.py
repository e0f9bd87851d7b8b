"""MUPDATE (RFC 3656) as a test speaks it: what goes over the wire is what the test says, what comes back is checked.

Every line has to be a response of the RFC's grammar, every tagged reply the one of a command that waits, in
the order of the commands; what streams after UPDATE bears UPDATE's tag. Everything has a deadline.
"""

import base64
import re
import socket
import time
from collections import deque
from dataclasses import dataclass, field

from imap_client import Broken, Literal

LITERAL = re.compile(rb"\{(\d+)\+?\}\r\n\Z")
STRINGS = {b"OK": 1, b"NO": 1, b"BAD": 1, b"MAILBOX": 3, b"RESERVE": 2, b"DELETE": 1}
FINAL = (b"OK", b"NO", b"BAD")
LONGEST_LINE = 1 << 20


def quoted(text):
    data = text if isinstance(text, bytes) else text.encode()
    return b'"' + data.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'


def plus(text):
    """A {n+} literal, as Cyrus' servers and clients send them."""
    return Literal(text if isinstance(text, bytes) else text.encode(), plus=True)


def waiting(text):
    """A {n} literal: sent when the server has said to go ahead."""
    return Literal(text if isinstance(text, bytes) else text.encode())


@dataclass(frozen=True)
class Record:
    """What the server says of a name: MAILBOX, RESERVE or DELETE."""

    kind: str
    name: str
    location: str = ""
    acl: str = ""

    @property
    def server(self):
        return self.location.split("!")[0]


@dataclass
class Answer:
    """The reply to a command, and the records before it."""

    word: str
    text: str
    records: list = field(default_factory=list)

    def ok(self):
        assert self.word == "OK", self
        return self

    def no(self):
        assert self.word == "NO", self
        return self

    def bad(self):
        assert self.word == "BAD", self
        return self

    @property
    def names(self):
        return {record.name: record for record in self.records}


class Connection:
    """Bytes to and from the server, cut into lines of words and strings."""

    def __init__(self, address, deadline=20.0):
        self.deadline = deadline
        self.socket = socket.create_connection(address, timeout=deadline)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.file = self.socket.makefile("rb")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.file.close()
        self.socket.close()

    def raw(self, data, piece=None):
        """Sends bytes, `piece` of them at a time, each in a packet of its own."""
        for start in range(0, len(data), piece or len(data)):
            self.socket.sendall(data[start:start + piece] if piece else data)

    def line(self):
        """One line up to its CRLF; b"" when the server has closed."""
        try:
            line = self.file.readline(LONGEST_LINE)
        except TimeoutError:
            raise Broken(f"nothing came within {self.deadline} s") from None
        if line and not line.endswith(b"\r\n") or b"\0" in line:
            raise Broken(f"not a line: {line[:200]!r}")
        return line

    def strings(self, rest, count):
        """The strings of a response: quoted, or literals that go on with the next line."""
        found = []
        while True:
            if marker := LITERAL.match(rest):
                data = self.file.read(int(marker.group(1)))
                if len(data) != int(marker.group(1)):
                    raise Broken(f"a literal ends after {data!r}")
                rest = self.line()
            elif string := re.match(rb'"((?:[^"\\\r\n]|\\["\\])*)"', rest):
                data, rest = re.sub(rb"\\(.)", rb"\1", string.group(1)), rest[string.end():]
            else:
                raise Broken(f"no string: {rest[:200]!r}")
            found.append(data.decode("utf-8", "surrogateescape"))
            if rest == b"\r\n" and len(found) == count:
                return found
            if not rest.startswith(b" ") or len(found) == count:
                raise Broken(f"{len(found)} strings of {count}, then {rest[:200]!r}")
            rest = rest[1:]

    def closed(self):
        """The server closes: at once, and says nothing before it."""
        line = self.line()
        if line:
            raise Broken(f"not closed: {line!r}")


class Mupdate(Connection):
    """A session; `account=None`: not logged in."""

    def __init__(self, address, account="backend3", password="mupdatepw", deadline=20.0, wrap=None):
        super().__init__(address, deadline)
        self.begin()
        if wrap:
            self.starttls(wrap)
        if account is not None:
            self.plain(account, password).ok()

    # ------------------------------------------------------------------ the beginning

    def begin(self):
        self.waiting, self.stream, self.events, self.count = deque(), None, deque(), 0
        self.capabilities, self.greeting = self.banner()

    def banner(self):
        """The capabilities, and the four strings of `* OK MUPDATE`."""
        capabilities = {}
        while True:
            line = self.line()
            found = re.fullmatch(rb"\* ([A-Z-]+)( .*)?\r\n", line)
            if not found:
                raise Broken(f"not a banner: {line!r}")
            if found.group(1) == b"OK":
                words = re.fullmatch(rb"\* OK MUPDATE (.*\r\n)", line)
                return capabilities, self.strings(words.group(1), 4)
            if found.group(1) == b"BYE":
                raise Broken(f"turned away: {line!r}")
            capabilities[found.group(1).decode()] = (found.group(2) or b"").decode().strip()

    def starttls(self, wrap):
        self.command("STARTTLS").ok()
        self.socket = wrap(self.socket)
        self.file = self.socket.makefile("rb")
        self.capabilities, self.greeting = self.banner()

    def plain(self, account, password):
        secret = base64.b64encode(f"\0{account}\0{password}".encode()).decode()
        return self.command("AUTHENTICATE ", quoted("PLAIN"), " ", quoted(secret))

    # ------------------------------------------------------------------ commands

    def command(self, *parts):
        """Sends a command and waits for its reply: a str as it stands, bytes too, a Literal as one."""
        self.send(*parts)
        return self.answer()

    def send(self, *parts, tag=None):
        """Sends a command and doesn't wait, except for `+` before a waiting literal."""
        self.count += 1
        tag = tag or f"t{self.count}"
        self.waiting.append(tag.encode())
        out = tag.encode() + b" "
        for part in parts:
            if isinstance(part, Literal):
                out += part.marker()
                if not part.plus:
                    self.raw(out)
                    self.go_ahead()
                    out = b""
                out += part.data
            else:
                out += part if isinstance(part, bytes) else part.encode()
        self.raw(out + b"\r\n")

    def go_ahead(self):
        line = self.line()
        if not line.startswith(b"+ "):
            raise Broken(f"no continuation: {line!r}")

    def answer(self):
        """The reply to the oldest command that waits; what streams meanwhile is put by."""
        records = []
        tag = self.waiting[0]
        while True:
            got, word, strings = self.response()
            if got == tag and word in FINAL:
                self.waiting.popleft()
                return Answer(word.decode(), strings[0], records)
            if got == tag and word != b"DELETE":
                records.append(Record(word.decode(), *strings))
            elif got == self.stream and word not in FINAL:
                self.events.append(Record(word.decode(), *strings))
            else:
                raise Broken(f"{got!r} {word!r} {strings} while {tag!r} waits")

    def response(self):
        line = self.line()
        found = re.match(rb"(\S+) ([A-Z]+) ", line)
        if not found or found.group(2) not in STRINGS:
            raise Broken(f"not a response: {line!r}")
        return found.group(1), found.group(2), self.strings(line[found.end():], STRINGS[found.group(2)])

    def say(self, verb, *strings):
        """A command with quoted arguments, and its answer."""
        return self.command(verb, *(b" " + quoted(string) for string in strings))

    def reserve(self, name, location):
        self.say("RESERVE", name, location).ok()

    def activate(self, name, location, acl="anyone\tlrs\t"):
        self.say("ACTIVATE", name, location, acl).ok()

    def find(self, name):
        """The record of a name, or None."""
        answer = self.say("FIND", name).ok()
        assert len(answer.records) <= 1 and all(record.name == name for record in answer.records), answer
        return answer.records[0] if answer.records else None

    # ------------------------------------------------------------------ the stream

    def update(self, *servers):
        """Sends UPDATE: the list as it stands. After it, `events` fills."""
        self.send("UPDATE", *(b" " + quoted(server) for server in servers))
        tag = self.waiting[0]
        answer = self.answer().ok()
        self.stream = tag
        assert len(answer.names) == len(answer.records), "a name twice in a snapshot"
        return answer.names

    def event(self):
        """The next event of the stream, waited for."""
        if not self.events:
            got, word, strings = self.response()
            if got != self.stream or word in FINAL:
                raise Broken(f"{got!r} {word!r} {strings} in the stream")
            return Record(word.decode(), *strings)
        return self.events.popleft()

    def barrier(self):
        """All events up to now: NOOP is a barrier."""
        self.say("NOOP").ok()
        found = list(self.events)
        self.events.clear()
        return found

    def silent(self, seconds):
        """Nothing comes for so long."""
        until = time.monotonic() + seconds
        self.socket.settimeout(seconds)
        try:
            data = self.file.peek(1)
        except TimeoutError:
            data = None
        self.socket.settimeout(self.deadline)
        if data is not None or time.monotonic() < until - 0.05:
            raise Broken(f"not silent: {data!r}")
