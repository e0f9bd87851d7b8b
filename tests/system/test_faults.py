"""Servers that stop, hang and come back: a clear answer each time, and the sessions they don't concern go on."""

import re
import shutil
import signal
import subprocess
import time

from imap_client import Broken, Conversation, Literal, message
from marks import ours
from murder import poll


@ours
def test_backend_stopped(world):
    here, there = world.user("backend1"), world.user("backend2")
    box = world.shared("backend2")
    selected, idling, beside, other = (world.client(here) for _ in range(4))
    inbox_there = world.client(there)
    inbox_there.command("SUBSCRIBE INBOX").ok()
    for session in (selected, idling):
        session.select(box).ok()
    idle = idling.start("IDLE")
    assert idling.response().tag == b"+", idle
    beside.command("STATUS ", box, " (MESSAGES)").ok()  # has a connection there, but nothing selected
    beside.select("INBOX").ok()
    with world.without("backend2"):
        selected.send(b"")
        selected.waiting.append(b"late")
        try:
            selected.send(b"late NOOP\r\n")
        except OSError:
            pass
        selected.expect_bye("UNAVAILABLE")
        idling.expect_bye("UNAVAILABLE")
        for session in (beside, other, world.client(here)):
            refuses(session, box)
            session.select("INBOX").ok()
            session.append("INBOX", message("goes on")).ok()
            assert box in session.listed(session.command('LIST "" "*"').ok())
            session.in_step()
        for session in (inbox_there, world.client(there)):
            session.command('LSUB "" "*"').no("UNAVAILABLE")
            session.command("SUBSCRIBE INBOX").no("UNAVAILABLE")
            session.command("UNSUBSCRIBE INBOX").no("UNAVAILABLE")
            assert "INBOX" in session.listed(session.command('LIST "" "*"').ok())
            session.in_step()
    for session in (beside, other, inbox_there):
        session.select(box).ok()
    assert "INBOX" in inbox_there.listed(inbox_there.command('LSUB "" "*"').ok(), "LSUB")


def refuses(session, box):
    """Each command that needs the stopped backend says so, and takes all that belongs to it."""
    session.select(box).no("UNAVAILABLE")
    session.command("STATUS ", Literal(box.encode(), plus=True), " (MESSAGES)").no("UNAVAILABLE")
    for plus in (False, True):
        session.append(box, message("lost"), plus=plus).no("UNAVAILABLE")
        session.append(box, message("lost", 300_000), plus=plus).no("UNAVAILABLE")
    session.command("APPEND ", box, " ", Literal(b"m1\r\n", True), " (\\Seen) ", Literal(b"m2\r\n", True)).no("UNAVAILABLE")
    session.command("CREATE ", box, ".kid").no("UNAVAILABLE")
    session.command("DELETE ", box).no("UNAVAILABLE")
    session.command("SETACL ", box, " anyone l").no("UNAVAILABLE")


@ours
def test_backend_lost_within_a_fetch(world):
    """Half a literal went out: there is no reply to give any more, only the end."""
    user = world.user("backend2")
    session = world.client(user)
    session.append("INBOX", message("big", 8 << 20)).ok()
    session.select("INBOX").ok()
    tag = session.start("FETCH 1 BODY.PEEK[]")
    while len(session.buffer) < 100_000:
        session.fill(time.monotonic() + 20)
    with world.without("backend2"):
        try:
            session.finish(tag)
        except Broken as end:
            assert str(end).startswith(("closed", "connection lost")), end
        world.client(world.user("backend1")).select("INBOX").ok()
    world.client(user).select("INBOX").ok()


@ours
def test_backend_lost_within_an_append(world):
    user = world.user("backend2")
    session = world.client(user)
    text = message("big", 8 << 20)
    tag = session.tag()
    session.waiting.append(tag)
    session.send(tag + b" APPEND INBOX {%d+}\r\n" % len(text) + text[:1 << 20])
    with world.without("backend2"):
        session.send(text[1 << 20:] + b"\r\n")
        session.finish(tag).no("UNAVAILABLE")
        session.in_step()
    assert session.exists(session.select("INBOX").ok()) == 0


