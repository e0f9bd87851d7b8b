"""Names in every mode a site may have: alt_namespace, both separators, virtual domains.

In each mode twins do the same at our frontend and at Cyrus' own, on one murder: what is answered has to be the
same but for their names. Each mode has a murder of its own, and one test that goes through the commands.
"""

import re
from dataclasses import dataclass

from imap_client import Conversation, Literal, message, quoted
from marks import ours
from murder import Frontend, Murder, poll

RIGHTS = "lrswipkxtecda"
# untagged responses that are compared; all else has UIDs, dates and the like in it
COMPARED = {b"LIST", b"LSUB", b"NAMESPACE", b"ACL", b"MYRIGHTS", b"LISTRIGHTS", b"QUOTAROOT"}


@dataclass
class Mode:
    """How names look, and the two frontends that show them so."""

    separator: str = "."
    alt: bool = False
    domain: str = ""  # of the users, where there are virtual domains
    admins: tuple = ("cyrus",)

    def options(self):
        options = ["--sep", self.separator] + ["--altnamespace"] * self.alt
        if self.domain:
            options += ["--set", "virtdomains=userid", "--set", "defaultdomain=example.com"]
            for node in ("backend1", "backend2", "frontend"):
                options += ["--set", f"{node}:admins={' '.join(self.admins)}"]
        return options

    def settings(self):
        virtual = 'virtual_domains = "userid"\ndefault_domain = "example.com"' if self.domain else ""
        return f'hierarchy_separator = "{self.separator}"\nalt_namespace = {str(self.alt).lower()}\n{virtual}'

    def user(self, name):
        return f"{name}@{self.domain}" if self.domain else name

    def joined(self, *parts):
        return self.separator.join(parts)

    def own(self, *parts):
        return self.joined(*parts) if self.alt else self.joined("INBOX", *parts)

    def other(self, *parts):
        return self.joined("Other Users" if self.alt else "user", *parts)

    def shared(self, *parts):
        return self.joined("Shared Folders", *parts) if self.alt else self.joined(*parts)

    def admins_name(self, *parts):
        name = self.joined(*parts)
        return f"{name}@{self.domain}" if self.domain else name


class Site:
    """A murder in a mode, with our frontend beside Cyrus' own."""

    def __init__(self, mode, proxy=""):
        self.mode, self.proxy, self.open = mode, proxy, []
        self.murder = Murder(*mode.options())
        self.frontend = None
        try:
            self.build(mode)
        except BaseException:
            self.close()
            raise

    def build(self, mode):
        names = ["twin1", "twin2", "friend"]
        users = ["cyrus", "twin1", "adm@example.org", *(mode.user(name) for name in names)]
        users = [f"{user}:{{PLAIN}}{user.split('@')[0]}pw" for user in dict.fromkeys(users)]
        self.frontend = Frontend(self.murder, users, top=mode.settings(), proxy=self.proxy)
        config = self.frontend.config
        config.write_text(config.read_text().replace('admins = ["cyrus"]', f"admins = {list(mode.admins)}"))
        self.frontend.start()
        for name, backend in zip(names, ("backend1", "backend1", "backend2")):
            self.make(backend, "user", name)
        self.make("backend2", "user", "friend", "open", rights={mode.user("twin1"): RIGHTS, mode.user("twin2"): RIGHTS})
        self.make("backend1", "near", rights={"anyone": "lrswipkxte"})
        self.make("backend2", "far")  # of itself Cyrus would make it, but in the default domain
        self.make("backend2", "far", "be low", rights={"anyone": "lrswipkxte"})
        self.await_everything()

    def make(self, backend, *parts, rights=None, domain=None):
        with Conversation(self.murder.address(backend)) as admin:
            admin.login("cyrus", "cyruspw").ok()
            name = self.mode.admins_name(*parts) if domain is None else self.mode.joined(*parts) + domain
            admin.command("CREATE ", quoted(name)).ok()
            for who, what in (rights or {}).items():
                admin.command("SETACL ", quoted(name), f" {who} {what}").ok()

    def await_everything(self):
        """Until both frontends know all: a lookup that misses brings each up to date."""
        for session in (self.session("cyrus", True), self.session("cyrus", False)):
            session.command("STATUS nosuch (MESSAGES)").no()

    def session(self, user, at_ours):
        """A session of `user`, at our frontend or at Cyrus'."""
        conversation = Conversation(self.frontend.address if at_ours else self.murder.address("frontend"))
        self.open.append(conversation)
        if at_ours:
            conversation.login(user, user.split("@")[0].lower() + "pw").ok()
        else:
            conversation.login_as("cyrus", "cyruspw", user if user != "cyrus" else "").ok()
        return conversation

    def at_backend(self, backend, user):
        """A session of `user` directly at a backend."""
        conversation = Conversation(self.murder.address(backend))
        conversation.login_as("mailproxy", "proxypw", user).ok()
        return conversation

    def close(self):
        for conversation in self.open:
            conversation.close()
        try:
            if self.frontend:
                self.frontend.stop()
        finally:
            if self.frontend:
                self.frontend.kill()
            self.murder.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def said(answer):
    """What has to be the same: the status, and the responses without the twins' names and in no order."""
    def plain(part):
        if isinstance(part, list):
            part = [plain(one) for one in part]
            return sorted(part, key=repr) if all(isinstance(one, bytes) for one in part) else part
        return re.sub(rb"twin\d", b"TWIN", part) if isinstance(part, bytes) else part
    responses = [r.tree() for r in answer.untagged if r.word in COMPARED]
    responses = {repr(tree): tree for tree in map(plain, responses)}  # what is both twins' is there once
    return answer.status, [responses[key] for key in sorted(responses)]


