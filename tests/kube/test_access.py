# SPDX-License-Identifier: Apache-2.0
"""NIGH_ENDPOINTS=kubernetes: credentials, rights, and what is asked with them."""
import re

import pytest

from harness.kube import HOSTNAME, REGION
from harness.peer import wait_until
from rig import objects
from rig.certs import Certs
from rig.world import endpoints_of, fetch, wait_who, who


def dialled(world, name="orders", **spec):
    """A service with a pod near, and the names of its cluster address."""
    made = world.service(name, selector={"app": "orders"}, **spec)
    names = world.by_dns(made)
    return names


@pytest.fixture
def names(world):
    names = dialled(world)
    world.pod("near")
    world.wait_count(1)
    return names


def expect_reason(side, pattern):
    """The sidecar is ready all the same, and says why it is not near."""
    def says():
        status, body = side.admin("/readyz")
        assert status == 200, body
        return re.search(pattern, body, re.I)
    wait_until(says, f"/readyz says {pattern}, not {side.admin('/readyz')}")


# --- what is missing ---

def test_no_rights(world, cluster, names):
    """By DNS; a right that is given later is used."""
    account = cluster.account(world.ns)
    side = world.sidecar(world.directory(account), names)
    assert who(side) == {"dns": 20}
    expect_reason(side, "403|forbidden|permission")
    account.grant(objects.SLICES, objects.SERVICES, ns=world.ns)
    account.grant(objects.NODES)
    wait_who(side, "near", deadline=90)


def test_no_right_to_services(world, cluster, names):
    """The slices alone tell enough."""
    account = cluster.account(world.ns, objects.SLICES)
    side = world.sidecar(world.directory(account), names)
    wait_who(side, "near")
    expect_reason(side, "403|forbidden|permission")


def test_no_right_to_nodes(world, cluster, names):
    """Our node's name comes by the environment."""
    world.pod("far", "node-b1")
    account = cluster.account(world.ns, objects.SLICES, objects.SERVICES)
    wait_who(world.sidecar(world.directory(account), names), "near")


def test_right_to_our_node_only(world, cluster):
    account = cluster.account(world.ns, objects.SLICES, objects.SERVICES)
    account.grant({**objects.NODES, "resourceNames": ["node-a1"]})
    world.service()
    world.pod("in-a", "node-a2"), world.pod("in-b", "node-b1")
    world.wait_count(2)
    wait_who(world.sidecar(world.directory(account)), "in-a")


def test_zone_by_our_own_record(world, cluster):
    """Without a right to nodes: the slice of the service that our pod serves."""
    account = cluster.account(world.ns, objects.SLICES, objects.SERVICES)
    ours = world.pod("ours", app="web")
    world.service("web"), world.service()
    world.pod("in-a", "node-a2"), world.pod("in-b", "node-b1")
    world.wait_count(2)
    world.wait_endpoints(len, "our endpoint", "web")
    wait_who(world.sidecar(world.directory(account), SERVICE="web", POD_IP=ours.address),
             "in-a")


def test_other_namespace_is_refused(world, cluster, names):
    """One namespace's refusal does not matter to another."""
    theirs = world.other(cluster.namespace("other"))
    foreign = dialled(theirs)
    side = world.sidecar(names=names + foreign)
    assert fetch(side, f"orders.{theirs.ns}") == (200, "dns")
    wait_who(side, "near")
    expect_reason(side, "403|forbidden|permission")


@pytest.mark.parametrize("endpoints", ["kubernetes", "auto"])
def test_no_account(endpoints, world, names):
    side = world.sidecar(False, names, ENDPOINTS=endpoints, NAMESPACE=world.ns)
    assert who(side) == {"dns": 20}
    expect_reason(side, "token|account")


def test_token_comes_later(world, cluster, names):
    directory = cluster.directory(world.ns, None)
    side = world.sidecar(directory, names)
    assert fetch(side) == (200, "dns")
    expect_reason(side, "token")
    directory.publish(token=world.account.token().text)
    wait_who(side, "near", deadline=90)


def test_auto_in_a_cluster(world, names):
    wait_who(world.sidecar(names=names, ENDPOINTS="auto"), "near")


def test_authority_that_we_do_not_know(world, names, tmp_path):
    """As when the cluster's certificate authority changes: a new ca.crt heals it."""
    directory = world.directory()
    right = world.cluster.ca
    with open(Certs(tmp_path).ca, encoding="ascii") as other:
        directory.publish(ca=other.read())
    side = world.sidecar(directory, names)
    assert fetch(side) == (200, "dns")
    expect_reason(side, "certificate|TLS|SSL|authority")
    directory.publish(ca=right)
    wait_who(side, "near", deadline=90)


# --- tokens ---

def test_rotation(world, names):
    """A new token in good time, then the old one ends: nobody notices."""
    token = world.account.token()
    directory = world.cluster.directory(world.ns, token)
    side = world.sidecar(directory, names + dialled(world, "payments"))
    wait_who(side, "near")
    directory.publish(token=world.account.token().text)
    wait_revoked(world, token)
    world.pod("more")
    wait_who(side, "near", "more")
    wait_who(side, "near", "more", host="payments")


