# SPDX-License-Identifier: GPL-3.0-or-later
"""
The rows of the table on replicas of the real rules, in memory.

`run` plays one row in one order of events: who is the sequencer, whose operations travel first,
whose clock is ahead.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product

from pluto_tw.crdt import commands
from pluto_tw.crdt.commands import is_subscribed, mailbox
from pluto_tw.crdt.mailboxes import exposed_in, group
from pluto_tw.crdt.ops import Message
from pluto_tw.crdt.predicates import flags_of
from pluto_tw.crdt.records import BOX, SUBSCRIPTION
from pluto_tw.crdt.rules import Rules
from pluto_tw.crdt.transaction import Transaction
from pluto_tw.mail.flags import DELETED, SEEN
from pluto_tw.mail.messages import StoreMode
from pluto_tw.mail.names import MailboxName
from tests.conflicts.row import Row, as_shown, deeds
from tests.support.cluster import Cluster, observable, placements_of

ONE, OTHER, THIRD = "one", "other", "third"

#: Seconds that the clock of one of the sites is ahead of the other.
_AHEAD = 60


@dataclass(frozen=True, slots=True)
class Order:
    """
    One order of events.

    *sequencer*: a third site only if it is that. The operations of *first* travel first; the clock
    of *later* is ahead.
    """

    sequencer: str
    first: str
    later: str


#: All orders that a row is played in.
ORDERS = tuple(Order(*names) for names in product((ONE, OTHER, THIRD), (ONE, OTHER), (ONE, OTHER)))


@dataclass(frozen=True, slots=True)
class Found:
    """
    How a row went.

    What each of the two sites showed while it was cut off, and what all show after healing. For
    each of the two, *renumbered* are messages that it shows under another UID than before,
    *revalidated* names that have another UIDVALIDITY.
    """

    apart: dict[str, dict[str, Counter[str]]]
    shows: dict[str, Counter[str]]
    subscribed: set[str]
    renumbered: dict[str, set[str]]
    revalidated: dict[str, set[str]]


def run(row: Row, order: Order, rules: Callable[[], Rules] = Rules) -> Found:
    """Plays *row*. AssertionError if sites differ, or show what does not follow from all ops."""
    others = [name for name in (ONE, OTHER) if name != order.sequencer]
    cluster = Cluster([order.sequencer, *others], rules)
    do(cluster, order.sequencer, row.before)
    cluster.settle()
    cluster.sites[order.later].skew_ms = _AHEAD * 1000
    names = list(cluster.sites)
    cluster.cuts = {frozenset((a, b)) for a, b in product(names, names) if a != b}
    do(cluster, ONE, row.one)
    do(cluster, OTHER, row.other)
    apart = {name: shown(cluster, name) for name in (ONE, OTHER)}
    numbers = {name: _numbers(cluster, name) for name in (ONE, OTHER)}
    validities = {name: _validities(cluster, name) for name in (ONE, OTHER)}
    cluster.cuts.clear()
    for source in (order.first, *(name for name in names if name != order.first)):
        for target in names:
            if target != source:
                cluster.deliver(source, target)
    cluster.settle()
    together = observable(cluster.sites[ONE].records)
    for name in names:
        cluster.fold(name)
        assert observable(cluster.sites[name].records) == together, f"{name} after folding"
    cluster.settle()
    return Found(
        apart,
        shown(cluster, ONE),
        _subscribed(cluster, ONE),
        {name: _changed(known, _numbers(cluster, name)) for name, known in numbers.items()},
        {name: _changed(known, _validities(cluster, name)) for name, known in validities.items()},
    )


def do(cluster: Cluster, site: str, text: str) -> None:
    """Carries commands out at *site*, as rows write them."""
    for words in deeds(text):
        _do(cluster, site, words)


def _do(cluster: Cluster, site: str, words: list[str]) -> None:
    match words:
        case ["create", name]:
            _command(cluster, site, lambda r, t: commands.create(r, t, MailboxName(name), (), "."))
        case ["delete", name]:
            _command(cluster, site, lambda r, t: commands.delete(r, t, MailboxName(name)))
        case ["rename", old, new]:
            a, b = MailboxName(old), MailboxName(new)
            _command(cluster, site, lambda r, t: commands.rename(r, t, a, b, "."))
        case ["subscribe" | "unsubscribe" as verb, name]:
            value = verb == "subscribe"
            _command(cluster, site, lambda r, t: commands.subscribe(r, t, MailboxName(name), value))
        case ["append", name, label, *flags]:
            message = Message(label.encode(), 100, 0, 0, tuple(flags))
            _command(
                cluster, site, lambda r, t: commands.append(r, t, MailboxName(name), [message])
            )
        case ["copy", name, what, target]:
            pids = _named(cluster, site, name, what)
            _command(cluster, site, lambda r, t: commands.copy(r, t, pids, MailboxName(target)))
        case ["move", name, what, target]:
            pids = _named(cluster, site, name, what)
            _command(cluster, site, lambda r, t: commands.move(r, t, pids, MailboxName(target)))
        case ["store", name, what, change]:
            _store(cluster, site, _named(cluster, site, name, what), change)
        case ["store-if-unchanged", name, what, change]:
            since = cluster.sites[site].account().m
            _store(cluster, site, _named(cluster, site, name, what), change, since)
        case ["read", name, what]:
            pids = _named(cluster, site, name, what)
            seen = frozenset({SEEN})
            _command(
                cluster,
                site,
                lambda r, t: commands.store(r, t, pids, StoreMode.ADD, seen, implicit=True),
            )
        case ["expunge", name, what]:
            pids = _named(cluster, site, name, what)
            _store(cluster, site, pids, f"+{DELETED}")
            _command(cluster, site, lambda r, t: commands.expunge(r, t, pids))
        case _:
            raise ValueError(words)


def _command(cluster: Cluster, site: str, run: Callable[[Rules, Transaction], object]) -> None:
    cluster.command(site, run)
    cluster.expire(site)


def _store(
    cluster: Cluster, site: str, pids: list[bytes], change: str, since: int | None = None
) -> None:
    mode = StoreMode.ADD if change[0] == "+" else StoreMode.REMOVE
    flags = frozenset({change[1:]})
    _command(
        cluster,
        site,
        lambda r, t: commands.store(r, t, pids, mode, flags, unchanged_since=since),
    )


def _named(cluster: Cluster, site: str, name: str, what: str) -> list[bytes]:
    """The messages of a mailbox that a session there sees under these labels."""
    found = mailbox(cluster.sites[site].records, name)
    assert found is not None, name
    by_label = {p.blob.decode(): p.pid for p in placements_of(cluster.sites[site], found)}
    return [by_label[label] for label in what.split(",")]


def _mailboxes(cluster: Cluster, site: str) -> Iterator[str]:
    records = cluster.sites[site].records
    for name in sorted({box.name for box in records.tables[BOX.number].values()}):
        if group(records, name):
            yield name


def shown(cluster: Cluster, site: str) -> dict[str, Counter[str]]:
    """What sessions at *site* see now."""
    records = cluster.sites[site].records
    return {
        name: Counter(
            as_shown(placement.blob.decode(), flags_of(placement.entries))
            for box in group(records, name)
            for placement in exposed_in(records, box)
        )
        for name in _mailboxes(cluster, site)
    }


def _subscribed(cluster: Cluster, site: str) -> set[str]:
    records = cluster.sites[site].records
    return {name for name in records.tables[SUBSCRIPTION.number] if is_subscribed(records, name)}


def _numbers(cluster: Cluster, site: str) -> dict[bytes, tuple[str, int]]:
    """For each message that is shown: its label, and its UIDVALIDITY and UID as one number."""
    records = cluster.sites[site].records
    found = {}
    for name in _mailboxes(cluster, site):
        boxes = group(records, name)
        for box in boxes:
            for placement in exposed_in(records, box):
                number = boxes[0].v << 32 | placement.uid
                found[placement.pid] = placement.blob.decode(), number
    return found


def _validities(cluster: Cluster, site: str) -> dict[bytes, tuple[str, int]]:
    records = cluster.sites[site].records
    return {name.encode(): (name, group(records, name)[0].v) for name in _mailboxes(cluster, site)}


def _changed(before: dict[bytes, tuple[str, int]], now: dict[bytes, tuple[str, int]]) -> set[str]:
    """What has another number now."""
    return {now[key][0] for key in before if key in now and now[key] != before[key]}
