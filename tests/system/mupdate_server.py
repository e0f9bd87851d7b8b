"""A `ravenry serve` that is a MUPDATE server and nothing else: a master, or a replica of one."""

from imap_client import Broken
from mupdate_client import Mupdate
from murder import DOMAIN, MUPDATE, Server

# bound to a server, bound to another, following only, bound to none
USERS = {
    "backend1": f'{{ password = "mupdatepw", server = "backend1.{DOMAIN}" }}',
    "backend2": f'{{ password = "mupdatepw", server = "backend2.{DOMAIN}" }}',
    "frontend": '{ password = "mupdatepw", write = false }',
    "frontend2": '{ password = "mupdatepw", write = false }',
    "backend3": '"mupdatepw"',
}

CONFIG = """\
servername = "{name}.{domain}"
state_dir = "state"
shards = 1
{top}
[limits]
login_delay = "100ms"
login_delay_max = "100ms"
login_failures = 1000
{limits}
[mupdate.server]
role = "{role}"
listen = ["{host}:{port}"]
{server}
[mupdate.server.users]
{users}
"""

CLIENT = """
[mupdate.client]
server = "{host}:{port}"
authname = "{account}"
password = "mupdatepw"
"""


class MupdateServer(Server):
    def __init__(self, net, folder, last=51, of=None, users=USERS, top="", limits="", server="", account="frontend2"):
        """`of`: the address of the server that this one is a replica of. `server`: lines of [mupdate.server]."""
        name = f"mupdate{last}"
        self.address = (f"{net}.{last}", MUPDATE)
        if of:
            top += CLIENT.format(host=of[0], port=of[1], account=account)
        config = CONFIG.format(
            name=name, domain=DOMAIN, top=top, limits=limits, role="replica" if of else "master", host=self.address[0],
            port=MUPDATE, server=server, users="".join(f"{name} = {value}\n" for name, value in users.items()))
        super().__init__(name, folder / name, config)

    def greets(self):
        """OK where it takes connections."""
        self.runs()
        try:
            self.session(None).close()
            return b"OK"
        except (OSError, Broken):
            return None

    def session(self, account="backend3", **more):
        return Mupdate(self.address, account, **more)
