# SPDX-License-Identifier: Apache-2.0
"""Responses that must reach the client, and what may change on the way; those that
must not are replaced by a 502."""
from harness.message import text

from .row import answered, request, response, unacceptable

TWO = "Content-Length: 2"
CODED = "Transfer-Encoding: chunked"
CHUNKS = "2\r\nok\r\n0\r\n\r\n"
HEAD = request(start="HEAD /x HTTP/1.1")


def status(code, reason=" Odd", *fields, body="ok"):
    fields = fields or (TWO,)
    return response(*fields, start=f"HTTP/1.1 {code}{reason}", body=body)


# --- RFC 9112 section 4, RFC 9110 section 15: the status line ---

FINAL = [200, 201, 202, 203, 206, 207, 208, 226, 299, 300, 301, 302, 303, 305, 306, 307, 308, 399,
         400, 401, 402, 403, 404, 405, 406, 407, 409, 410, 411, 412, 413, 414, 415, 416, 417, 418,
         421, 422, 423, 424, 425, 428, 429, 431, 451, 499, 500, 501, 502, 503, 504, 505, 506, 507,
         508, 510, 511, 599]
STATUS = [
    *(answered("9110 15", f"status {code}", status(code)) for code in FINAL),
    *(answered("9110 15", f"status {code} is beyond the classes", status(code))
      for code in (600, 700, 999)),
    *(answered("9112 4", f"reason {reason!r}", status(200, reason)) for reason in (
        " ", " OK", " ok", " Not Found", "  two blanks first", " blank last ", " a\tb", " \xe9\xff",
        " !\"#$%&'()*+,-./:;<=>?@[]^_`{|}~", " HTTP/1.1 200 OK", " 404", " " + "x" * 500)),
    answered("9112 4", "no reason and no blank", status(200, ""), status(200, " ")),
    answered("9110 15.4.5", "304 with a length of what it would be",
             status(304, " Not Modified", "Content-Length: 5000", "ETag: \"a\"", body="")),
    answered("9110 15.4.5", "304 with a coding", status(304, " Not Modified", CODED, body="")),
    answered("9110 15.4.5", "304 without framing", status(304, " Not Modified", "A: b", body="")),
    answered("9110 15.3.5", "204 without framing", status(204, " No Content", "A: b", body="")),
    answered("9110 8.6", "204 with a length of 0",
             status(204, " No Content", "Content-Length: 0", "A: b", body=""),
             status(204, " No Content", "A: b", body="")),
    answered("9110 15.3.6", "205 with a length of 0",
             status(205, " Reset Content", "Content-Length: 0", body="")),
    answered("9110 15.3.6", "205 with chunks", status(205, " Reset Content", CODED,
                                                     body="0\r\n\r\n")),
    answered("9110 15.3.7", "206 with a range",
             status(206, " Partial Content", "Content-Range: bytes 0-1/5", TWO)),
    answered("9110 15.5.2", "401 with its challenge",
             status(401, " Unauthorized", 'WWW-Authenticate: Basic realm="a, b"', TWO)),
    answered("9110 15.5.6", "405 with Allow", status(405, " No", "Allow: GET, HEAD", TWO)),
    answered("9110 15.5.14", "413 with close",
             status(413, " Large", TWO, "Connection: close"), status(413, " Large", TWO)),
    answered("9110 10.2.2", "a relative Location", status(302, " Found", "Location: ../y#z", TWO)),
    answered("9110 10.2.2", "a Location of another host",
             status(301, " Moved", "Location: https://a.test:8443/?b", TWO)),
    answered("9110 10.2.3", "Retry-After", status(503, " Busy", "Retry-After: 120", TWO)),
]

