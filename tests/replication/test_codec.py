# SPDX-License-Identifier: GPL-3.0-or-later
"""Messages between replicas: what is encoded is decoded, and any octets are survived."""

import contextlib

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pluto_tw.replication import codec, messages
from pluto_tw.replication.channel import VALUE_OCTETS_MAX

STATED = messages.Stated("fred", 5, (1, 0, 3), 32)
HELLO = messages.Hello(
    1, 1, 1, "eu", bytes(16), "subnet", 0, (messages.MemberRow(0, "eu", bytes(16), 0),), (7,)
)
PIECE = messages.BodyPiece(bytes(32), 10, 4, b"octets")
QUESTIONS: dict[str, messages.Question] = {
    messages.HELLO: HELLO,
    messages.BEAT: messages.Beat((STATED,), True),
    messages.SYNC: messages.Sync((STATED,)),
    messages.BATCH: messages.Batch(STATED, b"batch"),
    messages.BODIES: messages.Bodies("fred", (PIECE,)),
    messages.FETCH: messages.Fetch(bytes(32), 10, 4),
    messages.SNAPSHOT: messages.Snapshot("fred", b"header", b"cursor", b"after", b"piece"),
    messages.SURVEY: messages.Survey("fred", True, 256),
    messages.ACCOUNTS: messages.Accounts("1:fred", 9),
}
ANSWERS: list[msgspec.Struct] = [
    HELLO,
    messages.Beaten(),
    messages.Synced((STATED, None)),
    messages.Taken(3, STATED, (messages.Missing(bytes(32), 9, True),), False, True, 2, 1),
    messages.Stored((0, 4)),
    messages.Fetched(None),
    messages.Loaded(0, STATED, b"cursor"),
    messages.Surveyed(
        *(True, 7, (1, 0, 3), True, False, bytes(16), (messages.Mailbox("INBOX", bytes(16)),)),
        *(256, 1, (messages.Unfit("INBOX", 7),)),
    ),
    messages.Listed(("fred",), "1:fred"),
]


class MessageTests(SynchronousTestCase):
    def test_question_is_what_was_asked(self) -> None:
        for kind, question in QUESTIONS.items():
            self.assertEqual(codec.decode_question(kind, codec.encode(question)), question)

    def test_answer_is_what_was_answered(self) -> None:
        for answer in ANSWERS:
            octets = codec.encode(answer)
            self.assertEqual(codec.decode_answer(type(answer), octets), answer)

    def test_any_answer_may_be_a_refusal(self) -> None:
        refusal = messages.Refusal(messages.UNAVAILABLE, "full")
        for answer in ANSWERS:
            found = codec.decode_answer(type(answer), codec.encode(refusal))
            self.assertEqual(found, refusal)

    def test_unknown_kind_is_told(self) -> None:
        self.assertIsNone(codec.decode_question("dance", b""))

    def test_fields_of_a_later_version_are_passed_over(self) -> None:
        for kind, question in QUESTIONS.items():
            fields = [*msgspec.msgpack.decode(codec.encode(question)), "new", 7]
            found = codec.decode_question(kind, msgspec.msgpack.encode(fields))
            self.assertEqual(found, question)

    @given(st.sampled_from([*QUESTIONS]), st.binary(max_size=200))
    def test_any_octets_are_a_question_or_a_value_error(self, kind: str, octets: bytes) -> None:
        self.survives(kind, octets)

    @given(st.sampled_from([*QUESTIONS]), st.integers(0, 400), st.binary(min_size=1, max_size=4))
    def test_damaged_question_is_survived(self, kind: str, at: int, octets: bytes) -> None:
        good = codec.encode(QUESTIONS[kind])
        at %= len(good)
        self.survives(kind, good[:at] + octets + good[at + len(octets) :])

    @given(st.sampled_from(ANSWERS), st.integers(0, 400), st.binary(min_size=1, max_size=4))
    def test_damaged_answer_is_survived(
        self, answer: msgspec.Struct, at: int, octets: bytes
    ) -> None:
        good = codec.encode(answer)
        at %= len(good)
        with contextlib.suppress(ValueError):
            codec.decode_answer(type(answer), good[:at] + octets + good[at + len(octets) :])

    def survives(self, kind: str, octets: bytes) -> None:
        with contextlib.suppress(ValueError):
            codec.decode_question(kind, octets)

    def test_what_is_no_vector_is_refused(self) -> None:
        for vector in ((1, 0), (-1,), (2**60,)):
            question = messages.Sync((messages.Stated("fred", 5, vector, 0),))
            with self.assertRaises(ValueError):
                codec.decode_question(messages.SYNC, codec.encode(question))

    def test_octets_after_the_end_of_a_body_are_refused(self) -> None:
        question = messages.Bodies("fred", (messages.BodyPiece(bytes(32), 3, 1, b"abc"),))
        with self.assertRaises(ValueError):
            codec.decode_question(messages.BODIES, codec.encode(question))

    def test_what_is_too_long_is_refused_before_it_is_read(self) -> None:
        with self.assertRaises(ValueError):
            codec.decode_question(messages.BEAT, bytes(VALUE_OCTETS_MAX + 1))
