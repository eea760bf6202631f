# SPDX-License-Identifier: Apache-2.0
"""Reading HTTP/1 on an asyncio stream, strictly, and comparing each byte with what is
expected. Both the clients and the backends read with it."""
import asyncio
import socket
import struct

READ = 1 << 16
NAPS = 60


class Wrong(Exception):
    """What must never happen, whatever has died."""


class Lost(Exception):
    """The connection ended before the message did; how: FIN or RST."""

    def __init__(self, how):
        super().__init__(how)
        self.how = how


class Head:
    """First line and fields, as received."""

    def __init__(self, data):
        lines = data[:-4].decode("latin-1").split("\r\n")
        self.line = lines[0]
        self.fields = {}
        for line in lines[1:]:
            name, colon, value = line.partition(":")
            if not colon or not name or name != name.strip():
                raise Wrong(f"a malformed field {line!r}")
            self.fields.setdefault(name.lower(), []).append(value.strip())

    def get(self, name):
        values = self.fields.get(name)
        if values and len(values) > 1:
            raise Wrong(f"{name} {len(values)} times")
        return values[0] if values else None

    @property
    def says_close(self):
        return "close" in (self.get("connection") or "").lower()


class Check:
    """Compares what comes with what is expected."""

    def __init__(self, expected, what):
        self.expected, self.what, self.at = expected, what, 0

    def feed(self, data):
        if self.expected[self.at:self.at + len(data)] != data:
            size = next((i for i, byte in enumerate(data)
                         if self.at + i >= len(self.expected)
                         or self.expected[self.at + i] != byte), len(data))
            raise Wrong(f"{self.what}: byte {self.at + size} of {len(self.expected)} is wrong")
        self.at += len(data)

    @property
    def is_complete(self):
        return self.at == len(self.expected)

    def end(self):
        if not self.is_complete:
            raise Wrong(f"{self.what}: ended as complete after {self.at} of "
                        f"{len(self.expected)} bytes")


class Reader(asyncio.StreamReader):
    """Gives what came before a reset, as the kernel does."""

    was_reset = False

    def set_exception(self, exc):
        self.was_reset = True
        self.feed_eof()


class Wire:
    """One connection."""

    def __init__(self, reader, writer):
        self.reader, self.writer = reader, writer
        self.sock = writer.get_extra_info("socket")
        self.n_naps = 0             # so often it is slow to read

    @classmethod
    async def dial(cls, addr, **options):
        loop = asyncio.get_running_loop()
        reader = Reader(limit=READ, loop=loop)
        protocol = asyncio.StreamReaderProtocol(reader, loop=loop)
        transport, _ = await loop.create_connection(lambda: protocol, *addr, **options)
        return cls(reader, asyncio.StreamWriter(transport, protocol, reader, loop))

    @property
    def end(self):
        return "RST" if getattr(self.reader, "was_reset", False) else "FIN"

    async def _careful(self, reading):
        try:
            return await reading
        except asyncio.IncompleteReadError as error:
            raise Lost(self.end + " within" * bool(error.partial)) from None
        except asyncio.LimitOverrunError:
            raise Wrong("a line without an end") from None
        except (OSError, EOFError):
            raise Lost("RST") from None

    async def head(self):
        return Head(await self._careful(self.reader.readuntil(b"\r\n\r\n")))

    async def some(self, most=READ):
        """b"" at the end of the stream."""
        if self.n_naps > 0:
            self.n_naps -= 1
            await asyncio.sleep(0.005)
            most = max(most // 8, 1)
        return await self._careful(self.reader.read(most))

    async def by_length(self, size, check):
        while size > 0:
            data = await self.some(min(size, READ))
            if not data:
                raise Lost(f"{self.end} within")
            check.feed(data)
            size -= len(data)

    async def by_chunks(self, check, id_):
        while True:
            line = await self._careful(self.reader.readuntil(b"\r\n"))
            size = int(line.split(b";")[0], 16)
            if size == 0:
                break
            await self.by_length(size, check)
            if await self._careful(self.reader.readexactly(2)) != b"\r\n":
                raise Wrong("a chunk without its end")
        while (line := await self._careful(self.reader.readuntil(b"\r\n"))) != b"\r\n":
            if line != b"X-Trail: " + id_.encode() + b"\r\n":
                raise Wrong(f"a trailer {line!r}")

    async def to_end(self, check):
        while data := await self.some():
            check.feed(data)
        if not check.is_complete or self.end != "FIN":
            raise Lost(f"{self.end} within")

    async def body(self, head, check, id_, until_close=False):
        length, coding = head.get("content-length"), head.get("transfer-encoding")
        if coding:
            if length or coding.lower() != "chunked":
                raise Wrong(f"framing {coding!r} {length!r}")
            await self.by_chunks(check, id_)
        elif length:
            await self.by_length(int(length), check)
        elif until_close:
            await self.to_end(check)
        check.end()

    async def write(self, data):
        try:
            self.writer.write(data)
            await self.writer.drain()
        except OSError:
            raise Lost("RST") from None

    def finish(self):
        """FIN."""
        try:
            self.writer.write_eof()
        except OSError:
            pass

    def close(self):
        self.writer.close()

    def reset(self):
        try:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        except OSError:
            pass
        self.writer.transport.abort()
