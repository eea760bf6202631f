# SPDX-License-Identifier: Apache-2.0
"""The clients. Each is an honest HTTP/1.1 client: it keeps its connection until it is told
not to, sends what was left unanswered behind a `Connection: close` again, and sends
nothing else twice. What it does is a function of the seed; when, is not."""
import asyncio
import collections
import contextlib
import itertools
import time

from .plan import UPGRADE, Plan, Talk, chunk, last_chunk, pieces, rng_of
from .wire import NAPS, Check, Lost, Wire, Wrong

# Longer than all that is stopped, drained and started again.
PATIENCE = 45

# How the attempt of a client went: ok; local: nigh answered (status, reason); cut: broken
# off within the response; lost: the connection ended before it; refused; aborted: by the
# plan; wrong: never to happen. way: of the client (world.Way). reused: requests that the
# connection had carried before.
# behind: what was pipelined behind it; idle: how long the connection was before.
Result = collections.namedtuple("Result", "id way kind detail begin end reused pod behind idle",
                                defaults=((), 0))


class Spent(Exception):
    """The connection serves no more requests."""


class Client:
    """One client: a row of connections, each with a row of requests."""

    def __init__(self, world, number):
        self.world, self.seed, self.number = world, world.seed, number
        self.rng = rng_of(world.seed, "client", number)
        self.ids = (f"c{number}-{n}" for n in itertools.count())
        self.unanswered = []        # plans to be sent again, as nobody can have seen them
        self.results = world.results

    async def run(self):
        while await self.world.may_call(self):
            way = self.world.draw_way(self.rng)
            n_requests = self.rng.choice([1, 3, 10, 30, 60])
            await self.use_connection(way, n_requests)

    def note(self, row, session, kind, detail, begin):
        """Of the first of the row."""
        self.results.append(Result(row[0].id, session.way, kind, detail, begin,
                                   time.monotonic(), session.n_answered, session.pod,
                                   tuple(plan.id for plan in row[1:]), session.idle))

    async def use_connection(self, way, n_requests):
        async with self.world.calling(way) as target:
            session = Session(self, way, target)
            begin = time.monotonic()
            try:
                await session.open()
            except OSError as error:
                row = self.next_row(1)
                self.note(row, session, "refused", str(error), begin)
                return
            try:
                while n_requests > 0 and not self.world.is_over and session.is_open:
                    row = self.next_row(n_requests)
                    n_requests -= len(row)
                    await session.ask(row)
                    await asyncio.sleep(self.rng.choice([0, 0, 0.002, 0.02, 0.1]))
                    if self.world.wants_pause(way):
                        break
            except Spent:
                pass
            finally:
                session.close()

    def next_row(self, most):
        """One request, or some that are pipelined."""
        row = [self.unanswered.pop(0) if self.unanswered else self.next_plan()]
        if not row[0].is_plain or self.rng.random() < 0.75:
            return row
        for _ in range(min(most, self.rng.randint(2, 8)) - 1):
            plan = self.next_plan()
            if not plan.is_plain:
                self.unanswered.append(plan)
                break
            row.append(plan)
        return row

    def next_plan(self):
        return Plan(self.seed, next(self.ids))


