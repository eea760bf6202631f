# SPDX-License-Identifier: Apache-2.0
"""Fixtures.  NIGH names the binary; everything else comes from the kernel."""
import contextlib
import os

import pytest

pytest.register_assert_rewrite("harness")

# pylint: disable=wrong-import-position
from harness import faults as faults_of
from harness.backend import Backend
from harness.certificates import make_all
from harness.server import Server
from harness.sidecar import Sidecar, find_binary, run_command


@pytest.fixture(scope="session")
def binary():
    return find_binary()


@pytest.fixture
def cleanup():
    """Closes what a test has opened, last first."""
    with contextlib.ExitStack() as stack:
        yield stack


@pytest.fixture
def server(cleanup):
    """server(): an application that the test answers for, by hand."""
    def start(**options):
        return cleanup.enter_context(contextlib.closing(Server(**options)))
    return start


@pytest.fixture
def backend(cleanup):
    """backend(): an application that answers by itself."""
    def start(name="backend", **options):
        return cleanup.enter_context(contextlib.closing(Backend(name, **options)))
    return start


class Starter:
    """Starts sidecars with quiet, quick and parallel-safe settings."""

    # Of a test that does not say how many workers; tests/tsan/run wants more than one.
    WORKERS = os.environ.get("NIGH_TEST_WORKERS", "1")
    # A pause between dialling and hearing of the connection is no failure.
    BASE = {"ADMIN": "127.0.0.1:0", "OUTBOUND": "off", "DRAIN_DELAY": "0s",
            "WORKERS": WORKERS, "CONNECT_TIMEOUT": "30s"}

    def __init__(self, binary, stack, prefix=()):
        self.binary = binary
        self._stack = stack
        self._prefix = prefix

    def __call__(self, **settings):
        side = Sidecar(self.binary, {**self.BASE, **settings}, self._prefix)
        self._stack.callback(side.stop)
        return side.wait_ready()

    def inbound(self, app, kind="http", **settings):
        """In front of one application."""
        return self(INBOUND=f"127.0.0.1:0={app.port}/{kind}", **settings)

    def outbound(self, **settings):
        return self(**{"OUTBOUND": "127.0.0.1:0", **settings})

    def route(self, service, **settings):
        """One listener for one service."""
        return self(ROUTES=f"127.0.0.1:0={service}", **settings)

    def run(self, *arguments, **settings):
        return run_command(self.binary, *arguments, **settings)


@pytest.fixture
def nigh(binary, cleanup):
    return Starter(binary, cleanup)


@pytest.fixture(scope="module")
def shared_nigh(binary):
    """For tables whose rows leave nothing behind: one process for a module."""
    with contextlib.ExitStack() as stack:
        yield Starter(binary, stack)


@pytest.fixture(scope="session")
def certs(tmp_path_factory):
    """The folder of those that harness.certificates makes."""
    return make_all(tmp_path_factory.mktemp("certs"))


@pytest.fixture(scope="session")
def faults_library(tmp_path_factory):
    return faults_of.build(tmp_path_factory.mktemp("faults"))


@pytest.fixture
def faults(faults_library, tmp_path):
    """Lets calls of the sidecars that `frail` starts fail."""
    return faults_of.Faults(faults_library, tmp_path)


@pytest.fixture
def frail(binary, cleanup, faults):
    """As nigh, with `faults` under it."""
    return Starter(binary, cleanup, faults.prefix)
