# SPDX-License-Identifier: Apache-2.0
"""When our own service has grown, each inbound keep-alive connection is recycled once.
What counts as growth, and when, is tests/unit/test_topo_growth.c's to show."""
import time

import pytest

from harness.api_server import ApiServer
from harness.kube import EndpointsFile, endpoint, service, slice_of
from harness.load import Call, Load
from harness.message import read_response, text
from harness.pauses import patient, within
from harness.peer import wait_until
from harness.sidecar import fields_of

GET = text("GET / HTTP/1.1", "Host: app.test")
GET_OLD = text("GET / HTTP/1.0", "Host: app.test", "Connection: keep-alive")
US = "10.9.0.1"


def pods(*numbers, name="web", unready=()):
    """The service with these pods, by the last byte of their address."""
    return service(name), slice_of(
        name, 8080, *[endpoint(f"10.9.0.{number}", ready=number not in unready)
                      for number in numbers])


class File:
    """The state of our own service, in a file."""

    def __init__(self, folder):
        self._file = EndpointsFile(folder)
        self.settings = {"ENDPOINTS": self._file.setting}

    def show(self, *objects):
        self._file.rename(*objects)

    def vanish(self):
        self.show()


class Api:
    """The same, at an API server."""

    def __init__(self, folder):
        self.server = ApiServer()
        self.settings = {"ENDPOINTS": "kubernetes",
                         "KUBECONFIG": self.server.kubeconfig(folder)}

    def show(self, *objects):
        self.server.apply(*objects)

    def vanish(self):
        self.server.delete(*self.server.objects.values())


@pytest.fixture(params=[File, Api], ids=["file", "kubernetes"])
def source(request, tmp_path, cleanup):
    made = request.param(tmp_path)
    if request.param is Api:
        cleanup.callback(made.server.close)
    return made


@pytest.fixture
def api(tmp_path, cleanup):
    made = Api(tmp_path)
    cleanup.callback(made.server.close)
    return made


def settings(source, **more):
    return {**source.settings, "SERVICE": "web", "POD_IP": US, "NAMESPACE": "shop",
            "REBALANCE": "100ms", **more}


@pytest.fixture
def start(nigh, backend):
    """start(source, *pods): a sidecar that knows that its service has these pods."""
    def make(source, *numbers, app=None, kind="http", **more):
        source.show(*pods(*numbers))
        side = nigh.inbound(app or backend(), kind, **settings(source, **more))
        wait_ready(side, len(numbers))
        return side
    return make


def connections(side):
    return side.json("/connections")["connections"]


def moments(side, clients):
    """What each of them has drawn: in how many milliseconds."""
    drawn = {row["peer"]: row["rebalance_in_ms"] for row in connections(side)}
    return [drawn["%s:%d" % client.sock.getsockname()] for client in clients]


def progress(side):
    return side.json("/stats")["rebalance"]


def wait_ready(side, count, number=0):
    """Until the sidecar knows of so many ready addresses."""
    wait_until(lambda: progress(side)["own_services"][number]["ready_addresses"] == count,
               f"{count} are ready", 20)


def events(side, event):
    found = [fields_of(line) for line in list(side.lines)]
    return [line for line in found if line.get("event") == event]


def wait_rebalance(side, new, count=1, event="rebalance_ends"):
    """Until the last of so many rebalances is over; that one was for so many pods."""
    wait_until(lambda: len(events(side, event)) >= count, f"{count} {event}", 20)
    assert len(events(side, "rebalance_begins")) == count, side.log
    assert events(side, event)[-1]["new_addresses"] == str(new), side.log


def recycled(side):
    return side.total("nigh_recycled_total", direction="inbound", side="downstream",
                      reason="rebalance")


def ask(client, request=GET):
    """Whether the response says close."""
    client.send(request)
    answer = read_response(client)
    assert answer.status == 200
    if request is GET_OLD:
        return "keep-alive" not in answer.tokens("Connection")
    return answer.says_close()


def expect_recycle(client, request=GET):
    assert ask(client, request)
    client.expect_fin()


def opened(side, count=1):
    """Clients that have been served once."""
    clients = [side.client() for _ in range(count)]
    assert not any(ask(client) for client in clients)
    return clients


# --- each connection once ---

