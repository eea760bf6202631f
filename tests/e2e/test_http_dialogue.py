# SPDX-License-Identifier: Apache-2.0
"""Exchanges of more than one step: interim responses, upgrades, tunnels,
pipelines, half-closed and broken connections, old clients and servers."""
from collections import namedtuple

import pytest

from harness.dialogue import (
    OK, SIDES, app, app_bytes, app_ended, app_fin, app_head, app_nothing, client_fin, closed,
    ended, get, get_bytes, get_content, get_cut, get_head, get_local, kept, open_stage,
    reply, reply_close, reply_fin, reply_reset, reply_slowly, send, send_slowly)
from harness.message import read_head, read_response, text

Row = namedtuple("Row", "name side settings steps")
ROWS = []


def both(name, *steps, **settings):
    ROWS.extend(Row(f"{name} {side}", side, settings, steps) for side in SIDES)


def inbound(name, *steps, **settings):
    ROWS.append(Row(name, "inbound", settings, steps))


def outbound(name, *steps, **settings):
    ROWS.append(Row(name, "outbound", settings, steps))


def request(*more, start="GET /x HTTP/1.1", body=""):
    return text(start, "Host: {host}", *more, body=body)


def post(*more, body=""):
    return request(*more, start="POST /x HTTP/1.1", body=body)


GET = request()
HEAD = request(start="HEAD /x HTTP/1.1")
FIVE = "Content-Length: 5"
CHUNKED = "Transfer-Encoding: chunked"
HELLO = text("HTTP/1.1 200 OK", FIVE, body="hello")
HELLO_CLOSE = text("HTTP/1.1 200 OK", FIVE, "Connection: close", body="hello")
CONTINUE = text("HTTP/1.1 100 Continue")
HINTS = text("HTTP/1.1 103 Early Hints", "Link: </a.css>; rel=preload")
EXPECT = post(FIVE, "Expect: 100-continue")

# --- pieces ---

both("request byte by byte", send_slowly(GET), app(GET), reply(OK), get(OK), kept())
both("response byte by byte", send(GET), app(GET), reply_slowly(HELLO), get(HELLO), kept())
both("chunked request byte by byte",
     send_slowly(post(CHUNKED, body="5;a=b\r\nhello\r\n0\r\nA: b\r\n\r\n")),
     app(post(CHUNKED, body="5\r\nhello\r\n0\r\nA: b\r\n\r\n")), reply(OK), get(OK), kept())
both("chunked response byte by byte",
     send(GET), app(GET),
     reply_slowly(text("HTTP/1.1 200 OK", CHUNKED, body="5;a=b\r\nhello\r\n0\r\nA: b\r\n\r\n")),
     get(text("HTTP/1.1 200 OK", CHUNKED, body="5\r\nhello\r\n0\r\nA: b\r\n\r\n")), kept())
both("body streams to the application",
     send(post("Content-Length: 10", body="hello")), app_head(post("Content-Length: 10")),
     app_bytes(b"hello"), send(b"world"), app_bytes(b"world"), reply(OK), get(OK), kept())
both("body streams to the client",
     send(GET), app(GET), reply(text("HTTP/1.1 200 OK", "Content-Length: 10", body="hello")),
     get_head(text("HTTP/1.1 200 OK", "Content-Length: 10")), get_bytes(b"hello"),
     reply(b"world"), get_bytes(b"world"), kept())
both("head comes before the body",
     send(GET), app(GET), reply(text("HTTP/1.1 200 OK", FIVE)),
     get_head(text("HTTP/1.1 200 OK", FIVE)), reply(b"hello"), get_bytes(b"hello"), kept())
both("head goes before the body",
     send(post(FIVE)), app_head(post(FIVE)), send(b"hello"), app_bytes(b"hello"),
     reply(OK), get(OK), kept())

# --- interim responses ---

both("100 to a client that waits",
     send(EXPECT), app_head(EXPECT), reply(CONTINUE), get(CONTINUE),
     send(b"hello"), app_bytes(b"hello"), reply(OK), get(OK), kept())
both("100 that nobody waited for",
     send(post(FIVE, body="hello")), app(post(FIVE, body="hello")), reply(CONTINUE + OK),
     get(CONTINUE), get(OK), kept())
