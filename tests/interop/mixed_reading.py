"""What a client asks first: login, LIST, SELECT, FETCH, SEARCH, STATUS, with mailboxes of both backends."""

from imap_client import Literal, message

TWO_PARTS = (b"From: a@x.test\r\nTo: b@y.test\r\nSubject: parts\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=cut\r\n\r\n"
             b"--cut\r\nContent-Type: text/plain\r\n\r\nfirst part\r\n--cut\r\nContent-Type: application/octet-stream\r\n"
             b"Content-Transfer-Encoding: base64\r\n\r\nAAECAwQ=\r\n--cut--\r\n")


def items(response):
    """A FETCH response's items."""
    pairs = response.tree()[2]
    return {pairs[n].upper(): pairs[n + 1] for n in range(0, len(pairs), 2)}


def fetched(session, command):
    """By their UIDs."""
    return {int(found[b"UID"]): found for found in map(items, session.command(command).ok().of("FETCH"))}


def status(session, box, names="MESSAGES UIDNEXT UIDVALIDITY UNSEEN"):
    (answer,) = session.command("STATUS ", box, f" ({names})").ok().of("STATUS")
    pairs = answer.tree()[2]
    return {pairs[n].decode().upper(): int(pairs[n + 1]) for n in range(0, len(pairs), 2)}


def three(cell, backend="backend1"):
    """A session with three messages in a shared folder at a backend: m1 is \\Seen, m2 \\Flagged."""
    user, box = cell.user(), cell.shared(backend)
    session = cell.session(user)
    for subject, flags in (("m1", "(\\Seen)"), ("m2", "(\\Flagged)"), ("m3", "")):
        session.append(box, message(subject), flags).ok()
    session.select(box).ok()
    return session, box


def test_login_and_what_comes_before_it(cell):
    user = cell.user()
    session = cell.connect()
    assert session.greeting.word == b"OK", session.greeting.raw
    assert "IMAP4REV1" in session.capabilities()
    session.command('ID ("name" "interop")').ok()
    session.command("SELECT INBOX").must("NO", "BAD")
    session.login(user, "wrong").no()
    session.login(user, user + "pw").ok()
    assert {"IDLE", "NAMESPACE", "UIDPLUS", "ACL", "QUOTA", "SORT", "CONDSTORE"} <= session.capabilities(), session.capabilities()
    session.command("AUTHENTICATE PLAIN ").must("NO", "BAD")
    session.command("NOOP").ok()
    assert session.command("LOGOUT").ok().of("BYE")


def test_login_by_authenticate_plain_and_as_somebody_else(cell):
    user = cell.user()
    cell.connect().login_as(user, user + "pw", "").ok()
    other = cell.connect()
    other.login_as(user, user + "pw", "cyrus").no()
    acting = cell.connect()
    acting.login_as("cyrus", "cyruspw", user).ok()
    acting.select("INBOX").ok()


def test_namespace(cell):
    answer = cell.session(cell.user()).command("NAMESPACE").ok().of("NAMESPACE")[0].tree()
    assert answer[1:] == [[[b"INBOX.", b"."]], [[b"user.", b"."]], [[b"", b"."]]], answer


def test_list_shows_what_one_may_see_at_both_backends(cell):
    user, other = cell.user(), cell.user("backend2")
    one, two, hidden = cell.shared("backend1"), cell.shared("backend2"), cell.shared("backend2", "p")
    session = cell.session(user)
    session.command("CREATE INBOX.Work").ok()
    session.command("CREATE INBOX.Work.old").ok()
    everything = session.listed(session.command('LIST "" "*"').ok())
    assert {"INBOX", "INBOX.Work", "INBOX.Work.old", one, two} <= set(everything), everything
    assert not {f"user.{user}", f"user.{other}", hidden} & set(everything), everything
    assert "\\haschildren" in everything["INBOX"] and "\\hasnochildren" in everything[two], everything
    assert set(session.listed(session.command('LIST "" "INBOX.%"').ok())) == {"INBOX.Work"}
    assert set(session.listed(session.command('LIST "INBOX." "Work.*"').ok())) == {"INBOX.Work.old"}
    assert session.command('LIST "" ""').ok().of("LIST")[0].tree()[2] == b"."
    assert session.command('LIST "" "nosuch*"').ok().of("LIST") == []


def test_list_with_status_asks_both_backends(cell):
    user, one, two = cell.user(), cell.shared("backend1"), cell.shared("backend2")
    session = cell.session(user)
    session.append(one, message("here")).ok()
    session.append(two, message("there")).ok()
    session.append(two, message("there2")).ok()
    answer = session.command(f'LIST "" ("{one}" "{two}") RETURN (STATUS (MESSAGES))')
    if answer.status != "OK":  # more than one pattern
        answer = session.command('LIST "" "shared*" RETURN (STATUS (MESSAGES))').ok()
    told = {line.tree()[1].decode(): int(line.tree()[2][1]) for line in answer.of("STATUS")}
    assert told[one] == 1 and told[two] == 2, told


