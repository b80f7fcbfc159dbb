# SPDX-License-Identifier: GPL-3.0-or-later
"""
Whether replicas have the same of an account, from what each of them tells.

Pure: who is asked, and how often, is for `check_command.py`. Replicas are compared where they have
applied the same operations, which the vectors say; where they have not, nothing else is wrong than
that some are behind. A message whose UID is not settled yet counts as behind, too.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any


@dataclass(frozen=True, slots=True)
class Told:
    """What one replica has told of an account: the members of the answer to `digest`."""

    vector: tuple[int, ...]
    outstanding: bool
    steady: bool
    digest: str
    messages: int
    #: Digests by name; empty if they were not asked for. The subscriptions have an empty name.
    mailboxes: Mapping[str, str] = field(default_factory=dict)
    unfit: int = 0
    #: Mailbox and UID of the first of these.
    places: tuple[tuple[str, int], ...] = ()

    @classmethod
    def read(cls, answer: Mapping[str, Any]) -> "Told":
        """Of an answer. ValueError if it is none."""
        try:
            return cls(
                tuple(int(seq) for seq in answer["vector"]),
                bool(answer["outstanding"]),
                bool(answer.get("steady", True)),
                str(answer["digest"]),
                int(answer.get("messages", 0)),
                {str(row["name"]): str(row["digest"]) for row in answer["mailboxes"]},
                int(answer.get("unfit", 0)),
                tuple((str(row["mailbox"]), int(row["uid"])) for row in answer.get("places", ())),
            )
        except (KeyError, TypeError) as error:
            raise ValueError(f"not an answer to digest: {error!r}") from None


class Verdict(IntEnum):
    """What there is to say; the value is the exit status."""

    EQUAL = 0
    #: Some replica lacks something, or could not be asked.
    BEHIND = 1
    #: Replicas that have applied the same show something else, or have lost a body.
    DIFFERENT = 2


@dataclass(frozen=True, slots=True)
class Compared:
    """
    How the replicas of an account stand, by their names.

    *behind* has how many operations each of those lacks that lack some; *settling* are those that
    have messages without a settled UID, or that changed while they were asked. *groups* are the
    replicas with the same digest, of those with the same vector where it is not; *mailboxes* where
    they differ, if that was told. *unfit*: how many bodies are missing or damaged.
    """

    verdict: Verdict
    behind: Mapping[str, int]
    settling: tuple[str, ...]
    groups: tuple[tuple[str, ...], ...]
    mailboxes: tuple[str, ...]
    unfit: Mapping[str, int]


def compare(told: Mapping[str, Told]) -> Compared:
    """How the replicas stand that have *told* something, by their names."""
    newest = [max(seqs) for seqs in _columns(told.values())]
    behind = {name: lack for name, one in told.items() if (lack := sum(newest) - sum(one.vector))}
    settling = tuple(name for name, one in told.items() if one.outstanding or not one.steady)
    by_vector: dict[tuple[int, ...], list[str]] = {}
    for name, one in told.items():
        if name not in settling:
            by_vector.setdefault(_shortest(one.vector), []).append(name)
    groups: tuple[tuple[str, ...], ...] = ()
    mailboxes: tuple[str, ...] = ()
    for names in by_vector.values():
        found = _by_digest(told, names)
        if len(found) > 1:
            groups += tuple(found)
            mailboxes += _differing([told[group[0]].mailboxes for group in found])
    unfit = {name: one.unfit for name, one in told.items() if one.unfit}
    if groups or unfit:
        verdict = Verdict.DIFFERENT
    else:
        verdict = Verdict.BEHIND if behind or settling else Verdict.EQUAL
    return Compared(verdict, behind, settling, groups, tuple(sorted(set(mailboxes))), unfit)


def _columns(told: Iterable[Told]) -> list[list[int]]:
    """What is told of each slot; one that a vector ends before is at 0."""
    vectors = [one.vector for one in told]
    slots = max(map(len, vectors), default=0)
    return [[v[slot] if slot < len(v) else 0 for v in vectors] for slot in range(slots)]


def _shortest(vector: tuple[int, ...]) -> tuple[int, ...]:
    while vector and not vector[-1]:
        vector = vector[:-1]
    return vector


def _by_digest(told: Mapping[str, Told], names: Sequence[str]) -> list[tuple[str, ...]]:
    groups: dict[str, list[str]] = {}
    for name in names:
        groups.setdefault(told[name].digest, []).append(name)
    return [tuple(group) for group in groups.values()]


def _differing(parts: Sequence[Mapping[str, str]]) -> tuple[str, ...]:
    """The names of mailboxes that are not the same in all of *parts*; none if any is empty."""
    if not all(parts):
        return ()
    names = sorted({name for part in parts for name in part})
    return tuple(name for name in names if len({part.get(name) for part in parts}) > 1)
