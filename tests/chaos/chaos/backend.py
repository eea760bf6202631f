# SPDX-License-Identifier: Apache-2.0
"""A backend: a process of its own, so that it can be stopped and killed. One port for
HTTP, one for TCP. What each request wants follows from its id (plan).

It keeps a ledger, a file that is only appended to and outlives it: `KIND moment words`.
A line stands there before the byte that tells of it is sent."""
import argparse
import asyncio
import itertools
import os
import signal
import time
import zlib

from .plan import BEFORE, UPGRADE, Content, Plan, Talk, chunk, last_chunk, pieces, rng_of
from .wire import NAPS, Check, Lost, Wire, Wrong


class Ended(Exception):
    """We have ended the connection ourselves."""


class Ledger:
    """H id conn n   a request's head has come, the n-th of the connection
    E id           its body too, each byte right
    P id n         it broke off after n bytes of its body
    R id           the response is about to go out
    D id           the kernel has all of it
    F id fault     a planned fault is about to happen
    U conn         a connection is about to be closed unannounced
    X id text      what must never happen
    T id, t id how a TCP connection has begun, has ended (FIN, RST)
    S, Q           asked to end; has ended"""

    def __init__(self, path):
        self._fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def note(self, kind, *words):
        line = " ".join([kind, f"{time.monotonic():.6f}", *map(str, words)])
        os.write(self._fd, line.encode() + b"\n")


class Backend:
    """The process."""

    def __init__(self, options):
        self.options = options
        self.seed = options.seed
        self.content = Content(options.seed)
        self.ledger = Ledger(options.ledger)
        self.note = self.ledger.note
        self.serials = itertools.count(1)
        self.ending = False
        self.idle, self.tasks = set(), set()
        self.rng = rng_of(options.seed, options.name)

    def attempt(self, id_):
        """How many have tried this request before: across all backends and their lives."""
        for number in itertools.count():
            try:
                os.close(os.open(f"{self.options.attempts}/{id_}.{number}",
                                 os.O_CREAT | os.O_EXCL | os.O_WRONLY))
                return number
            except FileExistsError:
                continue

    def accept(self, serve):
        def accepted(reader, writer):
            task = asyncio.ensure_future(self._guard(serve, Wire(reader, writer)))
            self.tasks.add(task)
            task.add_done_callback(self.tasks.discard)
        return accepted

    async def _guard(self, serve, wire):
        try:
            await serve(wire)
        except Ended:
            pass
        except Lost:
            wire.reset()
        except Wrong as problem:
            self.note("X", "-", problem)
            wire.reset()

    # --- HTTP ---

    async def http(self, wire):
        serial = f"{os.getpid()}.{next(self.serials)}"
        for number in itertools.count(1):
            self.idle.add(wire)
            try:
                head = await wire.head()
            except Lost:
                break
            finally:
                self.idle.discard(wire)
            if head.line.split()[1] == UPGRADE:
                await wire.write(b"HTTP/1.1 101 Chaos\r\nConnection: Upgrade\r\n"
                                 b"Upgrade: chaos\r\n\r\n")
                await self.tcp(wire)
                return
            plan = self.read_head(head)
            self.note("H", plan.id, serial, number)
            if self.breaks("double", plan.id):
                self.note("H", plan.id, serial, number + 1)
            if self.breaks("lose", plan.id):
                break
            try:
                goes_on = await Exchange(self, wire, plan, head).run()
            except Wrong as problem:
                self.note("X", plan.id, problem)
                raise
            if not goes_on:
                self.note("U", serial)
                break
        wire.close()

    def read_head(self, head):
        method, target, version = head.line.split(" ")
        plan = Plan(self.seed, target.removeprefix("/chaos/"))
        if (method, version) != (plan.method, "HTTP/1.1"):
            raise Wrong(f"{plan.id} came as {head.line!r}")
        if head.get("x-id") != plan.id:
            raise Wrong(f"{head.get('x-id')} came as {head.line!r}")
        return plan

    # --- TCP ---

    async def tcp(self, wire):
        await wire.write(b"hello\n")
        line = await wire.some(1)
        while line and not line.endswith(b"\n"):
            line += await wire.some(1)
        if not line.endswith(b"\n"):
            raise Lost("FIN")
        talk = Talk(self.seed, line[:-1].decode())
        self.note("T", talk.id)
        try:
            how = await self.talk(wire, talk)
        except Lost as lost:
            how = lost.how
        except Wrong as problem:
            self.note("X", talk.id, problem)
            raise
        self.note("t", talk.id, how)
        if how == "FIN":
            wire.close()
        else:
            wire.reset()

    async def talk(self, wire, talk):
        wire.n_naps = NAPS if talk.slow else 0
        check = Check(self.content.of(talk.id, "up", talk.up), f"{talk.id} up")
        listening = asyncio.ensure_future(wire.to_end(check))
        try:
            await asyncio.sleep(talk.pause)
            if talk.order == "client":
                await listening
            if talk.reset_by == "server":
                self.note("F", talk.id, "reset")
                wire.reset()
                raise Ended
            await self.write_view(wire, self.content.of(talk.id, "down", talk.down), talk)
            wire.finish()
            await listening
        finally:
            listening.cancel()
        return "FIN"

    async def write_view(self, wire, view, talk):
        for piece in pieces(view, rng_of(self.seed, talk.id, "write"), talk.slow):
            await wire.write(self.spoil(talk, piece))
            if talk.slow:
                await asyncio.sleep(0.002)

    # --- planted mistakes (--break), for the test of the oracle ---

    def breaks(self, kind, id_):
        return (kind in self.options.spoil.split(",")
                and zlib.crc32(f"{kind} {id_}".encode()) % 20 == 0)

    def spoil(self, what, data):
        if len(data) > 8 and self.breaks("byte", what.id):
            return bytes([data[0] ^ 1]) + bytes(data[1:])
        return data

    # --- the process ---

    async def run(self):
        loop = asyncio.get_running_loop()
        ended = asyncio.Event()

        def end():
            self.note("S")
            loop.call_later(self.options.stay, ended.set)
        loop.add_signal_handler(signal.SIGTERM, end)
        servers = [await asyncio.start_server(self.accept(serve), self.options.host, port,
                                              backlog=512, limit=1 << 16)
                   for serve, port in ((self.http, self.options.http),
                                       (self.tcp, self.options.tcp))]
        print("ready", flush=True)
        await ended.wait()
        # A good server: no new calls, the old ones to their end.
        for server in servers:
            server.close()
        self.ending = True
        self.close_idle()
        await asyncio.sleep(0.1)                # what has been accepted last begins
        while self.tasks:
            await asyncio.wait(list(self.tasks), timeout=0.5)
            self.close_idle()
        self.note("Q")

    def close_idle(self):
        for wire in list(self.idle):
            if not wire.reader._buffer:         # pylint: disable=protected-access
                wire.close()


