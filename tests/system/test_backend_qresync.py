"""QRESYNC at the backend (RFC 7162 section 3.2), by the RFC's examples."""

import re

from imap_client import message
from marks import ours
from murder import poll
from test_backend_operator import ctl
from test_backend_condstore import filled, highest, modseq


def vanished(answer):
    return [r.text.decode().removeprefix("VANISHED ") for r in answer.of("VANISHED")]


def validity(answer):
    return next(found.group(1).decode() for r in answer.untagged if (found := re.search(rb"\[UIDVALIDITY (\d+)\]", r.raw)))


def enabled(world, backend):
    session = world.at(backend, "alice")
    (said,) = session.command("ENABLE QRESYNC").ok().of("ENABLED")
    assert said.text == b"ENABLED QRESYNC"
    return session


@ours
def test_backend_qresync_select(world):
    """Section 3.2.5: what has gone and changed since, of what the client has; nothing where UIDVALIDITY is another."""
    backend, other = filled(world, 10)
    other.select("INBOX").ok()
    session = enabled(world, backend)
    selected = session.select("INBOX").ok()
    uidvalidity, since = validity(selected), highest(selected)
    session.command("UNSELECT").ok()
    other.command("STORE 2:4,9,10 +FLAGS.SILENT (\\Deleted)").ok()
    other.command("EXPUNGE").ok()
    other.command("UID STORE 6 +FLAGS (\\Flagged)").ok()
    other.append("INBOX", message("new")).ok()

    def again(rest, *, matched=uidvalidity):
        return session.command(f"SELECT INBOX (QRESYNC ({matched} {rest}))").ok()
    answer = again(since)
    assert vanished(answer) == ["(EARLIER) 2:4,9:10"], answer.untagged
    changed = {int(re.search(rb"UID (\d+)", r.raw).group(1)): r for r in answer.of("FETCH")}
    assert set(changed) == {6, 11} and b"\\Flagged" in changed[6].raw, answer.untagged
    assert modseq(changed[6]) > since and highest(answer) >= modseq(changed[11])
    assert session.exists(answer) == 6
    words = [r.word for r in answer.untagged]
    assert words.index(b"VANISHED") < words.index(b"FETCH"), words
    # only what is known
    answer = again(f"{since} 1:3,7")
    assert vanished(answer) == ["(EARLIER) 2:3"] and answer.of("FETCH") == [], answer.untagged
    # numbers that still are so: up to UID 1 the client has what there is; 2 was UID 2, and is UID 5
    answer = again(f"{since} 1:10 (1,2 1,2)")
    assert vanished(answer) == ["(EARLIER) 2:4,9:10"], answer.untagged
    answer = again(f"{since} 1:10 (1:5 1,5:8)")
    assert vanished(answer) == ["(EARLIER) 9:10"], answer.untagged
    # another mailbox of the name: all anew
    answer = again(since, matched=int(uidvalidity) + 1)
    assert vanished(answer) == answer.of("FETCH") == [], answer.untagged
    assert any(b"[CLOSED]" in r.raw for r in answer.untagged), answer.untagged
    # nothing since
    assert again(f"{highest(answer)} 1,5:8").of("FETCH") == []
    session.in_step()


