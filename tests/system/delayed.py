"""A slow line to the MUPDATE master: what it says reaches a frontend of ours late, whole and in order."""

import asyncio
import threading
from contextlib import contextmanager

from murder import MUPDATE

PORT = 3907


class Delayed:
    """Listens beside the master and passes bytes on; what comes from the master waits `delay` seconds."""

    def __init__(self, address, target, delay):
        self.address, self.target, self.delay = address, target, delay
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()
        self.writers = []
        self.server = asyncio.run_coroutine_threadsafe(
            asyncio.start_server(self.serve, *address), self.loop).result(10)

    async def serve(self, reader, writer):
        try:
            there, back = await asyncio.open_connection(*self.target)
        except OSError:
            writer.transport.abort()
            return
        self.writers += [writer, back]
        await asyncio.gather(self.pump(reader, back, 0), self.pump(there, writer, self.delay))

    async def pump(self, reader, writer, delay):
        try:
            while data := await reader.read(65536):
                self.loop.call_later(delay, self.pass_on, writer, data)
        except ConnectionError:
            pass
        self.loop.call_later(delay, writer.close)

    @staticmethod
    def pass_on(writer, data):
        if not writer.is_closing():
            writer.write(data)

    def close(self):
        async def go():
            self.server.close()
            for writer in self.writers:
                writer.transport.abort()
            await asyncio.sleep(0.05)
        asyncio.run_coroutine_threadsafe(go(), self.loop).result(10)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()
        self.loop.close()


@contextmanager
def behind(world, delay=0.1, limits="", account="frontend3", **options):
    """A frontend of ours that is told everything `delay` seconds late, and is sent nothing by the clock."""
    net = world.murder.net
    line = Delayed((f"{net}.11", PORT), (f"{net}.11", MUPDATE), delay)
    try:
        top = f'[limits]\nlogin_delay = "100ms"\nlogin_delay_max = "100ms"\n{limits}\n'
        yield world.another(account=f'{account}"\nnoop_interval = "10min', top=top, mupdate=PORT, **options).start()
    finally:
        line.close()
