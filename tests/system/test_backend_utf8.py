"""Names and messages in UTF-8 at the backend: UTF8=ACCEPT (RFC 6855, and RFC 9755, which follows it)."""

from imap_client import Literal, message
from marks import ours

UTF8 = "Entwürfe".encode()
UTF7 = b"Entw&APw-rfe"
TAIPEI, TAIPEI7 = "台北".encode(), b"&U,BTFw-"
HEADERS = "From: Jøran <jøran@example.test>\r\nSubject: smørrebrød\r\n\r\nhei på deg\r\n".encode()


def quoted(name):
    return b'"' + name + b'"'


def names(session, *command, word="LIST"):
    return {r.tree()[3] for r in session.command(*command).ok().of(word)}


def enabled(world, backend, user="alice", what="UTF8=ACCEPT"):
    session = world.at(backend, user)
    (told,) = session.command(f"ENABLE {what}").ok().of("ENABLED")
    assert told.text == f"ENABLED {what}".encode(), told.raw
    return session


@ours
def test_backend_utf8_names_are_one_in_both_forms(world):
    """Section 3: after ENABLE names are UTF-8 in quoted strings, both ways; before it they are modified UTF-7."""
    backend = world.a_backend()
    old, new = world.at(backend, "alice"), enabled(world, backend)
    assert "UTF8=ACCEPT" in new.capabilities()
    new.command(b'CREATE "INBOX.' + UTF8 + b'"').ok()
    new.command(b"CREATE INBOX.{9+}\r\n" + UTF8).bad()  # a literal is a whole string
    new.command("CREATE ", Literal(b"INBOX." + TAIPEI)).ok()
    new.command('CREATE "INBOX.a&b"').ok()
    assert names(old, 'LIST "" *') == {b"INBOX", b"INBOX." + UTF7, b"INBOX." + TAIPEI7, b"INBOX.a&-b"}
    answer = new.command('LIST "" *').ok()
    assert {r.tree()[3] for r in answer.of("LIST")} == {b"INBOX", b"INBOX." + UTF8, b"INBOX." + TAIPEI, b"INBOX.a&b"}
    assert any(r.raw.endswith(b' "INBOX.' + UTF8 + b'"\r\n') for r in answer.of("LIST")), "quoted, and no literal"
    # each command that has a name takes it, and tells it back
    name = quoted(b"INBOX." + UTF8)
    new.append(b"INBOX." + UTF8, message("one")).ok()
    for command, word, at in ((b"STATUS %s (MESSAGES)", "STATUS", 1), (b"MYRIGHTS %s", "MYRIGHTS", 1), (b"GETACL %s", "ACL", 1),
                              (b"LISTRIGHTS %s bob", "LISTRIGHTS", 1), (b"GETQUOTAROOT %s", "QUOTAROOT", 1),
                              (b"GETMETADATA %s /private/comment", "METADATA", 1)):
        (told,) = new.command(command % name).ok().of(word)
        assert told.tree()[at] == b"INBOX." + UTF8 and b"{" not in told.raw, told.raw
    for command in (b"SETACL %s bob lr", b"DELETEACL %s bob", b"SUBSCRIBE %s", b"SELECT %s", b"COPY 1 %s", b"EXAMINE %s", b"UNSUBSCRIBE %s",
                    b"SUBSCRIBE %s"):
        new.command(command % name).ok()
    assert names(new, 'LSUB "" *', word="LSUB") == {b"INBOX." + UTF8} and names(old, 'LSUB "" *', word="LSUB") == {b"INBOX." + UTF7}
    returned = new.command('LIST (SUBSCRIBED) "" * RETURN (STATUS (MESSAGES) MYRIGHTS)').ok()
    assert returned.of("STATUS")[0].tree()[1] == returned.of("MYRIGHTS")[0].tree()[1] == b"INBOX." + UTF8
    new.command(b"RENAME %s %s" % (name, quoted(b"INBOX." + UTF8 + b"." + TAIPEI))).no("CANNOT")
    new.command(b"RENAME %s %s" % (name, quoted(b"INBOX.x." + TAIPEI))).ok()
    assert session_sees(old, b"INBOX.x." + TAIPEI7)
    new.command(b"DELETE %s" % quoted(b"INBOX.x." + TAIPEI)).ok()
    new.command(b'SUBSCRIBE "INBOX.\xc3\xa9"').ok()
    gone = {r.tree()[3]: r.raw for r in new.command('LIST (SUBSCRIBED) "" *').ok().of("LIST")}
    assert set(gone) == {b"INBOX." + UTF8, "INBOX.é".encode()} and all(b"\\NonExistent" in raw for raw in gone.values()), gone
    admin = enabled(world, backend, "cyrus")
    admin.command(b'SETQUOTA "user.alice.' + TAIPEI + b'" (MESSAGE 7)').ok()
    (root,), (quota,) = [new.command(b'GETQUOTAROOT "INBOX.' + TAIPEI + b'"').ok().of(word) for word in ("QUOTAROOT", "QUOTA")]
    assert root.tree()[1:] == [b"INBOX." + TAIPEI] * 2 and quota.tree()[1] == b"INBOX." + TAIPEI, root.raw
    (quota,) = old.command(b"GETQUOTA INBOX." + TAIPEI7).ok().of("QUOTA")
    assert quota.tree()[1:] == [b"INBOX." + TAIPEI7, [b"MESSAGE", b"0", b"7"]], quota.raw
    # modified UTF-7 is text like any other then; and 8-bit names are none before
    new.command(b"STATUS INBOX." + TAIPEI7 + b" (MESSAGES)").no("NONEXISTENT")
    old.command(b"STATUS " + quoted(b"INBOX." + TAIPEI) + b" (MESSAGES)").no()
    old.command(b"STATUS INBOX." + TAIPEI7 + b" (MESSAGES)").ok()
    for session in (old, new):
        session.in_step()


