"""`ravenry ctl backend` and `ravenry backend import`: what an operator of a backend does."""

import json
import os
import pty
import re
import subprocess

from marks import ours
from murder import BINARY, poll, readable

MESSAGE = b"From: a@x.example\r\nSubject: one\r\n\r\nHello, world\r\n"


def run(server, *command, given="", code=0):
    """What it says on standard output; where it has to fail, on both."""
    done = subprocess.run([BINARY, *command, "--config", server.config], cwd=server.directory, input=given,
                          capture_output=True, text=True, timeout=30)
    assert done.returncode == code, (command, done)
    return done.stdout if code == 0 else done.stdout + done.stderr


def ctl(server, *command, **options):
    return run(server, "ctl", "backend", *command, **options)


def rows(server, *command):
    """The lines' fields, which are what `--json` says, too."""
    lines = [line.split("\t") for line in ctl(server, *command).splitlines()]
    objects = json.loads(ctl(server, *command, "--json"))
    text = [["" if value is None else str(value) for value in each.values()] for each in objects]
    assert [sorted(line) for line in lines] == [sorted(each) for each in text], (lines, objects)
    return lines


@ours
def test_backend_users_come_and_go(world):
    server = world.a_backend()
    users = server.directory / "users"
    users.write_text("# people\n" + users.read_text())
    before = users.read_text()
    assert ctl(server, "user", "add", "Carol", given="first\n") == "added carol\nmade user.carol\n"
    session = world.at(server)
    session.login("carol", "first").ok()
    session.append("INBOX", MESSAGE).ok()
    listed = {line[0]: line[1:] for line in rows(server, "user", "list")}
    assert listed["carol"] == ["yes", "yes", "1", "1", str(len(MESSAGE)), ""], listed
    assert "already" in ctl(server, "user", "add", "carol", given="x\n", code=1)
    assert "empty password" in ctl(server, "user", "add", "dave", given="\n", code=1)
    assert "no partition" in ctl(server, "user", "add", "dave", "--partition", "nowhere", given="x\n", code=1)
    assert "no user name" in ctl(server, "user", "add", "a/b", given="x\n", code=1)
    assert "isn't in" in ctl(server, "user", "passwd", "dave", given="x\n", code=1)
    assert "isn't in" in ctl(server, "user", "remove", "dave", code=1)
    ctl(server, "user", "passwd", "carol", given="second\n")
    world.at(server).login("carol", "first").no()
    world.at(server).login("carol", "second").ok()
    said = ctl(server, "user", "remove", "carol", "--mailboxes")
    assert said.startswith("removed carol\ndeleted user.carol (id "), said
    world.at(server).login("carol", "second").no()
    assert users.read_text() == before and users.stat().st_mode & 0o777 == 0o600
    ctl(server, "user", "add", "erin", "--no-inbox", given="pw\n")
    assert [line[2] for line in rows(server, "user", "list") if line[0] == "erin"] == ["no"]


@ours
def test_backend_a_password_that_is_typed_is_not_shown(world):
    server = world.a_backend()
    main, terminal = pty.openpty()
    process = subprocess.Popen([BINARY, "ctl", "--config", server.config, "backend", "user", "add", "frank"], cwd=server.directory,
                               stdin=terminal, stdout=terminal, stderr=terminal)
    os.close(terminal)
    seen = b""

    def until(text):
        nonlocal seen
        while text not in seen:
            assert readable([main], 20), seen
            seen += os.read(main, 1000)

    until(b"Password for frank: ")
    os.write(main, b"typed-secret\n")
    until(b"The same again: ")
    os.write(main, b"typed-secret\n")
    until(b"made user.frank")
    assert process.wait(20) == 0 and b"typed" not in seen, seen
    os.close(main)
    world.at(server).login("frank", "typed-secret").ok()


