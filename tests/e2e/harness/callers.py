# SPDX-License-Identifier: Apache-2.0
"""Clients that call one service without a pause."""
import http.client
import threading

from .peer import wait_until


class Callers:
    """Clients that call without a pause and note every failure."""

    def __init__(self, addr, method="GET", clients=4):
        self.failures = []
        self.done = 0
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(addr, method))
                         for _ in range(clients)]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        for thread in self._threads:
            thread.join(20)

    def _run(self, addr, method):
        conn = http.client.HTTPConnection(*addr, timeout=10)
        while not self._stop.is_set():
            try:
                conn.request(method, "/", headers={"Host": "orders"})
                answer = conn.getresponse()
                data = answer.read()
                if answer.status != 200:
                    self.failures.append((answer.status, data))
            except Exception as error:      # each one is a failed request
                self.failures.append(repr(error))
                conn.close()
            self.done += 1
        conn.close()

    def more(self, count):
        """Go on until so many more calls have been made."""
        want = self.done + count
        wait_until(lambda: self.done >= want, f"{count} more calls")
