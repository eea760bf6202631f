# SPDX-License-Identifier: Apache-2.0
"""The corpus: each row of corpus/ played on each listener that it concerns."""
import contextlib

import pytest

from corpus import tables
from corpus.player import Stage
from harness.kube import EndpointsFile, endpoint, node, service, slice_of
from harness.server import Server

PLAYS = {f"{table} {row.id} {side}": (row, side)
         for table, rows in tables.TABLES.items() for row in rows for side in row.on}


class Theatre:
    """One sidecar with all kinds of listeners and one application; a row that fails may
    leave anything behind, so both are started anew for the next."""

    def __init__(self, start, folder):
        self._start = start
        self._folder = folder
        self._stack = None

    def open(self):
        if self._stack:
            return
        self._stack = contextlib.ExitStack()
        self.app = self._stack.enter_context(contextlib.closing(Server()))
        file = EndpointsFile(self._folder, service("app"), node("n"),
                             slice_of("app", self.app.port, endpoint(node="n")))
        self.nigh = self._start(INBOUND=f"127.0.0.1:0={self.app.port}", OUTBOUND="127.0.0.1:0",
                                ROUTES="127.0.0.1:0=app.shop:80", ENDPOINTS=file.setting,
                                NODE_NAME="n", MAX_REQUESTS="0", MAX_CONNECTION_AGE="0")
        self._stack.callback(self.nigh.stop)

    def close(self):
        if self._stack:
            self._stack.close()
        self._stack = None

    def play(self, row, side):
        self.open()
        host = self.app.addr if side == "outbound" else "app.test"
        try:
            Stage(self.app, self.nigh.addr(side), host, side).play(row)
        except BaseException:
            self.close()
            raise


@pytest.fixture(scope="module")
def theatre(shared_nigh, tmp_path_factory):
    with contextlib.closing(Theatre(shared_nigh, tmp_path_factory.mktemp("corpus"))) as place:
        yield place


@pytest.mark.parametrize("play", PLAYS)
def test_exchange(play, theatre):
    theatre.play(*PLAYS[play])


def test_names_are_unique():
    assert len(PLAYS) == sum(len(row.on) for rows in tables.TABLES.values() for row in rows)
