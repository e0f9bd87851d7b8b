"""Several sessions of one mailbox at the backend: each has its own numbers, and hears of the others when it may.

A number whose message another session has expunged, before this one was told: FETCH answers for what is there and
`OK [EXPUNGEISSUED]` (RFC 2180 section 4.1.2, with RFC 5530's code), STORE likewise (4.2), COPY copies what is there; none
of them tells EXPUNGE (RFC 3501 section 7.4.1).
"""

import random
import socket
import threading
import time
from functools import partial

from imap_client import Literal, message
from marks import ours
from murder import poll
from test_bad_input import memory


def filled(world, count, flags=""):
    backend = world.a_backend()
    one = world.at(backend, "alice")
    for number in range(1, count + 1):
        one.append("INBOX", message(f"m{number}"), flags).ok()
    one.select("INBOX").ok()
    two = world.at(backend, "alice")
    two.select("INBOX").ok()
    return backend, one, two


def gone(session, *numbers):
    for number in numbers:
        session.command(f"UID STORE {number} +FLAGS.SILENT (\\Deleted)").ok()
        session.command(f"UID EXPUNGE {number}").ok()


def words(answer):
    return [response.word for response in answer.untagged]


@ours
def test_backend_numbers_stay_while_others_expunge(world):
    _, one, two = filled(world, 6)
    gone(one, 2, 4)
    answer = two.command("FETCH 1:6 UID").ok()
    assert b"EXPUNGE" not in words(answer) and answer.code == "EXPUNGEISSUED", (answer.untagged, answer.text)
    assert [r.raw for r in answer.of("FETCH")] == [b"* %d FETCH (UID %d)\r\n" % (n, n) for n in (1, 3, 5, 6)]
    answer = two.command("STORE 3:5 +FLAGS (\\Flagged)").ok()
    assert b"EXPUNGE" not in words(answer) and answer.code == "EXPUNGEISSUED", (answer.untagged, answer.text)
    assert {r.text.split()[0] for r in answer.of("FETCH")} == {b"3", b"5"}, answer.untagged
    answer = two.command("SEARCH FLAGGED").ok()
    assert b"EXPUNGE" not in words(answer) and answer.of("SEARCH")[0].text == b"SEARCH 3 5", answer.untagged
    # numbers beyond what the session knows are a mistake; those of messages that are gone are none
    two.command("FETCH 7 UID").bad()
    assert two.command("FETCH 2 (FLAGS BODY.PEEK[])").ok().of("FETCH") == []
    assert two.command("STORE 4 FLAGS ()").ok().of("FETCH") == []
    answer = two.command("NOOP").ok()
    assert [r.raw for r in answer.of("EXPUNGE")] in ([b"* 4 EXPUNGE\r\n", b"* 2 EXPUNGE\r\n"],
                                                       [b"* 2 EXPUNGE\r\n", b"* 3 EXPUNGE\r\n"])
    assert [r.raw for r in two.command("FETCH 1:4 UID").ok().of("FETCH")] == [
        b"* %d FETCH (UID %d)\r\n" % pair for pair in ((1, 1), (2, 3), (3, 5), (4, 6))]
    # with UIDs numbers aren't in use, so they may be told
    gone(one, 1)
    assert two.command("UID FETCH 3 UID").ok().of("EXPUNGE")[0].raw == b"* 1 EXPUNGE\r\n"


@ours
def test_backend_copy_and_move_of_what_is_partly_gone(world):
    _, one, two = filled(world, 4)
    one.command("CREATE INBOX.x").ok()
    gone(one, 2)
    assert two.command("COPY 1:3 INBOX.x").ok().code.split()[2:] == ["1,3", "1:2"]
    gone(one, 3)
    answer = two.command("MOVE 1:2 INBOX.x").ok()
    assert [r.text for r in two.command("UID SEARCH ALL").ok().of("SEARCH")] == [b"SEARCH 4"], answer.untagged
    assert two.command("STATUS INBOX.x (MESSAGES)").ok().of("STATUS")[0].tree()[2][1] == b"3"


