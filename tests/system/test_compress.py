"""COMPRESS=DEFLATE on the client's leg (RFC 4978), Python's zlib at the client's end."""

import hashlib
import os
import time
import zlib

from deflated import compress, stop_compressing
from imap_client import Conversation, Literal, message, plain
from marks import needs, ours
from murder import poll
from test_tls import authority, imaps, secured

BIG = 25 << 20


def same(one, other):
    assert len(one) == len(other), f"{len(one)} bytes, expected {len(other)}"
    assert hashlib.sha256(one).digest() == hashlib.sha256(other).digest(), "the same length, other bytes"


def works(session, box):
    """The commands of a day: literals of both kinds, large and small, a pipeline, a search."""
    text, blob = message("text", 100_000), os.urandom(70_000)
    session.append(box, text).ok()
    session.append(box, text, plus=False).ok()
    session.append(box, message("blob") + blob.hex().encode()).ok()
    session.select(box).ok()
    same(session.body(1), text)
    same(session.body(3), message("blob") + blob.hex().encode())
    tags = [session.start(f"FETCH {n % 3 + 1} (UID BODY.PEEK[])") for n in range(30)]
    for n, tag in enumerate(tags):
        got = session.finish(tag).ok().of("FETCH")
        assert len(got) == 1 and got[0].text.split()[0] == b"%d" % (n % 3 + 1)
    session.command("SEARCH SUBJECT ", Literal(b"text")).ok()
    session.command("SEARCH SUBJECT ", Literal(b"blob", plus=True)).ok()
    session.command("STORE 1 +FLAGS (\\Seen)").ok()
    session.in_step()


def test_compressed_sessions_on_both_backends(world):
    user, other = world.user("backend1"), world.shared("backend2")
    session = world.client(user)
    assert "COMPRESS=DEFLATE" in session.capabilities()
    compress(session)
    for box in ("INBOX", other):
        works(session, box)
    wire = session.socket
    assert wire.wire_in < wire.text_in / 2, f"{wire.wire_in} bytes for {wire.text_in}"


def test_compressed_idle(world):
    user = world.user("backend2")
    session = compress(world.client(user))
    session.select("INBOX").ok()
    tag = session.start("IDLE")
    assert session.response().tag == b"+"
    for n in (1, 2):
        world.client(user).append("INBOX", message(f"news{n}")).ok()
        assert session.untagged("EXISTS").text.split()[0] == b"%d" % n
        time.sleep(3 if n == 1 else 0)  # long enough for the compressor to be given back
    session.send(b"DONE\r\n")
    session.finish(tag).ok()
    assert session.body(2) == message("news2")
    session.in_step()


def test_compressed_large_messages(world):
    text, box = message("big", BIG), world.shared("backend2")
    session = compress(world.client(world.user("backend1")), level=1)
    for name, plus in (("INBOX", True), (box, False)):
        session.append(name, text, plus=plus).ok()
        session.select(name).ok()
        same(session.body(1), text)
        session.in_step()


@needs("openssl")
@ours
def test_compressed_below_tls(world):
    user, text = world.user("backend1"), message("big", BIG)
    with authority(world) as ca:
        frontend = secured(world, ca)
        direct = imaps(world, frontend, ca)
        late = world.keep(Conversation(frontend.address))
        late.starttls(ca.client("imap.murder.test"))
        for session in (direct, late):
            assert "COMPRESS=DEFLATE" not in session.greeting.raw.decode()
            session.login(user, user + "pw").ok()
            compress(session)
            session.append("INBOX", text).ok()
            session.select("INBOX").ok()
            same(session.body(1), text)
            session.command("STARTTLS").bad()
            works(session, world.shared("backend2"))
            session.command("LOGOUT").ok()


@ours  # Cyrus' frontend: BAD where RFC 4978 has NO, and whatever was sent behind the command is taken
def test_compress_refused(world):
    session = world.connect()
    session.command("COMPRESS DEFLATE").bad()
    user = world.user()
    session.login(user, user + "pw").ok()
    session.command("COMPRESS").bad()
    session.command("COMPRESS DEFLATE x").bad()
    session.command("COMPRESS LZW").no("CANNOT")
    compress(session)
    assert "COMPRESS=DEFLATE" not in session.capabilities()
    session.command("compress deflate").no("COMPRESSIONACTIVE")
    session.command("COMPRESS LZW").no("CANNOT")
    works(session, "INBOX")
    off = world.client(user, world.another(proxy='suppress_capabilities = ["COMPRESS=DEFLATE", "UNAUTHENTICATE"]').start())
    assert not {"COMPRESS=DEFLATE", "UNAUTHENTICATE"} & off.capabilities()
    off.command("COMPRESS DEFLATE").bad()
    off.command("UNAUTHENTICATE").bad()
    off.in_step()


