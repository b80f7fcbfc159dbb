# SPDX-License-Identifier: GPL-3.0-or-later
"""Where peers dial in: who is refused before anything is sent, and what a peer may have at work."""

from pathlib import Path
from typing import Any

from cryptography.x509.oid import ExtendedKeyUsageOID
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from pluto_tw.mail.refusals import REFUSAL_SECONDS
from pluto_tw.node.internal_tls import Internal, InternalContexts
from pluto_tw.replication.channel import ASKS_MAX, ChannelLost
from pluto_tw.replication.server import SILENCE_SECONDS_MAX, STOP_SECONDS_MAX, STRANGERS_MAX
from tests.replication.wires import Capture, Certificateless, Pair
from tests.support.certificate import self_signed
from tests.support.nodes import Authority, authority


def contexts(**options: Any) -> InternalContexts:
    """The TLS of a node with a certificate of its own making."""
    return InternalContexts(authority().internal(authority().pair(**options)))


class RefusalTests(SynchronousTestCase):
    """
    "A peer with a certificate of another CA, of a wrong name or role, expired, or none at all, is
    refused before anything is published, with one clear log line."
    """

    def refused(self, pair: Pair) -> str:
        """Why the listener refuses *pair*'s dialler."""
        with Capture() as log:
            pair.dialler.start()
            pair.wire.settle()
        self.assertEqual(sorted(log.names), ["peer-refused", "peer-unreachable"])
        self.assertEqual(pair.factory.peers, ())
        self.assertEqual((pair.events, pair.replica.events), ([], []))
        line = next(event for event in log if event["event"] == "peer-refused")
        self.assertEqual((line["peer"], line["address"]), ("a stranger", "192.0.2.1:40000"))
        reason = line["reason"]
        assert isinstance(reason, str)
        return reason

    def test_another_name(self) -> None:
        pair = Pair(dialling=contexts(name="eu-worker-2"))
        reason = self.refused(pair)
        self.assertIn("a certificate of pluto:worker:eu-worker-2", reason)
        self.assertIn("expected is worker or storage eu-worker-1, storage", reason)
        self.assertEqual(pair.dialler.trouble, "the other side closed the connection")

    def test_another_role(self) -> None:
        pair = Pair(dialling=contexts(role="distributor", name="eu-worker-1"))
        self.assertIn("pluto:distributor:eu-worker-1", self.refused(pair))

    def test_a_name_for_hosts_alone(self) -> None:
        pair = Pair(dialling=contexts(uris=[]))
        self.assertIn("CN=eu-worker-1 without a name pluto:", self.refused(pair))

    def test_two_names(self) -> None:
        """A node is one thing."""
        uris = ["pluto:worker:eu-worker-1", "pluto:storage:storage"]
        reason = self.refused(Pair(dialling=contexts(uris=uris)))
        self.assertIn("pluto:worker:eu-worker-1, pluto:storage:storage", reason)

    def test_another_authority(self) -> None:
        stranger = Internal(Authority().pair(), (authority().certificate,))
        pair = Pair(dialling=InternalContexts(stranger))
        reason = self.refused(pair)
        self.assertIn("a certificate of pluto:worker:eu-worker-1, which comes from ano", reason)
        self.assertIn("RootCertLoc", reason)
        self.assertIn("it refused our certificate", pair.dialler.trouble)

    def test_one_that_signed_itself(self) -> None:
        own = self_signed().key_pair(Path(self.mktemp()))
        pair = Pair(dialling=InternalContexts(Internal(own, (authority().certificate,))))
        self.assertIn("signed by itself", self.refused(pair))

    def test_expired(self) -> None:
        pair = Pair(dialling=contexts(days=-2))
        self.assertIn("which has expired: renew it", self.refused(pair))
        self.assertIn("it refused our certificate", pair.dialler.trouble)

    def test_not_valid_yet(self) -> None:
        self.assertIn(
            "not valid yet: compare the clocks", self.refused(Pair(dialling=contexts(days=2)))
        )

    def test_not_for_clients(self) -> None:
        pair = Pair(dialling=contexts(uses=[ExtendedKeyUsageOID.SERVER_AUTH]))
        self.assertIn("not for this use", self.refused(pair))

    def test_none(self) -> None:
        pair = Pair(dialling=Certificateless())
        self.assertIn("it showed no certificate", self.refused(pair))

    def test_no_tls(self) -> None:
        pair = Pair()
        transport = pair.wire.connect_plainly()
        with Capture() as log:
            transport.bufferReceived(b"EHLO mail\r\n" * 100)
            pair.wire.settle()
        self.assertEqual(log.names, ["peer-refused"])
        self.assertIn("is that a node of this cluster?", log[0]["reason"])

    def test_a_probe_is_not_worth_a_line(self) -> None:
        pair = Pair()
        transport = pair.wire.connect_plainly()
        with Capture() as log:
            transport.loseConnection()
            pair.wire.settle()
        self.assertEqual(log.names, [])

    def test_one_line_a_minute(self) -> None:
        pair = Pair(dialling=contexts(name="eu-worker-2"))
        self.refused(pair)
        with Capture() as log:
            pair.advance(REFUSAL_SECONDS - 1)
        self.assertEqual(log.names, [])
        with Capture() as log:
            pair.advance(10)
        self.assertEqual(log.names, ["peer-refused"])
        self.assertGreater(log[0]["repeated"], 10)

    def test_a_listener_of_another_name(self) -> None:
        """The dialler is not told by addresses either: whom it finds there must be its peer."""
        pair = Pair(listening=contexts(name="us-worker-2"))
        with Capture() as log:
            pair.dialler.start()
            pair.wire.settle()
        self.assertEqual(log.names, ["peer-unreachable"])
        self.assertEqual(log[0]["reason"], pair.dialler.trouble)
        self.assertIn("a certificate of pluto:worker:us-worker-2", pair.dialler.trouble)
        self.assertIn("expected is worker or storage us-worker-1", pair.dialler.trouble)
        self.assertEqual(pair.events, [])

    def test_a_listener_whose_certificate_has_expired(self) -> None:
        pair = Pair(listening=contexts(name="us-worker-1", days=-2))
        with Capture() as log:
            pair.dialler.start()
            pair.wire.settle()
        self.assertEqual(sorted(log.names), ["peer-refused", "peer-unreachable"])
        self.assertIn("which has expired", pair.dialler.trouble)

    def test_contexts_are_replaced_without_closing_connections(self) -> None:
        pair = Pair()
        pair.connect()
        assert isinstance(pair.listening, InternalContexts)
        pair.listening.replace(authority().internal(authority().pair(name="us-worker-9")))
        self.assertEqual(self.successResultOf(pair.ask("k", b"ab")), b"ba")
        pair.channels[-1].abort("again")
        pair.advance(1)
        self.assertIn("us-worker-9", pair.dialler.trouble)


