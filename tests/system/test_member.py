"""A backend of ours as a member of a murder: changes of names and ACLs, here and at the master, both or neither."""

import random
import re
import time

from crooked import DOWN, UP
from imap_client import message
from marks import ours
from member_site import ALL, OTHER, Site, mailboxes
from murder import poll
from test_backend_operator import ctl as operator
from test_backend_operator import run as operator_run


def changes(site):
    """The changes of trace 03; what the master was asked for, in its order."""
    top, admin = site.top, site.admin()
    site.asked()

    def asked(*commands):
        want = [command.replace("@", top) for command in commands]
        assert (heard := site.asked()) == want, (heard, want)

    admin.command(f"CREATE {top}").ok()
    asked("RESERVE @", "ACTIVATE @")
    assert site.is_active(top, "anyone\tlrs\t")
    admin.command(f"SETACL {top} cyrus lrswipkxte").ok()
    asked("FIND @", "ACTIVATE @")
    acl = site.held(top).acl
    assert acl.startswith("anyone\tlrs\tcyrus\tlrswipkxte"), acl
    admin.command(f"CREATE {top}.a.b").ok()
    asked("FIND @.a", "FIND @.a.b", "RESERVE @.a", "RESERVE @.a.b", "ACTIVATE @.a", "ACTIVATE @.a.b")
    assert site.is_active(f"{top}.a", acl) and site.is_active(f"{top}.a.b", acl)
    admin.command(f"SETACL {top} alice lrs").ok()
    assert site.is_active(top, acl + "alice\tlrs\t")
    admin.command(f"DELETEACL {top} alice").ok()
    asked("FIND @", "ACTIVATE @", "FIND @", "ACTIVATE @")
    assert site.is_active(top, acl)
    admin.command(f"SETACL {top}.a.b bob lr").ok()
    asked("FIND @.a.b", "ACTIVATE @.a.b")
    admin.command(f"RENAME {top}.a.b {top}.c").ok()
    asked("FIND @.a.b", "RESERVE @.c", "ACTIVATE @.c", "DEACTIVATE @.a.b", "DELETE @.a.b")
    assert site.held(f"{top}.a.b") is None and site.is_active(f"{top}.c", acl + "bob\tlr\t")
    admin.command(f"DELETE {top}.c").ok()
    asked("FIND @.c", "DEACTIVATE @.c", "DELETE @.c")
    assert site.held(f"{top}.c") is None
    admin.command(f"RENAME {top} {top}2").ok()
    assert site.is_active(f"{top}2", acl) and site.is_active(f"{top}2.a", acl)
    assert site.held(top) is None and site.held(f"{top}.a") is None
    assert mailboxes(admin, f"{top}*") == {f"{top}2", f"{top}2.a"}
    for name in (f"{top}2.a", f"{top}2"):
        admin.command(f"DELETE {name}").ok()
        assert site.held(name) is None


@ours
def test_member_makes_changes_on_our_master(world):
    with Site(world) as site:
        changes(site)


@ours
def test_member_makes_changes_on_cyrus_master(world):
    with Site(world, cyrus=True) as site:
        changes(site)


@ours
def test_member_a_name_that_is_taken_elsewhere(world):
    for cyrus in (False, True):
        with Site(world, cyrus=cyrus) as site:
            taken(site, *(f"{site.top}{name}" for name in ("taken", "deep", "own")))


def taken(site, name, deep, own):
    admin = site.admin()
    site.elsewhere(name)
    site.elsewhere(f"{deep}.taken", active=False)
    admin.command(f"CREATE {name}").no("ALREADYEXISTS")
    admin.command(f"CREATE {deep}.taken").no("ALREADYEXISTS")
    assert site.held(deep) is None, "what was reserved on the way is given back"
    admin.command(f"CREATE {deep}").ok()
    admin.command(f"CREATE {own}").ok()
    for other in (name, f"{deep}.taken"):
        admin.command(f"RENAME {own} {other}").no("ALREADYEXISTS")
    assert mailboxes(admin, "*") == {own, deep}
    assert site.is_active(own) and site.held(name).location == OTHER
    assert site.held(f"{deep}.taken").kind == "RESERVE"


