"""Our parts of a mixed murder: each takes the name and the address of the Cyrus node in whose place it stands.

Their configuration is the default one: what no site could leave out, and `proxy_admins` alone where a Cyrus frontend, which logs
in as its proxy account for an admin too, is before our backend.
"""

from imap_client import Broken, Conversation
from mupdate_client import Mupdate
from murder import DOMAIN, IMAP, MUPDATE, Server

LMTP = 2003

TOP = """\
servername = "{node}.{domain}"
state_dir = "state"
shards = 1
"""

# Tests log in by the dozen, and with wrong passwords.
LIMITS = """
[limits]
login_delay = "100ms"
login_delay_max = "100ms"
login_failures = 1000
"""

USERS = """\
admins = ["cyrus"]

[auth]
passwd_file = "users"
"""

MASTER = """
[mupdate.server]
listen = ["{host}:{mupdate}"]
[mupdate.server.users]
backend1 = {{ password = "mupdatepw", server = "backend1.{domain}" }}
backend2 = {{ password = "mupdatepw", server = "backend2.{domain}" }}
frontend = {{ password = "mupdatepw", write = false }}
backend3 = {{ password = "mupdatepw", write = false }}
"""

CLIENT = """
[mupdate.client]
server = "{net}.11:{mupdate}"
authname = "{node}"
password = "mupdatepw"
"""

BACKEND = """
[backend]
imap = ["{host}:{imap}"]
lmtp = ["{host}:{lmtp}"]
partitions = {{ default = "spool" }}
proxy_users = ["mailproxy"]
{more}
"""

FRONTEND = """
[proxy]
imap = ["{host}:{imap}"]

[proxy.upstream]
authname = "mailproxy"
password = "proxypw"
ports = {{ imap = {imap} }}
hosts = {{ "backend1.{domain}" = "{net}.12", "backend2.{domain}" = "{net}.13" }}
"""

TABLES = {
    "mupdate": (TOP, LIMITS, MASTER),
    "backend1": (TOP, USERS, LIMITS, CLIENT, BACKEND),
    "backend2": (TOP, USERS, LIMITS, CLIENT, BACKEND),
    "frontend": (TOP, USERS, LIMITS, CLIENT, FRONTEND),
}


class Node(Server):
    """One of our processes in the place of a Cyrus node."""

    def __init__(self, murder, node, passwd, more=""):
        """`more`: lines of [backend]."""
        self.address = murder.address(node)
        config = "".join(TABLES[node]).format(node=node, domain=DOMAIN, host=self.address[0], net=murder.net, imap=IMAP,
                                              mupdate=MUPDATE, lmtp=LMTP, more=more)
        super().__init__(node, murder.directory / f"ravenry-{node}", config, [("users", passwd)])

    def leaked(self):
        """Not asked for here: who is connected to it may still be there when it stops."""

    def greets(self):
        """The first word of its greeting, if it has one."""
        assert self.process.poll() is None, f"{self.name} ended: {self.log.read_text()[-2000:]}"
        try:
            if self.name == "mupdate":
                Mupdate(self.address, None).close()
                return b"OK"
            with Conversation(self.address, deadline=5) as conversation:
                return conversation.greeting.word
        except (OSError, Broken):
            return None
