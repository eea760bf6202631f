# SPDX-License-Identifier: Apache-2.0
"""What is measured: one row each. `measure` runs one peer once and returns its numbers;
the least of the rounds counts for each number, for noise only ever adds."""

import json
import subprocess
from dataclasses import dataclass
from typing import Callable

import syscalls
from proxy import Proxy

LOAD_CORE, PROXY_CORE = 0, 1
WARM_UP_SECONDS = 0.5
SYSCALL_SECONDS = 2


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
    syscalls: Callable  # (peer, settings) -> {system call: times per request}; once


def pong(proxy, settings, seconds, warm_up, schedstats=()):
    """The command that loads the proxy."""
    command = ["taskset", "-c", LOAD_CORE, settings.tools / "pong",
               "-p", proxy.place.port, "-b", proxy.place.backend,
               "-c", settings.connections, "-t", seconds, "-w", warm_up, *schedstats]
    return [str(word) for word in command]


def checked(printed, peer):
    """The numbers that pong printed, if every answer was the right one."""
    seen = json.loads(printed or "{}")
    bad = {name: seen[name] for name in ("errors", "wrong", "stuck") if seen.get(name)}
    if bad or not seen.get("requests"):
        raise Failed(f"{peer.name}: {bad or seen or 'the load ended early'}")
    return seen


def keepalive(peer, settings):
    with Proxy(peer, settings.tools, PROXY_CORE) as proxy:
        load = pong(proxy, settings, settings.seconds, WARM_UP_SECONDS, proxy.schedstats())
        seen = checked(subprocess.run(load, stdout=subprocess.PIPE, text=True).stdout, peer)
    return {"cpu_us": seen["cpu_ns"] / 1e3 / seen["requests"],
            "wall_us": 1e6 * seen["seconds"] / seen["requests"],
            "reconnects": seen["reconnects"]}


def keepalive_syscalls(peer, settings):
    """All calls from the first connect to the last close, over all requests: without a
    warm-up there is no part of the load that only one of the two numbers knows."""
    with Proxy(peer, settings.tools, PROXY_CORE) as proxy:
        load = pong(proxy, settings, SYSCALL_SECONDS, 0)
        printed, counted = syscalls.count(proxy.processes(), load)
        seen = checked(printed, peer)
    return {name: n / seen["requests"] for name, n in counted.items()}


SCENARIOS = [
    Scenario("keepalive-1k", "keep-alive requests, 1 KiB responses", keepalive,
             keepalive_syscalls),
]
