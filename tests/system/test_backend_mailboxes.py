"""The backend's mailbox commands, by the RFCs' words and as Cyrus has them."""

from imap_client import Literal
from marks import ours

MESSAGE = b"From: a@x.example\r\nTo: b@x.example\r\nSubject: one\r\n\r\nHello, world\r\n"


def lines(answer, word):
    """The responses of a kind, as text without `* `."""
    return [line.text.decode() for line in answer.of(word)]


def names(session, command, word="LIST"):
    """The names that LIST or LSUB gives, in its order."""
    return [line.tree()[3].decode() for line in session.command(command).ok().of(word)]


def grant(admin, mailbox, user="cyrus", rights="lrswipkxtecda"):
    admin.command(f"SETACL {mailbox} {user} {rights}").ok()


@ours
def test_backend_create_makes_parents_and_says_the_id(world):
    backend = world.a_backend()
    alice = world.at(backend, "alice")
    alice.command("CREATE INBOX").no("ALREADYEXISTS")
    made = alice.command("CREATE INBOX.a.b.").ok().code
    assert made.startswith("MAILBOXID ("), made
    status = alice.command("STATUS INBOX.a.b (MAILBOXID MESSAGES)").ok()
    assert lines(status, "STATUS") == [f"STATUS INBOX.a.b ({made} MESSAGES 0)"]
    assert lines(alice.command('LIST "" *').ok(), "LIST") == [
        'LIST (\\HasChildren) "." INBOX', 'LIST (\\HasChildren) "." INBOX.a', 'LIST (\\HasNoChildren) "." INBOX.a.b']
    alice.command("CREATE INBOX.a").no("ALREADYEXISTS")
    alice.command("CREATE INBOX..x").no("CANNOT")
    alice.command("CREATE top").no("NOPERM")
    alice.command("CREATE INBOX.p default").no("NOPERM")
    alice.command("CREATE INBOX.u (USE (\\Nonsense))").no("USEATTR")
    alice.command("CREATE INBOX.u (USE \\Sent)").bad()
    alice.in_step()


@ours
def test_backend_hidden_is_like_missing(world):
    backend = world.a_backend()
    alice, bob = world.at(backend, "alice"), world.at(backend, "bob")
    alice.command("CREATE INBOX.secret").ok()
    for command in ("STATUS {} (MESSAGES)", "SELECT {}", "DELETE {}", "RENAME {} INBOX.x", "GETACL {}", "MYRIGHTS {}",
                    "SETACL {} bob lr", "DELETEACL {} alice", "LISTRIGHTS {} bob", "CREATE {}", "CREATE {}.x", "SUBSCRIBE {}",
                    "RENAME INBOX {}", "LIST \"\" {}", "LIST \"\" ({}) RETURN (STATUS (MESSAGES))", "UNSUBSCRIBE {}"):
        there, missing = (bob.command(command.format(f"user.{owner}")) for owner in ("alice.secret", "nobody.secret"))
        assert there.text == missing.text, (command, there.text, missing.text)
        assert [line.raw for line in there.untagged] == [line.raw for line in missing.untagged], command
    bob.command("SUBSCRIBE user.alice.secret").ok()
    bob.command("SUBSCRIBE user.alice.nosuch").ok()
    told = lines(bob.command('LIST (SUBSCRIBED) "" *').ok(), "LIST")
    assert told == [f'LIST (\\NonExistent \\Subscribed \\HasNoChildren) "." user.alice.{name}' for name in ("nosuch", "secret")]
    bob.in_step()


@ours
def test_backend_delete(world):
    backend = world.a_backend()
    alice, admin = world.at(backend, "alice"), world.at(backend, "cyrus")
    alice.command("CREATE INBOX.a.b").ok()
    alice.command("DELETE INBOX").no("CANNOT")
    alice.command("DELETE INBOX.a").ok()
    alice.command("DELETE INBOX.a").no("HASCHILDREN")
    assert lines(alice.command('LIST "" %.%').ok(), "LIST") == ['LIST (\\Noselect \\HasChildren) "." INBOX.a']
    assert lines(alice.command('LIST () "" %.%').ok(), "LIST") == ['LIST (\\NonExistent \\HasChildren) "." INBOX.a']
    admin.command("DELETE user.alice").no("NOPERM")
    grant(admin, "user.alice")
    admin.command("DELETE user.alice").ok()
    assert lines(admin.command('LIST "" user.alice*').ok(), "LIST") == []
    alice.command("STATUS INBOX (MESSAGES)").no("NONEXISTENT")
    alice.command("CREATE INBOX.again").ok()
    alice.command("STATUS INBOX (MESSAGES)").ok()