both("103 alone", send(GET), app(GET), reply(HINTS), get(HINTS), reply(OK), get(OK), kept())
both("several interim responses",
     send(GET), app(GET), reply(HINTS + HINTS + text("HTTP/1.1 102 Processing") + OK),
     get(HINTS), get(HINTS), get(text("HTTP/1.1 102 Processing")), get(OK), kept())
both("interim then head response",
     send(HEAD), app(HEAD), reply(HINTS + text("HTTP/1.1 200 OK", FIVE)), get(HINTS),
     get(text("HTTP/1.1 200 OK", FIVE), "HEAD"), kept())
both("interim byte by byte",
     send(GET), app(GET), reply_slowly(HINTS + HELLO), get(HINTS), get(HELLO), kept())
both("final answer instead of 100",
     send(EXPECT), app_head(EXPECT), reply(text("HTTP/1.1 417 No", "Content-Length: 0")),
     get(text("HTTP/1.1 417 No", "Content-Length: 0", "Connection: close")), closed())
both("expect with the body at once",
     send(post(FIVE, "Expect: 100-continue", body="hello")),
     app(post(FIVE, "Expect: 100-continue", body="hello")), reply(OK), get(OK), kept())
both("broken after interim",
     send(GET), app(GET), reply(HINTS), get(HINTS), reply_close(), get_local(502), kept())
inbound("no interim for an old client",
        send(text("GET /x HTTP/1.0", "Host: {host}")), app(text("GET /x HTTP/1.x", "Host: {host}")),
        reply(CONTINUE + HINTS + OK), get_content(200, b"ok"), closed())

# --- early responses, half-close, truncation ---

both("early response, upload goes on",
     send(post("Content-Length: 10", body="hello")), app_head(post("Content-Length: 10")),
     app_bytes(b"hello"), reply(HELLO), get_content(200, b"hello"), send(b"world"), closed())
both("early response, application hangs up",
     send(post("Content-Length: 10", body="hello")), app_head(post("Content-Length: 10")),
     app_bytes(b"hello"),
     reply(text("HTTP/1.1 413 Too Large", FIVE, "Connection: close", body="hello")),
     reply_close(), get_content(413, b"hello"))
both("client half-closes after its request",
     send(GET), client_fin(), app(GET), reply(HELLO), get_content(200, b"hello"), ended())
both("client half-closes after a post",
     send(post(FIVE, body="hello")), client_fin(), app(post(FIVE, body="hello")),
     reply(HELLO), get_content(200, b"hello"), ended())
both("client ends without a request", client_fin(), closed(), app_nothing())
both("client ends in a head", send(b"GET /x HT"), client_fin(), ended(), app_nothing())
both("client ends in a body",
     send(post("Content-Length: 10", body="hello")), app_head(post("Content-Length: 10")),
     app_bytes(b"hello"), client_fin(), app_ended())
both("client ends in a chunk",
     send(post(CHUNKED, body="a\r\nhello")), app_head(post(CHUNKED)), client_fin(),
     lambda stage: check_not_complete(stage.conn))
both("client ends before the last chunk",
     send(post(CHUNKED, body="5\r\nhello\r\n")), app_head(post(CHUNKED)), client_fin(),
     lambda stage: check_not_complete(stage.conn))
both("client ends within the trailers",
     send(post(CHUNKED, body="5\r\nhello\r\n0\r\n")), app_head(post(CHUNKED)), client_fin(),
     lambda stage: check_not_complete(stage.conn))
both("broken end of the last chunk",
     send(post(CHUNKED, body="5\r\nhello\r\n0\r\n\r")), app_head(post(CHUNKED)), send(b"\r\n"),
     get_local(400), lambda stage: check_not_complete(stage.conn))
both("client ends in a body, in the middle of a response without a length",
     send(post("Content-Length: 10", body="hello")), app_head(post("Content-Length: 10")),
     app_bytes(b"hello"), reply(text("HTTP/1.1 200 OK", body="a part")),
     get_head(text("HTTP/1.1 200 OK", "Connection: close")), get_bytes(b"a part"),
     client_fin(), get_cut())
both("application half-closes after its response",
     send(GET), app(GET), reply(HELLO), reply_fin(), get(HELLO), app_fin(), kept())
both("application resets before its response",
     send(post(FIVE, body="hello")), app(post(FIVE, body="hello")), reply_reset(),
     get_local(502), kept())
