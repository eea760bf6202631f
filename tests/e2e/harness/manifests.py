# SPDX-License-Identifier: Apache-2.0
"""The manifests that we publish: those of examples/kubernetes, and those in README.md."""
import pathlib
import re

import yaml

ROOT = pathlib.Path(__file__).resolve().parents[3]
FOLDER = ROOT / "examples/kubernetes"
FILES = sorted(FOLDER.rglob("*.yaml"))
README = ROOT / "README.md"


class Loader(yaml.SafeLoader):
    """A key that stands there twice is a mistake, not the latter's victory."""

    def construct_mapping(self, node, deep=False):
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        assert len(keys) == len(set(keys)), f"twice the same key{node.start_mark}"
        return super().construct_mapping(node, deep)


def parse(text):
    return list(yaml.load_all(text, Loader))


def read(path):
    """The objects of a file, or of the examples in a Markdown file."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".md":
        text = "\n---\n".join(re.findall(r"^```yaml\n(.*?)^```$", text, re.M | re.S))
    return parse(text)


class Manifests:
    """What is applied together, and the parts of it."""

    def __init__(self, *paths):
        self.objects = [made for path in paths for made in read(path)]
        self.pod = self.one("Deployment")["spec"]["template"]["spec"]
        self.is_native = "initContainers" in self.pod
        self.nigh = self._container("initContainers" if self.is_native else "containers",
                                    lambda name: name == "nigh")
        self.app = self._container("containers", lambda name: name != "nigh")

    def _container(self, member, is_it):
        found = [made for made in self.pod[member] if is_it(made["name"])]
        assert len(found) == 1, f"{member} of {self.pod}"
        return found[0]

    def every(self, kind):
        return [made for made in self.objects if made["kind"] == kind]

    def one(self, kind):
        found = self.every(kind)
        assert len(found) == 1, f"{len(found)} of {kind}"
        return found[0]

    def settings(self, fields):
        """What nigh's environment is where the downward API gives these fields."""
        result = {}
        for row in self.nigh["env"]:
            assert row["name"] not in result, row
            result[row["name"]] = row["value"] if "value" in row else \
                fields[row["valueFrom"]["fieldRef"]["fieldPath"]]
        return result


NATIVE, ORDINARY, IN_README = "examples", "examples, before 1.29", "README.md"
SETS = {NATIVE: sorted(FOLDER.glob("*.yaml")),
        ORDINARY: [*(path for path in sorted(FOLDER.glob("*.yaml"))
                     if path.name != "deployment.yaml"),
                   FOLDER / "before-1.29/deployment.yaml"],
        IN_README: [README]}
