# SPDX-License-Identifier: Apache-2.0
"""Less memory and fewer descriptors than the load would take: who can go on does, the
others wait, and nobody loses a byte."""
import contextlib
import re
import selectors
import socket
import threading

import pytest

from harness.dialogue import OK
from harness.message import read_response, text
from harness.peer import DEADLINE, Peer, connect, wait_until
from harness.sidecar import WRAPPER, Sidecar

KIB = 1 << 10
MIB = 1 << 20
BODY = bytes(range(256)) * KIB      # 256 KiB
HEAD = f"HTTP/1.1 200 OK\r\nContent-Length: {len(BODY)}\r\n\r\n".encode()
GET = text("GET /x HTTP/1.1", "Host: a")
LONG = 60


def keep_queues_short(sock):
    """Of the kernel, on both sides: it sends as much ahead as it has large segments."""
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, 536)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)


class Application:
    """One thread for each connection. Answers a request with BODY as fast as that is
    taken; or, with `swallows`, takes so many bytes behind the head when it is told to."""

    def __init__(self, cleanup, swallows=0):
        self._listener = socket.socket()
        if swallows:
            keep_queues_short(self._listener)
        self._listener.bind(("127.0.0.1", 0))
        self._listener.listen(1024)
        self.port = self._listener.getsockname()[1]
        self.received = []
        self.may_read = threading.Event()
        self._swallows = swallows
        cleanup.callback(self.may_read.set)
        cleanup.callback(self._listener.close)
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self):
        with contextlib.suppress(OSError):
            while True:
                sock = self._listener.accept()[0]
                serve = self._swallow if self._swallows else self._answer
                threading.Thread(target=serve, args=(sock,), daemon=True).start()

    def _answer(self, sock):
        with sock, contextlib.suppress(OSError):
            while sock.recv(4096).endswith(b"\r\n\r\n"):
                sock.sendall(HEAD + BODY)

    def _swallow(self, sock):
        self.may_read.wait()
        with sock, contextlib.suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 256 * KIB)
            data = bytearray()
            while len(data.partition(b"\r\n\r\n")[2]) < self._swallows:
                data += sock.recv(1 << 20)
            self.received.append(bytes(data.partition(b"\r\n\r\n")[2]))
            sock.sendall(OK)


def slow(addr):
    """A connection that takes a few KiB and no more."""
    sock = socket.socket()
    keep_queues_short(sock)
    sock.settimeout(DEADLINE)
    sock.connect(addr)
    return Peer(sock, "slow client")


def read_all(peers, size):
    """What each has got when it has `size` bytes, all of them read at the same time."""
    got = {peer.sock: bytearray() for peer in peers}
    with selectors.DefaultSelector() as selector:
        for sock in got:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 256 * KIB)
            selector.register(sock, selectors.EVENT_READ)
        while selector.get_map():
            ready = selector.select(LONG)
            assert ready, f"{len(selector.get_map())} of {len(got)} get no more"
            for key, _ in ready:
                data = key.fileobj.recv(1 << 16)
                got[key.fileobj] += data
                if not data or len(got[key.fileobj]) >= size:
                    selector.unregister(key.fileobj)
    return [bytes(data) for data in got.values()]


def held(side):
    """Memory for bytes in flight; never above the limit, nor is all that is anonymous by
    more than what the process took before (a sanitizer's own aside)."""
    metrics = side.metrics()
    used = metrics.total("nigh_buffer_bytes")
    assert used <= metrics.total("nigh_buffer_limit_bytes")
    return used


def anonymous(side):
    with open(f"/proc/{side.pid}/status", encoding="ascii") as file:
        return int(re.search(r"RssAnon:\s+(\d+)", file.read())[1]) * KIB


def settle(side, peers, what):
    """Until what nigh holds stays as it is, and nobody gets more."""
    last = [None, 0]

    def is_quiet():
        now = held(side), [len(peer.pending) for peer in peers]
        last[1] = last[1] + 1 if now == last[0] else 0
        last[0] = now
        return last[1] >= 10
    wait_until(is_quiet, what, LONG, 0.02)
    return last[0][0]


@pytest.mark.parametrize("kind", ["http", "tcp"])
def test_slow_readers_stay_below_the_ceiling(kind, nigh, cleanup):
    """16 MiB for 300 readers who would take 64 KiB each, and a fast one beside them."""
    app = Application(cleanup)
    side = nigh.inbound(app, kind, MAX_MEMORY="16MiB", WORKERS="2")
    before = anonymous(side)
    readers = [cleanup.enter_context(slow(side.addr("inbound"))) for _ in range(300)]
    for reader in readers:
        reader.send(GET)
    used = settle(side, readers, "all readers are stuck")
    assert used > 8 * MIB, "the ceiling was of no effect"
    for _ in range(3):
        with side.client() as fast:
            fast.send(GET)
            fast.expect(HEAD + BODY)
            held(side)
    if side.has_own_memory():
        assert anonymous(side) - before < 17 * MIB
    for got in read_all(readers, len(HEAD + BODY)):
        assert got == HEAD + BODY
    for reader in readers:
        reader.close()
    wait_until(lambda: held(side) < 4 * MIB, "memory is given back", LONG)


@pytest.mark.parametrize("kind", ["http", "tcp"])
def test_slow_upstream_stays_below_the_ceiling(kind, nigh, cleanup):
    """The same of uploads that nobody takes."""
    body = BODY * 2
    app = Application(cleanup, swallows=len(body))
    side = nigh.inbound(app, kind, MAX_MEMORY="8MiB", IDLE_TIMEOUT="1h")
    head = f"PUT /x HTTP/1.1\r\nHost: a\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    writers = [cleanup.enter_context(side.client()) for _ in range(120)]
    for writer in writers:
        writer.sock.settimeout(LONG)
    threads = [threading.Thread(target=writer.sock.sendall, args=(head + body,), daemon=True)
               for writer in writers]
    for thread in threads:
        thread.start()
    assert settle(side, writers, "all writers are stuck") > 4 * MIB
    app.may_read.set()
    for writer in writers:
        writer.expect(OK)
        held(side)
    assert app.received == [body] * len(writers)


