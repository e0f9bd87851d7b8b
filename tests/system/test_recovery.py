"""A session whose selected mailbox's backend is lost and comes back: it goes on where the client's view still holds."""

import time

from crooked import DOWN, Crooked
from imap_client import message
from marks import ours
from murder import IMAP, poll
from test_across import count, facts, fill


class Selected:
    """INBOX selected through a forwarder to backend2 that can be cut."""

    def __init__(self, world, top=""):
        self.world = world
        host = f"{world.murder.net}.205"
        self.forwarder = Crooked((host, IMAP), world.murder.address("backend2"))
        self.frontend = world.another(backend2=host, top=top).start()
        self.user = world.user("backend2")

    def __enter__(self):
        self.session = self.world.client(self.user, self.frontend)
        fill(self.session, "INBOX", 3)
        self.other = self.world.client(self.user)
        return self

    def __exit__(self, *_):
        self.session.close()
        self.forwarder.__exit__()

    def cut(self, seconds=0.3, meanwhile=lambda: None):
        """The connection goes, and for some time no other is to be had."""
        self.forwarder.refuse()
        self.forwarder.reset_all()
        meanwhile()
        time.sleep(seconds)
        self.forwarder.listen()


@ours
def test_recovery_of_a_mailbox_as_it_was(world):
    with Selected(world) as at:
        for how in ("SELECT", "EXAMINE"):
            at.session.select("INBOX", how).ok()
            before = [facts(at.session, n) for n in (1, 2, 3)]
            at.cut()
            answer = at.session.command("NOOP").ok()
            assert len(answer.of("FETCH")) in (0, 3), answer.untagged
            assert [facts(at.session, n) for n in (1, 2, 3)] == before
            assert at.session.body(2) == message("m1")
            store = at.session.command("STORE 1 +FLAGS (\\Draft)")
            store.ok() if how == "SELECT" else store.no()
        assert at.frontend.stat('sessions_reselected_total{result="ok"}') == 2
        at.session.in_step()


@ours
def test_recovery_shows_flags_that_have_changed(world):
    with Selected(world) as at:
        def flag():
            at.other.select("INBOX").ok()
            at.other.command("STORE 2 +FLAGS ($Changed)").ok()
        at.cut(meanwhile=flag)
        told = at.session.command("NOOP").ok().of("FETCH")
        assert any(b"2 FETCH" in r.raw and b"$Changed" in r.raw for r in told), [r.raw for r in told]


@ours
def test_recovery_with_what_came_and_went_while_it_stood(world):
    with Selected(world) as at:
        at.other.append("INBOX", message("fourth")).ok()
        poll("the news", 5, lambda: at.session.command("NOOP").ok().of("EXISTS"))
        at.session.command("STORE 1 +FLAGS (\\Deleted)").ok()
        at.session.command("EXPUNGE").ok()
        at.cut()
        at.session.command("NOOP").ok()
        assert at.session.body(3) == message("fourth")
        at.session.command("ENABLE QRESYNC").ok()
        at.session.select("INBOX").ok()
        at.session.command("STORE 1 +FLAGS (\\Deleted)").ok()
        assert at.session.command("EXPUNGE").ok().of("VANISHED")
        at.cut()
        at.session.command("NOOP").ok()
        assert at.session.body(2) == message("fourth")
        assert at.session.command("STORE 1 +FLAGS (x)").ok().of("FETCH")[0].raw.count(b"MODSEQ") == 1


@ours
def test_no_recovery_of_a_mailbox_that_has_changed(world):
    def arrives(at):
        at.other.append("INBOX", message("unknown")).ok()

    def goes(at):
        at.other.select("INBOX").ok()
        at.other.command("STORE 1 +FLAGS (\\Deleted)").ok()
        at.other.command("EXPUNGE").ok()

    def both(at):
        arrives(at)
        goes(at)

    def vanishes(at):
        admin = world.admin("backend2")
        admin.command(f"SETACL user.{at.user} cyrus x").ok()
        admin.command(f"DELETE user.{at.user}").ok()
        world.unseen = [name for name in world.unseen if name != f"user.{at.user}"]  # nobody will list it any more

    for change in (arrives, goes, both, vanishes):
        with Selected(world) as at:
            at.cut(meanwhile=lambda: change(at))
            assert b"lost" in at.session.expect_bye("UNAVAILABLE").raw.lower()
            at.world.end_of_test()


@ours
def test_no_recovery_where_it_takes_too_long_or_is_not_wanted(world):
    for top, longest in (('[limits]\nreselect = "1s"\nlogin_delay = "100ms"\n', 4), ("[limits]\nreselect = 0\n", 1)):
        with Selected(world, top) as at:
            began = time.monotonic()
            at.forwarder.refuse()
            at.forwarder.reset_all()
            at.session.expect_bye("UNAVAILABLE")
            assert time.monotonic() - began < longest
            at.forwarder.listen()
            at.world.end_of_test()


@ours
def test_no_recovery_with_a_command_under_way(world):
    with Selected(world) as at:
        at.forwarder.stop(DOWN)
        at.session.start("FETCH 1:* (FLAGS)")
        time.sleep(0.3)
        at.forwarder.reset_all()
        at.session.expect_bye("UNAVAILABLE")


@ours
def test_recovery_within_idle(world):
    with Selected(world) as at:
        tag = at.session.start("IDLE")
        assert at.session.response().tag == b"+"
        at.cut()
        poll("to be selected again", 10, lambda: at.frontend.stat('sessions_reselected_total{result="ok"}'))
        at.other.append("INBOX", message("news")).ok()
        at.session.untagged("EXISTS", 70)
        at.session.send(b"DONE\r\n")
        at.session.finish(tag).ok()
        assert at.session.body(4) == message("news")


@ours
def test_recovery_when_backends_restart_under_a_session(world):
    """Real backends, stopped and started again, one after the other."""
    user, there = world.user("backend1"), world.shared("backend2")
    session = world.client(user)
    for box, backend in (("INBOX", "backend1"), (there, "backend2")):
        fill(session, box, 2)
        before = [facts(session, n) for n in (1, 2)]
        with world.without(backend):
            time.sleep(0.5)
        session.command("NOOP").ok()
        assert [facts(session, n) for n in (1, 2)] == before
    assert (count(session, "INBOX"), count(session, there)) == (2, 2)
    session.in_step()
