"""The backend on a disk that is full, read-only or broken: a clear NO, nothing damaged, and all is well when there is room."""

import resource
import subprocess
from contextlib import contextmanager

from imap_client import Literal, message
from marks import needs, ours
from murder import logged
from test_bad_input import memory
from test_list_file import UNLIMITED, attempt, fill

FULL = ("UNAVAILABLE", "LIMIT", "OVERQUOTA")


@contextmanager
def disk(backend, part, kilobytes):
    """A small disk of its own for the backend's `state` or `spool`."""
    folder = backend.data / part
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", folder], check=True)
    try:
        yield folder
    finally:
        backend.kill()
        subprocess.run(["umount", "-l", folder], check=True)


def all_is_there(session, count, size=3000):
    """Messages m0 to m(count - 1), byte for byte."""
    assert session.exists(session.select("INBOX").ok()) == count
    fetched = session.command("FETCH 1:* (UID BODY.PEEK[])").ok().of("FETCH") if count else []
    for n, response in enumerate(fetched):
        assert response.tree()[2][3] == message(f"m{n}", size), f"message {n + 1}"
    assert len(fetched) == count


def nothing_staged(backend):
    left = list((backend.data / "spool/staging").iterdir())
    assert not left, f"staged, and nobody's any more: {left}"


def refused(answer):
    answer.no()
    assert answer.code.split(" ")[0] in FULL, answer.text


@ours
@needs("mount")
def test_backend_no_room_for_messages(world):
    """APPEND and MULTIAPPEND are refused in step, all or none; COPY takes no room; what is there can be read and flagged."""
    backend = world.a_backend(start=False)
    with disk(backend, "spool", 4096) as spool:
        backend.start()
        session = world.at(backend, "alice")
        for n in range(5):
            session.append("INBOX", message(f"m{n}", 3000)).ok()
        fill(spool, 40_000)
        for plus in (True, False):
            refused(session.append("INBOX", message("large", 2_000_000), plus=plus))
            session.in_step()
        refused(session.command("APPEND INBOX ", Literal(message("small", 3000)), " ", Literal(message("large", 300_000), plus=True)))
        nothing_staged(backend)
        all_is_there(session, 5)
        fill_up = next(n for n in range(40) if session.append("INBOX", message(f"m{n + 5}", 3000)).status != "OK")
        assert 5 <= fill_up < 20, fill_up
        all_is_there(session, 5 + fill_up)
        session.command("STORE 1 +FLAGS (\\Flagged)").ok()
        other = world.at(backend, "bob")  # a name that is made without a block for its label, or no INBOX: but no crash
        other.in_step()
        (spool / "filler").unlink()
        session.append("INBOX", message(f"m{5 + fill_up}", 3000)).ok()
        all_is_there(session, 6 + fill_up)
        nothing_staged(backend)
        for again in (backend.stop, backend.kill):
            session.close()
            other.close()
            again()
            backend.start()
            session, other = world.at(backend, "alice"), world.at(backend, "bob")
            all_is_there(session, 6 + fill_up)
            assert session.command("SEARCH FLAGGED").ok().of("SEARCH")[0].text == b"SEARCH 1"
        other.append("INBOX", message("x")).ok()
        assert "file isn't there" not in backend.log.read_text()


@contextmanager
def no_room(backend, state):
    fill(state)
    yield
    (state / "filler").unlink()


@contextmanager
def file_size_limit(backend, state):
    """Writes beyond it fail: EFBIG in place of ENOSPC."""
    resource.prlimit(backend.process.pid, resource.RLIMIT_FSIZE, (4096, resource.RLIM_INFINITY))
    yield
    resource.prlimit(backend.process.pid, resource.RLIMIT_FSIZE, UNLIMITED)


