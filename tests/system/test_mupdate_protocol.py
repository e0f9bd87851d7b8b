"""Our MUPDATE master on the wire: every command, every way to write a string, every error, logins and limits."""

import base64
import socket

from certificates import Authority
from imap_client import Broken
from marks import needs, ours
from mupdate_client import Connection, Mupdate, plus, quoted, waiting

HERE, THERE = "backend1.murder.test!default", "backend2.murder.test!default"
ACL = "anyone\tlrs\t"


def b64(text):
    return base64.b64encode(text.encode())


def say_raw(session, data, piece=None):
    """The lines that come back to these bytes and a NOOP behind them."""
    session.raw(data + b"end NOOP\r\n", piece)
    lines = []
    while not (line := session.line()).startswith(b"end "):
        lines.append(line)
    return lines


@ours
def test_mupdate_banner(world):
    server = world.mupdate_server()
    with server.session(None) as session:
        assert session.capabilities["AUTH"] == '"PLAIN" "LOGIN"', session.capabilities
        assert "PARTIAL-UPDATE" in session.capabilities and "STARTTLS" not in session.capabilities
        host, product, version, role = session.greeting
        assert (host, product, role) == (f"{server.name}.murder.test", "Ravenry", "(master)") and version, session.greeting


@ours
def test_mupdate_commands(world):
    """Each command on its good way, with Cyrus' texts."""
    with world.mupdate_server().session() as session:
        assert session.say("NOOP").ok().text == "Noop done"
        assert session.say("RESERVE", "box", HERE).ok().text == "done"
        assert session.find("box").kind == "RESERVE"
        session.activate("box", HERE, ACL)
        found = session.find("box")
        assert (found.kind, found.location, found.acl) == ("MAILBOX", HERE, ACL), found
        session.say("DEACTIVATE", "box", HERE).ok()
        assert session.find("box").kind == "RESERVE"
        session.activate("box", THERE, ACL)
        session.activate("other", HERE, ACL)
        assert session.say("LIST").ok().text == "list complete"
        assert set(session.say("LIST").names) == {"box", "other"}
        assert set(session.say("LIST", "backend2.murder.test!").names) == {"box"}
        assert set(session.say("LIST", "backend").names) == {"box", "other"}
        assert not session.say("LIST", "nosuch").ok().records
        assert session.find("nosuch") is None and session.say("FIND", "nosuch").text == "Search completed"
        session.say("DELETE", "box").ok()
        assert session.find("box") is None
        assert session.say("LOGOUT").ok().text == "bye-bye"
        session.closed()


@ours
def test_mupdate_list_has_names_that_are_not_active(world):
    with world.mupdate_server().session() as session:
        session.reserve("reserved", HERE)
        session.activate("moving", HERE)
        session.say("DEACTIVATE", "moving", HERE).ok()
        names = session.say("LIST", "backend1.murder.test!").ok().names
        assert {name: record.kind for name, record in names.items()} == {"reserved": "RESERVE", "moving": "RESERVE"}


@ours
def test_mupdate_strings(world):
    """Quoted, {n} behind a continuation, {n+}; any octets that a name may have; what comes back is the same."""
    names = ["plain", 'quo"te\\back', "user.a^b", "example.org!user.bob", "with space", "umläut", "&AOQ-", "{5}", "x" * 480]
    with world.mupdate_server().session() as session:
        for way in (quoted, plus, waiting):
            for name in names:
                session.command("ACTIVATE ", way(name), " ", way(HERE), " ", way(f"{name}\tlrs\t")).ok()
                found = session.find(name)
                assert found and found.acl == f"{name}\tlrs\t", (name, found)
                session.command("DELETE ", way(name)).ok()
        session.command("RESERVE ", quoted("mixed"), " ", plus(HERE)).ok()
        session.command("FIND ", plus("")).ok()
        session.command('list ""').ok()


@ours
def test_mupdate_any_split_of_the_bytes(world):
    """The same answers whether the commands come at once or a few bytes a packet."""
    script = (b'a RESERVE "split" {28+}\r\n' + HERE.encode() + b'\r\nb FIND {5+}\r\nsplit\r\nc FIND\r\nd BOGUS "x"\r\n'
              b'e ACTIVATE {5+}\r\nsplit "' + HERE.encode() + b'" {0+}\r\n\r\nf LIST {7+}\r\nbackend\r\ng DELETE "split"\r\n')
    with world.mupdate_server().session() as session:
        whole = say_raw(session, script)
        assert [line.split()[:2] for line in whole if line[1:2] == b" "] == [
            [b"a", b"OK"], [b"b", b"RESERVE"], [b"b", b"OK"], [b"c", b"BAD"], [b"d", b"BAD"], [b"e", b"OK"],
            [b"f", b"MAILBOX"], [b"f", b"OK"], [b"g", b"OK"]], whole
        for piece in (1, 2, 3, 7, 50):
            assert say_raw(session, script, piece) == whole, piece