@ours
def test_backend_rename_takes_all_or_nothing(world):
    backend = world.a_backend()
    alice = world.at(backend, "alice")
    for name in ("a", "a.b", "a.b.c", "t.b"):
        alice.command(f"CREATE INBOX.{name}").ok()
    alice.command("DELETE INBOX.t").ok()
    before = lines(alice.command('LIST "" *').ok(), "LIST")
    alice.command("RENAME INBOX.a INBOX.t").no("ALREADYEXISTS")
    alice.command("RENAME INBOX.a INBOX.a").no("ALREADYEXISTS")
    alice.command("RENAME INBOX.a INBOX.a.b.x").no("CANNOT")
    alice.command("RENAME INBOX.a INBOX." + "x" * 478).no("LIMIT")
    alice.command("RENAME INBOX.nosuch INBOX.n").no("NONEXISTENT")
    alice.command("RENAME INBOX.a top").no("NOPERM")
    assert lines(alice.command('LIST "" *').ok(), "LIST") == before
    known = lines(alice.command("STATUS INBOX.a.b.c (MAILBOXID)").ok(), "STATUS")[0].split()[2:]
    alice.command("RENAME INBOX.a INBOX.n.m").ok()
    assert names(alice, 'LIST "" *') == ["INBOX", "INBOX.n", "INBOX.n.m", "INBOX.n.m.b", "INBOX.n.m.b.c", "INBOX.t.b"]
    assert lines(alice.command("STATUS INBOX.n.m.b.c (MAILBOXID)").ok(), "STATUS")[0].split()[2:] == known


@ours
def test_backend_rename_of_inbox_leaves_it_empty(world):
    backend = world.a_backend()
    alice, other = world.at(backend, "alice"), world.at(backend, "alice")
    alice.command("CREATE INBOX.kid").ok()
    for _ in range(3):
        alice.append("INBOX", MESSAGE, flags="(\\Flagged)").ok()
    other.select("INBOX").ok()
    alice.command("RENAME INBOX INBOX.kid").no("ALREADYEXISTS")
    alice.command("RENAME INBOX INBOX.old").ok()
    assert lines(alice.command("STATUS INBOX (MESSAGES)").ok(), "STATUS") == ["STATUS INBOX (MESSAGES 0)"]
    assert lines(alice.command("STATUS INBOX.old (MESSAGES UNSEEN)").ok(), "STATUS") == [
        "STATUS INBOX.old (MESSAGES 3 UNSEEN 3)"]
    assert "INBOX.kid" in names(alice, 'LIST "" *')
    assert len(other.command("NOOP").ok().of("EXPUNGE")) == 3


@ours
def test_backend_an_admin_renames_a_user(world):
    backend = world.a_backend()
    alice, admin = world.at(backend, "alice"), world.at(backend, "cyrus")
    alice.command("CREATE INBOX.a").ok()
    alice.append("INBOX.a", MESSAGE).ok()
    alice.command("RENAME INBOX user.bob.x").no("NOPERM")
    admin.command("RENAME user.alice shared").no("CANNOT")
    admin.command("RENAME user.alice user.bob").ok()
    bob = world.at(backend, "bob")
    assert names(bob, 'LIST "" *') == ["INBOX", "INBOX.a"]
    assert lines(bob.command("MYRIGHTS INBOX.a").ok(), "MYRIGHTS") == ["MYRIGHTS INBOX.a lrswipkxtecdan"]
    assert bob.exists(bob.select("INBOX.a").ok()) == 1
    alice.command("STATUS INBOX.a (MESSAGES)").no("NONEXISTENT")


