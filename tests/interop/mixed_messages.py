"""Messages come, change, move and go: APPEND, STORE, EXPUNGE, COPY, MOVE, IDLE, and mail by LMTP."""

import smtplib

from imap_client import Literal, message, quoted
from mixed_reading import fetched, items, status, three

DATE = '" 7-Feb-2021 12:34:56 +0100"'


def test_append_in_every_form(cell):
    for backend in ("backend1", "backend2"):
        user, box = cell.user(), cell.shared(backend)
        session = cell.session(user)
        eight_bits = message("bits") + bytes(range(128, 256)) + b"\r\n"
        large = message("large", 1 << 20)
        assert session.append(box, message("plus")).ok().code.startswith("APPENDUID ")
        session.append(box, message("waits"), "(\\Answered $Forwarded)", plus=False).ok()
        session.command("APPEND ", Literal(box.encode(), True), f" (\\Draft) {DATE} ", Literal(eight_bits)).ok()
        session.append(box, large, plus=False).ok()
        session.select(box).ok()
        found = fetched(session, "FETCH 1:* (UID FLAGS INTERNALDATE)")
        assert {b"\\Answered", b"$Forwarded"} <= set(found[2][b"FLAGS"]) and b"\\Draft" in found[3][b"FLAGS"], found
        date = found[3][b"INTERNALDATE"].decode()
        assert date in (DATE.strip('"'), " 7-Feb-2021 11:34:56 +0000"), date
        assert [session.body(n) for n in range(1, 5)] == [message("plus"), message("waits"), eight_bits, large]


def test_append_of_several_and_of_none(cell):
    for backend in ("backend1", "backend2"):
        user, box = cell.user(), cell.shared(backend)
        session = cell.session(user)
        both = session.command(f"APPEND {box} (\\Seen) ", Literal(message("one"), True), f" () {DATE} ", Literal(message("two"), True)).ok()
        assert both.code.endswith(" 1:2"), both.text
        session.append("nosuch", message("lost")).no()
        session.append("nosuch", message("lost"), plus=False).no()
        session.command(f"APPEND {box}").bad()
        session.append(box, b"").must("NO", "BAD", "OK")
        session.in_step()
        assert status(session, box)["MESSAGES"] in (2, 3)


def test_append_of_parts_that_are_there(cell):
    """CATENATE (RFC 4469), with the message it takes from at the same backend."""
    for backend in ("backend1", "backend2"):
        session, box = three(cell, backend)
        text = b"\r\nmore\r\n"
        url = f'URL "/{box}/;UID=1/;SECTION=HEADER"'
        answer = session.command(f"APPEND {box} CATENATE ({url} TEXT ", Literal(text, True), ")")
        if answer.status == "OK":
            header = message("m1").split(b"\r\n\r\n")[0] + b"\r\n\r\n"
            session.command("NOOP").ok()
            assert session.body(4) == header + text, session.body(4)
        else:
            assert status(session, box)["MESSAGES"] == 3
        session.in_step()


def test_store_in_every_form(cell):
    for backend in ("backend1", "backend2"):
        session, _ = three(cell, backend)
        assert b"$later" in session.command("STORE 3 +FLAGS ($later \\Answered)").ok().of("FETCH")[-1].raw
        session.command("STORE 1:2 FLAGS.SILENT (\\Draft)").ok()
        session.command("UID STORE 3 -FLAGS (\\Answered)").ok()
        found = fetched(session, "UID FETCH 1:* (FLAGS)")
        flags = {uid: {flag for flag in each[b"FLAGS"] if flag != b"\\Recent"} for uid, each in found.items()}
        assert flags == {1: {b"\\Draft"}, 2: {b"\\Draft"}, 3: {b"$later"}}, flags
        session.command("STORE 9 FLAGS (\\Seen)").must("NO", "BAD", "OK")
        session.command("STORE 1 NOFLAGS (\\Seen)").bad()
        session.in_step()


