# SPDX-License-Identifier: Apache-2.0
"""Outbound: which endpoint a call goes to, by the endpoints file."""
import http.client
import json
from collections import Counter

import pytest

from harness.backend import ok
from harness.dialogue import assert_local
from harness.kube import (HOSTNAME, ZONE, ConfigMapVolume, EndpointsFile, endpoint, node,
                          service, slice_of)
from harness.message import read_response, text
from harness.peer import expect_refusal, wait_until
from harness.server import closed_port

HERE = {"NODE_NAME": "node-a1", "ZONE": "zone-a", "NAMESPACE": "shop"}
NODES = [node("node-a1", "zone-a"), node("node-a2", "zone-a"), node("node-b1", "zone-b")]
PLACES = {"near": ("node-a1", "zone-a"), "zone": ("node-a2", "zone-a"),
          "far": ("node-b1", "zone-b")}


def at(place, port, name="orders", address="127.0.0.1", **state):
    """A slice with one endpoint in this place."""
    node_name, zone = PLACES[place]
    return slice_of(name, port, endpoint(address, node=node_name, zone=zone, **state),
                    suffix=f"{place}-{port}")


class World:
    """Backends in places, the file that tells of them, and a sidecar that reads it."""

    def __init__(self, tmp_path, nigh, backend):
        self.nigh = nigh
        self.backend = backend
        self.folder = tmp_path
        self.backends = {}
        self.file = None
        self.side = None

    def add(self, place, name=None, **options):
        made = self.backend(name or place, **options)
        self.backends[made.name] = (place, made)
        return made

    def slices(self, *names):
        return [at(place, made.port) for name, (place, made) in self.backends.items()
                if not names or name in names]

    def start(self, *objects, svc=None, **settings):
        objects = objects or (svc or service("orders"), *self.slices(), *NODES)
        self.file = EndpointsFile(self.folder, *objects)
        self.side = self.nigh.outbound(ENDPOINTS=self.file.setting, **{**HERE, **settings})
        return self.side

    def fetch(self, host="orders", method="GET", body=None):
        """(status, body, headers) of one call on a connection of its own."""
        conn = http.client.HTTPConnection(*self.side.addr("outbound"), timeout=10)
        conn.putrequest(method, "/", skip_host=True)
        conn.putheader("Host", host)
        if body is not None:
            conn.putheader("Content-Length", str(len(body)))
        conn.endheaders(body)
        answer = conn.getresponse()
        data = answer.read().decode()
        conn.close()
        return answer.status, data, answer.headers

    def who(self, times=10, host="orders"):
        """Which backends answered so many calls."""
        answers = Counter()
        for _ in range(times):
            status, body, _ = self.fetch(host)
            assert status == 200, body
            answers[body] += 1
        return answers

    def wait_who(self, name, host="orders"):
        """Until a change of the file is seen: calls go to this one."""
        wait_until(lambda: self.fetch(host)[1] == name, f"calls go to {name}")


@pytest.fixture
def world(tmp_path, nigh, backend):
    return World(tmp_path, nigh, backend)


def everywhere(world):
    for place in PLACES:
        world.add(place)
    return world


# --- the nearest domain ---

def test_same_node_first(world):
    everywhere(world).start()
    assert world.who() == {"near": 10}


def test_same_zone_next(world):
    world.add("zone"), world.add("far")
    world.start()
    assert world.who() == {"zone": 10}


def test_any_at_last(world):
    world.add("far")
    world.start()
    assert world.who() == {"far": 10}


def test_unready_is_passed_over(world):
    near, far = world.add("near"), world.add("far")
    world.start(service("orders"), at("near", near.port, ready=False), at("far", far.port), *NODES)
    assert world.who() == {"far": 10}


def test_terminating_only_if_nothing_is_ready(world):
    near, far = world.add("near"), world.add("far")
    dying = {"ready": False, "serving": True, "terminating": True}
    world.start(service("orders"), at("near", near.port, **dying), at("far", far.port), *NODES)
    assert world.who() == {"far": 10}
    world.file.rename(service("orders"), at("near", near.port, **dying), *NODES)
    world.wait_who("near")


def test_keys_of_the_service(world):
    """The owner's keys win over ours; without * there is no way out of the zone."""
    everywhere(world).start(svc=service("orders", topologyKeys=[ZONE]))
    assert set(world.who(40)) == {"near", "zone"}


def test_keys_of_the_annotation(world):
    keys = {"nigh/topology-keys": json.dumps([HOSTNAME])}
    everywhere(world).start(svc=service("orders", annotations=keys))
    assert world.who() == {"near": 10}


