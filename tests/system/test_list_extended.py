"""LIST with options, XLIST: merged of our list and of what backends and the inbox's backend know; compared with
Cyrus' own frontend where that is right, and what is missing while a backend is down.
"""

import re

from crooked import DOWN, UP, Crooked
from imap_client import message, quoted
from marks import ours
from murder import IMAP


class Tree:
    """A user at backend1 with a tree, special uses and subscriptions, and a shared tree at backend2."""

    def __init__(self, world):
        self.world, self.user, self.shared = world, world.user("backend1"), world.shared("backend2")
        self.session = session = world.client(self.user)
        for name in ("Sent", "Drafts", "a", "a.b", "a.b.c", "gone", "x.y.z"):
            session.command(f"CREATE INBOX.{name}").ok()
        session.command(f"CREATE {self.shared}.sub").ok()
        for name in ("INBOX", "INBOX.a.b.c", "INBOX.gone", "INBOX.x.y.z", self.shared, f"{self.shared}.sub"):
            session.command(f"SUBSCRIBE {name}").ok()
        backend = world.at_backend("backend1", self.user)
        for use in ("Sent", "Drafts"):
            backend.command(f'SETMETADATA INBOX.{use} (/private/specialuse "\\\\{use}")').ok()
        backend.command('SETMETADATA INBOX (/private/comment "in here")').ok()
        backend.command('SETMETADATA INBOX.a (/private/comment {4+}\r\na"b\\)').ok()
        session.command("DELETE INBOX.gone").ok()
        for box, count in (("INBOX", 3), (self.shared, 2)):
            for n in range(count):
                session.append(box, message(f"{box} {n}")).ok()
        world.unseen.append(f"{self.shared}.sub")


def lines(answer):
    return sorted(re.sub(rb'\("CHILDINFO" ', b"(CHILDINFO ", response.raw) for response in answer.ok().untagged)


COMMANDS = [
    '"" * RETURN (CHILDREN)', '() "" *', '"" (INBOX %) RETURN ()', '"" % RETURN (CHILDREN)', '"INBOX." (a a.*)',
    '(SUBSCRIBED) "" *', '(SUBSCRIBED) "" %', '(SUBSCRIBED RECURSIVEMATCH) "" INBOX.%', '"" * RETURN (SUBSCRIBED)',
    '"" * RETURN (SPECIAL-USE)', '(SPECIAL-USE) "" *', '(SUBSCRIBED SPECIAL-USE) "" *', '(REMOTE) "" INBOX',
    '"" * RETURN (STATUS (MESSAGES UNSEEN UIDNEXT))', '"" * RETURN (MYRIGHTS)', '"" "" RETURN (CHILDREN)',
    '"" INBOX* RETURN (METADATA (/private/comment))', '(SUBSCRIBED) "" (INBOX* s*) RETURN (STATUS (MESSAGES) CHILDREN)',
]


@ours
def test_list_extended_as_cyrus_does(world):
    tree = Tree(world)
    oracle = world.oracle(tree.user)
    for command in COMMANDS:
        ours_, cyrus = (lines(session.command("LIST ", command)) for session in (tree.session, oracle))
        assert ours_ == cyrus, (command, [x for x in ours_ if x not in cyrus], [x for x in cyrus if x not in ours_])
    for command in ('(RECURSIVEMATCH) "" *', '(FOO) "" *', '"" * RETURN (FOO)', '"" * RETURN (STATUS', '"" * x'):
        for session in (tree.session, oracle):
            session.command("LIST ", command).bad()
    tree.session.in_step()


def test_list_subscribed(world):
    tree = Tree(world)
    found = tree.session.listed(tree.session.command('LIST (SUBSCRIBED) "" *').ok())
    assert set(found) == {"INBOX", "INBOX.a.b.c", "INBOX.gone", "INBOX.x.y.z", tree.shared, f"{tree.shared}.sub"}
    assert all("\\subscribed" in attributes for attributes in found.values())
    assert [name for name, attributes in found.items() if "\\nonexistent" in attributes] == ["INBOX.gone"]
    found = tree.session.listed(tree.session.command('LIST "" * RETURN (SUBSCRIBED)').ok())
    assert {name for name, attributes in found.items() if "\\subscribed" in attributes} == {
        "INBOX", "INBOX.a.b.c", "INBOX.x.y.z", tree.shared, f"{tree.shared}.sub"}


@ours  # Cyrus' frontend says CHILDINFO only where nothing else is said of a name
def test_list_recursivematch(world):
    tree = Tree(world)
    got = tree.session.command('LIST (SUBSCRIBED RECURSIVEMATCH) "" %').ok().of("LIST")
    told = {response.tree()[3].decode(): b'("CHILDINFO" ("SUBSCRIBED"))' in response.raw for response in got}
    assert told == {"INBOX": True, tree.shared: True}, told
    got = tree.session.command('LIST (SUBSCRIBED RECURSIVEMATCH) "" (INBOX.% INBOX.x.y.z)').ok().of("LIST")
    told = {response.tree()[3].decode(): b"CHILDINFO" in response.raw for response in got}
    assert told == {"INBOX.a": True, "INBOX.gone": False, "INBOX.x.y.z": False}, told
    got = tree.session.command('LIST (SPECIAL-USE RECURSIVEMATCH) "" %').ok().of("LIST")
    assert [response.tree()[3] for response in got] == [b"INBOX"] and b'("SPECIAL-USE")' in got[0].raw


