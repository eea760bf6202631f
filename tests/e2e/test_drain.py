# SPDX-License-Identifier: Apache-2.0
"""Each sentence of the contract's section on drain.

The application of these tests stops listening when the test says so: that is
what tells nigh that nobody needs its outbound side any more."""
import contextlib
import http.client
import json
import signal
import socket
import threading
import time

import pytest

from harness.dialogue import OK
from harness.kernel import own_address
from harness.kube import EndpointsFile, endpoint, service, slice_of
from harness.message import read_response, text
from harness.pauses import patient, within
from harness.peer import DEADLINE, can_connect, connect, readable, wait_until
from harness.sidecar import fields_of, stopped

GET = text("GET / HTTP/1.1", "Host: app.test")
LONG = {"DRAIN_DELAY": "30s", "DRAIN_TIMEOUT": "60s"}


def exchange(client, app, request=GET):
    """One request and its answer on a connection."""
    client.send(request)
    conn, _ = app.request()
    conn.send(OK)
    return read_response(client)


def start_drain(side, way="signal"):
    if way == "signal":
        side.signal(signal.SIGTERM)
    else:
        status, _ = side.admin("/drain", "POST")
        assert status in (200, 202)
    wait_until(lambda: side.admin("/readyz")[0] == 503, "readyz 503", pause=0.001)


def wait_closed(side, name="inbound"):
    wait_until(lambda: not can_connect(side.addr(name)), "the listener is closed")


def phases(side):
    """The steps of the drain, in the order of the log."""
    return [step["phase"] for step in map(fields_of, side.lines) if step.get("event") == "drain"]


WAYS = ["signal", "post"]


@pytest.mark.parametrize("way", WAYS)
def test_readyz_turns_at_once(way, nigh, server):
    side = nigh.inbound(server(), **LONG)
    assert side.admin("/readyz")[0] == 200
    start_drain(side, way)
    status, body = side.admin("/readyz")
    assert status == 503 and "drain" in body
    assert side.admin("/healthz")[0] == 200
    assert side.total("nigh_drain_state") > 0


@pytest.mark.parametrize("way", WAYS)
def test_responses_say_close(way, nigh, server):
    """On old connections and on new ones, which are still accepted."""
    app = server()
    side = nigh.inbound(app, **LONG)
    old = side.client()
    assert not exchange(old, app).says_close()
    start_drain(side, way)
    for client in (old, side.client()):
        assert exchange(client, app).says_close()
        client.expect_fin()


def test_old_client_loses_keep_alive(nigh, server):
    app = server()
    side = nigh.inbound(app, **LONG)
    start_drain(side)
    client = side.client()
    answer = exchange(client, app, text("GET / HTTP/1.0", "Host: a", "Connection: keep-alive"))
    assert "keep-alive" not in answer.tokens("Connection")
    client.expect_fin()


@pytest.mark.parametrize("way", WAYS)
@patient
def test_accepting_goes_on_for_the_delay(way, nigh, server):
    app = server()
    side = nigh.inbound(app, DRAIN_DELAY="3s", DRAIN_TIMEOUT="30s")
    start = time.monotonic()
    with within(2.9):
        start_drain(side, way)
        while time.monotonic() - start < 0.7:
            client = side.client()
            assert exchange(client, app).status == 200
            client.close()
    wait_closed(side)
    assert time.monotonic() - start > 2.9


def test_accepting_ends_when_the_application_refuses(nigh, server):
    """From then on a refused connection serves a caller better than an accepted one."""
    app = server()
    side = nigh.inbound(app, **LONG)
    start_drain(side)
    assert can_connect(side.addr("inbound"))
    app.stop_listening()
    assert side.wait(25) == 0, side.log     # before the delay is over


def test_each_port_closes_for_itself(nigh, server):
    """An application may close one of its ports, and go on to serve at another."""
    first, second = server(), server()
    side = nigh(INBOUND=f"127.0.0.1:0={first.port},127.0.0.1:0={second.port}", **LONG)
    gone, there = (side.addr("inbound", f":{app.port}") for app in (first, second))
    idle = connect(gone)
    exchange(idle, first)
    start_drain(side)
    first.stop_listening()
    wait_until(lambda: not can_connect(gone), "the listener is closed")
    idle.expect_fin()
    assert exchange(connect(there), second).says_close()
    assert phases(side) == ["delay"]
    second.stop_listening()
    idle.close()
    assert side.wait() == 0, side.log


def test_application_that_has_gone_before(nigh, server):
    """Both may get their signal at once, and the application may be quicker."""
    app = server()
    side = nigh.inbound(app, OUTBOUND="127.0.0.1:0", **LONG)
    app.stop_listening()
    side.signal(signal.SIGTERM)
    assert side.wait() == 0, side.log


