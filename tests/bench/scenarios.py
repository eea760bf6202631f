# SPDX-License-Identifier: Apache-2.0
"""What is measured: one row of SCENARIOS each. `measure` runs one peer once and returns
its numbers; the least of the rounds counts for each, for noise only ever adds."""

import json
import subprocess
from dataclasses import dataclass, field, replace
from typing import Callable

import memory
import syscalls
from heap import HeapCounter
from peers import DIRECT, PEERS, VARIANTS
from proxy import Proxy, place_on

LOAD_CORE, PROXY_CORE = 0, 1
WARM_UP_SECONDS = 0.5
MIB = 1 << 20


class Failed(Exception):
    """The proxy answered wrong, or not at all."""


@dataclass(frozen=True)
class Settings:
    tools: object       # folder of the programs
    connections: int
    seconds: float


@dataclass(frozen=True)
class Scenario:
    name: str
    about: str
    measure: Callable   # (peer, settings) -> {name of a number: value}; every round
    columns: tuple      # (heading, name of the number)
    peers: list = field(default_factory=lambda: PEERS)
    once: Callable = None   # (peer, settings) -> more of them; after the rounds
    max_rounds: int = 100


def command_of(proxy, settings, program, options, warm_up, processes=()):
    """The command that loads the proxy."""
    command = [settings.tools / program,
               "-p", proxy.place.port, "-b", proxy.place.backend,
               "-t", settings.seconds, "-w", warm_up, *options, *processes]
    return ["taskset", "-c", str(LOAD_CORE), *(str(word) for word in command)]


def checked(printed):
    """The numbers that pong or bulk printed, if every answer was the right one."""
    seen = json.loads(printed or "{}")
    bad = {name: seen[name] for name in ("errors", "wrong", "stuck") if seen.get(name)}
    if bad or not (seen.get("requests") or seen.get("bytes")):
        raise Failed(f"{bad or seen or 'the load ended early'}")
    return seen


def load(peer, settings, program, *options, warm_up=WARM_UP_SECONDS, urgent=False):
    with Proxy(peer, settings.tools, PROXY_CORE, urgent) as proxy:
        command = command_of(proxy, settings, program, options, warm_up,
                             proxy.processes())
        printed = subprocess.run(command, stdout=subprocess.PIPE, text=True,
                                 preexec_fn=lambda: place_on(LOAD_CORE, urgent)).stdout
    return checked(printed)


# --- requests ---

def requests(*options, connections=None, warm_up=WARM_UP_SECONDS):
    def measure(peer, settings):
        n = memory.descriptors_for(connections or settings.connections)
        longer = replace(settings, seconds=max(settings.seconds, n / 2000))
        seen = load(peer, longer, "pong", "-c", n, *options, warm_up=warm_up)
        return {"cpu_us": seen["cpu_ns"] / 1e3 / seen["requests"],
                "wall_us": 1e6 * seen["seconds"] / seen["requests"],
                "reconnects": seen["reconnects"]}
    return measure


def count_syscalls(peer, settings):
    """All calls from the first connect to the last close, over all requests: without a
    warm-up there is no part of the load that only one of the two numbers knows."""
    with Proxy(peer, settings.tools, PROXY_CORE) as proxy:
        command = command_of(proxy, settings, "pong", ["-c", settings.connections], 0)
        printed, counted = syscalls.count(proxy.processes(), command)
        seen = checked(printed)
    return {"syscalls": {name: n / seen["requests"] for name, n in counted.items()}}


def count_heap_calls(peer, settings):
    """The same of heap calls; nothing where the proxy has an allocator of its own."""
    with HeapCounter(settings.tools) as counter:
        counted = replace(peer, environment=lambda place: peer.environment(place)
                          | counter.environment)
        with Proxy(counted, settings.tools, PROXY_CORE) as proxy:
            begun = counter.calls()
            command = command_of(proxy, settings, "pong", ["-c", settings.connections],
                                 0)
            printed = subprocess.run(command, stdout=subprocess.PIPE, text=True).stdout
            seen = checked(printed)
            n = counter.calls() - begun
    return {"heap_calls": n / seen["requests"]} if begun else {}


