# SPDX-License-Identifier: Apache-2.0
"""Requests that must not go through: nothing of them reaches the application, nor of
what follows them."""
from harness.message import text

from .row import INBOUND, chunked, post, refused, request

VERSION = (400, 505)
CODING = (400, 501)
LARGE = (400, 414, 431)
FORM = (400, 501)
CONTROLS = [c for c in [*range(1, 32), 127] if chr(c) not in "\t\r\n"]


def line(start):
    return request(start=start)


def coding(value, *fields):
    return post(f"Transfer-Encoding: {value}", *fields, body="5\r\nhello\r\n0\r\n\r\n")


# --- RFC 9112 section 2.2: lines ---

LINE_ENDS = [
    refused("9112 2.2", name, data) for name, data in {
        "LF behind the request line": b"GET /x HTTP/1.1\nHost: {host}\r\n\r\n",
        "LF behind a field": b"GET /x HTTP/1.1\r\nHost: {host}\nA: b\r\n\r\n",
        "LF alone ends the head": b"GET /x HTTP/1.1\r\nHost: {host}\r\n\n",
        "LF everywhere": b"GET /x HTTP/1.1\nHost: {host}\n\n",
        "LF before the request": b"\nGET /x HTTP/1.1\r\nHost: {host}\r\n\r\n",
        "CR behind the request line": b"GET /x HTTP/1.1\rHost: {host}\r\n\r\n",
        "CR behind a field": b"GET /x HTTP/1.1\r\nHost: {host}\rA: b\r\n\r\n",
        "CR CR LF behind a field": b"GET /x HTTP/1.1\r\nHost: {host}\r\r\n\r\n",
        "CR CR LF ends the head": b"GET /x HTTP/1.1\r\nHost: {host}\r\n\r\r\n",
        "CR before the request": b"\rGET /x HTTP/1.1\r\nHost: {host}\r\n\r\n",
        "CR within a value": request("A: b\rc"),
        "CR first in a value": request("A: \rb"),
        "CR in place of the colon": request("A\rb"),
        "CR and a framing field": request("A: b\rTransfer-Encoding: chunked"),
        "LF CR in place of CRLF": b"GET /x HTTP/1.1\n\rHost: {host}\n\r\n\r",
        "a blank line of a space": b"GET /x HTTP/1.1\r\nHost: {host}\r\n \r\n\r\n",
        "a space before the first field": b"GET /x HTTP/1.1\r\n Host: {host}\r\n\r\n",
        "a tab before the first field": b"GET /x HTTP/1.1\r\n\tHost: {host}\r\n\r\n",
        "a blank line, then a field": b"GET /x HTTP/1.1\r\n\tA: b\r\nHost: {host}\r\n\r\n",
        "NUL before the request": b"\0GET /x HTTP/1.1\r\nHost: {host}\r\n\r\n",
        "spaces before the request": b"  GET /x HTTP/1.1\r\nHost: {host}\r\n\r\n",
        "100 empty lines before the request": b"\r\n" * 100 + request(),
    }.items()]

# --- RFC 9112 section 3: request line ---

