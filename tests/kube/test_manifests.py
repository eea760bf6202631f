# SPDX-License-Identifier: Apache-2.0
"""The manifests that we publish: an API server takes them, and their rights do."""
import pytest

from harness.kube import REGION
from harness.manifests import FILES, NATIVE, README, SETS, Manifests, read
from harness.peer import wait_until
from rig import objects
from rig.account import Account
from rig.api import KINDS, ApiError, path_of
from rig.world import World, wait_who

STRICT = {"dryRun": "All", "fieldValidation": "Strict"}


@pytest.fixture(scope="module")
def shop(cluster):
    """The namespace that they are for."""
    return cluster.api.create(objects.namespace("shop"))["metadata"]["name"]


def judge(api, made):
    """As `kubectl apply --dry-run=server --validate=strict` does."""
    assert made["apiVersion"] == KINDS[made["kind"]][0]
    path = path_of(made["kind"], made["metadata"].get("namespace"))
    return api.call("POST", path, made, **STRICT)


@pytest.mark.parametrize("path", [*FILES, README], ids=lambda path: path.name)
def test_server_takes(path, cluster, shop):
    for made in read(path):
        # Admission may change what it takes; what was written is still there.
        taken = judge(cluster.api, made)
        assert taken["metadata"]["name"] == made["metadata"]["name"]
        assert made["metadata"].get("namespace", shop) == shop


def test_server_minds_a_field_that_it_does_not_know(cluster, shop):
    made = Manifests(*SETS[NATIVE]).one("Deployment")
    pod = made["spec"]["template"]["spec"]
    pod["initContainers"][0]["lifecycle"]["preStopp"] = {}
    with pytest.raises(ApiError, match="preStopp"):
        judge(cluster.api, made)


@pytest.mark.parametrize("name", SETS)
def test_sidecar_is_restricted(name, cluster):
    """A namespace that enforces the strictest of the pod security standards takes it."""
    ns = cluster.namespace("strict")
    cluster.api.apply({"kind": "Namespace", "metadata": objects.meta(
        ns, labels={"pod-security.kubernetes.io/enforce": "restricted"})})
    nigh = Manifests(*SETS[name]).nigh
    nigh.pop("restartPolicy", None)
    pod = {"kind": "Pod", "apiVersion": "v1", "metadata": objects.meta("nigh", ns),
           "spec": {"containers": [nigh]}}
    judge(cluster.api, pod)
    nigh["securityContext"].pop("capabilities")
    with pytest.raises(ApiError, match="restricted"):
        judge(cluster.api, pod)


def test_rights_are_enough(cluster, binary, cleanup, shop):
    """Near by a key that needs the labels of nodes, with nothing refused."""
    manifests = Manifests(*SETS[NATIVE])
    account = Account(cluster.front_api, shop, manifests.pod["serviceAccountName"])
    for kind in ("Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding"):
        cluster.api.create(manifests.one(kind))
    rights = [(verb, rule, ns) for kind, ns in (("Role", shop), ("ClusterRole", None))
              for rule in manifests.one(kind)["rules"] for verb in rule["verbs"]]
    for right in rights:
        wait_until(lambda r=right: account.may(*r), f"{right}")
    world = World(cluster, binary, cleanup, shop)
    world.service()
    world.pod("east", "node-b1"), world.pod("west", "node-c1")
    world.wait_count(2)
    side = world.sidecar(world.directory(account), TOPOLOGY_KEYS=f"{REGION},*")
    wait_who(side, "east")
    assert {(row.resource, row.verb) for row in cluster.audit.asked(account.user)} == \
        {(resource, verb) for verb, rule, _ in rights for resource in rule["resources"]}
    assert set(cluster.audit.codes(account.user)) == {200}
