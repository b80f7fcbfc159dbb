# SPDX-License-Identifier: GPL-3.0-or-later
"""`pluto_tw.imap.reader`, second half: lines that commands ask for, turns, and the end."""

import contextlib

from pluto_tw.imap.cursor import Segment
from pluto_tw.imap.framing import BEFORE_LOGIN
from pluto_tw.imap.ports import Disconnected
from pluto_tw.mail.errors import Bad
from pluto_tw.mail.waiting import SLICE_SECONDS
from tests.support.performer import ReaderTestCase

IDLE = b"a IDLE"


class RawLineTests(ReaderTestCase):
    """Lines that a running command asks for."""

    def setUp(self) -> None:
        super().setUp()
        self.lines: list[bytes | type[Exception] | None] = []
        self.performer.run = self.ask

    async def ask(self, segments: list[Segment]) -> None:
        """AUTHENTICATE takes one line, IDLE lines or news up to DONE, INSIST until it gets one."""
        if segments == [b"a INSIST"]:
            with contextlib.suppress(Bad):
                self.lines.append(await self.reader.next_line())
        try:
            if segments[0] in (b"a AUTHENTICATE", b"a INSIST") and not self.lines:
                self.lines.append(await self.reader.next_line())
            while segments == [IDLE] and self.lines[-1:] != [b"DONE"]:
                self.lines.append(await self.reader.next_line_or_news())
        except (Bad, Disconnected) as error:
            self.lines.append(type(error))

    def test_the_line_is_given_as_it_is(self) -> None:
        """Also if a command that ends so would announce a literal."""
        self.reader.feed(b"a AUTHENTICATE\r\n")
        self.assertTrue(self.reader.waits_for_client)
        self.reader.feed(b"x {5}\r\nb NOOP\r\n")
        self.assertEqual(self.lines, [b"x {5}"])
        self.assertEqual(self.performer.performed[-1], ([b"b NOOP"], None))

    def test_a_line_that_has_come_already(self) -> None:
        self.reader.feed(b"a AUTHENTICATE\r\nline\r\n")
        self.assertEqual(self.lines, [b"line"])

    def test_a_line_that_came_while_the_command_waited_for_another(self) -> None:
        """It is not left lying there until more comes."""
        promise = self.hold()
        self.reader.feed(b"a AUTHENTICATE\r\nline\r\n")
        promise.fire(None)
        self.clock.advance(0)
        self.assertEqual(self.lines, [b"line"])

    def test_a_line_too_long(self) -> None:
        self.reader.feed(b"a AUTHENTICATE\r\n" + b"x" * 20_000 + b"\r\nb NOOP\r\n")
        self.assertEqual(self.lines, [Bad])
        self.assertEqual(self.performer.performed[-1], ([b"b NOOP"], None))

    def test_a_line_without_end(self) -> None:
        self.reader.feed(b"a AUTHENTICATE\r\n" + b"x" * 20_000)
        self.assertEqual(self.lines, [Bad])
        self.reader.feed(b"x" * BEFORE_LOGIN.drain_octets_max)
        self.assertEqual(self.performer.reason, "line too long")

    def test_a_line_without_end_for_who_insists(self) -> None:
        self.reader.feed(b"a INSIST\r\n" + b"x" * 20_000)
        self.assertTrue(self.reader.waits_for_client)
        self.reader.feed(b"x" * BEFORE_LOGIN.drain_octets_max)
        self.assertEqual(self.performer.reason, "line too long")
        self.assertEqual(self.lines, [Disconnected])

    def test_news_wake_who_waits_for_them(self) -> None:
        self.reader.feed(IDLE + b"\r\n")
        self.reader.news()
        self.reader.news()
        self.reader.feed(b"DONE\r\n")
        self.assertEqual(self.lines, [None, None, b"DONE"])

    def test_news_before_the_wait(self) -> None:
        """Are not lost, and are not told twice."""
        self.reader.news()
        self.reader.news()
        self.reader.feed(IDLE + b"\r\n")
        self.reader.feed(b"DONE\r\n")
        self.assertEqual(self.lines, [None, b"DONE"])

    def test_news_do_not_wake_who_waits_for_a_line_alone(self) -> None:
        self.reader.feed(b"a AUTHENTICATE\r\n")
        self.reader.news()
        self.reader.feed(b"line\r\n")
        self.assertEqual(self.lines, [b"line"])

    def test_news_do_not_wake_who_waits_for_nothing(self) -> None:
        promise = self.hold()
        self.reader.feed(b"b NOOP\r\n")
        self.reader.news()
        promise.fire(None)
        self.assert_performed(([b"b NOOP"], None))

    def test_who_waits_is_told_of_the_end(self) -> None:
        self.reader.feed(IDLE + b"\r\n")
        self.performer.over = True
        self.reader.close()
        self.assertEqual(self.lines, [Disconnected])


