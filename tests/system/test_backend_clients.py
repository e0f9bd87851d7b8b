"""Real clients at the backend itself: imaplib, curl, mbsync both ways, fetchmail, and what a mail program says."""

import imaplib
import mailbox
import os
import re
import subprocess
import tempfile
from pathlib import Path

from imap_client import message, quoted
from marks import needs, ours
from test_clients import CHANNEL, MBSYNC, run

COUNT = 300


@ours
def test_backend_imaplib(world):
    backend = world.a_backend()
    with imaplib.IMAP4(*backend.address, timeout=20) as client:
        assert client.login("alice", "alicepw")[0] == "OK"
        assert client.create("INBOX.Sent")[0] == "OK"
        for name in ("INBOX", "INBOX.Sent"):
            assert client.append(name, "(\\Seen)", None, message("lib"))[0] == "OK"
            assert client.select(name) == ("OK", [b"1"])
            assert client.search(None, "SUBJECT", '"lib"') == ("OK", [b"1"])
            kind, data = client.fetch("1", "(FLAGS BODY.PEEK[])")
            assert kind == "OK" and data[0][1] == message("lib")
            assert client.uid("STORE", "1", "+FLAGS", "(\\Flagged)")[0] == "OK"
            assert client.status(name, "(MESSAGES UNSEEN)") == ("OK", [name.encode() + b" (MESSAGES 1 UNSEEN 0)"])
        assert b"INBOX.Sent" in b"\n".join(client.list()[1])
        assert client.subscribe("INBOX.Sent")[0] == "OK"
        assert b"INBOX.Sent" in client.lsub()[1][0]
        assert client.getacl("INBOX")[0] == "OK" and client.myrights("INBOX")[0] == "OK" and client.namespace()[0] == "OK"
        assert client.copy("1", "INBOX")[0] == "OK" and client.store("1", "+FLAGS", "\\Deleted")[0] == "OK"
        assert client.expunge() == ("OK", [b"1"])
        assert client.select("nosuch")[0] == "NO"
        assert client.delete("INBOX.Sent")[0] == "OK"
    with imaplib.IMAP4(*backend.address, timeout=20) as client:
        assert client.authenticate("PLAIN", lambda _: b"\0alice\0alicepw")[0] == "OK"
        assert client.select("INBOX", readonly=True) == ("OK", [b"2"])


@ours
@needs("curl")
def test_backend_curl(world):
    host, port = world.a_backend().address
    curl, url = ("curl", "-s", "-S", "--max-time", "60", "-u", "alice:alicepw"), f"imap://{host}:{port}/INBOX"
    with tempfile.NamedTemporaryFile() as file:
        file.write(message("curled", 3_000_000))
        file.flush()
        run(*curl, "-T", file.name, url)
    assert run(*curl, url + ";UID=1") == message("curled", 3_000_000)
    assert run(*curl, url + ";UID=1;SECTION=TEXT") == message("curled", 3_000_000).partition(b"\r\n\r\n")[2]
    assert b"SEARCH 1" in run(*curl, url + "?SUBJECT%20curled")
    assert b"\\Seen" in run(*curl, url, "-X", "STORE 1 +Flags \\Seen")
    assert b"MESSAGES 1" in run(*curl, f"imap://{host}:{port}/", "-X", "STATUS INBOX (MESSAGES)")
    run(*curl, url, "-X", "STORE 1 +Flags \\Deleted")
    assert b"1 EXPUNGE" in run(*curl, url, "-X", "EXPUNGE")
    assert b"INBOX" in run(*curl, f"imap://{host}:{port}/")


FLAGS = {"S": "\\Seen", "F": "\\Flagged", "R": "\\Answered", "D": "\\Draft"}


def far(session):
    """Subject to flags, as the backend has them."""
    session.select("INBOX").ok()
    found = {}
    for response in session.command("FETCH 1:* (FLAGS BODY.PEEK[HEADER.FIELDS (SUBJECT)])").ok().of("FETCH"):
        items = response.tree()[2]
        subject = items[-1].decode().removeprefix("Subject: ").strip()
        assert subject not in found, f"{subject} twice"
        found[subject] = frozenset(flag.decode() for flag in items[1]) & set(FLAGS.values())
    session.command("UNSELECT").ok()
    return found


