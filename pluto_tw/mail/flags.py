# SPDX-License-Identifier: GPL-3.0-or-later
"""
Flags: which there are, how they are spelled, when two are the same.

Decides the canonical spelling of system flags and registered keywords, and what a client may
name as a flag. Leaves to the account which flags a message has, and to the mailbox how many
keywords it has taken on (`KEYWORDS_MAX`). RFC 9051 §2.3.2 and §9 "flag", "flag-keyword".

A flag's identity is `flag_key(flag)`, not its spelling: two spellings of one keyword are one
flag. Every `Flag` that `flag` returns is an atom of ASCII, with a backslash in front if it is a
system flag, and so can be written to the wire as it is.
"""

import re
from collections.abc import Iterable
from typing import Final, NewType

from pluto_tw.mail.codes import LIMIT
from pluto_tw.mail.errors import Bad, No

#: A flag as spelled on the wire; system flags and registered keywords in canonical spelling.
Flag = NewType("Flag", str)
#: Holds each flag in one spelling; `flag_set` sees to that.
Flags = frozenset[Flag]

ANSWERED: Final = Flag("\\Answered")
FLAGGED: Final = Flag("\\Flagged")
DELETED: Final = Flag("\\Deleted")
SEEN: Final = Flag("\\Seen")
DRAFT: Final = Flag("\\Draft")

#: The system flags that a client may store, in the order in which we list them.
SYSTEM_FLAGS: Final = (ANSWERED, FLAGGED, DELETED, SEEN, DRAFT)

#: What the server alone tells to an IMAP4rev1 session; never stored, never accepted. RFC 3501
#: §2.3.2.
RECENT: Final = Flag("\\Recent")

#: The longest keywords in use are labels that synchronisers derive from folder names, far below
#: this; with `KEYWORDS_MAX` it bounds a FLAGS response to 33 KiB.
KEYWORD_OCTETS_MAX: Final = 128

#: Keywords in one mailbox. Each SELECT lists them all, twice, and a client that makes a keyword
#: for each message would make that list grow without end. It binds who adds a keyword here:
#: sites that add different ones at the same time may pass it together, and what they agreed on
#: stays.
KEYWORDS_MAX: Final = 256

#: Keywords whose spelling is written down somewhere: the registry "IMAP and JMAP Keywords" (RFC
#: 5788), RFC 9051 §2.3.2, RFC 8457, RFC 5550, and the marks that mail programs have used since
#: before there was a registry. Without this the client that comes first would decide how
#: all others see `$forwarded`, and some compare keywords with their case.
REGISTERED_KEYWORDS: Final = tuple(
    Flag(keyword)
    for keyword in (
        "$Forwarded",
        "$MDNSent",
        "$Junk",
        "$NotJunk",
        "$Phishing",
        "$Important",
        "$SubmitPending",
        "$Submitted",
        "$MailFlagBit0",
        "$MailFlagBit1",
        "$MailFlagBit2",
        "Forwarded",
        "Redirected",
        "MDNSent",
        "Junk",
        "NotJunk",
        "NonJunk",
        "JunkRecorded",
    )
)

#: flag-keyword is an atom; "]" is not in it, since PERMANENTFLAGS puts keywords within
#: brackets. RFC 9051 §9 "ATOM-CHAR".
_KEYWORD = re.compile(r'[^\x00-\x20\x7f-\U0010ffff(){%*"\\\]]+')

_CANONICAL = {known.lower(): known for known in (*SYSTEM_FLAGS, *REGISTERED_KEYWORDS)}
_ORDER = {system_flag: place for place, system_flag in enumerate(SYSTEM_FLAGS)}


def flag(text: str) -> Flag:
    r"""
    The flag that a client names with *text*, in canonical spelling.

    An unregistered keyword keeps the spelling it has. Raises `Bad` for what is no flag or none
    that a client may name: `\Recent`, and flag-extensions ("Server implementations MUST NOT
    generate flag-extension flags"). Raises `No` with LIMIT for a keyword of more than
    `KEYWORD_OCTETS_MAX` octets. RFC 9051 §9 "flag"; example: `flag("\\seen") == SEEN`.
    """
    # Beyond ASCII there is no flag, though str.lower would find some: of U+212A it is "k".
    known = _CANONICAL.get(text.lower()) if text.isascii() else None
    if known is not None:
        return known
    if text.startswith("\\"):
        raise Bad("no such system flag, or not one that a client may set")
    if _KEYWORD.fullmatch(text) is None:
        raise Bad("a keyword must be an atom")
    if len(text) > KEYWORD_OCTETS_MAX:
        raise No(LIMIT, f"a keyword has at most {KEYWORD_OCTETS_MAX} octets")
    return Flag(text)


def flag_set(texts: Iterable[str]) -> Flags:
    """
    The flags that a client names with *texts*, each once; of two spellings the first stays.

    Raises as `flag` does.
    """
    distinct: dict[str, Flag] = {}
    for text in texts:
        named = flag(text)
        distinct.setdefault(flag_key(named), named)
    return frozenset(distinct.values())


def flag_key(flag: Flag) -> str:
    """What tells flags apart: their name without regard to case, as RFC 9051 §9 note 1 wants."""
    return flag.lower()


def is_system(flag: Flag) -> bool:
    r"""True for the five of `SYSTEM_FLAGS` and for `\Recent`, false for keywords."""
    return flag.startswith("\\")


def ordered(flags: Iterable[Flag]) -> list[Flag]:
    r"""*flags* as we list them: `\Recent`, `SYSTEM_FLAGS` in their order, keywords by name."""
    return sorted(flags, key=_place)


def _place(flag: Flag) -> tuple[int, str]:
    if is_system(flag):
        return _ORDER.get(flag, -1), ""
    return len(_ORDER), flag_key(flag)