class ConnectionTests(SynchronousTestCase):
    def test_the_newest_connection_of_a_peer_wins(self) -> None:
        pair = Pair()
        pair.connect()
        second = pair.make_dialler(authority().contexts())
        second.start()
        pair.wire.settle()
        self.assertEqual(pair.factory.peers, ("eu-worker-1",))
        self.assertEqual(pair.replica.events, [("lost", "eu-worker-1")])
        lost = ("lost", "the other side closed the connection")
        connected = ("connected", "us-worker-1")
        self.assertEqual(pair.events, [connected, connected, lost])
        self.assertEqual(self.successResultOf(pair.ask("k", b"ab")), b"ba")

    def test_two_peers(self) -> None:
        pair = Pair()
        pair.connect()
        pair.make_dialler(contexts(role="storage", name="storage")).start()
        pair.wire.settle()
        self.assertEqual(pair.factory.peers, ("eu-worker-1", "storage"))
        for channel in pair.channels:
            answer = Deferred.fromCoroutine(channel.ask("k", b""))
            pair.wire.settle()
            self.successResultOf(answer)
        self.assertEqual([event[1] for event in pair.replica.events], ["eu-worker-1", "storage"])

    def test_who_does_not_say_who_he_is_has_ten_seconds(self) -> None:
        pair = Pair()
        transport = pair.wire.connect_plainly()
        with Capture() as log:
            pair.clock.advance(9.9)
            self.assertFalse(transport.disconnecting)
            pair.clock.advance(0.2)
            self.assertTrue(transport.disconnecting)
            pair.wire.settle()
        self.assertEqual(log.names, ["peer-refused"])
        self.assertEqual(pair.clock.getDelayedCalls(), [])

    def test_strangers_push_the_oldest_of_them_out(self) -> None:
        pair = Pair()
        channel = pair.connect()
        strangers = [pair.wire.connect_plainly() for _ in range(STRANGERS_MAX + 1)]
        gone = [transport.disconnecting for transport in strangers]
        self.assertEqual(gone, [True] + [False] * STRANGERS_MAX)
        answer = Deferred.fromCoroutine(channel.ask("k", b"ab"))
        pair.wire.settle()
        self.assertEqual(self.successResultOf(answer), b"ba")

    def test_a_peer_that_is_silent_is_gone(self) -> None:
        pair = Pair()
        pair.connect()
        pair.clock.advance(SILENCE_SECONDS_MAX - 1)
        pair.ask()
        pair.clock.advance(SILENCE_SECONDS_MAX - 1)
        self.assertEqual(pair.factory.peers, ("eu-worker-1",))
        with Capture() as log:
            pair.clock.advance(1)
            pair.wire.settle()
        self.assertEqual(sorted(log.names), ["peer-lost", "peer-refused"])
        self.assertEqual(pair.factory.peers, ())

    def test_a_peer_that_does_not_read_is_not_read(self) -> None:
        pair = Pair()
        pair.connect()
        transport = pair.wire.pumps[0].serverIO
        calls: list[str] = []
        transport.pauseProducing = lambda: calls.append("pause")
        transport.resumeProducing = lambda: calls.append("resume")
        transport.producer.pauseProducing()
        transport.producer.resumeProducing()
        self.assertEqual(calls, ["pause", "resume"])

    def test_what_is_at_work_for_former_connections_counts(self) -> None:
        """Else a peer that comes again and again could leave any number of answers waiting."""
        pair = Pair()
        pair.connect()
        answers: list[Deferred[bytes]] = []

        def reply(kind: str, question: bytes) -> Deferred[bytes]:
            answers.append(Deferred())
            return answers[-1]

        pair.replica.reply = reply
        for _ in range(ASKS_MAX):
            pair.ask().addErrback(lambda failure: failure.trap(ChannelLost))
        pair.channels[-1].abort("again")
        with Capture() as log:
            pair.advance(1)
            self.failureResultOf(pair.ask(), ChannelLost)
            pair.wire.settle()
        [refused] = [event for event in log if event["event"] == "peer-refused"]
        self.assertIn("more than 32 questions at once", refused["reason"])
        answers[0].callback(b"")
        pair.advance(1)
        self.assertNoResult(pair.ask())
        for answer in answers[1:]:
            answer.callback(b"")
        self.assertEqual(pair.factory.at_work, {})


