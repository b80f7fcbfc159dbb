# SPDX-License-Identifier: GPL-3.0-or-later
"""
Which names LIST and LSUB tell of, in which order, and what is true of each.

Decides on mailboxes, subscriptions and patterns alone, without a look at the world. Leaves to the
commands which of these facts a client asked for, to `list_response` how they are written, and to
`pluto_tw.mail.patterns` what a pattern matches.

All functions yield in steps: None is one without a name, so that whoever iterates can let others
run however little there is to tell. No step depends on the number of names, but their sorting. The
work grows as n log n with the number of names, plus one match for each name and pattern.

RFC 9051 §6.3.9, RFC 5258 §3, RFC 6154 §2, RFC 3501 §6.3.9.
"""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence, Set
from dataclasses import dataclass

from pluto_tw.mail.mailboxes import MailboxEntry
from pluto_tw.mail.names import INBOX, MailboxName, parents
from pluto_tw.mail.patterns import Pattern


@dataclass(frozen=True, slots=True)
class Criteria:
    """
    The selection options of LIST: a name is selected if it meets all of them.

    *recursive* is no condition: superiors of selected names are told of as well, where the
    selected name is not. RFC 9051 §6.3.9.1.
    """

    subscribed: bool = False
    special_use: bool = False
    recursive: bool = False


@dataclass(frozen=True, slots=True)
class Listed:
    """One name that LIST tells of, and all that is true of it."""

    name: MailboxName
    #: Whether there is such a mailbox.
    exists: bool
    #: Whether there is a mailbox below it.
    has_children: bool
    subscribed: bool
    #: Special-use attributes, as in `MailboxEntry`.
    special_use: frozenset[str]
    #: Whether it meets the criteria itself.
    is_selected: bool
    #: Whether a name below it meets them; false unless `Criteria.recursive`.
    has_selected_inferior: bool


def listing(
    entries: Iterable[MailboxEntry],
    subscriptions: Set[MailboxName],
    patterns: Sequence[Pattern],
    criteria: Criteria,
    separator: str,
) -> Iterator[Listed | None]:
    """
    The names that match one of *patterns* and meet *criteria*, each once: INBOX and its inferiors
    first, then by name, a mailbox before its inferiors.

    Besides these, a level of the hierarchy without a mailbox where a pattern ends in "%", if there
    are no criteria ("matching levels of hierarchy are also returned", RFC 9051 §6.3.9; with
    SUBSCRIBED "the list MUST include exactly" the subscribed names). With
    `Criteria.recursive`, superiors that match and have a selected inferior which does not: only
    those, since "servers SHOULD suppress redundant CHILDINFO responses" (§6.3.9.6).
    """
    existing = {entry.name: entry for entry in entries}
    superiors: set[MailboxName] = set()
    yield from _climb(existing, superiors, separator)
    selected = _selected(existing, subscriptions, criteria)
    levels: Set[MailboxName] = frozenset()
    level_patterns: Sequence[Pattern] = ()
    selected_superiors: set[MailboxName] = set()
    if criteria.recursive:
        unlisted_superiors: set[MailboxName] = set()
        levels, level_patterns = unlisted_superiors, patterns
        for name in selected:
            above = parents(name, separator)
            selected_superiors.update(above)
            if not _matches(name, patterns):
                unlisted_superiors.update(above)
            yield None
    elif not (criteria.subscribed or criteria.special_use):
        levels = superiors
        level_patterns = [pattern for pattern in patterns if pattern.is_level_list]
    for candidate in _matching(selected, levels, patterns, level_patterns, separator):
        if candidate is None:
            yield None
            continue
        entry = existing.get(candidate)
        yield Listed(
            candidate,
            exists=entry is not None,
            has_children=candidate in superiors,
            subscribed=candidate in subscriptions,
            special_use=frozenset() if entry is None else entry.special_use,
            is_selected=candidate in selected,
            has_selected_inferior=candidate in selected_superiors,
        )


def subscribed_listing(
    subscriptions: Set[MailboxName], pattern: Pattern, separator: str
) -> Iterator[tuple[MailboxName, bool] | None]:
    """
    The names that LSUB tells of, ordered as in `listing`, and whether each is subscribed to.

    One that is not stands for names below it: 'Consider what happens if "foo/bar" ... is
    subscribed but "foo" is not. A "%" wildcard to LSUB must return foo'. RFC 3501 §6.3.9.
    """
    levels: set[MailboxName] = set()
    if pattern.is_level_list:
        yield from _climb(subscriptions, levels, separator)
    for name in _matching(subscriptions, levels, (pattern,), (pattern,), separator):
        yield None if name is None else (name, name in subscriptions)


def _climb(
    names: Iterable[MailboxName], superiors: set[MailboxName], separator: str
) -> Iterator[None]:
    """Adds to *superiors*, in steps, all names that one of *names* lies below."""
    for name in names:
        superiors.update(parents(name, separator))
        yield None


def _selected(
    existing: dict[MailboxName, MailboxEntry], subscriptions: Set[MailboxName], criteria: Criteria
) -> Set[MailboxName]:
    """The names that meet *criteria*; those that do not exist can only be subscribed to."""
    names = subscriptions if criteria.subscribed else existing.keys()
    if not criteria.special_use:
        return names
    return {name for name in names if name in existing and existing[name].special_use}


def _matching(
    names: Set[MailboxName],
    levels: Set[MailboxName],
    patterns: Sequence[Pattern],
    level_patterns: Sequence[Pattern],
    separator: str,
) -> Iterator[MailboxName | None]:
    """Those of *names* that match *patterns*, and of the other *levels* that match theirs."""
    for name in _ordered(names | levels, separator):
        yield name if _matches(name, patterns if name in names else level_patterns) else None


def _matches(name: MailboxName, patterns: Sequence[Pattern]) -> bool:
    return any(pattern.matches(name) for pattern in patterns)


def _ordered(names: Set[MailboxName], separator: str) -> list[MailboxName]:
    """INBOX and its inferiors, then the others; a name before its inferiors, these before more."""

    def key(name: str) -> str:
        # No name holds NUL, and nothing sorts before it: "a.b" comes before "a-b".
        return name.replace(separator, "\0")

    ordered = sorted(names, key=key)
    start = bisect_left(ordered, str(INBOX), key=key)
    end = bisect_left(ordered, INBOX + "\1", key=key)
    return ordered[start:end] + ordered[:start] + ordered[end:]
