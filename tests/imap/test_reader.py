# SPDX-License-Identifier: GPL-3.0-or-later


from pluto_tw.imap.cursor import Literal, Segment, StreamedLiteral
from pluto_tw.imap.framing import BEFORE_LOGIN, LINE_START_OCTETS, LiteralAnnounced
from pluto_tw.imap.ports import Outcome
from pluto_tw.imap.reader import (
    COMMAND_LITERAL_OCTETS_MAX,
    COMMAND_LITERALS_MAX,
    PRELOGIN_LITERAL_OCTETS_MAX,
)
from pluto_tw.imap.refusal import Refusal
from pluto_tw.mail.codes import LIMIT, TOOBIG, TRYCREATE, UNAVAILABLE
from tests.support.performer import ReaderTestCase

TRY_CREATE = Refusal(Outcome.NO, "no such mailbox", TRYCREATE)
NO_ROOM = Refusal(Outcome.NO, "the disk is full", UNAVAILABLE)


class LineTests(ReaderTestCase):
    def test_a_line_is_a_command(self) -> None:
        self.reader.feed(b"a NOOP\r\nb NO")
        self.assert_performed(([b"a NOOP"], None))
        self.assertTrue(self.reader.waits_for_client)

    def test_one_command_at_a_time(self) -> None:
        """What came behind waits, and is counted."""
        promise = self.hold()
        self.reader.feed(b"a NOOP\r\nb NOOP\r\n")
        self.assert_performed()
        self.assertFalse(self.reader.waits_for_client)
        self.assertEqual(self.performer.left, [8])
        promise.fire(None)
        self.assert_performed(([b"a NOOP"], None), ([b"b NOOP"], None))
        self.assertEqual(self.performer.left, [8, 0])

    def test_each_piece_of_input_is_flushed_once(self) -> None:
        """However many commands it holds."""
        self.reader.feed(b"a NOOP\r\nb NOOP\r\nc LOGIN {1+}\r\nx y\r\nd")
        self.assertEqual(self.performer.flushes, 1)

    def test_what_went_on_by_itself_is_flushed_once(self) -> None:
        promise = self.hold()
        self.reader.feed(b"a NOOP\r\nb NOOP\r\nc NOOP\r\n")
        self.assertEqual(self.performer.flushes, 1)
        promise.fire(None)
        self.assertEqual(self.performer.flushes, 2)

    def test_a_line_too_long_is_refused_with_its_start(self) -> None:
        self.reader.feed(b"a " + b"x" * BEFORE_LOGIN.line_octets_max + b"\r\nb NOOP\r\n")
        refused, following = self.performer.performed
        self.assertEqual(refused[0], [b"a " + b"x" * (LINE_START_OCTETS - 2)])
        self.assertEqual(refused[1], Refusal(Outcome.BAD, "the command is too long"))
        self.assertEqual(following, ([b"b NOOP"], None))

    def test_a_later_line_too_long_is_refused_with_the_tag(self) -> None:
        self.reader.feed(b"a LOGIN {1+}\r\nx" + b"y" * BEFORE_LOGIN.line_octets_max + b"\r\n")
        [(segments, refusal)] = self.performer.performed
        self.assertEqual(segments[0], b"a LOGIN ")
        self.assertIsNotNone(refusal)

    def test_longer_lines_once_the_client_is_known(self) -> None:
        self.reader.admit_more()
        line = b"a " + b"x" * BEFORE_LOGIN.line_octets_max
        self.reader.feed(line + b"\r\n")
        self.assert_performed(([line], None))

    def test_the_hopeless_is_given_up(self) -> None:
        self.reader.feed(b"a NOOP {99999999999999999999+}\r\nb NOOP\r\n")
        self.assertEqual(self.performer.reason, "literal too large")
        self.assert_performed()

    def test_what_was_fed_can_be_forgotten(self) -> None:
        """RFC 9051 §6.2.1: at STARTTLS."""

        async def start_tls(segments: list[Segment]) -> None:
            self.reader.drop()

        self.performer.run = start_tls
        self.reader.feed(b"a STARTTLS\r\nb NOOP\r\nc NO")
        self.reader.feed(b"d NOOP\r\n")
        self.assert_performed(([b"a STARTTLS"], None), ([b"d NOOP"], None))


