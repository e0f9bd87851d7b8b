"""One measurement: contestants in alternation on a CPU of their own, load and backends on the other."""

import argparse
import json
import os
import platform
import statistics
import subprocess
import time

from cgroup import usage
from site_of import DOVECOT_USERS, HERE, PACKAGES, ROOT, Site

LOADGEN = ROOT / "target/release/ravenry-loadgen"


class Bench:
    """Raw samples go to the folder `raw`. `starts(name)` gives a contestant, started."""

    def __init__(self, options, raw):
        self.options, self.raw = options, raw
        cpus = sorted(os.sched_getaffinity(0))
        assert len(cpus) >= 2, "two CPUs are needed: one for the contestants, one for load and backends"
        self.cpu = cpus[-1]
        os.sched_setaffinity(0, {cpus[0]})
        self.site = Site()
        self.ready = {}

    def contestant(self, name):
        """Started when it is first wanted."""
        if name not in self.ready:
            self.ready[name] = self.starts(name)
        return self.ready[name]

    def starts(self, name):
        raise NotImplementedError

    def loadgen(self, contestant, row, load, prefix):
        host, port = contestant.target(row.backend)
        command = [LOADGEN, "--to", f"{host}:{port}", "--user", "d%", "--users", str(DOVECOT_USERS), "--password", "pw",
                   "--watch", contestant.cgroup.cpu_stat, "--out", prefix, *load]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300, stdin=subprocess.DEVNULL)
        assert done.returncode == 0, f"{row.name}, {contestant.name}: {done.stderr.strip()}"
        report = json.loads(prefix.with_name(prefix.name + ".json").read_text())
        before, after = (usage(report["watched"][0][when]) for when in ("before", "after"))
        return after - before, report

    def row(self, row):
        """All rounds of a row: in each, every contestant once, in an order that turns."""
        folder = self.raw / row.name
        folder.mkdir(parents=True, exist_ok=True)
        samples = {name: [] for name in row.who}
        seconds = ["--seconds", str(self.options.seconds), "--warmup", str(row.warmup)]
        for turn in range(self.options.rounds):
            order = row.who[turn % len(row.who):] + row.who[:turn % len(row.who)]
            for name in order:
                contestant = self.contestant(name)
                cpu, report = self.loadgen(contestant, row, [*row.load, *seconds], folder / f"{turn}-{name}")
                sample = {"figure": row.figure(cpu, report), "cpu": cpu, "done": report["done"],
                          "seconds": report["seconds"]}
                if row.rate:
                    open_loop = [*row.load, *seconds, "--rate", str(row.rate)]
                    _, report = self.loadgen(contestant, row, open_loop, folder / f"{turn}-{name}-open")
                    sample["latency_us"] = report["latency_us"]
                samples[name].append(sample)
                say(f"{row.name} round {turn + 1} {name}: {sample['figure']:.3g} {row.unit}")
            self.site.empty()
        return summary(row, samples)

    def idle(self, who, target):
        """RssAnon and kernel memory of each contestant at each stage; the slope is what a session costs."""
        found = {}
        for name, stages in who.items():
            stages = stages[:1] if self.options.quick else stages
            contestant = self.contestant(name)
            host, port = contestant.target("dovecot")
            points = [[0, *contestant.cgroup.anonymous(), contestant.cgroup.kernel()]]
            command = [LOADGEN, "--to", f"{host}:{port}", "--user", "d%", "--users", str(DOVECOT_USERS),
                       "--password", "pw", "idle", "--hold", "3", "--stages", ",".join(map(str, stages))]
            if name == "cyrus":  # its frontend appends in a way that only Cyrus' backends know
                command += ["--no-append"]
            with subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True) as load:
                for line in load.stdout:
                    time.sleep(1.5)  # what has been freed goes back to the kernel
                    points.append([int(line.split()[1]), *contestant.cgroup.anonymous(), contestant.cgroup.kernel()])
                    say(f"idle {name}: {points[-1]}")
            assert load.returncode == 0, f"idle, {name}: the load failed"
            self.site.empty()
            first, last = (points[1] if len(points) > 2 else points[0]), points[-1]
            sessions = last[0] - first[0]
            found[name] = {"points": points, "rss_anon_kib": (last[1] - first[1]) / sessions,
                           "kernel_kib": (last[3] - first[3]) / sessions if first[3] is not None else None}
        return {"row": "idle", "unit": "KiB per session", "target": target, "contestants": found}

    def run(self, wanted, rows, idle, out):
        """The rows that are wanted, each added to the summary when it is done. `idle`: who, and the target."""
        try:
            with open(out) as before:
                whole = json.load(before)
        except FileNotFoundError:
            whole = {"rows": {}}
        for name in wanted:
            row = next((row for row in rows if row.name == name), None)
            whole["rows"][name] = self.row(row) if row else self.idle(*idle)
            whole["host"] = host()
            with open(out, "w") as summary_file:
                json.dump(whole, summary_file, indent=1)

    def close(self):
        for contestant in self.ready.values():
            contestant.stop()
        self.site.close()


def summary(row, samples):
    """Medians, and ratios of what belongs to the same round."""
    contestants = {}
    for name, taken in samples.items():
        figures = [sample["figure"] for sample in taken]
        contestants[name] = {"median": statistics.median(figures), "samples": taken}
        if name != "ravenry":
            ratios = [ours["figure"] / theirs["figure"] for ours, theirs in zip(samples["ravenry"], taken)]
            contestants[name]["ratio"] = {"median": statistics.median(ratios), "min": min(ratios), "max": max(ratios),
                                          "target": row.targets.get(name)}
        if row.rate:
            contestants[name]["latency_us"] = {at: statistics.median(s["latency_us"][at] for s in taken)
                                               for at in ("p50", "p99", "max")}
    return {"row": row.name, "unit": row.unit, "rate": row.rate, "more": row.more, "load": list(row.load),
            "contestants": contestants}


def host():
    cpu = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), "?")
    commit = subprocess.run(["git", "-C", ROOT, "rev-parse", "--short", "HEAD"], capture_output=True, text=True).stdout
    return {"kernel": platform.release(), "cpu": cpu, "cpus": os.cpu_count(), "date": time.strftime("%Y-%m-%d"),
            "commit": commit.strip()}


def say(text):
    print(text, flush=True)


def options(usage, names, out):
    parser = argparse.ArgumentParser(usage=usage.removeprefix("usage: "), add_help=True)
    parser.add_argument("--row", action="append", choices=names)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--out", default=str(out))
    given = parser.parse_args()
    if given.list:
        say("\n".join(names))
        raise SystemExit(0)
    if given.quick:
        given.rounds, given.seconds = 1, 1
    given.row = given.row or names
    return given


def prepare(raw):
    raw.mkdir(parents=True, exist_ok=True)
    subprocess.run([HERE / "install", PACKAGES], check=True)
    subprocess.run(["cargo", "build", "--release", "--quiet", "-p", "ravenry", "-p", "ravenry-loadgen"], cwd=ROOT,
                   check=True)
