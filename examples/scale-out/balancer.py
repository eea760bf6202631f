# SPDX-License-Identifier: Apache-2.0
"""A plain TCP balancer, like kube-proxy: each new connection goes to one of the present pods
and stays there, whatever happens to the list afterwards. It never looks at the bytes, and a
pod that refuses is the client's bad luck. The pods take turns: drawn at random, the new ones
of a few connections would now and then get hardly any, which shows nothing."""

import asyncio
import itertools


class Leg(asyncio.Protocol):
    """One of the two connections of a pair; hands what it reads to the other."""

    def __init__(self):
        self.transport = self.other = None
        self.early = b""    # read while there is no other yet

    def connection_made(self, transport):
        self.transport = transport

    def join(self, other):
        self.other = other
        other.transport.write(self.early)

    def data_received(self, data):
        if self.other:
            self.other.transport.write(data)
        else:
            self.early += data

    def eof_received(self):
        if self.other:
            self.other.transport.write_eof()
        return self.other is not None   # the other direction goes on

    def connection_lost(self, _):
        if self.other:
            self.other.transport.close()


class ClientLeg(Leg):
    def __init__(self, balancer):
        super().__init__()
        self.balancer = balancer

    def connection_made(self, transport):
        super().connection_made(transport)
        asyncio.ensure_future(self.assign())

    async def assign(self):
        try:
            _, pod = await asyncio.get_running_loop().create_connection(
                Leg, *self.balancer.next_pod())
        except OSError:
            self.transport.abort()
            return
        self.join(pod)
        pod.join(self)
        if self.transport.is_closing():
            pod.transport.close()


class Balancer:
    def __init__(self):
        self.pods = []      # (address, port) of each; change it at any time
        self.turns = itertools.count()

    def next_pod(self):
        return self.pods[next(self.turns) % len(self.pods)]

    async def start(self):
        self.server = await asyncio.get_running_loop().create_server(
            lambda: ClientLeg(self), "127.0.0.1", 0)
        return self.server.sockets[0].getsockname()

    def stop(self):
        self.server.close()
