# SPDX-License-Identifier: Apache-2.0
"""An application as a process of its own, so that it can be stopped, killed and
started again; and, as a program, that process.

    GET  /          answers with its name
    POST /          answers with the body it got
    any  /wait/MS   the same, after so many milliseconds
    any  /reset     notes the call, then resets the connection

It notes what happens in a file, one line each, before any byte of the answer goes
out, so that nothing is lost with the process: `call ID` for a request with an X-Id,
`end REQUESTS close|keep` for a connection and what its last request asked for."""
import argparse
import asyncio
import os
import pathlib
import random
import re
import signal
import subprocess
import sys

FIELD = re.compile(rb"\r\n(content-length|connection|x-id):[ \t]*([^\r\n]*)", re.I)


def fields_of(head):
    """Those fields of a head that matter here."""
    return {name.lower(): value for name, value in FIELD.findall(head)}


class Service(asyncio.Protocol):
    """One connection."""

    def __init__(self, options, note, conns):
        self.options = options
        self.note = note
        self.conns = conns
        self.data = b""
        self.requests = 0
        self.busy = False
        self.says_close = False
        self.idle_end = None
        self.transport = None

    def connection_made(self, transport):
        self.transport = transport
        self.conns.add(self)

    def connection_lost(self, exc):
        self.conns.discard(self)
        self.wait_idle(False)
        self.note(f"end {self.requests} {'close' if self.says_close else 'keep'}")

    def eof_received(self):
        return self.busy            # what has been asked for is answered

    def wait_idle(self, begin=True):
        """Hang up after a while without a request, as many servers do."""
        if self.idle_end:
            self.idle_end.cancel()
            self.idle_end = None
        if begin and self.options.idle_ms:
            delay = random.uniform(0, self.options.idle_ms / 1000)
            self.idle_end = asyncio.get_running_loop().call_later(delay, self.transport.close)

    def data_received(self, data):
        self.wait_idle(False)
        self.data += data
        if not self.busy:
            self.serve()

    def serve(self):
        end = self.data.find(b"\r\n\r\n") + 4
        if end < 4:
            return
        fields = fields_of(self.data[:end])
        size = int(fields.get(b"content-length", 0))
        if len(self.data) < end + size:
            return
        head, body, self.data = self.data[:end], self.data[end:end + size], self.data[end + size:]
        self.requests += 1
        self.says_close = fields.get(b"connection", b"").lower() == b"close"
        if b"x-id" in fields:
            self.note(f"call {fields[b'x-id'].decode()}")
        method, path = head.split(b" ", 2)[:2]
        answer = body if method == b"POST" else self.options.name.encode()
        if path == b"/reset":
            self.transport.abort()
        elif path.startswith(b"/wait/"):
            self.busy = True
            asyncio.get_running_loop().call_later(int(path[6:]) / 1000, self.answer, answer)
        else:
            self.answer(answer)

    def answer(self, body):
        self.busy = False
        last = self.says_close or self.options.ending
        self.transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n%s\r\n%s" % (
            len(body), b"Connection: close\r\n" if self.says_close else b"", body))
        if last or random.random() < self.options.hang_up:
            self.transport.close()
        elif self.data:
            self.serve()
        else:
            self.wait_idle()


async def serve(options):
    loop = asyncio.get_running_loop()
    record = os.open(options.record, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    conns, ended = set(), asyncio.Event()
    options.ending = False
    server = await loop.create_server(
        lambda: Service(options, lambda line: os.write(record, line.encode() + b"\n"), conns),
        "127.0.0.1", options.port, backlog=512)
    loop.add_signal_handler(signal.SIGTERM, loop.call_later, options.stay, ended.set)
    print(server.sockets[0].getsockname()[1], flush=True)
    await ended.wait()
    # As a server that shuts down in good order: no new calls, the old ones to their end.
    server.close()
    options.ending = True
    for conn in list(conns):
        if not conn.busy:
            conn.transport.close()
    while conns:
        await asyncio.sleep(0.01)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--name", required=True)
    parser.add_argument("--record", required=True)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--stay", type=float, default=0)
    parser.add_argument("--idle-ms", type=float, default=0)
    parser.add_argument("--hang-up", type=float, default=0)
    asyncio.run(serve(parser.parse_args()))


class Application:
    """The process, as a test sees it.

    stay     seconds that it goes on serving after SIGTERM
    idle_ms  idle connections are closed after a random time of at most so much
    hang_up  share of the answers behind which it closes without having said so"""

    def __init__(self, folder, name="app", **options):
        self.name = name
        self.record = pathlib.Path(folder) / f"{name}.record"
        self._options = [f"--{option.replace('_', '-')}={value}"
                         for option, value in options.items()]
        self.record.touch()
        self._start(0)

    def _start(self, port):
        # pylint: disable=consider-using-with
        self._process = subprocess.Popen(
            [sys.executable, __file__, f"--name={self.name}", f"--record={self.record}",
             f"--port={port}", *self._options], stdout=subprocess.PIPE, text=True)
        line = self._process.stdout.readline()
        assert line, f"{self.name} has not started"
        self.port = int(line)

    def signal(self, number=signal.SIGTERM):
        self._process.send_signal(number)

    def is_gone(self):
        return self._process.poll() is not None

    def wait(self, deadline=20):
        return self._process.wait(deadline)

    def kill(self):
        self.signal(signal.SIGKILL)
        self.wait()
        self._process.stdout.close()

    def restart(self):
        """After kill(): on the same port."""
        self._start(self.port)

    def close(self):
        if not self.is_gone():
            self.kill()

    def _lines(self, kind):
        return [line.split()[1:] for line in self.record.read_text().splitlines()
                if line.startswith(kind)]

    def calls(self):
        """The ids it has got, in order, with repetitions."""
        return [call for call, in self._lines("call")]

    def ends(self):
        """(requests, whether the last one said close) of each connection that has ended."""
        return [(int(count), word == "close") for count, word in self._lines("end")]


if __name__ == "__main__":
    main()
