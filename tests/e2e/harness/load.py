# SPDX-License-Identifier: Apache-2.0
"""Callers by the dozen: honest HTTP/1.1 clients that keep their connections.

A caller has one connection to each address and one request at a time. It does not
use a connection again that has ended or whose last response said close, it never
sends a request twice, and it takes nothing but the right answer for success."""
import asyncio
import collections
import random
import threading
import time

from .application import fields_of

Call = collections.namedtuple("Call", "method path body id", defaults=(b"", None))
Failure = collections.namedtuple("Failure", "call addr problem reused")


class Connection(asyncio.Protocol):
    """A keep-alive connection; ask() gives (status, body) or raises OSError."""

    def __init__(self):
        self.requests = 0
        self.usable = True
        self.said_close = False
        self._data = b""
        self._answer = None
        self._transport = None

    def connection_made(self, transport):
        self._transport = transport

    def data_received(self, data):
        self._data += data
        end = self._data.find(b"\r\n\r\n") + 4
        if end < 4:
            return
        fields = fields_of(self._data[:end])
        size = int(fields[b"content-length"])
        if len(self._data) < end + size:
            return
        status, body = int(self._data[9:12]), self._data[end:end + size]
        self.said_close = fields.get(b"connection", b"").lower() == b"close"
        self._data = self._data[end + size:]
        if self.said_close or self._data:
            self.close()
        if self._answer and not self._answer.done():
            self._answer.set_result((status, body))

    def connection_lost(self, exc):
        self.usable = False
        if self._answer and not self._answer.done():
            self._answer.set_exception(exc or ConnectionError("end of stream, no answer"))

    def close(self):
        self.usable = False
        self._transport.close()

    async def ask(self, call, host):
        self.requests += 1
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(b"%s %s HTTP/1.1\r\nHost: %s\r\n%s%s\r\n%s" % (
            call.method.encode(), call.path.encode(), host.encode(),
            b"X-Id: %s\r\n" % call.id.encode() if call.id else b"",
            b"Content-Length: %d\r\n" % len(call.body) if call.body else b"", call.body))
        return await self._answer


class Load:
    """n_callers threads of calls on an event loop of its own.

    make()    gives the next Call
    choose()  gives the address for it, out of those that this caller knows of:
              choose(caller) with caller from 0
    rate      calls per second of all callers together; None: as fast as answers come
    keeps     each caller stays where it is, and chooses only for a new connection"""

    def __init__(self, make, choose, n_callers=32, rate=None, host="app.test",
                 keeps=False):
        self.failures = []
        self.moments = []           # when each call was done, in order
        self.connections = []       # all that there ever were, of success
        self._make = make
        self._choose = choose
        self._n_callers = n_callers
        self._rate = rate
        self._host = host
        self._keeps = keeps
        self._stopping = False
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()))

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        """No new calls; returns when the last answers are there."""
        self._stopping = True
        self._thread.join(30)
        assert not self._thread.is_alive(), "a call never ended"

    @property
    def done(self):
        return len(self.moments)

    def rate_between(self, start, end):
        return sum(start <= moment < end for moment in self.moments) / (end - start)

    async def _run(self):
        await asyncio.gather(*(self._call_on(number) for number in range(self._n_callers)))

    async def _call_on(self, number):
        own = {}
        period = self._n_callers / self._rate if self._rate else 0
        due = time.monotonic() + random.uniform(0, period)
        while not self._stopping:
            await asyncio.sleep(max(0, due - time.monotonic()) if period else 0)
            due += period
            kept = next((addr for addr, one in own.items() if one.usable), None)
            addr = self._keeps and kept or self._choose(number)
            await self._call(self._make(), addr, own)
        for connection in own.values():
            connection.close()

    async def _call(self, call, addr, own):
        connection = own.get(addr)
        reused = bool(connection and connection.usable)
        try:
            if not reused:
                _, connection = await asyncio.get_running_loop().create_connection(
                    Connection, *addr)
                own[addr] = connection
                self.connections.append(connection)
            status, body = await connection.ask(call, self._host)
            if status != 200 or (call.method == "POST" and body != call.body):
                self.failures.append(Failure(call, addr, (status, body), reused))
        except OSError as error:
            self.failures.append(Failure(call, addr, repr(error), reused))
        self.moments.append(time.monotonic())
