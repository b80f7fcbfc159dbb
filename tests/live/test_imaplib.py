# SPDX-License-Identifier: GPL-3.0-or-later
"""Python's own client, which shows answers nearly as they come."""

import imaplib
import ssl

from twisted.internet.defer import Deferred

from tests.live.server import CLIENT_SECONDS_MAX, LiveTestCase
from tests.live.tours import imaplib_tour, ok


class ImaplibTests(LiveTestCase):
    def test_tour_with_starttls(self) -> Deferred[None]:
        def tour() -> None:
            client = imaplib.IMAP4("127.0.0.1", self.server.plain_port, CLIENT_SECONDS_MAX)
            self.closing(client.shutdown)
            with self.assertRaises(imaplib.IMAP4.error):
                client.login("fred", "secret")
            ok(client.starttls(self.server.client_tls))
            imaplib_tour(client)

        return self.in_thread(tour)

    def test_tour_with_tls_from_the_beginning(self) -> Deferred[None]:
        def tour() -> None:
            client = self._secure()
            assert isinstance(client.socket(), ssl.SSLSocket)
            imaplib_tour(client)

        return self.in_thread(tour)

    def test_authenticate_plain(self) -> Deferred[None]:
        def tour() -> None:
            client = self._secure()
            ok(client.authenticate("PLAIN", lambda challenge: b"\0fred\0secret"))
            ok(client.select())
            client.logout()

        return self.in_thread(tour)

    def test_wrong_password(self) -> Deferred[None]:
        def tour() -> None:
            client = self._secure()
            with self.assertRaisesRegex(imaplib.IMAP4.error, "AUTHENTICATIONFAILED"):
                client.login("fred", "wrong")
            ok(client.login("fred", "secret"))
            client.logout()

        return self.in_thread(tour)

    def test_message_of_ten_megabytes_comes_back_as_it_was(self) -> Deferred[None]:
        message = b"Subject: big\r\n\r\n" + b"0123456789abcdef" * 63 + b"\r\n"
        message += b"0123456789abcde\r\n" * 600_000

        def tour() -> None:
            client = self._secure()
            ok(client.login("fred", "secret"))
            ok(client.append("INBOX", "", "", message))
            ok(client.select())
            [(_, octets), _] = ok(client.fetch("1", "(BODY.PEEK[])"))
            assert octets == message
            [(_, octets), _] = ok(client.fetch("1", "(BODY.PEEK[]<5000000.100>)"))
            assert octets == message[5_000_000:5_000_100]
            client.logout()

        return self.in_thread(tour)

    def _secure(self) -> imaplib.IMAP4_SSL:
        client = imaplib.IMAP4_SSL(
            "127.0.0.1",
            self.server.secure_port,
            ssl_context=self.server.client_tls,
            timeout=CLIENT_SECONDS_MAX,
        )
        self.closing(client.shutdown)
        return client
