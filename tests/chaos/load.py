"""The load: clients with a session each through any of the frontends, and senders by LMTP at the backends."""

import random
import re
import smtplib
import threading
import time
import zlib
from collections import Counter

from book import DELETED, MADE, RENAMED, Mailbox
from imap_client import Broken, message
from murder_site import LMTP

# Past it a session hangs: every wait of the parts is over long before.
DEADLINE = 100
UNDECIDED = ("UNAVAILABLE", "INUSE", "LIMIT")
FAR = "far"


def text(key):
    return message(key, zlib.crc32(key.encode()) % 6000)


class Lost(Exception):
    """The connection is gone, and with it the answer."""


class Worker(threading.Thread):
    """Works until it is told to end; whatever else it ends of is a failure."""

    def __init__(self, site, book, name, seed):
        super().__init__(name=name, daemon=True)
        self.site, self.book, self.dice = site, book, random.Random(seed)
        self.ending = threading.Event()
        self.keys = 0

    def run(self):
        while not self.ending.is_set():
            try:
                self.step()
            except Lost:
                self.book.count("connections lost")
                self.close()
            except Exception as error:  # whatever it is, the run has failed
                self.book.fail(f"{self.name}: {type(error).__name__}: {error}")
                self.close()
        self.close()

    def key(self):
        self.keys += 1
        return f"{self.name}m{self.keys}"


