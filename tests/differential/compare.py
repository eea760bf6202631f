# SPDX-License-Identifier: Apache-2.0
"""Compares what nigh has made of bytes with what the others make of the same."""
import collections

import known
from reading import WAITS

BESIDE = "beside nigh"
BEHIND = "behind nigh"


class Verdicts:
    """Counts agreement, known refusals and differences; keeps what is neither."""

    def __init__(self):
        self.same = collections.Counter()
        self.refusals = collections.Counter()
        self.differences = collections.Counter()
        self.stricter = collections.Counter()
        self.faults = []

    def _fault(self, reader, where, what, data):
        self.faults.append(f"{reader}, {where}: {what}\n    {data!r}")

    def _stopped(self, reader, where, error, data):
        """Who is stricter on the same bytes than nigh reads nothing else in their place;
        who refuses what nigh has written, or sees no end of it, needs a reason."""
        row = known.refusal(reader, error)
        if row:
            self.refusals[row] += 1
        elif where == BESIDE and error != WAITS:
            self.stricter[reader] += 1
        else:
            self._fault(reader, where, f"stops: {error!r}", data)

    def _message(self, reader, where, ours, theirs, with_fields, data):
        """Whether it goes on to the next message."""
        differs = ours.differs(theirs, with_fields)
        row = differs and known.difference(reader, ours, theirs, data, differs)
        if row:
            self.differences[row] += 1
            return False
        if differs:
            self._fault(reader, where, f"reads another message: {differs}", data)
        return not differs

    def check(self, reader, where, ours, reading, data, with_fields=False, all_of=False):
        """ours: the messages of nigh, the first of what the reader must have found;
        all_of: it must not have found more."""
        for number, want in enumerate(ours):
            if number == len(reading.messages):
                if row := known.difference(reader, want, None, data, {known.WHOLE}):
                    self.differences[row] += 1
                elif reading.error:
                    self._stopped(reader, where, reading.error, data)
                else:
                    self._fault(reader, where, f"does not see {want}", data)
                return
            if not self._message(reader, where, want, reading.messages[number], with_fields,
                                 data):
                return
        if all_of and len(reading.messages) > len(ours):
            extra = reading.messages[len(ours)]
            if row := known.difference(reader, None, extra, data, {known.WHOLE}):
                self.differences[row] += 1
                return
            self._fault(reader, where, f"sees one more: {extra}", data)
            return
        self.same[reader, where] += 1
