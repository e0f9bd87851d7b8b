"""The crash matrix: each operation, each point at which a process dies in it, and what is claimed of that: what it
leaves at the master and at the backend, what mends it, how it ends, and what the client may have been told.

`run.py` compares all of it with what it sees; `page.py` prints it. tests/house has the points of the code and those
here be the same.
"""

from dataclasses import dataclass, field

NOTHING, RESERVED, ACTIVE, THERE = "nothing", "reserved", "active", "there"
OLD, NEW = "old rights", "new rights"
DONE, UNDONE = "done", "undone"
# what the client of the operation is told: nothing where its own server died
OK, NO, SILENCE = "OK", "NO", "nothing"

# what mends it
BOTH = "the next starts of both: the backend has the master agree with what it has"
NO_NEED = "nothing has to be mended"
START_PUSHES = "the backend's next start: what it alone has goes to the master"
START_ACTIVATES = "the backend's next start: what it has is made active"
START_TAKES_OUT = "the backend's next start: what it doesn't have goes out of the list"
START_RIGHTS = "the backend's next start: the rights that it has go to the master"
SETTLES_OUT = "the backend, connected again: what it doesn't have goes out of the list"
SETTLES_IN = "the backend, connected again: what it has is made active"
SETTLES_RIGHTS = "the backend, connected again: the rights that it has go to the master"
BACKEND_ENDS_IT = "nothing has to be mended: the backend carries it out, whether anybody waits for it or not"


@dataclass(frozen=True, eq=False)
class Step:
    """A crash. `leaves`: of each name that the operation is about, what the master and the backend have of it; not
    claimed where a frontend dies, for the backend goes on meanwhile."""

    point: str
    leaves: dict
    mends: str
    ends: str
    reply: tuple
    nth: int = 1
    both: bool = False  # backend1 dies with the master
    # the same where the master has read what was sent together in two pieces, and so committed it in two
    in_pieces: dict = field(default_factory=dict)

    @property
    def victim(self):
        role = self.point.split(".")[0]
        return "backend1" if role == "backend" else role

    @property
    def armed(self):
        return self.point if self.nth == 1 else f"{self.point}:{self.nth}"


@dataclass(frozen=True, eq=False)
class Operation:
    """`before`: the user's mailboxes by what follows INBOX, with the number of their messages; `after`: those that there
    are when it is done, and whose messages each has. `rights`: what another user has in which mailbox then."""

    key: str
    command: str
    before: dict
    after: dict
    steps: tuple
    rights: dict = field(default_factory=dict)
    ways: tuple = ("frontend", "backend")
    by_admin: bool = False
    short: bool = False  # in the part that every test run does

    @property
    def names(self):
        """Those that it changes."""
        if self.rights:
            return list(self.rights)
        changed = set(self.before) ^ set(self.after)
        return sorted(changed | {to for to, come in self.after.items() if come != ((to,) if to in self.before else ())})


def at(**names):
    """`new=(RESERVED, NOTHING)`; a dot in a name is written __."""
    return {name.replace("__", "."): seen for name, seen in names.items()}


def in_both(names, master, backend):
    return {name: (master, backend) for name in names}


def frontend(*points):
    return tuple(Step(point, {}, BACKEND_ENDS_IT, DONE, (SILENCE,)) for point in points)


CREATE = Operation(
    "create", "CREATE {INBOX}.new", {"": 2, "by": 1}, {"": ("",), "by": ("by",), "new": ()}, (
        Step("backend.create.begun", at(new=(NOTHING, NOTHING)), NO_NEED, UNDONE, (NO,)),
        Step("backend.create.reserved", at(new=(RESERVED, NOTHING)), START_TAKES_OUT, UNDONE, (NO,)),
        Step("backend.create.spool", at(new=(RESERVED, NOTHING)), START_TAKES_OUT, UNDONE, (NO,)),
        Step("backend.create.listed", at(new=(RESERVED, NOTHING)), START_TAKES_OUT, UNDONE, (NO,)),
        Step("backend.create.committed", at(new=(RESERVED, THERE)), START_ACTIVATES, DONE, (NO,)),
        Step("backend.create.activated", at(new=(ACTIVE, THERE)), NO_NEED, DONE, (NO,)),
        Step("master.reserve.asked", at(new=(NOTHING, NOTHING)), NO_NEED, UNDONE, (NO,)),
        Step("master.reserve.committed", at(new=(RESERVED, NOTHING)), SETTLES_OUT, UNDONE, (NO,)),
        Step("master.activate.asked", at(new=(RESERVED, THERE)), SETTLES_IN, DONE, (OK, NO)),
        Step("master.activate.committed", at(new=(ACTIVE, THERE)), NO_NEED, DONE, (OK, NO)),
        Step("master.reserve.committed", at(new=(RESERVED, NOTHING)), BOTH, UNDONE, (NO,), both=True),
        Step("master.activate.asked", at(new=(RESERVED, THERE)), BOTH, DONE, (OK, NO), both=True),
        *frontend("frontend.create.forwarded", "frontend.create.answered"),
    ), short=True)

