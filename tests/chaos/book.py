"""What has been promised to clients: mailboxes, and how often each message is in which.

A mailbox of its own belongs to one client, who sends one command at a time. After an answer that decides nothing (none at
all, or "can't tell") the mailbox is in doubt: it may have any of its names, or not be there; its messages are in it.
"""

import threading
from collections import Counter

MADE, DELETED, RENAMED = "made", "deleted", "renamed"


class Mailbox:
    def __init__(self, owner, name):
        self.owner, self.names = owner, [name]
        self.doubt, self.gone = None, False
        self.least, self.most = Counter(), Counter()  # of each message

    @property
    def name(self):
        return self.names[0]

    def sure(self):
        return not self.gone and not self.doubt

    def may_be_missing(self):
        return self.gone or self.doubt in (MADE, DELETED)


class Book:
    def __init__(self):
        self.lock = threading.Lock()
        self.mailboxes, self.alive, self.wrong = [], set(), []
        self.done = Counter()

    def add(self, mailbox):
        with self.lock:
            self.mailboxes.append(mailbox)
        return mailbox

    def fail(self, what):
        with self.lock:
            self.wrong.append(what)
            print(f"FAILED: {what}", flush=True)

    def count(self, what, times=1):
        with self.lock:
            self.done[what] += times

    # ------------------------------------------------------------- messages

    def may_come(self, mailbox, key):
        with self.lock:
            mailbox.most[key] += 1

    def has_come(self, mailbox, key):
        """What may have come has."""
        with self.lock:
            mailbox.least[key] += 1

    def acknowledged(self, mailbox, key):
        self.has_come(mailbox, key)
        with self.lock:
            self.alive.add(key)
            self.done["messages acknowledged"] += 1

    def may_go(self, mailbox, key):
        with self.lock:
            mailbox.least[key] = max(0, mailbox.least[key] - 1)

    def has_gone(self, mailbox, key):
        with self.lock:
            mailbox.most[key] = max(0, mailbox.most[key] - 1)

    def may_die(self, keys):
        with self.lock:
            self.alive.difference_update(keys)

    def least(self, mailbox):
        with self.lock:
            return mailbox.least.copy()

    def compare(self, mailbox, before, found, who):
        """`found` is all that is in the mailbox; `before` had to be there when it was asked for."""
        with self.lock:
            least = {key: min(times, mailbox.least[key]) for key, times in before.items()}
            most = mailbox.most.copy()
        for key, times in least.items():
            if found[key] < times:
                self.fail(f"{who}: {' or '.join(mailbox.names)}: message {key} is lost")
        for key, times in found.items():
            if times > most[key]:
                self.fail(f"{who}: {' or '.join(mailbox.names)}: message {key} is there {times} times")