@ours
def test_backend_mailboxes_by_their_internal_names(world):
    server = world.a_backend(more='autocreate_inbox = true')
    session = world.at(server, "alice")
    ctl(server, "mailbox", "create", "user.alice.Entwürfe")
    ctl(server, "mailbox", "create", "shared", "--acl", "anyone lrs", "--acl", "bob write")
    assert rows(server, "mailbox", "list", "user.alice.*")[0][0] == "user.alice.Entw&APw-rfe"
    assert rows(server, "mailbox", "acl", "shared")[0] == ["anyone", "lrs"]
    ctl(server, "mailbox", "acl", "shared", "bob", "none")
    ctl(server, "mailbox", "acl", "shared", "alice", "+lrsi")
    ctl(server, "mailbox", "acl", "shared", "alice", "-s")
    assert rows(server, "mailbox", "acl", "shared") == [["anyone", "lrs"], ["alice", "lri"]]
    assert "no rights" in ctl(server, "mailbox", "acl", "shared", "alice", "lrQ", code=1)
    session.append("shared", MESSAGE).ok()
    info = json.loads(ctl(server, "mailbox", "info", "shared", "--json"))
    assert (info["messages"], info["unseen"], info["bytes"], info["uidnext"]) == (1, 1, len(MESSAGE), 2), info
    assert (server.directory / info["directory"] / "1.eml").read_bytes() == MESSAGE
    assert "messages: 1\n" in ctl(server, "mailbox", "info", "shared")
    assert "is there already" in ctl(server, "mailbox", "create", "shared", code=1)
    assert "no such partition" in ctl(server, "mailbox", "create", "s2", "--partition", "nowhere", code=1)
    assert "there is no mailbox s2" in ctl(server, "mailbox", "info", "s2", code=1)
    assert "no mailbox name" in ctl(server, "mailbox", "create", "a..b", code=1)
    assert "no acl" in ctl(server, "mailbox", "create", "s2", "--acl", "anyone", code=1).lower()
    ctl(server, "mailbox", "create", "shared.below")
    ctl(server, "mailbox", "rename", "shared", "common")
    assert [line[0] for line in rows(server, "mailbox", "list", "*o*")] == ["common", "common.below"]
    assert "--recursive" in ctl(server, "mailbox", "delete", "common", code=1)
    ctl(server, "mailbox", "delete", "common", "--recursive")
    gone = {line[1]: line[0] for line in rows(server, "mailbox", "removed")}
    ctl(server, "mailbox", "undelete", gone["common"], "again")
    assert session.exists(session.select("again").ok()) == 1
    assert "no deleted mailbox" in ctl(server, "mailbox", "undelete", gone["common"], "more", code=1)
    said = ctl(server, "purge", "--older-than", "0")
    assert re.fullmatch(r"purged \d+ messages\n", said), said
    assert rows(server, "mailbox", "removed") == []
    ctl(server, "mailbox", "list", "--nonsense", code=2)


@ours
def test_backend_a_user_who_is_renamed_keeps_all(world):
    server = world.a_backend()
    session = world.at(server, "alice")
    session.command("CREATE INBOX.x").ok()
    session.command("SETACL INBOX.x carol lr").ok()
    session.append("INBOX.x", MESSAGE).ok()
    for name in ("INBOX.x", "shared.y"):
        session.command(f"SUBSCRIBE {name}").ok()
    session.close()
    ctl(server, "quota", "set", "user.alice", "message=5")
    ctl(server, "quota", "set", "user.alice.x", "mailbox=2", "message=1")
    assert "renamed user.alice.x to user.dora.x" in ctl(server, "mailbox", "rename", "user.alice", "user.dora")
    assert [line[0] for line in rows(server, "mailbox", "acl", "user.dora")] == ["dora"]
    assert [line[0] for line in rows(server, "mailbox", "acl", "user.dora.x")] == ["dora", "carol"]
    quotas = [(line[0], line[3], line[4]) for line in rows(server, "quota", "list")]
    assert quotas == [("user.dora", "0", "5"), ("user.dora.x", "1", "1")], quotas
    ctl(server, "user", "add", "dora", "--no-inbox", given="pw\n")
    session = world.at(server)
    session.login("dora", "pw").ok()
    subscribed = {r.tree()[3] for r in session.command('LSUB "" "*"').ok().of("LSUB")}
    assert subscribed == {b"INBOX.x", b"shared.y"}, subscribed
    session.append("INBOX.x", MESSAGE).no("OVERQUOTA")
    assert session.exists(session.select("INBOX.x").ok()) == 1