def test_expunge_uid_expunge_and_close(cell):
    for backend in ("backend1", "backend2"):
        session, box = three(cell, backend)
        session.command("STORE 1,3 +FLAGS.SILENT (\\Deleted)").ok()
        gone = session.command("UID EXPUNGE 3").ok().of("EXPUNGE")
        assert [line.text for line in gone] == [b"3 EXPUNGE"], gone
        assert [line.text for line in session.command("EXPUNGE").ok().of("EXPUNGE")] == [b"1 EXPUNGE"]
        assert session.body(1) == message("m2")
        session.command("STORE 1 +FLAGS (\\Deleted)").ok()
        assert session.command("CLOSE").ok().of("EXPUNGE") == []
        assert status(session, box)["MESSAGES"] == 0


def test_changes_by_mod_sequence(cell):
    """CONDSTORE and QRESYNC (RFC 7162)."""
    for backend in ("backend1", "backend2"):
        session, box = three(cell, backend)
        session.command("ENABLE QRESYNC CONDSTORE").ok()
        opened = session.select(box).ok()
        # Cyrus' frontend enables it at the backend now, which may tell of the mailbox that was selected before
        highest, validity = (
            [line.text.split(b"]")[0].split()[-1] for line in opened.of("OK") if code in line.raw][-1]
            for code in (b"HIGHESTMODSEQ", b"UIDVALIDITY"))
        session.command("STORE 2 +FLAGS (\\Answered)").ok()
        changed = fetched(session, f"UID FETCH 1:* (FLAGS) (CHANGEDSINCE {highest.decode()})")
        assert sorted(changed) == [2], changed
        refused = session.command(f"STORE 2 (UNCHANGEDSINCE {highest.decode()}) +FLAGS (\\Draft)").ok()
        assert refused.code == "MODIFIED 2", refused.text
        session.command("STORE 3 +FLAGS.SILENT (\\Deleted)").ok()
        session.command("EXPUNGE").ok()
        session.command("UNSELECT").ok()
        back = session.command(f"SELECT {box} (QRESYNC ({validity.decode()} {highest.decode()} 1:3))").ok()
        assert any(b"VANISHED (EARLIER) 3" in line.raw for line in back.untagged), back
        assert any(b"\\Answered" in line.raw for line in back.of("FETCH")), back


def test_copy_within_a_backend(cell):
    for backend in ("backend1", "backend2"):
        session, box = three(cell, backend)
        there = cell.shared(backend)
        assert session.command(f"COPY 1:2 {there}").ok().code.split()[0] == "COPYUID"
        session.command(f"UID COPY 3 {there}").ok()
        assert session.command("COPY 1 nosuch").no()
        session.select(there).ok()
        assert [session.body(n) for n in (1, 2, 3)] == [message(f"m{n}") for n in (1, 2, 3)]
        assert status(session, box)["MESSAGES"] == 3


def test_copy_across_backends(cell):
    for backend, other in (("backend1", "backend2"), ("backend2", "backend1")):
        session, box = three(cell, backend)
        there = cell.shared(other)
        session.command(f"COPY 1:2 {there}").ok()
        session.command(f"UID COPY 3 {there}").ok()
        session.command("COPY 9 ", there)
        session.command("UID COPY 999 ", there)
        session.in_step()
        session.select(there).ok()
        assert [session.body(n) for n in (1, 2, 3)] == [message(f"m{n}") for n in (1, 2, 3)]
        found = fetched(session, "UID FETCH 1:* (FLAGS)")
        assert b"\\Seen" in found[1][b"FLAGS"] and b"\\Flagged" in found[2][b"FLAGS"], found
        assert status(session, box)["MESSAGES"] == 3 and status(session, there)["MESSAGES"] == 3


