"""IMAP4rev2 at the backend, by the examples of RFC 9051 and the list of what is new in its appendix E."""

import re

from imap_client import Literal, message
from marks import ours

SLASHES = 'hierarchy_separator = "/"'


def rev2(world, backend, user="alice", select=None):
    session = world.at(backend, user)
    (told,) = session.command("ENABLE IMAP4rev2").ok().of("ENABLED")
    assert told.text == b"ENABLED IMAP4rev2", told.raw
    if select:
        session.select(select).ok()
    return session


def filled(world, count, **more):
    """A backend, and INBOX with some messages m0, m1 …"""
    backend = world.a_backend(**more)
    session = rev2(world, backend)
    for number in range(count):
        session.append("INBOX", message(f"m{number}")).ok()
    session.select("INBOX").ok()
    return backend, session


def esearch(session, *command):
    answer = session.command(*command).ok()
    assert not answer.of("SEARCH"), answer.untagged
    (told,) = answer.of("ESEARCH")
    return told.text.decode().replace(f'(TAG "t{session.count}")', "(TAG)")


@ours
def test_backend_rev2_is_enabled_and_changes_no_capability(world):
    """Section 6.3.1 and appendix A: nothing is different before ENABLE, and CAPABILITY is the same after it."""
    backend = world.a_backend()
    old, session = world.at(backend, "alice"), world.at(backend, "alice")
    before = session.capabilities()
    assert {"IMAP4REV1", "IMAP4REV2", "ENABLE", "NAMESPACE", "UNSELECT", "UIDPLUS", "ESEARCH", "SEARCHRES", "IDLE", "MOVE",
            "LIST-EXTENDED", "LIST-STATUS", "SPECIAL-USE", "STATUS=SIZE", "LITERAL+"} <= before, before
    assert "LITERAL-" not in before, "one of the two"
    (told,) = session.command("ENABLE CONDSTORE X-GOOD-IDEA imap4REV2").ok().of("ENABLED")
    assert told.text == b"ENABLED CONDSTORE IMAP4rev2", told.raw
    assert session.command("ENABLE X-GOOD-IDEA").ok().of("ENABLED")[0].text == b"ENABLED"
    assert session.capabilities() == before
    old.append("INBOX", message("one")).ok()
    answer = old.select("inbox").ok()
    assert answer.of("RECENT") and not answer.of("LIST") and b"[UNSEEN 1]" in b"".join(r.raw for r in answer.untagged)
    assert old.command("SEARCH ALL").ok().of("SEARCH")[0].text == b"SEARCH 1"


@ours
def test_backend_rev2_select(world):
    """Sections 6.3.2, 6.3.3 and 8: LIST and its OLDNAME; neither RECENT nor UNSEEN; CLOSED between two mailboxes."""
    backend = world.a_backend()
    session = rev2(world, backend)
    session.command('CREATE "INBOX.Drafts.ä"'.encode()).ok()
    session.append("INBOX", message("one")).ok()

    def selected(command, name, attributes, oldname=None, mode="READ-WRITE"):
        answer = session.command(command).ok()
        assert answer.code == mode, answer.text
        words = [r.word.decode() for r in answer.untagged]
        assert "RECENT" not in words and {"FLAGS", "EXISTS", "LIST"} <= set(words), words
        codes = [r.text.split(b"[")[1].split(b" ")[0].rstrip(b"]") for r in answer.of("OK") if b"[" in r.text]
        assert {b"PERMANENTFLAGS", b"UIDNEXT", b"UIDVALIDITY"} <= set(codes) and b"UNSEEN" not in codes, codes
        (listed,) = answer.of("LIST")
        told = listed.tree()
        assert told[1] == [attributes] and told[3].decode() == name, listed.raw
        assert (told[4] if len(told) > 4 else None) == (oldname and [b"OLDNAME", [oldname.encode()]]), listed.raw
        assert b"\\Recent" not in b"".join(r.raw for r in answer.untagged)
        return codes
    selected("select inbox", "INBOX", b"\\HasChildren", "inbox")
    codes = selected("EXAMINE INBOX", "INBOX", b"\\HasChildren", mode="READ-ONLY")
    assert codes[0] == b"CLOSED", codes
    selected("SELECT INBOX.Drafts.", "INBOX.Drafts", b"\\HasChildren", "INBOX.Drafts.")
    selected('SELECT "INBOX.Drafts.ä"'.encode(), "INBOX.Drafts.ä", b"\\HasNoChildren")
    session.command("SELECT INBOX.nosuch").no("NONEXISTENT")
    session.command("FETCH 1 FLAGS").bad()
    # children that one may not see are none (section 7.3.1)
    session.command("SETACL INBOX.Drafts bob lrs").ok()
    bob = rev2(world, backend, "bob")
    (listed,) = bob.command("SELECT user.alice.Drafts").ok().of("LIST")
    assert listed.text == b'LIST (\\HasNoChildren) "." user.alice.Drafts', listed.raw


