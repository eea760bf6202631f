# SPDX-License-Identifier: Apache-2.0
"""What the kernel knows: of TCP connections, how many bytes wait in its queues; and the
addresses of this machine."""
import contextlib
import ctypes
import os
import re

import pytest

from .peer import wait_until


def own_address():
    """An address of this machine that is not loopback, or skip."""
    with open("/proc/net/fib_trie", encoding="ascii") as file:
        found = re.findall(r"\|-- (?!127\.)(\S+)\n +/32 host LOCAL", file.read())
    if not found:
        pytest.skip("this machine has no address but loopback")
    return found[0]


def _rows():
    """(local port, remote port, unacknowledged, unread) of every socket."""
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with open(table, encoding="ascii") as file:
            for line in list(file)[1:]:
                _, local, remote, _, queues = line.split()[:5]
                out, unread = queues.split(":")
                yield (int(local.rpartition(":")[2], 16), int(remote.rpartition(":")[2], 16),
                       int(out, 16), int(unread, 16))


def unread_at(peer):
    """Bytes that the kernel holds for the process at the other end, which it has not
    read."""
    ends = peer.sock.getpeername()[1], peer.sock.getsockname()[1]
    return sum(unread for local, remote, _, unread in _rows() if (local, remote) == ends)


def held_between(sent, source, sink):
    """Of the bytes sent into source and not read from sink, how many are in no
    queue of the kernel, once none moves: so many hold the processes between the two."""
    ends = set()
    for peer in (source, sink):
        near, far = peer.sock.getsockname()[1], peer.sock.getpeername()[1]
        ends |= {(near, far), (far, near)}
    seen = []

    def stands_still():     # the table is read while what it tells may change
        seen.append(sorted(row for row in _rows() if row[:2] in ends))
        return seen[-1] in seen[-3:-1]
    wait_until(stands_still, "no byte moves", pause=0.05)
    queued = sum(out + unread for _, _, out, unread in seen[-1])
    return sent - queued - len(sink.pending)


PTRACE_INTERRUPT, PTRACE_DETACH, PTRACE_SEIZE = 0x4207, 17, 0x4206
WALL = 0x40000000   # __WALL: threads too


@contextlib.contextmanager
def thread_stopped(tid):
    """One thread stands still, the others of its process go on."""
    def ptrace(request):
        if ctypes.CDLL(None, use_errno=True).ptrace(request, tid, None, None):
            pytest.skip(f"ptrace: {os.strerror(ctypes.get_errno())}")
    ptrace(PTRACE_SEIZE)
    try:
        ptrace(PTRACE_INTERRUPT)
        os.waitpid(tid, WALL)
        yield
    finally:
        ptrace(PTRACE_DETACH)
