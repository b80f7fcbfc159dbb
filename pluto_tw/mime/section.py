# SPDX-License-Identifier: GPL-3.0-or-later
"""
Which octets a section of FETCH names: RFC 9051 §6.4.5.1.

The numbers of a section count the parts of a multipart. A message that is no multipart has one
part, 1: its text; so has an embedded one. Numbers behind an embedded message count within it.
"""

from typing import Literal

from pluto_tw.mime.facts import Facts, Part, Span


def find(facts: Facts, path: tuple[int, ...]) -> Part | None:
    """
    The part with the numbers *path*, e.g. (4, 2, 1) for `4.2.1`; None where there is none.

    An empty *path* is the message: its top part.
    """
    parts = facts.parts
    part = parts[0]
    # Whether the next number counts in the message of which `part` is the top part.
    at_message = True
    for number in path:
        if part.is_message and not at_message:
            part = parts[part.children[0]]
            at_message = True
        if part.is_multipart:
            if not 1 <= number <= len(part.children):
                return None
            part = parts[part.children[number - 1]]
        elif number != 1 or not at_message:
            return None
        at_message = False
    return part


def span(
    facts: Facts, path: tuple[int, ...], what: Literal["", "HEADER", "TEXT", "MIME"]
) -> Span | None:
    """
    The octets of section *path* and *what*, None where the message has no such section.

    HEADER and TEXT need the message itself or an embedded one, MIME a part. HEADER is also that
    from which HEADER.FIELDS chooses. The one part of a message that is no multipart has the
    message's header as its MIME header.
    """
    part = find(facts, path)
    if part is None:
        return None
    match what:
        case "MIME":
            return part.header if path else None
        case "":
            return part.body if path else Span(0, facts.size)
    if path:
        if not part.is_message:
            return None
        part = facts.parts[part.children[0]]
    return part.header if what == "HEADER" else part.body
