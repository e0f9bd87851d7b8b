"""What a system test runs on: a real Cyrus murder, and our frontends before it, as processes of their own.

`Murder` drives tests/testbed/cyrus-murder; `Frontend` is one `ravenry serve`, checked when it stops: still
alive, no panic in its log, no descriptor leaked, and gone within its grace after SIGTERM.
"""

import os
import re
import selectors
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

from imap_client import Broken, Conversation

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "tests/testbed/cyrus-murder"
BINARY = Path(os.environ.get("RAVENRY_BIN") or ROOT / "target/debug/ravenry")
IMAP, IMAPS, MUPDATE = 1143, 1993, 3905
HOSTS = {"mupdate": 11, "backend1": 12, "backend2": 13, "frontend": 14}
DOMAIN = "murder.test"


def poll(what, seconds, condition):
    """Waits until `condition()` holds and gives its value; says what it waited for otherwise."""
    until = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < until, f"waited {seconds} s for {what}"
        time.sleep(0.02)
    return value


def logged(server, text):
    """The server says so in its log, or will soon: another thread writes it."""
    poll(f"{text!r} in the log", 10, lambda: text in server.log.read_text())


def readable(files, seconds):
    """Those that can be read by then, of any number (`select` has room for file descriptors up to 1,024)."""
    with selectors.DefaultSelector() as selector:
        for file in files:
            selector.register(file, selectors.EVENT_READ)
        return [key.fileobj for key, _ in selector.select(seconds)]


def claim_net():
    """A 127.x.y that no other testbed of this machine uses, and the socket that keeps it ours."""
    for n in range(500):
        net = f"127.{70 + n // 250}.{(os.getpid() + n) % 250}"
        claim = socket.socket()
        try:
            claim.bind((f"{net}.1", MUPDATE))
            with socket.socket() as master:  # nor anybody's murder that was started by hand
                master.bind((f"{net}.{HOSTS['mupdate']}", MUPDATE))
            return net, claim
        except OSError:
            claim.close()
    raise RuntimeError("no free loopback network for the testbed")


class Murder:
    """Debian's Cyrus: master, two backends, and a Cyrus frontend as the oracle. `before` is called when the
    addresses are known and no node runs yet."""

    def __init__(self, *options, nodes="mupdate,backend1,backend2,frontend", directory=None, before=None):
        self.directory = Path(directory or tempfile.mkdtemp(prefix="ravenry-test-"))
        self.directory.chmod(0o755)
        self.net, self.claim = claim_net()
        self.environment = dict(os.environ, TESTBED_DIR=str(self.directory / "cyrus"), TESTBED_NET=self.net)
        if before:
            before(self)
        self.run("up", "--nodes", nodes, *options)

    def run(self, *arguments):
        done = subprocess.run([SCRIPT, *arguments], env=self.environment, text=True, timeout=120,
                              stdin=subprocess.DEVNULL, capture_output=True)
        if done.returncode:
            raise RuntimeError(f"cyrus-murder {' '.join(arguments)}: {done.stderr.strip() or done.stdout.strip()}")
        return done.stdout

    def up(self, node):
        self.run("up", "--nodes", node)

    def down(self, node):
        self.run("down", "--nodes", node)

    def address(self, node):
        return f"{self.net}.{HOSTS[node]}", MUPDATE if node == "mupdate" else IMAP

    def syslog(self):
        return self.directory / "cyrus/syslog"

    def close(self):
        try:
            self.run("down", "--wipe")
        finally:
            self.claim.close()
            shutil.rmtree(self.directory, ignore_errors=True)


CONFIG = """\
servername = "{name}.{domain}"
state_dir = "state"
shards = {shards}
admins = {admins}
{top}
[auth]
{auth}

[proxy]
imap = ["{host}:{port}"]
{proxy}

[proxy.upstream]
authname = "mailproxy"
password = "proxypw"
{upstream}
ports = {{ imap = {backends} }}
hosts = {{ "backend1.{domain}" = "{backend1}", "backend2.{domain}" = "{backend2}" }}

[mupdate.client]
server = "{net}.11:{mupdate}"
authname = "{account}"
password = "mupdatepw"
{master}
"""


