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
    """Cyrus stands alone. Of a part that isn't there, Dovecot says an empty string; and see `inner-end`."""
    ours, dovecot = values.get("ours", ""), values.get("dovecot", "absent")
    return ours == dovecot or ours is None and dovecot == b"" or one_line_end_longer(ours, dovecot)


def nobody_agrees(values, _data):
    return values.get("cyrus") != values.get("dovecot")


def cyrus_refused(values, _data):
    return "cyrus" not in values


def all_of(*conditions):
    return lambda values, data: all(holds(values, data) for holds in conditions)


def behind_inner_end(values, _data):
    """The others count the line end between a close-delimiter and the delimiter behind it."""
    return one_line_end_longer(values.get("ours"), values.get("cyrus", values.get("dovecot")))


def one_line_end_longer(ours, theirs):
    if isinstance(ours, list):
        return isinstance(theirs, list) and grown(ours, theirs)
    return isinstance(ours, bytes) and ours.endswith(b"--") and theirs == ours + b"\r\n"


def grown(ours, theirs):
    """The same structure, but that messages with multiparts in them are one line end longer."""
    if len(ours) != len(theirs):
        return False
    longer = ours[:2] == [b"MESSAGE", b"RFC822"] and len(ours) > 9 and isinstance(ours[8][0], list)
    for n, (one, other) in enumerate(zip(ours, theirs)):
        line_end = longer and n in (6, 9) and int(other) - int(one) == (2 if n == 6 else 1)
        if not (one == other or line_end or isinstance(one, list) and isinstance(other, list) and grown(one, other)):
            return False
    return True


def header(data):
    return re.split(rb"(?:\A|\r\n)\r\n", data, maxsplit=1)[0]


def refused_by_cyrus(data):
    """A CR or LF alone, a header without a line end, or a line in it that neither goes on nor has a name and a colon."""
    first, *rest = header(data).split(b"\r\n")
    field = rb"[!-9;-~]+:"
    return bool(has_bare_line_end({}, data) or b"\n" not in data or not re.match(field, first)
                or any(line and not re.match(rb"[ \t]|" + field, line) for line in rest))


def has_bare_line_end(_values, data):
    return bool(re.search(rb"\r(?!\n)|(?<!\r)\n", data))


def has_field_twice(_values, data):
    names = [name.lower() for name in re.findall(rb"(?m)^([!-9;-~]+)[ \t]*:", header(data))]
    return len(set(names)) < len(names)


def boundaries(data):
    """The boundaries that multiparts name."""
    return [quoted or plain for quoted, plain in re.findall(rb'(?i);\s*boundary\*?\s*=\s*(?:"([^"\r\n]*)"|([^\s;"]+))', data)]


def has_multiparts_in_each_other(_values, data):
    return len(boundaries(data)) > 1


def has_unused_boundary(_values, data):
    """A multipart whose delimiter doesn't occur, or only as the last one."""
    return any(not re.search(rb"(?m)^--" + re.escape(boundary) + rb"(?!-)", data) for boundary in boundaries(data))


def has_multipart_without_boundary(_values, data):
    types = re.findall(rb"(?im)^content-type:[ \t]*multipart(?:[^\r\n]|\r\n[ \t])*", data)
    return any(not boundaries(value) for value in types)


def has_cut_header(_values, data):
    """A delimiter, and another one before the empty line that would end the part's header."""
    return bool(re.search(rb"(?m)^--[^\r\n]+\r\n(?:[^\r\n]+\r\n)*?--", data))


def has_longer_delimiter(_values, data):
    """A line that begins as a delimiter and goes on."""
    return any(re.search(rb"(?m)^--" + re.escape(boundary) + rb"[^\s-]", data) for boundary in boundaries(data))


def has_value_behind_quotes(_values, data):
    return bool(re.search(rb'="(?:[^"\\]|\\.)*"[ \t]*(?:\r\n[ \t]+)?[^;\s]', data))


