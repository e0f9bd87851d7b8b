"""Mailboxes are made, renamed and removed, subscribed to and shared: at the backend, the master and the frontend alike."""

from imap_client import message, quoted
from mixed_reading import status

DOMAIN = "murder.test"
NAMES = ["with space", "&ZeVnLIqe-", "&AOQ-rger", "a-b_c", "1"]


def server(record):
    return record.server if record else None


def test_create_then_select_at_once(cell):
    for backend in ("backend1", "backend2"):
        user = cell.user(backend)
        session = cell.session(user)
        for name in ("INBOX.one", "INBOX.deep.er.and.deeper"):
            session.command("CREATE ", name).ok()
            assert session.exists(session.select(name).ok()) == 0
            session.append(name, message("in it")).ok()
            assert session.exists(session.select(name).ok()) == 1
        listed = set(session.listed(session.command('LIST "" "INBOX.*"').ok()))
        assert {"INBOX.one", "INBOX.deep.er.and.deeper"} <= listed, listed
        internal = f"user.{user}.deep.er.and.deeper"
        record = cell.at_master(internal)
        assert record.kind == "MAILBOX" and record.server == f"{backend}.{DOMAIN}" and f"{user}\tlrswipkxtecd" in record.acl, record


def test_create_of_what_is_there_or_may_not_be(cell):
    user, other, shared = cell.user(), cell.user("backend2"), cell.shared("backend2", "lrs")
    session = cell.session(user)
    session.command("CREATE INBOX.one").ok()
    session.command("CREATE INBOX.one").no()
    session.command("CREATE INBOX").no()
    session.command(f"CREATE user.{other}.mine").no()
    session.command(f"CREATE {shared}.mine").no()
    session.command("CREATE top").no()
    assert cell.at_master(f"user.{other}.mine") is None and cell.at_master(f"{shared}.mine") is None and cell.at_master("top") is None
    session.in_step()


def test_create_below_a_shared_folder(cell):
    for backend in ("backend1", "backend2"):
        user, box = cell.user(), cell.shared(backend)
        session = cell.session(user)
        session.command(f"CREATE {box}.child").ok()
        session.append(f"{box}.child", message("m")).ok()
        assert server(cell.at_master(f"{box}.child")) == f"{backend}.{DOMAIN}"
        other = cell.session(cell.user("backend2"))
        assert other.exists(other.select(f"{box}.child").ok()) == 1


def test_names_of_every_kind(cell):
    for backend in ("backend1", "backend2"):
        session = cell.session(cell.user(backend))
        for name in NAMES:
            box = f"INBOX.{name}"
            session.command("CREATE ", quoted(box)).ok()
            session.append(box, message("m")).ok()
            session.command("SUBSCRIBE ", quoted(box)).ok()
            assert session.exists(session.select(box).ok()) == 1
        assert {f"INBOX.{name}" for name in NAMES} <= set(session.listed(session.command('LIST "" "*"').ok()))
        assert {f"INBOX.{name}" for name in NAMES} <= set(session.listed(session.command('LSUB "" "*"').ok(), "LSUB"))
        for name in NAMES:
            session.command("DELETE ", quoted(f"INBOX.{name}")).ok()


def test_a_name_that_is_taken_elsewhere(cell):
    """The admin goes to the other backend: two with the same name there must not be."""
    box = cell.shared("backend1")
    session = cell.session(cell.user())
    session.append(box, message("kept")).ok()
    cell.admin("backend2").command(f"CREATE {box}").no()
    other = cell.shared("backend2")
    cell.admin("backend2").command(f"SETACL {other} cyrus lrswipkxtecda").ok()
    cell.admin("backend2").command(f"RENAME {other} {box}").no()
    assert server(cell.at_master(box)) == f"backend1.{DOMAIN}"
    assert session.exists(session.select(box).ok()) == 1
    if cell.has(backend="ours"):  # Cyrus' has taken it from the master before it asks for the new name
        session.select(other).ok()


