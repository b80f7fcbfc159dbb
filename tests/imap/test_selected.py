# SPDX-License-Identifier: GPL-3.0-or-later
import re
from collections.abc import Coroutine
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from pluto_tw.imap.ports import OpenMailbox
from pluto_tw.imap.selected import Features, Selected
from pluto_tw.mail.changes import Ended
from pluto_tw.mail.errors import Bad
from pluto_tw.mail.flags import FLAGGED, SEEN, Flag, flag
from pluto_tw.mail.messages import StoreMode
from pluto_tw.mail.names import INBOX
from pluto_tw.mail.sets import NumberSet, SequenceSet
from pluto_tw.net.waiting import ReactorWaiting
from tests.support.account import MemoryAccount

MESSAGE = b"Subject: x\r\n\r\ntext\r\n"
PLAIN = Features()
REV2 = Features(rev2=True)
CONDSTORE = Features(rev2=True, condstore=True)
QRESYNC = Features(rev2=True, condstore=True, qresync=True)


def now(work: Coroutine[Any, Any, Any]) -> Any:
    """The result of *work*, which must not wait."""
    try:
        work.send(None)
    except StopIteration as done:
        return done.value
    raise AssertionError("it waits")


class SelectedCase(SynchronousTestCase):
    """A mailbox with three messages, UIDs 1 to 3, and a way to select it."""

    def setUp(self) -> None:
        self.account = MemoryAccount(waiting=ReactorWaiting(Clock()))
        for _ in range(3):
            self.account.deliver(MESSAGE)

    def opened(self, *, read_only: bool = True) -> OpenMailbox:
        mailbox: OpenMailbox = now(self.account.open(INBOX, read_only, lambda: None))
        return mailbox

    def selected(self, *, read_only: bool = True) -> Selected:
        """A view whose client was told of the keywords."""
        selected = Selected(self.opened(read_only=read_only))
        selected.keyword_lines(REV2)
        return selected

    def store(self, *uids: int, flags: Flag, mode: StoreMode = StoreMode.ADD) -> int:
        stored = now(
            self.opened(read_only=False).store(NumberSet.of(uids), mode, frozenset({flags}), None)
        )
        return int(stored.modseq)

    def news(
        self, selected: Selected, features: Features = REV2, *, expunge_allowed: bool = True
    ) -> list[bytes]:
        lines, ended = selected.news(features, expunge_allowed=expunge_allowed)
        assert ended is None
        return lines


class NamingTests(SelectedCase):
    def test_numbers_are_places_in_the_view(self) -> None:
        """RFC 9051 §2.3.1.2: "relative positions in the mailbox, from 1"."""
        selected = self.selected()
        self.account.remove(INBOX, 2)
        self.news(selected)
        self.assertEqual([selected.number(uid) for uid in (1, 2, 3)], [1, 0, 2])

    def test_a_number_beyond_the_mailbox_is_bad(self) -> None:
        """RFC 9051 §9: "the server should respond with a tagged BAD response"."""
        selected = self.selected()
        self.assertRaises(Bad, selected.by_numbers, SequenceSet.parse(b"2:4"))

    def test_star_in_an_empty_mailbox_is_bad(self) -> None:
        """RFC 9051 §9: there is no such sequence number."""
        selected = self.selected()
        self.account.remove(INBOX, 1, 2, 3)
        self.news(selected)
        self.assertRaises(Bad, selected.by_numbers, SequenceSet.parse(b"*"))

    def test_unknown_uids_are_passed_over(self) -> None:
        """RFC 9051 §6.4.9: "A non-existent unique identifier is ignored"."""
        messages = self.selected().by_uids(SequenceSet.parse(b"2,9:11"))
        self.assertEqual(list(zip(messages.numbers, messages.uids, strict=True)), [(2, 2)])

    def test_star_is_the_last_uid_of_the_view(self) -> None:
        """RFC 9051 §9: "559:*" always has the last message."""
        messages = self.selected().by_uids(SequenceSet.parse(b"559:*"))
        self.assertEqual(list(messages.uids), [3])


