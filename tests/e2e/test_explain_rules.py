# SPDX-License-Identifier: Apache-2.0
"""`nigh explain` against kube-proxy's rules: some cases by hand, many by the reference in
harness.rules."""
import http.client
import itertools
import json
import random
import urllib.parse

import pytest

from harness.kube import HOSTNAME, REGION, ZONE, EndpointsFile, node, service, slice_of
from harness.rules import Rules

HERE = {"NODE_NAME": "n1", "ZONE": "a", "NAMESPACE": "shop"}
SERIAL = itertools.count(1)
LIVE = {"ready": True}
DYING = {"ready": False, "serving": True, "terminating": True}


def at(last, place, state=None, hints=None, **extra):
    """Endpoint 10.0.0.LAST; the place n2a is node n2 in zone a."""
    return {"addresses": [f"10.0.0.{last}"], "nodeName": place[:-1], "zone": place[-1],
            "conditions": state or LIVE, "hints": hints, **extra}


def zones(*names):
    return {"forZones": [{"name": name} for name in names]}


def nodes(name, zone):
    return {"forNodes": [{"name": name}], **zones(zone)}


def orders(*endpoints, ports=None, **members):
    """A slice of shop/orders; members are its own, or replace those of every slice."""
    made = slice_of("orders", 8080, *endpoints, suffix=next(SERIAL))
    return {**made, **({"ports": ports} if ports is not None else {}), **members}


def keys(*names, **spec):
    return service("orders", topologyKeys=list(names), **spec)


def noted(text, **spec):
    return service("orders", annotations={"nigh/topology-keys": text}, **spec)


def explain(nigh, folder, objects, query="orders", **settings):
    """(exit status, what the JSON says or None, stderr)"""
    file = EndpointsFile(folder, *objects)
    settings = {**HERE, **settings}
    done = nigh.run("explain", query, "--json", ENDPOINTS=file.setting, **settings)
    return done.returncode, json.loads(done.stdout or "null"), done.stderr


def chosen(told):
    return [row["address"].removeprefix("10.0.0.") for row in told["endpoints"]
            if row["chosen"]]


PLAIN = service("orders")
NEAR = {"mode": "defaultKeys", "domain": f"{HOSTNAME}=n1"}
SPREAD = [at(1, "n1a"), at(2, "n2a"), at(3, "n3b")]
NINE = [{"name": "http", "port": 9}]
SIX = orders({**at(0, "n1a"), "addresses": ["FD00:0::0006"]}, addressType="IPv6")

