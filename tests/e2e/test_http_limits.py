# SPDX-License-Identifier: Apache-2.0
"""Time, size and back-pressure of HTTP connections."""
import time

import pytest

from harness.dialogue import OK, SIDES, assert_local, open_stage
from harness.kernel import held_between
from harness.message import read_response, text
from harness.pauses import patient, within
from harness.peer import readable, wait_until
from harness.server import closed_port

KIB = 1024
GET = text("GET /x HTTP/1.1", "Host: {host}")


def test_slow_head_gets_408(nigh, server):
    """A byte now and then does not help: the head must be complete in time."""
    app = server()
    side = nigh.inbound(app, HEADER_TIMEOUT="300ms")
    client = side.client()
    start = time.monotonic()
    for byte in b"GET / HTTP/1.1\r\nHost: a\r\nA: " + b"x" * 1000:
        client.send(bytes([byte]))
        if not client.is_open() or client.pending:
            break
        time.sleep(0.02)
    answer = read_response(client)
    assert 0.2 < time.monotonic() - start < 9      # before the default, and all of it
    assert_local(answer, 408)
    assert answer.says_close()
    client.expect_fin()
    app.expect_nothing()


def test_slow_next_head_gets_408(nigh, server):
    """The same on a connection that has had a request."""
    app = server()
    client = nigh.inbound(app, HEADER_TIMEOUT="300ms").client()
    client.send(text("GET / HTTP/1.1", "Host: a"))
    app.request()[0].send(OK)
    client.expect(OK)
    client.send(b"GET / HT")
    assert_local(read_response(client), 408)
    client.expect_fin()


@pytest.mark.parametrize("used", [False, True])
def test_idle_connection_ends_silently(used, nigh, server):
    app = server()
    side = nigh.inbound(app, IDLE_TIMEOUT="300ms")
    client = side.client()
    if used:
        client.send(text("GET / HTTP/1.1", "Host: a"))
        app.request()[0].send(OK)
        client.expect(OK)
    client.expect_fin()


def test_no_response_deadline_unless_asked(nigh, server):
    app = server()
    client = nigh.inbound(app, IDLE_TIMEOUT="1s", HEADER_TIMEOUT="300ms").client()
    client.send(text("GET / HTTP/1.1", "Host: a"))
    conn, _ = app.request()
    client.expect_silence(0.8)
    conn.send(OK)
    client.expect(OK)


@pytest.mark.parametrize("side", SIDES)
def test_response_timeout_gets_504(side, nigh, server):
    stage = open_stage(side, nigh, server(), RESPONSE_TIMEOUT="300ms")
    stage.client.send(stage.bytes(text("POST /x HTTP/1.1", "Host: {host}", "Content-Length: 0")))
    stage.next_request()
    assert_local(read_response(stage.client), 504)
    stage.conn.expect_end()


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("field", ["Content-Length: 9", "Transfer-Encoding: chunked"])
def test_stalled_body_gets_408(field, side, nigh, server):
    stage = open_stage(side, nigh, server(), IDLE_TIMEOUT="1s")
    stage.client.send(stage.bytes(text("POST /x HTTP/1.1", "Host: {host}", field, body="5\r\n")))
    stage.conn = stage.app.next_peer()
    answer = read_response(stage.client)
    assert_local(answer, 408)
    assert answer.says_close()
    stage.client.expect_fin()
    assert stage.conn.read_to_end().endswith(b"\r\n\r\n5\r\n")


@patient
def test_stalled_body_under_a_response(nigh, server):
    """Two that talk to each other have their own pace."""
    app = server()
    client = nigh.inbound(app, IDLE_TIMEOUT="2s").client()
    with within(2):
        client.send(text("POST / HTTP/1.1", "Host: a", "Content-Length: 2", body="o"))
        conn = app.next_peer()
        conn.read_until(b"\r\n\r\no")
        conn.send(text("HTTP/1.1 200 OK", "Content-Length: 2", body="o"))
        client.read_until(b"\r\n\r\no")
    client.expect_silence(2.5)
    client.send(b"k")
    conn.expect(b"k")
    conn.send(b"k")
    client.expect(b"k")


def test_response_timeout_within_an_upload(nigh, server):
    """The application neither reads nor answers."""
    app = server()
    client = nigh.inbound(app, RESPONSE_TIMEOUT="300ms").client()
    client.send(text("POST / HTTP/1.1", "Host: a", f"Content-Length: {1 << 30}"))
    client.stuff(b"x" * 64 * KIB, 64 << 20)     # behind the 504 it is taken and thrown away
    assert_local(read_response(client), 504)


