# SPDX-License-Identifier: GPL-3.0-or-later
"""Founding members of a subnet, with the account of its members, and what they tell each other."""

from collections.abc import Sequence
from dataclasses import replace

from pluto_tw.account import receiving, sending, statements
from pluto_tw.account.database import MemoryDatabase
from pluto_tw.account.members import Member, Members
from pluto_tw.account.subnet import MEMBERS_KEY
from pluto_tw.crdt.rules import Rules
from tests.account.accounts import Node, site_of
from tests.account.pair import SubnetCase

IDS = {slot: bytes([slot + 1]) * 16 for slot in range(4)}
NAMES = ("eu", "storage", "us")


class MembersCase(SubnetCase):
    """Three founding members, which have met."""

    def setUp(self) -> None:
        super().setUp()
        self.kept: list[tuple[int, bytes]] = []
        self.nodes = [self.member(slot) for slot in range(3)]
        self.clock.advance(10)

    def member(self, slot: int, known: bool = True) -> Node:
        founding = [
            Member(other, name, IDS[other] if known or other == slot else b"")
            for other, name in enumerate(NAMES)
        ]
        return self.founded(slot, founding)

    def founded(self, slot: int, founding: Sequence[Member]) -> Node:
        """The member *slot*, which was told of these."""
        members = Members(slot, founding, lambda *found: self.kept.append(found))
        rules = Rules(members.replica_ids)
        site = replace(site_of(self.clock), members=members, rules=rules)
        database = MemoryDatabase(f"node {slot}", bytes([slot]) * 16)
        self.addCleanup(database.destroy)
        return Node(database, site)

    def tell(self, sender: Node, receiver: Node, key: str = MEMBERS_KEY) -> None:
        """All operations of an account without mail, and what the sender states."""
        source, target = sender.store.account(key), receiver.store.account(key)
        found = sending.next_batch(source, statements.vector(target))
        batch = found.batch if isinstance(found, sending.Outgoing) else b""
        self.now(receiving.receive(target, batch, statements.checkpoint(source)))

    def tell_all(self, *nodes: Node, key: str = MEMBERS_KEY) -> None:
        for _ in range(2):
            for sender in nodes:
                for receiver in nodes:
                    if sender is not receiver:
                        self.tell(sender, receiver, key)
