"""What a client sends as data is never read as a command, by us or behind us; what is wrong stays one command's
affair."""

from imap_client import Literal
from marks import ours
from test_append import message

SMUGGLED = b"zz CREATE INBOX.smuggled\r\n"
# where a server expects no literal, or no end of the line
BEFORE = ["FETCH 1 ", "FETCH ", "FETCH 1 (FLAGS ", "STORE 1 ", "SORT (DATE) UTF-8 ", "UID SEARCH UID ", 'SEARCH TEXT "foo ',
          "STATUS INBOX (", "SELECT INBOX (", "APPEND INBOX (\\Seen ", 'APPEND INBOX "', "APPEND INBOX x"]


@ours
def test_a_literal_is_never_read_as_a_command(world):
    user = world.user("backend1")
    session = world.client(user)
    session.append("INBOX", message("x")).ok()
    for before in BEFORE:
        for plus in (True, False):
            session.select("INBOX").ok()
            session.command(before, Literal(SMUGGLED, plus)).must("NO", "BAD")
            session.in_step()
    names = world.at_backend("backend1", user)
    assert "INBOX.smuggled" not in names.listed(names.command('LIST "" "*"').ok())


@ours
def test_a_bad_line_ends_idle_on_both_legs(world):
    session = world.client(world.user("backend1"))
    session.select("INBOX").ok()
    for line in (b"x\0y\r\n", b"garb\nage\r\n", b"DONE\n", b"NOOP\r\n"):
        session.lenient = True
        session.send(b"i IDLE\r\n")
        assert session.response().tag == b"+"
        session.send(line)
        assert session.response().raw.startswith((b"i BAD", b"* BAD")), line
        session.poke(b"")
        session.lenient = False
        session.command("FETCH 1:* FLAGS").must("OK", "NO", "BAD")
        session.in_step()