class ArgumentTests(ReaderTestCase):
    """Literals that are arguments: held in memory."""

    def test_a_synchronising_literal_is_asked_for(self) -> None:
        """RFC 9051 §4.3: "a command continuation request" before its octets."""
        self.reader.feed(b"a LOGIN {4}\r\n")
        self.assertEqual(self.performer.sent, [b"+ OK\r\n"])
        self.assert_performed()
        self.reader.feed(b"us")
        self.reader.feed(b"er x\r\n")
        self.assert_performed(([b"a LOGIN ", Literal(b"user", False), b" x"], None))

    def test_one_that_does_not_synchronise_is_not(self) -> None:
        """RFC 7888 §4."""
        self.reader.feed(b"a LOGIN {4+}\r\nuser ~{1+}\r\n\0\r\n")
        self.assertEqual(self.performer.sent, [])
        self.assert_performed(
            ([b"a LOGIN ", Literal(b"user", False), b" ", Literal(b"\0", True), b""], None)
        )

    def test_each_is_offered_with_what_came_before(self) -> None:
        self.reader.feed(b"a LOGIN {0+}\r\n ~{2}\r\nxy\r\n")
        self.assertEqual(
            self.performer.offered,
            [
                ([b"a LOGIN "], LiteralAnnounced(b"a LOGIN ", 0, False, False)),
                (
                    [b"a LOGIN ", Literal(b"", False), b" "],
                    LiteralAnnounced(b" ", 2, True, True),
                ),
            ],
        )

    def test_the_invitation_waits_for_the_offer(self) -> None:
        promise = self.hold()
        self.reader.feed(b"a LOGIN {4}\r\n")
        self.assertEqual(self.performer.sent, [])
        promise.fire(None)
        self.assertEqual(self.performer.sent, [b"+ OK\r\n"])

    def test_octets_are_counted_by_command(self) -> None:
        """Not by literal, and not by connection."""
        half = PRELOGIN_LITERAL_OCTETS_MAX // 2
        command = b"a X {%d+}\r\n%b {%d+}\r\n%b\r\n" % (half, b"x" * half, half, b"x" * half)
        self.reader.feed(command * 2)
        self.assertEqual([refusal for _, refusal in self.performer.performed], [None, None])
        self.reader.feed(b"b X {%d+}\r\n%b {%d}\r\n" % (half, b"x" * half, half + 1))
        refusal = self.performer.performed[-1][1]
        assert refusal is not None
        self.assertEqual((refusal.outcome, refusal.code), (Outcome.BAD, TOOBIG))
        self.assertEqual(self.performer.sent, [])

    def test_more_octets_once_the_client_is_known(self) -> None:
        self.reader.feed(b"a X {%d}\r\n" % COMMAND_LITERAL_OCTETS_MAX)
        self.reader.admit_more()
        self.reader.feed(b"b X {%d}\r\n" % COMMAND_LITERAL_OCTETS_MAX)
        self.assertEqual(self.performer.sent, [b"+ OK\r\n"])

    def test_literals_are_counted_too(self) -> None:
        """Empty ones take no octets, but a place in the list each."""
        self.reader.feed(b"a" + b" {0+}\r\n" * (COMMAND_LITERALS_MAX + 1) + b"\r\nb NOOP\r\n")
        refused, following = self.performer.performed
        assert refused[1] is not None
        self.assertEqual((refused[1].outcome, refused[1].code), (Outcome.BAD, LIMIT))
        self.assertEqual(following, ([b"b NOOP"], None))


