"""A backend that turns on its frontend when it is told to: a forwarder before a real one.

What passes is Cyrus' own. `Crooked` then stops: for everybody, after so many bytes in one direction, with a
reset; or it adds words of its own. Also here: what a frontend has open, and how others fare meanwhile.
"""

import asyncio
import errno
import socket
import struct
import threading
import time
from contextlib import contextmanager

from murder import IMAP, poll

DOWN, UP = "down", "up"  # from the backend to the frontend; from the frontend to the backend


def reset(sock):
    """Closes a socket so that its peer gets a reset and no good-bye."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


class Crooked:
    """Listens at `address` and passes bytes to and from `target`, one asyncio loop in a thread."""

    def __init__(self, address, target):
        self.address, self.target = address, target
        self.left = {}  # direction: how many bytes more each connection passes; none: any number
        self.edits = {}  # direction: a function that passing bytes go through
        self.drip = None  # bytes that are said to the frontend ten times a second
        self.pairs = []
        self.server = None
        self.loop = asyncio.new_event_loop()
        self.changed = asyncio.Event()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()
        self.listen()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.free()
        self.refuse()
        self.reset_all()
        self.do(asyncio.sleep(0.05))
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()
        self.loop.close()

    def do(self, work):
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(20)

    # ------------------------------------------------------------- what it is told

    def listen(self):
        async def go():
            until = time.monotonic() + 5
            while True:
                try:
                    self.server = await asyncio.start_server(self.serve, *self.address, backlog=512)
                    return
                except OSError as error:
                    # A process that is only just being started has the last listener there until its own program begins.
                    if error.errno != errno.EADDRINUSE or time.monotonic() > until:
                        raise
                await asyncio.sleep(0.02)
        self.do(go())

    def refuse(self):
        """Connections are refused; those that stand go on."""
        async def go():
            if self.server:
                self.server.close()
                self.server = None
        self.do(go())

    def stop(self, direction, after=0):
        """Each connection passes `after` bytes more in this direction, and then none."""
        async def go():
            self.left[direction] = after
            for pair in self.pairs:
                pair[direction] = 0
        self.do(go())

    def free(self):
        """All goes again as if nothing had been."""
        async def go():
            self.left.clear()
            self.drip = None
            self.changed.set()
            self.changed = asyncio.Event()
        self.do(go())

    def reset_all(self):
        """Every connection is reset, on both sides."""
        async def go():
            for pair in list(self.pairs):
                for writer in pair["writers"]:
                    writer.transport.abort()
        self.do(go())

    # ------------------------------------------------------------- what it does

    async def serve(self, reader, writer):
        try:
            there, back = await asyncio.open_connection(*self.target)
        except OSError:
            writer.transport.abort()
            return
        pair = {UP: 0, DOWN: 0, "writers": (writer, back)}
        self.pairs.append(pair)
        tasks = [asyncio.ensure_future(self.pump(pair, UP, reader, back)),
                 asyncio.ensure_future(self.pump(pair, DOWN, there, writer)),
                 asyncio.ensure_future(self.drip_into(writer))]
        await asyncio.wait(tasks[:2])
        tasks[2].cancel()
        self.pairs.remove(pair)
        for end in (writer, back):
            end.close()

    async def pump(self, pair, direction, reader, writer):
        try:
            while data := await reader.read(65536):
                data = self.edits.get(direction, bytes)(data)
                while data:
                    count = await self.allowance(pair, direction, len(data))
                    writer.write(data[:count])
                    data = data[count:]
                    await writer.drain()
            writer.write_eof()
        except (ConnectionError, OSError):
            for end in pair["writers"]:
                end.transport.abort()

    async def allowance(self, pair, direction, wanted):
        while True:
            limit = self.left.get(direction)
            count = wanted if limit is None else min(wanted, limit - pair[direction])
            if count > 0:
                pair[direction] += count
                return count
            if any(end.transport.is_closing() for end in pair["writers"]):
                raise ConnectionError
            changed = self.changed
            try:
                await asyncio.wait_for(changed.wait(), 0.2)
            except asyncio.TimeoutError:
                pass

    async def drip_into(self, writer):
        while not writer.transport.is_closing():
            await asyncio.sleep(0.1)
            if self.drip:
                writer.write(self.drip)


class Overheard(Crooked):
    """Passes everything, and keeps what the backend is told."""

    def __init__(self, address, target):
        super().__init__(address, target)
        self.heard = b""
        self.edits[UP] = self.listen_in

    def listen_in(self, data):
        self.heard += data
        return data


@contextmanager
def overheard(world, backend, **options):
    """A frontend of ours that reaches this backend through such a forwarder, and the forwarder."""
    host = f"{world.murder.net}.205"
    with Overheard((host, IMAP), world.murder.address(backend)) as line:
        yield world.another(**{backend: host}, **options).start(), line


class FullQueue:
    """A listener whose queue is full: whoever connects hangs."""

    def __init__(self, address):
        self.listener = socket.socket()
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind(address)
        self.listener.listen(0)
        self.fillers = []
        for _ in range(4):
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex(address)
            self.fillers.append(filler)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for each in (self.listener, *self.fillers):
            each.close()


class Footprint:
    """What a frontend holds before a fault, and that it holds no more when the fault is over."""

    NAMES = ("sessions_open", "upstream_open", "tasks", "pipes_in_use")

    def __init__(self, frontend):
        self.frontend = frontend
        self.before = self.now()

    def now(self):
        stats = dict(line.rsplit(" ", 1) for line in self.frontend.ctl("stats").splitlines() if line[0] != "#")
        held = {name: int(stats[f"ravenry_{name}"]) for name in self.NAMES}
        return {**held, "descriptors": self.frontend.descriptors()}

    def assert_restored(self, seconds=10):
        def restored():
            self.after = self.now()
            return all(self.after[name] <= held for name, held in self.before.items())
        try:
            poll("all to be let go of", seconds, restored)
        except AssertionError:
            raise AssertionError(f"held before: {self.before}; after the fault: {self.after}") from None


class Beside:
    """A session that the fault doesn't concern, at work all the time: how long its answers took."""

    def __init__(self, session, pause=0.02):
        self.session, self.pause = session, pause
        self.took, self.failure, self.over = [], None, threading.Event()
        self.thread = threading.Thread(target=self.work, daemon=True)

    def __enter__(self):
        self.session.select("INBOX").ok()
        self.thread.start()
        return self

    def work(self):
        try:
            while not self.over.wait(self.pause):
                start = time.monotonic()
                self.session.command("NOOP").ok()
                self.took.append(time.monotonic() - start)
        except Exception as failure:  # told by the main thread
            self.failure = failure

    def __exit__(self, kind, *_):
        if kind is None:
            poll("answers beside", 20, lambda: len(self.took) >= 10 or self.failure)
        self.over.set()
        self.thread.join()
        if kind is None:
            assert self.failure is None, f"the session beside failed: {self.failure}"
            self.took.sort()
            median, worst = self.took[len(self.took) // 2], self.took[-1]
            assert median < 0.1 and worst < 1.5, f"others wait: median {median:.3f} s, worst {worst:.3f} s"


def within(seconds, work, slack=4.0):
    """Does it, and checks that it took about as long as the limit says: not for ever, and not at once."""
    start = time.monotonic()
    done = work()
    took = time.monotonic() - start
    assert seconds * 0.5 <= took <= seconds + slack, f"took {took:.1f} s, the limit is {seconds} s"
    return done


def at_once(work, slack=1.0):
    return within(0, work, slack)
