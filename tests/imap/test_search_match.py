# SPDX-License-Identifier: GPL-3.0-or-later
"""Which messages fit, found at which cost."""

import base64
import quopri
import unicodedata
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import assert_never

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pluto_tw.imap import search_match
from pluto_tw.imap.pace import Pace
from pluto_tw.imap.search_match import Found, search
from pluto_tw.imap.selected import Selected
from pluto_tw.mail.errors import No
from pluto_tw.mail.flags import DRAFT, FLAGGED, SEEN, Flag, Flags, flag_key
from pluto_tw.mail.messages import InternalDate
from pluto_tw.mail.search import (
    AddressField,
    All,
    And,
    Body,
    ChangedSince,
    Comparison,
    EmailId,
    Field,
    HasFlag,
    Header,
    InternalDay,
    Key,
    Larger,
    Not,
    Older,
    Or,
    Recent,
    SentDay,
    Smaller,
    Text,
    ThreadId,
    Uids,
    Younger,
)
from pluto_tw.mail.sets import EMPTY, NumberSet
from pluto_tw.mail.uids import ModSeq
from pluto_tw.mime.scanner import HEADER_KEPT_OCTETS_MAX
from pluto_tw.mime.text import HEADER_SEARCHED_OCTETS_MAX
from tests.support.connection import Client, World

NOW = 1_704_067_200
DAY = 86_400
KEYWORD = Flag("$Work")
NOWHERE = date(2024, 1, 1)


class Reads:
    """What was read of bodies: UID, start and length of each call."""

    def __init__(self) -> None:
        self.calls: list[tuple[int, int, int]] = []

    @property
    def uids(self) -> list[int]:
        return [uid for uid, _, _ in self.calls]


class MatchTestCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.begin()

    def begin(self) -> None:
        self.world = World()
        self.client: Client | None = None
        self.reads = Reads()

    def deliver(self, octets: bytes, *flags: Flag) -> int:
        return self.world.account.deliver(octets, flags=frozenset(flags))

    @property
    def view(self) -> Selected:
        if self.client is None:
            self.client = self.world.logged_in()
            self.assertIn(b"x OK", self.client.ask(b"SELECT INBOX"))
            self._record_reads(self.client.session.the_mailbox)
        return self.client.session.the_mailbox

    def _record_reads(self, view: Selected) -> None:
        mailbox, body = view.mailbox, view.mailbox.body
        reads = self.reads

        class RecordingBody:
            def __init__(self, uid: int) -> None:
                self.uid = uid
                self.size = body(uid).size

            async def read(self, start: int, length: int) -> AsyncIterator[bytes]:
                reads.calls.append((self.uid, start, length))
                async for chunk in body(self.uid).read(start, length):
                    yield chunk

        self.patch(mailbox, "body", RecordingBody)

    def search(self, key: Key, recent: NumberSet = EMPTY, now: int = NOW) -> Found:
        view = self.view
        assert self.client is not None
        pace = Pace(self.client.session)
        found: list[Found] = []

        async def run() -> None:
            found.append(await search(key, view, recent, now, pace))

        self.world.waiting.start(run())
        self.world.settle()
        return found[0]

    def uids(self, key: Key, recent: NumberSet = EMPTY, now: int = NOW) -> list[int]:
        return list(self.search(key, recent, now).messages.uids)


def plain(subject: str = "hello", body: str = "text") -> bytes:
    return f"Subject: {subject}\r\n\r\n{body}\r\n".encode()