class UploadTests(ReaderTestCase):
    """Literals that are not held in memory."""

    def test_its_octets_go_to_the_upload_in_the_pieces_they_come_in(self) -> None:
        upload = self.upload(5)
        self.reader.feed(b"a APPEND x {5}\r\n")
        self.reader.feed(b"He")
        self.reader.feed(b"llo\r\n")
        self.assertEqual(self.performer.stored, [b"He", b"llo"])
        self.assert_performed(([b"a APPEND x ", StreamedLiteral(5, False, upload), b""], None))

    def test_no_more_is_read_before_a_piece_is_written(self) -> None:
        self.upload(5)
        self.reader.feed(b"a APPEND x {5}\r\n")
        promise = self.hold()
        self.reader.feed(b"He")
        self.reader.feed(b"llo\r\n")
        self.assertEqual(self.performer.stored, [])
        self.assertEqual(self.performer.left[-1], 5)
        promise.fire(None)
        self.assertEqual(self.performer.stored, [b"He", b"llo"])

    def test_its_size_is_no_matter_of_memory(self) -> None:
        self.upload(10**9)
        self.reader.feed(b"a APPEND x {1000000000}\r\n")
        self.assertEqual(self.performer.sent, [b"+ OK\r\n"])

    def test_it_is_abandoned_behind_the_command(self) -> None:
        """Not before: the command may take its content."""
        upload = self.upload(1)

        async def look(segments: list[Segment]) -> None:
            self.assertFalse(upload.abandoned)

        self.performer.run = look
        self.reader.feed(b"a APPEND x {1+}\r\nx\r\n")
        self.assertTrue(upload.abandoned)

    def test_a_failure_is_told_behind_the_literal(self) -> None:
        """The client is sending: the rest is read and dropped, then it is told once."""
        upload = self.upload(6)
        self.performer.failure = NO_ROOM
        self.reader.feed(b"a APPEND x {6}\r\nab")
        self.assert_performed()
        self.reader.feed(b"cd")
        self.reader.feed(b"ef\r\nb NOOP\r\n")
        self.assertEqual(self.performer.stored, [b"ab"])
        self.assert_performed(
            ([b"a APPEND x ", StreamedLiteral(6, False, upload), b""], NO_ROOM),
            ([b"b NOOP"], None),
        )

    def test_behind_a_failure_no_literal_is_welcome(self) -> None:
        """Of a MULTIAPPEND."""
        upload = self.upload(2)
        self.performer.failure = NO_ROOM
        self.reader.feed(b"a APPEND x {2}\r\nab {2}\r\nb NOOP\r\n")
        self.assertEqual(len(self.performer.offered), 1)
        self.assertEqual(self.performer.sent, [b"+ OK\r\n"])
        self.assert_performed(
            ([b"a APPEND x ", StreamedLiteral(2, False, upload), b" "], NO_ROOM),
            ([b"b NOOP"], None),
        )


class RefusedLiteralTests(ReaderTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.performer.place = TRY_CREATE

    def test_the_client_that_waits_sends_its_next_command(self) -> None:
        self.reader.feed(b"a APPEND x {5}\r\nb NOOP\r\n")
        self.assertEqual(self.performer.sent, [])
        self.assert_performed(([b"a APPEND x "], TRY_CREATE), ([b"b NOOP"], None))

    def test_what_another_has_sent_is_dropped(self) -> None:
        """RFC 7888 §4: with what follows in the command."""
        self.reader.feed(b"a APPEND x {8+}\r\nc NOOP\r\n {3+}\r\nxyz\r\nb NOOP\r\n")
        self.assert_performed(([b"a APPEND x "], TRY_CREATE), ([b"b NOOP"], None))

    def test_it_is_told_before_the_octets_have_come(self) -> None:
        self.reader.feed(b"a APPEND x {8+}\r\n")
        self.assert_performed(([b"a APPEND x "], TRY_CREATE))

    def test_earlier_uploads_are_abandoned(self) -> None:
        upload = self.upload(1)
        self.reader.feed(b"a APPEND x {1+}\r\nx")
        self.performer.place = TRY_CREATE
        self.reader.feed(b" {1}\r\n")
        self.assertTrue(upload.abandoned)

    def test_the_end_while_it_is_considered(self) -> None:
        """Nothing more is said to a client that is gone."""
        self.performer.place = None
        promise = self.hold()
        self.reader.feed(b"a LOGIN {5}\r\n")
        self.performer.over = True
        self.reader.close()
        promise.fire(None)
        self.assertEqual(self.performer.sent, [])
        self.assert_performed()
