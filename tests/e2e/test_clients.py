# SPDX-License-Identifier: Apache-2.0
"""Clients as people use them: curl, wrk, http.client, asyncio."""
import asyncio
import hashlib
import http.client
import re
import shutil
import subprocess

import pytest

from harness.backend import ok
from harness.kube import EndpointsFile, endpoint, node, service, slice_of
from harness.peer import wait_until
from harness.server import closed_port


def run(*command, **options):
    if not shutil.which(command[0]):
        pytest.skip(f"no {command[0]} here")
    return subprocess.run(command, capture_output=True, text=True, timeout=60,
                          check=False, **options)


def curl(*arguments, **options):
    done = run("curl", "-sS", "--noproxy", "", "--max-time", "20", *arguments, **options)
    assert done.returncode == 0, done.stderr
    return done.stdout


def url(addr, path="/"):
    return f"http://{addr[0]}:{addr[1]}{path}"


def digest(_head, body):
    return ok(hashlib.sha256(body).hexdigest())


def test_curl_get(nigh, backend):
    side = nigh.inbound(backend("hello"))
    assert curl(url(side.addr("inbound"))) == "hello"


def test_curl_keeps_its_connection(nigh, backend):
    side = nigh.inbound(backend("hello"))
    told = run("curl", "-sSv", *[url(side.addr("inbound"))] * 3).stderr
    assert told.count("Re-using existing connection") == 2


@pytest.mark.parametrize("size", [0, 1, 100000, 3000000])
def test_curl_upload(size, nigh, backend, tmp_path):
    """Large ones come with Expect: 100-continue."""
    data = b"\xa5" * size
    (tmp_path / "data").write_bytes(data)
    side = nigh.inbound(backend(respond=digest))
    told = curl("-X", "POST", "-H", "Content-Type: x/y", "--data-binary",
                f"@{tmp_path / 'data'}", url(side.addr("inbound")))
    assert told == hashlib.sha256(data).hexdigest()


def test_curl_chunked_upload(nigh, backend):
    side = nigh.inbound(backend())
    assert curl("-T", "-", "-X", "POST", url(side.addr("inbound")), input="hello") == "backend"


def test_curl_by_http_proxy(nigh, backend, tmp_path):
    """The way most applications are pointed at the outbound side."""
    app = backend("orders")
    file = EndpointsFile(tmp_path, service("orders"), node("n"),
                         slice_of("orders", app.port, endpoint(node="n")))
    side = nigh.outbound(ENDPOINTS=file.setting, NODE_NAME="n", NAMESPACE="shop")
    proxy = {"http_proxy": url(side.addr("outbound"))}
    for name in ("http://orders/", "http://orders.shop.svc.cluster.local:80/x"):
        assert curl(name, env=proxy) == "orders"


def test_curl_connect(nigh, backend):
    app = backend("tunnelled")
    side = nigh.outbound()
    told = curl("-p", "-x", url(side.addr("outbound")), f"http://127.0.0.1:{app.port}/")
    assert told == "tunnelled"


def test_curl_http10_and_head(nigh, backend):
    side = nigh.inbound(backend("hello"))
    assert curl("-0", url(side.addr("inbound"))) == "hello"
    assert "HTTP/1.1 200" in curl("-I", url(side.addr("inbound")))


def test_curl_sees_who_answered(nigh):
    with closed_port() as hole:
        side = nigh(INBOUND=f"127.0.0.1:0={hole.getsockname()[1]}")
        told = curl("-i", url(side.addr("inbound")))
    assert "503" in told.splitlines()[0] and "Server: nigh" in told


def test_http_client(nigh, backend):
    side = nigh.inbound(backend(respond=digest), MAX_REQUESTS="10")
    conn = http.client.HTTPConnection(*side.addr("inbound"), timeout=10)
    for number in range(100):
        body = bytes([number]) * number * 100
        conn.request("PUT", "/", body=body)
        assert conn.getresponse().read().decode() == hashlib.sha256(body).hexdigest()
    conn.close()


@pytest.mark.parametrize("direction", ["inbound", "outbound"])
def test_wrk_over_many_recycles(direction, nigh, backend):
    """Caps end thousands of connections under load: not one error at the client."""
    app = backend()
    settings = {"MAX_REQUESTS": "50"}
    side = nigh.inbound(app, **settings) if direction == "inbound" else nigh.outbound(**settings)

    def load():
        done = run("wrk", "-t1", "-c32", "-d2s", "--timeout", "60s", "-H",
                   f"Host: 127.0.0.1:{app.port}", url(side.addr(direction)))
        assert done.returncode == 0, done.stderr
        assert not re.search(r"Socket errors|Non-2xx", done.stdout), done.stdout
        return int(re.search(r"(\d+) requests in", done.stdout)[1])
    count = wait_until(lambda: (made := load()) > 100 and made, "more than 100 requests", 60)
    assert app.requests >= count
    assert max(conn.requests for conn in app.conns) <= 50
    if direction == "inbound":
        assert side.total("nigh_recycled_total", side="downstream") >= count // 50 - 32


async def fetch_many(addr, count):
    """Keep-alive requests on one connection after the other; reconnect on close."""
    reader = writer = None
    for _ in range(count):
        if not writer:
            reader, writer = await asyncio.open_connection(*addr)
        writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 ")
        size = int(re.search(rb"Content-Length: (\d+)", head)[1])
        await reader.readexactly(size)
        if b"Connection: close" in head:
            writer.close()
            writer = None
    if writer:
        writer.close()


def test_asyncio_clients(nigh, backend):
    side = nigh.inbound(backend(), MAX_REQUESTS="10")

    async def all_at_once():
        await asyncio.gather(*(fetch_many(side.addr("inbound"), 50) for _ in range(20)))
    asyncio.run(all_at_once())
    assert side.total("nigh_recycled_total", side="downstream", reason="requests") >= 100
