# SPDX-License-Identifier: Apache-2.0
"""Things that nigh learns of at the same moment: the kernel tells an edge once, so
whatever comes together has to be understood together. nigh is stopped while it happens."""
import socket
import time

import pytest

from harness.dialogue import OK, SIDES, Stage, assert_local, open_stage
from harness.kernel import unread_at
from harness.message import read_response, text
from harness.peer import readable, wait_until
from harness.sidecar import stopped

GET = text("GET /x HTTP/1.1", "Host: {host}")


def wait_open(side, want, which):
    wait_until(lambda: side.json("/stats")["inbound"][which]["open"] == want,
               f"{which} connections: {want}")


@pytest.mark.parametrize("part", [b"HTTP/1.1 200 OK\r\nConte", b"H"])
@pytest.mark.parametrize("side", SIDES)
def test_part_of_a_response_head_and_reset(side, part, nigh, server):
    stage = open_stage(side, nigh, server())
    stage.client.send(stage.bytes(GET))
    stage.next_request()
    with stopped(stage.sidecar):
        stage.conn.send(part)
        stage.conn.reset()
    assert_local(read_response(stage.client), 502)


@pytest.mark.parametrize("kind", ["length", "chunked"])
def test_part_of_a_request_body_and_reset(kind, nigh, server):
    app = server()
    side = nigh.inbound(app)
    framing = {"length": "Content-Length: 10", "chunked": "Transfer-Encoding: chunked"}[kind]
    with stopped(side):
        client = side.client()
        client.send(text("POST /x HTTP/1.1", "Host: a", framing, body="5\r\nhe"))
        client.reset()
    wait_until(lambda: side.json("/stats")["inbound"]["downstream"]["opened"] == 1, "accepted")
    wait_open(side, 0, "downstream")


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("side", SIDES)
def test_response_and_fin(side, method, nigh, server):
    """A server that ends a connection without saying so, and lingers: the next request
    must not go there."""
    stage = open_stage(side, nigh, server(), POOL_IDLE_TIMEOUT="30s")
    stage.client.send(stage.bytes(GET))
    stage.next_request()
    with stopped(stage.sidecar):
        stage.conn.send(OK)
        stage.conn.fin()
        stage.client.send(stage.bytes(text(f"{method} /y HTTP/1.1", "Host: {host}")))
    first = stage.conn
    stage.client.expect(OK)
    stage.app.accept()
    stage.next_request()
    assert stage.conn is not first
    stage.conn.send(OK)
    stage.client.expect(OK)


@pytest.mark.parametrize("method,answered", [("PUT", True), ("POST", False)])
def test_reset_within_an_upload_on_a_reused_connection(method, answered, nigh, server):
    """The application has read a part of the request: only what is idempotent may come
    again, though the upload finds the reset before the response does."""
    stage = open_stage("inbound", nigh, server(), POOL_IDLE_TIMEOUT="30s")
    stage.client.send(stage.bytes(GET))
    stage.next_request()
    stage.conn.send(OK)
    stage.client.expect(OK)
    warm = stage.conn
    stage.client.send(text(f"{method} /x HTTP/1.1", "Host: a", "Content-Length: 10",
                           body="hello"))
    warm.read_until(b"hello")
    with stopped(stage.sidecar):
        stage.client.send(b"world")
        warm.reset()
    if answered:
        assert stage.next_request().body == b"helloworld"
        stage.conn.send(OK)
        stage.client.expect(OK)
    else:
        assert_local(read_response(stage.client), 502)
        stage.app.expect_nothing()


def test_reset_within_a_body_up_to_the_end(nigh, server):
    """The upload finds the reset first: the response must not look complete."""
    stage = open_stage("inbound", nigh, server())
    stage.client.send(text("POST /x HTTP/1.1", "Host: a", "Content-Length: 10", body="hello"))
    conn = stage.app.next_peer()
    conn.read_until(b"hello")
    conn.send(text("HTTP/1.1 200 OK", body="part"))
    stage.client.read_until(b"part")
    with stopped(stage.sidecar):
        stage.client.send(b"w")
        conn.reset()
    stage.client.expect_reset()


