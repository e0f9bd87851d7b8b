"""BINARY at the backend (RFC 3516): parts with their transfer encoding undone, and messages with NULs in them."""

import base64
import quopri
import random
import threading

from imap_client import Literal, message
from marks import ours
from test_backend_memory import WHOLE_BOUND, anonymous

BYTES = bytes(range(256)) * 3
TEXT = "caf\u00e9 = \u20ac\r\nline  \r\n".encode()


def mixed(*parts):
    """A multipart/mixed of these headers and bodies."""
    lines = [b"Subject: mixed\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=cut\r\n\r\n"]
    lines += [b"--cut\r\n" + header.encode() + b"\r\n\r\n" + body + b"\r\n" for header, body in parts]
    return b"".join(lines) + b"--cut--\r\n"


def of(encoding):
    return f"Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: {encoding}"


def fetched(session, items, number=1):
    """The items' values, and the response as it came."""
    (told,) = session.command(f"FETCH {number} ({items})").ok().of("FETCH")
    return told.tree()[2], told.raw


@ours
def test_backend_binary_fetch(world):
    """Section 4.2: base64 and quoted-printable undone, others as they are; literal8 where there is a NUL; sizes are exact; partial; \\Seen."""
    session = world.at(world.a_backend(), "alice")
    inner = b"Subject: inner\r\n" + of("BASE64").encode() + b"\r\n\r\n" + base64.encodebytes(b"within").replace(b"\n", b"\r\n")
    parts = [(of("base64"), base64.encodebytes(BYTES).replace(b"\n", b"\r\n")), (of("Quoted-Printable"), quopri.encodestring(TEXT.replace(b"\r\n", b"\n")).replace(b"\n", b"\r\n")),
             (of("8bit"), TEXT), ("Content-Type: text/plain", b"plain"), ("Content-Type: message/rfc822", inner), (of("x-uuencode"), b"begin 644 x")]
    whole = mixed(*parts)
    session.append("INBOX", whole).ok()
    session.append("INBOX", inner).ok()
    session.select("INBOX").ok()
    decoded = {"1": BYTES, "2": TEXT, "3": TEXT, "4": b"plain", "5": inner, "5.1": b"within", "": whole}
    for part, expected in decoded.items():
        values, raw = fetched(session, f"BINARY.PEEK[{part}] BINARY.SIZE[{part}]")
        names = [b"BINARY[%s]" % part.encode(), expected, b"BINARY.SIZE[%s]" % part.encode(), b"%d" % len(expected)]
        assert [value for value in values if value not in names] == [] and expected in values, (part, raw)
        assert (b"~{" in raw) == (0 in expected), raw[:80]
        for at, count in ((0, 1), (5, 300), (len(expected) - 1, 9), (len(expected), 9), (99999, 1)):
            values, raw = fetched(session, f"BINARY.PEEK[{part}]<{at}.{count}>")
            piece = expected[at:at + count]
            assert raw.startswith(b"* 1 FETCH (BINARY[%s]<%d> " % (part.encode(), at)) and piece in values, (part, at, raw)
            assert (b"~{" in raw) == (0 in piece), raw[:80]
    assert fetched(session, "BINARY.PEEK[1]", 2)[0][-1] == b"within"
    # no such part
    assert fetched(session, "BINARY.PEEK[9] BINARY.SIZE[9]")[0] == [b"BINARY[9]", None, b"BINARY.SIZE[9]", b"0"]
    # an encoding that nobody knows: no response for the message, and others are answered
    for items in ("BINARY.PEEK[6]", "BINARY.SIZE[6]", "UID BINARY.PEEK[1] BINARY[6]"):
        answer = session.command(f"FETCH 1:2 ({items})").no("UNKNOWN-CTE")
        assert [int(r.text.split()[0]) for r in answer.of("FETCH") if b"BINARY" in r.raw] == [2], answer.untagged
    session.command("STORE 1 -FLAGS.SILENT (\\Seen)").ok()
    # it was to be read, so it is \\Seen, and the client hears of that
    answer = session.command("FETCH 1 (BINARY[6])").no("UNKNOWN-CTE")
    assert b"\\Seen" in answer.of("FETCH")[0].raw, answer.untagged
    session.command("STORE 1 -FLAGS.SILENT (\\Seen)").ok()
    session.command("FETCH 1 (BINARY.PEEK[1] BINARY.SIZE[1])").ok()
    assert b"\\Seen" not in fetched(session, "FLAGS")[1]
    assert b"\\Seen" in fetched(session, "BINARY[1]")[1]
    assert b"\\Seen" in fetched(session, "FLAGS")[1]
    session.in_step()


