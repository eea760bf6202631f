# SPDX-License-Identifier: Apache-2.0
"""Clients, and an application, that never come to an end: memory stays bounded, and the
others are served."""
import contextlib
import resource
import socket

import pytest

from harness.bystander import Bystander
from harness.dialogue import OK, assert_local
from harness.message import read_response, text
from harness.peer import connect, readable

GET = text("GET / HTTP/1.1", "Host: app.test")
CHUNKED = text("POST / HTTP/1.1", "Host: app.test", "Transfer-Encoding: chunked")
WORKERS = pytest.mark.parametrize("workers", ["1", "2"])
KIB, MIB = 1 << 10, 1 << 20


@pytest.fixture
def pair(nigh, server):
    """pair(workers, ...): a sidecar before an application, and a quiet one beside it."""
    def start(workers, **settings):
        app, quiet = server(), server()
        side = nigh(INBOUND=f"127.0.0.1:0={app.port}/http,127.0.0.1:0={quiet.port}/http",
                    WORKERS=workers, **settings)
        return side, app, Bystander(side, quiet)
    return start


def client_of(side, app, **options):
    return connect(side.addr("inbound", f":{app.port}"), **options)


def pour(peer, chunk, limit=64 * MIB):
    """Send the same again and again, until the other side ends it; how much went."""
    sent = 0
    try:
        while sent < limit:
            peer.sock.sendall(chunk)
            sent += len(chunk)
    except (BrokenPipeError, ConnectionResetError):
        pass
    return sent


# --- floods: (what comes first, what is repeated for ever, status) ---

FLOODS = {
    "request line": (b"GET /", b"x" * 4096, 431),
    "one field": (GET[:-2] + b"A: ", b"x" * 4096, 431),
    "many fields": (GET[:-2], b"A: b\r\n" * 100, 431),
    "empty lines": (b"", b"\r\n" * 1000, 400),
    "chunk size": (CHUNKED, b"0" * 4096, 400),
    "chunk extension": (CHUNKED + b"1;a=", b"x" * 4096, 400),
    "chunk extension in quotes": (CHUNKED + b'1;a="', b"x" * 4096, 400),
    "many chunk extensions": (CHUNKED + b"1", b";a=b" * 1000, 400),
    "one trailer": (CHUNKED + b"0\r\nA: ", b"x" * 4096, 400),
    "many trailers": (CHUNKED + b"0\r\n", b"A: b\r\n" * 100, 400),
}


@WORKERS
@pytest.mark.parametrize("name", FLOODS)
def test_flood(name, workers, pair):
    """Its own response, and no more is taken of it than a head may have."""
    first, again, status = FLOODS[name]
    side, app, bystander = pair(workers)
    with bystander:
        before = side.rss_kib()
        client = client_of(side, app)
        client.send(first)
        client.sock.settimeout(0.2)
        sent = 0
        while sent < 4 * MIB and not readable([client.sock], 0):
            try:
                client.sock.sendall(again)
                sent += len(again)
            except socket.timeout:
                pass
            except (BrokenPipeError, ConnectionResetError):
                break
        try:
            answer = read_response(client)
        except AssertionError:
            assert client.end == "RST"      # it took the response with it
        else:
            assert_local(answer, status)
        assert sent < 4 * MIB, "it never ends"
        assert side.rss_kib() < before + 4 * KIB
    outcome = {431: "head_too_large", 400: "bad_request"}[status]
    assert side.total("nigh_flows_ended_total", outcome=outcome) == 1


EARLY = text("HTTP/1.1 103 Early Hints", "Link: </style.css>") * 100


@WORKERS
def test_endless_interim_responses(workers, pair):
    """Until the final one is due."""
    side, app, _ = pair(workers, RESPONSE_TIMEOUT="300ms")
    client = client_of(side, app)
    client.send(GET)
    conn, _ = app.request()
    while b" 504 " not in client.pending:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            conn.sock.send(EARLY)
        client.pending = client.pending[-200:]
        assert client.fill()
    pour(conn, EARLY)
    side.wait_total("nigh_flows_ended_total", 1, outcome="response_timeout")


