# SPDX-License-Identifier: Apache-2.0
"""The same bytes to nigh and to others: see README.md."""
import argparse
import asyncio
import contextlib
import random
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "e2e"))

# pylint: disable=wrong-import-position
import cases
import programs
import readers
import relay
from compare import BEHIND, BESIDE, Verdicts
from harness.sidecar import Sidecar, find_binary
from reading import strict_requests, strict_responses

HEAD = b"%s /x HTTP/1.1\r\nHost: app.test\r\n\r\n"
CURL_BATCH = 100


class Run:
    def __init__(self, app, nigh, proxies, go):
        self.app = app
        self.port = nigh.addr("inbound")[1]
        self.proxies = proxies      # name -> port
        self.servers = {"h11": readers.h11_requests, "http.server": readers.server_requests,
                        "Go": go.requests}
        self.clients = {"h11": readers.h11_responses, "http.client": readers.client_responses,
                        "Go": go.responses}
        self.verdicts = Verdicts()
        self.forwarded = 0
        self.for_curl = []

    async def _behind(self, stream, end, data):
        """What nigh has put on one connection to the application."""
        truth = strict_requests(stream)
        for name, read in self.servers.items():
            self.verdicts.check(name, BEHIND, truth.messages, read(stream, end), data,
                                with_fields=True, all_of=True)
        if truth.error or not truth.messages or truth.messages[0].start[0] == "CONNECT":
            return
        whole = stream if stream.endswith(cases.LAST) else stream + cases.LAST
        expected = strict_requests(whole).messages
        for name, port in self.proxies.items():
            reading = await relay.read_by_proxy(self.app, port, whole, len(expected))
            self.verdicts.check(name, BEHIND, expected, reading, data, all_of=True)

    async def request(self, data, rng):
        data += cases.LAST
        ours, streams = await relay.forwarded(self.app, self.port, cases.pieces(rng, data))
        self.forwarded += bool(ours)
        for name, read in self.servers.items():
            self.verdicts.check(name, BESIDE, ours, read(data), data)
        if ours:
            for name, port in self.proxies.items():
                reading = await relay.read_by_proxy(self.app, port, data, len(ours))
                self.verdicts.check(name, BESIDE, ours, reading, data)
        for stream, end in streams:
            await self._behind(stream, end, data)

    async def response(self, method, data):
        methods = (method, "GET")
        request = HEAD % method.encode() if method != "CONNECT" else \
            b"CONNECT app.test:80 HTTP/1.1\r\nHost: app.test:80\r\n\r\n"
        got, end = await relay.answered(self.app, self.port, request + cases.LAST, [data])
        assert end, f"nigh has not answered {data!r}, so far {got!r}"
        truth = strict_responses(got, methods, end)
        if not truth.messages and not truth.error:
            return
        is_own = b"\r\nServer: nigh\r\n" in got
        self.forwarded += not is_own and bool(truth.messages)
        for name, read in self.clients.items():
            self.verdicts.check(name, BEHIND, truth.messages, read(got, methods, end),
                                data, with_fields=True, all_of=True)
            if not is_own:
                self.verdicts.check(name, BESIDE, truth.messages[:1],
                                    read(data, methods[:1], "FIN"), data)
        if method != "CONNECT" and end == "FIN":
            self.for_curl.append((got, method, truth, BEHIND, data))
            if not is_own:
                self.for_curl.append((data, method, truth, BESIDE, data))

    async def curl(self):
        for start in range(0, len(self.for_curl), CURL_BATCH):
            batch = self.for_curl[start:start + CURL_BATCH]
            readings = await programs.curl_responses([item[:2] for item in batch])
            for (_, _, truth, where, data), reading in zip(batch, readings):
                self.verdicts.check("curl", where, truth.messages[:1], reading, data,
                                    all_of=True)


async def play(options):
    app = await relay.Application().start()
    with contextlib.ExitStack() as stack:
        nigh = Sidecar(find_binary(), {
            "ADMIN": "127.0.0.1:0", "OUTBOUND": "off", "DRAIN_DELAY": "0s", "WORKERS": "1",
            "INBOUND": f"127.0.0.1:0={app.port}", "MAX_REQUESTS": "0", "MAX_CONNECTION_AGE": "0"})
        stack.callback(nigh.stop)
        nigh.wait_ready()
        loop = asyncio.get_running_loop()
        proxies = {}
        for name, start in (("nginx", programs.nginx), ("HAProxy", programs.haproxy)):
            manager = start(app.port)
            proxies[name] = await loop.run_in_executor(None, manager.__enter__)
            stack.push(manager)
        go = stack.enter_context(contextlib.closing(programs.Go(options.go_reader)))
        run = Run(app, nigh, proxies, go)
        await everything(run, options)
    return run


async def everything(run, options):
    end = time.monotonic() + options.seconds if options.seconds else None
    rng = random.Random(options.seed)
    for data in cases.corpus_requests():
        await run.request(data, rng)
    for method, data in cases.corpus_responses():
        await run.response(method, data)
    await run.curl()
    print(f"corpus done, {time.process_time():.1f} s of CPU", file=sys.stderr)
    run.for_curl.clear()
    mutants = zip(cases.mutated_requests(options.seed, options.rounds),
                  cases.mutated_responses(options.seed, options.rounds))
    for data, answer in mutants:
        if end and time.monotonic() > end:
            break
        await run.request(data, rng)
        await run.response(*answer)


def report(run):
    verdicts = run.verdicts
    for (reader, where), count in sorted(verdicts.same.items()):
        print(f"ok {reader} {where}: {count} the same")
    for row, count in (verdicts.refusals + verdicts.differences).items():
        print(f"known: {row.reader}: {row.why}: {count}")
    for fault in verdicts.faults[:200]:
        print(f"FAIL {fault}")
    print(f"{sum(verdicts.same.values())} passed, {len(verdicts.faults)} failed, 0 skipped")
    return 1 if verdicts.faults else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=1000, help="mutants of each kind")
    parser.add_argument("--seconds", type=float, help="for the mutants, at most")
    parser.add_argument("--go-reader", required=True, help="reader.go, built")
    options = parser.parse_args()
    sys.exit(report(asyncio.run(play(options))))


if __name__ == "__main__":
    main()
