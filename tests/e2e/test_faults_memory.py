# SPDX-License-Identifier: Apache-2.0
"""No memory, at every allocation that an operation comes by: the first of it fails, then
the second, and so on until it goes through without.  Each time nigh answers or cuts off
this one, another connection's request goes on, and the next one is served."""
import errno
import itertools
import os
import signal

import pytest

from harness.api_server import ApiServer
from harness.backend import ok
from harness.bystander import Bystander
from harness.certificates import tls
from harness.dialogue import OK
from harness.faults import ALWAYS, MEMORY
from harness.kube import EndpointsFile, endpoint, service, slice_of
from harness.message import read_request, read_response, text
from harness.peer import DEADLINE, connect, readable, wait_until
from harness.sidecar import Sidecar, run_command

GET = text("GET / HTTP/1.1", "Host: app.test")
CUT = "cut off"
SAYS_SAFE = "nigh-not-processed"

# Of operations with hundreds of allocations, which all are waited for in the same way,
# only some are tried. 1: all of them.
STRIDE = int(os.environ.get("NIGH_TEST_STRIDE", 0))


class Stage:
    """One sidecar, with a quiet application beside what the operation needs."""

    def __init__(self, frail, backend, server, folder, certs, workers):
        self.app, self.quiet, self.folder = backend("app"), server(), folder
        self.certs = certs
        self.server, self.backend = server, backend
        self._frail, self._workers = frail, workers
        self.side = self.bystander = None

    def start(self, app=None, kind="http", **settings):
        rules = [f"127.0.0.1:0={port}/{its}" for port, its in (
            (self.quiet.port, "http"), ((app or self.app).port, kind))]
        self.side = self._frail(**{"INBOUND": ",".join(rules), "OUTBOUND": "127.0.0.1:0",
                                   "WORKERS": self._workers, "NAMESPACE": "shop",
                                   "MAX_REQUESTS": "0", "MAX_CONNECTION_AGE": "0",
                                   **settings})
        self.side.json("/stats")        # every worker runs
        self.bystander = Bystander(self.side, self.quiet)

    def client(self, app=None, **options):
        return connect(self.side.addr("inbound", f":{(app or self.app).port}"), **options)

    def outbound(self):
        return connect(self.side.addr("outbound"))

    def ask(self, client, request=GET, method="GET"):
        """The status, or that the connection was cut off; a part of a response is that
        too. Only what the application has not seen may be said to be safe."""
        before = self.app.requests
        try:
            client.send(request)
            answer = read_response(client, method)
        except (AssertionError, OSError) as error:
            if isinstance(error, OSError) or client.end:
                return CUT
            raise
        assert not answer.get(SAYS_SAFE) or self.app.requests == before, str(answer)
        return answer.status

    def ask_once(self, request=GET, outbound=False):
        try:
            client = self.outbound() if outbound else self.client()
        except ConnectionResetError:
            return CUT
        with client:
            return self.ask(client, request)


# --- operations: each starts the sidecar and gives a function that does it once ---

def keep_alive(stage):
    stage.start()
    held = [stage.client()]

    def once():
        if held[0].end:
            held[0] = stage.client()
        return stage.ask(held[0])
    return once


def new_connection(stage):
    stage.start(POOL_IDLE_TIMEOUT="0")
    return stage.ask_once


def head_in_pieces(stage):
    """The response to one request tells that a part of the next is there too."""
    stage.start()

    def once():
        with stage.client() as client:
            status = stage.ask(client, GET + GET[:20])
            return stage.ask(client, GET[20:]) if status == 200 else status
    return once


def upload(stage):
    """More than is held to be sent again."""
    stage.start(POOL_IDLE_TIMEOUT="0", ACCESS_LOG="on")
    body = "x" * 200_000
    request = text("PUT / HTTP/1.1", "Host: a", f"Content-Length: {len(body)}", body=body)
    return lambda: stage.ask_once(request)


def slow_reader(stage):
    """nigh holds what the client does not take."""
    size = 8_000_000
    stage.app.respond = lambda head, body: ok(b"x" * size)
    stage.start(POOL_IDLE_TIMEOUT="0")

    def once():
        with stage.client(rcvbuf=65536) as client:
            status = stage.ask(client, GET)
            return status
    return once


