# SPDX-License-Identifier: GPL-3.0-or-later
"""EXTERNAL at a replica's port for distributors: who is let in as whom, and what is refused."""

from binascii import b2a_base64
from dataclasses import replace

from twisted.internet.interfaces import IAddress
from twisted.trial.unittest import SynchronousTestCase

from pluto_tw.auth.names import AccountKey
from pluto_tw.imap.ports import Account
from pluto_tw.mail.codes import UNAVAILABLE
from pluto_tw.mail.errors import No
from pluto_tw.net.external import ExternalRealm
from pluto_tw.net.imap import ImapFactory
from pluto_tw.net.limits import Limits
from pluto_tw.net.proxied import ClientAddress
from pluto_tw.net.proxy import Client
from tests.net.transport import Listener, Peer

ADDRESS = ClientAddress(Client("198.51.100.7", 4000, "TLSv1.3"), "a", 7)


def token(name: bytes) -> bytes:
    return b2a_base64(name, newline=False)


class ExternalTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.listener = Listener(limits=Limits(user_connections_max=2))
        world = self.listener.world
        self.account = world.account
        self.opened: list[tuple[AccountKey, str | None, int | None]] = []
        self.refusal: No | None = None
        self.listener.factory = ImapFactory(
            world.clock,
            replace(world.service, realm=ExternalRealm(self.open)),
            self.listener.presence,
            self.listener.journal,
            secure_without_tls=True,
        )

    async def open(self, key: AccountKey, subnet: str | None, user_id: int | None) -> Account:
        self.opened.append((key, subnet, user_id))
        if self.refusal is not None:
            raise self.refusal
        return self.account

    def connect(self, address: IAddress = ADDRESS) -> Peer:
        peer = self.listener.connect(address=address)
        self.assertIn(b"AUTH=EXTERNAL", peer.received())
        return peer

    def test_the_name_is_the_account_with_what_the_header_says(self) -> None:
        """RFC 4422 appendix A.1: the response is "the UTF-8 encoding" of the identity to act as."""
        peer = self.connect()
        peer.send(b"t AUTHENTICATE EXTERNAL %b\r\n" % token("jürgen".encode()))
        self.assertRegex(peer.received(), rb"\At OK \[CAPABILITY IMAP4rev1 [^]]*\] ")
        self.assertEqual(self.opened, [("jürgen", "a", 7)])

    def test_without_an_initial_response_it_is_asked_for(self) -> None:
        peer = self.connect()
        peer.send(b"t AUTHENTICATE EXTERNAL\r\n")
        self.assertEqual(peer.received(), b"+ \r\n")
        peer.send(token(b"fred") + b"\r\n")
        self.assertIn(b"t OK ", peer.received())

    def test_nobody_is_nobody(self) -> None:
        """A.1: an empty response is the identity of the channel; a distributor has no mail."""
        for name in (b"", b"\xff", b"a\0b", b"x" * 2000):
            peer = self.connect()
            peer.send(b"t AUTHENTICATE EXTERNAL %b\r\n" % (token(name) or b"="))
            self.assertRegex(peer.received(), rb"\At (NO|BAD) ")
            peer.lose()
        self.assertEqual(self.opened, [])

    def test_a_password_is_no_way_in(self) -> None:
        peer = self.connect()
        peer.send(b"a LOGIN user secret\r\n")
        self.assertIn(b"a NO [PRIVACYREQUIRED]", peer.received())
        peer.send(b"b AUTHENTICATE PLAIN %b\r\n" % token(b"\0user\0secret"))
        self.assertRegex(peer.received(), rb"\Ab NO ")
        self.assertEqual(self.opened, [])

    def test_a_replica_without_the_account_says_so(self) -> None:
        self.refusal = No(UNAVAILABLE, "this account is served elsewhere")
        peer = self.connect()
        peer.send(b"t AUTHENTICATE EXTERNAL %b\r\n" % token(b"fred"))
        self.assertIn(b"t NO [UNAVAILABLE] this account is served elsewhere", peer.received())

    def test_the_limit_of_a_user_holds_here(self) -> None:
        """Distributors know nothing of each other's connections."""
        for expected in (b"t OK ", b"t OK ", b"t NO [LIMIT] "):
            peer = self.connect()
            peer.send(b"t AUTHENTICATE EXTERNAL %b\r\n" % token(b"user"))
            self.assertIn(expected, peer.received())

    def test_the_log_has_the_clients_own_address(self) -> None:
        peer = self.connect()
        entry = peer.protocol._entry.connection
        self.assertEqual((entry.address, entry.port, entry.tls), ("198.51.100.7", 4000, "TLSv1.3"))
