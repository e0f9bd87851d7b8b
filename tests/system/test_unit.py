"""The unit for systemd: systemd finds nothing wrong with it, and the server gets along with what it allows."""

import re
import resource
import subprocess

from imap_client import message
from marks import needs, ours
from murder import BINARY, ROOT, poll

UNIT = ROOT / "tuning/ravenry.service"
NOBODY = 65534


def settings(name):
    return re.findall(rf"^{name}=(.*)$", UNIT.read_text(), re.M)


def analyze(*arguments):
    done = subprocess.run(["systemd-analyze", *arguments], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, f"systemd-analyze {arguments[0]}: {done.stdout}{done.stderr}"
    return done.stdout + done.stderr


def members(group):
    """The system calls of a group such as @aio, and of the groups in it."""
    found = set()
    for line in analyze("syscall-filter", "--no-pager", group).splitlines()[1:]:
        name = line.strip()
        if name.startswith("@"):
            found |= members(name)
        elif name and not name.startswith("#"):
            found.add(name)
    return found


def allowed():
    calls = set()
    for line in settings("SystemCallFilter"):
        named = set().union(*map(members, line.lstrip("~").split()))
        calls = calls - named if line.startswith("~") else calls | named
    return calls


@needs("systemd-analyze")
@ours
def test_unit_is_well_formed(world):
    copy = world.murder.directory / "ravenry.service"
    copy.write_text(UNIT.read_text().replace("/usr/bin/ravenry", str(BINARY)).replace("=ravenry\n", "=daemon\n"))
    said = [line for line in analyze("verify", str(copy)).splitlines() if "ravenry.service" in line]
    assert not said, said
    analyze("security", "--offline=yes", "--threshold=20", str(copy))  # of 100, less is better


@needs("systemd-analyze", "strace", "setpriv", "prlimit")
@ours
def test_unit_allows_what_the_server_does(world):
    """Start, logins, transfers by splice, DNS, a reload and the end, as a user who is nobody: no system call beyond the filter."""
    frontend, user = world.another(), world.user("backend2")
    trace = frontend.directory / "trace"
    subprocess.run(["chown", "-R", str(NOBODY), frontend.directory], check=True)
    descriptors = min(int(settings("LimitNOFILE")[0]), resource.getrlimit(resource.RLIMIT_NOFILE)[1])
    limits = [f"--nofile={descriptors}", "--memlock=8388608", "--core=0"]
    assert settings("LimitMEMLOCK") == ["8M"]
    frontend.under = ["prlimit", *limits, "setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups",
                        "--no-new-privs", "strace", "-D", "-f", "-q", "-e", "signal=none", "-o", trace]
    frontend.start()
    with world.client(user, frontend) as session:
        session.append("INBOX", message("unit", 1 << 20)).ok()
        session.select("INBOX").ok()
        session.command("FETCH 1 BODY.PEEK[]").ok()
        session.command("LOGOUT").ok()
    assert "users: read again" in frontend.ctl("reload")
    frontend.stop()
    calls = poll("the trace", 10, lambda: ends(trace))
    beyond = calls - allowed()
    assert not beyond, beyond
    assert {"io_uring_setup", "io_uring_enter", "splice", "sched_setaffinity"} <= calls, sorted(calls)


def ends(trace):
    """The system calls of a trace that has come to its end."""
    text = trace.read_text(errors="replace")
    if "+++ exited with" not in text.rsplit("\n", 2)[-2]:
        return None
    return set(re.findall(r"^\d+ +(?:<\.\.\. )?([a-z_0-9]+)", text, re.M)) - {"resumed"}
