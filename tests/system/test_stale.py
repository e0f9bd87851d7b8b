"""The list is behind: a mailbox has moved, or is gone. Commands find it where it is, or are told what is true."""

from delayed import behind
from imap_client import message, quoted
from marks import ours

MOVED = "moved: asked again"


def move(world, name, target):
    """To another backend, by the admin at the one that has it: no frontend has a hand in it."""
    source = {"backend1": "backend2", "backend2": "backend1"}[target]
    world.admin(source).command("RENAME ", quoted(name), " ", quoted(name), f" {target}.murder.test").ok()


def moved_user(world, frontend, source, target):
    """A user with a mailbox and a message in each, moved; and a session that knows nothing of it. (Cyrus ends
    the sessions that a user has at the old backend.)"""
    user = world.user(source)
    with world.client(user, frontend) as session:
        session.command("CREATE INBOX.box").ok()
        for name in ("INBOX", "INBOX.box"):
            session.append(name, message("first")).ok()
    session = world.client(user, frontend)
    move(world, f"user.{user}", target)
    return user, session


def healed(frontend):
    return frontend.log.read_text().count(MOVED)


# what a user says of a mailbox, and what the answer has
COMMANDS = (
    ("SELECT {}", "EXISTS"),
    ("EXAMINE {}", "EXISTS"),
    ("STATUS {} (MESSAGES)", "STATUS"),
    ("GETQUOTAROOT {}", "QUOTAROOT"),
    ("SETACL {} anyone lrsi", None),
    ("DELETEACL {} anyone", None),
    ("GETMETADATA {} /private/comment", "METADATA"),
    ("SETMETADATA {} (/private/comment \"x\")", None),
    ("RENAME {} INBOX.renamed", None),
)


@ours
def test_stale_a_mailbox_that_has_moved(world):
    """Each command, with the mailbox at another backend than the list says: it is carried out there."""
    with behind(world) as frontend:
        for command, word in COMMANDS:
            before = healed(frontend)
            _, session = moved_user(world, frontend, "backend1", "backend2")
            answer = session.command(command.format("INBOX.box")).ok()
            assert word is None or len(answer.of(word)) >= 1, (command, answer.untagged)
            asks_first = "ACL" in command  # the master, before the backend
            assert healed(frontend) == before + (not asks_first), f"{command}: the list was not behind"
            session.in_step()


@ours
def test_stale_delete(world):
    """It is deleted where it is, not where it was."""
    with behind(world) as frontend:
        user, session = moved_user(world, frontend, "backend2", "backend1")
        session.command("DELETE INBOX.box").ok()
        assert healed(frontend) == 1
        direct = world.at_backend("backend1", user)
        assert set(direct.listed(direct.command('LIST "" "INBOX*"').ok())) == {"INBOX"}
        session.select("INBOX.box").no("NONEXISTENT")
        session.in_step()


@ours
def test_stale_append(world):
    """A client that waits for leave doesn't notice; one that doesn't wait is told to try again, and can."""
    with behind(world) as frontend:
        for plus in (False, True):
            _, session = moved_user(world, frontend, "backend1", "backend2")
            answer = session.append("INBOX", message("second"), plus=plus)
            if plus:
                answer.no("UNAVAILABLE")
                answer = session.append("INBOX", message("second"), plus=True)
            answer.ok()
            session.in_step()
            assert session.exists(session.select("INBOX").ok()) == 2
            assert session.body(2) == message("second")


@ours
def test_stale_copy(world):
    """COPY within a backend becomes one to another backend."""
    with behind(world) as frontend:
        user = world.user("backend1")
        box = world.shared("backend1")
        session = world.client(user, frontend)
        session.append("INBOX", message("x")).ok()
        session.select("INBOX").ok()
        session.select(box).ok()
        session.select("INBOX").ok()
        move(world, box, "backend2")
        session.command("COPY 1 ", quoted(box)).ok()
        assert healed(frontend) == 1
        assert session.exists(session.select(box).ok()) == 1
        session.in_step()


@ours
def test_stale_a_mailbox_that_is_gone(world):
    """Deleted while the list still has it: the backend's NO is checked, and what is true is said."""
    with behind(world) as frontend:
        user = world.user("backend1")
        session = world.client(user, frontend)
        direct = world.at_backend("backend1", user)
        commands = ("SELECT {}", "STATUS {} (MESSAGES)", "DELETE {}", "SETACL {} anyone lr", "RENAME {} INBOX.new",
                    "GETMETADATA {} /private/comment")
        for n, command in enumerate(commands):
            session.command(f"CREATE INBOX.box{n}").ok()
            direct.command(f"DELETE INBOX.box{n}").ok()
            session.command(command.format(f"INBOX.box{n}")).no("NONEXISTENT")
        for n, plus in enumerate((False, True)):
            session.command(f"CREATE INBOX.target{n}").ok()
            direct.command(f"DELETE INBOX.target{n}").ok()
            session.append(f"INBOX.target{n}", message("x"), plus=plus).no("TRYCREATE")
        session.in_step()


@ours
def test_stale_but_the_master_is_away(world):
    """The backend doesn't have it, and nobody can tell whether another one does."""
    with behind(world) as frontend:
        _, session = moved_user(world, frontend, "backend1", "backend2")
        with world.without("mupdate"):
            session.select("INBOX.box").no("UNAVAILABLE")
            session.command("STATUS INBOX.box (MESSAGES)").no("UNAVAILABLE")
        session.in_step()