# Objects, the endpoints chosen, and what else the JSON says.
CASES = {
    "hints choose none of what terminates": (
        [PLAIN, orders(at(1, "n1a", DYING, zones("a")), at(2, "n3b", DYING, zones("b")))],
        "12", {"mode": "hints", "domain": "*"}),
    "hints of a node, else of the zone": (
        [PLAIN, orders(at(1, "n2a", hints=nodes("n2", "a")),
                       at(2, "n3b", hints=nodes("n3", "b")))],
        "1", {"mode": "hints", "domain": f"{ZONE}=a"}),
    "the hint counts, not where the endpoint is": (
        [PLAIN, orders(at(1, "n1a", hints=zones("b")), at(2, "n3b", hints=zones("a")))],
        "2", {"mode": "hints", "domain": f"{ZONE}=a"}),
    "one without a hint ends it for all": (
        [PLAIN, orders(at(1, "n1a", hints=zones("a"))), orders(at(2, "n3b"))],
        "12", {"mode": "hints", "domain": "*"}),
    "the other family's missing hint ends nothing": (
        [PLAIN, SIX, orders(at(1, "n1a", hints=zones("a")),
                            at(2, "n3b", hints=zones("b")))],
        "1", {"mode": "hints", "domain": f"{ZONE}=a"}),
    "a family without endpoints is not waited for": (
        [PLAIN, orders(endpoints=None), SIX], ["fd00::6"], NEAR),
    "a family without endpoints at this port neither": (
        [PLAIN, orders(*SPREAD, ports=[]), SIX], ["fd00::6"], NEAR),
    "distribution is the mode, hints decide": (
        [service("orders", trafficDistribution="PreferSameNode"), orders(*SPREAD)],
        "123", {"mode": "trafficDistribution", "domain": "*"}),
    "local, terminating": (
        [service("orders", internalTrafficPolicy="Local"),
         orders(at(1, "n1a", DYING), at(2, "n2a"))],
        "1", {"mode": "internalTrafficPolicy", "domain": f"{HOSTNAME}=n1"}),
    "local, none here": (
        [service("orders", internalTrafficPolicy="Local"), orders(at(2, "n2a"))],
        "", {"mode": "internalTrafficPolicy", "domain": None}),
    "keys, nothing falls back": (
        [keys(ZONE, "*"), orders(at(1, "n1a", DYING))],
        "", {"mode": "topologyKeys", "domain": None}),
    "keys, the zone goes before a hint": (
        [keys(ZONE), orders(at(1, "n1a", hints=zones("b")),
                            at(2, "n3b", hints=zones("a")))],
        "1", {"mode": "topologyKeys", "domain": f"{ZONE}=a"}),
    "the field goes before the annotation": (
        [noted(HOSTNAME, topologyKeys=["*"]), orders(*SPREAD)],
        "123", {"mode": "topologyKeys", "domain": "*"}),
    "annotation, a list with commas": (
        [noted(f" {ZONE} , *"), orders(*SPREAD)],
        "12", {"mode": "topologyKeys", "domain": f"{ZONE}=a"}),
    "headless: the field has no effect": (
        [keys(ZONE, clusterIP="None"), orders(*SPREAD)], "1", NEAR),
    "headless: the annotation has": (
        [noted(ZONE, clusterIP="None"), orders(*SPREAD)],
        "12", {"mode": "topologyKeys", "domain": f"{ZONE}=a"}),
    "headless: no policy, no hints": (
        [service("orders", clusterIP="None", internalTrafficPolicy="Local"),
         orders(at(2, "n2a", hints=zones("b")), at(3, "n3b", hints=zones("a")))],
        "2", {"mode": "defaultKeys", "domain": f"{ZONE}=a"}),
    "a record that lives beats one that terminates": (
        [PLAIN, orders(at(1, "n1a", {**DYING, "ready": True})), orders(at(1, "n3b"))],
        "1", {"mode": "defaultKeys", "domain": "*"}),
    "only the first address": (
        [PLAIN, orders({**at(1, "n1a"), "addresses": ["010.0.0.001", "10.0.0.2"]})],
        "1", NEAR),
    "v1beta1": (
        [keys(REGION, "*"), node("n1", "a", **{REGION: "r"}),
         orders({"addresses": ["10.0.0.1"], "topology": {HOSTNAME: "n1", ZONE: "a"}},
                {"addresses": ["10.0.0.2"], "topology": {REGION: "r", ZONE: "b"}},
                apiVersion="discovery.k8s.io/v1beta1")],
        "12", {"mode": "topologyKeys", "domain": f"{REGION}=r"}),
    "unnamed and numberless ports, and other protocols, are none": (
        [PLAIN, *(orders(at(1, "n1a"), ports=[port]) for port in (
            {"port": 8080}, {"name": None, "port": 8080}, {"name": "http", "port": None},
            {"name": "http", "port": 0}, {"name": "", "port": 8080},
            {"name": "http", "port": 8080, "protocol": "UDP"}))],
        "", {"endpoints": []}),
    "one port name, two numbers": (
        [PLAIN, orders(at(1, "n1a")), orders(at(2, "n1a"), ports=NINE)],
        "12", NEAR),
    "an address at two ports is two endpoints": (
        [PLAIN, orders(at(1, "n1a")), orders(at(1, "n1a"), ports=NINE)],
        "11", NEAR),
    "FQDN slices are not for us": ([PLAIN, orders(*SPREAD, addressType="FQDN")], "", {}),
    "a slice of nobody": (
        [PLAIN, orders(*SPREAD, metadata={"name": "x", "namespace": "shop"})],
        "", {"reason": "service has no ready endpoint: it has no endpoints"}),
    "ExternalName": (
        [service("orders", type="ExternalName"), orders(*SPREAD)],
        "", {"mode": "none", "domain": None, "endpoints": []}),
    "null everywhere": (
        [PLAIN, orders({"addresses": ["10.0.0.1"], "conditions": None, "hints": None,
                        "nodeName": None, "zone": None}), orders(endpoints=None)],
        "1", {"mode": "defaultKeys", "domain": "*"}),
}


@pytest.mark.parametrize("name", CASES)
def test_case(name, nigh, tmp_path):
    objects, want, says = CASES[name]
    status, told, _ = explain(nigh, tmp_path, objects)
    assert sorted(chosen(told)) == sorted(want), told
    assert status == (0 if want else 1)
    assert {key: told[key] for key in says} == says, told["reason"]


UNKNOWN = {"NODE_NAME": "", "ZONE": ""}


