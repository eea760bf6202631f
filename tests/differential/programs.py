# SPDX-License-Identifier: Apache-2.0
"""Readers that are programs: nginx and HAProxy, of which the application behind them
shows what they have read, Go's net/http in reader.go, and curl."""
import asyncio
import base64
import contextlib
import json
import os
import re
import socket
import subprocess
import tempfile
from pathlib import Path

from harness.peer import can_connect, wait_until
from reading import WAITS, Message, Reading, of_request, of_response

NGINX = """\
daemon off;
{user}
worker_processes 1;
pid {folder}/pid;
events {{ }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    large_client_header_buffers 8 128k;
    client_max_body_size 0;
    underscores_in_headers on;
    ignore_invalid_headers off;
    server {{
        listen 127.0.0.1:{port};
        merge_slashes off;
        location / {{
            proxy_pass http://127.0.0.1:{app};
            proxy_http_version 1.1;
            proxy_ignore_client_abort on;
            proxy_set_header Connection "";
            proxy_set_header Host $http_host;
        }}
    }}
}}
"""

HAPROXY = """\
global
    nbthread 1
    tune.bufsize 262144
    tune.http.maxhdr 1024
defaults
    mode http
    timeout connect 5s
    timeout client 60s
    timeout server 60s
listen reader
    bind 127.0.0.1:{port}
    server app 127.0.0.1:{app}
"""


def free_port():
    with contextlib.closing(socket.socket()) as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


@contextlib.contextmanager
def _proxy(template, command, app_port):
    with tempfile.TemporaryDirectory() as folder:
        port, config = free_port(), Path(folder) / "config"
        config.write_text(template.format(
            folder=folder, port=port, app=app_port,
            user="user root;" if os.getuid() == 0 else ""))
        with subprocess.Popen([*command, str(config)], stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL) as process:
            try:
                wait_until(lambda: process.poll() is not None or
                           can_connect(("127.0.0.1", port)), command[0])
                assert process.poll() is None, f"{command[0]} did not start"
                yield port
            finally:
                process.terminate()


def nginx(app_port):
    return _proxy(NGINX, ["nginx", "-e", "stderr", "-c"], app_port)


def haproxy(app_port):
    return _proxy(HAPROXY, ["haproxy", "-db", "-f"], app_port)


def _go_error(answer):
    error = answer["error"] or None
    return WAITS if error in ("EOF", "unexpected EOF") else error


class Go:
    """reader.go, built."""

    def __init__(self, program):
        self._process = subprocess.Popen([program], stdin=subprocess.PIPE,
                                         stdout=subprocess.PIPE, text=True)

    def close(self):
        self._process.stdin.close()
        self._process.wait()

    def _ask(self, data, **more):
        question = {"data": base64.b64encode(data).decode(), **more}
        self._process.stdin.write(json.dumps(question) + "\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline())
        for got in answer["messages"]:
            got["body"] = base64.b64decode(got["body"] or "")
            got["fields"] = [(name, base64.b64decode(value or "").decode("latin-1"))
                             for name, values in got["fields"].items() for value in values]
        return answer

    def requests(self, data, end="FIN"):
        answer = self._ask(data, reset=end == "RST")
        return Reading([of_request(got["method"], got["target"], got["host"], got["body"],
                                   got["fields"]) for got in answer["messages"]],
                       _go_error(answer))

    def responses(self, data, methods, end):
        answer = self._ask(data, methods=list(methods), reset=end == "RST")
        return Reading([of_response(got["status"], got["body"], got["fields"])
                        for got in answer["messages"]], _go_error(answer))


# --- curl ---

class _Replay(asyncio.Protocol):
    """Answers the first request of each connection with the bytes that its path names."""

    def __init__(self, answers):
        self._answers = answers
        self._head = b""
        self._transport = None

    def connection_made(self, transport):
        self._transport = transport

    def data_received(self, data):
        self._head += data
        if b"\r\n\r\n" in self._head:
            number = int(re.match(rb"\w+ /(\d+) ", self._head)[1])
            self._transport.write(self._answers[number])
            self._transport.close()


async def curl_responses(cases):
    """cases: (bytes, method); the first response in each. One process for all."""
    server = await asyncio.get_running_loop().create_server(
        lambda: _Replay([data for data, _ in cases]), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        config = []
        for number, (_, method) in enumerate(cases):
            config += [f'url = "http://127.0.0.1:{port}/{number}"',
                       f'output = "{folder}/{number}"',
                       "head" if method == "HEAD" else f'request = "{method}"',
                       'write-out = "%{http_code} %{exitcode}\\n"',
                       "max-time = 10", "silent", "http1.1", 'noproxy = "*"', "next"]
        process = await asyncio.create_subprocess_exec(
            "curl", "-q", "-K", "-", stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE)
        told, _ = await process.communicate("\n".join(config[:-1]).encode())
        server.close()
        lines = told.decode().splitlines()
        assert len(lines) == len(cases), f"curl: {told!r}"
        return [_curl_reading(line, Path(folder) / str(number), cases[number][1])
                for number, line in enumerate(lines)]


def _curl_reading(line, file, method):
    status, code = map(int, line.split())
    if code:
        return Reading([], WAITS if code == 18 else f"curl exits with {code}")
    body = file.read_bytes() if file.exists() and method != "HEAD" else b""
    return Reading([Message((status,), "", body, ())])
