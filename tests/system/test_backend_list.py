"""The backend's mailboxes, by the RFCs' examples: LIST-EXTENDED (5258), LIST-STATUS (5819), SPECIAL-USE (6154), STATUS=SIZE
(8438), LIST-MYRIGHTS (8440), NAMESPACE (2342), ACL (4314), APPENDLIMIT (7889)."""

from imap_client import Literal, message
from marks import ours

SLASHES = 'hierarchy_separator = "/"'


def uidvalidity(session, box):
    return int(session.command(f"STATUS {box} (UIDVALIDITY)").ok().of("STATUS")[0].tree()[2][1])


def uidnext(session, box):
    return int(session.command(f"STATUS {box} (UIDNEXT)").ok().of("STATUS")[0].tree()[2][1])


def fruit(world):
    """The mailboxes of RFC 5258 section 5, and who may see all of them."""
    backend = world.a_backend(top=SLASHES)
    admin = world.at(backend, "cyrus")
    for name in ("Fruit", "Fruit/Apple", "Fruit/Banana", "Fruit/Peach", "Tofu", "Vegetable", "Vegetable/Broccoli", "Vegetable/Corn"):
        admin.command(f"CREATE {name}").ok()
        admin.command(f"SETACL {name} anyone lrswipkxtecd").ok()
    session = world.at(backend, "alice")
    for name in ("INBOX", "Fruit/Banana", "Fruit/Peach", "Vegetable", "Vegetable/Broccoli"):
        session.command(f"SUBSCRIBE {name}").ok()
    admin.command("SETACL Fruit/Peach cyrus x").ok()
    admin.command("DELETE Fruit/Peach").ok()
    return backend, session


@ours
def test_backend_the_fruit_of_rfc_5258(world):
    _, session = fruit(world)

    def listed(command):
        return session.listed(session.command(command).ok())
    everything = listed('LIST "" "*"')
    assert set(everything) == {"INBOX", "Fruit", "Fruit/Apple", "Fruit/Banana", "Tofu", "Vegetable", "Vegetable/Broccoli",
                               "Vegetable/Corn"}, everything
    assert set(listed('LIST "" "%"')) == {"INBOX", "Fruit", "Tofu", "Vegetable"}
    subscribed = listed('LIST (SUBSCRIBED) "" "*"')
    assert set(subscribed) == {"INBOX", "Fruit/Banana", "Fruit/Peach", "Vegetable", "Vegetable/Broccoli"}, subscribed
    assert all("\\subscribed" in attributes for attributes in subscribed.values()), subscribed
    assert "\\nonexistent" in subscribed["Fruit/Peach"] and "\\nonexistent" not in subscribed["Vegetable"], subscribed
    children = listed('LIST () "" "%" RETURN (CHILDREN)')
    assert "\\haschildren" in children["Fruit"] and "\\hasnochildren" in children["Tofu"] and "\\haschildren" in children["Vegetable"]
    both = listed('LIST "" "*" RETURN (SUBSCRIBED CHILDREN)')
    assert "\\subscribed" in both["Vegetable"] and "\\subscribed" not in both["Tofu"] and "\\haschildren" in both["Vegetable"], both
    # several patterns, each name once
    several = session.command('LIST "" ("Tofu" "T*" "Vegetable/%")').ok().of("LIST")
    assert sorted(r.tree()[3] for r in several) == [b"Tofu", b"Vegetable/Broccoli", b"Vegetable/Corn"], several
    matched = session.command('LIST (SUBSCRIBED RECURSIVEMATCH) "" "%"').ok().of("LIST")
    info = {r.tree()[3]: r.raw for r in matched}
    assert set(info) == {b"INBOX", b"Fruit", b"Vegetable"}, info
    assert b'"CHILDINFO" ("SUBSCRIBED")' in info[b"Fruit"].replace(b"CHILDINFO (", b'"CHILDINFO" ('), info
    assert session.command('LIST "" ""').ok().of("LIST")[0].text.endswith(b'"/" ""')
    for wrong in ('LIST (RECURSIVEMATCH) "" "%"', 'LIST (NOSUCH) "" "*"', 'LIST "" "*" RETURN (NOSUCH)', 'LIST "" ()', 'LIST (SUBSCRIBED "" "*"'):
        session.command(wrong).bad()
    lsub = session.listed(session.command('LSUB "" "%"').ok(), "LSUB")
    assert set(lsub) == {"INBOX", "Fruit", "Vegetable"} and "\\noselect" in lsub["Fruit"], lsub
    session.in_step()


