"""Every command beside Cyrus' own frontend: the same scripts through both, the answers compared line by line."""

import re

from imap_client import Response
from murder import ROOT
from oracle import Normaliser, compare, unexpected
from oracle_differences import DIFFERENCES
from oracle_scripts import SCRIPTS

PAGE = ROOT / "docs/protocols/against-cyrus.md"
CUT_OFF = b"cannot connect to mupdate server"


def play(world, script):
    log = world.murder.syslog()
    start = log.stat().st_size if log.exists() else 0
    try:
        compare(world, SCRIPTS[script], DIFFERENCES.get(script, []))
    except AssertionError:
        # A Cyrus backend that doesn't get through to Cyrus' master for 10 s has refused a command of the script to one side.
        if CUT_OFF not in log.read_bytes()[start:]:
            raise
        compare(world, SCRIPTS[script], DIFFERENCES.get(script, []))


def test_oracle_session(world):
    play(world, "session")


def test_oracle_select(world):
    play(world, "select")


def test_oracle_fetch(world):
    play(world, "fetch")


def test_oracle_search(world):
    play(world, "search")


def test_oracle_copy(world):
    play(world, "copy")


def test_oracle_append(world):
    play(world, "append")


def test_oracle_list(world):
    play(world, "list")


def test_oracle_status(world):
    play(world, "status")


def test_oracle_changes(world):
    play(world, "changes")


def test_oracle_acl(world):
    play(world, "acl")


def test_oracle_idle(world):
    play(world, "idle")


def test_oracle_condstore(world):
    play(world, "condstore")


def test_oracle_enable(world):
    play(world, "enable")


def test_oracle_list_extended(world):
    play(world, "list_extended")


def test_oracle_metadata(world):
    play(world, "metadata")


def test_oracle_quota(world):
    play(world, "quota")


def test_oracle_copy_across(world):
    play(world, "copy_across")


def test_oracle_modern(world):
    play(world, "modern")


def test_oracle_referrals(world):
    play(world, "referrals")


def test_oracle_admin(world):
    play(world, "admin")


# ------------------------------------------------------------- the oracle itself

SIDES = ({"{user}": "u001", "{box1}": "orc0001box1"}, {"{user}": "u002", "{box1}": "orc0002box1"})
SAID = [
    b"* 1 FETCH (FLAGS (\\Seen $x) UID 7 INTERNALDATE \" 7-Feb-2021 12:34:56 +0100\" BODY[] {12}\r\nu001 line\r\n\r\n)\r\n",
    b"* 2 FETCH (FLAGS () UID 8)\r\n",
    b"* LIST (\\HasNoChildren) \".\" user.u001.a\r\n",
    b"* OK [UIDVALIDITY 17] Ok\r\n",
    b"* STATUS orc0001box1 (MESSAGES 2 UIDVALIDITY 17 HIGHESTMODSEQ 9)\r\n",
    b"t9 OK [COPYUID 17 7:8 1:2] Completed (0.003 secs 2 calls)\r\n",
]
HARMLESS = [  # each run's own
    (b"user.u001.a", b"user.u002.a"), (b"orc0001box1", b"orc0002box1"), (b"[UIDVALIDITY 17]", b"[UIDVALIDITY 18]"),
    (b"UIDVALIDITY 17 H", b"UIDVALIDITY 18 H"), (b"COPYUID 17", b"COPYUID 18"), (b"t9 OK", b"t8 OK"), (b"0.003", b"1.2"),
]
FAULTS = {
    "UIDs that are swapped": [(b"UID 7", b"UID 9"), (b"UID 8", b"UID 7"), (b"UID 9", b"UID 8")],
    "a flag that is gone": [(b" $x", b"")],
    "flags in another order": [(b"\\Seen $x", b"$x \\Seen")],
    "a literal that is shorter": [(b"{12}\r\nu001 line\r\n\r\n", b"{11}\r\nu001 line\r\n\r")],
    "another literal of that length": [(b"u001 line", b"u002 line")],
    "a date that was given": [(b"7-Feb-2021", b"8-Feb-2021")],
    "a response that is gone": [(SAID[1], b"")],
    "another code": [(b"[COPYUID 17 ", b"[APPENDUID 17 ")],
    "a code that is gone": [(b"[COPYUID 17 7:8 1:2] ", b"")],
    "other UIDs in a code": [(b"7:8 1:2", b"7:8 2:3")],
    "another status": [(b"t9 OK", b"t9 NO")],
    "another count": [(b"MESSAGES 2", b"MESSAGES 3")],
    "another MODSEQ": [(b"HIGHESTMODSEQ 9", b"HIGHESTMODSEQ 8")],
    "another text": [(b"Completed", b"Done")],
    "an attribute that is gone": [(b"\\HasNoChildren", b"")],
    "somebody else's mailbox": [(b"user.u001.a", b"user.u003.a")],
}


def heard(side, responses):
    normalise = Normaliser(SIDES[side])
    tag = responses[-1].split(b" ")[0]
    return [normalise.line(Response(raw.split(b" ")[0], raw), tag) for raw in responses]


def changed(edits, responses=tuple(SAID)):
    for old, new in edits:
        before, responses = responses, [raw.replace(old, new) for raw in responses]
        assert list(before) != responses, f"nothing to change: {old}"
    return [raw for raw in responses if raw]


def test_oracle_normaliser_notices_what_differs(_world):
    theirs = heard(0, SAID)
    same = heard(1, changed(HARMLESS))
    assert not unexpected(["X"], [theirs], [same], []), unexpected(["X"], [theirs], [same], [])
    for fault, edits in FAULTS.items():
        assert unexpected(["X"], [theirs], [heard(0, changed(edits))], []), f"not noticed: {fault}"


def test_oracle_plays_every_command(_world):
    """What the frontend's table has, some script sends."""
    verbs = dict(re.findall(r'(\w+) = "([A-Z]+)"', (ROOT / "core/src/proto/imap/verb.rs").read_text()))
    table = re.findall(r"Verb::(\w+)", (ROOT / "proxy/src/imap/dispatch.rs").read_text())
    words = {re.sub(r"^(?:\w+> )?(?:UID )?", "", step).split(" ")[0] for script in SCRIPTS.values() for step in script}
    missing = {verbs[verb] for verb in table if verb in verbs} - words
    assert len(verbs) > 60 and not missing, f"no script has {missing}"


def test_oracle_differences_have_a_reason(_world):
    """Each key stands in the page's table, and the page has no other."""
    keys = {difference.why for listed in DIFFERENCES.values() for difference in listed}
    explained = set(re.findall(r"^\| `([a-z-]+)` \|", PAGE.read_text(), re.MULTILINE))
    assert keys == explained, f"without a reason: {keys - explained}; without a difference: {explained - keys}"
    assert set(DIFFERENCES) <= set(SCRIPTS)
