"""Why we differ from Cyrus where we do. `docs/protocols/compared.md` has each key, with its reason."""

import re
from dataclasses import dataclass
from typing import Callable


@dataclass
class Explained:
    """A difference with a reason: where (a pattern of what `run.py` calls it), of which item, and what has to hold."""

    key: str
    where: str
    item: str
    holds: Callable = lambda values, data: True

    def is_it(self, where, item, values, data):
        return bool(re.fullmatch(self.where, where) and re.fullmatch(self.item, item) and self.holds(values, data))


def as_dovecot(values, _data):
    """Cyrus stands alone."""
    return "ours" in values and values["ours"] == values.get("dovecot")


def behind_inner_end(values, _data):
    """Cyrus counts the line end between a close-delimiter and the delimiter behind it."""
    ours, cyrus = values.get("ours"), values.get("cyrus")
    return isinstance(ours, bytes) and ours.endswith(b"--") and cyrus == ours + b"\r\n"


def refused_by_cyrus(data):
    """A CR or LF alone, a header without a line end, or a line in it that neither goes on nor has a name and a colon."""
    head = re.split(rb"(?:\A|\r\n)\r\n", data, maxsplit=1)[0]
    first, *rest = head.split(b"\r\n")
    field = rb"[!-9;-~]+:"
    return bool(re.search(rb"\r(?!\n)|(?<!\r)\n", data) or b"\n" not in data or not re.match(field, first)
                or any(line and not re.match(rb"[ \t]|" + field, line) for line in rest))


def told_again(values, _data):
    """A FETCH response more here, and nothing else."""
    ours, cyrus = values.get("ours") or [], values.get("cyrus") or []
    more = [line for line in ours if line not in cyrus]
    return bool(more) and all(" FETCH FLAGS " in line for line in more) and cyrus == [line for line in ours if line not in more]


def ours_is(what):
    return lambda values, _data: values.get("ours") == what


EXPLAINED = [
    Explained("refused", "message .*", "APPEND",
              lambda values, data: as_dovecot(values, data) and values["ours"] == "OK" and refused_by_cyrus(data)),
    Explained("inner-end", "message .*", r"BODY\[[\d.]+\]", behind_inner_end),
    Explained("no-day", "search script", "SEARCH ON 99-Feb-2021", ours_is(["tag BAD"])),
    Explained("told-again", "changes script", r"STORE 3:4 \+FLAGS \(\\Deleted\)", told_again),
    Explained("list-case", "changes script", 'LIST "" inbox', as_dovecot),
    Explained("part-fields", "message .*", r"BODY\[1\.HEADER\.FIELDS.*", ours_is(None)),
    Explained("no-part", "message .*", r"BODY\[[\d.]+(HEADER|TEXT|MIME)?\]",
              lambda values, _data: "cyrus" not in values and values["ours"] is None and values["dovecot"] == b""),
    Explained("range", "sets script|changes script", "(UID )?(FETCH|STORE|COPY|MOVE) .*",
              lambda values, data: as_dovecot(values, data) and values["ours"] == ["tag BAD"]),
    Explained("empty-text", "message .*", r"BODY\[TEXT\](<3>)?",
              lambda values, data: as_dovecot(values, data) and values.get("cyrus") == b""),
    Explained("section-zero", "sets script", r"FETCH 1 BODY\[\]", lambda values, _data: "Seen" in str(values.get("ours"))),
    Explained("section-zero", "sets script", r"FETCH 1 BODY\[(0|1\.0)\]", ours_is(["tag BAD"])),
    Explained("charset", "search script", "SEARCH CHARSET NOSUCH ALL", as_dovecot),
    Explained("silent", "changes script", "STORE .*SILENT.*", as_dovecot),
    Explained("expunge-order", "changes script", "EXPUNGE", as_dovecot),
    Explained("read-only", "changes script", "STORE .*|EXPUNGE|MOVE .*", ours_is(["tag NO [READ-ONLY]"])),
]