@ours
def test_member_a_parent_that_is_elsewhere(world):
    """It isn't made here; its ACL decides who may make a child, and is the child's."""
    acl = "anyone\tlrs\tbob\tlrswipkxte\t"
    with Site(world) as site:
        site.elsewhere("proj", acl)
        bob, alice = (world.at(site.backend, user) for user in ("bob", "alice"))
        alice.command("CREATE proj.x").no("NOPERM")
        assert site.held("proj.x") is None
        bob.command("CREATE proj.x").ok()
        bob.command("CREATE proj.y.z").ok()
        bob.command("RENAME proj.x proj.w.x").ok()
        for name in ("proj.w", "proj.w.x", "proj.y", "proj.y.z"):
            assert site.is_active(name, acl), name
        assert mailboxes(site.admin(), "*") == {"proj.w", "proj.w.x", "proj.y", "proj.y.z", "user.alice", "user.bob"}
        assert site.held("proj").location == OTHER and site.held("proj.x") is None
        site.elsewhere("soon", acl, active=False)
        bob.command("CREATE soon.x").no("INUSE")
        bob.command("CREATE proj").no("NOPERM")  # a child's rights say nothing of it
        site.admin().command("CREATE proj").no("ALREADYEXISTS")


@ours
def test_member_a_users_tree_spans_machines(world):
    """The INBOX is elsewhere: nobody gets a second one, and folders are made here nevertheless."""
    own = "alice\tlrswipkxtecdan\t"
    with Site(world) as site:
        site.elsewhere("user.alice", own)
        alice = world.at(site.backend, "alice")
        assert site.held("user.alice").location == OTHER
        alice.command("CREATE INBOX.work").ok()
        assert site.is_active("user.alice.work", own)
        alice.command("SELECT INBOX").no()
        site.admin().command("CREATE user.alice").no("ALREADYEXISTS")
        site.admin().command("CREATE user.carol.x").no("CANNOT")
        world.at(site.backend, "bob").select("INBOX").ok()
        assert site.is_active("user.bob", "bob\tlrswipkxtecdan\t"), "an INBOX is made at a login, and announced"


@ours
def test_member_rename_leaves_the_name_nowhere_at_no_moment(world):
    """The master's stream has all its changes in their order: old or new is active behind each."""
    for cyrus in (False, True):
        with Site(world, cyrus=cyrus) as site, site.session() as stream:
            admin, top = site.admin(), site.top
            site.make(admin, top)
            active = {name for name, record in stream.update().items() if record.kind == "MAILBOX" and top in name}
            assert active == {top}
            names = [top] + [f"{top}{number}" for number in range(20)] + [top]
            for old, new in zip(names, names[1:]):
                admin.command(f"RENAME {old} {new}").ok()
            events = stream.barrier()
            for event in (event for event in events if top in event.name):
                (active.add if event.kind == "MAILBOX" else active.discard)(event.name)
                assert active, (event, events)
            assert active == {top} and len(events) >= 60, events
            admin.command(f"DELETE {top}").ok()


@ours
def test_member_rename_of_an_inbox(world):
    with Site(world) as site:
        alice = world.at(site.backend, "alice")
        alice.append("INBOX", message("one")).ok()
        alice.command("RENAME INBOX INBOX.old").ok()
        assert site.is_active("user.alice") and site.is_active("user.alice.old")
        assert alice.exists(alice.select("INBOX.old").ok()) == 1
        # An admin renames a user, with all there is.
        site.admin().command("RENAME user.alice user.carol").ok()
        own = "carol\tlrswipkxtecdan\t"
        assert site.is_active("user.carol", own) and site.is_active("user.carol.old", own)
        assert site.held("user.alice") is None and site.held("user.alice.old") is None
        site.admin().command(f"SETACL user.carol cyrus {ALL}").ok()
        site.admin().command("DELETE user.carol").ok()
        assert site.held("user.carol") is None and site.held("user.carol.old") is None


