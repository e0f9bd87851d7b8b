"""The world of a system test: one murder, our frontend before it, fresh users and mailboxes for each test.

A test is a function that takes the world. It asks for users and mailboxes of its own, so that tests do not
see each other; what it opened is closed when it ends.
"""

from backend_server import BackendServer
from imap_client import Conversation, quoted
from mupdate_server import MupdateServer
from murder import Frontend, Murder, poll

USERS = [f"u{n:03}" for n in range(1, 501)]
# one user a scheme of the passwd file; the passwords are NAMEpw
HASHED = [
    "argon:{ARGON2ID}$argon2id$v=19$m=4096,t=2,p=1$cmF2ZW5yeXNhbHQ$lhUjHFQriz+OFW89P7y/wyGwhkQE3/sPBiW4jXo4/tw",
    "sha:{SHA512-CRYPT}$6$ravenrysalt$GpFQ/1D1phiwWPdypRKUXmfCGTi08P0qJ4boI1LAyqTMT1gXLISPE/ePDHuIwC8W9Yytdi51Hjr55JiCpZq8q1",
]
RIGHTS = "lrswipkxtecd"
# 127.x.y.N of the servers that tests start; behind them come those that forwarders have
FIRST, LAST, A_TESTS = 43, 199, 40


class World:
    def __init__(self, frontend="ravenry"):
        self.murder = Murder()
        self.users = iter(USERS)
        self.boxes = 0
        self.beside = FIRST
        self.open = []
        self.extra = []
        self.admins = {}
        self.unseen = []  # names that Cyrus' frontend may not list yet
        self.oracle_only = frontend == "cyrus"
        self.frontend = None
        if not self.oracle_only:
            try:
                self.frontend = Frontend(self.murder, self.passwd()).start()
            except BaseException:
                self.murder.run("down")
                raise

    def is_full(self):
        """There may be too few addresses left for one more test."""
        return self.beside > LAST - A_TESTS

    def started(self, server, start):
        """Keeps a server that has taken the next address."""
        assert self.beside <= LAST, "a test has taken more addresses than there are"
        self.beside += 1
        self.extra.append(server)
        return server.start() if start else server

    def passwd(self):
        return [f"{name}:{{PLAIN}}{name}pw" for name in ["cyrus", *USERS]] + HASHED

    # ------------------------------------------------------------- conversations

    def keep(self, conversation):
        self.open.append(conversation)
        return conversation

    def connect(self, deadline=20.0):
        """A new connection to the frontend under test."""
        address = self.murder.address("frontend") if self.oracle_only else self.frontend.address
        return self.keep(Conversation(address, deadline))

    def client(self, user, frontend=None):
        """A session of `user` at the frontend under test, or at another one of ours."""
        if frontend is None and self.oracle_only:
            return self.oracle(user)
        conversation = self.keep(Conversation(frontend.address)) if frontend else self.connect()
        conversation.login(user, user + "pw").ok()
        return conversation

    def oracle(self, user):
        """A session of `user` at Cyrus' own frontend, once it knows what the test made."""
        self.oracle_sees()
        conversation = self.keep(Conversation(self.murder.address("frontend")))
        conversation.login_as("cyrus", "cyruspw", user if user != "cyrus" else "").ok()
        return conversation

    def connect_to_oracle(self):
        """A new connection to Cyrus' own frontend."""
        return self.keep(Conversation(self.murder.address("frontend")))

    def at_backend(self, backend, user):
        """A session of `user` directly at a backend."""
        conversation = self.keep(Conversation(self.murder.address(backend)))
        conversation.login_as("mailproxy", "proxypw", user).ok()
        return conversation

    def admin(self, backend):
        """The admin's session at a backend, kept through the tests."""
        kept = self.admins.get(backend)
        if kept is None:
            kept = self.admins[backend] = Conversation(self.murder.address(backend))
            kept.login("cyrus", "cyruspw").ok()
        return kept

    # ------------------------------------------------------------- users and mailboxes

    def user(self, backend="backend1", mailbox=True):
        """A user of this test's own, with an INBOX at `backend`."""
        name = next(self.users)
        if mailbox:
            self.make(backend, f"user.{name}")
            self.await_name(f"user.{name}")
        return name

    def user_with_password(self, at_backends=False):
        """A user who logs in with NAMEpw: at our frontends all do, at Cyrus' nodes only such."""
        name = self.user()
        if self.oracle_only or at_backends:
            self.murder.run("user", name, name + "pw", "-")
        return name

    def shared(self, backend, rights=RIGHTS):
        """A shared mailbox of this test's own, for anyone, at `backend`."""
        self.boxes += 1
        name = f"shared{self.boxes}"
        self.make(backend, name, rights)
        self.await_name(name)
        return name

    def make(self, backend, name, rights=None):
        """Made directly at the backend by its admin; `rights` are anyone's. Each command there is a new
        connection to the master, and Debian's master lets about one in thirty wait for 5 s."""
        admin = self.admin(backend)
        admin.command("CREATE ", quoted(name)).ok()
        if rights:
            admin.command("SETACL ", quoted(name), f" anyone {rights}").ok()

    def await_name(self, name):
        """Until the frontend under test lists it; Cyrus' frontend is asked when it is needed (`oracle`)."""
        self.unseen.append(name)
        if self.oracle_only:
            self.oracle_sees()
        elif self.frontend.process.poll() is None:
            self.await_listed("ours", self.frontend.address, name)

    def oracle_sees(self):
        while self.unseen:
            self.await_listed("oracle", self.murder.address("frontend"), self.unseen[0])
            self.unseen.pop(0)

    def await_listed(self, key, address, name):
        if key not in self.admins:
            self.admins[key] = Conversation(address)
            self.admins[key].login("cyrus", "cyruspw").ok()
        session = self.admins[key]

        def listed():
            session.command("STATUS nosuch (MESSAGES)").no()  # makes a frontend ask the master at once
            return session.command('LIST "" ', quoted(name)).ok().of("LIST")
        poll(f"{name} to be listed", 15, listed)

    # ------------------------------------------------------------- frontends and faults

    def another(self, users=None, **options):
        """One more of our frontends, at an address of its own, not started yet."""
        return self.started(Frontend(self.murder, users or self.passwd(), self.beside, **options), False)

    def mupdate_server(self, start=True, **options):
        """A MUPDATE server of ours, at an address of its own."""
        return self.started(MupdateServer(self.murder.net, self.murder.directory, self.beside, **options), start)

    def a_backend(self, start=True, **options):
        """A backend of ours, alone, at an address of its own."""
        return self.started(BackendServer(self.murder.net, self.murder.directory, self.beside, **options), start)

    def at(self, server, user=None):
        """A session at a server that was started for the test, logged in where a user is given."""
        session = self.keep(Conversation(server.address))
        if user:
            session.login(user, user + "pw").ok()
        return session

    def without(self, node):
        """Stops a Cyrus node for the time of a `with` block."""
        return Stopped(self, node)

    def resynced(self):
        """Until our frontend can tell again that a name is not there: its list is up to date."""
        with Conversation(self.frontend.address) as session:
            session.login("cyrus", "cyruspw").ok()
            poll("the list to be in step", 30,
                 lambda: "UNAVAILABLE" not in session.command("STATUS nosuch (MESSAGES)").no().text)

    def revive(self):
        """After a failed test: everything runs again, so that the next test has its chance."""
        self.forget_admins()
        for node in ("mupdate", "backend1", "backend2", "frontend"):
            self.murder.up(node)
        if self.frontend and self.frontend.process.poll() is not None:
            self.frontend.start()

    def forget_admins(self):
        for conversation in self.admins.values():
            conversation.close()
        self.admins.clear()

    def end_of_test(self):
        """Closes what the test opened; frontends beside the first are stopped and checked."""
        for conversation in self.open:
            conversation.close()
        self.open.clear()
        frontends, self.extra = self.extra, []
        try:
            for frontend in reversed(frontends):  # who follows goes before who is followed
                frontend.stop()
        finally:
            for frontend in frontends:
                frontend.kill()

    def end_of_test_but(self, frontend):
        """The same in the middle of a test: this frontend runs on."""
        self.extra.remove(frontend)
        self.end_of_test()
        self.extra.append(frontend)

    def finish(self):
        """Our frontend has to have come well through all of it."""
        self.forget_admins()
        if self.frontend:
            self.frontend.stop()

    def close(self):
        if self.frontend:
            self.frontend.kill()
        self.murder.close()


class Stopped:
    def __init__(self, world, node):
        self.world, self.node = world, node

    def __enter__(self):
        self.world.forget_admins()
        self.world.murder.down(self.node)

    def __exit__(self, *_):
        self.world.forget_admins()
        self.world.murder.up(self.node)
        if self.node == "mupdate" and self.world.frontend:
            self.world.resynced()
