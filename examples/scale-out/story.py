# SPDX-License-Identifier: Apache-2.0
"""Four runs: outbound; inbound with all of it off (the disease), with the default settings
(the cure), and with caps alone."""

import argparse
import asyncio
import os
import shutil
import signal
import sys
import tempfile
from pathlib import Path

import endpoints
import plot
from balancer import Balancer
from clients import Clients
from processes import Backend, Sidecar, free_port, stop_all
from scene import Promises, Scene, introduce

SETTLED = 1.0   # seconds after a scale-out from which the shares are judged
REBALANCED = 2.5    # as much later every connection has been recycled once
ENOUGH = 400    # answers that a share is judged by: longer on a machine that makes a pause
HERE = Path(__file__).resolve().parent


class Stage:
    """What all runs share."""

    def __init__(self, nigh, directory):
        self.nigh, self.directory = nigh, directory
        self.promises = Promises()
        self.all_clients = []

    def clients(self, address):
        clients = Clients(address, "orders")
        self.all_clients.append(clients)
        return clients

    async def clear(self):
        for clients in self.all_clients:
            clients.stopping = True
        await stop_all()

    def sidecar(self, name, **environment):
        return Sidecar(self.nigh, self.directory / f"{name}.log",
                       {f"NIGH_{name}": value for name, value in environment.items()})


def percent(share):
    return f"{100 * share:.0f} %"


def first(clients, names, after):
    """When the first of these backends began to answer, in words."""
    when = clients.first(names, after)
    return "never a request" if when is None else f"first request after {1000 * when:.0f} ms"


# --- outbound ---

async def outbound(stage):
    port = free_port()
    zones = {"a": "zone-a", "b": "zone-b"}
    names = ["a1", "a2", "a3", "a4", "b1", "b2", "b3", "b4"]
    backend = {name: Backend(name, zones[name[0]], f"127.0.1.{i + 1}", port)
               for i, name in enumerate(names)}
    await asyncio.gather(*(one.start() for one in backend.values()))

    def publish(*present):
        endpoints.write(stage.directory / "endpoints.json", [backend[name] for name in present])

    # The sidecar's pod: its application is our clients, and it listens, as most do. That it
    # stops to listen is how an application tells its sidecar that it has ended.
    application = await asyncio.start_server(lambda reader, writer: writer.close(),
                                             "127.0.0.1", 0)
    listens = application.sockets[0].getsockname()[1]
    publish("a1", "a2", "b1", "b2")
    sidecar = stage.sidecar(
        "outbound", ENDPOINTS=f"file:{stage.directory}/endpoints.json", NODE_NAME="node-0",
        ZONE="zone-a", OUTBOUND="127.0.0.1:0", DRAIN_DELAY="1s",
        INBOUND=f"127.0.0.1:0=127.0.0.1:{listens}/http")
    await sidecar.start()

    clients = stage.clients(sidecar.at["outbound"])
    scene = Scene("1  Outbound, through the sidecar of the calling pod in zone a",
                  "a1 to a4 are near (zone a), b1 to b4 far (zone b)", names, clients)
    scene.begin(["a1", "a2", "b1", "b2"])
    await scene.watch(3)

    grown = scene.event("+2 near, +2 far", "scale-out: 4 more endpoints, a3 a4 near, b3 b4 far",
                        joins=["a3", "a4", "b3", "b4"])
    publish(*names)
    await scene.watch(4)
    await scene.watch_for(ENOUGH, grown + SETTLED)

    removed = scene.event("a1 removed", "a1 leaves the endpoints, and stops half a second later",
                          leaves=["a1"])
    publish(*names[1:])
    await scene.watch(0.5)
    await backend["a1"].stop()
    await scene.watch(2.5)

    stopped = scene.event("SIGTERM", "SIGTERM to the sidecar; its application goes on for 2 s")
    sidecar.terminate()
    await scene.watch(2)
    await scene.end()
    application.close()
    status = await sidecar.exit_status()

    promises, new = stage.promises, ["a3", "a4"]
    far = sum(name.startswith("b") for _, name in clients.answers)
    share = clients.share(new, grown + SETTLED, removed)
    promises.add("near", "requests that went to the other zone", f"{far} of {len(clients.answers):,}",
                 far == 0)
    promises.add("fresh", "share of a3 a4, half of the near endpoints",
                 f"{percent(share)}, {first(clients, new, grown)}", share > 0.4)
    promises.add_no_failure("a1 removed and stopped under load", clients, removed, stopped)
    promises.add_no_failure("outbound sidecar stopped under load", clients, stopped,
                            also=f", exit {status}", kept=status == 0)
    return scene


# --- inbound ---

class Pod:
    """An application and the sidecar that its inbound connections come through."""

    def __init__(self, stage, run, number, port, **settings):
        self.name = f"p{number}"
        self.backend = Backend(self.name, "zone-a", f"127.0.2.{number}", port)
        self.sidecar = stage.sidecar(
            f"{run}-{self.name}", OUTBOUND="off", DRAIN_DELAY="5s",
            INBOUND=f"127.0.0.1:0={self.backend.address}:{port}/http",
            POD_IP=self.backend.address, **settings)

    async def start(self):
        await self.backend.start()
        await self.sidecar.start()

    async def stop(self, application_goes_on=0.0):
        """As a pod ends: both are told at once, the application serves on for a while."""
        self.sidecar.terminate()
        await asyncio.sleep(application_goes_on)
        await self.backend.stop()
        return await self.sidecar.exit_status()

    def address(self):
        return self.sidecar.at["inbound"]


