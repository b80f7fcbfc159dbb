# SPDX-License-Identifier: GPL-3.0-or-later
"""
What two replicas ask and answer: each question and answer with its fields and their bounds.

Each question has a kind, a short name that travels beside it. A later version adds fields at the
end: who does not know them leaves them out of account, and who misses them takes their defaults. So
a field is never taken away nor given another meaning.

As octets they are for `codec.py`. Which version two replicas speak they settle with `Hello`
(`handshake.py`). What batches, snapshots and vectors hold is said by `pluto_tw.crdt`.
docs/spec/replication.md has every field.
"""

from typing import Annotated, Final

from msgspec import Meta, Struct

from pluto_tw.crdt.codec import BATCH_OCTETS_MAX
from pluto_tw.crdt.dots import SEQ_MAX, SLOTS_MAX
from pluto_tw.crdt.resync import Checkpoint
from pluto_tw.replication.channel import VALUE_OCTETS_MAX

#: The versions of these messages that are spoken here, the lowest and the highest.
FORMAT_MIN: Final = 1
FORMAT_MAX: Final = 1

#: What replicas of this release may do to each other's state: kinds of operations and their fields.
#: A subnet emits only those of the lowest level of all its members.
LEVEL: Final = 1

HELLO: Final = "hello"
BEAT: Final = "beat"
SYNC: Final = "sync"
BATCH: Final = "batch"
BODIES: Final = "bodies"
FETCH: Final = "fetch"
SNAPSHOT: Final = "snapshot"
SURVEY: Final = "survey"
ACCOUNTS: Final = "accounts"

#: Accounts in one page of `Sync`: with keys of 50 octets and vectors of seven members some 25 KiB.
PAGE_ACCOUNTS: Final = 256

#: Accounts in one beat. More follow in the next one, at once.
BEAT_ACCOUNTS: Final = 256

#: Octets of bodies in one question: what travels best on TLS links is 64 to 128 KiB.
PIECES_OCTETS: Final = 128 * 1024

#: Octets of a body in one piece: a chunk as it is stored, so that a read gives one piece.
PIECE_OCTETS: Final = 64 * 1024

#: Pieces in one question: messages of a few hundred octets by the hundred.
PIECES_MAX: Final = 512

#: Bodies that one answer calls missing, 40 octets each: those of the largest operation. What is
#: missing beside them is told when these have come.
MISSING_MAX: Final = 4096

#: Mailboxes in one answer to `Survey`: a name has at most 1,000 octets, so these are 260 KiB.
MAILBOXES_MAX: Final = 256

#: Messages that one answer names whose bodies are missing or damaged, of 1 KiB at most; all of them
#: are counted.
PLACES_MAX: Final = 100

#: Accounts in one answer to `Accounts`: 200 KiB with the longest keys.
LISTED_MAX: Final = 256

#: Characters of names and keys. A user's name has at most 255 octets (`pluto_tw.auth.names`), and
#: case folding makes at most three characters of one.
_NAME_MAX: Final = 1024
#: A cursor of a snapshot: a few numbers and a name.
_CURSOR_OCTETS_MAX: Final = 8 * 1024

#: Shards of one replica at most: each has threads and files of its own, some tens are many.
_SHARDS_MAX: Final = 1024

_Key = Annotated[str, Meta(min_length=1, max_length=_NAME_MAX)]
_Name = Annotated[str, Meta(max_length=_NAME_MAX)]
_Hash = Annotated[bytes, Meta(min_length=16, max_length=64)]
_Replica = Annotated[bytes, Meta(max_length=64)]
_Vector = Annotated[tuple[Annotated[int, Meta(ge=0, le=SEQ_MAX)], ...], Meta(max_length=SLOTS_MAX)]
_Slot = Annotated[int, Meta(ge=0, lt=SLOTS_MAX)]
_Stamp = Annotated[int, Meta(ge=0, le=2**63 - 1)]
_Digest = Annotated[bytes, Meta(min_length=16, max_length=64)]
_Size = Annotated[int, Meta(ge=0, lt=2**40)]
_Cursor = Annotated[bytes, Meta(max_length=_CURSOR_OCTETS_MAX)]


class Refusal(Struct, frozen=True, array_like=True, tag=0):
    """
    Why a question is not answered; *text* is for people.

    *code*: one of the constants below.
    """

    code: int
    text: Annotated[str, Meta(max_length=4096)]


#: The question cannot be read, or is of a kind that is not known here.
NOT_UNDERSTOOD: Final = 1
#: `Hello` comes first.
NO_HELLO: Final = 2
#: The link is refused: other versions, another subnet, another table of members, a removed member.
LINK_REFUSED: Final = 3
#: Not now: full, closing, or the account needs its operator.
UNAVAILABLE: Final = 4
#: The answering side is starting for the first time, and asks the same.
NEW_TOO: Final = 5
#: The link is refused since who asks was removed from the subnet: it must serve nobody any more.
REMOVED: Final = 6


