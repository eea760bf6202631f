# SPDX-License-Identifier: Apache-2.0
"""Pods join a service: what share of the requests do they get, when, and how many
connections does that cost? Real nigh processes, real keep-alive clients; a connection is
placed at random over the ready pods, as kube-proxy does."""
import argparse
import asyncio
import collections
import contextlib
import multiprocessing
import pathlib
import random
import sys
import tempfile
import time

import plot

ROOT = pathlib.Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "tests/e2e"))

# pylint: disable=wrong-import-position
from harness.kube import EndpointsFile, endpoint, service, slice_of
from harness.load import Call, Connection
from harness.sidecar import Sidecar

N_CLIENTS, REQUESTS_PER_S = 128, 2000
BEFORE_S, AFTER_S, BUCKET_S = 2, 7, 0.1
WINDOW_S, STEADY_S = 2, 0.25
GROWTHS = [(2, 4), (4, 5), (10, 20)]

Variant = collections.namedtuple("Variant", "name cap rebalance")
VARIANTS = [Variant("no cap", 0, 0), Variant("cap 1000", 1000, 0), Variant("cap 100", 100, 0),
            Variant("rebalance", 0, WINDOW_S)]


class App(asyncio.Protocol):
    """The application behind every pod."""

    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        for _ in range(data.count(b"\r\n\r\n")):
            self.transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")


def serve(pipe):
    async def run():
        server = await asyncio.get_running_loop().create_server(App, "127.0.0.1", 0,
                                                                 backlog=512)
        pipe.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()
    asyncio.run(run())


@contextlib.contextmanager
def application():
    """Its port."""
    pipe, far = multiprocessing.Pipe()
    process = multiprocessing.Process(target=serve, args=(far,), daemon=True)
    process.start()
    try:
        yield pipe.recv()
    finally:
        process.kill()
        process.join()


class Clients:
    """Each keeps its connection and sends its requests at an even pace."""

    def __init__(self, cap):
        self.ready = []             # addresses of the pods that new connections go to
        self.answers = []           # (when, address)
        self.opened = []            # when
        self.failures = []
        self.n_aged = 0
        self._cap = cap
        self._stopping = False

    async def run(self):
        await asyncio.gather(*(self._client() for _ in range(N_CLIENTS)))

    def stop(self):
        self._stopping = True

    async def _client(self):
        loop, call = asyncio.get_running_loop(), Call("GET", "/")
        connection = None
        addr = None

        async def ask():
            nonlocal connection, addr
            try:
                if not connection or not connection.usable:
                    addr = random.choice(self.ready)
                    _, connection = await loop.create_connection(Connection, *addr)
                    self.opened.append(time.monotonic())
                status, _ = await connection.ask(call, "web")
                if status != 200:
                    self.failures.append(status)
            except OSError as error:
                self.failures.append(repr(error))
            self.answers.append((time.monotonic(), addr))

        # As if it had been there for long: somewhere within the life of its connection.
        for _ in range(random.randrange(self._cap) if self._cap else 0):
            await ask()
        self.n_aged += 1
        period = N_CLIENTS / REQUESTS_PER_S
        due = time.monotonic() + random.uniform(0, period)
        while not self._stopping:
            await asyncio.sleep(max(0, due - time.monotonic()))
            due += period
            await ask()
        connection.close()


class Run:
    """One variant in one growth."""

    def __init__(self, variant, before, after):
        self.variant, self.before, self.after = variant, before, after
        self.fair = (after - before) / after

    def share(self, begin, end):
        """Of the new pods, in these seconds after the growth, 1 is their fair share."""
        begin, end = begin + self.grown, end + self.grown
        where = [addr in self.new for when, addr in self.answers if begin <= when < end]
        return sum(where) / max(1, len(where)) / self.fair

    def curve(self):
        """(second, share) for each bucket."""
        n_buckets = round((AFTER_S + 1) / BUCKET_S)
        starts = [-1 + n * BUCKET_S for n in range(n_buckets)]
        return [(start + BUCKET_S / 2, self.share(start, start + BUCKET_S))
                for start in starts]

    def reaches(self, share):
        """The second from which it has that share, on the average of 300 ms; or None."""
        return next((round(end, 1) for end in (n * BUCKET_S for n in range(
            round(AFTER_S / BUCKET_S))) if self.share(end - 0.3, end) >= share), None)

    def n_opened(self):
        """Connections opened after the growth, for each client."""
        return sum(when >= self.grown for when in self.opened) / N_CLIENTS


