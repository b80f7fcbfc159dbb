# SPDX-License-Identifier: GPL-3.0-or-later
"""CAPABILITY, RFC 9051 §6.1.1: what works on this connection as it is."""

from dataclasses import dataclass

from pluto_tw.imap.command import Reply
from pluto_tw.imap.grammar import Arguments
from pluto_tw.imap.responses import untagged
from pluto_tw.imap.session import Session


@dataclass(frozen=True, slots=True)
class Capability:
    """CAPABILITY."""


def parse(arguments: Arguments, uid: bool) -> Capability:
    """No arguments."""
    arguments.end()
    return Capability()


async def run(session: Session, value: Capability) -> Reply:
    """One CAPABILITY response."""
    session.send(untagged(b"CAPABILITY " + session.capabilities()))
    return Reply()
