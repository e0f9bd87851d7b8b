"""A part goes away and comes back: what the others can do meanwhile, and that all is well after it."""

from imap_client import Broken, Conversation, message
from murder import poll
from mixed_reading import status


def works(cell, user, command):
    """A new session's command, until it's done: connections and lists come back by themselves."""
    def done():
        try:
            with Conversation(cell.murder.address("frontend")) as session:
                return session.login(user, user + "pw").status == "OK" and session.command(command).status == "OK"
        except (OSError, Broken):
            return False
    poll(f"{command} to work", 30, done)


def test_the_master_is_away_and_comes_back(cell):
    user, two = cell.user(), cell.shared("backend2")
    session = cell.session(user)
    session.command("CREATE INBOX.old").ok()
    session.append(two, message("before")).ok()
    cell.stop("mupdate")
    try:
        assert session.exists(session.select(two).ok()) == 1
        session.append("INBOX.old", message("meanwhile")).ok()
        session.command("COPY 1 INBOX.old").ok()
        assert "INBOX.old" in session.listed(session.command('LIST "" "*"').ok())
        # Cyrus' backend changes an ACL and says NO then, and may delete without its master
        refused = ["DELETE INBOX.old", "SETACL INBOX.old anyone lrs"] if cell.has(backend="ours") else []
        for command in ("CREATE INBOX.new", "RENAME INBOX.old INBOX.new", *refused):
            session.command(command).no()
        assert status(session, "INBOX.old")["MESSAGES"] == 2
    finally:
        cell.start("mupdate")
    works(cell, user, "CREATE INBOX.new")
    works(cell, user, "SELECT INBOX.new")
    again = cell.session(user)
    assert again.exists(again.select("INBOX.old").ok()) == 2


def test_the_master_restarts_and_knows_all_it_knew(cell):
    user, box = cell.user("backend2"), cell.shared("backend1")
    before = cell.at_master(box), cell.at_master(f"user.{user}")
    assert all(before)
    cell.stop("mupdate")
    cell.start("mupdate")
    assert (cell.at_master(box), cell.at_master(f"user.{user}")) == before
    works(cell, user, f"SELECT {box}")
    works(cell, user, "CREATE INBOX.after")


def test_a_backend_is_away_and_comes_back(cell):
    for backend, other in (("backend1", "backend2"), ("backend2", "backend1")):
        user, here, there = cell.user(other), cell.shared(other), cell.shared(backend)
        session = cell.session(user)
        session.append(there, message("kept"), "(\\Flagged)").ok()
        validity = status(session, there)["UIDVALIDITY"]
        session.select(here).ok()
        cell.stop(backend)
        try:
            session.append(here, message("meanwhile")).ok()
            session.command("NOOP").ok()
            assert session.body(1) == message("meanwhile")
            session.command(f"STATUS {there} (MESSAGES)").no()
            session.append(there, message("lost")).no()
            session.command(f"COPY 1 {there}").no()
            session.in_step()
            assert there in session.listed(session.command('LIST "" "*"').ok())
        finally:
            cell.start(backend)
        works(cell, user, f"SELECT {there}")
        again = cell.session(user)
        assert again.exists(again.select(there).ok()) == 1 and again.body(1) == message("kept")
        assert status(again, there)["UIDVALIDITY"] == validity
        again.command(f"CREATE {there}.after").ok()


def test_the_frontend_restarts(cell):
    user, two = cell.user(), cell.shared("backend2")
    session = cell.session(user)
    session.append(two, message("kept")).ok()
    session.command(f"SUBSCRIBE {two}").ok()
    cell.stop("frontend")
    cell.start("frontend")
    works(cell, user, f"SELECT {two}")
    works(cell, user, "SELECT INBOX")
    again = cell.session(user)
    assert {"INBOX", two} <= set(again.listed(again.command('LIST "" "*"').ok()))
    assert set(again.listed(again.command('LSUB "" "*"').ok(), "LSUB")) == {two}
    again.command("CREATE INBOX.after").ok()
    works(cell, user, "SELECT INBOX.after")  # Cyrus' frontend hears of it later, as long as it has just started
