"""A backend of ours that is a member of a murder, on our master or on Cyrus', and a line to it that can be cut."""

import re

from crooked import Overheard
from mupdate_client import Mupdate
from mupdate_server import CLIENT, USERS
from murder import MUPDATE, poll

ALL = "lrswipkxtecda"
OTHER = "backend9.murder.test!default"
COMMAND = re.compile(rb'^\S+ (RESERVE|ACTIVATE|DEACTIVATE|DELETE|FIND) (?:\{\d+\+?\}\r\n|")([^"\r\n {]+)', re.M)


class Site:
    """`asked`: what the backend has asked of the master since it was last looked at."""

    def __init__(self, world, cyrus=False, server="", account="store", **backend):
        self.world, net = world, world.murder.net
        if cyrus:
            self.master, self.account = None, "backend1"
            self.address = world.murder.address("mupdate")
        else:
            self.account = account
            store = f"store{world.beside + 1 - 40}.ravenry.test"
            users = {**USERS, "store": f'{{ password = "mupdatepw", server = "{store}" }}'}
            self.master = world.mupdate_server(users=users, server=server)
            self.address = self.master.address
        self.line = Overheard((f"{net}.206", MUPDATE), self.address)
        try:
            top = CLIENT.format(host=self.line.address[0], port=MUPDATE, account=self.account)
            self.backend = world.a_backend(top=top, **backend)
        except BaseException:
            self.line.__exit__()
            raise
        # Its connection to the master is there for good.
        poll("the member to log in", 10, lambda: b"AUTHENTICATE" in self.line.heard)
        self.backend.idle = self.backend.descriptors()
        self.server = f"{self.backend.name}.ravenry.test"
        self.location = f"{self.server}!default"
        # Cyrus' master keeps what other tests have made there.
        self.top = f"member{self.backend.name}" if cyrus else "top"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.world.end_of_test_but(self.master) if self.master else self.world.end_of_test()
        self.line.__exit__()
        if not self.master:  # Cyrus' is the world's: other tests find nothing of this
            with self.session() as session:
                for place in (f"{self.server}!", OTHER):
                    for record in session.say("LIST", place).ok().records:
                        session.say("DELETE", record.name).ok()

    def make(self, admin, name):
        """A mailbox that the admin may delete."""
        admin.command(f"CREATE {name}").ok()
        admin.command(f"SETACL {name} cyrus {ALL}").ok()

    def session(self):
        """At the master, as an account that may write anything there."""
        return Mupdate(self.address, "backend2" if self.master is None else "backend3")

    def held(self, name):
        """The master's record, or None."""
        with self.session() as session:
            return session.find(name)

    def is_active(self, name, acl=None):
        record = self.held(name)
        return bool(record) and (record.kind, record.location) == ("MAILBOX", self.location) and acl in (None, record.acl)

    def elsewhere(self, name, acl="anyone\tlrs\t", active=True):
        """Another backend has this name."""
        with self.session() as session:
            session.reserve(name, OTHER)
            if active:
                session.activate(name, OTHER, acl)

    def gone(self, *names):
        with self.session() as session:
            for name in names:
                session.say("DELETE", name).ok()

    def asked(self):
        heard, self.line.heard = self.line.heard, b""
        return [f"{verb.decode()} {name.decode()}" for verb, name in COMMAND.findall(heard)]

    def settled(self, name, active):
        """Backend and master come to agree."""
        what = f"{name} to be {'active' if active else 'gone'}"
        poll(what, 15, lambda: self.is_active(name) if active else self.held(name) is None)

    def admin(self):
        return self.world.at(self.backend, "cyrus")


def mailboxes(session, pattern):
    return set(session.listed(session.command(f'LIST "" "{pattern}"').ok()))