def count_calls(peer, settings):
    return count_syscalls(peer, settings) | count_heap_calls(peer, settings)


def latency(rate):
    def measure(peer, settings):
        seen = load(peer, settings, "pong", "-c", settings.connections, "-r", rate,
                    urgent=True)
        return {name: seen[name] for name in ("p50_us", "p99_us", "p999_us")}
    return measure


# --- bodies ---

def bodies(connections, *options):
    def measure(peer, settings):
        seen = load(peer, settings, "bulk", "-c", connections, *options)
        return {"s_per_gb": seen["cpu_ns"] / seen["bytes"]}
    return measure


BODIES = [
    Scenario(f"body-{size // MIB}m-{way}-{framing}",
             f"bodies of {size // MIB} MiB {way}stream, "
             + ("in chunks" if framing == "chunked" else "with their length"),
             bodies(connections, f"-{way[0]}", size, *flags),
             (("CPU s per GB", "s_per_gb"),))
    for size, connections in ((MIB, 8), (100 * MIB, 4))
    for way in ("down", "up")
    for framing, flags in (("length", ()), ("chunked", ("-k",)))
]


# --- memory ---

def memory_of(what):
    def measure(peer, settings):
        with Proxy(peer, settings.tools, PROXY_CORE) as proxy:
            return what(proxy, LOAD_CORE, 10000)
    return measure


def named(*names):
    return [peer for peer in [*PEERS, *VARIANTS] if peer.name in names]


HTTP = [peer for peer in PEERS if peer.mode == "http"]
CPU = (("CPU us per request", "cpu_us"),)
LATENCY = (("p50 us", "p50_us"), ("p99 us", "p99_us"), ("p99.9 us", "p999_us"))

SCENARIOS = [
    Scenario("keepalive", "keep-alive requests, 1 KiB answers", requests(), CPU,
             once=count_calls),
    *(Scenario(f"keepalive-{n}", f"the same, {n} connections",
               requests(connections=n, warm_up=seconds), CPU, max_rounds=rounds)
      for n, seconds, rounds in ((1, 0.5, 4), (512, 1, 4),  # seconds until all are
                                 (5000, 2, 2), (10000, 4, 2))),     # connected
    Scenario("connections", "a new connection for every request", requests("-n"), CPU),
    *(Scenario(f"latency-{rate}", f"{rate} requests a second, open loop", latency(rate),
               LATENCY, [DIRECT, *HTTP]) for rate in (2000, 20000)),
    *BODIES,
    Scenario("memory-idle", "anonymous MiB; more with 10,000 idle connections",
             memory_of(memory.idle),
             (("idle", "idle"), ("more", "more"), ("connections", "connections")), HTTP,
             max_rounds=1),
    Scenario("memory-busy", "anonymous MiB above idle: 10,000 busy connections whose "
             "clients do not read; 10 s after they closed", memory_of(memory.busy),
             (("peak", "peak"), ("kept", "kept"), ("connections", "connections")), HTTP,
             max_rounds=1),
    Scenario("workers", "one core, 1 and 2 workers", requests(), CPU,
             named("nigh", "2 workers")),
    Scenario("seccomp", "with and without the filter of system calls", requests(), CPU,
             named("seccomp on", "seccomp off")),
    Scenario("caps", "requests until a connection is recycled", requests(), CPU,
             named("cap 0", "cap 1000", "cap 100")),
    Scenario("endpoints", "a service of so many endpoints", requests("-a", warm_up=2),
             CPU, [peer for peer in VARIANTS if peer.name.endswith(" endpoints")]),
]
QUICK = ["keepalive"]