@ours
def test_backend_rev2_search(world):
    """Section 6.4.4: the answer is an ESEARCH, whatever was found; CHARSET may be said, and is UTF-8."""
    _, session = filled(world, 12)
    session.command("STORE 2,10:11 +FLAGS.SILENT (\\Flagged)").ok()
    session.command("STORE 1:3 +FLAGS.SILENT (\\Seen)").ok()
    since = 'SINCE 1-Feb-1994 NOT FROM "Smith"'
    assert esearch(session, f"SEARCH RETURN (MIN COUNT) FLAGGED {since}") == "ESEARCH (TAG) MIN 2 COUNT 3"
    assert esearch(session, f"SEARCH RETURN () FLAGGED {since}") == "ESEARCH (TAG) ALL 2,10:11"
    assert esearch(session, f"SEARCH FLAGGED {since}") == "ESEARCH (TAG) ALL 2,10:11"
    assert esearch(session, 'SEARCH TEXT "string not in mailbox"') == "ESEARCH (TAG)"
    assert esearch(session, 'UID SEARCH TEXT "string not in mailbox"') == "ESEARCH (TAG) UID"
    assert esearch(session, "SEARCH RETURN (MIN) UNSEEN") == "ESEARCH (TAG) MIN 4"
    assert esearch(session, "UID SEARCH RETURN (MIN MAX) 1:12") == "ESEARCH (TAG) UID MIN 1 MAX 12"
    assert esearch(session, "SEARCH RETURN (COUNT) DELETED") == "ESEARCH (TAG) COUNT 0"
    session.append("INBOX", "Subject: отпуск\r\n\r\nмать\r\n".encode()).ok()
    assert esearch(session, "SEARCH CHARSET UTF-8 TEXT ", Literal("отпуск".encode())) == "ESEARCH (TAG) ALL 13"
    assert esearch(session, 'SEARCH SUBJECT "отпуск"'.encode()) == "ESEARCH (TAG) ALL 13"
    session.command("SEARCH CHARSET KOI8-R ALL").no("BADCHARSET")
    session.command('SEARCH SUBJECT "\xff"').bad()
    # section 6.4.4.4
    assert session.command(f"SEARCH RETURN (SAVE) FLAGGED {since}").ok().untagged == []
    assert [int(r.text.split()[0]) for r in session.command("FETCH $ (UID FLAGS)").ok().of("FETCH")] == [2, 10, 11]
    assert esearch(session, "UID SEARCH UID $ SMALLER 4096") == "ESEARCH (TAG) UID ALL 2,10:11"
    assert esearch(session, b"SEARCH CHARSET UTF-8 (OR $ 1,3:13) TEXT ", Literal("мать".encode(), plus=True)) == "ESEARCH (TAG) ALL 13"
    session.command("SEARCH RETURN (SAVE) CHARSET KOI8-R (OR $ 1,3:5) TEXT {4+}\r\nXXXX").no("BADCHARSET")
    assert esearch(session, "SEARCH $") == "ESEARCH (TAG)"
    assert session.command('COPY $ "INBOX"').ok().code == ""
    # with modseqs (RFC 7162 section 3.1.10)
    assert re.fullmatch(r"ESEARCH \(TAG\) ALL 2,10:11 MODSEQ \d+", esearch(session, "SEARCH MODSEQ 1 FLAGGED"))
    session.in_step()