@pytest.mark.parametrize("listens_at", [None, "0.0.0.0"])
def test_application_at_an_address_of_the_pod(listens_at, nigh, server):
    """It need not listen on loopback for its end to be seen."""
    address = own_address()
    app = server(host=listens_at or address)
    side = nigh(INBOUND=f"127.0.0.1:0={address}:{app.port}", OUTBOUND="127.0.0.1:0", **LONG)
    start_drain(side)
    assert can_connect(side.addr("inbound"))
    app.stop_listening()
    assert side.wait() == 0, side.log


def test_idle_connections_close_after_the_delay(nigh, server):
    """Not before: the client may be about to write."""
    app = server()
    side = nigh.inbound(app, DRAIN_DELAY="3s", DRAIN_TIMEOUT="30s")
    fresh, used = side.client(), side.client()
    exchange(used, app)
    start = time.monotonic()
    start_drain(side)
    assert readable([fresh.sock, used.sock], DEADLINE)
    assert time.monotonic() - start > 2.9
    fresh.expect_fin()
    used.expect_fin()
    assert side.wait() == 0, side.log       # who does not close holds nobody


@pytest.mark.parametrize("end", ["idle timeout", "drain"])
def test_request_that_crosses_the_end_is_not_taken(end, nigh, server):
    """Its sender can prove that nobody has seen it, and send it again. The last response
    was acknowledged long before: a kernel waits 200 ms at most."""
    app = server()
    side = nigh.inbound(app, IDLE_TIMEOUT="600ms" if end == "idle timeout" else "60s",
                        DRAIN_DELAY="600ms", DRAIN_TIMEOUT="30s")
    client = side.client()
    exchange(client, app)
    if end == "drain":
        start_drain(side)
    client.expect_fin()
    client.send(GET)
    wait_until(lambda: client.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR),
               "it is refused by a reset")


@patient
def test_connection_accepted_last_is_served(nigh, server):
    """It was in the queue when the listener closed; its request is on the way."""
    app = server()
    side = nigh.inbound(app, DRAIN_DELAY="300ms", DRAIN_TIMEOUT="30s")
    with contextlib.ExitStack() as stack:
        with within(0.3):
            start_drain(side)
            stack.enter_context(stopped(side))
        time.sleep(0.4)
        client, silent = side.client(), side.client()
    side.wait_event("drain", phase="finishing")
    time.sleep(0.05)
    assert exchange(client, app).says_close()
    client.expect_fin()
    silent.expect_fin()


def test_response_that_is_read_late(nigh, server):
    """All of it has been written, but not read, when nigh ends."""
    app = server()
    side = nigh.outbound()
    client = side.client("outbound", rcvbuf=4096)
    client.send(text("GET / HTTP/1.1", f"Host: {app.addr}"))
    conn, _ = app.request()
    body = "x" * 300_000
    conn.send(text("HTTP/1.1 200 OK", f"Content-Length: {len(body)}", body=body))
    side.wait_total("nigh_requests_in_flight", 0)
    side.signal(signal.SIGTERM)
    assert side.wait() == 0, side.log
    assert len(read_response(client).body) == len(body)


def comes(side, socks):
    """Whether nigh sends anything there: each answer of the admin port is a turn of its
    worker."""
    for _ in range(20):
        side.json("/stats")
        if readable(socks, 0.015):
            return True
    return False


def test_response_that_nobody_reads_is_cut_off(nigh, server):
    """Its exchange is over, but a part of it waits in nigh."""
    app = server()
    side = nigh.inbound(app, DRAIN_TIMEOUT="1s", POOL_IDLE_TIMEOUT="1h")
    client = side.client(rcvbuf=4096)
    for _ in range(200):                # until the kernel takes no more
        client.send(GET)
        if not comes(side, [app.sock, *(peer.sock for peer in app.peers)]):
            break
        conn, _ = app.request()
        conn.send(text("HTTP/1.1 200 OK", "Content-Length: 50000", body="x" * 50_000))
    else:
        raise AssertionError("the kernel takes everything")
    side.wait_total("nigh_requests_in_flight", 0)
    side.signal(signal.SIGTERM)
    assert side.wait() == 1, side.log
    assert side.wait_event("cut_off")["flows"] == "1"


