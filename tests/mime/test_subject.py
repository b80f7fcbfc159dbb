# SPDX-License-Identifier: GPL-3.0-or-later
"""The base subject, step for step: RFC 5256 §2.1."""

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pluto_tw.mime.subject import base_subject


class BaseSubjectTests(SynchronousTestCase):
    def base(self, subject: str) -> str:
        return base_subject(subject.encode()).text

    def test_replies_and_forwards_go(self) -> None:
        """Step 3: subj-refwd with its blobs."""
        for subject in (
            *("Re: hello", "RE:hello", "re : hello", "Fw: hello", "FWD: hello", "Re[2]: hello"),
            *(
                "Re [x] : hello",
                "Re: Fwd: re: hello",
                "[list] Re: hello",
                "[a][b] re: [c] fw: hello",
            ),
            *("hello (fwd)", "hello(FWD) (fwd)  ", "Re: [list] hello", "[Fwd: hello]"),
            *("Re: [fwd: Re: [x] hello (fwd)] (fwd)", "=?utf-8?q?Re=3A?= hello", "  hello\t "),
        ):
            self.assertEqual(self.base(subject), "hello", subject)

    def test_other_words_stay(self) -> None:
        for subject in (
            "Aw: hello",
            "really: hello",
            "re hello",
            "reply: x",
            "(fwd) x",
            "[fwd: x] y ]",
        ):
            if not subject.startswith("["):
                self.assertEqual(self.base(subject), subject)

    @given(st.lists(st.sampled_from(["a", " ", "  ", "[", "]", ")", "(fwd)", "é", "\t"])))
    def test_plain_subjects_are_read_as_all_are(self, pieces: list[str]) -> None:
        subject = "".join(pieces)
        self.assertEqual(self.base(subject), self.base(f"Re: {subject}"))

    def test_last_blob_stays_if_nothing_else_is_left(self) -> None:
        """Step 4: "and removing that prefix leaves a non-empty subj-base"."""
        self.assertEqual(self.base("[a] [b]"), "[b]")
        self.assertEqual(self.base("Re: [a]"), "[a]")
        self.assertEqual(self.base("[a] b"), "b")

    def test_white_space_is_one_space(self) -> None:
        """Step 1."""
        self.assertEqual(self.base("a\t\tb   c\r\n d"), "a b c d")

    def test_nothing_may_be_left(self) -> None:
        for subject in ("", "Re:", " re: fwd: ", "[fwd:]", "(fwd)"):
            self.assertEqual(self.base(subject), "", subject)

    def test_replies_and_forwards_are_known(self) -> None:
        """§3: "if the base subject extraction rules remove [...] a subj-refwd, ..."."""
        for subject in ("Re: x", "x (fwd)", "[fwd: x]", "[a] re: x"):
            self.assertTrue(base_subject(subject.encode()).is_reply_or_forward, subject)
        for subject in ("x", "[a] x", " x ", "fwd x"):
            self.assertFalse(base_subject(subject.encode()).is_reply_or_forward, subject)

    @given(
        st.lists(
            st.sampled_from(["re", "fwd", ":", "[", "]", "[x]", " ", "(fwd)", "[fwd:", "a", "\t"])
        )
    )
    def test_base_of_a_base_is_itself(self, pieces: list[str]) -> None:
        once = self.base("".join(pieces))
        self.assertEqual(self.base(once), once)
