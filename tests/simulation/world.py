# SPDX-License-Identifier: GPL-3.0-or-later
"""One run: nodes, links and clients put together, a plan carried out, the end judged."""

from collections import Counter
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from time import process_time
from typing import Any, assert_never

from pluto_tw.crdt.ops import Add, Op
from pluto_tw.crdt.rules import Rules
from pluto_tw.crdt.transaction import Missing
from tests.simulation.account_node import AccountNode
from tests.simulation.clients import Client
from tests.simulation.crdt_node import CrdtNode
from tests.simulation.invariants import Violation, Watch
from tests.simulation.network import CALM, Network, Timeline
from tests.simulation.node import Node, World
from tests.simulation.plan import (
    BUSY_MS,
    Act,
    BadDisk,
    Crash,
    Cut,
    Damage,
    Exile,
    HandOver,
    Join,
    Leave,
    Loss,
    Plan,
    Rollback,
    Slow,
    Step,
)

#: Makes the rules of a node, whose replica ids by slot it is given.
MakesRules = Callable[[Mapping[int, bytes]], Rules]

#: When all links work and nobody writes, replicas agree within this time: two takeovers (12 s of
#: patience for the seventh rank), three seconds of deferral, some exchanges. Longer is a livelock.
SETTLE_MS = 90_000
HEARTBEAT_MS = 1_000
#: Renumberings at one replica for each message that came during a cut, and those before a takeover.
#: On fast links it is twice for each of the smaller side; where catching up takes half a minute,
#: and both sides go on writing, up to 1.2 for each of both. Without deferral it is three and more.
CHURN_MAX = 2
CHURN_MORE = 40
#: How often it is looked whether they do.
LOOK_MS = 2_000


@dataclass(slots=True)
class Outcome:
    """How a run went; *digest* is of its whole history."""

    plan: Plan
    violation: Violation | None
    history: list[str]
    figures: Counter[str]
    digest: str
    cpu_seconds: float = field(default=0.0, compare=False)


