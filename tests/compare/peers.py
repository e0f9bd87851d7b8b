"""The three servers that are compared, each on an address of its own: our backend, and Dovecot and Cyrus from Debian.

Clients see the same namespace at all three: INBOX, and what is below it as INBOX.name.
"""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "system"))

from imap_client import Broken, Conversation, quoted  # noqa: E402
from murder import IMAP, ROOT, Murder, Server, poll  # noqa: E402

USERS = ["reader", "finder", "keeper", "sorter"]
DEADLINE = 60.0
KEPT = ROOT / "target/compare"

DOVECOT = """\
base_dir = {dir}/run
state_dir = {dir}/state
log_path = {dir}/log
protocols = imap
listen = {host}
ssl = no
disable_plaintext_auth = no
auth_mechanisms = plain login
first_valid_uid = 1
mail_location = sdbox:~/mail
mail_save_crlf = yes
mail_max_keyword_length = 500
imap_max_line_length = 1M
service imap {{
  executable = {programs}/imap
}}
service imap-hibernate {{
  executable = {programs}/imap-hibernate
}}
service imap-urlauth {{
  executable = {programs}/imap-urlauth
}}
service imap-urlauth-login {{
  executable = {programs}/imap-urlauth-login
}}
service imap-urlauth-worker {{
  executable = {programs}/imap-urlauth-worker
}}
service imap-login {{
  executable = {programs}/imap-login
  inet_listener imap {{
    port = {port}
  }}
  inet_listener imaps {{
    port = 0
  }}
}}
passdb {{
  driver = passwd-file
  args = scheme=PLAIN username_format=%u {dir}/users
}}
userdb {{
  driver = static
  args = uid=mail gid=mail home={dir}/home/%u
}}
namespace inbox {{
  inbox = yes
  separator = .
  prefix = INBOX.
}}
"""

OURS = """\
servername = "compared.test"
state_dir = "state"
shards = 1
admins = ["cyrus"]
[auth]
passwd_file = "users"
[backend]
imap = ["{host}:{port}"]
partitions = {{ default = "spool" }}
"""


class Peer:
    """A server; `open` gives a session of a user."""

    name = ""

    def __init__(self, address):
        self.address = address

    def open(self, user):
        session = Conversation(self.address, DEADLINE)
        session.login(user, user + "pw").ok()
        return session

    def stop(self):
        """Ends what was started."""


class Cyrus(Peer):
    """A backend of the testbed's murder."""

    name = "cyrus"

    def __init__(self, murder):
        super().__init__(murder.address("backend1"))
        with Conversation(self.address, DEADLINE) as admin:
            admin.login("cyrus", "cyruspw").ok()
            for user in USERS:
                admin.command("CREATE ", quoted("user." + user))
                if not admin.command('LIST "" ', quoted("user." + user)).of("LIST"):
                    raise AssertionError(f"Cyrus doesn't make user.{user}")

    def open(self, user):
        session = Conversation(self.address, DEADLINE)
        session.login_as("mailproxy", "proxypw", user).ok()
        return session


def unpacked(package):
    """Where the programs of one of Dovecot's packages are. Debian's cyrus-imapd and dovecot-imapd can't be installed together
    (each is the one imap-server), so the archive is unpacked in a directory of ours, beside the dovecot-core there is."""
    folder = KEPT / "dovecot"
    done = folder / f"{package}.unpacked"
    if not done.exists():
        folder.mkdir(parents=True, exist_ok=True)
        run("apt-get", "-qq", "download", package, cwd=folder)
        run("dpkg-deb", "-x", next(folder.glob(f"{package}_*.deb")), folder / "root")
        done.touch()
    return folder / "root/usr/lib/dovecot"


def run(*command, cwd=None):
    done = subprocess.run(command, cwd=cwd, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, f"{command[0]}: {done.stderr.strip()}"
    return done.stdout


class Dovecot(Peer):
    """A private instance, its mail in sdbox: files that hold what was sent."""

    name = "dovecot"

    def __init__(self, directory, host):
        super().__init__((host, IMAP))
        self.directory = directory
        for part in ("home", "state"):
            (directory / part).mkdir(parents=True)
        shutil.chown(directory / "home", "mail", "mail")
        (directory / "users").write_text("".join(f"{user}:{user}pw\n" for user in USERS))
        (directory / "dovecot.conf").write_text(DOVECOT.format(dir=directory, host=host, port=IMAP,
                                                                 programs=unpacked("dovecot-imapd")))
        with open(directory / "out", "wb") as out:
            self.process = subprocess.Popen(["dovecot", "-F", "-c", directory / "dovecot.conf"], stdin=subprocess.DEVNULL,
                                            stdout=out, stderr=out, start_new_session=True)
        poll("Dovecot to listen", 20, self.answers)

    def answers(self):
        assert self.process.poll() is None, "Dovecot ended: " + (self.directory / "out").read_text()
        try:
            with Conversation(self.address, 5) as session:
                return session.greeting.word == b"OK"
        except (OSError, Broken):
            return False

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


class Ravenry(Server):
    """Our backend alone."""

    def __init__(self, directory, host):
        self.address = (host, IMAP)
        users = "".join(f"{user}:{{PLAIN}}{user}pw\n" for user in ["cyrus", *USERS])
        super().__init__("compared", directory, OURS.format(host=host, port=IMAP), [("users", users)])

    def greets(self):
        assert self.process.poll() is None, f"{self.name} ended: {self.log.read_text()[-2000:]}"
        try:
            with Conversation(self.address, 5) as session:
                return session.greeting.word
        except (OSError, Broken):
            return None


class Ours(Peer):
    name = "ours"

    def __init__(self, directory, host):
        super().__init__((host, IMAP))
        self.server = Ravenry(directory, host).start()

    def stop(self):
        self.server.stop()


class Peers:
    """All of them, for a `with` block. `murder`: whose backend is the Cyrus; one is started where there is none."""

    def __init__(self, murder=None):
        self.murder, self.own = murder, None
        self.peers = []

    def __enter__(self):
        if self.murder is None:
            self.own = self.murder = Murder("--set", "munge8bit=no", nodes="mupdate,backend1")
        self.directory = self.murder.directory / "compared"
        try:
            self.directory.mkdir()
            self.directory.chmod(0o755)
            net = self.murder.net
            self.peers.append(Ours(self.directory / "ours", f"{net}.61"))
            self.peers.append(Cyrus(self.murder))
            self.peers.append(Dovecot(self.directory / "dovecot", f"{net}.62"))
        except BaseException:
            self.__exit__()
            raise
        return self.peers

    def __exit__(self, *_):
        try:
            for peer in self.peers:
                peer.stop()
        finally:
            for peer in self.peers:
                if isinstance(peer, Ours):
                    peer.server.kill()
            shutil.rmtree(self.directory, ignore_errors=True)
            if self.own:
                self.own.close()