@ours
def test_backend_messages_come_back(world):
    server = world.a_backend()
    session = world.at(server, "alice")
    for _ in range(3):
        session.append("INBOX", MESSAGE).ok()
    session.select("INBOX").ok()
    session.command("STORE 1:2 +FLAGS.SILENT (\\Deleted)").ok()
    session.command("EXPUNGE").ok()
    listed = rows(server, "mailbox", "expunged", "user.alice")
    assert [(line[0], line[1], line[4]) for line in listed] == [("1", str(len(MESSAGE)), "yes"), ("2", str(len(MESSAGE)), "yes")]
    assert "UIDs" in ctl(server, "mailbox", "unexpunge", "user.alice", "x", code=1)
    assert "are back as 4" in ctl(server, "mailbox", "unexpunge", "user.alice", "2,9")
    assert "none of these" in ctl(server, "mailbox", "unexpunge", "user.alice", "2", code=1)
    session.command("NOOP").ok()
    assert session.command("SEARCH UID 1:*").ok().of("SEARCH")[0].text == b"SEARCH 1 2"


@ours
def test_backend_quotas_hold(world):
    server = world.a_backend()
    session = world.at(server, "alice")
    assert rows(server, "quota", "list") == []
    ctl(server, "quota", "set", "user.alice", "storage=1KiB", "message=2")
    ctl(server, "quota", "set", "user.alice", "message=1")
    session.append("INBOX", MESSAGE).ok()
    session.append("INBOX", MESSAGE).no()
    facts = json.loads(ctl(server, "quota", "get", "user.alice", "--json"))
    assert facts == {"root": "user.alice", "storage used": len(MESSAGE), "storage limit": 1024, "messages used": 1,
                     "messages limit": 1, "mailboxes used": 1, "mailboxes limit": None}, facts
    assert [line[6] for line in rows(server, "user", "list") if line[0] == "alice"] == ["1024"]
    assert "wants storage=SIZE" in ctl(server, "quota", "set", "user.alice", "storage=1XiB", code=1)
    ctl(server, "quota", "set", "user.alice", "message=none")
    session.append("INBOX", MESSAGE).ok()
    ctl(server, "quota", "remove", "user.alice")
    assert "no quota root" in ctl(server, "quota", "get", "user.alice", code=1)
    assert server.stat("index_bytes") < server.stat("index_bytes_max")


def maildir(directory, count):
    for part in ("cur", "new", "tmp", ".Sent/cur", ".Sent/new"):
        (directory / part).mkdir(parents=True)
    for number in range(count):
        (directory / f"cur/{1000 + number}.m:2,S").write_text(f"Subject: {number}\n\ntext\n")
    (directory / ".Sent/cur/2000.s:2,Fa").write_text("Subject: sent\n\ntext\n")
    (directory / ".Sent/dovecot-keywords").write_text("0 Work\n")
    (directory / "subscriptions").write_text("Sent\n")


@ours
def test_backend_imports_a_maildir_with_the_server_and_without(world):
    server = world.a_backend()
    source = server.directory / "Maildir"
    maildir(source, 300)
    command = ("backend", "import", "--maildir", "Maildir", "--user", "alice")
    said = run(server, *command)
    assert said.endswith("into 2 mailboxes, 0 were there already, 0 were passed over; 1 subscriptions\n"), said
    session = world.at(server, "alice")
    assert session.exists(session.select("INBOX").ok()) == 300
    fetched = session.command("FETCH 1 (FLAGS INTERNALDATE BODY.PEEK[])").ok().of("FETCH")[0].raw
    assert b"\\Seen" in fetched and b" 1-Jan-1970 00:16:40 +0000" in fetched and b"Subject: 0\r\n\r\ntext\r\n" in fetched, fetched
    session.select("INBOX.Sent").ok()
    fetched = session.command("FETCH 1 FLAGS").ok().of("FETCH")[0].raw
    assert b"\\Flagged" in fetched and b"Work" in fetched, fetched
    assert b"Sent" in session.command('LSUB "" *').ok().of("LSUB")[0].raw
    (source / "new/9.nul").write_bytes(b"a\0b")
    (source / "new/10.more").write_bytes(b"Subject: more\n\n")
    said = run(server, *command, code=1)
    assert "imported 1 messages" in said and "301 were there already" in said and "9.nul is passed over" in said, said
    session.command("LOGOUT")
    poll("the session to end", 10, lambda: server.leaked() is None)
    server.stop()
    (source / "new/9.nul").unlink()
    said = run(server, *command, "--into", "Old")
    assert "imported 302 messages" in said, said
    server.start()
    session = world.at(server, "alice")
    assert session.exists(session.select("INBOX.Old").ok()) == 301
    assert session.exists(session.select("INBOX.Old.Sent").ok()) == 1


