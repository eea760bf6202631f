# SPDX-License-Identifier: Apache-2.0
"""Endpoints from the Kubernetes API, against a server that does what the test says.
What a real one does is in tests/kube."""
import contextlib
import http.client
import json
import os
import re
import signal
import socket
import threading
import time

import pytest

from harness.api_server import ApiServer, status
from harness.callers import Callers
from harness.certificates import tls
from harness.kube import REGION, endpoint, node, service, slice_of
from harness.peer import wait_until

METADATA = "as=PartialObjectMetadata"


@pytest.fixture
def api(cleanup):
    """api(*objects): a running API server."""
    def start(*objects, **options):
        made = ApiServer(*objects, **options)
        cleanup.callback(made.close)
        return made
    return start


@pytest.fixture
def kube(nigh, tmp_path):
    """kube(server): a sidecar on node n1 in namespace shop."""
    def start(server, **settings):
        if "KUBECONFIG" not in settings:
            settings["KUBECONFIG"] = server.kubeconfig(tmp_path)
        return nigh.outbound(**{"ENDPOINTS": "kubernetes", "NODE_NAME": "n1",
                                "NAMESPACE": "shop", "DISCOVERY_WAIT": "60s", **settings})
    return start


def orders(port, **slice_options):
    return slice_of("orders", port, endpoint(node="n1", zone="z1"),
                    **{"suffix": "1", **slice_options})


def call(side, host="orders", listener="outbound"):
    """Who has answered, or the status."""
    conn = http.client.HTTPConnection(*side.addr(listener), timeout=20)
    try:
        conn.request("GET", "/", headers={"Host": host})
        answer = conn.getresponse()
        body = answer.read()
        return body.decode() if answer.status == 200 else answer.status
    finally:
        conn.close()


def wait_call(side, want, host="orders"):
    wait_until(lambda: call(side, host) == want, f"{host} is answered by {want}")


def discovery(side, service_name="orders"):
    """What /endpoints says of the discovery of a service."""
    return next((one.get("discovery") or "" for one in side.json("/endpoints")["services"]
                 if service_name in one["service"] and one["direction"] == "outbound"), "")


def wait_discovery(side, text, service_name="orders"):
    wait_until(lambda: text in discovery(side, service_name),
               f"{service_name}: {text}", 20)


def wait_watch(server, resource="endpointslices", count=1):
    wait_until(lambda: len([w for w in server.watches if w[0].resource == resource]) == count,
               f"{count} watches of {resource}")


def hold(server, condition):
    """Requests that meet the condition wait for the event."""
    gate = threading.Event()

    def intercept(request):
        if condition(request):
            gate.wait(60)
        return False
    server.intercept = intercept
    return gate


def of_slices(request):
    return request.resource == "endpointslices"


def slices_list(request):
    return of_slices(request) and not request.is_watch


# --- only what is called, from the first call on ---

def test_a_first_request_waits_for_the_first_list(api, kube, backend):
    app = backend("a")
    server = api(service("orders"), orders(app.port))
    gate = hold(server, slices_list)
    side = kube(server)
    answers = []
    caller = threading.Thread(target=lambda: answers.append(call(side)))
    caller.start()
    wait_until(lambda: server.seen("endpointslices"), "the list is asked for")
    wait_discovery(side, "pending")
    assert not answers
    gate.set()
    caller.join(20)
    assert answers == ["a"]
    assert discovery(side) == "settled"
    assert side.total("nigh_discovery_fallbacks_total") == 0


def test_nothing_is_asked_before_somebody_calls(api, kube, backend):
    app = backend("a")
    server = api(service("orders"), service("unused"), node("n1"), orders(app.port))
    side = kube(server)
    assert not server.requests
    assert call(side, "orders.shop.svc.cluster.local") == "a"
    assert {(r.resource, r.namespace, r.name) for r in server.requests} == {
        ("endpointslices", "shop", "orders"), ("services", "shop", "orders"),
        ("nodes", "", "n1")}


def test_a_stream_that_waits_has_no_upstream_connection_yet(api, kube, backend):
    server = api(service("orders"), orders(backend("a").port))
    hold(server, slices_list)
    side = kube(server, ROUTES="127.0.0.1:0=orders:80/tcp")
    with side.client("route"):
        side.wait_total("nigh_requests_in_flight", 1)
        assert side.total("nigh_connections", side="downstream", state="tunnel") == 1
        assert side.total("nigh_connections", side="upstream") == 0


