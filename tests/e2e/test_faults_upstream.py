# SPDX-License-Identifier: Apache-2.0
"""An upstream that breaks, at each phase: what the client sees, and what is counted."""
import contextlib
import signal
import subprocess
import sys

import pytest

from harness.bystander import Bystander
from harness.dialogue import OK, assert_local
from harness.kube import EndpointsFile, endpoint, service, slice_of
from harness.message import read_head, read_response, text
from harness.network import alone, drop
from harness.pauses import patient, within
from harness.peer import DEADLINE, connect, readable, wait_until
from harness.server import Server

GET = text("GET / HTTP/1.1", "Host: app.test")
POST = text("POST / HTTP/1.1", "Host: app.test", "Content-Length: 2", body="hi")
EARLY = text("HTTP/1.1 103 Early Hints")
WORKERS = pytest.mark.parametrize("workers", ["1", "2"])


def serve(client, app):
    client.send(GET)
    app.request()[0].send(OK)
    assert read_response(client).status == 200


# --- the phases: each gets the client and the application, and breaks the connection ---

def after_connect(client, app):
    """The request is there, and not a byte of it has been read."""
    client.send(POST)
    conn = app.accept()
    assert readable([conn.sock], DEADLINE)
    conn.reset()


def before_the_first_byte(client, app):
    client.send(POST)
    app.request()[0].reset()


def in_the_head(client, app):
    """The 103 tells that nigh has the part behind it too."""
    client.send(POST)
    conn, _ = app.request()
    conn.send(EARLY + OK[:20])
    client.expect(EARLY)
    conn.reset()


def in_the_body(client, app):
    client.send(POST)
    conn, _ = app.request()
    conn.send(text("HTTP/1.1 200 OK", "Content-Length: 5", body="he"))
    read_head(client)
    client.expect(b"he")
    conn.reset()


def in_a_chunk(client, app):
    client.send(POST)
    conn, _ = app.request()
    conn.send(text("HTTP/1.1 200 OK", "Transfer-Encoding: chunked", body="5\r\nhe"))
    read_head(client)
    client.expect(b"5\r\nhe")
    conn.reset()


def in_a_body_up_to_the_end(client, app):
    client.send(POST)
    conn, _ = app.request()
    conn.send(text("HTTP/1.1 200 OK", body="he"))
    read_head(client)
    client.expect(b"he")
    conn.reset()


def reused_post(client, app):
    serve(client, app)
    client.send(POST)
    app.request()[0].reset()


def reused_get(client, app):
    """Sent again, on a new connection."""
    serve(client, app)
    client.send(GET)
    conn, _ = app.request()
    conn.reset()
    again, _ = app.request()
    assert again is not conn
    again.send(OK)


def in_an_upload(client, app):
    client.send(text("POST / HTTP/1.1", "Host: app.test", "Content-Length: 9", body="hi"))
    conn = app.next_peer()
    conn.read_until(b"hi")
    conn.reset()


CUT = "the connection ends, and it is clear that something is missing"

# Phase, what the client sees, how the request is counted, and the retries.
RESETS = [
    (after_connect, 502, "upstream_closed", 0),
    (before_the_first_byte, 502, "upstream_closed", 0),
    (in_the_head, 502, "bad_response", 0),
    (in_the_body, CUT, "response_truncated", 0),
    (in_a_chunk, CUT, "response_truncated", 0),
    (in_a_body_up_to_the_end, CUT, "response_truncated", 0),
    (reused_post, 502, "upstream_closed", 0),
    (reused_get, 200, "completed", 1),
    (in_an_upload, 502, "upstream_closed", 0),
]


def start(nigh, workers, *apps, **settings):
    return nigh(INBOUND=",".join(f"127.0.0.1:0={app.port}/http" for app in apps),
                WORKERS=workers, **{"POOL_IDLE_TIMEOUT": "1h", **settings})


def client_of(side, app):
    return connect(side.addr("inbound", f":{app.port}"))


@WORKERS
@pytest.mark.parametrize("phase, seen, outcome, retries", RESETS,
                         ids=[row[0].__name__ for row in RESETS])
def test_reset(phase, seen, outcome, retries, workers, nigh, server):
    app, quiet = server(), server()
    side = start(nigh, workers, app, quiet)
    client = client_of(side, app)
    with Bystander(side, quiet):
        phase(client, app)
        if seen is CUT:
            assert client.read_to_end() == b""
            assert client.end == "RST" or phase is not in_a_body_up_to_the_end
        elif seen == 200:
            assert read_response(client).status == 200
        else:
            assert_local(read_response(client), seen)
    with client_of(side, app) as again:
        again.send(GET)
        app.request()[0].send(OK)
        assert read_response(again).status == 200
    assert side.total("nigh_flows_ended_total", outcome=outcome) >= 1
    assert side.total("nigh_flows_ended_total") == 3 + phase.__name__.startswith("reused")
    assert side.total("nigh_retries_total") == retries


