"""CATENATE at the backend (RFC 4469), by the RFC's examples; URLs of RFC 5092."""

import re

from imap_client import Literal, message
from marks import ours
from test_backend_qresync import validity

DRAFT = b"""\
From: bob@example.test
Subject: a draft
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary=cut

--cut
Content-Type: text/plain

hello
--cut
Content-Type: application/x-zip

PK and so on
--cut--
""".replace(b"\n", b"\r\n")


def ready(world, **more):
    """A session, the UIDVALIDITY of its INBOX, and a draft in it with UID 1."""
    backend = world.a_backend(**more)
    session = world.at(backend, "alice")
    session.append("INBOX", DRAFT).ok()
    return backend, session, validity(session.select("INBOX").ok())


def host(backend):
    return f"{backend.name}.ravenry.test"


def part(session, section):
    (told,) = session.command(f"UID FETCH 1 (BODY.PEEK[{section}])").ok().of("FETCH")
    return told.tree()[2][-1]


@ours
def test_backend_catenate(world):
    """Section 3: header and attachment of a message that is there, and a new text between."""
    backend, session, uidvalidity = ready(world)
    header, zipped = part(session, "HEADER"), part(session, "2")
    session.command("CREATE INBOX.Sent").ok()
    before = f"/INBOX;UIDVALIDITY={uidvalidity}/;UID=1"
    text = b"--cut\r\n\r\nhello, anew\r\n--cut\r\nContent-Type: application/x-zip\r\n\r\n"
    answer = session.command(
        f'APPEND INBOX.Sent (\\Seen) CATENATE (URL "{before}/;section=HEADER" TEXT ', Literal(text),
        f' URL "{before}/;section=2" TEXT ', Literal(b"\r\n--cut--\r\n", plus=True), ")").ok()
    assert re.fullmatch(r"APPENDUID \d+ 1", answer.code), answer.code
    # without a literal at all; parts of parts; fields; one that is relative to the selected mailbox
    pieces = {"HEADER": part(session, "HEADER"), "1.MIME": part(session, "1.MIME"), "2": zipped, "TEXT": part(session, "TEXT"),
              "HEADER.FIELDS%20(Subject)": part(session, "HEADER.FIELDS (Subject)"), "HEADER.FIELDS.NOT%20(%22From%22)": part(session, "HEADER.FIELDS.NOT (From)")}
    for section, expected in pieces.items():
        for url in (f"{before}/;SECTION={section}", f"/INBOX/;uid=1/;section={section}", f";UID=1/;SECTION={section}", f"imap://alice@{host(backend)}{before}/;SECTION={section}"):
            made = session.command(f'APPEND INBOX.Sent CATENATE (URL "{url}")').ok().code.split()[2]
            other = session.command(f'APPEND INBOX.Sent CATENATE (URL "{url}/;PARTIAL=3.7" URL "{url}/;PARTIAL=9999" URL "{url}/;PARTIAL=3")').ok().code.split()[2]
            session.select("INBOX.Sent").ok()
            assert session.body(made, uid=True) == expected, url
            assert session.body(other, uid=True) == expected[3:10] + expected[3:], url
            session.select("INBOX").ok()
    whole = session.command(f'APPEND INBOX.Sent CATENATE (URL "{before}")').ok().code.split()[2]
    session.select("INBOX.Sent").ok()
    assert session.body(1, uid=True) == header + text + zipped + b"\r\n--cut--\r\n"
    assert session.body(whole, uid=True) == DRAFT
    assert b"\\Seen" in session.command("UID FETCH 1 FLAGS").ok().of("FETCH")[0].raw
    session.select("INBOX").ok()
    assert b"\\Seen" not in session.command("FETCH 1 FLAGS").ok().of("FETCH")[0].raw, "what a URL names was read, not seen"
    session.in_step()


