# SPDX-License-Identifier: Apache-2.0
"""The rig itself: the control plane does what the other tests build upon."""
import json
import pathlib

import pytest

from harness.kube import EndpointsFile
from harness.peer import wait_until
from rig import objects
from rig.account import Directory
from rig.api import METADATA, METADATA_LIST, ApiError, path_of
from rig.audit import Asked
from rig.cluster import NODES, is_ready
from rig.world import fetch, wait_who


def addresses(endpoints):
    return {one["addresses"][0] for one in endpoints}


def try_call(api, *arguments, **query):
    """The status of one call."""
    try:
        api.call(*arguments, **query)
        return 200
    except ApiError as error:
        return error.status


def list_slices(api, ns, **query):
    return try_call(api, "GET", path_of("EndpointSlice", ns), **query)


def test_both_servers_have_the_nodes(cluster):
    for api in (cluster.api, cluster.front_api):
        wait_until(lambda a=api: set(NODES) <= {
            made["metadata"]["name"] for made in a.list("Node")}, f"nodes on {api.host}")


def test_slice_of_a_service(world):
    """The controller finds the pods by label, and their zones by node."""
    pods = [world.pod(f"pod-{node}", node) for node in ("node-a1", "node-b1", "node-x1")]
    world.pod("other", app="payments")
    world.service()
    world.wait_count(3)
    got = world.endpoints()
    assert addresses(got) == {pod.address for pod in pods}
    assert {one["nodeName"]: one.get("zone") for one in got} == {
        "node-a1": "zone-a", "node-b1": "zone-b", "node-x1": None}
    assert all(one["conditions"] == {"ready": True, "serving": True, "terminating": False}
               for one in got)


def test_readiness_and_end_of_a_pod(world):
    pod = world.pod("pod")
    world.service()
    for change, conditions in (
            (lambda: None, (True, True, False)),
            (lambda: pod.set_ready(False), (False, False, False)),
            (pod.set_ready, (True, True, False)),
            (pod.terminate, (False, True, True))):
        change()
        world.wait_endpoints(
            lambda found, want=conditions: [tuple(one["conditions"][name] for name in (
                "ready", "serving", "terminating")) for one in found] == [want],
            f"ready, serving, terminating: {conditions}")
    pod.remove()
    world.wait_count(0)


def test_hints_of_traffic_distribution(world):
    world.pod("near"), world.pod("far", "node-b1")
    made = world.service(trafficDistribution="PreferSameNode")
    world.wait_endpoints(lambda found: len(found) == 2 and all(
        one.get("hints", {}).get("forNodes") == [{"name": one["nodeName"]}]
        for one in found), "hints")
    world.api.patch(made, {"spec": {"trafficDistribution": None}})
    world.wait_endpoints(lambda found: len(found) == 2 and not any(
        one.get("hints") for one in found), "no hints")


def test_deleted_service_has_no_slices(world):
    world.pod("pod")
    made = world.service()
    world.wait_count(1)
    world.api.delete(made)
    wait_until(lambda: not world.slices(), "no slice", 60)


def test_rights(cluster, world):
    """What is not granted is refused, and what was granted can be taken back."""
    account = cluster.account(world.ns)
    api = cluster.front_api.as_user(account.token().text)
    assert list_slices(api, world.ns) == 403
    account.grant(objects.SLICES, ns=world.ns)
    assert list_slices(api, world.ns) == 200
    assert list_slices(api, "default") == 403
    account.revoke()
    wait_until(lambda: list_slices(api, world.ns) == 403, "the right is taken back")


def test_rights_of_one_node(cluster, world):
    account = cluster.account(world.ns)
    account.grant({**objects.NODES, "resourceNames": ["node-a1"]})
    api = cluster.front_api.as_user(account.token().text)
    nodes = path_of("Node")
    assert try_call(api, "GET", nodes, fieldSelector="metadata.name=node-a1") == 200
    assert try_call(api, "GET", nodes, fieldSelector="metadata.name=node-a2") == 403
    assert try_call(api, "GET", nodes) == 403


def test_tokens_end_with_their_secret(cluster, world):
    account = cluster.account(world.ns, objects.SLICES)
    first, second = account.token(), account.token()
    of_first, of_second = (cluster.front_api.as_user(one.text) for one in (first, second))
    assert list_slices(of_first, world.ns) == list_slices(of_second, world.ns) == 200
    first.revoke()
    wait_until(lambda: list_slices(of_first, world.ns) == 401, "the token ends", 60)
    assert list_slices(of_second, world.ns) == 200
    assert list_slices(cluster.front_api.as_user("nonsense"), world.ns) == 401


def test_client_certificate(cluster):
    """For kubeconfig files."""
    cert, key = cluster.certs.make("client", "/O=system:masters/CN=somebody")
    path = cluster.kubeconfig("somebody", f"client-certificate: {cert}\n    "
                                          f"client-key: {key}")
    assert cert in path.read_text()
    assert cluster.front_api.as_user(certificate=(cert, key)).list("Node")