@ours
def test_member_what_the_master_has_elsewhere_is_not_changed(world):
    """A mailbox that is here, but another's by the master: neither its ACL nor its name changes, here or there."""
    with Site(world) as site:
        admin = site.admin()
        site.make(admin, "both")
        site.gone("both")
        site.elsewhere("both", "bob\tlrs\t")
        for command in ("SETACL both bob lrswi", "DELETEACL both anyone", "RENAME both other", "DELETE both"):
            admin.command(command).no("UNAVAILABLE")
        record = site.held("both")
        assert (record.location, record.acl) == (OTHER, "bob\tlrs\t") and site.held("other") is None
        assert b"anyone" in admin.command("GETACL both").ok().of("ACL")[0].text
        assert mailboxes(admin, "*") == {"both"}


@ours
def test_member_without_its_master_changes_nothing(world):
    with Site(world) as site:
        admin = site.admin()
        site.make(admin, "there")
        site.line.refuse()
        site.line.reset_all()
        begin = time.monotonic()
        for command in ("CREATE new", "CREATE deep.new", "DELETE there", "RENAME there away", "SETACL there bob lr",
                        "DELETEACL there anyone"):
            admin.command(command).no("UNAVAILABLE")
        assert time.monotonic() - begin < 6, "it isn't waited for again and again"
        assert mailboxes(admin, "*") == {"there"}
        world.at(site.backend, "alice").select("INBOX").no()  # the login itself is as good
        admin.command("STATUS there (MESSAGES)").ok()
        assert site.backend.log.read_text().count("WARN") <= 3, "it is said once, not each time"
        site.line.listen()
        poll("the master to be there again", 10, lambda: admin.command("CREATE new").status == "OK")
        assert site.is_active("new") and site.is_active("there")


@ours
def test_member_a_master_that_does_not_answer(world):
    """What was done there is undone when it answers; here nothing has changed."""
    with Site(world) as site:
        admin = site.admin()
        for name in ("gone", "old", "shared"):
            site.make(admin, name)
        acl = site.held("shared").acl
        sessions = [site.admin() for _ in range(4)]
        site.line.stop(DOWN)
        commands = ("CREATE new", "DELETE gone", "RENAME old young", "SETACL shared bob lrswi")
        begin = time.monotonic()
        tags = [session.start(command) for session, command in zip(sessions, commands)]
        for session, tag in zip(sessions, tags):
            session.finish(tag).no("UNAVAILABLE")
        assert time.monotonic() - begin < 25
        assert mailboxes(admin, "*") == {"gone", "old", "shared"}
        assert site.backend.stat("mupdate_member_away") == 1 and site.backend.stat("mupdate_member_unsettled") > 0
        site.line.free()
        site.settled("new", False)
        site.settled("young", False)
        for name in ("gone", "old"):
            site.settled(name, True)
        poll("the ACL to be as it was", 15, lambda: site.is_active("shared", acl))
        for session, command in zip(sessions, commands):
            session.command(command).ok()
        poll("nothing to be left to settle", 15, lambda: site.backend.stat("mupdate_member_unsettled") == 0)
        assert site.backend.stat("mupdate_member_away") == 0
        assert site.backend.stat("mupdate_member_changes_refused_total") == 4 < site.backend.stat("mupdate_member_changes_total")


@ours
def test_member_a_master_that_dies_between_the_steps(world):
    """The line is cut after ever so many bytes: whatever was answered, backend and master come to agree, and what was
    answered OK is so."""
    for cyrus in (False, True):
        with Site(world, cyrus=cyrus) as site:
            admin = site.admin()
            for cut in range(0, 260, 74 if cyrus else 37):
                for direction in (UP, DOWN):
                    for kind in ("create", "rename", "delete", "setacl"):
                        cut_off(site, admin, f"{site.top}{kind}{cut}{direction}", kind, direction, cut)


