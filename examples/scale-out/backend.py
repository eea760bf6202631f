# SPDX-License-Identifier: Apache-2.0
"""A small application: answers every request with its name and how many it has answered.

    backend.py NAME ADDRESS PORT

At SIGTERM it does what a polite server does: it accepts no more, closes idle connections,
answers what is in flight with `Connection: close`, and ends."""

import asyncio
import signal
import sys

WORK_SECONDS = 0.005    # so that there is always something in flight to lose


class Connection(asyncio.Protocol):
    open = set()
    stopping = False
    answered = 0

    def connection_made(self, transport):
        self.transport = transport
        self.received = b""
        self.busy = False
        Connection.open.add(self)

    def connection_lost(self, _):
        Connection.open.discard(self)

    def data_received(self, data):
        self.received += data
        if not self.busy and b"\r\n\r\n" in self.received:
            _, self.received = self.received.split(b"\r\n\r\n", 1)
            self.busy = True
            asyncio.get_running_loop().call_later(WORK_SECONDS, self.answer)

    def answer(self):
        Connection.answered += 1
        self.busy = False
        body = f"{sys.argv[1]} {Connection.answered}\n".encode()
        close = "Connection: close\r\n" if Connection.stopping else ""
        self.transport.write(f"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n{close}"
                             f"Content-Length: {len(body)}\r\n\r\n".encode() + body)
        if Connection.stopping:
            self.transport.close()
        else:
            self.data_received(b"")


async def main():
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Connection, sys.argv[2], int(sys.argv[3]))
    stop = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    print("listening", flush=True)
    await stop.wait()

    server.close()
    Connection.stopping = True
    for connection in list(Connection.open):
        if not connection.busy:
            connection.transport.close()
    while Connection.open:
        await asyncio.sleep(0.01)


asyncio.run(main())
