# SPDX-License-Identifier: GPL-3.0-or-later
"""
The question `member-drain` of the admin socket: this node leaves a subnet, and how far it is.

Each question about the same subnet begins the drain or tells of the one there is; what is done is
`pluto_tw.replication.draining`'s.
"""

from collections.abc import Callable, Mapping
from typing import Any

from pluto_tw.net.waiting import ReactorWaiting
from pluto_tw.node import admin
from pluto_tw.node.accounts import StoredAccounts
from pluto_tw.node.admin import Answers
from pluto_tw.replication.draining import Drain, Stage


class Draining:
    """
    Of the node called *name*, whose open *stores* these are, by subnet. *sessions* and *changed*
    are as for `Drain`.
    """

    def __init__(
        self,
        name: str,
        waiting: ReactorWaiting,
        stores: Mapping[str, StoredAccounts],
        sessions: Callable[[], int],
        changed: Callable[[], None],
    ) -> None:
        self._name = name
        self._waiting = waiting
        self._stores = stores
        self._sessions = sessions
        self._changed = changed
        self._drains: dict[str, Drain] = {}

    def by_question(self) -> Answers:
        """The answers, by what is asked."""
        return {"member-drain": self._drain}

    def stop(self) -> None:
        """The node stops."""
        for drain in self._drains.values():
            drain.stop()

    async def _drain(self, question: Mapping[str, Any]) -> Mapping[str, Any]:
        subnet = admin.text(question, "subnet", next(iter(self._stores), ""))
        if subnet not in self._stores:
            here = ", ".join(self._stores) or "none yet"
            raise admin.Refused(f"no subnet {subnet!r}: here are {here}")
        drain = self._drains.get(subnet)
        if question.get("cancel") is True:
            if drain is None or not drain.cancel():
                raise admin.Refused("there is nothing to cancel, or it is too late for that")
        elif drain is None or drain.stage is Stage.CANCELLED:
            drain = self._drains[subnet] = self._begun(subnet)
        stored = self._stores[subnet]
        heard = stored.heard()
        slots = {member.name: member.slot for member in stored.members.table() if member.is_live}
        return {
            "subnet": subnet,
            "name": self._name,
            "stage": drain.stage.name.lower(),
            "text": drain.stage.value,
            "error": drain.error,
            "lacking": [
                {"name": name, "heard": slots.get(name) in heard} for name in drain.lacking
            ],
        }

    def _begun(self, subnet: str) -> Drain:
        stored = self._stores[subnet]
        if not stored.members.others:
            raise admin.Refused(
                f"{self._name} is the only member of {subnet}: its mail would be with nobody"
            )
        if not stored.members.serves:
            raise admin.Refused(
                f"{self._name} serves nobody in {subnet} as it is: {stored.members.why}"
            )
        drain = Drain(stored.store, self._name, self._waiting, self._sessions, self._changed)
        drain.start()
        return drain
