"""The backend, by the RFCs of its extensions: their examples, and each capability works that is told."""

import re
import time

from imap_client import Literal, message
from marks import ours

# what a backend of the default configuration may tell of itself: a test of the backend has each of them work
WORKS = {"IMAP4REV1", "IMAP4REV2", "LITERAL+", "ID", "ENABLE", "CHILDREN", "LIST-EXTENDED", "LIST-STATUS", "LIST-MYRIGHTS", "LIST-METADATA", "SPECIAL-USE",
         "STATUS=SIZE", "CREATE-SPECIAL-USE", "NAMESPACE", "ACL", "RIGHTS=KXTEN", "IDLE", "UNSELECT", "UIDPLUS", "MULTIAPPEND",
         "OBJECTID", "SAVEDATE", "ESEARCH", "SEARCHRES", "WITHIN", "MOVE", "APPENDLIMIT", "QUOTA", "QUOTA=RES-STORAGE",
         "QUOTA=RES-MESSAGE", "QUOTA=RES-MAILBOX", "QUOTASET", "CONDSTORE", "QRESYNC", "COMPRESS=DEFLATE",
         "UNAUTHENTICATE", "METADATA", "UTF8=ACCEPT", "REPLACE", "CATENATE", "BINARY", "PREVIEW",
         "SORT", "SORT=DISPLAY", "ESORT", "I18NLEVEL=1", "THREAD=ORDEREDSUBJECT", "THREAD=REFERENCES"}


@ours
def test_backend_capabilities_are_what_works(world):
    """Before login nothing of what needs one; after it, each that is told answers, and what isn't told is refused."""
    backend = world.a_backend()
    session = world.at(backend)
    told = set(re.search(rb"\[CAPABILITY ([^\]]*)\]", session.greeting.raw).group(1).decode().upper().split())
    assert told == session.capabilities() == {"IMAP4REV1", "IMAP4REV2", "LITERAL+", "ID", "ENABLE", "SASL-IR", "AUTH=PLAIN", "AUTH=LOGIN"}, told
    code = session.login("alice", "alicepw").ok().code
    capabilities = session.capabilities()
    assert set(code.upper().split()[1:]) == capabilities, "the login tells others than CAPABILITY"
    unknown = {name.partition("=")[0] if name.startswith("APPENDLIMIT") else name for name in capabilities} - WORKS
    assert not unknown, f"told, and no test has it work: {unknown}"
    session.select("INBOX").ok()
    refused = {"SORT": ("SORT (DATE) UTF-8 ALL",),
               "THREAD=REFERENCES": ("THREAD REFERENCES UTF-8 ALL",), "SEARCHRES": ("SEARCH RETURN (SAVE) ALL",),
               "COMPRESS=DEFLATE": ("COMPRESS DEFLATE",), "BINARY": ("FETCH 1 BINARY[1]",), "METADATA": ("GETMETADATA INBOX /private/comment",),
               "NOTIFY": ("NOTIFY NONE",), "STARTTLS": ("STARTTLS",)}
    for capability, commands in refused.items():
        for command in commands if capability not in capabilities else ():
            session.command(command).must("BAD", "NO")
    session.in_step()


@ours
def test_backend_uidplus(world):
    """RFC 4315: APPENDUID, COPYUID and UID EXPUNGE, by the examples of its sections 2.1 and 3."""
    session = world.at(world.a_backend(), "alice")
    session.command("CREATE INBOX.meeting").ok()
    for number in range(6):
        session.append("INBOX", message(f"m{number}")).ok()
    session.select("INBOX").ok()
    answer = session.command("COPY 2:4 INBOX.meeting").ok()
    name, validity, source, target = answer.code.split()
    assert (name, source, target) == ("COPYUID", "2:4", "1:3"), answer.code
    status = session.command("STATUS INBOX.meeting (UIDVALIDITY UIDNEXT MESSAGES)").ok().of("STATUS")[0].tree()[2]
    assert status == [b"UIDVALIDITY", validity.encode(), b"UIDNEXT", b"4", b"MESSAGES", b"3"], status
    session.command("STORE 1:5 +FLAGS.SILENT (\\Deleted)").ok()
    answer = session.command("UID EXPUNGE 2:3,6,99").ok()
    numbers = [int(r.text.split()[0]) for r in answer.of("EXPUNGE")]
    assert numbers in ([3, 2], [2, 2]), numbers
    assert session.command("UID SEARCH ALL").ok().of("SEARCH")[0].text == b"SEARCH 1 4 5 6"
    assert session.command("UID COPY 99 INBOX.meeting").ok().code == ""


