# SPDX-License-Identifier: GPL-3.0-or-later
"""One connection's life on Twisted: greeting, TLS, limits, faults, the listener's end."""

from pathlib import Path
from unittest.mock import patch

from OpenSSL import SSL
from twisted.internet.address import UNIXAddress
from twisted.trial.unittest import SynchronousTestCase

from pluto_tw.imap.session import Session
from pluto_tw.net.imap import (
    LOGIN_SECONDS_MAX,
    SHUTDOWN_SECONDS_MAX,
)
from pluto_tw.net.journal import Ending
from pluto_tw.net.limits import Limit, Limits
from pluto_tw.net.tls import ServerContexts
from tests.net.transport import Listener
from tests.support.certificate import self_signed

SHUTDOWN_BYE = b"* BYE [UNAVAILABLE] The server is shutting down\r\n"


class ListenerTestCase(SynchronousTestCase):
    def contexts(self) -> ServerContexts:
        return ServerContexts([self_signed().key_pair(Path(self.mktemp()))])


class GreetingTests(ListenerTestCase):
    def test_client_is_greeted_with_what_works(self) -> None:
        peer = Listener().connect()
        self.assertRegex(peer.received(), rb"\A\* OK \[CAPABILITY IMAP4rev1 [^]]*\] Pluto ready")

    def test_answers_do_not_wait_for_acknowledgements(self) -> None:
        """Nagle's algorithm and delayed acknowledgements together cost 40 ms an answer."""
        self.assertTrue(Listener().connect().transport.no_delay)

    def test_unix_socket_has_no_such_option(self) -> None:
        peer = Listener().connect(address=UNIXAddress(None))
        self.assertFalse(peer.transport.no_delay)
        self.assertIn(b"* OK ", peer.received())

    def test_login_needs_tls_unless_the_listener_is_safe(self) -> None:
        self.assertIn(b"LOGINDISABLED", Listener(secure_without_tls=False).connect().received())
        self.assertNotIn(b"LOGINDISABLED", Listener().connect().received())

    def test_answers_of_one_chunk_are_one_write(self) -> None:
        """Each write is a system call, a TLS record and a packet."""
        peer = Listener().logged_in()
        peer.send(b"".join(b"%d NOOP\r\n" % number for number in range(100)))
        [answers] = peer.transport.writes
        self.assertEqual(answers.count(b"OK NOOP"), 100)

    def test_single_octets_are_a_command(self) -> None:
        peer = Listener().logged_in()
        for octet in b"a NOOP\r\n":
            peer.send(bytes([octet]))
        self.assertEqual(peer.received(), b"a OK NOOP completed\r\n")


class StartTlsTests(ListenerTestCase):
    def setUp(self) -> None:
        self.listener = Listener(self.contexts(), secure_without_tls=False)
        self.peer = self.listener.connect()
        self.peer.received()

    def test_tls_begins_behind_the_answer(self) -> None:
        """RFC 9051 §6.2.1: "A TLS negotiation begins immediately after the CRLF"."""
        self.peer.send(b"a STARTTLS\r\n")
        self.assertEqual(self.peer.received(), b"a OK Begin TLS negotiation now\r\n")
        self.assertIs(self.peer.transport.tls, self.listener.factory.contexts)
        self.assertIsNone(self.peer.transport.producer)

    def test_what_came_in_the_clear_behind_it_is_never_read(self) -> None:
        """CVE-2011-0411: an attacker in between adds commands that seem to come in TLS."""
        self.peer.send(b"a STARTTLS\r\nb LOGIN user secret\r\nc NOOP\r\n")
        self.peer.protocol.handshakeCompleted()
        self.peer.send(b"d NOOP\r\n")
        self.assertEqual(
            self.peer.received(), b"a OK Begin TLS negotiation now\r\nd OK NOOP completed\r\n"
        )

    def test_half_a_line_in_the_clear_is_forgotten(self) -> None:
        self.peer.send(b"a STARTTLS\r\nb LOGIN us")
        self.peer.protocol.handshakeCompleted()
        self.peer.send(b"d NOOP\r\n")
        self.assertIn(b"d OK NOOP completed", self.peer.received())

    def test_afterwards_the_connection_is_secure(self) -> None:
        self.peer.start_tls()
        self.peer.send(b"a CAPABILITY\r\n")
        answer = self.peer.received()
        self.assertNotIn(b"STARTTLS", answer)
        self.assertNotIn(b"LOGINDISABLED", answer)
        self.assertIs(self.peer.transport.streaming, True)

    def test_it_works_once(self) -> None:
        self.peer.start_tls()
        self.peer.send(b"a STARTTLS\r\n")
        self.assertIn(b"a BAD ", self.peer.received())

    def test_handshake_counts_to_the_time_for_the_login(self) -> None:
        self.peer.send(b"a STARTTLS\r\n")
        self.peer.received()
        self.listener.pass_time(LOGIN_SECONDS_MAX)
        self.assertTrue(self.peer.transport.aborted)
        self.assertEqual(self.peer.received(), b"")

    def test_without_certificates_there_is_none(self) -> None:
        peer = Listener().connect()
        self.assertNotIn(b"STARTTLS", peer.received())
        peer.send(b"a STARTTLS\r\n")
        self.assertIn(b"a BAD ", peer.received())


