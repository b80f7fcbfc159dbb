# SPDX-License-Identifier: GPL-3.0-or-later
"""
A search program as the client wrote it, before its sets are looked up in a view.

In postfix order, operators behind their operands, so that it becomes a key without recursion on
what a client has nested. How it is written on the wire is `search_keys`' matter.
"""

from dataclasses import dataclass
from enum import Enum

from pluto_tw.imap.selected import Selected
from pluto_tw.mail.search import And, ChangedSince, Key, Not, Or, Uids
from pluto_tw.mail.sets import EMPTY, NumberSet, SequenceSet


@dataclass(frozen=True, slots=True)
class Named:
    """A set as the client wrote it, None for `$`; of UIDs or of sequence numbers."""

    messages: SequenceSet | None
    uid: bool


class Operator(Enum):
    """NOT takes one operand, OR takes two."""

    NOT = "NOT"
    OR = "OR"


@dataclass(frozen=True, slots=True)
class Both:
    """That many operands, side by side."""

    operands: int


Step = Key | Named | Operator | Both


@dataclass(frozen=True, slots=True)
class Program:
    """
    What a client searches for, before its sets are looked up in a view.

    *charset* is the name that the client gave if we do not know it; its strings then mean nothing,
    and the search is refused: "MUST return a tagged NO response (not a BAD)".
    """

    steps: tuple[Step, ...]
    charset: str | None = None

    @property
    def names_numbers(self) -> bool:
        """Whether a message is named by its sequence number."""
        return any(
            isinstance(step, Named) and not step.uid and step.messages is not None
            for step in self.steps
        )

    @property
    def names_modseq(self) -> bool:
        """Whether MODSEQ is a key: then the answer tells mod-sequences. RFC 7162 §3.1.5."""
        return any(isinstance(step, ChangedSince) for step in self.steps)

    def resolve(self, view: Selected) -> Key:
        """
        The program as one key, its sets made of UIDs of *view*.

        Sequence numbers beyond the end of the mailbox name nothing here, and neither does `*` in
        an empty one: a set in a search says which messages to leave out, and clients ask for `1:*`
        without looking how many there are. (RFC 9051 §9 "seq-number" says that a server "should"
        answer BAD; to commands that do something with the message, we do.)
        """
        operands: list[Key] = []
        for step in self.steps:
            if isinstance(step, Named):
                operands.append(Uids(_uids(step, view)))
            elif isinstance(step, Both):
                keys = tuple(operands[-step.operands :])
                del operands[-step.operands :]
                operands.append(And(keys))
            elif step is Operator.NOT:
                operands.append(Not(operands.pop()))
            elif step is Operator.OR:
                right = operands.pop()
                operands.append(Or(operands.pop(), right))
            else:
                operands.append(step)
        [key] = operands
        return key


def _uids(named: Named, view: Selected) -> NumberSet:
    if named.messages is None:
        return view.saved
    if named.uid:
        return named.messages.resolve(view.uids[-1] if view.uids else 0)
    count = len(view.uids)
    if not count:
        return EMPTY
    spans = named.messages.resolve(count).spans(range(1, count + 1))
    # Of the view, a range of places holds just what the range of UIDs between its ends holds.
    return NumberSet.from_ranges((view.uids[start], view.uids[end - 1]) for start, end in spans)