def session_sees(session, name):
    return name in {r.tree()[3] for r in session.command('LIST "" *').ok().of("LIST")}


@ours
def test_backend_utf8_patterns(world):
    """Patterns are UTF-8, too, also where a wildcard stands beside what modified UTF-7 has in one run."""
    session = enabled(world, world.a_backend(top='hierarchy_separator = "/"'))
    for name in ("éè", "éa", "éa/日本語", "e", "台"):
        session.command(b'CREATE "INBOX/' + name.encode() + b'"').ok()

    def found(reference, pattern, word="LIST"):
        got = session.command(word.encode(), b' "' + reference.encode() + b'" "' + pattern.encode() + b'"').ok().of(word)
        return {r.tree()[3].decode().removeprefix("INBOX/") for r in got}
    assert found("", "INBOX/é%") == {"éè", "éa"}
    assert found("INBOX/é", "*") == {"éè", "éa", "éa/日本語"}
    assert found("", "inbox/%è") == {"éè"}
    assert found("", "*語") == {"éa/日本語"}
    assert found("", "INBOX/台") == {"台"}
    assert found("", "INBOX/日%") == set()
    session.command('SUBSCRIBE "INBOX/éa/日本語"'.encode()).ok()
    assert found("", "INBOX/%a", "LSUB") == {"éa"}
    (above,) = session.command('LIST (SUBSCRIBED RECURSIVEMATCH) "" "INBOX/é%"'.encode()).ok().of("LIST")
    assert above.tree()[3].decode() == "INBOX/éa" and b"CHILDINFO" in above.raw, above.raw
    session.command("LIST ", Literal(b"\xff"), " *").bad()
    session.command('LIST "" ', Literal(b"\xff*")).bad()
    session.in_step()


