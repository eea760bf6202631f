# SPDX-License-Identifier: Apache-2.0
"""The processes of the story: backends and sidecars. Each has a session of its own, so that
Ctrl-C reaches the story alone; whatever happens, `stop_all` ends them."""

import asyncio
import os
import re
import socket
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
START_SECONDS = 30
END_SECONDS = 30
running = []


async def stop_all():
    for process in running:
        if process.returncode is None:
            process.kill()
            await process.wait()


def free_port():
    """A port that is free at every address: the endpoints of a slice share one port."""
    with socket.socket() as s:
        s.bind(("", 0))
        return s.getsockname()[1]


class Backend:
    def __init__(self, name, zone, address, port):
        self.name, self.zone, self.address, self.port = name, zone, address, port

    async def start(self):
        self.process = await asyncio.create_subprocess_exec(
            sys.executable, HERE / "backend.py", self.name, self.address, str(self.port),
            stdout=asyncio.subprocess.PIPE, start_new_session=True)
        running.append(self.process)
        if not await self.process.stdout.readline():
            raise RuntimeError(f"backend {self.name} does not start")

    async def stop(self):
        self.process.terminate()
        await self.process.wait()


class Sidecar:
    """nigh with the environment given; `at` has the address of each of its listeners."""

    def __init__(self, nigh, log, environment):
        self.nigh, self.log = nigh, log
        inherited = {k: v for k, v in os.environ.items() if not k.startswith("NIGH_")}
        self.environment = inherited | {"NIGH_ADMIN": "127.0.0.1:0"} | environment

    async def start(self):
        with open(self.log, "wb") as log:
            self.process = await asyncio.create_subprocess_exec(
                self.nigh, env=self.environment, stderr=log, start_new_session=True)
        running.append(self.process)
        for _ in range(START_SECONDS * 50):
            await asyncio.sleep(0.02)
            text = self.log.read_text()
            if re.search(r"\bevent=ready\b", text):
                break
            if self.process.returncode is not None:
                raise RuntimeError(f"the sidecar ended:\n{text}")
        else:
            raise RuntimeError(f"the sidecar is not ready:\n{text}")
        found = re.findall(r"event=listening .*?\bside=(\w+) .*?\baddr=(\S+):(\d+)", text)
        self.at = {side: (address, int(port)) for side, address, port in found}

    def terminate(self):
        self.process.terminate()

    async def exit_status(self):
        """None when it does not end."""
        try:
            return await asyncio.wait_for(self.process.wait(), END_SECONDS)
        except asyncio.TimeoutError:
            return None
