# SPDX-License-Identifier: Apache-2.0
"""A Kubernetes API server that does what the test says: list and watch of what it is
given, and every fault that a real one will not do on demand."""
import http.server
import json
import queue
import threading
import urllib.parse

RESOURCES = {"endpointslices": ("EndpointSlice", "discovery.k8s.io/v1"),
             "services": ("Service", "v1"), "nodes": ("Node", "v1")}
SERVICE_LABEL = "kubernetes.io/service-name"


class Request:
    """One request as the server saw it."""

    def __init__(self, handler):
        url = urllib.parse.urlsplit(handler.path)
        self.path = url.path
        self.query = dict(urllib.parse.parse_qsl(url.query))
        self.headers = dict(handler.headers.items())
        self.resource = url.path.rsplit("/", 1)[-1]
        self.namespace = (url.path.split("/namespaces/", 1)[1].split("/")[0]
                          if "/namespaces/" in url.path else "")
        self.is_watch = self.query.get("watch") in ("1", "true")
        self.handler = handler

    @property
    def token(self):
        return self.headers.get("Authorization", "").removeprefix("Bearer ")

    def selects(self, obj):
        meta = obj["metadata"]
        if obj["kind"] != RESOURCES[self.resource][0]:
            return False
        if self.namespace and meta.get("namespace", "default") != self.namespace:
            return False
        field, label = self.query.get("fieldSelector"), self.query.get("labelSelector")
        if field and meta["name"] != field.removeprefix("metadata.name="):
            return False
        return not label or meta.get("labels", {}).get(SERVICE_LABEL) == \
            label.removeprefix(SERVICE_LABEL + "=")

    # --- raw answers, for faults ---

    def answer(self, code, body, **headers):
        """A whole answer with its length."""
        if not isinstance(body, bytes):
            body = json.dumps(body).encode()
        self.handler.send_response(code)
        for name, value in headers.items():
            self.handler.send_header(name.replace("_", "-"), value)
        self.handler.send_header("Content-Type", "application/json")
        self.handler.send_header("Content-Length", str(len(body)))
        self.handler.end_headers()
        self.handler.wfile.write(body)

    def status(self, code, reason="Failure", **headers):
        self.answer(code, status(code, reason), **headers)

    def begin_stream(self):
        self.handler.send_response(200)
        self.handler.send_header("Content-Type", "application/json")
        self.handler.send_header("Transfer-Encoding", "chunked")
        self.handler.end_headers()

    def chunk(self, data):
        if not isinstance(data, bytes):
            data = json.dumps(data).encode() + b"\n"
        self.handler.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
        self.handler.wfile.flush()

    def end_stream(self):
        self.handler.wfile.write(b"0\r\n\r\n")

    def hang_up(self):
        self.handler.close_connection = True
        self.handler.connection.shutdown(2)


def status(code, reason="Failure"):
    return {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code,
            "reason": reason, "message": f"scripted {reason}"}


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_GET(self):               # pylint: disable=invalid-name
        try:
            self.server.api.serve(Request(self))
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True


class Listener(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request, client_address):
        pass