def test_upload_finishes(nigh, server):
    app = server()
    side = nigh.inbound(app, DRAIN_TIMEOUT="30s")
    client = side.client()
    client.send(text("POST / HTTP/1.1", "Host: a", "Content-Length: 10", body="hello"))
    conn = app.accept()
    conn.read_until(b"hello")
    start_drain(side)
    app.stop_listening()
    wait_closed(side)
    time.sleep(0.2)
    client.send(b"world")
    conn.expect(b"world")
    conn.send(OK)
    assert read_response(client).says_close()
    client.expect_fin()
    client.close()
    conn.close()
    assert side.wait() == 0, side.log


def test_stream_finishes(nigh, server):
    """A response that has begun cannot be marked any more, but it goes through."""
    app = server()
    side = nigh.inbound(app, DRAIN_TIMEOUT="30s")
    client = side.client()
    client.send(GET)
    conn, _ = app.request()
    conn.send(text("HTTP/1.1 200 OK", "Content-Length: 10", body="hello"))
    client.read_until(b"hello")
    start_drain(side)
    app.stop_listening()
    wait_closed(side)
    time.sleep(0.2)
    conn.send(b"world")
    client.expect(b"world")
    client.expect_fin()
    client.close()
    conn.close()
    assert side.wait() == 0, side.log


def test_tcp_connection_finishes(nigh, server):
    app = server()
    side = nigh.inbound(app, "tcp", DRAIN_TIMEOUT="30s")
    client = side.client()
    conn = app.accept()
    start_drain(side)
    app.stop_listening()
    wait_closed(side)
    conn.send(b"still here")
    client.expect(b"still here")
    client.close()
    conn.expect_fin()
    conn.close()
    assert side.wait() == 0, side.log


@pytest.mark.parametrize("phase", ["delay", "closed"])
def test_outbound_goes_on(phase, nigh, server):
    """Unmarked, on old and new connections, during the delay and after it."""
    app, other = server(), server()
    side = nigh.inbound(app, OUTBOUND="127.0.0.1:0",
                        DRAIN_DELAY="30s" if phase == "delay" else "0s", DRAIN_TIMEOUT="60s")
    request = text("GET / HTTP/1.1", f"Host: {other.addr}")
    old = side.client("outbound")
    exchange(old, other, request)
    start_drain(side)
    if phase == "closed":
        wait_closed(side)
    for client in (old, side.client("outbound")):
        for _ in range(3):
            assert not exchange(client, other, request).says_close()
    with side.client("outbound") as tunnel:
        tunnel.send(text(f"CONNECT {other.addr} HTTP/1.1", f"Host: {other.addr}"))
        assert read_response(tunnel, "CONNECT").status == 200
    other.accept().close()
    app.stop_listening()
    assert side.wait() == 0, side.log


@patient
def test_quick_calls_are_not_quiet(nigh, server, backend):
    """An application that has stopped listening keeps one connection, and its calls are so
    short that none is in flight whenever one looks."""
    app, far = server(), backend()
    side = nigh.inbound(app, OUTBOUND="127.0.0.1:0", **LONG)
    client = side.client("outbound")
    request = text("GET / HTTP/1.1", f"Host: 127.0.0.1:{far.port}")
    start_drain(side)

    def call():
        client.send(request)
        assert read_response(client).status == 200

    with within(0.5):           # nigh would take a longer pause for the end
        app.stop_listening()
        call()
    end = time.monotonic() + 2
    while time.monotonic() < end:
        with within(0.5):
            time.sleep(0.02)
            call()
    assert side.wait() == 0, side.log


@pytest.mark.parametrize("inbound", [True, False])
@patient
def test_calls_on_connections_of_their_own_are_not_quiet(inbound, nigh, server, backend):
    """An application that keeps no connection still makes its last calls, one by one; most
    of the time there is nothing open that could tell."""
    app, far = server(), backend()
    side = nigh.inbound(app, OUTBOUND="127.0.0.1:0", **LONG) if inbound else nigh.outbound(**LONG)
    request = text("GET / HTTP/1.1", f"Host: 127.0.0.1:{far.port}", "Connection: close")

    def call():
        with side.client("outbound") as client:
            client.send(request)
            return read_response(client).status

    assert call() == 200
    with within(0.5):           # nigh would take a longer pause for the end
        start_drain(side)
        app.stop_listening()
        assert call() == 200
    for _ in range(8):
        with within(0.5):
            time.sleep(0.15)
            assert call() == 200
    assert side.wait() == 0, side.log


def test_outbound_call_in_flight_is_waited_for(nigh, server):
    app, other = server(), server()
    side = nigh.inbound(app, OUTBOUND="127.0.0.1:0", DRAIN_TIMEOUT="30s")
    client = side.client("outbound")
    client.send(text("GET / HTTP/1.1", f"Host: {other.addr}"))
    conn, _ = other.request()
    start_drain(side)
    time.sleep(0.2)
    conn.send(OK)
    assert not read_response(client).says_close()
    app.stop_listening()
    assert side.wait() == 0, side.log


