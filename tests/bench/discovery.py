# SPDX-License-Identifier: Apache-2.0
"""One service of 10,000 endpoints in 100 slices, live from an API server: time and memory
to the first answer, cost of an update, latency of the traffic meanwhile, and what a
thousand such sidecars would ask of a real API server.   tests/bench/discovery"""
import http.client
import json
import multiprocessing
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/e2e"))

# pylint: disable=wrong-import-position
from harness.api_server import ApiServer
from harness.backend import Backend
from harness.kube import endpoint, service, slice_of
from harness.sidecar import Sidecar

N_SLICES, PER_SLICE = 100, 100
N_UPDATES, UPDATES_PER_SECOND = 50, 10
LOAD_SECONDS = 6
WATCH_MEAN_S = 450          # a watch lives 300 to 600 s
TICKS = os.sysconf("SC_CLK_TCK")


def slices(port):
    def address(number):
        return f"127.{1 + number // 65025}.{number // 255 % 255}.{1 + number % 255}"
    return [slice_of("big", port, *(
        endpoint(address(n * PER_SLICE + i), node=f"node-{i}", zone=f"zone-{i % 3}")
        for i in range(PER_SLICE)), suffix=str(n)) for n in range(N_SLICES)]


def memory(pid):
    text = pathlib.Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    return {name: int(re.search(rf"{name}:\s+(\d+)", text)[1]) / 1024
            for name in ("RssAnon", "VmHWM")}


def cpu_ms(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text(encoding="ascii")
    user, system = fields.rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) * 1000 / TICKS


def get(addr, host):
    connection = http.client.HTTPConnection(*addr, timeout=30)
    began = time.monotonic()
    connection.request("GET", "/", headers={"Host": host})
    answer = connection.getresponse()
    assert answer.status == 200, answer.read()
    answer.read()
    connection.close()
    return (time.monotonic() - began) * 1000


def flip(api, objects):
    """Many updates: each changes the readiness of one endpoint of one slice."""
    for number in range(N_UPDATES):
        changed = objects[number % N_SLICES]
        ready = changed["endpoints"][0]["conditions"]
        ready["ready"] = not ready["ready"]
        api.apply(changed)
        time.sleep(1 / UPDATES_PER_SECOND)


def load(addr):
    """wrk for a while; its 50th and 99th percentile in ms."""
    with subprocess.Popen(
            ["taskset", "-c", "0", "wrk", "-t1", "-c8", f"-d{LOAD_SECONDS}s", "--latency",
             "-H", "Host: big.shop", f"http://{addr[0]}:{addr[1]}/"],
            stdout=subprocess.PIPE, text=True) as wrk:
        yield
        text = wrk.communicate()[0]
    assert "Non-2xx" not in text and "Socket errors" not in text, text
    units = {"us": 0.001, "ms": 1, "s": 1000}
    yield [float(value) * units[unit] for value, unit in
           re.findall(r"(?:50|99)%\s+([\d.]+)(us|ms|s)", text)]


def percentiles(addr, meanwhile):
    running = load(addr)
    next(running)
    meanwhile()
    return next(running)


def serve(ports):
    """The application behind all endpoints, in a process of its own."""
    os.sched_setaffinity(0, {0})
    ports.send(Backend("big", host="0.0.0.0").port)
    time.sleep(3600)


def main():
    os.sched_setaffinity(0, {0})
    ours, theirs = multiprocessing.Pipe()
    backend = multiprocessing.Process(target=serve, args=(theirs,), daemon=True)
    backend.start()
    run(ROOT / "build-release/nigh", ours.recv())
    backend.kill()


def run(binary, port):
    objects = slices(port)
    api = ApiServer(service("big"), *objects)
    folder = pathlib.Path(tempfile.mkdtemp())
    side = Sidecar(str(binary), {
        "ADMIN": "127.0.0.1:0", "OUTBOUND": "127.0.0.1:0", "WORKERS": "1",
        "ENDPOINTS": "kubernetes", "KUBECONFIG": api.kubeconfig(folder),
        "NAMESPACE": "shop", "DISCOVERY_WAIT": "30s"}).wait_ready()
    os.sched_setaffinity(side.pid, {1})
    addr = side.addr("outbound")
    before, cpu_before = memory(side.pid), cpu_ms(side.pid)
    first = get(addr, "big.shop")
    after, cpu_first = memory(side.pid), cpu_ms(side.pid) - cpu_before
    size = len(json.dumps(objects)) / 1024
    print(f"list of {size:.0f} KiB: first answer after {first:.0f} ms, "
          f"{cpu_first:.0f} ms of CPU")
    print(f"anonymous memory: {before['RssAnon']:.1f} MiB before, "
          f"{after['RssAnon']:.1f} after; peak resident {after['VmHWM']:.1f}")
    cpu_before = cpu_ms(side.pid)
    flip(api, objects)
    time.sleep(0.5)
    print(f"an update: {(cpu_ms(side.pid) - cpu_before) / N_UPDATES:.1f} ms of CPU; "
          f"anonymous memory {memory(side.pid)['RssAnon']:.1f} MiB after {N_UPDATES}")
    quiet = percentiles(addr, lambda: None)
    busy = percentiles(addr, lambda: flip(api, objects))
    print(f"latency p50, p99: {quiet} ms quiet, {busy} ms at "
          f"{UPDATES_PER_SECOND} updates a second")
    lists, watches = len(api.seen(watch=False)), len(api.seen(watch=True))
    print(f"asked so far: {lists} lists, {watches} watches; 1,000 such sidecars: "
          f"{watches * 3600 / WATCH_MEAN_S * 1000:.0f} watch requests an hour, "
          f"{lists * 1000} lists once")
    side.stop()
    api.close()


if __name__ == "__main__":
    main()