def test_the_name_by_dns_when_the_wait_is_over(api, kube, backend):
    by_name, by_slice = backend("by name"), backend("by slice")
    server = api(service("localhost", [("http", by_name.port)]),
                 slice_of("localhost", by_slice.port, endpoint()))
    gate = hold(server, slices_list)
    side = kube(server, DISCOVERY_WAIT="10ms")
    host = f"localhost:{by_name.port}"
    assert call(side, host) == "by name"
    assert side.total("nigh_discovery_fallbacks_total") == 1
    gate.set()
    wait_call(side, "by slice", host)


def test_a_route_is_watched_from_the_start(api, kube, backend):
    app = backend("a")
    server = api(service("orders"), orders(app.port))
    side = kube(server, ROUTES="127.0.0.1:0=orders:80")
    wait_watch(server)
    assert call(side, "anything", listener="route") == "a"


def test_what_is_not_called_any_more_is_not_watched(api, kube, backend):
    app = backend("a")
    server = api(service("orders"), orders(app.port), node("n1"))
    side = kube(server, DISCOVERY_IDLE="1s", IDLE_TIMEOUT="1s")

    def watched():      # called again until it is: it may be idle before that is seen
        assert call(side) == "a"
        return server.watches
    wait_until(watched, "it is watched")

    def gone():
        server.send({"type": "ARE YOU THERE", "object": {}})
        return not server.watches
    wait_until(gone, "no watch is left", 40, pause=0.1)
    side.wait_total("nigh_discovery_services", 0)
    wait_until(watched, "it is watched again")


def test_workers_share_the_watches(api, kube, backend):
    app, other = backend("a"), backend("b")
    server = api(service("orders"), orders(app.port))
    side = kube(server, WORKERS="2")
    with contextlib.ExitStack() as stack:
        conns = []
        for _ in range(8):
            conn = http.client.HTTPConnection(*side.addr("outbound"), timeout=20)
            stack.callback(conn.close)
            conns.append(conn)

        def answers():
            for conn in conns:
                conn.request("GET", "/", headers={"Host": "orders"})
            return {conn.getresponse().read() for conn in conns}
        assert answers() == {b"a"}
        server.apply(orders(other.port))
        wait_until(lambda: answers() == {b"b"}, "both workers follow")
    assert len(server.seen("endpointslices", watch=True)) == 1


def test_explain_of_what_nobody_has_called(api, kube, nigh, backend):
    app = backend("a")
    server = api(service("orders"), orders(app.port))
    side = kube(server, DISCOVERY_IDLE="1s")
    admin = "%s:%d" % side.addr("admin")
    done = nigh.run("explain", "orders", ADMIN=admin)
    assert done.returncode == 0 and f"127.0.0.1:{app.port}" in done.stdout, done
    missing = nigh.run("explain", "nothing", ADMIN=admin)
    assert missing.returncode == 1, missing
    side.wait_total("nigh_discovery_services", 0)


# --- what is told is followed ---

def test_objects_come_change_and_go(api, kube, backend):
    one, two = backend("one"), backend("two")
    server = api(service("orders"), orders(one.port))
    side = kube(server)
    assert call(side) == "one"
    server.apply(orders(two.port, suffix="2"))              # ADDED
    wait_call(side, "two")
    server.delete(orders(one.port))
    wait_until(lambda: len(side.json("/endpoints")["services"][0]["endpoints"]) == 1,
               "one is gone")
    assert call(side) == "two"
    server.apply(orders(one.port, suffix="2"))              # MODIFIED
    wait_call(side, "one")
    server.delete(orders(one.port, suffix="2"))
    wait_call(side, 503)
    server.apply(orders(two.port))
    wait_call(side, "two")
    assert len(server.seen("endpointslices", watch=False)) == 1


def event(kind, obj, version="100000"):
    return {"type": kind, "object": {**obj, "metadata": {
        **obj["metadata"], "resourceVersion": version}}}


def test_events_that_do_not_fit_what_is_known(api, kube, backend):
    one, two = backend("one"), backend("two")
    server = api(service("orders"), orders(one.port))
    side = kube(server)
    assert call(side) == "one"
    wait_watch(server)
    server.send(event("DELETED", orders(7, suffix="unknown")), "endpointslices")
    server.send({"type": "SURPRISE", "object": orders(7)}, "endpointslices")
    server.send({"type": "SURPRISE", "object": {}, "more": [1, None]}, "endpointslices")
    server.send(event("ADDED", orders(two.port)), "endpointslices")     # it is known
    wait_call(side, "two")
    server.send(event("DELETED", orders(two.port)), "endpointslices")
    wait_call(side, 503)
    server.send(event("MODIFIED", orders(one.port, suffix="new")), "endpointslices")
    wait_call(side, "one")
    # What was not asked for is not taken, whoever sends it.
    server.send(event("ADDED", slice_of("other", 7, endpoint())), "endpointslices")
    server.send(event("ADDED", orders(7, ns="elsewhere")), "endpointslices")
    server.send(event("ADDED", service("orders")), "endpointslices")
    server.send(event("MODIFIED", orders(two.port, suffix="new")), "endpointslices")
    wait_call(side, "two")
    assert len(server.seen("endpointslices")) == 2


