# SPDX-License-Identifier: GPL-3.0-or-later
"""
The rules, broken on purpose, one at a time: a check that catches none of these is not trusted.

K1-K13 are the counterexamples and S1-S5 the scenarios of docs/spec/state.md.
"""

from collections.abc import Iterable

from pluto_tw.crdt.dots import Vector, covers
from pluto_tw.crdt.predicates import flags_of
from pluto_tw.crdt.records import PLACEMENT, AccountRecord, Box, Pending, Placement, Records, View
from pluto_tw.crdt.rules import Rules


class ContiguousUids(Rules):
    """Each replica counts up, and conflicts are repaired later."""

    def allocate(self, view: View, above: int, slot: int) -> int:
        return max(above, view.unext - 1, view.maxuid) + 1

    def shows_provisional(self, uid: int, slot: int) -> bool:
        return True


class AllSequence(Rules):
    """Every replica gives new UIDs to what is late at it."""

    def sequences(self, sequencer: int, slot: int) -> bool:
        return True


class SequencerKeepsLate(Rules):
    """The sequencer leaves alone what is late at itself."""

    def reclaims_late(self) -> bool:
        return False

    def bounces_late(self, holder: bool) -> bool:
        return not holder


class ComparesStamps(Rules):
    """Another replica's mod-sequence is taken as if it were ours."""

    def since_foreign(self, modseq: int, marks: tuple[tuple[int, int], ...]) -> int:
        return modseq

    def is_covered(self, modseq: int, cov: int) -> bool:
        return True


class NoCoverage(Rules):
    """The client is never ahead."""

    def is_covered(self, modseq: int, cov: int) -> bool:
        return True


class NoOutstanding(Rules):
    """A covered answer holds only what was touched."""

    def outstanding(self, pending: list[Pending]) -> list[Pending]:
        return []


class BumpsViewChanges(Rules):
    """A touch counts only where the view changes."""

    def bumps(self, before: Placement | None, after: Placement) -> bool:
        if before is None:
            return True
        return (flags_of(before.entries), before.uid, bool(before.rms), bool(before.moved)) != (
            flags_of(after.entries),
            after.uid,
            bool(after.rms),
            bool(after.moved),
        )


class SecondsAsValidity(Rules):
    """UIDVALIDITY is the time."""

    def fresh_validity(self, account: AccountRecord, unix_seconds: int, slot: int) -> int:
        return unix_seconds


class NoFloor(Rules):
    """A name may show any UIDVALIDITY."""

    def is_below_floor(self, v: int, floor: int) -> bool:
        return False


class LaterRenameVoids(Rules):
    """A RENAME also voids a DELETE that it has seen."""

    def voids(self, ren: int, ren_context: Vector, dele: int, del_context: Vector) -> bool:
        return not covers(del_context, ren)


class NeverDefers(Rules):
    """The sequencer claims anew after each partial batch."""

    def defers(self, vv: Vector, announced: Iterable[Vector]) -> bool:
        return False


class DefersInSilence(Rules):
    """The sequencer, which will mend it later, tells nobody what is late at it."""

    def bounces_late(self, holder: bool) -> bool:
        return not holder


class CountsEveryAck(Rules):
    """What a peer states counts before its own operations are here."""

    def counts_ack(self, vv: Vector, slot: int, stated: Vector) -> bool:
        return True


class TouchesNoBox(Rules):
    """RENAME and DELETE touch nothing."""

    def touches_box(self, box: Box) -> bool:
        return False


class TouchesOnlyConflicts(Rules):
    """RENAME and DELETE touch a box only where they meet."""

    def touches_box(self, box: Box) -> bool:
        return bool(box.rens and box.dels)


class TagsPlacementOnly(Rules):
    """Forwarded interest keeps the message, not its mailbox."""

    def tags_target_box(self) -> bool:
        return False


class TrustsSessions(Rules):
    """Operations name what the session shows."""

    def is_there(self, records: Records, pid: bytes) -> bool:
        return records.get(PLACEMENT, pid) is not None


class NoGate(Rules):
    """A replica serves while it loads a snapshot."""

    def serves(self, account: AccountRecord) -> bool:
        return True


MUTANTS: dict[str, type[Rules]] = {
    "K1": ContiguousUids,
    "K2": AllSequence,
    "K3": SequencerKeepsLate,
    "K4": ComparesStamps,
    "K5": NoCoverage,
    "K6": NoOutstanding,
    "K7": BumpsViewChanges,
    "K8": SecondsAsValidity,
    "K9": NoFloor,
    "K10": LaterRenameVoids,
    "K11": NeverDefers,
    "K11b": DefersInSilence,
    "K13": CountsEveryAck,
    "S1": TouchesNoBox,
    "S2": TouchesOnlyConflicts,
    "S3": TagsPlacementOnly,
    "S4": TrustsSessions,
    "S5": NoGate,
}
