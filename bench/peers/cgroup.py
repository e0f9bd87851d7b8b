"""What a contestant costs: a cgroup holds all of its processes, whoever forked them.

CPU time is `usage_usec` of `cpu.stat` in a cgroup of the v2 hierarchy, which every cgroup there has, with or without
the cpu controller. Memory that the kernel holds for it is told by the memory controller, where it is to be had (v2,
or v1 beside a v2 hierarchy without controllers).
"""

import os
from pathlib import Path


def mounts():
    for line in Path("/proc/mounts").read_text().splitlines():
        _, where, kind, options = line.split()[:4]
        yield Path(where), kind, options.split(",")


class Cgroup:
    def __init__(self, name):
        unified = next((where for where, kind, _ in mounts() if kind == "cgroup2"), None)
        assert unified, "no cgroup2 is mounted: the CPU time of a contestant's processes can't be told"
        self.cpu = unified / name
        self.folders = [self.cpu]
        memory = next((where for where, kind, options in mounts() if kind == "cgroup" and "memory" in options), None)
        self.memory = memory / name if memory else self.cpu
        if memory:
            self.folders.append(self.memory)
        elif "memory" in (unified / "cgroup.controllers").read_text():
            (unified / "cgroup.subtree_control").write_text("+memory")
        for folder in self.folders:
            folder.mkdir(exist_ok=True)

    def enter(self):
        """Puts the calling process in, and with it all that it will start."""
        for folder in self.folders:
            (folder / "cgroup.procs").write_text(str(os.getpid()))

    @property
    def cpu_stat(self):
        return self.cpu / "cpu.stat"

    def pids(self):
        return [int(pid) for pid in (self.cpu / "cgroup.procs").read_text().split()]

    def anonymous(self):
        """RssAnon of all its processes, in KiB, and how many processes they are."""
        total, count = 0, 0
        for pid in self.pids():
            try:
                status = Path(f"/proc/{pid}/status").read_text()
            except OSError:
                continue
            found = [line.split()[1] for line in status.splitlines() if line.startswith("RssAnon:")]
            total, count = total + sum(map(int, found)), count + 1
        return total, count

    def drop_file_pages(self):
        """Takes from it what it holds of files' pages, those that are mapped, too, as far as the kernel can."""
        force = self.memory / "memory.force_empty"
        if force.exists():
            force.write_text("1")
            return
        try:
            (self.memory / "memory.reclaim").write_text("64G")
        except BlockingIOError:
            pass  # it has given all that it could

    def kernel(self):
        """What the kernel holds for it, in KiB: sockets, files, page tables, stacks. None where nobody tells."""
        for name in ("memory.kmem.usage_in_bytes", "memory.stat"):
            file = self.memory / name
            if not file.exists():
                continue
            text = file.read_text().split()
            if name.startswith("memory.kmem"):
                return int(text[0]) // 1024
            if "kernel" in text:
                return int(text[text.index("kernel") + 1]) // 1024
        return None

    def remove(self):
        for folder in self.folders:
            try:
                folder.rmdir()
            except OSError:
                pass


def usage(stat):
    """CPU seconds of the text of a cpu.stat."""
    words = stat.split()
    return int(words[words.index("usage_usec") + 1]) / 1e6
