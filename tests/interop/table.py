"""The table of the cells: how many tests passed and failed in each."""

import threading


class Table:
    def __init__(self):
        self.lock = threading.Lock()
        self.cells = {}

    def result(self, cell, test, passed):
        with self.lock:
            self.cells.setdefault(cell, {})[test] = passed

    def text(self):
        """In Markdown."""
        lines = ["| master | frontend | backends | passed | failed |", "| --- | --- | --- | ---: | ---: |"]
        for cell, results in sorted(self.cells.items(), key=lambda item: item[0].split("-"), reverse=True):
            passed = sum(results.values())
            kinds = [{"ours": "Ravenry", "cyrus": "Cyrus"}[kind] for kind in cell.split("-")]
            lines.append(f"| {' | '.join(kinds)} | {passed} | {len(results) - passed} |")
        return "\n".join(lines)
