# SPDX-License-Identifier: Apache-2.0
"""The world: two calling sidecars; the service `web`, each pod of which has a sidecar of
its own; the service `bare`, whose pods have none; an endpoints file; and clients. Every pod
has a loopback address, so that it can come back where it was."""
import asyncio
import collections
import contextlib
import os
import pathlib
import re
import signal
import socket
import sys
import time

from harness.sidecar import check_report, environment

from .plan import Content, rng_of

ROOT = pathlib.Path(__file__).resolve().parents[1]
CAP = 20                # NIGH_MAX_REQUESTS

Event = collections.namedtuple("Event", "begin end kind who")
# caller: the name of a calling sidecar, or None for straight to a pod's; form: how the
# request names the service; tunnel: what a TCP connection begins with: CONNECT, upgrade
# or nothing.
Way = collections.namedtuple("Way", "caller service form tunnel", defaults=("",))


class Fault(Exception):
    """The world itself does not work as it should."""


def free_port(host):
    """Chosen by the kernel."""
    with socket.create_server((host, 0)) as sock:
        return sock.getsockname()[1]


class Process:
    """A program that is started again and again; its output is one file."""

    def __init__(self, folder, name, argv, env=None):
        self.name, self.argv, self.env = name, argv, env
        self.path = folder / f"{name}.log"
        self.path.touch()
        self.process = None
        self.ended_by = None        # the signal that we sent it last

    async def start(self, ready):
        at = self.path.stat().st_size
        self.ended_by = None
        with open(self.path, "ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                *self.argv, env=self.env, stdin=asyncio.subprocess.DEVNULL, stdout=log,
                stderr=log)
        for _ in range(3000):
            with open(self.path, encoding="utf-8", errors="replace") as log:
                log.seek(at)
                if ready in log.read():
                    return
            if self.process.returncode is not None:
                break
            await asyncio.sleep(0.01)
        raise Fault(f"{self.name} has not started: see {self.path}")

    def signal(self, number):
        self.ended_by = number
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(number)

    async def kill(self):
        self.signal(signal.SIGKILL)
        await self.process.wait()

    async def wait(self, seconds=40):
        try:
            return await asyncio.wait_for(self.process.wait(), seconds)
        except asyncio.TimeoutError:
            raise Fault(f"{self.name} does not end") from None

    @property
    def is_dead_unasked(self):
        return self.process.returncode is not None and self.ended_by is None

    def check(self):
        check_report(self.path.read_text(encoding="utf-8", errors="replace"), 0)