class Server:
    """One `ravenry serve` with a directory, a configuration and a log of its own."""

    def __init__(self, name, directory, config, files=()):
        """`files`: more that the configuration names, as pairs of a name and the text."""
        self.name, self.directory = name, directory
        self.directory.mkdir()
        self.config = self.directory / "ravenry.toml"
        for file, text in [(self.config.name, config), *files]:
            (self.directory / file).write_text(text)
            (self.directory / file).chmod(0o600)
        self.log = self.directory / "log"
        self.process = None
        self.idle = None
        self.under = []  # a command that runs the server
        self.environment = {}  # variables beside those of the tests

    def start(self, ready=True):
        starts = self.starts()
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen([*self.under, BINARY, "serve", "--config", self.config], cwd=self.directory,
                                            env={**os.environ, **self.environment}, stdin=subprocess.DEVNULL, stdout=log,
                                            stderr=log)
        poll(f"{self.name} to listen", 20, lambda: self.greets() is not None)
        poll(f"{self.name} to be bound on all shards", 20, lambda: self.starts() > starts or self.runs())
        if ready:
            poll(f"{self.name} to have the list", 20, lambda: self.greets() == b"OK")
            self.idle = self.descriptors()
        return self

    def runs(self):
        """Fails if it has ended by itself, with what it said last."""
        if self.process.poll() is not None:
            last = " | ".join(self.log.read_text(errors="replace").splitlines()[-5:])
            raise AssertionError(f"{self.name} died with {self.process.returncode}: {last}")

    def starts(self):
        """How often its log says that all of it runs: one shard may answer before another is there."""
        return len(re.findall(r' ready shards=|"message":"ready"', self.log.read_text())) if self.log.exists() else 0

    def descriptors(self):
        """How many descriptors it has open, its pool of pipes left out."""
        count, folder = 0, f"/proc/{self.process.pid}/fd"
        for entry in os.listdir(folder):
            try:
                count += not os.readlink(f"{folder}/{entry}").startswith("pipe:")
            except FileNotFoundError:
                pass
        return count

    def ctl(self, *command):
        done = subprocess.run([BINARY, "ctl", "--config", self.config, *command], cwd=self.directory,
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=20)
        assert done.returncode == 0, f"ravenry ctl {' '.join(command)}: {done.stderr}"
        return done.stdout

    def stat(self, name):
        """A counter of `ravenry ctl stats`, by its name and labels."""
        found = re.findall(rf"^\w*{re.escape(name)}\s+(\d+)$", self.ctl("stats"), re.M)
        assert found, f"no {name} in ctl stats"
        return sum(map(int, found))

    def stop(self):
        """SIGTERM, and the checks that hold for every frontend."""
        if not self.process or self.process.returncode is not None:
            return
        self.runs()
        leak = self.leaked()
        self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(30)
        except subprocess.TimeoutExpired:
            threads = self.threads()
            self.kill()
            raise AssertionError(f"{self.name} does not end on SIGTERM; its threads wait in {threads}") from None
        assert not leak, leak
        assert code == 0, f"{self.name} ended with {code}"
        self.check_log()

    def leaked(self):
        if self.idle is None:
            return None
        try:
            poll("descriptors", 10, lambda: self.descriptors() <= self.idle)
        except AssertionError:
            return f"{self.name}: {self.descriptors()} descriptors are open, {self.idle} were at idle"
        return None

    def threads(self):
        """What each thread is and where in the kernel it waits."""
        found = []
        for task in Path(f"/proc/{self.process.pid}/task").iterdir():
            try:
                found.append(f"{(task / 'comm').read_text().strip()}: {(task / 'wchan').read_text()}")
            except OSError:
                pass
        return ", ".join(found)

    def check_log(self):
        lines = [line for line in self.log.read_text(errors="replace").splitlines() if "panic" in line]
        assert not lines, f"{self.name} panicked: {lines[0]}"

    def end_under_strace(self):
        """Kills what strace traces; strace goes with it."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        os.kill(int(children[0]), signal.SIGKILL)
        self.process.wait(20)

    def kill(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()


class Frontend(Server):
    """A frontend of ours at an address of its own."""

    def __init__(self, murder, users, last=42, top="", auth='passwd_file = "users"', account="frontend2", **replace):
        self.address = (f"{murder.net}.{last}", IMAP)
        if "[limits]" not in top:  # tests fail to log in by the dozen
            top += '\n[limits]\nlogin_delay = "100ms"\nlogin_delay_max = "100ms"\nlogin_failures = 1000\n'
        name = f"frontend{last - 40}"
        values = dict(name=name, domain=DOMAIN, top=top, auth=auth, host=self.address[0], port=IMAP,
                      net=murder.net, mupdate=MUPDATE, account=account, proxy="", upstream="", master="", admins='["cyrus"]',
                      backends=IMAP, backend1=f"{murder.net}.12", backend2=f"{murder.net}.13", shards=2)
        super().__init__(name, murder.directory / name, CONFIG.format(**{**values, **replace}),
                         [("users", "".join(f"{line}\n" for line in users))])

    def greets(self):
        """The first word of its greeting, if it has one."""
        self.runs()
        try:
            with Conversation(self.address, deadline=5) as conversation:
                return conversation.greeting.word
        except (OSError, Broken):
            return None
