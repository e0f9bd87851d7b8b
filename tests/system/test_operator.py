"""What an operator needs: limits on connections, failed logins, the end, reloading, the log, the service manager."""

import json
import os
import re
import resource
import selectors
import signal
import socket
import subprocess
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from imap_client import Broken, Conversation, Literal, message
from marks import needs, ours
from murder import BINARY, IMAPS, poll
from test_tls import authority, imaps, secured

ELSEWHERE = "127.77.{}.{}"  # addresses of clients who aren't trusted in these tests


def limited(world, **limits):
    """A frontend that trusts nobody, with these limits."""
    limits.setdefault("trusted", [])
    shown = "".join(f"{key} = {json.dumps(value)}\n" for key, value in limits.items())
    return world.another(top=f"[limits]\n{shown}")


def come(world, frontend, source, greet=True):
    """A connection from an address of one's own."""
    conversation = Conversation.__new__(Conversation)
    connect = socket.create_connection

    def bound(address, timeout):
        return connect(address, timeout=timeout, source_address=(source, 0))
    try:
        socket.create_connection = bound
        conversation.__init__(frontend.address, greet=greet)
    finally:
        socket.create_connection = connect
    return world.keep(conversation)


def turned_away(conversation, why="LIMIT"):
    assert conversation.greeting.raw.startswith(f"* BYE [{why}] ".encode()), conversation.greeting.raw
    conversation.expect_end()


def lines(frontend, text):
    return [line for line in frontend.log.read_text().splitlines() if text in line]


@ours
def test_limit_by_address(world):
    """By address, over all shards; a place is free again when its connection has gone, however it went."""
    frontend = limited(world, connections_per_address=6).start()
    here, there = ELSEWHERE.format(1, 1), ELSEWHERE.format(1, 2)
    for _ in range(3):
        held = [come(world, frontend, here) for _ in range(6)]
        assert all(session.greeting.word == b"OK" for session in held)
        for _ in range(20):
            turned_away(come(world, frontend, here))
        with come(world, frontend, there) as other:
            other.command("NOOP").ok()
        held[0].command("LOGOUT").ok()
        held[1].send(b"half a comm")
        for session in held:
            session.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            session.close()
        poll("the places to be free", 10, lambda: frontend.stat("connections_open") == 0)
    assert frontend.stat('connections_refused_total{limit="address"}') == 60
    told = lines(frontend, "too many connections")
    assert 1 <= len(told) <= 6 and "limit=\"address\"" in told[0] and here in told[0], told


@ours
def test_limit_in_all_and_trusted(world):
    """The limit in all holds for everybody, the one by address not for those who are trusted."""
    frontend = limited(world, connections=8, connections_per_address=2,
                       trusted=[ELSEWHERE.format(2, 0) + "/24"]).start()
    inside = [come(world, frontend, ELSEWHERE.format(2, 7)) for _ in range(8)]
    assert all(session.greeting.word == b"OK" for session in inside)
    turned_away(come(world, frontend, ELSEWHERE.format(2, 7)))
    turned_away(come(world, frontend, ELSEWHERE.format(1, 1)))
    inside.pop().close()
    poll("a place", 5, lambda: frontend.stat("connections_open") == 7)
    come(world, frontend, ELSEWHERE.format(1, 1)).command("NOOP").ok()
    assert frontend.stat('connections_refused_total{limit="total"}') == 2


@needs("openssl")
@ours
def test_limit_counts_handshakes(world):
    """A connection that says nothing on an imaps port holds a place as any other, until the login's deadline."""
    with authority(world) as ca:
        frontend = secured(world, ca, top='[limits]\nlogin = "3s"\nconnections_per_address = 3\ntrusted = []')
        poll("those who looked whether it listens to be gone", 5, lambda: frontend.stat("connections_open") == 0)
        silent = [socket.create_connection(frontend.imaps) for _ in range(3)]
        poll("them to be counted", 5, lambda: frontend.stat("connections_open") == 3)
        try:
            imaps(world, frontend, ca)
            raise AssertionError("a fourth was let in")
        except (OSError, Broken):
            pass
        turned_away(world.keep(Conversation(frontend.address)))
        assert frontend.stat("sessions_open") == 0
        poll("the handshakes to be given up", 10, lambda: frontend.stat("connections_open") == 0)
        imaps(world, frontend, ca).command("NOOP").ok()
        for stream in silent:
            stream.close()