class Session:
    """One connection of a client."""

    def __init__(self, client, way, target):
        self.client, self.world, self.way = client, client.world, way
        self.addr, self.pod, self.host, self.prefix = target
        self.content = self.world.content
        self.wire = None
        self.n_answered = 0
        self.answered_at, self.idle = time.monotonic(), 0.0
        self.says_close = False

    async def open(self):
        self.wire = await Wire.dial(self.addr)

    def close(self):
        self.wire.close()

    @property
    def is_open(self):
        """As far as the client knows."""
        return not self.wire.reader.at_eof()

    async def ask(self, row):
        """Sends them all, takes the answers in order. Raises Spent. Who has answered last
        with close has not looked at those behind: they are sent again, elsewhere."""
        begin = time.monotonic()
        self.idle = begin - self.answered_at
        writing = asyncio.ensure_future(self.send(row))
        try:
            for at, plan in enumerate(row):
                await self.take_answer(row, at, begin, writing)
                if self.says_close:
                    self.client.unanswered += row[at + 1:]
                    raise Spent
            await asyncio.wait_for(writing, PATIENCE)
        except Lost:
            raise Spent from None
        except asyncio.TimeoutError:
            self.client.note(row[-1:], self, "wrong", "the body is never taken", begin)
            raise Spent from None
        finally:
            writing.cancel()
            with contextlib.suppress(asyncio.CancelledError, Lost):
                await writing

    async def take_answer(self, row, at, begin, writing):
        plan, client = row[at], self.client
        try:
            kind, detail = await asyncio.wait_for(self.read_answer(plan, writing), PATIENCE)
        except Lost as lost:
            kind, _, detail = lost.how.partition(" ")
            kind, detail = ("cut" if detail == "in response" else "lost"), kind
        except Wrong as problem:
            kind, detail = "wrong", str(problem)
        except asyncio.TimeoutError:
            kind, detail = "wrong", f"no answer within {PATIENCE} s"
        client.note(row[at:], self, kind, detail, begin)
        if kind in ("ok", "local"):
            self.n_answered += 1
            self.answered_at = time.monotonic()
            return
        raise Spent

    # --- the request ---

    def head_of(self, plan):
        version = "HTTP/1.0" if plan.old else "HTTP/1.1"
        lines = [f"{plan.method} {self.prefix}/chaos/{plan.id} {version}",
                 f"Host: {self.host}", f"X-Id: {plan.id}"]
        if plan.chunked:
            lines.append("Transfer-Encoding: chunked")
        elif plan.size or plan.method in ("POST", "PUT", "PATCH"):
            lines.append(f"Content-Length: {plan.size}")
        if plan.expects:
            lines.append("Expect: 100-continue")
        if plan.keep and plan.old:
            lines.append("Connection: keep-alive")
        if not plan.keep and not plan.old:
            lines.append("Connection: close")
        return "\r\n".join([*lines, "", ""]).encode()

    def bytes_of(self, plan):
        """Head and body, in pieces."""
        rng = rng_of(self.client.seed, plan.id, "write")
        yield self.head_of(plan)
        for piece in pieces(self.content.of(plan.id, "up", plan.size), rng, plan.slow_write):
            yield chunk(piece, rng) if plan.chunked else bytes(piece)
        if plan.chunked:
            yield last_chunk(plan.id, rng)

    async def send(self, row):
        waiting = bytearray()
        for plan in row:
            for number, piece in enumerate(self.bytes_of(plan)):
                waiting += piece
                if number == 0 and plan.expects:
                    await self.flush(waiting)
                    await asyncio.sleep(0.05)   # for the 100, as curl does
                elif len(waiting) > 16384 or plan.slow_write:
                    await self.flush(waiting)
                    await asyncio.sleep(0.003 if plan.slow_write else 0)
                if plan.abort == "request" and number >= 1:
                    break
            if plan.abort == "request":
                await self.flush(waiting)
                self.wire.reset()
                return
        await self.flush(waiting)

    async def flush(self, waiting):
        data = bytes(waiting)
        waiting.clear()
        await self.wire.write(data)

    # --- the response ---

    async def read_answer(self, plan, writing):
        """(kind, detail), or raises Lost or Wrong."""
        self.wire.n_naps = NAPS if plan.slow_read else 0
        try:
            head = await self.final_head(plan)
        except Lost as lost:
            if plan.abort == "request":
                return "aborted", ""
            raise Lost(f"{lost.how.split()[0]} before") from None
        if plan.abort == "response":
            await asyncio.sleep(0.001)
            self.wire.reset()
            return "aborted", ""
        self.says_close = head.says_close or (
            plan.old and (head.get("connection") or "").lower() != "keep-alive")
        status = int(head.line.split(" ")[1])
        try:
            if head.get("server") == "nigh":
                return await self.local(plan, head, status)
            return await self.backends(plan, head, status)
        except Lost as lost:
            raise Lost(f"{lost.how.split()[0]} in response") from None

    async def final_head(self, plan):
        while True:
            head = await self.wire.head()
            status = head.line.split(" ")[1]
            if not head.line.startswith("HTTP/1.1 ") or not status.isdigit():
                raise Wrong(f"a response begins with {head.line!r}")
            if not status.startswith("1"):
                return head
            if status == "103" and head.get("x-id") != plan.id:
                raise Wrong(f"the 103 of {head.get('x-id')}")

    async def local(self, plan, head, status):
        size = int(head.get("content-length")) if plan.method != "HEAD" else 0
        text = b""
        while len(text) < size:
            data = await self.wire.some(size - len(text))
            if not data:
                raise Lost(self.wire.end)
            text += data
        reason = text.decode().removeprefix("nigh: ").strip()
        mark = head.get("nigh-not-processed")
        if mark and self.way.caller:
            raise Wrong("nigh-not-processed came through to the caller")
        return "local", f"{status} {reason or '-'} {'unseen' if mark else ''}".strip()

    async def backends(self, plan, head, status):
        if head.get("x-id") != plan.id:
            raise Wrong(f"the response of {head.get('x-id')}")
        if status != plan.status:
            raise Wrong(f"status {status}, not {plan.status}")
        self.check_framing(plan, head)
        size = plan.answer if plan.has_content else 0
        check = Check(self.content.of(plan.id, "down", size), f"{plan.id} response")
        if plan.has_content:
            await self.wire.body(head, check, plan.id, until_close=self.says_close)
        return "ok", head.get("x-backend")

    @staticmethod
    def check_framing(plan, head):
        if plan.status in (204, 304):
            want = (None, None)
        elif plan.framing == "length":
            want = (str(plan.answer), None)
        elif plan.framing == "chunked" and not plan.old:
            want = (None, "chunked")
        else:
            want = (None, None)
        if (head.get("content-length"), head.get("transfer-encoding")) != want:
            raise Wrong(f"framing {head.fields}, wanted {want}")


