# SPDX-License-Identifier: GPL-3.0-or-later
"""
Mailbox names: which are allowed, which are the same, how they nest.

Decides the canonical form of a name (NFC, INBOX in capitals) and the arithmetic of the
hierarchy. Leaves the form on the wire to `pluto_tw.mail.utf7`, wildcards to
`pluto_tw.mail.patterns`, and which mailboxes exist to the account.

A `MailboxName` was accepted by `mailbox_name` with the separator that the whole cluster is
configured with; each function here takes that separator, one of `SEPARATORS`. RFC 9051 §5.1.
"""

import re
import unicodedata
from typing import Final, NewType

from pluto_tw.mail.codes import CANNOT
from pluto_tw.mail.errors import No

#: A mailbox name in canonical form.
MailboxName = NewType("MailboxName", str)

INBOX: Final = MailboxName("INBOX")

#: The hierarchy separators that a configuration may choose from.
SEPARATORS: Final = (".", "/")

#: Octets of UTF-8. In modified UTF-7 that is less than 2,500 ("é" between ASCII letters grows
#: from two octets to five), so that RENAME with two such names fits in the line of 8,000 octets
#: that RFC 2683 §3.2.1.5 wants a server to take.
NAME_OCTETS_MAX: Final = 1000

#: Components of a name. CREATE makes all superiors that are missing and LIST tests each of
#: them, so that each level costs; people use five.
DEPTH_MAX: Final = 32

#: Characters before normalisation. A name within `NAME_OCTETS_MAX` has at most one and a half an
#: octet when it is decomposed. NFC takes time in the square of a run of combining marks, so it
#: must not see more.
_CHARACTERS_MAX = 2 * NAME_OCTETS_MAX

#: Net-Unicode (RFC 5198 §2) has no C0 and C1 controls; the line and paragraph separators would
#: end a line in what shows the name. Lone surrogates have no UTF-8 form.
_FORBIDDEN = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_WILDCARD = re.compile("[%*]")


def mailbox_name(text: str, separator: str) -> MailboxName:
    """
    The canonical form of *text*, the name of a mailbox as a client gives it, decoded.

    Every command that takes a name passes it through here, since a server that takes names that
    are not in NFC "MUST accept them in all IMAP commands that have a mailbox name parameter"
    (RFC 9051 §5.1). INBOX in any case of its ASCII letters is `INBOX`.

    RFC 9051 §5.1 gives that meaning to the whole name only; we give it to the first component
    as well, so that `inbox.x` is `INBOX.x`, a child of INBOX. Else its superior would be called
    `inbox`, and a LIST would show, beside INBOX, a second name that any client must take for
    INBOX again. The case of all other names is kept and counts.

    Raises `No` with CANNOT for what no mailbox can be called: an empty name or component (a
    separator first, last or twice), control characters, "%" and "*" (LIST could not name it),
    "#" in front (the mark of other namespaces, RFC 9051 §5.1.2.1), lone surrogates, more than
    `NAME_OCTETS_MAX` octets or `DEPTH_MAX` components.
    """
    assert separator in SEPARATORS
    if len(text) > _CHARACTERS_MAX:
        raise _too_long()
    text = unicodedata.normalize("NFC", text)
    if _FORBIDDEN.search(text) is not None:
        raise No(CANNOT, "a mailbox name holds no control characters")
    if _WILDCARD.search(text) is not None:
        raise No(CANNOT, "a mailbox name holds none of the wildcards % and *")
    if text.startswith("#"):
        raise No(CANNOT, "there is no namespace with #")
    components = text.split(separator)
    if "" in components:
        raise No(CANNOT, "a mailbox name and each level of its hierarchy need a character")
    if is_inbox(components[0]):
        components[0] = INBOX
    return _within_limits(separator.join(components), separator)


def is_inbox(text: str) -> bool:
    """
    True if *text* is INBOX in any case. RFC 9051 §9 "mailbox".

    ASCII letters alone: U+0131, the dotless i, has the capital I but is another letter.
    """
    return len(text) == len(INBOX) and text.isascii() and text.upper() == INBOX


def without_declaration(text: str, separator: str) -> str:
    """
    *text* without the separator at its end, for CREATE.

    It declares that inferiors will follow, and "the name created is without the trailing
    hierarchy delimiter": RFC 9051 §6.3.4. One is taken away; a second makes no name.
    """
    return text.removesuffix(separator)


def parents(name: str, separator: str) -> tuple[MailboxName, ...]:
    """The superiors of *name*, outermost first. Example: "a.b.c" has "a" and "a.b"."""
    superiors = []
    end = name.find(separator)
    while end != -1:
        superiors.append(MailboxName(name[:end]))
        end = name.find(separator, end + 1)
    return tuple(superiors)


def is_inferior(name: str, of: str, separator: str) -> bool:
    """True if *name* lies below *of*, at any depth; no name lies below itself."""
    return name.startswith(of) and name.startswith(separator, len(of))


def renamed(name: MailboxName, old: MailboxName, new: MailboxName, separator: str) -> MailboxName:
    """
    What *name* is called after RENAME *old* *new*: another name if it is *old* or inferior to it.

    The inferiors of INBOX stay, since they "are unaffected by a rename of INBOX". Raises `No`
    with CANNOT if the name outgrows `NAME_OCTETS_MAX` or `DEPTH_MAX`. RFC 9051 §6.3.6.
    """
    if name == old:
        return new
    if old == INBOX or not is_inferior(name, old, separator):
        return name
    return _within_limits(new + name[len(old) :], separator)


def _within_limits(name: str, separator: str) -> MailboxName:
    if len(name.encode()) > NAME_OCTETS_MAX:
        raise _too_long()
    if name.count(separator) >= DEPTH_MAX:
        raise No(CANNOT, f"a mailbox name has at most {DEPTH_MAX} levels")
    return MailboxName(name)


def _too_long() -> No:
    return No(CANNOT, f"a mailbox name has at most {NAME_OCTETS_MAX} octets of UTF-8")
