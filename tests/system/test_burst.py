"""Pipelining: whole bursts of commands in one go, that alternate backends and have literals in them."""

import threading

from imap_client import Broken, Literal, message
from marks import ours


def wire(tag, *parts):
    """A command as bytes, its literals non-synchronizing."""
    out = tag + b" "
    for part in parts:
        out += part.marker() + part.data if isinstance(part, Literal) else part.encode()
    return out + b"\r\n"


def literal(data):
    return Literal(data if isinstance(data, bytes) else data.encode(), plus=True)


def burst(box, n):
    """One round over both backends: pairs of the command's parts and a check of its answer."""
    subject = f"burst{n}"
    text = message(subject, 100 * n)
    return [
        (("APPEND ", literal("INBOX"), " (\\Flagged) ", literal(text)),
         lambda a: a.code.startswith("APPENDUID ")),
        (("APPEND ", literal(box), " ", literal(text), " (\\Seen) ", literal(text)),
         lambda a: a.code.startswith("APPENDUID ")),
        (("STATUS ", literal("INBOX"), " (MESSAGES)"), lambda a: a.of("STATUS")[0].tree()[2][1] == b"%d" % (n + 1)),
        (("STATUS ", literal(box), " (MESSAGES)"), lambda a: a.of("STATUS")[0].tree()[2][1] == b"%d" % (2 * n + 2)),
        (("SELECT ", literal("INBOX")), lambda a: a.of("EXISTS")[-1].text == b"%d EXISTS" % (n + 1)),
        (("SEARCH SUBJECT ", literal(subject), " FLAGGED"), lambda a: a.of("SEARCH")[0].text == b"SEARCH %d" % (n + 1)),
        ((f"FETCH {n + 1} (FLAGS BODY.PEEK[])",), lambda a: text in a.of("FETCH")[0].raw),
        (("EXAMINE ", literal(box)), lambda a: a.of("EXISTS")[-1].text == b"%d EXISTS" % (2 * n + 2)),
        (("UID SEARCH SUBJECT ", literal(subject), " BODY ", literal(f"body of {subject}")),
         lambda a: a.of("SEARCH")[0].text == b"SEARCH %d %d" % (2 * n + 1, 2 * n + 2)),
        ((f"FETCH {2 * n + 1}:{2 * n + 2} BODY.PEEK[]",), lambda a: [text in r.raw for r in a.of("FETCH")] == [True] * 2),
        (("LIST \"\" ", literal(box)), lambda a: len(a.of("LIST")) == 1),
        (("SELECT ", literal("INBOX.nosuch")), lambda a: a.status == "NO"),
        (("NOSUCH ", literal("x\r\ny")), lambda a: a.status == "BAD"),
        (("NOOP",), lambda a: a.status == "OK"),
    ]


def test_a_burst_that_alternates_two_backends(world):
    user, box = world.user("backend1"), world.shared("backend2")
    session = world.client(user)
    commands = [step for n in range(15) for step in burst(box, n)]
    tags = [b"b%d" % n for n in range(len(commands))]
    session.waiting += tags
    data = b"".join(wire(tag, *parts) for tag, (parts, _) in zip(tags, commands))
    sender = threading.Thread(target=session.send, args=(data,))
    sender.start()
    for tag, (parts, holds) in zip(tags, commands):
        answer = session.finish(tag)  # replies come in order: any other tag is an error
        assert holds(answer), f"{parts}: {answer.text} {answer.untagged}"
    sender.join()
    session.in_step()


def test_a_burst_of_one_mailbox(world):
    session = world.client(world.user("backend2"))
    session.append("INBOX", message("x")).ok()
    session.select("INBOX").ok()
    session.waiting += [b"f%d" % n for n in range(1000)]
    session.send(b"".join(b"f%d FETCH 1 (UID FLAGS)\r\n" % n for n in range(1000)))
    for n in range(1000):
        assert len(session.finish(b"f%d" % n).ok().of("FETCH")) == 1
    session.in_step()


def test_a_burst_whose_client_goes_away(world):
    user, box = world.user("backend1"), world.shared("backend2")
    for _ in range(5):
        session = world.client(user)
        session.send(b"".join(wire(b"x", *parts) for n in range(5) for parts, _ in burst(box, n)))
        session.close()
    world.client(user).select("INBOX").ok()


@ours
def test_sixty_sessions_at_once(world):
    """Sessions of both backends side by side each get their own answers."""
    box, users = world.shared("backend2"), [world.user("backend1") for _ in range(6)]
    sessions = [world.client(users[n % 6]) for n in range(60)]
    errors = []

    def use(n, session):
        try:
            mine = f"session{n}"
            for _ in range(5):
                session.append(box, message(mine)).ok()
                session.select(box).ok()
                assert session.command("SEARCH SUBJECT ", literal(mine)).ok().of("SEARCH")[0].text != b"SEARCH"
                session.select("INBOX").ok()
                session.command("NOOP").ok()
        except (AssertionError, Broken, OSError) as error:
            errors.append(f"session {n}: {error}")
    threads = [threading.Thread(target=use, args=item) for item in enumerate(sessions)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors, errors[:3]
    assert sessions[0].exists(sessions[0].select(box).ok()) == 300
