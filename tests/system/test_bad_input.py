"""Bad input: BAD or NO, the session stays in step, and nothing reaches a backend but what was encoded."""

import socket
import time

from imap_client import Broken, Conversation, Literal, message
from marks import ours

NASTY = [b'qu"ote', b"back\\slash", b"cr\rin", b"lf\nin", b"crlf\r\nin", b"bang!x", b"8bit\xe4\xff", b"nul\0in",
         b'x"\r\na99 CREATE INBOX.injected\r\n', b"x\r\n* BYE\r\n", b"tab\tx", b"\x7f", b"a..b", b".a", b"a.", b"..",
         b"%", b"*", b"user", b"user.", b"x" * 600, b"&broken", b"&AOQ", b"{3}", b"{3+}", b"~", b"#x", b""]


def refused(answers):
    assert answers, "no reply"
    for answer in answers:
        assert answer.word in (b"BAD", b"NO"), answer.raw


def test_unknown_commands(world):
    session = world.client(world.user())
    for command in ("NOSUCH", "NOSUCH with arguments", "XFOO {3+}\r\nabc", "CAPABILITY extra", "NOOP extra",
                    "SELECTX INBOX", "LOGIN", "AUTHENTICATE", "UID", "UID COPY", "LOGOUT now"):
        session.command(command).bad()
        session.in_step()


@ours
def test_what_is_not_built_is_refused(world):
    session = world.client(world.user())
    for command in ("STARTTLS", "NOTIFY NONE", "XFER user.x backend1",
                    "LOCALAPPEND INBOX \"\" {1+}\r\nx", "LOCALCREATE x", "DUMP x", "MUPDATEPUSH INBOX", "SYNCGET USER x"):
        session.command(command).must("BAD", "NO")
        session.in_step()


@ours
def test_ten_bad_commands_in_a_row_end_the_session(world):
    for session in (world.connect(), world.client(world.user())):
        for _ in range(3):  # one good command and the count begins anew
            for _ in range(9):
                session.command("NOSUCH").bad()
            session.command("NOOP").ok()
        session.lenient = True
        session.send(b"x NOSUCH\r\n" * 10)
        session.expect_bye()


@ours
def test_http_and_tls_bytes(world):
    hello = bytes.fromhex("16030100c8010000c40303") + bytes(range(200))
    for data in (b"GET / HTTP/1.1\r\nHost: mail.example.test\r\nAccept: */*\r\n\r\n", b"POST / HTTP/1.0\r\n\r\n", hello):
        session = world.connect()
        session.lenient = True
        session.send(data)
        session.expect_bye()
    world.connect().in_step()


@ours
def test_sizes_that_are_no_sizes(world):
    """(Cyrus closes at some, and waits for data at others.)"""
    session = world.client(world.user())
    for size in (b"{99999999999999999999}", b"{-1}", b"{}", b"{+}", b"{1.5}", b"{0x10}", b"{ 3}", b"{3 }", b"{3",
                 b"{3++}", b"{3-}", b"~{3x}"):
        for command in (b"a1 SELECT ", b"a2 APPEND INBOX ", b"a3 LOGIN ", b"a4 CREATE "):
            refused(session.poke(command + size + b"\r\n"))


@ours
def test_sizes_beyond_all_limits(world):
    """Non-synchronizing: the data may be on its way, so BYE will do; never a hang, never the data as commands."""
    user = world.user()
    for marker in (b"{99999999999999999999+}", b"{18446744073709551615+}", b"{9223372036854775808+}"):
        session = world.client(user)
        session.lenient = True
        session.send(b"a1 SELECT " + marker + b"\r\nb1 CREATE INBOX.injected\r\n")
        got = session.response()
        assert got.word in (b"BAD", b"NO", b"BYE"), got.raw
        session.close()
    session = world.client(user)
    for marker in (b"{18446744073709551615}", b"{18446744073709551616}", b"{9223372036854775808}"):
        for command in (b"APPEND INBOX ", b"SELECT ", b"SEARCH SUBJECT "):
            session.command(command, marker).must("BAD", "NO")
    session.in_step()


@ours
def test_literals_over_the_limit_in_arguments(world):
    session = world.client(world.user())
    for command in ("SELECT ", "LIST \"\" ", "STATUS ", "CREATE ", "SEARCH SUBJECT "):
        session.command(command, Literal(b"x" * 50_000_000)).must("BAD", "NO")
        session.in_step()
    session.command("SELECT ", Literal(b"x" * 100_000, plus=True)).must("BAD", "NO")
    session.in_step()