def near(maildir):
    found = {}
    for made in maildir:
        assert made["Subject"] not in found, f"{made['Subject']} twice"
        found[made["Subject"]] = frozenset(FLAGS[flag] for flag in made.get_flags() if flag in FLAGS)
    return found


@ours
@needs("mbsync")
def test_backend_mbsync_both_ways(world):
    """Flags changed, messages added and removed on both sides: in the end both are equal, and what they ought to be."""
    backend = world.a_backend()
    host, port = backend.address
    session = world.at(backend, "alice")
    for n in range(COUNT):
        session.append("INBOX", message(f"far{n}", 20 * n)).ok()
    with tempfile.TemporaryDirectory() as path:
        config = Path(path) / "mbsyncrc"
        config.write_text(MBSYNC.format(host=host, port=port, user="alice", path=path, mechanism="PLAIN")
                          + CHANNEL.format(far="INBOX", near="near"))
        sync = ("mbsync", "-q", "-c", str(config), "near")
        run(*sync)
        maildir = mailbox.Maildir(f"{path}/near", create=False)
        expected = {f"far{n}": frozenset() for n in range(COUNT)}
        assert near(maildir) == expected
        change_far(session, expected)
        change_near(maildir, expected)
        run(*sync)
        assert far(session) == expected
        assert near(mailbox.Maildir(f"{path}/near", create=False)) == expected
        # nothing is left to do, and the bytes are the same
        before = session.command("STATUS INBOX (UIDNEXT MESSAGES)").ok().of("STATUS")[0].raw
        run(*sync)
        assert session.command("STATUS INBOX (UIDNEXT MESSAGES)").ok().of("STATUS")[0].raw == before
        session.select("INBOX").ok()
        (uid,) = session.command("UID SEARCH SUBJECT near7").ok().of("SEARCH")[0].text.split()[1:]
        text = message("near7", 700)
        assert re.sub(rb"X-TUID: .*\r\n", b"", session.body(uid.decode(), uid=True)) == text


def change_far(session, expected):
    session.select("INBOX").ok()
    session.command("STORE 1:40 +FLAGS.SILENT (\\Seen)").ok()
    session.command("STORE 21:60 +FLAGS.SILENT (\\Flagged)").ok()
    session.command("STORE 200:219 +FLAGS.SILENT (\\Deleted)").ok()
    session.command("EXPUNGE").ok()
    session.append("INBOX", message("late"), "(\\Draft)").ok()
    for n in range(60):
        expected[f"far{n}"] = frozenset((["\\Seen"] if n < 40 else []) + (["\\Flagged"] if n >= 20 else []))
    for n in range(199, 219):
        del expected[f"far{n}"]
    expected["late"] = frozenset(["\\Draft"])
    session.command("UNSELECT").ok()


def change_near(maildir, expected):
    by_subject = {made["Subject"]: key for key, made in maildir.items()}
    for n in range(100, 140):
        key = by_subject[f"far{n}"]
        made = maildir[key]
        made.set_subdir("cur")
        made.set_flags("RS" if n % 2 else "F")
        maildir[key] = made
        expected[f"far{n}"] = frozenset({"\\Answered", "\\Seen"} if n % 2 else {"\\Flagged"})
    for n in range(150, 170):
        key = by_subject[f"far{n}"]
        made = maildir[key]
        made.set_subdir("cur")
        made.add_flag("T")
        maildir[key] = made
        del expected[f"far{n}"]
    for n in range(40):
        maildir.add(message(f"near{n}", 100 * n).replace(b"\r\n", b"\n"))
        expected[f"near{n}"] = frozenset()