def same_but_spaces(values, _data):
    def plain(value):
        return [plain(sub) for sub in value] if isinstance(value, list) else value and b" ".join(value.split())
    return plain(values["ours"]) == plain(values.get("cyrus", values.get("dovecot")))


def same_as_dovecots_but_blank_line(values, _data):
    return (values["ours"] or b"").strip() == (values["dovecot"] or b"").strip()


def found(pattern):
    return lambda _values, data: bool(re.search(pattern, data))


def same_parameters(values, _data):
    def ordered(value):
        if not isinstance(value, list):
            return value
        if value and len(value) % 2 == 0 and all(isinstance(sub, bytes) for sub in value):
            return sorted(zip(value[::2], value[1::2]))
        return [ordered(sub) for sub in value]
    return ordered(values["ours"]) == ordered(values.get("cyrus"))


def told_again(values, _data):
    """A FETCH response more here, and nothing else."""
    ours, cyrus = values.get("ours") or [], values.get("cyrus") or []
    more = [line for line in ours if line not in cyrus]
    return bool(more) and all(" FETCH FLAGS " in line for line in more) and cyrus == [line for line in ours if line not in more]


def ours_is(what):
    return lambda values, _data: values.get("ours") == what


# What says which parts there are
PARTS = r"BODY|BODYSTRUCTURE|(BODY|BINARY|BINARY\.SIZE)\[[\d.]+(MIME)?\](<\d>)?"

