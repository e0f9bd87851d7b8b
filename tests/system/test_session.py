"""From the greeting to LOGOUT: CAPABILITY, ID, NOOP, every way to log in, and what the log says of it."""

import base64
import os
import shutil
import signal
import socket
import subprocess
import tempfile

from imap_client import Conversation, Literal, plain
from marks import Skip, ours
from murder import poll

# what a frontend answers itself, whatever the backends can do
OWN = {"IMAP4REV1", "LITERAL+", "ID", "SASL-IR", "AUTH=PLAIN", "AUTH=LOGIN", "LOGINDISABLED", "REPLACE", "MAILBOX-REFERRALS", "UNAUTHENTICATE", "COMPRESS=DEFLATE", "MULTISEARCH", "LIST-EXTENDED", "LIST-MYRIGHTS"}
NOT_BUILT = {"STARTTLS", "URLAUTH", "NOTIFY", "IMAP4REV2", "X-REPLICATION"}


def test_greeting_and_capability(world):
    user = world.user()
    session = world.connect()
    assert session.greeting.raw.startswith(b"* OK "), session.greeting.raw
    before = session.capabilities()
    assert {"IMAP4REV1", "AUTH=PLAIN", "SASL-IR", "LITERAL+"} <= before, before
    after = world.client(user).capabilities()
    assert {"IMAP4REV1", "LITERAL+", "IDLE", "UIDPLUS", "NAMESPACE", "ACL", "CHILDREN"} <= after, after


@ours
def test_capability_says_only_what_is_built(world):
    after = world.client(world.user()).capabilities()
    assert not after & NOT_BUILT, after & NOT_BUILT
    backend = world.at_backend("backend1", world.user()).capabilities()
    assert after - OWN <= backend, after - OWN - backend


def test_id_noop_before_and_after_login(world):
    session = world.connect()
    for _ in range(2):
        session.command("NOOP").ok()
        assert len(session.command("ID NIL").ok().of("ID")) == 1
        session.command('ID ("name" "test" "version" {3+}\r\n1.0)').ok()
        session.in_step()
        session = world.client(world.user())


def test_login_good_and_bad(world):
    user = world.user_with_password()
    session = world.connect()
    session.login(user, "wrong").no()
    session.login("nobody", "x").no()
    session.login(user, "").no()
    session.command("LIST \"\" *").must("BAD", "NO")
    session.login(user, user + "pw").ok()
    session.command("LIST \"\" INBOX").ok()
    session.login(user, user + "pw").must("BAD", "NO")
    session.in_step()


def test_login_with_literals(world):
    user = world.user_with_password()
    name, password = user.encode(), user.encode() + b"pw"
    for plus in (False, True):
        session = world.connect()
        session.command("LOGIN ", Literal(name, plus), " ", Literal(password, plus)).ok()
        session.in_step()
        session = world.connect()
        session.command("LOGIN ", user, " ", Literal(b"wro\r\nng", plus)).must("NO", "BAD")
        session.in_step()


@ours
def test_login_with_hashed_passwords(world):
    for user in ("argon", "sha"):
        session = world.connect()
        session.login(user, "wrong").no("AUTHENTICATIONFAILED")
        session.login(user, user + "pw").ok()


def test_commands_before_login_are_refused(world):
    session = world.connect()
    for command in ("SELECT INBOX", "LIST \"\" *", "STATUS INBOX (MESSAGES)", "CREATE x", "FETCH 1 FLAGS"):
        session.command(command).must("BAD", "NO")
    session.command("APPEND INBOX ", Literal(b"x\r\n", plus=True)).must("BAD", "NO")
    session.in_step()


def exchange(session, mechanism, *answers):
    """AUTHENTICATE with a line for each continuation."""
    tag = session.start("AUTHENTICATE ", mechanism)
    for answer in answers:
        got = session.response()
        assert got.tag == b"+", got.raw
        session.send(answer + b"\r\n")
    return session.finish(tag)


def test_authenticate_plain(world):
    user = world.user_with_password()
    session = world.connect()
    session.command("AUTHENTICATE PLAIN ", plain(user, "wrong")).no()
    exchange(session, "PLAIN", plain(user, "wrong")).no()
    session.command("AUTHENTICATE PLAIN ", plain(user, user + "pw")).ok()
    session.command("LIST \"\" INBOX").ok()
    session = world.connect()
    exchange(session, "plain", plain(user, user + "pw", user)).ok()
    session.in_step()


def test_authenticate_for_somebody_else_is_refused(world):
    user, other = world.user_with_password(), world.user()
    session = world.connect()
    session.command("AUTHENTICATE PLAIN ", plain(user, user + "pw", other)).no()
    session.command("LIST \"\" *").must("BAD", "NO")


