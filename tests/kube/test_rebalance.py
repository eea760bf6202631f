# SPDX-License-Identifier: Apache-2.0
"""Our own service grows in a real cluster: its controllers tell, and each inbound
connection is recycled once."""
import itertools

import pytest

from harness.load import Call, Load
from harness.peer import DEADLINE, connect, wait_until
from harness.sidecar import fields_of
from rig.world import APP_PORT

N_CLIENTS = 32


def progress(side):
    return side.json("/stats")["rebalance"]


def wait_ready(side, count):
    wait_until(lambda: progress(side)["own_services"][0]["ready_addresses"] == count,
               f"{count} are ready\n{side.log}", 3 * DEADLINE)


def ready_service(world, count):
    """The service, once the controllers have found so many pods to be ready: what a
    sidecar that starts now sees first."""
    world.service()
    world.wait_endpoints(
        lambda found: sum(one["conditions"]["ready"] for one in found) == count,
        f"{count} ready endpoints")


def begun(side):
    """The rebalances so far, as the log has them."""
    lines = [fields_of(line) for line in list(side.lines)]
    return [line for line in lines if line.get("event") == "rebalance_begins"]


def recycled(side):
    return side.total("nigh_recycled_total", side="downstream", reason="rebalance")


@pytest.fixture
def serve(world):
    """serve(pod): its sidecar."""
    def start(pod, **settings):
        return world.sidecar(**{
            "INBOUND": f"{pod.address}:0={pod.address}:{APP_PORT}", "OUTBOUND": "off",
            "SERVICE": "orders", "POD_IP": pod.address, "REBALANCE": "1s", **settings})
    return start


def test_new_pods_get_their_share(world, serve, cleanup):
    """2 to 3 pods. Each connection moves once, and no request fails."""
    pods = [world.pod("one"), world.pod("two"), world.pod("three", ready=False)]
    ready_service(world, 2)
    sides = [serve(pod) for pod in pods]
    for side in sides:
        wait_ready(side, 2)
    places, turns = [side.addr("inbound") for side in sides[:2]], itertools.count()
    load = cleanup.enter_context(Load(
        lambda: Call("GET", "/"), lambda _: places[next(turns) % len(places)],
        N_CLIENTS, rate=300, keeps=True))
    wait_until(lambda: len(load.connections) == N_CLIENTS, "all have called", 20)
    places.append(sides[2].addr("inbound"))
    pods[2].set_ready()
    for side in sides[:2]:
        side.wait_event("rebalance_ends", new_addresses="1", deadline=3 * DEADLINE)
        wait_until(lambda of=side: progress(of)["connections_due"] == 0, "all is done", 20)
    n_recycled = sum(map(recycled, sides))
    wait_until(lambda: len(load.connections) >= N_CLIENTS + n_recycled, "all are back")
    load.stop()
    assert not load.failures, load.failures[:5]
    # The new one was there when the first was recycled, so all landed on what they knew.
    assert recycled(sides[2]) == 0 and not begun(sides[2])
    assert sides[2].total("nigh_connections_opened_total", side="downstream") >= \
        N_CLIENTS // 3
    assert len(load.connections) == N_CLIENTS + n_recycled


def test_a_rolling_update(world, serve):
    """One for one, several within the interval: at most one rebalance in each."""
    pods = [world.pod(f"old-{number}") for number in range(4)]
    ready_service(world, 4)
    side = serve(pods[0], REBALANCE="100ms", REBALANCE_INTERVAL="1h")
    wait_ready(side, 4)
    client = connect(side.addr("inbound"))
    wait_until(lambda: side.json("/connections")["connections"], "it is there")
    for number, old in enumerate(pods[1:]):
        world.pod(f"new-{number}")
        wait_ready(side, 5)
        old.terminate()
        wait_ready(side, 4)
        old.remove()
        side.wait_event("rebalance_ends", new_addresses="1", deadline=3 * DEADLINE)
    wait_until(lambda: progress(side)["new_addresses_waiting"] == 2, "two wait")
    assert len(begun(side)) == 1 and progress(side)["connections_due"] == 1
    client.close()


def test_an_outage_is_no_growth(world, cluster, serve):
    """Nor what follows it; one pod less is none either."""
    pods = [world.pod("one"), world.pod("two"), world.pod("three")]
    ready_service(world, 3)
    side = serve(pods[0])
    wait_ready(side, 3)
    cluster.front.kill()
    side.wait_event("discovery_problem", deadline=60)
    cluster.restart_front()
    side.wait_event("discovery_well", deadline=60)
    pods[2].set_ready(False)
    wait_ready(side, 2)
    assert not begun(side) and progress(side)["new_addresses_waiting"] == 0
    world.pod("four")
    assert side.wait_event("rebalance_begins", deadline=60)["new_addresses"] == "1"
    assert len(begun(side)) == 1