@ours
def test_backend_utf8_what_is_no_utf8(world):
    """Section 3: quoted strings that aren't UTF-8 are BAD; names that aren't Net-Unicode aren't made (RFC 5198 section 2)."""
    backend = world.a_backend()
    session = enabled(world, backend)
    session.command("CREATE INBOX.plain").ok()
    for bad in (b"\xff", b"\xc3", b"\xed\xa0\x80", b"\xc0\xaf", b"\xf5\x80\x80\x80"):
        for command in (b'CREATE "INBOX.%s"', b'STATUS "INBOX.%s" (MESSAGES)', b'LIST "" "%s*"', b'SUBSCRIBE "%s"', b'ID ("name" "%s")'):
            session.command(command % bad).bad()
        session.command(b"CREATE ", Literal(b"INBOX." + bad)).bad()
        session.command("NOOP").ok()
    session.append(b"INBOX.\xff", message("x")).bad()
    for strange in ("u\u0308", "\u212b", "a\u0085", "a\u2028", "\u2029", "q\u0307\u0323", "\u1112\u1161"):
        name = b'"INBOX.' + strange.encode() + b'"'
        session.command(b"CREATE " + name).no("CANNOT")
        session.command(b"RENAME INBOX.plain " + name).no("CANNOT")
        session.command(b"STATUS " + name + b" (MESSAGES)").no("NONEXISTENT")
    # one that is there already, since modified UTF-7 made it, can be used
    old = world.at(backend, "alice")
    old.command("CREATE INBOX.u&Awg-").ok()
    decomposed = b'"INBOX.u\xcc\x88"'
    assert session_sees(session, b"INBOX.u\xcc\x88")
    session.command(b"SELECT " + decomposed).ok()
    session.command(b"RENAME " + decomposed + b' "INBOX.\xc3\xbc"').ok()
    assert session_sees(old, b"INBOX.&APw-")
    session.command(b'CREATE "INBOX.' + "ü".encode() * 300 + b'"').no()
    session.in_step()


@ours
def test_backend_utf8_append(world):
    """Section 4: UTF8 (literal8), once it is enabled; several messages in one APPEND, and what is malformed."""
    backend = world.a_backend()
    old, session = world.at(backend, "alice"), enabled(world, backend)
    size = len(HEADERS)
    old.command(b"APPEND INBOX UTF8 (~{%d+}\r\n" % size + HEADERS + b")").bad()
    old.in_step()
    assert session.command(b"APPEND INBOX UTF8 (~{%d+}\r\n" % size + HEADERS + b")").ok().code.startswith("APPENDUID ")
    several = b'APPEND INBOX (\\Seen) utf8 (~{%d+}\r\n%s) "17-Jul-1996 02:44:25 -0700" {%d+}\r\n%s (\\Flagged) UTF8 (~{%d+}\r\n%s)'
    plain = message("plain")
    answer = session.command(several % (size, HEADERS, len(plain), plain, size, HEADERS)).ok()
    assert answer.code.endswith(" 2:4"), answer.code
    session.append("INBOX", HEADERS).ok()  # RFC 9755 section 4
    tag = session.start("APPEND INBOX UTF8 (~{%d}" % size)
    assert session.response().tag == b"+"
    session.send(HEADERS + b")\r\n")
    session.finish(tag).ok()
    session.select("INBOX").ok()
    flags = [set(r.tree()[2][1]) - {b"\\Recent"} for r in session.command("FETCH 1:* FLAGS").ok().of("FETCH")]
    assert flags == [set(), {b"\\Seen"}, set(), {b"\\Flagged"}, set(), set()], flags
    for number in (1, 2, 4, 5, 6):
        assert session.body(number) == HEADERS, number
    # what a client sees of it, whether it has enabled anything or not: the bytes
    for reader in (session, world.at(backend, "alice")):
        reader.select("INBOX").ok()
        envelope = reader.command("FETCH 1 ENVELOPE").ok().of("FETCH")[0].tree()[2][1]
        assert envelope[1] == "smørrebrød".encode() and envelope[2][0][2] == "jøran".encode(), envelope
        assert reader.body(1) == HEADERS
    for wrong in (b"UTF8 ~{%d+}\r\n%s", b"UTF8 (~{%d+}\r\n%s", b"UTF8 ({%d+}\r\n%s)", b"UTF8 (~{%d+}\r\n%s ", b"UTF8 (~{%d+}\r\n%s))", b"UTF8(~{%d+}\r\n%s)",
                  b"UTF8 (~{%d+}\r\n%s) (\\Seen)", b"UTF8 (X ~{%d+}\r\n%s)"):
        session.command(b"APPEND INBOX " + wrong % (size, HEADERS)).bad()
    session.command(b"APPEND INBOX UTF8 (~{3+}\r\na\0b)").no()
    session.command(b"APPEND INBOX UTF8 (~{0+}\r\n)").no()
    assert session.exists(session.select("INBOX").ok()) == 6, "nothing of what was refused"
    session.in_step()


