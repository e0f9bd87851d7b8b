"""Who a session is: authorization identities, UNAUTHENTICATE, ID, and what backends are told of the client."""

import re

from imap_client import Conversation, message, plain
from marks import ours
from murder import poll


@ours
def test_admins_and_proxy_users_act_for_others(world):
    alice, bob = world.user("backend1"), world.user("backend2")
    for user in (alice, bob):
        world.client(user).append("INBOX", message(f"of {user}")).ok()
    boss = world.user("backend1")
    frontend = world.another(admins=f'["cyrus", "{boss}"]', proxy=f'proxy_users = ["{bob}"]').start()

    def log_in(who, password, target):
        session = world.keep(Conversation(frontend.address))
        return session, session.command("AUTHENTICATE PLAIN ", plain(who, password, target))

    for who in ("cyrus", bob):
        session, answer = log_in(who, who + "pw", alice)
        answer.ok()
        session.select("INBOX").ok()
        assert session.body(1) == message(f"of {alice}")
        # with the rights of the one acted for, and no others
        assert f"user.{bob}" not in session.listed(session.command('LIST "" *').ok())
        session.command(f"SELECT user.{bob}").no()
        session.command(f"SETQUOTA INBOX (STORAGE 1)").no()
    for who in (bob, boss):  # the proxy account would act for an admin then
        log_in(who, who + "pw", "cyrus")[1].no("AUTHORIZATIONFAILED")
    log_in(alice, alice + "pw", bob)[1].no("AUTHORIZATIONFAILED")
    log_in(bob, "wrong", alice)[1].no("AUTHENTICATIONFAILED")
    log_in("cyrus", "wrong", alice)[1].no("AUTHENTICATIONFAILED")
    session, answer = log_in("cyrus", "cyruspw", "bad name\x01")
    answer.no()
    session.command('LIST "" *').must("BAD", "NO")
    session.login(alice, alice + "pw").ok()
    poll("who acts for whom in the log", 5, lambda: re.search(rf'acts_for="?{alice}', frontend.log.read_text()))


@ours  # Cyrus' frontend keeps the backend connections with the old user
def test_unauthenticate_leaves_nothing_of_the_user(world):
    alice, bob, there = world.user("backend1"), world.user("backend1"), world.shared("backend2")
    for user in (alice, bob):
        world.client(user).append("INBOX", message(f"of {user}")).ok()
    session = world.client(alice)
    assert "UNAUTHENTICATE" in session.capabilities()
    session.command("ENABLE CONDSTORE QRESYNC").ok()
    session.command(f"STATUS {there} (MESSAGES)").ok()
    session.command('RLIST "" INBOX').ok()
    before = world.client(alice)
    before.select("INBOX").ok()
    before.command("UNAUTHENTICATE").ok()
    for command in ("FETCH 1 FLAGS", 'LIST "" *', "SELECT INBOX", "UNAUTHENTICATE"):
        before.command(command).must("BAD", "NO")
    answer = session.command("UNAUTHENTICATE").ok()
    assert "AUTH=PLAIN" in answer.text
    assert world.frontend.stat("upstream_open") >= 0
    session.login(bob, "wrong").no("AUTHENTICATIONFAILED")
    session.login(bob, bob + "pw").ok()
    answer = session.select("INBOX").ok()  # nobody has shown that they know referrals
    assert session.body(1) == message(f"of {bob}")
    got = session.command("STORE 1 +FLAGS (x)").ok().of("FETCH")
    assert b"MODSEQ" not in got[0].raw, "CONDSTORE is bob's to enable"
    session.select(there).ok()
    session.command("UNAUTHENTICATE x").bad()
    session.command("UNAUTHENTICATE").ok()
    session.command("LOGOUT").ok()


@ours
def test_the_client_is_told_to_backends(world):
    user = world.user("backend2")
    log = world.murder.syslog()
    before = log.stat().st_size  # ports come again

    def logged():
        return log.read_bytes()[before:].decode(errors="replace")

    session = world.client(user)
    host, port = session.socket.getsockname()[:2]
    session.command("STATUS INBOX (MESSAGES)").ok()
    answer = session.select("INBOX").ok()
    assert not answer.of("ID"), "the backend's answer to our ID is not the client's"
    for _ in range(3):
        assert not session.command("NOOP").ok().untagged
    found = poll("the backend to log it", 5, lambda: re.findall(
        rf'backend2/imap.*client id.*"x-originating-ip" "{re.escape(host)}" "x-originating-port" "{port}"', logged()))
    assert len(found) == 1, found
    other = world.another(upstream="forward_client = false").start()
    silent = world.client(user, other)
    port = silent.socket.getsockname()[1]
    silent.select("INBOX").ok()
    assert f'"x-originating-port" "{port}"' not in logged()


@ours
def test_id_has_limits(world):
    session = world.client(world.user())
    session.command("ID NIL").ok()
    session.command('ID ("name" "x" "version" NIL)').ok()
    session.command("ID (" + " ".join(f'"f{n}" "v"' for n in range(30)) + ")").ok()
    session.command("ID (" + " ".join(f'"f{n}" "v"' for n in range(31)) + ")").bad()
    session.command(f'ID ("{"f" * 31}" "v")').bad()
    session.command(f'ID ("f" "{"v" * 1025}")').bad()
    session.command('ID ("f")').bad()
    session.command("ID (f v)").bad()
    session.command("ID").bad()
    session.in_step()
