# SPDX-License-Identifier: Apache-2.0
"""Requests and responses that must go through, and what may change on the way.

A row: what the client sends, what the application must get (None: the same),
what it answers, what the client must get (None: the same).  Afterwards the
client's connection must be good for another request, unless the row says that
it ends."""
from collections import namedtuple

import pytest

from harness import dialogue
from harness.dialogue import OK, SIDES, open_stage
from harness.message import text

OK_CLOSE = text("HTTP/1.1 200 OK", "Content-Length: 2", "Connection: close", body="ok")
Row = namedtuple("Row", "request seen answer got method end",
                 defaults=(None, OK, None, "GET", "kept"))


def lines(*more, start="GET /x HTTP/1.1", body=""):
    return text(start, "Host: {host}", *more, body=body)


def post(*more, body="hello"):
    return lines(*more, start="POST /x HTTP/1.1", body=body)


def chunked(body, *more):
    return post("Transfer-Encoding: chunked", *more, body=body)


def same(*more, **options):
    return Row(lines(*more, **options))


def without(removed, *kept):
    """These fields must not reach the application."""
    return Row(lines(*removed, *kept), lines(*kept))


def url(target, seen, method="GET"):
    """Absolute form: the target's authority replaces Host, whatever that was."""
    return Row(text(f"{method} {target} HTTP/1.1", "Host: other.test"),
               text(f"{method} {seen} HTTP/1.1", "Host: {host}"))


def last(*more):
    """The client wants no more: it is told that the connection ends, and it ends."""
    return Row(lines(*more), lines(), OK, OK_CLOSE, end="closed")


REQUESTS = {
    "get": same(),
    "case and order kept": same("B: 1", "a: 2", "X-CamelCase: Yes", "ACCEPT: */*"),
    "fields twice": same("Cookie: a=1", "X: y", "Cookie: b=2"),
    "host last": Row(text("GET /x HTTP/1.1", "A: b", "Host: {host}")),
    "empty value": same("A:", "B: c"),
    "value without space": Row(lines("A:b"), lines("A: b")),
    "value with many spaces": same("A: b  c\td"),
    "high bytes in value": same("A: caf\xe9 \xff"),
    "odd names": same("!#$%&'*+-.^_`|~09: b", "Content_Length: 5", "Transfer_Encoding: chunked"),
    "framing look-alikes": same("X-Content-Length: 5", "Content-Length-X: 5", "Contentlength: 5"),
    "500 fields": same(*(f"A{i}: b" for i in range(500))),
    "long value": same("A: " + "x" * 40000),
    "long target": same(start="GET /" + "x" * 8000 + " HTTP/1.1"),
    "target kept": same(start="GET //a/../b;p=1/%2f%2E?q=[1]&a=b%00+%20?? HTTP/1.1"),
    "target with query only": same(start="GET /?a HTTP/1.1"),
    "empty line before": Row(b"\r\n" + lines(), lines()),
    "method lower case": same(start="get /x HTTP/1.1"),
    "method unknown": same(start="FROBNICATE /x HTTP/1.1"),
    "method odd": same(start="M-SEARCH!#$%&'*+.^_`|~1 /x HTTP/1.1"),
    "method long": same(start="A" * 100 + " /x HTTP/1.1"),
    "method patch": same("Content-Length: 5", start="PATCH /x HTTP/1.1", body="hello"),
    "method query": same("Content-Length: 5", start="QUERY /x HTTP/1.1", body="hello"),
    "method trace": same(start="TRACE /x HTTP/1.1"),
    "host letter case": Row(text("GET /x HTTP/1.1", "hOsT: {host}")),
    "options asterisk": same(start="OPTIONS * HTTP/1.1"),
    "post": Row(post("Content-Length: 5")),
    "post of nothing": Row(post("Content-Length: 0", body="")),
    "post without length": Row(post(body="")),
    "post of zeros": Row(post("Content-Length: 5", body="\0\r\n\0\n")),
    "post of a request": Row(post("Content-Length: 18", body="GET / HTTP/1.1\r\n\r\n")),
    "length with spaces": Row(post("Content-Length:   5  ")),
    "get with body": same("Content-Length: 5", body="hello"),
    "delete with body": same("Content-Length: 5", start="DELETE /x HTTP/1.1", body="hello"),
    "chunked": Row(chunked("5\r\nhello\r\n0\r\n\r\n")),
    "chunked empty": Row(chunked("0\r\n\r\n")),
    "chunked in capitals": Row(post("Transfer-Encoding: Chunked", body="0\r\n\r\n")),
    "chunked sizes": Row(chunked("A\r\n0123456789\r\na\r\n0123456789\r\n0\r\n\r\n")),
    "chunked with leading zeros": Row(chunked("0005\r\nhello\r\n000\r\n\r\n")),
    "chunked with extensions": Row(chunked('5;a=b;c="d e"\r\nhello\r\n0;z\r\n\r\n')),
    "chunked with trailers": Row(chunked("5\r\nhello\r\n0\r\nX-Sum: 1\r\nx-b: 2\r\n\r\n",
                                         "Trailer: X-Sum")),
    "chunked without space": Row(post("Transfer-Encoding:chunked", body="0\r\n\r\n")),
    "chunked get": same("Transfer-Encoding: chunked", body="5\r\nhello\r\n0\r\n\r\n"),
    "expect without body": same("X-Expect: 100-continue"),
    "authorization kept": same("Authorization: Basic YTpi"),
    "forwarded kept": same("Forwarded: for=1.2.3.4", "Via: 1.0 x", "X-Real-IP: 1.2.3.4"),
    "connection keep-alive": without(["Connection: keep-alive"]),
    "connection named": without(["Connection: X-Foo, x-bar", "X-Foo: 1", "X-BAR: 2"],
                                "X-Foo-Bar: 3", "X-Fo: 4"),
    "connection named before": without(["X-Foo: 1", "Connection: X-Foo"], "A: b"),
    "connection named twice": without(["Connection: X-Foo", "X-Foo: 1", "Connection: X-Bar",
                                       "X-Bar: 2", "X-Foo: 3"]),
    "connection of empty words": without(["Connection: ,, keep-alive, ,"], "A: b"),
    "connection of spaces": without(["Connection:  x-foo\t,\tkeep-alive ", "X-Foo: 1"]),
    "connection empty": without(["Connection:"], "A: b"),
    "keep-alive": without(["Keep-Alive: timeout=5, max=100"], "A: b"),
    "proxy-connection": without(["Proxy-Connection: keep-alive"], "A: b"),
    "te": without(["TE: gzip", "Connection: TE"], "A: b"),
    "upgrade unasked": without(["Upgrade: websocket"], "A: b"),
    "connection names host": without(["Connection: host"], "A: b"),
    "connection names length": Row(post("Connection: content-length", "Content-Length: 5"),
                                   post("Content-Length: 5")),
    "connection names coding": Row(chunked("0\r\n\r\n", "Connection: Transfer-Encoding"),
                                   chunked("0\r\n\r\n")),
    "connection close": last("Connection: close"),
    "connection close in capitals": last("Connection: CLOSE"),
    "connection close in a list": last("Connection: X-A, close", "X-A: 1"),
    "absolute": url("http://{host}/a/b?c", "/a/b?c"),
    "absolute without path": url("http://{host}", "/"),
    "absolute with query only": url("http://{host}?a=b", "/?a=b"),
    "absolute in capitals": url("HTTP://{host}/x", "/x"),
    "absolute options": url("http://{host}", "*", method="OPTIONS"),
    "absolute with two slashes": url("http://{host}//x", "//x"),
}


