# SPDX-License-Identifier: GPL-3.0-or-later
"""The exact lists: a capability that comes or goes shows here."""

from twisted.trial.unittest import SynchronousTestCase

from pluto_tw.imap.capability import ALWAYS, AUTHENTICATED, capabilities
from pluto_tw.imap.commands.enable import NAMES_MAX
from tests.support.connection import Client, World

ANY_STATE = "IMAP4rev1 IMAP4rev2 ENABLE ID LITERAL+ SASL-IR"
KNOWN = (
    f"{ANY_STATE} BINARY CHILDREN CONDSTORE CREATE-SPECIAL-USE ESEARCH I18NLEVEL=1 IDLE"
    " LIST-EXTENDED LIST-STATUS MOVE MULTIAPPEND NAMESPACE OBJECTID QRESYNC SEARCHRES SPECIAL-USE"
    " STATUS=SIZE UIDPLUS UNSELECT WITHIN"
)


def told(client: Client) -> str:
    """What CAPABILITY tells *client*."""
    client.received()
    line, _, end = client.ask(b"CAPABILITY").partition(b"\r\n")
    assert end == b"x OK CAPABILITY completed\r\n"
    return line.removeprefix(b"* CAPABILITY ").decode("ascii")


class ListTests(SynchronousTestCase):
    """RFC 9051 §6.1.1: "a listing of capabilities ... that the server supports"."""

    def setUp(self) -> None:
        self.world = World()

    def test_without_tls(self) -> None:
        """RFC 9051 §6.2.3: LOGINDISABLED where LOGIN would be in the clear."""
        client = self.world.connect(secure=False, tls_available=True)
        self.assertEqual(told(client), f"{ANY_STATE} STARTTLS LOGINDISABLED AUTH=X-ASK")

    def test_without_tls_and_without_a_certificate(self) -> None:
        client = self.world.connect(secure=False)
        self.assertEqual(told(client), f"{ANY_STATE} LOGINDISABLED AUTH=X-ASK")

    def test_with_tls(self) -> None:
        client = self.world.connect(secure=False, tls_available=True)
        client.ask(b"STARTTLS")
        client.secure()
        self.assertEqual(told(client), f"{ANY_STATE} AUTH=PLAIN AUTH=X-ASK")

    def test_on_a_secure_connection(self) -> None:
        self.assertEqual(told(self.world.connect()), f"{ANY_STATE} AUTH=PLAIN AUTH=X-ASK")

    def test_after_login(self) -> None:
        """RFC 7889 §3: APPENDLIMIT, which is the account's, is told once that is known."""
        self.assertEqual(told(self.world.logged_in()), f"{KNOWN} APPENDLIMIT=52428800")

    def test_in_a_mailbox_it_is_the_same(self) -> None:
        client = self.world.logged_in()
        before = told(client)
        client.ask(b"SELECT INBOX")
        self.assertEqual(told(client), before)

    def test_enable_changes_nothing(self) -> None:
        """RFC 5161 §3.1: "MUST NOT change the CAPABILITY list as a result of executing ENABLE"."""
        client = self.world.logged_in()
        before = told(client)
        client.ask(b"ENABLE IMAP4rev2 QRESYNC CONDSTORE")
        self.assertEqual(told(client), before)

    def test_account_without_a_limit(self) -> None:
        listed = capabilities(
            authenticated=True,
            can_start_tls=False,
            login_allowed=True,
            mechanisms=(),
            append_octets_max=None,
        )
        self.assertEqual(listed.decode("ascii"), KNOWN)


class NameTests(SynchronousTestCase):
    def test_names_stand_once(self) -> None:
        names = [*ALWAYS, *AUTHENTICATED]
        self.assertEqual(len(names), len(set(names)))

    def test_both_revisions_come_first(self) -> None:
        """RFC 3501 §7.2.1: "MUST include the atom "IMAP4rev1"", the first that clients seek."""
        self.assertEqual(ALWAYS[:2], (b"IMAP4rev1", b"IMAP4rev2"))

    def test_one_kind_of_literals(self) -> None:
        """RFC 7888 §5: "MUST NOT advertise both of these capabilities at the same time"."""
        self.assertIn(b"LITERAL+", ALWAYS)
        self.assertNotIn(b"LITERAL-", ALWAYS)

    def test_all_can_be_named_in_one_enable(self) -> None:
        """Some clients enable whatever was announced."""
        self.assertLess(len(ALWAYS) + len(AUTHENTICATED), NAMES_MAX)
