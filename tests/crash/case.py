"""One case of the matrix: an operation, a process that dies in it, its next start, and what there has to be then."""

import random
import time
from dataclasses import dataclass

from imap_client import Broken, Conversation, message, quoted
from matrix import ACTIVE, DONE, NEW, NO, NOTHING, OK, OLD, RESERVED, SILENCE, THERE, UNDONE
from mupdate_client import Mupdate
from murder import poll, readable
from our_murder import ADMIN, OTHER

# how long a process that is to die may take to get there, and all of them to agree after the next start
DEATH, CONVERGENCE = 20, 20


@dataclass(frozen=True, eq=False)
class Case:
    operation: object
    step: object
    way: str  # the client's server: "frontend" or "backend"
    power: bool  # what wasn't synced is lost with the process

    def begun(self, murder):
        return Run(murder, self)

    @property
    def name(self):
        point = self.step.armed + " and backend1 with it" * self.step.both
        parts = [self.operation.key, point, f"through the {self.way}", *["power lost"] * self.power]
        return ", ".join(parts)

    @property
    def may_reply(self):
        """Whose own server dies hears nothing."""
        dies = self.step.victim == ("backend1" if self.way == "backend" else "frontend")
        # of the two that die together one may be a moment earlier
        return (SILENCE,) if dies else (*self.step.reply, SILENCE) if self.step.both and self.way == "backend" else self.step.reply

    def run(self, murder):
        """Carries it out; gives what it saw, for the table. Fails where anything is otherwise than claimed."""
        step, current = self.step, self.begun(murder)
        current.prepare()
        reply, text = current.crash()
        state = current.settled()
        wrong = []
        if step.leaves and current.saw not in (step.leaves, step.in_pieces):
            wrong.append(f"it left {current.saw}, claimed is {step.leaves}")
        if state != [step.ends]:
            wrong.append(f"it ends {' or '.join(state)}, claimed is {step.ends}")
        if reply not in self.may_reply:
            wrong.append(f"the client was told {text or reply}, claimed is {' or '.join(self.may_reply)}")
        if reply == OK and DONE not in state:
            wrong.append(f"the client was told {text}, and it is {' or '.join(state)}")
        assert not wrong, "; ".join(wrong)
        current.repeat(step.ends)
        return {"state": step.ends, "agreed": current.agreed, "note": f"{step.ends}, the client was told {reply}"}


