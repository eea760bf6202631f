# SPDX-License-Identifier: Apache-2.0
"""The real binary as a process, configured by its environment only."""
import contextlib
import http.client
import json
import os
import re
import shlex
import signal
import subprocess
import threading
import time

from .metrics import Metrics
from .peer import DEADLINE, connect, wait_until

# A sanitizer report must not hide behind an exit status that nigh uses.
SANITIZER_STATUS = 99
SANITIZER = {
    "ASAN_OPTIONS": f"exitcode={SANITIZER_STATUS}:detect_leaks=1:quarantine_size_mb=16",
    "UBSAN_OPTIONS": f"exitcode={SANITIZER_STATUS}:halt_on_error=1:print_stacktrace=1",
    "LSAN_OPTIONS": f"exitcode={SANITIZER_STATUS}",
    "TSAN_OPTIONS": f"exitcode={SANITIZER_STATUS}:halt_on_error=1",
}
REPORT = re.compile(r"ERROR: \w+Sanitizer|WARNING: ThreadSanitizer|runtime error:"
                    r"|[Aa]ssertion .* failed")


# ThreadSanitizer's runtime forgets one signal in a hundred on a busy machine: what nigh
# has not logged is sent again.
LOSES_SIGNALS = "NIGH_TEST_LOSES_SIGNALS" in os.environ
# What nigh is run under, such as valgrind.
WRAPPER = shlex.split(os.environ.get("NIGH_TEST_WRAPPER", ""))
# Of the environment of each nigh, where a test does not say otherwise.
DEFAULTS = dict(pair.split("=", 1)
                for pair in os.environ.get("NIGH_TEST_DEFAULTS", "").split())


def environment(settings):
    """The whole environment of the process: NAME=value becomes NIGH_NAME, and what is
    not all capitals stays as it is."""
    env = {"PATH": os.environ["PATH"], **SANITIZER, **DEFAULTS}
    env.update({("NIGH_" if name.isupper() else "") + name: str(value)
                for name, value in settings.items()})
    return env


def check_report(output, status):
    found = REPORT.search(output)
    assert not found and status != SANITIZER_STATUS, f"sanitizer or assert:\n{output}"


def run_command(binary, *arguments, timeout=30, **settings):
    """Run nigh with arguments to its end."""
    done = subprocess.run([*WRAPPER, binary, *arguments], env=environment(settings), text=True,
                          stdin=subprocess.DEVNULL, capture_output=True,
                          timeout=timeout, check=False)
    check_report(done.stdout + done.stderr, done.returncode)
    return done


def find_binary():
    """What NIGH names."""
    path = os.environ.get("NIGH")
    assert path, "set NIGH to the binary, for example NIGH=build/nigh"
    path = os.path.realpath(path)
    assert os.access(path, os.X_OK), f"NIGH={path} cannot be run"
    return path


def parse_addr(text):
    host, _, port = text.rpartition(":")
    return host.strip("[]"), int(port)


def fields_of(line):
    """The key=value pairs of a log line, text or JSON."""
    if line.startswith("{"):
        return json.loads(line)
    return {key: value.strip('"')
            for key, value in re.findall(r'(\S+?)=("(?:[^"\\]|\\.)*"|\S*)', line)}