def answer(raw, got=None, **options):
    return Row(lines(), None, raw, got, **options)


def ok(*more, start="HTTP/1.1 200 OK", body="ok"):
    return text(start, *more, body=body)


TWO = "Content-Length: 2"
CHUNKED = "Transfer-Encoding: chunked"


def head(raw):
    """The answer to a HEAD: whatever it says, nothing follows."""
    return Row(lines(start="HEAD /x HTTP/1.1"), None, raw, method="HEAD")


RESPONSES = {
    "case and order kept": answer(ok("server: x", "B: 1", "aB: 2", TWO, "Date: now")),
    "set-cookie twice": answer(ok("Set-Cookie: a=1", "X: y", "Set-Cookie: b=2", TWO)),
    "reason kept": answer(ok(TWO, start="HTTP/1.1 200 Quite Fine")),
    "reason empty": answer(ok(TWO, start="HTTP/1.1 200 ")),
    "reason with high bytes": answer(ok(TWO, start="HTTP/1.1 200 caf\xe9")),
    "status 201": answer(ok(TWO, "Location: /y", start="HTTP/1.1 201 Created")),
    "status 299": answer(ok(TWO, start="HTTP/1.1 299 Odd")),
    "status 302": answer(ok("Location: http://a/#b", TWO, start="HTTP/1.1 302 Found")),
    "status 404": answer(ok(TWO, start="HTTP/1.1 404 Not Found")),
    "status 500": answer(ok(TWO, start="HTTP/1.1 500 Oops")),
    "status 503": answer(ok(TWO, "Retry-After: 1", start="HTTP/1.1 503 Busy")),
    "status 599": answer(ok(TWO, start="HTTP/1.1 599 Odd")),
    "status 204": answer(ok("A: b", start="HTTP/1.1 204 No Content", body="")),
    "status 205": answer(ok("Content-Length: 0", start="HTTP/1.1 205 Reset Content", body="")),
    "status 304": answer(ok('ETag: "a"', start="HTTP/1.1 304 Not Modified", body="")),
    "status 304 with length": answer(ok(TWO, start="HTTP/1.1 304 Not Modified", body="")),
    "nothing": answer(ok("Content-Length: 0", body="")),
    "zeros": answer(ok("Content-Length: 6", body="\0\r\n\0\n\r")),
    "long value": answer(ok("A: " + "x" * 40000, TWO)),
    "500 fields": answer(ok(*(f"A{i}: b" for i in range(500)), TWO)),
    "large body": answer(ok("Content-Length: 500000", body="x" * 500000)),
    "chunked": answer(ok(CHUNKED, body="2\r\nok\r\n0\r\n\r\n")),
    "chunked empty": answer(ok(CHUNKED, body="0\r\n\r\n")),
    "chunked extensions": answer(ok(CHUNKED, body='2;a="b"\r\nok\r\n0;c\r\n\r\n')),
    "chunked trailers": answer(ok(CHUNKED, "Trailer: X-Sum",
                                  body="2\r\nok\r\n0\r\nX-Sum: 1\r\nx-B: 2\r\n\r\n")),
    "head with length": head(ok("Content-Length: 500000", body="")),
    "head with coding": head(ok(CHUNKED, body="")),
    "head without length": head(ok("A: b", body="")),
    "upstream closes": answer(ok(TWO, "Connection: close"), ok(TWO)),
    "upstream keep-alive": answer(ok(TWO, "Connection: keep-alive", "Keep-Alive: timeout=5"),
                                  ok(TWO)),
    "connection named": answer(ok("Connection: X-Foo", "X-Foo: 1", "x-b: 2", TWO),
                               ok("x-b: 2", TWO)),
    "connection names length": answer(ok("Connection: Content-Length", TWO), ok(TWO)),
    "proxy-connection": answer(ok("Proxy-Connection: close", TWO), ok(TWO)),
    "upgrade offered": answer(ok("Upgrade: h2c", "Connection: Upgrade", TWO), ok(TWO)),
    "1.0 with length": answer(ok(TWO, start="HTTP/1.0 200 OK"), ok(TWO)),
    "1.0 keep-alive": answer(ok(TWO, "Connection: keep-alive", start="HTTP/1.0 200 OK"), ok(TWO)),
}