DEEP = ("a", "a.b", "a.b.c")
CREATE_DEEP = Operation(
    "create deep", "CREATE {INBOX}.a.b.c", {"": 2}, {"": ("",), "a": (), "a.b": (), "a.b.c": ()}, (
        Step("backend.create.reserved", in_both(DEEP, RESERVED, NOTHING), START_TAKES_OUT, UNDONE, (NO,)),
        Step("backend.create.committed", in_both(DEEP, RESERVED, THERE), START_ACTIVATES, DONE, (NO,)),
        Step("master.reserve.asked", in_both(DEEP, NOTHING, NOTHING), SETTLES_OUT, UNDONE, (NO,), nth=2,
             in_pieces=at(a=(RESERVED, NOTHING), a__b=(NOTHING, NOTHING), a__b__c=(NOTHING, NOTHING))),
        Step("master.reserve.committed", in_both(DEEP, RESERVED, NOTHING), SETTLES_OUT, UNDONE, (NO,), nth=3),
        Step("master.activate.asked", in_both(DEEP, RESERVED, THERE), SETTLES_IN, DONE, (OK, NO), nth=2,
             in_pieces=at(a=(ACTIVE, THERE), a__b=(RESERVED, THERE), a__b__c=(RESERVED, THERE))),
        Step("master.activate.committed", in_both(DEEP, ACTIVE, THERE), NO_NEED, DONE, (OK, NO), nth=3),
    ))

DELETE = Operation(
    "delete", "DELETE {INBOX}.old", {"": 2, "by": 1, "old": 2}, {"": ("",), "by": ("by",)}, (
        Step("backend.delete.begun", at(old=(ACTIVE, THERE)), NO_NEED, UNDONE, (NO,)),
        Step("backend.delete.deleted", at(old=(NOTHING, THERE)), START_PUSHES, UNDONE, (NO,)),
        Step("backend.delete.committed", at(old=(NOTHING, NOTHING)), NO_NEED, DONE, (NO,)),
        Step("master.delete.asked", at(old=(ACTIVE, THERE)), NO_NEED, UNDONE, (NO,)),
        Step("master.delete.committed", at(old=(NOTHING, THERE)), SETTLES_IN, UNDONE, (NO,)),
        Step("master.delete.committed", at(old=(NOTHING, THERE)), BOTH, UNDONE, (NO,), both=True),
        *frontend("frontend.delete.forwarded", "frontend.delete.answered"),
    ), short=True)

USER = ("", "one", "two")
DELETE_USER = Operation(
    "delete a user", "DELETE {INBOX}", {"": 2, "one": 1, "two": 1}, {}, (
        Step("backend.delete.begun", in_both(USER, ACTIVE, THERE), NO_NEED, UNDONE, (SILENCE,)),
        Step("backend.delete.deleted", in_both(USER, NOTHING, THERE), START_PUSHES, UNDONE, (SILENCE,)),
        Step("backend.delete.committed", in_both(USER, NOTHING, NOTHING), NO_NEED, DONE, (SILENCE,)),
        Step("master.delete.asked", in_both(USER, ACTIVE, THERE), SETTLES_IN, UNDONE, (NO,), nth=2,
             in_pieces={"": (NOTHING, THERE), "one": (ACTIVE, THERE), "two": (ACTIVE, THERE)}),
        Step("master.delete.committed", in_both(USER, NOTHING, THERE), SETTLES_IN, UNDONE, (NO,), nth=3),
    ), ways=("backend",), by_admin=True)

