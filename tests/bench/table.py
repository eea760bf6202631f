# SPDX-License-Identifier: Apache-2.0
"""The printed result: one row of RATIOS is one column behind those of the scenario."""

NUMBER = "{:.2f}"


def times_cpu_of(base):
    """How many times the CPU of `base` a request takes; less is better."""
    def value(results, name):
        return base in results and results[name]["cpu_us"] / results[base]["cpu_us"]
    return value


def times_rate_of(base):
    """How many times as many requests a second of CPU brings; more is better."""
    def value(results, name):
        return base in results and results[base]["cpu_us"] / results[name]["cpu_us"]
    return value


def syscalls(results, name):
    return sum(results[name].get("syscalls", {}).values())


RATIOS = [  # two lines of heading, and the number; where there is CPU per request
    ("x CPU of", "relay", times_cpu_of("relay")),
    ("x CPU of", "HAProxy TCP", times_cpu_of("haproxy-tcp")),
    ("x rate of", "HAProxy", times_rate_of("haproxy-http")),
    ("x rate of", "nginx", times_rate_of("nginx")),
    ("x rate of", "Envoy", times_rate_of("envoy")),
    ("calls per", "request", syscalls),
]
WIDTH = 13


def columns_of(scenario, results):
    """(two lines of heading, {peer: number}), without those that nobody has."""
    for heading, key in scenario.columns:
        first, _, second = heading.rpartition(" ")
        yield first, second, {name: results[name][key] for name in results}
    if "cpu_us" not in next(iter(results.values())):
        return
    for first, second, value in RATIOS:
        numbers = {name: value(results, name) for name in results}
        if any(numbers.values()):
            yield first, second, numbers


def print_table(scenario, results):
    columns = list(columns_of(scenario, results))
    print(f"\n{scenario.name}: {scenario.about}")
    for line in range(2):
        print(" " * 16 + "".join(f"{column[line]:>{WIDTH}}" for column in columns))
    for name in results:
        numbers = [column[2][name] for column in columns]
        cells = [NUMBER.format(number) if number else "" for number in numbers]
        print(f"{name:16}" + "".join(f"{cell:>{WIDTH}}" for cell in cells))
    print_syscalls(results)


def print_syscalls(results):
    for name, seen in results.items():
        calls = sorted(seen.get("syscalls", {}).items(), key=lambda item: -item[1])
        if calls:
            print(f"  {name:14}" + ", ".join(f"{call} {n:.2f}" for call, n in calls
                                             if n >= 0.005))
