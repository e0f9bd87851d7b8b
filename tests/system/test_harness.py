"""The client of these tests notices a server that breaks the protocol: a test that cannot fail is none."""

import socket
import threading

from imap_client import Broken, Conversation, parse

FAULTS = {
    "a second tagged reply": b"t1 OK one\r\nt1 OK two\r\nt2 OK\r\n",
    "a reply with a tag of nobody": b"x9 OK\r\nt1 OK\r\n",
    "a bare LF": b"t1 OK\n",
    "a NUL": b"* 1 FETCH (X \0)\r\nt1 OK\r\n",
    "a tagged reply that is none": b"t1 FINE\r\n",
    "a literal that never comes": b"* 1 FETCH (X {5}\r\nab",
    "a continuation that nobody asked for": b"+ go\r\nt1 OK\r\n",
    "no reply": b"* OK\r\n",
    "an unbalanced response": b"* LIST (\\Noselect \".\" x\r\nt1 OK\r\n",
}


def answered(script):
    """What a client makes of a server that says just this to its first command."""
    server = socket.create_server(("127.0.0.1", 0))

    def serve():
        peer, _ = server.accept()
        with peer:
            peer.sendall(b"* OK ready\r\n")
            peer.recv(1000)
            peer.sendall(script)
            peer.recv(1000)
    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    with Conversation(server.getsockname(), deadline=1) as session:
        answer = session.command("NOOP").ok()
        session.expect_silence(0.1)
        for response in answer.untagged:
            response.tree()
    server.close()


def test_harness_notices_a_broken_server(_world):
    answered(b"* 1 FETCH (X {3}\r\na\r\n Y \"q\\\"q\")\r\nt1 OK [CODE (x)] {5}\r\n")
    for fault, script in FAULTS.items():
        try:
            answered(script)
        except (Broken, AssertionError):
            continue
        raise AssertionError(f"not noticed: {fault}")


def test_harness_parses_responses(_world):
    tree = parse(b'FETCH (FLAGS (\\Seen $x) BODY[HEADER.FIELDS (A B)] {4}\r\n(")\n UID 7 ENVELOPE (NIL "a\\\\b"))')
    assert tree == [b"FETCH", [b"FLAGS", [b"\\Seen", b"$x"], b"BODY[HEADER.FIELDS (A B)]", b'(")\n', b"UID", b"7",
                               b"ENVELOPE", [None, b"a\\b"]]], tree