START = [
    *(refused("9112 3", f"request line {start!r}", line(start)) for start in (
        "GET  /x HTTP/1.1", "GET /x  HTTP/1.1", "GET\t/x HTTP/1.1", "GET /x\tHTTP/1.1",
        "GET\v/x HTTP/1.1", "GET /x\fHTTP/1.1", "GET /x y HTTP/1.1", "GET /x HTTP /1.1",
        "GET /x", "GET", "/x HTTP/1.1", "/x", "HTTP/1.1", "HTTP/1.1 GET /x", "GET /x HTTP/1.1 /y",
        "GET\xa0/x HTTP/1.1", "GET HTTP/1.1", "GET  HTTP/1.1", "HTTP/1.1 200 OK",
        "GET /x,HTTP/1.1")),
    *(refused("9112 2.3", f"version {version!r}", line(f"GET /x {version}"), VERSION)
      for version in ("HTTP/1", "HTTP/1.", "HTTP/.1", "HTTP/1,1", "HTTP/1.1.1", "HTTP/1.11",
                      "HTTP/01.1", "HTTP/1.01", "HTTP/ 1.1", "HTTP/1 .1", "HTTP/+1.1",
                      "HTTP/-1.1", "HTTP/1.-1", "HTTP/a.b", "HTTP/0.9", "HTTP/0.1", "HTTP/2",
                      "HTTP/2.0", "HTTP/2.1", "HTTP/3.0", "HTTP/9.9", "HTTP/10.0", "http/1.1",
                      "Http/1.1", "HTTPS/1.1", "HTP/1.1", "HTTP1.1", "HTTP:1.1", "HTTP/1.1\0",
                      "HTTP/1.1;", "XHTTP/1.1", "HTTP//1.1", "FTP/1.0", "RTSP/1.0", "SIP/2.0",
                      "ICAP/1.0")),
    refused("9112 2.3", "HTTP/0.9, method and path", b"GET /x\r\n"),
    *(refused("9110 9.1", f"method {method!r}", line(f"{method} /x HTTP/1.1"))
      for method in ("G(ET", "GET,", "GET;", "G@T", "G[T", "G{T", "G\"T", "G\\T", "GET=", "GET?",
                     "G\x7fT", "G\xe9T", "G\x01T", "G\0T", "<GET>", "GET/")),
    *(refused("9112 3.2", f"target {target!r}", line(f"GET {target} HTTP/1.1"))
      for target in ("x", "x/y", "?x", "#x", "/x#y", "/#", "*", "/\0", "/\x01", "/\x7f", "/\x1b[m",
                     "./x", "../x", ":80", "a:80", "\\x", "http:/x", "http:x", "http://",
                     "http:///x", "http://?x", "http://#x", "http://:80/x", "http://a b/x",
                     "http://a<b>/x", "http://[::1/x", "http://[x]/x", "http://a:b/x",
                     "http://a:-1/x", "http://a:65536/x", "http://a:99999999999/x",
                     "http://u@a/x", "http://u:p@a/x", "http://@a/x", "http://a/x#y",
                     "http://a,b/x", "http://a\\b/x", "http://%/x", "http://a%0/x",
                     "http://a:80:80/x")),
    *(refused("9110 4.2", f"scheme {scheme}", line(f"GET {scheme}://{{host}}/x HTTP/1.1"), FORM)
      for scheme in ("ftp", "ws", "file", "httpx", "javascript", "h", "")),
    *(refused("9112 3.2.4", f"asterisk of {method}", line(f"{method} * HTTP/1.1"))
      for method in ("GET", "POST", "PUT", "FOO")),
    refused("9112 3.2.4", "asterisk and more", line("OPTIONS *x HTTP/1.1")),
    refused("9112 3.2.4", "asterisk and a path", line("OPTIONS */x HTTP/1.1")),
    *(refused("9112 3.2.3", f"CONNECT {target!r}", line(f"CONNECT {target} HTTP/1.1"), FORM)
      for target in ("/x", "*", "a", "a:", ":80", "a:0", "a:65536", "a:b", "a:80/x", "a:80?x",
                     "http://a:80", "http://a:80/", "u@a:80", "a b:80", "[::1]", "[::1:80",
                     "::1:80", "a:80:80", "a,b:80", "a:80#x", "a:-80", "a:+80", "a: 80")),
    refused("9110 9.3.6", "CONNECT with a length", post(
        "Content-Length: 5", body="hello").replace(b"POST /x", b"CONNECT a.test:80")),
    refused("9110 9.3.6", "CONNECT with chunks", chunked("0\r\n\r\n").replace(
        b"POST /x", b"CONNECT a.test:80")),
    *(refused("9110 15.5.15", f"target of {size} bytes", line(f"GET /{'x' * size} HTTP/1.1"),
              LARGE) for size in (65536, 70000, 200000)),
    refused("9110 15.5.15", "a query of 70000 bytes", line(f"GET /?{'x' * 70000} HTTP/1.1"), LARGE),
    refused("9110 9.1", "a method of 70000 bytes", line("X" * 70000 + " / HTTP/1.1"),
            (*LARGE, 501)),
]

# --- RFC 9112 section 3.2 and RFC 9110 section 7.2: Host ---


def host(*values, start="GET /x HTTP/1.1"):
    return text(start, *(f"Host:{value}" for value in values))