class ImplicitTlsTests(ListenerTestCase):
    def setUp(self) -> None:
        self.listener = Listener(self.contexts(), implicit_tls=True, secure_without_tls=False)

    def test_greeting_comes_after_the_handshake(self) -> None:
        """RFC 8314 §3.2: TLS "is immediately started upon connection"."""
        peer = self.listener.connect()
        self.assertEqual(peer.received(), b"")
        peer.protocol.handshakeCompleted()
        greeting = peer.received()
        self.assertIn(b"* OK ", greeting)
        self.assertNotIn(b"STARTTLS", greeting)
        self.assertNotIn(b"LOGINDISABLED", greeting)

    def test_handshake_is_bounded(self) -> None:
        peer = self.listener.connect()
        self.listener.pass_time(LOGIN_SECONDS_MAX)
        self.assertTrue(peer.transport.aborted)
        self.assertEqual(peer.received(), b"")

    def test_one_too_many_is_closed_without_a_handshake(self) -> None:
        """A handshake costs us more than them; and in the clear there is nothing to say."""
        self.listener.presence.limits = Limits(connections_max=1)
        self.listener.connect()
        second = self.listener.connect()
        self.assertEqual(second.received(), b"")
        self.assertTrue(second.transport.disconnecting)

    def test_client_that_closes_in_the_handshake_is_closed(self) -> None:
        peer = self.listener.connect()
        peer.close_side()
        self.assertTrue(peer.transport.disconnecting)

    def test_stopping_ends_a_handshake(self) -> None:
        peer = self.listener.connect()
        stopped = self.listener.factory.stop()
        self.assertTrue(peer.transport.aborted)
        peer.lose()
        self.successResultOf(stopped)


class LimitTests(ListenerTestCase):
    def test_one_too_many_is_told_why(self) -> None:
        listener = Listener(limits=Limits(address_connections_max=1))
        listener.connect()
        second = listener.connect()
        self.assertEqual(
            second.received(), b"* BYE [LIMIT] at most 1 connections from one address\r\n"
        )
        self.assertTrue(second.transport.disconnecting)
        self.assertIn(b"* OK ", listener.connect("192.0.2.2").received())
        self.assertEqual(listener.journal.counts.refused_connections, {Limit.ADDRESS: 1})

    def test_who_was_turned_away_is_not_counted(self) -> None:
        listener = Listener(limits=Limits(connections_max=1))
        first = listener.connect()
        second = listener.connect()
        second.protocol.dataReceived(b"a NOOP\r\n")
        second.close_side()
        second.lose()
        self.assertEqual(listener.presence.connections, 1)
        first.lose()
        self.assertEqual(listener.presence.connections, 0)


