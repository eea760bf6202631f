# SPDX-License-Identifier: Apache-2.0
"""32 clients with one keep-alive connection each that they never close, and an honest count.

A request has failed unless a complete 200 came back that names a backend: refused, reset,
cut off, 5xx and no answer within 5 s all count, and nothing is tried a second time. A
client dials anew only where every HTTP client does: after `Connection: close`, or when it
finds the connection closed *before* it sends."""

import asyncio
import random
import time

CLIENTS = 32
REQUESTS_PER_SECOND = 25    # of each client
ANSWER_SECONDS = 5


class Failed(Exception):
    pass


class Client:
    def __init__(self, address, host):
        self.address = address
        self.request = (f"GET / HTTP/1.1\r\nHost: {host}\r\n"
                        "User-Agent: scale-out\r\n\r\n").encode()
        self.writer = None
        self.dialled = []       # when

    async def ask(self):
        """The name of the backend that answered."""
        if self.writer and self.reader.at_eof():
            self.hang_up()
        if not self.writer:
            self.reader, self.writer = await asyncio.open_connection(*self.address)
            self.dialled.append(time.monotonic())
        self.writer.write(self.request)
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in
                   (line.partition(":") for line in head[1:] if line)}
        body = await self.reader.readexactly(int(headers.get("content-length", 0)))
        if headers.get("connection", "").lower() == "close":
            self.hang_up()
        if head[0].split()[1] != "200":
            raise Failed(f"{head[0]}: {body.decode('latin-1').strip()}")
        return body.decode().split()[0]

    def hang_up(self):
        if self.writer:
            self.writer.close()
            self.writer = None


class Clients:
    """All of them, against one address."""

    def __init__(self, address, host):
        self.clients = [Client(address, host) for _ in range(CLIENTS)]
        self.answers = []       # (when, backend)
        self.failures = []      # (when, why)
        self.stopping = False

    def start(self):
        self.began = time.monotonic()
        self.tasks = [asyncio.ensure_future(self.run(client)) for client in self.clients]

    def clock(self):
        return time.monotonic() - self.began

    async def run(self, client):
        pause = 1 / REQUESTS_PER_SECOND
        due = self.clock() + random.uniform(0, pause)
        while True:
            await asyncio.sleep(max(0, due - self.clock()))
            if self.stopping:
                break
            due = max(due + pause, self.clock())
            try:
                name = await asyncio.wait_for(client.ask(), ANSWER_SECONDS)
                self.answers.append((self.clock(), name))
            except (OSError, EOFError, Failed, asyncio.TimeoutError) as error:
                self.failures.append((self.clock(), str(error) or type(error).__name__))
                client.hang_up()
        client.hang_up()

    async def stop(self):
        """Each finishes the request it has begun."""
        self.stopping = True
        await asyncio.gather(*self.tasks)

    def counts(self, begin, end):
        """{backend: answers} between two times."""
        counted = {}
        for when, name in self.answers:
            if begin <= when < end:
                counted[name] = counted.get(name, 0) + 1
        return counted

    def n_failed(self, begin, end):
        return sum(begin <= when < end for when, _ in self.failures)

    def n_dialled(self, after):
        """Connections made since then."""
        return sum(when - self.began >= after
                   for client in self.clients for when in client.dialled)

    def share(self, names, begin, end):
        """The part of all answers, 0 to 1, that came from these backends."""
        counted = self.counts(begin, end)
        return sum(counted.get(name, 0) for name in names) / max(1, sum(counted.values()))

    def first(self, names, after):
        """How long after that time the first answer of one of these backends came."""
        return min((when - after for when, name in self.answers
                    if name in names and when >= after), default=None)
