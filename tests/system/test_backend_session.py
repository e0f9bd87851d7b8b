"""The backend by itself: one session's commands, by the RFCs' words."""

from imap_client import Literal
from marks import ours

MESSAGE = b"From: a@x.example\r\nTo: b@x.example\r\nSubject: one\r\n\r\nHello, world\r\n"


@ours
def test_backend_a_message_comes_changes_and_goes(world):
    session = world.at(world.a_backend(), "alice")
    session.select("INBOX").ok()
    uidvalidity, uid = session.append("INBOX", MESSAGE, flags="(\\Flagged)").ok().code.split()[1:]
    assert uid == "1", uid
    answer = session.command("FETCH 1 (FLAGS UID RFC822.SIZE BODY.PEEK[])").ok()
    (fetched,) = answer.of("FETCH")
    assert MESSAGE in fetched.raw and b"\\Flagged" in fetched.raw and b"\\Recent" in fetched.raw, fetched.raw
    answer = session.command("STORE 1 +FLAGS ($Label \\Seen)").ok()
    assert b"$Label" in answer.of("FETCH")[0].raw
    assert session.command("STORE 1 -FLAGS.SILENT ($Label)").ok().of("FETCH") == []
    assert session.command("SEARCH FLAGGED SEEN UNKEYWORD $Label").ok().of("SEARCH")[0].text == b"SEARCH 1"
    copied = session.command("UID COPY 1 INBOX").ok()
    assert copied.code == f"COPYUID {uidvalidity} 1 2", copied.code
    session.command("STORE 1 +FLAGS (\\Deleted)").ok()
    gone = session.command("EXPUNGE").ok()
    assert [line.raw for line in gone.of("EXPUNGE")] == [b"* 1 EXPUNGE\r\n"]
    session.command("FETCH 1 UID").ok()
    session.in_step()


@ours
def test_backend_refusals_before_a_message_is_asked_for(world):
    backend = world.a_backend(more='message_size = "64 KiB"')
    session = world.at(backend, "alice")
    session.command("APPEND nosuch ", Literal(MESSAGE)).no("TRYCREATE")
    session.command("APPEND nosuch ", Literal(MESSAGE, plus=True)).no("TRYCREATE")
    session.command("APPEND INBOX ", Literal(b"x" * 70_000)).no("TOOBIG")
    session.command("APPEND INBOX ", Literal(b"x" * 70_000, plus=True)).no("TOOBIG")
    session.command("APPEND INBOX (\\Nonsense) ", Literal(MESSAGE)).bad()
    session.command("APPEND INBOX ", Literal(b"")).no("CANNOT")
    session.command("APPEND INBOX ", Literal(b"a\0b", plus=True)).no("CANNOT")
    session.command("APPEND INBOX ", Literal(MESSAGE), " (\\Seen) ", Literal(b"")).no("CANNOT")
    assert session.exists(session.select("INBOX").ok()) == 0
    session.in_step()


@ours
def test_backend_keeps_what_it_said_ok_to_when_it_is_killed(world):
    backend = world.a_backend()
    session = world.at(backend, "alice")
    said = [session.append("INBOX", MESSAGE).ok().code for _ in range(20)]
    session.select("INBOX").ok()
    session.command("STORE 3:5 +FLAGS.SILENT (\\Answered)").ok()
    backend.kill()
    backend.start()
    session = world.at(backend, "alice")
    assert session.exists(session.select("INBOX").ok()) == 20
    assert session.command("SEARCH ANSWERED").ok().of("SEARCH")[0].text == b"SEARCH 3 4 5"
    assert session.append("INBOX", MESSAGE).ok().code.split()[1] == said[0].split()[1]
    assert session.append("INBOX", MESSAGE).ok().code.split()[2] == "22"


@ours
def test_backend_news_reach_idle_at_once(world):
    backend = world.a_backend()
    one, two = world.at(backend, "alice"), world.at(backend, "alice")
    one.select("INBOX").ok()
    two.select("INBOX").ok()
    tag = two.start("IDLE")
    two.go_ahead(tag)
    one.append("INBOX", MESSAGE).ok()
    assert two.untagged("EXISTS", 2).raw == b"* 1 EXISTS\r\n"
    one.command("STORE 1 FLAGS (\\Deleted)").ok()
    assert b"\\Deleted" in two.untagged("FETCH", 2).raw
    one.command("EXPUNGE").ok()
    assert two.untagged("EXPUNGE", 2).raw == b"* 1 EXPUNGE\r\n"
    two.send(b"DONE\r\n")
    two.finish(tag).ok()