@ours
@needs("mount")
def test_backend_no_room_for_the_index(world):
    """Nothing of a change that can't be written is there, in this process and in the next."""
    for trouble in (no_room, file_size_limit):
        backend = world.a_backend(start=False)
        with disk(backend, "state", 2048) as state:
            backend.start()
            session = world.at(backend, "alice")
            for n in range(4):
                session.append("INBOX", message(f"m{n}", 3000)).ok()
            session.select("INBOX").ok()
            came = 4
            with trouble(backend, state):
                for n in range(60):  # pages that are free already are used up first
                    answer = session.append("INBOX", message(f"m{came}", 3000))
                    came += answer.status == "OK"
                    if answer.status != "OK":
                        refused(answer)
                if trouble is file_size_limit:
                    assert came == 4
                    session.command("STORE 1 +FLAGS (\\Flagged)").no("UNAVAILABLE")
                    session.command("CREATE INBOX.x").no("UNAVAILABLE")
                    session.command("EXPUNGE").must("OK", "NO")
                all_is_there(session, came)
                for command in ("COPY 1 INBOX", "SETACL INBOX bob l", "CREATE INBOX.y", "SUBSCRIBE INBOX", "MOVE 1 INBOX"):
                    session.command(command).must("OK", "NO")
                    session.in_step()
            session.select("INBOX").ok()
            session.command("UID EXPUNGE 1:*").ok()
            session.append("INBOX", message("after")).ok()
            count = session.exists(session.select("INBOX").ok())
            flags = [r.raw for r in session.command("FETCH 1:* (UID FLAGS)").ok().of("FETCH")]
            nothing_staged(backend)
            session.close()
            backend.stop()
            backend.start()
            session = world.at(backend, "alice")
            assert session.exists(session.select("INBOX").ok()) == count
            again = [r.raw for r in session.command("FETCH 1:* (UID FLAGS)").ok().of("FETCH")]
            assert [line.replace(b"\\Recent", b"").replace(b"( ", b"(") for line in again] == \
                [line.replace(b"\\Recent", b"").replace(b"( ", b"(") for line in flags]
            assert len(session.command("FETCH 1:* BODY.PEEK[]").ok().of("FETCH")) == count
            session.close()


@ours
@needs("mount")
def test_backend_no_room_at_the_start(world):
    """It says so and ends, or it serves; never a signal, and the store isn't damaged by it."""
    backend = world.a_backend(start=False)
    with disk(backend, "state", 1024) as state:
        given_up = 0
        for spare in (0, 4 << 10, 16 << 10, 64 << 10, 72 << 10, 80 << 10, 88 << 10, 100 << 10, 120 << 10):
            fill(state, spare)
            said = attempt(backend)
            if said is None:
                session = world.at(backend, "alice")
                session.append("INBOX", message("x")).must("OK", "NO")
                session.close()
                assert backend.process.poll() is None
                backend.kill()
            else:
                given_up += 1
                assert "No space left" in said or "Input/output" in said or "can't" in said, said
            (state / "filler").unlink()
        assert given_up > 0
        backend.start()
        session = world.at(backend, "alice")
        session.append("INBOX", message("now")).ok()
        session.close()


@ours
@needs("mount")
def test_backend_spool_that_is_read_only(world):
    """Reading goes on; what would write is refused; the same at the start, clearly."""
    backend = world.a_backend(start=False)
    with disk(backend, "spool", 4096) as spool:
        backend.start()
        session = world.at(backend, "alice")
        for n in range(3):
            session.append("INBOX", message(f"m{n}", 3000)).ok()
        subprocess.run(["mount", "-o", "remount,ro", spool], check=True)
        for plus in (True, False):
            refused(session.append("INBOX", message("x", 3000), plus=plus))
            refused(session.append("INBOX", message("x", 600_000), plus=plus))
        all_is_there(session, 3)
        refused(session.command("COPY 1 INBOX"))
        refused(session.command("CREATE INBOX.x"))
        session.command("STORE 2 +FLAGS (\\Seen)").ok()
        session.in_step()
        subprocess.run(["mount", "-o", "remount,rw", spool], check=True)
        session.command("CREATE INBOX.x").ok()
        session.append("INBOX", message("m3", 3000)).ok()
        all_is_there(session, 4)
        session.close()
        backend.stop()
        subprocess.run(["mount", "-o", "remount,ro", spool], check=True)
        said = attempt(backend)
        assert said is None or "Read-only file system" in said, said
        backend.kill()
        subprocess.run(["mount", "-o", "remount,rw", spool], check=True)
        backend.start()
        session = world.at(backend, "alice")
        all_is_there(session, 4)
        session.close()