class NewsTests(SelectedCase):
    def test_nothing_new(self) -> None:
        selected = self.selected()
        self.assertFalse(selected.has_news())
        self.assertEqual(self.news(selected), [])

    def test_arrivals(self) -> None:
        """RFC 9051 §7.4.1: EXISTS tells the new size, once."""
        selected = self.selected()
        self.account.deliver(MESSAGE)
        self.account.deliver(MESSAGE)
        self.assertTrue(selected.has_news())
        self.assertEqual(self.news(selected), [b"* 5 EXISTS\r\n"])
        self.assertFalse(selected.has_news())

    def test_expunged_from_the_highest_down(self) -> None:
        """RFC 9051 §7.5.1: each EXPUNGE shifts what is above it."""
        selected = self.selected()
        self.account.remove(INBOX, 1, 3)
        self.assertEqual(self.news(selected), [b"* 3 EXPUNGE\r\n", b"* 1 EXPUNGE\r\n"])

    def test_vanished_for_qresync(self) -> None:
        """RFC 7162 §3.2.10: VANISHED takes the place of EXPUNGE."""
        selected = self.selected()
        self.account.remove(INBOX, 1, 2)
        self.assertEqual(self.news(selected, QRESYNC), [b"* VANISHED 1:2\r\n"])

    def test_arrivals_wait_behind_an_expunge_that_may_not_be_told(self) -> None:
        """The view is a prefix of the log; HIGHESTMODSEQ is that of the prefix."""
        selected = self.selected()
        before = selected.highest_modseq
        self.account.remove(INBOX, 1)
        self.account.deliver(MESSAGE)
        self.assertEqual(self.news(selected, expunge_allowed=False), [])
        self.assertEqual(selected.highest_modseq, before)
        self.assertEqual(self.news(selected), [b"* 1 EXPUNGE\r\n", b"* 3 EXISTS\r\n"])
        self.assertEqual(selected.highest_modseq, selected.mailbox.highest_modseq())

    def test_flags_overtake_an_expunge_that_may_not_be_told(self) -> None:
        """Touches of messages that the session shows may be told ahead, and only once."""
        selected = self.selected()
        self.account.remove(INBOX, 1)
        self.store(2, flags=SEEN)
        told = [b"* 2 FETCH (UID 2 FLAGS (\\Seen))\r\n"]
        self.assertEqual(self.news(selected, expunge_allowed=False), told)
        self.assertEqual(self.news(selected), [b"* 1 EXPUNGE\r\n"])

    def test_what_has_vanished_stays_readable_until_told(self) -> None:
        """A session keeps what it shows: pins."""
        selected = self.selected()
        self.store(1, flags=FLAGGED)
        self.account.remove(INBOX, 1)
        told = [b"* 1 FETCH (UID 1 FLAGS (\\Flagged))\r\n"]
        self.assertEqual(self.news(selected, expunge_allowed=False), told)
        self.assertEqual(list(selected.mailbox.flags([1])), [frozenset({FLAGGED})])

    def test_a_message_that_came_and_went_is_not_told(self) -> None:
        """No EXPUNGE of a number that the client was never told of."""
        selected = self.selected()
        uid = self.account.deliver(MESSAGE)
        self.account.remove(INBOX, uid)
        self.assertEqual(self.news(selected), [])

    def test_flags_of_arrivals_are_not_told(self) -> None:
        """The client asks for what it hears of only now."""
        selected = self.selected()
        self.store(self.account.deliver(MESSAGE), flags=SEEN)
        self.assertEqual(self.news(selected), [b"* 4 EXISTS\r\n"])

    def test_a_renumbered_message_is_expunged_and_exists_again(self) -> None:
        """Old UID gone, new UID above all others."""
        selected = self.selected()
        self.account.renumber(INBOX, 2)
        self.assertEqual(self.news(selected), [b"* 2 EXPUNGE\r\n", b"* 3 EXISTS\r\n"])
        self.assertEqual(list(selected.uids), [1, 3, 4])

    def test_mod_sequences_for_those_who_asked(self) -> None:
        """RFC 7162 §3.1.3: also when only the mod-sequence rose."""
        selected = self.selected()
        raised = self.account.raise_modseq(INBOX, 3)
        stored = self.store(1, flags=SEEN)
        self.assertEqual(
            self.news(selected, CONDSTORE),
            [
                b"* 3 FETCH (UID 3 MODSEQ (%d))\r\n" % raised,
                b"* 1 FETCH (UID 1 FLAGS (\\Seen) MODSEQ (%d))\r\n" % stored,
            ],
        )

    def test_mod_sequences_alone_are_no_news_to_others(self) -> None:
        selected = self.selected()
        self.account.raise_modseq(INBOX, 3)
        self.assertEqual(self.news(selected), [])

    def test_silence(self) -> None:
        """What the client changed itself is not repeated; what others changed is told."""
        selected = self.selected()
        modseq = self.store(1, flags=SEEN)
        self.store(2, flags=SEEN)
        selected.silence(type(selected.highest_modseq)(modseq), NumberSet.of([1]))
        told = [b"* 2 FETCH (UID 2 FLAGS (\\Seen))\r\n"]
        self.assertEqual(self.news(selected), told)

    def test_new_keywords_are_told_before_they_are_used(self) -> None:
        """RFC 9051 §7.3.5."""
        selected = self.selected()
        self.store(1, flags=flag("$Work"))
        lines = self.news(selected)
        self.assertEqual(
            lines[0], b"* FLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft $Work)\r\n"
        )
        self.assertTrue(lines[1].startswith(b"* OK [PERMANENTFLAGS ()]"))
        self.assertEqual(lines[2], b"* 1 FETCH (UID 1 FLAGS ($Work))\r\n")

    def test_the_end_is_told_where_expunge_may_be(self) -> None:
        """A mailbox that is not the same any more freezes the view, then ends the session."""
        selected = self.selected()
        self.account.replace(INBOX)
        self.assertEqual(selected.news(REV2, expunge_allowed=False), ([], None))
        _, ended = selected.news(REV2, expunge_allowed=True)
        self.assertIsInstance(ended, Ended)