@pytest.mark.parametrize("settings, objects, want, domain", [
    ({"ZONE": ""}, [PLAIN, node("n1", "b")], "3", f"{ZONE}=b"),
    ({"ZONE": ""}, [keys(ZONE), {"kind": "Node", "metadata": {"name": "n1"}}], "", None),
    ({"ZONE": ""}, [keys(HOSTNAME), node("n1", **{HOSTNAME: "x"})], "", None),
    ({**UNKNOWN, "NODE_LABELS": f"{ZONE}=b"}, [PLAIN], "3", f"{ZONE}=b"),
    ({**UNKNOWN, "POD_IP": "10.0.0.3"}, [keys(ZONE)], "3", f"{ZONE}=b"),
    ({**UNKNOWN, "POD_IP": "10.0.0.3"}, [keys(HOSTNAME)], "3", f"{HOSTNAME}=n3"),
    (UNKNOWN, [keys(ZONE, HOSTNAME)], "", None),
    (UNKNOWN, [keys(ZONE, "*")], "23", "*"),
    (UNKNOWN, [PLAIN], "23", "*"),
    ({"NODE_LABELS": "rack="},
     [keys("rack"), node("n2", rack=""), node("n3", rack="x")], "2", "rack="),
    ({"TOPOLOGY_KEYS": f"{HOSTNAME},{ZONE}", "ZONE": "c"}, [PLAIN], "", None)])
def test_place(settings, objects, want, domain, nigh, tmp_path):
    """Where our labels come from, and what an unknown one means."""
    objects = [*objects, orders(at(2, "n2a"), at(3, "n3b"))]
    status, told, _ = explain(nigh, tmp_path, objects, **settings)
    assert ("".join(sorted(chosen(told))), told["domain"]) == (want, domain), told
    assert status == (0 if want else 1)


@pytest.mark.parametrize("text, fault", [
    (["*", ZONE], "'*' may only be the last key"), ([ZONE, ZONE], "occurs twice"),
    (["*", "*"], "'*'"), ([""], "'' is no label name"), (["-x"], "no label name"),
    (["a/b/c"], "no label name"), (["A/b"], "no label name"),
    (["x" * 64], "no label name"), (["p" * 254 + "/n"], "no label name"),
    ([f"k{i}" for i in range(17)], "at most 16"), ([None], "not a string"),
    (f"{ZONE},", "'' is no label name"), ("[", "not a JSON array")])
def test_invalid_keys(text, fault, nigh, tmp_path):
    """They are ignored, which is said, and what would apply without them does."""
    makers = [lambda: noted(text if isinstance(text, str) else json.dumps(text))]
    if not isinstance(text, str):
        makers.append(lambda: keys(*text))
    for make in makers:
        status, told, _ = explain(nigh, tmp_path, [make(), orders(*SPREAD)])
        assert (status, told["mode"], chosen(told)) == (0, "defaultKeys", ["1"])
        assert "opology" in told["reason"] and "ignored: " in told["reason"]
        assert fault in told["reason"]


TWO_PORTS = service("orders", ports=[("grpc", 90), ("http", 81)])


@pytest.mark.parametrize("query", [
    "orders:81", "orders:http", "orders.:81", "orders.shop:81", "ORDERS.Shop.SVC:81",
    "orders.shop.svc.cluster.local:81", "orders.shop.svc.cluster.local.:http",
    "shop/orders:81"])
def test_forms(query, nigh, tmp_path):
    status, told, _ = explain(nigh, tmp_path, [TWO_PORTS, orders(*SPREAD)], query)
    assert (status, told["service"], told["port"]) == (0, "shop/orders", 81)
    assert chosen(told) == ["1"]


@pytest.mark.parametrize("query", [
    "", ":81", "orders:", "orders:0", "orders:65536", "orders:-1", "orders:81/x",
    "orders:81:", "http://orders", "10.0.0.1", "[::1]:81", "or ders", "orders.shop.sv",
    "a.orders.shop.svc", "orders"])
def test_bad_usage(query, nigh, tmp_path):
    """The last one has two ports, and none of them is 80."""
    status, told, error = explain(nigh, tmp_path, [TWO_PORTS, orders(*SPREAD)], query)
    assert (status, told) == (2, None)
    assert ("81 (http)" if query == "orders" else "SERVICE[:PORT]") in error


@pytest.mark.parametrize("query, name, port", [
    ("orders:80", "shop/orders", 80), ("orders:x", "shop/orders", "x"),
    ("order", "shop/order", None), ("orders.other:7", "other/orders", 7)])
def test_unknown(query, name, port, nigh, tmp_path):
    status, told, _ = explain(nigh, tmp_path, [TWO_PORTS, orders(*SPREAD)], query)
    assert status == 1 and told.pop("reason")
    assert told == {"service": name, "port": port, "mode": "none", "domain": None,
                    "endpoints": []}


