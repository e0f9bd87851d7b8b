"""LIST, LSUB, NAMESPACE, MYRIGHTS, GETACL: answered from the list, and the same as Cyrus' frontend says."""

from imap_client import Conversation, Literal, quoted
from marks import ours
from murder import Frontend, Murder
from world import USERS

PATTERNS = [("", "*"), ("", "%"), ("", "INBOX"), ("", "INBOX*"), ("", "INBOX.%"), ("", "INBOX.*"),
            ("INBOX.", "%"), ("INBOX.", "*"), ("INBOX", "*"), ("", "user.*"), ("", "user.%"), ("user.", "%"),
            ("", "%.%"), ("", "%.%.%"), ("", "*Sent"), ("", "*.Sent"), ("", "shared%"), ("", "shared*"), ("", "*1*"),
            ("", "nosuch"), ("", "INBOX.a"), ("", "INBOX.a.%"), ("", "INBOX.a.b.c"), ("", "%%"), ("", "**"),
            ("", "*%"), ("", "INBOX.Se%t"), ("", "INBOX."), ("", "%."), ("shared", "*"), ("nosuch.", "*")]


def family(world):
    """Two users with folders, and rights of one at the other's."""
    user, other = world.user("backend1"), world.user("backend2")
    session, theirs = world.client(user), world.client(other)
    for name in ("INBOX.Sent", "INBOX.a.b.c", "INBOX.with space", "INBOX.deep.er"):
        session.command("CREATE ", quoted(name)).ok()
    session.command("DELETE INBOX.deep").must("OK", "NO")
    for name in ("INBOX.open", "INBOX.closed.open"):
        theirs.command("CREATE ", quoted(name)).ok()
        theirs.command("SETACL ", quoted(name), f" {user} lrs").ok()
    theirs.command("DELETEACL INBOX.closed ", user).ok()
    for name in (f"user.{user}.a.b.c", f"user.{other}.closed.open"):
        world.await_name(name)
    return user, other, session


def answers(session, patterns):
    return {(reference, pattern): session.listed(session.command("LIST ", quoted(reference), " ", quoted(pattern)).ok())
            for reference, pattern in patterns}


def test_list_as_cyrus_does(world):
    user, other, session = family(world)
    world.shared("backend1")
    world.shared("backend2")
    patterns = PATTERNS + [("", f"user.{other}"), ("", f"user.{other}.%"), (f"user.{other}", ".*"),
                           (f"user.{other}.", "%"), ("", f"user.{other}.closed%"), ("", f"user.{user}.*")]
    ours, cyrus = answers(session, patterns), answers(world.oracle(user), patterns)
    wrong = [f"LIST {key}: {ours[key]}, Cyrus says {cyrus[key]}" for key in patterns if ours[key] != cyrus[key]]
    assert not wrong, "\n".join(wrong)
    assert len(cyrus["", "*"]) > 8


def test_list_of_the_admin_as_cyrus_does(world):
    family(world)
    patterns = [("", "user.%"), ("", "user.*"), ("", "shared%"), ("user.", "%"), ("", "%")]
    ours, cyrus = answers(world.client("cyrus"), patterns), answers(world.oracle("cyrus"), patterns)
    wrong = [f"LIST {key}: {ours[key]}, Cyrus says {cyrus[key]}" for key in patterns if ours[key] != cyrus[key]]
    assert not wrong, "\n".join(wrong)


def test_list_of_the_delimiter(world):
    session = world.client(world.user())
    found = session.command('LIST "" ""').ok().of("LIST")
    assert len(found) == 1 and found[0].tree()[2:] == [b".", b""], found
    session.command("LIST ", Literal(b""), " ", Literal(b"*")).ok()
    session.command('LIST "" "" extra').bad()
    session.command('LIST ""').bad()
    session.command("LIST").bad()
    session.in_step()


def test_list_puts_the_inbox_first(world):
    _, _, session = family(world)
    first = session.command('LIST "" "*"').ok().of("LIST")[0].tree()
    assert first[-1] == b"INBOX" and b"\\HasChildren" in first[1], first


def test_deleted_mailboxes_are_not_listed(world):
    user = world.user()
    session = world.client(user)
    session.command("CREATE INBOX.gone").ok()
    session.command("DELETE INBOX.gone").ok()
    names = session.listed(session.command('LIST "" "*"').ok())
    assert "INBOX.gone" not in names
    assert not [name for name in names if "DELETED" in name], names


def test_namespace_and_rights_as_cyrus_does(world):
    user, other, session = family(world)
    box = world.shared("backend2")
    readonly = world.shared("backend1", rights="lr")
    oracle = world.oracle(user)
    names = ["INBOX", "INBOX.Sent", box, readonly, f"user.{other}.open", f"user.{other}", "nosuch"]
    commands = ["NAMESPACE", *(f"MYRIGHTS {name}" for name in names), *(f"GETACL {name}" for name in names)]
    for command in commands:
        mine, theirs = session.command(command), oracle.command(command)
        assert mine.status == theirs.status, f"{command}: {mine.text}, Cyrus says {theirs.text}"
        assert [r.tree() for r in mine.untagged] == [r.tree() for r in theirs.untagged], \
            f"{command}: {mine.untagged}, Cyrus says {theirs.untagged}"