@ours
def test_long_lines(world):
    session = world.client(world.user())
    for size in (70_000, 1_000_000, 5_000_000):
        refused(session.poke(b"a NOOP " + b"x" * size + b"\r\n"))
        refused(session.poke(b"x" * size + b"\r\n"))
        refused(session.poke(b"a SELECT \"" + b"\\\\" * (size // 2) + b"\"\r\n"))
    session.in_step()


@ours
def test_a_line_without_end(world):
    """Held in no buffer: the frontend's memory stays what it was."""
    session = world.client(world.user())
    before = memory(world.frontend.process.pid)
    try:
        for _ in range(100):
            session.send(b"x" * 1_000_000)
    except OSError:
        pass  # it may close
    grown = memory(world.frontend.process.pid) - before
    assert grown < 20_000_000, f"{grown} bytes more in memory"
    session.close()


def memory(pid):
    with open(f"/proc/{pid}/status") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmRSS"))


@ours
def test_nul_and_bare_line_ends(world):
    session = world.client(world.user())
    for data in (b"a NOOP\0\r\n", b"a SELECT INB\0OX\r\n", b"\0\r\n", b"a\0b NOOP\r\n", b'a SELECT "\0"\r\n',
                 b"a SELECT INBOX\rX\r\n", b"a NOOP\r\r\n", b"a NOSUCH\nb NOSUCH\r\n", b"a SELECT \"x\ny\"\r\n"):
        refused(session.poke(data))
    session.in_step()


def test_bad_tags(world):
    session = world.client(world.user())
    for line in (b"* NOOP", b"+ NOOP", b"a+b NOOP", b"(a NOOP", b'"a" NOOP', b"a% NOOP", b"a* NOOP", b"a\\ NOOP",
                 b"\xe4 NOOP", b"tag", b"tag ", b"a] NOSUCH"):
        answers = session.poke(line + b"\r\n")
        # what Cyrus takes for a tag is its own business; that it answers once is not
        assert world.oracle_only or len(answers) == 1, f"{line}: {answers}"
        if not world.oracle_only:
            refused(answers)
    for line in (b"", b" ", b" NOOP", b"  a NOOP"):
        session.poke(line + b"\r\n")
    session.in_step()


def test_quoted_strings_that_are_none(world):
    session = world.client(world.user())
    for argument in (b'"open', b'"a\\b"', b'"a"b"', b'""""', b'a"b', b'"\xe4"', b'"a" "b"', b"(a", b"a)", b"\\a", b'"\\"'):
        session.command("NOOP").ok()  # ten bad commands in a row would end the session
        session.command(b"SELECT " + argument).must("BAD", "NO")
        session.command(b"CREATE " + argument).must("BAD", "NO", "OK" if argument == b"a)" else "NO")
    session.in_step()


@ours
def test_nasty_names_in_every_command(world):
    """(Cyrus' frontend pastes some of them into lines, and closes at others.)"""
    user = world.user("backend1")
    session = world.client(user)
    session.append("INBOX", message("x")).ok()
    session.select("INBOX").ok()
    verbs = ["SELECT %", "EXAMINE %", "STATUS % (MESSAGES)", "CREATE INBOX.%", "CREATE %", "DELETE %", "DELETE INBOX.%",
             "RENAME % INBOX.x", "RENAME INBOX.nosuch %", "RENAME % %", "SUBSCRIBE %", "UNSUBSCRIBE %", "MYRIGHTS %",
             "GETACL %", "SETACL % anyone l", "DELETEACL % anyone", "LIST \"\" %", "LIST % x", "LSUB \"\" %", "LSUB % x",
             "UID COPY 1 %", "COPY 1 %", "MOVE 9 %"]
    for name in NASTY:
        for verb in verbs:
            parts = []
            for piece in verb.split("%"):
                parts += [piece, Literal(name, plus=True)]
            answer = session.command(*parts[:-1])
            special = any(byte in name for byte in (b"\0", b"\r", b"\n", b"!"))
            if special and verb.split()[0] not in ("LIST", "LSUB", "UNSUBSCRIBE"):
                answer.must("NO", "BAD")
            # and the count of bad commands in a row begins anew
            session.select("INBOX").ok()
        session.in_step()
    no_injection(world, user)


def no_injection(world, user):
    direct = world.at_backend("backend1", user)
    names = direct.listed(direct.command('LIST "" "*"').ok())
    assert not [name for name in names if "inject" in name], names


@ours
def test_nasty_identifiers_and_arguments(world):
    user = world.user("backend1")
    session = world.client(user)
    session.select("INBOX").ok()
    inject = b'x"\r\na99 CREATE INBOX.injected\r\n'
    for data in (inject, b"a\tb", b"\0", b'a"b', b"", b"x" * 5000):
        for plus in (True, False):
            session.command("SETACL INBOX ", Literal(data, plus), " lrs").must("NO", "BAD", "OK")
            session.command("SETACL INBOX anyone ", Literal(data, plus)).must("NO", "BAD", "OK")
            session.command("DELETEACL INBOX ", Literal(data, plus)).must("NO", "BAD", "OK")
            session.command("SEARCH SUBJECT ", Literal(data, plus)).must("NO", "BAD", "OK")
            session.command("APPEND ", Literal(data, plus), " ", Literal(message("x"), plus)).must("NO", "BAD")
            session.command("LOGIN ", Literal(data, plus), " x").must("NO", "BAD")
            session.command("ID (", Literal(data, plus), " NIL)").must("NO", "BAD", "OK")
            session.in_step()
    no_injection(world, user)
    session = world.connect()
    for data in (inject, b"\0", b"u001\r\n", b"u001/x", b"u!x", b"\xe4"):
        session.command("LOGIN ", Literal(data, plus=True), " x").must("NO", "BAD")
    session.in_step()


def test_garbage_for_the_backend(world):
    """What goes through untouched is refused by the backend, in step."""
    session = world.client(world.user("backend2"))
    session.append("INBOX", message("x")).ok()
    session.select("INBOX").ok()
    for command in ("FETCH", "FETCH 1", "FETCH x FLAGS", "FETCH 1 (BODY[", "FETCH 1 NOSUCH", "STORE 1 X (\\Seen)",
                    "SEARCH NOSUCH", "SEARCH SUBJECT", "UID FETCH 1", "SORT X", "THREAD X", "FETCH 0 FLAGS",
                    "FETCH 99999999999999999999 FLAGS", "STORE 1 FLAGS (", "FETCH 1 (FLAGS", "UID SEARCH ("):
        session.command(command).must("BAD", "NO")
        session.in_step()
    assert session.body(1) == message("x")


def script(box):
    return (b"s1 SELECT INBOX\r\ns2 SEARCH SUBJECT {3+}\r\none\r\ns3 STATUS {%d+}\r\n%s (MESSAGES)\r\n"
            b"s4 APPEND INBOX (\\Seen) {%d+}\r\n%s\r\ns5 NOOP\r\ns6 FETCH 1 (FLAGS BODY.PEEK[])\r\ns7 LIST \"\" {1+}\r\n%%\r\n"
            % (len(box), box.encode(), len(message("one")), message("one")))


def play(session, chunks):
    """What a script is answered, whatever pieces it is sent in."""
    session.waiting += [b"s%d" % n for n in range(1, 8)]
    for chunk in chunks:
        session.send(chunk)
    return [session.finish(b"s%d" % n).ok() for n in range(1, 8)]


def test_a_client_that_sends_byte_by_byte(world):
    box = world.shared("backend2")
    for cut in (1, 7, 1000):
        session, data = world.client(world.user("backend1")), script(box)
        answers = play(session, [data[at:at + cut] for at in range(0, len(data), cut)])
        assert message("one") in answers[5].of("FETCH")[0].raw
        session.in_step()


def test_a_client_that_closes_its_half(world):
    """What was asked before is still answered."""
    session, box = world.client(world.user("backend1")), world.shared("backend2")
    session.send(b"")
    data = script(box)
    session.waiting += [b"s%d" % n for n in range(1, 8)]
    session.send(data)
    session.socket.shutdown(socket.SHUT_WR)
    for n in range(1, 8):
        session.finish(b"s%d" % n).ok()
    try:
        while True:
            session.response()
    except Broken as end:
        assert str(end).startswith(("closed", "connection lost")), end


@ours
def test_clients_that_do_not_read(world):
    """Somebody who asks for much and reads nothing costs no memory and disturbs nobody."""
    user = world.user("backend1")
    session = world.client(user)
    session.append("INBOX", message("big", 4_000_000)).ok()
    before = memory(world.frontend.process.pid)
    deaf = [world.client(user) for _ in range(5)]
    for one in deaf:
        one.select("INBOX").ok()
        one.send(b"".join(b"f%d FETCH 1 BODY.PEEK[]\r\n" % n for n in range(20)))
    time.sleep(1)
    session.select("INBOX").ok()
    assert len(session.body(1)) == len(message("big", 4_000_000))
    grown = memory(world.frontend.process.pid) - before
    assert grown < 20_000_000, f"{grown} bytes more in memory"


@ours
def test_strangers_that_say_nothing(world):
    """Connections that never log in take no descriptor for ever, and do not keep others out."""
    strangers = [world.keep(Conversation(world.frontend.address, greet=False)) for _ in range(200)]
    world.client(world.user()).in_step()
    for stranger in strangers:
        stranger.close()
    world.client(world.user()).select("INBOX").ok()
