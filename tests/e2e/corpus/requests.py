# SPDX-License-Identifier: Apache-2.0
"""Requests that must go through, with what may change on the way."""
from harness.message import text

from .row import INBOUND, ROUTE, OK, Row, chunked, passes, post, request, response

# --- RFC 9110 section 9: methods ---

REGISTERED = (
    "ACL BASELINE-CONTROL BIND CHECKIN CHECKOUT COPY DELETE GET LABEL LINK LOCK MERGE "
    "MKACTIVITY MKCALENDAR MKCOL MKREDIRECTREF MKWORKSPACE MOVE OPTIONS ORDERPATCH PATCH POST "
    "PROPFIND PROPPATCH PUT REBIND REPORT SEARCH TRACE UNBIND UNCHECKOUT UNLINK UNLOCK UPDATE "
    "UPDATEREDIRECTREF VERSION-CONTROL").split()
METHODS = [
    *(passes("9110 9.1", f"method {name}", request(start=f"{name} /x HTTP/1.1"))
      for name in REGISTERED),
    *(passes("9110 9.1", f"method {name} with a body",
             request("Content-Length: 5", start=f"{name} /x HTTP/1.1", body="hello"))
      for name in ("GET", "DELETE", "OPTIONS", "PUT", "PATCH", "PROPFIND", "SEARCH", "FOO")),
    *(passes("9110 9.1", f"method {name} with a chunked body",
             request("Transfer-Encoding: chunked", start=f"{name} /x HTTP/1.1",
                     body="5\r\nhello\r\n0\r\n\r\n"))
      for name in ("GET", "DELETE", "OPTIONS", "PUT", "PATCH", "PROPFIND", "REPORT", "FOO")),
    *(passes("9110 9.1", f"method {name} is its own, letter case counts",
             request(start=f"{name} /x HTTP/1.1"))
      for name in ("Get", "gET", "post", "head", "connect", "options", "X", "1", "-", "G-E_T",
                   "GETT", "GE", "PRIVATE", "HEADER", "CONNECTED", "M" * 255)),
    passes("9110 9.3.7", "OPTIONS of a path", request(start="OPTIONS /x HTTP/1.1")),
    passes("9110 9.3.7", "OPTIONS asterisk with a body",
           request("Content-Length: 5", start="OPTIONS * HTTP/1.1", body="hello")),
    passes("9110 7.6.2", "Max-Forwards stays in what is no TRACE or OPTIONS",
           request("Max-Forwards: 0")),
    passes("9110 9.3.8", "TRACE keeps its fields", request("A: b", start="TRACE /x HTTP/1.1")),
]

# --- RFC 9112 section 3: the request line, RFC 3986: the target ---