class DismissalTests(SynchronousTestCase):
    def test_peer_that_is_not_expected_any_more_is_put_out(self) -> None:
        """A reload that leaves it out: its connection ends, and it is refused from then on."""
        pair = Pair()
        pair.connect()
        pair.expected.discard("eu-worker-1")
        pair.factory.dismiss("eu-worker-1")
        pair.wire.settle()
        self.assertEqual(pair.factory.peers, ())
        self.assertEqual([what for what, _ in pair.events], ["connected", "lost"])
        pair.advance(10)
        self.assertEqual(len(pair.events), 2)

    def test_one_that_is_not_here(self) -> None:
        Pair().factory.dismiss("eu-worker-1")


class StopTests(SynchronousTestCase):
    def test_ends_all_connections_and_takes_no_more(self) -> None:
        pair = Pair()
        pair.connect()
        pair.wire.connect_plainly()
        stopped = pair.factory.stop()
        self.assertNoResult(stopped)
        pair.wire.settle()
        self.successResultOf(stopped)
        self.assertTrue(pair.wire.connect_plainly().disconnecting)
        self.assertEqual(pair.replica.events, [("lost", "eu-worker-1")])

    def test_waits_for_what_is_at_work(self) -> None:
        pair = Pair()
        pair.connect()
        answer: Deferred[bytes] = Deferred()
        pair.replica.reply = lambda kind, question: answer
        asked = pair.ask()
        stopped = pair.factory.stop()
        pair.wire.settle()
        self.failureResultOf(asked, ChannelLost)
        self.assertNoResult(stopped)
        answer.callback(b"")
        self.successResultOf(stopped)

    def test_does_not_wait_for_ever(self) -> None:
        pair = Pair()
        pair.connect()
        pair.replica.reply = lambda kind, question: Deferred()
        pair.ask().addErrback(lambda failure: failure.trap(ChannelLost))
        stopped = pair.factory.stop()
        pair.wire.settle()
        pair.clock.advance(STOP_SECONDS_MAX)
        self.successResultOf(stopped)

    def test_with_nobody_there(self) -> None:
        pair = Pair()
        self.successResultOf(pair.factory.stop())
        self.assertEqual(pair.clock.getDelayedCalls(), [])