class FaultTests(ListenerTestCase):
    def test_fault_ends_one_connection(self) -> None:
        listener = Listener()
        victim, other = listener.logged_in(), listener.logged_in()
        with patch.object(Session, "receive", side_effect=ZeroDivisionError("secret")):
            victim.send(b"a NOOP\r\n")
        self.assertEqual(victim.received(), b"* BYE [SERVERBUG] internal error, it was logged\r\n")
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        victim.lose()
        self.assertEqual(listener.journal.counts.endings, {Ending.FAULT: 1})
        other.send(b"a NOOP\r\n")
        self.assertEqual(other.received(), b"a OK NOOP completed\r\n")

    def test_fault_while_news_are_told_ends_the_connection(self) -> None:
        """Behind the command, where no tagged line can tell of it any more."""
        listener = Listener()
        victim = listener.logged_in()
        with patch.object(Session, "tell", side_effect=ZeroDivisionError):
            victim.send(b"a SELECT INBOX\r\n")
        self.assertTrue(
            victim.received().endswith(b"* BYE [SERVERBUG] internal error, it was logged\r\n")
        )
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_tls_that_fails_is_told_in_the_log(self) -> None:
        listener = Listener(self.contexts(), implicit_tls=True)
        peer = listener.connect()
        peer.lose(SSL.Error([("SSL routines", "", "unsupported protocol")]))
        self.assertEqual(listener.journal.counts.endings, {Ending.TLS: 1})


class StopTests(ListenerTestCase):
    def setUp(self) -> None:
        self.listener = Listener()

    def test_without_connections_it_is_over_at_once(self) -> None:
        self.successResultOf(self.listener.factory.stop())
        self.assertEqual(self.listener.world.clock.getDelayedCalls(), [])

    def test_all_are_told(self) -> None:
        waiting, idling = self.listener.connect(), self.listener.logged_in()
        idling.send(b"a IDLE\r\n")
        waiting.received(), idling.received()
        stopped = self.listener.factory.stop()
        self.assertEqual(waiting.received(), SHUTDOWN_BYE)
        self.assertEqual(idling.received(), SHUTDOWN_BYE)
        self.assertNoResult(stopped)
        self.listener.lose_all([waiting, idling])
        self.successResultOf(stopped)
        self.assertEqual(self.listener.journal.counts.endings, {Ending.SHUTDOWN: 2})
        self.assertEqual(self.listener.world.clock.getDelayedCalls(), [])

    def test_nobody_new_comes_in(self) -> None:
        peer = self.listener.connect()
        self.listener.factory.stop()
        self.assertIsNone(self.listener.factory.buildProtocol(None))
        peer.lose()

    def test_behind_tls_the_connection_is_closed_at_once(self) -> None:
        """Twisted's own wraps the protocol that there is not, and fails with a traceback."""
        listener = Listener(self.contexts(), implicit_tls=True)
        listening = listener.factory.tls_factory()
        peer = listener.connect()
        listener.factory.stop()
        self.assertIsNone(listening.buildProtocol(None))
        peer.lose()

    def test_command_that_runs_is_answered_first(self) -> None:
        """A client that does not hear of its APPEND appends again."""
        account = self.listener.world.account
        peer = self.listener.logged_in()
        account.hold()
        peer.send(b"a STATUS INBOX (MESSAGES)\r\n")
        self.listener.factory.stop()
        self.assertEqual(peer.received(), b"")
        account.release()
        answer = peer.received()
        self.assertTrue(answer.endswith(b"a OK STATUS completed\r\n" + SHUTDOWN_BYE), answer)
        peer.lose()

    def test_it_does_not_wait_for_ever(self) -> None:
        self.listener.world.account.hold()
        peer = self.listener.logged_in()
        peer.send(b"a STATUS INBOX (MESSAGES)\r\n")
        stopped = self.listener.factory.stop()
        self.listener.pass_time(SHUTDOWN_SECONDS_MAX)
        self.assertTrue(peer.transport.aborted)
        self.assertNoResult(stopped)
        peer.lose()
        self.successResultOf(stopped)