HOST = [
    *(refused("9112 3.2", f"Host {value!r}", host(f" {value}")) for value in (
        "a b", "a\tb", "a/b", "/", "a?b", "a#b", "a@b", "u:p@a", "a,b", "a, b", "a;\"b\"", "a\\b",
        "<a>", "a|b", "a^b", "a`b", "{a}", '"a"', "a[b", "a]", "[a]", "[]", "[::1", "::1]", "::1",
        "[::1]x", "[::1]:x", "[::1%eth0]", "[::g]", "[1.2.3.4]", "[v1.a]", "a:b", "a:80x", "a:x80",
        "a: 80", "a :80", "a:+80", "a:-80", "a:0x50", "a:65536", "a:100000000000000000000",
        "a:80:90", "a::80", ":80", ":", "%", "%4", "%gg", "a%", "a\x01", "a\x7f", "a\xe9",
        "http://a", "http://a/", "a\0", ".", "..", "a..b", ".a")),
    refused("9112 3.2", "no Host", text("GET /x HTTP/1.1")),
    refused("9112 3.2", "no Host, but others", text("GET /x HTTP/1.1", "A: b", "X-Host: a")),
    refused("9112 3.2", "no Host in absolute form", text("GET http://{host}/x HTTP/1.1")),
    refused("9112 3.2", "no Host in CONNECT", text("CONNECT {host} HTTP/1.1"), on=(INBOUND,)),
    refused("9112 3.2", "no Host of OPTIONS asterisk", text("OPTIONS * HTTP/1.1")),
    refused("9112 3.2", "no Host of POST", text("POST /x HTTP/1.1", "Content-Length: 5",
                                               body="hello")),
    refused("9112 3.2", "an empty Host", host("")),
    refused("9112 3.2", "a Host of blanks", host(" \t ")),
    refused("9112 3.2", "two Hosts", host(" {host}", " b.test")),
    refused("9112 3.2", "two equal Hosts", host(" {host}", " {host}")),
    refused("9112 3.2", "two Hosts, one in capitals", text("GET /x HTTP/1.1", "Host: {host}",
                                                          "HOST: b.test")),
    refused("9112 3.2", "two Hosts, fields between", text(
        "GET /x HTTP/1.1", "Host: {host}", "A: b", "Host: b.test")),
    refused("9112 3.2", "two Hosts, the first empty", host("", " {host}")),
    refused("9112 3.2", "two Hosts, the second empty", host(" {host}", "")),
    refused("9112 3.2", "three Hosts", host(" {host}", " {host}", " {host}")),
    refused("9112 3.2", "two Hosts in absolute form",
            host(" {host}", " b.test", start="GET http://{host}/x HTTP/1.1")),
    refused("9112 3.2", "a bad Host in absolute form",
            host(" a b", start="GET http://{host}/x HTTP/1.1")),
    refused("9112 3.2", "two Hosts in 1.0", host(" {host}", " b.test", start="GET /x HTTP/1.0")),
    refused("9112 3.2", "a bad Host in 1.0", host(" a/b", start="GET /x HTTP/1.0")),
    refused("9112 5.1", "a blank before Host's colon", text("GET /x HTTP/1.1", "Host : {host}")),
    refused("9112 5.2", "a folded Host", text("GET /x HTTP/1.1", "Host:", " {host}")),
]

# --- RFC 9112 section 5 and RFC 9110 section 5: fields ---

