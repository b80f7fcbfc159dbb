# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a BYE may be put into a stream of responses."""

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pluto_tw.net.boundary import Boundary

RESPONSES = st.one_of(
    st.sampled_from([b"* 3 EXISTS\r\n", b"a OK [X] done {5\r\n", b"* OK x}\r\n", b"+ idling\r\n"]),
    st.binary(max_size=60).map(lambda text: b"* 1 FETCH (A {%d}\r\n%b)\r\n" % (len(text), text)),
    st.binary(max_size=9).map(
        lambda text: b"* 1 FETCH (A {%d}\r\n%b B {%d}\r\n%b)\r\n" % ((len(text), text) * 2)
    ),
)


class BoundaryTests(SynchronousTestCase):
    @given(st.lists(RESPONSES, min_size=1, max_size=5), st.data())
    def test_exactly_the_ends_of_responses_are_safe(
        self, responses: list[bytes], data: st.DataObject
    ) -> None:
        """However the stream was cut."""
        ends, at = {0}, 0
        for response in responses:
            at += len(response)
            ends.add(at)
        stream = b"".join(responses)
        boundary, fed = Boundary(), 0
        while fed < len(stream):
            step = data.draw(st.integers(1, len(stream) - fed))
            boundary.feed(stream[fed : fed + step])
            fed += step
            self.assertEqual(boundary.is_safe, fed in ends, (stream, fed))

    def test_bye_is_noticed(self) -> None:
        boundary = Boundary()
        boundary.feed(b"* BYE Logging out\r\na OK LOGOUT completed\r\n")
        self.assertTrue(boundary.said_bye)

    def test_bye_in_a_literal_is_none(self) -> None:
        boundary = Boundary()
        boundary.feed(b"* 1 FETCH (BODY[] {8}\r\n* BYE x\n)\r\n")
        self.assertFalse(boundary.said_bye)
        self.assertTrue(boundary.is_safe)