def simulate(binary, variant, before, after):
    run = Run(variant, before, after)
    with contextlib.ExitStack() as stack:
        port = stack.enter_context(application())
        folder = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory()))
        addrs = [f"127.0.0.{2 + number}" for number in range(after)]
        file = EndpointsFile(folder)

        def show(count):
            file.rename(service("web"), slice_of("web", 80, *map(endpoint, addrs[:count])))
        show(before)
        pods = []
        for addr in addrs:
            pods.append(Sidecar(binary, {
                "INBOUND": f"{addr}:0=127.0.0.1:{port}", "OUTBOUND": "off", "WORKERS": 1,
                "ADMIN": "127.0.0.1:0", "ENDPOINTS": file.setting, "NAMESPACE": "shop",
                "SERVICE": "web", "POD_IP": addr, "REBALANCE": f"{variant.rebalance}s",
                "MAX_REQUESTS": variant.cap, "MAX_CONNECTION_AGE": 0}))
            stack.callback(pods[-1].stop)
        for pod in pods:
            pod.wait_ready()
        places = [pod.addr("inbound") for pod in pods]
        run.new = set(places[before:])
        asyncio.run(grow(run, places, show))
        run.n_recycled = sum(pod.total("nigh_recycled_total", reason="rebalance")
                             for pod in pods)
    return run


async def grow(run, places, show):
    clients = Clients(run.variant.cap)
    clients.ready = places[:run.before]
    running = asyncio.ensure_future(clients.run())
    while clients.n_aged < N_CLIENTS:
        await asyncio.sleep(0.05)
    await asyncio.sleep(BEFORE_S)
    clients.ready = places
    run.grown = time.monotonic()
    show(run.after)
    await asyncio.sleep(AFTER_S)
    clients.stop()
    await running
    run.answers, run.opened, run.failures = clients.answers, clients.opened, clients.failures


def row(run):
    reached = run.reaches(0.8)
    return (f"| {run.before} to {run.after} | {run.variant.name} "
            f"| {f'{reached} s' if reached else 'not within 7 s'} "
            f"| {100 * run.share(2.4, 2.6):.0f} % | {100 * run.share(6, 7):.0f} % "
            f"| {run.n_opened():.2f} | {len(run.failures)} |")


def main():
    parser = argparse.ArgumentParser(prog="tests/bench/rebalance/run", description=__doc__)
    parser.add_argument("--nigh", required=True, help=argparse.SUPPRESS)
    parser.add_argument("--only", metavar="NAME", help="one variant: no cap, rebalance, ...")
    parser.add_argument("--plot", metavar="FILE", default=str(
        pathlib.Path(__file__).with_name("shares.svg")))
    arguments = parser.parse_args()
    print("| pods | | 80 % of the fair share after | share at 2.5 s | at 6 to 7 s "
          "| connections per client, 7 s | failed |\n|---|---|---|---|---|---|---|")
    runs = []
    for before, after in GROWTHS:
        for variant in VARIANTS:
            if arguments.only in (None, variant.name):
                runs.append(simulate(arguments.nigh, variant, before, after))
                print(row(runs[-1]), flush=True)
    if not arguments.only:
        plot.write(arguments.plot, runs, (STEADY_S, STEADY_S + WINDOW_S))
    if any(run.failures for run in runs):
        sys.exit("requests have failed")


if __name__ == "__main__":
    main()
