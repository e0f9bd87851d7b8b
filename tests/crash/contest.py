"""While a backend is dead, another is asked to make a name that the operation was about: at most one of them has it."""

from case import Case, Run, patiently
from imap_client import message
from matrix import OK
from our_murder import ADMIN


class ContestCase(Case):
    def __init__(self, contest):
        super().__init__(contest.operation, contest.step, "frontend", False)
        object.__setattr__(self, "contest", contest)

    @property
    def name(self):
        return f"{self.operation.key}, {self.step.point}, backend2 makes {self.contest.box} meanwhile"

    def run(self, murder):
        current = Contested(murder, self)
        current.prepare()
        current.crash()
        contest = self.contest
        assert current.answer.status == contest.answer, f"backend2 says {current.answer.text}, claimed is {contest.answer}"
        state = current.settled()
        assert contest.ends in state, f"it ends {' or '.join(state)}, claimed is {contest.ends}"
        current.check_the_winner()
        current.check_the_quarantine()
        return {"state": contest.ends, "agreed": current.agreed, "note": f"{contest.ends}, backend2 said {contest.answer}"}


class Contested(Run):
    """A case under way, in which backend2 does something."""

    def meanwhile(self):
        box = self.case.contest.box
        with self.murder.session("backend2", ADMIN) as admin:
            self.answer = patiently(lambda: admin.command(f"CREATE {self.internal(box)}"))
        if self.answer.status == OK:
            self.elsewhere.add(box)

    def check_the_winner(self):
        """The name leads to one mailbox, which takes messages."""
        box = self.case.contest.box
        with self.murder.session("frontend", self.user) as session:
            there = box in self.elsewhere | set(self.at_backend("backend1"))
            before = session.exists(session.select(self.given(box)).ok()) if there else None
            answer = session.append(self.given(box), message("winner"))
            assert answer.status == (OK if there else "NO"), answer.text
            if there:
                assert session.exists(session.select(self.given(box)).ok()) == before + 1
                assert before == 0 or box not in self.elsewhere

    def check_the_quarantine(self):
        """What was put away can be brought back, with its messages."""
        server = self.murder.servers["backend1"]
        rows = [row.split("\t") for row in server.ctl("backend", "quarantine", "list").splitlines()]
        mine = [row for row in rows if len(row) > 1 and self.is_mine(row[1])]
        assert len(mine) == self.case.contest.quarantined, f"in quarantine is {mine}"
        for ident, name, *_ in mine:
            server.ctl("backend", "quarantine", "restore", ident, self.internal("back"))
            kept = self.contents[self.box_of(name)]
            assert self.messages(["back"])["back"] == kept, f"{name} came back otherwise"
