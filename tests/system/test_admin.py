"""What only an admin may do, in the three ways of `[proxy] admin_actions`; CREATE with a place, RENAME to another server, XFER."""

from imap_client import Literal, message, quoted
from marks import ours
from murder import poll
from test_across import count


def admin(world, actions="proxy", proxy="", top=""):
    """An admin's session at a frontend with these `admin_actions`, and the frontend."""
    frontend = world.another(proxy=f'admin_actions = "{actions}"\n{proxy}', top=top).start()
    return world.client("cyrus", frontend), frontend


def place(session, box):
    """Which server the list has for a mailbox."""
    entry = "/shared/vendor/cmu/cyrus-imapd/server"
    got = session.command("GETMETADATA ", quoted(box), f" {entry}").ok().of("METADATA")
    return got[0].tree()[2][1].decode().split(".")[0]


@ours
def test_admin_actions_that_are_referred(world):
    session, _ = admin(world, "refer")
    user = world.user("backend2")
    for command in (f"CREATE user.{user}.x", f"SETQUOTA user.{user} (STORAGE 10)", f"DELETE user.{user}", f"SETACL user.{user} anyone lr"):
        answer = session.command(command).no("REFERRAL")
        assert f"imap://cyrus;AUTH=*@backend2.murder.test/user.{user}" in answer.text, answer.text
    session, _ = admin(world, "refer", "referrals = false")
    assert "MAILBOX-REFERRALS" not in session.capabilities()
    answer = session.command(f"SETQUOTA user.{user} (STORAGE 10)").no("NOPERM")
    assert "backend2.murder.test" in answer.text
    session.in_step()


@ours
def test_admin_actions_done_with_own_password_and_by_the_proxy(world):
    for actions in ("own", "proxy"):
        session, frontend = admin(world, actions)
        new = f"user.new{actions}"
        session.command(f"CREATE {new} backend2.murder.test").ok()
        assert place(session, new) == "backend2"
        session.command(f"SETQUOTA {new} (STORAGE 123)").ok()
        got = session.command(f"GETQUOTA {new}").ok().of("QUOTA")[0].tree()
        assert got[1:] == [new.encode(), [b"STORAGE", b"0", b"123"]], got
        session.command(f"SETACL {new} cyrus lrswipkxtecda").ok()
        session.command(f"CREATE {new}.sub").ok()
        session.select(f"{new}.sub").ok()
        session.command("UNSELECT").ok()
        session.command(f"RENAME {new}.sub {new}.other").ok()
        session.command(f"DELETE {new}.other").ok()
        session.command(f"DELETE {new}").ok()
        session.command(f"SELECT {new}").no("NONEXISTENT")
        log = world.murder.syslog().read_text()
        assert "cyrus" in log and session.in_step() is None
        # a user gains nothing
        user = world.user()
        plain = world.client(user, frontend)
        plain.command(f"CREATE user.{actions}{user}").no()
        plain.command(f"CREATE INBOX.x backend2.murder.test").no("NOPERM")
        plain.command(f"SETQUOTA INBOX (STORAGE 1)").no()


@ours  # a bare host kills the process of Cyrus' frontend
def test_create_with_a_place(world):
    session, _ = admin(world)
    for n, (where, there) in enumerate([("backend2.murder.test", "backend2"), ("backend1.murder.test!default", "backend1"),
                                        ("(SERVER backend2.murder.test)", "backend2"),
                                        ("(SERVER BACKEND1.murder.test PARTITION default)", "backend1")]):
        session.command(f"CREATE placed{n} {where}").ok()
        assert place(session, f"placed{n}") == there
        session.command(f"CREATE placed{n}.child").ok()
        assert place(session, f"placed{n}.child") == there
        session.command(f"CREATE placed{n} {where}").no("ALREADYEXISTS")
    session.command("CREATE placed0.part default").ok()
    session.command("CREATE placed0.part2 nosuchpartition").no()
    session.command("CREATE nowhere").no("CANNOT")
    session.command("CREATE nowhere nosuch.murder.test").no()
    session.command("CREATE nowhere (SERVER nosuch.murder.test)").no("CANNOT")
    for wrong in ("(SERVER)", "(FOO bar)", "(SERVER a", "a b", "(USE (\\Sent)) x"):
        session.command(f"CREATE nowhere {wrong}").bad()
    session.in_step()