@ours
def test_backend_rev2_has_no_recent(world):
    """Appendix E, 12: no RECENT, no \\Recent; what others and this one do in IDLE is told with UIDs (21)."""
    backend, session = filled(world, 3)
    others = world.at(backend, "alice")
    assert others.select("INBOX").ok().of("RECENT")[0].text == b"0 RECENT", "this session has been told of them"
    assert esearch(session, "SEARCH RECENT") == "ESEARCH (TAG)"
    others.append("INBOX", message("new")).ok()
    answer = session.command("NOOP").ok()
    assert [r.text for r in answer.untagged] == [b"4 EXISTS"], answer.untagged
    tag = session.start("IDLE")
    assert session.response().tag == b"+"
    others.append("INBOX", message("newer")).ok()
    assert session.response().text == b"5 EXISTS"
    others.command("STORE 2 +FLAGS (\\Flagged)").ok()
    (number, _, items) = session.response().tree()
    assert number == b"2" and items[::2] == [b"FLAGS", b"UID"] and items[1] == [b"\\Flagged"], items
    others.command("STORE 1 +FLAGS.SILENT (\\Deleted)").ok()
    others.command("EXPUNGE").ok()
    assert b"\\Deleted" in session.response().raw and session.response().text == b"1 EXPUNGE"
    session.send(b"DONE\r\n")
    session.finish(tag).ok()
    (fetched,) = session.command("FETCH 4 (FLAGS)").ok().of("FETCH")
    assert b"\\Recent" not in fetched.raw
    (stored,) = session.command("STORE 4 +FLAGS (\\Seen $Forwarded $MDNSent $Junk $NotJunk $Phishing)").ok().of("FETCH")
    assert b"\\Recent" not in stored.raw and b"$Phishing" in stored.raw, stored.raw
    # enabled while a mailbox is selected, which clients must not do
    others.append("INBOX", message("newest")).ok()
    others.command("NOOP").ok()
    others.command("ENABLE IMAP4rev2").ok()
    assert b"\\Recent" not in b"".join(r.raw for r in others.command("FETCH 1:* FLAGS").ok().of("FETCH"))


@ours
def test_backend_rev2_status_and_lists(world):
    """Sections 6.3.9 and 6.3.11: STATUS DELETED and SIZE; LIST's options by the examples 7 and 8."""
    backend = world.a_backend(top=SLASHES)
    session = rev2(world, backend)
    session.command("CREATE INBOX/blurdybloop").ok()
    for n in range(2):
        session.append("INBOX/blurdybloop", message(f"m{n}"), "(\\Deleted)" if n else "").ok()
    size = 2 * len(message("m0"))
    (status,) = session.command("STATUS INBOX/blurdybloop (UIDNEXT MESSAGES UNSEEN DELETED SIZE UIDVALIDITY)").ok().of("STATUS")
    told = status.tree()[2]
    assert dict(zip(told[::2], told[1::2])) | {b"UIDVALIDITY": b""} == {
        b"UIDNEXT": b"3", b"MESSAGES": b"2", b"UNSEEN": b"2", b"DELETED": b"1", b"SIZE": b"%d" % size, b"UIDVALIDITY": b""}, status.raw
    for name in ("foo2/bar1", "foo2/bar2", "baz2/bar2", "baz2/bar22", "baz2/bar222", "eps2/mamba", "qux2/bar2"):
        session.command(f"CREATE INBOX/{name}").ok()
        session.command(f"SUBSCRIBE INBOX/{name}").ok()
    session.command("SUBSCRIBE INBOX/eps2").ok()
    listed = session.command('LIST (RECURSIVEMATCH SUBSCRIBED) "INBOX/" "*2"').ok().of("LIST")
    told = {r.tree()[3].decode().removeprefix("INBOX/"): (b"\\Subscribed" in r.raw, b"CHILDINFO" in r.raw) for r in listed}
    assert told == {"foo2": (False, True), "foo2/bar2": (True, False), "baz2/bar2": (True, False), "baz2/bar22": (True, False),
                    "baz2/bar222": (True, False), "eps2": (True, True), "qux2/bar2": (True, False)}, told
    # 6.3.9.2: whoever may not ask for STATUS is told that the mailbox can't be selected
    session.command("SETACL INBOX/foo2 bob l").ok()
    session.command("SETACL INBOX/eps2 bob lr").ok()
    bob = rev2(world, backend, "bob")
    answer = bob.command('LIST "" "user/alice/%" RETURN (STATUS (MESSAGES))').ok()
    assert [r.tree()[1] for r in answer.of("STATUS")] == [b"user/alice/eps2"], answer.untagged
    noselect = {r.tree()[3]: b"\\NoSelect" in r.raw for r in answer.of("LIST")}
    assert noselect == {b"user/alice/eps2": False, b"user/alice/foo2": True}, answer.untagged
    (spaces,) = session.command("NAMESPACE").ok().of("NAMESPACE")
    assert spaces.tree()[1] == [[b"INBOX/", b"/"]], spaces.raw


