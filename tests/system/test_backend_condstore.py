"""CONDSTORE at the backend (RFC 7162 section 3.1), by the RFC's examples."""

import re

from imap_client import message
from marks import ours


def modseq(response):
    return int(re.search(rb"MODSEQ \((\d+)\)", response.raw).group(1))


def highest(answer):
    return next(int(found.group(1)) for r in answer.untagged if (found := re.search(rb"\[HIGHESTMODSEQ (\d+)\]", r.raw)))


def filled(world, count=7, **more):
    backend = world.a_backend(**more)
    session = world.at(backend, "alice")
    for number in range(count):
        session.append("INBOX", message(f"m{number}")).ok()
    return backend, session


@ours
def test_backend_condstore_is_told_once_it_is_asked_for(world):
    """Sections 3.1.2 and 3.1.8: HIGHESTMODSEQ at SELECT and STATUS; MODSEQ in FETCH responses once a command has turned it on."""
    backend, session = filled(world)
    assert highest(session.select("INBOX").ok()) == highest(session.select("INBOX", "EXAMINE").ok()) >= 7
    session.select("INBOX").ok()
    assert b"MODSEQ" not in session.command("STORE 1 +FLAGS (a)").ok().of("FETCH")[0].raw
    others = {
        "ENABLE CONDSTORE": None, "SELECT INBOX (CONDSTORE)": None, "STATUS INBOX (HIGHESTMODSEQ)": None, "FETCH 1 (MODSEQ)": None,
        "FETCH 1 (FLAGS) (CHANGEDSINCE 1)": None, "SEARCH MODSEQ 1": None, "STORE 1 (UNCHANGEDSINCE 1) +FLAGS (b)": None, "ENABLE QRESYNC": None}
    for n, command in enumerate(others):
        aware = world.at(backend, "alice")
        before = aware.select("INBOX").ok()
        answer = aware.command(command).ok()
        assert highest(answer) >= highest(before), (command, answer.untagged)
        session.command(f"STORE 2 +FLAGS (k{n})").ok()
        (told,) = aware.command("NOOP").ok().of("FETCH")
        assert b"UID 2" in told.raw and modseq(told) > highest(before), (command, told.raw)
        aware.close()
    (status,) = session.command("STATUS INBOX (HIGHESTMODSEQ)").ok().of("STATUS")
    assert int(status.tree()[2][1]) == highest(session.select("INBOX").ok())
    (enabled,) = session.command("ENABLE CONDSTORE X-NOSUCH").ok().of("ENABLED")
    assert enabled.text == b"ENABLED CONDSTORE"
    for wrong in ("SELECT INBOX ()", "SELECT INBOX (NOSUCH)", "SELECT INBOX (CONDSTORE", "SELECT INBOX (QRESYNC (1 1))", "FETCH 1 FLAGS (CHANGEDSINCE)",
                  "STORE 1 (UNCHANGEDSINCE x) +FLAGS (a)", "UID FETCH 1 FLAGS (CHANGEDSINCE 1 VANISHED)"):
        session.command(wrong).bad()
    session.command("NOOP").ok()
    session.in_step()


@ours
def test_backend_condstore_store_unchangedsince(world):
    """Section 3.1.3: what others have changed is left alone and named; .SILENT tells the new modseq alone."""
    backend, session = filled(world)
    other = world.at(backend, "alice")
    other.select("INBOX").ok()
    session.command("SELECT INBOX (CONDSTORE)").ok()
    begin = modseq(session.command("FETCH 7 (MODSEQ)").ok().of("FETCH")[0])
    other.command("UID STORE 5 +FLAGS (\\Flagged)").ok()
    answer = session.command(f"STORE 7,5,6 (UNCHANGEDSINCE {begin}) +FLAGS.SILENT (\\Deleted)").ok()
    assert answer.code == "MODIFIED 5", answer.text
    told = {int(r.text.split()[0]): r for r in answer.of("FETCH")}
    assert modseq(told[7]) == modseq(told[6]) > modseq(told[5]) > begin, answer.untagged
    assert b"FLAGS" not in told[7].raw and b"\\Deleted" not in told[5].raw, answer.untagged
    answer = session.command(f"UID STORE 1:7 (UNCHANGEDSINCE {begin}) FLAGS (\\Seen)").ok()
    assert answer.code == "MODIFIED 5:7", answer.text
    assert {int(r.text.split()[0]) for r in answer.of("FETCH")} == {1, 2, 3, 4}
    assert all(b"\\Seen" in r.raw and b"UID" in r.raw and modseq(r) for r in answer.of("FETCH"))
    # example 9: none can be older than the beginning
    assert session.command("STORE 1 (UNCHANGEDSINCE 0) +FLAGS.SILENT (x)").ok().code == "MODIFIED 1"
    # flags that are so already are no change
    before = modseq(session.command("FETCH 1 (MODSEQ)").ok().of("FETCH")[0])
    assert session.command("STORE 1 +FLAGS.SILENT (\\Seen)").ok().of("FETCH") == []
    assert modseq(session.command("FETCH 1 (MODSEQ)").ok().of("FETCH")[0]) == before
    # only what is asked for is read, and reading sets \Seen: that is a change, of these alone
    since = highest(session.select("INBOX").ok())
    other.command("STORE 6 +FLAGS (y)").ok()
    answer = session.command(f"FETCH 1:* (BODY[]) (CHANGEDSINCE {since})").ok()
    assert [int(r.text.split()[0]) for r in answer.of("FETCH")] == [6], answer.untagged
    assert b"\\Seen" not in session.command("FETCH 7 FLAGS").ok().of("FETCH")[0].raw


