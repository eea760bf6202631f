# SPDX-License-Identifier: Apache-2.0
"""Who differs, and why that is harmless. Who stops where nigh goes on reads nothing else
in its place; who reads a message otherwise does so only in the parts that a row names."""
import re
from dataclasses import dataclass


WHOLE = "message"


@dataclass(frozen=True)
class Refusal:
    """A reader that does not take what nigh has forwarded."""
    reader: str
    error: str      # what it says: a regular expression
    why: str


@dataclass(frozen=True)
class Difference:
    """applies(ours, theirs, data): the message as nigh and as the reader has it, and all
    bytes; None for one that nigh, or the reader, does not have: then the part is WHOLE."""
    reader: str     # a regular expression
    parts: frozenset
    applies: object
    why: str


REFUSALS = [
    Refusal("nginx", "405 Not Allowed", "it knows TRACE and CONNECT, and does not serve them"),
    Refusal("nginx", "400 Bad Request", "methods that are not in capitals, paths that leave the "
            "root, bad escapes and NUL in a path, OPTIONS *"),
    Refusal("HAProxy", "400 Bad request", "a websocket without its key"),
    Refusal("Go", "417 Expectation Failed", "an expectation that is not 100-continue"),
    Refusal("Go", "invalid byte in chunk length", "blanks before a chunk extension"),
    Refusal("h11", "illegal chunk header", "blanks before a chunk extension"),
    Refusal("http.server", "431 Too many headers", "more than 100 fields"),
    Refusal("http.client", r"IncompleteRead\(0 bytes read\)", "looks for chunks behind a 304 that "
            "names them, where no body is"),
]


def _blank_behind_chunked(_ours, _theirs, data):
    return re.search(rb"(?i)transfer-encoding:[ \t]*chunked[ \t]", data)


DIFFERENCES = [
    Difference("http.client", frozenset({"start", "body", "fields"}), lambda ours, theirs, data:
               theirs and theirs.start[0] < 200 and theirs.start[0] != 101,
               "takes every interim response but 100 for the final one"),
    Difference("http.client", frozenset({"body"}), _blank_behind_chunked,
               "takes a blank behind chunked for a part of it; nigh takes it off"),
    Difference("http.client", frozenset({WHOLE}), lambda ours, theirs, data:
               theirs and re.search(rb"(?i)transfer-encoding:[ \t]*chunked", data),
               "takes an end within the trailers for theirs; all of the content has come"),
    Difference("http.server", frozenset({"start"}), lambda ours, theirs, data:
               ours and ours.start[1].startswith("//"),
               "makes one slash of those at the beginning of a target"),
    Difference("Go", frozenset({WHOLE, "start", "host", "body", "fields"}), lambda ours, theirs, data:
               ours and ours.start == ("OPTIONS", "*"),
               "answers OPTIONS * itself: the handler that tells us does not see it"),
    Difference("Go", frozenset({"fields"}), lambda ours, theirs, data:
               ours and ("pragma", "no-cache") in ours.fields,
               "adds Cache-Control where there is Pragma"),
    Difference("nginx", frozenset({"start", "host"}), lambda ours, theirs, data:
               ours and ours.start == ("OPTIONS", "*") and theirs.start == ("OPTIONS", "/"),
               "does not make an asterisk of an absolute target without path"),
    Difference("nginx", frozenset({"host"}), lambda ours, theirs, data: b"http://" in data.lower(),
               "hands on Host as it came beside the authority of an absolute target"),
    Difference("nginx", frozenset({WHOLE}), lambda ours, theirs, data:
               re.search(rb"(?i)connection:[^\n]*([\w\"-]close|close[\w\";-])", data),
               "finds close within any word of Connection"),
    Difference(".*", frozenset({"host"}), lambda ours, theirs, data: theirs and not theirs.host,
               "nigh writes a Host where HTTP/1.0 has none"),
]


def refusal(reader, error):
    return next((row for row in REFUSALS if row.reader == reader and re.search(row.error, error)),
                None)


def difference(reader, ours, theirs, data, parts):
    """The row that explains why these parts of the message differ."""
    return next((row for row in DIFFERENCES
                 if re.fullmatch(row.reader, reader) and row.parts.issuperset(parts) and
                 row.applies(ours, theirs, data)), None)