def test_without_a_service_object(nigh, tmp_path):
    """By the port's name, by its number, or the only one there is."""
    two = orders(at(1, "n1a"), ports=[{"name": "a", "port": 7}, {"name": "b", "port": 8}])
    for objects, query, want in [
            ([two], "orders:b", 8), ([two], "orders:7", 7), ([two], "orders:9", None),
            ([orders(*SPREAD)], "orders:99", 8080), ([orders(*SPREAD)], "orders", 8080)]:
        _, told, _ = explain(nigh, tmp_path, objects, query)
        assert [row["port"] for row in told["endpoints"] if row["chosen"]] \
            == ([want] if want else []), query


def test_what_cannot_be_read(nigh, tmp_path):
    for text in "", "{", "{}", "[]":
        (tmp_path / "bad.json").write_text(text)
        done = nigh.run("explain", "orders", "--json",
                        ENDPOINTS=f"file:{tmp_path}/bad.json")
        assert done.returncode == 2 and done.stderr and not done.stdout, text
    done = nigh.run("explain", "orders", ENDPOINTS=f"file:{tmp_path}/none.json")
    assert done.returncode == 2 and "none.json" in done.stderr


def test_what_was_skipped_is_told(nigh, tmp_path):
    objects = [PLAIN, orders({"addresses": ["10.0.0.256"]}, at(1, "n1a"))]
    file = EndpointsFile(tmp_path, *objects)
    done = nigh.run("explain", "orders", ENDPOINTS=file.setting, **HERE)
    assert done.returncode == 0 and "10.0.0.256" in done.stderr
    assert explain(nigh, tmp_path, objects)[2] == "", "a program reads the JSON only"


def test_a_sidecar_without_endpoints(nigh):
    """It has nothing to look into, but knows what a service's name looks like."""
    host, port = nigh(ENDPOINTS="dns", NAMESPACE="shop").addr("admin")
    done = nigh.run("explain", "or ders", "--json", ADMIN=f"{host}:{port}")
    assert done.returncode == 2 and "SERVICE[:PORT]" in done.stderr
    done = nigh.run("explain", "orders:81", "--json", ADMIN=f"{host}:{port}")
    told = json.loads(done.stdout)
    assert (done.returncode, told["service"], told["port"]) == (1, "shop/orders", 81)
    assert "DNS" in told["reason"]


# --- many, by chance ---

NODES = "n1", "n2", "n3"
ZONES = "a", "b", "c"


def one_of(rng, table):
    """A key of {value: weight}."""
    return rng.choices(list(table), list(table.values()))[0]