@ours
def test_backend_files_that_are_damaged(world):
    """Away, cut short, or no file: NO for those, the others are answered, and the log has the path."""
    backend = world.a_backend()
    session = world.at(backend, "alice")
    for n in range(4):
        session.append("INBOX", message(f"m{n}", 3000)).ok()
    session.append("INBOX", message("m4", 3_000_000)).ok()
    files = {int(file.stem): file for file in backend.files()}
    files[1].unlink()
    files[2].write_bytes(files[2].read_bytes()[:100])
    files[3].unlink()
    files[3].mkdir()
    session.select("INBOX").ok()
    answer = session.command("FETCH 1:4 (UID BODY.PEEK[])").no("UNAVAILABLE")
    assert [r.tree()[2][1] for r in answer.of("FETCH")] == [b"4"], answer.untagged
    for uid in (1, 2, 3):
        logged(backend, str(files[uid]))
    # what the index has is answered for all
    assert len(session.command("FETCH 1:* (FLAGS UID RFC822.SIZE INTERNALDATE)").ok().of("FETCH")) == 5
    session.command("SEARCH TEXT m3").must("OK", "NO")
    session.in_step()
    # a large one that is cut short can't be ended as it has to be: the connection ends, and nothing false is told
    files[5].write_bytes(files[5].read_bytes()[:1_000_000])
    session.start("FETCH 5 BODY.PEEK[]")
    session.expect_end()
    session = world.at(backend, "alice")
    session.select("INBOX").ok()
    assert session.body(4) == message("m3", 3000)
    session.command("STORE 1:* +FLAGS (\\Deleted)").ok()
    assert len(session.command("EXPUNGE").ok().of("EXPUNGE")) == 5
    files[3].rmdir()


@ours
def test_backend_index_that_has_reached_its_size(world):
    """`index_size`: whatever grows is refused; what doesn't isn't, and what is there can be read."""
    backend = world.a_backend(more='index_size = "16 MiB"')
    session = world.at(backend, "alice")
    for n in range(3):
        session.append("INBOX", message(f"m{n}", 3000), "(\\Deleted)" if n == 1 else "").ok()
    admin = world.at(backend, "cyrus")
    admin.command("CREATE big").ok()
    admin.command("SETACL big cyrus lkxca").ok()  # an admin may give himself any right, and has few without
    for n in range(400):  # an ACL as long as one may be, that each mailbox below inherits
        answer = admin.command(f"SETACL big {'x' * 60}{n} l")
        if answer.status != "OK":
            answer.no("LIMIT")
            break
    assert n > 100, f"{n} identifiers in an ACL"
    full = next(n for n in range(5000) if admin.command(f"CREATE big.n{n}").status != "OK")
    assert full > 300, f"full with {full} mailboxes"
    admin.command("CREATE big.more").no("UNAVAILABLE")
    session.append("INBOX", message("more")).no("UNAVAILABLE")
    session.command("APPEND INBOX ", Literal(message("more"))).no("UNAVAILABLE")
    nothing_staged(backend)
    all_is_there(session, 3)
    session.command("COPY 1 INBOX").no("UNAVAILABLE")
    session.command("MOVE 1 INBOX").no("UNAVAILABLE")
    # flags take no room, whatever is done with them; an ACL may become shorter, and not longer
    for n in range(200):
        session.command(f"STORE 1:* {'-' if n % 2 else '+'}FLAGS (\\Flagged)").ok()
    admin.command("DELETEACL big cyrus").ok()
    admin.command("SETACL big longer lrs").no("UNAVAILABLE")
    assert len(session.command("EXPUNGE").ok().of("EXPUNGE")) == 1
    admin.command("DELETE big.n0").ok()
    session.command("STORE 1 +FLAGS (\\Seen)").ok()
    session.in_step()
    # with more room all is well; how full it is is said once, and not with each commit
    for before, after in (("16 MiB", "19 MiB"), ("19 MiB", "32 MiB")):
        backend.config.write_text(backend.config.read_text().replace(before, after))
        for one in (session, admin):
            one.close()
        backend.stop()
        backend.start()
        session, admin = world.at(backend, "alice"), world.at(backend, "cyrus")
        for _ in range(5):
            admin.command("SUBSCRIBE big").ok()
            admin.command("UNSUBSCRIBE big").ok()
    logged(backend, "the index is 80 % full")
    assert backend.log.read_text().count("% full") == 1
    session.append("INBOX", message("more")).ok()
    assert session.exists(session.select("INBOX").ok()) == 3
    session.command("STORE 1 +FLAGS (\\Seen)").ok()


