# SPDX-License-Identifier: Apache-2.0
"""The program: runs the world for each seed, and says what the oracle says."""
import argparse
import asyncio
import collections
import os
import pathlib
import random
import shutil
import sys
import tempfile
import time

from harness.sidecar import find_binary

from .client import Client, Talker
from .episodes import lanes, publish
from .files import PlainFile, Volume
from .oracle import Facts, Oracle, read_access, read_ledger
from .plan import rng_of
from .world import Fault, World


class Run:
    """One seed."""

    def __init__(self, options, seed):
        self.options, self.seed = options, seed
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="nigh-chaos-"))
        volume = self.folder / "volume"
        volume.mkdir()
        self.files = [PlainFile(self.folder), Volume(volume)]
        self.world = None

    async def go(self):
        options = self.options
        self.world = world = World(self.seed, self.folder, find_binary(), self.files,
                                   options.spoil)
        try:
            await publish(world, rng_of(self.seed, "first"))
            await world.start()
            callers = [Client(world, n) for n in range(options.clients)]
            callers += [Talker(world, n) for n in range(options.talkers)]
            asyncio.get_running_loop().call_later(
                options.seconds, setattr, world, "is_over", True)
            await self.all_of([*callers, *lanes(world)])
            await world.end()
        except Fault as fault:
            world.faults.append(str(fault))
        finally:
            await world.kill_all()

    async def all_of(self, actors):
        """A mistake of ours in one of them ends all."""
        tasks = [asyncio.ensure_future(actor.run()) for actor in actors]
        done, pending = await asyncio.wait(
            tasks, timeout=self.options.seconds + 100, return_when=asyncio.FIRST_EXCEPTION)
        for task in pending:
            task.cancel()
        for task in done:
            task.result()
        if pending:
            raise Fault(f"{len(pending)} actors do not end")

    def facts(self):
        world = self.world
        entries = []
        for pod in world.pods:
            path = self.folder / f"{pod.name}.ledger"
            entries += read_ledger(path.read_text() if path.exists() else "", pod.name)
        access = {caller.name: read_access(caller.side.path.read_text(errors="replace"))
                  for caller in world.callers}
        pods = [(pod.name, pod.has_side, f"{pod.host}:{pod.port}") for pod in world.pods]
        return Facts(self.seed, world.results, world.talks, world.events, entries, access,
                     pods)

    def report(self):
        """Prints it; true when all is explained."""
        world = self.world
        oracle = Oracle(self.facts())
        problems = [*world.faults, *oracle.problems]
        (self.folder / "problems").write_text("\n".join(problems))
        (self.folder / "results").write_text(
            "\n".join(map(str, [*world.results, *world.talks, *world.events])))
        (self.folder / "explained").write_text("\n".join(
            f"{rule} {case.result} {case.tried} {case.pod} idem={case.plan.idempotent} "
            f"size={case.plan.size}{oracle.story(case.result.id)}"
            for rule, case in oracle.explained))
        kinds = collections.Counter(result.kind for result in world.results)
        talks = collections.Counter(result.kind for result in world.talks)
        events = collections.Counter(event.kind for event in world.events)
        print(f"  {len(world.results)} requests: {count(kinds)}")
        print(f"  {len(world.talks)} TCP connections: {count(talks)}")
        print(f"  {len(world.events)} events: {count(events)}")
        print(f"  explained failures: {count(oracle.reasons)}")
        for text in problems[:20]:
            print(f"  PROBLEM {text}")
        if len(problems) > 20:
            print(f"  and {len(problems) - 20} more")
        return not problems and kinds["ok"] > 0 and talks["ok"] > 0

    def command(self):
        options = self.options
        return (f"NIGH={os.path.relpath(find_binary())} tests/chaos/run --seed {self.seed} "
                f"--seconds {options.seconds:g} --clients {options.clients} "
                f"--talkers {options.talkers}"
                + (f" --break {options.spoil}" if options.spoil else ""))

    def __call__(self):
        print(f"seed {self.seed}: {self.command()}", flush=True)
        begin = time.monotonic()
        asyncio.run(self.go())
        fine = self.report()
        print(f"{'ok' if fine else 'FAIL'} chaos seed {self.seed} "
              f"({time.monotonic() - begin:.0f} s)", flush=True)
        if fine and not self.options.keep:
            shutil.rmtree(self.folder)
        else:
            print(f"  all that was written is in {self.folder}")
        return fine


def count(counter):
    return ", ".join(f"{n} {kind}" for kind, n in sorted(counter.items())) or "none"


def arguments():
    parser = argparse.ArgumentParser(prog="tests/chaos/run", description=__doc__)
    parser.add_argument("--seed", action="append", help="may be repeated; else one is drawn")
    parser.add_argument("--runs", type=int, default=1, help="so many seeds are drawn")
    parser.add_argument("--seconds", type=float, default=30, help="of one seed")
    parser.add_argument("--minutes", type=float, help="of one seed")
    parser.add_argument("--clients", type=int, default=40, help="of HTTP")
    parser.add_argument("--talkers", type=int, default=8, help="of TCP")
    parser.add_argument("--keep", action="store_true", help="the logs and ledgers")
    parser.add_argument("--break", dest="spoil", default="",
                        help="mistakes of the backends, planted, so that the run has to fail: "
                        "byte, swap, double, lose, or some of them with commas")
    options = parser.parse_args()
    if options.minutes:
        options.seconds = 60 * options.minutes
    return options


def main():
    options = arguments()
    seeds = options.seed or [str(random.randrange(10 ** 6)) for _ in range(options.runs)]
    fine = [Run(options, seed)() for seed in seeds]
    print(f"{sum(fine)} passed, {len(fine) - sum(fine)} failed, 0 skipped")
    sys.exit(not all(fine))


if __name__ == "__main__":
    main()