class Run:
    """A case under way, with a user of its own."""

    def __init__(self, murder, case):
        self.murder, self.case, self.operation = murder, case, case.operation
        self.user = next(murder.users)
        self.contents = {}  # of each mailbox, what its messages say
        self.role = "backend1" if case.way == "backend" else "frontend"
        self.saw = {}
        self.elsewhere = set()  # mailboxes that have to be at backend2
        self.started = None  # when the victim was started again

    # ------------------------------------------------------------------ names

    def internal(self, box):
        return f"user.{self.user}.{box}" if box else f"user.{self.user}"

    def given(self, box):
        return f"INBOX.{box}" if box else "INBOX"

    def box_of(self, internal):
        return internal.removeprefix(f"user.{self.user}").removeprefix(".")

    def is_mine(self, internal):
        return internal == f"user.{self.user}" or internal.startswith(f"user.{self.user}.")

    def command(self):
        inbox = f"user.{self.user}" if self.operation.by_admin else "INBOX"
        return self.operation.command.format(INBOX=inbox, other=OTHER)

    def client(self):
        return self.murder.session(self.role, ADMIN if self.operation.by_admin else self.user)

    # ------------------------------------------------------------------ what there is

    def at_master(self, server=None):
        """Of each of the user's names the state, the server and the other user's rights."""
        server = server or self.murder.servers["master"]
        found = {}
        with server.session() as session:
            for name, record in session.say("LIST").ok().names.items():
                if self.is_mine(name):
                    state = ACTIVE if record.kind == "MAILBOX" else RESERVED
                    found[self.box_of(name)] = (state, record.server.split(".")[0], rights_in(record.acl, OTHER))
        return found

    def at_backend(self, role, server=None):
        """Of each of the user's mailboxes there the other user's rights."""
        address = (server or self.murder.servers[role]).address
        with Conversation(address) as session:
            session.login(ADMIN, ADMIN + "pw").ok()
            found = {}
            for name in session.listed_names(f'LIST "" "user.{self.user}*"'):
                if self.is_mine(name.decode()):
                    _, _, *pairs = session.command("GETACL ", quoted(name)).ok().of("ACL")[0].tree()
                    acl = dict(zip(pairs[::2], pairs[1::2]))
                    found[self.box_of(name.decode())] = acl.get(OTHER.encode(), b"").decode()
            return found

    def messages(self, boxes):
        """Of each mailbox what its messages say, as the user reads them at the backend."""
        found = {}
        with self.murder.session("backend1", self.user) as session:
            for box in boxes:
                count = session.exists(session.select(self.given(box), "EXAMINE").ok())
                found[box] = [session.body(n) for n in range(1, count + 1)]
        return found

    # ------------------------------------------------------------------ before

    def prepare(self):
        """The user's mailboxes, known everywhere, with messages."""
        with self.murder.session("backend1", ADMIN) as admin:
            for box in self.operation.before:
                patiently(lambda box=box: admin.command(f"CREATE {self.internal(box)}")).ok()
            if self.operation.by_admin:
                patiently(lambda: admin.command(f"SETACL {self.internal('')} {ADMIN} lrx")).ok()
        with self.murder.session("backend1", self.user) as user:
            for box, count in self.operation.before.items():
                self.contents[box] = []
                for n in range(count):
                    self.append(user, box, n)
            if self.operation.rights and self.operation.key != "setacl":
                for box in self.operation.rights:
                    patiently(lambda box=box: user.command(f"SETACL {self.given(box)} {OTHER} lrs")).ok()
        self.until_all_agree()

    def append(self, session, box, number):
        text = message(f"{self.user}.{box or 'inbox'}.{number}", 400)
        session.append(self.given(box), text).ok()
        self.contents[box].append(text)

    # ------------------------------------------------------------------ the crash

    def crash(self):
        """Carries the operation out until a process dies of it; gives what the client was told."""
        step, victim = self.case.step, self.murder.servers[self.case.step.victim]
        record = self.murder.arm(step.victim, step.armed, self.case.power)
        self.until_connected()
        with self.murder.session("backend1", self.user) as user:  # acknowledged just before
            box = next(iter(self.operation.before))
            self.append(user, box, len(self.contents[box]))
        with self.client() as client:
            tag, reply = self.carry_out_until_it_dies(client, victim)
            if step.both:
                self.murder.servers["backend1"].kill()
            self.after_death(record)
            self.meanwhile()
            self.started = time.monotonic()
            for role in [step.victim, *["backend1"] * step.both]:
                self.murder.restart(role)
            return told(client, tag, reply)

    def meanwhile(self):
        """What others do before its next start: nothing."""

    def carry_out_until_it_dies(self, client, victim):
        """The tag of the command in which it died, and the reply, where it has been read."""
        until = time.monotonic() + DEATH
        while True:
            tag = client.start(self.command())
            while victim.process.poll() is None and not readable([client.socket], 0.02):
                assert time.monotonic() < until, f"{self.case.step.armed} isn't reached within {DEATH} s"
            if died(victim):
                return tag, None
            reply = client.finish(tag)
            # where the murder isn't connected yet nothing has been begun
            assert reply.status == "NO" and reply.code == "UNAVAILABLE", f"{self.case.step.armed} isn't reached: {reply.text}"
            assert time.monotonic() < until, f"{self.case.step.armed} isn't reached within {DEATH} s: {reply.text}"

    def after_death(self, record):
        """What the crash has left, as the next start finds it."""
        step = self.case.step
        if self.case.power:
            self.murder.lose_what_is_unsynced(step.victim, record, random.Random(self.case.name))
        if not step.leaves:
            return
        if step.victim == "master":
            beside = self.murder.remains("backend1") if step.both else None
            master, backend = self.at_master(self.murder.remains("master")), self.at_backend("backend1", beside)
        else:
            master, backend = self.at_master(), self.at_backend("backend1", self.murder.remains("backend1"))
        self.murder.bury()
        for box in self.operation.names:
            self.saw[box] = (self.word_of(master.get(box), ACTIVE), self.word_of(backend.get(box), THERE))

    def word_of(self, held, there):
        """As the matrix says it."""
        if held is None:
            return NOTHING
        state, rights = (held[0], held[2]) if isinstance(held, tuple) else (there, held)
        if not self.operation.rights:
            return state
        box, = self.operation.rights
        return NEW if rights == self.operation.rights[box] else OLD

    # ------------------------------------------------------------------ after

    def until_connected(self):
        """The frontend can tell again that a name isn't there."""
        with self.murder.session("frontend", self.user) as session:
            poll("the frontend's list to be in step", 30,
                 lambda: session.command("STATUS INBOX.nosuch (MESSAGES)").no().code != "UNAVAILABLE")

    def until_all_agree(self):
        """Master, backends and frontend have the same names and rights, all active, each in one place."""
        last = [None]

        def agree():
            master, local, other = self.at_master(), self.at_backend("backend1"), self.at_backend("backend2")
            seen = self.at_frontend()
            last[0] = f"the master has {master}, backend1 {local}, backend2 {other}, the frontend {sorted(seen)}"
            wanted = {box: (ACTIVE, backend, rights) for backend, held in (("backend1", local), ("backend2", other))
                      for box, rights in held.items()}
            alone = set(other) == self.elsewhere and not self.elsewhere & set(local)
            return alone and master == wanted and seen == set(wanted)
        try:
            poll("all to agree", CONVERGENCE, agree)
        except AssertionError as late:
            raise AssertionError(f"{late}: {last[0]}") from None

    def at_frontend(self):
        try:
            with self.murder.session("frontend", self.user) as session:
                session.command("STATUS INBOX.nosuch (MESSAGES)").no()
                names = {name.decode() for name in session.listed_names('LIST "" "INBOX*"')}
        except Broken:
            return set()
        return {name.removeprefix("INBOX").removeprefix(".") for name in names}

    def state(self):
        """DONE, UNDONE, or both: as what the mailboxes, their messages and rights can be taken."""
        local = self.at_backend("backend1")
        found, words = self.messages(local), []
        for word, boxes, rights in self.outcomes():
            boxes = {box: come for box, come in boxes.items() if box not in self.elsewhere}
            contents = {box: [text for source in come for text in self.contents[source]] for box, come in boxes.items()}
            if found == contents and all(local[box] == has for box, has in rights.items()):
                words.append(word)
        if words:
            return words
        sizes = {box: len(texts) for box, texts in found.items()}
        raise AssertionError(f"neither done nor undone: {sizes} messages, rights {local}")

    def outcomes(self):
        operation = self.operation
        before = {box: (box,) for box in operation.before}
        was = {box: "" if operation.key == "setacl" else "lrs" for box in operation.rights}
        return (DONE, operation.after, operation.rights), (UNDONE, before, was)

    def settled(self):
        """All agree, and the operation is done, or it isn't."""
        self.until_all_agree()
        self.agreed = time.monotonic() - self.started
        return self.state()

    def repeat(self, state):
        """The operation once more: OK, or NO because it is done already; and then it is done."""
        with self.client() as client:
            reply = patiently(lambda: client.command(self.command()))
        may_be_told = ("OK",) if state != DONE else ("OK",) if self.operation.rights else ("NO",)
        assert reply.status in may_be_told, f"repeated, {state} before: {reply.text}"
        self.until_all_agree()
        state = self.state()
        assert state == [DONE], f"repeated ({reply.text}), and it is {state}"


