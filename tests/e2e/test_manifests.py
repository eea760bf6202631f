# SPDX-License-Identifier: Apache-2.0
"""The manifests that we publish fit together, and fit the program.

That an API server takes them is for tests/kube to show."""
import json
import re

import pytest

from harness.api_server import ApiServer
from harness.kube import REGION, endpoint, node, service, slice_of
from harness.manifests import (FILES, IN_README, NATIVE, ORDINARY, README, ROOT, SETS,
                               Manifests, parse, read)
from harness.peer import wait_until

# What the kubelet may give, by field.
DOWNWARD = {"spec.nodeName": "node-1.example", "metadata.namespace": "shop",
            "metadata.name": "web-5d4f7c9b8-x2x4z", "status.podIP": "10.1.2.3"}
CLUSTER_WIDE = ("ClusterRole", "ClusterRoleBinding")
SECONDS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600}


@pytest.fixture(params=SETS)
def manifests(request):
    return Manifests(*SETS[request.param])


def config(nigh, manifests):
    """What nigh makes of its environment there: text by variable."""
    settings = manifests.settings(DOWNWARD)
    assert all(name.startswith("NIGH_") for name in settings)
    settings = {name.removeprefix("NIGH_"): value for name, value in settings.items()}
    done = nigh.run("config", "--check", **settings)
    assert (done.returncode, done.stderr) == (0, "")
    return {row["name"]: row["value"] for row in json.loads(
        nigh.run("config", "--json", **settings).stdout)}


def seconds(text):
    number, unit = re.fullmatch(r"(\d+)([a-z]*)", text).groups()
    return int(number) * SECONDS[unit or "s"]


def port_of(listener):
    """Of "[ADDR:]PORT"."""
    return int(listener.rpartition(":")[2])


def container_ports(container):
    return {row["containerPort"] for row in container["ports"]}


# --- each by itself ---

@pytest.mark.parametrize("path", [*FILES, README], ids=lambda path: path.name)
def test_objects_are_named(path):
    objects = read(path)
    assert objects
    for made in objects:
        assert made["apiVersion"] and made["metadata"]["name"], made
        assert ("namespace" in made["metadata"]) == (made["kind"] not in CLUSTER_WIDE)


def test_a_key_that_stands_there_twice():
    with pytest.raises(AssertionError, match="twice"):
        parse("{a: 1, b: {c: 1, c: 2}}")


def test_folder_readme_names_each_file():
    text = (ROOT / "examples/kubernetes/README.md").read_text(encoding="utf-8")
    for path in FILES:
        assert str(path.relative_to(ROOT / "examples/kubernetes")) in text


# --- together ---

def test_settings_are_accepted(manifests, nigh):
    assert config(nigh, manifests)["NIGH_ENDPOINTS"] == "auto"


def test_ports_lead_to_the_application(manifests, nigh):
    """Service -> nigh -> application, and the application -> nigh."""
    settings = config(nigh, manifests)
    inbound = dict(rule.split("=") for rule in settings["NIGH_INBOUND"].split(","))
    inbound = {port_of(listen): port_of(target.partition("/")[0])
               for listen, target in inbound.items()}
    for port in manifests.one("Service")["spec"]["ports"]:
        # By number: older control planes do not find the named port of a sidecar.
        assert port["targetPort"] in inbound
    assert container_ports(manifests.nigh) == \
        {*inbound, port_of(settings["NIGH_ADMIN"])}
    assert set(inbound.values()) <= container_ports(manifests.app)
    proxies = {row["value"] for row in manifests.app["env"]
               if "_proxy" in row["name"].lower()}
    outbound = port_of(settings["NIGH_OUTBOUND"])
    assert proxies == {f"http://localhost:{outbound}", "localhost,127.0.0.1"}


def test_own_service(manifests, nigh):
    """The Service that selects these pods; the address is the pod's."""
    settings = config(nigh, manifests)
    assert settings["NIGH_SERVICE"] == manifests.one("Service")["metadata"]["name"]
    assert settings["NIGH_POD_IP"] == DOWNWARD["status.podIP"]


def test_probes(manifests, nigh):
    admin = port_of(config(nigh, manifests)["NIGH_ADMIN"])
    for kind, path in (("startup", "/readyz"), ("readiness", "/readyz"),
                       ("liveness", "/healthz")):
        assert manifests.nigh[f"{kind}Probe"]["httpGet"] == {"path": path, "port": admin}
    for kind in ("startup", "readiness", "liveness"):
        probe = manifests.app.get(f"{kind}Probe")
        assert not probe or probe["httpGet"]["port"] in container_ports(manifests.app)


