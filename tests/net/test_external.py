# SPDX-License-Identifier: GPL-3.0-or-later
"""EXTERNAL at a replica's port for distributors: a whole dialogue, and what is refused there."""

from binascii import b2a_base64

from twisted.trial.unittest import SynchronousTestCase

from pluto_tw.auth.names import AccountKey
from pluto_tw.imap.ports import Account
from pluto_tw.mail.codes import UNAVAILABLE
from pluto_tw.mail.errors import No
from pluto_tw.net.external import ExternalRealm
from pluto_tw.net.imap import ImapFactory
from pluto_tw.net.journal import Journal
from pluto_tw.net.limits import Limits, Presence
from pluto_tw.net.proxied import ClientAddress
from pluto_tw.net.proxy import Client
from tests.net.transport import Listener, Peer

ADDRESS = ClientAddress(Client("198.51.100.7", 4000, "TLSv1.3"), "a", 7)


def external(name: str, tag: bytes = b"t") -> bytes:
    token = b2a_base64(name.encode("utf-8"), newline=False)
    return b"%b AUTHENTICATE EXTERNAL %b\r\n" % (tag, token)


class ExternalTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.listener = Listener()
        world = self.listener.world
        self.opened: list[tuple[AccountKey, str | None, int | None]] = []
        self.refusal: No | None = None
        self.presence = Presence(Limits(user_connections_max=2))
        self.journal = Journal()
        world.service.realm = ExternalRealm(self.open)  # type: ignore[misc]
