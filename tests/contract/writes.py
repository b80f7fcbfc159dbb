# SPDX-License-Identifier: GPL-3.0-or-later
"""
The contract of STORE, EXPUNGE, COPY and MOVE.

What docstrings quote after "Ports" is said in `pluto_tw.imap.ports`.
"""

from pluto_tw.imap.ports import Account
from pluto_tw.mail.changes import Exposed, Touched, Vanished
from pluto_tw.mail.codes import LIMIT, OVERQUOTA, TRYCREATE
from pluto_tw.mail.messages import Copied, InternalDate, StoreMode
from pluto_tw.mail.names import INBOX
from pluto_tw.mail.sets import EMPTY, NumberSet
from pluto_tw.mail.uids import UID_MAX
from tests.contract.case import AccountCase, Mail, Viewer, Wanted, flags, name, uids

ADD, REMOVE, REPLACE = StoreMode.ADD, StoreMode.REMOVE, StoreMode.REPLACE


class WritesContract(AccountCase):
    """Sessions that change what they have selected."""

    #: That of `three`.
    account: Account

    # STORE.

    def test_store_adds_removes_replaces(self) -> None:
        """Ports, `StoreMode`: "What STORE does with the named flags". RFC 9051 §6.4.6."""
        account = self.make_account()
        [uid] = self.fill(account, 1, "\\Seen $a")
        viewer = self.view(account)
        for mode, named, after in (
            (ADD, "\\Flagged $b", "\\Seen \\Flagged $a $b"),
            (REMOVE, "\\Seen $a \\Draft", "\\Flagged $b"),
            (REPLACE, "\\Answered $c", "\\Answered $c"),
            (REPLACE, "", ""),
        ):
            stored = self.store(viewer, [uid], mode, named)
            self.assertEqual((stored.changed, stored.modified), (uids(uid), EMPTY), named)
            self.assertEqual(viewer.flags(), {uid: flags(after)}, named)

    def test_mark_seen(self) -> None:
        """Ports, `mark_seen`: "Sets `\\Seen`", of which others hear as of a STORE."""
        account = self.make_account()
        one, two = self.fill(account, 2, "$a")
        viewer, other = self.view(account), self.view(self.another_session(account))
        self.store(viewer, [two], ADD, "\\Seen")
        other.catch_up()
        stored = self.now(viewer.mailbox.mark_seen(uids(one, two)))
        self.assertEqual((stored.changed, stored.gone), (uids(one), EMPTY))
        self.assertEqual(other.news(), [Touched(stored.modseq, uids(one), True)])
        other.catch_up()
        self.assertEqual(other.flags(), dict.fromkeys((one, two), flags("\\Seen $a")))

    def test_log_has_the_flags_when_store_returns(self) -> None:
        """Ports, `Stored`: "The mod-sequence of the change", which the log tells as well."""
        account = self.make_account()
        numbers = self.fill(account, 4)
        viewer, other = self.view(account), self.view(self.another_session(account))
        stored = self.store(viewer, numbers[1:3], ADD, "\\Seen")
        [change] = other.news()
        self.assertEqual(change, Touched(stored.modseq, uids(*numbers[1:3]), True))
        self.assertEqual(set(viewer.mailbox.modseqs(numbers[1:3])), {stored.modseq})
        self.assertLess(max(viewer.mailbox.modseqs(numbers[::3])), stored.modseq)
        self.assertEqual(viewer.mailbox.highest_modseq(), stored.modseq)

    def test_store_that_changes_nothing(self) -> None:
        """Ports, `Stored.modseq`: "0 if nothing had to change"; the log stays as it is."""
        account = self.make_account()
        numbers = self.fill(account, 2, "\\Seen $a")
        viewer = self.view(account)
        for mode, named in ((ADD, "\\Seen"), (REMOVE, "\\Draft $none"), (REPLACE, "\\Seen $A")):
            stored = self.store(viewer, numbers, mode, named)
            self.assertEqual(
                (stored.modseq, stored.changed, stored.modified, stored.gone),
                (0, EMPTY, EMPTY, EMPTY),
            )
        self.assertEqual(viewer.news(), [])
        self.assertEqual(viewer.mailbox.keywords(), flags("$a"), "REMOVE makes no keyword")

    def test_store_changes_only_what_has_to_change(self) -> None:
        """Ports, `Stored.changed`: "Messages whose flags did change"."""
        account = self.make_account()
        seen, unseen = self.fill(account, 1, "\\Seen") + self.fill(account, 1)
        viewer = self.view(account)
        before = viewer.mailbox.modseqs([seen])
        stored = self.store(viewer, [seen, unseen], ADD, "\\Seen")
        self.assertEqual(stored.changed, uids(unseen))
        self.assertEqual(viewer.mailbox.modseqs([seen]), before)

    def test_store_unchanged_since(self) -> None:
        """Ports, `Stored.modified`: "Left alone, since they changed after `unchanged_since`"."""
        account = self.make_account()
        numbers = self.fill(account, 3)
        viewer = self.view(account)
        since = viewer.mailbox.highest_modseq()
        self.store(viewer, numbers[:1], ADD, "\\Answered")
        stored = self.store(viewer, numbers, ADD, "\\Seen", unchanged_since=since)
        self.assertEqual(stored.modified, uids(numbers[0]))
        self.assertEqual(stored.changed, uids(*numbers[1:]))
        self.assertEqual(viewer.flags()[numbers[0]], flags("\\Answered"))

    def test_store_unchanged_since_zero_changes_nothing(self) -> None:
        """RFC 7162 §3.1.3: "UNCHANGEDSINCE with a modification sequence of 0 always fails"."""
        account = self.make_account()
        numbers = self.fill(account, 2)
        viewer = self.view(account)
        stored = self.store(viewer, numbers, ADD, "\\Seen", unchanged_since=0)
        self.assertEqual((stored.modified, stored.changed), (uids(*numbers), EMPTY))
        self.assertEqual(viewer.news(), [])

    def test_store_leaves_what_is_gone(self) -> None:
        """Ports, `Stored.gone`: "gone, although the session still shows them"; "never revived"."""
        account = self.make_account()
        numbers = self.fill(account, 3)
        viewer, other = self.view(account), self.view(self.another_session(account))
        self.expunge(other, numbers[1])
        stored = self.store(viewer, numbers, ADD, "\\Seen")
        self.assertEqual(stored.changed, uids(numbers[0], numbers[2]))
        self.assertEqual((stored.gone, stored.modified), (uids(numbers[1]), EMPTY))
        self.assertNotIn(numbers[1], viewer.mailbox.uids())
        self.assertEqual(list(viewer.mailbox.flags(numbers[1:2])), [flags("\\Deleted")])

    def test_store_takes_large_sets(self) -> None:
        """Ports, `store`: "Changes flags of messages in the view"; 1:* is one range."""
        account = self.make_account()
        numbers = self.fill(account, 3)
        viewer = self.view(account)
        everything = NumberSet.from_ranges([(1, UID_MAX)])
        stored = self.now(viewer.mailbox.store(everything, ADD, flags("\\Deleted"), None))
        self.assertEqual(stored.changed, uids(*numbers))
        self.assertEqual(self.now(viewer.mailbox.expunge(everything)), uids(*numbers))

    def test_store_has_a_limit_of_keywords(self) -> None:
        """Ports, `takes_new_keywords`: "Whether STORE and APPEND may name a keyword not in" use."""
        account = self.make_account()
        [uid] = self.fill(account, 1)
        viewer = self.view(account)
        number = 0
        while viewer.mailbox.takes_new_keywords():
            self.store(viewer, [uid], REPLACE, f"k{number}")
            number += 1
            self.assertLess(number, 1000, "keywords have a limit")
        viewer.catch_up()
        for mode in (ADD, REPLACE):
            one_more = viewer.mailbox.store(uids(uid), mode, flags("\\Seen one-more"), None)
            self.refuses(LIMIT, one_more)
        self.assertEqual(viewer.news(), [])
        self.assertEqual(self.store(viewer, [uid], ADD, "K0").changed, uids(uid))
        self.assertEqual(self.store(viewer, [uid], REMOVE, "one-more").changed, EMPTY)

    # EXPUNGE.

    def test_expunge_removes_what_is_deleted_and_named(self) -> None:
        r"""Ports, `expunge`: "Removes those of *uids* that have `\Deleted`; the UIDs removed"."""
        account = self.make_account()
        numbers = self.fill(account, 4)
        viewer, other = self.view(account), self.view(self.another_session(account))
        self.store(viewer, numbers[:3], ADD, "\\Deleted")
        other.catch_up()
        removed = self.now(viewer.mailbox.expunge(uids(numbers[0], numbers[2], numbers[3])))
        self.assertEqual(removed, uids(numbers[0], numbers[2]))
        [change] = other.news()
        self.assertIsInstance(change, Vanished)
        other.catch_up()
        self.assertEqual(other.uids, [numbers[1], numbers[3]])
        self.assertEqual(self.now(viewer.mailbox.expunge(uids(*numbers[2:]))), EMPTY)
        self.assertEqual(list(other.news()), [])

    def test_uids_are_not_used_again(self) -> None:
        """RFC 9051 §2.3.1.1: "its UID MUST NOT be reused under the same UIDVALIDITY value"."""
        account = self.make_account()
        numbers = self.fill(account, 2)
        viewer = self.view(account)
        uid_next = viewer.mailbox.uid_next()
        self.expunge(viewer, *numbers)
        self.assertGreaterEqual(viewer.mailbox.uid_next(), uid_next)
        self.assertGreaterEqual(self.fill(account, 1)[0], uid_next)

    def test_expunge_gives_room(self) -> None:
        """Ports, `append`: OVERQUOTA holds no longer than there is no room."""
        account = self.make_account(Wanted(octets_max=100))
        self.append(account, INBOX, Mail(b"x" * 100))
        self.refuses(OVERQUOTA, account.admit(INBOX, [1]))
        viewer = self.view(account)
        self.expunge(viewer, *viewer.uids)
        viewer.catch_up()
        self.now(account.admit(INBOX, [100]))

    # COPY.

    def messages(self, viewer: Viewer) -> list[tuple[object, ...]]:
        """All that COPY and MOVE keep of the messages of the newest state."""
        mailbox = viewer.mailbox
        numbers = mailbox.uids()
        return list(
            zip(
                mailbox.email_ids(numbers),
                mailbox.flags(numbers),
                mailbox.internal_dates(numbers),
                mailbox.sizes(numbers),
                self.now(mailbox.facts(numbers)),
                [self.octets(viewer, uid) for uid in numbers],
                strict=True,
            )
        )

    def three(self, quota: int | None = None) -> tuple[Viewer, Viewer]:
        """INBOX with three messages of 100 octets that differ, and an empty mailbox Work."""
        self.account = account = self.make_account(Wanted(octets_max=quota))
        self.create(account, "Work")
        self.append(
            account,
            INBOX,
            Mail(b"a" * 100, flags("\\Seen $a"), InternalDate(10, 60)),
            Mail(b"b" * 100, flags(""), InternalDate(20, -60)),
            Mail(b"c" * 100, flags("\\Deleted MyLabel"), InternalDate(5, 0)),
        )
        return self.view(account), self.view(self.another_session(account), "Work")

    def assert_pairs(self, copied: Copied, source: list[int], target: Viewer) -> None:
        """*copied* says that *source* became the newest messages of *target*."""
        self.assertEqual(copied.messages, len(source))
        self.assertEqual(list(copied.source), source)
        self.assertEqual(copied.uid_validity, target.mailbox.uid_validity)
        self.assertEqual(list(copied.target), list(target.mailbox.uids())[-len(source) :])

    def test_copy_keeps_the_message(self) -> None:
        """RFC 9051 §6.4.7: "flags and internal date ... SHOULD be preserved"; RFC 8474 §5.1."""
        viewer, work = self.three()
        before = self.messages(viewer)
        copied = self.now(viewer.mailbox.copy(uids(*viewer.uids), name("Work")))
        self.assert_pairs(copied, viewer.uids, work)
        self.assertEqual(self.messages(work), before)
        self.assertEqual(self.messages(viewer), before)
        self.assertEqual(viewer.news(), [])
        self.assertTrue(all(isinstance(change, Exposed) for change in work.news()))
        work.catch_up()
        self.assertEqual(work.uids, list(copied.target))
        self.assertEqual(work.mailbox.keywords(), flags("$a MyLabel"))

    def test_copy_into_the_same_mailbox(self) -> None:
        """RFC 9051 §6.4.7 allows it: each message is there twice, with one EMAILID."""
        viewer, _ = self.three()
        before = self.messages(viewer)
        copied = self.now(viewer.mailbox.copy(uids(*viewer.uids[:2]), INBOX))
        self.assert_pairs(copied, viewer.uids[:2], viewer)
        self.assertEqual(self.messages(viewer), before + before[:2])

    def test_copies_go_their_own_ways(self) -> None:
        """RFC 8474 §5.1: messages of one EMAILID may "have different keywords"."""
        viewer, work = self.three()
        [uid] = viewer.uids[:1]
        copied = self.now(viewer.mailbox.copy(uids(uid), name("Work")))
        work.catch_up()
        self.store(work, copied.target, REPLACE, "\\Flagged")
        self.assertEqual(viewer.flags()[uid], flags("\\Seen $a"))
        self.expunge(viewer, uid)
        viewer.catch_up()
        self.assertEqual(self.octets(work, copied.target[0]), b"a" * 100)

    def test_copied_keyword_is_spelled_as_in_the_target(self) -> None:
        """RFC 9051 §9, note 1: in one mailbox a keyword has one spelling."""
        viewer, work = self.three()
        self.now(viewer.mailbox.copy(uids(viewer.uids[1]), name("Work")))
        work.catch_up()
        self.store(work, work.uids, ADD, "mylabel")
        self.now(viewer.mailbox.copy(uids(viewer.uids[2]), name("Work")))
        work.catch_up()
        self.assertEqual(work.flags()[work.uids[-1]], flags("\\Deleted mylabel"))

    def test_copy_to_a_missing_mailbox(self) -> None:
        """Ports, `copy`: "No: TRYCREATE"; RFC 9051 §6.4.7: "MUST NOT automatically create"."""
        viewer, _ = self.three()
        everything = uids(*viewer.uids)
        self.refuses(TRYCREATE, viewer.mailbox.copy(everything, name("None")))
        self.refuses(TRYCREATE, viewer.mailbox.move(everything, name("None")))
        self.assertEqual(viewer.news(), [])

    def test_copy_over_quota_copies_nothing(self) -> None:
        """Ports, `copy`: "All or none", though two of the three would have room."""
        viewer, work = self.three(quota=500)
        everything = uids(*viewer.uids)
        self.refuses(OVERQUOTA, viewer.mailbox.copy(everything, name("Work")))
        self.assertEqual((list(work.mailbox.uids()), work.news()), ([], []))
        self.assertEqual(self.now(viewer.mailbox.move(everything, name("Work"))).messages, 3)

    def test_copy_and_move_leave_out_what_is_gone(self) -> None:
        """Ports: "Messages that are gone already are left out, never revived"."""
        viewer, work = self.three()
        first, second, third = viewer.uids
        other = self.view_again(viewer)
        self.expunge(other, first)
        copied = self.now(viewer.mailbox.copy(uids(first, second), name("Work")))
        self.assert_pairs(copied, [second], work)
        other.catch_up()
        self.expunge(other, second)
        moved = self.now(viewer.mailbox.move(uids(first, second, third), name("Work")))
        self.assert_pairs(moved, [third], work)
        self.assertEqual(list(viewer.mailbox.uids()), [])

    def view_again(self, viewer: Viewer) -> Viewer:
        """Another session with the same mailbox."""
        return self.view(self.another_session(self.account), viewer.mailbox.name)

    def test_copy_of_nothing(self) -> None:
        """Ports, `Copied`: "both are empty if ... no message was left to copy"."""
        viewer, work = self.three()
        nothing = uids(*viewer.uids)
        self.expunge(self.view_again(viewer), *viewer.uids)
        for work_done in (viewer.mailbox.copy, viewer.mailbox.move):
            copied = self.now(work_done(nothing, name("Work")))
            self.assertEqual((copied.source, copied.target, copied.messages), ((), (), 0))
            self.assertEqual(copied.uid_validity, work.mailbox.uid_validity)
        self.assertEqual(work.news(), [])

    def test_copies_are_recent(self) -> None:
        r"""RFC 3501 §6.4.7: "the Recent flag SHOULD be set, in the copy"."""
        viewer, work = self.three()
        viewer.mailbox.claim_recent()
        copied = self.now(viewer.mailbox.copy(uids(*viewer.uids), name("Work")))
        self.assertLessEqual(work.mailbox.claim_recent(), copied.target[0])

    # MOVE.

    def test_move_keeps_the_message(self) -> None:
        r"""RFC 6851 §3.3: "a single action", and "the \DELETED flag MUST NOT be set"."""
        viewer, work = self.three()
        before = self.messages(viewer)
        first, _, third = viewer.uids
        moved = self.now(viewer.mailbox.move(uids(first, third), name("Work")))
        self.assert_pairs(moved, [first, third], work)
        self.assertEqual(self.messages(work), [before[0], before[2]])
        self.assertEqual(self.messages(viewer), [before[1]])
        self.assertEqual([change.uids for change in viewer.vanished()], [uids(first, third)])
        self.assertEqual(self.octets(viewer, first), b"a" * 100, "the view still shows it")

    def test_move_wakes_both_mailboxes(self) -> None:
        """Ports, `open`: "*wake* is called ... after the log has grown", each of the two."""
        viewer, work = self.three()
        self.now(viewer.mailbox.move(uids(viewer.uids[0]), name("Work")))
        self.drive()
        self.assertGreater(viewer.wakes, 0)
        self.assertGreater(work.wakes, 0)

    def test_move_within_the_mailbox_gives_new_uids(self) -> None:
        """Ports, `move`: "*target* may be this mailbox"."""
        viewer, _ = self.three()
        before = self.messages(viewer)
        first, second, third = viewer.uids
        moved = self.now(viewer.mailbox.move(uids(first, second), INBOX))
        self.assert_pairs(moved, [first, second], viewer)
        self.assertEqual(list(viewer.mailbox.uids()), [third, *moved.target])
        self.assertEqual(self.messages(viewer), [before[2], *before[:2]])
        kinds = [type(change) for change in viewer.news()]
        self.assertEqual(kinds, [Vanished, Exposed], "exposed later in the log")
        viewer.catch_up()
        self.assertEqual(viewer.uids, list(viewer.mailbox.uids()))

    def test_message_can_be_moved_to_and_fro(self) -> None:
        """RFC 9051 §2.3.1.1: what comes back has a new UID."""
        viewer, work = self.three()
        before = self.messages(viewer)[:1]
        uid = viewer.uids[0]
        [there] = self.now(viewer.mailbox.move(uids(uid), name("Work"))).target
        work.catch_up()
        [back] = self.now(work.mailbox.move(uids(there), INBOX)).target
        self.assertGreater(back, viewer.uids[-1])
        self.assertEqual(self.messages(viewer)[-1:], before)
        self.assertEqual(list(work.mailbox.uids()), [])
        self.assertEqual(
            self.now(viewer.mailbox.vanished_since(viewer.highest_modseq, None)), uids(uid)
        )

    # Writes after the name is another's.

    def test_target_is_whoever_has_the_name(self) -> None:
        """Ports, `copy`: *target* is a name; a mailbox that was renamed has another."""
        viewer, work = self.three()
        self.now(self.account.rename(name("Work"), name("Home")))
        self.refuses(TRYCREATE, viewer.mailbox.copy(uids(*viewer.uids), name("Work")))
        copied = self.now(viewer.mailbox.copy(uids(*viewer.uids), name("Home")))
        self.assert_pairs(copied, viewer.uids, work)
