# SPDX-License-Identifier: Apache-2.0
"""Upgrade and CONNECT: RFC 9110 sections 7.8 and 9.3.6, RFC 6455 section 4."""
from harness.message import text

from .row import INBOUND, Row, answered, passes, request, response, unacceptable

KEY = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="
SWITCH = text("HTTP/1.1 101 Switching Protocols", "Upgrade: websocket",
              "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", "Connection: Upgrade")


def upgraded(name, *fields, seen, rfc="9110 7.8", answer=SWITCH, got=SWITCH, **more):
    """The application agrees; what it gets names Upgrade in a Connection of nigh's own."""
    return Row(rfc, name, request(*fields), (request(*seen, "Connection: Upgrade"),), (answer,),
               (got,), end="any", **more)


def switch(*fields):
    return text("HTTP/1.1 101 Switching Protocols", *fields)


WEBSOCKET = "Upgrade: websocket", KEY
AGREED = [
    *(upgraded(f"Connection: {value}", f"Connection: {value}", *WEBSOCKET, seen=WEBSOCKET)
      for value in ("Upgrade", "upgrade", "UPGRADE", "keep-alive, Upgrade", "Upgrade, keep-alive",
                    "upgrade,foo", " Upgrade ", "foo , Upgrade , bar", "Upgrade, Upgrade")),
    *(upgraded(f"Upgrade: {value}", "Connection: Upgrade", f"Upgrade: {value}",
               seen=(f"Upgrade: {value}",),
               answer=switch(f"Upgrade: {value}", "Connection: Upgrade"),
               got=switch(f"Upgrade: {value}", "Connection: Upgrade"))
      for value in ("WebSocket", "foo/1", "a, b", "HTTP/3.0", "TLS/1.0, x", "x" * 200)),
    upgraded("Connection behind Upgrade", *WEBSOCKET, "Connection: Upgrade", seen=WEBSOCKET),
    upgraded("Upgrade in the second Connection", "Connection: keep-alive", "Connection: Upgrade",
             *WEBSOCKET, seen=WEBSOCKET),
    upgraded("a field that Connection names beside Upgrade", "Connection: Upgrade, x", "X: 1",
             *WEBSOCKET, seen=WEBSOCKET),
    upgraded("all fields of a handshake", "Connection: Upgrade", *WEBSOCKET,
             "Sec-WebSocket-Version: 13", "Sec-WebSocket-Protocol: a, b", "Origin: http://a.test",
             "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits", rfc="6455 4.1",
             seen=(*WEBSOCKET, "Sec-WebSocket-Version: 13", "Sec-WebSocket-Protocol: a, b",
                   "Origin: http://a.test",
                   "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits")),
    upgraded("the switch in lower case", "Connection: Upgrade", *WEBSOCKET, seen=WEBSOCKET,
             answer=switch("connection: upgrade", "upgrade: websocket"),
             got=switch("upgrade: websocket", "Connection: Upgrade")),
    upgraded("the switch with keep-alive", "Connection: Upgrade", *WEBSOCKET, seen=WEBSOCKET,
             answer=switch("Connection: keep-alive, Upgrade", "Upgrade: websocket"),
             got=switch("Upgrade: websocket", "Connection: Upgrade")),
    upgraded("the switch with a length", "Connection: Upgrade", *WEBSOCKET, seen=WEBSOCKET,
             answer=switch("Upgrade: websocket", "Content-Length: 5", "Connection: Upgrade"),
             got=switch("Upgrade: websocket", "Connection: Upgrade")),
]

REFUSED = [
    answered("9110 7.8", f"an upgrade answered with {status}",
             response("Content-Length: 2", start=f"HTTP/1.1 {status}"),
             send=request("Connection: Upgrade", *WEBSOCKET),
             seen=(request(*WEBSOCKET, "Connection: Upgrade"),))
    for status in ("200 OK", "302 Found", "400 Bad Request", "401 Unauthorized", "403 Forbidden",
                   "404 Not Found", "500 Oops", "503 Busy")
] + [
    answered("9110 15.5.22", "426 says what is wanted",
             response("Upgrade: a/1", "Connection: Upgrade", "Content-Length: 2",
                      start="HTTP/1.1 426 Upgrade Required"),
             response("Upgrade: a/1", "Content-Length: 2", "Connection: upgrade",
                      start="HTTP/1.1 426 Upgrade Required")),
]


def not_asked(name, removed, *kept, **more):
    return passes("9110 7.8", name, request(*removed, *kept), request(*kept), **more)


NOT_ASKED = [
    not_asked("Upgrade that Connection does not name", ["Upgrade: websocket"], KEY),
    not_asked("Connection: Upgrade without Upgrade", ["Connection: Upgrade"], KEY),
    not_asked("Upgrade with another Connection", ["Connection: keep-alive", "Upgrade: websocket"],
              KEY),
    not_asked("h2c", ["Connection: Upgrade", "Upgrade: h2c"]),
    not_asked("h2c among others", ["Connection: Upgrade", "Upgrade: websocket, h2c"]),
    passes("9110 7.8", "an upgrade in 1.0",
           request("Connection: Upgrade, keep-alive", *WEBSOCKET, start="GET /x HTTP/1.0"),
           request(KEY), got=(response("Content-Length: 2", "Connection: keep-alive"),)),
    unacceptable("9110 7.8", "a switch to who asked for h2c", SWITCH,
                 send=request("Connection: Upgrade", "Upgrade: h2c")),
    unacceptable("9110 7.8", "a switch to who asked in 1.0", SWITCH,
                 send=request("Connection: Upgrade", *WEBSOCKET, start="GET /x HTTP/1.0"),
                 seen=(request(KEY),), end="closed"),
]

# Inbound CONNECT is the application's to answer.
TUNNEL = text("CONNECT a.test:443 HTTP/1.1", "Host: a.test:443")
CONNECT = [
    answered("9110 9.3.6", f"CONNECT refused with {status}",
             response("Content-Length: 2", start=f"HTTP/1.1 {status}"),
             response("Content-Length: 2", "Connection: close", start=f"HTTP/1.1 {status}"),
             send=TUNNEL, method="CONNECT", end="closed", on=(INBOUND,))
    for status in ("400 Bad Request", "403 Forbidden", "405 Not Allowed", "407 Proxy Auth",
                   "502 Bad Gateway")
] + [
    answered("9110 9.3.6", f"CONNECT agreed to with {what}",
             text("HTTP/1.1 200 OK", *fields), text("HTTP/1.1 200 OK"),
             send=TUNNEL, method="CONNECT", end="any", on=(INBOUND,))
    for what, fields in {"200": (), "a length": ("Content-Length: 5",),
                         "chunks": ("Transfer-Encoding: chunked",)}.items()
] + [
    answered("9110 9.3.6", "the authority of CONNECT replaces Host",
             response("Content-Length: 0", start="HTTP/1.1 405 No", body=""),
             response("Content-Length: 0", "Connection: close", start="HTTP/1.1 405 No", body=""),
             send=text("CONNECT a.test:443 HTTP/1.1", "Host: b.test"), seen=(TUNNEL,),
             method="CONNECT", end="closed", on=(INBOUND,)),
]

ROWS = [*AGREED, *REFUSED, *NOT_ASKED, *CONNECT]
