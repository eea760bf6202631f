# SPDX-License-Identifier: Apache-2.0
"""A listening socket whose connections a test answers by hand."""
import socket

from .message import read_request
from .peer import DEADLINE, Peer, readable


def closed_port(host="127.0.0.1"):
    """A socket that holds a port on which connections are refused."""
    sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    sock.bind((host, 0))
    return sock


class Server:
    """Accepts when asked to; the kernel's queue holds callers until then."""

    def __init__(self, host="127.0.0.1", port=0, backlog=512):
        self.host = host
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.sock = socket.socket(family, socket.SOCK_STREAM)
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.sock.bind((host, port))
        self.sock.listen(backlog)
        self.port = self.sock.getsockname()[1]
        self.peers = []

    @property
    def addr(self):
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def accept(self, deadline=DEADLINE):
        if not readable([self.sock], deadline):
            raise AssertionError(f"application: waited {deadline:g} s for a connection")
        peer = Peer(self.sock.accept()[0], "application")
        self.peers.append(peer)
        return peer

    def next_peer(self, deadline=DEADLINE):
        """The connection on which the next bytes come, old or new."""
        while True:
            waiting = [peer for peer in self.peers if peer.pending and not peer.end]
            if waiting:
                return waiting[0]
            live = {peer.sock: peer for peer in self.peers
                    if not peer.end and peer.sock.fileno() >= 0}
            ready = readable([self.sock, *live], deadline)
            if not ready:
                raise AssertionError(f"application: waited {deadline:g} s for a request")
            for sock in ready:
                if sock is self.sock:
                    self.accept()
                else:
                    live[sock].fill()

    def request(self):
        """The next complete request and the connection to answer it on."""
        peer = self.next_peer()
        return peer, read_request(peer)

    def expect_nothing(self):
        """No byte has come that the test has not read."""
        while readable([self.sock], 0):
            self.accept()
        for peer in self.peers:
            if peer.sock.fileno() >= 0:
                peer.is_open()
            assert not peer.pending, f"application got {peer.pending[:2000]!r}"

    def stop_listening(self):
        self.sock.close()

    def close(self):
        self.sock.close()
        for peer in self.peers:
            peer.close()
