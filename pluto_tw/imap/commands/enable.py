# SPDX-License-Identifier: GPL-3.0-or-later
"""ENABLE, RFC 9051 §6.3.1: the client knows what it asks for here, so it may be told more."""

from dataclasses import dataclass, replace

from pluto_tw.imap.command import Reply
from pluto_tw.imap.grammar import Arguments
from pluto_tw.imap.responses import untagged
from pluto_tw.imap.session import Session

#: Names in one ENABLE; fewer exist.
NAMES_MAX = 100


@dataclass(frozen=True, slots=True)
class Enable:
    """ENABLE name ...; upper case."""

    names: tuple[bytes, ...]


def parse(arguments: Arguments, uid: bool) -> Enable:
    """1*(SP capability)"""
    arguments.space()
    names = [arguments.atom().upper()]
    while arguments.space_if():
        names.append(arguments.atom().upper())
        if len(names) > NAMES_MAX:
            arguments.bad("fewer names")
    arguments.end()
    return Enable(tuple(names))


async def run(session: Session, value: Enable) -> Reply:
    """
    One ENABLED response with what is enabled by this command and was not before.

    Names that are unknown, or need not be enabled, are ignored. QRESYNC enables CONDSTORE as well
    (RFC 7162 §3.2.3). CAPABILITY stays as it was.
    """
    before = session.features
    enabled: list[bytes] = []
    for name in value.names:
        if name == b"IMAP4REV2" and not session.features.rev2:
            session.features = replace(session.features, rev2=True, utf8=True)
            enabled.append(b"IMAP4rev2")
        elif name == b"CONDSTORE" and not before.condstore and name not in enabled:
            enabled.append(name)
        elif name == b"QRESYNC" and not session.features.qresync:
            session.features = replace(session.features, qresync=True)
            enabled.append(name)
    session.send(untagged(b" ".join([b"ENABLED", *enabled])))
    if b"CONDSTORE" in enabled or b"QRESYNC" in enabled:
        session.enable_condstore()
    return Reply()