async def scale_out_behind_balancer(stage, run, title, about, **settings):
    """2 pods, then 2 more: what all inbound runs begin with."""
    port, path = free_port(), stage.directory / f"{run}.json"
    pods = [Pod(stage, run, number, port, ENDPOINTS=f"file:{path}", **settings)
            for number in (1, 2, 3, 4)]
    balancer = Balancer()

    def publish(present):
        balancer.pods = [pod.address() for pod in present]
        endpoints.write(path, [pod.backend for pod in present])

    endpoints.write(path, [pod.backend for pod in pods[:2]])
    await asyncio.gather(*(pod.start() for pod in pods))
    publish(pods[:2])
    clients = stage.clients(await balancer.start())
    scene = Scene(title, about, [pod.name for pod in pods], clients)
    scene.begin(["p1", "p2"])
    await scene.watch(3)
    grown = scene.event("+2 pods", "scale-out: 2 more pods, p3 p4", joins=["p3", "p4"])
    publish(pods)
    await scene.watch(4)
    await scene.watch_for(ENOUGH, grown + REBALANCED)
    return scene, clients, balancer, pods, grown, publish


async def end(scene, balancer, pods):
    await scene.end()
    balancer.stop()
    await asyncio.gather(*(pod.stop() for pod in pods))


async def disease(stage):
    scene, clients, balancer, pods, grown, _ = await scale_out_behind_balancer(
        stage, "off", "2  Inbound, recycling off: the disease",
        "pods behind a plain TCP balancer; each has a nigh that recycles nothing",
        MAX_REQUESTS="0", MAX_CONNECTION_AGE="0")
    await end(scene, balancer, pods)
    share = clients.share(["p3", "p4"], grown, scene.duration)
    stage.promises.add("(disease)", "share of p3 p4, half of the pods, recycling off",
                       percent(share), share == 0)
    stage.promises.add_no_failure("run 2, all of it", clients)
    return scene


async def cure(stage):
    scene, clients, balancer, pods, grown, publish = await scale_out_behind_balancer(
        stage, "on", "3  Inbound, as it comes: the cure",
        "the same with default settings and NIGH_SERVICE: the old pods see that they are more",
        SERVICE="orders")
    share = clients.share(["p3", "p4"], grown + REBALANCED, clients.clock())
    began = first(clients, ["p3", "p4"], grown)
    dialled = clients.n_dialled(grown)

    stopped = scene.event("SIGTERM p1", "SIGTERM to the sidecar of p1; the balancer hears of "
                          "it 1 s later", leaves=["p1"])
    stopping = asyncio.ensure_future(pods[0].stop(application_goes_on=6))
    await scene.watch(1)
    publish(pods[1:])
    await scene.watch(6)
    await end(scene, balancer, pods[1:])
    status = await stopping

    stage.promises.add("fresh", f"share of p3 p4 after {REBALANCED} s, half of the pods",
                       f"{percent(share)}, {began}, {dialled} connections", share > 0.25)
    stage.promises.add_no_failure("inbound sidecar of p1 stopped under load", clients, stopped,
                                  also=f", exit {status}", kept=status == 0)
    return scene


async def caps_alone(stage):
    scene, clients, balancer, pods, grown, _ = await scale_out_behind_balancer(
        stage, "caps", "4  Inbound, caps alone",
        "without NIGH_SERVICE, NIGH_MAX_REQUESTS=40: a connection ends after 32 to 40 requests",
        MAX_REQUESTS="40")
    share = clients.share(["p3", "p4"], grown + 2 * SETTLED, clients.clock())
    began = first(clients, ["p3", "p4"], grown)
    dialled = clients.n_dialled(grown)
    await end(scene, balancer, pods)
    stage.promises.add("fresh", "share of p3 p4, half of the pods, caps alone",
                       f"{percent(share)}, {began}, {dialled} connections", share > 0.25)
    return scene


# --- the whole ---

async def tell(arguments, directory):
    # As Ctrl-C: nothing may stay behind.
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, asyncio.current_task().cancel)
    stage = Stage(arguments.nigh, directory)
    introduce()
    try:
        scenes = [await run(stage) for run in (outbound, disease, cure, caps_alone)]
    finally:
        await stage.clear()
    failures = [failure for scene in scenes for _, failure in scene.clients.failures]
    total = sum(len(scene.clients.answers) for scene in scenes) + len(failures)
    stage.promises.add("unbroken", "all runs together", f"{len(failures)} of {total:,} failed",
                       not failures)
    stage.promises.print()
    for failure in sorted(set(failures))[:5]:
        print(f"  failed: {failures.count(failure)} x {failure}")
    plot.write(arguments.plot, scenes)
    print(f"\nshares over time: {os.path.relpath(arguments.plot)}")
    return stage.promises.all_kept()


def main():
    parser = argparse.ArgumentParser(prog="examples/scale-out/run", description=__doc__)
    parser.add_argument("--nigh", required=True, help=argparse.SUPPRESS)
    parser.add_argument("--plot", type=Path, default=HERE / "shares.svg", metavar="FILE",
                        help="where the SVG goes (default: shares.svg beside this script)")
    arguments = parser.parse_args()
    directory = Path(tempfile.mkdtemp(prefix="scale-out-"))
    try:
        kept = asyncio.run(tell(arguments, directory))
    except RuntimeError as error:
        sys.exit(f"\n{error}\nlogs: {directory}")
    except (KeyboardInterrupt, asyncio.CancelledError):
        shutil.rmtree(directory)
        sys.exit(130)
    if not kept:
        sys.exit(f"logs: {directory}")
    shutil.rmtree(directory)


if __name__ == "__main__":
    main()
