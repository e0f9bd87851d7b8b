#!/usr/bin/env python3
"""`./dev demo cyrus`: a Cyrus murder with Ravenry before it, users and mail, until Ctrl-C; or a scripted client.

alice's mail lives on backend1, bob's on backend2; `team` is a shared folder on backend1, `news` on backend2.
Everything is in a directory of its own under /tmp and gone afterwards.
"""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "system"))

from imap_client import Conversation, Literal, message, quoted  # noqa: E402
from murder import Frontend, Murder  # noqa: E402

USERS = {"alice": "backend1", "bob": "backend2"}
SHARED = {"team": "backend1", "news": "backend2"}
SUBJECTS = ["Welcome to the murder", "Minutes of Monday", "Lunch?", "Re: Lunch?", "Disk space", "Weekend rota",
            "Invoice 4711", "Holiday plans", "Crows and ravens", "Release notes", "A bug in the spool", "Good night"]


def furnish(murder):
    """Users, folders and mail, made by the admin directly at the backends."""
    for backend in ("backend1", "backend2"):
        with Conversation(murder.address(backend)) as admin:
            admin.login("cyrus", "cyruspw").ok()
            for user, home in USERS.items():
                if home == backend:
                    admin.command(f"CREATE user.{user}").ok()
                    admin.command(f"CREATE user.{user}.Archive").ok()
                    for name in (f"user.{user}", f"user.{user}.Archive"):
                        admin.command(f"SETACL {name} cyrus lrswipkxtecda").ok()
                        deliver(admin, name)
            for name, home in SHARED.items():
                if home == backend:
                    admin.command(f"CREATE {name}").ok()
                    admin.command(f"SETACL {name} anyone lrswipkxte").ok()
                    admin.command(f"SETACL {name} cyrus lrswipkxtecda").ok()
                    deliver(admin, name)


def deliver(session, mailbox):
    for n, subject in enumerate(SUBJECTS):
        text = message(f"n{n}.{mailbox}").replace(b"Subject: n%d.%s" % (n, mailbox.encode()),
                                                  b"Subject: " + subject.encode())
        session.append(mailbox, text, flags="(\\Seen)" if n < 6 else "").ok()


def instructions(frontend):
    host, port = frontend.address
    return f"""
Ravenry answers at {host} port {port} for both backends. Users: alice/alicepw, bob/bobpw; the admin: cyrus/cyruspw.
Folders: INBOX and INBOX.Archive of each, team (backend1) and news (backend2) for everybody.

  curl -u alice:alicepw 'imap://{host}:{port}/'                         # her folders, of both backends
  curl -u alice:alicepw 'imap://{host}:{port}/news;UID=3'               # a message that lives on backend2
  curl -u bob:bobpw 'imap://{host}:{port}/INBOX?UNSEEN'
  {frontend.binary} ctl stats --config {frontend.config}

  python3 - <<'PYTHON'
import imaplib
client = imaplib.IMAP4("{host}", {port})
client.login("alice", "alicepw")
for mailbox in ("INBOX", "team", "news"):
    print(mailbox, client.select(mailbox), client.fetch("1:3", "(FLAGS BODY.PEEK[HEADER.FIELDS (SUBJECT)])"))
PYTHON

  mkdir -p /tmp/alice-mail && mbsync -c /dev/stdin -a <<'MBSYNC'
IMAPAccount ravenry
Host {host}
Port {port}
User alice
Pass alicepw
SSLType None
AuthMechs PLAIN

IMAPStore remote
Account ravenry
UseNamespace no
PathDelimiter .

MaildirStore local
Path /tmp/alice-mail/
Inbox /tmp/alice-mail/INBOX
SubFolders Verbatim

Channel mail
Far :remote:
Near :local:
Patterns *
Create Near
SyncState *
MBSYNC

Its log: {frontend.log}
Ctrl-C ends all of it and leaves nothing behind.
"""


