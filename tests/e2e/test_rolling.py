# SPDX-License-Identifier: Apache-2.0
"""A rolling restart under load costs nobody a request.

Each pod is an application and its sidecar; the callers learn of new and of removed
endpoints late, each at its own time, as kube-proxy and client libraries do."""
import contextlib
import itertools
import os
import random
import threading
import time

import pytest

from harness.application import Application
from harness.load import Call, Load
from harness.peer import wait_until

N_PODS = 4
N_CALLERS = 100
RATE = float(os.environ.get("NIGH_TEST_RATE", 600))
STAY = 6                # seconds that an application goes on serving after its signal
SPREAD = (0.5, 2)       # seconds after which a caller has heard of a removed endpoint


class Pod:
    def __init__(self, nigh, folder, name, **settings):
        self.app = Application(folder, name, stay=STAY)
        self.side = nigh.inbound(self.app, DRAIN_DELAY="9s", DRAIN_TIMEOUT="25s", **settings)
        self.addr = self.side.addr("inbound")

    def end_at_once(self):
        """Both get their signal at the same time."""
        self.app.signal()
        self.side.signal()
        self.app.wait()

    def end_in_order(self):
        """As a native sidecar: its hook runs at the beginning, its signal comes last."""
        assert self.side.admin("/drain", "POST")[0] in (200, 202)
        self.app.signal()
        self.app.wait()
        self.side.signal()

    def check_end(self):
        assert self.side.wait() == 0, self.side.log


class View:
    """The endpoints, as each caller knows them."""

    def __init__(self):
        self._rows = []         # [address, moments of removal by caller]

    def add(self, addr):
        self._rows = self._rows + [[addr, None]]

    def remove(self, addr):
        now = time.monotonic()
        moments = [now + random.uniform(*SPREAD) for _ in range(N_CALLERS)]
        for row in self._rows:
            if row[0] == addr:
                row[1] = moments

    def choose(self, caller):
        now = time.monotonic()
        return random.choice([addr for addr, gone in self._rows
                              if not gone or now < gone[caller]])


def mixed_calls():
    """Quick ones, some slow ones, a few very slow ones; POSTs of all sizes."""
    numbers = itertools.count()

    def make():
        path = random.choices(["/", f"/wait/{random.randint(1, 100)}", "/wait/2000"],
                              [0.95, 0.045, 0.005])[0]
        if random.random() < 0.6:
            return Call("GET", path)
        return Call("POST", path, b"%d " % next(numbers) * random.randint(1, 3000))
    return make


@pytest.mark.parametrize("workers", ["1", "2"])
@pytest.mark.parametrize("way", ["end_at_once", "end_in_order"])
def test_rolling_restart(way, workers, nigh, cleanup, tmp_path):
    view, names = View(), itertools.count()

    def start_pod():
        pod = Pod(nigh, tmp_path, f"pod{next(names)}", WORKERS=workers)
        cleanup.enter_context(contextlib.closing(pod.app))
        view.add(pod.addr)
        return pod

    pods = [start_pod() for _ in range(N_PODS)]
    with Load(mixed_calls(), view.choose, N_CALLERS, RATE) as load:
        wait_until(lambda: load.done > RATE / 2, "the load is there")
        enders = []
        for pod in pods:
            start_pod()
            view.remove(pod.addr)
            enders.append(threading.Thread(target=getattr(pod, way)))
            enders[-1].start()
            time.sleep(1)
        for ender in enders:
            ender.join(20)
    assert not load.failures, (len(load.failures), load.done, load.failures[:3])
    for pod in pods:
        pod.check_end()
