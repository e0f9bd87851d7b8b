"""TLS: to clients on imaps and by STARTTLS, to the backends and to the MUPDATE master."""

import hashlib
import shutil
import signal
import socket
import ssl
import subprocess
import time
from contextlib import contextmanager

from certificates import Authority
from imap_client import Broken, Conversation, Literal, message, quoted
from marks import needs, ours
from murder import IMAP, IMAPS, Frontend, Murder, poll

NAME = "imap.murder.test"
BIG = 25 << 20
FILES = 'certificate = "{0}"\nkey = "{1}"\n'


def big():
    return message("big", BIG)


def same(got, sent):
    assert hashlib.sha256(got).digest() == hashlib.sha256(sent).digest(), f"{len(got)} bytes differ from {len(sent)}"


@contextmanager
def authority(world, name="tests"):
    folder = world.murder.directory / f"ca-{time.monotonic_ns()}"
    try:
        yield Authority(folder, name)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def secured(world, ca, tls="", top="", **options):
    """A frontend with a certificate and an imaps listener."""
    chain, key = ca.issue("frontend", NAME)
    host = f"{world.murder.net}.{world.beside}"
    top = f"[tls]\n{FILES.format(chain, key)}{tls}\n{top}\n"
    frontend = world.another(top=top, proxy=f'imaps = ["{host}:{IMAPS}"]', **options)
    frontend.imaps = (host, IMAPS)
    return frontend.start()


def imaps(world, frontend, ca, name=NAME, **options):
    return world.keep(Conversation(frontend.imaps, secure=ca.client(name, **options)))


def peer_serial(session):
    return session.socket.getpeercert()["serialNumber"]


@needs("openssl")
@ours
def test_tls_imaps(world):
    user, text = world.user(), big()
    with authority(world) as ca:
        frontend = secured(world, ca)
        for number, newest in enumerate((ssl.TLSVersion.TLSv1_3, ssl.TLSVersion.TLSv1_2), 1):
            session = imaps(world, frontend, ca, newest=newest)
            assert session.socket.version() == newest.name.replace("_", "."), session.socket.version()
            assert session.socket.selected_alpn_protocol() == "imap"
            greeted = session.greeting.text.decode()
            assert "AUTH=PLAIN" in greeted and "STARTTLS" not in greeted and "LOGINDISABLED" not in greeted, greeted
            session.login(user, user + "pw").ok()
            assert "STARTTLS" not in session.capabilities()
            session.command("STARTTLS").bad()
            session.append("INBOX", text, plus=number == 1).ok()
            assert session.exists(session.select("INBOX").ok()) == number
            same(session.body(number), text)
            session.in_step()
            session.send(b"bye LOGOUT\r\n")
            session.waiting.append(b"bye")
            assert session.untagged("BYE") and session.response().word == b"OK"
            try:
                session.fill(time.monotonic() + 5)
            except Broken as end:
                assert str(end).startswith("closed by the server"), f"no close_notify: {end}"
        assert frontend.stat('tls_handshakes_total{result="ok"}') == 2
        for version in ("TLSv1.3", "TLSv1.2"):
            poll(f"{version} in the log", 5, lambda: version in frontend.log.read_text())


@needs("openssl")
@ours
def test_tls_starttls(world):
    user = world.user()
    with authority(world) as ca:
        frontend = secured(world, ca)
        session = world.keep(Conversation(frontend.address))
        assert b"STARTTLS" in session.greeting.raw and b"AUTH=PLAIN" in session.greeting.raw
        session.command("STARTTLS now").bad()
        session.command("NOOP").ok()
        session.starttls(ca.client(NAME))
        assert session.capabilities() >= {"AUTH=PLAIN", "SASL-IR"} and "STARTTLS" not in session.capabilities()
        session.command("STARTTLS").bad()
        session.login(user, user + "pw").ok()
        text = message("starttls", 300_000)
        session.append("INBOX", text).ok()
        session.select("INBOX").ok()
        same(session.body(1), text)
        session.in_step()
        plain = world.client(user, frontend)
        plain.command("STARTTLS").bad()
        plain.in_step()


