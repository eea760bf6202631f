# SPDX-License-Identifier: Apache-2.0
"""What a reader has made of bytes: messages in one form for all, and why it stopped."""
import re
from dataclasses import dataclass, field

from harness import message

OWN_FIELDS = frozenset((
    "connection", "content-length", "transfer-encoding", "host", "trailer", "expect"))
ABSOLUTE = re.compile(r"(?i)http://([^/?]*)")


def effective(method, target, host):
    """Target and Host as they count: an authority in the target replaces Host."""
    if method == "CONNECT":
        return target, target
    absolute = ABSOLUTE.match(target)
    if not absolute:
        return target, host
    rest = target[absolute.end():] or ("*" if method == "OPTIONS" else "/")
    return "/" + rest if rest[0] == "?" else rest, absolute[1]


@dataclass(frozen=True)
class Message:
    """start: method and target, or the status; fields: those that do not frame."""
    start: tuple
    host: str
    body: bytes
    fields: tuple

    def differs(self, other, with_fields):
        """In what two readings of one message differ."""
        pairs = {"start": (self.start, other.start), "host": (self.host, other.host),
                 "body": (self.body, other.body)}
        if with_fields:
            pairs["fields"] = (self.fields, other.fields)
        return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}


WAITS = "waits for more"
CLOSES = "closes before the end"


@dataclass
class Reading:
    """error: None when the reader was content to the end of the bytes."""
    messages: list = field(default_factory=list)
    error: str = None


def plain_fields(pairs):
    return tuple(sorted((name.lower(), value.strip(" \t")) for name, value in pairs
                        if name.lower() not in OWN_FIELDS))


def of_request(method, target, host, body, fields):
    target, host = effective(method, target, host)
    return Message((method, target), host.strip(" \t").lower(), bytes(body), plain_fields(fields))


def of_response(status, body, fields):
    return Message((int(status),), "", bytes(body), plain_fields(fields))


def of_harness(got):
    """From harness.message, the strict reader."""
    if got.start.startswith("HTTP/"):
        return of_response(got.status, got.body, got.headers)
    return of_request(got.method, got.target, ", ".join(got.all("Host")), got.body, got.headers)


class Stream:
    """Bytes for the readers of harness.message."""

    def __init__(self, data, end="FIN"):
        self.pending, self.who, self.end, self._end = data, "stream", None, end

    def _short(self):
        raise EOFError(WAITS)

    def read_exactly(self, size):
        if len(self.pending) < size:
            self._short()
        data, self.pending = self.pending[:size], self.pending[size:]
        return data

    def read_until(self, mark):
        at = self.pending.find(mark)
        if at < 0:
            self._short()
        return self.read_exactly(at + len(mark))

    def read_to_end(self):
        self.end = self._end
        return self.read_exactly(len(self.pending))

    def expect(self, data):
        assert self.read_exactly(len(data)) == data, "malformed"


def strict_requests(data):
    """By our own reader, which takes nothing that the RFC does not."""
    stream, reading = Stream(data), Reading()
    while stream.pending:
        try:
            got = message.read_request(stream)
        except (AssertionError, EOFError) as error:
            reading.error = str(error)
            break
        reading.messages.append(of_harness(got))
        if got.says_close():
            reading.error = CLOSES if stream.pending else None
            break
    return reading


def strict_responses(data, methods, end):
    stream, reading = Stream(data, end), Reading()
    for method in methods:
        try:
            while (got := message.read_response(stream, method)).status < 200:
                if got.status == 101:
                    break
        except (AssertionError, EOFError) as error:
            reading.error = str(error)
            break
        reading.messages.append(of_harness(got))
        if got.until_close or got.says_close():
            break
    return reading
