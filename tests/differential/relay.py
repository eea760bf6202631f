# SPDX-License-Identifier: Apache-2.0
"""Bytes through a proxy, and what comes out at the other side: one asyncio loop is the
application and the clients of nigh, and of the proxies that serve as readers."""
import asyncio
import re
import socket

from reading import WAITS, Reading, Stream, of_harness
from harness import message

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
NO_TUNNEL = b"HTTP/1.1 405 No\r\nContent-Length: 0\r\n\r\n"
DEADLINE = 20
LINGER = 1      # who has read what is wanted, and does not mind our FIN


class Connection(asyncio.Protocol):
    """One that the proxy has made to the application."""

    def __init__(self, app):
        self.app = app
        self.transport = None
        self.pending = b""      # of a request that is not complete yet
        self.new = b""          # since the last exchange
        self.end = asyncio.get_running_loop().create_future()

    def connection_made(self, transport):
        self.transport = transport
        self.app.open.add(self)

    def connection_lost(self, exc):
        self.app.open.discard(self)
        self.end.set_result("RST" if exc else "FIN")

    def data_received(self, data):
        self.new += data
        self.pending += data
        self.app.touched[self] = None
        while self.pending:
            stream = Stream(self.pending)
            try:
                got = message.read_request(stream)
            except (EOFError, AssertionError):
                return
            self.pending = stream.pending
            self.app.add(of_harness(got))
            script = self.app.script
            self.transport.write(script.pop(0) if script else
                                 NO_TUNNEL if got.method == "CONNECT" else ANSWER)
            if self.app.hangs_up:
                self.app.hangs_up = False
                self.transport.close()
                return


class Application:
    """messages: the requests of this exchange, with enough done when as many have come as
    are wanted; touched: on which connections they came. The script has the answers to
    come; with hangs_up it closes behind the first."""

    def __init__(self):
        self.open = set()

    def begin(self, script=(), hangs_up=False, wanted=None):
        self.messages, self.touched = [], {}
        self.script, self.hangs_up = list(script), hangs_up
        self.wanted, self.enough = wanted, asyncio.get_running_loop().create_future()
        for conn in self.open:
            conn.new = b""

    def add(self, got):
        self.messages.append(got)
        if len(self.messages) == self.wanted:
            self.enough.set_result(None)

    async def start(self):
        self.begin()
        server = await asyncio.get_running_loop().create_server(
            lambda: Connection(self), "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        return self


class Client(asyncio.Protocol):
    def __init__(self):
        self.data = b""
        self.end = asyncio.get_running_loop().create_future()

    def data_received(self, data):
        self.data += data

    def connection_lost(self, exc):
        if not self.end.done():
            self.end.set_result("RST" if exc else "FIN")

    def eof_received(self):
        return False


async def converse(port, pieces, before_fin=None):
    """Sends the pieces and a FIN, which may have to wait for something, and gives what
    came back, and how it ended: FIN, RST or None when it has not."""
    loop = asyncio.get_running_loop()
    transport, client = await loop.create_connection(Client, "127.0.0.1", port)
    transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for piece in pieces:
        transport.write(piece)
        if len(pieces) > 1:
            await asyncio.sleep(0)      # so that the proxy may read them apart
    if before_fin:
        await asyncio.wait({client.end, before_fin}, timeout=DEADLINE,
                           return_when=asyncio.FIRST_COMPLETED)
    if not transport.is_closing():
        transport.write_eof()
    has_all = before_fin and before_fin.done()
    await asyncio.wait({client.end}, timeout=LINGER if has_all else DEADLINE)
    transport.abort()
    return client.data, client.end.result() if client.end.done() else None


async def forwarded(app, port, pieces):
    """What reaches the application of these bytes: complete messages, and for the readers
    the bytes of each connection with the way it ended, FIN if it has not."""
    app.begin()
    answer, end = await converse(port, pieces)
    assert end, f"nigh has not answered {b''.join(pieces)!r}, so far {answer!r}"
    streams = []
    for conn in app.touched:
        how = await asyncio.wait_for(conn.end, DEADLINE) if conn.pending else "FIN"
        streams.append((conn.new, how))
        conn.pending = b""
    return list(app.messages), streams


async def answered(app, port, request, script):
    """What the client gets when the application answers like that and hangs up."""
    app.begin(script, hangs_up=True)
    return await converse(port, [request])


async def read_by_proxy(app, port, data, wanted):
    """What a proxy that serves as a reader makes of these bytes, up to so many messages.
    HAProxy forgets what it has not read when a FIN comes: that waits for these."""
    app.begin(wanted=wanted)
    answer, end = await converse(port, [data], before_fin=app.enough)
    for conn in app.touched:
        conn.pending = b""
    refused = re.findall(rb"HTTP/1\.1 [45]..[^\r]*", answer)
    error = refused[-1].decode() if refused and refused[-1] != b"HTTP/1.1 405 No" else None
    return Reading(list(app.messages), error if end else WAITS)