RENAME = Operation(
    "rename", "RENAME {INBOX}.old {INBOX}.new", {"": 2, "by": 1, "old": 3}, {"": ("",), "by": ("by",), "new": ("old",)}, (
        Step("backend.rename.begun", at(old=(ACTIVE, THERE), new=(NOTHING, NOTHING)), NO_NEED, UNDONE, (NO,)),
        Step("backend.rename.reserved", at(old=(ACTIVE, THERE), new=(RESERVED, NOTHING)), START_TAKES_OUT, UNDONE, (NO,)),
        Step("backend.rename.activated", at(old=(ACTIVE, THERE), new=(ACTIVE, NOTHING)), START_TAKES_OUT, UNDONE, (NO,)),
        Step("backend.rename.committed", at(old=(ACTIVE, NOTHING), new=(ACTIVE, THERE)), START_TAKES_OUT, DONE, (NO,)),
        Step("backend.rename.deleted", at(old=(NOTHING, NOTHING), new=(ACTIVE, THERE)), NO_NEED, DONE, (NO,)),
        Step("master.reserve.asked", at(old=(ACTIVE, THERE), new=(NOTHING, NOTHING)), NO_NEED, UNDONE, (NO,)),
        Step("master.reserve.committed", at(old=(ACTIVE, THERE), new=(RESERVED, NOTHING)), SETTLES_OUT, UNDONE, (NO,)),
        Step("master.activate.asked", at(old=(ACTIVE, THERE), new=(RESERVED, NOTHING)), SETTLES_OUT, UNDONE, (NO,)),
        Step("master.activate.committed", at(old=(ACTIVE, THERE), new=(ACTIVE, NOTHING)), SETTLES_OUT, UNDONE, (NO,)),
        Step("master.deactivate.asked", at(old=(ACTIVE, NOTHING), new=(ACTIVE, THERE)), SETTLES_OUT, DONE, (OK,)),
        # DEACTIVATE and DELETE come together
        Step("master.deactivate.committed", at(old=(NOTHING, NOTHING), new=(ACTIVE, THERE)), SETTLES_OUT, DONE, (OK,),
             in_pieces=at(old=(RESERVED, NOTHING), new=(ACTIVE, THERE))),
        Step("master.delete.asked", at(old=(ACTIVE, NOTHING), new=(ACTIVE, THERE)), SETTLES_OUT, DONE, (OK,),
             in_pieces=at(old=(RESERVED, NOTHING), new=(ACTIVE, THERE))),
        Step("master.delete.committed", at(old=(NOTHING, NOTHING), new=(ACTIVE, THERE)), NO_NEED, DONE, (OK,)),
        *frontend("frontend.rename.forwarded", "frontend.rename.answered"),
    ), short=True)


def tree(old, new, old_x=None, new_x=None):
    return {"old": old, "old.x": old_x or old, "new": new, "new.x": new_x or new}


RENAME_TREE = Operation(
    "rename a tree", "RENAME {INBOX}.old {INBOX}.new", {"": 1, "old": 2, "old.x": 1},
    {"": ("",), "new": ("old",), "new.x": ("old.x",)}, (
        Step("backend.rename.reserved", tree((ACTIVE, THERE), (RESERVED, NOTHING)), START_TAKES_OUT, UNDONE, (NO,)),
        Step("backend.rename.activated", tree((ACTIVE, THERE), (ACTIVE, NOTHING)), START_TAKES_OUT, UNDONE, (NO,)),
        Step("backend.rename.committed", tree((ACTIVE, NOTHING), (ACTIVE, THERE)), START_TAKES_OUT, DONE, (NO,)),
        Step("master.reserve.committed", tree((ACTIVE, THERE), (RESERVED, NOTHING)), SETTLES_OUT, UNDONE, (NO,), nth=2),
        Step("master.activate.asked", tree((ACTIVE, THERE), (RESERVED, NOTHING)), SETTLES_OUT, UNDONE, (NO,), nth=2,
             in_pieces=tree((ACTIVE, THERE), (ACTIVE, NOTHING), new_x=(RESERVED, NOTHING))),
        Step("master.delete.committed", tree((NOTHING, NOTHING), (ACTIVE, THERE)), NO_NEED, DONE, (OK,), nth=2),
    ))

MANY = tuple(f"n{n:02}" for n in range(24))


def many(of):
    return (of, *(f"{of}.{name}" for name in MANY))


