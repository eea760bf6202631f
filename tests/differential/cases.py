# SPDX-License-Identifier: Apache-2.0
"""The bytes that are given to all: every row of the end-to-end corpus, hand-written
tricks behind each other, and both cut up and put together anew by a seeded generator."""
import random

from corpus import tables
from corpus.row import chunked, post, request, response

HOST = b"app.test"
LAST = b"GET /last HTTP/1.1\r\nHost: app.test\r\nConnection: close\r\n\r\n"
LARGE = 20000       # rows above it test limits, and are slow in thousands

# What parsers have disagreed about.
TRICKS = [part.encode("latin-1") for part in (
    "\r\n", "\n", "\r", "\r\r\n", "\n\r", " ", "\t", "\0", "\x0b", "\x0c", "\x85", "\xa0", "\x7f",
    ":", " :", ": ", ";", ",", "0", "1", "5", "+5", "0x5", "-1", " 5", "5 ", "5\r\n", "0\r\n\r\n",
    "0\r\n", "5;a=\"\r\n", "5;\n", "0;\r\n\r\n", "\r\n\r\n", "\r\n \r\n", "\r\n\t", "chunked",
    "Chunked", "identity", "gzip, ", ", chunked", "chunked, ", "HTTP/1.0", "HTTP/1.1", "HTTP/1.2",
    "HTTP/2.0", "HTTP/0.9", "#", "?", "//", "http://", "@", "*", "%0d%0a", "\xff", "close",
    "keep-alive", "Upgrade",
)]
LINES = [part.encode("latin-1") for part in (
    "Content-Length: 5", "Content-Length: 0", "Content-Length: 6", "Content-Length: 5, 5",
    "Content-Length: +5", "Content-Length:5", "content-length: 05", "Content-Length : 5",
    " Content-Length: 5", "Content_Length: 5", "Content-Length: 0x5", "Content-Length:",
    "Transfer-Encoding: chunked", "transfer-encoding:chunked", "Transfer-Encoding : chunked",
    "Transfer-Encoding: xchunked", "Transfer-Encoding: chunked, identity",
    "Transfer-Encoding: identity", "Transfer-Encoding:\tchunked", "Transfer-Encoding: \x0bchunked",
    " Transfer-Encoding: chunked", "Transfer_Encoding: chunked", "Transfer-Encoding: chunked;a",
    "Transfer-Encoding: \"chunked\"", "Transfer-Encoding:", "Connection: close",
    "Connection: keep-alive", "Connection: Content-Length", "Connection: Transfer-Encoding",
    "Connection: upgrade, x", "Upgrade: websocket", "Host: app.test", "Host: b.test", "Host:",
    "Host : b.test", "Expect: 100-continue", "TE: trailers", "Trailer: X", "X: y", "X", ": y",
    "X : y", "\tX: y", "X:\xe9", "X: \0", "Keep-Alive: timeout=1", "Proxy-Connection: close",
)]


def _data(part):
    return part.replace(b"{host}", HOST)


def corpus_requests():
    rows = [_data(row.send) for table in ("request", "refused") for row in tables.TABLES[table]]
    return [data for data in rows if len(data) < LARGE]


def corpus_responses():
    """(method, bytes)."""
    return [(row.method, _data(row.answers[0])) for row in tables.TABLES["response"]
            if len(row.answers[0]) < LARGE]


