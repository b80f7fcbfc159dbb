# SPDX-License-Identifier: GPL-3.0-or-later
"""Clients that say nothing, read nothing, send too much, or close one side: `pluto_tw.net.imap`."""

from unittest.mock import patch

from twisted.trial.unittest import SynchronousTestCase

from pluto_tw.net.imap import (
    IDLE_SECONDS_MAX,
    LOGIN_OCTETS_MAX,
    LOGIN_SECONDS_MAX,
)
from pluto_tw.net.journal import Ending
from pluto_tw.net.wire import (
    CLOSING_SECONDS_MAX,
    PIPELINED_OCTETS_MAX,
    WRITE_STALLED_SECONDS_MAX,
)
from tests.net.transport import Listener, Peer

IDLE_BYE = b"* BYE Autologout; idle for too long\r\n"
LOGIN_BYE = b"* BYE Autologout; no login in time\r\n"


class SilenceTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.listener = Listener()

    def test_no_login_in_time(self) -> None:
        peer = self.listener.connect()
        peer.received()
        self.listener.pass_time(LOGIN_SECONDS_MAX - 1)
        self.assertEqual(peer.received(), b"")
        self.listener.pass_time(2)
        self.assertEqual(peer.received(), LOGIN_BYE)
        self.assertTrue(peer.transport.half_closed)

    def test_busy_client_must_log_in_too(self) -> None:
        """Not reset by what it sends: a connection that says NOOP for ever takes a place."""
        peer = self.listener.connect()
        for _ in range(10):
            self.listener.world.clock.advance(LOGIN_SECONDS_MAX / 10)
            if not peer.transport.half_closed:
                peer.send(b"a NOOP\r\n")
        self.assertTrue(peer.received().endswith(LOGIN_BYE))

    def test_after_login_half_an_hour_of_silence_is_allowed(self) -> None:
        """RFC 9051 §5.4: "the duration of that timer MUST be at least 30 minutes"."""
        peer = self.listener.logged_in()
        self.listener.pass_time(30 * 60 + 59)
        self.assertEqual(peer.received(), b"")
        self.assertGreater(IDLE_SECONDS_MAX, 30 * 60)

    def test_too_long_a_silence_ends_in_bye(self) -> None:
        peer = self.listener.logged_in()
        self.listener.pass_time(IDLE_SECONDS_MAX + 1)
        self.assertEqual(peer.received(), IDLE_BYE)

    def test_any_command_is_a_sign_of_life(self) -> None:
        """RFC 9051 §5.4: "receipt of any command from the client ... resets the timer"."""
        peer = self.listener.logged_in()
        for _ in range(5):
            self.listener.pass_time(IDLE_SECONDS_MAX - 60)
            peer.send(b"a NOOP\r\n")
            self.assertEqual(peer.received(), b"a OK NOOP completed\r\n")

    def test_idle_is_silence(self) -> None:
        """RFC 9051 §6.3.13: clients "re-issue it at least every 29 minutes"."""
        peer = self.listener.logged_in()
        peer.send(b"a IDLE\r\n")
        peer.received()
        self.listener.pass_time(IDLE_SECONDS_MAX + 1)
        self.assertEqual(peer.received(), IDLE_BYE)

    def test_literal_that_stops_coming_is_silence(self) -> None:
        peer = self.listener.logged_in()
        peer.send(b"a APPEND INBOX {1000+}\r\nSubject: ")
        self.listener.pass_time(IDLE_SECONDS_MAX + 1)
        self.assertEqual(peer.received(), IDLE_BYE)

    def test_command_that_takes_long_is_not_silence(self) -> None:
        """The client waits for us, not we for it."""
        account = self.listener.world.account
        peer = self.listener.logged_in()
        account.hold()
        peer.send(b"a STATUS INBOX (MESSAGES)\r\n")
        self.listener.pass_time(3 * IDLE_SECONDS_MAX)
        self.assertEqual(peer.received(), b"")
        account.release()
        self.assertIn(b"a OK STATUS completed\r\n", peer.received())

    def test_one_timer_a_connection(self) -> None:
        peer = self.listener.logged_in()
        for _ in range(10):
            peer.send(b"a NOOP\r\n")
            peer.stall()
            peer.take()
        self.assertEqual(len(self.listener.world.clock.getDelayedCalls()), 1)

    def test_no_timer_without_a_connection(self) -> None:
        self.listener.lose_all([self.listener.connect(), self.listener.logged_in()])
        self.assertEqual(self.listener.world.clock.getDelayedCalls(), [])


class SlowReaderTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.listener = Listener()

    def test_client_that_never_reads_is_cut_off(self) -> None:
        peer = self.listener.logged_in()
        peer.stall()
        self.listener.pass_time(WRITE_STALLED_SECONDS_MAX - 1)
        self.assertFalse(peer.transport.aborted)
        self.listener.pass_time(2)
        self.assertTrue(peer.transport.aborted)
        self.assert_ending(peer, Ending.NOT_READING)

    def test_client_that_reads_in_time_stays(self) -> None:
        peer = self.listener.logged_in()
        for _ in range(5):
            peer.stall()
            self.listener.pass_time(WRITE_STALLED_SECONDS_MAX - 1)
            peer.take()
        self.assertFalse(peer.transport.aborted)

    def test_client_that_does_not_close_is_cut_off(self) -> None:
        peer = self.listener.logged_in()
        peer.send(b"a LOGOUT\r\n")
        self.listener.pass_time(CLOSING_SECONDS_MAX - 1)
        self.assertFalse(peer.transport.aborted)
        self.listener.pass_time(2)
        self.assertTrue(peer.transport.aborted)
        self.assert_ending(peer, Ending.LOGOUT)

    def assert_ending(self, peer: Peer, ending: Ending) -> None:
        peer.lose()
        self.assertEqual(self.listener.journal.counts.endings, {ending: 1})


class FloodTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.listener = Listener()

    def test_commands_behind_a_slow_one_wait_unread(self) -> None:
        account = self.listener.world.account
        peer = self.listener.logged_in()
        account.hold()
        peer.send(b"a STATUS INBOX (MESSAGES)\r\n")
        chunk = b"b NOOP\r\n" * 4096
        sent = 0
        while peer.reading:
            peer.send(chunk)
            sent += len(chunk)
        self.assertLessEqual(sent, PIPELINED_OCTETS_MAX + len(chunk))
        account.release()
        self.assertTrue(peer.reading)
        self.assertEqual(peer.received().count(b"b OK NOOP"), sent // 8)

    def test_upload_that_is_faster_than_the_account_waits(self) -> None:
        account = self.listener.world.account
        peer = self.listener.logged_in()
        peer.send(b"a APPEND INBOX {1000000+}\r\n")
        account.hold()
        chunk = b"x" * 50_000
        sent = 0
        while peer.reading:
            peer.send(chunk)
            sent += len(chunk)
        self.assertLessEqual(sent, PIPELINED_OCTETS_MAX + 2 * len(chunk))
        account.release()
        while sent < 1_000_000:
            peer.send(chunk)
            sent += len(chunk)
        peer.send(b"\r\n")
        self.assertIn(b"a OK [APPENDUID ", peer.received())

    def test_too_much_before_a_login_is_the_end(self) -> None:
        """However it is cut, and whatever it says; afterwards there is no such bound."""
        peer = self.listener.connect()
        peer.received()
        chunk = b"a NOOP\r\n" * 1000
        for _ in range(LOGIN_OCTETS_MAX // len(chunk)):
            peer.send(chunk)
            self.assertNotIn(b"BYE", peer.received())
        peer.send(chunk)
        self.assertIn(b"* BYE [CLIENTBUG] too much before a login\r\n", peer.received())
        peer.lose()
        self.assertEqual(self.listener.journal.counts.endings, {Ending.TOO_MUCH: 1})
        peer = self.listener.logged_in()
        for _ in range(LOGIN_OCTETS_MAX // len(chunk) + 1):
            peer.send(chunk)
            self.assertNotIn(b"BYE", peer.received())

    def test_long_line_that_is_not_complete_is_read_on(self) -> None:
        """Longer than the bound for what waits, but nothing waits: more must come."""
        peer = self.listener.logged_in()
        peer.send(b"a SUBSCRIBE " + b"x" * (PIPELINED_OCTETS_MAX + 1000))
        self.assertTrue(peer.reading)

    def test_flood_of_cheap_commands_gives_others_their_turn(self) -> None:
        """Reading goes on after a pause, and only when the answers were taken."""
        clock = self.listener.world.clock
        peer = self.listener.logged_in()
        seconds = clock.seconds

        def ticking() -> float:
            clock.rightNow += 0.001
            return seconds()

        with patch.object(clock, "seconds", ticking):
            peer.send(b"a NOOP\r\n" * 1000)
            [answers] = peer.transport.writes
        self.assertLess(answers.count(b"OK"), 10)
        self.assertEqual(peer.received().count(b"OK"), 1000)

    def test_client_that_does_not_read_gets_no_further_answers(self) -> None:
        """64 KiB of `LIST "" *` would be 100 MB of answers for someone with many mailboxes."""
        clock = self.listener.world.clock
        peer = self.listener.logged_in()
        seconds = clock.seconds

        def ticking() -> float:
            clock.rightNow += 0.001
            return seconds()

        with patch.object(clock, "seconds", ticking):
            peer.stall()
            peer.protocol.dataReceived(b"a NOOP\r\n" * 1000)
        before = peer.received().count(b"OK")
        self.assertLess(before, 10)
        peer.take()
        self.assertEqual(before + peer.received().count(b"OK"), 1000)


class HalfClosedTests(SynchronousTestCase):
    """`printf 'a NOOP\\r\\nb LOGOUT\\r\\n' | nc` closes its side and waits for the answers."""

    def setUp(self) -> None:
        self.listener = Listener()
        self.peer = self.listener.logged_in()

    def test_what_was_sent_is_answered(self) -> None:
        account = self.listener.world.account
        account.hold()
        self.peer.send(b"a STATUS INBOX (MESSAGES)\r\nb NOOP\r\n")
        self.peer.close_side()
        self.assertFalse(self.peer.transport.disconnecting)
        account.release()
        self.assertIn(b"b OK NOOP completed\r\n", self.peer.received())
        self.assertTrue(self.peer.transport.disconnecting)

    def test_with_nothing_to_answer_it_is_the_end(self) -> None:
        self.peer.close_side()
        self.assertTrue(self.peer.transport.disconnecting)
        self.peer.lose()
        self.assertEqual(self.listener.journal.counts.endings, {Ending.CLIENT: 1})

    def test_idle_is_the_end(self) -> None:
        self.peer.send(b"a IDLE\r\n")
        self.peer.close_side()
        self.assertTrue(self.peer.transport.disconnecting)

    def test_half_a_literal_is_the_end(self) -> None:
        self.peer.send(b"a APPEND INBOX {100+}\r\nSubject: ")
        self.peer.close_side()
        self.assertTrue(self.peer.transport.disconnecting)

    def test_nothing_is_read_any_more(self) -> None:
        """The socket would say at once that it has ended, again and again."""
        account = self.listener.world.account
        account.hold()
        self.peer.send(b"a STATUS INBOX (MESSAGES)\r\n")
        self.peer.close_side()
        self.peer.transport.producerState = "ended"
        self.peer.stall()
        self.peer.take()
        self.assertEqual(self.peer.transport.producerState, "ended")
