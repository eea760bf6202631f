# SPDX-License-Identifier: Apache-2.0
"""A service account: its rights, its tokens, and its directory as a pod sees it."""
import itertools
import os

from harness.peer import wait_until

from . import objects
from .api import ApiError, path_to

TOKEN_SECONDS = 3600


class Token:
    """A bound token; it ends when what it is bound to does."""

    def __init__(self, api, account, name):
        self._api = api
        self._secret = api.create({"kind": "Secret",
                                   "metadata": objects.meta(name, account.ns)})
        meta = self._secret["metadata"]
        made = api.call("POST", path_to(account.made) + "/token", {
            "kind": "TokenRequest", "apiVersion": "authentication.k8s.io/v1",
            "spec": {"expirationSeconds": TOKEN_SECONDS, "boundObjectRef": {
                "kind": "Secret", "apiVersion": "v1",
                "name": meta["name"], "uid": meta["uid"]}}})
        self.text = made["status"]["token"]

    def revoke(self):
        """It works for some seconds more, as servers remember it for so long."""
        self._api.delete(self._secret)

    def works(self):
        """A token that is taken back is not even asked for its rights."""
        try:
            self._api.as_user(self.text).list("Node")
        except ApiError as error:
            return error.status != 401
        return True


class Account:
    """ns/name, which may do what grant() says."""

    def __init__(self, api, ns, name):
        self.api, self.ns, self.name = api, ns, name
        self.user = f"system:serviceaccount:{ns}:{name}"
        self.made = api.create({"kind": "ServiceAccount",
                                "metadata": objects.meta(name, ns)})
        self._numbers = itertools.count(1)
        self._granted = []

    def token(self):
        return Token(self.api, self, f"{self.name}-{next(self._numbers)}")

    def grant(self, *rules, ns=None):
        """In one namespace, or in the cluster; returns when the server knows it."""
        scope, kind = {"namespace": ns} if ns else {}, "" if ns else "Cluster"
        meta = {"name": f"{self.ns}-{self.name}-{next(self._numbers)}", **scope}
        self._granted += [
            self.api.create({"kind": f"{kind}Role", "metadata": meta,
                             "rules": list(rules)}),
            self.api.create({
                "kind": f"{kind}RoleBinding", "metadata": meta,
                "roleRef": {"apiGroup": "rbac.authorization.k8s.io",
                            "kind": f"{kind}Role", "name": meta["name"]},
                "subjects": [{"kind": "ServiceAccount", "name": self.name,
                              "namespace": self.ns}]})]
        for rule in rules:
            for verb in rule["verbs"]:
                wait_until(lambda v=verb, r=rule: self.may(v, r, ns), f"{verb} {rule}")

    def revoke(self):
        """All that was granted; running watches go on."""
        for made in self._granted:
            self.api.delete(made)
        self._granted.clear()

    def may(self, verb, rule, ns=None):
        """What the API server says to it."""
        names = rule.get("resourceNames", [])
        asked = {"verb": verb, "group": rule["apiGroups"][0],
                 "resource": rule["resources"][0], **({"namespace": ns} if ns else {}),
                 **({"name": names[0]} if names else {})}
        return self.api.create({"kind": "SubjectAccessReview", "spec": {
            "user": self.user, "resourceAttributes": asked,
            "groups": ["system:serviceaccounts", f"system:serviceaccounts:{self.ns}",
                       "system:authenticated"]}})["status"]["allowed"]


class Directory:
    """What the kubelet mounts: each file is a link through `..data`, whose swap renews
    all of them at once."""

    PLACE = "/var/run/secrets/kubernetes.io/serviceaccount"

    def __init__(self, folder, **files):
        self.folder = folder
        self._files = {}
        self._numbers = itertools.count(1)
        self.publish(**files)

    def publish(self, **files):
        """Renews the named files (token, ca, namespace); None takes one away."""
        self._files.update({"ca.crt" if name == "ca" else name: text
                            for name, text in files.items()})
        new = self.folder / f"..2026_{next(self._numbers)}"
        new.mkdir(parents=True)
        for name, text in self._files.items():
            link = self.folder / name
            if text is None:
                link.unlink(missing_ok=True)
                continue
            (new / name).write_text(text)
            if not link.is_symlink():
                link.symlink_to(f"..data/{name}")
        os.symlink(new.name, self.folder / "..data_tmp")
        os.rename(self.folder / "..data_tmp", self.folder / "..data")
