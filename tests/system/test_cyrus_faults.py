"""What reading the sources of Cyrus' frontend finds wrong is right here: one test for each fault.

Many of these faults show only where something else goes wrong, too: a backend that is gone, a name with a line
end in it, an extension that one backend lacks. Some are shown by tests of their commands:

| fault of Cyrus' frontend | test |
|---|---|
| ENABLE is sent to connections that are dead | `enable_passes_over_a_dead_connection` |
| UNAUTHENTICATE: backend connections keep the old user | `unauthenticate_leaves_nothing_of_the_user` (test_identity) |
| names that came as literals go into RENAME and XFER raw | `rename_and_xfer_names_are_encoded` |
| the same in GETMETADATA and SETMETADATA | `metadata_names_are_encoded` (test_metadata) |
| SELECT drops CONDSTORE | `a_command_that_turns_condstore_on_does_so_everywhere` (test_enable) |
| a connection that is open isn't told of CONDSTORE | `condstore_enabled_later_holds_at_open_connections` (test_enable) |
| no [CLOSED] where the server changes | `closed_where_the_server_changes` (test_enable) |
| UIDBATCHES ends the process | `uidbatches_is_refused` |
| XWARMUP: its arguments go to another backend than its name | `xwarmup_is_refused` |
| CATENATE deselects the mailbox that is selected | `catenate_leaves_the_selected_mailbox_selected` |
| UID REPLACE becomes REPLACE, of another message | `replace_same_backend`, `replace_across_backends` (test_across), `modern_replace_is_streamed` (test_modern_backend) |
| LIST with data of a backend that is down is short | `merged_list_with_a_backend_down` (test_list_extended) |
| the same with LIST of subscriptions: there are none | the same test |
| a backend's refusal of LIST reaches the client with a tag of the frontend's own | `a_refusal_of_lists_options_has_no_tag_of_ours` |
| LSUB with the inbox's backend down: empty, and OK | `backend_stopped` (test_faults), `a_subscription_refused_is_nowhere` |
| SUBSCRIBE with it down: written on the frontend's own disk | the same tests |
| CREATE with a bare host ends the process | `create_with_a_place` (test_admin) |
| SETACL (the backend's fault): done at the backend before the master is asked | `setacl_while_the_master_is_away` |
"""

import re

from crooked import UP, overheard
from imap_client import Literal, message, quoted
from marks import ours
from test_admin import place
from test_append import PARTS, catenated
from test_enable import enabled, items


@ours
def test_enable_passes_over_a_dead_connection(world):
    """ENABLE answers while a connection that isn't needed is lost, and holds for the one in its place."""
    user, there = world.user("backend1"), world.shared("backend2")
    with overheard(world, "backend2") as (frontend, line):
        session = world.client(user, frontend)
        session.append(there, message("x")).ok()
        session.select("INBOX").ok()
        line.refuse()
        line.reset_all()
        assert enabled(session.command("ENABLE CONDSTORE")) == {"CONDSTORE"}
        session.command(f"STATUS {there} (MESSAGES)").no("UNAVAILABLE")
        session.in_step()
        line.listen()
        session.select(there).ok()
        assert b"MODSEQ" in items(session.command("STORE 1 +FLAGS (\\Flagged)").ok().of("FETCH")[0])
        line.reset_all()
        session.select("INBOX").ok()
        assert enabled(session.command("ENABLE QRESYNC")) == {"QRESYNC"}, "a connection that was lost a moment ago"
        session.select(there).ok()
        assert line.heard.count(b" ENABLE ") >= 2
        session.command("LOGOUT").ok()


def nasty(user):
    """Names that are commands where they aren't encoded, and where a backend doesn't take a literal for one."""
    smuggled = f"x CREATE user.{user}.smuggled\r\n".encode()
    return [b'INBOX.a"\r\n' + smuggled + b'y NOOP "', b"INBOX.a\r\n" + smuggled, b'INBOX.a" "INBOX.b', b'"', b"INBOX.a\\"]