def test_subscriptions(world):
    user, box = world.user("backend1"), world.shared("backend2")
    session = world.client(user)
    session.command("CREATE INBOX.Sent").ok()
    session.command("CREATE INBOX.gone").ok()
    for name in ("INBOX", "INBOX.Sent", "INBOX.gone", box):
        session.command("SUBSCRIBE ", name).ok()
    session.command("SUBSCRIBE nosuch").no()
    listed = session.listed(session.command('LSUB "" "*"').ok(), "LSUB")
    assert set(listed) == {"INBOX", "INBOX.Sent", "INBOX.gone", box}, listed
    # a name that is active at another backend than the inbox can be selected
    assert "\\noselect" not in listed[box], listed
    session.command("DELETE INBOX.gone").ok()
    listed = session.listed(session.command('LSUB "" "*"').ok(), "LSUB")
    assert "INBOX.gone" not in listed or "\\noselect" in listed["INBOX.gone"], listed
    session.command("UNSUBSCRIBE ", box).ok()
    session.command("UNSUBSCRIBE ", Literal(b"INBOX.Sent", plus=True)).ok()
    listed = session.listed(session.command('LSUB "" "*"').ok(), "LSUB")
    assert set(listed) - {"INBOX.gone"} == {"INBOX"}, listed
    session.in_step()


def test_lsub_patterns_as_cyrus_does(world):
    user = world.user("backend2")
    session = world.client(user)
    for name in ("INBOX.a", "INBOX.a.b", "INBOX.c d"):
        session.command("CREATE ", quoted(name)).ok()
        session.command("SUBSCRIBE ", quoted(name)).ok()
    world.await_name(f"user.{user}.c d")
    oracle = world.oracle(user)
    for reference, pattern in (("", "*"), ("", "%"), ("INBOX.", "%"), ("", "INBOX.%"), ("", "INBOX.c*"), ("", "x")):
        command = ("LSUB ", quoted(reference), " ", quoted(pattern))
        mine, theirs = lsub(session, command), lsub(oracle, command)
        assert mine == theirs, f"LSUB {reference!r} {pattern!r}: {mine}, Cyrus says {theirs}"


def lsub(session, command):
    """Without the \\Noselect of a parent that is not subscribed itself: RFC 3501 wants it, Cyrus has none."""
    found = session.listed(session.command(*command).ok(), "LSUB")
    return {name: attributes - {"\\noselect"} for name, attributes in found.items()}


@ours
def test_the_inbox_in_any_case(world):
    """(Cyrus' frontend lists it in capitals only.)"""
    session = world.client(world.user())
    for name in ("INBOX", "inbox", "InBox"):
        assert "INBOX" in session.listed(session.command('LIST "" ', quoted(name)).ok()), name
        session.command("MYRIGHTS ", name).ok()
        session.command("STATUS ", name, " (MESSAGES)").ok()


def test_status_on_both_backends(world):
    user, box = world.user("backend1"), world.shared("backend2")
    session = world.client(user)
    for name in ("INBOX", box, Literal(b"INBOX"), Literal(box.encode(), plus=True), quoted(box)):
        answer = session.command("STATUS ", name, " (MESSAGES UIDNEXT UIDVALIDITY UNSEEN)").ok()
        assert len(answer.of("STATUS")) == 1
    session.command("STATUS nosuch (MESSAGES)").no()
    session.command("STATUS INBOX").bad()
    session.command("STATUS INBOX (NOSUCH)").bad()
    session.in_step()


@ours
def test_other_separator_and_alternative_namespace(world):
    """A murder that shows `/` and has the INBOX beside its children."""
    murder = Murder("--sep", "/", "--altnamespace")
    frontend = None
    try:
        users = [f"{name}:{{PLAIN}}{name}pw" for name in ("cyrus", *USERS[:2])]
        frontend = Frontend(murder, users, top='hierarchy_separator = "/"\nalt_namespace = true').start()
        for name, backend in zip(USERS, ("backend1", "backend2")):
            murder.run("user", name, name + "pw", backend)
        alice, bob = USERS[:2]
        compare_namespaces(murder, frontend, alice, bob)
        frontend.stop()
    finally:
        if frontend:
            frontend.kill()
        murder.close()


def compare_namespaces(murder, frontend, alice, bob):
    with Conversation(frontend.address) as session, Conversation(frontend.address) as theirs, \
            Conversation(murder.address("frontend")) as oracle:
        theirs.login(bob, bob + "pw").ok()
        for at in (session, oracle):
            at.login(alice, alice + "pw").ok()
        for name in ("Sent", "a/b.c", "dotted.name"):
            session.command("CREATE ", quoted(name)).ok()
            session.select(name).ok()
        theirs.command("CREATE Open").ok()
        theirs.command(f"SETACL Open {alice} lrs").ok()
        for name in (f"Other Users/{bob}/Open", "Sent", "a/b.c", "INBOX"):
            for at in (session, oracle):
                at.command("STATUS ", quoted(name), " (MESSAGES)").ok()
        commands = ["NAMESPACE", 'LIST "" "*"', 'LIST "" "%"', 'LIST "" "a/*"', 'LIST "" "Other Users/*"',
                    'LIST "" "Other Users/%"', 'LIST "" "INBOX"', 'LIST "" "INBOX/*"', "MYRIGHTS Sent", "GETACL Sent"]
        wrong = []
        for command in commands:
            mine, its = ([plain_tree(r) for r in at.command(command).ok().untagged] for at in (session, oracle))
            if sorted(mine, key=repr) != sorted(its, key=repr):
                wrong.append(f"{command}: {mine}, Cyrus says {its}")
        assert not wrong, "\n".join(wrong)


def plain_tree(response):
    """LIST's attributes have no order."""
    return [sorted(part) if isinstance(part, list) and part and isinstance(part[0], bytes) else part
            for part in response.tree()]