def test_list_of_subscribed(cell):
    user, two = cell.user(), cell.shared("backend2")
    session = cell.session(user)
    session.command("SUBSCRIBE INBOX").ok()
    session.command(f"SUBSCRIBE {two}").ok()
    found = session.listed(session.command('LIST (SUBSCRIBED) "" "*"').ok())
    assert set(found) == {"INBOX", two} and all("\\subscribed" in flags for flags in found.values()), found
    assert "\\nonexistent" not in found[two], found
    marked = session.listed(session.command('LIST "" "*" RETURN (SUBSCRIBED)').ok())
    assert {name for name, flags in marked.items() if "\\subscribed" in flags} == {"INBOX", two}, marked


def test_list_of_special_uses_and_annotations(cell):
    for backend in ("backend1", "backend2"):
        session = cell.session(cell.user(backend))
        session.command("CREATE INBOX.Sent (USE (\\Sent))").ok()
        session.command("CREATE INBOX.Plain").ok()
        special = session.listed(session.command('LIST (SPECIAL-USE) "" "*"').ok())
        assert set(special) == {"INBOX.Sent"} and "\\sent" in special["INBOX.Sent"], special
        marked = session.listed(session.command('LIST "" "INBOX*" RETURN (SPECIAL-USE)').ok())
        assert set(marked) == {"INBOX", "INBOX.Sent", "INBOX.Plain"} and "\\sent" in marked["INBOX.Sent"], marked
        older = session.listed(session.command('XLIST "" "INBOX*"').ok(), "XLIST")
        assert set(older) == set(marked) and "\\sent" in older["INBOX.Sent"] and "\\inbox" in older["INBOX"], older
        along = session.command('LIST "" "INBOX*" RETURN (METADATA (/shared/comment))').ok()
        assert set(session.listed(along)) == set(marked), along
        assert {line.tree()[1].decode() for line in along.of("METADATA")} == set(marked), along


def test_select_and_what_it_says(cell):
    for backend in ("backend1", "backend2"):
        session, box = three(cell, backend)
        answer = session.select(box).ok()
        assert answer.code == "READ-WRITE" and session.exists(answer) == 3, answer
        codes = b"".join(line.raw for line in answer.of("OK"))
        assert b"[UIDVALIDITY " in codes and b"[UIDNEXT 4]" in codes and b"[PERMANENTFLAGS (" in codes, codes
        assert answer.of("FLAGS") and b"\\*" in codes
        assert session.select(box, "EXAMINE").ok().code == "READ-ONLY"
        session.command("STORE 1 +FLAGS (\\Deleted)").no()
        session.command("UNSELECT").ok()
        session.command("FETCH 1 FLAGS").must("NO", "BAD")
        session.in_step()


def test_select_goes_from_one_backend_to_the_other(cell):
    user, one, two = cell.user(), cell.shared("backend1"), cell.shared("backend2")
    session = cell.session(user)
    session.append(one, message("one")).ok()
    session.append(two, message("two")).ok()
    for box, word in ((one, b"one"), (two, b"two"), ("INBOX", None), (two, b"two"), (one, b"one")):
        count = session.exists(session.select(box).ok())
        assert count == (word is not None), (box, count)
        if word:
            assert b"Subject: " + word in session.body(1)
    session.select("nosuch").no()
    session.command("FETCH 1 FLAGS").must("NO", "BAD")
    session.select(two).ok()
    session.in_step()


def test_fetch_every_usual_item(cell):
    for backend in ("backend1", "backend2"):
        session, _ = three(cell, backend)
        found = fetched(session, "FETCH 1:* (UID FLAGS INTERNALDATE RFC822.SIZE ENVELOPE)")
        assert sorted(found) == [1, 2, 3], found
        assert found[1][b"ENVELOPE"][1] == b"m1" and int(found[1][b"RFC822.SIZE"]) == len(message("m1")), found
        assert b"\\Seen" in found[1][b"FLAGS"] and b"\\Flagged" in found[2][b"FLAGS"] and b"\\Seen" not in found[3][b"FLAGS"], found
        assert session.body(2) == message("m2")
        header = items(session.command("FETCH 3 BODY.PEEK[HEADER.FIELDS (SUBJECT)]").ok().of("FETCH")[0])
        assert list(header.values())[-1] == b"Subject: m3\r\n\r\n", header
        part = items(session.command("UID FETCH 3 (BODY.PEEK[TEXT]<0.4>)").ok().of("FETCH")[0])
        assert b"body" in part.values(), part
        old = items(session.command("FETCH 2 (RFC822.HEADER RFC822.TEXT)").ok().of("FETCH")[0])
        assert old[b"RFC822.HEADER"] + old[b"RFC822.TEXT"] == message("m2"), old
        assert b"\\Seen" in fetched(session, "UID FETCH 2 (FLAGS)")[2][b"FLAGS"]