def test_a_slice_that_changes_its_service(api, kube, backend):
    one, two = backend("one"), backend("two")
    server = api(service("orders"), service("other"), orders(one.port),
                 slice_of("other", two.port, endpoint(), suffix="1"))
    side = kube(server)
    assert (call(side), call(side, "other")) == ("one", "two")
    moved = orders(one.port)
    moved["metadata"]["labels"] = {"kubernetes.io/service-name": "other"}
    server.delete(slice_of("other", two.port, endpoint(), suffix="1"))
    server.apply(moved)                                     # DELETED by selector
    wait_call(side, 503)
    wait_call(side, "one", "other")


def test_annotations_and_port_names(api, kube, backend):
    near, far, metrics = backend("near"), backend("far"), backend("metrics")
    ports = [("http", 80), ("metrics", 9090)]
    server = api(
        service("orders", ports), orders(near.port),
        slice_of("orders", far.port, endpoint(node="n2", zone="z2"), suffix="2"),
        slice_of("orders", metrics.port, endpoint(node="n1"), port_name="metrics",
                 suffix="3"))
    side = kube(server, TOPOLOGY_KEYS="kubernetes.io/hostname,*")
    assert call(side, "orders:80") == "near"
    assert call(side, "orders:9090") == "metrics"
    server.apply(service("orders", ports, annotations={"nigh/topology-keys": '["*"]'}))
    wait_call(side, "far", "orders:80")
    server.apply(service("orders", ports))
    wait_until(lambda: {call(side, "orders:80") for _ in range(8)} == {"near"}, "near only")
    server.apply(service("orders", [("http", 81), ("metrics", 80)]))
    wait_call(side, "metrics", "orders:80")


def test_a_bookmark_moves_the_version_to_resume_from(api, kube, backend):
    server = api(service("orders"), orders(backend("a").port))
    side = kube(server)
    assert call(side) == "a"
    wait_watch(server)
    server.bookmark()
    version = str(server.version)
    server.end_watches()
    wait_until(lambda: any(r.query["resourceVersion"] == version
                           for r in server.seen("endpointslices", watch=True)),
               "a watch from the bookmark on")
    assert len(server.seen("endpointslices", watch=False)) == 1


def test_watches_begin_together(api, kube, backend):
    """None waits to share the connection of another that never ends."""
    server = api(service("orders"), orders(backend("a").port), node("n1"))
    side = kube(server)
    assert call(side) == "a"
    for _ in range(5):
        for resource in "endpointslices", "services", "nodes":
            wait_watch(server, resource)
        before = [w[0] for w in server.watches]
        server.bookmark()
        server.end_watches()
        wait_until(lambda: not any(w[0] in before for w in server.watches), "their end")


# --- versions that are too old or too new ---

def test_a_version_too_old_inside_the_stream(api, kube, backend):
    one, two = backend("one"), backend("two")
    server = api(service("orders"), orders(one.port))
    side = kube(server)
    assert call(side) == "one"
    wait_watch(server)
    version = server.seen("endpointslices", watch=True)[-1].query["resourceVersion"]
    with server.lock:
        server.objects.clear()
        server.apply(service("orders"), orders(two.port, suffix="2"))
        for watch in server.watches:                # they have heard nothing of it
            while not watch[1].empty():
                watch[1].get()
        server.expire()
    wait_call(side, "two")
    lists = server.seen("endpointslices", watch=False)
    assert lists[1].query["resourceVersionMatch"] == "NotOlderThan"
    assert lists[1].query["resourceVersion"] == version


@pytest.mark.parametrize("code", [410, 504])
def test_a_list_not_older_than_that_cannot_be_had(code, api, kube, backend):
    one, two = backend("one"), backend("two")
    server = api(service("orders"), orders(one.port))

    def intercept(request):
        if slices_list(request) and request.query.get("resourceVersion", "0") != "0":
            request.status(code, "Expired" if code == 410 else "Timeout")
            return True
        return False
    server.intercept = intercept
    side = kube(server)
    assert call(side) == "one"
    wait_watch(server)
    server.apply(orders(two.port))
    server.expire()
    wait_call(side, "two")
    wait_until(lambda: any("resourceVersion" not in r.query
                           for r in server.seen("endpointslices", watch=False)),
               "the newest list is asked for")


