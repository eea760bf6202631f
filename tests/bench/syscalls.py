# SPDX-License-Identifier: Apache-2.0
"""System calls of a proxy while a load runs, by name. perf counts where it may (root and
a kernel with tracepoints): it hardly slows the proxy. strace works everywhere, but slows
it so much that each epoll_wait finds more to do than it would: that row then reads too
low."""

import contextlib
import signal
import subprocess
import tempfile
import time
from pathlib import Path

# perf takes long to arm all 350 tracepoints; what is not named here shows up as "other".
NAMED = ("read", "write", "readv", "writev", "recvfrom", "sendto", "recvmsg", "sendmsg",
         "splice", "epoll_wait", "epoll_ctl", "accept4", "socket", "connect", "shutdown",
         "close", "setsockopt", "getsockopt", "fcntl", "clock_gettime", "timerfd_settime")
TOTAL = "raw_syscalls:sys_enter"


def perf_works():
    try:
        return subprocess.run(["perf", "stat", "-e", TOTAL, "true"],
                              capture_output=True).returncode == 0
    except FileNotFoundError:
        return False


def count(pids, load):
    """Runs the command `load`; returns what it printed and {system call: times}."""
    with tempfile.NamedTemporaryFile("r") as report:
        run = with_perf if perf_works() else with_strace
        return run(pids, load, report)


def with_perf(pids, load, report):
    events = [TOTAL] + [f"syscalls:sys_enter_{name}" for name in NAMED]
    printed = subprocess.run(
        ["perf", "stat", "-x,", "-o", report.name, "-e", ",".join(events),
         "-p", ",".join(map(str, pids)), "--", *load],
        stdout=subprocess.PIPE, text=True).stdout
    seen = {}
    for line in report:
        columns = line.split(",")
        if len(columns) > 2 and columns[0].isdigit() and int(columns[0]):
            seen[columns[2].removeprefix("syscalls:sys_enter_")] = int(columns[0])
    total = seen.pop(TOTAL, 0)
    seen["other"] = total - sum(seen.values())
    return printed, seen


@contextlib.contextmanager
def strace(pids, *options):
    """Attached to all of them within."""
    tracer = subprocess.Popen(
        ["strace", "-q", "-f", *options,
         *(word for pid in pids for word in ("-p", str(pid)))], stderr=subprocess.DEVNULL)
    try:
        while tracer.poll() is None and not all(map(is_traced, pids)):
            time.sleep(0.01)
        yield
    finally:
        tracer.send_signal(signal.SIGINT)
        tracer.wait()


def with_strace(pids, load, report):
    with strace(pids, "-c", "-o", report.name):
        printed = subprocess.run(load, stdout=subprocess.PIPE, text=True).stdout
    seen = {}
    for line in report:         # % time, seconds, usecs/call, calls, [errors,] name
        columns = line.split()
        if len(columns) > 4 and columns[3].isdigit() and columns[-1] != "total":
            seen[columns[-1]] = int(columns[3])
    return printed, seen


def is_traced(pid):
    return "TracerPid:\t0\n" not in Path(f"/proc/{pid}/status").read_text()