class Exchange:
    """One request at the backend."""

    def __init__(self, backend, wire, plan, head):
        self.backend, self.wire, self.plan, self.head = backend, wire, plan, head
        self.note = backend.note
        self.rng = rng_of(backend.seed, plan.id, "answer")
        self.closes = plan.server_closes or head.says_close
        self.fault = plan.fault
        if self.fault and backend.attempt(plan.id) > 0 and not plan.fault_again:
            self.fault = None
        self.check = Check(backend.content.of(plan.id, "up", plan.size), f"{plan.id} request")

    async def run(self):
        """False when the connection ends unannounced."""
        plan = self.plan
        if self.fault in ("rst-head", "rst-body"):
            return await self.fail_early()
        if plan.early:
            await self.respond()
            await self.read_body()
        else:
            if "100-continue" in (self.head.get("expect") or ""):
                await self.wire.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            await self.read_body()
            if self.fault == "fin-head":
                self.note("F", plan.id, self.fault)
                return False
            await self.respond()
        return not (self.closes or plan.hangs_up or self.fault or self.backend.ending)

    async def fail_early(self):
        if self.fault == "rst-body":
            data = await self.wire.some(max(1, self.plan.size // 2))
            if not data:
                raise Lost("FIN")
        self.note("F", self.plan.id, self.fault)
        self.wire.reset()
        return False

    async def read_body(self):
        try:
            await self.wire.body(self.head, self.check, self.plan.id)
        except Lost:
            self.note("P", self.plan.id, self.check.at)
            raise
        self.note("E", self.plan.id)

    def response_head(self):
        plan = self.plan
        if self.backend.ending:
            self.closes = True
        id_ = f"{plan.id}0" if self.backend.breaks("swap", plan.id) else plan.id
        lines = [f"HTTP/1.1 {plan.status} Chaos", f"X-Id: {id_}",
                 f"X-Backend: {self.backend.options.name}"]
        if plan.framing == "length" and plan.status not in (204, 304):
            lines.append(f"Content-Length: {plan.answer}")
        elif plan.framing == "chunked" and plan.status not in (204, 304):
            lines.append("Transfer-Encoding: chunked")
        if self.closes:
            lines.append("Connection: close")
        return "\r\n".join([*lines, "", ""]).encode()

    async def respond(self):
        plan, wire = self.plan, self.wire
        if plan.delay:
            await asyncio.sleep(plan.delay)
        self.note("R", plan.id)
        if plan.interim:
            await wire.write(f"HTTP/1.1 103 Early Hints\r\nX-Id: {plan.id}\r\n\r\n".encode())
        head = self.response_head()
        if self.fault == "rst-part-of-head":
            self.note("F", plan.id, self.fault)
            await wire.write(head[:20])
            await asyncio.sleep(0.01)
            wire.reset()
            raise Ended
        size = plan.answer if plan.has_content else 0
        await self.write_content(head, self.backend.content.of(plan.id, "down", size))
        self.note("D", plan.id)

    async def write_content(self, head, view):
        plan, wire, waiting = self.plan, self.wire, bytearray(head)
        breaks_off = self.fault not in BEFORE and self.fault
        if breaks_off:
            view = view[:len(view) // 2]
            self.note("F", plan.id, self.fault)
        for piece in pieces(view, self.rng, plan.slow_answer):
            piece = self.backend.spoil(plan, piece)
            waiting += chunk(piece, self.rng) if plan.framing == "chunked" else piece
            if len(waiting) > 8192 or plan.slow_answer:
                await wire.write(bytes(waiting))
                waiting.clear()
            if plan.slow_answer:
                await asyncio.sleep(0.004)
        if plan.framing == "chunked" and plan.has_content and not breaks_off:
            waiting += last_chunk(plan.id, self.rng)
        if waiting:
            await wire.write(bytes(waiting))
        if breaks_off:
            await asyncio.sleep(0.01)
            if self.fault == "rst-response":
                wire.reset()
            else:
                wire.close()
            raise Ended


def main():
    parser = argparse.ArgumentParser()
    for name in "name", "host", "ledger", "attempts", "seed":
        parser.add_argument(f"--{name}", required=True)
    for name in "http", "tcp":
        parser.add_argument(f"--{name}", type=int, required=True)
    parser.add_argument("--stay", type=float, default=0)
    parser.add_argument("--spoil", default="")
    asyncio.run(Backend(parser.parse_args()).run())


if __name__ == "__main__":
    main()