@ours
def test_backend_acl_commands(world):
    backend = world.a_backend()
    alice, bob = world.at(backend, "alice"), world.at(backend, "bob")
    assert lines(alice.command("GETACL INBOX").ok(), "ACL") == ["ACL INBOX alice lrswipkxtecdan"]
    assert lines(alice.command("LISTRIGHTS INBOX bob").ok(), "LISTRIGHTS") == [
        "LISTRIGHTS INBOX bob p l r s w i k x t e c d a n 0 1 2 3 4 5 6 7 8 9"]
    alice.command("SETACL INBOX bob lrs").ok()
    alice.command("SETACL INBOX bob +i").ok()
    alice.command("SETACL INBOX -bob s").ok()
    alice.command("SETACL INBOX anyone q").bad()
    alice.command("SETACL INBOX ", Literal(b"a\tb"), " lr").no("CANNOT")
    assert lines(alice.command("GETACL INBOX").ok(), "ACL") == ["ACL INBOX alice lrswipkxtecdan bob lrsi -bob s"]
    assert lines(bob.command("MYRIGHTS user.alice").ok(), "MYRIGHTS") == ["MYRIGHTS user.alice lri"]
    bob.command("GETACL user.alice").no("NOPERM")
    bob.command("SETACL user.alice bob a").no("NOPERM")
    assert lines(bob.command('LIST "" user.%').ok(), "LIST") == ['LIST (\\HasNoChildren) "." user.alice']
    bob.command("CREATE user.alice.x").no("NOPERM")
    alice.command("DELETEACL INBOX bob").ok()
    bob.command("MYRIGHTS user.alice").no("NONEXISTENT")
    for number in range(200):
        refused = alice.command(f"SETACL INBOX {'u' * 150}{number} l")
        if refused.status != "OK":
            break
    refused.no("LIMIT")


@ours
def test_backend_list_extended(world):
    backend = world.a_backend()
    alice = world.at(backend, "alice")
    alice.command("CREATE INBOX.Sent (USE (\\Sent))").ok()
    alice.command("CREATE INBOX.a.b").ok()
    for name in ("INBOX.a.b", "INBOX.Sent", "INBOX.gone.x"):
        alice.command(f"SUBSCRIBE {name}").ok()
    assert lines(alice.command('LIST "" ""').ok(), "LIST") == ['LIST (\\Noselect) "." ""']
    assert lines(alice.command('LIST "" (INBOX INBOX.S*) RETURN (SPECIAL-USE SUBSCRIBED STATUS (MESSAGES))').ok(), "LIST") == [
        'LIST (\\HasChildren) "." INBOX', 'LIST (\\Subscribed \\HasNoChildren \\Sent) "." INBOX.Sent']
    assert lines(alice.command('LIST (SPECIAL-USE) "" *').ok(), "LIST") == ['LIST (\\HasNoChildren \\Sent) "." INBOX.Sent']
    assert lines(alice.command('LIST (SUBSCRIBED) "" *').ok(), "LIST") == [
        'LIST (\\Subscribed \\HasNoChildren) "." INBOX.Sent', 'LIST (\\Subscribed \\HasNoChildren) "." INBOX.a.b',
        'LIST (\\NonExistent \\Subscribed \\HasNoChildren) "." INBOX.gone.x']
    assert lines(alice.command('LIST (SUBSCRIBED RECURSIVEMATCH) "" INBOX.%').ok(), "LIST") == [
        'LIST (\\Subscribed \\HasNoChildren) "." INBOX.Sent',
        'LIST (\\HasChildren) "." INBOX.a ("CHILDINFO" ("SUBSCRIBED"))',
        'LIST (\\NonExistent \\HasNoChildren) "." INBOX.gone ("CHILDINFO" ("SUBSCRIBED"))']
    alice.command('LIST (RECURSIVEMATCH) "" *').bad()
    alice.command('LIST "" * RETURN (STATUS (BOGUS))').bad()
    assert lines(alice.command('LSUB "" *').ok(), "LSUB") == [
        'LSUB () "." INBOX.Sent', 'LSUB () "." INBOX.a.b', 'LSUB () "." INBOX.gone.x']
    assert lines(alice.command('LSUB "" INBOX.%').ok(), "LSUB") == [
        'LSUB () "." INBOX.Sent', 'LSUB (\\Noselect) "." INBOX.a', 'LSUB (\\Noselect) "." INBOX.gone']
    alice.command("UNSUBSCRIBE INBOX.gone.x").ok()
    assert names(alice, 'LSUB "" *', "LSUB") == ["INBOX.Sent", "INBOX.a.b"]
    assert lines(alice.command("NAMESPACE").ok(), "NAMESPACE") == ['NAMESPACE (("INBOX." ".")) (("user." ".")) (("" "."))']


