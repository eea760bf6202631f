# SPDX-License-Identifier: Apache-2.0
"""A strict reader of the Prometheus text format 0.0.4."""
import re

NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
SAMPLE = re.compile(rf"({NAME})(?:\{{(.*)\}})? (\S+)\Z")
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\\\|\\"|\\n)*)"(?:,|\Z)')
TYPES = ("counter", "gauge", "histogram", "summary", "untyped")
SUFFIXES = {"histogram": ("_bucket", "_sum", "_count"), "summary": ("", "_sum", "_count")}


def parse_labels(source):
    labels, at = {}, 0
    while at < len(source):
        match = LABEL.match(source, at)
        assert match, f"bad labels: {source!r} at {at}"
        assert match[1] not in labels, f"label {match[1]} twice: {source!r}"
        labels[match[1]] = re.sub(
            r"\\(.)", lambda m: {"n": "\n"}.get(m[1], m[1]), match[2])
        at = match.end()
    return labels


class Metrics:
    """All families of one scrape; every rule of the format is an assert."""

    def __init__(self, page):
        assert page.endswith("\n"), "the last line has no end"
        self.help, self.type, self.samples = {}, {}, {}
        self.order = []
        for line in page.split("\n")[:-1]:
            if line.startswith("# HELP "):
                name, _, doc = line[7:].partition(" ")
                assert name not in self.help, f"HELP twice: {name}"
                assert doc, f"empty HELP: {name}"
                self.help[name] = doc
            elif line.startswith("# TYPE "):
                name, kind = line[7:].split(" ")
                assert name not in self.type, f"TYPE twice: {name}"
                assert kind in TYPES, line
                self.type[name] = kind
                self.order.append(name)
            elif line and not line.startswith("#"):
                self._add(line)
        self._check_histograms()

    def _add(self, line):
        match = SAMPLE.match(line)
        assert match, f"not a sample: {line!r}"
        name, labels = match[1], parse_labels(match[2] or "")
        family = self.order[-1] if self.order else None
        suffixes = SUFFIXES.get(self.type.get(family), ("",))
        assert family and name in [family + s for s in suffixes], \
            f"{name} stands in the family {family}"
        assert family in self.help, f"no HELP: {family}"
        key = (name, tuple(sorted(labels.items())))
        assert key not in self.samples, f"sample twice: {line}"
        value = float(match[3])
        if self.type[family] == "counter":
            assert value >= 0 and name.endswith("_total"), line
        self.samples[key] = value

    def _check_histograms(self):
        for family in (n for n, kind in self.type.items() if kind == "histogram"):
            rows = {}
            for (name, labels), value in self.samples.items():
                if name == family + "_bucket":
                    edge = dict(labels)["le"]
                    rest = tuple(pair for pair in labels if pair[0] != "le")
                    rows.setdefault(rest, []).append((float(edge), value))
            for rest, buckets in rows.items():
                assert buckets == sorted(buckets), f"{family}{rest}: order of buckets"
                counts = [count for _, count in buckets]
                assert counts == sorted(counts), f"{family}{rest}: not cumulative"
                assert buckets[-1][0] == float("inf"), f"{family}{rest}: no +Inf"
                assert self.samples[(family + "_count", rest)] == counts[-1]
                assert (family + "_sum", rest) in self.samples

    def total(self, name, **labels):
        """Sum of the samples that carry these labels; 0 if there is none."""
        want = set(labels.items())
        return sum(value for (key, have), value in self.samples.items()
                   if key == name and want <= set(have))
