# SPDX-License-Identifier: Apache-2.0
"""Requests that nigh must refuse: none of their bytes may reach the application.

Each row is sent in one piece, followed by a request that a confused parser
would take for the next one.  The client must get an answer of nigh's own and
then a FIN, not a reset that could cost it the answer."""
import contextlib

import pytest

from harness.dialogue import SIDES, Stage, assert_local
from harness.message import read_response, text
from harness.server import Server

SMUGGLED = text("GET /smuggled HTTP/1.1", "Host: {host}")
BAD = 400
VERSION = (400, 505)
CODING = (400, 501)
LARGE = (414, 431)


def lines(*more, start="POST /x HTTP/1.1", body="hello"):
    return text(start, "Host: {host}", *more, body=body)


def chunks(body):
    return lines("Transfer-Encoding: chunked", body=body)


def host(*values):
    return text("GET /x HTTP/1.1", *(f"Host: {value}" for value in values))


def start(line):
    return text(line, "Host: {host}")


def get(*more):
    return lines(*more, start="GET /x HTTP/1.1", body="")


FRAMING = {
    "cl and te": (BAD, lines("Content-Length: 5", "Transfer-Encoding: chunked")),
    "te and cl": (BAD, lines("Transfer-Encoding: chunked", "Content-Length: 5")),
    "te and cl 0": (BAD, lines("Transfer-Encoding: chunked", "Content-Length: 0")),
    "cl and te unknown": (BAD, lines("Content-Length: 5", "Transfer-Encoding: x")),
    "cl differ": (BAD, lines("Content-Length: 5", "Content-Length: 6")),
    "cl differ by zero": (BAD, lines("Content-Length: 0", "Content-Length: 5")),
    "cl twice": (BAD, lines("Content-Length: 5", "Content-Length: 5")),
    "cl list": (BAD, lines("Content-Length: 5, 5")),
    "cl list differs": (BAD, lines("Content-Length: 5, 6")),
    "cl list open": (BAD, lines("Content-Length: 5,")),
    "cl list open before": (BAD, lines("Content-Length: ,5")),
    "cl plus": (BAD, lines("Content-Length: +5")),
    "cl minus": (BAD, lines("Content-Length: -1")),
    "cl minus zero": (BAD, lines("Content-Length: -0")),
    "cl hex": (BAD, lines("Content-Length: 0x5")),
    "cl float": (BAD, lines("Content-Length: 5.0")),
    "cl exponent": (BAD, lines("Content-Length: 1e1")),
    "cl word": (BAD, lines("Content-Length: five")),
    "cl quoted": (BAD, lines('Content-Length: "5"')),
    "cl semicolon": (BAD, lines("Content-Length: 5;")),
    "cl two numbers": (BAD, lines("Content-Length: 5 5")),
    "cl letter after": (BAD, lines("Content-Length: 5a")),
    "cl empty": (BAD, lines("Content-Length:")),
    "cl blank": (BAD, lines("Content-Length:  ")),
    "cl 2^64": (BAD, lines("Content-Length: 18446744073709551616")),
    "cl 2^64+5": (BAD, lines("Content-Length: 18446744073709551621")),
    "cl 2^63+5": (BAD, lines("Content-Length: 9223372036854775813")),
    "cl 40 digits": (BAD, lines("Content-Length: " + "9" * 40)),
    "cl vertical tab": (BAD, lines("Content-Length: \v5")),
    "cl space before colon": (BAD, lines("Content-Length : 5")),
    "cl tab before colon": (BAD, lines("Content-Length\t: 5")),
    "cl folded": (BAD, lines("Content-Length:\r\n 5")),
    "te xchunked": (CODING, lines("Transfer-Encoding: xchunked")),
    "te chunkedx": (CODING, lines("Transfer-Encoding: chunkedx")),
    "te chunk": (CODING, lines("Transfer-Encoding: chunk")),
    "te identity": (CODING, lines("Transfer-Encoding: identity")),
    "te gzip": (CODING, lines("Transfer-Encoding: gzip")),
    "te chunked, identity": (CODING, lines("Transfer-Encoding: chunked, identity")),
    "te identity, chunked": (CODING, lines("Transfer-Encoding: identity, chunked")),
    "te chunked, chunked": (CODING, lines("Transfer-Encoding: chunked, chunked")),
    "te chunked, gzip": (CODING, lines("Transfer-Encoding: chunked, gzip")),
    "te twice": (CODING, lines("Transfer-Encoding: chunked", "Transfer-Encoding: chunked")),
    "te second x": (CODING, lines("Transfer-Encoding: chunked", "Transfer-Encoding: x")),
    "te first x": (CODING, lines("Transfer-Encoding: x", "Transfer-Encoding: chunked")),
    "te quoted": (CODING, lines('Transfer-Encoding: "chunked"')),
    "te gzip alone": (BAD, lines("Transfer-Encoding: gzip")),
    "te ends with comma": (BAD, lines("Transfer-Encoding: chunked,")),
    "te parameter": (CODING, lines("Transfer-Encoding: chunked;q=1")),
    "te empty": (CODING, lines("Transfer-Encoding:")),
    "te space inside": (CODING, lines("Transfer-Encoding: chun ked")),
    "te vertical tab": (CODING, lines("Transfer-Encoding: \vchunked")),
    "te form feed after": (CODING, lines("Transfer-Encoding: chunked\f")),
    "te space before colon": (BAD, lines("Transfer-Encoding : chunked")),
    "te tab before colon": (BAD, lines("Transfer-Encoding\t: chunked")),
    "te folded": (BAD, lines("Transfer-Encoding:\r\n chunked")),
    "te folded with tab": (BAD, lines("Transfer-Encoding:\r\n\tchunked")),
    "te after fold": (BAD, lines("X: y\r\n Transfer-Encoding: chunked")),
    "te behind bare cr": (BAD, lines("X: y\rTransfer-Encoding: chunked")),
    "te behind bare lf": (BAD, lines("X: y\nTransfer-Encoding: chunked")),
    "te in 1.0": (BAD, text("POST /x HTTP/1.0", "Host: {host}", "Transfer-Encoding: chunked",
                            body="0\r\n\r\n")),
}