@pytest.mark.parametrize("kind", ["until close", "upgrade", "connect", "tcp"])
def test_bytes_and_reset(kind, nigh, server):
    """The bytes come, and then a reset, not a clean end."""
    app = server()
    if kind == "connect":
        side = nigh.outbound()
        client = side.client("outbound")
        client.send(text(f"CONNECT {app.addr} HTTP/1.1", f"Host: {app.addr}"))
        client.read_until(b"\r\n\r\n")
    else:
        side = nigh.inbound(app, "tcp" if kind == "tcp" else "http")
        client = side.client()
    if kind == "upgrade":
        client.send(text("GET /x HTTP/1.1", "Host: a", "Connection: upgrade", "Upgrade: x"))
        conn, _ = app.request()
        conn.send(text("HTTP/1.1 101 Switching Protocols", "Connection: upgrade", "Upgrade: x"))
        client.read_until(b"\r\n\r\n")
    elif kind == "until close":
        client.send(text("GET /x HTTP/1.1", "Host: a"))
        conn, _ = app.request()
        conn.send(text("HTTP/1.1 200 OK"))
        client.read_until(b"\r\n\r\n")
    else:
        conn = app.accept()
    with stopped(side):
        conn.send(b"part")
        conn.reset()
    try:
        client.expect(b"part")
        client.expect_reset()
    except AssertionError:      # the reset has overtaken the bytes: they are not complete
        assert client.end == "RST"


def test_early_response_with_a_part_of_the_request_unsent(nigh, server):
    """A response that keeps the connection, given before the request was read: the rest
    of the request is still with nigh, and the next one must not be stuck behind it."""
    app = server()
    # Small segments and a small window: the kernel takes no large body at once.
    app.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, 536)
    app.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    side = nigh.inbound(app, POOL_IDLE_TIMEOUT="30s")
    for size in range(50_000, 2_000_000, 20_000):
        stage = Stage("inbound", app, side)
        stage.client.send(text("POST /x HTTP/1.1", "Host: a", f"Content-Length: {size}"))
        conn = app.accept()
        conn.read_until(b"\r\n\r\n")
        with stopped(side):             # then it reads much at once
            stage.client.stuff(b"x" * size, size, 0.1)
        time.sleep(0.05)                # nigh takes what it can
        conn.send(OK)
        if read_response(stage.client).says_close():
            break                       # nigh has not got all of it
        while len(conn.pending) < size and conn.fill():
            pass
        conn.pending = b""
        stage.client.send(text("POST /y HTTP/1.1", "Host: a", "Content-Length: 0"))
        stage.next_request()
        stage.conn.send(OK)
        stage.client.expect(OK)
        stage.client.close()
        app.drop_peers()
    else:
        raise AssertionError("the kernel takes everything")


@pytest.mark.parametrize("side", SIDES)
def test_more_of_a_body_and_the_end_of_its_connection(side, nigh, server):
    """The body goes to a connection that is gone: the next one is sent all of it, also
    what has not come yet."""
    stage = open_stage(side, nigh, server(), POOL_IDLE_TIMEOUT="30s")
    stage.client.send(stage.bytes(GET))
    stage.next_request()
    stage.conn.send(OK)
    stage.client.expect(OK)
    stage.client.send(stage.bytes(
        text("PUT /x HTTP/1.1", "Host: {host}", "Content-Length: 15", body="first")))
    stage.conn.read_until(b"first")
    with stopped(stage.sidecar):
        stage.client.send(b"then ")
        stage.conn.reset()
    peer = stage.app.next_peer()
    assert peer is not stage.conn
    peer.read_until(b"firstthen ")
    stage.client.send(b"after")
    peer.expect(b"after")
    peer.send(OK)
    stage.client.expect(OK)


def hint_until_blocked(conn, client):
    """Interim responses until nigh reads no more of them, because the client does not."""
    hint = text("HTTP/1.1 103 Early Hints", "Link: " + "y" * 50_000)
    for _ in range(2000):
        conn.send(hint)
        client.send(b"x")               # its body goes on
        quiet = time.monotonic() + 0.3
        while unread_at(conn):
            if time.monotonic() > quiet:
                return
            time.sleep(0.002)
    raise AssertionError("nigh holds everything")


def test_upgrade_before_the_body_is_complete(nigh, server):
    """The 101 is read when the client takes bytes again and sends some of its own: what
    it sends belongs to the tunnel, and the tunnel has no idle limit."""
    app = server()
    side = nigh.inbound(app, IDLE_TIMEOUT="6s")
    client = side.client(rcvbuf=4096)
    client.send(text("POST /x HTTP/1.1", "Host: a", "Connection: Upgrade", "Upgrade: echo",
                     "Content-Length: 100000", body="x"))
    conn = app.next_peer()
    conn.read_until(b"\r\n\r\n")
    hint_until_blocked(conn, client)
    with stopped(side):
        conn.send(text("HTTP/1.1 101 Switching Protocols", "Connection: Upgrade",
                       "Upgrade: echo"))
        while readable([client.sock], 0.1):
            client.fill()
        client.send(b"last")
    client.read_until(b"HTTP/1.1 101", limit=1 << 24)
    conn.read_until(b"last")
    client.read_until(b"\r\n\r\n")
    time.sleep(7)                       # more than NIGH_IDLE_TIMEOUT
    conn.send(b"still there")
    client.expect(b"still there")