def test_selectors_and_names(manifests):
    deployment = manifests.one("Deployment")
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    namespaces = {made["metadata"]["namespace"] for made in manifests.objects
                  if made["kind"] not in CLUSTER_WIDE}
    assert len(namespaces) == 1
    assert manifests.one("Service")["spec"]["selector"] == labels
    selecting = [deployment, *manifests.every("PodDisruptionBudget"),
                 *manifests.pod.get("topologySpreadConstraints", [])]
    for one in selecting:
        assert one.get("spec", one).get("selector", one.get("labelSelector")) == \
            {"matchLabels": labels}
    for hpa in manifests.every("HorizontalPodAutoscaler"):
        assert "replicas" not in deployment["spec"]
        assert hpa["spec"]["scaleTargetRef"] == {
            "apiVersion": deployment["apiVersion"], "kind": "Deployment",
            "name": deployment["metadata"]["name"]}
        for metric in hpa["spec"]["metrics"]:
            of_what = metric["containerResource"]
            assert of_what["container"] == manifests.app["name"]
            assert of_what["name"] in manifests.app["resources"]["requests"]


def test_order_of_termination(manifests, nigh):
    settings = config(nigh, manifests)
    grace = manifests.pod["terminationGracePeriodSeconds"]
    hook = manifests.app["lifecycle"]["preStop"]
    if "exec" in hook:
        command, sleep = hook["exec"]["command"]
        assert command == "sleep"
    else:
        sleep = hook["sleep"]["seconds"]
    assert seconds(settings["NIGH_DRAIN_DELAY"]) < int(sleep) < grace
    assert seconds(settings["NIGH_DRAIN_TIMEOUT"]) < grace
    assert int(sleep) < seconds(settings["NIGH_DRAIN_TIMEOUT"])


def test_hooks():
    """Each as the clusters that it is for can do it."""
    dockerfile = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    program = json.loads(re.search(r"^ENTRYPOINT (.*)$", dockerfile, re.M)[1])
    for name in (NATIVE, IN_README):
        manifests = Manifests(*SETS[name])
        assert manifests.is_native and manifests.nigh["restartPolicy"] == "Always"
        assert manifests.nigh["lifecycle"] == {
            "preStop": {"exec": {"command": [*program, "drain"]}}}
    ordinary = Manifests(*SETS[ORDINARY])
    assert not ordinary.is_native
    assert "lifecycle" not in ordinary.nigh and "restartPolicy" not in ordinary.nigh
    assert "exec" in ordinary.app["lifecycle"]["preStop"]
    for member in ("env", "ports", "resources", "securityContext"):
        assert ordinary.nigh[member] == Manifests(*SETS[NATIVE]).nigh[member]


def test_nothing_is_privileged(manifests):
    context = manifests.nigh["securityContext"]
    assert context["runAsNonRoot"] and context["readOnlyRootFilesystem"]
    assert context["allowPrivilegeEscalation"] is False
    assert context["capabilities"] == {"drop": ["ALL"]}
    assert context["seccompProfile"] == {"type": "RuntimeDefault"}
    assert not {"hostNetwork", "hostPID", "shareProcessNamespace"} & set(manifests.pod)


# --- rights ---

def granted(manifests, kind):
    return {(group, resource, verb) for role in manifests.every(kind)
            for rule in role["rules"] for group in rule["apiGroups"]
            for resource in rule["resources"] for verb in rule["verbs"]}


def test_bindings():
    manifests = Manifests(*SETS[NATIVE])
    account = manifests.one("ServiceAccount")["metadata"]
    assert manifests.pod["serviceAccountName"] == account["name"]
    for scope in ("", "Cluster"):
        binding = manifests.one(f"{scope}RoleBinding")
        assert binding["roleRef"]["kind"] == f"{scope}Role"
        role = manifests.one(f"{scope}Role")["metadata"]
        assert binding["roleRef"]["name"] == role["name"]
        assert binding["subjects"] == [{"kind": "ServiceAccount", **account}]


def asked(request):
    """(group, resource, verb) as RBAC sees this request; its path names no object."""
    found = re.fullmatch(r"/api(?:s/([^/]+))?/v1(?:/namespaces/[^/]+)?/([a-z]+)",
                         request.path)
    assert found, request.path
    return found[1] or "", found[2], "watch" if request.is_watch else "list"


def test_rights_are_those_that_are_used(nigh, backend, cleanup, tmp_path):
    """All of them, and no other: with a topology key that needs the labels of nodes."""
    app = backend("near")
    region = {REGION: "east"}
    api = ApiServer(
        node("node-1", "zone-a", **region), node("node-2", "zone-b", **region),
        service("orders"),
        slice_of("orders", app.port, endpoint("127.0.0.1", node="node-2")))
    cleanup.callback(api.close)
    side = nigh.route("orders:80", ENDPOINTS="kubernetes", NODE_NAME="node-1",
                      KUBECONFIG=api.kubeconfig(tmp_path), NAMESPACE="shop",
                      TOPOLOGY_KEYS=f"{REGION},*", SERVICE="web", POD_IP="10.1.2.3")
    wait_until(lambda: len(api.seen("nodes", watch=True)) == 2, "both nodes are watched")
    for resource in ("endpointslices", "services"):
        wait_until(lambda of=resource: api.seen(of, watch=True), f"{resource} watched")
    manifests = Manifests(*SETS[NATIVE])
    for kind, namespace in (("Role", "shop"), ("ClusterRole", "")):
        assert {asked(request) for request in api.seen(namespace=namespace)} == \
            granted(manifests, kind), side.log
