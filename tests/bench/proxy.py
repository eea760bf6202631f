# SPDX-License-Identifier: Apache-2.0
"""One running proxy: started on a core of its own, looked at from outside, stopped."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

from peers import DIRECT, Place

START_SECONDS = 10
SETTLE_SECONDS = 0.2    # nginx listens before its worker runs


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def place_on(core, urgent):
    """This process on that core, before all others where that is permitted."""
    os.sched_setaffinity(0, {core})
    if urgent and os.getuid() == 0:
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, 0, -20)


class Proxy:
    """`with Proxy(peer, tools, core) as proxy:` is a peer that accepts connections."""

    def __init__(self, peer, tools, core, urgent=False):
        self.peer = peer
        self.core = core
        self.urgent = urgent
        self.process = None
        backend = free_port()
        port = backend if peer is DIRECT else free_port()
        self.place = Place(Path(tempfile.mkdtemp(prefix="bench-")), tools, port, backend)

    def __enter__(self):
        if self.peer is DIRECT:
            return self
        log = self.place.directory / "log"
        clean = {k: v for k, v in os.environ.items() if not k.startswith("NIGH_")}
        with open(log, "wb") as out:
            self.process = subprocess.Popen(
                [str(word) for word in self.peer.command(self.place)],
                env=clean | self.peer.environment(self.place), stdout=out, stderr=out,
                preexec_fn=lambda: place_on(self.core, self.urgent))
        try:
            self._wait_until_it_accepts(log)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        # nigh drains at the first SIGTERM and ends at the second.
        for stop in (signal.SIGTERM, signal.SIGTERM, signal.SIGKILL):
            if not self.process:
                break
            self.process.send_signal(stop)
            try:
                self.process.wait(0.5)
                break
            except subprocess.TimeoutExpired:
                pass
        shutil.rmtree(self.place.directory, ignore_errors=True)

    def _wait_until_it_accepts(self, log):
        end = time.monotonic() + START_SECONDS
        while time.monotonic() < end and self.process.poll() is None:
            try:
                socket.create_connection(("127.0.0.1", self.place.port), 1).close()
                time.sleep(SETTLE_SECONDS)
                return
            except OSError:
                time.sleep(0.02)
        raise RuntimeError(f"{self.peer.name} does not start:\n{log.read_text()}")

    def processes(self):
        """Process ids: the one we started and its descendants."""
        found, queue = [], [self.process.pid] if self.process else []
        while queue:
            pid = queue.pop()
            found.append(pid)
            for task in Path(f"/proc/{pid}/task").iterdir():
                queue += [int(child) for child in (task / "children").read_text().split()]
        return found