def test_head_limit_is_a_setting(nigh, server):
    app = server()
    side = nigh.inbound(app, MAX_HEADER_BYTES="8KiB")
    small, large = (text("GET / HTTP/1.1", "Host: a", "A: " + "x" * size) for size in (7000, 9000))
    client = side.client()
    client.send(small)
    app.request()[0].send(OK)
    client.expect(OK)
    client.send(large)
    answer = read_response(client)
    assert_local(answer, 431)
    assert b"NIGH_MAX_HEADER_BYTES" in answer.body
    client.expect_fin()


def test_connection_limit_pauses(nigh, server):
    """At the limit accepting pauses; who waits is served later, not reset."""
    app = server()
    side = nigh.inbound(app, MAX_CONNECTIONS="2")
    waiting = [side.client() for _ in range(5)]
    for client in waiting:
        client.send(text("GET / HTTP/1.1", "Host: a"))
    while waiting:
        now = min(2, len(waiting))
        for _ in range(now):
            app.request()[0].send(OK)
        served = wait_until(lambda: answered(waiting, now), f"{now} answers")
        time.sleep(0.2)
        app.expect_nothing()
        for client in served:
            client.expect(OK)
            client.close()
            waiting.remove(client)


def answered(clients, count):
    ready = readable([client.sock for client in clients], 0)
    return len(ready) == count and [c for c in clients if c.sock in ready]


def post_of(size):
    return text("POST /x HTTP/1.1", "Host: {host}", f"Content-Length: {size}")


def wait_stalled(sender, chunk=b"x" * KIB, limit=64 << 20):
    """Fill all buffers on the way until nothing moves; return what was sent."""
    sent = sender.stuff(chunk * 64, limit)
    assert sent < limit, "no back-pressure"
    return sent


@pytest.mark.parametrize("side", SIDES)
def test_slow_reader_of_response(side, nigh, server):
    stage = open_stage(side, nigh, server())
    stage.client.send(stage.bytes(GET))
    stage.next_request()
    size = 200 << 20
    stage.conn.send(text("HTTP/1.1 200 OK", f"Content-Length: {size}"))
    sent = wait_stalled(stage.conn)
    assert held_between(sent, stage.conn, stage.client) <= 64 * KIB
    rss = stage.sidecar.rss_kib()
    stage.client.read_until(b"\r\n\r\n")
    assert set(stage.client.read_exactly(sent)) == set(b"x")
    assert stage.sidecar.rss_kib() < rss + 2048


@pytest.mark.parametrize("side", SIDES)
def test_slow_reader_of_request(side, nigh, server):
    stage = open_stage(side, nigh, server())
    stage.client.send(stage.bytes(post_of(200 << 20)))
    sent = wait_stalled(stage.client)
    stage.conn = stage.app.next_peer()
    assert held_between(sent, stage.client, stage.conn) <= 64 * KIB
    stage.conn.read_until(b"\r\n\r\n")
    assert set(stage.conn.read_exactly(sent)) == set(b"x")


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("way", ["upload", "download"])
def test_large_body_in_small_memory(way, side, nigh, server):
    """50 MiB go through and the process does not grow with them."""
    size = 50 << 20
    stage = open_stage(side, nigh, server())
    before = stage.sidecar.rss_kib()
    block = bytes(range(256)) * 256
    if way == "upload":
        stage.client.send(stage.bytes(post_of(size)))
        stage.conn = stage.app.next_peer()
        stage.conn.read_until(b"\r\n\r\n")
        source, sink = stage.client, stage.conn
    else:
        stage.client.send(stage.bytes(GET))
        stage.next_request()
        stage.conn.send(text("HTTP/1.1 200 OK", f"Content-Length: {size}"))
        stage.client.read_until(b"\r\n\r\n")
        source, sink = stage.conn, stage.client
    for _ in range(size // (1 << 20)):
        source.send(block * 16)
        assert sink.read_exactly(1 << 20) == block * 16
    assert stage.sidecar.rss_kib() < before + 4096


def test_connect_refused_is_503_inbound(nigh):
    """Of such a request the application saw no byte: the caller's nigh may move it."""
    with closed_port() as hole:
        side = nigh(INBOUND=f"127.0.0.1:0=127.0.0.1:{hole.getsockname()[1]}")
        client = side.client()
        client.send(text("POST / HTTP/1.1", "Host: a", "Content-Length: 5", body="hello"))
        answer = read_response(client)
        assert_local(answer, 503)
        assert answer.get("nigh-not-processed")
