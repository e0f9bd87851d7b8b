"""`ravenry demo`: a murder of ours in one process; and several roles of one configuration."""

import os
import re
import signal
import subprocess
import tempfile
import time
from pathlib import Path

from imap_client import Conversation, message
from marks import needs, ours
from murder import BINARY, Server, poll

FREE = ("--imap", "0", "--imaps", "0", "--lmtp", "0", "--lmtp-bob", "0")
READY_WITHIN = 60


class Demo:
    """A demo that runs, with a TMPDIR of its own."""

    def __init__(self, tmp, *options):
        environment = {**os.environ, "TMPDIR": str(tmp)}
        self.process = subprocess.Popen([BINARY, "demo", *options], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                        stderr=subprocess.STDOUT, env=environment)
        self.shown = b""
        os.set_blocking(self.process.stdout.fileno(), False)

    def until(self, text):
        def there():
            self.shown += self.process.stdout.read() or b""
            assert text in self.shown or self.process.poll() is None, f"the demo ended: {self.shown.decode()}"
            return text in self.shown
        poll(f"the demo to say {text}", READY_WITHIN, there)
        return self.shown.decode()

    def ended(self, how=signal.SIGINT, within=10):
        start = time.monotonic()
        self.process.send_signal(how)
        code = self.process.wait(timeout=30)
        assert time.monotonic() - start < within, f"the end took {time.monotonic() - start:.1f} s"
        self.process.stdout.close()
        return code


def run(tmp, *options):
    """A demo that ends by itself: its exit code and what it said."""
    done = subprocess.run([BINARY, "demo", *options], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          env={**os.environ, "TMPDIR": str(tmp)}, timeout=120, text=True)
    return done.returncode, done.stdout


def directory(world):
    return Path(tempfile.mkdtemp(prefix="demo-", dir=world.murder.directory))


@ours
def test_demo_check(world):
    """The scripted client passes, and nothing is left."""
    tmp = directory(world)
    code, said = run(tmp, "--check")
    assert code == 0, said
    assert re.fullmatch(r"1\d passed, 0 failed", said.splitlines()[-1]), said
    assert sum(line.startswith("ok ") for line in said.splitlines()) >= 15, said
    assert os.listdir(tmp) == [], os.listdir(tmp)


@ours
def test_demo_check_can_fail(world):
    """Messages whose files are gone: the steps that read them fail, the others pass, and the exit code says so."""
    tmp = directory(world)
    state = tmp / "state"
    code, said = run(tmp, "--check", "--state-dir", state)
    assert code == 0, said
    files = list((state / "backend2/spool").glob("mail/*/*/*.eml"))
    assert len(files) > 100, len(files)
    for file in files:
        file.unlink()
    code, said = run(tmp, "--check", "--state-dir", state)
    assert code == 1, said
    assert re.search(r"^FAIL SELECT and FETCH", said, re.M), said
    assert re.search(r"^ok   LIST", said, re.M), said
    last = re.fullmatch(r"(\d+) passed, (\d+) failed", said.splitlines()[-1])
    assert last and int(last[1]) > 5 and int(last[2]) >= 1, said


class Running:
    """A demo on free ports, killed where a test fails, and that leaves nothing."""

    def __init__(self, world, *options):
        self.tmp, self.options = directory(world), options

    def __enter__(self):
        self.demo = Demo(self.tmp, *FREE, *self.options)
        self.shown = self.demo.until(b"Ctrl-C ends it.")
        return self

    def __exit__(self, kind, *_):
        if self.demo.process.poll() is None:
            self.demo.process.kill()
            self.demo.process.wait()
        if kind is None and not self.options:
            assert os.listdir(self.tmp) == [], os.listdir(self.tmp)

    def port(self, what):
        return int(re.search(rf"{what} (\d+)", self.shown)[1])

    def type(self, programs, answers):
        """Types the lines that begin with these programs, and looks for a piece of each one's answer."""
        lines = re.findall(rf"^  ((?:{programs}).*)$", self.shown, re.M)
        assert len(lines) == len(answers), lines
        for line, answer in zip(lines, answers):
            done = subprocess.run(["bash", "-c", line], stdin=subprocess.DEVNULL, capture_output=True, timeout=30)
            assert done.returncode == 0, (line, done)
            assert answer in done.stdout, (line, done.stdout[-2000:], done.stderr[-2000:])


