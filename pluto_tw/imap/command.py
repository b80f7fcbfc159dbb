# SPDX-License-Identifier: GPL-3.0-or-later
"""
What the session must know of a command: the row type of `pluto_tw.imap.table`.

A command is three things: a value that says what the client asked for, `parse` that makes the
value from the arguments without looking at the world, and `run` that does it.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any

from pluto_tw.imap.framing import LiteralAnnounced
from pluto_tw.imap.grammar import Arguments
from pluto_tw.mail.messages import Upload

if TYPE_CHECKING:
    from pluto_tw.imap.session import Session


class State(Enum):
    """The states of a connection. RFC 9051 §3."""

    NOT_AUTHENTICATED = "not authenticated"
    AUTHENTICATED = "authenticated"
    SELECTED = "selected"
    LOGOUT = "logout"
    #: The client is joined to another server: nothing of what it says is for us.
    RELAYED = "relayed"


ANY_STATE = frozenset({State.NOT_AUTHENTICATED, State.AUTHENTICATED, State.SELECTED})
BEFORE_LOGIN = frozenset({State.NOT_AUTHENTICATED})
AFTER_LOGIN = frozenset({State.AUTHENTICATED, State.SELECTED})
IN_MAILBOX = frozenset({State.SELECTED})


class ExpungeRule(Enum):
    """Whether the session may tell EXPUNGE before the tagged answer. RFC 9051 §7.5.1."""

    ALLOWED = "allowed"
    #: FETCH, STORE, SEARCH: what the client names by sequence number must not shift under it.
    UID_FORM_ONLY = "only in the UID form"


@dataclass(frozen=True, slots=True)
class Reply:
    """
    The tagged OK of a command.

    *text* is for people; None: the command's name and "completed". *code* is a whole response
    code in its brackets, as `response_code` gives it. *then* is called after the line was written.
    *answer*: another server has answered, in these lines, and nothing else is said.
    """

    text: str | None = None
    code: bytes | None = None
    then: Callable[[], None] | None = None
    answer: bytes | None = None


#: Given the arguments so far and the announcement of a literal: the place for its octets, or None
#: if it is an ordinary argument. Raises No or Bad to refuse it before it is sent.
Offer = Callable[["Session", Arguments, LiteralAnnounced], Awaitable[Upload | None]]


@dataclass(frozen=True, slots=True)
class Command:
    """One row of the command table."""

    name: str
    states: frozenset[State]
    expunge: ExpungeRule
    #: Makes the value from what follows the command word; the flag: it came with the UID prefix.
    parse: Callable[[Arguments, bool], Any]
    run: Callable[["Session", Any], Awaitable[Reply]]
    #: The section of RFC 9051, or the RFC, that it follows.
    source: str
    #: Whether `UID name` is a command.
    has_uid_form: bool = False
    #: Whether a value of the UID form names messages by sequence number nevertheless; then EXPUNGE
    #: is not told either. RFC 7162 §3.2.10.2.
    names_numbers: Callable[[Any], bool] | None = None
    #: Where literals of this command go that must not be held in memory.
    offer: Offer | None = None