@ours
def test_backend_move(world):
    """RFC 6851 section 4.3: COPYUID before the EXPUNGEs, in an untagged OK."""
    session = world.at(world.a_backend(), "alice")
    session.command("CREATE INBOX.foo").ok()
    for number in range(5):
        session.append("INBOX", message(f"m{number}"), "($Kept)").ok()
    session.select("INBOX").ok()
    answer = session.command("UID MOVE 2:3 INBOX.foo").ok()
    words = [response.word for response in answer.untagged]
    assert words == [b"OK", b"EXPUNGE", b"EXPUNGE"], answer.untagged
    assert re.match(rb"\* OK \[COPYUID \d+ 2:3 1:2\]", answer.untagged[0].raw), answer.untagged[0].raw
    session.command("MOVE 1 nosuch").no("TRYCREATE")
    assert session.command("UID SEARCH ALL").ok().of("SEARCH")[0].text == b"SEARCH 1 4 5"
    session.select("INBOX.foo").ok()
    assert session.body(1) == message("m1")
    assert b"$Kept" in session.command("FETCH 1 FLAGS").ok().of("FETCH")[0].raw


@ours
def test_backend_multiappend(world):
    """RFC 3502: all or none."""
    session = world.at(world.a_backend(), "alice")
    answer = session.command(
        "APPEND INBOX (\\Seen) ", Literal(message("one")), ' (\\Seen $x) "17-Jul-1996 02:44:25 -0700" ', Literal(message("two")),
        " ", Literal(message("three"), plus=True)).ok()
    assert re.fullmatch(r"APPENDUID \d+ 1:3", answer.code), answer.code
    # the second is refused: the first isn't there either
    session.command("APPEND INBOX ", Literal(message("four")), " ", Literal(b"a NUL: \0", plus=True)).no("CANNOT")
    session.command("APPEND INBOX ", Literal(message("four")), " (\\Nonsense) ", Literal(message("five"), plus=True)).bad()
    session.command("APPEND INBOX ", Literal(message("four")), " ", Literal(message("five")), " and more").bad()
    session.in_step()
    assert session.exists(session.select("INBOX").ok()) == 3
    assert session.body(3) == message("three")
    (second,) = session.command("FETCH 2 (FLAGS INTERNALDATE)").ok().of("FETCH")
    assert b'"17-Jul-1996 02:44:25 -0700"' in second.raw and b"$x" in second.raw, second.raw


@ours
def test_backend_esearch(world):
    """RFC 4731 section 3.1's forms."""
    session = world.at(world.a_backend(), "alice")
    for number in range(6):
        session.append("INBOX", message(f"m{number}"), "(\\Flagged)" if number in (1, 2, 4) else "").ok()
    session.command("CREATE INBOX.x").ok()
    session.select("INBOX").ok()
    session.command("UID MOVE 1 INBOX.x").ok()

    def said(command):
        tag = session.tag()
        (line,) = session.finish(session.start(command, tag=tag)).ok().of("ESEARCH")
        begin = b'ESEARCH (TAG "%s")' % tag
        assert line.text.startswith(begin), line.raw
        return line.text[len(begin):].strip()
    assert said("SEARCH RETURN (MIN COUNT) FLAGGED") == b"MIN 1 COUNT 3"
    assert said("SEARCH RETURN () FLAGGED") == b"ALL 1:2,4"
    assert said("UID SEARCH RETURN (MIN MAX ALL COUNT) FLAGGED") == b"UID MIN 2 MAX 5 ALL 2:3,5 COUNT 3"
    assert said("SEARCH RETURN (MIN MAX ALL COUNT) DRAFT") == b"COUNT 0"
    assert said("UID SEARCH RETURN (MAX) DRAFT") == b"UID"


