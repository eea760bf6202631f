# SPDX-License-Identifier: Apache-2.0
"""The real thing, short: two worlds that are to be fine, and one with planted mistakes,
each of which is to be found. They run side by side: most of the time they wait."""
import pathlib
import shutil
import subprocess

import pytest

RUN = pathlib.Path(__file__).parent / "run"
WORLDS = {"1": (), "2": (), "3": ("--break", "byte,swap,double,lose")}


@pytest.fixture(scope="module", name="worlds")
def start_worlds():
    """Seed -> (exit status, what it has printed)."""
    # pylint: disable=consider-using-with
    started = {seed: subprocess.Popen(
        [RUN, "--seconds", "6", "--clients", "30", "--seed", seed, *more], text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT) for seed, more in WORLDS.items()}
    try:
        return {seed: (process.communicate(timeout=250)[0], process.returncode)
                for seed, process in started.items()}
    finally:
        for process in started.values():
            process.kill()


@pytest.mark.parametrize("seed", ["1", "2"])
def test_nothing_lost_nothing_doubled(seed, worlds):
    output, status = worlds[seed]
    print(output)                       # shown if it fails
    assert status == 0
    assert output.endswith("1 passed, 0 failed, 0 skipped\n")
    assert f"tests/chaos/run --seed {seed} --seconds 6 --clients 30" in output


def test_planted_mistakes_are_found(worlds):
    output, status = worlds["3"]
    print(output)
    assert status == 1
    folder = pathlib.Path(output.split("all that was written is in ")[1].split("\n")[0])
    problems = (folder / "problems").read_text()
    shutil.rmtree(folder)
    for what in ("response: byte 0 of", "the response of", "came twice, and is not idempotent",
                 "a failure without a reason"):
        assert what in problems, what
