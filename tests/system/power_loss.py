"""Power loss, as the disk sees it: what a process wrote and synced is recorded, and what a disk may hold of
it after a cut at any moment is laid out again.

`Record` runs a command under strace and reads what it says: opens, writes, truncations, renames, unlinks and
syncs below one directory, and what went out to sockets and came in. `Record.disk(point, dice)` is one state
that the directory may have if power goes at `point`:

* a write is on the disk once an fsync or fdatasync of its file that began after it has ended, or when it was
  made through a descriptor with O_SYNC or O_DSYNC and has ended. Until then any of its sectors may be there;
* a name (made, linked, renamed, unlinked) is there once its directory was synced, as POSIX has it: the file's own
  fsync isn't enough. Until then names come in their order, as from a journal, up to any point.
* a link is one more name of a file; what of its bytes is there is the file's own matter.

Nothing is known of the server but system calls: any store that writes by write, pwrite, writev and pwritev can be
recorded. One that writes through a shared mapping, by sendfile, splice or io_uring can't, and is refused where
that can be seen. Files named in `ignore` are left out (locks, sockets: of no meaning after a start).
"""

import re
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

TRACED = ("open,openat,creat,close,write,writev,pwrite64,pwritev,pwritev2,lseek,read,recvfrom,recvmsg,sendto,sendmsg,"
          "fsync,fdatasync,syncfs,sync,sync_file_range,ftruncate,truncate,fallocate,rename,renameat,renameat2,unlink,"
          "unlinkat,mkdir,mkdirat,rmdir,link,linkat,symlink,symlinkat,mmap,msync,dup,dup2,dup3,fcntl,copy_file_range,"
          "accept4,accept")
SECTOR, PAGE = 512, 4096
STRING = re.compile(r'"((?:\\x[0-9a-f]{2})*)"(\.\.\.)?')
CALL = re.compile(r"(\d+) +(\w+)\((.*)\) += (-?\d+|\?)", re.S)


@dataclass
class Call:
    """One system call: where in the record it began and ended (None: it hadn't)."""

    name: str
    text: str
    begin: int
    end: int = None
    result: int = None

    def strings(self):
        found = STRING.findall(self.text)
        if any(cut for _, cut in found):
            raise ValueError(f"a string of {self.name} was cut short: record with longer ones")
        return [bytes.fromhex(hexed.replace("\\x", "")) for hexed, _ in found]

    def number(self, index):
        return int(self.text.split(", ")[index], 0)

    @property
    def failed(self):
        return self.result is not None and self.result < 0


@dataclass
class Write:
    begin: int
    end: int
    offset: int
    data: bytes
    size: int = None  # a truncation to this size
    sync: bool = False  # on the disk when it ends


@dataclass
class File:
    writes: list = field(default_factory=list)
    syncs: list = field(default_factory=list)  # pairs of begin and end

    def length(self):
        size = 0
        for write in self.writes:
            size = write.size if write.size is not None else max(size, write.offset + len(write.data))
        return size


@dataclass
class Name:
    """A change of names: `path` is `file` from now on (None: nothing)."""

    begin: int
    end: int
    directory: Path
    changes: list  # pairs of a path and a File, a directory ("/") or None
    other: Path = None  # the second directory of a rename from one to another
    sure_at: float = None  # when a sync that began after it had ended


@dataclass
class Descriptor:
    file: File
    sync: bool
    position: int = 0
    append: bool = False


