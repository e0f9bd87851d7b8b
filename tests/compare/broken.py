"""Varied and broken mail, made from a seed: the same messages in each run.

A name is FAMILY/NUMBER. A family is one thing that goes wrong or is unusual; the others are right in it.
"""

import random

from broken_fields import (ADDRESSES, DISPOSITIONS, ENCODINGS, FIELDS, PARAMETERS, SHAPES, SUBJECTS, TYPES)

SEED = 20240101
CRLF = b"\r\n"
HEAD = (b"From: A <a@example.test>\r\nTo: b@example.test\r\nSubject: plain\r\nDate: Mon, 1 Jan 2024 00:00:00 +0000\r\n"
        b"Message-ID: <m@example.test>\r\n")
MIME = HEAD + b"MIME-Version: 1.0\r\n"
LEAVES = [
    b"Content-Type: text/plain; charset=us-ascii\r\n\r\nsome text\r\nof two lines",
    b"Content-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n<p>caf=C3=A9</p>\r\n",
    b"Content-Type: image/png; name=\"a b.png\"\r\nContent-Transfer-Encoding: base64\r\n"
    b"Content-Disposition: attachment; filename=\"a b.png\"\r\nContent-ID: <x@y>\r\n\r\niVBORw0KGgo=\r\n",
    b"Content-Type: application/octet-stream\r\nContent-Description: what it is\r\n\r\n\x80\x81\xff",
    b"\r\nno header at all",
    b"",
    b"no colon here\r\n\r\nand a body",
    b"Content-Type: message/rfc822\r\n\r\nFrom: inner@example.test\r\nSubject: inner\r\n\r\ninner body\r\n",
    b"Content-Type: message/rfc822\r\n\r\n" + MIME + b"Content-Type: multipart/mixed; boundary=inner\r\n\r\n"
    b"--inner\r\n\r\none\r\n--inner\r\nContent-Type: text/html\r\n\r\ntwo\r\n--inner--\r\n",
    b"Content-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; x\r\n\r\nFinal-Recipient: rfc822; a@b\r\n",
    b"Content-Type: message/external-body; access-type=local-file; name=x\r\n\r\nContent-Type: image/gif\r\n\r\n",
    b"Content-Type: message/partial; id=a; number=1; total=2\r\n\r\nFrom: x@y\r\n\r\npart",
    b"Content-Type: text/rfc822-headers\r\n\r\nFrom: x@y\r\n",
]
KINDS = ["mixed", "alternative", "related", "digest", "parallel", "report; report-type=delivery-status", "signed", "unheard-of"]


def messages():
    """Pairs of a name and the bytes."""
    made = []
    for family, count, make in FAMILIES:
        dice = random.Random(f"{SEED} {family}")
        made += [(f"{family}/{n:03}", make(dice, n)) for n in range(count)]
    return made


# ------------------------------------------------------------- fields

def address(dice, n):
    fields = [b"From", b"To", b"Cc", b"Bcc", b"Reply-To", b"Sender"]
    lines = [b"From: " + ADDRESSES[n % len(ADDRESSES)]]
    for field in dice.sample(fields[1:], dice.randint(1, 4)):
        lines += [field + b": " + dice.choice(ADDRESSES) for _ in range(dice.choice([1, 1, 1, 2]))]
    return CRLF.join([*lines, b"Subject: addresses", b"", b"body", b""])


def subject(dice, n):
    more = dice.sample(FIELDS, 3)
    return CRLF.join([b"From: a@b", b"Subject:" + SUBJECTS[n % len(SUBJECTS)], *more, b"", b"body", b""])


def of_field(name, values, body=b"some text\r\nand more\r\n"):
    def make(_dice, n):
        return MIME + name + b":" + values[n % len(values)] + CRLF + CRLF + body
    return make


def content_type(dice, n):
    head = MIME if dice.random() < 0.7 else HEAD
    return head + b"Content-Type:" + TYPES[n % len(TYPES)] + b"\r\n\r\nbody\r\n--b\r\n\r\nfirst\r\n--b--\r\n"


def parameter(dice, n):
    chosen = PARAMETERS[n % len(PARAMETERS)]
    return (MIME + b"Content-Type: " + dice.choice([b"text/plain", b"application/x-y", b"image/png"]) + b"; " + chosen
            + b"\r\nContent-Disposition: attachment; " + chosen + b"\r\n\r\nbody\r\n")


# ------------------------------------------------------------- parts

