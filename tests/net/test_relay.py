# SPDX-License-Identifier: GPL-3.0-or-later
"""A client of a distributor, from its connection to the end of its replica, without sockets."""

from dataclasses import replace
from pathlib import Path

from twisted.internet.error import ConnectionDone
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from pluto_tw.auth.authenticator import Authenticator
from pluto_tw.auth.file import AuthFile
from pluto_tw.auth.hashing import HashingThreads
from pluto_tw.auth.routing import Router, Subnet, Target, UnixPlace
from pluto_tw.auth.slowdown import Slowdown
from pluto_tw.net.imap import SHUTDOWN_SECONDS_MAX, ImapFactory
from pluto_tw.net.journal import Ending
from pluto_tw.net.login import AccountRealm
from pluto_tw.net.tls import ServerContexts
from pluto_tw.net.upstream import Upstream
from tests.net.replicas import GREETING, Counting, Door, Replica
from tests.net.transport import Listener, Peer
from tests.support.certificate import self_signed
from tests.support.hop import SynchronousHop

LOGGED_IN = b"l OK [CAPABILITY IMAP4rev1 IDLE] logged in\r\n"
SHUTDOWN_BYE = b"* BYE [UNAVAILABLE] The server is shutting down\r\n"
LOST_BYE = b"* BYE [UNAVAILABLE] the server of your mail was lost, log in again\r\n"


class RelayTestCase(SynchronousTestCase):
    def setUp(self) -> None:
        directory = Path(self.mktemp())
        contexts = ServerContexts([self_signed().key_pair(directory)])
        self.listener = Listener(contexts, secure_without_tls=False)
        world = self.listener.world
        self.door = Door()
        upstream = Upstream(
            world.clock,
            Router([Subnet("a", (Target("eu", UnixPlace("/eu")),))]),
            lambda target: self.door,  # type: ignore[arg-type,return-value]
            Counting(),
        )
        users = directory / "users"
        users.write_text("user;secret\n")
        source = AuthFile(users, ";")
        source.load()
        threads = HashingThreads([SynchronousHop()], world.waiting)
        slowdown = Slowdown(world.waiting.seconds)
        authenticator = Authenticator(source, threads, slowdown, world.waiting, b"x" * 32)
        realm = AccountRealm(authenticator, upstream.open, self.listener.presence.network_of)
        self.listener.factory = ImapFactory(
            world.clock,
            replace(world.service, realm=realm),
            self.listener.presence,
            self.listener.journal,
            contexts,
        )
        self.peer = self.listener.connect()

    def log_in(self, behind: bytes = b"") -> tuple[Peer, Replica]:
        """A client that is joined to its replica, with nothing left to receive."""
        peer = self.peer
        peer.received()
        peer.start_tls()
        peer.send(b"l LOGIN user secret\r\n" + behind)
        self.listener.world.settle()
        replica = self.door.accept()
        replica.say(GREETING, LOGGED_IN)
        self.assertEqual(peer.received(), LOGGED_IN)
        replica.transport.clear()
        return peer, replica

    def ending(self) -> list[Ending]:
        return list(self.listener.journal.counts.endings)


class LoginTests(RelayTestCase):
    def test_before_tls_nobody_logs_in(self) -> None:
        self.assertIn(b"LOGINDISABLED", self.peer.received())
        self.peer.send(b"l LOGIN user secret\r\n")
        self.assertIn(b"l NO [PRIVACYREQUIRED]", self.peer.received())
        self.assertEqual(self.door.tries, 0)

    def test_after_starttls_the_answer_is_the_replicas(self) -> None:
        self.log_in()

    def test_a_wrong_password_reaches_no_replica(self) -> None:
        self.peer.start_tls()
        self.peer.send(b"l LOGIN user wrong\r\n")
        self.assertIn(b"l NO [AUTHENTICATIONFAILED]", self.peer.received())
        self.assertEqual(self.door.tries, 0)

    def test_what_was_sent_behind_the_login_follows(self) -> None:
        self.peer.received()
        self.peer.start_tls()
        self.peer.send(b"l LOGIN user secret\r\na SELECT INBOX\r\nb NOO")
        self.listener.world.settle()
        replica = self.door.accept()
        told = len(replica.said)
        replica.say(GREETING, LOGGED_IN)
        self.peer.send(b"P\r\n")
        self.assertEqual(replica.said[told:], b"a SELECT INBOX\r\nb NOOP\r\n")

    def test_failed_logins_are_slowed(self) -> None:
        """From the sixth of a user on, an answer comes later than it was asked for."""
        self.peer.received()
        self.peer.start_tls()
        for _ in range(6):
            self.peer.send(b"l LOGIN user wrong\r\n")
            self.listener.pass_time(5)
            self.assertIn(b"l NO [AUTHENTICATIONFAILED]", self.peer.received())
        self.peer.send(b"l LOGIN user wrong\r\nm LOGIN user wrong\r\n")
        self.assertNotIn(b"m NO", self.peer.received())


