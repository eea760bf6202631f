# SPDX-License-Identifier: Apache-2.0
"""What attacks on the running binary have found, one test each."""
import pytest

from harness.dialogue import assert_local
from harness.message import read_response, text
from harness.peer import connect
from harness.server import closed_port


def parts(host, port):
    return text("GET /config HTTP/1.1", f"Host: {host}:{port}")


# --- calls that come back to nigh: they would go round until nothing is left ---

ALIASES = ["127.0.0.1", "0.0.0.0", "[::ffff:127.0.0.1]", "[::ffff:0.0.0.0]", "localhost"]


@pytest.mark.parametrize("name, listen", [
    *((name, "127.0.0.1:0") for name in ALIASES),
    *((name, "0.0.0.0:0") for name in [*ALIASES, "127.0.0.2", "[::ffff:127.0.0.2]"])])
def test_no_call_to_our_own_ports(name, listen, nigh):
    side = nigh.outbound(OUTBOUND=listen, ROUTES=f"{listen}=orders:80", ADMIN=listen)
    for target in ("outbound", "route", "admin"):
        port = side.addr(target)[1]
        with connect(("127.0.0.1", side.addr("outbound")[1])) as client:
            client.send(parts(name, port))
            assert_local(read_response(client), 421)
    assert side.total("nigh_connections_opened_total", side="upstream") == 0


@pytest.mark.parametrize("whose", ["admin", "inbound"])
def test_no_inbound_call_to_our_own_ports(whose, nigh):
    """An application whose address turns out to be ours: the network would be taken for
    loopback at the admin port, and calls of an inbound port would go round."""
    with closed_port() as held:  # so nobody is given its number on another address
        ours = f"127.0.0.9:{held.getsockname()[1]}"
        calls = f"127.0.0.1:0=[::ffff:127.0.0.9]:{held.getsockname()[1]}"
        side = nigh(INBOUND=calls, ADMIN=ours) if whose == "admin" else nigh(
            INBOUND=f"{calls},{ours}=127.0.0.1:1")
        with side.client() as client:
            client.send(text("GET /config HTTP/1.1", "Host: a"))
            assert_local(read_response(client), 421)


def test_port_of_another_address_is_not_ours(nigh, server):
    """Listening on the pod's address, at the port that the application has on loopback."""
    app = server()
    side = nigh(INBOUND=f"127.0.0.9:{app.port}={app.port}")
    with side.client() as client:
        client.send(text("GET /x HTTP/1.1", "Host: a"))
        peer, _ = app.request()
        peer.send(text("HTTP/1.1 200 OK", "Content-Length: 0"))
        client.expect(text("HTTP/1.1 200 OK", "Content-Length: 0"))


# --- heads that speak of a body where there is none ---

@pytest.mark.parametrize("field", ["Content-Length: 5", "Transfer-Encoding: chunked"])
def test_no_framing_on_heads_without_a_body(field, nigh, server):
    app = server()
    with nigh.inbound(app).client() as client:
        client.send(text("GET /x HTTP/1.1", "Host: a"))
        peer, _ = app.request()
        peer.send(text("HTTP/1.1 103 Early Hints", field, "Link: x"))
        client.expect(text("HTTP/1.1 103 Early Hints", "Link: x"))
        peer.send(text("HTTP/1.1 200 OK", "Content-Length: 0"))
        client.expect(text("HTTP/1.1 200 OK", "Content-Length: 0"))
        client.send(text("CONNECT a:80 HTTP/1.1", "Host: a:80"))
        peer, _ = app.request()
        peer.send(text("HTTP/1.1 200 OK", field))
        client.expect(text("HTTP/1.1 200 OK"))


def test_no_chunks_for_http_1_0_even_in_name(nigh, server):
    app = server()
    with nigh.inbound(app).client() as client:
        client.send(text("HEAD /x HTTP/1.0"))
        peer, _ = app.request()
        peer.send(text("HTTP/1.1 200 OK", "Transfer-Encoding: chunked"))
        client.expect(text("HTTP/1.1 200 OK", "Connection: close"))


@pytest.mark.parametrize("line", ["HEAD x HTTP/1.1", "HEAD /x HTTP/2.0", "HEAD /x HTTP/9.9"])
def test_refused_head_has_no_body(line, nigh, server):
    with nigh.inbound(server()).client() as client:
        client.send(text(line, "Host: a"))
        answer = client.read_to_end()
        assert answer.startswith(b"HTTP/1.1 ") and answer.endswith(b"\r\n\r\n"), answer


# --- ways out of HTTP/1 ---

@pytest.mark.parametrize("offer", ["h2c, websocket", "websocket,H2C"])
def test_h2c_is_not_offered_in_a_list_either(offer, nigh, server):
    app = server()
    with nigh.inbound(app).client() as client:
        client.send(text("GET /x HTTP/1.1", "Host: a", "Connection: Upgrade, HTTP2-Settings",
                         f"Upgrade: {offer}", "HTTP2-Settings: AAMAAABkAAQAAP__"))
        _, request = app.request()
        assert not request.get("Upgrade") and not request.get("HTTP2-Settings")


# --- clients that go away ---

def test_client_that_goes_while_nobody_takes_its_upload(nigh, server):
    """It is not read meanwhile, yet its reset is heard: nothing is held for it."""
    app = server()
    side = nigh.inbound(app)
    client = side.client()
    client.send(text("POST /x HTTP/1.1", "Host: a", f"Content-Length: {1 << 30}"))
    app.accept()
    client.stuff(b"x" * 65536, 64 << 20)
    client.reset()
    side.wait_total("nigh_connections", 0, side="downstream")
    side.wait_total("nigh_requests_in_flight", 0)
