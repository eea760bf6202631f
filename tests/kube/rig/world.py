# SPDX-License-Identifier: Apache-2.0
"""One test's namespace: services, pods that answer, and sidecars that call them."""
import contextlib
import http.client
import itertools
import pathlib
import re
from collections import Counter

from harness.backend import Backend
from harness.peer import DEADLINE, wait_until
from harness.sidecar import Sidecar

from . import objects
from .account import Directory
from .cluster import FRONT, PORT
from .dns import resolv_conf

APP_PORT = 8080

# Each sidecar sees files of its own in two places. Without an account there is no trace
# of the directory, as in a pod that mounts no token.
IN_POD = f"""
if [ -n "$1" ]; then mount --bind "$1" {Directory.PLACE}
else mount -t tmpfs none {pathlib.Path(Directory.PLACE).parents[1]}
fi
mount --bind "$2" /etc/resolv.conf
shift 2
exec "$@"
"""

# A first request waits for the API server however slow the machine is; where there is
# nothing to wait for, FAIL_OPEN.
SETTINGS = {"ENDPOINTS": "kubernetes", "NODE_NAME": "node-a1", "ADMIN": "127.0.0.1:0",
            "OUTBOUND": "127.0.0.1:0", "DRAIN_DELAY": "0s", "WORKERS": "1",
            "DISCOVERY_WAIT": "20s"}
FAIL_OPEN = {"DISCOVERY_WAIT": "1s"}


class Pod:
    """An application on an address of its own, and the object that tells of it."""

    def __init__(self, world, name, node, labels, ready, ports):
        self._world = world
        self.address = world.cluster.address()
        self.apps = [world.enter(Backend(f"{name}/{port_name}" if port_name else name,
                                         host=self.address, port=port))
                     for port_name, port in ports]
        self.made = world.api.create(objects.pod(
            name, world.ns, node, labels, [port for port in ports if port[0]]))
        self.set_ready(ready)

    def set_ready(self, ready=True):
        status = objects.pod_status(self.address, ready)
        self._world.api.patch(self.made, status, "/status")

    def label(self, **labels):
        self._world.api.patch(self.made, {"metadata": {"labels": labels}})

    def terminate(self):
        """Its end begins; it goes on answering."""
        self._world.api.delete(self.made, grace=30)

    def remove(self):
        self._world.api.delete(self.made)


class World:
    """pod(), service() and sidecar() make things in the namespace, the rest looks."""

    def __init__(self, cluster, binary, stack, ns=None):
        self.cluster = cluster
        self.api = cluster.api
        self.ns = ns or cluster.namespace()
        self._binary = binary
        self._stack = stack
        self._account = None
        self._numbers = itertools.count(1)

    def enter(self, thing):
        return self._stack.enter_context(contextlib.closing(thing))

    def other(self, ns):
        """The same in another namespace."""
        return World(self.cluster, self._binary, self._stack, ns)

    def node(self, zone=None, region=None, **labels):
        """The name of a node that no other test knows."""
        made = self.cluster.node(f"node-{self.ns}-{next(self._numbers)}", zone, region,
                                 **labels)
        return made["metadata"]["name"]

    def pod(self, name, node="node-a1", app="orders", ready=True,
            ports=((None, APP_PORT),)):
        """ports: (name or None, number); the answer of a named one is POD/NAME."""
        return Pod(self, name, node, {"app": app}, ready, ports)

    def service(self, name="orders", **spec):
        return self.api.create(objects.service(name, self.ns, **spec))

    def slices(self, name="orders"):
        return self.api.list("EndpointSlice", self.ns,
                             labelSelector=f"kubernetes.io/service-name={name}")

    def endpoints(self, name="orders"):
        """Of all slices of a service, as the API server has them."""
        return [one for made in self.slices(name) for one in made["endpoints"] or []]

    def wait_endpoints(self, condition, what, name="orders"):
        """Until the controller has done its part."""
        wait_until(lambda: condition(self.endpoints(name)), what, 3 * DEADLINE)
        self.cluster.settle()

    def wait_count(self, number, name="orders"):
        """Until the controller has found so many."""
        self.wait_endpoints(
            lambda found: len(found) == number, f"{number} endpoints of {name}", name)

    @property
    def account(self):
        """With all the rights that nigh may need."""
        if not self._account:
            self._account = self.cluster.account(
                self.ns, objects.SLICES, objects.SERVICES)
            self._account.grant(objects.NODES)
        return self._account

    def directory(self, account=None):
        return self.cluster.directory(self.ns, (account or self.account).token())

    # --- sidecars ---

    def sidecar(self, directory=None, **settings):
        """A sidecar in a pod of this namespace.

        directory  of its service account; False: none at all"""
        if directory is None:
            directory = self.directory()
        self.cluster.settle()
        resolv = self.cluster.file("resolv", resolv_conf(self.ns))
        side = Sidecar(self._binary, {**SETTINGS, **settings}, prefix=[
            "env", f"KUBERNETES_SERVICE_HOST={FRONT}", f"KUBERNETES_SERVICE_PORT={PORT}",
            "unshare", "-m", "sh", "-ec", IN_POD, "sh",
            str(directory.folder) if directory else "", str(resolv)])
        self._stack.callback(side.stop)
        return side.wait_ready()

    def by_dns(self, made):
        """Let the cluster address of a service answer by itself: who is answered so has
        not chosen an endpoint."""
        meta, address = made["metadata"], made["spec"]["clusterIP"]
        full = f"{meta['name']}.{meta['namespace']}.svc.cluster.local"
        self.cluster.dns.names[full] = address
        self.enter(Backend("dns", host=address, port=made["spec"]["ports"][0]["port"]))


def fetch(side, host="orders"):
    """(status, body) of one call on a connection of its own."""
    conn = http.client.HTTPConnection(*side.addr("outbound"), timeout=3 * DEADLINE)
    try:
        conn.request("GET", "/", headers={"Host": host})
        answer = conn.getresponse()
        return answer.status, answer.read().decode()
    finally:
        conn.close()


def who(side, host="orders", times=20):
    """Which applications answered so many calls, none of which may fail."""
    answers = Counter()
    for _ in range(times):
        status, body = fetch(side, host)
        assert status == 200, f"{status} {body}\n{side.log}"
        answers[body] += 1
    return answers


def wait_who(side, *names, host="orders", deadline=3 * DEADLINE):
    """Until calls go to all of these and to no other; none may fail meanwhile."""
    last = None

    def is_it():
        nonlocal last
        last = who(side, host, 10 * len(names))
        return set(last) == set(names)
    try:
        wait_until(is_it, f"calls to {host} go to {names}", deadline)
    except AssertionError as error:
        raise AssertionError(f"{error}; they go to {last}\n{side.log}") from None


def wait_status(side, status, host="orders", deadline=3 * DEADLINE):
    """Until calls are answered so; the body of the first."""
    def body_if_so():
        got, body = fetch(side, host)
        return got == status and body
    return wait_until(body_if_so, f"calls to {host} get {status}", deadline)


def endpoints_of(side, service):
    """The entry of /endpoints that is about this service."""
    found = [one for one in side.json("/endpoints")["services"]
             if one["service"].startswith(service)]
    assert len(found) == 1, f"{service} in {side.json('/endpoints')}"
    return found[0]


def expect_reason(side, pattern):
    """The sidecar is ready all the same, and says why it is not near."""
    def says():
        status, body = side.admin("/readyz")
        assert status == 200, body
        return re.search(pattern, body, re.I)
    wait_until(says, f"/readyz says {pattern}, not {side.admin('/readyz')}")
