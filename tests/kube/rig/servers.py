# SPDX-License-Identifier: Apache-2.0
"""etcd, API servers and the controller manager as processes."""
import os
import signal
import subprocess

from harness.peer import wait_until

START = 180     # seconds that a server may take to start on a busy machine


class Server:
    """One process; its output goes to a file. It ends with the tests."""

    def __init__(self, name, folder, *command):
        self.name = name
        self.log = folder / f"{name}.log"
        self._command = ["setpriv", "--pdeathsig", "KILL", *map(str, command)]
        self._process = None
        self.serves = False         # neither killed nor frozen
        self.start()

    def start(self):
        with open(self.log, "ab") as log:
            # pylint: disable=consider-using-with
            self._process = subprocess.Popen(
                self._command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self.serves = True

    def wait_until(self, condition):
        """Until it serves."""
        def is_up():
            assert not self.is_gone(), f"{self.name} has ended:\n{self.tail()}"
            return condition()
        wait_until(is_up, f"{self.name} is up; its log: {self.log}", START, pause=0.05)

    def tail(self):
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-20:])

    def is_gone(self):
        return self._process.poll() is not None

    def kill(self):
        self.serves = False
        self._process.kill()
        self._process.wait()

    def freeze(self):
        self.serves = False
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self):
        self._process.send_signal(signal.SIGCONT)
        self.serves = True


ETCD = "http://127.0.0.1:2379"
SERVICES = "10.96.0.0/16"


def etcd(folder):
    """That of Debian 12 tells no progress to an idle watcher, so an API server over it
    ends a watch without a version after 3 s. Those with one are as everywhere."""
    return Server("etcd", folder, "etcd", "--unsafe-no-fsync",
                  "--data-dir", folder / "etcd", "--listen-client-urls", ETCD,
                  "--advertise-client-urls", ETCD,
                  "--listen-peer-urls", "http://127.0.0.1:2380")


def kubernetes(program, folder, host, options):
    """An API server. options: those that differ between setups."""
    fixed = {
        "etcd-servers": ETCD,
        "bind-address": host,
        "advertise-address": host,
        "secure-port": 6443,
        "endpoint-reconciler-type": "none",
        "service-account-issuer": "https://kubernetes.default.svc",
        # Tokens end when they say so.
        "service-account-extend-token-expiration": "false",
        "authorization-mode": "RBAC",
        "service-cluster-ip-range": SERVICES,
        "goaway-chance": "0.02",        # connections end now and then, as in big clusters
        # Two of one host name would quarrel over a lease.
        "feature-gates": "APIServerIdentity=false",
        # Pods need no account here, they do not run.
        "disable-admission-plugins": "ServiceAccount",
        "audit-log-path": folder / f"audit-{host}.log",
    }
    return Server(f"api-{host}", folder, program, "kube-apiserver",
                  *[f"--{name}={value}" for name, value in {**fixed, **options}.items()])


def controllers(program, folder, kubeconfig):
    return Server(
        "controllers", folder, program, "kube-controller-manager",
        "--controllers=endpointslice-controller,namespace-controller,"
        "garbage-collector-controller",
        "--leader-elect=false", "--kubeconfig", kubeconfig,
        "--kube-api-qps=200", "--kube-api-burst=400",
        "--bind-address=127.0.0.1", "--cert-dir", folder / "controllers")


def program():
    path = os.environ.get("NIGH_KUBERNETES")
    assert path, "run tests/kube/run, which builds the servers and says where they are"
    return path
