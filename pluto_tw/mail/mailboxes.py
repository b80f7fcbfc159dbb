# SPDX-License-Identifier: GPL-3.0-or-later
"""What LIST and STATUS tell of a mailbox, as values."""

from dataclasses import dataclass

from pluto_tw.mail.names import MailboxName
from pluto_tw.mail.uids import ModSeq, Uid, UidValidity


@dataclass(frozen=True, slots=True)
class MailboxEntry:
    """One existing mailbox as LIST tells it; ancestors without a mailbox are not entries."""

    name: MailboxName
    #: MAILBOXID, RFC 8474 §4: 1-255 characters of A-Z a-z 0-9 _ -.
    mailbox_id: str
    #: Special-use attributes in the spelling of RFC 6154 §2, e.g. `\Sent`.
    special_use: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class MailboxStatus:
    """The newest state of a mailbox in numbers, RFC 9051 §6.3.11; *size* in octets."""

    mailbox_id: str
    uid_validity: UidValidity
    uid_next: Uid
    highest_modseq: ModSeq
    messages: int
    unseen: int
    deleted: int
    size: int
    #: Messages that no session was told of as `\Recent` yet.
    recent: int
