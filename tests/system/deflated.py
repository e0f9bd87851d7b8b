"""A client's end of COMPRESS=DEFLATE (RFC 4978), by Python's zlib: a socket in the place of the one below."""

import zlib


class Deflated:
    def __init__(self, below, level=6):
        self.below = below
        self.out = zlib.compressobj(level, zlib.DEFLATED, -15)
        self.into = zlib.decompressobj(-15)
        self.wire_in = self.wire_out = self.text_in = self.text_out = 0

    def recv(self, size):
        """Text as soon as there is some; nothing at the end of the connection."""
        while True:
            data = self.below.recv(size)
            self.wire_in += len(data)
            text = self.into.decompress(data)
            self.text_in += len(text)
            if text or not data:
                return text

    def packed(self, data, flush=zlib.Z_SYNC_FLUSH):
        """What is to be sent for `data`."""
        wire = self.out.compress(data) + self.out.flush(flush)
        self.text_out += len(data)
        self.wire_out += len(wire)
        return wire

    def sendall(self, data):
        self.below.sendall(self.packed(data))

    def __getattr__(self, name):
        return getattr(self.below, name)


def compress(session, level=6):
    """Turns compression on, as a client does."""
    session.command("COMPRESS DEFLATE").ok()
    assert not session.buffer, f"behind the OK to COMPRESS: {bytes(session.buffer)!r}"
    session.socket = Deflated(session.socket, level)
    return session


def stop_compressing(session):
    """What UNAUTHENTICATE does (RFC 8437 section 4.1)."""
    session.socket = session.socket.below