def play(row, stage):
    got = row.answer if row.got is None else row.got
    stage.play([
        dialogue.send(row.request),
        dialogue.app(row.request if row.seen is None else row.seen),
        dialogue.reply(row.answer),
        dialogue.get(got, row.method),
        dialogue.kept() if row.end == "kept" else dialogue.closed(),
    ])


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("name", REQUESTS)
def test_request(name, side, nigh, server):
    play(REQUESTS[name], open_stage(side, nigh, server()))


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("name", RESPONSES)
def test_response(name, side, nigh, server):
    play(RESPONSES[name], open_stage(side, nigh, server()))


# Hosts that lead nowhere outside: the inbound side does not route by them.
INBOUND_HOSTS = ["orders.shop.svc.cluster.local.", "ORDERS:8080", "[::1]:80", "[fe80::1]",
                 "a_b.c", "xn--bcher-kva.example", "1.2.3.4", "a%20b", "!$&'()*+;=~"]


@pytest.mark.parametrize("host", INBOUND_HOSTS)
def test_host(host, nigh, server):
    stage = open_stage("inbound", nigh, server())
    stage.host = host.encode()
    play(Row(lines()), stage)


@pytest.mark.parametrize("side", SIDES)
def test_bytes_exact(side, nigh, server):
    """Not only the same message: the very bytes, spaces before the value included."""
    stage = open_stage(side, nigh, server())
    fields = b"a:b\r\nC:   d  e\r\nF:\tg\r\nH:\r\n"
    stage.client.send(b"GET /x HTTP/1.1\r\nHost: " + stage.host + b"\r\n" + fields + b"\r\n")
    stage.conn = stage.app.next_peer()
    head = stage.conn.read_until(b"\r\n\r\n")
    assert head.startswith(b"GET /x HTTP/1.1\r\nHost: " + stage.host + b"\r\n" + fields), head
    response = b"HTTP/1.1 200 OK\r\n" + fields + b"Content-Length: 2\r\n\r\nok"
    stage.conn.send(response)
    stage.client.expect(response)


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("written", [b"\tchunked", b"chunked", b"   Chunked", b" chunked ",
                                     b" chunked\t"])
def test_framing_is_written_plainly(written, side, nigh, server):
    """nginx takes a tab, and http.client a blank behind it, for a part of the coding."""
    stage = open_stage(side, nigh, server())
    plain = b"\r\ntransfer-encoding: " + written.strip() + b"\r\n"
    stage.client.send(b"POST /x HTTP/1.1\r\nHost: " + stage.host + b"\r\ntransfer-encoding:" +
                      written + b"\r\n\r\n0\r\n\r\n")
    stage.conn = stage.app.next_peer()
    assert plain in stage.conn.read_until(b"\r\n\r\n")
    stage.conn.expect(b"0\r\n\r\n")
    stage.conn.send(b"HTTP/1.1 200 OK\r\nContent-Length: \t2\r\n\r\nok")
    stage.client.expect(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
