"""TLS' good-bye (close_notify) to a backend says that all is well: it comes when a connection isn't needed any more, and
not when something was cut off."""

import socket
import ssl
import threading

from marks import needs, ours
from murder import DOMAIN, poll
from test_tls import authority

HOST, PORT = 34, 1995
GREETING = b"* OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=PLAIN] ready\r\n"
LIMITS = '[limits]\nupstream_answer = "1s"\nupstream_login = "2s"\n'


class Backend:
    """A backend that speaks just enough, over TLS, and notes how each connection of a user ended."""

    def __init__(self, address, certificate, key):
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(certificate, key)
        self.listener = socket.create_server(address)
        self.answer = b"* STATUS INBOX (MESSAGES 0)\r\n%s OK done\r\n"
        self.ends = []
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                peer, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(peer,), daemon=True).start()

    def serve(self, peer):
        try:
            with self.context.wrap_socket(peer, server_side=True, suppress_ragged_eofs=False) as leg:
                leg.sendall(GREETING)
                used = False
                while data := leg.recv(10_000):
                    tag, verb = data.split()[:2]
                    used = used or verb == b"STATUS"
                    if verb == b"STATUS":
                        leg.sendall(self.answer % tag if b"%s" in self.answer else self.answer)
                    else:
                        leg.sendall(tag + b" OK [CAPABILITY IMAP4rev1 UNSELECT] done\r\n")
                if used:
                    self.ends.append("good-bye")
        except (ssl.SSLEOFError, ConnectionError):
            self.ends.append("cut")
        except OSError:
            pass

    def next_end(self):
        poll("the connection's end", 15, lambda: self.ends)
        return self.ends.pop()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.listener.close()


def status(session):
    return session.command("STATUS INBOX (MESSAGES)")


@needs("openssl")
@ours
def test_good_bye_is_said_to_backends_that_are_well(world):
    user = world.user("backend2")
    host = f"{world.murder.net}.{HOST}"
    with authority(world) as ca, Backend((host, PORT), *ca.issue("backend2", f"backend2.{DOMAIN}")) as backend:
        frontend = world.another(account="frontend3", top=LIMITS, backend2=host, backends=PORT,
                                 upstream=f'tls = "implicit"\ntls_ca = "{ca.certificate}"').start()
        session = world.client(user, frontend)
        status(session).ok()
        session.command("LOGOUT").ok()
        assert backend.next_end() == "good-bye"
        for fault in (b"* OK and then silence\r\n", b"* BYE\r\n", b"nonsense\r\n"):
            session = world.client(user, frontend)
            status(session).ok()
            right, backend.answer = backend.answer, fault
            status(session).no("UNAVAILABLE")
            assert backend.next_end() == "cut", fault
            backend.answer = right
            session.close()