@ours
def test_limit_by_user(world):
    frontend = limited(world, connections_per_user=3).start()
    user, other = world.user(), world.user()
    held = [world.client(user, frontend) for _ in range(3)]
    late = world.keep(Conversation(frontend.address))
    for _ in range(2):
        late.login(user, user + "pw").no("LIMIT")
    late.login(user.upper(), user + "pw").no("LIMIT")
    late.login_as(user, user + "pw", "").no("LIMIT")
    late.login(user, "wrong").no("AUTHENTICATIONFAILED")
    held.pop().command("LOGOUT").ok()
    poll("a place", 5, lambda: frontend.stat("sessions_open") == 3)
    late.login(user, user + "pw").ok()
    late.in_step()
    world.client(other, frontend)
    assert frontend.stat('logins_total{result="limit"}') == 4
    assert lines(frontend, f'limit="user"') and user in lines(frontend, 'limit="user"')[0]


@ours
def test_failed_logins_wait(world):
    """Longer with each one; others don't; then BYE. The log has the user and the address, never the password."""
    user = world.user()
    frontend = limited(world, login_delay="200ms", login_delay_max="1s", login_failures=5).start()
    here, there = ELSEWHERE.format(3, 1), ELSEWHERE.format(3, 2)
    session = come(world, frontend, here)
    waits = []
    for number in range(5):
        start = time.monotonic()
        tag = session.start(f"LOGIN {user} hunter{number}")
        if number == 4:
            # Meanwhile others are served, and log in.
            other = come(world, frontend, there)
            other.login(user, user + "pw").ok()
            other.in_step()
            assert time.monotonic() - start < 0.9, "another session waited"
        session.finish(tag).no("AUTHENTICATIONFAILED")
        waits.append(time.monotonic() - start)
    assert session.untagged("BYE").raw.endswith(b"Too many failed logins\r\n")
    session.expect_end()
    for wait, least in zip(waits, (0.2, 0.4, 0.8, 1.0, 1.0)):
        assert least <= wait < least + 2, waits
    # The address is remembered: a new connection begins where the last one ended.
    again, start = come(world, frontend, here), time.monotonic()
    again.login(user, "hunter9").no("AUTHENTICATIONFAILED")
    assert time.monotonic() - start >= 1
    start = time.monotonic()
    again.login(user, user + "pw").ok()
    assert time.monotonic() - start < 0.9, "a login that is right waits for nobody"
    assert frontend.stat('logins_total{result="denied"}') == 6
    assert frontend.stat("login_delay_milliseconds_total") == 4400
    told = lines(frontend, "login failed")
    assert len(told) == 6 and all(here in line and user in line for line in told), told
    assert "hunter" not in frontend.log.read_text()
    poll("the session's line", 5, lambda: lines(frontend, "end=\"BadLogins\"") or lines(frontend, "end=BadLogins"))


@ours
def test_whoever_hangs_up_keeps_the_place(world):
    """Hanging up on the wait, to try again at once, is no way around it: the address' places are taken."""
    user = world.user()
    frontend = limited(world, login_delay="2s", login_delay_max="2s", connections_per_address=4).start()
    here = ELSEWHERE.format(4, 1)
    for _ in range(4):
        session = come(world, frontend, here)
        session.start(f"LOGIN {user} wrong")
        time.sleep(0.1)
        session.close()
    turned_away(come(world, frontend, here))
    poll("the places to be free", 5, lambda: frontend.stat("connections_open") == 0)
    come(world, frontend, here).login(user, user + "pw").ok()


