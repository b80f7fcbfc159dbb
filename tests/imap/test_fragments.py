# SPDX-License-Identifier: GPL-3.0-or-later
from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pluto_tw.imap import attributes, fragments
from pluto_tw.imap.fetch_items import Attribute, parse_items
from pluto_tw.imap.fragments import BLOCK_MESSAGES, FORMS_MAX, Form
from pluto_tw.imap.grammar import Arguments
from pluto_tw.imap.selected import Features, Selected
from pluto_tw.mail.flags import FLAGGED, SEEN, Flag, Flags
from tests.support.connection import Client, World

UID_FLAGS: Form = (Attribute.UID, Attribute.FLAGS)
FORMS: tuple[Form, ...] = (
    UID_FLAGS,
    (Attribute.FLAGS,),
    (Attribute.UID, Attribute.MODSEQ, Attribute.FLAGS),
    (Attribute.MODSEQ, Attribute.UID),
)
OCTETS = b"Subject: s\r\n\r\nt\r\n"


class Mailbox:
    r"""INBOX with *size* messages, and sessions that have it selected; the first has \Recent."""

    def __init__(self, size: int = 0) -> None:
        self.world = World()
        for place in range(size):
            self.deliver(frozenset({SEEN}) if place % 3 else frozenset())
        self.first = self.select()
        self.second = self.select()

    def deliver(self, flags: Flags = frozenset()) -> None:
        self.world.account.deliver(OCTETS, flags=flags)

    def select(self) -> Client:
        client = self.world.logged_in()
        assert b"OK [READ-WRITE]" in client.ask(b"SELECT INBOX")
        return client


def told(client: Client, form: Form = UID_FLAGS, start: int = 0, end: int | None = None) -> bytes:
    """The responses for places *start* to *end*, block by block."""
    selected = client.session.the_mailbox
    end = len(selected.uids) if end is None else end
    ready = fragments.of(selected.mailbox)
    pieces = []
    while start < end:
        block, after = ready.block(selected, client.session.features, form, start, end)
        assert start < after <= end
        pieces.append(block)
        start = after
    return b"".join(pieces)


def expected(
    client: Client, form: Form = UID_FLAGS, start: int = 0, end: int | None = None
) -> bytes:
    """The same without anything that is ready."""
    selected = client.session.the_mailbox
    uids = selected.uids[start:end]
    numbers = range(start + 1, start + 1 + len(uids))
    return b"".join(attributes.lines(form, selected, numbers, uids, client.session.features))


class Looks:
    """How many messages a session was asked the flags of, since the last question."""

    def __init__(self, case: SynchronousTestCase, client: Client) -> None:
        self._looked: list[int] = []
        selected = client.session.the_mailbox
        flags = selected.mailbox.flags

        def look(uids: Sequence[int]) -> Sequence[Flags]:
            self._looked.append(len(uids))
            return flags(uids)

        case.patch(selected.mailbox, "flags", look)

    def count(self) -> int:
        count = sum(self._looked)
        self._looked.clear()
        return count


class FormTests(SynchronousTestCase):
    def test_flags_are_kept_and_nothing_else(self) -> None:
        for text, form in (
            (b"(UID FLAGS)", UID_FLAGS),
            (b"FLAGS", (Attribute.FLAGS,)),
            (b"(MODSEQ FLAGS UID)", (Attribute.MODSEQ, Attribute.FLAGS, Attribute.UID)),
            (b"(UID FLAGS RFC822.SIZE)", None),
            (b"(FLAGS BODY.PEEK[1])", None),
        ):
            self.assertEqual(fragments.form_of(parse_items(Arguments([text]))), form)


