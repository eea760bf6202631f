# SPDX-License-Identifier: Apache-2.0
"""NIGH_ENDPOINTS=kubernetes while the API server is away: calls go on by what is known,
and all that was missed is made up for when it is back."""
import os

import pytest

from harness.load import Call, Load
from harness.peer import wait_until
from rig.world import FAIL_OPEN, endpoints_of, expect_reason, fetch, wait_who, who

# How long servers stay away under load; more by hand, to see what two minutes do.
OUTAGE_SECONDS = float(os.environ.get("NIGH_TEST_OUTAGE", 4))
RATE = 100
BACK = 60       # deadline for what follows a return


@pytest.fixture
def front(cluster):
    """The API server that sidecars know; alive again at the end."""
    yield cluster.front
    cluster.front.thaw()
    if cluster.front.is_gone():
        cluster.restart_front()


def start(world, *nodes, **settings):
    """Pods of these nodes, and a sidecar that knows them: (pods, sidecar)."""
    pods = [world.pod(node, node) for node in nodes]
    world.service()
    world.wait_count(len(pods))
    side = world.sidecar(**settings)
    wait_who(side, nodes[0])
    return pods, side


def calls(side):
    return Load(lambda: Call("GET", "/"), lambda caller: side.addr("outbound"),
                n_callers=8, rate=RATE, host="orders")


def wait_calls(load, seconds=1):
    """So many more calls."""
    want = load.done + RATE * seconds
    wait_until(lambda: load.done >= want, f"{want} calls", 30 + 3 * seconds)


def test_killed_under_load(world, cluster, front):
    """Meanwhile the nearest pod ends and dies, and a new one comes."""
    (near, _), side = start(world, "node-a1", "node-b1")
    with calls(side) as load:
        wait_calls(load)
        front.kill()
        wait_calls(load)
        near.terminate()
        near.apps[0].kill()
        near.remove()
        world.pod("new", "node-a1")
        world.wait_endpoints(lambda found: len(found) == 2 and near.address not in {
            one["addresses"][0] for one in found}, "the new pod instead of the old one")
        wait_calls(load, OUTAGE_SECONDS)
        assert side.admin("/readyz")[0] == 200
        assert len(endpoints_of(side, f"{world.ns}/orders:")["endpoints"]) == 2
        cluster.restart_front()
        wait_who(side, "new", deadline=BACK)
        wait_calls(load)
    assert not load.failures, f"{load.failures[:5]}\n{side.log}"
    assert len(endpoints_of(side, f"{world.ns}/orders:")["endpoints"]) == 2


def test_everything_of_a_service_goes_meanwhile(world, cluster, front):
    """What is known stays while nobody can say otherwise, and goes when somebody does."""
    (pod,), side = start(world, "node-a1")
    front.kill()
    pod.remove()
    world.wait_count(0)
    assert who(side) == {"node-a1": 20}
    cluster.restart_front()
    wait_until(lambda: fetch(side)[0] == 503, "no endpoint is left", BACK)


def test_service_and_node_change_meanwhile(world, cluster, front):
    ours = world.node("zone-a")
    made = world.service(ports=(("http", 80, 8080),))
    world.pod("in-a", "node-a2"), world.pod("in-b", "node-b1")
    world.wait_count(2)
    side = world.sidecar(NODE_NAME=ours)
    wait_who(side, "in-a")
    front.kill()
    cluster.node(ours, "zone-b")
    world.api.patch(made, {"spec": {"ports": [
        {"name": "http", "port": 8000, "targetPort": 8080}]}})
    wait_who(side, "in-a")
    cluster.restart_front()
    wait_until(lambda: fetch(side, "orders:8000") == (200, "in-b"),
               "the new port and zone", BACK)


def test_killed_again_and_again(world, cluster, front):
    """Each time it is back, changes are followed."""
    _, side = start(world, "node-a1", "node-b1")
    names = ["node-a1"]
    for number in range(2):
        front.kill()
        wait_who(side, *names)
        cluster.restart_front()
        names.append(f"more-{number}")
        world.pod(names[-1], "node-a1")
        wait_who(side, *names, deadline=BACK)


def test_frozen_under_load(world, cluster, front):
    """It accepts and says nothing. After that, the watches go on."""
    (near, _), side = start(world, "node-a1", "node-b1")
    with calls(side) as load:
        front.freeze()
        near.terminate()
        wait_calls(load, 2)
        front.thaw()
        cluster.wait_front()
        wait_who(side, "node-b1", deadline=BACK)
    assert not load.failures, f"{load.failures[:5]}\n{side.log}"


@pytest.mark.parametrize("away", ["kill", "freeze"])
def test_away_at_start(away, world, cluster, front):
    """Calls pass through by DNS, the sidecar is ready, and is near as soon as it can."""
    world.by_dns(world.service())
    world.pod("near")
    world.wait_count(1)
    directory = world.directory()
    getattr(front, away)()
    side = world.sidecar(directory, **FAIL_OPEN)
    assert fetch(side) == (200, "dns")
    expect_reason(side, "API|connect|refused|answer|time")
    if away == "kill":
        cluster.restart_front()
    else:
        front.thaw()
        cluster.wait_front()
    wait_who(side, "near", deadline=BACK)


def test_new_service_while_away(world, cluster, front):
    """One that was never dialled passes through, the others stay near."""
    world.by_dns(world.service("payments", selector={"app": "orders"}))
    _, side = start(world, "node-a1", "node-b1", **FAIL_OPEN)
    front.kill()
    assert fetch(side, "payments") == (200, "dns")
    assert who(side) == {"node-a1": 20}
    cluster.restart_front()
    wait_who(side, "node-a1", host="payments", deadline=BACK)
