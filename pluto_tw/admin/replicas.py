# SPDX-License-Identifier: GPL-3.0-or-later
"""
The replicas of one subnet, asked all at once: by their own sockets where these are on this machine,
else by way of a replica that is.

Decides which way a question takes. A replica that does not answer on its own socket is asked for by
others, and one that a replica has no link to, by the next; who cannot be reached in any way stays
without an answer, and says why.
"""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final, Self

from pluto_tw.admin.asking import (
    ANSWER_SECONDS,
    WORK_SECONDS,
    AskFailed,
    Asking,
    NobodyThere,
    ReplicaAway,
)
from pluto_tw.admin.sockets import Answering

#: What is not answered at once.
_LONG: Final = ("digest",)


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a replica has not answered, for people."""

    reason: str


class Replicas:
    """
    Those of *subnet*, reached through *nodes*, some of which have it; to be used in a `with`.

    Nothing is asked before `find`.
    """

    def __init__(self, subnet: str, nodes: Iterable[Answering]) -> None:
        self.subnet = subnet
        #: The Names of those that can be asked for, in order.
        self.names: list[str] = []
        #: Which Names are configured, and are no members.
        self.strangers: list[str] = []
        #: Why nobody can ask a replica, by Name: it is not tried again before `retry`.
        self.away: dict[str, str] = {}
        self._local = {node.name: node for node in nodes if subnet in node.peers}
        #: By the Name of whose socket it is, and of who is asked.
        self._connections: dict[tuple[str, str], Asking] = {}
        #: The Name by whose socket a replica has answered last.
        self._by: dict[str, str] = {}
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stack.close()

    def find(self) -> None:
        """Learns who belongs to the subnet. Raises `AskFailed` if nobody of it answers here."""
        failures = []
        for name in self._local:
            try:
                answer = self._ask_by(name, name, {"ask": "members", "subnet": self.subnet})
            except AskFailed as failed:
                failures.append(f"{name}: {failed}")
            else:
                self._know(answer.get("members", ()))
                return
        raise AskFailed("; ".join(failures))

    def _know(self, members: Sequence[Mapping[str, Any]]) -> None:
        states = {str(row.get("name")): row.get("state") for row in members}
        configured = {name for node in self._local.values() for name in node.peers[self.subnet]}
        configured.update(self._local)
        live = [name for name, state in states.items() if state == "live" and name]
        #: One that is alone may not know its own name.
        self.names = sorted(live) or sorted(configured)
        self.strangers = sorted(configured - set(states) - set(self.names))

    def ask(
        self, question: Mapping[str, Any], names: Iterable[str] | None = None
    ) -> dict[str, Mapping[str, Any] | Failure]:
        """What each of *names*, else each replica, answers; those that are away are not asked."""
        question = {**question, "subnet": self.subnet}
        names = list(self.names if names is None else names)
        answers: dict[str, Mapping[str, Any] | Failure] = {}
        skipped = set(self.away)
        for name in [name for name in names if name not in skipped and self._send(name, question)]:
            try:
                answers[name] = self._receive(self._by[name], name, question)
            except (NobodyThere, ReplicaAway) as failed:
                self.away[name] = str(failed)
            except AskFailed as failed:
                answers[name] = Failure(str(failed))
        for name in names:
            if name not in answers:
                found = None if name in skipped else self._ask_around(name, question)
                answers[name] = Failure(self.away[name]) if found is None else found
        return answers

    def retry(self) -> None:
        """Those that are away are asked again from now on."""
        self.away.clear()

    def way(self, name: str) -> str | None:
        """By whose socket *name* has answered last; None: it has not."""
        return self._by.get(name)

    def _send(self, name: str, question: Mapping[str, Any]) -> bool:
        """Asks *name* in the way that it answered before, or on its own socket."""
        by = self._by.get(name) or (name if name in self._local else None)
        if by is None:
            return False
        self._by[name] = by
        try:
            self._connection(by, name).send(_to(name, by, question))
        except NobodyThere as nobody:
            self._gone(by, name)
            self.away[name] = str(nobody)
            return False
        return True

    def _ask_around(
        self, name: str, question: Mapping[str, Any]
    ) -> Mapping[str, Any] | Failure | None:
        """Asks *name* in all other ways; None: it is away."""
        tried = self._by.pop(name, None)
        reasons = [self.away.pop(name)] if name in self.away else []
        for by in self._local:
            if by == tried:
                continue
            try:
                answer = self._ask_by(by, name, question)
            except NobodyThere as nobody:
                # What is wrong with the node that would ask is told of that node.
                reasons += [str(nobody)] if by == name else []
            except ReplicaAway as away:
                reasons.append(str(away))
            except AskFailed as failed:
                self._by[name] = by
                return Failure(str(failed))
            else:
                self._by[name] = by
                return answer
        self.away[name] = "; ".join(dict.fromkeys(reasons)) or "nobody here has a link to it"
        return None

    def _ask_by(self, by: str, name: str, question: Mapping[str, Any]) -> Mapping[str, Any]:
        try:
            self._connection(by, name).send(_to(name, by, question))
        except NobodyThere:
            self._gone(by, name)
            raise
        return self._receive(by, name, question)

    def _receive(self, by: str, name: str, question: Mapping[str, Any]) -> Mapping[str, Any]:
        seconds = WORK_SECONDS if question["ask"] in _LONG else ANSWER_SECONDS
        try:
            return self._connection(by, name).receive(seconds)
        except NobodyThere:
            self._gone(by, name)
            raise

    def _connection(self, by: str, name: str) -> Asking:
        """One for each who is asked, so that no answer waits for another's."""
        found = self._connections.get((by, name))
        if found is None:
            socket = self._local[by].socket
            if socket is None:
                raise NobodyThere(f"{by} has no admin socket: write AdminSocket")
            found = self._connections[by, name] = self._stack.enter_context(Asking(socket))
        return found

    def _gone(self, by: str, name: str) -> None:
        found = self._connections.pop((by, name), None)
        if found is not None:
            found.close()


def _to(name: str, by: str, question: Mapping[str, Any]) -> Mapping[str, Any]:
    return question if name == by else {**question, "replica": name}
