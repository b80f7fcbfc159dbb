# SPDX-License-Identifier: GPL-3.0-or-later
"""
The contract of a selected mailbox: its log, what sessions see in it, and for how long.

`tests.contract.case.Viewer` checks each entry that it reads. What docstrings quote after "Ports"
is said in `pluto_tw.imap.ports`, after "Changes" in `pluto_tw.mail.changes`.
"""

from collections.abc import Iterator

from pluto_tw.imap.ports import Account, StoreMode
from pluto_tw.mail.changes import Ended, Exposed, Touched, Vanished
from pluto_tw.mail.codes import NONEXISTENT
from pluto_tw.mail.flags import RECENT, Flags
from pluto_tw.mail.names import INBOX
from pluto_tw.mail.sets import EMPTY, NumberSet
from pluto_tw.mail.uids import ModSeq, Uid
from tests.contract.case import AccountCase, Mail, Viewer, Wanted, flags, name, uids


class ViewsContract(AccountCase):
    """Sessions that have a mailbox selected."""

    # Opening.

    def test_open_mailbox_says_what_it_is(self) -> None:
        """Ports, `OpenMailbox`: "A mailbox as one session selected it"."""
        account = self.make_account()
        self.create(account, "Work")
        numbers = self.fill(account, 3, box="Work")
        for read_only in (False, True):
            mailbox = self.view(account, "Work", read_only=read_only).mailbox
            self.assertEqual((mailbox.name, mailbox.read_only), ("Work", read_only))
            self.assertEqual(mailbox.mailbox_id, self.names(account)["Work"].mailbox_id)
            self.assertEqual(mailbox.uid_validity, self.uid_validity(account, "Work"))
            self.assertEqual(list(mailbox.uids()), numbers)
            self.assertGreater(mailbox.uid_next(), numbers[-1])

    def test_missing_mailbox_cannot_be_opened(self) -> None:
        """Ports, `open`: "No: NONEXISTENT"."""
        account = self.make_account()
        self.refuses(NONEXISTENT, account.open(name("Work"), False, lambda: None))

    def test_highest_modseq_of_an_empty_mailbox(self) -> None:
        """Ports, `highest_modseq`: "At least 1"."""
        account = self.make_account()
        self.create(account, "Work")
        for box in (INBOX, "Work"):
            self.assertGreaterEqual(self.view(account, box).mailbox.highest_modseq(), 1)

    # The log.

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
        self.assertEqual(viewer.mailbox.position() - viewer.position, 22)
        last = viewer.mailbox.changes(viewer.mailbox.position() - 1)
        self.assertEqual([type(change) for change in last or ()], [Vanished])
        self.assertEqual(list(viewer.mailbox.flags(numbers)), list(viewer.flags().values()))
        viewer.catch_up()
        self.assertEqual(viewer.uids, numbers[1:])

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
        seen: list[int] = []
        mailbox = self.now(
            self.another_session(account).open(
                INBOX, False, lambda: seen.append(mailbox.position())
            )
        )
        self.addCleanup(mailbox.close)
        before = mailbox.position()
        other = self.view(account)
        self.store(other, other.uids, StoreMode.ADD, "\\Deleted")
        self.assertIn(before + 1, self.settled(seen))
        self.now(other.mailbox.expunge(uids(*other.uids)))
        self.assertIn(before + 2, self.settled(seen))
        self.fill(account, 1)
        self.assertIn(before + 3, self.settled(seen))
        self.assertTrue(all(position > before for position in seen), "never before")
        self.assertGreater(other.wakes, 0, "who changes something is woken as well")

    def settled(self, seen: list[int]) -> list[int]:
        """*seen*, once whatever is under way has happened."""
        self.drive()
        return seen

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

    # Messages that have vanished.

    def test_vanished_messages_stay_readable_until_told(self) -> None:
        """Ports: "what the session shows stays readable ... until the session says by `told`"."""
        account = self.make_account()
        numbers = self.append(account, INBOX, Mail(b"first", flags("$a")), Mail(b"second")).uids
        viewer, other = self.view(account), self.view(self.another_session(account))
        ids = viewer.email_ids()
        facts = self.now(viewer.mailbox.facts(numbers))
        self.expunge(other, *numbers)
        other.catch_up()
        self.fill(account, 1)
        mailbox = viewer.mailbox
        self.assertEqual(list(mailbox.flags(numbers)), [flags("$a \\Deleted"), flags("\\Deleted")])
        self.assertEqual(list(mailbox.sizes(numbers)), [5, 6])
        self.assertEqual(viewer.email_ids(), ids)
        self.assertEqual(self.now(mailbox.facts(numbers)), facts)
        self.assertEqual(len(mailbox.modseqs(numbers)), 2)
        self.assertEqual(len(mailbox.internal_dates(numbers)), 2)
        self.assertEqual([self.octets(viewer, uid) for uid in numbers], [b"first", b"second"])
        viewer.catch_up()
        self.assertEqual(len(viewer.uids), 1)

    def test_prefix_of_the_log_stays_readable(self) -> None:
        """Ports, `told`: "messages vanished before may go", those that vanished behind it stay."""
        account = self.make_account()
        viewer, other = self.view(account), self.view(account)
        [first] = self.fill(account, 1)
        self.expunge(other, first)
        [second] = self.append(account, INBOX, Mail(b"second")).uids
        self.expunge(other, second)
        # Up to the exposure of the second: it is gone already, but not in this view.
        viewer.catch_up(4)
        self.assertEqual(viewer.uids, [second])
        self.assertEqual(self.octets(viewer, second), b"second")
        self.assertEqual(list(viewer.mailbox.sizes([second])), [6])

    def test_messages_stay_readable_where_the_log_is_too_short(self) -> None:
        """Ports: "what the session shows stays readable, also when it has vanished for others"."""
        account = self.make_account(Wanted(log_changes_max=2))
        numbers = self.fill(account, 4)
        viewer, other = self.view(account), self.view(account)
        for uid in numbers:
            self.expunge(other, uid)
        self.assertIsNone(viewer.mailbox.changes(viewer.position))
        self.assertEqual(set(viewer.flags().values()), {flags("\\Deleted")})

    # The mailbox ends.

    def test_deleted_mailbox_ends_its_sessions(self) -> None:
        """Changes, `Ended`: "Nothing follows it in the log"."""
        account = self.make_account()
        self.create(account, "Work")
        [uid] = self.append(account, name("Work"), Mail(b"octets")).uids
        viewer = self.view(self.another_session(account), "Work")
        self.now(account.delete(name("Work")))
        self.drive()
        self.assertGreater(viewer.wakes, 0)
        self.assertIsInstance(viewer.news()[-1], Ended)
        position = viewer.mailbox.position()
        self.assertEqual(self.octets(viewer, uid), b"octets", "the view holds it still")
        self.create(account, "Work")
        self.fill(account, 1, box="Work")
        self.assertEqual(viewer.mailbox.position(), position)

    def test_writes_to_an_ended_mailbox_do_nothing(self) -> None:
        """Ports: "Messages that are gone already are left out, never revived"."""
        account = self.make_account()
        self.create(account, "Work")
        numbers = self.fill(account, 2, "\\Deleted", box="Work")
        viewer = self.view(account, "Work")
        self.now(account.delete(name("Work")))
        position = viewer.mailbox.position()
        stored = self.store(viewer, numbers, StoreMode.ADD, "\\Seen")
        self.assertEqual((stored.changed, stored.gone), (EMPTY, uids(*numbers)))
        self.assertEqual(self.now(viewer.mailbox.expunge(uids(*numbers))), EMPTY)
        self.assertEqual(self.now(viewer.mailbox.copy(uids(*numbers), INBOX)).messages, 0)
        self.assertEqual(self.now(viewer.mailbox.move(uids(*numbers), INBOX)).messages, 0)
        self.assertEqual(viewer.mailbox.position(), position)
        self.assertEqual(self.now(account.status(INBOX)).messages, 0)

    # Keywords, \Recent, what the core derives.

    def test_keywords_are_the_same_object_until_there_is_a_new_one(self) -> None:
        """Ports, `keywords`: "the same object as long as there is no new one"."""
        account = self.make_account()
        numbers = self.fill(account, 2, "$a \\Seen")
        viewer = self.view(account)
        keywords = viewer.mailbox.keywords()
        self.assertEqual(keywords, flags("$a"))
        self.store(viewer, numbers, StoreMode.REPLACE, "\\Flagged")
        self.fill(account, 1, "$a")
        self.assertIs(viewer.mailbox.keywords(), keywords, "once used is enough")
        self.assertTrue(viewer.mailbox.takes_new_keywords())
        self.store(viewer, numbers, StoreMode.ADD, "$b")
        self.assertEqual(viewer.mailbox.keywords(), flags("$a $b"))
        self.assertEqual(self.view(account).mailbox.keywords(), flags("$a $b"))

    def test_keywords_are_a_mailbox_s(self) -> None:
        """Ports, `keywords`: those in use, or once used, in this mailbox."""
        account = self.make_account()
        self.create(account, "Work")
        self.fill(account, 1, "$a", box="Work")
        self.assertEqual(self.view(account).mailbox.keywords(), frozenset())

    def test_first_spelling_of_a_keyword_stays(self) -> None:
        """RFC 9051 §9, note 1: flags are compared without regard to case."""
        account = self.make_account()
        [uid] = self.fill(account, 1, "MyLabel")
        viewer = self.view(account)
        self.fill(account, 1, "MYLABEL")
        viewer.catch_up()
        self.assertEqual(set(viewer.flags().values()), {flags("MyLabel")})
        self.assertEqual(self.store(viewer, [uid], StoreMode.ADD, "mylabel").changed, EMPTY)
        self.assertEqual(self.store(viewer, [uid], StoreMode.REMOVE, "mylabel").changed, uids(uid))
        self.assertEqual(viewer.flags()[uid], frozenset())
        self.store(viewer, [uid], StoreMode.REPLACE, "mylabeL \\Seen")
        self.assertEqual(viewer.flags()[uid], flags("MyLabel \\Seen"))
        self.assertEqual(viewer.mailbox.keywords(), flags("MyLabel"))

    def test_flags_hold_no_recent(self) -> None:
        r"""Ports, `flags`: "Without `\Recent`"."""
        account = self.make_account()
        self.fill(account, 1, "\\Seen")
        viewer = self.view(account)
        viewer.mailbox.claim_recent()
        found: Flags = frozenset().union(*viewer.flags().values())
        self.assertNotIn(RECENT, found)

    def test_message_is_recent_in_one_session(self) -> None:
        r"""Ports, `claim_recent`: "`\Recent` in this session and in no other"."""
        account = self.make_account()
        first = self.fill(account, 2)
        reader = self.view(account, read_only=True)
        self.assertEqual(self.now(account.status(INBOX)).recent, 2, "EXAMINE claims none")
        viewer, other = self.view(account), self.view(self.another_session(account))
        self.assertEqual(self.claimed(viewer), first)
        self.assertEqual(self.claimed(other), [])
        self.assertEqual(self.now(account.status(INBOX)).recent, 0)
        second = self.fill(account, 2)
        self.assertEqual(self.now(account.status(INBOX)).recent, 2)
        other.catch_up()
        self.assertEqual(self.claimed(other), second)
        viewer.catch_up()
        self.assertEqual(self.claimed(viewer), [])
        reader.catch_up()

    def claimed(self, viewer: Viewer) -> list[Uid]:
        lowest = viewer.mailbox.claim_recent()
        return [Uid(uid) for uid in viewer.uids if uid >= lowest]

    def test_what_is_derived_is_shared(self) -> None:
        """Ports, `derived`: "shared by all sessions that have it selected"."""
        account = self.make_account()
        self.create(account, "Work")
        viewer, other = self.view(account), self.view(self.another_session(account))
        viewer.mailbox.derived["envelope", 1] = b"an envelope"
        self.assertEqual(other.mailbox.derived["envelope", 1], b"an envelope")
        self.assertNotIn(("envelope", 1), self.view(account, "Work").mailbox.derived)

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
