"""The two masters: Ravenry as shipped, and Debian's Cyrus, each on the same CPU and the same disk, filled with the same names."""

import json
import os
import re
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
os.environ["RAVENRY_BIN"] = str(ROOT / "target/release/ravenry")
sys.path.insert(0, str(ROOT / "tests/system"))

from mupdate_server import MupdateServer  # noqa: E402
from murder import BINARY, MUPDATE, Murder, poll  # noqa: E402

TOOL = ROOT / "target/bench/release/mupdate"
SERVER, OTHERS = sorted(os.sched_getaffinity(0))[:2]
WITHIN = 1800
# A network that the testbeds don't take: theirs begin at 127.70.
NET = "127.69.1"


@contextmanager
def on_cpu(cpu):
    """What is started within runs there."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {cpu})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def tool(*arguments):
    """bench/micro's client, on the CPU that isn't the master's."""
    with on_cpu(OTHERS):
        done = subprocess.run([TOOL, *map(str, arguments)], stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout)


def dump(directory, names, whose):
    """A file with the site of so many names."""
    path = Path(directory) / f"{whose}.{names}"
    with path.open("wb") as out:
        subprocess.run([TOOL, "dump", str(names), whose], stdout=out, check=True)
    return path


def rss_anon_kib(pid):
    return int(re.search(r"^RssAnon:\s+(\d+)", Path(f"/proc/{pid}/status").read_text(), re.M)[1])


class Ravenry:
    name = "ravenry"

    def __init__(self, net):
        self.directory = Path(tempfile.mkdtemp(prefix="bench-", dir="/var/tmp"))
        self.server = MupdateServer(net, self.directory, 11, server="[mupdate.server.guard]\nnames = 10000000")
        self.address = f"{net}.11:{MUPDATE}"
        with on_cpu(SERVER):
            self.server.start()

    @property
    def pid(self):
        return self.server.process.pid

    def commits(self):
        return self.server.stat("mupdate_server_commits_total")

    def fill(self, names):
        file = dump(self.directory, names, self.name)
        command = [BINARY, "ctl", "--config", self.server.config, "mupdate", "restore", "--force", file]
        subprocess.run(command, cwd=self.server.directory, check=True, stdout=subprocess.DEVNULL, timeout=WITHIN)
        file.unlink()
        # As it is in service: what reading the dump took has gone with the process.
        self.server.kill()
        with on_cpu(SERVER):
            self.server.start()

    def file_mib(self):
        return round(sum(f.stat().st_blocks for f in (self.server.directory / "state/mailboxes").iterdir()) / 2048, 1)

    def close(self):
        self.server.kill()
        subprocess.run(["rm", "-rf", self.directory], check=True)


class Cyrus:
    name = "cyrus"

    def __init__(self, nodes="mupdate"):
        self.directory = Path(tempfile.mkdtemp(prefix="bench-", dir="/var/tmp"))
        with on_cpu(SERVER):
            self.murder = Murder(nodes=nodes, directory=self.directory)
        self.net = self.murder.net
        self.address = f"{self.net}.11:{MUPDATE}"

    @property
    def pid(self):
        """The master's process."""
        return poll("Cyrus' master", 10, lambda: mupdate_of(self.directory / "cyrus", "mupdate"))

    def fill(self, names):
        file = dump(self.directory, names, self.name)
        self.murder.down("mupdate")
        script = ROOT / "tests/testbed/cyrus-murder"
        with file.open("rb") as lines:
            subprocess.run([script, "run", "mupdate", "ctl_mboxlist", "-u", "-L"], stdin=lines, check=True,
                           stdout=subprocess.DEVNULL, env=self.murder.environment, timeout=WITHIN)
        with on_cpu(SERVER):
            self.murder.up("mupdate")
        file.unlink()

    def file_mib(self):
        found = next(self.directory.glob("cyrus/**/mupdate/**/mailboxes.db"))
        return round(found.stat().st_size / (1 << 20), 1)

    def close(self):
        self.murder.close()


def mupdate_of(directory, node):
    """The pid of a node's `mupdate`."""
    for process in Path("/proc").glob("[0-9]*"):
        try:
            line = (process / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if line[0] == b"mupdate" and any(f"{directory}/nodes/{node}".encode() in word for word in line):
            return int(process.name)
    return None