@ours
def test_nothing_follows_compress_before_its_answer(world):
    user = world.user()
    for behind in (b"b NOOP\r\n", b"b", b"\r\n"):
        session = world.client(user)
        session.send(b"a COMPRESS DEFLATE\r\n" + behind)
        session.waiting += [b"a", b"b"]
        session.expect_bye()


@ours
def test_compressed_rubbish_ends_the_session(world):
    user = world.user("backend2")
    for wrong in (b"b NOOP\r\n", b"\xff" * 1000, os.urandom(100_000)):
        session = compress(world.client(user))
        session.select("INBOX").ok()
        session.socket.below.sendall(wrong)
        session.expect_bye()
    session = compress(world.client(user))
    session.socket.below.sendall(session.socket.packed(b"b LOGOUT\r\n", zlib.Z_FINISH))
    session.waiting.append(b"b")
    assert session.finish(b"b").ok().of("BYE")
    # cut off in the middle, by a client that goes away
    session = compress(world.client(user))
    session.select("INBOX").ok()
    session.socket.below.sendall(session.socket.packed(b"b FETCH 1 FLAGS\r\n" * 50)[:-20])
    session.close()
    poll("all to be gone", 5, lambda: world.frontend.stat("sessions_open") <= 2)


@ours
def test_a_compressed_bomb_is_bounded(world):
    """A thousand to one: what comes out goes through the same limits as what was never compressed."""
    def resident():
        status = open(f"/proc/{world.frontend.process.pid}/status").read()
        return int(status.split("VmHWM:")[1].split()[0])

    user, before = world.user(), resident()
    for bomb, said in ((b"A" * (60 << 20), "BAD"), (b"a APPEND INBOX {60000000+}\r\n" + b"A" * (60 << 20), "NO"),
                       (b"a X {2000000000+}\r\n" + b"A" * (100 << 20), "BYE"), (b"A" * (200 << 20), "BYE")):
        session = compress(world.client(user), level=9)
        wire = session.socket.packed(bomb + b"\r\nz NOOP\r\n")
        assert len(wire) < len(bomb) / 800, len(wire)
        session.lenient = True
        session.socket.below.sendall(wire)
        got = session.response()
        assert got.word.decode() in (said, "BAD"), got.raw[:100]
        if said == "BYE":
            session.expect_end()
        session.close()
    assert resident() - before < 8 << 10, f"{resident() - before} KiB more"


@ours  # Cyrus' frontend lets admins alone do it
def test_unauthenticate_ends_compression(world):
    alice, bob = world.user("backend1"), world.user("backend2")
    world.client(bob).append("INBOX", message("of bob")).ok()
    for flush in (zlib.Z_SYNC_FLUSH, zlib.Z_FINISH):
        session = compress(world.client(alice))
        works(session, world.shared("backend2"))
        # the client's own compression ends behind the command: what follows in the same packet is plain
        wire = session.socket.packed(b"u UNAUTHENTICATE\r\n", flush)
        login = b"v AUTHENTICATE PLAIN " + plain(bob, bob + "pw") + b"\r\n"
        session.waiting += [b"u", b"v"]
        session.socket.below.sendall(wire + login)
        deflated = session.socket
        reply = wire = b""
        while not wire.endswith(b"\0\0\xff\xff"):  # the flush point, behind which all is plain
            wire += deflated.below.recv(1)
            reply += deflated.into.decompress(wire[-1:])
        assert reply.startswith(b"u OK") and reply.endswith(b"\r\n"), reply
        stop_compressing(session)
        session.waiting.remove(b"u")
        session.finish(b"v").ok()
        session.select("INBOX").ok()
        assert session.body(1) == message("of bob")
        assert "COMPRESS=DEFLATE" in session.capabilities()
        works(compress(session), world.shared("backend1"))
    session = compress(world.client(alice))
    session.socket.sendall(b"u UNAUTHENTICATE\r\nv NOOP\r\n")
    session.waiting += [b"u", b"v"]
    session.expect_bye()


@ours
def test_compressed_sessions_are_counted_and_told_good_bye(world):
    frontend = world.another().start()
    user = world.user()
    session = compress(world.client(user, frontend))
    works(session, "INBOX")
    idle = compress(world.client(user, frontend))
    session.command("LOGOUT").ok()
    wire = session.socket
    text = 'compressed_bytes_total{direction="%s",form="%s"}'
    poll("it to be counted", 5, lambda: frontend.stat(text % ("out", "text")) == wire.text_in)
    assert frontend.stat(text % ("out", "wire")) == wire.wire_in
    assert frontend.stat(text % ("in", "text")) == wire.text_out
    assert frontend.stat("sessions_compressed_total") == 2
    copied = frontend.stat('relay_bytes_total{by="splice"}')
    assert copied == 0, "nothing may pass a compressed leg as it is"
    frontend.process.terminate()
    idle.expect_bye("UNAVAILABLE")
    frontend.process.wait(30)
