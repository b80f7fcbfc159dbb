# SPDX-License-Identifier: GPL-3.0-or-later
"""
The contract of a mailbox's log, of who is woken by it, and of what a client learns that comes back.

`tests.contract.case.Viewer` checks each entry that it reads. What docstrings quote after "Ports"
is said in `pluto_tw.imap.ports`, after "Changes" in `pluto_tw.mail.changes`.
"""

from collections.abc import Iterator

from pluto_tw.imap.ports import Account
from pluto_tw.mail.changes import Ended, Exposed, Touched, Vanished
from pluto_tw.mail.flags import Flags
from pluto_tw.mail.messages import StoreMode
from pluto_tw.mail.names import INBOX
from pluto_tw.mail.sets import EMPTY, NumberSet
from pluto_tw.mail.uids import ModSeq
from tests.contract.case import AccountCase, Viewer, Wanted, name, uids


class LogsContract(AccountCase):
    """The log of a mailbox."""

    # What it says.

    def history(self, account: Account) -> Viewer:
        """A session that has been told nothing of a lively history of INBOX."""
        self.fill(account, 6, "\\Seen")
        viewer, other = self.view(account), self.view(account)
        first, second, third, fourth, *_ = viewer.uids
        self.store(other, [first, third], StoreMode.ADD, "\\Flagged")
        self.fill(account, 2)
        self.expunge(other, second)
        self.store(other, [first], StoreMode.REPLACE, "$a")
        self.now(other.mailbox.copy(uids(third), INBOX))
        self.now(other.mailbox.move(uids(fourth), INBOX))
        [last] = self.fill(account, 1)
        self.expunge(other, third, last)
        return viewer

    def test_log_builds_the_view(self) -> None:
        """Ports, `changes`: "The log from position *after* to `position()`"."""
        account = self.make_account()
        viewer = self.history(account)
        kinds = {type(change) for change in viewer.news()}
        self.assertEqual(kinds, {Exposed, Vanished, Touched})
        viewer.catch_up()
        self.assertEqual(viewer.uids, list(viewer.mailbox.uids()))
        self.assertEqual(viewer.uids, self.view(account).uids)
        self.assertEqual(viewer.highest_modseq, viewer.mailbox.highest_modseq())
        self.assertEqual(list(viewer.mailbox.changes(viewer.position) or ()), [])

    def test_log_is_read_from_every_position(self) -> None:
        """Ports, `changes`: "the change i leads to *after* + i + 1"."""
        account = self.make_account()
        viewer = self.history(account)
        whole, start = list(viewer.news()), viewer.position
        for place in range(len(whole) + 1):
            self.assertEqual(list(viewer.mailbox.changes(start + place) or ()), whole[place:])

    def test_positions_of_all_sessions_are_the_same(self) -> None:
        """Changes: "A mailbox keeps one ordered log for all its sessions"."""
        account = self.make_account()
        viewer = self.history(account)
        other = self.view(self.another_session(account), read_only=True)
        self.assertEqual(other.mailbox.position(), viewer.mailbox.position())
        self.assertEqual(other.mailbox.changes(viewer.position), viewer.news())

    def test_log_that_is_too_short_says_so(self) -> None:
        """Ports, `changes`: "None if the log does not reach back so far"."""
        account = self.make_account(Wanted(log_changes_max=3))
        numbers = self.fill(account, 2)
        viewer = self.view(account)
        other = self.view(account)
        for _ in range(10):
            self.store(other, numbers[:1], StoreMode.ADD, "\\Seen")
            self.store(other, numbers[:1], StoreMode.REMOVE, "\\Seen")
        self.expunge(other, numbers[0])
        self.assertIsNone(viewer.mailbox.changes(viewer.position))
        last = viewer.mailbox.changes(viewer.mailbox.position() - 1)
        self.assertEqual([type(change) for change in last or ()], [Vanished])
        self.assertEqual(list(viewer.mailbox.flags(numbers)), list(viewer.flags().values()))
        viewer.catch_up()
        self.assertEqual(viewer.uids, numbers[1:])

    def test_log_that_is_too_short_has_its_end(self) -> None:
        """Ports, `changes`: "The last change is always there", also where it is an `Ended`."""
        account = self.make_account(Wanted(log_changes_max=2))
        self.create(account, "Work")
        viewer = self.view(account, "Work")
        for _ in range(5):
            self.fill(account, 1, box="Work")
        self.now(account.delete(name("Work")))
        self.assertIsNone(viewer.mailbox.changes(viewer.position))
        last = viewer.mailbox.changes(viewer.mailbox.position() - 1)
        self.assertEqual([type(change) for change in last or ()], [Ended])

    def test_every_change_raises_the_modseq(self) -> None:
        """RFC 7162 §3.1: that of the second "MUST be greater" than that of the first."""
        account = self.make_account()
        viewer = self.history(account)
        told = [change.modseq for change in viewer.news() if not isinstance(change, Ended)]
        self.assertEqual(told, sorted(told))
        self.assertGreater(told[0], viewer.highest_modseq)
        viewer.catch_up()
        modseqs = viewer.mailbox.modseqs(viewer.uids)
        self.assertLessEqual(max(modseqs), viewer.mailbox.highest_modseq())
        self.assertGreaterEqual(min(modseqs), 1)

    # Wakes.

    def test_sessions_are_woken_when_the_log_has_grown(self) -> None:
        """Ports, `open`: "*wake* is called ... after the log has grown"."""
        account = self.make_account()
        self.fill(account, 1)
        viewer, other = self.view(self.another_session(account)), self.view(account)
        seen: list[int] = []
        viewer.when_woken = lambda: seen.append(viewer.mailbox.position())
        before = viewer.position
        for change in (
            lambda: self.store(other, other.uids, StoreMode.ADD, "\\Deleted"),
            lambda: self.now(other.mailbox.expunge(uids(*other.uids))),
            lambda: self.fill(account, 1),
            lambda: self.now(other.mailbox.copy(uids(*other.mailbox.uids()), INBOX)),
        ):
            change()
            self.drive()
            self.assertGreater(viewer.mailbox.position(), before)
            before = viewer.mailbox.position()
            self.assertEqual(seen[-1:], [before])
        self.assertGreater(other.wakes, 0, "who changes something is woken as well")

    def test_session_that_left_is_not_woken(self) -> None:
        """Ports, `close`: "no more wakes. Harmless when repeated"."""
        account = self.make_account()
        viewer = self.view(account)
        viewer.mailbox.close()
        viewer.mailbox.close()
        self.fill(account, 1)
        self.drive()
        self.assertEqual(viewer.wakes, 0)

    def test_session_may_leave_when_it_is_woken(self) -> None:
        """A session that sees an `Ended` closes at once; the others are woken all the same."""
        account = self.make_account()
        self.create(account, "Work")
        viewers = [self.view(account, "Work") for _ in range(3)]
        for viewer in viewers:
            viewer.when_woken = viewer.mailbox.close
        self.now(account.delete(name("Work")))
        self.drive()
        self.assertEqual([viewer.wakes for viewer in viewers], [1, 1, 1])

    def test_session_that_another_s_wake_ends_is_not_woken(self) -> None:
        """Ports, `close`: "no more wakes", though it was about to be woken."""
        account = self.make_account()
        viewer, other = self.view(account), self.view(account)
        viewer.when_woken = other.mailbox.close
        other.when_woken = viewer.mailbox.close
        self.fill(account, 1)
        self.drive()
        self.assertEqual(viewer.wakes + other.wakes, 1)

    # What changed since.

    def prefixes(self, viewer: Viewer) -> Iterator[tuple[ModSeq, NumberSet, dict[int, Flags]]]:
        """
        What clients knew that were told the log up to each place where a session may stop.

        The mod-sequence, the UIDs, and the flags then; a session stops in front of a `Vanished`.
        """
        for change in viewer.news():
            if isinstance(change, Vanished):
                yield viewer.highest_modseq, NumberSet.of(viewer.uids), viewer.flags()
            viewer.catch_up(1)
        yield viewer.highest_modseq, NumberSet.of(viewer.uids), viewer.flags()

    def test_client_that_comes_back_misses_nothing(self) -> None:
        """RFC 7162 §3.2.5: changed and vanished since the mod-sequence of any prefix."""
        account = self.make_account()
        viewer = self.history(account)
        newest = self.view(account)
        exposed = NumberSet.of(newest.uids)
        known = list(self.prefixes(viewer))
        self.assertGreater(len(known), 3)
        for modseq, shown, _ in known:
            changed = self.now(newest.mailbox.changed_since(modseq))
            modseqs = zip(newest.uids, newest.mailbox.modseqs(newest.uids), strict=True)
            above = NumberSet.of(uid for uid, own in modseqs if own > modseq)
            self.assertEqual(above - changed, EMPTY, "at least all above it")
            self.assertEqual(exposed - shown - changed, EMPTY, "new ones are above it")
            for vanished in (
                self.now(newest.mailbox.vanished_since(modseq, None)),
                self.now(newest.mailbox.vanished_since(modseq, shown)),
            ):
                self.assertEqual(shown - exposed - vanished, EMPTY, "at least all that vanished")
                self.assertEqual(vanished & exposed, EMPTY, "no UID that is exposed")

    def test_flags_that_changed_are_above_the_modseq(self) -> None:
        """RFC 7162 §3.1.4.1: CHANGEDSINCE tells each message whose metadata has changed."""
        account = self.make_account()
        numbers = self.fill(account, 5)
        viewer = self.view(account)
        since = viewer.highest_modseq
        self.store(viewer, numbers[1:3], StoreMode.ADD, "\\Seen")
        changed = self.now(viewer.mailbox.changed_since(since))
        self.assertEqual(uids(*numbers[1:3]) - changed, EMPTY)
        newest = viewer.mailbox.highest_modseq()
        self.assertEqual(
            self.now(viewer.mailbox.changed_since(newest)), EMPTY, "all were told here"
        )

    def test_vanished_are_of_the_known(self) -> None:
        """Ports, `vanished_since`: "all UIDs of *known* that vanished after *modseq*"."""
        account = self.make_account()
        numbers = self.fill(account, 4)
        viewer = self.view(account)
        since = viewer.highest_modseq
        self.expunge(viewer, *numbers[:2])
        mailbox = viewer.mailbox
        self.assertEqual(
            self.now(mailbox.vanished_since(since, uids(numbers[0]))), uids(numbers[0])
        )
        self.assertEqual(
            self.now(mailbox.vanished_since(since, uids(*numbers))), uids(*numbers[:2])
        )
        self.assertEqual(self.now(mailbox.vanished_since(since, EMPTY)), EMPTY)
        newest = mailbox.highest_modseq()
        self.assertEqual(
            self.now(mailbox.vanished_since(newest, None)), EMPTY, "all were told here"
        )

    def test_client_that_knows_no_modseq_is_told_all(self) -> None:
        """Ports: `changed_since` and `vanished_since` of 0, which no message has."""
        account = self.make_account()
        viewer = self.history(account)
        newest = self.view(account)
        changed = self.now(newest.mailbox.changed_since(ModSeq(0)))
        self.assertEqual(NumberSet.of(newest.uids) - changed, EMPTY)
        vanished = self.now(newest.mailbox.vanished_since(ModSeq(0), None))
        self.assertEqual(NumberSet.of(viewer.uids) - NumberSet.of(newest.uids) - vanished, EMPTY)