@ours
def test_backend_searchres(world):
    """RFC 5182: SAVE and `$` wherever a set stands; what empties it; it follows EXPUNGE."""
    backend = world.a_backend()
    session = world.at(backend, "alice")
    session.command("CREATE INBOX.x").ok()
    for number in range(8):
        session.append("INBOX", message(f"m{number}"), "(\\Flagged)" if number in (1, 2, 4, 6) else "").ok()
    session.select("INBOX").ok()

    def saved():
        (line,) = session.command("UID SEARCH $").ok().of("SEARCH")
        return [int(uid) for uid in line.text.split()[1:]]
    assert saved() == [] and not session.command("FETCH $ UID").ok().of("FETCH"), "it is empty at first"
    # section 2.4: what is saved beside other options
    for options, uids in (("SAVE", [2, 3, 5, 7]), ("SAVE MIN", [2]), ("MAX SAVE", [7]), ("SAVE MIN MAX", [2, 7]),
                          ("SAVE ALL MIN", [2, 3, 5, 7]), ("SAVE COUNT MAX", [2, 3, 5, 7])):
        answer = session.command(f"SEARCH RETURN ({options}) FLAGGED").ok()
        assert bool(answer.of("ESEARCH")) == (options != "SAVE"), answer.untagged
        assert saved() == uids, options
    # section 2.1: NO empties it, BAD doesn't; a SEARCH without SAVE changes nothing
    session.command("SEARCH RETURN (SAVE) 99999999999").must("BAD")
    session.command("SEARCH DRAFT").ok()
    session.command("SEARCH CHARSET X-NONE ALL").no("BADCHARSET")
    assert saved() == [2, 3, 5, 7]
    session.command("SEARCH RETURN (SAVE) CHARSET X-NONE ALL").no("BADCHARSET")
    assert saved() == []
    # `$` within the search that saves, and in a NOT
    session.command("SEARCH RETURN (SAVE) FLAGGED").ok()
    session.command("SEARCH RETURN (SAVE) $ SMALLER 1000000 NOT 2").ok()
    assert saved() == [3, 5, 7]
    # in every command, with and without UID
    for command in ("FETCH $ (UID)", "UID FETCH $ (UID)"):
        assert [int(r.text.split()[0]) for r in session.command(command).ok().of("FETCH")] == [3, 5, 7], command
    session.command("STORE $ +FLAGS (\\Answered)").ok()
    session.command("UID STORE $ +FLAGS (\\Draft)").ok()
    (line,) = session.command("SEARCH ANSWERED DRAFT").ok().of("SEARCH")
    assert line.text == b"SEARCH 3 5 7", line.text
    assert session.command("COPY $ INBOX.x").ok().code.split()[2] == "3,5,7"
    # it follows EXPUNGE, by whomever: message numbers move, `$` does not
    other = world.at(backend, "alice")
    other.select("INBOX").ok()
    other.command("STORE 1,5 +FLAGS (\\Deleted)").ok()
    other.command("EXPUNGE").ok()
    session.command("NOOP").ok()
    assert saved() == [3, 7]
    assert [int(r.text.split()[0]) for r in session.command("FETCH $ UID").ok().of("FETCH")] == [2, 5]
    session.command("STORE 2 +FLAGS.SILENT (\\Deleted)").ok()
    assert len(session.command("UID EXPUNGE $").ok().of("EXPUNGE")) == 1
    assert saved() == [7]
    session.command("MOVE $ INBOX.x").ok()
    assert saved() == []
    session.command("COPY $ INBOX.x").ok()
    # SELECT empties it, of the same mailbox, too
    session.command("SEARCH RETURN (SAVE) ALL").ok()
    assert saved() == [2, 4, 6, 8]
    session.select("INBOX").ok()
    assert saved() == []
    session.in_step()


@ours
def test_backend_literal_plus(world):
    """RFC 7888 section 4's example: no continuation is asked for, none is sent."""
    session = world.at(world.a_backend())
    session.waiting += [b"A001", b"A002"]
    session.send(b"A001 LOGIN {5+}\r\nalice {7+}\r\nalicepw\r\nA002 APPEND {5+}\r\nINBOX {25+}\r\nSubject: x\r\n\r\nno asking\r\n\r\n")
    answers = [session.response() for _ in range(2)]
    assert [a.word for a in answers] == [b"OK", b"OK"] and [a.tag for a in answers] == [b"A001", b"A002"], answers


@ours
def test_backend_sasl_ir_and_without(world):
    """RFC 4959: an initial response; "=" is an empty one; "*" cancels."""
    backend = world.a_backend()
    world.at(backend).command("AUTHENTICATE PLAIN AGFsaWNlAGFsaWNlcHc=").ok()  # \0alice\0alicepw
    session = world.at(backend)
    tag = session.start("AUTHENTICATE PLAIN")
    assert session.go_ahead(tag)
    session.send(b"AGFsaWNlAGFsaWNlcHc=\r\n")
    session.finish(tag).ok()
    session = world.at(backend)
    tag = session.start("AUTHENTICATE LOGIN")
    for line in (b"YWxpY2U=", b"YWxpY2Vwdw=="):
        assert session.go_ahead(tag)
        session.send(line + b"\r\n")
    session.finish(tag).ok()
    session = world.at(backend)
    tag = session.start("AUTHENTICATE PLAIN")
    assert session.go_ahead(tag)
    session.send(b"*\r\n")
    session.finish(tag).bad()
    for given in ("=", "AGFsaWNl", "not!base64", "AGFsaWNlAGFsaWNlcHc"):
        session.command("AUTHENTICATE PLAIN ", given).must("BAD", "NO")
    session.command("AUTHENTICATE NOSUCH").no()
    session.in_step()