CHUNKED = {
    "size letter": chunks("g\r\nhello\r\n0\r\n\r\n"),
    "size hex prefix": chunks("0x5\r\nhello\r\n0\r\n\r\n"),
    "size plus": chunks("+5\r\nhello\r\n0\r\n\r\n"),
    "size minus": chunks("-5\r\nhello\r\n0\r\n\r\n"),
    "size empty": chunks("\r\nhello\r\n0\r\n\r\n"),
    "size only extension": chunks(";a=b\r\nhello\r\n0\r\n\r\n"),
    "size space before": chunks(" 5\r\nhello\r\n0\r\n\r\n"),
    "size space after": chunks("5 \r\nhello\r\n0\r\n\r\n"),
    "size tab after": chunks("5\t\r\nhello\r\n0\r\n\r\n"),
    "size underscore": chunks("0_5\r\nhello\r\n0\r\n\r\n"),
    "size comma": chunks("5,5\r\nhello\r\n0\r\n\r\n"),
    "size 2^64": chunks("10000000000000000\r\nhello\r\n0\r\n\r\n"),
    "size 2^64+5": chunks("10000000000000005\r\nhello\r\n0\r\n\r\n"),
    "size 20 digits": chunks("FFFFFFFFFFFFFFFFFFFF\r\nhello\r\n0\r\n\r\n"),
    "size bare lf": chunks("5\nhello\r\n0\r\n\r\n"),
    "size bare cr": chunks("5\rhello\r\n0\r\n\r\n"),
    "size nul": chunks("5\0\r\nhello\r\n0\r\n\r\n"),
    "data too long": chunks("5\r\nhello!\r\n0\r\n\r\n"),
    "data without end": chunks("5\r\nhello0\r\n\r\n"),
    "data ends bare lf": chunks("5\r\nhello\n0\r\n\r\n"),
    "data ends bare cr": chunks("5\r\nhello\r0\r\n\r\n"),
    "data ends cr cr lf": chunks("5\r\nhello\r\r\n0\r\n\r\n"),
    "last bare lf": chunks("5\r\nhello\r\n0\n\n"),
    "last then bare lf": chunks("5\r\nhello\r\n0\r\n\n"),
    "extension bare cr": chunks("5;a=\rb\r\nhello\r\n0\r\n\r\n"),
    "extension bare lf": chunks("5;a\nb\r\nhello\r\n0\r\n\r\n"),
    "extension nul": chunks("5;a=\0\r\nhello\r\n0\r\n\r\n"),
    "extension without semicolon": chunks("5 a=b\r\nhello\r\n0\r\n\r\n"),
    "trailer bare lf": chunks("5\r\nhello\r\n0\r\nA: b\n\r\n"),
    "trailer without colon": chunks("5\r\nhello\r\n0\r\nAbc\r\n\r\n"),
    "trailer folded": chunks("5\r\nhello\r\n0\r\nA: b\r\n c\r\n\r\n"),
    "trailer space before colon": chunks("5\r\nhello\r\n0\r\nA : b\r\n\r\n"),
    "trailer bare cr": chunks("5\r\nhello\r\n0\r\nA: b\rc\r\n\r\n"),
    "trailer nul": chunks("5\r\nhello\r\n0\r\nA: \0\r\n\r\n"),
    "extension without name": chunks("5;\r\nhello\r\n0\r\n\r\n"),
    "extension of blanks": chunks("5; \t\r\nhello\r\n0\r\n\r\n"),
    "extension with an open quote": chunks('5;a="\r\nhello\r\n0\r\n\r\n'),
    "trailer length": chunks("5\r\nhello\r\n0\r\nContent-Length: 5\r\n\r\n"),
    "trailer coding": chunks("5\r\nhello\r\n0\r\nTRANSFER-ENCODING: chunked\r\n\r\n"),
    "trailer host": chunks("5\r\nhello\r\n0\r\nA: b\r\nhost: a\r\n\r\n"),
    "trailer connection": chunks("5\r\nhello\r\n0\r\nConnection: close\r\n\r\n"),
    "trailer empty name": chunks("5\r\nhello\r\n0\r\n: b\r\n\r\n"),
}