@pytest.mark.parametrize("workers", [1, 3])
def test_each_connection_once(workers, source, start):
    side = start(source, 1, 2, WORKERS=workers)
    clients = opened(side, 24)
    source.show(*pods(1, 2, 3, 4))
    wait_rebalance(side, new=2)
    for client in clients:
        expect_recycle(client)
    after = opened(side, 24)
    for client in after * 5:
        assert not ask(client)
    assert recycled(side) == side.total("nigh_recycled_total", side="downstream") == 24
    assert side.total("nigh_rebalances_total") == 1
    assert side.total("nigh_rebalance_due") == 0


def test_moments_are_spread_over_the_window(source, start):
    side = start(source, 1, 2, REBALANCE="1h")
    clients = opened(side, 128)
    assert not any(row["rebalance_in_ms"] for row in connections(side))
    source.show(*pods(1, 2, 3))
    wait_rebalance(side, new=1, event="rebalance_begins")
    wait_until(lambda: progress(side)["connections_due"] == 128, "all have drawn")
    drawn, hour = moments(side, clients), 3600 * 1000
    quarters = [int(moment * 4 / hour) for moment in drawn]
    assert set(quarters) <= {0, 1, 2, 3}
    assert all(quarters.count(n) >= 6 for n in range(4)), sorted(quarters)
    keep = [one for one, moment in zip(clients, drawn) if moment > 60000]
    assert keep and not any(ask(client) for client in keep)
    assert side.total("nigh_rebalance_due") == 128 and recycled(side) == 0


def test_who_comes_later_has_no_moment(source, start):
    """The new pods were there for it to land on."""
    side = start(source, 1, 2, REBALANCE="1h")
    clients = opened(side)
    source.show(*pods(1, 2, 3))
    wait_ready(side, 3)
    clients += opened(side)
    wait_rebalance(side, new=1, event="rebalance_begins")
    wait_until(lambda: progress(side)["connections_due"] == 1, "one has drawn")
    rows = connections(side)
    rows.sort(key=lambda row: row["age_ms"])
    assert [row["rebalance_in_ms"] is None for row in rows] == [True, False]


def test_who_is_quiet_is_only_marked(source, start):
    """Never closed while the client may be writing; not even before its first request."""
    side = start(source, 1, 2)
    silent, idle, old = side.client(), *opened(side, 2)
    wait_until(lambda: len(connections(side)) == 3, "all are there")
    source.show(*pods(1, 2, 3))
    wait_rebalance(side, new=1)
    assert events(side, "rebalance_ends")[0]["still_due"] == "3"
    assert progress(side)["connections_due"] == 3
    rows = connections(side)
    assert all(row["rebalance_in_ms"] <= 0 and row["state"] == "idle" for row in rows)
    idle.expect_silence(0.5)
    expect_recycle(silent)
    expect_recycle(idle)
    expect_recycle(old, GET_OLD)
    wait_until(lambda: progress(side)["connections_due"] == 0, "nobody is due")


def test_a_response_under_way_is_not_cut(source, start, server):
    app = server()
    side = start(source, 1, 2, app=app)
    client = side.client()
    client.send(GET)
    conn, _ = app.request()
    conn.send(text("HTTP/1.1 200 OK", "Content-Length: 10", body="hello"))
    client.read_until(b"hello")
    source.show(*pods(1, 2, 3))
    wait_rebalance(side, new=1)
    conn.send(b"world")
    client.expect(b"world")
    client.send(GET)
    again, _ = app.request()
    again.send(text("HTTP/1.1 200 OK", "Content-Length: 0"))
    assert read_response(client).says_close()
    client.expect_fin()
    assert recycled(side) == 1


def test_a_response_of_our_own_says_close_and_counts(source, start, backend):
    app = backend()
    side = start(source, 1, 2, app=app)
    client = opened(side)[0]
    app.kill()
    source.show(*pods(1, 2, 3))
    wait_rebalance(side, new=1)
    client.send(GET)
    answer = read_response(client)
    assert answer.status == 503 and answer.says_close()
    assert recycled(side) == 1


def test_a_connection_that_ends_is_not_due(source, start):
    side = start(source, 1, 2, REBALANCE="1h")
    clients = opened(side, 3)
    source.show(*pods(1, 2, 3))
    wait_until(lambda: progress(side)["connections_due"] == 3, "all are due", 20)
    drawn = moments(side, clients)
    last = clients.pop(drawn.index(max(drawn)))     # not due before that
    clients[0].reset()
    last.send(text("GET / HTTP/1.1", "Host: a", "Connection: close"))
    assert read_response(last).says_close()
    wait_until(lambda: progress(side)["connections_due"] == 1, "one is due")
    assert recycled(side) == 0