@ours
def test_backend_utf8_catenate(world):
    """Section 4: UTF8 as a part of CATENATE. A URL's mailbox is UTF-8, whatever else the client writes (RFC 5092)."""
    backend = world.a_backend()
    old, session = world.at(backend, "alice"), enabled(world, backend)
    session.command(b'CREATE "INBOX.' + UTF8 + b'"').ok()
    session.append(b"INBOX." + UTF8, b"a: b\r\n\r\nfrom elsewhere").ok()
    head = "Subject: smørrebrød\r\n\r\n".encode()
    url = b'URL "/INBOX.Entw%C3%BCrfe/;UID=1/;SECTION=TEXT"'
    session.command(b"APPEND INBOX CATENATE (UTF8 (~{%d+}\r\n" % len(head) + head + b") " + url + b" TEXT {1+}\r\n.)").ok()
    old.command(b"APPEND INBOX CATENATE (" + url + b")").ok()
    old.command(b"APPEND INBOX CATENATE (UTF8 (~{%d+}\r\n" % len(head) + head + b") " + url + b")").bad()
    session.command(b"APPEND INBOX CATENATE (UTF8 (~{%d+}\r\n" % len(head) + head + b" " + url + b")").bad()
    session.select("INBOX").ok()
    assert [session.body(n) for n in (1, 2)] == [head + b"from elsewhere.", b"from elsewhere"]
    tag = session.start(b"REPLACE 1 INBOX UTF8 (~{%d+}\r\n" % len(head) + head + b")")
    session.finish(tag).ok()
    assert session.exists(session.select("INBOX").ok()) == 2 and session.body(2) == head
    for each in (old, session):
        each.in_step()


@ours
def test_backend_utf8_search(world):
    """Section 3: strings are UTF-8, and no charset may be given."""
    session = enabled(world, world.a_backend())
    for mail in (HEADERS, message("plain")):
        session.append("INBOX", mail).ok()
    session.select("INBOX").ok()

    def found(*keys):
        return session.command(b"SEARCH ", *keys).ok().of("SEARCH")[0].text
    assert found('SUBJECT "smørre"'.encode()) == b"SEARCH 1"
    assert found(b"TEXT ", Literal("hei på".encode())) == b"SEARCH 1"
    assert found('NOT FROM "jøran"'.encode()) == b"SEARCH 2"
    session.command("SEARCH RETURN (SAVE) ALL").ok()
    for charset in ("UTF-8", "US-ASCII", "KOI8-R"):
        session.command(f"SEARCH CHARSET {charset} ALL").bad()
        session.command(f"UID SEARCH RETURN (SAVE) CHARSET {charset} ALL").bad()
    assert found("$") == b"SEARCH 1 2", "BAD leaves the saved result as it is"
    session.command(b'SEARCH SUBJECT "\xff"').bad()
    session.in_step()


@ours
def test_backend_utf8_ends_with_the_login(world):
    """UNAUTHENTICATE (RFC 8437 section 3): what was enabled is so no longer."""
    backend = world.a_backend()
    for what in ("UTF8=ACCEPT", "IMAP4rev2"):
        session = enabled(world, backend, "bob", what)
        session.command('CREATE "INBOX.%s"'.encode() % (what[:5].encode() + "ü".encode())).ok()
        session.command("UNAUTHENTICATE").ok()
        session.login("bob", "bobpw").ok()
        listed = session.command('LIST "" "INBOX.%s*"' % what[:5]).ok().of("LIST")
        assert [r.tree()[3] for r in listed] == [b"INBOX." + what[:5].encode() + b"&APw-"], listed
        session.append("INBOX", message("x")).ok()
        assert session.select("INBOX").ok().of("RECENT") and session.command("SEARCH ALL").ok().of("SEARCH")
        session.in_step()