def test_without_inbound(nigh, server):
    """No inbound: nigh goes as soon as no request is in flight."""
    other = server()
    side = nigh.outbound(DRAIN_TIMEOUT="30s")
    idle, busy = side.client("outbound"), side.client("outbound")
    exchange(idle, other, text("GET / HTTP/1.1", f"Host: {other.addr}"))
    busy.send(text("GET / HTTP/1.1", f"Host: {other.addr}"))
    conn, _ = other.request()
    start_drain(side)
    time.sleep(0.2)
    assert not side.is_gone()
    conn.send(OK)
    assert read_response(busy).status == 200
    assert side.wait() == 0, side.log


@pytest.mark.parametrize("way", ["connect", "route"])
@pytest.mark.parametrize("inbound", [True, False])
def test_half_closed_call_is_waited_for(inbound, way, nigh, server, tmp_path):
    """Who has sent its FIN may wait for the answer all the same."""
    app, other = server(), server()
    file = EndpointsFile(tmp_path, service("db", (("sql", 5432),)),
                         slice_of("db", other.port, endpoint(other.host), port_name="sql"))
    settings = {"OUTBOUND": "127.0.0.1:0", "ROUTES": "127.0.0.1:0=db.shop:5432/tcp",
                "ENDPOINTS": file.setting, "DRAIN_TIMEOUT": "60s"}
    side = nigh.inbound(app, **settings) if inbound else nigh.outbound(**settings)
    client = side.client("outbound" if way == "connect" else "route")
    if way == "connect":
        client.send(text(f"CONNECT {other.addr} HTTP/1.1", f"Host: {other.addr}"))
        assert read_response(client, "CONNECT").status == 200
    client.send(b"question")
    client.fin()
    conn = other.accept()
    conn.expect(b"question")
    conn.expect_fin()
    side.signal(signal.SIGTERM)
    app.stop_listening()
    side.wait_event("drain", phase="drained")
    time.sleep(1.3)                     # longer than what counts as quiet
    assert not side.is_gone()
    conn.send(b"answer")
    client.expect(b"answer")
    conn.close()
    client.expect_fin()
    assert side.wait() == 0, side.log


def test_listening_application_is_waited_for(nigh, server):
    """As long as the application listens it may want to call out; nothing is cut off."""
    app = server()
    side = nigh.inbound(app, OUTBOUND="127.0.0.1:0", DRAIN_TIMEOUT="1s")
    start = time.monotonic()
    side.signal(signal.SIGTERM)
    assert side.wait() == 0, side.log
    assert time.monotonic() - start > 0.9


def test_without_outbound_the_end_of_inbound_is_the_end(nigh, server):
    """The application still listens, but there is nothing that it could ask of us."""
    side = nigh.inbound(server(), DRAIN_DELAY="100ms", DRAIN_TIMEOUT="60s")
    side.signal(signal.SIGTERM)
    assert side.wait() == 0, side.log


def test_deadline_cuts_and_counts(nigh, server):
    app = server()
    side = nigh.inbound(app, DRAIN_TIMEOUT="500ms")
    clients = [side.client() for _ in range(3)]
    for client in clients:
        client.send(GET)
        app.request()
    side.signal(signal.SIGTERM)
    assert side.wait() == 1
    last = [line for line in side.lines if "cut" in line]
    assert len(last) == 1 and "3" in last[0], side.log
    for client in clients:
        client.expect_end()


def test_deadline_resets_tunnels(nigh, server):
    """To both ends: a FIN would pass for the end of what was sent."""
    app = server()
    side = nigh.inbound(app, "tcp", DRAIN_DELAY="0", DRAIN_TIMEOUT="200ms")
    client = side.client()
    client.send(b"hello")
    conn = app.accept()
    conn.expect(b"hello")
    side.signal(signal.SIGTERM)
    assert side.wait() == 1, side.log
    conn.expect_reset()
    client.expect_reset()


@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT])
def test_second_signal_ends_at_once(second, nigh, server):
    app = server()
    side = nigh.inbound(app, **LONG)
    client = side.client()
    client.send(GET)
    app.request()
    start_drain(side)
    side.signal(second)
    assert side.wait(25) == 1       # before the delay is over


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2])
def test_other_signals_end_nothing(number, nigh, server):
    """What makes another server reload is sent to this one, too."""
    app = server()
    side = nigh.inbound(app)
    client = side.client()
    client.send(GET)
    peer, _ = app.request()
    side.signal(number)
    peer.send(OK)
    assert read_response(client).status == 200
    assert side.admin("/readyz")[0] == 200
    side.signal(signal.SIGTERM)
    assert side.wait() == 0, side.log


