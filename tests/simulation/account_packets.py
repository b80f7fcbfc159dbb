# SPDX-License-Identifier: GPL-3.0-or-later
"""
What replicas of the real account say to each other here, in octets.

Every packet states what its sender has committed of each account; most of them say one thing more.
The product's own messages are `pluto_tw.replication`'s: they have connections, and answers.
"""

import msgspec
from msgspec import Struct

from pluto_tw.crdt.dots import Vector


class Stated(Struct, array_like=True):
    """What is durable of the account *key*."""

    key: str
    x: int
    vector: Vector
    sequencer: int


class Body(Struct, array_like=True):
    """A body in one piece; None: it is not there any more."""

    hash: bytes
    octets: bytes | None


class Batch(Struct, array_like=True, tag=1):
    """Operations, with *bodies* that they name, or without."""

    key: str
    batch: bytes
    bodies: tuple[Body, ...]


class Wants(Struct, array_like=True, tag=2):
    """Bodies (hash, size) that are missing."""

    key: str
    bodies: tuple[tuple[bytes, int], ...]


class Bodies(Struct, array_like=True, tag=3):
    """The answer."""

    key: str
    bodies: tuple[Body, ...]


class Offer(Struct, array_like=True, tag=4):
    """A snapshot that can be had."""

    key: str
    header: bytes


class Loaded(Struct, array_like=True, tag=5):
    """All before *cursor* of that snapshot is durable."""

    key: str
    header: bytes
    cursor: bytes


class Part(Struct, array_like=True, tag=6):
    """The piece at *asked*; the others as in `snapshots.Sent`."""

    key: str
    header: bytes
    asked: bytes
    piece: bytes
    after: bytes
    trailer: bytes
    bodies: tuple[Body, ...]


class Row(Struct, array_like=True):
    """A row of the table of members."""

    slot: int
    name: str
    replica: bytes
    state: int


class Hello(Struct, array_like=True, tag=7):
    """Somebody new asks who he is."""


class Admitted(Struct, array_like=True, tag=8):
    """The answer, when all members know him."""

    slot: int
    table: tuple[Row, ...]


class Removed(Struct, array_like=True, tag=9):
    """You are a member no more."""


Said = Batch | Wants | Bodies | Offer | Loaded | Part | Hello | Admitted | Removed


class Packet(Struct, array_like=True):
    """
    *replica* is the sender's id, whatever it is to the subnet. *complete*: it has all that a
    newcomer needs.
    """

    name: str
    replica: bytes
    complete: bool
    stated: tuple[Stated, ...]
    says: Said | None = None


encode = msgspec.msgpack.Encoder().encode
decode = msgspec.msgpack.Decoder(Packet).decode
