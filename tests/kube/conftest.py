# SPDX-License-Identifier: Apache-2.0
"""Fixtures of the tests against a real control plane; ../e2e has what these share."""
import contextlib
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "e2e"))
pytest.register_assert_rewrite("harness", "rig")

# pylint: disable=wrong-import-position
from harness.sidecar import find_binary
from rig.cluster import Cluster
from rig.world import World


@pytest.fixture(scope="session")
def binary():
    return find_binary()


@pytest.fixture(scope="session")
def cluster(tmp_path_factory):
    return Cluster(tmp_path_factory.mktemp("cluster"))


@pytest.fixture
def cleanup():
    """Closes what a test has opened, last first."""
    with contextlib.ExitStack() as stack:
        yield stack


@pytest.fixture
def world(cluster, binary, cleanup):
    return World(cluster, binary, cleanup)
