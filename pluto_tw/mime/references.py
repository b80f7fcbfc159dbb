# SPDX-License-Identifier: GPL-3.0-or-later
"""
Message ids, normalised so that equal ids are equal octets: RFC 5322 §3.6.4, RFC 5256 §3.

"The msg-id <"01KF8JCEOCBS0045PS"@xxx.yyy.com> and the msg-id <01KF8JCEOCBS0045PS@xxx.yyy.com> MUST
be interpreted as being the same Message ID."
"""

import re

from pluto_tw.mime.comments import without_comments

#: References kept of one message: the first, which is the thread's root, and the last of the rest.
#: Threads in archives go to some hundreds; clients cut the list themselves at 20 or so.
REFERENCES_MAX = 500

# What Message-ID and In-Reply-To nearly always are.
_ONE = re.compile(rb"<([^\s\"\\<>()]++)>")
# Every attempt ends at the next angle bracket, quoted or not, so the whole takes linear time.
_ANGLE = re.compile(rb"<([^<>]++)>")
_PLAIN = re.compile(rb'[^\s"\\]++')
_QUOTED_PAIR = re.compile(rb"\\(.)", re.DOTALL)


def message_ids(value: bytes) -> tuple[bytes, ...]:
    """
    The message ids of an unfolded value, in order, without angle brackets; phrases and comments go.

    An id without "@" is taken if it is one word: such ids exist, and threads are held by them.
    At most `REFERENCES_MAX`.
    """
    if one := _ONE.fullmatch(value):
        return (one[1],)
    found = [
        normal
        for match in _ANGLE.finditer(without_comments(value))
        if (normal := _normal(match[1]))
    ]
    if len(found) > REFERENCES_MAX:
        del found[1 : len(found) - REFERENCES_MAX + 1]
    return tuple(found)


def references(references_value: bytes | None, in_reply_to: bytes | None) -> tuple[bytes, ...]:
    """
    The ancestors of a message, the oldest first: RFC 5256 §3, "the references used".

    Those of References; if it has none that is valid, the first valid one of In-Reply-To.
    """
    found = message_ids(references_value) if references_value else ()
    if not found and in_reply_to:
        found = message_ids(in_reply_to)[:1]
    return found


def _normal(written: bytes) -> bytes | None:
    """What stands between the angle brackets without quoting, comments and white space."""
    if _PLAIN.fullmatch(written):
        return written
    if b"@" not in written:
        return None
    return _QUOTED_PAIR.sub(rb"\1", b"".join(written.split()).replace(b'"', b"")) or None
