"""Who is measured: Ravenry's frontend, haproxy, Cyrus' frontend. Each runs on the contestants' CPU, in a cgroup."""

import os
import signal
import subprocess

from cgroup import Cgroup
from site_of import Conversation, DOVECOT_USERS, IMAP, MUPDATE, ROOT, answers, poll, template

BINARY = ROOT / "target/release/ravenry"
OUR_PIPES = 256 << 10  # ShardConfig's pipe_size


class Contestant:
    """A process, and all that it starts, in a cgroup and on a CPU."""

    def __init__(self, site, name, cpu, last):
        self.site, self.name, self.cpu = site, name, cpu
        self.address = (f"{site.net}.{last}", IMAP)
        self.directory = site.directory / name
        self.directory.mkdir(exist_ok=True)
        self.cgroup = Cgroup(f"ravenry-bench-{os.getpid()}-{name}")
        self.process = None

    def target(self, backend):
        """Where a client connects to reach `backend`."""
        return self.address

    def pinned(self, command, **options):
        def enter():
            self.cgroup.enter()
            os.sched_setaffinity(0, {self.cpu})
        return subprocess.Popen(command, preexec_fn=enter, stdin=subprocess.DEVNULL, cwd=self.directory, **options)

    def start(self, command):
        with open(self.directory / "log", "ab") as log:
            self.process = self.pinned(command, stdout=log, stderr=log)
        poll(f"{self.name} to answer", 30, self.is_ready)

    def is_ready(self):
        assert self.process.poll() is None, f"{self.name} ended: {(self.directory / 'log').read_text()[-2000:]}"
        return answers(self.address)

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(40)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.cgroup.remove()


class Ravenry(Contestant):
    """As it is shipped, or another `binary` of it; `more` goes into [proxy.upstream]."""

    def __init__(self, site, cpu, name="ravenry", last=42, binary=BINARY, more=""):
        super().__init__(site, name, cpu, last)
        host, port = self.address
        template("ravenry.toml", self.directory / "ravenry.toml", address=f"{host}:{port}", port=IMAP,
                 backend1=site.address("backend1")[0], backend3=site.address("dovecot")[0],
                 master=f"{site.net}.11:{MUPDATE}", more=more)
        (self.directory / "users").write_text(site.passwd())
        for secret in ("users", "ravenry.toml"):
            (self.directory / secret).chmod(0o600)
        self.start([binary, "serve", "--config", "ravenry.toml"])


class Haproxy(Contestant):
    """It knows nothing of users: a listener each for the two backends, told apart by the last octet."""

    def __init__(self, site, cpu, name, last, splice=False, pipesize=None):
        super().__init__(site, name, cpu, last)
        self.addresses = {"backend1": (f"{site.net}.{last}", IMAP), "dovecot": (f"{site.net}.{last + 1}", IMAP)}
        config = ""
        for backend, (host, port) in self.addresses.items():
            file = self.directory / "haproxy.cfg"
            template("haproxy.cfg", file, address=f"{host}:{port}",
                     backend="{}:{}".format(*site.address(backend)),
                     splice="option splice-request\n    option splice-response" if splice else "",
                     pipesize=f"tune.pipesize {pipesize}" if pipesize else "")
            text = file.read_text()
            config += text if not config else text[text.index("listen imap"):].replace("listen imap", "listen other")
        (self.directory / "haproxy.cfg").write_text(config)
        self.start(["haproxy", "-db", "-f", "haproxy.cfg"])

    def target(self, backend):
        return self.addresses[backend]


class Cyrus(Contestant):
    """Cyrus' frontend. `waiting` imapd processes are forked before anybody comes; each serves `uses` clients."""

    def __init__(self, site, cpu, name, waiting, uses):
        super().__init__(site, name, cpu, 14)
        murder = site.murder
        up = self.pinned([ROOT / "tests/testbed/cyrus-murder", "up", "--nodes", "frontend", "--prefork", str(waiting),
                          "--uses", str(uses)], env=murder.environment, stdout=subprocess.DEVNULL)
        assert up.wait(60) == 0, "Cyrus' frontend doesn't start"
        site.know_names()
        poll("Cyrus' frontend to fork", 30, lambda: len(self.cgroup.pids()) >= waiting + 2)
        poll("Cyrus' frontend to have the list", 30, self.knows_all)

    def knows_all(self):
        with Conversation(self.address) as session:
            session.login(f"d{DOVECOT_USERS:04}", "pw").ok()
            return session.command('LIST "" INBOX').ok().of("LIST") != []

    def stop(self):
        self.site.murder.down("frontend")
        self.cgroup.remove()