class FragmentsTests(SynchronousTestCase):
    size = 3 * BLOCK_MESSAGES + 10

    def setUp(self) -> None:
        self.mailbox = Mailbox(self.size)
        self.client = self.mailbox.second
        self.account = self.mailbox.world.account

    def test_what_is_ready_is_not_made_again(self) -> None:
        answer = told(self.client)
        self.assertEqual(answer, expected(self.client))
        looks = Looks(self, self.client)
        self.assertEqual(told(self.client), answer)
        self.assertEqual(looks.count(), 0)

    def test_sessions_share_it(self) -> None:
        answer = told(self.client)
        third = self.mailbox.select()
        looks = Looks(self, third)
        self.assertEqual(told(third), answer)
        self.assertEqual(looks.count(), 0)

    def test_a_touched_message_costs_its_block(self) -> None:
        told(self.client)
        self.mailbox.first.ask(b"UID STORE 5,300 +FLAGS (\\Flagged)")
        looks = Looks(self, self.client)
        answer = told(self.client)
        self.assertEqual(looks.count(), 2 * BLOCK_MESSAGES)
        self.assertEqual(answer, expected(self.client))
        self.assertEqual(answer.count(b"\\Flagged"), 2)

    def test_new_messages_cost_the_last_block(self) -> None:
        told(self.client)
        self.mailbox.deliver()
        self.mailbox.first.ask(b"NOOP")
        self.client.ask(b"NOOP")
        looks = Looks(self, self.client)
        answer = told(self.client)
        self.assertEqual(looks.count(), 11)
        self.assertEqual(answer, expected(self.client))

    def test_a_vanished_message_costs_what_stands_behind_it(self) -> None:
        told(self.client)
        self.account.remove("INBOX", BLOCK_MESSAGES + 1)
        self.client.ask(b"NOOP")
        looks = Looks(self, self.client)
        answer = told(self.client)
        self.assertEqual(looks.count(), self.size - BLOCK_MESSAGES - 1)
        self.assertEqual(answer, expected(self.client))

    def test_a_view_that_is_behind_is_answered_by_itself(self) -> None:
        """A session that was not told of an EXPUNGE yet shows other numbers than the newest."""
        answer = told(self.client)
        self.account.remove("INBOX", 1)
        self.mailbox.first.ask(b"NOOP")
        newest = told(self.mailbox.first)
        self.assertEqual(told(self.client), answer)
        self.assertEqual(told(self.mailbox.first), newest)
        self.client.ask(b"NOOP")
        self.assertEqual(told(self.client), expected(self.client))

    def test_a_view_that_lacks_only_flags_is_the_newest(self) -> None:
        told(self.client)
        self.account.raise_modseq("INBOX", 1)
        looks = Looks(self, self.client)
        told(self.client)
        self.assertEqual(looks.count(), BLOCK_MESSAGES)

    def test_recent_messages_are_told_by_themselves(self) -> None:
        answer = told(self.client)
        self.assertIn(b"\\Recent", told(self.mailbox.first))
        self.assertEqual(told(self.mailbox.first), expected(self.mailbox.first))
        self.assertEqual(told(self.client), answer)
        self.assertNotIn(b"\\Recent", answer)

    def test_rev2_has_no_recent_and_so_shares(self) -> None:
        told(self.client)
        self.mailbox.first.ask(b"ENABLE IMAP4rev2")
        looks = Looks(self, self.mailbox.first)
        self.assertEqual(told(self.mailbox.first), expected(self.client))
        self.assertEqual(looks.count(), 0)

    def test_any_run_of_messages_is_answered(self) -> None:
        for _ in range(2):
            for start in (0, 1, BLOCK_MESSAGES - 1, BLOCK_MESSAGES, self.size - 1):
                for end in (start + 1, 2 * BLOCK_MESSAGES, self.size):
                    if start < end <= self.size:
                        self.assertEqual(
                            told(self.client, UID_FLAGS, start, end),
                            expected(self.client, UID_FLAGS, start, end),
                        )

    def test_a_log_that_is_too_short_makes_it_forget(self) -> None:
        told(self.client)
        self.account.limits.log_changes_max = 2
        for uid in range(1, 6):
            self.account.raise_modseq("INBOX", uid)
        self.mailbox.first.ask(b"UID STORE 1 +FLAGS (\\Flagged)")
        self.assertEqual(told(self.client), expected(self.client))
        self.client.ask(b"NOOP")
        self.assertEqual(told(self.client), expected(self.client))

    def test_many_touches_make_it_forget(self) -> None:
        told(self.client)
        self.patch(fragments, "TOUCHES_MAX", 3)
        for uid in range(1, 6):
            self.account.raise_modseq("INBOX", uid)
        looks = Looks(self, self.client)
        self.assertEqual(told(self.client), expected(self.client))
        self.assertEqual(looks.count(), 2 * self.size)

    def test_memory_that_is_short_costs_nothing_but_time(self) -> None:
        answer = told(self.client)
        self.account.drop_derived()
        self.assertEqual(told(self.client), answer)


