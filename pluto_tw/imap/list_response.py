# SPDX-License-Identifier: GPL-3.0-or-later
"""
The responses LIST and LSUB, one line for one name. RFC 9051 §7.3.1, RFC 3501 §7.2.3.

Decides how attributes and extended data are written, and when a client is told that a name that it
gave is another in canonical form. Leaves to the commands which attributes a name has.
"""

from collections.abc import Iterable
from typing import Final, Literal

from pluto_tw.imap.responses import mailbox, parenthesised, quoted, untagged
from pluto_tw.imap.selected import Features
from pluto_tw.mail.names import INBOX, MailboxName

NONEXISTENT: Final = b"\\NonExistent"
NOSELECT: Final = b"\\Noselect"
HAS_CHILDREN: Final = b"\\HasChildren"
HAS_NO_CHILDREN: Final = b"\\HasNoChildren"
SUBSCRIBED: Final = b"\\Subscribed"


def list_response(
    attributes: Iterable[bytes],
    separator: str,
    name: str,
    *,
    utf8: bool,
    extended: bytes | None = None,
    word: Literal[b"LIST", b"LSUB"] = b"LIST",
) -> bytes:
    """
    The whole line. *name* may be empty: the root; *extended* is what `extended_item` gives.

    RFC 9051 §9 "mailbox-list" allows one of `NONEXISTENT` and `NOSELECT` in a line.
    """
    line = b"%b %b %b %b" % (
        word,
        parenthesised(attributes),
        quoted(separator.encode("ascii")),
        mailbox(name, utf8=utf8),
    )
    return untagged(line if extended is None else line + b" " + extended)


def extended_item(tag: bytes, values: Iterable[bytes]) -> bytes:
    """The extended data of a LIST response with the one item *tag*: `("CHILDINFO" (...))`."""
    return parenthesised([quoted(tag), parenthesised(values)])


def old_name_responses(
    supplied: str,
    name: MailboxName,
    separator: str,
    features: Features,
    attributes: Iterable[bytes] = (),
) -> list[bytes]:
    """
    The line that tells that what the client called *supplied* is *name*; none if it is the same.

    RFC 9051 §6.3.9.7: "it SHOULD return an unsolicited LIST response that includes the OLDNAME
    extended data item, whenever the supplied mailbox name differs from the resulting normalized
    mailbox name". Only to clients that have enabled IMAP4rev2: "The server MUST NOT return any
    extended data item unless the client has expressed its ability" (RFC 5258 §3). INBOX in
    another case is INBOX, and no other name.
    """
    if not features.rev2 or supplied == name or name == INBOX:
        return []
    utf8 = features.utf8
    old_name = extended_item(b"OLDNAME", [mailbox(supplied, utf8=utf8)])
    return [list_response(attributes, separator, name, utf8=utf8, extended=old_name)]