def test_end_for_want_of_time_is_logged(nigh, server):
    """Also when nothing was open: the application listens on, and that alone held it."""
    side = nigh.inbound(server(), OUTBOUND="127.0.0.1:0", DRAIN_DELAY="0", DRAIN_TIMEOUT="1s")
    side.signal(signal.SIGTERM)
    assert side.wait() == 0, side.log
    assert side.wait_event("cut_off")["flows"] == "0"


def test_post_does_not_exit(nigh, server):
    """Drained, it stays until the signal comes; the delay is not waited for twice."""
    app, other = server(), server()
    side = nigh.inbound(app, OUTBOUND="127.0.0.1:0", DRAIN_DELAY="800ms", DRAIN_TIMEOUT="30s")
    start_drain(side, "post")
    wait_closed(side)
    app.stop_listening()
    time.sleep(0.3)
    assert not side.is_gone()
    assert exchange(side.client("outbound"), other,
                    text("GET / HTTP/1.1", f"Host: {other.addr}")).status == 200
    side.signal(signal.SIGTERM)
    assert side.wait() == 0, side.log
    assert phases(side) == ["delay", "finishing", "drained"]


def test_signal_in_the_middle_of_the_delay(nigh, server):
    """The delay counts from the POST: it is not begun anew."""
    side = nigh.inbound(server(), DRAIN_DELAY="1s", DRAIN_TIMEOUT="30s")
    start = time.monotonic()
    start_drain(side, "post")
    time.sleep(0.5)
    side.signal(signal.SIGTERM)
    assert side.wait() == 0, side.log
    assert time.monotonic() - start > 0.9
    assert phases(side) == ["delay", "finishing", "drained"]


def test_post_twice(nigh, server):
    side = nigh.inbound(server(), **LONG)
    start_drain(side, "post")
    assert side.admin("/drain", "POST")[0] in (200, 202)
    assert can_connect(side.addr("inbound"))


def admin_of(side):
    host, port = side.addr("admin")
    return {"ADMIN": f"{host}:{port}"}


def test_drain_command(nigh, server):
    side = nigh.inbound(server(), **LONG)
    assert nigh.run("drain", **admin_of(side)).returncode == 0
    assert side.admin("/readyz")[0] == 503
    assert can_connect(side.addr("inbound"))


def test_drain_command_waits(nigh, server):
    """--wait returns when the inbound side is done: after the request in flight."""
    app = server()
    side = nigh.inbound(app, DRAIN_DELAY="300ms", DRAIN_TIMEOUT="30s")
    client = side.client()
    client.send(GET)
    conn, _ = app.request()
    results = []

    def drain():
        results.append(nigh.run("drain", "--wait", **admin_of(side)))

    waiter = threading.Thread(target=drain)
    waiter.start()
    wait_closed(side)
    time.sleep(0.2)
    assert not results
    conn.send(OK)
    assert read_response(client).says_close()
    waiter.join(10)
    assert results and results[0].returncode == 0, results
    assert not side.is_gone()


def test_drain_command_without_a_sidecar(nigh, server):
    gone = server()
    gone.stop_listening()
    done = nigh.run("drain", ADMIN=gone.addr)
    assert done.returncode == 1 and done.stderr


def test_clients_that_follow_close_lose_nothing(nigh, backend):
    """Requests without a pause over the whole delay, as a client library makes them."""
    app = backend()
    side = nigh.inbound(app, **LONG)
    failures, done = [], threading.Event()

    def work():
        conn = http.client.HTTPConnection(*side.addr("inbound"), timeout=10)
        while not done.is_set():
            try:
                conn.request("POST", "/", body=b"x" * 100)
                conn.getresponse().read()
            except Exception as error:      # each one is a failed request
                failures.append(repr(error))
                conn.close()

    workers = [threading.Thread(target=work) for _ in range(8)]
    for worker in workers:
        worker.start()
    start_drain(side)
    time.sleep(0.4)
    done.set()
    for worker in workers:
        worker.join(10)
    app.stop_listening()
    assert not failures
    assert side.wait() == 0, side.log


def test_state_is_told(nigh, server):
    """Each step is one line of the log."""
    app = server()
    side = nigh.inbound(app, DRAIN_TIMEOUT="30s", LOG_FORMAT="json")
    side.signal(signal.SIGTERM)
    app.stop_listening()
    assert side.wait() == 0
    assert any("drain" in json.loads(line)["event"] for line in side.lines)
