# SPDX-License-Identifier: GPL-3.0-or-later
from pathlib import Path
from tracemalloc import get_traced_memory, start, stop

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pluto_tw.crdt.codec import (
    BATCH_OCTETS,
    Segment,
    batches,
    decode_batch,
    decode_op,
    encode_batch,
    encode_op,
)
from pluto_tw.crdt.dots import make_dot
from pluto_tw.crdt.ops import (
    MESSAGES_MAX,
    OCTETS_MAX,
    Add,
    Bn,
    Cl,
    Exp,
    FlagChange,
    Message,
    Mv,
    Op,
    St,
)
from pluto_tw.crdt.pids import birth_pid, moved_pid
from tests.crdt.samples import SAMPLES, segments
from tests.crdt.strategies import ops, streams

_SAMPLES = Path(__file__).parent / "samples"


def _op(body: Cl | Exp | St | Mv | Bn | Add) -> Op:
    return Op(make_dot(1, 1), 1 << 60, (5,), body)


class OpTests(SynchronousTestCase):
    @given(ops())
    def test_decoding_inverts_encoding(self, op: Op) -> None:
        """The canonical form says all of an operation."""
        data = encode_op(op)
        self.assertEqual(decode_op(data), op)
        self.assertEqual(encode_op(decode_op(data)), data)

    def test_bulk_is_runs(self) -> None:
        """A claim, STORE or EXPUNGE of 4,096 messages in a row takes some tens of octets."""
        pids = tuple(birth_pid(make_dot(0, 1 + i), 0) for i in range(MESSAGES_MAX))
        uids = tuple(range(1, MESSAGES_MAX + 1))
        for body in (
            Cl(0, 0, 32, pids, uids),
            Exp(pids),
            St((FlagChange("\\Seen", True, pids),), True),
            Bn(0, 0, 9, pids, tuple(32 << 32 | uid for uid in uids)),
        ):
            self.assertLess(len(encode_op(_op(body))), 80)
        indexed = tuple(birth_pid(make_dot(0, 1), i) for i in range(MESSAGES_MAX))
        self.assertLess(len(encode_op(_op(Exp(indexed)))), 80)

    def test_hashed_names_fit(self) -> None:
        """4,096 messages whose names are hashes stay far below the most octets."""
        pids = tuple(moved_pid(birth_pid(make_dot(0, 1), i), 0) for i in range(MESSAGES_MAX))
        flags = (("\\Seen", "\\Answered"),) * MESSAGES_MAX
        self.assertLess(len(encode_op(_op(Mv(0, pids, flags)))), OCTETS_MAX)

    def test_too_many_messages_are_refused(self) -> None:
        """At most 4,096 messages an operation."""
        pids = tuple(birth_pid(make_dot(0, 1), i) for i in range(MESSAGES_MAX + 1))
        with self.assertRaises(ValueError):
            decode_op(encode_op(_op(Exp(pids))))
        half = pids[: MESSAGES_MAX // 2 + 1]
        changes = tuple(FlagChange(flag, True, half) for flag in ("a", "b"))
        with self.assertRaises(ValueError):
            decode_op(encode_op(_op(St(changes, True))))

    def test_unknown_kind_is_an_error(self) -> None:
        """An unknown kind is never skipped: what follows may depend on it."""
        import msgspec

        raw = msgspec.msgpack.decode(encode_op(_op(Exp((birth_pid(make_dot(0, 1), 0),)))))
        raw[4][0] = 99
        with self.assertRaises(ValueError):
            decode_op(msgspec.msgpack.encode(raw))

    def test_unknown_version_is_an_error(self) -> None:
        data = bytearray(encode_op(_op(Exp((birth_pid(make_dot(0, 1), 0),)))))
        data[1] = 2
        with self.assertRaisesRegex(ValueError, "version"):
            decode_op(bytes(data))

    def test_vector_must_follow(self) -> None:
        """Own entry of the vector is the seq before: an operation cannot skip any."""
        op = Op(make_dot(1, 3), 5, (5, 1), Exp((birth_pid(make_dot(0, 1), 0),)))
        with self.assertRaises(ValueError):
            decode_op(encode_op(op))

    @given(st.binary(max_size=300))
    def test_any_octets_are_an_operation_or_an_error(self, data: bytes) -> None:
        try:
            decode_op(data)
        except ValueError:
            return

    @given(ops(), st.data())
    def test_damaged_operations_are_operations_or_errors(self, op: Op, data: st.DataObject) -> None:
        octets = bytearray(encode_op(op))
        for _ in range(data.draw(st.integers(1, 4))):
            octets[data.draw(st.integers(0, len(octets) - 1))] = data.draw(st.integers(0, 255))
        try:
            found = decode_op(bytes(octets))
        except ValueError:
            return
        self.assertEqual(decode_op(encode_op(found)), found)

    def test_a_short_lie_takes_little_memory(self) -> None:
        """Some octets that promise billions of messages are refused before they are made."""
        import msgspec

        runs = [[0, 1, 0, 2**32 - 1, 0]]
        lies = [
            msgspec.msgpack.encode([1, 33, 5, [], [6, runs]]),
            msgspec.msgpack.encode([1, 33, 5, [], [9, 0, 0, 32, [[0, 1, 0, 1, 0]], [1, 2**40]]]),
            msgspec.msgpack.encode([1, 33, 5, [], [6, [[0, 1, 0, 4000, 0]] * 5000]]),
        ]
        for lie in lies:
            start()
            try:
                with self.assertRaises(ValueError):
                    decode_op(lie)
                self.assertLess(get_traced_memory()[1], 4 * 1024 * 1024)
            finally:
                stop()


class BatchTests(SynchronousTestCase):
    @given(st.lists(streams(), max_size=3, unique_by=lambda stream: stream[0].dot & 31))
    def test_decoding_inverts_encoding(self, found: list[list[Op]]) -> None:
        batch = [Segment(b"12345678", tuple(stream)) for stream in found]
        self.assertEqual(decode_batch(encode_batch(batch)), batch)

    @given(streams())
    def test_segments_of_one_origin_continue(self, stream: list[Op]) -> None:
        """An origin may come again in a batch; differences go on where they were."""
        batch = [Segment(b"", (op,)) for op in stream]
        self.assertEqual(decode_batch(encode_batch(batch)), batch)

    def test_differences_are_short(self) -> None:
        """An APPEND and its claim take little more than the hash, beside the first of a batch."""
        stream = []
        for seq in range(1, 200, 2):
            message = Message(bytes(32), 10_000, 1_790_000_000, 0, ("\\Seen",))
            dot = make_dot(0, seq)
            at = (1 << 60) + (seq << 20)
            stream.append(Op(dot, at, (seq - 1, 7, 9), Add(0, (message,))))
            claim = Cl(0, 0, 32, (birth_pid(dot, 0),), (seq,))
            stream.append(Op(make_dot(0, seq + 1), at, (seq, 7, 9), claim))
        size = len(encode_batch([Segment(b"", tuple(stream))]))
        self.assertLess(size / 100, 110)

    @settings(max_examples=30)
    @given(st.lists(ops(), max_size=6))
    def test_batches_hold_everything_in_order(self, found: list[Op]) -> None:
        cut = list(batches(Segment(b"", (op,)) for op in found))
        self.assertEqual([s.ops[0] for batch in cut for s in batch], found)
        self.assertTrue(all(cut))

    def test_batches_are_bounded(self) -> None:
        """At least one operation, and about 128 KiB."""
        many = [
            Op(
                make_dot(0, 1 + i),
                1,
                (i,) if i else (),
                Add(0, (Message(bytes(64), 1, 1, 0),) * 500),
            )
            for i in range(10)
        ]
        sizes = [len(encode_batch(b)) for b in batches(Segment(b"", (op,)) for op in many)]
        self.assertGreater(len(sizes), 1)
        self.assertLess(max(sizes), BATCH_OCTETS + 64 * 1024)

    @given(st.binary(max_size=300))
    def test_any_octets_are_a_batch_or_an_error(self, data: bytes) -> None:
        try:
            decode_batch(data)
        except ValueError:
            return

    @given(streams(), st.data())
    def test_damaged_batches_are_batches_or_errors(
        self, stream: list[Op], data: st.DataObject
    ) -> None:
        octets = bytearray(encode_batch([Segment(b"", tuple(stream))]))
        octets[data.draw(st.integers(0, len(octets) - 1))] = data.draw(st.integers(0, 255))
        try:
            decode_batch(bytes(octets))
        except ValueError:
            return


class SampleTests(SynchronousTestCase):
    """Octets of version 1 as they were first written: what is stored must stay readable."""

    def test_operations(self) -> None:
        for name, op in SAMPLES.items():
            data = bytes.fromhex((_SAMPLES / f"op1-{name}.hex").read_text())
            self.assertEqual(decode_op(data), op, name)
            self.assertEqual(encode_op(op), data, f"the canonical form of {name} has changed")

    def test_batch(self) -> None:
        data = bytes.fromhex((_SAMPLES / "batch1.hex").read_text())
        self.assertEqual(decode_batch(data), segments())