VERSIONS = [
    answered("9112 2.3", "1.0 becomes 1.1", response(TWO, start="HTTP/1.0 200 OK"),
             response(TWO)),
    *(answered("9110 2.5", f"1.{minor} counts as 1.1",
               response(TWO, start=f"HTTP/1.{minor} 200 OK"), response(TWO))
      for minor in range(2, 10)),
    answered("9112 2.3", "1.0 with keep-alive",
             response(TWO, "Connection: Keep-Alive", start="HTTP/1.0 200 OK"), response(TWO)),
    answered("9112 2.3", "1.0 with close",
             response(TWO, "Connection: close", start="HTTP/1.0 200 OK"), response(TWO)),
    *(unacceptable("9112 2.3", f"version {version!r}",
                   response(TWO, start=f"{version} 200 OK"))
      for version in ("HTTP/1", "HTTP/1.", "HTTP/2.0", "HTTP/2", "HTTP/0.9", "HTTP/3.0", "http/1.1",
                      "HTTP/1.1.1", "HTTP/a.b", "HTTP/11", "HTTP/ 1.1", "ICY", "HTTPS/1.1",
                      "HTTP/01.1", "HTP/1.1", "SIP/2.0")),
    *(unacceptable("9112 4", f"status line {line!r}", response(TWO, start=line))
      for line in ("HTTP/1.1", "HTTP/1.1 ", "HTTP/1.1  200 OK", "HTTP/1.1\t200 OK",
                   " HTTP/1.1 200 OK",
                   "HTTP/1.1 2", "HTTP/1.1 20", "HTTP/1.1 20 OK", "HTTP/1.1 2000 OK",
                   "HTTP/1.1 2x0 OK", "HTTP/1.1 abc OK", "HTTP/1.1 -200 OK", "HTTP/1.1 +20 OK",
                   "HTTP/1.1 0x1 OK", "HTTP/1.1 000 OK", "HTTP/1.1 001 OK", "HTTP/1.1 099 OK",
                   "HTTP/1.1 99 OK", "HTTP/1.1 1000 OK", "HTTP/1.1 200OK", "HTTP/1.1 200.0 OK",
                   "HTTP/1.1 200\tOK", "HTTP/1.1 200,OK", "200 OK", "OK", "HTTP/1.1 OK",
                   "HTTP/1.1 OK 200", "HTTP/1.1 \xb2\xb2\xb2 OK", "GET /x HTTP/1.1",
                   "HTTP/1.1 200 O\x01K", "HTTP/1.1 200 O\x7fK", "HTTP/1.1 200 O\0K",
                   "HTTP/1.1 200 O\rK", "HTTP/1.1 200 O\nK")),
]

# --- RFC 9112 section 6.3: bodies ---

