# SPDX-License-Identifier: Apache-2.0
"""What the system refuses or does to nigh: logs that cannot be written, descriptors,
socket calls, the wall clock, and the end of the process at each phase of a request."""
import contextlib
import errno
import os
import resource
import signal
import subprocess
from concurrent.futures import ThreadPoolExecutor

import pytest

from harness.bystander import Bystander
from harness.dialogue import OK, assert_local
from harness.kube import EndpointsFile, endpoint, service, slice_of
from harness.message import read_head, read_response, text
from harness.peer import DEADLINE, connect, wait_until
from harness.server import closed_port
from harness.sidecar import Sidecar, environment

GET = text("GET / HTTP/1.1", "Host: app.test")
POST = text("POST / HTTP/1.1", "Host: app.test", "Content-Length: 2", body="hi")
WORKERS = pytest.mark.parametrize("workers", ["1", "2"])


# --- logs: who cannot be heard goes on working ---

@contextlib.contextmanager
def full_disk():
    with open("/dev/full", "wb") as file:
        yield {"stdout": file, "stderr": file}


@contextlib.contextmanager
def full_pipe():
    """Nobody reads it."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    with contextlib.suppress(BlockingIOError):
        while os.write(writer, b"x" * 4096):
            pass
    os.set_blocking(writer, True)
    yield {"stdout": writer, "stderr": writer}
    os.close(reader)
    os.close(writer)


@contextlib.contextmanager
def broken_pipe():
    reader, writer = os.pipe()
    os.close(reader)
    yield {"stdout": writer, "stderr": writer}
    os.close(writer)


@contextlib.contextmanager
def closed():
    """What nigh opens first would get their numbers, and then the log."""
    yield {"prefix": ("sh", "-c", 'exec "$0" "$@" <&- >&- 2>&-')}


class Unheard:
    """A sidecar whose log nobody can read: its ports are chosen before."""

    def __init__(self, binary, app, sink, **settings):
        with closed_port() as one, closed_port() as two:    # at a time: else it may be the same
            self.ports = [hole.getsockname()[1] for hole in (one, two)]
        settings = {"INBOUND": f"127.0.0.1:{self.ports[0]}={app.port}", "OUTBOUND": "off",
                    "ADMIN": f"127.0.0.1:{self.ports[1]}", "DRAIN_DELAY": "0s", **settings}
        prefix = sink.pop("prefix", ())
        self.process = subprocess.Popen([*prefix, binary], env=environment(settings), **sink)
        wait_until(lambda: all(map(self.listens, self.ports)), "it listens")

    def listens(self, port):
        assert self.process.poll() is None, f"ended with {self.process.returncode}"
        try:
            connect(("127.0.0.1", port)).close()
        except ConnectionRefusedError:
            return False
        return True

    def close(self):
        self.process.kill()
        self.process.wait()


@WORKERS
@pytest.mark.parametrize("sink", [full_disk, full_pipe, broken_pipe, closed],
                         ids=lambda sink: sink.__name__)
def test_log(sink, workers, binary, backend):
    app = backend()
    with sink() as where, contextlib.closing(Unheard(
            binary, app, where, WORKERS=workers, ACCESS_LOG="on", LOG_LEVEL="debug",
            MAX_REQUESTS="0")) as side:
        for _ in range(5):
            with connect(("127.0.0.1", side.ports[0])) as client:
                for _ in range(20):
                    client.send(GET)
                    client.expect(b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\nbackend")
        if sink is closed:
            assert {os.readlink(f"/proc/{side.process.pid}/fd/{fd}") for fd in range(3)} == {
                "/dev/null"}
        side.process.send_signal(signal.SIGTERM)
        app.stop_listening()
        assert side.process.wait(DEADLINE) == 0


@pytest.mark.parametrize("arguments", [["config"], ["config", "--json"], ["--version"],
                                       ["reference", "metrics"], ["--help"]], ids=" ".join)
def test_output_that_cannot_be_written(arguments, binary):
    """A part must not pass for the whole."""
    with open("/dev/full", "wb") as full:
        done = subprocess.run([binary, *arguments], env=environment({}), stdout=full,
                              stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 1 and "standard output" in done.stderr, done


# --- descriptors ---

def no_more_descriptors(side):
    """Those that are open stay; the next number is always beyond the limit."""
    _, hard = resource.prlimit(side.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(side.pid, resource.RLIMIT_NOFILE, (3, hard))


def descriptors_again(side):
    _, hard = resource.prlimit(side.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(side.pid, resource.RLIMIT_NOFILE, (hard, hard))


@pytest.fixture
def pair(nigh, server, backend):
    """pair(workers, ...): a sidecar before an application, and a quiet one beside it."""
    def start(workers, starter=nigh, app=None, kind="http", **settings):
        app, quiet = app or backend(), server()
        side = starter(INBOUND=f"127.0.0.1:0={app.port}/{kind},127.0.0.1:0={quiet.port}/http",
                       WORKERS=workers, **settings)
        return side, app, Bystander(side, quiet)
    return start


def client_of(side, app):
    return connect(side.addr("inbound", f":{app.port}"))


@WORKERS
def test_no_descriptor_for_a_client(workers, pair):
    """It waits in the queue, and is served when there is one."""
    side, app, bystander = pair(workers)
    with bystander:
        no_more_descriptors(side)
        clients = [client_of(side, app) for _ in range(10)]
        for client in clients:
            client.send(GET)
        clients[0].expect_silence()
    descriptors_again(side)
    for client in clients:
        assert read_response(client).status == 200
    assert side.total("nigh_flows_ended_total") == 11


@WORKERS
def test_no_descriptor_for_the_upstream(workers, pair):
    """503, and who sent it may send it elsewhere; a kept connection goes on."""
    side, app, bystander = pair(workers, POOL_IDLE_TIMEOUT="0")
    with client_of(side, app) as client:
        client.send(GET)
        assert read_response(client).status == 200
        with bystander:
            no_more_descriptors(side)
            client.send(POST)
            answer = read_response(client)
            assert_local(answer, 503)
            assert answer.get("nigh-not-processed") == "no_resources"
        descriptors_again(side)
        client.send(POST)
        assert read_response(client).status == 200
    assert side.total("nigh_flows_ended_total", outcome="no_resources") == 1


@WORKERS
def test_no_descriptor_for_the_admin_port(workers, pair):
    side, app, bystander = pair(workers)
    with bystander:
        no_more_descriptors(side)
        with connect(side.addr("admin")) as client:
            client.send(text("GET /healthz HTTP/1.0"))
            client.expect_silence()
            descriptors_again(side)
            assert read_response(client).status == 200


@WORKERS
def test_no_descriptor_for_the_resolver(workers, nigh, backend):
    """What it could not open then is opened later."""
    app = backend()
    side = nigh.outbound(WORKERS=workers)
    request = text("GET / HTTP/1.1", f"Host: localhost:{app.port}")
    with side.client("outbound") as client:
        client.send(request[:10])
        side.json("/stats")
        no_more_descriptors(side)
        client.send(request[10:])
        assert_local(read_response(client), 503)
        descriptors_again(side)
        client.send(request)
        assert read_response(client).status == 200


@WORKERS
def test_no_descriptor_for_the_file(workers, nigh, backend, tmp_path):
    """The old endpoints stay, until it can be read."""
    old, new = backend("old"), backend("new")
    file = EndpointsFile(tmp_path, service("orders"), slice_of("orders", old.port, endpoint()))
    side = nigh.outbound(ENDPOINTS=file.setting, NAMESPACE="shop", WORKERS=workers)
    with side.client("outbound") as client:
        def ask():
            client.send(text("GET / HTTP/1.1", "Host: orders"))
            return read_response(client).body
        assert ask() == b"old"
        no_more_descriptors(side)
        file.rename(service("orders"), slice_of("orders", new.port, endpoint()))
        side.wait_event("endpoints_rejected")
        assert ask() == b"old"
        descriptors_again(side)
        wait_until(lambda: ask() == b"new", "the file is read")


@WORKERS
def test_few_descriptors_from_the_start(workers, binary, backend, cleanup):
    """Clients beyond that wait for their turn."""
    app = backend()
    side = Sidecar(binary, {"INBOUND": f"127.0.0.1:0={app.port}", "OUTBOUND": "off",
                            "ADMIN": "127.0.0.1:0", "WORKERS": workers},
                   ("prlimit", "--nofile=64:64"))
    cleanup.callback(side.stop)
    side.wait_ready()
    side.wait_event("limit")

    def ask(client):    # each by itself: who waits must not keep others from closing
        client.send(text("GET / HTTP/1.1", "Host: a", "Connection: close"))
        status = read_response(client).status
        client.close()
        return status
    with ThreadPoolExecutor(80) as pool:
        statuses = set(pool.map(ask, [side.client() for _ in range(80)]))
    assert statuses <= {200, 503}
    wait_until(lambda: call(side).status == 200, "there is room again")


def call(side):
    with side.client() as client:
        client.send(GET)
        return read_response(client)


# --- socket calls ---

# Call, error, and what the client may see of it: at which call of its kind ever it fails,
# the others go on and the next is served.
REFUSED = "the connection ends"
SOCKET_CALLS = [
    ("socket", errno.ENOBUFS, (503,)), ("socket", errno.ENOMEM, (503,)),
    ("socket", errno.ENFILE, (503,)), ("connect", errno.ENOBUFS, (503,)),
    ("connect", errno.EADDRNOTAVAIL, (503,)), ("accept4", errno.ENOBUFS, ()),
    ("accept4", errno.ENOMEM, ()), ("accept4", errno.ENFILE, ()),
    ("accept4", errno.ECONNABORTED, ()), ("setsockopt", errno.ENOBUFS, ()),
    ("getsockopt", errno.ENOBUFS, (503,)), ("epoll_ctl", errno.ENOMEM, (503, REFUSED)),
    ("epoll_ctl", errno.ENOSPC, (503, REFUSED)), ("send", errno.ENOBUFS, (502, 503, REFUSED)),
    ("send", errno.ENOMEM, (502, 503, REFUSED)), ("recv", errno.ENOMEM, (502, REFUSED)),
    ("recv", errno.ENOBUFS, (502, REFUSED)), ("sendmsg", errno.ENOBUFS, (502, 503, REFUSED)),
]


@WORKERS
@pytest.mark.parametrize("function, error, allowed", SOCKET_CALLS,
                         ids=[f"{row[0]}-{errno.errorcode[row[1]]}" for row in SOCKET_CALLS])
def test_socket_call(function, error, allowed, workers, pair, frail, faults):
    side, app, bystander = pair(workers, frail, POOL_IDLE_TIMEOUT="0")

    def ask():
        try:
            with client_of(side, app) as client:
                client.send(POST)
                return read_response(client).status
        except (AssertionError, OSError) as broken:
            if isinstance(broken, OSError) or client.end:
                return REFUSED
            raise
    assert ask() == 200
    for skip in range(40):
        with bystander, faults.failing(function, error=error, skip=skip):
            seen = ask()
        assert seen in (200, *allowed), f"call {skip}: {seen}\n" + faults.callers(side)
        assert ask() == 200, f"after call {skip}"
        if not faults.page.failed:
            return
    raise AssertionError("it never goes through without a failure")


# --- the wall clock ---

@WORKERS
@pytest.mark.parametrize("years", [10, -10])
def test_wall_clock_jumps(years, workers, pair, frail, faults, server):
    """Nothing depends on it: no connection is idle or old for that, no drain is over."""
    app = server()
    side, _, bystander = pair(workers, frail, app, POOL_IDLE_TIMEOUT="1h",
                              DRAIN_DELAY="1h", DRAIN_TIMEOUT="2h", RESPONSE_TIMEOUT="1h")
    with client_of(side, app) as client, bystander:
        client.send(GET)
        conn, _ = app.request()
        faults.page.clock_ms = years * 365 * 86_400_000
        conn.send(OK)
        assert read_response(client).status == 200
        client.send(GET)
        again, _ = app.request()
        assert again is conn
        side.admin("/drain", "POST")
        faults.page.clock_ms *= 2
        again.send(OK)
        answer = read_response(client)
        assert answer.status == 200 and answer.says_close()
        with client_of(side, app) as other:     # within the delay
            other.send(GET)
            app.request()[0].send(OK)
            assert read_response(other).status == 200
    recycled = side.metrics()
    assert recycled.total("nigh_recycled_total", reason="age") == 0
    assert recycled.total("nigh_drain_state") == 1
    assert recycled.total("nigh_local_responses_total") == 0


# --- SIGTERM at each phase: (begin, go on), of HTTP and TCP ---

def idle(client, app):
    client.send(GET)
    app.request()[0].send(OK)
    assert read_response(client).status == 200
    return client.expect_fin


def part_of_a_head(client, app):
    client.send(GET[:10])

    def go_on():
        client.send(GET[10:])
        answer(client, app)
    return go_on


def answer(client, app):
    app.request()[0].send(OK)
    got = read_response(client)
    assert got.status == 200 and got.says_close()
    client.expect_fin()


def waiting(client, app):
    client.send(GET)
    app.next_peer()
    return lambda: answer(client, app)


def part_of_a_body(client, app):
    client.send(POST[:-1])
    app.next_peer()

    def go_on():
        client.send(POST[-1:])
        answer(client, app)
    return go_on


def interim(client, app):
    client.send(GET)
    conn, _ = app.request()
    conn.send(text("HTTP/1.1 103 Early Hints") + OK[:9])
    client.expect(text("HTTP/1.1 103 Early Hints"))

    def go_on():
        conn.send(OK[9:])
        assert read_response(client).says_close()
    return go_on


def part_of_a_response(client, app):
    client.send(GET)
    conn, _ = app.request()
    conn.send(OK[:-1])
    read_head(client)
    client.expect(b"o")

    def go_on():
        conn.send(OK[-1:])
        client.expect(b"k")
        client.expect_fin()
    return go_on


def pipelined(client, app):
    """The second one is not taken: its sender can tell."""
    client.send(GET + GET)
    app.next_peer()
    return lambda: answer(client, app)


def tcp_open(client, app):
    conn = app.accept()

    def go_on():
        client.send(b"ping")
        conn.expect(b"ping")
        conn.send(b"pong")
        conn.fin()
        client.expect(b"pong")
        client.expect_fin()
        client.close()
        conn.expect_fin()
    return go_on


def tcp_half_closed(client, app):
    client.send(b"ping")
    client.fin()
    conn = app.accept()
    conn.expect(b"ping")
    conn.expect_fin()

    def go_on():
        conn.send(b"pong")
        conn.fin()
        client.expect(b"pong")
        client.expect_fin()
    return go_on


PHASES = {idle: "http", part_of_a_head: "http", waiting: "http", part_of_a_body: "http",
          interim: "http", part_of_a_response: "http", pipelined: "http",
          tcp_open: "tcp", tcp_half_closed: "tcp"}


@WORKERS
@pytest.mark.parametrize("phase", PHASES, ids=lambda phase: phase.__name__)
def test_sigterm(phase, workers, pair, server):
    """What has begun is brought to its end, and nothing is cut off."""
    app = server()
    side, _, bystander = pair(workers, app=app, kind=PHASES[phase], DRAIN_TIMEOUT="1h")
    with client_of(side, app) as client, bystander:
        go_on = phase(client, app)
        side.signal(signal.SIGTERM)
        side.wait_event("drain", phase="finishing")
        go_on()
    bystander.close()
    assert side.wait() == 0, side.log
    assert "cut_off" not in side.log