class MemberRow(Struct, frozen=True, array_like=True):
    """A member of the subnet; an empty *replica* is not known yet. *state*: `members.State`."""

    slot: _Slot
    name: _Name
    replica: _Replica
    state: int


class Hello(Struct, frozen=True, array_like=True, tag=1):
    """Who asks, first of all questions on a link; the answer is who answers."""

    format_min: int
    format_max: int
    level: int
    name: _Name
    replica: _Replica
    subnet: _Name
    slot: Annotated[int, Meta(ge=-1, lt=SLOTS_MAX)]
    members: Annotated[tuple[MemberRow, ...], Meta(max_length=SLOTS_MAX)]
    #: The newest position of each shard: below what a peer has heard before, it was put back.
    positions: Annotated[tuple[_Stamp, ...], Meta(max_length=_SHARDS_MAX)] = ()
    #: In an answer: the standing of who asked, `STANDING_MEMBER` and so on.
    standing: int = 0


#: `Hello.standing`: a member; one that is to be added, or was added and waits for all members to
#: have heard of it; one that all have heard of, and that may open its databases now.
STANDING_MEMBER: Final = 0
STANDING_WAITING: Final = 1
STANDING_ADMITTED: Final = 2


class Stated(Struct, frozen=True, array_like=True):
    """
    What a replica states of an account, all from one committed state: `Checkpoint`.

    *loading*: it loads a snapshot of it, of which *vector* says nothing.
    """

    key: _Key
    x: _Stamp
    vector: _Vector
    sequencer: _Stamp
    loading: bool = False

    def checkpoint(self, slot: int) -> Checkpoint:
        """As the checkpoint of the member *slot*."""
        return Checkpoint(slot, self.x, self.vector, self.sequencer)


def stated(key: str, checkpoint: Checkpoint, *, loading: bool = False) -> Stated:
    """What to state of the account *key*."""
    return Stated(key, checkpoint.x, checkpoint.vector, checkpoint.sequencer, loading)


class Beat(Struct, frozen=True, array_like=True):
    """
    The asking replica lives, and committed to these accounts since it said so last. *complete*: it
    has sent all that the other side had missed when the link began.
    """

    accounts: Annotated[tuple[Stated, ...], Meta(max_length=BEAT_ACCOUNTS)]
    complete: bool = False


class Beaten(Struct, frozen=True, array_like=True, tag=1):
    """The answer to a beat."""


class Sync(Struct, frozen=True, array_like=True):
    """A page of accounts that changed here: what has the other side of them?"""

    accounts: Annotated[tuple[Stated, ...], Meta(max_length=PAGE_ACCOUNTS)]


class Synced(Struct, frozen=True, array_like=True, tag=1):
    """
    The same accounts in the same order, as the answering side has them.

    *vector* of an account that is not there is empty; None if it cannot be told now.
    """

    accounts: Annotated[tuple[Stated | None, ...], Meta(max_length=PAGE_ACCOUNTS)]


class Batch(Struct, frozen=True, array_like=True):
    """Operations of one account, in a batch of `pluto_tw.crdt.codec`."""

    stated: Stated
    batch: Annotated[bytes, Meta(max_length=BATCH_OCTETS_MAX)]


class Missing(Struct, frozen=True, array_like=True):
    """A body that is needed; *coming*: somebody sends it already."""

    hash: _Hash
    size: _Size
    coming: bool = False


class Taken(Struct, frozen=True, array_like=True, tag=1):
    """
    What became of a batch, durable: so many *operations* were new.

    *stated* is the answering side's state after it. *missing*: bodies without which the rest cannot
    be taken. *ahead*: the rest is stamped too far in the future. *unknown*: the rest is of a member
    that is not known there yet. *refused*: 0, or why nothing was taken (`MALFORMED` and so on),
    about the operations of *slot*.
    """

    operations: Annotated[int, Meta(ge=0)]
    stated: Stated
    missing: Annotated[tuple[Missing, ...], Meta(max_length=MISSING_MAX)] = ()
    ahead: bool = False
    unknown: bool = False
    refused: int = 0
    slot: int = 0


#: `Taken.refused`.
MALFORMED: Final = 1
FORKED: Final = 2
BEHIND: Final = 3


class BodyPiece(Struct, frozen=True, array_like=True):
    """
    Octets of the body *hash* from *start* on; *lost*: this replica does not have it whole.

    The pieces of a body come in order, the last one ends at *size*.
    """

    hash: _Hash
    size: _Size
    start: _Size
    octets: Annotated[bytes, Meta(max_length=PIECE_OCTETS)]
    lost: bool = False


class Bodies(Struct, frozen=True, array_like=True):
    """Pieces of bodies that the account *key* needs."""

    key: _Key
    pieces: Annotated[tuple[BodyPiece, ...], Meta(max_length=PIECES_MAX)]


class Stored(Struct, frozen=True, array_like=True, tag=1):
    """What became of each piece of `Bodies`: one of the constants below."""

    outcomes: Annotated[tuple[int, ...], Meta(max_length=PIECES_MAX)]


