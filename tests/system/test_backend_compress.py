"""The backend's COMPRESS=DEFLATE (RFC 4978) and UNAUTHENTICATE (RFC 8437), Python's zlib at the client's end."""

import os
import time

from deflated import compress, stop_compressing
from imap_client import message, plain
from marks import ours
from murder import poll
from test_compress import BIG, same, works


@ours
def test_backend_compressed_session(world):
    """RFC 4978 section 3, its example first: a session works, a large message among it, and nothing is spliced."""
    backend = world.a_backend()
    session = world.at(backend)
    session.command("COMPRESS DEFLATE").bad()
    session.login("alice", "alicepw").ok()
    assert "COMPRESS=DEFLATE" in session.capabilities()
    session.command("COMPRESS").bad()
    session.command("COMPRESS DEFLATE x").bad()
    session.command("COMPRESS LZW").no("CANNOT")
    compress(session, level=1)
    assert "COMPRESS=DEFLATE" not in session.capabilities()
    session.command("compress deflate").no("COMPRESSIONACTIVE")
    works(session, "INBOX")
    wire, big = session.socket, message("big", BIG)
    session.append("INBOX", big, plus=False).ok()
    session.select("INBOX").ok()
    same(session.body(4), big)
    assert wire.wire_in < wire.text_in / 2, f"{wire.wire_in} bytes for {wire.text_in}"
    assert world.at(backend, "alice").select("INBOX").ok()
    text = 'compressed_bytes_total{direction="%s",form="%s"}'
    session.command("LOGOUT").ok()
    poll("it to be counted", 5, lambda: backend.stat(text % ("out", "text")) == wire.text_in)
    assert backend.stat(text % ("in", "wire")) == wire.wire_out


@ours
def test_backend_compressed_idle(world):
    backend = world.a_backend()
    session = compress(world.at(backend, "alice"))
    session.select("INBOX").ok()
    tag = session.start("IDLE")
    assert session.response().tag == b"+"
    for number in (1, 2):
        world.at(backend, "alice").append("INBOX", message(f"news{number}")).ok()
        assert session.untagged("EXISTS").text.split()[0] == b"%d" % number
        time.sleep(3 if number == 1 else 0)  # long enough for the compressor to be given back
    session.send(b"DONE\r\n")
    session.finish(tag).ok()
    session.in_step()


@ours
def test_backend_compress_out_of_step(world):
    """What follows COMPRESS before its answer, and what is no deflate stream, ends the session."""
    backend = world.a_backend()
    for behind in (b"b NOOP\r\n", b"b", b"\r\n"):
        session = world.at(backend, "alice")
        session.send(b"a COMPRESS DEFLATE\r\n" + behind)
        session.waiting += [b"a", b"b"]
        session.expect_bye()
    for wrong in (b"b NOOP\r\n", b"\xff" * 1000, os.urandom(100_000)):
        session = compress(world.at(backend, "alice"))
        session.socket.below.sendall(wrong)
        session.expect_bye()


@ours
def test_backend_unauthenticate(world):
    """RFC 8437: the state before login, and nothing of the user that was; section 4.1: compression ends, each way for itself."""
    backend = world.a_backend()
    world.at(backend, "bob").append("INBOX", message("of bob")).ok()
    session = world.at(backend)
    session.command("UNAUTHENTICATE").bad()
    before = session.capabilities()
    session.login("alice", "alicepw").ok()
    assert "UNAUTHENTICATE" in session.capabilities()
    session.command("UNAUTHENTICATE x").bad()
    session.append("INBOX", message("of alice")).ok()
    session.command("ENABLE QRESYNC").ok()
    session.select("INBOX").ok()
    session.command("SEARCH RETURN (SAVE) ALL").ok()
    code = session.command("UNAUTHENTICATE").ok().code
    assert set(code.upper().split()[1:]) == before == session.capabilities(), code
    for refused in ("FETCH 1 BODY[]", "SELECT INBOX", "NAMESPACE", "UNAUTHENTICATE", "COMPRESS DEFLATE"):
        session.command(refused).bad()
    world.at(backend, "alice").append("INBOX", message("no news of hers")).ok()
    assert not session.command("NOOP").ok().untagged
    session.login("bob", "bobpw").ok()
    session.command("FETCH 1 BODY[]").bad()
    session.command("SELECT INBOX (QRESYNC (1 1))").bad()  # what was enabled is so no more
    session.select("INBOX").ok()
    assert not session.command("FETCH $ UID").ok().of("FETCH")
    stored = session.command("STORE 1 +FLAGS (\\Flagged)").ok().of("FETCH")
    assert stored and b"MODSEQ" not in stored[0].raw, stored
    assert session.body(1) == message("of bob")
    compress(session)
    # the client's own compression ends behind the command: what follows in the same packet is plain
    login = b"v AUTHENTICATE PLAIN " + plain("alice", "alicepw") + b"\r\n"
    session.waiting += [b"u", b"v"]
    deflated, reply, wire = session.socket, b"", b""
    deflated.below.sendall(deflated.packed(b"u UNAUTHENTICATE\r\n") + login)
    while not wire.endswith(b"\0\0\xff\xff"):  # the flush point, behind which all is plain
        wire += deflated.below.recv(1)
        reply += deflated.into.decompress(wire[-1:])
    assert reply.startswith(b"u OK") and reply.endswith(b"\r\n"), reply
    stop_compressing(session)
    session.waiting.remove(b"u")
    session.finish(b"v").ok()
    session.select("INBOX").ok()
    assert session.body(1) == message("of alice")
    assert "COMPRESS=DEFLATE" in session.capabilities()
    compress(session).socket.sendall(b"u UNAUTHENTICATE\r\nv NOOP\r\n")
    session.waiting += [b"u", b"v"]
    session.expect_bye()