@WORKERS
@pytest.mark.parametrize("said", [b"", EARLY, b"HTTP/1.1 200 OK\r\n"],
                         ids=["nothing", "a 103", "part of a head"])
@patient
def test_silence(said, workers, nigh, server):
    app, quiet = server(), server()
    side = start(nigh, workers, app, quiet, RESPONSE_TIMEOUT="300ms")
    client = client_of(side, app)
    with within(0.3):
        client.send(POST)
        conn, _ = app.request()
        conn.send(said)
        if said == EARLY:
            client.expect(EARLY)
    assert_local(read_response(client), 504)
    conn.expect_end()
    assert side.total("nigh_flows_ended_total", outcome="response_timeout") == 1
    with Bystander(side, quiet):
        pass


SERVER = """
import socket
listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
while True:
    conn = listener.accept()[0]
    while conn.recv(65536):
        conn.sendall(b"HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\n\\r\\nok")
"""


class Process:
    """An application with a process of its own; one connection at a time."""

    def __init__(self):
        self._process = subprocess.Popen([sys.executable, "-c", SERVER],
                                         stdout=subprocess.PIPE, text=True)
        self.port = int(self._process.stdout.readline())

    def stop(self):
        self._process.send_signal(signal.SIGSTOP)

    def go_on(self):
        self._process.send_signal(signal.SIGCONT)

    def close(self):
        self._process.kill()
        self._process.wait()
        self._process.stdout.close()


@WORKERS
def test_stopped_process(workers, nigh, server, cleanup):
    """It waits as long as it has to; the others do not."""
    app, quiet = Process(), server()
    cleanup.callback(app.close)
    side = start(nigh, workers, app, quiet)
    client = client_of(side, app)
    for _ in range(2):              # on a new connection, on a kept one
        app.stop()
        client.send(GET)
        with Bystander(side, quiet):
            client.expect_silence()
        assert side.total("nigh_requests_in_flight") == 1
        app.go_on()
        assert read_response(client).status == 200


# --- packets that are lost ---

def new_connection(port):
    return f"tcp dport {port} tcp flags & (syn | ack) == syn"


@WORKERS
def test_no_connection_comes_through(workers, nigh):
    def test():
        with contextlib.closing(Server()) as app, contextlib.closing(Server()) as quiet:
            side = start(nigh, workers, app, quiet, CONNECT_TIMEOUT="300ms")
            undo = drop(new_connection(app.port))
            client = client_of(side, app)
            client.send(POST)
            with Bystander(side, quiet):
                answer = read_response(client)
                assert_local(answer, 503)
                assert answer.get("nigh-not-processed") == "connect_timeout"
            undo()
            client.send(POST)
            app.request()[0].send(OK)
            assert read_response(client).status == 200
            assert side.total("nigh_flows_ended_total", outcome="connect_timeout") == 1
            side.stop()
    alone(test)


@WORKERS
def test_connection_comes_through_late(workers, nigh):
    """The kernel sends its SYN again after a second."""
    def test():
        with contextlib.closing(Server()) as app:
            side = start(nigh, workers, app, CONNECT_TIMEOUT="60s")
            undo = drop(new_connection(app.port))
            client = client_of(side, app)
            client.send(POST)
            wait_until(lambda: side.total("nigh_connections", side="upstream") == 1,
                       "nigh connects")
            undo()
            app.request()[0].send(OK)
            assert read_response(client).status == 200
            side.stop()
    alone(test)


@WORKERS
def test_one_of_two_cannot_be_reached(workers, nigh, tmp_path):
    """Its calls go to the other one."""
    def test():
        with contextlib.closing(Server()) as app, contextlib.closing(Server()) as other:
            file = EndpointsFile(tmp_path, service("orders"), *(
                slice_of("orders", its.port, endpoint()) for its in (app, other)))
            side = nigh.outbound(ENDPOINTS=file.setting, NAMESPACE="shop",
                                 CONNECT_TIMEOUT="300ms", WORKERS=workers)
            drop(new_connection(app.port))

            def call():
                with side.client("outbound") as client:
                    client.send(text("POST / HTTP/1.1", "Host: orders", "Content-Length: 0"))
                    other.request()[0].send(OK)
                    assert read_response(client).status == 200

            def tried_both():       # each call begins with either
                call()
                return side.total("nigh_retries_total", reason="connect_timeout")
            wait_until(tried_both, "a call is sent again")
            for _ in range(6):
                call()
            side.stop()
    alone(test)


@WORKERS
@patient
def test_answers_are_lost(workers, nigh):
    """Of a connection that is there: as silence."""
    def test():
        with contextlib.closing(Server()) as app:
            side = start(nigh, workers, app, RESPONSE_TIMEOUT="300ms")
            client = client_of(side, app)
            with within(0.3):
                serve(client, app)
            undo = drop(f"tcp sport {app.port}")
            client.send(POST)
            conn, _ = app.request()
            conn.send(OK)
            assert_local(read_response(client), 504)
            undo()
            with within(0.3):
                serve(client, app)
            side.stop()
    alone(test)
