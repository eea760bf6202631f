# SPDX-License-Identifier: Apache-2.0
"""Heap calls of a program that is started with heap.c preloaded."""

import struct
import subprocess
import tempfile
from pathlib import Path

SOURCE = Path(__file__).with_suffix(".c")
N_BYTES = 8


class HeapCounter:
    """`with HeapCounter(folder) as counter:` and counter.environment for the program. One
    that brings its own allocator along counts nothing, not even its start."""

    def __init__(self, folder):
        self.library = folder / "heap.so"
        subprocess.run(["cc", "-O2", "-shared", "-fPIC", "-o", self.library, SOURCE],
                       check=True)
        self.file = tempfile.NamedTemporaryFile()
        self.file.write(bytes(N_BYTES))
        self.file.flush()
        self.environment = {"LD_PRELOAD": str(self.library), "HEAP_COUNT": self.file.name}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.file.close()

    def calls(self):
        return struct.unpack("Q", Path(self.file.name).read_bytes())[0]
