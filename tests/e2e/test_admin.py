# SPDX-License-Identifier: Apache-2.0
"""The admin port: status and shape of each path, metrics, who may ask."""
import json
import os

import pytest

from harness.dialogue import OK
from harness.kernel import own_address, thread_stopped
from harness.kube import EndpointsFile, endpoint, node, service, slice_of
from harness.message import read_response, text
from harness.peer import connect, wait_until
from harness.sidecar import stopped

GET = text("GET / HTTP/1.1", "Host: app.test")
PATHS = ["/healthz", "/readyz", "/metrics", "/config", "/endpoints", "/stats", "/connections", "/"]
JSON_PATHS = ["/config", "/endpoints", "/stats", "/connections"]

REQUIRED = ["nigh_requests_total", "nigh_request_duration_seconds", "nigh_connections",
            "nigh_connections_opened_total", "nigh_recycled_total", "nigh_endpoint_picks_total",
            "nigh_retries_total", "nigh_local_responses_total", "nigh_endpoints",
            "nigh_endpoints_last_update_seconds", "nigh_drain_state", "process_cpu_seconds_total",
            "process_resident_memory_bytes", "process_open_fds", "process_max_fds",
            "process_start_time_seconds", "process_virtual_memory_bytes"]


def roundtrip(client, app, request=GET, answer=OK):
    client.send(request)
    conn, _ = app.request()
    conn.send(answer)
    return read_response(client)


@pytest.mark.parametrize("path", PATHS)
def test_path(path, nigh):
    status, body = nigh().admin(path)
    assert status == 200
    assert body or path == "/healthz"


@pytest.mark.parametrize("path", JSON_PATHS)
def test_json(path, nigh, server):
    """Well-formed, idle and busy."""
    app = server()
    side = nigh.inbound(app, OUTBOUND="127.0.0.1:0")
    side.json(path)
    client = side.client("outbound")
    roundtrip(client, app, text("GET / HTTP/1.1", f"Host: {app.addr}"))
    side.json(path)


def test_index_names_every_path(nigh):
    _, body = nigh().admin("/")
    for path in PATHS[:-1] + ["/drain"]:
        assert path in body


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PATCH"])
def test_wrong_method(method, nigh):
    """The answer says what would be right (RFC 9110 section 15.5.6)."""
    with nigh().client("admin") as client:
        client.send(text(f"{method} /metrics HTTP/1.1", "Host: a", "Connection: close"))
        answer = read_response(client)
    assert answer.status == 405
    assert answer.get("Allow") == "GET, HEAD" and answer.get("Server") == "nigh"


@pytest.mark.parametrize("method, path, status", [
    ("GET", "/nothing", 404), ("GET", "/metrics/", 404), ("POST", "/metrics", 405),
    ("POST", "/config", 405), ("HEAD", "/healthz", 200),
    ("GET", "/healthz?verbose=1", 200)])
def test_odd_requests(method, path, status, nigh):
    assert nigh().admin(path, method)[0] == status


def test_bad_request(nigh):
    client = nigh().client("admin")
    client.send(b"\x16\x03\x01 hello\r\n\r\n")
    assert b" 200 " not in client.read_to_end()


def test_keep_alive_and_pipeline(nigh):
    client = nigh().client("admin")
    client.send(text("GET /healthz HTTP/1.1", "Host: a") * 3)
    assert [read_response(client).status for _ in range(3)] == [200] * 3


def test_config(nigh):
    rows = nigh(MAX_REQUESTS="77").json("/config")
    row = next(row for row in rows if row["name"] == "NIGH_MAX_REQUESTS")
    assert (row["value"], row["default"], row["origin"]) == ("77", "1000", "environment")


def test_connections(nigh, server):
    app = server()
    side = nigh.inbound(app)
    client = side.client()
    for _ in range(3):
        roundtrip(client, app)
    told = json.dumps(side.json("/connections"))
    assert str(client.sock.getsockname()[1]) in told, told
    rows = side.json("/connections")
    rows = rows.get("connections", rows) if isinstance(rows, dict) else rows
    row = next(row for row in rows if row["requests"] == 3)
    assert row["side"] == "inbound" and row["state"] == "idle"
    assert row["age_ms"] >= 0 and 800 <= row["max_requests"] <= 1000
    assert 240000 <= row["max_age_ms"] <= 300000


