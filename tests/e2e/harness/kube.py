# SPDX-License-Identifier: Apache-2.0
"""Kubernetes objects as `kubectl get endpointslices,services,nodes -A -o json`
prints them, for NIGH_ENDPOINTS=file:."""
import json
import os

ZONE = "topology.kubernetes.io/zone"
REGION = "topology.kubernetes.io/region"
HOSTNAME = "kubernetes.io/hostname"


def node(name, zone=None, **labels):
    labels = {HOSTNAME: name, **labels}
    if zone:
        labels[ZONE] = zone
    return {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": labels}}


def service(name, ports=(("http", 80),), ns="shop", annotations=None, **spec):
    return {
        "apiVersion": "v1", "kind": "Service",
        "metadata": {"name": name, "namespace": ns, "annotations": annotations or {}},
        "spec": {"ports": [{"name": port_name, "port": port, "protocol": "TCP"}
                           for port_name, port in ports], **spec},
    }


def endpoint(*addresses, node=None, zone=None, ready=True, serving=None,
             terminating=None, hostname=None, for_zones=()):
    conditions = {"ready": ready, "serving": serving, "terminating": terminating}
    result = {"addresses": list(addresses) or ["127.0.0.1"],
              "conditions": {k: v for k, v in conditions.items() if v is not None}}
    if node:
        result["nodeName"] = node
    if zone:
        result["zone"] = zone
    if hostname:
        result["hostname"] = hostname
    if for_zones:
        result["hints"] = {"forZones": [{"name": name} for name in for_zones]}
    return result


def slice_of(service_name, port, *endpoints, ns="shop", port_name="http", suffix=""):
    """One EndpointSlice; several of one service form a union."""
    six = any(":" in address for e in endpoints for address in e["addresses"])
    return {
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
        "metadata": {"name": f"{service_name}-{suffix or port}", "namespace": ns,
                     "labels": {"kubernetes.io/service-name": service_name}},
        "addressType": "IPv6" if six else "IPv4",
        "endpoints": list(endpoints),
        "ports": [{"name": port_name, "port": port, "protocol": "TCP"}],
    }


def listing(*objects):
    return {"apiVersion": "v1", "kind": "List", "items": list(objects)}


class EndpointsFile:
    """The file, and the three ways in which people replace one."""

    def __init__(self, folder, *objects):
        self.path = str(folder / "endpoints.json")
        self.overwrite(*objects)

    @property
    def setting(self):
        return f"file:{self.path}"

    def overwrite_text(self, data):
        with open(self.path, "w", encoding="utf-8") as file:
            file.write(data)

    def overwrite(self, *objects):
        self.overwrite_text(json.dumps(listing(*objects)))

    def rename(self, *objects):
        new = self.path + ".new"
        with open(new, "w", encoding="utf-8") as file:
            json.dump(listing(*objects), file)
        os.rename(new, self.path)


class ConfigMapVolume:
    """The folder as the kubelet lays it out: file -> ..data -> ..generation."""

    def __init__(self, folder, *objects):
        self.folder = folder
        self.generation = 0
        self.publish(*objects)
        os.symlink("..data/endpoints.json", folder / "endpoints.json")

    @property
    def setting(self):
        return f"file:{self.folder / 'endpoints.json'}"

    def publish(self, *objects):
        self.generation += 1
        new = self.folder / f"..2026_{self.generation}"
        new.mkdir()
        (new / "endpoints.json").write_text(json.dumps(listing(*objects)))
        os.symlink(new.name, self.folder / "..data_tmp")
        os.rename(self.folder / "..data_tmp", self.folder / "..data")
