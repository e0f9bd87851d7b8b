"""Who differs from whom, and the table of it."""

from collections import Counter

SPLITS = ["all the same", "Dovecot alone", "Cyrus alone", "ours alone", "three answers", "two, the same", "two, not the same"]
ABSENT = "absent"


def split(values):
    """How the answers fall apart. `values`: by peer; who didn't take the message isn't in it."""
    ours, cyrus, dovecot = (values.get(name) for name in ("ours", "cyrus", "dovecot"))
    if len(values) < 3:
        first, *others = values.values()
        return "two, the same" if all(other == first for other in others) else "two, not the same"
    if ours == cyrus == dovecot:
        return "all the same"
    if ours == cyrus:
        return "Dovecot alone"
    if ours == dovecot:
        return "Cyrus alone"
    return "ours alone" if cyrus == dovecot else "three answers"


def agreed(values):
    """Nothing to explain: we are as Cyrus is; without Cyrus, as Dovecot is."""
    if "ours" not in values:
        return True
    other = "cyrus" if "cyrus" in values else "dovecot"
    return other not in values or values["ours"] == values[other]


def table(counts):
    """Counts by (item, split) as the lines of a table."""
    names = list(dict.fromkeys(item for item, _ in counts))
    used = [name for name in SPLITS if any(counts[item, name] for item in names)]
    lines = ["| item | " + " | ".join(used) + " |", "|---|" + "---:|" * len(used)]
    total = Counter()
    for item in names:
        lines.append(f"| `{item}` | " + " | ".join(str(counts[item, name]) for name in used) + " |")
        total.update({name: counts[item, name] for name in used})
    return [*lines, "| all | " + " | ".join(str(total[name]) for name in used) + " |"]
