"""What an answer to FETCH says, in a form that two servers' answers can be compared in.

Quoted or literal, the order of items and of flags, and the case of what is case-insensitive by its RFC (section
names; types, encodings, languages and names of parameters in a BODYSTRUCTURE) don't count, nor the zone in which a
date is told, nor whether the default charset is. All else does.
"""

import re
from datetime import datetime, timezone

from imap_client import parse

SECTION = re.compile(rb"(BODY|BINARY|BINARY\.SIZE)\[(.*)\](<\d+>)?", re.DOTALL)


def items(response):
    """The items of a FETCH response by name."""
    found = response.tree()[2]
    got = {}
    for name, value in zip(found[::2], found[1::2]):
        name = item_name(name)
        assert name not in got, f"twice: {name}"
        got[name] = item_value(name, value)
    return got


def item_name(raw):
    name = raw.decode("latin-1").upper().replace('"', "")
    return re.sub(r"\.PEEK(?=\[)", "", name)


def item_value(name, value):
    if name == "FLAGS":
        return sorted(value)
    if name == "INTERNALDATE":
        return str(datetime.strptime(value.decode().strip(), "%d-%b-%Y %H:%M:%S %z").astimezone(timezone.utc))
    if name in ("BODY", "BODYSTRUCTURE"):
        try:
            return part(value)
        except (AssertionError, IndexError, AttributeError, TypeError, ValueError, RecursionError):
            return ["no structure", value]
    return value


# ------------------------------------------------------------- BODYSTRUCTURE, RFC 3501 section 7.4.2

def part(tree):
    assert isinstance(tree, list) and tree
    if isinstance(tree[0], list):
        count = next((n for n, sub in enumerate(tree) if not isinstance(sub, list)), len(tree))
        return [*map(part, tree[:count]), tree[count].upper(), *extension(tree[count + 1:], parameters_first=True)]
    kind, sub, params, ident, description, encoding, size, *rest = tree
    assert kind is not None and sub is not None, "a type that is NIL"
    assert re.fullmatch(rb"\d+", size), size
    out = [kind.upper(), sub.upper(), parameters(params), ident, description, encoding.upper(), size]
    if out[:2] == [b"MESSAGE", b"RFC822"] and rest and isinstance(rest[0], list):
        envelope, body, lines, *rest = rest
        out += [envelope, part(body), lines]
    elif out[0] == b"TEXT":
        if b"CHARSET" not in (out[2] or [])[::2]:
            out[2] = [*(out[2] or []), b"CHARSET", b"us-ascii"]  # the default, told or not (RFC 2046 section 4.1.2)
        out.append(rest.pop(0))
    return out + extension(rest)


def extension(rest, parameters_first=False):
    """MD5 (of a part) or parameters (of a multipart), disposition, language, location."""
    rest = list(rest)
    if rest and parameters_first:
        rest[0] = parameters(rest[0])
    if len(rest) > 1 and rest[1] is not None:
        kind, params = rest[1]
        rest[1] = [kind.upper(), parameters(params)]
    if len(rest) > 2 and rest[2] is not None:
        languages = rest[2] if isinstance(rest[2], list) else [rest[2]]  # one may be said without a list
        rest[2] = [language.upper() for language in languages]
    return rest


def parameters(params):
    if params is None:
        return None
    assert len(params) % 2 == 0
    return [value if n % 2 else value.upper() for n, value in enumerate(params)]


# ------------------------------------------------------------- what differs

def shown(value, limit=300):
    """A value as text, on one line."""
    text = value if isinstance(value, str) else wire(value)
    return text if len(text) <= limit else f"{text[:limit // 2]} …{len(text)}… {text[-limit // 2:]}"


def wire(value):
    if value is None:
        return "NIL"
    if isinstance(value, list):
        return "(" + " ".join(map(wire, value)) + ")"
    return repr(value)[1:] if isinstance(value, bytes) else str(value)


def first_difference(one, other, path=()):
    """Where two values first differ: the path of places in lists, and what each has there."""
    if isinstance(one, list) and isinstance(other, list):
        for n, (a, b) in enumerate(zip(one, other)):
            if a != b:
                return first_difference(a, b, (*path, n))
        return (*path, "length"), len(one), len(other)
    if isinstance(one, bytes) and isinstance(other, bytes) and max(len(one), len(other)) > 200:
        at = next((n for n, (a, b) in enumerate(zip(one, other)) if a != b), min(len(one), len(other)))
        return (*path, f"byte {at} of {len(one)}/{len(other)}"), one[max(0, at - 20):at + 40], other[max(0, at - 20):at + 40]
    return path, one, other
