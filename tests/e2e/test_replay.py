# SPDX-License-Identifier: Apache-2.0
"""Which requests may be sent again when their upstream connection dies."""
import time

import pytest

from harness.dialogue import OK, SIDES, assert_local, open_stage
from harness.kube import EndpointsFile, endpoint, node, service, slice_of
from harness.message import read_response, text
from harness.pauses import patient, within
from harness.peer import DEADLINE, readable

WARM = text("GET /warm HTTP/1.1", "Host: {host}")

# Method, and whether the application may get such a request twice.
METHODS = {"GET": True, "HEAD": True, "OPTIONS": True, "TRACE": True, "PUT": True, "DELETE": True,
           "POST": False, "PATCH": False, "FROBNICATE": False, "get": False}


def request(method, *more, body=""):
    return text(f"{method} /x HTTP/1.1", "Host: {host}", *more, body=body)


def warm_stage(side, nigh, app, **settings):
    """A stage with one pooled connection to the application."""
    stage = open_stage(side, nigh, app, POOL_IDLE_TIMEOUT="30s", **settings)
    stage.client.send(stage.bytes(WARM))
    stage.next_request()
    stage.conn.send(OK)
    read_response(stage.client)
    return stage


def send_on_warm(stage, data):
    """The request, which comes on the pooled connection."""
    warm = stage.conn
    stage.client.send(stage.bytes(data))
    stage.next_request()
    assert stage.conn is warm, "the connection was not used again"


END = {"fin": lambda conn: conn.close(), "reset": lambda conn: conn.reset()}


@pytest.mark.parametrize("end", END)
@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("method", METHODS)
def test_reused_connection_dies(method, side, end, nigh, server):
    """The application takes the request and hangs up without a byte."""
    stage = warm_stage(side, nigh, server())
    send_on_warm(stage, request(method))
    END[end](stage.conn)
    if METHODS[method]:
        stage.next_request()
        stage.conn.send(OK if method != "HEAD" else text("HTTP/1.1 200 OK"))
        assert read_response(stage.client, method).status == 200
        stage.sidecar.wait_total("nigh_retries_total", 1)
    else:
        assert_local(read_response(stage.client, method), 502)
    stage.app.expect_nothing()


@pytest.mark.parametrize("side", SIDES)
def test_put_with_body_is_replayed_whole(side, nigh, server):
    stage = warm_stage(side, nigh, server())
    send_on_warm(stage, request("PUT", "Content-Length: 5", body="hello"))
    stage.conn.close()
    assert stage.next_request().body == b"hello"
    stage.conn.send(OK)
    assert read_response(stage.client).status == 200


@pytest.mark.parametrize("side", SIDES)
def test_post_with_body_is_not_replayed(side, nigh, server):
    stage = warm_stage(side, nigh, server())
    send_on_warm(stage, request("POST", "Content-Length: 5", body="hello"))
    stage.conn.close()
    assert_local(read_response(stage.client), 502)
    stage.app.expect_nothing()


@pytest.mark.parametrize("side", SIDES)
def test_not_after_the_first_byte(side, nigh, server):
    stage = warm_stage(side, nigh, server())
    send_on_warm(stage, request("GET"))
    stage.conn.send(b"H")
    stage.conn.close()
    assert_local(read_response(stage.client), 502)
    stage.app.expect_nothing()


@pytest.mark.parametrize("side", SIDES)
def test_not_after_an_interim_response(side, nigh, server):
    stage = warm_stage(side, nigh, server())
    send_on_warm(stage, request("GET"))
    stage.conn.send(text("HTTP/1.1 103 Early Hints"))
    assert read_response(stage.client).status == 103
    stage.conn.close()
    assert_local(read_response(stage.client), 502)
    stage.app.expect_nothing()


@pytest.mark.parametrize("side", SIDES)
def test_not_on_a_fresh_connection(side, nigh, server):
    """One endpoint, and it hung up on a new connection: it will again."""
    stage = open_stage(side, nigh, server())
    stage.client.send(stage.bytes(request("GET")))
    stage.next_request()
    stage.conn.close()
    assert_local(read_response(stage.client), 502)
    stage.app.expect_nothing()


