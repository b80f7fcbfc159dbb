# SPDX-License-Identifier: GPL-3.0-or-later
"""What is logged, with which fields, and what never is. `docs/connections.md` has the table."""

import re
from pathlib import Path
from unittest.mock import patch

from OpenSSL import SSL
from twisted.internet.testing import EventLoggingObserver
from twisted.logger import LogEvent, LogLevel, formatEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from pluto_tw.imap.ports import Outcome
from pluto_tw.imap.session import Session
from pluto_tw.net.limits import Limits
from pluto_tw.net.tls import ServerContexts
from tests.net.transport import Listener
from tests.support.certificate import self_signed

#: The page that tells operators of the events.
PAGE = Path(__file__).resolve().parents[2] / "docs" / "connections.md"

#: Fields that twisted.logger and its older form add.
ADDED = re.compile(r"log_|time$|isError$|message$|system$|format$|failure$|why$")


class JournalTestCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.events = EventLoggingObserver()
        globalLogPublisher.addObserver(self.events)
        self.addCleanup(globalLogPublisher.removeObserver, self.events)

    def contexts(self) -> ServerContexts:
        return ServerContexts([self_signed().key_pair(Path(self.mktemp()))])

    def named(self, name: str) -> list[LogEvent]:
        return [event for event in self.events if event.get("event") == name]


class EventTests(JournalTestCase):
    def test_login(self) -> None:
        listener = Listener(self.contexts(), secure_without_tls=False)
        listener.logged_in()
        [event] = self.named("login")
        self.assertEqual(event["log_level"], LogLevel.info)
        self.assertEqual(event["user"], "user")
        self.assertEqual((event["address"], event["port"]), ("192.0.2.1", 40000))
        self.assertEqual(event["tls"], "TLSv1.3 TLS_AES_256_GCM_SHA384")
        self.assertEqual(formatEvent(event), "192.0.2.1 logged in as user")
        self.assertEqual(listener.journal.counts.logins, 1)

    def test_login_that_fails_names_neither_user_nor_password(self) -> None:
        """People type their passwords into the field for the name."""
        listener = Listener(commands_logged=True)
        listener.connect().send(b"a LOGIN hunter2 secret3\r\n")
        [event] = self.named("login-refused")
        self.assertEqual(event["reason"], "AUTHENTICATIONFAILED")
        self.assertEqual(event["address"], "192.0.2.1")
        self.assertEqual(listener.journal.counts.refused_logins, {"AUTHENTICATIONFAILED": 1})
        for logged in self.events:
            self.assertNotRegex(repr(logged), "hunter2|secret3")

    def test_end_of_a_session(self) -> None:
        peer = (listener := Listener()).logged_in()
        listener.world.clock.advance(90)
        peer.send(b"a LOGOUT\r\n")
        peer.lose()
        [event] = self.named("end")
        self.assertEqual(event["log_level"], LogLevel.info)
        self.assertEqual((event["user"], event["seconds"], event["commands"]), ("user", 90, 2))
        self.assertEqual(event["octets_in"], len(b"l LOGIN user secret\r\na LOGOUT\r\n"))
        self.assertGreater(event["octets_out"], 100)
        self.assertEqual(formatEvent(event), "192.0.2.1 ended after 90 s: the client logged out")
        self.assertEqual(listener.journal.counts.octets_in, event["octets_in"])

    def test_connection_without_login_is_no_news(self) -> None:
        """Scanners and health checks would fill the log."""
        Listener().connect().lose()
        [event] = self.named("end")
        self.assertEqual(event["log_level"], LogLevel.debug)

    def test_tls_that_fails_is(self) -> None:
        """It may be an operator's certificate that clients refuse."""
        listener = Listener(self.contexts(), implicit_tls=True)
        listener.connect().lose(SSL.Error([("SSL routines", "", "certificate unknown")]))
        listener.connect().lose(SSL.Error())
        first, second = self.named("end")
        self.assertEqual(first["log_level"], LogLevel.info)
        self.assertIn("TLS failed (certificate unknown)", formatEvent(first))
        self.assertIn("TLS failed (Error())", formatEvent(second))

    def test_command(self) -> None:
        peer = Listener(commands_logged=True).logged_in()
        peer.send(b"a SELECT nowhere\r\n")
        event = self.named("command")[-1]
        self.assertEqual(event["log_level"], LogLevel.debug)
        self.assertEqual((event["command"], event["outcome"]), ("SELECT", "no"))
        self.assertEqual(formatEvent(event), "192.0.2.1 SELECT no in 0.0 ms")
        self.assertNotIn("nowhere", repr(event))

    def test_commands_are_not_logged_unless_asked_for(self) -> None:
        listener = Listener()
        listener.logged_in().send(b"a NOOP\r\n")
        self.assertEqual(self.named("command"), [])
        self.assertEqual(listener.journal.counts.commands["NOOP", Outcome.OK], 1)

    def test_fault_has_its_traceback(self) -> None:
        listener = Listener()
        peer = listener.logged_in()
        with patch.object(listener.world.account, "status", side_effect=ZeroDivisionError):
            peer.send(b"a STATUS INBOX (MESSAGES)\r\n")
        [event] = self.named("fault")
        self.assertEqual(event["log_level"], LogLevel.critical)
        self.assertEqual((event["command"], event["user"]), ("STATUS", "user"))
        self.assertTrue(event["log_failure"].check(ZeroDivisionError))
        self.assertEqual(listener.journal.counts.faults, 1)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertIn(b"a NO [SERVERBUG] ", peer.received())

    def test_first_connection_that_is_one_too_many(self) -> None:
        """A flood is one line."""
        listener = Listener(limits=Limits(address_connections_max=1))
        for _ in range(5):
            listener.connect()
        [event] = self.named("connection-refused")
        self.assertEqual(event["log_level"], LogLevel.warn)
        self.assertEqual(
            formatEvent(event), "192.0.2.1 refused: at most 1 connections from one address"
        )


class PageTests(JournalTestCase):
    maxDiff = None

    def test_page_has_every_event_with_its_fields(self) -> None:
        """Operators write filters from the page."""
        listener = Listener(
            self.contexts(),
            limits=Limits(connections_max=2),
            secure_without_tls=False,
            commands_logged=True,
        )
        peer = listener.connect()
        peer.start_tls()
        peer.send(b"a LOGIN user wrong\r\n")
        peer.log_in_again()
        listener.connect()
        listener.connect()
        with patch.object(Session, "receive", side_effect=ZeroDivisionError):
            peer.send(b"a NOOP\r\n")
        peer.lose()
        self.flushLoggedErrors(ZeroDivisionError)
        logged = {
            event["event"]: {field for field in event if not ADDED.match(field)} - {"event"}
            for event in self.events
            if "event" in event
        }
        told = {
            name: set(re.findall(r"`(\w+)`", fields))
            for name, fields in re.findall(
                r"^\| `([\w-]+)` \| \w+ \| [^|]* \| ([^|]*) \|$",
                PAGE.read_text(encoding="utf-8"),
                re.MULTILINE,
            )
        }
        for fields in told.values():
            fields |= {"address", "port", "tls"}
        self.assertEqual(told, logged)