@pytest.mark.parametrize("name", ["tcp", "upgrade", "upgrade later"])
def test_streams_are_exempt(name, source, start, server):
    app = server()
    side = start(source, 1, 2, app=app, kind="tcp" if name == "tcp" else "http",
                 REBALANCE="1h")
    client = side.client()

    def upgrade():
        client.send(text("GET / HTTP/1.1", "Host: a", "Connection: Upgrade",
                         "Upgrade: x"))
        conn, _ = app.request()
        conn.send(text("HTTP/1.1 101 Switching Protocols", "Connection: Upgrade",
                       "Upgrade: x"))
        assert read_response(client).status == 101
        return conn
    conn = app.accept() if name == "tcp" else upgrade() if name == "upgrade" else None
    wait_until(lambda: len(connections(side)) == 1, "it is there")
    source.show(*pods(1, 2, 3))
    wait_rebalance(side, new=1, event="rebalance_begins")
    if name == "upgrade later":
        wait_until(lambda: progress(side)["connections_due"] == 1, "it is due")
        conn = upgrade()
    wait_until(lambda: progress(side)["connections_due"] == 0, "nobody is due")
    assert "rebalance_in_ms" not in connections(side)[0]
    conn.send(b"hello")
    client.expect(b"hello")


def test_outbound_is_exempt(source, nigh, backend):
    app = backend()
    source.show(*pods(1, 2))
    side = nigh.outbound(**settings(source, POOL_IDLE_TIMEOUT="1h"))
    wait_ready(side, 2)
    client = side.client("outbound")
    request = text("GET / HTTP/1.1", f"Host: 127.0.0.1:{app.port}")
    client.send(request)
    assert not read_response(client).says_close()
    source.show(*pods(1, 2, 3))
    wait_rebalance(side, new=1)
    client.send(request)
    assert not read_response(client).says_close()
    assert len(app.conns) == 1


# --- what is none ---

TWO_PORTS = service("web", (("http", 80), ("more", 81))), slice_of(
    "web", 9090, *[endpoint(f"10.9.0.{n}") for n in (1, 2, 3)], port_name="more")
NOTHING = {                     # what there is then, and the pods behind it
    "the same state again": (pods(2, 1, 3), [1, 2, 3]),
    "shrinking": (pods(1, 2), [1, 2]),
    "one becomes unready": (pods(1, 2, 3, unready=[3]), [1, 2]),
    "one that is not ready comes": (pods(1, 2, 3, 4, unready=[4]), [1, 2, 3]),
    "another service grows": (pods(1, 2, 3) + pods(7, 8, name="x"), [1, 2, 3]),
    "it has another port": (pods(1, 2, 3)[1:] + TWO_PORTS, [1, 2, 3]),
}


@pytest.mark.parametrize("what", NOTHING)
def test_nothing_happens(what, source, start):
    """Then one more pod is one more."""
    side = start(source, 1, 2, 3)
    client = opened(side)[0]
    objects, numbers = NOTHING[what]
    source.show(*objects)
    wait_ready(side, len(numbers))
    source.show(*pods(*numbers, 9))
    wait_rebalance(side, new=1)
    expect_recycle(client)


def test_our_own_start(source, nigh, backend):
    """We are not in the service yet when we first see it."""
    source.show(*pods(2, 3))
    side = nigh.inbound(backend(), **settings(source))
    wait_ready(side, 2)
    client = opened(side)[0]
    source.show(*pods(1, 2, 3))
    wait_ready(side, 3)
    assert progress(side) == {
        "own_services": [{"service": "shop/web", "known": True, "ready_addresses": 3}],
        "rebalances": 0, "last_growth": None, "new_addresses_waiting": 0,
        "connections_due": 0}
    source.show(*pods(1, 2, 3, 4))
    wait_rebalance(side, new=1)
    expect_recycle(client)


def test_a_service_that_vanishes_comes_back_as_it_was(source, start):
    side = start(source, 1, 2, 3)
    source.vanish()
    wait_ready(side, 0)
    source.show(*pods(1, 2, 3))
    wait_ready(side, 3)
    assert progress(side)["new_addresses_waiting"] == 0
    source.show(*pods(1, 2, 3, 4))
    wait_rebalance(side, new=1)


def test_never(source, nigh, backend):
    source.show(*pods(1, 2))
    side = nigh.inbound(backend(), OUTBOUND="127.0.0.1:0",
                        **settings(source, REBALANCE="0", SERVICE="web"))
    client = opened(side)[0]
    source.show(*pods(1, 2, 3))
    assert progress(side)["own_services"] == []
    time.sleep(0.6)             # a rebalance would begin within this
    assert progress(side)["rebalances"] == 0 and not ask(client)
    if isinstance(source, Api):
        assert not source.server.requests