def test_endpoints(nigh, server, tmp_path):
    app = server()
    file = EndpointsFile(tmp_path, service("orders"), node("node-a", "zone-a"),
                         slice_of("orders", app.port, endpoint(node="node-a", zone="zone-a")))
    side = nigh.outbound(ENDPOINTS=file.setting, NODE_NAME="node-a", NAMESPACE="shop")
    client = side.client("outbound")
    roundtrip(client, app, text("GET / HTTP/1.1", "Host: orders"))
    told = json.dumps(side.json("/endpoints"))
    for word in ("shop/orders", "node-a", "zone-a", "kubernetes.io/hostname=node-a",
                 str(app.port), "in_flight", "requests"):
        assert word in told, f"no {word} in {told}"


def test_endpoints_of_both_directions(nigh, server):
    """The application's address, dialled by the application too, is two destinations."""
    app = server()
    side = nigh.inbound(app, OUTBOUND="127.0.0.1:0")
    for name in ("inbound", "outbound"):
        with side.client(name) as client:
            roundtrip(client, app, text("GET / HTTP/1.1", f"Host: {app.addr}"))
    told = [(one["service"], one["direction"], one["endpoints"][0]["requests"])
            for one in side.json("/endpoints")["services"]]
    assert sorted(told) == [(app.addr, "inbound", 1), (app.addr, "outbound", 1)]


# --- who may ask ---

def test_loopback_may_all(nigh):
    side = nigh(ADMIN="127.0.0.1:0")
    assert side.admin("/config")[0] == 200


def statuses(side, address, paths):
    answers = {}
    for path in paths:
        with connect((address, side.addr("admin")[1]), source=address) as client:
            client.send(text(f"GET {path} HTTP/1.1", "Host: a", "Connection: close"))
            answers[path] = read_response(client).status
    return answers


@pytest.mark.parametrize("allow", [False, True])
def test_others_may_little(allow, nigh):
    """Probes and metrics for everyone; the rest is for loopback, or for whom we allow."""
    address = own_address()
    settings = {"ADMIN_ALLOW": f"198.51.100.0/24,{address}/32"} if allow else {}
    side = nigh(ADMIN=f"{address}:0", **settings)
    answers = statuses(side, address, PATHS)
    for path in ("/healthz", "/readyz", "/metrics"):
        assert answers[path] == 200
    for path in JSON_PATHS:
        assert answers[path] == (200 if allow else 403)


# --- metrics ---

def test_metrics_are_well_formed_and_complete(nigh, server):
    app = server()
    side = nigh.inbound(app, OUTBOUND="127.0.0.1:0")
    roundtrip(side.client(), app)
    scrape = side.metrics()
    for name in REQUIRED:
        assert name in scrape.type, name
        assert scrape.help[name]


def test_start_time_stands_still(nigh):
    """Whoever looks for restarts looks for its changes."""
    side = nigh()
    told = {side.total("process_start_time_seconds") for _ in range(50)}
    assert len(told) == 1


def test_metrics_escape_labels(nigh, server):
    """A name from outside must not break the page."""
    app = server()
    side = nigh.outbound()
    client = side.client("outbound")
    roundtrip(client, app, text("GET / HTTP/1.1", f"Host: {app.addr}"))
    with side.client("outbound") as odd:
        odd.send(text("GET / HTTP/1.1", "Host: a!$&'()*+;=~.invalid"))
        read_response(odd)
    side.metrics()


