"""What the contestants stand before: Cyrus' MUPDATE master and backend, Dovecot as a second backend, users in both.

All of it runs on one CPU, the load's; its mail is in memory (/dev/shm), so that no disk decides. Users c0001 and on
live at Cyrus, d0001 and on at Dovecot; their passwords are `pw`, stored in plain everywhere.
"""

import pwd
import shutil
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(ROOT / "tests/system"))

from imap_client import Conversation  # noqa: E402, F401
from mupdate_client import Mupdate  # noqa: E402
from murder import DOMAIN, IMAP, MUPDATE, Murder, poll  # noqa: E402, F401

CYRUS_USERS, DOVECOT_USERS = 8, 64
PACKAGES = ROOT / "target/bench/packages"
MAIL = "vmail"


def template(name, into, **values):
    Path(into).write_text((HERE / name).read_text().format(**values))


class Site:
    def __init__(self):
        self.directory = Path(tempfile.mkdtemp(prefix="ravenry-bench-", dir="/dev/shm"))
        self.directory.chmod(0o755)
        self.murder, self.dovecot = None, None
        try:
            (self.directory / "murder").mkdir()
            # Messages that are deleted go at once: a run leaves gigabytes of them.
            self.murder = Murder("--set", "backend1:expunge_mode=immediate", "--set", "backend1:delete_mode=immediate",
                                 nodes="mupdate,backend1", directory=self.directory / "murder")
            self.start_dovecot()
            self.users()
        except BaseException:
            self.close()
            raise

    @property
    def net(self):
        return self.murder.net

    def address(self, node):
        if node == "dovecot":
            return f"{self.net}.23", IMAP
        return self.murder.address(node)

    def start_dovecot(self):
        try:
            pwd.getpwnam(MAIL)
        except KeyError:
            subprocess.run(["useradd", "--system", "--user-group", "--no-create-home", MAIL], check=True)
        folder = self.directory / "dovecot"
        (folder / "mail").mkdir(parents=True)
        folder.chmod(0o755)
        shutil.chown(folder / "mail", MAIL, MAIL)
        host, port = self.address("dovecot")
        template("dovecot.conf", folder / "dovecot.conf", dir=folder, host=host, port=port)
        (folder / "libexec").mkdir()
        for programs in ("/usr/lib/dovecot", PACKAGES / "dovecot-imapd/usr/lib/dovecot"):
            for program in Path(programs).iterdir():
                if not (folder / "libexec" / program.name).exists():
                    (folder / "libexec" / program.name).symlink_to(program)
        (folder / "masters").write_text("mailproxy:proxypw\n")
        self.dovecot = subprocess.Popen(["dovecot", "-F", "-c", folder / "dovecot.conf"], stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            poll("Dovecot to listen", 20, lambda: answers((host, port)))
        except AssertionError:
            raise AssertionError((folder / "log").read_text()[-2000:]) from None

    def users(self):
        for n in range(1, CYRUS_USERS + 1):
            self.murder.run("user", f"c{n:04}", "pw", "backend1")
        for n in range(1, DOVECOT_USERS + 1):
            subprocess.run(["saslpasswd2", "-p", "-c", "-f", self.directory / "murder/cyrus/sasldb2",
                            "-u", f"frontend.{DOMAIN}", f"d{n:04}"], input=b"pw", check=True)
        location = f"backend3.{DOMAIN}!default"
        with Mupdate(self.murder.address("mupdate")) as master:
            for n in range(1, DOVECOT_USERS + 1):
                master.activate(f"user.d{n:04}", location, f"d{n:04}\tlrswipkxtecda\t")

    def passwd(self):
        names = [f"c{n:04}" for n in range(1, CYRUS_USERS + 1)] + [f"d{n:04}" for n in range(1, DOVECOT_USERS + 1)]
        return "".join(f"{name}:{{PLAIN}}pw\n" for name in names)

    def know_names(self):
        """Cyrus' nodes find backends in a table of hosts of their own. Its imapd asks for this host's name in each
        session, too: without an entry that is a question to DNS, and the measurement one of the resolver."""
        host, _ = self.address("dovecot")
        table = self.directory / "murder/cyrus/etc/hosts"
        lines = f"{host} backend3.{DOMAIN} backend3\n127.0.0.1 {socket.gethostname()}\n"
        if lines not in table.read_text():
            with open(table, "a") as hosts:
                hosts.write(lines)

    def empty(self):
        """Takes Dovecot's mail away."""
        folder = self.directory / "dovecot"
        for n in range(1, DOVECOT_USERS + 1):
            subprocess.run(["doveadm", "-c", folder / "dovecot.conf", "expunge", "-u", f"d{n:04}", "mailbox", "INBOX",
                            "all"], check=True, stdin=subprocess.DEVNULL)

    def close(self):
        if self.dovecot:
            self.dovecot.terminate()
            self.dovecot.wait(20)
        if self.murder:
            self.murder.close()
        shutil.rmtree(self.directory, ignore_errors=True)


def answers(address):
    try:
        with socket.create_connection(address, timeout=5) as connection:
            connection.settimeout(5)
            return connection.recv(4) == b"* OK"
    except OSError:
        return False
