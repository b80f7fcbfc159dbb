# SPDX-License-Identifier: GPL-3.0-or-later
"""Comments in structured fields, RFC 5322 §3.2.2: where one ends, and a value without them."""

import re

(_PARENTHESIS,) = b"("
_BRACKET = re.compile(rb"[()\\]")
_TEXT_BETWEEN = re.compile(rb'[^("\\]++|"(?:[^"\\]++|\\.)*+"|\\.', re.DOTALL)


def comment_end(value: bytes, start: int) -> int:
    """
    Where the comment that opens at *start* ends (behind its ")"), or -1 if it never does.

    Comments nest; the depth is counted, so it has no limit. The caller must not ask again for a
    later "(" of the same value after a -1, or hostile input costs quadratic time.
    """
    depth = 0
    position = start
    while bracket := _BRACKET.search(value, position):
        position = bracket.end()
        octet = bracket[0]
        if octet == b"(":
            depth += 1
        elif octet == b")":
            depth -= 1
            if depth == 0:
                return position
        else:
            position += 1
    return -1


def without_comments(value: bytes) -> bytes:
    """
    *value* with each comment replaced by a space. "(" within a quoted string is no comment.

    A comment that is never closed is no comment: only its "(" goes (RFC 7103 §7.1.4).
    """
    if _PARENTHESIS not in value:
        return value
    pieces: list[bytes] = []
    position = 0
    balanced = True
    while position < len(value):
        if text := _TEXT_BETWEEN.match(value, position):
            pieces.append(text[0])
            position = text.end()
            continue
        if value[position : position + 1] == b"(":
            end = comment_end(value, position) if balanced else -1
            balanced = end > 0
            pieces.append(b" ")
            position = end if balanced else position + 1
        else:
            # A quote that is never closed, or a lone backslash at the end: no comment behind it.
            pieces.append(value[position:])
            position = len(value)
    return b"".join(pieces)