@ours
def test_backend_catenate_with_others(world):
    """With MULTIAPPEND (section 3), with REPLACE (RFC 8508 section 4.2), URLs in literals, names beyond ASCII."""
    backend, session, _ = ready(world)
    session.command("CREATE INBOX.&U,BTFw-").ok()
    session.command("CREATE INBOX.out").ok()
    session.append("INBOX.&U,BTFw-", message("far")).ok()
    url = "/INBOX.%E5%8F%B0%E5%8C%97/;UID=1"
    answer = session.command(
        "APPEND INBOX.out (\\Flagged) CATENATE (URL ", Literal(url.encode(), plus=True), f' URL "{url}") ', Literal(message("plain"), plus=True),
        f' (\\Seen) "17-Jul-1996 02:44:25 -0700" catenate (text ', Literal(b"a: b\r\n\r\n"), " text ", Literal(b"", plus=True), " url ", Literal(b";UID=1"), ")").ok()
    assert answer.code.split()[2] == "1:3", answer.code
    # all or none
    session.command("APPEND INBOX.out ", Literal(message("no"), plus=True), ' CATENATE (URL "/INBOX/;UID=99")').no("BADURL")
    session.command('APPEND INBOX.out CATENATE (URL ', Literal(b"/INBOX/;UID=99", plus=True), " TEXT ", Literal(b"x", plus=True), ")").no("BADURL")
    session.select("INBOX.out").ok()
    assert [session.body(n) for n in (1, 2, 3)] == [message("far") * 2, message("plain"), b"a: b\r\n\r\n" + DRAFT]
    assert session.exists(session.select("INBOX.out").ok()) == 3
    (third,) = session.command("FETCH 3 (FLAGS INTERNALDATE BODYSTRUCTURE)").ok().of("FETCH")
    assert b"\\Seen" in third.raw and b"17-Jul-1996" in third.raw
    # a draft goes to where it was sent, and goes
    session.select("INBOX").ok()
    answer = session.command('REPLACE 1 INBOX.out CATENATE (URL ";UID=1/;SECTION=HEADER" TEXT ', Literal(b"bye\r\n"), ")").ok()
    assert [r.word for r in answer.untagged] == [b"OK", b"EXPUNGE"] and b"[APPENDUID" in answer.untagged[0].raw, answer.untagged
    answer = session.command('UID REPLACE 1 INBOX.out CATENATE (URL ";UID=1")').no("NONEXISTENT")
    session.append("INBOX", DRAFT).ok()
    answer = session.command('UID REPLACE 2 INBOX.out CATENATE (URL ";UID=2")').ok()
    session.select("INBOX.out").ok()
    assert session.body(5) == DRAFT
    session.in_step()


@ours
def test_backend_catenate_refuses(world):
    """Section 4: BADURL names the URL, TOOBIG; nothing has come; no literal is asked for behind a URL that is bad."""
    backend, session, uidvalidity = ready(world, more='message_size = "128 KiB"')
    session.append("INBOX", message("large", 100_000)).ok()
    bob = world.at(backend, "bob")
    bob.append("INBOX", message("secret")).ok()
    name = host(backend)
    for url in ("/INBOX", "/INBOX/;UID=3", "/INBOX/;UID=0", "/NOSUCH/;UID=1", "/user.bob/;UID=1", f"/INBOX;UIDVALIDITY={int(uidvalidity) + 1}/;UID=1",
                "/INBOX/;UID=1/;SECTION=3", "/INBOX/;UID=1/;SECTION=x", "/INBOX/;UID=1;URLAUTH=anonymous", "http://x/", "x", "",
                f"imap://bob@{name}/INBOX/;UID=1", "imap://alice@elsewhere.test/INBOX/;UID=1", f"imap://alice@{name}:1/INBOX/;UID=1", "/%C3%28/;UID=1"):
        for rest in ((")",), (" TEXT ", Literal(b"x"), ")"), (" TEXT ", Literal(b"x", plus=True), ")")):
            answer = session.command(f'APPEND INBOX CATENATE (URL "{url}"', *rest).no("BADURL")
            assert answer.code == f'BADURL "{url}"', answer.text
    answer = session.command("APPEND INBOX CATENATE (URL ", Literal(b'/a]"\\ \xff/;UID=1', plus=True), ")").no("BADURL")
    assert answer.code == 'BADURL "/a%5D%22%5C%20%FF/;UID=1"', answer.text
    twice = '"/INBOX/;UID=2"'
    session.command(f"APPEND INBOX CATENATE (URL {twice} URL {twice})").no("TOOBIG")
    session.command(f"APPEND INBOX CATENATE (URL {twice} TEXT ", Literal(b"x" * 60_000), ")").no("TOOBIG")
    session.command(f"APPEND INBOX CATENATE (URL {twice}) CATENATE (URL {twice})").no("LIMIT")
    session.command("APPEND INBOX CATENATE (URL ", Literal(b"x" * 70_000, plus=True), ")").no("LIMIT")
    session.command("APPEND INBOX CATENATE (TEXT ", Literal(b"", plus=True), ")").no("CANNOT")
    session.command("APPEND INBOX CATENATE (TEXT ", Literal(b"\0", plus=True), ")").no("CANNOT")
    for wrong in ("CATENATE ()", "CATENATE (URL)", "CATENATE (TEXT x)", "CATENATE (URL x", "CATENATE URL x", "CATENATE (URL x) x"):
        session.command(f"APPEND INBOX {wrong}").bad()
        session.command(f"APPEND INBOX {wrong} ", Literal(b"x", plus=True)).bad()
        session.command("NOOP").ok()
    many = " ".join(['CATENATE (URL "/INBOX/;UID=1/;SECTION=1")'] * 257)
    session.command(f"APPEND INBOX {many}").no("LIMIT")
    many = " ".join(['URL "/INBOX/;UID=1/;SECTION=1"'] * 1025)
    session.command(f"APPEND INBOX CATENATE ({many})").no("LIMIT")
    # a mailbox of which nothing may be read
    bob.command("SETACL INBOX alice lk").ok()
    session.command('APPEND INBOX CATENATE (URL "/user.bob/;UID=1")').no("BADURL")
    session.command("UNSELECT").ok()
    session.command('APPEND INBOX CATENATE (URL ";UID=1")').no("BADURL")
    assert session.exists(session.select("INBOX").ok()) == 2
    stranger = world.at(backend)
    stranger.command('APPEND INBOX CATENATE (URL "/INBOX/;UID=1")').bad()
    stranger.in_step()
    session.in_step()