HEAD = {
    "folded": get("A: b", " c"),
    "folded with tab": get("A: b", "\tc"),
    "folded empty": get("A: b", " "),
    "first line folded": text("GET /x HTTP/1.1", " Host: {host}"),
    "no colon": get("Abc"),
    "empty name": get(": b"),
    "blank name": get(" : b"),
    "nul in value": get("A: b\0c"),
    "nul in name": get("A\0b: c"),
    "bare cr in value": get("A: b\rc"),
    "bare cr before crlf": get("A: b\r"),
    "bare cr in name": get("A\rb: c"),
    "bare cr line end": b"GET /x HTTP/1.1\rHost: {host}\r\r",
    "bare lf line ends": b"GET /x HTTP/1.1\nHost: {host}\n\n",
    "bare lf after start": b"GET /x HTTP/1.1\nHost: {host}\r\n\r\n",
    "bare lf after field": b"GET /x HTTP/1.1\r\nHost: {host}\nA: b\r\n\r\n",
    "bare lf ends head": b"GET /x HTTP/1.1\r\nHost: {host}\r\n\n",
    "control 0x01": get("A: b\x01c"),
    "control 0x08": get("A: b\x08c"),
    "control 0x1f": get("A: b\x1fc"),
    "delete 0x7f": get("A: b\x7fc"),
    "space in name": get("A b: c"),
    "space before colon": get("A : b"),
    "tab before colon": get("A\t: b"),
    "slash in name": get("A/b: c"),
    "at in name": get("A@b: c"),
    "bracket in name": get("A[b: c"),
    "brace in name": get("A{b: c"),
    "quote in name": get('A"b: c'),
    "parenthesis in name": get("A(b: c"),
    "high byte in name": get("A\xe9: c"),
    "control in name": get("A\x0b: c"),
}