EXPLAINED = [
    Explained("refused", "message .*", "APPEND",
              lambda values, data: as_dovecot(values, data) and values["ours"] == "OK" and refused_by_cyrus(data)),
    Explained("bare", "message .*", ".*", all_of(cyrus_refused, has_bare_line_end)),
    Explained("inner-end", "message .*", r"BODY\[[\d.]+\]|BODY|BODYSTRUCTURE", behind_inner_end),
    Explained("spaces", "message .*", "ENVELOPE|BODY|BODYSTRUCTURE", same_but_spaces),
    Explained("part-fields", "message .*", r"BODY\[1\.HEADER\.FIELDS.*",
              lambda values, _data: values["ours"] is None and values["dovecot"] in (None, b"")),
    Explained("twice", "message .*", r"ENVELOPE|BODY|BODYSTRUCTURE|BODY\[\d.*", all_of(cyrus_refused, has_field_twice)),
    Explained("twice", "message .*", r"BODY\[1\.HEADER.*", all_of(nobody_agrees, has_field_twice)),
    Explained("leaf-part", "message .*", r"BODY\[[\d.]*\.1(\.MIME)?\]", all_of(cyrus_refused, ours_is(None))),
    Explained("blank-line", "message .*", r"BODY\[(1\.)?HEADER\.FIELDS.*", same_as_dovecots_but_blank_line),
    Explained("no-boundary", "message .*", r"BODY|BODYSTRUCTURE|BODY\[1\](<2>)?", has_multipart_without_boundary),
    Explained("unused-boundary", "message .*", PARTS, all_of(as_dovecot, has_unused_boundary)),
    Explained("outer-delimiter", "message .*", PARTS, all_of(as_dovecot, has_multiparts_in_each_other)),
    Explained("unknown-cte", "message .*", r"BINARY.*", all_of(as_dovecot, ours_is("NO"))),
    Explained("cut-header", "message .*", PARTS, all_of(nobody_agrees, has_cut_header)),
    Explained("cut-header", "message boundaries/042", r"BODY\[2\.MIME\]"),
    Explained("longer-delimiter", "message .*", PARTS, all_of(nobody_agrees, has_longer_delimiter)),
    Explained("long-boundary", "message .*", PARTS, lambda _values, data: max(map(len, boundaries(data)), default=0) > 70),
    Explained("deep", "message .*", "BODY|BODYSTRUCTURE", lambda _values, data: len(boundaries(data)) > 100),
    Explained("parameter-order", "message .*", "BODY|BODYSTRUCTURE", same_parameters),
    Explained("behind-quotes", "message .*", PARTS, all_of(as_dovecot, has_value_behind_quotes)),
    Explained("behind-quotes", "message .*", "BODY|BODYSTRUCTURE", all_of(nobody_agrees, has_value_behind_quotes)),
    Explained("no-type", "message .*", "BODY|BODYSTRUCTURE", found(rb"(?im)^content-type:[ \t]*/")),
    Explained("no-language", "message .*", "BODYSTRUCTURE", all_of(as_dovecot, found(rb"(?im)^content-language:[ \t]*,"))),
    Explained("utf8-domain", "message .*", "ENVELOPE", found(rb"@[^\s,<>]*[\x80-\xff]")),
    Explained("group-end", "message .*", "ENVELOPE", found(rb"(?m)^[\w-]+:[^:\r\n]*;")),
    Explained("long-header", "message .*", r"BODY\[HEADER\.FIELDS.*",
              all_of(as_dovecot, lambda _values, data: len(header(data)) > 1 << 16)),
    Explained("no-day", "search script", "SEARCH ON 99-Feb-2021", ours_is(["tag BAD"])),
    Explained("told-again", "changes script", r"STORE 3:4 \+FLAGS \(\\Deleted\)", told_again),
    Explained("list-case", "changes script", 'LIST "" inbox', as_dovecot),
    Explained("no-part", "message .*", r"BODY\[[\d.]+(HEADER|TEXT|MIME)?\]",
              lambda values, _data: "cyrus" not in values and values["ours"] is None and values["dovecot"] == b""),
    Explained("range", "sets script|changes script", "(UID )?(FETCH|STORE|COPY|MOVE) .*",
              lambda values, data: as_dovecot(values, data) and values["ours"] == ["tag BAD"]),
    Explained("empty-text", "message .*", r"BODY\[TEXT\](<3>)?",
              lambda values, data: as_dovecot(values, data) and values.get("cyrus") == b""),
    Explained("section-zero", "sets script", r"FETCH 1 BODY\[\]", lambda values, _data: "Seen" in str(values.get("ours"))),
    Explained("section-zero", "sets script", r"FETCH 1 BODY\[(0|1\.0)\]", ours_is(["tag BAD"])),
    Explained("charset", "search script", "SEARCH CHARSET NOSUCH ALL", as_dovecot),
    Explained("searchres", "sets script", r"(UID )?FETCH \$ FLAGS", as_dovecot),
    Explained("silent", "changes script", "STORE .*SILENT.*", as_dovecot),
    Explained("casemap", "order script", "(UID )?SORT .*SUBJECT.*", as_dovecot),
    Explained("charset", "order script", r"SORT \(DATE\) NOSUCH ALL", as_dovecot),
    Explained("twice-reverse", "order script", r"SORT \(REVERSE REVERSE DATE\) UTF-8 ALL", ours_is(["tag BAD"])),
    Explained("no-keyword", "modseq script", r"STORE 1:2 \(UNCHANGEDSINCE 0\) \+FLAGS \(y\)",
              lambda values, _data: [line for line in values["cyrus"] if "FLAGS" not in line] == values["ours"]),
    Explained("no-keyword", "enable script", "SELECT INBOX"),
    Explained("nothing-found", "modseq script", "SEARCH MODSEQ 99999999", as_dovecot),
    Explained("silent", "enable script", "STORE .*SILENT.*", as_dovecot),
    Explained("vanished-earlier", "enable script", "UID FETCH .* VANISHED.*", ours_is(["* VANISHED (EARLIER) 2", "tag OK"])),
    Explained("expunge-order", "changes script", "EXPUNGE", as_dovecot),
    Explained("read-only", "changes script", "STORE .*|EXPUNGE|MOVE .*", ours_is(["tag NO [READ-ONLY]"])),
]
