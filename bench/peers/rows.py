"""The rows of the table: who is in each, what load, what counts, and the target where there is one."""

from dataclasses import dataclass

GIB = 1 << 30


@dataclass
class Row:
    """A load, and whom it is put on in turn. `unit` says what `figure` computes; less is better unless `more`."""

    name: str
    who: tuple
    load: tuple
    unit: str
    targets: dict  # ravenry's figure against that one's: at most, or at least where `more`
    backend: str = "dovecot"
    rate: int = 0  # operations a second of a second, open loop: for latencies
    more: bool = False
    warmup: int = 1  # seconds

    def figure(self, cpu, report):
        if report["bytes"]:
            return cpu / (report["bytes"] / GIB)
        if self.more:
            return report["done"] / cpu
        return cpu / report["done"] * 1e6


def bodies(kind, label, size, sessions):
    return Row(f"{kind}-{label}", ("ravenry", "haproxy-splice-256k", "haproxy-splice"),
               (kind, "--size", str(size), "--sessions", str(sessions)), "CPU s per GiB",
               {"haproxy-splice-256k": 1.0, "haproxy-splice": 0.85})


def trips(sessions, rate):
    return Row(f"trips-{sessions}", ("ravenry", "haproxy", "cyrus"), ("trips", "--sessions", str(sessions)),
               "µs CPU per trip", {"haproxy": 1.15, "cyrus": 0.35}, rate=rate)


ROWS = [
    bodies("fetch", "1m", 1 << 20, 4), bodies("fetch", "25m", 25 << 20, 4),
    bodies("append", "1m", 1 << 20, 4), bodies("append", "25m", 25 << 20, 2),
    trips(1, 1000), trips(8, 2000), trips(32, 2000),
    Row("visits", ("ravenry", "cyrus", "cyrus-cold"), ("visits", "--sessions", "8"), "sessions per CPU s",
        {"cyrus": 5.0}, more=True, warmup=6),  # each of Cyrus' processes has had a client then
]
# How many idle sessions each contestant is given, stage by stage.
IDLE = {"ravenry": (500, 1000, 2000, 4000), "haproxy": (500, 1000, 2000, 4000), "cyrus": (100, 250, 500)}
IDLE_TARGET = 4.0  # KiB of RssAnon a session
