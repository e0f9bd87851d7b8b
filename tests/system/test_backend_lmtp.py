"""Mail comes to the backend by LMTP."""

import smtplib

from marks import needs, ours
from murder import poll
from postfix import Postfix

MESSAGE = b"From: a@x.example\r\nSubject: one\r\n\r\n.dot\r\n..two\r\nend\r\n"
LMTP = 2003


def with_lmtp(world):
    """A backend that takes mail, where, and Alice's session there: at her first login she gets an INBOX."""
    host = f"{world.murder.net}.{world.beside}"
    backend = world.a_backend(more=f'lmtp = ["{host}:{LMTP}"]')
    return backend, host, world.at(backend, "alice")


def inbox(session):
    """The messages in INBOX."""
    session.select("INBOX").ok()
    return [line.raw for line in session.command("FETCH 1:* BODY.PEEK[]").ok().of("FETCH")]


@ours
def test_lmtp_a_message_is_in_the_inbox_when_it_is_said_so(world):
    backend, host, session = with_lmtp(world)
    session.select("INBOX").ok()
    with smtplib.LMTP(host, LMTP) as lmtp:
        refused = lmtp.sendmail("a@x.example", ["alice+nosuch@here.example", "nobody@here.example"], MESSAGE)
        assert refused == {"nobody@here.example": (550, b"5.1.1 User unknown")}, refused
        backend.kill()
    backend.start()
    (text,) = inbox(world.at(backend, "alice"))
    assert MESSAGE in text and b"Return-Path: <a@x.example>\r\n" in text, text


@ours
def test_lmtp_news_reach_a_session_that_has_the_mailbox_open(world):
    _backend, host, session = with_lmtp(world)
    session.select("INBOX").ok()
    tag = session.start("IDLE")
    session.go_ahead(tag)
    with smtplib.LMTP(host, LMTP) as lmtp:
        assert lmtp.sendmail("", ["alice"], MESSAGE) == {}
    assert session.untagged("EXISTS", 2).raw == b"* 1 EXISTS\r\n"
    session.send(b"DONE\r\n")
    session.finish(tag).ok()


def inbox_of(session, count):
    """The messages in INBOX, once there are so many."""
    poll("mail to be there", 20, lambda: session.exists(session.select("INBOX").ok()) == count)
    return inbox(session)

@ours
@needs("postfix")
def test_lmtp_postfix_delivers(world):
    backend, host, session = with_lmtp(world)
    postfix = Postfix(backend.directory / "postfix", (host, 2525), f"inet:{host}:{LMTP}", "here.example")
    with postfix:
        with smtplib.SMTP(host, 2525) as smtp:
            smtp.sendmail("a@x.example", ["alice@here.example", "nobody@here.example"], MESSAGE)
            smtp.sendmail("a@x.example", ["alice@here.example"], MESSAGE + (b"y" * 76 + b"\r\n") * 30_000)
        postfix.delivers("alice@here.example", "sent")
        assert "dsn=5.1.1" in postfix.delivers("nobody@here.example", "bounced")
        small, _large = sorted(inbox_of(session, 2), key=len)
        # Postfix adds fields to the header.
        assert small.endswith(b"\r\n\r\n.dot\r\n..two\r\nend\r\n)\r\n"), small