@ours
def test_backend_rev2_mailboxes_and_codes(world):
    """Sections 6.3.4 to 6.3.7 and 7.1: what each refusal is called."""
    backend = world.a_backend(top=SLASHES)
    session = rev2(world, backend)
    session.command("CREATE INBOX/owatagusiam/").ok()
    session.command("CREATE INBOX/owatagusiam/blurdybloop").ok()
    assert session.listed_names('LIST "" "*"') == {b"INBOX", b"INBOX/owatagusiam", b"INBOX/owatagusiam/blurdybloop"}
    session.command("CREATE INBOX/that").ok()
    for command, code in (("RENAME INBOX/owatagusiam INBOX/that", "ALREADYEXISTS"), ("RENAME INBOX/this INBOX/that", "NONEXISTENT"),
                          ("CREATE INBOX", "ALREADYEXISTS"), ("DELETE INBOX/nosuch", "NONEXISTENT"), ('CREATE "///////"', "CANNOT"),
                          ("STATUS INBOX/nosuch (MESSAGES)", "NONEXISTENT"), ("APPEND INBOX/nosuch {5+}\r\na: b\r", "TRYCREATE"),
                          ("CREATE user/bob/x", "NOPERM"), ("RENAME INBOX/that INBOX", "ALREADYEXISTS")):
        session.command(command).no(code)
    session.command("RENAME INBOX/owatagusiam INBOX/zowie").ok()
    assert session.listed_names('LIST "" "*"') == {b"INBOX", b"INBOX/zowie", b"INBOX/zowie/blurdybloop", b"INBOX/that"}
    session.append("INBOX", message("one")).ok()
    assert session.command("RENAME INBOX INBOX/old-mail").ok().untagged == []
    assert session.exists(session.select("INBOX/old-mail").ok()) == 1
    session.command("COPY 1 INBOX/nosuch").no("TRYCREATE")
    session.command("MOVE 1 INBOX/nosuch").no("TRYCREATE")
    # MOVE tells COPYUID before EXPUNGE (6.4.8)
    answer = session.command("MOVE 1 INBOX/that").ok()
    assert [r.word for r in answer.untagged] == [b"OK", b"EXPUNGE"] and b"[COPYUID " in answer.untagged[0].raw, answer.untagged
    assert session.command("UID COPY 305:310 INBOX/that").ok().code == ""
    session.command("UNSELECT").ok()
    session.command("UNSELECT").bad()
    # a name that looks like NIL is a name (4.5)
    session.command("CREATE INBOX/NIL").ok()
    admin = rev2(world, backend, "cyrus")
    admin.command("CREATE NIL").ok()
    (listed,) = admin.command('LIST "" "NI%"').ok().of("LIST")
    assert listed.text.endswith(b'"/" "NIL"'), listed.raw
    session.in_step()


