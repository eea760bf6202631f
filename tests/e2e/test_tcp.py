# SPDX-License-Identifier: Apache-2.0
"""Plain TCP: bytes as they come; FIN stays FIN and RST stays RST, both ways."""
import hashlib
import random
import threading

import pytest

from harness.dialogue import OK
from harness.kernel import held_between
from harness.message import text
from harness.pauses import patient, within
from harness.peer import DEADLINE, connect, expect_refusal, wait_until
from harness.server import closed_port

KIB = 1024
MIB = 1024 * KIB


def pair(nigh, server, **settings):
    """(client, application, sidecar) with a relay between them."""
    app = server()
    side = nigh.inbound(app, "tcp", **settings)
    return side.client(), app.accept(), side


def test_client_first(nigh, server):
    client, app, _ = pair(nigh, server)
    client.send(b"\x03\0\0hello")
    app.expect(b"\x03\0\0hello")
    app.send(b"welcome")
    client.expect(b"welcome")


@patient
def test_server_first(nigh, server):
    """No stall that waits for the client to speak."""
    app = server()
    side = nigh.inbound(app, "tcp")
    with within(1):
        client = side.client()
        app.accept().send(b"220 hello\r\n")
        client.expect(b"220 hello\r\n")


def test_http_is_not_looked_at(nigh, server):
    client, app, _ = pair(nigh, server)
    odd = b"GET / HTTP/1.1\nTransfer-Encoding: x\r\n\r\n"
    client.send(odd)
    app.expect(odd)


@pytest.mark.parametrize("first", ["client", "application"])
def test_half_close(first, nigh, server):
    """After a FIN the other direction goes on, as long as it likes."""
    client, app, _ = pair(nigh, server)
    ending, other = (client, app) if first == "client" else (app, client)
    ending.send(b"last words")
    ending.fin()
    other.expect(b"last words")
    other.expect_fin()
    for _ in range(3):
        other.send(b"x" * 100 * KIB)
        assert ending.read_exactly(100 * KIB) == b"x" * 100 * KIB
    other.fin()
    ending.expect_fin()


@pytest.mark.parametrize("first", ["client", "application"])
def test_reset(first, nigh, server):
    client, app, _ = pair(nigh, server)
    ending, other = (client, app) if first == "client" else (app, client)
    ending.send(b"x")
    other.expect(b"x")
    ending.reset()
    other.expect_reset()


@pytest.mark.parametrize("first", ["client", "application"])
def test_reset_after_half_close(first, nigh, server):
    client, app, _ = pair(nigh, server)
    ending, other = (client, app) if first == "client" else (app, client)
    other.fin()
    ending.expect_fin()
    ending.reset()
    other.expect_reset()


@pytest.mark.parametrize("first", ["client", "application"])
def test_reset_after_its_own_fin(first, nigh, server):
    """Nothing more is read from there, yet it is heard."""
    client, app, _ = pair(nigh, server)
    ending, other = (client, app) if first == "client" else (app, client)
    ending.fin()
    other.expect_fin()
    ending.reset()
    wait_until(other.is_hung_up, "the reset has come through")


@pytest.mark.parametrize("first", ["client", "application"])
def test_reset_behind_bytes_that_nobody_takes(first, nigh, server):
    """The other side, which does not read, cannot hold the connection for ever."""
    client, app, side = pair(nigh, server)
    ending, other = (client, app) if first == "client" else (app, client)
    ending.stuff(b"x" * 64 * KIB, 64 * MIB)
    ending.reset()
    wait_until(other.is_hung_up, "the reset has come through", 3 * DEADLINE)
    side.wait_total("nigh_connections", 0)


def test_end_without_a_byte(nigh, server):
    client, app, _ = pair(nigh, server)
    client.close()
    app.expect_fin()


def test_refused_is_reset(nigh):
    with closed_port() as hole:
        side = nigh(INBOUND=f"127.0.0.1:0={hole.getsockname()[1]}/tcp")
        expect_refusal(side.addr("inbound"))


def test_six(nigh, server):
    app = server(host="::1")
    side = nigh(INBOUND=f"[::1]:0=[::1]:{app.port}/tcp")
    client = side.client()
    app.accept().send(b"hello")
    client.expect(b"hello")


def test_several_rules(nigh, server):
    """HTTP and TCP side by side, each to its application."""
    web, db = server(), server()
    side = nigh(INBOUND=f"127.0.0.1:0={web.port},127.0.0.1:0={db.port}/tcp")
    to_web = connect(side.addr("inbound", f":{web.port}"))
    to_db = connect(side.addr("inbound", f":{db.port}"))
    db.accept().send(b"hello")
    to_db.expect(b"hello")
    to_web.send(text("GET / HTTP/1.1", "Host: a"))
    web.request()[0].send(OK)
    to_web.expect(OK)


@pytest.mark.parametrize("reader", ["client", "application"])
def test_stalled_reader(reader, nigh, server):
    """One that does not read costs nigh at most 128 KiB, and loses nothing."""
    client, app, _ = pair(nigh, server)
    source, sink = (app, client) if reader == "client" else (client, app)
    sent = source.stuff(b"x" * 64 * KIB, 64 * MIB)
    assert sent < 64 * MIB, "no back-pressure"
    assert held_between(sent, source, sink) <= 128 * KIB
    # The other direction is not held up by this one.
    sink.send(b"still here")
    source.expect(b"still here")
    source.fin()
    assert len(sink.read_to_end()) == sent


def test_twenty_mib_both_ways(nigh, server):
    """At the same time, in odd pieces, and every byte as it was."""
    client, app, _ = pair(nigh, server)
    data = random.Random(1).randbytes(MIB) * 20

    def send(peer):
        for start in range(0, len(data), 99991):
            peer.send(data[start:start + 99991])
        peer.fin()

    senders = [threading.Thread(target=send, args=(peer,)) for peer in (client, app)]
    digests = {}

    def receive(peer):
        digests[peer.who] = hashlib.sha256(peer.read_to_end()).digest()

    readers = [threading.Thread(target=receive, args=(peer,)) for peer in (client, app)]
    for thread in senders + readers:
        thread.start()
    for thread in senders + readers:
        thread.join(60)
    want = hashlib.sha256(data).digest()
    assert digests == {"client": want, "application": want}


@pytest.mark.parametrize("way", ["up", "down"])
def test_one_way_in_full_flow(way, nigh, server):
    """Far into a large message bytes take the short way through the kernel: a reader that
    stops and goes on still gets every byte as it was, and then the end."""
    client, app, _ = pair(nigh, server)
    source, sink = (client, app) if way == "up" else (app, client)
    data = random.Random(2).randbytes(24 * MIB)

    def send():
        source.send(data)
        source.fin()

    sender = threading.Thread(target=send)
    sender.start()
    got = hashlib.sha256()
    for _ in range(8):
        got.update(sink.read_exactly(2 * MIB))
        sender.join(0.05)   # meanwhile the buffers on the way fill up
    got.update(sink.read_to_end())
    sender.join(60)
    assert got.digest() == hashlib.sha256(data).digest()


def test_two_hundred_connections(nigh, server):
    app = server()
    side = nigh.inbound(app, "tcp")
    clients = [side.client() for _ in range(200)]
    for number, client in enumerate(clients):
        client.send(b"%5d" % number)
    seen = set()
    for _ in clients:
        conn = app.accept()
        data = conn.read_exactly(5)
        seen.add(data)
        conn.send(data)
    assert len(seen) == 200
    for number, client in enumerate(clients):
        client.expect(b"%5d" % number)
        client.close()
