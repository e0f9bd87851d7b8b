"""Who may change what at a MUPDATE master, written down a second time, to check the master by.

A name is None (absent) or a `Name`; "moving" is what DEACTIVATE makes, on the wire a RESERVE like "reserved".
Ownership compares servers, never partitions.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Name:
    state: str  # reserved, moving, active
    location: str
    acl: str = ""

    @property
    def server(self):
        return self.location.split("!")[0]


@dataclass(frozen=True)
class Account:
    name: str
    server: str = None  # bound to it
    write: bool = True


@dataclass(frozen=True)
class Command:
    verb: str
    location: str = None
    acl: str = ""

    @property
    def server(self):
        return self.location.split("!")[0] if self.location else None


def decide(held, account, command, conflicts="strict"):
    """Whether the answer is OK, and what the name is afterwards."""
    if not account.write or account.server and command.location and command.server != account.server:
        return False, held
    if not allowed(held, account, command, conflicts):
        return False, held
    return True, after(command)


def allowed(held, account, command, conflicts):
    if held is None:
        return command.verb in ("RESERVE", "ACTIVATE")
    own = command.server == held.server
    if command.verb == "RESERVE":
        return command.location == held.location if conflicts == "cyrus" else own
    if command.verb == "ACTIVATE":
        return conflicts == "cyrus" or own or held.state == "moving"
    if command.verb == "DEACTIVATE":
        return held.state == "active" and (conflicts == "cyrus" or own)
    return account.server in (None, held.server)  # DELETE names no server


def after(command):
    state = {"RESERVE": "reserved", "ACTIVATE": "active", "DEACTIVATE": "moving", "DELETE": None}[command.verb]
    return state and Name(state, command.location, command.acl if state == "active" else "")


def seen(record):
    """What a record on the wire shows: "reserved" stands for "moving" too."""
    return record and Name("active" if record.kind == "MAILBOX" else "reserved", record.location, record.acl)


def shown(held):
    """The same of a name."""
    return held and Name("reserved" if held.state == "moving" else held.state, held.location, held.acl)
