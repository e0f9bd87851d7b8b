"""Bad input at the backend: one answer each, the session in step, nothing stored that wasn't given, memory as it was."""

import random
import time

from imap_client import Broken, Conversation, Literal, message
from marks import ours
from test_bad_input import NASTY, memory, refused

SCRIPT = (b"s1 SELECT INBOX\r\ns2 SEARCH SUBJECT {3+}\r\none\r\ns3 STATUS {5+}\r\nINBOX (MESSAGES)\r\n"
          b"s4 APPEND INBOX (\\Seen) {%d+}\r\n%s {%d+}\r\n%s\r\ns5 NOOP\r\ns6 UID FETCH 1 (FLAGS BODY.PEEK[])\r\n"
          b"s7 UID EXPUNGE 1\r\ns8 IDLE\r\nDONE\r\ns9 UID STORE 1:* +FLAGS.SILENT (\\Deleted)\r\n"
          % (len(message("one")), message("one"), len(message("two")), message("two")))


def play(world, backend, chunks):
    session = world.at(backend, "alice")
    session.waiting += [b"s%d" % n for n in range(1, 10)]
    for chunk in chunks:
        session.send(chunk)
    said = []
    for n in range(1, 10):
        while (got := session.response()).tag != b"s%d" % n:
            said.append(got.raw)
        assert got.word == b"OK", got.raw
    assert any(message("one") in line for line in said), said
    session.command("EXPUNGE").ok()
    session.in_step()
    session.command("LOGOUT").ok()
    session.close()


@ours
def test_backend_every_split_of_the_input(world):
    """A script in two pieces, cut at one byte in seven; byte by byte; in pieces of random sizes. Always the same answers."""
    backend = world.a_backend()
    session = world.at(backend, "alice")
    session.append("INBOX", message("one")).ok()
    dice = random.Random()
    for cut in range(dice.randrange(7), len(SCRIPT), 7):
        # (each run gives the first message a UID of its own)
        uid = session.command("STATUS INBOX (UIDNEXT)").ok().of("STATUS")[0].tree()[2][1]
        data = SCRIPT.replace(b"UID FETCH 1 ", b"UID FETCH %s " % uid)
        play(world, backend, [data[:cut], data[cut:]])
    for size in (1, 2, 40):
        uid = session.command("STATUS INBOX (UIDNEXT)").ok().of("STATUS")[0].tree()[2][1]
        data, chunks = SCRIPT.replace(b"UID FETCH 1 ", b"UID FETCH %s " % uid), []
        while data:
            piece = dice.randint(1, size)
            chunks.append(data[:piece])
            data = data[piece:]
        play(world, backend, chunks)


