# SPDX-License-Identifier: Apache-2.0
"""kube-proxy's rules of selection, and what nigh adds, told once more in Python: the
reference that `nigh explain` is compared with.  Made from the rules, not from the C
code.  Objects are as in harness.kube."""
import ipaddress
import json
import re

from harness.kube import HOSTNAME, REGION, ZONE

NAME = r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?"
LABEL = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"
KEY = re.compile(rf"(?P<prefix>{LABEL}(\.{LABEL})*/)?{NAME}")


def canonical(text):
    """The address as Go prints it, read as leniently as kube-proxy does."""
    if ":" in text:
        address = ipaddress.IPv6Address(text)
        return str(address.ipv4_mapped or address)
    return ".".join(str(int(part)) for part in text.split("."))


def is_key(text):
    match = isinstance(text, str) and KEY.fullmatch(text)
    return bool(match) and len(match["prefix"] or "") <= 254


def valid_keys(keys):
    """The list, or None if the API would refuse it."""
    fine = (len(keys) <= 16 and len(set(map(str, keys))) == len(keys)
            and "*" not in keys[:-1] and all(key == "*" or is_key(key) for key in keys))
    return keys if fine else None


def is_headless(service):
    return service["spec"].get("clusterIP") == "None"


def keys_of(service):
    """The service's own keys: [] for none, None for an invalid list."""
    spec = service["spec"].get("topologyKeys")
    if spec and not is_headless(service):
        invalid = service["spec"].get("externalTrafficPolicy") == "Local"
        return None if invalid else valid_keys(spec)
    annotations = service["metadata"].get("annotations") or {}
    text = annotations.get("nigh/topology-keys", "").strip()
    if text.startswith("["):
        try:
            return valid_keys(json.loads(text))
        except ValueError:
            return None
    return valid_keys([key.strip() for key in text.split(",")]) if text else []


class Record:
    """One endpoint of one slice, at one port."""

    def __init__(self, slice_, json_, port=0):
        old = slice_["apiVersion"].endswith("/v1beta1")
        conditions = json_.get("conditions") or {}
        hints = json_.get("hints") or {}
        map_ = dict(json_.get("topology" if old else "deprecatedTopology") or {})
        if old:
            self.node = json_.get("nodeName") or map_.get(HOSTNAME)
            self.zone = map_.get(ZONE)
        else:
            self.node, self.zone = json_.get("nodeName"), json_.get("zone")
        self.family = slice_["addressType"]
        self.address, self.port = canonical(json_["addresses"][0]), port
        self.ready = conditions.get("ready") is not False
        self.serving = conditions.get("serving") is not False
        self.terminating = conditions.get("terminating") is True
        self.zones = {hint["name"] for hint in hints.get("forZones") or []}
        self.nodes = {hint["name"] for hint in hints.get("forNodes") or []}
        self.topology = {**map_, HOSTNAME: self.node, ZONE: self.zone}

    @property
    def fallback(self):
        return not self.ready and self.serving and self.terminating

    @property
    def state(self):
        if self.ready:
            return "ready"
        if not self.terminating:
            return "unready"
        return "serving" if self.serving else "terminating"


