"""The messages: others' collections where this machine has them, and what `broken.py` makes.

None of the others' is kept here. What isn't installed is left out; our own are enough for a run.
"""

import sysconfig
from pathlib import Path

import broken

# CPython's: of the running Python, and of Debian's (libpython3-testsuite)
CPYTHON = [Path(sysconfig.get_path("stdlib")) / "test/test_email/data", Path("/usr/lib/python3.11/test/test_email/data")]
CRATES = Path.home() / ".cargo/registry/src"
LARGEST = 4 << 20


def corpus():
    """All messages as pairs of a name and the bytes, in the same order each time."""
    return [*cpython(), *mail_parser(), *broken.messages()]


def cpython():
    for folder in CPYTHON:
        found = sorted(folder.glob("msg_*.txt"))
        if found:
            return [(f"cpython/{file.stem}", crlf(file.read_bytes())) for file in found]
    return []


def mail_parser():
    """The resources of the crate mail-parser, of its newest version here."""
    folders = sorted(CRATES.glob("*/mail-parser-*/resources/eml"))
    if not folders:
        return []
    files = [file for file in sorted(folders[-1].rglob("*.eml")) if file.stat().st_size < LARGEST]
    return [(f"mail-parser/{file.parent.name}/{file.stem}", crlf(file.read_bytes())) for file in files]


def crlf(data):
    """As a client sends it: lines end in CRLF, and there is no NUL."""
    return data.replace(b"\r\n", b"\n").replace(b"\r", b"").replace(b"\n", b"\r\n").replace(b"\0", b"0")
