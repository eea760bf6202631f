# SPDX-License-Identifier: Apache-2.0
"""What breaks around nigh must not break nigh, and as few requests as possible."""
import random
import socket
import time

import pytest

from harness.callers import Callers
from harness.dialogue import OK, assert_local
from harness.kube import EndpointsFile, endpoint, node, service, slice_of
from harness.message import read_request, read_response, text
from harness.peer import wait_until

GET = text("GET / HTTP/1.1", "Host: app.test")


def service_of(nigh, folder, backends, **settings):
    file = EndpointsFile(folder, service("orders"), node("n"), *(
        slice_of("orders", made.port, endpoint(node="n")) for made in backends))
    return nigh.outbound(ENDPOINTS=file.setting, NODE_NAME="n", NAMESPACE="shop", **settings)


def test_killed_backend_costs_no_get(nigh, backend, tmp_path):
    good, bad = backend("good"), backend("bad")
    side = service_of(nigh, tmp_path, [good, bad])
    with Callers(side.addr("outbound")) as load:
        load.more(50)
        for _ in range(3):
            bad.kill()
            load.more(50)
            bad.restart()
            load.more(50)
    assert not load.failures
    assert good.requests and bad.requests


def test_backends_that_close_idle_connections_cost_no_get(nigh, backend, tmp_path):
    both = [backend("a"), backend("b")]
    side = service_of(nigh, tmp_path, both, RETRY_BUDGET="100")
    with Callers(side.addr("outbound")) as load:
        for _ in range(20):
            for made in both:
                made.close_idle()
                load.more(10)
    assert not load.failures


def test_frozen_backend_is_passed_by(nigh, backend, tmp_path):
    """As SIGSTOP: calls that wait there wait, the others go to the other one."""
    good, bad = backend("good"), backend("bad")
    side = service_of(nigh, tmp_path, [good, bad])
    with Callers(side.addr("outbound"), clients=8) as load:
        load.more(50)
        bad.freeze()
        load.more(200)
        bad.thaw()
        load.more(50)
    assert not load.failures


def test_frozen_application_costs_no_memory(nigh, backend):
    app = backend()
    side = nigh.inbound(app)
    app.freeze()
    clients = [side.client() for _ in range(50)]
    for client in clients:
        client.send(GET)
    app.thaw()
    for client in clients:
        assert read_response(client).status == 200


def stuff_until_end(conn):
    """Answer until nigh hangs up."""
    try:
        conn.send(text("HTTP/1.1 200 OK", "Content-Length: 10000000"))
        while True:
            conn.send(b"x" * 1000)
    except (BrokenPipeError, ConnectionResetError):
        pass


@pytest.mark.parametrize("way", ["close", "reset"])
@pytest.mark.parametrize("moment", ["head", "body", "waiting", "response"])
def test_client_goes_away(moment, way, nigh, server):
    """Whenever that is: the upstream connection is not used for anybody else."""
    app = server()
    side = nigh.inbound(app)
    client = side.client()
    request = text("POST / HTTP/1.1", "Host: a", "Content-Length: 10")
    client.send(request[:20] if moment == "head" else request + b"hello")
    conn = None
    if moment != "head":
        conn = app.next_peer()
        conn.read_until(b"hello")
    if moment in ("waiting", "response"):
        client.send(b"world")
        conn.expect(b"world")
    if moment == "response":
        conn.send(text("HTTP/1.1 200 OK", "Content-Length: 10000000") + b"x" * 1000)
        client.read_until(b"x" * 1000)
    getattr(client, way)()
    if way == "close" and moment in ("waiting", "response"):
        # A FIN may be a half-close: only writing to the client tells that it has gone.
        stuff_until_end(conn)
    elif conn:
        conn.expect_end()
    with side.client() as other:
        other.send(GET)
        new, _ = app.request()
        assert new is not conn
        new.send(OK)
        other.expect(OK)
    side.wait_total("nigh_connections", 0, direction="inbound", side="downstream")


@pytest.mark.parametrize("workers", ["1", "2", "4"])
def test_two_hundred_connections(workers, nigh, backend):
    app = backend()
    side = nigh.inbound(app, WORKERS=workers)
    clients = [side.client() for _ in range(200)]
    for _ in range(3):
        for client in clients:
            client.send(GET)
        for client in clients:
            assert read_response(client).status == 200
    assert app.requests == 600
    side.wait_total("nigh_requests_total", 600, direction="inbound")
    side.wait_total("nigh_connections", 200, direction="inbound", side="downstream")


def test_workers_share_a_drain(nigh, backend):
    app = backend()
    side = nigh.inbound(app, WORKERS="2", DRAIN_TIMEOUT="30s")
    clients = [side.client() for _ in range(20)]
    for client in clients:
        client.send(GET)
        read_response(client)
    side.signal()
    app.stop_listening()
    for client in clients:
        client.expect_fin()
        client.close()
    assert side.wait() == 0, side.log


def test_workers_read_the_same_file(nigh, backend, tmp_path):
    a, b = backend("a"), backend("b")
    file = EndpointsFile(tmp_path, service("orders"), slice_of("orders", a.port, endpoint()))
    side = nigh.outbound(ENDPOINTS=file.setting, NAMESPACE="shop", WORKERS="4")
    clients = [side.client("outbound") for _ in range(16)]

    def answers():
        for client in clients:
            client.send(text("GET / HTTP/1.1", "Host: orders"))
        return {read_response(client).body for client in clients}

    assert answers() == {b"a"}
    file.rename(service("orders"), slice_of("orders", b.port, endpoint()))
    wait_until(lambda: answers() == {b"b"}, "all workers see the change")


def test_connect_timeout(nigh, server):
    """A full queue of the kernel answers nothing: the attempt ends by its deadline."""
    app = server(backlog=0)
    side = nigh.inbound(app, CONNECT_TIMEOUT="200ms")
    stuffed = fill_backlog(app)
    client = side.client()
    client.send(GET)
    assert_local(read_response(client), (503, 504))
    for sock in stuffed:
        sock.close()


def test_connect_timeout_of_a_server_that_answers_others(nigh, server):
    """Its queue is short, that is all: the request goes on a connection that is there."""
    app = server(backlog=0)
    side = nigh.inbound(app, CONNECT_TIMEOUT="5s", POOL_IDLE_TIMEOUT="30s")
    first, second = side.client(), side.client()
    first.send(GET)
    conn, _ = app.request()
    stuffed = fill_backlog(app)
    second.send(GET)
    wait_until(lambda: side.json("/stats")["inbound"]["upstream"]["open"] == 2, "it dials")
    conn.send(OK)
    first.expect(OK)
    read_request(conn)
    conn.send(OK)
    second.expect(OK)
    for sock in stuffed:
        sock.close()


def fill_backlog(app):
    """Connections nobody accepts, until the kernel takes no more."""
    socks = []
    while len(socks) < 20:
        sock = socket.socket()
        sock.setblocking(False)
        sock.connect_ex(("127.0.0.1", app.port))
        socks.append(sock)
        time.sleep(0.01)
    return socks


def test_garbage_does_no_harm(nigh, backend):
    """Whatever bytes come first, the next client is served."""
    rng = random.Random(7)
    side = nigh.inbound(backend())
    for _ in range(100):
        with side.client() as client:
            client.send(rng.randbytes(rng.randrange(1, 300)) + b"\r\n\r\n")
            client.fin()
            client.read_to_end()
    client = side.client()
    client.send(GET)
    assert read_response(client).status == 200