@pytest.mark.parametrize("side", SIDES)
def test_replay_is_not_replayed(side, nigh, server):
    """The second try was on a fresh connection: that is the end of it."""
    stage = warm_stage(side, nigh, server())
    send_on_warm(stage, request("GET"))
    stage.conn.close()
    stage.next_request()
    stage.conn.close()
    assert_local(read_response(stage.client), 502)
    stage.app.expect_nothing()


@pytest.mark.parametrize("end", END)
@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_dead_connection_is_seen_before_use(method, side, end, nigh, server):
    """It ended while it was idle: no request is lost on it, whatever the method."""
    stage = warm_stage(side, nigh, server())
    for _ in range(5):
        END[end](stage.conn)
        time.sleep(0.02)
        stage.client.send(stage.bytes(request(method)))
        stage.next_request()
        stage.conn.send(OK)
        assert read_response(stage.client).status == 200
    assert stage.sidecar.total("nigh_local_responses_total") == 0


@patient
def test_server_says_how_long_it_keeps(nigh, server):
    """A smaller Keep-Alive: timeout= wins over our own."""
    app = server()
    stage = open_stage("inbound", nigh, app, POOL_IDLE_TIMEOUT="1h")
    stage.client.send(stage.bytes(WARM))
    stage.next_request()
    stage.conn.send(text("HTTP/1.1 204 No Content", "Keep-Alive: timeout=1"))
    with within(3):
        read_response(stage.client)
        stage.conn.expect_end()


def test_idle_upstream_connection_ends(nigh, server):
    stage = open_stage("inbound", nigh, server(), POOL_IDLE_TIMEOUT="200ms")
    stage.client.send(stage.bytes(WARM))
    stage.next_request()
    stage.conn.send(OK)
    read_response(stage.client)
    stage.conn.expect_end()


# --- with another endpoint ---

class Two:
    """A service with two endpoints, answered by hand."""

    def __init__(self, nigh, server, tmp_path, **settings):
        self.apps = [server(), server()]
        file = EndpointsFile(tmp_path, service("orders"), node("node-a"), *(
            slice_of("orders", app.port, endpoint(node="node-a")) for app in self.apps))
        self.side = nigh.outbound(ENDPOINTS=file.setting, NODE_NAME="node-a", NAMESPACE="shop",
                                  **settings)
        self.client = self.side.client("outbound")

    def send(self, method):
        self.client.send(text(f"{method} /x HTTP/1.1", "Host: orders"))

    def request(self):
        """The next request, wherever it comes: (application, connection)."""
        ready = readable([app.sock for app in self.apps], DEADLINE)
        assert ready, "no application was called"
        app = next(app for app in self.apps if app.sock is ready[0])
        conn, _ = app.request()
        return app, conn


def test_fresh_connection_dies_and_another_endpoint_takes_a_get(nigh, server, tmp_path):
    two = Two(nigh, server, tmp_path)
    two.send("GET")
    first, conn = two.request()
    conn.close()
    second, conn = two.request()
    assert second is not first
    conn.send(OK)
    assert read_response(two.client).status == 200


def test_fresh_connection_dies_and_a_post_is_lost(nigh, server, tmp_path):
    two = Two(nigh, server, tmp_path)
    two.send("POST")
    _, conn = two.request()
    conn.close()
    assert_local(read_response(two.client), 502)
    for app in two.apps:
        app.expect_nothing()


@pytest.mark.parametrize("side", SIDES)
def test_post_trusts_a_server_that_was_started_again(side, nigh, server):
    """It closed its connections because it ended: that is no habit."""
    stage = warm_stage(side, nigh, server())
    stage.app.close()
    stage.client.send(stage.bytes(request("GET")))
    assert_local(read_response(stage.client), 503)
    stage.app = server(port=stage.app.port)
    conns = []
    for _ in range(2):
        stage.client.send(stage.bytes(request("POST", "Content-Length: 5", body="hello")))
        assert not stage.next_request().all("Connection")
        conns.append(stage.conn)
        stage.conn.send(OK)
        assert read_response(stage.client).status == 200
    assert conns[0] is conns[1]


