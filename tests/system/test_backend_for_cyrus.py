"""What a Cyrus frontend says to a backend and no RFC has: LOCALAPPEND, Rfc822.peek, GETANNOTATION, XLIST, the free space."""

import re

from imap_client import Literal, message
from marks import ours

FREE = "/shared/vendor/cmu/cyrus-imapd/freespace/total"


def with_inbox(world):
    session = world.at(world.a_backend(), "alice")
    session.append("INBOX", message("one")).ok()
    return session


@ours
def test_localappend_is_an_append(world):
    session = with_inbox(world)
    name, none = Literal(b"INBOX", True), Literal(b"", True)
    assert session.command("Localappend ", name, ' "" (\\Seen) ', Literal(message("two"), True)).ok().code.startswith("APPENDUID ")
    waits = Literal(message("three"))
    session.command("LOCALAPPEND INBOX ", none, ' () " 7-Feb-2021 12:34:56 +0100" ', waits).ok()
    session.command("LOCALAPPEND ", Literal(b"INBOX"), " ", Literal(b"INBOX"), " ", Literal(message("four"), True), " () ", Literal(message("five"))).ok()
    assert session.exists(session.select("INBOX").ok()) == 5
    assert [session.body(n) for n in range(1, 6)] == [message(word) for word in ("one", "two", "three", "four", "five")]
    session.command('LOCALAPPEND nosuch "" ', Literal(message("lost"), True)).no("TRYCREATE")
    session.command("LOCALAPPEND INBOX ", Literal(message("lost"), True)).bad()
    session.command('LOCALAPPEND INBOX "" (\\Seen)').bad()
    session.command('LOCALAPPEND "INBOX "" ', Literal(message("lost"), True)).bad()
    session.in_step()
    assert session.exists(session.select("INBOX").ok()) == 5


@ours
def test_localappend_names_the_mailbox_that_relative_urls_mean(world):
    session = with_inbox(world)
    session.command("CREATE INBOX.other").ok()

    def put(selected, url):
        return session.command(f'LOCALAPPEND INBOX.other "{selected}" CATENATE (URL "{url}" TEXT ', Literal(b"more\r\n", True), ")")
    put("INBOX", "/;UID=1").no("BADURL")
    put("INBOX", ";UID=1").ok()
    put("", ";UID=1").no("BADURL")
    put("user.bob", ";UID=1").no("BADURL")  # another backend's, or nobody's
    session.select("INBOX.other").ok()
    put("", ";UID=1").no("BADURL")  # what is selected here doesn't count: the client is another server's
    assert session.body(1) == message("one") + b"more\r\n"
    session.in_step()


@ours
def test_localappend_before_login(world):
    session = world.at(world.a_backend())
    session.command('LOCALAPPEND INBOX "" ', Literal(message("lost"), True)).must("NO", "BAD")
    session.command("NOOP").ok()


@ours
def test_rfc822_peek_leaves_a_message_unseen(world):
    session = with_inbox(world)
    session.select("INBOX").ok()
    (answer,) = session.command("Fetch 1 (Rfc822.peek)").ok().of("FETCH")
    assert answer.tree()[2] == [b"RFC822", message("one")], answer.raw
    assert b"\\Seen" not in session.command("FETCH 1 (FLAGS)").ok().of("FETCH")[0].raw
    (answer,) = session.command("FETCH 1 (RFC822)").ok().of("FETCH")
    assert answer.tree()[2][:2] == [b"RFC822", message("one")] and b"\\Seen" in answer.raw, answer.raw


@ours
def test_metadata_in_the_words_of_cyrus(world):
    session = with_inbox(world)
    session.command('SETMETADATA "INBOX" (/private/comment hello)').ok()
    (answer,) = session.command('GETANNOTATION "INBOX" (/private/comment)').ok().of("METADATA")
    assert answer.tree()[1:] == [b"INBOX", [b"/private/comment", b"hello"]], answer.raw
    session.command('GETANNOTATION "INBOX" "/comment" "value.priv"').bad()
    session.command('SETMETADATA "INBOX" (/private/comment NIL)').ok()
    (answer,) = session.command("GETMETADATA INBOX /private/comment").ok().of("METADATA")
    assert answer.tree()[2] == [b"/private/comment", None], answer.raw


@ours
def test_the_free_space_is_told(world):
    session = with_inbox(world)
    (answer,) = session.command(f'GETMETADATA "" ("{FREE}")').ok().of("METADATA")
    entry, value = answer.tree()[2]
    free, everything = map(int, re.fullmatch(rb"(\d+);(\d+)", value).groups())
    assert entry.decode() == FREE and 0 < free <= everything, answer.raw
    assert b"NIL" in session.command(f'GETMETADATA INBOX ("{FREE}")').ok().of("METADATA")[0].raw


@ours
def test_xlist(world):
    session = with_inbox(world)
    session.command("CREATE INBOX.Sent (USE (\\Sent))").ok()
    found = session.listed(session.command('Xlist {0+}\r\n {1+}\r\n*').ok(), "XLIST")
    assert found == {"INBOX": {"\\haschildren", "\\inbox"}, "INBOX.Sent": {"\\hasnochildren", "\\sent"}}, found
    assert session.command('XLIST "" ""').ok().of("XLIST")[0].tree()[1:] == [[b"\\Noselect"], b".", b""]


@ours
def test_list_tells_annotations_along(world):
    """LIST-METADATA (RFC 9590)."""
    session = with_inbox(world)
    assert "LIST-METADATA" in session.capabilities()
    session.command("CREATE INBOX.a").ok()
    session.command('SETMETADATA INBOX.a (/shared/comment "here" /private/vendor/x/y "deep")').ok()

    def told(options):
        answer = session.command('LIST "" "*" RETURN (', options, ")").ok()
        assert set(session.listed(answer)) == {"INBOX", "INBOX.a"}, answer
        return {line.tree()[1]: line.tree()[2] for line in answer.of("METADATA")}
    assert told("METADATA (/shared/comment)") == {b"INBOX": [b"/shared/comment", None], b"INBOX.a": [b"/shared/comment", b"here"]}
    assert told("METADATA (DEPTH infinity) (/private) CHILDREN") == {b"INBOX.a": [b"/private/vendor/x/y", b"deep"]}
    assert told("STATUS (MESSAGES)") == {}
    session.command('LIST "" "*" RETURN (METADATA (/nonsense))').bad()
    session.in_step()
