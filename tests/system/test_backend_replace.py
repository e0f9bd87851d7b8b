"""REPLACE at the backend (RFC 8508), by the RFC's examples: one change, or none."""

import re

from imap_client import Literal, message
from marks import ours
from test_backend_condstore import filled, highest, modseq
from test_backend_qresync import enabled, vanished


def kinds(answer):
    return [(r.word, r.text) for r in answer.untagged]


@ours
def test_backend_replace(world):
    """Sections 3.2 and 3.3: APPENDUID comes first; EXISTS and EXPUNGE; the new message has the flags and the date that were given."""
    backend, session = filled(world, 4)
    other = world.at(backend, "alice")
    for one in (session, other):
        one.select("INBOX").ok()
    session.command("STORE 1 +FLAGS.SILENT (\\Deleted)").ok()
    answer = session.command('REPLACE 4 INBOX (\\Seen \\Draft $x) "17-Jul-1996 02:44:25 -0700" ', Literal(message("new"))).ok()
    assert re.match(rb"\* OK \[APPENDUID \d+ 5\]", answer.untagged[0].raw), answer.untagged
    assert answer.code == "" and len(answer.of("FETCH")) == 0, answer.untagged
    assert (b"EXPUNGE", b"4 EXPUNGE") in kinds(answer) and session.exists(answer) == 4, answer.untagged
    answer = session.command("UID REPLACE 5 INBOX (\\Seen \\Draft) ", Literal(message("newer"), plus=True)).ok()
    assert re.match(rb"\* OK \[APPENDUID \d+ 6\]", answer.untagged[0].raw), answer.untagged
    (told,) = session.command("FETCH 4 (UID FLAGS)").ok().of("FETCH")
    assert b"UID 6" in told.raw and b"\\Draft" in told.raw, told.raw
    # what has \Deleted besides stays
    assert session.command("UID SEARCH ALL").ok().of("SEARCH")[0].text == b"SEARCH 1 2 3 6"
    assert session.body(4) == message("newer")
    # others hear of it
    answer = other.command("NOOP").ok()
    assert (b"EXPUNGE", b"4 EXPUNGE") in kinds(answer) and other.exists(answer) == 4, answer.untagged
    # another mailbox; `*` is the last one
    session.command("CREATE INBOX.Sent").ok()
    answer = session.command("REPLACE * INBOX.Sent (\\Seen) ", Literal(message("sent"))).ok()
    assert [r.word for r in answer.untagged] == [b"OK", b"EXPUNGE"], answer.untagged
    assert session.exists(session.select("INBOX.Sent").ok()) == 1
    assert session.body(1) == message("sent")
    session.in_step()