@ours
def test_rename_and_xfer_names_are_encoded(world):
    """A quote or a line end in a name stays in the name: nothing else is asked of the backend."""
    user = world.user("backend1")
    name = f"user.{user}"
    with overheard(world, "backend1", proxy='admin_actions = "proxy"') as (frontend, line):
        session, admin = world.client(user, frontend), world.client("cyrus", frontend)
        session.command("CREATE INBOX.x").ok()
        for plus in (True, False):
            for wrong in (Literal(data, plus) for data in nasty(user)):
                session.command("RENAME ", wrong, " INBOX.y").no()
                session.command("RENAME ", wrong, " ", wrong).no()
                admin.command("XFER ", wrong, " backend2.murder.test").no()
                for command in (f"XFER {name} ", f"RENAME {name} {name} ", f"CREATE {name}.new "):
                    admin.command(command, wrong).must("NO", "BAD")  # no partition is called so
                    admin.command("NOOP").ok()
            for data in nasty(user)[:2]:  # these are no names, others may be
                session.command("RENAME INBOX.x ", Literal(data, plus)).no()
        session.command("RENAME INBOX.x ", Literal(b'INBOX.a" "INBOX.b')).must("OK", "NO")
        assert b'"INBOX.a" "INBOX.b"' not in line.heard, "a name is not two"
        for conversation in (session, admin):
            conversation.in_step()
        assert not any("smuggled" in box for box in session.listed(session.command('LIST "" *').ok()))
        assert place(admin, name) == "backend1"
        session.command("LOGOUT").ok()


def refused_here(world, *commands):
    """BAD to each, with nothing and with a mailbox selected; no backend hears of it; the server lives on."""
    user, there = world.user("backend1"), world.shared("backend2")
    with overheard(world, "backend1") as (frontend, line):
        session = world.client(user, frontend)
        session.append("INBOX", message("x")).ok()
        for box in (None, "INBOX", there):
            if box:
                session.select(box).ok()
            line.heard = b""
            for command in commands:
                session.command(*command).bad()
                session.command("NOOP").ok()
            verb = commands[0][0].split()[0].encode()
            assert verb not in line.heard and b"INBOX" not in line.heard, line.heard
            assert verb.decode() not in session.capabilities()
        session.select("INBOX").ok()
        assert session.body(1) == message("x")
        session.in_step()
        session.command("LOGOUT").ok()


@ours
def test_uidbatches_is_refused(world):
    refused_here(world, ("UIDBATCHES 2000",), ("UIDBATCHES 500 1:4",), ("UIDBATCHES",), ("UIDBATCHES ", Literal(b"5", True)))


@ours
def test_xwarmup_is_refused(world):
    refused_here(world, ("XWARMUP INBOX (index)",), ("XWARMUP ", Literal(b"INBOX"), " (index)"),
                 ("XWARMUP INBOX uids 1 (", Literal(b"x LOGOUT\r\n", True), ")"))


@ours
def test_catenate_leaves_the_selected_mailbox_selected(world):
    """Parts out of other mailboxes, at the selected mailbox's server and elsewhere, taken and refused."""
    user, near, far = world.user("backend1"), world.shared("backend1"), world.shared("backend2")
    session = world.client(user)
    for box in ("INBOX", near, far):
        session.append(box, message(f"in {box}", 3000)).ok()
    session.select("INBOX").ok()
    url = "/{}/;UID=1/;SECTION=TEXT"
    for target, source in ((near, near), ("INBOX", near), (near, "INBOX"), (far, far), ("INBOX", "INBOX")):
        catenated(session, target, PARTS, url.format(source)).ok()
        assert session.body(1) == message("in INBOX", 3000), (target, source)
    for target, source in ((far, near), (near, far), (near, "nosuch")):
        catenated(session, target, PARTS, url.format(source)).no("BADURL")
        session.command("FETCH 1 FLAGS").ok()
    session.command("NOOP").ok()
    session.command("STORE 1:3 +FLAGS (\\Flagged)").ok()
    assert len(session.command("FETCH 1:* FLAGS").ok().of("FETCH")) == 3
    session.in_step()