both("application cuts a chunked response",
     send(GET), app(GET), reply(text("HTTP/1.1 200 OK", CHUNKED, body="5\r\nhello\r\n")),
     get_head(text("HTTP/1.1 200 OK", CHUNKED)), reply_close(), get_cut())


def check_not_complete(peer):
    """An upload that broke off must not look finished, not even to those who take an end
    for the end of the trailers."""
    assert b"0\r\n\r\n" not in peer.read_to_end()
    assert peer.end == "RST"


# --- up to the end of the connection ---

UNTIL_CLOSE = text("HTTP/1.1 200 OK", "A: b", body="hello")
both("body up to the end", send(GET), app(GET), reply(UNTIL_CLOSE), reply_close(),
     get_content(200, b"hello"))
both("body up to the end, streaming",
     send(GET), app(GET), reply(text("HTTP/1.1 200 OK", "A: b")), reply(b"hel"), reply(b"lo"),
     reply_fin(), get_content(200, b"hello"))
both("body up to the end, empty",
     send(GET), app(GET), reply(text("HTTP/1.1 200 OK", "A: b")), reply_fin(),
     get_content(200, b""))
both("1.0 body up to the end",
     send(GET), app(GET), reply(text("HTTP/1.0 200 OK", body="hello")), reply_close(),
     get_content(200, b"hello"))

# --- HTTP/1.0 clients ---

OLD = text("GET /x HTTP/1.0", "Host: {host}")
OLD_SEEN = text("GET /x HTTP/1.x", "Host: {host}")
OLD_KEEP = text("GET /x HTTP/1.0", "Host: {host}", "Connection: keep-alive")


def get_old(body, keep):
    """What an HTTP/1.0 client understands: a length, or the end; no chunks."""
    def step(stage):
        head, _, rest = stage.client.read_until(b"\r\n\r\n").partition(b"\r\n\r\n")
        head = head.lower()
        assert b"transfer-encoding" not in head, head
        assert (b"connection: keep-alive" in head) == keep, head
        if keep:
            assert b"content-length: %d" % len(body) in head, head
            stage.client.expect(body)
        else:
            assert stage.client.read_to_end() == body and stage.client.end == "FIN"
    return step


both("old client", send(OLD), app(OLD_SEEN), reply(HELLO), get_old(b"hello", False))
both("old client keeps alive",
     send(OLD_KEEP), app(OLD_SEEN), reply(HELLO), get_old(b"hello", True),
     send(OLD_KEEP), app(OLD_SEEN), reply(HELLO), get_old(b"hello", True))
both("old client, chunked answer",
     send(OLD), app(OLD_SEEN),
     reply(text("HTTP/1.1 200 OK", CHUNKED, body="3\r\nhel\r\n2;a\r\nlo\r\n0\r\nT: x\r\n\r\n")),
     get_old(b"hello", False))
both("old client keeps alive, chunked answer",
     send(OLD_KEEP), app(OLD_SEEN),
     reply(text("HTTP/1.1 200 OK", CHUNKED, body="5\r\nhello\r\n0\r\n\r\n")),
     get_old(b"hello", False))
both("old client, body up to the end",
     send(OLD_KEEP), app(OLD_SEEN), reply(UNTIL_CLOSE), reply_close(), get_old(b"hello", False))
both("old client posts",
     send(text("POST /x HTTP/1.0", "Host: {host}", FIVE, body="hello")),
     app(text("POST /x HTTP/1.x", "Host: {host}", FIVE, body="hello")), reply(HELLO),
     get_old(b"hello", False))
inbound("old client without host",
        send(text("GET /x HTTP/1.0")),
        lambda stage: check_old_head(stage),
        reply(HELLO), get_old(b"hello", False))


def check_old_head(stage):
    got = stage.next_request()
    assert got.start in ("GET /x HTTP/1.0", "GET /x HTTP/1.1")
    assert all(name == "Host" for name, _ in got.headers), str(got)


# --- pipelines ---

def numbered(number, *more):
    return text(f"GET /{number} HTTP/1.1", "Host: {host}", *more)


def answer(number):
    return text("HTTP/1.1 200 OK", "Content-Length: 1", body=str(number))


both("pipeline keeps its order",
     send(b"".join(numbered(n) for n in range(5))),
     *(step for n in range(5) for step in (app(numbered(n)), reply(answer(n)))),
     *(get(answer(n)) for n in range(5)), kept())
