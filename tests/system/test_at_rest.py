"""Sessions that wait, and a frontend that waits, cost nothing; what is new is noticed nevertheless."""

import re
import time

from marks import ours
from mupdate_client import Mupdate
from murder import poll
from test_stalled_stream import ACCOUNT


@ours
def test_a_frontend_at_rest_does_nothing(world):
    """No task runs where nobody asks for anything; asking for the counters is the only thing that moves them."""
    user = world.user("backend1")
    frontend = world.another(account=ACCOUNT).start()  # and no sign of life is asked of the master
    for _ in range(20):
        world.client(user, frontend).select("INBOX").ok()
    idling = world.client(user, frontend)
    idling.select("INBOX").ok()
    idling.start("IDLE")
    assert idling.response().tag == b"+"
    time.sleep(1)

    def polls_of_rest(seconds):
        before = frontend.stat("polls_total")
        time.sleep(seconds)
        return frontend.stat("polls_total") - before
    asking = polls_of_rest(0)
    polls = min(polls_of_rest(4) for _ in range(2)) - asking
    assert polls <= 4, f"{polls} polls of tasks in 4 s of rest"


@ours
def test_a_backend_that_the_list_names_later_is_asked_at_once(world):
    """It is unknown to DNS: the log says that it was tried."""
    frontend = world.another(account="frontend3").start()
    with Mupdate(world.murder.address("mupdate")) as master:
        master.reserve("ballast.later", "later.invalid!default")
        master.activate("ballast.later", "later.invalid!default", "nobody\tlrs\t")
        poll("the new backend to be tried", 15, lambda: "can't ask backend later.invalid" in frontend.log.read_text())
        master.say("DELETE", "ballast.later").ok()
    poll("it to be forgotten", 15, lambda: frontend.stat("mailboxes") == world.frontend.stat("mailboxes"))


@ours
def test_a_backend_that_names_mailboxes_otherwise_is_warned_of(world):
    world.user("backend1"), world.shared("backend2")
    frontend = world.another(top='hierarchy_separator = "/"').start()
    warned = lambda: {node for node in ("backend1", "backend2") if re.search(
        rf"names mailboxes otherwise.* server={node}\.murder\.test here=.*user/.* there=.*user\.", frontend.log.read_text())}
    poll("warnings of both", 15, lambda: warned() == {"backend1", "backend2"})
    assert "names mailboxes otherwise" not in world.frontend.log.read_text()
