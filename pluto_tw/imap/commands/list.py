# SPDX-License-Identifier: GPL-3.0-or-later
"""
LIST, RFC 9051 §6.3.9: the names that match patterns, and what is asked about each.

With the options of RFC 5258, the children of RFC 3348, SPECIAL-USE of RFC 6154 and STATUS of
RFC 5819. Which names these are is decided in `pluto_tw.imap.listing`.
"""

from dataclasses import dataclass, replace
from enum import Enum

from pluto_tw.imap.command import Reply
from pluto_tw.imap.grammar import Arguments
from pluto_tw.imap.list_response import (
    HAS_CHILDREN,
    HAS_NO_CHILDREN,
    NONEXISTENT,
    NOSELECT,
    SUBSCRIBED,
    extended_item,
    list_response,
)
from pluto_tw.imap.listing import Criteria, Listed, listing
from pluto_tw.imap.pace import Pace
from pluto_tw.imap.ports import Account
from pluto_tw.imap.responses import quoted
from pluto_tw.imap.selected import Features
from pluto_tw.imap.session import Session
from pluto_tw.imap.status_items import StatusItem, status_items, status_response
from pluto_tw.mail import codes
from pluto_tw.mail.errors import Bad, No
from pluto_tw.mail.names import MailboxName
from pluto_tw.mail.patterns import Pattern

#: Patterns of one LIST. Each is compared with each name; clients send one or two, or name some
#: ten mailboxes that they know.
PATTERNS_MAX = 100


class SelectOption(Enum):
    """A selection option, RFC 9051 §6.3.9.1, by its name on the wire."""

    SUBSCRIBED = b"SUBSCRIBED"
    #: No mailbox of ours is remote: "Servers that don't support the concept of remote mailboxes
    #: can ignore this option."
    REMOTE = b"REMOTE"
    RECURSIVEMATCH = b"RECURSIVEMATCH"
    SPECIAL_USE = b"SPECIAL-USE"


class ReturnOption(Enum):
    """A return option, RFC 9051 §6.3.9.2, by its name on the wire."""

    SUBSCRIBED = b"SUBSCRIBED"
    #: Children and special uses are told always, as RFC 9051 §6.3.9.5 and RFC 6154 §2 allow.
    CHILDREN = b"CHILDREN"
    SPECIAL_USE = b"SPECIAL-USE"
    STATUS = b"STATUS"


_SELECT_OPTIONS = tuple(option.value for option in SelectOption)
_RETURN_OPTIONS = tuple(option.value for option in ReturnOption)


@dataclass(frozen=True, slots=True)
class List:
    """LIST; reference and patterns decoded, as the client gave them."""

    reference: str
    patterns: tuple[str, ...]
    criteria: Criteria
    #: Whether `\\Subscribed` is told.
    return_subscribed: bool
    #: Empty if no STATUS is asked for.
    status: tuple[StatusItem, ...]
    #: Whether the syntax of RFC 5258 was used, which tells that the client knows it.
    extended: bool


def parse(arguments: Arguments, uid: bool) -> List:
    """[SP list-select-opts] SP mailbox SP mbox-or-pat [SP list-return-opts]"""
    arguments.space()
    options: frozenset[SelectOption] = frozenset()
    extended = arguments.at(b"(")
    if extended:
        options = _select_options(arguments)
        arguments.space()
    reference = arguments.mailbox()
    arguments.space()
    if arguments.at(b"("):
        extended = True
        patterns = arguments.parenthesised(arguments.list_mailbox)
    else:
        patterns = [arguments.list_mailbox()]
    subscribed = SelectOption.SUBSCRIBED in options
    items: dict[StatusItem, None] = {}
    if arguments.space_if():
        extended = True
        arguments.keyword(b"RETURN")
        arguments.space()
        returns = arguments.parenthesised(lambda: _return_option(arguments, items), minimum=0)
        subscribed = subscribed or ReturnOption.SUBSCRIBED in returns
    arguments.end()
    criteria = Criteria(
        subscribed=SelectOption.SUBSCRIBED in options,
        special_use=SelectOption.SPECIAL_USE in options,
        recursive=SelectOption.RECURSIVEMATCH in options,
    )
    return List(reference, tuple(patterns), criteria, subscribed, tuple(items), extended)


