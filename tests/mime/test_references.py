# SPDX-License-Identifier: GPL-3.0-or-later
"""Message ids and references for THREAD: RFC 5256 §3."""

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pluto_tw.mime.references import REFERENCES_MAX, message_ids, references


class MessageIdTests(SynchronousTestCase):
    def test_quoting_does_not_matter(self) -> None:
        """RFC 5256 §3: both "MUST be interpreted as being the same Message ID"."""
        ids = message_ids(b'<"01KF8JCEOCBS0045PS"@xxx.yyy.com> <01KF8JCEOCBS0045PS@xxx.yyy.com>')
        self.assertEqual(ids, (b"01KF8JCEOCBS0045PS@xxx.yyy.com",) * 2)

    def test_white_space_and_comments_do_not_matter(self) -> None:
        self.assertEqual(message_ids(b"< a . b(c)@ d . e >"), (b"a.b@d.e",))

    def test_phrases_are_ignored(self) -> None:
        """RFC 5322 §4.5.4."""
        self.assertEqual(message_ids(b"Your message <a@b> of (<c@d>) Monday <e f> x@y"), (b"a@b",))

    def test_case_matters(self) -> None:
        """RFC 5256 §3: "Message ID comparisons are case-sensitive"."""
        self.assertNotEqual(message_ids(b"<A@b>"), message_ids(b"<a@b>"))

    def test_ids_without_at(self) -> None:
        self.assertEqual(message_ids(b"<12345> <>"), (b"12345",))

    @given(st.text(alphabet='ab@."\\( )<>'))
    def test_one_is_read_as_many_are(self, inner: str) -> None:
        written = f"<{inner}>".encode()
        self.assertEqual(message_ids(written), message_ids(b" " + written))

    def test_limit_keeps_first_and_last(self) -> None:
        ids = message_ids(b" ".join(b"<%d@x>" % number for number in range(2000)))
        self.assertEqual(len(ids), REFERENCES_MAX)
        self.assertEqual((ids[0], ids[1], ids[-1]), (b"0@x", b"1501@x", b"1999@x"))

    @given(st.lists(st.sampled_from([b"<", b">", b'"', b"\\", b"@", b"a", b"(", b")", b" "])))
    def test_anything_is_read(self, pieces: list[bytes]) -> None:
        for found in message_ids(b"".join(pieces)):
            self.assertTrue(found)


class ReferencesTests(SynchronousTestCase):
    def test_references_come_first(self) -> None:
        self.assertEqual(references(b"<a@b> <c@d>", b"<e@f>"), (b"a@b", b"c@d"))

    def test_first_of_in_reply_to_otherwise(self) -> None:
        """If References "does not contain any valid Message IDs"."""
        for value in (None, b"", b"none here"):
            self.assertEqual(references(value, b"x <e@f> <g@h>"), (b"e@f",))

    def test_none(self) -> None:
        self.assertEqual(references(None, None), ())