BODIES = [
    *(answered("9112 6.2", f"a body of {size} bytes",
               response(f"Content-Length: {size}", body="b" * size))
      for size in (0, 1, 2, 100, 4095, 4096, 4097, 8192, 16383, 16384, 16385, 32768, 65535, 65536,
                   65537, 100000, 1000000)),
    answered("9112 6.2", "a body of all bytes",
             response("Content-Length: 256", body="".join(map(chr, range(256))))),
    answered("9112 6.2", "a body that looks like a response",
             response("Content-Length: 38", body="HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")),
    answered("9112 6.2", "a body that looks like chunks",
             response("Content-Length: 5", body="0\r\n\r\n")),
    *(answered("9112 6.2", f"Content-Length:{value!r}", response(f"Content-Length:{value}"))
      for value in ("2", "   2", "\t2", " 2  ", " 02", " 00000000000000000002")),
    *(answered("9112 7.1", f"chunks: {name}", response(CODED, body=body))
      for name, body in {
          "one": CHUNKS,
          "none": "0\r\n\r\n",
          "two of one byte": "1\r\no\r\n1\r\nk\r\n0\r\n\r\n",
          "a size with zeros first": "00002\r\nok\r\n0\r\n\r\n",
          "a last one of zeros": "2\r\nok\r\n0000\r\n\r\n",
          "a size in capitals": "A\r\n0123456789\r\n0\r\n\r\n",
          "of 100000 bytes": "186a0\r\n" + "x" * 100000 + "\r\n0\r\n\r\n",
          "five hundred": "2\r\nok\r\n" * 500 + "0\r\n\r\n",
          "an extension": "2;a=b\r\nok\r\n0\r\n\r\n",
          "a quoted extension": '2;a="b;\\"c"\r\nok\r\n0\r\n\r\n',
          "an extension behind a blank": "2 ; a\r\nok\r\n0\r\n\r\n",
          "a trailer": "2\r\nok\r\n0\r\nA: b\r\n\r\n",
          "trailers": "2\r\nok\r\n0\r\nA: b\r\nc: d\r\nA: e\r\n\r\n",
      }.items()),
    *(answered("9112 7.1", f"Transfer-Encoding:{value!r}",
               response(f"Transfer-Encoding:{value}", body=CHUNKS))
      for value in ("chunked", "  chunked ", "\tchunked", " Chunked", " CHUNKED")),
    *(answered("9112 6.3", f"up to the end: {name}", answer,
               response(*fields, "Connection: close", body=body), hang_up=True, end="closed")
      for name, answer, fields, body in (
          ("a body", response("A: b", body="hello"), ("A: b",), "hello"),
          ("nothing", response("A: b", body=""), ("A: b",), ""),
          ("100000 bytes", response("A: b", body="x" * 100000), ("A: b",), "x" * 100000),
          ("no field at all", response(body="hello"), (), "hello"),
          ("with close", response("Connection: close", "A: b", body="hello"), ("A: b",), "hello"),
          ("with keep-alive", response("Connection: keep-alive", body="hello"), (), "hello"),
          ("1.0", response("A: b", start="HTTP/1.0 200 OK", body="hello"), ("A: b",), "hello"),
          ("1.0 with keep-alive", response("Connection: keep-alive", start="HTTP/1.0 200 OK",
                                           body="hello"), (), "hello"),
          ("what looks like chunks", response("A: b", body=CHUNKS), ("A: b",), CHUNKS),
          ("what looks like a response", response("A: b", body="HTTP/1.1 200 OK\r\n\r\n"),
           ("A: b",), "HTTP/1.1 200 OK\r\n\r\n"),
          ("an empty Connection", response("Connection:", body="hello"), (), "hello"),
      )),
]

# --- RFC 9110 section 9.3.2: HEAD; section 15.2: interim responses ---

HEADS = [
    *(answered("9110 9.3.2", f"HEAD: {name}", answer, send=HEAD, method="HEAD")
      for name, answer in {
          "a length": response("Content-Length: 5000", body=""),
          "a length of 0": response("Content-Length: 0", body=""),
          "a coding": response(CODED, body=""),
          "no framing": response("A: b", body=""),
          "404 with a length": status(404, " No", "Content-Length: 9", body=""),
          "304 with a length": status(304, " No", "Content-Length: 9", body=""),
          "200 with a length of 2^62": response("Content-Length: 4611686018427387904", body=""),
          "302": status(302, " Found", "Location: /y", "Content-Length: 0", body=""),
      }.items()),
    answered("9110 9.3.2", "HEAD: 204", status(204, " None", "A: b", body=""), send=HEAD,
             method="HEAD"),
]


def head(code, *fields, reason=" Odd"):
    return text(f"HTTP/1.1 {code}{reason}", *fields)


def with_interim(name, *heads, final=response(TWO), got=None, **more):
    return answered("9110 15.2", name, b"".join(heads) + final, **more,
                    all_got=(*(got or heads), final))