@ours
def test_backend_hangs(world):
    """A backend that takes connections and says nothing: the deadline answers."""
    limits = '[limits]\nconnect = "1s"\nupstream_login = "1s"\nupstream_answer = "2s"\n'
    frontend = world.another(account="frontend3", top=limits).start()
    here, there = world.user("backend1"), world.user("backend2")
    old, selected = world.client(there, frontend), world.client(there, frontend)
    old.command("STATUS INBOX (MESSAGES)").ok()
    selected.select("INBOX").ok()
    master = int((world.murder.directory / "cyrus/nodes/backend2/master.pid").read_text())
    processes = [master, *descendants(master)]
    for process in processes:
        signal_process(process, signal.SIGSTOP)
    try:
        start = time.monotonic()
        old.command("STATUS INBOX (MESSAGES)").no("UNAVAILABLE")
        world.client(there, frontend).select("INBOX").no("UNAVAILABLE")
        selected.waiting.append(b"f")
        selected.send(b"f FETCH 1:* FLAGS\r\n")
        selected.expect_bye("UNAVAILABLE")
        assert time.monotonic() - start < 15, "the deadlines were not kept"
        world.client(here, frontend).select("INBOX").ok()
    finally:
        for process in processes:
            signal_process(process, signal.SIGCONT)
    poll("backend2 to answer again", 20,
         lambda: world.client(there, frontend).command("STATUS INBOX (MESSAGES)").status == "OK")


def signal_process(process, what):
    try:
        subprocess.run(["kill", f"-{what.name}", str(process)], check=False, stderr=subprocess.DEVNULL)
    except ProcessLookupError:
        pass


def descendants(process):
    found = []
    try:
        with open(f"/proc/{process}/task/{process}/children") as children:
            for child in map(int, children.read().split()):
                found += [child, *descendants(child)]
    except FileNotFoundError:
        pass
    return found


@ours
def test_master_stopped(world):
    user, box = world.user("backend1"), world.shared("backend2")
    session, late = world.client(user), None
    session.append("INBOX", message("x")).ok()
    session.select("INBOX").ok()
    with world.without("mupdate"):
        late = world.client(user)
        for client in (session, late):
            client.select("INBOX").ok()
            assert client.body(1) == message("x")
            client.select(box).ok()
            assert box in client.listed(client.command('LIST "" "*"').ok())
            client.command("STATUS INBOX (MESSAGES)").ok()
            client.append("INBOX", message("y")).ok()
            client.command("MYRIGHTS INBOX").ok()
            # not in the list: nobody can tell whether it is there
            client.select("nosuch").no("UNAVAILABLE")
            client.command("STATUS INBOX.nosuch (MESSAGES)").no("UNAVAILABLE")
            for plus in (False, True):
                client.append("nosuch", message("x"), plus=plus).no("UNAVAILABLE")
            client.command("CREATE INBOX.new").no()
            client.in_step()
    for client in (session, late):
        answer = client.select("nosuch").no()
        assert "UNAVAILABLE" not in answer.code, answer.text
        client.command("SELECT INBOX").ok()
    session.command("CREATE INBOX.new").ok()
    late.select("INBOX.new").ok()


