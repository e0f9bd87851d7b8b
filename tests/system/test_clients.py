"""Real clients: Python's imaplib, curl, and mbsync syncing both backends' messages in and out."""

import imaplib
import mailbox
import subprocess
import tempfile
import threading
import time
from pathlib import Path

from imap_client import message
from marks import needs, ours
from murder import poll


def run(*arguments):
    done = subprocess.run(arguments, stdin=subprocess.DEVNULL, capture_output=True, timeout=120)
    assert done.returncode == 0, f"{arguments[0]}: {done.returncode}: {done.stderr.decode()[-500:]}"
    return done.stdout


def address(world):
    return world.murder.address("frontend") if world.oracle_only else world.frontend.address


def test_imaplib(world):
    user, box = world.user_with_password(), world.shared("backend2")
    with imaplib.IMAP4(*address(world), timeout=20) as client:
        assert client.login(user, user + "pw")[0] == "OK"
        assert client.create("INBOX.Sent")[0] == "OK"
        for name in ("INBOX", box):
            assert client.append(name, "(\\Seen)", None, message("lib"))[0] == "OK"
            assert client.select(name) == ("OK", [b"1"])
            assert client.search(None, "SUBJECT", '"lib"') == ("OK", [b"1"])
            kind, data = client.fetch("1", "(FLAGS BODY.PEEK[])")
            assert kind == "OK" and data[0][1] == message("lib")
            assert client.uid("STORE", "1", "+FLAGS", "(\\Flagged)")[0] == "OK"
            assert client.status(name, "(MESSAGES)")[0] == "OK"
        names = b"\n".join(client.list()[1])
        assert b"INBOX.Sent" in names and box.encode() in names
        assert client.subscribe("INBOX.Sent")[0] == "OK"
        assert b"INBOX.Sent" in client.lsub()[1][0]
        assert client.getacl("INBOX")[0] == "OK" and client.myrights("INBOX")[0] == "OK"
        assert client.namespace()[0] == "OK"
        assert client.select("nosuch")[0] == "NO"
        assert client.delete("INBOX.Sent")[0] == "OK"
    with imaplib.IMAP4(*address(world), timeout=20) as client:
        assert client.authenticate("PLAIN", lambda _: f"\0{user}\0{user}pw".encode())[0] == "OK"
        assert client.select("INBOX", readonly=True) == ("OK", [b"1"])


@needs("curl")
def test_curl(world):
    user, box = world.user_with_password(), world.shared("backend2")
    host, port = address(world)
    curl = ("curl", "-s", "-S", "--max-time", "60", "-u", f"{user}:{user}pw")
    with tempfile.NamedTemporaryFile() as file:
        file.write(message("curled", 300_000))
        file.flush()
        for name in ("INBOX", box):
            url = f"imap://{host}:{port}/{name}"
            run(*curl, "-T", file.name, url)
            assert run(*curl, url + ";UID=1") == message("curled", 300_000)
            assert b"SEARCH 1" in run(*curl, url + "?SUBJECT%20curled")
            run(*curl, url, "-X", "STORE 1 +Flags \\Seen")
    assert b"INBOX" in run(*curl, f"imap://{host}:{port}/")


MBSYNC = """\
FSync no

IMAPAccount ravenry
Host {host}
Port {port}
User {user}
Pass {user}pw
SSLType None
AuthMechs {mechanism}
PipelineDepth 50

IMAPStore remote
Account ravenry
UseNamespace no
PathDelimiter .

MaildirStore local
Path {path}/
Inbox {path}/inbox
SubFolders Verbatim

"""
CHANNEL = """\
Channel {near}
Far :remote:{far}
Near :local:{near}
Create Near
Expunge Both
Sync All
SyncState *

"""
COUNT = 150