@WORKERS
def test_endless_interim_responses_that_nobody_reads(workers, pair):
    side, app, bystander = pair(workers)
    client = client_of(side, app)
    client.send(GET)
    conn, _ = app.request()
    before = side.rss_kib()
    with bystander:
        assert conn.stuff(EARLY, 64 * MIB) < 64 * MIB, "no back-pressure"
    assert side.rss_kib() < before + 4 * KIB
    client.reset()
    pour(conn, EARLY)
    side.wait_total("nigh_flows_ended_total", 1, outcome="client_closed")


# --- slow drips ---

def drips():
    """10,000, or as many as nigh takes with the descriptors that there are."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return min(10_000, (hard - 128) // 2 - 200)


@pytest.fixture
def many_descriptors():
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    yield drips()
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


@WORKERS
def test_slow_drips(workers, pair, many_descriptors):
    """Each sends a byte of its head now and then: who is complete is served meanwhile."""
    count = many_descriptors
    side, app, bystander = pair(workers, HEADER_TIMEOUT="1h", MAX_CONNECTIONS=count + 100)
    addr = side.addr("inbound", f":{app.port}")
    before = side.rss_kib()
    socks = []
    for _ in range(count):
        socks.append(socket.create_connection(addr))
        socks[-1].send(b"G")
    side.wait_total("nigh_connections", count + 1, direction="inbound", side="downstream")
    for byte in (b"E", b"T"):
        with bystander:
            for sock in socks:
                sock.send(byte)
        serve(side, app)
    assert side.rss_kib() - before < count * (2 if side.has_own_memory() else 16)
    for sock in socks:
        sock.close()
    side.wait_total("nigh_connections", 1, direction="inbound", side="downstream")


def serve(side, app):
    with client_of(side, app) as client:
        client.send(GET)
        app.request()[0].send(OK)
        assert read_response(client).status == 200


@WORKERS
def test_slow_drips_on_both_sides(workers, pair):
    """Byte by byte, of request and response: complete in the end."""
    side, app, bystander = pair(workers)
    request = text("POST / HTTP/1.1", "Host: a", "Content-Length: 3", body="abc")
    with bystander, client_of(side, app) as client:
        client.send_slowly(request)
        conn, got = app.request()
        assert got.body == b"abc"
        conn.send_slowly(text("HTTP/1.1 200 OK", "Transfer-Encoding: chunked",
                              body="2\r\nok\r\n0\r\nA: b\r\n\r\n"))
        answer = read_response(client)
        assert (answer.body, answer.trailers) == (b"ok", [("A", "b")])


# --- churn ---

CHURN = {
    "nothing": (b"", "close"), "nothing, reset": (b"", "reset"),
    "part of a head": (GET[:9], "close"), "part of a head, reset": (GET[:9], "reset"),
    "a request": (GET, "close"), "a request, reset": (GET, "reset"),
}


@WORKERS
@pytest.mark.parametrize("name", CHURN)
def test_churn(name, workers, nigh, backend):
    """Hundreds of connections, one after the other, that end as soon as they are there."""
    said, way = CHURN[name]
    app = backend()
    side = nigh.inbound(app, WORKERS=workers)
    client = side.client()
    for i in range(400):
        with side.client() as passing:
            passing.send(said)
            getattr(passing, way)()
        if i == 100:
            before = side.rss_kib()
        if i % 100 == 0:
            client.send(GET)
            assert read_response(client).status == 200
    side.wait_total("nigh_connections", 1, direction="inbound", side="downstream")
    side.wait_total("nigh_requests_in_flight", 0)
    assert side.rss_kib() < before + (1 if side.has_own_memory() else 16) * KIB
    client.send(GET)
    assert read_response(client).status == 200


@WORKERS
def test_reader_that_takes_nothing(workers, pair):
    """It holds what is on its way to it, and nobody else."""
    side, app, bystander = pair(workers)
    client = client_of(side, app, rcvbuf=4096)
    client.send(GET)
    conn, _ = app.request()
    conn.send(text("HTTP/1.1 200 OK", f"Content-Length: {64 * MIB}"))
    before = side.rss_kib()
    assert conn.stuff(b"x" * 64 * KIB, 64 * MIB) < 64 * MIB
    with bystander:
        serve(side, app)
    assert side.rss_kib() < before + 4 * KIB
    client.reset()
    pour(conn, b"x" * 64 * KIB)
    side.wait_total("nigh_flows_ended_total", 1, outcome="client_closed")
