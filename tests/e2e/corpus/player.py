# SPDX-License-Identifier: Apache-2.0
"""Plays a row between a client and an application, through nigh or another proxy."""
from harness import message
from harness.dialogue import AGAIN, OK, assert_local
from harness.message import Recorded, read_request, read_response
from harness.peer import connect


class Stage:
    """same(got, want) compares messages, is_own(response, status, method=) knows a
    response of the proxy's own."""

    def __init__(self, app, addr, host, side, same=message.same, is_own=assert_local):
        self.app = app
        self.addr = addr
        self.host = host.encode()
        self.side = side
        self.same = same
        self.is_own = is_own

    def bytes(self, data):
        return data.replace(b"{host}", self.host)

    def _take(self, want):
        """The application's next request, and the connection it came on."""
        conn, got = self.app.request()
        if self.side == "inbound":
            message.without_forwarded(got)
        self.same(got, read_request(Recorded(self.bytes(want))))
        return conn

    def _get(self, client, want, method):
        want = read_response(Recorded(self.bytes(want)), method)
        self.same(read_response(client, method), want)

    def _end(self, client, how):
        if how == "closed":
            client.expect_fin()
        elif how == "cut":
            client.expect_reset()
        elif how == "kept":
            client.send(self.bytes(AGAIN))
            self._take(AGAIN).send(OK)
            self._get(client, OK, "GET")

    def play(self, row):
        with connect(self.addr) as client:
            client.send(self.bytes(row.send))
            for number, seen in enumerate(row.seen):
                conn = self._take(seen)
                conn.send(self.bytes(row.answers[number]))
            if row.hang_up:
                conn.close()
            for want in row.got:
                self._get(client, want, row.method)
            if row.own:
                answer = read_response(client, row.method)
                self.is_own(answer, row.own, method=row.method)
                assert row.end != "closed" or answer.says_close(), str(answer)
            self._end(client, row.end)
        self.app.expect_nothing()
        self.app.peers[:] = [peer for peer in self.app.peers
                             if not peer.end and peer.sock.fileno() >= 0]