class Record:
    """What a command did below `directory`, which is empty when it starts, or has been read by `begin_with_what_is_there`."""

    def __init__(self, directory, ignore=()):
        self.directory, self.ignore = Path(directory), ignore
        self.names, self.files, self.directories = [], {}, {}
        self.sent, self.received, self.moments = [], [], set()
        self.open, self.current, self.taken = {}, {}, {}

    def begin_with_what_is_there(self):
        """Before the command starts: what it finds is on the disk."""
        files = {}
        for path in sorted(self.directory.rglob("*")):
            if path.name in self.ignore or not (path.is_dir() or path.is_file()):
                continue
            file = "/"
            if path.is_file():  # a file may have several names
                file = files.setdefault(path.stat().st_ino, File([Write(-3, -3, 0, path.read_bytes())], [(-2, -1)]))
            self.names.append(Name(-3, -3, path.parent, [(path, file)]))
            self.directories.setdefault(path.parent, [(-2, -1)])
            self.current[path] = file
        return self

    @staticmethod
    def command(output, *command):
        return ["strace", "-f", "--seccomp-bpf", "-xx", "-s", str(1 << 22), "-e", f"trace={TRACED}", "-e", "signal=none",
                "-qqq", "-o", str(output), *map(str, command)]

    def read(self, output):
        """Reads strace's output; calls take effect in the order of their ends."""
        calls = parse(output)
        for call in sorted(calls, key=moment):
            if not call.failed:
                method = getattr(self, f"on_{call.name}", None)
                if method:
                    method(call)
        self.last = max(call.end or call.begin for call in calls)
        for name in self.names:
            name.sure_at = self.synced_at(name)
        return self

    # ------------------------------------------------------------------ names

    def path(self, data):
        path = Path(data.decode())
        return path if path.is_relative_to(self.directory) and path.name not in self.ignore else None

    def name(self, call, directory, *changes, other=None):
        self.names.append(Name(call.begin, call.end, directory, list(changes), other))
        self.current.update(changes)
        self.note(call)

    def note(self, call):
        """A moment at which a cut is of interest: just before and just behind this call."""
        self.moments.add(call.begin)
        if call.end is not None:
            self.moments.add(call.end)

    def on_open(self, call):
        if call.result is None:
            return
        path = self.path(call.strings()[0])
        if path is None:
            self.open.pop(call.result, None)
            return
        flags = call.text
        if "O_DIRECTORY" in flags or path.is_dir() and path not in self.current or self.current.get(path) == "/":
            self.open[call.result] = path
            return
        file = self.current.get(path)
        if file is None and "O_CREAT" in flags:
            file = File()
            self.name(call, path.parent, (path, file))
        if file is None:
            raise ValueError(f"{path} was there before the record")
        if "O_TRUNC" in flags and file.writes:
            file.writes.append(Write(call.begin, call.end, 0, b"", size=0))
        self.open[call.result] = Descriptor(file, "O_SYNC" in flags or "O_DSYNC" in flags, append="O_APPEND" in flags)

    on_openat = on_creat = on_open

    def on_close(self, call):
        self.open.pop(call.number(0), None)

    def on_dup(self, call):
        if call.result is not None and call.number(0) in self.open:
            self.open[call.result] = self.open[call.number(0)]
        else:
            self.open.pop(call.result, None)

    on_dup2 = on_dup3 = on_dup

    def on_fcntl(self, call):
        if "F_DUPFD" in call.text:
            self.on_dup(call)

    def on_accept4(self, call):
        self.open.pop(call.result, None)

    on_accept = on_accept4

    def on_mkdir(self, call):
        path = self.path(call.strings()[0])
        if path is not None and path != self.directory:
            self.name(call, path.parent, (path, "/"))

    on_mkdirat = on_mkdir

    def on_rename(self, call):
        old, new = (self.path(data) for data in call.strings()[:2])
        if old is None and new is None:
            return
        if old is None or new is None or self.current.get(old) == "/" and old.parent != new.parent:
            raise ValueError(f"a rename of a directory, or to elsewhere, isn't recorded: {old} {new}")
        self.name(call, new.parent, (new, self.current.get(old)), (old, None), other=old.parent)

    on_renameat = on_renameat2 = on_rename

    def on_unlink(self, call):
        path = self.path(call.strings()[0])
        if path is not None and path in self.current:
            self.name(call, path.parent, (path, None))

    on_unlinkat = on_rmdir = on_unlink

    def on_link(self, call):
        old, new = (self.path(data) for data in call.strings()[:2])
        if new is not None:
            if self.current.get(old) is None:
                self.refuse(call)
            self.name(call, new.parent, (new, self.current[old]))

    on_linkat = on_link

    def refuse(self, call):
        raise ValueError(f"{call.name} below {self.directory} can't be recorded: {call.text[:200]}")

    def on_symlink(self, call):
        if any(self.path(data) for data in call.strings()):
            self.refuse(call)

    on_symlinkat = on_truncate = on_symlink

    # ------------------------------------------------------------------ contents

    def on_mmap(self, call):
        if "PROT_WRITE" in call.text and "MAP_SHARED" in call.text:
            number = re.search(r"MAP_SHARED[^,]*, (\d+), ", call.text)
            if number and int(number.group(1)) in self.open:
                self.refuse(call)

    def on_copy_file_range(self, call):
        if call.number(2) in self.open:
            self.refuse(call)

    def descriptor(self, call):
        found = self.open.get(call.number(0))
        return found if isinstance(found, Descriptor) else None

    def written(self, call, offset, data):
        """Of a call that had not ended, all may have been written."""
        found = self.descriptor(call)
        if found is None:
            return None
        data = data if call.result is None else data[:call.result]
        if offset is None:
            offset = found.file.length() if found.append else found.position
            found.position = offset + len(data)
        found.file.writes.append(Write(call.begin, call.end, offset, data, sync=found.sync))
        self.note(call)
        return found

    def on_write(self, call):
        if call.number(0) in self.open:
            self.written(call, None, b"".join(call.strings()))
        else:
            self.on_sendto(call)

    on_writev = on_write

    def on_pwrite64(self, call):
        if call.number(0) in self.open:
            self.written(call, int(call.text.rsplit(", ", 1)[1], 0), b"".join(call.strings()))

    on_pwritev = on_pwrite64

    def on_pwritev2(self, call):
        if call.number(0) in self.open:
            self.refuse(call)

    def on_lseek(self, call):
        if (found := self.descriptor(call)) and call.result is not None:
            found.position = call.result

    def on_read(self, call):
        if (found := self.descriptor(call)) and call.result is not None:
            found.position += call.result
        elif call.number(0) not in self.open:
            self.on_recvfrom(call)

    def on_ftruncate(self, call):
        if found := self.descriptor(call):
            found.file.writes.append(Write(call.begin, call.end, 0, b"", size=call.number(1)))
            self.note(call)

    def on_fallocate(self, call):
        if self.descriptor(call):
            self.refuse(call)

    def on_fsync(self, call):
        found = self.open.get(call.number(0))
        if isinstance(found, Descriptor):
            found.file.syncs.append((call.begin, call.end))
        elif found is not None:
            self.directories.setdefault(found, []).append((call.begin, call.end))
        self.note(call)

    on_fdatasync = on_fsync

    # ------------------------------------------------------------------ sockets

    def on_sendto(self, call):
        data = b"".join(call.strings())
        self.sent.append((call.begin, call.number(0), data if call.result is None else data[:call.result]))
        self.note(call)

    on_sendmsg = on_sendto

    def on_recvfrom(self, call):
        if call.result:
            self.received.append((call.end, call.number(0), b"".join(call.strings())[:call.result]))

    on_recvmsg = on_recvfrom

    # ------------------------------------------------------------------ after the cut

    def disk(self, point, dice, mode="sectors", syncs=True):
        """What the disk may hold if power goes at `point`: paths and their bytes (None: a directory).

        `mode`: of what isn't sure, "none", "all", or some "pages" or "sectors" by `dice`. `syncs=False` leaves
        all syncs out of the record: what a server would have that forgot them."""
        cut = dice.random()
        held = {}
        unsure = [name for name in self.names if name.begin < point and not self.sure(name, point, syncs)]
        last = unsure[int(cut * len(unsure))].begin if unsure and mode not in ("none", "all") else \
            point if mode == "all" else -1
        for name in self.names:
            if name.begin < point and (name.begin < last or self.sure(name, point, syncs)):
                held.update(name.changes)
        return {path: None if file == "/" else content(file, point, dice, mode, syncs)
                for path, file in held.items() if file is not None and self.reachable(path, held)}

    def sure(self, name, point, syncs):
        return syncs and name.sure_at <= point

    def synced_at(self, name):
        """When the first sync of its directory ended of those that began behind it; where it has two, of both."""
        if name.end is None:
            return float("inf")
        return max(min((end for begin, end in self.directories.get(directory, ()) if begin > name.end and end is not None),
                       default=float("inf")) for directory in {name.directory, name.other or name.directory})

    def reachable(self, path, held):
        return path.parent == self.directory or held.get(path.parent) == "/" and self.reachable(path.parent, held)

    def lay_out(self, held, where):
        """Writes a state of `disk` below the directory `where`."""
        for path, data in sorted(held.items()):
            path = Path(where) / path.relative_to(self.directory)
            if data is None:
                path.mkdir()
            else:
                path.write_bytes(data)


