# SPDX-License-Identifier: GPL-3.0-or-later
"""
What a client searches for: the search keys of RFC 9051 §6.4.4 and its extensions, as values.

A program is one key; several keys side by side are an `And`. How a program is written on the wire
and how it is answered is said elsewhere. Sets of messages are already resolved against the
session's view: sequence numbers and `$` have become UIDs.
"""

from dataclasses import dataclass
from enum import Enum

from pluto_tw.mail.flags import Flag
from pluto_tw.mail.sets import NumberSet
from pluto_tw.mail.uids import ModSeq


class Comparison(Enum):
    """How a day or a size stands to the one asked for."""

    BEFORE = "before"
    ON = "on"
    SINCE = "since"


class AddressField(Enum):
    """The header fields that have a search key of their own."""

    BCC = "bcc"
    CC = "cc"
    FROM = "from"
    SUBJECT = "subject"
    TO = "to"


@dataclass(frozen=True, slots=True)
class All:
    """Every message."""


@dataclass(frozen=True, slots=True)
class And:
    """Messages that fit all *keys*."""

    keys: tuple["Key", ...]


@dataclass(frozen=True, slots=True)
class Or:
    """Messages that fit one of the two."""

    left: "Key"
    right: "Key"


@dataclass(frozen=True, slots=True)
class Not:
    """Messages that do not fit *key*."""

    key: "Key"


@dataclass(frozen=True, slots=True)
class Uids:
    """Messages with these UIDs."""

    uids: NumberSet


@dataclass(frozen=True, slots=True)
class HasFlag:
    """Messages with *flag*: SEEN, KEYWORD x and their like; UNSEEN is a `Not` of it."""

    flag: Flag


@dataclass(frozen=True, slots=True)
class Recent:
    """Messages that are `\\Recent` in this session. RFC 3501 §6.4.4 RECENT."""


@dataclass(frozen=True, slots=True)
class Larger:
    """Messages of more than *octets* octets."""

    octets: int


@dataclass(frozen=True, slots=True)
class Smaller:
    """Messages of fewer than *octets* octets."""

    octets: int


@dataclass(frozen=True, slots=True)
class InternalDay:
    """
    The day of INTERNALDATE, its time and zone disregarded.

    *day* is a proleptic ordinal (`datetime.date.toordinal`).
    """

    comparison: Comparison
    day: int


@dataclass(frozen=True, slots=True)
class SentDay:
    """The day in the Date: field, its time and zone disregarded; *day* as in `InternalDay`."""

    comparison: Comparison
    day: int


@dataclass(frozen=True, slots=True)
class Older:
    """INTERNALDATE is *seconds* or more ago. RFC 5032."""

    seconds: int


@dataclass(frozen=True, slots=True)
class Younger:
    """INTERNALDATE is at most *seconds* ago. RFC 5032."""

    seconds: int


@dataclass(frozen=True, slots=True)
class Header:
    """A field *name* whose decoded text contains *text*; an empty *text*: there is such a field."""

    name: str
    text: str


@dataclass(frozen=True, slots=True)
class Field:
    """As `Header`, for the fields that have a key of their own."""

    field: AddressField
    text: str


@dataclass(frozen=True, slots=True)
class Body:
    """*text* stands in the body's text."""

    text: str


@dataclass(frozen=True, slots=True)
class Text:
    """*text* stands in the header or in the body's text."""

    text: str


@dataclass(frozen=True, slots=True)
class ChangedSince:
    """
    MODSEQ n: messages whose mod-sequence is *modseq* or above. RFC 7162 §3.1.5.

    The entry name and type that the client may name are parsed and ignored: a message has one
    mod-sequence for all its metadata.
    """

    modseq: ModSeq


@dataclass(frozen=True, slots=True)
class EmailId:
    """The message with this EMAILID. RFC 8474 §6."""

    object_id: str


@dataclass(frozen=True, slots=True)
class ThreadId:
    """Messages with this THREADID. RFC 8474 §6."""

    object_id: str


Key = (
    All
    | And
    | Or
    | Not
    | Uids
    | HasFlag
    | Recent
    | Larger
    | Smaller
    | InternalDay
    | SentDay
    | Older
    | Younger
    | Header
    | Field
    | Body
    | Text
    | ChangedSince
    | EmailId
    | ThreadId
)
