"""A few commands of MUPDATE (RFC 3656) at the master: what a backend would say, said by a test."""

import base64
import socket


class Mupdate:
    """A session of an account that may write. It never sends DELETE: of an unknown name that kills Cyrus' master."""

    def __init__(self, address, account="backend3", password="mupdatepw"):
        self.socket = socket.create_connection(address, timeout=20)
        self.file = self.socket.makefile("rb")
        while not self.file.readline().startswith(b"* OK"):
            pass
        secret = base64.b64encode(f"\0{account}\0{password}".encode()).decode()
        self.command(f'AUTHENTICATE "PLAIN" "{secret}"')

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.file.close()
        self.socket.close()

    def command(self, text):
        self.socket.sendall(f"X1 {text}\r\n".encode())
        line = self.file.readline().decode()
        assert line.startswith("X1 OK"), f"{text.split()[0]}: {line}"

    def reserve(self, name, location):
        self.command(f'RESERVE "{name}" "{location}"')

    def activate(self, name, location, acl):
        self.command(f'ACTIVATE "{name}" "{location}" "{acl}"')
