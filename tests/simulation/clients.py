# SPDX-License-Identifier: GPL-3.0-or-later
"""
Mail clients: what they remember, and what they do.

A client is connected to one replica at a time and has one mailbox selected there. It remembers
mailboxes as a QRESYNC client does: UIDVALIDITY, HIGHESTMODSEQ, UIDs and flags. Even clients keep
that by the mailbox's name, odd ones by its MAILBOXID (RFC 8474), also over a RENAME. When they
come back to a mailbox, at this replica or another one, they ask for what changed; the answer must
make the cache equal to what the replica shows (I7). Clients follow the mailbox only now and then,
so what they name is often gone.
"""

from collections import Counter
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from random import Random
from typing import Any, assert_never

from pluto_tw.mail.changes import Change, Ended, Exposed, Touched, Vanished
from pluto_tw.mail.errors import No
from pluto_tw.mail.flags import Flag, Flags
from pluto_tw.mail.messages import Stored, StoreMode
from pluto_tw.mail.sets import EMPTY, NumberSet
from pluto_tw.mail.uids import ModSeq
from tests.simulation.invariants import Violation
from tests.simulation.node import Node, Opened, Served

NAMES = ("INBOX", "INBOX", "Work", "Work", "Work/old", "Lists", "Lists/crdt", "Trash", "Home")
NEW_NAMES = ("Work", "Work/old", "Work/new", "Lists", "Lists/crdt", "Trash", "Home", "Home/Work")
FLAGS = tuple(
    map(Flag, ("\\Seen", "\\Flagged", "\\Deleted", "\\Deleted", "\\Answered", "$Junk", "red"))
)
USES = ("\\Sent", "\\Trash", "\\Drafts")


@dataclass(slots=True)
class Cache:
    """One mailbox as a client remembers it."""

    uid_validity: int
    modseq: int
    #: The slot of the replica that told *modseq*.
    slot: int
    flags: dict[int, Flags] = field(default_factory=dict)
    #: Whether flags may be newer than *modseq*: those of a message in the view overtake what the
    #: client has not been told of yet. Another replica cannot know of it.
    is_ahead: bool = False


@dataclass(slots=True)
class Session:
    """A selected mailbox; `position` is how far its log was followed."""

    name: str
    opened: Opened
    cache: Cache
    position: int