def leave(session, start):
    """When a session is told good-bye, and whether it was told the right one."""
    try:
        got = session.untagged("BYE", 40)
        assert b"[UNAVAILABLE] The server is shutting down" in got.raw, got.raw
    finally:
        left = time.monotonic() - start
        session.close()
    return left


@ours
def test_sigterm_spreads_its_goodbyes(world):
    """Listeners close at once, idle sessions leave evenly over the time and work until then, commands are finished."""
    user = world.user()
    frontend = limited(world, drain="4s", trusted=["127.0.0.0/8"]).start()
    count = 1400
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with ThreadPoolExecutor(16) as pool:
        sessions = list(pool.map(lambda _: Conversation(frontend.address), range(count)))
    idling = world.client(user, frontend)
    idling.select("INBOX").ok()
    idling.start("IDLE")
    assert idling.response().tag == b"+"
    sessions.append(idling)
    start = time.monotonic()
    frontend.process.send_signal(signal.SIGTERM)

    def refused():
        try:
            socket.create_connection(frontend.address, timeout=5).close()
            return False
        except ConnectionResetError:  # it was in the queue of a listener that closed just then
            return False
        except ConnectionRefusedError:
            return True
    poll("the listeners to close", 2, refused)
    times, waiting = [], len(sessions)
    with selectors.DefaultSelector() as selector:
        for session in sessions:
            selector.register(session.socket, selectors.EVENT_READ, session)
        sessions[-2].command("NOOP").ok()  # works until its turn comes
        while waiting:
            ready = selector.select(10)
            assert ready, f"{waiting} sessions were told nothing"
            for key, _ in ready:
                selector.unregister(key.data.socket)
                waiting -= 1
                times.append(leave(key.data, start))
    assert 2.4 < max(times) < 6, f"the last left after {max(times):.1f} s"
    share = [sum(1 for at in times if at <= (max(times) * n) / 4) / count for n in (1, 2, 3)]
    for got, want in zip(share, (0.25, 0.5, 0.75)):
        assert abs(got - want) < 0.12, f"not spread evenly: {share}"
    assert frontend.process.wait(15) == 0
    assert 2.4 < time.monotonic() - start < 12


@ours
def test_sigterm_lets_commands_finish(world):
    """A command that is under way is carried out and answered; then the good-bye."""
    user = world.user()
    frontend = limited(world, drain="10s").start()
    session, idle = world.client(user, frontend), world.client(user, frontend)
    text = message("late", 50_000)
    tag = session.tag()
    session.waiting.append(tag)
    session.send(tag + b" APPEND INBOX {%d+}\r\n" % len(text) + text[:10_000])
    time.sleep(0.3)
    start = time.monotonic()
    frontend.process.send_signal(signal.SIGTERM)
    assert leave(idle, start) < 2, "there were few: no need to wait"
    time.sleep(1)
    session.send(text[10_000:] + b"\r\n")
    session.finish(tag).ok()
    session.expect_bye("UNAVAILABLE")
    assert frontend.process.wait(10) == 0
    assert time.monotonic() - start < 6
    again = world.client(user)
    assert again.exists(again.select("INBOX").ok()) == 1
    assert again.body(1) == text


@ours
def test_sigterm_has_a_deadline(world):
    """A client that never finishes its command is cut off."""
    user = world.user()
    frontend = limited(world, drain="2s").start()
    session = world.client(user, frontend)
    session.send(b"a APPEND INBOX {2000+}\r\nhalf")
    time.sleep(0.2)
    start = time.monotonic()
    frontend.process.send_signal(signal.SIGTERM)
    assert frontend.process.wait(10) == 0
    assert 1.5 < time.monotonic() - start < 7