def _select_options(arguments: Arguments) -> frozenset[SelectOption]:
    """
    "(" [list-select-opt *(SP list-select-opt)] ")"

    RFC 9051 §6.3.9.1: RECURSIVEMATCH "only makes sense when other selection options are also
    used. The server MUST return a BAD tagged response in such case", also if there is only
    REMOTE besides. By that reason it goes with SPECIAL-USE, which the grammar of RFC 6154 §6
    has among the options that it does not go with.
    """
    named = arguments.parenthesised(
        lambda: SelectOption(arguments.keyword(*_SELECT_OPTIONS)), minimum=0
    )
    options = frozenset(named)
    if SelectOption.RECURSIVEMATCH in options and not options & {
        SelectOption.SUBSCRIBED,
        SelectOption.SPECIAL_USE,
    }:
        raise Bad("RECURSIVEMATCH needs SUBSCRIBED or SPECIAL-USE")
    return options


def _return_option(arguments: Arguments, items: dict[StatusItem, None]) -> ReturnOption:
    """A return option; what STATUS asks for is added to *items*."""
    option = ReturnOption(arguments.keyword(*_RETURN_OPTIONS))
    if option is ReturnOption.STATUS:
        arguments.space()
        items.update(dict.fromkeys(status_items(arguments)))
    return option


async def run(session: Session, value: List) -> Reply:
    """
    One LIST for each name, where asked for followed by its STATUS.

    "Any syntactically valid pattern that is not accepted by a server for any reason MUST be
    silently ignored": there is no refusal but of more than `PATTERNS_MAX`, No(LIMIT).
    """
    account = session.the_account
    separator = account.separator
    if value.patterns == ("",) and not value.extended:
        # "a special request to return the hierarchy delimiter and the root name": no name of
        # ours is rooted.
        session.send(list_response([NOSELECT], separator, "", utf8=session.features.utf8))
        return Reply()
    if len(value.patterns) > PATTERNS_MAX:
        raise No(codes.LIMIT, f"at most {PATTERNS_MAX} patterns in one LIST")
    patterns = [
        Pattern.compile(value.reference, pattern, separator)
        # "any mailbox name arguments that are empty strings are ignored"
        for pattern in dict.fromkeys(value.patterns)
        if pattern
    ]
    entries = await account.mailboxes()
    subscriptions: frozenset[MailboxName] = frozenset()
    if value.return_subscribed:
        subscriptions = await account.subscriptions()
    pace = Pace(session)
    for listed in listing(entries, subscriptions, patterns, value.criteria, separator):
        if listed is not None:
            await pace.send(*await _responses(account, session.features, value, listed))
        await pace.step()
    return Reply()


async def _responses(
    account: Account, features: Features, value: List, listed: Listed
) -> tuple[bytes, ...]:
    """
    LIST and, if asked for and to be had, STATUS of one name.

    A name that is told of only for its inferiors has no STATUS: it "itself doesn't match the
    selection criteria" (RFC 9051 §6.3.9.8, example 11).
    """
    if not (value.status and listed.exists and listed.is_selected):
        return (_list(account, features, value, listed),)
    try:
        status = await account.status(listed.name)
    except No as error:
        # "the STATUS response MUST NOT be returned, and the LIST response MUST include the
        # \NoSelect attribute" if the mailbox is gone since; on other problems the server "MAY
        # drop the corresponding STATUS reply". RFC 9051 §6.3.9.2.
        if error.code == codes.NONEXISTENT:
            listed = replace(listed, exists=False, special_use=frozenset())
        return (_list(account, features, value, listed),)
    return (
        _list(account, features, value, listed),
        status_response(
            listed.name,
            value.status,
            status,
            append_octets_max=account.append_octets_max,
            utf8=features.utf8,
        ),
    )


def _list(account: Account, features: Features, value: List, listed: Listed) -> bytes:
    attributes = []
    if not listed.exists:
        # It implies \Noselect, which says that less clearly, and only one may stand in a line;
        # but the client must know the newer one.
        understood = value.extended or features.rev2
        attributes.append(NONEXISTENT if understood else NOSELECT)
    attributes.append(HAS_CHILDREN if listed.has_children else HAS_NO_CHILDREN)
    if listed.subscribed:
        attributes.append(SUBSCRIBED)
    attributes += sorted(use.encode("ascii") for use in listed.special_use)
    return list_response(
        attributes,
        account.separator,
        listed.name,
        utf8=features.utf8,
        extended=_child_info(value.criteria) if listed.has_selected_inferior else None,
    )


def _child_info(criteria: Criteria) -> bytes:
    """The criteria that a name below meets. RFC 9051 §6.3.9.6."""
    met = [quoted(SelectOption.SUBSCRIBED.value)] if criteria.subscribed else []
    if criteria.special_use:
        met.append(quoted(SelectOption.SPECIAL_USE.value))
    return extended_item(b"CHILDINFO", met)
