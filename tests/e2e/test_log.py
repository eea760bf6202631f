# SPDX-License-Identifier: Apache-2.0
"""The log and the access log, as text and as JSON."""
import json
import re

import pytest

from harness.dialogue import OK
from harness.message import read_response, text
from harness.peer import can_connect, wait_until
from harness.server import closed_port
from harness.sidecar import Sidecar, fields_of

GET = text("GET /some/path?q=1 HTTP/1.1", "Host: app.test")


def call(side, app, request=GET, answer=OK):
    with side.client() as client:
        client.send(request)
        if answer:
            app.request()[0].send(answer)
        return read_response(client)


def access_lines(side):
    return [line for line in side.lines if "/some/path" in line]


@pytest.mark.parametrize("form", ["text", "json"])
def test_access_log(form, nigh, server):
    app = server()
    side = nigh.inbound(app, ACCESS_LOG="on", LOG_FORMAT=form)
    call(side, app)
    line = side.wait_line(lambda text: "/some/path" in text, "the access log")
    assert line.startswith("{") == (form == "json")
    fields = fields_of(line)
    told = " ".join(f"{key}={value}" for key, value in fields.items())
    for want in ("GET", "200", "inbound", "/some/path?q=1"):
        assert want in told, f"no {want} in {line}"


@pytest.mark.parametrize("setting, lines", [("off", 0), ("errors", 1), ("on", 2)])
def test_access_log_levels(setting, lines, nigh, server):
    app = server()
    side = nigh.inbound(app, ACCESS_LOG=setting, POOL_IDLE_TIMEOUT="0")
    call(side, app)
    with side.client() as client:
        client.send(GET)
        app.request()[0].close()
        assert read_response(client).status == 502
    side.stop()
    assert len(access_lines(side)) == lines, side.log


def test_access_log_of_a_local_response_names_the_reason(nigh, server):
    side = nigh.inbound(server(), ACCESS_LOG="errors")
    call(side, None, text("GET /some/path HTTP/1.1", "Host: a b"), None)
    side.wait_line(lambda line: "bad_request" in line and "400" in line, "the reason")


def test_access_log_of_a_failed_attempt_names_the_upstream(nigh):
    with closed_port() as nobody:
        port = nobody.getsockname()[1]
        side = nigh(INBOUND=f"127.0.0.1:0={port}/http", ACCESS_LOG="errors")
        call(side, None, text("GET /some/path HTTP/1.1", "Host: a"), None)
        side.wait_event("access", outcome="connect_failed", upstream=f"127.0.0.1:{port}")


@pytest.mark.parametrize("form", ["text", "json"])
def test_hostile_bytes_stay_in_their_line(form, nigh, server):
    """What a client sends can neither end a line nor forge a field."""
    app = server()
    side = nigh.inbound(app, ACCESS_LOG="on", LOG_FORMAT=form)
    call(side, app, text('GET /some/path"\\evil=1 HTTP/1.1', "Host: app.test"))
    line = side.wait_line(lambda text: "/some/path" in text, "the access log")
    assert "evil" not in fields_of(line), line


def test_every_line_is_json(nigh, server):
    app = server()
    side = nigh.inbound(app, OUTBOUND="127.0.0.1:0", LOG_FORMAT="json", LOG_LEVEL="debug",
                        ACCESS_LOG="on")
    call(side, app)
    call(side, app, b"broken\r\n\r\n", None)
    side.stop()
    for line in side.lines:
        fields = json.loads(line)
        assert fields["event"] and fields["level"], line


def test_every_line_is_key_value(nigh, server):
    app = server()
    side = nigh.inbound(app, LOG_LEVEL="debug", ACCESS_LOG="on")
    call(side, app)
    side.stop()
    for line in side.lines:
        assert re.search(r"\bevent=\w+", line), line


def test_level_is_kept(binary):
    """At level error a healthy run says nothing; then only the admin port tells that it is up."""
    with closed_port() as hole:
        addr = hole.getsockname()
    side = Sidecar(binary, {"ADMIN": "%s:%d" % addr, "OUTBOUND": "off", "LOG_LEVEL": "error"})
    wait_until(lambda: can_connect(addr), "the admin port")
    side.stop()
    assert not side.lines