@ours
def test_backend_list_status_and_sizes(world):
    session = world.at(world.a_backend(), "alice")
    session.command("CREATE INBOX.a").ok()
    for n in range(3):
        session.append("INBOX", message(f"m{n}", 1000 * n), "(\\Seen)" if n else "").ok()
    size = sum(len(message(f"m{n}", 1000 * n)) for n in range(3))
    answer = session.command('LIST "" "*" RETURN (STATUS (MESSAGES UNSEEN SIZE))').ok()
    status = {r.tree()[1]: r.tree()[2] for r in answer.of("STATUS")}
    assert status == {b"INBOX": [b"MESSAGES", b"3", b"UNSEEN", b"1", b"SIZE", b"%d" % size],
                      b"INBOX.a": [b"MESSAGES", b"0", b"UNSEEN", b"0", b"SIZE", b"0"]}, status
    session.select("INBOX").ok()
    session.command("STORE 1 +FLAGS.SILENT (\\Deleted)").ok()
    session.command("EXPUNGE").ok()
    size -= len(message("m0"))
    assert session.command("STATUS INBOX (SIZE UNSEEN)").ok().of("STATUS")[0].tree()[2] == [b"SIZE", b"%d" % size, b"UNSEEN", b"0"]
    limit = next(name for name in session.capabilities() if name.startswith("APPENDLIMIT="))
    session.command("APPEND INBOX {%d}" % (int(limit.partition("=")[2]) + 1)).no("TOOBIG")


@ours
def test_backend_special_use(world):
    session = world.at(world.a_backend(), "alice")
    session.command("CREATE INBOX.Everything (USE (\\Drafts))").ok()
    session.command("CREATE INBOX.x (USE (\\Nonsense))").no("USEATTR")
    session.command("CREATE INBOX.plain").ok()
    found = session.listed(session.command('LIST (SPECIAL-USE) "" "*"').ok())
    assert set(found) == {"INBOX.Everything"} and "\\drafts" in found["INBOX.Everything"], found
    found = session.listed(session.command('LIST "" "*" RETURN (SPECIAL-USE)').ok())
    assert "\\drafts" in found["INBOX.Everything"] and "\\drafts" not in found["INBOX.plain"], found
    session.command("RENAME INBOX.Everything INBOX.Moved").ok()
    assert set(session.listed(session.command('LIST (SPECIAL-USE) "" "*"').ok())) == {"INBOX.Moved"}


