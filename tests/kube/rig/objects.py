# SPDX-License-Identifier: Apache-2.0
"""Kubernetes objects as the tests write them."""
from harness import kube


def meta(name, ns=None, **more):
    return {"name": name, **({"namespace": ns} if ns else {}), **more}


def namespace(name):
    return {"kind": "Namespace", "metadata": meta(name)}


def service(name, ns, ports=(("http", 80, 8080),), selector=None, annotations=None,
            **spec):
    """ports: (name or None, port, target port or its name); selector: by default the pods
    that are called app=NAME; an empty one leaves the slices to the test."""
    made = kube.service(name, [], ns, annotations,
                        selector={"app": name} if selector is None else selector, **spec)
    made["spec"]["ports"] = [
        {**({"name": port_name} if port_name else {}), "port": port, "targetPort": target}
        for port_name, port, target in ports]
    return made


def pod(name, ns, node, labels, ports=()):
    """ports: (name, number), for services that name their target port."""
    return {"kind": "Pod", "metadata": meta(name, ns, labels=labels), "spec": {
        "nodeName": node,
        "containers": [{"name": "app", "image": "app", "ports": [
            {"name": port_name, "containerPort": port} for port_name, port in ports]}]}}


def pod_status(address, ready):
    return {"status": {
        "phase": "Running", "podIP": address, "podIPs": [{"ip": address}],
        "conditions": [{"type": "Ready", "status": str(bool(ready))}]}}


def slice_of(name, ns, port, *endpoints, suffix="a", port_name="http"):
    """A slice that no controller keeps."""
    return kube.slice_of(name, port, *endpoints, ns=ns, port_name=port_name,
                         suffix=suffix)


def rule(resource, *verbs, group="", **more):
    """One line of a role."""
    return {"apiGroups": [group], "resources": [resource], "verbs": list(verbs), **more}


# What nigh may need, by resource.
SLICES = rule("endpointslices", "get", "list", "watch", group="discovery.k8s.io")
SERVICES = rule("services", "get", "list", "watch")
NODES = rule("nodes", "get", "list", "watch")