@ours
def test_backend_rev2_message_global(world):
    """Sections 7.5.2 and 6.4.5.1: a message/global is a message, with parts; without IMAP4rev2 it is a part like others."""
    inner = "From: Jøran <jøran@example.test>\r\nSubject: smørrebrød\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n" \
            "--b\r\n\r\nfirst\r\n--b\r\nContent-Type: text/html\r\n\r\n<p>blåbær\r\n--b--\r\n"
    outer = "Subject: outer\r\nContent-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\n\r\ntext\r\n--a\r\nContent-Type: message/global\r\n\r\n"
    mail = (outer + inner + "\r\n--a--\r\n").encode()
    large = (outer + inner.replace("first", "first " + "x" * 70 + "\r\n" * 300_000) + "\r\n--a--\r\n").encode()
    backend = world.a_backend()
    session, old = rev2(world, backend), world.at(backend, "alice")
    for each in (mail, large):
        session.append("INBOX", each).ok()
    session.select("INBOX").ok()
    old.select("INBOX").ok()
    for number, size in ((1, len(mail)), (2, len(large))):
        for item in ("BODYSTRUCTURE", "BODY"):
            (told,) = session.command(f"FETCH {number} {item}").ok().of("FETCH")
            part = told.tree()[2][1][1]
            assert part[:2] == [b"MESSAGE", b"GLOBAL"] and part[7][1].decode() == "smørrebrød", part
            assert [inside[:2] for inside in part[8][:2]] == [[b"TEXT", b"PLAIN"], [b"TEXT", b"HTML"]] and part[8][2] == b"MIXED", part
            assert part[9].isdigit() and len(part) == (14 if item == "BODYSTRUCTURE" else 10), part
            (plain,) = old.command(f"FETCH {number} {item}").ok().of("FETCH")
            assert len(plain.tree()[2][1][1]) == (11 if item == "BODYSTRUCTURE" else 7), plain.raw

        def section(who, what):
            return who.command(f"FETCH {number} BODY.PEEK[{what}]").ok().of("FETCH")[0].tree()[2][-1]
        assert section(session, "2.HEADER") == inner[:inner.index("--b")].encode()
        assert section(session, "2.2").decode() == "<p>blåbær" and section(session, "2.1").startswith(b"first")
        assert section(session, "2.HEADER.FIELDS (SUBJECT)").decode() == "Subject: smørrebrød\r\n\r\n"
        assert [section(old, what) for what in ("2.HEADER", "2.2", "2.TEXT")] == [None] * 3 and section(old, "2").startswith(b"From: J")
        assert section(session, "") == section(old, "") and len(section(old, "")) == size
        for what, told in (("BINARY.PEEK[2.2]", "<p>blåbær".encode()), ("BINARY.SIZE[2.2]", b"%d" % len("<p>blåbær".encode())),
                           ("BINARY[1]", b"text")):
            assert session.command(f"FETCH {number} {what}").ok().of("FETCH")[0].tree()[2][1] == told, what
        assert old.command(f"FETCH {number} BINARY.PEEK[2.2]").ok().of("FETCH")[0].tree()[2][1] is None
    # what lies in it is found
    assert esearch(session, 'SEARCH BODY "blåbær"'.encode()) == "ESEARCH (TAG) ALL 1:2"
    assert esearch(session, 'SEARCH SUBJECT "blåbær"'.encode()) == "ESEARCH (TAG)"
    session.in_step()


@ours
def test_backend_rev2_keywords_are_used_up(world):
    """Section 7.1, PERMANENTFLAGS: when no keyword can be made any more, it is told anew, without \\*."""
    _, session = filled(world, 1)
    answers = []
    for n in range(200):
        answer = session.command(f"STORE 1 +FLAGS (k{n})")
        if answer.status == "NO":
            assert answer.code == "LIMIT", answer.text
            break
        answers.append([r.raw for r in answer.ok().untagged if b"PERMANENTFLAGS" in r.raw])
    assert n < 199 and answers[:-1] == [[]] * (n - 1) and len(answers[-1]) == 1, answers
    assert b"\\*" not in answers[-1][0] and b" k0 " in answers[-1][0], answers[-1]
    session.in_step()


@ours
def test_backend_rev2_with_all_else(world):
    """Together with CONDSTORE, QRESYNC and UTF8=ACCEPT; literals of each kind."""
    backend = world.a_backend()
    session = world.at(backend, "alice")
    session.command("ENABLE QRESYNC UTF8=ACCEPT IMAP4rev2").ok()
    session.command("CREATE {13+}\r\nINBOX.literal").ok()
    session.command("CREATE ", Literal("INBOX.bücher".encode())).ok()
    session.append("INBOX.bücher".encode(), message("one")).ok()
    answer = session.command('SELECT "INBOX.bücher" (CONDSTORE)'.encode()).ok()
    assert answer.of("LIST")[0].tree()[3].decode() == "INBOX.bücher", answer.untagged
    assert b"[HIGHESTMODSEQ " in b"".join(r.raw for r in answer.untagged) and not answer.of("RECENT")
    assert esearch(session, "SEARCH CHARSET UTF-8 ALL") == "ESEARCH (TAG) ALL 1"
    (stored,) = session.command("STORE 1 +FLAGS (\\Deleted)").ok().of("FETCH")
    assert stored.tree()[2][::2] == [b"FLAGS", b"UID", b"MODSEQ"] and b"\\Recent" not in stored.raw, stored.raw
    answer = session.command("EXPUNGE").ok()
    assert [r.text for r in answer.untagged] == [b"VANISHED 1"] and answer.code.startswith("HIGHESTMODSEQ"), answer.untagged
    session.in_step()