def script(mode):
    """The commands of a twin: all that have a name in them."""
    friend, x = mode.user("friend"), mode.own("x")
    first, deep = mode.own("Sent Items"), mode.own("deep", "er", "still")
    names = ["INBOX", deep, mode.other("friend", "open"), mode.other("friend"), mode.shared("near"),
             mode.shared("far", "be low"), mode.shared("nosuch"), mode.own("x", "y.z"), mode.own("x", "y^z"), "nosuch.x/y"]
    yield "NAMESPACE"
    for name in (first, deep, x + mode.separator, mode.own("x", "y.z/w"), mode.shared("top"), mode.other("friend", "open", "TWIN")):
        yield "CREATE ", quoted(name)
    yield from listings(mode)
    for name in names:
        for command in ("SELECT ", "MYRIGHTS ", "GETACL ", "GETQUOTAROOT "):
            yield command, quoted(name)
        yield "STATUS ", quoted(name), " (MESSAGES)"
        yield "APPEND ", quoted(name), " ", Literal(message("m"), True)
    subscribed = ["INBOX", first, mode.own("deep"), mode.other("friend", "open"), mode.shared("near"), mode.shared("far", "be low")]
    for name in (*subscribed, mode.own("none")):
        yield "SUBSCRIBE ", quoted(name)
    for pattern in ("*", "%", mode.own("%"), mode.shared("*"), mode.other("%")):
        yield 'LSUB "" ', quoted(pattern)
    yield 'LIST "" * RETURN (SUBSCRIBED CHILDREN)'
    yield 'LIST "" * RETURN (STATUS (MESSAGES))'
    for name in subscribed[1:]:
        yield "UNSUBSCRIBE ", quoted(name)
    yield "SELECT INBOX"
    for name in (x, mode.shared("near"), mode.shared("far", "be low"), mode.other("friend", "open"), mode.own("none")):
        yield "COPY 1 ", quoted(name)
    for identifier in (friend, "friend", "anyone", "nobody@example.net", mode.user("TWIN")):
        yield "LISTRIGHTS INBOX ", identifier
    yield "SETACL ", quoted(x), f" {friend} lrs"
    yield "SETACL ", quoted(x), " -friend s"
    yield "GETACL ", quoted(x)
    yield "DELETEACL ", quoted(x), f" {friend}"
    yield "GETACL ", quoted(x)
    yield "RENAME ", quoted(x), " ", quoted(mode.own("ren amed"))
    yield "RENAME ", quoted(mode.own("deep")), " ", quoted(mode.own("not", "so deep"))
    yield "RENAME ", quoted(first), " ", quoted(mode.other("friend", "mine"))
    yield 'LSUB "" *'
    yield "DELETE ", quoted(mode.own("not", "so deep", "er", "still"))
    yield "DELETE ", quoted(mode.own("none"))
    yield from listings(mode)