@ours
def test_backend_qresync_expunge(world):
    """Sections 3.2.7 to 3.2.10: VANISHED for EXPUNGE, and HIGHESTMODSEQ in the reply; others as they are used to it."""
    backend, other = filled(world, 8)
    other.command("CREATE INBOX.x").ok()
    other.select("INBOX").ok()
    session = enabled(world, backend)
    before = highest(session.select("INBOX").ok())
    session.command("STORE 3,4,7 +FLAGS.SILENT (\\Deleted)").ok()
    answer = session.command("EXPUNGE").ok()
    assert vanished(answer) == ["3:4,7"] and answer.of("EXPUNGE") == [], answer.untagged
    (code, told) = answer.code.split()
    assert code == "HIGHESTMODSEQ" and int(told) > before, answer.text
    assert sorted(r.text for r in other.command("NOOP").ok().of("EXPUNGE")) == [b"3 EXPUNGE", b"4 EXPUNGE", b"7 EXPUNGE"]
    assert session.command("EXPUNGE").ok().code == ""
    answer = session.command("UID MOVE 5 INBOX.x").ok()
    assert [r.word for r in answer.untagged] == [b"OK", b"VANISHED"] and vanished(answer) == ["5"], answer.untagged
    assert answer.code.split()[0] == "HIGHESTMODSEQ"
    # numbers in use: what others expunge waits
    other.command("STORE 1 +FLAGS.SILENT (\\Deleted)").ok()
    other.command("EXPUNGE").ok()
    assert vanished(session.command("FETCH 1:2 (UID)").ok()) == []
    assert vanished(session.command("NOOP").ok()) == ["1"]
    # unsolicited: UID and MODSEQ
    other.command("STORE 1 +FLAGS (a)").ok()
    (told,) = session.command("NOOP").ok().of("FETCH")
    assert b"UID 2" in told.raw and modseq(told) > before
    session.command("STORE 1 +FLAGS.SILENT (\\Deleted)").ok()
    answer = session.command("CLOSE").ok()
    assert answer.untagged == [] and answer.code.startswith("HIGHESTMODSEQ"), answer.text
    assert highest(session.select("INBOX").ok()) == int(answer.code.split()[1])


@ours
def test_backend_qresync_fetch_vanished(world):
    """Section 3.2.6: UID FETCH 300:500 (FLAGS) (CHANGEDSINCE 12345 VANISHED)."""
    backend, other = filled(world, 10)
    other.select("INBOX").ok()
    since = highest(other.select("INBOX").ok())
    other.command("STORE 2,4:6,10 +FLAGS.SILENT (\\Deleted)").ok()
    other.command("EXPUNGE").ok()
    other.command("UID STORE 7 +FLAGS.SILENT (x)").ok()
    session = enabled(world, backend)
    session.select("INBOX").ok()
    answer = session.command(f"UID FETCH 3:9 (FLAGS) (CHANGEDSINCE {since} VANISHED)").ok()
    assert [r.word for r in answer.untagged] == [b"VANISHED", b"FETCH"], answer.untagged
    assert vanished(answer) == ["(EARLIER) 4:6"] and b"UID 7" in answer.of("FETCH")[0].raw
    # to the last one that ever was, also where that is gone
    assert vanished(session.command(f"UID FETCH 1:* (FLAGS) (CHANGEDSINCE {since} VANISHED)").ok()) == ["(EARLIER) 2,4:6,10"]
    for wrong in ("UID FETCH 1:* (FLAGS) (VANISHED)", f"FETCH 1:* (FLAGS) (CHANGEDSINCE {since} VANISHED)"):
        session.command(wrong).bad()
    empty = session.command("CREATE INBOX.empty").ok()
    assert empty and session.select("INBOX.empty").ok()
    assert session.command("UID FETCH 1:* (FLAGS) (CHANGEDSINCE 1 VANISHED)").ok().untagged == []


@ours
def test_backend_qresync_after_a_purge(world):
    """What is gone is told, also where its record is gone, too."""
    backend, other = filled(world, 6)
    other.select("INBOX").ok()
    selected = other.select("INBOX").ok()
    other.command("STORE 2:3 +FLAGS.SILENT (\\Deleted)").ok()
    other.command("EXPUNGE").ok()
    # its second has to be over
    poll("the purge", 10, lambda: ctl(backend, "purge", "--older-than", "0") == "purged 2 messages\n")
    session = enabled(world, backend)
    answer = session.command(f"SELECT INBOX (QRESYNC ({validity(selected)} {highest(selected)}))").ok()
    assert vanished(answer) == ["(EARLIER) 2:3"], answer.untagged
