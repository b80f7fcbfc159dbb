# SPDX-License-Identifier: GPL-3.0-or-later
"""The judge is judged: the scenarios of the specification, with what everybody must show then."""

from twisted.trial.unittest import SynchronousTestCase

from pluto_tw.crdt.ops import (
    Annotate,
    Cl,
    Del,
    Ep,
    Exp,
    FlagChange,
    Mv,
    Ren,
    Rv,
    St,
    Sub,
)
from pluto_tw.crdt.pids import birth_pid, moved_pid
from tests.simulation.oracle import Oracle
from tests.simulation.sites import Sites

A, B, C = 0, 1, 2
SEEN = "\\Seen"
DELETED = "\\Deleted"


def store(flag: str, value: bool, *pids: bytes, keep: bool = True) -> St:
    return St((FlagChange(flag, value, pids),), keep)


class MoveTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.sites = Sites(3)
        self.x = self.sites.mailbox(A, "X")
        self.y = self.sites.mailbox(A, "Y")
        self.mail = self.sites.mail(A, 0)
        self.in_x = moved_pid(self.mail, self.x)
        self.sites.all()

    def move(self, slot: int, pid: bytes, bid: int, *flags: str) -> None:
        self.sites.do(slot, Mv(bid, (pid,), (flags,)))

    def test_two_moves_to_one_mailbox_are_one_message(self) -> None:
        """MOVE || MOVE to one mailbox = one message (same pid)."""
        self.move(A, self.mail, self.x)
        self.move(B, self.mail, self.x)
        self.assertEqual(self.sites.shown(), {"INBOX": {}, "X": {self.in_x: frozenset()}, "Y": {}})

    def test_two_moves_to_two_mailboxes_are_one_copy_in_each(self) -> None:
        """MOVE || MOVE to two mailboxes = one copy in each."""
        self.move(A, self.mail, self.x)
        self.move(B, self.mail, self.y)
        shown = self.sites.shown()
        self.assertEqual([len(shown[name]) for name in ("INBOX", "X", "Y")], [0, 1, 1])

    def test_move_within_the_mailbox_beside_move_out_of_it(self) -> None:
        """MOVE X||MOVE INBOX: one in each."""
        self.move(A, self.mail, self.x)
        self.move(B, self.mail, 0)
        shown = self.sites.shown()
        self.assertEqual([len(shown[name]) for name in ("INBOX", "X")], [1, 1])

    def test_store_lands_on_the_moved_message(self) -> None:
        """MOVE||STORE \\Seen: one mail in X with \\Seen."""
        self.move(A, self.mail, self.x)
        self.sites.do(B, store(SEEN, True, self.mail))
        shown = self.sites.shown()
        self.assertEqual(shown["X"], {self.in_x: frozenset({SEEN})})
        self.assertEqual(shown["INBOX"], {})

    def test_moved_flag_wins_over_concurrent_clear(self) -> None:
        """Value = any(true) for all flags and keywords."""
        self.sites.do(A, store(SEEN, True, self.mail))
        self.sites.all()
        self.move(A, self.mail, self.x, SEEN)
        self.sites.do(B, store(SEEN, False, self.mail))
        self.assertEqual(self.sites.shown()["X"], {self.in_x: frozenset({SEEN})})

    def test_expunge_does_not_reach_what_was_moved_away(self) -> None:
        """MOVE||EXPUNGE: in X."""
        self.move(A, self.mail, self.x)
        self.sites.do(B, Exp((self.mail,)))
        shown = self.sites.shown()
        self.assertEqual(list(shown["X"]), [self.in_x])
        self.assertEqual(shown["INBOX"], {})

    def test_interest_travels_along_two_moves(self) -> None:
        """So \\Seen set concurrently with a MOVE lands on the moved message, recursively."""
        self.move(A, self.mail, self.x)
        self.move(A, self.in_x, self.y)
        self.sites.do(B, store(SEEN, True, self.mail))
        in_y = moved_pid(self.in_x, self.y)
        self.assertEqual(self.sites.shown()["Y"], {in_y: frozenset({SEEN})})

    def test_move_beside_a_further_move_is_interest_in_its_target(self) -> None:
        """An oracle must inherit the source's adds along concurrent moves."""
        self.move(A, self.mail, self.x)
        self.move(A, self.in_x, self.y)
        self.sites.do(A, Del((self.y,)))
        self.move(B, self.mail, self.x)
        shown = self.sites.shown()
        self.assertEqual(list(shown["Y"]), [moved_pid(self.in_x, self.y)])
        self.assertEqual(shown["X"], {})

    def test_forwarded_interest_keeps_the_mailbox(self) -> None:
        """S3: DST must be alive with m1."""
        self.move(B, self.mail, self.x)
        self.sites.do(B, Del((self.x,)))
        self.sites.do(C, store(SEEN, True, self.mail))
        self.assertEqual(self.sites.shown()["X"], {self.in_x: frozenset({SEEN})})

    def test_forwarded_flag_without_interest_keeps_nothing(self) -> None:
        """`keep` is true except for +\\Deleted and the implicit \\Seen."""
        self.move(B, self.mail, self.x)
        self.sites.do(B, Del((self.x,)))
        self.sites.do(C, store(SEEN, True, self.mail, keep=False))
        self.assertNotIn("X", self.sites.shown())


class RemovalTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.sites = Sites(3)
        self.n = self.sites.mailbox(A, "N")
        self.mail = self.sites.mail(A, self.n)
        self.sites.all()

    def test_interest_wins_over_concurrent_expunge(self) -> None:
        """EXPUNGE||STORE \\Flagged: kept."""
        self.sites.do(A, Exp((self.mail,)))
        self.sites.do(B, store("\\Flagged", True, self.mail))
        self.assertEqual(self.sites.shown()["N"], {self.mail: frozenset({"\\Flagged"})})

    def test_what_outlives_an_expunge_is_not_marked(self) -> None:
        """An EXPUNGE takes away the mark that it acted on."""
        self.sites.do(A, store(DELETED, True, self.mail, keep=False))
        self.sites.do(A, Exp((self.mail,)))
        self.sites.do(B, store("\\Flagged", True, self.mail))
        self.assertEqual(self.sites.shown()["N"], {self.mail: frozenset({"\\Flagged"})})

    def test_later_expunge_takes_all(self) -> None:
        """A message is lost only if an exp that observed *all* its tags exists."""
        self.sites.do(B, store("\\Flagged", True, self.mail))
        self.sites.deliver(B, A)
        self.sites.do(A, Exp((self.mail,)))
        self.assertEqual(self.sites.shown()["N"], {})

    def test_deleted_flag_is_no_interest(self) -> None:
        """EXPUNGE||+\\Deleted: gone."""
        self.sites.do(A, Exp((self.mail,)))
        self.sites.do(B, store(DELETED, True, self.mail, keep=False))
        self.assertEqual(self.sites.shown()["N"], {})

    def test_concurrent_undelete_wins(self) -> None:
        """+\\Deleted||-\\Deleted: not deleted."""
        self.sites.do(A, store(DELETED, True, self.mail, keep=False))
        self.sites.deliver(A, C)
        self.sites.do(B, store(DELETED, False, self.mail))
        self.assertEqual(self.sites.shown()["N"], {self.mail: frozenset()})
        self.sites.deliver(B, C)
        self.sites.do(C, store(DELETED, True, self.mail, keep=False))
        self.assertEqual(self.sites.shown()["N"], {self.mail: frozenset({DELETED})})

    def test_concurrent_rename_voids_delete(self) -> None:
        """DELETE||RENAME Z: Z with its mail."""
        self.sites.do(A, Del((self.n,)))
        self.sites.do(B, Ren(((self.n, "Z"),)))
        self.assertEqual(list(self.sites.shown()["Z"]), [self.mail])

    def test_later_delete_is_not_void(self) -> None:
        """D is void iff some RENAME is *concurrent* with D (both directions tested)."""
        self.sites.do(B, Ren(((self.n, "Z"),)))
        self.sites.deliver(B, A)
        self.sites.do(A, Del((self.n,)))
        self.assertEqual(list(self.sites.shown()), ["INBOX"])

    def test_rename_after_delete_does_not_void_it(self) -> None:
        """K10: DELETE void if any *later* RENAME exists (one-sided test) loses mail."""
        self.sites.do(A, Del((self.n,)))
        new = self.sites.mail(C, self.n)
        self.sites.deliver(A, C)
        self.sites.do(C, Ren(((self.n, "Z"),)))
        self.assertEqual(list(self.sites.shown()["Z"]), [new])

    def test_delete_spares_what_it_had_not_seen(self) -> None:
        """DELETE||APPEND: mailbox with only the new mail."""
        self.sites.do(A, Del((self.n,)))
        new = self.sites.mail(B, self.n)
        self.assertEqual(list(self.sites.shown()["N"]), [new])

    def test_concurrent_expunge_keeps_an_empty_mailbox(self) -> None:
        """DELETE||EXPUNGE: empty mailbox stays."""
        self.sites.do(A, Del((self.n,)))
        self.sites.do(B, Exp((self.mail,)))
        self.assertEqual(self.sites.shown()["N"], {})


class NameTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.sites = Sites(2)

    def test_last_rename_wins(self) -> None:
        """RENAME || RENAME = LWW name."""
        n = self.sites.mailbox(A, "N")
        self.sites.all()
        self.sites.do(A, Ren(((n, "Y"),)))
        self.sites.do(B, Ren(((n, "Z"),)))
        self.assertEqual(set(self.sites.shown()), {"INBOX", "Z"})

    def test_boxes_of_one_name_are_one_mailbox(self) -> None:
        """CREATE N||CREATE N: one N with the union; its UIDVALIDITY is the primary's."""
        first = self.sites.mailbox(A, "N", v=7)
        second = self.sites.mailbox(B, "N", v=9)
        mails = {self.sites.mail(A, first), self.sites.mail(B, second)}
        group = self.sites.observable().mailboxes["N"]
        self.assertEqual((group.primary, group.uid_validity), (second, 9))
        self.assertEqual(group.boxes, {first, second})
        self.assertEqual(set(group.letters), mails)

    def test_reissued_validity_makes_a_box_primary(self) -> None:
        """Primary = the one with the highest v, and v is the highest ever given."""
        first = self.sites.mailbox(A, "N", v=7)
        self.sites.mailbox(B, "N", v=9)
        self.sites.do(A, Rv(first, 12, False))
        group = self.sites.observable().mailboxes["N"]
        self.assertEqual((group.primary, group.uid_validity, group.gen), (first, 12, 0))
        self.sites.do(A, Rv(first, 16, True))
        group = self.sites.observable().mailboxes["N"]
        self.assertEqual((group.uid_validity, group.gen), (16, 16))

    def test_inbox_is_primary_of_its_name(self) -> None:
        """INBOX wins always."""
        n = self.sites.mailbox(A, "N", v=9)
        self.sites.do(A, Ren(((n, "INBOX"),)))
        group = self.sites.observable().mailboxes["INBOX"]
        self.assertEqual((group.primary, group.boxes), (0, {0, n}))


class OtherTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.sites = Sites(2)

    def test_subscription_wins_over_concurrent_unsubscription(self) -> None:
        """subs: any(true)."""
        self.sites.do(A, Sub("N", True))
        self.sites.all()
        self.sites.do(A, Sub("N", False))
        self.assertEqual(self.sites.observable().subscriptions, frozenset())
        self.sites.do(B, Sub("N", True))
        self.assertEqual(self.sites.observable().subscriptions, {"N"})

    def test_last_annotation_wins(self) -> None:
        """meta: LWW(hlc, dot)."""
        self.sites.do(A, Annotate(-1, "/shared/comment", b"a"))
        self.sites.do(B, Annotate(-1, "/shared/comment", b"b"))
        self.assertEqual(self.sites.observable().annotations, {(-1, "/shared/comment"): b"b"})
        self.sites.do(B, Annotate(-1, "/shared/comment", None))
        self.assertEqual(self.sites.observable().annotations, {})

    def test_highest_claim_counts(self) -> None:
        """uid(p) = max over claims (epoch, uid)."""
        mail = self.sites.mail(A, 0, count=2)
        second = birth_pid(self.sites.ops[-1].dot, 1)
        self.sites.do(A, Cl(0, 0, 32, (mail, second), (1, 2)))
        self.sites.do(B, Cl(0, 0, 0, (mail,), (65,)))
        self.assertEqual(
            Oracle(self.sites.ops).claims(0, 0), {mail: 32 << 32 | 1, second: 32 << 32 | 2}
        )

    def test_highest_sequencer_counts(self) -> None:
        """sequencer: max(epoch counter, replica)."""
        self.assertEqual(Oracle(()).sequencer(), 1 << 5)
        self.sites.do(A, Ep(2 << 5 | 1))
        self.sites.do(B, Ep(2 << 5))
        self.assertEqual(Oracle(self.sites.ops).sequencer(), 2 << 5 | 1)

    def test_copy_keeps_the_email_id(self) -> None:
        """EMAILID is carried unchanged by COPY, MOVE and import."""
        x = self.sites.mailbox(A, "X")
        mail = self.sites.mail(A, 0)
        self.sites.do(A, Mv(x, (mail,), ((),)))
        (letter,) = self.sites.observable().mailboxes["X"].letters.values()
        self.assertEqual(letter.email, mail)