TARGETS = {
    "root": "/",
    "a dot segment": "/./x",
    "two dot segments": "/a/../x",
    "dot segments above the root": "/../../x",
    "encoded dots": "/%2e%2e/x",
    "encoded slash": "/a%2Fb",
    "encoded backslash": "/a%5Cb",
    "encoded NUL": "/a%00b",
    "encoded CRLF": "/a%0D%0Ab",
    "encoded space": "/a%20b",
    "encoded percent": "/a%25b",
    "encoding in lower case": "/%c3%a9%3f",
    "needless encoding": "/%41%42",
    "two slashes first": "//x",
    "slashes in a row": "/a//b///c",
    "a trailing slash": "/x/",
    "parameters": "/x;a=b;c/y;d",
    "sub-delims": "/!$&'()*+,;=",
    "colon and at": "/a:b@c",
    "tilde": "/~user",
    "an empty query": "/x?",
    "query of question marks": "/x???",
    "query with slashes": "/x?/y//z",
    "query with a URL": "/x?u=http://a.test:80/y",
    "query with brackets": "/x?a[0]=1&b[]=2",
    "query with plus": "/x?a+b=c+d",
    "query with encoded hash": "/x?a=%23",
    "query with equal signs": "/x?a==b&&c",
    "a number": "/12345",
    "dots": "/...",
    "one thousand segments": "/a" * 1000,
    "8000 bytes": "/" + "x" * 7999,
    "8192 bytes": "/" + "x" * 8191,
    "16000 bytes": "/" + "x" * 15999,
    "a query of 12000 bytes": "/x?" + "y" * 12000,
}
LINES = [
    *(passes("9112 3.2.1", f"target with {name}", request(start=f"GET {target} HTTP/1.1"))
      for name, target in TARGETS.items()),
    *(passes("9112 2.2", f"{count} empty lines before the request",
             b"\r\n" * count + request(), request()) for count in (1, 2, 3, 4, 5, 10, 16)),
    *(passes("9112 2.5", f"1.0 {name}", request(*fields, start="GET /x HTTP/1.0"), request(),
             got=(response("Content-Length: 2", f"Connection: {answer}"),),
             end="kept" if answer == "keep-alive" else "closed")
      for name, fields, answer in (
          ("goes on as 1.1", (), "close"),
          ("with keep-alive", ("Connection: keep-alive",), "keep-alive"),
          ("with keep-alive in capitals", ("Connection: KEEP-ALIVE",), "keep-alive"),
          ("with keep-alive in a list", ("Connection: foo, keep-alive",), "keep-alive"),
          ("with close", ("Connection: close",), "close"),
          ("with keep-alive and close", ("Connection: keep-alive, close",), "close"),
          ("with Proxy-Connection", ("Proxy-Connection: keep-alive",), "close"),
          ("with Keep-Alive alone", ("Keep-Alive: timeout=5",), "close"),
      )),
    *(passes("9110 2.5", f"1.{minor} goes on as 1.1", request(start=f"GET /x HTTP/1.{minor}"),
             request()) for minor in range(2, 10)),
    passes("9110 2.5", "1.2 has bodies as 1.1", chunked("0\r\n\r\n").replace(b"/1.1", b"/1.2"),
           chunked("0\r\n\r\n")),
]


def url(name, target, seen, method="GET", fields=("Host: other.test",)):
    """Absolute form: its authority replaces Host, whatever that was."""
    return passes("9112 3.2.2", name, text(f"{method} {target} HTTP/1.1", *fields),
                  request(start=f"{method} {seen} HTTP/1.1"))


ABSOLUTE = [
    url("absolute form, path and query", "http://{host}/a?b", "/a?b"),
    url("absolute form, no path", "http://{host}", "/"),
    url("absolute form, query without path", "http://{host}?a", "/?a"),
    url("absolute form, root", "http://{host}/", "/"),
    url("absolute form, scheme in mixed case", "HtTp://{host}/x", "/x"),
    url("absolute form, path of two slashes", "http://{host}//x", "//x"),
    url("absolute form, a URL in the query", "http://{host}/x?http://a.test/", "/x?http://a.test/"),
    url("absolute form, an at sign in the path", "http://{host}/a@b", "/a@b"),
    url("absolute form, a colon in the path", "http://{host}/a:b", "/a:b"),
    url("absolute form of OPTIONS without path", "http://{host}", "*", method="OPTIONS"),
    url("absolute form of OPTIONS with root", "http://{host}/", "/", method="OPTIONS"),
    url("absolute form of an unknown method", "http://{host}/x", "/x", method="FOO"),
    url("absolute form, Host is the same", "http://{host}/x", "/x", fields=("Host: {host}",)),
    url("absolute form, Host is empty", "http://{host}/x", "/x", fields=("Host:",)),
    passes("9112 3.2.2", "absolute form of 1.0 without Host",
           text("GET http://{host}/x HTTP/1.0", "Connection: keep-alive"), request(),
           got=(response("Content-Length: 2", "Connection: keep-alive"),)),
    passes("9110 4.2.3", "absolute form, port given",
           text("GET http://a.test:8080/x HTTP/1.1", "Host: b.test"),
           text("GET /x HTTP/1.1", "Host: a.test:8080"), on=(INBOUND, ROUTE)),
    passes("9110 4.2.3", "absolute form, an address of IPv6",
           text("GET http://[2001:db8::1]:80/x HTTP/1.1", "Host: b.test"),
           text("GET /x HTTP/1.1", "Host: [2001:db8::1]:80"), on=(INBOUND, ROUTE)),
]

# --- RFC 9110 section 7.2: Host ---

