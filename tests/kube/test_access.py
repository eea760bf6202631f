# SPDX-License-Identifier: Apache-2.0
"""NIGH_ENDPOINTS=kubernetes: credentials, rights, and what is asked with them."""
import pytest

from harness.kube import HOSTNAME, REGION
from harness.peer import wait_until
from rig import objects
from rig.certs import Certs
from rig.world import FAIL_OPEN, endpoints_of, expect_reason, fetch, wait_who, who


def add_service(world, name="orders"):
    """Of the pods of orders; by DNS it is found as well."""
    world.by_dns(world.service(name, selector={"app": "orders"}))


@pytest.fixture
def shop(world):
    """A world with one service and one pod, which is near."""
    add_service(world)
    world.pod("near")
    world.wait_count(1)
    return world


# --- what is missing ---

def test_no_rights(shop, cluster):
    """By DNS; a right that is given later is used."""
    account = cluster.account(shop.ns)
    side = shop.sidecar(shop.directory(account), **FAIL_OPEN)
    assert who(side) == {"dns": 20}
    expect_reason(side, "403|forbidden|permission")
    account.grant(objects.SLICES, objects.SERVICES, ns=shop.ns)
    account.grant(objects.NODES)
    wait_who(side, "near", deadline=90)


def test_no_right_to_services(shop, cluster):
    """The slices alone tell enough."""
    account = cluster.account(shop.ns, objects.SLICES)
    side = shop.sidecar(shop.directory(account))
    wait_who(side, "near")
    expect_reason(side, "403|forbidden|permission")


def test_no_right_to_nodes(shop, cluster):
    """Our node's name comes by the environment."""
    shop.pod("far", "node-b1")
    account = cluster.account(shop.ns, objects.SLICES, objects.SERVICES)
    wait_who(shop.sidecar(shop.directory(account)), "near")


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


def test_other_namespace_is_refused(shop, cluster):
    """One namespace's refusal does not matter to another."""
    theirs = shop.other(cluster.namespace("other"))
    add_service(theirs)
    side = shop.sidecar(**FAIL_OPEN)
    assert fetch(side, f"orders.{theirs.ns}") == (200, "dns")
    wait_who(side, "near")
    expect_reason(side, "403|forbidden|permission")


@pytest.mark.parametrize("endpoints", ["kubernetes", "auto"])
def test_no_account(endpoints, shop):
    side = shop.sidecar(False, ENDPOINTS=endpoints, NAMESPACE=shop.ns, **FAIL_OPEN)
    assert who(side) == {"dns": 20}
    expect_reason(side, "token|account")


def test_token_comes_later(shop, cluster):
    directory = cluster.directory(shop.ns, None)
    side = shop.sidecar(directory, **FAIL_OPEN)
    assert fetch(side) == (200, "dns")
    expect_reason(side, "token")
    directory.publish(token=shop.account.token().text)
    wait_who(side, "near", deadline=90)


def test_auto_in_a_cluster(shop):
    wait_who(shop.sidecar(ENDPOINTS="auto"), "near")


def test_authority_that_we_do_not_know(shop, tmp_path):
    """As when the cluster's certificate authority changes: a new ca.crt heals it."""
    directory = shop.directory()
    right = shop.cluster.ca
    with open(Certs(tmp_path).ca, encoding="ascii") as other:
        directory.publish(ca=other.read())
    side = shop.sidecar(directory, **FAIL_OPEN)
    assert fetch(side) == (200, "dns")
    expect_reason(side, "certificate|TLS|SSL|authority")
    directory.publish(ca=right)
    wait_who(side, "near", deadline=90)


# --- tokens ---

def test_rotation(shop):
    """A new token in good time, then the old one ends: nobody notices."""
    token = shop.account.token()
    directory = shop.cluster.directory(shop.ns, token)
    add_service(shop, "payments")
    side = shop.sidecar(directory)
    wait_who(side, "near")
    directory.publish(token=shop.account.token().text)
    wait_revoked(shop, token)
    shop.pod("more")
    wait_who(side, "near", "more")
    wait_who(side, "near", "more", host="payments")


def test_revocation(shop):
    """What is known stays, what was never dialled passes through, a new token heals."""
    token = shop.account.token()
    directory = shop.cluster.directory(shop.ns, token)
    add_service(shop, "payments")
    side = shop.sidecar(directory, **FAIL_OPEN)
    wait_who(side, "near")
    wait_revoked(shop, token)
    assert fetch(side, "payments") == (200, "dns")
    assert who(side) == {"near": 20}
    expect_reason(side, "401|unauthorized|token")
    directory.publish(token=shop.account.token().text)
    wait_who(side, "near", host="payments", deadline=90)


