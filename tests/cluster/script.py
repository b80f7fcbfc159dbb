# SPDX-License-Identifier: GPL-3.0-or-later
r"""
Runs cluster scripts: what clients do at replicas, what links do, and what must then be seen.

A script is a file of lines; `#` begins a comment. `catches:` in a comment of the first lines names
the mutants (`mutants.py`) with which the script has to fail.

    replicas A B C              in the order of their slots; A is the first sequencer
    A: create N                 also: delete N, rename N M, subscribe N, unsubscribe N
    A: append INBOX m1 \Seen    m1 is a name for this script; with flags or without
    A: append INBOX b*20        twenty messages b1 ... b20, one command each
    A: append-at-once INBOX b   without waiting for the sequencer
    stripe 1                    UIDs in one run of a slot
    restart 100                 the UID from which a mailbox's UIDs begin again
    A: store INBOX m1 +\Seen    or -\Seen
    A: read INBOX m1            a FETCH, which sets \Seen
    A: copy INBOX m1 N          also: move; of several messages: m1,m2
    A: revalidate N             a new UIDVALIDITY
    A: expunge INBOX m1         whatever its flags are
    A: ... refused              the command has to be refused
    s: shows INBOX at B         a session remembers what it shows, and then
    s: store m1 +\Seen          acts on that; also expunge, and move m1 N
    c: sync N at B              a client resynchronises, and has to know all afterwards
    deliver A B                 what B lacks, and a checkpoint; `deliver A B 3`: three of them
    post A B                    the same, on its way; `arrive`: the oldest arrives; `arrive 3`
    repeat 8: a line; another   eight times
    all                         heals, delivers everything, lets time pass; all must be equal
    cut A | B C, heal           links
    expire A                    the waits for UIDs end there
    tick A, fold A, prune A, crash A, state A B
    join D from A, load D       a snapshot; load D 2: two pieces
    skew B 60, time 5           seconds
    hand A B                    A makes B the sequencer
    expect A INBOX: m1 m2(\Seen \Flagged)
    expect all N: nothing
    expect A no N
    expect A uids INBOX: m1=1 m2=65
    expect A uidvalidity N above 1
    expect renumbered at most 10
    expect A subscribed N, expect A not subscribed N
    expect A forgot N m1        no record of it is kept there; `expect A forgot N`: of the box
"""

import re
from collections.abc import Callable
from pathlib import Path

from pluto_tw.crdt import commands
from pluto_tw.crdt.commands import is_subscribed, mailbox
from pluto_tw.crdt.mailboxes import group
from pluto_tw.crdt.ops import Message
from pluto_tw.crdt.predicates import flags_of, is_visible
from pluto_tw.crdt.records import BOX, PLACEMENT
from pluto_tw.crdt.rules import Rules
from pluto_tw.mail.errors import No
from pluto_tw.mail.messages import StoreMode
from pluto_tw.mail.names import MailboxName
from tests.support.cluster import Cache, Cluster, Site, placements_of

_CATCHES = re.compile(r"#.*catches: (.*)")


def scripts() -> list[Path]:
    """All scripts, by name."""
    return sorted(Path(__file__).parent.glob("*.txt"))


def catches(path: Path) -> list[str]:
    """The mutants that a script says to catch."""
    found = _CATCHES.search(path.read_text())
    return found[1].split() if found else []


def run(path: Path, rules: Callable[[], Rules] = Rules) -> None:
    """Raises AssertionError, with the line, for the first line that does not hold."""
    script = Script(rules)
    for number, line in enumerate(path.read_text().splitlines(), 1):
        text = line.split("#")[0].strip()
        if not text:
            continue
        try:
            script.line(text)
        except AssertionError as error:
            raise AssertionError(f"{path.name}:{number}: {text}: {error}") from error


