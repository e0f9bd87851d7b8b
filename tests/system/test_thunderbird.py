"""What a mail program such as Thunderbird says: two connections, COMPRESS, CONDSTORE, IDLE and bursts, its folders at both backends."""

import re

from deflated import compress
from imap_client import message, quoted
from marks import ours


class Program:
    """A connection as such a program opens it."""

    def __init__(self, world, user):
        self.session = session = world.client(user)
        names = session.capabilities()
        assert {"CONDSTORE", "ENABLE", "IDLE", "MOVE", "UIDPLUS", "SPECIAL-USE", "LIST-EXTENDED", "COMPRESS=DEFLATE"} <= names
        session.command('ID ("name" "Thunderbird" "version" "115.6.0")').ok()
        compress(session)
        session.command("ENABLE CONDSTORE").ok()
        session.command("NAMESPACE").ok()

    def folders(self):
        found = self.session.listed(self.session.command('LIST "" "*" RETURN (SPECIAL-USE SUBSCRIBED)').ok())
        self.session.command('LSUB "" "*"').ok()
        return found

    def opened(self, box):
        answer = self.session.command("SELECT ", quoted(box), " (CONDSTORE)").ok()
        modseq = [int(found[1]) for r in answer.untagged if (found := re.search(rb"HIGHESTMODSEQ (\d+)", r.raw))]
        return self.session.exists(answer), modseq[0]


@ours
def test_thunderbird_like(world):
    user, shared = world.user("backend1"), world.shared("backend2")
    one, two = Program(world, user), Program(world, user)
    session = one.session
    for box, use in (("INBOX.Sent", "\\Sent"), ("INBOX.Trash", "\\Trash")):
        session.command(f"CREATE {box} (USE ({use}))").ok()
        session.command(f"SUBSCRIBE {box}").ok()
    session.command(f"SUBSCRIBE {shared}").ok()
    assert {"INBOX", "INBOX.Sent", "INBOX.Trash", shared} <= set(one.folders())
    # a message sent: its copy, with a literal that waits for leave
    session.append("INBOX.Sent", message("sent", 3000), flags="(\\Seen)", plus=False).ok()
    for box in ("INBOX", shared):
        for n in range(5):
            session.append(box, message(f"{box} {n}", 40_000)).ok()
    # the other connection waits, and hears of a new message
    two.opened("INBOX")
    idle = two.session.start("IDLE")
    assert two.session.response().tag == b"+"
    session.append("INBOX", message("new")).ok()
    two.session.untagged("EXISTS", 70)
    two.session.send(b"DONE\r\n")
    two.session.finish(idle).ok()
    # headers, then flags since then, then bodies in a burst
    for box in ("INBOX", shared):
        count, modseq = one.opened(box)
        fetched = session.command("UID FETCH 1:* (UID RFC822.SIZE FLAGS BODY.PEEK[HEADER.FIELDS (From To Subject Date Message-ID)])")
        assert len(fetched.ok().of("FETCH")) == count
        session.command("UID STORE 2 +FLAGS (\\Seen $label1)").ok()
        changed = session.command(f"UID FETCH 1:* (FLAGS) (CHANGEDSINCE {modseq})").ok().of("FETCH")
        assert len(changed) == 1 and b"$label1" in changed[0].raw
        tags = [session.start(f"UID FETCH {n} (UID BODY.PEEK[])") for n in range(1, 6)] + [session.start("NOOP")]
        for n, tag in enumerate(tags):
            got = session.finish(tag).ok()
            assert n == 5 or message(f"{box} {n}", 40_000) in got.of("FETCH")[0].raw
    # to the trash, which is at the other backend, and within one
    session.command("UID MOVE 1:2 INBOX.Trash").ok()
    one.opened("INBOX")
    session.command("UID MOVE 1 INBOX.Trash").ok()
    session.command("UID COPY 2 ", quoted(shared)).ok()
    session.command("UID STORE 3 +FLAGS (\\Deleted)").ok()
    session.command("EXPUNGE").ok()
    count = lambda box: int(re.search(rb"MESSAGES (\d+)", session.command("STATUS ", quoted(box), " (MESSAGES)").ok().of("STATUS")[0].raw)[1])
    assert [count(box) for box in ("INBOX", "INBOX.Trash", shared)] == [4, 3, 4]
    two.session.command("NOOP").ok()
    for each in (one, two):
        each.session.command("LOGOUT").ok()
