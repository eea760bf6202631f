# SPDX-License-Identifier: Apache-2.0
"""A client of the API server: objects in and out as JSON, one connection per call."""
import contextlib
import http.client
import json
import ssl
import urllib.parse

from harness.peer import DEADLINE

# kind: (API group and version, plural)
KINDS = {
    "Namespace": ("v1", "namespaces"),
    "Node": ("v1", "nodes"),
    "Pod": ("v1", "pods"),
    "Secret": ("v1", "secrets"),
    "Service": ("v1", "services"),
    "ServiceAccount": ("v1", "serviceaccounts"),
    "Deployment": ("apps/v1", "deployments"),
    "EndpointSlice": ("discovery.k8s.io/v1", "endpointslices"),
    "HorizontalPodAutoscaler": ("autoscaling/v2", "horizontalpodautoscalers"),
    "PodDisruptionBudget": ("policy/v1", "poddisruptionbudgets"),
    "Role": ("rbac.authorization.k8s.io/v1", "roles"),
    "RoleBinding": ("rbac.authorization.k8s.io/v1", "rolebindings"),
    "ClusterRole": ("rbac.authorization.k8s.io/v1", "clusterroles"),
    "ClusterRoleBinding": ("rbac.authorization.k8s.io/v1", "clusterrolebindings"),
    "SubjectAccessReview": ("authorization.k8s.io/v1", "subjectaccessreviews"),
}


# Metadata alone: of one object, of a list.
METADATA, METADATA_LIST = (
    f"application/json;as=PartialObjectMetadata{kind};g=meta.k8s.io;v=v1"
    for kind in ("", "List"))


class ApiError(Exception):
    """An answer that is no success."""

    def __init__(self, status, body):
        super().__init__(f"{status}: {body}")
        self.status = status


def path_of(kind, ns=None, name=None):
    version, plural = KINDS[kind]
    parts = ["", "apis" if "/" in version else "api", version]
    parts += ["namespaces", ns] if ns else []
    parts += [plural] + ([name] if name else [])
    return "/".join(parts)


def path_to(made):
    """Where this object is."""
    meta = made["metadata"]
    return path_of(made["kind"], meta.get("namespace"), meta["name"])


class Api:
    """One API server, as one user."""

    def __init__(self, host, port, ca_file, token=None):
        self.host, self.port = host, port
        self._ca_file = ca_file
        self._credentials = {"Authorization": f"Bearer {token}"} if token else {}
        self._context = ssl.create_default_context(cafile=ca_file)

    def as_user(self, token=None, certificate=None):
        """certificate: (certificate, key) files."""
        other = Api(self.host, self.port, self._ca_file, token)
        if certificate:
            other._context.load_cert_chain(*certificate)
        return other

    @contextlib.contextmanager
    def ask(self, method, path, body=None, content="application/json",
            accept="application/json", **query):
        """The answer as it begins."""
        connection = http.client.HTTPSConnection(
            self.host, self.port, context=self._context, timeout=3 * DEADLINE)
        try:
            connection.request(
                method, path + ("?" + urllib.parse.urlencode(query) if query else ""),
                body=json.dumps(body) if body else None,
                headers={"Content-Type": content, "Accept": accept, **self._credentials})
            with connection.getresponse() as answer:
                yield answer
        finally:
            connection.close()

    def call(self, method, path, *arguments, **options):
        """The object that the server answers with."""
        with self.ask(method, path, *arguments, **options) as answer:
            text = answer.read().decode()
        if answer.status >= 300:
            raise ApiError(answer.status, text)
        return json.loads(text) if text.startswith("{") else text

    def get(self, kind, name, ns=None):
        return self.call("GET", path_of(kind, ns, name))

    def list(self, kind, ns=None, **query):
        """The objects, each with its kind, which lists leave out."""
        items = self.call("GET", path_of(kind, ns), **query)["items"]
        return [{"kind": kind, "apiVersion": KINDS[kind][0], **item} for item in items]

    def versions(self, kind, **query):
        """What there is in all namespaces, and which version of it."""
        listed = self.call("GET", path_of(kind), accept=METADATA_LIST, **query)
        return {(one["metadata"].get("namespace"), one["metadata"]["name"]):
                one["metadata"]["resourceVersion"] for one in listed["items"] or []}

    def create(self, made):
        body = {"apiVersion": KINDS[made["kind"]][0], **made}
        path = path_of(made["kind"], made.get("metadata", {}).get("namespace"))
        return self.call("POST", path, body)

    def apply(self, made):
        """Create it, or make it like this."""
        body = {"apiVersion": KINDS[made["kind"]][0], **made}
        return self.call("PATCH", path_to(made), body, "application/apply-patch+yaml",
                         fieldManager="rig", force="true")

    def patch(self, made, change, part=""):
        """Merge a change into the object; None removes a field."""
        return self.call("PATCH", path_to(made) + part, change,
                         "application/merge-patch+json")

    def delete(self, made, grace=0):
        return self.call("DELETE", path_to(made), gracePeriodSeconds=grace)
