# SPDX-License-Identifier: Apache-2.0
"""NIGH_ENDPOINTS=kubernetes: calls follow what happens in the cluster, and none fails.

Each wait_who() calls all the time until calls go where they shall; a call that is not
answered 200 fails the test."""
import json

import pytest

from harness.kube import HOSTNAME, REGION, ZONE, endpoint
from harness.load import Call, Load
from harness.peer import wait_until
from rig import objects
from rig.world import APP_PORT, endpoints_of, fetch, wait_status, wait_who, who

KEYS = "nigh/topology-keys"


def annotate(world, made, keys):
    world.api.patch(made, {"metadata": {"annotations": {
        KEYS: keys if keys is None or isinstance(keys, str) else json.dumps(keys)}}})


@pytest.fixture
def places(world):
    """One pod on our node, one in our zone, one far away."""
    return {name: world.pod(name, node) for name, node in (
        ("near", "node-a1"), ("zone", "node-a2"), ("far", "node-b1"))}


def ready_service(world, n_endpoints, **spec):
    """The service, once the controller has found so many endpoints."""
    made = world.service(**spec)
    world.wait_count(n_endpoints)
    return made


# --- services and their endpoints ---

def test_first_request_is_near_already(world, places):
    """It waits for the first list, so it goes to no other."""
    ready_service(world, len(places))
    side = world.sidecar()
    assert fetch(side) == (200, "near")
    assert who(side) == {"near": 20}


def test_endpoints_page_tells_what_is_followed(world, places):
    ready_service(world, len(places))
    side = world.sidecar()
    fetch(side)
    have = {one["address"]: (one["node"], one["zone"])
            for one in endpoints_of(side, f"{world.ns}/orders:")["endpoints"]}
    assert have == {places["near"].address: ("node-a1", "zone-a"),
                    places["zone"].address: ("node-a2", "zone-a"),
                    places["far"].address: ("node-b1", "zone-b")}


@pytest.mark.parametrize("host", ["orders", "orders.{ns}", "orders.{ns}.svc:80",
                                  "ORDERS.{ns}.svc.cluster.local."])
def test_names(host, world):
    world.pod("near")
    ready_service(world, 1)
    side = world.sidecar()
    wait_who(side, "near", host=host.format(ns=world.ns))


def test_scale_out_and_in(world):
    pods = [world.pod("one")]
    ready_service(world, 1)
    side = world.sidecar()
    wait_who(side, "one")
    pods += [world.pod("two"), world.pod("three")]
    wait_who(side, "one", "two", "three")
    for pod in pods[:2]:
        pod.terminate()
    wait_who(side, "three")
    for pod in pods[:2]:
        pod.remove()
    wait_who(side, "three")


def test_move_to_the_next_domain_and_back(world, places):
    """Readiness of the nearest decides."""
    ready_service(world, 3)
    side = world.sidecar()
    wait_who(side, "near")
    places["near"].set_ready(False)
    wait_who(side, "zone")
    places["zone"].set_ready(False)
    wait_who(side, "far")
    places["near"].set_ready()
    wait_who(side, "near")


def test_drain_of_the_last_pod(world):
    """A terminating endpoint serves as long as there is no other."""
    old = world.pod("old")
    ready_service(world, 1)
    side = world.sidecar()
    wait_who(side, "old")
    old.terminate()
    world.wait_endpoints(lambda found: found[0]["conditions"]["terminating"], "its end")
    wait_who(side, "old")
    world.pod("new", "node-b1")
    wait_who(side, "new")


def test_pod_leaves_and_joins_by_label(world):
    one = world.pod("one")
    world.pod("two")
    ready_service(world, 2)
    side = world.sidecar()
    wait_who(side, "one", "two")
    one.label(app="none")
    wait_who(side, "two")
    one.label(app="orders")
    wait_who(side, "one", "two")


