# SPDX-License-Identifier: Apache-2.0
"""Responses that nigh must not pass on, and responses that break off.

Nothing sent yet: 502.  Something sent: the connection is cut, so that the
client cannot take what it has for the whole."""
import pytest

from harness import dialogue as d
from harness.dialogue import SIDES, open_stage
from harness.message import text

GET = text("GET /x HTTP/1.1", "Host: {host}")


def ok(*more, start="HTTP/1.1 200 OK", body="hello"):
    return text(start, *more, body=body)


LENGTH, CHUNKED = "Content-Length: 5", "Transfer-Encoding: chunked"

BROKEN = {
    "no http": b"hello there, this is no http\r\n\r\n",
    "other protocol": ok(LENGTH, start="HTTQ/1.1 200 OK"),
    "version 2.0": ok(LENGTH, start="HTTP/2.0 200 OK"),
    "version word": ok(LENGTH, start="HTTP/x.1 200 OK"),
    "status word": ok(LENGTH, start="HTTP/1.1 abc OK"),
    "status short": ok(LENGTH, start="HTTP/1.1 20 OK"),
    "status long": ok(LENGTH, start="HTTP/1.1 2000 OK"),
    "status minus": ok(LENGTH, start="HTTP/1.1 -20 OK"),
    "status missing": ok(LENGTH, start="HTTP/1.1"),
    "length and coding": ok(LENGTH, CHUNKED, body="0\r\n\r\n"),
    "coding and length": ok(CHUNKED, LENGTH, body="0\r\n\r\n"),
    "lengths differ": ok(LENGTH, "Content-Length: 6"),
    "lengths twice": ok(LENGTH, LENGTH),
    "length list differs": ok("Content-Length: 5, 6"),
    "length plus": ok("Content-Length: +5"),
    "length minus": ok("Content-Length: -5"),
    "length hex": ok("Content-Length: 0x5"),
    "length word": ok("Content-Length: five"),
    "length empty": ok("Content-Length:"),
    "length 2^64": ok("Content-Length: 18446744073709551616"),
    "coding unknown": ok("Transfer-Encoding: xchunked"),
    "coding then identity": ok("Transfer-Encoding: chunked, identity"),
    "coding twice": ok(CHUNKED, CHUNKED, body="0\r\n\r\n"),
    "folded": ok("A: b", " c", LENGTH),
    "no colon": ok("Abc", LENGTH),
    "empty name": ok(": b", LENGTH),
    "nul": ok("A: b\0", LENGTH),
    "bare cr": ok("A: b\rContent-Length: 3", LENGTH),
    "space in name": ok("A b: c", LENGTH),
    "control in reason": ok(LENGTH, start="HTTP/1.1 200 O\x01K"),
    "101 unasked": text("HTTP/1.1 101 Switching Protocols", "Upgrade: x", "Connection: Upgrade"),
    "head too large": ok("A: " + "x" * 70000, LENGTH),
    "too many fields": ok(*(f"A{i}: b" for i in range(9000)), LENGTH),
    "head cut in start": b"HTTP/1.1 20",
    "head cut in field": b"HTTP/1.1 200 OK\r\nContent-Le",
    "head cut before end": b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n",
    "nothing": b"",
}


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("name", BROKEN)
def test_broken(name, side, nigh, server):
    open_stage(side, nigh, server()).play([
        d.send(GET), d.app(GET), d.reply(BROKEN[name]), d.reply_close(),
        d.get_local(502), d.kept()])


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("line", [b"hello", b"220 a.test ESMTP\r\n", b"HTTP/1.1 OK\r\n"])
def test_no_wait_for_the_rest(line, side, nigh, server):
    """Who speaks something else, and waits, must not make the client wait too."""
    open_stage(side, nigh, server()).play([
        d.send(GET), d.app(GET), d.reply(line), d.get_local(502), d.kept()])


# Bodies that are not what the head said.
BAD_CHUNKS = {
    "size letter": "g\r\nhello\r\n0\r\n\r\n",
    "size plus": "+5\r\nhello\r\n0\r\n\r\n",
    "size empty": "\r\nhello\r\n0\r\n\r\n",
    "size 2^64": "10000000000000000\r\nhello\r\n0\r\n\r\n",
    "data without end": "5\r\nhello0\r\n\r\n",
    "data too long": "5\r\nhello!\r\n0\r\n\r\n",
    "extension nul": "5;\0\r\nhello\r\n0\r\n\r\n",
    "trailer length": "5\r\nhello\r\n0\r\nContent-Length: 5\r\n\r\n",
    "extension without name": "5;\r\nhello\r\n0\r\n\r\n",
    "trailer without colon": "5\r\nhello\r\n0\r\nabc\r\n\r\n",
    "trailers too large": "5\r\nhello\r\n0\r\nA: " + "x" * 70000 + "\r\n\r\n",
}