FIELDS = [
    *(refused("9110 5.1", f"field name with {char!r}", request(f"A{char}B: c"))
      for char in ' \t()<>@,;\\"/[]?={}\0\x01\x0b\x0c\x1f\x7f\x80\xe9\xff'),
    *(refused("9112 5.1", f"{blank!r} before the colon", request(f"A{blank}: b"))
      for blank in (" ", "\t", "  ", " \t", "\v", "\f")),
    *(refused("9110 5.5", f"byte {char:#04x} in a value", request(f"A: b{chr(char)}c"))
      for char in (0, *CONTROLS)),
    *(refused("9110 5.5", f"NUL {where}", request(data)) for where, data in {
        "first in a value": "A: \0", "last in a value": "A: b\0", "first in a name": "\0A: b",
        "last in a name": "A\0: b", "as a line": "\0"}.items()),
    *(refused("9112 5.2", name, data) for name, data in {
        "a folded value": request("A: b", " c"),
        "a value folded with a tab": request("A: b", "\tc"),
        "a value folded thrice": request("A: b", " c", " d", " e"),
        "a fold before the value": request("A:", " b"),
        "an empty fold": request("A: b", " "),
        "a fold with a field in it": request("A: b", " Content-Length: 5"),
        "a fold at the end of the head": request("A: b", "C: d", " "),
        "a folded Content-Length": post("Content-Length:", " 5"),
        "a folded Transfer-Encoding": post("Transfer-Encoding:", " chunked", body="0\r\n\r\n"),
        "a Transfer-Encoding folded in a list": post("Transfer-Encoding: chunked", " , identity",
                                                     body="0\r\n\r\n"),
        "a folded Connection": request("Connection: keep-alive,", " close"),
    }.items()),
    *(refused("9112 5", name, data) for name, data in {
        "a field without colon": request("Abc"),
        "a field without name": request(": b"),
        "a colon alone": request(":"),
        "a field of blanks": request(" \t"),
        "a blank for a name": request(" : b"),
        "a second request line": request("GET /y HTTP/1.1"),
    }.items()),
    refused("9110 5.4", "a field of 70000 bytes", request("A: " + "x" * 70000), LARGE),
    refused("9110 5.4", "a name of 70000 bytes", request("A" * 70000 + ": b"), LARGE),
    refused("9110 5.4", "1000 fields of 100 bytes",
            request(*(f"A{i}: {'x' * 95}" for i in range(1000))), LARGE),
    refused("9110 5.4", "10000 short fields", request(*(f"A{i}: b" for i in range(10000))), LARGE),
    refused("9110 5.4", "a Cookie of 100000 bytes", request("Cookie: " + "a=b; " * 20000), LARGE),
]

# --- RFC 9112 section 6: framing ---

