"""A history of commands of several connections: is there one order of them that explains every answer?

Names are independent of each other, so each has its own search (as of Wing and Gong): a command may come first if
none that is still to come had ended before it began. One whose answer nobody has may have happened or not.
"""

from dataclasses import dataclass

import mupdate_rules as rules


@dataclass
class Operation:
    name: str
    account: rules.Account
    command: rules.Command  # FIND: a look at the name
    begin: float
    end: float = None  # nobody has the answer
    ok: bool = None
    seen: object = None  # what FIND showed

    def __str__(self):
        answer = "?" if self.end is None else self.seen if self.command.verb == "FIND" else "OK" if self.ok else "NO"
        end = "..." if self.end is None else f"{self.end:.6f}"
        return (f"{self.begin:.6f}-{end} {self.account.name} {self.command.verb} {self.name} "
                f"{self.command.location or ''} {self.command.acl!r}: {answer}")


def explain(operations, final=None, check_final=False, events=(), conflicts="strict"):
    """Whether some order explains one name's operations, `final` behind them, and the stream's `events` among them."""
    operations = sorted(operations, key=lambda operation: operation.begin)
    answered = sum(1 << i for i, operation in enumerate(operations) if operation.end is not None)
    seen, stack = set(), [(0, None, 0)]
    while stack:
        at = stack.pop()
        if at in seen:
            continue
        seen.add(at)
        done, held, told = at
        if done & answered == answered and told == len(events) and (not check_final or rules.shown(held) == final):
            return True
        stack.extend(steps(operations, done, held, told, events, conflicts))
    return False


def steps(operations, done, held, told, events, conflicts):
    horizon = min((operation.end for i, operation in enumerate(operations)
                   if not done >> i & 1 and operation.end is not None), default=float("inf"))
    for i, operation in enumerate(operations):
        if operation.begin > horizon:
            break
        if done >> i & 1:
            continue
        if operation.command.verb == "FIND":
            if operation.end is not None and operation.seen == rules.shown(held):
                yield done | 1 << i, held, told
            continue
        ok, new = rules.decide(held, operation.account, operation.command, conflicts)
        if operation.end is not None and operation.ok != ok:
            continue
        moved = told + (new != held and told < len(events) and events[told] == rules.shown(new))
        yield done | 1 << i, new, moved


def check(operations, finals=None, events=None, conflicts="strict"):
    """Fails with the history of the first name that no order explains. `finals`: what each name is at the end."""
    by_name = {}
    for operation in operations:
        by_name.setdefault(operation.name, []).append(operation)
    for name in (finals or {}).keys() - by_name.keys():
        raise AssertionError(f"{name} is there, and nobody made it")
    for name, ones in by_name.items():
        told = (events or {}).get(name, ())
        final = (finals or {}).get(name)
        if not explain(ones, final, finals is not None, told, conflicts):
            lines = "\n".join(map(str, sorted(ones, key=lambda one: one.begin)))
            raise AssertionError(f"no order explains {name}; at the end {final}, told {list(told)}:\n{lines}")