@ours
def test_sigterm_twice_ends_at_once(world):
    frontend = limited(world, drain="1h").start()
    stuck = world.client(world.user(), frontend)
    stuck.send(b"a APPEND INBOX {2000+}\r\nhalf")
    time.sleep(0.2)
    frontend.process.send_signal(signal.SIGTERM)
    time.sleep(1)
    assert frontend.process.poll() is None, "it waits for the command"
    assert "connections_open 1" in frontend.ctl("stats"), "and can be asked meanwhile"
    start = time.monotonic()
    frontend.process.send_signal(signal.SIGTERM)
    assert frontend.process.wait(10) == 0
    assert time.monotonic() - start < 4
    assert lines(frontend, "told again: ending at once")


def hang_up(frontend, line):
    before = len(lines(frontend, line))
    frontend.process.send_signal(signal.SIGHUP)
    poll(line, 5, lambda: len(lines(frontend, line)) > before)


@ours
def test_reload_of_users_and_groups(world):
    """SIGHUP: new users come in, old ones don't, a broken file changes nothing; open sessions stay."""
    user, other = world.user(), world.user()
    frontend = world.another([f"{user}:{{PLAIN}}{user}pw"], auth='passwd_file = "users"\ngroups_file = "groups"')
    users, groups = frontend.directory / "users", frontend.directory / "groups"
    groups.write_text(f"staff: {other}\n")
    frontend.start()
    shared = world.shared("backend1", rights="lrs")
    world.admin("backend1").command(f"SETACL {shared} group:staff lrswipkxtecd").ok()

    def logs_in(name, password):
        with Conversation(frontend.address) as session:
            return session.login(name, password).status == "OK"

    kept = world.client(user, frontend)
    assert not logs_in(other, other + "pw")
    users.write_text(f"{other}:{{PLAIN}}{other}pw\n{user}:{{PLAIN}}new\n")
    assert not logs_in(other, other + "pw"), "nobody has said so yet"
    hang_up(frontend, "the users have been read again (2)")
    assert logs_in(other, other + "pw") and logs_in(user, "new") and not logs_in(user, user + "pw")
    kept.command('LIST "" *').ok()
    for broken in (f"{user}:{{PLAIN}}x\nhunter2\n", f"{user}:{{PLAIN}}hunter2\n{user}:{{PLAIN}}y\n", f"{user}:{{MD5}}hunter2\n"):
        users.write_text(broken)
        hang_up(frontend, "the old users stay")
        assert logs_in(other, other + "pw") and logs_in(user, "new")
    assert re.search(r"the old users stay: .*users: line 2: ", frontend.log.read_text())
    assert "hunter2" not in frontend.log.read_text()
    users.unlink()
    hang_up(frontend, "can't be opened")
    assert logs_in(user, "new")
    users.write_text(f"{user}:{{PLAIN}}last\n")
    assert "users: read again (1)" in frontend.ctl("reload")
    assert logs_in(user, "last") and not logs_in(user, "new")

    def rights():
        with Conversation(frontend.address) as session:
            session.login(user, "last").ok()
            return session.command(f"MYRIGHTS {shared}").ok().of("MYRIGHTS")[0].text.split()[-1]
    poll("the mailbox's ACL", 10, lambda: rights() == b"lrs")
    groups.write_text(f"staff: {user}\n")
    assert "groups: read again" in frontend.ctl("reload")
    assert b"w" in rights()
    groups.write_text("no colon\n")
    asked = subprocess.run([BINARY, "ctl", "reload", "--config", frontend.config], capture_output=True, text=True)
    assert asked.returncode == 1 and "error: the old groups stay: " in asked.stdout and "line 1" in asked.stdout, asked
    assert "users: read again (1)" in asked.stdout, "the others are taken nevertheless"
    assert b"w" in rights()
    kept.in_step()


ALWAYS = {"time", "level", "part", "message"}
SESSION = {"session", "client", "tls", "user", "backends", "commands", "bytes_in", "bytes_out", "bytes_spliced",
           "seconds", "end"}


