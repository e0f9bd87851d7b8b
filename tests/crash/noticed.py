"""That the runner notices: cases with something wrong on purpose, each of which has to fail, for that reason."""

from dataclasses import replace

from case import Case, Run
from matrix import CREATE, DELETE, DONE, NO, NO_NEED, NOTHING, THERE, UNDONE, Step, at
from our_murder import OurMurder


class Forgetful(Run):
    """Believes in a message that nobody has sent."""

    def after_death(self, record):
        super().after_death(record)
        self.contents["by"].append(b"lost")


class Syncless(Run):
    """Nothing that the backend has synced counts."""

    def after_death(self, record):
        disk = record.disk
        record.disk = lambda *arguments: disk(*arguments, syncs=False)
        super().after_death(record)


class Haunted(Run):
    """The list has a name that no backend has."""

    def until_all_agree(self):
        with self.murder.servers["master"].session() as session:
            session.activate(self.internal("ghost"), "backend1.murder.test!default")
        super().until_all_agree()


def step(operation, point):
    return next(step for step in operation.steps if step.point == point)


class Noticed(Case):
    """A case that has to fail, and what with."""

    def __init__(self, what, operation, step, error, begun=Run, power=False):
        super().__init__(operation, step, "frontend", power)
        for name, value in (("what", what), ("error", error), ("begun", lambda murder: begun(murder, self))):
            object.__setattr__(self, name, value)

    @property
    def name(self):
        return f"noticed: {self.what}"

    def run(self, _):
        murder = OurMurder()  # what a failed case leaves is of no use to others
        try:
            super().run(murder)
        except AssertionError as error:
            assert self.error in str(error), f"it fails otherwise than by {self.error!r}: {error}"
        else:
            raise AssertionError(f"it doesn't fail: {self.what}")
        finally:
            murder.close()
        return {"state": UNDONE, "agreed": 0, "note": self.error}


BEGUN, COMMITTED = step(CREATE, "backend.create.begun"), step(DELETE, "backend.delete.committed")
NOTICED = (
    Noticed("a point that isn't reached", CREATE, Step("master.deactivate.asked", {}, NO_NEED, DONE, (NO,)), "isn't reached"),
    Noticed("a crash that leaves something else", CREATE, replace(BEGUN, leaves=at(new=(NOTHING, THERE))), "it left"),
    Noticed("an operation that ends otherwise", CREATE, replace(BEGUN, ends=DONE), "it ends undone"),
    Noticed("a message that is lost", DELETE, COMMITTED, "neither done nor undone", Forgetful),
    Noticed("a name that no backend has", CREATE, BEGUN, "all to agree", Haunted),
    Noticed("a backend without syncs", DELETE, COMMITTED, "neither done nor undone", Syncless, power=True),
)
