"""Mailbox commands at every peer, one script after another, each in mailboxes of its own user.

An answer is told line by line by the oracle's normaliser; texts are left out then, and so are the order of flags
and of attributes, and codes that only some servers have a use for.
"""

import itertools
import random
import re

from answers import items, wire
from imap_client import Broken, Literal, message
from oracle import Normaliser

CODES = ("APPENDUID", "COPYUID", "MODIFIED", "TRYCREATE", "READ-ONLY", "READ-WRITE")
SETUP = 12
KEYS = [
    "ALL", "ANSWERED", "DELETED", "DRAFT", "FLAGGED", "SEEN", "RECENT", "NEW", "OLD", "UNANSWERED", "UNDELETED", "UNDRAFT", "UNFLAGGED", "UNSEEN",
    "KEYWORD a", "UNKEYWORD a", "KEYWORD nosuch", "BEFORE 10-Feb-2021", "ON 7-Feb-2021", "SINCE 7-Feb-2021", "SENTBEFORE 2-Jan-2024", "SENTON 1-Jan-2024",
    "SENTSINCE 1-Jan-2024", "FROM a@", "TO example", "CC x", "BCC x", "SUBJECT m1", "SUBJECT \"\"", "BODY body", "TEXT example", "TEXT nosuch",
    "HEADER Subject m2", "HEADER X-None \"\"", "HEADER Message-ID \"\"", "LARGER 300", "SMALLER 300", "UID 2:4", "UID *", "UID 99:*", "1", "2:4", "*", "*:3", "5,1,3:2",
]
ESEARCH = ["()", "(ALL)", "(MIN)", "(MAX)", "(COUNT)", "(MIN MAX)", "(MIN MAX COUNT ALL)", "(COUNT) UID", "(NOSUCH)", "MIN"]
SETS = ["1", "1:3", "3:1", "*", "1:*", "*:1", "99", "99:*", "5:99", "0", "", "1,,2", "1:", ":1", "1,2,2,1", "4294967295", "4294967296", "-1", "1:2:3", "a", "1 2", "$"]


def search_script():
    dice = random.Random("search")
    steps = ["SELECT INBOX", *(f"SEARCH {key}" for key in KEYS), *(f"SEARCH NOT {key}" for key in KEYS)]
    for _ in range(60):
        one, two, three = dice.sample(KEYS, 3)
        steps.append("SEARCH " + dice.choice([f"{one} {two}", f"OR {one} {two}", f"NOT ({one} {two})", f"OR ({one} {two}) {three}", f"{one} NOT {two} {three}"]))
    steps += [f"UID SEARCH {key}" for key in KEYS[::3]]
    steps += [f"SEARCH RETURN {what} 1:4" for what in ESEARCH] + [f"UID SEARCH RETURN {what} SUBJECT m" for what in ESEARCH]
    return steps + [f"SEARCH {line}" for line in (
        "", "NOSUCH", "OR ALL", "NOT", "(ALL", "ALL)", "SUBJECT", "ON 99-Feb-2021", "ON today", "LARGER x", "CHARSET UTF-8 ALL", "CHARSET NOSUCH ALL", "UID x", "HEADER Subject")]


def set_script():
    return ["SELECT INBOX", *itertools.chain.from_iterable((f"FETCH {s} FLAGS", f"UID FETCH {s} FLAGS") for s in SETS),
            "FETCH 1 FAST", "FETCH 1 (FLAGS UID)", "FETCH 1 ()", "FETCH 1 NOSUCH", "FETCH 1 BODY[", "FETCH 1 BODY[]<0.0>", "FETCH 1 BODY[]<1>",
            "FETCH 1 BODY[0]", "FETCH 1 BODY[MIME]", "FETCH 1 BODY[1.0]", "FETCH 1 BODY[HEADER.FIELDS ()]", "FETCH 1 BODY[]", "FETCH 1 FLAGS",
            "FETCH 2 RFC822.TEXT", "FETCH 2 FLAGS", "FETCH 1", "FETCH"]