def test_fetch_of_parts(cell):
    for backend in ("backend1", "backend2"):
        user, box = cell.user(), cell.shared(backend)
        session = cell.session(user)
        session.append(box, TWO_PARTS).ok()
        session.select(box).ok()
        structure = items(session.command("FETCH 1 (BODYSTRUCTURE)").ok().of("FETCH")[0])[b"BODYSTRUCTURE"]
        assert structure[0][:2] == [b"TEXT", b"PLAIN"] and structure[1][1].upper() == b"OCTET-STREAM" and structure[2].upper() == b"MIXED", structure
        assert items(session.command("FETCH 1 (BODY.PEEK[1])").ok().of("FETCH")[0])[b"BODY[1]"] == b"first part"
        binary = session.command("FETCH 1 (BINARY.PEEK[2])").ok().of("FETCH")[0].raw
        assert b"\0\1\2\3\4" in binary, binary


def test_search(cell):
    for backend in ("backend1", "backend2"):
        session, _ = three(cell, backend)

        def found(command, *more):
            return session.command(command, *more).ok().of("SEARCH")[0].text.split()[1:]
        assert found("SEARCH SUBJECT m2") == [b"2"]
        assert found("UID SEARCH UNSEEN") == [b"2", b"3"]
        assert found("SEARCH OR FLAGGED SEEN") == [b"1", b"2"]
        assert found("SEARCH NOT BODY ", Literal(b"body of m1")) == [b"2", b"3"]
        assert found("SEARCH SUBJECT nosuch") == []
        assert found("SEARCH CHARSET UTF-8 SINCE 1-Jan-2020 SENTBEFORE 1-Jan-2025 LARGER 10") == [b"1", b"2", b"3"]
        extended = session.command("UID SEARCH RETURN (MIN MAX COUNT) ALL").ok().of("ESEARCH")[0].raw
        assert all(part in extended for part in (b"MIN 1", b"MAX 3", b"COUNT 3", b"UID", b"(TAG ")), extended
        session.command("SEARCH NOSUCHKEY").bad()


def test_sort_and_thread(cell):
    for backend in ("backend1", "backend2"):
        session, box = three(cell, backend)
        reply = message("Re: m2").replace(b"Message-ID:", b"In-Reply-To: <m2@example.test>\r\nMessage-ID:")
        session.append(box, reply).ok()
        session.command("NOOP").ok()
        assert session.command("SORT (REVERSE SUBJECT ARRIVAL) UTF-8 ALL").ok().of("SORT")[0].text.split()[1:] == [b"3", b"2", b"4", b"1"]
        assert session.command("UID SORT (SUBJECT) US-ASCII SEEN").ok().of("SORT")[0].text.split()[1:] == [b"1"]
        threads = session.command("THREAD REFERENCES UTF-8 ALL").ok().of("THREAD")[0].text
        assert b"(2 4)" in threads and b"(1)" in threads and b"(3)" in threads, threads


def test_status_at_both_backends(cell):
    for backend in ("backend1", "backend2"):
        session, box = three(cell, backend)
        session.command("UNSELECT").ok()
        before = status(session, box)
        assert before["MESSAGES"] == 3 and before["UNSEEN"] == 2 and before["UIDNEXT"] == 4, before
        session.append(box, message("m4")).ok()
        after = status(session, box)
        assert after == {**before, "MESSAGES": 4, "UNSEEN": 3, "UIDNEXT": 5}, (before, after)
        assert status(session, box, "HIGHESTMODSEQ")["HIGHESTMODSEQ"] > 0
        session.command("STATUS nosuch (MESSAGES)").no()
        session.command(f"STATUS {box} (NOSUCH)").bad()


def test_many_commands_at_once_are_answered_in_order(cell):
    session, box = three(cell, "backend2")
    tags = [session.start(command) for command in
            ("NOOP", "FETCH 1:* FLAGS", f"STATUS {box} (MESSAGES)", "STATUS INBOX (MESSAGES)", 'LIST "" "INBOX"', "FETCH 2 BODY.PEEK[]", "UNSELECT")]
    answers = [session.finish(tag).ok() for tag in tags]
    assert len(answers[1].of("FETCH")) == 3 and len(answers[5].of("FETCH")) == 1, answers
    session.command("NOSUCHCOMMAND").bad()
    session.command("FETCH").must("NO", "BAD")
    session.in_step()
