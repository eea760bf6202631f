# SPDX-License-Identifier: Apache-2.0
"""Somebody else's request, which is under way while something breaks."""
from .dialogue import OK
from .message import read_response, text
from .peer import connect

GET = text("GET / HTTP/1.1", "Host: quiet.test")


class Bystander:
    """On a connection of its own, to an application of its own, behind the same sidecar."""

    def __init__(self, side, app):
        self._app, self._conn = app, None
        self._client = connect(side.addr("inbound", f":{app.port}"))

    def begin(self):
        self._client.send(GET)
        self._conn, _ = self._app.request()

    def end(self):
        self._conn.send(OK)
        assert read_response(self._client).status == 200

    def close(self):
        self._client.close()

    def __enter__(self):
        self.begin()
        return self

    def __exit__(self, kind, *_):
        if not kind:
            self.end()