def test_move_within_a_backend(cell):
    for backend in ("backend1", "backend2"):
        session, box = three(cell, backend)
        there = cell.shared(backend)
        gone = session.command(f"MOVE 1 {there}").ok().of("EXPUNGE")
        assert [line.text for line in gone] == [b"1 EXPUNGE"], gone
        session.command(f"UID MOVE 3 {there}").ok()
        assert status(session, box)["MESSAGES"] == 1
        session.select(there).ok()
        assert [session.body(n) for n in (1, 2)] == [message("m1"), message("m3")]


def test_move_across_backends_loses_nothing(cell):
    """Cyrus' frontend leaves the message where it was, too."""
    for backend, other in (("backend1", "backend2"), ("backend2", "backend1")):
        session, box = three(cell, backend)
        there = cell.shared(other)
        session.command(f"UID MOVE 2 {there}").ok()
        session.in_step()
        assert status(session, there)["MESSAGES"] == 1
        kept = 3 if cell.has(frontend="cyrus") else 2
        assert status(session, box)["MESSAGES"] == kept
        session.select(there).ok()
        assert session.body(1) == message("m2")


def test_idle_tells_of_mail_and_of_changes(cell):
    for backend in ("backend1", "backend2"):
        session, box = three(cell, backend)
        other = cell.session(cell.user())
        tag = session.start("IDLE")
        session.go_ahead(tag)
        other.append(box, message("news")).ok()
        assert session.untagged("EXISTS").raw == b"* 4 EXISTS\r\n"
        other.select(box).ok()
        other.command("STORE 1 +FLAGS (\\Deleted)").ok()
        other.command("EXPUNGE").ok()
        assert session.untagged("EXPUNGE").raw == b"* 1 EXPUNGE\r\n"
        session.send(b"DONE\r\n")
        session.finish(tag).ok()
        session.command("UNSELECT").ok()
        tag = session.start("IDLE")
        session.go_ahead(tag)
        session.send(b"DONE\r\n")
        session.finish(tag).ok()
        session.in_step()


def test_noop_tells_what_another_session_did(cell):
    for backend in ("backend1", "backend2"):
        session, box = three(cell, backend)
        other = cell.session(cell.user())
        other.select(box).ok()
        other.command("UID STORE 2 +FLAGS (\\Deleted)").ok()
        other.command("UID EXPUNGE 2").ok()
        other.append(box, message("m4")).ok()
        told = session.command("NOOP").ok()
        assert [line.text for line in told.of("EXPUNGE")] == [b"2 EXPUNGE"] and session.exists(told) == 3, told
        assert items(session.command("FETCH 3 (UID)").ok().of("FETCH")[0])[b"UID"] == b"4"


def test_mail_by_lmtp_at_the_backend_is_seen_at_the_frontend(cell):
    for backend in ("backend1", "backend2"):
        user = cell.user(backend)
        session = cell.session(user)
        session.select("INBOX").ok()
        with smtplib.LMTP(*cell.lmtp(backend)) as lmtp:
            refused = lmtp.sendmail("a@x.test", [f"{user}", "nobody"], message("mail"))
            assert list(refused) == ["nobody"] and refused["nobody"][0] == 550, refused
        told = session.command("NOOP").ok()
        assert session.exists(told) == 1, told
        assert b"Subject: mail\r\n" in session.body(1) and b"Return-Path: <a@x.test>" in session.body(1)


def test_two_users_in_a_shared_folder(cell):
    for backend in ("backend1", "backend2"):
        session, box = three(cell, backend)
        other = cell.session(cell.user("backend2"))
        assert other.exists(other.select(box).ok()) == 3
        other.command("STORE 2 +FLAGS (\\Seen \\Answered)").ok()
        session.command("NOOP").ok()
        flags = fetched(session, "UID FETCH 2 (FLAGS)")[2][b"FLAGS"]
        # what is answered is so for all; at Cyrus' backends each has a \\Seen of their own
        assert {b"\\Answered", b"\\Flagged"} <= set(flags) and (cell.has(backend="ours") or b"\\Seen" not in flags), flags
        other.command("COPY 1:3 ", quoted("INBOX")).ok()
        assert status(other, "INBOX")["MESSAGES"] == 3
