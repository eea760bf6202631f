# SPDX-License-Identifier: Apache-2.0
"""One run as the terminal shows it: a row per second, the events between them."""

import asyncio
import math
import os
import sys

from clients import CLIENTS, REQUESTS_PER_SECOND

COLOURS = sys.stdout.isatty() and "NO_COLOR" not in os.environ
BOLD, DIM, RED, GREEN, YELLOW = "1", "2", "31", "32", "33"


def paint(colour, text):
    return f"\033[{colour}m{text}\033[0m" if COLOURS else text


def introduce():
    print(paint(BOLD, "nigh: near, fresh, unbroken"))
    print(f"{CLIENTS} clients with a keep-alive connection each that they never close, "
          f"{CLIENTS * REQUESTS_PER_SECOND} requests/s;\n"
          "shares are counted by the clients from the name in each answer")


class Scene:
    def __init__(self, title, about, names, clients):
        self.title, self.names, self.clients = title, names, clients
        self.present = set()
        self.events = []        # (when, short label) for the plot
        self.rows = 0
        print(f"\n{paint(BOLD, title)}\n{about}\n")
        print(paint(DIM, "second  " + "".join(f"{name:>7}" for name in names)
                    + "   requests  failed"))

    def begin(self, present):
        self.present |= set(present)
        self.clients.start()

    async def watch(self, seconds):
        """Let it go on for so long."""
        end = self.clients.clock() + seconds
        while self.clients.clock() < end:
            next_row = self.rows + 1
            await asyncio.sleep(min(next_row, end) - self.clients.clock())
            if self.clients.clock() >= next_row:
                self.print_row()

    async def watch_for(self, n_answers, begin, most=30):
        """Until so many have come since then, but not for ever."""
        while (sum(self.clients.counts(begin, math.inf).values()) < n_answers
               and self.clients.clock() < begin + most):
            await self.watch(0.5)

    def print_row(self):
        begin, self.rows = self.rows, self.rows + 1
        counted = self.clients.counts(begin, self.rows)
        n_failed = self.clients.n_failed(begin, self.rows)
        total = sum(counted.values())
        cells = "".join(self.cell(name, counted.get(name, 0), total) for name in self.names)
        failed = paint(RED, f"{n_failed:8}") if n_failed else f"{0:8}"
        print(f"{self.rows:6}  {cells}{total:11}{failed}", flush=True)

    def cell(self, name, n, total):
        if n:
            return f"{max(1, round(100 * n / total)):5} %"
        return f"{0:5} %" if name in self.present else paint(DIM, f"{'·':>7}")

    def event(self, label, text, joins=(), leaves=()):
        """Marks the moment, in the terminal and in the plot; returns it."""
        self.present = (self.present | set(joins)) - set(leaves)
        when = self.clients.clock()
        self.events.append((when, label))
        print(paint(YELLOW, f"     ▸  {text}"), flush=True)
        return when

    async def end(self):
        await self.clients.stop()
        self.duration = self.clients.clock()
        while self.rows < math.floor(self.duration):
            self.print_row()


class Promises:
    """What was to be shown, and whether it was."""

    def __init__(self):
        self.rows = []      # (promise, what, seen, kept)

    def add(self, promise, what, seen, kept):
        self.rows.append((promise, what, seen, kept))

    def add_no_failure(self, what, clients, begin=0.0, end=math.inf, also="", kept=True):
        n_failed = clients.n_failed(begin, end)
        total = sum(clients.counts(begin, end).values()) + n_failed
        self.add("unbroken", what, f"{n_failed} of {total:,} failed{also}",
                 kept and not n_failed)

    def all_kept(self):
        return all(kept for *_, kept in self.rows)

    def print(self):
        print("\n" + paint(BOLD, "Summary, as the clients counted it"))
        for promise, what, seen, kept in self.rows:
            verdict = paint(GREEN, "ok    ") if kept else paint(RED, "BROKEN")
            print(f"  {verdict}  {promise:10}{what:52}{seen}")