class CostTests(MatchTestCase):
    """Nothing is read that does not decide."""

    def test_memory_is_enough(self) -> None:
        self.deliver(plain(), SEEN)
        self.deliver(plain())
        self.world.account.fail_next(No(None, "nobody asks for facts"), "facts")
        self.assertEqual(self.uids(Not(HasFlag(SEEN))), [2])
        self.assertEqual(self.uids(And((HasFlag(SEEN), HasFlag(DRAFT), Body("x")))), [])
        self.assertEqual(self.uids(Or(All(), Field(AddressField.SUBJECT, "x"))), [1, 2])
        self.assertEqual(self.uids(Or(Body(""), Text(""))), [1, 2])

    def test_only_undecided_bodies_are_read(self) -> None:
        for body in ("x", "no", "x"):
            self.deliver(plain(body=body), SEEN)
            self.deliver(plain(body=body))
        self.assertEqual(self.uids(Or(HasFlag(SEEN), Body("x"))), [1, 2, 3, 5, 6])
        self.assertEqual(self.reads.uids, [2, 4, 6])
        self.reads.calls.clear()
        self.assertEqual(self.uids(And((HasFlag(SEEN), Body("x")))), [1, 5])
        self.assertEqual(self.reads.uids, [1, 3, 5])

    def test_header_that_decides_spares_the_body(self) -> None:
        self.deliver(plain(subject="needle"))
        self.deliver(plain(body="needle"))
        self.assertEqual(self.uids(Text("needle")), [1, 2])
        self.assertEqual(self.reads.uids, [2])

    def test_a_body_is_read_once_for_all_keys(self) -> None:
        self.deliver(plain(body="a b c"))
        key = And((Body("a"), Text("b"), Not(Body("d")), Or(Body("e"), Text("c"))))
        self.assertEqual(self.uids(key), [1])
        self.assertEqual(self.reads.uids, [1])

    def test_reading_ends_when_enough_is_known(self) -> None:
        self.world.account.chunk_octets = 10
        self.deliver(plain(body="needle" + "x" * 1000))
        self.world.account.damage("INBOX", 1, octets=100)
        self.assertEqual(self.uids(Body("needle")), [1])
        self.assertEqual(self.search(Body("absent")), Found(self.search(Uids(EMPTY)).messages, 1))

    def test_attachments_are_not_read(self) -> None:
        attachment = b"AAAA" * 30_000
        message = (
            b"Content-Type: multipart/mixed; boundary=b\r\n\r\n"
            b"--b\r\n\r\nfirst\r\n"
            b"--b\r\nContent-Type: image/png\r\nContent-Transfer-Encoding: base64\r\n\r\n"
            + attachment
            + b"\r\n--b\r\n\r\nlast\r\n--b--\r\n"
        )
        self.deliver(message)
        self.assertEqual(self.uids(Body("last")), [1])
        self.assertEqual(len(self.reads.calls), 2)
        self.assertLess(sum(length for _, _, length in self.reads.calls), 1000)

    def test_sets_bound_what_is_looked_at(self) -> None:
        for _ in range(5):
            self.deliver(plain())
        looked_at: list[int] = []
        mailbox = self.view.mailbox
        flags = mailbox.flags

        def recording(uids: Sequence[int]) -> Sequence[Flags]:
            looked_at.extend(uids)
            return flags(uids)

        self.patch(mailbox, "flags", recording)
        bound = NumberSet.parse(b"2:4,9")
        self.assertEqual(self.uids(And((Uids(bound), And((Not(HasFlag(SEEN)),))))), [2, 3, 4])
        self.assertEqual(looked_at, [2, 3, 4])

    def test_others_run_in_between(self) -> None:
        for _ in range(3):
            self.deliver(plain())
        pauses: list[float] = []
        waiting = self.world.waiting
        pause = waiting.pause
        ticks = iter(range(1_000_000))

        def recording() -> object:
            pauses.append(0)
            return pause()

        self.assertEqual(len(self.view.uids), 3)
        self.patch(waiting, "seconds", lambda: next(ticks) / 1000)
        self.patch(waiting, "pause", recording)
        self.assertEqual(self.uids(And((Not(HasFlag(SEEN)), Body("text")))), [1, 2, 3])
        self.assertTrue(pauses)