@ours
def test_backend_out_of_descriptors(world):
    """What needs a file is refused, what doesn't is answered; with descriptors again all is well."""
    backend = world.a_backend()
    session = world.at(backend, "alice")
    for n in range(3):
        session.append("INBOX", message(f"m{n}", 3000)).ok()
    session.select("INBOX").ok()
    _, hard = resource.prlimit(backend.process.pid, resource.RLIMIT_NOFILE)
    before = resource.prlimit(backend.process.pid, resource.RLIMIT_NOFILE, (3, hard))
    refused(session.append("INBOX", message("x", 3000)))
    refused(session.append("INBOX", message("x", 600_000), plus=False))
    answer = session.command("FETCH 1:3 (UID BODY.PEEK[])")
    refused(answer)
    assert answer.of("FETCH") == []
    assert len(session.command("FETCH 1:3 (UID FLAGS)").ok().of("FETCH")) == 3
    session.command("STORE 1 +FLAGS (\\Flagged)").ok()
    refused(session.command("COPY 1 INBOX"))
    session.in_step()
    resource.prlimit(backend.process.pid, resource.RLIMIT_NOFILE, before)
    session.append("INBOX", message("m3", 3000)).ok()
    all_is_there(session, 4)
    nothing_staged(backend)


@ours
def test_backend_a_large_message(world):
    """The largest that is taken: in and out, whole and in parts, with memory as it was."""
    backend = world.a_backend(more='message_size = "80 MiB"')
    text = message("large", 79 << 20)
    session = world.at(backend, "alice")
    before = memory(backend.process.pid)
    for plus in (True, False):
        session.append("INBOX", text, plus=plus).ok()
    session.select("INBOX").ok()
    assert session.body(1) == text
    for start, size in ((0, 10), (len(text) - 10, 100), (1 << 20, 9 << 20), (12_345_678, 262_145), (len(text), 1)):
        (got,) = session.command(f"FETCH 2 BODY.PEEK[]<{start}.{size}>").ok().of("FETCH")
        assert got.tree()[2][1] == text[start:start + size], f"{start}.{size}"
    assert session.command("SEARCH BODY \"large\"").ok().of("SEARCH")[0].text == b"SEARCH 1 2"
    (bodies,) = session.command("FETCH 1 (BODYSTRUCTURE ENVELOPE RFC822.SIZE)").ok().of("FETCH")
    assert b"RFC822.SIZE %d" % len(text) in bodies.raw
    grown = memory(backend.process.pid) - before
    print(f"{grown >> 20} MiB more in memory after messages of {len(text) >> 20} MiB", flush=True)
    assert grown < 200 << 20, f"{grown} bytes more in memory"