def test_internal_traffic_policy_local(world):
    everywhere(world).start(svc=service("orders", internalTrafficPolicy="Local"))
    assert world.who() == {"near": 10}


def test_hints(world):
    """With hints the hint decides, wherever the endpoint is."""
    near, far = world.add("near"), world.add("far")
    world.start(service("orders", trafficDistribution="PreferClose"),
                at("near", near.port, for_zones=["zone-b"]),
                at("far", far.port, for_zones=["zone-a"]), *NODES)
    assert world.who() == {"far": 10}


def test_own_keys(world):
    everywhere(world).start(TOPOLOGY_KEYS="*")
    assert set(world.who(60)) == {"near", "zone", "far"}


@pytest.mark.parametrize("keys", [[HOSTNAME], [HOSTNAME, ZONE]])
def test_no_endpoint_allowed(keys, world):
    """Never a silent widening: 503 that names the keys."""
    world.add("far")
    world.start(svc=service("orders", topologyKeys=keys))
    client = world.side.client("outbound")
    client.send(text("GET / HTTP/1.1", "Host: orders"))
    answer = read_response(client)
    assert_local(answer, 503, "no endpoint")
    assert HOSTNAME.encode() in answer.body or b"on this node" in answer.body


def test_service_without_endpoints(world):
    world.start(service("orders"), *NODES)
    status, body, headers = world.fetch()
    assert status == 503 and headers["Server"] == "nigh"
    assert "service has no ready endpoint" in body


# --- names and ports ---

NAMES = ["orders", "orders.shop", "orders.shop.svc", "orders.shop.svc.cluster.local",
         "orders.shop.svc.cluster.local.", "ORDERS.Shop.SVC", "orders:80", "orders.shop:80",
         "orders.shop.svc.cluster.local:80", "orders.shop.svc.cluster.local.:80"]


@pytest.mark.parametrize("host", NAMES)
def test_names(host, world):
    world.add("near")
    world.start()
    assert world.fetch(host)[:2] == (200, "near")


def test_names_with_other_cluster_domain(world):
    world.add("near")
    world.start(CLUSTER_DOMAIN="corp.example")
    assert world.fetch("orders.shop.svc.corp.example")[:2] == (200, "near")


def test_other_namespace_is_another_service(world):
    near, far = world.add("near"), world.add("far")
    world.start(service("orders"), service("orders", ns="test"), at("near", near.port),
                slice_of("orders", far.port, endpoint(node="node-a1"), ns="test"), *NODES)
    assert world.fetch("orders.test")[1] == "far"
    assert world.fetch("orders.shop")[1] == "near"


@pytest.mark.parametrize("host, name", [
    ("orders", "web"), ("orders:80", "web"), ("orders:81", "metrics"), ("orders:9999", None)])
def test_service_ports(host, name, world):
    """The port that is called is the Service's; its name leads to the slice's port."""
    web, metrics = world.add("near", "web"), world.add("near", "metrics")
    world.start(service("orders", ports=[("web", 80), ("metrics", 81)]),
                slice_of("orders", web.port, endpoint(node="node-a1"), port_name="web"),
                slice_of("orders", metrics.port, endpoint(node="node-a1"), port_name="metrics"),
                *NODES)
    status, body, headers = world.fetch(host)
    if name:
        assert (status, body) == (200, name)
    else:
        assert status == 503 and headers["Server"] == "nigh"


def test_no_service_object(world):
    """A slice alone will do: its number, or its only port."""
    near = world.add("near")
    world.start(at("near", near.port), *NODES)
    assert world.fetch("orders")[:2] == (200, "near")
    assert world.fetch(f"orders:{near.port}")[:2] == (200, "near")


# --- what is no service ---

def test_address_is_passed_through(world):
    """An address is dialled as it is, even one of a service."""
    near, far = world.add("near"), world.add("far")
    world.start()
    assert world.fetch(f"127.0.0.1:{far.port}")[1] == "far"
    assert world.fetch(f"127.0.0.1:{near.port}")[1] == "near"


def test_other_name_is_resolved(world):
    near = world.add("near")
    world.start()
    assert world.fetch(f"localhost:{near.port}")[:2] == (200, "near")


def test_unknown_name_is_502_or_503(world):
    world.add("near")
    world.start()
    status, body, headers = world.fetch("no-such-name.invalid")
    assert status in (502, 503) and headers["Server"] == "nigh"
    assert "no-such-name.invalid" in body, body


