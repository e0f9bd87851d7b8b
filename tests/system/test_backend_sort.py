"""SORT and THREAD at the backend (RFC 5256), by the RFC's examples; and header searches, by what is kept and by files."""

import re

from imap_client import Literal
from marks import ours


def mail(subject="", date="1 Jan 2000 00:00:00 +0000", sender="a@b", more="", body="text"):
    return f"From: {sender}\r\nSubject: {subject}\r\nDate: {date}\r\n{more}\r\n{body}\r\n".encode()


def filled(world, mails, **more):
    backend = world.a_backend(**more)
    session = world.at(backend, "alice")
    for text in mails:
        session.append("INBOX", text).ok()
    session.select("INBOX").ok()
    return backend, session


def answer(session, command, word):
    (response,) = session.command(command).ok().of(word)
    return response.text.decode()


@ours
def test_backend_sort_by_the_examples_of_rfc_5256(world):
    """Section 3, BASE.6.4.SORT: the three examples have this shape."""
    _, session = filled(world, [
        mail("Re: b", "1 Jan 2000 01:00:00 +0000"),
        mail("B", "1 Jan 2000 00:30:00 +0000"),
        mail("[list] a", "1 Jan 2000 02:00:00 +0000"),
        # later in UTC than it looks
        mail("A (fwd)", "1 Jan 2000 00:00:00 -0100"),
        mail("", "1 Jan 1999 00:00:00 +0000")])
    def sort(command):
        return answer(session, command, "SORT")
    assert sort("SORT (SUBJECT) UTF-8 SINCE 1-Feb-1994") == "SORT 5 3 4 1 2"
    assert sort("SORT (SUBJECT REVERSE DATE) UTF-8 ALL") == "SORT 5 3 4 1 2"
    assert sort("SORT (SUBJECT DATE) UTF-8 ALL") == "SORT 5 4 3 2 1"
    assert sort('SORT (SUBJECT) US-ASCII TEXT "not in mailbox"') == "SORT"
    assert sort("SORT (REVERSE DATE) UTF-8 NOT 5") == "SORT 3 1 4 2"
    assert sort("SORT (ARRIVAL) utf-8 ALL") == "SORT 1 2 3 4 5"
    session.command("STORE 2 +FLAGS.SILENT (\\Deleted)").ok()
    session.command("EXPUNGE").ok()
    assert sort("UID SORT (SUBJECT) UTF-8 ALL") == "SORT 5 3 4 1"
    assert sort("SORT (SUBJECT) UTF-8 ALL") == "SORT 4 2 3 1"
    for wrong in ("SORT", "SORT (SUBJECT)", "SORT SUBJECT UTF-8 ALL", "SORT () UTF-8 ALL", "SORT (NOSUCH) UTF-8 ALL", "SORT (REVERSE) UTF-8 ALL",
                  "THREAD NOSUCH UTF-8 ALL", "THREAD REFERENCES UTF-8", "UID SORT (DATE) UTF-8 NOSUCH", "SORT RETURN (X) (DATE) UTF-8 ALL"):
        session.command(wrong).bad()
        session.command("NOOP").ok()
    for unknown in ("SORT (DATE) KOI8-R ALL", "THREAD REFERENCES KOI8-R ALL"):
        assert session.command(unknown).must("NO").code.startswith("BADCHARSET")
    session.in_step()


@ours
def test_backend_sort_by_addresses_and_sizes(world):
    """CC, FROM, TO by the mailbox of the first address; DISPLAYFROM and DISPLAYTO (RFC 5957) by what is shown of it; SIZE."""
    _, session = filled(world, [
        mail(sender="Zoe <b@x>", more="To: =?utf-8?q?=C3=84nne?= <m@x>, a@x\r\nCc: c@x\r\n", body="1" * 30),
        mail(sender="c@x", more="To: group: z@x;\r\n", body="1" * 10),
        mail(sender="\"anna\" <A@x>", more="To: An <z@x>\r\nCc: B@x\r\n", body="1" * 20)])
    for keys, expected in {
            "FROM": "3 1 2", "REVERSE FROM": "2 1 3", "DISPLAYFROM": "3 2 1", "CC": "2 3 1", "TO": "2 1 3",
            # the umlaut is an a and a mark behind it
            "DISPLAYTO": "3 1 2", "SIZE": "2 3 1", "REVERSE SIZE FROM": "1 3 2"}.items():
        assert answer(session, f"SORT ({keys}) UTF-8 ALL", "SORT") == f"SORT {expected}", keys


