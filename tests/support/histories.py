# SPDX-License-Identifier: GPL-3.0-or-later
"""
Histories: what clients and links do, as lists of small numbers that a test draws.

Every list is a valid history: numbers are taken modulo what there is to choose from. So Hypothesis
can shrink one, and a seed can make one.
"""

from collections.abc import Sequence
from random import Random

from pluto_tw.crdt import commands
from pluto_tw.crdt.mailboxes import exposed_in, group
from pluto_tw.crdt.ops import Message
from pluto_tw.crdt.records import BOX
from pluto_tw.mail.errors import No
from pluto_tw.mail.messages import StoreMode
from pluto_tw.mail.names import MailboxName
from tests.support.cluster import Cache, Cluster, Site

#: (what, where, and three choices)
Step = tuple[int, int, int, int, int]

NAMES = ("INBOX", "a", "b", "a.x", "c")
FLAGS = ("\\Seen", "\\Deleted", "\\Flagged", "work", "Work")

#: What a step does, as often as it stands here.
ACTIONS = (
    *("append",) * 8,
    *("store",) * 8,
    *("expunge",) * 4,
    *("copy",) * 2,
    *("move",) * 5,
    *("create",) * 3,
    *("delete",) * 3,
    *("rename",) * 4,
    *("subscribe",),
    *("annotate",),
    *("revalidate",),
    *("deliver",) * 22,
    *("some",) * 6,
    *("post",) * 8,
    *("arrive",) * 8,
    *("cut",) * 2,
    *("heal",),
    *("expire",) * 4,
    *("tick",) * 2,
    *("fold",) * 3,
    *("prune",),
    *("crash",),
    *("sync",) * 8,
    *("stale",) * 3,
    *("state",),
    *("hand",),
    *("hold",) * 4,
    *("flush",) * 4,
    *("join",),
    *("load",) * 3,
)


def random_steps(seed: int, count: int) -> list[Step]:
    """The history of a seed."""
    random = Random(seed)
    return [
        (
            random.randrange(len(ACTIONS)),
            random.randrange(60),
            random.randrange(60),
            random.randrange(60),
            random.randrange(60),
        )
        for _ in range(count)
    ]