def test_authenticate_login(world):
    user = world.user_with_password()
    name, password = base64.b64encode(user.encode()), base64.b64encode(user.encode() + b"pw")
    session = world.connect()
    exchange(session, "LOGIN", name, base64.b64encode(b"wrong")).no()
    exchange(session, "LOGIN", name, password).ok()
    session.in_step()


@ours
def test_authenticate_login_with_initial_response(world):
    user = world.user()
    session = world.connect()
    exchange(session, b"LOGIN " + base64.b64encode(user.encode()), base64.b64encode(user.encode() + b"pw")).ok()
    session.in_step()


def test_authenticate_cancelled_or_broken(world):
    session = world.connect()
    exchange(session, "PLAIN", b"*").must("BAD", "NO")
    exchange(session, "LOGIN", b"*").must("BAD", "NO")
    exchange(session, "LOGIN", b"YQ==", b"*").must("BAD", "NO")
    exchange(session, "PLAIN", b"no base64!").must("BAD", "NO")
    exchange(session, "PLAIN", base64.b64encode(b"only one part")).must("BAD", "NO")
    session.command("AUTHENTICATE CRAM-MD5").must("BAD", "NO")
    session.command("AUTHENTICATE NOSUCH AAAA").must("BAD", "NO")
    session.in_step()


def test_pipelined_login(world):
    """Commands behind LOGIN in the same segment are answered as the user's."""
    user = world.user_with_password()
    session = world.connect()
    session.waiting += [b"a", b"b", b"c"]
    session.send(f"a LOGIN {user} {user}pw\r\nb STATUS INBOX (MESSAGES)\r\nc NOOP\r\n".encode())
    session.finish(b"a").ok()
    assert len(session.finish(b"b").ok().of("STATUS")) == 1
    session.finish(b"c").ok()


def test_logout(world):
    for session in (world.connect(), world.client(world.user())):
        answer = session.command("LOGOUT").ok()
        assert len(answer.of("BYE")) == 1, answer
        session.expect_end()


def test_two_hundred_sessions_one_after_another(world):
    user = world.user()
    for _ in range(200 if not world.oracle_only else 20):
        session = world.client(user)
        session.command("LOGOUT").ok()
        session.close()


@ours
def test_log_line_a_session(world):
    user, box = world.user("backend1"), world.shared("backend2")
    session = world.client(user)
    session.select("INBOX").ok()
    session.select(box).ok()
    session.command("LOGOUT").ok()
    session.expect_end()

    def line():
        return [text for text in world.frontend.log.read_text().splitlines()
                if user in text and "backend1" in text and "backend2" in text and "127.0.0.1" in text]
    found = poll("the session's log line", 5, line)
    assert len(found) == 1, found
    assert "bytes" in found[0] and "spliced" in found[0], found[0]


@ours
def test_no_credential_in_the_log(world):
    user = world.user()
    session = world.connect()
    session.login(user, "notthepassword1").no()
    session.command("AUTHENTICATE PLAIN ", plain(user, "notthepassword2")).no()
    session.command("LOGIN ", user, " notthepassword3 extra").bad()
    session.command("LOGINX ", user, " notthepassword4").bad()
    session.login(user, user + "pw").ok()
    session.command("LOGOUT").ok()
    log = world.frontend.log.read_text()
    for secret in ("notthepassword", user + "pw", "proxypw", "mupdatepw", plain(user, "notthepassword2").decode()):
        assert secret not in log, f"{secret} is in the log"


def listens(path):
    with socket.socket(socket.AF_UNIX) as client:
        return client.connect_ex(path) == 0


@ours
def test_saslauthd(world):
    """saslauthd that asks a backend (rimap) stands for any that a site has."""
    program = shutil.which("saslauthd", path="/usr/sbin:/usr/bin")
    if not program:
        raise Skip("saslauthd is not installed")
    user = world.user_with_password(at_backends=True)
    address = "/".join(map(str, world.murder.address("backend1")))
    with tempfile.TemporaryDirectory() as run:
        # it signals its whole process group when it ends: a session of its own
        daemon = subprocess.Popen([program, "-d", "-a", "rimap", "-O", address, "-m", run, "-n", "2"],
                                  start_new_session=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            poll("saslauthd to listen", 10, lambda: listens(f"{run}/mux"))
            frontend = world.another(users=["cyrus:{PLAIN}cyruspw"], auth=f'saslauthd = "{run}/mux"').start()
            session = world.keep(Conversation(frontend.address))
            session.login(user, "wrong").no("AUTHENTICATIONFAILED")
            session.login(user, user + "pw").ok()
            session.select("INBOX").ok()
        finally:
            os.killpg(daemon.pid, signal.SIGKILL)
            daemon.wait(10)
        session = world.keep(Conversation(frontend.address))
        session.login(user, user + "pw").no("UNAVAILABLE")
        session.in_step()