def test_long_heads_wait_for_each_other(nigh, server):
    """No memory for all heads at once, each of them incomplete: one after the other, and
    those that are short go on meanwhile."""
    app = server()
    side = nigh.inbound(app, MAX_MEMORY="8MiB", HEADER_TIMEOUT="1h", IDLE_TIMEOUT="1h",
                        MAX_REQUESTS="0")
    first = text("GET /x HTTP/1.1", "Host: a", "X: " + "x" * 50000)[:-4]
    beside = side.client()
    clients = [side.client() for _ in range(200)]
    side.wait_total("nigh_connections", 201, side="downstream")
    for client in clients:      # the oldest is the one that goes on
        client.send(first)
        held(side)              # its worker has answered, so this one is begun
    assert settle(side, clients, "all wait") > 5 * MIB
    beside.send(GET)
    conn, _ = app.request()
    conn.send(OK)
    beside.expect(OK)
    for client in clients:
        client.send(b"\r\n\r\n")
        conn, request = app.request()
        assert len(request.get("X")) == 50000
        conn.send(OK)
    for client in clients:
        client.expect(OK)
    held(side)


def test_long_response_heads_wait_for_each_other(nigh, server):
    """The same of upstreams that stop within the heads of their responses."""
    n_calls = 250
    app = server()
    side = nigh.inbound(app, MAX_MEMORY="8MiB", HEADER_TIMEOUT="1h")
    first = text("HTTP/1.1 200 OK", "X: " + "x" * 50000)[:-4]
    clients = [side.client() for _ in range(n_calls)]
    for client in clients:
        client.send(GET)
    conns = [app.request()[0] for _ in clients]
    for conn in conns:
        conn.send(first)
    wait_until(lambda: side.metrics().total("nigh_buffer_bytes") > 6 * MIB, "memory is short", LONG)
    for client, conn in zip(clients, conns):
        assert side.metrics().total("nigh_buffer_bytes") < 8 * MIB + n_calls * 4 * KIB
        conn.send(b"\r\nContent-Length: 0\r\n\r\n")
    for client in clients:
        client.expect(first + b"\r\nContent-Length: 0\r\n\r\n")
    held(side)


def test_response_heads_that_stop_give_memory_back(nigh, server):
    """At the limit they have NIGH_HEADER_TIMEOUT: else nobody would be accepted again."""
    app = server()
    side = nigh.inbound(app, MAX_MEMORY="8MiB", HEADER_TIMEOUT="200ms")
    clients = [side.client() for _ in range(200)]
    for client in clients:
        client.send(GET)
    for conn in [app.request()[0] for _ in clients]:
        conn.send(text("HTTP/1.1 200 OK", "X: " + "x" * 50000)[:-4])
    wait_until(lambda: side.total("nigh_flows_ended_total", outcome="response_timeout") > 0,
               "the first gives up", LONG)
    with side.client() as other:
        other.send(GET)
        app.request()[0].send(OK)
        other.expect(OK)


@pytest.mark.skipif("valgrind" in WRAPPER, reason="valgrind lets nobody raise that limit")
def test_few_descriptors(binary, server, cleanup):
    """The limit of connections follows from that of descriptors, which is raised as far
    as it goes; who comes later waits, and the admin port always answers."""
    app = server(backlog=512)
    side = Sidecar(binary, {"INBOUND": f"127.0.0.1:0=127.0.0.1:{app.port}", "OUTBOUND": "off",
                            "ADMIN": "127.0.0.1:0", "WORKERS": "1", "DRAIN_DELAY": "0s"},
                   ["prlimit", "--nofile=64:200"])
    cleanup.callback(side.stop)
    side.wait_ready()
    limit = side.wait_event("limit", level="warn", descriptors="200", wanted="10000")
    room = int(limit["max_connections"])
    assert 40 <= room <= 60
    clients = [cleanup.enter_context(side.client()) for _ in range(room + 20)]
    apps = []
    for client in clients:
        client.send(GET)
    for _ in range(room):
        apps.append(app.request()[0])
    assert side.total("nigh_connections", side="downstream") == room
    assert side.total("process_max_fds") == 200
    for conn in apps:
        conn.send(OK)
    for client in clients[:room]:
        client.expect(OK)
        client.close()
    for client in clients[room:]:
        app.request()[0].send(OK)
    for client in clients[room:]:
        client.expect(OK)
    assert side.total("nigh_local_responses_total") == 0


def test_admin_callers_leave_enough(binary, server, cleanup):
    """Of very few descriptors those who stay at the admin port get a part; probes and the
    application go on."""
    app = server()
    side = Sidecar(binary, {"INBOUND": f"127.0.0.1:0=127.0.0.1:{app.port}", "OUTBOUND": "off",
                            "ADMIN": "127.0.0.1:0", "WORKERS": "1"},
                   ["prlimit", "--nofile=64:64"])
    cleanup.callback(side.stop)
    side.wait_ready()
    for _ in range(120):
        cleanup.enter_context(side.client("admin"))
    assert side.admin("/healthz")[0] == 200
    client = cleanup.enter_context(side.client())
    client.send(GET)
    conn, _ = app.request()
    conn.send(OK)
    assert read_response(client).status == 200
    assert side.admin("/readyz")[0] == 200