@ours
def test_backend_a_busy_session_hears_at_its_next_moment(world):
    """EXISTS and FETCH with any command, EXPUNGE with all but FETCH, STORE and SEARCH; each once."""
    _, one, two = filled(world, 3)
    one.append("INBOX", message("m4")).ok()
    one.command("STORE 1 +FLAGS.SILENT (\\Flagged $k)").ok()
    answer = two.command("SEARCH ALL").ok()
    assert [r.raw for r in answer.of("EXISTS")] == [b"* 4 EXISTS\r\n"]
    assert any(b"$k" in r.raw for r in answer.of("FLAGS")), "a keyword that is new isn't told"
    assert [set(r.tree()[2][1]) - {b"\\Recent"} for r in answer.of("FETCH")] == [{b"\\Flagged", b"$k"}]
    for command in ("NOOP", "CHECK", "STATUS INBOX (MESSAGES)", "LIST \"\" INBOX", "UID SEARCH ALL", "UID STORE 3 FLAGS ()",
                    "UID FETCH 3 UID", "ID NIL", "CAPABILITY"):
        one.append("INBOX", message("x"), "(\\Deleted)").ok()
        one.command("EXPUNGE").ok()
        answer = two.command(command).ok()
        told = words(answer)
        assert (told.count(b"EXPUNGE"), told.count(b"EXISTS")) in ((0, 0), (1, 1)), f"{command}: {answer.untagged}"
        assert words(two.command("NOOP").ok()) == [], f"{command}: told twice"
    gone(one, 1)
    for command in ("FETCH 2 UID", "STORE 2 +FLAGS.SILENT (\\Seen)", "SEARCH ALL"):
        assert b"EXPUNGE" not in words(two.command(command).ok()), command
    assert words(two.command("NOOP").ok()).count(b"EXPUNGE") == 1


@ours
def test_backend_idle_hears_at_once_and_all(world):
    _, one, two = filled(world, 3)
    tag = two.start("IDLE")
    assert two.go_ahead(tag)
    one.command("STORE 2 +FLAGS.SILENT (\\Seen)").ok()
    assert b"* 2 FETCH" in two.untagged("FETCH", 2).raw
    one.command("STORE 1:2 +FLAGS.SILENT (\\Deleted)").ok()
    for _ in range(2):
        assert b"\\Deleted" in two.untagged("FETCH", 2).raw
    one.command("EXPUNGE").ok()
    assert [two.untagged("EXPUNGE", 2).raw for _ in range(2)] in (
        [b"* 2 EXPUNGE\r\n", b"* 1 EXPUNGE\r\n"], [b"* 1 EXPUNGE\r\n", b"* 1 EXPUNGE\r\n"])
    one.append("INBOX", message("new")).ok()
    assert two.untagged("EXISTS", 2).raw == b"* 2 EXISTS\r\n"
    two.send(b"DONE\r\n")
    two.finish(tag).ok()
    assert words(two.command("NOOP").ok()) == []


@ours
def test_backend_silent_is_for_the_one_who_asked(world):
    _, one, two = filled(world, 2)
    assert words(one.command("STORE 1:2 +FLAGS.SILENT (\\Seen)").ok()) == []
    assert words(one.command("NOOP").ok()) == [], "told of its own change that was to be silent"
    assert words(two.command("NOOP").ok()) == [b"FETCH"] * 2
    # no change, no news
    one.command("STORE 1:2 +FLAGS.SILENT (\\Seen)").ok()
    assert words(two.command("NOOP").ok()) == []
    # what another did in between is told nevertheless
    two.command("STORE 1 +FLAGS.SILENT (\\Answered)").ok()
    answer = one.command("STORE 2 +FLAGS.SILENT (\\Draft)").ok()
    assert [r.text.split()[0] for r in answer.of("FETCH")] == [b"1"], answer.untagged