class History:
    """Plays steps on a cluster; *snapshots*: whether state is sent at times, not operations."""

    def __init__(self, cluster: Cluster, snapshots: bool = True, clients: int = 3) -> None:
        self.cluster = cluster
        self.snapshots = snapshots
        self.caches: list[dict[str, Cache]] = [{} for _ in range(clients)]
        self.stale: list[bytes] = []
        #: A readable history of what was done.
        self.log: list[str] = []

    def play(self, steps: Sequence[Step]) -> None:
        for step in steps:
            self.step(step)

    def step(self, step: Step) -> None:
        action = ACTIONS[step[0] % len(ACTIONS)]
        sites = list(self.cluster.sites.values())
        site = sites[step[1] % len(sites)]
        if site.account().gate is not None and action not in ("deliver", "some", "tick", "crash"):
            return
        self.log.append(f"{site.name}: {action} {step[2:]}")
        self.cluster.ms += step[4] * 7 % 400
        try:
            getattr(self, f"_{action}")(site, *step[2:])
        except No as refusal:
            self.log[-1] += f" ({refusal.text})"

    def _pids(self, site: Site, x: int, y: int) -> list[bytes]:
        name = self._name(site, x)
        pids = [p.pid for box in group(site.records, name) for p in exposed_in(site.records, box)]
        if not pids:
            return []
        at = y % len(pids)
        found = pids[at : at + 1 + y % 3]
        self.stale = [*self.stale[-20:], *found]
        return found

    def _name(self, site: Site, x: int) -> MailboxName:
        names = sorted(
            {box.name for box in site.records.tables[BOX.number].values()}
            & {n for n in NAMES if group(site.records, n)}
        )
        return MailboxName(names[x % len(names)])

    def _append(self, site: Site, x: int, y: int, z: int) -> None:
        flags = () if y % 3 else (FLAGS[y % len(FLAGS)],)
        messages = [Message(b"hash", 100, 0, 0, flags)] * (1 + z % 3)
        name = self._name(site, x)
        self.cluster.command(site.name, lambda r, t: commands.append(r, t, name, messages))

    def _store(self, site: Site, x: int, y: int, z: int) -> None:
        pids = self._pids(site, x, y)
        mode = (StoreMode.ADD, StoreMode.REMOVE, StoreMode.REPLACE)[z % 3]
        flags = frozenset({FLAGS[(z // 3) % 4]})
        self.cluster.command(
            site.name,
            lambda r, t: commands.store(r, t, pids, mode, flags, implicit=z % 7 == 0),
        )

    def _stale(self, site: Site, x: int, y: int, z: int) -> None:
        """A session acts on what it still shows."""
        pids = self.stale[x % 20 :][:2]
        flags = frozenset({FLAGS[z % 3]})
        name = self._name(site, y)
        if z % 4 == 0:
            self.cluster.command(site.name, lambda r, t: commands.move(r, t, pids, name))
        elif z % 4 == 1:
            self.cluster.command(site.name, lambda r, t: commands.remove(r, t, pids))
        else:
            self.cluster.command(
                site.name, lambda r, t: commands.store(r, t, pids, StoreMode.ADD, flags)
            )

    def _expunge(self, site: Site, x: int, y: int, z: int) -> None:
        pids = self._pids(site, x, y)
        self.cluster.command(site.name, lambda r, t: commands.remove(r, t, pids))

    def _copy(self, site: Site, x: int, y: int, z: int) -> None:
        pids, name = self._pids(site, x, y), self._name(site, z)
        self.cluster.command(site.name, lambda r, t: commands.copy(r, t, pids, name))

    def _move(self, site: Site, x: int, y: int, z: int) -> None:
        pids, name = self._pids(site, x, y), self._name(site, z)
        self.cluster.command(site.name, lambda r, t: commands.move(r, t, pids, name))

    def _create(self, site: Site, x: int, y: int, z: int) -> None:
        name = MailboxName(NAMES[x % len(NAMES)])
        self.cluster.command(site.name, lambda r, t: commands.create(r, t, name, (), "."))

    def _delete(self, site: Site, x: int, y: int, z: int) -> None:
        name = self._name(site, x)
        self.cluster.command(site.name, lambda r, t: commands.delete(r, t, name))

    def _rename(self, site: Site, x: int, y: int, z: int) -> None:
        old, new = self._name(site, x), MailboxName(NAMES[y % len(NAMES)])
        if old == "INBOX" and z % 5:
            return
        self.cluster.command(site.name, lambda r, t: commands.rename(r, t, old, new, "."))

    def _subscribe(self, site: Site, x: int, y: int, z: int) -> None:
        name = MailboxName(NAMES[x % len(NAMES)])
        self.cluster.command(site.name, lambda r, t: commands.subscribe(r, t, name, y % 2 == 0))

    def _annotate(self, site: Site, x: int, y: int, z: int) -> None:
        name = None if y % 2 else self._name(site, x)
        value = b"%d" % z if z % 5 else None
        self.cluster.command(
            site.name, lambda r, t: commands.annotate(r, t, name, "/private/comment", value)
        )

    def _revalidate(self, site: Site, x: int, y: int, z: int) -> None:
        name = self._name(site, x)
        self.cluster.command(site.name, lambda r, t: commands.revalidate(r, t, name))

    def _deliver(self, site: Site, x: int, y: int, z: int) -> None:
        other = list(self.cluster.sites)[x % len(self.cluster.sites)]
        self.log[-1] += f" to {other}"
        if other != site.name:
            self.cluster.deliver(site.name, other)

    def _some(self, site: Site, x: int, y: int, z: int) -> None:
        other = list(self.cluster.sites)[x % len(self.cluster.sites)]
        self.log[-1] += f" to {other}: {1 + y % 4}"
        if other != site.name:
            self.cluster.deliver(site.name, other, 1 + y % 4)

    def _post(self, site: Site, x: int, y: int, z: int) -> None:
        other = list(self.cluster.sites)[x % len(self.cluster.sites)]
        self.log[-1] += f" to {other}: {y % 5}"
        if other != site.name:
            self.cluster.post(site.name, other, y % 5)

    def _arrive(self, site: Site, x: int, y: int, z: int) -> None:
        self.cluster.arrive(x, y % 4 == 0)

    def _state(self, site: Site, x: int, y: int, z: int) -> None:
        other = list(self.cluster.sites)[x % len(self.cluster.sites)]
        if other != site.name and self.snapshots and self.cluster.linked(site.name, other):
            self.cluster.send_state(site.name, other)

    def _cut(self, site: Site, x: int, y: int, z: int) -> None:
        other = list(self.cluster.sites)[x % len(self.cluster.sites)]
        if other != site.name:
            self.cluster.cuts.add(frozenset((site.name, other)))

    def _heal(self, site: Site, x: int, y: int, z: int) -> None:
        self.cluster.cuts.clear()

    def _expire(self, site: Site, x: int, y: int, z: int) -> None:
        self.cluster.expire(site.name)

    def _tick(self, site: Site, x: int, y: int, z: int) -> None:
        self.cluster.ms += 1000 * (z % 5)
        self.cluster.tick(site.name)

    def _fold(self, site: Site, x: int, y: int, z: int) -> None:
        self.cluster.fold(site.name)

    def _prune(self, site: Site, x: int, y: int, z: int) -> None:
        if self.snapshots:
            self.cluster.prune(site.name)

    def _crash(self, site: Site, x: int, y: int, z: int) -> None:
        self.cluster.crash(site.name)

    def _hand(self, site: Site, x: int, y: int, z: int) -> None:
        sites = list(self.cluster.sites.values())
        if site.replica.is_holder(site.records) and z % 2:
            successor = sites[x % len(sites)].slot
            tx = site.replica.hand_over(site.top(), self.cluster.moment(site), successor)
            self.cluster.commit(site, tx)

    def _hold(self, site: Site, x: int, y: int, z: int) -> None:
        site.holding = site.account().gate is None

    def _flush(self, site: Site, x: int, y: int, z: int) -> None:
        for name in self.cluster.sites:
            self.cluster.flush(name)

    def _join(self, site: Site, x: int, y: int, z: int) -> None:
        loading = any(other.loading for other in self.cluster.sites.values())
        if self.snapshots and not loading and len(self.cluster.sites) < 6:
            self.cluster.join("JKLMNOP"[len(self.cluster.sites)], site.name)

    def _load(self, site: Site, x: int, y: int, z: int) -> None:
        for other in list(self.cluster.sites):
            for _ in range(1 + x % 3):
                self.cluster.load(other)

    def _sync(self, site: Site, x: int, y: int, z: int) -> None:
        name = self._name(site, x)
        caches = self.caches[y % len(self.caches)]
        found = self.cluster.sync(site.name, name, caches.get(name))
        if found is not None:
            caches[name] = found
