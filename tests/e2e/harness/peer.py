# SPDX-License-Identifier: Apache-2.0
"""One end of a TCP connection that a test drives by hand."""
import os
import select
import socket
import struct
import time

# How long anything that must happen may take.  Generous: machines are shared
# and sanitizers are slow; a test that passes never waits for it.
DEADLINE = float(os.environ.get("NIGH_TEST_DEADLINE", 10))


def wait_until(condition, what, deadline=DEADLINE, pause=0.005):
    """Poll until condition() is true and return its value. It is asked once more behind
    the deadline: what has passed may have been a pause of the machine."""
    end = time.monotonic() + deadline
    while True:
        is_late = time.monotonic() > end
        value = condition()
        if value:
            return value
        if is_late:
            raise AssertionError(f"waited {deadline:g} s for: {what}")
        time.sleep(pause)


def ready(socks, seconds, events=select.POLLIN):
    """Those of the sockets that can be read, accepted or written within the time. select()
    would not take numbers above 1023."""
    numbers = {sock.fileno(): sock for sock in socks}
    poll = select.poll()
    for number in numbers:
        poll.register(number, events)
    return [numbers[number] for number, _ in poll.poll(seconds * 1000)]


readable = ready


def connect(addr, source=None, rcvbuf=None):
    """A client connection to (host, port)."""
    family = socket.AF_INET6 if ":" in addr[0] else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    if rcvbuf:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, rcvbuf)
    if source:
        sock.bind((source, 0))
    sock.settimeout(DEADLINE)
    sock.connect(addr)
    return Peer(sock, "client")


def can_connect(addr):
    try:
        connect(addr).close()
        return True
    except (ConnectionRefusedError, ConnectionResetError):
        return False


def expect_refusal(addr):
    """Accepted and reset; that may happen before connect() has returned."""
    try:
        with connect(addr) as client:
            client.expect_reset()
    except ConnectionResetError:
        pass


class Peer:
    """Sends and expects exact bytes; knows FIN from RST."""

    def __init__(self, sock, who):
        self.sock = sock
        self.who = who
        self.pending = b""      # received, not yet asked for
        self.end = None         # then "FIN" or "RST"
        sock.settimeout(DEADLINE)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    # --- sending ---

    def send(self, data):
        try:
            self.sock.sendall(data)
        except socket.timeout:
            raise AssertionError(f"{self.who}: nobody takes our bytes") from None

    def send_slowly(self, data, size=1, pause=0.001):
        """In small segments, so that the other side sees many short reads."""
        for start in range(0, len(data), size):
            self.send(data[start:start + size])
            time.sleep(pause)

    def stuff(self, chunk, limit, quiet=0.5):
        """Send until the other side takes nothing for `quiet` seconds or
        `limit` bytes are gone; return how many went."""
        self.sock.setblocking(False)
        sent = 0
        while sent < limit and ready([self.sock], quiet, select.POLLOUT):
            try:
                sent += self.sock.send(chunk[:limit - sent])
            except BlockingIOError:
                pass
        self.sock.settimeout(DEADLINE)
        return sent

    def fin(self):
        self.sock.shutdown(socket.SHUT_WR)

    def reset(self):
        linger = struct.pack("ii", 1, 0)
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.sock.close()

    def close(self):
        self.sock.close()

    # --- receiving ---

    def fill(self, deadline=DEADLINE, what="more bytes"):
        """Read once; False at the end of the stream."""
        if self.end:
            return False
        self.sock.settimeout(max(deadline, 0.001))
        try:
            data = self.sock.recv(1 << 16)
        except socket.timeout:
            raise AssertionError(f"{self.who}: waited {deadline:g} s for {what}, "
                                 f"have {self.pending[-2000:]!r}") from None
        except ConnectionResetError:
            self.end = "RST"
            return False
        finally:
            if self.sock.fileno() >= 0:
                self.sock.settimeout(DEADLINE)
        if not data:
            self.end = "FIN"
            return False
        self.pending += data
        return True

    def take(self, size):
        data, self.pending = self.pending[:size], self.pending[size:]
        return data

    def read_exactly(self, size):
        parts, have = [], 0
        while have < size:
            if not self.pending and not self.fill(what=f"{size - have} bytes"):
                raise AssertionError(f"{self.who}: {self.end} after {have} of "
                                     f"{size} bytes: {b''.join(parts)[-2000:]!r}")
            parts.append(self.take(size - have))
            have += len(parts[-1])
        return b"".join(parts)

    def read_until(self, mark, limit=1 << 20):
        while mark not in self.pending:
            if len(self.pending) > limit:
                raise AssertionError(f"{self.who}: no {mark!r} in {limit} bytes")
            if not self.fill(what=repr(mark)):
                raise AssertionError(f"{self.who}: {self.end} before {mark!r}, "
                                     f"have {self.pending!r}")
        return self.take(self.pending.index(mark) + len(mark))

    def read_to_end(self):
        """Everything up to FIN or RST (see .end)."""
        parts = [self.take(len(self.pending))]
        while self.fill(what="the end of the stream"):
            parts.append(self.take(len(self.pending)))
        return b"".join(parts)

    def expect(self, data):
        got = self.read_exactly(len(data))
        assert got == data, f"{self.who}: got {got!r}, want {data!r}"

    def expect_fin(self):
        self._expect_end("FIN")

    def expect_reset(self):
        self._expect_end("RST")

    def expect_end(self):
        """FIN or RST: for places where either is right."""
        self._expect_end("FIN", "RST")

    def _expect_end(self, *kinds):
        rest = self.read_to_end()
        assert not rest, f"{self.who}: {rest[:2000]!r} before the end"
        assert self.end in kinds, f"{self.who}: {self.end}, want {' or '.join(kinds)}"

    def expect_silence(self, seconds=0.2):
        """Nothing arrives and nothing ends for this long."""
        assert not self.pending, f"{self.who}: {self.pending[:2000]!r} is there"
        if readable([self.sock], seconds):
            self.fill(0.1)
            raise AssertionError(f"{self.who}: wanted silence, got "
                                 f"{self.pending[:2000]!r} {self.end or ''}")

    def is_hung_up(self):
        """A reset has come, seen without a read; FIN alone is none."""
        poll = select.poll()
        poll.register(self.sock, 0)
        return bool(poll.poll(0))

    def is_open(self):
        """False once FIN or RST has arrived; reads what is there, waits for nothing."""
        while not self.end and readable([self.sock], 0):
            self.fill()
        return not self.end