def response_in_pieces(stage):
    """A POST: the application has seen it, so nobody may send it again. The 103 tells that
    a part of the next head is there too."""
    app = stage.server()
    stage.start(app, POOL_IDLE_TIMEOUT="0")
    early = text("HTTP/1.1 103 Early Hints")

    def once():
        with stage.client(app) as client:
            client.send(text("POST / HTTP/1.1", "Host: a", "Content-Length: 0"))
            if app.sock not in readable([client.sock, app.sock], DEADLINE):
                return stage.ask(client, b"")
            conn = app.accept()
            try:
                read_request(conn)
            except AssertionError:      # connected, and given up
                return stage.ask(client, b"")
            conn.send(early + OK[:12])
            try:
                client.expect(early)
                conn.send(OK[12:])
                answer = read_response(client)
            except (AssertionError, OSError):
                assert client.end
                return CUT
            assert not answer.get(SAYS_SAFE), str(answer)
            return answer.status
    return once


def tcp(stage):
    stage.start(kind="tcp")
    return stage.ask_once


def tunnel(stage):
    stage.start()
    opening = text(f"CONNECT 127.0.0.1:{stage.app.port} HTTP/1.1", "Host: a:1")

    def once():
        with stage.outbound() as client:
            status = stage.ask(client, opening, "CONNECT")
            return stage.ask(client) if status == 200 else status
    return once


def known_name(stage):
    stage.start()
    request = text("GET / HTTP/1.1", f"Host: localhost:{stage.app.port}")
    return lambda: stage.ask_once(request, outbound=True)


def unknown_name(stage):
    """Another one each time, so that each is looked up."""
    stage.start()
    numbers = itertools.count()
    return lambda: stage.ask_once(
        text("GET / HTTP/1.1", f"Host: no-{next(numbers)}.invalid"), outbound=True)


def first_call_of_a_service(stage):
    names = [f"orders{i}" for i in range(60)]
    file = EndpointsFile(stage.folder, *map(service, names), *(
        slice_of(name, stage.app.port, endpoint()) for name in names))
    stage.start(ENDPOINTS=file.setting)
    numbers = itertools.count()
    return lambda: stage.ask_once(
        text("GET / HTTP/1.1", f"Host: orders{next(numbers)}"), outbound=True)


def admin(path):
    def scene(stage):
        file = EndpointsFile(stage.folder, service("orders"),
                             slice_of("orders", stage.app.port, endpoint()))
        stage.start(ENDPOINTS=file.setting)
        return lambda: stage.side.admin(path)[0]
    scene.__name__ = path.partition("?")[0].strip("/")
    return scene


def until_answered(side, name, host="orders"):
    """By the backend of that name, however often it takes."""
    def ask():
        try:
            with side.client("outbound") as client:
                client.send(text("GET / HTTP/1.1", f"Host: {host}"))
                return read_response(client).body.decode()
        except (AssertionError, OSError):
            return CUT
    wait_until(lambda: ask() == name, f"the calls go to {name}", 30)
    return 200


def file_reload(stage):
    both = [stage.app, stage.backend("other")]
    file = EndpointsFile(stage.folder, service("orders"))
    stage.start(ENDPOINTS=file.setting)
    turns = itertools.cycle(both)

    def once():
        to = next(turns)
        file.rename(service("orders"), slice_of("orders", to.port, endpoint()))
        return until_answered(stage.side, to.name)
    return once


def with_api(stage, api):
    stage.closing(api.close)
    stage.start(ENDPOINTS="kubernetes", KUBECONFIG=kubeconfig(api, stage.folder, stage.certs),
                DISCOVERY_WAIT="60s", DISCOVERY_IDLE="1s")


def kubeconfig(api, folder, certs):
    return api.kubeconfig(folder, certificate_authority=str(certs / "ca.crt"))


def kubernetes_change(stage, secure=None):
    both = [stage.app, stage.backend("other")]
    turns = itertools.cycle(both)

    def slices(to):
        return slice_of("orders", to.port, endpoint(), suffix="1")
    api = ApiServer(service("orders"), slices(both[1]), tls=secure)
    with_api(stage, api)

    def once():
        if secure:
            api.cut_all()
        to = next(turns)
        api.apply(slices(to))
        return until_answered(stage.side, to.name)
    return once


def tls_again(stage):
    """The watch comes back by a connection of its own. It has told something before, so
    nobody waits with that."""
    return kubernetes_change(stage, tls(stage.certs))


def tls_list(stage):
    """Another service each time: lists and watches, by connections of their own as those
    that there are have a watch each."""
    names = [f"orders{i}" for i in range(2 * ROUNDS_MAX)]
    with_api(stage, ApiServer(*map(service, names), *(
        slice_of(name, stage.app.port, endpoint()) for name in names), tls=tls(stage.certs)))
    numbers = itertools.count()
    return lambda: until_answered(stage.side, "app", f"orders{next(numbers)}")


