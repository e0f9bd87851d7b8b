"""The backend, by RFC 3501: its sample session, and what its sections say of each command's answers."""

from imap_client import Literal, message
from marks import ours

HEADER = (b"Date: Wed, 17 Jul 1996 02:23:25 -0700 (PDT)\r\n"
          b"From: Terry Gray <gray@cac.washington.edu>\r\n"
          b"Subject: IMAP4rev1 WG mtg summary and minutes\r\n"
          b"To: imap@cac.washington.edu\r\n"
          b"cc: minutes@CNRI.Reston.VA.US, John Klensin <KLENSIN@MIT.EDU>\r\n"
          b"Message-Id: <B27397-0100000@cac.washington.edu>\r\n"
          b"MIME-Version: 1.0\r\n"
          b"Content-Type: TEXT/PLAIN; CHARSET=US-ASCII\r\n\r\n")
BODY = b"x" * 33 + b"\r\n" + b"".join(b"%031d\r\n" % n for n in range(90)) + b"y" * 21 + b"\r\n"
ENVELOPE = (b'ENVELOPE ("Wed, 17 Jul 1996 02:23:25 -0700 (PDT)" "IMAP4rev1 WG mtg summary and minutes"'
            b' (("Terry Gray" NIL "gray" "cac.washington.edu")) (("Terry Gray" NIL "gray" "cac.washington.edu"))'
            b' (("Terry Gray" NIL "gray" "cac.washington.edu")) ((NIL NIL "imap" "cac.washington.edu"))'
            b' ((NIL NIL "minutes" "CNRI.Reston.VA.US")("John Klensin" NIL "KLENSIN" "MIT.EDU")) NIL NIL'
            b' "<B27397-0100000@cac.washington.edu>")')


@ours
def test_backend_the_sample_session_of_rfc_3501(world):
    """Section 8, its numbers and its words."""
    assert (len(HEADER), len(BODY), BODY.count(b"\n")) == (342, 3028, 92)
    backend = world.a_backend()
    before = world.at(backend, "alice")
    for number in range(1, 17):
        text = HEADER + BODY if number == 12 else message(f"m{number}")
        before.append("INBOX", text, '(\\Seen) "17-Jul-1996 02:44:25 -0700"').ok()
    before.select("INBOX").ok()
    before.command("UNSELECT").ok()
    for number in (17, 18):
        before.append("INBOX", message(f"m{number}")).ok()
    session = world.at(backend)
    assert session.greeting.word == b"OK" and b"IMAP4rev1" in session.greeting.raw
    session.finish(session.start("login alice alicepw", tag=b"a001")).ok()
    answer = session.finish(session.start("select inbox", tag=b"a002")).ok()
    lines = [response.raw for response in answer.untagged]
    assert b"* 18 EXISTS\r\n" in lines and b"* 2 RECENT\r\n" in lines, lines
    assert any(line.startswith(b"* OK [UNSEEN 17]") for line in lines), lines
    assert any(line.startswith(b"* OK [UIDVALIDITY ") for line in lines), lines
    (flags,) = answer.of("FLAGS")
    assert set(flags.tree()[1]) == {b"\\Answered", b"\\Flagged", b"\\Deleted", b"\\Seen", b"\\Draft"}, flags.raw
    assert answer.code == "READ-WRITE"
    (full,) = session.finish(session.start("fetch 12 full", tag=b"a003")).ok().of("FETCH")
    assert full.raw == (
        b'* 12 FETCH (FLAGS (\\Seen) INTERNALDATE "17-Jul-1996 02:44:25 -0700" RFC822.SIZE 3370 ' + ENVELOPE
        + b' BODY ("TEXT" "PLAIN" ("CHARSET" "US-ASCII") NIL NIL "7BIT" 3028 92))\r\n'), full.raw
    (header,) = session.finish(session.start("fetch 12 body[header]", tag=b"a004")).ok().of("FETCH")
    assert header.raw == b"* 12 FETCH (BODY[HEADER] {342}\r\n" + HEADER + b")\r\n", header.raw
    (stored,) = session.finish(session.start("store 12 +flags \\deleted", tag=b"a005")).ok().of("FETCH")
    assert stored.raw == b"* 12 FETCH (FLAGS (\\Deleted \\Seen))\r\n" or \
        set(stored.tree()[2][1]) == {b"\\Seen", b"\\Deleted"}, stored.raw
    answer = session.finish(session.start("logout", tag=b"a006")).ok()
    assert answer.of("BYE"), "no BYE before the OK to LOGOUT"
    session.expect_end()


@ours
def test_backend_states(world):
    """Section 3: what a state doesn't allow is BAD, and changes nothing."""
    backend = world.a_backend()
    session = world.at(backend)
    for command in ("SELECT INBOX", "LIST \"\" *", "STATUS INBOX (MESSAGES)", "IDLE", "FETCH 1 UID", "CLOSE", "CREATE x"):
        session.command(command).bad()
    session.command("APPEND INBOX ", Literal(message("x"))).bad()
    session.login("alice", "alicepw").ok()
    for command in ("LOGIN alice alicepw", "AUTHENTICATE PLAIN", "FETCH 1 UID", "STORE 1 FLAGS ()", "COPY 1 INBOX",
                    "EXPUNGE", "CLOSE", "UNSELECT", "CHECK", "SEARCH ALL", "UID EXPUNGE 1", "MOVE 1 INBOX"):
        session.command(command).bad()
    # 6.3.1: a SELECT that fails leaves no mailbox selected
    session.select("INBOX").ok()
    session.select("nosuch").no("NONEXISTENT")
    session.command("FETCH 1 UID").bad()
    session.in_step()


