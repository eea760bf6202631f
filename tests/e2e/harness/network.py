# SPDX-License-Identifier: Apache-2.0
"""A network of one's own, in which packets can be lost."""
import ctypes
import fcntl
import os
import socket
import struct
import subprocess
import threading

import pytest

CLONE_NEWNET = 0x40000000
SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP = 0x8913, 0x8914, 1


def _enter():
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "no network namespace")
    with socket.socket() as sock:
        request = struct.pack("16sH14x", b"lo", 0)
        flags = struct.unpack("16sH14x", fcntl.ioctl(sock, SIOCGIFFLAGS, request))[1]
        fcntl.ioctl(sock, SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", flags | IFF_UP))


def alone(test):
    """test() with a network of its own, which only has loopback: a thread can have one,
    and what it starts and opens is in it. That takes root."""
    if os.geteuid() != 0:
        pytest.skip("a network namespace takes root")
    failure = []

    def run():
        try:
            _enter()
            test()
        except BaseException as error:      # pylint: disable=broad-exception-caught
            failure.append(error)
    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if failure:
        raise failure[0]


def drop(match):
    """Packets that match are lost, until undo()."""
    def nft(*words):
        subprocess.run(["nft", *words], check=True)
    nft("add table inet faults")
    nft("add chain inet faults input { type filter hook input priority 0; }")
    nft(f"add rule inet faults input {match} drop")
    return lambda: nft("delete table inet faults")