def test_not_during_a_drain(source, start):
    side = start(source, 1, 2, DRAIN_DELAY="60s", DRAIN_TIMEOUT="60s")
    client = side.client()
    assert side.admin("/drain", "POST")[0] == 200
    source.show(*pods(1, 2, 3))
    wait_ready(side, 3)
    time.sleep(0.6)             # a rebalance would begin within this
    assert progress(side)["rebalances"] == 0
    assert not events(side, "rebalance_begins")
    expect_recycle(client)      # by the drain
    assert recycled(side) == 0


def test_dns_cannot_tell(nigh, backend):
    side = nigh.inbound(backend(), SERVICE="web", ENDPOINTS="dns")
    side.wait_event("no_effect", variable="NIGH_SERVICE")
    assert progress(side)["own_services"][0]["known"] is False


# --- not more often than the interval ---

def test_growth_in_the_interval_is_caught_up_once(source, start):
    """Here one for one, as in a rolling update. No client moves more often than that."""
    interval = 3
    side = start(source, 1, 2, 3, REBALANCE_INTERVAL=f"{interval}s")
    clients = opened(side, 4)
    source.show(*pods(1, 3, 4))
    wait_rebalance(side, new=1)
    for client in clients:
        expect_recycle(client)
    began = time.monotonic()
    clients = opened(side, 4)
    source.show(*pods(1, 4, 5, 6))
    wait_rebalance(side, new=2, count=2)
    wait_until(lambda: all(row["rebalance_in_ms"] is not None
                           and row["rebalance_in_ms"] <= 0
                           for row in connections(side) if row["state"] == "idle"),
               "every moment has come", 20)
    assert time.monotonic() - began > interval - 0.01
    for client in clients:
        expect_recycle(client)
    first, second = [line for line in side.lines if "event=rebalance_begins" in line]
    assert clock_of(second) - clock_of(first) > interval - 0.1
    assert recycled(side) == 8


@patient
def test_a_rolling_update_of_20_pods(source, start):
    """A client moves once for the growth, and then at most once in each interval."""
    interval, began = 1, time.monotonic()
    side = start(source, *range(1, 21), REBALANCE_INTERVAL=f"{interval}s",
                 MAX_REQUESTS="0")
    clients, ages = [], []

    def call(number):
        since, client = clients[number]
        if ask(client):
            client.expect_fin()
            ages.append(time.monotonic() - since)
            clients[number] = time.monotonic(), side.client()
    clients.extend((began - interval, client) for client in opened(side, 8))
    for first in range(2, 21):
        with within(interval):      # else it is not growing all the time
            source.show(*pods(1, *range(first + 1, first + 20)))
            end = time.monotonic() + 0.2
            while time.monotonic() < end:
                for number in range(8):
                    call(number)
    assert len(ages) == recycled(side) >= 8
    assert min(ages) > interval - 0.01, sorted(ages)
    assert len(ages) <= 8 * ((time.monotonic() - began) / interval + 1)


def clock_of(line):
    """Seconds, of the day at least."""
    hours, minutes, rest = line.split("T", 1)[1].split("Z", 1)[0].split(":")
    return int(hours) * 3600 + int(minutes) * 60 + float(rest)


def test_still_marked_when_the_next_comes(source, start):
    """One recycle answers both."""
    side = start(source, 1, 2, REBALANCE_INTERVAL="0s")
    client = opened(side)[0]
    source.show(*pods(1, 2, 3))
    wait_rebalance(side, new=1)
    source.show(*pods(1, 2, 3, 4))
    wait_rebalance(side, new=1, count=2)
    assert progress(side)["connections_due"] == 1
    expect_recycle(client)
    assert recycled(side) == 1 and not ask(opened(side)[0])


# --- what can be seen of it ---

def test_it_is_shown(source, start):
    side = start(source, 1, 2, SERVICE="web,canary.test", ACCESS_LOG="on")
    assert [own["service"] for own in progress(side)["own_services"]] == [
        "shop/web", "test/canary"]
    assert progress(side)["last_growth"] is None
    client = opened(side)[0]
    source.show(*pods(1, 2, 3, 4))
    wait_rebalance(side, new=2)
    for path in "/stats", "/endpoints":
        shown = side.json(path)["rebalance"]
        assert shown["rebalances"] == 1 and shown["connections_due"] == 1
        assert shown["last_growth"]["new_addresses"] == 2
        assert 0 <= shown["last_growth"]["seconds_ago"] < 600
    expect_recycle(client)
    side.wait_event("access", recycled="rebalance", outcome="completed")
    assert side.json("/stats")["inbound"]["downstream"]["recycled"]["rebalance"] == 1


