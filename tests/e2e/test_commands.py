# SPDX-License-Identifier: Apache-2.0
"""The command line: help, version, config."""
import json
import re

import pytest

VARIABLES = """ADMIN ADMIN_ALLOW INBOUND OUTBOUND ROUTES ENDPOINTS KUBECONFIG DISCOVERY_WAIT
DISCOVERY_IDLE NAMESPACE CLUSTER_DOMAIN NODE_NAME NODE_LABELS ZONE REGION TOPOLOGY_KEYS
MAX_REQUESTS MAX_CONNECTION_AGE RECYCLE_JITTER SERVICE POD_IP REBALANCE REBALANCE_INTERVAL
CONNECT_TIMEOUT IDLE_TIMEOUT POOL_IDLE_TIMEOUT HEADER_TIMEOUT RESPONSE_TIMEOUT MAX_HEADER_BYTES
MAX_CONNECTIONS RETRY_BUDGET DRAIN_DELAY DRAIN_TIMEOUT WORKERS LOG_LEVEL LOG_FORMAT
ACCESS_LOG SECCOMP MAX_MEMORY""".split()


def test_version(nigh):
    done = nigh.run("--version")
    assert done.returncode == 0
    assert re.match(r"nigh \d+\.\d+\.\d+", done.stdout)


def test_help_names_everything(nigh):
    done = nigh.run("--help")
    assert done.returncode == 0
    for name in VARIABLES:
        assert f"NIGH_{name}" in done.stdout, name
    for command in ("run", "explain", "drain", "config"):
        assert re.search(rf"\bnigh {command}\b", done.stdout), command


@pytest.mark.parametrize("arguments", [
    ["frobnicate"], ["--frobnicate"], ["config", "--frobnicate"], ["config", "x"], ["run", "x"],
    ["explain"], ["explain", "a", "b"], ["explain", "--frobnicate", "a"], ["drain", "x"]])
def test_bad_usage(arguments, nigh):
    done = nigh.run(*arguments)
    assert done.returncode == 2
    assert done.stderr and not done.stdout


def test_config_text(nigh):
    done = nigh.run("config", MAX_REQUESTS="77")
    assert done.returncode == 0
    line = next(x for x in done.stdout.splitlines() if "NIGH_MAX_REQUESTS" in x)
    assert "77" in line and "environment" in line
    line = next(x for x in done.stdout.splitlines() if "NIGH_IDLE_TIMEOUT" in x)
    assert "60s" in line or "1m" in line, line
    assert "default" in line


def test_config_json(nigh):
    rows = {row["name"]: row for row in json.loads(
        nigh.run("config", "--json", MAX_REQUESTS="77", ZONE="").stdout)}
    assert sorted(rows) == sorted("NIGH_" + name for name in VARIABLES)
    assert rows["NIGH_MAX_REQUESTS"] == {
        "name": "NIGH_MAX_REQUESTS", "value": "77", "default": "1000", "origin": "environment"}
    assert rows["NIGH_ZONE"]["value"] is None and rows["NIGH_ZONE"]["origin"] == "default"


def test_config_markdown(nigh):
    table = nigh.run("config", "--markdown").stdout
    for name in VARIABLES:
        assert f"`NIGH_{name}`" in table
    widths = {len(re.findall(r"(?<!\\)\|", line)) for line in table.splitlines() if line}
    assert len(widths) == 1, "a cell has a bare bar"


def test_config_check(nigh):
    assert nigh.run("config", "--check", MAX_REQUESTS="77").returncode == 0
    done = nigh.run("config", "--check", MAX_REQUESTS="x", IDEL_TIMEOUT="1s")
    assert done.returncode == 2
    assert "NIGH_MAX_REQUESTS" in done.stderr and "NIGH_IDLE_TIMEOUT" in done.stderr


# What a value must look like, and one that does not.
BAD_VALUES = {
    "ADMIN": "localhost", "ADMIN_ALLOW": "10.0.0.0/33", "INBOUND": "80=0", "OUTBOUND": "1.2.3:80",
    "ROUTES": "5432=db", "ENDPOINTS": "file:", "CLUSTER_DOMAIN": "a..b", "DISCOVERY_WAIT": "5",
    "DISCOVERY_IDLE": "0", "NAMESPACE": "A_b", "NODE_LABELS": "a=b,c", "TOPOLOGY_KEYS": "a,a",
    "MAX_REQUESTS": "-1", "MAX_CONNECTION_AGE": "5 m", "RECYCLE_JITTER": "200",
    "POD_IP": "1.2.3", "REBALANCE": "x", "CONNECT_TIMEOUT": "0", "IDLE_TIMEOUT": "1d",
    "MAX_HEADER_BYTES": "1GiB", "MAX_CONNECTIONS": "0", "RETRY_BUDGET": "101", "WORKERS": "0",
    "LOG_LEVEL": "trace", "LOG_FORMAT": "xml", "ACCESS_LOG": "yes",
}


@pytest.mark.parametrize("name", BAD_VALUES)
def test_bad_value(name, nigh):
    done = nigh.run("config", "--check", **{name: BAD_VALUES[name]})
    assert done.returncode == 2, f"{name}={BAD_VALUES[name]} was taken"
    lines = [line for line in done.stderr.splitlines() if f"NIGH_{name}" in line]
    assert len(lines) == 1 and BAD_VALUES[name] in lines[0], done.stderr
