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


def munged(value):
    """A value with what Cyrus puts for 8-bit bytes of a header (`munge8bit`, on by default)."""
    if isinstance(value, list):
        return [munged(part) for part in value]
    if not isinstance(value, bytes):
        return value
    header, end, body = value.partition(b"\r\n\r\n")
    return re.sub(rb"[\x80-\xff]", b"X", header) + end + body


def ours_is(what):
    return lambda values, _data: values.get("ours") == what


EXPLAINED = [
    Explained("refused", "message .*", "APPEND", lambda values, data: as_dovecot(values, data) and values["ours"] == "OK"),
    Explained("munged", "message .*", "ENVELOPE|RFC822(\\.HEADER)?|BODY\\[.*",
              lambda values, data: "cyrus" in values and values["ours"] != values["cyrus"] == munged(values["ours"])),
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