def test_a_watch_refused_with_410(api, kube, backend):
    one, two = backend("one"), backend("two")
    server = api(service("orders"), orders(one.port))
    refused = []

    def intercept(request):
        if request.is_watch and of_slices(request) and not refused:
            refused.append(request)
            request.status(410, "Gone")
            return True
        return False
    server.intercept = intercept
    side = kube(server)
    assert call(side) == "one"
    wait_until(lambda: len(server.seen("endpointslices", watch=False)) == 2, "a new list")
    server.apply(orders(two.port))
    wait_call(side, "two")


# --- answers that are no success ---

@pytest.mark.parametrize("code", [403, 404, 422, 429, 500, 503])
def test_a_refused_list_passes_through_and_is_asked_for_again(code, api, kube, backend):
    by_name, by_slice = backend("by name"), backend("by slice")
    server = api(service("localhost", [("http", by_name.port)]),
                 slice_of("localhost", by_slice.port, endpoint()))

    def intercept(request):
        request.status(code, "Forbidden", Retry_After="1")
        return True
    server.intercept = intercept
    side = kube(server)
    host = f"localhost:{by_name.port}"
    assert call(side, host) == "by name"
    assert side.total("nigh_discovery_fallbacks_total") == 1
    assert f"endpointslices: {code}: scripted Forbidden" in discovery(side, "localhost")
    ready, text = side.admin("/readyz")
    assert ready == 200, text
    assert f"{code}: scripted Forbidden" in side.json("/stats")["endpoints_source"]
    side.wait_event("discovery_problem", what="EndpointSlice shop/localhost")
    server.intercept = None
    wait_until(lambda: call(side, host) == "by slice", "it is granted", 20)


def test_a_refused_service_hides_no_slices(api, kube, backend):
    server = api(service("orders"), orders(backend("a").port))

    def intercept(request):
        if request.resource != "endpointslices":
            request.status(403, "Forbidden")
        return request.resource != "endpointslices"
    server.intercept = intercept
    side = kube(server)
    assert call(side) == "a"
    assert "403" in discovery(side)


def test_an_error_in_the_stream_keeps_the_version(api, kube, backend):
    one, two = backend("one"), backend("two")
    server = api(service("orders"), orders(one.port))
    side = kube(server)
    assert call(side) == "one"
    wait_watch(server)
    server.send({"type": "ERROR", "object": status(500, "InternalError")}, "endpointslices")
    server.apply(orders(two.port))
    wait_call(side, "two")
    assert len(server.seen("endpointslices", watch=False)) == 1


def test_a_new_token_is_read_when_the_old_one_is_refused(api, kube, backend, tmp_path):
    one, two = backend("one"), backend("two")
    server = api(service("orders"), orders(one.port))
    token = tmp_path / "token"
    token.write_text("old\n")
    good = ["old"]

    def intercept(request):
        if request.token not in good:
            request.status(401, "Unauthorized")
        return request.token not in good
    server.intercept = intercept
    side = kube(server, KUBECONFIG=server.kubeconfig(tmp_path, {"tokenFile": "token"}))
    assert call(side) == "one"
    wait_watch(server)
    good[0] = "new"
    server.apply(orders(two.port))
    wait_call(side, "two")          # a watch that runs goes on
    server.end_watches()
    wait_until(lambda: [r for r in server.seen(watch=True)[3:] if r.token == "old"],
               "the old token is refused")
    assert call(side) == "two"
    token.write_text("new")
    server.apply(orders(one.port))
    wait_until(lambda: call(side) == "one", "the new token is used", 20)
    assert len(server.seen("endpointslices", watch=False)) == 1


def test_without_credentials(nigh, backend):
    app = backend("by name")
    side = nigh.outbound(ENDPOINTS="kubernetes", NAMESPACE="shop", DISCOVERY_WAIT="60s")
    assert call(side, f"localhost:{app.port}") == "by name"
    assert side.total("nigh_discovery_fallbacks_total") == 1
    ready, text = side.admin("/readyz")
    assert ready == 200, text
    said = side.json("/stats")["endpoints_source"]
    assert said.startswith("not near: not in a pod"), said
    assert "not in a pod" in discovery(side, "localhost")


def test_credentials_that_come_later(api, kube, backend, tmp_path):
    server = api(service("localhost"), slice_of("localhost", backend("a").port, endpoint()))
    late = tmp_path / "late"
    side = kube(server, KUBECONFIG=str(late))
    assert call(side, f"localhost:{free_port()}") == 503
    assert "No such file" in side.json("/stats")["endpoints_source"]
    os.rename(server.kubeconfig(tmp_path), late)
    wait_until(lambda: call(side, "localhost:80") == "a", "it is read", 20)


# --- the API goes away and comes back ---

def free_port():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