LENGTH = [
    *(refused("9112 6.3", f"Content-Length:{value!r}", post(f"Content-Length:{value}"))
      for value in (
          "", " ", "\t", " +5", " -5", " -0", " 5.0", " 5,", " ,5", " 5;", " 5 5", " 5\t5", " 0x5",
          " 5h", " a5", " 5e0", " '5'", ' "5"', " five", " \xb2", " 5\xa0", " \v5", " 5\f", " ५"
          .encode().decode("latin-1"), " 5, 6", " 5,6", " 6, 5", " 5, 5, 6", " 0, 5", " 5, +5",
          " 5 , x", " 18446744073709551616", " 18446744073709551621", " 99999999999999999999",
          " 4294967296000000000000", " " + "9" * 100, " 5_0", " 5/1", " 5\0", " 0b101", " 5L",
          " (5)", " 5 (comment)", " =5", " null", " NaN", " 1 0")),
    *(refused("9112 6.3", name, post(*fields)) for name, fields in {
        "two lengths that differ": ("Content-Length: 5", "Content-Length: 6"),
        "two lengths that differ, the greater first": ("Content-Length: 6", "Content-Length: 5"),
        "two lengths, one of them 0": ("Content-Length: 0", "Content-Length: 5"),
        "two lengths, the second 0": ("Content-Length: 5", "Content-Length: 0"),
        "two lengths, one empty": ("Content-Length: 5", "Content-Length:"),
        "two lengths, one bad": ("Content-Length: 5", "Content-Length: x"),
        "two lengths, names in other case": ("Content-Length: 5", "content-length: 6"),
        "two lengths, fields between": ("Content-Length: 5", "A: b", "Content-Length: 6"),
        "three lengths, one differs": ("Content-Length: 5", "Content-Length: 5",
                                       "Content-Length: 6"),
        "two lengths that differ in zeros": ("Content-Length: 5", "Content-Length: 05"),
        "a length of GET that is bad": ("Content-Length: x",),
    }.items()),
    refused("9112 6.3", "a bad length of GET", request("Content-Length: x")),
    refused("9112 6.3", "a negative length of GET", request("Content-Length: -1")),
    refused("9112 6.3", "a bad length of HEAD", request("Content-Length: x",
                                                       start="HEAD /x HTTP/1.1"), method="HEAD"),
    refused("9112 6.3", "a bad length of OPTIONS asterisk", request(
        "Content-Length: x", start="OPTIONS * HTTP/1.1")),
    refused("9112 6.3", "a bad length in 1.0", request("Content-Length: 5x",
                                                      start="POST /x HTTP/1.0", body="hello")),
    refused("9112 6.3", "lengths that differ in 1.0", request(
        "Content-Length: 5", "Content-Length: 6", start="POST /x HTTP/1.0", body="hello")),
    refused("9112 5.1", "a blank before Content-Length's colon", post("Content-Length : 5")),
    refused("9112 5.1", "a blank before Transfer-Encoding's colon",
            post("Transfer-Encoding : chunked", body="0\r\n\r\n")),
]
CODINGS = [
    *(refused("9112 6.1", f"Transfer-Encoding: {value!r}", coding(value), CODING) for value in (
        "", "identity", "gzip", "xchunked", "chunkedx", "chunke", "chunk", "x", "cow",
        "chunked, identity", "identity, chunked", "gzip, chunked", "chunked, gzip", "deflate",
        "chunked, chunked", "chunked,", "chunked;", "chunked;a=b", "chunked chunked",
        "chun ked", '"chunked"', "'chunked'", "chunked\0", "\0chunked", "\vchunked", "chunked\v",
        "\fchunked", "\x01chunked", "chunked\x7f", "\xa0chunked", "chunked\xa0", "c\xe7hunked",
        "chu\xc5\xbfked", "[chunked]", "{chunked}", "chunked/1", "chunked:", ":chunked",
        "chunked\r", "\rchunked", "chunked\n", "\nchunked", "5", "true", "trailers", "*",
        "chunked, cow", "cow, chunked", "compress, chunked", "br", "x-chunked", "chunked-x")),
    *(refused("9112 6.1", name, post(*fields, body="5\r\nhello\r\n0\r\n\r\n"), CODING)
      for name, fields in {
          "chunked twice": ("Transfer-Encoding: chunked",) * 2,
          "chunked, then identity": ("Transfer-Encoding: chunked", "Transfer-Encoding: identity"),
          "identity, then chunked": ("Transfer-Encoding: identity", "Transfer-Encoding: chunked"),
          "gzip, then chunked": ("Transfer-Encoding: gzip", "Transfer-Encoding: chunked"),
          "chunked, then empty": ("Transfer-Encoding: chunked", "Transfer-Encoding:"),
          "empty, then chunked": ("Transfer-Encoding:", "Transfer-Encoding: chunked"),
          "chunked, then unknown in capitals": ("Transfer-Encoding: chunked",
                                                "TRANSFER-ENCODING: x"),
          "chunked twice, fields between": ("Transfer-Encoding: chunked", "A: b",
                                            "transfer-encoding: chunked"),
      }.items()),
    *(refused("9112 6.1", name, post(*fields, body="0\r\n\r\n")) for name, fields in {
        "length and coding": ("Content-Length: 5", "Transfer-Encoding: chunked"),
        "coding and length": ("Transfer-Encoding: chunked", "Content-Length: 5"),
        "coding and a length of 0": ("Transfer-Encoding: chunked", "Content-Length: 0"),
        "coding and an empty length": ("Transfer-Encoding: chunked", "Content-Length:"),
        "coding and two lengths": ("Content-Length: 5", "Transfer-Encoding: chunked",
                                   "Content-Length: 5"),
        "coding in capitals and length": ("TRANSFER-ENCODING: chunked", "content-length: 5"),
        "coding in other case and length": ("Transfer-Encoding: Chunked", "Content-Length: 5"),
        "coding far behind length": ("Content-Length: 5", *(f"A{i}: b" for i in range(100)),
                                     "Transfer-Encoding: chunked"),
        "unknown coding and length": ("Content-Length: 5", "Transfer-Encoding: x"),
        "identity and length": ("Content-Length: 5", "Transfer-Encoding: identity"),
        "length that Connection names, and coding": (
            "Connection: content-length", "Content-Length: 5", "Transfer-Encoding: chunked"),
        "coding that Connection names, and length": (
            "Connection: transfer-encoding", "Content-Length: 5", "Transfer-Encoding: chunked"),
    }.items()),
    refused("9112 6.1", "coding of GET with length", request(
        "Content-Length: 5", "Transfer-Encoding: chunked", body="0\r\n\r\n")),
    refused("9112 6.1", "chunked in 1.0", request("Transfer-Encoding: chunked",
                                                 start="POST /x HTTP/1.0", body="0\r\n\r\n")),
    refused("9112 6.1", "chunked in 1.0 with keep-alive", request(
        "Transfer-Encoding: chunked", "Connection: keep-alive", start="POST /x HTTP/1.0",
        body="0\r\n\r\n")),
    refused("9112 6.1", "chunked and length in 1.0", request(
        "Transfer-Encoding: chunked", "Content-Length: 5", start="POST /x HTTP/1.0",
        body="0\r\n\r\n")),
]

