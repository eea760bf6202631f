# SPDX-License-Identifier: Apache-2.0
"""Readers within this process: h11, and Python's http.server and http.client."""
import http.client
import http.server
import io

import h11

from reading import CLOSES, WAITS, Reading, of_request, of_response

MAX_HEAD = 1 << 20


def _text(pairs):
    return [(name.decode("latin-1"), value.decode("latin-1")) for name, value in pairs]


# --- h11 ---

def _h11_message(conn):
    """The next message: its head, and its body, or None at the end of the bytes."""
    head, body = None, b""
    while True:
        event = conn.next_event()
        if event in (h11.NEED_DATA, h11.PAUSED) or isinstance(event, h11.ConnectionClosed):
            if head:
                raise EOFError(WAITS)
            return None
        if isinstance(event, (h11.Request, h11.Response)):
            head = event
        elif isinstance(event, h11.InformationalResponse) and event.status_code == 101:
            return event, b""
        elif isinstance(event, h11.Data):
            body += bytes(event.data)
        elif isinstance(event, h11.EndOfMessage):
            return head, body


def h11_requests(data, end="FIN"):
    del end     # h11 is not told how a connection ends
    conn, reading = h11.Connection(h11.SERVER, max_incomplete_event_size=MAX_HEAD), Reading()
    conn.receive_data(data)
    try:
        while got := _h11_message(conn):
            head, body = got
            fields = _text(head.headers)
            method = head.method.decode("latin-1")
            reading.messages.append(of_request(
                method, head.target.decode("latin-1"),
                ", ".join(value for name, value in fields if name == "host"), body, fields))
            conn.send(h11.Response(status_code=405 if method == "CONNECT" else 200,
                                   headers=[("Content-Length", "0")]))
            conn.send(h11.EndOfMessage())
            if conn.our_state is h11.MUST_CLOSE:
                reading.error = CLOSES if conn.trailing_data[0] else None
                break
            conn.start_next_cycle()
    except (h11.RemoteProtocolError, EOFError) as error:
        reading.error = str(error)
    return reading


def h11_responses(data, methods, end):
    reading = Reading()
    conn = h11.Connection(h11.CLIENT, max_incomplete_event_size=MAX_HEAD)
    conn.receive_data(data)
    if end == "FIN":
        conn.receive_data(b"")
    try:
        for method in methods:
            conn.send(h11.Request(method=method, target="/", headers=[("Host", "a")]))
            conn.send(h11.EndOfMessage())
            got = _h11_message(conn)
            if not got:
                raise EOFError("no more responses")
            head, body = got
            reading.messages.append(of_response(head.status_code, body, _text(head.headers)))
            if conn.states[h11.SERVER] is not h11.DONE or conn.our_state is not h11.DONE:
                break
            conn.start_next_cycle()
    except (h11.RemoteProtocolError, EOFError) as error:
        reading.error = str(error)
    return reading


# --- Python's own ---

class _File(io.BytesIO):
    """Ends as the connection did; is not closed by who has read one response of it."""

    def __init__(self, data, end):
        super().__init__(data)
        self._end = end

    def _checked(self, size, data):
        if self._end == "RST" and (size is None or size < 0 or len(data) < size):
            raise ConnectionResetError("reset")
        return data

    def read(self, size=-1):
        return self._checked(size, super().read(size))

    def readline(self, size=-1):
        line = super().readline(size)
        return line if line.endswith(b"\n") else self._checked(None, line)

    def close(self):
        pass

    def makefile(self, *_):
        return self


class _Handler(http.server.BaseHTTPRequestHandler):
    """Reads the head; a body is the application's business there: by what the head says,
    in the way of most applications."""
    protocol_version = "HTTP/1.1"

    def __init__(self, data, end):  # pylint: disable=super-init-not-called
        self.rfile, self.wfile = _File(data, end), io.BytesIO()
        self.client_address = ("127.0.0.1", 0)
        self.reading = Reading()

    def log_message(self, *_):
        pass

    def send_error(self, code, message=None, explain=None):
        self.reading.error = f"{code} {message}"
        self.close_connection = True

    def handle_expect_100(self):
        return True

    def _chunks(self):
        body = b""
        while size := int(self.rfile.readline().split(b";")[0], 16):
            body += self.rfile.read(size)
            if self.rfile.read(2) != b"\r\n":
                raise ValueError("a chunk without end")
        while self.rfile.readline().strip():
            pass
        return body

    def _serve(self):
        length = int(self.headers.get("Content-Length", 0))
        chunked = "chunked" in self.headers.get("Transfer-Encoding", "").lower()
        body = self._chunks() if chunked else self.rfile.read(length)
        if not chunked and len(body) < length:
            raise ValueError(WAITS)
        self.reading.messages.append(of_request(
            self.command, self.path, ", ".join(self.headers.get_all("Host", [])), body,
            self.headers.items()))

    def __getattr__(self, name):
        if name.startswith("do_"):
            return self._serve
        raise AttributeError(name)


def server_requests(data, end="FIN"):
    handler = _Handler(data, end)
    try:
        handler.handle()
    except (ValueError, OverflowError, ConnectionResetError) as error:
        handler.reading.error = str(error)
    if not handler.reading.error and handler.rfile.tell() < len(data):
        handler.reading.error = CLOSES
    return handler.reading


def client_responses(data, methods, end):
    file, reading = _File(data, end), Reading()
    for method in methods:
        got = http.client.HTTPResponse(file, method=method)
        try:
            got.begin()
            body = got.read()
        except (http.client.HTTPException, ValueError, OverflowError,
                ConnectionResetError) as error:
            reading.error = f"{type(error).__name__} {error}"
            break
        reading.messages.append(of_response(got.status, body, got.headers.items()))
        if got.will_close:
            break
    return reading