def test_the_api_is_away_at_the_start(api, kube, backend):
    by_name, by_slice = backend("by name"), backend("by slice")
    server = api(service("localhost", [("http", by_name.port)]),
                 slice_of("localhost", by_slice.port, endpoint()))
    server.kill()
    side = kube(server)
    host = f"localhost:{by_name.port}"
    assert call(side, host) == "by name"
    said = side.json("/stats")["endpoints_source"]
    assert said.startswith("not near: ") and "onnect" in said, said
    assert not re.search(r"after \d", said), f"another text at each try: {said}"
    assert "cannot be reached" in discovery(side, "localhost")
    assert not re.search(r"^nigh_endpoints_last_update_seconds", side.admin("/metrics")[1],
                         re.M), "nothing was ever updated"
    assert side.admin("/readyz")[0] == 200
    server.restart()
    wait_until(lambda: call(side, host) == "by slice", "it has come", 20)
    assert side.json("/stats")["endpoints_source"] == "from the Kubernetes API"


def test_a_restart_of_the_api_costs_no_request(api, kube, backend):
    one, two = backend("one"), backend("two")
    server = api(service("orders"), node("n1"), orders(one.port, suffix=one.name))
    side = kube(server)
    with Callers(side.addr("outbound")) as load:
        load.more(50)
        for new, old in (two, one), (one, two):
            wait_watch(server)
            server.kill()
            load.more(200)
            wait_until(lambda: "cannot be reached" in discovery(side), "it says so")
            server.apply(orders(new.port, suffix=new.name))
            server.delete(orders(old.port, suffix=old.name))
            if new is one:          # the second time it has forgotten what it was
                server.forget()
            count = new.requests
            server.restart()
            wait_until(lambda: new.requests > count, "the state is followed", 30)
            load.more(50)
    assert not load.failures


def test_one_server_is_asked_by_one_request_while_it_is_away(api, kube, backend):
    app = backend("a")
    names = [f"s{i}" for i in range(12)]
    server = api(*(service(name) for name in names),
                 *(slice_of(name, app.port, endpoint()) for name in names))
    side = kube(server)
    assert {call(side, name) for name in names} == {"a"}
    wait_watch(server, count=12)
    server.kill()
    for name in names:
        wait_discovery(side, "cannot be reached", name)
    before, began = side.total("nigh_discovery_api_requests_total"), time.monotonic()
    wait_until(lambda: side.total("nigh_discovery_api_requests_total") > before + 2, "tries")
    tried = side.total("nigh_discovery_api_requests_total") - before
    # 24 feeds; a single one tries each quarter of a second at the most
    assert tried <= 25 + (time.monotonic() - began) / 0.25
    server.restart()
    wait_watch(server, count=12)
    wait_until(lambda: "settled" == discovery(side, "s11"), "all is well")


