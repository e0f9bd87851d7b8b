"""ESEARCH of many mailboxes (RFC 7377) over both backends, which know nothing of it themselves (Cyrus 3.6.1)."""

import re

from crooked import DOWN, UP, Crooked
from imap_client import Literal, message, quoted
from marks import ours
from murder import IMAP


def found(answer, tag=None):
    """{mailbox: results} of ESEARCH responses; each has the command's tag and a UIDVALIDITY."""
    told = {}
    for response in answer.ok().of("ESEARCH"):
        got = re.fullmatch(rb'ESEARCH \(TAG "([^"]+)" MAILBOX ("[^"]*"|\S+) UIDVALIDITY (\d+)\) UID (.*)', response.text.strip())
        assert got and got[1] == answer.tagged.tag, response.raw
        name = got[2].strip(b'"').decode()
        assert name not in told, "one response a mailbox"
        told[name] = got[4].decode()
    return told


def site(world):
    user, there = world.user("backend1"), world.shared("backend2")
    session = world.client(user)
    for box in ("INBOX.a", "INBOX.a.b", "INBOX.a.b.c", "INBOX.other"):
        session.command("CREATE ", box).ok()
    session.command(f"CREATE {there}.sub").ok()
    for box in ("INBOX", "INBOX.a", "INBOX.a.b.c", there, f"{there}.sub"):
        for n in range(3):
            session.append(box, message(f"needle {n}" if n != 1 else "hay"), "(\\Seen)" if n == 2 else "").ok()
    return session, there


@ours
def test_esearch_of_each_source(world):
    session, there = site(world)
    assert "MULTISEARCH" in session.capabilities()
    needle = 'SUBJECT "needle"'
    search = lambda sources: found(session.command(f"ESEARCH IN ({sources}) {needle}"))
    assert search(f'mailboxes (INBOX "{there}" nosuch INBOX.other)') == {"INBOX": "ALL 1,3", there: "ALL 1,3"}
    assert set(search("subtree INBOX.a")) == {"INBOX.a", "INBOX.a.b.c"}
    assert set(search("subtree-one INBOX")) == {"INBOX", "INBOX.a"}
    assert set(search(f"subtree ({there} INBOX.a.b)")) == {there, f"{there}.sub", "INBOX.a.b.c"}
    assert set(search("personal")) == {"INBOX", "INBOX.a", "INBOX.a.b.c"}
    assert set(search("inboxes")) == {"INBOX"}
    for box in ("INBOX.a", there):
        session.command("SUBSCRIBE ", box).ok()
    assert set(search("subscribed")) == {"INBOX.a", there}
    assert set(search(f"subscribed mailboxes INBOX subtree {there}")) == {"INBOX.a", there, "INBOX", f"{there}.sub"}
    assert search("mailboxes nosuch") == {}
    session.in_step()


@ours
def test_esearch_leaves_the_selected_mailbox_alone(world):
    session, there = site(world)
    session.select(there).ok()
    session.command("STORE 1 +FLAGS (\\Deleted)").ok()
    assert found(session.command("ESEARCH IN (selected) DELETED")) == {there: "ALL 1"}
    assert found(session.command("ESEARCH UNSEEN")) == {there: "ALL 1:2"}
    assert set(found(session.command(f"ESEARCH IN (selected mailboxes INBOX) SEEN"))) == {there, "INBOX"}
    assert session.body(1) == message("needle 0")
    session.command("UNSELECT").ok()
    session.command("ESEARCH IN (selected) ALL").bad()
    session.command("ESEARCH ALL").bad()
    session.in_step()


@ours
def test_esearch_options_literals_and_errors(world):
    session, there = site(world)
    both = f"IN (mailboxes (INBOX {there}))"
    assert found(session.command(f"ESEARCH {both} RETURN (MIN MAX COUNT) UNSEEN")) == {
        "INBOX": "COUNT 2 MIN 1 MAX 2", there: "COUNT 2 MIN 1 MAX 2"}
    assert found(session.command(f"ESEARCH {both} RETURN (COUNT) SUBJECT nothing")) == {}
    for plus in (True, False):
        assert set(found(session.command(f"ESEARCH {both} SUBJECT ", Literal(b"needle", plus)))) == {"INBOX", there}
    session.command(f"ESEARCH {both} NONSENSE").must("BAD", "NO")
    session.command(f"ESEARCH {both} CHARSET X-NONE SUBJECT x").must("BAD", "NO")
    session.command(f"ESEARCH {both} RETURN (SAVE COUNT) ALL").bad()
    for wrong in ("", "IN (mailboxes INBOX)", "IN () ALL", "IN (nonsense) ALL", "IN (mailboxes) ALL", "IN (mailboxes INBOX (x)) ALL",
                  "IN (mailboxes INBOX ALL"):
        session.command("ESEARCH ", wrong).bad()
    session.command(f"ESEARCH {both} SUBJECT ", Literal(b"x\r\nt LOGOUT", True)).ok()
    session.in_step()


@ours
def test_esearch_with_a_backend_down(world):
    session, there = site(world)
    with world.without("backend2"):
        answer = session.command(f"ESEARCH IN (mailboxes (INBOX {there})) ALL")
        assert set(found(answer)) == {"INBOX"}
        assert b"[UNAVAILABLE] backend2.murder.test" in answer.of("NO")[0].raw
        session.in_step()


@ours
def test_esearch_tells_what_it_could_not_open(world):
    session, there = site(world)
    session.command("LOGOUT").ok()
    net = world.murder.net
    with Crooked((f"{net}.202", IMAP), world.murder.address("backend1")) as one:
        frontend = world.another(backend1=f"{net}.202").start()
        session = world.client(world.user("backend1"), frontend)
        session.command("CREATE INBOX.a").ok()
        missing = b"NO [UNAVAILABLE] backend1.murder.test: 1 of its mailboxes couldn't be searched"
        one.edits[UP] = lambda data: data.replace(b"EXAMINE INBOX.a\r\n", b"EXAMINE INBOX.b\r\n")
        for answer in (b"RVN NO Mailbox does not exist", b"RVN NO System I/O error"):  # the list has it, and the user may read it
            one.edits[DOWN] = lambda data: data.replace(b"RVN NO Mailbox does not exist", answer)
            told = session.command(f"ESEARCH IN (mailboxes (INBOX INBOX.a {there})) ALL").ok().of("NO")
            assert [line.text.strip() for line in told] == [missing], told
        session.in_step()
        session.command("LOGOUT").ok()


def test_proxy_search(world):
    """SEARCH at either backend, by number and by UID, with results in each form, on a mailbox that lives elsewhere."""
    session, there = site(world)
    for box in ("INBOX", there):
        session.select(box).ok()
        assert session.command("SEARCH SUBJECT needle").ok().of("SEARCH")[0].text.split()[1:] == [b"1", b"3"]
        assert session.command("UID SEARCH UNSEEN").ok().of("SEARCH")[0].text.split()[1:] == [b"1", b"2"]
        answer = session.command("SEARCH RETURN (MIN COUNT) ALL").ok()
        assert answer.of("ESEARCH")[0].text.strip() == b'ESEARCH (TAG "%s") COUNT 3 MIN 1' % answer.tagged.tag
        session.command("SEARCH TEXT ", Literal(b"body of needle 2", False)).ok()
        session.command("SEARCH NOSUCHKEY").bad()
        session.command("STORE 2 +FLAGS (\\Deleted)").ok()
        session.command("EXPUNGE").ok()
        assert session.command("UID SEARCH ALL").ok().of("SEARCH")[0].text.split()[1:] == [b"1", b"3"]
