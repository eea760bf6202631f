# SPDX-License-Identifier: Apache-2.0
"""nigh-not-processed: a sidecar that could not hand on a request says so, and
the sidecar of the caller sends it elsewhere, whatever its method."""
import pytest

from harness.dialogue import OK, assert_local
from harness.kube import EndpointsFile, endpoint, node, service, slice_of
from harness.message import read_response, text
from harness.peer import DEADLINE, readable
from harness.server import closed_port

BUSY = text("HTTP/1.1 503 Service Unavailable", "nigh-not-processed: refused",
            "Content-Length: 5", body="sorry")
BUSY_PLAIN = text("HTTP/1.1 503 Service Unavailable", "Content-Length: 5", body="sorry")
SMALL = "x" * 1000
LARGE = "x" * (1 << 20)


def post(body=SMALL, host="orders", method="POST"):
    return text(f"{method} /x HTTP/1.1", f"Host: {host}", f"Content-Length: {len(body)}", body=body)


def outbound(nigh, folder, *ports):
    """A sidecar that calls a service with these endpoints; the first is nearest."""
    places = ["node-a", "node-b", "node-c"]
    file = EndpointsFile(folder, service("orders"), *(node(name) for name in places), *(
        slice_of("orders", port, endpoint(node=name)) for port, name in zip(ports, places)))
    return nigh.outbound(ENDPOINTS=file.setting, NODE_NAME="node-a", NAMESPACE="shop")


@pytest.mark.parametrize("method", ["GET", "POST", "FROBNICATE"])
def test_goes_elsewhere(method, nigh, server, tmp_path):
    near, far = server(), server()
    client = outbound(nigh, tmp_path, near.port, far.port).client("outbound")
    client.send(post(method=method))
    conn, first = near.request()
    conn.send(BUSY)
    conn, second = far.request()
    assert second.body == first.body == SMALL.encode() and second.start == first.start
    assert second.headers == first.headers
    conn.send(OK)
    client.expect(OK)


def test_is_counted(nigh, server, tmp_path):
    near, far = server(), server()
    side = outbound(nigh, tmp_path, near.port, far.port)
    client = side.client("outbound")
    client.send(post())
    near.request()[0].send(BUSY)
    far.request()[0].send(OK)
    client.expect(OK)
    side.wait_total("nigh_retries_total", 1, reason="not_processed")


def test_what_is_risked_leaves_enough_for_need(nigh, backend, tmp_path):
    """Who always says so, but is near, is asked again and again. When others come that are
    as near and refuse connections, no request fails for want of a retry."""
    near, far = backend(respond=lambda head, body: BUSY), backend()
    dead = [closed_port() for _ in range(4)]
    objects = [service("orders"), node("node-a"), node("node-b"),
               slice_of("orders", near.port, endpoint(node="node-a")),
               slice_of("orders", far.port, endpoint(node="node-b"))]
    file = EndpointsFile(tmp_path, *objects)
    side = nigh.outbound(ENDPOINTS=file.setting, NODE_NAME="node-a", NAMESPACE="shop")
    client = side.client("outbound")

    def statuses(count):
        for _ in range(count):
            client.send(post(""))
            yield read_response(client).status
    assert set(statuses(100)) == {200}
    file.rename(*objects, *(slice_of("orders", sock.getsockname()[1], endpoint(node="node-a"))
                            for sock in dead))
    side.wait_event("endpoints_updated", endpoints="6")
    assert set(statuses(100)) == {200}


def test_nowhere_else(nigh, server, tmp_path):
    """The answer goes to the application, which has no use for the header."""
    app = server()
    client = outbound(nigh, tmp_path, app.port).client("outbound")
    client.send(post())
    app.request()[0].send(BUSY)
    client.expect(BUSY_PLAIN)
    app.expect_nothing()


def test_passed_through_address(nigh, server):
    app = server()
    client = nigh.outbound().client("outbound")
    client.send(post(host=app.addr))
    app.request()[0].send(BUSY)
    client.expect(BUSY_PLAIN)


def test_all_are_busy(nigh, server, tmp_path):
    """Each endpoint is asked once at most."""
    apps = [server(), server()]
    client = outbound(nigh, tmp_path, *(app.port for app in apps)).client("outbound")
    client.send(post())
    for app in apps:
        app.request()[0].send(BUSY)
    client.expect(BUSY_PLAIN)
    for app in apps:
        app.expect_nothing()


def test_body_is_no_longer_held(nigh, server, tmp_path):
    near, far = server(), server()
    client = outbound(nigh, tmp_path, near.port, far.port).client("outbound")
    client.send(post(LARGE)[:-10])
    conn = near.next_peer()
    conn.read_until(b"\r\n\r\n")
    conn.read_exactly(len(LARGE) - 10)
    client.send(b"x" * 10)
    conn.read_exactly(10)
    conn.send(BUSY)
    client.expect(BUSY_PLAIN)
    far.expect_nothing()


def test_503_of_an_application_is_its_answer(nigh, server, tmp_path):
    near, far = server(), server()
    client = outbound(nigh, tmp_path, near.port, far.port).client("outbound")
    client.send(post())
    near.request()[0].send(BUSY_PLAIN)
    client.expect(BUSY_PLAIN)
    far.expect_nothing()


def test_refused_inbound(nigh):
    with closed_port() as hole:
        client = nigh(INBOUND=f"127.0.0.1:0={hole.getsockname()[1]}").client()
        client.send(post())
        answer = read_response(client)
        assert_local(answer, 503)
        assert answer.get("nigh-not-processed")


def test_not_set_once_the_application_saw_a_byte(nigh, server):
    app = server()
    client = nigh.inbound(app).client()
    client.send(post())
    app.request()[0].close()
    answer = read_response(client)
    assert_local(answer, 502)
    assert not answer.all("nigh-not-processed")


def test_two_sidecars_lose_nothing(nigh, backend, tmp_path):
    """The near application is gone, its sidecar is still there: every POST is served."""
    good = backend()
    with closed_port() as hole:
        near = nigh(INBOUND=f"127.0.0.1:0={hole.getsockname()[1]}")
        far = nigh.inbound(good)
        side = outbound(nigh, tmp_path, near.addr("inbound")[1], far.addr("inbound")[1])
        client = side.client("outbound")
        for _ in range(20):
            client.send(post())
            answer = read_response(client)
            assert answer.status == 200, str(answer)
    assert good.requests == 20


def test_the_next_one_hangs_up(nigh, server, tmp_path):
    """What the first has answered does not count as an answer of the second."""
    apps = [server(), server(), server()]
    client = outbound(nigh, tmp_path, *(app.port for app in apps)).client("outbound")
    client.send(text("GET /x HTTP/1.1", "Host: orders"))
    apps[0].request()[0].send(BUSY)
    rest = apps[1:]
    ready = readable([app.sock for app in rest], DEADLINE)
    first = next(app for app in rest if app.sock in ready)
    first.request()[0].close()
    rest.remove(first)
    rest[0].request()[0].send(OK)
    client.expect(OK)