HOSTS = ["a", "a.b", "a-b.c", "a_b", "1.2.3.4", "1.2.3.4:80", "[::1]", "[::1]:8080",
         "[2001:db8::1]", "[::ffff:1.2.3.4]", "A.TEST", "a.test.", "a.test:", "a.test:80",
         "a.test:1", "a.test:65535", "a.test:080", "xn--a.test", "0", "127.1", "a~b", "a%2eb",
         "x" * 63 + ".test", ".".join(["x" * 60] * 4)]
HOST = [
    *(passes("9110 7.2", f"Host {name[:70]}", text("GET /x HTTP/1.1", f"Host: {name}"),
             on=(INBOUND, ROUTE)) for name in HOSTS),
    *(passes("9110 7.2", f"Host written as {name!r}",
             text("GET /x HTTP/1.1", name + "{host}"),
             text("GET /x HTTP/1.1", name.partition(":")[0] + ": {host}"))
      for name in ("host: ", "HOST:", "Host:\t", "hOST:   ", "Host: \t ")),
    passes("9110 7.2", "white space behind Host", text("GET /x HTTP/1.1", "Host: {host} \t"),
           request()),
    passes("9110 7.2", "Host behind other fields",
           text("GET /x HTTP/1.1", "A: b", "C: d", "Host: {host}", "E: f")),
]

# --- RFC 9110 section 5: fields ---

VALUES = {
    "a value of one byte": "A: b",
    "no value": "A:",
    "a value of blanks": "A:  \t ",
    "no space before the value": "A:b",
    "tabs before the value": "A:\t\tb",
    "blanks behind the value": "A: b \t ",
    "blanks within the value": "A: b \t c",
    "a colon in the value": "A: b:c",
    "a colon first": "A::b",
    "a URL": "A: http://a.test:80/?x#y",
    "all visible characters": "A: " + "".join(map(chr, range(0x21, 0x7f))),
    "all bytes above 0x7f": "A: " + "".join(map(chr, range(0x80, 0x100))),
    "UTF-8": "A: \xe2\x82\xac",
    "a quoted string": 'A: "b, \\"c\\" d"',
    "an open quote": 'A: "b',
    "a comment": "A: b (c (d) e)",
    "an open parenthesis": "A: (b",
    "commas alone": "A: ,, ,",
    "a semicolon alone": "A: ;",
    "an equal sign first": "A: =b",
    "a base64 value": "Authorization: Bearer a.b-c_d~e+f/g==",
    "a date": "If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT",
    "an entity tag": 'If-None-Match: W/"a", "b"',
    "a range": "Range: bytes=0-0,-1",
    "cookies": "Cookie: a=b; c=d; e=\"f g\"; h",
    "a name of one letter": "x: y",
    "a name of digits": "123: y",
    "a name of signs": "!#$%&'*+-.^_`|~: y",
    "a name of 200 bytes": "N" * 200 + ": y",
    "a name with an underscore": "X_Y: z",
    "a name with a dot": "X.Y: z",
    "a value of 4000 bytes": "A: " + "x" * 4000,
    "a value of 8190 bytes": "A: " + "x" * 8190,
    "a value of 30000 bytes": "A: " + "x" * 30000,
    "Via of others": "Via: 1.0 fred, 1.1 p.example.net",
    "Forwarded of others": 'Forwarded: for="[2001:db8::1]:1234";proto=https;by=_x',
    "cache directives": "Cache-Control: no-cache, max-age=0",
    "Pragma": "Pragma: no-cache",
    "Range and If-Range": 'If-Range: "a"',
    "Accept-Encoding": "Accept-Encoding: gzip;q=1.0, identity; q=0.5, *;q=0",
    "Content-Encoding": "Content-Encoding: gzip",
    "traceparent": "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    "Sec-WebSocket without Upgrade": "Sec-WebSocket-Version: 13",
    "MIME-Version": "MIME-Version: 1.0",
    "Expect that is not the only one": "X-Expect: 100-continue",
    "Early-Data": "Early-Data: 1",
    "Priority": "Priority: u=1, i",
}
FIELDS = [
    *(passes("9110 5", name, request(line)) for name, line in VALUES.items()),
    passes("9110 5.3", "the order of equal names",
           request("A: 1", "B: 2", "A: 3", "a: 4", "B: 5")),
    passes("9110 5.3", "fields that are alike but for case", request("x-a: 1", "X-A: 1", "X-a: 1")),
    passes("9110 5.4", "100 fields", request(*(f"A{i}: b" for i in range(99)))),
    passes("9110 5.4", "300 cookies", request(*(f"Cookie: a{i}=b" for i in range(300)))),
    passes("9110 5.4", "a head of 60000 bytes",
           request(*(f"A{i}: {'x' * 590}" for i in range(99)))),
    passes("9110 5.1", "names that begin like framing",
           request("Content-Lengths: 5", "Content-Length2: 6", "XTransfer-Encoding: chunked",
                   "Transfer-Encodings: chunked", "Content_Length: 9", "Hosts: a")),
]

