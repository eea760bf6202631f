# SPDX-License-Identifier: Apache-2.0
"""What nigh does without: rights, users, capabilities, a file system that can be written
to, and every system call that serving does not take. That all else works so is what the
other tests show: they run with the filter on."""
import contextlib
import os
import re
import shutil
import subprocess

import pytest

from harness.dialogue import OK
from harness.message import text
from harness.peer import connect
from harness.sidecar import Sidecar

SOMEBODY = 12345    # no user has this number

# All file systems read-only, then no user, no group and no capability. nigh is opened by
# root: where it lies may be closed to others.
CONFINED = f"""
mount --make-rprivate /
while read -r _ at _; do mount -o remount,bind,ro "$at"; done < /proc/self/mounts
exec 9<"$1"
exec setpriv --reuid {SOMEBODY} --regid {SOMEBODY} --clear-groups --bounding-set=-all \
    --inh-caps=-all --ambient-caps=-all --no-new-privs /proc/self/fd/9
"""


def threads_of(side):
    """/proc/PID/task/*/status as {name: value}."""
    for task in os.listdir(f"/proc/{side.pid}/task"):
        with contextlib.suppress(ProcessLookupError, FileNotFoundError):
            with open(f"/proc/{side.pid}/task/{task}/status", encoding="ascii") as file:
                yield dict(re.findall(r"(\w+):[ \t]*(.*)", file.read()))


def serve_one(side, app):
    with connect(side.addr("inbound")) as client:
        client.send(text("GET /x HTTP/1.1", "Host: a"))
        app.request()[0].send(OK)
        client.expect(OK)


def test_every_thread_is_confined(nigh, server):
    app = server()
    side = nigh.inbound(app, WORKERS="2")
    side.wait_event("seccomp", state="on")
    serve_one(side, app)
    threads = list(threads_of(side))
    assert len(threads) >= 3
    for thread in threads:
        assert (thread["Seccomp"], thread["NoNewPrivs"]) == ("2", "1"), thread
    assert side.total("nigh_seccomp") == 1


def test_filter_can_be_switched_off(nigh, server):
    app = server()
    side = nigh.inbound(app, SECCOMP="off")
    assert "NIGH_SECCOMP" in side.wait_event("seccomp", state="off", level="warn")["why"]
    serve_one(side, app)
    for thread in threads_of(side):
        assert (thread["Seccomp"], thread["NoNewPrivs"]) == ("0", "1"), thread
    assert side.total("nigh_seccomp") == 0
    row = next(row for row in side.json("/config") if row["name"] == "NIGH_SECCOMP")
    assert row["value"] == "off" and row["default"] == "on"


def test_names_are_found_under_the_filter(nigh, server):
    """By the resolver's hosts file; DNS is what test_kubernetes and the examples use."""
    app = server()
    with nigh.outbound().client("outbound") as client:
        client.send(text("GET /x HTTP/1.1", f"Host: localhost:{app.port}"))
        app.request()[0].send(OK)
        client.expect(OK)


@pytest.fixture
def confinement():
    """The command that becomes a nigh with no power at all."""
    prefix = ["unshare", "--mount", "--", "sh", "-ec", CONFINED, "sh"]
    for tool in ("unshare", "setpriv"):
        assert shutil.which(tool), f"{tool} (util-linux) is missing"
    probe = subprocess.run([*prefix, "/bin/true"], capture_output=True, text=True,
                           check=False)
    if probe.returncode:
        pytest.skip(f"not root, or not allowed to be: {probe.stderr.strip()}")
    return prefix


def test_serves_without_any_power(confinement, binary, server):
    app = server()
    side = Sidecar(binary, {"INBOUND": f"127.0.0.1:0=127.0.0.1:{app.port}",
                            "OUTBOUND": "127.0.0.1:0", "ADMIN": "127.0.0.1:0",
                            "ENDPOINTS": "dns", "DRAIN_DELAY": "0s", "WORKERS": "2"},
                   confinement)
    side.wait_ready()
    with open(f"/proc/{side.pid}/mounts", encoding="utf-8") as file:
        mounts = {line.split()[1]: line.split()[3] for line in file}    # the topmost
    assert all(options.startswith("ro") for options in mounts.values()), mounts
    for thread in threads_of(side):
        assert thread["Uid"].split() == [str(SOMEBODY)] * 4
        assert thread["Groups"] == ""
        for kind in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
            assert int(thread[kind], 16) == 0, thread
        assert thread["Seccomp"] == "2"
    serve_one(side, app)
    with side.client("outbound") as client:
        client.send(text("GET /x HTTP/1.1", f"Host: localhost:{app.port}"))
        app.request()[0].send(OK)
        client.expect(OK)
    assert side.admin("/readyz")[0] == 200
    assert side.total("process_open_fds") > 0
    side.stop()