def test_audit(cluster, world):
    account = cluster.account(world.ns, objects.SLICES)
    account.grant(objects.NODES)
    api = cluster.front_api.as_user(account.token().text)
    selector = {"labelSelector": "kubernetes.io/service-name=orders"}
    for _ in range(2):
        list_slices(api, world.ns, **selector)
    list_slices(api, "default")
    list_slices(api, world.ns, watch=1, resourceVersion=0, timeoutSeconds=1, **selector)
    api.get("Node", "node-a1")
    of_orders = Asked("list", "endpointslices", world.ns, None, None,
                      "kubernetes.io/service-name=orders")
    assert cluster.audit.asked(account.user) == {
        of_orders: 2,
        of_orders._replace(verb="watch"): 1,
        Asked("list", "endpointslices", "default", None, None, None): 1,
        Asked("get", "nodes", None, "node-a1", None, None): 1}
    wait_until(lambda: cluster.audit.codes(account.user) == {200: 4, 403: 1}, "all ended")
    assert cluster.audit.kinds(account.user, "nodes") == {"Node"}


def test_audit_tells_metadata_from_nodes(cluster, world):
    account = cluster.account(world.ns)
    account.grant(objects.NODES)
    api = cluster.front_api.as_user(account.token().text)
    api.call("GET", path_of("Node", name="node-a1"), accept=METADATA)
    api.call("GET", path_of("Node"), accept=METADATA_LIST)
    wait_until(lambda: cluster.audit.kinds(account.user, "nodes") == {
        "PartialObjectMetadata", "PartialObjectMetadataList"}, "kinds of answers")


def test_audit_tells_the_end_of_a_watch(cluster, world):
    account = cluster.account(world.ns, objects.SLICES)
    api = cluster.front_api.as_user(account.token().text)
    path = path_of("EndpointSlice", world.ns)
    version = api.call("GET", path)["metadata"]["resourceVersion"]
    with api.ask("GET", path, watch=1, resourceVersion=version) as answer:
        assert answer.status == 200
        world.service()
        assert json.loads(answer.readline())["type"] == "ADDED"
        assert not cluster.audit.n_ended(account.user, "watch")
    wait_until(lambda: cluster.audit.n_ended(account.user, "watch") == 1, "its end")


def test_front_can_be_killed_and_frozen(cluster, world):
    """The rest of the cluster goes on."""
    cluster.front.kill()
    assert not is_ready(cluster.front_api)
    world.pod("pod")
    world.service()
    world.wait_count(1)
    cluster.restart_front()
    slices = cluster.front_api.list("EndpointSlice", world.ns)
    assert slices[0]["endpoints"]
    cluster.front.freeze()
    try:
        assert is_ready(cluster.api)
    finally:
        cluster.front.thaw()
    cluster.wait_front()


# --- sidecars in pods ---

@pytest.fixture
def from_file(world, tmp_path):
    """A sidecar that has what the API server says from a file."""
    def start(**options):
        listing = EndpointsFile(tmp_path, *world.slices(), *world.api.list("Node"),
                                *world.api.list("Service", world.ns))
        return world.sidecar(ENDPOINTS=listing.setting, NAMESPACE=world.ns, ZONE="zone-a",
                             **options)
    return start


def test_calls_reach_pods(world, from_file):
    pods = [world.pod("near"), world.pod("far", "node-b1")]
    world.service()
    world.wait_count(len(pods))
    wait_who(from_file(), "near")


def test_pod_sees_its_own_account(world, from_file):
    # /var/run is a link, which would lead out of the sidecar's root.
    place = Directory.PLACE.removeprefix("/var")

    def seen_by(side, name):
        return pathlib.Path(f"/proc/{side.pid}/root{place}/{name}").read_text("ascii")
    world.service()
    wait_until(world.slices, "a slice")
    one, other = world.directory(), world.directory()
    sides = [from_file(directory=directory) for directory in (one, other)]
    assert seen_by(sides[0], "token") != seen_by(sides[1], "token")
    assert seen_by(sides[0], "ca.crt") == world.cluster.ca
    assert seen_by(sides[0], "namespace") == world.ns
    one.publish(token="another")
    assert seen_by(sides[0], "token") == "another" != seen_by(sides[1], "token")
    one.publish(token=None)
    with pytest.raises(FileNotFoundError):
        seen_by(sides[0], "token")
    with pytest.raises(FileNotFoundError):
        seen_by(from_file(directory=False), "namespace")


def test_name_by_dns(world):
    """A sidecar that knows no endpoints finds the cluster address."""
    world.by_dns(world.service())
    side = world.sidecar(ENDPOINTS="dns")
    for host in ("orders", f"orders.{world.ns}", f"orders.{world.ns}.svc.cluster.local"):
        wait_who(side, "dns", host=host)
    assert fetch(side, "payments")[0] in (502, 503)