def tree(dice, depth):
    """An entity, header and body, of well-formed parts."""
    if depth == 0 or dice.random() < 0.35:
        return dice.choice(LEAVES)
    boundary = b"b%d" % dice.randint(0, 10**6)
    parts = [tree(dice, depth - 1) for _ in range(dice.randint(1, 4))]
    lines = b"".join(b"--" + boundary + CRLF + part + CRLF for part in parts)
    return (b"Content-Type: multipart/" + dice.choice(KINDS).encode() + b"; boundary=\"" + boundary + b"\"\r\n\r\n"
            + dice.choice([b"", b"", b"preamble\r\n", b"\r\n", b"a\r\nb\r\n"]) + lines + b"--" + boundary + b"--"
            + dice.choice([b"\r\n", b"", b"\r\nepilogue", b"\r\nepilogue\r\n", b"\r\n\r\n"]))


def multipart(dice, _n):
    while True:
        entity = tree(dice, 3)
        if entity.startswith(b"Content-Type: multipart"):
            return MIME + entity


def boundary(dice, n):
    """Two parts, and a boundary that is odd in one way."""
    ways = [
        (b"", b"--b", b"--b--"), (b" boundary=", b"--", b"----"), (b' boundary=""', b"--", b"----"), (b" boundary=b", b"--b ", b"--b-- "),
        (b" boundary=b", b"--b\t \t", b"--b--x"), (b" boundary=b", b"--bb", b"--bb--"), (b" boundary=b", b"--B", b"--B--"),
        (b" boundary=b", b" --b", b" --b--"), (b" boundary=b", b"-b", b"-b--"), (b" boundary=b", b"--b", b""),
        (b" boundary=b", b"--b", b"--b-"), (b" boundary=b", b"--bx", b"--b--"), (b' boundary="b "', b"--b ", b"--b --"),
        (b' boundary="b c"', b"--b c", b"--b c--"), (b' boundary="b\\"c"', b'--b"c', b'--b"c--'),
        (b" boundary=b; boundary=c", b"--b", b"--b--"), (b" boundary=b; boundary=c", b"--c", b"--c--"),
        (b" boundary=(comment)b", b"--b", b"--b--"), (b" boundary*=us-ascii''b", b"--b", b"--b--"),
        (b" boundary*0=b; boundary*1=c", b"--bc", b"--bc--"), (b" boundary=" + b"b" * 70, b"--" + b"b" * 70, b"--" + b"b" * 70 + b"--"),
        (b" boundary=" + b"b" * 300, b"--" + b"b" * 300, b"--" + b"b" * 300 + b"--"), (b" boundary=b:c", b"--b:c", b"--b:c--"),
        (b" boundary=a/b?c=d", b"--a/b?c=d", b"--a/b?c=d--"), (b" boundary='b'", b"--'b'", b"--'b'--"),
        (b' boundary="b', b"--b", b"--b--"), (b" BOUNDARY=b", b"--b", b"--b--"), (b"\r\n\tboundary=b", b"--b", b"--b--"),
        (b" boundary = b", b"--b", b"--b--"), (b" charset=x boundary=b", b"--b", b"--b--"), (b" boundary=b--", b"--b--", b"--b----"),
        (b" boundary=\x80\xff", b"--\x80\xff", b"--\x80\xff--"), (b" boundary=b", b"--b--", b"--b--"), (b" boundary=--b", b"----b", b"----b--"),
    ]
    params, delimiter, close = ways[n % len(ways)]
    first, second = dice.choice(LEAVES[:3]), dice.choice(LEAVES[3:])
    start = dice.choice([b"", b"preamble\r\n"])
    return (MIME + b"Content-Type: multipart/mixed;" + params + b"\r\n\r\n" + start + delimiter + CRLF + first + CRLF + delimiter + CRLF
            + second + CRLF + close + dice.choice([b"", CRLF]))


def boundaries(dice, _n):
    """A tree whose inner boundaries are those of the outer one, or begin with them, or are never closed."""
    outer = b"edge"
    inner = dice.choice([b"edge", b"edge2", b"edg", b"other", b"edge--"])
    body = [b"--" + outer, b"Content-Type: multipart/alternative; boundary=\"" + inner + b"\"", b""]
    lines = [b"--" + outer, b"--" + inner, b"--" + inner + b"--", b"--" + outer + b"--", b"", b"text", b"Content-Type: text/html", b"x: y"]
    body += [dice.choice(lines) for _ in range(dice.randint(3, 14))]
    return MIME + b"Content-Type: multipart/mixed; boundary=" + outer + b"\r\n\r\n" + CRLF.join(body) + dice.choice([b"", CRLF])