@ours
def test_backend_close_expunges_in_silence_and_examine_changes_nothing(world):
    backend = world.a_backend()
    session = world.at(backend, "alice")
    for number in range(4):
        session.append("INBOX", message(f"m{number}"), "(\\Deleted)" if number % 2 else "").ok()
    assert session.select("INBOX", "EXAMINE").ok().code == "READ-ONLY"
    assert [r.text for r in session.command("FETCH 1 (BODY[] FLAGS)").ok().of("FETCH")][0].count(b"\\Seen") == 0
    for command in ("STORE 1 +FLAGS (\\Seen)", "EXPUNGE", "UID EXPUNGE 1:*", "MOVE 1 INBOX"):
        session.command(command).no("READ-ONLY")
    assert session.command("CLOSE").ok().untagged == []
    assert session.exists(session.select("INBOX").ok()) == 4
    assert b"\\Recent" in session.command("FETCH 1 FLAGS").ok().of("FETCH")[0].raw, "EXAMINE took \\Recent away"
    assert session.command("UNSELECT").ok().untagged == []
    assert session.exists(session.select("INBOX").ok()) == 4, "UNSELECT expunged"
    assert session.command("CLOSE").ok().untagged == []
    assert session.exists(session.select("INBOX").ok()) == 2
    uids = [r.tree()[2][1] for r in session.command("FETCH 1:* UID").ok().of("FETCH")]
    assert uids == [b"1", b"3"], uids


@ours
def test_backend_store_has_three_modes_and_silence(world):
    session = world.at(world.a_backend(), "alice")
    for number in range(3):
        session.append("INBOX", message(f"m{number}")).ok()
    session.select("INBOX").ok()

    def flags(command):
        return [sorted(f for f in r.tree()[2][1] if f != b"\\Recent") for r in session.command(command).ok().of("FETCH")]
    assert flags("STORE 1:2 FLAGS (\\Seen $Junk)") == [[b"$Junk", b"\\Seen"]] * 2
    assert flags("STORE 2 +FLAGS \\Answered") == [[b"$Junk", b"\\Answered", b"\\Seen"]]
    assert flags("STORE 2:3 -FLAGS ($Junk)") == [[b"\\Answered", b"\\Seen"], []]
    assert flags("STORE 1:3 FLAGS.SILENT (\\Flagged)") == []
    assert flags("FETCH 1:* FLAGS") == [[b"\\Flagged"]] * 3
    for command in ("STORE 1 FLAGS (\\Recent)", "STORE 1 FLAGS (\\Nonsense)", "STORE 1 FLAGS", "STORE 1 SOME (\\Seen)",
                    "STORE 4 FLAGS ()", "STORE 0 FLAGS ()", "STORE 1,, FLAGS ()"):
        session.command(command).bad()
    session.command("UID STORE 99 +FLAGS (\\Seen)").ok()  # 6.4.8: a UID that isn't there is passed over
    session.in_step()


@ours
def test_backend_fetch_parts_and_partials(world):
    session = world.at(world.a_backend(), "alice")
    text = (b"Subject: parts\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=\"b\"\r\n\r\npreamble\r\n"
            b"--b\r\n\r\none\r\n--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: inner\r\nX-A: 1\r\n\r\ninner text\r\n--b--\r\n")
    session.append("INBOX", text).ok()
    session.select("INBOX").ok()

    def part(section):
        tree = session.command(f"FETCH 1 BODY.PEEK[{section}]").ok().of("FETCH")[0].tree()[2]
        assert len(tree) == 2, tree
        return tree[1]
    assert part("") == text
    assert part("TEXT") == text.partition(b"\r\n\r\n")[2]
    assert part("1") == b"one"
    assert part("2.HEADER") == b"Subject: inner\r\nX-A: 1\r\n\r\n"
    assert part("2.HEADER.FIELDS (x-a)") == b"X-A: 1\r\n\r\n"
    assert part("2.HEADER.FIELDS.NOT (x-a)") == b"Subject: inner\r\n\r\n"
    assert part("2.TEXT") == b"inner text"
    assert part("2.MIME") == b"Content-Type: message/rfc822\r\n\r\n"
    assert part("9") in (None, b"")
    (got,) = session.command("FETCH 1 BODY.PEEK[]<4.6>").ok().of("FETCH")
    assert got.raw == b'* 1 FETCH (BODY[]<4> "' + text[4:10] + b'")\r\n' or \
        got.raw == b"* 1 FETCH (BODY[]<4> {6}\r\n" + text[4:10] + b")\r\n", got.raw
    (got,) = session.command("FETCH 1 BODY.PEEK[]<9999.6>").ok().of("FETCH")
    assert got.tree()[2] == [b"BODY[]<9999>", b""], got.raw
    assert b"\\Seen" not in session.command("FETCH 1 FLAGS").ok().of("FETCH")[0].raw
    (got,) = session.command("FETCH 1 BODY[1]").ok().of("FETCH")
    assert b"\\Seen" in got.raw, f"FLAGS aren't told along: {got.raw}"
    session.in_step()