@ours
def test_a_refusal_of_lists_options_has_no_tag_of_ours(world):
    """A backend that announces LIST's options and then doesn't know them: what it says is no response of the client's."""
    user, there = world.user("backend1"), world.shared("backend2")
    with overheard(world, "backend2") as (frontend, line):
        session = world.client(user, frontend)
        session.append(there, message("x")).ok()
        line.edits[UP] = lambda data: re.sub(rb"^(\S+) LIST [^\r]*", rb"\1 NONSENSE", line.listen_in(data), flags=re.M)
        for box in ("INBOX", there):
            session.select(box).ok()
            for options in ("STATUS (MESSAGES)", "SPECIAL-USE", "METADATA (/private/comment)"):
                answer = session.command(f'LIST "" * RETURN ({options})').ok()  # a response with another tag fails here
                told = [response.text for response in answer.of("NO")]
                assert len(told) == 1 and told[0].startswith(b"NO [UNAVAILABLE] backend2.murder.test"), (options, told)
                assert {"INBOX", there} <= set(session.listed(answer)), "all names are there"
                assert not any(b"PROXY" in response.raw or b"RVN" in response.raw for response in answer.untagged)
            session.command('LIST (SPECIAL-USE) "" *').no("UNAVAILABLE")
            session.in_step()
        assert b"RETURN" in line.heard
        session.command("LOGOUT").ok()


@ours
def test_a_subscription_refused_is_nowhere(world):
    """SUBSCRIBE with the inbox's backend down is NO, and neither this frontend nor another one knows of it afterwards."""
    user, old, new = world.user("backend1"), world.shared("backend2"), world.shared("backend2")
    session = world.client(user)
    session.command(f"SUBSCRIBE {old}").ok()
    with world.without("backend1"):
        session.command(f"SUBSCRIBE {new}").no("UNAVAILABLE")
        session.command(f"UNSUBSCRIBE {old}").no("UNAVAILABLE")
        assert not session.command('LSUB "" *').no("UNAVAILABLE").untagged
        session.in_step()
    for each in (session, world.client(user, world.another(account="frontend3").start())):
        assert set(each.listed(each.command('LSUB "" *').ok(), "LSUB")) == {old}
        assert set(each.listed(each.command('LIST (SUBSCRIBED) "" *').ok())) == {old}
    session.command(f"SUBSCRIBE {new}").ok()
    assert set(session.listed(session.command('LSUB "" *').ok(), "LSUB")) == {old, new}


def acl_of(session, box):
    return session.command("GETACL ", quoted(box)).ok().of("ACL")[0].tree()[2:]


@ours
def test_setacl_while_the_master_is_away(world):
    """NO, and nothing has changed: not at the frontend, not at the backend, and not when the master is back."""
    user, friend = world.user("backend1"), world.user("backend2")
    session, other = world.client(user), world.client(friend)
    name = f"user.{user}"
    session.command(f"SETACL INBOX {friend} lr").ok()
    before = acl_of(session, "INBOX")
    session.select("INBOX").ok()
    with world.without("mupdate"):
        session.command(f"SETACL INBOX {friend} lrswipkxte").no("UNAVAILABLE")
        session.command("SETACL INBOX anyone lrs").no("UNAVAILABLE")
        session.command(f"DELETEACL INBOX {friend}").no("UNAVAILABLE")
        assert acl_of(session, "INBOX") == before
        other.select(name).ok()
        other.append(name, message("may not")).no()
        assert acl_of(world.at_backend("backend1", user), "INBOX") == before, "half done at the backend"
        session.in_step()
    assert acl_of(session, "INBOX") == before
    session.command(f"SETACL INBOX {friend} lrsi").ok()
    assert [friend.encode(), b"lrsi"] == acl_of(session, "INBOX")[-2:]
    other.append(name, message("may")).ok()