ROUNDS_MAX = 400
ALLOCATIONS_MAX = 40_000

# Who does it, and what its outcome may be when memory is short. The workers refuse; the
# main thread waits.
WORKERS_DO = [keep_alive, new_connection, head_in_pieces, upload, slow_reader,
              response_in_pieces, tcp, tunnel, known_name, first_call_of_a_service]
MAIN_DOES = {admin("/explain?service=orders"): 5, admin("/metrics"): 5,
             admin("/endpoints"): 5, admin("/readyz"): 5, file_reload: 11,
             kubernetes_change: 11, tls_again: 149, tls_list: 499}


@pytest.fixture
def stage(frail, backend, server, tmp_path, certs, cleanup):
    def make(workers):
        made = Stage(frail, backend, server, tmp_path, certs, workers)
        made.closing = cleanup.callback
        return made
    return make


def sweep(stage, faults, once, allowed, times, stride=1):
    """The outcomes, by how often."""
    clean = once()
    seen = []
    for skip in range(0, ALLOCATIONS_MAX, stride):
        with stage.bystander:
            with faults.failing(*MEMORY, skip=skip, times=times):
                outcome = once()
        where = f"allocation {skip}: {outcome}\n"
        assert outcome in (clean, *allowed), where + faults.callers(stage.side)
        assert once() == clean, where + "then the next\n" + faults.callers(stage.side)
        seen.append(outcome)
        if not faults.page.failed:
            break
    else:
        raise AssertionError("it never goes through without a failure")
    return seen


def refuse(scene, times, made, faults):
    seen = sweep(made, faults, scene(made), (503, CUT), times)
    if set(seen) == {200}:
        return  # a kept connection needs no memory, but for ASan's build; others may
    assert made.side.total("nigh_flows_ended_total", outcome="no_resources") > 0
    assert made.side.total("nigh_local_responses_total",
                           reason="no_resources") >= seen.count(503)


@pytest.mark.parametrize("workers", ["1", "2"])
@pytest.mark.parametrize("times", [1, ALWAYS], ids=["once", "always"])
@pytest.mark.parametrize("scene", WORKERS_DO, ids=lambda scene: scene.__name__)
def test_workers_refuse(scene, times, workers, stage, faults):
    refuse(scene, times, stage(workers), faults)


@pytest.mark.parametrize("times", [1, ALWAYS], ids=["once", "always"])
def test_workers_refuse_a_look_up(times, stage, faults):
    refuse(unknown_name, times, stage("1"), faults)


@pytest.mark.parametrize("error", [errno.ENOMEM, errno.ENOBUFS], ids=errno.errorcode.get)
def test_upload_that_cannot_be_held(error, frail, faults, server):
    """The application takes no more, and what was read for it is lost: neither it nor the
    client waits for the rest, or takes what there is for whole."""
    app = server()
    side = frail.inbound(app)
    with side.client() as client:
        client.send(text("POST / HTTP/1.1", "Host: a", "Content-Length: 1000000000"))
        peer = app.accept()
        peer.read_until(b"\r\n\r\n")
        names = MEMORY if error == errno.ENOMEM else ("send",)
        with faults.failing(*names, error=error, times=ALWAYS):
            try:
                client.stuff(b"x" * 65536, 1_000_000_000)
            except ConnectionResetError:
                pass
            peer.read_to_end()
        assert peer.end == "RST"
        with pytest.raises((AssertionError, OSError)):
            client.expect(b"HTTP/1.1 200")
        assert client.end
    assert side.total("nigh_flows_ended_total", outcome="no_resources") == 1


@pytest.mark.parametrize("workers", ["1", "2"])
@pytest.mark.parametrize("times", [1, 20], ids=["once", "a while"])
@pytest.mark.parametrize("scene", MAIN_DOES, ids=lambda scene: scene.__name__)
def test_main_thread_waits(scene, times, workers, stage, faults):
    made = stage(workers)
    sweep(made, faults, scene(made), (500,), times, STRIDE or MAIN_DOES[scene])


@pytest.mark.parametrize("scene", [keep_alive, new_connection, upload, tcp, tunnel],
                         ids=lambda scene: scene.__name__)
def test_nothing_is_lost(scene, stage, faults):
    """A sweep leaves as much in use as the one before. A library's table may grow once, and
    then again; what leaks grows with each sweep."""
    made = stage("1")
    once = scene(made)
    in_use = []
    for _ in range(5):
        sweep(made, faults, once, (503, CUT), 1)
        in_use.append(faults.steady_blocks())
        if len(in_use) > 1 and in_use[-1] <= in_use[-2]:
            return
    pytest.fail(f"more in use after each sweep: {in_use}")


