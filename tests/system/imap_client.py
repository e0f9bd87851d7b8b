"""A raw IMAP conversation: what goes over the wire is what a test says, what comes back is checked.

Every response has to end in CRLF, hold no NUL, and be an untagged response, a continuation request or the
one tagged reply of a command that waits for it. Everything has a deadline.
"""

import base64
import re
import socket
import ssl
import time
from dataclasses import dataclass, field

DEADLINE = 20.0
LITERAL = re.compile(rb"~?\{(\d+)\}\r\n\Z")
STATUS = (b"OK", b"NO", b"BAD", b"BYE", b"PREAUTH")


class Broken(AssertionError):
    """The other side broke the protocol, closed, or did not answer in time."""


@dataclass
class Literal:
    """An argument to be sent as a literal: synchronizing, or {n+} with `plus`."""

    data: bytes
    plus: bool = False

    def marker(self):
        return b"{%d%s}\r\n" % (len(self.data), b"+" if self.plus else b"")


@dataclass
class Response:
    """One response as it came; its literals are still in `raw`."""

    tag: bytes
    raw: bytes

    @property
    def text(self):
        return self.raw[len(self.tag):].strip()

    @property
    def word(self):
        """The first word: OK, NO, LIST, or of `* 5 EXISTS` the second."""
        words = self.text.split(None, 2)
        if words and words[0].isdigit() and len(words) > 1:
            return words[1].upper()
        return words[0].upper() if words else b""

    def tree(self):
        return parse(self.text)


@dataclass
class Answer:
    """A command's tagged reply, and the untagged responses before it."""

    tagged: Response
    untagged: list = field(default_factory=list)

    @property
    def status(self):
        return self.tagged.word.decode("latin-1")

    @property
    def text(self):
        return self.tagged.text.decode("latin-1")

    @property
    def code(self):
        found = re.match(r"\w+ \[([^\]]*)\]", self.text)
        return found.group(1) if found else ""

    def of(self, word):
        """The untagged responses of one kind."""
        return [r for r in self.untagged if r.word == word.encode()]

    def ok(self):
        return self.must("OK")

    def no(self, code=None):
        self.must("NO")
        assert code is None or self.code.split(" ")[0] == code, f"expected NO [{code}], got: {self.text}"
        return self

    def bad(self):
        return self.must("BAD")

    def must(self, *status):
        assert self.status in status, f"expected {' or '.join(status)}, got: {self.text}"
        return self


def parse(data):
    """A response's text as nested lists: atoms and strings as bytes, NIL as None."""
    at, stack = 0, [[]]
    while at < len(data):
        byte = data[at:at + 1]
        if byte in b" \r\n":
            at += 1
        elif byte == b"(":
            stack.append([])
            at += 1
        elif byte == b")":
            done = stack.pop()
            assert stack, f"unbalanced: {data[:200]!r}"
            stack[-1].append(done)
            at += 1
        elif byte == b'"':
            found = re.compile(rb'"((?:[^"\\\r\n]|\\["\\])*)"').match(data, at)
            assert found, f"broken quoted string: {data[at:at + 80]!r}"
            stack[-1].append(re.sub(rb"\\(.)", rb"\1", found.group(1)))
            at = found.end()
        elif found := re.compile(rb"~?\{(\d+)\}\r\n").match(data, at):
            end = found.end() + int(found.group(1))
            stack[-1].append(data[found.end():end])
            at = end
        else:
            found = re.compile(rb"(?:\[[^\]]*\]|[^\s()\"])+").match(data, at)
            stack[-1].append(None if found.group().upper() == b"NIL" else found.group())
            at = found.end()
    assert len(stack) == 1, f"unbalanced: {data[:200]!r}"
    return stack[0]


