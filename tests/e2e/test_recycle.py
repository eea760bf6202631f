# SPDX-License-Identifier: Apache-2.0
"""No keep-alive connection outlives its cap, and nobody loses a response to that."""
import fcntl
import socket
import termios
import time

import pytest

from harness.dialogue import OK
from harness.message import read_response, text
from harness.pauses import patient, within
from harness.peer import wait_until

TCP_CLOSE = 7   # of the kernel's tcp_states.h

GET = text("GET / HTTP/1.1", "Host: app.test")
GET_OLD = text("GET / HTTP/1.0", "Host: app.test", "Connection: keep-alive")


def run_connection(client, limit, request=GET):
    """Requests until the response says close; how many there were."""
    for count in range(1, limit + 1):
        client.send(request)
        answer = read_response(client)
        assert answer.status == 200
        if request is GET_OLD and "keep-alive" not in answer.tokens("Connection"):
            break
        if answer.says_close():
            break
    else:
        return None
    client.expect_fin()
    return count


def test_inbound_count(nigh, backend):
    """Each connection ends at 80 to 100 % of the cap, and not all at the same."""
    side = nigh.inbound(backend(), MAX_REQUESTS="20")
    ends = [run_connection(side.client(), 21) for _ in range(30)]
    assert all(end and 16 <= end <= 20 for end in ends), ends
    assert len(set(ends)) > 1, "no jitter"
    side.wait_total("nigh_recycled_total", 30, side="downstream", reason="requests")
    assert side.total("nigh_local_responses_total") == 0


@pytest.mark.parametrize("jitter, low", [("0", 10), ("50", 5), ("100", 1)])
def test_inbound_jitter(jitter, low, nigh, backend):
    side = nigh.inbound(backend(), MAX_REQUESTS="10", RECYCLE_JITTER=jitter)
    ends = [run_connection(side.client(), 11) for _ in range(20)]
    assert all(end and low <= end <= 10 for end in ends), ends


def test_inbound_count_of_one(nigh, backend):
    side = nigh.inbound(backend(), MAX_REQUESTS="1")
    assert run_connection(side.client(), 2) == 1


def test_inbound_old_client(nigh, backend):
    """HTTP/1.0: the last response lacks Connection: keep-alive."""
    side = nigh.inbound(backend(), MAX_REQUESTS="10")
    for _ in range(5):
        assert 8 <= run_connection(side.client(), 11, GET_OLD) <= 10


def test_no_cap(nigh, backend):
    side = nigh.inbound(backend(), MAX_REQUESTS="0", MAX_CONNECTION_AGE="0")
    assert run_connection(side.client(), 1500) is None


@patient
def test_inbound_age(nigh, backend):
    """Past its age a connection is only marked: its next response says close."""
    side = nigh.inbound(backend(), MAX_CONNECTION_AGE="300ms", RECYCLE_JITTER="0")
    with within(0.3):
        client = side.client()
        client.send(GET)
        assert not read_response(client).says_close()
    client.expect_silence(0.8)
    assert run_connection(client, 1) == 1
    side.wait_total("nigh_recycled_total", 1, side="downstream", reason="age")


def test_inbound_age_of_idle_connection_never_closes(nigh, backend):
    """Not even one that has not said anything yet."""
    side = nigh.inbound(backend(), MAX_CONNECTION_AGE="200ms", RECYCLE_JITTER="0")
    client = side.client()
    client.expect_silence(0.8)
    assert run_connection(client, 1) == 1


def test_age_does_not_cut_a_response(nigh, server):
    app = server()
    side = nigh.inbound(app, MAX_CONNECTION_AGE="200ms", RECYCLE_JITTER="0")
    client = side.client()
    client.send(GET)
    conn, _ = app.request()
    conn.send(text("HTTP/1.1 200 OK", "Content-Length: 10", body="hello"))
    client.read_until(b"hello")
    client.expect_silence(0.5)
    conn.send(b"world")
    client.expect(b"world")


def test_pipelined_behind_the_last_response(nigh, backend):
    """What the client has sent too much must not cost it the last response."""
    side = nigh.inbound(backend(), MAX_REQUESTS="5", RECYCLE_JITTER="0")
    for _ in range(20):
        client = side.client()
        client.send(GET * 50)
        answers = [read_response(client) for _ in range(5)]
        assert [answer.says_close() for answer in answers] == [False] * 4 + [True]
        client.expect_fin()


def test_requests_keep_coming_behind_the_last_response(nigh, backend):
    """The close lingers: late bytes are swallowed, not answered by a reset."""
    side = nigh.inbound(backend(), MAX_REQUESTS="1")
    client = side.client()
    client.send(GET)
    client.fill()
    for _ in range(20):
        client.send(GET)
        time.sleep(0.005)
    assert read_response(client).says_close()
    client.expect_fin()


