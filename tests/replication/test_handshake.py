# SPDX-License-Identifier: GPL-3.0-or-later
"""Who may talk: each difference refuses the link, and says between whom it is."""

import msgspec
from twisted.trial.unittest import SynchronousTestCase

from pluto_tw.account.subnet import Admission, Standing
from pluto_tw.replication.handshake import Accepted, Admitted, Newcomer, Rejected, Verdict, judge
from pluto_tw.replication.messages import Hello, MemberRow

EU = MemberRow(0, "eu", b"e" * 16, 0)
US = MemberRow(1, "us", b"u" * 16, 0)
OWN = Hello(1, 2, 1, "eu", b"e" * 16, "subnet", 0, (EU, US))
THEIRS = Hello(1, 1, 1, "us", b"u" * 16, "subnet", 1, (EU, US))
MEMBER = Admission(Standing.MEMBER, 1)


class JudgeTests(SynchronousTestCase):
    def judged(self, admission: Admission = MEMBER, **changes: object) -> Verdict:
        theirs = msgspec.structs.replace(THEIRS, **changes)
        return judge(OWN, theirs, "us", admission)

    def refused(self, *texts: str, admission: Admission = MEMBER, **changes: object) -> None:
        verdict = self.judged(admission, **changes)
        assert isinstance(verdict, Rejected), verdict
        for text in texts:
            self.assertIn(text, verdict.why)

    def test_member_is_accepted_with_the_highest_common_version(self) -> None:
        self.assertEqual(self.judged(), Accepted(1, 1))
        self.assertEqual(self.judged(format_max=9), Accepted(1, 2))

    def test_no_common_version(self) -> None:
        self.refused("us speaks versions 3 to 4", "eu 1 to 2", format_min=3, format_max=4)

    def test_only_who_was_removed_is_told_so(self) -> None:
        """It must serve nobody from then on; others may serve until an operator has looked."""
        for standing, is_removed in ((Standing.REMOVED, True), (Standing.TAKEN, False)):
            verdict = self.judged(Admission(standing, 1))
            assert isinstance(verdict, Rejected)
            self.assertEqual(verdict.is_removed, is_removed)

    def test_name_of_another_certificate(self) -> None:
        self.refused("of us", "storage", name="storage")

    def test_another_subnet(self) -> None:
        self.refused("us is of subnet other", "eu of subnet", subnet="other")

    def test_copy_of_this_replica(self) -> None:
        self.refused("a copy", replica=b"e" * 16)

    def test_tables_that_differ(self) -> None:
        self.refused("slot 0", "asia", members=(MemberRow(0, "asia", b"", 0), US))
        self.refused("slot 0", members=(MemberRow(0, "eu", b"x" * 16, 0), US))

    def test_rows_that_one_side_lacks_are_no_difference(self) -> None:
        self.assertEqual(self.judged(members=(US,)), Accepted(1, 1))
        more = (EU, US, MemberRow(2, "asia", b"a" * 16, 0))
        self.assertEqual(self.judged(members=more), Accepted(1, 1))
        unmet = (MemberRow(0, "eu", b"", 0), US)
        self.assertEqual(self.judged(members=unmet), Accepted(1, 1))

    def test_newcomer_waits_until_it_is_admitted(self) -> None:
        unknown = Admission(Standing.UNKNOWN)
        self.assertEqual(self.judged(unknown, slot=-1, members=()), Newcomer(waiting=False))
        waiting = Admission(Standing.WAITING, 2)
        self.assertEqual(self.judged(waiting, slot=-1, members=()), Newcomer(waiting=True))
        self.assertEqual(self.judged(Admission(Standing.MEMBER, 2), slot=-1), Admitted(2))

    def test_who_says_that_it_is_a_member_and_is_none(self) -> None:
        self.refused("knows no such member", admission=Admission(Standing.UNKNOWN))
        self.refused("slot is 1", admission=Admission(Standing.MEMBER, 2))

    def test_removed_taken_full(self) -> None:
        self.refused("was removed", admission=Admission(Standing.REMOVED, 1))
        self.refused("remove that member first", admission=Admission(Standing.TAKEN, 1))
        self.refused("used up", admission=Admission(Standing.FULL))