def listings(mode):
    patterns = ["", "*", "%", "INBOX", "INBOX*", "INBOX" + mode.separator + "%", mode.own("*"), mode.other("*"), mode.other("%"), mode.shared("%"),
                mode.shared("far"), mode.shared("far", "%"), "%" + mode.separator + "%", "*be low", "*@*", "user" + mode.separator + "%"]
    for pattern in patterns:
        yield 'LIST "" ', quoted(pattern)
    yield "LIST ", quoted(mode.shared("far") + mode.separator), " %"
    yield "LIST ", quoted(mode.shared("far")), " ", quoted(mode.separator + "*")


def differences(site, twins):
    """What the twins are told differently."""
    ours, cyrus = site.session(twins[0], True), site.session(twins[1], False)
    wrong = []
    for parts in script(site.mode):
        parts = (parts,) if isinstance(parts, str) else parts
        answers = []
        for session, twin in ((ours, twins[0]), (cyrus, twins[1])):
            name = twin.split("@")[0]
            mine = [part if isinstance(part, Literal) else part.replace("TWIN", name) for part in map(text, parts)]
            answers.append(said(session.command(*mine)))
        if answers[0] != answers[1]:
            wrong.append(f"{parts}:\n  ours  {answers[0]}\n  Cyrus {answers[1]}")
    ours.in_step()
    return wrong


def text(part):
    return part.decode() if isinstance(part, bytes) else part


def as_cyrus(mode):
    with Site(mode) as site:
        wrong = differences(site, (mode.user("twin1"), mode.user("twin2")))
        assert not wrong, "\n".join(wrong)
        assert "names mailboxes otherwise" not in site.frontend.log.read_text()


@ours
def test_names_beside_the_inbox_as_cyrus_does(world):
    as_cyrus(Mode(alt=True))


@ours
def test_names_with_slashes_as_cyrus_does(world):
    as_cyrus(Mode(separator="/"))


@ours
def test_names_beside_the_inbox_with_slashes_as_cyrus_does(world):
    as_cyrus(Mode(separator="/", alt=True))


VIRTUAL = Mode(separator="/", alt=True, domain="example.org", admins=("cyrus", "adm@example.org"))


@ours
def test_names_in_virtual_domains_as_cyrus_does(world):
    as_cyrus(VIRTUAL)


def listed(session, pattern):
    return {name.decode() for name in session.listed_names('LIST "" ', quoted(pattern))}


@ours
def test_virtual_domains_are_apart(world):
    with Site(VIRTUAL) as site:
        for domain in ("", "@example.net"):
            site.make("backend1", "user", "twin1", domain=domain)
            site.make("backend2", "shared", domain=domain, rights={"anyone": RIGHTS})
        site.make("backend2", "user", "adm", domain="@example.org")
        site.await_everything()
        in_their_domain(site)
        in_the_default_domain(site)
        nothing_leaks(site)
        site.await_everything()
        for_admins(site)


def in_their_domain(site):
    session = site.session("TWIN1@Example.org", True)
    names = {"INBOX", "Other Users/friend/open", "Shared Folders/near", "Shared Folders/far", "Shared Folders/far/be low"}
    assert listed(session, "*") == names, listed(session, "*")
    session.command('CREATE "a@b.c/d"').ok()
    assert {"a@b.c", "a@b.c/d"} < listed(session, "*"), "a name may have an @ in it"
    session.command("SETACL INBOX friend lrs").ok()
    acl = session.command("GETACL INBOX").ok().of("ACL")[0].tree()
    assert acl[2:] == [b"twin1@example.org", b"lrswipkxtecdan", b"friend", b"lrs"], "identifiers as they are stored"
    friend = site.session("friend@example.org", True)
    friend.command('MYRIGHTS "Other Users/twin1"').no("NONEXISTENT")  # `friend` is somebody of the default domain
    session.command("SETACL INBOX friend@example.org lrs").ok()
    rights = friend.command('MYRIGHTS "Other Users/twin1"').ok().of("MYRIGHTS")[0].tree()
    assert rights[2] == b"lrs", rights