def what_became_of_bytes(client):
    """They are taken, or answered by a reset."""
    def state():
        return client.sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0]

    def unsent():
        return fcntl.ioctl(client.sock, termios.TIOCOUTQ, bytes(4)) != bytes(4)
    client.send(b"x")
    wait_until(lambda: state() == TCP_CLOSE or not unsent(), "the kernel's answer")
    return "reset" if state() == TCP_CLOSE else "taken"


@pytest.mark.parametrize("start, size, late_bytes", [
    ("GET / HTTP/1.1", 0, "reset"),
    ("GET / HTTP/1.1", 14000, "reset"),
    ("GET / HTTP/1.1", 15000, "taken"),
    ("GET / HTTP/1.0", 0, "taken"),
    ("CONNECT a:80 HTTP/1.1", 0, "taken"),
])
def test_who_said_close_needs_no_lingering(start, size, late_bytes, nigh, server):
    """It sends nothing more; what goes in one flight needs nobody who sends it again."""
    app = server()
    client = nigh.inbound(app).client()
    client.send(text(start, "Host: a:80", "Connection: close"))
    app.request()[0].send(text("HTTP/1.1 400 No", f"Content-Length: {size}", body="x" * size))
    assert len(read_response(client).body) == size
    client.expect_fin()
    assert what_became_of_bytes(client) == late_bytes


@pytest.mark.parametrize("direction", ["inbound", "outbound"])
def test_upstream_count(direction, nigh, backend):
    """The last request on an upstream connection says close; all end at the cap."""
    app = backend()
    settings = {"MAX_REQUESTS": "10", "POOL_IDLE_TIMEOUT": "30s"}
    side = (nigh.inbound(app, **settings) if direction == "inbound"
            else nigh.outbound(**settings))
    request = text("GET / HTTP/1.1", f"Host: 127.0.0.1:{app.port}")
    client = None
    for _ in range(100):
        client = client or side.client(direction)
        client.send(request)
        answer = read_response(client)
        assert answer.status == 200
        if answer.says_close():
            assert direction == "inbound", "the application's own connection was recycled"
            client = None
    ended = [conn for conn in app.conns if conn.last_said_close]
    assert len(ended) >= 9, [(c.requests, c.last_said_close) for c in app.conns]
    assert all(8 <= conn.requests <= 10 for conn in ended), [c.requests for c in app.conns]
    assert all(conn.requests <= 10 for conn in app.conns)
    side.wait_total("nigh_recycled_total", len(ended), side="upstream", reason="requests")


def test_upstream_age(nigh, backend):
    app = backend()
    side = nigh.outbound(MAX_CONNECTION_AGE="300ms", RECYCLE_JITTER="0", POOL_IDLE_TIMEOUT="30s")
    client, begin = side.client("outbound"), time.monotonic()

    def call():
        client.send(text("GET / HTTP/1.1", f"Host: 127.0.0.1:{app.port}"))
        assert not read_response(client).says_close()
        return len(app.conns) >= 5
    wait_until(call, "each has its turn", pause=0.02)
    assert len(app.conns) <= 1 + (time.monotonic() - begin) / 0.3
    ended = sum(conn.last_said_close for conn in app.conns)
    assert ended >= 4
    assert side.total("nigh_recycled_total", side="upstream", reason="age") == ended


@pytest.mark.parametrize("name", ["upgrade", "connect"])
def test_streams_are_exempt(name, nigh, server):
    app = server()
    settings = {"MAX_CONNECTION_AGE": "200ms", "MAX_REQUESTS": "1", "RECYCLE_JITTER": "0"}
    if name == "connect":
        client = nigh.outbound(**settings).client("outbound")
        client.send(text(f"CONNECT {app.addr} HTTP/1.1", f"Host: {app.addr}"))
        read_response(client, "CONNECT")
        conn = app.accept()
    else:
        client = nigh.inbound(app, **settings).client()
        client.send(text("GET / HTTP/1.1", "Host: a", "Connection: Upgrade", "Upgrade: x"))
        conn, _ = app.request()
        conn.send(text("HTTP/1.1 101 Switching Protocols", "Connection: Upgrade", "Upgrade: x"))
        read_response(client)
    client.expect_silence(0.6)
    conn.send(b"hello")
    client.expect(b"hello")


def test_tcp_is_exempt(nigh, server):
    app = server()
    side = nigh.inbound(app, "tcp", MAX_CONNECTION_AGE="200ms", IDLE_TIMEOUT="200ms",
                        RECYCLE_JITTER="0")
    client = side.client()
    conn = app.accept()
    client.expect_silence(0.6)
    conn.send(b"hello")
    client.expect(b"hello")


def test_close_of_the_client_is_no_recycle(nigh, server):
    app = server()
    side = nigh.inbound(app)
    client = side.client()
    client.send(text("GET / HTTP/1.1", "Host: a", "Connection: close"))
    app.request()[0].send(OK)
    assert read_response(client).says_close()
    client.expect_fin()
    assert side.total("nigh_recycled_total") == 0