@ours
def test_backend_condstore_store_with_part_of_the_rights(world):
    """RFC 4314 section 4: FLAGS replaces what the user may change, by one change with one modseq; and none of it where others were quicker."""
    backend, owner = filled(world, 3)
    owner.command("SETACL INBOX bob lrw").ok()
    owner.select("INBOX").ok()
    owner.command("STORE 1:3 FLAGS (\\Seen \\Deleted \\Flagged old)").ok()
    other = world.at(backend, "bob")
    since = highest(other.command("SELECT user.alice (CONDSTORE)").ok())
    owner.command("STORE 2 +FLAGS (mine)").ok()
    answer = other.command(f"STORE 1:3 (UNCHANGEDSINCE {since}) FLAGS (\\Answered new)").ok()
    assert answer.code == "MODIFIED 2", answer.text
    told = {int(r.text.split()[0]): r for r in answer.of("FETCH")}
    assert modseq(told[1]) == modseq(told[3]) == since + 2, answer.untagged
    flags = {int(r.text.split()[0]): set(r.tree()[2][1]) - {b"\\Recent"} for r in owner.command("FETCH 1:3 FLAGS").ok().of("FETCH")}
    assert flags[1] == flags[3] == {b"\\Seen", b"\\Deleted", b"\\Answered", b"new"}, flags
    assert flags[2] == {b"\\Seen", b"\\Deleted", b"\\Flagged", b"old", b"mine"}, flags
    other.command("STORE 1 FLAGS (\\Seen)").no("NOPERM")
    owner.command("SETACL INBOX bob lrst").ok()
    other.command("SELECT user.alice").ok()
    other.command("STORE 1 FLAGS ()").ok()
    left = owner.command("FETCH 1 FLAGS").ok().of("FETCH")[-1]
    assert set(left.tree()[2][1]) - {b"\\Recent"} == {b"\\Answered", b"new"}, left.raw


@ours
def test_backend_condstore_search(world):
    """Sections 3.1.5 and 3.1.10: the highest modseq of what is found; with MIN or MAX alone, theirs."""
    _, session = filled(world)
    session.command("SELECT INBOX (CONDSTORE)").ok()
    session.command("STORE 2 +FLAGS.SILENT (\\Flagged)").ok()
    session.command("STORE 4 +FLAGS.SILENT (\\Draft)").ok()
    session.command("STORE 3 +FLAGS.SILENT (\\Flagged)").ok()
    of = {n: modseq(session.command(f"FETCH {n} (MODSEQ)").ok().of("FETCH")[0]) for n in (2, 3, 4)}
    assert of[2] < of[4] < of[3]

    def found(command, word="SEARCH"):
        return session.command(command).ok().of(word)[0].text.decode().replace(session_tag(), "TAG")

    def session_tag():
        return f"t{session.count}"
    assert found(f"SEARCH MODSEQ {of[2]}") == f"SEARCH 2 3 4 (MODSEQ {of[3]})"
    assert found(f'SEARCH MODSEQ "/flags/\\\\draft" all {of[4]}') == f"SEARCH 3 4 (MODSEQ {of[3]})"
    assert found(f"SEARCH OR NOT MODSEQ {of[4]} DRAFT NOT 5:7 NOT 1") == f"SEARCH 2 4 (MODSEQ {of[4]})"
    assert found(f"SEARCH MODSEQ {of[3] + 1}") == "SEARCH"
    assert found("SEARCH FLAGGED") == "SEARCH 2 3"
    extended = f"RETURN (%s) MODSEQ {of[2]} NOT 3"
    for what, told in {"MIN": f"MIN 2 MODSEQ {of[2]}", "MAX": f"MAX 4 MODSEQ {of[4]}", "MIN MAX": f"MIN 2 MAX 4 MODSEQ {of[4]}",
                       "COUNT": f"COUNT 2 MODSEQ {of[4]}", "ALL": f"ALL 2,4 MODSEQ {of[4]}"}.items():
        assert found("SEARCH " + extended % what, "ESEARCH") == f'ESEARCH (TAG "TAG") {told}'
    assert found(f"SEARCH RETURN (COUNT) MODSEQ {of[3] + 1}", "ESEARCH") == 'ESEARCH (TAG "TAG") COUNT 0'


@ours
def test_backend_condstore_modseqs_grow_over_a_kill(world):
    """Whatever modseq was told, the next change has a higher one, also after kill -9."""
    backend, session = filled(world, 3)
    session.command("SELECT INBOX (CONDSTORE)").ok()
    told = 0
    for turn in range(3):
        for n in range(5):
            (fetched,) = session.command(f"STORE 1 {'+-'[n % 2]}FLAGS (t{turn})").ok().of("FETCH")
            assert modseq(fetched) > told, (turn, fetched.raw)
            told = modseq(fetched)
        backend.kill()
        backend.start()
        session = world.at(backend, "alice")
        assert highest(session.command("SELECT INBOX (CONDSTORE)").ok()) >= told
