"""A backend of ours, alone: `ravenry serve` with a `[backend]` table, a directory and users of its own."""

from imap_client import Broken, Conversation
from murder import IMAP, Server

CONFIG = """\
servername = "{name}.ravenry.test"
state_dir = "{data}state"
shards = {shards}
admins = ["cyrus"]
{top}
[auth]
passwd_file = "users"

[backend]
imap = ["{host}:{port}"]
partitions = {{ default = "{data}spool" }}
{more}
"""


class BackendServer(Server):
    """Users log in with NAMEpw."""

    def __init__(self, net, directory, last, users=("alice", "bob", "cyrus", "mailproxy"), top="", more="", shards=2, files=(), data=""):
        """`more`: lines of [backend]; `data`: where its state and its spool are, a directory with a slash at its end."""
        self.address = (f"{net}.{last}", IMAP)
        if "[limits]" not in top:
            top += '\n[limits]\nlogin_delay = "100ms"\nlogin_delay_max = "100ms"\nlogin_failures = 1000\n'
        name = f"store{last - 40}"
        config = CONFIG.format(name=name, shards=shards, top=top, host=self.address[0], port=IMAP, more=more, data=data)
        passwd = "".join(f"{user}:{{PLAIN}}{user}pw\n" for user in users)
        self.data = directory / name / data
        super().__init__(name, directory / name, config, [("users", passwd), *files])

    def greets(self):
        """The first word of its greeting, if it has one."""
        self.runs()
        try:
            with Conversation(self.address, deadline=5) as conversation:
                return conversation.greeting.word
        except (OSError, Broken):
            return None

    def files(self):
        """Every message's file."""
        return sorted((self.data / "spool").glob("mail/*/*/*.eml"))