class Talker:
    """A client of TCP services."""

    def __init__(self, world, number):
        self.world, self.seed = world, world.seed
        self.rng = rng_of(world.seed, "talker", number)
        self.ids = (f"t{number}-{n}" for n in itertools.count())

    async def run(self):
        while await self.world.may_call(self):
            way = self.world.draw_tcp_way(self.rng)
            async with self.world.calling(way) as target:
                await self.one(way, target, Talk(self.seed, next(self.ids)))
            await asyncio.sleep(self.rng.choice([0, 0.01, 0.1]))

    async def one(self, way, target, talk):
        addr, pod, host, _ = target
        begin = time.monotonic()
        wire = None
        try:
            wire = await Wire.dial(addr)
            if way.tunnel:
                await self.open_tunnel(wire, way, host)
            kind, detail = await asyncio.wait_for(self.talk(wire, talk), PATIENCE)
        except Lost as lost:
            kind, detail = "lost", lost.how
        except Wrong as problem:
            kind, detail = "wrong", str(problem)
        except asyncio.TimeoutError:
            kind, detail = "wrong", f"no end within {PATIENCE} s"
        except OSError as error:
            kind, detail = "refused", str(error)
        self.world.talks.append(Result(talk.id, way, kind, detail, begin, time.monotonic(),
                                       0, pod))
        if wire and kind == "ok":
            wire.close()
        elif wire:
            wire.reset()

    @staticmethod
    async def open_tunnel(wire, way, host):
        if way.tunnel == "CONNECT":
            text = f"CONNECT {host}:5432 HTTP/1.1\r\nHost: {host}:5432\r\n\r\n"
        else:
            text = (f"GET {UPGRADE} HTTP/1.1\r\nHost: {host}\r\nConnection: Upgrade\r\n"
                    "Upgrade: chaos\r\n\r\n")
        await wire.write(text.encode())
        head = await wire.head()
        if head.line.split()[1] != ("200" if way.tunnel == "CONNECT" else "101"):
            raise Lost(head.line)

    async def talk(self, wire, talk):
        """("ok", how it ended), or raises."""
        wire.n_naps = NAPS if talk.slow else 0
        if talk.waits_for_banner:
            await self.banner(wire)
        await wire.write(talk.id.encode() + b"\n")
        writing = asyncio.ensure_future(self.write(wire, talk))
        check = Check(self.world.content.of(talk.id, "down", talk.down), f"{talk.id} down")
        try:
            if not talk.waits_for_banner:
                await self.banner(wire)
            await wire.to_end(check)
            await writing
        finally:
            writing.cancel()
            with contextlib.suppress(asyncio.CancelledError, Lost):
                await writing
        return "ok", "FIN"

    @staticmethod
    async def banner(wire):
        try:
            text = await wire.reader.readexactly(6)
        except asyncio.IncompleteReadError:
            raise Lost(wire.end) from None
        if text != b"hello\n":
            raise Wrong(f"the banner is {text!r}")

    async def write(self, wire, talk):
        rng = rng_of(self.seed, talk.id, "write up")
        view = self.world.content.of(talk.id, "up", talk.up)
        if talk.reset_by == "client":
            view = view[:len(view) // 2]
        for piece in pieces(view, rng, talk.slow):
            await wire.write(bytes(piece))
            if talk.slow:
                await asyncio.sleep(0.002)
        if talk.reset_by == "client":
            await asyncio.sleep(0.01)
            wire.reset()
        else:
            wire.finish()