def in_the_default_domain(site):
    for name in ("twin1", "twin1@example.com", "Twin1@EXAMPLE.com"):
        session = site.session(name, True)
        assert listed(session, "*") == {"INBOX", "Shared Folders/shared"}, listed(session, "*")
        session.select("INBOX").ok()
        session.command("APPEND INBOX ", Literal(message("to the default domain"), True)).ok()
    count = session.command("STATUS INBOX (MESSAGES)").ok().of("STATUS")[0].tree()[2][1]
    assert count == b"3", "one mailbox, whatever the login was"
    for name in ("twin1@example.net", "twin1@", "@example.org", "twin1@example.org@example.org"):
        with Conversation(site.frontend.address) as stranger:
            stranger.login(name, "twin1pw").no("AUTHENTICATIONFAILED")


def nothing_leaks(site):
    """No name leads from one domain into another."""
    away = ["example.net!shared", "shared@example.net", "Shared Folders/shared@example.net", "Other Users/twin1@example.net",
            "example.net!user.twin1", "INBOX@example.net", "Shared Folders/example.net!shared"]
    for user, others in (("twin1@example.org", [*away, "Shared Folders/shared"]),
                         ("twin1", [*away, "example.org!near", "Shared Folders/near"])):
        session = site.session(user, True)
        for name in map(quoted, others):
            for command in ("SELECT ", "MYRIGHTS ", "GETACL ", "DELETE ", "GETQUOTAROOT ", "SUBSCRIBE "):
                session.command(command, name).no()
            session.command("STATUS ", name, " (MESSAGES)").no()
            session.command("APPEND ", name, " ", Literal(b"x", True)).no()
            session.command("SETACL ", name, f" {user} {RIGHTS}").no()
            assert not session.command('LIST "" ', name).ok().of("LIST"), name
        for name in (b'"example.net!new"', b'"Shared Folders/new@example.net"'):
            session.command("CREATE ", name).no()
            session.command("RENAME INBOX ", name).no()
        for pattern in ("*example*", "*!*", "*net*"):
            assert not listed(session, pattern), (pattern, listed(session, pattern))
        session.in_step()


def for_admins(site):
    """An admin sees all names with their domains, one who is in a domain that domain's."""
    cyrus, theirs = site.session("cyrus", True), site.session("cyrus", False)
    for pattern in ("*", "*@example.org", "*@example.net", "user/twin1@example.org", "user/%@example.org", "shared*",
                    "shared", "shared@example.net", "user/twin1", "user/*@*", "nosuch@example.org", "DELETED*"):
        mine, its = listed(cyrus, pattern), listed(theirs, pattern)
        assert mine == its, (pattern, mine ^ its)
    assert listed(cyrus, "%") == {"user", "shared", "shared@example.net", "near@example.org", "far@example.org"}
    for name in ("user/twin1@example.org", "shared@example.net", "shared", "shared@example.com"):
        for command in ("MYRIGHTS ", "GETACL "):
            assert said(cyrus.command(command, name)) == said(theirs.command(command, name)), (command, name)
    refused = cyrus.select("user/twin1@example.org").no("REFERRAL")
    assert "backend1.murder.test/user/twin1%40example.org" in refused.code, refused.text
    domain = site.session("adm@example.org", True)
    names = listed(domain, "*")
    assert names and all(name.endswith("@example.org") for name in names), names
    assert names == listed(domain, "*@example.org") == listed(cyrus, "*@example.org")
    domain.command("MYRIGHTS near").ok()
    domain.command("MYRIGHTS near@example.org").ok()
    for name in ("shared", "shared@example.com", "shared@example.net", "user/twin1@example.net"):
        domain.command("MYRIGHTS ", name).no()
        domain.command("GETACL ", name).no()
        assert not listed(domain, name)
    with Conversation(site.frontend.address) as acting:
        acting.login_as("adm@example.org", "admpw", "twin1").no("AUTHORIZATIONFAILED")
        acting.login_as("adm@example.org", "admpw", "friend@example.org").ok()