@ours
def test_backend_replace_that_fails_changes_nothing(world):
    """No such message or mailbox, no right, read-only, over quota, too large, malformed: nothing is asked for, nothing has changed."""
    backend, session = filled(world, 3, more='message_size = "64 KiB"')
    admin = world.at(backend, "cyrus")
    session.select("INBOX").ok()
    new = Literal(message("new"))

    def unchanged():
        assert session.command("UID SEARCH ALL").ok().of("SEARCH")[0].text == b"SEARCH 1 2 3"
    for command, code in (("REPLACE 1 INBOX.none ", "TRYCREATE"), ("UID REPLACE 7 INBOX ", "NONEXISTENT"), ("UID REPLACE 1 user.bob ", "TRYCREATE")):
        for plus in (False, True):
            answer = session.command(command, Literal(message("new"), plus)).no(code)
            assert [r for r in answer.untagged if r.tag == b"+"] == [], "it was asked for"
    for command in ("REPLACE 4 INBOX ", "REPLACE 1:2 INBOX ", "REPLACE 1,2 INBOX ", "REPLACE $ INBOX ", "REPLACE 0 INBOX ",
                    "REPLACE 1 INBOX (\\Bogus) ", "REPLACE 1 INBOX x ", "REPLACE INBOX "):
        for plus in (False, True):
            session.command(command, Literal(message("new"), plus)).bad()
        session.command("NOOP").ok()
    for command in ("REPLACE", "REPLACE 1", "REPLACE 1 INBOX", "REPLACE 1 INBOX (\\Seen)", "UID REPLACE 1 INBOX"):
        session.command(command).bad()
    session.command("REPLACE 1 INBOX ", Literal(message("big", 70_000))).no("TOOBIG")
    session.command("REPLACE 1 INBOX ", Literal(b"a NUL \0", plus=True)).no("CANNOT")
    session.command("REPLACE 1 INBOX ", Literal(b"", plus=True)).no("CANNOT")
    # one message comes, not two
    session.command("REPLACE 1 INBOX ", new, " ", Literal(message("another"), plus=True)).no("LIMIT")
    session.command("REPLACE 1 INBOX ", new, " more").bad()
    unchanged()
    # the quota is asked for the difference alone
    size = sum(len(message(f"m{n}")) for n in range(3))
    admin.command(f"SETQUOTA user.alice (STORAGE {-(-size // 1024)} MESSAGE 3)").ok()
    session.append("INBOX", message("one more")).no("OVERQUOTA")
    session.command("REPLACE 1 INBOX ", Literal(message("large", 8000))).no("OVERQUOTA")
    unchanged()
    session.command("REPLACE 1 INBOX ", new).ok()
    assert session.command("UID SEARCH ALL").ok().of("SEARCH")[0].text == b"SEARCH 2 3 4"
    # rights: t and e here, i there
    for rights, code in (("lrswie", "NOPERM"), ("lrswit", "NOPERM"), ("lrswte", "NOPERM")):
        admin.command(f"SETACL user.alice alice {rights}").ok()
        session.command("REPLACE 1 INBOX ", Literal(message("x"), plus=True)).no(code)
    admin.command("SETACL user.alice alice lrswite").ok()
    session.command("REPLACE 1 INBOX ", Literal(message("x"), plus=True)).ok()
    session.select("INBOX", "EXAMINE").ok()
    session.command("REPLACE 1 INBOX ", Literal(message("x"), plus=True)).no("READ-ONLY")
    session.command("UNSELECT").ok()
    session.command("REPLACE 1 INBOX ", Literal(message("x"), plus=True)).bad()
    session.in_step()
    stranger = world.at(backend)
    stranger.command("REPLACE 1 INBOX ", Literal(message("x"), plus=True)).bad()
    stranger.in_step()


@ours
def test_backend_replace_what_others_expunged(world):
    """A message that somebody else has removed: NO, and nothing comes."""
    backend, session = filled(world, 3)
    session.select("INBOX").ok()
    other = world.at(backend, "alice")
    other.select("INBOX").ok()
    other.command("STORE 2 +FLAGS.SILENT (\\Deleted)").ok()
    other.command("EXPUNGE").ok()
    session.command("REPLACE 2 INBOX ", Literal(message("x"), plus=True)).no("EXPUNGEISSUED")
    # while its bytes are on their way
    tag = session.tag()
    session.waiting.append(tag)
    session.send(tag + b" REPLACE 1 INBOX {%d}\r\n" % len(message("x")))
    assert session.go_ahead(tag)
    other.command("STORE 1 +FLAGS.SILENT (\\Deleted)").ok()
    other.command("EXPUNGE").ok()
    session.send(message("x") + b"\r\n")
    session.finish(tag).no("EXPUNGEISSUED")
    session.command("NOOP").ok()
    assert session.command("UID SEARCH ALL").ok().of("SEARCH")[0].text == b"SEARCH 3"


@ours
def test_backend_replace_with_qresync(world):
    """Section 4.5: as UID EXPUNGE: VANISHED, and HIGHESTMODSEQ in the reply."""
    backend, _ = filled(world, 3)
    session = enabled(world, backend)
    before = highest(session.select("INBOX").ok())
    answer = session.command("UID REPLACE 2 INBOX ", Literal(message("x"))).ok()
    assert answer.untagged[0].word == b"OK" and vanished(answer) == ["2"] and answer.of("EXPUNGE") == [], answer.untagged
    code, told = answer.code.split()
    assert code == "HIGHESTMODSEQ" and int(told) > before, answer.text
    (new,) = session.command("FETCH 3 (UID)").ok().of("FETCH")
    assert b"UID 4" in new.raw
    (new,) = session.command("FETCH 3 (MODSEQ)").ok().of("FETCH")
    assert before < modseq(new) <= int(told)
    assert highest(session.select("INBOX").ok()) == int(told)