@ours
def test_mupdate_pipelining(world):
    """Many commands in one packet: an answer to each, in order, each seeing those before it."""
    with world.mupdate_server().session() as session:
        for n in range(300):
            session.send("ACTIVATE ", quoted(f"p{n % 7}"), " ", quoted(HERE), " ", quoted(f"u{n}\tlrs\t"))
            session.send("FIND ", quoted(f"p{n % 7}"))
        for n in range(300):
            session.answer().ok()
            assert session.answer().ok().records[0].acl == f"u{n}\tlrs\t"


@ours
def test_mupdate_changes_in_one_packet_share_commits(world):
    """As a backend sends those of many sessions: each is decided in its turn, and they don't wait for the disk one by one."""
    server = world.mupdate_server()
    with server.session() as session:
        before = server.stat("mupdate_server_commits_total")
        names = [f"m{n % 50}" for n in range(200)]
        lines = b"".join(b'c%d %s "%s"%s\r\n' % (n, verb, name.encode(), b'' if verb == b"DELETE" else b' "%s"' % HERE.encode())
                         for n, (name, verb) in enumerate(zip(names, [b"RESERVE"] * 50 + [b"DEACTIVATE"] * 50 + [b"DELETE"] * 100)))
        session.raw(lines + b'f FIND "m7"\r\n' + b'last BOGUS\r\n')
        session.waiting.extend([b"c%d" % n for n in range(200)] + [b"f", b"last"])
        words = [session.answer().word for _ in range(200)]
        assert words == ["OK"] * 50 + ["NO"] * 50 + ["OK"] * 50 + ["NO"] * 50, words
        assert not session.answer().ok().records
        session.answer().bad()
        commits = server.stat("mupdate_server_commits_total") - before
        assert commits <= 8, commits


@ours
def test_mupdate_bad_commands(world):
    """BAD with Cyrus' text and the command's own tag; the session goes on."""
    cases = [("BOGUS", "Unrecognized command"), ("NOOP extra", "Extra arguments"), ('NOOP "x"', "Extra arguments"),
             ("FIND", "Missing arguments"), ('FIND "a" "b"', "Extra arguments"), ("DELETE", "Missing arguments"),
             ('RESERVE "a"', "Missing arguments"), (f'RESERVE "a" "{HERE}" "x"', "Extra arguments"),
             (f'ACTIVATE "a" "{HERE}"', "Missing arguments"), ('DEACTIVATE "a"', "Missing arguments"),
             ('LIST "a" "b"', "Extra arguments"), ("LOGOUT x", "Extra arguments"), ("AUTHENTICATE", "Missing arguments"),
             ("STARTTLS", "Unrecognized command"), ("", "Null command"), (" NOOP", "Null command"),
             ('AUTHENTICATE "PLAIN" ""', "already authenticated")]
    with world.mupdate_server().session() as session:
        for text, expected in cases:
            answer = session.command(text).bad()
            assert answer.text == expected, (text, answer)
            session.say("NOOP").ok()
        for text in ("FIND foo", 'FIND "unfinished', 'RESERVE "a" "!default"',
                     'RESERVE "" "' + HERE + '"', f'RESERVE "{"x" * 600}" "{HERE}"', f'RESERVE {{3+}}\r\na\0b "{HERE}"'):
            answer = session.command(text)
            assert answer.word in ("BAD", "NO"), (text, answer)
            session.say("NOOP").ok()
        assert not session.say("LIST").ok().records
        for line in (b"\r\n", b"tagonly\r\n"):
            assert [got.split()[:2] for got in say_raw(session, line)] in ([[b"*", b"BAD"]], [[b"tagonly", b"BAD"]]), line


@ours
def test_mupdate_endless_nonsense_is_cut(world):
    """A client that sends nothing but bad commands is told, and sent away."""
    with world.mupdate_server().session() as session:
        session.raw(b"x BOGUS\r\n" * 100)
        answers = 0
        while (line := session.line()).startswith(b"x BAD"):
            answers += 1
        assert line.startswith(b"* BYE") and 5 <= answers < 100, (answers, line)
        session.closed()


