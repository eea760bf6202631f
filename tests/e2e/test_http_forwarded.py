# SPDX-License-Identifier: Apache-2.0
"""X-Forwarded-For, -Proto and -Host: added inbound, never outbound; no Via."""
import pytest

from harness.dialogue import OK
from harness.message import text

FOR, PROTO, HOST = "X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host"

# What the client sends, and what the application must see of the three.
TABLE = {
    "none": ([], {FOR: "127.0.0.1", PROTO: "http", HOST: "a.test"}),
    "for": ([f"{FOR}: 1.2.3.4"], {FOR: "1.2.3.4, 127.0.0.1"}),
    "for a list": ([f"{FOR}: 1.2.3.4, 5.6.7.8"], {FOR: "1.2.3.4, 5.6.7.8, 127.0.0.1"}),
    "for in lower case": (["x-forwarded-for: 1.2.3.4"], {FOR: "1.2.3.4, 127.0.0.1"}),
    "for twice": ([f"{FOR}: 1.2.3.4", f"{FOR}: 5.6.7.8"], {FOR: "1.2.3.4, 5.6.7.8, 127.0.0.1"}),
    "proto": ([f"{PROTO}: https"], {PROTO: "https", HOST: "a.test"}),
    "host": ([f"{HOST}: b.test"], {PROTO: "http", HOST: "b.test"}),
    "connection names for": (["Connection: X-Forwarded-For"], {FOR: "127.0.0.1"}),
}


@pytest.mark.parametrize("name", TABLE)
def test_inbound(name, nigh, server):
    extra, want = TABLE[name]
    app = server()
    client = nigh.inbound(app).client()
    client.send(text("GET / HTTP/1.1", "Host: a.test", *extra))
    conn, got = app.request()
    for field, value in want.items():
        assert ", ".join(got.all(field)) == value, str(got)
    assert not got.all("Via")
    conn.send(OK)
    client.expect(OK)


def test_inbound_without_host(nigh, server):
    """HTTP/1.0 may come without Host: nothing is made up for it."""
    app = server()
    client = nigh.inbound(app).client()
    client.send(text("GET / HTTP/1.0"))
    _, got = app.request()
    assert got.get(FOR) == "127.0.0.1" and not got.all(HOST), str(got)


def test_outbound_adds_nothing(nigh, server):
    app = server()
    client = nigh.outbound().client("outbound")
    client.send(text("GET / HTTP/1.1", f"Host: {app.addr}"))
    conn, got = app.request()
    assert got.headers == [("Host", app.addr)]
    conn.send(OK)
    client.expect(OK)
