# SPDX-License-Identifier: Apache-2.0
"""A Kubernetes API server that does what the test says: list and watch of what it is
given, and every fault that a real one will not do on demand."""
import http.server
import json
import queue
import socket
import ssl
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

    @property
    def name(self):
        """What the selector selects: the name of the Service, Node or slices' Service."""
        selector = self.query.get("fieldSelector") or self.query.get("labelSelector", "")
        return selector.partition("=")[2]

    def selects(self, obj):
        meta = obj["metadata"]
        if obj["kind"] != RESOURCES[self.resource][0]:
            return False
        if self.namespace and meta.get("namespace", "default") != self.namespace:
            return False
        field, label = self.query.get("fieldSelector"), self.query.get("labelSelector")
        if field and meta["name"] != self.name:
            return False
        return not label or meta.get("labels", {}).get(SERVICE_LABEL) == self.name

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
        self.handler.connection.shutdown(socket.SHUT_RDWR)


def status(code, reason="Failure"):
    return {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code,
            "reason": reason, "message": f"scripted {reason}"}


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *_):
        pass

    def do_GET(self):               # pylint: disable=invalid-name
        try:
            self.server.api.serve(Request(self))
        except OSError:
            self.close_connection = True


class Listener(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, api, port):
        self.api = api
        self.open = set()
        super().__init__(("127.0.0.1", port), Handler)

    def handle_error(self, request, client_address):
        pass

    def get_request(self):
        sock, addr = super().get_request()
        if self.api.tls:            # its thread shakes hands, with the first read
            sock = self.api.tls.wrap_socket(sock, server_side=True,
                                            do_handshake_on_connect=False)
        self.open.add(sock)
        return sock, addr

    def shutdown_request(self, request):
        self.open.discard(request)
        super().shutdown_request(request)

    def cut_all(self):
        for sock in list(self.open):
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


class ApiServer:
    """intercept(request) -> True when it has answered; called before anything else."""

    def __init__(self, *objects, port=0, version=100, tls=None):
        self.lock = threading.RLock()
        self.version = version
        self.objects = {}
        self.history = []           # (version, object before or None, object or None)
        self.oldest = 0             # a watch from a version before this gets a 410
        self.page = None            # items of a list that come at once
        self.tls = tls              # an ssl.SSLContext
        self.requests = []
        self.watches = []           # (request, queue) of those that run
        self.intercept = None
        self.port = port
        self._held = None
        self.apply(*objects)
        self.restart()

    # --- what the test does ---

    def apply(self, *objects):
        for obj in objects:
            with self.lock:
                before = self.objects.get(self._key(obj))
                self.objects[self._key(obj)] = obj = self._next_version(obj)
                self._announce(before, obj)

    def delete(self, *objects):
        for obj in objects:
            with self.lock:
                gone = self.objects.pop(self._key(obj))
                self._announce(self._next_version(gone), None)

    def forget(self):
        """What has happened so far can be listed, no longer watched."""
        with self.lock:
            self.oldest = self.version = self.version + 1
            self.history.clear()

    def expire(self, resource=None):
        """The watches learn that their version is too old."""
        self.forget()
        self.send({"type": "ERROR", "object": status(410, "Expired")}, resource)

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

    def kubeconfig(self, folder, user=None, **cluster):
        path = folder / "kubeconfig"
        cluster = {name.replace("_", "-"): value for name, value in cluster.items()}
        path.write_text(json.dumps({
            "apiVersion": "v1", "kind": "Config", "current-context": "test",
            "clusters": [{"name": "c", "cluster": {
                "server": f"http{'s' if self.tls else ''}://127.0.0.1:{self.port}",
                **cluster}}],
            "users": [{"name": "u", "user": user or {"token": "secret"}}],
            "contexts": [{"name": "test", "context": {"cluster": "c", "user": "u"}}]}))
        return str(path)

    def kill(self):
        """No connection, and none can be made."""
        self._listener.shutdown()
        self._listener.server_close()
        self._listener.cut_all()
        self.end_watches()
        self._hold()

    def restart(self):
        """On the same port, once that is known."""
        self._listener = Listener(self, self.port)
        self.port = self._listener.server_address[1]
        self._release()
        threading.Thread(target=self._listener.serve_forever,
                         kwargs={"poll_interval": 0.02}, daemon=True).start()

    def close(self):
        self.kill()
        self._release()

    def _hold(self):
        """Its port, which the kernel would give to anybody."""
        self._release()
        self._held = socket.socket()
        self._held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._held.bind(("127.0.0.1", self.port))

    def _release(self):
        if self._held:
            self._held.close()
        self._held = None

    def cut_all(self):
        """Each connection; others can be made."""
        self._listener.cut_all()

    # --- what a server does ---

    @staticmethod
    def _key(obj):
        return obj["kind"], obj["metadata"].get("namespace", ""), obj["metadata"]["name"]

    def _next_version(self, obj):
        obj = json.loads(json.dumps(obj))
        self.version += 1
        obj["metadata"]["resourceVersion"] = str(self.version)
        return obj

    def _announce(self, before, obj):
        self.history.append((self.version, before, obj))
        for request, events in self.watches:
            self._tell(request, events, before, obj)

    def _tell(self, request, events, before, obj):
        was, remains = (bool(one and request.selects(one)) for one in (before, obj))
        kind = {(True, True): "MODIFIED", (False, True): "ADDED", (True, False): "DELETED"}
        if not was and not remains:
            return
        shown = obj if remains else json.loads(json.dumps(before))
        if obj and not remains:     # it has left the selection with this change
            shown["metadata"]["resourceVersion"] = obj["metadata"]["resourceVersion"]
        events.put({"type": kind[was, remains], "object": shown})

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
        start = int(request.query.get("continue", 0))
        with self.lock:
            items = [self._shape(request, obj) for obj in self.objects.values()
                     if request.selects(obj)]
            meta = {"resourceVersion": str(self.version)}
        end = start + (self.page or len(items))
        if end < len(items):
            meta["continue"] = str(end)
        # a typed list does not say what its items are
        items = [{k: v for k, v in item.items() if k not in ("kind", "apiVersion")}
                 for item in items[start:end]]
        return {"kind": kind + "List", "apiVersion": api, "metadata": meta, "items": items}

    def _list(self, request):
        request.answer(200, self.list_body(request))

    def _watch(self, request):
        events = queue.SimpleQueue()
        since = int(request.query.get("resourceVersion") or 0)
        with self.lock:
            if since < self.oldest:
                events.put({"type": "ERROR", "object": status(410, "Expired")})
                events.put(None)
            for version, before, obj in self.history:
                if version > since:
                    self._tell(request, events, before, obj)
            self.watches.append((request, events))
        try:
            request.begin_stream()
            while (event := events.get()) is not None:
                if isinstance(event, dict) and event["type"] in (
                        "ADDED", "MODIFIED", "DELETED"):
                    event = {**event, "object": self._shape(request, event["object"])}
                request.chunk(event)
            request.end_stream()
        finally:
            with self.lock:
                self.watches = [w for w in self.watches if w[1] is not events]
