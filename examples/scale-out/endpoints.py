# SPDX-License-Identifier: Apache-2.0
"""The service `orders` as `kubectl get endpointslices,services -o json` prints it."""

import json
import os

METADATA = {"namespace": "default", "creationTimestamp": "2026-01-01T00:00:00Z"}


def service(port):
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": METADATA | {"name": "orders"},
        "spec": {
            "type": "ClusterIP",
            "clusterIP": "10.96.0.10",
            "ports": [{"name": "http", "port": 80, "protocol": "TCP", "targetPort": port}],
            "selector": {"app": "orders"},
        },
    }


def endpoint(backend):
    return {
        "addresses": [backend.address],
        "conditions": {"ready": True, "serving": True, "terminating": False},
        "nodeName": f"node-{backend.name}",
        "targetRef": {"kind": "Pod", "name": f"orders-{backend.name}", "namespace": "default"},
        "zone": backend.zone,
    }


def endpoint_slice(backends, port):
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": METADATA | {
            "name": "orders-x7k2p",
            "labels": {"kubernetes.io/service-name": "orders"},
        },
        "addressType": "IPv4",
        "endpoints": [endpoint(backend) for backend in backends],
        "ports": [{"name": "http", "port": port, "protocol": "TCP"}],
    }


def write(path, backends):
    """Replaces the file in one step, so that no reader sees half of it."""
    port = backends[0].port
    items = [service(port), endpoint_slice(backends, port)]
    new = path.with_suffix(".new")
    new.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": items}, indent=4))
    os.replace(new, path)