def test_revocation(world, names):
    """What is known stays, what was never dialled passes through, a new token heals."""
    token = world.account.token()
    directory = world.cluster.directory(world.ns, token)
    side = world.sidecar(directory, names + dialled(world, "payments"))
    wait_who(side, "near")
    wait_revoked(world, token)
    assert fetch(side, "payments") == (200, "dns")
    assert who(side) == {"near": 20}
    expect_reason(side, "401|unauthorized|token")
    directory.publish(token=world.account.token().text)
    wait_who(side, "near", host="payments", deadline=90)


def wait_revoked(world, token):
    """Revoke it, until the server has forgotten it."""
    token.revoke()
    wait_until(lambda: not token.works(), "the token ends", 60)


# --- kubeconfig ---

def test_kubeconfig_with_token(world, cluster, names):
    path = cluster.kubeconfig("token", f"token: {world.account.token().text}")
    wait_who(world.sidecar(False, names, KUBECONFIG=path, NAMESPACE=world.ns), "near")


def test_kubeconfig_with_certificate(world, cluster, names):
    cert, key = cluster.certs.make("user", "/O=system:masters/CN=somebody")
    path = cluster.kubeconfig(
        "certificate", f"client-certificate: {cert}\n    client-key: {key}")
    wait_who(world.sidecar(False, names, KUBECONFIG=path, NAMESPACE=world.ns), "near")


# --- what is asked ---

def asked(world):
    return world.cluster.audit.asked(world.account.user)


def selectors(world, resource):
    """Of one resource: what was asked for in it, each as (namespace, selector)."""
    return {(one.namespace, one.label or one.field or f"metadata.name={one.name}")
            for one in asked(world) if one.resource == resource}


def test_only_what_is_dialled(world, names):
    dialled(world, "payments")
    side = world.sidecar(names=names)
    assert not selectors(world, "endpointslices") | selectors(world, "services")
    wait_who(side, "near")
    assert selectors(world, "endpointslices") == {
        (world.ns, "kubernetes.io/service-name=orders")}
    assert selectors(world, "services") == {(world.ns, "metadata.name=orders")}
    assert selectors(world, "nodes") == {(None, "metadata.name=node-a1")}
    assert {one.resource for one in asked(world)} == {
        "endpointslices", "services", "nodes"}
    assert {one.verb for one in asked(world)} <= {"get", "list", "watch"}


def test_changes_cost_no_request(world, names):
    """One list and one watch of each, whatever happens."""
    side = world.sidecar(names=names)
    wait_who(side, "near")
    pods = [world.pod(f"more-{number}") for number in range(3)]
    wait_who(side, "near", *(f"more-{number}" for number in range(3)))
    before = asked(world)
    for pod in pods:
        pod.remove()
    wait_who(side, "near")
    assert asked(world) == before
    assert set(before.values()) == {1}, before


def test_one_watch_for_all_callers(world, names):
    """Names, ports and workers do not multiply what is asked."""
    side = world.sidecar(names=names, WORKERS="4")
    full = f"orders.{world.ns}"
    for host in ("orders", full, f"{full}.svc.cluster.local:80"):
        wait_who(side, "near", host=host)
    assert set(asked(world).values()) == {1}, asked(world)


def test_nodes_by_metadata(world, names):
    """Never a whole node object, with its images and its status."""
    world.node("zone-a")
    wait_who(world.sidecar(names=names, TOPOLOGY_KEYS=f"{HOSTNAME},{REGION},*"), "near")
    audit, user = world.cluster.audit, world.account.user
    wait_until(lambda: audit.kinds(user, "nodes"), "an answer")
    assert audit.kinds(user, "nodes") <= {
        "PartialObjectMetadata", "PartialObjectMetadataList"}


def test_other_nodes_only_when_a_key_needs_them(world, names):
    world.pod("west", "node-c1")
    world.wait_count(2)
    side = world.sidecar(names=names)
    wait_who(side, "near")
    assert selectors(world, "nodes") == {(None, "metadata.name=node-a1")}
    side = world.sidecar(names=names, NODE_NAME="node-b1", TOPOLOGY_KEYS=f"{REGION},*")
    wait_who(side, "near")
    assert selectors(world, "nodes") == {
        (None, f"metadata.name={node}") for node in ("node-a1", "node-b1", "node-c1")}


def test_idle_service_is_forgotten(world, names):
    """Its watches end; the next call asks again and is near."""
    side = world.sidecar(names=names, DISCOVERY_IDLE="1s", DISCOVERY_WAIT="30s")
    wait_who(side, "near")
    user = world.account.user
    wait_until(lambda: world.cluster.audit.n_ended(user, "watch") >= 2, "watches end", 60)
    before = asked(world)
    assert fetch(side) == (200, "near")
    assert asked(world) != before
    assert endpoints_of(side, f"orders.{world.ns}")["endpoints"]


def test_nothing_is_asked_of_names_outside(world, names):
    """Addresses and names of other domains are no services."""
    pod = world.pod("away", "node-b1", app="none", ports=((None, 80),))
    side = world.sidecar(names=names + [(pod.address, "api.example.com")])
    wait_who(side, "away", host="api.example.com")
    wait_who(side, "away", host=pod.address)
    assert not selectors(world, "endpointslices") | selectors(world, "services")