def test_first_request_of_a_process(faults, frail, backend):
    """What is made once is made again when it could not be."""
    app = backend()
    for skip in range(ROUNDS_MAX):
        side = frail.inbound(app)
        side.json("/stats")
        with faults.failing(*MEMORY, skip=skip), side.client() as client:
            client.send(GET)
            try:
                assert read_response(client).status in (200, 503)
            except (AssertionError, OSError):
                assert client.end, faults.callers(side)
        with side.client() as client:
            client.send(GET)
            assert read_response(client).status == 200, faults.callers(side)
        side.stop()
        if not faults.page.failed:
            return
    raise AssertionError("it never goes through without a failure")


@pytest.mark.parametrize("secure, stride", [(None, 37), (tls, 997)], ids=["http", "https"])
@pytest.mark.parametrize("times", [1, 20], ids=["once", "a while"])
def test_first_call_by_kubernetes(times, secure, stride, faults, frail, backend, certs,
                                  tmp_path, cleanup):
    """The service is listed and watched."""
    app = backend("app")
    api = ApiServer(service("orders"), slice_of("orders", app.port, endpoint()),
                    tls=secure and secure(certs))
    cleanup.callback(api.close)
    for skip in range(0, ALLOCATIONS_MAX, STRIDE or stride):
        side = frail.outbound(ENDPOINTS="kubernetes", NAMESPACE="shop", WORKERS="2",
                              KUBECONFIG=kubeconfig(api, tmp_path, certs),
                              DISCOVERY_WAIT="60s")
        side.json("/stats")
        with faults.failing(*MEMORY, skip=skip, times=times):
            until_answered(side, "app")
        side.stop()
        if not faults.page.failed:
            return
    raise AssertionError("it never goes through without a failure")


@pytest.mark.parametrize("times", [1, 20], ids=["once", "a while"])
def test_drain(times, frail, faults, server):
    """The response under way is read, and the end is in order."""
    for skip in range(0, ROUNDS_MAX, 3):
        app = server()
        side = frail.inbound(app, WORKERS="2")
        client = side.client()
        client.send(GET)
        conn, _ = app.request()
        with faults.failing(*MEMORY, skip=skip, times=times):
            side.signal(signal.SIGTERM)
            side.wait_event("drain", phase="finishing")
            conn.send(OK)
            assert read_response(client).status == 200
            client.close()
            app.close()
            assert side.wait() == 0, side.log + faults.callers(side)
        if not faults.page.failed:
            return
    raise AssertionError("it never goes through without a failure")


def test_start(binary, faults, tmp_path, backend):
    """Ready, or ended with a line that says why. Without the filter of calls: libseccomp
    does not survive it, before anything is served."""
    file = EndpointsFile(tmp_path, service("orders"),
                         slice_of("orders", backend().port, endpoint()))
    settings = {"ADMIN": "127.0.0.1:0", "OUTBOUND": "127.0.0.1:0", "WORKERS": "2",
                "ENDPOINTS": file.setting, "NAMESPACE": "shop", "SECCOMP": "off"}
    for skip in range(0, 10 * ROUNDS_MAX, STRIDE or 37):
        with faults.failing(*MEMORY, skip=skip):
            side = Sidecar(binary, settings, faults.prefix)
            wait_until(lambda: side.is_gone() or "event=ready" in side.log, "a decision")
        if side.is_gone():
            assert side.wait() == 1, side.log
            assert "memory" in side.log or "start_failed" in side.log, side.log
        else:
            side.stop()
        if not faults.page.failed:
            return
    raise AssertionError("it never goes through without a failure")


@pytest.mark.parametrize("arguments", [["config", "--json"], ["config", "--markdown"],
                                       ["reference", "metrics"], ["--help"]],
                         ids=" ".join)
def test_commands(arguments, binary, faults):
    """All that they have to say, or status 1 and why."""
    def run():
        return run_command(*faults.prefix, binary, *arguments)
    whole = run().stdout
    for skip in range(0, 10 * ROUNDS_MAX, STRIDE or 37):
        with faults.failing(*MEMORY, skip=skip):
            done = run()
        assert (done.returncode, done.stdout) == (0, whole) or (
            done.returncode == 1 and "memory" in done.stderr), str(done)
        if not faults.page.failed:
            return
    raise AssertionError("it never goes through without a failure")