@ours
def test_backend_recent_is_in_one_session(world):
    backend = world.a_backend()
    for number in range(5):
        world.at(backend, "alice").append("INBOX", message(f"m{number}")).ok()
    looking = world.at(backend, "alice")
    assert looking.select("INBOX", "EXAMINE").ok().of("RECENT")[0].raw == b"* 5 RECENT\r\n"
    one, two = world.at(backend, "alice"), world.at(backend, "alice")
    assert one.select("INBOX").ok().of("RECENT")[0].raw == b"* 5 RECENT\r\n"
    assert two.select("INBOX").ok().of("RECENT")[0].raw == b"* 0 RECENT\r\n"
    assert one.command("SEARCH RECENT").ok().of("SEARCH")[0].text == b"SEARCH 1 2 3 4 5"
    assert two.command("SEARCH RECENT").ok().of("SEARCH")[0].text == b"SEARCH"
    for session in (one, two):
        tag = session.start("IDLE")
        assert session.go_ahead(tag)
        session.idling = tag
    looking.append("INBOX", message("new")).ok()
    counts = []
    for session, before in ((one, 5), (two, 0)):
        session.untagged("EXISTS", 2)
        counts.append(int(session.untagged("RECENT", 2).text.split()[0]) - before)
        session.send(b"DONE\r\n")
        session.finish(session.idling).ok()
    assert sorted(counts) == [0, 1], f"the new one is \\Recent in {sum(counts)} sessions"


@ours
def test_backend_examine_sees_and_changes_nothing(world):
    backend, one, _ = filled(world, 2)
    looking = world.at(backend, "alice")
    looking.select("INBOX", "EXAMINE").ok()
    one.command("STORE 1 +FLAGS.SILENT (\\Flagged \\Deleted)").ok()
    assert b"\\Flagged" in looking.command("NOOP").ok().of("FETCH")[0].raw
    looking.command("FETCH 2 BODY[]").ok()
    assert one.command("SEARCH SEEN").ok().of("SEARCH")[0].text == b"SEARCH"
    looking.command("STORE 2 +FLAGS (\\Seen)").no("READ-ONLY")
    looking.command("CLOSE").ok()
    assert one.command("SEARCH ALL").ok().of("SEARCH")[0].text == b"SEARCH 1 2"


@ours
def test_backend_a_mailbox_goes_while_it_is_selected(world):
    backend, one, two = filled(world, 1)
    one.command("CREATE INBOX.going").ok()
    one.append("INBOX.going", message("x")).ok()
    two.select("INBOX.going").ok()
    idle = world.at(backend, "alice")
    idle.select("INBOX.going").ok()
    tag = idle.start("IDLE")
    assert idle.go_ahead(tag)
    one.command("DELETE INBOX.going").ok()
    for command in ("NOOP", "FETCH 1 BODY.PEEK[]", "STORE 1 +FLAGS (\\Seen)", "UID EXPUNGE 1", "COPY 1 INBOX",
                    "APPEND INBOX.going {3+}\r\nx:y"):
        assert two.command(command).status in ("OK", "NO"), command
    two.select("INBOX").ok()
    idle.send(b"DONE\r\n")
    idle.finish(tag)
    idle.in_step()
    one.command("CREATE INBOX.going").ok()
    assert one.exists(one.select("INBOX.going").ok()) == 0


class Client:
    """A client's own book of a mailbox: UIDs by number, as the responses tell."""

    def __init__(self, session, mailbox="INBOX"):
        self.session = session
        answer = session.select(mailbox).ok()
        self.uids = []
        self.take(answer)
        self.look()

    def take(self, answer, may_expunge=True):
        for response in answer.untagged:
            if response.word == b"EXPUNGE":
                assert may_expunge, f"EXPUNGE where numbers are in use: {answer.untagged}"
                del self.uids[int(response.text.split()[0]) - 1]
            elif response.word == b"EXISTS":
                count = int(response.text.split()[0])
                assert count >= len(self.uids), f"EXISTS {count}, and {len(self.uids)} are known"
                self.uids += [None] * (count - len(self.uids))

    def look(self):
        """All that is known by number has its UID, the same as before."""
        if not self.uids:
            return
        answer = self.session.command("FETCH 1:* (UID FLAGS)").ok()
        known = list(self.uids)
        for response in answer.of("FETCH"):
            number, _, items = response.tree()[:3]
            if b"UID" in items and int(number) <= len(known):
                uid = int(items[items.index(b"UID") + 1])
                assert known[int(number) - 1] in (None, uid), f"number {number} was {known[int(number) - 1]} and is {uid}"
                self.uids[int(number) - 1] = uid
        self.take(answer, may_expunge=False)


