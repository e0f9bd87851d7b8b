"""A murder of ours as processes: a master, two backends that are its members, two frontends; each can be killed."""

import shutil
import tempfile
from pathlib import Path

from imap_client import Broken, Conversation
from mupdate_client import Mupdate
from mupdate_server import CLIENT
from murder import DOMAIN, IMAP, MUPDATE, Server, claim_net

LMTP = 2003
MASTER = """\
servername = "mupdate.{domain}"
state_dir = "state"
shards = 1
[mupdate.server]
listen = ["{host}:{port}"]
[mupdate.server.users]
backend1 = {{ password = "mupdatepw", server = "backend1.{domain}" }}
backend2 = {{ password = "mupdatepw", server = "backend2.{domain}" }}
frontend = {{ password = "mupdatepw", write = false }}
"""
COMMON = """\
servername = "{name}.{domain}"
state_dir = "state"
shards = 2
admins = ["cyrus"]
[auth]
passwd_file = "users"
[limits]
login_delay = "100ms"
login_delay_max = "100ms"
login_failures = 1000
{client}
"""
BACKEND = COMMON + """
[backend]
imap = ["{host}:{imap}"]
lmtp = ["{host}:{lmtp}"]
partitions = {{ default = "spool" }}
proxy_users = ["mailproxy"]
"""
FRONTEND = COMMON + """
[proxy]
imap = ["{host}:{imap}"]
[proxy.upstream]
authname = "mailproxy"
password = "proxypw"
ports = {{ imap = {imap} }}
hosts = {{ "backend1.{domain}" = "{net}.12", "backend2.{domain}" = "{net}.13" }}
"""


class Part(Server):
    """A part whose address greets."""

    def greets(self):
        assert self.process.poll() is None, f"{self.name} ended: {self.log.read_text()[-2000:]}"
        try:
            with Conversation(self.address, deadline=5) as conversation:
                return conversation.greeting.word
        except (OSError, Broken):
            return None


class Master(Part):
    def greets(self):
        assert self.process.poll() is None, f"{self.name} ended: {self.log.read_text()[-2000:]}"
        try:
            Mupdate(self.address, None).close()
            return b"OK"
        except (OSError, Broken):
            return None


class Site:
    def __init__(self, users):
        self.directory = Path(tempfile.mkdtemp(prefix="ravenry-chaos-"))
        self.net, self.claim = claim_net()
        passwd = "".join(f"{user}:{{PLAIN}}{user}pw\n" for user in [*users, "cyrus"]) + "mailproxy:{PLAIN}proxypw\n"
        self.master = self.part(Master, "mupdate", 11, MASTER, MUPDATE, passwd)
        self.backends = [self.part(Part, f"backend{n}", 11 + n, BACKEND, IMAP, passwd) for n in (1, 2)]
        self.frontends = [self.part(Part, f"frontend{n}", 40 + n, FRONTEND, IMAP, passwd) for n in (1, 2)]
        self.parts = [self.master, *self.backends, *self.frontends]

    def part(self, kind, name, last, config, port, passwd):
        host = f"{self.net}.{last}"
        account = "frontend" if name.startswith("frontend") else name
        client = CLIENT.format(host=f"{self.net}.11", port=MUPDATE, account=account)
        text = config.format(name=name, domain=DOMAIN, host=host, port=port, imap=IMAP, lmtp=LMTP, net=self.net, client=client)
        made = kind(name, self.directory / name, text, [("users", passwd)])
        made.address = (host, port)
        return made

    def start(self):
        for part in self.parts:
            part.start()
        return self

    def close(self):
        for part in self.parts:
            part.kill()
        self.claim.close()
        shutil.rmtree(self.directory, ignore_errors=True)

    def login(self, part, user, deadline):
        """A session, logged in; any failure closes it."""
        session = Conversation(part.address, deadline)
        try:
            session.login(user, "cyruspw" if user == "cyrus" else user + "pw").ok()
        except BaseException:
            session.close()
            raise
        return session

    def at_master(self):
        """What the master holds: name to (server, ACL); those that are active, and those that aren't."""
        with Mupdate(self.master.address, "frontend") as session:
            records = session.update().values()
        active = {r.name: (r.server.split(".")[0], r.acl) for r in records if r.kind == "MAILBOX"}
        return active, {r.name for r in records if r.kind != "MAILBOX"}

    def at_backend(self, backend):
        """What a backend has: name to (server, ACL)."""
        found = {}
        with self.login(backend, "cyrus", 60) as admin:
            for name in admin.listed(admin.command('LIST "" "*"').ok()):
                answer = admin.command(f'GETACL "{name}"').ok().of("ACL")[0].tree()[2:]
                acl = "".join(f"{entry.decode()}\t" for entry in answer)
                found[name] = (backend.name, acl)
        return found