def test_pod_name_is_no_other_pod(world):
    """A name of one pod is the cluster DNS's to resolve, never another pod's."""
    near = world.add("near")
    world.start(service("orders", clusterIP="None"), at("near", near.port, hostname="orders-0"),
                *NODES)
    for suffix in ("svc", "svc.cluster.local"):
        assert world.fetch(f"orders-1.orders.shop.{suffix}:{near.port}")[0] == 502
    assert near.requests == 0


def test_absolute_form_and_connect(world):
    world.add("near"), world.add("far")
    side = world.start()
    with side.client("outbound") as client:
        client.send(text("GET http://orders.shop/ HTTP/1.1", "Host: ignored"))
        assert read_response(client).body == b"near"
    with side.client("outbound") as client:
        client.send(text("CONNECT orders.shop:80 HTTP/1.1", "Host: orders.shop:80"))
        assert read_response(client, "CONNECT").status == 200
        client.send(text("GET / HTTP/1.1", "Host: x"))
        assert read_response(client).body == b"near"


def test_connect_refused_by_keys(world):
    world.add("far")
    side = world.start(svc=service("orders", topologyKeys=[HOSTNAME]))
    client = side.client("outbound")
    client.send(text("CONNECT orders.shop:80 HTTP/1.1", "Host: orders.shop:80"))
    assert_local(read_response(client), 503)


# --- failures ---

def test_refused_goes_to_the_next_of_the_domain(world, cleanup):
    hole = cleanup.enter_context(closed_port())
    near = world.add("near")
    world.add("far")
    world.start(service("orders"), *world.slices(), at("near", hole.getsockname()[1]), *NODES)
    assert world.who(40) == {"near": 40}    # half of them begin with the hole
    assert near.requests == 40
    assert world.side.total("nigh_retries_total", reason="connect_failed") >= 1


def test_refused_goes_to_the_next_domain(world, cleanup):
    hole = cleanup.enter_context(closed_port())
    world.add("zone"), world.add("far")
    world.start(service("orders"), *world.slices(), at("near", hole.getsockname()[1]), *NODES)
    assert world.who(20) == {"zone": 20}


def test_refused_never_leaves_what_is_allowed(world, cleanup):
    hole = cleanup.enter_context(closed_port())
    world.add("far")
    world.start(service("orders", topologyKeys=[HOSTNAME]), *world.slices(),
                at("near", hole.getsockname()[1]), *NODES)
    status, body, headers = world.fetch()
    assert status in (502, 503) and headers["Server"] == "nigh", body
    assert world.backends["far"][1].requests == 0


def test_failing_endpoint_is_set_aside(world, cleanup):
    """After a few refusals an endpoint is not asked each time, and it comes back."""
    hole = cleanup.enter_context(closed_port())
    world.add("near")
    world.start(service("orders"), *world.slices(), at("near", hole.getsockname()[1]), *NODES)
    world.who(60)
    assert world.side.total("nigh_retries_total", reason="connect_failed") < 20

    def aside():            # it comes back by itself, until it fails again
        world.who(1)
        return [row["port"] for row in endpoints_of(world.side) if row["set_aside_ms"]]
    assert wait_until(aside, "one is set aside") == [hole.getsockname()[1]]


def test_all_set_aside_are_all_used(world, cleanup):
    hole = cleanup.enter_context(closed_port())
    port = hole.getsockname()[1]
    world.start(service("orders"), at("near", port), *NODES)
    for _ in range(10):
        assert world.fetch()[0] in (502, 503)
    hole.close()
    world.backend("back", port=port)
    assert world.fetch()[:2] == (200, "back")


def endpoints_of(side):
    services = side.json("/endpoints")
    services = services.get("services", services) if isinstance(services, dict) else services
    return services[0]["endpoints"]


# --- balance ---

def test_about_even(world):
    """One connection of the client, three endpoints, each gets its share."""
    for name in "abc":
        world.add("near", name)
    side = world.start()
    with side.client("outbound") as client:
        for _ in range(600):
            client.send(text("GET / HTTP/1.1", "Host: orders"))
            read_response(client)
    shares = {name: made.requests for name, (_, made) in world.backends.items()}
    # 200 and at most seven standard deviations.
    assert all(120 <= share <= 280 for share in shares.values()), shares


def test_slices_are_a_union(world):
    """Several slices, several addresses in one, the same address twice."""
    a = world.add("near", "a")
    b = world.add("near", "b", host="127.0.0.2", port=a.port)
    c = world.add("near", "c")
    both = slice_of("orders", a.port, endpoint(a.host, node="node-a1"),
                    endpoint(b.host, node="node-a1"), suffix="1")
    again = slice_of("orders", a.port, endpoint(a.host, node="node-a1"), suffix="2")
    world.start(service("orders"), both, again, at("near", c.port), *NODES)
    assert set(world.who(60)) == {"a", "b", "c"}


