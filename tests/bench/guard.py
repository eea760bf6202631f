# SPDX-License-Identifier: Apache-2.0
"""What a proxied keep-alive request costs nigh: system calls, heap calls, instructions.
They are counted, so that the result is the same on a busy machine. The bounds stand a
little above what is (see README.md): who has to raise one says why in the commit."""

import collections
import re
import socket
import sys
import tempfile
from pathlib import Path

import syscalls
from heap import HeapCounter

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "build-release"
sys.path.insert(0, str(ROOT / "tests/e2e"))

# pylint: disable=wrong-import-position
from harness.backend import Backend, ok
from harness.sidecar import Sidecar

REQUESTS = 2000
CONNECTIONS = 8
DEADLINE_SECONDS = 120
REQUEST = (b"GET /00000000 HTTP/1.1\r\nHost: bench.example\r\nUser-Agent: guard\r\n"
           b"Accept: */*\r\n\r\n")
BODY = b"x" * 1024
SETTINGS = {"OUTBOUND": "off", "ADMIN": "127.0.0.1:0", "ENDPOINTS": "dns",
            "WORKERS": "1"}

DATA_CALLS = ("recvfrom", "sendto", "recvmsg", "sendmsg", "read", "write", "readv",
              "writev")
DATA_CALLS_MAX = 4.02
OTHER_CALLS_MAX = 0.05      # of connections that begin and end: see drive
HEAP_CALLS_MAX = 0
INSTRUCTIONS_MAX = 4900     # 4496 with gcc 12, as released


def drive(port, n):
    """n requests one after the other, over all connections in turn."""
    clients = [None] * CONNECTIONS
    for number in range(n):
        client = clients[number % CONNECTIONS]
        if not client:
            client = socket.create_connection(("127.0.0.1", port), DEADLINE_SECONDS)
            clients[number % CONNECTIONS] = client
        client.sendall(REQUEST)
        answer = b""
        while not answer.endswith(BODY):
            more = client.recv(65536)
            if not more:
                sys.exit(f"request {number}: closed after {answer!r}")
            answer += more
        if b"\r\nConnection: close\r\n" in answer:
            client.close()
            clients[number % CONNECTIONS] = None


def start(app, *prefix):
    side = Sidecar(str(BUILD / "nigh"), SETTINGS | {
        "INBOUND": f"127.0.0.1:0=127.0.0.1:{app.port}/http"}, prefix)
    side.wait_event("ready", DEADLINE_SECONDS)
    return side


def port_of(side):
    return side.addr("inbound")[1]


def count_syscalls(app):
    """{name: times per request}, without what is the machine's doing: how many
    connections an epoll_wait finds, and the look at a kept one that was idle for long."""
    side = start(app)
    drive(port_of(side), 100)
    with tempfile.NamedTemporaryFile("r") as report:
        with syscalls.strace([side.pid], "-o", report.name):
            drive(port_of(side), REQUESTS)
        calls = [re.search(r"(\w+)\(", line)[1] for line in report
                 if "(" in line and "resumed" not in line and "MSG_PEEK" not in line]
    side.stop()
    return {name: n / REQUESTS for name, n in collections.Counter(calls).items()
            if name != "epoll_wait"}


def count_heap_calls(app):
    with HeapCounter(BUILD) as counter:
        side = start(app, "env", *map("=".join, counter.environment.items()))
        assert counter.calls() > 0, "the heap calls of the start were not counted"
        drive(port_of(side), REQUESTS)
        before = counter.calls()
        drive(port_of(side), REQUESTS)
        after = counter.calls()
        side.stop()
    return (after - before) / REQUESTS


def count_instructions(app):
    """Those of the callbacks of connections and all they call: no start, no timers."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "callgrind.out"
        side = start(app, "valgrind", "--quiet", "--tool=callgrind",
                     f"--callgrind-out-file={out}", "--toggle-collect=on_event*")
        drive(port_of(side), REQUESTS)
        side.stop()
        total = re.search(r"^(?:totals|summary): (\d+)", out.read_text(), re.M)
    return int(total[1]) / REQUESTS


def check(name, value, bound, detail=""):
    good = value <= bound
    print(f"{'ok' if good else 'FAIL'} guard {name}: {value:.2f}, at most {bound:g}"
          + (f" ({detail})" if detail else ""))
    return good


def check_syscalls(app):
    calls = count_syscalls(app)
    if not calls:
        print("skip guard system calls: strace may not attach here")
        return []
    data = sum(calls.pop(name, 0) for name in DATA_CALLS)
    others = ", ".join(f"{name} {n:.3f}" for name, n in sorted(calls.items()))
    return [check("data calls per request", data, DATA_CALLS_MAX),
            check("other system calls per request", sum(calls.values()),
                  OTHER_CALLS_MAX, others)]


def main():
    app = Backend(respond=lambda head, body: ok(BODY))
    results = check_syscalls(app)
    n_skipped = not results
    results += [
        check("heap calls per request", count_heap_calls(app), HEAP_CALLS_MAX),
        check("instructions per request", count_instructions(app), INSTRUCTIONS_MAX),
    ]
    app.close()
    print(f"{sum(results)} passed, {len(results) - sum(results)} failed, "
          f"{n_skipped:d} skipped")
    sys.exit(not all(results))


if __name__ == "__main__":
    main()