INTERIM = [
    with_interim("100", head(100)),
    with_interim("102", head(102)),
    with_interim("103", head(103, "Link: </a>; rel=preload")),
    with_interim("103 twice", head(103, "Link: </a>"), head(103, "Link: </b>")),
    with_interim("an unknown one", head(110, "A: b")),
    with_interim("199", head(199)),
    with_interim("without reason", head(103, "A: b", reason=" ")),
    with_interim("ten of them", *[head(103, "A: b")] * 10),
    with_interim("100, then 103", head(100), head(103, "A: b")),
    with_interim("before a 404", head(103, "A: b"), final=status(404)),
    with_interim("before chunks", head(103, "A: b"), final=response(CODED, body=CHUNKS)),
    with_interim("before a 204", head(103, "A: b"), final=status(204, " None", "A: b", body="")),
    with_interim("before a 304", head(103, "A: b"), final=status(304, " Not", "A: b", body="")),
    with_interim("with fields twice", head(103, "Link: </a>", "A: b", "Link: </b>")),
    with_interim("with a length", head(103, "Content-Length: 5", "A: b"), got=(head(103, "A: b"),)),
    with_interim("with a coding", head(103, CODED, "A: b"), got=(head(103, "A: b"),)),
    with_interim("with keep-alive", head(103, "Connection: keep-alive", "A: b"),
                 got=(head(103, "A: b"),)),
    with_interim("with a field that Connection names", head(103, "Connection: x", "X: 1", "A: b"),
                 got=(head(103, "A: b"),)),
    with_interim("before the response to HEAD", head(103, "A: b"),
                 final=response("Content-Length: 9", body=""), send=HEAD, method="HEAD"),
    unacceptable("9110 7.8", "101 that was not asked for",
                 head(101, "Upgrade: a", "Connection: Upgrade")),
    unacceptable("9110 7.8", "101 without Upgrade", head(101)),
]

# --- RFC 9110 section 5: fields ---