@ours
@needs("fetchmail")
def test_backend_fetchmail(world):
    """It takes what is unread, once, and leaves or removes it as it is told."""
    backend = world.a_backend()
    host, port = backend.address
    session = world.at(backend, "alice")
    for n in range(20):
        session.append("INBOX", message(f"m{n}", 300 * n), "(\\Seen)" if n < 5 else "").ok()
    with tempfile.TemporaryDirectory() as path:
        taken = Path(path) / "taken"
        taken.mkdir()
        script = Path(path) / "deliver"
        script.write_text(f"#!/bin/sh\nexec cat > {taken}/$$\n")
        script.chmod(0o755)
        config = Path(path) / "fetchmailrc"

        def fetch(*options):
            config.write_text(f'poll {host} protocol IMAP port {port} user "alice" password "alicepw" sslproto "" mda "{script}" '
                              + " ".join(options) + "\n")
            config.chmod(0o600)
            return subprocess.run(["fetchmail", "-f", config, "--nosyslog", "-v"], env=dict(os.environ, FETCHMAILHOME=path),
                                  stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
        done = fetch("keep")
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
        assert subjects(taken) == sorted(f"m{n}" for n in range(5, 20))
        assert fetch("keep").returncode == 1, "there was new mail twice"
        session.select("INBOX").ok()
        assert session.command("SEARCH UNSEEN").ok().of("SEARCH")[0].text == b"SEARCH"
        session.command("UNSELECT").ok()
        for file in taken.iterdir():
            file.unlink()
        done = fetch("fetchall", "nokeep")
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
        assert subjects(taken) == sorted(f"m{n}" for n in range(20))
        assert session.exists(session.select("INBOX").ok()) == 0


def subjects(folder):
    return sorted(re.search(r"^Subject: (\S+)", file.read_text(), re.M).group(1) for file in folder.iterdir())


class Program:
    """A connection as a mail program such as Thunderbird opens it."""

    def __init__(self, world, backend):
        self.session = session = world.at(backend, "alice")
        assert {"ENABLE", "IDLE", "MOVE", "UIDPLUS", "SPECIAL-USE", "LIST-EXTENDED"} <= session.capabilities()
        session.command('ID ("name" "Thunderbird" "version" "115.6.0")').ok()
        session.command("NAMESPACE").ok()
        answer = session.command('LIST "" "*" RETURN (SPECIAL-USE SUBSCRIBED)').ok()
        self.folders = session.listed(answer)


@ours
def test_backend_thunderbird_like(world):
    backend = world.a_backend()
    one, two = Program(world, backend), Program(world, backend)
    session, other = one.session, two.session
    for box, use in (("INBOX.Sent", "\\Sent"), ("INBOX.Trash", "\\Trash")):
        session.command(f"CREATE {box} (USE ({use}))").ok()
        session.command(f"SUBSCRIBE {box}").ok()
    folders = Program(world, backend).folders
    assert "\\trash" in folders["INBOX.Trash"] and "\\subscribed" in folders["INBOX.Sent"], folders
    session.append("INBOX.Sent", message("sent", 3000), flags="(\\Seen)", plus=False).ok()
    for n in range(5):
        session.append("INBOX", message(f"m{n}", 40_000)).ok()
    other.select("INBOX").ok()
    idle = other.start("IDLE")
    assert other.go_ahead(idle)
    session.append("INBOX", message("new")).ok()
    other.untagged("EXISTS", 5)
    other.send(b"DONE\r\n")
    other.finish(idle).ok()
    count = session.exists(session.select("INBOX").ok())
    fetched = session.command("UID FETCH 1:* (UID RFC822.SIZE FLAGS BODY.PEEK[HEADER.FIELDS (From To Subject Date Message-ID)])")
    assert len(fetched.ok().of("FETCH")) == count == 6
    session.command("UID STORE 2 +FLAGS (\\Seen $label1)").ok()
    changed = other.command("NOOP").ok().of("FETCH")
    assert len(changed) == 1 and b"$label1" in changed[0].raw
    tags = [session.start(f"UID FETCH {n} (UID BODY.PEEK[])") for n in range(1, 6)] + [session.start("NOOP")]
    for n, tag in enumerate(tags):
        got = session.finish(tag).ok()
        assert n == 5 or message(f"m{n}", 40_000) in got.of("FETCH")[0].raw
    session.command("UID MOVE 1:2 INBOX.Trash").ok()
    session.command("UID COPY 3 ", quoted("INBOX.Sent")).ok()
    session.command("UID STORE 3 +FLAGS (\\Deleted)").ok()
    session.command("UID EXPUNGE 3").ok()
    counts = {box: re.search(rb"MESSAGES (\d+)", session.command(f"STATUS {box} (MESSAGES)").ok().of("STATUS")[0].raw)[1]
              for box in ("INBOX", "INBOX.Trash", "INBOX.Sent")}
    assert counts == {"INBOX": b"3", "INBOX.Trash": b"2", "INBOX.Sent": b"2"}, counts
    assert len(other.command("NOOP").ok().of("EXPUNGE")) == 3
    for each in (session, other):
        each.command("LOGOUT").ok()