class Sidecar:
    """A running nigh; prefix: a command that becomes it."""

    def __init__(self, binary, settings, prefix=()):
        self.lines = []             # of its log
        self._news = threading.Condition()
        self._process = subprocess.Popen(
            [*prefix, *WRAPPER, binary], env=environment(settings), text=True, errors="replace",
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.pid = self._process.pid
        self._readers = [threading.Thread(target=self._read, args=(pipe,), daemon=True)
                         for pipe in (self._process.stdout, self._process.stderr)]
        for reader in self._readers:
            reader.start()

    def _read(self, pipe):
        for line in pipe:
            with self._news:
                self.lines.append(line.rstrip("\n"))
                self._news.notify_all()
        with self._news:
            self._news.notify_all()
        pipe.close()

    @property
    def log(self):
        return "\n".join(self.lines)

    # --- log lines and addresses ---

    def wait_line(self, matches, what, deadline=DEADLINE):
        """The first log line, old or new, for which matches(line) is true."""
        def find():
            return next((line for line in self.lines if matches(line)), None)
        with self._news:
            self._news.wait_for(lambda: find() or self.is_gone(), deadline)
            line = find()
        assert line, f"no log line: {what}\n{self.log}"
        return line

    def wait_event(self, event, deadline=DEADLINE, **fields):
        """The fields of the first line of this event that has these values."""
        def matches(line):
            have = fields_of(line)
            return have.get("event") == event and fields.items() <= have.items()
        return fields_of(self.wait_line(matches, f"event={event} {fields}", deadline))

    def wait_ready(self):
        self.wait_event("ready")
        return self

    def listeners(self, side):
        found = [fields_of(line) for line in list(self.lines)]
        return [(parse_addr(line["addr"]), line.get("target", "")) for line in found
                if line.get("event") == "listening" and line.get("side") == side]

    def addr(self, side, target=""):
        """The first address of a side, as the log said it."""
        addrs = [addr for addr, to in self.listeners(side) if target in to]
        assert addrs, f"nothing listens: {side} {target}\n{self.log}"
        return addrs[0]

    def client(self, side="inbound", **options):
        return connect(self.addr(side), **options)

    # --- admin port ---

    def admin(self, path, method="GET"):
        """(status, body) of one call."""
        conn = http.client.HTTPConnection(*self.addr("admin"), timeout=DEADLINE)
        try:
            conn.request(method, path)
            answer = conn.getresponse()
            return answer.status, answer.read().decode()
        finally:
            conn.close()

    def json(self, path):
        status, body = self.admin(path)
        assert status == 200, f"{path}: {status} {body}"
        return json.loads(body)

    def metrics(self):
        status, body = self.admin("/metrics")
        assert status == 200
        return Metrics(body)

    def total(self, name, **labels):
        return self.metrics().total(name, **labels)

    def wait_total(self, name, want, deadline=DEADLINE, **labels):
        """Counters are summed when asked for: wait until one has its value."""
        end = time.monotonic() + deadline
        while True:
            is_late = time.monotonic() > end    # as in wait_until
            have = self.total(name, **labels)
            if have == want:
                return
            assert not is_late, f"{name}{labels} is {have}, want {want}"
            time.sleep(0.01)

    # --- process ---

    def rss_kib(self):
        with open(f"/proc/{self.pid}/status", encoding="ascii") as file:
            return int(re.search(r"VmRSS:\s+(\d+)", file.read())[1])

    def has_own_memory(self):
        """Nothing of a sanitizer or of valgrind, which need many times as much."""
        with open(f"/proc/{self.pid}/maps", encoding="utf-8") as file:
            maps = file.read()
        return not any(name in maps for name in ("libasan", "libtsan", "valgrind"))

    def signal(self, number=signal.SIGTERM):
        before = self._n_signals()
        self._process.send_signal(number)
        if LOSES_SIGNALS and number == signal.SIGTERM:
            with self._news:
                came = self._news.wait_for(
                    lambda: self._n_signals() > before or self.is_gone(), 10)
            if not came:
                self._process.send_signal(number)

    def _n_signals(self):
        return sum(" event=signal " in line for line in self.lines)

    def is_gone(self):
        return self._process.poll() is not None

    def wait(self, deadline=DEADLINE):
        """The exit status, once it has ended and the log is complete."""
        try:
            status = self._process.wait(deadline)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"still running after {deadline:g} s\n{self.log}") from None
        for reader in self._readers:
            reader.join(DEADLINE)
        check_report(self.log, status)
        return status

    def stop(self):
        """End it at once.  It must not have ended before by itself."""
        if self.is_gone():
            status = self.wait()
            assert status in (0, 1), f"ended with {status}\n{self.log}"
            return
        self.signal(signal.SIGTERM)
        self.signal(signal.SIGINT)
        try:
            status = self.wait(20)
        finally:
            self._process.kill()
        assert status in (0, 1), f"ended with {status}\n{self.log}"


@contextlib.contextmanager
def stopped(side):
    """The sidecar sees all that happens within at once."""
    def state():
        with open(f"/proc/{side.pid}/stat", encoding="ascii") as file:
            return file.read().rpartition(")")[2].split()[0]
    side.signal(signal.SIGSTOP)
    wait_until(lambda: state() == "T", "nigh is stopped", pause=0.0005)
    try:
        yield
    finally:
        side.signal(signal.SIGCONT)
