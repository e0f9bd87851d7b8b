"""The stream from the master stands still while everything else works: what a session made it sees, what
nobody can know gets UNAVAILABLE."""

import socket
import threading

from marks import ours
from murder import MUPDATE, poll, readable

STALLED_PORT = 3906


NOOP_DONE = b'OK "Noop done"'
# one NOOP a barrier and none by the clock
ACCOUNT = 'frontend3"\nnoop_interval = "10min'


class Forwarder:
    """Passes bytes between our frontend and the master, until it stands still: when told to, or behind the
    answer to the next NOOP."""

    def __init__(self, net):
        self.master = (f"{net}.11", MUPDATE)
        self.listener = socket.create_server((f"{net}.11", STALLED_PORT))
        self.still = threading.Event()
        self.still_after_noop = threading.Event()
        self.over = threading.Event()
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def serve(self):
        peers = {}
        while not self.over.is_set():
            watched = [self.listener] if self.still.is_set() else [self.listener, *peers]
            for ready in readable(watched, 0.05):
                if ready is self.listener:
                    client, server = self.listener.accept()[0], socket.create_connection(self.master)
                    peers.update({client: server, server: client})
                    continue
                data = ready.recv(65536)
                if data:
                    peers[ready].sendall(data)
                    if NOOP_DONE in data and self.still_after_noop.is_set():
                        self.still_after_noop.clear()
                        self.still.set()
                        break
                    continue
                for end in (ready, peers[ready]):
                    peers.pop(end).close()
        for end in (self.listener, *peers):
            end.close()

    def close(self):
        self.over.set()
        self.thread.join()


def behind(world, forwarder):
    top = '[limits]\nbarrier = "500ms"\n'
    return world.another(account=ACCOUNT, top=top, mupdate=STALLED_PORT).start()


@ours
def test_a_stalled_stream_leaves_nobody_in_the_dark(world):
    """Known mailboxes work, unknown ones can't be told, changes are refused before anything is made."""
    user = world.user("backend1")
    forwarder = Forwarder(world.murder.net)
    try:
        session = world.client(user, behind(world, forwarder))
        forwarder.still.set()
        for command in ("CREATE INBOX.late", "SELECT INBOX.nosuch", "STATUS INBOX.nosuch (MESSAGES)"):
            assert "UNAVAILABLE" in session.command(command).no().text
        session.select("INBOX").ok()
        forwarder.still.clear()
        poll("the stream to go on", 10, lambda: session.command("CREATE INBOX.late").status == "OK")
    finally:
        forwarder.close()


@ours
def test_what_a_session_made_it_sees_though_the_stream_stalls(world):
    """The backend has said OK and the barrier fails: the session remembers what it made."""
    user = world.user("backend1")
    forwarder = Forwarder(world.murder.net)
    try:
        frontend = behind(world, forwarder)
        maker, other = world.client(user, frontend), world.client(user, frontend)
        forwarder.still_after_noop.set()
        maker.command("CREATE INBOX.late").ok()
        assert forwarder.still.is_set()
        maker.select("INBOX.late").ok()
        assert "INBOX.late" in maker.listed(maker.command('LIST "" "*"').ok())
        assert "INBOX.late" not in maker.listed(maker.command('LIST "" "%"').ok())
        assert "UNAVAILABLE" in other.select("INBOX.late").no().text
        forwarder.still.clear()
        poll("the others to see it", 10, lambda: other.select("INBOX.late").status == "OK")
        maker.command("DELETE INBOX.late").ok()
        maker.select("INBOX.late").no()
    finally:
        forwarder.close()
