"""What a test says of itself: where it runs and what it needs."""

import shutil


class Skip(Exception):
    """The test cannot run here, and why."""


def ours(test):
    """The answer is Ravenry's own: not compared with Cyrus' frontend (`run.py --frontend cyrus`)."""
    test.ours = True
    return test


def needs(*programs):
    """Programs that the test calls; without one it is skipped."""
    def mark(test):
        test.needs = programs
        return test
    return mark


def check(test, world):
    """Raises `Skip` where the test cannot run."""
    if getattr(test, "ours", False) and world.oracle_only:
        raise Skip("asks for what Cyrus' frontend does otherwise")
    for program in getattr(test, "needs", ()):
        if not shutil.which(program):
            raise Skip(f"{program} is not installed")
