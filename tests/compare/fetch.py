"""Every message at every peer: stored the same way, then everything that FETCH can say of it."""

from answers import items
from imap_client import Broken, Literal

DATE = '" 7-Feb-2021 12:34:56 +0100"'
WHOLE = ["FLAGS", "INTERNALDATE", "RFC822.SIZE", "ENVELOPE", "BODY", "BODYSTRUCTURE"]
SECTIONS = [
    "", "HEADER", "TEXT", "1", "1.MIME", "2", "1.1", "1.HEADER", "1.TEXT", "2.MIME", "1.2", "1.1.1", "2.1", "1.1.MIME", "3", "99",
    "HEADER.FIELDS (From Subject X)", "HEADER.FIELDS.NOT (Received)", "1.HEADER.FIELDS (Subject)", "1.HEADER.FIELDS.NOT (Subject)",
]
PARTIALS = ["<0.10>", "<5.100000>", "<999999.5>"]
ITEMS = [*WHOLE, "RFC822", "RFC822.HEADER", "RFC822.TEXT", *(f"BODY.PEEK[{section}]" for section in SECTIONS),
         *(f"BODY.PEEK[]{partial}" for partial in PARTIALS), "BODY.PEEK[TEXT]<3.7>", "BODY.PEEK[1]<2.5>", "BODY.PEEK[HEADER]<4.9>",
         "BINARY.PEEK[1]", "BINARY.SIZE[1]", "BINARY.PEEK[1]<3.7>", "BINARY.SIZE[1.2]"]
BATCHES = [WHOLE, ITEMS[len(WHOLE):-4], ITEMS[-4:]]


class Reader:
    """One peer's answers."""

    def __init__(self, peer):
        self.peer = peer
        self.session = None
        self.connect()

    def connect(self):
        if self.session:
            self.session.close()
        self.session = self.peer.open("reader")
        self.session.select("INBOX").ok()

    def message(self, data, flags):
        """What is said of a message: by item, and of APPEND."""
        try:
            answer = self.session.command("APPEND INBOX ", flags, " ", DATE, " ", Literal(data))
        except Broken as broken:
            self.connect()
            return {"APPEND": f"broken: {broken}"}
        if answer.status != "OK":
            return {"APPEND": answer.status}
        got, uid = {"APPEND": "OK"}, answer.code.split()[-1]
        for batch in BATCHES:
            got |= self.batch(uid, batch)
        return got

    def batch(self, uid, batch):
        """A refusal of some item, or the end of the connection: one by one then."""
        got = self.fetch(uid, batch)
        if isinstance(got, dict) or len(batch) == 1:
            return got if isinstance(got, dict) else {named(batch[0]): got}
        whole = {}
        for item in batch:
            one = self.fetch(uid, [item])
            whole |= one if isinstance(one, dict) else {named(item): one}
        return whole

    def fetch(self, uid, batch):
        """The items, or what came in their place as text."""
        try:
            answer = self.session.command(f"UID FETCH {uid} ({' '.join(batch)})")
            if answer.status != "OK":
                return answer.status
            got = {}
            for response in answer.of("FETCH"):
                for name, value in items(response).items():
                    if name != "UID" and (name != "FLAGS" or "FLAGS" in batch):
                        got[name] = value
            return got
        except Broken as broken:
            self.connect()
            return "broken: " + str(broken)[:100]
        except AssertionError as wrong:
            return "no IMAP: " + str(wrong)[:100]

    def close(self):
        self.session.close()


def named(item):
    """An item's name as it comes back: a partial one says where it begins."""
    name = item.upper().replace(".PEEK[", "[")
    return name[:name.rindex(".")] + ">" if name.endswith(">") else name


def answers(peers, messages):
    """By message: by peer: by item."""
    readers = [Reader(peer) for peer in peers]
    try:
        for n, (name, data) in enumerate(messages):
            flags = ["()", "(\\Seen)", "(\\Flagged $label)", "(\\Draft \\Answered)"][n % 4]
            yield name, data, {reader.peer.name: reader.message(data, flags) for reader in readers}
    finally:
        for reader in readers:
            reader.close()
