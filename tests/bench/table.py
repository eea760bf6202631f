# SPDX-License-Identifier: Apache-2.0
"""The printed result: one row of RATIOS is one column behind those of the scenario."""

NUMBER = "{:.2f}"
CPU = "cpu_us"
BODY = "s_per_gb"


def times(key, *bases):
    """How many times the best of them; less is better."""
    def value(results, name):
        best = [results[base][key] for base in bases if base in results]
        return results[name][key] / min(best) if best else None
    return key, value


def times_rate_of(base):
    """How many times as many requests a second of CPU brings; more is better."""
    def value(results, name):
        return results[base][CPU] / results[name][CPU] if base in results else None
    return CPU, value


def times_first(results, name):
    """Where nigh is compared with itself."""
    base = next(iter(results))
    return None if "relay" in results else results[name][CPU] / results[base][CPU]


def rate(results, name):
    return 1e6 / results[name]["wall_us"]


def added(key):
    """Above what it is without a proxy."""
    def value(results, name):
        return results[name][key] - results["direct"][key] if "direct" in results else None
    return key, value


def syscalls(results, name):
    return sum(results[name]["syscalls"].values()) if "syscalls" in results[name] else None


def heap_calls(results, name):
    return results[name].get("heap_calls")


RATIOS = [  # two lines of heading; the number of the scenario that it needs, and the value
    ("x CPU of", "relay", *times(CPU, "relay")),
    ("x CPU of", "HAProxy TCP", *times(CPU, "haproxy-tcp")),
    ("x CPU of", "the first", CPU, times_first),
    ("x rate of", "HAProxy", *times_rate_of("haproxy-http")),
    ("x rate of", "nginx", *times_rate_of("nginx")),
    ("x rate of", "Envoy", *times_rate_of("envoy")),
    ("requests", "a second", "wall_us", rate),
    ("calls per", "request", CPU, syscalls),
    ("heap calls", "per request", CPU, heap_calls),
    ("x best HTTP", "rival", *times(BODY, "haproxy-http", "envoy")),
    ("x best TCP", "rival", *times(BODY, "haproxy-tcp", "envoy-tcp")),
    ("added", "p50", *added("p50_us")),
    ("added", "p99", *added("p99_us")),
    ("added", "p99.9", *added("p999_us")),
]
WIDTH = 13


def columns_of(scenario, results):
    """(two lines of heading, {peer: number}), without those that nobody has."""
    for heading, key in scenario.columns:
        first, _, second = heading.rpartition(" ")
        yield first, second, {name: results[name][key] for name in results}
    known = next(iter(results.values()))
    for first, second, key, value in RATIOS:
        numbers = {name: value(results, name) for name in results if key in known}
        if any(number is not None for number in numbers.values()):
            yield first, second, numbers


def print_table(scenario, results):
    columns = list(columns_of(scenario, results))
    print(f"\n{scenario.name}: {scenario.about}")
    for line in range(2):
        print(" " * 16 + "".join(f"{column[line]:>{WIDTH}}" for column in columns))
    for name in results:
        numbers = [column[2][name] for column in columns]
        cells = ["" if number is None else NUMBER.format(number) for number in numbers]
        print(f"{name:16}" + "".join(f"{cell:>{WIDTH}}" for cell in cells))
    print_syscalls(results)


def print_syscalls(results):
    for name, seen in results.items():
        calls = sorted(seen.get("syscalls", {}).items(), key=lambda item: -item[1])
        if calls:
            print(f"  {name:14}" + ", ".join(f"{call} {n:.2f}" for call, n in calls
                                             if n >= 0.005))
