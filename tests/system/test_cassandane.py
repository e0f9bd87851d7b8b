"""What Cyrus' own test suite, Cassandane, asks of a murder's frontend (its MurderIMAP tests), by the names it has there.

Under the same name elsewhere: `append_utf8`, `uidonly` (test_modern_backend), `copy_across_backends`, `move_to_nonexistent`,
`replace_same_backend`, `replace_across_backends` (test_across), `list_specialuse`, `list_subscribed`, `xlist`
(test_list_extended), `proxy_search` (test_esearch), `rename_with_location` (test_admin). Others have names of ours:

| Cassandane | here |
|---|---|
| `copyuid_cross_backend_copy_msn` | `copy_across_backends` |
| `copyuid_cross_backend_move`, `move_shared_across_backends` | `move_across_backends` |
| `move_shared_across_backends_no_expunge_acl` | `move_no_expunge_acl` (test_across) |
| `move_to_backend_nonexistent` | `a_name_whose_backend_lost_it` (test_changes), `stale_a_mailbox_that_is_gone` (test_stale) |

Not here: `list_return_objectid` (Debian's Cyrus knows no such option), `xfer_leaves_synccache_alone` and
`xfer_user_verify_cleanup` (what a backend has on its disk), `xfer_mailbox_altns_unixhs` (of Cyrus up to 3.4).
"""

from imap_client import message, quoted
from marks import ours
from test_admin import admin, place
from test_namespaces import Mode, Site

PROXY = 'admin_actions = "proxy"'


@ours
def test_frontend_commands(world):
    boss, frontend = admin(world)
    user = world.user("backend1")
    session = world.client(user, frontend)
    session.command('LIST "" *').ok()
    assert "Mailbox does not exist" in session.select("INBOX.newfolder").no().text
    session.command("CREATE INBOX.newfolder").ok()
    session.select("INBOX.newfolder").ok()
    size = "/shared/vendor/cmu/cyrus-imapd/size"
    for box in ("INBOX", "INBOX.newfolder"):
        got = session.command(f"GETMETADATA {box} {size}").ok().of("METADATA")[0].tree()
        assert got[1:] == [box.encode(), [size.encode(), b"0"]], got
    boss.command(f"SETQUOTA user.{user} (STORAGE 1024 MESSAGE 5000 X-NUM-FOLDERS 100)").ok()
    got = session.command("GETQUOTAROOT INBOX").ok().of("QUOTA")[0].tree()
    assert {(name, limit) for name, _, limit in zip(*[iter(got[2])] * 3)} == {
        (b"STORAGE", b"1024"), (b"MESSAGE", b"5000"), (b"X-NUM-FOLDERS", b"100")}, got
    for n in range(2):
        session.append("INBOX.newfolder", message(f"m{n}")).ok()
    session.command("ENABLE QRESYNC").ok()
    session.select("INBOX.newfolder").ok()
    session.command("STORE 1 +FLAGS (\\Deleted)").ok()
    session.command("EXPUNGE").ok()
    answer = session.command("UID FETCH 1:* (FLAGS) (CHANGEDSINCE 1 VANISHED)").ok()
    assert b"(EARLIER) 1" in answer.of("VANISHED")[0].raw and len(answer.of("FETCH")) == 1
    session.in_step()


# ------------------------------------------------------------- XFER


def seen(session):
    """All that there is, with special uses and what lies in it."""
    names = session.listed(session.command('LIST "" * RETURN (SPECIAL-USE)').ok())
    held = {}
    for name in names:
        answer = session.select(name).ok()
        held[name] = [session.body(n + 1) for n in range(session.exists(answer))]
    session.command("UNSELECT").ok()
    return names, held


def moves(site):
    """A user with a mailbox of special use, and mail in both, moves to the other backend: all is there, and only there."""
    mode = site.mode
    user, drafts, name = mode.user("twin2"), mode.own("Drafts"), mode.admins_name("user", "twin2")
    session, boss = site.session(user, True), site.session("cyrus", True)
    session.command("CREATE ", quoted(drafts), " (USE (\\Drafts))").ok()
    for box in ("INBOX", drafts):
        session.append(box, message(f"in {box}")).ok()
    before = seen(session)
    mine = {box: uses for box, uses in before[0].items() if box in ("INBOX", drafts)}
    assert set(mine) == {"INBOX", drafts} and "\\drafts" in mine[drafts], before
    session.command("LOGOUT").ok()
    boss.command("XFER ", quoted(name), " backend2.murder.test").ok()
    for box in (name, mode.admins_name("user", "twin2", "Drafts")):
        assert place(boss, box) == "backend2", box
    assert seen(site.session(user, True)) == before
    for backend, has in (("backend1", False), ("backend2", True)):
        with site.at_backend(backend, user) as direct:
            there = direct.listed(direct.command('LIST "" *').ok())
            assert ("INBOX" in there, drafts in there) == (has, has), (backend, there)


def moves_in(mode):
    with Site(mode, proxy=PROXY) as site:
        moves(site)


@ours
def test_xfer_user_noaltns_nounixhs(world):
    moves_in(Mode())


@ours
def test_xfer_user_altns_unixhs(world):
    mode = Mode(separator="/", alt=True)
    with Site(mode, proxy=PROXY) as site:
        moves(site)
        xfer_nonexistent(site.session("cyrus", True), mode)


@ours
def test_xfer_user_noaltns_nounixhs_virtdom(world):
    moves_in(Mode(domain="example.org"))


@ours
def test_xfer_user_altns_unixhs_virtdom(world):
    moves_in(Mode(separator="/", alt=True, domain="example.org"))


def xfer_nonexistent(boss, mode):
    """A user, a user's mailbox, a pattern, and a name that are nobody's."""
    for parts in (("user", "nonexistent"), ("user", "twin1", "nonexistent"), ("user", "twin1", "non%"), ("nonexistent",)):
        boss.command("XFER ", quoted(mode.joined(*parts)), " backend2.murder.test").no()
        boss.in_step()


@ours
def test_xfer_nonexistent(world):
    """The same with slashes (`xfer_nonexistent_unixhs`) is part of `xfer_user_altns_unixhs`."""
    xfer_nonexistent(admin(world)[0], Mode())


@ours
def test_xfer_no_user_intermediates(world):
    """A user's mailbox alone doesn't move: NO, and it stays where it was."""
    boss, frontend = admin(world)
    user = world.user("backend1")
    session = world.client(user, frontend)
    for box in ("Big", "Big.Red", "Big.Red.Dog"):
        session.command(f"CREATE INBOX.{box}").ok()
        session.append(f"INBOX.{box}", message(box)).ok()
    before = seen(session)
    for box in ("Big", "Big.Red", "Big.Red.Dog"):
        boss.command(f"XFER user.{user}.{box} backend2.murder.test").no()
        assert place(boss, f"user.{user}.{box}") == "backend1"
    assert seen(session) == before
    boss.in_step()
