# SPDX-License-Identifier: GPL-3.0-or-later
"""
Two connections joined: what comes from one goes to the other, as fast as that takes it.

Each transport is the producer of the other: one that has more to write than it likes to hold stops
the reading of the other, so a client that does not read costs the transports' buffers (64 KiB each)
and the kernel's. Nothing is changed on the way, and nothing added but a BYE at the end, where
`Boundary` knows of a place for it. Who closes what is for the two protocols.
"""

from collections.abc import Callable
from enum import Enum
from typing import Any

from pluto_tw.net.boundary import Boundary


class Loss(Enum):
    """How the replica's side has ended."""

    #: It had said BYE.
    BYE = "bye"
    #: Without one, and the client can be told.
    SAFE = "safe"
    #: Without one, in the middle of a response.
    TORN = "torn"


class Splice:
    """
    The pair of *client* and *replica*, transports that are connected; *lost* is called once, when
    the replica's side has ended. Neither transport has a producer yet, and both may be paused.
    """

    __slots__ = (
        "_boundary",
        "_client",
        "_joined",
        "_lost",
        "_replica",
        "_unanswered",
        "at_rest",
        "octets_out",
    )

    def __init__(self, client: Any, replica: Any, lost: Callable[[Loss], None]) -> None:
        self._client = client
        self._replica = replica
        self._lost = lost
        self._boundary = Boundary()
        self._joined = True
        #: The client has sent something since the replica has sent its last.
        self._unanswered = False
        #: Called, if there is one, when the client has been answered and may be told BYE.
        self.at_rest: Callable[[], None] | None = None
        #: To the client.
        self.octets_out = 0
        client.registerProducer(replica, True)
        replica.registerProducer(client, True)
        client.resumeProducing()
        replica.resumeProducing()

    def from_client(self, data: bytes) -> None:
        """The client has sent *data*."""
        if self._joined:
            self._unanswered = True
            self._replica.write(data)

    def from_replica(self, data: bytes) -> None:
        """The replica has sent *data*."""
        if self._joined:
            self.octets_out += len(data)
            self._boundary.feed(data)
            self._client.write(data)
            if self._boundary.is_safe:
                self._unanswered = False
                if self.at_rest is not None:
                    self.at_rest()

    @property
    def is_at_rest(self) -> bool:
        """
        Whether a BYE fits, and the client waits for no answer as far as octets can tell: one that
        is in IDLE, or thinks.
        """
        return self._boundary.is_safe and not self._unanswered and not self._boundary.said_bye

    def replica_lost(self) -> None:
        """The replica's connection has ended."""
        if not self._joined:
            return
        self.part()
        if self._boundary.said_bye:
            self._lost(Loss.BYE)
        else:
            self._lost(Loss.SAFE if self._boundary.is_safe else Loss.TORN)

    def part(self) -> None:
        """From here on nothing passes. What was written goes out. Harmless when repeated."""
        if self._joined:
            self._joined = False
            self.at_rest = None
            self._client.unregisterProducer()
            self._replica.unregisterProducer()
