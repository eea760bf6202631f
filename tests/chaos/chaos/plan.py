# SPDX-License-Identifier: Apache-2.0
"""What one request or one TCP connection is: a pure function of the run's seed and of its
id, so that client, backend and oracle know it without telling each other."""
import random
import zlib

IDEMPOTENT = {"GET", "HEAD", "OPTIONS", "PUT", "DELETE"}
MIB = 1 << 20
UPGRADE = "/chaos/upgrade"      # goes on as a TCP connection
LARGEST = 3 * MIB

# nigh holds a request of at most 64 KiB, so that it can be sent again; a little less is
# certain to fit with its head and the frames of its chunks.
HELD = 60_000

# The faults of a backend. Those before the response may be repaired by another attempt.
BEFORE = ("rst-head", "fin-head", "rst-body", "rst-part-of-head")
WITHIN = ("rst-response", "fin-response")


def rng_of(seed, *names):
    return random.Random(f"{seed}/{'/'.join(map(str, names))}")


class Content:
    """The bytes of every message: slices of one random pad. Two messages that were mixed
    up differ within their first bytes."""

    def __init__(self, seed):
        self._pad = memoryview(rng_of(seed, "pad").randbytes(LARGEST + 2 * MIB))

    def of(self, id_, way, size):
        at = zlib.crc32(f"{id_}/{way}".encode()) % (2 * MIB)
        return self._pad[at:at + size]


def some_size(rng):
    kind = rng.choices(range(7), [15, 30, 25, 18, 6, 4, 2])[0]
    low, high = ((0, 0), (1, 100), (100, 4096), (4096, 60_000), (60_000, 70_000),
                 (70_000, MIB // 2), (MIB // 2, LARGEST))[kind]
    return rng.randint(low, high)


class Plan:
    """One HTTP request and its response."""

    def __init__(self, seed, id_):
        rng = rng_of(seed, "request", id_)
        self.id = id_
        self.method = rng.choices(
            ["GET", "POST", "PUT", "HEAD", "DELETE", "PATCH", "OPTIONS"],
            [36, 38, 14, 3, 4, 3, 2])[0]
        self.idempotent = self.method in IDEMPOTENT
        self.old = rng.random() < 0.04              # HTTP/1.0
        self.keep = rng.random() < (0.5 if self.old else 0.97)
        with_body = self.method in ("POST", "PUT", "PATCH") or rng.random() < 0.05
        self.size = some_size(rng) if with_body else 0
        self.chunked = with_body and not self.old and rng.random() < 0.35
        self.expects = self.size > 0 and not self.old and rng.random() < 0.06
        self.slow_write = self.size > 0 and rng.random() < 0.04
        self.slow_read = rng.random() < 0.04
        self.interim = not self.old and rng.random() < 0.05
        self._draw_response(rng)
        self._draw_faults(rng)

    def _draw_response(self, rng):
        self.status = rng.choices([200, 201, 204, 304, 404, 500, 503],
                                  [80, 5, 4, 2, 4, 3, 2])[0]
        self.has_content = self.method != "HEAD" and self.status not in (204, 304)
        self.answer = some_size(rng)
        self.framing = rng.choices(["length", "chunked", "close"], [62, 33, 5])[0]
        self.server_closes = self.framing == "close" or rng.random() < 0.03
        self.hangs_up = not self.server_closes and rng.random() < 0.02
        self.early = self.size > 0 and not self.expects and rng.random() < 0.05
        self.delay = rng.choices([0, rng.uniform(0, 0.02), rng.uniform(0.02, 0.4)],
                                 [80, 15, 5])[0]
        self.slow_answer = self.answer > 1 and rng.random() < 0.04

    def _draw_faults(self, rng):
        self.fault = self.abort = None
        fate = rng.random()
        if fate < 0.012:
            self.fault = rng.choice(BEFORE)
        elif fate < 0.018 and self.has_content and self.answer > 1:
            self.fault = rng.choice(WITHIN)
        elif fate < 0.026:
            self.abort = rng.choice(["request", "response"])
        self.fault_again = rng.random() < 0.3       # each attempt, not only the first
        if self.fault == "rst-body" and self.size < 2:
            self.fault = "rst-head"
        if self.fault in BEFORE:
            self.early = self.interim = self.expects = False
        if self.fault == "fin-response" and self.framing == "close":
            self.fault = "rst-response"             # FIN would be the right end

    @property
    def is_plain(self):
        """Can stand in a row of pipelined requests."""
        return not (self.old or self.expects or self.abort or not self.keep
                    or self.slow_write or self.slow_read)

    @property
    def can_be_held(self):
        return self.size < HELD and not (self.chunked and self.size > HELD // 2)


class Talk:
    """One TCP connection: bytes both ways, and who ends it how."""

    def __init__(self, seed, id_):
        rng = rng_of(seed, "talk", id_)
        self.id = id_
        self.up, self.down = some_size(rng), some_size(rng)
        self.waits_for_banner = rng.random() < 0.5
        # both: each when it is done; client: the server speaks after the client's FIN;
        # server: the client goes on after the server's FIN.
        self.order = rng.choice(["both", "client", "server"])
        self.slow = rng.random() < 0.1
        self.pause = rng.choices([0, rng.uniform(0, 1)], [85, 15])[0]
        self.reset_by = rng.choices([None, "client", "server"], [88, 6, 6])[0]


def pieces(view, rng, slow=False):
    """The view in pieces, as somebody writes it."""
    at, largest = 0, len(view) // 4 + 1 if slow else rng.choice([100, 3000, 20_000, 200_000])
    largest = max(largest, len(view) // 60)
    while at < len(view):
        step = rng.randint(1, largest)
        yield view[at:at + step]
        at += step


def chunk(piece, rng):
    extension = b';name="v"' if rng.random() < 0.1 else b""
    digits = b"%X" if rng.random() < 0.5 else b"%03x"
    return digits % len(piece) + extension + b"\r\n" + bytes(piece) + b"\r\n"


def last_chunk(id_, rng):
    trailer = b"X-Trail: " + id_.encode() + b"\r\n" if rng.random() < 0.5 else b""
    return b"0\r\n" + trailer + b"\r\n"
