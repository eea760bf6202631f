# SPDX-License-Identifier: Apache-2.0
"""Table rows that are played between a client and an application.

A row is a list of steps, done in order by one thread:

    send(data)         the client sends these bytes
    app(data)          the application must have got this request, on any connection
    reply(data)        the application sends these bytes on that connection
    get(data)          the client must get this response
    get_local(status)  the client must get a response that nigh made itself
    kept() closed()    the client's connection is good for another request / ended

In the bytes, {host} stands for a Host that leads to the application.  Messages
are compared as messages: start line, headers in order, decoded body, trailers.
On the inbound side the X-Forwarded headers are taken off first; they have
tests of their own."""
import re

from . import message
from .message import Recorded, read_head, read_request, read_response, text
from .peer import connect

OK = text("HTTP/1.1 200 OK", "Content-Length: 2", body="ok")
AGAIN = text("GET /again HTTP/1.1", "Host: {host}")
SIDES = ("inbound", "outbound")
DATE = re.compile(r"[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT")


class Stage:
    """One sidecar, one application, one client."""

    def __init__(self, side, app, sidecar):
        self.side = side
        self.app = app
        self.sidecar = sidecar
        self.host = b"app.test" if side == "inbound" else app.addr.encode()
        self.client = connect(sidecar.addr(side))
        self.conn = None        # of the application, with the request of last app()
        self.head = None        # what get_head() has read

    def bytes(self, data):
        return data.replace(b"{host}", self.host)

    def recorded(self, data):
        return Recorded(self.bytes(data))

    def next_request(self):
        self.conn, got = self.app.request()
        return message.without_forwarded(got) if self.side == "inbound" else got

    def play(self, steps):
        for step in steps:
            step(self)
        self.app.expect_nothing()
        self.client.close()


def open_stage(side, nigh, app, **settings):
    """A sidecar of its own for one row."""
    start = nigh.inbound if side == "inbound" else lambda _, **more: nigh.outbound(**more)
    return Stage(side, app, start(app, **settings))


def assert_local(got, status, reason="", method="GET"):
    """A response that nigh made itself."""
    allowed = status if isinstance(status, tuple) else (status,)
    assert got.status in allowed, f"want {status}, got:\n{got}"
    assert got.get("Server") == "nigh", f"no Server: nigh in\n{got}"
    assert DATE.fullmatch(got.get("Date", "")), f"no Date in\n{got}"
    assert got.get("Content-Type", "").startswith("text/plain"), str(got)
    if method == "HEAD":
        return
    assert got.body.strip() or not got.get("Content-Length"), "no reason in the body"
    assert reason.encode() in got.body, f"no {reason!r} in {got.body!r}"


# --- steps: each gives a function of the stage ---

def send(data):
    return lambda stage: stage.client.send(stage.bytes(data))


def send_slowly(data, size=1):
    return lambda stage: stage.client.send_slowly(stage.bytes(data), size)


def client_fin():
    return lambda stage: stage.client.fin()


def app(data):
    def step(stage):
        message.same(stage.next_request(), read_request(stage.recorded(data)))
    return step


def app_head(data):
    """Only the head; what the body brings comes by app_bytes()."""
    def step(stage):
        stage.conn = stage.app.next_peer()
        got = read_head(stage.conn)
        if stage.side == "inbound":
            message.without_forwarded(got)
        message.same(got, read_head(stage.recorded(data)))
    return step


def app_bytes(data):
    return lambda stage: stage.conn.expect(data)


def app_ended():
    """The application's connection was cut off."""
    return lambda stage: stage.conn.expect_end()


def app_fin():
    return lambda stage: stage.conn.expect_fin()


def app_nothing():
    return lambda stage: stage.app.expect_nothing()


def reply(data):
    return lambda stage: stage.conn.send(stage.bytes(data))


def reply_slowly(data, size=1):
    return lambda stage: stage.conn.send_slowly(stage.bytes(data), size)


def reply_fin():
    return lambda stage: stage.conn.fin()


def reply_close():
    return lambda stage: stage.conn.close()


def reply_reset():
    return lambda stage: stage.conn.reset()


def get(data, method="GET"):
    def step(stage):
        want = read_response(stage.recorded(data), method)
        message.same(read_response(stage.client, method), want)
    return step


def get_content(status, body, method="GET"):
    """A response with this body, complete, in whatever framing."""
    def step(stage):
        got = read_response(stage.client, method)
        assert (got.status, got.body) == (status, body), str(got)
    return step


def get_head(data):
    """Only the head; get_bytes() or get_cut() take the body."""
    def step(stage):
        stage.head = read_head(stage.client)
        message.same(stage.head, read_head(stage.recorded(data)))
    return step


def get_bytes(data):
    return lambda stage: stage.client.expect(data)


def get_local(status, reason="", method="GET"):
    return lambda stage: assert_local(read_response(stage.client, method), status, reason,
                                      method)


def get_cut(status=200):
    """A response of which the client can tell that it is not complete, or, if
    nothing of it has come yet, a 502."""
    def step(stage):
        head = stage.head or read_head(stage.client)
        if head.status == 502 and not stage.head:
            assert_local(read_response(stage.client, head=head), 502)
            return
        assert head.status == status, str(head)
        try:
            got = read_response(stage.client, head=head)
        except AssertionError:
            assert stage.client.end, "the connection is still open"
            return
        raise AssertionError(f"looks complete to the client:\n{got}")
    return step


def closed():
    return lambda stage: stage.client.expect_fin()


def ended():
    return lambda stage: stage.client.expect_end()


def kept():
    def step(stage):
        stage.client.send(stage.bytes(AGAIN))
        message.same(stage.next_request(), read_request(stage.recorded(AGAIN)))
        stage.conn.send(OK)
        message.same(read_response(stage.client), read_response(Recorded(OK)))
    return step