def test_names_from_outside_make_no_series(nigh, server):
    """Hosts that are no service share one label: metrics must not grow with traffic."""
    app = server(host="0.0.0.0")
    side = nigh.outbound()
    client = side.client("outbound")
    roundtrip(client, app, text("GET / HTTP/1.1", f"Host: 127.0.0.1:{app.port}"))
    before = len(side.metrics().samples)
    for number in range(2, 22):
        roundtrip(client, app, text("GET / HTTP/1.1", f"Host: 127.0.0.{number}:{app.port}"))
    assert len(side.metrics().samples) <= before + 2


def test_requests_are_counted(nigh, server):
    app = server()
    side = nigh.inbound(app)
    client = side.client()
    for _ in range(3):
        roundtrip(client, app)
    roundtrip(client, app, answer=text("HTTP/1.1 404 Not Found", "Content-Length: 0"))
    side.wait_total("nigh_requests_total", 4, direction="inbound")
    scrape = side.metrics()
    by_code = {dict(labels)["code"]: value for (name, labels), value in scrape.samples.items()
               if name == "nigh_requests_total" and value}
    assert sum(by_code.values()) == 4 and len(by_code) == 2
    assert [value for code, value in by_code.items() if code.startswith("4")] == [1]
    assert scrape.total("nigh_request_duration_seconds_count") == 4


@pytest.mark.parametrize("path", ["/metrics", "/stats", "/connections", "/endpoints"])
def test_no_sums_without_a_worker(path, nigh, server):
    """Counters that go down would look like a restart, and make peaks of rates."""
    side = nigh.inbound(server(), WORKERS="2")
    worker = os.listdir(f"/proc/{side.pid}/task")[-1]       # they stand in order of birth
    with thread_stopped(int(worker)):
        assert side.admin(path)[0] == 503
    assert side.admin(path)[0] == 200


def test_connections_are_counted(nigh, server):
    app = server()
    side = nigh.inbound(app)
    clients = [side.client() for _ in range(3)]
    for client in clients:
        roundtrip(client, app)
    side.wait_total("nigh_connections", 3, direction="inbound", side="downstream")
    side.wait_total("nigh_connections_opened_total", 3, direction="inbound", side="downstream")
    for client in clients:
        client.close()
    side.wait_total("nigh_connections", 0, direction="inbound", side="downstream")
    side.wait_total("nigh_connections_opened_total", 3, direction="inbound", side="downstream")


def test_file_descriptors_come_back(nigh, server):
    app = server()
    side = nigh.inbound(app, POOL_IDLE_TIMEOUT="50ms")
    before = side.total("process_open_fds")
    for _ in range(20):
        with side.client() as client:
            roundtrip(client, app)
    wait_until(lambda: side.total("process_open_fds") <= before + 1, "descriptors are closed")


def test_callers_that_stay_keep_nobody_out(nigh):
    """Of 300 that do not go, some within a request, the oldest are sent away; a probe and
    who has come last are answered, and all descriptors come back."""
    side = nigh()
    before = side.total("process_open_fds")
    stay = []
    for i in range(300):
        stay.append(side.client("admin"))
        if i % 3 == 1:
            stay[-1].send(b"GET /healthz HTTP/1.1\r\nHost: a\r\nX: ")
        if i % 3 == 2:
            stay[-1].send(text("GET /healthz HTTP/1.1", "Host: a"))
            assert read_response(stay[-1]).status == 200
        assert side.admin("/healthz")[0] == 200
    stay[0].expect_fin()
    assert before < side.total("process_open_fds") <= before + 100
    stay[-1].send(text("GET /healthz HTTP/1.1", "Host: a"))
    assert read_response(stay[-1]).status == 200
    for client in stay:
        client.close()
    wait_until(lambda: side.total("process_open_fds") <= before + 1, "descriptors are closed")


def test_many_at_once(nigh):
    """Who has to go in the moment that the others come."""
    side = nigh()
    before = side.total("process_open_fds")
    with stopped(side):
        crowd = [side.client("admin") for _ in range(200)]
    assert side.admin("/healthz")[0] == 200
    assert side.total("process_open_fds") <= before + 100
    for client in crowd:
        client.close()
    wait_until(lambda: side.total("process_open_fds") <= before + 1, "descriptors are closed")
