# SPDX-License-Identifier: Apache-2.0
"""Anonymous memory of a proxy: idle, with many idle connections, with as many busy ones
whose clients do not read, and after those have gone. Numbers are MiB."""

import resource
import select
import socket
import subprocess
import time
from pathlib import Path

AFTER_SECONDS = 10
DEADLINE_SECONDS = 60
REQUEST = b"GET /00000000 HTTP/1.1\r\nHost: bench.example\r\n\r\n"
LARGE = 1 << 20
SMALL_BUFFER = 4096     # of a client that does not read: the proxy is left with the rest


def anonymous(proxy):
    """MiB, over all processes."""
    def of(pid):
        status = Path(f"/proc/{pid}/status").read_text()
        return int(status.split("RssAnon:")[1].split()[0]) / 1024
    return sum(map(of, proxy.processes()))


def settled(proxy):
    """The same, once it has stopped growing."""
    before, now = -1, anonymous(proxy)
    end = time.monotonic() + DEADLINE_SECONDS
    while abs(now - before) > 0.1 and time.monotonic() < end:
        time.sleep(0.5)
        before, now = now, anonymous(proxy)
    return now


def connect(proxy, receive_buffer=0):
    client = socket.socket()
    if receive_buffer:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    client.settimeout(DEADLINE_SECONDS)
    client.connect(("127.0.0.1", proxy.place.port))
    return client


def ask(client):
    """One answer of pong."""
    client.sendall(REQUEST)
    answer = b""
    while b"\r\n\r\n" not in answer or len(answer.split(b"\r\n\r\n", 1)[1]) < 1024:
        more = client.recv(4096)
        if not more:
            raise ConnectionError("closed before the answer")
        answer += more


class Backend:
    """pong or bulk that only answers, on the core of the load."""

    def __init__(self, proxy, core, program, *options):
        self.command = ["taskset", "-c", core, proxy.place.tools / program,
                        "-p", proxy.place.port, "-b", proxy.place.backend, "-c", 0,
                        "-t", 600, "-w", 0, *options]
        self.port = proxy.place.backend

    def __enter__(self):
        self.process = subprocess.Popen([str(word) for word in self.command],
                                        stdout=subprocess.DEVNULL)
        end = time.monotonic() + DEADLINE_SECONDS
        while time.monotonic() < end:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return self
            except OSError:
                time.sleep(0.02)
        raise RuntimeError("the backend does not listen")

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()


def descriptors_for(wanted):
    """As many as the limit of this machine lets a proxy have twice."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return min(wanted, (hard - 400) // 2)


def idle(proxy, core, wanted):
    """Keep-alive connections that have been answered once, and wait."""
    with Backend(proxy, core, "pong"):
        with connect(proxy) as first:
            ask(first)
        before = settled(proxy)
        clients = []
        for _ in range(descriptors_for(wanted)):
            client = connect(proxy)
            ask(client)
            clients.append(client)
        during = settled(proxy)
        for client in clients:
            client.close()
    return {"connections": len(clients), "idle": before, "more": during - before}


def busy(proxy, core, wanted):
    """Clients that have asked for more than the kernel holds, and do not read it."""
    with Backend(proxy, core, "bulk", "-d", LARGE):
        with connect(proxy) as first:
            first.sendall(REQUEST.replace(b"HTTP/1.1\r\n", b"HTTP/1.1\r\n"
                                          b"Connection: close\r\n"))
            while first.recv(1 << 16):
                pass
        before = settled(proxy)
        clients = [connect(proxy, SMALL_BUFFER) for _ in range(descriptors_for(wanted))]
        for client in clients:
            client.sendall(REQUEST)
        answered = select.poll()
        for client in clients:
            answered.register(client, select.POLLIN)
        end = time.monotonic() + DEADLINE_SECONDS
        waiting = len(clients)
        while waiting and time.monotonic() < end:
            for fd, _ in answered.poll(1000):
                answered.unregister(fd)
                waiting -= 1
        peak = settled(proxy)
        for client in clients:
            client.close()
        time.sleep(AFTER_SECONDS)
        after = anonymous(proxy)
    if waiting:
        raise ConnectionError(f"{waiting} of {len(clients)} got no answer")
    return {"connections": len(clients), "peak": peak - before, "kept": after - before}