@ours
def test_create_with_a_special_use(world):
    user = world.user("backend2")
    session = world.client(user)
    assert "CREATE-SPECIAL-USE" in session.capabilities()
    session.command("CREATE INBOX.Drafts (USE (\\Drafts))").ok()
    found = session.listed(session.command('LIST (SPECIAL-USE) "" *').ok())
    assert "\\drafts" in found["INBOX.Drafts"]
    session.command("CREATE INBOX.y (USE (\\Nonsense))").no()
    session.command("CREATE INBOX.y (SERVER backend1.murder.test)").no("NOPERM")
    session.command("CREATE INBOX.y (PARTITION default)").no("NOPERM")
    assert "INBOX.y" not in session.listed(session.command('LIST "" *').ok())


@ours
def test_create_without_a_parent_where_the_operator_says(world):
    servers = 'create_servers = ["backend1.murder.test", "backend2.murder.test"]\n'
    session, _ = admin(world, proxy=servers + 'create_choice = "round-robin"')
    for n in range(4):
        session.command(f"CREATE turn{n}").ok()
    assert {place(session, f"turn{n}") for n in range(4)} == {"backend1", "backend2"}
    session, _ = admin(world, proxy=servers)
    session.command("CREATE roomy").ok()
    assert place(session, "roomy") in ("backend1", "backend2")
    with world.without("backend1"):
        session.command("CREATE roomier").ok()
        assert place(session, "roomier") == "backend2"


@ours
def test_rename_with_location(world):
    """A user with mail and subscriptions moves while others look; then back, and a shared mailbox too."""
    session, frontend = admin(world)
    user = world.user("backend1")
    name = f"user.{user}"
    mine = world.client(user, frontend)
    for command in ("CREATE INBOX.Sent", "CREATE INBOX.a.b", "SUBSCRIBE INBOX.Sent"):
        mine.command(command).ok()
    mine.append("INBOX", message("moves"), flags="(\\Seen $x)").ok()
    session.command(f"RENAME {name} {name} nosuch.murder.test").no()
    session.command(f"RENAME {name} {name} backend1.murder.test").no("ALREADYEXISTS")
    session.command(f"RENAME {name} user.renamed backend2.murder.test").no("CANNOT")
    mine.command("RENAME INBOX.Sent INBOX.Sent backend2.murder.test").no("NOPERM")
    for there in ("backend2", "backend1"):
        session.command(f"RENAME {name} {name} {there}.murder.test").ok()
        assert place(session, name) == there
        assert place(session, f"{name}.a.b") == there
        again = world.client(user, frontend)
        again.select("INBOX").ok()
        assert again.body(1) == message("moves")
        assert set(again.listed(again.command('LSUB "" *').ok(), "LSUB")) == {"INBOX.Sent"}
    assert place(session, name) == "backend1"
    session.in_step()


@ours
def test_xfer_of_a_shared_mailbox(world):
    session, frontend = admin(world)
    box = world.shared("backend2")
    reader = world.client(world.user(), frontend)
    reader.append(box, message("shared")).ok()
    session.command(f"XFER {box} backend1.murder.test").ok()
    assert place(session, box) == "backend1"
    assert count(reader, box) == 1
    session.command(f"XFER {box} backend2.murder.test default").ok()
    assert place(session, box) == "backend2"
    session.command(f"XFER {box} nosuch.murder.test").no()
    reader.command(f"XFER {box} backend1.murder.test").no("NOPERM")
    session.command(f"XRENAME {box} {box}renamed").ok()
    assert place(session, f"{box}renamed") == "backend2"
    session.command(f"RENAME {box}renamed {box}").ok()