def test_a_closing_connection_says_why(source, start):
    side = start(source, 1, 2)
    client = opened(side)[0]
    assert connections(side)[0]["recycled"] is None
    source.show(*pods(1, 2, 3))
    wait_rebalance(side, new=1)
    assert ask(client)
    row, = connections(side)
    assert (row["state"], row["recycled"]) == ("closing", "rebalance")


# --- with the Kubernetes API ---

def test_watched_from_the_start(api, nigh, backend):
    """Before anybody calls it, and nothing else is."""
    api.show(*pods(1, 2))
    side = nigh.inbound(backend(), **settings(api))
    wait_ready(side, 2)
    assert {(r.resource, r.namespace, r.name) for r in api.server.seen()} == {
        ("endpointslices", "shop", "web"), ("services", "shop", "web")}


def test_what_the_server_does_is_no_growth(api, start):
    """Relists, ends of watches, an outage."""
    side = start(api, 1, 2, 3)
    client = opened(side)[0]
    for act in api.server.expire, api.server.end_watches:
        before = len(api.server.seen("endpointslices"))
        act()
        wait_until(lambda seen=before: len(api.server.seen("endpointslices")) > seen,
                   "it asks again", 20)
    api.server.kill()
    side.wait_event("discovery_problem", deadline=30)
    api.server.forget()
    api.server.restart()
    side.wait_event("discovery_well", deadline=30)
    wait_ready(side, 3)
    assert progress(side)["rebalances"] == progress(side)["new_addresses_waiting"] == 0
    api.show(*pods(1, 2, 3, 4))
    wait_rebalance(side, new=1)
    expect_recycle(client)


def test_growth_in_an_outage_counts(api, start):
    side = start(api, 1, 2)
    api.server.kill()
    side.wait_event("discovery_problem", deadline=30)
    api.show(*pods(1, 2, 3))
    api.server.restart()
    wait_rebalance(side, new=1)


# --- the whole of it ---

def n_opened(side):
    return side.total("nigh_connections_opened_total", side="downstream")


def test_new_pods_get_their_share(nigh, backend, tmp_path, cleanup):
    """2 to 4 pods: half of the connections, each for one recycle, and no request lost."""
    app, n_clients = backend(), 64
    addrs = [f"127.0.0.{number}" for number in range(2, 6)]
    file = EndpointsFile(tmp_path)

    def show(count):
        file.rename(service("web"), slice_of("web", 80, *map(endpoint, addrs[:count])))
    show(2)
    sides = [nigh(INBOUND=f"{addr}:0=127.0.0.1:{app.port}", ENDPOINTS=file.setting,
                  SERVICE="web", NAMESPACE="shop", POD_IP=addr, REBALANCE="1s")
             for addr in addrs]
    for side in sides:
        wait_ready(side, 2)
    ready = [side.addr("inbound") for side in sides[:2]]
    turns = iter(range(1 << 30))
    load = cleanup.enter_context(Load(
        lambda: Call("GET", "/"), lambda _: ready[next(turns) % len(ready)],
        n_clients, rate=500, keeps=True))
    wait_until(lambda: sum(map(n_opened, sides)) == n_clients, "all are there")
    ready.extend(side.addr("inbound") for side in sides[2:])
    show(4)
    for side in sides[:2]:
        wait_rebalance(side, new=2)
    for side in sides:
        wait_until(lambda of=side: progress(of)["connections_due"] == 0, "all is done")
    n_recycled = [recycled(side) for side in sides]
    wait_until(lambda: len(load.connections) >= n_clients + sum(n_recycled), "all are back")
    load.stop()
    assert not load.failures, load.failures[:5]
    assert len(load.connections) == n_clients + sum(n_recycled)
    begun = [clock_of(line) for side in sides for line in side.lines
             if "event=rebalance_begins" in line]
    # Not on a machine so slow that one was recycled before another heard of the growth.
    if len(begun) == 4 and max(begun) - min(begun) < 0.24:
        assert n_recycled == [n_clients / 2, n_clients / 2, 0, 0]
        assert list(map(n_opened, sides)) == [n_clients * 3 / 4] * 2 + [n_clients / 4] * 2
