# SPDX-License-Identifier: GPL-3.0-or-later
"""
Whether a server's stream is between two responses: where a line of our own may be put into it.

Reads of the stream only where literals begin and lines end, RFC 9051 §4.3. The server is one of
ours, so its lines end in CRLF, and what looks like the announcement of a literal at a line's end is
one.
"""

import re
from typing import Final

#: `{` + 20 digits + `}`, as in `pluto_tw.imap.framing`.
ANNOUNCEMENT_OCTETS_MAX: Final = 22

_ANNOUNCED: Final = b"}\r\n"
_SIZE: Final = re.compile(rb"\{([0-9]{1,20})\Z")
_BYE: Final = b"* BYE "


class Boundary:
    """The stream so far, as given to `feed`; at the start it is between two responses."""

    __slots__ = ("_literal", "_tail", "is_safe", "said_bye")

    def __init__(self) -> None:
        #: Octets of a literal that have not come yet.
        self._literal = 0
        #: The end of a line that is not complete, as far as an announcement can reach.
        self._tail = b""
        #: The stream is between two responses.
        self.is_safe = True
        #: The server has said BYE: it will close, and there is nothing more to say.
        self.said_bye = False

    def feed(self, data: bytes) -> None:
        """The stream goes on with *data*, which is not empty."""
        at = 0
        if self._literal:
            at = min(self._literal, len(data))
            self._literal -= at
            if at == len(data):
                # Also at the literal's end the response goes on, with a line end at least.
                return
        elif self._tail:
            data, self._tail = self._tail + data, b""
        behind = at
        while (end := data.find(_ANNOUNCED, at)) >= 0:
            size = _SIZE.search(data, max(at, end - ANNOUNCEMENT_OCTETS_MAX), end)
            line = end + len(_ANNOUNCED)
            if size is None:
                at = line
                continue
            left = len(data) - line
            self._literal = max(0, int(size[1]) - left)
            if self._literal or int(size[1]) == left:
                self.is_safe = False
                return
            at = behind = line + int(size[1])
        if data.find(_BYE, behind) >= 0:
            self.said_bye = True
        # Of a literal, the last octets may look like a line end: only what is behind it counts.
        self.is_safe = data.endswith(b"\r\n", behind)
        if not self.is_safe:
            self._tail = data[max(behind, len(data) - ANNOUNCEMENT_OCTETS_MAX - len(_ANNOUNCED)) :]