@ours
def test_backend_sort_returns_saves_and_tells_modseqs(world):
    """RFC 5267 section 3 (ESORT), RFC 5182 ($), RFC 7162 (MODSEQ)."""
    _, session = filled(world, [mail(subject) for subject in "dbca"])
    def esearch(command):
        return re.sub(r'"[^"]*"', '"TAG"', answer(session, command, "ESEARCH"))
    tag = 'ESEARCH (TAG "TAG") '
    assert esearch("SORT RETURN () (SUBJECT) UTF-8 ALL") == tag + "ALL 4,2:3,1"
    assert esearch("UID SORT RETURN (MIN MAX COUNT) (SUBJECT) UTF-8 NOT 4") == tag + "UID MIN 2 MAX 1 COUNT 3"
    assert esearch("SORT RETURN (ALL COUNT) (REVERSE SUBJECT) UTF-8 ALL") == tag + "ALL 1,3,2,4 COUNT 4"
    assert esearch("SORT RETURN (MIN COUNT) (SUBJECT) UTF-8 SUBJECT x") == tag + "COUNT 0"
    assert session.command("SORT RETURN (SAVE MIN) (SUBJECT) UTF-8 2:3").ok().of("ESEARCH")
    assert answer(session, "SEARCH $", "SEARCH") == "SEARCH 2"
    assert session.command("SORT RETURN (SAVE) (SUBJECT) UTF-8 2:4").ok().of("ESEARCH") == []
    assert answer(session, "SORT (SUBJECT) UTF-8 $", "SORT") == "SORT 4 2 3"
    assert answer(session, "THREAD REFERENCES UTF-8 $ NOT 4", "THREAD") == "THREAD (2)(3)"
    session.command("SORT RETURN (SAVE) (SUBJECT) KOI8-R ALL").must("NO")
    assert answer(session, "SEARCH $", "SEARCH") == "SEARCH"
    modseqs = {int(n): int(modseq) for response in session.command("FETCH 1:4 (MODSEQ)").ok().of("FETCH")
               for n, modseq in re.findall(rb"^(\d+) FETCH .*MODSEQ \((\d+)\)", response.text)}
    assert answer(session, "SORT (SUBJECT) UTF-8 MODSEQ 1 1:2", "SORT") == f"SORT 2 1 (MODSEQ {max(modseqs[1], modseqs[2])})"
    assert esearch("SORT RETURN (MIN) (SUBJECT) UTF-8 MODSEQ 1 1:2") == tag + f"MIN 2 MODSEQ {modseqs[2]}"


@ours
def test_backend_thread_by_the_examples_of_rfc_5256(world):
    """Section 4: `(2)(3 6 (4 23)(44 7 96))` and `((3)(5))`; section 3: ORDEREDSUBJECT has two levels."""
    def answers(number, subject, *references):
        refers = "References: " + "\r\n ".join(f"<{n}@x>" for n in references) + "\r\n" if references else ""
        return mail(subject, f"{number} Jan 2000 00:00:00 +0000", more=f"Message-ID: <{number}@x>\r\n{refers}")
    _, session = filled(world, [
        answers(1, "one"), answers(2, "two"), answers(3, "x", 2), answers(4, "y", 2, 3), answers(5, "z", 4),
        answers(6, "u", 3), answers(7, "v", 6), answers(8, "w", 7), answers(9, "p", 99), answers(10, "q", 99)])
    assert answer(session, "THREAD REFERENCES UTF-8 ALL", "THREAD") == "THREAD (1)(2 3 (4 5)(6 7 8))((9)(10))"
    assert answer(session, "UID THREAD REFERENCES UTF-8 4:7", "THREAD") == "THREAD ((4 5)(6 7))"
    assert answer(session, 'THREAD REFERENCES US-ASCII TEXT "gewp"', "THREAD") == "THREAD"
    assert answer(session, 'THREAD ORDEREDSUBJECT US-ASCII TEXT "gewp"', "THREAD") == "THREAD"
    for subject in ("two", "Re: TWO", "[list] Fwd: two"):
        session.append("INBOX", mail(subject, "1 Feb 2000 00:00:00 +0000")).ok()
    session.command("NOOP").ok()
    assert answer(session, "THREAD ORDEREDSUBJECT UTF-8 1:3 NOT 3", "THREAD") == "THREAD (1)(2)"
    assert answer(session, "THREAD ORDEREDSUBJECT UTF-8 OR 1:2 11:13", "THREAD") == "THREAD (1)(2 (11)(12)(13))"
    # In-Reply-To counts where there are no References, quotes don't
    session.append("INBOX", mail("s", "1 Mar 2000 00:00:00 +0000", more='In-Reply-To: your mail <"1"@x>\r\n')).ok()
    session.command("NOOP").ok()
    assert answer(session, "THREAD REFERENCES UTF-8 1,14", "THREAD") == "THREAD (1 14)"
    session.in_step()