@ours
@needs("curl", "openssl")
def test_demo_commands(world):
    """What it prints works as it is printed; Ctrl-C ends it at once, whoever is connected."""
    with Running(world) as running:
        running.type("curl|printf|/", [
            b"shared.two", b"Message-ID: <", b"Message-ID: <", b"* SEARCH ", b"", b"\r\nSubject: ", b"b OK [READ-WRITE]",
            b"user.alice", b"\nshared.two\tactive\tbackend2.test!default\t", b"connections_open"])
        with Conversation(("127.0.0.1", running.port("IMAP"))) as session:
            session.login("alice", "alicepw").ok()
            assert session.exists(session.select("shared.two").ok()) == 46, "45, and one that was copied there"
            left = os.listdir(running.tmp)
            assert len(left) == 1 and left[0].startswith("ravenry-demo-"), left
            session.go_ahead(session.start("IDLE"))
            assert running.demo.ended(within=5) == 0


@ours
@needs("swaks")
def test_demo_swaks(world):
    """Mail by LMTP, as it is printed, is there at the frontend."""
    with Running(world) as running:
        running.type("swaks", [b"250 2.1.5", b"250 2.1.5"])
        for user, count in (("alice", 110), ("bob", 80)):
            with Conversation(("127.0.0.1", running.port("IMAP"))) as session:
                session.login(user, user + "pw").ok()
                assert session.exists(session.select("INBOX").ok()) == count + 1
                assert b"Soup again?" in session.body(count + 1)
        assert running.demo.ended() == 0


@ours
def test_demo_keeps_a_state_directory(world):
    """--state-dir: what was done is there the next time, and mail isn't put into it twice. Another's directory is refused."""
    state = directory(world) / "deep/state"
    for round_ in (1, 2):
        with Running(world, "--state-dir", state) as running:
            with Conversation(("127.0.0.1", running.port("IMAP"))) as session:
                session.login("bob", "bobpw").ok()
                assert session.exists(session.select("INBOX").ok()) == 79 + round_
                session.append("INBOX", message(f"round {round_}")).ok()
                if round_ == 1:
                    session.command("CREATE INBOX.Kept").ok()
                else:
                    session.select("INBOX.Kept").ok()
            code, said = run(running.tmp, *FREE, "--state-dir", state)
            assert code == 1 and "another demo runs there" in said, said
            assert running.demo.ended(signal.SIGTERM) == 0
            assert os.listdir(running.tmp) == [], os.listdir(running.tmp)
    log = (state / "log").read_text()
    for label in ("master", "backend1", "backend2", "frontend"):
        assert re.search(rf"INFO  {label} ravenry: ready", log) and re.search(rf"INFO  {label} ravenry: stopped", log), label
    other = directory(world)
    (other / "file").write_text("somebody's")
    code, said = run(other, "--state-dir", other)
    assert code == 1 and "isn't empty" in said, said
    assert os.listdir(other) == ["file"]


@ours
def test_demo_says_which_port_is_taken(world):
    """By another demo, too, whose listeners would share it. A demo ends with its terminal."""
    with Running(world) as running:
        port = running.port("IMAPS")
        code, said = run(running.tmp, "--imap", "0", "--imaps", str(port))
        assert code == 1 and f"port {port} of 127.0.0.1 is taken" in said and "--imaps PORT" in said, said
        assert running.demo.ended(signal.SIGHUP) == 0