class KeyTests(MatchTestCase):
    """What each key means, where the random programs below cannot tell."""

    def test_batches(self) -> None:
        self.patch(search_match, "BATCH_MESSAGES", 3)
        for number in range(10):
            self.deliver(plain(body="x" if number % 4 == 0 else "y"), *([SEEN] * (number % 2)))
        self.assertEqual(self.uids(Not(HasFlag(SEEN))), [1, 3, 5, 7, 9])
        self.assertEqual(self.uids(Body("x")), [1, 5, 9])
        self.assertEqual(list(self.search(Body("x")).messages.numbers), [1, 5, 9])

    def test_sizes(self) -> None:
        """LARGER is "larger than", SMALLER "smaller than"."""
        size = len(plain())
        self.deliver(plain())
        self.deliver(plain(body="longer"))
        self.assertEqual(self.uids(Larger(size)), [2])
        self.assertEqual(self.uids(Larger(size - 1)), [1, 2])
        self.assertEqual(self.uids(Smaller(size)), [])
        self.assertEqual(self.uids(Smaller(size + 1)), [1])

    def test_day_of_arrival_is_that_of_its_zone(self) -> None:
        """The "internal date (disregarding time and timezone)": the day as it is told."""
        account = self.world.account
        account.deliver(plain(), date=InternalDate(NOW, -1))
        account.deliver(plain(), date=InternalDate(NOW, 0))
        account.deliver(plain(), date=InternalDate(NOW - 1, 60))
        day = date(2024, 1, 1).toordinal()
        self.assertEqual(self.uids(InternalDay(Comparison.ON, day)), [2, 3])
        self.assertEqual(self.uids(InternalDay(Comparison.BEFORE, day)), [1])
        self.assertEqual(self.uids(InternalDay(Comparison.SINCE, day - 1)), [1, 2, 3])

    def test_ages(self) -> None:
        """RFC 5032 §2: "less recent than or equal", "more recent than or equal"."""
        for seconds in (NOW - 11, NOW - 10, NOW - 9):
            self.world.account.deliver(plain(), date=InternalDate(seconds, 0))
        self.assertEqual(self.uids(Older(10)), [1, 2])
        self.assertEqual(self.uids(Younger(10)), [2, 3])

    def test_without_a_date_field(self) -> None:
        """No day is before, on or after the one asked for."""
        self.deliver(plain())
        day = date(2024, 1, 1).toordinal()
        for comparison in Comparison:
            self.assertEqual(self.uids(SentDay(comparison, day)), [])
            self.assertEqual(self.uids(Not(SentDay(comparison, day))), [1])

    def test_keywords_in_any_case(self) -> None:
        self.deliver(plain(), KEYWORD)
        self.assertEqual(self.uids(HasFlag(Flag("$WORK"))), [1])

    def test_recent(self) -> None:
        self.deliver(plain())
        self.deliver(plain())
        self.assertEqual(self.uids(Recent(), recent=NumberSet.of([2])), [2])

    def test_object_ids(self) -> None:
        """RFC 8474 §6: "exactly the specified ObjectID"."""
        self.deliver(plain())
        self.world.account.deliver(plain(), thread_id="T1")
        self.assertEqual(self.uids(EmailId("M2")), [2])
        self.assertEqual(self.uids(EmailId("m2")), [])
        self.assertEqual(self.uids(ThreadId("T1")), [2])

    def test_modseq_is_translated_by_the_mailbox(self) -> None:
        """A mod-sequence of another replica names a superset."""
        first, second = self.deliver(plain()), self.deliver(plain())
        modseq = ModSeq(self.view.mailbox.modseqs([second])[0])
        self.assertEqual(self.uids(ChangedSince(modseq)), [second])
        self.assertEqual(self.uids(ChangedSince(ModSeq(modseq + 1))), [])
        self.assertEqual(self.uids(ChangedSince(ModSeq(0))), [first, second])
        self.world.account.foreign = True
        self.assertEqual(self.uids(ChangedSince(modseq)), [first, second])

    def test_fields(self) -> None:
        """A field is its whole decoded value; of several with one name each counts."""
        self.deliver(
            b"Received: one\r\nReceived: two\r\n"
            b'From: "Bj\xc3\xb8rn, =?iso-8859-1?q?H=E9l=E8ne?=" (home)\r\n <b@example.org>\r\n'
            b"X-Empty:\r\n\r\nbody"
        )
        for name, text in (
            ("received", "TWO"),
            ("From", "bjørn, hélène"),
            ("from", "(home) <B@EXAMPLE.ORG>"),
            ("from", "helene"),
            ("x-empty", ""),
        ):
            expected = [] if text == "helene" else [1]
            self.assertEqual(self.uids(Header(name, text)), expected, (name, text))
        self.assertEqual(self.uids(Header("x-absent", "")), [])
        self.assertEqual(self.uids(Field(AddressField.CC, "")), [])
        self.assertEqual(self.uids(Field(AddressField.FROM, "example")), [1])

    def test_header_that_is_not_kept_whole(self) -> None:
        """What the kept part leaves open is read from the body, up to what was ever read."""
        padding = b"X-Padding: " + b"x" * HEADER_KEPT_OCTETS_MAX + b"\r\n"
        self.deliver(b"Subject: early\r\n" + padding + b"To: late@example.org\r\n\r\nbody")
        self.deliver(
            padding * (HEADER_SEARCHED_OCTETS_MAX // len(padding) + 1) + b"To: late\r\n\r\nbody"
        )
        self.assertEqual(self.uids(Field(AddressField.SUBJECT, "early")), [1])
        self.assertEqual(self.reads.uids, [2])
        self.assertEqual(self.uids(Field(AddressField.TO, "late")), [1])
        self.assertEqual(self.uids(Text("late")), [1])
        self.assertEqual(self.uids(Not(Header("x-absent", ""))), [1, 2])

    def test_text_and_body(self) -> None:
        """
        BODY: "Unlike TEXT (see below), this doesn't match any header fields"; TEXT: "in the header
        (including MIME header fields) or body of the message".
        """
        self.deliver(
            b"Subject: outer\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
            b"preamble\r\n"
            b"--b\r\nContent-Description: described\r\n\r\nfirst\r\n"
            b"--b\r\nContent-Type: message/rfc822\r\n\r\n"
            b"Subject: =?utf-8?q?in=6Eer?=\r\n"
            b"Content-Type: text/html; charset=utf-16be\r\nContent-Transfer-Encoding: base64\r\n"
            b"\r\n"
            + base64.encodebytes("<p>embedded</p>".encode("utf-16-be")).replace(b"\n", b"\r\n")
            + b"--b\r\nContent-Type: application/pdf\r\n\r\nhidden\r\n--b--\r\n"
        )
        for text, in_body, in_text in (
            ("outer", False, True),
            ("described", False, True),
            ("inner", False, True),
            ("Subject: Inner", False, True),
            ("first", True, True),
            ("<P>EMBEDDED</P>", True, True),
            ("hidden", False, False),
            ("preamble", False, False),
            ("absent", False, False),
        ):
            self.assertEqual(self.uids(Body(text)), [1] * in_body, text)
            self.assertEqual(self.uids(Text(text)), [1] * in_text, text)

    def test_text_over_chunk_borders(self) -> None:
        for encode in (lambda text: text, quopri.encodestring, base64.encodebytes):
            self.begin()
            encoding = {quopri.encodestring: b"quoted-printable", base64.encodebytes: b"base64"}
            octets = (
                b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: "
                + encoding.get(encode, b"8bit")
                + b"\r\n\r\n"
                + encode("Ünïcödé needle".encode())
            )
            for chunk_octets in (1, 2, 3, 7):
                self.world.account.chunk_octets = chunk_octets
                if chunk_octets == 1:
                    self.deliver(octets)
                for text in ("üNÏCÖDÉ", "needle", "é n", "e"):
                    self.assertEqual(self.uids(Body(text)), [1], (encoding, text))
                self.assertEqual(self.uids(Body("needles")), [])

    def test_text_does_not_go_on_in_the_next_part(self) -> None:
        self.deliver(
            b"Content-Type: multipart/mixed; boundary=b\r\n\r\n"
            b"--b\r\n\r\nnee\r\n--b\r\n\r\ndle\r\n--b--\r\n"
        )
        self.assertEqual(self.uids(Body("needle")), [])


class UnreadableTests(MatchTestCase):
    def test_body_that_cannot_be_had(self) -> None:
        """What only it could decide is not found, under a NOT neither; the rest is."""
        self.deliver(plain(body="x"))
        self.deliver(plain(body="x"), SEEN)
        self.deliver(plain(body="y"))
        self.world.account.damage("INBOX", 1)
        self.world.account.damage("INBOX", 2)
        found = self.search(Or(HasFlag(SEEN), Body("x")))
        self.assertEqual((list(found.messages.uids), found.unread), ([2], 1))
        found = self.search(Not(Body("x")))
        self.assertEqual((list(found.messages.uids), found.unread), ([3], 2))

    def test_bug_in_a_body_is_no_refusal(self) -> None:
        self.deliver(plain())
        self.world.account.damage("INBOX", 1, error=ZeroDivisionError())
        view = self.view
        assert self.client is not None
        self.assertIn(b"NO [SERVERBUG]", self.client.ask(b"SEARCH BODY x"))
        self.assertEqual(view.saved, EMPTY)
        self.flushLoggedErrors()


# Random programs on random messages, against one that knows what the messages were made of.


@dataclass(frozen=True)
class Spec:
    """What a message is made of."""

    flags: Flags
    subject: str
    sender: str
    body: str
    encoding: str
    sent: int | None
    arrived: int

    def octets(self) -> bytes:
        encoded = base64.b64encode(self.subject.encode()).decode()
        header = f"Subject: =?utf-8?b?{encoded}?=\r\nFrom: {self.sender}\r\n"
        if self.sent is not None:
            day = (NOWHERE + timedelta(self.sent)).strftime("%d %b %Y")
            header += f"Date: {day} 23:30:00 -0500\r\n"
        body = self.body.encode()
        if self.encoding == "base64":
            body = base64.encodebytes(body)
        elif self.encoding == "quoted-printable":
            body = quopri.encodestring(body)
        header += "Content-Type: text/plain; charset=utf-8\r\n"
        header += f"Content-Transfer-Encoding: {self.encoding}\r\n\r\n"
        return header.encode() + body


def folded(text: str) -> str:
    return unicodedata.normalize("NFKD", text.upper())


def contains(text: str, needle: str) -> bool:
    return folded(needle) in folded(text)


def compared(comparison: Comparison, day: int, asked: int) -> bool:
    return {
        Comparison.BEFORE: day < asked,
        Comparison.ON: day == asked,
        Comparison.SINCE: day >= asked,
    }[comparison]


def naive(key: Key, uid: int, spec: Spec) -> bool:
    """Whether the message *uid* fits, straight from RFC 9051 §6.4.4."""
    header = {"subject": spec.subject, "from": spec.sender}
    match key:
        case All():
            return True
        case And(keys):
            return all(naive(each, uid, spec) for each in keys)
        case Or(left, right):
            return naive(left, uid, spec) or naive(right, uid, spec)
        case Not(negated):
            return not naive(negated, uid, spec)
        case Uids(uids):
            return uid in uids
        case HasFlag(flag):
            return flag_key(flag) in {flag_key(f) for f in spec.flags}
        case Recent():
            return uid > 2
        case Larger(octets):
            return len(spec.octets()) > octets
        case Smaller(octets):
            return len(spec.octets()) < octets
        case InternalDay(comparison, day):
            return compared(comparison, NOWHERE.toordinal() + spec.arrived, day)
        case SentDay(comparison, day):
            if spec.sent is None:
                return False
            return compared(comparison, NOWHERE.toordinal() + spec.sent, day)
        case Older(seconds):
            return NOW + spec.arrived * DAY <= NOW - seconds
        case Younger(seconds):
            return NOW + spec.arrived * DAY >= NOW - seconds
        case Header(name, text):
            return name.lower() in header and contains(header[name.lower()], text)
        case Field(field, text):
            return field.value in header and contains(header[field.value], text)
        case Body(text):
            return contains(spec.body, text)
        case Text(text):
            return any(contains(each, text) for each in (spec.body, *header.values()))
        case ChangedSince(modseq):
            # The account's first change made INBOX.
            return uid + 1 >= modseq
        case EmailId(object_id):
            return object_id == f"M{uid}"
        case ThreadId():
            return False
        case _:
            assert_never(key)


#: Of letters that the other fields of a message and their names do not have.
TEXTS = st.text("qjÖöé ", max_size=3)
DAYS = st.integers(-2, 2)

SPECS = st.builds(
    Spec,
    st.frozensets(st.sampled_from([SEEN, FLAGGED, KEYWORD])),
    TEXTS.map(lambda text: text.strip()),
    st.sampled_from(["q@j", '"öj" <é@q>', "J Q <x@x>"]),
    st.text("qjÖöé \r\n", max_size=20).map(lambda text: text.strip()),
    st.sampled_from(["8bit", "base64", "quoted-printable"]),
    st.none() | DAYS,
    DAYS,
)

LEAVES: st.SearchStrategy[Key] = st.one_of(
    st.just(All()),
    st.builds(Uids, st.sets(st.integers(1, 7)).map(NumberSet.of)),
    st.builds(HasFlag, st.sampled_from([SEEN, FLAGGED, Flag("$WORK"), Flag("$other")])),
    st.just(Recent()),
    st.builds(Larger, st.integers(100, 200)),
    st.builds(Smaller, st.integers(100, 200)),
    st.builds(InternalDay, st.sampled_from(Comparison), DAYS.map(NOWHERE.toordinal().__add__)),
    st.builds(SentDay, st.sampled_from(Comparison), DAYS.map(NOWHERE.toordinal().__add__)),
    st.builds(Older, st.integers(1, 2 * DAY)),
    st.builds(Younger, st.integers(1, 2 * DAY)),
    st.builds(Header, st.sampled_from(["Subject", "FROM", "X-None"]), TEXTS),
    st.builds(Field, st.sampled_from(AddressField), TEXTS),
    st.builds(Body, TEXTS),
    # A space stands in every header.
    st.builds(Text, TEXTS.filter(lambda text: not text.isspace())),
    st.builds(ChangedSince, st.integers(0, 8).map(ModSeq)),
    st.builds(EmailId, st.sampled_from(["M1", "M3"])),
    st.builds(ThreadId, st.just("T1")),
)


def composed(keys: st.SearchStrategy[Key]) -> st.SearchStrategy[Key]:
    return st.one_of(
        st.builds(Not, keys),
        st.builds(Or, keys, keys),
        st.builds(And, st.lists(keys, min_size=1, max_size=3).map(tuple)),
    )


class NaiveTests(MatchTestCase):
    @given(
        st.lists(SPECS, max_size=6),
        st.lists(st.recursive(LEAVES, composed, max_leaves=6), min_size=1, max_size=4),
        st.integers(1, 20),
    )
    @settings(max_examples=150)
    def test_random_programs(self, specs: list[Spec], keys: list[Key], chunk_octets: int) -> None:
        """The same messages as a reading of RFC 9051 §6.4.4, message by message, key by key."""
        self.begin()
        self.world.account.chunk_octets = chunk_octets
        for spec in specs:
            self.world.account.deliver(
                spec.octets(), flags=spec.flags, date=InternalDate(NOW + spec.arrived * DAY, 0)
            )
        recent = NumberSet.from_ranges([(3, 100)])
        for key in keys:
            expected = [uid for uid, spec in enumerate(specs, 1) if naive(key, uid, spec)]
            self.reads.calls.clear()
            self.assertEqual(self.uids(key, recent), expected, key)
            self.assertEqual(len(set(self.reads.uids)), len(self.reads.uids))
