"""Changes of the mailbox list: at the right backend, and seen at once by who made them and by others."""

from imap_client import Literal, message, quoted
from marks import ours
from mupdate_client import Mupdate
from murder import poll

RIGHTS = "lrswipkxtecdan"


def test_create_then_select(world):
    for backend in ("backend1", "backend2"):
        session = world.client(world.user(backend))
        for n in range(10):
            session.command(f"CREATE INBOX.new{n}").ok()
            session.select(f"INBOX.new{n}").ok()
            assert f"INBOX.new{n}" in session.listed(session.command('LIST "" "INBOX.*"').ok())
        session.in_step()


def test_create_then_select_in_one_segment(world):
    session = world.client(world.user())
    session.waiting += [b"a", b"b", b"c", b"d", b"e"]
    session.send(b"a CREATE INBOX.x\r\nb SELECT INBOX.x\r\nc RENAME INBOX.x INBOX.y\r\n"
                 b"d SELECT INBOX.y\r\ne DELETE INBOX.y\r\n")
    for tag in (b"a", b"b", b"c", b"d", b"e"):
        session.finish(tag).ok()
    session.select("INBOX.y").no()


def test_create_of_a_deep_name_makes_its_parents(world):
    session = world.client(world.user("backend2"))
    session.command("CREATE INBOX.a.b.c").ok()
    for name in ("INBOX.a.b.c", "INBOX.a.b", "INBOX.a"):
        session.select(name).ok()
    session.command("CREATE INBOX.trailing.").ok()
    session.select("INBOX.trailing").ok()


def test_create_refused(world):
    session = world.client(world.user())
    session.command("CREATE INBOX").no()
    session.command("CREATE INBOX.twice").ok()
    session.command("CREATE INBOX.twice").no()
    session.command("CREATE toplevel").no()
    session.command("CREATE user.somebody").no()
    session.command("CREATE INBOX..x").must("NO", "BAD", "OK" if world.oracle_only else "NO")
    session.command("CREATE").bad()
    session.in_step()


def test_names_with_odd_characters(world):
    session = world.client(world.user())
    for name in (b"INBOX.with space", b"INBOX.paren()", b'INBOX.{5}', b"INBOX.&AOQ-", b"INBOX.a'b", b"INBOX.~x"):
        created = session.command("CREATE ", Literal(name, plus=True))
        if created.status != "OK":
            continue
        session.command("STATUS ", quoted(name), " (MESSAGES)").ok()
        session.append(name, message("x")).ok()
        session.command("SELECT ", Literal(name)).ok()
        assert session.body(1) == message("x")
        assert name.decode() in session.listed(session.command('LIST "" "INBOX.*"').ok())
        session.command("DELETE ", quoted(name)).ok()
    session.in_step()


def test_delete(world):
    session = world.client(world.user("backend2"))
    session.command("CREATE INBOX.old").ok()
    session.append("INBOX.old", message("x")).ok()
    session.command("DELETE INBOX.old").ok()
    session.select("INBOX.old").no()
    session.command("STATUS INBOX.old (MESSAGES)").no()
    session.command("DELETE INBOX.old").no()
    assert "INBOX.old" not in session.listed(session.command('LIST "" "*"').ok())
    session.in_step()


def test_rename(world):
    session = world.client(world.user("backend1"))
    session.command("CREATE INBOX.one").ok()
    session.command("CREATE INBOX.one.kid").ok()
    session.append("INBOX.one", message("kept")).ok()
    session.command("RENAME INBOX.one ", Literal(b"INBOX.two words", plus=True)).ok()
    assert session.exists(session.select("INBOX.two words").ok()) == 1
    session.select("INBOX.two words.kid").ok()
    session.select("INBOX.one").no()
    session.command("RENAME INBOX.nosuch INBOX.x").no()
    session.command('RENAME "INBOX.two words" INBOX').no()
    names = session.listed(session.command('LIST "" "*"').ok())
    assert "INBOX.two words.kid" in names and "INBOX.one" not in names
    session.in_step()