@ours
def test_backend_namespace_and_rights(world):
    backend = world.a_backend()
    session, bob = world.at(backend, "alice"), world.at(backend, "bob")
    (spaces,) = session.command("NAMESPACE").ok().of("NAMESPACE")
    personal, others, shared = spaces.tree()[1:4]
    assert personal == [[b"INBOX.", b"."]] and others == [[b"user.", b"."]] and shared == [[b"", b"."]], spaces.raw
    session.command("CREATE INBOX.project").ok()
    session.command("SETACL INBOX.project bob lrs").ok()
    session.command("SETACL INBOX.project bob +w").ok()
    session.command("SETACL INBOX.project bob -s").ok()
    (acl,) = session.command("GETACL INBOX.project").ok().of("ACL")
    entries = acl.tree()[2:]
    assert dict(zip(entries[::2], entries[1::2]))[b"bob"] == b"lrw", acl.raw
    assert bob.command("MYRIGHTS user.alice.project").ok().of("MYRIGHTS")[0].tree()[2] == b"lrw"
    answer = bob.command('LIST "" "user.%.%" RETURN (MYRIGHTS)').ok()
    assert [r.tree()[1:] for r in answer.of("MYRIGHTS")] == [[b"user.alice.project", b"lrw"]], answer.untagged
    (may,) = session.command("LISTRIGHTS INBOX.project bob").ok().of("LISTRIGHTS")
    assert may.tree()[1:3] == [b"INBOX.project", b"bob"], may.raw
    bob.command("SETACL user.alice.project bob lrswa").no("NOPERM")
    session.command("SETACL INBOX.project bob q").bad()
    # 4314 section 4: without s, \Seen stays as it is; without t, so does \Deleted
    session.command("APPEND INBOX.project ", Literal(message("x"))).ok()
    bob.select("user.alice.project").ok()
    (stored,) = bob.command("STORE 1 +FLAGS (\\Seen \\Deleted \\Flagged)").ok().of("FETCH")
    assert set(stored.tree()[2][1]) - {b"\\Recent"} == {b"\\Flagged"}, stored.raw
    bob.command("FETCH 1 BODY[]").ok()
    assert b"\\Seen" not in bob.command("FETCH 1 FLAGS").ok().of("FETCH")[0].raw
    bob.command("EXPUNGE").no("NOPERM")
    session.command("DELETEACL INBOX.project bob").ok()
    bob.command("STORE 1 +FLAGS (\\Answered)").no()
    # 4314 section 4: a copy has the flags that may be set where it is
    session.command("CREATE INBOX.drop").ok()
    session.command("SETACL INBOX.drop bob lris").ok()
    bob.append("INBOX", message("y"), flags="(\\Seen \\Deleted \\Flagged $Junk)").ok()
    bob.select("INBOX").ok()
    bob.command("COPY 1 user.alice.drop").ok()
    session.command("SETACL INBOX.drop bob lritw").ok()
    bob.command("MOVE 1 user.alice.drop").ok()
    session.select("INBOX.drop").ok()
    flags = [set(r.tree()[2][1]) - {b"\\Recent"} for r in session.command("FETCH 1:2 FLAGS").ok().of("FETCH")]
    assert flags == [{b"\\Seen"}, {b"\\Deleted", b"\\Flagged", b"$Junk"}], flags


@ours
def test_backend_list_myrights(world):
    """RFC 8440 section 4: its two examples; MYRIGHTS come behind the LIST of their mailbox, and only where it is selected."""
    backend = world.a_backend()
    admin, session = world.at(backend, "cyrus"), world.at(backend, "alice")
    for name in ("foo", "foo.below", "bar", "bar.below"):
        admin.command(f"CREATE {name}").ok()
        admin.command(f"SETACL {name} anyone lrs").ok()
    admin.command("DELETEACL bar anyone").ok()

    def told(command):
        responses = session.command(command).ok().untagged
        assert {r.word for r in responses} <= {b"LIST", b"MYRIGHTS", b"STATUS"}, responses
        return [(r.word.decode(), *(word.decode() for word in r.tree()[(3 if r.word == b"LIST" else 1):][:2] if isinstance(word, bytes)))
                for r in responses]
    own = "lrswipkxtecdan"
    assert told('LIST "" % RETURN (MYRIGHTS)') == [
        ("LIST", "INBOX"), ("MYRIGHTS", "INBOX", own), ("LIST", "bar"), ("LIST", "foo"), ("MYRIGHTS", "foo", "lrs")]
    assert b"\\NonExistent" in session.command('LIST "" bar RETURN (MYRIGHTS)').ok().of("LIST")[0].raw
    for name in ("INBOX", "foo.below", "nosuch"):
        session.command(f"SUBSCRIBE {name}").ok()
    recursive = 'LIST (SUBSCRIBED RECURSIVEMATCH) "" % RETURN ({})'
    assert told(recursive.format("MYRIGHTS")) == [("LIST", "INBOX"), ("MYRIGHTS", "INBOX", own), ("LIST", "foo"), ("LIST", "nosuch")]
    assert told(recursive.format("STATUS (MESSAGES)"))[2:] == [("LIST", "foo"), ("LIST", "nosuch")], "RFC 5819 section 2"
    session.command("SUBSCRIBE foo").ok()
    assert told(recursive.format("MYRIGHTS"))[2:4] == [("LIST", "foo"), ("MYRIGHTS", "foo", "lrs")]
    # a right that is given meanwhile
    admin.command("SETACL foo alice lrswi").ok()
    assert told('LIST "" "foo" RETURN (MYRIGHTS CHILDREN)') == [("LIST", "foo"), ("MYRIGHTS", "foo", "lrswi")]
    session.command('LIST "" % RETURN (MYRIGHTS (INBOX))').bad()
    session.in_step()