def test_selector_changes(world):
    world.pod("blue", app="blue"), world.pod("green", app="green")
    made = ready_service(world, 1, selector={"app": "blue"})
    side = world.sidecar()
    wait_who(side, "blue")
    world.api.patch(made, {"spec": {"selector": {"app": "green"}}})
    wait_who(side, "green")


def test_no_ready_endpoint(world):
    """503 that says so, until one is ready."""
    pod = world.pod("late", ready=False)
    ready_service(world, 1)
    side = world.sidecar()
    assert "no ready endpoint" in wait_status(side, 503)
    pod.set_ready()
    wait_until(lambda: fetch(side) == (200, "late"), "the pod is called", 30)


def test_service_made_after_the_first_request(world):
    """Its name is asked for before there is anything."""
    side = world.sidecar()
    status, _ = fetch(side)
    assert status in (502, 503)
    world.pod("near")
    world.service()
    wait_until(lambda: fetch(side) == (200, "near"), "the new service is called", 30)
    assert who(side) == {"near": 20}


def test_service_deleted_and_made_again(world):
    world.pod("old", app="old")
    made = ready_service(world, 1, selector={"app": "old"})
    side = world.sidecar()
    wait_who(side, "old")
    world.api.delete(made)
    wait_until(lambda: not world.slices(), "no slice", 60)
    wait_until(lambda: fetch(side)[0] != 200, "calls have nowhere to go", 30)
    world.pod("new", "node-b1", app="new")
    world.service(selector={"app": "new"})
    wait_until(lambda: fetch(side) == (200, "new"), "the new service is called", 30)


def test_other_services_do_not_matter(world):
    world.pod("near")
    ready_service(world, 1)
    side = world.sidecar()
    wait_who(side, "near")
    world.pod("other", app="payments")
    world.service("payments")
    world.wait_count(1, "payments")
    wait_who(side, "other", host="payments")
    wait_who(side, "near")


def test_foreign_namespace(world):
    """Same name, other namespace, other service."""
    other = world.cluster.namespace("other")
    world.account.grant(objects.SLICES, objects.SERVICES, ns=other)
    world.pod("ours")
    ready_service(world, 1)
    theirs = world.other(other)
    theirs.pod("theirs", "node-b1")
    ready_service(theirs, 1)
    side = world.sidecar()
    wait_who(side, "ours")
    wait_who(side, "theirs", host=f"orders.{other}")
    wait_who(side, "theirs", host=f"orders.{other}.svc.cluster.local")
    wait_who(side, "ours", host=f"orders.{world.ns}")


def test_headless(world):
    """By its name it is a service as any other; a pod's own address stays what it is."""
    world.pod("near")
    far = world.pod("far", "node-b1")
    ready_service(world, 2, clusterIP="None")
    side = world.sidecar()
    wait_who(side, "near", host=f"orders:{APP_PORT}")
    wait_who(side, "far", host=f"{far.address}:{APP_PORT}")


def test_hand_made_slices(world):
    """A service without selector, and slices that no controller knows; an endpoint moves
    from one to the other."""
    one, two = world.pod("one", app="none"), world.pod("two", app="none")
    world.service(selector={})
    first, second = (
        objects.slice_of("orders", world.ns, APP_PORT, endpoint(
            pod.address, node="node-a1", zone="zone-a"), suffix=suffix)
        for pod, suffix in ((one, "a"), (two, "b")))
    world.api.apply(first)
    side = world.sidecar()
    wait_who(side, "one")
    world.api.apply(second)
    wait_who(side, "one", "two")
    world.api.delete(first)
    wait_who(side, "two")
    world.api.apply({**second, "endpoints": first["endpoints"]})
    wait_who(side, "one")