both("pipeline of posts",
     send(post(FIVE, body="hello") * 3),
     *(step for _ in range(3)
       for step in (app(post(FIVE, body="hello")), reply(HELLO), get(HELLO))), kept())
both("pipeline of chunked posts",
     send(post(CHUNKED, body="5\r\nhello\r\n0\r\n\r\n") * 3),
     *(step for _ in range(3)
       for step in (app(post(CHUNKED, body="5\r\nhello\r\n0\r\n\r\n")), reply(HELLO), get(HELLO))),
     kept())
both("pipeline behind connection close",
     send(numbered(1, "Connection: close") + numbered(2)), app(numbered(1)), reply(HELLO),
     get(HELLO_CLOSE), closed(), app_nothing())
both("pipeline with a broken request",
     send(numbered(1) + b"broken\r\n\r\n" + numbered(2)), app(numbered(1)), reply(HELLO),
     get(HELLO), get_local(400), closed(), app_nothing())
both("pipeline then half-close",
     send(numbered(1) + numbered(2)), client_fin(),
     app(numbered(1)), reply(answer(1)), app(numbered(2)), reply(answer(2)),
     get_content(200, b"1"), get_content(200, b"2"), ended())
both("empty lines between requests",
     send(numbered(1) + b"\r\n" + numbered(2)),
     app(numbered(1)), reply(answer(1)), app(numbered(2)), reply(answer(2)),
     get(answer(1)), get(answer(2)), kept())

# --- upgrades ---

UPGRADE = request("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Key: abc")
SWITCH = text("HTTP/1.1 101 Switching Protocols", "Upgrade: websocket", "Connection: Upgrade")


def app_upgrade():
    """Connection may be written anew, but must name Upgrade."""
    def step(stage):
        got = stage.next_request()
        assert got.get("Upgrade") == "websocket" and got.tokens("Connection") == ["upgrade"]
        assert got.get("Sec-WebSocket-Key") == "abc", str(got)
    return step


def app_upload():
    """The head of such a request; its body has not come yet."""
    def step(stage):
        stage.conn = stage.app.next_peer()
        assert read_head(stage.conn).tokens("Connection") == ["upgrade"]
    return step


def get_switch():
    def step(stage):
        head = stage.client.read_until(b"\r\n\r\n").lower()
        assert head.startswith(b"http/1.1 101 "), head
        assert b"\r\nupgrade: websocket\r\n" in head and b"\r\nconnection: upgrade\r\n" in head
    return step


def get_upgrade_required():
    """The client must learn which protocol is wanted (RFC 9110 section 15.5.22)."""
    def step(stage):
        got = read_response(stage.client)
        assert (got.status, got.get("Upgrade"), got.body) == (426, "a/1", b"hello"), str(got)
        assert got.tokens("Connection") == ["upgrade"], str(got)
    return step


FRAMES = b"\x81\x05hello\r\n\r\nGET / HTTP/1.1\r\n\r\n\0\xff"
upgraded = (send(UPGRADE), app_upgrade(), reply(SWITCH), get_switch())
both("upgrade, bytes both ways",
     *upgraded, send(FRAMES), app_bytes(FRAMES), reply(FRAMES), get_bytes(FRAMES),
     send(FRAMES), app_bytes(FRAMES), client_fin(), app_fin(), reply(b"bye"), get_bytes(b"bye"),
     reply_fin(), closed())
both("upgrade, application speaks first",
     send(UPGRADE), app_upgrade(), reply(SWITCH + FRAMES), get_switch(), get_bytes(FRAMES),
     reply_close(), ended())
both("upgrade, reset goes through",
     *upgraded, reply(b"x"), get_bytes(b"x"), reply_reset(),
     lambda stage: stage.client.expect_reset())
both("upgrade outlives the idle timeout",
     *upgraded, lambda stage: stage.client.expect_silence(0.8),
     send(FRAMES), app_bytes(FRAMES), reply(FRAMES), get_bytes(FRAMES), IDLE_TIMEOUT="200ms")
both("upgrade refused", send(UPGRADE), app_upgrade(), reply(HELLO), get(HELLO), kept())
both("upgrade refused with 426",
     send(UPGRADE), app_upgrade(),
     reply(text("HTTP/1.1 426 Upgrade Required", "Connection: upgrade", "Upgrade: a/1", FIVE,
                body="hello")),
     get_upgrade_required(), kept())