def test_a_child_of_what_lives_elsewhere(cell):
    """Cyrus' backend refuses it; where it is made, it serves, with its parent's ACL."""
    user = cell.user("backend1")
    session = cell.session(user)
    done = cell.admin("backend2").command(f"CREATE user.{user}.far")
    assert done.status == "OK" or cell.has(backend="cyrus"), done.text
    assert server(cell.at_master(f"user.{user}")) == f"backend1.{DOMAIN}"
    if done.status != "OK":
        assert cell.at_master(f"user.{user}.far") is None
        session.command("CREATE INBOX.far").ok()
        return
    cell.await_listed(f"user.{user}.far")
    record = cell.at_master(f"user.{user}.far")
    assert record.server == f"backend2.{DOMAIN}" and f"{user}\tlrswipkxtecd" in record.acl, record
    session.append("INBOX.far", message("m")).ok()
    assert session.exists(session.select("INBOX.far").ok()) == 1
    session.command("CREATE INBOX.far").no()
    session.command("DELETE INBOX.far").ok()


def test_rename_keeps_the_mail(cell):
    for backend in ("backend1", "backend2"):
        user = cell.user(backend)
        session = cell.session(user)
        session.command("CREATE INBOX.old").ok()
        session.command("CREATE INBOX.old.child").ok()
        session.append("INBOX.old", message("m")).ok()
        session.append("INBOX.old.child", message("c")).ok()
        session.command("RENAME INBOX.old INBOX.new").ok()
        session.select("INBOX.old").no()
        for name, subject in (("INBOX.new", "m"), ("INBOX.new.child", "c")):
            assert session.exists(session.select(name).ok()) == 1
            assert session.body(1) == message(subject)
        assert cell.at_master(f"user.{user}.old") is None
        record = cell.at_master(f"user.{user}.new")
        assert record.kind == "MAILBOX" and record.server == f"{backend}.{DOMAIN}", record
        session.command("RENAME INBOX.nosuch INBOX.other").no()
        session.command("RENAME INBOX.new INBOX").no()
        session.command("CREATE INBOX.old").ok()
        assert session.exists(session.select("INBOX.old").ok()) == 0


def test_delete_and_again(cell):
    for backend in ("backend1", "backend2"):
        user = cell.user(backend)
        session = cell.session(user)
        session.command("CREATE INBOX.brief").ok()
        session.append("INBOX.brief", message("m")).ok()
        validity = status(session, "INBOX.brief")["UIDVALIDITY"]
        session.command("DELETE INBOX.brief").ok()
        session.select("INBOX.brief").no()
        session.command("DELETE INBOX.brief").no()
        assert "INBOX.brief" not in session.listed(session.command('LIST "" "*"').ok())
        assert cell.at_master(f"user.{user}.brief") is None
        session.command("CREATE INBOX.brief").ok()
        again = status(session, "INBOX.brief")
        assert again["MESSAGES"] == 0 and (again["UIDVALIDITY"] != validity or again["UIDNEXT"] > 1), (validity, again)


def test_setacl_is_seen_at_the_frontend(cell):
    for backend in ("backend1", "backend2"):
        user, guest = cell.user(backend), cell.user("backend1")
        session, other = cell.session(user), cell.session(guest)
        session.command("CREATE INBOX.ours").ok()
        session.append("INBOX.ours", message("m")).ok()
        name = f"user.{user}.ours"
        other.select(name).no()
        session.command(f"SETACL INBOX.ours {guest} lr").ok()
        assert f"{guest} lr" in session.command("GETACL INBOX.ours").ok().of("ACL")[0].text.decode()
        assert f"{guest}\tlr\t" in cell.at_master(name).acl
        assert other.exists(other.select(name).ok()) == 1
        assert other.command(f"MYRIGHTS {name}").ok().of("MYRIGHTS")[0].tree()[2] == b"lr"
        assert name in other.listed(other.command('LIST "" "*"').ok())
        other.command("STORE 1 +FLAGS (\\Flagged)").no()
        other.append(name, message("no")).no()
        other.command(f"SETACL {name} {guest} lrswipkxtecda").no()
        session.command(f"DELETEACL INBOX.ours {guest}").ok()
        other.command("UNSELECT").ok()
        other.select(name).no()
        assert name not in other.listed(other.command('LIST "" "*"').ok())
        assert guest not in cell.at_master(name).acl


