"""The crash matrix as a table: what is claimed, and what a run has seen of it."""

from matrix import CONTESTS, DONE, OPERATIONS, SILENCE

HEAD = """\
# The crash matrix

A backend, the MUPDATE master or a frontend dies at a step of an operation that changes names or ACLs, and is started
again in the same directory. `./dev test crash` does that for every line below, with real processes: the client's way
through the frontend and directly at the backend, the process killed, and killed with all lost that it hadn't synced
(what the disk has then is laid out from the record of its system calls). This page is written by it
(`tests/crash/run.py --table docs/protocols/crash-matrix.md`); what a crash leaves and how it ends is claimed in
`tests/crash/matrix.py` and compared with what is seen at the master and in the backend's directory right after the crash.

In every case, within 20 s of the next start: master, backends and frontend have the same names with the same ACLs; none is reserved,
none at two backends; every acknowledged message is in the one mailbox in which it has to be; the client has had one
tagged reply at most, and OK only where the operation is done; the operation, done again, is OK, or NO because it has been done.

"Leaves" is what the master / the backend has of each name. "Ends" is what the operation comes to when all run again.
What is sent together is committed together; where the master reads it in two pieces, in two ("sent in pieces").
"Told" is what a client may have been told whose own server lives: `nothing` where the frontend dies, and for a client of the backend
where that dies.

"""

CONTEST_HEAD = """

## While it is dead, another backend wants the name

The name goes to one of them, takes messages there, and nothing of the other's is lost.

"""

POINTS = {
    "backend.create.begun": "the rights are checked, the names claimed",
    "backend.create.reserved": "the master has reserved the names",
    "backend.create.spool": "the directories of the messages are there",
    "backend.create.listed": "the mailboxes are in the backend's list, uncommitted",
    "backend.create.committed": "the backend's transaction is committed",
    "backend.create.activated": "the master has made the names active; the client isn't told yet",
    "backend.delete.begun": "the rights are checked, the names claimed",
    "backend.delete.deleted": "the master has deleted the names",
    "backend.delete.committed": "the backend's transaction is committed",
    "backend.rename.begun": "the rights are checked, the names claimed",
    "backend.rename.reserved": "the master has reserved the new names",
    "backend.rename.activated": "the master has made the new names active",
    "backend.rename.committed": "the backend's transaction is committed",
    "backend.rename.deleted": "the master has deleted the old names",
    "backend.setacl.begun": "the rights are checked, the name claimed",
    "backend.setacl.activated": "the master has the new ACL",
    "backend.setacl.committed": "the backend's transaction is committed",
    "master.reserve.asked": "before RESERVE is committed",
    "master.reserve.committed": "RESERVE is committed, and not answered",
    "master.activate.asked": "before ACTIVATE is committed",
    "master.activate.committed": "ACTIVATE is committed, and not answered",
    "master.deactivate.asked": "before DEACTIVATE is committed",
    "master.deactivate.committed": "DEACTIVATE is committed, and not answered",
    "master.delete.asked": "before DELETE is committed",
    "master.delete.committed": "DELETE is committed, and not answered",
}
FRONTEND = {"forwarded": "the backend has been sent the command", "answered": "the backend's answer is here, the client has none"}


def meaning(step):
    says = POINTS.get(step.point) or FRONTEND[step.point.rsplit(".", 1)[1]]
    return says if step.nth == 1 else f"{says}, the {step.nth}. time"


def died_at(step):
    return f"`{step.armed}`" + ", and the backend with it" * step.both


def left(step):
    """Names of which both have the same are one entry; a tree is told by its top."""
    if not step.leaves:
        return "the backend goes on"
    return said(step.leaves) + (f" (sent in pieces: {said(step.in_pieces)})" if step.in_pieces else "")


def said(leaves):
    by_state = {}
    for box, state in leaves.items():
        boxes = by_state.setdefault(state, [])
        if not (box.count(".") and box.split(".")[0] in boxes and len(leaves) > 6):
            boxes.append(box or "INBOX")
    return "; ".join(f"{', '.join(boxes)}: {master} / {backend}" for (master, backend), boxes in by_state.items())


def verdict(results, operation, step):
    """Killed and power lost: `ok`, FAILED, or what else became of it."""
    words = []
    for power in (False, True):
        of = [result for case, result in results.items()
              if (case.operation, case.step, case.power) == (operation, step, power)]
        if not of:
            words.append("not run")
        elif any(isinstance(result, Exception) for result in of):
            words.append("FAILED")
        else:
            words.append("skipped" if None in of else "ok")
    return " | ".join(words)


def table(results):
    """As Markdown."""
    lines = ["| operation | dies at | which is when | leaves (master / backend) | what mends it | ends | told | killed | power lost |",
             "|---|---|---|---|---|---|---|---|---|"]
    for operation in OPERATIONS:
        for step in operation.steps:
            told = " or ".join(step.reply) if step.reply != (SILENCE,) else SILENCE
            lines.append(f"| {shown(operation)} | {died_at(step)} | {meaning(step)} | {left(step)} | {step.mends} | {step.ends} | {told} | "
                         f"{verdict(results, operation, step)} |")
    return "\n".join(lines)


def contests(results):
    """The second table: another backend wants the name."""
    lines = ["| operation | backend1 dies at | backend2 is asked to make | and says | backend1's operation ends | result |", "|---|---|---|---|---|---|"]
    for contest in CONTESTS:
        of = [result for case, result in results.items() if getattr(case, "contest", None) is contest]
        word = "not run" if not of else "FAILED" if isinstance(of[0], Exception) else "ok"
        ends = f"{contest.ends}; what it had there is in quarantine" if contest.quarantined else contest.ends
        lines.append(f"| {shown(contest.operation)} | `{contest.point}` | {contest.box} | {contest.answer} | {ends} | {word} |")
    return "\n".join(lines)


def shown(operation):
    return operation.command.replace("{INBOX}", "INBOX").replace("{other}", "bob")


def page(results):
    done = [result for result in results.values() if isinstance(result, dict)]
    seconds = sorted(result["agreed"] for result in done)
    behind = ""
    if seconds:
        carried = sum(result["state"] == DONE for result in done)
        behind = (f"\n\n{len(done)} of {len(results)} cases passed; {carried} ended done. All agreed within {seconds[-1]:.1f} s of "
                  f"the beginning of the next start, half of them within {seconds[len(seconds) // 2]:.1f} s.")
    return HEAD + table(results) + behind + CONTEST_HEAD + contests(results) + "\n"
