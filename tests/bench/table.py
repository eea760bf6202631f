# SPDX-License-Identifier: Apache-2.0
"""The printed result: one row of COLUMNS is one column."""

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
    return sum(results[name]["syscalls"].values())


COLUMNS = [  # three lines of heading, and the number
    ("CPU per", "request", "us", lambda results, name: results[name]["cpu_us"]),
    ("x CPU", "of the", "relay", times_cpu_of("relay")),
    ("x CPU of", "HAProxy", "TCP", times_cpu_of("haproxy-tcp")),
    ("x rate of", "HAProxy", "HTTP", times_rate_of("haproxy-http")),
    ("x rate", "of", "nginx", times_rate_of("nginx")),
    ("system", "calls per", "request", syscalls),
]


def print_table(results, peers):
    for line in range(3):
        print(" " * 13 + "".join(f"{column[line]:>11}" for column in COLUMNS))
    for peer in peers:
        numbers = [column[3](results, peer.name) for column in COLUMNS]
        cells = [NUMBER.format(number) if number else "" for number in numbers]
        print(f"{peer.name:13}" + "".join(f"{cell:>11}" for cell in cells))


def print_syscalls(results, peers):
    print("\nsystem calls per request, from 0.01")
    for peer in peers:
        calls = sorted(results[peer.name]["syscalls"].items(), key=lambda item: -item[1])
        print(f"{peer.name:13}  "
              + ", ".join(f"{name} {n:.2f}" for name, n in calls if n >= 0.005))