REQUESTS = [_data(part) for part in (
    request(), request(start="HEAD /x HTTP/1.1"), request(start="GET http://{host}/x HTTP/1.1"),
    request(start="GET /x HTTP/1.0"), request("Connection: keep-alive", start="GET /x HTTP/1.0"),
    request(start="OPTIONS * HTTP/1.1"), request("Content-Length: 5", body="hello"),
    post("Content-Length: 5"), post("Content-Length: 0", body=""), post(body=""),
    post("Content-Length: 5", "Expect: 100-continue"),
    post("Content-Length: 28", body="GET /y HTTP/1.1\r\nHost: a\r\n\r\n"),
    chunked("5\r\nhello\r\n0\r\n\r\n"), chunked("1;a=b\r\nx\r\n4\r\nello\r\n0;c\r\n\r\n"),
    chunked("5\r\nhello\r\n0\r\nA: b\r\n\r\n"), chunked("1c\r\nGET /y HTTP/1.1\r\nHost: a\r\n\r\n"
                                                       "\r\n0\r\n\r\n"),
    request("Connection: Upgrade", "Upgrade: websocket"), request("A: b", "a: c", "Connection: A"),
    request(start="CONNECT {host}:80 HTTP/1.1"),
)]
RESPONSES = [
    ("GET", response("Content-Length: 5", body="hello")),
    ("GET", response("Content-Length: 0", body="")),
    ("GET", response("A: b", body="hello")),
    ("GET", response("Transfer-Encoding: chunked", body="5\r\nhello\r\n0\r\n\r\n")),
    ("GET", response("Transfer-Encoding: chunked", body="1;a\r\nx\r\n0\r\nA: b\r\n\r\n")),
    ("GET", response("Content-Length: 5", start="HTTP/1.0 200 OK", body="hello")),
    ("GET", response("Content-Length: 2", "Connection: close")),
    ("GET", response("A: b", start="HTTP/1.1 204 None", body="")),
    ("GET", response("Content-Length: 5", start="HTTP/1.1 304 Not", body="")),
    ("GET", response(start="HTTP/1.1 100 Continue", body="") + response("Content-Length: 2")),
    ("GET", response("Content-Length: 38", body="HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")),
    ("HEAD", response("Content-Length: 5", body="")),
    ("HEAD", response("Transfer-Encoding: chunked", body="")),
    ("POST", response("Content-Length: 5", start="HTTP/1.1 404 No", body="hello")),
    ("CONNECT", response("Content-Length: 5", start="HTTP/1.1 405 No", body="hello")),
]


def _insert(rng, data):
    at = rng.randrange(len(data) + 1)
    return data[:at] + rng.choice(TRICKS) + data[at:]


def _replace(rng, data):
    at = rng.randrange(len(data) + 1)
    return data[:at] + rng.choice(TRICKS) + data[at + rng.randrange(1, 4):]


def _delete(rng, data):
    at = rng.randrange(len(data) + 1)
    return data[:at] + data[at + rng.randrange(1, 6):]


def _add_line(rng, data):
    ends = [at for at in range(len(data)) if data.startswith(b"\r\n", at)] or [0]
    at = rng.choice(ends[:8])
    return data[:at] + b"\r\n" + rng.choice(LINES) + data[at:]


def _swap_case(rng, data):
    at = rng.randrange(len(data) + 1)
    return data[:at] + data[at:at + 8].swapcase() + data[at + 8:]


def _repeat_line(rng, data):
    lines = data.split(b"\r\n")
    at = rng.randrange(len(lines))
    return b"\r\n".join(lines[:at + 1] + lines[at:])


def _flip(rng, data):
    at = rng.randrange(len(data))
    return data[:at] + bytes([data[at] ^ 1 << rng.randrange(8)]) + data[at + 1:]


CHANGES = (_insert, _replace, _delete, _add_line, _add_line, _swap_case, _repeat_line, _flip)


def _mutated(rng, data):
    for _ in range(rng.choice((1, 1, 1, 2, 2, 3, 5))):
        data = rng.choice(CHANGES)(rng, data) or data
    return data


def mutated_requests(seed, count):
    rng = random.Random(seed)
    for _ in range(count):
        data = b"".join(rng.choice(REQUESTS) for _ in range(rng.choice((1, 1, 2, 3))))
        yield _mutated(rng, data)


def mutated_responses(seed, count):
    rng = random.Random(seed)
    for _ in range(count):
        method, data = rng.choice(RESPONSES)
        yield method, _mutated(rng, data)


def pieces(rng, data):
    """Cut in up to four."""
    cuts = sorted(rng.randrange(len(data) + 1) for _ in range(rng.randrange(4)))
    return [part for part in map(lambda a, b: data[a:b], [0, *cuts], [*cuts, len(data)]) if part]