@needs("openssl")
@ours
def test_tls_by_openssl(world):
    """Another TLS, another client: also with new keys in the midst, and byte by byte."""
    user = world.user()
    with authority(world) as ca:
        frontend = secured(world, ca)
        for port, more in ((IMAPS, ()), (IMAP, ("-starttls", "imap")), (IMAPS, ("-tls1_2", "-max_send_frag", "512"))):
            client = subprocess.Popen(
                ["openssl", "s_client", "-connect", f"{frontend.address[0]}:{port}", "-CAfile", ca.certificate,
                 "-verify_return_error", "-servername", NAME, "-verify_hostname", NAME, "-crlf", "-ign_eof", *more],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            script = f"a LOGIN {user} {user}pw\nb SELECT INBOX\nc LOGOUT\n"
            said, _ = client.communicate(script, timeout=20)
            assert "Verify return code: 0 (ok)" in said or "Verification: OK" in said, said
            for tag in "abc":
                assert f"\n{tag} OK" in said, said
            assert client.returncode == 0, said


@needs("openssl")
@ours
def test_tls_injection(world):
    """What is sent in clear behind STARTTLS reaches nothing that comes after the handshake."""
    with authority(world) as ca:
        frontend = secured(world, ca)
        for behind in (b"b NOOP\r\n", b"b", b"\r\n", b"b LOGIN x y\r\n" * 100):
            session = world.keep(Conversation(frontend.address))
            session.send(b"a STARTTLS\r\n" + behind)
            session.waiting += [b"a", b"b"]
            got = session.response()
            assert got.tag == b"*" and got.word == b"BYE", got.raw
            session.expect_end()
        session = world.keep(Conversation(frontend.address))
        session.command("STARTTLS").ok()
        session.waiting.append(b"b")
        session.send(b"b NOOP\r\n")
        try:
            raise AssertionError(f"an answer in clear: {session.response().raw}")
        except Broken:
            pass
        poll("the failure to be told", 5, lambda: "TLS handshake failed" in frontend.log.read_text())


@needs("openssl")
@ours
def test_tls_logindisabled(world):
    user = world.user()
    with authority(world) as ca:
        frontend = secured(world, ca, "allow_plaintext = false")
        session = world.keep(Conversation(frontend.address))
        for said in (session.greeting.raw.decode(), " ".join(session.capabilities())):
            assert "LOGINDISABLED" in said and "STARTTLS" in said and "AUTH=" not in said, said
        session.login(user, user + "pw").no("PRIVACYREQUIRED")
        session.command("LOGIN ", Literal(user.encode()), " ", Literal(f"{user}pw".encode())).no("PRIVACYREQUIRED")
        session.command("AUTHENTICATE PLAIN").no("PRIVACYREQUIRED")
        session.login_as(user, user + "pw", "").no("PRIVACYREQUIRED")
        session.command("SELECT INBOX").bad()
        session.starttls(ca.client(NAME))
        assert "LOGINDISABLED" not in session.capabilities()
        session.login(user, user + "pw").ok()
        session.in_step()
        session = imaps(world, frontend, ca)
        session.login_as(user, user + "pw", "").ok()
        session.select("INBOX").ok()


@needs("openssl")
@ours
def test_tls_sni(world):
    with authority(world) as ca:
        named = ""
        for file, names in (("one", ["mail.one.test"]), ("wild", ["*.two.test"])):
            chain, key = ca.issue(file, *names)
            named += f"[[tls.sni]]\nnames = {names}\n{FILES.format(chain, key)}"
        frontend = secured(world, ca, named)
        serials = {name: peer_serial(imaps(world, frontend, ca, name))
                   for name in (NAME, "mail.one.test", "a.two.test", "b.two.test")}
        assert serials["a.two.test"] == serials["b.two.test"] and len(set(serials.values())) == 3, serials
        session = world.keep(Conversation(frontend.address))
        session.starttls(ca.client("mail.one.test"))
        assert peer_serial(session) == serials["mail.one.test"]
        try:
            imaps(world, frontend, ca, "nobody.test")
            raise AssertionError("a certificate for a name that there is none for")
        except ssl.SSLCertVerificationError as error:
            assert "nobody.test" in str(error)
        try:
            imaps(world, frontend, ca, alpn=("http/1.1",))
            raise AssertionError("HTTP was taken")
        except ssl.SSLError as error:
            assert "ALERT" in str(error).upper(), error


@needs("openssl")
@ours
def test_tls_reload(world):
    user = world.user()
    with authority(world) as ca:
        frontend = secured(world, ca)
        session = imaps(world, frontend, ca)
        session.login(user, user + "pw").ok()
        session.append("INBOX", message("kept", 100_000)).ok()
        session.select("INBOX").ok()
        idling = imaps(world, frontend, ca)
        idling.login(user, user + "pw").ok()
        idling.select("INBOX").ok()
        tag = idling.start("IDLE")
        assert idling.response().tag == b"+"

        def serials():
            return {peer_serial(imaps(world, frontend, ca)) for _ in range(6)}

        def hang_up(line):
            before = frontend.log.read_text().count(line)
            frontend.process.send_signal(signal.SIGHUP)
            poll(line, 5, lambda: frontend.log.read_text().count(line) > before)

        old = serials()
        chain, _ = ca.issue("frontend", NAME)
        hang_up("the certificates have been read again")
        new = serials()
        assert len(new) == 1 and not new & old, "all shards show the new one"
        good = chain.read_text()
        chain.write_text("")
        hang_up("the old certificates stay")
        assert serials() == new
        chain.write_text(good)
        hang_up("the certificates have been read again")
        same(session.body(1), message("kept", 100_000))
        session.append("INBOX", message("after")).ok()
        idling.untagged("EXISTS")
        idling.send(b"DONE\r\n")
        idling.finish(tag).ok()
        assert peer_serial(session) in old


@needs("openssl")
@ours
def test_tls_clients_that_fail(world):
    """Clients that speak no TLS, stop in the midst, or are cut off: told in the log, counted, and nobody else minds."""
    user = world.user()
    with authority(world) as ca:
        frontend = secured(world, ca, top='[limits]\nlogin = "2s"')
        session = imaps(world, frontend, ca)
        session.login(user, user + "pw").ok()
        failures = 'tls_handshakes_total{result="failed"}'
        for opening in (b"a NOOP\r\n", b"GET / HTTP/1.1\r\n\r\n", b"", b"\x16\x03\x01\x02\x00\x01"):
            before = frontend.stat(failures)
            with socket.create_connection(frontend.imaps, timeout=10) as raw:
                raw.sendall(opening)
                if opening[:1] in (b"a", b"G"):
                    said = raw.recv(1000)
                    assert said[:1] in (b"", b"\x15"), f"no alert: {said!r}"
            poll("the failure to be counted", 5, lambda: frontend.stat(failures) == before + 1)
        before, start = frontend.stat(failures), time.monotonic()
        with socket.create_connection(frontend.imaps, timeout=10) as raw:
            raw.sendall(b"\x16\x03")
            assert raw.recv(1) == b"" and 1 < time.monotonic() - start < 5, "no deadline"
        assert frontend.stat(failures) == before + 1
        strangers = Authority(ca.directory / "strangers", "strangers")
        try:
            imaps(world, frontend, strangers)
            raise AssertionError("a stranger's certificate was taken")
        except ssl.SSLCertVerificationError:
            pass
        poll("the client's alert to be told", 5, lambda: "UnknownCA" in frontend.log.read_text())
        told = [line for line in frontend.log.read_text().splitlines() if "TLS handshake failed" in line]
        assert len(told) == before + 2 and all("client=127." in line for line in told), told
        assert not any("WARN" in line or "ERROR" in line for line in told), told

        cut = imaps(world, frontend, ca)
        cut.login(user, user + "pw").ok()
        cut.send(b"a APPEND INBOX {1000000+}\r\n" + b"x" * 200_000)
        cut.socket.close()  # no close_notify
        poll("the cut session to end", 5, lambda: frontend.stat("sessions_open") == 1)
        assert session.exists(session.select("INBOX").ok()) == 0
        session.in_step()


@needs("openssl")
@ours
def test_tls_in_pieces(world):
    """Records that come a few bytes at a time, and many at once."""
    user = world.user()
    with authority(world) as ca:
        frontend = secured(world, ca)
        context = ssl.create_default_context(cafile=ca.certificate)
        come, go = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = context.wrap_bio(come, go, server_hostname=NAME)
        raw = world.keep(socket.create_connection(frontend.imaps, timeout=10))
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

        def exchange(call, size):
            while True:
                try:
                    return call()
                except ssl.SSLWantReadError:
                    out = go.read()
                    for at in range(0, len(out), size):
                        raw.sendall(out[at:at + size])
                    data = raw.recv(7)
                    assert data, "closed"
                    come.write(data)

        exchange(tls.do_handshake, 11)
        tls.write(f"a LOGIN {user} {user}pw\r\n".encode())
        for part in (b"b APPEND ", b"INBOX {11+}\r\n", b"a: b\r\n\r\nc\r", b"\n\r\n", b"c NOOP\r\nd LOGOUT\r\n"):
            tls.write(part)
        said = b""
        while b"d OK" not in said:
            said += exchange(lambda: tls.read(3), 13)
        for tag in b"abcd":
            assert bytes([tag]) + b" OK" in said, said


@contextmanager
def tls_murder(world, ca):
    """A murder whose nodes have certificates by `ca`."""
    murder = None
    try:
        # its addresses are known only when it runs: the certificates have names, and every address it may get
        nets = [f"127.{n}.{m}.11" for n in (70, 71) for m in range(250)]
        ca.issue("mupdate", "mupdate.murder.test", *nets)
        for node in ("backend1", "backend2"):
            ca.issue(node, f"{node}.murder.test")
        murder = Murder("--tls", str(ca.directory), nodes="mupdate,backend1")
        yield murder
    finally:
        if murder:
            murder.close()


def frontend_of_alice(murder, last, top='[limits]\nupstream_login = "3s"', **options):
    return Frontend(murder, ["alice:{PLAIN}alicepw", "cyrus:{PLAIN}cyruspw"], last, top=top, **options)


@needs("openssl")
@ours
def test_tls_to_backends(world):
    with authority(world) as ca, tls_murder(world, ca) as murder:
        strangers = Authority(ca.directory / "strangers", "strangers")
        murder.run("user", "alice", "alicepw", "backend1")
        good, bad = (f'tls_ca = "{who.certificate}"' for who in (ca, strangers))
        frontends = []
        try:
            for last, (upstream, port) in enumerate([
                    (f'tls = "starttls"\n{good}', IMAP),
                    (f'tls = "implicit"\n{good}', IMAPS),
                    (f'tls = "implicit"\n{bad}\ntls_verify = false', IMAPS),
                    (f'tls = "starttls"\n{bad}', IMAP),
                    (f'tls = "implicit"\n{bad}', IMAPS),
                    ('tls = "implicit"', IMAPS),
                    (f'tls = "implicit"\n{good}', IMAP),  # a port that speaks no TLS
            ], 42):
                frontends.append(frontend_of_alice(murder, last, upstream=upstream, backends=port).start())
            for frontend in frontends[:3]:
                works(frontend)
            for frontend, why in zip(frontends[3:], ("UnknownIssuer", "UnknownIssuer", "UnknownIssuer", "TLS: ")):
                fails(frontend, why)
        finally:
            stop_all(frontends)


@needs("openssl")
@ours
def test_tls_to_the_master(world):
    """A new master for each: Cyrus' 3.6.1 dies now and then when a TLS connection ends."""
    with authority(world) as ca, tls_murder(world, ca) as murder:
        strangers = Authority(ca.directory / "strangers", "strangers")
        murder.run("user", "alice", "alicepw", "backend1")
        good, bad = (f'tls_ca = "{who.certificate}"' for who in (ca, strangers))
        for last, (master, follows) in enumerate([
                (f'tls = "starttls"\n{good}', True),
                (f'tls = "starttls"\n{bad}\ntls_verify = false', True),
                (f'tls = "starttls"\n{bad}', False),
                (f'tls = "implicit"\n{good}', False),  # Cyrus has only STARTTLS
        ], 42):
            frontend = frontend_of_alice(murder, last, master=master)
            try:
                if follows:
                    followed(murder, frontend)
                else:
                    unfollowed(frontend)
                frontend.stop()
            finally:
                frontend.kill()
            murder.down("mupdate")
            murder.up("mupdate")


def stop_all(frontends):
    try:
        for frontend in frontends:
            frontend.stop()
    finally:
        for frontend in frontends:
            frontend.kill()


def alice(frontend):
    session = Conversation(frontend.address)
    session.login("alice", "alicepw").ok()
    return session


def works(frontend):
    """All that a session does with a backend, over TLS; what comes unasked, too."""
    text = big()
    with alice(frontend) as session, alice(frontend) as idling:
        session.append("INBOX", text).ok()
        last = session.exists(session.select("INBOX").ok())
        same(session.body(last), text)
        session.append("INBOX", text, plus=False).ok()
        idling.select("INBOX").ok()
        tag = idling.start("IDLE")
        assert idling.response().tag == b"+"
        session.append("INBOX", message("news")).ok()
        assert idling.untagged("EXISTS").text.startswith(b"%d " % (last + 2))
        idling.send(b"DONE\r\n")
        idling.finish(tag).ok()
        box = f"INBOX.made{time.monotonic_ns()}"
        session.command("CREATE ", quoted(box)).ok()
        session.select(box).ok()
        session.command("DELETE ", quoted(box)).ok()
        time.sleep(0.5)  # session tickets and their like come late: they are no news
        for one in (session, idling):
            one.in_step()


def fails(frontend, why):
    """A clear answer, a clear line in the log, nothing in clear."""
    with alice(frontend) as session:
        session.select("INBOX").no("UNAVAILABLE")
        session.append("INBOX", message("lost", 300_000)).no("UNAVAILABLE")
        session.in_step()
    told = [line for line in frontend.log.read_text().splitlines() if "backend1.murder.test" in line and why in line]
    assert told and all("WARN" in line for line in told), frontend.log.read_text()


def followed(murder, frontend):
    frontend.start()
    with alice(frontend) as session:
        session.select("INBOX").ok()
        session.command("STATUS nosuch (MESSAGES)").no("NONEXISTENT")
    assert "frontend2 PLAIN+TLS" in murder.syslog().read_text(), "the login wasn't encrypted"


def unfollowed(frontend):
    """A master whose certificate isn't good, or that has no TLS, is told no password."""
    frontend.start(ready=False)
    poll("the fault to be told", 15, lambda: "no MUPDATE master: TLS: " in frontend.log.read_text())
    line = next(line for line in frontend.log.read_text().splitlines() if "no MUPDATE master: TLS" in line)
    assert "ERROR" in line and "tls_ca" in line, line
    with Conversation(frontend.address) as session:
        assert session.greeting.word == b"BYE" and b"UNAVAILABLE" in session.greeting.raw