START = {
    "no version": (BAD, b"GET /x\r\n\r\n"),
    "only method": (BAD, b"GET\r\n\r\n"),
    "http/2.0": (VERSION, start("GET /x HTTP/2.0")),
    "http/2 preface": (VERSION, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    "http/0.9": (VERSION, start("GET /x HTTP/0.9")),
    "http/3.0": (VERSION, start("GET /x HTTP/3.0")),
    "http/11.1": (VERSION, start("GET /x HTTP/11.1")),
    "http/1.10": (VERSION, start("GET /x HTTP/1.10")),
    "http/1": (VERSION, start("GET /x HTTP/1")),
    "http/1.": (VERSION, start("GET /x HTTP/1.")),
    "http/.1": (VERSION, start("GET /x HTTP/.1")),
    "http/1.x": (VERSION, start("GET /x HTTP/1.x")),
    "lower-case protocol": (VERSION, start("GET /x http/1.1")),
    "other protocol": (VERSION, start("GET /x HTTQ/1.1")),
    "icy": (VERSION, start("SOURCE /x ICE/1.0")),
    "rtsp": (VERSION, start("OPTIONS rtsp://{host}/ RTSP/1.0")),
    "space after version": (VERSION, start("GET /x HTTP/1.1 ")),
    "word after version": (VERSION, start("GET /x HTTP/1.1 y")),
    "space in target": (BAD, start("GET /x y HTTP/1.1")),
    "two spaces": (BAD, start("GET  /x HTTP/1.1")),
    "two spaces before version": (BAD, start("GET /x  HTTP/1.1")),
    "tab as space": (BAD, start("GET\t/x HTTP/1.1")),
    "tab before version": (BAD, start("GET /x\tHTTP/1.1")),
    "leading space": (BAD, start(" GET /x HTTP/1.1")),
    "leading tab": (BAD, start("\tGET /x HTTP/1.1")),
    "no target": (BAD, start("GET HTTP/1.1")),
    "no method": (BAD, start(" /x HTTP/1.1")),
    "fragment": (BAD, start("GET /x#y HTTP/1.1")),
    "nul in target": (BAD, start("GET /\0 HTTP/1.1")),
    "control in target": (BAD, start("GET /\x01 HTTP/1.1")),
    "delete in target": (BAD, start("GET /\x7f HTTP/1.1")),
    "bare cr in target": (BAD, start("GET /\rx HTTP/1.1")),
    "target without slash": (BAD, start("GET x HTTP/1.1")),
    "asterisk of get": (BAD, start("GET * HTTP/1.1")),
    "bad byte in method": (BAD, start("G(T /x HTTP/1.1")),
    "colon in method": (BAD, start("GET: /x HTTP/1.1")),
    "control in method": (BAD, start("G\x01T /x HTTP/1.1")),
    "high byte in method": (BAD, start("G\xe9T /x HTTP/1.1")),
    "tls hello": (BAD, b"\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03\r\n\r\n"),
    "absolute without host": (BAD, start("GET http:///x HTTP/1.1")),
    "absolute with bad host": (BAD, start("GET http://a<b/x HTTP/1.1")),
    "absolute with bad port": (BAD, start("GET http://a:x/ HTTP/1.1")),
    "absolute with user": (BAD, start("GET http://u:p@{host}/ HTTP/1.1")),
    "absolute of other scheme": (CODING, start("GET ftp://{host}/x HTTP/1.1")),
    "connect path": (CODING, start("CONNECT /x HTTP/1.1")),
    "connect url": (CODING, start("CONNECT http://{host}/ HTTP/1.1")),
    "connect without port": (CODING, start("CONNECT app.test HTTP/1.1")),
    "connect bad port": (CODING, start("CONNECT app.test:99999 HTTP/1.1")),
}

HOST = {
    "missing": host(),
    "empty": host(""),
    "empty in 1.0": text("GET /x HTTP/1.0", "Host: "),
    "empty of an asterisk": text("OPTIONS * HTTP/1.1", "Host:"),
    "twice": host("{host}", "{host}"),
    "twice differing": host("{host}", "other.test"),
    "twice one empty": host("{host}", ""),
    "space inside": host("a b"),
    "tab inside": host("a\tb"),
    "slash": host("{host}/x"),
    "at": host("a@{host}"),
    "comma": host("{host}, other.test"),
    "hash": host("{host}#a"),
    "question mark": host("{host}?a"),
    "backslash": host("a\\b"),
    "less than": host("a<b"),
    "brace": host("a{b"),
    "quote": host('"a"'),
    "nul": host("a\0"),
    "control": host("a\x01"),
    "high byte": host("a\xe9"),
    "port without host": host(":80"),
    "port word": host("a:http"),
    "port too large": host("a:65536"),
    "port minus": host("a:-1"),
    "two ports": host("a:80:80"),
    "bracket open": host("[::1"),
    "bracket close": host("::1]"),
    "bracket empty": host("[]"),
    "bracket then word": host("[::1]a"),
    "six without brackets": host("::1"),
    "scheme": host("http://a"),
    "empty label": host("a..test"),
    "empty first label": host(".test"),
    "dot alone": host("."),
    "two dots at the end": host("a.test.."),
    "percent broken": host("a%zz"),
    "space before colon": text("GET /x HTTP/1.1", "Host : {host}"),
    "folded": text("GET /x HTTP/1.1", "Host:\r\n {host}"),
    "twice in 1.0": text("GET /x HTTP/1.0", "Host: {host}", "Host: other.test"),
    "bad in 1.0": text("GET /x HTTP/1.0", "Host: a b"),
}

TABLE = {
    **{f"framing: {name}": row for name, row in FRAMING.items()},
    **{f"chunked: {name}": (BAD, data) for name, data in CHUNKED.items()},
    **{f"head: {name}": (BAD, data) for name, data in HEAD.items()},
    **{f"start: {name}": row for name, row in START.items()},
    **{f"host: {name}": (BAD, data) for name, data in HOST.items()},
    "large: header": (LARGE, get("A: " + "x" * 70000)),
    "large: target": (LARGE, start("GET /" + "x" * 70000 + " HTTP/1.1")),
    "large: many fields": (LARGE, get(*(f"A{i}: b" for i in range(9000)))),
    "large: chunk extension": ((400, 431), chunks("5;" + "x" * 70000 + "\r\nhello\r\n0\r\n\r\n")),
}


@pytest.fixture(scope="module", params=SIDES)
def stage_of(request, shared_nigh):
    """One sidecar and one application for the whole table: no row may touch the latter."""
    with contextlib.closing(Server()) as app:
        sidecar = (shared_nigh.inbound(app) if request.param == "inbound"
                   else shared_nigh.outbound())
        yield lambda: Stage(request.param, app, sidecar)


@pytest.fixture(autouse=True)
def no_leftovers(stage_of):
    """A row that fails must not take the next ones with it."""
    yield
    stage_of().app.drop_peers()


@pytest.mark.parametrize("name", TABLE)
def test_reject(stage_of, name):
    status, data = TABLE[name]
    stage = stage_of()
    with stage.client as client:
        client.send(stage.bytes(data + SMUGGLED))
        answer = read_response(client)
        assert_local(answer, status)
        assert answer.says_close(), str(answer)
        client.expect_fin()
        stage.app.expect_nothing()


@pytest.mark.parametrize("name", ["framing: cl and te", "head: nul in value", "host: twice",
                                  "start: two spaces", "chunked: size hex prefix"])
def test_reject_byte_by_byte(stage_of, name):
    """However the bytes arrive.  A chunked head may have gone on by then; the
    application must not take that request for complete."""
    status, data = TABLE[name]
    stage = stage_of()
    with stage.client as client:
        client.send_slowly(stage.bytes(data))
        assert_local(read_response(client), status)
        client.expect_fin()
        if not name.startswith("chunked"):
            stage.app.expect_nothing()
            return
        for peer in stage.app.peers:
            assert not peer.read_to_end().endswith(b"0\r\n\r\n")


@pytest.mark.parametrize("data", [b"GET /x\r\n", b"EHLO a.test\r\n", b"PRI * HTTP/2.0\r\n",
                                  b"GET /x HTTP/1.1\n", b"\x16\x03\x01"])
def test_no_wait_for_the_rest(stage_of, data):
    """Whoever speaks something else waits for an answer now."""
    with stage_of().client as client:
        client.send(data)
        assert_local(read_response(client), (400, 505))
        client.expect_fin()


def test_large_trailers(stage_of):
    """By the time they are too large, much has gone on: it must not look complete."""
    stage = stage_of()
    with stage.client as client:
        client.send(stage.bytes(chunks("0\r\n" + "A: " + "x" * 70000 + "\r\n\r\n")))
        assert_local(read_response(client), (400, 431))
        client.expect_fin()
        for peer in stage.app.peers:
            assert not peer.read_to_end().endswith(b"\r\n\r\n")


def test_reject_counts(stage_of):
    """Each answer of nigh's own counts under its reason, and the next client is served."""
    stage = stage_of()
    with stage.client as client:
        before = stage.sidecar.total("nigh_local_responses_total", reason="bad_request")
        client.send(b"GET / HTTP/1.1\r\n\r\n")
        assert_local(read_response(client), 400)
        stage.sidecar.wait_total("nigh_local_responses_total", before + 1,
                                 reason="bad_request")
