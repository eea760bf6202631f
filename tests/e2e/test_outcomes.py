# SPDX-License-Identifier: Apache-2.0
"""Every way in which a flow can end (proxy/flow/outcome.def), each produced once:
its word in the access log, its status, and its counter where nigh answers itself."""
import os
import resource
import signal
import socket

import pytest

from harness.dialogue import OK, assert_local
from harness.kube import HOSTNAME, EndpointsFile, endpoint, node, service, slice_of
from harness.kernel import unread_at
from harness.message import read_response, text
from harness.peer import wait_until
from harness.server import closed_port

GET = text("GET /x HTTP/1.1", "Host: app.test")


class Scene:
    """What a scenario needs: the application, the sidecar's start, one client."""

    def __init__(self, nigh, server, folder):
        self.nigh = nigh
        self.server = server
        self.folder = folder
        self.side = None

    def start(self, **settings):
        self.side = self.nigh(ACCESS_LOG="on", **settings)
        return self.side

    def inbound(self, port, **settings):
        return self.start(INBOUND=f"127.0.0.1:0={port}", **settings).client()

    def outbound(self, **settings):
        return self.start(OUTBOUND="127.0.0.1:0", **settings).client("outbound")

    def ask(self, request=GET, **settings):
        """A request to an application that answers by hand: (client, its connection)."""
        app = self.server()
        client = self.inbound(app.port, **settings)
        client.send(request)
        return client, app.request()[0]


def completed(scene):
    client, conn = scene.ask()
    conn.send(OK)
    return client


def bad_request(scene):
    client = scene.inbound(scene.server().port)
    client.send(text("GET /x HTTP/1.1"))
    return client


def head_timeout(scene):
    client = scene.inbound(scene.server().port, HEADER_TIMEOUT="100ms")
    client.send(GET[:-2])
    return client


def body_timeout(scene):
    client = scene.inbound(scene.server().port, IDLE_TIMEOUT="1s")
    client.send(text("POST /x HTTP/1.1", "Host: a", "Content-Length: 5", body="hell"))
    return client


def misdirected(scene):
    """An outbound call to our own outbound listener would go round for ever."""
    client = scene.outbound()
    host, port = scene.side.addr("outbound")
    client.send(text("GET /x HTTP/1.1", f"Host: {host}:{port}"))
    return client


def head_too_large(scene):
    client = scene.inbound(scene.server().port, MAX_HEADER_BYTES="1KiB")
    client.send(text("GET /x HTTP/1.1", "Host: a", "A: " + "x" * 2000))
    return client


def unsupported_coding(scene):
    client = scene.inbound(scene.server().port)
    client.send(text("POST /x HTTP/1.1", "Host: a", "Transfer-Encoding: gzip, chunked"))
    return client


def unsupported_version(scene):
    client = scene.inbound(scene.server().port)
    client.send(text("GET /x HTTP/2.0", "Host: a"))
    return client


def name_unresolved(scene):
    client = scene.outbound()
    client.send(text("GET /x HTTP/1.1", "Host: no-such-name.invalid"))
    return client


def upstream_closed(scene):
    client, conn = scene.ask()
    conn.close()
    return client


def bad_response(scene):
    client, conn = scene.ask()
    conn.send(b"HTTP/1.1 2oo OK\r\n\r\n")
    return client


def response_too_large(scene):
    client, conn = scene.ask(MAX_HEADER_BYTES="1KiB")
    conn.send(text("HTTP/1.1 200 OK", "A: " + "x" * 2000))
    return client


def no_endpoint(scene):
    file = EndpointsFile(scene.folder, service("orders", topologyKeys=[HOSTNAME]),
                         node("here"), node("there"),
                         slice_of("orders", 1, endpoint(node="there")))
    client = scene.outbound(ENDPOINTS=file.setting, NODE_NAME="here", NAMESPACE="shop")
    client.send(text("GET /x HTTP/1.1", "Host: orders"))
    return client


def connect_failed(scene):
    with closed_port() as hole:
        client = scene.inbound(hole.getsockname()[1])
        client.send(GET)
        return client


def connect_timeout(scene):
    """The kernel's queue of the application is full, and it does not accept."""
    app = scene.server(backlog=0)
    waiting = [socket.socket() for _ in range(8)]
    for sock in waiting:
        sock.setblocking(False)
        sock.connect_ex((app.host, app.port))
    app.held = waiting
    client = scene.inbound(app.port, CONNECT_TIMEOUT="100ms")
    client.send(GET)
    return client


def limit_descriptors(side, count):
    _, hard = resource.prlimit(side.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(side.pid, resource.RLIMIT_NOFILE, (count, hard))


def no_resources(scene):
    """The client's connection got the last descriptor."""
    client = scene.inbound(scene.server().port)
    client.send(GET[:4])
    wait_until(lambda: unread_at(client) == 0, "it was accepted, and is read")
    in_use = set(map(int, os.listdir(f"/proc/{scene.side.pid}/fd")))
    limit_descriptors(scene.side, min(set(range(1024)) - in_use))
    client.send(GET[4:])
    return client


def response_timeout(scene):
    client, _ = scene.ask(RESPONSE_TIMEOUT="100ms")
    return client


def response_truncated(scene):
    client, conn = scene.ask()
    conn.send(text("HTTP/1.1 200 OK", "Content-Length: 5", body="he"))
    conn.close()
    assert client.read_to_end().endswith(b"\r\n\r\nhe")
    return None


def client_closed(scene):
    client, _ = scene.ask()
    client.reset()
    return None


def cut_off(scene):
    client, _ = scene.ask(DRAIN_TIMEOUT="100ms")
    scene.side.signal(signal.SIGTERM)
    client.expect_end()
    assert scene.side.wait() == 1
    return None


# Scenario, and the status that nigh answers with; None where it does not answer.
OUTCOMES = {
    completed: None, bad_request: 400, head_timeout: 408, body_timeout: 408,
    misdirected: 421, head_too_large: 431, unsupported_coding: 501, unsupported_version: 505,
    name_unresolved: 502, upstream_closed: 502, bad_response: 502, response_too_large: 502,
    no_endpoint: 503, connect_failed: 503, connect_timeout: 503, no_resources: 503,
    response_timeout: 504, response_truncated: None, client_closed: None, cut_off: None,
}
# Of these the application saw no byte, so that another endpoint may take them.
SAFE = (connect_failed, connect_timeout, no_resources)


@pytest.mark.parametrize("scenario", OUTCOMES, ids=lambda scenario: scenario.__name__)
def test_outcome(scenario, nigh, server, tmp_path):
    scene = Scene(nigh, server, tmp_path)
    status, name = OUTCOMES[scenario], scenario.__name__
    client = scenario(scene)
    if client:
        answer = read_response(client)
        assert answer.status == (status or 200)
        if status:
            assert_local(answer, status)
        assert answer.get("nigh-not-processed") == (name if scenario in SAFE else None)
    scene.side.wait_event("access", outcome=name)
    if scenario is no_resources:
        limit_descriptors(scene.side, 1024)
    if scenario is not cut_off:
        scene.side.wait_total("nigh_local_responses_total", 1 if status else 0, reason=name)
        scene.side.wait_total("nigh_flows_ended_total", 1, outcome=name)