class Check:
    """A scripted client: each step passes or fails, and the next one goes on."""

    def __init__(self, frontend):
        self.frontend, self.count = frontend, {"ok": 0, "FAIL": 0}

    def step(self, name, run):
        start = time.monotonic()
        try:
            run()
            word, note = "ok", ""
        except Exception as error:  # a step may fail in any way
            word, note = "FAIL", f": {str(error)[:300]}"
        self.count[word] += 1
        print(f"{word:4} {name} ({time.monotonic() - start:.1f} s){note}", flush=True)

    def session(self, user):
        session = Conversation(self.frontend.address)
        session.login(user, user + "pw").ok()
        return session

    def each_mailbox(self, user):
        session = self.session(user)
        for name in ("INBOX", "INBOX.Archive", *SHARED):
            assert session.exists(session.select(name).ok()) == len(SUBJECTS), name
            assert b"Subject: Crows and ravens" in session.body(9)
            assert session.command("SEARCH SUBJECT ", Literal(b"Lunch", plus=True)).ok().of("SEARCH")[0].text == b"SEARCH 3 4"
        session.command("LOGOUT").ok()

    def lists(self):
        session = self.session("alice")
        names = set(session.listed(session.command('LIST "" "*"').ok()))
        assert names == {"INBOX", "INBOX.Archive", *SHARED}, names

    def changes(self):
        session = self.session("bob")
        session.command("CREATE INBOX.Trip").ok()
        session.append("INBOX.Trip", message("ticket")).ok()
        session.select("INBOX.Trip").ok()
        assert session.body(1) == message("ticket")
        session.command("RENAME INBOX.Trip INBOX.Journey").ok()
        session.command("SELECT ", quoted("INBOX.Journey")).ok()
        session.command("UNSELECT").ok()
        session.command("DELETE INBOX.Journey").ok()
        session.select("INBOX.Journey").no()

    def curl(self):
        host, port = self.frontend.address
        done = subprocess.run(["curl", "-sS", "-u", "alice:alicepw", f"imap://{host}:{port}/news;UID=9"],
                              capture_output=True, timeout=30, stdin=subprocess.DEVNULL)
        assert b"Crows and ravens" in done.stdout, done.stderr

    def refused(self):
        session = Conversation(self.frontend.address)
        session.login("alice", "wrong").no()

    def run(self):
        self.step("a wrong password is refused", self.refused)
        self.step("alice reads every mailbox, on both backends", lambda: self.each_mailbox("alice"))
        self.step("bob reads every mailbox, on both backends", lambda: self.each_mailbox("bob"))
        self.step("LIST shows one tree", self.lists)
        self.step("bob makes, fills, renames and deletes a folder", self.changes)
        self.step("curl fetches from backend2", self.curl)
        self.step("the frontend ends well", self.frontend.stop)
        print(f"{self.count['ok']} passed, {self.count['FAIL']} failed, 0 skipped")
        return 1 if self.count["FAIL"] else 0


def main():
    signal.signal(signal.SIGINT, signal.default_int_handler)  # also where a shell started it in the background
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    print("starting Cyrus: a MUPDATE master and two backends", flush=True)
    murder, frontend = Murder(nodes="mupdate,backend1,backend2"), None
    try:
        furnish(murder)
        users = [f"{name}:{{PLAIN}}{name}pw" for name in ("cyrus", *USERS)]
        frontend = Frontend(murder, users).start()
        if "--check" in sys.argv[1:]:
            return Check(frontend).run()
        print(instructions(frontend), flush=True)
        frontend.process.wait()
        print(f"ravenry ended with {frontend.process.returncode}:\n{frontend.log.read_text()[-2000:]}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nending", flush=True)
        return 0
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        if frontend:
            frontend.kill()
        murder.close()


if __name__ == "__main__":
    os.chdir(Path(__file__).resolve().parents[2])
    sys.exit(main())
