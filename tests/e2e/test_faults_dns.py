# SPDX-License-Identifier: Apache-2.0
"""A server of the DNS that does not answer for some names."""
import contextlib
import socket
import threading

from harness.dialogue import OK
from harness.message import text
from harness.network import alone
from harness.server import Server
from harness.sidecar import Sidecar

N_SILENT = 100      # evdns as it comes asks for 32 names at one time

A_OF_LOOPBACK = b"\xc0\x0c" + b"\0\1\0\1" + b"\0\0\0\5" + b"\0\4\x7f\0\0\1"


def answer(query):
    """127.0.0.1 for good.test in IPv4, nothing in IPv6; None for all other names."""
    name, kind = query[12:-4], query[-4:-2]
    if not name.startswith(b"\4good"):
        return None
    n_answers = kind == b"\0\1"
    return (query[:2] + b"\x81\x80" + b"\0\1" + bytes([0, n_answers]) + bytes(4) + query[12:] +
            A_OF_LOOPBACK * n_answers)


def serve(sock):
    with contextlib.suppress(OSError):
        while True:
            query, peer = sock.recvfrom(4096)
            if (data := answer(query)):
                sock.sendto(data, peer)


def test_names_without_an_answer_hold_nobody_up(binary, tmp_path):
    conf = tmp_path / "resolv.conf"
    conf.write_text("nameserver 127.0.0.1\noptions timeout:60 ndots:1\n", encoding="ascii")
    prefix = ["unshare", "--mount", "sh", "-c",
              'mount --bind "$0" /etc/resolv.conf && exec "$@"', str(conf)]

    def test():
        with contextlib.ExitStack() as stack:
            dns = stack.enter_context(socket.socket(type=socket.SOCK_DGRAM))
            dns.bind(("127.0.0.1", 53))
            threading.Thread(target=serve, args=(dns,), daemon=True).start()
            app = stack.enter_context(contextlib.closing(Server()))
            side = Sidecar(binary, {"ADMIN": "127.0.0.1:0", "OUTBOUND": "127.0.0.1:0",
                                    "WORKERS": "1", "ENDPOINTS": "dns"}, prefix)
            stack.callback(side.stop)
            side.wait_ready()
            for i in range(N_SILENT):
                client = stack.enter_context(side.client("outbound"))
                client.send(text("GET /x HTTP/1.1", f"Host: silent{i}.test"))
            client = stack.enter_context(side.client("outbound"))
            client.send(text("GET /x HTTP/1.1", f"Host: good.test:{app.port}"))
            app.request()[0].send(OK)
            client.expect(OK)
    alone(test)