@ours
def test_backend_catenate_large(world):
    """What a URL names goes from file to file, piece by piece."""
    _, session, _ = ready(world)
    large = message("large", 3_000_000)
    session.append("INBOX", large).ok()
    session.command('APPEND INBOX CATENATE (TEXT ', Literal(b"X: y\r\n"), ' URL "/INBOX/;UID=2" URL "/INBOX/;UID=2/;SECTION=TEXT/;PARTIAL=1000000.1000000")').ok()
    text = large[large.index(b"\r\n\r\n") + 4:]
    session.command("NOOP").ok()
    assert session.body(3) == b"X: y\r\n" + large + text[1_000_000:2_000_000]
    session.in_step()


@ours
def test_backend_catenate_in_any_split(world):
    """REPLACE, CATENATE and literal8 in two pieces, cut anywhere, and byte by byte: always the same answers."""
    backend, session, _ = ready(world)
    session.append("INBOX", message("last")).ok()
    header = b"Content-Transfer-Encoding: binary\r\n\r\n"
    script = (b"s1 SELECT INBOX\r\ns2 APPEND INBOX (\\Seen) CATENATE (URL {6+}\r\n;UID=1 TEXT {%d+}\r\n%s TEXT ~{3+}\r\n\0)\0)\r\n"
              b"s3 REPLACE * {5+}\r\nINBOX (\\Flagged) {%d+}\r\n%s\r\ns4 REPLACE * INBOX CATENATE (URL \"/INBOX/;UID=1\" URL {13+}\r\n/INBOX/;UID=1)\r\n"
              b"s5 UID REPLACE 9999999 INBOX {3+}\r\n)\r\n\r\ns6 APPEND INBOX CATENATE (URL x TEXT {4+}\r\n\r\n) TEXT {2+}\r\ns7)\r\ns8 NOOP\r\n"
              % (len(header), header, len(message("new")), message("new")))
    words = {b"s1": b"OK", b"s2": b"NO", b"s3": b"OK", b"s4": b"OK", b"s5": b"NO", b"s6": b"NO", b"s8": b"OK"}
    pieces = [[script[:cut], script[cut:]] for cut in range(3, len(script), 11)] + [[script[at:at + 1] for at in range(len(script))]]
    for chunks in pieces:
        other = world.at(backend, "alice")
        other.waiting += list(words)
        for chunk in chunks:
            other.send(chunk)
        said = {}
        while len(said) < len(words):
            got = other.response()
            if got.tag != b"*":
                said[got.tag] = got.word
        assert said == words, said
        other.in_step()
        other.close()
    session.command("NOOP").ok()
    session.command("SELECT INBOX").ok()
    assert session.body(2) == DRAFT + DRAFT
    session.in_step()
