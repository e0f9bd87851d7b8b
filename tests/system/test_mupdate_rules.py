"""The rules of our master, every cell of the table: state of a name, account, command, kind of conflicts."""

import itertools

import mupdate_rules as rules
from marks import ours
from mupdate_client import Mupdate
from mupdate_rules import Account, Command
from murder import logged, poll

ONE, TWO, ONE_RENAMED = "backend1.murder.test!default", "backend2.murder.test!default", "backend1.murder.test!"
ACL, NEW_ACL = "anyone\tlrs\t", "anyone\tlrswip\t"
ACCOUNTS = [Account("backend1", "backend1.murder.test"), Account("backend2", "backend2.murder.test"),
            Account("backend3"), Account("frontend", write=False)]
UNBOUND = ACCOUNTS[2]
WAYS = {  # how a name comes into each state at backend1
    "absent": [],
    "reserved": [Command("RESERVE", ONE)],
    "active": [Command("RESERVE", ONE), Command("ACTIVATE", ONE, ACL)],
    "moving": [Command("RESERVE", ONE), Command("ACTIVATE", ONE, ACL), Command("DEACTIVATE", ONE)],
}
COMMANDS = [Command(verb, location, NEW_ACL if verb == "ACTIVATE" else "")
            for verb in ("RESERVE", "ACTIVATE", "DEACTIVATE") for location in (ONE, ONE_RENAMED, TWO)] + [Command("DELETE")]


def say(session, name, command):
    strings = [name] + [command.location] * (command.location is not None) + [command.acl] * (command.verb == "ACTIVATE")
    answer = session.say(command.verb, *strings)
    assert answer.word in ("OK", "NO"), answer
    return answer.word == "OK"


def check_table(world, conflicts):
    server = world.mupdate_server(server=f'conflicts = "{conflicts}"\n[mupdate.server.guard]\nnames = 100000')
    sessions = {account.name: server.session(account.name) for account in ACCOUNTS}
    unbound = sessions[UNBOUND.name]
    wrong = []
    for number, (way, account, command) in enumerate(itertools.product(WAYS, ACCOUNTS, COMMANDS)):
        name, held = f"t{number}", None
        for step in WAYS[way]:
            assert say(unbound, name, step), (way, step)
            held = rules.after(step)
        right, held = rules.decide(held, account, command, conflicts)
        got = say(sessions[account.name], name, command)
        shown = rules.seen(unbound.find(name))
        # what the wire doesn't show: a moving name may be taken by another server, a reserved one not
        taken = say(unbound, name, Command("ACTIVATE", TWO, ACL))
        may_take, _ = rules.decide(held, UNBOUND, Command("ACTIVATE", TWO, ACL), conflicts)
        if (got, shown, taken) != (right, rules.shown(held), may_take):
            wrong.append(f"{way}, {account.name} {command}: {got} {shown} {taken}, not {right} {held} {may_take}")
    for session in sessions.values():
        session.close()
    assert not wrong, "\n".join(wrong)


@ours
def test_mupdate_rules_strict(world):
    check_table(world, "strict")


@ours
def test_mupdate_rules_cyrus(world):
    check_table(world, "cyrus")


def test_mupdate_rules_of_cyrus_itself(world):
    """The table's `conflicts = "cyrus"` is what Cyrus' master does, but for what kills it."""
    with Mupdate(world.murder.address("mupdate")) as session:
        for number, (way, command) in enumerate(itertools.product(WAYS, COMMANDS)):
            if way != "active" and command.verb == "DEACTIVATE" or way == "absent" and command.verb == "DELETE":
                continue  # signal 11
            name, held = f"rules.t{number}", None
            for step in [*WAYS[way], command]:
                right, held = rules.decide(held, UNBOUND, step, "cyrus")
                assert say(session, name, step) == right, (way, step)
                assert rules.seen(session.find(name)) == rules.shown(held), (way, command, step)
            if held:
                session.say("DELETE", name).ok()


@ours
def test_mupdate_refusals_are_logged(world):
    """That a server wants what is another's is for the operator to know."""
    server = world.mupdate_server()
    with server.session() as session:
        session.activate("box", ONE)
        assert session.say("ACTIVATE", "box", TWO, ACL).no().text
        assert session.say("RESERVE", "box", TWO).no().text == "mailbox already exists"
    for verb in ("ACTIVATE", "RESERVE"):
        told = f'{verb} of a mailbox of another server account="backend3" mailbox=box owner="backend1.murder.test"'
        poll(told, 5, lambda: told in server.log.read_text())


@ours
def test_mupdate_a_reservation_stays(world):
    """Neither the end of its connection nor a start of the server takes it away."""
    server = world.mupdate_server()
    with server.session("backend1") as session:
        session.reserve("kept", ONE)
        session.activate("moved", ONE)
        session.say("DEACTIVATE", "moved", ONE).ok()
    server.kill()
    server.start()
    with server.session("backend2") as session:
        assert session.find("kept").kind == session.find("moved").kind == "RESERVE"
        session.say("RESERVE", "kept", TWO).no()
        session.say("ACTIVATE", "kept", TWO, ACL).no()
        session.activate("moved", TWO)


@ours
def test_mupdate_guard_against_a_wipe(world):
    """More DELETEs than the limit are refused, renames and names that move not counted; other accounts go on."""
    server = world.mupdate_server(server="[mupdate.server.guard]\nnames = 10\npercent = 5")
    with server.session("backend1") as one, server.session("backend2") as two:
        for n in range(40):
            one.activate(f"g{n}", ONE)
        two.activate("other", TWO)
        for n in range(20):  # a rename each
            one.say("DELETE", f"g{n}").ok()
            one.reserve(f"h{n}", ONE)
            one.activate(f"h{n}", ONE)
        answers = [one.say("DELETE", f"h{n}").word for n in range(20)]
        assert 9 <= answers.count("OK") <= 11 and answers[-1] == "NO", answers
        one.activate("new", ONE)
        two.say("DELETE", "other").ok()
        left = len([name for name in one.say("LIST", "backend1.murder.test!").names])
        assert left == 41 - answers.count("OK"), left
    logged(server, "ravenry ctl mupdate allow")


@ours
def test_mupdate_guard_of_find(world):
    """A Cyrus backend deletes its copy of what FIND shows elsewhere: a wrong list must not make it delete them all."""
    server = world.mupdate_server(server="[mupdate.server.guard]\nnames = 10\npercent = 5")
    with server.session() as session:
        for n in range(40):
            session.activate(f"elsewhere{n}", TWO)
    with server.session("backend1") as session:
        session.say("LIST", "backend1.murder.test!").ok()
        session.raw(b"".join(b'f%d FIND "elsewhere%d"\r\n' % (n, n) for n in range(40)))
        lines = b"".join(iter(session.line, b""))
        assert lines.count(b" MAILBOX ") in (10, 11) and b"* BYE" in lines, lines[-300:]
    with server.session("backend1") as session:  # a backend of ours, which has a limit itself
        session.say("LIST", "backend1.murder.test!").ok()
        session.say("NOOP").ok()
        assert all(session.find(f"elsewhere{n}") for n in range(40))
