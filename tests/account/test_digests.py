# SPDX-License-Identifier: GPL-3.0-or-later
"""Digests: the same where clients see the same, and the difference has a name."""

from pluto_tw.account.digests import digests
from pluto_tw.mail.names import INBOX, MailboxName
from tests.account.accounts import Node
from tests.account.pair import KEY, SubnetCase


class DigestTests(SubnetCase):
    def setUp(self) -> None:
        super().setUp()
        self.a = self.node(0, [1])
        self.b = self.node(1, [0])
        self.clock.advance(10)
        session = self.a.store.session(KEY, KEY)
        self.now(session.create(MailboxName("Work"), frozenset()))
        session.close()
        self.append(self.a, b"one", b"two")
        self.append(self.a, b"three", name="Work")
        self.ship(self.a, self.b)

    def parts(self, node: Node) -> dict[str, bytes]:
        _, found = self.now(digests(self.account(node)))
        return {part.name: part.digest for part in found}

    def different(self) -> list[str]:
        """What is different at both."""
        a, b = self.parts(self.a), self.parts(self.b)
        self.assertEqual(self.digest(self.a).digest == self.digest(self.b).digest, a == b)
        self.assertEqual(list(a), list(b))
        return [name for name in a if a[name] != b[name]]

    def test_same_mail_is_the_same(self) -> None:
        self.assertEqual(self.different(), [])
        self.assertEqual(sorted(self.parts(self.a)), ["", INBOX, "Work"])
        found = self.digest(self.a)
        self.assertEqual((found, found.outstanding), (self.digest(self.b), False))

    def test_flags_uids_and_subscriptions_count(self) -> None:
        self.flag(self.a, "\\Seen", 1)
        self.assertEqual(self.different(), [INBOX])
        self.append(self.a, b"four", name="Work")
        self.assertEqual(self.different(), [INBOX, "Work"])
        session = self.a.store.session(KEY, KEY)
        self.now(session.subscribe(MailboxName("Work"), True))
        session.close()
        self.assertEqual(self.different(), [INBOX, "Work", ""])
        self.ship(self.a, self.b)
        self.assertEqual(self.different(), [])

    def test_bodies_count(self) -> None:
        self.b.shard.read("UPDATE body SET size = size + 1 WHERE size = 5")
        self.assertEqual(self.different(), ["Work"])
