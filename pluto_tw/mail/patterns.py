# SPDX-License-Identifier: GPL-3.0-or-later
"""
The patterns of LIST and LSUB: which mailbox names a pattern with wildcards matches.

Decides how reference and pattern are put together, what "*" and "%" match, and how INBOX is
compared. Leaves to the LIST command the special request with an empty pattern and the selection
options, to `pluto_tw.mail.utf7` the form on the wire. RFC 9051 §6.3.9.

No pattern is an error: "Any syntactically valid pattern that is not accepted by a server for
any reason MUST be silently ignored, i.e., it results in no LIST responses". Matching takes one
step for each character of the name, whatever the pattern.
"""

import unicodedata
from dataclasses import dataclass
from typing import Self

from pluto_tw.mail.names import INBOX, NAME_OCTETS_MAX, SEPARATORS, is_inbox

#: Octets of UTF-8, reference and pattern together. Twice a name leaves a wildcard for each of
#: its characters, and no pattern of distinct wildcards can make use of more.
PATTERN_OCTETS_MAX = 2 * NAME_OCTETS_MAX


@dataclass(frozen=True, slots=True)
class _Automaton:
    """
    The part of a pattern from its first wildcard on, as a set of states in the bits of an int.

    State *i* is the place before the *i*th piece of the pattern, so that a step moves all states
    at once and no pattern, however many ways it can match, takes more than one step a character.
    Runs of wildcards are one piece; so a piece after a wildcard is a letter.
    """

    #: For each letter of the pattern the states that it leads on from.
    letters: dict[str, int]
    #: The states that "*" and those that "*" or "%" stand at.
    any_states: int
    level_states: int
    final: int

    @classmethod
    def compile(cls, pattern: str) -> Self:
        letters: dict[str, int] = {}
        any_states = level_states = 0
        state = 1
        for piece in _pieces(pattern):
            if piece in "*%":
                level_states |= state
                any_states |= state if piece == "*" else 0
            else:
                letters[piece] = letters.get(piece, 0) | state
            state <<= 1
        return cls(letters, any_states, level_states, state)

    def matches(self, name: str, start: int, separator: str) -> bool:
        """True if *name* matches from index *start* to its end."""
        letters = self.letters
        states = 1
        states |= (states & self.level_states) << 1
        for character in name[start:]:
            stay = self.any_states if character == separator else self.level_states
            states = (states & letters.get(character, 0)) << 1 | states & stay
            if not states:
                return False
            states |= (states & self.level_states) << 1
        return bool(states & self.final)


@dataclass(frozen=True, slots=True)
class Pattern:
    """
    A canonical LIST pattern: reference and mailbox argument, joined and normalised.

    `is_level_list` tells whether it ends in "%", so that "matching levels of hierarchy are also
    returned" which are no mailboxes themselves. Make one with `compile`.
    """

    separator: str
    is_level_list: bool
    #: What precedes the first wildcard, as it is and as it stands before INBOX and below it.
    _literal: str
    _inbox_literal: str
    #: None if there is no wildcard.
    _rest: _Automaton | None
    _rest_text: str

    @classmethod
    def compile(cls, reference: str, pattern: str, separator: str) -> Self:
        """
        The pattern that *reference* followed by *pattern* is, both decoded, with *separator*.

        The reference is put before the pattern as it is: "the canonical form is normally the
        reference name appended with the mailbox name". The result is normalised to NFC as names
        are. What is longer than `PATTERN_OCTETS_MAX` becomes a pattern that matches nothing.
        Never raises.
        """
        assert separator in SEPARATORS
        text = _canonical(reference, pattern)
        wildcards = [place for place in (text.find("*"), text.find("%")) if place != -1]
        if not wildcards:
            return cls(separator, False, text, _as_inbox(text, separator, True), None, "")
        literal, rest = text[: min(wildcards)], "".join(_pieces(text[min(wildcards) :]))
        inbox_literal = _as_inbox(literal, separator, False)
        automaton = _Automaton.compile(rest)
        return cls(separator, text.endswith("%"), literal, inbox_literal, automaton, rest)

    def matches(self, name: str) -> bool:
        """
        True if *name*, a canonical mailbox name, matches. The empty name never does.

        INBOX, alone or as the first component, is compared without regard to case up to the
        first wildcard: `inb%` lists INBOX, as the name has no case.
        """
        literal = self._literal
        if not name.startswith(literal):
            literal = self._inbox_literal
            if not (name.startswith(literal) and self._is_in_inbox(name)):
                return False
        if self._rest is None:
            return name == literal != ""
        if self._rest_text == "*":
            return name != ""
        if self._rest_text == "%":
            return self.separator not in name[len(literal) :] and name != ""
        return self._rest.matches(name, len(literal), self.separator)

    def _is_in_inbox(self, name: str) -> bool:
        return name == INBOX or name.startswith(INBOX + self.separator)


def _canonical(reference: str, pattern: str) -> str:
    """The two joined, in NFC; empty, which matches nothing, if that is too long."""
    if len(reference) + len(pattern) > PATTERN_OCTETS_MAX:
        return ""
    text = unicodedata.normalize("NFC", reference + pattern)
    # A lone surrogate counts as the three octets it would be; no name holds one.
    return text if len(text.encode("utf-8", "surrogatepass")) <= PATTERN_OCTETS_MAX else ""


def _as_inbox(literal: str, separator: str, whole: bool) -> str:
    """
    The *literal* start of a pattern as names within INBOX have it; without change if it is none.

    *whole* if no wildcard follows it, so that it must name INBOX in full.
    """
    head, separated, _ = literal.partition(separator)
    if whole or separated:
        return INBOX + literal[len(head) :] if is_inbox(head) else literal
    if head.isascii() and INBOX.startswith(head.upper()):
        return head.upper()
    return literal


def _pieces(pattern: str) -> list[str]:
    """Letters and wildcards of *pattern*, a run of wildcards as the one that it amounts to."""
    pieces: list[str] = []
    for character in pattern:
        if character not in "*%" or not pieces or pieces[-1] not in "*%":
            pieces.append(character)
        elif character == "*":
            pieces[-1] = "*"
    return pieces