def cut_off(site, admin, name, kind, direction, cut):
    new = name + "x"
    command = {"create": f"CREATE {name}", "rename": f"RENAME {name} {new}", "delete": f"DELETE {name}",
               "setacl": f"SETACL {name} bob lr"}[kind]
    if kind != "create":
        site.make(admin, name)
    site.line.stop(direction, cut)
    tag = admin.start(command)
    time.sleep(0.15)
    site.line.reset_all()
    site.line.free()
    status = admin.finish(tag).status

    def agree():
        here = mailboxes(admin, "*")
        return all(site.is_active(each) if each in here else site.held(each) is None for each in (name, new))
    poll(f"{command} to be settled", 15, agree)
    here = mailboxes(admin, "*")
    if kind == "setacl":
        shown = admin.command(f"GETACL {name}").ok().of("ACL")[0].text
        assert (b"bob" in shown) == (status == "OK"), (shown, status)
        poll("the ACL to be the same at the master", 15, lambda: ("bob" in site.held(name).acl) == (status == "OK"))
    elif status == "OK":
        assert (name in here, new in here) == (kind == "create", kind == "rename"), (command, here)
    else:
        assert (name in here, new in here) == (kind != "create", False), (command, here)
    for each in here & {name, new}:
        admin.command(f"SETACL {each} cyrus {ALL}").ok()
        admin.command(f"DELETE {each}").ok()


@ours
def test_member_many_at_once(world):
    """Sixteen sessions make the same names, and names of their own: one has each, and the master has them all."""
    with Site(world) as site:
        sessions = [site.admin() for _ in range(16)]
        for number in range(6):
            tags = [session.start(f"CREATE same.a{number}.b") for session in sessions]
            answers = [session.finish(tag) for session, tag in zip(sessions, tags)]
            assert sorted(answer.status for answer in answers) == ["NO"] * 15 + ["OK"], answers
            for answer in answers:
                answer.status == "OK" or answer.no("ALREADYEXISTS")
        for number in range(6):
            tags = [session.start(f"CREATE own.s{which}.n{number}") for which, session in enumerate(sessions)]
            for session, tag in zip(sessions, tags):
                session.finish(tag).ok()
        here = mailboxes(sessions[0], "*")
        with site.session() as session:
            held = session.say("LIST", site.server + "!").ok().names
        assert set(held) == here and len(here) == 1 + 12 + 1 + 16 + 96, (len(held), len(here))
        assert all(record.kind == "MAILBOX" for record in held.values())


@ours
def test_member_a_large_tree(world):
    """More names than are on their way to the master at once: renamed and deleted as a whole. What somebody asks for is no wipe
    to the master's guard."""
    with Site(world, server="[mupdate.server.guard]\nnames = 10\npercent = 1") as site:
        sessions = [site.admin() for _ in range(16)]
        for number in range(20):
            tags = [session.start(f"CREATE tree.s{which}.n{number}") for which, session in enumerate(sessions)]
            for session, tag in zip(sessions, tags):
                session.finish(tag).ok()
        admin = sessions[0]
        admin.command("RENAME tree new.top").ok()
        names = {"new", "new.top"} | {f"new.top.s{which}" for which in range(16)}
        names |= {f"new.top.s{which}.n{number}" for which in range(16) for number in range(20)}

        def held():
            with site.session() as session:
                records = session.say("LIST", site.server + "!").ok().records
            return {record.name for record in records if record.kind == "MAILBOX"}
        assert mailboxes(admin, "*") == names == held()
        operator(site.backend, "mailbox", "delete", "new", "--recursive")
        assert mailboxes(admin, "*") == set() == held()


