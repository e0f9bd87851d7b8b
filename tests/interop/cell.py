"""A cell of the matrix: a murder whose master, frontend and backends are each ours or Cyrus', and what tests ask of it.

A test takes the cell, asks for users and shared folders of its own, and speaks to the frontend as a client would. Admins go to
the backends themselves, as the concept has it. What a test opened is closed when it ends.
"""

from imap_client import Conversation, quoted
from mupdate_client import Mupdate
from murder import Murder, poll
from nodes import LMTP, Node

USERS = [f"u{n:03}" for n in range(1, 201)]
RIGHTS = "lrswipkxtecd"
ROLES = {"mupdate": "master", "frontend": "frontend", "backend1": "backend", "backend2": "backend"}
# who is followed goes before who follows
ORDER = (("mupdate",), ("backend1", "backend2"), ("frontend",))


class Cell:
    def __init__(self, master, frontend, backend):
        """Each `ours` or `cyrus`."""
        self.kinds = {"master": master, "frontend": frontend, "backend": backend}
        self.users = iter(USERS)
        self.boxes = 0
        self.open = []
        self.admins = {}
        self.ours = {}
        self.closed = False
        self.murder = Murder("--lmtp", nodes="")
        try:
            proxied = "proxy_admins = true" if frontend == "cyrus" else ""
            for node in ROLES:
                if self.kind(node) == "ours":
                    self.ours[node] = Node(self.murder, node, self.passwd(), proxied)
            for nodes in ORDER:
                self.start(*nodes)
        except BaseException as error:
            for file, _ in self.logs():  # they go with the cell
                if file.exists():
                    error.add_note(f"--- {file.parent.name}/{file.name}\n{file.read_text(errors='replace')[-4000:]}")
            self.close()
            raise

    @property
    def name(self):
        return "-".join(self.kinds.values())

    def kind(self, node):
        return self.kinds[ROLES[node]]

    def has(self, **kinds):
        """These roles are of these kinds."""
        return all(self.kinds[role] == kind for role, kind in kinds.items())

    def passwd(self):
        lines = [f"{name}:{{PLAIN}}{name}pw\n" for name in ("cyrus", *USERS)]
        return "".join([*lines, "mailproxy:{PLAIN}proxypw\n"])

    # ------------------------------------------------------------- nodes

    def start(self, *nodes):
        assert not self.closed, "the run has ended"  # a signal ends it in the middle of a test
        cyrus = [node for node in nodes if node not in self.ours]
        if cyrus:
            self.murder.run("up", "--nodes", ",".join(cyrus))
        for node in nodes:
            if node in self.ours:
                self.ours[node].start()

    def stop(self, node):
        self.forget_admins()
        if node in self.ours:
            self.ours[node].stop()
        else:
            self.murder.down(node)

    def running(self):
        """After a failed test: everything runs again, so that the next has its chance."""
        self.forget_admins()
        for nodes in ORDER if not self.closed else ():
            self.start(*[node for node in nodes if not self.alive(node)])

    def alive(self, node):
        server = self.ours.get(node)
        return server is not None and server.process is not None and server.process.poll() is None

    def logs(self):
        files = [self.murder.syslog(), *[server.log for server in self.ours.values()]]
        return [(file, file.stat().st_size if file.exists() else 0) for file in files]

    def end_of_test(self):
        for conversation in self.open:
            conversation.close()
        self.open.clear()

    def finish(self):
        """Our parts have to have come well through all of it."""
        self.forget_admins()
        for nodes in reversed(ORDER):
            for node in nodes:
                if node in self.ours:
                    self.ours[node].stop()

    def close(self):
        self.closed = True
        for server in self.ours.values():
            server.kill()
        self.murder.close()

    # ------------------------------------------------------------- sessions

    def keep(self, conversation):
        self.open.append(conversation)
        return conversation

    def connect(self):
        """A new connection to the frontend."""
        return self.keep(Conversation(self.murder.address("frontend")))

    def session(self, user):
        """A session of the user's at the frontend."""
        session = self.connect()
        session.login(user, user + "pw").ok()
        return session

    def at_backend(self, backend, user):
        """A session directly at a backend, by the proxy account."""
        session = self.keep(Conversation(self.murder.address(backend)))
        session.login_as("mailproxy", "proxypw", user).ok()
        return session

    def admin(self, node):
        """The admin's session at a node, kept through the tests."""
        kept = self.admins.get(node)
        if kept is None:
            kept = self.admins[node] = Conversation(self.murder.address(node))
            kept.login("cyrus", "cyruspw").ok()
        return kept

    def forget_admins(self):
        for conversation in self.admins.values():
            conversation.close()
        self.admins.clear()

    def lmtp(self, backend):
        """Where a backend takes mail."""
        return self.murder.address(backend)[0], LMTP

    def at_master(self, name):
        """What the master has of a name: a record, or None."""
        with Mupdate(self.murder.address("mupdate")) as master:
            return master.find(name)

    # ------------------------------------------------------------- users and mailboxes

    def user(self, backend="backend1"):
        """A user of this test's own, with an INBOX at `backend`."""
        name = next(self.users)
        if self.kinds["frontend"] == "cyrus":
            self.murder.run("user", name, name + "pw", "-")
        self.make(backend, f"user.{name}")
        return name

    def shared(self, backend, rights=RIGHTS):
        """A shared folder of this test's own, for anyone, at `backend`."""
        self.boxes += 1
        name = f"shared{self.boxes}"
        self.make(backend, name, rights)
        return name

    def make(self, backend, name, rights=None):
        """Made by the admin at the backend; at the end the frontend lists it."""
        admin = self.admin(backend)
        admin.command("CREATE ", quoted(name)).ok()
        if rights:
            admin.command("SETACL ", quoted(name), f" anyone {rights}").ok()
        self.await_listed(name)

    def await_listed(self, name, there=True):
        session = self.admin("frontend")

        def listed():
            session.command("STATUS nosuch (MESSAGES)").no()  # makes a frontend ask the master at once
            return bool(session.command('LIST "" ', quoted(name)).ok().of("LIST")) == there
        poll(f"{name} to be listed" if there else f"{name} to be gone", 15, listed)