@ours
def test_backend_names_as_the_client_sees_them(world):
    backend = world.a_backend(top='hierarchy_separator = "/"\nalt_namespace = true')
    alice, admin = world.at(backend, "alice"), world.at(backend, "cyrus")
    alice.command("CREATE Sent").ok()
    alice.command('CREATE "a.b/c d"').ok()
    admin.command("CREATE shared/x").ok()
    assert lines(alice.command('LIST "" *').ok(), "LIST") == [
        'LIST (\\HasNoChildren) "/" INBOX', 'LIST (\\HasNoChildren) "/" Sent', 'LIST (\\HasChildren) "/" a.b',
        'LIST (\\HasNoChildren) "/" "a.b/c d"',
        'LIST (\\HasChildren) "/" "Shared Folders/shared"', 'LIST (\\HasNoChildren) "/" "Shared Folders/shared/x"']
    assert lines(admin.command('LIST "" user/%').ok(), "LIST") == ['LIST (\\HasChildren) "/" user/alice']
    assert lines(alice.command("NAMESPACE").ok(), "NAMESPACE") == [
        'NAMESPACE (("" "/")) (("Other Users/" "/")) (("Shared Folders/" "/"))']
    admin.command("CREATE user/nobody/x").no("CANNOT")
    admin.command("CREATE user/NOBODY").no("CANNOT")
    admin.command("CREATE user/nobody").ok()
    admin.command("CREATE other nosuch").no("CANNOT")


@ours
def test_backend_long_list(world):
    backend = world.a_backend()
    alice = world.at(backend, "alice")
    made = [f"INBOX.m{number:04}" for number in range(700)]
    for name in made:
        alice.command(f"CREATE {name}").ok()
    listed = alice.command('LIST "" * RETURN (STATUS (MESSAGES))').ok()
    assert len(listed.of("LIST")) == len(listed.of("STATUS")) == 701
    assert names(alice, 'LIST "" INBOX.m01%') == made[100:200]


@ours
def test_backend_quotas(world):
    backend = world.a_backend()
    alice, bob, admin = (world.at(backend, user) for user in ("alice", "bob", "cyrus"))
    alice.command("SETQUOTA INBOX (STORAGE 1)").no("NOPERM")
    alice.command("GETQUOTA INBOX").no("NONEXISTENT")
    assert lines(alice.command("GETQUOTAROOT INBOX").ok(), "QUOTAROOT") == ["QUOTAROOT INBOX"]
    admin.command("SETQUOTA user.nobody (STORAGE 1)").no("NONEXISTENT")
    admin.command("SETQUOTA user.alice (BOGUS 1)").no("CANNOT")
    admin.command("SETQUOTA user.alice (STORAGE 1000 MESSAGE 2 MAILBOX 3)").ok()
    bob.command("GETQUOTA user.alice").no("NONEXISTENT")
    alice.command("CREATE INBOX.a").ok()
    alice.append("INBOX.a", MESSAGE).ok()
    alice.append("INBOX", MESSAGE).ok()
    alice.append("INBOX", MESSAGE).no("OVERQUOTA")
    answer = alice.command("GETQUOTAROOT INBOX.a").ok()
    assert lines(answer, "QUOTAROOT") == ["QUOTAROOT INBOX.a INBOX"]
    assert lines(answer, "QUOTA") == ["QUOTA INBOX (STORAGE 0 1000 MESSAGE 2 2 MAILBOX 2 3)"]
    alice.command("CREATE INBOX.b.c").no("OVERQUOTA")
    assert names(alice, 'LIST "" *') == ["INBOX", "INBOX.a"], "no level of it was made"
    alice.command("SUBSCRIBE INBOX.a").ok()
    admin.command("DELETE user.bob").no("NOPERM")
    grant(admin, "user.bob")
    admin.command("DELETE user.bob").ok()
    admin.command("RENAME user.alice user.bob").ok()
    bob = world.at(backend, "bob")
    assert lines(bob.command("GETQUOTA INBOX").ok(), "QUOTA") == ["QUOTA INBOX (STORAGE 0 1000 MESSAGE 2 2 MAILBOX 2 3)"]
    assert names(bob, 'LSUB "" *', "LSUB") == ["INBOX.a"]