def test_rights_one_by_one(cell):
    user = cell.user("backend2")
    session = cell.session(user)
    session.command("CREATE INBOX.a").ok()
    session.command("SETACL INBOX.a anyone lrsi").ok()
    other = cell.session(cell.user())
    name = f"user.{user}.a"
    other.append(name, message("in")).ok()
    other.select(name).ok()
    other.command("STORE 1 +FLAGS (\\Seen)").ok()
    other.command("STORE 1 +FLAGS (\\Deleted)").no()
    other.command(f"DELETE {name}").no()
    other.command(f"RENAME {name} {name}2").no()
    session.command("SETACL INBOX.a anyone -i").ok()
    other.append(name, message("out")).no()
    session.command("LISTRIGHTS INBOX.a anyone").must("OK", "NO")
    assert status(session, "INBOX.a")["MESSAGES"] == 1


def test_subscriptions_to_mailboxes_of_both_backends(cell):
    for backend in ("backend1", "backend2"):
        user, one, two = cell.user(backend), cell.shared("backend1"), cell.shared("backend2")
        session = cell.session(user)
        for name in ("INBOX", one, two):
            session.command("SUBSCRIBE ", name).ok()
        found = session.listed(session.command('LSUB "" "*"').ok(), "LSUB")
        assert set(found) == {"INBOX", one, two}, found
        assert not any({"\\noselect", "\\nonexistent"} & flags for flags in found.values()), found
        session.command(f"UNSUBSCRIBE {two}").ok()
        assert set(session.listed(session.command('LSUB "" "*"').ok(), "LSUB")) == {"INBOX", one}
        session.command("SUBSCRIBE nosuch").no()
        again = cell.session(user)
        assert set(again.listed(again.command('LSUB "" "%"').ok(), "LSUB")) == {"INBOX", one}


def test_quota(cell):
    for backend in ("backend1", "backend2"):
        user = cell.user(backend)
        session = cell.session(user)
        cell.admin(backend).command(f"SETQUOTA user.{user} (STORAGE 20)").ok()
        answer = session.command("GETQUOTAROOT INBOX").ok()
        assert answer.of("QUOTAROOT") and b"STORAGE 0 20" in answer.of("QUOTA")[0].raw, answer
        session.append("INBOX", message("fits", 10_000)).ok()
        refused = session.append("INBOX", message("large", 40_000)).no()
        assert "quota" in refused.text.lower(), refused.text
        assert status(session, "INBOX")["MESSAGES"] == 1
        assert b"STORAGE 0 20" not in session.command("GETQUOTAROOT INBOX").ok().of("QUOTA")[0].raw
        session.command(f"SETQUOTA user.{user} (STORAGE 9000)").no()


def test_metadata(cell):
    """Cyrus 3.6.1 asks a backend in words of an older draft, which its own backend doesn't take, and says OK whatever comes back."""
    for backend in ("backend1", "backend2"):
        session = cell.session(cell.user(backend))
        for value in (b"hello there", b"hello"):
            session.command("SETMETADATA INBOX (/private/comment ", quoted(value), ")").ok()
            answer = session.command("GETMETADATA INBOX /private/comment").ok()
            if cell.has(frontend="ours") or cell.has(backend="ours"):
                assert answer.of("METADATA")[0].tree() == [b"METADATA", b"INBOX", [b"/private/comment", value]], answer
        session.command("SETMETADATA INBOX (/private/comment NIL)").ok()
        answer = session.command("GETMETADATA INBOX /private/comment").ok()
        assert b"hello" not in b"".join(line.raw for line in answer.untagged), answer
        session.in_step()


def test_an_admin_makes_a_user_through_the_frontend(cell):
    """A frontend of ours names the backend that the admin has to go to: nothing is made then."""
    session = cell.keep(cell.session("cyrus"))
    for backend in ("backend1", "backend2"):
        cell.boxes += 1
        name = f"made{cell.boxes}"
        done = session.command(f"CREATE {name} {backend}.{DOMAIN}!default")
        record = cell.at_master(name)
        if cell.has(frontend="cyrus"):
            done.ok()
            assert record.server == f"{backend}.{DOMAIN}", record
            session.command(f"SETACL {name} cyrus lrswipkxtecda").ok()
            session.append(name, message("m")).ok()
            session.command(f"SETQUOTA {name} (STORAGE 500)").ok()
            session.command(f"DELETE {name}").ok()
            assert cell.at_master(name) is None
        else:
            assert done.no().code.startswith("REFERRAL") or backend in done.text, done.text
            assert record is None, record
        session.in_step()