@ours
def test_nobody_waits_for_a_master_that_stays_away(world):
    """Its restart is waited for; once it stays away, "can't tell" comes at once, and what is known works on."""
    user = world.user("backend1")
    frontend = world.another(account="frontend3", top='[limits]\nbarrier = "15s"\n').start()
    session = world.client(user, frontend)
    with world.without("mupdate"):
        poll("the stream's end to be seen", 20, lambda: frontend.stat("mupdate_streaming") == 0)
        session.select("nosuch").no("UNAVAILABLE")  # may wait a little for the master to come back
        start = time.monotonic()
        for _ in range(10):
            session.select("nosuch").no("UNAVAILABLE")
            session.append("INBOX.nosuch", message("x", 100_000)).no("UNAVAILABLE")
            session.select("INBOX").ok()
        assert time.monotonic() - start < 10, "each waits for the barrier's deadline"
    def known():
        answer = session.select("nosuch").no()
        return "UNAVAILABLE" not in answer.code
    poll("the master to be followed again", 30, known)
    session.command("CREATE INBOX.new").ok()


@ours
def test_master_stopped_then_changed(world):
    """What was made and removed while our stream was down is right after it is back."""
    user = world.user("backend1")
    session = world.client(user)
    session.command("CREATE INBOX.before").ok()
    world.frontend.process.send_signal(signal.SIGSTOP)
    try:
        direct = world.at_backend("backend1", user)
        world.forget_admins()
        world.murder.down("mupdate")
        world.murder.up("mupdate")
        direct.command("DELETE INBOX.before").ok()
        direct.command("CREATE INBOX.after").ok()
    finally:
        world.frontend.process.send_signal(signal.SIGCONT)
    world.resynced()
    names = session.listed(session.command('LIST "" "*"').ok())
    assert "INBOX.after" in names and "INBOX.before" not in names, names
    session.select("INBOX.after").ok()
    session.select("INBOX.before").no()


SCRIPT = ["NAMESPACE", 'LIST "" "*"', 'LIST "" "%"', "SELECT INBOX", "FETCH 1:* (UID FLAGS BODY.PEEK[])",
          "STATUS {box} (MESSAGES UIDNEXT)", "MYRIGHTS {box}", "GETACL INBOX", 'LSUB "" "*"', "SELECT {box}",
          "SELECT nosuch", "STATUS nosuch (MESSAGES)", "CREATE INBOX", "NOSUCH", "CAPABILITY", "IDLE now", "CLOSE"]


def answers(world, user, box, frontend):
    session = world.client(user, frontend)
    said = []
    for line in SCRIPT:
        answer = session.command(line.format(box=box))
        said.append((line, re.sub(r"\d+\.\d+ secs", "", answer.text), [r.raw for r in answer.untagged if r.word != b"RECENT"]))
    session.close()
    return said


def furnished(world):
    """A user who has something of everything."""
    user, box = world.user("backend1"), world.shared("backend2")
    session = world.client(user)
    for name in ("INBOX.Sent", "INBOX.a.b"):
        session.command("CREATE ", name).ok()
        session.command("SUBSCRIBE ", name).ok()
    session.command("SUBSCRIBE ", box).ok()
    for name in ("INBOX", box):
        session.append(name, message("x"), flags="(\\Seen)").ok()
    for name in ("INBOX", box):  # \Recent goes to whoever looks first
        session.select(name).ok()
    session.command("LOGOUT").ok()
    return user, box


@ours
def test_a_second_frontend_gives_the_same_answers(world):
    user, box = furnished(world)
    beside = world.another(account="frontend3").start()
    mine, its = answers(world, user, box, world.frontend), answers(world, user, box, beside)
    for one, other in zip(mine, its):
        assert one == other, f"{one}\nthe other says\n{other}"


@ours
def test_state_wiped_or_killed_gives_the_same_answers(world):
    user, box = furnished(world)
    frontend = world.another(account="frontend3").start()
    before = answers(world, user, box, frontend)
    frontend.stop()
    same(answers(world, user, box, frontend.start()), before, "after a restart")
    frontend.kill()
    same(answers(world, user, box, frontend.start()), before, "after SIGKILL")
    frontend.stop()
    shutil.rmtree(frontend.directory / "state")
    same(answers(world, user, box, frontend.start()), before, "with the state wiped")


