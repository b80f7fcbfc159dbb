# SPDX-License-Identifier: GPL-3.0-or-later
"""What is asked of an account for messages, and how it went, as values."""

from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from pluto_tw.mail.flags import Flags
from pluto_tw.mail.sets import NumberSet
from pluto_tw.mail.uids import ModSeq, Uid, UidValidity


@dataclass(frozen=True, slots=True)
class InternalDate:
    """When a message arrived: POSIX seconds, and the zone that it is told in."""

    seconds: int
    #: East of Greenwich, from -1439 to 1439.
    zone_minutes: int


class StoreMode(Enum):
    """What STORE does with the named flags. RFC 9051 §6.4.6."""

    ADD = "add"
    REMOVE = "remove"
    REPLACE = "replace"


@dataclass(frozen=True, slots=True)
class Stored:
    """How a STORE went; the sets do not overlap and are parts of what was named."""

    #: The mod-sequence of the change; 0 if nothing had to change.
    modseq: ModSeq
    #: Messages whose flags did change.
    changed: NumberSet
    #: Left alone, since they changed after `unchanged_since`.
    modified: NumberSet
    #: Left alone, since they are gone, although the session still shows them.
    gone: NumberSet


@dataclass(frozen=True, slots=True)
class Copied:
    """
    How a COPY or MOVE went. RFC 4315 §3.

    *source* and *target* pair up, ascending by source; both are empty if there is nothing to
    tell: no message was left to copy, or the new UIDs are not known yet.
    """

    uid_validity: UidValidity
    source: tuple[Uid, ...]
    target: tuple[Uid, ...]
    #: How many messages were copied.
    messages: int


class Upload(Protocol):
    """A message on its way in. What is written may be durable, but is nowhere to be seen."""

    async def write(self, chunk: bytes) -> None:
        """Takes the next octets; returns when there is room for more. No: UNAVAILABLE, LIMIT."""

    def abandon(self) -> None:
        """Forgets it; harmless after the message was appended."""


@dataclass(frozen=True, slots=True)
class NewMessage:
    """A message to append: all of its octets were written to *upload*."""

    upload: Upload
    flags: Flags
    #: None: the time of arrival.
    date: InternalDate | None


@dataclass(frozen=True, slots=True)
class Appended:
    """Where messages went; *uids* is empty if the new UIDs are not known yet. RFC 4315 §3."""

    uid_validity: UidValidity
    uids: tuple[Uid, ...]