class Chance:
    """Objects that look like a cluster's, and some that no cluster should have."""

    def __init__(self, seed):
        self.rng = random.Random(seed)
        self.seen = set()

    def likely(self, share):
        return self.rng.random() < share

    def some(self, names, most):
        return self.rng.sample(names, self.rng.randint(1, most))

    def hints(self, zone_share, node_share):
        made = {kind: [{"name": name} for name in self.some(names, 2)]
                for kind, names, share in (("forZones", ZONES, zone_share),
                                           ("forNodes", NODES, node_share))
                if self.likely(share)}
        return made or self.rng.choice([None, {}, {"forZones": None, "forNodes": []}])

    def endpoint(self, address, old, hint_shares):
        place = {"nodeName": self.rng.choice([*NODES, None]),
                 "zone": one_of(self.rng, {"a": 9, "b": 9, "c": 5, "": 1, None: 4})}
        if old:
            place = {"topology": {key: value for key, value in (
                (HOSTNAME, place["nodeName"]), (ZONE, place["zone"]),
                (REGION, self.rng.choice(["r1", "r2", None]))) if value is not None}}
        conditions = {name: one_of(self.rng, weights) for name, weights in (
            ("ready", {True: 4, False: 5, None: 1}),
            ("serving", {True: 3, False: 1, None: 1}),
            ("terminating", {True: 4, False: 3, None: 3}))}
        # Of duplicates only the terminating ones have an order that the rules know.
        mark = address, conditions["terminating"] is True
        if mark in self.seen:
            return None
        self.seen.add(mark)
        return {"addresses": [address], **place, "conditions": conditions,
                "hints": self.hints(*hint_shares)}

    def slice(self, name, port_name, number, hint_shares):
        old = self.likely(.2)
        family = one_of(self.rng, {"IPv4": 18, "IPv6": 2, "FQDN": 1})
        form = {"IPv4": "10.0.{}.{}", "IPv6": "FD00::{:x}:00{}", "FQDN": "h{}-{}.x"}
        addresses = [form[family].format(number, self.rng.randint(1, 6))
                     for _ in range(self.rng.randint(0, 5))]
        endpoints = [self.endpoint(address, old, hint_shares) for address in addresses]
        ports = [{"name": port_name, "port": self.rng.choice([8080, 8080, 9090])}, *(
            port for port in ({"name": port_name, "port": 53, "protocol": "UDP"},
                              {"name": "other", "port": 54}, {"name": None, "port": 55},
                              {"name": port_name, "port": None}) if self.likely(.1))]
        return slice_of(name, 0) | {
            "apiVersion": "discovery.k8s.io/v1beta1" if old else "discovery.k8s.io/v1",
            "addressType": family, "endpoints": [e for e in endpoints if e] or None,
            "ports": ports if self.likely(.95) else None}

    def service(self, number):
        """A Service and its slices."""
        wanted = self.some([HOSTNAME, ZONE, REGION, "rack"], 3) + ["*"] * self.likely(.5)
        wanted += [self.rng.choice(["*", "", "a/b/c", wanted[0]])] * self.likely(.1)
        text = self.rng.choice([json.dumps(wanted), " , ".join(wanted)])
        port_name = self.rng.choice(["", "http"])
        spec = {key: value for share, key, value in (
            (.2, "internalTrafficPolicy", self.rng.choice(["Local", "Local", "Cluster"])),
            (.15, "topologyKeys", wanted),
            (.1, "clusterIP", "None"),
            (.1, "externalTrafficPolicy", "Local"),
            (.1, "ipFamilies", self.rng.choice([["IPv6"], ["IPv6", "IPv4"], [], None])),
            (.2, "trafficDistribution", self.rng.choice(
                ["PreferClose", "PreferSameZone", "PreferSameNode", "PreferMoon"])),
        ) if self.likely(share)}
        notes = {"nigh/topology-keys": text} if self.likely(.15) else None
        name = f"s{number}"
        hint_shares = self.rng.choice(
            [(0, 0), (0, 0), (1, 0), (1, 1), (0, 1), (.9, .9)])
        slices = [self.slice(name, port_name, number, hint_shares)
                  for _ in range(self.rng.randint(1, 3))]
        for i, made in enumerate(slices):
            made["metadata"]["name"] = f"{name}-{i}"
        return service(name, ports=[(port_name, 80)], annotations=notes, **spec), *slices

    def nodes(self):
        for name in NODES:
            labels = {HOSTNAME: self.rng.choice([name, "other"]),
                      ZONE: self.rng.choice(["a", "b", "", None]),
                      REGION: self.rng.choice(["r1", "r2", None]),
                      "rack": self.rng.choice(["k1", None])}
            labels = {key: value for key, value in labels.items() if value is not None}
            if self.likely(.6):
                yield {"kind": "Node", "metadata": {"name": name, "labels": labels}}

    def settings(self):
        return {key: self.rng.choice(values) for share, key, values in (
            (.7, "NODE_NAME", [*NODES, "n9"]), (.4, "ZONE", ["a", "b", "z"]),
            (.2, "REGION", ["r1"]), (.2, "NODE_LABELS", ["rack=k1", "rack="]),
            (.3, "POD_IP", ["10.0.0.1", "10.0.1.2", "10.0.2.3"]),
            (.3, "TOPOLOGY_KEYS", ["*", ZONE, f"{HOSTNAME},{ZONE}", f"{REGION},*"]),
        ) if self.likely(share)}


@pytest.mark.parametrize("seed", range(12))
def test_chance(seed, nigh, tmp_path):
    """One sidecar tells of forty services."""
    chance = Chance(seed)
    made = [chance.service(number) for number in range(40)]
    objects = [*chance.nodes(), *(one for group in made for one in group)]
    settings = chance.settings()
    rules = Rules(objects, **settings)
    file = EndpointsFile(tmp_path, *objects)
    side = nigh(ENDPOINTS=file.setting, **settings)
    conn = http.client.HTTPConnection(*side.addr("admin"), timeout=60)
    for group in made:
        want = rules.explain(group[0])
        conn.request("GET", "/explain?service=" + urllib.parse.quote(want["service"]))
        answer = conn.getresponse()
        told = json.loads(answer.read())
        about = json.dumps([settings, told, group])
        assert told.pop("reason"), about
        for row in told["endpoints"]:
            assert row.pop("why"), about
        for answered in want, told:
            answered["endpoints"].sort(key=lambda row: (row["address"], row["port"]))
        assert told == want, about
        assert answer.status == (200 if chosen(told) else 404)
        assert answer.headers["Content-Type"] == "application/json"
