# SPDX-License-Identifier: GPL-3.0-or-later
"""NOOP: nothing but the occasion to be told what is new. RFC 9051 §6.1.2."""

from dataclasses import dataclass

from pluto_tw.imap.command import Reply
from pluto_tw.imap.grammar import Arguments
from pluto_tw.imap.session import Session


@dataclass(frozen=True, slots=True)
class Noop:
    """NOOP."""


def parse(arguments: Arguments, uid: bool) -> Noop:
    """No arguments."""
    arguments.end()
    return Noop()


async def run(session: Session, value: Noop) -> Reply:
    """The session tells what is new behind every command."""
    return Reply()
