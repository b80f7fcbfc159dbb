# SPDX-License-Identifier: GPL-3.0-or-later
"""ID, RFC 2971: who we are, in exchange for who they are."""

from dataclasses import dataclass

from pluto_tw.imap.command import Reply
from pluto_tw.imap.grammar import Arguments
from pluto_tw.imap.responses import nstring, parenthesised, untagged
from pluto_tw.imap.session import Session

#: "Implementations MUST NOT send more than 30 field-value pairs." RFC 2971 §3.3.
PAIRS_MAX = 30
#: "Field strings MUST NOT be longer than 30 octets."
FIELD_OCTETS_MAX = 30
#: "Value strings MUST NOT be longer than 1024 octets."
VALUE_OCTETS_MAX = 1024


@dataclass(frozen=True, slots=True)
class Id:
    """ID (field value ...)."""

    fields: tuple[tuple[bytes, bytes | None], ...]


def parse(arguments: Arguments, uid: bool) -> Id:
    """SP id-params-list; the list may be NIL."""
    arguments.space()
    fields: list[tuple[bytes, bytes | None]] = []
    if not arguments.keyword_if(b"NIL"):

        def field() -> None:
            name = arguments.string()
            arguments.space()
            value = arguments.nstring()
            fields.append((name, value))
            if len(fields) > PAIRS_MAX:
                arguments.bad(f"at most {PAIRS_MAX} fields")
            if len(name) > FIELD_OCTETS_MAX or len(value or b"") > VALUE_OCTETS_MAX:
                arguments.bad("a shorter field")

        arguments.parenthesised(field, minimum=0)
    arguments.end()
    return Id(tuple(fields))


async def run(session: Session, value: Id) -> Reply:
    """One ID response. What the client says of itself changes nothing: RFC 2971 §1."""
    pairs = session.service.identity
    if not pairs:
        session.send(untagged(b"ID NIL"))
        return Reply()
    strings = [nstring(text.encode("ascii")) for pair in pairs for text in pair]
    session.send(untagged(b"ID " + parenthesised(strings)))
    return Reply()