@ours
def test_member_an_import_announces_what_it_makes(world):
    with Site(world) as site:
        maildir = site.backend.directory / "Maildir"
        for folder in (maildir, maildir / ".work", maildir / ".taken"):
            for part in ("cur", "new", "tmp"):
                (folder / part).mkdir(parents=True)
            (folder / "new/1.a").write_bytes(message("imported"))
        operator_run(site.backend, "backend", "import", "--maildir", str(maildir), "--user", "alice", "--into", "old")
        for name in ("user.alice.old", "user.alice.old.work", "user.alice.old.taken"):
            assert site.is_active(name, "alice\tlrswipkxtecdan\t"), name
        site.elsewhere("user.bob.taken")
        said = operator_run(site.backend, "backend", "import", "--maildir", str(maildir), "--user", "bob", code=1)
        assert "user.bob.taken is there already, at backend9.murder.test" in said, said
        site.backend.stop()
        said = operator_run(site.backend, "backend", "import", "--maildir", str(maildir), "--user", "bob", code=1)
        assert "imports only while it does" in said, said
        site.backend.start()


@ours
def test_member_changes_of_one_name_wait_for_each_other(world):
    """CREATE, RENAME, SETACL and DELETE of a few names in any order: at the end backend and master agree."""
    with Site(world) as site:
        dice = random.Random(7)
        sessions = [site.admin() for _ in range(8)]
        names = ["n", "n.a", "n.a.b", "m", "m.a"]
        for _ in range(25):
            tags = []
            for session in sessions:
                one, other = dice.sample(names, 2)
                tags.append(session.start(dice.choice([f"CREATE {one}", f"DELETE {one}", f"RENAME {one} {other}",
                                                       f"SETACL {one} cyrus {ALL}",
                                                       f"SETACL {one} bob {dice.choice(['lr', 'l', 'lrs'])}"])))
            for session, tag in zip(sessions, tags):
                session.finish(tag).must("OK", "NO")
        admin = site.admin()
        here = mailboxes(admin, "*")
        with site.session() as session:
            held = session.say("LIST", site.server + "!").ok().names
        assert set(held) == here
        for name in here:
            acl = admin.command(f"GETACL {name}").ok().of("ACL")[0].tree()[2:]
            assert held[name].kind == "MAILBOX" and held[name].acl.split("\t")[:-1] == [part.decode() for part in acl]


@ours
def test_member_subscriptions_to_names_elsewhere(world):
    with Site(world) as site:
        site.elsewhere("proj", "alice\tlrs\t")
        alice = world.at(site.backend, "alice")
        for name in ("proj", "never.was", "INBOX"):
            alice.command(f"SUBSCRIBE {name}").ok()
        assert set(alice.listed(alice.command('LSUB "" "*"').ok(), "LSUB")) == {"INBOX", "proj", "never.was"}
        listed = alice.listed(alice.command('LIST (SUBSCRIBED) "" "*"').ok())
        assert {"\\subscribed", "\\nonexistent"} <= listed["proj"] == listed["never.was"], listed
        assert "\\subscribed" in listed["INBOX"] and "\\nonexistent" not in listed["INBOX"]
        alice.close()
        site.backend.stop()
        site.backend.start()
        alice = world.at(site.backend, "alice")
        alice.command("UNSUBSCRIBE proj").ok()
        assert set(alice.listed(alice.command('LSUB "" "*"').ok(), "LSUB")) == {"INBOX", "never.was"}