def test_list_specialuse(world):
    tree = Tree(world)
    found = tree.session.listed(tree.session.command('LIST "" * RETURN (SPECIAL-USE)').ok())
    assert "\\sent" in found["INBOX.Sent"] and "\\drafts" in found["INBOX.Drafts"]
    assert tree.shared in found
    found = tree.session.listed(tree.session.command('LIST (SPECIAL-USE) "" *').ok())
    assert set(found) == {"INBOX.Sent", "INBOX.Drafts"}


def test_xlist(world):
    tree = Tree(world)
    found = tree.session.listed(tree.session.command('XLIST "" *').ok(), "XLIST")
    assert "\\inbox" in found["INBOX"] and "\\sent" in found["INBOX.Sent"]
    assert sum("\\inbox" in attributes for attributes in found.values()) == 1
    plain = tree.session.listed(tree.session.command('LIST "" *').ok())
    assert set(found) == set(plain) and "\\sent" not in plain["INBOX.Sent"]


def test_list_status_of_both_backends(world):
    tree = Tree(world)
    tree.session.select("INBOX").ok()
    answer = tree.session.command('LIST "" * RETURN (STATUS (MESSAGES))').ok()
    told = {r.tree()[1].decode(): int(r.tree()[2][1]) for r in answer.of("STATUS")}
    assert told["INBOX"] == 3 and told[tree.shared] == 2 and set(told) == set(tree.session.listed(answer))
    for n, response in enumerate(answer.untagged):  # a STATUS stands behind its LIST (RFC 5819 section 2)
        if response.word == b"STATUS":
            before = answer.untagged[n - 1]
            assert before.word == b"LIST" and before.tree()[3] == response.tree()[1]
    tree.session.in_step()
    assert tree.session.body(1) == message("INBOX 0"), "the mailbox is selected still"


@ours
def test_list_of_a_backend_without_the_extensions(world):
    """It is asked mailbox by mailbox, and the client sees no difference."""
    tree = Tree(world)
    net, asked = world.murder.net, []

    def old(data):
        return re.sub(rb" LIST-(STATUS|METADATA|EXTENDED)", b"", data)

    def heard(data):
        asked.append(data)
        return re.sub(rb"(RVN LIST [^\r]* RETURN \((?!SPECIAL-USE\))[^\r]*)", rb"RVN NONSENSE", data)
    with Crooked((f"{net}.202", IMAP), world.murder.address("backend1")) as one:
        one.edits.update({DOWN: old, UP: heard})
        frontend = world.another(backend1=f"{net}.202").start()
        session = world.client(tree.user, frontend)
        assert {"LIST-STATUS", "LIST-METADATA"} <= session.capabilities()
        for options in ("STATUS (MESSAGES UIDNEXT)", "METADATA (/private/comment)", "STATUS (MESSAGES) METADATA (/private/comment)"):
            told = [lines(each.command(f'LIST "" * RETURN (SPECIAL-USE {options})')) for each in (session, tree.session)]
            assert told[0] == told[1] and len(told[0]) > 5, (options, [x for x in told[0] if x not in told[1]], [x for x in told[1] if x not in told[0]])
        assert b"RVN STATUS INBOX.a " in b"".join(asked) and b"NONSENSE" not in b"".join(asked)
        session.in_step()
        session.command("LOGOUT").ok()


@ours  # Cyrus' frontend leaves its mailboxes out in silence
def test_merged_list_with_a_backend_down(world):
    tree = Tree(world)
    session = tree.session
    with world.without("backend2"):
        answer = session.command('LIST "" * RETURN (STATUS (MESSAGES))').ok()
        assert [r.raw for r in answer.of("NO")] and b"[UNAVAILABLE] backend2.murder.test" in answer.of("NO")[0].raw
        assert {"INBOX", tree.shared} <= set(session.listed(answer))
        told = {r.tree()[1].decode() for r in answer.of("STATUS")}
        assert "INBOX" in told and tree.shared not in told
        session.command('LIST (SPECIAL-USE) "" *').no("UNAVAILABLE")
        assert "INBOX" in session.listed(session.command('LIST (SUBSCRIBED) "" *').ok())
        session.in_step()
    with world.without("backend1"):
        session.command('LIST (SUBSCRIBED) "" *').no("UNAVAILABLE")
        answer = session.command('LIST "" * RETURN (SUBSCRIBED)').ok()
        assert answer.of("NO") and "INBOX" in session.listed(answer)
        session.command('LIST "" *').ok()
        session.in_step()


@ours
def test_merged_list_of_many_names_with_odd_characters(world):
    user = world.user("backend2")
    session = world.client(user)
    made = ["INBOX.(x)", "INBOX.&APw-x", "INBOX.[y] z", "INBOX.a&-b"]
    for name in made:
        session.command("CREATE ", quoted(name)).ok()
    answer = session.command('LIST "" INBOX* RETURN (STATUS (MESSAGES))').ok()
    assert {r.tree()[1].decode() for r in answer.of("STATUS")} == {"INBOX", *made}


@ours
def test_list_of_what_has_just_been_made(world):
    user = world.user("backend1")
    session = world.client(user)
    for n in range(20):
        session.command(f"CREATE INBOX.n{n}").ok()
        found = session.listed(session.command('LIST "" INBOX.* RETURN (STATUS (MESSAGES))').ok())
        assert f"INBOX.n{n}" in found