ALL_ROLES = """\
servername = "{name}.ravenry.test"
state_dir = "state"
shards = 2
admins = ["cyrus"]

[auth]
passwd_file = "users"

[mupdate.client]
server = "{master}:3905"
authname = "{name}"
password = "mupdatepw"

[proxy]
imap = ["{host}:1143"]
admin_actions = "own"
[proxy.upstream]
authname = "mailproxy"
password = "mailproxypw"
hosts = {{ "one.ravenry.test" = "{net}.66:2143", "two.ravenry.test" = "{net}.67:2143" }}

[backend]
imap = ["{host}:2143"]
lmtp = ["{host}:2003"]
partitions = {{ default = "spool" }}
proxy_users = ["mailproxy"]
autocreate_inbox = false
"""

MASTER = """
[mupdate.server]
listen = ["{master}:3905"]
[mupdate.server.users]
one = {{ password = "mupdatepw", server = "one.ravenry.test" }}
two = {{ password = "mupdatepw", server = "two.ravenry.test" }}
"""


class AllRoles(Server):
    """A frontend and a backend in one process; the first has the master, too."""

    def __init__(self, world, name, last, more=""):
        net = world.murder.net
        host = f"{net}.{last}"
        self.address, self.backend = (host, 1143), (host, 2143)
        passwd = "".join(f"{user}:{{PLAIN}}{user}pw\n" for user in ("alice", "bob", "cyrus", "mailproxy"))
        config = (ALL_ROLES + more).format(name=name, host=host, net=net, master=f"{net}.66")
        super().__init__(name, directory(world) / name, config, [("users", passwd)])

    def greets(self):
        try:
            with Conversation(self.address, deadline=5) as conversation:
                return conversation.greeting.word
        except OSError:
            return None


@ours
def test_roles_of_one_configuration(world):
    """Frontend, backend and master in one process, frontend and backend in another: each finds each, and itself."""
    one = AllRoles(world, "one", 66, MASTER).start()
    two = AllRoles(world, "two", 67).start()
    try:
        with Conversation(one.address) as admin:
            admin.login("cyrus", "cyruspw").ok()
            for user, server in (("alice", "one"), ("bob", "two")):
                def made():
                    return admin.command(f"CREATE user.{user} {server}.ravenry.test").status == "OK"
                poll("the backend to find the master", 15, made)
        text = message("one process")
        with Conversation(two.address) as session:
            session.login("alice", "alicepw").ok()
            session.command("CREATE INBOX.Sent").ok()
            session.append("INBOX.Sent", text).ok()
            session.command("SETACL INBOX.Sent bob lrs").ok()
        for server in (two, one):
            server.stop()
        for server in (one, two):
            server.start()
        for server in (one, two):
            with Conversation(server.address) as session:
                session.login("alice", "alicepw").ok()
                assert set(session.listed(session.command('LIST "" "*"').ok())) == {"INBOX", "INBOX.Sent"}
            with Conversation(server.address) as session:
                session.login("bob", "bobpw").ok()
                session.select("INBOX").ok()
                assert session.exists(session.select("user.alice.Sent").ok()) == 1
                assert session.body(1) == text
        with Conversation(one.backend) as session:
            session.login("alice", "alicepw").ok()
            session.select("INBOX.Sent").ok()
        held = [line.split("\t")[:3] for line in one.ctl("mupdate", "list").splitlines()]
        assert held == [["user.alice", "active", "one.ravenry.test!default"], ["user.alice.Sent", "active", "one.ravenry.test!default"],
                        ["user.bob", "active", "two.ravenry.test!default"]], held
    finally:
        two.stop()
        one.stop()


@ours
def test_roles_share_no_listener(world):
    """An address that two roles name is refused: clients would come to either."""
    server = AllRoles(world, "one", 66, MASTER)
    server.config.write_text(server.config.read_text().replace(":2143\"]", ":1143\"]"))
    done = subprocess.run([BINARY, "check", "--config", server.config], capture_output=True, text=True, timeout=20)
    assert done.returncode == 1 and "backend.imap has" in done.stderr and "[proxy] has too" in done.stderr, done
