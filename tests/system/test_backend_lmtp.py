"""Mail comes to the backend by LMTP."""

import signal
import smtplib
import ssl

from certificates import Authority
from imap_client import Conversation
from marks import needs, ours
from murder import poll
from postfix import Postfix
from test_backend_disk import disk, nothing_staged
from test_list_file import fill

MESSAGE = b"From: a@x.example\r\nSubject: one\r\n\r\n.dot\r\n..two\r\nend\r\n"
LMTP = 2003


def with_lmtp(world, top=""):
    """A backend that takes mail, where, and Alice's session there: at her first login she gets an INBOX."""
    host = f"{world.murder.net}.{world.beside}"
    backend = world.a_backend(more=f'lmtp = ["{host}:{LMTP}"]', top=top)
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


def begun(host, text=MESSAGE):
    """A delivery to Alice whose message hasn't ended."""
    lmtp = smtplib.LMTP(host, LMTP)
    lmtp.ehlo("mx.example")
    assert lmtp.mail("a@x.example")[0] == lmtp.rcpt("alice")[0] == 250
    assert lmtp.docmd("DATA")[0] == 354
    lmtp.send(text)
    return lmtp


def ends(lmtp):
    """What it is told before the connection ends."""
    said = (lmtp.file or lmtp.sock.makefile("rb")).read()  # some may have been read with the reply before
    lmtp.close()
    return said


@ours
@needs("openssl")
def test_lmtp_starttls(world):
    ca = Authority(world.murder.directory / "ca-lmtp")
    chain, key = ca.issue("lmtp", "backend.ravenry.test")
    backend, host, session = with_lmtp(world, f'[tls]\ncertificate = "{chain}"\nkey = "{key}"\n')
    context = ssl.create_default_context(cafile=ca.certificate)
    context.check_hostname = False
    lmtp = smtplib.LMTP(host, LMTP)
    lmtp.ehlo("mx.example")
    assert lmtp.has_extn("starttls")
    assert lmtp.mail("a@x.example")[0] == 250
    assert lmtp.starttls(context=context)[0] == 220
    # what was said before is forgotten (RFC 3207 section 4.2)
    assert lmtp.docmd("RCPT TO:<alice>")[0] == 503
    lmtp.ehlo("mx.example")
    assert not lmtp.has_extn("starttls")
    assert lmtp.docmd("STARTTLS")[0] // 100 == 5
    large = MESSAGE + (b"y" * 76 + b"\r\n") * 30_000
    assert lmtp.sendmail("a@x.example", ["alice"], large) == {}
    lmtp.quit()
    (text,) = inbox(session)
    assert large in text
    # nothing may come in one piece with STARTTLS
    lmtp = smtplib.LMTP(host, LMTP)
    lmtp.ehlo("mx.example")
    lmtp.send(b"STARTTLS\r\nMAIL FROM:<evil@x.example>\r\n")
    assert ends(lmtp).startswith(b"421 5.5.1 ")


@ours
def test_lmtp_while_the_server_stops(world):
    """Whoever waits is sent away; a message that ends in time is stored, one that doesn't isn't, nor is half of it."""
    backend, host, session = with_lmtp(world, '[limits]\ndrain = "3s"\n')
    session.close()
    idle = smtplib.LMTP(host, LMTP)
    idle.ehlo("mx.example")
    ending, endless = begun(host), begun(host, MESSAGE * 1000)
    backend.process.send_signal(signal.SIGTERM)
    assert ends(idle).startswith(b"421 4.3.2 ")
    ending.send(b".\r\n")
    assert ending.getreply()[0] == 250
    assert ends(ending).startswith(b"421 4.3.2 ")
    assert b"250" not in ends(endless)
    assert backend.process.wait(20) == 0
    backend.start()
    (text,) = inbox(world.at(backend, "alice"))
    assert text.count(b"Subject: one") == 1, text
    nothing_staged(backend)


@ours
@needs("mount")
def test_lmtp_no_room(world):
    """A full disk: 452, nothing is stored, and the next message comes when there is room."""
    host = f"{world.murder.net}.{world.beside}"
    backend = world.a_backend(start=False, more=f'lmtp = ["{host}:{LMTP}"]')
    large = MESSAGE + (b"y" * 76 + b"\r\n") * 10_000
    with disk(backend, "spool", 4096) as spool:
        backend.start()
        session = world.at(backend, "alice")
        fill(spool, 40_000)
        with smtplib.LMTP(host, LMTP) as lmtp:
            for _ in range(2):
                lmtp.ehlo("mx.example")
                assert lmtp.mail("a@x.example")[0] == lmtp.rcpt("alice")[0] == 250
                assert lmtp.data(large)[0] == 452
                nothing_staged(backend)
            assert session.exists(session.select("INBOX").ok()) == 0
            (spool / "filler").unlink()
            assert lmtp.sendmail("a@x.example", ["alice"], large) == {}
        (text,) = inbox(session)
        assert large in text


@ours
def test_lmtp_waits_have_an_end(world):
    """Who says nothing, or stops within a message, is given up; nothing of it is stored."""
    backend, host, session = with_lmtp(world, '[limits]\nautologout = "1s"\nlogin = "1s"\nstall = "1s"\n')
    idle, stalled = smtplib.LMTP(host, LMTP), begun(host)
    assert ends(idle).startswith(b"421 4.4.2 ")
    assert b"250" not in ends(stalled)
    with Conversation(backend.address) as session:
        session.login("alice", "alicepw").ok()
        assert session.exists(session.select("INBOX").ok()) == 0
    nothing_staged(backend)