def test_six(world):
    """IPv6 endpoints behind an IPv6 listener."""
    six = world.add("near", "six", host="::1")
    world.start(service("orders"), at("near", six.port, address="::1"), *NODES,
                OUTBOUND="[::1]:0")
    assert world.who() == {"six": 10}
    assert world.fetch(f"[::1]:{six.port}")[:2] == (200, "six")


# --- the file changes ---

WAYS = ["overwrite", "rename"]


@pytest.mark.parametrize("way", WAYS)
def test_file_changes(way, world):
    old, new = world.add("near", "old"), world.add("near", "new")
    world.start(service("orders"), *world.slices("old"), *NODES)
    assert world.who() == {"old": 10}
    getattr(world.file, way)(service("orders"), *world.slices("new"), *NODES)
    world.wait_who("new")
    assert world.who() == {"new": 10}
    getattr(world.file, way)(service("orders"), *world.slices("old"), *NODES)
    world.wait_who("old")


def test_configmap_changes(world, tmp_path):
    world.add("near", "old"), world.add("near", "new")
    folder = tmp_path / "volume"
    folder.mkdir()
    volume = ConfigMapVolume(folder, service("orders"), *world.slices("old"), *NODES)
    world.side = world.nigh.outbound(ENDPOINTS=volume.setting, **HERE)
    assert world.who() == {"old": 10}
    for name in ("new", "old", "new"):
        volume.publish(service("orders"), *world.slices(name), *NODES)
        world.wait_who(name)


@pytest.mark.parametrize("data", ["", "{", '{"kind":"List","items":[{"kind":"EndpointSlice"',
                                  "[]", "null", '"x"', "\0", '{"kind":"List","items":3}'])
def test_broken_file_keeps_the_old_state(data, world):
    world.add("near", "old"), world.add("near", "new")
    side = world.start(service("orders"), *world.slices("old"), *NODES)
    world.fetch()
    world.file.overwrite_text(data)
    assert side.wait_event("endpoints_rejected")["error"]
    assert world.who() == {"old": 10}
    assert side.admin("/readyz")[0] == 200
    world.file.rename(service("orders"), *world.slices("new"), *NODES)
    world.wait_who("new")


def test_file_comes_late(world, tmp_path):
    """Missing at the start: pass through, say so, and take it when it comes."""
    world.add("near")
    world.side = world.nigh.outbound(ENDPOINTS=f"file:{tmp_path / 'endpoints.json'}", **HERE)
    assert world.side.admin("/readyz")[0] == 200
    EndpointsFile(tmp_path, service("orders"), *world.slices(), *NODES)
    wait_until(lambda: world.fetch()[0] == 200, "the file is read")


@pytest.mark.parametrize("way", ["outbound", "route"])
def test_first_request_waits_for_a_file_that_is_being_written(way, world, tmp_path):
    """It is empty when we start, because somebody writes it just now."""
    world.add("near")
    path = tmp_path / "endpoints.json"
    path.write_text("")
    side = world.nigh.outbound(ENDPOINTS=f"file:{path}", ROUTES="127.0.0.1:0=orders:80",
                               DISCOVERY_WAIT="60s", **HERE)
    with side.client(way) as client:
        client.send(text("GET / HTTP/1.1", "Host: orders"))
        wait_until(lambda: side.total("nigh_connections", direction="outbound",
                                      side="downstream") == 1, "the client is here")
        EndpointsFile(tmp_path, service("orders"), *world.slices(), *NODES)
        assert read_response(client).status == 200
    assert side.total("nigh_discovery_fallbacks_total") == 0


def test_removed_endpoint_gets_nothing_more(world):
    """Not even on connections that are open to it."""
    old, _ = world.add("near", "old"), world.add("near", "new")
    world.start()
    world.who(20)
    world.file.rename(service("orders"), *world.slices("new"), *NODES)
    wait_until(lambda: len(endpoints_of(world.side)) == 1, "the change is seen")
    seen = old.requests
    assert world.who(20) == {"new": 20}
    assert old.requests == seen


# --- one listener per service ---

def test_http_route(world):
    """The listener decides, not Host; Host goes through as it is."""
    hosts = []
    world.add("near", respond=lambda head, body: hosts.append(head) or ok("near"))
    world.add("far")
    file = EndpointsFile(world.folder, service("orders"), *world.slices(), *NODES)
    side = world.nigh.route("orders:80", ENDPOINTS=file.setting, **HERE)
    with side.client("route") as client:
        client.send(text("GET / HTTP/1.1", "Host: other.test"))
        assert read_response(client).body == b"near"
    assert b"\r\nHost: other.test\r\n" in hosts[0]