def same(now, before, when):
    differing = [pair for pair in zip(before, now) if pair[0] != pair[1]]
    assert not differing, f"{when}: {differing}"


@ours
def test_without_a_complete_list(world):
    """The master was never reached: BYE, not an empty LIST, until it is."""
    frontend = world.another(mupdate=3999).start(ready=False)
    for _ in range(3):
        session = world.keep(Conversation(frontend.address))
        assert session.greeting.word == b"BYE" and b"[UNAVAILABLE]" in session.greeting.raw, session.greeting.raw
        session.expect_end()
    assert frontend.ctl("stats")
    frontend.stop()
    world.forget_admins()
    world.murder.down("mupdate")
    later = world.another(account="frontend3").start(ready=False)
    try:
        session = world.keep(Conversation(later.address))
        assert session.greeting.word == b"BYE", session.greeting.raw
    finally:
        world.murder.up("mupdate")
    poll("the list", 30, lambda: later.greets() == b"OK")
    world.resynced()


@ours
def test_master_refuses_our_account(world):
    frontend = world.another(account="nobody").start(ready=False)
    session = world.keep(Conversation(frontend.address))
    assert session.greeting.word == b"BYE" and b"[UNAVAILABLE]" in session.greeting.raw, session.greeting.raw
    log = poll("the reason in the log", 10, lambda: [line for line in frontend.log.read_text().splitlines()
                                                      if "refuses the login" in line])
    assert log


@ours
def test_sigterm_says_goodbye(world):
    frontend = world.another(account="frontend3").start()
    user = world.user("backend1")
    waiting, idling, stranger = world.client(user, frontend), world.client(user, frontend), None
    waiting.select("INBOX").ok()
    idling.select("INBOX").ok()
    idling.start("IDLE")
    assert idling.response().tag == b"+"
    stranger = world.keep(Conversation(frontend.address))
    frontend.idle = None
    frontend.process.send_signal(signal.SIGTERM)
    for session in (waiting, idling, stranger):
        session.expect_bye()
    assert frontend.process.wait(20) == 0


@ours
def test_a_user_moved_to_the_other_backend(world):
    """Cyrus moves a user; our list follows and sessions find the mail at its new place."""
    user = world.user("backend1")
    session = world.client(user)
    session.command("CREATE INBOX.Sent").ok()
    session.append("INBOX", message("moved")).ok()
    session.append("INBOX.Sent", message("sent")).ok()
    session.select("INBOX").ok()
    admin = world.oracle("cyrus")
    admin.command(f"RENAME user.{user} user.{user} backend2.murder.test").ok()
    session.close()

    def found():
        fresh = world.client(user)
        return fresh.select("INBOX").status == "OK" and fresh
    fresh = poll("the mailbox at its new place", 15, found)
    assert fresh.body(1) == message("moved")
    fresh.select("INBOX.Sent").ok()
    assert fresh.body(1) == message("sent")
    assert len(world.at_backend("backend2", user).select("INBOX").ok().of("EXISTS")) == 1


@ours
def test_check_says_what_is_wrong(world):
    """`ravenry check` and `serve`: good, unknown keys, keys not built yet; the error names the place."""
    from murder import BINARY
    frontend = world.another()
    good = frontend.config.read_text()

    def check(text):
        frontend.config.write_text(text)
        done = subprocess.run([BINARY, "check", "--config", frontend.config], stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=20)
        return done.returncode, done.stdout + done.stderr
    code, said = check(good)
    assert code == 0, said
    for text, needle in ((good.replace("shards", "shrads"), "line 3"), (good + '\n[tls]\nkey = "x"\n', "tls.key wants"),
                         (good + '\n[tls]\ncertificate = "x.pem"\nkey = "x"\n', "x.pem can't be read"),
                         (good.replace("imap = [", "pop3 = ["), "not built yet: "), ("shards = [", "line 1")):
        code, said = check(text)
        assert code != 0 and needle in said, f"expected {needle!r}: {said}"
