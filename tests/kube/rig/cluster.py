# SPDX-License-Identifier: Apache-2.0
"""A control plane, and what tests do to it.

There are two API servers over one etcd. Sidecars know the first (`front`), which tests
may kill or freeze; the tests themselves and the controllers use the second (`back`), so
the cluster goes on changing meanwhile."""
import itertools
import pathlib

from harness.peer import wait_until

from . import objects, servers
from .account import Account, Directory
from .api import Api, ApiError
from .audit import POLICY, Audit
from .certs import Certs
from .dns import Dns

FRONT, BACK, PORT = "198.19.0.1", "198.19.0.2", 6443
ADMIN = "rig-admin-token"

# name: (zone, region); one has neither
NODES = {"node-a1": ("zone-a", "east"), "node-a2": ("zone-a", "east"),
         "node-b1": ("zone-b", "east"), "node-c1": ("zone-c", "west"),
         "node-x1": (None, None)}

KUBECONFIG = """\
apiVersion: v1
kind: Config
current-context: rig
contexts:
- name: rig
  context:
    cluster: rig
    user: rig
clusters:
- name: rig
  cluster:
    server: https://{host}:{port}
    certificate-authority: {ca}
users:
- name: rig
  user:
    {user}
"""


class Cluster:
    """The running servers; nothing is taken back at the end, as all of it ends."""

    def __init__(self, folder):
        self.folder = folder
        program = servers.program()
        self.certs = Certs(folder)
        self.ca = pathlib.Path(self.certs.ca).read_text(encoding="ascii")
        self._numbers = itertools.count(1)
        self._addresses = (f"198.18.{high}.{low}"
                           for high in range(1, 256) for low in range(1, 255))
        options = self._options()
        self._etcd = servers.etcd(folder)
        self.api = Api(BACK, PORT, self.certs.ca, ADMIN)
        self.front_api = Api(FRONT, PORT, self.certs.ca, ADMIN)
        self.back = servers.kubernetes(program, folder, BACK, options)
        self.back.wait_until(lambda: is_ready(self.api))
        # Not before: both would make the objects that a new cluster begins with.
        self.front = servers.kubernetes(program, folder, FRONT, options)
        self.audit = Audit(folder / f"audit-{FRONT}.log")
        self.controllers = servers.controllers(
            program, folder, self.kubeconfig("controllers", f"token: {ADMIN}", BACK))
        self.wait_front()
        self.dns = Dns()
        for name, (zone, region) in NODES.items():
            self.node(name, zone, region)

    def _options(self):
        cert, key = self.certs.make("server", "/CN=kubernetes", f"IP:{FRONT}",
                                    f"IP:{BACK}", "DNS:kubernetes.default.svc")
        accounts_cert, accounts_key = self.certs.make("accounts", "/CN=accounts")
        policy = self.file("audit", POLICY)
        tokens = self.file("tokens", f'{ADMIN},admin,admin,"system:masters"\n')
        return {"tls-cert-file": cert, "tls-private-key-file": key,
                "client-ca-file": self.certs.ca, "token-auth-file": tokens,
                "service-account-key-file": accounts_cert,
                "service-account-signing-key-file": accounts_key,
                "audit-policy-file": policy}

    # --- the server that sidecars talk to ---

    def wait_front(self):
        self.front.wait_until(lambda: is_ready(self.front_api))

    def settle(self):
        """Until the cache of the front server, if it serves, has all that there is."""
        for kind in ("EndpointSlice", "Service", "Node") if self.front.serves else ():
            wait_until(lambda k=kind: self.front_api.versions(k, resourceVersion=0)
                       == self.api.versions(k), f"{kind}s are the same everywhere")

    def restart_front(self):
        self.front.start()
        self.wait_front()

    # --- objects ---

    def node(self, name, zone=None, region=None, **labels):
        return self.api.apply({"kind": "Node", "metadata": objects.meta(name, labels={
            **labels,
            "kubernetes.io/hostname": name,
            **({"topology.kubernetes.io/zone": zone} if zone else {}),
            **({"topology.kubernetes.io/region": region} if region else {})})})

    def namespace(self, prefix="test"):
        """The name of a new one."""
        name = f"{prefix}-{next(self._numbers)}"
        self.api.create(objects.namespace(name))
        return name

    def address(self):
        """For a pod; never given twice."""
        return next(self._addresses)

    def account(self, ns, *rules, name="app"):
        """A service account with these rights in its namespace."""
        account = Account(self.front_api, ns, name)
        if rules:
            account.grant(*rules, ns=ns)
        return account

    def file(self, name, text):
        """The path of a new file."""
        path = self.folder / f"{name}-{next(self._numbers)}"
        path.write_text(text)
        return path

    def kubeconfig(self, name, user, host=FRONT):
        """A file; user: its line or lines on credentials."""
        return self.file(f"kubeconfig-{name}", KUBECONFIG.format(
            host=host, port=PORT, ca=self.certs.ca, user=user))

    def directory(self, ns, token):
        """What a pod of this namespace has of its account."""
        return Directory(self.folder / f"account-{next(self._numbers)}", ca=self.ca,
                         namespace=ns, token=token and token.text)


def is_ready(api):
    try:
        return api.call("GET", "/readyz") == "ok"
    except (OSError, ApiError):
        return False