# --- RFC 9110 section 7.6.1: fields of one hop ---


def without(name, removed, *kept, rfc="9110 7.6.1", **more):
    return passes(rfc, name, request(*removed, *kept), request(*kept), **more)


SPELLINGS = "X-Hop", "x-hop", "X-HOP"
HOP = [
    *(without(f"Connection: {value}", [f"Connection: {value}"], "A: b")
      for value in ("keep-alive", "Keep-Alive", "KEEP-ALIVE", "foo", "keep-alive, foo", ", ,",
                    "foo,bar,baz", "x" * 100, "keep-alive,keep-alive", "\"close\"",
                    "closed", "not-close", "clos", "close;a", "upgrade", "Upgrade")),
    *(without(f"{named} is named by Connection: {option}",
              [f"Connection: {option}", f"{named}: 1"], "A: b")
      for named in SPELLINGS for option in SPELLINGS),
    without("named before and behind Connection", ["X: 1", "Connection: x", "X: 2"], "Y: 3"),
    without("named in the second Connection", ["Connection: keep-alive", "Connection: x", "X: 1"]),
    without("named in a list with tabs", ["Connection:\ta\t,\tb\t", "A: 1", "B: 2"], "C: 3"),
    without("named, though not there", ["Connection: x"], "Y: 1"),
    without("named, and a name that begins alike stays", ["Connection: x", "X: 1"], "X-Y: 2"),
    without("named twice", ["Connection: x, x", "X: 1"]),
    without("64 options", ["Connection: " + ",".join(f"a{i}" for i in range(64)), "a63: 1"]),
    without("Keep-Alive", ["Keep-Alive: timeout=5"]),
    without("Keep-Alive that Connection names", ["Connection: keep-alive", "Keep-Alive: max=9"]),
    without("Proxy-Connection: keep-alive", ["Proxy-Connection: keep-alive"]),
    without("Proxy-Connection: close", ["Proxy-Connection: close"]),
    without("TE: trailers", ["TE: trailers", "Connection: TE"], "A: b"),
    without("TE not named", ["TE: gzip;q=0.5"], "A: b"),
    without("Upgrade not named", ["Upgrade: foo/1"], "A: b", rfc="9110 7.8"),
    without("Upgrade named, of h2c", ["Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c",
                                      "HTTP2-Settings: AAMAAABk"], rfc="9113 3.1"),
    without("Proxy-Authorization", ["Proxy-Authorization: Basic YTpi"], rfc="9110 11.7.2"),
    *(passes("9110 7.6.1", f"Connection cannot take {name} off",
             request(f"Connection: {name}", "Content-Length: 5", start="POST /x HTTP/1.1",
                     body="hello"), post("Content-Length: 5"))
      for name in ("Content-Length", "content-length", "Host", "host, content-length")),
    passes("9110 7.6.1", "Connection cannot take Transfer-Encoding off",
           chunked("5\r\nhello\r\n0\r\n\r\n", "Connection: transfer-encoding"),
           chunked("5\r\nhello\r\n0\r\n\r\n")),
    passes("9110 6.6.2", "Trailer stays", chunked("0\r\nX-T: 1\r\n\r\n", "Trailer: X-T")),
]

