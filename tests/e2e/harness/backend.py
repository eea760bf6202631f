# SPDX-License-Identifier: Apache-2.0
"""An application that answers by itself, for load, balancing and faults.

One thread and one selector, so that it is quick enough for wrk and needs no
lock: the test reads the counters, only the thread writes them."""
import re
import selectors
import socket
import threading

LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*(\d+)", re.I)
CHUNKED = re.compile(rb"\r\ntransfer-encoding:[ \t]*chunked", re.I)


def ok(body, *headers):
    body = body if isinstance(body, bytes) else body.encode()
    head = ["HTTP/1.1 200 OK", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(head).encode() + body


def split_request(data):
    """(head, body, rest) of the first complete request, or None."""
    end = data.find(b"\r\n\r\n")
    if end < 0:
        return None
    head, rest = data[:end + 4], data[end + 4:]
    if CHUNKED.search(head):
        last = rest.find(b"0\r\n\r\n")
        return None if last < 0 else (head, rest[:last], rest[last + 5:])
    length = LENGTH.search(head)
    size = int(length[1]) if length else 0
    return None if len(rest) < size else (head, rest[:size], rest[size:])


class Conn:
    """What the backend knows of one connection."""

    def __init__(self, sock):
        self.sock = sock
        self.data = b""
        self.requests = 0
        self.last_said_close = False


class Backend:
    """Answers every request with its name.

    respond(head, body) -> bytes replaces the answer; None hangs up instead.
    The number of requests of every connection stays in .conns after its end."""

    def __init__(self, name="backend", host="127.0.0.1", port=0, respond=None):
        self.name = name
        self.host = host
        self.respond = respond or (lambda head, body: ok(self.name))
        self.requests = 0
        self.conns = []
        self.frozen = False
        self._live = {}
        self._selector = selectors.DefaultSelector()
        self._wake, self._woken = socket.socketpair()
        self._selector.register(self._woken, selectors.EVENT_READ)
        self._commands = []
        self._listen(port)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _listen(self, port):
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        self._listener = socket.socket(family, socket.SOCK_STREAM)
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._listener.bind((self.host, port))
        self._listener.listen(1024)
        self._listener.setblocking(False)
        self.port = self._listener.getsockname()[1]
        self._selector.register(self._listener, selectors.EVENT_READ)

    # --- faults, called by the test, done by the thread ---

    def _do(self, command):
        done = threading.Event()
        self._commands.append((command, done))
        self._wake.send(b"x")
        assert done.wait(30), "backend thread is gone"

    def freeze(self):
        """As SIGSTOP: the kernel still accepts, nobody answers."""
        self._do(lambda: setattr(self, "frozen", True))

    def thaw(self):
        self._do(lambda: setattr(self, "frozen", False))

    def kill(self):
        """As SIGKILL: every socket is gone at once."""
        self._do(self._drop_all)

    def stop_listening(self):
        self._do(self._unlisten)

    def close_idle(self):
        """Hang up on all kept connections, go on accepting: as servers do, not on one
        that waits for its first request."""
        self._do(lambda: self._drop_conns(lambda conn: conn.requests > 0))

    def restart(self):
        """Listen again, on the same port."""
        self._do(lambda: self._listen(self.port))

    def close(self):
        self._do(self._drop_all)
        self._do(None)
        self._thread.join(5)
        self._wake.close()
        self._woken.close()

    @property
    def n_open(self):
        return len(self._live)

    # --- the thread ---

    def _unlisten(self):
        if self._listener.fileno() >= 0:
            self._selector.unregister(self._listener)
            self._listener.close()

    def _drop_conns(self, which=lambda conn: True):
        for conn in list(filter(which, self._live.values())):
            self._hang_up(conn)

    def _drop_all(self):
        self._unlisten()
        self._drop_conns()

    def _run(self):
        while True:
            for key, _ in self._selector.select():
                if key.fileobj is self._woken:
                    if not self._obey():
                        return
                elif self.frozen:
                    # Level-triggered and not to be read: do not spin.
                    threading.Event().wait(0.01)
                elif key.fileobj is self._listener:
                    self._accept()
                elif key.fileobj in self._live:
                    self._serve(self._live[key.fileobj])

    def _obey(self):
        self._woken.recv(1)
        command, done = self._commands.pop(0)
        if command:
            command()
        done.set()
        return command is not None

    def _accept(self):
        try:
            sock = self._listener.accept()[0]
        except BlockingIOError:
            return
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        conn = Conn(sock)
        self.conns.append(conn)
        self._live[sock] = conn
        self._selector.register(sock, selectors.EVENT_READ)

    def _hang_up(self, conn):
        self._selector.unregister(conn.sock)
        del self._live[conn.sock]
        conn.sock.close()

    def _serve(self, conn):
        try:
            data = conn.sock.recv(1 << 16)
        except OSError:
            data = b""
        conn.data += data
        while data and (parts := split_request(conn.data)):
            head, body, conn.data = parts
            conn.requests += 1
            conn.last_said_close = b"\r\nconnection: close" in head.lower()
            self.requests += 1
            answer = self.respond(head, body)
            try:
                conn.sock.sendall(answer or b"")
            except OSError:
                answer = None
            if answer is None or conn.last_said_close:
                data = b""
        if not data:
            self._hang_up(conn)