@ours
def test_mupdate_logins(world):
    """PLAIN and LOGIN, with an initial response and without; `*` cancels; challenges are bare base64."""
    server = world.mupdate_server()
    secret = b64("\0backend3\0mupdatepw")
    ways = [
        [(b'a AUTHENTICATE "PLAIN" "' + secret + b'"', b"a OK")],
        [(b'a AUTHENTICATE "PLAIN" {%d+}\r\n' % len(secret) + secret, b"a OK")],
        [(b'a AUTHENTICATE "plain"', b"\r\n"), (secret, b"a OK")],
        [(b'a AUTHENTICATE "PLAIN" "' + b64("backend3\0backend3\0mupdatepw") + b'"', b"a OK")],
        [(b'a AUTHENTICATE "LOGIN"', b"VXNlcm5hbWU6\r\n"), (b64("backend3"), b"UGFzc3dvcmQ6\r\n"), (b64("mupdatepw"), b"a OK")],
        [(b'a AUTHENTICATE "LOGIN" "' + b64("backend3") + b'"', b"UGFzc3dvcmQ6\r\n"), (b64("mupdatepw"), b"a OK")],
        [(b'a AUTHENTICATE "PLAIN"', b"\r\n"), (b"*", b"a NO"), (b'b AUTHENTICATE "LOGIN"', b"VXNlcm5hbWU6\r\n"),
         (b"*", b"b NO"), (b'c AUTHENTICATE "PLAIN" "' + secret + b'"', b"c OK")],
    ]
    for way in ways:
        with server.session(None) as session:
            for line, expected in way:
                session.raw(line + b"\r\n")
                got = session.line()
                assert got.startswith(expected), (line, got)
            session.say("NOOP").ok()


@ours
def test_mupdate_logins_that_fail(world):
    server = world.mupdate_server()
    wrong = ["\0backend3\0wrong", "\0nobody\0mupdatepw", "\0\0", "backend3", "backend1\0backend3\0mupdatepw", "\0backend3\0",
             "\0backend3\0mupdatepw\0", "\0BACKEND3\0mupdatepw"]
    with server.session(None) as session:
        for text in wrong:
            session.command('AUTHENTICATE "PLAIN" ', quoted(b64(text))).no()
        for text in ('AUTHENTICATE "PLAIN" "!!!"', 'AUTHENTICATE "DIGEST-MD5"', 'AUTHENTICATE "" ""'):
            answer = session.command(text)
            assert answer.word in ("NO", "BAD"), answer
        for verb in ("NOOP", "LIST", "UPDATE", 'FIND "x"', f'RESERVE "x" "{HERE}"', 'DELETE "x"'):
            assert session.command(verb).bad().text == "Please login first"
            session.plain("backend3", "wrong").no()
        session.plain("backend3", "mupdatepw").ok()
        session.say("NOOP").ok()
    assert "mupdatepw" not in server.log.read_text() and "wrong" not in server.log.read_text()


@ours
def test_mupdate_before_login(world):
    with world.mupdate_server().session(None) as session:
        session.raw(b"a NOOP\r\nb FIND \"x\"\r\nc LOGOUT\r\nd NOOP\r\n")
        assert session.line() == b'a BAD "Please login first"\r\n'
        assert session.line() == b'b BAD "Please login first"\r\n'
        assert session.line() == b'c OK "bye-bye"\r\n'
        session.closed()


@ours
def test_mupdate_while_streaming(world):
    """NOOP and LOGOUT go on; all else is BAD, and changes nothing."""
    with world.mupdate_server().session() as session:
        session.activate("box", HERE)
        assert set(session.update()) == {"box"}
        for text in ('FIND "box"', "LIST", 'DELETE "box"', f'RESERVE "y" "{HERE}"', "UPDATE", 'AUTHENTICATE "PLAIN"'):
            assert session.command(text).bad().text == "not legal when streaming", text
        assert session.barrier() == []
        assert session.say("LOGOUT").ok().text == "bye-bye"
        session.closed()


@ours
@needs("openssl")
def test_mupdate_starttls(world):
    """The banner comes again behind TLS; bytes from before it reach nothing."""
    directory = world.murder.directory / f"mupdate-tls{world.beside}"
    authority = Authority(directory)
    address = f"{world.murder.net}.{world.beside}"
    certificate, key = authority.issue("server", address)
    top = f'[tls]\ncertificate = "{certificate}"\nkey = "{key}"\nallow_plaintext = true\n'
    server = world.mupdate_server(top=top)
    wrap = authority.client(address, alpn=())
    with server.session(None) as session:
        assert "STARTTLS" in session.capabilities
        session.starttls(wrap)
        assert "STARTTLS" not in session.capabilities and session.capabilities["AUTH"]
        session.command("STARTTLS").bad()
        session.plain("backend3", "mupdatepw").ok()
        session.activate("tls", HERE)
        assert set(session.update()) == {"tls"}
        assert session.barrier() == []
    with server.session() as session:
        session.command("STARTTLS").bad()
    with server.session(None) as session:  # smuggled: answered by nothing but the end
        session.raw(b'a STARTTLS\r\nb AUTHENTICATE "PLAIN" "' + b64("\0backend3\0mupdatepw") + b'"\r\n')
        line = session.line()
        while line and not line.startswith(b"b "):
            line = session.line() if not line.startswith(b"a OK") else b""
        assert not line, line


