# SPDX-License-Identifier: GPL-3.0-or-later
import contextlib
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from pluto_tw.admin import pairs
from pluto_tw.admin.authority import Authority, new_key, self_signed
from pluto_tw.admin.nodes import Node
from pluto_tw.admin.places import public_files
from pluto_tw.net.nodes import Role
from pluto_tw.net.tls import KeyPair
from tests.admin.running import Ran, pluto


class PublicTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.directory = Path(self.mktemp())
        self.files = public_files(self.directory)

    def make(self, *options: object) -> Ran:
        return pluto("test-public", "--dir", self.directory, *options)

    def pair(self) -> KeyPair:
        return KeyPair.from_files(self.files.certificate, self.files.key)

    def test_localhost_for_ninety_days(self) -> None:
        ran = self.make()
        self.assertEqual(ran.status, 0)
        self.assertIn("made for localhost, 127.0.0.1, ::1: valid until", ran.out)
        left = self.pair().certificate.not_valid_after_utc - datetime.now(UTC)
        self.assertEqual(left.days, 89)
        self.assertTrue(pairs.is_private(self.files.key))

    def test_clients_take_it_as_an_anchor_of_trust(self) -> None:
        self.make()
        server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        server.load_cert_chain(self.files.certificate, self.files.key)
        for host in ("localhost", "127.0.0.1", "::1"):
            client = ssl.create_default_context(cafile=str(self.files.certificate))
            ends = [(ssl.MemoryBIO(), ssl.MemoryBIO()), (ssl.MemoryBIO(), ssl.MemoryBIO())]
            one = client.wrap_bio(ends[0][0], ends[0][1], server_hostname=host)
            other = server.wrap_bio(ends[1][0], ends[1][1], server_side=True)
            for _ in range(3):
                for end in (one, other):
                    with contextlib.suppress(ssl.SSLWantReadError):
                        end.do_handshake()
                    ends[1][0].write(ends[0][1].read())
                    ends[0][0].write(ends[1][1].read())
            self.assertEqual(one.version(), "TLSv1.3")

    def test_a_valid_one_is_left(self) -> None:
        self.make()
        before = self.files.key.read_bytes()
        self.assertIn("kept: valid until", self.make("--host", "mx.example.org").out)
        self.assertEqual(self.files.key.read_bytes(), before)
        self.make("--host", "mx.example.org", "--force")
        self.assertEqual(self.pair().names(), ["mx.example.org"])

    def test_one_that_has_expired_is_made_anew(self) -> None:
        key = new_key()
        past = datetime.now(UTC) - timedelta(days=91)
        pairs.write_key(self.files.key, key)
        pairs.write_certificate(self.files.certificate, self_signed(["x"], key, past, 90))
        self.assertIn("made", self.make().out)

    def test_somebodys_real_one_is_left(self) -> None:
        """Also when it has expired: only its own authority renews it."""
        key = new_key()
        past = datetime.now(UTC) - timedelta(days=91)
        real = Authority.new(past).issue(Node(Role.WORKER, "mx"), key.public_key(), past, 90)
        pairs.write_key(self.files.key, key)
        pairs.write_certificate(self.files.certificate, real)
        ran = self.make()
        self.assertEqual(ran.status, 2)
        self.assertIn("not made by this command", ran.errors)

    def test_what_cannot_be_read_is_left(self) -> None:
        self.make()
        self.files.certificate.write_text("nonsense")
        ran = self.make()
        self.assertEqual(ran.status, 2)
        self.assertIn("--force makes both anew", ran.errors)
        self.files.certificate.unlink()
        self.assertEqual(self.make().status, 2)
        self.assertEqual(self.make("--force").status, 0)

    def test_hosts_that_cannot_be(self) -> None:
        self.assertIn("'a b' is no host", self.make("--host", "a b").errors)
        self.assertEqual(self.make("--host", "0.0.0.0").status, 2)