# more names than a comparison takes out of the list by itself
RENAME_LARGE = Operation(
    "rename a large tree", "RENAME {INBOX}.old {INBOX}.new", {"": 1, **dict.fromkeys(many("old"), 0), "old": 2, "old.n07": 1},
    {"": ("",), **{f"new{name[3:]}": (name,) for name in many("old")}}, (
        Step("backend.rename.reserved", in_both(many("old"), ACTIVE, THERE) | in_both(many("new"), RESERVED, NOTHING),
             START_TAKES_OUT, UNDONE, (NO,)),
        Step("backend.rename.activated", in_both(many("old"), ACTIVE, THERE) | in_both(many("new"), ACTIVE, NOTHING),
             START_TAKES_OUT, UNDONE, (NO,)),
        Step("backend.rename.committed", in_both(many("old"), ACTIVE, NOTHING) | in_both(many("new"), ACTIVE, THERE),
             START_TAKES_OUT, DONE, (NO,)),
        Step("master.activate.committed", in_both(many("old"), ACTIVE, THERE) | in_both(many("new"), ACTIVE, NOTHING),
             BOTH, UNDONE, (NO,), nth=25, both=True),
        Step("master.deactivate.asked", in_both(many("old"), ACTIVE, NOTHING) | in_both(many("new"), ACTIVE, THERE),
             BOTH, DONE, (OK, NO), both=True),
    ))

RENAME_INBOX = Operation(
    "rename INBOX", "RENAME {INBOX} {INBOX}.kept", {"": 3, "by": 1}, {"": (), "by": ("by",), "kept": ("",)}, (
        Step("backend.rename.reserved", {"": (ACTIVE, THERE), "kept": (RESERVED, NOTHING)}, START_TAKES_OUT, UNDONE, (NO,)),
        Step("backend.rename.activated", {"": (ACTIVE, THERE), "kept": (ACTIVE, NOTHING)}, START_TAKES_OUT, UNDONE, (NO,)),
        Step("backend.rename.committed", {"": (ACTIVE, THERE), "kept": (ACTIVE, THERE)}, NO_NEED, DONE, (NO,)),
        Step("master.activate.committed", {"": (ACTIVE, THERE), "kept": (ACTIVE, NOTHING)}, SETTLES_OUT, UNDONE, (NO,)),
    ))


def rights(operation, command, **more):
    return Operation(
        operation, command, {"": 1, "box": 2}, {"": ("",), "box": ("box",)}, (
            Step("backend.setacl.begun", at(box=(OLD, OLD)), NO_NEED, UNDONE, (NO,)),
            Step("backend.setacl.activated", at(box=(NEW, OLD)), START_RIGHTS, UNDONE, (NO,)),
            Step("backend.setacl.committed", at(box=(NEW, NEW)), NO_NEED, DONE, (NO,)),
            Step("master.activate.asked", at(box=(OLD, OLD)), NO_NEED, UNDONE, (NO,)),
            Step("master.activate.committed", at(box=(NEW, OLD)), SETTLES_RIGHTS, UNDONE, (NO,)),
            Step("master.activate.committed", at(box=(NEW, OLD)), BOTH, UNDONE, (NO,), both=True),
            *frontend("frontend.setacl.forwarded", "frontend.setacl.answered"),
        ), **more)


SETACL = rights("setacl", "SETACL {INBOX}.box {other} lrs", rights={"box": "lrs"}, short=True)
DELETEACL = rights("deleteacl", "DELETEACL {INBOX}.box {other}", rights={"box": ""})

OPERATIONS = (CREATE, CREATE_DEEP, DELETE, DELETE_USER, RENAME, RENAME_TREE, RENAME_LARGE, RENAME_INBOX, SETACL, DELETEACL)


@dataclass(frozen=True, eq=False)
class Contest:
    """While backend1 is dead, backend2 is asked to make one of the names. `answer`: what it says; `ends`: what has come of
    backend1's operation then; `quarantined`: backend1 has put its own away, with what is in it."""

    operation: Operation
    point: str
    box: str
    answer: str
    ends: str
    quarantined: bool = False

    @property
    def step(self):
        return Step(self.point, {}, "", self.ends, (NO,))


CONTESTS = (
    Contest(CREATE, "backend.create.begun", "new", OK, UNDONE),
    Contest(CREATE, "backend.create.reserved", "new", NO, UNDONE),
    Contest(CREATE, "backend.create.committed", "new", NO, DONE),
    Contest(DELETE, "backend.delete.begun", "old", NO, UNDONE),
    Contest(DELETE, "backend.delete.deleted", "old", OK, DONE, quarantined=True),
    Contest(DELETE, "backend.delete.committed", "old", OK, DONE),
    Contest(RENAME, "backend.rename.reserved", "new", NO, UNDONE),
    Contest(RENAME, "backend.rename.activated", "new", NO, UNDONE),
    Contest(RENAME, "backend.rename.committed", "old", NO, DONE),
    Contest(RENAME, "backend.rename.deleted", "old", OK, DONE),
)
