"""Everything inside a mailbox: on both backends, switching between them, and passed through untouched."""

from imap_client import Literal, message, quoted
from marks import ours


def filled(world, session, mailbox, *subjects):
    for subject in subjects:
        session.append(mailbox, message(subject)).ok()


def subjects(session):
    """The messages of the selected mailbox by their subjects."""
    found = []
    for response in session.command("FETCH 1:* (BODY.PEEK[HEADER.FIELDS (SUBJECT)])").ok().of("FETCH"):
        found.append(response.tree()[2][-1].strip().removeprefix(b"Subject: ").decode())
    return found


def facts(answer):
    """What SELECT says, but for what differs from session to session."""
    return sorted(r.raw for r in answer.untagged if r.word not in (b"RECENT",))


def test_select_and_examine_on_both_backends(world):
    user, box = world.user("backend1"), world.shared("backend2")
    session = world.client(user)
    for name, backend in (("INBOX", "backend1"), (box, "backend2")):
        filled(world, session, name, "one", "two")
        direct = facts(world.at_backend(backend, user).select(name).ok())
        answer = session.select(name).ok()
        assert answer.code == "READ-WRITE", answer.text
        assert session.exists(answer) == 2
        assert facts(answer) == direct
        examined = session.select(name, "EXAMINE").ok()
        assert examined.code == "READ-ONLY", examined.text
        session.command("STORE 1 +FLAGS (\\Seen)").must("NO", "BAD")
        session.in_step()


def test_select_spelled_in_every_way(world):
    user = world.user("backend1")
    box = world.shared("backend2")
    session = world.client(user)
    for name in ("INBOX", "inbox", quoted("InBox"), Literal(b"INBOX"), Literal(b"iNBOX", plus=True),
                 box, quoted(box), Literal(box.encode()), Literal(box.encode(), plus=True)):
        assert session.command("SELECT ", name).ok().code == "READ-WRITE"
        session.command("sElEcT ", name).ok()
    session.command("SELECT INBOX (CONDSTORE)").ok()
    session.in_step()


def test_switching_between_backends(world):
    user, box = world.user("backend1"), world.shared("backend2")
    session = world.client(user)
    filled(world, session, "INBOX", "in")
    filled(world, session, box, "out1", "out2")
    for _ in range(5):
        session.select("INBOX").ok()
        assert subjects(session) == ["in"]
        session.select(box).ok()
        assert subjects(session) == ["out1", "out2"]
    session.in_step()


def test_a_failed_select_leaves_nothing_selected(world):
    session = world.client(world.user())
    session.select("INBOX").ok()
    session.select("nosuch").no()
    session.command("FETCH 1:* FLAGS").bad()
    session.command("CLOSE").bad()
    session.in_step()


def test_nothing_selected(world):
    session = world.client(world.user())
    for command in ("FETCH 1 FLAGS", "STORE 1 +FLAGS (\\Seen)", "SEARCH ALL", "EXPUNGE", "CHECK", "CLOSE",
                    "UNSELECT", "COPY 1 INBOX", "UID FETCH 1 FLAGS", "UID EXPUNGE 1", "SORT (DATE) UTF-8 ALL"):
        session.command(command).bad()
        session.command("NOOP").ok()
    session.in_step()


def test_fetch_store_search_expunge(world):
    user, box = world.user("backend1"), world.shared("backend2")
    session = world.client(user)
    for name in ("INBOX", box):
        filled(world, session, name, "one", "two", "three")
        session.select(name).ok()
        assert subjects(session) == ["one", "two", "three"]
        assert session.body(2) == message("two")
        stored = session.command("STORE 2 +FLAGS (\\Flagged $Label)").ok().of("FETCH")
        assert b"\\Flagged" in stored[0].raw and b"$Label" in stored[0].raw
        assert session.command("SEARCH FLAGGED").ok().of("SEARCH")[0].text == b"SEARCH 2"
        session.command("STORE 1 +FLAGS.SILENT (\\Deleted)").ok()
        assert [r.text for r in session.command("EXPUNGE").ok().of("EXPUNGE")] == [b"1 EXPUNGE"]
        assert subjects(session) == ["two", "three"]
        session.command("CHECK").ok()
        session.in_step()


def test_search_with_literals(world):
    user, box = world.user("backend1"), world.shared("backend2")
    session = world.client(user)
    for name in ("INBOX", box):
        filled(world, session, name, "needle", "hay")
        session.select(name).ok()
        for plus in (False, True):
            answer = session.command("SEARCH SUBJECT ", Literal(b"needle", plus), " BODY ", Literal(b"body of", plus))
            assert answer.ok().of("SEARCH")[0].text == b"SEARCH 1"
            answer = session.command("UID SEARCH CHARSET UTF-8 SUBJECT ", Literal("höy".encode(), plus)).ok()
            assert answer.of("SEARCH")[0].text == b"SEARCH"
        session.in_step()


def test_sort_thread_esearch(world):
    session = world.client(world.user())
    filled(world, session, "INBOX", "b", "a", "c")
    session.select("INBOX").ok()
    capabilities = session.capabilities()
    if "SORT" in capabilities:
        assert session.command("SORT (SUBJECT) UTF-8 ALL").ok().of("SORT")[0].text == b"SORT 2 1 3"
    if "THREAD=REFERENCES" in capabilities:
        assert session.command("THREAD REFERENCES UTF-8 ALL").ok().of("THREAD")
    if "ESEARCH" in capabilities:
        tag = session.start("SEARCH RETURN (COUNT) ALL", tag=b"mine7")
        found = session.finish(tag).ok().of("ESEARCH")[0].raw
        assert b'(TAG "mine7")' in found and b"COUNT 3" in found, found
    session.in_step()


