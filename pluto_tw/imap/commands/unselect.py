# SPDX-License-Identifier: GPL-3.0-or-later
"""UNSELECT, RFC 9051 §6.4.2."""

from dataclasses import dataclass

from pluto_tw.imap.command import Reply
from pluto_tw.imap.grammar import Arguments
from pluto_tw.imap.session import Session


@dataclass(frozen=True, slots=True)
class Unselect:
    """UNSELECT"""


def parse(arguments: Arguments, uid: bool) -> Unselect:
    """Nothing."""
    arguments.end()
    return Unselect()


async def run(session: Session, value: Unselect) -> Reply:
    r"""Leaves the mailbox as CLOSE does, but removes nothing."""
    session.unselect()
    return Reply()
