# SPDX-License-Identifier: GPL-3.0-or-later
"""IMAPClient, which parses what it gets: a second opinion on every response."""

import threading
from datetime import UTC, date, datetime

from imapclient import IMAPClient
from imapclient.exceptions import IMAPClientError, LoginError
from twisted.internet.defer import Deferred

from tests.live.server import CLIENT_SECONDS_MAX, LiveTestCase
from tests.support.messages import MESSAGES

ARRIVED = datetime(2026, 1, 5, 8, 0, tzinfo=UTC)


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
        return self.in_thread(self._tour)

    def _tour(self) -> None:
        client = self.connect()
        assert client.has_capability("MOVE") and client.has_capability("IDLE")
        assert client.id_({"name": "tour"})
        client.create_folder("Entwürfe")
        client.subscribe_folder("Entwürfe")
        assert ((b"\\HasNoChildren",), b".", "Entwürfe") in client.list_folders()
        assert "Entwürfe" in [name for _, _, name in client.list_sub_folders()]
        assert client.folder_status("Entwürfe", ["MESSAGES", "UIDVALIDITY"])[b"MESSAGES"] == 0
        assert client.namespace().personal

        for name in ("plain", "mixed", "forward"):
            answer = client.append("INBOX", MESSAGES[name], flags=(b"\\Seen",), msg_time=ARRIVED)
            assert answer.startswith(b"[APPENDUID "), answer
        selected = client.select_folder("INBOX")
        assert selected[b"EXISTS"] == 3
        assert b"\\*" in selected[b"PERMANENTFLAGS"]
        self._fetch(client)
        self._search(client)

        client.add_flags([1], [b"\\Flagged", "$Later"])
        assert set(client.get_flags([1])[1]) >= {b"\\Flagged", b"$Later"}
        client.remove_flags([1], [b"\\Seen"])
        assert client.search("UNSEEN") == [1]
        client.copy([1, 2], "Entwürfe")
        client.move([3], "Entwürfe")
        client.delete_messages([1])
        client.uid_expunge([1])
        assert client.search() == [2]
        client.unselect_folder()
        assert client.folder_status("Entwürfe", "MESSAGES")[b"MESSAGES"] == 3
        client.rename_folder("Entwürfe", "Drafts")
        client.delete_folder("Drafts")
        client.logout()

    def _fetch(self, client: IMAPClient) -> None:
        items = ["ENVELOPE", "BODYSTRUCTURE", "INTERNALDATE", "RFC822.SIZE", "FLAGS", "BODY[]"]
        fetched = client.fetch([1, 2, 3], items)
        assert sorted(fetched) == [1, 2, 3]
        mixed = fetched[2]
        assert mixed[b"BODY[]"] == MESSAGES["mixed"]
        assert mixed[b"RFC822.SIZE"] == len(MESSAGES["mixed"])
        envelope = mixed[b"ENVELOPE"]
        assert envelope.subject == b"=?utf-8?q?Pl=C3=A4ne?="
        assert [str(address) for address in envelope.to] == [
            "Alice <alice@example.org>",
            "bob@example.net",
        ]
        structure = mixed[b"BODYSTRUCTURE"]
        assert structure.is_multipart
        assert structure[1] == b"MIXED" or structure[1] == b"mixed"
        header = client.fetch([1], ["BODY.PEEK[HEADER.FIELDS (SUBJECT)]"])[1]
        assert header[b"BODY[HEADER.FIELDS (SUBJECT)]"] == b"Subject: Lunch\r\n\r\n", header

    def _search(self, client: IMAPClient) -> None:
        assert client.search(["SUBJECT", "Pläne"], "UTF-8") == [2]
        assert client.search(["BODY", "Karten"]) == [2]
        assert client.search(["FROM", "alice", "NOT", "DELETED"]) == [1]
        assert client.search(["SINCE", ARRIVED.date(), "BEFORE", date(2026, 1, 6)]) == [1, 2, 3]
        assert client.search(["LARGER", 500]) == [2]

    def test_idle_hears_of_another_connection(self) -> Deferred[None]:
        """RFC 9051 §6.3.13: new mail is told while nothing is asked."""

        def tour() -> None:
            idling, other = self.connect(), self.connect()
            idling.select_folder("INBOX")
            idling.idle()
            other.append("INBOX", MESSAGES["plain"])
            seen = idling.idle_check(timeout=CLIENT_SECONDS_MAX)
            assert (1, b"EXISTS") in seen, seen
            text, _ = idling.idle_done()
            assert text.startswith(b"IDLE")
            other.select_folder("INBOX")
            idling.idle()
            other.delete_messages([1])
            other.expunge()
            seen = []
            while (1, b"EXPUNGE") not in seen:
                more = idling.idle_check(timeout=CLIENT_SECONDS_MAX)
                assert more, seen
                seen += more
            idling.idle_done()
            idling.logout()
            other.logout()

        return self.in_thread(tour)

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
