# SPDX-License-Identifier: GPL-3.0-or-later
"""Comments: RFC 5322 §3.2.2."""

from twisted.trial.unittest import SynchronousTestCase

from pluto_tw.mime.comments import comment_end, without_comments


class CommentTests(SynchronousTestCase):
    def test_comments_nest(self) -> None:
        self.assertEqual(comment_end(b"(a (b) \\) c) d", 0), 12)
        self.assertEqual(comment_end(b"(" * 100_000 + b")" * 100_000, 0), 200_000)

    def test_comment_that_is_not_closed_has_no_end(self) -> None:
        for value in (b"(a", b"((a)", b"(a\\)", b"(\\"):
            self.assertEqual(comment_end(value, 0), -1)

    def test_comments_become_a_space(self) -> None:
        for value, left in (
            (b"a(b)c", b"a c"),
            (b"a (b (c) \\) d) e", b"a   e"),
            (b'"a (b)" (c)', b'"a (b)"  '),
            (b"\\(a)", b"\\(a)"),
            (b"none", b"none"),
        ):
            self.assertEqual(without_comments(value), left)

    def test_what_is_not_closed_stays(self) -> None:
        """RFC 7103 §7.1.4: only the "(" goes."""
        self.assertEqual(without_comments(b"a (b c"), b"a  b c")
        self.assertEqual(without_comments(b'a (b) "c (d)'), b'a   "c (d)')
        self.assertEqual(without_comments(b"(a) \\"), b"  \\")