def test_acls(world):
    owner, friend = world.user("backend1"), world.user("backend2")
    session, other = world.client(owner), world.client(friend)
    session.command("CREATE INBOX.open").ok()
    name = f"user.{owner}.open"
    other.select(name).no()
    session.command("SETACL INBOX.open ", friend, " ", Literal(b"lrs", plus=True)).ok()
    assert friend.encode() in session.command("GETACL INBOX.open").ok().of("ACL")[0].raw
    other.select(name).ok()
    assert b" lrs" in other.command("MYRIGHTS ", name).ok().of("MYRIGHTS")[0].raw
    assert name in other.listed(other.command('LIST "" "user.*"').ok())
    other.append(name, message("x")).no()
    other.command("SETACL ", name, " ", friend, " lrswipa").no()
    session.command("DELETEACL INBOX.open ", friend).ok()
    assert friend.encode() not in session.command("GETACL INBOX.open").ok().of("ACL")[0].raw
    other.command("UNSELECT").ok()
    poll("the other's list", 10, lambda: name not in other.listed(other.command('LIST "" "user.*"').ok()))
    other.select(name).no()
    session.in_step()


def test_made_directly_at_a_backend(world):
    """SELECT of a name that the list doesn't have asks the master before it says no."""
    user = world.user("backend2")
    session, direct = world.client(user), world.at_backend("backend2", user)
    for n in range(10):
        direct.command(f"CREATE INBOX.direct{n}").ok()
        if n % 2:
            session.select(f"INBOX.direct{n}").ok()
        else:
            session.append(f"INBOX.direct{n}", message("x")).ok()
    session.in_step()


@ours
def test_created_at_one_frontend_selected_at_another(world):
    beside = world.another(account="frontend3").start()
    user = world.user("backend1")
    here, there = world.client(user), world.client(user, beside)
    for n in range(10):
        here.command(f"CREATE INBOX.n{n}").ok()
        there.select(f"INBOX.n{n}").ok()
        there.command(f"CREATE INBOX.m{n}").ok()
        here.command(f"STATUS INBOX.m{n} (MESSAGES)").ok()
        here.select(f"INBOX.m{n}").ok()


def test_a_reserved_name(world):
    user = world.user("backend1")
    session = world.client(user)
    name, location = f"user.{user}.reserved", "backend1.murder.test!default"
    with Mupdate(world.murder.address("mupdate")) as master:
        master.reserve(name, location)
        session.select("INBOX.reserved").no()
        session.command("STATUS INBOX.reserved (MESSAGES)").no()
        session.append("INBOX.reserved", message("x"), plus=True).no()
        session.append("INBOX.reserved", message("x"), plus=False).no()
        assert "INBOX.reserved" not in session.listed(session.command('LIST "" "*"').ok())
        if world.oracle_only:
            return  # it does not ask the master again
        # and once the backend has it, it is there
        world.at_backend("backend1", user).command("CREATE INBOX.reserved").ok()
        session.select("INBOX.reserved").ok()
    session.in_step()


def test_a_name_whose_backend_lost_it(world):
    """The list says backend1, backend1 says no: its NO is passed on."""
    user = world.user("backend1")
    session = world.client(user)
    with Mupdate(world.murder.address("mupdate")) as master:
        master.activate(f"user.{user}.ghost", "backend1.murder.test!default", f"{user}\t{RIGHTS}\t")
    session.select("INBOX.ghost").no()
    session.command("STATUS INBOX.ghost (MESSAGES)").no()
    session.append("INBOX.ghost", message("x")).no()
    session.in_step()


@ours
def test_an_admin_is_told_which_backend(world):
    """The admin lists everything here; changes are made at the backend, by the admin itself."""
    user = world.user("backend1")
    session = world.client("cyrus")
    assert f"user.{user}" in session.listed(session.command('LIST "" "user.%"').ok())
    for command in ("CREATE user.x", f"CREATE user.{user}.x", f"DELETE user.{user}", f"RENAME user.{user} user.y",
                    f"SETACL user.{user} anyone lrs", f"DELETEACL user.{user} cyrus"):
        answer = session.command(command).no()
        if user in command:
            assert "backend1.murder.test" in answer.text, f"{command}: {answer.text}"
    session.command("GETACL ", f"user.{user}").ok()
    session.in_step()
    world.client(user).select("INBOX").ok()