class BoundTests(SynchronousTestCase):
    size = 2 * BLOCK_MESSAGES

    def setUp(self) -> None:
        self.client = Mailbox(self.size).second
        self.selected: Selected = self.client.session.the_mailbox

    def looked(self, looks: Looks, form: Form) -> int:
        self.assertEqual(told(self.client, form), expected(self.client, form))
        return looks.count() - self.size

    def test_the_form_used_longest_ago_goes(self) -> None:
        flags = [
            (Attribute.FLAGS,),
            (Attribute.UID, Attribute.FLAGS),
            (Attribute.FLAGS, Attribute.UID),
            (Attribute.FLAGS, Attribute.MODSEQ),
        ]
        assert len(flags) == FORMS_MAX + 1
        for form in flags:
            told(self.client, form)
        looks = Looks(self, self.client)
        self.assertEqual([self.looked(looks, form) for form in flags[1:]], [0, 0, 0])
        self.assertEqual(self.looked(looks, flags[0]), self.size)
        self.assertEqual(self.looked(looks, flags[1]), self.size)
        self.assertEqual(self.looked(looks, flags[3]), 0)

    def test_other_forms_give_room(self) -> None:
        octets = len(told(self.client))
        self.patch(fragments, "OCTETS_MAX", octets + 100)
        told(self.client, (Attribute.FLAGS,))
        looks = Looks(self, self.client)
        self.assertEqual(self.looked(looks, (Attribute.FLAGS,)), 0)
        self.assertEqual(self.looked(looks, UID_FLAGS), self.size)

    def test_what_finds_no_room_is_made_each_time(self) -> None:
        octets = len(told(self.client))
        fragments_before = fragments.of(self.selected.mailbox)
        self.selected.mailbox.derived.clear()
        self.assertIsNot(fragments.of(self.selected.mailbox), fragments_before)
        self.patch(fragments, "OCTETS_MAX", octets * 2 // 3)
        told(self.client)
        looks = Looks(self, self.client)
        self.assertEqual(self.looked(looks, UID_FLAGS), BLOCK_MESSAGES)
        self.assertEqual(self.looked(looks, UID_FLAGS), BLOCK_MESSAGES)


STEPS = st.one_of(
    st.tuples(st.just("deliver"), st.integers(1, 3)),
    st.tuples(st.just("touch"), st.integers(1, 12)),
    st.tuples(st.just("store"), st.integers(1, 12)),
    st.tuples(st.just("remove"), st.integers(1, 12)),
    st.tuples(st.just("noop"), st.integers(0, 1)),
    st.tuples(st.just("ask"), st.integers(0, 7)),
    st.tuples(st.just("drop"), st.just(0)),
)


class HistoryTests(SynchronousTestCase):
    @settings(max_examples=150, deadline=None)
    @given(st.lists(STEPS, max_size=25), st.integers(2, 5))
    def test_it_never_tells_anything_else(self, steps: list[tuple[str, int]], block: int) -> None:
        """Whatever happens, and whoever asks, the answer is the one made on the spot."""
        kept, fragments.BLOCK_MESSAGES = fragments.BLOCK_MESSAGES, block  # type: ignore[misc]
        try:
            self.play(steps)
        finally:
            fragments.BLOCK_MESSAGES = kept  # type: ignore[misc]

    def play(self, steps: list[tuple[str, int]]) -> None:
        mailbox = Mailbox(4)
        account = mailbox.world.account
        account.limits.log_changes_max = 6
        clients = [mailbox.first, mailbox.second]
        for step, number in steps:
            exposed = mailbox.first.session.the_mailbox.mailbox.uids()
            if step == "deliver":
                for _ in range(number):
                    mailbox.deliver(frozenset({FLAGGED, Flag("Harbour")}))
            elif step == "touch" and number in exposed:
                account.raise_modseq("INBOX", number)
            elif step == "store":
                clients[1].ask(b"UID STORE %d +FLAGS.SILENT (\\Answered)" % number)
            elif step == "remove" and number in exposed:
                account.remove("INBOX", number)
            elif step == "noop":
                clients[number].ask(b"NOOP")
            elif step == "drop":
                account.drop_derived()
            for client in clients if step == "ask" else []:
                form = FORMS[number % 4]
                self.assertEqual(told(client, form), expected(client, form))
        for client in clients:
            self.assertEqual(told(client), expected(client))


class FeatureTests(SynchronousTestCase):
    def test_condstore_does_not_change_a_form(self) -> None:
        """MODSEQ is part of the form, so that one block serves all sessions that ask in it."""
        client = Mailbox(BLOCK_MESSAGES).second
        answer = told(client)
        client.session.features = Features(condstore=True)
        self.assertEqual(told(client), answer)