class Conversation:
    """One connection. `greeting` is read at once; `command` sends and awaits the tagged reply."""

    def __init__(self, address, deadline=DEADLINE, greet=True, secure=None):
        """`secure`: a function from a socket to one with TLS, for an imaps port."""
        self.deadline = deadline
        self.socket = socket.create_connection(address, timeout=deadline)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if secure:
            self.socket = secure(self.socket)
        self.buffer = bytearray()
        self.count = 0
        self.waiting = []
        self.lenient = False  # takes a reply with any tag
        self.greeting = self.response() if greet else None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    # ------------------------------------------------------------- reading

    def fill(self, until):
        left = until - time.monotonic()
        if left <= 0:
            raise Broken(f"no answer within {self.deadline} s; so far {bytes(self.buffer[:200])!r}")
        self.socket.settimeout(left)
        try:
            data = self.socket.recv(1 << 18)
        except TimeoutError:
            raise Broken(f"no answer within {self.deadline} s; so far {bytes(self.buffer[:200])!r}") from None
        except (ConnectionError, ssl.SSLError) as error:
            raise Broken(f"connection lost: {error}") from None
        if not data:
            raise Broken(f"closed by the server; unread {bytes(self.buffer[:200])!r}")
        self.buffer += data

    def line(self, until):
        searched = 0
        while (end := self.buffer.find(b"\n", searched)) < 0:
            searched = len(self.buffer)
            self.fill(until)
        line = bytes(self.buffer[:end + 1])
        del self.buffer[:end + 1]
        if not line.endswith(b"\r\n"):
            raise Broken(f"a line that does not end in CRLF: {line[:200]!r}")
        return line

    def exactly(self, size, until):
        while len(self.buffer) < size:
            self.fill(until)
        data = bytes(self.buffer[:size])
        del self.buffer[:size]
        return data

    def response(self, deadline=None):
        """The next response whole, with its literals."""
        until = time.monotonic() + (deadline or self.deadline)
        line = self.line(until)
        tag, _, rest = line.partition(b" ")
        if tag not in (b"*", b"+") and tag not in self.waiting and not self.lenient:
            raise Broken(f"a response that nobody asked for: {line[:200]!r}")
        pieces = [line]
        status = rest.split(None, 1)[:1] and rest.split(None, 1)[0].upper() in STATUS
        while not status and (found := LITERAL.search(pieces[-1])):
            pieces.append(self.exactly(int(found.group(1)), until))
            pieces.append(self.line(until))
        if any(b"\0" in piece for piece in pieces[::2]):
            raise Broken(f"a NUL in a line: {line[:200]!r}")
        if tag not in (b"*", b"+"):
            if tag in self.waiting:
                self.waiting.remove(tag)
            if not status:
                raise Broken(f"a tagged reply without status: {line[:200]!r}")
        return Response(tag, b"".join(pieces))

    def untagged(self, word, deadline=None):
        """Reads on to the next untagged response of this kind."""
        while True:
            got = self.response(deadline)
            if got.tag == b"*" and got.word == word.encode():
                return got

    def expect_bye(self, code=None):
        """`* BYE`, perhaps after other responses, and then the end of the connection."""
        got = self.untagged("BYE")
        if code:
            assert b"[" + code.encode() in got.raw, f"expected BYE [{code}], got {got.raw!r}"
        self.expect_end()
        return got

    def expect_end(self):
        try:
            while True:
                self.response()
        except Broken as end:
            said = str(end)
            assert said.startswith("closed") or said.startswith("connection lost"), said

    def expect_silence(self, seconds=0.3):
        """Nothing more is on its way."""
        try:
            got = self.response(seconds)
        except Broken as nothing:
            assert "no answer" in str(nothing) and "far b''" in str(nothing), str(nothing)
        else:
            raise Broken(f"unexpected: {got.raw[:200]!r}")

    # ------------------------------------------------------------- sending

    def send(self, data):
        self.socket.settimeout(self.deadline)
        self.socket.sendall(data)

    def tag(self):
        self.count += 1
        return b"t%d" % self.count

    def start(self, *parts, tag=None):
        """Sends a command (text, bytes, Literal ...) without waiting for the reply; gives its tag.

        Where a synchronizing literal is refused, the rest stays unsent.
        """
        tag = tag or self.tag()
        self.waiting.append(tag)
        out = tag + b" "
        for part in parts:
            if not isinstance(part, Literal):
                out += part if isinstance(part, bytes) else part.encode("latin-1")
                continue
            self.send(out + part.marker())
            out = part.data
            if not part.plus and not self.go_ahead(tag):
                return tag
        self.send(out + b"\r\n")
        return tag

    def go_ahead(self, tag):
        self.before = []
        while True:
            got = self.response()
            if got.tag == b"+":
                return True
            self.before.append(got)
            if got.tag == tag:
                return False

    def finish(self, tag):
        """Reads to the tagged reply of a command that was started."""
        untagged, self.before = getattr(self, "before", []), []
        if untagged and untagged[-1].tag == tag:
            return Answer(untagged[-1], untagged[:-1])
        while True:
            got = self.response()
            if got.tag == tag:
                return Answer(got, untagged)
            if got.tag != b"*":
                raise Broken(f"expected the reply to {tag!r}, got {got.raw[:200]!r}")
            untagged.append(got)

    def command(self, *parts):
        return self.finish(self.start(*parts))

    def poke(self, data):
        """Sends bytes that are no good command, then a NOOP: gives what comes before the NOOP's OK."""
        self.lenient = True
        self.count += 1
        sync = b"sync%d" % self.count
        self.send(data)
        self.send(sync + b" NOOP\r\n")
        got = []
        while (response := self.response()).tag != sync:
            got.append(response)
        self.lenient = False
        assert response.word == b"OK", response.raw
        return got

    # ------------------------------------------------------------- often used

    def login(self, name, password):
        return self.command("LOGIN ", quoted(name), " ", quoted(password))

    def starttls(self, secure):
        """STARTTLS, and the handshake by `secure`; nothing may come between."""
        self.command("STARTTLS").ok()
        assert not self.buffer, f"behind the OK to STARTTLS: {bytes(self.buffer)!r}"
        self.socket = secure(self.socket)

    def login_as(self, name, password, authzid):
        """As an admin who acts for somebody, or as the proxy account at a backend."""
        return self.command("AUTHENTICATE PLAIN ", plain(name, password, authzid))

    def capabilities(self):
        got = self.command("CAPABILITY").ok().of("CAPABILITY")
        assert len(got) == 1, "expected one CAPABILITY response"
        return set(got[0].text.decode().upper().split()[1:])

    def select(self, mailbox, how="SELECT"):
        return self.command(how, " ", quoted(mailbox))

    def exists(self, answer):
        return int(answer.of("EXISTS")[-1].text.split()[0])

    def append(self, mailbox, message, flags="", plus=True):
        return self.command("APPEND ", quoted(mailbox), " ", flags, " " if flags else "", Literal(message, plus))

    def body(self, number, uid=False):
        """The whole message, as BODY.PEEK[] gives it."""
        got = self.command("UID " if uid else "", f"FETCH {number} (BODY.PEEK[])").ok().of("FETCH")
        assert len(got) == 1, f"expected one FETCH response, got {len(got)}"
        items = got[0].tree()[2]
        return items[items.index(b"BODY[]") + 1]

    def listed(self, answer, word="LIST"):
        """LIST or LSUB responses as {name: attributes}."""
        found = {}
        for response in answer.of(word):
            _, attributes, _, name = response.tree()[:4]
            found[name.decode()] = frozenset(a.decode().lower() for a in attributes)
        return found

    def listed_names(self, *command):
        """The names that a LIST command gives, as bytes."""
        return {response.tree()[3] for response in self.command(*command).ok().of("LIST")}

    def in_step(self):
        """The session still answers each command with its own reply, and nothing else comes."""
        self.command("NOOP").ok()
        self.expect_silence(0.05)


def quoted(text):
    data = text if isinstance(text, bytes) else text.encode("latin-1")
    return b'"' + data.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'


def plain(name, password, authzid=""):
    return base64.b64encode(f"{authzid}\0{name}\0{password}".encode("latin-1"))


def message(subject, size=0):
    """A small message; padded to about `size` bytes, each line different."""
    head = (f"From: a@example.test\r\nTo: b@example.test\r\nSubject: {subject}\r\n"
            f"Date: Mon, 1 Jan 2024 00:00:00 +0000\r\nMessage-ID: <{subject}@example.test>\r\n\r\nbody of {subject}\r\n")
    out = head.encode()
    if size > len(out):
        lines = (size - len(out)) // 72
        out += b"".join(b"%010d %s\r\n" % (n, b"x" * 59) for n in range(lines))
    return out
