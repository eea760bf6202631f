# SPDX-License-Identifier: Apache-2.0
"""HTTP/1.x messages as a strict reader sees them.

The reader takes from a Peer and accepts nothing that the RFC does not: CRLF
only, one framing, well-formed chunks.  What nigh sends must pass it.
"""
import re

TOKEN = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+\Z")


def text(*lines, body=""):
    """A message from its lines: CRLF after each and an empty one."""
    return ("".join(line + "\r\n" for line in lines) + "\r\n" + body).encode("latin-1")


class Message:
    """One request or response: start line, headers in order, body, trailers."""

    def __init__(self, start, headers):
        self.start = start
        self.headers = headers
        self.body = b""
        self.trailers = []
        self.until_close = False

    def __repr__(self):
        lines = [self.start] + [f"{name}: {value}" for name, value in self.headers]
        return "\n".join(lines + ["", repr(self.body), repr(self.trailers)])

    @property
    def status(self):
        return int(self.start.split(" ")[1])

    @property
    def method(self):
        return self.start.split(" ")[0]

    @property
    def target(self):
        return self.start.split(" ")[1]

    def all(self, name):
        return [value for key, value in self.headers if key.lower() == name.lower()]

    def get(self, name, default=None):
        """The only header of this name."""
        values = self.all(name)
        assert len(values) <= 1, f"{name} {len(values)} times in:\n{self}"
        return values[0] if values else default

    def tokens(self, name):
        """A list header as lower-case words."""
        return [word.strip().lower()
                for value in self.all(name) for word in value.split(",") if word.strip()]

    def says_close(self):
        return "close" in self.tokens("Connection")


def _read_fields(peer):
    fields = []
    while True:
        line = peer.read_until(b"\r\n")[:-2]
        if not line:
            return fields
        assert not re.search(rb"[\r\n\0]", line), f"{peer.who}: bad line {line!r}"
        name, colon, value = line.partition(b":")
        assert colon and TOKEN.match(name), f"{peer.who}: bad field {line!r}"
        fields.append((name.decode(), value.strip(b" \t").decode("latin-1")))


def read_head(peer):
    start = peer.read_until(b"\r\n")[:-2]
    assert not re.search(rb"[\r\n\0]", start), f"{peer.who}: bad line {start!r}"
    return Message(start.decode("latin-1"), _read_fields(peer))


def _read_chunks(peer, message):
    body = []
    while True:
        line = peer.read_until(b"\r\n")[:-2]
        match = re.match(rb"([0-9A-Fa-f]{1,16})([ \t]*;.*)?\Z", line)
        assert match, f"{peer.who}: bad chunk size {line!r}"
        size = int(match[1], 16)
        if not size:
            break
        body.append(peer.read_exactly(size))
        peer.expect(b"\r\n")
    message.body = b"".join(body)
    message.trailers = _read_fields(peer)


def _read_body(peer, message, without_length):
    lengths, codings = message.all("Content-Length"), message.tokens("Transfer-Encoding")
    assert not (lengths and codings), f"{peer.who}: two framings:\n{message}"
    if codings:
        assert codings == ["chunked"], f"{peer.who}: codings {codings}"
        _read_chunks(peer, message)
    elif lengths:
        message.body = peer.read_exactly(int(message.get("Content-Length")))
    else:
        without_length()
    return message


def read_request(peer):
    message = read_head(peer)
    return _read_body(peer, message, lambda: None)


def read_response(peer, method="GET", head=None):
    """The next response; 1xx are responses of their own here.

    head: what read_head has already taken."""
    message = head or read_head(peer)
    if method == "HEAD" or message.status < 200 or message.status in (204, 304):
        return message
    if method == "CONNECT" and message.status < 300:
        return message

    def until_close():
        message.until_close = True
        message.body = peer.read_to_end()
        assert peer.end == "FIN", f"{peer.who}: {peer.end} in a body up to the end"
    return _read_body(peer, message, until_close)


class Recorded:
    """Bytes of a table, read by the same reader as those of the wire."""

    def __init__(self, data, who="table"):
        self.pending, self.who, self.end = data, who, "FIN"

    def read_exactly(self, size):
        data, self.pending = self.pending[:size], self.pending[size:]
        assert len(data) == size, f"{self.who}: too short"
        return data

    def read_until(self, mark):
        return self.read_exactly(self.pending.index(mark) + len(mark))

    def read_to_end(self):
        return self.read_exactly(len(self.pending))

    def expect(self, data):
        assert self.read_exactly(len(data)) == data


def same_start(got, want):
    """Equal start lines; HTTP/1.x in the wanted one stands for either version."""
    return re.fullmatch(re.escape(want).replace(r"HTTP/1\.x", r"HTTP/1\.[01]"), got)


def same(got, want):
    """Same start line, same headers in the same order, same body and trailers.

    How a body is cut into chunks is not part of the message."""
    assert same_start(got.start, want.start), f"got {got.start!r}, want {want.start!r}"
    assert got.headers == want.headers, f"got:\n{got}\nwant:\n{want}"
    assert got.body == want.body, f"got {got.body!r}, want {want.body!r}"
    assert got.trailers == want.trailers, f"got {got.trailers}, want {want.trailers}"


FORWARDED = ("x-forwarded-for", "x-forwarded-proto", "x-forwarded-host")


def without_forwarded(message):
    """The message less the headers that the inbound side adds."""
    message.headers = [(name, value) for name, value in message.headers
                       if name.lower() not in FORWARDED]
    return message