def act(client, names, dice):
    """Something at random. The mailbox has one of these names."""
    session, number = client.session, dice.randint(1, len(client.uids)) if client.uids else None
    what = dice.randrange(7)
    if what <= 1 or number is None:
        answer = session.append(dice.choice(names), message("more"))
        assert answer.status == "OK" or len(names) > 1 and answer.code == "TRYCREATE", answer.text
        client.take(answer)
    elif what == 2:
        client.take(session.command(f"STORE {number} +FLAGS (\\Deleted)").ok(), may_expunge=False)
    elif what == 3:
        client.take(session.command("EXPUNGE").ok())
    elif what == 4:
        client.take(session.command(f"MOVE {number} INBOX.x").ok())
    elif what == 5:
        client.take(session.command("SEARCH NOT DELETED").ok(), may_expunge=False)
    else:
        client.look()


def meet(clients, work, seconds=6):
    """Each does its work again and again, all at once; then their books are compared."""
    until, errors = time.monotonic() + seconds, []

    def run(turn):
        try:
            while time.monotonic() < until:
                turn()
        except (AssertionError, OSError, IndexError) as error:
            errors.append(error)
    threads = [threading.Thread(target=run, args=(turn,)) for turn in work]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors, errors
    for client in clients:
        client.take(client.session.command("NOOP").ok())
        client.look()
    assert all(client.uids == clients[0].uids for client in clients), [client.uids for client in clients]
    assert None not in clients[0].uids


@ours
def test_backend_books_of_many_clients_agree(world):
    """Six clients append, flag, expunge, move and look at random; each one's book is right all the time, and equal in the end."""
    backend = world.a_backend(more='proxy_users = ["mailproxy"]')
    first = world.at(backend, "alice")
    first.command("CREATE INBOX.x").ok()
    for number in range(20):
        first.append("INBOX", message(f"m{number}")).ok()
    clients = [Client(world.at(backend, "alice")) for _ in range(6)]
    meet(clients, [partial(act, client, ["INBOX"], random.Random(n)) for n, client in enumerate(clients)])


@ours
def test_backend_books_agree_while_the_mailbox_is_renamed(world):
    """The same, while another session gives their mailbox one name after the other: whoever has it selected notices nothing."""
    backend, names = world.a_backend(more='proxy_users = ["mailproxy"]'), ["INBOX.a", "INBOX.b"]
    first = world.at(backend, "alice")
    first.command("CREATE INBOX.x").ok()
    first.command("CREATE INBOX.a").ok()
    for number in range(20):
        first.append("INBOX.a", message(f"m{number}")).ok()
    clients = [Client(world.at(backend, "alice"), "INBOX.a") for _ in range(6)]
    renamed = []

    def rename():
        first.command(f"RENAME {names[len(renamed) % 2]} {names[(len(renamed) + 1) % 2]}").ok()
        renamed.append(None)
        time.sleep(0.01)
    meet(clients, [rename, *(partial(act, client, names, random.Random(n)) for n, client in enumerate(clients))])
    assert len(renamed) > 10
    assert first.exists(first.select(names[len(renamed) % 2]).ok()) == len(clients[0].uids)


@ours
def test_backend_a_fetch_that_sets_seen_is_told_to_others(world):
    _, one, two = filled(world, 3)
    assert b"\\Seen" in one.command("FETCH 2 BODY[TEXT]").ok().of("FETCH")[0].raw
    assert words(one.command("NOOP").ok()) == [], "told again what the FETCH had told"
    (news,) = two.command("NOOP").ok().of("FETCH")
    assert news.text.split()[0] == b"2" and b"\\Seen" in news.raw, news.raw
    one.command("FETCH 2 BODY[TEXT]").ok()
    assert words(two.command("NOOP").ok()) == []


