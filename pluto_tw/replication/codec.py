# SPDX-License-Identifier: GPL-3.0-or-later
"""
Questions and answers of replicas as octets, and back.

Each is one MessagePack array with its fields in order; an answer's first element says whether it is
one or a refusal. A kind of question that is not known is told by a value, not by an exception, so
that it can be refused and the asking side can say so in its log.

The decoders take whatever a peer sends: they return a value or raise `ValueError`, in memory
bounded by the lengths in `messages.py` and by what the channel lets through.
"""

from collections.abc import Iterable
from typing import Final, TypeVar, assert_never, cast

import msgspec
from msgspec import Struct

from pluto_tw.crdt.validate import check_vector
from pluto_tw.replication import messages
from pluto_tw.replication.channel import VALUE_OCTETS_MAX
from pluto_tw.replication.messages import (
    Accounts,
    Batch,
    Beat,
    Beaten,
    Bodies,
    Fetch,
    Fetched,
    Hello,
    Listed,
    Loaded,
    Question,
    Refusal,
    Snapshot,
    Stated,
    Stored,
    Survey,
    Surveyed,
    Sync,
    Synced,
    Taken,
)

T = TypeVar("T", bound=Struct)

_encode = msgspec.msgpack.Encoder().encode
_questions: Final[dict[str, msgspec.msgpack.Decoder[Question]]] = {
    messages.HELLO: msgspec.msgpack.Decoder(Hello),
    messages.BEAT: msgspec.msgpack.Decoder(Beat),
    messages.SYNC: msgspec.msgpack.Decoder(Sync),
    messages.BATCH: msgspec.msgpack.Decoder(Batch),
    messages.BODIES: msgspec.msgpack.Decoder(Bodies),
    messages.FETCH: msgspec.msgpack.Decoder(Fetch),
    messages.SNAPSHOT: msgspec.msgpack.Decoder(Snapshot),
    messages.SURVEY: msgspec.msgpack.Decoder(Survey),
    messages.ACCOUNTS: msgspec.msgpack.Decoder(Accounts),
}
_answers: Final[dict[type[Struct], msgspec.msgpack.Decoder[Struct]]] = {
    Hello: msgspec.msgpack.Decoder(Hello | Refusal),
    Beaten: msgspec.msgpack.Decoder(Beaten | Refusal),
    Synced: msgspec.msgpack.Decoder(Synced | Refusal),
    Taken: msgspec.msgpack.Decoder(Taken | Refusal),
    Stored: msgspec.msgpack.Decoder(Stored | Refusal),
    Fetched: msgspec.msgpack.Decoder(Fetched | Refusal),
    Loaded: msgspec.msgpack.Decoder(Loaded | Refusal),
    Surveyed: msgspec.msgpack.Decoder(Surveyed | Refusal),
    Listed: msgspec.msgpack.Decoder(Listed | Refusal),
}


def encode(message: Struct) -> bytes:
    """A question or an answer in octets."""
    return _encode(message)


def decode_question(kind: str, data: bytes) -> Question | None:
    """The question of *kind*; None if there is no such kind. Raises `ValueError`."""
    decoder = _questions.get(kind)
    if decoder is None:
        return None
    question = decoder.decode(_bounded(data))
    match question:
        case Beat() | Sync():
            _check(question.accounts)
        case Batch(account, _):
            _check((account,))
        case Bodies(_, pieces):
            if any(piece.start + len(piece.octets) > piece.size for piece in pieces):
                raise ValueError("octets after a body's end")
        case Hello():
            _check_hello(question)
        case Fetch() | Snapshot() | Survey() | Accounts():
            pass
        case _:
            assert_never(question)
    return question


def decode_answer(wanted: type[T], data: bytes) -> T | Refusal:
    """The answer, of type *wanted*, or why there is none. Raises `ValueError`."""
    answer = cast("T | Refusal", _answers[wanted].decode(_bounded(data)))
    match answer:
        case Synced(accounts):
            _check(accounts)
        case Taken() | Loaded():
            _check((answer.stated,))
        case Hello():
            _check_hello(answer)
        case Surveyed():
            check_vector(answer.vector)
        case _:
            pass
    return answer


def _check(accounts: Iterable[Stated | None]) -> None:
    for account in accounts:
        if account is not None:
            check_vector(account.vector)


def _check_hello(hello: Hello) -> None:
    if not 0 < hello.format_min <= hello.format_max:
        raise ValueError("no version of messages")
    if len({row.slot for row in hello.members}) != len(hello.members):
        raise ValueError("two members of one slot")


def _bounded(data: bytes) -> bytes:
    if len(data) > VALUE_OCTETS_MAX:
        raise ValueError("a message of too many octets")
    return data
