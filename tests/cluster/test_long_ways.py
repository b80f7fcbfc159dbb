# SPDX-License-Identifier: GPL-3.0-or-later
"""What grows with the length of a message's way does not end in a recursion too deep."""

from twisted.trial.unittest import SynchronousTestCase

from pluto_tw.crdt.rules import Rules
from tests.cluster.script import Script

#: More than Python has frames.
MOVES = 1200


class LongWayTests(SynchronousTestCase):
    def test_interest_and_removal_follow_a_message_that_was_moved_often(self) -> None:
        """A flag set meanwhile elsewhere lands at the end of the way, and so does an EXPUNGE."""
        places = ["X", "Y"]
        lines = ["replicas A B C", "A: create X", "A: create Y", "A: append X m1", "all"]
        lines.append("cut A | B | C")
        for step in range(MOVES):
            lines.append(f"A: move {places[step % 2]} m1 {places[(step + 1) % 2]}")
        lines += ["B: store X m1 +\\Flagged", "C: expunge X m1", "heal"]
        # Not `all`: the oracle, which that asks, follows moves by recursion.
        lines += ["deliver B A", "deliver C A", "deliver A B", "deliver A C"]
        lines += [f"expect {name} X: m1(\\Flagged)" for name in "ABC"]
        script = Script(Rules)
        for line in lines:
            script.line(line)