def wait_revoked(world, token):
    """Revoke it, until the server has forgotten it."""
    token.revoke()
    wait_until(lambda: not token.works(), "the token ends", 60)


# --- kubeconfig ---

def test_kubeconfig_with_token(shop, cluster):
    path = cluster.kubeconfig("token", f"token: {shop.account.token().text}")
    wait_who(shop.sidecar(False, KUBECONFIG=path, NAMESPACE=shop.ns), "near")


def test_kubeconfig_with_certificate(shop, cluster):
    cert, key = cluster.certs.make("user", "/O=system:masters/CN=somebody")
    path = cluster.kubeconfig(
        "certificate", f"client-certificate: {cert}\n    client-key: {key}")
    wait_who(shop.sidecar(False, KUBECONFIG=path, NAMESPACE=shop.ns), "near")


# --- what is asked ---

def asked(world):
    return world.cluster.audit.asked(world.account.user)


def selectors(world, resource):
    """Of one resource: what was asked for in it, each as (namespace, selector)."""
    return {(one.namespace, one.label or one.field or f"metadata.name={one.name}")
            for one in asked(world) if one.resource == resource}


def test_only_what_is_dialled(shop):
    add_service(shop, "payments")
    side = shop.sidecar()
    assert not selectors(shop, "endpointslices") | selectors(shop, "services")
    wait_who(side, "near")
    assert selectors(shop, "endpointslices") == {
        (shop.ns, "kubernetes.io/service-name=orders")}
    assert selectors(shop, "services") == {(shop.ns, "metadata.name=orders")}
    assert selectors(shop, "nodes") == {(None, "metadata.name=node-a1")}
    assert {one.resource for one in asked(shop)} == {
        "endpointslices", "services", "nodes"}
    assert {one.verb for one in asked(shop)} <= {"get", "list", "watch"}


def test_changes_cost_no_request(shop):
    """One list and one watch of each, whatever happens."""
    side = shop.sidecar()
    wait_who(side, "near")
    pods = [shop.pod(f"more-{number}") for number in range(3)]
    wait_who(side, "near", *(f"more-{number}" for number in range(3)))
    before = asked(shop)
    for pod in pods:
        pod.remove()
    wait_who(side, "near")
    assert asked(shop) == before
    assert set(before.values()) == {1}, before


def test_one_watch_for_all_callers(shop):
    """Names, ports and workers do not multiply what is asked."""
    side = shop.sidecar(WORKERS="4")
    full = f"orders.{shop.ns}"
    for host in ("orders", full, f"{full}.svc.cluster.local:80"):
        wait_who(side, "near", host=host)
    assert set(asked(shop).values()) == {1}, asked(shop)


def test_nodes_by_metadata(shop):
    """Never a whole node object, with its images and its status."""
    shop.node("zone-a")
    wait_who(shop.sidecar(TOPOLOGY_KEYS=f"{HOSTNAME},{REGION},*"), "near")
    audit, user = shop.cluster.audit, shop.account.user
    wait_until(lambda: audit.kinds(user, "nodes"), "an answer")
    assert audit.kinds(user, "nodes") <= {
        "PartialObjectMetadata", "PartialObjectMetadataList"}


def test_other_nodes_only_when_a_key_needs_them(shop):
    shop.pod("west", "node-c1")
    shop.wait_count(2)
    side = shop.sidecar()
    wait_who(side, "near")
    assert selectors(shop, "nodes") == {(None, "metadata.name=node-a1")}
    side = shop.sidecar(NODE_NAME="node-b1", TOPOLOGY_KEYS=f"{REGION},*")
    wait_who(side, "near")
    assert selectors(shop, "nodes") == {
        (None, f"metadata.name={node}") for node in ("node-a1", "node-b1", "node-c1")}


def test_idle_service_is_forgotten(shop):
    """Its watches end; the next call asks again and is near."""
    side = shop.sidecar(DISCOVERY_IDLE="1s")
    wait_who(side, "near")
    user = shop.account.user
    wait_until(lambda: shop.cluster.audit.n_ended(user, "watch") >= 2, "watches end", 60)
    before = asked(shop)
    assert fetch(side) == (200, "near")
    assert asked(shop) != before
    assert endpoints_of(side, f"{shop.ns}/orders:")["endpoints"]


def test_nothing_is_asked_of_names_outside(shop):
    """Addresses and names of other domains are no services."""
    pod = shop.pod("away", "node-b1", app="none", ports=((None, 80),))
    shop.cluster.dns.names["api.example.com"] = pod.address
    side = shop.sidecar()
    wait_who(side, "away", host="api.example.com")
    wait_who(side, "away", host=pod.address)
    assert not selectors(shop, "endpointslices") | selectors(shop, "services")
