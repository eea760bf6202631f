# SPDX-License-Identifier: Apache-2.0
"""Runs every chosen peer in every round, one after the other, and prints the table."""

import argparse
import json
import platform
import re
import subprocess
import sys
from pathlib import Path

import plot
from peers import DIRECT, PEERS, VARIANTS, nigh_command
from scenarios import QUICK, SCENARIOS, Failed, Settings
from table import print_table

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
BUILD = ROOT / "build-release"
C_FLAGS = ["-O2", "-g", "-std=gnu17", "-D_GNU_SOURCE", "-Wall", "-Wextra"]


def chosen(text, rows, parser):
    """The rows that a comma list names."""
    names = text.split(",")
    if unknown := set(names) - {row.name for row in rows}:
        parser.error(f"no {', '.join(sorted(unknown))}; there are "
                     + ", ".join(row.name for row in rows))
    return [row for row in rows if row.name in names]


def parse_arguments():
    parser = argparse.ArgumentParser(
        prog="tests/bench/run", description="nigh and its peers, interleaved.")
    parser.add_argument("--all", action="store_true",
                        help="all scenarios and all peers: half an hour")
    parser.add_argument("--scenarios", help=f"comma list; default: {','.join(QUICK)}")
    parser.add_argument("--peers", help="comma list; default: those that Debian has")
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=3, help="of each measurement")
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--json", type=Path, default=BUILD / "bench.json",
                        help="every number of every round (default: %(default)s); the "
                        "plot goes beside it")
    arguments = parser.parse_args()
    arguments.scenarios = (
        chosen(arguments.scenarios, SCENARIOS, parser) if arguments.scenarios else
        [row for row in SCENARIOS if arguments.all or row.name in QUICK])
    everybody = [DIRECT, *PEERS, *VARIANTS]
    arguments.peers = (
        chosen(arguments.peers, everybody, parser) if arguments.peers else
        [peer for peer in everybody if arguments.all or peer.default])
    return arguments


def install_wheels(wheels):
    """Into a venv beside the programs, where it is not there already."""
    venv = BUILD / "venv"
    if wheels and not (venv / "bin/pip").exists():
        subprocess.run(["/usr/bin/env", "python3", "-m", "venv", venv], check=True)
    if wheels:
        subprocess.run([venv / "bin/pip", "install", "--quiet", *wheels], check=True)


def prepare(peers):
    """Programs of the chosen peers, nigh if it is one of them, and our own tools."""
    packages = {peer.package for peer in peers} - {""}
    subprocess.run([ROOT / "tests/support/install", "strace", *packages], check=True)
    BUILD.mkdir(exist_ok=True)
    install_wheels({peer.wheel for peer in peers} - {""})
    for tool in ("relay", "pong", "bulk"):
        subprocess.run(["cc", *C_FLAGS, "-o", BUILD / tool, HERE / f"{tool}.c"],
                       check=True)
    if any(peer.command is nigh_command for peer in peers):
        if not (BUILD / "build.ninja").exists():
            subprocess.run(["meson", "setup", "--buildtype=release", BUILD, ROOT],
                           check=True, stdout=subprocess.DEVNULL)
        subprocess.run(["ninja", "--quiet", "-C", BUILD, "nigh"], check=True)


def progress(text):
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)


def run_rounds(scenario, peers, arguments, settings):
    """{peer: {number: least of the rounds}, and under "rounds" each of them}, and how many
    rounds went wrong: those do not count, and a peer that has no other is left out."""
    rounds = {peer.name: [] for peer in peers}
    failures = []

    def attempt(measure, peer):
        try:
            return measure(peer, settings)
        except (Failed, RuntimeError, OSError) as failure:  # it answers wrong, not, or late
            print(f"\n{scenario.name}: {peer.name}: {failure}", flush=True)
            failures.append(failure)
            return {}
    n_rounds = min(arguments.rounds, scenario.max_rounds)
    for number in range(n_rounds):
        for peer in peers:
            progress(f"{scenario.name}: round {number + 1} of {n_rounds}: {peer.name}")
            if seen := attempt(scenario.measure, peer):
                rounds[peer.name].append(seen)
    results = {}
    for peer in peers:
        seen = rounds[peer.name]
        if not seen:
            continue
        results[peer.name] = {name: min(one[name] for one in seen) for name in seen[0]}
        results[peer.name]["rounds"] = seen
        if scenario.once:
            progress(f"{scenario.name}: once: {peer.name}")
            results[peer.name] |= attempt(scenario.once, peer)
    progress("")
    return results, len(failures)


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
    print(f"best of {arguments.rounds} rounds of {arguments.seconds:g} s, "
          f"{arguments.connections} connections where nothing else is said; {machine()}")
    n_failed = 0
    for scenario in arguments.scenarios:
        peers = [peer for peer in arguments.peers if peer in scenario.peers]
        if not peers:
            continue
        results, n = run_rounds(scenario, peers, arguments, settings)
        n_failed += n
        if not results:
            continue
        report["scenarios"][scenario.name] = results
        write_json(arguments.json, report)
        plot.write(arguments.json.with_suffix(".svg"), arguments.scenarios,
                   report["scenarios"])
        print_table(scenario, results)
    if n_failed:
        sys.exit(f"\n{n_failed} rounds went wrong: see above")


if __name__ == "__main__":
    main()
