"""Who is measured: our backend, Dovecot with sdbox and with maildir, Cyrus. Each alone, on the contestants' CPU, in a cgroup.

The same users, names and passwords everywhere. Nothing of a murder: they store and serve. Everyone has a message on the
disk before it says OK: Cyrus 3.6 syncs a message's file and its databases, Dovecot does with `mail_fsync = always`.
"""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
os.environ["RAVENRY_BIN"] = str(ROOT / "target/release/ravenry")
sys.path[:0] = [str(ROOT / part) for part in ("bench/peers", "tests/compare", "tests/system")]

from cgroup import Cgroup, usage  # noqa: E402
from murder import BINARY, poll  # noqa: E402
from peers import run, unpacked  # noqa: E402

from load import Imap  # noqa: E402

IMAP, LMTP = 1143, 2003
USERS = [f"u{n}" for n in range(16)] + ["many", "huge"]

OURS = """\
servername = "bench.test"
state_dir = "state"
shards = 1
[auth]
passwd_file = "users"
[backend]
imap = ["{host}:{imap}"]
lmtp = ["{host}:{lmtp}"]
partitions = {{ default = "spool" }}
autocreate_inbox = true
[limits]
connections_per_user = 10000
"""

DOVECOT = """\
base_dir = {dir}/run
state_dir = {dir}/state
log_path = {dir}/log
protocols = imap lmtp
listen = {host}
ssl = no
disable_plaintext_auth = no
auth_mechanisms = plain login
auth_username_format = %n
first_valid_uid = 1
mail_location = {location}
mail_fsync = {fsync}
mail_save_crlf = yes
default_vsz_limit = 2G
default_client_limit = 4000
mail_max_userip_connections = 0
service imap {{
  executable = {programs}/imap
  process_limit = 3000
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
  service_count = 0
  inet_listener imap {{
    port = {imap}
  }}
  inet_listener imaps {{
    port = 0
  }}
}}
service lmtp {{
  executable = {programs}/lmtp
  inet_listener lmtp {{
    port = {lmtp}
  }}
}}
passdb {{
  driver = passwd-file
  args = scheme=PLAIN {dir}/users
}}
userdb {{
  driver = static
  args = uid=mail gid=mail home={dir}/home/%u
}}
namespace inbox {{
  inbox = yes
}}
"""

CYRUS = """\
configdirectory: {dir}/conf
servername: bench.test
admins: cyrus
allowplaintext: yes
sasl_pwcheck_method: auxprop
sasl_auxprop_plugin: sasldb
sasl_sasldb_path: {dir}/sasldb2
sasl_mech_list: PLAIN LOGIN
failedloginpause: 0
idlesocket: {dir}/conf/socket/idle
partition-default: {dir}/spool
defaultpartition: default
"""

CYRUS_SERVICES = """\
START {{
  recover cmd="ctl_cyrusdb -C {dir}/imapd.conf -r"
  idled cmd="idled -C {dir}/imapd.conf"
}}
SERVICES {{
  imap cmd="imapd -C {dir}/imapd.conf" listen="{host}:{imap}" prefork=2 maxchild=3000
  lmtp cmd="lmtpd -C {dir}/imapd.conf -a" listen="{host}:{lmtp}" prefork=16
}}
"""


class Contestant:
    """A server: all that it starts is in its cgroup and on its CPU."""

    name = ""

    def __init__(self, directory, host, cpu):
        self.directory, self.host, self.cpu = directory / self.name, host, cpu
        self.imap, self.lmtp = (host, IMAP), (host, LMTP)
        self.directory.mkdir()
        self.directory.chmod(0o755)
        self.words = {"dir": self.directory, "host": host, "imap": IMAP, "lmtp": LMTP}
        self.cgroup = Cgroup(f"ravenry-bench-{os.getpid()}-{self.name}")
        self.process = None
        self.write()

    def write(self):
        """Its configuration."""

    def start(self, *command):
        def enter():
            os.setsid()
            self.cgroup.enter()
            os.sched_setaffinity(0, {self.cpu})
        with open(self.directory / "out", "ab") as out:
            self.process = subprocess.Popen(command, preexec_fn=enter, stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                                            cwd=self.directory)
        poll(f"{self.name} to answer", 30, self.answers)

    def answers(self):
        assert self.process.poll() is None, f"{self.name} ended: {(self.directory / 'out').read_text()[-2000:]}"
        try:
            Imap(self.imap).close()
        except OSError:
            return False
        return True

    def cpu_seconds(self):
        return usage(self.cgroup.cpu_stat.read_text())

    def stop(self):
        if self.process:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(40)
            except subprocess.TimeoutExpired:
                os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait()
        poll(f"{self.name}'s processes to end", 20, lambda: not self.cgroup.pids())
        self.cgroup.remove()


class Ours(Contestant):
    name = "ravenry"

    def write(self):
        (self.directory / "ravenry.toml").write_text(OURS.format(**self.words))
        (self.directory / "users").write_text("".join(f"{user}:{{PLAIN}}pw\n" for user in USERS))
        (self.directory / "users").chmod(0o600)
        self.start(BINARY, "serve", "--config", "ravenry.toml")
        for user in USERS:  # the first login makes the INBOX
            Imap(self.imap, user).close()


class Dovecot(Contestant):
    name, location, fsync = "dovecot-sdbox", "sdbox:~/mail", "always"

    def write(self):
        for part in ("home", "state"):
            (self.directory / part).mkdir()
        shutil.chown(self.directory / "home", "mail", "mail")
        programs = unpacked("dovecot-imapd")
        assert unpacked("dovecot-lmtpd") == programs
        (self.directory / "users").write_text("".join(f"{user}:pw\n" for user in USERS))
        (self.directory / "dovecot.conf").write_text(DOVECOT.format(
            location=self.location, fsync=self.fsync, programs=programs, **self.words))
        self.start("dovecot", "-F", "-c", self.directory / "dovecot.conf")


class DovecotMaildir(Dovecot):
    name, location = "dovecot-maildir", "maildir:~/mail"


class Cyrus(Contestant):
    name = "cyrus"

    def write(self):
        for part in ("db", "socket", "proc", "lock", "log"):
            (self.directory / "conf" / part).mkdir(parents=True)
        (self.directory / "spool").mkdir()
        (self.directory / "imapd.conf").write_text(CYRUS.format(**self.words))
        (self.directory / "cyrus.conf").write_text(CYRUS_SERVICES.format(**self.words))
        for user in ["cyrus", *USERS]:
            subprocess.run(["saslpasswd2", "-p", "-c", "-f", self.directory / "sasldb2", "-u", "bench.test", user],
                           input=b"pw", check=True)
        run("chown", "-R", "cyrus:mail", self.directory)
        self.start("/usr/lib/cyrus/bin/master", "-M", self.directory / "cyrus.conf", "-C", self.directory / "imapd.conf",
                   "-p", self.directory / "pidfile")
        admin = Imap(self.imap, "cyrus")
        for user in USERS:
            admin.ok(b"CREATE user/" + user.encode())
        admin.close()


ALL = {each.name: each for each in (Ours, Dovecot, DovecotMaildir, Cyrus)}