VALUES = {
    "no value": "A:",
    "a value of blanks": "A:  \t ",
    "no space before the value": "A:b",
    "a tab before the value": "A:\tb",
    "blanks behind the value": "A: b  ",
    "blanks within the value": "A: b \t c",
    "a colon first": "A::b",
    "all visible characters": "A: " + "".join(map(chr, range(0x21, 0x7f))),
    "all bytes above 0x7f": "A: " + "".join(map(chr, range(0x80, 0x100))),
    "a quoted string": 'A: "b, \\"c\\" d"',
    "an open quote": 'A: "b',
    "Set-Cookie with an expiry": "Set-Cookie: a=b; Expires=Wed, 09 Jun 2021 10:18:14 GMT; Path=/",
    "Server": "Server: Apache/2.4 (Unix)",
    "Date": "Date: Sun, 06 Nov 1994 08:49:37 GMT",
    "a bad Date": "Date: yesterday",
    "Via": "Via: 1.0 fred",
    "ETag": 'ETag: W/"x"',
    "Cache-Control": 'Cache-Control: private="a, b", max-age=0',
    "Vary": "Vary: *",
    "Content-Type": "Content-Type: text/html; charset=utf-8",
    "Content-Encoding": "Content-Encoding: gzip",
    "Content-Range": "Content-Range: bytes */5",
    "Strict-Transport-Security": "Strict-Transport-Security: max-age=1; includeSubDomains",
    "Alt-Svc": 'Alt-Svc: h2=":443"; ma=2592000',
    "Accept-Ranges": "Accept-Ranges: none",
    "Age": "Age: 0",
    "Warning": 'Warning: 110 - "Response is Stale"',
    "Link": "Link: </a.css>; rel=preload; as=style",
    "a name of signs": "!#$%&'*+-.^_`|~: y",
    "a name with an underscore": "X_Y: z",
    "a name of 200 bytes": "N" * 200 + ": y",
    "a value of 8190 bytes": "A: " + "x" * 8190,
    "a value of 30000 bytes": "A: " + "x" * 30000,
    "X-Forwarded-For of the application": "X-Forwarded-For: a",
    "X-Accel-Redirect": "X-Accel-Redirect: /y",
    "Trailer": "Trailer: X-T",
    "Host": "Host: a",
    "Expect": "Expect: 100-continue",
}
FIELDS = [
    *(answered("9110 5", name, response(line, TWO)) for name, line in VALUES.items()),
    answered("9110 5.3", "the order of equal names",
             response("A: 1", "B: 2", "A: 3", TWO, "a: 4", "B: 5")),
    answered("9110 5.3", "many cookies",
             response(*(f"Set-Cookie: a{i}=b" for i in range(50)), TWO)),
    answered("9110 5.3", "fields that are alike but for case",
             response("x-a: 1", "X-A: 1", "X-a: 1", TWO)),
    answered("9110 5.4", "a head of 50000 bytes",
             response(*(f"A{i}: {'x' * 590}" for i in range(80)), TWO)),
    answered("9110 5.4", "90 fields", response(*(f"A{i}: b" for i in range(90)), TWO)),
    answered("9112 2.2", "framing behind the fields", response("A: b", "C: d", TWO)),
    answered("9112 2.2", "framing in lower case", response("content-length: 2")),
    answered("9112 2.2", "framing in capitals", response("CONTENT-LENGTH: 2")),
    *(unacceptable("9110 5.1", f"field name with {char!r}", response(f"A{char}B: c", TWO))
      for char in ' \t()<>@,;\\"/[]?={}\0\x01\x7f\xe9'),
    *(unacceptable("9110 5.5", f"byte {char:#04x} in a value", response(f"A: b{chr(char)}c", TWO))
      for char in (0, 1, 8, 11, 12, 27, 31, 127)),
    *(unacceptable("9112 5", name, response(*fields)) for name, fields in {
        "a field without colon": ("Abc", TWO),
        "a field without name": (": b", TWO),
        "a folded value": ("A: b", " c", TWO),
        "a folded value, tab": ("A: b", "\tc", TWO),
        "a folded length": ("Content-Length:", " 2"),
        "a blank before the first field": (" A: b", TWO),
        "a CR within a value": ("A: b\rc", TWO),
        "a CR and framing within a value": ("A: b\rContent-Length: 0", TWO),
        "a second status line": ("HTTP/1.1 200 OK", TWO),
        "a field of 70000 bytes": ("A: " + "x" * 70000, TWO),
        "5000 fields": (*(f"A{i}: b" for i in range(5000)), TWO),
    }.items()),
    *(unacceptable("9112 2.2", name, data) for name, data in {
        "LF behind the status line": b"HTTP/1.1 200 OK\nContent-Length: 2\r\n\r\nok",
        "LF behind a field": b"HTTP/1.1 200 OK\r\nContent-Length: 2\n\r\nok",
        "LF alone ends the head": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\nok",
        "LF everywhere": b"HTTP/1.1 200 OK\nContent-Length: 2\n\nok",
        "CR behind the status line": b"HTTP/1.1 200 OK\rContent-Length: 2\r\n\r\nok",
        "CR CR LF ends the head": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\r\nok",
        "no response, but text": b"hello\r\n\r\n",
        "no response, but zeros": b"\0" * 100,
        "no response, but TLS": b"\x15\x03\x01\x00\x02\x02\x46",
        "a head without its end": b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n",
        "half a status line": b"HTTP/1.1 2",
    }.items()),
]

# --- RFC 9110 section 7.6.1: fields of one hop ---

HOP = [
    *(answered("9110 7.6.1", name, response(*fields, "A: b", TWO), response("A: b", TWO))
      for name, fields in {
          "Connection: keep-alive": ("Connection: keep-alive",),
          "Connection: close": ("Connection: close",),
          "Connection: CLOSE": ("Connection: CLOSE",),
          "Connection: foo": ("Connection: foo",),
          "Connection: foo, close": ("Connection: foo, close",),
          "Connection, empty": ("Connection:",),
          "Connection, commas": ("Connection: , ,",),
          "Connection twice": ("Connection: foo", "Connection: close"),
          "a field that Connection names": ("Connection: x", "X: 1"),
          "a field that Connection names, in other case": ("Connection: X", "x: 1"),
          "a field named behind it": ("X: 1", "Connection: keep-alive, x"),
          "Keep-Alive": ("Keep-Alive: timeout=30, max=100",),
          "Proxy-Connection": ("Proxy-Connection: close",),
          "Upgrade unasked": ("Upgrade: h2c",),
          "Upgrade, named by Connection": ("Connection: Upgrade", "Upgrade: h2,h2c"),
          "Proxy-Authenticate": ("Proxy-Authenticate: Basic",),
      }.items()),
    answered("9110 7.6.1", "Connection cannot take Content-Length off",
             response("Connection: content-length", TWO), response(TWO)),
    answered("9110 7.6.1", "Connection cannot take Transfer-Encoding off",
             response("Connection: transfer-encoding", CODED, body=CHUNKS),
             response(CODED, body=CHUNKS)),
]