class Script:
    """The state of a running script."""

    def __init__(self, rules: Callable[[], Rules]) -> None:
        self.rules = rules
        self.cluster = Cluster([], rules)
        self.caches: dict[tuple[str, str], Cache | None] = {}
        self.sessions: dict[str, tuple[str, dict[str, list[bytes]]]] = {}

    def line(self, text: str) -> None:
        """Does what *text* says."""
        who, colon, rest = text.partition(": ")
        if colon and " " not in who:
            if who in self.cluster.sites:
                self._at(who, rest.split())
            else:
                self._client(who, rest.split())
        else:
            verb, *words = text.split()
            getattr(self, f"_do_{verb}")(words)

    # What happens at a replica.

    def _at(self, name: str, words: list[str]) -> None:
        refused = words[-1] == "refused"
        verb, *arguments = words[:-1] if refused else words
        try:
            getattr(self, f"_at_{verb.replace('-', '_')}")(name, arguments)
        except No as refusal:
            assert refused, refusal.text
        else:
            assert not refused, "was not refused"

    def _at_create(self, name: str, words: list[str]) -> None:
        self._run(name, lambda r, t: commands.create(r, t, MailboxName(words[0]), (), "."))

    def _at_delete(self, name: str, words: list[str]) -> None:
        self._run(name, lambda r, t: commands.delete(r, t, MailboxName(words[0])))

    def _at_rename(self, name: str, words: list[str]) -> None:
        old, new = map(MailboxName, words)
        self._run(name, lambda r, t: commands.rename(r, t, old, new, "."))

    def _at_revalidate(self, name: str, words: list[str]) -> None:
        self._run(name, lambda r, t: commands.revalidate(r, t, MailboxName(words[0])))

    def _at_subscribe(self, name: str, words: list[str]) -> None:
        self._run(name, lambda r, t: commands.subscribe(r, t, MailboxName(words[0]), True))

    def _at_unsubscribe(self, name: str, words: list[str]) -> None:
        self._run(name, lambda r, t: commands.subscribe(r, t, MailboxName(words[0]), False))

    def _at_append(self, name: str, words: list[str]) -> None:
        target, what, *flags = words
        label, _, count = what.partition("*")
        labels = [f"{label}{i + 1}" for i in range(int(count))] if count else [label]
        for each in labels:
            message = Message(each.encode(), 100, 0, 0, tuple(flags))
            self._run(
                name,
                lambda r, t, m=message: commands.append(r, t, MailboxName(target), [m]),
            )

    def _at_append_at_once(self, name: str, words: list[str]) -> None:
        label, _, count = words[1].partition("*")
        for i in range(int(count)):
            self._at_append(name, [words[0], f"{label}{i + 1}", *words[2:]])
            self.cluster.expire(name)

    def _at_store(self, name: str, words: list[str]) -> None:
        source, what, change = words
        self._store(name, self._named(name, source, what), change)

    def _at_read(self, name: str, words: list[str]) -> None:
        pids = self._named(name, *words)
        seen = frozenset({"\\Seen"})
        self._run(name, lambda r, t: commands.store(r, t, pids, StoreMode.ADD, seen, implicit=True))

    def _at_expunge(self, name: str, words: list[str]) -> None:
        pids = self._named(name, *words)
        self._run(name, lambda r, t: commands.remove(r, t, pids))

    def _at_copy(self, name: str, words: list[str]) -> None:
        pids, target = self._named(name, *words[:2]), MailboxName(words[2])
        self._run(name, lambda r, t: commands.copy(r, t, pids, target))

    def _at_move(self, name: str, words: list[str]) -> None:
        pids, target = self._named(name, *words[:2]), MailboxName(words[2])
        self._run(name, lambda r, t: commands.move(r, t, pids, target))

    def _store(self, name: str, pids: list[bytes], change: str) -> None:
        mode = StoreMode.ADD if change[0] == "+" else StoreMode.REMOVE
        flags = frozenset({change[1:]})
        self._run(name, lambda r, t: commands.store(r, t, pids, mode, flags))

    def _run(self, name: str, command: Callable[..., object]) -> None:
        self.cluster.command(name, command)

    def _named(self, name: str, source: str, what: str) -> list[bytes]:
        """The placements in a mailbox that have these labels."""
        site = self.cluster.sites[name]
        records = site.records
        bids = {box.bid for box in group(records, source)}
        found = []
        for label in what.split(","):
            pids = [
                p.pid
                for p in records.tables[PLACEMENT.number].values()
                if p.box in bids
                and p.blob == label.encode()
                and is_visible(records, p, records.tables[BOX.number][p.box])
            ]
            assert pids, f"there is no {label}"
            found += pids
        return found

    # Sessions and clients.

    def _client(self, who: str, words: list[str]) -> None:
        match words:
            case ["shows", name, "at", place]:
                site = self.cluster.sites[place]
                shown: dict[str, list[bytes]] = {}
                found = mailbox(site.records, name)
                assert found is not None
                for p in placements_of(site, found):
                    shown.setdefault(p.blob.decode(), []).append(p.pid)
                self.sessions[who] = place, shown
            case ["sync", name, "at", place]:
                known = self.caches.get((who, name))
                self.caches[who, name] = self.cluster.sync(place, name, known)
            case ["keeps", old, "as", new]:
                self.caches[who, new] = self.caches.get((who, old))
            case ["store", label, change]:
                place, shown = self.sessions[who]
                self._store(place, shown[label], change)
            case ["expunge", label]:
                place, shown = self.sessions[who]
                self._run(place, lambda r, t: commands.remove(r, t, shown[label]))
            case ["move", label, target]:
                place, shown = self.sessions[who]
                self._run(
                    place, lambda r, t: commands.move(r, t, shown[label], MailboxName(target))
                )
            case _:
                raise ValueError(words)

    # Links, time, replicas.

    def _do_replicas(self, words: list[str]) -> None:
        self.cluster = Cluster(words, self.rules)

    def _do_stripe(self, words: list[str]) -> None:
        for site in self.cluster.sites.values():
            site.rules.stripe = int(words[0])

    def _do_restart(self, words: list[str]) -> None:
        for site in self.cluster.sites.values():
            site.rules.uid_restart = int(words[0])

    def _do_deliver(self, words: list[str]) -> None:
        source, target, *count = words
        self.cluster.deliver(source, target, int(count[0]) if count else 10**9)

    def _do_exchange(self, words: list[str]) -> None:
        """Delivers both ways until nothing is left."""
        a, b = words
        while self.cluster.deliver(a, b) + self.cluster.deliver(b, a):
            pass

    def _do_post(self, words: list[str]) -> None:
        source, target = words
        self.cluster.post(source, target, 10**9)

    def _do_arrive(self, words: list[str]) -> None:
        for _ in range(int(words[0]) if words else 1):
            self.cluster.arrive(0, again=False)

    def _do_repeat(self, words: list[str]) -> None:
        count, _, lines = " ".join(words).partition(": ")
        for _ in range(int(count)):
            for line in lines.split("; "):
                self.line(line)

    def _do_all(self, words: list[str]) -> None:
        self.cluster.settle()

    def _do_cut(self, words: list[str]) -> None:
        sides = [side.split() for side in " ".join(words).split("|")]
        for i, left in enumerate(sides):
            for right in sides[i + 1 :]:
                self.cluster.cuts |= {frozenset((a, b)) for a in left for b in right}

    def _do_heal(self, words: list[str]) -> None:
        self.cluster.cuts.clear()

    def _do_expire(self, words: list[str]) -> None:
        self.cluster.expire(words[0])

    def _do_tick(self, words: list[str]) -> None:
        self.cluster.tick(words[0])

    def _do_fold(self, words: list[str]) -> None:
        self.cluster.fold(words[0])

    def _do_prune(self, words: list[str]) -> None:
        self.cluster.prune(words[0])

    def _do_crash(self, words: list[str]) -> None:
        self.cluster.crash(words[0])

    def _do_state(self, words: list[str]) -> None:
        self.cluster.send_state(*words)

    def _do_join(self, words: list[str]) -> None:
        self.cluster.join(words[0], words[2])

    def _do_load(self, words: list[str]) -> None:
        count = int(words[1]) if words[1:] else 10**9
        while count and self.cluster.sites[words[0]].loading:
            self.cluster.load(words[0])
            count -= 1

    def _do_skew(self, words: list[str]) -> None:
        self.cluster.sites[words[0]].skew_ms = int(words[1]) * 1000

    def _do_time(self, words: list[str]) -> None:
        self.cluster.ms += int(words[0]) * 1000

    def _do_hand(self, words: list[str]) -> None:
        site = self.cluster.sites[words[0]]
        successor = self.cluster.slots[words[1]]
        moment = self.cluster.moment(site)
        self.cluster.commit(site, site.replica.hand_over(site.records, moment, successor))

    # What must be seen.

    def _do_expect(self, words: list[str]) -> None:
        if words[:3] == ["renumbered", "at", "most"]:
            found = self.cluster.renumbered
            assert found <= int(words[3]), f"{found} messages were renumbered"
            return
        where, *rest = words
        for site in self.cluster.sites.values():
            if where in ("all", site.name):
                self._expect(site, rest)

    def _expect(self, site: Site, words: list[str]) -> None:
        match words:
            case ["no", name]:
                assert not group(site.records, name), f"{site.name} has {name}"
            case ["subscribed", name]:
                assert is_subscribed(site.records, name)
            case ["not", "subscribed", name]:
                assert not is_subscribed(site.records, name)
            case ["forgot", name, *labels]:
                boxes = {b.bid for b in site.records.tables[BOX.number].values() if b.name == name}
                placements = site.records.tables[PLACEMENT.number].values()
                kept = [p for p in placements if p.box in boxes and p.blob.decode() in labels]
                assert not kept and (labels or not boxes), f"{site.name} keeps {boxes} {kept}"
            case ["uidvalidity", name, "above", v]:
                found = mailbox(site.records, name)
                assert found is not None and found.v > int(v), found
            case ["uids", name, *wanted]:
                found = mailbox(site.records, name.rstrip(":"))
                assert found is not None
                uids = [f"{p.blob.decode()}={p.uid}" for p in placements_of(site, found)]
                assert uids == wanted, f"{site.name} has {uids}"
            case [name, *_]:
                wanted = re.findall(r"[^ (]+(?:\([^)]*\))?", " ".join(words[1:]))
                found = mailbox(site.records, name.rstrip(":"))
                assert found is not None, f"{site.name} has no {name}"
                shown = sorted(
                    _text(p.blob, flags_of(p.entries)) for p in placements_of(site, found)
                )
                expected = [] if wanted == ["nothing"] else sorted(wanted)
                assert shown == expected, f"{site.name} has {shown}"


def _text(label: bytes, flags: frozenset[str]) -> str:
    return label.decode() + (f"({' '.join(sorted(flags))})" if flags else "")
