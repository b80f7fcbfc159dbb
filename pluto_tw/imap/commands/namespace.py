# SPDX-License-Identifier: GPL-3.0-or-later
"""NAMESPACE, RFC 9051 §6.3.10 and RFC 2342: where a user's mailboxes begin."""

from dataclasses import dataclass

from pluto_tw.imap.command import Reply
from pluto_tw.imap.grammar import Arguments
from pluto_tw.imap.responses import quoted, untagged
from pluto_tw.imap.session import Session


@dataclass(frozen=True, slots=True)
class Namespace:
    """NAMESPACE."""


def parse(arguments: Arguments, uid: bool) -> Namespace:
    """No arguments."""
    arguments.end()
    return Namespace()


async def run(session: Session, value: Namespace) -> Reply:
    """One personal namespace without a prefix; none of other users, none that is shared."""
    separator = quoted(session.the_account.separator.encode("ascii"))
    session.send(untagged(b'NAMESPACE (("" %b)) NIL NIL' % separator))
    return Reply()