class ApiServer:
    """intercept(request) -> True when it has answered; called before anything else."""

    def __init__(self, *objects, port=0, version=100):
        self.lock = threading.RLock()
        self.version = version
        self.objects = {}
        self.requests = []
        self.watches = []           # (request, queue) of those that run
        self.intercept = None
        for obj in objects:
            self._store(obj)
        self._listener = Listener(("127.0.0.1", port), Handler)
        self._listener.api = self
        self.port = self._listener.server_address[1]
        self._thread = threading.Thread(target=self._listener.serve_forever,
                                        kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()

    # --- what the test does ---

    def apply(self, *objects):
        for obj in objects:
            with self.lock:
                event = "MODIFIED" if self._key(obj) in self.objects else "ADDED"
                self._announce(event, self._store(obj))

    def delete(self, *objects):
        for obj in objects:
            with self.lock:
                gone = self.objects.pop(self._key(obj))
                self.version += 1
                gone["metadata"]["resourceVersion"] = str(self.version)
                self._announce("DELETED", gone)

    def send(self, event, resource=None):
        """This event, raw, to every watch (of a resource)."""
        with self.lock:
            for request, events in self.watches:
                if resource in (None, request.resource):
                    events.put(event)

    def bookmark(self):
        with self.lock:
            self.version += 1
            for request, events in self.watches:
                kind, api = RESOURCES[request.resource]
                events.put({"type": "BOOKMARK", "object": {
                    "kind": kind, "apiVersion": api,
                    "metadata": {"resourceVersion": str(self.version)}}})

    def end_watches(self):
        self.send(None)

    def seen(self, resource=None, watch=None, namespace=None):
        with self.lock:
            return [r for r in self.requests
                    if resource in (None, r.resource) and watch in (None, r.is_watch)
                    and namespace in (None, r.namespace)]

    def kubeconfig(self, folder, **user):
        path = folder / "kubeconfig"
        path.write_text(json.dumps({
            "apiVersion": "v1", "kind": "Config", "current-context": "test",
            "clusters": [{"name": "c", "cluster": {
                "server": f"http://127.0.0.1:{self.port}"}}],
            "users": [{"name": "u", "user": {"token": "secret", **user}}],
            "contexts": [{"name": "test", "context": {"cluster": "c", "user": "u"}}]}))
        return str(path)

    def close(self):
        self.end_watches()
        self._listener.shutdown()
        self._listener.server_close()

    # --- what a server does ---

    @staticmethod
    def _key(obj):
        return obj["kind"], obj["metadata"].get("namespace", ""), obj["metadata"]["name"]

    def _store(self, obj):
        obj = json.loads(json.dumps(obj))
        self.version += 1
        obj["metadata"]["resourceVersion"] = str(self.version)
        self.objects[self._key(obj)] = obj
        return obj

    def _announce(self, event, obj):
        for request, events in self.watches:
            if request.selects(obj):
                events.put({"type": event, "object": obj})

    def serve(self, request):
        with self.lock:
            self.requests.append(request)
        if self.intercept and self.intercept(request):
            return
        if request.is_watch:
            self._watch(request)
        else:
            self._list(request)

    def _shape(self, request, obj):
        if "PartialObjectMetadata" not in request.headers.get("Accept", ""):
            return obj
        return {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1",
                "metadata": obj["metadata"]}

    def list_body(self, request):
        kind, api = RESOURCES[request.resource]
        with self.lock:
            items = [self._shape(request, obj) for obj in self.objects.values()
                     if request.selects(obj)]
            version = str(self.version)
        for item in items:          # a typed list does not say what its items are
            item = {k: v for k, v in item.items() if k not in ("kind", "apiVersion")}
        return {"kind": kind + "List", "apiVersion": api,
                "metadata": {"resourceVersion": version}, "items": items}

    def _list(self, request):
        request.answer(200, self.list_body(request))

    def _watch(self, request):
        events = queue.SimpleQueue()
        since = int(request.query.get("resourceVersion") or 0)
        with self.lock:
            for obj in sorted(self.objects.values(),
                              key=lambda o: int(o["metadata"]["resourceVersion"])):
                if int(obj["metadata"]["resourceVersion"]) > since and request.selects(obj):
                    events.put({"type": "ADDED", "object": obj})
            self.watches.append((request, events))
        try:
            request.begin_stream()
            while (event := events.get()) is not None:
                if isinstance(event, dict) and event["type"] not in ("ERROR", "BOOKMARK") \
                        and "object" in event:
                    event = {**event, "object": self._shape(request, event["object"])}
                request.chunk(event)
            request.end_stream()
        finally:
            with self.lock:
                self.watches = [w for w in self.watches if w[1] is not events]
