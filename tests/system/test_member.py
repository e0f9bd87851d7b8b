"""A backend of ours as a member of a murder: changes of names and ACLs, here and at the master, both or neither."""

from marks import ours
from member_site import Site, mailboxes


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
    asked("FIND @.c", "DELETE @.c")
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
