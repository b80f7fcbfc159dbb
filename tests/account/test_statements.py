# SPDX-License-Identifier: GPL-3.0-or-later
"""Histories that do not go together: databases that were put back are found."""

from dataclasses import replace

from twisted.internet.defer import Deferred

from pluto_tw.account import statements
from pluto_tw.account.receiving import receive
from pluto_tw.account.replica import Halted
from pluto_tw.account.statements import Trouble, vector
from pluto_tw.crdt.resync import Checkpoint
from pluto_tw.mail.codes import UNAVAILABLE
from pluto_tw.mail.errors import No
from pluto_tw.mail.names import INBOX, MailboxName
from tests.account.accounts import Node
from tests.account.members_case import MembersCase
from tests.account.pair import KEY
from tests.account.two_replicas_case import TwoReplicasCase


class ComparisonTests(TwoReplicasCase):
    def test_database_that_was_put_back_is_found(self) -> None:
        """A peer that knows more of this replica than itself shows that it was put back."""
        self.append(self.a, b"one")
        self.ship(self.a, self.b)
        other = self.replica(0)
        stated = Checkpoint(1, 1, vector(self.b.account))
        taken = self.now(receive(other.account, b"\x92\x01\x90", stated))
        self.assertEqual((taken.refused, taken.slot), (Trouble.BEHIND, 0))

    def test_fork_is_found_by_the_first_operation(self) -> None:
        """Also when it has made as many operations since, or fewer."""
        self.append(self.a, b"one")
        self.ship(self.a, self.b)
        other = self.replica(0)
        self.append(other, b"another")
        self.append(other, b"and another")
        batches = self.batches(other, vector(self.b.account))
        taken = self.now(receive(self.b.account, batches[0]))
        self.assertEqual((taken.refused, taken.slot), (Trouble.FORKED, 0))


class RollbackTests(MembersCase):
    def halted(self, node: Node) -> list[Halted]:
        found: list[Halted] = []
        node.store.account_halted = found.append
        return found

    def test_replica_that_was_put_back_stops_also_after_a_restart(self) -> None:
        a, b, _ = self.nodes
        for name in map(MailboxName, ("x", "y")):
            self.now(a.store.session(KEY, KEY).create(name, frozenset()))
        self.tell(a, b, KEY)
        old = self.member(0)
        self.now(old.store.session(KEY, KEY).create(MailboxName("z"), frozenset()))
        found = self.halted(old)
        stated = statements.checkpoint(b.store.account(KEY))
        account = old.store.account(KEY)
        self.assertIs(statements.compare(account, stated), statements.Trouble.BEHIND)
        self.assertEqual([(h.identity, h.slot) for h in found], [(account.identity, 1)])
        self.assertEqual(old.store.halted(), [KEY])
        old.restart()
        self.assertEqual(old.store.halted(), [KEY])
        work = Deferred.fromCoroutine(old.store.session(KEY, KEY).subscribe(INBOX, True))
        self.assertEqual(self.failureResultOf(work, No).value.code, UNAVAILABLE)
        self.now(old.store.resume(KEY))
        self.now(old.store.session(KEY, KEY).subscribe(INBOX, True))
        self.assertEqual(old.store.halted(), [])

    def test_peer_that_states_less_than_it_had_was_put_back(self) -> None:
        a, b, _ = self.nodes
        self.now(a.store.session(KEY, KEY).create(MailboxName("x"), frozenset()))
        self.tell_all(a, b, key=KEY)
        account = a.store.account(KEY)
        stated = statements.checkpoint(b.store.account(KEY))
        self.assertIsNone(statements.compare(account, stated, first=True))
        stated = replace(stated, vector=())
        self.assertIs(statements.compare(account, stated, first=True), statements.Trouble.FORGOT)
        self.assertIsNone(statements.compare(account, stated))