class JoinedTests(RelayTestCase):
    def test_octets_pass_both_ways(self) -> None:
        peer, replica = self.log_in()
        peer.send(b"a NOOP\r\n")
        self.assertEqual(replica.said, b"a NOOP\r\n")
        replica.say(b"a OK NOOP completed\r\n")
        self.assertEqual(peer.received(), b"a OK NOOP completed\r\n")

    def test_a_client_that_does_not_read_stops_the_replica(self) -> None:
        peer, replica = self.log_in()
        peer.stall()
        self.assertEqual(replica.transport.producerState, "paused")
        peer.take()
        self.assertEqual(replica.transport.producerState, "producing")

    def test_silence_is_the_replicas_matter(self) -> None:
        peer, _ = self.log_in()
        self.listener.pass_time(100_000)
        self.assertEqual(peer.received(), b"")
        self.assertEqual(self.listener.world.clock.getDelayedCalls(), [])

    def test_a_client_that_closes_its_side_is_still_answered(self) -> None:
        """Where the link can say so, as a UNIX socket can; TLS has no half of a connection."""
        peer, replica = self.log_in()
        peer.send(b"a NOOP\r\n")
        peer.close_side()
        self.assertTrue(replica.transport.half_closed)
        self.assertFalse(replica.transport.disconnecting)
        replica.say(b"a OK NOOP completed\r\n")
        replica.lose()
        self.assertTrue(peer.received().startswith(b"a OK NOOP completed\r\n"))

    def test_a_client_that_goes_takes_the_link_along(self) -> None:
        peer, replica = self.log_in()
        peer.send(b"a LOGOUT\r\n")
        peer.lose()
        self.assertTrue(replica.transport.disconnecting)
        replica.protocol.connectionLost(Failure(ConnectionDone()))
        self.assertEqual(self.listener.world.clock.getDelayedCalls(), [])


class LostTests(RelayTestCase):
    """RFC 9051 §7.1.5: BYE "announces that the server is about to close the connection"."""

    def test_between_responses_the_client_is_told(self) -> None:
        peer, replica = self.log_in()
        replica.say(b"* 1 EXISTS\r\n")
        replica.lose()
        self.assertEqual(peer.received(), b"* 1 EXISTS\r\n" + LOST_BYE)
        peer.lose()
        self.assertEqual(self.ending(), [Ending.REPLICA_LOST])

    def test_within_a_literal_nothing_is_put(self) -> None:
        peer, replica = self.log_in()
        torn = b"* 1 FETCH (BODY[] {100}\r\nSubject: x\r\n"
        replica.say(torn)
        replica.lose()
        self.assertEqual(peer.received(), torn)
        self.assertTrue(peer.transport.disconnecting)

    def test_the_replicas_own_bye_is_enough(self) -> None:
        peer, replica = self.log_in()
        replica.say(b"* BYE [UNAVAILABLE] mailbox changed, log in again\r\n")
        replica.lose()
        self.assertEqual(peer.received().count(b"* BYE"), 1)
        peer.lose()
        self.assertEqual(self.ending(), [Ending.REPLICA])


class StopTests(RelayTestCase):
    def test_a_client_that_waits_for_nothing_is_told_at_once(self) -> None:
        peer, _ = self.log_in()
        self.listener.factory.stop()
        self.assertEqual(peer.received(), SHUTDOWN_BYE)

    def test_an_answer_that_is_on_its_way_comes_first(self) -> None:
        peer, replica = self.log_in()
        peer.send(b"a FETCH 1 BODY[]\r\n")
        self.listener.factory.stop()
        self.assertEqual(peer.received(), b"")
        replica.say(b"* 1 FETCH (BODY[] {4}\r\nab\r\n")
        self.assertEqual(peer.received(), b"* 1 FETCH (BODY[] {4}\r\nab\r\n")
        replica.say(b")\r\na OK FETCH completed\r\n")
        self.assertEqual(peer.received(), b")\r\na OK FETCH completed\r\n" + SHUTDOWN_BYE)

    def test_it_does_not_wait_for_ever(self) -> None:
        peer, replica = self.log_in()
        replica.say(b"* 1 FETCH (BODY[] {4}\r\nab")
        stopped = self.listener.factory.stop()
        peer.received()
        self.listener.pass_time(SHUTDOWN_SECONDS_MAX)
        self.assertTrue(peer.transport.aborted)
        self.assertEqual(peer.received(), b"", "nothing is put into a literal")
        peer.lose()
        self.successResultOf(stopped)
