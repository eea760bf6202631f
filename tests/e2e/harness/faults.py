# SPDX-License-Identifier: Apache-2.0
"""Calls of nigh into libc that fail when the test says so: the library faults.c, which is
preloaded, and the page of memory that is shared with it."""
import contextlib
import ctypes
import errno
import mmap
import pathlib
import re
import subprocess
import tempfile
import time

from .peer import DEADLINE
from .sidecar import SANITIZER

SOURCE = pathlib.Path(__file__).with_name("faults.c")
FUNCTIONS = re.findall(r"\tX\((\w+)\)", SOURCE.read_text("ascii"))
MEMORY = ("malloc", "calloc", "realloc", "posix_memalign", "mmap")
FRAMES = 24
ALWAYS = 1 << 62


class Page(ctypes.Structure):
    """struct page of faults.c."""
    _fields_ = [("armed", ctypes.c_uint32), ("error", ctypes.c_int32), ("skip", ctypes.c_int64),
                ("times", ctypes.c_int64), ("seen", ctypes.c_int64),
                ("failed", ctypes.c_int64), ("n_blocks", ctypes.c_int64),
                ("clock_ms", ctypes.c_int64), ("who", ctypes.c_int32),
                ("n_frames", ctypes.c_int32), ("frames", ctypes.c_uint64 * FRAMES)]


def build(folder):
    """The library, made by the compiler that nigh was made by."""
    path = folder / "libfaults.so"
    subprocess.run(["cc", "-O2", "-g", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC",
                    "-fvisibility=hidden", "-o", path, SOURCE], check=True)
    return path


class Faults:
    """What one process is to suffer."""

    def __init__(self, library, folder):
        self.library = library
        with tempfile.NamedTemporaryFile(dir=folder, delete=False) as file:
            file.write(bytes(ctypes.sizeof(Page)))
            self.path = file.name
        with open(self.path, "r+b") as file:
            self._map = mmap.mmap(file.fileno(), 0)
        self.page = Page.from_buffer(self._map)

    @property
    def prefix(self):
        """The command before that of the sidecar that suffers it. We come before the
        sanitizer, which hears of each call that we let pass."""
        asan = SANITIZER["ASAN_OPTIONS"] + ":verify_asan_link_order=0"
        return ("env", f"LD_PRELOAD={self.library}", f"FAULTS_PAGE={self.path}",
                f"ASAN_OPTIONS={asan}")

    def _bits(self, names):
        return sum(1 << FUNCTIONS.index(name) for name in names)

    def arm(self, *names, error=errno.ENOMEM, skip=0, times=1):
        """The calls of these functions fail, after the first `skip`, so many times."""
        self.disarm()
        self.page.seen = self.page.failed = 0
        self.page.error, self.page.skip, self.page.times = error, skip, times
        self.page.armed = self._bits(names)

    def disarm(self):
        """How many have failed."""
        self.page.armed = 0
        return self.page.failed

    @contextlib.contextmanager
    def failing(self, *names, **how):
        self.arm(*names, **how)
        try:
            yield self
        finally:
            self.disarm()

    def steady_blocks(self, settle=0.05, deadline=DEADLINE):
        """The number of blocks in use, once it stands still."""
        end = time.monotonic() + deadline
        before, since = self.page.n_blocks, time.monotonic()
        while time.monotonic() - since < settle and time.monotonic() < end:
            time.sleep(0.005)
            if self.page.n_blocks != before:
                before, since = self.page.n_blocks, time.monotonic()
        return before

    def callers(self, side):
        """Who made the call that failed last, for the message of a test that fails."""
        maps = _maps_of(side.pid)
        return "\n".join(_where(maps, address)
                         for address in self.page.frames[:self.page.n_frames])


def _maps_of(pid):
    """(from, to, path) of what the process has mapped from files, and where each begins."""
    with open(f"/proc/{pid}/maps", encoding="ascii") as file:
        found = re.findall(r"^(\w+)-(\w+) \S+ \w+ \S+ \d+ +(/.*)$", file.read(), re.M)
    first = {}
    for low, _, path in found:
        first.setdefault(path, int(low, 16))
    return [(int(low, 16), int(high, 16), path, first[path]) for low, high, path in found]


def _where(maps, address):
    for low, high, path, first in maps:
        if low <= address < high:
            done = subprocess.run(["addr2line", "-Cfpe", path, hex(address - 1 - first)],
                                  capture_output=True, text=True, check=False)
            return done.stdout.strip() or path
    return hex(address)