def test_slice_that_loses_its_label(world):
    """For us it is gone, though it was not deleted."""
    near, far = world.pod("near", app="none"), world.pod("far", "node-b1", app="none")
    world.service(selector={})
    made = [objects.slice_of("orders", world.ns, APP_PORT, endpoint(
        pod.address, node=node), suffix=node) for pod, node in (
            (near, "node-a1"), (far, "node-b1"))]
    for one in made:
        world.api.apply(one)
    side = world.sidecar()
    wait_who(side, "near")
    world.api.patch(made[0], {"metadata": {"labels": {
        "kubernetes.io/service-name": None}}})
    wait_who(side, "far")
    world.api.apply(made[0])
    wait_who(side, "near")


# --- ports ---

def test_two_ports(world):
    world.pod("pod", ports=(("web", 8080), ("metrics", 9090)))
    ready_service(world, 1, ports=(("http", 80, 8080), ("prom", 81, 9090)))
    side = world.sidecar()
    wait_who(side, "pod/web", host="orders")
    wait_who(side, "pod/web", host="orders:80")
    wait_who(side, "pod/metrics", host="orders:81")


def test_named_target_port(world):
    """The number differs from pod to pod, so there are two slices for one port."""
    world.pod("old", ports=(("web", 8080),)), world.pod("new", ports=(("web", 9090),))
    made = world.service(ports=(("http", 80, "web"),))
    wait_until(lambda: len(world.slices()) == 2, "two slices")
    side = world.sidecar()
    wait_who(side, "old/web", "new/web")
    world.api.patch(made, {"spec": {"ports": [
        {"name": "http", "port": 8000, "targetPort": "web"}]}})
    wait_until(lambda: fetch(side, "orders:8000")[0] == 200, "the new number", 30)
    wait_who(side, "old/web", "new/web", host="orders:8000")


def test_port_without_name(world):
    world.pod("near")
    ready_service(world, 1, ports=((None, 80, APP_PORT),))
    wait_who(world.sidecar(), "near")


def test_target_port_changes(world):
    world.pod("pod", ports=(("web", 8080), ("other", 9090)))
    made = ready_service(world, 1)
    side = world.sidecar()
    wait_who(side, "pod/web")
    world.api.patch(made, {"spec": {"ports": [
        {"name": "http", "port": 80, "targetPort": 9090}]}})
    wait_who(side, "pod/other")


# --- what the owner of the service wants ---

def test_keys_by_annotation(world, places):
    made = ready_service(world, len(places))
    side = world.sidecar()
    wait_who(side, "near")
    annotate(world, made, ["*"])
    wait_who(side, "near", "zone", "far")
    annotate(world, made, [ZONE])
    wait_who(side, "near", "zone")
    annotate(world, made, f"{HOSTNAME},*")
    wait_who(side, "near")
    annotate(world, made, None)
    wait_who(side, "near")


def test_keys_without_a_way_out(world):
    """Never a silent widening."""
    world.pod("far", "node-b1")
    made = ready_service(world, 1)
    side = world.sidecar()
    wait_who(side, "far")
    annotate(world, made, [HOSTNAME, ZONE])
    assert "no endpoint" in wait_status(side, 503)
    annotate(world, made, [HOSTNAME, ZONE, "*"])
    wait_until(lambda: fetch(side) == (200, "far"), "calls go far again", 30)


def test_internal_traffic_policy(world, places):
    made = ready_service(world, len(places))
    side = world.sidecar(TOPOLOGY_KEYS="*")
    wait_who(side, "near", "zone", "far")
    world.api.patch(made, {"spec": {"internalTrafficPolicy": "Local"}})
    wait_who(side, "near")
    places["near"].set_ready(False)
    assert "on this node" in wait_status(side, 503)
    world.api.patch(made, {"spec": {"internalTrafficPolicy": "Cluster"}})
    wait_until(lambda: fetch(side)[0] == 200, "calls leave the node", 30)
    wait_who(side, "zone", "far")


