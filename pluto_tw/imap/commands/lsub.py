# SPDX-License-Identifier: GPL-3.0-or-later
"""LSUB, RFC 3501 §6.3.9: RFC 9051 has dropped it for LIST (SUBSCRIBED)."""

from dataclasses import dataclass

from pluto_tw.imap.command import Reply
from pluto_tw.imap.grammar import Arguments
from pluto_tw.imap.list_response import NOSELECT, list_response
from pluto_tw.imap.listing import subscribed_listing
from pluto_tw.imap.pace import Pace
from pluto_tw.imap.session import Session
from pluto_tw.mail.patterns import Pattern


@dataclass(frozen=True, slots=True)
class Lsub:
    """LSUB; reference and pattern decoded, as the client gave them."""

    reference: str
    pattern: str


def parse(arguments: Arguments, uid: bool) -> Lsub:
    """SP mailbox SP list-mailbox"""
    arguments.space()
    reference = arguments.mailbox()
    arguments.space()
    pattern = arguments.list_mailbox()
    arguments.end()
    return Lsub(reference, pattern)


async def run(session: Session, value: Lsub) -> Reply:
    """
    One LSUB for each name.

    `\\Noselect` has a meaning of its own here: that the name is not subscribed to, but one below
    it is. So nothing is said of names that do not exist (RFC 5258 §3.1, SUBSCRIBED).
    """
    account = session.the_account
    separator = account.separator
    pattern = Pattern.compile(value.reference, value.pattern, separator)
    subscriptions = await account.subscriptions()
    pace = Pace(session)
    for listed in subscribed_listing(subscriptions, pattern, separator):
        if listed is not None:
            name, is_subscribed = listed
            attributes = [] if is_subscribed else [NOSELECT]
            utf8 = session.features.utf8
            await pace.send(list_response(attributes, separator, name, utf8=utf8, word=b"LSUB"))
        await pace.step()
    return Reply()
