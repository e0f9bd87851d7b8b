"""A murder of ours as processes: a master, two backends that are its members, a frontend; and how each is started so
that it dies at a fault point, or under strace, and what is on its disk.

What a server has to find again after a crash is in one directory of it, `durable`. Users log in with NAMEpw.
"""

import shutil
import tempfile
from pathlib import Path

from backend_server import BackendServer
from imap_client import Conversation
from mupdate_server import MupdateServer
from murder import DOMAIN, HOSTS, IMAP, MUPDATE, Frontend, Server, claim_net
from power_loss import Record

USERS = [f"c{n:03}" for n in range(1, 401)]
ADMIN, OTHER = "cyrus", "bob"
# beside the addresses of those that live: for what is left of one that died
BESIDE = {"mupdate": 31, "backend1": 32, "backend2": 33}
# what a start makes anew; the name of a mailbox beside its messages is for those who look at the files
IGNORE = ("lock.mdb", "owner.lock", "ctl.sock", "name")

BACKEND = """\
servername = "{name}.{domain}"
state_dir = "data/state"
shards = 1
admins = ["{admin}"]
[limits]
login_delay = "100ms"
login_delay_max = "100ms"
login_failures = 1000
[auth]
passwd_file = "users"

[backend]
imap = ["{host}:{port}"]
partitions = {{ default = "data/spool" }}
proxy_users = ["mailproxy"]
autocreate_inbox = false
"""

MEMBER = """
[mupdate.client]
server = "{net}.{master}:{port}"
authname = "{name}"
password = "mupdatepw"
"""


def passwd():
    return [f"{name}:{{PLAIN}}{name}pw" for name in [ADMIN, OTHER, *USERS]] + ["mailproxy:{PLAIN}proxypw"]


class Backend(Server):
    """A member; `alone`: what is left of one, at an address beside it and without a murder."""

    greets = BackendServer.greets

    def __init__(self, murder, name, directory, alone=False):
        self.address = (f"{murder.net}.{BESIDE[name] if alone else HOSTS[name]}", IMAP)
        config = BACKEND.format(name=name, domain=DOMAIN, admin=ADMIN, host=self.address[0], port=IMAP)
        if not alone:
            config += MEMBER.format(net=murder.net, master=HOSTS["mupdate"], port=MUPDATE, name=name)
        super().__init__(name, directory, config, [("users", "".join(f"{line}\n" for line in passwd()))])
        self.durable = directory / "data"
        self.durable.mkdir()


class OurMurder:
    def __init__(self):
        self.directory = Path(tempfile.mkdtemp(prefix="ravenry-test-"))
        self.net, self.claim = claim_net()
        self.users = iter(USERS)
        self.others = []  # what is left of the dead
        master = MupdateServer(self.net, self.directory, last=HOSTS["mupdate"])
        frontend = Frontend(self, passwd(), last=HOSTS["frontend"], shards=1)
        master.durable, frontend.durable = master.directory / "state", frontend.directory / "state"
        backends = {name: Backend(self, name, self.directory / name) for name in ("backend1", "backend2")}
        self.servers = {"master": master, **backends, "frontend": frontend}
        try:
            for server in self.servers.values():
                server.start()
        except BaseException:
            self.close()
            raise

    def restart(self, role):
        """As it was: the same directory, no fault point."""
        server = self.servers[role]
        server.environment, server.under = {}, []
        server.start()

    def arm(self, role, point, recorded):
        """Starts it anew, so that it dies at the point; `recorded`: with all that it writes and syncs, which is given."""
        server = self.servers[role]
        server.idle = None  # others have connections to it
        server.stop()
        server.environment = {"RAVENRY_DIE_AT": point}
        record = None
        if recorded:
            record = Record(server.durable, IGNORE).begin_with_what_is_there()
            server.under = Record.command(server.directory / "strace")
        server.start(ready=not recorded)
        return record

    def lose_what_is_unsynced(self, role, record, dice):
        """The disk as it may be after a cut at the moment of the crash: nothing of what wasn't synced."""
        server = self.servers[role]
        output = server.directory / "strace"
        record.read(output)
        output.unlink()
        held = record.disk(record.last + 1, dice, "none")
        shutil.rmtree(server.durable)
        server.durable.mkdir()
        record.lay_out(held, server.durable)

    def remains(self, role):
        """A server of the same kind on a copy of what a dead one left, without a murder around it."""
        dead = self.servers[role]
        folder = Path(tempfile.mkdtemp(prefix="remains-", dir=self.directory))
        if role == "master":
            spare = MupdateServer(self.net, folder, last=BESIDE["mupdate"])
            spare.durable = spare.directory / "state"
        else:
            spare = Backend(self, role, folder / role, alone=True)
        shutil.copytree(dead.durable, spare.durable, dirs_exist_ok=True, ignore=shutil.ignore_patterns(*IGNORE[:-1]))
        self.others.append(spare)
        return spare.start()

    def bury(self):
        """Ends what was started by `remains`."""
        for spare in self.others:
            spare.kill()
            shutil.rmtree(spare.directory.parent)
        self.others.clear()

    def session(self, role, user):
        session = Conversation(self.servers[role].address)
        session.login(user, user + "pw").ok()
        return session

    def finish(self):
        """All end by themselves, without a panic or a leak; who follows goes first."""
        for server in reversed(self.servers.values()):
            server.stop()

    def close(self):
        for server in [*self.others, *self.servers.values()]:
            server.kill()
        self.claim.close()
        shutil.rmtree(self.directory, ignore_errors=True)
