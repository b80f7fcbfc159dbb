# SPDX-License-Identifier: GPL-3.0-or-later
"""
The data items of STATUS, for the command and for LIST RETURN (STATUS ...).

RFC 9051 §6.3.11; RECENT of RFC 3501 §6.3.10, HIGHESTMODSEQ of RFC 7162 §3.1.7, MAILBOXID of
RFC 8474 §4.3, APPENDLIMIT of RFC 7889 §3.1, SIZE also of RFC 8438.
"""

from collections.abc import Iterable
from enum import Enum
from typing import assert_never

from pluto_tw.imap.grammar import Arguments
from pluto_tw.imap.responses import mailbox, parenthesised, untagged
from pluto_tw.mail.mailboxes import MailboxStatus
from pluto_tw.mail.names import MailboxName


class StatusItem(Enum):
    """
    What STATUS can be asked for, by its name on the wire.

    RECENT is answered in all sessions: RFC 9051 Appendix E only deprecates it, and Appendix A
    wants that it is not told "unless explicitly requested". Who asks shall not lose the answers
    to all else over it.
    """

    MESSAGES = b"MESSAGES"
    UIDNEXT = b"UIDNEXT"
    UIDVALIDITY = b"UIDVALIDITY"
    UNSEEN = b"UNSEEN"
    DELETED = b"DELETED"
    SIZE = b"SIZE"
    RECENT = b"RECENT"
    HIGHESTMODSEQ = b"HIGHESTMODSEQ"
    MAILBOXID = b"MAILBOXID"
    APPENDLIMIT = b"APPENDLIMIT"


_NAMES = tuple(item.value for item in StatusItem)


def status_items(arguments: Arguments) -> tuple[StatusItem, ...]:
    """
    "(" status-att *(SP status-att) ")": the items in the client's order, each once.

    Bad if one is unknown.
    """
    named = arguments.parenthesised(lambda: StatusItem(arguments.keyword(*_NAMES)))
    return tuple(dict.fromkeys(named))


def status_response(
    name: MailboxName,
    items: Iterable[StatusItem],
    status: MailboxStatus,
    *,
    append_octets_max: int,
    utf8: bool,
) -> bytes:
    """The line with *items* of *status*. RFC 9051 §7.3.3."""
    values = [item.value + b" " + _value(item, status, append_octets_max) for item in items]
    return untagged(b"STATUS %b %b" % (mailbox(name, utf8=utf8), parenthesised(values)))


def _value(item: StatusItem, status: MailboxStatus, append_octets_max: int) -> bytes:
    match item:
        case StatusItem.MESSAGES:
            return b"%d" % status.messages
        case StatusItem.UIDNEXT:
            return b"%d" % status.uid_next
        case StatusItem.UIDVALIDITY:
            return b"%d" % status.uid_validity
        case StatusItem.UNSEEN:
            return b"%d" % status.unseen
        case StatusItem.DELETED:
            return b"%d" % status.deleted
        case StatusItem.SIZE:
            return b"%d" % status.size
        case StatusItem.RECENT:
            return b"%d" % status.recent
        case StatusItem.HIGHESTMODSEQ:
            return b"%d" % status.highest_modseq
        case StatusItem.MAILBOXID:
            return b"(%b)" % status.mailbox_id.encode("ascii")
        case StatusItem.APPENDLIMIT:
            return b"%d" % append_octets_max
        case _:
            assert_never(item)