class Rules:
    """What a new call from this pod may use."""

    def __init__(self, objects, **env):
        self.objects = objects
        self.env = env
        self.nodes = {o["metadata"]["name"]: o["metadata"].get("labels") or {}
                      for o in objects if o["kind"] == "Node"}
        own = self.own_record()
        self.node = env.get("NODE_NAME") or (own and own.node)
        labels = dict(self.nodes.get(self.node, {}))
        labels.update((k, v) for k, v in (own.topology if own else {}).items() if v)
        labels.update(x.split("=", 1) for x in env.get("NODE_LABELS", "").split(",") if x)
        for key, name in (ZONE, "ZONE"), (REGION, "REGION"):
            if env.get(name):
                labels[key] = env[name]
        labels.pop(HOSTNAME, None)
        if self.node:
            labels[HOSTNAME] = self.node
        self.labels = labels

    def slices(self):
        return [o for o in self.objects if o["kind"] == "EndpointSlice"
                and o.get("addressType") in ("IPv4", "IPv6")]

    def own_record(self):
        """An address can be used again while its last owner terminates."""
        if "POD_IP" not in self.env:
            return None
        records = [Record(slice_, json_) for slice_ in self.slices()
                   for json_ in slice_.get("endpoints") or []]
        ours = [r for r in records if r.address == canonical(self.env["POD_IP"])]
        return min(ours, key=lambda record: record.terminating, default=None)

    def records(self, namespace, name, port_name):
        """The union over slices, by address and port."""
        union = {}
        for slice_ in self.slices():
            meta = slice_["metadata"]
            owner = (meta.get("labels") or {}).get("kubernetes.io/service-name")
            if (meta.get("namespace", "default"), owner) != (namespace, name):
                continue
            ports = [p["port"] for p in slice_.get("ports") or [] if p.get("port")
                     and p.get("name") == port_name and p.get("protocol", "TCP") == "TCP"]
            for json_ in slice_.get("endpoints") or []:
                for port in ports:
                    new = Record(slice_, json_, port)
                    old = union.setdefault((new.address, port), new)
                    if old.terminating and not new.terminating:
                        union[new.address, port] = new
        return list(union.values())

    def topology(self, record):
        """The endpoint's labels; what v1 lost comes from its Node object."""
        node = self.nodes.get(record.node, {})
        map_ = {**node, **record.topology}
        return {key: value for key, value in map_.items() if value is not None}

    @staticmethod
    def all_of(usable):
        return usable, "*" if usable else None

    def by_keys(self, keys, usable):
        if not self.labels:
            return self.all_of(usable if keys[-1] == "*" else [])
        for key in keys:
            if key == "*":
                return self.all_of(usable)
            if key in self.labels:
                found = [r for r in usable
                         if self.topology(r).get(key) == self.labels[key]]
                if found:
                    return found, f"{key}={self.labels[key]}"
        return [], None

    def by_hints(self, usable):
        for key, hints in (HOSTNAME, "nodes"), (ZONE, "zones"):
            ours = self.labels.get(key)
            found = [r for r in usable if ours and ours in getattr(r, hints)]
            if found and all(getattr(r, hints) for r in usable):
                return found, f"{key}={ours}"
        return self.all_of(usable)

    @staticmethod
    def reached_by(service, records):
        """kube-proxy chooses in each address family by itself; a call goes by one."""
        first = (service["spec"].get("ipFamilies") or ["IPv4"])[:1]
        families = [*first, "IPv4", "IPv6"]
        groups = [[r for r in records if r.family == family] for family in families]
        return next(filter(None, groups), [])

    def choose(self, service, records):
        """(mode, domain, chosen records)"""
        spec = service["spec"]
        headless = is_headless(service)
        records = self.reached_by(service, records)
        ready = [r for r in records if r.ready]
        fallback = [r for r in records if r.fallback]
        if spec.get("internalTrafficPolicy") == "Local" and not headless:
            for usable in ready, fallback:
                local = [r for r in usable if self.node and r.node == self.node]
                if local:
                    return "internalTrafficPolicy", f"{HOSTNAME}={self.node}", local
            return "internalTrafficPolicy", None, []
        keys = keys_of(service)
        if keys:
            chosen, domain = self.by_keys(keys, ready)
            return "topologyKeys", domain, chosen
        distribution = spec.get("trafficDistribution")
        if distribution not in ("PreferClose", "PreferSameZone", "PreferSameNode"):
            distribution = None
        hinted = any(r.zones or r.nodes for r in ready or fallback)
        if not headless and (distribution or hinted):
            mode = "trafficDistribution" if distribution else "hints"
            chosen, domain = self.by_hints(ready) if ready else self.all_of(fallback)
            return mode, domain, chosen
        keys = self.env.get("TOPOLOGY_KEYS", f"{HOSTNAME},{ZONE},*").split(",")
        chosen, domain = self.by_keys(keys, ready or fallback)
        return "defaultKeys", domain, chosen

    def explain(self, service):
        """What the JSON says of the first port, without its texts."""
        meta, port = service["metadata"], service["spec"]["ports"][0]
        namespace = meta.get("namespace", "default")
        records = self.records(namespace, meta["name"], port.get("name", ""))
        mode, domain, chosen = self.choose(service, records)
        rows = [{"address": r.address, "port": r.port, "node": r.node, "zone": r.zone,
                 "state": r.state, "chosen": r in chosen} for r in records]
        return {"service": f"{namespace}/{meta['name']}", "port": port["port"],
                "mode": mode, "domain": domain, "endpoints": rows}
