#!/usr/bin/env python3
"""usage: bench/peers/table.py SUMMARY.json: the tables of docs/performance.md, from what a run has written."""

import json
import sys


def verdict(ratio, target, more):
    if target is None:
        return "–"
    reached = ratio >= target if more else ratio <= target
    return f"{'≥' if more else '≤'} {target}: " + ("reached" if reached else "**not reached**")


def main():
    rows = json.load(open(sys.argv[1]))["rows"]
    print("| row | ravenry | beside | its figure | ratio (min to max of the rounds) | target |\n|---|---|---|---|---|---|")
    for name, row in rows.items():
        if name == "idle":
            continue
        ours = row["contestants"]["ravenry"]["median"]
        for other, found in row["contestants"].items():
            if other != "ravenry":
                ratio = found["ratio"]
                print(f"| {name} | {ours:.3g} {row['unit']} | {other} | {found['median']:.3g} | {ratio['median']:.2f} "
                      f"({ratio['min']:.2f} to {ratio['max']:.2f}) | {verdict(ratio['median'], ratio['target'], row['more'])} |")
    print("\n| row, open loop | who | p50 µs | p99 µs | max µs |\n|---|---|---|---|---|")
    for name, row in rows.items():
        for who, found in row["contestants"].items():
            if name != "idle" and "latency_us" in found:
                late = found["latency_us"]
                print(f"| {name}, {row['rate']}/s | {who} | {late['p50']:.0f} | {late['p99']:.0f} | {late['max']:.0f} |")
    if "idle" in rows:
        print("\n| idle session | RssAnon, KiB (slope) | kernel memory, KiB (slope) | sessions |\n|---|---|---|---|")
        for who, found in rows["idle"]["contestants"].items():
            stages = [str(point[0]) for point in found["points"][1:]]
            print(f"| {who} | {found['rss_anon_kib']:.2f} | {found['kernel_kib']:.2f} | {', '.join(stages)} |")


if __name__ == "__main__":
    main()
