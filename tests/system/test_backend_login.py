"""The backend's door: TLS on both ways, who may act for whom, and how many may come how often."""

import shutil
import time
from contextlib import contextmanager

from certificates import Authority
from imap_client import Broken, Conversation, Literal, message, plain
from marks import needs, ours
from murder import IMAPS

NAME = "backend.ravenry.test"


@contextmanager
def secured(world, tls=""):
    """A backend with a certificate and an imaps listener, and who signed for it."""
    folder = world.murder.directory / f"ca-{time.monotonic_ns()}"
    try:
        ca = Authority(folder)
        chain, key = ca.issue("backend", NAME)
        host = f"{world.murder.net}.{world.beside}"
        backend = world.a_backend(top=f'[tls]\ncertificate = "{chain}"\nkey = "{key}"\n{tls}\n', more=f'imaps = ["{host}:{IMAPS}"]')
        backend.imaps = (host, IMAPS)
        yield backend, ca
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@needs("openssl")
@ours
def test_backend_tls_on_both_ways(world):
    text = message("over TLS", 3 << 20)
    with secured(world) as (backend, ca):
        session = world.keep(Conversation(backend.imaps, secure=ca.client(NAME)))
        assert "STARTTLS" not in session.capabilities()
        session.login("alice", "alicepw").ok()
        session.append("INBOX", text).ok()
        session.command("STARTTLS").bad()
        session = world.at(backend)
        assert "STARTTLS" in session.capabilities()
        session.starttls(ca.client(NAME))
        assert "STARTTLS" not in session.capabilities()
        session.login("alice", "alicepw").ok()
        session.select("INBOX").ok()
        assert session.body(1) == text
        # news reach an IDLE within TLS as well
        tag = session.start("IDLE")
        assert session.go_ahead(tag)
        world.at(backend, "alice").append("INBOX", message("new")).ok()
        session.untagged("EXISTS", 2)
        session.send(b"DONE\r\n")
        session.finish(tag).ok()
        backend.idle = None  # TLS sessions of the test are open yet


@needs("openssl")
@ours
def test_backend_starttls_lets_nothing_in_from_before(world):
    with secured(world) as (backend, _):
        for behind in (b"b NOOP\r\n", b"b", b"\r\n", b"b LOGIN alice alicepw\r\n" * 100):
            session = world.at(backend)
            session.waiting += [b"a", b"b"]
            session.send(b"a STARTTLS\r\n" + behind)
            got = session.response()
            assert got.word == b"BYE", got.raw
            session.expect_end()
        session = world.at(backend)
        session.command("STARTTLS").ok()
        session.waiting.append(b"b")
        session.send(b"b NOOP\r\n")
        try:
            raise AssertionError(f"an answer in clear: {session.response().raw}")
        except Broken:
            pass


@needs("openssl")
@ours
def test_backend_logindisabled(world):
    with secured(world, "allow_plaintext = false") as (backend, ca):
        session = world.at(backend)
        told = session.capabilities()
        assert "LOGINDISABLED" in told and not any(name.startswith("AUTH=") for name in told), told
        session.login("alice", "alicepw").no("PRIVACYREQUIRED")
        session.command("AUTHENTICATE PLAIN").no("PRIVACYREQUIRED")
        session.command("AUTHENTICATE PLAIN ", plain("alice", "alicepw")).no("PRIVACYREQUIRED")
        session.command("SELECT INBOX").bad()
        session.starttls(ca.client(NAME))
        session.login("alice", "alicepw").ok()


@ours
def test_backend_logins_right_and_wrong(world):
    backend = world.a_backend()
    session = world.at(backend)
    for name, password in (("alice", "wrong"), ("alice", ""), ("", "alicepw"), ("nobody", "nobodypw"), ("alice", "alicepw "),
                           ("alice", "bobpw"), ("al/ice", "x"), ("alice@elsewhere", "alicepw"), ("a" * 500, "x")):
        session.login(name, password).no("AUTHENTICATIONFAILED")
    session.command("SELECT INBOX").bad()
    session.command("LOGIN ", Literal(b"alice"), " ", Literal(b"alicepw")).ok()
    session.in_step()
    log = backend.log.read_text()
    assert "alicepw" not in log and "bobpw" not in log, "a password is in the log"


