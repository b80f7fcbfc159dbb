# SPDX-License-Identifier: GPL-3.0-or-later
"""IMAPClient, which parses what it gets: a second opinion on every response."""

import threading

from imapclient import IMAPClient
from imapclient.exceptions import IMAPClientError, LoginError
from twisted.internet.defer import Deferred

from tests.live.server import CLIENT_SECONDS_MAX, LiveTestCase
from tests.live.tours import idle_tour, imapclient_tour


class ImapClientTests(LiveTestCase):
    def connect(self) -> IMAPClient:
        """A client that is logged in."""
        client = IMAPClient(
            "127.0.0.1",
            self.server.secure_port,
            ssl_context=self.server.client_tls,
            timeout=CLIENT_SECONDS_MAX,
        )
        self.closing(client.shutdown)
        client.login("fred", "secret")
        return client

    def test_tour(self) -> Deferred[None]:
        return self.in_thread(lambda: imapclient_tour(self.connect()))

    def test_idle_hears_of_another_connection(self) -> Deferred[None]:
        return self.in_thread(lambda: idle_tour(self.connect(), self.connect()))

    def test_many_clients_at_once(self) -> Deferred[None]:
        """Each appends and reads its own messages; in the end all are there once."""
        failures: list[BaseException] = []

        def client_work(number: int) -> None:
            try:
                client = self.connect()
                for turn in range(5):
                    client.append("INBOX", b"Subject: %d.%d\r\n\r\n\r\n" % (number, turn))
                    client.select_folder("INBOX")
                    [uid] = client.search(["SUBJECT", f"{number}.{turn}"])
                    client.add_flags([uid], [b"\\Seen"])
                client.logout()
            except BaseException as error:  # noqa: BLE001 - a thread's failure is the test's
                failures.append(error)

        def tour() -> None:
            threads = [threading.Thread(target=client_work, args=(n,)) for n in range(8)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(CLIENT_SECONDS_MAX)
            assert not failures, failures
            client = self.connect()
            assert client.select_folder("INBOX")[b"EXISTS"] == 40
            assert len(client.search("SEEN")) == 40
            client.logout()

        return self.in_thread(tour)

    def test_refusals_are_told(self) -> Deferred[None]:
        def tour() -> None:
            client = self.connect()
            with self.assertRaisesRegex(IMAPClientError, "NONEXISTENT"):
                client.select_folder("nowhere")
            client.logout()
            client = IMAPClient("127.0.0.1", self.server.plain_port, ssl=False)
            self.closing(client.shutdown)
            with self.assertRaises(LoginError):
                client.login("fred", "secret")
            client.starttls(self.server.client_tls)
            client.login("fred", "secret")
            client.logout()

        return self.in_thread(tour)
