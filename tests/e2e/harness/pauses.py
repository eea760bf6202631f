# SPDX-License-Identifier: Apache-2.0
"""Tests that take a moment for granted. A shared machine may stop us, or nigh, for
seconds: what was seen then shows nothing, and the test begins anew."""
import contextlib
import functools
import time

TRIES = 3


class Paused(Exception):
    """It has taken too long to show anything."""


@contextlib.contextmanager
def within(seconds):
    """What is seen within counts only if it was seen in that time, right or wrong."""
    begin = time.monotonic()

    def check():
        took = time.monotonic() - begin
        if took > seconds:
            raise Paused(f"{took:.2f} s, not {seconds:g}")
    try:
        yield
    except Exception:
        check()
        raise
    check()


def patient(test):
    """Begins the test anew where a part of it was not done within its time."""
    @functools.wraps(test)
    def run(*arguments, **fixtures):
        pauses = []
        while len(pauses) < TRIES:
            try:
                return test(*arguments, **fixtures)
            except Paused as pause:
                pauses.append(str(pause))
                print(f"{test.__name__}: {pause}")
        raise AssertionError(f"never in time: {pauses}")
    return run
