# SPDX-License-Identifier: Apache-2.0
"""The endpoints file, and all that can be done to one: the good ways to replace it, and
the bad ones."""
import asyncio
import json
import os
import shutil

from harness.kube import endpoint, listing, node, service, slice_of


def objects_of(pods, dead=()):
    """What kubectl prints of the pods that are listed; dead: (address, port) of nobody."""
    made = [service(name, (("http", 80), ("tcp", 5432))) for name in ("web", "bare")]
    made += [node(f"node-{n}", zone="ab"[n % 2]) for n in range(4)]
    for pod in pods:
        name = pod.name[:-1]
        for port, port_name in (pod.port, "http"), (pod.tcp_port, "tcp"):
            made.append(slice_of(name, port, endpoint(pod.host, node=pod.node, zone=pod.zone),
                                 port_name=port_name, suffix=f"{pod.name}-{port_name}"))
    for number, (address, port) in enumerate(dead):
        for name in "web", "bare":
            made.append(slice_of(name, port, endpoint(address, node="node-0", zone="a"),
                                 suffix=f"dead-{number}"))
    return listing(*made)


class PlainFile:
    """A file that somebody writes, renames, breaks and removes."""

    def __init__(self, folder):
        self.path = str(folder / "endpoints.json")

    @property
    def setting(self):
        return f"file:{self.path}"

    def _clear(self):
        if os.path.islink(self.path):
            os.unlink(self.path)
        elif os.path.isdir(self.path):
            os.rmdir(self.path)

    def _write(self, path, text):
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)

    async def publish(self, text, rng):
        self._clear()
        way = rng.choice(["rename", "rename", "overwrite", "slow"])
        if way == "rename":
            self._write(f"{self.path}.new", text)
            os.rename(f"{self.path}.new", self.path)
        elif way == "overwrite":
            self._write(self.path, text)
        else:
            with open(self.path, "w", encoding="utf-8") as file:
                file.write(text[:len(text) // 2])
                file.flush()
                await asyncio.sleep(0.05)
                file.write(text[len(text) // 2:])

    def damage(self, rng):
        """A new state that is none."""
        self._clear()
        way = rng.choice(["garbage", "half", "empty", "gone", "folder", "loop"])
        if way == "garbage":
            self._write(self.path, "\0{]" * 1000)
        elif way == "half":
            self._write(self.path, json.dumps({"kind": "List", "items": []})[:-1])
        elif way == "empty":
            self._write(self.path, "")
        elif os.path.lexists(self.path):
            os.unlink(self.path)
        if way == "folder":
            os.mkdir(self.path)
        elif way == "loop":
            os.symlink(self.path, f"{self.path}.new")
            os.rename(f"{self.path}.new", self.path)


class Volume:
    """A mounted ConfigMap: file -> ..data -> ..generation."""

    def __init__(self, folder):
        self.folder = folder
        self.generation = 0

    @property
    def setting(self):
        return f"file:{self.folder / 'endpoints.json'}"

    def _swap(self, write):
        self.generation += 1
        new = self.folder / f"..gen_{self.generation}"
        new.mkdir()
        write(new)
        os.symlink(new.name, self.folder / "..data_tmp")
        os.rename(self.folder / "..data_tmp", self.folder / "..data")
        if self.generation > 1:
            shutil.rmtree(self.folder / f"..gen_{self.generation - 1}")
        if not os.path.lexists(self.folder / "endpoints.json"):
            os.symlink("..data/endpoints.json", self.folder / "endpoints.json")

    async def publish(self, text, _rng):
        self._swap(lambda new: (new / "endpoints.json").write_text(text))

    def damage(self, rng):
        if rng.random() < 0.5:
            self._swap(lambda new: None)        # the key has been removed
        else:
            self._swap(lambda new: (new / "endpoints.json").write_text("kind: List"))