class Run:
    """A plan on its way; used once."""

    def __init__(self, plan: Plan, rules: MakesRules = Rules) -> None:
        self._plan = plan
        settings = plan.settings
        self._timeline = Timeline()
        self._history: list[str] = []
        self._figures: Counter[str] = Counter()
        #: When, where and how many messages came.
        self._added: list[tuple[int, int, int]] = []
        self._network = Network[bytes](
            self._timeline, settings.seed, settings.weather, self._deliver
        )
        self._watch = Watch(self._note)
        slots = range(settings.first_slot, settings.first_slot + settings.replicas)
        self._rules = rules
        self._world = World(
            self._network.send,
            self._committed,
            self._note,
            self._dethroned,
            self._left,
            list(slots),
        )
        #: Those that are not lost for ever.
        self._nodes: dict[int, Node] = {}
        self._lost: list[Node] = []
        self._joining: set[int] = set()
        self._leaving: set[int] = set()
        self._exiled: set[int] = set()
        for slot in slots:
            self._nodes[slot] = self._node(slot)
        self._clients = [
            Client(number, self._nodes, self._start, self._note, self._figures, settings.names)
            for number in range(settings.clients)
        ]

    def _node(self, slot: int) -> Node:
        settings = self._plan.settings
        kind = AccountNode if settings.account else CrdtNode
        return kind(slot, settings, self._timeline, self._world, self._rules)

    def result(self) -> Outcome:
        """Carries the plan out."""
        started = process_time()
        violation = None
        try:
            self._carry_out()
        except Violation as found:
            violation = found
        except Missing as missing:
            violation = Violation("I8", str(missing))
            violation.__cause__ = missing
        except Exception as error:  # noqa: BLE001  # whatever a node raises is what a run may find
            violation = Violation("exception", f"{type(error).__name__}: {error}")
            violation.__cause__ = error
        for node in (*self._nodes.values(), *self._lost):
            node.destroy()
        if violation is not None:
            self._note(f"VIOLATION {violation}")
        self._count()
        digest = blake2b("\n".join(self._history).encode(), digest_size=8).hexdigest()
        return Outcome(
            self._plan,
            violation,
            self._history,
            self._figures,
            digest,
            process_time() - started,
        )

    def _carry_out(self) -> None:
        for step in self._plan.steps:
            self._schedule(step)
        self._timeline.run(BUSY_MS)
        self._note("all links work, nobody writes")
        self._network.weather = CALM
        self._network.mend_all()
        for node in self._nodes.values():
            node.slow_down(0)
            node.wear_out(0)
            node.restart()
        deadline = self._timeline.now + SETTLE_MS
        while not self._is_settled() and self._timeline.now < deadline:
            self._timeline.run(self._timeline.now + LOOK_MS)
        # Once more, so that what is folded late is folded.
        self._timeline.run(self._timeline.now + self._plan.settings.rest_ms)
        self._watch.end(list(self._nodes.values()))
        self._judge_rest()
        if self._plan.settings.habits == "mail":
            self._judge_churn()

    def _is_settled(self) -> bool:
        nodes = list(self._nodes.values())
        if self._joining or self._leaving or any(node.is_loading() for node in nodes):
            return False
        return len({node.vector() for node in nodes}) == 1 and not any(
            mailbox.outstanding for node in nodes for mailbox in node.shown().values()
        )

    def _judge_rest(self) -> None:
        """All know the same members, and have all bodies but those that were damaged somewhere."""
        agreed = {node.slot: node.agreed() for node in self._nodes.values()}
        if len(set(agreed.values())) != 1:
            raise Violation("members", f"they are not the same everywhere: {agreed}")
        for node in self._nodes.values():
            lacking = node.bodiless() - self._world.damaged
            if lacking:
                raise Violation("I3", f"node {node.slot} has no body of {sorted(lacking)}")

    def _judge_churn(self) -> None:
        """I9: after a cut in two, messages are renumbered a few times, not on and on."""
        for cut in self._plan.steps:
            if not isinstance(cut, Cut) or any((b, a) not in cut.links for a, b in cut.links):
                continue
            here = cut.links[0][0]
            there = {b for a, b in cut.links if a == here}
            sides = [0, 0]
            for at, slot, messages in self._added:
                if cut.at <= at <= cut.until:
                    sides[slot in there] += messages
            most = len(self._nodes) * (CHURN_MAX * sum(sides) + CHURN_MORE)
            if self._watch.renumbered > most:
                text = f"{self._watch.renumbered} times a message got a new UID, for {sides}"
                raise Violation("I9", text)

    # Steps.

    def _schedule(self, step: Step) -> None:
        at = self._timeline.at
        if isinstance(step, Act):
            client = self._clients[step.client]
            at(step.at, lambda: client.act(step.verb, step.choice))
        elif isinstance(step, Cut):
            at(
                step.at,
                lambda: self._fault(f"cut {step.links}", lambda: self._network.cut(step.links)),
            )
            at(
                step.until,
                lambda: self._fault(f"mend {step.links}", lambda: self._network.mend(step.links)),
            )
        elif isinstance(step, Crash):
            at(step.at, lambda: self._fault(f"crash {step.slot}", lambda: self._crash(step.slot)))
            at(
                step.until,
                lambda: self._fault(f"restart {step.slot}", lambda: self._restart(step.slot)),
            )
        elif isinstance(step, Slow):
            node = self._nodes[step.slot]
            at(step.at, lambda: self._fault(f"slow {step.slot}", lambda: node.slow_down(step.ms)))
            at(step.until, lambda: node.slow_down(0))
        elif isinstance(step, BadDisk):
            node = self._nodes[step.slot]
            at(step.at, lambda: self._fault(f"disk {step.slot}", lambda: node.wear_out(step.share)))
            at(step.until, lambda: node.wear_out(0))
        elif isinstance(step, Loss):
            at(step.at, lambda: self._fault(f"lose {step.slot}", lambda: self._lose(step.slot)))
            at(step.until, lambda: self._remove(step.slot))
        elif isinstance(step, Exile):
            links = [(a, b) for b in range(32) for a in (step.slot,)]
            links += [(b, a) for a, b in links]
            at(
                step.at,
                lambda: self._fault(f"exile {step.slot}", lambda: self._exile(step.slot, links)),
            )
            at(step.until, lambda: self._expel(step.slot))
        elif isinstance(step, Leave):
            at(step.at, lambda: self._leave(step.slot))
        elif isinstance(step, Damage):
            at(step.at, lambda: self._damage(step.slot))
        elif isinstance(step, Rollback):
            node = self._nodes[step.slot]
            at(step.at, node.back_up)
            at(step.until, lambda: self._put_back(step.slot))
        elif isinstance(step, Join):
            at(step.at, lambda: self._fault(f"join {step.slot}", lambda: self._join(step.slot)))
        elif isinstance(step, HandOver):
            at(
                step.at,
                lambda: self._hand_over(step.slot),
            )
        else:
            assert_never(step)

    def _fault(self, text: str, act: Callable[[], None]) -> None:
        self._note(text)
        self._figures[text.split()[0]] += 1
        act()

    def _hand_over(self, slot: int) -> None:
        for node in self._nodes.values():
            node.hand_over(slot)

    def _crash(self, slot: int) -> None:
        if slot in self._nodes:
            self._nodes[slot].crash()
            for client in self._clients:
                client.disconnect(slot)

    def _restart(self, slot: int) -> None:
        if slot in self._nodes:
            self._nodes[slot].restart()

    # Members come and go.

    def _speaker(self) -> Node | None:
        """Whom an administrator would ask."""
        return next(iter(self._speakers()), None)

    def _speakers(self) -> list[Node]:
        """Those that serve, and are not on their way out."""
        gone = self._leaving | self._exiled
        found = [node for slot, node in sorted(self._nodes.items()) if slot not in gone]
        return [node for node in found if node.serve() is not None]

    def _lose(self, slot: int) -> None:
        if len(self._nodes) > 1:
            self._leaving.add(slot)
            self._drop(slot)

    def _drop(self, slot: int) -> None:
        """A node is gone for ever."""
        self._crash(slot)
        lost = self._nodes.pop(slot, None)
        if lost is not None:
            self._figures.update(lost.figures())
            self._lost.append(lost)

    def _remove(self, slot: int) -> None:
        """Somebody removes *slot* by force, and again until it is done."""
        if slot not in self._leaving:
            return
        speakers = self._speakers()
        if speakers and all(speaker.has_removed(slot) for speaker in speakers):
            self._leaving.discard(slot)
            return
        if speakers and not speakers[0].has_removed(slot):
            speaker = speakers[0]
            self._note(f"node {speaker.slot}: removes node {slot}")
            speaker.remove_member(slot)
        self._timeline.after(LOOK_MS, lambda: self._remove(slot))

    def _exile(self, slot: int, links: list[tuple[int, int]]) -> None:
        self._exiled.add(slot)
        self._network.cut(links)

    def _expel(self, slot: int) -> None:
        """Who is cut off is removed by force, and goes on serving until its operator hears."""
        if slot in self._nodes and len(self._nodes) > 1:
            self._leaving.add(slot)
            self._remove(slot)
            self._timeline.after(2 * LOOK_MS, lambda: self._drop(slot))

    def _leave(self, slot: int) -> None:
        node = self._nodes.get(slot)
        if node is None or node.serve() is None or len(self._nodes) < 2:
            return
        self._fault(f"leave {slot}", node.leave)
        self._leaving.add(slot)
        for client in self._clients:
            client.disconnect(slot)

    def _left(self, slot: int) -> None:
        if slot in self._nodes:
            self._note(f"node {slot}: has left")
            self._leaving.discard(slot)
            self._drop(slot)

    def _damage(self, slot: int) -> None:
        if slot in self._nodes:
            self._fault(f"damage {slot}", self._nodes[slot].damage)

    def _put_back(self, slot: int) -> None:
        node = self._nodes.get(slot)
        if node is None:
            return
        if node.put_back([other.vector() for other in self._nodes.values() if other is not node]):
            self._note(f"roll back {slot}")
            self._figures["roll back"] += 1
            for client in self._clients:
                client.disconnect(slot)

    def _dethroned(self, slot: int) -> None:
        self._note(f"node {slot}: has an old database")
        self._lose(slot)
        settings = self._plan.settings
        # Those above have been promised to steps of the plan.
        planned = settings.first_slot + settings.replicas + settings.joins - 1
        new = max((*self._world.members, *self._joining, planned)) + 1
        self._joining.add(new)
        self._timeline.after(LOOK_MS, lambda: self._remove(slot))
        self._timeline.after(2 * LOOK_MS, lambda: self._join(new))

    def _join(self, slot: int) -> None:
        """A member is added; it begins to load when all others know of it."""
        if self._plan.settings.account:
            # It asks to be added itself.
            self._joining.discard(slot)
            self._world.members.append(slot)
            self._nodes[slot] = self._node(slot)
            return
        self._joining.add(slot)
        speaker = self._speaker()
        if speaker is not None:
            speaker.add_member(slot)
        source = self._nodes.get(self._plan.settings.seed % len(self._nodes), speaker)
        if speaker is None or not all(node.knows_member(slot) for node in self._nodes.values()):
            self._timeline.after(HEARTBEAT_MS, lambda: self._join(slot))
            return
        assert source is not None
        if source.serve() is None:
            source = speaker
        self._world.members.append(slot)
        self._nodes[slot] = self._node(slot)
        self._joining.discard(slot)
        self._note(f"node {slot}: joins, loads from {source.slot}")
        self._nodes[slot].load_from(source.slot)

    # What nodes and clients are given.

    def _deliver(self, source: int, target: int, message: bytes) -> None:
        node = self._nodes.get(target)
        if node is not None:
            node.receive(source, message)

    def _committed(self, node: Node, ops: Sequence[Op]) -> None:
        for op in ops:
            self._note(f"node {node.slot}: {op.dot >> 5}.{op.dot & 31} {op.body}")
            if isinstance(op.body, Add):
                self._added.append((self._timeline.now, node.slot, len(op.body.messages)))
        self._watch.committed(node, ops)

    def _start(self, slot: int, coroutine: Coroutine[Any, Any, None]) -> None:
        self._nodes[slot].run(coroutine)

    def _note(self, text: str) -> None:
        self._history.append(f"{self._timeline.now / 1000:7.3f} {text}")

    def _count(self) -> None:
        self._figures.update(self._network.figures)
        for node in self._nodes.values():
            self._figures.update(node.figures())
        watch = self._watch
        self._figures.update(
            {
                "operations": len(watch.ops),
                "exposures": watch.exposures,
                "renumbered": watch.renumbered,
                "UIDVALIDITY reissued": watch.reissued,
                "judged by the oracle": watch.judged,
            }
        )