def test_fresh_connections_die_and_the_next_domain_takes_a_get(nigh, server, tmp_path):
    """Who always hangs up is asked as long as there is a retry to spare, then only when
    its time aside is over."""
    near, far = server(), server()
    file = EndpointsFile(tmp_path, service("orders"), node("node-a"), node("node-b"),
                         slice_of("orders", near.port, endpoint(node="node-a")),
                         slice_of("orders", far.port, endpoint(node="node-b")))
    client = nigh.outbound(ENDPOINTS=file.setting, NODE_NAME="node-a", NAMESPACE="shop",
                           POOL_IDLE_TIMEOUT="30s", RETRY_BUDGET="0").client("outbound")
    answers = []
    for _ in range(100):
        client.send(text("GET /x HTTP/1.1", "Host: orders"))
        while True:
            socks = [client.sock, near.sock, far.sock, *(peer.sock for peer in far.peers)]
            ready = readable(socks, DEADLINE)
            if client.sock in ready:
                break
            if near.sock in ready:
                near.request()[0].close()
                near.peers.clear()
            else:
                far.request()[0].send(OK)
        answers.append(read_response(client).status)
    assert set(answers[:25]) == {200}
    assert answers.count(200) > 80


def next_answer(stage):
    """Answer the replay if there is one; the status that the client gets."""
    client, listener = stage.client.sock, stage.app.sock
    if client not in readable([client, listener], DEADLINE):
        stage.next_request()
        stage.conn.send(OK)
    return read_response(stage.client).status


def test_budget(nigh, server, tmp_path):
    """No percent, so three a second, saved up for at most ten seconds."""
    two = Two(nigh, server, tmp_path, RETRY_BUDGET="0")
    start, calls, answers = time.monotonic(), 0, []
    listeners = [app.sock for app in two.apps]
    for _ in range(50):
        two.send("GET")
        while two.client.sock not in readable([two.client.sock, *listeners], DEADLINE):
            two.request()[1].close()
            calls += 1
        answers.append(read_response(two.client).status)
    assert set(answers) == {502}
    assert 50 < calls <= 50 + 3 * (time.monotonic() - start + 10)


@pytest.mark.parametrize("side", SIDES)
def test_kept_connections_that_cost_more_than_the_budget(side, nigh, server):
    """Every one dies with its second request: they are not used again when there is no
    retry left for it, and nothing fails."""
    stage = warm_stage(side, nigh, server(), RETRY_BUDGET="0")
    start, replays = time.monotonic(), 0
    for _ in range(60):
        warm = stage.conn
        stage.client.send(stage.bytes(request("GET")))
        stage.next_request()
        if stage.conn is warm:
            stage.conn.close()
            stage.next_request()
            replays += 1
        assert stage.conn is not warm
        stage.conn.send(OK)
        assert read_response(stage.client).status == 200
    assert 0 < replays <= 3 * (time.monotonic() - start + 10)


@pytest.mark.parametrize("side", SIDES)
def test_post_does_not_trust_a_server_that_hangs_up(side, nigh, server):
    """It gets a connection of its own, which is not kept: nobody would use it again."""
    stage = warm_stage(side, nigh, server())
    stage.conn.close()
    for _ in range(3):
        before = stage.conn
        stage.client.send(stage.bytes(request("POST", "Content-Length: 5", body="hello")))
        assert stage.next_request().tokens("Connection") == ["close"]
        assert stage.conn is not before
        stage.conn.send(OK)
        assert read_response(stage.client).status == 200
    stage.client.send(stage.bytes(request("GET")))
    assert not stage.next_request().all("Connection")


def test_close_races_with_the_next_request(nigh, server):
    """The FIN and the request cross: no GET fails, no POST comes twice."""
    stage = warm_stage("inbound", nigh, server(), RETRY_BUDGET="100")
    for number in range(40):
        method = "POST" if number % 2 else "GET"
        data = text(f"{method} /{number} HTTP/1.1", "Host: a")
        if number % 4 < 2:
            stage.conn.close()
            stage.client.send(data)
        else:
            stage.client.send(data)
            stage.conn.close()
        status = next_answer(stage)
        assert status == 200 or (method, status) == ("POST", 502)
        if status != 200:
            stage.client.send(stage.bytes(WARM))
            assert next_answer(stage) == 200
        stage.app.expect_nothing()