@ours
def test_backend_id_and_enable(world):
    """RFC 2971 and RFC 5161, in both states."""
    session = world.at(world.a_backend())
    (said,) = session.command('ID ("name" "sodr" "version" "19.34" "vendor" "Pink Floyd Music Limited")').ok().of("ID")
    name = said.tree()[1]
    assert name[name.index(b"name") + 1] == b"Ravenry", said.raw
    assert len(session.command("ID NIL").ok().of("ID")) == 1
    pairs = " ".join(f'"f{n}" "v"' for n in range(31))
    for wrong in ("ID", "ID ()x", 'ID ("name")', f"ID ({pairs})", 'ID ("a" "b"', "ID (" * 50):
        session.command(wrong).bad()
    session.login("alice", "alicepw").ok()
    (enabled,) = session.command("ENABLE X-GOOD-IDEA X-NOSUCH").ok().of("ENABLED")
    assert enabled.text == b"ENABLED", enabled.raw
    session.command("ENABLE").bad()


@ours
def test_backend_within_and_savedate(world):
    """RFC 5032 and RFC 8514: a moment ago is younger than an hour, and was saved today."""
    session = world.at(world.a_backend(), "alice")
    session.append("INBOX", message("old"), '"17-Jul-1996 02:44:25 -0700"').ok()
    session.append("INBOX", message("new")).ok()
    session.select("INBOX").ok()

    def found(keys):
        return session.command("SEARCH ", keys).ok().of("SEARCH")[0].text
    assert found("YOUNGER 3600") == b"SEARCH 2"
    assert found("OLDER 3600") == b"SEARCH 1"
    assert found("BEFORE 1-Jan-2000") == b"SEARCH 1"
    assert found("SAVEDSINCE 1-Jan-2020") == b"SEARCH 1 2"
    assert found("SAVEDBEFORE 1-Jan-2020") == b"SEARCH"
    assert found("SAVEDATESUPPORTED") == b"SEARCH 1 2"
    (first,) = session.command("FETCH 1 SAVEDATE").ok().of("FETCH")
    assert time.strftime("-%Y ").encode() in first.raw or b"-2" in first.raw, first.raw
    session.command("SEARCH YOUNGER 0").bad()


@ours
def test_backend_objectid(world):
    """RFC 8474: one EMAILID for one content, wherever; MAILBOXID stays through a RENAME and is no other mailbox'."""
    session = world.at(world.a_backend(), "alice")
    made = session.command("CREATE INBOX.foo").ok().code
    assert made.startswith("MAILBOXID ("), made
    for text in ("one", "two", "one"):
        session.append("INBOX", message(text)).ok()
    selected = session.select("INBOX").ok()
    inbox = next(r.raw for r in selected.untagged if b"[MAILBOXID (" in r.raw)
    ids = [r.tree()[2][1] for r in session.command("FETCH 1:3 EMAILID").ok().of("FETCH")]
    assert ids[0] == ids[2] != ids[1], ids
    session.command("COPY 2 INBOX.foo").ok()
    session.command("RENAME INBOX.foo INBOX.bar").ok()
    (status,) = session.command("STATUS INBOX.bar (MAILBOXID)").ok().of("STATUS")
    assert status.text.split(b"(MAILBOXID ")[1][:-1].decode() == made.removeprefix("MAILBOXID "), (status.raw, made)
    assert made.removeprefix("MAILBOXID ").encode() not in inbox
    assert session.command("SEARCH EMAILID ", ids[1][0]).ok().of("SEARCH")[0].text == b"SEARCH 2"
    session.select("INBOX.bar").ok()
    assert session.command("FETCH 1 EMAILID").ok().of("FETCH")[0].tree()[2][1] == ids[1]


@ours
def test_backend_unselect_and_idle(world):
    """RFC 3691 and RFC 2177: IDLE ends with DONE and with nothing else; what follows it is a command again."""
    session = world.at(world.a_backend(), "alice")
    session.append("INBOX", message("x"), "(\\Deleted)").ok()
    session.select("INBOX").ok()
    session.command("UNSELECT").ok()
    session.command("UNSELECT").bad()
    assert session.exists(session.select("INBOX").ok()) == 1
    tag = session.start("IDLE")
    assert session.go_ahead(tag)
    session.send(b"NOOP\r\n")
    session.finish(tag).bad()
    session.in_step()
    tag = session.start("IDLE")
    assert session.go_ahead(tag)
    session.waiting.append(b"x1")
    session.send(b"done\r\nx1 NOOP\r\n")
    session.finish(tag).ok()
    session.finish(b"x1").ok()