@ours
def test_backend_ten_bad_commands_in_a_row(world):
    backend = world.a_backend()
    for session in (world.at(backend), world.at(backend, "alice")):
        for _ in range(2):
            for _ in range(9):
                session.command("NOSUCH").bad()
            session.command("NOOP").ok()
        session.lenient = True
        session.send(b"x NOSUCH\r\n" * 10)
        session.expect_bye()
    for foreign in (b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x00\xc8" + bytes(range(200))):
        session = world.at(backend)
        session.lenient = True
        session.send(foreign)
        session.expect_bye()


@ours
def test_backend_garbage(world):
    """Broken forms of each command: BAD or NO, and in step."""
    session = world.at(world.a_backend(), "alice")
    session.append("INBOX", message("x")).ok()
    session.select("INBOX").ok()
    commands = ["FETCH", "FETCH 1", "FETCH x FLAGS", "FETCH 1 (BODY[", "FETCH 1 NOSUCH", "FETCH 0 FLAGS", "FETCH 2 FLAGS",
                "FETCH 1 BODY[]<0>", "FETCH 1 BODY[]<1.0>", "FETCH 1 (FLAGS", "FETCH 1 BODY[HEADER.FIELDS ()]", "FETCH 1 BODY[0]",
                "FETCH 99999999999999999999 FLAGS", "FETCH 1:2:3 FLAGS", "STORE 1 X (\\Seen)", "STORE 1 FLAGS (", "SEARCH NOSUCH",
                "SEARCH", "SEARCH SUBJECT", "SEARCH (", "SEARCH NOT", "SEARCH OR ALL", "SEARCH SINCE 99-Foo-2000",
                "SEARCH CHARSET NOSUCH ALL", "SEARCH RETURN (X) ALL", "UID", "UID FETCH 1", "UID NOOP", "UID SEARCH (", "COPY 1",
                "MOVE 1", "COPY 2 INBOX", "STATUS INBOX", "STATUS INBOX ()", "STATUS INBOX (NOSUCH)",
                "SEARCH " + "NOT " * 5000, "SEARCH " + "(" * 9000, "IDLE x", "CLOSE x", "UNSELECT x", "EXPUNGE 1", "UID EXPUNGE", "ENABLE",
                "APPEND INBOX", "APPEND INBOX (\\Seen)", "RENAME INBOX", "LIST", "LIST \"\"", "FETCH 1 " + "(" * 1000]
    for command in commands:
        answer = session.command(command)
        assert answer.status in ("BAD", "NO"), f"{command[:100]}: {answer.text}"
        session.in_step()
    for deep in ("NOT " * 5000 + "ALL", "(" * 5000 + "ALL" + ")" * 5000, "OR " * 5000 + "ALL " * 5001):
        session.command("SEARCH ", deep)  # any answer, but one
        session.in_step()
    assert session.body(1) == message("x")


@ours
def test_backend_nasty_names(world):
    session = world.at(world.a_backend(), "alice")
    session.append("INBOX", message("x")).ok()
    verbs = ["SELECT %", "EXAMINE %", "STATUS % (MESSAGES)", "CREATE INBOX.%", "DELETE INBOX.%", "RENAME INBOX.nosuch %",
             "SUBSCRIBE %", "MYRIGHTS %", "GETACL %", "SETACL % anyone l", "SETACL INBOX % l", "SETACL INBOX bob %", "LIST \"\" %",
             "LIST % x", "LSUB \"\" %", "COPY 1 %", "SEARCH SUBJECT %", "SEARCH KEYWORD %", "FETCH 1 BODY.PEEK[HEADER.FIELDS (%)]"]
    session.select("INBOX").ok()
    for name in NASTY:
        for verb in verbs:
            parts = []
            for piece in verb.split("%"):
                parts += [piece, Literal(name, plus=True)]
            tail = parts.pop() and verb.split("%")[-1]
            session.command(*parts[:-1], tail)
            session.select("INBOX").ok()
        session.in_step()
    names = session.listed_names('LIST "" "*"')
    assert not [found for found in names if any(byte in found for byte in (b"\r", b"\n", b"\0"))], names


@ours
def test_backend_literals_beyond_all_limits(world):
    """Refused before they are asked for; a client that doesn't wait to be asked is read to the end, or is told BYE."""
    backend = world.a_backend(more='message_size = "1 MiB"')
    session = world.at(backend, "alice")
    for marker in (b"{18446744073709551615}", b"{18446744073709551616}", b"{9223372036854775808}", b"{2000000}"):
        for command in (b"APPEND INBOX ", b"SELECT ", b"SEARCH SUBJECT "):
            session.command(command, marker).must("BAD", "NO")
    session.command("APPEND INBOX ", Literal(b"x" * 3_000_000, plus=True)).no("TOOBIG")
    session.command("APPEND INBOX ", Literal(message("one")), " ", Literal(b"x" * 3_000_000, plus=True)).no("TOOBIG")
    session.command("SELECT ", Literal(b"x" * 1_000_000, plus=True)).must("BAD", "NO")
    session.command("APPEND ", Literal(b"x" * 300_000, plus=True), " ", Literal(message("x"), plus=True)).must("BAD", "NO")
    session.in_step()
    for marker in (b"{99999999999999999999+}", b"{18446744073709551615+}", b"{9223372036854775808+}"):
        for command in (b"SELECT ", b"APPEND INBOX "):
            lost = world.at(backend, "alice")
            lost.lenient = True
            lost.send(b"a1 " + command + marker + b"\r\nb1 CREATE INBOX.injected\r\n")
            assert lost.response().word in (b"BAD", b"NO", b"BYE")
            lost.close()
    assert session.listed_names('LIST "" "*"') == {b"INBOX"}
    assert session.exists(session.select("INBOX").ok()) == 0
    assert not backend.files(), "a message's file of an APPEND that was refused"
    staged = list((backend.data / "spool/staging").iterdir())
    assert not staged, f"staged, and nobody's any more: {staged}"


@ours
def test_backend_who_vanishes_leaves_nothing(world):
    """Within an APPEND, a FETCH, an IDLE: no message, no staged file, no descriptor."""
    backend = world.a_backend()
    world.at(backend, "alice").append("INBOX", message("big", 8 << 20)).ok()
    for _ in range(3):
        appending = world.at(backend, "alice")
        appending.send(b"a APPEND INBOX {100000+}\r\n" + b"x" * 50_000)
        many = world.at(backend, "alice")
        many.send(b"a APPEND INBOX {10+}\r\nSubject: x {100000+}\r\nyyy")
        fetching = world.at(backend, "alice")
        fetching.select("INBOX").ok()
        fetching.start("FETCH 1 BODY[]")
        fetching.fill(time.monotonic() + 5)
        idle = world.at(backend, "alice")
        idle.select("INBOX").ok()
        idle.start("IDLE")
        for session in (appending, many, fetching, idle):
            session.close()
    time.sleep(0.3)
    session = world.at(backend, "alice")
    assert session.exists(session.select("INBOX").ok()) == 1
    assert not list((backend.data / "spool/staging").iterdir())


@ours
def test_backend_memory_is_nobodys_to_fill(world):
    """A line without end, and clients that ask for much and read nothing."""
    backend = world.a_backend()
    session = world.at(backend, "alice")
    session.append("INBOX", message("big", 4_000_000)).ok()
    before = memory(backend.process.pid)
    endless = world.at(backend, "alice")
    try:
        for _ in range(80):
            endless.send(b"x" * 1_000_000)
    except OSError:
        pass  # it may close
    deaf = [world.at(backend, "alice") for _ in range(5)]
    for one in deaf:
        one.select("INBOX").ok()
        one.send(b"".join(b"f%d FETCH 1 BODY.PEEK[]\r\n" % n for n in range(20)))
    time.sleep(1)
    session.select("INBOX").ok()
    assert session.body(1) == message("big", 4_000_000)
    grown = memory(backend.process.pid) - before
    assert grown < 20_000_000, f"{grown} bytes more in memory"


@ours
def test_backend_nul_and_bare_line_ends(world):
    session = world.at(world.a_backend(), "alice")
    for data in (b"a NOOP\0\r\n", b"a SELECT INB\0OX\r\n", b"\0\r\n", b"a\0b NOOP\r\n", b'a SELECT "\0"\r\n',
                 b"a SELECT INBOX\rX\r\n", b"a NOOP\r\r\n", b"a NOSUCH\nb NOSUCH\r\n", b"a SELECT \"x\ny\"\r\n"):
        refused(session.poke(data))
    session.in_step()


@ours
def test_backend_a_literal_that_stands_still(world):
    """The client is told, and what it sent is thrown away; before login it has no more time than the login."""
    backend = world.a_backend(top='[limits]\nstall = "2s"\nlogin = "2s"\nlogin_delay = "100ms"\nlogin_delay_max = "100ms"\n')
    for session, command in ((world.at(backend, "alice"), b"a APPEND INBOX {1000+}\r\nxyz"), (world.at(backend), b"a LOGIN {10+}\r\nal")):
        session.lenient = True
        session.send(command)
        started = time.monotonic()
        session.expect_bye()
        assert time.monotonic() - started < 6
    slow = world.keep(Conversation(backend.address))
    started = time.monotonic()
    try:
        while time.monotonic() - started < 8:
            slow.send(b"x")
            time.sleep(0.1)
        raise AssertionError("a stranger may drip for ever")
    except (OSError, Broken):
        pass
    assert not list((backend.data / "spool/staging").iterdir())