@ours
def test_backend_keywords_are_one_in_any_case_and_not_without_end(world):
    _, one, two = filled(world, 2)
    one.command("STORE 1 +FLAGS.SILENT ($Label)").ok()
    one.command("STORE 2 +FLAGS.SILENT ($LABEL)").ok()
    assert one.command("SEARCH KEYWORD $label").ok().of("SEARCH")[0].text == b"SEARCH 1 2"
    told = one.select("INBOX").ok()
    assert told.of("FLAGS")[0].raw.lower().count(b"$label") == 1
    count = next(n for n in range(1000) if one.command(f"STORE 1 +FLAGS.SILENT (k{n})").status != "OK")
    assert count > 20, f"{count} keywords"
    one.command("STORE 1 +FLAGS (another)").no("LIMIT")
    one.append("INBOX", message("x"), "(another)").no("LIMIT")
    one.command("STORE 2 FLAGS (k1 $Label)").ok()
    flags = one.command("FETCH 1 FLAGS").ok().of("FETCH")[0].raw
    assert all(b"k%d" % n in flags for n in range(count)), flags
    two.command("NOOP").ok()
    for session in (one, two):
        permanent = next(r.raw for r in session.select("INBOX").ok().untagged if b"[PERMANENTFLAGS" in r.raw)
        assert b"\\*" not in permanent, f"no keyword can be made, and PERMANENTFLAGS says that one can: {permanent}"


@ours
def test_backend_idle_has_an_end(world):
    """RFC 2177: a client that is silent for too long is logged out, and is told."""
    backend = world.a_backend(top='[limits]\nautologout = "2s"\n')
    idle, silent = world.at(backend, "alice"), world.at(backend, "alice")
    idle.select("INBOX").ok()
    tag = idle.start("IDLE")
    assert idle.go_ahead(tag)
    started = time.monotonic()
    idle.expect_bye()
    silent.expect_bye()
    assert 1.5 < time.monotonic() - started < 6


@ours
def test_backend_many_commands_at_once(world):
    """A burst is answered in its order, whatever its commands wait for."""
    _, one, two = filled(world, 1)
    tags, wire = [], b""
    for n in range(300):
        tag = b"p%d" % n
        tags.append(tag)
        wire += tag + (b" APPEND INBOX {%d+}\r\n%s\r\n" % (len(message("p")), message("p")), b" NOOP\r\n", b" FETCH 1 BODY.PEEK[]\r\n",
                       b" STORE 1 +FLAGS (\\Seen)\r\n", b" UID SEARCH ALL\r\n", b" NOSUCH\r\n")[n % 6]
    one.waiting += tags
    sender = threading.Thread(target=one.send, args=(wire,))
    sender.start()
    for n, tag in enumerate(tags):
        while (got := one.response()).tag == b"*":
            pass
        assert got.tag == tag and got.word == (b"BAD" if n % 6 == 5 else b"OK"), (tag, got.raw)
    sender.join()
    two.command("NOOP").ok()
    assert two.exists(two.select("INBOX").ok()) == 51


@ours
def test_backend_an_idle_client_that_reads_nothing(world):
    """It keeps nobody waiting and costs no memory; in the end it is let go."""
    backend = world.a_backend(top='[limits]\nstall = "3s"\n')
    one = world.at(backend, "alice")
    for n in range(8):
        one.command("APPEND INBOX", *[part for m in range(100) for part in (" ", Literal(message(f"m{n}x{m}"), plus=True))]).ok()
    one.select("INBOX").ok()
    deaf = world.at(backend, "alice")
    deaf.select("INBOX").ok()
    deaf.start("IDLE")
    deaf.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    before = memory(backend.process.pid)
    for n in range(200):
        one.command("STORE 1:* ", "-+"[n % 2], "FLAGS.SILENT (\\Flagged \\Answered \\Draft)").ok()
    grown = memory(backend.process.pid) - before
    assert grown < 10_000_000, f"{grown} bytes more in memory"
    poll("the end of it", 20, lambda: "end=ClientGone" in backend.log.read_text().split('user="alice"')[-1])
    one.in_step()
