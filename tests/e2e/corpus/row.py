# SPDX-License-Identifier: Apache-2.0
"""One exchange is one row: what the client sends, what the application must get and
answers, what the client must get, and how the client's connection goes on.

Bytes are those of the wire; {host} stands for a Host that leads to the application.
Messages are compared as messages (harness.message), and on the inbound side less the
X-Forwarded fields, which have rows of their own."""
from dataclasses import dataclass

from harness.dialogue import OK
from harness.message import text

INBOUND, OUTBOUND, ROUTE = SIDES = "inbound", "outbound", "route"
BAD = 400
GATEWAY = 502


@dataclass(frozen=True)
class Row:
    rfc: str                # the rule, "spec" for the contract of nigh
    name: str
    send: bytes
    seen: tuple = ()        # the requests that reach the application, in order
    answers: tuple = ()     # what it answers, one of each
    got: tuple = ()         # the responses that reach the client, interim ones too
    own: object = None      # then one of nigh's own: its status, or a set of them
    method: str = "GET"
    hang_up: bool = False   # the application closes behind its last answer
    end: str = "kept"       # "kept", "closed" (FIN), "cut" (reset), "any"
    on: tuple = SIDES

    @property
    def id(self):
        return f"{self.rfc}: {self.name}"


def request(*fields, start="GET /x HTTP/1.1", body=""):
    return text(start, "Host: {host}", *fields, body=body)


def post(*fields, body="hello"):
    return request(*fields, start="POST /x HTTP/1.1", body=body)


def chunked(body, *fields):
    return post("Transfer-Encoding: chunked", *fields, body=body)


def response(*fields, start="HTTP/1.1 200 OK", body="ok"):
    return text(start, *fields, body=body)


def passes(rfc, name, send, seen=None, **more):
    """A request that goes through; seen: what it is by then."""
    return Row(rfc, name, send, **{"seen": (send if seen is None else seen,),
                                   "answers": (OK,), "got": (OK,), **more})


def refused(rfc, name, send, status=BAD, **more):
    """nigh answers in its own name, says close and means it; the application sees
    nothing, not even of what follows."""
    return Row(rfc, name, send + request(start="GET /smuggled HTTP/1.1"),
               **{"own": status, "end": "closed", **more})


def answered(rfc, name, answer, got=None, send=request(), all_got=None, **more):
    """A response that goes through; got: what it is by then; all_got: when the answer is
    more than one."""
    return Row(rfc, name, send, **{
        "seen": (send,), "answers": (answer,),
        "got": all_got or (answer if got is None else got,), **more})


def unacceptable(rfc, name, answer, send=request(), **more):
    """A response that nigh replaces by a 502."""
    return Row(rfc, name, send, **{"seen": (request(),), "answers": (answer,), "own": GATEWAY,
                                   "hang_up": True, **more})