def rfc822(dice, n):
    inner = [multipart(dice, n), HEAD + b"\r\nbody", b"", b"\r\n", b"\r\nno header", HEAD, b"no header, no empty line",
             address(dice, n), MIME + b"Content-Type: message/rfc822\r\n\r\n" + HEAD + b"\r\ndeep"][n % 9]
    encoding = dice.choice([b"", b"", b"Content-Transfer-Encoding: 8bit\r\n", b"Content-Transfer-Encoding: base64\r\n"])
    return MIME + b"Content-Type: message/rfc822\r\n" + encoding + CRLF + inner


def digest(dice, _n):
    parts = [dice.choice([b"\r\n" + HEAD + b"\r\nin a digest", b"Content-Type: text/plain\r\n\r\nsaid to be text", b"\r\n", b"",
                          b"Content-Type: message/rfc822\r\n\r\n" + HEAD + CRLF, b"X-Odd: y\r\n\r\n" + HEAD + b"\r\nb\r\n"])
             for _ in range(dice.randint(1, 5))]
    return (MIME + b"Content-Type: multipart/digest; boundary=d\r\n\r\n" + b"".join(b"--d\r\n" + part + CRLF for part in parts)
            + dice.choice([b"--d--\r\n", b""]))


# ------------------------------------------------------------- shapes

def shape(_dice, n):
    return SHAPES[n % len(SHAPES)]


def mutated(dice, n):
    """A good message with lines dropped, doubled, moved or cut."""
    lines = multipart(dice, n).split(CRLF)
    for _ in range(dice.randint(1, 5)):
        at = dice.randrange(len(lines))
        match dice.randrange(6):
            case 0:
                del lines[at]
            case 1:
                lines.insert(at, lines[at])
            case 2:
                lines.insert(at, lines[dice.randrange(len(lines))])
            case 3:
                lines[at] = lines[at][:dice.randint(0, len(lines[at]))]
            case 4:
                lines.insert(at, b"")
            case 5:
                lines[at] += dice.choice([b" ", b"(", b'"', b";", b"\\", b"\xff", b"=", b",", b"<"])
        if not lines:
            return CRLF
    return CRLF.join(lines) or CRLF


def bare(dice, n):
    """Line ends that are none: Cyrus takes no bare LF."""
    whole = bytearray(multipart(dice, n))
    ends = [at for at in range(len(whole) - 1) if whole[at:at + 2] == CRLF]
    for at in sorted(dice.sample(ends, min(len(ends), dice.randint(1, 4))), reverse=True):
        whole[at:at + 2] = [b"\n", b"\r"][n % 2]
    return bytes(whole)


def big(_dice, n):
    line = b"x" * 70 + CRLF
    match n:
        case 0:
            return HEAD + CRLF + line * (2 << 20 >> 6)
        case 1:
            return MIME + b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + b"--b\r\n\r\npart\r\n" * 1000 + b"--b--\r\n"
        case 2:
            return MIME + nested(90) + b"\r\n\r\nthe core\r\n"
        case 3:
            return MIME + nested(110) + b"\r\n\r\nthe core\r\n"
        case 4:
            return MIME + b"Content-Type: message/rfc822\r\n\r\n" * 40 + HEAD + b"\r\nthe core\r\n"
        case 5:
            return HEAD + b"".join(b"X-%d: %s\r\n" % (k, b"v" * 60) for k in range(5000)) + b"\r\nbody\r\n"
        case 6:
            return b"To: " + b",\r\n ".join(b"u%d@example.test" % k for k in range(2000)) + b"\r\n\r\nbody\r\n"
        case 7:
            return HEAD + b"\r\n" + b"y" * (1 << 20) + CRLF
    return (MIME + b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nsmall\r\n--b\r\nContent-Type: image/png\r\n"
            b"Content-Transfer-Encoding: base64\r\n\r\n" + (b"QUJD" * 18 + CRLF) * 20000 + b"--b--\r\n")


def nested(depth):
    return b"".join(b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (n, n) for n in range(depth))


FAMILIES = [
    ("address", 70, address), ("subject", 35, subject), ("type", 60, content_type), ("parameter", 45, parameter),
    ("disposition", len(DISPOSITIONS), of_field(b"Content-Disposition", DISPOSITIONS)),
    ("encoding", len(ENCODINGS), of_field(b"Content-Transfer-Encoding", ENCODINGS)),
    ("multipart", 60, multipart), ("boundary", 40, boundary), ("boundaries", 45, boundaries), ("rfc822", 27, rfc822),
    ("digest", 15, digest), ("shape", len(SHAPES), shape), ("mutated", 80, mutated), ("bare", 12, bare), ("big", 9, big),
]