#: Taken; of the last piece: the body is here, whole and durable.
TOOK: Final = 0
#: The body is here already.
HAD: Final = 1
#: Somebody else sends it: stop, and offer what needs it again later.
COMING: Final = 2
#: It was not the next octet: begin again.
BEGIN_AGAIN: Final = 3
#: All octets came, and do not fit the hash or the size.
UNFIT: Final = 4


class Fetch(Struct, frozen=True, array_like=True):
    """Has the other side the body *hash*? If so: its octets from *start*."""

    hash: _Hash
    size: _Size
    start: _Size


class Fetched(Struct, frozen=True, array_like=True, tag=1):
    """At most `PIECE_OCTETS` of a body; None if it is not there whole."""

    octets: Annotated[bytes, Meta(max_length=PIECE_OCTETS)] | None


class Snapshot(Struct, frozen=True, array_like=True):
    """
    A part of the snapshot of the account *key*: the *header* with all of them, so that the other
    side knows which one it is; then a *piece*, which begins at *cursor* and ends at *after*, or the
    *trailer*, or none of both: where shall it go on?
    """

    key: _Key
    header: Annotated[bytes, Meta(max_length=_CURSOR_OCTETS_MAX)]
    cursor: _Cursor = b""
    after: _Cursor = b""
    piece: Annotated[bytes, Meta(max_length=VALUE_OCTETS_MAX)] = b""
    trailer: Annotated[bytes, Meta(max_length=_CURSOR_OCTETS_MAX)] = b""


class Loaded(Struct, frozen=True, array_like=True, tag=1):
    """
    How far the answering side is with the snapshot, durable: *state* is one of the constants below,
    *cursor* where the next piece begins.
    """

    state: int
    stated: Stated
    cursor: _Cursor = b""
    missing: Annotated[tuple[Missing, ...], Meta(max_length=MISSING_MAX)] = ()


#: Go on at the cursor.
GO_ON: Final = 0
#: The trailer was taken: operations may follow.
ENDED: Final = 1
#: Somebody else's snapshot is being loaded, or too many are: try again later.
BUSY: Final = 2
#: It is not needed.
NOT_NEEDED: Final = 3
#: The trailer is stamped too far in the future.
AHEAD: Final = 4


class Survey(Struct, frozen=True, array_like=True):
    """
    What can clients see of the account *key*, as a digest? Asked for an operator.

    *bodies*: hash the octets of all messages again. *after* is the place in the list of mailboxes
    from which on they are told; below 0 none are.
    """

    key: _Key
    bodies: bool = False
    after: Annotated[int, Meta(ge=-1, lt=2**32)] = -1


class Mailbox(Struct, frozen=True, array_like=True):
    """The digest of what clients can see of a mailbox; of the subscriptions if *name* is empty."""

    name: _Name
    digest: _Digest


class Unfit(Struct, frozen=True, array_like=True):
    """A message whose body is missing or damaged."""

    mailbox: _Name
    uid: Annotated[int, Meta(ge=0, lt=2**32)]


class Surveyed(Struct, frozen=True, array_like=True, tag=1):
    """
    How far the survey is: so many *messages*. It is not *done* after the time that an answer may
    take: to be asked again, soon, with the same key and *bodies*. The rest counts if it is done;
    *messages* are then those of the account.

    *vector*, *outstanding* and *digest* are as in `pluto_tw.account.digests`; not *steady*: what
    came meanwhile may be in it or not. *following*: where in the list of mailboxes the next answer
    begins, below 0 at its end. *unfit* bodies were found, the first ones are *places*.
    """

    done: bool
    messages: _Size
    vector: _Vector = ()
    outstanding: bool = False
    steady: bool = True
    digest: Annotated[bytes, Meta(max_length=64)] = b""
    mailboxes: Annotated[tuple[Mailbox, ...], Meta(max_length=MAILBOXES_MAX)] = ()
    following: Annotated[int, Meta(ge=-1, lt=2**32)] = -1
    unfit: _Size = 0
    places: Annotated[tuple[Unfit, ...], Meta(max_length=PLACES_MAX)] = ()


class Accounts(Struct, frozen=True, array_like=True):
    """Which accounts are there? At most *limit*, behind *cursor*, which an earlier answer gave."""

    cursor: Annotated[str, Meta(max_length=_CURSOR_OCTETS_MAX)] = ""
    limit: Annotated[int, Meta(ge=1, le=LISTED_MAX)] = LISTED_MAX


class Listed(Struct, frozen=True, array_like=True, tag=1):
    """The *keys* of some accounts; *cursor* is for the next ones, empty if there are none."""

    keys: Annotated[tuple[_Key, ...], Meta(max_length=LISTED_MAX)]
    cursor: Annotated[str, Meta(max_length=_CURSOR_OCTETS_MAX)] = ""


Question = Hello | Beat | Sync | Batch | Bodies | Fetch | Snapshot | Survey | Accounts
