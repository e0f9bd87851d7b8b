"""A Postfix of a test's own: it takes mail by SMTP, and delivers it by LMTP.

Needs root and Debian's package `postfix` (its programs, and the users that they run as); no Postfix of the host has to run, and
none is touched: configuration, queue and log are the test's.
"""

import shutil
import subprocess

from murder import poll

MAIN = """\
compatibility_level = 3.6
queue_directory = {directory}/spool
data_directory = {directory}/data
maillog_file = {directory}/log
maillog_file_prefixes = {directory}
myhostname = mx.ravenry.test
mydestination =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
virtual_mailbox_domains = {domain}
virtual_transport = lmtp:{transport}
alias_maps =
alias_database =
"""
MASTER = """\
{listen} inet n - n - - smtpd
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
error unix - - n - - error
retry unix - - n - - error
smtp unix - - n - - smtp
lmtp unix - - n - - lmtp
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
proxymap unix - - n - - proxymap
tlsmgr unix - - n 1000? 1 tlsmgr
postlog unix-dgram n - n - 1 postlogd
"""


class Postfix:
    """It listens on `listen` (a pair), and delivers what is for `domain` to `transport`: `inet:HOST:PORT`, `unix:PATH`."""

    def __init__(self, directory, listen, transport, domain):
        self.directory, self.listen = directory, listen
        for folder in ("spool", "data", "config"):
            (directory / folder).mkdir(parents=True)
        shutil.chown(directory / "data", "postfix")
        self.config = directory / "config"
        (self.config / "main.cf").write_text(MAIN.format(directory=directory, domain=domain, transport=transport))
        (self.config / "master.cf").write_text(MASTER.format(listen=":".join(map(str, listen))))

    def control(self, command):
        done = subprocess.run(["postfix", "-c", self.config, command], stdin=subprocess.DEVNULL, capture_output=True, timeout=30)
        assert done.returncode == 0, f"postfix {command}: {done.stderr.decode()} {self.said()}"

    def __enter__(self):
        self.control("start")
        return self

    def __exit__(self, *_):
        self.control("stop")

    def said(self):
        """Its log."""
        log = self.directory / "log"
        return log.read_text() if log.exists() else ""

    def delivers(self, recipient, status, seconds=20):
        """Waits for the line about `recipient`, which has to have this status (`sent`, `bounced`, `deferred`)."""
        def line():
            lines = [line for line in self.said().splitlines() if f"to=<{recipient}>" in line and "/lmtp[" in line]
            return lines[-1] if lines else None
        poll(f"mail to {recipient}", seconds, lambda: line() is not None)
        assert f"status={status}" in line(), line()
        return line()