@pytest.mark.parametrize("target", ["orders:80/tcp", "orders.shop:http/tcp", "orders:http/tcp"])
def test_tcp_route(target, world, server):
    app = server()
    file = EndpointsFile(world.folder, service("orders"), at("near", app.port), *NODES)
    side = world.nigh.route(target, ENDPOINTS=file.setting, **HERE)
    client = side.client("route")
    conn = app.accept()
    conn.send(b"220 hello\r\n")
    client.expect(b"220 hello\r\n")
    client.send(b"QUIT\r\n")
    conn.expect(b"QUIT\r\n")


def test_tcp_route_without_endpoint_is_reset(world):
    file = EndpointsFile(world.folder, service("orders"), *NODES)
    side = world.nigh.route("orders:80/tcp", ENDPOINTS=file.setting, **HERE)
    expect_refusal(side.addr("route"))


def test_tcp_route_fails_over(world, cleanup, server):
    hole = cleanup.enter_context(closed_port())
    app = server()
    file = EndpointsFile(world.folder, service("orders"), at("near", hole.getsockname()[1]),
                         at("far", app.port), *NODES)
    side = world.nigh.route("orders:80/tcp", ENDPOINTS=file.setting, **HERE)
    client = side.client("route")
    client.send(b"hello")
    app.accept().expect(b"hello")


# --- explain ---

def explain(world, *arguments, **settings):
    return world.nigh.run("explain", *arguments, ENDPOINTS=world.file.setting,
                          **{**HERE, **settings})


def test_explain_json(world):
    everywhere(world).start()
    done = explain(world, "orders:80", "--json")
    assert done.returncode == 0
    told = json.loads(done.stdout)
    assert told["service"] == "shop/orders" and told["port"] == 80
    assert told["mode"] == "defaultKeys" and told["domain"] == f"{HOSTNAME}=node-a1"
    assert told["reason"]
    rows = {row["port"]: row for row in told["endpoints"]}
    assert len(rows) == 3
    for name, (place, made) in world.backends.items():
        row = rows[made.port]
        assert (row["address"], row["node"], row["zone"]) == ("127.0.0.1", *PLACES[place])
        assert row["state"] == "ready" and row["chosen"] == (name == "near") and row["why"]


@pytest.mark.parametrize("spec, mode, domain", [
    ({"topologyKeys": [ZONE]}, "topologyKeys", f"{ZONE}=zone-a"),
    ({"topologyKeys": ["*"]}, "topologyKeys", "*"),
    ({"internalTrafficPolicy": "Local"}, "internalTrafficPolicy", f"{HOSTNAME}=node-a1"),
    ({"trafficDistribution": "PreferClose"}, "trafficDistribution", None)])
def test_explain_modes(spec, mode, domain, world):
    everywhere(world).start(svc=service("orders", **spec))
    told = json.loads(explain(world, "orders", "--json").stdout)
    assert told["mode"] == mode
    assert domain is None or told["domain"] == domain


def test_explain_text(world):
    everywhere(world).start()
    done = explain(world, "orders")
    assert done.returncode == 0
    for _, made in world.backends.values():
        assert f"127.0.0.1:{made.port}" in done.stdout
    assert "node-b1" in done.stdout and "zone-a" in done.stdout


def test_explain_exit_status(world):
    world.add("far")
    world.start(svc=service("orders", topologyKeys=[HOSTNAME]))
    assert explain(world, "orders").returncode == 1
    assert explain(world, "unknown").returncode == 1
    assert explain(world, "orders:99").returncode == 1
    assert explain(world).returncode == 2
    assert explain(world, "..").returncode == 2


def test_explain_asks_the_running_sidecar(world):
    """Without a file in the environment: what the sidecar of this pod would do."""
    everywhere(world).start()
    world.fetch()
    host, port = world.side.addr("admin")
    done = world.nigh.run("explain", "orders.shop", "--json", ADMIN=f"{host}:{port}", **HERE)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert [row["port"] for row in told["endpoints"] if row["chosen"]] \
        == [world.backends["near"][1].port]


def test_picks_are_counted(world):
    everywhere(world).start()
    world.who(5)
    picks = world.side.metrics()
    assert picks.total("nigh_endpoint_picks_total", service="shop/orders") == 5
    assert picks.total("nigh_endpoints", service="shop/orders") == 3