def test_uid_commands(world):
    session = world.client(world.user())
    filled(world, session, "INBOX", "one", "two", "three")
    session.select("INBOX").ok()
    assert session.command("UID SEARCH ALL").ok().of("SEARCH")[0].text == b"SEARCH 1 2 3"
    assert b"UID 2" in session.command("UID FETCH 2 (FLAGS)").ok().of("FETCH")[0].raw
    session.command("UID STORE 1,3 +FLAGS (\\Deleted)").ok()
    assert [r.text for r in session.command("UID EXPUNGE 3").ok().of("EXPUNGE")] == [b"3 EXPUNGE"]
    assert session.body(2, uid=True) == message("two")
    session.command("UID NOSUCH 1").bad()
    session.in_step()


def test_close_and_unselect(world):
    session = world.client(world.user())
    filled(world, session, "INBOX", "one", "two")
    session.select("INBOX").ok()
    session.command("STORE 1 +FLAGS (\\Deleted)").ok()
    session.command("UNSELECT").ok()
    session.command("FETCH 1 FLAGS").bad()
    assert session.exists(session.select("INBOX").ok()) == 2
    session.command("CLOSE").ok()
    session.command("FETCH 1 FLAGS").bad()
    assert session.exists(session.select("INBOX").ok()) == 1
    session.in_step()


def test_copy_and_move_within_a_backend(world):
    user = world.user("backend1")
    session = world.client(user)
    session.command("CREATE INBOX.Sent").ok()
    filled(world, session, "INBOX", "one", "two", "three")
    session.select("INBOX").ok()
    assert session.command("COPY 1 INBOX.Sent").ok().code.startswith("COPYUID ")
    session.command("COPY 2 ", Literal(b"INBOX.Sent")).ok()
    session.command("UID COPY 2 ", Literal(b"INBOX.Sent", plus=True)).ok()
    moved = session.command('MOVE 1 "INBOX.Sent"').ok()
    assert moved.of("EXPUNGE"), moved
    session.command("UID MOVE 2 INBOX.Sent").ok()
    assert subjects(session) == ["three"]
    session.select("INBOX.Sent").ok()
    assert sorted(subjects(session)) == ["one", "one", "two", "two", "two"]
    session.in_step()


def test_copy_to_a_missing_mailbox(world):
    session = world.client(world.user())
    filled(world, session, "INBOX", "one")
    session.select("INBOX").ok()
    for verb in ("COPY", "UID COPY", "MOVE", "UID MOVE"):
        session.command(verb, " 1 INBOX.nosuch").no("TRYCREATE" if not world.oracle_only else None)
        session.command(verb, " 1 ", Literal(b"nosuch")).no()
    assert subjects(session) == ["one"]
    session.in_step()


@ours
def test_news_of_the_selected_mailbox_arrives(world):
    user, box = world.user("backend1"), world.shared("backend2")
    session, other = world.client(user), world.client(user)
    session.select("INBOX").ok()
    filled(world, other, "INBOX", "one")
    assert session.exists(session.command("NOOP").ok()) == 1
    filled(world, other, "INBOX", "two")
    # a command that goes to the other backend does not lose it either
    news = session.command("STATUS ", box, " (MESSAGES)").ok().of("EXISTS") + session.command("NOOP").ok().of("EXISTS")
    assert news and news[-1].text == b"2 EXISTS"
    other.select("INBOX").ok()
    other.command("STORE 1 +FLAGS (\\Deleted)").ok()
    other.command("EXPUNGE").ok()
    assert session.command("NOOP").ok().of("EXPUNGE")
    session.in_step()


def test_bodies_that_look_like_replies(world):
    session = world.client(world.user())
    nasty = message("nasty") + b"".join(line + b"\r\n" for line in (
        b"* BYE no", b"t1 OK done", b"t2 OK", b"t3 NO", b"+ go", b"{10}", b"* 1 FETCH (BODY[] {5}", b")", b"{4+}"))
    session.append("INBOX", nasty).ok()
    session.append("INBOX", message("8bit") + "Grüße\r\n".encode() + bytes(range(128, 256)) + b"\r\n").ok()
    session.select("INBOX").ok()
    assert session.body(1) == nasty
    assert session.body(2).endswith(bytes(range(128, 256)) + b"\r\n")
    answer = session.command("FETCH 1 (BODY.PEEK[]<5.1> BODY.PEEK[TEXT]<0.1> BODY.PEEK[HEADER.FIELDS (X-None)])").ok()
    assert len(answer.of("FETCH")) == 1
    session.in_step()


def test_many_messages_in_one_fetch(world):
    session = world.client(world.user())
    parts = []
    for n in range(100):
        parts += [" (\\Seen) ", Literal(message(f"m{n}", 300 * n), plus=True)]
    session.command("APPEND INBOX", *parts).ok()
    session.select("INBOX").ok()
    found = session.command("FETCH 1:* (FLAGS UID RFC822.SIZE BODY.PEEK[])").ok().of("FETCH")
    assert len(found) == 100
    for n, response in enumerate(found):
        items = response.tree()[2]
        assert items[items.index(b"BODY[]") + 1] == message(f"m{n}", 300 * n)
    session.in_step()


def test_tags_as_the_frontend_itself_may_use_them(world):
    session = world.client(world.user())
    for tag in (b"A01", b"N01", b"PROXY0", b"Q01", b"R1", b"x-.:/'&", b"0", b"t" * 60):
        for command in ("SELECT INBOX", "NOOP", "FETCH 1:* FLAGS", "STATUS INBOX (MESSAGES)", "CHECK"):
            session.finish(session.start(command, tag=tag)).must("OK", "NO")
    session.in_step()