both("upgrade behind interim",
     send(UPGRADE), app_upgrade(), reply(HINTS + SWITCH), get(HINTS), get_switch(),
     send(FRAMES), app_bytes(FRAMES))
UPLOAD = post("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Key: abc", FIVE)
both("upgrade with a body, frames behind it",
     send(UPLOAD + b"hello" + FRAMES), app_upgrade(), app_nothing(), reply(SWITCH), get_switch(),
     app_bytes(FRAMES), reply(FRAMES), get_bytes(FRAMES))
both("upgrade within the body",
     send(UPLOAD + b"he"), app_upload(), app_bytes(b"he"), reply(SWITCH), get_switch(),
     send(b"llo" + FRAMES), app_bytes(b"llo" + FRAMES), reply(FRAMES), get_bytes(FRAMES))
both("upgrade refused, request behind it",
     send(UPGRADE + GET), app_upgrade(), reply(HELLO), get(HELLO), app(GET), reply(HELLO),
     get(HELLO), kept())
inbound("old client cannot upgrade",
        send(text("GET /x HTTP/1.0", "Host: a", "Connection: Upgrade", "Upgrade: websocket")),
        lambda stage: check_not_upgraded(stage), reply(HELLO), get_old(b"hello", False))


def check_not_upgraded(stage):
    got = stage.next_request()
    assert not got.all("Upgrade"), str(got)


# --- tunnels ---

CONNECT = text("CONNECT {host} HTTP/1.1", "Host: {host}")


def tunnel():
    """The tunnel is up before the application has said a word."""
    def step(stage):
        stage.client.send(stage.bytes(CONNECT))
        head = stage.client.read_until(b"\r\n\r\n").lower()
        assert head.startswith(b"http/1.1 200 "), head
        assert b"content-length" not in head and b"transfer-encoding" not in head, head
        stage.conn = stage.app.accept()
    return step


inbound("connect refused, bytes behind the head",
        send(text("CONNECT a.test:80 HTTP/1.1", "Host: a.test:80") + GET),
        app(text("CONNECT a.test:80 HTTP/1.1", "Host: a.test:80")),
        reply(text("HTTP/1.1 405 No", FIVE, body="hello")),
        get(text("HTTP/1.1 405 No", FIVE, "Connection: close", body="hello")), closed(),
        app_nothing())
outbound("connect to nowhere, bytes behind the head",
         send(text("CONNECT a.invalid:80 HTTP/1.1", "Host: a.invalid:80") + GET),
         get_local(502), closed(), app_nothing())
outbound("connect, bytes both ways",
         tunnel(), send(FRAMES), app_bytes(FRAMES), reply(FRAMES), get_bytes(FRAMES),
         client_fin(), app_fin(), reply(b"bye"), get_bytes(b"bye"), reply_fin(), closed())
outbound("connect, application speaks first",
         tunnel(), reply(b"220 hello\r\n"), get_bytes(b"220 hello\r\n"),
         reply_fin(), lambda stage: stage.client.expect_fin(), send(b"late"), app_bytes(b"late"))
outbound("connect, application resets",
         tunnel(), reply_reset(), lambda stage: stage.client.expect_reset())
outbound("connect, client resets",
         tunnel(), send(b"x"), app_bytes(b"x"), lambda stage: stage.client.reset(),
         lambda stage: stage.conn.expect_reset())
outbound("connect, bytes behind the head",
         send(CONNECT + FRAMES), lambda stage: stage.client.read_until(b"\r\n\r\n"),
         lambda stage: setattr(stage, "conn", stage.app.accept()), app_bytes(FRAMES))
outbound("connect in 1.0",
         send(text("CONNECT {host} HTTP/1.0")),
         lambda stage: stage.client.read_until(b"\r\n\r\n"),
         lambda stage: setattr(stage, "conn", stage.app.accept()),
         send(FRAMES), app_bytes(FRAMES), reply(FRAMES), get_bytes(FRAMES))
outbound("connect outlives the idle timeout",
         tunnel(), lambda stage: stage.client.expect_silence(0.8),
         send(FRAMES), app_bytes(FRAMES), IDLE_TIMEOUT="200ms")


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_dialogue(row, nigh, server):
    stage = open_stage(row.side, nigh, server(), **row.settings)
    stage.play(row.steps)
