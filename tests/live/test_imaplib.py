# SPDX-License-Identifier: GPL-3.0-or-later
"""Python's own client, which shows answers nearly as they come."""

import imaplib
import ssl
import time
from typing import Any

from twisted.internet.defer import Deferred

from tests.live.server import CLIENT_SECONDS_MAX, LiveTestCase
from tests.support.messages import MESSAGES

#: All that FETCH can be asked for in one command without setting \Seen.
ITEMS = (
    "(UID FLAGS INTERNALDATE RFC822.SIZE ENVELOPE BODYSTRUCTURE BODY MODSEQ EMAILID THREADID "
    "BODY.PEEK[HEADER.FIELDS (SUBJECT)] BODY.PEEK[1.1.MIME] BINARY.SIZE[2] RFC822.HEADER)"
)


def ok(answer: tuple[str, Any]) -> list[Any]:
    """What an answer holds. AssertionError unless it was OK."""
    status, data = answer
    assert status == "OK", answer
    return list(data)


class ImaplibTests(LiveTestCase):
    def test_tour_with_starttls(self) -> Deferred[None]:
        def tour() -> None:
            client = imaplib.IMAP4("127.0.0.1", self.server.plain_port, CLIENT_SECONDS_MAX)
            self.closing(client.shutdown)
            with self.assertRaises(imaplib.IMAP4.error):
                client.login("fred", "secret")
            ok(client.starttls(self.server.client_tls))
            self._tour(client)

        return self.in_thread(tour)

    def test_tour_with_tls_from_the_beginning(self) -> Deferred[None]:
        def tour() -> None:
            client = self._secure()
            assert isinstance(client.socket(), ssl.SSLSocket)
            self._tour(client)

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

    def _tour(self, client: imaplib.IMAP4) -> None:
        """From login to logout."""
        ok(client.login("fred", "secret"))
        ok(client.xatom("ID", '("name" "imaplib")'))
        self._mailboxes(client)
        self._messages(client)
        status, _ = client.logout()
        assert status == "BYE"

    def _mailboxes(self, client: imaplib.IMAP4) -> None:
        ok(client.create("Archive.2026"))
        ok(client.subscribe("Archive.2026"))
        assert b'(\\HasNoChildren) "." Archive.2026' in ok(client.list())
        assert any(b"Archive.2026" in line for line in ok(client.lsub()))
        ok(client.rename("Archive.2026", "Archive.2025"))
        [status] = ok(client.status("Archive.2025", "(MESSAGES UIDNEXT SIZE)"))
        assert status == b"Archive.2025 (MESSAGES 0 UIDNEXT 1 SIZE 0)", status
        assert client.status("nowhere", "(MESSAGES)")[0] == "NO"
        ok(client.namespace())

    def _messages(self, client: imaplib.IMAP4) -> None:
        date = imaplib.Time2Internaldate(time.gmtime(1_767_600_000))
        ok(client.append("INBOX", "(\\Seen)", date, MESSAGES["plain"]))
        ok(client.append("INBOX", "", date, MESSAGES["mixed"]))
        ok(client.append("INBOX", "($Important)", date, MESSAGES["forward"]))
        status, [text] = client.append("nowhere", "", "", MESSAGES["plain"])
        assert status == "NO" and text.startswith(b"[TRYCREATE]")
        assert ok(client.select()) == [b"3"]

        fetched = ok(client.fetch("1:*", ITEMS))
        assert len([part for part in fetched if isinstance(part, tuple)]) >= 3
        assert b"ENVELOPE" in b"".join(_octets(fetched))
        [(_, whole), _] = ok(client.uid("FETCH", "2", "(BODY.PEEK[])"))
        assert whole == MESSAGES["mixed"]
        [(_, binary), _] = ok(client.uid("FETCH", "2", "(BINARY.PEEK[2])"))
        assert binary == bytes(range(8)), binary

        assert ok(client.search(None, "UNSEEN")) == [b"2 3"]
        assert ok(client.search("UTF-8", "SUBJECT", '"Lunch"')) == [b"1 3"]
        assert ok(client.uid("SEARCH", "RETURN (COUNT)", "ALL")) == [None]
        assert b"COUNT 3" in client.untagged_responses.pop("ESEARCH")[0]

        ok(client.store("2", "+FLAGS", "(\\Flagged $Later)"))
        [flags] = ok(client.fetch("2", "(FLAGS)"))
        assert b"\\Flagged" in flags and b"$Later" in flags
        ok(client.copy("1:2", "Archive.2025"))
        ok(client.uid("MOVE", "3", "Archive.2025"))
        ok(client.store("1", "+FLAGS.SILENT", "(\\Deleted)"))
        # The client has kept what MOVE told.
        assert ok(client.expunge()) == [b"3", b"1"]
        assert ok(client.select("Archive.2025", readonly=True)) == [b"3"]
        ok(client.unselect())
        ok(client.select("Archive.2025"))
        ok(client.close())
        ok(client.delete("Archive.2025"))


def _octets(fetched: list[Any]) -> list[bytes]:
    return [part[0] if isinstance(part, tuple) else part for part in fetched]