def change_script():
    return [
        "SELECT INBOX", "STORE 1 FLAGS (\\Seen a)", "STORE 1 +FLAGS (\\Flagged)", "STORE 1 -FLAGS (\\Seen)", "STORE 1 +FLAGS.SILENT (\\Draft)", "STORE 1 FLAGS ()",
        "STORE 1 FLAGS \\Seen", "STORE 1 +FLAGS (\\Recent)", "STORE 1 +FLAGS (\\Nosuch)", "STORE 1 +FLAGS", "STORE 99 +FLAGS (a)", "UID STORE 99 +FLAGS (a)", "STORE 1:3 +FLAGS (b)",
        "STATUS INBOX (MESSAGES RECENT UIDNEXT UNSEEN)", "STATUS INBOX (NOSUCH)", "STATUS INBOX ()", "STATUS nosuch (MESSAGES)", "STATUS INBOX.nosuch (MESSAGES)",
        "COPY 1 INBOX", "COPY 1:2 INBOX.nosuch", "COPY 99 INBOX", "UID COPY 99 INBOX", "MOVE 2 INBOX", "MOVE 99 INBOX", "UID MOVE 99 INBOX", "UID MOVE 1 INBOX.nosuch",
        "STORE 3:4 +FLAGS (\\Deleted)", "UID EXPUNGE 4", "EXPUNGE", "EXPUNGE", "UID EXPUNGE 99", "UID EXPUNGE x", "FETCH 1:* (UID FLAGS)", "CHECK", "CLOSE", "FETCH 1 FLAGS",
        "EXAMINE INBOX", "STORE 1 +FLAGS (x)", "EXPUNGE", "MOVE 1 INBOX", "UNSELECT", "SELECT INBOX.nosuch", "CLOSE",
        "CREATE INBOX.a", "CREATE INBOX.a", "CREATE INBOX.a.b", "LIST \"\" \"*\"", "LIST \"\" \"%\"", "LIST \"\" \"INBOX.%\"", "LIST \"\" \"\"", "LIST \"INBOX.\" \"%\"", "LIST \"\" inbox", "LIST \"\" nosuch",
        "SUBSCRIBE INBOX.a", "LSUB \"\" \"*\"", "LIST (SUBSCRIBED) \"\" \"*\"", "UNSUBSCRIBE INBOX.a", "RENAME INBOX.a.b INBOX.c", "RENAME INBOX.nosuch INBOX.d", "SELECT INBOX", "COPY 1 INBOX.c",
        "STATUS INBOX.c (MESSAGES UIDNEXT)", "DELETE INBOX.c", "DELETE INBOX.c", "DELETE INBOX", "DELETE INBOX.a", "NOSUCH", "NOOP x", "SELECT", "LOGIN a b",
    ]


def order_script():
    """SORT and THREAD (RFC 5256)."""
    keys = ["ARRIVAL", "CC", "DATE", "FROM", "SIZE", "SUBJECT", "TO", "REVERSE DATE", "REVERSE SUBJECT", "SUBJECT DATE", "FROM REVERSE SIZE",
            "REVERSE FROM SUBJECT", "TO CC", "", "NOSUCH", "REVERSE", "REVERSE REVERSE DATE"]
    which = ["ALL", "1:9", "SUBJECT b", "FROM nobody", "NOT 3:5"]
    return ["SELECT INBOX", *(f"SORT ({key}) UTF-8 ALL" for key in keys), *(f"UID SORT (SUBJECT) US-ASCII {some}" for some in which),
            *(f"{uid}THREAD {how} UTF-8 {some}" for uid in ("", "UID ") for how in ("ORDEREDSUBJECT", "REFERENCES") for some in which),
            "SORT DATE UTF-8 ALL", "SORT (DATE) ALL", "SORT (DATE) NOSUCH ALL", "SORT (DATE) UTF-8", "THREAD NOSUCH UTF-8 ALL", "THREAD REFERENCES UTF-8", "THREAD REFERENCES"]


def modseq_script():
    """CONDSTORE (RFC 7162); which numbers modseqs are doesn't count."""
    return ["SELECT INBOX (CONDSTORE)", "FETCH 1:3 (MODSEQ)", "FETCH 1 (FLAGS MODSEQ)", "STORE 1 (UNCHANGEDSINCE 1) +FLAGS (z)", "STORE 1 (UNCHANGEDSINCE 99999999) +FLAGS (z)",
            "STORE 1:2 (UNCHANGEDSINCE 0) +FLAGS (y)", "UID STORE 2 (UNCHANGEDSINCE 1) -FLAGS.SILENT (z)", "STORE 1 (NOSUCH 1) +FLAGS (z)", "STORE 1 (UNCHANGEDSINCE x) +FLAGS (z)",
            "SEARCH MODSEQ 99999999", "SEARCH MODSEQ 1 UID 1:2", "SEARCH MODSEQ x", "FETCH 1:* (FLAGS) (CHANGEDSINCE 99999999)", "FETCH 1 (FLAGS) (CHANGEDSINCE 1)",
            "FETCH 1 (FLAGS) (CHANGEDSINCE x)", "FETCH 1 (FLAGS) (NOSUCH 1)", "STATUS INBOX (MESSAGES)", "UNSELECT", "SELECT INBOX (NOSUCH)"]


def enable_script():
    return ["ENABLE CONDSTORE", "ENABLE QRESYNC NOSUCH", "ENABLE", "SELECT INBOX", "UID FETCH 1:* (FLAGS) (CHANGEDSINCE 99999999 VANISHED)", "FETCH 1 (FLAGS) (CHANGEDSINCE 1 VANISHED)",
            "STORE 2 +FLAGS.SILENT (\\Deleted)", "EXPUNGE", "UID FETCH 1:* (UID) (CHANGEDSINCE 99999999 VANISHED)"]


SCRIPTS = {"search": ("finder", search_script), "sets": ("finder", set_script), "changes": ("keeper", change_script), "order": ("sorter", order_script),
           "modseq": ("sorter", modseq_script), "enable": ("sorter", enable_script)}