class Sidecar(Process):
    """A nigh."""

    def __init__(self, folder, binary, name, settings):
        super().__init__(folder, name, [binary],
                         environment({"ACCESS_LOG": "on", "MAX_REQUESTS": CAP, **settings}))
        self.settings = settings

    async def start(self, ready="event=ready"):
        await super().start(ready)

    async def ask_to_drain(self):
        await self.ask("POST /drain")

    async def ask(self, what):
        host, port = self.settings["ADMIN"].split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(f"{what} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode())
        answer = await reader.read()
        writer.close()
        return answer


class Pod:
    """An application, and its sidecar if it has one."""

    def __init__(self, world, number, has_side, settings):
        self.name = f"{'web' if has_side else 'bare'}{number}"
        self.has_side = has_side
        self.host = f"{world.net}.{number + 1 + 100 * (not has_side)}"
        app_http, app_tcp, http, tcp = (world.port(self.host) for _ in range(4))
        admin = world.port(world.host)
        self.port, self.tcp_port = (http, tcp) if has_side else (app_http, app_tcp)
        self.stay = 0.0
        self.node, self.zone = f"node-{number}", "ab"[number % 2]
        self.listed = True
        self.delay = settings.pop("delay", 0)
        self.app = Process(world.folder, f"{self.name}-app", [
            sys.executable, "-m", "chaos.backend", "--name", self.name, "--seed", world.seed,
            "--host", self.host, "--http", str(app_http), "--tcp", str(app_tcp),
            "--ledger", str(world.folder / f"{self.name}.ledger"),
            "--attempts", str(world.folder / "attempts"), "--spoil", world.spoil,
            "--stay", str(self.delay + 0.4 if has_side else 0)],
            {**os.environ, "PYTHONPATH": str(ROOT)})
        self.side = has_side and Sidecar(world.folder, world.binary, f"{self.name}-side", {
            "INBOUND": f"{self.host}:{http}={self.host}:{app_http},"
                       f"{self.host}:{tcp}={self.host}:{app_tcp}/tcp",
            "OUTBOUND": "off", "ADMIN": f"{world.host}:{admin}", "POD_IP": self.host,
            "DRAIN_DELAY": f"{int(self.delay * 1000)}ms", "DRAIN_TIMEOUT": "35s",
            **settings})

    async def start(self):
        await self.app.start("ready")
        if self.side:
            await self.side.start()

    @property
    def processes(self):
        return [self.app, self.side] if self.side else [self.app]


class Caller:
    """A calling sidecar, and its application's view of it."""

    def __init__(self, world, number, settings):
        self.name = f"caller{number}"
        admin, general, *routes = (world.port(world.host) for _ in range(6))
        self.general = (world.host, general)
        names = ["web.shop:80", "bare.shop:80", "web.shop:5432/tcp", "bare.shop:5432/tcp"]
        self.routes = {name: (world.host, port) for name, port in zip(names, routes)}
        self.is_paused = False
        self.n_calling = 0
        self.side = Sidecar(world.folder, world.binary, self.name, {
            "OUTBOUND": f"{world.host}:{general}", "ADMIN": f"{world.host}:{admin}",
            "ROUTES": ",".join(f"{world.host}:{port}={name}"
                               for name, port in zip(names, routes)),
            "NAMESPACE": "shop", "DRAIN_TIMEOUT": "35s", **settings})


class World:
    """Everything that runs, and what has happened."""

    def __init__(self, seed, folder, binary, files, spoil=""):
        self.seed, self.folder, self.binary, self.spoil = seed, folder, binary, spoil
        self.content = Content(seed)
        self.files = files
        self.results, self.talks, self.events, self.faults = [], [], [], []
        self.is_over = False
        self.publishing = asyncio.Lock()        # somebody writes the file
        self.damaging = asyncio.Lock()          # it is not to be read
        pid = os.getpid()
        self.net = f"127.{16 + pid % 200}.{1 + pid // 200 % 250}"
        self.host = f"{self.net}.254"   # no client's own port is taken from this address
        self._ports = set()
        (folder / "attempts").mkdir()
        rng = rng_of(seed, "world")
        self.web = [Pod(self, n, True, self._side_settings(rng)) for n in range(4)]
        self.bare = [Pod(self, n, False, {}) for n in range(3)]
        self.callers = [Caller(self, n, self._caller_settings(rng, n)) for n in range(2)]

    def _side_settings(self, rng):
        settings = {"WORKERS": rng.choice([1, 1, 2]), "delay": rng.choice([0.3, 0.5, 1.0])}
        if rng.random() < 0.5:
            settings |= {"SERVICE": "web.shop", "ENDPOINTS": self.files[0].setting,
                         "REBALANCE": "300ms", "REBALANCE_INTERVAL": "1s"}
        else:
            settings["ENDPOINTS"] = "dns"
        return settings | self._common_settings(rng)

    def _caller_settings(self, rng, number):
        place = {"NODE_NAME": "node-0", "ZONE": "a"} if rng.random() < 0.6 else {}
        return {"WORKERS": 1 + number, "ENDPOINTS": self.files[number].setting,
                **place, **self._common_settings(rng)}

    @staticmethod
    def _common_settings(rng):
        return {"POOL_IDLE_TIMEOUT": rng.choice(["3s", "3s", "50ms"]),
                "MAX_CONNECTION_AGE": rng.choice(["5m", "5m", "700ms"])}

    def port(self, host):
        """No two alike, at whatever address."""
        while (port := free_port(host)) in self._ports:
            pass
        self._ports.add(port)
        return port

    @property
    def pods(self):
        return self.web + self.bare

    # --- the beginning and the end ---

    async def start(self):
        await asyncio.gather(*(pod.start() for pod in self.pods))
        await asyncio.gather(*(caller.side.start() for caller in self.callers))

    @property
    def processes(self):
        return [process for pod in self.pods for process in pod.processes] + [
            caller.side for caller in self.callers]

    async def end(self):
        """In good order; what a sanitizer has to say comes at the exit."""
        for process in self.processes:
            if process.process and process.is_dead_unasked:
                self.faults.append(f"{process.name} has ended by itself with "
                                   f"{process.process.returncode}: see {process.path}")
        sides = [process for process in self.processes if isinstance(process, Sidecar)]
        running = [side for side in sides
                   if side.process and side.process.returncode is None]
        await asyncio.gather(*(self._check_rest(side) for side in running))
        for side in running:
            side.signal(signal.SIGTERM)
            side.signal(signal.SIGINT)
        for side in running:
            if await side.wait() not in (0, 1):
                self.faults.append(f"{side.name} ended with {side.process.returncode}")
        for side in sides:
            try:
                side.check()
            except AssertionError as report:
                self.faults.append(f"{side.name}: {str(report)[-3000:]}")
        await self.kill_all()

    async def _check_rest(self, side):
        """Nobody calls any more: what is still counted has been forgotten."""
        for _ in range(100):
            text = (await side.ask("GET /metrics")).decode()
            left = [line for line in text.split("\n") if re.match(
                r"nigh_(connections|requests_in_flight)\{.* [1-9]", line)]
            if not left:
                break
            await asyncio.sleep(0.1)
        else:
            self.faults.append(f"{side.name} has not come to rest: {left}")
        (self.folder / f"{side.name}.metrics").write_text(text)

    async def kill_all(self):
        for process in self.processes:
            if process.process and process.process.returncode is None:
                await process.kill()

    # --- what has happened ---

    @contextlib.contextmanager
    def happens(self, kind, who):
        """An event lasts until its traces are gone."""
        begin = time.monotonic()
        try:
            yield
        finally:
            self.events.append(Event(begin, time.monotonic(), kind, who))

    # --- what the clients ask ---

    async def may_call(self, _client):
        return not self.is_over

    def draw_way(self, rng):
        caller = rng.choice(["caller0", "caller1", "caller0", "caller1", None])
        if not caller:
            return Way(None, "web", "direct")
        return Way(caller, rng.choice(["web", "web", "bare"]),
                   rng.choice(["route", "absolute", "host"]))

    def draw_tcp_way(self, rng):
        caller = rng.choice(["caller0", "caller1", None])
        if not caller:
            return Way(None, "web", *rng.choice([("direct tcp",), ("direct", "upgrade")]))
        return Way(caller, rng.choice(["web", "bare"]), *rng.choice(
            [("tcp",), ("host", "CONNECT"), ("route", "upgrade")]))

    def wants_pause(self, way):
        return bool(way.caller) and self.caller(way.caller).is_paused

    def caller(self, name):
        return next(caller for caller in self.callers if caller.name == name)

    @contextlib.asynccontextmanager
    async def calling(self, way):
        """(address, pod, Host, what stands before the path) of a call on this way."""
        if not way.caller:
            pod = await self._any_in_view()
            port = pod.tcp_port if "tcp" in way.form else pod.port
            yield (pod.host, port), pod.name, "web.shop", ""
            return
        caller = self.caller(way.caller)
        while caller.is_paused:
            await asyncio.sleep(0.01)
        caller.n_calling += 1
        try:
            yield self._target(caller, way)
        finally:
            caller.n_calling -= 1

    @staticmethod
    def _target(caller, way):
        host = f"{way.service}.shop"
        if way.form == "route":
            return caller.routes[f"{host}:80"], None, "localhost", ""
        if way.form == "tcp":
            return caller.routes[f"{host}:5432/tcp"], None, host, ""
        return (caller.general, None, host,
                f"http://{host}" if way.form == "absolute" else "")

    async def _any_in_view(self):
        """As kube-proxy: one of those that are listed."""
        while not (listed := [pod for pod in self.web if pod.listed]):
            await asyncio.sleep(0.01)
        self._next = getattr(self, "_next", 0) + 1
        return listed[self._next % len(listed)]