@ours
def test_backend_create_rename_delete(world):
    """RFC 3501 sections 6.3.3 to 6.3.5."""
    backend = world.a_backend()
    session = world.at(backend, "alice")
    for command, code in (("CREATE INBOX", "ALREADYEXISTS"), ("DELETE INBOX.nosuch", "NONEXISTENT"), ("DELETE INBOX", None),
                          ("RENAME INBOX.nosuch INBOX.x", "NONEXISTENT")):
        session.command(command).no(code)
    for name in ("a", "a.b", "a.b.c", "z"):
        session.command(f"CREATE INBOX.{name}").ok()
    session.append("INBOX.a.b", message("kept")).ok()
    session.command("RENAME INBOX.a INBOX.z").no("ALREADYEXISTS")
    known = uidvalidity(session, "INBOX.a.b")
    session.command("RENAME INBOX.a INBOX.q").ok()
    assert uidvalidity(session, "INBOX.q.b") == known, "RENAME keeps UIDs, and so what they are valid by"
    assert session.listed_names('LIST "" "INBOX.*"') == {b"INBOX.q", b"INBOX.q.b", b"INBOX.q.b.c", b"INBOX.z"}
    assert session.exists(session.select("INBOX.q.b").ok()) == 1 and session.body(1) == message("kept")
    # 6.3.4: what is below stays; the level above it has no mailbox then, and can't be deleted (RFC 9051 section 6.3.5)
    session.command("DELETE INBOX.q").ok()
    assert {b"INBOX.q.b", b"INBOX.q.b.c"} <= session.listed_names('LIST "" "INBOX.*"'), "DELETE took what is below"
    session.command("DELETE INBOX.q").no("HASCHILDREN")
    # 6.3.5: INBOX' messages go, INBOX stays
    for n in range(3):
        session.append("INBOX", message(f"m{n}")).ok()
    known, next_uid = uidvalidity(session, "INBOX"), uidnext(session, "INBOX")
    session.command("RENAME INBOX INBOX.old-mail").ok()
    assert uidvalidity(session, "INBOX") == known < uidvalidity(session, "INBOX.old-mail")
    assert uidnext(session, "INBOX") == next_uid
    assert session.exists(session.select("INBOX").ok()) == 0
    assert session.exists(session.select("INBOX.old-mail").ok()) == 3
    # a name that comes again is another mailbox
    before = uidvalidity(session, "INBOX.z")
    session.command("DELETE INBOX.z").ok()
    session.command("CREATE INBOX.z").ok()
    again = uidvalidity(session, "INBOX.z")
    assert again > before
    # … also one that comes by a rename, and is older than the one before it
    session.command("DELETE INBOX.z").ok()
    session.command("RENAME INBOX.q.b INBOX.z").ok()
    assert uidvalidity(session, "INBOX.z") > again
    for path in backend.data.glob("spool/mail/*/*/name"):
        assert path.read_text().startswith("user.alice"), path