# --- RFC 9112 section 6.3: framing that cannot be trusted ---

FRAMING = [
    *(unacceptable("9112 6.3", f"Content-Length:{value!r}", response(f"Content-Length:{value}"))
      for value in ("", " ", " +2", " -2", " 2.0", " 2,", " ,2", " 2;", " 2 2", " 0x2", " 2h",
                    " two",
                    ' "2"', " 2, 3", " 3, 2", " 2,3", " 18446744073709551618", " " + "9" * 40,
                    " 2\0", " \v2", " 2\xa0")),
    *(unacceptable("9112 6.3", name, response(*fields)) for name, fields in {
        "lengths that differ": (TWO, "Content-Length: 3"),
        "lengths that differ, one is 0": ("Content-Length: 0", TWO),
        "lengths, one is empty": (TWO, "Content-Length:"),
        "lengths, one is bad": (TWO, "Content-Length: x"),
        "lengths that differ in zeros": (TWO, "Content-Length: 02"),
    }.items()),
    *(unacceptable("9112 6.1", name, response(*fields, body=CHUNKS)) for name, fields in {
        "length and coding": (TWO, CODED),
        "coding and length": (CODED, TWO),
        "coding and a length of 0": (CODED, "Content-Length: 0"),
        "coding twice": (CODED, CODED),
        "coding, then identity": (CODED, "Transfer-Encoding: identity"),
        "chunked, identity": ("Transfer-Encoding: chunked, identity",),
        "chunked, chunked": ("Transfer-Encoding: chunked, chunked",),
        "xchunked": ("Transfer-Encoding: xchunked",),
        "an empty coding": ("Transfer-Encoding:",),
        "a quoted coding": ('Transfer-Encoding: "chunked"',),
        "a coding with a vertical tab": ("Transfer-Encoding: \vchunked",),
        "a folded coding": ("Transfer-Encoding:", " chunked"),
    }.items()),
    unacceptable("9112 6.1", "chunked in 1.0",
                 response(CODED, start="HTTP/1.0 200 OK", body=CHUNKS)),
    *(unacceptable("9112 7.1", f"chunks {body!r}", response(CODED, body=body))
      for body in ("g\r\nok\r\n0\r\n\r\n", "\r\nok\r\n0\r\n\r\n", "+2\r\nok\r\n0\r\n\r\n",
                   "-2\r\nok\r\n0\r\n\r\n", "0x2\r\nok\r\n0\r\n\r\n", "2\nok\r\n0\r\n\r\n",
                   "2\rok\r\n0\r\n\r\n", "2\r\nok0\r\n\r\n", "2\r\nok\n0\r\n\r\n",
                   "2\r\nokay\r\n0\r\n\r\n", "10000000000000002\r\nok\r\n0\r\n\r\n",
                   "2;a\nok\r\n0\r\n\r\n", "2;a\0\r\nok\r\n0\r\n\r\n", "2\r\nok\r\n0\n\r\n",
                   "2\r\nok\r\n0\r\nA b\r\n\r\n", "2\r\nok\r\n0\r\nContent-Length: 9\r\n\r\n",
                   "hello", " 2\r\nok\r\n0\r\n\r\n", "2\r\nok\r\nx\r\n\r\n")),
]

ROWS = [*STATUS, *VERSIONS, *BODIES, *HEADS, *INTERIM, *FIELDS, *HOP, *FRAMING]