class EndTests(ReaderTestCase):
    def test_closed_between_commands(self) -> None:
        self.performer.over = True
        self.reader.close()
        self.reader.close()
        self.reader.feed(b"a NOOP\r\n")
        self.assert_performed()

    def test_closed_in_a_line(self) -> None:
        self.reader.feed(b"a NO")
        self.performer.over = True
        self.reader.close()
        self.reader.feed(b"OP\r\n")
        self.assert_performed()

    def test_closed_in_an_argument(self) -> None:
        self.reader.feed(b"a LOGIN {5}\r\nus")
        self.performer.over = True
        self.reader.close()
        self.reader.feed(b"er\r\n")
        self.assert_performed()

    def test_closed_in_an_upload(self) -> None:
        upload = self.upload(5)
        self.reader.feed(b"a APPEND x {5}\r\nab")
        self.performer.over = True
        self.reader.close()
        self.assertTrue(upload.abandoned)

    def test_closed_while_an_upload_writes(self) -> None:
        upload = self.upload(5)
        self.reader.feed(b"a APPEND x {5}\r\n")
        promise = self.hold()
        self.reader.feed(b"abcde\r\nb NOOP\r\n")
        self.performer.over = True
        self.reader.close()
        self.assertTrue(upload.abandoned)
        promise.fire(None)
        self.assert_performed()

    def test_closed_while_a_command_runs(self) -> None:
        """What was pipelined behind it is not run."""
        promise = self.hold()
        self.reader.feed(b"a NOOP\r\nb NOOP\r\n")
        self.performer.over = True
        self.reader.close()
        promise.fire(None)
        self.assert_performed(([b"a NOOP"], None))

    def test_the_end_of_input_closes(self) -> None:
        self.reader.feed(b"a NO")
        self.reader.end()
        self.assertTrue(self.performer.closed)

    def test_what_was_sent_before_the_end_of_input_is_answered(self) -> None:
        promise = self.hold()
        self.reader.feed(b"a NOOP\r\nb NOOP\r\n")
        self.reader.end()
        self.assertFalse(self.performer.closed)
        promise.fire(None)
        self.assert_performed(([b"a NOOP"], None), ([b"b NOOP"], None))
        self.assertTrue(self.performer.closed)


class TurnTests(ReaderTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.performer.run = self.work
        self.performer.pause = self.waiting.pause

    async def work(self, segments: list[Segment]) -> None:
        self.clock.rightNow += SLICE_SECONDS / 2

    def test_a_burst_pauses_after_each_slice(self) -> None:
        """Others have their turn, and the client must have taken the answers."""
        self.reader.feed(b"a NOOP\r\n" * 8)
        self.assertEqual(len(self.performer.performed), 3)
        self.assertFalse(self.reader.waits_for_client)
        self.clock.advance(0)
        self.assertEqual(len(self.performer.performed), 8)
        self.assertEqual(self.performer.rests, 2)
        self.assertTrue(self.reader.waits_for_client)

    def test_while_it_rests_nothing_is_read(self) -> None:
        self.reader.feed(b"a NOOP\r\n" * 4)
        self.reader.feed(b"b NOOP\r\n")
        self.assertEqual(len(self.performer.performed), 3)
        self.assertEqual(self.performer.left, [8, 16])

    def test_closed_while_it_rests(self) -> None:
        self.reader.feed(b"a NOOP\r\n" * 4)
        self.performer.over = True
        self.reader.close()
        self.clock.advance(0)
        self.assertEqual(len(self.performer.performed), 3)