class Client(Worker):
    """A user with a session, whose mailboxes are half at home and half at the other backend."""

    def __init__(self, site, book, number, commons, seed):
        self.user = f"u{number:02}"
        super().__init__(site, book, self.user, seed)
        self.commons, self.session, self.selected, self.made = commons, None, None, 0
        self.own = []

    # ------------------------------------------------------------- the session

    def close(self):
        if self.session:
            self.session.close()
        self.session, self.selected = None, None

    def command(self, *parts):
        """The answer to a command; Lost, where there is none."""
        self.book.count("commands")
        begun = time.monotonic()
        try:
            return self.session.command(*parts)
        except OSError as error:
            raise Lost(str(error)) from error
        except Broken as error:
            if str(error).startswith("no answer"):
                self.book.fail(f"{self.name}: hangs for {time.monotonic() - begun:.0f} s: {parts[0]}: {error}")
            elif not str(error).startswith(("closed", "connection lost")):
                self.book.fail(f"{self.name}: {parts[0]}: {error}")
            raise Lost(str(error)) from error

    def connect(self):
        until = time.monotonic() + 120
        while not self.ending.is_set():
            try:
                self.session = self.site.login(self.dice.choice(self.site.frontends), self.user, DEADLINE)
                return True
            except (OSError, Broken, AssertionError):
                assert time.monotonic() < until, "can't log in for 120 s"
                time.sleep(self.dice.random())
        return False

    def undecided(self, what, answer):
        """A refusal: that it can't be done, or told, now. Any other is wrong."""
        self.book.count("undecided answers")
        if answer.status != "NO" or answer.code.split(" ")[0] not in UNDECIDED:
            self.book.fail(f"{self.name}: {what}: {answer.text}")

    # ------------------------------------------------------------- what it does

    def step(self):
        if not self.session and not self.connect():
            return
        if self.dice.random() < 0.02:
            self.close()
            return
        steps = [self.create, self.delete, self.rename, self.setacl, self.append, self.read, self.change]
        self.dice.choices(steps, (8, 4, 6, 5, 30, 15, 30))[0]()
        time.sleep(self.dice.random() * 0.1)

    def sure(self):
        return [mailbox for mailbox in self.own if mailbox.sure()]

    def new_name(self):
        self.made += 1
        far = f"{FAR}." if self.dice.random() < 0.5 else ""
        return f"INBOX.{far}n{self.made}"

    def create(self):
        if len(self.sure()) > 12:
            return
        mailbox = self.book.add(Mailbox(self.user, self.new_name()))
        self.own.append(mailbox)
        mailbox.doubt = MADE
        answer = self.command(f"CREATE {mailbox.name}")
        if answer.status == "OK":
            mailbox.doubt = None
            self.book.count("mailboxes made")
        else:
            self.undecided(f"CREATE {mailbox.name}", answer)

    def delete(self):
        if not (sure := self.sure()):
            return
        mailbox = self.dice.choice(sure)
        self.book.may_die(list(mailbox.most))
        mailbox.doubt = DELETED
        if self.selected is mailbox:
            self.selected = None
        answer = self.command(f"DELETE {mailbox.name}")
        if answer.status == "OK":
            mailbox.doubt, mailbox.gone = None, True
            self.book.count("mailboxes deleted")
        else:
            self.undecided(f"DELETE {mailbox.name}", answer)

    def rename(self):
        if not (sure := self.sure()):
            return
        mailbox, new = self.dice.choice(sure), self.new_name()
        mailbox.names.append(new)
        mailbox.doubt = RENAMED
        answer = self.command(f"RENAME {mailbox.name} {new}")
        if answer.status == "OK":
            mailbox.names, mailbox.doubt = [new], None
            self.book.count("mailboxes renamed")
        else:
            self.undecided(f"RENAME {mailbox.name} {new}", answer)

    def setacl(self):
        if not (sure := self.sure()):
            return
        command = f"SETACL {self.dice.choice(sure).name} friend {self.dice.choice(('lrs', 'lrswi', 'l'))}"
        answer = self.command(command)
        if answer.status != "OK":
            self.undecided(command, answer)

    def target(self):
        own = self.sure()
        return self.dice.choice(own) if own and self.dice.random() < 0.6 else self.dice.choice(self.commons)

    def append(self):
        mailbox, key = self.target(), self.key()
        self.book.may_come(mailbox, key)
        self.book.count("commands")
        answer = self.appended(mailbox, key)
        if answer.status == "OK":
            self.book.acknowledged(mailbox, key)
        else:
            self.undecided(f"APPEND {mailbox.name}", answer)

    def appended(self, mailbox, key):
        try:
            return self.session.append(mailbox.name, text(key), plus=self.dice.random() < 0.5)
        except OSError as error:
            raise Lost(str(error)) from error
        except Broken as error:
            if not str(error).startswith(("closed", "connection lost")):
                self.book.fail(f"{self.name}: APPEND {mailbox.name}: {error}")
            raise Lost(str(error)) from error

    def read(self):
        self.seen(self.target())

    def seen(self, mailbox):
        """Selects a mailbox and reads all of it: (UID, key) of each message, or None."""
        before = self.book.least(mailbox)
        self.selected = None
        answer = self.command(f"SELECT {mailbox.name}")
        if answer.status != "OK":
            return self.undecided(f"SELECT {mailbox.name}", answer)
        self.selected = mailbox
        answer = self.command("UID FETCH 1:* (UID BODY.PEEK[])")
        if answer.status != "OK":
            return self.undecided(f"FETCH in {mailbox.name}", answer)
        found = [pair for response in answer.of("FETCH") if (pair := self.one(mailbox, response))]
        self.book.compare(mailbox, before, Counter(key for _, key in found), self.name)
        return found

    def one(self, mailbox, response):
        items = response.tree()[2]
        if b"BODY[]" not in items:
            return None
        data, uid = items[items.index(b"BODY[]") + 1], int(items[items.index(b"UID") + 1])
        # One that came by LMTP has lines of its way before it.
        key = re.search(rb"^Subject: (\S+)\r$", data, re.M).group(1).decode()
        if not data.endswith(text(key)):
            self.book.fail(f"{self.name}: {mailbox.name}: UID {uid}: not the bytes of {key}")
        return uid, key

    def change(self):
        if not (sure := self.sure()):
            return
        source = self.dice.choice(sure)
        if not (found := self.seen(source)):
            return
        uid, key = self.dice.choice(found)
        self.dice.choices((self.copy, self.move, self.expunge), (4, 4, 2))[0](source, uid, key)

    def copy(self, source, uid, key):
        target = self.target()
        self.book.may_come(target, key)
        answer = self.command(f"UID COPY {uid} {target.name}")
        if answer.status == "OK":
            self.book.has_come(target, key)
            self.book.count("messages copied")
        else:
            self.undecided(f"COPY from {source.name} to {target.name}", answer)

    def move(self, source, uid, key):
        target = self.target()
        if target is source:
            return
        self.book.may_go(source, key)
        self.book.may_come(target, key)
        answer = self.command(f"UID MOVE {uid} {target.name}")
        if answer.status == "OK":
            self.book.has_come(target, key)
            self.book.has_gone(source, key)
            self.book.count("messages moved")
        else:
            self.undecided(f"MOVE from {source.name} to {target.name}", answer)

    def expunge(self, source, uid, key):
        self.book.may_die([key])
        self.book.may_go(source, key)
        for command in (f"UID STORE {uid} +FLAGS.SILENT (\\Deleted)", f"UID EXPUNGE {uid}"):
            answer = self.command(command)
            if answer.status != "OK":
                return self.undecided(command, answer)
        self.book.has_gone(source, key)
        self.book.count("messages expunged")


class Sender(Worker):
    """Delivers to INBOXes of a backend by LMTP."""

    def __init__(self, site, book, number, inboxes, seed):
        super().__init__(site, book, f"lmtp{number}", seed)
        self.backend, self.inboxes, self.session = site.backends[number % 2], inboxes, None

    def close(self):
        if self.session:
            self.session.close()
        self.session = None

    def step(self):
        user, inbox = self.dice.choice(self.inboxes)
        key = self.key()
        try:
            if not self.session:
                self.session = smtplib.LMTP(self.backend.address[0], LMTP, timeout=DEADLINE)
            self.book.may_come(inbox, key)
            self.session.sendmail("a@example.test", [user], text(key))
            self.book.acknowledged(inbox, key)
            self.book.count("messages by LMTP")
        except TimeoutError as error:
            self.book.fail(f"{self.name}: hangs: {error}")
            raise Lost(str(error)) from error
        except (OSError, smtplib.SMTPServerDisconnected) as error:
            time.sleep(self.dice.random())
            raise Lost(str(error)) from error
        except smtplib.SMTPException as error:
            codes = re.findall(r"\b([45])\d\d\b", str(error))
            if not codes or codes[0] != "4":
                self.book.fail(f"{self.name}: {error}")
            raise Lost(str(error)) from error
        time.sleep(self.dice.random() * 0.1)