@ours
def test_member_the_operators_changes(world):
    with Site(world) as site:
        ctl, backend = operator, site.backend
        site.elsewhere("proj", "bob\tlrs\t")
        ctl(backend, "mailbox", "create", "shared", "--acl", "anyone lrs")
        ctl(backend, "mailbox", "create", "proj.x")
        assert site.is_active("shared", "anyone\tlrs\t") and site.is_active("proj.x", "bob\tlrs\t")
        assert "at backend9.murder.test" in ctl(backend, "mailbox", "create", "proj", code=1)
        assert "no such partition" in ctl(backend, "mailbox", "create", "s2", "--partition", "nowhere", code=1)
        assert site.held("s2") is None
        ctl(backend, "mailbox", "acl", "shared", "bob", "lr")
        assert "bob\tlr\t" in site.held("shared").acl
        ctl(backend, "mailbox", "rename", "shared", "common")
        assert site.held("shared") is None and site.is_active("common")
        said = ctl(backend, "mailbox", "delete", "common")
        assert site.held("common") is None
        ctl(backend, "mailbox", "undelete", re.search(r"id (\w+)", said).group(1), "again")
        assert site.is_active("again")
        ctl(backend, "user", "add", "carol", given="pw\n")
        assert site.is_active("user.carol")
        ctl(backend, "user", "remove", "carol", "--mailboxes")
        assert site.held("user.carol") is None
        site.line.refuse()
        site.line.reset_all()
        assert "can't be reached" in ctl(backend, "mailbox", "create", "more", code=1)


@ours
def test_member_says_so(world):
    """`ravenry check`, and the capability that Cyrus' backends have before and after the login."""
    with Site(world) as site:
        host, port = site.line.address
        want = f"MUPDATE=mupdate://{host}:{port}/"
        session = world.at(site.backend)
        assert want in session.greeting.text.decode(), session.greeting
        session.login("alice", "alicepw").ok()
        assert want.upper() in {word.upper() for word in session.capabilities()}
        said = operator_run(site.backend, "check")
        assert f"a member of the murder of {host}:{port}" in said, said


@ours
def test_member_what_the_store_refuses_is_given_back(world):
    """The master has agreed, and the store hasn't: a quota, say. No name stays reserved."""
    with Site(world) as site:
        alice = world.at(site.backend, "alice")
        operator(site.backend, "quota", "set", "user.alice", "mailbox=2")
        alice.command("CREATE INBOX.a").ok()
        alice.command("CREATE INBOX.b").no("OVERQUOTA")
        alice.command("CREATE INBOX.c.d").no("OVERQUOTA")
        alice.command("RENAME INBOX INBOX.e").no("OVERQUOTA")
        with site.session() as session:
            held = session.say("LIST", site.server + "!").ok().names
        assert set(held) == {"user.alice", "user.alice.a"}
        assert site.is_active("user.alice") and site.is_active("user.alice.a")


@ours
def test_member_whose_account_may_not_write(world):
    """The master's own words reach whoever asked."""
    for account, words in (("frontend", "may not change anything"), ("backend1", "bound to another server")):
        with Site(world, account=account) as site:
            admin = site.admin()
            answer = admin.command("CREATE new").no("UNAVAILABLE")
            assert words in answer.text, answer
            assert words in operator(site.backend, "mailbox", "create", "new", code=1)
            assert mailboxes(admin, "*") == set() and site.held("new") is None


@ours
def test_member_a_name_that_is_lost_between_reserve_and_activate(world):
    """What has been made goes again, and so does the level above that was made for it."""
    with Site(world) as site:
        admin = site.admin()
        site.asked()
        admin.command("CREATE one.name").ok()
        sent = site.line.heard
        # RESERVE goes through, and a part of what follows it.
        site.line.stop(UP, re.search(rb"^\S+ ACTIVATE", sent, re.M).start() + 30)
        tag = admin.start("CREATE two.name")
        poll("the name to be reserved", 10, lambda: site.held("two.name"))
        site.gone("two.name")
        site.elsewhere("two.name")
        site.line.free()
        admin.finish(tag).no("ALREADYEXISTS")
        assert mailboxes(admin, "*") == {"one", "one.name"}
        assert site.held("two") is None and site.held("two.name").location == OTHER
        assert operator(site.backend, "mailbox", "removed").count("two") == 2