def moment(call):
    """When a call takes effect for those behind it: a descriptor is free once its close has begun."""
    return call.begin if call.end is None or call.name == "close" else call.end


def content(file, point, dice, mode, syncs):
    data = bytearray()
    last = max((begin for begin, end in file.syncs if end is not None and end <= point), default=-1) if syncs else -1
    for write in file.writes:
        if write.begin >= point:
            continue
        ended = write.end is not None and write.end <= point
        if ended and (write.end < last or syncs and write.sync):
            apply(data, write, [(0, len(write.data))])
        elif mode != "none":
            apply(data, write, pieces(write, dice, mode))
    return bytes(data)


def pieces(write, dice, mode):
    """The parts of a write that reached the disk before the cut."""
    if mode == "all" or write.size is not None:
        return [(0, len(write.data))] if mode == "all" or dice.random() < 0.5 else []
    step = PAGE if mode == "pages" else SECTOR
    share = dice.choice((0.1, 0.5, 0.9))
    found, start = [], 0
    while start < len(write.data):
        end = min(start + step - (write.offset + start) % step, len(write.data))
        if dice.random() < share:
            found.append((start, end))
        start = end
    return found


def apply(data, write, parts):
    if write.size is not None:
        if parts:
            del data[write.size:]
            data.extend(bytes(write.size - len(data)))
        return
    for start, end in parts:
        first, last = write.offset + start, write.offset + end
        if len(data) < last:
            data.extend(bytes(last - len(data)))
        data[first:last] = write.data[start:end]


def parse(output):
    """The calls of strace's output, with the lines at which they began and ended."""
    calls, begun = [], {}
    with open(output, errors="replace") as lines:
        for number, line in enumerate(lines):
            pid, _, rest = line.rstrip("\n").partition(" ")
            rest = rest.lstrip()
            if rest.endswith("<unfinished ...>"):
                name, _, text = rest.removesuffix(" <unfinished ...>").partition("(")
                begun[pid] = Call(name, text, number)
                continue
            if resumed := re.match(r"<\.\.\. (\w+) resumed>(.*)", rest, re.S):
                call = begun.pop(pid)
                begin, rest = call.begin, f"{call.name}({call.text}{resumed.group(2)}"
            else:
                begin = number
            found = CALL.match(f"1 {rest}")
            if not found:
                continue
            result = None if found.group(4) == "?" else int(found.group(4))
            end = number if result is not None else None
            calls.append(Call(found.group(2), found.group(3), begin, end, result))
    return calls + list(begun.values())


def strace_works():
    try:
        return subprocess.run(["strace", "-f", "--seccomp-bpf", "-o", "/dev/null", "true"], capture_output=True,
                              timeout=10).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False
