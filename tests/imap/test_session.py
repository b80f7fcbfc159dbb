# SPDX-License-Identifier: GPL-3.0-or-later
from twisted.trial.unittest import SynchronousTestCase

from pluto_tw.imap.ports import Outcome
from pluto_tw.imap.session import BADS_FREE, BADS_MAX
from pluto_tw.mail.names import MailboxName
from tests.support.connection import World


class PipeliningTests(SynchronousTestCase):
    """RFC 9051 §5.5: a client may send commands without waiting for the answers."""

    def setUp(self) -> None:
        self.world = World()
        self.client = self.world.logged_in()

    def test_answers_to_one_piece_come_in_one_piece(self) -> None:
        """One write for each piece of input, whatever the number of commands in it."""
        self.client.send(b"a NOOP\r\nb NOOP\r\nc CAPABILITY\r\n")
        self.assertEqual(len(self.client.wire.written), 1)

    def test_a_command_waits_for_the_one_before(self) -> None:
        """Answers come in the order of the commands, also when the first takes its time."""
        self.world.account.hold()
        self.client.send(b"a SELECT INBOX\r\nb NOOP\r\n")
        self.assertEqual(self.client.received(), b"")
        self.assertGreater(self.client.wire.waiting, 0)
        self.world.account.release()
        received = self.client.received()
        self.assertIn(b"a OK ", received)
        self.assertTrue(received.endswith(b"b OK NOOP completed\r\n"))
        self.assertEqual(self.client.wire.waiting, 0)

    def test_the_answers_to_what_waited_come_in_one_piece(self) -> None:
        self.world.account.hold()
        self.client.send(b"a SELECT INBOX\r\nb NOOP\r\nc NOOP\r\n")
        self.world.account.release()
        self.assertEqual(len(self.client.wire.written), 1)

    def test_octet_by_octet(self) -> None:
        """Commands are the same however they arrive."""
        for octet in b"a APPEND INBOX {6+}\r\nA: b\r\n\r\nb NOOP\r\n":
            self.client.send(bytes([octet]))
        received = self.client.received()
        self.assertIn(b"a OK [APPENDUID", received)
        self.assertIn(b"b OK NOOP", received)

    def test_a_long_burst_does_not_recurse(self) -> None:
        """Some ten thousand commands in one piece are answered one after the other."""
        self.client.send(b"a NOOP\r\n" * 10_000)
        self.assertEqual(self.client.received().count(b"a OK"), 10_000)

    def test_done_that_came_with_idle(self) -> None:
        """A client may send DONE at once."""
        self.client.send(b"a IDLE\r\nDONE\r\nb NOOP\r\n")
        self.assertEqual(
            self.client.received(), b"+ idling\r\na OK IDLE completed\r\nb OK NOOP completed\r\n"
        )


class DisconnectionTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.world = World()

    def test_the_account_is_closed_once(self) -> None:
        client = self.world.logged_in()
        client.vanish()
        client.session.disconnected()
        self.assertEqual(self.world.account.closed, 1)

    def test_a_login_that_succeeds_too_late_is_undone(self) -> None:
        """Nobody is left to use the account."""
        world = self.world
        client = world.connect()
        world.realm.hold()
        client.send(b"a LOGIN user secret\r\n")
        client.vanish()
        world.realm.release()
        world.settle()
        self.assertEqual(world.account.closed, 1)
        self.assertEqual(world.observer.faults, [])

    def test_nothing_is_written_after_the_end(self) -> None:
        client = self.world.logged_in()
        client.received()
        self.world.account.hold()
        client.send(b"a SELECT INBOX\r\n")
        client.session.end("Server is shutting down")
        self.assertEqual(client.received(), b"* BYE Server is shutting down\r\n")
        self.world.account.release()
        client.send(b"b NOOP\r\n")
        self.assertEqual(client.received(), b"")
        self.assertTrue(client.wire.closed)

    def test_an_exchange_is_cancelled(self) -> None:
        client = self.world.connect()
        client.send(b"a AUTHENTICATE PLAIN\r\n")
        client.vanish()
        [exchange] = self.world.realm.exchanges
        self.assertTrue(exchange.cancelled)


class FaultTests(SynchronousTestCase):
    """What is neither Bad nor No is our bug: logged, told as such, and the session lives on."""

    def test_a_bug_in_a_command(self) -> None:
        world = World()
        client = world.logged_in()
        world.account.fail_next(RuntimeError("the secret is 42"))
        answer = client.ask(b"SELECT INBOX")
        self.assertEqual(answer, b"x NO [SERVERBUG] internal error, it was logged\r\n")
        self.assertIn("the secret is 42", world.observer.faults[0])
        self.assertEqual(client.ask(b"NOOP"), b"x OK NOOP completed\r\n")

    def test_a_bug_while_a_literal_is_considered(self) -> None:
        """The literal is refused, so the client stays in step."""
        world = World()
        client = world.logged_in()
        world.account.fail_next(RuntimeError("bug"))
        self.assertIn(b"x NO [SERVERBUG]", client.ask(b"APPEND INBOX {5}"))
        self.assertEqual(client.ask(b"NOOP"), b"x OK NOOP completed\r\n")


class LiteralTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.world = World()
        self.client = self.world.logged_in()

    def test_the_continuation_waits_for_the_account(self) -> None:
        """A literal is offered before "+" is sent."""
        self.world.account.hold()
        self.client.send(b"a APPEND INBOX {6}\r\n")
        self.assertEqual(self.client.received(), b"")
        self.world.account.release()
        self.assertEqual(self.client.received(), b"+ OK\r\n")

    def test_no_more_is_read_than_the_upload_takes(self) -> None:
        """What comes while an upload writes waits, and is counted."""
        self.client.send(b"a APPEND INBOX {1000}\r\n")
        self.world.account.hold()
        self.client.send(b"x" * 400)
        self.client.send(b"x" * 600 + b"\r\n")
        self.assertEqual(self.client.wire.waiting, 602)
        self.world.account.release()
        self.assertIn(b"a OK [APPENDUID", self.client.received())

    def test_too_many_literals(self) -> None:
        """Literals of one command are bounded in number too."""
        self.client.ask(b"SELECT INBOX")
        self.client.send(b"a SEARCH TEXT " + b"{0+}\r\n TEXT " * 1100 + b"x\r\n")
        self.assertIn(b"a BAD [LIMIT]", self.client.received())
        self.assertEqual(self.client.ask(b"NOOP"), b"x OK NOOP completed\r\n")

    def test_a_line_that_is_too_long(self) -> None:
        """BAD with the command's tag, and the next command is understood."""
        self.client.send(b"a NOOP " + b"x" * 200_000 + b"\r\nb NOOP\r\n")
        self.assertEqual(
            self.client.received(), b"a BAD the command is too long\r\nb OK NOOP completed\r\n"
        )

    def test_a_literal_beyond_all_bounds_ends_the_connection(self) -> None:
        """Dropping it would take longer than to connect again. RFC 7888 §4."""
        self.client.send(b"a APPEND Missing {100000000+}\r\n")
        self.assertTrue(self.client.received().endswith(b"* BYE [CLIENTBUG] literal too large\r\n"))
        self.assertTrue(self.client.wire.closed)


class FloodTests(SynchronousTestCase):
    def test_a_flood_of_malformed_commands_ends_the_connection(self) -> None:
        """Answered at once, then slowly, then not any more."""
        client = World().logged_in()
        for count in range(1, BADS_MAX + 1):
            answer = client.ask(b"")
            if count > BADS_FREE:
                self.assertEqual(answer, b"")
                client.world.clock.advance(1)
                answer = client.received()
            self.assertIn(b"x BAD", answer)
        client.send(b"x \r\n")
        self.assertIn(b"* BYE [CLIENTBUG]", client.received())

    def test_a_good_command_forgives(self) -> None:
        client = World().logged_in()
        for _ in range(3):
            for _ in range(BADS_FREE):
                self.assertIn(b"x BAD", client.ask(b""))
            client.ask(b"NOOP")

    def test_gone_while_it_is_slowed(self) -> None:
        world = World()
        client = world.logged_in()
        for _ in range(BADS_FREE + 1):
            client.ask(b"")
        client.vanish()
        world.clock.advance(1)
        self.assertEqual(world.observer.faults, [])


class BackpressureTests(SynchronousTestCase):
    def test_news_wait_while_an_idling_client_does_not_read(self) -> None:
        """They wait in the mailbox's log, and are told as one when the client reads again."""
        world = World()
        client = world.logged_in()
        client.ask(b"SELECT INBOX")
        client.ask(b"IDLE")
        client.wire.block()
        for _ in range(5):
            world.account.deliver(b"A: b\r\n\r\n")
        first = client.received()
        self.assertEqual(first.count(b"EXISTS"), 1)
        client.wire.unblock()
        self.assertEqual(client.received(), b"* 5 EXISTS\r\n* 5 RECENT\r\n")


class ObserverTests(SynchronousTestCase):
    def test_commands_are_counted_by_name_and_outcome(self) -> None:
        """What the client wrote is in no count."""
        world = World()
        client = world.logged_in()
        world.observer.commands.clear()
        client.ask(b"SELECT Missing")
        client.ask(b"secret")
        client.ask(b"UID COPY x")
        self.assertEqual(
            world.observer.commands,
            [("SELECT", Outcome.NO), ("unknown", Outcome.BAD), ("UID COPY", Outcome.BAD)],
        )

    def test_a_command_whose_literal_was_refused_has_its_name(self) -> None:
        world = World()
        client = world.logged_in()
        world.observer.commands.clear()
        client.ask(b"APPEND Missing {5}")
        self.assertEqual(world.observer.commands, [("APPEND", Outcome.NO)])


class SelectedMailboxTests(SynchronousTestCase):
    def test_the_end_of_the_mailbox_ends_the_session_at_its_next_command(self) -> None:
        """The selected mailbox is another one now: the client logs in again."""
        world = World()
        client = world.logged_in()
        client.ask(b"SELECT INBOX")
        world.account.replace(MailboxName("INBOX"))
        self.assertIn(b"* BYE [UNAVAILABLE]", client.ask(b"NOOP"))
        self.assertTrue(client.wire.closed)
