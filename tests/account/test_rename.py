# SPDX-License-Identifier: GPL-3.0-or-later
"""What a RENAME does to mod-sequences, as a CONDSTORE or QRESYNC client sees it."""

from pluto_tw.mail.flags import flag_set
from pluto_tw.mail.messages import StoreMode
from pluto_tw.mail.names import MailboxName
from pluto_tw.mail.sets import NumberSet
from pluto_tw.mail.uids import ModSeq
from tests.account.replica_case import ALL, WORK, ReplicaCase

PLAY = MailboxName("Play")


class RenameTests(ReplicaCase):
    """A RENAME touches the box and writes no placement: "bmsq[box] = M"."""

    def setUp(self) -> None:
        super().setUp()
        self.now(self.session.create(WORK, frozenset()))
        self.uids = [self.append(b"%d" % number, name=WORK) for number in range(3)]

    def test_client_that_comes_back_is_told_of_all(self) -> None:
        """It may keep its cache by MAILBOXID over a RENAME."""
        before = self.open(WORK).highest_modseq()
        self.now(self.session.rename(WORK, PLAY))
        opened = self.open(PLAY)
        self.assertGreater(opened.highest_modseq(), before)
        self.assertEqual(list(self.now(opened.changed_since(before))), self.uids)
        self.assertEqual(list(self.now(opened.changed_since(opened.highest_modseq()))), [])

    def test_modseq_that_was_fetched_is_good_for_a_store(self) -> None:
        """RFC 7162 §3.1.3: MODIFIED is for what changed after what the client knows."""
        self.now(self.session.rename(WORK, PLAY))
        opened = self.open(PLAY)
        [modseq] = opened.modseqs(opened.uids()[-1:])
        last = NumberSet.of(self.uids[-1:])
        stored = self.now(opened.store(last, StoreMode.ADD, flag_set(["\\Seen"]), ModSeq(modseq)))
        self.assertEqual(stored.modified, NumberSet.of([]))

    def test_session_that_stays_through_it_can_store(self) -> None:
        """A rename alone does not touch a session; what it knows of messages stays good."""
        opened = self.open(WORK)
        modseq = opened.highest_modseq()
        self.now(self.session.rename(WORK, PLAY))
        stored = self.now(opened.store(ALL, StoreMode.ADD, flag_set(["\\Seen"]), ModSeq(modseq)))
        again = ModSeq(max(opened.modseqs(opened.uids())))
        retried = self.now(opened.store(ALL, StoreMode.ADD, flag_set(["\\Flagged"]), again))
        self.assertEqual(retried.modified, NumberSet.of([]), stored)
        self.assertGreaterEqual(opened.highest_modseq(), again)
