# SPDX-License-Identifier: Apache-2.0
"""The proxies that are compared: one row each. A peer listens on `port` of loopback and
hands to `backend`, with one worker and no access log, else as its package ships it."""

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable


@dataclass(frozen=True)
class Place:
    """Where one start of a peer happens."""
    directory: Path     # its own, for the configuration it writes
    tools: Path         # where the bench's and nigh's programs are
    port: int
    backend: int


@dataclass(frozen=True)
class Peer:
    name: str
    about: str
    command: Callable[[Place], list]
    environment: Callable[[Place], dict] = field(default=lambda place: {})
    package: str = ""


def haproxy(mode):
    def command(place):
        config = place.directory / "haproxy.cfg"
        config.write_text(f"""\
global
    nbthread 1
    maxconn 8000
defaults
    mode {mode}
    timeout connect 5s
    timeout client 60s
    timeout server 60s
listen bench
    bind 127.0.0.1:{place.port}
    server backend 127.0.0.1:{place.backend}
""")
        return ["haproxy", "-db", "-f", config]
    return command


def nginx(place):
    config = place.directory / "nginx.conf"
    user = "user root;" if os.getuid() == 0 else ""
    config.write_text(f"""\
daemon off;
{user}
worker_processes 1;
worker_rlimit_nofile 20000;
pid {place.directory}/nginx.pid;
events {{ worker_connections 16000; }}
http {{
    access_log off;
    client_body_temp_path {place.directory}/body;
    proxy_temp_path {place.directory}/proxy;
    fastcgi_temp_path {place.directory}/fastcgi;
    uwsgi_temp_path {place.directory}/uwsgi;
    scgi_temp_path {place.directory}/scgi;
    upstream backend {{
        server 127.0.0.1:{place.backend};
        keepalive 512;
    }}
    server {{
        listen 127.0.0.1:{place.port} backlog=4096;
        location / {{
            proxy_pass http://backend;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
        }}
    }}
}}
""")
    return ["nginx", "-e", "stderr", "-c", config]


def nigh_environment(place):
    return {
        "NIGH_INBOUND": f"127.0.0.1:{place.port}=127.0.0.1:{place.backend}/http",
        "NIGH_OUTBOUND": "off",
        "NIGH_ADMIN": "127.0.0.1:0",
        "NIGH_ENDPOINTS": "dns",
        "NIGH_WORKERS": "1",
        "NIGH_LOG_LEVEL": "warn",
    }


PEERS = [
    Peer("relay", "bare epoll relay, parses nothing",
         lambda place: [place.tools / "relay", place.port, place.backend]),
    Peer("haproxy-tcp", "HAProxy, TCP mode", haproxy("tcp"), package="haproxy"),
    Peer("haproxy-http", "HAProxy, HTTP mode", haproxy("http"), package="haproxy"),
    Peer("nginx", "nginx, keep-alive upstream", nginx, package="nginx-light"),
    Peer("nigh", "nigh inbound HTTP, caps and metrics on",
         lambda place: [place.tools / "nigh"], nigh_environment),
]