class RecentTests(SelectedCase):
    def test_the_first_writer_takes_recent(self) -> None:
        """RFC 3501 §2.3.2: only the first session is notified."""
        first = self.selected(read_only=False)
        second = self.selected(read_only=False)
        self.assertEqual(first.size_lines(PLAIN)[1], b"* 3 RECENT\r\n")
        self.assertEqual(second.size_lines(PLAIN)[1], b"* 0 RECENT\r\n")

    def test_readers_do_not_take_it(self) -> None:
        """RFC 3501 §6.3.2, EXAMINE: "no loss of \\Recent"."""
        self.selected(read_only=True)
        self.assertEqual(self.selected(read_only=False).size_lines(PLAIN)[1], b"* 3 RECENT\r\n")

    def test_arrivals_are_recent_where_they_are_told_first(self) -> None:
        selected = self.selected(read_only=False)
        self.account.deliver(MESSAGE)
        self.assertEqual(self.news(selected, PLAIN), [b"* 4 EXISTS\r\n", b"* 4 RECENT\r\n"])
        self.assertEqual(
            selected.flag_lines([4], PLAIN), [b"* 4 FETCH (UID 4 FLAGS (\\Recent))\r\n"]
        )
        self.assertEqual(selected.flag_lines([4], REV2), [b"* 4 FETCH (UID 4 FLAGS ())\r\n"])

    def test_arrivals_behind_a_withheld_expunge_stay_recent(self) -> None:
        """What was claimed is `\\Recent` here, also if it is told only later."""
        selected = self.selected(read_only=False)
        self.account.deliver(MESSAGE)
        self.account.remove(INBOX, 1)
        self.account.deliver(MESSAGE)
        lines = self.news(selected, PLAIN, expunge_allowed=False)
        self.assertEqual(lines, [b"* 4 EXISTS\r\n", b"* 4 RECENT\r\n"])
        lines = self.news(selected, PLAIN)
        told = [b"* 1 EXPUNGE\r\n", b"* 4 EXISTS\r\n", b"* 4 RECENT\r\n"]
        self.assertEqual(lines, told)


class ShortLogTests(SelectedCase):
    """The log does not reach back to the session's position: the states are compared."""

    def setUp(self) -> None:
        super().setUp()
        self.account.limits.log_changes_max = 1

    def test_expunged_arrived_and_touched(self) -> None:
        selected = self.selected()
        self.store(3, flags=SEEN)
        self.account.remove(INBOX, 1)
        self.account.deliver(MESSAGE)
        self.assertEqual(
            self.news(selected),
            [b"* 1 EXPUNGE\r\n", b"* 3 EXISTS\r\n", b"* 2 FETCH (UID 3 FLAGS (\\Seen))\r\n"],
        )
        self.assertEqual(selected.highest_modseq, selected.mailbox.highest_modseq())
        self.assertEqual(self.news(selected), [])

    def test_without_expunge_only_flags_are_told(self) -> None:
        selected = self.selected()
        before = selected.highest_modseq
        self.account.remove(INBOX, 1)
        self.account.deliver(MESSAGE)
        self.store(3, flags=SEEN)
        told = [b"* 3 FETCH (UID 3 FLAGS (\\Seen))\r\n"]
        self.assertEqual(self.news(selected, expunge_allowed=False), told)
        self.assertEqual(selected.highest_modseq, before)
        self.assertEqual(self.news(selected), [b"* 1 EXPUNGE\r\n", b"* 3 EXISTS\r\n"])

    def test_the_end_is_told(self) -> None:
        selected = self.selected()
        self.account.deliver(MESSAGE)
        self.account.deliver(MESSAGE)
        self.account.replace(INBOX)
        _, ended = selected.news(REV2, expunge_allowed=True)
        self.assertIsInstance(ended, Ended)

    def test_the_end_waits_for_expunge_to_be_allowed(self) -> None:
        """Not told now is told later, although nothing of the view has vanished."""
        selected = self.selected()
        self.account.deliver(MESSAGE)
        self.account.replace(INBOX)
        _, ended = selected.news(REV2, expunge_allowed=False)
        self.assertIsNone(ended)
        self.assertTrue(selected.has_news())
        _, ended = selected.news(REV2, expunge_allowed=True)
        self.assertIsInstance(ended, Ended)