@ours
def test_backend_header_searches_are_the_same_by_what_is_kept_and_by_files(world):
    """What is kept of headers may be lost, or be of another form: the answers stay. Comparing is i;unicode-casemap (RFC 5255, I18NLEVEL=1)."""
    many = ", ".join(f"user{n}@example.org" for n in range(900))
    mails = [
        mail("plain", sender="Terry <gray@cac>", more="Message-ID: <1@x>\r\nX-Odd: one\r\n"),
        mail("=?utf-8?q?Gr=C3=BC=C3=9Fe?=", sender="=?iso-8859-1?q?J=F6rg?= <j@x>", more="References: <1@x>\r\n <A@x>\r\n"),
        mail("many", more=f"To: {many}\r\nTo: last@example.org\r\n"),
        b"no header at all\r\n\r\nSubject: body\r\n",
        mail("large", sender="Large <l@x>", more="Message-ID: <5@x>\r\n", body="line\r\n" * 60000)]
    backend, session = filled(world, mails)
    asked = ["FROM gray", "FROM l@x", "NOT FROM @x", "TO user899@", "TO last@", 'TO ""', "SUBJECT PLAIN", "HEADER x-odd one", 'HEADER X-ODD ""',
             "HEADER Message-ID <5@x>", "HEADER References <a@X>", "SENTON 1-Jan-2000", "NOT SENTSINCE 1-Jan-2001", "OR FROM terry TO user5@",
             "SUBJECT body", "FROM jorg"]
    expected = ["1", "5", "1 3 4", "3", "3", "3", "1", "1", "1", "5", "2", "1 2 3 5", "1 2 3 4 5", "1 3", "", ""]
    def check():
        for keys, numbers in zip(asked, expected):
            assert answer(session, f"SEARCH {keys}", "SEARCH").split()[1:] == numbers.split(), keys
        for text in ("J\u00d6RG", "jo\u0308rg"):
            told = session.command("SEARCH CHARSET UTF-8 FROM ", Literal(text.encode())).ok()
            assert told.of("SEARCH")[0].text == b"SEARCH 2", text
        assert answer(session, "SORT (REVERSE FROM) UTF-8 ALL", "SORT") == "SORT 5 2 1 3 4"
        assert answer(session, "THREAD REFERENCES UTF-8 1:2,5", "THREAD") == "THREAD (1 2)(5)"
    check()
    (kept,) = {path.parent for path in backend.files()}
    files = list(kept.glob("structures.*"))
    assert files, "nothing is kept"
    for path in files:
        old = path.read_bytes()
        path.write_bytes(bytes(byte ^ 0xff for byte in old))
    check()
    for path in files:
        path.unlink()
    check()
    # and where something is kept, no file is opened for these
    session.append("INBOX", mails[0]).ok()
    session.command("NOOP").ok()
    for path in backend.files():
        path.rename(path.with_suffix(".away"))
    assert answer(session, "SEARCH 6 FROM gray NOT TO x SUBJECT plain HEADER Message-ID 1@", "SEARCH") == "SEARCH 6"
    assert answer(session, "SORT (DATE SUBJECT FROM) UTF-8 6", "SORT") == "SORT 6"
    for path in kept.glob("*.away"):
        path.rename(path.with_suffix(".eml"))
    session.in_step()