@ours
def test_backend_who_may_act_for_whom(world):
    """DESIGN, rule 5: proxy_users for users; for admins only with proxy_admins. An admin who acts for a user is none then."""
    refusing = world.a_backend(more='proxy_users = ["mailproxy"]')
    for user in ("alice", "newcomer"):
        session = world.at(refusing)
        session.login_as("mailproxy", "mailproxypw", user).ok()
    world.at(refusing).login_as("mailproxy", "wrong", "alice").no("AUTHENTICATIONFAILED")
    world.at(refusing).login_as("mailproxy", "mailproxypw", "cyrus").no("AUTHORIZATIONFAILED")
    world.at(refusing).login_as("alice", "alicepw", "bob").no("AUTHORIZATIONFAILED")
    world.at(refusing).login_as("alice", "alicepw", "alice").ok()
    session = world.at(refusing)
    session.login_as("cyrus", "cyruspw", "alice").ok()
    session.command("CREATE user.bob").no()
    own = world.at(refusing, "cyrus")
    own.command("CREATE user.bob").ok()
    allowing = world.a_backend(more='proxy_users = ["mailproxy"]\nproxy_admins = true')
    session = world.at(allowing)
    session.login_as("mailproxy", "mailproxypw", "cyrus").ok()
    session.command("CREATE user.carol").ok()
    # not with the proxy account itself: it is nobody's admin
    world.at(allowing, "mailproxy").command("CREATE user.dave").no()


@ours
def test_backend_a_users_mail_is_the_users(world):
    backend = world.a_backend()
    alice, bob = world.at(backend, "alice"), world.at(backend, "bob")
    alice.append("INBOX", message("secret")).ok()
    for command in ("SELECT", "EXAMINE", "DELETE", "GETACL", "MYRIGHTS"):
        bob.command(f"{command} user.alice").no("NONEXISTENT")
    bob.command("STATUS user.alice (MESSAGES)").no("NONEXISTENT")
    bob.command("APPEND user.alice ", Literal(message("x"), plus=True)).no()
    assert not [name for name in bob.listed_names('LIST "" "*"') if b"alice" in name]
    alice.command("SETACL INBOX bob lr").ok()
    assert bob.exists(bob.select("user.alice").ok()) == 1
    for command in ("STORE 1 +FLAGS (\\Seen)", "STORE 1 +FLAGS ($x)", "EXPUNGE"):
        bob.command(command).no()
    bob.command("APPEND user.alice ", Literal(message("x"), plus=True)).no("NOPERM")
    alice.command("DELETEACL INBOX bob").ok()
    bob.select("user.alice").no("NONEXISTENT")


@ours
def test_backend_limits_of_connections_and_failures(world):
    limits = ('[limits]\nconnections_per_user = 3\nlogin_failures = 3\nlogin_delay = "200ms"\nlogin_delay_max = "400ms"\n'
              'login = "2s"\nconnections_per_address = 12\ntrusted = []\n')
    backend = world.a_backend(top=limits)
    session = world.at(backend)
    started = time.monotonic()
    for _ in range(2):
        session.login("alice", "wrong").no("AUTHENTICATIONFAILED")
    assert time.monotonic() - started > 0.4, "wrong passwords aren't held back"
    session.lenient = True
    session.send(b"x LOGIN alice wrong\r\n")
    assert session.response().word == b"NO"
    session.expect_bye()
    sessions = [world.at(backend, "bob") for _ in range(3)]
    world.at(backend).login("bob", "bobpw").no("LIMIT")
    world.at(backend, "alice").in_step()
    sessions[0].command("LOGOUT").ok()
    time.sleep(0.1)
    world.at(backend, "bob").in_step()
    stranger = world.at(backend)
    started = time.monotonic()
    stranger.expect_bye()
    assert 1 < time.monotonic() - started < 5, "a stranger may stay"
    many = []
    for _ in range(20):
        many.append(world.keep(Conversation(backend.address, greet=False)))
    refused = [one for one in many if one.response().word == b"BYE"]
    assert 8 <= len(refused) < 20, f"{len(refused)} of 20 more connections of one address are refused"


@ours
def test_backend_inbox_comes_with_the_first_login(world):
    backend = world.a_backend()
    assert world.at(backend, "alice").listed_names('LIST "" "*"') == {b"INBOX"}
    without = world.a_backend(more="autocreate_inbox = false")
    session = world.at(without, "alice")
    session.select("INBOX").no("NONEXISTENT")
    session.append("INBOX", message("x")).no("TRYCREATE")