@ours
def test_log_as_json(world):
    """Every line is an object, whatever clients send, from the first to the last."""
    user = world.user()
    frontend = world.another(top='[log]\nformat = "json"\nlevel = "trace"\n[limits]\nlogin_delay = "100ms"').start(ready=False)
    poll("the list", 20, lambda: frontend.greets() == b"OK")
    world.client(user, frontend).command("LOGOUT").ok()
    nasty = [b'"', b"\\", b'","level":"error', b"\x01\x1b[31m", b"\xff\xfe\xc3", "‮ä\u2028".encode(), b"{}", b"\x7f"]
    for name in nasty:
        session = world.keep(Conversation(frontend.address))
        session.command("ID (", Literal(b"name", True), " ", Literal(name, True), ")").must("OK", "BAD")
        session.command("LOGIN ", Literal(name, True), " wrong").must("NO", "BAD")
        session.close()
    frontend.ctl("reload")
    frontend.process.send_signal(signal.SIGTERM)
    assert frontend.process.wait(30) == 0
    objects = [json.loads(line) for line in frontend.log.read_bytes().splitlines()]
    for found in objects:
        assert ALWAYS <= set(found), found
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", found["time"]), found
        assert found["level"] in ("error", "warn", "info", "debug", "trace"), found
    ended = [found for found in objects if found["message"] == "session" and found["user"] == user]
    assert len(ended) == 1 and SESSION <= set(ended[0]), ended
    assert ended[0]["end"] == "Logout" and isinstance(ended[0]["bytes_in"], int), ended
    failed = [found for found in objects if found["message"] == "login failed"]
    assert len(failed) >= 4 and all(found["client"] for found in failed), failed


@ours
def test_log_as_json_of_a_start_that_fails(world):
    frontend = world.another(top='[log]\nformat = "json"')
    (frontend.directory / "users").write_text("broken\n")
    done = subprocess.run([BINARY, "serve", "--config", frontend.config], cwd=frontend.directory,
                          capture_output=True, text=True, timeout=20)
    assert done.returncode == 1
    last = [json.loads(line) for line in done.stderr.splitlines()][-1]
    assert last["level"] == "error" and "line 1" in last["message"], last


@ours
def test_service_manager_is_told(world):
    """READY when it serves, STOPPING with the time it takes (sd_notify)."""
    frontend = limited(world, drain="5s")
    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        path = f"{folder}/notify"
        manager.bind(path)
        manager.settimeout(20)
        os.environ["NOTIFY_SOCKET"] = path
        try:
            frontend.start()
        finally:
            del os.environ["NOTIFY_SOCKET"]
        assert manager.recv(1000).split(b"\n")[0] == b"READY=1"
        frontend.process.send_signal(signal.SIGTERM)
        told = dict(line.split(b"=", 1) for line in manager.recv(1000).split(b"\n"))
        assert told[b"STOPPING"] == b"1" and 5e6 < int(told[b"EXTEND_TIMEOUT_USEC"]) < 60e6, told
        assert frontend.process.wait(20) == 0


@needs("openssl")
@ours
def test_threads_of_cryptography_step_back(world):
    """Hashes and handshakes are computed at a lower weight than the shards have."""
    with authority(world) as ca:
        frontend = secured(world, ca)
        imaps(world, frontend, ca).login("argon", "argonpw").ok()
        nice = {}
        for task in Path(f"/proc/{frontend.process.pid}/task").iterdir():
            name = (task / "comm").read_text().strip()
            nice[name] = int((task / "stat").read_text().rsplit(") ", 1)[1].split()[16])
    ours = os.getpriority(os.PRIO_PROCESS, 0)
    assert nice["hash-0"] == nice["tls-0"] == min(ours + 10, 19), nice
    assert nice["shard-0"] == nice["mupdate"] == nice["resolve-0"] == ours, nice