def test_traffic_distribution(world, places):
    """By the controller's hints; without them our own keys count again."""
    made = ready_service(world, len(places))
    side = world.sidecar(TOPOLOGY_KEYS="*")
    wait_who(side, "near", "zone", "far")
    for value, names in (
            ("PreferSameZone", ["near", "zone"]), ("PreferSameNode", ["near"]),
            ("PreferClose", ["near", "zone"]), (None, ["near", "zone", "far"])):
        world.api.patch(made, {"spec": {"trafficDistribution": value}})
        wait_who(side, *names)


# --- nodes ---

def test_zone_of_our_node(world):
    """Nobody told the sidecar its zone but the API server; and labels change."""
    ours = world.node("zone-a")
    world.pod("in-a", "node-a2"), world.pod("in-b", "node-b1")
    ready_service(world, 2)
    side = world.sidecar(NODE_NAME=ours)
    wait_who(side, "in-a")
    world.cluster.node(ours, "zone-b")
    wait_who(side, "in-b")
    world.cluster.node(ours)
    wait_who(side, "in-a", "in-b")


def test_our_node_appears_late(world):
    ours = f"node-{world.ns}"
    world.pod("in-a", "node-a1"), world.pod("in-b", "node-b1")
    ready_service(world, 2)
    side = world.sidecar(NODE_NAME=ours)
    wait_who(side, "in-a", "in-b")
    world.cluster.node(ours, "zone-b")
    wait_who(side, "in-b")


def test_configured_labels_win(world):
    """What the environment says of our node needs no API server, and is what counts."""
    world.pod("in-a", "node-a2"), world.pod("in-b", "node-b1")
    ready_service(world, 2)
    wait_who(world.sidecar(NODE_NAME="node-c1", ZONE="zone-b"), "in-b")


def test_region_of_other_nodes(world):
    """No slice tells a region: it takes the nodes' labels, of those that pods are on."""
    ours = world.node("zone-d", "west")
    elsewhere = world.node("zone-e", "south")
    world.pod("east", "node-b1"), world.pod("west", "node-c1")
    made = ready_service(world, 2)
    annotate(world, made, [HOSTNAME, ZONE, REGION, "*"])
    side = world.sidecar(NODE_NAME=ours)
    wait_who(side, "west")
    world.pod("south", elsewhere)
    world.cluster.node(ours, "zone-d", "south")
    wait_who(side, "south")


def test_any_label_of_nodes(world):
    ours, beside, away = (world.node(None, rack=rack) for rack in ("r1", "r1", "r2"))
    world.pod("beside", beside), world.pod("away", away)
    ready_service(world, 2)
    side = world.sidecar(NODE_NAME=ours, TOPOLOGY_KEYS="rack,*")
    wait_who(side, "beside")
    world.cluster.node(ours, rack="r2")
    wait_who(side, "away")


# --- under load ---

def addresses(side, world):
    return {one["address"]
            for one in endpoints_of(side, f"{world.ns}/orders:")["endpoints"]}


def test_rolling_update_under_load(world):
    """Each pod is replaced by a new one while calls go on: none fails."""
    pods = [world.pod(f"old-{node}", node) for node in ("node-a1", "node-a2", "node-b1")]
    ready_service(world, len(pods))
    side = world.sidecar()
    wait_who(side, "old-node-a1")
    with Load(lambda: Call("GET", "/"), lambda caller: side.addr("outbound"), n_callers=8,
              rate=200, host="orders") as load:
        for number, pod in enumerate(pods):
            new = world.pod(f"new-{number}", "node-a1").apps[0]
            wait_until(lambda app=new: app.requests, "the new pod is called", 30)
            pod.terminate()
            pod.remove()
            wait_until(lambda old=pod.address: old not in addresses(side, world),
                       "the old pod is forgotten", 30)
            pod.apps[0].kill()
        done = load.done
        wait_until(lambda: load.done > done + 100, "calls go on")
    assert not load.failures, f"{load.failures[:5]}\n{side.log}"