@ours
def test_backend_binary_append(world):
    """Section 4.4: literal8, with and without waiting; parts of the encoding "binary" keep their NULs; BODY has none."""
    backend = world.a_backend(more='message_size = "2 MiB"')
    session = world.at(backend, "alice")
    dice = random.Random(7)

    def append(data, plus, mailbox="INBOX"):
        tag = session.tag()
        session.waiting.append(tag)
        session.send(tag + b" APPEND %s (\\Seen) ~{%d%s}\r\n" % (mailbox.encode(), len(data), b"+" if plus else b""))
        if not plus and not session.go_ahead(tag):
            return session.finish(tag)
        session.send(data + b"\r\n")
        return session.finish(tag)
    large = dice.randbytes(600_000)
    for plus in (False, True):
        for body in (BYTES, b"\0", large):
            number = append(mixed((of("binary"), body), ("Content-Type: text/plain", b"text")), plus).ok().code.split()[2]
            session.select("INBOX").ok()
            (told,) = session.command(f"UID FETCH {number} (BINARY.PEEK[1] BINARY.SIZE[1] BINARY.PEEK[2] BODY.PEEK[] RFC822.SIZE)").ok().of("FETCH")
            values = told.tree()[2]
            told = dict(zip(values[::2], values[1::2]))
            assert told[b"BINARY[1]"] == body and told[b"BINARY.SIZE[1]"] == b"%d" % len(body) and told[b"BINARY[2]"] == b"text"
            assert b"\0" not in told[b"BODY[]"] and told[b"RFC822.SIZE"] == b"%d" % len(told[b"BODY[]"])
            (piece,) = session.command(f"UID FETCH {number} (BINARY.PEEK[1]<{len(body) // 2}.100>)").ok().of("FETCH")
            assert piece.tree()[2][-1] == body[len(body) // 2:][:100]
    # without a NUL it is what was sent
    eight = mixed((of("binary"), b"\xff\r\n\xfe"))
    number = append(eight, True).ok().code.split()[2]
    session.select("INBOX").ok()
    assert session.body(number, uid=True) == eight
    count = session.exists(session.select("INBOX").ok())
    # NULs where none may be; limits as for any APPEND
    for wrong in (b"\0", b"Subject: \0\r\n\r\n", message("x") + b"\0", mixed((of("8bit"), b"\0")), mixed((of("base64"), b"\0"))):
        for plus in (False, True):
            append(wrong, plus).no("CANNOT")
    append(b"x" * (2 << 20) + b"x", False).no("TOOBIG")
    append(b"", True).no("CANNOT")
    append(message("x"), True, "nosuch").no("TRYCREATE")
    session.command("APPEND INBOX ", Literal(mixed((of("binary"), b"\0")), plus=True)).no("CANNOT")
    # as a text of CATENATE
    tag = session.tag()
    session.waiting.append(tag)
    head = of("binary").encode() + b"\r\n\r\n"
    session.send(tag + b" APPEND INBOX CATENATE (TEXT {%d+}\r\n%s TEXT ~{3+}\r\n\0\1\0)\r\n" % (len(head), head))
    session.finish(tag).ok()
    assert session.exists(session.select("INBOX").ok()) == count + 1
    assert fetched(session, "BINARY.PEEK[1]", count + 1)[0][-1] == b"\0\1\0"
    session.in_step()


@ours
def test_backend_binary_large(world):
    """A part of megabytes is decoded piece by piece."""
    session = world.at(world.a_backend(), "alice")
    body = random.Random(3).randbytes(3_000_000)
    encoded = base64.encodebytes(body).replace(b"\n", b"\r\n")
    text = b"".join(b"line %d =3D caf=C3=A9 =\r\n and more  \r\n" % n for n in range(60_000))
    session.append("INBOX", mixed((of("base64"), encoded), (of("quoted-printable"), text))).ok()
    session.select("INBOX").ok()
    plain = b"".join(b"line %d = caf\xc3\xa9  and more\r\n" % n for n in range(60_000))
    for part, expected in (("1", body), ("2", plain)):
        values, _ = fetched(session, f"BINARY.SIZE[{part}] BINARY.PEEK[{part}]")
        assert values[1] == b"%d" % len(expected) and values[3] == expected
        for at, count in ((0, 1000), (1_000_003, 1000), (700_001, 900_000), (len(expected) - 7, 100)):
            assert fetched(session, f"BINARY.PEEK[{part}]<{at}.{count}>")[0][-1] == expected[at:at + count], (part, at)
    session.in_step()


@ours
def test_backend_binary_is_nobodys_to_fill_memory_with(world):
    """Six sessions at once: a large message is copied and previewed in pieces; what needs it as a whole has two in memory at a time."""
    backend = world.a_backend()
    session = world.at(backend, "alice")
    session.command("CREATE INBOX.x").ok()
    size = 16 << 20
    body = random.Random(5).randbytes(size)
    session.append("INBOX", mixed((of("base64"), base64.encodebytes(body).replace(b"\n", b"\r\n")))).ok()
    whole = mixed((of("binary"), body))

    def most_in_memory(start):
        """What `start`, in six sessions, makes of the process."""
        before = anonymous(backend.process.pid)
        most, over = [before], threading.Event()

        def watch():
            while not over.wait(0.01):
                most.append(anonymous(backend.process.pid))
        watcher = threading.Thread(target=watch)
        watcher.start()
        try:
            readers = [world.at(backend, "alice") for _ in range(6)]
            for reader in readers:
                reader.deadline = 60
                reader.select("INBOX").ok()
            tags = [start(reader) for reader in readers]
            answers = [reader.finish(tag).ok() for reader, tag in zip(readers, tags)]
        finally:
            over.set()
            watcher.join()
        for reader in readers:
            reader.close()
        return answers, (max(most) - before) / size

    answers, growth = most_in_memory(lambda reader: reader.start("FETCH 1 (BINARY.SIZE[1])"))
    assert all(b"BINARY.SIZE[1] %d" % size in answer.of("FETCH")[0].raw for answer in answers)
    assert growth < WHOLE_BOUND, growth  # its structure isn't kept: made from the whole message
    for command in ('APPEND INBOX.x CATENATE (URL "/INBOX/;UID=1")', "FETCH 1 (PREVIEW)"):
        _, growth = most_in_memory(lambda reader: reader.start(command))
        assert growth < 1, (command, growth)

    def append(reader):
        tag = reader.tag()
        reader.waiting.append(tag)
        reader.send(tag + b" APPEND INBOX.x ~{%d+}\r\n%s\r\n" % (len(whole), whole))
        return tag
    _, growth = most_in_memory(append)
    assert growth < 8, growth
    assert session.exists(session.select("INBOX.x").ok()) == 12
    assert fetched(session, "BINARY.PEEK[1]", 12)[0][-1] == body
    session.in_step()
