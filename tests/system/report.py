"""What tests came to: a line for each, what failed with its log, and the count at the end."""

import sys
import threading
import traceback

COLOUR = {"ok": "32", "FAIL": "31", "SKIP": "33"} if sys.stdout.isatty() else {}


class Report:
    """Counts and prints results; keeps the logs of what failed."""

    def __init__(self, logs):
        self.logs, self.lock = logs, threading.Lock()
        self.count = {"ok": 0, "FAIL": 0, "SKIP": 0}
        self.failed, self.skipped, self.running = [], [], []

    def result(self, word, name, seconds, note=""):
        with self.lock:
            self.count[word] += 1
            shown = f"\033[{COLOUR[word]}m{word:4}\033[0m" if word in COLOUR else f"{word:4}"
            print(f"{shown} {name} ({seconds:.1f} s){': ' + note if note else ''}", flush=True)
            if word == "SKIP":
                self.skipped.append(f"{name}: {note}")

    def failure(self, name, seconds, error, logs):
        """`logs`: pairs of a file and the offset where this test began."""
        path = self.logs / f"{name}.log"
        with open(path, "w", errors="replace") as out:
            traceback.print_exception(error, file=out)
            for file, start in logs:
                if file.exists():
                    with open(file, "rb") as log:
                        log.seek(start)
                        out.write(f"\n--- {file.parent.name}/{file.name}\n{log.read().decode(errors='replace')}")
        self.failed.append(f"{name}: {path}")
        self.result("FAIL", name, seconds, str(error).split("\n")[0][:300] or type(error).__name__)

    def close(self):
        for title, names in (("skipped", self.skipped), ("failed, with the log of each", self.failed)):
            if names:
                print(f"{title}:")
                for line in names:
                    print(f"  {line}")
        print(f"{self.count['ok']} passed, {self.count['FAIL']} failed, {self.count['SKIP']} skipped", flush=True)
        return 1 if self.count["FAIL"] else 0
