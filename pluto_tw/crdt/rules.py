# SPDX-License-Identifier: GPL-3.0-or-later
"""
The rules on which safety hangs, each a small method.

Each is used in one place and says which counterexample it prevents; the tests override them one by
one to see that a cluster script then fails. `effects.py`, `mailboxes.py`, `exposure.py` and
`replica.py` decide when to ask.
"""

from collections.abc import Iterable, Mapping

from pluto_tw.crdt import uids
from pluto_tw.crdt.dots import SLOT_MASK, Vector, covers, is_below, seq_of
from pluto_tw.crdt.predicates import visible_box
from pluto_tw.crdt.records import AccountRecord, Box, Pending, Placement, Records, View


class Rules:
    """
    The rules as they are to be.

    *replica_ids* by slot: h(0) of each origin's chain is made of it; a slot that is not there has
    an id made of its number.
    """

    #: UIDs in one run of a slot's stripe.
    stripe = uids.STRIPE
    #: The UID from which a mailbox's UIDs begin again at 1.
    uid_restart = uids.UID_RESTART

    def __init__(self, replica_ids: Mapping[int, bytes] | None = None) -> None:
        self._replica_ids = replica_ids if replica_ids is not None else {}

    def replica_id(self, slot: int) -> bytes:
        """The id of the replica that has *slot*, from which its chain of hashes starts."""
        return self._replica_ids.get(slot) or b"slot %d" % slot

    def voids(self, ren: int, ren_context: Vector, dele: int, del_context: Vector) -> bool:
        """
        Whether the RENAME *ren* voids the DELETE *dele* of the same box: if neither had seen the
        other. A one-sided test would depend on what is folded already.
        """
        return not covers(ren_context, dele) and not covers(del_context, ren)

    def touches_box(self, box: Box) -> bool:
        """
        Whether a RENAME or DELETE raises the mod-sequence of all in *box*: always.

        Also where nothing visible changes here: a box may leave a mailbox and come back within one
        batch, and a client that was told in between elsewhere has to be told again.
        """
        return True

    def tags_target_box(self) -> bool:
        """
        Whether interest that is forwarded along a MOVE also keeps the target's box: yes.

        Else a mailbox could be dead while it holds a message that is not covered.
        """
        return True

    def bumps(self, before: Placement | None, after: Placement) -> bool:
        """
        Whether a touch raises the mod-sequence of a placement: always.

        A flag that is set and cleared in one batch changes no view here, but a client may have
        seen the middle state elsewhere.
        """
        return True

    def allocate(self, view: View, above: int, slot: int) -> int:
        """A fresh UID for *view*, above *above*, in the stripe of *slot*."""
        return uids.next_uid(max(above, view.unext - 1, view.maxuid), slot, self.stripe)

    def shows_provisional(self, uid: int, slot: int) -> bool:
        """
        Whether *slot* exposes a message under the provisional claim *uid*: if it made the claim,
        so if *uid* is of its stripe.
        """
        return uids.slot_of_uid(uid, self.stripe) == slot

    def fresh_validity(self, account: AccountRecord, unix_seconds: int, slot: int) -> int:
        """A UIDVALIDITY that nobody else can give, above all that are known here."""
        return uids.next_validity(account.maxv, unix_seconds, slot)

    def is_below_floor(self, v: int, floor: int) -> bool:
        """Whether a mailbox needs a new UIDVALIDITY before it is shown under its name."""
        return v < floor

    def reclaims_late(self) -> bool:
        """
        Whether the sequencer gives a new UID to what is late at itself: yes, else it would stay
        hidden there for ever.
        """
        return True

    def bounces_late(self, holder: bool) -> bool:
        """
        Whether it is told to all that a message cannot be shown under its UID here: always, also
        by a sequencer that will mend it later. Else others would not count it as outstanding.
        """
        return True

    def sequences(self, sequencer: int, slot: int) -> bool:
        """
        Whether *slot* gives final UIDs: if the account's *sequencer*, in its low bits, names it.

        If every replica did for what is late at it, each would push away what the others gave, for
        as long as anybody writes.
        """
        return sequencer & SLOT_MASK == slot

    def defers(self, vv: Vector, announced: Iterable[Vector]) -> bool:
        """
        Whether the sequencer leaves messages that have a claim alone for now: while it knows of
        operations that it lacks. Each partial batch would else make claims that collide with the
        next one.
        """
        return any(not is_below(vector, vv) for vector in announced)

    def counts_ack(self, vv: Vector, slot: int, stated: Vector) -> bool:
        """
        Whether the vector that *slot* states counts towards stability: if its own operations up to
        there are here. One of them may name what would be folded else.
        """
        return seq_of(vv, slot) >= seq_of(stated, slot)

    def is_there(self, records: Records, pid: bytes) -> bool:
        """Whether a command may name *pid*, whatever the session still shows: if it is visible."""
        return visible_box(records, pid) is not None

    def serves(self, account: AccountRecord) -> bool:
        """Whether a replica serves clients and makes operations: not while it loads a snapshot."""
        return account.gate is None

    def since_foreign(self, modseq: int, marks: tuple[tuple[int, int], ...]) -> int:
        """
        What mod-sequence of ours stands for *modseq* of another replica.

        Mod-sequences of two replicas cannot be compared: one may be below the other although
        neither had the other's change.
        """
        return max((y for x, y in marks if x <= modseq), default=0)

    def is_covered(self, modseq: int, cov: int) -> bool:
        """Whether all that another replica had at its *modseq* is here."""
        return modseq <= cov

    def outstanding(self, pending: list[Pending]) -> list[Pending]:
        """
        Which outstanding placements belong in every answer to a client of another replica: all.

        Replicas may differ in whether they show them, without any operation that says so.
        """
        return pending

    def is_my_stamp(self, modseq: int, slot: int) -> bool:
        """Whether *slot* gave this mod-sequence."""
        return modseq & SLOT_MASK == slot