class Client:
    """
    One client.

    Its commands run on *start*, one at a time; while one has no answer yet, other acts are dropped.
    *figures* counts what happened to all clients.
    """

    def __init__(
        self,
        number: int,
        nodes: dict[int, Node],
        start: Callable[[int, Coroutine[Any, Any, None]], None],
        note: Callable[[str], None],
        figures: Counter[str],
        names: int = 0,
    ) -> None:
        self.number = number
        self._new_names = NEW_NAMES[: names or len(NEW_NAMES)]
        self._nodes = nodes
        self._start = start
        self._note = note
        self._figures = figures
        self._slot: int | None = None
        self._served: Served | None = None
        self._session: Session | None = None
        self._caches: dict[str, Cache] = {}
        self._busy = False
        self._blobs = 0

    def disconnect(self, slot: int) -> None:
        """The replica in *slot* is gone; an answer that is under way never comes."""
        if self._slot == slot:
            self._slot = self._served = self._session = None
            self._busy = False

    def act(self, verb: str, choice: int) -> None:
        """Does *verb*, of `plan.HABITS`."""
        if self._busy:
            self._figures["acts dropped"] += 1
            return
        chance = Random(choice)
        if (self._served is None or verb == "roam") and not self._connect(chance):
            self._figures["acts dropped"] += 1
            return
        assert self._slot is not None
        self._busy = True
        self._start(self._slot, self._run(verb, chance))

    def _connect(self, chance: Random) -> bool:
        self._leave()
        self._slot = self._served = None
        for slot in chance.sample(sorted(self._nodes), len(self._nodes)):
            served = self._nodes[slot].serve()
            if served is not None:
                self._slot, self._served = slot, served
                return True
        return False

    def _leave(self) -> None:
        if self._session is not None:
            self._session.opened.close()
            self._session = None

    def _say(self, text: str) -> None:
        self._note(f"client {self.number} at {self._slot}: {text}")

    async def _run(self, verb: str, chance: Random) -> None:
        try:
            await self._do(verb, chance)
        except No as refusal:
            self._figures["refused"] += 1
            self._say(f"{verb}: NO {refusal}")
        else:
            self._figures["commands"] += 1
        self._busy = False

    async def _do(self, verb: str, chance: Random) -> None:
        served = self._served
        assert served is not None
        if verb == "append":
            await self._append(served, chance)
        elif verb == "create":
            name = chance.choice(self._new_names)
            use = (chance.choice(USES),) if chance.random() < 0.2 else ()
            self._say(f"create {name} {' '.join(use)}")
            await served.create(name, use)
        elif verb == "delete":
            name = chance.choice(self._new_names)
            self._say(f"delete {name}")
            await served.delete(name)
        elif verb == "rename":
            old, new = chance.choice(served.names()), chance.choice(self._new_names)
            if old != "INBOX":
                self._say(f"rename {old} {new}")
                await served.rename(old, new)
        elif verb == "rename inbox":
            new = chance.choice(self._new_names)
            self._say(f"rename INBOX {new}")
            await served.rename("INBOX", new)
        elif verb == "subscribe":
            name, wanted = chance.choice(self._new_names), chance.random() < 0.6
            self._say(f"{'subscribe' if wanted else 'unsubscribe'} {name}")
            await served.subscribe(name, wanted)
        elif verb == "annotate":
            where = chance.choice((None, *served.names()))
            value = b"%d" % chance.randrange(1000) if chance.random() < 0.8 else None
            self._say(f"annotate {where} {value!r}")
            await served.annotate(where, chance.choice(("/shared/comment", "/private/x")), value)
        elif verb in ("roam", "visit") or self._session is None:
            await self._visit(served, chance)
            if verb not in ("roam", "visit", "follow") and self._session is not None:
                await self._with_messages(verb, self._session, chance)
        else:
            await self._with_messages(verb, self._session, chance)

    async def _append(self, served: Served, chance: Random) -> None:
        known = [name for name in NAMES if name in served.names()]
        name = chance.choice(known or ["INBOX"])
        self._blobs += 1
        blob = b"%d.%d" % (self.number, self._blobs)
        count = chance.choice((1, 1, 1, 1, 3))
        flags = [
            frozenset(chance.sample(FLAGS[:2], 1)) if chance.random() < 0.3 else frozenset()
            for _ in range(count)
        ]
        self._say(f"append {name} {blob.decode()} x{count}")
        uids = await served.append(name, blob, flags)
        self._say(f"append {blob.decode()} OK {list(uids)}")
        self._figures["appends"] += count

    # The selected mailbox.

    async def _visit(self, served: Served, chance: Random) -> None:
        self._leave()
        known = [name for name in NAMES if name in served.names()]
        name = chance.choice(known or ["INBOX"])
        opened = await served.open(name)
        key = name if self.number % 2 == 0 else opened.mailbox_id
        cache = self._caches.get(key)
        position = opened.position()
        assert self._slot is not None
        if cache is None or cache.uid_validity != opened.uid_validity:
            self._say(f"select {name} v{opened.uid_validity}")
            self._figures["selects"] += 1
            cache = Cache(opened.uid_validity, opened.highest_modseq(), self._slot)
            uids = list(opened.uids())
            cache.flags = dict(zip(uids, opened.flags(uids), strict=True))
            self._caches[key] = cache
        else:
            await self._resync(name, opened, cache, chance)
        self._session = Session(name, opened, cache, position)

    async def _resync(self, name: str, opened: Opened, cache: Cache, chance: Random) -> None:
        """The answer to QRESYNC, and what the client makes of it. RFC 7162 §3.2.5."""
        assert self._slot is not None
        since = ModSeq(cache.modseq)
        known = NumberSet.of(cache.flags) if chance.random() < 0.5 else None
        changed = await opened.changed_since(since)
        vanished = await opened.vanished_since(since, known)
        exposed = list(opened.uids())
        fetched = [uid for uid in exposed if uid in changed]
        self._say(
            f"resync {name} v{cache.uid_validity} since {since} of {cache.slot}: "
            f"{len(fetched)} changed, vanished {vanished}"
        )
        sort = "native" if cache.slot == self._slot else "foreign"
        self._figures[f"resyncs {sort}"] += 1
        before = dict(cache.flags)
        if any(uid in vanished for uid in exposed):
            raise Violation("I7", f"client {self.number}: VANISHED names exposed UIDs of {name}")
        cache.flags = {uid: flags for uid, flags in cache.flags.items() if uid not in vanished}
        cache.flags.update(zip(fetched, opened.flags(fetched), strict=True))
        cache.modseq = opened.highest_modseq()
        cache.slot = self._slot
        truth = dict(zip(exposed, opened.flags(exposed), strict=True))
        if cache.is_ahead and sort == "foreign":
            cache.flags = {uid: truth.get(uid, flags) for uid, flags in cache.flags.items()}
        cache.is_ahead = False
        self._figures["records sent"] += len(fetched)
        self._figures["records needed"] += sum(
            before.get(uid) != flags for uid, flags in truth.items()
        )
        self._compare(name, cache, truth, f"resync since {since}")

    def _compare(self, name: str, cache: Cache, truth: dict[int, Flags], after: str) -> None:
        if cache.flags != truth:
            missed = sorted(truth.keys() - cache.flags.keys())
            stale = sorted(cache.flags.keys() - truth.keys())
            wrong = sorted(
                uid for uid in truth.keys() & cache.flags.keys() if truth[uid] != cache.flags[uid]
            )
            raise Violation(
                "I7",
                f"client {self.number} at {self._slot}, {name}, {after}: "
                f"UIDs missed {missed}, still there {stale}, wrong flags {wrong}",
            )

    def _follow(self, session: Session, chance: Random) -> None:
        """Takes in the mailbox's log, all of it or a part that ends with a transaction."""
        opened = session.opened
        changes = opened.changes(session.position)
        if changes is None:
            self._leave()
            return
        taken = list(changes)
        if taken and chance.random() < 0.3:
            taken = _whole(taken, chance.randrange(len(taken)))
        cache = session.cache
        assert self._slot is not None
        for change in taken:
            session.position += 1
            if isinstance(change, Ended):
                self._say(f"{session.name} ended")
                self._leave()
                return
            cache.modseq, cache.slot = change.modseq, self._slot
            if isinstance(change, Vanished):
                for uid in change.uids:
                    cache.flags.pop(uid, None)
            elif isinstance(change, Exposed | Touched):
                self._take(opened, cache, change)
            else:
                assert_never(change)
        opened.told(session.position)
        cache.is_ahead = len(taken) < len(changes)
        if len(taken) == len(changes):
            if opened.uid_validity == cache.uid_validity:
                cache.modseq = max(cache.modseq, opened.highest_modseq())
            exposed = list(opened.uids())
            truth = dict(zip(exposed, opened.flags(exposed), strict=True))
            self._compare(session.name, cache, truth, "following")
        self._figures["follows"] += 1

    def _take(self, opened: Opened, cache: Cache, change: Exposed | Touched) -> None:
        if isinstance(change, Exposed):
            uids = list(change.uids)
            if cache.flags and uids and min(uids) <= max(cache.flags):
                raise Violation("I5", f"UID {min(uids)} was exposed after {max(cache.flags)}")
        else:
            uids = [uid for uid in change.uids if uid in cache.flags]
        cache.flags.update(zip(uids, opened.flags(uids), strict=True))

    async def _with_messages(self, verb: str, session: Session, chance: Random) -> None:
        if verb == "follow":
            self._follow(session, chance)
            return
        shown = sorted(session.cache.flags)
        if not shown:
            return
        count = min(len(shown), chance.choice((1, 1, 2, 3, 8)))
        uids = NumberSet.of(chance.sample(shown, count))
        if verb == "store":
            await self._store(session, uids, chance)
        elif verb == "expunge":
            mode = StoreMode.ADD
            self._say(f"delete and expunge {session.name} {uids}")
            await session.opened.store(uids, mode, frozenset({Flag("\\Deleted")}), None)
            if session is self._session and chance.random() < 0.9:
                gone = await session.opened.expunge(uids)
                self._say(f"expunged {gone}")
        else:
            assert self._served is not None
            target = chance.choice(self._served.names())
            self._say(f"{verb} {session.name} {uids} to {target}")
            call = session.opened.copy if verb == "copy" else session.opened.move
            copied = await call(uids, target)
            self._say(f"{verb} OK {copied.source} -> {copied.target}")

    async def _store(self, session: Session, uids: NumberSet, chance: Random) -> None:
        mode = chance.choice((StoreMode.ADD, StoreMode.ADD, StoreMode.REMOVE, StoreMode.REPLACE))
        flags = frozenset(chance.sample(FLAGS, chance.choice((1, 1, 2))))
        since = ModSeq(session.cache.modseq) if chance.random() < 0.4 else None
        self._say(f"store {session.name} {uids} {mode.value} {sorted(flags)} unchanged {since}")
        unknown = EMPTY
        if since is not None:
            exposed = NumberSet.of(session.opened.uids())
            listed = list(uids & exposed)
            now = session.opened.flags(listed)
            unknown = NumberSet.of(
                uid
                for uid, found in zip(listed, now, strict=True)
                if session.cache.flags[uid] != found
            )
        stored: Stored = await session.opened.store(uids, mode, flags, since)
        if stored.changed & unknown:
            raise Violation(
                "UNCHANGEDSINCE", f"{stored.changed & unknown} had changed after {since}"
            )
        self._say(f"stored {stored.changed} modified {stored.modified} gone {stored.gone}")


def _whole(changes: list[Change], count: int) -> list[Change]:
    """At most the first *count* changes, without parts of what came at one mod-sequence."""
    while 0 < count < len(changes) and _modseq(changes[count]) == _modseq(changes[count - 1]):
        count -= 1
    return changes[:count]


def _modseq(change: Change) -> int:
    return 0 if isinstance(change, Ended) else change.modseq