class ClientModel:
    """What a client knows of the mailbox from untagged responses alone."""

    def __init__(self, uids: list[int]) -> None:
        #: None: it has heard of the message, but has not asked for its UID.
        self.uids: list[int | None] = [*uids]
        self.flags: dict[int, bytes] = {}

    def take(self, line: bytes) -> None:
        """Believes *line*; fails where no client could."""
        if match := re.fullmatch(rb"\* (\d+) EXISTS\r\n", line):
            assert int(match[1]) > len(self.uids), "EXISTS never shrinks a mailbox"
            self.uids += [None] * (int(match[1]) - len(self.uids))
        elif match := re.fullmatch(rb"\* (\d+) EXPUNGE\r\n", line):
            del self.uids[int(match[1]) - 1]
        elif match := re.fullmatch(rb"\* VANISHED (\S+)\r\n", line):
            # RFC 7162 §3.2.10.2: each UID takes one message away, whether its UID is known or not.
            for uid in NumberSet.parse(match[1]):
                self.uids.remove(uid if uid in self.uids else None)
        elif match := re.match(rb"\* (\d+) FETCH \(UID (\d+) (?:FLAGS (\(.*?\)))?", line):
            number, uid = int(match[1]), int(match[2])
            assert self.uids[number - 1] in (None, uid), "numbers and UIDs agree"
            if match[3] is not None:
                self.flags[uid] = match[3]
        else:
            assert line.startswith((b"* FLAGS", b"* OK [PERMANENTFLAGS")), line

    def ask(self, selected: Selected) -> None:
        """FETCH 1:* (UID FLAGS)"""
        self.uids = [*selected.uids]
        for line in selected.flag_lines(selected.uids, REV2):
            self.take(line)


ACTIONS = st.one_of(
    st.tuples(st.just("deliver"), st.just(0)),
    st.tuples(
        st.sampled_from(["remove", "renumber", "seen", "unseen", "touch"]), st.integers(0, 9)
    ),
    st.tuples(st.sampled_from(["tell", "tell without expunge", "ask"]), st.just(0)),
)


class ViewProperties(SynchronousTestCase):
    @settings(max_examples=200)
    @given(
        st.lists(ACTIONS, max_size=30), st.sampled_from([REV2, QRESYNC]), st.sampled_from([1000, 3])
    )
    def test_a_client_that_believes_us_knows_the_mailbox(
        self, actions: list[tuple[str, int]], features: Features, log_changes_max: int
    ) -> None:
        """Whatever happens and whenever it is told, in the end the client's view is the truth."""
        account = MemoryAccount(waiting=ReactorWaiting(Clock()))
        account.limits.log_changes_max = log_changes_max
        mailbox: OpenMailbox = now(account.open(INBOX, True, lambda: None))
        writer: OpenMailbox = now(account.open(INBOX, False, lambda: None))
        selected = Selected(mailbox)
        client = ClientModel([])
        for action, choice in [*actions, ("tell", 0), ("ask", 0)]:
            uids = list(mailbox.uids())
            chosen = uids[choice % len(uids)] if uids else 0
            if action == "deliver":
                account.deliver(MESSAGE)
            elif action == "ask":
                client.ask(selected)
            elif action.startswith("tell"):
                lines, ended = selected.news(features, expunge_allowed=action == "tell")
                assert ended is None
                for line in lines:
                    client.take(line)
                self.assertEqual(len(client.uids), len(selected.uids))
                if action == "tell":
                    self.assertEqual(list(selected.uids), list(mailbox.uids()))
                    self.assertEqual(selected.highest_modseq, mailbox.highest_modseq())
            elif not uids:
                continue
            elif action == "remove":
                account.remove(INBOX, chosen)
            elif action == "renumber":
                account.renumber(INBOX, chosen)
            elif action == "touch":
                account.raise_modseq(INBOX, chosen)
            else:
                mode = StoreMode.ADD if action == "seen" else StoreMode.REMOVE
                now(writer.store(NumberSet.of([chosen]), mode, frozenset({SEEN}), None))
        told = {uid: client.flags[uid] for uid in mailbox.uids()}
        true = {
            uid: b"(\\Seen)" if SEEN in flags else b"()"
            for uid, flags in zip(mailbox.uids(), mailbox.flags(mailbox.uids()), strict=True)
        }
        self.assertEqual(told, true)
