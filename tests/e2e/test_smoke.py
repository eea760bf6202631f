# SPDX-License-Identifier: Apache-2.0
"""The binary starts, serves and stops; the first tests to run and to read."""
import signal
import socket

import pytest

from harness.dialogue import OK
from harness.message import text
from harness.peer import connect
from harness.server import closed_port


def test_start_and_stop(nigh):
    side = nigh()
    side.signal(signal.SIGTERM)
    assert side.wait() == 0, side.log


def test_sigint_stops(nigh):
    side = nigh()
    side.signal(signal.SIGINT)
    assert side.wait() == 0, side.log


def test_one_request_each_way(nigh, server):
    app = server()
    side = nigh.inbound(app, OUTBOUND="127.0.0.1:0")
    for name in ("inbound", "outbound"):
        client = side.client(name)
        client.send(text("GET /hello HTTP/1.1", f"Host: {app.addr}"))
        conn, request = app.request()
        assert request.target == "/hello"
        conn.send(OK)
        client.expect(OK)


def test_ready_line_names_every_listener(nigh, server):
    app = server()
    side = nigh(INBOUND=f"127.0.0.1:0={app.port},[::1]:0={app.port}/tcp",
                OUTBOUND="localhost:0", ROUTES="127.0.0.1:0=orders.shop:80")
    assert len(side.listeners("inbound")) == 2
    assert sorted(addr[0] for addr, _ in side.listeners("outbound")) == ["127.0.0.1", "::1"]
    assert len(side.listeners("route")) == 1
    assert len(side.listeners("admin")) == 1
    for name in ("inbound", "outbound", "route", "admin"):
        for addr, _ in side.listeners(name):
            connect(addr).close()


def test_every_address_of_both_families(nigh, server):
    """No ADDR means all addresses."""
    side = nigh(INBOUND=f"0={server().port}")
    for (_, port), _ in side.listeners("inbound"):
        for host in ("127.0.0.1", "127.0.0.2", "::1"):
            try:
                connect((host, port)).close()
                break
            except ConnectionRefusedError:
                continue
        else:
            pytest.fail(f"nothing answers on port {port}")


def test_port_in_use_is_fatal(nigh, server, binary):
    taken = server()
    done = nigh.run(ADMIN=taken.addr, OUTBOUND="off")
    assert done.returncode == 1, done.stderr
    assert str(taken.port) in done.stderr


def test_bad_configuration_is_told_in_one_go(nigh):
    """All mistakes at once, exit status 2, and nothing listens meanwhile."""
    with closed_port() as hole:
        port = hole.getsockname()[1]
    bad = {"MAX_REQUESTS": "many", "IDLE_TIMEOUT": "60", "RECYCLE_JITTER": "101",
           "MAX_HEADER_BYTES": "1", "LOG_LEVEL": "loud", "INBOUND": "8080",
           "ENDPOINTS": "etcd", "WORKERS": "-1", "NODE_LABELS": "a",
           "TOPOLOGY_KEYS": "*,zone", "OUTBUOND": "off"}
    done = nigh.run(**bad, OUTBOUND="off", ADMIN=f"127.0.0.1:{port}")
    assert done.returncode == 2
    for name, value in bad.items():
        lines = [line for line in done.stderr.splitlines() if f"NIGH_{name}" in line]
        assert len(lines) == 1, f"{name}: {lines}\n{done.stderr}"
        assert value in lines[0] or name == "OUTBUOND", lines
    assert "NIGH_OUTBOUND" in done.stderr, "no suggestion"
    assert "event=listening" not in done.stderr
    with socket.socket() as sock:
        assert sock.connect_ex(("127.0.0.1", port)) != 0


def test_empty_value_is_unset(nigh):
    nigh(ZONE="", NODE_NAME="", MAX_REQUESTS="", INBOUND="", ROUTES="")