def threaded():
    """Messages that have something to sort and to thread: subjects that are the same but for prefixes, replies, a gap, a loop."""
    subjects = ["a", "Re: a", "RE: re: a", "b", "[list] b", "Fwd: [list] B (fwd)", "Re: [x] c", "c", "", "Re:", "\xe9", "=?utf-8?q?=C3=A9?=", "[only]", "d (fwd)", "d", "Re: d", "e", "e"]
    for n, subject in enumerate(subjects):
        above = {1: [0], 2: [0, 1], 4: [3], 7: [99], 8: [99], 14: [13], 15: [13, 14], 16: [17], 17: [16]}.get(n, [])
        chain = " ".join(f"<{up}@x>" for up in above)
        fields = [f"From: {'Zed' if n % 3 else 'amy'} {n % 5} <u{n % 4}@example.test>", f"To: t{(n * 7) % 5}@example.test", f"Subject: {subject}",
                  f"Date: {'Mon, ' if n % 2 else ''}{1 + n % 3} Jan 2024 0{n % 7}:00:00 +0{n % 3}00", f"Message-ID: <{n}@x>"]
        fields += [f"Cc: c{n % 2}@example.test"] * (n % 2) + [f"References: {chain}"] * bool(chain)
        yield "\r\n".join([*fields, "", "x" * (n * 37 % 11), ""]).encode("latin-1" if n == 10 else "utf-8")


def fill(peer, user):
    """The messages that a script has before it begins: only once for each user."""
    with peer.open(user) as session:
        if session.exists(session.select("INBOX").ok()):
            return
        if user == "sorter":
            for n, text in enumerate(threaded()):
                session.command("APPEND INBOX ", f'"{20 - n % 6:2}-Feb-2021 12:00:{n:02} +0000" ', Literal(text)).ok()
            return
        for n in range(SETUP):
            flags = ["()", "(\\Seen)", "(\\Flagged a)", "(\\Answered \\Draft)", "(\\Deleted)", "(a b)"][n % 6]
            session.command("APPEND INBOX ", flags, f' "{n + 5:2}-Feb-2021 12:00:00 +0000" ', Literal(message(f"m{n}", 100 * n))).ok()


def answers(peers):
    """Each step of each script, with what each peer says."""
    for name, (user, steps) in SCRIPTS.items():
        said = {}
        for peer in peers:
            fill(peer, user)
            said[peer.name] = play(peer, user, steps())
        for n, step in enumerate(steps()):
            yield name, step, {peer: lines[n] for peer, lines in said.items()}


def play(peer, user, steps):
    normalise, session, said = Normaliser({}), peer.open(user), []
    for step in steps:
        try:
            tag = session.start(step)
            answer = session.finish(tag)
            lines = [fetched(response) or normalise.line(response, tag) for response in [*answer.untagged, answer.tagged]]
            said.append([short for line in lines if (short := told(line))])
            if answer.status == "BAD":
                session.command("NOOP")  # many bad ones in a row would end the connection
        except Broken as broken:
            said.append(["broken: " + str(broken)[:60]])
            session.close()
            session = peer.open(user)
            session.select("INBOX")
    session.close()
    return said


def fetched(response):
    """A FETCH response, its items by name: their order doesn't count."""
    if response.tag != b"*" or response.word != b"FETCH":
        return None
    said = sorted((name, "#" if name == "MODSEQ" else value) for name, value in items(response).items())
    return f"* {response.text.split()[0].decode()} FETCH " + " ".join(f"{name} {wire(value)}" for name, value in said)


def told(line):
    """What of a line is compared; nothing, if nothing is."""
    if found := re.match(r"(tag|\*) (OK|NO|BAD|BYE)(?: \[([A-Z-]+)([^\]]*)\])?", line):
        who, status, code, rest = found.groups()
        if who == "*":
            return None if status == "OK" else f"* {status}"
        return f"tag {status}" + (f" [{code}{rest}]" if code in CODES else "")
    if found := re.match(r"\* (VANISHED .*|ENABLED.*|SORT\b.*|THREAD\b.*)", line):
        return f"* {found.group(1).upper().strip()}"
    line = re.sub(r"\((?=\\|[A-Za-z$]|\))([^()]*)\)", lambda found: "(" + " ".join(sorted(found.group(1).split())) + ")", line) \
        if re.match(r"\* (LIST|LSUB|FLAGS) ", line) else line
    if found := re.match(r"\* STATUS (\S+) \((.*)\)", line):
        words = found.group(2).split()
        return f"* STATUS {found.group(1)} {sorted(zip(words[::2], words[1::2]))}"
    if found := re.match(r'\* ESEARCH \(TAG "\w+"\)( UID)?(.*)', line):
        words = found.group(2).split()
        return f"* ESEARCH{found.group(1) or ''} {sorted(zip(words[::2], words[1::2]))}"
    if found := re.match(r"\* SEARCH\b(.*)", line):
        numbers, _, modseq = found.group(1).partition("(")
        return "* SEARCH " + " ".join(sorted(numbers.split(), key=int)) + " (MODSEQ #)" * bool(modseq)
    return line