def died(server):
    """Whether it has ended, or does so now: its clients may hear of it before it is gone."""
    try:
        return poll("its end", 0.5, lambda: server.process.poll() is not None)
    except AssertionError:
        return False


def rights_in(acl, user):
    """A user's rights by MUPDATE's form of an ACL."""
    parts = acl.split("\t")
    return dict(zip(parts[::2], parts[1::2])).get(user, "")


def told(client, tag, reply):
    """What the client was told: one tagged reply at most, and no other thing in its place."""
    try:
        reply = reply or client.finish(tag)
    except Broken as end:
        assert "closed by the server" in str(end) or "connection lost" in str(end), str(end)
        return SILENCE, ""
    if reply.status == "OK" or reply.status == "NO":
        try:
            client.in_step()
        except Broken as end:  # it may say good-bye, but not reply again
            assert "nobody asked for" not in str(end), str(end)
        return {"OK": OK, "NO": NO}[reply.status], reply.text
    raise AssertionError(f"the client was told {reply.text}")


def patiently(command):
    """A command's answer, as soon as it isn't that the murder isn't there yet."""
    until = time.monotonic() + CONVERGENCE
    while True:
        answer = command()
        if answer.status != "NO" or answer.code not in ("UNAVAILABLE", "INUSE") or time.monotonic() > until:
            return answer
        time.sleep(0.1)