CLOSING = response("Content-Length: 2", "Connection: close")
CLOSE = [
    *(passes("9112 9.6", f"Connection: {value}", request(f"Connection: {value}"), request(),
             got=(CLOSING,), end="closed")
      for value in ("close", "Close", "CLOSE", "close, foo", "foo, close", "foo,close,bar",
                    " close ", "\tclose\t", "close,", ",close", "close, close",
                    "keep-alive, close", "close, keep-alive")),
    passes("9112 9.6", "close in the second Connection",
           request("Connection: foo", "Connection: close"), request(), got=(CLOSING,),
           end="closed"),
    passes("9112 9.6", "close in the first Connection",
           request("Connection: close", "Connection: keep-alive"), request(), got=(CLOSING,),
           end="closed"),
    passes("9112 9.6", "close with a body", post("Connection: close", "Content-Length: 5"),
           post("Content-Length: 5"), got=(CLOSING,), end="closed"),
    passes("9112 9.6", "close with chunks", chunked("0\r\n\r\n", "Connection: close"),
           chunked("0\r\n\r\n"), got=(CLOSING,), end="closed"),
    passes("9112 9.6", "what follows close is no request",
           request("Connection: close") + request(start="GET /late HTTP/1.1"), request(),
           got=(CLOSING,), end="closed"),
]

# --- RFC 9112 sections 6 and 7: bodies ---

LENGTHS = [
    *(passes("9112 6.2", f"Content-Length of {name}", post(f"Content-Length:{value}"),
             post("Content-Length: " + value.strip(" \t")))
      for name, value in {
          "5": "5", "five blanks and 5": "     5", "tab and 5": "\t5", "5 and blanks": " 5  ",
          "05": " 05", "0000000005": " 0000000005", "20 zeros": " " + "0" * 19 + "5",
      }.items()),
    passes("9112 6.2", "Content-Length in lower case", post("content-length: 5")),
    passes("9112 6.2", "Content-Length in capitals", post("CONTENT-LENGTH: 5")),
    passes("9112 6.2", "Content-Length: 0 of GET", request("Content-Length: 0")),
    passes("9112 6.2", "Content-Length: 00", post("Content-Length: 00", body="")),
    passes("9112 6.3", "POST without framing has no body", post(body="")),
    passes("9112 6.3", "PUT without framing has no body", request(start="PUT /x HTTP/1.1")),
    *(passes("9112 6.2", f"a body of {size} bytes",
             post(f"Content-Length: {size}", body="b" * size))
      for size in (1, 2, 15, 16, 1000, 4095, 4096, 4097, 8192, 16383, 16384, 16385, 65535, 65536,
                   65537, 100000, 300000)),
    passes("9112 6.2", "a body of all bytes",
           post("Content-Length: 256", body="".join(map(chr, range(256))))),
    passes("9112 6.2", "a body that looks like chunks",
           post("Content-Length: 10", body="0\r\n\r\n0\r\n\r\n")),
    passes("9112 6.2", "a body that looks like a request",
           post("Content-Length: 28", body="GET /y HTTP/1.1\r\nHost: a\r\n\r\n")),
]
CHUNKS = {
    "one": "5\r\nhello\r\n0\r\n\r\n",
    "five of one byte": "".join(f"1\r\n{c}\r\n" for c in "hello") + "0\r\n\r\n",
    "none": "0\r\n\r\n",
    "a last one of zeros": "5\r\nhello\r\n00000\r\n\r\n",
    "a size with zeros first": "000005\r\nhello\r\n0\r\n\r\n",
    "a size of 16 digits": "0000000000000005\r\nhello\r\n0\r\n\r\n",
    "a last one of 16 zeros": "0" * 16 + "\r\n\r\n",
    "sizes in both cases": "a\r\n0123456789\r\nA\r\n0123456789\r\n0\r\n\r\n",
    "CRLF as content": "4\r\n\r\n\r\n\r\n0\r\n\r\n",
    "a last chunk as content": "5\r\n0\r\n\r\n\r\n0\r\n\r\n",
    "of 4096 bytes": "1000\r\n" + "x" * 4096 + "\r\n0\r\n\r\n",
    "of 100000 bytes": "186a0\r\n" + "x" * 100000 + "\r\n0\r\n\r\n",
    "two hundred": "3\r\nabc\r\n" * 200 + "0\r\n\r\n",
    "an extension": "5;a\r\nhello\r\n0\r\n\r\n",
    "an extension with a value": "5;a=b\r\nhello\r\n0\r\n\r\n",
    "an extension with a quoted value": '5;a="b c"\r\nhello\r\n0\r\n\r\n',
    "an extension with a quoted semicolon": '5;a=";"\r\nhello\r\n0\r\n\r\n',
    "an extension with an escaped quote": '5;a="\\""\r\nhello\r\n0\r\n\r\n',
    "an extension with blanks": "5; a = b\r\nhello\r\n0\r\n\r\n",
    "an extension behind a blank": "5 ;a=b\r\nhello\r\n0\r\n\r\n",
    "an extension behind a tab": "5\t;a\r\nhello\r\n0\r\n\r\n",
    "extensions": "5;a;b=c;d\r\nhello\r\n0\r\n\r\n",
    "an extension of the last": "5\r\nhello\r\n0;a=b\r\n\r\n",
    "an extension of 1000 bytes": "5;" + "a" * 1000 + "\r\nhello\r\n0\r\n\r\n",
    "a trailer": "5\r\nhello\r\n0\r\nA: b\r\n\r\n",
    "a trailer without value": "5\r\nhello\r\n0\r\nA:\r\n\r\n",
    "trailers": "5\r\nhello\r\n0\r\nA: b\r\nc: d\r\nA: e\r\n\r\n",
    "a trailer with obs-text": "5\r\nhello\r\n0\r\nA: \xe9\r\n\r\n",
    "a trailer of 1000 bytes": "0\r\nA: " + "x" * 1000 + "\r\n\r\n",
    "a trailer behind an extension": "0;a\r\nA: b\r\n\r\n",
}
CHUNKED = [
    *(passes("9112 7.1", f"chunks: {name}", chunked(body)) for name, body in CHUNKS.items()),
    *(passes("9112 7.1", f"Transfer-Encoding:{value!r}",
             request(f"Transfer-Encoding:{value}", start="POST /x HTTP/1.1", body="0\r\n\r\n"))
      for value in ("chunked", "  chunked  ", "\tchunked", " Chunked", " CHUNKED", " cHuNkEd")),
    passes("9112 7.1", "transfer-encoding in lower case",
           post("transfer-encoding: chunked", body="0\r\n\r\n")),
]