@ours
def test_mupdate_limits(world):
    """Lines, literals and connections past their limit: a clear answer or the end, and others go on."""
    server = world.mupdate_server(server="connections = 4")
    with server.session() as other:
        for flood in (b"x FIND " + b"a" * 300_000 + b"\r\n", b"x FIND {99999999+}\r\n" + b"a" * 1000,
                      b'x FIND "' + b"a" * 300_000, b"x" * 300_000, b"x FIND {99999999999999999999+}\r\n"):
            with server.session() as session:
                try:
                    session.raw(flood)
                    said = b"".join(iter(session.line, b""))
                    assert b"* BYE" in said or b" BAD " in said, (flood[:20], said)
                except (BrokenPipeError, ConnectionResetError):
                    pass
            other.say("NOOP").ok()
        with server.session(None) as session:  # before login the limit is lower
            session.raw(b"x FIND {100000+}\r\n" + b"a" * 100_000)
            assert b"* BYE" in b"".join(iter(session.line, b""))
        full = [server.session() for _ in range(3)]
        with Connection(server.address) as one_more:
            lines = b"".join(iter(one_more.line, b""))
            assert b"* BYE" in lines and b"* OK" not in lines, lines
        for session in [other, *full]:
            session.say("NOOP").ok()
        for session in full:
            session.close()


@ours
def test_mupdate_login_has_a_deadline(world):
    """Who doesn't log in is sent away, though it trickles bytes."""
    server = world.mupdate_server(limits='login = "1s"')
    with server.session(None, deadline=10) as silent, server.session(None, deadline=10) as busy:
        busy.raw(b"x FI")
        assert silent.line().startswith(b"* BYE") and busy.line().startswith(b"* BYE")
        silent.closed()


@ours
def test_mupdate_a_client_that_vanishes(world):
    """Mid-command, mid-literal, with a reset: nothing is changed by half a command, nothing leaks."""
    server = world.mupdate_server()
    for half in (b'x RESERVE "half" "backend1', b'x RESERVE "half" {28+}\r\nbackend1', f'x RESERVE "half" "{HERE}"\r'.encode()):
        session = server.session()
        session.raw(half)
        session.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        session.close()
    with server.session() as session:
        assert session.find("half") is None


def test_mupdate_client_notices_a_broken_server(_world):
    """The client of these tests fails at what is no MUPDATE: a test that can't fail is none."""
    good = b'* AUTH "PLAIN"\r\n* OK MUPDATE "h" "p" "v" "(master)"\r\n'
    answers = [b't1 OK done\r\n', b't1 OK "a" "b"\r\n', b't2 OK "a"\r\n', b't1 OK "a"\n', b't1 FINE "a"\r\n',
               b't1 MAILBOX "a" "b"\r\nt1 OK "x"\r\n', b'* OK "x"\r\n', b't1 MAILBOX {3+}\r\na', b'+ go\r\n', b"",
               b't1 OK "a""b"\r\n', b't1 DELETE "a"\r\nt1 OK "x"\r\n']
    assert spoken(good, b't1 MAILBOX {1+}\r\na "b" {1}\r\nc\r\nt1 OK "x"\r\n').names["a"].acl == "c"
    for banner, answer in [(good, answer) for answer in answers] + [(b'* AUTH\r\nx\r\n', b""), (b'* OK MUPDATE "h"\r\n', b"")]:
        try:
            spoken(banner, answer)
        except Broken:
            continue
        raise AssertionError(f"not noticed: {banner!r} {answer!r}")


def spoken(banner, answer):
    """What the client makes of a server that says just this."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = socket.create_connection(listener.getsockname())
        peer = listener.accept()[0]
        peer.sendall(banner + answer)
        peer.shutdown(socket.SHUT_WR)
        session = Mupdate.__new__(Mupdate)
        session.deadline, session.socket, session.file = 5, client, client.makefile("rb")
        client.settimeout(5)
        try:
            session.begin()
            return session.say("FIND", "a")
        finally:
            session.close()
            peer.close()
