# SPDX-License-Identifier: Apache-2.0
"""Messages that break off, at each byte: no part of one passes for a whole, at the
application or at the client, and nothing hangs."""
import contextlib
import http.client

import pytest

from corpus.row import chunked, post, request, response
from harness.dialogue import SIDES, assert_local, open_stage
from harness.message import Recorded, read_response, text
from harness.peer import connect

CHUNKS = "3;a=\"b\"\r\nhel\r\n2\r\nlo\r\n0;c\r\nA: b\r\n\r\n"
REQUESTS = {
    "get": request("A: b"),
    "length": post("Content-Length: 5"),
    "chunks": chunked(CHUNKS),
    "1.0": request("Content-Length: 5", start="POST /x HTTP/1.0", body="hello"),
    "absolute": request(start="GET http://{host}/x HTTP/1.1"),
}
RESPONSES = {
    "length": response("Content-Length: 5", body="hello"),
    "chunks": response("Transfer-Encoding: chunked", body=CHUNKS),
    "interim": response("A: b", start="HTTP/1.1 103 Early Hints", body="")
    + response("Content-Length: 0", body=""),
    "1.0": response("Content-Length: 5", start="HTTP/1.0 200 OK", body="hello"),
}


def break_off(peer, how):
    (peer.fin if how == "fin" else peer.reset)()


@pytest.mark.parametrize("how", ["fin", "reset"])
@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("name", REQUESTS)
def test_request(name, side, how, nigh, server):
    """Where something of it has gone on, that ends with a reset: a FIN might pass for
    the end of a body."""
    stage = open_stage(side, nigh, server())
    data = stage.bytes(REQUESTS[name])
    has_body = data.index(b"\r\n\r\n") + 4 < len(data)
    for size in range(len(data)):
        is_head = b"\r\n\r\n" not in data[:size]
        with connect(stage.sidecar.addr(side)) as client:
            client.send(data[:size])
            if not is_head:
                peer = stage.app.accept()
                peer.read_until(b"\r\n\r\n")
            break_off(client, how)
            if how == "fin":
                client.expect_end()
        if not is_head:
            assert has_body
            peer.read_to_end()
            assert peer.end == "RST", f"{peer.end} behind {data[:size]!r}"
    stage.app.expect_nothing()


@pytest.mark.parametrize("how", ["fin", "reset"])
@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("name", RESPONSES)
def test_response(name, side, how, nigh, server):
    """The client gets a 502 if it has no head yet, else it can tell."""
    stage = open_stage(side, nigh, server())
    for size in range(len(RESPONSES[name])):
        with connect(stage.sidecar.addr(side)) as client:
            client.send(stage.bytes(post("Content-Length: 0", body="")))
            peer, _ = stage.app.request()
            peer.send(RESPONSES[name][:size])
            break_off(peer, how)
            with contextlib.suppress(OSError):      # reset already
                client.fin()
            check_not_whole(client, f"behind {RESPONSES[name][:size]!r}")


def check_not_whole(client, where):
    got = Recorded(client.read_to_end())
    try:
        while (answer := read_response(got)).status < 200:
            pass
    except (AssertionError, ValueError):
        return
    if client.end == "FIN":
        assert answer.status == 502, f"{where}: {answer}"
        assert_local(answer, 502)


class Client(http.client.HTTPConnection):
    """Python's own, on a connection that is there."""

    def __init__(self, sock):
        super().__init__("app.test")
        self.sock = sock


@pytest.mark.parametrize("how", ["fin", "reset"])
@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_response_to_a_lenient_reader(version, how, nigh, server):
    """It takes an end behind what begins like the last chunk for the end of all."""
    app = server()
    side = nigh.inbound(app)
    whole = response("Transfer-Encoding: chunked", body="5\r\nhello\r\n00a\r\n0123456789\r\n"
                     "0;c\r\nA: b\r\n\r\n")
    for size in range(whole.index(b"\r\n\r\n") + 4, len(whole)):
        with contextlib.closing(Client(side.client().sock)) as client:
            client._http_vsn_str = f"HTTP/{version}"
            client.request("POST", "/")
            peer, _ = app.request()
            peer.send(whole[:size])
            answer = client.getresponse()
            break_off(peer, how)
            with pytest.raises((http.client.IncompleteRead, ConnectionResetError)):
                raise AssertionError(f"{answer.read()} behind {whole[:size]!r}")


def test_malformed_behind_what_looks_whole(nigh, server):
    """The chunk that begins with 0 goes on, what is wrong in the rest of it does not."""
    app = server()
    with nigh.inbound(app).client() as client:
        client.send(text("GET / HTTP/1.1", "Host: a"))
        peer, _ = app.request()
        peer.send(response("Transfer-Encoding: chunked", body="0"))
        client.read_until(b"\r\n\r\n0")
        peer.send(b"5\r\nhello!")
        client.expect_reset()
