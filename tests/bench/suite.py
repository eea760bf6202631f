# SPDX-License-Identifier: Apache-2.0
"""Runs every chosen peer in every round, one after the other, and prints the table."""

import argparse
import json
import platform
import re
import subprocess
import sys
from pathlib import Path

from peers import PEERS
from scenarios import SCENARIOS, Failed, Settings
from table import print_syscalls, print_table

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
BUILD = ROOT / "build-release"
C_FLAGS = ["-O2", "-g", "-std=gnu17", "-D_GNU_SOURCE", "-Wall", "-Wextra"]


def parse_arguments():
    names = [peer.name for peer in PEERS]
    parser = argparse.ArgumentParser(
        prog="tests/bench/run",
        description="CPU per proxied request: nigh and its peers, interleaved.")
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=3, help="of each measurement")
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--peers", default=",".join(names), help="comma list; default: all")
    parser.add_argument("--json", type=Path, default=BUILD / "bench.json",
                        help="every number of every round (default: %(default)s)")
    arguments = parser.parse_args()
    wanted = arguments.peers.split(",")
    if unknown := set(wanted) - set(names):
        parser.error(f"no peer {', '.join(unknown)}; there are {', '.join(names)}")
    arguments.peers = [peer for peer in PEERS if peer.name in wanted]
    return arguments


def prepare(peers):
    """Programs of the chosen peers, nigh if it is one of them, and our own tools."""
    packages = {peer.package for peer in peers} - {""}
    subprocess.run([ROOT / "tests/support/install", "strace", *packages], check=True)
    BUILD.mkdir(exist_ok=True)
    for tool in ("relay", "pong"):
        subprocess.run(["cc", *C_FLAGS, "-o", BUILD / tool, HERE / f"{tool}.c"], check=True)
    if any(peer.name == "nigh" for peer in peers):
        if not (BUILD / "build.ninja").exists():
            subprocess.run(["meson", "setup", "--buildtype=release", BUILD, ROOT],
                           check=True, stdout=subprocess.DEVNULL)
        subprocess.run(["ninja", "--quiet", "-C", BUILD, "nigh"], check=True)


def progress(text):
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)


def run_rounds(scenario, arguments, settings):
    """{peer: {number: least of the rounds}, and under "rounds" each of them}"""
    rounds = {peer.name: [] for peer in arguments.peers}
    for number in range(arguments.rounds):
        for peer in arguments.peers:
            progress(f"round {number + 1} of {arguments.rounds}: {peer.name}")
            rounds[peer.name].append(scenario.measure(peer, settings))
    results = {}
    for peer in arguments.peers:
        progress(f"system calls: {peer.name}")
        seen = rounds[peer.name]
        results[peer.name] = {name: min(one[name] for one in seen) for name in seen[0]}
        results[peer.name] |= {"syscalls": scenario.syscalls(peer, settings), "rounds": seen}
    progress("")
    return results


def write_json(path, report):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(report, indent=1) + "\n")


def machine():
    model = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    return f"{model[1] if model else platform.machine()}, Linux {platform.release()}"


def main():
    arguments = parse_arguments()
    prepare(arguments.peers)
    settings = Settings(BUILD, arguments.connections, arguments.seconds)
    report = {"machine": machine(), "connections": arguments.connections,
              "seconds": arguments.seconds, "scenarios": {}}
    for scenario in SCENARIOS:
        try:
            results = run_rounds(scenario, arguments, settings)
        except Failed as failure:
            sys.exit(f"\n{scenario.name}: {failure}")
        report["scenarios"][scenario.name] = results
        write_json(arguments.json, report)
        print(f"{scenario.about}, {arguments.connections} connections; best of "
              f"{arguments.rounds} rounds of {arguments.seconds:g} s; {machine()}\n")
        print_table(results, arguments.peers)
        print_syscalls(results, arguments.peers)


if __name__ == "__main__":
    main()