@needs("mbsync")
def test_mbsync_of_both_backends(world):
    user, box = world.user_with_password(), world.shared("backend2")
    host, port = address(world)
    session = world.client(user)
    for name in ("INBOX", box):
        for n in range(COUNT):
            session.append(name, message(f"{name}-{n}", 50 * n)).ok()
    for mechanism in ("PLAIN", "LOGIN"):
        with tempfile.TemporaryDirectory() as path:
            config = Path(path) / "mbsyncrc"
            config.write_text(MBSYNC.format(host=host, port=port, user=user, path=path, mechanism=mechanism)
                              + CHANNEL.format(far="INBOX", near="near") + CHANNEL.format(far=box, near="boxed"))
            sync = ("mbsync", "-q", "-c", str(config), "near", "boxed")
            run(*sync)
            local = {name: mailbox.Maildir(f"{path}/{near}", create=False)
                     for name, near in (("INBOX", "near"), (box, "boxed"))}
            for name, maildir in local.items():
                assert len(maildir) == COUNT, f"{name}: {len(maildir)} of {COUNT} came"
            push_and_delete(session, sync, local)
            for name in local:  # as it was before, for the next mechanism
                session.select(name).ok()
                restore(session, name)


def push_and_delete(session, sync, local):
    """30 new ones out, ten deleted here, ten there."""
    for name, maildir in local.items():
        for n in range(30):
            maildir.add(message(f"pushed{n}", 100 * n).replace(b"\r\n", b"\n"))
        for key in list(maildir.keys())[:10]:
            if b"pushed" not in maildir.get_bytes(key):
                made = maildir[key]
                made.add_flag("T")
                maildir[key] = made
        session.select(name).ok()
        session.command("STORE 140:149 +FLAGS (\\Deleted \\Seen)").ok()
        session.command("EXPUNGE").ok()
        session.command("UNSELECT").ok()
    run(*sync)
    for name, maildir in local.items():
        there = session.exists(session.select(name).ok())
        assert there == len(maildir), f"{name}: {there} there, {len(maildir)} here"
        assert len(session.command("UID SEARCH SUBJECT pushed").ok().of("SEARCH")[0].text.split()) == 31
        session.command("UNSELECT").ok()
    run(*sync)  # nothing left to do
    for name, maildir in local.items():
        assert session.exists(session.select(name).ok()) == len(maildir)


def restore(session, name):
    session.command("STORE 1:* +FLAGS.SILENT (\\Deleted)").ok()
    session.command("EXPUNGE").ok()
    for n in range(COUNT):
        session.append(name, message(f"{name}-{n}", 50 * n)).ok()


@ours
@needs("mbsync")
def test_mbsync_while_backends_restart(world):
    """mbsync may be told that a server is away, and run again: in the end everything is there, and once."""
    user, box = world.user("backend1"), world.shared("backend2")
    host, port = address(world)
    session = world.client(user)
    for name in ("INBOX", box):
        for n in range(60):
            session.append(name, message(f"{name}-{n}", 20_000)).ok()
    over = threading.Event()

    def restarts():
        while not over.is_set():
            for backend in ("backend1", "backend2"):
                world.forget_admins()
                world.murder.down(backend)
                world.murder.up(backend)
                time.sleep(0.5)
    with tempfile.TemporaryDirectory() as path:
        config = Path(path) / "mbsyncrc"
        config.write_text(MBSYNC.format(host=host, port=port, user=user, path=path, mechanism="PLAIN")
                          + CHANNEL.format(far="INBOX", near="near") + CHANNEL.format(far=box, near="boxed"))
        restarting = threading.Thread(target=restarts)
        restarting.start()
        try:
            for _ in range(6):
                synced(config)
        finally:
            over.set()
            restarting.join()
        poll("a sync that ends well", 60, lambda: synced(config))
        for name, near in (("INBOX", "near"), (box, "boxed")):
            found = sorted(made["Subject"] for made in mailbox.Maildir(f"{path}/{near}", create=False))
            assert found == sorted(f"{name}-{n}" for n in range(60)), f"{name}: {len(found)} of 60"


def synced(config):
    try:
        run("mbsync", "-q", "-c", str(config), "near", "boxed")
        return True
    except AssertionError:
        return False