# --- RFC 9112 section 9.3.2: pipelines ---


def pipeline(name, *messages, seen=None):
    """OK is the answer to each."""
    seen = seen or messages
    return Row("9112 9.3.2", name, b"".join(messages), seen, (OK,) * len(seen), (OK,) * len(seen))


G = request()
P = post("Content-Length: 5")
C = chunked("5\r\nhello\r\n0\r\n\r\n")
T = chunked("5\r\nhello\r\n0\r\nA: b\r\n\r\n")
EMPTY = post("Content-Length: 0", body="")
PIPELINES = [
    pipeline("two GET", G, G),
    pipeline("twenty GET", *[G] * 20),
    pipeline("GET, POST", G, P),
    pipeline("POST, GET", P, G),
    pipeline("POST, POST", P, P),
    pipeline("chunked, GET", C, G),
    pipeline("chunked, chunked", C, C),
    pipeline("trailers, GET", T, G),
    pipeline("POST of nothing, GET", EMPTY, G),
    pipeline("POST without framing, GET", post(body=""), G),
    pipeline("all kinds", G, P, C, T, EMPTY, G),
    pipeline("an empty line between", P, b"\r\n" + G, seen=(P, G)),
    pipeline("two empty lines between", C, b"\r\n\r\n" + G, seen=(C, G)),
    pipeline("GET with a body, GET", request("Content-Length: 5", body="hello"), G),
    pipeline("an unknown method, GET", request(start="FOO /x HTTP/1.1"), G),
    pipeline("OPTIONS asterisk, GET", request(start="OPTIONS * HTTP/1.1"), G),
    pipeline("a large head, GET", request("A: " + "x" * 20000), G),
    pipeline("a large body, GET", post("Content-Length: 50000", body="x" * 50000), G),
]

EXPECT = [
    passes("9110 10.1.1", f"Expect written {value!r}",
           post(f"Expect:{value}", "Content-Length: 5"))
    for value in (" 100-continue", "100-continue", " 100-Continue", "\t100-CONTINUE ")
]

ROWS = [*METHODS, *LINES, *ABSOLUTE, *HOST, *FIELDS, *HOP, *CLOSE, *LENGTHS, *CHUNKED, *PIPELINES,
        *EXPECT]
