"""PREVIEW at the backend (RFC 8970), by the RFC's examples."""

import base64

from imap_client import message
from marks import ours
from test_backend_condstore import highest

LETTER = "From: a@example.test\r\nSubject: x\r\nMIME-Version: 1.0\r\nContent-Type: text/{kind}; charset=utf-8\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n{body}"


def letter(body, kind="plain", encoding="8bit"):
    return LETTER.format(kind=kind, encoding=encoding, body=body).encode()


def previews(session, items="PREVIEW", numbers="1:*"):
    """By message number."""
    found = {}
    for told in session.command(f"FETCH {numbers} ({items})").ok().of("FETCH"):
        values = told.tree()[2]
        found[int(told.text.split()[0])] = values[values.index(b"PREVIEW") + 1].decode()
    return found


@ours
def test_backend_preview(world):
    """Sections 3 and 5: the text's beginning, in UTF-8, without markup; LAZY as well; \\Seen isn't set."""
    session = world.at(world.a_backend(), "alice")
    long = "caf\u00e9 \u20ac " * 300
    encoded = base64.b64encode("Gr\u00fc\u00dfe\r\n\r\naus Z\u00fcrich".encode()).decode()
    html = '<html><head><title>t</title><style>p {color: red}</style></head><body><p>This &amp; <b>that</b></p><script>x()</script></body></html>'
    letters = {
        letter("This is the first line of text from\r\nthe first text part.\r\n"): "This is the first line of text from the first text part.",
        letter(long): (long[:200]).strip(), letter(encoded, encoding="base64"): "Gr\u00fc\u00dfe aus Z\u00fcrich", letter(html, "html"): "This & that",
        letter(""): "", letter("BEGIN:VCALENDAR", "calendar"): "", letter('quotes "\\ here'): 'quotes "\\ here'}
    for text in letters:
        session.append("INBOX", text).ok()
    # what is far behind isn't looked at, and a large message has a preview
    session.append("INBOX", letter("begin " + "x " * 500_000)).ok()
    session.append("INBOX", letter("\r\n" * 300_000 + "end")).ok()
    before = highest(session.select("INBOX").ok())
    expected = dict(enumerate([*letters.values(), ("begin " + "x " * 200)[:200].strip(), ""], 1))
    for items in ("PREVIEW", "PREVIEW (LAZY)", "UID PREVIEW (LAZY) FLAGS", "PREVIEW BODY.PEEK[HEADER]", "PREVIEW BODYSTRUCTURE BODY.PEEK[]<0.10>"):
        assert previews(session, items) == expected, items
    answer = session.command("FETCH 1 PREVIEW (LAZY)").ok()
    assert answer.of("FETCH")[0].raw == b'* 1 FETCH (PREVIEW "This is the first line of text from the first text part.")\r\n', answer.untagged
    assert session.command(f"FETCH 1:* PREVIEW (CHANGEDSINCE {before})").ok().of("FETCH") == []
    assert previews(session, "FLAGS PREVIEW", "1")[1] and session.command("SEARCH SEEN").ok().of("SEARCH")[0].text == b"SEARCH"
    for wrong in ("FETCH 1 PREVIEW (FUZZY)", "FETCH 1 (PREVIEW ())", "FETCH 1 PREVIEW ()", "FETCH 1 (PREVIEW (LAZY)", "FETCH 1 PREVIEW[1]"):
        session.command(wrong).bad()
    session.in_step()


@ours
def test_backend_preview_of_any_bytes(world):
    """Whatever a message is, its preview is a string of one line, of 200 characters at most."""
    session = world.at(world.a_backend(), "alice")
    nasty = [b"\xff\xfe" * 400, b"<" * 5000, b"Content-Type: text/html\r\n\r\n" + b"<p &#0;&#1114112;&#x1f600;<" * 300,
             b"Content-Type: text/html; charset=utf-16\r\n\r\n\xd8\x01" + b"\x01" * 999, b"Content-Type: multipart/mixed; boundary=x\r\n\r\n" + b"--x\r\n\r\n \r\n" * 3000,
             b"Content-Transfer-Encoding: base64\r\n\r\n" + b"AAAA" * 9000, message("x"), b"Content-Type: text/plain; charset=nosuch\r\n\r\n\xe9t\xe9"]
    for text in nasty:
        session.append("INBOX", text).ok()
    session.select("INBOX").ok()
    told = session.command("FETCH 1:* (PREVIEW)").ok().of("FETCH")
    assert len(told) == len(nasty)
    for response in told:
        text = response.tree()[2][1].decode()
        assert len(text) <= 200, text
        assert not any(ord(char) < 32 or ord(char) == 127 for char in text), text
    session.in_step()