CUT = {
    "length": ok("Content-Length: 10"),
    "length, no body": ok("Content-Length: 10", body=""),
    "chunk data": ok(CHUNKED, body="5\r\nhel"),
    "chunk end": ok(CHUNKED, body="5\r\nhello"),
    "chunk size": ok(CHUNKED, body="5\r\nhello\r\n5"),
    "between chunks": ok(CHUNKED, body="5\r\nhello\r\n"),
    "last chunk": ok(CHUNKED, body="5\r\nhello\r\n0\r\n"),
    "trailers": ok(CHUNKED, body="5\r\nhello\r\n0\r\nA: b\r\n"),
    "no chunk": ok(CHUNKED, body=""),
}


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("name", BAD_CHUNKS)
def test_bad_chunks(name, side, nigh, server):
    open_stage(side, nigh, server()).play([
        d.send(GET), d.app(GET), d.reply(ok(CHUNKED, body=BAD_CHUNKS[name])),
        d.get_cut()])


@pytest.mark.parametrize("end", ["fin", "reset"])
@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("name", CUT)
def test_cut(name, side, end, nigh, server):
    """The head is with the client before the application goes away."""
    head, _, body = CUT[name].partition(b"\r\n\r\n")
    open_stage(side, nigh, server()).play([
        d.send(GET), d.app(GET), d.reply(head + b"\r\n\r\n"), d.get_head(head + b"\r\n\r\n"),
        d.reply(body), d.reply_fin() if end == "fin" else d.reply_reset(),
        d.get_cut()])


def test_cut_for_old_client(nigh, server):
    """HTTP/1.0 has only the end of the connection to go by: it must be a reset."""
    app = server()
    client = nigh.inbound(app).client()
    client.send(text("GET /x HTTP/1.0", "Host: a"))
    conn, _ = app.request()
    conn.send(ok(CHUNKED, body="5\r\nhello\r\n"))
    client.read_until(b"hello")
    conn.close()
    client.expect_reset()


@pytest.mark.parametrize("side", SIDES)
def test_bytes_after_response(side, nigh, server):
    """What follows a complete response belongs to nobody's request."""
    two = ok(LENGTH) + ok("Content-Length: 4", body="evil")
    stage = open_stage(side, nigh, server())
    stage.play([d.send(GET), d.app(GET), d.reply(two), d.get(ok(LENGTH)), d.kept()])


@pytest.mark.parametrize("side", SIDES)
def test_response_before_request(side, nigh, server):
    """A pooled connection that speaks unasked is not used again."""
    stage = open_stage(side, nigh, server())
    stage.play([d.send(GET), d.app(GET), d.reply(ok(LENGTH)), d.get(ok(LENGTH)),
                d.reply(ok("Content-Length: 4", body="evil")), d.app_ended(), d.kept()])


@pytest.mark.parametrize("side", SIDES)
def test_body_after_204(side, nigh, server):
    none = text("HTTP/1.1 204 No Content")
    stage = open_stage(side, nigh, server())
    stage.play([d.send(GET), d.app(GET), d.reply(none + b"evil"), d.get(none), d.kept()])


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("field", [LENGTH, CHUNKED])
def test_body_behind_204(field, side, nigh, server):
    """It may come late, when another request is on its way: that goes elsewhere."""
    stage = open_stage(side, nigh, server())
    stage.play([d.send(GET), d.app(GET), d.reply(text("HTTP/1.1 204 No Content", field)),
                d.get(text("HTTP/1.1 204 No Content")), d.app_ended(), d.kept()])


@pytest.mark.parametrize("side", SIDES)
def test_body_after_head_response(side, nigh, server):
    head = text("HEAD /x HTTP/1.1", "Host: {host}")
    stage = open_stage(side, nigh, server())
    stage.play([d.send(head), d.app(head), d.reply(ok(LENGTH)),
                d.get(ok(LENGTH, body=""), method="HEAD"), d.kept()])