@ours
def test_backend_an_import_that_is_cut_off_fails_and_goes_on_later(world):
    server = world.a_backend()
    source = server.directory / "Maildir"
    maildir(source, 5000)
    command = ("backend", "import", "--config", server.config, "--maildir", source, "--user", "alice")
    cut = subprocess.Popen([BINARY, *command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    poll("some messages", 20, lambda: len(server.files()) > 200)
    server.kill()
    said = cut.communicate(timeout=20)[0]
    assert cut.returncode == 1 and "cut off" in said, said
    server.start()
    left = subprocess.Popen([BINARY, *command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    poll("more messages", 20, lambda: len(server.files()) > 500)
    left.kill()
    left.wait()
    poll("the import to end with its command", 30, lambda: subprocess.run([BINARY, *command], capture_output=True).returncode == 0)
    session = world.at(server, "alice")
    assert session.exists(session.select("INBOX").ok()) == 5000


@ours
def test_backend_what_is_wrong_is_found_and_put_right(world):
    server = world.a_backend()
    session = world.at(server, "alice")
    for _ in range(3):
        session.append("INBOX", MESSAGE).ok()
    assert ctl(server, "check", "--deep").endswith(" and 3 messages: 0 findings\n")
    one, two, _ = server.files()
    (one.parent / "70.eml").write_bytes(MESSAGE)
    two.write_bytes(MESSAGE.replace(b"world", b"worms"))
    one.unlink()
    said = ctl(server, "check", code=1)
    assert str(one.relative_to(server.directory)) in said and "70.eml" in said and str(two.name) not in said, said
    assert str(two.relative_to(server.directory)) in ctl(server, "check", "--deep", code=1)
    said = ctl(server, "reconstruct", "user.alice")
    assert "with the UIDs 1" in said and said.endswith("user.alice has been reconstructed\n"), said
    ctl(server, "check")
    two.write_bytes(MESSAGE)  # from a backup, as the guide says
    ctl(server, "check", "--deep")
    assert "there is no mailbox" in ctl(server, "reconstruct", "user.nobody", code=1)


@ours
def test_backend_a_backup_is_a_store(world):
    server = world.a_backend()
    session = world.at(server, "alice")
    for _ in range(5):
        session.append("INBOX", MESSAGE).ok()
    said = ctl(server, "backup", "copy")
    assert re.search(r"copy: \d+ mailboxes, 5 files linked, 0 copied\n$", said), said
    session.append("INBOX", MESSAGE).ok()
    assert "something in it" in ctl(server, "backup", "copy", code=1)
    session.command("LOGOUT")
    server.stop()
    config = server.config.read_text()
    server.config.write_text(config.replace('"state"', '"copy"').replace('"spool"', '"copy/spool/default"'))
    server.start()
    session = world.at(server, "alice")
    assert session.exists(session.select("INBOX").ok()) == 5
    assert MESSAGE in session.command("FETCH 5 BODY.PEEK[]").ok().of("FETCH")[0].raw


@ours
def test_backend_ctl_says_what_to_do_when_nobody_answers(world):
    server = world.a_backend(start=False)
    assert "is `ravenry serve` running" in ctl(server, "mailbox", "list", code=1)
    assert "--no-inbox" in ctl(server, "user", "add", "gina", given="x\n", code=1)
    assert "gina" not in (server.directory / "users").read_text()
    assert ctl(server, "user", "add", "gina", "--no-inbox", given="x\n") == "added gina\n"
    for command in ((), ("user",), ("mailbox",), ("quota",), ("mailbox", "acl"), ("purge",)):
        assert "Usage:" in ctl(server, *command, "--help")
