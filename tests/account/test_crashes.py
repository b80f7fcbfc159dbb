# SPDX-License-Identifier: GPL-3.0-or-later
"""Crashes at any point: what was answered is there, what sessions saw was durable."""

from dataclasses import dataclass
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from pluto_tw.account.database import MemoryDatabase
from pluto_tw.account.opened import OpenedMailbox
from pluto_tw.mail.errors import No
from pluto_tw.mail.flags import flag_set
from pluto_tw.mail.messages import NewMessage, StoreMode
from pluto_tw.mail.names import INBOX
from pluto_tw.mail.sets import NumberSet
from tests.account.accounts import Node, site_of
from tests.support.hop import HeldHop


@dataclass(frozen=True)
class Step:
    """What happens next; *number* says to what, or how much of it."""

    kind: str
    number: int


KINDS = ("append", "append", "flag", "unflag", "expunge", "run", "run", "tell", "tell", "crash")
steps = st.builds(Step, st.sampled_from(KINDS), st.integers(0, 9))
histories = st.integers(1, 60).flatmap(lambda n: st.lists(steps, min_size=n, max_size=n))


class World:
    """One account, whose commits are done and told when a step says so."""

    def __init__(self) -> None:
        self.database = MemoryDatabase("memory", bytes(16))
        self.hop = HeldHop()
        #: Those of processes that died.
        self.hops: list[HeldHop] = []
        self.node = Node(self.database, site_of(Clock()))
        self.made = 0
        #: Of each UID that was answered or shown: the EMAILID.
        self.known: dict[int, str] = {}
        #: UIDs whose EXPUNGE was begun; those for which it was answered.
        self.going: set[int] = set()
        self.gone: set[int] = set()
        self.modseq = 0
        self.bugs: list[Failure] = []
        self.start()

    def start(self) -> None:
        self.hops.append(self.hop)
        self.hop = HeldHop()
        self.node.restart(self.hop)
        self.session = self.node.store.session("fred", "fred")
        opening = Deferred.fromCoroutine(self.session.open(INBOX, False, lambda: None))
        self.hop.finish()
        assert isinstance(opening.result, OpenedMailbox)
        self.opened = opening.result
        self.compare()

    def end(self) -> None:
        """Lets all coroutines end, those of the dead too: nobody looks any more."""
        for hop in (self.hop, *self.hops):
            hop.finish()
        self.database.destroy()

    def compare(self) -> None:
        """What was seen before is there now."""
        uids = list(self.opened.uids())
        ids = dict(zip(uids, self.opened.email_ids(uids), strict=True))
        for uid, email_id in self.known.items():
            assert uid not in ids or ids[uid] == email_id
            assert uid in ids or uid in self.going
            assert not (uid in ids and uid in self.gone)
        self.see()

    def see(self) -> None:
        uids = self.opened.uids()
        self.known.update(zip(uids, self.opened.email_ids(uids), strict=True))
        assert self.opened.highest_modseq() >= self.modseq
        self.modseq = self.opened.highest_modseq()

    def run(self, work: "Deferred[Any]") -> None:
        work.addErrback(lambda failure: failure.trap(No)).addErrback(self.bugs.append)

    def step(self, step: Step) -> None:
        uids = self.opened.uids()
        some = NumberSet.of(uids[step.number : step.number + 3])
        if step.kind == "append":
            self.append()
        elif step.kind in ("flag", "unflag"):
            mode = StoreMode.ADD if step.kind == "flag" else StoreMode.REMOVE
            flags = flag_set(["\\Deleted"])
            self.run(Deferred.fromCoroutine(self.opened.store(some, mode, flags, None)))
        elif step.kind == "expunge":
            self.going |= set(some)
            work = Deferred.fromCoroutine(self.opened.expunge(some))
            work.addCallback(self.gone.update)
            self.run(work)
        elif step.kind == "run" and self.hop.given:
            self.hop.run()
        elif step.kind == "tell" and self.hop._done:
            self.hop.tell()
            self.see()
        elif step.kind == "crash":
            self.start()

    def append(self) -> None:
        self.made += 1
        octets = b"message %d" % self.made
        upload = self.session.upload(len(octets))
        self.run(Deferred.fromCoroutine(upload.write(octets)))
        message = NewMessage(upload, frozenset(), None)

        async def work() -> None:
            appended = await self.session.append(INBOX, [message])
            [email_id] = self.opened.email_ids(appended.uids)
            self.known[appended.uids[0]] = email_id

        self.run(Deferred.fromCoroutine(work()))


class CrashTests(SynchronousTestCase):
    @settings(max_examples=100)
    @given(histories)
    def test_nothing_that_was_told_is_lost(self, history: list[Step]) -> None:
        world = World()
        try:
            for step in history:
                world.step(step)
            world.start()
            world.hop.finish()
            assert not world.bugs, world.bugs
        finally:
            world.end()
