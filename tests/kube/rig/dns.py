# SPDX-License-Identifier: Apache-2.0
"""The cluster's DNS: answers for the names it was told, and at once for all others."""
import socket
import struct
import threading

ADDRESS = "198.19.0.53"
A, IN = 1, 1
ANSWER, NO_SUCH_NAME = 0x8580, 0x8583


def resolv_conf(ns):
    """As a pod has it."""
    return (f"nameserver {ADDRESS}\n"
            f"search {ns}.svc.cluster.local svc.cluster.local cluster.local\n"
            "options ndots:5\n")


def read_question(query):
    """(name in lower case, type, where the question ends)"""
    labels, at = [], 12
    while query[at]:
        labels.append(query[at + 1:at + 1 + query[at]].decode("latin-1").lower())
        at += 1 + query[at]
    return ".".join(labels), struct.unpack_from("!H", query, at + 1)[0], at + 5


class Dns:
    """names: what it knows, each with its IPv4 address."""

    def __init__(self):
        self.names = {}
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((ADDRESS, 53))
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            query, peer = self._socket.recvfrom(4096)
            self._socket.sendto(self._answer(query), peer)

    def _answer(self, query):
        name, kind, end = read_question(query)
        address = self.names.get(name)
        record = b""
        if address and kind == A:
            record = (struct.pack("!HHHIH", 0xC00C, A, IN, 1, 4)
                      + socket.inet_aton(address))
        flags = ANSWER if address else NO_SUCH_NAME
        return (query[:2] + struct.pack("!HHHHH", flags, 1, bool(record), 0, 0)
                + query[12:end] + record)