# --- RFC 9112 section 7.1: chunks ---

CHUNKED = [
    *(refused("9112 7.1", f"chunk {first!r}", chunked(first + "hello\r\n0\r\n\r\n"))
      for first in (
          "5\n", "5\r", "5\r\r\n", "5\n\r\n", "\r\n", "\r\n5\r\n", " 5\r\n", "\t5\r\n", "5 \r\n",
          "5\t\r\n", "5  \r\n", "+5\r\n", "-5\r\n", "0x5\r\n", "0X5\r\n", "5h\r\n", "g\r\n",
          "5g\r\n", "x5\r\n", "5.\r\n", "5,\r\n", "5 5\r\n", "5_\r\n", "'5'\r\n", '"5"\r\n',
          "\xb5\r\n", "5\xa0\r\n", "5\0\r\n", "\0005\r\n", "5\x0b\r\n", "5\x7f\r\n",
          "10000000000000000\r\n", "10000000000000005\r\n", "FFFFFFFFFFFFFFFFF\r\n",
          "FFFFFFFFFFFFFFFF5\r\n", "f" * 100 + "\r\n", "5;\n", "5;a\n", "5;a=b\n", "5;a\r",
          "5;a\rb\r\n", "5;a\nb\r\n", "5;a\0\r\n", "5;a\x01\r\n", "5;a\x7f\r\n", '5;a="\n"\r\n',
          '5;a="\r\n"\r\n', '5;a="b\r\n', "5;a=b\r\r\n", "5 a\r\n", "5=a\r\n", "5:a\r\n", "5\\\r\n",
          "5#\r\n", "5//\r\n", "5;" + "a" * 20000 + "\r\n")),
    *(refused("9112 7.1", f"chunk data {data!r}", chunked("5\r\n" + data + "0\r\n\r\n"))
      for data in ("hello", "hello\n", "hello\r", "hello\n\r", "hello\r\r\n", "hello\n\r\n",
                   "hello!\r\n", "hello\0\r\n", "hello \r\n", "helloworld\r\n", "hell\r\n",
                   "hello\r\n\r\n")),
    *(refused("9112 7.1.2", f"end of chunks {end!r}", chunked("5\r\nhello\r\n" + end))
      for end in ("0\n\r\n", "0\r\n\n", "0\n\n", "0\r\r", "0\r\r\n\r\n", "0\r\n\r\r\n",
                  "0 \r\n\r\n",
                  "0x0\r\n\r\n", "-0\r\n\r\n", "+0\r\n\r\n", "0;\n\n", "0\r\nx\r\n\r\n",
                  "0\r\n: b\r\n\r\n", "0\r\n A: b\r\n\r\n", "0\r\nA: b\n\r\n",
                  "0\r\nA: b\r\r\n\r\n",
                  "0\r\nA: b\rc\r\n\r\n", "0\r\nA: b\0\r\n\r\n", "0\r\nA: b\x01\r\n\r\n",
                  "0\r\nA : b\r\n\r\n", "0\r\nA\t: b\r\n\r\n", "0\r\nA B: c\r\n\r\n",
                  "0\r\nA: b\r\n c\r\n\r\n", "0\r\nA: b\r\n\tc\r\n\r\n", "0\r\nA\xe9: b\r\n\r\n",
                  "0\r\n\0\r\n\r\n", "0\r\n\x01: b\r\n\r\n", "0\r\nA: b\r\n\n",
                  "0\r\nGET /y HTTP/1.1\r\n\r\n")),
    *(refused("9110 6.5.1", f"trailer {name}",
              chunked(f"5\r\nhello\r\n0\r\n{name}: 5\r\n\r\n"))
      for name in ("Content-Length", "content-length", "Transfer-Encoding", "Host", "Connection",
                   "TE", "Trailer", "Upgrade", "Expect", "Keep-Alive", "Proxy-Connection")),
]

ROWS = [*LINE_ENDS, *START, *HOST, *FIELDS, *LENGTH, *CODINGS, *CHUNKED]
