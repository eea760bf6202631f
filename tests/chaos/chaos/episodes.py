# SPDX-License-Identifier: Apache-2.0
"""What happens to the world. Each lane is a row of episodes, one after the other, drawn
from the seed; lanes run side by side. A lane of pods harms one of its own at a time, so
that of each service at least two always live."""
import asyncio
import json
import signal
import time

from .files import objects_of
from .plan import rng_of
from .world import Event, Fault


class Lane:
    """One row of episodes."""

    def __init__(self, world, name, episodes, subjects):
        self.world, self.name = world, name
        self.rng = rng_of(world.seed, "lane", name)
        self.episodes, self.subjects = episodes, subjects

    async def run(self):
        while True:
            await asyncio.sleep(self.rng.uniform(0.05, 0.7))
            if self.world.is_over:
                return
            subject = self.rng.choice(self.subjects)
            episode = self.rng.choices(*zip(*self.episodes))[0]
            try:
                await episode(self.world, subject, self.rng)
            except Fault as fault:
                self.world.faults.append(str(fault))
                return


# --- pods ---

async def app_killed(world, pod, rng):
    with world.happens("app killed", pod.name):
        await pod.app.kill()
        await asyncio.sleep(rng.choice([0, rng.uniform(0, 1.2)]))
        await pod.app.start("ready")


async def app_ended(world, pod, rng):
    """Restarted by its own SIGTERM, whether its sidecar knows or not."""
    with world.happens("app ended", pod.name):
        pod.app.signal(signal.SIGTERM)
        await pod.app.wait()
        await asyncio.sleep(rng.uniform(0, 0.3))
        await pod.app.start("ready")


async def app_stopped(world, pod, rng):
    with world.happens("app stopped", pod.name):
        await stop(pod.app, rng)


async def app_stopped_and_killed(world, pod, rng):
    with world.happens("app killed", pod.name):
        pod.app.process.send_signal(signal.SIGSTOP)
        await asyncio.sleep(rng.uniform(0, 1))
        await pod.app.kill()
        await pod.app.start("ready")


async def stop(process, rng):
    process.process.send_signal(signal.SIGSTOP)
    await asyncio.sleep(rng.choice([rng.uniform(0, 0.1), rng.uniform(0, 2)]))
    process.process.send_signal(signal.SIGCONT)


async def side_stopped(world, pod, rng):
    with world.happens("side stopped", pod.name):
        await stop(pod.side, rng)


async def side_killed(world, pod, rng):
    with world.happens("side killed", pod.name):
        await pod.side.kill()
        await asyncio.sleep(rng.choice([0, rng.uniform(0, 1)]))
        await pod.side.start()


async def pod_killed(world, pod, rng):
    with world.happens("app killed", pod.name), world.happens("side killed", pod.name):
        for process in pod.processes:
            await process.kill()
        await asyncio.sleep(rng.uniform(0, 1))
        await pod.start()


async def pod_drained(world, pod, rng):
    """As in a rolling update. Whatever the order of the signals: nothing is lost."""
    with world.happens("drained", pod.name):
        pod.listed = False
        publishing = asyncio.ensure_future(publish_later(world, pod, rng))
        if rng.random() < 0.5:              # both get their signal at the same time
            pod.app.signal(signal.SIGTERM)
            pod.side.signal(signal.SIGTERM)
        else:                               # a native sidecar, with its hook
            await pod.side.ask_to_drain()
            pod.app.signal(signal.SIGTERM)
            await pod.app.wait()
            pod.side.signal(signal.SIGTERM)
        await pod.app.wait()
        status = await pod.side.wait()
        if status != 0:
            world.faults.append(f"{pod.side.name} drained with status {status}")
        await publishing
        await pod.start()
        pod.listed = True
        await publish(world, rng)


async def bare_drained(world, pod, rng):
    """Taken off the list, and given a moment until all know."""
    with world.happens("app ended", pod.name):
        pod.listed = False
        await publish(world, rng)
        await asyncio.sleep(rng.uniform(0, 0.5))
        pod.app.signal(signal.SIGTERM)
        await pod.app.wait()
        await pod.app.start("ready")
        pod.listed = True
        await publish(world, rng)


# --- callers ---

async def start_caller(world, caller):
    """With a broken file it would know no service."""
    async with world.damaging, world.publishing:
        await caller.side.start()


async def caller_killed(world, caller, rng):
    with world.happens("caller killed", caller.name):
        await caller.side.kill()
        await asyncio.sleep(rng.uniform(0, 0.2))
        await start_caller(world, caller)


async def caller_stopped(world, caller, rng):
    with world.happens("caller stopped", caller.name):
        await stop(caller.side, rng)


async def caller_ended(world, caller, rng):
    """Its application makes no new calls, those under way go on to their end."""
    with world.happens("caller ended", caller.name):
        caller.is_paused = True
        caller.side.signal(signal.SIGTERM)
        status = await caller.side.wait()
        if status != 0:
            world.faults.append(f"{caller.name} drained with status {status}")
        while caller.n_calling:
            await asyncio.sleep(0.01)
        await asyncio.sleep(rng.uniform(0, 0.1))
        await start_caller(world, caller)
        caller.is_paused = False


# --- the endpoints file ---

async def publish(world, rng, dead=()):
    async with world.publishing:
        text = json.dumps(objects_of([pod for pod in world.pods if pod.listed], dead))
        for file in world.files:
            await file.publish(text, rng)
    world.events.append(Event(time.monotonic(), time.monotonic(), "published", "file"))


async def publish_later(world, pod, rng):
    """Removal takes time to spread, but less than the sidecar's delay."""
    await asyncio.sleep(rng.uniform(0, pod.delay / 2))
    await publish(world, rng)


async def file_rewritten(world, _, rng):
    await publish(world, rng)


async def file_damaged(world, file, rng):
    async with world.damaging:
        with world.happens("damaged", "file"):
            async with world.publishing:
                file.damage(rng)
        await asyncio.sleep(rng.uniform(0, 0.8))
        await publish(world, rng)


async def file_stale(world, _, rng):
    """It lists addresses where nobody is."""
    with world.happens("stale", "file"):
        dead = [(f"{world.net}.{200 + n}", 9) for n in range(rng.randint(1, 4))]
        await publish(world, rng, dead=dead)
        await asyncio.sleep(rng.uniform(0, 0.8))
        await publish(world, rng)


FILES = [(file_rewritten, 3), (file_damaged, 3), (file_stale, 2)]
WEB = [(app_killed, 3), (app_ended, 2), (app_stopped, 3), (app_stopped_and_killed, 1),
       (side_stopped, 2), (side_killed, 3), (pod_killed, 1), (pod_drained, 6)]
BARE = [(app_killed, 3), (app_ended, 2), (app_stopped, 3), (app_stopped_and_killed, 1),
        (bare_drained, 2)]
CALLERS = [(caller_killed, 1), (caller_stopped, 2), (caller_ended, 2)]


def lanes(world):
    web = world.web
    return [Lane(world, "web0", WEB, web[:2]), Lane(world, "web1", WEB, web[2:]),
            Lane(world, "bare", BARE, world.bare), Lane(world, "callers", CALLERS, world.callers),
            Lane(world, "file", FILES, world.files)]