def test_a_connection_cut_in_the_middle_of_an_object(api, kube, backend):
    one, two = backend("one"), backend("two")
    server = api(service("orders"), orders(one.port))
    cut = []

    def intercept(request):
        if cut or not (of_slices(request) and request.is_watch):
            return False
        cut.append(request)
        server.apply(orders(two.port))
        half = json.dumps(event("MODIFIED", orders(two.port))).encode()
        request.begin_stream()
        request.chunk(half[:len(half) // 2])
        request.hang_up()
        return True
    server.intercept = intercept
    side = kube(server)
    wait_call(side, "two")
    versions = [r.query["resourceVersion"] for r in server.seen("endpointslices", watch=True)]
    assert versions[0] == versions[1]
    assert len(server.seen("endpointslices", watch=False)) == 1


def test_watches_that_end_at_once_do_not_spin(api, kube, backend):
    server = api(service("orders"), orders(backend("a").port))

    def intercept(request):
        if request.is_watch:
            request.begin_stream()
            request.chunk({"type": "SURPRISE", "object": {}})
            request.end_stream()
        return request.is_watch
    server.intercept = intercept
    side = kube(server)
    began = time.monotonic()
    assert call(side) == "a"
    wait_until(lambda: len(server.seen("endpointslices", watch=True)) >= 3, "3 watches", 20)
    # The pauses are of 0.8 seconds and more.
    assert len(server.seen("endpointslices", watch=True)) <= \
        1 + (time.monotonic() - began) / 0.8


# --- broken and hostile answers ---

LIST = b'{"metadata":{"resourceVersion":"9"},"items":['
DEEP = b"[" * 100000
SLICE = json.dumps(slice_of("S", 7, endpoint(), suffix="1")).encode()


def slice_with(**changes):
    obj = slice_of("S", 7, endpoint(), suffix="1")
    obj.update(changes)
    return json.dumps(obj).encode()


def meta_with(**changes):
    obj = slice_of("S", 7, endpoint(), suffix="1")
    obj["metadata"].update(changes)
    return json.dumps(obj).encode()


# None of these is an object that takes the place of another; S is its service.
BROKEN_OBJECTS = [
    b"7", b"null", b'"text"', b"[]", b"{}", b"{]", b"{{", b'{"a"', b'{"metadata":{}}',
    b'{"metadata":null}', b'{"metadata":7}', DEEP, b'{"a":' * 70 + b"1" + b"}" * 70,
    b"1" * 400000, b'{"a":1e99999,"b":-' + b"9" * 5000 + b"}",
    b'{"a":"' + b"x" * (5 << 20) + b'"}', b"[" + b"0," * 300000 + b"0]",
    b'{"metadata":{"name":"S-1","namespace":"shop"', b"\x00\xff\xfe" * 99,
    meta_with(name=7), meta_with(name=""), meta_with(name=None), meta_with(namespace=[]),
    meta_with(labels=7), meta_with(labels={"kubernetes.io/service-name": 7}),
    slice_with(endpoints="none"), slice_with(endpoints={}), slice_with(endpoints=[7, None]),
    slice_with(endpoints=[{"addresses": 7}]), slice_with(endpoints=[{"addresses": []}]),
    slice_with(endpoints=[{"addresses": ["10.0.0.999"]}]), slice_with(ports="all"),
    slice_with(addressType=4), slice_with(addressType=None), slice_with(metadata=[]),
]

BROKEN_LISTS = [LIST + text + b"]}" for text in BROKEN_OBJECTS] + [
    b"", b"{}", b"null", b"[]", b'"items"', b"\xff" * 10_000_000, b" " * 10_000_000,
    b"{" * 1000, DEEP, LIST, LIST + SLICE, LIST + SLICE + b"]", LIST + b"]}x", LIST + b"]]",
    b'{"items":[]}', b'{"metadata":{"resourceVersion":7},"items":[]}',
    b'{"metadata":{"resourceVersion":""},"items":[]}', b'{"metadata":[],"items":[]}',
    b'{"metadata":{"resourceVersion":"9"}}', b'{"metadata":{"resourceVersion":"9"},"items":7}',
    b'{"metadata":{"resourceVersion":"9"},"items":{}}',
    b'{"metadata":{"resourceVersion":"' + b"9" * 4000 + b'"},"items":[]}',
    b'{"metadata":{"resourceVersion":"9","continue":"' + b"c" * 5000 + b'"},"items":[]}',
    json.dumps(status(500)).encode(),
]

BROKEN_EVENTS = [b'{"type":"MODIFIED","object":' + text + b"}" for text in BROKEN_OBJECTS] + [
    b"7 ", b"null ", b"[]", b"{}", b'{"type":7}', b'{"type":"ADDED"}', b'"ADDED"',
    b'{"object":{}}', b'{"type":"DELETED","object":[]}', b'{"type":"ERROR","object":7}',
    b'{"type":"ERROR","object":{}}', b'{"type":"ERROR","object":{"code":"x","message":[]}}',
    b'{"type":"ERROR","object":{"code":1e99}}', b"\xff" * 10_000_000, DEEP, b"{" * 100,
    b"]", b"}", b"garbage ", b'{"type":"DELETED"}' * 3,
]


def broken_world(api, backend, bodies):
    """One service for each body: a shared backend, and what its truth is later."""
    old, new = backend("old"), backend("new")
    names = [f"s{i}" for i in range(len(bodies))]
    server = api(*(service(name) for name in names),
                 *(slice_of(name, old.port, endpoint(), suffix="1") for name in names))
    raw = {name: body.replace(b'"S', f'"{name}'.encode()).replace(b'"S"', name.encode())
           for name, body in zip(names, bodies)}
    return server, names, raw, new


def test_broken_lists_change_nothing(api, kube, backend):
    server, names, raw, new = broken_world(api, backend, BROKEN_LISTS)
    side = kube(server)
    assert {call(side, name) for name in names} == {"old"}
    wait_watch(server, count=len(names))
    broken = set(names)

    def intercept(request):
        if slices_list(request) and request.name in broken:
            request.answer(200, raw[request.name])
            return True
        return False
    server.intercept = intercept
    server.expire("endpointslices")
    for name in names:
        wait_discovery(side, "not usable", name)
    assert {call(side, name) for name in names} == {"old"}
    broken.clear()
    server.apply(*(slice_of(name, new.port, endpoint(), suffix="1") for name in names))
    for name in names:
        wait_until(lambda name=name: call(side, name) == "new", f"{name} is right", 60)


def test_broken_events_change_nothing(api, kube, backend):
    server, names, raw, new = broken_world(api, backend, BROKEN_EVENTS)
    told = set()

    def intercept(request):
        if of_slices(request) and request.is_watch and request.name not in told:
            told.add(request.name)
            request.begin_stream()
            request.chunk(raw[request.name] + b"\n")
            request.end_stream()
            return True
        return False
    server.intercept = intercept
    side = kube(server)
    assert {call(side, name) for name in names} == {"old"}
    wait_watch(server, count=len(names))
    assert {call(side, name) for name in names} == {"old"}
    server.apply(*(slice_of(name, new.port, endpoint(), suffix="1") for name in names))
    for name in names:
        wait_until(lambda name=name: call(side, name) == "new", f"{name} is right", 60)


@pytest.mark.parametrize("items", ["%s,[]", "[],%s", "[%s],null", "null,[%s]"])
def test_a_key_that_is_there_twice_loses_nothing(items, api, kube, backend):
    app = backend("a")
    one = json.dumps(orders(app.port))
    first, second = (part if part in ("null", "[]") else f"[{one}]"
                     for part in items.split(","))
    server = api(service("orders"))

    def intercept(request):
        if slices_list(request):
            request.answer(200, (f'{{"metadata":{{"resourceVersion":"101"}},"items":{first},'
                                 f'"items":{second}}}').encode())
        return slices_list(request)
    server.intercept = intercept
    assert call(kube(server)) == "a"


def test_a_list_in_the_smallest_pieces(api, kube, backend):
    server = api(service("orders"), orders(backend("a").port))

    def intercept(request):
        if not slices_list(request):
            return False
        request.begin_stream()
        for byte in json.dumps(server.list_body(request), indent=1).encode():
            request.chunk(bytes([byte]))
        request.end_stream()
        return True
    server.intercept = intercept
    assert call(kube(server)) == "a"


# --- lists in pages ---

def pages(count, port):
    return [slice_of("orders", port, endpoint(f"127.0.0.{i + 1}"), suffix=f"{i:03}")
            for i in range(count)]


def endpoints_of(side):
    return {one["address"] for one in side.json("/endpoints")["services"][0]["endpoints"]}


def test_a_list_in_pages(api, kube, backend):
    app = backend("a", host="0.0.0.0")
    server = api(service("orders"), *pages(7, app.port))
    server.page = 2
    side = kube(server)
    assert call(side) == "a"
    assert len(endpoints_of(side)) == 7
    asked = [r.query.get("continue") for r in server.seen("endpointslices", watch=False)]
    assert asked == [None, "2", "4", "6"]
    assert all("resourceVersion" not in r.query and "resourceVersionMatch" not in r.query
               for r in server.seen("endpointslices", watch=False)[1:])


def test_a_page_that_is_forgotten(api, kube, backend):
    app = backend("a", host="0.0.0.0")
    server = api(service("orders"), *pages(5, app.port))
    server.page = 2
    refused = []

    def intercept(request):
        if request.query.get("continue") == "4" and not refused:
            refused.append(request)
            request.status(410, "Expired")
            return True
        return False
    server.intercept = intercept
    side = kube(server)
    assert call(side) == "a"
    assert len(endpoints_of(side)) == 5
    lists = server.seen("endpointslices", watch=False)
    assert [r.query.get("continue") for r in lists] == [None, "2", "4"] + [None, "2", "4"]
    assert "resourceVersion" not in lists[3].query


def test_a_list_without_end(api, kube, backend):
    one, two = backend("one"), backend("two")
    server = api(service("orders"), orders(one.port))
    side = kube(server)
    assert call(side) == "one"
    wait_watch(server)
    server.apply(orders(two.port))
    wait_call(side, "two")

    def intercept(request):
        if slices_list(request):
            request.answer(200, {"metadata": {"resourceVersion": "9", "continue": "more"},
                                 "items": []})
        return slices_list(request)
    server.intercept = intercept
    server.expire("endpointslices")
    wait_discovery(side, "too many pages")
    assert call(side) == "two"


# --- nodes ---

def test_our_node_and_no_other(api, kube, backend):
    near, far = backend("near"), backend("far")
    server = api(
        service("orders"), node("n1", "z1"), node("n2", "z2"),
        slice_of("orders", near.port, endpoint(node="n3", zone="z1"), suffix="1"),
        slice_of("orders", far.port, endpoint(node="n2", zone="z2"), suffix="2"))
    side = kube(server)
    assert {call(side) for _ in range(8)} == {"near"}
    wait_watch(server, "nodes")
    assert {r.name for r in server.seen("nodes")} == {"n1"}
    assert all(METADATA in r.headers["Accept"] for r in server.seen("nodes"))
    server.apply(node("n1", "z2"))
    wait_call(side, "far")
    wait_until(lambda: {call(side) for _ in range(8)} == {"far"}, "far only")


def test_other_nodes_when_a_key_needs_them(api, kube, backend):
    near, far = backend("near"), backend("far")
    server = api(
        service("orders"), node("n1", **{REGION: "here"}), node("n2", **{REGION: "here"}),
        node("n3", **{REGION: "there"}), node("n4"),
        slice_of("orders", near.port, endpoint(node="n2"), suffix="1"),
        slice_of("orders", far.port, endpoint(node="n3"), suffix="2"))
    side = kube(server, TOPOLOGY_KEYS=f"{REGION},*")
    assert {call(side) for _ in range(8)} == {"near"}
    assert {r.name for r in server.seen("nodes")} == {"n1", "n2", "n3"}
    assert all(METADATA in r.headers["Accept"] for r in server.seen("nodes"))
    wait_watch(server, "nodes", 3)
    server.apply(node("n1", **{REGION: "there"}))
    wait_until(lambda: {call(side) for _ in range(8)} == {"far"}, "far only")


def test_a_node_that_only_beats_its_heart(api, kube, backend):
    server = api(service("orders"), node("n1", "z1"), orders(backend("a").port))
    side = kube(server)
    assert call(side) == "a"
    wait_watch(server, "nodes")
    wait_watch(server, "services")
    wait_watch(server)
    age = side.total("nigh_endpoints_last_update_seconds")
    before = time.monotonic() - age         # or later: the answer took its time
    for _ in range(20):
        server.apply(node("n1", "z1"))
    version = str(server.version)
    server.end_watches()
    wait_until(lambda: any(r.query["resourceVersion"] == version
                           for r in server.seen("nodes", watch=True)), "they are read")
    after = time.monotonic()
    assert side.total("nigh_endpoints_last_update_seconds") >= after - before - 0.02


# --- how it connects ---

def test_a_proxy_in_the_environment_is_not_for_the_api(api, kube, backend):
    server = api(service("orders"), orders(backend("a").port))
    nowhere = f"http://127.0.0.1:{free_port()}"
    side = kube(server, http_proxy=nowhere, https_proxy=nowhere, all_proxy=nowhere)
    assert call(side) == "a"


def test_tls_with_the_authority_of_the_kubeconfig(api, kube, backend, certs, tmp_path):
    server = api(service("orders"), orders(backend("a").port), tls=tls(certs))
    config = server.kubeconfig(tmp_path, certificate_authority=str(certs / "ca.crt"))
    side = kube(server, KUBECONFIG=config)
    assert call(side) == "a"
    assert server.requests[0].token == "secret"


def test_tls_with_a_client_certificate(api, kube, backend, certs, tmp_path):
    server = api(service("orders"), orders(backend("a").port),
                 tls=tls(certs, wants_client=True))
    config = server.kubeconfig(
        tmp_path, {"client-certificate": str(certs / "client.crt"),
                   "client-key": str(certs / "client.key")},
        certificate_authority=str(certs / "ca.crt"))
    assert call(kube(server, KUBECONFIG=config)) == "a"
    assert "Authorization" not in server.requests[0].headers


def test_tls_under_another_name(api, kube, backend, certs, tmp_path):
    server = api(service("orders"), orders(backend("a").port), tls=tls(certs, "named"))
    config = server.kubeconfig(tmp_path, certificate_authority=str(certs / "ca.crt"),
                               tls_server_name="api.test")
    assert call(kube(server, KUBECONFIG=config)) == "a"


@pytest.mark.parametrize("authority, certificate", [("other", "server"), ("ca", "named")])
def test_a_server_that_is_not_the_right_one(authority, certificate, api, kube, backend,
                                            certs, tmp_path):
    app = backend("by name")
    server = api(tls=tls(certs, certificate))
    config = server.kubeconfig(tmp_path, certificate_authority=str(certs / f"{authority}.crt"))
    side = kube(server, KUBECONFIG=config)
    assert call(side, f"localhost:{app.port}") == "by name"
    said = side.json("/stats")["endpoints_source"]
    assert said.startswith("not near: the API server cannot be reached: SSL"), said
    assert not server.requests


# --- the end ---

@pytest.mark.parametrize("state", ["watches", "list", "outage", "pause"])
def test_the_end_at_any_time(state, api, kube, backend):
    server = api(service("orders"), node("n1"), orders(backend("a").port))
    side = kube(server, DISCOVERY_WAIT="1ms")
    if state == "list":
        hold(server, slices_list)
    if state == "pause":
        server.intercept = lambda request: request.status(500) or True
    call(side)
    if state == "list":
        wait_until(lambda: server.seen("endpointslices"), "a list is under way")
    if state == "outage":
        server.kill()
        wait_discovery(side, "cannot be reached")
    if state == "watches":
        wait_watch(server)
    side.signal(signal.SIGTERM)
    assert side.wait(20) == 0
