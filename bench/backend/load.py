"""The load: plain sockets, as little work as can be. Every reply is looked at; one that isn't OK ends the run."""

import selectors
import socket
import time

DEADLINE = 600


class Imap:
    """A session. Answers are counted, not kept, but for their end."""

    def __init__(self, address, user=None):
        self.socket = socket.create_connection(address, timeout=DEADLINE)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        greeting = self.socket.recv(4096)
        if not greeting.startswith(b"* OK"):
            raise OSError(f"greeting: {greeting!r}")
        if user:
            self.ok(b"LOGIN %s pw" % user.encode())

    def ok(self, command):
        """Sends a command and waits for its OK: how many bytes came, and the end of them."""
        self.socket.sendall(b"A " + command + b"\r\n")
        return self.finish()

    def finish(self):
        size, end = 0, b""
        while True:
            data = self.socket.recv(1 << 20)
            assert data, f"the connection ended: {end!r}"
            size += len(data)
            end = (end + data)[-1000:]
            if end.endswith(b"\r\n") and (end.startswith(b"A ") or b"\r\nA " in end):
                reply = end[end.rfind(b"\r\nA ") + 2 if not end.startswith(b"A ") else 0:]
                assert reply.startswith(b"A OK"), reply
                return size, end

    def start_idle(self):
        self.socket.sendall(b"A IDLE\r\n")
        answer = b""
        while b"+ " not in answer:
            answer += self.socket.recv(4096)

    def close(self):
        self.socket.close()


def message(number, size):
    """A message as they come: some fields, its number in From and Subject, and a text."""
    head = (f"Return-Path: <sender{number % 997}@example.org>\r\n"
            f"Received: from mx{number % 13}.example.org by bench.test; Thu, 26 Nov 2026 10:00:00 +0000\r\n"
            f"Date: Thu, 26 Nov 2026 10:{number // 60 % 60:02}:{number % 60:02} +0000\r\n"
            f"From: Sender {number % 997} <sender{number % 997}@example.org>\r\n"
            f"To: Reader <reader@bench.test>\r\nCc: list{number % 31}@example.org\r\n"
            f"Subject: Minutes of meeting {number}, with agenda\r\nMessage-ID: <{number}.{size}@example.org>\r\n"
            "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=us-ascii\r\n\r\n").encode()
    line = b"All work and no play makes a dull message, seventy-two octets a line.\r\n"
    return head + (line * (size // len(line) + 1))[:max(size - len(head) - 2, 0)] + b"\r\n"


def fill(address, user, count, size, batch=100):
    """Messages into a user's INBOX, by MULTIAPPEND (RFC 3502) with literals that aren't waited for."""
    session = Imap(address, user)
    for first in range(0, count, batch):
        texts = [message(number, size) for number in range(first, min(first + batch, count))]
        session.ok(b"APPEND INBOX" + b"".join(b" {%d+}\r\n%s" % (len(text), text) for text in texts))
    session.close()


class Appender:
    """A session that appends, one message after the other."""

    def __init__(self, server, user, text):
        self.imap = Imap(server.imap, user)
        self.socket = self.imap.socket
        self.bytes = b"A APPEND INBOX {%d+}\r\n%s\r\n" % (len(text), text)
        self.heard = b""

    def begin(self):
        self.socket.sendall(self.bytes)

    def hears(self):
        """Whether its message is stored."""
        self.heard += self.socket.recv(65536)
        assert self.heard, "the connection ended"
        if not self.heard.endswith(b"\r\n") or not (self.heard.startswith(b"A ") or b"\r\nA " in self.heard):
            return False
        assert self.heard.startswith(b"A OK") or b"\r\nA OK" in self.heard, self.heard
        self.heard = b""
        return True


class Deliverer:
    """An LMTP connection (RFC 2033) that delivers to one recipient, one message after the other."""

    def __init__(self, server, user, text):
        self.socket = socket.create_connection(server.lmtp, timeout=DEADLINE)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.lines(1)
        self.socket.sendall(b"LHLO bench.test\r\n")
        while self.lines(1)[-1][3:4] == b"-":
            pass
        self.envelope = b"MAIL FROM:<sender@example.org>\r\nRCPT TO:<%s@bench.test>\r\nDATA\r\n" % user.encode()
        self.text = text + b".\r\n"
        self.heard, self.wanted = b"", 3

    def lines(self, count):
        answer = b""
        while answer.count(b"\n") < count:
            data = self.socket.recv(1 if count == 1 else 4096)
            assert data, "the connection ended"
            answer += data
        return answer.splitlines()

    def begin(self):
        self.socket.sendall(self.envelope)

    def hears(self):
        self.heard += self.socket.recv(4096)
        assert self.heard, "the connection ended"
        if self.heard.count(b"\r\n") < self.wanted:
            return False
        replies = self.heard.split(b"\r\n")[:-1]
        self.heard = b""
        if self.wanted == 3:
            assert [reply[:1] for reply in replies] == [b"2", b"2", b"3"], replies
            self.wanted = 1
            self.socket.sendall(self.text)
            return False
        assert replies[0].startswith(b"2"), replies
        self.wanted = 3
        return True


def paced(session, command, seconds, every):
    """The command at fixed times: how long after its time each was answered, in order of length. One that waits makes the next wait."""
    latencies, start = [], time.monotonic()
    for number in range(int(seconds / every)):
        due = start + number * every
        time.sleep(max(0.0, due - time.monotonic()))
        session.ok(command)
        latencies.append(time.monotonic() - due)
    return sorted(latencies)


def together(clients, count):
    """`count` messages by all of them, each beginning its next when one is done: seconds, and each message's own."""
    selector, started, latencies, begun = selectors.DefaultSelector(), {}, [], 0
    start = time.monotonic()
    for client in clients:
        selector.register(client.socket, selectors.EVENT_READ, client)
        started[client] = time.monotonic()
        client.begin()
        begun += 1
    while len(latencies) < count:
        for key, _ in selector.select(DEADLINE):
            client = key.data
            if not client.hears():
                continue
            now = time.monotonic()
            latencies.append(now - started[client])
            if begun < count:
                started[client] = now
                client.begin()
                begun += 1
    seconds = time.monotonic() - start
    selector.close()
    for client in clients:
        client.socket.close()
    return seconds, latencies