@ours
def test_rename_of_what_has_children_elsewhere(world):
    session, _ = admin(world)
    session.command("CREATE wide backend1.murder.test").ok()
    session.command("CREATE narrow backend2.murder.test").ok()
    session.command("RENAME narrow wide.there").ok()
    assert (place(session, "wide"), place(session, "wide.there")) == ("backend1", "backend2")
    session.command("RENAME wide broad").no("CANNOT")
    assert place(session, "wide") == "backend1"
    session.command("GETQUOTA wide").no("CANNOT")
    session.in_step()
    for box in ("wide.there", "wide"):  # Cyrus' frontend lists such a tree wrongly
        session.command(f"SETACL {box} cyrus lrswipkxtecda").ok()
        session.command(f"DELETE {box}").ok()


# ------------------------------------------------------------- referrals


def url(session, user, backend, name):
    return f"[REFERRAL imap://{user};AUTH=*@{backend}.murder.test/{name}]"


@ours
def test_referrals_after_rlist(world):
    for first in ('RLIST "" *', 'RLSUB "" *', 'LIST (REMOTE) "" *'):
        user, there = world.user("backend1"), world.shared("backend2")
        session = world.client(user)
        assert "MAILBOX-REFERRALS" in session.capabilities()
        session.select("INBOX").ok()
        answer = session.command(first).ok()
        plain = first.replace("RL", "L").replace("(REMOTE) ", "") if first[0] == "R" else 'LIST "" *'
        plain = {"RLIST": 'LIST "" *', "RLSUB": 'LSUB "" *'}.get(first.split()[0], 'LIST "" *')
        assert set(session.listed(answer, plain.split()[0])) == set(session.listed(session.command(plain).ok(), plain.split()[0]))
        for command in (f"SELECT {there}", f"EXAMINE {there}", f"STATUS {there} (MESSAGES)", f"GETQUOTAROOT {there}",
                        f"GETMETADATA {there} /shared/comment", f"SETACL {there} {user} lr"):
            assert url(session, user, "backend2", there) in session.command(command).no("REFERRAL").text, command
        for plus in (True, False):
            answer = session.append(there, message("not here"), plus=plus).no("REFERRAL")
            assert url(session, user, "backend2", there) in answer.text
        session.command("FETCH 1 FLAGS").bad()  # nothing is selected any more
        # what changes the list, and subscriptions, are done for the client
        session.command("CREATE INBOX.x").ok()
        session.command("SUBSCRIBE INBOX.x").ok()
        session.command("RENAME INBOX.x INBOX.y").ok()
        session.command("DELETE INBOX.y").ok()
        session.command("SELECT nosuch").no("NONEXISTENT")
        hidden = f"user.{world.user('backend2')}"
        for command in (f"SELECT {hidden}", f"STATUS {hidden} (MESSAGES)"):
            assert "backend2" not in session.command(command).no().text, "where it is isn't told to who may not know of it"
        session.in_step()


@ours
def test_referrals_off(world):
    user, there = world.user("backend1"), world.shared("backend2")
    frontend = world.another(proxy="referrals = false").start()
    session = world.client(user, frontend)
    assert "MAILBOX-REFERRALS" not in session.capabilities()
    session.command('RLIST "" *').ok()
    session.command('RLSUB "" *').ok()
    session.select(there).ok()
    session.append(there, message("here")).ok()
    assert count(session, there) == 1


@ours
def test_login_referrals(world):
    user = world.user("backend2")
    session = world.connect()
    assert "LOGIN-REFERRALS" not in session.capabilities()
    frontend = world.another(proxy="login_referrals = true").start()
    with type(session)(frontend.address) as session:
        assert "LOGIN-REFERRALS" in session.capabilities()
        answer = session.login(user, user + "pw").ok()
        assert f"[REFERRAL imap://{user};AUTH=*@backend2.murder.test/]" in answer.text, answer.text
        assert b"IDLE" in answer.of("CAPABILITY")[0].raw
        session.select("INBOX").ok()
        session.in_step()
